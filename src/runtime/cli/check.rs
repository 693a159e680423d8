//! `check`: everything that can be known before trading.

use super::Failure;
use crate::base::settings::OrderRoute;
use crate::features::schema_hash;
use crate::model::{LoadPolicy, Model};
use crate::registry::Registry;
use crate::risk::stage::Artefacts;
use crate::runtime::access;
use crate::runtime::clock::wall_now;
use crate::runtime::config::{self, Loaded};
use crate::runtime::stage;
use crate::runtime::state::StateFolder;
use crate::runtime::topology::{cores_available, plan};
use anyhow::{Context, Result, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "Example: peregrine check --config config/paper.toml")]
pub struct CheckArguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Checks and tells each result; exit code 2 for the configuration, 1 for anything else.
pub fn check(arguments: &CheckArguments) -> Result<(), Failure> {
    let loaded = config::load(&arguments.config)?;
    let settings = loaded.settings.clone();
    let mut found: Vec<(&str, Result<String>)> = Vec::new();
    found.push(("configuration", Ok(arguments.config.display().to_string())));
    let topology = plan(&settings.topology, &cores_available());
    found.push(("topology", topology.map(|t| t.to_string()).map_err(Into::into)));
    found.push(("state folder", state(&settings.session.state_dir)));
    let policy = LoadPolicy {
        allow_tract: settings.model.allow_tract,
        p99_budget_ns: u64::from(settings.model.budget_us) * 1_000,
    };
    found.push(("model", model(&settings.model.dir, &settings.model.version, policy)));
    found.push(("stage", stage_of(&loaded)));
    // The demo's exchange gives its own credentials with its addresses.
    if settings.venue.orders == OrderRoute::Venue && !settings.venue.rest_url.is_empty() {
        let credentials = access::credentials_from_environment().and_then(|found| {
            found.map(|_| "present".to_owned()).with_context(|| {
                format!("{} and {} are not set", access::API_KEY, access::API_SECRET)
            })
        });
        found.push(("credentials", credentials));
    }
    let failed = found.iter().filter(|(_, result)| result.is_err()).count();
    if arguments.json {
        let object: serde_json::Map<String, serde_json::Value> = found
            .iter()
            .map(|(name, result)| {
                let text = match result {
                    Ok(text) => format!("ok: {text}"),
                    Err(error) => format!("failed: {error:#}"),
                };
                ((*name).to_owned(), text.into())
            })
            .collect();
        println!("{}", serde_json::Value::Object(object));
    } else {
        for (name, result) in &found {
            match result {
                Ok(text) => println!("ok      {name}: {text}"),
                Err(error) => println!("failed  {name}: {error:#}"),
            }
        }
    }
    if failed == 0 { Ok(()) } else { Err(Failure::Failed(anyhow!("{failed} checks failed"))) }
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

fn model(dir: &str, version: &str, policy: LoadPolicy) -> Result<String> {
    let registry = Registry::open(Path::new(dir))?;
    let files = registry.select(version)?;
    let model = Model::load(&files, schema_hash(), policy)?;
    Ok(format!(
        "{} on {:?}, {} features, p99 {} ns",
        model.version(),
        model.executor(),
        model.feature_names().len(),
        model.p99_ns()
    ))
}
