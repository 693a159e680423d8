//! The account's own stream of a session: its key, its connection, and the end of a session, when
//! what is still open is cancelled and the last reports are awaited.
//!
//! ```text
//!  key (at start) ─► connection ─► up: orders may leave, the first time "reconciled"
//!                       │  every 20 min: the key's life is extended
//!                       ▼
//!  key expired, or its life not extended ─► no order leaves, trading is paused
//!                                        ─► a new key ─► the connection moves to it
//!  connection lost ─► no order leaves, and trading is paused: what was missed is not known
//!  a frame that cannot be read ─► trading is paused
//! ```

use super::inlet::Inlet;
use crate::base::Reason;
use crate::base::event::{ACTOR_UNATTENDED, Command, Event, Kind, Reconciled};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::time::Nanos;
use crate::engine::Halt;
use crate::execution::reconcile::{Question, Told};
use crate::feed::PrivateStats;
use crate::venue::ports::{ClockPort, EntryPort, Now, RestPort, StreamPort};
use crate::venue::rest::{RestAnswer, RestFailure, RestJob, RestReply};
use std::time::{Duration, Instant};

/// How often the key's life is extended: it lives for 60 minutes.
const KEEP_EVERY: Duration = Duration::from_secs(20 * 60);
/// The venue's code for a key of the stream that it does not have.
const NO_LISTEN_KEY: i32 = -1125;
/// The look at the end of a session.
const OPEN_ORDERS: RestJob = RestJob::Ask(Question::OpenOrders { symbol: None });
/// Wait after a key could not be had.
const RETRY: Duration = Duration::from_secs(2);
/// Longest time the end of a session waits for the venue.
const WIND_DOWN_MAX: Duration = Duration::from_secs(10);
/// Time between two rounds of cancels.
const ROUND: Duration = Duration::from_millis(100);
/// Longest wait for reports on orders that the venue does not have open; longer than the venue may
/// take to accept a request of ours.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// Time in which reports may still come after the venue has told that nothing is open.
const LINGER: Duration = Duration::from_millis(300);
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
    /// It was up once, so that a loss may have hidden something.
    was_up: bool,
    is_up: bool,
    /// The last reason told why it is not.
    error: Option<String>,
    told: PrivateStats,
    closing: Option<Closing>,
}

