//! A symbol that an operator drops, and wakes again: the gate's side of it.

use super::watch::{listed, watching};
use super::*;
use crate::base::SymbolState;
use crate::base::event::{ContractStatus, SymbolChange};

impl Desk {
    /// An operator's change of the first instrument.
    fn changed(&mut self, state: SymbolState, flat: bool) {
        let body =
            SymbolChange { state: state as u8, flat: flat.into(), ..SymbolChange::default() };
        let event = Event::new(Kind::SymbolChange, BTC, &body);
        assert_eq!(self.watched(event), None, "it is no reason to reduce");
        // What falls asleep forgets its market.
        self.ledger.on_mark(BTC, px("100"), self.now);
        self.ledger.on_touch(BTC, px("99.9"), px("100.1"), self.now);
    }
}

#[test]
fn a_dropped_symbol_takes_no_entries_and_exits_pass_until_it_is_awake_again() {
    for state in [SymbolState::Leaving, SymbolState::Asleep] {
        let mut desk = watching(|_| ());
        desk.passes(&entry());
        desk.end_orders();
        desk.now = desk.now + Nanos::from_millis(10);
        desk.hold(BTC, Side::Buy, qty("2"), px("100"));
        desk.changed(state, false);
        assert!(desk.gate.is_dropped(BTC) && desk.gate.is_ending(BTC), "{state:?}");
        assert!(!desk.gate.is_dropped(ETH) && !desk.gate.is_ending(ETH), "{state:?}");
        assert!(!desk.gate.is_dropped(InstrumentId(2)), "not in the table");
        let Verdict::Denied(event) = desk.admit(&entry()) else { panic!("{state:?}") };
        let body: &Denied = event.body();
        let told = (Reason::from_u16(body.reason), body.value, body.limit);
        assert_eq!(told, (Some(Reason::SymbolDropped), 0, 0), "{state:?}");
        desk.passes(&exit());
        desk.passes(&Wanted { instrument: ETH, ..entry() });
        desk.changed(SymbolState::Awake, false);
        assert!(!desk.gate.is_dropped(BTC) && !desk.gate.is_ending(BTC), "{state:?}");
        desk.now = desk.now + Nanos::from_millis(10);
        desk.passes(&Wanted { px: px("99.8"), ..entry() });
    }
}

#[test]
fn only_a_symbol_that_is_dropped_flat_is_left_and_only_while_its_contract_trades() {
    let mut desk = watching(|_| ());
    let now = desk.now;
    desk.contract(listed());
    for (flat, left) in [(false, false), (true, true)] {
        desk.changed(SymbolState::Leaving, flat);
        assert_eq!(desk.gate.leaves(BTC, now), left);
    }
    desk.contract(ContractStatus { trading: 0, ..listed() });
    assert!(!desk.gate.leaves(BTC, now), "nobody takes its orders");
    desk.contract(listed());
    desk.changed(SymbolState::Awake, false);
    assert!(!desk.gate.leaves(BTC, now));
}
