//! The whole way, from frames to a loaded model.

use crate::samples::{LabelRule, from_synthetic, quick_features};
use crate::train::{Plan, Version, register, train_synthetic, write};
use peregrine::base::Nanos;
use peregrine::base::settings::FeatureSettings;
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::features::schema_hash;
use peregrine::model::{ArtifactFiles, ExecutorKind, LoadPolicy, Model, ModelOutput};
use peregrine::registry::Registry;
use serde_json::Value;

fn trained(threads: usize) -> Version {
    let plan = Plan { minutes: 20, rounds: 15, threads, ..Plan::default() };
    train_synthetic(&plan, &mut |_| {}).expect("twenty minutes are enough")
}

const STRICT: LoadPolicy = LoadPolicy { allow_tract: false, p99_budget_ns: u64::MAX };

#[test]
fn training_twice_and_with_more_threads_gives_the_same_file_and_card() {
    let first = trained(1);
    for threads in [1, 2] {
        let again = trained(threads);
        assert!(first.onnx == again.onnx, "{threads} threads gave another file");
        assert_eq!(first.card, again.card);
    }
}

#[test]
fn the_trader_loads_the_exported_file_natively_and_answers_as_the_trainer() {
    let version = trained(1);
    let forest = version.predictor.forest().expect("trees");
    let card = version.card.to_toml().expect("a card");
    let files = ArtifactFiles::from_bytes(version.onnx.clone(), card).expect("a version");
    let mut model = Model::load(&files, schema_hash(), STRICT).expect("a loadable model");
    assert_eq!(model.executor(), ExecutorKind::Native);
    let mut out = ModelOutput::default();
    for i in 0..2_000_u32 {
        // Rows of awkward values: cuts themselves, huge, tiny, negative zero.
        let row: Vec<f32> = (0..forest.features as u32)
            .map(|f| match (i + f) % 5 {
                0 => forest.trees[(i as usize * 7) % 30].nodes[0].cut,
                1 => (i as f32 - 1_000.0) * 1e-4,
                2 => -0.0,
                3 => f32::MIN_POSITIVE / 2.0,
                _ => 1e30,
            })
            .collect();
        model.run(&row, &mut out).expect("a run");
        let expected = forest.probabilities(&row);
        for (p, q) in out.probability.iter().zip(&expected) {
            assert!((f64::from(*p) - q).abs() < 1e-6, "row {i}: {:?} {expected:?}", out);
        }
    }
}

#[test]
fn the_model_beats_the_class_shares_on_rows_it_has_not_seen() {
    let plan = Plan { minutes: 60, ..Plan::default() };
    let metrics = train_synthetic(&plan, &mut |_| {}).expect("an hour is enough").card.metrics;
    assert!(metrics["log_loss"] < metrics["log_loss_prior"], "{metrics:?}");
    assert!(metrics["auc_up_against_down"] > 0.55, "{metrics:?}");
    // Far from certain: the market is not a puzzle with a known answer.
    assert!(metrics["auc_up_against_down"] < 0.85, "{metrics:?}");
}

#[test]
fn labels_are_the_moves_an_observer_of_the_diffs_would_compute() {
    let start = Nanos::from_secs(1_750_000_000);
    let span = Nanos::from_secs(240);
    let market = || SyntheticMarket::new(5, &SymbolSpec::default_pair()[..1], start);
    let features = FeatureSettings {
        bar_interval_ms: 1_000,
        market_age_ms_max: 5_000,
        slow_age_ms_max: 60_000,
    };
    let horizon = Nanos::from_secs(2);
    let every = Nanos::from_millis(500);
    let rule = LabelRule { horizon, threshold_bps: 0.4, every };
    let names = quick_features(5);
    let samples = from_synthetic(market(), span, (names, &features, rule), &mut |_| {})
        .expect("known features");
    // The mid after every diff, straight from the market's own book.
    let mut observed = market();
    let mut mids: Vec<(Nanos, f64)> = Vec::new();
    while observed.peek() < start + span {
        let frame = observed.step();
        let (is_diff, ts) = (frame.stream.ends_with("depth@100ms"), frame.ts);
        if is_diff {
            let top = observed.contract("BTCUSDT").expect("a contract").book.top();
            mids.push((ts, (top.bid.0 + top.ask.0) as f64 / 2.0));
        }
    }
    assert!(samples.times.len() > 300, "{} rows", samples.times.len());
    for (row, &at) in samples.times.iter().enumerate() {
        let here = mids.iter().find(|(ts, _)| *ts == at).expect("rows are taken at diffs").1;
        let there = mids.iter().find(|(ts, _)| *ts - at >= horizon).expect("a later diff").1;
        let bps = 1e4 * (there / here - 1.0);
        assert!((samples.moves_bps[row] - bps).abs() < 1e-6, "row {row}");
        let label = if bps < -0.4 { 0.0 } else { 1.0 + f64::from(u8::from(bps > 0.4)) };
        assert_eq!(samples.table.targets[row], label, "row {row}");
    }
    assert!(samples.times.windows(2).all(|pair| pair[1] - pair[0] >= every));
}

