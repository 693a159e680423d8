//! Which kind of model a configuration asks for, and how it is learned.

use super::config::Config;
use crate::learn::{Kind, Settings, StackParams};
use crate::nets::{NetParams, Windows};
use serde::{Deserialize, Serialize};

/// Which model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// The kind.
    pub kind: Kind,
    /// Whether a trained version also tells quantiles .1, .5, .9 of the return, by trees.
    pub quantiles: bool,
}

/// How a net is learned; a recurrent one counts windows instead of rows in `batch`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenseConfig {
    /// Hidden values, 1 to 256.
    pub hidden: usize,
    /// Most passes over the rows, 1 to 10 000.
    pub epochs: usize,
    /// Passes without improvement after which learning stops; 0 never stops.
    pub patience: usize,
    /// Rows between two steps, at least 1.
    pub batch: usize,
    /// Length of a step, above 0 to 1.
    pub learning_rate: f64,
    /// Part by which weights shrink at each step, times the learning rate, 0 to 10.
    pub decay: f64,
}

/// How a recurrent step is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GruConfig {
    /// Length of the memory, 1 to 256.
    pub hidden: usize,
    /// Most passes over the rows, 1 to 10 000.
    pub epochs: usize,
    /// Passes without improvement after which learning stops; 0 never stops.
    pub patience: usize,
    /// Windows between two steps, at least 1.
    pub batch: usize,
    /// Length of a step, above 0 to 1.
    pub learning_rate: f64,
    /// Part by which weights shrink at each step, times the learning rate, 0 to 10.
    pub decay: f64,
    /// Rows of a window that are learned from, 1 to 1 000.
    pub steps: usize,
    /// Rows before those that only lead up to them, 0 to 1 000.
    pub lead: usize,
}

/// How models are weighed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StackConfig {
    /// Which: trees, dense, gru, each once at most.
    pub of: Vec<Kind>,
    /// Parts of the fit rows, 2 to 12; each is answered by models that learned from the others.
    pub groups: usize,
    /// How strongly weights are drawn to the plain mean, above 0 to 1 000.
    pub pull: f64,
}

impl Default for DenseConfig {
    fn default() -> Self {
        Self { hidden: 24, epochs: 60, patience: 8, batch: 256, learning_rate: 0.002, decay: 0.02 }
    }
}

impl Default for GruConfig {
    fn default() -> Self {
        Self {
            hidden: 16,
            epochs: 40,
            patience: 6,
            batch: 32,
            learning_rate: 0.003,
            decay: 0.02,
            steps: 32,
            lead: 16,
        }
    }
}

impl Default for StackConfig {
    fn default() -> Self {
        Self { of: vec![Kind::Trees, Kind::Dense], groups: 4, pull: 0.1 }
    }
}

/// The keys of these parts, and whether each is in its range.
pub(super) fn ranges(config: &Config) -> Vec<(&'static str, bool)> {
    let (dense, gru, stack) = (&config.dense, &config.gru, &config.stack);
    let hidden = |hidden: usize| (1..=256).contains(&hidden);
    let epochs = |epochs: usize| (1..=10_000).contains(&epochs);
    let rate = |rate: f64| rate > 0.0 && rate <= 1.0;
    let decay = |decay: f64| (0.0..=10.0).contains(&decay);
    let kinds = &stack.of;
    let once = kinds.iter().all(|kind| kinds.iter().filter(|other| *other == kind).count() == 1);
    // In use a memory moves once a bar.
    let has_gru = match config.model.kind {
        Kind::Gru => true,
        Kind::Stack => kinds.contains(&Kind::Gru),
        _ => false,
    };
    vec![
        ("dense.hidden", hidden(dense.hidden)),
        ("dense.epochs", epochs(dense.epochs)),
        ("dense.batch", dense.batch > 0),
        ("dense.learning_rate", rate(dense.learning_rate)),
        ("dense.decay", decay(dense.decay)),
        ("gru.hidden", hidden(gru.hidden)),
        ("gru.epochs", epochs(gru.epochs)),
        ("gru.batch", gru.batch > 0),
        ("gru.learning_rate", rate(gru.learning_rate)),
        ("gru.decay", decay(gru.decay)),
        ("gru.steps", (1..=1_000).contains(&gru.steps)),
        ("gru.lead", gru.lead <= 1_000),
        ("stack.of", !kinds.is_empty() && once && !kinds.contains(&Kind::Stack)),
        ("stack.groups", (2..=12).contains(&stack.groups)),
        ("stack.pull", stack.pull > 0.0 && stack.pull <= 1_000.0),
        ("rows.every_bars (1 for a gru, whose memory moves once a bar)", {
            !has_gru || config.rows.every_bars == 1
        }),
    ]
}

