use super::artifact::{Card, CreatedFrom, Golden};
use super::graph::Graph;
use super::kernels::{dense::Dense, padded, pointwise, trees::Trees};
use super::ops::Linear;
use super::tree::{Compare, PostTransform, TreeEnsemble, TreeNode, Vote};
use super::*;
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;

const SCHEMA: u64 = 0xfeed;

fn fixture(name: &str) -> Vec<u8> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/models/");
    std::fs::read(format!("{dir}{name}.onnx")).unwrap()
}

fn graph_of(name: &str, features: usize) -> Graph {
    read_graph(&fixture(name), features).unwrap()
}

/// Rows that are different every time and the same on every run.
fn rows(features: usize, count: usize) -> Vec<Vec<f32>> {
    let value = |i: usize| ((i * 7_919 % 10_007) as f32 / 10_007.0 - 0.5) * 6.0;
    (0..count).map(|r| (0..features).map(|f| value(r * features + f)).collect()).collect()
}

// --- kernels ---

#[test]
fn exp_tanh_and_sigmoid_stay_within_a_few_units_of_the_true_value() {
    let ulps = |found: f32, truth: f64| {
        let unit = f64::from((truth as f32).abs().max(1e-37).next_up())
            - f64::from((truth as f32).abs().max(1e-37));
        (f64::from(found) - truth).abs() / unit
    };
    for step in -870_000..=880_000 {
        let x = step as f32 * 1e-4;
        let wide = f64::from(x);
        assert!(ulps(pointwise::exp(x), wide.exp()) <= 2.0, "exp({x}) = {}", pointwise::exp(x));
        assert!(ulps(pointwise::tanh(x), wide.tanh()) <= 3.0, "tanh({x}) = {}", pointwise::tanh(x));
        let sigmoid = 1.0 / (1.0 + (-wide).exp());
        assert!(ulps(pointwise::sigmoid(x), sigmoid) <= 4.0, "sigmoid({x})");
    }
}

#[test]
fn functions_of_infinity_and_nan_are_what_mathematics_says() {
    assert_eq!(pointwise::exp(f32::NEG_INFINITY), 0.0);
    assert_eq!(pointwise::exp(f32::INFINITY), f32::INFINITY);
    assert_eq!(pointwise::tanh(f32::INFINITY), 1.0);
    assert_eq!(pointwise::tanh(f32::NEG_INFINITY), -1.0);
    assert_eq!(pointwise::sigmoid(f32::NEG_INFINITY), 0.0);
    for function in [pointwise::exp, pointwise::tanh, pointwise::sigmoid] {
        assert!(function(f32::NAN).is_nan());
    }
    let mut y = [0.0; 3];
    pointwise::softmax(&[1.0, f32::NAN, 0.0], &mut y);
    assert!(y.iter().all(|v| v.is_nan()), "a NaN logit must not become a probability: {y:?}");
}

proptest! {
    #[test]
    fn a_dense_step_equals_the_sum_of_products_for_every_width(
        inputs in 1_usize..20, outputs in 1_usize..140, seed in 0_usize..1_000,
    ) {
        let value = |i: usize| ((i * 31 + seed) % 97) as f32 / 97.0 - 0.5;
        let linear = Linear {
            inputs,
            outputs,
            weights: (0..inputs * outputs).map(value).collect(),
            bias: (0..outputs).map(|o| value(o + 5)).collect(),
            post_transform: PostTransform::None,
        };
        let x: Vec<f32> = (0..inputs).map(|i| value(i + 11)).collect();
        let dense = Dense::new(&linear);
        prop_assert_eq!(dense.written(), padded(outputs));
        let mut y = vec![f32::NAN; dense.written()];
        dense.run(&x, &mut y);
        for (o, &found) in y.iter().enumerate().take(outputs) {
            let product = |i: usize| f64::from(x[i]) * f64::from(linear.weights[i * outputs + o]);
            let truth = f64::from(linear.bias[o]) + (0..inputs).map(product).sum::<f64>();
            prop_assert!((f64::from(found) - truth).abs() < 1e-5, "{} against {}", found, truth);
        }
    }

    #[test]
    fn walking_eight_trees_at_once_gives_the_scores_of_walking_one_after_another(
        trees in 1_usize..40, seed in any::<u64>(), palette in 0_usize..5, many in any::<bool>(),
    ) {
        use Compare::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        let palettes: [&[Compare]; 5] = [
            &[LessEqual], &[Less], &[Greater, LessEqual], &[GreaterEqual],
            &[LessEqual, Less, Greater, GreaterEqual, Equal, NotEqual],
        ];
        let ensemble = Arc::new(grow(trees, seed, palettes[palette], many));
        let mut fast = Trees::new(ensemble.clone());
        let edge = [0.5, 0.5_f32.next_up(), 0.5_f32.next_down(), -1.0, f32::NAN, f32::INFINITY];
        for at in 0..24 {
            let x: Vec<f32> = (0..4).map(|f| edge[(at * 5 + f * 7 + at / 3) % 6]).collect();
            let mut sums = vec![0.0; 3];
            let mut expected = vec![0.0; 3];
            ensemble.sum_votes(&x, &mut sums);
            ensemble.finish(&sums, &mut expected);
            let mut found = vec![0.0; 3];
            fast.run(&x, &mut found);
            let gap = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            prop_assert!(gap <= 1e-6, "{:?} against {:?} at {:?}", found, expected, x);
        }
    }

    #[test]
    fn a_graph_check_survives_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = guard::check(&bytes);
    }
}

