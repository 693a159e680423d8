//! Which model, and how each kind is learned.

use crate::gbdt::Params;
use crate::nets::{NetParams, Windows};
use serde::{Deserialize, Serialize};

/// A kind of model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Gradient-boosted trees.
    #[default]
    Trees,
    /// A dense net of one hidden layer.
    Dense,
    /// A gated recurrent step with a memory carried from bar to bar.
    Gru,
    /// Others, weighed by what they said out of sample.
    Stack,
}

impl Kind {
    /// As configuration and files name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trees => "trees",
            Self::Dense => "dense",
            Self::Gru => "gru",
            Self::Stack => "stack",
        }
    }

    /// Whether trees are in it, so that their depth matters.
    pub fn has_trees(self, of: &[Self]) -> bool {
        self == Self::Trees || (self == Self::Stack && of.contains(&Self::Trees))
    }
}

/// How the model that weighs others is learned.
#[derive(Clone, Debug, PartialEq)]
pub struct StackParams {
    /// The others.
    pub of: Vec<Kind>,
    /// Parts of the fit rows; each is answered by models that learned from the others.
    pub groups: usize,
    /// Time behind a part that its models do not learn from, as long as lives are told in.
    pub embargo: i64,
    /// How strongly weights are drawn to the plain mean of the others.
    pub pull: f64,
}

/// A kind with all it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What is learned.
    pub kind: Kind,
    /// Trees.
    pub trees: Params,
    /// Dense net.
    pub dense: NetParams,
    /// Recurrent step.
    pub gru: NetParams,
    /// What the recurrent step is learned over.
    pub windows: Windows,
    /// Stack.
    pub stack: StackParams,
}

impl Settings {
    /// The same for another kind, with other draws.
    pub fn of(&self, kind: Kind, fold: u32) -> Self {
        let mut other = Self { kind, ..self.clone() };
        other.trees.fold = fold;
        other.dense.fold = fold;
        other.gru.fold = fold;
        other
    }

    /// The fold whose draws are made.
    pub const fn fold(&self) -> u32 {
        self.trees.fold
    }
}
