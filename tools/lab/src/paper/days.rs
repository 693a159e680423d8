//! The days of a campaign, one session after the other.

use crate::session::{Lived, Session};
use anyhow::{Context, Result, ensure};
use peregrine::base::Nanos;
use peregrine::base::counters::Counter;
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::units::Money;
use peregrine::exchange::SymbolSpec;
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{hex, sha256};
use peregrine::runtime::backtest::Source;
use peregrine::runtime::config::{Loaded, with_values};
use peregrine::runtime::scripted::Scripted;
use peregrine::venue::dataset::DataSet;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use toml::Value;

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400_000_000_000;

/// Where the days come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Market {
    /// The synthetic market, another one each day.
    Synthetic {
        /// Seed of the first day; the next ones count on.
        seed: u64,
        /// Minutes of market a day.
        minutes: u32,
    },
    /// UTC days of a frozen data set.
    Frozen {
        /// Its folder.
        dir: PathBuf,
    },
}

/// What trades on which days.
pub struct Campaign {
    /// The model's files.
    pub files: ArtifactFiles,
    /// The trader's configuration.
    pub loaded: Loaded,
    /// Where the days come from.
    pub market: Market,
    /// How many days; all of a data set with 0.
    pub days: u64,
}

/// What a day came to. Money in 1e-8 of quote currency.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Day {
    /// `day-1`, or the date.
    pub name: String,
    /// What it rests on: model, configuration, market, equity.
    pub key: String,
    /// Equity at its begin.
    pub equity_start: i64,
    /// Equity at its end, open positions at the mark.
    pub equity_end: i64,
    /// Lowest equity within it.
    pub equity_low: i64,
    /// Largest fall within it, as a fraction.
    pub fall_max: f64,
    /// Fees paid.
    pub fees: i64,
    /// Funding received.
    pub funding: i64,
    /// Round trips that ended.
    pub round_trips: u64,
    /// Those that left more than nothing.
    pub won: u64,
    /// What those left.
    pub gain: i64,
    /// What the others lost.
    pub loss: i64,
    /// Decisions, orders, fills, denials.
    pub counts: [u64; 4],
    /// Worst trading state.
    pub worst_state: String,
    /// Controls that tripped.
    pub tripped: Vec<String>,
    /// Critical errors, in words.
    pub critical: Vec<String>,
}

impl Campaign {
    /// Lives every day; those that `known` holds under the same key are not lived again, and each
    /// new one is told to `done` with how many there are.
    ///
    /// # Errors
    /// A day that cannot be lived, by its name.
    pub fn run(
        &self,
        known: &[Day],
        done: &mut dyn FnMut(&Day, u64) -> Result<()>,
    ) -> Result<Vec<Day>> {
        let spans = self.spans()?;
        let configured = self.loaded.settings.risk.starting_equity;
        let mut equity = configured.context("risk.starting_equity: a campaign needs one")?;
        let mut days: Vec<Day> = Vec::new();
        for (number, (name, from)) in spans.iter().enumerate() {
            let day = self.day((number as u64, name, *from), equity, known);
            let day = day.with_context(|| name.clone())?;
            done(&day, spans.len() as u64)?;
            equity = Money(day.equity_end);
            days.push(day);
            if !equity.is_positive() {
                break;
            }
        }
        Ok(days)
    }

    /// Names and begins of the days.
    fn spans(&self) -> Result<Vec<(String, Nanos)>> {
        let Market::Frozen { dir } = &self.market else {
            ensure!(self.days > 0, "days: a synthetic market has no end, a number is needed");
            let name = |number| format!("day-{number}");
            return Ok((1..=self.days).map(|number| (name(number), Nanos::ZERO)).collect());
        };
        let set = DataSet::open(dir)?;
        set.verify()?;
        let files = &set.manifest().files;
        let first = files.iter().map(|file| file.first_ms).min();
        let last = files.iter().map(|file| file.last_ms).max();
        let (first, last) = first.zip(last).context("the data set is empty")?;
        let day_of = |ts_ms: i64| ts_ms.div_euclid(DAY_NS / 1_000_000);
        let count = if self.days == 0 { i64::MAX } else { i64::try_from(self.days)? };
        let days = day_of(first)..=day_of(last).min(day_of(first).saturating_add(count - 1));
        let named = |day: i64| {
            let at = jiff::Timestamp::from_second(day * 86_400)?;
            Ok((at.strftime("%Y-%m-%d").to_string(), Nanos(day * DAY_NS)))
        };
        days.map(named).collect()
    }

