//! The account's own stream of a session: its key, its connection, and the end of a session, when
//! what is still open is cancelled and the last reports are awaited.
//!
//! ```text
//!  key (at start) ─► connection ─► up: orders may leave, the first time "reconciled"
//!                       │  every 20 min: the key's life is extended
//!                       ▼
//!  key expired, or its life not extended ─► a new key ─► the connection moves to it
//!  connection lost ─► no order leaves, and trading is paused: what was missed is not known
//! ```

use super::clock::wall_now;
use super::inlet::Inlet;
use crate::base::Reason;
use crate::base::event::{ACTOR_UNATTENDED, Command, Event, Kind, Reconciled};
use crate::base::ids::{InstrumentId, Symbol};
use crate::engine::Halt;
use crate::feed::PrivateStats;
use crate::venue::rest::{RestAnswer, RestDesk, RestJob};
use crate::venue::stream::Stream;
use mio::Registry;
use std::time::{Duration, Instant};

/// How often the key's life is extended: it lives for 60 minutes.
const KEEP_EVERY: Duration = Duration::from_secs(20 * 60);
/// Wait after a key could not be had.
const RETRY: Duration = Duration::from_secs(2);
/// Longest time the end of a session waits for the venue.
const WIND_DOWN_MAX: Duration = Duration::from_secs(10);
/// Time between two rounds of cancels.
const ROUND: Duration = Duration::from_millis(100);
/// Longest wait for reports on orders that the venue does not have open.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// Time in which reports may still come after the venue has told that nothing is open.
const LINGER: Duration = Duration::from_millis(300);
/// The number under which the stream's ups and downs are told; the market's count from 1.
pub const CONNECTION: u64 = 100;

