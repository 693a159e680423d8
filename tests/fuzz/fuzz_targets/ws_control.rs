//! Control messages and trading requests of WebSocket connections.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::base::Nanos;
use peregrine::exchange::wire::route::{Route, Target};
use peregrine::exchange::wire::streams::ConnId;
use peregrine::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|text: &str| {
    let mut exchange = Exchange::new(&ExchangeSettings {
        seed: 1,
        symbols: vec![SymbolSpec::btcusdt()],
        rate: 50.0,
        opened_at: Nanos::ZERO,
        accounts: Vec::new(),
    });
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let paths = [
        ("/public/ws", Route::Public),
        ("/private/ws", Route::Private),
        ("/ws-fapi/v1", Route::Api),
    ];
    for (number, (path, route)) in paths.into_iter().enumerate() {
        let conn = ConnId(number as u64);
        let target = Target::parse(path).expect("a stream path");
        exchange.open(conn, &target, Nanos::ZERO);
        exchange.message(conn, route, text, peer, Nanos::ZERO);
    }
    let _ = Target::parse(text);
    for delivery in exchange.take_deliveries() {
        assert!(!delivery.text.as_str().is_empty());
    }
});
