//! `stress`: a model and its trader in markets that go where markets seldom go.

use super::progress_bar;
use anyhow::{Result, bail};
use clap::Args;
use peregrine::model::ArtifactFiles;
use peregrine::runtime::config::{self, Loaded};
use peregrine_lab::files::write_whole;
use peregrine_lab::stress::{Limits, Outcome, Plan, Subject, report, run_all};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Outcomes of single scenarios, so that a stress test that was stopped goes on.
const PARTS: &str = "stress";

#[derive(Args)]
pub struct Stress {
    /// Folder of the model's version.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// The trader's configuration.
    #[arg(long, value_name = "FILE", default_value = "config/paper.toml")]
    config: PathBuf,
    /// Models of latency, queue and impact that `calibrate` estimated, over the configuration's.
    #[arg(long, value_name = "FILE")]
    fills: Option<PathBuf>,
    /// The scenarios.
    #[arg(long, value_name = "FILE", default_value = "config/stress.toml")]
    scenarios: PathBuf,
    /// Limits that none may pass: section [stress].
    #[arg(long, value_name = "FILE", default_value = "config/gates.toml")]
    gates: PathBuf,
    /// Reports folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only these scenarios. The results are then no evidence for a gate that wants others.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Scenarios that run at the same time; the results do not depend on it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs the scenarios and writes the report.
///
/// # Errors
/// As [`test`], and at the end the scenarios that failed.
pub fn stress(arguments: &Stress) -> Result<()> {
    let (failed, count) = test(arguments)?;
    if !failed.is_empty() {
        bail!("{} of {count} scenarios failed: {}", failed.len(), failed.join(", "));
    }
    Ok(())
}

/// The same; the scenarios that failed, and the number of all.
///
/// # Errors
/// A file that cannot be read or written, a scenario that cannot be run.
pub fn test(arguments: &Stress) -> Result<(Vec<String>, usize)> {
    let mut plan = Plan::read(&arguments.scenarios)?;
    let unknown = |name: &&String| !plan.scenario.iter().any(|scenario| scenario.name == **name);
    if let Some(name) = arguments.only.iter().find(unknown) {
        bail!("--only {name}: {} has no such scenario", arguments.scenarios.display());
    }
    if !arguments.only.is_empty() {
        plan.scenario.retain(|scenario| arguments.only.contains(&scenario.name));
    }
    let mut loaded = config::load(&arguments.config)?;
    if let Some(fills) = &arguments.fills {
        loaded = config::with_fills(&loaded, fills)?;
    }
    let files = ArtifactFiles::read(&arguments.model)?;
    let loaded = with_bars_of(&files, loaded)?;
    let subject = Subject { files, loaded: &loaded, limits: Limits::read(&arguments.gates)? };
    let parts = arguments.out.join(PARTS);
    let known: Vec<Outcome> =
        plan.scenario.iter().filter_map(|scenario| kept(&parts, &scenario.name)).collect();
    let (bar, count) = (progress_bar("stress"), AtomicU64::new(0));
    let done = |outcome: &Outcome| {
        let number = 1 + count.fetch_add(1, Ordering::Relaxed);
        bar.set_position(1_000 * number / plan.scenario.len().max(1) as u64);
        bar.set_message(outcome.name.clone());
        write_whole(&part(&parts, &outcome.name), &serde_json::to_vec(outcome)?)
    };
    let outcomes = run_all(&subject, &plan, arguments.threads.into(), &known, &done)?;
    bar.finish_and_clear();
    let text = serde_json::to_vec_pretty(&report::json(&subject, &outcomes))?;
    write_whole(&arguments.out.join("stress.json"), &text)?;
    let page = report::markdown(&subject, &outcomes);
    write_whole(&arguments.out.join("stress_test_results.md"), page.as_bytes())?;
    let failed = outcomes.iter().filter(|outcome| !outcome.passed);
    let failed: Vec<String> = failed.map(|outcome| outcome.name.clone()).collect();
    tell(&outcomes, &failed, arguments);
    Ok((failed, outcomes.len()))
}

/// The configuration with bars as long as those the model learned on: it would run with no others.
fn with_bars_of(files: &ArtifactFiles, loaded: Loaded) -> Result<Loaded> {
    match files.card.bar_interval_ms {
        Some(ms) if ms != loaded.settings.features.bar_interval_ms => {
            let value = i64::from(ms).into();
            Ok(config::with_values(&loaded, &[("features", "bar_interval_ms", value)])?)
        }
        _ => Ok(loaded),
    }
}

fn part(parts: &Path, name: &str) -> PathBuf {
    parts.join(format!("{name}.json"))
}

/// What a file of an earlier run holds; one that cannot be read is none.
fn kept(parts: &Path, name: &str) -> Option<Outcome> {
    serde_json::from_slice(&std::fs::read(part(parts, name)).ok()?).ok()
}

fn tell(outcomes: &[Outcome], failed: &[String], arguments: &Stress) {
    if arguments.json {
        println!("{}", json!({"scenarios": outcomes.len(), "failed": failed}));
        return;
    }
    for outcome in outcomes {
        let word = if outcome.passed { "passed" } else { "FAILED" };
        println!("{:<24} {word:<7} {:>14}", outcome.name, outcome.profit_quote);
    }
    println!("written to {}", arguments.out.display());
}
