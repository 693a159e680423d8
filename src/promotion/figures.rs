//! What an account has come to, taken in decision by decision: memory does not grow with time.

use super::record::Told;
use hdrhistogram::Histogram;

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: f64 = 86_400e9;
/// Hours of a year of 365 days.
const HOURS_PER_YEAR: f64 = 8_760.0;
/// Hours of the short window.
pub const RECENT_HOURS: usize = 24;
/// Hours without a decision that are filled with returns of nought; what is longer counts as this.
const GAP_HOURS_MAX: i64 = 24 * 366;
/// Longest latency that is told apart, nanoseconds: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// Returns of whole hours.
#[derive(Clone, Debug, Default, PartialEq)]
struct Hours {
    /// Number and equity at the end of the hour before the one that runs.
    last: Option<(i64, f64)>,
    count: u64,
    mean: f64,
    squares: f64,
    recent: [f64; RECENT_HOURS],
    /// Hours in a row at whose end the short ratio was below the limit.
    below: u64,
}

/// An account's figures.
#[derive(Clone, Debug)]
pub struct Figures {
    hours: Hours,
    sharpe_recent_min: f64,
    first_ns: Option<i64>,
    last_ns: i64,
    equity: f64,
    peak: f64,
    drawdown_max: f64,
    losses_in_a_row: u64,
    trades: u64,
    decisions: u64,
    errors_in_a_row: u64,
    latency: Histogram<u64>,
    /// Paid, and expected by the cost model.
    slippage: (f64, f64),
}

impl Figures {
    /// Nothing seen. Hours with a short Sharpe ratio below `sharpe_recent_min` are counted.
    pub fn new(sharpe_recent_min: f64) -> Self {
        let latency = Histogram::new_with_max(LATENCY_NS_MAX, 2).expect("the bounds are lawful");
        Self {
            hours: Hours::default(),
            sharpe_recent_min,
            first_ns: None,
            last_ns: 0,
            equity: 0.0,
            peak: 0.0,
            drawdown_max: 0.0,
            losses_in_a_row: 0,
            trades: 0,
            decisions: 0,
            errors_in_a_row: 0,
            latency,
            slippage: (0.0, 0.0),
        }
    }

    /// Takes in what a model said at `ts_ns`, in the order of time, and the equity of its account
    /// then: that of one account, where each session tells of its own.
    pub fn push(&mut self, ts_ns: i64, told: &Told, equity: f64) {
        self.hours.push(ts_ns, equity, self.sharpe_recent_min);
        self.first_ns.get_or_insert(ts_ns);
        self.last_ns = self.last_ns.max(ts_ns);
        self.equity = equity;
        self.peak = self.peak.max(equity);
        self.drawdown_max = self.drawdown_max.max(self.drawdown());
        if let Some(pnl) = told.closed_pnl {
            self.trades += 1;
            self.losses_in_a_row = if pnl < 0.0 { self.losses_in_a_row + 1 } else { 0 };
        }
        if told.proba.is_some() {
            self.decisions += 1;
            self.errors_in_a_row = 0;
            self.latency.saturating_record(told.latency_ns.clamp(1, LATENCY_NS_MAX));
        }
        if told.error.is_some() {
            self.errors_in_a_row += 1;
        }
        if let Some(fill) = &told.virtual_fill {
            self.slippage.0 += fill.slippage;
            self.slippage.1 += fill.slippage_model;
        }
    }

    /// Annual Sharpe ratio of the hourly returns so far; `None` before two hours that differ.
    pub fn sharpe(&self) -> Option<f64> {
        let Hours { count, mean, squares, .. } = self.hours;
        ratio(count, mean, squares)
    }

    /// The same of the last 24 hours; `None` before there are so many.
    pub fn sharpe_recent(&self) -> Option<f64> {
        self.hours.recent()
    }

    /// Hours in a row at whose end the short ratio was below its limit.
    pub fn hours_below(&self) -> u64 {
        self.hours.below
    }

    /// The fall from the highest equity, as a fraction of it.
    pub fn drawdown(&self) -> f64 {
        if self.peak > 0.0 { 1.0 - self.equity / self.peak } else { 0.0 }
    }

    /// The largest such fall.
    pub fn drawdown_max(&self) -> f64 {
        self.drawdown_max
    }

    /// Trades that ended with a loss since the last that did not.
    pub fn losses_in_a_row(&self) -> u64 {
        self.losses_in_a_row
    }

    /// Trades that ended.
    pub fn trades(&self) -> u64 {
        self.trades
    }

    /// Predictions made.
    pub fn decisions(&self) -> u64 {
        self.decisions
    }

    /// Failed inferences since the last that succeeded.
    pub fn errors_in_a_row(&self) -> u64 {
        self.errors_in_a_row
    }

    /// Days from the first to the last.
    pub fn days(&self) -> f64 {
        self.first_ns.map_or(0.0, |first| (self.last_ns - first) as f64 / DAY_NS)
    }

    /// 99th percentile of the inference, nanoseconds; `None` before the first prediction.
    pub fn latency_p99_ns(&self) -> Option<u64> {
        (!self.latency.is_empty()).then(|| self.latency.value_at_quantile(0.99))
    }

    /// How far slippage is from what the cost model expected, as a fraction of that; `None` where
    /// nothing was expected.
    pub fn slippage_apart(&self) -> Option<f64> {
        let (paid, expected) = self.slippage;
        (expected > 0.0).then(|| (paid / expected - 1.0).abs())
    }
}

impl Hours {
    fn push(&mut self, ts_ns: i64, equity: f64, limit: f64) {
        let hour = ts_ns.div_euclid(HOUR_NS);
        let Some((last, before)) = self.last else {
            self.last = Some((hour, equity));
            return;
        };
        let passed = (hour - last).min(GAP_HOURS_MAX);
        if passed <= 0 {
            return;
        }
        // What is known first in a new hour closes those before it: one return, then quiet hours.
        self.add(equity / before - 1.0, limit);
        (1..passed).for_each(|_| self.add(0.0, limit));
        self.last = Some((hour, equity));
    }

    fn add(&mut self, value: f64, limit: f64) {
        self.recent[(self.count % RECENT_HOURS as u64) as usize] = value;
        self.count += 1;
        let apart = value - self.mean;
        self.mean += apart / self.count as f64;
        self.squares += apart * (value - self.mean);
        let low = self.recent().is_some_and(|ratio| ratio < limit);
        self.below = if low { self.below + 1 } else { 0 };
    }

    fn recent(&self) -> Option<f64> {
        let count = RECENT_HOURS as f64;
        if self.count < RECENT_HOURS as u64 {
            return None;
        }
        let mean = self.recent.iter().sum::<f64>() / count;
        let squares = self.recent.iter().map(|value| (value - mean) * (value - mean)).sum();
        ratio(RECENT_HOURS as u64, mean, squares)
    }
}

/// Annual Sharpe ratio of hourly returns; `None` where they do not differ.
fn ratio(count: u64, mean: f64, squares: f64) -> Option<f64> {
    if count < 2 || squares <= f64::EPSILON * mean * mean {
        return None;
    }
    let deviation = (squares / (count - 1) as f64).sqrt();
    Some(mean / deviation * HOURS_PER_YEAR.sqrt())
}
