//! Which instruments a capture holds, and with which price and quantity steps.
//!
//! Exchange information found in the capture decides. Without it the steps follow from the decimals
//! that prices and quantities are written with: the decimals that were ever not zero once
//! [`SAMPLES_ENOUGH`] values were seen (a venue writes `61800.30` where the step is 0.1), and the
//! decimals written before that.

use super::line::symbol_of_frame;
use super::{Capture, CaptureError, Payload};
use crate::base::settings::{Dialect, InstrumentSettings};
use crate::base::{Money, Px, Qty, Rate, Symbol};
use crate::venue::dialect::lists;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

/// An instrument of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscoveredInstrument {
    /// Contract facts; fees are the venue's lowest tier.
    pub settings: InstrumentSettings,
    /// Decimals prices are written with.
    pub price_decimals: u32,
    /// Decimals quantities are written with.
    pub qty_decimals: u32,
}

impl DiscoveredInstrument {
    /// An instrument the data says nothing of: written with the decimals of its steps.
    pub fn unseen(settings: InstrumentSettings) -> Self {
        let decimals = |step: i64| (0..8_u32).find(|d| step % 10_i64.pow(8 - d) == 0).unwrap_or(8);
        Self {
            settings,
            price_decimals: decimals(settings.tick_size.0),
            qty_decimals: decimals(settings.lot_size.0),
        }
    }
}

/// Values after which a decimal that was always zero is taken for no decimal.
const SAMPLES_ENOUGH: u64 = 200;
/// Frames of one instrument that are read for their decimals.
const FRAMES_SAMPLED: u32 = 500;
/// 0.0002 and 0.0005: maker and taker fee of the venue's lowest tier.
const FEES: (Rate, Rate) = (Rate(20_000), Rate(50_000));
/// Least order value of most contracts.
const MIN_NOTIONAL: Money = Money::whole(5);
/// Largest order quantity where nothing tells.
const MAX_QTY: Qty = Qty::whole(10_000_000);

/// A contract of which only the steps of its numbers are known.
pub(in crate::venue) fn untold(symbol: Symbol, tick_size: Px, lot_size: Qty) -> InstrumentSettings {
    InstrumentSettings {
        symbol,
        tick_size,
        lot_size,
        min_qty: lot_size,
        max_qty: MAX_QTY,
        min_notional: MIN_NOTIONAL,
        maker_fee: FEES.0,
        taker_fee: FEES.1,
    }
}

/// The instruments of a capture, in the order they first appear.
///
/// # Errors
/// What [`discover`] fails on.
pub fn scan_instruments(paths: &[PathBuf]) -> Result<Vec<InstrumentSettings>, CaptureError> {
    Ok(discover(paths)?.into_iter().map(|found| found.settings).collect())
}

/// Reads a whole capture and tells its instruments, in the order they first appear.
///
/// # Errors
/// A capture that cannot be opened, or exchange information that cannot be read. Bad lines are
/// passed over; whoever reads the capture for its content counts them.
pub fn discover(paths: &[PathBuf]) -> Result<Vec<DiscoveredInstrument>, CaptureError> {
    let mut capture = Capture::open(paths)?;
    let mut survey = Survey::default();
    while let Some(record) = capture.next() {
        let Ok(record) = record else { continue };
        match record.payload {
            Payload::Frame(frame) => survey.on_frame(frame),
            Payload::Snapshot { symbol, body } => survey.on_snapshot(symbol, body),
            Payload::ExchangeInfo(body) => survey.on_exchange_info(body)?,
        }
    }
    Ok(survey.finish())
}

#[derive(Default)]
struct Survey {
    found: Vec<Found>,
    by_symbol: HashMap<Symbol, usize>,
    /// By what precedes the `@` of a combined frame.
    by_stream: HashMap<Vec<u8>, usize>,
    rules: HashMap<Symbol, InstrumentSettings>,
}

