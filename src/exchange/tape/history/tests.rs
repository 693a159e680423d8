use super::bar::Bar;
use super::interval::Interval;
use super::layers::{CANDLES_MAX, LAYERS, Wanted};
use super::{AGGREGATES_MAX, FUNDINGS_MAX, History, INTERESTS_MAX, Opening, TRADES_MAX};
use crate::base::{Nanos, Side};
use crate::exchange::SymbolSpec;
use crate::exchange::tape::frames::{Mark, Print};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// 2026-07-03 17:08:28 UTC.
const NOW: Nanos = Nanos::from_secs(1_783_098_508);

fn opening() -> Opening {
    Opening { now: NOW, trade_id: 5_000_000_000, agg_id: 2_000_000_000, open_interest: 60_000_000 }
}

fn history() -> History {
    let rng = ChaCha8Rng::seed_from_u64(3);
    History::backfill(&SymbolSpec::btcusdt(), &opening(), rng)
}

fn wanted(interval: Interval, limit: usize) -> Wanted {
    Wanted { interval, from: None, to: NOW, limit }
}

#[test]
fn the_past_is_as_long_as_the_venue_gives_and_ends_where_the_market_opens() {
    let history = history();
    let start = SymbolSpec::btcusdt().start_px.0 / SymbolSpec::btcusdt().tick_size.0;
    for interval in Interval::all() {
        let bars = history.bars().list(&wanted(interval, CANDLES_MAX));
        let marks = history.marks().list(&wanted(interval, CANDLES_MAX));
        // BTCUSDT has been listed for 2 490 days: 830 candles of 3d, 355 weeks, 81 months.
        let least = match interval.name() {
            "3d" => 825,
            "1w" => 350,
            "1M" => 80,
            _ => CANDLES_MAX,
        };
        assert!(bars.len() >= least && marks.len() == bars.len(), "{interval:?}: {}", bars.len());
        for pair in bars.windows(2) {
            assert_eq!(interval.step(pair[0].opened, 1), pair[1].opened, "{interval:?}");
            assert_eq!(pair[0].last_id + 1, pair[1].first_id, "{interval:?}");
        }
        for (bar, mark) in bars.iter().zip(&marks) {
            assert_eq!(bar.opened, mark.opened);
            assert!(bar.low <= bar.open.min(bar.close) && bar.high >= bar.open.max(bar.close));
            assert!(mark.mark.low <= mark.mark.open.min(mark.mark.close));
            assert!(bar.low > start / 20 && bar.high < start * 20, "{bar:?}");
            assert!(bar.taker_lots <= bar.lots && bar.taker_turnover <= bar.turnover);
        }
        let last = bars.last().expect("a candle");
        assert_eq!(last.opened, interval.start_of(NOW));
        assert_eq!(last.last_id, opening().trade_id);
        assert!((last.close - start).abs() * 1_000 < start, "{}", last.close);
    }
    assert!(history.trades().len() >= 5_000);
    assert_eq!(history.trades().back().map(|trade| trade.id), Some(opening().trade_id));
    assert_eq!(history.aggregates().back().map(|own| own.id), Some(opening().agg_id));
    assert_eq!(history.fundings().len(), FUNDINGS_MAX);
    assert!(history.interests().len() >= 30 * 288);
    let trades = history.trades();
    assert!(
        trades.iter().zip(trades.iter().skip(1)).all(|(a, b)| a.ts <= b.ts && a.id + 1 == b.id)
    );
}

#[test]
fn the_same_seed_gives_the_same_past() {
    let [first, second] = [history(), history()];
    let bars = |history: &History| history.bars().list(&wanted(Interval::MINUTE, 1_500));
    assert_eq!(bars(&first), bars(&second));
    assert_eq!(first.fundings(), second.fundings());
}

/// What a candle is by its definition, from the trades inside.
fn naive(trades: &[(Nanos, i64, Print)], opened: Nanos, end: Nanos) -> Option<Bar> {
    let inside = trades.iter().filter(|(ts, ..)| (opened..end).contains(ts));
    let inside: Vec<_> = inside.collect();
    let (_, first_id, first) = inside.first()?;
    let (_, last_id, last) = inside.last()?;
    let sum = |of: fn(&Print) -> i64| inside.iter().map(|(.., print)| of(print)).sum();
    Some(Bar {
        opened,
        open: first.tick,
        high: inside.iter().map(|(.., print)| print.tick).max()?,
        low: inside.iter().map(|(.., print)| print.tick).min()?,
        close: last.tick,
        lots: sum(|print| print.lots),
        turnover: sum(|print| print.tick * print.lots),
        taker_lots: sum(|print| if print.taker == Side::Buy { print.lots } else { 0 }),
        taker_turnover: sum(|print| match print.taker {
            Side::Buy => print.tick * print.lots,
            Side::Sell => 0,
        }),
        trades: inside.len() as i64,
        first_id: *first_id,
        last_id: *last_id,
    })
}

