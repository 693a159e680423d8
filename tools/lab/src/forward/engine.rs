//! The trader itself over each test of a walk-forward: the fold's own model through sizing, gate,
//! paper venue, fees and funding, beside the lab's own trading of the same predictions.
//!
//! ```text
//!   fold ─► learn again ─► version ─┐
//!   data set, from as many bars before the test as features need ─► session ─► equity by period
//! ```
//! A fold's session is written whole or not at all, under a key of data, fold, configuration and
//! trader: what was finished is not run again.

use super::figures::sharpe;
use super::learn::learn;
use super::store::FOLDS;
use super::trade::Track;
use super::{Job, Outcome, Step, Trial, key, plan};
use crate::files::write_whole;
use crate::session::Session;
use crate::statistics::moments::drawdown_max;
use crate::train::frozen::{Order, spread_of, version_of};
use crate::validation::folds::Fold;
use anyhow::{Context, Result, ensure};
use peregrine::base::counters::Counter;
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::units::Rate;
use peregrine::base::{Money, Nanos};
use peregrine::features::{SCHEMA, WarmUp, index_of};
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{hex, sha256};
use peregrine::runtime::backtest::Source;
use peregrine::runtime::config::{Loaded, with_values};
use peregrine::venue::dataset::DataSet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use toml::Value;

/// What the trader made of a fold. Amounts are whole numbers of 1e-8 quote currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lived {
    /// Hash of what it rests on.
    pub key: String,
    /// From 0.
    pub number: usize,
    /// Equity at the beginning and after each period.
    pub equity: Vec<i64>,
    /// Fees paid.
    pub fees: i64,
    /// Funding received.
    pub funding: i64,
    /// Round trips that ended, and those that left more than nothing.
    pub round_trips: [u64; 2],
    /// Decisions of the model, orders, fills, entries that sizing or the gate refused.
    pub counts: [u64; 4],
    /// Worst trading state after the first ACTIVE.
    pub worst_state: String,
    /// Records that come out otherwise when its journal is run again.
    pub replay_differences: u64,
}

impl Lived {
    /// Return of each period.
    pub fn returns(&self) -> Vec<f64> {
        self.equity.windows(2).map(|pair| pair[1] as f64 / pair[0] as f64 - 1.0).collect()
    }

    /// Return of the whole test.
    pub fn net(&self) -> f64 {
        let (first, last) = (self.equity.first(), self.equity.last());
        first.zip(last).map_or(0.0, |(first, last)| *last as f64 / *first as f64 - 1.0)
    }
}

/// All tests, one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Engine {
    /// Hash of the trader's configuration, as it was set for the folds.
    pub trader_sha256: String,
    /// Compounded return.
    pub net_return: f64,
    /// Annual ratio of the periods' returns.
    pub sharpe: Option<f64>,
    /// Largest fall from a peak as a share of it.
    pub max_drawdown_frac: f64,
    /// Round trips.
    pub trades: u64,
    /// Each fold.
    pub folds: Vec<Lived>,
}

