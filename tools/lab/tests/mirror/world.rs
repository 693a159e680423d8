//! A registry, reports, data and a study, and what must be seen of them.

use crate::door::Door;
use crate::fake::Fake;
use peregrine::model::artifact::{hex, sha256};
use peregrine::registry::{Change, Registry, Stage};
use peregrine_lab::mirror::client::Client;
use peregrine_lab::mirror::settings::Settings;
use peregrine_lab::mirror::watch::{Mirror, Outcome};
use peregrine_lab::tune::functions::Function;
use peregrine_lab::tune::{Job, Pruner, Rescue, Tpe, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// What the cards and the validation name.
pub const TRAINING: &str = "7777777777777777777777777777777777777777777777777777777777777777";
pub const MANIFEST: &str = "manifest_version: 1\nname: made up\n";

/// Who has changed the registry, and when.
pub fn change(at_ms: u64, reason: &str) -> Change {
    Change {
        at_ms,
        by: "a tester".to_owned(),
        reason: reason.to_owned(),
        evidence_sha256: Some("e".repeat(64)),
    }
}

/// Folders below a temporary one.
pub struct World {
    pub dir: TempDir,
}

impl World {
    /// A champion `m-1` with a validation, a decision and a verdict; `m-2` in shadow; a study.
    pub fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().expect("a folder") };
        world.write("data/made-up/data_manifest.yaml", MANIFEST.as_bytes());
        world.add("m-1");
        world.advance("m-1", Stage::Champion);
        world.add("m-2");
        world.advance("m-2", Stage::Shadow);
        world.report(0.5);
        world.study();
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, bytes).expect("written");
    }

    pub fn registry(&self) -> Registry {
        Registry::open_or_create(&self.path("models_saved")).expect("a registry")
    }

    /// Registers the shipped model under another name.
    pub fn add(&self, version: &str) {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models_saved/synthetic-1");
        let card = fs::read_to_string(shipped.join("card.toml")).expect("a card");
        let parsed: toml::Table = card.parse().expect("TOML");
        let data = parsed["created_from"]["data_hash"].as_str().expect("a hash");
        let card = card
            .replace("synthetic-1", version)
            .replace(data, &hex(&sha256(MANIFEST.as_bytes())))
            .replace(
                "[created_from]\n",
                &format!("[created_from]\ntraining_sha256 = \"{TRAINING}\"\n"),
            );
        self.write(&format!("made/{version}/card.toml"), card.as_bytes());
        let onnx = fs::read(shipped.join("model.onnx")).expect("a model");
        self.write(&format!("made/{version}/model.onnx"), &onnx);
        let from = self.path(&format!("made/{version}"));
        self.registry()
            .register(&from, None, change(1_000, "made for a test"))
            .expect("registered");
    }

    pub fn advance(&self, version: &str, to: Stage) {
        self.registry().advance(version, to, change(2_000, "moved for a test")).expect("moved");
    }

    /// A validation of this Sharpe ratio, and a decision and a verdict on `m-1`.
    pub fn report(&self, sharpe: f64) {
        let text = format!("# Walk-forward validation\n\n{sharpe}\n");
        self.write("reports/first/wfv_report.md", text.as_bytes());
        let files = json!({"wfv_report.md": hex(&sha256(text.as_bytes())),
            "folds/walk-00.json": "0".repeat(64)});
        let fold = |number: u64, loss: f64| {
            json!({"number": number, "test_to_ms": 5_000 + number, "rows_test": 10,
                "sharpe": sharpe, "log_loss": loss, "log_loss_prior": null})
        };
        let walk = json!({
            "kind": "walk_forward", "schema": 1, "training_sha256": TRAINING,
            "data_manifest_sha256": hex(&sha256(MANIFEST.as_bytes())), "config_sha256": "c",
            "code": "made up", "seed": 7, "trials": 6, "chosen": {"depth": 3, "enter_edge": 0.2},
            "folds": [fold(0, 1.1), fold(1, 1.2), fold(2, 1.3)],
            "pooled": {"sharpe": sharpe, "trades": 12, "dsr": null},
            "cpcv": {"paths": [1.0, null, 2.0], "sharpe_q05": 1.0},
            "pbo": 0.25, "calibration": {"ece": 0.01, "bins": 15}, "files": files,
        });
        let walk = walk.to_string();
        self.write("reports/first/walk_forward.json", walk.as_bytes());
        let record = self.registry().show("m-1").expect("registered").clone();
        let subject = json!({"version": "m-1", "sha256": record.file_sha256("model.onnx"),
            "card_sha256": record.file_sha256("card.toml"), "data_manifest_sha256": "d"});
        let criterion = |name: &str, value: f64, passed: bool| {
            json!({"name": name, "value": value, "relation": ">=", "threshold": 0.9,
                "passed": passed, "evidence": "walk_forward.json", "evidence_sha256": null})
        };
        let decision = json!({"public_key": "ab", "signature": "cd", "body": {
            "kind": "gate_decision", "schema": 1, "verdict": "NO-GO", "decided_at_ms": 3_000,
            "model": subject, "evidence": {"walk_forward.json": hex(&sha256(walk.as_bytes()))},
            "criteria": [criterion("dsr", sharpe, false), criterion("psr", 0.99, true)],
            "thresholds_sha256": "t", "evidence_digest": "g",
        }});
        self.write("reports/first/gate_decision.json", decision.to_string().as_bytes());
        self.write("reports/first/gate_decision.pdf", b"%PDF made up");
        let verdict = json!({"public_key": "ab", "signature": "cd", "body": {
            "kind": "promotion_verdict", "schema": 1, "from": "shadow", "to": "canary",
            "champion": null, "challenger": subject, "verdict": "hold", "evidence": {},
            "criteria": [criterion("days", 3.0, true)], "decided_at_ms": 4_000,
            "evidence_digest": "v",
        }});
        self.write("reports/later/promotion_verdict.json", verdict.to_string().as_bytes());
    }

    fn study(&self) {
        let storage = self.path("study.db").display().to_string();
        let space = Function::Sphere.space();
        let job = Job {
            storage: &storage,
            study: "made-up",
            space: &space,
            objective: &Function::Sphere,
            sampler: Tpe::new(5),
            pruner: Pruner::None,
            trials: 2,
            workers: 1,
            heartbeat_secs: 1.0,
            rescue: Rescue { grace_secs: 10.0, retries_max: 0 },
            outage: Duration::ZERO,
        };
        run(&job, &|_| {}).expect("a search");
    }

    /// Settings as the shipped file has them, for these folders and this server.
    pub fn text(&self, url: &str) -> String {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/mirror.toml");
        let text = fs::read_to_string(shipped).expect("the shipped settings");
        let here = |name: &str| format!("\"{}\"", self.path(name).display());
        let study = format!("{{ storage = {}, name = \"made-up\" }}", here("study.db"));
        text.replace("\"http://127.0.0.1:5000\"", &format!("\"{url}\""))
            .replace("\"models_saved\"", &here("models_saved"))
            .replace("[\"reports\"]", &format!("[{}]", here("reports")))
            .replace("[\"data\"]", &format!("[{}]", here("data")))
            .replace("studies = []", &format!("studies = [{study}]"))
            .replace("\"state/mirror\"", &here("outbox"))
    }

    pub fn settings(&self, url: &str) -> Settings {
        Settings::parse(&self.text(url)).expect("settings")
    }

    pub fn mirror(&self, url: &str) -> Mirror {
        mirror_of(self.settings(url))
    }

    /// Rounds until everything is there, and one more.
    pub fn sync(&self, door: &Door) -> Mirror {
        let mut mirror = self.mirror(&door.url);
        for _ in 0..6 {
            let outcome = mirror.round().expect("a disk");
            if matches!(outcome, Outcome::Through(done) if done.problems.is_empty()) {
                mirror.round().expect("a disk");
                assert_eq!(mirror.status().problems, Vec::<String>::new());
                assert_eq!(mirror.status().waiting, 0);
                return mirror;
            }
        }
        panic!("{:?}", mirror.status());
    }
}

