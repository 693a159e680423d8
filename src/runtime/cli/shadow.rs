//! `shadow`: champion against challengers, from the shadow log.

use super::Failure;
use crate::model::artifact::hex;
use crate::promotion::record::LINE_BYTES_MAX;
use crate::promotion::{
    Breach, Line, Observed, PromotionSettings, Source, Trial, Trials, Verdict, breaches, judge,
};
use crate::registry::seal::SigningKey;
use crate::runtime::clock::wall_now;
use crate::runtime::gates;
use crate::runtime::shadow::parts;
use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Malformed lines that are told one by one; all are counted.
const FAULTS_TOLD: usize = 20;

#[derive(Subcommand)]
pub enum ShadowCommand {
    /// Hold every challenger of a shadow log against its champion, and judge.
    #[command(
        after_help = "Example: peregrine shadow report --log logs/shadow/shadow_eval.jsonl\n\n\
                      With --out and --key the verdict on one challenger is written and signed."
    )]
    Report(ReportArguments),
    /// Run challengers beside the champion over a session's journal, and write the shadow log.
    #[command(after_help = "Example: peregrine shadow run --journal state/journal/0000001-paper \
                      --follow\n\n\
                      The journal is only read. A run that begins again goes on where the log \
                      ends.")]
    Run(super::shadow_run::RunArguments),
}

#[derive(Args)]
pub struct ReportArguments {
    /// The shadow log; its closed parts beside it are read first.
    #[arg(long, default_value = "logs/shadow/shadow_eval.jsonl", value_name = "FILE")]
    log: PathBuf,
    /// What has to hold.
    #[arg(long, default_value = "config/gates.toml", value_name = "FILE")]
    config: PathBuf,
    /// Only this challenger.
    #[arg(long, value_name = "VERSION")]
    challenger: Option<String>,
    /// Write the verdict here, signed.
    #[arg(long, value_name = "FILE", requires = "key")]
    out: Option<PathBuf>,
    /// The private key that signs it, as `peregrine-lab gate keygen` makes them.
    #[arg(long, value_name = "FILE", requires = "out")]
    key: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// A line that could not be used.
#[derive(serde::Serialize)]
struct Fault {
    /// From 1.
    line: u64,
    what: String,
}

struct Log {
    trials: Trials,
    lines: u64,
    faults: Vec<Fault>,
    sha256: String,
}

struct Judged<'t> {
    trial: &'t Trial,
    observed: Observed,
    verdict: Verdict,
    breaches: Vec<Breach>,
}

/// Runs a shadow command.
pub fn shadow(command: &ShadowCommand) -> Result<(), Failure> {
    match command {
        ShadowCommand::Report(arguments) => report(arguments),
        ShadowCommand::Run(arguments) => super::shadow_run::run(arguments),
    }
}

fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    let settings = settings(&arguments.config)?;
    let log = read(&arguments.log, settings.clone())?;
    let name = arguments.log.display().to_string();
    let mut judged = Vec::new();
    for trial in log.trials.trials() {
        let (_, challenger) = trial.pair();
        if arguments.challenger.as_ref().is_some_and(|wanted| *wanted != challenger.version) {
            continue;
        }
        let observed = trial.observed(log.trials.challengers_beside(trial));
        let source = Source { name: &name, sha256: &log.sha256 };
        let Some(verdict) = judge(&settings, trial.stage(), &observed, source) else { continue };
        let breaches = breaches(&settings.rollback, &trial.champion_health());
        judged.push(Judged { trial, observed, verdict, breaches });
    }
    for fault in log.faults.iter().take(FAULTS_TOLD) {
        eprintln!("{name}:{}: {}", fault.line, fault.what);
    }
    if log.faults.len() > FAULTS_TOLD {
        eprintln!("{name}: {} more lines that cannot be used", log.faults.len() - FAULTS_TOLD);
    }
    let written = match (&arguments.out, &arguments.key) {
        (Some(out), Some(key)) => {
            Some(write(out, key, &judged, arguments, [&log.sha256, &settings.sha256])?)
        }
        _ => None,
    };
    if !arguments.json {
        show(&log, &judged);
        if let Some(out) = written {
            println!("written      {}", out.display());
        }
        return Ok(());
    }
    println!("{}", told(&log, &judged)?);
    Ok(())
}

fn settings(path: &Path) -> Result<PromotionSettings, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| shown.to_string())?;
    gates::parse(&text).map_err(|error| Failure::Usage(error.context(shown.to_string())))
}

fn read(path: &Path, settings: PromotionSettings) -> Result<Log, Failure> {
    let shown = || path.display().to_string();
    let mut hash = Sha256::new();
    let mut log =
        Log { trials: Trials::new(settings), lines: 0, faults: Vec::new(), sha256: String::new() };
    let mut files = parts(path).with_context(shown)?;
    if files.last().is_none_or(|last| last != path) {
        // Opened all the same: what is not there is told by its name.
        files.push(path.to_path_buf());
    }
    for file in files {
        let opened = File::open(&file).with_context(|| file.display().to_string())?;
        read_part(opened, &mut hash, &mut log).with_context(|| file.display().to_string())?;
    }
    log.sha256 = hex(&hash.finalize());
    Ok(log)
}

