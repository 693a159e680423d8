//! `/futures/data`: open interest and ratios over time, 30 days back, counted by a limit of their
//! own.

use super::{Answered, Ask, body, list, unweighted};
use crate::base::Nanos;
use crate::base::units::SCALE;
use crate::exchange::flow::contract::Contract;
use crate::exchange::tape::history::bar::Bar;
use crate::exchange::tape::history::interval::{Interval, month_of};
use crate::exchange::tape::history::layers::Wanted;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::params::invalid;
use xxhash_rust::xxh3::xxh3_64;

/// How far back answers go.
const REACH: Nanos = Nanos::from_secs(30 * 86_400);
/// The periods there are.
const PERIODS: [&str; 9] = ["5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"];
/// One, in the ratios' own 1e-4 units.
const ONE: i64 = 10_000;

/// The period asked for and the times it is answered for, in order.
fn points(ask: &Ask<'_>) -> Result<(Interval, Vec<Nanos>), VenueError> {
    let text = ask.params.need("period")?;
    let known = PERIODS.contains(&text).then(|| Interval::parse(text)).flatten();
    let period = known.ok_or_else(|| invalid("period"))?;
    let limit = ask.limit(30, 500)?;
    let (start, end) = ask.times()?;
    let oldest = ask.now - REACH;
    if start.is_some_and(|start| start < oldest) {
        return Err(invalid("startTime"));
    }
    let last = period.start_of(end.map_or(ask.now, |end| end.min(ask.now)));
    let count = limit as i64 - 1;
    let first = match start {
        // Rounded up to the next point.
        Some(start) => period.step(period.start_of(start - Nanos(1)), 1),
        None => period.step(last, -count),
    };
    let last = last.min(period.step(first, count));
    let mut all = Vec::new();
    let mut ts = first;
    while ts <= last {
        if ts >= oldest {
            all.push(ts);
        }
        ts = period.step(ts, 1);
    }
    Ok((period, all))
}

/// `GET /futures/data/openInterestHist`.
pub(super) fn open_interest(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let (_, times) = points(ask)?;
    let (spec, history) = (&contract.spec, contract.history.as_deref());
    let notes = times.iter().filter_map(|&ts| {
        let all = history?.interests();
        all.get(all.partition_point(|note| note.ts < ts)).filter(|note| note.ts == ts)
    });
    let write = |json: &mut super::Json<'_>| {
        list(json, notes, |json, note| {
            let units = note.lots * spec.lot_size.0;
            let value = i128::from(units) * i128::from(note.mark) / i128::from(SCALE);
            json.raw("{\"symbol\":\"").raw(spec.symbol.as_str());
            json.raw("\",\"sumOpenInterest\":").fixed(units, 8);
            json.raw(",\"sumOpenInterestValue\":");
            super::wide(json, value, 8);
            json.raw(",\"CMCCirculatingSupply\":").fixed(spec.circulating.0, 8);
            json.raw(",\"timestamp\":").millis(note.ts).raw("}");
        });
    };
    unweighted(body(write))
}

/// The three ratios of longs and shorts, told apart by `what`. They follow nothing but the time.
pub(super) fn ratio(ask: &Ask<'_>, what: u8) -> Answered {
    let contract = ask.contract("symbol")?;
    let (_, times) = points(ask)?;
    let symbol = contract.spec.symbol.as_str();
    let write = |json: &mut super::Json<'_>| {
        list(json, times, |json, ts| {
            let long = long_share(symbol, what, ts);
            let short = ONE - long;
            json.raw("{\"symbol\":\"").raw(symbol).raw("\",\"longAccount\":");
            json.fixed(long * (SCALE / ONE), 4);
            json.raw(",\"longShortRatio\":").fixed(long * SCALE / short, 4);
            json.raw(",\"shortAccount\":").fixed(short * (SCALE / ONE), 4);
            json.raw(",\"timestamp\":").millis(ts).raw("}");
        });
    };
    unweighted(body(write))
}

/// Share of longs, 0.30 to 0.70 in 1e-4: slow and fast parts, each drawn from its stretch of time.
fn long_share(symbol: &str, what: u8, ts: Nanos) -> i64 {
    let part = |hours: f64| {
        let stretch = (ts.0 as f64 / (hours * 3.6e12)) as i64;
        let hash = xxh3_64(format!("{symbol}/{what}/{hours}/{stretch}").as_bytes());
        (hash % 1_001) as i64 - 500
    };
    ONE / 2 + 2 * part(24.0) + part(4.0) + part(1.0) / 2 + part(1.0 / 12.0) / 4
}

