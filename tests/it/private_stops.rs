//! What the account's own stream tells of our protective stops, and of what the venue does to our
//! account, becomes reports and statuses.

use crate::private_stream::{decode, feed, only, update};
use peregrine::base::event::{Event, Kind, OrderReport, VenueStatus, flags};
use peregrine::base::{ClientOrderId, InstrumentId, Reason};
use serde_json::{Value, json};

const STOP: &str = "pg1-0000100000000002";

fn stop_id() -> u64 {
    ClientOrderId::from_text(STOP.as_bytes()).unwrap().0
}

/// An update on a stop as the venue documents it, with members replaced.
fn algo(changes: Value) -> Value {
    let mut order = json!({
        "caid": STOP, "aid": 2148719, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "ETHUSDT",
        "S": "SELL", "ps": "BOTH", "f": "GTC", "q": "0", "X": "NEW", "ai": "", "ap": "0.00000",
        "aq": "0.00000", "act": "0", "tp": "2450.5", "p": "0", "V": "EXPIRE_MAKER",
        "wt": "MARK_PRICE", "pm": "NONE", "cp": true, "pP": false, "R": false, "tt": 0, "gtd": 0
    });
    for (key, value) in changes.as_object().unwrap() {
        order[key] = value.clone();
    }
    json!({"e": "ALGO_UPDATE", "T": 1750515742297_i64, "E": 1750515742303_i64, "o": order})
}

fn reason(event: &Event) -> Reason {
    let number = match event.kind() {
        Some(Kind::VenueStatus) => event.body::<VenueStatus>().reason,
        _ => event.body::<OrderReport>().reason,
    };
    Reason::from_u16(number).unwrap()
}

#[test]
fn every_status_of_a_stop_becomes_its_report() {
    for (changes, kind, why) in [
        (json!({"X": "NEW"}), Kind::OrderAccepted, Reason::None),
        (json!({"X": "CANCELED"}), Kind::OrderCancelled, Reason::None),
        (
            json!({"X": "CANCELED", "rm": "Reduce Only reject"}),
            Kind::OrderCancelled,
            Reason::ReduceOnlyRefused,
        ),
        (json!({"X": "EXPIRED"}), Kind::OrderExpired, Reason::None),
        (json!({"X": "REJECTED", "rm": "something"}), Kind::OrderRejected, Reason::VenueRejected),
        (
            json!({"X": "REJECTED", "rm": "Order would immediately trigger."}),
            Kind::OrderRejected,
            Reason::WouldTrigger,
        ),
        (json!({"X": "TRIGGERING"}), Kind::VenueStatus, Reason::StopTriggered),
        (json!({"X": "TRIGGERED", "ai": "77"}), Kind::OrderAccepted, Reason::StopTriggered),
        (json!({"X": "FINISHED", "ai": "77"}), Kind::OrderExpired, Reason::StopTriggered),
    ] {
        let event = only(&mut feed(), &algo(changes.clone()));
        assert_eq!((event.kind(), reason(&event)), (Some(kind), why), "{changes}");
        assert_eq!(event.instrument(), InstrumentId(1));
        assert_eq!(event.ts_venue, 1_750_515_742_297_000_000);
        if kind != Kind::VenueStatus {
            let report: &OrderReport = event.body();
            assert!(event.has(flags::SELL | flags::REDUCE_ONLY));
            assert_eq!((report.client_id, report.px), (stop_id(), 245_050_000_000));
            assert_eq!((report.qty, report.cum_qty), (0, 0), "a stop has no quantity of its own");
        }
    }
}

#[test]
fn a_stop_that_has_ended_tells_what_it_closed() {
    let event = only(&mut feed(), &algo(json!({"X": "FINISHED", "ai": "77", "aq": "1.5"})));
    let report: &OrderReport = event.body();
    assert_eq!((event.kind(), report.venue_id), (Some(Kind::OrderAccepted), 77));
    assert_eq!((report.qty, report.cum_qty), (150_000_000, 150_000_000));
}

fn became(changes: Value) -> Value {
    let mut all = json!({
        "s": "ETHUSDT", "o": "MARKET", "ot": "STOP_MARKET", "cp": true, "i": 77, "c": "x-77"
    });
    for (key, value) in changes.as_object().unwrap() {
        all[key] = value.clone();
    }
    update(all)
}

