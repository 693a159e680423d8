//! The features once more, written for clarity alone: from the whole list of inputs, in one batch,
//! with textbook formulas, the system's mathematics library and no state carried along.

use crate::features_seen::{NaiveBar, NaiveTrade, Seen, Step, read};
use peregrine::base::Reason;
use peregrine::base::event::{Level, MarkPrice};
use peregrine::base::settings::FeatureSettings;
use peregrine::features::{FeatureVector, Input, SCHEMA, TopOfBook};
use std::collections::BTreeMap;
use std::f64::consts::{LN_2, TAU};

pub type Answers = BTreeMap<&'static str, Result<f64, Reason>>;

/// Every feature at `now`.
pub fn answers(settings: &FeatureSettings, steps: &[Step], now: i64) -> Answers {
    let seen = read(settings, steps);
    let mut values: BTreeMap<&'static str, Option<f64>> = BTreeMap::new();
    let first = seen.bars.iter().position(|bar| bar.close.is_some()).map_or(usize::MAX, |i| i + 1);
    let bars = seen.bars.get(first..).unwrap_or(&[]);
    price_features(bars, &mut values);
    volume_features(bars, &mut values);
    slow_features(&seen, bars, now, &mut values);
    trade_features(&seen, bars, now, settings, &mut values);
    book_features(&seen.tops, now, &mut values);
    let turn = now.rem_euclid(86_400_000_000_000) as f64 / 86_400e9;
    values.insert("hour_sin", Some((TAU * turn).sin()));
    values.insert("hour_cos", Some((TAU * turn).cos()));
    SCHEMA.iter().map(|spec| (spec.name, judge(&seen, settings, now, spec.name, &values))).collect()
}

fn judge(
    seen: &Seen,
    settings: &FeatureSettings,
    now: i64,
    name: &'static str,
    values: &BTreeMap<&'static str, Option<f64>>,
) -> Result<f64, Reason> {
    let market = i64::from(settings.market_age_ms_max) * 1_000_000;
    let slow = i64::from(settings.slow_age_ms_max) * 1_000_000;
    let inputs = SCHEMA.iter().find(|spec| spec.name == name).unwrap().inputs;
    let ages = [
        (Input::Trades, seen.trades.last().map(|t| t.0), market),
        (Input::Top, seen.tops.last().map(|t| t.0), market),
        (Input::Mark, seen.mark.map(|m| m.0), slow),
        (Input::OpenInterest, seen.oi.map(|o| o.0), slow),
        (Input::Funding, seen.settled.last().map(|s| s.0), 8 * 3_600_000_000_000 + slow),
        (Input::Liquidations, seen.liquidations.last().map(|l| l.0), i64::MAX),
    ];
    for (input, at, _) in ages {
        if inputs.has(input) && at.is_none() {
            let invalid = input == Input::Top && seen.top_invalid;
            return Err(if invalid { Reason::BookInvalid } else { Reason::FeatureInputMissing });
        }
    }
    if ages.iter().any(|(input, at, age)| inputs.has(*input) && now - at.unwrap() > *age) {
        return Err(Reason::FeatureInputStale);
    }
    if let Some((_, mark)) = seen.mark {
        let untold = (name == "minutes_to_funding" && mark.ts_next_funding == 0)
            || (name == "basis_bps" && mark.index_px == 0);
        if untold {
            return Err(Reason::FeatureInputMissing);
        }
    }
    match values.get(name).unwrap_or_else(|| panic!("the oracle lacks {name}")) {
        None => Err(Reason::FeatureWarmUp),
        Some(value) if (*value as f32).is_finite() => Ok(*value),
        Some(_) => Err(Reason::FeatureNotFinite),
    }
}

type Values = BTreeMap<&'static str, Option<f64>>;

/// The newest `n`, oldest first.
fn tail<T>(all: &[T], n: usize) -> Option<&[T]> {
    all.len().checked_sub(n).map(|from| &all[from..])
}

fn mean(x: &[f64]) -> f64 {
    x.iter().sum::<f64>() / x.len() as f64
}

