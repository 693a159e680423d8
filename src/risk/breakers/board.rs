//! Every control's levels, counts and records in one place.

use super::ladder::{Ladder, Rungs};
use crate::base::counters::ControlRow;
use crate::base::event::{self, Event, flags};
use crate::base::{Control, InstrumentId, Kind, Level, Nanos, Reason};
use xxhash_rust::xxh3::Xxh3Default;

/// One control.
#[derive(Clone, Debug)]
struct Place {
    rungs: Rungs,
    /// One for the account, or one for each instrument.
    ladders: Vec<Ladder>,
    /// How many ladders stand at each level.
    standing: [u32; 5],
    level: Level,
    reason: Reason,
    count: ControlRow,
}

/// A level that changed, to be recorded.
#[derive(Clone, Copy, Debug)]
struct Change {
    instrument: InstrumentId,
    body: event::Breaker,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Board {
    places: Vec<Place>,
    cool_down: Nanos,
    changes: Vec<Change>,
    demand: (Level, Reason),
}

impl Board {
    /// `rungs` gives each control's, and whether it is one for each of `instruments`.
    pub(super) fn new(
        instruments: usize,
        cool_down: Nanos,
        rungs: impl Fn(Control) -> (Rungs, bool),
    ) -> Self {
        let place = |control| {
            let (rungs, each) = rungs(control);
            let count = if each { instruments } else { 1 };
            Place {
                rungs,
                ladders: vec![Ladder::default(); count],
                standing: [u32::try_from(count).unwrap_or(u32::MAX), 0, 0, 0, 0],
                level: Level::Clear,
                reason: reason_of(control),
                count: ControlRow::default(),
            }
        };
        Self {
            places: Control::ALL.into_iter().map(place).collect(),
            cool_down,
            changes: Vec::with_capacity(Control::COUNT),
            demand: (Level::Clear, Reason::None),
        }
    }

    /// Judges a value of the account.
    pub(super) fn judge(&mut self, control: Control, value: i64, now: Nanos) {
        self.judge_at(control, InstrumentId::NONE, value, now);
    }

    /// Judges a value that its own cause says the reason of.
    pub(super) fn judge_for(&mut self, control: Control, reason: Reason, value: i64, now: Nanos) {
        self.places[control as usize].reason = reason;
        self.judge(control, value, now);
    }

    /// Judges a value of one instrument, or of the account (`NONE`).
    pub(super) fn judge_at(
        &mut self,
        control: Control,
        instrument: InstrumentId,
        value: i64,
        now: Nanos,
    ) {
        let place = &mut self.places[control as usize];
        place.count.evaluated += 1;
        place.count.near += u64::from(place.rungs.nears(value));
        self.look(control, instrument, value, now);
    }

    /// Takes in that what a control told of is over; no evaluation.
    pub(super) fn calm(&mut self, control: Control, now: Nanos) {
        if self.places[control as usize].level != Level::Clear {
            self.look(control, InstrumentId::NONE, 0, now);
        }
    }

    /// Nothing that an instrument's own ladder tells of is so any more; it comes down at once.
    pub(super) fn clear_at(&mut self, control: Control, instrument: InstrumentId, now: Nanos) {
        self.look_within(control, instrument, 0, now, Nanos::ZERO);
    }

    fn look(&mut self, control: Control, instrument: InstrumentId, value: i64, now: Nanos) {
        self.look_within(control, instrument, value, now, self.cool_down);
    }

    fn look_within(
        &mut self,
        control: Control,
        instrument: InstrumentId,
        value: i64,
        now: Nanos,
        cool_down: Nanos,
    ) {
        let place = &mut self.places[control as usize];
        let at = if instrument == InstrumentId::NONE { 0 } else { instrument.index() };
        let Some(ladder) = place.ladders.get_mut(at) else { return };
        let before = ladder.level;
        if !ladder.judge(&place.rungs, value, now, cool_down) {
            return;
        }
        let after = ladder.level;
        place.standing[before as usize] -= 1;
        place.standing[after as usize] += 1;
        place.count.tripped += u64::from(after > before);
        let highest = [Level::Kill, Level::Halt, Level::Reduce, Level::Warn];
        let highest = highest.into_iter().find(|&level| place.standing[level as usize] > 0);
        let (from, to) = (place.level, highest.unwrap_or(Level::Clear));
        if from != to {
            place.level = to;
            let body = event::Breaker {
                control: control as u16,
                from: from as u8,
                to: to as u8,
                reason: place.reason as u16,
                value,
                limit: place.rungs.limit(from.max(to)),
                evaluated: place.count.evaluated,
                near: place.count.near,
                tripped: place.count.tripped,
                ..event::Breaker::default()
            };
            self.changes.push(Change { instrument, body });
            self.demand = self.highest();
        }
    }

    fn highest(&self) -> (Level, Reason) {
        let mut demand = (Level::Clear, Reason::None);
        for place in &self.places {
            if place.level > demand.0 {
                demand = (place.level, place.reason);
            }
        }
        demand
    }

    /// The highest level there is, and the first control's reason for it.
    pub(super) const fn demand(&self) -> (Level, Reason) {
        self.demand
    }

    /// Level of one control.
    pub(super) fn level(&self, control: Control) -> Level {
        self.places[control as usize].level
    }

    /// Counts of one control.
    pub(super) fn count(&self, control: Control) -> ControlRow {
        self.places[control as usize].count
    }

    /// True while there are records to take.
    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// The next record of a level that changed; `cause` is the event at which it is told.
    pub(super) fn take_change(&mut self, cause: &Event) -> Option<Event> {
        if self.changes.is_empty() {
            return None;
        }
        let Change { instrument, body } = self.changes.remove(0);
        let bits = if body.to > body.from { flags::ON } else { 0 };
        Some(Event::caused_by(cause, Kind::Breaker, instrument, &body).with_flags(bits))
    }

    /// Fingerprint of every limit: nothing that runs may change it (RC-36).
    pub(super) fn limits_hash(&self) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = Xxh3Default::new();
        for place in &self.places {
            place.rungs.hash(&mut hasher);
        }
        self.cool_down.hash(&mut hasher);
        hasher.finish()
    }
}

const fn reason_of(control: Control) -> Reason {
    match control {
        Control::DayLoss | Control::DayLossAmount => Reason::DailyLoss,
        Control::Drawdown => Reason::Drawdown,
        Control::LossesInARow => Reason::ConsecutiveLosses,
        Control::Slippage => Reason::FillSlippage,
        Control::Fee => Reason::FillFee,
        Control::LedgerFault => Reason::InvariantBroken,
        Control::OrderBalance => Reason::OrdersUnbalanced,
        Control::UnknownOrders => Reason::OrderOutcomeUnknown,
        Control::RejectsInARow => Reason::RejectsInARow,
        Control::RejectRate => Reason::RejectRate,
        Control::Staleness => Reason::FeedStale,
        Control::Spread => Reason::SpreadWide,
        Control::Range => Reason::RangeWide,
        Control::Jump => Reason::PriceJump,
        Control::TickToGate | Control::TickToGateP95 => Reason::TickToGateSlow,
        Control::SendToAck | Control::SendToAckP95 => Reason::SendToAckSlow,
        Control::RingDepth => Reason::RingDeep,
        Control::Disk => Reason::DiskShort,
        Control::Memory => Reason::MemoryHigh,
        Control::Files => Reason::FilesHigh,
        Control::CoreStall => Reason::CoreStalled,
        Control::InvalidOutputs => Reason::OutputsInvalid,
        Control::StateSeal => Reason::StateCorrupt,
    }
}
