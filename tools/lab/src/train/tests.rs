//! Versions of every kind from a frozen data set, and versions that others go on from.

use super::frozen::{Order, train_from, train_frozen};
use super::warm::Warm;
use super::{Version, write};
use crate::forward::Config;
use crate::forward::tests::small;
use crate::history::tests::two;
use crate::learn::{Kind, Predictor};
use peregrine::features::schema_hash;
use peregrine::model::{ArtifactFiles, ExecutorKind, LoadPolicy, Model};
use peregrine::venue::dataset::DataSet;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const STRICT: LoadPolicy = LoadPolicy { allow_tract: false, p99_budget_ns: u64::MAX };

fn config(kind: Kind) -> Config {
    let mut config = small();
    config.model.kind = kind;
    config.rows.every_bars = 1;
    config.trees.rounds = 12;
    config.dense.epochs = 4;
    config.dense.hidden = 8;
    config.gru.epochs = 2;
    config.gru.hidden = 6;
    config.stack.of = vec![Kind::Trees, Kind::Dense, Kind::Gru];
    config.stack.groups = 2;
    config
}

fn made(set: &DataSet, config: &Config, threads: usize) -> Version {
    let order = Order { version: "kinds-1".to_owned(), config: config.clone(), threads };
    train_frozen(set, &order, &mut |_| {}).expect("enough rows")
}

#[test]
fn every_kind_is_trained_on_data_to_the_same_bytes_and_loads_natively() {
    let (_dir, set) = two(51, 1_500, 0.6);
    for kind in [Kind::Trees, Kind::Dense, Kind::Gru, Kind::Stack] {
        let mut config = config(kind);
        config.model.quantiles = true;
        let one = made(&set, &config, 1);
        let two = made(&set, &config, 2);
        assert!(one.onnx == two.onnx, "{kind:?}: two threads gave another file");
        assert_eq!(one.card, two.card, "{kind:?}");
        assert_eq!(one.kind(), kind);
        let card = one.card.to_toml().expect("a card");
        let files = ArtifactFiles::from_bytes(one.onnx.clone(), card).expect("a version");
        let model = Model::load(&files, schema_hash(), STRICT)
            .unwrap_or_else(|refused| panic!("{kind:?}: {refused}"));
        assert_eq!(model.executor(), ExecutorKind::Native);
        assert_eq!(model.state().is_empty(), matches!(kind, Kind::Trees | Kind::Dense));
        let figures = &one.card.metrics;
        // Half of what was fitted lies at or below the fifth edge, in every feature.
        let told = one.card.training.as_ref().expect("deciles");
        assert_eq!(told.rows as f64, figures["rows_fit"], "{kind:?}");
        for own in told.deciles(one.card.features.len()).expect("they fit") {
            let half: f32 = own.shares[..5].iter().sum();
            assert!(half > 0.499, "{kind:?}: {own:?}");
        }
        assert!(figures["log_loss"] < figures["log_loss_prior"] + 0.02, "{kind:?}: {figures:?}");
        for (name, level) in [("q10", 0.1), ("q50", 0.5), ("q90", 0.9)] {
            // About five hundred rows whose labels overlap: some twenty that say something.
            let share = figures[&format!("coverage_{name}")];
            assert!((share - level).abs() < 0.3, "{name} covers {share}");
        }
    }
}

#[test]
fn a_memory_that_moves_once_a_bar_is_not_trained_on_every_other_one() {
    for (kind, of) in [(Kind::Gru, vec![]), (Kind::Stack, vec![Kind::Trees, Kind::Gru])] {
        let mut config = config(kind);
        config.stack.of.retain(|kind| of.contains(kind) || of.is_empty());
        config.check().expect("in range");
        config.rows.every_bars = 2;
        let refused = config.check().expect_err("must be refused").to_string();
        assert!(refused.contains("rows.every_bars"), "{refused}");
    }
    let mut config = config(Kind::Stack);
    config.stack.of = vec![Kind::Trees, Kind::Stack];
    assert!(config.check().expect_err("a stack of stacks").to_string().contains("stack.of"));
}

struct Beginning {
    _data: TempDir,
    dir: TempDir,
    set: DataSet,
    config: Config,
    first: Version,
    folder: PathBuf,
}

