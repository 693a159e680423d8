//! `chain`: from files of history to a decision. Each step is the command of its own name, told
//! before it runs; what an earlier run finished and is still what it was is not done again.
//!
//! ```text
//!  import ─► freeze ─► verify ─► walk-forward ─► train ─► hold-out ─► stress ─► gate
//!                                     └─ depth ────┘      where some is
//! ```
//! The model is trained behind the validation, with the depth that was chosen there: a model of
//! another depth would be one that nothing was found out about.

mod plan;

use super::{Cli, Command, carry_out, gate, stress};
use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Parser};
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{hex, sha256};
use peregrine::registry::decision::Decision;
use peregrine::registry::seal::SigningKey;
use peregrine::venue::dataset::{DataSet, files_below, hash_of};
use peregrine_lab::data::import::is_known;
use peregrine_lab::forward::held_out::HOLD_OUT_FILE;
use peregrine_lab::forward::{Config, JSON_FILE, code_of};
use peregrine_lab::gate::thresholds::Thresholds;
use peregrine_lab::gate::{DECISION_FILE, DOCUMENT_FILE, decide};
use peregrine_lab::steps::{self, words};
use plan::Plan;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::iter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

pub const HELP: &str = "Example:\n  peregrine-lab chain --config config/chain.toml\n  \
    peregrine-lab chain --from downloads/2025-q1 --below second --key gate.key \
    --decided-at 2025-04-01T00:00:00Z\n\n\
    Exit code 0 is GO, 3 is NO-GO, 1 that a step failed.";

#[derive(Args)]
pub struct Chain {
    /// What to work on, and where.
    #[arg(long, value_name = "FILE", default_value = "config/chain.toml")]
    config: PathBuf,
    /// History instead of the file's sources: files and folders.
    #[arg(long, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// Folder for all that is written, instead of the working folder.
    #[arg(long, value_name = "DIR")]
    below: Option<PathBuf>,
    /// The private key that signs, instead of the file's.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// When it is decided, such as 2026-11-26T12:00:00Z; without it now. The same time, key and
    /// inputs give the same bytes.
    #[arg(long, value_name = "TIME", value_parser = gate::time)]
    decided_at: Option<u64>,
    /// Threads, instead of the file's; nothing depends on it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Goes through all steps.
///
/// # Errors
/// The first step that fails. What was finished is not done again the next time.
pub fn chain(arguments: &Chain) -> Result<ExitCode> {
    let mut plan = Plan::read(&arguments.config)?;
    if let Some(folder) = &arguments.below {
        plan.move_below(folder);
    }
    if !arguments.from.is_empty() {
        plan.sources.clone_from(&arguments.from);
    }
    plan.key = arguments.key.clone().unwrap_or(plan.key);
    plan.threads = arguments.threads.unwrap_or(plan.threads);
    let mut run = Run { plan, decided_at: arguments.decided_at, steps: Vec::new() };
    let (decision, code) = run.all()?;
    let failed: Vec<&str> = decision.failed().map(|criterion| criterion.name.as_str()).collect();
    let steps: Vec<Value> = run
        .steps
        .iter()
        .map(|(name, is_new, seconds)| json!({"step": name, "new": is_new, "seconds": seconds}))
        .collect();
    if arguments.json {
        let verdict = decision.verdict.name();
        println!("{}", json!({"verdict": verdict, "failed": failed, "steps": steps}));
        return Ok(code);
    }
    println!();
    for (name, is_new, seconds) in &run.steps {
        println!("{name:<14} {:<9} {seconds:>7.1} s", if *is_new { "done" } else { "was there" });
    }
    println!("{}: {} criteria do not hold", decision.verdict.name(), failed.len());
    Ok(code)
}

/// A chain on its way.
struct Run {
    plan: Plan,
    decided_at: Option<u64>,
    /// Steps with whether something was done, and the seconds they took.
    steps: Vec<(&'static str, bool, f64)>,
}

impl Run {
    fn all(&mut self) -> Result<(Decision, ExitCode)> {
        let plan = self.plan.clone();
        // A slip in a file is told before an hour of work, not behind it.
        let config = Config::load(&plan.forward)?;
        Thresholds::read(&plan.gates)?;
        self.step("import", same_sources, imported)?;
        self.step("freeze", |plan| Ok(DataSet::is_one(&plan.data)), frozen)?;
        let verified = |plan: &Plan| done(words("verify", &[], &[text(&plan.data)]));
        self.step("verify", |_| Ok(false), verified)?;
        let set = DataSet::open(&plan.data)?;
        let validate = |plan: &Plan| {
            done(steps::walk_forward([&plan.data, &plan.reports, &plan.forward], plan.threads))
        };
        self.step("walk-forward", |plan| validated(plan, &set, &config), validate)?;
        let judged = Judged::read(&plan)?;
        let train = |plan: &Plan| {
            let files: [&Path; 3] = [&plan.data, &plan.model, &plan.forward];
            done(steps::train(files, None, (judged.depth, plan.threads)))
        };
        self.step("train", |plan| Ok(trained(plan, &set, &judged)), train)?;
        if set.manifest().hold_out_from_ms.is_some() {
            self.step("hold-out", |plan| held_out(plan, &set, &config), read_hold_out)?;
        }
        self.step("stress", |_| Ok(false), stressed)?;
        self.gate()
    }

