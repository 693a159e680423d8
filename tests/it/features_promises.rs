//! What the features promise besides their values: no look-ahead, warm-up exactly as declared, a
//! start that is forgotten, every fault said and only the faults that are.

use crate::features_inputs::*;
use crate::features_seen::Step;
use peregrine::base::event::Level;
use peregrine::base::{Kind, Nanos, Reason};
use peregrine::features::*;

fn compute(engine: &FeatureEngine, now: i64) -> FeatureVector {
    let mut out = FeatureVector::EMPTY;
    engine.compute(Nanos(now), &mut out);
    out
}

/// The input a step belongs to.
fn input_of(step: &Step) -> Option<Input> {
    match step {
        Step::Top(..) => Some(Input::Top),
        Step::Event(event) => match event.kind()? {
            Kind::Trade | Kind::AggTrade => Some(Input::Trades),
            Kind::MarkPrice => Some(Input::Mark),
            Kind::OpenInterest => Some(Input::OpenInterest),
            Kind::Funding => Some(Input::Funding),
            Kind::Liquidation => Some(Input::Liquidations),
            _ => None,
        },
    }
}

fn end_of(steps: &[Step]) -> i64 {
    steps.iter().map(Step::received).max().unwrap()
}

#[test]
fn a_vector_never_depends_on_what_comes_after_it() {
    let steps = market(21, START, 150);
    let mut engine = FeatureEngine::new(&SETTINGS);
    for i in 0..steps.len() {
        feed(&mut engine, &steps[i]);
        if i % 131 == 0 {
            let now = steps[i].received();
            let alone = run(&SETTINGS, &steps[..=i], now);
            assert_eq!(compute(&engine, now), alone, "after step {i}");
        }
    }
}

#[test]
fn computing_a_vector_changes_nothing() {
    let steps = market(22, START, 130);
    let (mut asked, mut silent) = (FeatureEngine::new(&SETTINGS), FeatureEngine::new(&SETTINGS));
    for step in &steps {
        feed(&mut asked, step);
        feed(&mut silent, step);
        let now = step.received();
        compute(&asked, now + 5 * SECOND);
        assert_eq!(compute(&asked, now), compute(&silent, now));
    }
}

#[test]
fn a_later_start_is_forgotten_after_the_declared_warm_up() {
    let steps = market(23, START, 400);
    for cut_s in [1, 37, 150, 250] {
        let cut = START + cut_s * SECOND + 123_456_789;
        let kept = |step: &&Step| step.received() >= cut || input_of(step) == Some(Input::Funding);
        let shifted: Vec<Step> = steps.iter().filter(kept).copied().collect();
        let now = end_of(&steps);
        let (whole, late) = (run(&SETTINGS, &steps, now), run(&SETTINGS, &shifted, now));
        assert_eq!(late.fault, whole.fault, "cut at {cut_s} s");
        for (i, spec) in SCHEMA.iter().enumerate() {
            let (a, b) = (f64::from(whole.values[i]), f64::from(late.values[i]));
            let fading =
                matches!(spec.warm_up, WarmUp::Seconds(_)) || spec.inputs.has(Input::Liquidations);
            // What was cut off has faded for at least twenty half-lives.
            let tolerance = if fading { 1e-6 + 2e-6 * a.abs() } else { 0.0 };
            assert!((a - b).abs() <= tolerance, "{}: {a} {b}, cut at {cut_s} s", spec.name);
        }
    }
}

#[test]
fn no_feature_is_constant() {
    let steps = market(24, START, 300);
    let mut engine = FeatureEngine::new(&SETTINGS);
    let mut seen = vec![std::collections::BTreeSet::new(); FEATURE_COUNT];
    for step in &steps {
        if feed(&mut engine, step) {
            let vector = compute(&engine, step.received());
            for i in (0..FEATURE_COUNT).filter(|&i| vector.fault[i] == 0) {
                seen[i].insert(vector.values[i].to_bits());
            }
        }
    }
    for (spec, values) in SCHEMA.iter().zip(&seen) {
        // Settlements come every eight hours: one value in five minutes is right.
        let least = if spec.inputs.has(Input::Funding) { 1 } else { 20 };
        assert!(values.len() >= least, "{} took {} values", spec.name, values.len());
    }
}

