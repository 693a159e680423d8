//! What people and scripts see of a journal: JSON lines, filters, CSV and Parquet.

use crate::journal_support::{append_all, one_of_each_kind, segment, settings};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use peregrine::base::event::{self as body, Event, Kind, Level, flags, lane_of};
use peregrine::base::{ClientOrderId, InstrumentId, Nanos, Reason};
use peregrine::journal::dump::{Filter, OrderKey, dump, parse_kind};
use peregrine::journal::export::{export_csv, export_parquet};
use peregrine::journal::fields::InstrumentNames;
use peregrine::journal::render::render;
use peregrine::journal::{Journal, JournalError, LANES, RecordIndex, stat};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::Path;
use tempfile::TempDir;

const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);
const ORDER: ClientOrderId = ClientOrderId::pack(1, 2, 3, 4);

fn named(id: InstrumentId, symbol: &str) -> Event {
    let mut line = body::Instrument { tick_size: 10_000_000, ..Default::default() };
    line.symbol[..symbol.len()].copy_from_slice(symbol.as_bytes());
    Event::new(Kind::Instrument, id, &line)
}

fn trade(instrument: InstrumentId, px: i64) -> Event {
    let trade = body::Trade { px, qty: 1_500_000, trade_id: 42, ..Default::default() };
    Event::new(Kind::Trade, instrument, &trade).with_flags(flags::SELL)
}

/// A short session: the market moves, an order leaves, the venue fills it.
fn session() -> TempDir {
    let start = body::SessionStart { instrument_count: 2, mode: 1, ..Default::default() };
    let order = body::Order {
        client_id: ORDER.0,
        px: 6_180_030_000_000,
        qty: 1_000_000,
        order_type: 1,
        time_in_force: 2,
        purpose: 1,
        ..Default::default()
    };
    let fill = body::OrderReport {
        client_id: ORDER.0,
        venue_id: 8_886_774,
        last_px: 6_180_030_000_000,
        fee: -123,
        venue_code: -2_010,
        reason: Reason::VenueRejected as u16,
        ..Default::default()
    };
    let mut inputs = [
        Event::new(Kind::SessionStart, InstrumentId::NONE, &start),
        named(BTC, "BTCUSDT"),
        named(ETH, "ETHUSDT"),
        trade(BTC, 6_180_030_000_000),
        trade(ETH, 250_000_000_001),
        Event::new(Kind::OrderFilled, BTC, &fill),
    ];
    for (n, event) in inputs.iter_mut().enumerate() {
        event.seq = n as u64 + 1;
        event.ts_recv = 1_000 + n as i64;
    }
    let caused = |kind| Event::caused_by(&inputs[3], kind, BTC, &order);
    let lanes: [Vec<Event>; LANES] = [
        inputs.to_vec(),
        vec![],
        vec![caused(Kind::OrderApproved)],
        vec![caused(Kind::OrderIntent)],
        vec![],
    ];
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut writers) = Journal::create(dir.path(), settings(4, false)).unwrap();
    for (writer, events) in writers.iter_mut().zip(&lanes) {
        append_all(writer, events);
    }
    journal.close(writers).unwrap();
    dir
}

fn lines(dir: &Path, filter: &Filter) -> Vec<Value> {
    let mut out = Vec::new();
    let count = dump(dir, filter, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, count);
    lines
}

#[test]
fn a_dump_tells_the_story_of_an_order_in_order_with_names_and_decimals() {
    let dir = session();
    let lines = lines(dir.path(), &Filter::default());
    let story: Vec<(u64, &str)> = lines
        .iter()
        .map(|line| (line["lane"].as_u64().unwrap(), line["kind"].as_str().unwrap()))
        .collect();
    let expected = [
        (0, "SessionStart"),
        (0, "Instrument"),
        (0, "Instrument"),
        (0, "Trade"),
        (2, "OrderApproved"),
        (3, "OrderIntent"),
        (0, "Trade"),
        (0, "OrderFilled"),
    ];
    assert_eq!(story, expected);
    let trade = json!({
        "lane": 0, "record": 3, "kind": "Trade", "instrument": "BTCUSDT", "seq": 4,
        "ts_venue": 0, "ts_recv": 1003, "flags": [], "side": "sell", "px": "61800.3",
        "qty": "0.015", "trade_id": 42, "first_id": 0, "last_id": 0, "ts_trade": 0,
    });
    assert_eq!(lines[3], trade);
    assert_eq!(lines[0]["mode"], "paper");
    assert_eq!(lines[0]["instrument"], Value::Null);
    assert_eq!(lines[5]["client_id"], "pg1-0000108300000004");
    assert_eq!(lines[5]["time_in_force"], "IOC");
    assert_eq!(lines[6]["px"], "2500.00000001");
    assert_eq!(lines[7]["reason"], "VenueRejected");
    assert_eq!(lines[7]["fee"], "-0.00000123");
    assert_eq!(lines[7]["venue_code"], -2_010);
}

