//! `[paper]`: the models of the paper venue, which fills in paper trading and in backtests.
//! `peregrine-lab calibrate` estimates them from journals.

use super::section::Section;
use crate::base::units::Rate;

/// Longest latency, in microseconds.
const LATENCY_US_MAX: u32 = 60_000_000;
/// Parts of all requests, per mille, that take no longer than each of [`LatencyQuantiles`].
pub const QUANTILE_PLACES: [u32; 9] = [0, 100, 250, 500, 750, 900, 950, 990, 1_000];
/// Basis points to the units of a rate.
const BPS: f64 = 1e4;

/// A distribution of latencies in microseconds at [`QUANTILE_PLACES`], rising; straight between.
pub type LatencyQuantiles = [u32; QUANTILE_PLACES.len()];

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaperSettings {
    /// From the order's bytes leaving to the venue's matching, in microseconds.
    pub order_latency_us: u32,
    /// The same as a distribution, from which every request draws; instead of the one value.
    pub order_latency_quantiles_us: Option<LatencyQuantiles>,
    /// From the venue's matching to our receipt of the report, in microseconds.
    pub report_latency_us: u32,
    /// The same as a distribution, from which every report draws; instead of the one value.
    pub report_latency_quantiles_us: Option<LatencyQuantiles>,
    /// Queue model of resting orders.
    pub queue: QueueModel,
    /// By how much an order that takes all that is displayed moves its own price, as a rate; one
    /// that takes a part, by the square root of that part.
    pub impact: Rate,
}

/// How a resting order advances in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueModel {
    /// Only trades advance it.
    RiskAverse,
    /// A cancelled quantity is taken from ahead and behind in proportion (power 2).
    Probabilistic,
}

impl QueueModel {
    /// Every model by its name in configurations.
    pub const ALL: [(&'static str, Self); 2] =
        [("risk_averse", Self::RiskAverse), ("probabilistic", Self::Probabilistic)];

    /// Its name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RiskAverse => "risk_averse",
            Self::Probabilistic => "probabilistic",
        }
    }
}

impl Default for PaperSettings {
    fn default() -> Self {
        Self {
            order_latency_us: 1_000,
            order_latency_quantiles_us: None,
            report_latency_us: 1_000,
            report_latency_quantiles_us: None,
            queue: QueueModel::RiskAverse,
            impact: Rate(0),
        }
    }
}

impl PaperSettings {
    pub(super) fn read(mut s: Section<'_>) -> Self {
        let usual = Self::default();
        let range = 0..=LATENCY_US_MAX;
        let mut latency = |key: &str, usual: u32| s.u32_opt(key, range.clone()).unwrap_or(usual);
        let order = latency("order_latency_us", usual.order_latency_us);
        let report = latency("report_latency_us", usual.report_latency_us);
        let settings = Self {
            order_latency_us: order,
            order_latency_quantiles_us: quantiles(&mut s, "order_latency_quantiles_us"),
            report_latency_us: report,
            report_latency_quantiles_us: quantiles(&mut s, "report_latency_quantiles_us"),
            queue: s.choice("queue", &QueueModel::ALL, usual.queue),
            impact: Rate((s.number_or("impact_bps", 0.0..=1_000.0, 0.0) * BPS).round() as i64),
        };
        s.finish();
        settings
    }
}

fn quantiles(s: &mut Section<'_>, key: &str) -> Option<LatencyQuantiles> {
    let found = s.numbers(key, 0..=LATENCY_US_MAX);
    if found.is_empty() {
        return None;
    }
    let count = found.len();
    let Ok(quantiles) = LatencyQuantiles::try_from(found) else {
        let wanted = QUANTILE_PLACES.len();
        s.fail(key, format!("{count} values; {wanted} are needed, or none"));
        return None;
    };
    if !quantiles.is_sorted() {
        s.fail(key, "must rise");
    }
    Some(quantiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PaperSettings, Vec<String>> {
        let mut errors = Vec::new();
        let table = text.parse().expect("a table");
        let settings = PaperSettings::read(Section::new("paper", table, &mut errors));
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(settings) } else { Err(told) }
    }

    #[test]
    fn a_distribution_that_is_none_is_refused_by_its_key() {
        let nine = "order_latency_quantiles_us = [1, 2, 3, 4, 5, 6, 7, 8, 9]";
        let read_nine = read(nine).expect("nine rising values");
        assert_eq!(read_nine.order_latency_quantiles_us, Some([1, 2, 3, 4, 5, 6, 7, 8, 9]));
        assert_eq!(read_nine.report_latency_quantiles_us, None);
        for (text, told) in [
            ("order_latency_quantiles_us = [1, 2]", "2 values; 9 are needed"),
            ("report_latency_quantiles_us = [2, 1, 3, 4, 5, 6, 7, 8, 9]", "must rise"),
            ("order_latency_quantiles_us = [1, 2, 3, 4, 5, 6, 7, 8, -9]", "holds -9"),
            ("order_latency_quantiles_us = 3", "a list of integers"),
            ("impact_bps = -1.0", "outside"),
        ] {
            let errors = read(text).unwrap_err().join("; ");
            let key = text.split(' ').next().unwrap_or_default();
            assert!(errors.contains(told) && errors.contains(key), "{text}: {errors}");
        }
    }

    #[test]
    fn an_impact_in_basis_points_is_a_rate() {
        // 1 basis point is 1e-4, and a rate counts in 1e-8.
        assert_eq!(read("impact_bps = 2.5").expect("an impact").impact, Rate(25_000));
    }
}
