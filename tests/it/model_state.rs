//! Models with state: what a run changes and what a commit changes, against onnxruntime's rollout.

use crate::model_fixtures::{ANY_SPEED, SCHEMA, artifact, folder, onnx, vectors};
use peregrine::base::Reason;
use peregrine::model::{Executor, Model, ModelOutput, executors};

const STATEFUL: &[&str] = &[
    "fused",
    "gru_node_reset0",
    "gru_node_reset1",
    "lstm_node",
    "torch_gru_step",
    "torch_lstm_step",
];

fn rollout(name: &str) -> Vec<Vec<f32>> {
    let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    serde_json::from_value(json["rollout"].clone()).unwrap()
}

fn assert_rollout(name: &str, kind: &str, executor: &mut impl Executor) {
    let mut out = ModelOutput::default();
    executor.reset_state();
    for (at, (expected, v)) in rollout(name).iter().zip(vectors(name)).enumerate() {
        // A run that is not committed must leave no trace, on tract's recurrent nodes too.
        executor.run(&v.input, &mut out).unwrap();
        executor.run(&v.input, &mut out).unwrap();
        for (found, expected) in out.probability.iter().zip(expected) {
            let gap = (found - expected).abs();
            assert!(gap <= 2e-6, "{name} {kind} step {at}: {found} against {expected}");
        }
        executor.commit_state();
    }
}

#[test]
fn a_committed_state_follows_onnxruntime_step_by_step_on_both_executors() {
    for name in STATEFUL {
        let features = vectors(name)[0].input.len();
        let (native, mut tract) = executors(&onnx(name), features).unwrap();
        assert_rollout(name, "native", &mut native.unwrap());
        assert_rollout(name, "tract", &mut tract);
    }
}

#[test]
fn a_failed_run_cannot_be_committed() {
    let mut model = Model::load(&artifact("torch_gru_step"), SCHEMA, ANY_SPEED).unwrap();
    let row = vectors("torch_gru_step")[7].input.clone();
    let mut out = ModelOutput::default();
    model.run(&row, &mut out).unwrap();
    model.commit_state();
    let before = model.state().to_vec();
    assert!(before.iter().any(|v| *v != 0.0));
    model.run(&row, &mut out).unwrap();
    assert_eq!(model.run(&[f32::NAN; 16], &mut out), Err(Reason::FeatureNotFinite));
    model.commit_state();
    assert_eq!(model.state(), before);
    model.reset_state();
    assert!(model.state().iter().all(|v| *v == 0.0));
}

#[test]
fn a_loaded_model_starts_from_the_zero_state() {
    let mut model = Model::load(&artifact("lstm_node"), SCHEMA, ANY_SPEED).unwrap();
    assert!(model.state().iter().all(|v| *v == 0.0));
    let mut out = ModelOutput::default();
    model.run(&vectors("lstm_node")[0].input, &mut out).unwrap();
    let gap = (out.probability[0] - rollout("lstm_node")[0][0]).abs();
    assert!(gap <= 1e-6, "{out:?}");
}
