//! Trials of studies that ended. What runs is shown when it ended.

use super::{Found, Gathered, text};
use crate::mirror::item::{Kind, Run};
use crate::mirror::settings::{Settings, StudyName};
use crate::tune::{Distribution, State, Storage, Trial, TuneError};
use peregrine::model::artifact::{hex, sha256};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// Runs of every trial that ended, of every study that is named.
pub(super) fn look(settings: &Settings, gathered: &mut Gathered) {
    for study in &settings.sources.studies {
        if !Path::new(&study.storage).is_file() {
            continue;
        }
        match trials(study) {
            Ok(trials) => {
                let ended = trials.iter().filter(|trial| {
                    matches!(trial.state, State::Complete | State::Pruned | State::Fail)
                });
                gathered.found.extend(ended.map(|trial| found(study, trial)));
            }
            Err(error) => gathered.problems.push(format!("{}: {error}", study.storage)),
        }
    }
}

fn trials(study: &StudyName) -> Result<Vec<Trial>, TuneError> {
    // Opening a storage makes the study that is not there; looking at it must not.
    let file = Connection::open_with_flags(&study.storage, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let count = "SELECT COUNT(*) FROM studies WHERE study_name = $1";
    let there: i64 = file.query_row(count, [&study.name], |row| row.get(0))?;
    if there == 0 {
        let why = "it is not in this file".to_owned();
        return Err(TuneError::Study { study: study.name.clone(), why });
    }
    Storage::open(&study.storage, &study.name)?.trials()
}

fn found(study: &StudyName, trial: &Trial) -> Found {
    // A study of the same name that was begun anew has other points under the same numbers.
    let points: Vec<u8> = trial.params.values().flat_map(|(at, _)| at.to_le_bytes()).collect();
    let key = format!("trial/{}/{}/{}", study.name, trial.number, hex(&sha256(&points)));
    let mut run = Run::new(Kind::Trial, key, &format!("{} {}", study.name, trial.number), 0);
    run.failed = trial.state == State::Fail;
    let state = match trial.state {
        State::Complete => "complete",
        State::Pruned => "pruned",
        _ => "failed",
    };
    run.tag("study", &study.name);
    run.tag("state", state);
    for (name, (value, distribution)) in &trial.params {
        // What is stored of a choice is its place.
        let value = Distribution::from_json(distribution)
            .map_or_else(|| value.to_string(), |distribution| text(&distribution.outside(*value)));
        run.param(name, value);
    }
    let number = trial.number.unsigned_abs();
    run.metric("value", trial.value, (0, number));
    Found::new(run, 0)
}