    fn day(
        &self,
        (number, name, from): (u64, &str, Nanos),
        equity: Money,
        known: &[Day],
    ) -> Result<Day> {
        let amount = Value::String(equity.to_string());
        let loaded = with_values(&self.loaded, &[("risk", "starting_equity", amount)])?;
        let model = hex(&sha256(&self.files.onnx));
        let version = env!("CARGO_PKG_VERSION");
        let market = match &self.market {
            Market::Synthetic { seed, minutes } => format!("{} {minutes}", seed + number),
            Market::Frozen { dir } => hex(&DataSet::open(dir)?.hash()),
        };
        let basis = format!("{version}\n{model}\n{}\n{market}\n{name}", loaded.text);
        let key = hex(&sha256(basis.as_bytes()));
        if let Some(day) = known.iter().find(|day| day.key == key) {
            return Ok(day.clone());
        }
        let lived = self.session(loaded, number, from)?.live()?;
        Ok(told(name, key, equity, &lived))
    }

    fn session(&self, loaded: Loaded, number: u64, begin: Nanos) -> Result<Session> {
        let files = self.files.clone();
        match &self.market {
            Market::Synthetic { seed, minutes } => {
                let instruments = self.contracts()?;
                let length = Nanos::from_secs(60 * i64::from(*minutes));
                let scripted = Scripted::by_itself(&instruments, seed + number, length)?;
                let source = Source::Scripted(Box::new(scripted));
                Ok(Session { loaded, files, instruments, source, from: None, to: None })
            }
            Market::Frozen { dir } => {
                let set = DataSet::open(dir)?;
                let list = &loaded.settings.instruments;
                let is_wanted = |facts: &InstrumentSettings| {
                    list.discover || list.symbols.contains(&facts.symbol)
                };
                let (maker_fee, taker_fee) = (list.maker_fee, list.taker_fee);
                let with_fees = |facts: InstrumentSettings| InstrumentSettings {
                    maker_fee,
                    taker_fee,
                    ..facts
                };
                let instruments: Vec<InstrumentSettings> =
                    set.instruments()?.into_iter().filter(is_wanted).map(with_fees).collect();
                ensure!(!instruments.is_empty(), "no configured symbol is in the data set");
                let (from, to) = (Some(begin), Some(begin + Nanos(DAY_NS)));
                Ok(Session { loaded, files, instruments, source: Source::Frozen(set), from, to })
            }
        }
    }

    fn contracts(&self) -> Result<Vec<InstrumentSettings>> {
        let list = &self.loaded.settings.instruments;
        let specs = list.symbols.iter().filter_map(|symbol| SymbolSpec::by_symbol(symbol.as_str()));
        let with_fees = |spec: SymbolSpec| InstrumentSettings {
            maker_fee: list.maker_fee,
            taker_fee: list.taker_fee,
            ..spec.instrument()
        };
        let contracts: Vec<InstrumentSettings> = specs.map(with_fees).collect();
        ensure!(!contracts.is_empty(), "instruments.symbols: none has a synthetic market");
        Ok(contracts)
    }
}

fn told(name: &str, key: String, equity: Money, lived: &Lived) -> Day {
    let Lived { figures, trace, .. } = lived;
    let counters = [Counter::Predictions, Counter::Orders, Counter::Fills, Counter::Denied];
    // A day without a position has no curve: nothing was gained or lost.
    let end = figures.curve.last().map_or(equity.0, |point| point.1);
    let critical = [
        (trace.unapproved, "orders that passed no check"),
        (trace.entries_while_stopped, "entries while stopped"),
        (trace.positions_off, "positions that are not what their fills come to"),
        (lived.differences, "records that do not replay"),
        (u64::from(trace.worst == "killed"), "kills"),
    ];
    Day {
        name: name.to_owned(),
        key,
        equity_start: equity.0,
        equity_end: end,
        equity_low: figures.curve.iter().map(|point| point.1).fold(equity.0, i64::min),
        fall_max: figures.fall_max,
        fees: figures.fees.0,
        funding: figures.funding.0,
        round_trips: figures.round_trips,
        won: figures.won,
        gain: figures.gain.0,
        loss: figures.loss.0,
        counts: counters.map(|counter| lived.counters.get(counter)),
        worst_state: trace.worst.to_owned(),
        tripped: trace.tripped.iter().map(|name| (*name).to_owned()).collect(),
        critical: critical
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect(),
    }
}