fn sigma(x: &[f64]) -> f64 {
    if x.iter().all(|v| *v == x[0]) {
        return 0.0;
    }
    (x.iter().map(|v| (v - mean(x)).powi(2)).sum::<f64>() / x.len() as f64).sqrt()
}

fn zscore(x: &[f64]) -> f64 {
    if sigma(x) == 0.0 { 0.0 } else { (x[x.len() - 1] - mean(x)) / sigma(x) }
}

fn change(x: &[f64], k: usize) -> Option<f64> {
    tail(x, k + 1).map(|w| (w[k] - w[0]) / w[0])
}

fn ema(x: &[f64], n: f64) -> f64 {
    let alpha = 2.0 / (n + 1.0);
    let weight = |k: usize| (1.0 - alpha).powi(k as i32);
    let total: f64 = (0..x.len()).map(weight).sum();
    x.iter().rev().enumerate().map(|(k, v)| weight(k) * v).sum::<f64>() / total
}

fn price_features(bars: &[NaiveBar], out: &mut Values) {
    let close: Vec<f64> = bars.iter().map(|b| b.close.unwrap()).collect();
    let c = close.last().copied().unwrap_or(f64::NAN);
    out.insert("return_1", change(&close, 1));
    out.insert("return_5", change(&close, 5));
    out.insert("return_20", change(&close, 20));
    out.insert("log_return_1", tail(&close, 2).map(|w| w[1].ln() - w[0].ln()));
    let true_ranges: Vec<f64> = bars
        .windows(2)
        .map(|w| {
            let before = w[0].close.unwrap();
            let (h, l) = (w[1].high(), w[1].low());
            (h - l).max((h - before).abs()).max((l - before).abs())
        })
        .collect();
    let atr = tail(&true_ranges, 14).map(mean);
    out.insert("atr_14", atr);
    out.insert("natr", atr.map(|a| a / c));
    out.insert(
        "rsi_14",
        tail(&close, 15).map(|w| {
            let moves: Vec<f64> = w.windows(2).map(|p| p[1] - p[0]).collect();
            let gain = mean(&moves.iter().map(|m| m.max(0.0)).collect::<Vec<_>>());
            let loss = mean(&moves.iter().map(|m| (-m).max(0.0)).collect::<Vec<_>>());
            if gain == 0.0 && loss == 0.0 { 50.0 } else { 100.0 - 100.0 / (1.0 + gain / loss) }
        }),
    );
    let w20 = tail(&close, 20);
    let band = |k: f64| w20.map(|w| mean(w) + k * sigma(w));
    out.insert("bb_upper", band(2.0).map(|b| (b - c) / c));
    out.insert("bb_middle", band(0.0).map(|b| (b - c) / c));
    out.insert("bb_lower", band(-2.0).map(|b| (b - c) / c));
    let width = band(2.0).zip(band(-2.0)).map(|(upper, lower)| upper - lower);
    out.insert("bb_width", width.zip(w20).map(|(width, w)| width / mean(w)));
    out.insert(
        "bb_position",
        w20.map(|w| {
            let (lower, s) = (mean(w) - 2.0 * sigma(w), sigma(w));
            if s == 0.0 { 0.5 } else { (c - lower) / (4.0 * s) }
        }),
    );
    out.insert("price_to_sma20", w20.map(|w| (c - mean(w)) / mean(w)));
    out.insert("sma_cross_10_20", w20.map(|w| mean(&w[10..]) / mean(w) - 1.0));
    out.insert("macd_12_26", tail(&close, 78).map(|w| (ema(w, 12.0) - ema(w, 26.0)) / c));
    out.insert(
        "stoch_k_14",
        tail(bars, 14).map(|w| {
            let high = w.iter().map(NaiveBar::high).fold(f64::MIN, f64::max);
            let low = w.iter().map(NaiveBar::low).fold(f64::MAX, f64::min);
            if high == low { 50.0 } else { 100.0 * (c - low) / (high - low) }
        }),
    );
    out.insert(
        "realised_vol_20",
        tail(&close, 21).map(|w| {
            let squares: Vec<f64> = w.windows(2).map(|p| (p[1] / p[0]).ln().powi(2)).collect();
            mean(&squares).sqrt()
        }),
    );
    out.insert(
        "parkinson_vol_20",
        tail(bars, 20).map(|w| {
            let total: f64 = w.iter().map(|b| (b.high() / b.low()).ln().powi(2)).sum();
            (total / (4.0 * 20.0 * LN_2)).sqrt()
        }),
    );
}

