//! Finds out what is true at the venue and says it in the river. Without sockets and without a
//! clock: it hears the numbered inputs and the orders that leave, keeps a mirror of what we
//! believe, says what to ask, takes the answers and makes events of what was missed.
//!
//! ```text
//!  stream up again, start, an order unknown, a position that surprises, every so often
//!     └► a round:  open orders ─► each order of ours that is not among them ─► our trades
//!                  ─► positions ─► funding ─► positions again
//!          found    ─► OrderAccepted, OrderCancelled, OrderExpired, OrderFilled, FundingPayment
//!          nowhere  ─► OrderExpired for the reason "unknown order", after its time has passed
//!          foreign  ─► VenueStatus, never touched
//!          ours, and no journal remembers it ─► its fills by its name, and VenueStatus: lossy
//!          equal    ─► VenuePosition (LAST) for each instrument, then Reconciled
//!  an order unknown ─► asked for after 0.5, 1, 2, 4, 8 s (procedure U), then a round; a round as
//!                      well once the stream has settled every unknown order
//! ```
//! Two reads must tell the same before anything is concluded from a difference, with no word on
//! that instrument in between. A read that fails says nothing: it is made again, and after
//! [`FAILING_MAX`] the river is told. One question is under way at a time.
//!
//! | file | holds |
//! |---|---|
//! | `question` | what is asked, and what may be told |
//! | `mirror` | what we believe, as the river told it |
//! | `round` | one look at everything, answer by answer |
//! | `search` | orders of unknown outcome |

mod mirror;
mod question;
mod round;
mod search;
#[cfg(test)]
mod tests;

pub use question::{
    PAGE_ROWS, Question, Standing, Told, VenueFunding, VenueHolding, VenueOrder, VenueTrade,
};

use crate::base::event::{Command, Event, OrderCarried, OrderReport, VenueStatus};
use crate::base::{InstrumentId, Kind, Nanos, Reason, Symbol};
use crate::execution::OrderState;
use mirror::Mirror;
use round::Round;
use search::Search;
use std::collections::{BTreeSet, VecDeque};

/// How long the truth may be out of reach before the river is told.
pub const FAILING_MAX: Nanos = Nanos::from_secs(30);
/// First and longest wait after a read that failed.
const RETRY: (Nanos, Nanos) = (Nanos::from_millis(250), Nanos::from_secs(4));
/// Wait before another round after one that did not end clean.
const AGAIN: Nanos = Nanos::from_secs(2);
/// The same where an order only has to be missing once more.
const AGAIN_SOON: Nanos = Nanos::from_millis(200);
/// Symbols whose open orders are asked for one by one; beyond it one list of all costs less weight
/// (40) and is one request.
const BY_SYMBOL_MAX: usize = 40;
/// An operator's verbs after which the truth is wanted: arm and clear.
const WANT_TRUTH: [u32; 2] = [4, 5];

/// See the head of this file.
#[derive(Debug)]
pub struct Reconciler {
    symbols: Vec<Symbol>,
    every: Nanos,
    mirror: Mirror,
    /// The account's stream is up: what happens is seen.
    is_up: bool,
    /// It is over with this session.
    retired: bool,
    /// When the next round begins; `None` for none wanted.
    due: Option<Nanos>,
    /// The round that is due has to be asked about every symbol there is.
    wide: bool,
    round: Option<Round>,
    rounds: u64,
    search: Search,
    /// An order's outcome was unknown since the last clean round.
    owes_round: bool,
    /// The question to be asked, and when; it leaves `asked` once it was handed out.
    next: Option<(Question, Nanos)>,
    asked: Option<Question>,
    failing_since: Option<Nanos>,
    failing_told: bool,
    wait: Nanos,
    /// Names of foreign orders seen once, and of those that the river was told of.
    seen_foreign: BTreeSet<String>,
    told_foreign: BTreeSet<String>,
    last_clean: Option<Nanos>,
    out: VecDeque<Event>,
}

