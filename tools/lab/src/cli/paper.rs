//! `paper`: weeks of trading on paper in compressed time.

use super::progress_bar;
use anyhow::{Context, Result, bail};
use clap::Args;
use peregrine::model::ArtifactFiles;
use peregrine::runtime::config;
use peregrine_lab::files::write_whole;
use peregrine_lab::paper::{Campaign, Day, Market, Targets, report};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Single days, so that a campaign that was stopped goes on.
const PARTS: &str = "paper";

#[derive(Args)]
pub struct Paper {
    /// Folder of the model's version.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The trader's configuration.
    #[arg(long, value_name = "FILE", default_value = "config/paper.toml")]
    config: PathBuf,
    /// What has to be shown.
    #[arg(long, value_name = "FILE", default_value = "config/signoff.toml")]
    targets: PathBuf,
    /// Seed of the first day of a synthetic market; the next days count on.
    #[arg(long, value_name = "SEED", required_unless_present = "data")]
    synthetic: Option<u64>,
    /// Minutes of market a day.
    #[arg(
        long, default_value_t = 60, requires = "synthetic",
        value_parser = clap::value_parser!(u32).range(1..=1_440)
    )]
    minutes: u32,
    /// A frozen data set, day by day in UTC.
    #[arg(long, value_name = "DIR", conflicts_with = "synthetic")]
    data: Option<PathBuf>,
    /// How many days; with --data all there are, unless fewer are wanted.
    #[arg(
        long, required_unless_present = "data",
        value_parser = clap::value_parser!(u64).range(1..=3_650)
    )]
    days: Option<u64>,
    /// Reports folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Lives the days and writes the report and the sign-off document.
///
/// # Errors
/// A file that cannot be read or written, a day that cannot be lived, and at the end the targets
/// that were not met.
pub fn paper(arguments: &Paper) -> Result<()> {
    let targets = Targets::read(&arguments.targets)?;
    let market = match (&arguments.data, arguments.synthetic) {
        (Some(dir), _) => Market::Frozen { dir: dir.clone() },
        (None, seed) => {
            Market::Synthetic { seed: seed.unwrap_or_default(), minutes: arguments.minutes }
        }
    };
    let campaign = Campaign {
        files: ArtifactFiles::read(&arguments.model)?,
        loaded: config::load(&arguments.config)?,
        market,
        days: arguments.days.unwrap_or(0),
    };
    let parts = arguments.out.join(PARTS);
    std::fs::create_dir_all(&parts)
        .with_context(|| format!("cannot create {}", parts.display()))?;
    let (bar, known) = (progress_bar("paper"), known(&parts)?);
    let mut number = 0;
    let days = campaign.run(&known, &mut |day, count| {
        number += 1;
        bar.set_position(1_000 * number / count.max(1));
        bar.set_message(day.name.clone());
        write_whole(&parts.join(format!("{}.json", day.name)), &serde_json::to_vec(day)?)
    })?;
    bar.finish_and_clear();
    let result = report::json(&campaign, &targets, &days);
    write_whole(&arguments.out.join("paper_campaign.json"), &serde_json::to_vec_pretty(&result)?)?;
    let page = report::markdown(&campaign, &targets, &days);
    write_whole(&arguments.out.join("phase5_signoff.md"), page.as_bytes())?;
    tell(&days, &targets, arguments)
}

/// Days that were lived before; a file that cannot be read is none.
fn known(parts: &Path) -> Result<Vec<Day>> {
    let entries = std::fs::read_dir(parts).with_context(|| parts.display().to_string())?;
    let day = |path: PathBuf| serde_json::from_slice(&std::fs::read(path).ok()?).ok();
    Ok(entries.filter_map(|entry| day(entry.ok()?.path())).collect())
}

fn tell(days: &[Day], targets: &Targets, arguments: &Paper) -> Result<()> {
    let whole = report::Whole::of(days);
    let verdicts = report::judge(&whole, targets);
    let missed = verdicts.iter().filter(|verdict| !verdict.passed);
    let missed: Vec<&str> = missed.map(|verdict| verdict.name.as_str()).collect();
    if arguments.json {
        println!("{}", json!({"whole": whole, "missed": missed}));
    } else {
        for verdict in &verdicts {
            let word = if verdict.passed { "met" } else { "NOT MET" };
            let value = verdict.value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
            println!("{:<20} {value:>12} {:>10} {word}", verdict.name, verdict.threshold);
        }
        println!("{} days, written to {}", days.len(), arguments.out.display());
    }
    if !missed.is_empty() {
        bail!("not met: {}", missed.join(", "));
    }
    Ok(())
}