#[test]
fn filters_by_time_kind_instrument_order_and_lane_keep_what_they_name() {
    let dir = session();
    let records = |filter: Filter| -> Vec<(u64, u64)> {
        lines(dir.path(), &filter)
            .iter()
            .map(|line| (line["lane"].as_u64().unwrap(), line["record"].as_u64().unwrap()))
            .collect()
    };
    let all = Filter::default;
    let span = Filter { from: Some(Nanos(1_001)), to: Some(Nanos(1_003)), ..all() };
    assert_eq!(records(span), [(0, 1), (0, 2)]);
    let kinds = vec![Kind::Trade, parse_kind("orderintent").unwrap()];
    assert_eq!(records(Filter { kinds, ..all() }), [(0, 3), (3, 0), (0, 4)]);
    let eth = Filter { instrument: Some("ETHUSDT".to_owned()), ..all() };
    assert_eq!(records(eth), [(0, 2), (0, 4)]);
    let ours = OrderKey::parse(&ORDER.to_string());
    assert_eq!(records(Filter { order: ours, ..all() }), [(2, 0), (3, 0), (0, 5)]);
    let venues = OrderKey::parse("8886774");
    assert_eq!(records(Filter { order: venues, ..all() }), [(0, 5)]);
    // 42 is a trade id here, not an order's.
    assert_eq!(records(Filter { order: Some(OrderKey::Venue(42)), ..all() }), []);
    assert_eq!(records(Filter { lane: Some(3), ..all() }), [(3, 0)]);
    assert_eq!(records(Filter { lane: Some(4), ..all() }), []);
    assert!(matches!(
        dump(dir.path(), &Filter { lane: Some(5), ..all() }, &mut Vec::new()),
        Err(JournalError::NoLane(5))
    ));
    assert_eq!(OrderKey::parse("pg1-xyz"), None);
    assert_eq!(parse_kind("Trades"), None);
}

#[test]
fn levels_end_at_the_first_empty_one_and_floats_keep_their_shortest_form() {
    let names = InstrumentNames::default();
    let mut levels = body::DepthLevels::default();
    levels.levels[0] = Level { px: 100_000_000, qty: 5 };
    levels.levels[1] = Level { px: 250_000_000, qty: 0 };
    let event = Event::new(Kind::DepthLevels, BTC, &levels).with_flags(flags::LAST);
    let value = render(0, RecordIndex(9), &event, &names);
    assert_eq!(value["levels"], json!([["1", "0.00000005"], ["2.5", "0"]]));
    assert_eq!(value["flags"], json!(["last"]));
    assert_eq!(value["instrument"], "0");

    let prediction = body::Prediction {
        probability: [0.1, 0.2, 0.7],
        quantile: [f32::NAN, -0.5, f32::INFINITY],
        ..Default::default()
    };
    let value = render(1, RecordIndex(0), &Event::new(Kind::Prediction, BTC, &prediction), &names);
    assert_eq!(value["p_up"], json!(0.7));
    assert_eq!((&value["q10"], &value["q50"]), (&Value::Null, &json!(-0.5)));
    assert_eq!(value["q90"], Value::Null);
}

#[test]
fn every_kind_and_no_kind_at_all_can_be_shown() {
    let names = InstrumentNames::default();
    for event in one_of_each_kind() {
        let value = render(0, RecordIndex(0), &event, &names);
        assert_eq!(value["kind"], event.kind().unwrap().name());
        let own = value.as_object().unwrap().len() - 8;
        assert_eq!(own == 0, event.kind() == Some(Kind::SessionEnd), "{value}");
    }
    let unknown = Event { kind: 200, ..one_of_each_kind()[0] };
    let value = render(4, RecordIndex(0), &unknown, &names);
    assert_eq!(value["kind"], 200);
    assert_eq!(value["body"].as_str().unwrap().len(), 192);
}