#[test]
fn a_missing_input_spoils_exactly_the_features_that_need_it() {
    let steps = market(25, START, 150);
    for absent in Input::ALL {
        let rest: Vec<Step> =
            steps.iter().filter(|s| input_of(s) != Some(absent)).copied().collect();
        let vector = run(&SETTINGS, &rest, end_of(&rest));
        for (i, spec) in SCHEMA.iter().enumerate() {
            let missing = Reason::FeatureInputMissing as u16;
            let want = if spec.inputs.has(absent) { missing } else { 0 };
            assert_eq!(vector.fault[i], want, "{} without {}", spec.name, absent.name());
        }
    }
}

#[test]
fn a_stale_input_spoils_exactly_the_features_that_need_it_from_the_next_nanosecond() {
    let steps = market(26, START, 150);
    let stop = end_of(&steps);
    for stale in [Input::Trades, Input::Top, Input::Mark, Input::OpenInterest] {
        let market_age = i64::from(SETTINGS.market_age_ms_max) * 1_000_000;
        let slow = matches!(stale, Input::Mark | Input::OpenInterest);
        let age = if slow { i64::from(SETTINGS.slow_age_ms_max) * 1_000_000 } else { market_age };
        let mut engine = FeatureEngine::new(&SETTINGS);
        let mut last = 0;
        for step in &steps {
            feed(&mut engine, step);
            if input_of(step) == Some(stale) {
                last = step.received();
            }
        }
        // The other inputs go on as before, up to just before the limit.
        let more = market(27, stop, (last + age - stop) / SECOND - 1);
        for step in more.iter().filter(|step| input_of(step) != Some(stale)) {
            feed(&mut engine, step);
        }
        let (at, past) = (compute(&engine, last + age), compute(&engine, last + age + 1));
        for (i, spec) in SCHEMA.iter().enumerate() {
            let number = Reason::FeatureInputStale as u16;
            assert_ne!(at.fault[i], number, "{} too early", spec.name);
            assert_eq!(past.fault[i] == number, spec.inputs.has(stale), "{}", spec.name);
        }
    }
}

#[test]
fn settled_funding_is_stale_when_a_settlement_was_missed() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    for n in 0..8 {
        feed(&mut engine, &funding(START, 10_000, START - (8 - n) * 8 * 3_600 * SECOND));
    }
    let limit = START + i64::from(SETTINGS.slow_age_ms_max) * 1_000_000;
    let fault = |now| compute(&engine, now).get(Feature::FundingCumulative8);
    assert_eq!(fault(limit), Ok(8e-4));
    assert_eq!(fault(limit + 1), Err(Reason::FeatureInputStale));
}

/// One of every input in each second, from a whole second on.
fn clockwork(second: i64) -> [Step; 5] {
    let at = START + second * SECOND + SECOND / 2;
    let wave = (second * 7 % 11) * 100_000_000;
    [
        trade(at, 6_000_000_000_000 + wave, 10_000_000 + wave, second % 3 == 0),
        top(at, 6_000_000_000_000 + wave, 10_000_000, 5, || 300_000_000 + wave),
        open_interest(at, 8_000_000_000_000 + wave),
        mark(at, 6_000_000_000_000, 5_999_000_000_000, wave / 100_000, at + 3_600 * SECOND),
        liquidation(at, 1_000_000 + wave, second % 2 == 0),
    ]
}

#[test]
fn a_bar_feature_is_usable_exactly_from_its_declared_warm_up() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    for second in 0..120_u16 {
        for step in clockwork(i64::from(second)) {
            feed(&mut engine, &step);
        }
        // The bars of seconds 0 to `second − 1` have closed; that of second 0 was not seen whole.
        let vector = compute(&engine, START + i64::from(second) * SECOND + SECOND / 2);
        for (i, spec) in SCHEMA.iter().enumerate() {
            let WarmUp::Bars(bars) = spec.warm_up else { continue };
            let counted =
                if spec.inputs.has(Input::Trades) { second.saturating_sub(1) } else { second };
            let want = if counted >= bars { 0 } else { Reason::FeatureWarmUp as u16 };
            assert_eq!(vector.fault[i], want, "{} after {second} bars", spec.name);
        }
    }
}

#[test]
fn a_live_feature_is_usable_exactly_from_its_declared_warm_up() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    for second in 0..110 {
        for step in clockwork(second) {
            feed(&mut engine, &step);
        }
        let now = START + second * SECOND + SECOND / 2;
        for (at, seen_ns) in [(now, second * SECOND), (now + SECOND - 1, (second + 1) * SECOND - 1)]
        {
            let vector = compute(&engine, at);
            for (i, spec) in SCHEMA.iter().enumerate() {
                let WarmUp::Seconds(seconds) = spec.warm_up else { continue };
                let warm = seen_ns >= i64::from(seconds) * SECOND;
                let want = if warm { 0 } else { Reason::FeatureWarmUp as u16 };
                assert_eq!(vector.fault[i], want, "{} after {seen_ns} ns", spec.name);
            }
        }
    }
}

