//! Models: artifact verification, ONNX loading, native kernels. Never trains, never allocates
//! after load (but on tract, where the configuration allows it), never falls back silently.
//!
//! ```text
//! model.onnx, card.toml ─ read once, hash ─► guard (limits) ─► decode ─► graph (pruned, shaped)
//!                                                                          │           │
//!                                                               native plan ◄─ proof ─► tract
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `artifact` | the two files of a version, the card |
//! | `deciles` | what a model was fitted on, a feature at a time |
//! | `guard`, `wire` | limits checked on the bytes before anything parses them |
//! | `interface`, `graph`, `ops`, `moves`, `recurrent`, `tree` | ports, operators, shapes |
//! | `lower`, `plan`, `kernels` | the native plan |
//! | `tract_exec` | the reference executor |
//! | `executor` | the trait both are behind |
//! | `proof` | golden vectors, one against the other, time |
//! | `onnx` | the file format's messages for writers |
//!
//! Subnormals: where a thread flushes them to zero, results differ by less than 1e-37; a model is
//! proved on the thread that loads it.

pub mod artifact;
pub mod deciles;
pub mod error;
pub mod guard;
pub mod onnx;
mod attributes;
mod executor;
mod graph;
mod interface;
mod kernels;
mod lower;
mod moves;
mod ops;
mod plan;
mod proof;
mod recurrent;
mod tract_exec;
mod tree;
mod wire;

pub use artifact::{ArtifactFiles, Card, CreatedFrom, Golden};
pub use deciles::{Deciles, Training};
pub use error::{Mismatch, ModelError, Refusal, Rule};
pub use executor::{Executor, ExecutorKind, ModelOutput};
pub use plan::NativeExecutor;
pub use tract_exec::TractExecutor;

use crate::base::Reason;
use crate::base::settings::ModelSettings;
use executor::Loaded;
use graph::Graph;

/// What the configuration allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadPolicy {
    /// Run on tract when no native plan can be compiled.
    pub allow_tract: bool,
    /// Refuse an executor whose measured p99 is above this, nanoseconds; `u64::MAX` is no limit.
    pub p99_budget_ns: u64,
}

impl LoadPolicy {
    /// Any executor, however slow.
    pub const ANY: Self = Self { allow_tract: true, p99_budget_ns: u64::MAX };

    /// As the configuration's `[model]` says.
    pub fn of(settings: &ModelSettings) -> Self {
        let p99_budget_ns = u64::from(settings.budget_us) * 1_000;
        Self { allow_tract: settings.allow_tract, p99_budget_ns }
    }

    /// The same, however slow.
    pub const fn at_any_speed(self) -> Self {
        Self { p99_budget_ns: u64::MAX, ..self }
    }
}

/// A model that was verified, proved and is ready to run.
#[derive(Clone, Debug)]
pub struct Model {
    version: String,
    sha256: [u8; 32],
    card: u64,
    schema_hash: u64,
    horizon_ms: u64,
    features: Vec<String>,
    p99_ns: u64,
    executor: Loaded,
    next_state_is_sound: bool,
}

impl Model {
    /// Verifies, compiles and proves a model. Reads the clock to measure it, and allocates.
    ///
    /// # Errors
    /// Names the file, operator, tensor or vector at fault. A panic of a library on a hostile
    /// file is contained and becomes [`ModelError::Panicked`].
    pub fn load(
        files: &ArtifactFiles,
        running_schema_hash: u64,
        policy: LoadPolicy,
    ) -> Result<Self, ModelError> {
        let card = files.card.schema_hash();
        if card != running_schema_hash {
            return Err(ModelError::Schema { card, running: running_schema_hash });
        }
        contain_panics(|| Self::load_checked(files, policy))
    }

    fn load_checked(files: &ArtifactFiles, policy: LoadPolicy) -> Result<Self, ModelError> {
        let card = &files.card;
        let golden = card.golden.decode(card.features.len())?;
        let graph = read_graph(&files.onnx, card.features.len())?;
        if golden.states.len() != golden.count * graph.state_len() {
            return Err(ModelError::Card {
                key: "golden.states".into(),
                what: format!("{} values a row expected", graph.state_len()),
            });
        }
        let mut executor = choose(&graph, &golden, policy)?;
        let name = executor.kind().name();
        proof::against_golden(&mut executor, name, &golden)?;
        let p99_ns = proof::p99_ns(&mut executor, &golden);
        if p99_ns > policy.p99_budget_ns {
            let budget_ns = policy.p99_budget_ns;
            return Err(ModelError::TooSlow { executor: name, p99_ns, budget_ns });
        }
        let mut model = Self {
            version: card.version.clone(),
            sha256: files.sha256,
            card: files.card_tag(),
            schema_hash: card.schema_hash(),
            horizon_ms: card.horizon_ms,
            features: card.features.clone(),
            p99_ns,
            executor,
            next_state_is_sound: true,
        };
        model.run_golden(&golden)?;
        model.reset_state();
        Ok(model)
    }

