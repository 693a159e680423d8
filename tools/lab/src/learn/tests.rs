//! Weights against their definition, memories row by row, and models that know and do not know.

use super::net::{cut, runs};
use super::*;
use crate::gbdt::{Objective, Params, softmax};
use crate::nets::{NetParams, Windows};
use std::ops::ControlFlow;

pub(crate) fn lcg(seed: u64) -> impl FnMut() -> f64 {
    let mut x = seed;
    move || {
        x = (1_664_525 * x + 1_013_904_223) % (1 << 32);
        (x as f64 + 0.5) / (1_u64 << 32) as f64
    }
}

/// Rows of two symbols in turn, of classes that the first two features tell in part.
pub(crate) struct World {
    pub table: Table,
    pub lives: Vec<Life>,
    pub symbols: Vec<u16>,
    pub changes: Vec<f64>,
}

impl World {
    pub fn new(rows: usize, seed: u64) -> Self {
        let mut draw = lcg(seed);
        let mut table = Table { features: 4, ..Table::default() };
        let (mut lives, mut symbols, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let x: Vec<f64> = (0..4).map(|_| 2.0 * draw() - 1.0).collect();
            let score = x[0] + x[0] * x[1] + 0.5 * (draw() - 0.5);
            table.values.extend(x.iter().map(|&x| (100.0 + 3.0 * x) as f32));
            table.targets.push(if score < -0.4 {
                0.0
            } else {
                1.0 + f64::from(u8::from(score > 0.4))
            });
            table.weights.push(0.5 + draw());
            let from = (row / 2) as i64;
            lives.push(Life { from, until: from + 3 });
            symbols.push((row % 2) as u16);
            changes.push(0.01 * score);
        }
        Self { table, lives, symbols, changes }
    }

    pub fn ground(&self) -> Ground<'_> {
        Ground { table: &self.table, lives: &self.lives, symbols: &self.symbols }
    }
}

/// Small enough for seconds.
pub(crate) fn settings(kind: Kind) -> Settings {
    let trees =
        Params { rounds: 12, depth_max: 3, ..Params::new(Objective::Softmax { classes: 3 }) };
    let net = NetParams {
        hidden: 8,
        epochs: 12,
        patience: 0,
        batch: 64,
        learning_rate: 0.01,
        decay: 0.01,
        threads: 1,
        seed: 7,
        fold: 0,
    };
    Settings {
        kind,
        trees,
        gru: NetParams { batch: 8, epochs: 6, ..net.clone() },
        dense: net,
        windows: Windows { steps: 16, lead: 4 },
        stack: StackParams {
            of: vec![Kind::Trees, Kind::Dense, Kind::Gru],
            groups: 3,
            embargo: 5,
            pull: 0.01,
        },
    }
}

pub(crate) fn taught(world: &World, settings: &Settings) -> Taught {
    let border = world.table.rows() * 4 / 5;
    let fit: Vec<usize> = (0..border - 8).collect();
    let stop: Vec<usize> = (border..world.table.rows()).collect();
    let quiet = &mut |_: usize, _: Option<f64>| ControlFlow::Continue(());
    learn(world.ground(), (&fit, &stop), settings, None, quiet).expect("enough rows")
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Trees, Kind::Dense, Kind::Gru, Kind::Stack];

#[test]
fn every_kind_learns_more_than_the_shares_and_the_same_with_more_threads() {
    let world = World::new(1_600, 1);
    let all: Vec<usize> = (0..world.table.rows()).collect();
    let shares = shares(&world.table, &all);
    let entropy: f64 = shares.iter().map(|share| -share * share.ln()).sum();
    for kind in KINDS {
        let settings = settings(kind);
        let one = taught(&world, &settings);
        assert!(one.stop_loss < entropy - 0.2, "{kind:?}: {} of {entropy}", one.stop_loss);
        let mut several = settings.clone();
        several.trees.threads = 2;
        several.dense.threads = 2;
        several.gru.threads = 2;
        assert!(taught(&world, &several) == one, "{kind:?} with two threads is another");
    }
}

#[test]
fn a_stack_listens_to_the_model_that_knows() {
    let world = World::new(1_600, 2);
    let mut settings = settings(Kind::Stack);
    settings.stack.of = vec![Kind::Trees, Kind::Dense];
    // A net that never moves from where it began says the shares with noise.
    settings.dense.epochs = 1;
    settings.dense.learning_rate = 1e-9;
    let Predictor::Stack(stack) = taught(&world, &settings).predictor else { panic!("no stack") };
    let strength = |model: usize| -> f64 {
        (0..3).map(|class| stack.weights[class * 6 + model * 3 + class]).sum()
    };
    assert!(strength(0) > 4.0 * strength(1).abs(), "{} to {}", strength(0), strength(1));
    // Weights on one model alone make it no worse: they only say how much it can be believed.
    settings.stack.of = vec![Kind::Trees];
    let alone = taught(&world, &self::settings(Kind::Trees));
    let stacked = taught(&world, &settings);
    let (alone, stacked) = (alone.stop_loss, stacked.stop_loss);
    assert!(stacked < alone + 0.01, "{stacked} against {alone}");
}

