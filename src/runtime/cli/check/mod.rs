//! `check`: everything that can be known before trading.
//!
//! | file | looks at |
//! |---|---|
//! | `places` | the state folder: owner, permissions, disk, kind of file system |
//! | `secrets` | which credentials are there; never what they are |
//! | `rights` | what the key may do, where the venue tells it |
//! | `reach` | the venue's addresses and its clock, where that is asked for |

mod places;
mod reach;
mod rights;
mod secrets;

use super::Failure;
use crate::base::Symbol;
use crate::base::settings::{Settings, Wait};
use crate::features::schema_hash;
use crate::model::{LoadPolicy, Model};
use crate::risk::stage::Artefacts;
use crate::runtime::assemble::Budget;
use crate::runtime::clock::wall_now;
use crate::runtime::config::{self, Loaded};
use crate::runtime::host::{self, Finding, Level, Wanted};
use crate::runtime::own::{self, OwnModels};
use crate::runtime::revert::{self, start};
use crate::runtime::stage;
use crate::runtime::state::StateFolder;
use crate::runtime::swap::ModelTerms;
use crate::runtime::topology::{Topology, cores_available, plan};
use anyhow::{Result, anyhow};
use clap::Args;
use std::fmt::Display;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Example: peregrine check --config config/paper.toml\n\nEach line is ok, warn or \
                  fail, with what was found and what to do. A warning costs something and holds \
                  nothing up; exit code 1 is for a line that says fail."
)]
pub struct CheckArguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Also connect to the venue's addresses, and compare its clock with ours.
    #[arg(long)]
    reach: bool,
    /// Where the host's /proc, /sys and /run lie.
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Checks and tells each result; exit code 2 for the configuration, 1 for anything else.
pub fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    let loaded = config::load(&arguments.config)?;
    let settings = &loaded.settings;
    let mut found = vec![Finding::ok("configuration", arguments.config.display().to_string())];
    let topology = plan(&settings.topology, &cores_available());
    let remedy = "name as many free cores as threads in topology.cores, or none";
    found.push(of("topology", topology.as_ref().map(Topology::to_string), remedy));
    found.push(of("state folder", state(&settings.session.state_dir), "see the error"));
    found.extend(places::examine(&arguments.root, &arguments.config, settings));
    let remedy = "peregrine model verify; restore the version, or choose another";
    found.push(of("model", model(settings), remedy));
    if !settings.model.own.is_empty() {
        let remedy = "peregrine model verify; restore the version, or take the symbol out of \
            model.own";
        found.push(of("own models", own_models(settings), remedy));
    }
    let remedy = "see the error; rollback.gates names the file, \"\" for nobody who judges";
    found.push(of("rollback", judged_by(&settings.rollback.gates), remedy));
    let remedy = "bring what is missing, or choose the stage that is lawful";
    found.push(of("stage", stage_of(&loaded), remedy));
    found.extend(secrets::examine(settings));
    found.extend(rights::examine(settings));
    found.extend(host::examine(&arguments.root, &wanted(topology.as_ref().ok())));
    if arguments.reach {
        found.extend(reach::examine(settings));
    }
    tell(&found, arguments.json)
}

/// What the host is held against.
fn wanted(topology: Option<&Topology>) -> Wanted {
    let threads = topology.map(|topology| &topology.threads[..]).unwrap_or_default();
    Wanted {
        cores: threads.iter().filter_map(|thread| thread.core).collect(),
        spins: threads.iter().all(|thread| thread.wait == Wait::Spin),
    }
}

/// A result as a finding: what cannot be had is a failure.
fn of<E: Display>(
    name: &'static str,
    result: Result<impl Into<String>, E>,
    remedy: &str,
) -> Finding {
    match result {
        Ok(what) => Finding::ok(name, what),
        Err(error) => Finding::fail(name, format!("{error:#}"), remedy),
    }
}

fn tell(found: &[Finding], json: bool) -> Result<(), Failure> {
    let count = |level| found.iter().filter(|found| found.level == level).count();
    let (ok, warn, fail) = (count(Level::Ok), count(Level::Warn), count(Level::Fail));
    if json {
        let all = serde_json::json!({"checks": found, "ok": ok, "warn": warn, "fail": fail});
        println!("{all}");
    } else {
        for Finding { name, level, what, remedy } in found {
            let arrow = if remedy.is_empty() { "" } else { " → " };
            println!("{:<5} {name}: {what}{arrow}{remedy}", level.name());
        }
    }
    match fail {
        0 => Ok(()),
        1 => Err(Failure::Failed(anyhow!("1 check failed"))),
        _ => Err(Failure::Failed(anyhow!("{fail} checks failed"))),
    }
}

/// The stage that would be lawful, with how much of its limits, and of what; or what is missing.
fn stage_of(loaded: &Loaded) -> Result<String> {
    let (judged, running) = stage::judged(loaded, wall_now().utc_day())?;
    let (name, percent) = (judged.lawful.name(), judged.limits_percent);
    if !judged.missing.is_empty() {
        let wanted = loaded.settings.risk.stage.name.name();
        let missing = judged.missing.join("; ");
        return Err(anyhow!("{wanted} is not lawful, {name} is: {missing}"));
    }
    let Artefacts { program, config, model } = running;
    Ok(format!(
        "{name} with {percent} % of the limits; program_sha256 {program}, config_sha256 {config}, \
         model_sha256 {model}"
    ))
}

fn state(dir: &str) -> Result<String> {
    let _ = StateFolder::open(Path::new(dir))?;
    Ok(dir.to_owned())
}

fn model(settings: &Settings) -> Result<String> {
    let files = start::files(settings)?;
    let model = Model::load(&files, schema_hash(), LoadPolicy::of(&settings.model))?;
    Ok(format!(
        "{} on {:?}, {} features, p99 {} ns",
        model.version(),
        model.executor(),
        model.feature_names().len(),
        model.p99_ns()
    ))
}

/// What symbols have of their own, loaded as a session loads it.
fn own_models(settings: &Settings) -> Result<String> {
    let symbols: Vec<Symbol> = settings.instruments.all().collect();
    let terms = ModelTerms {
        model: settings.model.clone(),
        bar_interval_ms: settings.features.bar_interval_ms,
        instruments: symbols.len(),
    };
    let own = own::files(settings)?;
    OwnModels::load(&own, &symbols, &terms, Budget::Configured)?;
    let told = own.iter().map(|(symbol, files)| format!("{symbol} {}", files.card.version));
    Ok(told.collect::<Vec<_>>().join(", "))
}

fn judged_by(gates: &str) -> Result<String> {
    Ok(match revert::rules(gates)? {
        Some(_) => format!("the champion is judged by {gates}"),
        None => "nobody judges the champion".to_owned(),
    })
}
