//! Parameters of requests, and batches of orders.
#![no_main]

use libfuzzer_sys::fuzz_target;
use peregrine::base::Nanos;
use peregrine::exchange::wire::http::Request;
use peregrine::exchange::wire::params::Params;
use peregrine::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|text: &str| {
    let (query, body) = text.split_once('\n').unwrap_or((text, ""));
    let params = Params::of(query, body);
    for (name, _) in params.iter() {
        let _ = (params.int(name), params.flag(name), params.decimal(name), params.time(name));
    }
    let mut exchange = Exchange::new(&ExchangeSettings {
        seed: 1,
        symbols: vec![SymbolSpec::btcusdt()],
        rate: 50.0,
        opened_at: Nanos::ZERO,
        accounts: Vec::new(),
    });
    for (method, path) in [("GET", "/fapi/v1/klines"), ("POST", "/fapi/v1/batchOrders")] {
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            body: body.as_bytes().to_vec(),
            api_key: String::new(),
        };
        let answer = exchange.http(&request, IpAddr::V4(Ipv4Addr::LOCALHOST), Nanos::ZERO);
        assert!(answer.status >= 200);
    }
});