/// A random ensemble over four features and three outputs.
fn grow(trees: usize, seed: u64, palette: &[Compare], many: bool) -> TreeEnsemble {
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut nodes, mut votes, mut roots) = (Vec::new(), Vec::new(), Vec::new());
    for tree in 0..trees {
        roots.push(nodes.len() as u32);
        let mut open = vec![(nodes.len(), 0)];
        nodes.push(TreeNode::Leaf { votes: 0..0 });
        while let Some((at, depth)) = open.pop() {
            if depth == 5 || random(4) == 0 {
                let start = votes.len() as u32;
                for output in 0..if many { random(4) } else { 1 } {
                    let output = if many { output } else { tree % 3 };
                    votes.push(Vote { output: output as u32, weight: random(1_000) as f32 * 1e-3 });
                }
                nodes[at] = TreeNode::Leaf { votes: start..votes.len() as u32 };
                continue;
            }
            let child = nodes.len();
            nodes.extend([TreeNode::Leaf { votes: 0..0 }, TreeNode::Leaf { votes: 0..0 }]);
            nodes[at] = TreeNode::Branch {
                feature: random(4) as u32,
                compare: palette[random(palette.len())],
                threshold: [0.5, -1.0, 0.0, 0.25][random(4)],
                missing_is_true: random(2) == 0,
                if_true: child as u32,
                if_false: child as u32 + 1,
            };
            open.extend([(child, depth + 1), (child + 1, depth + 1)]);
        }
    }
    TreeEnsemble {
        nodes,
        votes,
        roots,
        outputs: 3,
        features: 4,
        base: vec![0.5, 0.0, -0.5],
        average: false,
        post_transform: PostTransform::None,
    }
}

#[test]
fn wide_and_portable_plans_give_the_same_bits() {
    let cases = [
        ("torch_mlp", 32),
        ("torch_gru_step", 16),
        ("torch_lstm_step", 16),
        ("fused", 12),
        ("shapes", 12),
        ("sklearn_gbc_pipeline", 12),
        ("gru_node_reset0", 12),
    ];
    if !plan::has_wide_vectors() {
        println!("no AVX2 and FMA on this machine: only the portable plan exists");
    }
    for (name, features) in cases {
        let graph = graph_of(name, features);
        let mut wide = NativeExecutor::compile_for(&graph, true).unwrap();
        let mut portable = NativeExecutor::compile_for(&graph, false).unwrap();
        let (mut a, mut b) = (ModelOutput::default(), ModelOutput::default());
        for row in rows(features, 50) {
            wide.run(&row, &mut a).unwrap();
            portable.run(&row, &mut b).unwrap();
            assert_eq!(a.probability.map(f32::to_bits), b.probability.map(f32::to_bits), "{name}");
            let bits = |s: &[f32]| s.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(wide.next_state()), bits(portable.next_state()), "{name}");
            wide.commit_state();
            portable.commit_state();
        }
    }
}

