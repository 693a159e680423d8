//! The account's own stream of a session: its key, its connection, and the end of a session, when
//! what is still open is cancelled and the last reports are awaited.
//!
//! ```text
//!  key (at start) ─► connection ─► up: everything at the venue is looked at, and once it is clean
//!                       │  every 20 min: the key's life is extended       trading goes on
//!                       ▼
//!  key expired, or its life not extended ─► a new key ─► the connection moves to it
//!  connection lost                       ─► it comes back
//!  an order or cancel was taken, and     ─► a new key, another connection, after a wait that grows
//!  it brought nothing for 2 s               each time; it counts as silent until that speaks
//!       each: the river is told; no order leaves until all that was missed has been found out
//!  a frame that cannot be read ─► the river is told, and everything is looked at
//! ```
//! What comes over the stream while the venue is being asked is never held back: the stream first,
//! then the reads, and whatever both tell counts once.

use super::closing::{Closing, LastLook};
use super::inlet::Inlet;
use crate::base::Reason;
use crate::base::event::{ACTOR_UNATTENDED, Command, Event, Kind, VenueStatus, carries};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::time::Nanos;
use crate::engine::Halt;
use crate::execution::reconcile::{Question, Reconciler, Told};
use crate::feed::PrivateStats;
use crate::risk::{Origin, Verb};
use crate::venue::backoff::Backoff;
use crate::venue::ports::{ClockPort, EntryPort, Now, RestPort, StreamPort};
use crate::venue::rest::{RestAnswer, RestJob, RestReply};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often the key's life is extended: it lives for 60 minutes.
const KEEP_EVERY: Duration = Duration::from_secs(20 * 60);
/// The venue's code for a key of the stream that it does not have.
const NO_LISTEN_KEY: i32 = -1125;
/// Least wait after a key could not be had.
const RETRY: Duration = Duration::from_secs(2);
/// After so much time without trouble the waits are short again; longer than the longest of them.
const STEADY: Duration = Duration::from_secs(120);
/// The number under which the stream's ups and downs are told; the market's count from 1.
pub const CONNECTION: u64 = 100;

/// See the head of this file.
pub struct PrivateLink<S> {
    stream: S,
    base_url: String,
    keep_at: Instant,
    /// A new key has been asked for.
    key_asked: bool,
    /// When a new key is to be asked for, if one is needed.
    key_at: Option<Instant>,
    /// The venue told that it does not have our key any more.
    key_gone: bool,
    keep_asked: bool,
    keys_expired: u64,
    unreadable: u64,
    /// It brought nothing although it had to, and nothing since.
    is_mute: bool,
    /// Waits before another connection or key.
    backoff: Backoff,
    /// When the last of these waits began.
    troubled: Option<Instant>,
    /// It was up once, so that a loss may have hidden something.
    was_up: bool,
    is_up: bool,
    /// The last reason told why it is not.
    error: Option<String>,
    told: PrivateStats,
    closing: Option<Closing>,
    /// What the venue said to questions of reconciliation, until the next turn.
    answers: VecDeque<(Question, Option<Told>)>,
}

/// The URL of the stream of a key.
pub fn stream_url(base_url: &str, key: &str) -> String {
    format!("{}/ws?listenKey={key}", base_url.trim_end_matches('/'))
}

impl<S: StreamPort> PrivateLink<S> {
    /// A link over `stream`, a quiet one, to [`stream_url`] of `base_url` and a fresh key.
    pub fn new(stream: S, base_url: &str, now: Instant) -> Self {
        Self {
            stream,
            base_url: base_url.to_owned(),
            keep_at: now + KEEP_EVERY,
            key_asked: false,
            key_at: None,
            key_gone: false,
            keep_asked: false,
            keys_expired: 0,
            unreadable: 0,
            is_mute: false,
            backoff: Backoff::new(0),
            troubled: None,
            was_up: false,
            is_up: false,
            error: None,
            told: PrivateStats::default(),
            closing: None,
            answers: VecDeque::new(),
        }
    }

    /// The same with another seed of its waits, so that two sessions do not come back together.
    pub fn seeded(mut self, seed: u64) -> Self {
        self.backoff = Backoff::new(seed);
        self
    }

