//! Frames of the account's own stream, as the venue documents them and as others recorded them,
//! become reports on our orders and funding, to the last digit.

use crate::allocations::count;
use crate::pipeline_support::data_dir;
use peregrine::base::event::{Event, FundingPayment, Kind, OrderReport, flags};
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::units::parse_fixed;
use peregrine::base::{ClientOrderId, InstrumentId, Money, Nanos, Px, Qty, Rate, Reason, Symbol};
use peregrine::feed::{EventBatch, Feed};
use serde_json::{Value, json};

fn facts(symbol: &str) -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        tick_size: Px::parse("0.1").unwrap(),
        lot_size: Qty::parse("0.001").unwrap(),
        min_qty: Qty::parse("0.001").unwrap(),
        max_qty: Qty::whole(1_000),
        min_notional: Money::whole(5),
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    }
}

pub fn feed() -> Feed {
    Feed::new(&[facts("BTCUSDT"), facts("ETHUSDT")])
}

pub fn decode(feed: &mut Feed, frame: &[u8]) -> Vec<Event> {
    let mut out = EventBatch::new();
    feed.on_private(frame, Nanos(7), &mut out);
    out.iter().copied().collect()
}

pub fn only(feed: &mut Feed, frame: &Value) -> Event {
    let events = decode(feed, frame.to_string().as_bytes());
    assert_eq!(events.len(), 1, "{frame}");
    assert_eq!(events[0].ts_recv, 7);
    events[0]
}

const OURS: &str = "pg1-0000100000000001";

/// A fill as the venue words it, with members replaced.
pub fn update(changes: Value) -> Value {
    let mut order = json!({
        "s": "BTCUSDT", "c": OURS, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.020",
        "p": "61800.3", "ap": "61800.40", "sp": "0", "x": "TRADE", "X": "PARTIALLY_FILLED",
        "i": 8886774, "l": "0.005", "z": "0.012", "L": "61800.4", "N": "USDT", "n": "0.12345678",
        "T": 1568879465651_i64, "t": 12345678, "b": "0", "a": "0", "m": true, "R": true,
        "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": false, "rp": "0", "V": "NONE",
        "pm": "NONE", "gtd": 0, "er": "0"
    });
    for (key, value) in changes.as_object().unwrap() {
        if value.is_null() {
            order.as_object_mut().unwrap().remove(key);
        } else {
            order[key] = value.clone();
        }
    }
    json!({"e": "ORDER_TRADE_UPDATE", "E": 1568879465652_i64, "T": 1568879465651_i64, "o": order})
}

#[test]
fn a_fill_carries_the_venues_own_price_quantity_fee_and_trade_id() {
    let event = only(&mut feed(), &update(json!({})));
    assert_eq!(event.kind(), Some(Kind::OrderFilled));
    assert_eq!(event.instrument(), InstrumentId(0));
    assert!(event.has(flags::SELL | flags::MAKER | flags::REDUCE_ONLY));
    assert_eq!(event.ts_venue, 1_568_879_465_651_000_000);
    let report: &OrderReport = event.body();
    let expected = OrderReport {
        client_id: ClientOrderId::from_text(OURS.as_bytes()).unwrap().0,
        venue_id: 8_886_774,
        px: 6_180_030_000_000,
        qty: 2_000_000,
        last_px: 6_180_040_000_000,
        last_qty: 500_000,
        cum_qty: 1_200_000,
        fee: 12_345_678,
        trade_id: 12_345_678,
        ..OrderReport::default()
    };
    assert_eq!(*report, expected);
}

#[test]
fn fault_r21_a_market_order_s_fill_has_the_price_of_its_trade_though_the_order_has_none() {
    let market = json!({"o": "MARKET", "p": "0", "ap": "0"});
    let event = only(&mut feed(), &update(market));
    assert_eq!(event.kind(), Some(Kind::OrderFilled));
    let report: &OrderReport = event.body();
    assert_eq!((report.px, report.last_px, report.last_qty), (0, 6_180_040_000_000, 500_000));
}

#[test]
fn every_execution_type_becomes_its_report() {
    for (execution, status, kind) in [
        ("NEW", "NEW", Kind::OrderAccepted),
        ("AMENDMENT", "NEW", Kind::OrderAccepted),
        ("CANCELED", "CANCELED", Kind::OrderCancelled),
        ("EXPIRED", "EXPIRED", Kind::OrderExpired),
        ("EXPIRED", "EXPIRED_IN_MATCH", Kind::OrderExpired),
        ("REJECTED", "REJECTED", Kind::OrderRejected),
    ] {
        let frame = update(json!({"x": execution, "X": status, "l": "0", "L": "0", "t": 0}));
        let event = only(&mut feed(), &frame);
        assert_eq!(event.kind(), Some(kind), "{execution}");
        let report: &OrderReport = event.body();
        assert_eq!((report.cum_qty, report.last_qty, report.fee), (1_200_000, 0, 0));
        assert!(!event.has(flags::MAKER));
    }
}

