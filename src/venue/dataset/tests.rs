//! Data sets made for the purpose, and what the feed makes of their frames.

use super::{
    DataError, DataSet, FileEntry, Gap, MANIFEST_FILE, MANIFEST_VERSION, Manifest, Stream,
    SymbolFacts, TableWriter, Tape, hash_of,
};
use crate::base::event::{Event, Trade};
use crate::base::units::SCALE;
use crate::base::{InstrumentId, Kind, Nanos};
use crate::book::Book;
use crate::feed::{EventBatch, Feed};
use crate::venue::capture::Payload;
use std::fs::File;
use std::path::Path;
use tempfile::TempDir;

const OPEN_MS: i64 = 1_700_000_100_000;
const MINUTE_MS: i64 = 60_000;

/// Candles of a minute: open, high, low, close in tenths, volume in thousandths.
const CANDLES: [[i64; 5]; 4] = [
    [1_000, 1_010, 995, 1_005, 4_000],
    [1_005, 1_006, 990, 991, 0],
    [991, 1_100, 991, 1_090, 7],
    [1_090, 1_090, 1_090, 1_090, 1],
];

fn bars() -> Vec<Vec<i64>> {
    let row = |(at, candle): (usize, &[i64; 5])| {
        let time = OPEN_MS + at as i64 * MINUTE_MS;
        let px = candle[..4].iter().map(|px| px * SCALE / 10);
        std::iter::once(time).chain(px).chain([candle[4] * SCALE / 1_000]).collect()
    };
    CANDLES.iter().enumerate().map(row).collect()
}

/// Writes a table and lists it.
fn table(dir: &Path, stream: Stream, interval_ms: i64, rows: &[Vec<i64>]) -> FileEntry {
    let path = format!("{}.parquet", stream.name());
    let mut writer = TableWriter::create(&dir.join(&path), stream).unwrap();
    rows.iter().for_each(|row| writer.push(row).unwrap());
    assert_eq!(writer.finish().unwrap(), rows.len() as u64);
    let (sha256, bytes) = hash_of(&mut File::open(dir.join(&path)).unwrap()).unwrap();
    FileEntry {
        path,
        stream,
        symbol: "BTCUSDT".to_owned(),
        interval_ms,
        sha256,
        bytes,
        rows: rows.len() as u64,
        first_ms: rows[0][0],
        last_ms: rows[rows.len() - 1][0],
        gaps: vec![Gap { after_ms: 1, until_ms: 2 }],
        source: "made for the test".to_owned(),
        source_sha256: "0".repeat(64),
    }
}

fn manifest(files: Vec<FileEntry>) -> Manifest {
    let facts = SymbolFacts { symbol: "BTCUSDT".to_owned(), tick: SCALE / 10, lot: SCALE / 1_000 };
    let (name, venue) = ("test".to_owned(), "binance-usdm".to_owned());
    let (manifest_version, hold_out_from_ms) = (MANIFEST_VERSION, None);
    Manifest { manifest_version, name, venue, symbols: vec![facts], hold_out_from_ms, files }
}

fn set(files: &[(Stream, i64, Vec<Vec<i64>>)]) -> (TempDir, DataSet) {
    let dir = tempfile::tempdir().unwrap();
    let listed =
        files.iter().map(|(stream, interval, rows)| table(dir.path(), *stream, *interval, rows));
    let text = manifest(listed.collect()).text().unwrap();
    std::fs::write(dir.path().join(MANIFEST_FILE), text).unwrap();
    let set = DataSet::open(dir.path()).unwrap();
    (dir, set)
}

/// Every event that the feed makes of a data set, and the feed.
fn events(set: &DataSet) -> (Vec<Event>, Feed) {
    events_from(set, None)
}