impl Config {
    /// All it takes to learn the kind that is asked for, with trees of a depth; `bar_ms` is the
    /// length of a bar.
    pub fn settings(&self, (depth, fold, threads): (usize, u32, usize), bar_ms: i64) -> Settings {
        let (dense, gru, stack) = (&self.dense, &self.gru, &self.stack);
        let net = NetParams {
            hidden: dense.hidden,
            epochs: dense.epochs,
            patience: dense.patience,
            batch: dense.batch,
            learning_rate: dense.learning_rate,
            decay: dense.decay,
            threads: threads.max(1),
            seed: self.seed,
            fold,
        };
        Settings {
            kind: self.model.kind,
            trees: self.params(depth, fold, threads),
            gru: NetParams {
                hidden: gru.hidden,
                epochs: gru.epochs,
                patience: gru.patience,
                batch: gru.batch,
                learning_rate: gru.learning_rate,
                decay: gru.decay,
                ..net.clone()
            },
            dense: net,
            windows: Windows { steps: gru.steps, lead: gru.lead },
            stack: StackParams {
                of: stack.of.clone(),
                groups: stack.groups,
                embargo: self.folds.embargo_bars * bar_ms,
                pull: stack.pull,
            },
        }
    }

    /// Depths that are compared: one of no meaning where there are no trees.
    pub fn depths(&self) -> Vec<usize> {
        if self.model.kind.has_trees(&self.stack.of) { self.trees.depths.clone() } else { vec![0] }
    }

    /// Steps a training tells of at most: rounds, passes over the rows, or models of a stack.
    pub fn steps(&self) -> usize {
        match self.model.kind {
            Kind::Trees => self.trees.rounds,
            Kind::Dense => self.dense.epochs,
            Kind::Gru => self.gru.epochs,
            Kind::Stack => self.stack.of.len() * (self.stack.groups + 1),
        }
    }

    /// What a model of a depth is called in names of files.
    pub fn variant(&self, depth: usize) -> String {
        let kind = self.model.kind;
        match kind {
            Kind::Trees => format!("depth-{depth:02}"),
            _ if kind.has_trees(&self.stack.of) => format!("{}-depth-{depth:02}", kind.name()),
            _ => kind.name().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::small;
    use super::super::{Job, run};
    use super::*;
    use crate::history::rows;
    use crate::history::tests::two;

    #[test]
    fn walk_forward_judges_the_kind_that_is_asked_for() {
        let (_dir, set) = two(61, 1_200, 0.6);
        for (kind, name, trials) in
            [(Kind::Dense, "walk-00-dense", 2), (Kind::Stack, "walk-00-stack-depth-02", 4)]
        {
            let mut config = small();
            config.model.kind = kind;
            config.folds.groups = 0;
            config.folds.count = 2;
            config.trees.depths = vec![2, 3];
            config.trees.rounds = 8;
            config.dense.epochs = 6;
            config.stack.groups = 2;
            let rows = rows(&set, &config.wanted(), &config.label_of(), &mut |_| {}).unwrap();
            let dir = tempfile::tempdir().unwrap();
            let job = Job { rows: &rows, config: &config, out: dir.path(), threads: 2 };
            let outcome = run(job, &mut |_| {}).unwrap();
            // Without trees there is one model for both depths, with each of two thresholds.
            assert_eq!(outcome.tried.len(), trials, "{kind:?}");
            assert!(outcome.stored.iter().any(|stored| stored == name), "{:?}", outcome.stored);
            let has_splits = outcome.importance.iter().any(|&share| share > 0.0);
            assert_eq!(has_splits, kind == Kind::Stack, "{kind:?}");
            for fold in &outcome.folds {
                let prior = fold.log_loss_prior.unwrap();
                assert!(fold.log_loss < prior + 0.05, "{kind:?}: {} to {prior}", fold.log_loss);
            }
        }
    }
}
