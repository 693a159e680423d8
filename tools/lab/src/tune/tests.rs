//! The sampler, the pruners, the space and the settings, without a storage.

use super::functions::Function;
use super::settings::parse;
use super::*;
use crate::gbdt::{Objective as Learned, Params, Table, train};
use crate::learn::Kind;
use crate::metrics::log_loss;
use crate::samples::Samples;
use peregrine::base::Nanos;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Best value over the optimum after so many trials.
fn regret(function: Function, trials: u64, seed: u64) -> f64 {
    let (space, tpe) = (function.space(), Tpe::new(seed));
    let mut history = Vec::new();
    let mut best = f64::INFINITY;
    for key in 0..trials {
        let values = tpe.suggest(&space, &history, key);
        let value = function.value(&values);
        best = best.min(value);
        history.push(Observation { values, outcome: Outcome::Complete(value) });
    }
    best - function.optimum()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    f64::midpoint(values[(values.len() - 1) / 2], values[middle])
}

/// Medians of Optuna, as `tools/lab/tests/optuna/reference.py` printed them.
fn references() -> Vec<(Function, u64, f64)> {
    let text = include_str!("../../tests/optuna/reference.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let function = Function::ALL.into_iter().find(|f| f.name() == words[0]);
        let number = |at: usize| words[at].parse::<f64>().expect("a number");
        (function.expect("a function of ours"), number(1) as u64, number(2))
    };
    lines.map(line).collect()
}

#[test]
fn median_regret_over_20_seeds_is_no_worse_than_optunas() {
    let references = references();
    assert_eq!(references.len(), 7, "a case is missing from the file");
    let worse: Vec<String> = std::thread::scope(|scope| {
        let work = |(function, trials, theirs): (Function, u64, f64)| {
            let ours = median((0..20).map(|seed| regret(function, trials, seed)).collect());
            let line =
                format!("{} {trials}: ours {ours:.5}, Optuna's {theirs:.5}", function.name());
            println!("{line}");
            (ours > theirs).then_some(line)
        };
        let jobs: Vec<_> =
            references.into_iter().map(|case| scope.spawn(move || work(case))).collect();
        jobs.into_iter().filter_map(|job| job.join().expect("no panic")).collect()
    });
    assert!(worse.is_empty(), "{worse:#?}");
}

#[test]
fn functions_have_their_published_minima_where_they_are_published() {
    let minima: [(Function, &[f64], f64); 8] = [
        (Function::Sphere, &[0.0; 5], 1e-12),
        (Function::Rosenbrock, &[1.0, 1.0], 1e-12),
        (Function::Branin, &[-std::f64::consts::PI, 12.275], 1e-6),
        (Function::Branin, &[std::f64::consts::PI, 2.275], 1e-6),
        (Function::Branin, &[9.42478, 2.475], 1e-6),
        (Function::Hartmann6, &[0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573], 1e-5),
        (Function::Ackley, &[0.0; 5], 1e-12),
        (Function::Mixed, &[0.031_622_776_601_683_79, 5.0, 0.7, 1.0], 1e-12),
    ];
    for (function, at, near) in minima {
        let apart = function.value(at) - function.optimum();
        assert!(apart.abs() < near, "{function:?} is {apart} off at {at:?}");
    }
}

