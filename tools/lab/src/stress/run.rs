//! A scenario through the trader's own stages, and what came of it.

use super::pace::Pace;
use super::scenario::{Plan, Scenario};
use crate::session::{Lived, Session};
use anyhow::{Context, Result, ensure};
use peregrine::base::Nanos;
use peregrine::base::counters::Counter;
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::units::{Rate, SCALE};
use peregrine::exchange::SymbolSpec;
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{hex, sha256};
use peregrine::runtime::backtest::Source;
use peregrine::runtime::config::{Loaded, with_values};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use toml::Value;

/// What no scenario may pass.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest loss against the equity at the start, as a fraction.
    pub loss_frac_max: f64,
    /// Largest fall of the equity from its highest point, as a fraction.
    pub drawdown_frac_max: f64,
}

impl Limits {
    /// Reads the limits in the section `[stress]` of a file of gates.
    ///
    /// # Errors
    /// The file, and the key at fault.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let document: toml::Table = toml::from_str(text)?;
        let section = document.get("stress").context("[stress]: the section is missing")?;
        let limit = |key: &str| {
            let value = section.get(key).and_then(Value::as_float);
            value
                .filter(|value| (0.0..=1.0).contains(value))
                .with_context(|| format!("stress.{key}: a fraction from 0 to 1 is needed"))
        };
        Ok(Self {
            loss_frac_max: limit("loss_frac_max")?,
            drawdown_frac_max: limit("drawdown_frac_max")?,
        })
    }
}

/// What is put under stress.
pub struct Subject<'a> {
    /// The model's files.
    pub files: ArtifactFiles,
    /// The trader's configuration.
    pub loaded: &'a Loaded,
    /// What no scenario may pass.
    pub limits: Limits,
}

/// A figure beside what it may be.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Criterion {
    /// Its name.
    pub name: String,
    /// What was found.
    pub value: f64,
    /// What is allowed: at least, where the name ends in `_min`, else at most.
    pub threshold: f64,
    /// Whether it holds.
    pub passed: bool,
}

/// What became of a scenario.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// The scenario, as its file has it.
    pub parameters: serde_json::Value,
    /// Whether every criterion holds.
    pub passed: bool,
    /// The criteria.
    pub criteria: Vec<Criterion>,
    /// Worst trading state after the first ACTIVE.
    pub worst_state: String,
    /// Controls that tripped.
    pub tripped: Vec<String>,
    /// Decisions, orders, fills.
    pub counts: [u64; 3],
    /// Profit in quote currency, open positions at the mark.
    pub profit_quote: String,
    /// What the outcome rests on: model, configuration, scenario, seed, limits.
    pub key: String,
}

/// Every scenario of a plan on so many threads; those that `known` holds with the same key are not
/// run again, and each new one is told to `done`.
///
/// # Errors
/// A scenario that cannot be run, by its name.
pub fn run_all(
    subject: &Subject<'_>,
    plan: &Plan,
    threads: usize,
    known: &[Outcome],
    done: &(dyn Fn(&Outcome) -> Result<()> + Sync),
) -> Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let found: Vec<Mutex<Option<Result<Outcome>>>> =
        plan.scenario.iter().map(|_| Mutex::new(None)).collect();
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(scenario), Some(place)) = (plan.scenario.get(index), found.get(index)) else {
                return;
            };
            let laid = scenario.laid_out(plan, Pace::of(&subject.files.card));
            let outcome = one(subject, plan.seed, &laid, known).and_then(|outcome| {
                done(&outcome)?;
                Ok(outcome)
            });
            if let Ok(mut place) = place.lock() {
                *place = Some(outcome.with_context(|| scenario.name.clone()));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let take = |place: Mutex<Option<Result<Outcome>>>| {
        place.into_inner().ok().flatten().context("a scenario was not run")?
    };
    found.into_iter().map(take).collect()
}

fn one(
    subject: &Subject<'_>,
    seed: u64,
    scenario: &Scenario,
    known: &[Outcome],
) -> Result<Outcome> {
    let loaded = configuration(subject.loaded, scenario)?;
    let parameters = serde_json::to_value(scenario)?;
    let limits = serde_json::to_string(&subject.limits)?;
    let model = hex(&sha256(&subject.files.onnx));
    let version = env!("CARGO_PKG_VERSION");
    let basis = format!("{version}\n{model}\n{}\n{parameters}\n{seed}\n{limits}", loaded.text);
    let key = hex(&sha256(basis.as_bytes()));
    if let Some(outcome) = known.iter().find(|outcome| outcome.key == key) {
        return Ok(outcome.clone());
    }
    let lived = live(subject, seed, scenario, loaded)?;
    let criteria = judge(&lived, subject.limits, scenario);
    let counts = [Counter::Predictions, Counter::Orders, Counter::Fills];
    Ok(Outcome {
        name: scenario.name.clone(),
        parameters,
        passed: criteria.iter().all(|criterion| criterion.passed),
        criteria,
        worst_state: lived.trace.worst.to_owned(),
        tripped: lived.trace.tripped.iter().map(|name| (*name).to_owned()).collect(),
        counts: counts.map(|counter| lived.counters.get(counter)),
        profit_quote: lived.figures.profit.to_string(),
        key,
    })
}

