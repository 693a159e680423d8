//! One night, step by step; each is passed over where it was done and what it wrote is as it was.
//!
//! ```text
//!  days ─► freeze ─► check ─► walk-forward ─► cold ─► warm ─► compete ─► stress, gate ─► registry
//!                      └─ refused                                └─ none    where a key is named
//! ```

use super::check::{independent, window};
use super::child::{Ended, Worker};
use super::compete::{Choice, Entrant, compete};
use super::days::Night;
use super::enter::{challenge, register};
use super::report::{JSON_FILE, REPORT_FILE, Told};
use super::settings::Settings;
use super::store::{Outcome, Steps, tell_begin};
use crate::data::{freeze::freeze, import::import};
use crate::files::{write_json, write_whole};
use crate::forward::{Config, training_hash};
use crate::gate::{DECISION_FILE, DOCUMENT_FILE};
use crate::history::rows;
use crate::steps::{EXIT_NO_GO, gate, stress, train, walk_forward};
use anyhow::{Context, Result, bail, ensure};
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::hex;
use peregrine::registry::decision::Decision;
use peregrine::registry::seal::SigningKey;
use peregrine::venue::dataset::DataSet;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Folder of a night's frozen data set.
pub const DATA: &str = "data";
const REPORTS: &str = "reports";
const FORWARD: &str = "forward.toml";
const CHECK_FILE: &str = "check.json";
const CHOICE_FILE: &str = "choice.json";
/// What a validation leaves in the folder of reports.
const VALIDATED: [&str; 7] = [
    "reports/walk_forward.json",
    "reports/wfv_report.md",
    "reports/equity.svg",
    "reports/drawdown.svg",
    "reports/importance.svg",
    "reports/calibration.svg",
    "reports/folds",
];
const STRESSED: [&str; 2] = ["reports/stress.json", "reports/stress_test_results.md"];

/// A night at work.
pub struct Work<'w> {
    /// The settings.
    pub settings: &'w Settings,
    /// Rows, labels, costs, folds, trees; without the trials of nights before.
    pub config: &'w Config,
    /// Who runs steps.
    pub worker: &'w Worker,
    /// Which night.
    pub night: Night,
    /// Folders of its days.
    pub sources: Vec<PathBuf>,
    /// Its steps.
    pub steps: Steps,
}

/// What a night came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// How it ended.
    pub outcome: Outcome,
    /// Why.
    pub reason: String,
    /// The version it registered.
    pub version: Option<String>,
    /// Models and thresholds that it compared.
    pub trials: u64,
}

impl Ending {
    /// Without a version.
    pub const fn without(outcome: Outcome, reason: String, trials: u64) -> Self {
        Self { outcome, reason, version: None, trials }
    }
}

/// What came out on the way, as far as it went.
#[derive(Default)]
struct Found {
    data_hash: Option<String>,
    no_warm: Option<String>,
    choice: Option<Choice>,
    gate: Option<Value>,
    trials: u64,
}