fn any_distribution() -> impl Strategy<Value = Distribution> {
    // Quarters, so that the text of a bound is the bound.
    let low = (-200..200_i32).prop_map(|quarters| f64::from(quarters) / 4.0);
    let more = (0..36_i32).prop_map(|quarters| f64::from(quarters) / 4.0);
    prop_oneof![
        (low.clone(), more.clone()).prop_map(|(low, more)| Distribution::Float {
            low,
            high: low + more,
            log: false,
            step: None
        }),
        (-20..0_i32, 0..40_i32).prop_map(|(low, more)| Distribution::Float {
            low: libm::exp2(f64::from(low)),
            high: libm::exp2(f64::from(low + more)),
            log: true,
            step: None
        }),
        (low, more, 1..8_i32).prop_map(|(low, more, step)| Distribution::Float {
            low,
            high: low + more,
            log: false,
            step: Some(f64::from(step) / 4.0)
        }),
        (-20..20_i64, 0..30_i64, 1..5_i64).prop_map(|(low, more, step)| Distribution::Int {
            low,
            high: low + more,
            log: false,
            step
        }),
        (1..20_i64, 0..500_i64).prop_map(|(low, more)| Distribution::Int {
            low,
            high: low + more,
            log: true,
            step: 1
        }),
        (1..5_usize).prop_map(|n| Distribution::Categorical { choices: vec![json!("x"); n] }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_drawn_point_is_in_its_space_and_the_same_again(
        distributions in prop::collection::vec(any_distribution(), 1..5),
        seed in any::<u64>(),
        values in prop::collection::vec(-1e3..1e3_f64, 0..40),
    ) {
        let parameter = |(at, distribution)| Parameter { name: format!("p{at}"), distribution };
        let space = distributions.into_iter().enumerate().map(parameter).collect();
        let space = Space::new(space).expect("a space");
        let tpe = Tpe { startup: 4, ..Tpe::new(seed) };
        let mut history = Vec::new();
        for (key, value) in values.into_iter().enumerate() {
            let point = tpe.suggest(&space, &history, key as u64);
            prop_assert_eq!(&point, &tpe.suggest(&space, &history, key as u64));
            for (parameter, &value) in space.parameters().iter().zip(&point) {
                prop_assert!(parameter.distribution.contains(value), "{parameter:?} {value}");
            }
            let outcome = match key % 5 {
                3 => Outcome::Pruned(Some((key as i64, value))),
                4 => Outcome::Running,
                _ => Outcome::Complete(value),
            };
            history.push(Observation { values: point, outcome });
        }
    }

    #[test]
    fn distributions_come_back_from_their_text(distribution in any_distribution()) {
        prop_assert_eq!(Distribution::from_json(&distribution.to_json()), Some(distribution));
    }
}

#[test]
fn distributions_are_written_to_the_byte_as_optuna_writes_them() {
    // What Optuna 5.0.0 wrote into trial_params for the calls of suggest_… beside them.
    let float = |low, high, log, step| Distribution::Float { low, high, log, step };
    let choices = vec![json!("a"), json!("é\""), Value::Null, json!(1.5), json!(true)];
    let cases = [
        (
            float(1e-5, 0.1, true, None),
            "FloatDistribution",
            r#""step": null, "low": 1e-05, "high": 0.1, "log": true"#,
        ),
        (
            float(0.0, 1e16, false, Some(0.25)),
            "FloatDistribution",
            r#""step": 0.25, "low": 0.0, "high": 1e+16, "log": false"#,
        ),
        (
            Distribution::Int { low: 1, high: 1024, log: true, step: 1 },
            "IntDistribution",
            r#""log": true, "step": 1, "low": 1, "high": 1024"#,
        ),
        (
            Distribution::Categorical { choices },
            "CategoricalDistribution",
            r#""choices": ["a", "\u00e9\"", null, 1.5, true]"#,
        ),
    ];
    for (distribution, name, attributes) in cases {
        let text = format!("{{\"name\": \"{name}\", \"attributes\": {{{attributes}}}}}");
        assert_eq!(distribution.to_json(), text);
    }
}

#[test]
fn parallel_workers_do_not_crowd_on_one_point() {
    let (space, tpe) = (Function::Branin.space(), Tpe::new(3));
    let mut history: Vec<Observation> = (0..30)
        .map(|key| {
            let values = tpe.suggest(&space, &[], key);
            let value = Function::Branin.value(&values);
            Observation { values, outcome: Outcome::Complete(value) }
        })
        .collect();
    let mut apart = |lie: bool| {
        let known = history.len();
        let mut points = Vec::new();
        for key in 100..116 {
            let values = tpe.suggest(&space, &history, key);
            points.push(values.clone());
            if lie {
                history.push(Observation { values, outcome: Outcome::Running });
            }
        }
        history.truncate(known);
        let far = |a: &[f64], b: &[f64]| (a[0] - b[0]).hypot(a[1] - b[1]);
        let nearest = |at: usize| {
            let others = (0..points.len()).filter(|&other| other != at);
            others.map(|other| far(&points[at], &points[other])).fold(f64::INFINITY, f64::min)
        };
        (0..points.len()).map(nearest).sum::<f64>()
    };
    let (together, spread) = (apart(false), apart(true));
    assert!(spread > together, "{spread} with running trials known, {together} without");
}

fn curve(values: &[f64]) -> BTreeMap<i64, f64> {
    values.iter().enumerate().map(|(step, &value)| (step as i64 + 1, value)).collect()
}

#[test]
fn the_median_stops_what_is_worse_than_half_and_waits_as_it_is_told() {
    let median = Median { startup: 3, warmup: 2, interval: 2 };
    let others = [1.0, 2.0, 3.0];
    assert!(median.stops(&curve(&[9.0, 2.5]), 3, &others));
    assert!(!median.stops(&curve(&[9.0, 1.5]), 3, &others));
    assert!(!median.stops(&curve(&[1.5, 9.0]), 3, &others), "the best so far counts");
    assert!(!median.stops(&curve(&[9.0, 2.5]), 2, &others), "too few are finished");
    assert!(!median.stops(&curve(&[9.0]), 3, &others), "too early");
    assert!(!median.stops(&curve(&[9.0, 9.0, 9.0]), 3, &others), "looked at one step before");
    assert!(median.stops(&curve(&[9.0, 9.0, 9.0, 9.0]), 3, &others));
    assert!(!median.stops(&curve(&[9.0, 9.0]), 3, &[]), "nobody to compare with");
    assert!(median.stops(&curve(&[f64::NAN, f64::NAN]), 3, &others));
}

#[test]
fn halving_lets_one_in_so_many_go_on() {
    let halving = Halving { least: 2, factor: 3 };
    assert_eq!([0, 1, 2].map(|rung| halving.steps(rung)), [2, 6, 18]);
    assert!(halving.promotes(5.0, &[]), "the first is the best so far");
    assert!(!halving.promotes(5.0, &[4.0]));
    assert!(halving.promotes(3.0, &[4.0, 5.0]));
    let others: Vec<f64> = (0..8).map(f64::from).collect();
    assert!(halving.promotes(1.5, &others), "third of nine");
    assert!(!halving.promotes(2.5, &others), "fourth of nine");
    assert!(!halving.promotes(f64::NAN, &[]));
}

#[test]
fn the_shipped_settings_are_read_and_search_what_there_is_to_set() {
    let text = include_str!("../../../../config/search.toml");
    let search = parse(text).expect("settings");
    SyntheticTraining::check(&search.space, search.market.model).expect("parameters of a training");
    let wrong = [
        (text.replace("trials = 60", "trials = 0"), "study.trials"),
        (text.replace("trials = 60", "trails = 60"), "trails"),
        (text.replace("grace_s = 30.0", "grace_s = 1.0"), "study.grace_s"),
        (text.replace("low = 20, high = 120", "low = 20, hihg = 120"), "space.rounds"),
        (text.replace("low = 0.02", "low = 0.0"), "learning_rate"),
        (text.replace("kind = \"median\"", "kind = \"mean\""), "mean"),
    ];
    for (text, word) in wrong {
        let error = parse(&text).expect_err(word).to_string();
        assert!(error.contains(word), "{error}");
    }
    let both =
        text.replace("trials = 60", "trials = 0").replace("candidates = 40", "candidates = 0");
    let error = parse(&both).expect_err("two errors").to_string();
    assert!(error.contains("study.trials") && error.contains("sampler.candidates"), "{error}");
}

/// Rows a second apart whose label is the sign of the first feature, wrong once in five times.
fn rows(count: usize) -> Samples {
    let mut state = 9_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let mut table = Table { features: 2, ..Table::default() };
    for _ in 0..count {
        let (x, noise, luck) = (next(), next(), next());
        table.values.extend([x, noise]);
        table.targets.push(if (x > 0.5) ^ (luck > 0.8) { 2.0 } else { 0.0 });
    }
    let times = (0..count).map(|at| Nanos::from_secs(at as i64)).collect();
    Samples { times, table, ..Samples::default() }
}

#[test]
fn a_training_is_judged_by_its_log_loss_on_the_part_behind_the_purge_and_pruned_by_round() {
    let samples = rows(4_000);
    let horizon = Nanos::from_secs(2);
    let training = SyntheticTraining::of(&samples, horizon, (3, 0)).expect("parts");
    let range = |name: &str, low, high| Parameter {
        name: name.to_owned(),
        distribution: Distribution::Int { low, high, log: false, step: 1 },
    };
    let rate = Distribution::Float { low: 0.01, high: 0.5, log: true, step: None };
    let rate = Parameter { name: "learning_rate".to_owned(), distribution: rate };
    let space = Space::new(vec![range("rounds", 4, 12), range("depth", 1, 3), rate]);
    let space = space.expect("a space");
    SyntheticTraining::check(&space, Kind::Trees).expect("known parameters");
    let dir = tempfile::tempdir().expect("a folder");
    let job = Job {
        storage: &dir.path().join("study.db").display().to_string(),
        study: "training",
        space: &space,
        objective: &training,
        sampler: Tpe::new(3),
        pruner: Pruner::Median(Median { startup: 3, warmup: 2, interval: 1 }),
        trials: 12,
        workers: 2,
        heartbeat_secs: 1.0,
        rescue: Rescue { grace_secs: 60.0, retries_max: 0 },
        outage: Duration::ZERO,
    };
    let summary = run(&job, &|_| {}).expect("a search");
    assert_eq!(summary.complete + summary.pruned, 12);
    assert!(summary.pruned > 0, "nothing was stopped early");

    // The same forest by hand: 70 % and 85 % of 3 999 seconds are rows 2 799.3 and 3 399.15; a
    // horizon and a second before them nothing is used.
    let best = summary.best.expect("a best trial");
    let number = |name: &str| best.params[name].as_f64().expect("a number");
    let depth = number("depth") as usize;
    let params = Params {
        rounds: number("rounds") as usize,
        learning_rate: number("learning_rate"),
        depth_max: depth,
        leaves_max: 1 << depth,
        leaf_rows_min: 100,
        row_share: 0.8,
        seed: 3,
        ..Params::new(Learned::Softmax { classes: 3 })
    };
    let fit = samples.table.slice(0..2_797);
    let score = samples.table.slice(2_800..3_397);
    let forest = train(&params, &fit, Some(&score), &mut |_, _| {}).expect("a forest").forest;
    let told = (0..score.rows()).map(|row| forest.probabilities(score.row(row)));
    let labels: Vec<usize> = score.targets.iter().map(|&label| label as usize).collect();
    let loss = log_loss(&told.collect::<Vec<_>>(), &labels);
    assert!((loss - best.value).abs() < 1e-4, "{loss} by hand, {} in the study", best.value);
}