#[test]
fn a_fee_in_another_asset_is_counted_and_never_booked_as_quote_currency() {
    let mut feed = feed();
    let event = only(&mut feed, &update(json!({"N": "BNB", "n": "0.00010000"})));
    assert_eq!(event.body::<OrderReport>().fee, 0);
    assert_eq!(feed.private_stats().fees_in_other_asset, 1);
    let event = only(&mut feed, &update(json!({"N": null, "n": null})));
    assert_eq!(event.body::<OrderReport>().fee, 0);
    let rebate = only(&mut feed, &update(json!({"n": "-0.00500000"})));
    assert_eq!(rebate.body::<OrderReport>().fee, -500_000);
    assert_eq!(feed.private_stats().fees_in_other_asset, 1);
}

#[test]
fn what_someone_else_does_to_the_account_is_counted_and_its_fills_are_not_lost() {
    let mut feed = feed();
    for id in ["TEST", "pg1-000010000000000", "pg1-000010000000000G", "web_abc"] {
        let frame = update(json!({"c": id, "x": "NEW", "X": "NEW", "l": "0"}));
        assert!(decode(&mut feed, frame.to_string().as_bytes()).is_empty(), "{id}");
    }
    let fill = only(&mut feed, &update(json!({"c": "web_1"})));
    assert_eq!(fill.kind(), Some(Kind::OrderFilled));
    assert_eq!(fill.body::<OrderReport>().client_id, 0, "the ledger stops trading on it");
    let elsewhere = only(&mut feed, &update(json!({"s": "SOLUSDT"})));
    assert_eq!(elsewhere.instrument(), InstrumentId::NONE);
    assert_eq!(feed.private_stats().foreign_reports, 6);
}

fn funding(changes: &[(&str, Value)]) -> Value {
    let mut frame = json!({
        "e": "ACCOUNT_UPDATE", "E": 1, "T": 1564745798938_i64,
        "a": {"m": "FUNDING_FEE", "S": "ETHUSDT", "P": [],
              "B": [{"a": "USDT", "wb": "100.5", "cw": "100.5", "bc": "-0.00012345"}]}
    });
    for (key, value) in changes {
        if value.is_null() {
            frame["a"].as_object_mut().unwrap().remove(*key);
        } else {
            frame["a"][*key] = value.clone();
        }
    }
    frame
}

#[test]
fn funding_is_the_venues_own_balance_change() {
    let mut feed = feed();
    let told = only(&mut feed, &funding(&[]));
    assert_eq!(told.kind(), Some(Kind::FundingPayment));
    assert_eq!(told.instrument(), InstrumentId(1));
    assert_eq!(told.ts_venue, 1_564_745_798_938_000_000);
    assert_eq!(told.body::<FundingPayment>().amount, -12_345);
    let position = json!([{"s": "ETHUSDT", "pa": "1", "ps": "BOTH"}]);
    let isolated = only(&mut feed, &funding(&[("S", Value::Null), ("P", position)]));
    assert_eq!(isolated.instrument(), InstrumentId(1));
    let bare = only(&mut feed, &funding(&[("S", Value::Null)]));
    assert_eq!(bare.instrument(), InstrumentId(0), "the sum must be right");
    assert_eq!(bare.body::<FundingPayment>().amount, -12_345);
    assert_eq!(feed.private_stats().funding_without_symbol, 1);
    for reason in ["ORDER", "DEPOSIT"] {
        let frame = funding(&[("m", json!(reason))]);
        assert!(decode(&mut feed, frame.to_string().as_bytes()).is_empty());
    }
    assert_eq!(feed.private_stats().balance_changes, 2);
}

