//! Sessions whose difference from their backtest is known.

use super::{Set, rewritten, session, trader};
use crate::realism::attribution::{Attribution, PARTS, attribute};
use crate::realism::report;
use peregrine::base::event::{MarkPrice, OrderReport, flags};
use peregrine::base::settings::PaperSettings;
use peregrine::base::{Event, Kind};
use peregrine::journal::LaneReader;
use std::path::Path;
use toml::Value;

/// Profit of a journal by money alone, 1e-16: paid and got, fees, what is left at the last mark.
fn profit(dir: &Path) -> i128 {
    let (mut money, mut held, mut mark) = (0_i128, 0_i128, 0_i128);
    for item in LaneReader::open(dir, 0).expect("a lane") {
        let event = item.expect("a sound record").1;
        match event.kind() {
            Some(Kind::OrderFilled) => {
                let report: &OrderReport = event.body();
                let sells = event.flags & flags::SELL != 0;
                let signed = i128::from(report.last_qty) * if sells { -1 } else { 1 };
                money -= signed * i128::from(report.last_px);
                money -= i128::from(report.fee) * 100_000_000;
                held += signed;
            }
            Some(Kind::FundingPayment) => {
                let paid: &peregrine::base::event::FundingPayment = event.body();
                money += i128::from(paid.amount) * 100_000_000;
            }
            Some(Kind::MarkPrice) => mark = event.body::<MarkPrice>().mark_px.into(),
            _ => {}
        }
    }
    money + held * mark
}

fn part(found: &Attribution, name: &str) -> i128 {
    let place = PARTS.iter().position(|part| *part == name).expect("a part");
    found.parts()[place]
}

fn others(found: &Attribution, name: &str) -> Vec<i128> {
    let all = PARTS.iter().filter(|part| **part != name);
    all.map(|name| part(found, name)).collect()
}

fn paper(values: &[Set<'_>]) -> PaperSettings {
    trader(values).settings.paper
}

const MARKET: (u64, i64) = (5, 240);

#[test]
fn a_session_against_itself_differs_in_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let own = session(&dir.path().join("own"), &trader(&[]), MARKET);
    let found = attribute(&own, None).expect("an attribution");
    assert_eq!(found.parts(), [0; PARTS.len()]);
    assert_eq!(found.session, vec![profit(&own)]);
    assert_ne!(profit(&own), 0, "nothing was traded");
    let counts = found.counts;
    assert_eq!((counts.replay_differences, counts.signals_off), (0, 0));
    assert_eq!((counts.requests[0], counts.fills[0]), (counts.requests[1], counts.fills[1]));
}

#[test]
fn a_longer_way_of_orders_is_latency_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let far = ("paper", "order_latency_us", Value::Integer(150_000));
    let own = session(&dir.path().join("far"), &trader(&[far]), MARKET);
    let near = session(&dir.path().join("near"), &trader(&[]), MARKET);
    let found = attribute(&own, Some(paper(&[]))).expect("an attribution");
    // What the backtest has to come to is the same market with the nearer venue.
    assert_eq!(found.backtest, vec![profit(&near)]);
    assert_eq!(part(&found, "latency"), profit(&own) - profit(&near));
    assert_ne!(part(&found, "latency"), 0, "150 ms changed nothing");
    assert_eq!(others(&found, "latency"), [0; PARTS.len() - 1]);
    assert_eq!(found.counts.signals_off, 0);
}

#[test]
fn a_fee_that_is_not_the_configured_one_is_fees_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let own = session(&dir.path().join("own"), &trader(&[]), MARKET);
    // The venue takes a third more, and 7 units on top, of every fill.
    let dearer = |event: &Event| event.body::<OrderReport>().fee / 3 + 7;
    let charged = rewritten(&own, &dir.path().join("dearer"), &|lane, event| {
        if lane == 0 && event.kind() == Some(Kind::OrderFilled) {
            let mut report: OrderReport = *event.body();
            report.fee += dearer(event);
            let changed = Event::new(Kind::OrderFilled, event.instrument(), &report);
            event.body = changed.body;
        }
    });
    let mut more = 0_i128;
    for item in LaneReader::open(&own, 0).expect("a lane") {
        let event = item.expect("a sound record").1;
        if event.kind() == Some(Kind::OrderFilled) {
            more += i128::from(dearer(&event)) * 100_000_000;
        }
    }
    let found = attribute(&charged, None).expect("an attribution");
    assert!(more > 0, "nothing was filled");
    assert_eq!(part(&found, "fees"), -more);
    assert_eq!(others(&found, "fees"), [0; PARTS.len() - 1]);
    assert!(found.counts.replay_differences > 0, "its ledger no longer fits, and that is told");
}

#[test]
fn parts_sum_to_the_whole_in_money_whatever_differs() {
    let dir = tempfile::tempdir().expect("a folder");
    let values = [
        ("paper", "order_latency_us", Value::Integer(40_000)),
        ("paper", "queue", Value::String("probabilistic".to_owned())),
        ("paper", "impact_bps", Value::Float(0.7)),
        ("policy", "enter_as_maker", Value::Boolean(true)),
        ("policy", "entry_rest_ms_max", Value::Integer(4_000)),
    ];
    let own = session(&dir.path().join("own"), &trader(&values), MARKET);
    let other = session(&dir.path().join("other"), &trader(&values[3..]), MARKET);
    let found = attribute(&own, Some(paper(&[]))).expect("an attribution");
    assert_eq!(found.backtest, vec![profit(&other)]);
    let whole = profit(&own) - profit(&other);
    assert_eq!(found.parts().iter().sum::<i128>(), whole);
    assert_ne!(part(&found, "price"), 0, "the impact is a price");
    let out = dir.path().join("report");
    report::write(&found, "own", &out).expect("written");
    let text = std::fs::read_to_string(out.join(report::JSON_FILE)).expect("a file");
    let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let number = |value: &serde_json::Value| value.as_i64().expect("a whole number");
    let parts = told["parts"].as_object().expect("parts");
    let sum: i64 = parts.values().map(number).sum();
    assert_eq!(sum + number(&told["rounding"]), number(&told["difference"]));
    assert_eq!(number(&told["difference"]), i64::try_from(whole.div_euclid(100_000_000)).unwrap());
    let page = std::fs::read_to_string(out.join(report::REPORT_FILE)).expect("a file");
    assert!(PARTS.iter().all(|name| page.contains(&format!("| {name} |"))), "{page}");
}
