//! Labels worked by hand, splits held against the definition, and a model that looks ahead.

use super::folds::{Fold, Life, Refused, combinatorial, paths, walk_forward};
use super::label::{Barriers, Candle, Label, barrier_label, fading_deviation, uniqueness};
use crate::gbdt::{Objective, Params, Table, train};
use crate::metrics::log_loss;
use proptest::prelude::*;
use std::collections::BTreeSet;

fn candles(closes: &[f64]) -> Vec<Candle> {
    closes.iter().map(|&close| Candle { high: close, low: close, close }).collect()
}

fn two_by_two(horizon: usize) -> Barriers {
    Barriers { profit: Some(2.0), loss: Some(2.0), horizon, flat: 0.0105, cost: 0.0 }
}

#[test]
fn the_published_walks_end_at_the_barrier_they_touch_first() {
    let label =
        |closes: &[f64], horizon| barrier_label(&candles(closes), 0, 0.01, &two_by_two(horizon));
    let class = |closes: &[f64], horizon| label(closes, horizon).map(|l| (l.class, l.until));
    assert_eq!(class(&[100.0, 101.0, 102.0, 103.0], 3), Some((2, 2)));
    assert_eq!(class(&[100.0, 99.0, 98.0, 103.0], 3), Some((0, 2)));
    let flat = label(&[100.0, 101.0, 99.0, 101.0], 3).unwrap();
    assert_eq!((flat.class, flat.until), (1, 3));
    assert!((flat.change - 0.01).abs() < 1e-12);
    assert_eq!(label(&[100.0, 101.0], 3), None);
}

#[test]
fn a_candle_that_touches_both_barriers_lost_and_costs_move_both_away() {
    let both = [
        Candle { high: 100.0, low: 100.0, close: 100.0 },
        Candle { high: 105.0, low: 95.0, close: 104.0 },
    ];
    let found = barrier_label(&both, 0, 0.01, &two_by_two(1));
    assert_eq!(found, Some(Label { class: 0, until: 1, change: -0.02 }));
    let dear = Barriers { cost: 0.001, ..two_by_two(2) };
    let walk = candles(&[100.0, 102.05, 102.2]);
    assert_eq!(barrier_label(&walk, 0, 0.01, &dear).unwrap().until, 2);
    assert_eq!(barrier_label(&walk, 0, 0.01, &two_by_two(2)).unwrap().until, 1);
    let fixed = Barriers { profit: None, loss: None, horizon: 2, flat: 0.005, cost: 0.0 };
    assert_eq!(barrier_label(&walk, 0, 0.01, &fixed).unwrap().class, 2);
}

#[test]
fn the_deviation_fades_by_half_and_knows_nothing_of_later_closes() {
    let closes = [100.0, 101.0, 101.0, 101.0];
    let found = fading_deviation(&closes, 1.0);
    // Squares 1e-4, 0, 0 with weights 1, then ½ of 1½, then ¼ of 1¾.
    let expected = [0.0, 1e-4, 0.5e-4 / 1.5, 0.25e-4 / 1.75].map(f64::sqrt);
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
    assert_eq!(fading_deviation(&closes[..3], 1.0), found[..3]);
}

#[test]
fn labels_that_overlap_share_what_they_say() {
    // Two that live together for one of two candles each: (1 + ½) / 2.
    assert_eq!(uniqueness(&[0..2, 1..3, 5..6], 6), [0.75, 0.75, 1.0]);
    // Forty-eight candles on every candle: one forty-eighth each, away from the ends.
    let lives: Vec<_> = (0..1_000).map(|at| at..at + 48).collect();
    let found = uniqueness(&lives, 1_048);
    assert!((found[500] - 1.0 / 48.0).abs() < 1e-12);
}

fn lives(rows: usize, horizon: i64) -> Vec<Life> {
    (0..rows as i64).map(|from| Life { from, until: from + horizon }).collect()
}

/// What the definition says, row by row.
fn hold(lives: &[Life], fold: &Fold, embargo: i64) {
    let train: BTreeSet<_> = fold.train.iter().collect();
    assert!(fold.test.iter().all(|row| !train.contains(row)));
    for &learned in &fold.train {
        for &judged in &fold.test {
            let (a, b) = (lives[learned], lives[judged]);
            assert!(a.until < b.from || a.from > b.until, "{learned} knows of {judged}");
            let follows = a.from > b.until && a.from - b.until <= embargo;
            assert!(!follows, "{learned} follows {judged} too closely");
        }
    }
}

#[test]
fn walk_forward_judges_every_row_once_after_what_it_learned_from() {
    let lives = lives(1_000, 12);
    let folds = walk_forward(&lives, 400, 100).unwrap();
    assert_eq!(folds.len(), 6);
    let judged: Vec<usize> = folds.iter().flat_map(|fold| fold.test.clone()).collect();
    assert_eq!(judged, (400..1_000).collect::<Vec<_>>());
    for fold in &folds {
        assert!(fold.train.last() < fold.test.first());
        // The last twelve labels are known only in the test.
        assert_eq!((fold.train.len(), fold.purged), (388, 12));
        hold(&lives, fold, 0);
    }
}