// --- whole models ---

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> onnx::NodeProto {
    onnx::NodeProto {
        op_type: op.into(),
        input: inputs.iter().map(|s| (*s).into()).collect(),
        output: outputs.iter().map(|s| (*s).into()).collect(),
        ..Default::default()
    }
}

fn port(name: &str, len: usize) -> onnx::ValueInfoProto {
    interface::Port { name: name.into(), shape: vec![1, len] }.to_value_info()
}

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> onnx::TensorProto {
    onnx::TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: values.to_vec(),
        ..Default::default()
    }
}

/// A file of three features with the given nodes from `x` to `probabilities`.
fn file(nodes: Vec<onnx::NodeProto>, initializer: Vec<onnx::TensorProto>) -> Vec<u8> {
    let graph = onnx::GraphProto {
        node: nodes,
        initializer,
        input: vec![port("x", 3)],
        output: vec![port("probabilities", 3)],
        ..Default::default()
    };
    let opset = onnx::OperatorSetIdProto { version: 17, ..Default::default() };
    let model = onnx::ModelProto {
        ir_version: 8,
        opset_import: vec![opset],
        graph: Some(graph),
        ..Default::default()
    };
    model.encode_to_vec()
}

fn files(onnx: Vec<u8>, inputs: &[f32], probabilities: &[f32]) -> ArtifactFiles {
    let card = Card {
        version: "t".into(),
        model_sha256: artifact::hex(&artifact::sha256(&onnx)),
        schema_hash: format!("{SCHEMA:016x}"),
        horizon_ms: 1,
        bar_interval_ms: None,
        classes: artifact::CLASSES.map(String::from).to_vec(),
        features: (0..3).map(|f| f.to_string()).collect(),
        created_from: CreatedFrom::default(),
        metrics: Default::default(),
        training: None,
        golden: Golden::pack(inputs.len() / 3, inputs, &[], probabilities, &[], &[]),
    };
    ArtifactFiles::from_bytes(onnx, card.to_toml().unwrap()).unwrap()
}

const ANY: LoadPolicy = LoadPolicy { allow_tract: false, p99_budget_ns: u64::MAX };
const THIRD: f32 = 1.0 / 3.0;

fn softmax_file() -> ArtifactFiles {
    let onnx = file(vec![node("Softmax", &["x"], &["probabilities"])], vec![]);
    files(onnx, &[1.0, 1.0, 1.0, -5.0, -5.0, -5.0], &[THIRD; 6])
}

/// Two computed matrices multiplied: x · (xᵀ·x) needs tract.
fn matmul_file() -> ArtifactFiles {
    let nodes = vec![
        node("Transpose", &["x"], &["t"]),
        node("MatMul", &["t", "x"], &["m"]),
        node("MatMul", &["x", "m"], &["z"]),
        node("Softmax", &["z"], &["probabilities"]),
    ];
    files(file(nodes, vec![]), &[1.0, 1.0, 1.0], &[THIRD; 3])
}

#[test]
fn tract_runs_a_model_only_where_the_policy_allows_it_and_says_so() {
    let refused = Model::load(&matmul_file(), SCHEMA, ANY).unwrap_err().to_string();
    assert!(refused.contains("`MatMul`") && refused.contains("allow tract"), "{refused}");
    let policy = LoadPolicy { allow_tract: true, ..ANY };
    let mut model = Model::load(&matmul_file(), SCHEMA, policy).unwrap();
    assert_eq!(model.executor(), ExecutorKind::Tract);
    let mut out = ModelOutput::default();
    model.run(&[0.0, 1.0, 0.0], &mut out).unwrap();
    // x·(xᵀx) of a unit vector is that vector.
    let e = std::f32::consts::E;
    assert!((out.probability[1] - e / (e + 2.0)).abs() < 1e-6, "{out:?}");
    assert_eq!(
        Model::load(&softmax_file(), SCHEMA, policy).unwrap().executor(),
        ExecutorKind::Native
    );
}

#[test]
fn a_model_over_its_time_budget_is_refused() {
    let policy = LoadPolicy { p99_budget_ns: 0, ..ANY };
    let refused = Model::load(&softmax_file(), SCHEMA, policy).unwrap_err();
    assert!(matches!(refused, ModelError::TooSlow { budget_ns: 0, .. }), "{refused}");
}

