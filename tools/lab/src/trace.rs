//! A journal read for what may not be in it, by its records alone.

use anyhow::Result;
use peregrine::base::event::{Breaker, Event, Order, OrderReport, Position, StateChange, flags};
use peregrine::base::{Control, Kind, Nanos, Purpose};
use peregrine::journal::LaneReader;
use peregrine::risk::TradingState;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Orders written for the venue without having passed it.
    pub unapproved: u64,
    /// Entries approved while the trading state allows none.
    pub entries_while_stopped: u64,
    /// Instruments whose position is not what its fills come to.
    pub positions_off: u64,
    /// Times the trading state got worse than ACTIVE after it had been active.
    pub stops: u64,
    /// The worst trading state after the first ACTIVE.
    pub worst: &'static str,
    /// Controls that tripped, by name.
    pub tripped: BTreeSet<&'static str>,
    /// Times at which the model answered.
    pub answered_at: Vec<Nanos>,
}

impl Trace {
    /// Reads lanes 0 to 3 of a journal.
    ///
    /// # Errors
    /// Damage of a lane.
    pub fn read(dir: &Path) -> Result<Self> {
        let mut reader = Reader::default();
        let first = (0, Reader::input as fn(&mut Reader, &Event));
        let takes = [first, (1, Reader::model), (2, Reader::risk), (3, Reader::execution)];
        for (lane, take) in takes {
            for item in LaneReader::open(dir, lane)? {
                take(&mut reader, &item?.1);
            }
        }
        Ok(reader.end())
    }
}

/// What is known so far.
#[derive(Debug, Default)]
struct Reader {
    trace: Trace,
    /// What fills come to, and what the risk stage says is held, by instrument.
    filled: BTreeMap<u16, i128>,
    held: BTreeMap<u16, i128>,
    approved: BTreeSet<u64>,
    state: Option<u8>,
    was_active: bool,
    worst: u8,
}

impl Reader {
    fn input(&mut self, event: &Event) {
        if event.kind() == Some(Kind::OrderFilled) {
            let qty = i128::from(event.body::<OrderReport>().last_qty);
            let sign = if event.flags & flags::SELL == 0 { 1 } else { -1 };
            *self.filled.entry(event.instrument).or_default() += sign * qty;
        }
    }

    fn model(&mut self, event: &Event) {
        if event.kind() == Some(Kind::Prediction) {
            self.trace.answered_at.push(Nanos(event.ts_recv));
        }
    }

    fn risk(&mut self, event: &Event) {
        let active = TradingState::Active as u8;
        match event.kind() {
            Some(Kind::OrderApproved) => {
                let order = event.body::<Order>();
                self.approved.insert(order.client_id);
                let is_entry = order.purpose == Purpose::Entry as u8;
                let is_stopped = self.state != Some(active);
                self.trace.entries_while_stopped += u64::from(is_entry && is_stopped);
            }
            Some(Kind::Position) => {
                self.held.insert(event.instrument, event.body::<Position>().qty.into());
            }
            Some(Kind::StateChange) => {
                let state = event.body::<StateChange>().to;
                self.state = Some(state);
                self.trace.stops += u64::from(self.was_active && state > active);
                self.was_active |= state == active;
                self.worst = if self.was_active { self.worst.max(state) } else { self.worst };
            }
            Some(Kind::Breaker) if event.flags & flags::ON != 0 => {
                let number = event.body::<Breaker>().control;
                let control = Control::ALL.get(usize::from(number));
                self.trace.tripped.extend(control.map(|control| control.name()));
            }
            _ => {}
        }
    }

    fn execution(&mut self, event: &Event) {
        if event.kind() == Some(Kind::OrderIntent) {
            let id = event.body::<Order>().client_id;
            self.trace.unapproved += u64::from(!self.approved.contains(&id));
        }
    }

