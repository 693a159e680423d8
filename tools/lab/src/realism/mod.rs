//! How real the backtest's fills are: what sessions tell of latency, queues and impact, and where
//! a session's profit and that of its backtest part.
//!
//! | file | holds |
//! |---|---|
//! | `recorded` | a session as its journal has it: requests, answers, fills |
//! | `shadow` | the same orders at the paper venue, at the times at which they arrived |
//! | `estimate` | a figure with its interval, and how many observations it rests on |
//! | `calibrate` | the models of `[paper]` from journals |
//! | `passive` | resting orders against each queue model |
//! | `taking` | what orders that took paid for it |
//! | `fills_file` | what was found as a file of fills |
//! | `books` | a session's profit as whole numbers, order by order |
//! | `attribution` | a session against its backtest |
//! | `report` | that, written |

pub mod attribution;
pub mod books;
pub mod calibrate;
pub mod estimate;
pub mod fills_file;
mod passive;
pub mod recorded;
pub mod report;
pub mod shadow;
mod taking;

#[cfg(test)]
mod tests;
