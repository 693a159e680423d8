//! What judges the champion, and what came of it.

use serde::Serialize;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RollbackView {
    /// Every limit of `[rollback]`, in its order; empty where nobody judges.
    pub limits: Vec<RollbackLimit>,
    /// Times that the session went back by itself.
    pub made: u64,
    /// Versions that were left and of which the registry does not say so yet.
    pub waiting: u64,
    /// Why it does not; `None` where nothing is in the way.
    pub trouble: Option<String>,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RollbackLimit {
    /// Its key.
    pub name: &'static str,
    /// What was seen; `None` is not known.
    pub value: Option<f64>,
    /// What is still well.
    pub limit: f64,
}