struct Found {
    symbol: Symbol,
    frames: u32,
    price: Decimals,
    qty: Decimals,
}

/// Decimals seen.
#[derive(Clone, Copy, Default)]
struct Decimals {
    written: u32,
    significant: u32,
    samples: u64,
}

impl Survey {
    fn on_frame(&mut self, frame: &[u8]) {
        let stream = frame.iter().take(64).position(|&b| b == b'@').map(|at| &frame[..at]);
        let known = stream.and_then(|stream| self.by_stream.get(stream)).copied();
        let index = match known {
            Some(index) => index,
            None => {
                let Some(symbol) = symbol_of_frame(frame) else { return };
                let index = self.index_of(symbol);
                if let Some(stream) = stream {
                    self.by_stream.insert(stream.to_vec(), index);
                }
                index
            }
        };
        let found = &mut self.found[index];
        if found.frames >= FRAMES_SAMPLED {
            return;
        }
        found.frames += 1;
        if let Ok(value) = serde_json::from_slice::<Value>(frame) {
            found.sample(value.get("data").unwrap_or(&value));
        }
    }

    fn on_snapshot(&mut self, symbol: Symbol, body: &[u8]) {
        let index = self.index_of(symbol);
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            self.found[index].sample(&value);
        }
    }

    fn on_exchange_info(&mut self, body: &[u8]) -> Result<(), CaptureError> {
        let fault = |what: String| CaptureError::ExchangeInfo { what };
        let value: Value = serde_json::from_slice(body).map_err(|e| fault(e.to_string()))?;
        let symbols = value.get("symbols").and_then(Value::as_array);
        for entry in symbols.ok_or_else(|| fault("no list of symbols".to_owned()))? {
            let name = entry.get("symbol").and_then(Value::as_str).unwrap_or_default();
            let Some(symbol) = Symbol::new(name.as_bytes()) else {
                return Err(fault(format!("symbol {name:?} cannot be stored")));
            };
            let rules = contract_rules(symbol, entry)
                .ok_or_else(|| fault(format!("{name}: no usable price or lot filter")))?;
            self.rules.insert(symbol, rules);
        }
        Ok(())
    }

    fn index_of(&mut self, symbol: Symbol) -> usize {
        *self.by_symbol.entry(symbol).or_insert_with(|| {
            let (price, qty) = (Decimals::default(), Decimals::default());
            self.found.push(Found { symbol, frames: 0, price, qty });
            self.found.len() - 1
        })
    }

    fn finish(self) -> Vec<DiscoveredInstrument> {
        let settle = |found: &Found| DiscoveredInstrument {
            settings: match self.rules.get(&found.symbol) {
                Some(rules) => *rules,
                None => found.settings(),
            },
            price_decimals: found.price.written,
            qty_decimals: found.qty.written,
        };
        self.found.iter().map(settle).collect()
    }
}

impl Found {
    /// Notes the decimals of a payload's prices and quantities.
    fn sample(&mut self, data: &Value) {
        let is_trade = data.get("t").is_some() || data.get("e") == Some(&"aggTrade".into());
        if is_trade {
            note(data.get("p"), &mut self.price);
            note(data.get("q"), &mut self.qty);
        }
        for key in ["b", "a", "bids", "asks"] {
            match data.get(key) {
                Some(Value::Array(levels)) => {
                    for level in levels {
                        note(level.get(0), &mut self.price);
                        note(level.get(1), &mut self.qty);
                    }
                }
                px => note(px, &mut self.price),
            }
        }
        note(data.get("B"), &mut self.qty);
        note(data.get("A"), &mut self.qty);
    }

    fn settings(&self) -> InstrumentSettings {
        untold(self.symbol, Px(self.price.step()), Qty(self.qty.step()))
    }
}

impl Decimals {
    fn step(&self) -> i64 {
        let enough = self.samples >= SAMPLES_ENOUGH;
        let decimals = if enough { self.significant } else { self.written };
        10_i64.pow(8 - decimals.min(8))
    }
}