/// `GET /futures/data/takerlongshortRatio`.
pub(super) fn takers(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let (interval, times) = points(ask)?;
    let spec = &contract.spec;
    let bars = times.iter().filter_map(|&ts| bar_at(contract, interval, ts));
    let write = |json: &mut super::Json<'_>| {
        list(json, bars, |json, bar| {
            let (buys, sells) = (bar.taker_lots, (bar.lots - bar.taker_lots).max(1));
            let ratio = i128::from(buys) * i128::from(SCALE) / i128::from(sells);
            json.raw("{\"buySellRatio\":").fixed(ratio as i64, 4);
            json.raw(",\"sellVol\":").fixed(sells * spec.lot_size.0, 4);
            json.raw(",\"buyVol\":").fixed(buys * spec.lot_size.0, 4);
            json.raw(",\"timestamp\":").millis(bar.opened).raw("}");
        });
    };
    unweighted(body(write))
}

fn bar_at(contract: &Contract, interval: Interval, ts: Nanos) -> Option<Bar> {
    let wanted = Wanted { interval, from: Some(ts), to: ts, limit: 1 };
    contract.history.as_ref()?.bars().list(&wanted).pop()
}

/// `GET /futures/data/basis`.
pub(super) fn basis(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("pair")?;
    match ask.params.need("contractType")? {
        "PERPETUAL" => {}
        "CURRENT_QUARTER" | "NEXT_QUARTER" => return unweighted("[]".to_owned()),
        _ => return Err(VenueError::new(-4104, "Invalid contract type")),
    }
    let (_, times) = points(ask)?;
    let (spec, history) = (&contract.spec, contract.history.as_deref());
    let rows = times.iter().filter_map(|&ts| {
        let futures = history?.bars().holding(ts)?.open * spec.tick_size.0;
        Some((ts, futures, history?.marks().holding(ts)?.index.open))
    });
    let write = |json: &mut super::Json<'_>| {
        list(json, rows, |json, (ts, futures, index)| {
            let rate = i128::from(futures - index) * i128::from(SCALE) / i128::from(index.max(1));
            json.raw("{\"indexPrice\":").fixed(index, 8);
            json.raw(",\"contractType\":\"PERPETUAL\",\"basisRate\":").fixed(rate as i64, 4);
            json.raw(",\"futuresPrice\":").fixed(futures, spec.price_decimals);
            json.raw(",\"annualizedBasisRate\":\"\",\"basis\":").fixed(futures - index, 8);
            json.raw(",\"pair\":\"").raw(spec.symbol.as_str());
            json.raw("\",\"timestamp\":").millis(ts).raw("}");
        });
    };
    unweighted(body(write))
}

/// `GET /futures/data/delivery-price`: where the index stood on the last Fridays of quarters.
pub(super) fn deliveries(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("pair")?;
    let history = contract.history.as_deref();
    let mut rows = Vec::new();
    let mut month = Interval::Month.start_of(ask.now);
    while let Some(first) = history.and_then(|history| history.marks().oldest()) {
        if month < first {
            break;
        }
        // The day is shown; the contract ended at eight o'clock.
        let day = last_friday(Interval::Month.step(month, 1));
        let ts = day + Nanos::from_secs(8 * 3_600);
        // Quarters end with March, June, September and December.
        if month_of(month) % 3 == 0 && ts <= ask.now {
            let bar = history.and_then(|history| history.marks().holding(ts));
            rows.extend(bar.map(|bar| (day, bar.index.open)));
        }
        month = Interval::Month.step(month, -1);
    }
    let write = |json: &mut super::Json<'_>| {
        list(json, rows, |json, (ts, px)| {
            // A number, not a text, and to one decimal.
            let px = px / (SCALE / 10);
            json.raw("{\"deliveryTime\":").millis(ts).raw(",\"deliveryPrice\":");
            json.int(px / 10).raw(".").int(px % 10).raw("}");
        });
    };
    unweighted(body(write))
}

/// The last Friday before a month begins.
fn last_friday(next_month: Nanos) -> Nanos {
    let day = Nanos::from_secs(86_400);
    // Weeks begin on Monday; Friday is four days on.
    let last_day = next_month - day;
    let friday = Interval::Week.start_of(last_day) + Nanos(4 * day.0);
    if friday > last_day { friday - Nanos(7 * day.0) } else { friday }
}
