//! The rounds of a kill: what is asked of the venue, what counts as empty, when help is called for.
//! Knows no clock and no socket: time and answers are handed in.
//!
//! ```text
//!  a round   cancel everything of each contract, then by number what a round before had left
//!            ─► all answered ─► what is open? what waits? what is held? ─► KillRound
//!  empty     twice in a row, asked while no entry of ours was under way
//! ```

use crate::base::event::KillRound;
use crate::base::settings::KillSettings;
use crate::base::{Reason, Symbol};
use crate::execution::reconcile::{Question, Told, VenueOrder};
use crate::risk::Verb;
use crate::venue::job::CANCELS_MAX;
use crate::venue::ports::RestPort;
use crate::venue::rest::{RestAnswer, RestJob, RestReply};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Times in a row that nothing may be there before a kill counts as done.
const EMPTY_ROUNDS: u32 = 2;
/// Rounds that follow each other at once; the later ones are paced by what they cost.
const QUICK_ROUNDS: u32 = 4;
/// Wait between quick rounds, and least wait between the others.
const PAUSE: Duration = Duration::from_millis(100);
/// Wait per unit of request weight: half of the venue's 2400 a minute.
const PAUSE_PER_WEIGHT: Duration = Duration::from_millis(50);
/// Contracts up to which each is asked about by itself: asking about all costs forty.
const SINGLE_MAX: usize = 20;

/// What a round found; `None` is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Plain orders open on the session's contracts: whose, and the venue's number.
    pub orders: Option<Vec<(Symbol, u64)>>,
    /// Numbers of conditional orders that could open a position.
    pub algo_entries: Option<Vec<u64>>,
    /// Conditional orders that can only close one.
    pub stops: Option<u32>,
    /// Contracts with a position.
    pub positions: Option<u32>,
}

impl Found {
    const fn nothing() -> Self {
        Self {
            orders: Some(Vec::new()),
            algo_entries: Some(Vec::new()),
            stops: Some(0),
            positions: Some(0),
        }
    }

    const fn unknown() -> Self {
        Self { orders: None, algo_entries: None, stops: None, positions: None }
    }

