//! Recorded markets through capture, feed and book, against answers computed elsewhere.

use peregrine::base::event::{BookTicker, DepthHead, Event, Level, flags};
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{InstrumentId, Kind, Reason};
use peregrine::book::Book;
use peregrine::feed::{EventBatch, Feed};
use peregrine::venue::audit::MarketAudit;
use peregrine::venue::capture::{Capture, Payload, discover};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of recorded data, if it is there.
pub fn data_dir() -> Option<PathBuf> {
    let path = std::env::var_os("PEREGRINE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    if !path.is_dir() {
        println!("no recorded data at {}: nothing checked", path.display());
        return None;
    }
    Some(path)
}

struct Played {
    feed: Feed,
    books: Vec<Book>,
    audit: MarketAudit,
    settings: Vec<InstrumentSettings>,
    bad_lines: u64,
    /// Every book ticker by update id, per instrument.
    tickers: BTreeMap<(u16, u64), BookTicker>,
    /// Best levels after every fiftieth change of depth, per instrument.
    samples: Vec<(u16, u64, Level, Level)>,
    time_ran_backwards: u64,
}

fn play(paths: &[PathBuf]) -> Played {
    let instruments = discover(paths).unwrap();
    let settings: Vec<_> = instruments.iter().map(|found| found.settings).collect();
    let mut played = Played {
        feed: Feed::new(&settings),
        books: settings.iter().map(|_| Book::new(65_536)).collect(),
        audit: MarketAudit::new(&instruments),
        settings,
        bad_lines: 0,
        tickers: BTreeMap::new(),
        samples: Vec::new(),
        time_ran_backwards: 0,
    };
    let mut capture = Capture::open(paths).unwrap();
    let mut out = EventBatch::new();
    let mut diffs = vec![0_u64; played.books.len()];
    let mut newest = 0;
    while let Some(record) = capture.next() {
        let Ok(record) = record else {
            played.bad_lines += 1;
            continue;
        };
        played.audit.on_record(&record);
        match record.payload {
            Payload::Frame(frame) => played.feed.on_frame(frame, record.ts_recv, &mut out),
            Payload::Snapshot { symbol, body } => {
                let id = played.feed.symbols().find(symbol.as_str().as_bytes()).unwrap();
                played.feed.on_snapshot(id, body, record.ts_recv, &mut out);
            }
            Payload::ExchangeInfo(_) => continue,
        }
        loop {
            for event in &out {
                played.time_ran_backwards += u64::from(event.ts_recv < newest);
                newest = event.ts_recv;
                on_event(&mut played, &mut diffs, event);
            }
            if !played.feed.drain(&mut out) {
                break;
            }
        }
    }
    played
}

fn on_event(played: &mut Played, diffs: &mut [u64], event: &Event) {
    let index = event.instrument().index();
    let Some(book) = played.books.get_mut(index) else { return };
    let before = book.last_id();
    book.apply(event);
    played.audit.on_event(event, book);
    if event.kind() == Some(Kind::BookTicker) {
        let ticker = *event.body::<BookTicker>();
        played.tickers.insert((event.instrument, ticker.update_id), ticker);
    }
    if book.is_valid() && book.last_id() != before {
        diffs[index] += 1;
        if diffs[index].is_multiple_of(50) {
            let (bid, ask) = (book.best_bid().unwrap(), book.best_ask().unwrap());
            played.samples.push((event.instrument, book.last_id(), bid, ask));
        }
    }
}

/// How many samples have the prices and quantities of the ticker with the nearest lower id.
fn samples_confirmed(played: &Played) -> usize {
    let confirmed = |&&(instrument, id, bid, ask): &&(u16, u64, Level, Level)| {
        let range = (instrument, 0)..=(instrument, id);
        let Some((_, ticker)) = played.tickers.range(range).next_back() else { return false };
        (bid.px, bid.qty, ask.px, ask.qty)
            == (ticker.bid_px, ticker.bid_qty, ticker.ask_px, ticker.ask_qty)
    };
    played.samples.iter().filter(confirmed).count()
}