#[test]
fn a_model_of_another_feature_schema_is_refused() {
    let refused = Model::load(&softmax_file(), SCHEMA + 1, ANY).unwrap_err().to_string();
    assert!(
        refused.contains("000000000000feed") && refused.contains("000000000000feee"),
        "{refused}"
    );
}

#[test]
fn a_golden_vector_that_does_not_come_out_is_named() {
    let onnx = file(vec![node("Softmax", &["x"], &["probabilities"])], vec![]);
    let wrong = [THIRD, THIRD, THIRD, THIRD, THIRD + 3e-6, THIRD];
    let refused =
        Model::load(&files(onnx, &[1.0; 6], &wrong), SCHEMA, ANY).unwrap_err().to_string();
    assert!(refused.contains("golden 1") && refused.contains("probabilities[1]"), "{refused}");
}

#[test]
fn an_answer_that_is_no_distribution_is_refused_at_load_and_in_the_run() {
    let onnx = file(vec![node("Identity", &["x"], &["probabilities"])], vec![]);
    let never = files(onnx.clone(), &[0.5, 0.5, 0.5], &[0.5; 3]);
    let refused = Model::load(&never, SCHEMA, ANY).unwrap_err().to_string();
    assert!(refused.contains("ModelOutput") && refused.contains("golden 0"), "{refused}");
    let mut model =
        Model::load(&files(onnx, &[0.2, 0.3, 0.5], &[0.2, 0.3, 0.5]), SCHEMA, ANY).unwrap();
    let mut out = ModelOutput::default();
    assert_eq!(model.run(&[0.5, 0.5, 0.0], &mut out), Ok(()));
    for bad in [[0.5, 0.5, 0.5], [-0.1, 0.6, 0.5], [1.1, -0.1, 0.0]] {
        assert_eq!(model.run(&bad, &mut out), Err(Reason::ModelOutput), "{bad:?}");
    }
}

#[test]
fn a_row_that_is_not_finite_or_of_another_length_gives_no_answer() {
    let mut model = Model::load(&softmax_file(), SCHEMA, ANY).unwrap();
    let mut out = ModelOutput::default();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(model.run(&[0.0, bad, 0.0], &mut out), Err(Reason::FeatureNotFinite));
    }
    assert_eq!(model.run(&[0.0; 2], &mut out), Err(Reason::ModelFailed));
    assert_eq!(model.run(&[0.0; 4], &mut out), Err(Reason::ModelFailed));
}

#[test]
fn a_card_with_more_or_fewer_features_than_the_graph_takes_is_refused() {
    // A tree model does not use every feature, so only the declared width can tell.
    for features in [11, 13] {
        let refused = executors(&fixture("modes_gte"), features).unwrap_err();
        let ModelError::Refused(refusal) = refused else { panic!("{refused}") };
        assert_eq!(refusal.rule, Rule::Shape);
        let text = refusal.to_string();
        assert!(
            text.contains("takes 12 features") && text.contains(&features.to_string()),
            "{text}"
        );
    }
}

// --- limits ---

fn refusal(bytes: &[u8]) -> Refusal {
    guard::check(bytes).unwrap_err()
}

