//! Stages are passed with the right papers, and with no others.

use super::{DAY_MS, TODAY, again, change, crown, key, staged};
use crate::registry::decision::{Criterion, DecidedModel, Decision, Relation};
use crate::registry::seal::{PublicKey, Sealed, SigningKey};
use crate::registry::verdict::{Approval, Contender, PromotionVerdict, Role, Ruling};
use crate::registry::{PaperFiles, Promotion, Proving, Registry, RegistryError, Stage, Trust};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

const NOW: u64 = TODAY * DAY_MS;

/// A registry with a champion `v1` and a candidate `v2`, and people with keys.
struct World {
    root: TempDir,
    registry: Registry,
    keys: BTreeMap<&'static str, (SigningKey, PublicKey)>,
    trust: Trust,
}

fn criterion(passed: bool) -> Criterion {
    Criterion {
        name: "e_value".to_owned(),
        value: Some(if passed { 25.0 } else { 3.0 }),
        relation: Relation::AtLeast,
        threshold: 20.0,
        passed,
        evidence: "shadow_eval.jsonl".to_owned(),
        evidence_sha256: Some("e".repeat(64)),
    }
}

impl World {
    fn new() -> Self {
        let (root, mut registry) = staged(&["v1", "v2"]);
        crown(&mut registry, "v1");
        let names = ["gate", "engine", "risk", "mlops", "stranger"];
        let keys: BTreeMap<_, _> =
            names.into_iter().map(|name| (name, key(root.path(), name))).collect();
        let trust = Trust {
            gate: vec![keys["gate"].1],
            verdicts: vec![keys["engine"].1],
            risk: vec![keys["risk"].1],
            mlops: vec![keys["mlops"].1],
            decision_days_max: Some(30),
            verdict_days_max: Some(7),
        };
        Self { root, registry, keys, trust }
    }

    fn key(&self, name: &str) -> &SigningKey {
        &self.keys[name].0
    }

