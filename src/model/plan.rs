//! The native plan: a list of steps over one block of memory, compiled from a graph.
//!
//! ```text
//! arena (f32):  constants · input row · states │ results of step 0 │ step 1 │ … │ spare
//!                                              └ a step reads what lies before its result
//! ```
//! Moves that keep the order of elements cost nothing: their result is a place in what they read.
//! Running allocates nothing.

use super::error::ModelError;
use super::executor::{Executor, ModelOutput};
use super::graph::Graph;
use super::kernels::dense::Dense;
use super::kernels::trees::Trees;
use super::kernels::{PAD, padded, pointwise};
use super::lower;
use super::ops::{Binary, Fold, Norm, Unary};
use crate::base::Reason;

/// A result in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub at: usize,
    pub len: usize,
}

/// One operand of a function of two: where, and whether its one element serves all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub at: usize,
    pub one: bool,
}

/// Elements copied from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub from: usize,
    pub to: usize,
    pub len: usize,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Dense { x: usize, dense: Dense },
    Unary { x: usize, function: Unary },
    Binary { a: Operand, b: Operand, function: Binary },
    Scaler { x: usize, offset: usize, scale: usize },
    Softmax { x: usize },
    Normalize { x: usize, norm: Norm },
    Fold { x: Span, fold: Fold },
    Trees { x: usize, trees: Trees },
    Copy { runs: Vec<Run> },
}

/// One action and where its result goes.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub y: Span,
    pub action: Action,
}

/// Where a state is read, and where its next value is left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateSpan {
    pub current: Span,
    pub next: usize,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub arena: Vec<f32>,
    pub steps: Vec<Step>,
    pub input: Span,
    pub states: Vec<StateSpan>,
    pub probabilities: usize,
    pub quantiles: Option<usize>,
}

/// Runs a compiled plan for one row at a time.
#[derive(Clone, Debug)]
pub struct NativeExecutor {
    plan: Plan,
    next_state: Vec<f32>,
    state: Vec<f32>,
    wide: bool,
}

impl NativeExecutor {
    /// Compiles a graph; uses AVX2 and FMA where the machine has them.
    pub(crate) fn compile(graph: &Graph) -> Result<Self, ModelError> {
        Self::compile_for(graph, has_wide_vectors())
    }

    /// The same with the vector width given; both widths give the same bits.
    pub(crate) fn compile_for(graph: &Graph, wide: bool) -> Result<Self, ModelError> {
        let plan = lower::lower(graph)?;
        let zeros = vec![0.0; graph.state_len()];
        let wide = wide && has_wide_vectors();
        Ok(Self { plan, next_state: zeros.clone(), state: zeros, wide })
    }

    /// Number of steps of the plan.
    pub fn steps(&self) -> usize {
        self.plan.steps.len()
    }
}

/// Three neighbours from `at` on; the plan's places lie within its arena.
fn three(arena: &[f32], at: usize) -> [f32; 3] {
    [arena[at], arena[at + 1], arena[at + 2]]
}

impl Executor for NativeExecutor {
    fn run(&mut self, input: &[f32], out: &mut ModelOutput) -> Result<(), Reason> {
        let row = self.plan.input;
        if input.len() != row.len {
            return Err(Reason::ModelFailed);
        }
        self.plan.arena[row.at..row.at + row.len].copy_from_slice(input);
        self.plan.run(self.wide);
        let arena = &self.plan.arena;
        out.probability = three(arena, self.plan.probabilities);
        out.quantile = self.plan.quantiles.map_or([f32::NAN; 3], |at| three(arena, at));
        let mut at = 0;
        for state in &self.plan.states {
            let len = state.current.len;
            self.next_state[at..at + len].copy_from_slice(&arena[state.next..state.next + len]);
            at += len;
        }
        Ok(())
    }

    fn commit_state(&mut self) {
        self.state.copy_from_slice(&self.next_state);
        self.plan.load_state(&self.state);
    }

    fn set_state(&mut self, values: &[f32]) -> Result<(), Reason> {
        if values.len() != self.state.len() {
            return Err(Reason::ModelFailed);
        }
        self.state.copy_from_slice(values);
        self.next_state.copy_from_slice(values);
        self.plan.load_state(values);
        Ok(())
    }

    fn reset_state(&mut self) {
        self.state.fill(0.0);
        self.next_state.fill(0.0);
        self.plan.load_state(&self.state);
    }

    fn state(&self) -> &[f32] {
        &self.state
    }

    fn next_state(&self) -> &[f32] {
        &self.next_state
    }
}

impl Plan {
    fn load_state(&mut self, values: &[f32]) {
        let mut from = 0;
        for state in &self.states {
            let Span { at, len } = state.current;
            self.arena[at..at + len].copy_from_slice(&values[from..from + len]);
            from += len;
        }
    }

    #[inline]
    fn run(&mut self, wide: bool) {
        #[cfg(target_arch = "x86_64")]
        if wide {
            // SAFETY: `wide` is only set where `has_wide_vectors` found AVX2 and FMA.
            unsafe { self.run_wide() };
            return;
        }
        let _ = wide;
        self.run_any();
    }

    /// The same loop, compiled for AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn run_wide(&mut self) {
        self.run_steps();
    }

    #[inline(never)]
    fn run_any(&mut self) {
        self.run_steps();
    }

    #[inline(always)]
    fn run_steps(&mut self) {
        for step in &mut self.steps {
            let (before, after) = self.arena.split_at_mut(step.y.at);
            step.run(before, after);
        }
    }
}

impl Step {
    #[inline(always)]
    fn run(&mut self, before: &[f32], after: &mut [f32]) {
        let len = self.y.len;
        match &mut self.action {
            Action::Dense { x, dense } => {
                let written = dense.written();
                dense.run(&before[*x..], &mut after[..written]);
            }
            Action::Unary { x, function } => {
                pointwise::unary(*function, &before[*x..], &mut after[..padded(len)]);
            }
            Action::Binary { a, b, function } => {
                let a = (&before[a.at..], a.one);
                let b = (&before[b.at..], b.one);
                pointwise::binary(*function, a, b, &mut after[..padded(len)]);
            }
            Action::Scaler { x, offset, scale } => {
                let of = |at: usize| &before[at..at + len];
                pointwise::scaler(of(*x), of(*offset), of(*scale), &mut after[..len]);
            }
            Action::Softmax { x } => pointwise::softmax(&before[*x..*x + len], &mut after[..len]),
            Action::Normalize { x, norm } => {
                pointwise::normalize(*norm, &before[*x..*x + len], &mut after[..len]);
            }
            Action::Fold { x, fold } => {
                after[0] = pointwise::fold(*fold, &before[x.at..x.at + x.len]);
            }
            Action::Trees { x, trees } => trees.run(&before[*x..], &mut after[..len]),
            Action::Copy { runs } => {
                for run in runs {
                    let from = &before[run.from..run.from + run.len];
                    after[run.to..run.to + run.len].copy_from_slice(from);
                }
            }
        }
    }
}

/// Whether the machine has AVX2 and FMA.
pub(crate) fn has_wide_vectors() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Room for a value of `len` elements at the end of the arena: whole lanes and spare ones.
pub(crate) fn allocate(arena: &mut Vec<f32>, len: usize) -> Span {
    let at = arena.len();
    arena.resize(at + padded(len) + PAD, 0.0);
    Span { at, len }
}