/// A mirror with these settings and no credentials.
pub fn mirror_of(settings: Settings) -> Mirror {
    let client = Client::new(&settings.server).expect("a client");
    Mirror::with(settings, client).expect("a mirror")
}

/// What a server shows now.
pub fn look(fake: &Mutex<Fake>) -> Value {
    shown(&fake.lock().expect("no panic"))
}

/// What a server shows, without the names and numbers it made itself; fails for anything that is
/// there twice.
fn shown(fake: &Fake) -> Value {
    let mut runs = BTreeMap::new();
    let key_of = |id: &str| fake.runs[id].tags["peregrine.key"].clone();
    for (id, run) in fake.runs.iter().filter(|(_, run)| !run.deleted) {
        let mut tags = run.tags.clone();
        if let Some(parent) = tags.get_mut("mlflow.parentRunId") {
            assert!(!fake.runs[parent].deleted, "below a run that is gone");
            *parent = key_of(parent);
        }
        let place = format!("{}/{id}/artifacts/", run.experiment);
        let files = fake.files.iter().filter_map(|(path, bytes)| {
            Some((path.strip_prefix(&place)?.to_owned(), hex(&sha256(bytes))))
        });
        let files: BTreeMap<String, String> = files.collect();
        let mut metrics = run.metrics.clone();
        metrics.sort();
        let experiment = &fake.experiments[run.experiment.parse::<usize>().expect("a place")];
        let told = json!({"name": run.name, "status": run.status, "params": run.params,
            "tags": tags, "metrics": metrics, "files": files, "experiment": experiment});
        let twice = runs.insert(key_of(id), told);
        assert!(twice.is_none(), "{} is there twice", run.name);
    }
    let mut models = BTreeMap::new();
    for (name, model) in &fake.models {
        let mut keys = BTreeMap::new();
        let mut versions = Vec::new();
        for version in &model.versions {
            let key = version.tags["peregrine.key"].clone();
            assert_eq!(key, key_of(&version.run), "from its own run");
            assert!(!fake.runs[&version.run].deleted, "from a run that is gone");
            assert!(version.source.ends_with(&format!("{}/artifacts/model", version.run)));
            assert!(!keys.values().any(|known| *known == key), "{key} is there twice");
            keys.insert(version.number, key);
            versions.push(json!(version.tags));
        }
        let aliases: BTreeMap<&String, &String> =
            model.aliases.iter().map(|(alias, number)| (alias, &keys[number])).collect();
        // One that is made again comes last.
        versions.sort_by_key(|tags| tags["peregrine.version"].to_string());
        let told = json!({"versions": versions, "aliases": aliases, "tags": model.tags});
        models.insert(name.clone(), told);
    }
    json!({"runs": runs, "models": models})
}
