//! The end of a session at the venue, step by step: what is open is cancelled, the open orders are
//! looked at, and looked at again where a request was under way; then the last reports are awaited,
//! and a last round of reconciliation says whether the books that are left are the venue's.

use crate::base::Reason;
use crate::base::event::{Event, Kind, VenueStatus, flags};
use crate::base::ids::Symbol;
use crate::execution::reconcile::{Question, Told};
use crate::venue::ports::RestPort;
use crate::venue::rest::{RestFailure, RestJob, RestReply};
use std::time::{Duration, Instant};

/// Longest time the end of a session waits for the venue.
const WIND_DOWN_MAX: Duration = Duration::from_secs(10);
/// Time between two rounds of cancels.
const ROUND: Duration = Duration::from_millis(100);
/// Longest wait for reports on orders that the venue does not have open; longer than the venue may
/// take to accept a request of ours.
const SETTLE_MAX: Duration = Duration::from_secs(2);
/// Time in which reports may still come after the venue has told that nothing is open.
const LINGER: Duration = Duration::from_millis(300);
/// Longest time for the last round of reconciliation: it is commonly over within a second, and a
/// host so busy that it is not would rather wait than leave it unknown.
const LAST_LOOK_MAX: Duration = Duration::from_secs(20);
/// The look at the end of a session.
const OPEN_ORDERS: RestJob = RestJob::Ask(Question::OpenOrders { symbol: None });

/// What the last round of reconciliation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLook {
    /// Our books and the venue's agree.
    Clean,
    /// They do not: trading is halted, and stays so over a restart.
    Differs,
    /// It could not be found out in time.
    Unknown,
}

impl LastLook {
    /// As it stands in the summary.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Differs => "differs",
            Self::Unknown => "unknown",
        }
    }
}

/// The end of a session, step by step.
pub struct Closing {
    symbols: Vec<Symbol>,
    pub deadline: Instant,
    began: Instant,
    /// When the next round of cancels and the look at the open orders is due.
    round_at: Instant,
    /// The look under way counts: nothing that we sent could open an order behind it.
    look_counts: bool,
    /// Nothing was open, but a look that counts is still to come.
    look_again: bool,
    /// The time was up first.
    pub gave_up: bool,
    /// Answers of this round still to come.
    cancels: usize,
    /// The look is under way, or was made.
    asked_open: bool,
    /// When the venue told that nothing is open.
    pub empty_at: Option<Instant>,
    /// When the last round of reconciliation was begun.
    look_at: Option<Instant>,
    /// What it came to.
    pub look: Option<LastLook>,
    page: Option<&'static str>,
    page_asked: bool,
    /// When the venue's own account of the session came, or failed to.
    page_at: Option<Instant>,
    pub statement: Option<Vec<u8>>,
}

impl Closing {
    /// Begins at `now`; `page` is the statement to ask for once everything is settled.
    pub fn new(symbols: &[Symbol], page: Option<&'static str>, now: Instant) -> Self {
        Self {
            symbols: symbols.to_vec(),
            deadline: now + WIND_DOWN_MAX + LAST_LOOK_MAX,
            began: now,
            round_at: now,
            look_counts: false,
            look_again: false,
            gave_up: false,
            cancels: 0,
            asked_open: true,
            empty_at: None,
            look_at: None,
            look: None,
            page,
            page_asked: false,
            page_at: None,
            statement: None,
        }
    }

