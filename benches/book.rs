//! Depth events into the book, against a book of two BTreeMaps.

#[path = "harness/mod.rs"]
mod harness;

use harness::tape::{Content, Tape};
use harness::{Bench, Race};
use peregrine::base::event::{DepthHead, DepthLevels, Event, Kind, Level, flags};
use peregrine::base::{InstrumentId, Side};
use peregrine::book::Book;
use peregrine::feed::{EventBatch, Feed};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;

const ROUNDS: usize = 9;
const LEVELS: usize = 16_384;

/// Two sides by price; valid after a snapshot.
#[derive(Default)]
struct TreeBook {
    sides: [BTreeMap<i64, i64>; 2],
}

impl TreeBook {
    fn apply(&mut self, event: &Event) {
        match event.kind() {
            Some(Kind::DepthHead) if event.has(flags::SNAPSHOT) => {
                self.sides.iter_mut().for_each(BTreeMap::clear);
            }
            Some(Kind::DepthLevels) => {
                let side = &mut self.sides[event.side() as usize];
                for level in event.body::<DepthLevels>().levels {
                    match level {
                        Level { px: 0, .. } => break,
                        Level { px, qty: 0 } => drop(side.remove(&px)),
                        Level { px, qty } => drop(side.insert(px, qty)),
                    }
                }
            }
            _ => {}
        }
    }

    /// The best five of each side, as the features want them after every batch.
    fn top(&self) -> i64 {
        let [bids, asks] = &self.sides;
        let sum = |sum: i64, (px, qty): (&i64, &i64)| sum.wrapping_add(px ^ qty);
        let bid = bids.iter().rev().take(5).fold(0, sum);
        asks.iter().take(5).fold(bid, sum)
    }
}

fn top(book: &Book) -> i64 {
    let sum = |sum: i64, level: &Level| sum.wrapping_add(level.px ^ level.qty);
    let bid = book.bids().take(5).fold(0, sum);
    book.asks().take(5).fold(bid, sum)
}

/// The depth batches of one instrument, the snapshot first.
fn batches(tape: &Tape, instrument: InstrumentId) -> Vec<Vec<Event>> {
    let mut feed = Feed::new(&tape.instruments);
    let mut out = EventBatch::new();
    let (mut batches, mut batch) = (Vec::new(), Vec::new());
    for entry in &tape.entries {
        match &entry.content {
            Content::Frame(range) => feed.on_frame(tape.bytes(range), entry.ts, &mut out),
            Content::Snapshot(symbol, range) => {
                let id = feed.symbols().find(symbol.as_str().as_bytes());
                let id = id.expect("the tape's own symbol");
                feed.on_snapshot(id, tape.bytes(range), entry.ts, &mut out);
            }
        }
        loop {
            for event in &out {
                let depth = matches!(event.kind(), Some(Kind::DepthHead | Kind::DepthLevels));
                if depth && event.instrument() == instrument {
                    batch.push(*event);
                    if event.has(flags::LAST) {
                        batches.push(std::mem::take(&mut batch));
                    }
                }
            }
            if !feed.drain(&mut out) {
                break;
            }
        }
    }
    batches
}

/// Both books hold the same levels after every hundredth batch and at the end.
fn check(batches: &[Vec<Event>]) {
    let (mut book, mut tree) = (Book::new(LEVELS), TreeBook::default());
    for (at, batch) in batches.iter().enumerate() {
        for event in batch {
            let _ = book.apply(event);
            tree.apply(event);
        }
        assert_eq!(top(&book), tree.top(), "batch {at}");
        if at % 100 == 0 || at + 1 == batches.len() {
            let [bids, asks] = &tree.sides;
            let pair = |level: &Level| (level.px, level.qty);
            assert!(book.bids().map(pair).eq(bids.iter().rev().map(|(p, q)| (*p, *q))), "{at}");
            assert!(book.asks().map(pair).eq(asks.iter().map(|(p, q)| (*p, *q))), "{at}");
        }
    }
    println!(
        "checked: equal books; {} bids and {} asks at the end",
        book.levels(Side::Buy),
        book.levels(Side::Sell)
    );
}

fn race(bench: &mut Bench, tape: &Tape) {
    let batches = batches(tape, InstrumentId(0));
    assert!(batches[0][0].has(flags::SNAPSHOT), "the first batch is the snapshot");
    let changes = |batch: &Vec<Event>| {
        let head: &DepthHead = batch[0].body();
        u64::from(head.bid_count) + u64::from(head.ask_count)
    };
    let levels: u64 = batches[1..].iter().map(changes).sum();
    let each = levels as f64 / (batches.len() - 1) as f64;
    println!("{} batches after the snapshot, {each:.1} level changes each", batches.len() - 1);
    check(&batches);
    let (book, tree) = (RefCell::new(Book::new(LEVELS)), RefCell::new(TreeBook::default()));
    // One operation is one batch; the snapshot goes in untimed before the first.
    let mut race = Race::new("one depth batch, then the best five levels", 1);
    race.add_prepared(
        "book",
        |first| {
            if first == 0 {
                for event in &batches[0] {
                    let _ = book.borrow_mut().apply(event);
                }
            }
        },
        |range| {
            let mut book = book.borrow_mut();
            for batch in &batches[range.start + 1..range.end + 1] {
                for event in batch {
                    let _ = book.apply(event);
                }
                black_box(top(&book));
            }
        },
    );
    race.add_prepared(
        "two BTreeMaps",
        |first| {
            if first == 0 {
                batches[0].iter().for_each(|event| tree.borrow_mut().apply(event));
            }
        },
        |range| {
            let mut tree = tree.borrow_mut();
            for batch in &batches[range.start + 1..range.end + 1] {
                for event in batch {
                    tree.apply(event);
                }
                black_box(tree.top());
            }
        },
    );
    let outcome = race.run(bench, ROUNDS, batches.len() - 1);
    let per_level = outcome.mean("book") / each;
    println!("  book: {per_level:.1} ns a level change on average");
    bench.figure("batch_p50_ns", outcome.nanos("book", 0.5));
    bench.figure("batch_p99_ns", outcome.nanos("book", 0.99));
    bench.figure("level_change_mean_ns", per_level);
    bench.figure("btreemap_over_book", outcome.ratio("two BTreeMaps", "book"));
}

fn main() {
    let mut bench = Bench::start(
        "book: depth batches of one instrument into its book",
        &["decoding: `decode` has it", "features on top of the book: `features` has them"],
    );
    harness::machine::pin_last();
    let tape = Tape::best(bench.count(170_000, 10_000));
    println!("{}", tape.describe());
    race(&mut bench, &tape);
    bench.finish();
}
