//! Stages are passed with papers, each signed by somebody who may.
//!
//! | to | needs |
//! |---|---|
//! | shadow | a GO of the gate on exactly this version |
//! | canary | a verdict `promote` of the promotion engine, against the champion there is |
//! | champion | another, of the canary, and an approval of each role, by different people |
//!
//! The very first champion needs none; the history says so. A verdict that holds promotes nothing.

use super::decision::{Decision, DecisionError};
use super::record::{Document, Paper, Stage};
use super::seal::PublicKey;
use super::verdict::{APPROVAL_KIND, Approval, Contender, PromotionVerdict, Role, Wanted};
use super::{Action, Change, Proving, Registry, RegistryError, advance};
use crate::model::artifact::CARD_FILE;
use std::path::{Path, PathBuf};

/// Who is believed, and for how long; from `[stage]` of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// `stage.trusted_keys`: who may sign gate decisions.
    pub gate: Vec<PublicKey>,
    /// `stage.verdict_keys`: who may sign verdicts.
    pub verdicts: Vec<PublicKey>,
    /// `stage.risk_keys`: who may approve for risk.
    pub risk: Vec<PublicKey>,
    /// `stage.mlops_keys`: who may approve for mlops.
    pub mlops: Vec<PublicKey>,
    /// `stage.decision_days_max`; without it no decision counts.
    pub decision_days_max: Option<u32>,
    /// `stage.verdict_days_max`, of verdicts and approvals; without it none counts.
    pub verdict_days_max: Option<u32>,
}

/// The papers' files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaperFiles {
    /// A gate decision.
    pub decision: Option<PathBuf>,
    /// A promotion verdict.
    pub verdict: Option<PathBuf>,
    /// Approvals.
    pub approvals: Vec<PathBuf>,
}

/// A promotion that was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// The stage before.
    pub from: Stage,
    /// The champion that is retired by it.
    pub replaces: Option<String>,
    /// What it rests on.
    pub papers: Vec<Paper>,
    /// The one without papers.
    pub first: bool,
}

impl Registry {
    /// Moves a version on, where its papers allow it; without `execute` only tells what would
    /// happen. Its files are verified and its model is proved first.
    ///
    /// # Errors
    /// Everything that is in the way, each naming its file and rule; nothing is changed then.
    pub fn promote(
        &mut self,
        (version, to): (&str, Stage),
        (files, trust): (&PaperFiles, &Trust),
        proving: Proving,
        change: Change,
        execute: bool,
    ) -> Result<Promotion, RegistryError> {
        change.check()?;
        let mut desk = Desk::at(&self.document, (version, to), trust, change.day())?;
        desk.examine(files);
        if desk.objections.is_empty()
            && let Err(error) = self.prove(version, proving)
        {
            desk.objections.push(error.to_string());
        }
        let Desk { from, champion, papers, objections, first, .. } = desk;
        if !objections.is_empty() {
            let version = version.to_owned();
            return Err(RegistryError::Refused { version, to: to.name(), objections });
        }
        let replaces = champion.map(|c| c.version).filter(|_| to == Stage::Champion);
        let promotion = Promotion { from, replaces, papers: papers.clone(), first };
        if !execute {
            return Ok(promotion);
        }
        let (before, evidence) = (self.champion_version().map(str::to_owned), papers.first());
        let change =
            Change { evidence_sha256: evidence.map(|paper| paper.sha256.clone()), ..change };
        self.change(|_, document| {
            // Verdicts and approvals were held against this one.
            if document.champion != before {
                return Err(RegistryError::Changed);
            }
            advance(document, version, to, (change, papers))
        })?;
        Ok(promotion)
    }
}

/// One version's papers on the table.
struct Desk<'a> {
    to: Stage,
    from: Stage,
    challenger: Contender,
    champion: Option<Contender>,
    /// Who registered it: not one who may approve it.
    author: String,
    trust: &'a Trust,
    today: i64,
    first: bool,
    papers: Vec<Paper>,
    objections: Vec<String>,
}

impl<'a> Desk<'a> {
    fn at(
        document: &Document,
        (version, to): (&str, Stage),
        trust: &'a Trust,
        today: i64,
    ) -> Result<Self, RegistryError> {
        let unknown = || RegistryError::UnknownVersion { version: version.to_owned() };
        let record = document.models.get(version).ok_or_else(unknown)?;
        let standing = document.standing()?;
        let from = record.stage;
        let first = to == Stage::Champion && from == Stage::Staged && standing.crowned.is_empty();
        let mut objections = Vec::new();
        let onward = matches!(to, Stage::Shadow | Stage::Canary | Stage::Champion);
        let in_order = onward && from.may_become(to);
        if !first && !in_order {
            objections.push(format!("it is {}, and stages are passed in order", from.name()));
        }
        objections.extend(standing.forbids(version).map(str::to_owned));
        let champion = document.champion.as_ref();
        let champion = champion.and_then(|name| Some((name, document.models.get(name)?)));
        let registered =
            |entry: &&super::Entry| entry.action == Action::Registered && entry.version == version;
        let author = document.history.iter().find(registered).map(|entry| entry.by.clone());
        Ok(Self {
            to,
            from,
            challenger: Contender::of(version, record),
            champion: champion.map(|(name, record)| Contender::of(name, record)),
            author: author.unwrap_or_default(),
            trust,
            today,
            first,
            papers: Vec::new(),
            objections,
        })
    }

