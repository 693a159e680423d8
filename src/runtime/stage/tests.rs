//! Sign-off records and decisions as files: what makes a stage lawful, and what does not.

use super::*;
use crate::base::settings::StageName;
use crate::registry::decision::{Criterion, DecidedModel, Relation, Verdict};
use crate::registry::seal::{Sealed, SigningKey, sign_file};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use toml::Value;

const TODAY: i64 = 20_783;
const DAY_MS: u64 = 86_400_000;

/// A folder with a key that is trusted, one that is not, and a configuration that names both files.
struct Desk {
    dir: tempfile::TempDir,
    loaded: Loaded,
}

impl Desk {
    /// The shipped paper configuration for a stage.
    fn new(stage: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let loaded = config::load(&root.join("config/paper.toml")).unwrap();
        let path = |path: PathBuf| Value::String(path.display().to_string());
        let key = SigningKey::create(&dir.path().join("ours")).unwrap();
        SigningKey::create(&dir.path().join("theirs")).unwrap();
        let values = [
            ("model", "dir", path(root.join("models_saved"))),
            ("stage", "name", Value::String(stage.to_owned())),
            ("stage", "signoff_file", path(dir.path().join("signoff.toml"))),
            ("stage", "decision_file", path(dir.path().join("gate_decision.json"))),
            ("stage", "decision_days_max", Value::Integer(30)),
            ("stage", "trusted_keys", Value::Array(vec![Value::String(key.hex())])),
            ("stage", "new_percent", Value::Integer(10)),
            ("stage", "new_days", Value::Integer(3)),
            ("stage", "days_min", Value::Integer(7)),
            ("stage", "round_trips_min", Value::Integer(100)),
            ("stage", "sharpe_min", Value::Float(1.8)),
            ("stage", "drawdown_bps_max", Value::Integer(2_000)),
        ];
        Self { dir, loaded: config::with_values(&loaded, &values).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self, name: &str) -> SigningKey {
        SigningKey::read(&self.path(name)).unwrap()
    }

    fn sign_off(&self, artefacts: &Artefacts, since_day: i64, key: &str) {
        let record = Signoff {
            stage: StageName::LimitedLive,
            signed_by: vec!["A. Person".to_owned()],
            reason: "eight days on paper".to_owned(),
            since_day,
            artefacts: artefacts.clone(),
            days: 8,
            round_trips: 120,
            sharpe: 2.1,
            drawdown_bps: 900,
            capital: None,
        };
        fs::write(self.path("signoff.toml"), record.to_toml()).unwrap();
        sign_file(&self.path("signoff.toml"), &self.key(key)).unwrap();
    }

    /// A decision on a model, with a Sharpe ratio of `sharpe` where 1.8 is needed.
    fn decide(&self, model: &str, sharpe: f64, day: i64, key: &str) {
        let criterion = Criterion {
            name: "older_rule.sharpe_min".to_owned(),
            value: Some(sharpe),
            relation: Relation::AtLeast,
            threshold: 1.8,
            passed: sharpe >= 1.8,
            evidence: "walk_forward.json".to_owned(),
            evidence_sha256: None,
        };
        let model = DecidedModel {
            version: "v1".to_owned(),
            sha256: model.to_owned(),
            card_sha256: String::new(),
            data_manifest_sha256: String::new(),
        };
        let at = day.unsigned_abs() * DAY_MS;
        let decision =
            Decision::new(model, vec![criterion], BTreeMap::new(), String::new(), at).unwrap();
        assert_eq!(decision.verdict == Verdict::Go, sharpe >= 1.8);
        let body = serde_json::to_value(&decision).unwrap();
        let text = Sealed::new(&body, &self.key(key)).unwrap().text().unwrap();
        fs::write(self.path("gate_decision.json"), text).unwrap();
    }

    /// The papers that lie there, with another version in their names.
    fn rename_papers(&self, version: &str) {
        for (from, to) in [
            ("signoff.toml", format!("signoff.{version}.toml")),
            ("signoff.toml.sig", format!("signoff.{version}.toml.sig")),
            ("gate_decision.json", format!("gate_decision.{version}.json")),
        ] {
            fs::rename(self.path(from), self.path(&to)).unwrap();
        }
    }

    /// Everything as it should be.
    fn lawful() -> (Self, Artefacts) {
        let desk = Self::new("limited_live");
        let running = running(&desk.loaded).unwrap();
        desk.sign_off(&running, TODAY - 3, "ours");
        desk.decide(&running.model, 1.8, TODAY - 1, "ours");
        (desk, running)
    }

    fn objections(&self) -> Vec<String> {
        live_objections(&self.loaded, TODAY)
    }
}

#[test]
fn a_record_of_what_runs_makes_the_stage_lawful_and_a_new_thing_has_a_part_of_its_limits() {
    let (desk, running) = Desk::lawful();
    let (judged, told) = judged(&desk.loaded, TODAY).unwrap();
    assert_eq!((judged.lawful, &*judged.missing), (StageName::LimitedLive, &[][..]));
    assert_eq!(told, running);
    let percent = |today| {
        let within = within_limits(desk.loaded.clone(), today).unwrap();
        within.settings.risk.stage.limits_percent
    };
    assert_eq!((percent(TODAY), percent(TODAY - 1)), (Some(100), Some(10)));
    desk.sign_off(&Artefacts { model: "0".repeat(64), ..running }, TODAY - 3, "ours");
    assert_eq!(percent(TODAY), Some(10), "another model is new");
}

#[test]
fn a_symbols_own_model_needs_papers_of_its_own_as_the_pooled_one_does() {
    let mut desk = Desk::new("limited_live");
    let own: toml::Table = "ETHUSDT = \"synthetic-1\"".parse().unwrap();
    let values = [("model", "own", Value::Table(own))];
    desk.loaded = config::with_values(&desk.loaded, &values).unwrap();
    let running = running(&desk.loaded).unwrap();
    let papers = |since: i64| {
        desk.sign_off(&running, since, "ours");
        desk.decide(&running.model, 1.8, TODAY - 1, "ours");
    };
    papers(TODAY - 3);
    let objections = desk.objections();
    assert_eq!(objections.len(), 1, "{objections:?}");
    let (row, file) = ("model.own: ETHUSDT = \"synthetic-1\"", "signoff.synthetic-1.toml");
    assert!(objections[0].contains(row) && objections[0].contains(file), "{objections:?}");
    // Signed for a day only: it is new, and so is the session.
    papers(TODAY - 1);
    desk.rename_papers("synthetic-1");
    papers(TODAY - 3);
    assert_eq!(desk.objections(), Vec::<String>::new());
    let within = within_limits(desk.loaded.clone(), TODAY).unwrap();
    assert_eq!(within.settings.risk.stage.limits_percent, Some(10));
    papers(TODAY - 3);
    desk.rename_papers("synthetic-1");
    papers(TODAY - 3);
    let within = within_limits(desk.loaded.clone(), TODAY).unwrap();
    assert_eq!(within.settings.risk.stage.limits_percent, Some(100));
    // Of another model: what is missing names the symbol.
    desk.decide(&"0".repeat(64), 1.8, TODAY - 1, "ours");
    desk.sign_off(&running, TODAY - 3, "ours");
    desk.rename_papers("synthetic-1");
    papers(TODAY - 3);
    let objections = desk.objections();
    assert!(objections.len() == 1 && objections[0].starts_with(row), "{objections:?}");
}

#[test]
fn a_record_that_is_missing_or_malformed_is_told_by_file_and_key() {
    let desk = Desk::new("full");
    let gone = format!("{:#}", record(&desk.loaded).unwrap_err());
    assert!(gone.contains("signoff.toml"), "{gone}");
    fs::write(desk.path("signoff.toml"), "[signoff]\nstage = \"all\"\n").unwrap();
    sign_file(&desk.path("signoff.toml"), &desk.key("ours")).unwrap();
    let wrong = format!("{:#}", record(&desk.loaded).unwrap_err());
    for part in ["signoff.toml", "signoff.stage", "signoff.model_sha256: missing"] {
        assert!(wrong.contains(part), "{wrong}");
    }
}

/// What is done to lawful evidence, and how each objection begins to be told.
type Harm = (&'static str, fn(&mut Desk, &Artefacts), &'static str);

const HARMS: [Harm; 15] = [
    ("no decision", |d, _| fs::remove_file(d.path("gate_decision.json")).unwrap(), "No such file"),
    (
        "a NO-GO",
        |d, a| d.decide(&a.model, 1.7, TODAY, "ours"),
        "NO-GO: older_rule.sharpe_min is 1.7, needs >= 1.8",
    ),
    ("another model", |d, _| d.decide(&"0".repeat(64), 1.8, TODAY, "ours"), "is on v1"),
    ("too old", |d, a| d.decide(&a.model, 1.8, TODAY - 31, "ours"), "31 days old"),
    ("from tomorrow", |d, a| d.decide(&a.model, 1.8, TODAY + 1, "ours"), "from the future"),
    ("another key", |d, a| d.decide(&a.model, 1.8, TODAY, "theirs"), "not trusted"),
    ("changed", |d, _| change(&d.path("gate_decision.json"), "1.8", "1.9"), "was changed"),
    ("no name", |d, _| set(d, "decision_file", Value::String(String::new())), "decision_file"),
    ("no keys", |d, _| set(d, "trusted_keys", Value::Array(Vec::new())), "trusted_keys"),
    ("no age", |d, _| unset_days(d), "decision_days_max"),
    ("no sign-off", |d, _| fs::remove_file(d.path("signoff.toml")).unwrap(), "signoff.toml"),
    ("unsigned", |d, _| fs::remove_file(d.path("signoff.toml.sig")).unwrap(), "signoff.toml.sig"),
    ("changed record", |d, _| change(&d.path("signoff.toml"), "days = 8", "days = 9"), "changed"),
    ("their sign-off", |d, a| d.sign_off(a, TODAY - 3, "theirs"), "not trusted"),
    (
        "of another model",
        |d, a| d.sign_off(&Artefacts { model: "0".repeat(64), ..a.clone() }, TODAY, "ours"),
        "model_sha256",
    ),
];

fn change(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    fs::write(path, text.replace(from, to)).unwrap();
}

fn set(desk: &mut Desk, key: &'static str, value: Value) {
    desk.loaded = config::with_values(&desk.loaded, &[("stage", key, value)]).unwrap();
    resign(desk);
}

fn unset_days(desk: &mut Desk) {
    let text = desk.loaded.text.replace("decision_days_max = 30\n", "");
    desk.loaded = config::from_text("test", &text).unwrap();
    resign(desk);
}

/// Another configuration needs another sign-off, or that would be what is missing.
fn resign(desk: &Desk) {
    desk.sign_off(&running(&desk.loaded).unwrap(), TODAY - 3, "ours");
}

#[test]
fn money_is_traded_on_a_go_and_a_sign_off_of_ours_and_on_nothing_else() {
    assert_eq!(Desk::lawful().0.objections(), [""; 0]);
    for (name, harm, told) in HARMS {
        let (mut desk, artefacts) = Desk::lawful();
        harm(&mut desk, &artefacts);
        let objections = desk.objections();
        assert!(objections.iter().any(|why| why.contains(told)), "{name}: {objections:?}");
        let judged = judged(&desk.loaded, TODAY).map(|(judged, _)| judged);
        assert!(judged.is_err() || judged.unwrap().lawful == StageName::Shadow, "{name}");
    }
    let (desk, artefacts) = Desk::lawful();
    fs::remove_file(desk.path("signoff.toml")).unwrap();
    desk.decide(&artefacts.model, 1.7, TODAY, "ours");
    let both = desk.objections();
    assert_eq!(both.len(), 2, "what is missing is told at once: {both:?}");
}

#[test]
fn the_model_that_was_judged_is_the_one_that_is_loaded() {
    let (desk, _) = Desk::lawful();
    assert_eq!(desk.loaded.settings.model.version, "champion");
    assert_eq!(pinned(&desk.loaded).unwrap().settings.model.version, "synthetic-1");
}