#[test]
fn a_feature_counted_in_events_is_usable_from_the_last_of_them() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    let [trade, top, _, mark, _] = clockwork(0);
    for step in [trade, top, mark] {
        feed(&mut engine, &step);
    }
    let now = START + SECOND / 2;
    for settled in 0..=8_u16 {
        let vector = compute(&engine, now);
        for (i, spec) in SCHEMA.iter().enumerate() {
            let WarmUp::Events(events) = spec.warm_up else { continue };
            let funding = spec.inputs.has(Input::Funding);
            let want = match settled {
                0 if funding => Reason::FeatureInputMissing as u16,
                n if funding && n < events => Reason::FeatureWarmUp as u16,
                _ => 0,
            };
            assert_eq!(vector.fault[i], want, "{} after {settled} settlements", spec.name);
        }
        let at = now - 3_600 * SECOND + i64::from(settled);
        feed(&mut engine, &funding(now, 1, at));
    }
}

#[test]
fn a_flat_market_gives_the_neutral_values_of_the_definitions() {
    let steps: Vec<Step> =
        (0..100).map(|i| trade(START + i * SECOND, 3_333_333_333_333, 777, i % 2 == 0)).collect();
    let vector = run(&SETTINGS, &steps, end_of(&steps));
    use Feature::*;
    let neutral = [
        (Return20, 0.0),
        (LogReturn1, 0.0),
        (Atr14, 0.0),
        (Rsi14, 50.0),
        (BbUpper, 0.0),
        (BbWidth, 0.0),
        (BbPosition, 0.5),
        (StochK14, 50.0),
        (RealisedVol20, 0.0),
        (ParkinsonVol20, 0.0),
        (VolumeRatio, 1.0),
        (VolumeZscore, 0.0),
        (VolumeChange1, 0.0),
        (TradeSizeRatio, 1.0),
        (LargeTradeShare, 0.0),
        (TakerBuyRatio20, 0.5),
        (Cvd20, 0.0),
    ];
    for (feature, want) in neutral {
        let got = vector.get(feature).unwrap();
        assert!((got - want).abs() < 1e-12, "{}: {got}", feature.spec().name);
    }
    assert!(vector.get(Macd).unwrap().abs() < 1e-12);
    assert!(vector.get(VwapDeviation20).unwrap().abs() < 1e-12);
}

#[test]
fn bars_without_trades_repeat_the_price_and_have_no_volume() {
    let mut steps: Vec<Step> = (0..25)
        .map(|i| trade(START + i * SECOND, 5_000_000_000 + i * 1_000_000, 100 + i, false))
        .collect();
    // One bar without a trade, then thirty.
    steps.push(timer(START + 26 * SECOND + SECOND / 4));
    let one = run(&SETTINGS, &steps, end_of(&steps));
    use Feature::*;
    assert_eq!(one.get(Return1), Ok(0.0));
    assert_eq!(one.get(VolumeRatio), Ok(0.0));
    assert_eq!(one.get(TakerBuyRatio1), Ok(0.5));
    assert_eq!(one.get(VolumeChange1), Ok(-1.0));
    steps.push(timer(START + 29 * SECOND + SECOND / 4));
    let many = run(&SETTINGS, &steps, end_of(&steps));
    assert_eq!(many.get(VolumeChange1), Err(Reason::FeatureNotFinite));
    steps.push(timer(START + 54 * SECOND + SECOND / 4));
    steps.push(trade(START + 55 * SECOND - 1, 5_000_000_000, 1, true));
    let none = run(&SETTINGS, &steps, end_of(&steps));
    for (feature, want) in [
        (VolumeRatio, 1.0),
        (VwapDeviation20, 0.0),
        (Cvd20, 0.0),
        (TakerBuyRatio20, 0.5),
        (TradeSizeRatio, 1.0),
        (LargeTradeShare, 0.0),
        (Return20, 0.0),
    ] {
        assert_eq!(none.get(feature), Ok(want), "{}", feature.spec().name);
    }
}

