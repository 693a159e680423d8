//! Every kind of model through the trader's own loader, and trees there and back.

use super::*;
use crate::card::golden;
use crate::learn::tests::{KINDS, World, lcg, settings, taught};
use crate::learn::{Kind, learn_spread};
use peregrine::model::artifact::{hex, sha256};
use peregrine::model::{
    ArtifactFiles, Card, CreatedFrom, ExecutorKind, LoadPolicy, Model, ModelOutput,
};
use std::ops::ControlFlow;

const STRICT: LoadPolicy = LoadPolicy { allow_tract: false, p99_budget_ns: u64::MAX };
const SCHEMA: u64 = 0x0123_4567_89ab_cdef;

fn spread(world: &World) -> Forest {
    let rows: Vec<usize> = (0..world.table.rows()).collect();
    let quiet = &mut |_: usize, _: Option<f64>| ControlFlow::Continue(());
    let params = settings(Kind::Trees).trees;
    let parts = (&rows[..300], &rows[310..]);
    learn_spread(world.ground(), &world.changes, parts, (&params, None), quiet).expect("rows")
}

fn files(world: &World, predictor: &Predictor, spread: Option<&Forest>) -> ArtifactFiles {
    let onnx = to_onnx(predictor, spread, &[("kind", "a test".to_owned())]).expect("a file");
    let rows: Vec<usize> = (100..world.table.rows()).collect();
    let card = Card {
        version: "kinds-1".to_owned(),
        model_sha256: hex(&sha256(&onnx)),
        schema_hash: format!("{SCHEMA:016x}"),
        horizon_ms: 1_000,
        bar_interval_ms: None,
        classes: CLASSES.map(str::to_owned).to_vec(),
        features: (0..4).map(|at| format!("f{at}")).collect(),
        created_from: CreatedFrom {
            data_hash: String::new(),
            seed: 7,
            code: String::new(),
            training_sha256: None,
        },
        metrics: std::collections::BTreeMap::new(),
        training: None,
        golden: golden((predictor, spread), (world.ground(), &rows), 64),
    };
    ArtifactFiles::from_bytes(onnx, card.to_toml().expect("a card")).expect("a version")
}

/// The loader compares its native plan with tract on the golden vectors, on rows by lot and at
/// cuts, and both with the card: a model that loads natively is one all three agree on.
#[test]
fn every_kind_loads_natively_and_goes_on_row_by_row_as_the_trainer_does() {
    let world = World::new(600, 11);
    let spread = spread(&world);
    for kind in KINDS {
        let predictor = taught(&world, &settings(kind)).predictor;
        for spread in [None, Some(&spread)] {
            let files = files(&world, &predictor, spread);
            let mut model = Model::load(&files, SCHEMA, STRICT)
                .unwrap_or_else(|refused| panic!("{kind:?}: {refused}"));
            assert_eq!(model.executor(), ExecutorKind::Native);
            let mut out = ModelOutput::default();
            let mut state = vec![0.0; predictor.state_len()];
            for row in 0..300 {
                let input = world.table.row(row);
                model.run(input, &mut out).expect("an answer");
                model.commit_state();
                let (mut said, after) = predictor.step(input, &state);
                crate::gbdt::softmax(&mut said);
                state = after;
                // What is rounded in one step is carried into the next.
                for (found, expected) in out.probability.iter().zip(&said) {
                    let off = (f64::from(*found) - expected).abs();
                    assert!(off < 2e-6, "{kind:?}, row {row}: {out:?} is not {said:?}");
                }
                let Some(spread) = spread else {
                    assert!(out.quantile.iter().all(|value| value.is_nan()));
                    continue;
                };
                for (found, expected) in out.quantile.iter().zip(spread.quantiles(input)) {
                    assert!((f64::from(*found) - expected).abs() < 1e-7, "row {row}: {out:?}");
                }
                assert!(out.quantile.is_sorted());
            }
        }
    }
}

#[test]
fn quantiles_that_cross_in_the_trees_leave_the_file_in_order() {
    let world = World::new(600, 12);
    let mut crossed = spread(&world);
    // The lowest level above the highest one, the middle below both.
    crossed.base = vec![0.5, -0.7, 0.1];
    let predictor = taught(&world, &settings(Kind::Trees)).predictor;
    let mut model =
        Model::load(&files(&world, &predictor, Some(&crossed)), SCHEMA, STRICT).expect("a model");
    let mut out = ModelOutput::default();
    for row in 0..100 {
        model.run(world.table.row(row), &mut out).expect("an answer");
        let mut expected = crossed.scores(world.table.row(row));
        assert!(expected[0] > expected[2], "they do not cross: nothing is shown");
        expected.sort_by(f64::total_cmp);
        for (found, expected) in out.quantile.iter().zip(expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{out:?}");
        }
    }
}

#[test]
fn trees_come_out_of_a_file_as_they_went_in() {
    let world = World::new(600, 13);
    let Predictor::Trees(trees) = taught(&world, &settings(Kind::Trees)).predictor else {
        panic!("no trees")
    };
    let spread = spread(&world);
    let properties = [("kind", "trees".to_owned()), ("seed", "7".to_owned())];
    let onnx =
        to_onnx(&Predictor::Trees(trees.clone()), Some(&spread), &properties).expect("a file");
    let parent = read(&onnx, 4).expect("trees");
    assert!(parent.trees == trees && parent.spread.as_ref() == Some(&spread));
    assert_eq!(parent.properties["seed"], "7");
}

#[test]
fn what_is_not_of_trees_alone_or_was_damaged_is_not_gone_on_from() {
    let world = World::new(600, 14);
    for kind in [Kind::Dense, Kind::Stack] {
        let predictor = taught(&world, &settings(kind)).predictor;
        let onnx = to_onnx(&predictor, None, &[]).expect("a file");
        assert_eq!(read(&onnx, 4), Err(ReadError::NotTrees), "{kind:?}");
    }
    assert_eq!(read(b"no model", 4), Err(ReadError::NoModel));
    let predictor = taught(&world, &settings(Kind::Trees)).predictor;
    let onnx = to_onnx(&predictor, None, &[]).expect("a file");
    // Trained on more features than there are.
    assert!(matches!(read(&onnx, 1), Err(ReadError::Damaged(_))));
    // Bytes by lot: an answer or a reason, never a panic or a walk without end.
    let mut draw = lcg(15);
    for _ in 0..300 {
        let mut bytes = onnx.clone();
        for _ in 0..3 {
            let at = (draw() * bytes.len() as f64) as usize;
            bytes[at] = (draw() * 256.0) as u8;
        }
        if let Ok(parent) = read(&bytes, 4) {
            let _ = parent.trees.scores(&[0.0; 4]);
        }
    }
}