impl Reconciler {
    /// For the session's symbols, in table order. `every_s` is the time between two rounds while
    /// all is quiet, in seconds; 0 for none.
    pub fn new(symbols: &[Symbol], every_s: u32) -> Self {
        Self {
            symbols: symbols.to_vec(),
            every: Nanos::from_secs(i64::from(every_s)),
            mirror: Mirror::new(symbols.len()),
            is_up: false,
            retired: false,
            due: None,
            wide: true,
            round: None,
            rounds: 0,
            search: Search::default(),
            owes_round: false,
            next: None,
            asked: None,
            failing_since: None,
            failing_told: false,
            wait: RETRY.0,
            seen_foreign: BTreeSet::new(),
            told_foreign: BTreeSet::new(),
            last_clean: None,
            out: VecDeque::new(),
        }
    }

    /// Hears a numbered input of the river.
    pub fn hear(&mut self, event: &Event) {
        let now = event.now();
        self.mirror.hear(event);
        let report: &OrderReport = event.body();
        let absent = report.reason == Reason::UnknownOrder as u16;
        match event.kind() {
            Some(Kind::OrderUnknown) => self.seek(report.client_id, now),
            Some(Kind::OrderCarried) => {
                let order: &OrderCarried = event.body();
                self.search.begin_carried(order.client_id, Nanos(order.ts_sent), now);
            }
            Some(Kind::CancelRejected) if absent => self.seek(report.client_id, now),
            Some(Kind::OrderRejected) if report.reason == Reason::ReduceOnlyRefused as u16 => {
                self.want(now);
            }
            Some(Kind::OrderFilled) if report.client_id == 0 => self.want(now),
            Some(Kind::VenueStatus) => {
                // While a thread stood still, nobody looked.
                let status: &VenueStatus = event.body();
                if status.reason == Reason::ThreadStalled as u16 {
                    self.drop_round();
                    self.want(now);
                }
            }
            Some(Kind::Command) => {
                let command: &Command = event.body();
                if WANT_TRUTH.contains(&command.verb) {
                    self.want(now);
                }
            }
            _ => {}
        }
    }

    fn seek(&mut self, client_id: u64, now: Nanos) {
        self.search.begin(client_id, now);
        self.owes_round = true;
    }

    /// Hears an order or cancel that leaves (`OrderApproved`, `CancelApproved`).
    pub fn hear_request(&mut self, request: &Event) {
        self.mirror.hear_request(request);
    }

    /// Nothing is asked and nothing concluded any more: another node may lead.
    pub fn retire(&mut self) {
        self.drop_round();
        self.retired = true;
    }

    /// The account's stream came up, was moved to another key, or is gone. Up, everything is looked
    /// at; down, nothing is concluded from what was read so far.
    pub fn on_stream(&mut self, up: bool, now: Nanos) {
        self.is_up = up;
        self.drop_round();
        if up {
            self.wide = true;
            self.want(now);
        }
    }

    /// A round is wanted: the present one, if there is one, does not count any more.
    pub fn want(&mut self, now: Nanos) {
        self.due = Some(self.due.map_or(now, |due| due.min(now)));
    }

    /// True while a round is wanted or under way, or an order's outcome is searched for.
    pub fn is_busy(&self) -> bool {
        self.due.is_some() || self.round.is_some() || !self.search.is_empty()
    }

    /// What the mirror holds of an instrument, for a page or a test: signed, 1e-8.
    pub fn position(&self, instrument: InstrumentId) -> Option<i64> {
        self.mirror.holding(instrument.index()).map(|holding| holding.qty)
    }

    /// The question to ask now; its end comes back by [`Reconciler::on_answer`], exactly once.
    pub fn question(&mut self, now: Nanos) -> Option<Question> {
        if self.asked.is_some() || !self.is_up || self.retired {
            return None;
        }
        self.drop_settled();
        if self.next.is_none() {
            self.plan(now);
        }
        let (question, at) = self.next?;
        if at > now {
            return None;
        }
        self.next = None;
        self.asked = Some(question);
        Some(question)
    }