#[test]
fn quick_features_need_neither_bars_nor_anything_a_recording_may_lack() {
    let names = quick_features(5);
    for absent in ["funding_rate", "oi_change_1", "return_1", "mid_volatility", "hour_sin"] {
        assert!(!names.iter().any(|name| name == absent), "{absent}");
    }
    assert!(names.iter().any(|name| name == "imbalance_1"));
}

#[test]
fn a_trained_version_registers_and_the_first_one_leads() {
    let dir = tempfile::tempdir().expect("a folder");
    let version = trained(1);
    let folder = dir.path().join("synthetic-1");
    write(&version, &folder).expect("a written version");
    register(&folder, None, "a test", 1).expect("a registered version");
    let registry = Registry::open(dir.path()).expect("a registry");
    assert_eq!(registry.champion_version(), Some("synthetic-1"));
    assert!(registry.verify().expect("a report").problems.is_empty());
    let again = register(&folder, None, "a test", 2).expect_err("it is there already");
    assert!(again.to_string().contains("synthetic-1"), "{again}");
}

/// Reads recorded trades and books as a session would, and asks the shipped model.
#[test]
fn the_shipped_champion_decides_on_recorded_markets() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("PEREGRINE_DATA").map_or(root.join("../shared/data"), Into::into);
    let path = data.join("hftbacktest/usdm_btcusdt_20240808.gz");
    if !path.exists() {
        println!("recorded data is absent ({}): nothing checked", path.display());
        return;
    }
    let files = Registry::open(&root.join("models_saved"))
        .and_then(|registry| registry.champion())
        .expect("a shipped champion");
    let mut model = Model::load(&files, schema_hash(), STRICT).expect("a loadable champion");
    let samples = recorded(&path, model.feature_names().to_vec());
    assert!(samples.times.len() > 500, "{} rows", samples.times.len());
    let mut out = ModelOutput::default();
    let mut answers = std::collections::BTreeSet::new();
    for row in 0..samples.table.rows() {
        model.run(samples.table.row(row), &mut out).expect("an answer");
        answers.insert(out.probability.map(f32::to_bits));
    }
    assert!(answers.len() > 100, "only {} different answers", answers.len());
}

fn recorded(path: &std::path::Path, names: Vec<String>) -> crate::samples::Samples {
    use peregrine::venue::capture::{Capture, Payload, scan_instruments};
    let paths = [path.to_owned()];
    let instruments = scan_instruments(&paths).expect("readable data");
    let features = FeatureSettings {
        bar_interval_ms: 1_000,
        market_age_ms_max: 5_000,
        slow_age_ms_max: 60_000,
    };
    let rule = LabelRule {
        horizon: Nanos::from_secs(5),
        threshold_bps: 0.7,
        every: Nanos::from_millis(500),
    };
    let mut collector =
        crate::samples::Collector::new(&instruments, names, &features, rule).expect("features");
    let mut capture = Capture::open(&paths).expect("readable data");
    while let Some(record) = capture.next() {
        let record = record.expect("readable data");
        match record.payload {
            Payload::Frame(frame) => collector.on_frame(frame, record.ts_recv),
            Payload::Snapshot { body, .. } => {
                while let Some(id) = collector.snapshot_wanted() {
                    collector.on_snapshot(id, body, record.ts_recv);
                }
            }
            _ => {}
        }
    }
    collector.finish()
}

#[test]
fn the_exported_file_names_what_it_was_made_from() {
    let version = trained(1);
    let info: Value = serde_json::to_value(&version.card.created_from).expect("a value");
    assert_eq!(info["seed"], 7);
    let text = String::from_utf8_lossy(&version.onnx);
    for word in ["schema_hash", "data_sha256", &version.card.created_from.data_hash] {
        assert!(text.contains(word), "{word} is not in the file");
    }
}