fn volume_features(bars: &[NaiveBar], out: &mut Values) {
    let close = bars.last().and_then(|b| b.close).unwrap_or(f64::NAN);
    let volume: Vec<f64> = bars.iter().map(NaiveBar::volume).collect();
    let buy: Vec<f64> = bars.iter().map(NaiveBar::buy).collect();
    let quote: Vec<f64> = bars.iter().map(NaiveBar::quote).collect();
    let count: Vec<f64> = bars.iter().map(|b| b.trades.len() as f64).collect();
    let or = |a: f64, b: f64, neutral: f64| if a == 0.0 && b == 0.0 { neutral } else { a / b };
    let v20 = tail(&volume, 20);
    let total = |x: &[f64]| tail(x, 20).map(|w| w.iter().sum::<f64>());
    out.insert("volume_ratio", v20.map(|w| or(w[19], mean(w), 1.0)));
    out.insert("volume_change_1", change(&volume, 1));
    out.insert("volume_zscore", v20.map(zscore));
    out.insert(
        "vwap_deviation_20",
        total(&quote).zip(total(&volume)).map(
            |(q, v)| {
                if v == 0.0 { 0.0 } else { close / (q / v) - 1.0 }
            },
        ),
    );
    let newest = volume.last().zip(buy.last());
    out.insert("taker_buy_ratio_1", newest.map(|(v, b)| or(*b, *v, 0.5)));
    let ratio20 = total(&buy).zip(total(&volume)).map(|(b, v)| or(b, v, 0.5));
    out.insert("taker_buy_ratio_20", ratio20);
    let delta: Vec<f64> = buy.iter().zip(&volume).map(|(b, v)| b - (v - b)).collect();
    out.insert(
        "cvd_20",
        tail(&delta, 20).map(|w| {
            let norm = w.iter().map(|d| d * d).sum::<f64>().sqrt();
            or(w.iter().sum(), norm, 0.0)
        }),
    );
    out.insert(
        "trade_size_ratio",
        v20.zip(tail(&count, 20)).map(|(v, n)| {
            let all = v.iter().sum::<f64>() / n.iter().sum::<f64>();
            if n[19] == 0.0 { 1.0 } else { (v[19] / n[19]) / all }
        }),
    );
    out.insert(
        "large_trade_share",
        tail(bars, 21).map(|w| {
            let before: Vec<NaiveTrade> = w[..20].iter().flat_map(|b| b.trades.clone()).collect();
            let (n, sum) = (before.len() as i128, before.iter().map(|t| t.raw_qty).sum::<i128>());
            let large = |t: &&NaiveTrade| n > 0 && t.raw_qty * n > 5 * sum;
            let qty: f64 = w[20].trades.iter().filter(large).map(|t| t.qty).sum();
            or(qty, w[20].volume(), 0.0)
        }),
    );
}

fn slow_features(seen: &Seen, bars: &[NaiveBar], now: i64, out: &mut Values) {
    let oi: Vec<f64> = seen.bars.iter().filter_map(|b| b.oi).collect();
    let close: Vec<f64> = bars.iter().map(|b| b.close.unwrap()).collect();
    out.insert("oi_change_1", change(&oi, 1));
    out.insert("oi_change_5", change(&oi, 5));
    out.insert("oi_change_20", change(&oi, 20));
    let velocity = |x: &[f64]| change(x, 12).map(|v| v / 12.0);
    out.insert("oi_velocity", velocity(&oi));
    let before = oi.split_last().map_or(&[][..], |(_, rest)| rest);
    let acceleration = velocity(&oi).zip(velocity(before)).map(|(v, before)| v - before);
    out.insert("oi_acceleration", acceleration);
    out.insert("oi_zscore", tail(&oi, 20).map(zscore));
    let divergence = change(&oi, 20).zip(change(&close, 20)).map(|(o, p)| o - p);
    out.insert("oi_price_divergence_20", divergence);
    let rate: Vec<f64> = seen.bars.iter().filter_map(|b| b.rate).collect();
    out.insert("funding_change_1", tail(&rate, 2).map(|w| w[1] - w[0]));
    out.insert("funding_zscore", tail(&rate, 20).map(zscore));
    out.insert("funding_rate", seen.mark.map(|(_, m)| m.funding_rate as f64 / 1e8));
    let minutes = |ts: i64| ((ts - now) as f64 / 60e9).max(0.0);
    out.insert("minutes_to_funding", seen.mark.map(|(_, m)| minutes(m.ts_next_funding)));
    let basis = |m: MarkPrice| (m.mark_px - m.index_px) as f64 / m.index_px as f64 * 1e4;
    out.insert("basis_bps", seen.mark.map(|(_, m)| basis(m)));
    let settled: Vec<f64> = seen.settled.iter().map(|s| s.1).collect();
    out.insert("funding_cumulative_8", tail(&settled, 8).map(|w| w.iter().sum()));
}

