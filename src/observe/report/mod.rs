//! A day or a week in figures and a picture, from the journals of a state folder.
//!
//! | file | holds |
//! |---|---|
//! | `figures` | profit, trades, round trips, fall, Sharpe ratio |
//! | `fills` | what executions came to, against the prices they were decided at |
//! | `statement` | all of it as Markdown and as a page of its own |
//! | `read` | the position records of the sessions that lie in a period |
//! | `picture` | the equity curve as a PNG |
//! | `due` | which periods are over and not told yet |

pub mod due;
pub mod figures;
pub mod fills;
pub mod picture;
pub mod read;
pub mod statement;

pub use figures::Figures;
pub use read::{Period, read, statement};
pub use statement::Statement;

#[cfg(test)]
mod tests;
