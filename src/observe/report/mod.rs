//! A day or a week in figures and a picture, from the journals of a state folder.
//!
//! | file | holds |
//! |---|---|
//! | `figures` | profit, trades, round trips, fall, Sharpe ratio |
//! | `read` | the position records of the sessions that lie in a period |
//! | `picture` | the equity curve as a PNG |
//! | `due` | which periods are over and not told yet |

pub mod due;
pub mod figures;
pub mod picture;
pub mod read;

pub use figures::Figures;
pub use read::{Period, read};

#[cfg(test)]
mod tests;