#[test]
fn combinatorial_splits_and_paths_are_as_many_as_the_published_table_says() {
    let table = [(5, 2, 10, 4), (6, 2, 15, 5), (8, 2, 28, 7), (10, 2, 45, 9), (10, 3, 120, 36)];
    for (groups, tested, splits, ways) in table {
        let folds = combinatorial(&lives(200, 0), groups, tested, 0).unwrap();
        let found = paths(groups, tested);
        assert_eq!((folds.len(), found.len()), (splits, ways), "{groups} {tested}");
        let mut used = BTreeSet::new();
        for path in &found {
            for (group, &fold) in path.iter().enumerate() {
                let first = group * 200 / groups;
                assert!(folds[fold].test.contains(&first));
                assert!(used.insert((group, fold)), "a judgement is in one path");
            }
        }
        assert_eq!(used.len(), splits * tested);
    }
    assert_eq!(paths(16, 8).len(), 6_435);
}

proptest! {
    #[test]
    fn nothing_that_is_learned_from_knows_of_what_is_judged(
        steps in prop::collection::vec((0_i64..4, 0_i64..9), 30..120),
        embargo in 0_i64..20,
    ) {
        let mut now = 0;
        let lives: Vec<Life> = steps.iter().map(|&(step, horizon)| {
            now += step;
            Life { from: now, until: now + horizon }
        }).collect();
        if let Ok(folds) = combinatorial(&lives, 6, 2, embargo) {
            folds.iter().for_each(|fold| hold(&lives, fold, embargo));
        }
        if let Ok(folds) = walk_forward(&lives, 15, 5) {
            folds.iter().for_each(|fold| hold(&lives, fold, 0));
        }
    }
}

#[test]
fn what_cannot_be_split_is_refused_with_the_reason() {
    let mut late = lives(10, 1);
    late[4].from = 99;
    late[4].until = 99;
    assert_eq!(walk_forward(&late, 5, 2), Err(Refused::Order(5)));
    let refused = Refused::Rows { rows: 10, needed: 12 };
    assert_eq!(walk_forward(&lives(10, 1), 8, 4), Err(refused));
    assert_eq!(walk_forward(&lives(10, 50), 5, 2), Err(Refused::Empty(0)));
    assert_eq!(combinatorial(&lives(10, 1), 4, 4, 0), Err(Refused::Groups));
}

/// A walk without memory, its look-back features and its labels over the next 48 steps.
fn noise() -> (Table, Vec<Life>) {
    let mut x: u32 = 2_024;
    let mut next = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        crate::statistics::normal_quantile((f64::from(x) + 0.5) / 2_f64.powi(32))
    };
    let (horizon, back) = (48, 128);
    let mut log = vec![0.0];
    (0..3_000 + back + horizon).for_each(|at| log.push(log[at] + 0.002 * next()));
    let mut table = Table { features: 8, ..Table::default() };
    let mut lives = Vec::new();
    for at in back..back + 3_000 {
        for power in 0..8 {
            table.values.push((log[at] - log[at - (1 << power)]) as f32);
        }
        let change = log[at + horizon] - log[at];
        let class = if change > 0.005 {
            2.0
        } else if change < -0.005 {
            0.0
        } else {
            1.0
        };
        table.targets.push(class);
        lives.push(Life { from: at as i64, until: (at + horizon) as i64 });
    }
    (table, lives)
}

fn part(table: &Table, rows: &[usize]) -> Table {
    Table {
        features: table.features,
        values: rows.iter().flat_map(|&row| table.row(row).iter().copied()).collect(),
        targets: rows.iter().map(|&row| table.targets[row]).collect(),
        weights: Vec::new(),
    }
}

/// Log-loss of a model that learned from some rows, on others, and of their class shares.
fn losses(table: &Table, learn: &[usize], judge: &[usize]) -> (f64, f64) {
    let params =
        Params { rounds: 30, depth_max: 4, ..Params::new(Objective::Softmax { classes: 3 }) };
    let learned = part(table, learn);
    let forest = train(&params, &learned, None, &mut |_, _| {}).unwrap().forest;
    let labels: Vec<usize> = judge.iter().map(|&row| table.targets[row] as usize).collect();
    let said: Vec<Vec<f64>> =
        judge.iter().map(|&row| forest.probabilities(table.row(row))).collect();
    let share = |class: f64| {
        let hits = learned.targets.iter().filter(|&&target| target == class).count();
        hits as f64 / learned.targets.len() as f64
    };
    let prior = vec![share(0.0), share(1.0), share(2.0)];
    (log_loss(&said, &labels), log_loss(&vec![prior; labels.len()], &labels))
}

#[test]
fn on_noise_shuffled_rows_show_an_edge_and_purged_folds_show_none() {
    let (table, lives) = noise();
    // Every fifth row is judged, its neighbours are learned from: what must not be possible.
    let (judge, learn): (Vec<usize>, Vec<usize>) = (0..3_000).partition(|row| row % 5 == 0);
    let (model, prior) = losses(&table, &learn, &judge);
    assert!(model < prior - 0.05, "the trap does not spring: {model} against {prior}");
    for fold in combinatorial(&lives, 5, 1, 128).unwrap() {
        let (model, prior) = losses(&table, &fold.train, &fold.test);
        assert!(model > prior - 0.02, "an edge on noise: {model} against {prior}");
    }
    for fold in walk_forward(&lives, 1_500, 500).unwrap() {
        let (model, prior) = losses(&table, &fold.train, &fold.test);
        assert!(model > prior - 0.02, "an edge on noise: {model} against {prior}");
    }
}
