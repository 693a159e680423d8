//! A study in Optuna's tables.
//!
//! ```text
//!            ┌── waiting ──┐ claimed first
//!   claim ───┤             ├──► running ──► complete, pruned, fail
//!            └── sampled ──┘       │ heartbeat too old
//!                 ▲                ▼
//!                 └─ waiting ◄── fail      the same point again, `retries_max` times
//! ```
//! A claim happens under the database's lock: dead trials are put back, one waiting is taken or a
//! new point drawn from all that is known, and nobody else gets the same one. A trial that was
//! taken from its worker can no longer be ended by it.
//!
//! A server may go away and come back: whatever a worker asks of it waits for that.

mod claim;
mod database;
mod known;
mod outage;
mod requeue;
mod schema;
mod server;
mod text;

pub use claim::{Claim, Claimed};

use super::TuneError;
use super::space::{Distribution, Parameter, Space};
use database::{Cell, Database};
use std::collections::BTreeMap;
use std::time::Duration;
use text::{now, number_of, typed};

/// State of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A worker is on it.
    Running,
    /// It has a value.
    Complete,
    /// It was stopped early.
    Pruned,
    /// It has no value and will have none.
    Fail,
    /// It is to be taken before new points are drawn.
    Waiting,
}

impl State {
    const NAMES: [(Self, &'static str); 5] = [
        (Self::Running, "RUNNING"),
        (Self::Complete, "COMPLETE"),
        (Self::Pruned, "PRUNED"),
        (Self::Fail, "FAIL"),
        (Self::Waiting, "WAITING"),
    ];

    fn named(text: &str) -> Result<Self, TuneError> {
        let found = Self::NAMES.iter().find(|(_, name)| *name == text);
        found
            .map(|(state, _)| *state)
            .ok_or_else(|| TuneError::Storage(format!("{text} is no state of a trial")))
    }
}

/// How a trial ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ending {
    /// With a value, in the study's own direction.
    Complete(f64),
    /// Stopped early, with the last value told if any.
    Pruned(Option<f64>),
    /// Without one.
    Fail,
}

/// A trial as it is stored. Values are in the study's own direction.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its row.
    pub id: i64,
    /// Its number in the study, from 0.
    pub number: i64,
    /// Its state.
    pub state: State,
    /// Stored values with their distributions, by name.
    pub params: BTreeMap<String, (f64, String)>,
    /// What it came to.
    pub value: Option<f64>,
    /// The last step told and the value there; read for trials stopped early alone.
    pub last: Option<(i64, f64)>,
    /// Number of the trial it repeats, whose worker was gone.
    pub retry_of: Option<i64>,
}

/// When a worker is thought to be gone, and what becomes of its trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rescue {
    /// A heartbeat older than this is of a worker that is gone, seconds.
    pub grace_secs: f64,
    /// How often one point is tried again at most.
    pub retries_max: usize,
}

/// A connection to one study. Not shared between threads: each opens its own.
pub struct Storage {
    database: Database,
    study: i64,
    name: String,
    /// 1 where less is better, −1 where more is.
    sign: f64,
    /// How long a server that went away is waited for.
    outage: Duration,
    /// Trials as they were last seen, by number.
    known: Vec<Trial>,
}