    /// The connection.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    /// Reads what the stream brought and keeps its key alive.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn turn(
        &mut self,
        now: Now,
        clock: &mut impl ClockPort,
        inlet: &mut Inlet<impl EntryPort>,
        rest: &mut impl RestPort,
    ) -> Result<usize, Halt> {
        let mut halt = None;
        let polled = self.stream.poll(now.mono, &mut |frame| {
            if halt.is_none() {
                let ts = clock.now().wall;
                let call = inlet.call(&mut |_| {}, |feed, with| feed.on_private(frame, ts, with));
                halt = call.err();
            }
        });
        if let Some(halt) = halt {
            return Err(halt);
        }
        while let Some(edge) = self.stream.silent(now.mono) {
            let is_silent = edge.is_silent;
            tracing::warn!(is_silent, "the account's stream is asked whether it lives");
            silent(inlet, is_silent, clock.now().wall)?;
        }
        self.listen(polled.frames > 0, now.mono, inlet, clock)?;
        if polled.went_down {
            self.on_loss(inlet, clock.now())?;
        } else if polled.came_up {
            self.on_up(inlet, clock.now())?;
        }
        self.is_up = (self.is_up || polled.came_up) && !polled.went_down;
        if !self.is_up && self.stream.last_error() != self.error.as_deref() {
            self.error = self.stream.last_error().map(str::to_owned);
            tracing::warn!(error = self.error.as_deref(), "the account's stream is not up");
        }
        self.keep_key(now, inlet, rest)?;
        self.reconcile(now.wall, inlet, rest)?;
        if polled.frames > 0 {
            self.warn(inlet.feed.feed_mut().private_stats());
            let unreadable = inlet.feed.feed_mut().private_stats().unreadable;
            if unreadable > std::mem::replace(&mut self.unreadable, unreadable) {
                tracing::error!("a frame of the account's stream was not read");
                let now = clock.now().wall;
                down(inlet, now)?;
                if let Some(reconciler) = inlet.venue.reconciler_mut() {
                    reconciler.on_stream(self.is_up, now);
                }
            }
        }
        Ok(polled.frames)
    }

    /// Leaves the connection when the venue took something and it did not tell it.
    fn listen(
        &mut self,
        spoke: bool,
        now: Instant,
        inlet: &mut Inlet<impl EntryPort>,
        clock: &mut impl ClockPort,
    ) -> Result<(), Halt> {
        let Some(desk) = inlet.venue.desk_mut() else { return Ok(()) };
        if spoke {
            desk.on_account_stream(now);
            if std::mem::take(&mut self.is_mute) {
                silent(inlet, false, clock.now().wall)?;
            }
            return Ok(());
        }
        let is_watched = self.is_up && self.closing.is_none() && self.key_at.is_none();
        if is_watched && !self.key_asked && desk.is_account_silent(now) {
            desk.on_account_stream(now);
            tracing::error!("the account's stream does not tell what the venue did");
            self.is_mute = true;
            // Another connection, and by a key that is known to live; later each time.
            self.key_at = Some(now + self.wait_longer(now));
            silent(inlet, true, clock.now().wall)?;
            lose_sight(inlet, clock.now().wall)?;
        }
        Ok(())
    }

    /// The wait before the next connection or key, longer each time while none serves for long.
    fn wait_longer(&mut self, now: Instant) -> Duration {
        let was = self.troubled.replace(now);
        if was.is_none_or(|at| now.saturating_duration_since(at) > STEADY) {
            self.backoff.reset();
        }
        self.backoff.next_wait()
    }

    fn on_up(&mut self, inlet: &mut Inlet<impl EntryPort>, now: Now) -> Result<(), Halt> {
        if let Some(desk) = inlet.venue.desk_mut()
            && self.closing.is_none()
            && self.key_at.is_none()
            && !self.key_asked
        {
            desk.on_account_stream(now.mono);
            desk.open();
        }
        let Now { mono, wall: now } = now;
        inlet.call(&mut |_| {}, |feed, with| feed.on_stream(CONNECTION, true, now, with))?;
        if self.is_mute {
            silent(inlet, true, now)?;
        }
        if let Some(reconciler) = inlet.venue.reconciler_mut()
            && self.closing.is_none()
        {
            reconciler.on_stream(true, now);
        }
        if std::mem::replace(&mut self.was_up, true) {
            // The key may have died meanwhile: a dead one is taken, but nothing comes by it.
            self.keep_at = mono;
        }
        Ok(())
    }

    /// Asks what reconciliation wants to know, and lets what it found flow.
    fn reconcile(
        &mut self,
        now: Nanos,
        inlet: &mut Inlet<impl EntryPort>,
        rest: &mut impl RestPort,
    ) -> Result<(), Halt> {
        let Some(reconciler) = inlet.venue.reconciler_mut() else { return Ok(()) };
        while let Some((question, told)) = self.answers.pop_front() {
            reconciler.on_answer(&question, told.as_ref(), now);
        }
        if let Some(question) = reconciler.question(now)
            && !rest.ask(RestJob::Ask(question))
        {
            reconciler.put_back(question, now);
        }
        while let Some(event) = inlet.venue.reconciler_mut().and_then(Reconciler::event) {
            if let Some(closing) = &mut self.closing {
                closing.hear(&event);
            }
            inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, now, with))?;
        }
        Ok(())
    }

    fn on_loss(&mut self, inlet: &mut Inlet<impl EntryPort>, now: Now) -> Result<(), Halt> {
        let error = self.stream.last_error().unwrap_or("it was left");
        tracing::error!(error, "the account's stream was lost: no order leaves");
        let now = now.wall;
        lose_sight(inlet, now)?;
        inlet.call(&mut |_| {}, |feed, with| feed.on_stream(CONNECTION, false, now, with))
    }

    fn keep_key(
        &mut self,
        Now { mono: now, wall }: Now,
        inlet: &mut Inlet<impl EntryPort>,
        rest: &mut impl RestPort,
    ) -> Result<(), Halt> {
        let expired = inlet.feed.feed_mut().private_stats().keys_expired;
        let has_expired = expired > std::mem::replace(&mut self.keys_expired, expired);
        if std::mem::take(&mut self.key_gone) || has_expired {
            // The connection stays, but nothing more will come over it.
            tracing::error!("the key of the account's stream expired: no order leaves");
            lose_sight(inlet, wall)?;
            self.key_at = Some(now);
        }
        if self.key_at.is_some_and(|at| now >= at) && !self.key_asked {
            self.key_asked = rest.ask(RestJob::ListenKey);
            self.key_at = self.key_at.filter(|_| !self.key_asked);
        }
        if now >= self.keep_at && !self.keep_asked && !self.key_asked {
            self.keep_asked = rest.ask(RestJob::KeepListenKey);
            self.keep_at = now + if self.keep_asked { KEEP_EVERY } else { RETRY };
        }
        Ok(())
    }

    fn warn(&mut self, stats: &PrivateStats) {
        let before = std::mem::replace(&mut self.told, *stats);
        for (what, count, told) in [
            ("reports on orders that are not ours", stats.foreign_reports, before.foreign_reports),
            (
                "fees in another asset, counted as 0",
                stats.fees_in_other_asset,
                before.fees_in_other_asset,
            ),
            (
                "funding without a symbol, booked on the first instrument",
                stats.funding_without_symbol,
                before.funding_without_symbol,
            ),
            (
                "changes of the balance by neither trading nor funding",
                stats.balance_changes,
                before.balance_changes,
            ),
            ("margin calls", stats.margin_calls, before.margin_calls),
        ] {
            if count > told {
                tracing::warn!(count, "the account's stream: {what}");
            }
        }
    }

    /// Takes the answers that concern the account.
    pub fn on_answer(&mut self, answer: RestAnswer, now: Instant) {
        match (answer.job, answer.reply) {
            (RestJob::ListenKey, Ok(RestReply::Key(key))) => {
                self.key_asked = false;
                self.keep_at = now + KEEP_EVERY;
                self.stream.move_to(stream_url(&self.base_url, &key));
            }
            (RestJob::ListenKey, Err(error)) => {
                tracing::error!(%error, "no key for the account's stream");
                self.key_asked = false;
                self.key_at = Some(now + RETRY + self.wait_longer(now));
            }
            (RestJob::KeepListenKey, Ok(_)) => self.keep_asked = false,
            (RestJob::KeepListenKey, Err(error)) => {
                self.keep_asked = false;
                tracing::warn!(%error, "the life of the account's stream was not extended");
                if error.code == Some(NO_LISTEN_KEY) {
                    self.key_gone = true;
                } else {
                    self.keep_at = now + RETRY + self.wait_longer(now);
                }
            }
            (RestJob::Ask(question), reply) => {
                let told = match &reply {
                    Ok(RestReply::Told(told)) => Some(told.clone()),
                    Ok(_) => None,
                    Err(error) => {
                        tracing::warn!(%error, "the venue did not say what is true");
                        None
                    }
                };
                self.answers.push_back((question, told));
                if let Some(closing) = &mut self.closing {
                    closing.on_answer(RestJob::Ask(question), reply, now);
                }
            }
            (job, reply) => {
                if let Some(closing) = &mut self.closing {
                    closing.on_answer(job, reply, now);
                }
            }
        }
    }

    /// Begins the end of the session: no order leaves any more, and what is open is cancelled.
    /// `page` is where the venue tells its own account of the session, if it does.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn close(
        &mut self,
        now: Now,
        inlet: &mut Inlet<impl EntryPort>,
        symbols: &[Symbol],
        page: Option<&'static str>,
    ) -> Result<(), Halt> {
        if let Some(desk) = inlet.venue.desk_mut() {
            desk.close(Reason::Shutdown);
        }
        if let Some(reconciler) = inlet.venue.reconciler_mut() {
            reconciler.on_stream(false, now.wall);
        }
        pause(inlet, now.wall, b"the session is ending")?;
        self.closing = Some(Closing::new(symbols, page, now.mono));
        Ok(())
    }

    /// Goes on with the end; true when nothing is left to wait for, or the time is up.
    ///
    /// # Errors
    /// [`Halt`] when the river cannot take what is to be told.
    pub fn is_closed(
        &mut self,
        now: Now,
        inlet: &mut Inlet<impl EntryPort>,
        rest: &mut impl RestPort,
    ) -> Result<bool, Halt> {
        let unsettled = inlet.venue.desk_mut().map_or(0, |desk| desk.unsettled());
        let Some(closing) = &mut self.closing else { return Ok(true) };
        let late = now.mono >= closing.deadline;
        if late {
            let open = closing.empty_at.is_none();
            tracing::warn!(unsettled, open, "the venue did not settle everything in time");
            closing.give_up();
        }
        let is_done = late || closing.is_done(now.mono, unsettled, rest);
        let looks = closing.is_looking();
        let is_unknown = is_done && closing.look == Some(LastLook::Unknown);
        if let Some(reconciler) = inlet.venue.reconciler_mut()
            && looks
        {
            reconciler.look_last(now.wall);
        }
        if is_unknown {
            tracing::error!("whether the books are the venue's could not be found out at the end");
            let reason = Reason::ReconcileFailed as u16;
            let body = VenueStatus { reason, ..VenueStatus::default() };
            let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
            inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, now.wall, with))?;
        }
        Ok(is_done)
    }

    /// True after an end at which the venue told that nothing is open any more.
    pub fn has_settled(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| !closing.gave_up)
    }

    /// What the last round of reconciliation came to; `None` where the end did not come to it.
    pub fn last_look(&self) -> Option<LastLook> {
        self.closing.as_ref().and_then(|closing| closing.look)
    }

    /// The venue's own account of the session, if it was asked for and came.
    pub fn into_statement(self) -> Option<Vec<u8>> {
        self.closing.and_then(|closing| closing.statement)
    }
}