#[test]
fn weights_are_where_no_other_weights_have_a_lower_loss() {
    let mut draw = lcg(3);
    let inputs: Vec<Vec<f64>> =
        (0..200).map(|_| (0..6).map(|_| 4.0 * draw() - 2.0).collect()).collect();
    let labels: Vec<usize> =
        inputs.iter().map(|x| usize::from(x[0] + draw() > 0.5) + usize::from(x[4] > 1.0)).collect();
    let weights: Vec<f64> = (0..200).map(|_| draw() + 0.1).collect();
    let prior: Vec<f64> = (0..21).map(|_| draw() - 0.5).collect();
    let pull = 0.03;
    let found = weigh(&inputs, (&labels, &weights), pull, &prior);
    let value = |at: &[f64]| {
        let total: f64 = weights.iter().sum();
        let mut sum = 0.0;
        for ((x, &label), weight) in inputs.iter().zip(&labels).zip(&weights) {
            let dot = |row: &[f64]| row[6] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            let mut said: Vec<f64> = at.chunks(7).map(dot).collect();
            softmax(&mut said);
            sum -= weight * said[label].ln();
        }
        let far: f64 = at.iter().zip(&prior).map(|(a, b)| (a - b) * (a - b)).sum();
        sum / total + pull / 2.0 * far
    };
    for place in 0..found.len() {
        let moved = |by: f64| {
            let mut there = found.clone();
            there[place] += by;
            value(&there)
        };
        let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        assert!(slope.abs() < 1e-8, "weight {place} has a slope of {slope}");
    }
}

#[test]
fn without_evidence_the_models_count_the_same() {
    let inputs = vec![vec![0.0; 6]; 30];
    let labels: Vec<usize> = (0..30).map(|row| row % 3).collect();
    let prior: Vec<f64> = (0..21).map(|at| f64::from(u8::from(at % 4 == 0)) / 2.0).collect();
    let found = weigh(&inputs, (&labels, &[1.0; 30]), 0.1, &prior);
    for (place, (found, prior)) in found.iter().zip(&prior).enumerate() {
        // Only the biases are moved, by shares that are equal: to their mean.
        let expected = if place % 7 == 6 { *found } else { *prior };
        assert!((found - expected).abs() < 1e-9, "{place}");
    }
}

#[test]
fn each_symbol_is_remembered_apart_from_the_others() {
    let world = World::new(400, 4);
    for kind in [Kind::Gru, Kind::Stack] {
        let predictor = taught(&world, &settings(kind)).predictor;
        let rows: Vec<usize> = (100..140).collect();
        let seen = predictor.walk(world.ground(), 0, &rows);
        for symbol in 0..2_u16 {
            let mut state = vec![0.0; predictor.state_len()];
            for row in (0..140).filter(|&row| world.symbols[row] == symbol) {
                let (logits, after) = predictor.step(world.table.row(row), &state);
                if let Ok(at) = rows.binary_search(&row) {
                    assert!(seen[at].logits == logits && seen[at].before == state, "{row}");
                }
                state = after;
            }
        }
    }
}

#[test]
fn windows_run_over_rows_of_one_symbol_that_follow_each_other() {
    let symbols = [0, 1, 0, 1, 0, 0, 1, 0];
    // Row 4 of symbol 0 is not learned from: its run breaks there; symbol 1 has none that does.
    let rows = [0, 1, 2, 3, 5, 6, 7];
    let mut found = runs(&symbols, &rows);
    found.sort();
    // Places in `rows`.
    assert_eq!(found, [vec![0, 2], vec![1, 3, 5], vec![4, 6]]);
    let run: Vec<usize> = (10..20).collect();
    let windows = cut(&run, Windows { steps: 4, lead: 2 });
    let expected: [(&[usize], &[usize]); 3] =
        [(&[], &[10, 11, 12, 13]), (&[12, 13], &[14, 15, 16, 17]), (&[16, 17], &[18, 19])];
    assert_eq!(windows, expected);
}

#[test]
fn quantiles_cover_on_rows_that_moved_them_what_they_say() {
    let world = World::new(3_000, 5);
    let (fit, stop): (Vec<usize>, Vec<usize>) = ((0..2_000).collect(), (2_010..3_000).collect());
    let quiet = &mut |_: usize, _: Option<f64>| ControlFlow::Continue(());
    let params = settings(Kind::Trees).trees;
    let parts = (fit.as_slice(), stop.as_slice());
    let spread =
        learn_spread(world.ground(), &world.changes, parts, (&params, None), quiet).expect("rows");
    let (share, loss) = coverage(&spread, world.ground(), &world.changes, &stop);
    for (share, level) in share.iter().zip([0.1, 0.5, 0.9]) {
        // By construction, but for the one row that reaches the level, and for crossing.
        assert!((share - level).abs() < 0.005, "{share} is not {level}");
    }
    // The pinball loss of the shares alone: of the quantiles of all rows.
    let all: Vec<(f64, f64)> = stop.iter().map(|&row| (world.changes[row], 1.0)).collect();
    let alone: f64 = [0.1, 0.5, 0.9]
        .map(|level| {
            let said = crate::gbdt::weighted_quantile(all.clone(), level);
            let one =
                |(came, _): &(f64, f64)| (level * (came - said)).max((level - 1.0) * (came - said));
            all.iter().map(one).sum::<f64>() / all.len() as f64 / 3.0
        })
        .iter()
        .sum();
    assert!(loss < 0.8 * alone, "{loss} against {alone}");
}

#[test]
fn only_trees_are_gone_on_from() {
    let world = World::new(400, 6);
    let trees = taught(&world, &settings(Kind::Trees)).predictor;
    let dense = taught(&world, &settings(Kind::Dense)).predictor;
    let quiet = &mut |_: usize, _: Option<f64>| ControlFlow::Continue(());
    let rows: Vec<usize> = (0..300).collect();
    for (kind, from, fits) in
        [(Kind::Trees, &trees, true), (Kind::Dense, &trees, false), (Kind::Trees, &dense, false)]
    {
        let parts = (rows.as_slice(), rows.as_slice());
        let done = learn(world.ground(), parts, &settings(kind), Some(from), quiet);
        assert_eq!(done.is_ok(), fits, "{kind:?}");
    }
}
