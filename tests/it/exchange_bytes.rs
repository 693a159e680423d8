//! Same seed and same requests, same bytes on every connection; another seed, other bytes.

use crate::exchange_sim::{Sim, resting, settings};
use peregrine::exchange::{ServerSettings, fault};
use std::io::Read;
use tungstenite::http::Method;

/// Everything that every connection of one session received.
fn session(seed: u64, faults: &str) -> Vec<Vec<u8>> {
    let faults = fault::script::parse(faults).unwrap();
    // Both sessions sign with the key of the first seed, so that requests are the same.
    let accounts = vec![account()];
    let mut sim = Sim::with(ServerSettings { seed, faults, accounts, ..settings() });
    let key = sim.listen_key();
    let paths = [
        "/public/stream?streams=btcusdt@bookTicker/btcusdt@depth@100ms/ethusdt@trade".to_owned(),
        "/market/stream?streams=btcusdt@aggTrade/ethusdt@markPrice@1s/btcusdt@kline_1m".to_owned(),
        format!("/private/ws?listenKey={key}"),
        "/ws-fapi/v1".to_owned(),
    ];
    let mut wires: Vec<_> = paths.iter().map(|path| sim.wire(path)).collect();
    let mut http = sim.http();
    let mut answers = Vec::new();
    let mut received = vec![Vec::new(); wires.len()];
    for round in 0..10 {
        sim.step(137);
        let client_id = format!("order-{round}");
        for (method, path, params) in [
            (Method::POST, "/fapi/v1/order", resting(&client_id)),
            (
                Method::POST,
                "/fapi/v1/order",
                "symbol=ETHUSDT&side=SELL&type=MARKET&quantity=0.100&newOrderRespType=RESULT"
                    .to_owned(),
            ),
            (
                Method::DELETE,
                "/fapi/v1/order",
                format!("symbol=BTCUSDT&origClientOrderId={client_id}"),
            ),
            (Method::GET, "/fapi/v3/account", String::new()),
        ] {
            let answer = sim.signed_on(&mut http, method.as_str(), path, &params);
            let answer = answer.map_or_else(|_| "gone".to_owned(), |a| a.head + &a.body);
            answers.extend(answer.into_bytes());
        }
        let params = "{\"symbol\":\"BTCUSDT\",\"limit\":5}";
        let ask = format!("{{\"id\":{round},\"method\":\"depth\",\"params\":{params}}}");
        wires[3].send(&ask);
        // A request on another connection is served behind this one.
        sim.step(1);
        for (wire, bytes) in wires.iter_mut().zip(&mut received) {
            wire.stream.set_nonblocking(true).unwrap();
            // Ends where nothing more has come.
            let _ = wire.stream.read_to_end(bytes);
            wire.stream.set_nonblocking(false).unwrap();
        }
    }
    received.push(answers);
    received
}

fn account() -> peregrine::exchange::account::AccountSettings {
    use peregrine::exchange::account::{AccountSettings, Credential};
    let (key, secret) = peregrine::exchange::server::default_key(7);
    let deposit = peregrine::base::Money::whole(10_000);
    AccountSettings { keys: vec![(key, Credential::Hmac(secret))], deposit, leverage: 20 }
}

const CHAOS: &str = "
[[fault]]
from = 10
kind = 'delay'
ms = 20
jitter_ms = 80
probability = 0.3
target = 'ws'
[[fault]]
from = 10
kind = 'drop'
probability = 0.1
[[fault]]
from = 10
kind = 'duplicate'
probability = 0.1
[[fault]]
from = 10
kind = 'reorder'
probability = 0.1
[[fault]]
from = 10
kind = 'fragment'
bytes = 13
probability = 0.1
target = 'ws'
[[fault]]
from = 10
kind = 'unknown_after_accept'
probability = 0.2
[[fault]]
from = 10
kind = 'unavailable'
probability = 0.1
";

#[test]
fn same_seed_and_same_requests_give_the_same_bytes_on_every_connection() {
    let (first, second, other) = (session(7, ""), session(7, ""), session(8, ""));
    assert!(first.iter().all(|bytes| bytes.len() > 500), "{:?}", lengths(&first));
    assert_eq!(lengths(&first), lengths(&second));
    assert!(first == second);
    for (bytes, others) in first.iter().zip(&other) {
        assert!(bytes != others, "another seed is another market");
    }
}

#[test]
fn faults_are_the_same_for_the_same_seed() {
    let (first, second, other) = (session(7, CHAOS), session(7, CHAOS), session(8, CHAOS));
    assert_eq!(lengths(&first), lengths(&second));
    assert!(first == second && first != other && first != session(7, ""));
}

fn lengths(received: &[Vec<u8>]) -> Vec<usize> {
    received.iter().map(Vec::len).collect()
}