fn check_recording(capture: &str, expected: &str, symbol: &str, samples: usize) {
    let Some(data) = data_dir() else { return };
    let played = play(&[data.join(capture)]);
    let expected: Value =
        serde_json::from_slice(&std::fs::read(data.join(expected)).unwrap()).unwrap();
    let all = played.audit.to_json(&played.feed, &played.books);
    let actual = &all[symbol];
    let unit = match expected["receive_time_unit"].as_str().unwrap() {
        "ns" => 1,
        "us" => 1_000,
        other => panic!("unit {other}"),
    };
    for (key, value) in expected.as_object().unwrap() {
        match key.as_str() {
            "file" | "receive_time_unit" => {}
            "first_receive" | "last_receive" => {
                assert_eq!(actual[key].as_i64().unwrap(), value.as_i64().unwrap() * unit, "{key}");
            }
            _ => assert_eq!(&actual[key], value, "{key}"),
        }
    }
    assert_eq!(played.samples.len(), samples);
    assert_eq!(samples_confirmed(&played), samples);
    assert_eq!(played.time_ran_backwards, 0);
    assert_eq!(played.bad_lines, 0);
    assert_eq!(played.feed.stats().malformed_count(), 0);
    assert!(played.books.iter().all(Book::is_valid));
}

#[test]
fn btc_2024_is_reproduced_to_the_last_digit() {
    check_recording(
        "hftbacktest/usdm_btcusdt_20240808.gz",
        "hftbacktest/usdm_btcusdt_20240808.expected.json",
        "BTCUSDT",
        130,
    );
}

#[test]
fn eth_2024_whose_snapshot_ends_at_a_change_is_reproduced_to_the_last_digit() {
    check_recording(
        "hftbacktest/usdm_ethusdt_20240808.gz",
        "hftbacktest/usdm_ethusdt_20240808.expected.json",
        "ETHUSDT",
        131,
    );
}

#[test]
fn btc_2023_in_microseconds_is_reproduced_to_the_last_digit() {
    check_recording(
        "hftbacktest-playground/btcusdt_20230404.dat.gz",
        "hftbacktest-playground/btcusdt_20230404.expected.json",
        "BTCUSDT",
        86,
    );
}

#[test]
fn four_thin_symbols_synchronise_without_a_gap() {
    let Some(data) = data_dir() else { return };
    let played = play(&[data.join("cryptofeed")]);
    let stats = played.feed.stats();
    assert_eq!(played.settings.len(), 4);
    assert_eq!(stats.syncs, 4);
    assert_eq!(stats.gaps, 0);
    assert_eq!(stats.malformed_count(), 0);
    assert_eq!(stats.of_kind(Kind::AggTrade), 91);
    assert_eq!(stats.of_kind(Kind::BookTicker), 613);
    assert_eq!(stats.of_kind(Kind::Kline), 67);
    assert_eq!(stats.of_kind(Kind::DepthHead), 764 + 4);
    assert!(played.books.iter().all(Book::is_valid));
    assert_eq!(played.bad_lines, 0);
    // Of the exchange information of that day.
    let steps: BTreeMap<_, _> = played
        .settings
        .iter()
        .map(|s| (s.symbol.to_string(), (s.tick_size.to_string(), s.lot_size.to_string())))
        .collect();
    assert_eq!(steps["SUSHIUSDT"], ("0.001".to_owned(), "1".to_owned()));
    assert_eq!(steps["AKROUSDT"], ("0.00001".to_owned(), "1".to_owned()));
    assert_eq!(samples_confirmed(&played), played.samples.len());
}

#[test]
fn steps_are_told_from_the_decimals_where_nothing_else_tells() {
    let Some(data) = data_dir() else { return };
    let found = discover(&[data.join("hftbacktest/usdm_btcusdt_20240808.gz")]).unwrap();
    let [btc] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(btc.settings.tick_size.to_string(), "0.1");
    assert_eq!(btc.settings.lot_size.to_string(), "0.001");
    assert_eq!((btc.price_decimals, btc.qty_decimals), (2, 3));
}

#[test]
fn spot_frames_are_refused_and_never_become_a_book() {
    let Some(data) = data_dir() else { return };
    let played = play(&[data.join("hftbacktest/spot_btcusdt_20240808.gz")]);
    let stats = played.feed.stats();
    assert_eq!(stats.malformed_for(Reason::FrameKeyMissing), 28_040 + 9_757 + 3_451 + 1);
    assert_eq!(stats.malformed_count(), stats.frames);
    assert!(!played.books[0].is_valid());
}

