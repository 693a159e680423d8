//! Why a model was not loaded: typed, naming the file, operator or tensor, with the remedy.

use std::path::PathBuf;

/// Why a model was refused. Every variant's text is one line.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be read.
    #[error("{path}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file is larger than its cap.
    #[error("{file}: {bytes} bytes exceed the cap of {cap}")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// The cap in bytes.
        cap: u64,
    },
    /// The card is not what a card must be.
    #[error("card.toml: {key}: {what}")]
    Card {
        /// Key at fault, or `card` for the whole text.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The bytes of the model are not the ones the card names.
    #[error("model.onnx: SHA-256 is {found}, card.toml says {expected}")]
    Hash {
        /// What the bytes hash to.
        found: String,
        /// What the card says.
        expected: String,
    },
    /// Trained on other features than the running ones.
    #[error("card.toml: schema_hash {card:016x} is not the running schema {running:016x}")]
    Schema {
        /// The card's hash.
        card: u64,
        /// The running schema's hash.
        running: u64,
    },
    /// The graph breaks a rule.
    #[error("model.onnx: {0}")]
    Refused(#[from] Refusal),
    /// The graph cannot become a native plan, and tract is not allowed.
    #[error("model.onnx: no native plan: {why}; allow tract in the configuration to run it slower")]
    NotNative {
        /// The node or vector at fault.
        why: String,
    },
    /// tract could not load or run the graph.
    #[error("model.onnx: tract: {what}")]
    Tract {
        /// tract's words.
        what: String,
    },
    /// An executor's answer is not the expected one.
    #[error("model.onnx: {0}")]
    Mismatch(#[from] Mismatch),
    /// An executor failed on a vector it was given to prove itself on.
    #[error("model.onnx: {executor} fails on {vector}: {reason}")]
    Failed {
        /// `native` or `tract`.
        executor: &'static str,
        /// Which vector.
        vector: String,
        /// The reason's name.
        reason: &'static str,
    },
    /// Too slow for the configuration.
    #[error("model.onnx: {executor} needs {p99_ns} ns at p99, the budget is {budget_ns} ns")]
    TooSlow {
        /// `native` or `tract`.
        executor: &'static str,
        /// Measured, nanoseconds.
        p99_ns: u64,
        /// Allowed, nanoseconds.
        budget_ns: u64,
    },
    /// A library panicked on the file; the panic was contained.
    #[error("model.onnx: the loader panicked on this file: {what}")]
    Panicked {
        /// The panic's message.
        what: String,
    },
}

/// Two answers that should be equal and are not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{left} differs from {right} on {vector}, {output}[{index}]: \
     {found:e} against {expected:e}, tolerance {tolerance:e}"
)]
pub struct Mismatch {
    /// The executor under test.
    pub left: &'static str,
    /// What it is compared with.
    pub right: &'static str,
    /// The worst vector, such as `golden 17` or `random 3`.
    pub vector: String,
    /// `probabilities`, `quantiles` or a state's name.
    pub output: String,
    /// Place in the output.
    pub index: usize,
    /// The answer under test.
    pub found: f32,
    /// The answer it should equal.
    pub expected: f32,
    /// The allowed difference.
    pub tolerance: f32,
}

/// Which rule a graph broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Not well-formed protobuf.
    Wire,
    /// Larger than a cap (file, nodes, elements, rank, decoded bytes, nesting).
    Size,
    /// Operator set outside the supported range.
    Opset,
    /// Operator not on the allow-list, or used in an unsupported way.
    Operator,
    /// A tensor outside the file.
    ExternalData,
    /// A graph inside the graph: subgraph, function, training graph.
    Subgraph,
    /// A type that is not one of ours.
    DataType,
    /// A shape that is unknown, inconsistent or cannot be fixed to one row.
    Shape,
    /// A recurrent node over more than one step.
    Window,
    /// Inputs or outputs that are not those of the contract.
    Interface,
}

/// A graph refused: what, why, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{item}: {why}{}{remedy}", if remedy.is_empty() { "" } else { "; " })]
pub struct Refusal {
    /// The rule it broke.
    pub rule: Rule,
    /// Operator, tensor or field at fault.
    pub item: String,
    /// What is wrong.
    pub why: String,
    /// What to do, may be empty.
    pub remedy: &'static str,
}

impl Refusal {
    pub(crate) fn new(rule: Rule, item: impl Into<String>, why: impl Into<String>) -> Self {
        // Names come from the file; errors are one line.
        let plain = |text: String| text.replace(char::is_control, "?");
        Self { rule, item: plain(item.into()), why: plain(why.into()), remedy: "" }
    }

    pub(crate) fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = remedy;
        self
    }
}
