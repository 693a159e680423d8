//! Reads what `risk::stage` judges: the sign-off record, and the hashes of what runs; and the
//! gate's decision, without which no stage with money is lawful.
//!
//! The record is a TOML file with one table, named by `stage.signoff_file`. Where money is at stake
//! its signature stands beside it, in a file of that name with `.sig`:
//!
//! ```toml
//! [signoff]
//! stage = "limited_live"          # what was signed for
//! signed_by = ["A. Person"]       # who signed
//! reason = "eight days on paper"  # why
//! since_day = 20783               # UTC day, counted from 1970-01-01, since which this runs
//! program_sha256 = "…"            # of this program, this configuration and this model,
//! config_sha256 = "…"             # as `peregrine check --config FILE` tells them
//! model_sha256 = "…"
//! days = 8                        # what the stage before showed
//! round_trips = 120
//! sharpe = 2.1
//! drawdown_bps = 900
//! capital = "500"                 # the step of capital; a record without one is for 500
//! ```

use super::config::{self, Loaded};
use super::own;
use super::revert::start;
use crate::base::settings::{Mode, StageName, StageSettings};
use crate::model::artifact::{hex, sha256};
use crate::registry::Trust;
use crate::registry::decision::Decision;
use crate::registry::seal::{PublicKey, read_signed};
use crate::risk::stage::{Artefacts, Judgement, Signoff, judge};
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// Hashes of this program, and of the configuration and the model that would run.
///
/// # Errors
/// When one of them cannot be read.
pub fn running(loaded: &Loaded) -> Result<Artefacts> {
    let program = std::env::current_exe().context("this program's own path")?;
    artefacts(loaded, &program)
}

/// The same with another program.
///
/// # Errors
/// When one of them cannot be read.
pub fn artefacts(loaded: &Loaded, program: &Path) -> Result<Artefacts> {
    let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
    let files = start::files(&loaded.settings)?;
    Ok(Artefacts {
        program: hex(&sha256(&bytes)),
        config: hex(&sha256(loaded.text.as_bytes())),
        model: hex(&files.sha256),
    })
}

/// The record that the configuration names; `None` where it names none. With money at stake it
/// counts only if a trusted key signed it.
///
/// # Errors
/// When it cannot be read or its signature is not good, naming the file and every key at fault.
pub fn record(loaded: &Loaded) -> Result<Option<Signoff>> {
    let stage = &loaded.settings.risk.stage;
    let path = &stage.signoff_file;
    if path.is_empty() {
        return Ok(None);
    }
    let text = if is_with_money(loaded) {
        read_signed(Path::new(path), &trusted(stage))?.0
    } else {
        std::fs::read_to_string(path).with_context(|| path.clone())?
    };
    let parsed = Signoff::parse(&text).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{path}: {}", told.join("; "))
    });
    parsed.map(Some)
}

/// Judges the configured stage on `today` (UTC day, counted from the epoch). Where money is at
/// stake, what the gate's decision lacks is missing too.
///
/// # Errors
/// When what it is judged by cannot be read.
pub fn judged(loaded: &Loaded, today: i64) -> Result<(Judgement, Artefacts)> {
    let artefacts = running(loaded)?;
    let mut judged = judged_of(loaded, &artefacts, today)?;
    for (symbol, files) in own::files(&loaded.settings)? {
        let version = &files.card.version;
        let artefacts = Artefacts { model: hex(&files.sha256), ..artefacts.clone() };
        let of_own = judged_of(&with_papers_of(loaded, version), &artefacts, today)
            .with_context(|| own::row(&symbol, version))?;
        let named = |what: String| format!("{}: {what}", own::row(&symbol, version));
        judged.missing.extend(of_own.missing.into_iter().map(named));
        judged.lawful = judged.lawful.min(of_own.lawful);
        judged.limits_percent = judged.limits_percent.min(of_own.limits_percent);
    }
    Ok((judged, artefacts))
}

/// The configuration that a model which a symbol has of its own is judged by: its papers lie beside
/// the champion's, with the version in their names, as in `signoff.eth-3.toml`.
pub fn with_papers_of(loaded: &Loaded, version: &str) -> Loaded {
    let mut loaded = loaded.clone();
    let stage = &mut loaded.settings.risk.stage;
    for paper in [&mut stage.signoff_file, &mut stage.decision_file] {
        let path = Path::new(&*paper);
        let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let end = path.extension().and_then(|end| end.to_str());
        let end = end.map_or(String::new(), |end| format!(".{end}"));
        *paper = path.with_file_name(format!("{stem}.{version}{end}")).display().to_string();
    }
    loaded
}

