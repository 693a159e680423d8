//! Reads what `risk::stage` judges: the sign-off record, and the hashes of what runs.
//!
//! The record is a TOML file with one table, named by `stage.signoff_file`:
//!
//! ```toml
//! [signoff]
//! stage = "limited_live"          # what was signed for
//! signed_by = ["A. Person"]       # who signed
//! since_day = 20783               # UTC day, counted from 1970-01-01, since which this runs
//! program_sha256 = "…"            # of this program, this configuration and this model,
//! config_sha256 = "…"             # as `peregrine check --config FILE` tells them
//! model_sha256 = "…"
//! days = 8                        # what the stage before showed
//! round_trips = 120
//! sharpe = 2.1
//! drawdown_bps = 900
//! ```

use super::config::{self, Loaded};
use crate::model::artifact::{hex, sha256};
use crate::registry::Registry;
use crate::risk::stage::{Artefacts, Judgement, Signoff, judge};
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// Hashes of the program, the configuration and the model that would run.
///
/// # Errors
/// When one of them cannot be read.
pub fn running(loaded: &Loaded) -> Result<Artefacts> {
    let program = std::env::current_exe().context("this program's own path")?;
    let bytes = std::fs::read(&program).with_context(|| program.display().to_string())?;
    let model = &loaded.settings.model;
    let files = Registry::open(Path::new(&model.dir))?.select(&model.version)?;
    Ok(Artefacts {
        program: hex(&sha256(&bytes)),
        config: hex(&sha256(loaded.text.as_bytes())),
        model: hex(&files.sha256),
    })
}

/// The record that the configuration names; `None` where it names none.
///
/// # Errors
/// When it cannot be read, naming every key at fault.
pub fn record(loaded: &Loaded) -> Result<Option<Signoff>> {
    let path = &loaded.settings.risk.stage.signoff_file;
    if path.is_empty() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).with_context(|| path.clone())?;
    let parsed = Signoff::parse(&text).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{path}: {}", told.join("; "))
    });
    parsed.map(Some)
}

/// Judges the configured stage on `today` (UTC day, counted from the epoch).
///
/// # Errors
/// When what it is judged by cannot be read.
pub fn judged(loaded: &Loaded, today: i64) -> Result<(Judgement, Artefacts)> {
    let artefacts = running(loaded)?;
    let record = record(loaded)?;
    let settings = &loaded.settings;
    let stage = &settings.risk.stage;
    Ok((judge(settings.mode, stage, record.as_ref(), &artefacts, today), artefacts))
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
mod tests {
    use super::*;
    use crate::base::settings::StageName;
    use toml::Value;

    const TODAY: i64 = 20_783;

    /// The shipped paper configuration for a stage, with a record in `dir`.
    fn loaded(dir: &Path, name: &str) -> Loaded {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let loaded = config::load(&root.join("config/paper.toml")).unwrap();
        let text = |path: &Path| Value::String(path.display().to_string());
        let values = [
            ("model", "dir", text(&root.join("models_saved"))),
            ("stage", "name", Value::String(name.to_owned())),
            ("stage", "signoff_file", text(&dir.join("signoff.toml"))),
            ("stage", "new_percent", Value::Integer(10)),
            ("stage", "new_days", Value::Integer(3)),
            ("stage", "days_min", Value::Integer(7)),
            ("stage", "round_trips_min", Value::Integer(100)),
            ("stage", "sharpe_min", Value::Float(1.8)),
            ("stage", "drawdown_bps_max", Value::Integer(2_000)),
        ];
        config::with_values(&loaded, &values).unwrap()
    }

    fn write(dir: &Path, of: &Artefacts, since: i64) {
        let text = format!(
            "[signoff]\nstage = \"limited_live\"\nsigned_by = [\"A. Person\"]\n\
             since_day = {since}\nprogram_sha256 = \"{}\"\nconfig_sha256 = \"{}\"\n\
             model_sha256 = \"{}\"\ndays = 8\nround_trips = 120\nsharpe = 2.1\n\
             drawdown_bps = 900\n",
            of.program, of.config, of.model
        );
        std::fs::write(dir.join("signoff.toml"), text).unwrap();
    }

    #[test]
    fn a_record_of_what_runs_makes_the_stage_lawful_and_a_new_thing_has_a_part_of_its_limits() {
        let dir = tempfile::tempdir().unwrap();
        let loaded = loaded(dir.path(), "limited_live");
        let running = running(&loaded).unwrap();
        write(dir.path(), &running, TODAY - 3);
        let (judged, told) = judged(&loaded, TODAY).unwrap();
        assert_eq!((judged.lawful, &*judged.missing), (StageName::LimitedLive, &[][..]));
        assert_eq!(told, running);
        let percent = |today| {
            let within = within_limits(loaded.clone(), today).unwrap();
            within.settings.risk.stage.limits_percent
        };
        assert_eq!((percent(TODAY), percent(TODAY - 1)), (Some(100), Some(10)));
        write(dir.path(), &Artefacts { model: "0".repeat(64), ..running }, TODAY - 3);
        assert_eq!(percent(TODAY), Some(10), "another model is new");
    }

    #[test]
    fn a_record_that_is_missing_or_malformed_is_told_by_file_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let loaded = loaded(dir.path(), "full");
        let gone = format!("{:#}", record(&loaded).unwrap_err());
        assert!(gone.contains("signoff.toml"), "{gone}");
        std::fs::write(dir.path().join("signoff.toml"), "[signoff]\nstage = \"all\"\n").unwrap();
        let wrong = format!("{:#}", record(&loaded).unwrap_err());
        for part in ["signoff.toml", "signoff.stage", "signoff.model_sha256: missing"] {
            assert!(wrong.contains(part), "{wrong}");
        }
    }
}
