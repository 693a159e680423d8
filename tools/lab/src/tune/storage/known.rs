//! Trials as they are read. What ended does not change, and is read once.

use super::super::space::{Parameter, Space};
use super::super::{Observation, Outcome, TuneError};
use super::database::Cell;
use super::text::number_of;
use super::{State, Storage, Trial};
use std::collections::BTreeMap;

/// What a trial has beside its row. `$2` is the first trial that is asked for.
const PARTS: [&str; 4] = [
    "SELECT p.trial_id, p.param_name, p.param_value, p.distribution_json \
     FROM trial_params p JOIN trials t ON t.trial_id = p.trial_id \
     WHERE t.study_id = $1 AND t.trial_id >= $2",
    "SELECT v.trial_id, v.value, CAST(v.value_type AS TEXT) FROM trial_values v \
     JOIN trials t ON t.trial_id = v.trial_id \
     WHERE t.study_id = $1 AND t.trial_id >= $2 AND v.objective = 0",
    "SELECT i.trial_id, i.intermediate_value, CAST(i.intermediate_value_type AS TEXT), \
     i.step FROM trial_intermediate_values i JOIN trials t ON t.trial_id = i.trial_id \
     WHERE t.study_id = $1 AND t.trial_id >= $2 AND t.state = 'PRUNED' ORDER BY i.step",
    "SELECT a.trial_id, a.value_json FROM trial_system_attributes a \
     JOIN trials t ON t.trial_id = a.trial_id \
     WHERE t.study_id = $1 AND t.trial_id >= $2 AND a.\"key\" = 'failed_trial'",
];

impl Storage {
    /// Every trial of the study by number.
    ///
    /// # Errors
    /// A storage that cannot be read.
    pub fn trials(&mut self) -> Result<Vec<Trial>, TuneError> {
        self.lasting(|storage| storage.known().map(<[Trial]>::to_vec))
    }

    /// The same. Asked for are those from the first on that had not ended when last seen: a trial
    /// gets its row and its number under the lock on the study, so that none comes between.
    pub(super) fn known(&mut self) -> Result<&[Trial], TuneError> {
        let open = |trial: &Trial| matches!(trial.state, State::Running | State::Waiting);
        let settled = self.known.iter().position(open).unwrap_or(self.known.len());
        self.known.truncate(settled);
        let from = self.known.last().map_or(0, |last| last.id + 1);
        let trials = self.read(from)?;
        self.known.extend(trials);
        Ok(&self.known)
    }

    fn read(&mut self, from: i64) -> Result<Vec<Trial>, TuneError> {
        let wanted = [Cell::Integer(self.study), Cell::Integer(from)];
        let rows = self.database.query(
            "SELECT trial_id, number, CAST(state AS TEXT) FROM trials \
             WHERE study_id = $1 AND trial_id >= $2 ORDER BY number, trial_id",
            &wanted,
        )?;
        let mut trials = Vec::with_capacity(rows.len());
        let mut places = BTreeMap::new();
        for row in &rows {
            places.insert(row[0].integer()?, trials.len());
            trials.push(Trial {
                id: row[0].integer()?,
                number: row[1].integer()?,
                state: State::named(row[2].text()?)?,
                params: BTreeMap::new(),
                value: None,
                last: None,
                retry_of: None,
            });
        }
        for (part, sql) in PARTS.iter().enumerate() {
            for row in self.database.query(sql, &wanted)? {
                // Another process may have added trials since the first question.
                let Some(&at) = places.get(&row[0].integer()?) else { continue };
                let trial: &mut Trial = &mut trials[at];
                match part {
                    0 => {
                        let value = row[2].real().unwrap_or(f64::NAN);
                        let stored = (value, row[3].text()?.to_owned());
                        trial.params.insert(row[1].text()?.to_owned(), stored);
                    }
                    1 => trial.value = Some(number_of(&row[1], row[2].text()?)),
                    2 => {
                        let value = number_of(&row[1], row[2].text()?);
                        trial.last = Some((row[3].integer()?, value));
                    }
                    _ => trial.retry_of = row[1].text()?.trim().parse().ok(),
                }
            }
        }
        Ok(trials)
    }
}

/// What a sampler may learn from: trials with every parameter of the space at a value it may take.
pub fn observations(trials: &[Trial], space: &Space, sign: f64) -> Vec<Observation> {
    let observation = |trial: &Trial| {
        let outcome = match trial.state {
            State::Complete => Outcome::Complete(sign * trial.value?),
            State::Pruned => Outcome::Pruned(trial.last.map(|(step, value)| (step, sign * value))),
            State::Running => Outcome::Running,
            State::Fail | State::Waiting => return None,
        };
        let value = |Parameter { name, distribution }: &Parameter| {
            let (value, _) = trial.params.get(name)?;
            distribution.contains(*value).then_some(*value)
        };
        let values = space.parameters().iter().map(value).collect::<Option<_>>()?;
        Some(Observation { values, outcome })
    };
    trials.iter().filter_map(observation).collect()
}