impl Work<'_> {
    /// Goes through the night and writes its report.
    ///
    /// # Errors
    /// Only where the report cannot be written, or everything shall end: what fails on the way is
    /// how the night ended.
    pub fn go(mut self, against: &[String]) -> Result<Ending> {
        let mut found = Found::default();
        let ending = if against.is_empty() {
            self.through(&mut found)
        } else {
            Ok(Ending::without(Outcome::Refused, against.join("; "), 0))
        };
        let ending = match ending {
            Ok(ending) => ending,
            Err(error) if self.worker.is_stopped() => return Err(error),
            Err(error) => Ending::without(Outcome::Failed, format!("{error:#}"), found.trials),
        };
        let told = Told {
            name: self.night.name(),
            facts: self.steps.facts(),
            ending: &ending,
            data_hash: found.data_hash,
            no_warm: found.no_warm,
            choice: found.choice.as_ref(),
            gate: found.gate,
            files: self.steps.files(),
        };
        tell_begin(self.steps.dir(), "report");
        write_whole(&self.steps.dir().join(REPORT_FILE), told.page().as_bytes())?;
        write_json(&self.steps.dir().join(JSON_FILE), &told.json())?;
        Ok(ending)
    }

    fn through(&mut self, found: &mut Found) -> Result<Ending> {
        let config = Config {
            trials_before: self.config.trials_before + self.steps.facts().trials_before,
            ..self.config.clone()
        };
        let set = self.frozen()?;
        found.data_hash = Some(hex(&set.hash()));
        if let Some(why) = self.checked(&set)? {
            return Ok(Ending::without(Outcome::Refused, why, 0));
        }
        let judged = self.validated(&config)?;
        found.trials = config.trials().len() as u64;
        self.train("cold", judged.depth, None)?;
        found.no_warm = self.warm(judged.depth)?;
        found.trials += u64::from(found.no_warm.is_none());
        let choice = self.compared(&set, &config, (judged.enter_edge, found.no_warm.is_none()))?;
        found.choice = Some(choice.clone());
        let Some(chosen) = &choice.chosen else {
            return Ok(Ending::without(Outcome::None, choice.reason, found.trials));
        };
        let model = self.model(chosen);
        if !self.settings.gate.key.as_os_str().is_empty() {
            found.gate = Some(self.decided(&model)?);
        }
        let training = training_hash(&config, judged.depth);
        let (outcome, version, reason) = self.entered(&choice, &model, training)?;
        Ok(Ending { outcome, reason, version: Some(version), trials: found.trials })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.steps.dir().join(name)
    }

    /// Folder of the night's version of a kind.
    fn model(&self, kind: &str) -> PathBuf {
        self.path(kind).join(self.night.version(&self.settings.name, kind))
    }

    fn frozen(&mut self) -> Result<DataSet> {
        let (sources, name) = (&self.sources, self.night.name());
        self.steps.step("freeze", (&[DATA], true), |steps| {
            let dir = steps.dir().join(DATA);
            let done = import(sources, &dir, &mut |_, _, _| {})?;
            ensure!(done.skipped.is_empty(), "left out: {}", done.skipped.join("; "));
            freeze(&dir, &name)?;
            Ok(None)
        })?;
        Ok(DataSet::open(&self.path(DATA))?)
    }

    /// What stands against the window.
    fn checked(&mut self, set: &DataSet) -> Result<Option<String>> {
        let (config, check, day) = (self.config, &self.settings.check, self.night.day);
        self.steps.step("check", (&[CHECK_FILE], true), |steps| {
            let found = rows(set, &config.wanted(), &config.label_of(), &mut |_| {});
            let (told, against) = match found {
                Ok(rows) => {
                    let told = json!({
                        "rows": rows.len(), "left_out": rows.left_out,
                        "independent_labels": independent(&rows), "features": rows.names,
                    });
                    (told, window(&rows, day, check))
                }
                Err(error) => (Value::Null, vec![format!("check.labels_min: {error:#}")]),
            };
            let told = json!({"rows": told, "against": against});
            write_json(&steps.dir().join(CHECK_FILE), &told)?;
            Ok((!against.is_empty()).then(|| against.join("; ")))
        })
    }

    fn validated(&mut self, config: &Config) -> Result<Judged> {
        self.steps.step("forward", (&[FORWARD], true), |steps| {
            let text = toml::to_string(config)?;
            write_whole(&steps.dir().join(FORWARD), text.as_bytes())?;
            Ok(None)
        })?;
        let (worker, threads, log) = (self.worker, self.settings.threads, self.log("walk-forward"));
        self.steps.step("walk-forward", (&VALIDATED, false), |steps| {
            let [data, out, config] = [DATA, REPORTS, FORWARD].map(|name| steps.dir().join(name));
            done(worker.run(&log, &walk_forward([&data, &out, &config], threads))?)?;
            Ok(None)
        })?;
        Judged::read(&self.path(REPORTS))
    }

    /// Trains the model of a kind, going on from `warm`.
    fn train(&mut self, kind: &str, depth: usize, warm: Option<&Path>) -> Result<Option<String>> {
        let (worker, threads, log) = (self.worker, self.settings.threads, self.log(kind));
        let out = self.model(kind);
        self.steps.step(kind, (&[kind], true), |steps| {
            let [data, config] = [DATA, FORWARD].map(|name| steps.dir().join(name));
            let words = train([&data, &out, &config], warm, (depth as u64, threads));
            let ended = worker.run(&log, &words)?;
            if warm.is_some() && ended.code != 0 {
                let _ = fs::remove_dir_all(steps.dir().join(kind));
                return Ok(Some(ended.said));
            }
            done(ended)?;
            Ok(None)
        })
    }

    /// The model that goes on from the champion; why there is none.
    fn warm(&mut self, depth: usize) -> Result<Option<String>> {
        match self.steps.facts().champion.clone() {
            None => Ok(Some("there is no champion to go on from".to_owned())),
            Some((champion, sha256)) => {
                let dir = self.champion(&champion, &sha256)?;
                self.train("warm", depth, Some(&dir))
            }
        }
    }

    /// The champion's folder, where its files are still those the night began with.
    fn champion(&self, version: &str, sha256: &str) -> Result<PathBuf> {
        let dir = self.settings.registry.join(version);
        let found = hex(&ArtifactFiles::read(&dir)?.sha256);
        ensure!(found == sha256, "{}: is not the champion that was registered", dir.display());
        Ok(dir)
    }

    fn compared(
        &mut self,
        set: &DataSet,
        config: &Config,
        (enter_edge, is_warm): (f64, bool),
    ) -> Result<Choice> {
        let champion = self.steps.facts().champion.clone();
        let champion = champion.map(|(name, sha256)| self.champion(&name, &sha256)).transpose()?;
        let (cold, warm) = (self.model("cold"), self.model("warm"));
        let least = self.settings.improvement_min;
        self.steps.step("compete", (&[CHOICE_FILE], true), |steps| {
            let mut entrants = Vec::new();
            entrants.extend(champion.as_deref().map(|dir| Entrant { name: "champion", dir }));
            entrants.push(Entrant { name: "cold", dir: &cold });
            entrants.extend(is_warm.then_some(Entrant { name: "warm", dir: &warm }));
            let choice = compete(set, (config, enter_edge), &entrants, least)?;
            write_json(&steps.dir().join(CHOICE_FILE), &choice)?;
            Ok(None)
        })?;
        let path = self.path(CHOICE_FILE);
        serde_json::from_slice(&fs::read(&path)?).with_context(|| path.display().to_string())
    }

    /// Puts the model under stress and lets the gate decide.
    fn decided(&mut self, model: &Path) -> Result<Value> {
        let (worker, settings) = (self.worker, self.settings);
        let log = self.log("stress");
        let reports = self.path(REPORTS);
        let named = &settings.gate;
        self.steps.step("stress", (&STRESSED, true), |_| {
            let files = [model, &named.trader, &named.scenarios, &named.gates, &reports];
            let ended = worker.run(&log, &stress(files, settings.threads))?;
            // A scenario that failed is what was found out, and the gate's to judge.
            if !reports.join("stress.json").exists() {
                done(ended)?;
                bail!("it left no stress.json");
            }
            Ok(None)
        })?;
        let log = self.log("gate");
        let files = [model, &reports, &named.gates, &named.key, &reports];
        let words = gate(files, Some(self.steps.facts().at_ms))?;
        let outputs = [DECISION_FILE, DOCUMENT_FILE].map(|name| format!("{REPORTS}/{name}"));
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        self.steps.step("gate", (&outputs, true), |_| {
            let ended = worker.run(&log, &words)?;
            if ended.code != i32::from(EXIT_NO_GO) {
                done(ended)?;
            }
            Ok(None)
        })?;
        let key = SigningKey::read(&settings.gate.key)?.public();
        let (decision, _) = Decision::read(&reports.join(DECISION_FILE), &[key])?;
        let failed: Vec<&str> = decision.failed().map(|rule| rule.name.as_str()).collect();
        let (verdict, digest) = (decision.verdict.name(), &decision.evidence_digest);
        Ok(json!({"verdict": verdict, "failed": failed, "digest": digest}))
    }

    /// Registers the model; with a GO it becomes a challenger.
    fn entered(
        &self,
        choice: &Choice,
        model: &Path,
        training: String,
    ) -> Result<(Outcome, String, String)> {
        let facts = self.steps.facts();
        let is_warm = choice.chosen.as_deref() == Some("warm");
        let parent = facts.champion.as_ref().map(|(name, _)| name.as_str()).filter(|_| is_warm);
        let reason = format!("night of {}: {}", self.night.name(), choice.reason);
        let at = (facts.at_ms, reason.as_str());
        tell_begin(self.steps.dir(), "registry");
        let version = register(&self.settings.registry, model, (parent, Some(training)), at)?;
        let decision = self.path(REPORTS).join(DECISION_FILE);
        if !decision.exists() {
            let why = format!("{}; nobody decided on it yet", choice.reason);
            return Ok((Outcome::Staged, version, why));
        }
        match challenge(self.settings, &version, (&decision, at.0, at.1))? {
            Ok(()) => Ok((Outcome::Challenger, version, choice.reason.clone())),
            Err(why) => Ok((Outcome::Staged, version, format!("{}; {why}", choice.reason))),
        }
    }

    fn log(&self, step: &str) -> String {
        format!("{}-{step}", self.night.name())
    }
}

/// What the validation chose.
struct Judged {
    depth: usize,
    enter_edge: f64,
}

impl Judged {
    fn read(reports: &Path) -> Result<Self> {
        let path = reports.join(crate::forward::JSON_FILE);
        let at = || path.display().to_string();
        let told: Value = serde_json::from_slice(&fs::read(&path)?).with_context(at)?;
        let depth = told["chosen"]["depth"].as_u64().with_context(at)?;
        let enter_edge = told["chosen"]["enter_edge"].as_f64().with_context(at)?;
        Ok(Self { depth: usize::try_from(depth)?, enter_edge })
    }
}

fn done(ended: Ended) -> Result<()> {
    ensure!(ended.code == 0, "exit code {}: {}", ended.code, ended.said);
    Ok(())
}
