//! How a step is timed without knowing a clock: it says which hop ended, the probe does the rest.

use crate::base::hop::{Hop, Stamp};
use crate::base::ids::Seq;

/// Takes latency stamps. They feed histograms and nothing else: no decision depends on one.
pub trait Probe {
    /// A stamp of this instant.
    fn stamp(&mut self) -> Stamp;
    /// Records the time of `hop` from `from` to `to`, for the input of that place in the river.
    fn record(&mut self, hop: Hop, seq: Seq, from: Stamp, to: Stamp);
}

/// Times nothing: replay and backtests that only want results.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    #[inline]
    fn stamp(&mut self) -> Stamp {
        Stamp(0)
    }

    #[inline]
    fn record(&mut self, _hop: Hop, _seq: Seq, _from: Stamp, _to: Stamp) {}
}
