use crate::base::counters::{Counter, Counters};
use crate::base::{Money, Px, Qty};
use crate::observe::snapshot::{
    CounterValues, EQUITY_POINTS_MAX, EquityPoint, FillView, NotReady, OrderView, PositionView,
    ROWS_SHOWN_MAX, Snapshot, SnapshotCell,
};

#[test]
fn lists_keep_the_newest_and_stay_bounded() {
    let mut snapshot = Snapshot::default();
    for i in 0..ROWS_SHOWN_MAX as i64 + 50 {
        snapshot.note_order(OrderView { client_id: i.to_string(), ..OrderView::default() });
        snapshot.note_fill(FillView { ts_ns: i, ..FillView::default() });
    }
    assert_eq!(snapshot.orders.len(), ROWS_SHOWN_MAX);
    assert_eq!(snapshot.fills.len(), ROWS_SHOWN_MAX);
    assert_eq!(snapshot.fills[0].ts_ns, 50);
    assert_eq!(snapshot.orders[0].client_id, "50");
}

#[test]
fn an_order_is_shown_once_in_its_newest_state() {
    let mut snapshot = Snapshot::default();
    for state in ["sent", "working", "filled"] {
        let order = OrderView { client_id: "pg1-1".to_owned(), state, ..OrderView::default() };
        snapshot.note_order(order);
    }
    assert_eq!(snapshot.orders.len(), 1);
    assert_eq!(snapshot.orders[0].state, "filled");
}

#[test]
fn an_order_that_is_open_is_shown_however_many_came_after_it() {
    let mut snapshot = Snapshot::default();
    let order =
        |id: &str, open| OrderView { client_id: id.to_owned(), open, ..OrderView::default() };
    snapshot.note_order(order("stop", true));
    for i in 0..ROWS_SHOWN_MAX * 2 {
        snapshot.note_order(order(&i.to_string(), false));
    }
    assert_eq!(snapshot.orders.len(), ROWS_SHOWN_MAX);
    assert_eq!(snapshot.orders[0].client_id, "stop");
    assert_eq!(snapshot.orders[1].client_id, (ROWS_SHOWN_MAX + 1).to_string());
}

#[test]
fn the_equity_curve_spans_the_session_however_long() {
    let mut snapshot = Snapshot::default();
    let last = EQUITY_POINTS_MAX as i64 * 9;
    for ts_ns in 0..=last {
        snapshot.note_equity(EquityPoint { ts_ns, ..EquityPoint::default() });
        assert!(snapshot.equity.len() <= EQUITY_POINTS_MAX);
    }
    let times: Vec<i64> = snapshot.equity.iter().map(|point| point.ts_ns).collect();
    assert_eq!((times[0], times[times.len() - 1]), (0, last));
    assert!(times.is_sorted());
}

#[test]
fn a_service_that_has_not_started_is_not_ready() {
    let (snapshot, _) = SnapshotCell::new().load();
    assert!(!snapshot.is_ready());
}

#[test]
fn a_reader_gets_the_newest_snapshot() {
    let cell = SnapshotCell::new();
    let (old, _) = cell.load();
    cell.publish(Snapshot { trading_state: "halted", ..Snapshot::default() });
    assert_eq!(cell.load().0.trading_state, "halted");
    assert_eq!(old.trading_state, "reconciling", "whoever holds an old one may go on reading it");
}

#[test]
fn names_of_reasons_are_one_in_json_and_metrics() {
    let all = [
        NotReady::Starting,
        NotReady::BookInvalid,
        NotReady::MarketStale,
        NotReady::PrivateStreamStale,
        NotReady::Unreconciled,
        NotReady::ModelUnverified,
        NotReady::ClockOff,
        NotReady::JournalBehind,
        NotReady::Halted,
        NotReady::Killed,
        NotReady::ThreadStopped,
    ];
    for reason in all {
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.name());
    }
}

#[test]
fn fixed_point_numbers_come_out_as_the_decimals_they_are() {
    let position = PositionView {
        symbol: "BTCUSDT".to_owned(),
        qty: Qty::parse("-0.00123456").unwrap(),
        entry_px: Px::parse("61800.30").unwrap(),
        mark_px: Px::parse("61799.99999999").unwrap(),
        unrealised: Money::parse("0.00000001").unwrap(),
    };
    let json = serde_json::to_string(&position).unwrap();
    let expected = concat!(
        r#"{"symbol":"BTCUSDT","qty":-0.00123456,"entry_px":61800.3,"#,
        r#""mark_px":61799.99999999,"unrealised":1e-8}"#
    );
    assert_eq!(json, expected);
}

#[test]
fn counters_are_read_by_name() {
    let counters = Counters::new();
    counters.add(Counter::Events, 5);
    counters.add(Counter::Gaps, 2);
    let values = CounterValues::read(&counters);
    let json = serde_json::to_value(&values).unwrap();
    assert_eq!((json["events"].as_u64(), json["gaps"].as_u64()), (Some(5), Some(2)));
    assert_eq!(json.as_object().unwrap().len(), Counter::ALL.len());
}
