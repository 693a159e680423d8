//! The venue's own account of a session against the journal's: integers, equal to the last unit or
//! named.
//!
//! ```text
//!   cash flow = wallet − deposit − cost of what is open          however either side averages
//! ```
//! The journal's side is its lane 0 booked anew by the ledger the session traded with, and the
//! position records of lane 2 must say the same.

use crate::base::event::{Event, Instrument, OrderReport, Position};
use crate::base::{ClientOrderId, Kind, Money, Nanos, Qty, Symbol};
use crate::journal::LaneReader;
use crate::ledger::{Ledger, LedgerChange};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Where the simulated exchange tells its ledger.
pub const LEDGER_PATH: &str = "/sim/ledger";
/// The scale both sides count in.
const UNIT: i64 = crate::base::units::SCALE;

/// The simulated exchange's ledger as it tells it; amounts in 1/`unit`.
#[derive(Debug, Deserialize)]
pub struct Statement {
    /// When it was written, in milliseconds since the epoch.
    pub time: i64,
    /// The scale of every amount.
    pub unit: i64,
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Its double entry comes out even.
    pub balanced: bool,
}

/// One account of a [`Statement`].
#[derive(Debug, Deserialize)]
pub struct Account {
    /// Whose.
    pub api_key: String,
    /// What was paid in.
    pub deposit: i64,
    /// What there is.
    pub wallet: i64,
    /// Closed profit.
    pub realized: i64,
    /// Fees paid.
    pub fees: i64,
    /// Funding received.
    pub funding: i64,
    /// Positions that are open.
    pub positions: Vec<Held>,
    /// What orders came to that the exchange no longer tells one by one.
    #[serde(default)]
    pub forgotten: Vec<Forgotten>,
    /// Every other order, ended ones included.
    pub orders: Vec<Told>,
    /// Every conditional order.
    #[serde(default)]
    pub algo_orders: Vec<ToldAlgo>,
}

/// A position.
#[derive(Debug, Deserialize)]
pub struct Held {
    /// Its contract.
    pub symbol: String,
    /// Signed quantity.
    pub qty: i64,
    /// What it cost.
    pub cost: i64,
}

/// Ended orders of one contract that are told by their sums alone.
#[derive(Debug, Deserialize)]
pub struct Forgotten {
    /// Their contract.
    pub symbol: String,
    /// How many.
    pub orders: u64,
    /// Quantity filled of all of them; beyond 64 bits it begins anew from the other end.
    pub filled: i64,
    /// Fees of all of them.
    pub fee: i64,
}

/// An order.
#[derive(Debug, Deserialize)]
pub struct Told {
    /// Its client's name.
    pub client_id: String,
    /// The exchange's number.
    pub order_id: i64,
    /// As the protocol writes it.
    pub status: String,
    /// Quantity filled.
    pub filled: i64,
    /// Fees of its fills.
    pub fee: i64,
    /// When it was taken, milliseconds of the exchange's clock; 0 where it is not told.
    #[serde(default)]
    pub time: i64,
    /// Its fills.
    pub fills: Vec<serde_json::Value>,
}

/// A conditional order.
#[derive(Debug, Deserialize)]
pub struct ToldAlgo {
    /// Its client's name.
    pub client_id: String,
    /// As the protocol writes it.
    pub status: String,
    /// The number of the order that it became.
    #[serde(default)]
    pub order_id: serde_json::Value,
}

impl Statement {
    /// Reads it.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).context("the venue's ledger")
    }

    /// The account of a key.
    ///
    /// # Errors
    /// When there is none.
    pub fn account(&self, api_key: &str) -> Result<&Account> {
        let account = self.accounts.iter().find(|account| account.api_key == api_key);
        account.context("the venue's ledger does not tell our account")
    }
}

/// The journal's side.
struct Booked {
    symbols: Vec<String>,
    ledger: Ledger,
    /// Filled quantity and fees by order.
    orders: BTreeMap<ClientOrderId, (i64, i64)>,
}

