//! How long requests and reports take: one value, drawn from a distribution, or as recorded.
//!
//! ```text
//!   draw   u from the request's number alone, so that equal runs draw the same
//!          u among QUANTILE_PLACES, straight between the two next to it
//!   as recorded   what the newest request that was sent by then took
//! ```

use crate::base::Nanos;
use crate::base::settings::{LatencyQuantiles, PaperSettings, QUANTILE_PLACES};

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always the same.
    Constant(Nanos),
    /// From a distribution.
    Drawn(LatencyQuantiles),
    /// Times and what was measured at each, in order of time; zero without any.
    Recorded(Vec<(Nanos, Nanos)>),
}

/// Of requests, and of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latencies {
    /// From the order's bytes leaving to the venue's matching, by the time of sending.
    pub order: Latency,
    /// From the venue's matching to our receipt, by the time of matching.
    pub report: Latency,
}

impl Latencies {
    /// As configured.
    pub fn configured(settings: &PaperSettings) -> Self {
        let of = |quantiles: Option<LatencyQuantiles>, us: u32| match quantiles {
            Some(quantiles) => Latency::Drawn(quantiles),
            None => Latency::Constant(micros(u64::from(us))),
        };
        Self {
            order: of(settings.order_latency_quantiles_us, settings.order_latency_us),
            report: of(settings.report_latency_quantiles_us, settings.report_latency_us),
        }
    }
}

impl Latency {
    /// What something takes that begins at `at` and is told apart by `number`.
    pub fn of(&self, at: Nanos, number: u64) -> Nanos {
        match self {
            Self::Constant(latency) => *latency,
            Self::Drawn(quantiles) => drawn(quantiles, number),
            Self::Recorded(known) => {
                let after = known.partition_point(|(time, _)| *time <= at);
                known.get(after.saturating_sub(1)).map_or(Nanos::ZERO, |(_, latency)| *latency)
            }
        }
    }
}

/// Millionths between two places of a per mille.
const PART: u64 = 1_000;

fn drawn(quantiles: &LatencyQuantiles, number: u64) -> Nanos {
    // 0 to 999 999 of a million.
    let place = u64::try_from((u128::from(mixed(number)) * 1_000_000) >> 64).unwrap_or(0);
    let bound = |index: usize| u64::from(QUANTILE_PLACES[index]) * PART;
    let above = (1..QUANTILE_PLACES.len()).find(|&index| place < bound(index));
    let above = above.unwrap_or(QUANTILE_PLACES.len() - 1);
    let (low, high) = (u64::from(quantiles[above - 1]), u64::from(quantiles[above]));
    let (from, to) = (bound(above - 1), bound(above));
    let part = (high.saturating_sub(low)) * 1_000 * (place - from) / (to - from);
    Nanos(i64::try_from(low * 1_000 + part).unwrap_or(i64::MAX))
}

fn micros(us: u64) -> Nanos {
    Nanos(i64::try_from(us * 1_000).unwrap_or(i64::MAX))
}

/// The finaliser of splitmix64: every bit of the number moves every bit of what comes out.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_has_the_distribution_it_is_drawn_from() {
        let quantiles = [100, 200, 300, 400, 600, 900, 1_500, 5_000, 9_000];
        let latency = Latency::Drawn(quantiles);
        let mut all: Vec<i64> = (0..100_000).map(|n| latency.of(Nanos::ZERO, n).0).collect();
        all.sort_unstable();
        assert!(all[0] >= 100_000 && all[all.len() - 1] < 9_000_000);
        for (place, wanted) in QUANTILE_PLACES.iter().zip(quantiles) {
            let below = all.partition_point(|&ns| ns < i64::from(wanted) * 1_000);
            let part = below as f64 / all.len() as f64;
            // Four standard deviations of a share of 100 000 draws are at most 0.0064.
            assert!((part - f64::from(*place) / 1_000.0).abs() < 0.0064, "{wanted}: {part}");
        }
        assert_eq!(latency.of(Nanos(5), 77), latency.of(Nanos(9), 77), "only the number counts");
    }

    #[test]
    fn a_recorded_latency_is_that_of_the_newest_request_by_then() {
        let known = vec![(Nanos(10), Nanos(1)), (Nanos(20), Nanos(2)), (Nanos(30), Nanos(3))];
        let latency = Latency::Recorded(known);
        let at = |time| latency.of(Nanos(time), 0).0;
        assert_eq!([at(5), at(10), at(19), at(20), at(99)], [1, 1, 1, 2, 3]);
        assert_eq!(Latency::Recorded(Vec::new()).of(Nanos(5), 0), Nanos::ZERO);
    }
}
