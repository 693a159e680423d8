//! Every feature equals its textbook formula computed from scratch.

use crate::features_inputs::*;
use crate::features_oracle::{answers, assert_equal};
use crate::features_seen::Step;
use peregrine::base::settings::FeatureSettings;
use peregrine::base::{Kind, Nanos, Reason};
use peregrine::features::{FeatureEngine, FeatureVector, Input, SCHEMA, TopOfBook};
use proptest::prelude::*;

/// Streams the steps through one engine and compares with the oracle at every `stride`-th step and
/// a while after the last.
fn check(settings: &FeatureSettings, steps: &[Step], stride: usize) -> [u32; SCHEMA.len()] {
    let mut engine = FeatureEngine::new(settings);
    let mut out = FeatureVector::EMPTY;
    let mut usable = [0; SCHEMA.len()];
    let mut now = i64::MIN;
    for (i, step) in steps.iter().enumerate() {
        feed(&mut engine, step);
        now = now.max(step.received());
        if i % stride != stride - 1 && i + 1 != steps.len() {
            continue;
        }
        for later in [0, 77_000_000, 3_000_000_001] {
            engine.compute(Nanos(now + later), &mut out);
            let want = answers(settings, &steps[..=i], now + later);
            assert_equal(&out, &want, &format!("after step {i}, {later} ns later"));
            for (count, fault) in usable.iter_mut().zip(out.fault) {
                *count += u32::from(fault == 0);
            }
        }
    }
    usable
}

#[test]
fn every_feature_equals_its_formula_on_a_whole_market() {
    for seed in 0..4 {
        let usable = check(&SETTINGS, &market(seed, START, 150), 97);
        for (spec, count) in SCHEMA.iter().zip(usable) {
            assert!(count > 0, "{} was never usable with seed {seed}", spec.name);
        }
    }
}

#[test]
fn every_feature_equals_its_formula_with_bars_of_other_lengths() {
    for bar_interval_ms in [100, 333, 7_000] {
        check(&FeatureSettings { bar_interval_ms, ..SETTINGS }, &market(9, START, 200), 211);
    }
}

#[test]
fn every_feature_equals_its_formula_on_the_recording() {
    let Some(steps) = recording("hftbacktest/usdm_btcusdt_20240808.gz") else { return };
    assert_eq!(steps.len(), 66_089 + 21_313);
    let usable = check(&SETTINGS, &steps, 2_911);
    // The recording has no mark price, open interest, funding or forced orders.
    let absent = [Input::Mark, Input::OpenInterest, Input::Funding, Input::Liquidations];
    for (spec, count) in SCHEMA.iter().zip(usable) {
        let possible = !absent.iter().any(|&input| spec.inputs.has(input));
        assert_eq!(count > 0, possible, "{}", spec.name);
    }
}

/// One hostile input: times stand still, run back, leap; prices and quantities may be nonsense.
fn hostile_step() -> impl Strategy<Value = (u8, i64, i64, i64, bool)> {
    let span = prop_oneof![
        6 => 0..200_000_000_i64,
        2 => Just(0),
        1 => -2 * SECOND..0,
        2 => 500_000_000..3 * SECOND,
        1 => prop_oneof![Just(40 * SECOND), Just(100_000_000), Just(SECOND)],
    ];
    let size = prop_oneof![9 => 1..50_000_000_i64, 1 => Just(0), 1 => Just(900_000_000)];
    (0..24_u8, span, -40..40_i64, size, any::<bool>())
}

fn hostile_stream(raw: &[(u8, i64, i64, i64, bool)], leap: usize) -> Vec<Step> {
    let (mut at, mut px) = (START, 6_000_000_000_i64);
    let mut steps = Vec::new();
    for (i, &(kind, span, moved, size, flag)) in raw.iter().enumerate() {
        at += span + if i == leap { 200 * SECOND } else { 0 };
        px = (px + moved * 1_000_000).max(500_000_000);
        steps.push(match kind {
            0..7 => trade(at, px, size, flag),
            7 => trade_of(Kind::Trade, at, at - moved * SECOND / 10, px, size, flag),
            8 => trade_of(Kind::AggTrade, at, at, px, size, flag),
            9 => trade_of(Kind::Trade, at, if flag { 0 } else { at + 90 * SECOND }, px, 5, flag),
            10..16 => {
                let spread = if size == 0 { 0 } else { 1_000_000 };
                let mut qty = size;
                top(at, px, spread, 1 + i % 5, || {
                    qty += moved.abs() * 77;
                    qty
                })
            }
            16 if flag && i % 3 == 0 => Step::Top(TopOfBook::default(), Nanos(at)),
            16 | 17 => {
                open_interest(at, 700_000_000 + size * 5 - 300_000_000 * i64::from(size == 0))
            }
            18 => mark(at, px + moved, if size == 0 { 0 } else { px }, moved * 100, at + size),
            19 => funding(at, moved * 100, at - SECOND * i64::from(flag)),
            20 => liquidation(at, size, flag),
            21 => trade(at, if flag { 0 } else { px }, -size, flag),
            _ => timer(at),
        });
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn every_feature_equals_its_formula_on_hostile_streams(
        raw in prop::collection::vec(hostile_step(), 1..600),
        leap in 0..3_000_usize,
    ) {
        check(&SETTINGS, &hostile_stream(&raw, leap), 61);
    }
}

#[test]
fn no_input_whatever_panics_or_makes_a_value_that_is_not_finite() {
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX / 2, i64::MAX - 1, i64::MAX];
    let mut steps = Vec::new();
    for &a in &extremes {
        for &b in &extremes {
            steps.push(trade_of(Kind::Trade, a, b, b, a, true));
            steps.push(trade_of(Kind::Trade, 0, b, i64::MAX, i64::MAX, false));
            steps.push(top(a, b / 2, 1, 1, || b));
            steps.push(open_interest(a, b));
            steps.push(mark(a, b, a, b, a));
            steps.push(funding(a, b, a));
            steps.push(liquidation(b, a, false));
            steps.push(timer(b));
        }
    }
    for rotated in 0..steps.len() {
        steps.rotate_left(1);
        let mut engine = FeatureEngine::new(&SETTINGS);
        let mut out = FeatureVector::EMPTY;
        for step in &steps[..40.min(steps.len())] {
            feed(&mut engine, step);
            engine.compute(Nanos(step.received()), &mut out);
            assert!(out.values.iter().all(|v| v.is_finite()), "rotation {rotated}");
        }
    }
}

#[test]
fn a_vector_says_why_each_value_is_unusable_before_any_input() {
    let out = run(&SETTINGS, &[], START);
    for (spec, fault) in SCHEMA.iter().zip(out.fault) {
        let want = if spec.inputs.is_empty() { 0 } else { Reason::FeatureInputMissing as u16 };
        assert_eq!(fault, want, "{}", spec.name);
    }
}