/// What happens on the account is not seen: no order leaves any more, and the river is told.
fn lose_sight(inlet: &mut Inlet<impl EntryPort>, now: Nanos) -> Result<(), Halt> {
    if let Some(desk) = inlet.venue.desk_mut() {
        desk.close(Reason::StreamDown);
    }
    down(inlet, now)
}

/// What happened on the account was not seen: tells the river, and nothing is concluded from what
/// was read so far.
fn down(inlet: &mut Inlet<impl EntryPort>, now: Nanos) -> Result<(), Halt> {
    if let Some(reconciler) = inlet.venue.reconciler_mut() {
        reconciler.on_stream(false, now);
    }
    let body = VenueStatus { reason: Reason::AccountStreamDown as u16, ..VenueStatus::default() };
    let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
    inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, now, with))
}

/// Tells that the stream is there and says nothing, or speaks again.
fn silent(inlet: &mut Inlet<impl EntryPort>, is_silent: bool, now: Nanos) -> Result<(), Halt> {
    let stream = (CONNECTION, carries::ACCOUNT);
    inlet.call(&mut |_| {}, |feed, with| {
        feed.on_stream_silent(stream, InstrumentId::NONE, is_silent, now, with)
    })
}

fn pause(inlet: &mut Inlet<impl EntryPort>, now: Nanos, why: &[u8]) -> Result<(), Halt> {
    let (verb, origin) = (Verb::Pause as u32, Origin::Session as u32);
    let mut command = Command { verb, actor: ACTOR_UNATTENDED, origin, ..Command::default() };
    command.reason[..why.len()].copy_from_slice(why);
    inlet.call(&mut |_| {}, |feed, with| feed.on_command(&command, now, with))
}

#[cfg(test)]
mod tests;