impl Storage {
    /// Opens the study `name` in a file or at a URL of `postgresql://`; makes the tables and the
    /// study where they are not there. A study made here is minimised.
    ///
    /// # Errors
    /// A storage that cannot be reached, is of another version, or a study of several objectives.
    pub fn open(target: &str, name: &str) -> Result<Self, TuneError> {
        let mut database = Database::open(target)?;
        schema::prepare(&mut database)?;
        let text = || Cell::Text(name.to_owned());
        let study = database.whole(|database| {
            database.execute(
                "INSERT INTO studies (study_name) VALUES ($1) ON CONFLICT DO NOTHING",
                &[text()],
            )?;
            let rows =
                database.query("SELECT study_id FROM studies WHERE study_name = $1", &[text()])?;
            let study = rows[0][0].integer()?;
            database.execute(
                "INSERT INTO study_directions (direction, study_id, objective) \
                 SELECT 'MINIMIZE', study_id, 0 FROM studies WHERE study_id = $1 \
                 AND NOT EXISTS (SELECT 1 FROM study_directions d \
                 WHERE d.study_id = studies.study_id) ON CONFLICT DO NOTHING",
                &[Cell::Integer(study)],
            )?;
            Ok(study)
        })?;
        let directions = database.query(
            "SELECT CAST(direction AS TEXT) FROM study_directions WHERE study_id = $1",
            &[Cell::Integer(study)],
        )?;
        let refuse = |why: &str| TuneError::Study { study: name.to_owned(), why: why.to_owned() };
        let [direction] = directions.as_slice() else {
            return Err(refuse("it has several objectives, and one is searched for here"));
        };
        let sign = match direction[0].text()? {
            "MINIMIZE" => 1.0,
            "MAXIMIZE" => -1.0,
            _ => return Err(refuse("it has no direction")),
        };
        Ok(Self {
            database,
            study,
            name: name.to_owned(),
            sign,
            outage: Duration::ZERO,
            known: Vec::new(),
        })
    }

    /// 1 where less is better, −1 where more is: a value times this is to be made small.
    pub const fn sign(&self) -> f64 {
        self.sign
    }

    /// Writes down what the study is of, or checks it against what is written down.
    ///
    /// # Errors
    /// A study of something else, or of a parameter of the same name and another kind.
    pub fn is_about(&mut self, about: &str, space: &Space) -> Result<(), TuneError> {
        let value = text::json_text(about);
        let study = Cell::Integer(self.study);
        self.database.execute(
            "INSERT INTO study_user_attributes (study_id, \"key\", value_json) \
             VALUES ($1, 'about', $2) ON CONFLICT DO NOTHING",
            &[study.clone(), Cell::Text(value.clone())],
        )?;
        let rows = self.database.query(
            "SELECT value_json FROM study_user_attributes \
             WHERE study_id = $1 AND \"key\" = 'about'",
            &[study],
        )?;
        let study = self.name.clone();
        let refuse = |why: String| TuneError::Study { study: study.clone(), why };
        let found = rows.first().map_or(Ok(""), |row| row[0].text())?;
        if found != value {
            return Err(refuse(format!("it is about {found}, not about {value}")));
        }
        for trial in self.trials()? {
            for Parameter { name, distribution } in space.parameters() {
                let Some((_, json)) = trial.params.get(name) else { continue };
                if !Distribution::from_json(json).is_some_and(|was| was.fits(distribution)) {
                    let was = format!("in trial {} {name} is {json}", trial.number);
                    return Err(refuse(format!("{was}, here it is {}", distribution.to_json())));
                }
            }
        }
        Ok(())
    }

    /// Tells a value of a running trial at a step, in the study's own direction. The first value at
    /// a step stays.
    ///
    /// # Errors
    /// A storage that cannot be written.
    pub fn report(&mut self, trial: i64, step: i64, value: f64) -> Result<(), TuneError> {
        let (value, kind) = typed(value);
        let sql = format!(
            "INSERT INTO trial_intermediate_values \
             (trial_id, step, intermediate_value, intermediate_value_type) \
             VALUES ($1, $2, $3, '{kind}') ON CONFLICT DO NOTHING"
        );
        self.lasting(|storage| {
            let values = [Cell::Integer(trial), Cell::Integer(step), value.clone()];
            storage.database.execute(&sql, &values).map(|_| ())
        })
    }