/// Judges one of the models that would run.
fn judged_of(loaded: &Loaded, artefacts: &Artefacts, today: i64) -> Result<Judgement> {
    let record = record(loaded)?;
    let settings = &loaded.settings;
    let stage = &settings.risk.stage;
    let mut judged = judge(settings.mode, &settings.risk, record.as_ref(), artefacts, today);
    if is_with_money(loaded) {
        judged.missing.extend(decision_objections(stage, &artefacts.model, today));
    }
    if !judged.missing.is_empty() {
        judged.lawful = judged.lawful.min(StageName::Shadow);
    }
    Ok(judged)
}

/// Everything that keeps live trading from starting on `today`; empty where nothing does.
pub fn live_objections(loaded: &Loaded, today: i64) -> Vec<String> {
    match judged(loaded, today) {
        Ok((judged, _)) => judged.missing,
        Err(error) => {
            let stage = &loaded.settings.risk.stage;
            let mut objections = vec![format!("{error:#}")];
            if let Ok(Artefacts { model, .. }) = running(loaded) {
                objections.extend(decision_objections(stage, &model, today));
            }
            objections
        }
    }
}

/// Everything that keeps a model with this SHA-256 from trading real money on `today` in the
/// session of `loaded`, exactly as at its start; empty where nothing does.
pub fn model_objections(loaded: &Loaded, model_sha256: &str, today: i64) -> Vec<String> {
    let settings = &loaded.settings;
    let judged = running(loaded).and_then(|artefacts| {
        let artefacts = Artefacts { model: model_sha256.to_owned(), ..artefacts };
        let record = record(loaded)?;
        Ok(judge(settings.mode, &settings.risk, record.as_ref(), &artefacts, today).missing)
    });
    let mut objections = judged.unwrap_or_else(|error| vec![format!("{error:#}")]);
    objections.extend(decision_objections(&settings.risk.stage, model_sha256, today));
    objections
}

/// The configuration with the model named that is judged: a champion that changes between the look
/// and the start is not traded.
///
/// # Errors
/// When the model cannot be read.
pub fn pinned(loaded: &Loaded) -> Result<Loaded> {
    let files = start::files(&loaded.settings)?;
    let version = toml::Value::String(files.card.version);
    Ok(config::with_values(loaded, &[("model", "version", version)])?)
}

fn is_with_money(loaded: &Loaded) -> bool {
    loaded.settings.mode == Mode::Live || loaded.settings.risk.stage.name.is_live()
}

fn trusted(stage: &StageSettings) -> Vec<PublicKey> {
    keys(&stage.trusted_keys)
}

fn keys(texts: &[String]) -> Vec<PublicKey> {
    texts.iter().filter_map(|key| PublicKey::from_hex(key)).collect()
}

/// Whom a promotion believes, and for how long.
pub fn trust(stage: &StageSettings) -> Trust {
    Trust {
        gate: trusted(stage),
        verdicts: keys(&stage.verdict_keys),
        risk: keys(&stage.risk_keys),
        mlops: keys(&stage.mlops_keys),
        decision_days_max: stage.decision_days_max,
        verdict_days_max: stage.verdict_days_max,
    }
}

/// Why the configured decision does not let that model trade, each naming file or key.
fn decision_objections(stage: &StageSettings, model_sha256: &str, today: i64) -> Vec<String> {
    let path = &stage.decision_file;
    let mut objections = Vec::new();
    if path.is_empty() {
        objections.push("stage.decision_file: unset; live trading needs a GO".to_owned());
    }
    if stage.trusted_keys.is_empty() {
        objections.push("stage.trusted_keys: nobody is trusted to sign".to_owned());
    }
    let Some(days_max) = stage.decision_days_max else {
        objections.push("stage.decision_days_max: unset".to_owned());
        return objections;
    };
    if !objections.is_empty() {
        return objections;
    }
    match Decision::read(Path::new(path), &trusted(stage)) {
        Ok((decision, _)) => decision
            .objections(model_sha256, today, days_max)
            .into_iter()
            .map(|objection| format!("{path}: {objection}"))
            .collect(),
        Err(error) => vec![error.to_string()],
    }
}

/// RC-37: the configuration with the part of its limits that the stage leaves. It is part of the
/// text, so that the journal tells it and a replay has the same.
///
/// # Errors
/// When the stage cannot be judged.
pub fn within_limits(loaded: Loaded, today: i64) -> Result<Loaded> {
    if loaded.settings.risk.stage.signoff_file.is_empty() {
        return Ok(loaded);
    }
    let percent = i64::from(judged(&loaded, today)?.0.limits_percent);
    let value = toml::Value::Integer(percent);
    Ok(config::with_values(&loaded, &[("stage", "limits_percent", value)])?)
}

#[cfg(test)]
mod tests;
