//! What a campaign has to show, and the steps of capital that follow.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Most capital of a step in quote currency: what still fits an amount with room to reckon.
const CAPITAL_MAX: u64 = 1_000_000_000;

/// A file of targets.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// What trading on paper has to show before real money.
    pub paper: Paper,
    /// Steps of capital, each with what the one before has to show.
    pub step: Vec<Step>,
}

/// What trading on paper has to show.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Paper {
    /// Fewest days.
    pub days_min: u64,
    /// Most critical errors.
    pub critical_max: u64,
    /// Least annual Sharpe ratio.
    pub sharpe_min: f64,
    /// Largest fall of the equity, as a fraction.
    pub drawdown_frac_max: f64,
    /// Least share of round trips that were won.
    pub win_rate_min: f64,
    /// Fewest round trips that share is counted over.
    pub round_trips_min: u64,
    /// Least ratio of what was won to what was lost.
    pub profit_factor_min: f64,
}

/// A step of capital.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Capital in quote currency.
    pub capital_quote: u64,
    /// Days at the step before.
    pub days_min: u64,
    /// Least annual Sharpe ratio at the step before; nothing is asked without it.
    pub sharpe_min: Option<f64>,
    /// Largest fall at the step before, as a fraction.
    pub drawdown_frac_max: Option<f64>,
    /// What holds at this step, in words.
    pub limits: String,
}

impl Targets {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file, and every key at fault.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// Every key at fault.
    pub fn parse(text: &str) -> Result<Self> {
        let targets: Self = toml::from_str(text)?;
        let Paper { days_min, sharpe_min, drawdown_frac_max, win_rate_min, .. } = targets.paper;
        let is_part = |value: f64| (0.0..=1.0).contains(&value);
        let mut faults = Vec::new();
        let mut check = |is_right: bool, what: &str| {
            if !is_right {
                faults.push(what.to_owned());
            }
        };
        check((7..=3_650).contains(&days_min), "paper.days_min: 7 to 3650");
        check((0.0..=100.0).contains(&sharpe_min), "paper.sharpe_min: 0 to 100");
        check(is_part(drawdown_frac_max), "paper.drawdown_frac_max: 0 to 1");
        check(is_part(win_rate_min), "paper.win_rate_min: 0 to 1");
        let factor = targets.paper.profit_factor_min;
        check((1.0..=100.0).contains(&factor), "paper.profit_factor_min: 1 to 100");
        let first = targets.step.first().map_or(0, |step| step.capital_quote);
        check((1..=500).contains(&first), "step: the first has a capital of 1 to 500");
        let rises = |pair: &[Step]| pair[0].capital_quote < pair[1].capital_quote;
        check(targets.step.windows(2).all(rises), "step: the capital rises from step to step");
        let last = targets.step.last().map_or(0, |step| step.capital_quote);
        check(last <= CAPITAL_MAX, "step: the last has a capital of at most 1000000000");
        let falls = targets.step.iter().filter_map(|step| step.drawdown_frac_max);
        check(falls.into_iter().all(is_part), "step.drawdown_frac_max: 0 to 1");
        if !faults.is_empty() {
            bail!("{}", faults.join("\n"));
        }
        Ok(targets)
    }
}
