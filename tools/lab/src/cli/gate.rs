//! `gate`: decide, make keys, verify decisions, sign stages off.

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use peregrine::base::settings::{LIMITED_CAPITAL_MAX, StageName, StageSettings};
use peregrine::base::{Money, Symbol};
use peregrine::model::artifact::hex;
use peregrine::registry::decision::{Criterion, Decision, DecisionError, Verdict};
use peregrine::registry::seal::{PublicKey, SigningKey, read_signed, sign_file};
use peregrine::risk::stage::{Signoff, judge};
use peregrine::runtime::clock::wall_now;
use peregrine::runtime::config::{self, ConfigError};
use peregrine::runtime::{own, stage};
use peregrine_lab::gate::shown::Shown;
use peregrine_lab::gate::thresholds::Thresholds;
use peregrine_lab::gate::{
    DECISION_FILE, DOCUMENT_FILE, GateError, capital, check_evidence, decide, write,
};
use peregrine_lab::paper::targets::Targets;
use peregrine_lab::steps::EXIT_NO_GO;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub const HELP: &str = "Example:\n  peregrine-lab gate keygen --out gate.key\n  \
    peregrine-lab gate --model models_saved/synthetic-1 --evidence reports/synthetic-1 \
    --config config/gates.toml --key gate.key --out reports/synthetic-1\n\n\
    Exit code 0 is GO, 3 is NO-GO, 1 that there is no decision, 2 bad usage or thresholds.";

/// Exit code of bad usage or a bad configuration.
const EXIT_USAGE: u8 = 2;

#[derive(Args)]
pub struct Gate {
    #[command(subcommand)]
    command: Option<GateCommand>,
    #[command(flatten)]
    decide: Option<Decide>,
}

#[derive(Subcommand)]
enum GateCommand {
    /// Make a key: a private one that its owner alone may read, and KEY.pub beside it.
    #[command(after_help = "Example:\n  peregrine-lab gate keygen --out gate.key")]
    Keygen(Keygen),
    /// See whether a decision is signed and unchanged, and what it says; exit code 3 for a NO-GO.
    #[command(after_help = "Example:\n  peregrine-lab gate verify \
        reports/synthetic-1/gate_decision.json --public-key gate.key.pub \
        --evidence reports/synthetic-1")]
    Verify(Verify),
    /// Write and sign the sign-off record of a stage, for the configuration that names it.
    #[command(after_help = "Example:\n  peregrine-lab gate sign-off --config config/live.toml \
        --program target/release/peregrine --stage limited_live --by 'A. Person' \
        --reason 'eight days on paper without an incident' --days 8 --round-trips 120 \
        --sharpe 2.1 --drawdown-bps 900 --key gate.key")]
    SignOff(Box<SignOff>),
}

#[derive(Args)]
struct Decide {
    /// Folder of the version: model.onnx and card.toml.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Folder of the evidence: walk_forward.json and stress.json.
    #[arg(long, value_name = "DIR")]
    evidence: PathBuf,
    /// The thresholds.
    #[arg(long, value_name = "FILE", default_value = "config/gates.toml")]
    config: PathBuf,
    /// The private key that signs.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder for gate_decision.json and gate_decision.pdf.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// When it is decided, such as 2026-11-26T12:00:00Z; without it now.
    #[arg(long, value_name = "TIME", value_parser = time)]
    decided_at: Option<u64>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Keygen {
    /// File of the private key; the public one goes beside it, with .pub.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Verify {
    /// The decision.
    #[arg(value_name = "FILE")]
    decision: PathBuf,
    /// Whose it must be: 64 hexadecimal digits, or a file that holds them.
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    public_key: PublicKey,
    /// Folder of the evidence: hash it again.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct SignOff {
    /// The live configuration; its stage.signoff_file is written.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Of the model that this symbol has of its own (model.own), not of model.version: the record's
    /// file is stage.signoff_file with the version in its name.
    #[arg(long, value_name = "SYMBOL", value_parser = symbol)]
    own: Option<Symbol>,
    /// The program that will run.
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// The stage that is signed for.
    #[arg(long, value_parser = ["limited_live", "full"])]
    stage: String,
    /// Who signs; once for each.
    #[arg(long, required = true, value_name = "NAME")]
    by: Vec<String>,
    /// Why.
    #[arg(long)]
    reason: String,
    /// UTC day, such as 2026-11-26, since which program, configuration and model run; without it
    /// today, and they count as new.
    #[arg(long, value_name = "DAY", value_parser = day)]
    since: Option<i64>,
    /// Take what the stage before showed from this paper_campaign.json; for limited_live.
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "days", "round_trips", "sharpe", "drawdown_bps",
    ])]
    paper: Option<PathBuf>,
    /// Days that the stage before ran.
    #[arg(long, required_unless_present = "paper")]
    days: Option<u32>,
    /// Round trips it made.
    #[arg(long, required_unless_present = "paper")]
    round_trips: Option<u32>,
    /// Annual Sharpe ratio it reached.
    #[arg(long, allow_negative_numbers = true, required_unless_present = "paper")]
    sharpe: Option<f64>,
    /// Largest drawdown it had, in basis points.
    #[arg(long, required_unless_present = "paper")]
    drawdown_bps: Option<u32>,
    /// The step of capital that is signed for, in quote currency; without it 500, and nothing of
    /// the steps is asked.
    #[arg(long, value_name = "QUOTE")]
    capital: Option<u32>,
    /// The signed record of the step before; every step but the first needs it.
    #[arg(long, value_name = "FILE", requires = "capital")]
    before: Option<PathBuf>,
    /// The steps of capital.
    #[arg(long, value_name = "FILE", default_value = "config/signoff.toml")]
    steps: PathBuf,
    /// The private key that signs.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
