//! What a session missed of its account right before it died is found by the next one.

use super::plan::{Deed, Plan, fault};
use super::run::Run;
use peregrine::base::Nanos;
use serde_json::json;

/// Of all these tests.
const SEED: u64 = 11;

/// A plan in which the account's stream leaves out a part of what happens, until the process dies.
fn missing(from: i64, crash: i64, seldom: f64) -> Plan {
    let own = json!({"route": "private"});
    let times = json!({"target": own, "probability": seldom, "from": from, "until": crash});
    Plan {
        faults: vec![fault("drop", json!({}), times)],
        deeds: vec![(Nanos::from_millis(crash), Deed::Crash { lost: 0 })],
        ..Plan::calm()
    }
}

#[test]
fn fault_p01_fills_missed_right_before_a_crash_are_booked_once_and_the_ledgers_are_equal() {
    let mut fills = 0;
    for crash in (11_500..15_500).step_by(500) {
        for seldom in [0.3, 1.0] {
            let outcome = Run::new(SEED, missing(10_000, crash, seldom)).until_end();
            assert_eq!(outcome.broken, Vec::<String>::new(), "crash at {crash}, {seldom}");
            assert_eq!(outcome.sessions, 2);
            // Settled: orders, positions and money are those of the exchange, to the unit.
            assert!(outcome.settled.is_some(), "crash at {crash}: {:?}", outcome.ended);
            fills += outcome.fills;
        }
    }
    assert!(fills > 100, "it traded: {fills}");
}