/// Reads a part; its lines count on from those before.
fn read_part(file: File, hash: &mut Sha256, log: &mut Log) -> std::io::Result<()> {
    let (mut reader, mut text) = (BufReader::new(file), Vec::new());
    loop {
        text.clear();
        let whole = read_line(&mut reader, hash, &mut text)?;
        if text.is_empty() && !whole {
            return Ok(());
        }
        log.lines += 1;
        let used = Line::parse(&text).and_then(|line| log.trials.push(line));
        if let Err(what) = used {
            log.faults.push(Fault { line: log.lines, what });
        }
        if !whole {
            return Ok(());
        }
    }
}

/// Reads up to the end of a line, keeping a little more of it than is lawful; false at the end of
/// the file.
fn read_line(
    reader: &mut impl BufRead,
    hash: &mut Sha256,
    text: &mut Vec<u8>,
) -> std::io::Result<bool> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        let room = (LINE_BYTES_MAX + 1).saturating_sub(text.len());
        text.extend_from_slice(&part[..part.len().min(room)]);
        let taken = part.len() + usize::from(end.is_some());
        hash.update(&bytes[..taken]);
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

fn write<'a>(
    out: &'a Path,
    key: &Path,
    judged: &[Judged<'_>],
    arguments: &ReportArguments,
    [log_sha256, rules_sha256]: [&str; 2],
) -> Result<&'a Path, Failure> {
    // A challenger's newest trial is the one that is about its next step.
    let newest: BTreeMap<&str, &Judged<'_>> =
        judged.iter().map(|one| (one.trial.pair().1.version.as_str(), one)).collect();
    let names: Vec<&str> = newest.keys().copied().collect();
    let [name] = names[..] else {
        let told = match names.len() {
            0 => "no challenger in the log: nothing to write".to_owned(),
            _ => format!("name one with --challenger: {}", names.join(", ")),
        };
        return Err(Failure::Usage(anyhow!(told)));
    };
    let one = newest[name];
    let evidence = BTreeMap::from([
        (arguments.log.display().to_string(), log_sha256.to_owned()),
        (arguments.config.display().to_string(), rules_sha256.to_owned()),
    ]);
    let at_ms = u64::try_from(wall_now().to_millis()).unwrap_or(0);
    let document = one.verdict.document(one.trial.pair(), evidence, at_ms);
    let document = document.map_err(|what| anyhow!("the verdict contradicts itself: {what}"))?;
    let key = SigningKey::read(key)?;
    std::fs::write(out, document.sealed(&key)?).with_context(|| out.display().to_string())?;
    Ok(out)
}

fn told(log: &Log, judged: &[Judged<'_>]) -> serde_json::Result<Value> {
    let trials: Vec<Value> = judged
        .iter()
        .map(|one| {
            let (champion, challenger) = one.trial.pair();
            json!({
                "champion": champion, "challenger": challenger, "observed": one.observed,
                "verdict": one.verdict.verdict, "from": one.verdict.from, "to": one.verdict.to,
                "criteria": one.verdict.criteria, "explained": one.verdict.explained,
                "rollback": one.breaches,
            })
        })
        .collect();
    let [decisions, outcomes, waiting, given_up] = log.trials.counts();
    Ok(json!({
        "lines": log.lines, "malformed": serde_json::to_value(&log.faults)?,
        "decisions": decisions, "outcomes": outcomes, "waiting": waiting, "given_up": given_up,
        "log_sha256": log.sha256, "trials": trials,
    }))
}

fn show(log: &Log, judged: &[Judged<'_>]) {
    let [decisions, outcomes, waiting, given_up] = log.trials.counts();
    println!("lines        {} ({} cannot be used)", log.lines, log.faults.len());
    println!(
        "decisions    {decisions}, {outcomes} with outcome, {waiting} waiting, {given_up} given up"
    );
    for one in judged {
        show_trial(one);
    }
}

fn show_trial(one: &Judged<'_>) {
    let (champion, challenger) = one.trial.pair();
    let Observed { champion: old, challenger: new, .. } = &one.observed;
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    println!();
    println!(
        "{:<22} {:>24} {:>24}",
        one.trial.stage().name(),
        champion.version,
        challenger.version
    );
    let row = |name: &str, pick: fn(&crate::promotion::observed::Shown) -> Option<f64>| {
        println!("{name:<22} {:>24} {:>24}", number(pick(old)), number(pick(new)));
    };
    row("score", |side| side.score);
    row("Sharpe ratio", |side| side.sharpe);
    row("Sharpe ratio, 24 h", |side| side.sharpe_24h);
    row("drawdown", |side| side.drawdown_max);
    row("trades", |side| Some(side.trades as f64));
    row("losses in a row", |side| Some(side.losses_in_a_row as f64));
    row("inference p99, ns", |side| side.latency_p99_ns);
    println!();
    println!("{:<48} {:>14} {:>14}", "criterion", "value", "needed");
    for criterion in &one.verdict.criteria {
        let needed = format!("{} {}", criterion.relation.sign(), criterion.threshold);
        let mark = if criterion.passed { "" } else { "  <--" };
        println!("{:<48} {:>14} {needed:>14}{mark}", criterion.name, number(criterion.value));
    }
    println!("{}", one.verdict.explained);
    one.breaches.iter().for_each(|breach| println!("champion: {breach}"));
}
