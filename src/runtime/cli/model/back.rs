//! `model rollback`, `quarantine`, `release`, `prune`: leaving a version behind.

use super::{DirArguments, Failure, PlaceArguments, WhoArguments, loaded, proving, reasons};
use crate::registry::{Needs, Pruned, Registry, Rollback, Target};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model rollback --by alice --reason \"drawdown\" --execute\n\n\
                  Without --to it goes to the champion before; again, further back. --to none: no \
                  model trades. The version that is left is quarantined \
                  (docs/rollback_playbook.md)."
)]
pub struct RollbackArguments {
    /// A former champion, or `none`.
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
    /// Do it; without, only what would happen is told.
    #[arg(long)]
    execute: bool,
    /// Configuration whose folder and rules for models hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    who: WhoArguments,
}

#[derive(Args)]
pub struct MarkArguments {
    /// The version.
    version: String,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine model prune --keep 5 --by alice --reason \"disk\" \
                  --execute\n\nWhat is in use, the champion before, what those were made from and \
                  what a paper names always stays; so do records and history.")]
pub struct PruneArguments {
    /// Retired versions whose files stay besides, those that were retired last.
    #[arg(long, value_name = "N")]
    keep: usize,
    /// A signed paper whose versions stay.
    #[arg(long, value_name = "FILE")]
    decision: Vec<PathBuf>,
    /// Configuration whose folder holds, and whose models' and decision's versions stay.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Do it; without, only what would happen is told.
    #[arg(long)]
    execute: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    who: WhoArguments,
}

const NOT_DONE: &str = "nothing was changed: --execute does it";

pub fn rollback(arguments: &RollbackArguments) -> Result<(), Failure> {
    let loaded = loaded(arguments.config.as_deref())?;
    let mut registry = arguments.place.open(loaded.as_ref())?;
    let target = match arguments.to.as_deref() {
        None => Target::Previous,
        Some("none") => Target::Nothing,
        Some(version) => Target::Version(version),
    };
    let (proving, change) = (proving(loaded.as_ref()), arguments.who.change());
    let plan = registry.rollback(target, proving, change, arguments.execute)?;
    let Rollback { leaves, to, skipped, executor } = plan;
    if arguments.place.json {
        let told = serde_json::json!({"from": leaves, "to": to, "skipped": reasons(&skipped),
            "executor": executor, "executed": arguments.execute});
        println!("{told}");
        return Ok(());
    }
    for (version, why) in &skipped {
        println!("passed over {version}: {why}");
    }
    match leaves {
        Some(version) => println!("leaves {version}, which is quarantined"),
        None => println!("leaves nothing: there is no champion"),
    }
    match (to, executor) {
        (Some(version), Some(executor)) => {
            println!("champion {version}: files verified, model proved, runs on {executor}");
        }
        _ => println!("champion none: no model trades"),
    }
    if !arguments.execute {
        println!("{NOT_DONE}");
    }
    Ok(())
}

/// Sets a quarantine or lifts it.
pub fn mark(arguments: &MarkArguments, quarantined: bool) -> Result<(), Failure> {
    let mut registry = Registry::open(&arguments.at.dir)?;
    let (version, change) = (arguments.version.as_str(), arguments.who.change());
    if quarantined {
        registry.quarantine(version, change)?;
    } else {
        registry.release(version, change)?;
    }
    if arguments.at.json {
        println!("{}", serde_json::json!({"version": version, "quarantined": quarantined}));
    } else {
        println!("{version} is {}", if quarantined { "quarantined" } else { "released" });
    }
    Ok(())
}

pub fn prune(arguments: &PruneArguments) -> Result<(), Failure> {
    let loaded = loaded(arguments.config.as_deref())?;
    let mut registry = arguments.place.open(loaded.as_ref())?;
    let mut papers = arguments.decision.clone();
    let settings = loaded.as_ref().map(|loaded| &loaded.settings);
    let decision = settings.map(|settings| &settings.risk.stage.decision_file);
    papers.extend(decision.filter(|path| !path.is_empty()).map(PathBuf::from));
    let configured: Vec<&str> = settings.map_or_else(Vec::new, |settings| {
        let own = settings.model.own.iter().map(|(_, version)| version);
        own.chain([&settings.model.version]).map(String::as_str).collect()
    });
    let needs = Needs { papers: &papers, configured: &configured };
    let pruned =
        registry.prune(arguments.keep, needs, arguments.who.change(), arguments.execute)?;
    let Pruned { removed, bytes, kept } = pruned;
    if arguments.place.json {
        let told = serde_json::json!({"removed": removed, "bytes": bytes, "kept": reasons(&kept),
            "executed": arguments.execute});
        println!("{told}");
        return Ok(());
    }
    kept.iter().for_each(|(version, why)| println!("keeps {version}: {why}"));
    removed.iter().for_each(|version| println!("removes the files of {version}"));
    println!("{bytes} bytes");
    if !arguments.execute {
        println!("{NOT_DONE}");
    }
    Ok(())
}