    /// The question could not be handed over, or is over the budget: it is asked again. The truth
    /// is out of reach meanwhile, just as when a read fails.
    pub fn put_back(&mut self, question: Question, now: Nanos) {
        self.asked = None;
        self.next = Some((question, now + RETRY.0));
        self.note_failing(now);
    }

    /// The last look of a session, wanted until it has ended: whatever the stream does, everything
    /// is asked once more.
    pub fn look_last(&mut self, now: Nanos) {
        // What was begun before the end has nobody to ask for it any more.
        if !self.is_up || !self.is_busy() {
            self.on_stream(true, now);
        }
    }

    /// What the venue says; `None` for a read that failed, which says nothing.
    pub fn on_answer(&mut self, question: &Question, told: Option<&Told>, now: Nanos) {
        if self.asked.as_ref() != Some(question) {
            return;
        }
        self.asked = None;
        let Some(told) = told else { return self.on_failure(*question, now) };
        self.failing_since = None;
        self.failing_told = false;
        self.wait = RETRY.0;
        match self.round.take() {
            Some(round) => self.on_round_answer(round, question, told, now),
            None => self.on_found(question, told, now),
        }
    }

    /// The next event for the river.
    pub fn event(&mut self) -> Option<Event> {
        self.out.pop_front()
    }

    /// Decides what to ask next.
    fn plan(&mut self, now: Nanos) {
        if let Some(round) = &mut self.round {
            self.next = round.next().map(|question| (question, now));
            return;
        }
        if let Some(question) = self.search.next(&self.mirror, &self.symbols, now) {
            self.next = Some((question, now));
            return;
        }
        // The stream settled what was sought: whether it told everything is for a round to say, and
        // trading may be waiting for one.
        let is_owed = self.owes_round && self.search.is_empty();
        if self.search.wants_round() || is_owed {
            self.due.get_or_insert(now);
        }
        let quiet = self.every > Nanos::ZERO
            && self.last_clean.is_some_and(|clean| now - clean >= self.every);
        let due = self.due.is_some_and(|due| due <= now) || (quiet && self.due.is_none());
        if !due || self.mirror.in_flight(now) {
            return;
        }
        self.due = None;
        self.rounds += 1;
        let wide = std::mem::take(&mut self.wide) || self.symbols.len() > BY_SYMBOL_MAX;
        let mut round = Round::new(&self.symbols, &mut self.mirror, wide);
        self.next = round.next().map(|question| (question, now));
        self.round = Some(round);
    }

    fn on_failure(&mut self, question: Question, now: Nanos) {
        self.next = Some((question, now + self.wait));
        self.wait = Nanos((self.wait.0 * 2).min(RETRY.1.0));
        self.note_failing(now);
    }

    /// What was to be asked of an order whose outcome is known by now is asked no more.
    fn drop_settled(&mut self) {
        let (None, Some((question, _))) = (&self.round, &self.next) else { return };
        let (Question::Order { id, .. } | Question::AlgoOrder { id }) = *question else { return };
        if self.mirror.table.find(id).is_none_or(|order| order.state != OrderState::Unknown) {
            self.next = None;
            (self.failing_since, self.failing_told, self.wait) = (None, false, RETRY.0);
        }
    }

    fn note_failing(&mut self, now: Nanos) {
        let since = *self.failing_since.get_or_insert(now);
        if now - since >= FAILING_MAX && !std::mem::replace(&mut self.failing_told, true) {
            self.tell(InstrumentId::NONE, Reason::ReconcileFailed, VenueStatus::default());
        }
    }

    fn drop_round(&mut self) {
        if self.round.take().is_some() {
            self.due.get_or_insert(Nanos(i64::MIN));
        }
        self.next = None;
        // The answer to a question under way is heard and not used.
        self.asked = None;
    }

    fn tell(&mut self, instrument: InstrumentId, reason: Reason, body: VenueStatus) {
        let body = VenueStatus { reason: reason as u16, ..body };
        self.out.push_back(Event::new(Kind::VenueStatus, instrument, &body));
    }
}
