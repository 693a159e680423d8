//! `model list`, `show`, `history`, `verify`: what there is and what happened; changes nothing.

use super::{DirArguments, Failure};
use crate::observe::audit::line;
use crate::registry::seal::PublicKey;
use crate::registry::{Action, Entry, Registry};
use anyhow::anyhow;
use clap::Args;

#[derive(Args)]
#[command(after_help = "Example: peregrine model show synthetic-7")]
pub struct ShowArguments {
    /// The version, or `champion`.
    version: String,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine model history --last 20")]
pub struct HistoryArguments {
    /// Only the changes of this version.
    version: Option<String>,
    /// Only the newest, so many.
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    #[command(flatten)]
    at: DirArguments,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine model verify --json\n\nWith --trust every version must be \
                  signed by one of these keys (`peregrine model sign`)."
)]
pub struct VerifyArguments {
    /// A public key that must vouch for every version: 64 hexadecimal digits, or a file with them.
    #[arg(long, value_name = "KEY")]
    trust: Vec<String>,
    #[command(flatten)]
    at: DirArguments,
}

pub fn list(arguments: &DirArguments) -> Result<(), Failure> {
    let registry = Registry::open(&arguments.dir)?;
    let (champion, previous) = (registry.champion_version(), registry.previous_version());
    let standing = registry.standing()?;
    let (quarantined, removed) = (standing.quarantined, standing.removed);
    if arguments.json {
        let versions: Vec<_> = registry
            .list()
            .map(|(version, record)| {
                serde_json::json!({"version": version, "stage": record.stage.name(),
                    "champion": champion == Some(version),
                    "previous": previous == Some(version),
                    "quarantined": quarantined.contains(version),
                    "removed": removed.contains(version)})
            })
            .collect();
        println!("{}", serde_json::json!({ "versions": versions }));
        return Ok(());
    }
    println!("{:<32} {:<10} {:<20} notes", "version", "stage", "seed");
    for (version, record) in registry.list() {
        let notes = [
            (previous == Some(version), "previous"),
            (quarantined.contains(version), "quarantined"),
            (removed.contains(version), "files removed"),
        ];
        let notes = notes.into_iter().filter_map(|(is, note)| is.then_some(note));
        let notes = notes.collect::<Vec<_>>().join(", ");
        let told = format!("{version:<32} {:<10} {:<20} {notes}", record.stage.name(), record.seed);
        println!("{}", told.trim_end());
    }
    Ok(())
}

pub fn show(arguments: &ShowArguments) -> Result<(), Failure> {
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

pub fn history(arguments: &HistoryArguments) -> Result<(), Failure> {
    let registry = Registry::open(&arguments.at.dir)?;
    let wanted = arguments.version.as_deref();
    if let Some(version) = wanted {
        registry.show(version)?;
    }
    let all = registry.history().iter();
    let chosen: Vec<&Entry> =
        all.filter(|entry| wanted.is_none_or(|version| entry.version == version)).collect();
    let from = chosen.len().saturating_sub(arguments.last.unwrap_or(chosen.len()));
    let chosen = &chosen[from..];
    if arguments.at.json {
        println!("{}", serde_json::json!({ "history": chosen }));
        return Ok(());
    }
    for entry in chosen {
        println!("{}", told(entry));
    }
    Ok(())
}

/// An entry in a line.
fn told(entry: &Entry) -> String {
    let Entry { seq, version, by, reason, papers, .. } = entry;
    let at_ms = i64::try_from(entry.at_ms).unwrap_or(i64::MAX);
    let time = line::time(at_ms.saturating_mul(1_000_000));
    let what = match (entry.action, entry.from) {
        (Action::Moved, Some(from)) => {
            format!("{version} from {} to {}", from.name(), entry.to.name())
        }
        (Action::RolledBack, Some(from)) => {
            format!("{version} rolled back from {} to {}", from.name(), entry.to.name())
        }
        (action, _) => format!("{version} {}", action.name()),
    };
    let short = |text: &str| text.chars().take(16).collect::<String>();
    let papers: Vec<String> =
        papers.iter().map(|paper| format!("{} {}", paper.kind, short(&paper.sha256))).collect();
    let papers =
        if papers.is_empty() { String::new() } else { format!(" [{}]", papers.join(", ")) };
    format!("{seq:>4} {time} {what}, by {by}: {reason}{papers}")
}

pub fn verify(arguments: &VerifyArguments) -> Result<(), Failure> {
    let registry = Registry::open(&arguments.at.dir)?;
    let report = registry.verify()?;
    let trusted = arguments.trust.iter().map(|key| PublicKey::from_text_or_file(key));
    let trusted: Vec<PublicKey> = trusted.collect::<Result<_, _>>()?;
    let unsigned = registry.unsigned((!trusted.is_empty()).then_some(&trusted))?;
    let problems: Vec<String> =
        report.problems.iter().chain(&unsigned).map(ToString::to_string).collect();
    if arguments.at.json {
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
    Err(Failure::Failed(anyhow!("{}: {}", arguments.at.dir.display(), problems.join("; "))))
}