/// See the head of this file.
pub struct PrivateLink {
    stream: Stream,
    base_url: String,
    keep_at: Instant,
    /// A new key has been asked for.
    key_asked: bool,
    keep_asked: bool,
    keys_expired: u64,
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
    /// When the next round of cancels and the look at the open orders is due.
    round_at: Instant,
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

impl PrivateLink {
    /// A link over `stream`, which goes to [`stream_url`] of `base_url` and a fresh key.
    pub fn new(stream: Stream, base_url: &str) -> Self {
        Self {
            stream: stream.quiet(),
            base_url: base_url.to_owned(),
            keep_at: Instant::now() + KEEP_EVERY,
            key_asked: false,
            keep_asked: false,
            keys_expired: 0,
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
        now: Instant,
        registry: &Registry,
        inlet: &mut Inlet,
        rest: &RestDesk,
    ) -> Result<usize, Halt> {
        let mut halt = None;
        let polled = self.stream.poll(now, registry, &mut |frame| {
            if halt.is_none() {
                let ts = wall_now();
                let call = inlet.call(&mut |_| {}, |feed, with| feed.on_private(frame, ts, with));
                halt = call.err();
            }
        });
        if let Some(halt) = halt {
            return Err(halt);
        }
        if polled.went_down {
            self.on_loss(inlet)?;
        } else if polled.came_up {
            self.on_up(inlet)?;
        }
        self.is_up = (self.is_up || polled.came_up) && !polled.went_down;
        if !self.is_up && self.stream.last_error() != self.error.as_deref() {
            self.error = self.stream.last_error().map(str::to_owned);
            tracing::warn!(error = self.error.as_deref(), "the account's stream is not up");
        }
        self.keep_key(now, inlet, rest);
        if polled.frames > 0 {
            self.warn(inlet.feed.feed_mut().private_stats());
        }
        Ok(polled.frames)
    }

    fn on_up(&mut self, inlet: &mut Inlet) -> Result<(), Halt> {
        if let Some(desk) = inlet.venue.desk_mut()
            && self.closing.is_none()
        {
            desk.open();
        }
        let now = wall_now();
        inlet.call(&mut |_| {}, |feed, with| feed.on_stream(CONNECTION, true, now, with))?;
        if std::mem::replace(&mut self.was_up, true) {
            return Ok(());
        }
        // The start found no order and no position, and from here on every change is told.
        let flat = Event::new(Kind::Reconciled, InstrumentId::NONE, &Reconciled::default());
        inlet.call(&mut |_| {}, |feed, with| feed.on_event(flat, now, with))
    }

    fn on_loss(&mut self, inlet: &mut Inlet) -> Result<(), Halt> {
        let error = self.stream.last_error().unwrap_or("its key expired");
        tracing::error!(error, "the account's stream was lost: no order leaves, trading is paused");
        if let Some(desk) = inlet.venue.desk_mut() {
            desk.close(Reason::StreamDown);
        }
        pause(inlet, b"the account's stream was lost")?;
        let now = wall_now();
        inlet.call(&mut |_| {}, |feed, with| feed.on_stream(CONNECTION, false, now, with))
    }

    fn keep_key(&mut self, now: Instant, inlet: &mut Inlet, rest: &RestDesk) {
        let expired = inlet.feed.feed_mut().private_stats().keys_expired;
        if expired > self.keys_expired && !self.key_asked {
            self.key_asked = rest.ask(RestJob::ListenKey);
            self.keys_expired = if self.key_asked { expired } else { self.keys_expired };
        }
        if now >= self.keep_at && !self.keep_asked && !self.key_asked {
            self.keep_asked = rest.ask(RestJob::KeepListenKey);
            self.keep_at = now + KEEP_EVERY;
        }
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
    pub fn on_answer(&mut self, answer: RestAnswer, now: Instant, rest: &RestDesk) {
        match (answer.job, answer.body) {
            (RestJob::ListenKey, Ok(key)) => {
                self.key_asked = false;
                self.keep_at = now + KEEP_EVERY;
                let key = String::from_utf8_lossy(&key).into_owned();
                self.stream.move_to(stream_url(&self.base_url, &key));
            }
            (RestJob::ListenKey, Err(error)) => {
                tracing::error!(error, "no key for the account's stream");
                self.key_asked = false;
                self.keys_expired = self.keys_expired.saturating_sub(1);
            }
            (RestJob::KeepListenKey, Ok(_)) => self.keep_asked = false,
            (RestJob::KeepListenKey, Err(error)) => {
                self.keep_asked = false;
                tracing::warn!(error, "the life of the account's stream was not extended");
                if error.contains("-1125") {
                    self.key_asked = rest.ask(RestJob::ListenKey);
                } else {
                    self.keep_at = now + RETRY;
                }
            }
            (job, body) => {
                if let Some(closing) = &mut self.closing {
                    closing.on_answer(job, body, now);
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
        inlet: &mut Inlet,
        symbols: &[Symbol],
        page: Option<&'static str>,
    ) -> Result<(), Halt> {
        if let Some(desk) = inlet.venue.desk_mut() {
            desk.close(Reason::Shutdown);
        }
        pause(inlet, b"the session is ending")?;
        let now = Instant::now();
        self.closing = Some(Closing {
            symbols: symbols.to_vec(),
            deadline: now + WIND_DOWN_MAX,
            round_at: now,
            cancels: 0,
            asked_open: true,
            empty_at: None,
            page,
            page_asked: false,
            page_at: None,
            statement: None,
        });
        Ok(())
    }

    /// Goes on with the end; true when nothing is left to wait for, or the time is up.
    pub fn is_closed(&mut self, now: Instant, inlet: &mut Inlet, rest: &RestDesk) -> bool {
        let unsettled = inlet.venue.desk_mut().map_or(0, |desk| desk.unsettled());
        let Some(closing) = &mut self.closing else { return true };
        if now >= closing.deadline {
            let open = closing.empty_at.is_none();
            tracing::warn!(unsettled, open, "the venue did not settle everything in time");
            return true;
        }
        closing.is_done(now, unsettled, rest)
    }

    /// The venue's own account of the session, if it was asked for and came.
    pub fn into_statement(self) -> Option<Vec<u8>> {
        self.closing.and_then(|closing| closing.statement)
    }
}

impl Closing {
    fn on_answer(&mut self, job: RestJob, body: Result<Vec<u8>, String>, now: Instant) {
        match (job, body) {
            (RestJob::CancelAll { .. }, Ok(_)) => self.cancels = self.cancels.saturating_sub(1),
            (RestJob::CancelAll { symbol }, Err(error)) => {
                tracing::warn!(%symbol, error, "open orders were not cancelled");
                self.cancels = self.cancels.saturating_sub(1);
            }
            (RestJob::OpenOrders, Ok(names)) if names.is_empty() => self.empty_at = Some(now),
            (RestJob::OpenOrders, Ok(names)) => {
                let names = String::from_utf8_lossy(&names).replace('\n', " ");
                tracing::warn!(names, "orders are still open");
                self.round_at = now + ROUND;
            }
            (RestJob::OpenOrders, Err(error)) => {
                tracing::warn!(error, "the open orders are not known");
                self.round_at = now + ROUND;
            }
            (RestJob::Page { .. }, Ok(body)) => {
                self.statement = Some(body);
                self.page_at = Some(now);
            }
            (RestJob::Page { .. }, Err(error)) => {
                tracing::warn!(error, "the venue's account of the session is not known");
                self.page_at = Some(now);
            }
            _ => {}
        }
    }

    /// Cancelled, seen to be empty, every report heard, the venue's account taken, and what it
    /// counts has had the time to come. A request that was under way may open an order after the
    /// cancels: then they are sent again.
    fn is_done(&mut self, now: Instant, unsettled: usize, rest: &RestDesk) -> bool {
        let Some(empty_at) = self.empty_at else {
            if now >= self.round_at {
                let cancel = |&&symbol: &&Symbol| rest.ask(RestJob::CancelAll { symbol });
                self.cancels = self.symbols.iter().filter(cancel).count();
                self.asked_open = false;
                self.round_at = now + WIND_DOWN_MAX;
            }
            if self.cancels == 0 && !self.asked_open {
                self.asked_open = rest.ask(RestJob::OpenOrders);
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

fn pause(inlet: &mut Inlet, why: &[u8]) -> Result<(), Halt> {
    let mut command = Command { verb: 1, actor: ACTOR_UNATTENDED, ..Command::default() };
    command.reason[..why.len()].copy_from_slice(why);
    let now = wall_now();
    inlet.call(&mut |_| {}, |feed, with| feed.on_command(&command, now, with))
}