#[test]
fn other_kinds_are_counted_and_broken_frames_are_malformed() {
    let mut feed = feed();
    for frame in [
        r#"{"e":"TRADE_LITE","E":1,"T":1,"s":"BTCUSDT","q":"1","p":"0","m":false,"c":"x","t":1}"#,
        r#"{"e":"ALGO_UPDATE","T":1,"E":1,"o":{"caid":"x"}}"#,
        r#"{"e":"CONDITIONAL_ORDER_TRIGGER_REJECT","E":1,"T":1,"or":{"s":"BTCUSDT","i":1}}"#,
        r#"{"e":"SOMETHING_NEW","E":1,"deep":[[[{}]]]}"#,
    ] {
        assert!(decode(&mut feed, frame.as_bytes()).is_empty(), "{frame}");
    }
    let stats = *feed.private_stats();
    assert_eq!((stats.frames, stats.ignored, stats.foreign_reports), (4, 3, 1));
    assert_eq!((stats.early_fills, stats.trigger_refusals), (1, 1));
    let expired = r#"{"e":"listenKeyExpired","E":1,"listenKey":"abc"}"#;
    assert!(decode(&mut feed, expired.as_bytes()).is_empty());
    assert_eq!(feed.private_stats().keys_expired, 1);
    let no_id = update(json!({"i": null})).to_string();
    let bad_number = update(json!({"l": "5e-3"})).to_string();
    let nothing = update(json!({"l": "0"})).to_string();
    for (frame, reason) in [
        ("[1]", Reason::FrameKeyMissing),
        ("{", Reason::FrameNotJson),
        (no_id.as_str(), Reason::FrameKeyMissing),
        (bad_number.as_str(), Reason::FrameNumber),
        (nothing.as_str(), Reason::FrameValue),
    ] {
        let events = decode(&mut feed, frame.as_bytes());
        assert_eq!(events.len(), 1, "{frame}");
        assert_eq!(events[0].kind(), Some(Kind::Malformed), "{frame}");
        let body: &peregrine::base::event::Malformed = events[0].body();
        assert_eq!(body.reason, reason as u16, "{frame}");
    }
}

#[test]
fn a_frame_that_cannot_be_read_is_counted_and_its_bytes_are_not_recorded() {
    let mut feed = feed();
    let frame = r#"{"stream":"the-listen-key","data":{"e":"ORDER_TRADE_UPDATE"}}"#;
    let events = decode(&mut feed, frame.as_bytes());
    assert_eq!(events.len(), 1);
    let body: &peregrine::base::event::Malformed = events[0].body();
    assert_eq!(body.head, [0; 72]);
    assert_eq!((body.frame_bytes as usize, body.frame_hash != 0), (frame.len(), true));
    assert_eq!(feed.private_stats().unreadable, 1);
}

#[test]
fn a_report_on_an_order_is_read_without_an_allocation() {
    let mut feed = feed();
    let frame = update(json!({})).to_string();
    let mut batch = EventBatch::new();
    let allocations = count(|| feed.on_private(frame.as_bytes(), Nanos(1), &mut batch));
    assert_eq!((batch.len(), allocations), (1, 0));
}

#[test]
fn documented_and_recorded_frames_are_all_understood() {
    let Some(dir) = data_dir() else { return };
    let documented = dir.join("docs-samples");
    let recorded = dir.join("nautilus/rust-adapter/user_data_json");
    let mut seen = 0;
    for (folder, prefix) in [(documented, "user-data-streams--Event-"), (recorded, "")] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            println!("{} is absent: nothing was checked", folder.display());
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            if !name.starts_with(prefix) || !name.ends_with(".json") {
                continue;
            }
            let bytes = std::fs::read(entry.path()).unwrap();
            let frame: Value = serde_json::from_slice(&bytes).unwrap();
            let mut feed = feed();
            let events = decode(&mut feed, &bytes);
            let malformed = events.iter().any(|e| e.kind() == Some(Kind::Malformed));
            assert!(!malformed, "{name}");
            check_recorded(&name, &frame, &events);
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} frames");
}

/// None of these orders is ours: only executions come through, without an id of ours.
fn check_recorded(name: &str, frame: &Value, events: &[Event]) {
    // What bears on trading comes through: one margin call, one change of the leverage of a
    // contract of ours, one of the multi-assets mode.
    if matches!(frame["e"].as_str(), Some("MARGIN_CALL" | "ACCOUNT_CONFIG_UPDATE")) {
        let kinds: Vec<_> = events.iter().map(Event::kind).collect();
        assert_eq!(kinds, [Some(Kind::VenueStatus)], "{name}");
        return;
    }
    let order = &frame["o"];
    let executed = frame["e"] == "ORDER_TRADE_UPDATE" && order["l"] != "0";
    // By an order of this kind of name the venue closes a position, and a status says so.
    let closed = order["c"].as_str().is_some_and(|name| name.contains("autoclose"));
    let expected = usize::from(executed) * (1 + usize::from(closed));
    assert_eq!(events.len(), expected, "{name}");
    if executed {
        let report: &OrderReport = events[0].body();
        let number =
            |key: &str| parse_fixed(order[key].as_str().unwrap_or("0").as_bytes()).unwrap();
        assert_eq!(events[0].kind(), Some(Kind::OrderFilled), "{name}");
        assert_eq!(report.client_id, 0, "{name}");
        assert_eq!((report.last_qty, report.last_px), (number("l"), number("L")), "{name}");
        assert_eq!((report.cum_qty, report.fee), (number("z"), number("n")), "{name}");
        assert_eq!(Some(report.trade_id), order["t"].as_u64(), "{name}");
        assert_eq!(events[0].has(flags::SELL), order["S"] == "SELL", "{name}");
    }
}