    /// How many trials are complete, and their values at a step, less being better.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn values_at(&mut self, step: i64) -> Result<(usize, Vec<f64>), TuneError> {
        self.lasting(|storage| storage.values_now(step))
    }

    fn values_now(&mut self, step: i64) -> Result<(usize, Vec<f64>), TuneError> {
        let study = Cell::Integer(self.study);
        let rows = self.database.query(
            "SELECT COUNT(*) FROM trials WHERE study_id = $1 AND state = 'COMPLETE'",
            std::slice::from_ref(&study),
        )?;
        let complete = usize::try_from(rows[0][0].integer()?).unwrap_or(0);
        let rows = self.database.query(
            "SELECT i.intermediate_value, CAST(i.intermediate_value_type AS TEXT) \
             FROM trial_intermediate_values i JOIN trials t ON t.trial_id = i.trial_id \
             WHERE t.study_id = $1 AND i.step = $2 AND t.state = 'COMPLETE'",
            &[study, Cell::Integer(step)],
        )?;
        let value = |row: &Vec<Cell>| Ok(self.sign * number_of(&row[0], row[1].text()?));
        Ok((complete, rows.iter().map(value).collect::<Result<_, TuneError>>()?))
    }

    /// Writes down that a trial completed a rung with a value, and gives the values of the others
    /// there. Values come and go such that less is better.
    ///
    /// # Errors
    /// A storage that cannot be asked.
    pub fn rung(&mut self, trial: i64, rung: u32, value: f64) -> Result<Vec<f64>, TuneError> {
        let (study, sign) = (self.study, self.sign);
        let key = format!("completed_rung_{rung}");
        let ask = |database: &mut Database| {
            let rows = database.query(
                "SELECT a.value_json FROM trial_system_attributes a \
                 JOIN trials t ON t.trial_id = a.trial_id \
                 WHERE a.\"key\" = $1 AND t.study_id = $2 AND a.trial_id <> $3",
                &[Cell::Text(key.clone()), Cell::Integer(study), Cell::Integer(trial)],
            )?;
            let json = super::space::python_json(&serde_json::json!(sign * value));
            claim::note(database, trial, &key, &json)?;
            // What is no finite number is not written by us, and Python's words for it are passed
            // over.
            let others = rows.iter().filter_map(|row| row[0].text().ok()?.parse::<f64>().ok());
            Ok(others.map(|other| sign * other).collect())
        };
        self.lasting(|storage| storage.database.whole(ask))
    }

    /// Says that the workers of these trials are alive.
    ///
    /// # Errors
    /// A storage that cannot be written.
    pub fn beat(&mut self, trials: &[i64]) -> Result<(), TuneError> {
        if trials.is_empty() {
            return Ok(());
        }
        let all = |database: &mut Database| {
            trials.iter().try_for_each(|&trial| claim::beat(database, trial))
        };
        self.lasting(|storage| storage.database.whole(all))
    }

    /// Ends a running trial. False where it is no longer this worker's: it was thought to be gone,
    /// and another has the point.
    ///
    /// # Errors
    /// A storage that cannot be written.
    pub fn end(&mut self, trial: i64, ending: Ending) -> Result<bool, TuneError> {
        let (state, value) = match ending {
            Ending::Complete(value) => ("COMPLETE", Some(value)),
            Ending::Pruned(value) => ("PRUNED", value.filter(|value| !value.is_nan())),
            Ending::Fail => ("FAIL", None),
        };
        let mut again = false;
        self.lasting(|storage| {
            let is_again = std::mem::replace(&mut again, true);
            // The answer to the first time may have been lost, and not what it asked for.
            Ok(storage.end_now(trial, state, value)?
                || is_again && storage.state_of(trial)?.as_deref() == Some(state))
        })
    }

    fn end_now(&mut self, trial: i64, state: &str, value: Option<f64>) -> Result<bool, TuneError> {
        let sql = format!(
            "UPDATE trials SET state = '{state}', datetime_complete = '{}' \
             WHERE trial_id = $1 AND state = 'RUNNING'",
            now()
        );
        self.database.whole(|database| {
            if database.execute(&sql, &[Cell::Integer(trial)])? == 0 {
                return Ok(false);
            }
            if let Some(value) = value {
                let (value, kind) = typed(value);
                let sql = format!(
                    "INSERT INTO trial_values (trial_id, objective, value, value_type) \
                     VALUES ($1, 0, $2, '{kind}')"
                );
                database.execute(&sql, &[Cell::Integer(trial), value])?;
            }
            Ok(true)
        })
    }

    fn state_of(&mut self, trial: i64) -> Result<Option<String>, TuneError> {
        let sql = "SELECT CAST(state AS TEXT) FROM trials WHERE trial_id = $1";
        let rows = self.database.query(sql, &[Cell::Integer(trial)])?;
        rows.first().map(|row| Ok(row[0].text()?.to_owned())).transpose()
    }
}