    pub fn on_answer(&mut self, job: RestJob, reply: Result<RestReply, RestFailure>, now: Instant) {
        let is_ours = self.cancels == 0 && self.asked_open && self.empty_at.is_none();
        if job == OPEN_ORDERS && !is_ours {
            // Reconciliation's look, from before the cancels or after them.
            return;
        }
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
    pub fn is_done(&mut self, now: Instant, unsettled: usize, rest: &mut impl RestPort) -> bool {
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
        if unsettled > 0 && since < SETTLE_MAX || since < LINGER {
            return false;
        }
        let began = *self.look_at.get_or_insert(now);
        if self.look.is_none() && now.saturating_duration_since(began) < LAST_LOOK_MAX {
            return false;
        }
        self.look.get_or_insert(LastLook::Unknown);
        let Some(path) = self.page else { return true };
        if !self.page_asked {
            self.page_asked = rest.ask(RestJob::Page { path });
            return false;
        }
        self.page_at.is_some_and(|at| now.saturating_duration_since(at) >= LINGER)
    }
}

impl Closing {
    /// True while the last round of reconciliation is wanted or under way.
    pub fn is_looking(&self) -> bool {
        self.look_at.is_some() && self.look.is_none()
    }

    /// Hears what reconciliation tells; the first word of the last round counts.
    pub fn hear(&mut self, event: &Event) {
        if !self.is_looking() {
            return;
        }
        let differs = |status: &VenueStatus| {
            let reasons = [Reason::PositionMismatch, Reason::ForeignOrder, Reason::ClosedByVenue];
            reasons.iter().any(|reason| *reason as u16 == status.reason)
        };
        self.look = match event.kind() {
            Some(Kind::Reconciled) => Some(LastLook::Clean),
            Some(Kind::VenueStatus) if !event.has(flags::ON) && differs(event.body()) => {
                Some(LastLook::Differs)
            }
            _ => None,
        };
    }

    /// The time is up.
    pub fn give_up(&mut self) {
        self.gave_up = self.empty_at.is_none();
        self.look.get_or_insert(LastLook::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InstrumentId;
    use crate::base::event::Reconciled;
    use crate::base::settings::Dialect;
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
        let mut rest = RestDesk::start(Dialect::default(), "http://127.0.0.1:9", None).unwrap();
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
            let settled = began + later + SETTLE_MAX;
            assert!(!end.is_done(settled, unsettled, &mut rest), "a last look is wanted");
            assert!(end.is_looking());
            end.hear(&Event::new(Kind::Reconciled, InstrumentId::NONE, &Reconciled::default()));
            assert!(end.is_done(settled, unsettled, &mut rest));
            assert_eq!(end.look, Some(LastLook::Clean));
        }
        let mut end = closing(began);
        round(&mut end, began, 0, &mut rest);
        assert_eq!(end.empty_at, Some(began), "with nothing under way one round is enough");
    }

    #[test]
    fn the_first_word_of_the_last_look_counts_and_without_one_it_is_unknown_in_time() {
        let status = |reason: Reason| {
            let body = VenueStatus { reason: reason as u16, ..VenueStatus::default() };
            Event::new(Kind::VenueStatus, InstrumentId::NONE, &body)
        };
        let clean = Event::new(Kind::Reconciled, InstrumentId::NONE, &Reconciled::default());
        let cases = [
            (vec![clean, status(Reason::PositionMismatch)], LastLook::Clean),
            (vec![status(Reason::PositionMismatch), clean], LastLook::Differs),
            (vec![status(Reason::StopTriggered), status(Reason::ForeignOrder)], LastLook::Differs),
            (vec![status(Reason::ReconcileFailed)], LastLook::Unknown),
        ];
        let mut rest = RestDesk::start(Dialect::default(), "http://127.0.0.1:9", None).unwrap();
        let began = Instant::now();
        for (told, expected) in cases {
            let mut end = closing(began);
            // What was told before the last look is not its word.
            end.hear(&clean);
            round(&mut end, began, 0, &mut rest);
            let looked = began + LINGER;
            assert!(!end.is_done(looked, 0, &mut rest));
            told.iter().for_each(|event| end.hear(event));
            let until = looked + LAST_LOOK_MAX;
            assert_eq!(end.is_done(until - LINGER, 0, &mut rest), expected != LastLook::Unknown);
            assert!(end.is_done(until, 0, &mut rest));
            assert_eq!(end.look, Some(expected));
        }
    }
}