fn note(value: Option<&Value>, decimals: &mut Decimals) {
    let Some(text) = value.and_then(Value::as_str) else { return };
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    decimals.written = decimals.written.max(fraction.len() as u32);
    let significant = fraction.trim_end_matches('0').len() as u32;
    decimals.significant = decimals.significant.max(significant);
    decimals.samples += 1;
}

/// The dialect's contracts of an exchange-information body that have usable filters.
///
/// # Errors
/// When the body is no exchange information.
pub fn contracts(dialect: Dialect, body: &[u8]) -> Result<Vec<InstrumentSettings>, CaptureError> {
    let fault = |what: String| CaptureError::ExchangeInfo { what };
    let value: Value = serde_json::from_slice(body).map_err(|e| fault(e.to_string()))?;
    let entries = value.get("symbols").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| fault("no list of symbols".to_owned()))?;
    Ok(entries
        .iter()
        .filter(|entry| lists(dialect, entry))
        .filter_map(|entry| {
            let symbol = Symbol::new(entry.get("symbol")?.as_str()?.as_bytes())?;
            contract_rules(symbol, entry)
        })
        .collect())
}

/// A filter in one entry of the exchange information.
pub(in crate::venue) fn filter_of<'e>(entry: &'e Value, filter: &str) -> Option<&'e Value> {
    let is_it = |f: &&Value| f.get("filterType").and_then(Value::as_str) == Some(filter);
    entry.get("filters")?.as_array()?.iter().find(is_it)
}

/// A value of a filter in one entry of the exchange information.
pub(in crate::venue) fn filter_text<'e>(
    entry: &'e Value,
    filter: &str,
    key: &str,
) -> Option<&'e str> {
    filter_of(entry, filter)?.get(key)?.as_str()
}

/// Step, least and largest quantity of one order.
struct Sizes {
    step: Qty,
    least: Qty,
    most: Qty,
}

impl Sizes {
    fn of(filter: &Value) -> Option<Self> {
        let qty = |key: &str| Qty::parse(filter.get(key)?.as_str()?).ok();
        let (step, least, most) = (qty("stepSize")?, qty("minQty")?, qty("maxQty")?);
        (step.is_positive() && most.is_positive()).then_some(Self { step, least, most })
    }

    /// What both allow; `None` where neither step is a multiple of the other.
    fn both(self, other: Self) -> Option<Self> {
        let step = self.step.max(other.step);
        let fits = step.is_multiple_of(self.step) && step.is_multiple_of(other.step);
        let (least, most) = (self.least.max(other.least), self.most.min(other.most));
        fits.then_some(Self { step, least, most })
    }
}

/// Steps and bounds from one entry of the exchange information. Market orders have a filter of
/// their own: what is entered by a limit order must be left by a market order in the end, so that
/// a quantity has to satisfy both.
pub(in crate::venue) fn contract_rules(
    symbol: Symbol,
    entry: &Value,
) -> Option<InstrumentSettings> {
    let text = |filter: &str, key: &str| filter_text(entry, filter, key);
    let notional = text("MIN_NOTIONAL", "notional").and_then(|t| Money::parse(t).ok());
    let limit = Sizes::of(filter_of(entry, "LOT_SIZE")?)?;
    let sizes = match filter_of(entry, "MARKET_LOT_SIZE") {
        Some(market) => limit.both(Sizes::of(market)?)?,
        None => limit,
    };
    let rules = InstrumentSettings {
        symbol,
        tick_size: Px::parse(text("PRICE_FILTER", "tickSize")?).ok()?,
        lot_size: sizes.step,
        min_qty: sizes.least,
        max_qty: sizes.most,
        min_notional: notional.unwrap_or(MIN_NOTIONAL),
        maker_fee: FEES.0,
        taker_fee: FEES.1,
    };
    rules.tick_size.is_positive().then_some(rules)
}
