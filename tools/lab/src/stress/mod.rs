//! What a model and its trader do in markets that go where markets seldom go.
//!
//! ```text
//!  scenario ─► synthetic market ─► the trader's own stages ─► journal ─► figures ─► verdict
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `scenario` | the scenarios as a file describes them, and the markets they are |
//! | `pace` | how fast they go for a model on long bars |
//! | `run` | a scenario through the stages, what the journal says of it |
//! | `report` | `stress_test_results.md` and `stress.json` |

pub mod pace;
pub mod report;
pub mod run;
pub mod scenario;

#[cfg(test)]
mod tests;

pub use pace::Pace;
pub use run::{Criterion, Limits, Outcome, Subject, run_all};
pub use scenario::{Plan, Scenario};
