//! `model`: the registry.

use super::Failure;
use crate::registry::{Change, Registry, Stage};
use crate::runtime::clock::wall_now;
use anyhow::anyhow;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum ModelCommand {
    /// List every version with its stage.
    #[command(after_help = "Example: peregrine model list --json")]
    List(DirArguments),
    /// Show one version's record.
    Show(ShowArguments),
    /// Have a running session trade on another version.
    Use(super::ab::UseArguments),
    /// Register a version: any ONNX file with its card that meets the contract.
    Register(RegisterArguments),
    /// Hash every file of every version and compare with what was registered.
    #[command(after_help = "Example: peregrine model verify --json")]
    Verify(DirArguments),
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

#[derive(Args)]
#[command(after_help = "Example: peregrine model show synthetic-7")]
pub struct ShowArguments {
    /// The version, or `champion`.
    version: String,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine model register ./my-model --by alice --reason trial")]
pub struct RegisterArguments {
    /// Folder with model.onnx and card.toml.
    from: PathBuf,
    /// The version it was made from.
    #[arg(long, value_name = "VERSION")]
    parent: Option<String>,
    /// Who registers it.
    #[arg(long, value_name = "NAME")]
    by: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Make it the champion; only while there is none. A new registry is made where none is.
    #[arg(long)]
    first_champion: bool,
    #[command(flatten)]
    at: DirArguments,
}

/// Runs a registry command.
pub fn model(command: &ModelCommand) -> Result<(), Failure> {
    match command {
        ModelCommand::List(arguments) => list(arguments),
        ModelCommand::Show(arguments) => {
            let registry = Registry::open(&arguments.at.dir)?;
            let record = registry.show(registry.version_named(&arguments.version)?)?;
            let text = if arguments.at.json {
                serde_json::to_string(record)?
            } else {
                serde_json::to_string_pretty(record)?
            };
            println!("{text}");
            Ok(())
        }
        ModelCommand::Use(arguments) => super::ab::use_model(arguments),
        ModelCommand::Register(arguments) => register(arguments),
        ModelCommand::Verify(arguments) => verify(arguments),
    }
}

fn list(arguments: &DirArguments) -> Result<(), Failure> {
    let registry = Registry::open(&arguments.dir)?;
    let champion = registry.champion_version();
    if arguments.json {
        let versions: Vec<_> = registry
            .list()
            .map(|(version, record)| {
                serde_json::json!({"version": version, "stage": record.stage.name(),
                    "champion": champion == Some(version)})
            })
            .collect();
        println!("{}", serde_json::json!({ "versions": versions }));
        return Ok(());
    }
    println!("{:<32} {:<10} seed", "version", "stage");
    for (version, record) in registry.list() {
        println!("{version:<32} {:<10} {}", record.stage.name(), record.seed);
    }
    Ok(())
}

fn register(arguments: &RegisterArguments) -> Result<(), Failure> {
    let dir = &arguments.at.dir;
    let fresh = !dir.join("registry.json").exists();
    let mut registry = if fresh { Registry::create(dir)? } else { Registry::open(dir)? };
    let change = Change {
        at_ms: u64::try_from(wall_now().to_millis()).unwrap_or(0),
        by: arguments.by.clone(),
        reason: arguments.reason.clone(),
        evidence_sha256: None,
    };
    let version =
        registry.register(&arguments.from, arguments.parent.as_deref(), change.clone())?;
    if arguments.first_champion {
        registry.advance(&version, Stage::Champion, change)?;
    }
    if arguments.at.json {
        println!("{}", serde_json::json!({ "version": version }));
    } else {
        println!("registered {version}");
    }
    Ok(())
}

fn verify(arguments: &DirArguments) -> Result<(), Failure> {
    let report = Registry::open(&arguments.dir)?.verify()?;
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    if arguments.json {
        println!(
            "{}",
            serde_json::json!({"versions": report.versions, "files": report.files,
                "problems": problems})
        );
    } else {
        println!("versions  {}", report.versions);
        println!("files     {}", report.files);
        println!("problems  {}", problems.len());
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(anyhow!("{}: {}", arguments.dir.display(), problems.join("; "))))
}