/// Everything in which the venue's statement and the journal in `dir` differ; empty when they are
/// equal.
///
/// # Errors
/// When either cannot be read.
pub fn differences(dir: &Path, statement: &[u8], api_key: &str) -> Result<Vec<String>> {
    let told = Statement::read(statement)?;
    if told.unit != UNIT {
        bail!("the venue's ledger counts in 1/{}, the journal in 1/{UNIT}", told.unit);
    }
    let account = told.account(api_key)?;
    // What the venue settled after it wrote its account is not in it.
    let until = Nanos::from_millis(told.time);
    let booked = book(dir, until)?;
    let mut found = Vec::new();
    let mut compare = |what: String, venue: i64, journal: i64| {
        if venue != journal {
            found.push(format!("{what}: {venue} at the venue, {journal} in the journal"));
        }
    };
    compare("balanced".to_owned(), i64::from(told.balanced), 1);
    let open: i64 = account.positions.iter().map(|held| held.cost).sum();
    let made = account.realized - account.fees + account.funding;
    compare("wallet of its own sum".to_owned(), account.wallet, account.deposit + made);
    let places = (0..booked.symbols.len()).map(|i| crate::base::InstrumentId(i as u16));
    let positions: Vec<_> = places.filter_map(|id| booked.ledger.position(id)).collect();
    let sum = |part: fn(&crate::ledger::Position) -> Money| -> i64 {
        positions.iter().map(|position| part(position).0).sum()
    };
    let (fees, funding) = (sum(|p| p.fees), sum(|p| p.funding));
    let cash = sum(|p| p.realised) - sum(|p| p.cost) - fees + funding;
    compare("cash flow".to_owned(), account.wallet - account.deposit - open, cash);
    compare("fees".to_owned(), account.fees, fees);
    compare("funding".to_owned(), account.funding, funding);
    for (symbol, position) in booked.symbols.iter().zip(&positions) {
        let held = account.positions.iter().filter(|held| held.symbol == *symbol);
        compare(format!("{symbol} position"), held.map(|held| held.qty).sum(), position.qty.0);
    }
    for held in account.positions.iter().filter(|held| !booked.symbols.contains(&held.symbol)) {
        compare(format!("{} position", held.symbol), held.qty, 0);
    }
    let mut ours = booked.orders;
    for order in &account.orders {
        let id = ClientOrderId::from_text(order.client_id.as_bytes());
        let (filled, fee) = id.and_then(|id| ours.remove(&id)).unwrap_or_default();
        compare(format!("{} filled", order.client_id), order.filled, filled);
        compare(format!("{} fees", order.client_id), order.fee, fee);
    }
    if account.forgotten.is_empty() {
        for (id, (filled, fee)) in ours {
            compare(format!("{id} filled"), 0, filled);
            compare(format!("{id} fees"), 0, fee);
        }
    } else {
        // What is left has to be what the venue has forgotten, as a whole.
        let sum = |(q, f): (i64, i64), (filled, fee)| (q.wrapping_add(filled), f + fee);
        let ours = ours.into_values().fold((0, 0), sum);
        let told = account.forgotten.iter().map(|lost| (lost.filled, lost.fee)).fold((0, 0), sum);
        compare("forgotten orders filled".to_owned(), told.0, ours.0);
        compare("forgotten orders fees".to_owned(), told.1, ours.1);
    }
    found.extend(lane_differences(dir)?);
    Ok(found)
}

/// Books lane 0 anew, without what the venue settled after `until`.
fn book(dir: &Path, until: Nanos) -> Result<Booked> {
    let mut events = Vec::new();
    let mut symbols = Vec::new();
    for item in LaneReader::open(dir, 0)? {
        let (_, event) = item?;
        match event.kind() {
            Some(Kind::Instrument) => {
                let symbol = Symbol::from_bytes(&event.body::<Instrument>().symbol);
                symbols.push(symbol.unwrap_or_default().to_string());
            }
            Some(Kind::OrderFilled | Kind::FundingPayment) => events.push(event),
            _ => {}
        }
    }
    let mut ledger = Ledger::new(symbols.len(), Money::ZERO);
    let mut orders: BTreeMap<ClientOrderId, (i64, i64)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.ts_venue <= until.0 + 999_999) {
        if matches!(ledger.on_event(event), LedgerChange::Fill(_)) {
            let report: &OrderReport = event.body();
            let (filled, fee) = orders.entry(ClientOrderId(report.client_id)).or_default();
            *filled += report.last_qty;
            *fee += report.fee;
        }
    }
    Ok(Booked { symbols, ledger, orders })
}

/// Where the position records of lane 2 say otherwise than lane 0 booked anew.
fn lane_differences(dir: &Path) -> Result<Vec<String>> {
    let booked = book(dir, Nanos(i64::MAX - 999_999))?;
    let mut last: BTreeMap<u16, Event> = BTreeMap::new();
    for item in LaneReader::open(dir, 2)? {
        let (_, event) = item?;
        if event.kind() == Some(Kind::Position) {
            last.insert(event.instrument, event);
        }
    }
    let mut found = Vec::new();
    for (i, symbol) in booked.symbols.iter().enumerate() {
        let id = crate::base::InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
        let Some(position) = booked.ledger.position(id) else { continue };
        let recorded = last.get(&id.0).map(|event| *event.body::<Position>()).unwrap_or_default();
        let said = (
            Qty(recorded.qty),
            Money(recorded.realised),
            Money(recorded.fees),
            Money(recorded.funding),
        );
        let own = (position.qty, position.realised, position.fees, position.funding);
        if said != own {
            found.push(format!("{symbol}: lane 2 ends with {said:?}, lane 0 makes {own:?}"));
        }
    }
    Ok(found)
}
