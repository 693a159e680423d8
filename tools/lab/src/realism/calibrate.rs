//! The models of `[paper]` from journals: latency, queue, impact. What too few observations tell is
//! not told: the configuration keeps its own.

use super::estimate::{COUNT_MIN, Estimate, has_tail, mean, quantile};
use super::passive::{Passive, Queue};
use super::recorded::Recorded;
use super::taking::{Impact, Taking};
use anyhow::{Result, ensure};
use peregrine::base::Nanos;
use peregrine::base::settings::{LatencyQuantiles, QUANTILE_PLACES};
use peregrine::journal::{LaneReader, STAMPS_LANE};
use peregrine::observe::stamps::Rebuilt;
use serde::Serialize;
use std::path::Path;

/// The quantile whose interval must not end for want of requests before a distribution is told.
const TAIL: f64 = 0.99;

/// A latency as it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Observations.
    pub count: usize,
    /// Middle, microseconds; `None` for too few.
    pub p50_us: Option<Estimate>,
    /// Of ten, nine are no longer.
    pub p90_us: Option<Estimate>,
    /// Of a hundred, ninety-nine are no longer.
    pub p99_us: Option<Estimate>,
    /// Longest, microseconds.
    pub max_us: i64,
    /// At the places of `[paper]`, where there are enough for the tail.
    pub quantiles_us: Option<LatencyQuantiles>,
}

/// See the head of this file.
#[derive(Clone, Debug, Serialize)]
pub struct Calibration {
    /// Journals read.
    pub sessions: usize,
    /// From the input that caused a request until the venue acted, as we see the market.
    pub order: Measured,
    /// From then until we heard.
    pub report: Measured,
    /// From the input until we heard: both, on our clock alone.
    pub round_trip: Measured,
    /// By how much market events are late. Holds the offset of the clocks, so that only differences
    /// of it say something.
    pub feed: Measured,
    /// Resting orders.
    pub queue: Queue,
    /// Orders that took.
    pub impact: Impact,
    /// Fee paid over value of a fill, basis points: makers, takers.
    pub fees_bps: [Option<Estimate>; 2],
    /// Hops inside the program, where the journals hold their stamps.
    pub hops: serde_json::Value,
}

/// Gathers sessions.
#[derive(Default)]
struct Gathering {
    order: Vec<i64>,
    report: Vec<i64>,
    round_trip: Vec<i64>,
    feed: Vec<i64>,
    fees: [Vec<f64>; 2],
    passive: Passive,
    taking: Taking,
    stamps: Rebuilt,
}

/// Reads journals and estimates.
///
/// # Errors
/// No journal, or the one that cannot be read.
pub fn calibrate(journals: &[impl AsRef<Path>]) -> Result<Calibration> {
    ensure!(!journals.is_empty(), "no journal was named");
    let mut gathering = Gathering::default();
    for dir in journals {
        gathering.session(&Recorded::read(dir.as_ref())?)?;
    }
    Ok(gathering.end(journals.len()))
}

impl Gathering {
    fn session(&mut self, recorded: &Recorded) -> Result<()> {
        for request in &recorded.requests {
            let Some(answer) = request.answer else { continue };
            self.order.push((answer.acted - request.sent_at).0);
            self.report.push((answer.heard - answer.acted).0);
            self.round_trip.push((answer.heard - request.sent_at).0);
        }
        self.feed.extend_from_slice(&recorded.delays);
        for fill in &recorded.fills {
            let value = fill.px as f64 * fill.qty as f64 / 1e8;
            let of = &mut self.fees[usize::from(!fill.is_maker)];
            of.push(fill.fee as f64 / value * 1e4);
        }
        self.passive.session(recorded)?;
        self.taking.session(recorded)?;
        for item in LaneReader::open(&recorded.dir, STAMPS_LANE)? {
            self.stamps.take(&item?.1);
        }
        Ok(())
    }

    fn end(self, sessions: usize) -> Calibration {
        Calibration {
            sessions,
            order: measured(self.order),
            report: measured(self.report),
            round_trip: measured(self.round_trip),
            feed: measured(self.feed),
            queue: self.passive.end(),
            impact: self.taking.end(),
            fees_bps: self.fees.map(|fees| mean(&fees)),
            hops: serde_json::to_value(self.stamps.totals.view()).unwrap_or_default(),
        }
    }
}

/// Nanoseconds told in microseconds.
fn measured(mut all: Vec<i64>) -> Measured {
    for value in &mut all {
        *value = Nanos(*value).0.div_euclid(1_000);
    }
    all.sort_unstable();
    let count = all.len();
    let at = |per_mille: u32| {
        let rank = (count * per_mille as usize).div_ceil(1_000).saturating_sub(1);
        all.get(rank).map_or(0, |us| u32::try_from((*us).max(0)).unwrap_or(u32::MAX))
    };
    let is_enough = count >= COUNT_MIN && has_tail(count, TAIL);
    Measured {
        count,
        p50_us: quantile(&all, 0.5),
        p90_us: quantile(&all, 0.9),
        p99_us: quantile(&all, TAIL),
        max_us: all.last().copied().unwrap_or(0),
        quantiles_us: is_enough.then(|| QUANTILE_PLACES.map(at)),
    }
}