pub fn gate(arguments: &Gate) -> ExitCode {
    let done = match (&arguments.command, &arguments.decide) {
        (Some(GateCommand::Keygen(arguments)), _) => keygen(arguments),
        (Some(GateCommand::Verify(arguments)), _) => verify(arguments),
        (Some(GateCommand::SignOff(arguments)), _) => sign_off(arguments),
        (None, Some(arguments)) => decision(arguments),
        (None, None) => Err(anyhow!("--model, --evidence, --key and --out are needed")),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("peregrine-lab: {error:#}");
            let thresholds = error
                .downcast_ref::<GateError>()
                .is_some_and(|error| matches!(error, GateError::Thresholds { .. }));
            let usage = thresholds || error.is::<ConfigError>();
            if usage { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn decision(arguments: &Decide) -> Result<ExitCode> {
    let thresholds = Thresholds::read(&arguments.config)?;
    let key = SigningKey::read(&arguments.key)?;
    let at = arguments.decided_at.unwrap_or_else(|| wall_now().to_millis().unsigned_abs());
    let decision = decide(&arguments.model, &arguments.evidence, &thresholds, at)?;
    write(&decision, &key, &arguments.out)?;
    tell(&decision, &key.public(), arguments.json);
    if !arguments.json {
        println!("written to   {}", arguments.out.join(DECISION_FILE).display());
        println!("             {}", arguments.out.join(DOCUMENT_FILE).display());
    }
    Ok(code(&decision))
}

fn verify(arguments: &Verify) -> Result<ExitCode> {
    let read: Result<_, DecisionError> =
        Decision::read(&arguments.decision, &[arguments.public_key]);
    let (decision, key) = read?;
    if let Some(evidence) = &arguments.evidence {
        check_evidence(&decision, evidence)?;
    }
    tell(&decision, &key, arguments.json);
    Ok(code(&decision))
}

fn keygen(arguments: &Keygen) -> Result<ExitCode> {
    let key = SigningKey::create(&arguments.out)?;
    let (public, fingerprint) = (key.hex(), key.fingerprint());
    if arguments.json {
        let out = &arguments.out;
        println!("{}", json!({"key": out, "public_key": public, "fingerprint": fingerprint}));
    } else {
        println!("private key  {}", arguments.out.display());
        println!("public key   {public}");
        println!("fingerprint  {fingerprint}");
    }
    Ok(ExitCode::SUCCESS)
}

fn sign_off(arguments: &SignOff) -> Result<ExitCode> {
    let loaded = config::load(&arguments.config)?;
    let key = SigningKey::read(&arguments.key)?;
    let wanted = &loaded.settings.risk.stage;
    let today = wall_now().utc_day();
    if !wanted.trusted_keys.contains(&key.public().hex()) {
        let (file, public) = (arguments.config.display(), key.public().hex());
        return Err(anyhow!("{file}: stage.trusted_keys: does not name this key, {public}"));
    }
    let mut artefacts = stage::artefacts(&loaded, &arguments.program)?;
    let of_own = match arguments.own {
        None => None,
        Some(symbol) => {
            let own = own::files(&loaded.settings)?;
            let of = own.into_iter().find(|(other, _)| *other == symbol);
            let (_, files) = of.with_context(|| format!("--own: model.own has no {symbol}"))?;
            artefacts.model = hex(&files.sha256);
            Some(stage::with_papers_of(&loaded, &files.card.version))
        }
    };
    let shown = shown(arguments, &artefacts.model)?;
    let named = StageName::ALL.into_iter().find(|stage| stage.name() == arguments.stage);
    let record = Signoff {
        stage: named.unwrap_or_default(),
        signed_by: arguments.by.clone(),
        reason: arguments.reason.clone(),
        since_day: arguments.since.unwrap_or(today),
        artefacts,
        days: shown.days,
        round_trips: shown.round_trips,
        sharpe: shown.sharpe,
        drawdown_bps: shown.drawdown_bps,
        capital: signed_capital(arguments, &shown, wanted, today)?,
    };
    let risk = &loaded.settings.risk;
    let judged = judge(loaded.settings.mode, risk, Some(&record), &record.artefacts, today);
    if !judged.missing.is_empty() {
        return Err(anyhow!("this would not make it lawful: {}", judged.missing.join("; ")));
    }
    let path = &of_own.as_ref().unwrap_or(&loaded).settings.risk.stage.signoff_file;
    let path = Path::new(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::write(path, record.to_toml()).with_context(|| path.display().to_string())?;
    let signature = sign_file(path, &key)?;
    let fingerprint = key.public().fingerprint();
    if arguments.json {
        let line = json!({"record": path, "signature": signature, "fingerprint": fingerprint});
        println!("{line}");
    } else {
        println!("record       {}", path.display());
        println!("signature    {}", signature.display());
        println!("fingerprint  {fingerprint}");
    }
    Ok(ExitCode::SUCCESS)
}

fn symbol(text: &str) -> Result<Symbol, String> {
    let symbol = Symbol::new(text.to_uppercase().as_bytes());
    symbol.ok_or_else(|| format!("{text:?} is no symbol"))
}

/// The step of capital that may be signed for; `None` where none is asked for.
fn signed_capital(
    arguments: &SignOff,
    shown: &Shown,
    stage: &StageSettings,
    today: i64,
) -> Result<Option<Money>> {
    let Some(asked) = arguments.capital else { return Ok(None) };
    let asked = Money::whole(i64::from(asked));
    if arguments.stage == StageName::LimitedLive.name() && asked > LIMITED_CAPITAL_MAX {
        bail!("--capital: limited_live has at most {LIMITED_CAPITAL_MAX}");
    }
    let targets = Targets::read(&arguments.steps)?;
    let before = match &arguments.before {
        None => None,
        Some(path) => {
            let (text, _) = read_signed(path, &stage::trust(stage).gate)?;
            let told = |errors: Vec<_>| {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                anyhow!("{}: {}", path.display(), errors.join("; "))
            };
            Some(Signoff::parse(&text).map_err(told)?)
        }
    };
    let missing = capital::objections(&targets, asked, shown, before.as_ref(), today);
    if !missing.is_empty() {
        bail!("this capital cannot be signed for: {}", missing.join("; "));
    }
    Ok(Some(asked))
}

/// What the stage before showed: from its file, or as it was told.
fn shown(arguments: &SignOff, model_sha256: &str) -> Result<Shown> {
    match &arguments.paper {
        Some(_) if arguments.stage != "limited_live" => {
            let stage = &arguments.stage;
            bail!("--paper: weeks on paper are what limited_live rests on, not {stage}")
        }
        Some(file) => Ok(Shown::read(file, model_sha256)?),
        None => Ok(Shown {
            days: arguments.days.unwrap_or_default(),
            round_trips: arguments.round_trips.unwrap_or_default(),
            sharpe: arguments.sharpe.unwrap_or_default(),
            drawdown_bps: arguments.drawdown_bps.unwrap_or_default(),
        }),
    }
}

fn tell(decision: &Decision, key: &PublicKey, as_json: bool) {
    let verdict = decision.verdict.name();
    let failed: Vec<&str> = decision.failed().map(|criterion| criterion.name.as_str()).collect();
    if as_json {
        let line = json!({
            "verdict": verdict,
            "version": decision.model.version,
            "model_sha256": decision.model.sha256,
            "criteria": decision.criteria.len(),
            "failed": failed,
            "evidence_digest": decision.evidence_digest,
            "fingerprint": key.fingerprint(),
        });
        println!("{line}");
        return;
    }
    for criterion in &decision.criteria {
        let word = if criterion.passed { "pass" } else { "FAIL" };
        println!("{word}  {}", Criterion::told(criterion));
    }
    println!("{verdict}: {} {}", decision.model.version, decision.model.sha256);
    println!("digest       {}", decision.evidence_digest);
    println!("signed by    {}", key.fingerprint());
}

/// The exit code of a decision.
pub fn code(decision: &Decision) -> ExitCode {
    match decision.verdict {
        Verdict::Go => ExitCode::SUCCESS,
        Verdict::NoGo => ExitCode::from(EXIT_NO_GO),
    }
}

/// A time as milliseconds since 1970.
///
/// # Errors
/// A text that is none.
pub fn time(text: &str) -> Result<u64, String> {
    let at: jiff::Timestamp = text.parse().map_err(|error| format!("{error}"))?;
    u64::try_from(at.as_millisecond()).map_err(|_| "is before 1970".to_owned())
}

fn day(text: &str) -> Result<i64, String> {
    let day: jiff::civil::Date = text.parse().map_err(|error| format!("{error}"))?;
    let since = day.duration_since(jiff::civil::date(1970, 1, 1));
    Ok(since.as_hours() / 24)
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    let held = PublicKey::from_hex(text).or_else(|| {
        let file = std::fs::read_to_string(text).ok()?;
        PublicKey::from_hex(file.trim())
    });
    held.ok_or_else(|| "is neither 64 hexadecimal digits nor a file that holds them".to_owned())
}
