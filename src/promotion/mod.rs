//! Champion against challengers: what was seen of them, and whether that is enough to move one.
//! Pure: no file, no clock, no thread; everything is taken in piece by piece and stays bounded.
//!
//! ```text
//! shadow_eval.jsonl ─► record ─► join ─► trial ─► observed ─► verdict ─► registry
//!                                          │                     ▲
//!              scores, sequential, blocks, ┤                     │
//!              figures, watch (drift) ◄────┘        gates.toml ─► settings (rules, rollback)
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `record` | the lines of the shadow log |
//! | `join` | decisions with what came of them; one trial per pair and stage |
//! | `trial` | one champion against one challenger |
//! | `scores` | proper scores of predictions, their paired difference, calibration |
//! | `sequential` | evidence that may be looked at at any time |
//! | `mixture` | the closed forms behind it |
//! | `blocks` | the canary's blocks of time against the champion's |
//! | `assign` | which block is whose |
//! | `account` | Sharpe ratio, drawdown, losses of an account |
//! | `figures` | those, and latency and slippage |
//! | `books` | whose position is whose, and what it comes to |
//! | `reign` | the account of a champion since it trades |
//! | `drift` | PSI, Kolmogorov–Smirnov, ADWIN, Page–Hinkley |
//! | `watch` | those, at work on losses, calibration and features |
//! | `settings` | the tables of `gates.toml` |
//! | `rules` | what a challenger has to show |
//! | `observed` | the numbers the rules ask for |
//! | `verdict` | promote, hold or reject, with the reasons |
//! | `rollback` | when the champion leaves |

pub mod account;
pub mod assign;
pub mod blocks;
pub mod books;
pub mod drift;
pub mod figures;
pub mod join;
pub mod mixture;
pub mod observed;
pub mod record;
pub mod reign;
pub mod rollback;
pub mod rules;
pub mod scores;
pub mod sequential;
pub mod settings;
#[cfg(test)]
mod tests;
pub mod trial;
pub mod verdict;
pub mod watch;

pub use assign::{Arm, Assigned, Assignment};
pub use join::Trials;
pub use observed::Observed;
pub use record::{Decided, Line, Outcome};
pub use rollback::{Breach, Health, RollbackCause, breaches};
pub use settings::PromotionSettings;
pub use trial::Trial;
pub use verdict::{Source, Verdict, judge};
