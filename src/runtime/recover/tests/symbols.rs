//! What operators made of symbols outlives the session.

use super::*;
use crate::base::event::SymbolChange;

const ETH: InstrumentId = InstrumentId(1);

fn change(state: SymbolState, actor: u32) -> SymbolChange {
    SymbolChange { state: state as u8, actor, ..SymbolChange::default() }
}

fn told(id: InstrumentId, change: SymbolChange) -> Event {
    Event::new(Kind::SymbolChange, id, &change)
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name.as_bytes()).unwrap()
}

#[test]
fn the_newest_change_by_a_person_is_carried_and_the_configuration_s_is_not() {
    let journals = Journals::new();
    let configured = change(SymbolState::Asleep, ACTOR_UNATTENDED);
    let left = change(SymbolState::Leaving, 1_000);
    let more = [told(ETH, configured), told(BTC, left), told(BTC, change(SymbolState::Awake, 0))];
    journals.write(1, &fresh(&more));
    let carried = journals.read().unwrap();
    assert_eq!(carried.symbols, [(symbol("BTCUSDT"), change(SymbolState::Awake, 0))]);
    // A person's word stands above the configuration's, which counts where nobody said anything.
    let of = |name: &str| carried.symbol_change(symbol(name), Some(configured));
    assert_eq!(of("BTCUSDT"), Some(change(SymbolState::Awake, 0)));
    assert_eq!(of("ETHUSDT"), Some(configured));
    assert_eq!(carried.symbol_change(symbol("ETHUSDT"), None), None);
}

#[test]
fn what_would_sleep_with_a_position_or_an_order_is_left_instead() {
    let journals = Journals::new();
    let asleep = change(SymbolState::Asleep, 1_000);
    let entry = [intent(7, 0, UNIT), told(BTC, asleep)];
    journals.write(1, &fresh(&entry));
    let carried = journals.read().unwrap();
    assert_eq!(carried.orders.len(), 1);
    let left = Some(SymbolChange { state: SymbolState::Leaving as u8, ..asleep });
    assert_eq!(carried.symbol_change(symbol("BTCUSDT"), None), left, "an order");
    let filled = fill(7, 0, UNIT, 100 * UNIT, 0, 1);
    journals.write(2, &fresh(&[intent(7, 0, UNIT), filled, told(BTC, asleep)]));
    let carried = journals.read().unwrap();
    assert!(carried.orders.is_empty());
    assert_eq!(carried.symbol_change(symbol("BTCUSDT"), None), left, "a position");
    // The same where the configuration sends to sleep what an earlier session holds.
    let fresh_carried = Carried { symbols: Vec::new(), ..carried };
    let configured = change(SymbolState::Asleep, ACTOR_UNATTENDED);
    let found = fresh_carried.symbol_change(symbol("BTCUSDT"), Some(configured));
    assert_eq!(found.map(|change| change.state), Some(SymbolState::Leaving as u8));
    let found = fresh_carried.symbol_change(symbol("ETHUSDT"), Some(configured));
    assert_eq!(found, Some(configured));
}
