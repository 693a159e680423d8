//! Whether what a model sees and how well it does are still what they were.
//!
//! | file | says |
//! |---|---|
//! | `shares` | how far the shares of ten bins are from those of training (PSI) |
//! | `samples` | whether samples of many features are of one distribution (Kolmogorov–Smirnov) |
//! | `adwin` | where the mean of a stream changed (ADWIN) |
//! | `cumulative` | when the mean of a stream has risen (Page–Hinkley) |

mod adwin;
mod cumulative;
mod samples;
mod shares;
#[cfg(test)]
mod tests;

pub use adwin::Adwin;
pub use cumulative::PageHinkley;
pub use samples::{Sample, kolmogorov_tail, ks_distance, ks_probability, rejected};
pub use shares::{Shares, psi};