fn events_from(set: &DataSet, from: Option<Nanos>) -> (Vec<Event>, Feed) {
    let mut tape = Tape::open_at(set, from).unwrap();
    let mut feed = Feed::new(&set.instruments().unwrap());
    let (mut batch, mut all) = (EventBatch::new(), Vec::new());
    let mut last = Nanos::ZERO;
    while let Some((ts, payload)) = tape.next_payload().unwrap() {
        assert!(ts >= last, "time goes back");
        last = ts;
        match payload {
            Payload::Frame(frame) => feed.on_frame(frame, ts, &mut batch),
            Payload::Snapshot { body, .. } => {
                feed.on_snapshot(InstrumentId(0), body, ts, &mut batch);
            }
            Payload::ExchangeInfo(_) => panic!("no table tells the venue's rules"),
        }
        all.extend_from_slice(batch.as_slice());
        while feed.drain(&mut batch) {
            all.extend_from_slice(batch.as_slice());
        }
    }
    (all, feed)
}

#[test]
fn a_table_is_read_as_it_was_written_also_across_row_groups() {
    let rows: Vec<Vec<i64>> = (0..150_000).map(|at| vec![at, at - 75_000]).collect();
    let (_dir, set) = set(&[(Stream::Funding, 0, rows.clone())]);
    let mut read = set.rows(&set.manifest().files[0]).unwrap();
    for row in &rows {
        assert_eq!(read.next_row().unwrap(), Some(&row[..]));
    }
    assert_eq!(read.next_row().unwrap(), None);
    assert_eq!(set.verify().unwrap(), 150_000);
}

#[test]
fn a_manifest_reads_back_as_it_was_and_one_that_cannot_be_is_refused_with_the_reason() {
    let (_dir, set) = set(&[(Stream::Bars, MINUTE_MS, bars())]);
    let good = set.manifest().clone();
    assert_eq!(Manifest::parse(&good.text().unwrap()).unwrap(), good);
    type Spoil = fn(&mut Manifest);
    let faults: [(&str, Spoil); 8] = [
        ("manifest_version 2", |m| m.manifest_version = 2),
        ("not a path below", |m| m.files[0].path = "../bars.parquet".to_owned()),
        ("not a path below", |m| m.files[0].path = "/etc/passwd".to_owned()),
        ("listed twice", |m| m.files.push(m.files[0].clone())),
        ("64 hexadecimal digits", |m| m.files[0].sha256 = "ABCD".to_owned()),
        ("ends before it begins", |m| m.files[0].last_ms = 0),
        ("not among the symbols", |m| m.files[0].symbol = "ETHUSDT".to_owned()),
        ("above zero", |m| m.symbols[0].tick = 0),
    ];
    for (named, spoil) in faults {
        let mut bad = good.clone();
        spoil(&mut bad);
        let refused = Manifest::parse(&bad.text().unwrap()).unwrap_err();
        assert!(refused.contains(named), "{named}: {refused}");
    }
    let unknown = good.text().unwrap() + "surprise: 1\n";
    assert!(Manifest::parse(&unknown).unwrap_err().contains("surprise"));
}

#[test]
fn any_changed_byte_a_missing_file_and_one_more_file_are_refused_by_name() {
    let (dir, set) = set(&[(Stream::Bars, MINUTE_MS, bars())]);
    let path = dir.path().join("bars.parquet");
    let whole = std::fs::read(&path).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(set.verify(), Err(DataError::Changed { path, .. })
            if path.ends_with("bars.parquet")));
        assert!(Tape::open(&set).is_err());
    }
    std::fs::write(&path, &whole).unwrap();
    let more = dir.path().join("more.parquet");
    std::fs::write(&more, b"x").unwrap();
    assert!(set.verify().unwrap_err().to_string().contains("more.parquet"));
    std::fs::remove_file(&more).unwrap();
    assert_eq!(set.verify().unwrap(), 4);
    std::fs::remove_file(&path).unwrap();
    assert!(set.verify().unwrap_err().to_string().contains("bars.parquet"));
}

#[test]
fn a_table_of_other_columns_or_of_another_number_of_rows_is_refused() {
    let (dir, set) = set(&[(Stream::Bars, MINUTE_MS, bars())]);
    let entry = &set.manifest().files[0];
    let file = || File::open(dir.path().join(&entry.path)).unwrap();
    let refused = |stream, rows| {
        super::Rows::read(file(), Path::new("bars"), stream, rows).unwrap_err().to_string()
    };
    assert!(refused(Stream::Funding, 4).contains("funding_rate"));
    assert!(refused(Stream::Bars, 5).contains("4 rows, and 5 are listed"));
}

