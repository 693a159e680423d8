//! A model's way through the registry, by command: papers, stages, rollback, bundles, retention.

use crate::pipeline_support::{last_json, peregrine_in, root, text};
use peregrine::registry::decision::{Criterion, DecidedModel, Decision, Relation};
use peregrine::registry::seal::{Sealed, SigningKey};
use peregrine::registry::verdict::{Contender, PromotionVerdict, Ruling};
use peregrine::registry::{Registry, Stage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const ROLES: [(&str, &str); 4] = [
    ("gate", "PEREGRINE__STAGE__TRUSTED_KEYS"),
    ("engine", "PEREGRINE__STAGE__VERDICT_KEYS"),
    ("risk", "PEREGRINE__STAGE__RISK_KEYS"),
    ("mlops", "PEREGRINE__STAGE__MLOPS_KEYS"),
];
const WHO: [&str; 4] = ["--by", "alice", "--reason", "a trial"];

/// A folder with a registry in `models`, keys, and whatever is written.
struct Office {
    dir: TempDir,
    variables: Vec<(&'static str, String)>,
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn criterion() -> Criterion {
    Criterion {
        name: "e_value".to_owned(),
        value: Some(25.0),
        relation: Relation::AtLeast,
        threshold: 20.0,
        passed: true,
        evidence: "shadow_eval.jsonl".to_owned(),
        evidence_sha256: None,
    }
}

impl Office {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut variables = vec![("PEREGRINE__MODEL__BUDGET_US", "1000000".to_owned())];
        for (role, variable) in ROLES {
            let key = SigningKey::create(&dir.path().join(role)).unwrap();
            variables.push((variable, format!("[\"{}\"]", key.hex())));
        }
        Self { dir, variables }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn key(&self, role: &str) -> SigningKey {
        SigningKey::read(&self.path(role)).unwrap()
    }

    fn registry(&self) -> Registry {
        Registry::open(&self.path("models")).unwrap()
    }

    /// A registry command with the folder of this one.
    fn model(&self, words: &[&str]) -> Output {
        let variables: Vec<(&str, &str)> =
            self.variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let models = self.path("models");
        let all = [&["model"], words, &["--dir", text(&models)]].concat();
        peregrine_in(self.dir.path(), &all, &variables)
    }

    fn done(&self, words: &[&str]) -> serde_json::Value {
        let output = self.model(&[words, &["--json"]].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        last_json(&output)
    }

    /// Refused with exit code 1 and one line that has these words in it.
    fn refused(&self, words: &[&str], told: &[&str]) {
        let output = self.model(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        told.iter().for_each(|word| assert!(error.contains(word), "{word:?}: {error}"));
    }

    /// Registers a small model under a name.
    fn register(&self, version: &str, more: &[&str]) {
        let quick = root().join("tools/kill_campaign/quick-1");
        let card = std::fs::read_to_string(quick.join("card.toml")).unwrap();
        let own = card.lines().find(|line| line.starts_with("version = ")).unwrap().to_owned();
        let from = self.path("out").join(version);
        std::fs::create_dir_all(&from).unwrap();
        std::fs::copy(quick.join("model.onnx"), from.join("model.onnx")).unwrap();
        let card = card.replacen(&own, &format!("version = \"{version}\""), 1);
        std::fs::write(from.join("card.toml"), card).unwrap();
        self.done(&[&["register", text(&from)], &WHO[..], more].concat());
    }

    fn contender(&self, version: &str) -> Contender {
        Contender::of(version, self.registry().show(version).unwrap())
    }

    fn decide(&self, version: &str) -> String {
        let Contender { version, sha256, card_sha256 } = self.contender(version);
        let data_manifest_sha256 = "d".repeat(64);
        let model = DecidedModel { version, sha256, card_sha256, data_manifest_sha256 };
        let (criteria, evidence) = (vec![criterion()], BTreeMap::new());
        let body = Decision::new(model, criteria, evidence, "t".repeat(64), now_ms()).unwrap();
        let sealed = Sealed::new(&serde_json::to_value(body).unwrap(), &self.key("gate")).unwrap();
        self.write("gate_decision.json", &sealed.text().unwrap())
    }

    fn judge(&self, version: &str, from: Stage) -> String {
        let to = if from == Stage::Shadow { Stage::Canary } else { Stage::Champion };
        let champion = self.registry().champion_version().map(|name| self.contender(name));
        let (challenger, evidence) = (self.contender(version), BTreeMap::new());
        let criteria = vec![criterion()];
        let (step, outcome, at_ms) = ((from, to), Ruling::Promote, now_ms());
        let verdict =
            PromotionVerdict::new(step, champion, challenger, outcome, criteria, evidence, at_ms);
        let text = verdict.unwrap().sealed(&self.key("engine")).unwrap();
        self.write("promotion_verdict.json", &text)
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        text(&path).to_owned()
    }

    fn promote(&self, version: &str, to: &str, papers: &[&str]) -> serde_json::Value {
        self.done(&promotion(version, to, papers))
    }

    /// All the way from staged to champion, as people do it.
    fn crown(&self, version: &str) {
        self.promote(version, "shadow", &["--decision", &self.decide(version)]);
        self.promote(version, "canary", &["--verdict", &self.judge(version, Stage::Shadow)]);
        let verdict = self.judge(version, Stage::Canary);
        let approve = |role: &str, by: &str| {
            let out = text(&self.path(&format!("{version}-{role}.json"))).to_owned();
            let key = self.path(role);
            let words = ["approve", version, "--role", role, "--key", text(&key), "--out", &out];
            self.done(&[&words[..], &["--by", by, "--reason", "looked at"]].concat());
            out
        };
        let (risk, mlops) = (approve("risk", "bob"), approve("mlops", "carol"));
        let papers = ["--verdict", &verdict, "--approval", &risk, "--approval", &mlops];
        let told = self.promote(version, "champion", &papers);
        assert_eq!(told["papers"].as_array().unwrap().len(), 3, "{told}");
    }
}

fn promotion<'a>(version: &'a str, to: &'a str, papers: &[&'a str]) -> Vec<&'a str> {
    const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/paper.toml");
    let words = ["promote", version, "--to", to, "--config", CONFIG];
    [&words[..], papers, &WHO].concat()
}

#[test]
fn a_version_goes_from_staged_to_champion_by_command_and_a_rollback_leaves_it() {
    let office = Office::new();
    office.register("v1", &["--first-champion"]);
    office.register("v2", &["--parent", "v1"]);
    office.crown("v2");
    let listed = office.done(&["list"]);
    let stage = |at: usize| listed["versions"][at]["stage"].as_str().unwrap().to_owned();
    assert_eq!((stage(0), stage(1)), ("retired".to_owned(), "champion".to_owned()));
    assert_eq!(listed["versions"][0]["previous"], true);

    let file = office.path("models/registry.json");
    let before = std::fs::read(&file).unwrap();
    let back = [&["rollback"][..], &WHO].concat();
    let plan = office.done(&back);
    assert_eq!(
        (&plan["from"], &plan["to"], &plan["executed"]),
        (&"v2".into(), &"v1".into(), &false.into())
    );
    assert_eq!(std::fs::read(&file).unwrap(), before, "a look changes nothing");
    let execute = [&back[..], &["--execute"]].concat();
    assert_eq!(office.done(&execute)["executed"], true);
    assert_eq!(office.registry().champion_version(), Some("v1"));
    office.refused(&execute, &["no former champion", "--to none"]);
    assert_eq!(
        office.done(&[&execute[..], &["--to", "none"]].concat())["to"],
        serde_json::Value::Null
    );
    assert_eq!(office.registry().champion_version(), None);
    office.done(&[&["release", "v2"], &WHO[..]].concat());
    office.done(&[&execute[..], &["--to", "v2"]].concat());
    assert_eq!(office.registry().champion_version(), Some("v2"));

    let told = String::from_utf8(office.model(&["history"]).stdout).unwrap();
    for words in [
        "v1 registered, by alice: a trial",
        "v1 from staged to champion, by alice: the first champion, without a gate: a trial",
        "v2 from staged to shadow, by alice: a trial [gate_decision ",
        "v2 from shadow to canary, by alice: a trial [promotion_verdict ",
        "v1 from champion to retired, by alice: replaced by v2",
        "approval_risk ",
        "v2 rolled back from champion to retired",
        "v2 quarantined, by alice: left by a rollback: a trial",
        "v1 rolled back from retired to champion",
        "v2 released",
    ] {
        assert!(told.contains(words), "{words:?} is not in {told}");
    }
    let last = office.done(&["history", "v2", "--last", "1"]);
    assert_eq!(last["history"][0]["to"], "champion");
}

#[test]
fn a_promotion_without_its_papers_is_refused_in_one_line_and_a_dry_run_changes_nothing() {
    let office = Office::new();
    office.register("v1", &["--first-champion"]);
    office.register("v2", &[]);
    office.refused(&promotion("v2", "shadow", &[]), &["v2", "shadow", "--decision", "GO"]);
    office.refused(&promotion("v2", "canary", &[]), &["v2", "in order", "--verdict"]);
    let other = office.decide("v1");
    let words = promotion("v2", "shadow", &["--decision", &other]);
    office.refused(&words, &["gate_decision.json: is on another"]);
    let own = office.decide("v2");
    let words = promotion("v2", "shadow", &["--decision", &own, "--dry-run"]);
    assert_eq!(office.done(&words)["executed"], false);
    assert_eq!(office.registry().show("v2").unwrap().stage, Stage::Staged);
    // Nobody is trusted by the shipped configuration alone.
    let mut nobody = Office { variables: Vec::new(), ..office };
    let words = promotion("v2", "shadow", &["--decision", &own]);
    nobody.refused(&words, &["stage.trusted_keys", "nobody is trusted"]);
    let key = nobody.key("risk").public().hex();
    let keys = ["PEREGRINE__STAGE__RISK_KEYS", "PEREGRINE__STAGE__MLOPS_KEYS"];
    nobody.variables = keys.map(|name| (name, format!("[\"{key}\"]"))).to_vec();
    let output = nobody.model(&words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("stage.mlops_keys") && error.contains("two people"), "{error}");
}

#[test]
fn a_bundle_goes_to_another_registry_and_a_changed_one_does_nothing_there() {
    let office = Office::new();
    office.register("v1", &["--first-champion"]);
    let config = office.write("train.toml", "rounds = 51\n");
    office.register("v2", &["--parent", "v1", "--train-config", &config]);
    let gate = office.path("gate");
    office.done(&[&["sign", "v2", "--key", text(&gate)], &WHO[..]].concat());
    let [one, two] = ["one.tar.gz", "two.tar.gz"].map(|name| {
        let out = office.path(name);
        let decision = office.decide("v2");
        let words = ["export", "v2", "--key", text(&gate), "--decision", &decision];
        // The same decision twice: signatures say the same of the same.
        let kept = office.path("kept");
        if kept.exists() {
            std::fs::copy(&kept, &decision).unwrap();
        } else {
            std::fs::copy(&decision, &kept).unwrap();
        }
        office.done(&[&words[..], &["--out", text(&out)]].concat());
        out
    });
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    office.refused(&["export", "v2", "--out", text(&one)], &["one.tar.gz"]);

    let there = Office::new();
    let public = std::fs::read_to_string(office.path("gate.pub")).unwrap();
    let import = |bundle: &Path, key: &str| {
        let words = ["import", text(bundle), "--trust", key];
        [&words[..], &WHO].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let words = import(&one, public.trim());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut bytes = std::fs::read(&one).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = there.path("changed.tar.gz");
    std::fs::write(&changed, bytes).unwrap();
    let bad = import(&changed, public.trim());
    let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
    there.refused(&bad, &["changed.tar.gz"]);
    assert!(!there.path("models").exists(), "not even an empty registry was made");
    let stranger = text(&there.path("gate.pub")).to_owned();
    let untrusted = import(&one, &stranger);
    let untrusted: Vec<&str> = untrusted.iter().map(String::as_str).collect();
    there.refused(&untrusted, &["one.tar.gz", "not trusted"]);
    assert!(!there.path("models").exists());

    let told = there.done(&words);
    assert_eq!(told["version"], "v2");
    assert_eq!(told["documents"], serde_json::json!(["gate_decision.json"]));
    let record = there.done(&["show", "v2"]);
    assert_eq!(record["parent"], "v1");
    assert_eq!(record["stage"], "staged");
    assert_eq!(record["origin"]["lineage"][0]["version"], "v1");
    assert_eq!(
        there.done(&["verify", "--trust", public.trim()])["problems"],
        serde_json::json!([])
    );
    there.refused(&["verify", "--trust", &stranger], &["v2 is signed by no trusted key"]);
    there.refused(&words, &["v2 is registered already"]);
}

#[test]
fn pruning_by_command_keeps_what_a_rollback_needs() {
    let office = Office::new();
    office.register("v1", &["--first-champion"]);
    for version in ["v2", "v3"] {
        office.register(version, &[]);
        office.crown(version);
    }
    let words = [&["prune", "--keep", "0"], &WHO[..]].concat();
    assert_eq!(office.done(&words)["removed"], serde_json::json!(["v1"]));
    assert!(office.path("models/v1").exists(), "a look removes nothing");
    office.done(&[&words[..], &["--execute"]].concat());
    assert!(!office.path("models/v1").exists() && office.path("models/v2").exists());
    assert_eq!(office.done(&["verify"])["problems"], serde_json::json!([]));
    office.refused(
        &[&["rollback", "--to", "v1", "--execute"], &WHO[..]].concat(),
        &["v1", "its files were removed"],
    );
    office.done(&[&["rollback", "--execute"], &WHO[..]].concat());
    assert_eq!(office.registry().champion_version(), Some("v2"));
}

#[test]
fn a_challenger_is_given_up_by_retire_and_the_champion_is_not() {
    let office = Office::new();
    office.register("v1", &["--first-champion"]);
    office.register("v2", &[]);
    office.done(&[&["retire", "v2"], &WHO[..]].concat());
    assert_eq!(office.registry().show("v2").unwrap().stage, Stage::Retired);
    office.refused(&[&["retire", "v1"], &WHO[..]].concat(), &["v1", "champion", "rollback"]);
    office.refused(&["retire", "v2", "--by", "", "--reason", "x"], &["by"]);
}

#[test]
fn no_program_moves_a_version_without_papers_but_out_of_use_or_as_the_very_first_champion() {
    // The move that looks at no papers is for tests; whoever calls it elsewhere is found here.
    let calls = |file: &crate::source::File| {
        let code = crate::source::code_of(&file.text);
        let is_test = crate::source::is_test(&file.path) || file.path.starts_with("src/registry/");
        !is_test && code.contains("registry") && code.contains("egistry.advance(")
    };
    let files = crate::source::files(&["src", "tools"], ".rs");
    let callers: Vec<&str> =
        files.iter().filter(|file| calls(file)).map(|file| file.path.as_str()).collect();
    assert_eq!(callers, Vec::<&str>::new());
    assert!(files.len() > 300, "{} files were read", files.len());
}
