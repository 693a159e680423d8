//! Who works on what: claims and heartbeats.

use super::super::space::{Parameter, Space};
use super::super::{Observation, TuneError};
use super::database::{Cell, Database};
use super::known::observations;
use super::text::now;
use super::{Rescue, State, Storage, Trial};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim {
    /// A trial that is now this worker's.
    Trial(Claimed),
    /// Nothing now: so many trials of living workers run and fill the budget. One of them may fail.
    Wait(usize),
    /// Nothing: the budget is used up.
    Done,
}

/// A trial that is this worker's.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// Its row.
    pub id: i64,
    /// Its number in the study.
    pub number: i64,
    /// A stored value a parameter, in the space's order.
    pub values: Vec<f64>,
}

/// Draws a point: what is known, and a number no other point of the study was drawn with.
pub type Draw<'a> = &'a mut dyn FnMut(&[Observation], u64) -> Vec<f64>;

impl Storage {
    /// Claims a trial while fewer than `budget` are complete, pruned or running.
    ///
    /// # Errors
    /// A storage that cannot be asked.
    pub fn claim(
        &mut self,
        space: &Space,
        budget: usize,
        rescue: Rescue,
        draw: Draw<'_>,
    ) -> Result<Claim, TuneError> {
        self.lasting(|storage| {
            let claim = storage
                .begin()
                .and_then(|()| storage.claim_locked(space, budget, rescue, &mut *draw))
                .and_then(|claim| storage.database.batch("COMMIT").map(|()| claim));
            if claim.is_err() {
                // What was seen within it may not have come to be. The first error is the one that
                // tells what went wrong.
                storage.known.clear();
                let _ = storage.database.batch("ROLLBACK");
            }
            claim
        })
    }

    /// Begins what one process alone does with a study at a time.
    fn begin(&mut self) -> Result<(), TuneError> {
        if self.database.is_file() {
            return self.database.batch("BEGIN IMMEDIATE");
        }
        self.database.batch("BEGIN")?;
        let lock = "SELECT study_id FROM studies WHERE study_id = $1 FOR UPDATE";
        self.database.query(lock, &[Cell::Integer(self.study)])?;
        Ok(())
    }

    fn claim_locked(
        &mut self,
        space: &Space,
        budget: usize,
        rescue: Rescue,
        draw: Draw<'_>,
    ) -> Result<Claim, TuneError> {
        self.rescue(rescue)?;
        let beats = self.beat_ages()?;
        let sign = self.sign;
        let trials = self.known()?;
        // A trial without a heartbeat may be anyone's, living or dead: it is not waited for.
        let living =
            |trial: &&Trial| trial.state == State::Running && beats.contains_key(&trial.id);
        let running = trials.iter().filter(living).count();
        let ended = |trial: &&Trial| matches!(trial.state, State::Complete | State::Pruned);
        let used = trials.iter().filter(ended).count() + running;
        if used >= budget {
            return Ok(if running > 0 { Claim::Wait(running) } else { Claim::Done });
        }
        let history = observations(trials, space, sign);
        // A repeated trial draws nothing: numbered without them, an interrupted search goes on as
        // if it never was.
        let key = trials.iter().filter(|trial| trial.retry_of.is_none()).count() as u64;
        if let Some((id, number)) = self.take_waiting()? {
            let mut drawn = || draw(&history, key);
            let values = self.waiting_values(id, space, &mut drawn)?;
            return self.taken(id, number, space, values);
        }
        let values = draw(&history, key);
        let (id, number) = self.insert(State::Running)?;
        self.taken(id, number, space, values)
    }

    fn taken(
        &mut self,
        id: i64,
        number: i64,
        space: &Space,
        values: Vec<f64>,
    ) -> Result<Claim, TuneError> {
        for (Parameter { name, distribution }, &value) in space.parameters().iter().zip(&values) {
            put_param(&mut self.database, id, (name, value, &distribution.to_json()))?;
        }
        beat(&mut self.database, id)?;
        Ok(Claim::Trial(Claimed { id, number, values }))
    }

    /// Adds a trial with the next number.
    pub(super) fn insert(&mut self, state: State) -> Result<(i64, i64), TuneError> {
        let rows = self.database.query(
            "SELECT COUNT(*) FROM trials WHERE study_id = $1",
            &[Cell::Integer(self.study)],
        )?;
        let number = rows[0][0].integer()?;
        let (state, start) = match state {
            State::Running => ("RUNNING", format!("'{}'", now())),
            _ => ("WAITING", "NULL".to_owned()),
        };
        let sql = format!(
            "INSERT INTO trials (number, study_id, state, datetime_start) \
             VALUES ($1, $2, '{state}', {start}) RETURNING trial_id"
        );
        let rows =
            self.database.query(&sql, &[Cell::Integer(number), Cell::Integer(self.study)])?;
        Ok((rows[0][0].integer()?, number))
    }