    /// Golden rows must be rows the model answers in production, with a distribution.
    fn run_golden(&mut self, golden: &artifact::GoldenVectors) -> Result<(), ModelError> {
        let (features, states) = (self.features.len(), self.state().len());
        let mut out = ModelOutput::default();
        for at in 0..golden.count {
            self.executor
                .set_state(&golden.states[at * states..(at + 1) * states])
                .and_then(|()| {
                    self.run(&golden.inputs[at * features..(at + 1) * features], &mut out)
                })
                .map_err(|reason| ModelError::Failed {
                    executor: self.executor.kind().name(),
                    vector: format!("golden {at}"),
                    reason: reason.name(),
                })?;
        }
        Ok(())
    }

    /// One row: features in the card's order. The state stays until [`Self::commit_state`].
    ///
    /// # Errors
    /// [`Reason::FeatureNotFinite`] for a row with NaN or infinity, [`Reason::ModelOutput`] when
    /// the answer is no distribution or a state is not finite, [`Reason::ModelFailed`] when the
    /// row's length is not the model's or the executor failed.
    #[inline]
    pub fn run(&mut self, input: &[f32], out: &mut ModelOutput) -> Result<(), Reason> {
        self.next_state_is_sound = false;
        if !input.iter().all(|v| v.is_finite()) {
            return Err(Reason::FeatureNotFinite);
        }
        self.executor.run(input, out)?;
        let sound_state = self.executor.next_state().iter().all(|v| v.is_finite());
        if !is_distribution(out) || !sound_state {
            return Err(Reason::ModelOutput);
        }
        self.next_state_is_sound = true;
        Ok(())
    }

    /// Advances the state to what the last run led to; a run that failed leaves it as it was.
    pub fn commit_state(&mut self) {
        if self.next_state_is_sound {
            self.executor.commit_state();
        }
    }

    /// Back to the zero state.
    pub fn reset_state(&mut self) {
        self.next_state_is_sound = true;
        self.executor.reset_state();
    }

    /// The current state, all states in the graph's order; empty for a model without.
    pub fn state(&self) -> &[f32] {
        self.executor.state()
    }

    /// Version name.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// SHA-256 of the ONNX file.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// First eight bytes of the SHA-256, as carried by predictions and orders.
    pub fn tag(&self) -> u64 {
        artifact::tag_of(&self.sha256)
    }

    /// First eight bytes of the SHA-256 of its card.
    pub fn card(&self) -> u64 {
        self.card
    }

    /// Hash of the feature schema.
    pub fn schema_hash(&self) -> u64 {
        self.schema_hash
    }

    /// How far ahead it looks, milliseconds.
    pub fn horizon_ms(&self) -> u64 {
        self.horizon_ms
    }

    /// Names of the features in the order of the input.
    pub fn feature_names(&self) -> &[String] {
        &self.features
    }

    /// Which executor runs it.
    pub fn executor(&self) -> ExecutorKind {
        self.executor.kind()
    }

    /// p99 of a run as measured at load, nanoseconds.
    pub fn p99_ns(&self) -> u64 {
        self.p99_ns
    }
}

/// Both executors of a graph file, not proved: for benchmarks and comparisons.
///
/// # Errors
/// Names the operator or tensor at fault; the native executor is `None` with its reason when the
/// graph has no native form.
pub fn executors(
    onnx: &[u8],
    features: usize,
) -> Result<(Result<NativeExecutor, ModelError>, TractExecutor), ModelError> {
    contain_panics(|| {
        let graph = read_graph(onnx, features)?;
        Ok((NativeExecutor::compile(&graph), TractExecutor::load(&graph)?))
    })
}

/// Native where it compiles and equals tract, else tract where that is allowed.
fn choose(
    graph: &Graph,
    golden: &artifact::GoldenVectors,
    policy: LoadPolicy,
) -> Result<Loaded, ModelError> {
    let mut tract = TractExecutor::load(graph)?;
    match NativeExecutor::compile(graph) {
        Ok(mut native) => {
            proof::against_each_other(graph, &mut native, &mut tract, golden)?;
            Ok(Loaded::Native(Box::new(native)))
        }
        Err(ModelError::NotNative { .. }) if policy.allow_tract => {
            Ok(Loaded::Tract(Box::new(tract)))
        }
        Err(refused) => Err(refused),
    }
}

fn read_graph(onnx: &[u8], features: usize) -> Result<Graph, ModelError> {
    guard::check(onnx)?;
    let proto = onnx::decode(onnx)
        .map_err(|what| Refusal::new(Rule::Wire, "model", tract_exec::one_line(&what)))?;
    Ok(Graph::build(&proto, features)?)
}

/// Finite, each in 0..=1, together 1 within 1e-3; quantiles all finite or all absent.
fn is_distribution(out: &ModelOutput) -> bool {
    let sum: f32 = out.probability.iter().sum();
    let in_range = out.probability.iter().all(|p| (0.0..=1.0).contains(p));
    let finite = out.quantile.iter().filter(|q| q.is_finite()).count();
    let absent = out.quantile.iter().all(|q| q.is_nan());
    in_range && (sum - 1.0).abs() <= 1e-3 && (finite == 3 || absent)
}

fn contain_panics<T>(load: impl FnOnce() -> Result<T, ModelError>) -> Result<T, ModelError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(load)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        let what = tract_exec::one_line(&text.unwrap_or_default());
        Err(ModelError::Panicked { what })
    })
}

#[cfg(test)]
mod tests;
