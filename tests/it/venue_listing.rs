//! A session is refused where the exchange lists another sort of contract than is traded, or
//! bounds prices and orders more than our own limits do.

use crate::trader_world::{World, error_of};
use peregrine::base::Rate;
use peregrine::exchange::{ExchangeServer, ServerSettings, SymbolSpec};

/// What a start says at an exchange whose BTCUSDT is listed like this.
fn refused(btc: SymbolSpec) -> String {
    let symbols = vec![btc, SymbolSpec::ethusdt()];
    let settings = ServerSettings { symbols, ..ServerSettings::default() };
    let world = World::at(ExchangeServer::start(settings).unwrap());
    let ended = world.start_quick("config/testnet.toml", &[]).end();
    let error = error_of(&ended);
    assert_ne!(ended.status.code(), Some(0), "{error}");
    assert!(!world.state().join("journal").exists(), "nothing was started: {error}");
    error
}

#[test]
fn a_contract_that_is_no_perpetual_is_refused_by_its_symbol_and_the_key_that_says_so() {
    let error = refused(SymbolSpec { sort: "TRADIFI_PERPETUAL", ..SymbolSpec::btcusdt() });
    assert!(error.contains("BTCUSDT: contractType is \"TRADIFI_PERPETUAL\""), "{error}");
}

#[test]
fn limits_of_ours_that_are_wider_than_the_venue_s_are_refused_by_their_keys() {
    // The shipped limits: 100 basis points from the mark price, 16 orders.
    let narrow = SymbolSpec { multiplier_down: Rate(99_010_000), ..SymbolSpec::btcusdt() };
    let error = refused(narrow);
    assert!(error.contains("BTCUSDT: risk.collar_mark_bps is 100"), "{error}");
    let few = SymbolSpec { orders_max: 15, ..SymbolSpec::btcusdt() };
    let error = refused(few);
    assert!(error.contains("BTCUSDT: risk.open_orders_max is 16"), "{error}");
}