/// The end of a session, step by step.
struct Closing {
    symbols: Vec<Symbol>,
    deadline: Instant,
    began: Instant,
    /// When the next round of cancels and the look at the open orders is due.
    round_at: Instant,
    /// The look under way counts: nothing that we sent could open an order behind it.
    look_counts: bool,
    /// Nothing was open, but a look that counts is still to come.
    look_again: bool,
    /// The time was up first.
    gave_up: bool,
    /// Answers of this round still to come.
    cancels: usize,
    asked_open: bool,
    /// When the venue told that nothing is open.
    empty_at: Option<Instant>,
    page: Option<&'static str>,
    page_asked: bool,
    /// When the venue's own account of the session came, or failed to.
    page_at: Option<Instant>,
    statement: Option<Vec<u8>>,
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
            was_up: false,
            is_up: false,
            error: None,
            told: PrivateStats::default(),
            closing: None,
        }
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
            let (is_silent, ts) = (edge.is_silent, clock.now().wall);
            tracing::warn!(is_silent, "the account's stream is asked whether it lives");
            inlet.call(&mut |_| {}, |feed, with| {
                feed.on_stream_silent(
                    (CONNECTION, edge.carries),
                    edge.instrument,
                    is_silent,
                    ts,
                    with,
                )
            })?;
        }
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
        if polled.frames > 0 {
            self.warn(inlet.feed.feed_mut().private_stats());
            let unreadable = inlet.feed.feed_mut().private_stats().unreadable;
            if unreadable > std::mem::replace(&mut self.unreadable, unreadable) {
                tracing::error!("a frame of the account's stream was not read: trading is paused");
                pause(inlet, clock.now().wall, b"the account's stream was not read")?;
            }
        }
        Ok(polled.frames)
    }

    fn on_up(&mut self, inlet: &mut Inlet<impl EntryPort>, now: Now) -> Result<(), Halt> {
        if let Some(desk) = inlet.venue.desk_mut()
            && self.closing.is_none()
            && self.key_at.is_none()
            && !self.key_asked
        {
            desk.open();
        }
        let Now { mono, wall: now } = now;
        inlet.call(&mut |_| {}, |feed, with| feed.on_stream(CONNECTION, true, now, with))?;
        if std::mem::replace(&mut self.was_up, true) {
            // The key may have died meanwhile: a dead one is taken, but nothing comes by it.
            self.keep_at = mono;
            return Ok(());
        }
        // The start found no order and no position, and from here on every change is told.
        let flat = Event::new(Kind::Reconciled, InstrumentId::NONE, &Reconciled::default());
        inlet.call(&mut |_| {}, |feed, with| feed.on_event(flat, now, with))
    }

    fn on_loss(&mut self, inlet: &mut Inlet<impl EntryPort>, now: Now) -> Result<(), Halt> {
        let error = self.stream.last_error().unwrap_or("its key expired");
        tracing::error!(error, "the account's stream was lost: no order leaves, trading is paused");
        if let Some(desk) = inlet.venue.desk_mut() {
            desk.close(Reason::StreamDown);
        }
        let now = now.wall;
        pause(inlet, now, b"the account's stream was lost")?;
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
            if let Some(desk) = inlet.venue.desk_mut() {
                desk.close(Reason::StreamDown);
            }
            pause(inlet, wall, b"the account's stream expired")?;
            self.key_at = Some(now);
        }
        if self.key_at.is_some_and(|at| now >= at) && !self.key_asked {
            self.key_asked = rest.ask(RestJob::ListenKey);
            self.key_at = self.key_at.filter(|_| !self.key_asked);
        }
        if now >= self.keep_at && !self.keep_asked && !self.key_asked {
            self.keep_asked = rest.ask(RestJob::KeepListenKey);
            self.keep_at = now + KEEP_EVERY;
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
                self.key_at = Some(now + RETRY);
            }
            (RestJob::KeepListenKey, Ok(_)) => self.keep_asked = false,
            (RestJob::KeepListenKey, Err(error)) => {
                self.keep_asked = false;
                tracing::warn!(%error, "the life of the account's stream was not extended");
                if error.code == Some(NO_LISTEN_KEY) {
                    self.key_gone = true;
                } else {
                    self.keep_at = now + RETRY;
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
        pause(inlet, now.wall, b"the session is ending")?;
        self.closing = Some(Closing::new(symbols, page, now.mono));
        Ok(())
    }

    /// Goes on with the end; true when nothing is left to wait for, or the time is up.
    pub fn is_closed(
        &mut self,
        now: Instant,
        inlet: &mut Inlet<impl EntryPort>,
        rest: &mut impl RestPort,
    ) -> bool {
        let unsettled = inlet.venue.desk_mut().map_or(0, |desk| desk.unsettled());
        let Some(closing) = &mut self.closing else { return true };
        if now >= closing.deadline {
            let open = closing.empty_at.is_none();
            tracing::warn!(unsettled, open, "the venue did not settle everything in time");
            closing.gave_up = true;
            return true;
        }
        closing.is_done(now, unsettled, rest)
    }

    /// True after an end at which the venue told that nothing is open any more.
    pub fn has_settled(&self) -> bool {
        self.closing.as_ref().is_some_and(|closing| !closing.gave_up)
    }

    /// The venue's own account of the session, if it was asked for and came.
    pub fn into_statement(self) -> Option<Vec<u8>> {
        self.closing.and_then(|closing| closing.statement)
    }
}

impl Closing {
    /// Begins at `now`; `page` is the statement to ask for once everything is settled.
    fn new(symbols: &[Symbol], page: Option<&'static str>, now: Instant) -> Self {
        Self {
            symbols: symbols.to_vec(),
            deadline: now + WIND_DOWN_MAX,
            began: now,
            round_at: now,
            look_counts: false,
            look_again: false,
            gave_up: false,
            cancels: 0,
            asked_open: true,
            empty_at: None,
            page,
            page_asked: false,
            page_at: None,
            statement: None,
        }
    }

    fn on_answer(&mut self, job: RestJob, reply: Result<RestReply, RestFailure>, now: Instant) {
        match (job, reply) {
            (RestJob::CancelAll { .. }, Ok(_)) => self.cancels = self.cancels.saturating_sub(1),
            (RestJob::CancelAll { symbol }, Err(error)) => {
                tracing::warn!(%symbol, %error, "open orders were not cancelled");
                self.cancels = self.cancels.saturating_sub(1);
            }
            (OPEN_ORDERS, Ok(RestReply::Told(Told::Orders(open))))
                if open.is_empty() && self.look_counts =>
            {
                self.empty_at = Some(now);
            }
            (OPEN_ORDERS, Ok(RestReply::Told(Told::Orders(open)))) if open.is_empty() => {
                self.look_again = true;
                self.round_at = self.began + SETTLE_MAX;
            }
            (OPEN_ORDERS, Ok(RestReply::Told(Told::Orders(open)))) => {
                let names: Vec<_> = open.iter().map(|order| order.name.as_str()).collect();
                tracing::warn!(names = names.join(" "), "orders are still open");
                self.round_at = now + ROUND;
            }
            (OPEN_ORDERS, Err(error)) => {
                tracing::warn!(%error, "the open orders are not known");
                self.round_at = now + ROUND;
            }
            (RestJob::Page { .. }, Ok(RestReply::Body(body))) => {
                self.statement = Some(body);
                self.page_at = Some(now);
            }
            (RestJob::Page { .. }, Err(error)) => {
                tracing::warn!(%error, "the venue's account of the session is not known");
                self.page_at = Some(now);
            }
            _ => {}
        }
    }

