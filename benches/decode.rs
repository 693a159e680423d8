//! Frames to events: the feed's scanners against typed JSON parsers.
//!
//! The feed does the whole job: symbol lookup, sequence check, 128-byte events. The others only
//! parse and read every number, so a ratio here is on the careful side.

#[path = "harness/mod.rs"]
mod harness;

use harness::tape::Tape;
use harness::{Bench, Race, Sequence};
use peregrine::base::event::{BookTicker, DepthLevels, Event, Kind, Trade};
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::units::parse_fixed;
use peregrine::base::{InstrumentId, Nanos, Reason};
use peregrine::exchange::spec::SymbolSpec;
use peregrine::feed::{EventBatch, Feed};
use serde::Deserialize;
use simd_json::Buffers;
use std::fmt::Write;
use std::hint::black_box;

const TS: Nanos = Nanos::from_secs(1_700_000_000);
/// Frames of one kind; a power of two, so that batches divide it.
const FRAMES: usize = 1_024;
const BATCH: usize = 32;
const ROUNDS: usize = 15;
const BATCHES: usize = 320;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    AggTrade,
    BookTicker,
    Depth,
}

#[derive(Deserialize)]
struct Combined<T> {
    #[expect(dead_code, reason = "part of the frame")]
    stream: serde::de::IgnoredAny,
    data: T,
}

#[derive(Deserialize)]
struct AggTradeText<'a> {
    #[serde(rename = "p")]
    px: &'a str,
    #[serde(rename = "q")]
    qty: &'a str,
    #[serde(rename = "a")]
    id: u64,
    #[serde(rename = "T")]
    ts: u64,
    #[serde(rename = "m")]
    maker: bool,
}

#[derive(Deserialize)]
struct TickerText<'a> {
    #[serde(rename = "u")]
    id: u64,
    #[serde(rename = "b")]
    bid_px: &'a str,
    #[serde(rename = "B")]
    bid_qty: &'a str,
    #[serde(rename = "a")]
    ask_px: &'a str,
    #[serde(rename = "A")]
    ask_qty: &'a str,
    #[serde(rename = "T")]
    ts: u64,
}

#[derive(Deserialize)]
struct DepthText<'a> {
    #[serde(rename = "u")]
    last_id: u64,
    #[serde(rename = "T")]
    ts: u64,
    #[serde(borrow, rename = "b")]
    bids: Vec<[&'a str; 2]>,
    #[serde(borrow, rename = "a")]
    asks: Vec<[&'a str; 2]>,
}

/// Everything a frame says, added up: equal sums mean equal readings.
trait Sum {
    fn sum(&self) -> u64;
}

fn fixed(text: &str) -> u64 {
    parse_fixed(text.as_bytes()).expect("frames hold lawful numbers") as u64
}

impl Sum for AggTradeText<'_> {
    fn sum(&self) -> u64 {
        [fixed(self.px), fixed(self.qty), self.id, self.ts * 1_000_000, u64::from(self.maker)]
            .into_iter()
            .fold(0, u64::wrapping_add)
    }
}

impl Sum for TickerText<'_> {
    fn sum(&self) -> u64 {
        let numbers = [self.bid_px, self.bid_qty, self.ask_px, self.ask_qty].map(fixed);
        numbers.into_iter().fold(self.id + self.ts * 1_000_000, u64::wrapping_add)
    }
}

impl Sum for DepthText<'_> {
    fn sum(&self) -> u64 {
        let levels = self.bids.iter().chain(&self.asks).flatten();
        levels.fold(self.last_id + self.ts * 1_000_000, |sum, n| sum.wrapping_add(fixed(n)))
    }
}

/// The same sum of the feed's events.
fn sum_of(events: &[Event]) -> u64 {
    let mut sum = 0_u64;
    for event in events {
        let added = match event.kind() {
            Some(Kind::AggTrade) => {
                let t: &Trade = event.body();
                let maker = u64::from(event.has(peregrine::base::event::flags::SELL));
                [t.px as u64, t.qty as u64, t.trade_id, t.ts_trade as u64, maker]
                    .into_iter()
                    .fold(0, u64::wrapping_add)
            }
            Some(Kind::BookTicker) => {
                let t: &BookTicker = event.body();
                [t.bid_px, t.bid_qty, t.ask_px, t.ask_qty, t.ts_match]
                    .into_iter()
                    .fold(t.update_id, |sum, n| sum.wrapping_add(n as u64))
            }
            Some(Kind::DepthHead) => {
                let head: &peregrine::base::event::DepthHead = event.body();
                head.last_id + head.ts_match as u64
            }
            Some(Kind::DepthLevels) => {
                let levels = &event.body::<DepthLevels>().levels;
                levels.iter().fold(0_u64, |sum, l| sum.wrapping_add((l.px + l.qty) as u64))
            }
            _ => 0,
        };
        sum = sum.wrapping_add(added);
    }
    sum
}