#[test]
fn bars_close_at_the_trade_that_opens_the_next_and_otherwise_after_the_grace() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    assert!(!feed(&mut engine, &trade(START + 10, 100, 1, false)));
    assert!(!feed(&mut engine, &timer(START + SECOND + 249_999_999)));
    assert!(!feed(
        &mut engine,
        &trade_of(Kind::Trade, START + SECOND + 249_999_999, START + SECOND - 1, 100, 1, false)
    ));
    assert!(feed(&mut engine, &timer(START + SECOND + 250_000_000)));
    assert_eq!(engine.late_trades(), 0);
    assert!(feed(
        &mut engine,
        &trade_of(Kind::Trade, START + SECOND + 250_000_000, START + 2 * SECOND, 100, 1, false)
    ));
    // Matched in the bar just closed: counted, and counted as late.
    assert!(!feed(
        &mut engine,
        &trade_of(Kind::Trade, START + 2 * SECOND, START + 2 * SECOND - 1, 300, 4, false)
    ));
    assert_eq!(engine.late_trades(), 1);
    assert!(feed(&mut engine, &trade(START + 3 * SECOND, 100, 1, false)));
    assert!(feed(&mut engine, &trade(START + 4 * SECOND, 100, 1, true)));
    let vector = compute(&engine, START + 4 * SECOND);
    // The bar of second 2 held a trade of 1 and the late one of 4; that of second 3 a trade of 1.
    assert_eq!(vector.get(Feature::VolumeChange1), Ok(1.0 / 5.0 - 1.0));
}

#[test]
fn only_the_first_kind_of_trade_is_counted() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    let mut twice = FeatureEngine::new(&SETTINGS);
    for i in 0..40 {
        let at = START + i * SECOND;
        let px = 100_000 + i * i % 7;
        let first = trade_of(Kind::AggTrade, at, at, px, 10 + i, i % 2 == 0);
        feed(&mut engine, &first);
        feed(&mut twice, &first);
        feed(&mut twice, &trade_of(Kind::Trade, at, at, px + 3, 10 + i, i % 2 == 0));
    }
    let now = START + 40 * SECOND;
    assert_eq!(compute(&engine, now), compute(&twice, now));
    assert_eq!(twice.refused(), 40);
}

#[test]
fn an_invalid_book_silences_its_features_and_starts_them_over() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    for second in 0..30 {
        for step in clockwork(second) {
            feed(&mut engine, &step);
        }
    }
    let at = START + 30 * SECOND;
    assert!(compute(&engine, at).get(Feature::Ofi1).is_ok());
    let Step::Top(good, _) = clockwork(3)[1] else { unreachable!() };
    let mut crossed = good;
    crossed.ask[0].px = crossed.bid[0].px;
    let mut empty = good;
    empty.bid = [Level::default(); TOP_LEVELS];
    for bad in [TopOfBook { valid: false, ..good }, crossed, empty] {
        let mut engine = engine.clone();
        engine.on_top(&bad, Nanos(at));
        let vector = compute(&engine, at);
        for (i, spec) in SCHEMA.iter().enumerate() {
            let invalid = Reason::BookInvalid as u16;
            assert_eq!(vector.fault[i] == invalid, spec.inputs.has(Input::Top), "{}", spec.name);
        }
        engine.on_top(&good, Nanos(at + 1));
        let vector = compute(&engine, at + 1);
        assert!(vector.get(Feature::SpreadBps).is_ok());
        assert_eq!(vector.get(Feature::Ofi1), Err(Reason::FeatureWarmUp));
        assert_eq!(vector.get(Feature::MidReturn1s), Err(Reason::FeatureWarmUp));
    }
}

#[test]
fn nothing_of_an_earlier_book_is_left_after_an_invalid_one() {
    let (mut old, mut new) = (FeatureEngine::new(&SETTINGS), FeatureEngine::new(&SETTINGS));
    for second in 0..30 {
        for step in clockwork(second) {
            feed(&mut old, &step);
        }
    }
    old.on_top(&TopOfBook::default(), Nanos(START + 30 * SECOND));
    for second in 31..140 {
        let step = clockwork(second)[1];
        feed(&mut old, &step);
        feed(&mut new, &step);
    }
    let now = START + 140 * SECOND;
    let (old, new) = (compute(&old, now), compute(&new, now));
    for i in (0..FEATURE_COUNT).filter(|&i| SCHEMA[i].inputs.has(Input::Top)) {
        assert_eq!((old.values[i], old.fault[i]), (new.values[i], 0), "{}", SCHEMA[i].name);
    }
}

