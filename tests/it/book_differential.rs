//! The fast book beside a naive one over recorded depth: level for level, change for change.

use crate::feed_recordings::data_dir;
use peregrine::base::event::{DepthLevels, Level, flags};
use peregrine::base::{InstrumentId, Kind, Side};
use peregrine::book::Book;
use peregrine::feed::{EventBatch, Feed};
use peregrine::venue::capture::{Capture, Payload, scan_instruments};
use std::collections::BTreeMap;

fn check(path: &str) {
    let Some(data) = data_dir() else { return };
    let paths = [data.join(path)];
    let mut feed = Feed::new(&scan_instruments(&paths).unwrap());
    let mut book = Book::new(65_536);
    let mut naive: [BTreeMap<i64, i64>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let (mut out, mut compared) = (EventBatch::new(), 0_u64);
    let mut capture = Capture::open(&paths).unwrap();
    while let Some(record) = capture.next() {
        let record = record.unwrap();
        match record.payload {
            Payload::Frame(frame) => feed.on_frame(frame, record.ts_recv, &mut out),
            Payload::Snapshot { body, .. } => {
                feed.on_snapshot(InstrumentId(0), body, record.ts_recv, &mut out);
            }
            Payload::ExchangeInfo(_) => {}
        }
        loop {
            for event in &out {
                book.apply(event);
                if event.kind() == Some(Kind::DepthLevels) {
                    let side = &mut naive[event.side() as usize];
                    for level in event.body::<DepthLevels>().levels {
                        match level {
                            Level { px: 0, .. } => break,
                            Level { px, qty: 0 } => drop(side.remove(&px)),
                            Level { px, qty } => drop(side.insert(px, qty)),
                        }
                    }
                }
                let is_depth = matches!(event.kind(), Some(Kind::DepthHead | Kind::DepthLevels));
                if is_depth && event.has(flags::LAST) {
                    compared += 1;
                    compare(&book, &naive, compared.is_multiple_of(50));
                }
            }
            if !feed.drain(&mut out) {
                break;
            }
        }
    }
    assert!(compared > 4_000);
    compare(&book, &naive, true);
}

fn compare(book: &Book, naive: &[BTreeMap<i64, i64>; 2], whole: bool) {
    let [bids, asks] = naive;
    let pair = |level: &Level| (level.px, level.qty);
    let count = if whole { usize::MAX } else { 20 };
    let naive_bids = bids.iter().rev().map(|(px, qty)| (*px, *qty)).take(count);
    let naive_asks = asks.iter().map(|(px, qty)| (*px, *qty)).take(count);
    assert!(book.bids().map(pair).take(count).eq(naive_bids));
    assert!(book.asks().map(pair).take(count).eq(naive_asks));
    assert_eq!(book.levels(Side::Buy), bids.len());
    assert_eq!(book.levels(Side::Sell), asks.len());
}

#[test]
fn recorded_btc_depth_gives_the_book_a_naive_one_has() {
    check("hftbacktest/usdm_btcusdt_20240808.gz");
}

#[test]
fn recorded_eth_depth_gives_the_book_a_naive_one_has() {
    check("hftbacktest/usdm_ethusdt_20240808.gz");
}