fn beginning(kind: Kind) -> Beginning {
    let (_data, set) = two(52, 1_500, 0.6);
    let dir = tempfile::tempdir().expect("a folder");
    let mut config = config(kind);
    config.trees.patience = 0;
    config.model.quantiles = kind == Kind::Trees;
    let first = made(&set, &config, 1);
    let folder = dir.path().join("kinds-1");
    write(&first, &folder).expect("a folder");
    Beginning { _data, dir, set, config, first, folder }
}

fn on(set: &DataSet, config: &Config, folder: &Path, threads: usize) -> anyhow::Result<Version> {
    let order = Order { version: "kinds-2".to_owned(), config: config.clone(), threads };
    train_from(set, (&order, Some(&Warm::open(folder)?)), &mut |_| {})
}

#[test]
fn a_version_that_goes_on_begins_with_the_trees_of_its_parent_and_names_it() {
    let Beginning { _data, dir: _dir, set, config, first, folder } = beginning(Kind::Trees);
    let more = on(&set, &config, &folder, 1).expect("it fits");
    let again = on(&set, &config, &folder, 2).expect("it fits");
    assert!(more.onnx == again.onnx && more.card == again.card, "two threads gave another file");
    let (Predictor::Trees(old), Predictor::Trees(new)) = (&first.predictor, &more.predictor) else {
        panic!("no trees")
    };
    assert!(new.trees.len() >= old.trees.len());
    let scale = f64::from(new.base[0]) / f64::from(old.base[0]);
    for (old, new) in old.trees.iter().zip(&new.trees) {
        for (old, new) in old.nodes.iter().zip(&new.nodes) {
            assert_eq!((old.feature, old.cut, old.left), (new.feature, new.cut, new.left));
            // All leaves are as much hotter or colder as the whole is.
            assert!((f64::from(old.value) * scale - f64::from(new.value)).abs() < 1e-6);
        }
    }
    let parent = crate::export::read(&more.onnx, more.card.features.len()).expect("trees");
    assert_eq!(parent.properties["parent"], "kinds-1");
    assert_eq!(parent.properties["parent_sha256"], first.card.model_sha256);
    assert!(parent.spread.expect("quantiles").trees.len() >= 3);
    let figures = (&more.card.metrics["rounds"], &first.card.metrics["rounds"]);
    assert!(figures.0 >= figures.1, "{figures:?}");
}

#[test]
fn a_parent_of_other_features_labels_kind_or_later_data_is_refused_with_the_reason() {
    let Beginning { _data, dir, set, config, folder, .. } = beginning(Kind::Trees);
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut other = config.clone();
        change(&mut other);
        on(&set, &other, &folder, 1).expect_err("must be refused").to_string()
    };
    let features = crate::history::CANDLE_FEATURES;
    let fewer: Vec<String> = features[..features.len() - 1].iter().map(|&f| f.to_owned()).collect();
    let said = refused(&|config| config.rows.features = fewer.clone());
    assert!(said.contains("features"), "{said}");
    let mut turned = fewer.clone();
    turned.push(features[features.len() - 1].to_owned());
    turned.swap(0, 1);
    let said = refused(&|config| config.rows.features = turned.clone());
    assert!(said.contains(features[1]) && said.contains("feature 0"), "{said}");
    let said = refused(&|config| config.label.horizon_bars = 13);
    assert!(said.contains("another meaning"), "{said}");
    let said = refused(&|config| config.costs.taker_fee_bps = 2.0);
    assert!(said.contains("another meaning"), "{said}");
    let said = refused(&|config| config.model.kind = Kind::Dense);
    assert!(said.contains("dense"), "{said}");
    // The test of the new model lies within what the parent has learned from.
    let end = 1_700_000_040_000 + 1_300 * 60_000;
    let said = refused(&|config| config.to_ms = Some(end));
    assert!(said.contains("newer data"), "{said}");
    let said = refused(&|config| config.trees.rounds = 5_000 * 3);
    assert!(said.contains("trees.rounds"), "{said}");
    // Its file was changed after it was written.
    let file = folder.join("model.onnx");
    let mut bytes = std::fs::read(&file).expect("a file");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, bytes).expect("a file");
    assert!(Warm::open(&folder).is_err());
    let nothing = dir.path().join("nothing");
    assert!(Warm::open(&nothing).is_err());
}

#[test]
fn a_parent_that_is_not_of_trees_is_refused_with_the_reason() {
    let Beginning { folder, dir: _dir, .. } = beginning(Kind::Dense);
    let said = format!("{:#}", Warm::open(&folder).expect_err("must be refused"));
    assert!(said.contains("trees alone"), "{said}");
}