    /// True when everything that has to be gone is known to be gone.
    fn is_empty(&self, flattens: bool) -> bool {
        let none = |count: Option<u32>| count == Some(0);
        let orders = self.orders.as_ref().is_some_and(Vec::is_empty);
        let entries = self.algo_entries.as_ref().is_some_and(Vec::is_empty);
        orders && entries && (!flattens || none(self.stops) && none(self.positions))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Pause,
    Cancelling,
    Looking,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Rounds {
    settings: KillSettings,
    symbols: Vec<Symbol>,
    flattens: bool,
    began: Instant,
    step: Step,
    due: Instant,
    /// Requests without an answer yet.
    waits: usize,
    /// What this round asks for: one by one, as the port takes them.
    wanted: VecDeque<RestJob>,
    /// What this round is finding.
    finding: Found,
    /// What the last whole round found.
    found: Found,
    round: u32,
    empty: u32,
    paged: bool,
    stuck: bool,
    records: VecDeque<KillRound>,
}

impl Rounds {
    /// Begins at `now`; `flattens` where positions are to be closed.
    pub fn new(settings: KillSettings, symbols: &[Symbol], flattens: bool, now: Instant) -> Self {
        Self {
            settings,
            symbols: symbols.to_vec(),
            flattens,
            began: now,
            step: Step::Pause,
            due: now,
            waits: 0,
            wanted: VecDeque::new(),
            finding: Found::unknown(),
            found: Found::unknown(),
            round: 0,
            empty: 0,
            paged: false,
            stuck: false,
            records: VecDeque::new(),
        }
    }

    /// An immediate kill on top of a graceful one: positions are to be closed too.
    pub fn flatten(&mut self) {
        if !self.flattens {
            self.flattens = true;
            self.empty = 0;
        }
    }

    /// True once nothing has been there twice in a row.
    pub const fn is_done(&self) -> bool {
        self.empty >= EMPTY_ROUNDS
    }

    /// The next record for the river.
    pub fn record(&mut self) -> Option<KillRound> {
        self.records.pop_front()
    }

    /// One look: asks, takes answers, calls for help. `under_way` while an entry of ours may still
    /// arrive at the venue. Never waits.
    pub fn turn(&mut self, now: Instant, under_way: bool, rest: &mut impl RestPort) {
        while let Some(answer) = rest.answer() {
            self.waits = self.waits.saturating_sub(1);
            self.take(answer);
        }
        if self.is_done() {
            return;
        }
        if self.step == Step::Pause && now >= self.due {
            self.begin_round();
        }
        while let Some(&job) = self.wanted.front()
            && rest.ask(job)
        {
            self.wanted.pop_front();
            self.waits += 1;
        }
        if self.wanted.is_empty() && self.waits == 0 {
            match self.step {
                Step::Cancelling => self.begin_look(),
                Step::Looking => {
                    let found = std::mem::replace(&mut self.finding, Found::unknown());
                    self.judge(found, under_way, now);
                }
                Step::Pause => {}
            }
        }
        self.call_for_help(now);
    }

    /// A look that costs nothing: the books of a venue inside of this process.
    pub fn look(&mut self, now: Instant, under_way: bool, found: impl FnOnce() -> Found) {
        if !self.is_done() && now >= self.due {
            self.round += 1;
            self.judge(found(), under_way, now);
        }
        self.call_for_help(now);
    }

    fn begin_round(&mut self) {
        self.round += 1;
        self.step = Step::Cancelling;
        let cancel = |&symbol: &Symbol| RestJob::CancelAll { symbol };
        self.wanted.extend(self.symbols.iter().map(cancel));
        for symbol in &self.symbols {
            let left = self.found.orders.iter().flatten();
            let left: Vec<u64> =
                left.filter(|(of, _)| of == symbol).map(|(_, order)| *order).collect();
            for some in left.chunks(CANCELS_MAX) {
                let mut orders = [0; CANCELS_MAX];
                orders[..some.len()].copy_from_slice(some);
                self.wanted.push_back(RestJob::CancelBatch { symbol: *symbol, orders });
            }
        }
        let entries = self.found.algo_entries.iter().flatten();
        self.wanted.extend(entries.map(|&order| RestJob::CancelAlgo { order }));
        // A stop protects until there is nothing to protect.
        let flat = self.flattens && self.found.positions == Some(0);
        if flat && self.found.stops != Some(0) {
            let cancel = |&symbol: &Symbol| RestJob::CancelAllAlgo { symbol };
            self.wanted.extend(self.symbols.iter().map(cancel));
        }
    }

    fn begin_look(&mut self) {
        self.step = Step::Looking;
        self.finding = Found::nothing();
        let about: Vec<Option<Symbol>> = if self.symbols.len() <= SINGLE_MAX {
            self.symbols.iter().copied().map(Some).collect()
        } else {
            vec![None]
        };
        for symbol in about {
            self.wanted.push_back(RestJob::Ask(Question::OpenOrders { symbol }));
            self.wanted.push_back(RestJob::Ask(Question::OpenAlgoOrders { symbol }));
        }
        self.wanted.push_back(RestJob::Ask(Question::Positions));
    }

    fn take(&mut self, RestAnswer { job, reply, .. }: RestAnswer) {
        let told = match reply {
            Ok(RestReply::Told(told)) => Some(told),
            Ok(_) => None,
            Err(failure) => {
                tracing::error!(%failure, "kill");
                None
            }
        };
        match (job, told) {
            (RestJob::Ask(Question::OpenOrders { .. }), Some(Told::Orders(open))) => {
                let open = open.iter().filter(|order| self.symbols.contains(&order.symbol));
                let open = open.map(|order| (order.symbol, order.venue_id));
                if let Some(orders) = &mut self.finding.orders {
                    orders.extend(open);
                }
            }
            (RestJob::Ask(Question::OpenAlgoOrders { .. }), Some(Told::Orders(open))) => {
                let own = open.iter().filter(|order| self.symbols.contains(&order.symbol));
                let (stops, entries): (Vec<&VenueOrder>, _) = own.partition(|o| o.reduce_only);
                if let Some(known) = &mut self.finding.algo_entries {
                    known.extend(entries.iter().map(|order| order.venue_id));
                }
                let count = u32::try_from(stops.len()).unwrap_or(u32::MAX);
                self.finding.stops = self.finding.stops.map(|known| known.saturating_add(count));
            }
            (RestJob::Ask(Question::Positions), Some(Told::Positions(held))) => {
                let own = held.iter().filter(|held| self.symbols.contains(&held.symbol));
                self.finding.positions = Some(u32::try_from(own.count()).unwrap_or(u32::MAX));
            }
            // What was not answered is not known, and not known is not gone.
            (RestJob::Ask(Question::OpenOrders { .. }), _) => self.finding.orders = None,
            (RestJob::Ask(Question::OpenAlgoOrders { .. }), _) => {
                (self.finding.algo_entries, self.finding.stops) = (None, None);
            }
            (RestJob::Ask(Question::Positions), _) => self.finding.positions = None,
            _ => {}
        }
    }

    fn judge(&mut self, found: Found, under_way: bool, now: Instant) {
        self.step = Step::Pause;
        self.found = found;
        let empty = self.found.is_empty(self.flattens) && !under_way;
        self.empty = if empty { self.empty + 1 } else { 0 };
        let quick = self.round < QUICK_ROUNDS || empty;
        self.due = now + if quick { PAUSE } else { self.cost().max(PAUSE) };
        let reason = if self.is_done() { Reason::KillEmpty } else { Reason::None };
        self.tell(reason, now);
    }

    fn cost(&self) -> Duration {
        let count = u32::try_from(self.symbols.len()).unwrap_or(u32::MAX);
        let asked = if self.symbols.len() <= SINGLE_MAX { count * 2 } else { 80 };
        PAUSE_PER_WEIGHT * count.saturating_add(asked + 5)
    }

    fn call_for_help(&mut self, now: Instant) {
        if self.is_done() {
            return;
        }
        let after = |ms: u32| now >= self.began + Duration::from_millis(ms.into());
        let (late, stuck) =
            (after(self.settings.page_after_ms), after(self.settings.stuck_after_ms));
        if late && !std::mem::replace(&mut self.paged, true) {
            tracing::error!("kill: the venue is not empty in time");
            self.tell(Reason::KillNotEmpty, now);
        }
        if stuck && !std::mem::replace(&mut self.stuck, true) {
            tracing::error!("kill: the venue is still not empty");
            self.tell(Reason::KillStuck, now);
        }
    }

    fn tell(&mut self, reason: Reason, now: Instant) {
        let count = |known: Option<usize>| {
            known.map_or(u32::MAX, |count| u32::try_from(count).unwrap_or(u32::MAX - 1))
        };
        let elapsed = now.saturating_duration_since(self.began).as_millis();
        let verb = if self.flattens { Verb::KillImmediate } else { Verb::KillGraceful };
        let body = KillRound {
            round: self.round,
            orders: count(self.found.orders.as_ref().map(Vec::len)),
            algo_entries: count(self.found.algo_entries.as_ref().map(Vec::len)),
            stops: self.found.stops.unwrap_or(u32::MAX),
            positions: self.found.positions.unwrap_or(u32::MAX),
            empty: self.empty,
            elapsed_ms: u64::try_from(elapsed).unwrap_or(u64::MAX),
            mode: verb as u32,
            reason: reason as u16,
            ..KillRound::default()
        };
        self.records.push_back(body);
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
