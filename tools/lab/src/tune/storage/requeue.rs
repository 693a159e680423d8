//! Trials whose worker is gone, put back as `RetryHeartbeatStaleTrialCallback` of Optuna does it.

use super::super::TuneError;
use super::claim::{note, put_param};
use super::database::Cell;
use super::text::now;
use super::{Rescue, State, Storage};
use std::collections::BTreeMap;

/// Of a trial put back: the number of the first of its point, and of all before it.
const FIRST: &str = "failed_trial";
const HISTORY: &str = "retry_history";
/// What a pruner notes with a trial that came to a rung. Optuna hands it on with the rest; a trial
/// that begins again is at no rung.
const RUNG: &str = "completed_rung_";

impl Storage {
    /// Marks running trials whose worker is gone as failed, and puts their points back into the
    /// queue. The study is locked.
    pub(super) fn rescue(&mut self, rescue: Rescue) -> Result<(), TuneError> {
        let mut gone = self.beat_ages()?;
        gone.retain(|_, age| *age > rescue.grace_secs);
        if gone.is_empty() {
            return Ok(());
        }
        let fail = format!(
            "UPDATE trials SET state = 'FAIL', datetime_complete = '{}' WHERE trial_id = $1 \
             AND state = 'RUNNING'",
            now()
        );
        let number = "SELECT number FROM trials WHERE trial_id = $1";
        for &trial in gone.keys() {
            // Its worker, or one of Optuna, may have ended it without the lock on the study.
            if self.database.execute(&fail, &[Cell::Integer(trial)])? > 0 {
                let rows = self.database.query(number, &[Cell::Integer(trial)])?;
                self.put_back((trial, rows[0][0].integer()?), rescue.retries_max)?;
            }
        }
        Ok(())
    }

    fn put_back(&mut self, (old, number): (i64, i64), retries_max: usize) -> Result<(), TuneError> {
        let mut notes = self.attributes(old)?;
        let history = notes.get(HISTORY).and_then(|text| serde_json::from_str(text).ok());
        let mut history: Vec<i64> = history.unwrap_or_default();
        history.push(number);
        if history.len() > retries_max {
            return Ok(());
        }
        let history: Vec<String> = history.iter().map(i64::to_string).collect();
        notes.insert(HISTORY.to_owned(), format!("[{}]", history.join(", ")));
        notes.entry(FIRST.to_owned()).or_insert_with(|| number.to_string());
        let (id, _) = self.insert(State::Waiting)?;
        let columns = "SELECT param_name, param_value, distribution_json FROM trial_params \
                       WHERE trial_id = $1 ORDER BY param_id";
        for row in self.database.query(columns, &[Cell::Integer(old)])? {
            let value = row[1].real().unwrap_or(f64::NAN);
            put_param(&mut self.database, id, (row[0].text()?, value, row[2].text()?))?;
        }
        let people = "INSERT INTO trial_user_attributes (trial_id, \"key\", value_json) \
                      SELECT CAST($1 AS INTEGER), \"key\", value_json FROM trial_user_attributes \
                      WHERE trial_id = $2";
        self.database.execute(people, &[Cell::Integer(id), Cell::Integer(old)])?;
        notes.retain(|key, _| !key.starts_with(RUNG));
        notes.iter().try_for_each(|(key, json)| note(&mut self.database, id, key, json))
    }

    /// Seconds since the last sign of life of each running trial that has one, by the storage's
    /// clock. Nobody can give one while a server is away: its absence counts for no silence.
    pub(super) fn beat_ages(&mut self) -> Result<BTreeMap<i64, f64>, TuneError> {
        let age = if self.database.is_file() {
            "(julianday('now') - julianday(h.heartbeat)) * 86400.0"
        } else {
            "CAST(EXTRACT(EPOCH FROM LEAST(LOCALTIMESTAMP - h.heartbeat, \
             CURRENT_TIMESTAMP - pg_postmaster_start_time())) AS DOUBLE PRECISION)"
        };
        let sql = format!(
            "SELECT h.trial_id, {age} FROM trial_heartbeats h \
             JOIN trials t ON t.trial_id = h.trial_id \
             WHERE t.study_id = $1 AND t.state = 'RUNNING'"
        );
        let rows = self.database.query(&sql, &[Cell::Integer(self.study)])?;
        let again = self.database.again_secs();
        let age = |cell: &Cell| cell.real().unwrap_or(0.0).min(again);
        rows.iter().map(|row| Ok((row[0].integer()?, age(&row[1])))).collect()
    }
}
