//! What an account has come to, taken in decision by decision: memory does not grow with time.

use super::account::Account;
use super::record::Told;
use hdrhistogram::Histogram;

/// Longest latency that is told apart, nanoseconds: a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

/// An account's figures.
#[derive(Clone, Debug)]
pub struct Figures {
    account: Account,
    sharpe_recent_min: f64,
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
            account: Account::default(),
            sharpe_recent_min,
            decisions: 0,
            errors_in_a_row: 0,
            latency,
            slippage: (0.0, 0.0),
        }
    }

    /// Takes in what a model said at `ts_ns`, in the order of time, and the equity of its account
    /// then: that of one account, where each session tells of its own.
    pub fn push(&mut self, ts_ns: i64, told: &Told, equity: f64) {
        self.account.worth(ts_ns, equity, self.sharpe_recent_min);
        if let Some(pnl) = told.closed_pnl {
            self.account.closed(pnl);
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

    /// What its account has come to.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// Predictions made.
    pub fn decisions(&self) -> u64 {
        self.decisions
    }

    /// Failed inferences since the last that succeeded.
    pub fn errors_in_a_row(&self) -> u64 {
        self.errors_in_a_row
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
