//! Inputs for feature tests: a seeded market, hostile streams, and the recording.

use crate::features_seen::Step;
use peregrine::base::event::{
    Event, Funding, Level, Liquidation, MarkPrice, OpenInterest, Timer, Trade, flags,
};
use peregrine::base::settings::FeatureSettings;
use peregrine::base::units::parse_fixed;
use peregrine::base::{InstrumentId, Kind, Nanos};
use peregrine::features::{FeatureEngine, FeatureVector, TopOfBook};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

/// 2024-08-08 23:58:00 UTC: midnight is near.
pub const START: i64 = 1_723_161_480_000_000_000;
pub const SECOND: i64 = 1_000_000_000;

pub const SETTINGS: FeatureSettings =
    FeatureSettings { bar_interval_ms: 1_000, market_age_ms_max: 30_000, slow_age_ms_max: 60_000 };

/// Runs an engine over `steps` and computes at `now`.
pub fn run(settings: &FeatureSettings, steps: &[Step], now: i64) -> FeatureVector {
    let mut engine = FeatureEngine::new(settings);
    for step in steps {
        feed(&mut engine, step);
    }
    let mut out = FeatureVector::EMPTY;
    engine.compute(Nanos(now), &mut out);
    out
}

pub fn feed(engine: &mut FeatureEngine, step: &Step) -> bool {
    match step {
        Step::Event(event) => engine.on_event(event).bar_closed,
        Step::Top(top, now) => engine.on_top(top, *now).bar_closed,
    }
}

pub fn timed(mut event: Event, at: i64) -> Step {
    event.ts_recv = at;
    event.ts_venue = at;
    Step::Event(event)
}

fn event<B: peregrine::base::event::Body>(kind: Kind, body: &B) -> Event {
    Event::new(kind, InstrumentId(0), body)
}

pub fn trade(at: i64, px: i64, qty: i64, sell: bool) -> Step {
    trade_of(Kind::Trade, at, at, px, qty, sell)
}

pub fn trade_of(kind: Kind, at: i64, ts_trade: i64, px: i64, qty: i64, sell: bool) -> Step {
    let body = Trade { px, qty, ts_trade, ..Trade::default() };
    timed(event(kind, &body).with_flags(if sell { flags::SELL } else { 0 }), at)
}

pub fn open_interest(at: i64, qty: i64) -> Step {
    timed(event(Kind::OpenInterest, &OpenInterest { qty, ts: at, ..Default::default() }), at)
}

pub fn mark(at: i64, mark_px: i64, index_px: i64, funding_rate: i64, ts_next_funding: i64) -> Step {
    let settle_px = mark_px;
    let body =
        MarkPrice { mark_px, index_px, settle_px, funding_rate, ts_next_funding, reserved: [0; 7] };
    timed(event(Kind::MarkPrice, &body), at)
}

pub fn funding(at: i64, rate: i64, ts_funding: i64) -> Step {
    timed(event(Kind::Funding, &Funding { rate, ts_funding, ..Default::default() }), at)
}

pub fn liquidation(at: i64, filled_qty: i64, sell: bool) -> Step {
    let body = Liquidation { filled_qty, ..Default::default() };
    let bits = if sell { flags::SELL } else { 0 };
    timed(event(Kind::Liquidation, &body).with_flags(bits), at)
}

pub fn timer(at: i64) -> Step {
    timed(Event::new(Kind::Timer, InstrumentId::NONE, &Timer::default()), at)
}

/// A top with `levels` levels a side from `bid_px` on and quantities drawn from `qty`.
pub fn top(at: i64, bid_px: i64, spread: i64, levels: usize, mut qty: impl FnMut() -> i64) -> Step {
    let mut top = TopOfBook { valid: true, ..TopOfBook::default() };
    let (mut bid, mut ask) = (bid_px, bid_px + spread);
    for i in 0..levels {
        let (bid_qty, ask_qty) = (qty(), qty());
        top.bid[i] = Level { px: bid, qty: bid_qty };
        top.ask[i] = Level { px: ask, qty: ask_qty };
        // Uneven gaps, so that the sides differ in reach.
        bid = bid.saturating_sub(1_000_000 + bid_qty % 3 * 500_000);
        ask = ask.saturating_add(1_000_000 + ask_qty % 5 * 500_000);
    }
    Step::Top(top, Nanos(at))
}

/// A market with every input: `seconds` long, about ten inputs a second, whole in every respect.
pub fn market(seed: u64, start: i64, seconds: i64) -> Vec<Step> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut steps = Vec::new();
    let mut px = 6_000_000_000_000_i64;
    let mut oi = 8_000_000_000_000_i64;
    for n in 0..8 {
        let settled = start - (8 - n) * 8 * 3_600 * SECOND + 3_600 * SECOND;
        steps.push(funding(start, rng.random_range(-20_000..20_000), settled));
    }
    let mut at = start;
    while at < start + seconds * SECOND {
        at += rng.random_range(0..200_000_000);
        px += rng.random_range(-30..=30) * 10_000_000;
        let sell = rng.random_bool(0.5);
        let mut size = || rng.random_range(1..4_000_000) * 1_000;
        steps.push(match size() / 1_000 % 20 {
            // One trade in about ten is large.
            0 => trade(at, px, 30 * size(), sell),
            1..8 => trade(at, px, size(), sell),
            8..16 => top(at, px, 10_000_000, 1 + (size() / 1_000 % 5) as usize, &mut size),
            16 => {
                oi += size() - size();
                open_interest(at, oi)
            }
            17 => {
                let next = (at / (8 * 3_600 * SECOND) + 1) * 8 * 3_600 * SECOND;
                mark(at, px + size() / 100, px, size() / 1_000_000, next)
            }
            18 => liquidation(at, size(), sell),
            _ => timer(at),
        });
    }
    steps
}

/// The recordings' folder, if it is there.
pub fn data_dir() -> Option<PathBuf> {
    let default = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("PEREGRINE_DATA").map_or(default, PathBuf::from);
    dir.is_dir().then_some(dir)
}

/// Trades and best bid and offer of a recording, in the order received. `None`, said plainly, when
/// the recording is not there.
pub fn recording(name: &str) -> Option<Vec<Step>> {
    let Some(file) = data_dir().and_then(|dir| std::fs::File::open(dir.join(name)).ok()) else {
        println!("{name} is absent: nothing was compared");
        return None;
    };
    let mut steps = Vec::new();
    for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
        let line = line.unwrap();
        let (at, json) = line.split_once(' ').unwrap();
        let frame: serde_json::Value = serde_json::from_str(json).unwrap();
        let data = &frame["data"];
        let fixed = |key: &str| parse_fixed(data[key].as_str().unwrap().as_bytes()).unwrap();
        let at: i64 = at.parse().unwrap();
        match data["e"].as_str() {
            Some("trade") => {
                let matched = data["T"].as_i64().unwrap() * 1_000_000;
                let sell = data["m"].as_bool().unwrap();
                steps.push(trade_of(Kind::Trade, at, matched, fixed("p"), fixed("q"), sell));
            }
            Some("bookTicker") => {
                let mut top = TopOfBook { valid: true, ..TopOfBook::default() };
                top.bid[0] = Level { px: fixed("b"), qty: fixed("B") };
                top.ask[0] = Level { px: fixed("a"), qty: fixed("A") };
                steps.push(Step::Top(top, Nanos(at)));
            }
            _ => {}
        }
    }
    Some(steps)
}