fn live(subject: &Subject<'_>, seed: u64, scenario: &Scenario, loaded: Loaded) -> Result<Lived> {
    let specs = contracts(&loaded, scenario)?;
    let source = Source::Scripted(Box::new(scenario.market(seed, &specs)));
    let instruments = specs.iter().map(|spec| facts(spec, &loaded, scenario)).collect();
    let files = subject.files.clone();
    Session { loaded, files, instruments, source, from: None, to: None }.live()
}

/// The configuration with what the scenario makes of it.
fn configuration(loaded: &Loaded, scenario: &Scenario) -> Result<Loaded> {
    let paper = loaded.settings.paper;
    let times = |latency_us: u32| Value::Integer(i64::from(latency_us) * scenario.latency_times);
    let mut values = vec![
        ("paper", "order_latency_us", times(paper.order_latency_us)),
        ("paper", "report_latency_us", times(paper.report_latency_us)),
    ];
    let drawn = [
        ("order_latency_quantiles_us", paper.order_latency_quantiles_us),
        ("report_latency_quantiles_us", paper.report_latency_quantiles_us),
    ];
    for (key, quantiles) in drawn {
        let longer = |us: u32| Value::Integer(i64::from(us) * scenario.latency_times);
        let longer = quantiles.map(|all| Value::Array(all.map(longer).to_vec()));
        values.extend(longer.map(|longer| ("paper", key, longer)));
    }
    if scenario.hold_s > 0.0 {
        let bar_ms = f64::from(loaded.settings.features.bar_interval_ms);
        let hold_ms = scenario.hold_s * 1e3;
        let bars = (hold_ms / bar_ms).ceil().max(1.0) as i64;
        values.push(("exits", "hold_bars", Value::Integer(bars)));
        values.push(("exits", "hold_ms_max", Value::Integer(hold_ms as i64)));
    }
    for (section, keys) in &scenario.config {
        let keys = keys.as_table().into_iter().flatten();
        values.extend(keys.map(|(key, value)| (section.as_str(), key.as_str(), value.clone())));
    }
    Ok(with_values(loaded, &values)?)
}

/// The contracts of the configuration that have a synthetic market.
fn contracts(loaded: &Loaded, scenario: &Scenario) -> Result<Vec<SymbolSpec>> {
    let symbols = loaded.settings.instruments.symbols.iter();
    let specs = symbols.filter_map(|symbol| SymbolSpec::by_symbol(symbol.as_str()));
    let specs: Vec<SymbolSpec> = specs.map(|spec| scenario.contract(spec)).collect();
    ensure!(!specs.is_empty(), "instruments.symbols: none of them has a synthetic market");
    Ok(specs)
}

fn facts(spec: &SymbolSpec, loaded: &Loaded, scenario: &Scenario) -> InstrumentSettings {
    let list = &loaded.settings.instruments;
    InstrumentSettings {
        maker_fee: Rate(list.maker_fee.0 * scenario.fee_times),
        taker_fee: Rate(list.taker_fee.0 * scenario.fee_times),
        ..spec.instrument()
    }
}

fn judge(lived: &Lived, limits: Limits, scenario: &Scenario) -> Vec<Criterion> {
    let Lived { figures, trace, .. } = lived;
    let start = figures.equity_start.0 as f64;
    let lowest = figures.curve.iter().map(|point| point.1 as f64).fold(start, f64::min);
    let at_most = |name: &str, value: f64, threshold: f64| Criterion {
        name: name.to_owned(),
        value,
        threshold,
        passed: value <= threshold,
    };
    let at_least = |name: &str, value: f64, threshold: f64| Criterion {
        name: name.to_owned(),
        value,
        threshold,
        passed: value >= threshold,
    };
    let is_in_it = |at: &&Nanos| **at >= scenario.begin();
    let decisions = trace.answered_at.iter().filter(is_in_it).count();
    let mut criteria = vec![
        at_most("loss_frac", (start - lowest) / start, limits.loss_frac_max),
        at_most("drawdown_frac", figures.fall_max, limits.drawdown_frac_max),
        at_most("orders_unapproved", trace.unapproved as f64, 0.0),
        at_most("entries_while_stopped", trace.entries_while_stopped as f64, 0.0),
        at_most("positions_off", trace.positions_off as f64, 0.0),
        at_most("replay_differences", lived.differences as f64, 0.0),
        // A market in which nothing is decided proves nothing.
        at_least("decisions_min", decisions as f64, 1.0),
    ];
    if scenario.stop_at_loss > 0.0 {
        let lost_quote = (start - lowest) / SCALE as f64;
        let stops = if lost_quote > scenario.stop_at_loss { 1.0 } else { 0.0 };
        criteria.push(at_least("stops_min", trace.stops as f64, stops));
    }
    criteria
}