    fn contender(&self, version: &str) -> Contender {
        Contender::of(version, self.registry.show(version).unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.root.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn decision(&self, version: &str, go: bool, at_ms: u64, by: &str) -> PathBuf {
        let Contender { version, sha256, card_sha256 } = self.contender(version);
        let data_manifest_sha256 = "d".repeat(64);
        let model = DecidedModel { version, sha256, card_sha256, data_manifest_sha256 };
        let body =
            Decision::new(model, vec![criterion(go)], BTreeMap::new(), "t".repeat(64), at_ms);
        let body = serde_json::to_value(body.unwrap()).unwrap();
        self.write("gate_decision.json", &Sealed::new(&body, self.key(by)).unwrap().text().unwrap())
    }

    fn verdict(&self, from: Stage, outcome: Ruling) -> PromotionVerdict {
        let to = if from == Stage::Shadow { Stage::Canary } else { Stage::Champion };
        let (champion, challenger) = (Some(self.contender("v1")), self.contender("v2"));
        let criteria = vec![criterion(outcome == Ruling::Promote)];
        let evidence = BTreeMap::from([("shadow_eval.jsonl".to_owned(), "e".repeat(64))]);
        PromotionVerdict::new((from, to), champion, challenger, outcome, criteria, evidence, NOW)
            .unwrap()
    }

    fn judged(&self, from: Stage) -> PathBuf {
        let text = self.verdict(from, Ruling::Promote).sealed(self.key("engine")).unwrap();
        self.write("promotion_verdict.json", &text)
    }

    fn approval(&self, role: Role, by: &str, key: &str) -> PathBuf {
        let (challenger, champion) = (self.contender("v2"), Some(self.contender("v1")));
        let approval = Approval::new(role, (by, "limits hold"), challenger, champion, NOW);
        let name = format!("approval-{}-{by}-{key}.json", role.name());
        self.write(&name, &approval.sealed(self.key(key)).unwrap())
    }

    fn approved(&self) -> Vec<PathBuf> {
        vec![self.approval(Role::Risk, "bob", "risk"), self.approval(Role::Mlops, "carol", "mlops")]
    }

    fn promote(&mut self, to: Stage, files: &PaperFiles) -> Result<Promotion, RegistryError> {
        let trust = self.trust.clone();
        self.registry.promote(("v2", to), (files, &trust), Proving::ANY, change("better"), true)
    }

    /// Refused with each of these words, and nothing changed.
    fn refuses(&mut self, to: Stage, files: &PaperFiles, words: &[&str]) {
        let before = self.registry.history().len();
        let refused = self.promote(to, files).unwrap_err().to_string();
        assert_eq!(refused.lines().count(), 1, "{refused}");
        for word in words {
            assert!(refused.contains(word), "{word:?} is not in {refused:?}");
        }
        assert_eq!(again(&self.root).history().len(), before, "{words:?}: something was written");
    }

    /// With `v2` as far as `stage`, by the library alone.
    fn at(stage: Stage) -> Self {
        let mut world = Self::new();
        for step in [Stage::Shadow, Stage::Canary] {
            if world.registry.show("v2").unwrap().stage != stage {
                world.registry.advance("v2", step, change("x")).unwrap();
            }
        }
        world
    }
}

fn decided(path: PathBuf) -> PaperFiles {
    PaperFiles { decision: Some(path), ..PaperFiles::default() }
}

fn with_verdict(path: PathBuf) -> PaperFiles {
    PaperFiles { verdict: Some(path), ..PaperFiles::default() }
}

#[test]
fn a_version_passes_every_stage_with_its_papers_and_the_history_names_them() {
    let mut world = World::new();
    let decision = world.decision("v2", true, NOW, "gate");
    let looked = world.registry.promote(
        ("v2", Stage::Shadow),
        (&decided(decision.clone()), &world.trust.clone()),
        Proving::ANY,
        change("look"),
        false,
    );
    assert_eq!(looked.unwrap().from, Stage::Staged);
    assert_eq!(again(&world.root).show("v2").unwrap().stage, Stage::Staged, "it was a look");
    world.promote(Stage::Shadow, &decided(decision)).unwrap();
    let shadow = world.judged(Stage::Shadow);
    world.promote(Stage::Canary, &with_verdict(shadow)).unwrap();
    let verdict = Some(world.judged(Stage::Canary));
    let files = PaperFiles { verdict, approvals: world.approved(), ..PaperFiles::default() };
    let promoted = world.promote(Stage::Champion, &files).unwrap();
    assert_eq!(promoted.replaces.as_deref(), Some("v1"));
    let registry = again(&world.root);
    assert_eq!(registry.champion_version(), Some("v2"));
    assert_eq!(registry.previous_version(), Some("v1"));
    let last = registry.history().last().unwrap();
    let kinds: Vec<&str> = last.papers.iter().map(|paper| paper.kind.as_str()).collect();
    assert_eq!(kinds, ["promotion_verdict", "approval_risk", "approval_mlops"]);
    let file = std::fs::read(files.verdict.unwrap()).unwrap();
    let sha256 = crate::model::artifact::hex(&crate::model::artifact::sha256(&file));
    assert_eq!(last.evidence_sha256.as_deref(), Some(sha256.as_str()));
    assert_eq!(last.papers[0].sha256, sha256);
}

#[test]
fn shadow_needs_a_go_of_a_trusted_key_on_exactly_this_version() {
    let mut world = World::new();
    let none = PaperFiles::default();
    world.refuses(Stage::Shadow, &none, &["--decision", "GO"]);
    let day = DAY_MS;
    for (version, go, at_ms, by, told) in [
        ("v2", false, NOW, "gate", "NO-GO: e_value is 3, needs >= 20"),
        ("v2", true, NOW - 31 * day, "gate", "31 days old, stage.decision_days_max is 30"),
        ("v2", true, NOW + 2 * day, "gate", "from the future"),
        ("v2", true, NOW, "stranger", "not trusted"),
        ("v2", true, NOW, "engine", "not trusted"),
        ("v1", true, NOW, "gate", "is on another version: v1"),
        ("v1", true, NOW, "gate", "is on another card.toml"),
    ] {
        let path = world.decision(version, go, at_ms, by);
        world.refuses(Stage::Shadow, &decided(path), &["gate_decision.json", told]);
    }
    let path = world.decision("v2", true, NOW, "gate");
    let text = std::fs::read_to_string(&path).unwrap();
    let edited = world.write("gate_decision.json", &text.replacen("25.0", "26.0", 1));
    world.refuses(Stage::Shadow, &decided(edited), &["gate_decision.json", "changed"]);
    let verdict = world.judged(Stage::Shadow);
    let key = world.keys["engine"].1;
    world.trust.gate.push(key);
    world.refuses(
        Stage::Shadow,
        &decided(verdict),
        &["promotion_verdict.json", "no gate decision"],
    );
    world.trust.gate.clear();
    let path = world.decision("v2", true, NOW, "gate");
    world.refuses(Stage::Shadow, &decided(path.clone()), &["stage.trusted_keys", "nobody"]);
    world.trust.decision_days_max = None;
    world.refuses(Stage::Shadow, &decided(path), &["stage.decision_days_max: unset"]);
}

#[test]
fn canary_needs_a_verdict_that_says_promote_against_the_champion_there_is() {
    let mut world = World::at(Stage::Shadow);
    world.refuses(Stage::Canary, &PaperFiles::default(), &["--verdict"]);
    let decision = world.decision("v2", true, NOW, "gate");
    world.refuses(Stage::Canary, &decided(decision), &["--verdict"]);
    let good = world.verdict(Stage::Shadow, Ruling::Promote);
    let remade = |verdict: &PromotionVerdict| {
        let PromotionVerdict { from, to, champion, challenger, criteria, evidence, .. } =
            verdict.clone();
        let (outcome, at_ms) = (verdict.verdict, verdict.decided_at_ms);
        let parts = (from, to);
        PromotionVerdict::new(parts, champion, challenger, outcome, criteria, evidence, at_ms)
    };
    type Edit = fn(&mut PromotionVerdict, &World);
    let cases: [(Edit, &str); 9] = [
        (|v, _| v.verdict = Ruling::Hold, "the verdict is hold"),
        (|v, w| *v = w.verdict(Stage::Shadow, Ruling::Hold), "hold: e_value is 3, needs >= 20"),
        (|v, w| *v = w.verdict(Stage::Shadow, Ruling::Reject), "the verdict is reject"),
        (|v, w| *v = w.verdict(Stage::Canary, Ruling::Promote), "from canary to champion"),
        (|v, _| v.decided_at_ms = NOW - 8 * DAY_MS, "8 days old, stage.verdict_days_max is 7"),
        (|v, _| v.decided_at_ms = NOW + 2 * DAY_MS, "from the future"),
        (|v, w| v.champion = Some(w.contender("v2")), "against the champion v2"),
        (|v, _| v.champion = None, "against the champion none"),
        (|v, w| v.challenger = w.contender("v1"), "is on v1"),
    ];
    for (edit, told) in cases {
        let mut verdict = good.clone();
        edit(&mut verdict, &world);
        let text = remade(&verdict).unwrap().sealed(world.key("engine")).unwrap();
        let path = world.write("promotion_verdict.json", &text);
        world.refuses(Stage::Canary, &with_verdict(path), &["promotion_verdict.json", told]);
    }
    for by in ["stranger", "gate", "risk"] {
        let path = world.write("promotion_verdict.json", &good.sealed(world.key(by)).unwrap());
        world.refuses(Stage::Canary, &with_verdict(path), &["not trusted"]);
    }
    let path = world.judged(Stage::Shadow);
    world.trust.verdict_days_max = None;
    world.refuses(Stage::Canary, &with_verdict(path.clone()), &["stage.verdict_days_max: unset"]);
    world.trust.verdict_days_max = Some(7);
    world.promote(Stage::Canary, &with_verdict(path)).unwrap();
}

#[test]
fn a_verdict_that_contradicts_itself_is_none() {
    let mut world = World::at(Stage::Shadow);
    let good = world.verdict(Stage::Shadow, Ruling::Promote);
    let hold = world.verdict(Stage::Shadow, Ruling::Hold);
    let step = (Stage::Staged, Stage::Champion);
    type Edit<'e> = Box<dyn Fn(&mut PromotionVerdict) + 'e>;
    let cases: [(Edit<'_>, &str); 6] = [
        (Box::new(|v| v.criteria = hold.criteria.clone()), "promote is not of its criteria"),
        (Box::new(|v| v.criteria.clear()), "promote is not of its criteria"),
        (Box::new(|v| v.criteria[0].value = Some(1.0)), "e_value: its verdict is not"),
        (Box::new(|v| (v.from, v.to) = step), "no step that a verdict decides"),
        (Box::new(|v| v.kind = "gate_decision".to_owned()), "not a promotion_verdict"),
        (Box::new(|v| drop(v.evidence.pop_first())), "evidence_digest"),
    ];
    for (edit, told) in cases {
        let mut verdict = good.clone();
        edit(&mut verdict);
        let path = world.write("v.json", &verdict.sealed(world.key("engine")).unwrap());
        world.refuses(Stage::Canary, &with_verdict(path), &["v.json", told]);
    }
}

#[test]
fn a_champion_needs_two_people_with_two_keys_of_two_roles() {
    let mut world = World::at(Stage::Canary);
    let verdict = Some(world.judged(Stage::Canary));
    let with = |approvals: Vec<PathBuf>| PaperFiles {
        verdict: verdict.clone(),
        approvals,
        ..PaperFiles::default()
    };
    let [risk, mlops] = [0, 1].map(|at| world.approved()[at].clone());
    let cases: [(Vec<PathBuf>, &str); 8] = [
        (vec![], "no promotion_approval for risk"),
        (vec![risk.clone()], "no promotion_approval for mlops"),
        (vec![risk.clone(), risk.clone()], "a second approval for risk"),
        (vec![risk.clone(), world.approval(Role::Mlops, "bob", "mlops")], "it takes two"),
        (vec![risk.clone(), world.approval(Role::Mlops, "carol", "risk")], "stage.mlops_keys"),
        (vec![risk.clone(), world.approval(Role::Mlops, "carol", "gate")], "not trusted"),
        (vec![risk.clone(), world.approval(Role::Mlops, "an author", "mlops")], "registered the"),
        (vec![risk.clone(), verdict.clone().unwrap()], "not trusted"),
    ];
    for (approvals, told) in cases {
        world.refuses(Stage::Champion, &with(approvals), &[told]);
    }
    let both = vec![risk, mlops];
    let without = PaperFiles { approvals: both.clone(), ..PaperFiles::default() };
    world.refuses(Stage::Champion, &without, &["--verdict"]);
    let shadow = with_verdict(world.judged(Stage::Shadow));
    let old = PaperFiles { approvals: both.clone(), ..shadow };
    world.refuses(Stage::Champion, &old, &["from shadow to canary"]);
    world.judged(Stage::Canary);
    world.promote(Stage::Champion, &with(both)).unwrap();
}

#[test]
fn papers_of_before_another_champion_came_do_not_count() {
    let mut world = World::at(Stage::Canary);
    let verdict = Some(world.judged(Stage::Canary));
    let files = PaperFiles { verdict, approvals: world.approved(), ..PaperFiles::default() };
    let from = super::version(world.root.path(), "v3");
    world.registry.register(&from, None, change("trained")).unwrap();
    crown(&mut world.registry, "v3");
    world.refuses(
        Stage::Champion,
        &files,
        &["promotion_verdict.json: is against the champion v1", "approval-risk-bob-risk.json: is"],
    );
}

#[test]
fn stages_are_passed_in_order_and_the_model_is_proved_before() {
    let mut world = World::new();
    let verdict = with_verdict(world.judged(Stage::Shadow));
    world.refuses(Stage::Canary, &verdict, &["it is staged", "in order"]);
    world.refuses(Stage::Retired, &PaperFiles::default(), &["in order"]);
    let decision = decided(world.decision("v2", true, NOW, "gate"));
    let path = world.root.path().join("models/v2/model.onnx");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"other").unwrap();
    world.refuses(Stage::Shadow, &decision, &["v2/model.onnx"]);
    std::fs::write(&path, whole).unwrap();
    let (trust, schema) = (world.trust.clone(), Proving { schema_hash: Some(1), ..Proving::ANY });
    let papers = (&decision, &trust);
    let refused = world.registry.promote(("v2", Stage::Shadow), papers, schema, change("x"), true);
    assert!(refused.unwrap_err().to_string().contains("schema"));
    world.registry.quarantine("v2", change("x")).unwrap();
    world.refuses(Stage::Shadow, &decision, &["it is quarantined"]);
}

#[test]
fn the_first_champion_alone_needs_no_papers_and_the_history_says_so() {
    let (root, mut registry) = staged(&["v1", "v2"]);
    let (none, trust) = (PaperFiles::default(), Trust::default());
    let mut first = |version| {
        let to = (version, Stage::Champion);
        registry.promote(to, (&none, &trust), Proving::ANY, change("to begin with"), true)
    };
    assert!(first("v1").unwrap().first);
    let refused = first("v2").unwrap_err().to_string();
    assert!(refused.contains("v2") && refused.contains("in order"), "{refused}");
    let registry = again(&root);
    let told = &registry.history().last().unwrap().reason;
    assert!(told.contains("without a gate") && told.contains("to begin with"), "{told}");
}

#[test]
fn no_byte_of_a_verdict_or_an_approval_can_be_changed_unseen() {
    let world = World::at(Stage::Canary);
    let trusted: Vec<PublicKey> = world.keys.values().map(|(_, public)| *public).collect();
    let verdict = world.judged(Stage::Canary);
    let approval = world.approval(Role::Risk, "bob", "risk");
    let before = (
        PromotionVerdict::read(&verdict, &trusted).unwrap(),
        Approval::read(&approval, &trusted).unwrap(),
    );
    let path = world.root.path().join("changed.json");
    for (file, is_verdict) in [(&verdict, true), (&approval, false)] {
        let whole = std::fs::read(file).unwrap();
        // The line feed at the end is nobody's.
        for at in 0..whole.len() - 1 {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            let taken = if is_verdict {
                PromotionVerdict::read(&path, &trusted).is_ok_and(|read| read.said != before.0.said)
            } else {
                Approval::read(&path, &trusted).is_ok_and(|read| read.said != before.1.said)
            };
            assert!(!taken, "byte {at}: {}", String::from_utf8_lossy(&changed));
        }
    }
}
