//! What executions came to in a period, against the prices they were decided at.
//!
//! ```text
//!   slippage of a fill = (its price − the price the decision was taken at) × quantity × side
//!                        side +1 for a purchase, −1 for a sale; above zero it cost
//! ```
//! The decision's price is that of the order's intent: the touch across the spread. A stop at the
//! venue is decided when its position is, so its fills have none; nor has what the venue closes.
//! A fill that is told twice counts once, by the memory the ledger has.

use super::figures::amount;
use crate::base::event::{Event, Kind, Order, OrderReport, flags};
use crate::base::{Money, Purpose, Px, Qty, units};
use crate::ledger::{Ledger, LedgerChange};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Product of two amounts of 1e-8 to one.
const SCALE: i128 = units::SCALE as i128;

/// Fills of one instrument, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Executions {
    /// Fills.
    pub fills: u64,
    /// Those that found us waiting in the book.
    pub maker: u64,
    /// Their value.
    #[serde(serialize_with = "amount")]
    pub volume: Money,
    /// Fees of them.
    #[serde(serialize_with = "amount")]
    pub fees: Money,
    /// Fills without a price they were decided at.
    pub undecided: u64,
    /// Slippage; above zero it cost.
    #[serde(serialize_with = "amount")]
    pub slippage: Money,
    /// The same in basis points of what was decided; `None` where nothing was.
    pub slippage_bps: Option<f64>,
    /// Slippage in 1e-16 of quote currency: products are summed whole.
    #[serde(skip)]
    slipped: i128,
    /// What the decided fills would have come to at the prices of their decisions, 1e-16.
    #[serde(skip)]
    decided: i128,
}

impl Executions {
    fn add(&mut self, report: &OrderReport, maker: bool, decision: Option<Decision>) {
        self.fills += 1;
        self.maker += u64::from(maker);
        let value = units::notional(Qty(report.last_qty), Px(report.last_px));
        self.volume += value.unwrap_or(Money::ZERO);
        self.fees.0 += report.fee;
        match decision {
            Some(Decision { px, sells }) => {
                let (qty, side) = (i128::from(report.last_qty), if sells { -1 } else { 1 });
                self.slipped += (i128::from(report.last_px) - i128::from(px)) * qty * side;
                self.decided += i128::from(px) * qty;
                self.slippage = Money(i64::try_from(self.slipped / SCALE).unwrap_or(i64::MAX));
                let part = self.slipped as f64 / self.decided as f64;
                self.slippage_bps = (self.decided > 0).then_some(part * 10_000.0);
            }
            None => self.undecided += 1,
        }
    }
}

/// The price an order was decided at, and its side.
#[derive(Clone, Copy, Debug)]
struct Decision {
    px: i64,
    sells: bool,
}

/// Executions by symbol, and of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AllExecutions {
    /// Of all instruments.
    pub all: Executions,
    /// By symbol.
    pub instruments: BTreeMap<String, Executions>,
}

/// Takes records in, journal by journal, and in each the intents before the inputs.
pub struct Fills {
    from: i64,
    to: i64,
    /// By order.
    decisions: HashMap<u64, Decision>,
    symbols: Vec<String>,
    ledger: Ledger,
    executions: AllExecutions,
}

impl Fills {
    /// For the period from `from` up to, not including, `to`, in nanoseconds since the epoch.
    pub fn new(from: i64, to: i64) -> Self {
        Self {
            from,
            to,
            decisions: HashMap::new(),
            symbols: Vec::new(),
            ledger: Ledger::new(0, Money::ZERO),
            executions: AllExecutions::default(),
        }
    }

    /// A record of lane 3.
    pub fn intent(&mut self, event: &Event) {
        if event.kind() == Some(Kind::OrderIntent) {
            let order: &Order = event.body();
            if order.purpose != Purpose::Protect as u8 && order.reference_px > 0 {
                let decision = Decision { px: order.reference_px, sells: event.has(flags::SELL) };
                self.decisions.insert(order.client_id, decision);
            }
        }
    }

    /// A session with these instruments begins.
    pub fn session(&mut self, symbols: &[String]) {
        self.symbols = symbols.to_vec();
        self.ledger = Ledger::new(symbols.len(), Money::ZERO);
    }

    /// A record of lane 0.
    pub fn input(&mut self, event: &Event) {
        // What the market does is nothing to executions, and most of the lane.
        if event.kind < Kind::SessionStart as u8 {
            return;
        }
        let booked = matches!(self.ledger.on_event(event), LedgerChange::Fill(_));
        if !booked || event.kind() != Some(Kind::OrderFilled) {
            return;
        }
        if !(self.from..self.to).contains(&event.ts_recv) {
            return;
        }
        let Some(symbol) = self.symbols.get(usize::from(event.instrument)) else { return };
        let report: &OrderReport = event.body();
        let decision = self.decisions.get(&report.client_id).copied();
        let maker = event.has(flags::MAKER);
        self.executions.all.add(report, maker, decision);
        let own = self.executions.instruments.entry(symbol.clone()).or_default();
        own.add(report, maker, decision);
    }

    /// What was found.
    pub fn end(self) -> AllExecutions {
        self.executions
    }
}
