//! A recording drives the market, and clients stand in its way.

use super::client::{Resting, lots_of, px_of, qty_of, tick_of};
use super::market::SyntheticMarket;
use super::recording::{Act, Recorded, Recording};
use super::replay::{Pace, Replay};
use super::trading::Fill;
use crate::base::units::notional;
use crate::base::{Money, Nanos, Px, Qty, Side};
use crate::exchange::matching::{Hit, Owner};
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Stream;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const OPEN: Nanos = Nanos::from_secs(1_700_000_000);
const ANN: Owner = Owner(1);

/// One recorded contract with bids at 99 (10 lots) and 98 (20), asks at 101 (10) and 102 (20).
fn desk() -> SyntheticMarket {
    let mut market = SyntheticMarket::recorded(7, &[SymbolSpec::btcusdt()], OPEN);
    let level = |side, tick, lots| Act::Level { side, tick, lots };
    let acts = [
        Act::Clear,
        level(Side::Buy, 99, 10),
        level(Side::Buy, 98, 20),
        level(Side::Sell, 101, 10),
        level(Side::Sell, 102, 20),
        Act::Changed,
    ];
    acts.into_iter().for_each(|act| replay(&mut market, act));
    market
}

fn replay(market: &mut SyntheticMarket, act: Act) {
    market.replay(OPEN, &Recorded { ts: OPEN, contract: 0, act });
}

fn rest(market: &mut SyntheticMarket, side: Side, tick: i64, lots: i64) {
    market.client_rest(OPEN, 0, Resting { owner: ANN, order: 1, side, tick, lots });
}

/// The client's fills since the last call, as (tick, lots).
fn fills(market: &mut SyntheticMarket) -> Vec<(i64, i64)> {
    let trade = |(_, fill): &(usize, Fill)| match fill.hit {
        Hit::Trade { maker: ANN, tick, lots, .. } => Some((tick, lots)),
        _ => None,
    };
    market.take_fills().iter().filter_map(trade).collect()
}

fn sell(tick: i64, lots: i64) -> Act {
    Act::Trade { taker: Side::Sell, tick, lots }
}

#[test]
fn a_client_behind_the_recorded_queue_is_filled_by_what_trades_past_it() {
    let mut market = desk();
    rest(&mut market, Side::Buy, 99, 5);
    replay(&mut market, sell(99, 7));
    assert_eq!(fills(&mut market), [], "seven of the ten ahead are gone");
    // History sold 6 more: three to those ahead, three to the client.
    replay(&mut market, sell(99, 6));
    assert_eq!(fills(&mut market), [(99, 3)]);
}

#[test]
fn a_trade_beyond_a_clients_price_fills_the_client_first_and_at_its_price() {
    let mut market = desk();
    rest(&mut market, Side::Buy, 100, 4);
    replay(&mut market, sell(98, 6));
    assert_eq!(fills(&mut market), [(100, 4)]);
    assert_eq!(market.book(0).top().bid, (98, 18), "the rest of the trade took two at 98");
}

#[test]
fn a_recorded_level_that_moves_through_a_clients_price_trades_with_it() {
    let mut market = desk();
    rest(&mut market, Side::Sell, 100, 4);
    replay(&mut market, Act::Quote { bid: (100, 3), ask: (101, 10) });
    assert_eq!(fills(&mut market), [(100, 3)]);
    assert_eq!(market.book(0).top().ask, (100, 1));
    replay(&mut market, Act::Quote { bid: (102, 50), ask: (103, 10) });
    assert_eq!(fills(&mut market), [(100, 1)]);
    assert_eq!(market.book(0).top().bid, (102, 49));
}

#[test]
fn crossing_levels_of_the_crowd_leave_a_book_that_does_not_cross() {
    let mut market = desk();
    replay(&mut market, Act::Level { side: Side::Buy, tick: 101, lots: 3 });
    replay(&mut market, Act::Changed);
    let top = market.book(0).top();
    assert!(top.bid.0 < top.ask.0, "{top:?}");
}

#[test]
fn nobody_is_filled_while_trading_is_halted() {
    let mut market = desk();
    rest(&mut market, Side::Sell, 100, 4);
    market.at_mut(0).halted = true;
    replay(&mut market, Act::Quote { bid: (100, 3), ask: (101, 10) });
    replay(&mut market, Act::Trade { taker: Side::Buy, tick: 101, lots: 5 });
    market.gap(OPEN, 0, 500);
    assert_eq!(fills(&mut market), []);
    assert_eq!(market.book(0).top().ask, (100, 4));
    market.at_mut(0).halted = false;
    replay(&mut market, Act::Quote { bid: (100, 3), ask: (101, 10) });
    assert_eq!(fills(&mut market), [(100, 3)]);
}