#[test]
fn a_small_file_that_would_decode_into_gigabytes_is_refused_before_decoding() {
    // model { graph { node { op_type: "Relu", attribute {} × 2 000 000 } } }: 4 MB of file.
    let mut node = vec![0x22, 4];
    node.extend(b"Relu");
    node.extend([0x2a, 0].repeat(2_000_000));
    let wrap = |field: u8, inner: &[u8]| {
        let mut outer = vec![field << 3 | 2];
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let bomb = wrap(7, &wrap(1, &node));
    assert_eq!(refusal(&bomb).rule, Rule::Size);
}

#[test]
fn tensors_whose_shape_lies_about_their_data_are_refused() {
    let with =
        |t: onnx::TensorProto| refusal(&file(vec![node("Add", &["x", "w"], &["y"])], vec![t]));
    assert_eq!(with(tensor("w", &[4], &[0.0; 3])).rule, Rule::Wire);
    assert_eq!(with(tensor("w", &[-1], &[0.0; 3])).rule, Rule::Shape);
    assert_eq!(with(tensor("w", &[1; 9], &[0.0])).rule, Rule::Size);
    // 2^32 · 2^32 elements wrap to zero in 64 bits.
    assert_eq!(with(tensor("w", &[1 << 32, 1 << 32], &[])).rule, Rule::Size);
    let big = with(tensor("w", &[5_000, 5_000], &[]));
    assert!(big.rule == Rule::Size && big.item.contains("`w`"), "{big}");
    let mut half = tensor("w", &[3], &[]);
    (half.data_type, half.raw_data) = (10, vec![0; 6]);
    assert_eq!(with(half).rule, Rule::DataType);
    let mut raw = tensor("w", &[3], &[]);
    raw.raw_data = vec![0; 11];
    assert_eq!(with(raw).rule, Rule::Wire);
}

#[test]
fn nested_graphs_functions_and_groups_are_refused() {
    let mut inner = node("Relu", &["x"], &["y"]);
    inner.attribute.push(onnx::AttributeProto {
        name: "body".into(),
        g: Some(onnx::GraphProto::default()),
        ..Default::default()
    });
    assert_eq!(refusal(&file(vec![inner], vec![])).rule, Rule::Subgraph);
    let plain = softmax_file().onnx;
    let with = |tail: &[u8]| refusal(&[&plain[..], tail].concat()).rule;
    assert_eq!(with(&[0xca, 0x01, 0]), Rule::Subgraph, "functions, field 25");
    assert_eq!(with(&[0xa2, 0x01, 0]), Rule::Subgraph, "training_info, field 20");
    assert_eq!(with(&[0x0b, 0x0b, 0x0b]), Rule::Wire, "groups within groups");
    assert_eq!(with(&[0x3a, 0]), Rule::Wire, "a second graph");
}

// --- artifact ---

#[test]
fn golden_vectors_are_little_endian_floats_in_standard_base64() {
    // From Python: base64.b64encode(struct.pack('<3f', 1, -2.5, 0.1))
    let golden = Golden::pack(1, &[1.0, -2.5, 0.1], &[], &[THIRD; 3], &[], &[]);
    assert_eq!(golden.inputs, "AACAPwAAIMDNzMw9");
    assert_eq!(Golden::pack(1, &[1.0], &[], &[], &[], &[]).inputs, "AACAPw==");
    assert_eq!(golden.decode(3).unwrap().inputs, [1.0, -2.5, 0.1]);
    for bad in ["AACAP", "AACAPw=", "!!!!", "AACA"] {
        let golden = Golden { inputs: bad.into(), ..golden.clone() };
        assert!(golden.decode(1).unwrap_err().to_string().contains("golden.inputs"), "{bad}");
    }
}

#[test]
fn a_card_with_a_wrong_or_unknown_key_is_refused_by_its_name() {
    let text = softmax_file().card_text;
    let cases = [
        ("version = \"t\"", "version = \"../t\"", "version"),
        ("schema_hash = \"", "schema_hash = \"0", "schema_hash"),
        ("classes = [\"down\"", "classes = [\"up\"", "classes"),
        ("features = [\"0\", \"1\"", "features = [\"1\", \"1\"", "twice"),
        ("horizon_ms", "horizon", "horizon"),
        ("count = 2", "count = 3", "golden.inputs"),
        ("count = 2", "count = 0", "golden.count"),
    ];
    assert!(Card::parse(&text).is_ok());
    for (from, to, word) in cases {
        assert!(text.contains(from), "{from} is not in {text}");
        let refused = Card::parse(&text.replace(from, to)).unwrap_err().to_string();
        assert!(refused.contains(word), "{to}: {refused}");
    }
}

#[test]
fn a_model_file_that_is_not_the_cards_is_refused() {
    let mut files = softmax_file();
    files.onnx.push(0);
    let refused = ArtifactFiles::from_bytes(files.onnx, files.card_text).unwrap_err().to_string();
    assert!(refused.contains("model.onnx") && refused.contains("SHA-256"), "{refused}");
}

#[test]
fn a_link_in_place_of_a_model_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let files = softmax_file();
    std::fs::write(dir.path().join("elsewhere"), &files.onnx).unwrap();
    std::fs::write(dir.path().join("card.toml"), &files.card_text).unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.path().join("model.onnx")).unwrap();
    let refused = ArtifactFiles::read(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("model.onnx"), "{refused}");
}