    /// The first of the queue, from now on running. A worker of Optuna takes from the queue without
    /// the lock on the study: whoever changes the state has the trial.
    fn take_waiting(&mut self) -> Result<Option<(i64, i64)>, TuneError> {
        let rows = self.database.query(
            "SELECT trial_id, number FROM trials WHERE study_id = $1 AND state = 'WAITING' \
             ORDER BY number",
            &[Cell::Integer(self.study)],
        )?;
        let start = format!(
            "UPDATE trials SET state = 'RUNNING', datetime_start = '{}' WHERE trial_id = $1 \
             AND state = 'WAITING'",
            now()
        );
        for row in &rows {
            let (id, number) = (row[0].integer()?, row[1].integer()?);
            if self.database.execute(&start, &[Cell::Integer(id)])? > 0 {
                return Ok(Some((id, number)));
            }
        }
        Ok(None)
    }

    /// The point of a waiting trial: what is stored with it, what it was asked for by hand, and for
    /// the rest what is drawn.
    fn waiting_values(
        &mut self,
        id: i64,
        space: &Space,
        draw: &mut dyn FnMut() -> Vec<f64>,
    ) -> Result<Vec<f64>, TuneError> {
        let rows = self.database.query(
            "SELECT param_name, param_value FROM trial_params WHERE trial_id = $1",
            &[Cell::Integer(id)],
        )?;
        let mut stored = BTreeMap::new();
        for row in &rows {
            stored.insert(row[0].text()?.to_owned(), row[1].real());
        }
        let fixed = self.attributes(id)?.remove("fixed_params");
        let fixed: Value =
            fixed.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
        let known = |Parameter { name, distribution }: &Parameter| {
            let stored = stored.get(name).copied().flatten();
            let stored = stored.filter(|&value| distribution.contains(value));
            stored.or_else(|| distribution.inside(fixed.get(name)?))
        };
        let known: Vec<Option<f64>> = space.parameters().iter().map(known).collect();
        if known.iter().all(Option::is_some) {
            return Ok(known.into_iter().flatten().collect());
        }
        let drawn = draw();
        Ok(known.iter().zip(drawn).map(|(known, drawn)| known.unwrap_or(drawn)).collect())
    }

    /// System attributes of a trial as JSON text.
    pub(super) fn attributes(&mut self, trial: i64) -> Result<BTreeMap<String, String>, TuneError> {
        let rows = self.database.query(
            "SELECT \"key\", value_json FROM trial_system_attributes WHERE trial_id = $1",
            &[Cell::Integer(trial)],
        )?;
        rows.iter().map(|row| Ok((row[0].text()?.to_owned(), row[1].text()?.to_owned()))).collect()
    }
}

/// Says that a trial's worker is alive, by the storage's clock.
pub fn beat(database: &mut Database, trial: i64) -> Result<(), TuneError> {
    // A file's own time has whole seconds alone; Optuna reads six digits after the point.
    let now = if database.is_file() {
        "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"
    } else {
        "LOCALTIMESTAMP"
    };
    let sql = format!(
        "INSERT INTO trial_heartbeats (trial_id, heartbeat) VALUES ($1, {now}) \
         ON CONFLICT (trial_id) DO UPDATE SET heartbeat = excluded.heartbeat"
    );
    database.execute(&sql, &[Cell::Integer(trial)])?;
    Ok(())
}

/// Sets a system attribute of a trial to JSON text.
pub fn note(database: &mut Database, trial: i64, key: &str, json: &str) -> Result<(), TuneError> {
    database.execute(
        "INSERT INTO trial_system_attributes (trial_id, \"key\", value_json) VALUES ($1, $2, $3) \
         ON CONFLICT (trial_id, \"key\") DO UPDATE SET value_json = excluded.value_json",
        &[Cell::Integer(trial), Cell::Text(key.to_owned()), Cell::Text(json.to_owned())],
    )?;
    Ok(())
}

/// Sets a parameter of a trial: its name, stored value and distribution.
pub fn put_param(
    database: &mut Database,
    trial: i64,
    (name, value, distribution): (&str, f64, &str),
) -> Result<(), TuneError> {
    database.execute(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (trial_id, param_name) DO UPDATE \
         SET param_value = excluded.param_value, distribution_json = excluded.distribution_json",
        &[
            Cell::Integer(trial),
            Cell::Text(name.to_owned()),
            Cell::Real(value),
            Cell::Text(distribution.to_owned()),
        ],
    )?;
    Ok(())
}