/// Weight of something `age` nanoseconds old.
fn weight(age: i64, half_life_s: f64) -> f64 {
    0.5_f64.powf(age as f64 / 1e9 / half_life_s)
}

fn trade_features(
    seen: &Seen,
    bars: &[NaiveBar],
    now: i64,
    settings: &FeatureSettings,
    out: &mut Values,
) {
    let fading = |value: &dyn Fn(&NaiveTrade) -> f64| -> f64 {
        seen.trades.iter().map(|(at, t)| weight(now - at, 1.0) * value(t)).sum()
    };
    let warm = seen.trades.first().is_some_and(|(at, _)| now - at >= 20_000_000_000);
    out.insert("trade_intensity", warm.then(|| fading(&|_| 1.0) * LN_2));
    // Ages are taken from the newest trade here: the ratio does not depend on it, and long silence
    // would otherwise leave nothing to divide by.
    let newest = seen.trades.last().map_or(0, |t| t.0);
    let fading = |value: &dyn Fn(&NaiveTrade) -> f64| -> f64 {
        seen.trades.iter().map(|(at, t)| weight(newest - at, 1.0) * value(t)).sum()
    };
    let signed = |t: &NaiveTrade| if t.buy { t.qty } else { -t.qty };
    let imbalance = warm.then(|| fading(&signed) / fading(&|t| t.qty));
    out.insert("trade_imbalance", imbalance);
    out.insert("seconds_since_trade", Some((now - newest) as f64 / 1e9));
    let bar_s = f64::from(settings.bar_interval_ms) / 1e3;
    let pressure: f64 = seen.liquidations.iter().map(|(at, q)| weight(now - at, bar_s) * q).sum();
    let volume: Vec<f64> = bars.iter().map(NaiveBar::volume).collect();
    out.insert("liquidation_pressure", tail(&volume, 20).map(|w| pressure / mean(w)));
}

fn mid(top: &TopOfBook) -> f64 {
    (top.bid[0].px + top.ask[0].px) as f64 / 2e8
}

fn total(levels: &[Level]) -> f64 {
    levels.iter().map(|l| l.qty as f64).sum()
}

/// The contribution of one side of one level by the case distinction of the paper.
fn side_flow(before: Level, after: Level, better: bool) -> f64 {
    match (after.px == before.px, better) {
        (true, _) => after.qty as f64 - before.qty as f64,
        (false, true) => after.qty as f64,
        (false, false) => -(before.qty as f64),
    }
}

fn flow(before: &TopOfBook, after: &TopOfBook, levels: usize) -> f64 {
    (0..levels)
        .map(|i| {
            let (b0, b1, a0, a1) = (before.bid[i], after.bid[i], before.ask[i], after.ask[i]);
            let ask_better = a1.px != 0 && (a0.px == 0 || a1.px < a0.px);
            side_flow(b0, b1, b1.px > b0.px) - side_flow(a0, a1, ask_better)
        })
        .sum()
}

