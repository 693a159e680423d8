//! What an account has come to over time: its equity by the hour, its fall from the peak, its trades.
//! Can be kept in a file and taken up again.

use serde::{Deserialize, Serialize};

const HOUR_NS: i64 = 3_600_000_000_000;
const DAY_NS: f64 = 86_400e9;
/// Hours of a year of 365 days.
const HOURS_PER_YEAR: f64 = 8_760.0;
/// Hours of the short window.
pub const RECENT_HOURS: usize = 24;
/// Hours without a decision that are filled with returns of nought; what is longer counts as this.
const GAP_HOURS_MAX: i64 = 24 * 366;

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    hours: Hours,
    first_ns: Option<i64>,
    last_ns: i64,
    equity: f64,
    peak: f64,
    drawdown_max: f64,
    losses_in_a_row: u64,
    trades: u64,
}

/// Returns of whole hours.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

impl Account {
    /// One that begins with this equity.
    pub fn of(equity: f64) -> Self {
        Self { equity, peak: equity, ..Self::default() }
    }

    /// The equity at `ts_ns`, in the order of time. Hours at whose end the short Sharpe ratio is
    /// below `limit` are counted.
    pub fn worth(&mut self, ts_ns: i64, equity: f64, limit: f64) {
        self.hours.push(ts_ns, equity, limit);
        self.first_ns.get_or_insert(ts_ns);
        self.last_ns = self.last_ns.max(ts_ns);
        self.equity = equity;
        self.peak = self.peak.max(equity);
        self.drawdown_max = self.drawdown_max.max(self.drawdown());
    }

    /// A trade ended with this net profit.
    pub fn closed(&mut self, pnl: f64) {
        self.trades += 1;
        self.losses_in_a_row = if pnl < 0.0 { self.losses_in_a_row + 1 } else { 0 };
    }

    /// The newest equity.
    pub const fn equity(&self) -> f64 {
        self.equity
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
    pub const fn hours_below(&self) -> u64 {
        self.hours.below
    }

    /// The fall from the highest equity, as a fraction of it.
    pub fn drawdown(&self) -> f64 {
        if self.peak > 0.0 { 1.0 - self.equity / self.peak } else { 0.0 }
    }

    /// The largest such fall.
    pub const fn drawdown_max(&self) -> f64 {
        self.drawdown_max
    }

    /// Trades that ended with a loss since the last that did not.
    pub const fn losses_in_a_row(&self) -> u64 {
        self.losses_in_a_row
    }

    /// Trades that ended.
    pub const fn trades(&self) -> u64 {
        self.trades
    }

    /// Days from the first to the last.
    pub fn days(&self) -> f64 {
        self.first_ns.map_or(0.0, |first| (self.last_ns - first) as f64 / DAY_NS)
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
