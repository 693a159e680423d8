//! Figures taken in piece by piece against those of the whole list.

use super::log::told;
use crate::promotion::figures::Figures;
use crate::promotion::record::Told;

/// Figures of one account.
struct Account(Figures);

impl Account {
    fn new() -> Self {
        Self(Figures::new(1.0))
    }

    fn push(&mut self, ts_ns: i64, told: &Told) {
        self.0.push(ts_ns, told, told.equity);
    }
}

impl std::ops::Deref for Account {
    type Target = Figures;

    fn deref(&self) -> &Figures {
        &self.0
    }
}

const HOUR_NS: i64 = 3_600_000_000_000;

fn at(equity: f64) -> Told {
    Told { equity, ..told("a", [0.2, 0.3, 0.5]) }
}

/// Mean over deviation of the list, for a year of hours.
fn naive(returns: &[f64]) -> f64 {
    let n = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / n;
    let variance = returns.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
    mean / variance.sqrt() * 8_760.0_f64.sqrt()
}

#[test]
fn the_ratio_is_that_of_hourly_returns_with_quiet_hours_in_them() {
    let mut figures = Account::new();
    assert_eq!((figures.account().sharpe(), figures.account().sharpe_recent()), (None, None));
    let equities: Vec<f64> = (0..60).map(|h| 1_000.0 + f64::from((h * 37) % 23)).collect();
    let mut returns: Vec<f64> = equities.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
    for (hour, equity) in equities.iter().enumerate() {
        // Several decisions within the hour, of which the first counts.
        figures.push(hour as i64 * HOUR_NS, &at(*equity));
        figures.push(hour as i64 * HOUR_NS + 5, &at(*equity * 1.5));
    }
    assert!((figures.account().sharpe().unwrap() - naive(&returns)).abs() < 1e-9);
    assert!((figures.account().sharpe_recent().unwrap() - naive(&returns[35..])).abs() < 1e-9);
    // Three hours of silence.
    let last = equities[59];
    figures.push(62 * HOUR_NS, &at(last));
    returns.extend([0.0, 0.0, 0.0]);
    assert!((figures.account().sharpe().unwrap() - naive(&returns)).abs() < 1e-9);
    assert!((figures.account().days() - 62.0 / 24.0).abs() < 1e-12);
}

#[test]
fn hours_below_the_limit_are_counted_in_a_row() {
    let mut figures = Account::new();
    let fall = |hour: i64| 1_000.0 - hour as f64 - f64::from(hour as i32 % 2);
    (0..=24).for_each(|hour| figures.push(hour * HOUR_NS, &at(fall(hour))));
    assert_eq!(figures.account().hours_below(), 1, "the first whole day");
    (25..=47).for_each(|hour| figures.push(hour * HOUR_NS, &at(fall(hour))));
    assert_eq!(figures.account().hours_below(), 24);
    figures.push(48 * HOUR_NS, &at(5_000.0));
    assert_eq!(figures.account().hours_below(), 0);
}

#[test]
fn the_drawdown_is_from_the_highest_equity() {
    let mut figures = Account::new();
    for (hour, equity) in [100.0, 120.0, 90.0, 110.0, 108.0].into_iter().enumerate() {
        figures.push(hour as i64, &at(equity));
    }
    assert!((figures.account().drawdown_max() - 0.25).abs() < 1e-12);
    assert!((figures.account().drawdown() - 0.1).abs() < 1e-12);
}

#[test]
fn losses_and_failures_are_counted_in_a_row() {
    let mut figures = Account::new();
    let closed = |pnl: f64| Told { closed_pnl: Some(pnl), ..at(100.0) };
    for pnl in [-1.0, 2.0, -1.0, -1.0, -3.0] {
        figures.push(0, &closed(pnl));
    }
    assert_eq!((figures.account().losses_in_a_row(), figures.account().trades()), (3, 5));
    figures.push(0, &at(100.0));
    assert_eq!(figures.account().losses_in_a_row(), 3, "only a trade that ends counts");
    figures.push(0, &closed(0.0));
    assert_eq!(figures.account().losses_in_a_row(), 0);
    let failed = || Told { proba: None, error: Some("no answer".to_owned()), ..at(100.0) };
    (0..3).for_each(|_| figures.push(0, &failed()));
    assert_eq!((figures.errors_in_a_row(), figures.decisions()), (3, 7));
    figures.push(0, &at(100.0));
    assert_eq!(figures.errors_in_a_row(), 0);
}

#[test]
fn latency_and_slippage_are_those_that_were_told() {
    let mut figures = Account::new();
    assert_eq!((figures.latency_p99_ns(), figures.slippage_apart()), (None, None));
    for n in 1..=1_000_u64 {
        figures.push(0, &Told { latency_ns: n * 1_000, ..at(100.0) });
    }
    let p99 = figures.latency_p99_ns().unwrap() as f64;
    assert!((p99 / 990_000.0 - 1.0).abs() < 0.01, "{p99}");
    let mut fill = super::log::fill();
    (fill.slippage, fill.slippage_model) = (1.3, 1.0);
    figures.push(0, &Told { virtual_fill: Some(fill), ..at(100.0) });
    assert!((figures.slippage_apart().unwrap() - 0.3).abs() < 1e-12);
}
