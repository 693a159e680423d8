//! `model promote`, `approve`, `retire`: stages are passed with papers.

use super::{DirArguments, Failure, PlaceArguments, WhoArguments, proving, write_new};
use crate::registry::seal::SigningKey;
use crate::registry::verdict::{Approval, Contender, Role};
use crate::registry::{PaperFiles, Promotion, Registry, Stage};
use crate::runtime::{config, stage};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
enum Goal {
    Shadow,
    Canary,
    Champion,
}

impl Goal {
    const fn stage(self) -> Stage {
        match self {
            Self::Shadow => Stage::Shadow,
            Self::Canary => Stage::Canary,
            Self::Champion => Stage::Champion,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleName {
    Risk,
    Mlops,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine model promote synthetic-7 --to shadow --config \
                  config/live.toml --decision gate_decision.json --by alice --reason \"passed the \
                  gate\"\n\nshadow needs a GO, canary a promotion verdict, champion another \
                  verdict and two approvals (docs/GOVERNANCE.md).")]
pub struct PromoteArguments {
    /// The version.
    version: String,
    /// The next stage.
    #[arg(long, value_enum)]
    to: Goal,
    /// Configuration: whose signatures count, and how long.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The gate's decision.
    #[arg(long, value_name = "FILE")]
    decision: Option<PathBuf>,
    /// The promotion engine's verdict.
    #[arg(long, value_name = "FILE")]
    verdict: Option<PathBuf>,
    /// An approval; one of each role.
    #[arg(long, value_name = "FILE")]
    approval: Vec<PathBuf>,
    /// Only tell what would happen.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    who: WhoArguments,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model approve synthetic-7 --role risk --key risk.key --out \
                  approval_risk.json --by bob --reason \"limits hold\"\n\nIt counts for exactly \
                  this version in place of the champion there is at the moment."
)]
pub struct ApproveArguments {
    /// The version.
    version: String,
    /// As what it is approved.
    #[arg(long, value_enum)]
    role: RoleName,
    /// Private key of that role.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The approval; it may not be there yet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model retire synthetic-7 --by alice --reason \"rejected in \
                  shadow\""
)]
pub struct RetireArguments {
    /// The version.
    version: String,
    #[command(flatten)]
    who: WhoArguments,
    #[command(flatten)]
    at: DirArguments,
}

pub fn promote(arguments: &PromoteArguments) -> Result<(), Failure> {
    let loaded = config::load(&arguments.config)?;
    let mut registry = arguments.place.open(Some(&loaded))?;
    let (version, to) = (arguments.version.as_str(), arguments.to.stage());
    let files = PaperFiles {
        decision: arguments.decision.clone(),
        verdict: arguments.verdict.clone(),
        approvals: arguments.approval.clone(),
    };
    let trust = stage::trust(&loaded.settings.risk.stage);
    let (proving, change) = (proving(Some(&loaded)), arguments.who.change());
    let execute = !arguments.dry_run;
    let promoted = registry.promote((version, to), (&files, &trust), proving, change, execute)?;
    let Promotion { from, replaces, papers, first } = promoted;
    if arguments.place.json {
        let told = serde_json::json!({"version": version, "from": from.name(), "to": to.name(),
            "replaces": replaces, "papers": papers, "first": first, "executed": execute});
        println!("{told}");
        return Ok(());
    }
    println!("{version}: {} to {}", from.name(), to.name());
    papers.iter().for_each(|paper| println!("  on {} {}", paper.kind, paper.sha256));
    replaces.iter().for_each(|old| println!("  {old} is retired, and what a rollback goes to"));
    if first {
        println!("  the first champion of this registry, without a gate");
    }
    if !execute {
        println!("nothing was changed: --dry-run");
    }
    Ok(())
}

pub fn approve(arguments: &ApproveArguments) -> Result<(), Failure> {
    let registry = Registry::open(&arguments.at.dir)?;
    let version = arguments.version.as_str();
    let key = SigningKey::read(&arguments.key)?;
    let change = arguments.who.change();
    change.check()?;
    // Nobody approves what is not what was registered.
    registry.files(version)?;
    let challenger = Contender::of(version, registry.show(version)?);
    let champion = registry.champion_version();
    let champion = champion.map(|name| Ok(Contender::of(name, registry.show(name)?)));
    let champion = champion.transpose().map_err(|error: crate::registry::RegistryError| error)?;
    let role = match arguments.role {
        RoleName::Risk => Role::Risk,
        RoleName::Mlops => Role::Mlops,
    };
    let told = (change.by.as_str(), change.reason.as_str());
    let approval = Approval::new(role, told, challenger, champion, change.at_ms);
    write_new(&arguments.out, approval.sealed(&key)?.as_bytes())?;
    let instead = approval.champion.map_or("nothing".to_owned(), |champion| champion.version);
    let key = key.public();
    if arguments.at.json {
        let told = serde_json::json!({"version": version, "role": role.name(),
            "instead_of": instead, "public_key": key.hex(), "out": arguments.out});
        println!("{told}");
    } else {
        let (role, key) = (role.name(), key.fingerprint());
        println!("{version} in place of {instead} approved for {role}, signed by {key}");
    }
    Ok(())
}

pub fn retire(arguments: &RetireArguments) -> Result<(), Failure> {
    let mut registry = Registry::open(&arguments.at.dir)?;
    let version = arguments.version.as_str();
    registry.retire(version, arguments.who.change())?;
    if arguments.at.json {
        println!("{}", serde_json::json!({"version": version, "stage": "retired"}));
    } else {
        println!("{version} is retired");
    }
    Ok(())
}