#[test]
fn the_order_a_stop_became_is_ours_by_name_by_number_or_while_it_triggers() {
    // It kept the name.
    let kept = only(&mut feed(), &became(json!({"c": STOP})));
    assert_eq!(kept.body::<OrderReport>().client_id, stop_id());
    // It has another name, and the number was told first.
    let mut told = feed();
    only(&mut told, &algo(json!({"X": "TRIGGERED", "ai": "77"})));
    let fill = only(&mut told, &became(json!({"cp": false})));
    assert_eq!(fill.body::<OrderReport>().client_id, stop_id());
    // Another name, and the number comes last.
    let mut early = feed();
    only(&mut early, &algo(json!({"X": "TRIGGERING"})));
    for trade in [1, 2] {
        let fill = only(&mut early, &became(json!({"t": trade})));
        assert_eq!((fill.kind(), reason(&fill)), (Some(Kind::OrderFilled), Reason::None));
        assert_eq!(fill.body::<OrderReport>().client_id, stop_id());
    }
    only(&mut early, &algo(json!({"X": "TRIGGERED", "ai": "77"})));
    assert_eq!(early.private_stats().foreign_reports, 0);
}

#[test]
fn an_order_of_someone_else_is_not_taken_for_our_stop() {
    let mut feed = feed();
    only(&mut feed, &algo(json!({"X": "TRIGGERING"})));
    for foreign in [json!({"cp": false}), json!({"s": "BTCUSDT"}), json!({"c": "autoclose-1"})] {
        let events = decode(&mut feed, became(foreign.clone()).to_string().as_bytes());
        assert_eq!(events[0].body::<OrderReport>().client_id, 0, "{foreign}");
    }
    only(&mut feed, &algo(json!({"X": "TRIGGERED", "ai": "77"})));
    let other = only(&mut feed, &became(json!({"i": 78})));
    assert_eq!(other.body::<OrderReport>().client_id, 0);
    let stranger = algo(json!({"caid": "Q5xaq5EGKgXXa0fD7fs0Ip"}));
    assert!(decode(&mut feed, stranger.to_string().as_bytes()).is_empty());
}

#[test]
fn fault_x05_an_order_by_which_the_venue_closes_our_position_is_booked_and_named() {
    for name in ["autoclose-15959", "adl_autoclose", "settlement_autoclose-7"] {
        let mut feed = feed();
        let frame = update(json!({"c": name, "x": "CALCULATED"}));
        let events = decode(&mut feed, frame.to_string().as_bytes());
        assert_eq!(events.len(), 2, "{name}");
        let (fill, status) = (&events[0], &events[1]);
        assert_eq!(fill.kind(), Some(Kind::OrderFilled));
        assert_eq!(fill.body::<OrderReport>().last_qty, 500_000);
        assert_eq!(status.kind(), Some(Kind::VenueStatus));
        assert_eq!([reason(fill), reason(status)], [Reason::ClosedByVenue; 2]);
        assert_eq!(status.body::<VenueStatus>().told, 500_000);
        assert_eq!((status.instrument(), status.ts_recv), (InstrumentId(0), 7));
        assert_eq!(feed.private_stats().closed_by_venue, 1);
    }
}

#[test]
fn fault_x06_a_margin_call_names_every_position_of_ours_and_is_never_lost() {
    let position = |symbol: &str| json!({"s": symbol, "ps": "BOTH", "pa": "1.327", "mm": "1.6"});
    let frame = json!({"e": "MARGIN_CALL", "E": 1587727187525_i64, "cw": "3.1",
        "p": [position("ETHUSDT"), position("SOLUSDT"), position("BTCUSDT")]});
    let events = decode(&mut feed(), frame.to_string().as_bytes());
    let places: Vec<_> = events.iter().map(Event::instrument).collect();
    assert_eq!(places, [InstrumentId(1), InstrumentId(0)]);
    assert_eq!(events[0].body::<VenueStatus>().told, 132_700_000);
    for elsewhere in [json!([]), json!([position("SOLUSDT")])] {
        let frame = json!({"e": "MARGIN_CALL", "E": 1, "cw": "3.1", "p": elsewhere});
        let event = only(&mut feed(), &frame);
        assert_eq!((event.instrument(), reason(&event)), (InstrumentId::NONE, Reason::MarginCall));
    }
}

#[test]
fn a_changed_leverage_or_mode_of_the_account_is_told() {
    let mut feed = feed();
    let leverage = json!({"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1611646737476_i64,
        "ac": {"s": "BTCUSDT", "l": 25}});
    let event = only(&mut feed, &leverage);
    assert_eq!((event.kind(), reason(&event)), (Some(Kind::VenueStatus), Reason::AccountMode));
    assert_eq!((event.instrument(), event.body::<VenueStatus>().told), (InstrumentId(0), 25));
    let assets = json!({"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ai": {"j": true}});
    let event = only(&mut feed, &assets);
    assert_eq!((event.instrument(), event.body::<VenueStatus>().told), (InstrumentId::NONE, 1));
    let other =
        json!({"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ac": {"s": "SOLUSDT", "l": 3}});
    assert!(decode(&mut feed, other.to_string().as_bytes()).is_empty());
    assert_eq!(feed.private_stats().config_changes, 3);
}
