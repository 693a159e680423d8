//! `model`: the registry.
//!
//! | file | holds |
//! |---|---|
//! | `look` | list, show, history, verify |
//! | `bring` | register, import, export, sign |
//! | `moves` | promote, approve, retire |
//! | `back` | rollback, quarantine, release, prune |

mod back;
mod bring;
mod look;
mod moves;

use super::Failure;
use crate::features::schema_hash;
use crate::model::LoadPolicy;
use crate::registry::{Change, Proving, Registry};
use crate::runtime::clock::wall_now;
use crate::runtime::config::{self, Loaded};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub enum ModelCommand {
    /// List every version with its stage.
    #[command(after_help = "Example: peregrine model list --json")]
    List(DirArguments),
    /// Show one version's record.
    Show(look::ShowArguments),
    /// Tell every change: when, what, who, why, and on which papers.
    History(look::HistoryArguments),
    /// Have a running session trade on another version.
    Use(super::ab::UseArguments),
    /// Register a version: any ONNX file with its card that meets the contract.
    Register(bring::RegisterArguments),
    /// Hash every file of every version and compare with what was registered.
    Verify(look::VerifyArguments),
    /// Move a version on to its next stage, with the papers that stage needs.
    Promote(moves::PromoteArguments),
    /// Write an approval of a version as champion, signed with a key of that role.
    Approve(moves::ApproveArguments),
    /// Give a version up that is not the champion.
    Retire(moves::RetireArguments),
    /// Go back to a former champion; only tells what would happen without --execute.
    Rollback(back::RollbackArguments),
    /// Keep a version from being chosen.
    #[command(after_help = "Example: peregrine model quarantine synthetic-7 --by alice --reason \
                      \"one-sided since noon\"")]
    Quarantine(back::MarkArguments),
    /// Lift a quarantine.
    #[command(
        after_help = "Example: peregrine model release synthetic-7 --by alice --reason \"the feed \
                      was at fault\""
    )]
    Release(back::MarkArguments),
    /// Remove files of retired versions; only tells which without --execute.
    Prune(back::PruneArguments),
    /// Write one version to a file that other registries can import.
    Export(bring::ExportArguments),
    /// Take a version from such a file, whoever made it.
    Import(bring::ImportArguments),
    /// Vouch for a version with a key.
    Sign(bring::SignArguments),
}

#[derive(Args)]
pub struct DirArguments {
    /// The registry's folder.
    #[arg(long, default_value = "models_saved", value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// The registry of a command that may be given a configuration.
#[derive(Args)]
pub struct PlaceArguments {
    /// The registry's folder; the configuration's where none is named, else models_saved.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

impl PlaceArguments {
    fn open(&self, loaded: Option<&Loaded>) -> Result<Registry> {
        let configured = loaded.map(|loaded| PathBuf::from(&loaded.settings.model.dir));
        let named = self.dir.clone().or(configured);
        Ok(Registry::open(&named.unwrap_or_else(|| PathBuf::from("models_saved")))?)
    }
}

/// Who changes something, and why.
#[derive(Args)]
pub struct WhoArguments {
    /// Who does it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

impl WhoArguments {
    fn change(&self) -> Change {
        Change {
            at_ms: u64::try_from(wall_now().to_millis()).unwrap_or(0),
            by: self.by.clone(),
            reason: self.reason.clone(),
            evidence_sha256: None,
        }
    }
}

/// Runs a registry command.
pub fn model(command: &ModelCommand) -> Result<(), Failure> {
    match command {
        ModelCommand::List(arguments) => look::list(arguments),
        ModelCommand::Show(arguments) => look::show(arguments),
        ModelCommand::History(arguments) => look::history(arguments),
        ModelCommand::Use(arguments) => super::ab::use_model(arguments),
        ModelCommand::Register(arguments) => bring::register(arguments),
        ModelCommand::Verify(arguments) => look::verify(arguments),
        ModelCommand::Promote(arguments) => moves::promote(arguments),
        ModelCommand::Approve(arguments) => moves::approve(arguments),
        ModelCommand::Retire(arguments) => moves::retire(arguments),
        ModelCommand::Rollback(arguments) => back::rollback(arguments),
        ModelCommand::Quarantine(arguments) => back::mark(arguments, true),
        ModelCommand::Release(arguments) => back::mark(arguments, false),
        ModelCommand::Prune(arguments) => back::prune(arguments),
        ModelCommand::Export(arguments) => bring::export(arguments),
        ModelCommand::Import(arguments) => bring::import(arguments),
        ModelCommand::Sign(arguments) => bring::sign(arguments),
    }
}

/// What a model must prove in this program: its feature schema, and with a configuration what that
/// allows.
fn proving(loaded: Option<&Loaded>) -> Proving {
    let policy = loaded.map_or(LoadPolicy::ANY, |loaded| LoadPolicy::of(&loaded.settings.model));
    Proving { schema_hash: Some(schema_hash()), policy }
}

fn loaded(config: Option<&Path>) -> Result<Option<Loaded>, config::ConfigError> {
    config.map(config::load).transpose()
}

/// Versions with a reason each.
fn reasons(versions: &[(String, impl Serialize)]) -> Vec<Value> {
    versions.iter().map(|(version, why)| json!({"version": version, "why": why})).collect()
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let named = || path.display().to_string();
    let mut file =
        OpenOptions::new().write(true).create_new(true).open(path).with_context(named)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(named)
}