/// Runs every walk-forward test of the chosen trial.
///
/// # Errors
/// A configuration that does not fit, a session that cannot be run, a folder that cannot be
/// written.
pub fn engine(
    set: &DataSet,
    job: Job<'_>,
    outcome: &Outcome,
    trader: &Loaded,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<Engine> {
    let trial = outcome.tried[outcome.chosen].trial;
    let trader = set_for(trader, set, job, trial)?;
    let mut folds = Vec::new();
    let plan = plan(job)?;
    for (number, fold) in plan.iter().enumerate() {
        let stand = Stand { set, job, trial, trader: &trader, number };
        folds.push(stand.lived(fold, progress).with_context(|| format!("fold {number}"))?);
        progress(Step::Part((number + 1) as f64 / plan.len() as f64));
    }
    let returns: Vec<f64> = folds.iter().flat_map(Lived::returns).collect();
    let track = Track { returns, ..Track::default() };
    Ok(Engine {
        trader_sha256: hex(&sha256(trader.text.as_bytes())),
        net_return: track.net(),
        sharpe: sharpe(&track, job.config.period_ms),
        max_drawdown_frac: drawdown_max(&track.returns),
        trades: folds.iter().map(|lived| lived.round_trips[0]).sum(),
        folds,
    })
}

/// The trader's configuration with what the validation says: bars, thresholds, contracts, fees. A
/// decision is taken as often as there are rows.
fn set_for(trader: &Loaded, set: &DataSet, job: Job<'_>, trial: Trial) -> Result<Loaded> {
    let (rows, config) = (job.rows, job.config);
    let bar_ms = u32::try_from(rows.bar_ms)?;
    let ages = crate::history::feature_settings(bar_ms);
    let number = |value: u32| Value::Integer(value.into());
    let symbols: Vec<Value> =
        set.instruments()?.iter().map(|facts| facts.symbol.to_string().into()).collect();
    let fee = Rate((config.costs.taker_fee_bps * 1e4).round() as i64);
    let values = [
        ("features", "bar_interval_ms", number(bar_ms)),
        ("features", "market_age_ms_max", number(ages.market_age_ms_max)),
        ("features", "slow_age_ms_max", number(ages.slow_age_ms_max)),
        ("policy", "decision_interval_ms", number(bar_ms * config.rows.every_bars)),
        ("policy", "enter_edge", Value::Float(trial.enter_edge)),
        ("policy", "exit_edge", Value::Float(config.policy.exit_edge.min(trial.enter_edge))),
        ("instruments", "symbols", Value::Array(symbols.clone())),
        ("instruments", "taker_fee", Value::String(fee.to_string())),
        ("risk", "allow", Value::Array(symbols)),
    ];
    Ok(with_values(trader, &values)?)
}

/// Name of a fold's stored session.
pub(super) fn name_of(number: usize, trial: Trial) -> String {
    format!("engine-{number:02}-depth-{:02}", trial.depth)
}

/// A fold before its session.
struct Stand<'s> {
    set: &'s DataSet,
    job: Job<'s>,
    trial: Trial,
    trader: &'s Loaded,
    number: usize,
}

impl Stand<'_> {
    fn lived(&self, fold: &Fold, progress: &mut dyn FnMut(Step<'_>)) -> Result<Lived> {
        let name = name_of(self.number, self.trial);
        let path = self.path(&name);
        let basis = format!("{}\n{}", key(self.job.rows, self.job.config, &name), self.trader.text);
        let key = hex(&sha256(basis.as_bytes()));
        let kept = std::fs::read(&path).ok();
        let kept: Option<Lived> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(kept) = kept.filter(|kept| kept.key == key) {
            return Ok(kept);
        }
        let lived = self.live(fold, key)?;
        write_whole(&path, &serde_json::to_vec(&lived)?)?;
        progress(Step::Stored(&name));
        Ok(lived)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.job.out.join(FOLDS).join(format!("{name}.json"))
    }

    fn live(&self, fold: &Fold, key: String) -> Result<Lived> {
        let Job { rows, config, threads, .. } = self.job;
        let (first, last) = (fold.test.first(), fold.test.last());
        let (first, last) = first.zip(last).context("a test without rows")?;
        let (from_ms, to_ms) = (rows.lives[*first].from, rows.lives[*last].from);
        let warm = warm_up_bars(&rows.names, config.rows.every_bars)? * rows.bar_ms;
        let list = &self.trader.settings.instruments;
        let facts = |facts: InstrumentSettings| InstrumentSettings {
            maker_fee: list.maker_fee,
            taker_fee: list.taker_fee,
            ..facts
        };
        let session = Session {
            loaded: self.trader.clone(),
            files: self.model(fold, threads)?,
            instruments: self.set.instruments()?.into_iter().map(facts).collect(),
            source: Source::Frozen(self.set.clone()),
            from: Some(Nanos::from_millis(from_ms - warm)),
            // The orders of the last row are done at its own time: it ends the test.
            to: Some(Nanos::from_millis(to_ms)),
        };
        let start = self.trader.settings.risk.starting_equity.unwrap_or(Money::ZERO);
        ensure!(start.is_positive(), "risk.starting_equity: a session needs an account");
        let lived = session.live()?;
        let counters = [Counter::Predictions, Counter::Orders, Counter::Fills, Counter::Denied];
        let figures = &lived.figures;
        Ok(Lived {
            key,
            number: self.number,
            equity: by_period(&figures.curve, start, (from_ms, to_ms), config.period_ms),
            fees: figures.fees.0,
            funding: figures.funding.0,
            round_trips: [figures.round_trips, figures.won],
            counts: counters.map(|counter| lived.counters.get(counter)),
            worst_state: lived.trace.worst.to_owned(),
            replay_differences: lived.differences,
        })
    }

    /// The fold's model once more: it was not kept, and learning gives the same one.
    fn model(&self, fold: &Fold, threads: usize) -> Result<ArtifactFiles> {
        let (rows, number) = (self.job.rows, u32::try_from(self.number)?);
        let depth = self.trial.depth;
        let ways = (depth, number, threads);
        let config = (self.job.config, None);
        let learned = learn(rows, &fold.train, config, ways, &mut |_| {})?;
        let spread = spread_of(rows, &learned, (self.job.config, None), ways, &mut |_| {})?;
        let version = format!("fold-{number}");
        let order = Order { version, config: self.job.config.clone(), threads };
        let version = version_of((&order, None), rows, (&learned, spread), &fold.test)?;
        Ok(ArtifactFiles::from_bytes(version.onnx, version.card.to_toml()?)?)
    }
}