#[test]
fn the_mid_at_a_boundary_is_the_one_that_came_exactly_then() {
    let at_mid = |px: i64, at: i64| top(at, px - 1_000, 2_000, 1, || 5);
    let steps = [at_mid(1_000_000, START), at_mid(2_000_000, START + SECOND)];
    let mid_return =
        |steps: &[Step], now: i64| run(&SETTINGS, steps, now).get(Feature::MidReturn1s);
    // START is a boundary: the mid of a second ago is the one that came at START itself.
    assert_eq!(mid_return(&steps, START + SECOND), Ok(1.0));
    assert_eq!(mid_return(&steps[..1], START + SECOND - 1), Err(Reason::FeatureWarmUp));
    // One nanosecond later the boundary looked at is 100 ms later, still before the change.
    assert_eq!(mid_return(&steps, START + SECOND + 1), Ok(1.0));
    assert_eq!(mid_return(&steps, START + 2 * SECOND - 100_000_000), Ok(1.0));
    assert_eq!(mid_return(&steps, START + 2 * SECOND - 99_999_999), Ok(0.0));
    let third = [steps[0], steps[1], at_mid(4_000_000, START + 3 * SECOND)];
    assert_eq!(mid_return(&third, START + 3 * SECOND), Ok(1.0));
    assert_eq!(mid_return(&third, START + 4 * SECOND), Ok(0.0));
}

#[test]
fn a_hole_longer_than_any_window_forgets_the_bars() {
    let mut steps = market(28, START, 150);
    let end = end_of(&steps);
    let warm = |steps: &[Step]| run(&SETTINGS, steps, end_of(steps)).get(Feature::Return1).is_ok();
    steps.push(trade(end + 127 * SECOND, 1_000, 1, false));
    assert!(warm(&steps));
    steps.pop();
    steps.push(trade(end + 130 * SECOND, 1_000, 1, false));
    assert!(!warm(&steps));
}

#[test]
fn a_trade_dated_far_ahead_does_not_stop_the_bars() {
    let mut engine = FeatureEngine::new(&SETTINGS);
    feed(&mut engine, &trade_of(Kind::Trade, START, START + 3_600 * SECOND, 100, 1, false));
    assert!(feed(&mut engine, &trade(START + SECOND, 100, 1, false)));
    assert_eq!(engine.late_trades(), 0);
}

#[test]
fn a_selection_refuses_unknown_and_repeated_names_and_gathers_in_its_order() {
    let names = |list: &[&str]| list.iter().map(|n| n.to_string()).collect::<Vec<_>>();
    let unknown = Selection::new(&names(&["natr", "obv"])).unwrap_err();
    assert_eq!(unknown, UnknownFeature::Name { name: "obv".into(), position: 1 });
    let twice = Selection::new(&names(&["natr", "natr"])).unwrap_err();
    assert_eq!(twice, UnknownFeature::Twice { name: "natr".into(), position: 1 });
    let selection = Selection::new(&names(&["rsi_14", "oi_change_1", "return_1"])).unwrap();

    let steps = market(29, START, 150);
    let vector = run(&SETTINGS, &steps, end_of(&steps));
    let mut out = [0.0; 3];
    selection.gather(&vector, &mut out).unwrap();
    let want = [Feature::Rsi14, Feature::OiChange1, Feature::Return1];
    assert_eq!(out, want.map(|f| vector.get(f).unwrap()));

    let no_oi: Vec<Step> =
        steps.iter().filter(|s| input_of(s) != Some(Input::OpenInterest)).copied().collect();
    let vector = run(&SETTINGS, &no_oi, end_of(&no_oi));
    let at_fault = Feature::OiChange1 as u16;
    assert_eq!(selection.gather(&vector, &mut out), Err((Reason::FeatureInputMissing, at_fault)));
    assert_eq!(selection.gather(&vector, &mut [0.0; 4]), Err((Reason::SchemaMismatch, u16::MAX)));
}

#[test]
fn taking_events_and_computing_allocates_nothing() {
    let steps = market(30, START, 150);
    let selection = Selection::all();
    let mut engine = FeatureEngine::new(&SETTINGS);
    let (mut vector, mut row) = (FeatureVector::EMPTY, vec![0.0; FEATURE_COUNT]);
    let allocations = crate::allocations::count(|| {
        for step in &steps {
            feed(&mut engine, step);
            engine.compute(Nanos(step.received()), &mut vector);
            let _ = selection.gather(&vector, &mut row);
        }
    });
    assert_eq!(allocations, 0);
    assert_eq!(selection.gather(&vector, &mut row), Ok(()));
}
