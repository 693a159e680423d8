//! Which model decides, changed while the session runs, at a numbered place of the river.
//!
//! | file | holds |
//! |---|---|
//! | `terms` | what a model must be to decide in the session |
//! | `attached` | the models beside the journal, and how a replay finds them |

pub mod attached;
mod terms;

pub use terms::ModelTerms;