    fn step(
        &mut self,
        name: &'static str,
        is_there: impl FnOnce(&Plan) -> Result<bool>,
        work: impl FnOnce(&Plan) -> Result<()>,
    ) -> Result<()> {
        let since = Instant::now();
        let is_there = is_there(&self.plan).context(name)?;
        if !is_there {
            work(&self.plan).context(name)?;
        }
        self.steps.push((name, !is_there, since.elapsed().as_secs_f64()));
        Ok(())
    }

    fn gate(&mut self) -> Result<(Decision, ExitCode)> {
        let since = Instant::now();
        let plan = &self.plan;
        if !plan.key.exists() {
            if let Some(folder) = plan.key.parent() {
                fs::create_dir_all(folder)?;
            }
            done(words("gate", &[], &["keygen".into(), "--out".into(), text(&plan.key)]))?;
        }
        let was = decided(plan, self.decided_at)?;
        let is_new = was.is_none();
        let files: [&Path; 5] = [&plan.model, &plan.reports, &plan.gates, &plan.key, &plan.reports];
        let mut code = None;
        if is_new {
            let at = self.decided_at.map(i64::try_from).transpose()?;
            code = Some(carry_out(parsed(steps::gate(files, at)?)?)?);
        }
        let decision = match was {
            Some(decision) => decision,
            None => decided(plan, self.decided_at)?.context("gate: there is no decision")?,
        };
        self.steps.push(("gate", is_new, since.elapsed().as_secs_f64()));
        let code = code.unwrap_or_else(|| gate::code(&decision));
        Ok((decision, code))
    }
}

fn text(path: &Path) -> OsString {
    path.into()
}

/// The command that these words are, told as they would be typed.
fn parsed(words: Vec<OsString>) -> Result<Command> {
    let words: Vec<OsString> = iter::once("peregrine-lab".into()).chain(words).collect();
    let told: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    println!("\n$ {}", told.join(" "));
    Ok(Cli::try_parse_from(words)?.command)
}

fn done(words: Vec<OsString>) -> Result<()> {
    carry_out(parsed(words)?).map(|_| ())
}

fn imported(plan: &Plan) -> Result<()> {
    let sources: Vec<OsString> = plan.sources.iter().map(OsString::from).collect();
    done(words("import", &[("--out", &plan.data)], &sources))
}

fn frozen(plan: &Plan) -> Result<()> {
    let mut more = vec![text(&plan.data), "--name".into(), OsString::from(&plan.name)];
    if let Some(time) = &plan.hold_out {
        more.extend(["--hold-out".into(), OsString::from(time)]);
    }
    done(words("freeze", &[], &more))
}

fn read_hold_out(plan: &Plan) -> Result<()> {
    let files: [(&str, &Path); 4] = [
        ("--data", &plan.data),
        ("--model", &plan.model),
        ("--out", &plan.reports),
        ("--config", &plan.forward),
    ];
    done(words("hold-out", &files, &[]))
}

/// Whether what is held out was read for this model by this configuration and program.
fn held_out(plan: &Plan, set: &DataSet, config: &Config) -> Result<bool> {
    let Ok(told) = report(&plan.reports.join(HOLD_OUT_FILE)) else { return Ok(false) };
    let model = ArtifactFiles::read(&plan.model)?.sha256;
    Ok(told["data_manifest_sha256"] == hex(&set.hash()).as_str()
        && told["model_sha256"] == hex(&model).as_str()
        && told["config_sha256"] == config.hash().as_str()
        && told["code"] == code_of().as_str())
}

/// Stress: outcomes that are there are taken as they are by the command itself. A scenario that
/// failed is what was found out, and the gate's to judge.
fn stressed(plan: &Plan) -> Result<()> {
    let files: [&Path; 5] =
        [&plan.model, &plan.trader, &plan.scenarios, &plan.gates, &plan.reports];
    match parsed(steps::stress(files, plan.threads))? {
        Command::Stress(arguments) => stress::test(&arguments).map(|_| ()),
        _ => bail!("it is not the command stress"),
    }
}

/// Whether the data set is frozen and of exactly the sources' bytes.
fn same_sources(plan: &Plan) -> Result<bool> {
    if !DataSet::is_one(&plan.data) {
        return Ok(false);
    }
    let set = DataSet::open(&plan.data)?;
    let entry = |entry: &peregrine::venue::dataset::FileEntry| entry.source_sha256.clone();
    let frozen: BTreeSet<String> = set.manifest().files.iter().map(entry).collect();
    let mut found = BTreeSet::new();
    for source in &plan.sources {
        let files = if source.is_dir() { files_below(source)? } else { vec![source.clone()] };
        for path in files {
            if is_known(&path)? {
                let hash = File::open(&path).and_then(|mut file| hash_of(&mut file));
                found.insert(hash.with_context(|| path.display().to_string())?.0);
            }
        }
    }
    let border = plan.hold_out.as_deref().map(str::parse::<jiff::Timestamp>).transpose()?;
    ensure!(
        border.map(jiff::Timestamp::as_millisecond) == set.manifest().hold_out_from_ms,
        "{}: it is frozen with another hold-out; name another folder",
        plan.data.display()
    );
    let differing = frozen.symmetric_difference(&found).count();
    ensure!(
        differing == 0 && set.manifest().name == plan.name,
        "{}: it is frozen as {:?}, and {differing} files are not both in it and in the sources; \
         name another folder",
        plan.data.display(),
        set.manifest().name
    );
    Ok(true)
}

/// What a validation judged.
struct Judged {
    depth: u64,
    training_sha256: String,
}

impl Judged {
    fn read(plan: &Plan) -> Result<Self> {
        let path = plan.reports.join(JSON_FILE);
        let told = report(&path).with_context(|| path.display().to_string())?;
        let depth = told["chosen"]["depth"].as_u64();
        let training = told["training_sha256"].as_str();
        let found = depth
            .zip(training)
            .map(|(depth, training)| Self { depth, training_sha256: training.to_owned() });
        found.with_context(|| format!("{}: it does not tell what it judged", path.display()))
    }
}

fn report(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Whether the validation is there, of these data, this configuration and this program, and all its
/// files are what it says.
fn validated(plan: &Plan, set: &DataSet, config: &Config) -> Result<bool> {
    let Ok(told) = report(&plan.reports.join(JSON_FILE)) else { return Ok(false) };
    let is_of = told["data_manifest_sha256"] == hex(&set.hash()).as_str()
        && told["config_sha256"] == config.hash().as_str()
        && told["code"] == code_of().as_str();
    let files = told["files"].as_object();
    let is_whole = files.is_some_and(|files| {
        files.iter().all(|(name, told)| {
            let found = fs::read(plan.reports.join(name)).map(|bytes| hex(&sha256(&bytes)));
            found.is_ok_and(|found| *told == found.as_str())
        })
    });
    Ok(is_of && is_whole)
}

/// Whether the model is there, whole, and the one that was judged.
fn trained(plan: &Plan, set: &DataSet, judged: &Judged) -> bool {
    let Ok(files) = ArtifactFiles::read(&plan.model) else { return false };
    let made_from = &files.card.created_from;
    made_from.data_hash == hex(&set.hash())
        && made_from.training_sha256.as_deref() == Some(&judged.training_sha256)
        && code_of().starts_with(&made_from.code)
}

/// The decision that is there, where it is signed by the key and would come out the same again.
fn decided(plan: &Plan, at: Option<u64>) -> Result<Option<Decision>> {
    let (thresholds, key) = (Thresholds::read(&plan.gates)?, SigningKey::read(&plan.key)?);
    let Ok((there, _)) = Decision::read(&plan.reports.join(DECISION_FILE), &[key.public()]) else {
        return Ok(None);
    };
    let again = decide(&plan.model, &plan.reports, &thresholds, there.decided_at_ms)?;
    let is_same = again == there
        && at.is_none_or(|at| at == there.decided_at_ms)
        && plan.reports.join(DOCUMENT_FILE).exists();
    Ok(is_same.then_some(there))
}