    /// Cancelled, seen to be empty, every report heard, the venue's account taken, and what it
    /// counts has had the time to come. A request that was under way may open an order after the
    /// cancels, and even after the look: both are done again when everything has been heard of, or
    /// when the venue cannot take it any more.
    fn is_done(&mut self, now: Instant, unsettled: usize, rest: &mut impl RestPort) -> bool {
        let Some(empty_at) = self.empty_at else {
            if now >= self.round_at || self.look_again && unsettled == 0 {
                self.look_again = false;
                let cancel = |&&symbol: &&Symbol| rest.ask(RestJob::CancelAll { symbol });
                self.cancels = self.symbols.iter().filter(cancel).count();
                self.asked_open = false;
                self.round_at = now + WIND_DOWN_MAX;
            }
            if self.cancels == 0 && !self.asked_open {
                let waited = now.saturating_duration_since(self.began);
                self.look_counts = unsettled == 0 || waited >= SETTLE_MAX;
                self.asked_open = rest.ask(OPEN_ORDERS);
            }
            return false;
        };
        let since = now.saturating_duration_since(empty_at);
        // An order of unknown outcome that never came about is never heard of.
        if unsettled > 0 && since < SETTLE_MAX {
            return false;
        }
        let Some(path) = self.page else { return since >= LINGER };
        if !self.page_asked {
            self.page_asked = rest.ask(RestJob::Page { path });
            return false;
        }
        self.page_at.is_some_and(|at| now.saturating_duration_since(at) >= LINGER)
    }
}

fn pause(inlet: &mut Inlet<impl EntryPort>, now: Nanos, why: &[u8]) -> Result<(), Halt> {
    let mut command = Command { verb: 1, actor: ACTOR_UNATTENDED, ..Command::default() };
    command.reason[..why.len()].copy_from_slice(why);
    inlet.call(&mut |_| {}, |feed, with| feed.on_command(&command, now, with))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::rest::RestDesk;

    fn closing(began: Instant) -> Closing {
        Closing::new(&[Symbol::new(b"BTCUSDT").unwrap()], None, began)
    }

    /// One round of cancels, and a look that finds nothing open.
    fn round(closing: &mut Closing, now: Instant, unsettled: usize, rest: &mut RestDesk) {
        assert!(!closing.is_done(now, unsettled, rest));
        assert_eq!(closing.cancels, 1, "the cancels are sent");
        let symbol = closing.symbols[0];
        closing.on_answer(RestJob::CancelAll { symbol }, Ok(RestReply::Done), now);
        assert!(!closing.is_done(now, unsettled, rest));
        assert!(closing.asked_open);
        let none = RestReply::Told(Told::Orders(Vec::new()));
        closing.on_answer(OPEN_ORDERS, Ok(none), now);
    }

    #[test]
    fn an_order_that_was_under_way_at_the_end_is_cancelled_by_a_second_round() {
        let mut rest = RestDesk::start("http://127.0.0.1:9", None).unwrap();
        let began = Instant::now();
        // Its outcome comes to be known, or the venue cannot take it any more.
        for (later, unsettled) in [(Duration::from_millis(5), 0), (SETTLE_MAX, 1)] {
            let mut end = closing(began);
            round(&mut end, began, 1, &mut rest);
            assert!(end.empty_at.is_none(), "it may be opened behind the look");
            assert!(!end.is_done(began, 1, &mut rest));
            assert_eq!(end.cancels, 0, "not before anything has changed");
            round(&mut end, began + later, unsettled, &mut rest);
            assert_eq!(end.empty_at, Some(began + later));
            assert!(end.is_done(began + later + SETTLE_MAX, unsettled, &mut rest));
        }
        let mut end = closing(began);
        round(&mut end, began, 0, &mut rest);
        assert_eq!(end.empty_at, Some(began), "with nothing under way one round is enough");
    }
}