fn by_serde_json(form: Form, frame: &[u8]) -> u64 {
    fn read<'f, T: Sum + Deserialize<'f>>(frame: &'f [u8]) -> u64 {
        let read: Combined<T> = serde_json::from_slice(frame).expect("a good frame");
        read.data.sum()
    }
    match form {
        Form::AggTrade => read::<AggTradeText<'_>>(frame),
        Form::BookTicker => read::<TickerText<'_>>(frame),
        Form::Depth => read::<DepthText<'_>>(frame),
    }
}

/// simd-json parses in place, so the frame is copied first, as it must be where its bytes are kept.
fn by_simd_json(form: Form, frame: &[u8], scratch: &mut Vec<u8>, buffers: &mut Buffers) -> u64 {
    fn read<'f, T: Sum + Deserialize<'f>>(text: &'f mut [u8], buffers: &mut Buffers) -> u64 {
        let read: Combined<T> =
            simd_json::serde::from_slice_with_buffers(text, buffers).expect("a good frame");
        read.data.sum()
    }
    scratch.clear();
    scratch.extend_from_slice(frame);
    match form {
        Form::AggTrade => read::<AggTradeText<'_>>(scratch, buffers),
        Form::BookTicker => read::<TickerText<'_>>(scratch, buffers),
        Form::Depth => read::<DepthText<'_>>(scratch, buffers),
    }
}

/// Frames of one kind and what the feed needs to read them in order.
struct Sample {
    label: &'static str,
    form: Form,
    frames: Vec<Vec<u8>>,
    instruments: Vec<InstrumentSettings>,
    /// Depth: a change and a snapshot that make the first frame the next one.
    primer: Option<(Vec<u8>, Vec<u8>)>,
}

impl Sample {
    /// Brings the feed to where the first frame follows.
    fn rewind(&self, feed: &mut Feed, out: &mut EventBatch) {
        let Some((change, snapshot)) = &self.primer else { return };
        feed.resync(InstrumentId(0), Reason::BookGap, TS, out);
        feed.on_frame(change, TS, out);
        feed.on_snapshot(InstrumentId(0), snapshot, TS, out);
        while feed.drain(out) {}
    }

    /// Every reader gives the same sum for every frame.
    fn check(&self) {
        let mut feed = Feed::new(&self.instruments);
        let (mut out, mut scratch, mut buffers) =
            (EventBatch::new(), Vec::new(), Buffers::default());
        self.rewind(&mut feed, &mut out);
        let fallbacks = feed.stats().fallbacks;
        for frame in &self.frames {
            feed.on_frame(frame, TS, &mut out);
            let text = String::from_utf8_lossy(frame);
            assert!(!out.is_empty(), "{}: no event of {text}", self.label);
            let sum = sum_of(out.as_slice());
            assert_eq!(sum, by_serde_json(self.form, frame), "{}: {text}", self.label);
            let other = by_simd_json(self.form, frame, &mut scratch, &mut buffers);
            assert_eq!(sum, other, "{}: {text}", self.label);
        }
        assert_eq!(feed.stats().fallbacks, fallbacks, "{}: not read by hand", self.label);
        assert_eq!(feed.stats().malformed_count(), 0, "{}", self.label);
    }
}

fn synthetic(label: &'static str, form: Form, levels: usize) -> Sample {
    let mut sequence = Sequence::new(11);
    let mut frames = Vec::with_capacity(FRAMES);
    for i in 0..=FRAMES as u64 {
        frames.push(frame(form, levels, i, &mut sequence).into_bytes());
    }
    let change = frames.remove(0);
    let snapshot = "{\"lastUpdateId\":5123107840000,\"E\":1723161256499,\"T\":1723161256498,\
                    \"bids\":[[\"100.00\",\"1.000\"]],\"asks\":[[\"90000.00\",\"1.000\"]]}";
    let primer = (form == Form::Depth).then(|| (change, snapshot.as_bytes().to_vec()));
    let instruments = vec![SymbolSpec::btcusdt().instrument()];
    Sample { label, form, frames, instruments, primer }
}

