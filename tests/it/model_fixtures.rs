//! Exports of LightGBM, XGBoost, scikit-learn and PyTorch, and hand-built graphs, against what
//! onnxruntime answered to them (`tests/fixtures/make_models.py`); and files that must be refused.

use peregrine::model::artifact::{hex, sha256};
use peregrine::model::{
    ArtifactFiles, Card, CreatedFrom, Executor, ExecutorKind, Golden, LoadPolicy, Model,
    ModelError, ModelOutput, Rule, executors,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(crate) const SCHEMA: u64 = 0x0123_4567_89ab_cdef;
pub(crate) const ANY_SPEED: LoadPolicy = LoadPolicy { allow_tract: false, p99_budget_ns: u64::MAX };

/// Fixtures without NaN in their inputs, which a whole [`Model`] accepts.
pub(crate) const LOADABLE: &[&str] = &[
    "lgbm_multiclass",
    "lgbm_quantiles",
    "sklearn_gbc_pipeline",
    "sklearn_forest",
    "sklearn_mlp",
    "sklearn_logistic",
    "fused",
    "gru_node_reset0",
    "gru_node_reset1",
    "lstm_node",
    "shapes",
    "torch_mlp",
    "torch_gru_step",
    "torch_lstm_step",
];
/// Fixtures with NaN and infinities among their inputs.
const WITH_MISSING: &[&str] = &["xgb_multiclass", "modes_mixed", "modes_gte", "modes_gt_leq"];

pub(crate) struct Vector {
    pub input: Vec<f32>,
    pub state: Vec<f32>,
    pub probabilities: Vec<f32>,
    pub quantiles: Vec<f32>,
    pub next_state: Vec<f32>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models")
}

pub(crate) fn onnx(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.onnx"))).unwrap()
}

pub(crate) fn vectors(name: &str) -> Vec<Vector> {
    let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
    let json: Value = serde_json::from_slice(&text).unwrap();
    let number = |v: &Value| match v {
        Value::Null => f32::NAN,
        Value::String(_) => f32::INFINITY,
        v => v.as_f64().unwrap() as f32,
    };
    let list = |v: &Value, key: &str| -> Vec<f32> {
        v.get(key).map_or(vec![], |v| v.as_array().unwrap().iter().map(number).collect())
    };
    let vectors = json["vectors"].as_array().unwrap();
    vectors
        .iter()
        .map(|v| Vector {
            input: list(v, "input"),
            state: list(v, "state"),
            probabilities: list(v, "probabilities"),
            quantiles: list(v, "quantiles"),
            next_state: list(v, "next_state"),
        })
        .collect()
}

/// A card for a graph with the given vectors as golden ones.
pub(crate) fn card(version: &str, onnx: &[u8], vectors: &[Vector]) -> Card {
    let all =
        |f: fn(&Vector) -> &Vec<f32>| -> Vec<f32> { vectors.iter().flat_map(f).copied().collect() };
    Card {
        version: version.into(),
        model_sha256: hex(&sha256(onnx)),
        schema_hash: format!("{SCHEMA:016x}"),
        horizon_ms: 1_000,
        bar_interval_ms: None,
        classes: ["down", "flat", "up"].map(String::from).to_vec(),
        features: (0..vectors[0].input.len()).map(|i| format!("f{i}")).collect(),
        created_from: CreatedFrom {
            data_hash: "00".repeat(32),
            seed: 7,
            code: "fixture".into(),
            training_sha256: None,
        },
        metrics: [("log_loss".to_string(), 0.1 + 0.2)].into(),
        training: None,
        golden: Golden::pack(
            vectors.len(),
            &all(|v| &v.input),
            &all(|v| &v.state),
            &all(|v| &v.probabilities),
            &all(|v| &v.quantiles),
            &all(|v| &v.next_state),
        ),
    }
}

pub(crate) fn artifact(name: &str) -> ArtifactFiles {
    let onnx = onnx(name);
    let text = card("v1", &onnx, &vectors(name)).to_toml().unwrap();
    ArtifactFiles::from_bytes(onnx, text).unwrap()
}

fn assert_answers(name: &str, kind: &str, executor: &mut impl Executor) {
    let mut out = ModelOutput::default();
    for (at, v) in vectors(name).iter().enumerate() {
        executor.set_state(&v.state).unwrap();
        executor.run(&v.input, &mut out).unwrap();
        for (found, expected) in out.probability.iter().zip(&v.probabilities) {
            let gap = (found - expected).abs();
            assert!(gap <= 1e-6, "{name} {kind} vector {at}: {found} against {expected}");
        }
        let others = out.quantile.iter().zip(&v.quantiles);
        for (found, expected) in others.chain(executor.next_state().iter().zip(&v.next_state)) {
            let gap = (found - expected).abs();
            let tolerance = 2e-6 * (1.0 + expected.abs());
            assert!(gap <= tolerance, "{name} {kind} vector {at}: {found} against {expected}");
        }
        assert_eq!(executor.next_state().len(), v.next_state.len(), "{name}");
    }
}

#[test]
fn both_executors_answer_as_onnxruntime_on_every_export() {
    for name in LOADABLE.iter().chain(WITH_MISSING) {
        let features = vectors(name)[0].input.len();
        let (native, mut tract) =
            executors(&onnx(name), features).unwrap_or_else(|e| panic!("{name}: {e}"));
        let mut native = native.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_answers(name, "tract", &mut tract);
        assert_answers(name, "native", &mut native);
    }
}

#[test]
fn every_export_loads_as_a_model_on_the_native_plan() {
    for name in LOADABLE {
        let mut model = Model::load(&artifact(name), SCHEMA, ANY_SPEED)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(model.executor(), ExecutorKind::Native, "{name}");
        assert_eq!(hex(&model.tag().to_be_bytes()), hex(&sha256(&onnx(name)))[..16], "{name}");
        let mut out = ModelOutput::default();
        model.run(&vectors(name)[5].input, &mut out).unwrap();
    }
}

#[test]
fn what_must_not_load_is_refused_by_name_with_a_remedy() {
    let cases: &[(&str, Rule, &[&str])] = &[
        ("zipmap", Rule::Operator, &["`ZipMap`", "zipmap off"]),
        ("external_data", Rule::ExternalData, &["tensor `w`", "one file"]),
        ("custom_operator", Rule::Operator, &["`QuantumSoftmax`", "custom domain"]),
        ("unknown_operator", Rule::Operator, &["`Det`", "allow-list"]),
        ("loop", Rule::Subgraph, &["`Loop`", "`again`", "one step with state"]),
        ("batch_of_32", Rule::Shape, &["input `x`", "batch size 1"]),
        ("symbolic_window", Rule::Window, &["input `x`", "one step with state"]),
        ("windowed_lstm", Rule::Window, &["`LSTM`", "`window`", "one step with state"]),
        ("too_many_nodes", Rule::Size, &["nodes", "10001", "10000"]),
        ("doubles", Rule::DataType, &["`Cast`", "float32"]),
        ("old_opset", Rule::Opset, &["`ai.onnx`", "version 6", "opset 17"]),
        ("two_inputs", Rule::Interface, &["\"x\", \"y\"", "h_in"]),
    ];
    let mut seen = 0;
    for (name, rule, words) in cases {
        let file = onnx(&format!("refused/{name}"));
        let refusal = match executors(&file, 12) {
            Err(ModelError::Refused(refusal)) => refusal,
            other => panic!("{name}: {:?}", other.map(|_| "loaded")),
        };
        let text = ModelError::from(refusal.clone()).to_string();
        assert_eq!(refusal.rule, *rule, "{name}: {text}");
        for word in *words {
            assert!(text.contains(word), "{name}: {text:?} lacks {word:?}");
        }
        assert!(!text.contains('\n'), "{name}: {text:?} is more than one line");
        seen += 1;
    }
    assert_eq!(seen, std::fs::read_dir(folder().join("refused")).unwrap().count());
}
