//! Brings decisions and what came of them together again, and keeps a trial of every pair.

use super::record::{Came, Decided, Line};
use super::settings::PromotionSettings;
use super::trial::Trial;
use std::collections::BTreeMap;

/// Decisions that wait for their outcome at most; beyond it the oldest is given up and counted.
pub const WAITING_MAX: usize = 1 << 18;
/// Trials at most: pairs and stages that one log tells of.
pub const TRIALS_MAX: usize = 64;

/// Names a decision of one challenger.
type Key = (u64, String, String);

/// Every trial of a log.
#[derive(Clone, Debug)]
pub struct Trials {
    settings: PromotionSettings,
    trials: Vec<Trial>,
    waiting: BTreeMap<Key, Box<Decided>>,
    decisions: u64,
    outcomes: u64,
    given_up: u64,
}

impl Trials {
    /// None yet.
    pub fn new(settings: PromotionSettings) -> Self {
        let (trials, waiting) = (Vec::new(), BTreeMap::new());
        Self { settings, trials, waiting, decisions: 0, outcomes: 0, given_up: 0 }
    }

    /// Takes a line in, in the order of the file.
    ///
    /// # Errors
    /// What keeps it from being used; it changes nothing then.
    pub fn push(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Decision(decided) => self.decided(decided),
            Line::Outcome(came) => self.came(came),
        }
    }

    fn decided(&mut self, decided: Box<Decided>) -> Result<(), String> {
        let challenger = decided.challenger.version.clone();
        let key = (decided.seq, decided.symbol.clone(), challenger);
        if let Some(before) = self.waiting.get(&key) {
            if before.ts_event_ns == decided.ts_event_ns {
                return Err(format!("decision {} on {} by {}: stands twice", key.0, key.1, key.2));
            }
            // Every session numbers anew: that one's ended before the outcome came.
            self.given_up += 1;
        }
        let at = self.trials.iter().position(|trial| trial.is_of(&decided));
        let at = match at {
            Some(at) => at,
            None if self.trials.len() == TRIALS_MAX => {
                return Err(format!("a pair beyond the {TRIALS_MAX}th"));
            }
            None => {
                self.trials.push(Trial::new(&self.settings, &decided));
                self.trials.len() - 1
            }
        };
        self.trials[at].decided(&decided);
        self.decisions += 1;
        self.waiting.insert(key, decided);
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_first();
            self.given_up += 1;
        }
        Ok(())
    }

    fn came(&mut self, came: Came) -> Result<(), String> {
        let key = (came.seq, came.symbol, came.challenger);
        let Some(decided) = self.waiting.remove(&key) else {
            return Err(format!(
                "outcome of {} on {} by {}: no such decision",
                key.0, key.1, key.2
            ));
        };
        if let Some(trial) = self.trials.iter_mut().find(|trial| trial.is_of(&decided)) {
            trial.came(&decided, came.outcome);
        }
        self.outcomes += 1;
        Ok(())
    }

    /// The trials, in the order they began.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// Challengers that are on trial with the same champion in the same stage as this one: they
    /// share the level.
    pub fn challengers_beside(&self, trial: &Trial) -> u32 {
        let same =
            |other: &&Trial| other.stage() == trial.stage() && other.pair().0 == trial.pair().0;
        self.trials.iter().filter(same).count() as u32
    }

    /// Decisions, outcomes, decisions still waiting and decisions given up.
    pub fn counts(&self) -> [u64; 4] {
        [self.decisions, self.outcomes, self.waiting.len() as u64, self.given_up]
    }
}