#[test]
fn two_recordings_merged_by_time_give_the_same_books_as_each_alone() {
    let Some(data) = data_dir() else { return };
    let paths = ["usdm_btcusdt_20240808.gz", "usdm_ethusdt_20240808.gz"]
        .map(|name| data.join("hftbacktest").join(name));
    let merged = play(&paths);
    let merged_json = merged.audit.to_json(&merged.feed, &merged.books);
    for (path, symbol) in paths.iter().zip(["BTCUSDT", "ETHUSDT"]) {
        let alone = play(std::slice::from_ref(path));
        let alone_json = alone.audit.to_json(&alone.feed, &alone.books);
        assert_eq!(merged_json[symbol], alone_json[symbol]);
    }
    assert_eq!(merged.time_ran_backwards, 0);
}

#[test]
fn a_lost_change_marks_a_gap_at_once_and_the_next_snapshot_heals_it() {
    let Some(data) = data_dir() else { return };
    let paths = [data.join("hftbacktest/usdm_btcusdt_20240808.gz")];
    let settings: Vec<_> = discover(&paths).unwrap().iter().map(|found| found.settings).collect();
    let (mut feed, mut book) = (Feed::new(&settings), Book::new(65_536));
    let mut intact = Feed::new(&settings);
    let mut intact_book = Book::new(65_536);
    let (mut out, mut intact_out) = (EventBatch::new(), EventBatch::new());
    let mut capture = Capture::open(&paths).unwrap();
    let (mut diffs, mut gaps, mut healed) = (0_u64, 0, 0);
    while let Some(record) = capture.next() {
        let record = record.unwrap();
        let ts = record.ts_recv;
        let frame = match record.payload {
            Payload::Frame(frame) => frame,
            Payload::Snapshot { body, .. } => {
                for (feed, book, out) in [
                    (&mut feed, &mut book, &mut out),
                    (&mut intact, &mut intact_book, &mut intact_out),
                ] {
                    feed.on_snapshot(InstrumentId(0), body, ts, out);
                    settle(feed, book, out);
                }
                continue;
            }
            Payload::ExchangeInfo(_) => continue,
        };
        intact.on_frame(frame, ts, &mut intact_out);
        settle(&mut intact, &mut intact_book, &mut intact_out);
        let is_diff = frame.starts_with(b"{\"stream\":\"btcusdt@depth");
        diffs += u64::from(is_diff);
        if is_diff && diffs.is_multiple_of(500) {
            continue;
        }
        feed.on_frame(frame, ts, &mut out);
        gaps += out.iter().filter(|event| event.kind() == Some(Kind::Gap)).count();
        settle(&mut feed, &mut book, &mut out);
        if !book.is_valid() && feed.snapshot_wanted().is_some() && intact_book.is_valid() {
            // The other book stands where a venue would: ahead of what was lost.
            let body = snapshot_body(&intact_book);
            feed.on_snapshot(InstrumentId(0), body.as_bytes(), ts, &mut out);
            settle(&mut feed, &mut book, &mut out);
            healed += usize::from(book.is_valid());
            assert_eq!(book.bids().collect::<Vec<_>>(), intact_book.bids().collect::<Vec<_>>());
        }
    }
    assert_eq!(gaps, 13);
    assert_eq!(healed, 13);
    assert!(book.is_valid());
    assert_eq!(book.asks().collect::<Vec<_>>(), intact_book.asks().collect::<Vec<_>>());
}

fn settle(feed: &mut Feed, book: &mut Book, out: &mut EventBatch) {
    loop {
        for event in &*out {
            book.apply(event);
            if event.kind() == Some(Kind::DepthHead) && !event.has(flags::SNAPSHOT) {
                assert!(event.body::<DepthHead>().last_id > 0);
            }
        }
        if !feed.drain(out) {
            return;
        }
    }
}

fn snapshot_body(book: &Book) -> String {
    fn list<'l>(levels: impl Iterator<Item = &'l Level>) -> String {
        use peregrine::base::{Px, Qty};
        let pairs: Vec<_> =
            levels.map(|level| format!("[\"{}\",\"{}\"]", Px(level.px), Qty(level.qty))).collect();
        pairs.join(",")
    }
    let (id, ms) = (book.last_id(), book.ts_match() / 1_000_000);
    let (bids, asks) = (list(book.bids()), list(book.asks()));
    format!("{{\"lastUpdateId\":{id},\"E\":{ms},\"T\":{ms},\"bids\":[{bids}],\"asks\":[{asks}]}}")
}