#[test]
fn candles_and_the_rolling_day_are_the_sums_of_their_trades() {
    let mut history = history();
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    // Two days with a trade every minute or so, some minutes without any.
    let mut trades = Vec::new();
    let mut ts = Interval::Month.step(Interval::Month.start_of(NOW), 1) - Nanos::from_secs(86_400);
    let first = ts;
    let mut second = NOW;
    for id in 5_000_000_001..5_000_003_001 {
        ts = ts + Nanos(rng.random_range(0..120_000_000_000));
        while second <= ts {
            history.on_second(second, &Mark::at_rest(&SymbolSpec::btcusdt(), second), 1);
            second = second + Nanos::from_secs(60);
        }
        let taker = if rng.random() { Side::Buy } else { Side::Sell };
        let tick = rng.random_range(590_000..610_000);
        let print = Print { tick, lots: rng.random_range(1..5_000), taker };
        history.on_trade(ts, id, print);
        trades.push((ts, id, print));
    }
    for interval in Interval::all() {
        let list = Wanted { interval, from: Some(first), to: ts, limit: CANDLES_MAX };
        let bars = history.bars().list(&list);
        // No week begins within the span.
        assert!(!bars.is_empty() || interval == Interval::Week, "{interval:?}");
        let mut close = None;
        for bar in bars {
            let own = naive(&trades, bar.opened, interval.step(bar.opened, 1));
            let quiet = || Bar::quiet(bar.opened, close.unwrap_or(bar.close));
            assert_eq!(bar, own.unwrap_or_else(quiet), "{interval:?}");
            close = Some(bar.close);
        }
    }
    let opened = ts.floor_to(Nanos::from_secs(60)) - Nanos::from_secs(86_400);
    let day = naive(&trades, opened, ts + Nanos(1)).expect("trades within the day");
    assert_eq!(history.last_day(ts), day);
    let second = ts.floor_to(Nanos::from_secs(1));
    let own = naive(&trades, second, second + Nanos::from_secs(1)).expect("the last trade");
    assert_eq!(history.second(second), own);
}

#[test]
fn candles_are_chosen_as_the_venue_does() {
    let history = history();
    let list = |from: Option<i64>, to: i64, limit| {
        let from = from
            .map(|minutes| Nanos(NOW.floor_to(Nanos::from_secs(60)).0 + minutes * 60_000_000_000));
        let to = Nanos(NOW.floor_to(Nanos::from_secs(60)).0 + to * 60_000_000_000);
        let interval = Interval::MINUTE;
        let bars = history.bars().list(&Wanted { interval, from, to, limit });
        let minute =
            |bar: &Bar| (bar.opened - NOW.floor_to(Nanos::from_secs(60))).0 / 60_000_000_000;
        (bars.first().map(minute), bars.last().map(minute), bars.len())
    };
    // The last ones; the first ones from a start; both ends; nothing after the present.
    assert_eq!(list(None, 0, 10), (Some(-9), Some(0), 10));
    assert_eq!(list(Some(-100), 0, 10), (Some(-100), Some(-91), 10));
    assert_eq!(list(Some(-100), -95, 10), (Some(-100), Some(-95), 6));
    assert_eq!(list(None, -50, 3), (Some(-52), Some(-50), 3));
    assert_eq!(list(None, 999, 2), (Some(-1), Some(0), 2));
    assert_eq!(list(Some(5), 999, 2), (None, None, 0));
}

#[test]
fn a_settlement_notes_the_rate_that_stood_before_it() {
    let mut history = history();
    let spec = SymbolSpec::btcusdt();
    let due = spec.next_funding(NOW);
    let before = Mark { rate: 12_345, next: due, ..Mark::at_rest(&spec, NOW) };
    history.on_second(due - Nanos::from_secs(1), &before, 1);
    assert_eq!(history.fundings().back().map(|own| own.ts < NOW), Some(true));
    let after = Mark { rate: 1, mark: 7, next: spec.next_funding(due), ..before };
    history.on_second(due, &after, 1);
    let last = history.fundings().back().expect("a settlement");
    assert_eq!((last.ts, last.rate, last.mark), (due, 12_345, 7));
    assert_eq!(history.fundings().len(), FUNDINGS_MAX);
}

#[test]
fn a_contract_that_trades_for_long_keeps_so_much_and_takes_no_more_room() {
    let print = Print { tick: 600_000, lots: 3, taker: Side::Sell };
    for mut history in [history(), History::unknown(&SymbolSpec::btcusdt(), NOW)] {
        let room =
            |history: &History| (history.trades().capacity(), history.aggregates().capacity());
        let before = room(&history);
        for n in 1..=3 * TRADES_MAX as i64 {
            let ts = NOW + Nanos::from_millis(n);
            history.on_trade(ts, opening().trade_id + n, print);
            history.on_aggregate(ts, opening().agg_id + n, (n, n), print);
        }
        let last = opening().trade_id + 3 * TRADES_MAX as i64;
        assert_eq!(history.trades().len(), TRADES_MAX);
        assert_eq!(history.aggregates().len(), AGGREGATES_MAX);
        assert_eq!(history.trades().back().map(|trade| trade.id), Some(last));
        assert_eq!(history.trades()[0].id, last - TRADES_MAX as i64 + 1);
        assert_eq!(room(&history), before);

        // Twenty thousand hours later: more than any layer but that of days keeps.
        let later = NOW + Nanos::from_secs(20_000 * 3_600);
        history.on_second(
            later.floor_to(Nanos::from_secs(300)),
            &Mark::at_rest(&SymbolSpec::btcusdt(), later),
            1,
        );
        assert_eq!(history.bars().minutes_since(Nanos::ZERO).count(), LAYERS[0].1);
        assert_eq!(history.marks().minutes_since(Nanos::ZERO).count(), LAYERS[0].1);
        let hours = wanted(Interval::parse("1h").unwrap(), usize::MAX / 2);
        let hours = history.bars().list(&Wanted { from: Some(Nanos::ZERO), to: later, ..hours });
        assert_eq!(hours.len(), LAYERS[2].1);
        for n in 0..2 * INTERESTS_MAX as i64 {
            let ts = later.floor_to(Nanos::from_secs(300)) + Nanos::from_secs(300 * n);
            history.on_second(ts, &Mark::at_rest(&SymbolSpec::btcusdt(), ts), n);
        }
        assert_eq!(history.interests().len(), INTERESTS_MAX);
    }
}
