//! Indicators equal worked examples published by StockCharts ChartSchool (pages "Relative Strength
//! Index", "Average True Range", "Bollinger Bands", "Stochastic Oscillator") and values computed by
//! hand for the rest.

use crate::features_inputs::*;
use crate::features_seen::Step;
use peregrine::base::Nanos;
use peregrine::features::{Feature, FeatureEngine, FeatureVector};

const CLOSES_RSI: [f64; 15] = [
    44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826,
    45.8931, 46.0328, 45.6140, 46.2820, 46.2820,
];
const HIGHS_ATR: [f64; 14] = [
    48.70, 48.72, 48.90, 48.87, 48.82, 49.05, 49.20, 49.35, 49.92, 50.19, 50.12, 49.66, 49.88,
    50.19,
];
const LOWS_ATR: [f64; 14] = [
    47.79, 48.14, 48.39, 48.37, 48.24, 48.64, 48.94, 48.86, 49.50, 49.87, 49.20, 48.90, 49.43,
    49.73,
];
const CLOSES_ATR: [f64; 14] = [
    48.16, 48.61, 48.75, 48.63, 48.74, 49.03, 49.07, 49.32, 49.91, 50.13, 49.53, 49.50, 49.75,
    50.03,
];
const CLOSES_BANDS: [f64; 25] = [
    86.1557, 89.0867, 88.7829, 90.3228, 89.0671, 91.1453, 89.4397, 89.1750, 86.9302, 87.6752,
    86.9596, 89.4299, 89.3221, 88.7241, 87.4497, 87.2634, 89.4985, 87.9006, 89.1260, 90.7043,
    92.9001, 92.9784, 91.8021, 92.6647, 92.6843,
];
/// Middle, upper, lower from the twentieth close on.
const BANDS: [[f64; 3]; 6] = [
    [88.71, 91.29, 86.12],
    [89.05, 91.95, 86.14],
    [89.24, 92.61, 85.87],
    [89.39, 92.93, 85.85],
    [89.51, 93.31, 85.70],
    [89.69, 93.73, 85.65],
];
const HIGHS_K: [f64; 17] = [
    127.0090, 127.6159, 126.5911, 127.3472, 128.1730, 128.4317, 127.3671, 126.4220, 126.8995,
    126.8498, 125.6460, 125.7156, 127.1582, 127.7154, 127.6855, 128.2228, 128.2725,
];
const LOWS_K: [f64; 17] = [
    125.3574, 126.1633, 124.9296, 126.0937, 126.8199, 126.4817, 126.0340, 124.8301, 126.3921,
    125.7156, 124.5615, 124.5715, 125.0689, 126.8597, 126.6309, 126.8001, 126.7105,
];
/// Closes from the fourteenth bar on, and %K.
const K: [[f64; 2]; 4] =
    [[127.2876, 70.4382], [127.1781, 67.6089], [128.0138, 89.2021], [127.1085, 65.8106]];

fn units(price: f64) -> i64 {
    (price * 1e8).round() as i64
}

/// Trades that make one bar of each (high, low, close), after a bar that is not counted, and the
/// trade that closes the last one.
fn bars(prices: &[(f64, f64, f64)]) -> Vec<Step> {
    let mut steps = vec![trade(START, units(prices[0].2), 1, false)];
    for (i, &(high, low, close)) in prices.iter().enumerate() {
        let at = START + (i as i64 + 1) * SECOND;
        for px in [high, low, close] {
            steps.push(trade(at, units(px), 1_000_000, px == low));
        }
    }
    let end = START + (prices.len() as i64 + 1) * SECOND;
    steps.push(trade(end, units(prices[prices.len() - 1].2), 1_000_000, false));
    steps
}

fn after(prices: &[(f64, f64, f64)]) -> FeatureVector {
    let steps = bars(prices);
    run(&SETTINGS, &steps, steps[steps.len() - 1].received())
}

fn value(vector: &FeatureVector, feature: Feature) -> f64 {
    f64::from(vector.get(feature).unwrap())
}

fn near(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "{got} is not {want} ± {tolerance}");
}

#[test]
fn rsi_equals_the_published_first_value() {
    let closes: Vec<_> = CLOSES_RSI.iter().map(|&c| (c, c, c)).collect();
    near(value(&after(&closes), Feature::Rsi14), 70.53278948, 1e-5);
}