fn frame(form: Form, levels: usize, i: u64, random: &mut Sequence) -> String {
    let mut text = String::new();
    let (event, ts) = (1_723_161_256_500 + i, 1_723_161_256_498 + i);
    let id = 5_123_107_840_000 + i * 50;
    let px =
        |random: &mut Sequence| format!("{}.{}0", 61_000 + random.below(900), random.below(10));
    let qty = |random: &mut Sequence| {
        let digits = random.below(7);
        format!("{}.{:03}", random.below(1 << digits), random.below(1_000))
    };
    let (a, b, c, d) = (px(random), qty(random), px(random), qty(random));
    let done = match form {
        Form::AggTrade => write!(
            text,
            "{{\"stream\":\"btcusdt@aggTrade\",\"data\":{{\"e\":\"aggTrade\",\"E\":{event},\
             \"a\":{id},\"s\":\"BTCUSDT\",\"p\":\"{a}\",\"q\":\"{b}\",\"f\":{i},\"l\":{i},\
             \"T\":{ts},\"m\":{}}}}}",
            random.below(2) == 1
        ),
        Form::BookTicker => write!(
            text,
            "{{\"stream\":\"btcusdt@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":{id},\
             \"s\":\"BTCUSDT\",\"b\":\"{a}\",\"B\":\"{b}\",\"a\":\"{c}\",\"A\":\"{d}\",\
             \"T\":{ts},\"E\":{event}}}}}"
        ),
        Form::Depth => {
            let mut side = || {
                let level =
                    |random: &mut Sequence| format!("[\"{}\",\"{}\"]", px(random), qty(random));
                let levels: Vec<String> = (0..levels / 2).map(|_| level(random)).collect();
                levels.join(",")
            };
            let (bids, asks) = (side(), side());
            write!(
                text,
                "{{\"stream\":\"btcusdt@depth@100ms\",\"data\":{{\"e\":\"depthUpdate\",\
                 \"E\":{event},\"T\":{ts},\"s\":\"BTCUSDT\",\"U\":{},\"u\":{id},\"pu\":{},\
                 \"b\":[{bids}],\"a\":[{asks}]}}}}",
                id - 49,
                id - 50
            )
        }
    };
    done.expect("a string takes everything");
    text
}

/// Frames of the recorded tape, where it is a recorded one.
fn recorded(tape: &Tape, label: &'static str, form: Form, kind: Kind) -> Option<Sample> {
    let mut frames = tape.frames_of(kind);
    let whole = frames.len() / BATCH * BATCH;
    frames.truncate(whole.min(FRAMES));
    if frames.is_empty() || form == Form::Depth {
        return None;
    }
    let instruments = tape.instruments.clone();
    Some(Sample { label, form, frames, instruments, primer: None })
}

fn race(bench: &mut Bench, sample: &Sample) {
    sample.check();
    let count = sample.frames.len();
    let bytes = sample.frames.iter().map(Vec::len).sum::<usize>() / count;
    println!("\n{}: {count} frames, {bytes} bytes on average, equal sums", sample.label);
    let feed = std::cell::RefCell::new((Feed::new(&sample.instruments), EventBatch::new()));
    let (mut scratch, mut buffers) = (Vec::new(), Buffers::default());
    let frames = &sample.frames;
    let mut race = Race::new(sample.label, BATCH);
    race.add_prepared(
        "feed",
        |first| {
            if first % count == 0 {
                let (feed, out) = &mut *feed.borrow_mut();
                sample.rewind(feed, out);
            }
        },
        |range| {
            let (feed, out) = &mut *feed.borrow_mut();
            for i in range {
                feed.on_frame(&frames[i % count], TS, out);
                black_box(sum_of(out.as_slice()));
            }
        },
    );
    race.add("simd-json typed", |range| {
        for i in range {
            black_box(by_simd_json(sample.form, &frames[i % count], &mut scratch, &mut buffers));
        }
    });
    race.add("serde_json typed", |range| {
        for i in range {
            black_box(by_serde_json(sample.form, &frames[i % count]));
        }
    });
    let outcome = race.run(bench, ROUNDS, BATCHES);
    let ratio = outcome.ratio("simd-json typed", "feed");
    bench.figure(&format!("{}_feed_p50_ns", sample.label), outcome.nanos("feed", 0.5));
    bench.figure(&format!("{}_feed_p99_ns", sample.label), outcome.nanos("feed", 0.99));
    bench.figure(&format!("{}_simd_json_over_feed", sample.label), ratio);
    let other = outcome.ratio("serde_json typed", "feed");
    bench.figure(&format!("{}_serde_json_over_feed", sample.label), other);
    let least = if sample.form == Form::Depth { 2.0 } else { 4.0 };
    bench.target(&format!("{} simd-json / feed", sample.label), ratio, Some(least), None);
}

fn main() {
    let mut bench = Bench::start(
        "decode: one text frame to 128-byte events",
        &["the socket and the WebSocket framing", "the copy out of the socket's buffer"],
    );
    harness::machine::pin_last();
    for sample in [
        synthetic("agg_trade", Form::AggTrade, 0),
        synthetic("book_ticker", Form::BookTicker, 0),
        synthetic("depth_20", Form::Depth, 20),
        synthetic("depth_100", Form::Depth, 100),
    ] {
        race(&mut bench, &sample);
    }
    let limit = bench.count(20_000, 4_000);
    let tape = Tape::best(limit);
    println!("\n{}", tape.describe());
    let label = "book_ticker_recorded";
    match recorded(&tape, label, Form::BookTicker, Kind::BookTicker) {
        Some(sample) if tape.name == "recorded" => race(&mut bench, &sample),
        _ => bench.absent(label, "no recording"),
    }
    bench.finish();
}