    /// Looks at every paper there is, and for those that must be there. The papers that the stage
    /// rests on come first.
    fn examine(&mut self, files: &PaperFiles) {
        let PaperFiles { decision, verdict, approvals } = files;
        let needs_verdict = matches!(self.to, Stage::Canary | Stage::Champion) && !self.first;
        match verdict {
            Some(path) => self.verdict(path),
            None if needs_verdict => {
                let to = self.to.name();
                self.objections.push(format!("--verdict: {to} needs a promotion verdict"));
            }
            None => {}
        }
        match decision {
            Some(path) => self.decision(path),
            None if self.to == Stage::Shadow => {
                self.objections.push("--decision: shadow needs a GO gate decision".to_owned());
            }
            None => {}
        }
        self.approvals(approvals);
    }

    fn decision(&mut self, path: &Path) {
        let Trust { gate, decision_days_max, .. } = self.trust;
        let Some(days_max) = *decision_days_max else {
            return self.objections.push("stage.decision_days_max: unset".to_owned());
        };
        if gate.is_empty() {
            return self.nobody("trusted_keys");
        }
        let Some(paper) = self.read(Decision::read_paper(path, gate)) else { return };
        let model = &paper.said.model;
        let Contender { version, sha256, card_sha256 } = &self.challenger;
        let mut found = paper.said.objections(sha256, self.today, days_max);
        for (file, decided, own) in
            [("version", &model.version, version), (CARD_FILE, &model.card_sha256, card_sha256)]
        {
            if decided != own {
                found.push(format!("is on another {file}: {decided}, registered is {own}"));
            }
        }
        self.take(path, "gate_decision", (paper.sha256, paper.key), found);
    }

    fn verdict(&mut self, path: &Path) {
        let Some(wanted) = self.wanted() else { return };
        if self.trust.verdicts.is_empty() {
            return self.nobody("verdict_keys");
        }
        let read = PromotionVerdict::read(path, &self.trust.verdicts);
        let Some(paper) = self.read(read) else { return };
        let found = paper.said.objections(self.to, &wanted);
        self.take(path, "promotion_verdict", (paper.sha256, paper.key), found);
    }

    /// Two people of two roles with two keys, and none of them who registered the version.
    fn approvals(&mut self, paths: &[PathBuf]) {
        if paths.is_empty() && (self.to != Stage::Champion || self.first) {
            return;
        }
        let Some(wanted) = self.wanted() else { return };
        let mut given: Vec<(Role, String, PublicKey)> = Vec::new();
        for path in paths {
            let all = [&self.trust.risk[..], &self.trust.mlops].concat();
            let Some(paper) = self.read(Approval::read(path, &all)) else { continue };
            let Approval { role, ref by, .. } = paper.said;
            let mut found = paper.said.objections(&wanted);
            if !self.keys(role).contains(&paper.key) {
                let (key, role) = (paper.key.fingerprint(), role.name());
                found.push(format!("stage.{role}_keys: does not name the key {key}"));
            }
            if *by == self.author {
                found.push(format!("{by} registered the version and does not approve it"));
            }
            for (other, person, key) in &given {
                if *other == role {
                    found.push(format!("is a second approval for {}", role.name()));
                } else if person == by || *key == paper.key {
                    found.push(format!("{by} approved for {} too; it takes two", other.name()));
                }
            }
            given.push((role, by.clone(), paper.key));
            let kind = format!("approval_{}", role.name());
            self.take(path, &kind, (paper.sha256, paper.key), found);
        }
        for role in Role::ALL {
            if self.to == Stage::Champion && given.iter().all(|(given, ..)| *given != role) {
                let role = role.name();
                self.objections.push(format!("--approval: no {APPROVAL_KIND} for {role}"));
            }
        }
    }

    fn keys(&self, role: Role) -> &'a [PublicKey] {
        match role {
            Role::Risk => &self.trust.risk,
            Role::Mlops => &self.trust.mlops,
        }
    }

    /// What verdicts and approvals are held against.
    fn wanted(&mut self) -> Option<Wanted> {
        let Some(days_max) = self.trust.verdict_days_max else {
            let told = "stage.verdict_days_max: unset";
            if self.objections.iter().all(|objection| objection != told) {
                self.objections.push(told.to_owned());
            }
            return None;
        };
        let (challenger, champion) = (self.challenger.clone(), self.champion.clone());
        Some(Wanted { challenger, champion, today: self.today, days_max })
    }

    fn nobody(&mut self, key: &str) {
        self.objections.push(format!("stage.{key}: nobody is trusted to sign"));
    }

    fn read<T>(&mut self, read: Result<T, DecisionError>) -> Option<T> {
        read.map_err(|error| self.objections.push(error.to_string())).ok()
    }

    fn take(
        &mut self,
        path: &Path,
        kind: &str,
        (sha256, key): (String, PublicKey),
        found: Vec<String>,
    ) {
        let named = |what: String| format!("{}: {what}", path.display());
        self.objections.extend(found.into_iter().map(named));
        self.papers.push(Paper { kind: kind.to_owned(), sha256, key: Some(key.hex()) });
    }
}