    fn end(self) -> Trace {
        let mut trace = self.trace;
        trace.worst = TradingState::from_u8(self.worst)
            .filter(|_| self.was_active)
            .map_or("never active", TradingState::name);
        let of = |map: &BTreeMap<u16, i128>, index: u16| map.get(&index).copied().unwrap_or(0);
        let indices: BTreeSet<u16> = self.filled.keys().chain(self.held.keys()).copied().collect();
        let is_off = |index: &&u16| of(&self.filled, **index) != of(&self.held, **index);
        trace.positions_off = indices.iter().filter(is_off).count() as u64;
        trace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peregrine::base::InstrumentId;

    const BTC: InstrumentId = InstrumentId(0);

    fn order(kind: Kind, client_id: u64, purpose: Purpose) -> Event {
        Event::new(kind, BTC, &Order { client_id, purpose: purpose as u8, ..Order::default() })
    }

    fn state(to: TradingState) -> Event {
        Event::new(Kind::StateChange, BTC, &StateChange { to: to as u8, ..StateChange::default() })
    }

    fn fill(side_bits: u8, last_qty: i64) -> Event {
        let report = OrderReport { last_qty, ..OrderReport::default() };
        Event::new(Kind::OrderFilled, BTC, &report).with_flags(side_bits)
    }

    fn held(qty: i64) -> Event {
        Event::new(Kind::Position, BTC, &Position { qty, ..Position::default() })
    }

    fn read(inputs: &[Event], risk: &[Event], execution: &[Event]) -> Trace {
        let mut reader = Reader::default();
        inputs.iter().for_each(|event| reader.input(event));
        risk.iter().for_each(|event| reader.risk(event));
        execution.iter().for_each(|event| reader.execution(event));
        reader.end()
    }

    #[test]
    fn an_order_written_without_having_passed_the_gate_is_found() {
        let approved = [state(TradingState::Active), order(Kind::OrderApproved, 1, Purpose::Entry)];
        let intent = |id| order(Kind::OrderIntent, id, Purpose::Entry);
        assert_eq!(read(&[], &approved, &[intent(1)]).unapproved, 0);
        assert_eq!(read(&[], &approved, &[intent(1), intent(2)]).unapproved, 1);
    }

    #[test]
    fn an_entry_is_found_in_every_state_but_active_and_an_exit_in_none() {
        for stopped in [TradingState::Reducing, TradingState::Halted, TradingState::Killed] {
            let entry = order(Kind::OrderApproved, 1, Purpose::Entry);
            let exit = order(Kind::OrderApproved, 2, Purpose::ExitStop);
            let lane = [state(TradingState::Active), entry, state(stopped), exit];
            let trace = read(&[], &lane, &[]);
            assert_eq!((trace.entries_while_stopped, trace.stops), (0, 1));
            assert_eq!(trace.worst, stopped.name());
            let trace = read(&[], &[lane.as_slice(), &[entry]].concat(), &[]);
            assert_eq!(trace.entries_while_stopped, 1, "{stopped:?}");
        }
        let early = read(&[], &[order(Kind::OrderApproved, 1, Purpose::Entry)], &[]);
        assert_eq!((early.entries_while_stopped, early.worst), (1, "never active"));
    }

    #[test]
    fn a_position_that_is_not_what_its_fills_come_to_is_found() {
        let fills = [fill(0, 5), fill(flags::SELL, 2)];
        assert_eq!(read(&fills, &[held(5), held(3)], &[]).positions_off, 0);
        assert_eq!(read(&fills, &[held(5), held(4)], &[]).positions_off, 1);
        assert_eq!(read(&fills, &[], &[]).positions_off, 1, "nobody knows of it");
        assert_eq!(read(&[], &[held(1)], &[]).positions_off, 1, "nothing was filled");
    }

    #[test]
    fn a_control_that_rises_is_named_and_one_that_falls_is_not() {
        let body = |control: Control| Breaker { control: control as u16, ..Breaker::default() };
        let up = Event::new(Kind::Breaker, BTC, &body(Control::DayLoss)).with_flags(flags::ON);
        let down = Event::new(Kind::Breaker, BTC, &body(Control::Drawdown));
        let tripped = read(&[], &[up, down], &[]).tripped;
        assert_eq!(tripped.into_iter().collect::<Vec<_>>(), ["day_loss"]);
    }
}
