//! What the gate remembers of each instrument beside the books: what its model says, what its fills
//! cost, what was decided last.

use super::limits::Limits;
use super::throttle::Entries;
use crate::base::event::{OrderReport, Prediction};
use crate::base::units::notional;
use crate::base::{Event, Money, Nanos, Px, Qty, Reason, Side};
use crate::ledger::Position;

/// Decisions in a minute below which their share of late ones says nothing.
const LATE_DECISIONS_MIN: u32 = 100;

/// See the head of this file; one per instrument.
#[derive(Clone, Debug)]
pub(super) struct Sense {
    model: ModelSense,
    /// What our fills cost more than the mark price, and what they were worth at it.
    slipped: i128,
    filled: i128,
    /// Place in the river of the decision that led to the last entry.
    pub(super) decided: Option<u64>,
    pub(super) entries: Entries,
}

/// What a model said lately.
#[derive(Clone, Copy, Debug, Default)]
struct ModelSense {
    /// Bits of the last answer.
    last: [u32; 3],
    /// The same answer so many times in a row.
    identical: u32,
    /// Answers of the window under way, and those to each side.
    answers: u32,
    up: u32,
    down: u32,
    /// The last full window was one-sided.
    one_sided: bool,
}

impl Sense {
    pub(super) fn new() -> Self {
        Self {
            model: ModelSense::default(),
            slipped: 0,
            filled: 0,
            decided: None,
            entries: Entries::new(),
        }
    }

    /// Judges a model's answer; `None` when it may lead to a decision without more. An answer that
    /// is no distribution is no decision; the others are, and make it reduce.
    pub(super) fn on_answer(&mut self, answer: &Prediction, limits: &Limits) -> Option<Reason> {
        let probability = answer.probability;
        let within = probability.iter().all(|p| (0.0..=1.0).contains(p));
        if !within || (probability.iter().sum::<f32>() - 1.0).abs() > 1e-3 {
            return Some(Reason::ModelOutput);
        }
        let model = &mut self.model;
        let bits = probability.map(f32::to_bits);
        model.identical = if bits == model.last { model.identical.saturating_add(1) } else { 1 };
        model.last = bits;
        model.answers += 1;
        model.up += u32::from(probability[2] > probability[0]);
        model.down += u32::from(probability[0] > probability[2]);
        if model.answers >= limits.one_sided_window {
            let most = u64::from(model.up.max(model.down)) * 100;
            let allowed = u64::from(model.answers) * u64::from(limits.one_sided_percent);
            model.one_sided = most > allowed;
            (model.answers, model.up, model.down) = (0, 0, 0);
        }
        self.suspicion(limits)
    }

    /// Why the model cannot be believed at the moment.
    pub(super) fn suspicion(&self, limits: &Limits) -> Option<Reason> {
        if self.model.identical >= limits.identical_predictions {
            Some(Reason::ModelConstant)
        } else if self.model.one_sided {
            Some(Reason::ModelOneSided)
        } else {
            None
        }
    }

    /// A fill of ours, compared with the mark price of its moment, or the mid without one.
    pub(super) fn on_fill(&mut self, event: &Event, position: &Position) {
        let body: &OrderReport = event.body();
        let mark = if position.mark_px.is_positive() { position.mark_px } else { position.mid() };
        let qty = Qty(body.last_qty);
        let paid = notional(qty, Px(body.last_px)).unwrap_or(Money::ZERO);
        let worth = notional(qty, mark).unwrap_or(Money::ZERO);
        if !worth.is_positive() {
            return;
        }
        let more = i128::from(paid.0) - i128::from(worth.0);
        self.slipped += if event.side() == Side::Buy { more } else { -more };
        self.filled += i128::from(worth.0);
    }

    /// What our fills of the session cost more than the mark price, in basis points rounded up;
    /// zero and below where they were as good or better.
    pub(super) fn slippage_bps(&self) -> i128 {
        let up = if self.slipped > 0 { self.filled - 1 } else { 0 };
        if self.filled > 0 { (self.slipped * 10_000 + up) / self.filled } else { 0 }
    }
}

/// How long an event was on its way, by the venue's clock and ours; zero where it cannot be told.
pub(super) fn lag(event: &Event) -> Nanos {
    let told = Nanos(event.ts_venue);
    if told > Nanos::ZERO { (event.now() - told).max(Nanos::ZERO) } else { Nanos::ZERO }
}

/// RC-17 over a minute: how many decisions were late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    since: Nanos,
    decisions: u32,
    late: u32,
}

impl Lateness {
    pub(super) const fn new() -> Self {
        Self { since: Nanos(i64::MIN), decisions: 0, late: 0 }
    }

    /// Counts a decision; true when too many of the minute are late.
    pub(super) fn on_decision(&mut self, now: Nanos, late: bool, percent: u32) -> bool {
        if now - self.since >= super::throttle::MINUTE {
            *self = Self { since: now, decisions: 0, late: 0 };
        }
        self.decisions = self.decisions.saturating_add(1);
        self.late = self.late.saturating_add(u32::from(late));
        let share = u64::from(self.late) * 100 > u64::from(self.decisions) * u64::from(percent);
        share && self.decisions >= LATE_DECISIONS_MIN
    }
}