#[test]
fn a_csv_export_has_a_row_per_record_and_the_columns_of_what_was_asked_for() {
    let dir = session();
    let mut out = Vec::new();
    let filter = Filter { kinds: vec![Kind::Trade], ..Filter::default() };
    assert_eq!(export_csv(dir.path(), 0, &filter, &mut out).unwrap(), 2);
    let expected = "\
record,kind,instrument,seq,ts_venue,ts_recv,flags,side,px,qty,trade_id,first_id,last_id,ts_trade
3,Trade,BTCUSDT,4,0,1003,,sell,61800.3,0.015,42,0,0,0
4,Trade,ETHUSDT,5,0,1004,,sell,2500.00000001,0.015,42,0,0,0
";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_parquet_export_read_back_has_the_same_numbers() {
    let dir = session();
    let target = dir.path().join("lane0.parquet");
    let mut file = File::create(&target).unwrap();
    assert_eq!(export_parquet(dir.path(), 0, &Filter::default(), &mut file).unwrap(), 6);
    let reader = SerializedFileReader::new(File::open(&target).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    let place = |name: &str| schema.get_fields().iter().position(|f| f.name() == name).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[3].get_string(place("kind")).unwrap(), "Trade");
    assert_eq!(rows[3].get_string(place("instrument")).unwrap(), "BTCUSDT");
    assert_eq!(rows[3].get_long(place("px")).unwrap(), 6_180_030_000_000);
    assert_eq!(rows[4].get_long(place("px")).unwrap(), 250_000_000_001);
    assert_eq!(rows[4].get_ulong(place("seq")).unwrap(), 5);
    assert_eq!(rows[5].get_long(place("fee")).unwrap(), -123);
    assert_eq!(rows[5].get_string(place("client_id")).unwrap(), &ORDER.to_string());
    assert!(rows[3].get_long(place("fee")).is_err(), "a trade has no fee: the cell is null");
    assert!(rows[0].get_string(place("instrument")).is_err());
}

#[test]
fn exports_of_every_kind_agree_with_each_other_cell_by_cell() {
    let events = one_of_each_kind();
    let dir = tempfile::tempdir().unwrap();
    let (journal, mut writers) = Journal::create(dir.path(), settings(64, false)).unwrap();
    for event in &events {
        let _ = writers[lane_of(event.kind().unwrap())].append(event).unwrap();
    }
    let unknown = Event { kind: 200, ..events[0] };
    let _ = writers[4].append(&unknown).unwrap();
    journal.close(writers).unwrap();
    for lane in 0..LANES {
        let mut text = Vec::new();
        let rows = export_csv(dir.path(), lane, &Filter::default(), &mut text).unwrap();
        let mut table = csv::Reader::from_reader(&text[..]);
        let target = dir.path().join("table.parquet");
        let mut file = File::create(&target).unwrap();
        let same = export_parquet(dir.path(), lane, &Filter::default(), &mut file).unwrap();
        assert_eq!(rows, same);
        let reader = SerializedFileReader::new(File::open(&target).unwrap()).unwrap();
        let columns = table.headers().unwrap().len();
        assert_eq!(reader.metadata().file_metadata().schema().get_fields().len(), columns);
        let parquet = reader.get_row_iter(None).unwrap().map(Result::unwrap);
        for (line, row) in table.records().map(Result::unwrap).zip(parquet) {
            for (place, cell) in line.iter().enumerate() {
                // Integers carry all bits; other types were written from the same text.
                let same = match row.get_long(place) {
                    Ok(value) => cell == value.to_string() || decimal(cell) == Some(value),
                    Err(_) => match row.get_ulong(place) {
                        Ok(value) => cell == value.to_string(),
                        Err(_) => row.get_string(place).map_or(true, |value| value == cell),
                    },
                };
                assert!(same, "lane {lane}, column {place}: {cell:?}");
            }
        }
    }
}

fn decimal(text: &str) -> Option<i64> {
    peregrine::base::units::parse_fixed(text.as_bytes()).ok()
}

#[test]
fn a_dump_of_a_damaged_lane_shows_what_is_sound_and_then_fails() {
    let dir = session();
    let path = segment(dir.path(), 0, 0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096 + 2 * 128 + 40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut out = Vec::new();
    let error = dump(dir.path(), &Filter::default(), &mut out).unwrap_err();
    assert!(error.to_string().starts_with("lane 0, lane0-000000.pgj, record 2, byte 4352"));
    assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 2);
}

#[test]
fn a_full_pipe_ends_a_dump_with_an_error() {
    let dir = session();
    let mut room = [0_u8; 100];
    let error = dump(dir.path(), &Filter::default(), &mut &mut room[..]).unwrap_err();
    assert!(matches!(error, JournalError::Export(_)));
}

#[test]
fn stat_counts_kinds_and_spans() {
    let stat = stat(session().path()).unwrap();
    let lane = &stat.lanes[0];
    assert_eq!((lane.records, lane.segments, lane.ending), (6, 2, "final"));
    assert_eq!((lane.first_ts, lane.last_ts), (1_000, 1_005));
    assert_eq!((lane.kinds["Trade"], lane.kinds["Instrument"]), (2, 2));
    assert_eq!((stat.lanes[1].records, stat.lanes[1].first_ts), (0, 0));
}