/// Bars before the slowest of these features has a value, on the grid of decisions: one more than
/// its own, because the bar in which a session begins was not seen whole. Until then nothing is
/// decided, so that nothing is traded on what was learned from.
fn warm_up_bars(names: &[String], every: u32) -> Result<i64> {
    let mut most = 0;
    for name in names {
        let index = index_of(name).with_context(|| format!("{name}: no such feature"))?;
        if let WarmUp::Bars(bars) = SCHEMA[index].warm_up {
            most = most.max(u32::from(bars));
        }
    }
    Ok(i64::from((most + 1).next_multiple_of(every)))
}

/// Equity at the beginning and at the end of every period, from a curve of times and equities.
fn by_period(
    curve: &[(i64, i64)],
    start: Money,
    (from_ms, to_ms): (i64, i64),
    period_ms: i64,
) -> Vec<i64> {
    let periods = ((to_ms - from_ms).max(1) as u64).div_ceil(period_ms as u64);
    let mut equity = vec![start.0];
    let (mut next, mut newest) = (0, start.0);
    for period in 1..=periods as i64 {
        let end = Nanos::from_millis(from_ms + period * period_ms).0;
        while let Some(point) = curve.get(next).filter(|point| point.0 < end) {
            newest = point.1;
            next += 1;
        }
        equity.push(newest);
    }
    equity
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equity_by_period_is_what_stood_at_its_end() {
        let at = |ms: i64| Nanos::from_millis(ms).0;
        let curve = [(at(10), 110), (at(90), 90), (at(100), 95), (at(350), 120)];
        let found = by_period(&curve, Money(100), (0, 360), 100);
        // A point at the border belongs to the period that begins there.
        assert_eq!(found, [100, 90, 95, 95, 120]);
        let lived = |equity: Vec<i64>| Lived {
            key: String::new(),
            number: 0,
            equity,
            fees: 0,
            funding: 0,
            round_trips: [0; 2],
            counts: [0; 4],
            worst_state: String::new(),
            replay_differences: 0,
        };
        assert!((lived(found).net() - 0.2).abs() < 1e-12);
        let returns = lived(vec![100, 110, 99]).returns();
        assert!((returns[0] - 0.1).abs() < 1e-12 && (returns[1] + 0.1).abs() < 1e-12);
    }
}
