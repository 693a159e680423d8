//! What runs a model: one trait, two implementations.

use super::plan::NativeExecutor;
use super::tract_exec::TractExecutor;
use crate::base::Reason;

/// A model's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelOutput {
    /// Probabilities of down, flat, up.
    pub probability: [f32; 3],
    /// Return quantiles .1, .5, .9 as fractions; NaN where the model has none.
    pub quantile: [f32; 3],
}

impl Default for ModelOutput {
    fn default() -> Self {
        Self { probability: [0.0; 3], quantile: [f32::NAN; 3] }
    }
}

/// Runs one row at a time, from a current state to a next one.
///
/// ```text
/// run: (input, state) → (output, next state)      any number of times, the state stays
/// commit_state: state ← next state                once per bar
/// ```
pub trait Executor {
    /// One row. The next state is kept aside until [`Self::commit_state`].
    ///
    /// # Errors
    /// [`Reason::ModelFailed`] when the row's length is not the model's or the executor failed.
    fn run(&mut self, input: &[f32], out: &mut ModelOutput) -> Result<(), Reason>;

    /// Makes the next state of the last run the current one.
    fn commit_state(&mut self);

    /// Sets the current state; the next state is the same until a run.
    ///
    /// # Errors
    /// [`Reason::ModelFailed`] when the length is not the model's.
    fn set_state(&mut self, values: &[f32]) -> Result<(), Reason>;

    /// Back to the zero state.
    fn reset_state(&mut self);

    /// The current state; empty for a model without.
    fn state(&self) -> &[f32];

    /// The state the last run led to.
    fn next_state(&self) -> &[f32];
}

/// Which executor runs a model. The numbers are those of the `ModelLoaded` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ExecutorKind {
    /// The compiled plan.
    Native = 1,
    /// tract.
    Tract = 2,
}

impl ExecutorKind {
    /// As printed and stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Tract => "tract",
        }
    }
}

/// The executor of a loaded model.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    Native(Box<NativeExecutor>),
    Tract(Box<TractExecutor>),
}

impl Loaded {
    pub fn kind(&self) -> ExecutorKind {
        match self {
            Self::Native(_) => ExecutorKind::Native,
            Self::Tract(_) => ExecutorKind::Tract,
        }
    }
}

impl Executor for Loaded {
    #[inline]
    fn run(&mut self, input: &[f32], out: &mut ModelOutput) -> Result<(), Reason> {
        match self {
            Self::Native(executor) => executor.run(input, out),
            Self::Tract(executor) => executor.run(input, out),
        }
    }

    fn commit_state(&mut self) {
        match self {
            Self::Native(executor) => executor.commit_state(),
            Self::Tract(executor) => executor.commit_state(),
        }
    }

    fn set_state(&mut self, values: &[f32]) -> Result<(), Reason> {
        match self {
            Self::Native(executor) => executor.set_state(values),
            Self::Tract(executor) => executor.set_state(values),
        }
    }

    fn reset_state(&mut self) {
        match self {
            Self::Native(executor) => executor.reset_state(),
            Self::Tract(executor) => executor.reset_state(),
        }
    }

    fn state(&self) -> &[f32] {
        match self {
            Self::Native(executor) => executor.state(),
            Self::Tract(executor) => executor.state(),
        }
    }

    fn next_state(&self) -> &[f32] {
        match self {
            Self::Native(executor) => executor.next_state(),
            Self::Tract(executor) => executor.next_state(),
        }
    }
}
