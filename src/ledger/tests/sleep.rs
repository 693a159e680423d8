//! A symbol that falls asleep has no market, and what it is worth stays.

use super::*;
use crate::base::SymbolState;
use crate::base::event::SymbolChange;

#[test]
fn prices_are_withdrawn_where_a_symbol_falls_asleep_or_wakes_and_not_while_it_is_left() {
    for (state, withdrawn) in
        [(SymbolState::Asleep, true), (SymbolState::Awake, true), (SymbolState::Leaving, false)]
    {
        let mut ledger = Ledger::new(2, Money::whole(1_000));
        let bought = OrderReport {
            last_px: Px::whole(90).0,
            last_qty: Qty::whole(1).0,
            trade_id: 1,
            ..OrderReport::default()
        };
        ledger.on_event(&Event::new(Kind::OrderFilled, BTC, &bought));
        for id in [BTC, InstrumentId(1)] {
            ledger.on_touch(id, Px::whole(99), Px::whole(101), at(1));
            ledger.on_mark(id, Px::whole(100), at(1));
        }
        let body = SymbolChange { state: state as u8, ..SymbolChange::default() };
        ledger.on_event(&Event::new(Kind::SymbolChange, BTC, &body));
        let told = |id| {
            let position = ledger.position(id).unwrap();
            (position.bid, position.ask, position.mark_px, position.marked_at)
        };
        let known = (Px::whole(99), Px::whole(101), Px::whole(100), at(1));
        let none = (Px::ZERO, Px::ZERO, Px::ZERO, Nanos::ZERO);
        assert_eq!(told(BTC), if withdrawn { none } else { known }, "{state:?}");
        assert_eq!(told(InstrumentId(1)), known, "{state:?}: the other's");
        assert_eq!(ledger.position(BTC).unwrap().unrealised, Money::whole(10), "{state:?}");
    }
}