#[test]
fn a_jump_begins_where_the_recording_is() {
    let mut market = SyntheticMarket::recorded(7, &[SymbolSpec::btcusdt()], OPEN);
    for (side, tick) in [(Side::Buy, 10_000), (Side::Sell, 10_002)] {
        replay(&mut market, Act::Level { side, tick, lots: 10 });
    }
    rest(&mut market, Side::Buy, 9_900, 4);
    market.gap(OPEN, 0, 100);
    let top = market.book(0).top();
    assert_eq!((top.bid.0, top.ask.0), (10_101, 10_102), "one per cent above 10 001");
    assert_eq!(fills(&mut market), [], "a bid below is not met by a jump upward");
}

fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("PEREGRINE_DATA").map_or(beside, PathBuf::from);
    let file = dir.join("hftbacktest/usdm_btcusdt_20240808.gz");
    if !file.is_file() {
        println!("the recordings are absent: nothing was compared");
        return None;
    }
    Some(file)
}

#[test]
fn a_replayed_recording_prints_its_own_trades_and_shows_its_own_best_prices() {
    let Some(file) = data() else { return };
    let mut recording = Recording::open(std::slice::from_ref(&file)).expect("a recording opens");
    let spec = recording.specs()[0];
    let mut market = SyntheticMarket::recorded(1, &[spec], OPEN);
    let mut traded: BTreeMap<i64, i64> = BTreeMap::new();
    let mut quotes = 0;
    while let Some(recorded) = recording.next_act() {
        market.replay(OPEN, &recorded);
        if let Act::Quote { bid, ask } = recorded.act {
            let top = market.book(0).top();
            assert_eq!((top.bid, top.ask), (bid, ask), "quote {quotes}");
            quotes += 1;
        }
        while let Some(frame) = market.pop() {
            if frame.kind == Stream::Trade {
                let body: Value = serde_json::from_slice(frame.data).expect("a frame is JSON");
                let px = Px::parse(body["p"].as_str().expect("a price")).expect("a decimal");
                let qty = Qty::parse(body["q"].as_str().expect("a quantity"));
                let lots = lots_of(&spec, qty.expect("a decimal")).expect("whole lots");
                *traded.entry(tick_of(&spec, px).expect("whole ticks")).or_default() += lots;
            }
        }
    }
    assert!(quotes > 10_000, "{quotes} quotes");
    // The independent sums beside the recording.
    let expected = file.with_file_name("usdm_btcusdt_20240808.expected.json");
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(expected).expect("the sums are there"))
            .expect("JSON");
    let sums = &expected["market_trades"];
    let qty = Qty::parse(sums["qty"].as_str().expect("a quantity")).expect("a decimal");
    assert_eq!(qty_of(&spec, traded.values().sum()), qty, "everything traded");
    let value = |(&tick, &lots): (&i64, &i64)| {
        notional(qty_of(&spec, lots), px_of(&spec, tick)).expect("in range").0
    };
    let notional = Money::parse(sums["notional"].as_str().expect("a value")).expect("a decimal");
    assert_eq!(traded.iter().map(value).sum::<i64>(), notional.0, "at its price");
}

#[test]
fn a_multiple_of_its_timing_scales_every_due_time_and_the_order_stays() {
    let Some(file) = data() else { return };
    let mut own = Replay::new(
        Recording::open(std::slice::from_ref(&file)).expect("opens"),
        Pace::Times(1.0),
        OPEN,
    );
    let mut fast = Replay::new(Recording::open(&[file]).expect("opens"), Pace::Times(10.0), OPEN);
    let specs = own.specs().to_vec();
    let mut markets = [0, 0].map(|_| SyntheticMarket::recorded(1, &specs, OPEN));
    for _ in 0..5_000 {
        let (slow, quick) = (own.next_due() - OPEN, fast.next_due() - OPEN);
        assert!((slow.0 / 10 - quick.0).abs() <= 1, "{slow:?} {quick:?}");
        own.turn(&mut markets[0]);
        fast.turn(&mut markets[1]);
    }
    assert_eq!(own.done(), 5_000);
}

#[test]
fn of_many_contracts_each_thing_happens_when_it_is_due_and_in_a_fixed_order() {
    let specs: Vec<SymbolSpec> = (1..=60).filter_map(SymbolSpec::made_up).collect();
    let mut market = SyntheticMarket::with_rate(3, &specs, OPEN, 20_000.0);
    let mut last = market.now();
    let mut frames = [[0_u32; Stream::ALL.len()]; 60];
    while last < OPEN + Nanos::from_secs(3) {
        assert_eq!(market.next_due(), market.due_by_hand());
        market.turn();
        assert!(market.now() >= last);
        last = market.now();
        while let Some(frame) = market.pop() {
            frames[frame.contract][frame.kind as usize] += 1;
        }
    }
    for (place, of) in frames.iter().enumerate() {
        let [depth, marks] = [Stream::Depth, Stream::MarkPrice].map(|kind| of[kind as usize]);
        assert!((25..=30).contains(&depth), "contract {place}: {depth} diffs in three seconds");
        assert!((2..=3).contains(&marks), "contract {place}: {marks} mark prices");
        assert!(of[Stream::BookTicker as usize] > 30, "contract {place}");
    }
}