fn book_features(tops: &[(i64, TopOfBook)], now: i64, out: &mut Values) {
    let Some((_, top)) = tops.last() else {
        let names = SCHEMA.iter().filter(|spec| spec.inputs.has(Input::Top));
        return out.extend(names.map(|spec| (spec.name, None)));
    };
    let (bid, ask) = (top.bid[0], top.ask[0]);
    let m = mid(top);
    out.insert("spread_bps", Some((ask.px - bid.px) as f64 / 1e8 / m * 1e4));
    let both = (bid.qty + ask.qty) as f64;
    let micro = (bid.px as f64 * ask.qty as f64 + ask.px as f64 * bid.qty as f64) / both / 1e8;
    out.insert("microprice_bps", Some((micro - m) / m * 1e4));
    out.insert("imbalance_1", Some((bid.qty - ask.qty) as f64 / both));
    let (bids, asks) = (total(&top.bid), total(&top.ask));
    out.insert("imbalance_5", Some((bids - asks) / (bids + asks)));
    out.insert("depth_ratio_5", Some(both / (bids + asks)));
    let far = |levels: &[Level]| levels.iter().rfind(|l| l.px > 0).unwrap().px;
    let far_mid = (far(&top.bid) + far(&top.ask)) as f64 / 2e8;
    out.insert("book_skew_bps", Some((far_mid - m) / m * 1e4));
    let first = tops[0].0;
    let mid_return = |seconds: i64| {
        let since = now - seconds * 1_000_000_000;
        let boundary = (since as f64 / 1e8).ceil() as i64;
        let boundary = (boundary - 2..).find(|b| b * 100_000_000 >= since).unwrap() * 100_000_000;
        let before = tops.iter().rev().find(|(at, _)| *at <= boundary);
        (since >= first).then(|| m / mid(&before.unwrap().1) - 1.0)
    };
    out.insert("mid_return_1s", mid_return(1));
    out.insert("mid_return_5s", mid_return(5));

    let newest = tops[tops.len() - 1].0;
    let warm = |seconds: i64| now - first >= seconds * 1_000_000_000;
    let pairs = || tops.windows(2).map(|w| (w[1].0, &w[0].1, &w[1].1));
    let ofi = |levels: usize| {
        let sum: f64 = pairs().map(|(at, a, b)| weight(now - at, 1.0) * flow(a, b, levels)).sum();
        let depth = |t: &TopOfBook| (total(&t.bid[..levels]) + total(&t.ask[..levels])) / 2.0;
        let depths: f64 = tops.iter().map(|(at, t)| weight(newest - at, 1.0) * depth(t)).sum();
        let weights: f64 = tops.iter().map(|(at, _)| weight(newest - at, 1.0)).sum();
        sum / (depths / weights)
    };
    out.insert("ofi_1", warm(20).then(|| ofi(1)));
    out.insert("ofi_5", warm(20).then(|| ofi(5)));
    let changed = |a: &TopOfBook, b: &TopOfBook| a.bid[0] != b.bid[0] || a.ask[0] != b.ask[0];
    let changes: f64 =
        pairs().filter(|(_, a, b)| changed(a, b)).map(|(at, ..)| weight(now - at, 1.0)).sum();
    out.insert("quote_intensity", warm(20).then_some(changes * LN_2));
    let variance: f64 = pairs()
        .map(|(at, a, b)| weight(now - at, 5.0) * ((mid(b) - mid(a)) / mid(a)).powi(2))
        .sum();
    out.insert("mid_volatility", warm(100).then(|| (variance * LN_2 / 5.0).sqrt() * 1e4));
}

/// Compares a computed vector with the oracle: reasons exactly, values to 2e-6 of their size (a
/// single-precision number is good to 6e-8) or 1e-9.
pub fn assert_equal(got: &FeatureVector, want: &Answers, place: &str) {
    for (i, spec) in SCHEMA.iter().enumerate() {
        let (value, fault) = (f64::from(got.values[i]), got.fault[i]);
        match want[spec.name] {
            Ok(number) => {
                assert_eq!(fault, 0, "{place}: {} refused, should be {number}", spec.name);
                let near = (value - number).abs() <= 1e-9 + 2e-6 * number.abs();
                assert!(near, "{place}: {} is {value}, should be {number}", spec.name);
            }
            Err(reason) => {
                let said = Reason::from_u16(fault);
                assert_eq!(said, Some(reason), "{place}: {} = {value}", spec.name);
            }
        }
    }
}