#[test]
fn atr_equals_the_published_simple_mean_of_true_ranges() {
    // The page shows prices rounded to 0.01, so a true range may be off by as much.
    // The example has no close before its first day and takes high minus low there; a bar before it
    // that closes inside the first day's range says the same.
    let mut prices = vec![(48.0, 48.0, 48.0)];
    prices.extend((0..14).map(|i| (HIGHS_ATR[i], LOWS_ATR[i], CLOSES_ATR[i])));
    near(value(&after(&prices), Feature::Atr14), 0.56, 0.01);
    near(value(&after(&prices), Feature::Natr), 0.56 / 50.03, 0.0002);
    let mut engine = FeatureEngine::new(&SETTINGS);
    for step in bars(&prices) {
        feed(&mut engine, &step);
    }
    near(engine.atr().unwrap().to_f64(), 0.56, 0.01);
}

#[test]
fn bollinger_bands_equal_the_published_rows() {
    let closes: Vec<_> = CLOSES_BANDS.iter().map(|&c| (c, c, c)).collect();
    for (row, [middle, upper, lower]) in BANDS.iter().enumerate() {
        let vector = after(&closes[..20 + row]);
        let close = CLOSES_BANDS[19 + row];
        let level = |feature| (value(&vector, feature) + 1.0) * close;
        near(level(Feature::BbMiddle), *middle, 0.006);
        near(level(Feature::BbUpper), *upper, 0.006);
        near(level(Feature::BbLower), *lower, 0.006);
        near(value(&vector, Feature::BbWidth), (upper - lower) / middle, 0.0002);
        let position = (close - lower) / (upper - lower);
        near(value(&vector, Feature::BbPosition), position, 0.003);
        near(value(&vector, Feature::PriceToSma20), close / middle - 1.0, 0.0001);
    }
}

#[test]
fn stochastic_k_equals_the_published_rows() {
    for (row, [_, percent]) in K.iter().enumerate() {
        let close = |i: usize| if i < 13 { LOWS_K[i] } else { K[i - 13][0] };
        let prices: Vec<_> = (0..14 + row).map(|i| (HIGHS_K[i], LOWS_K[i], close(i))).collect();
        near(value(&after(&prices), Feature::StochK14), *percent, 0.001);
    }
}

#[test]
fn a_return_over_k_bars_looks_k_bars_back() {
    // The older system's return_5 and return_20 looked four and nineteen bars back.
    let closes: Vec<_> = (0..21).map(|i| 100.0 + f64::from(i)).map(|c| (c, c, c)).collect();
    let vector = after(&closes);
    near(value(&vector, Feature::Return1), 120.0 / 119.0 - 1.0, 1e-9);
    near(value(&vector, Feature::Return5), 120.0 / 115.0 - 1.0, 1e-8);
    near(value(&vector, Feature::Return20), 120.0 / 100.0 - 1.0, 1e-8);
}

#[test]
fn order_flow_follows_each_case_of_cont_kukanov_and_stoikov() {
    use peregrine::base::event::Level;
    use peregrine::features::TopOfBook;
    let book = |bid: (i64, i64), ask: (i64, i64)| {
        let mut top = TopOfBook { valid: true, ..TopOfBook::default() };
        top.bid[0] = Level { px: bid.0, qty: bid.1 };
        top.ask[0] = Level { px: ask.0, qty: ask.1 };
        top
    };
    let before = book((100, 5), (102, 7));
    let cases = [
        (book((100, 9), (102, 7)), 4),  // bid grew by 4
        (book((100, 2), (102, 7)), -3), // bid shrank by 3
        (book((101, 6), (102, 7)), 6),  // bid improved: all 6 are new
        (book((99, 6), (102, 7)), -5),  // bid fell: the old 5 are gone
        (book((100, 5), (102, 9)), -2), // ask grew by 2
        (book((100, 5), (101, 3)), -3), // ask improved: all 3 are new
        (book((100, 5), (103, 3)), 7),  // ask rose: the old 7 are gone
    ];
    for (after, flow) in cases {
        let mut engine = FeatureEngine::new(&SETTINGS);
        engine.on_top(&before, Nanos(START));
        // Twenty quiet seconds warm it up and let the first top's weight fade.
        engine.on_top(&before, Nanos(START + 19 * SECOND));
        engine.on_top(&after, Nanos(START + 20 * SECOND));
        let mut out = FeatureVector::EMPTY;
        engine.compute(Nanos(START + 20 * SECOND), &mut out);
        let depth = |top: &TopOfBook| (top.bid[0].qty + top.ask[0].qty) as f64 / 2.0;
        let weighted = (depth(&before) * 0.5 + depth(&after)) / 1.5;
        near(value(&out, Feature::Ofi1), f64::from(flow) / weighted, 1e-5);
        // Ten more half-lives.
        engine.compute(Nanos(START + 30 * SECOND), &mut out);
        near(value(&out, Feature::Ofi1), f64::from(flow) / weighted / 1024.0, 1e-6);
    }
}
