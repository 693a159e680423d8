use crate::base::Money;
use crate::base::counters::{Counter, Counters};
use crate::observe::latency::HopTotals;
use crate::observe::snapshot::CounterValues;
use crate::observe::{Hop, Summary};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

fn summary() -> Summary {
    let counters = Counters::new();
    let values = [
        (Counter::Events, 5_000),
        (Counter::Predictions, 400),
        (Counter::Orders, 30),
        (Counter::Fills, 25),
        (Counter::Rejected, 2),
        (Counter::Dropped, 1),
    ];
    for (counter, value) in values {
        counters.add(counter, value);
    }
    let mut totals = HopTotals::new();
    totals.record_n(Hop::TickToOrder, 1_500, 30);
    Summary {
        counters: CounterValues::read(&counters),
        elapsed: Duration::from_millis(2_500),
        pnl: Money::parse("-1.25").unwrap(),
        journal: Some("state/journal/1".into()),
        latency: totals.view(),
        ledger_equal: Some(true),
        last_look: Some("clean"),
    }
}

#[test]
fn the_json_object_has_every_key_of_the_contract() {
    let json: serde_json::Value = serde_json::from_str(&summary().to_json()).unwrap();
    let expected = serde_json::json!({
        "events": 5_000, "events_per_second": 2_000.0, "decisions": 400, "orders": 30, "fills": 25,
        "rejected": 2, "dropped": 1, "pnl_quote": -1.25, "journal": "state/journal/1",
        "ledger_equal": true,
        "last_look": "clean",
        "latency_ns": {
            "tick_to_order": {
                "p50": 1_500, "p99": 1_500, "p999": 1_500, "p9999": 1_500, "max": 1_500,
                "count": 30
            }
        },
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&json[key], value, "{key}");
    }
    assert!(!summary().to_json().contains('\n'), "programs read the last line");
}

#[test]
fn the_table_tells_people_the_same() {
    let table = summary().table();
    for line in
        ["events       5000", "orders       30", "pnl (quote)  -1.25", "exchange ledger   equal"]
    {
        assert!(table.lines().any(|l| l == line), "no {line:?} in\n{table}");
    }
    assert!(table.contains("\ntick_to_order "), "{table}");
}

#[test]
fn an_empty_session_still_sums_up() {
    let odd = std::ffi::OsString::from_vec(vec![b'j', 0xff]);
    let empty = Summary {
        counters: CounterValues::default(),
        elapsed: Duration::ZERO,
        pnl: Money::ZERO,
        journal: Some(odd.into()),
        latency: HopTotals::new().view(),
        ledger_equal: None,
        last_look: None,
    };
    let json: serde_json::Value = serde_json::from_str(&empty.to_json()).unwrap();
    assert_eq!(json["events_per_second"], 0.0);
    assert_eq!(json["latency_ns"], serde_json::json!({}));
    let without = Summary { journal: None, ..empty };
    assert!(without.to_json().contains(r#""journal":null"#));
    assert!(without.table().contains("journal      none"));
    assert!(!without.to_json().contains("ledger_equal"), "nothing was compared");
}