#[test]
fn candles_become_frames_that_the_feed_understands_and_add_up_to_the_candles() {
    let funding =
        vec![vec![OPEN_MS + 2 * MINUTE_MS + 16, 12_345], vec![OPEN_MS + MINUTE_MS * 90, 7]];
    let (_dir, set) = set(&[(Stream::Bars, MINUTE_MS, bars()), (Stream::Funding, 0, funding)]);
    let (events, feed) = events(&set);
    let stats = feed.stats();
    assert_eq!(stats.malformed.iter().sum::<u64>(), 0, "{:?}", stats.malformed);
    assert_eq!((stats.syncs, stats.gaps, stats.fallbacks), (1, 0, 0));
    let trades: Vec<&Trade> = events
        .iter()
        .filter(|event| event.kind() == Some(Kind::AggTrade))
        .map(Event::body)
        .collect();
    let volume = |from: usize, count: usize| -> i64 {
        trades[from..from + count].iter().map(|trade| trade.qty).sum()
    };
    // The candle without volume has no trade; the last one has one at least.
    assert_eq!(volume(0, 4), bars()[0][5]);
    assert_eq!(volume(4, 4), bars()[2][5]);
    assert_eq!(trades.iter().map(|trade| trade.qty).sum::<i64>(), 4_008 * SCALE / 1_000);
    let px: Vec<i64> = trades[..8].iter().map(|trade| trade.px * 10 / SCALE).collect();
    // A rising candle sees its low first.
    assert_eq!(px, [1_000, 995, 1_010, 1_005, 991, 991, 1_100, 1_090]);
    let mut book = Book::new(64);
    for event in &events {
        book.apply(event);
        if let (Some(bid), Some(ask)) = (book.best_bid(), book.best_ask()) {
            assert!(bid.px < ask.px);
        }
    }
    assert!(book.is_valid());
}

#[test]
fn a_rate_is_not_known_before_the_second_ahead_of_its_settlement() {
    let at_ms = OPEN_MS + 2 * MINUTE_MS + 16;
    let funding = vec![vec![at_ms, 12_345], vec![OPEN_MS + 90 * MINUTE_MS, 7]];
    let (_dir, set) = set(&[(Stream::Bars, MINUTE_MS, bars()), (Stream::Funding, 0, funding)]);
    let (events, _) = events(&set);
    let rates: Vec<(i64, i64)> = events
        .iter()
        .filter(|event| event.kind() == Some(Kind::MarkPrice))
        .map(|event| {
            let body: &crate::base::event::MarkPrice = event.body();
            (event.ts_venue / 1_000_000 - OPEN_MS, body.funding_rate)
        })
        .collect();
    // Told a second ahead, then as the last settlement's.
    let two = 2 * MINUTE_MS;
    assert_eq!(
        rates,
        [(0, 0), (MINUTE_MS, 0), (two - 1_000, 12_345), (two, 12_345), (3 * MINUTE_MS, 12_345)]
    );
}

#[test]
fn a_span_begins_at_its_time_with_a_book_and_with_the_rate_settled_before_it() {
    let funding = vec![vec![OPEN_MS + MINUTE_MS, 12_345], vec![OPEN_MS + 90 * MINUTE_MS, 7]];
    let (_dir, set) = set(&[(Stream::Bars, MINUTE_MS, bars()), (Stream::Funding, 0, funding)]);
    let from = OPEN_MS + 2 * MINUTE_MS;
    let (events, feed) = events_from(&set, Some(Nanos::from_millis(from)));
    assert_eq!((feed.stats().syncs, feed.stats().gaps), (1, 0));
    assert!(events.iter().all(|event| event.now() >= Nanos::from_millis(from)));
    let of = |kind| events.iter().filter(move |event| event.kind() == Some(kind));
    // Four of each candle that is left.
    assert_eq!(of(Kind::AggTrade).count(), 8);
    let marks: Vec<i64> = of(Kind::MarkPrice)
        .map(|event| event.body::<crate::base::event::MarkPrice>().funding_rate)
        .collect();
    assert_eq!(marks, [12_345, 12_345]);
    let mut book = Book::new(64);
    events.iter().for_each(|event| {
        book.apply(event);
    });
    assert!(book.is_valid());
}
