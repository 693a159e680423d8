//! Orders about symbols over the admin socket: one line in, one line out.
//!
//! ```text
//!  {"verb": "symbols_add", "symbol": "SOLUSDT", "reason": "…"}
//!  {"verb": "symbols_drop", "symbol": "SOLUSDT", "flat": true, "reason": "…"}
//!  {"verb": "symbols_list"}
//! ```
//! Who waits for the answer sees the change on the page, which comes from the river.

use super::{SymbolOrder, Wanted, may_follow};
use crate::base::event::{COMMAND_REASON_BYTES, SymbolChange};
use crate::base::{InstrumentId, Symbol, SymbolState};
use crate::observe::snapshot::{MarketView, Snapshot, SnapshotCell};
use crossbeam::channel::Sender;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long an answer waits for the change on the page.
const OBEY_TIME: Duration = Duration::from_secs(3);
/// How long whoever asks waits for it.
pub const ANSWER_TIME: Duration = Duration::from_secs(6);
/// Wait between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SymbolRequest {
    /// `symbols_add`, `symbols_drop` or `symbols_list`.
    pub verb: String,
    /// Of which symbol; not for `symbols_list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Of a drop: leave its position at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flat: bool,
    /// Why, 1 to 84 bytes; for everything but `symbols_list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The way orders go, and what is known of the table.
#[derive(Clone, Debug)]
pub struct SymbolDesk {
    orders: Sender<SymbolOrder>,
    /// In table order, each with whether `risk.allow` names it.
    table: Vec<(Symbol, bool)>,
}

impl SymbolDesk {
    /// Over a table in its order, of which `allow` names those that may be traded.
    pub fn new(orders: Sender<SymbolOrder>, table: &[Symbol], allow: &[Symbol]) -> Self {
        let table = table.iter().map(|symbol| (*symbol, allow.contains(symbol))).collect();
        Self { orders, table }
    }

    /// The place of a symbol that may be traded.
    fn place(&self, name: &str) -> Result<usize, String> {
        let symbol = Symbol::new(name.to_uppercase().as_bytes());
        let symbol = symbol.ok_or_else(|| format!("symbol: {name:?} is none"))?;
        let known = |(_, (own, _)): &(usize, &(Symbol, bool))| *own == symbol;
        let found = self.table.iter().enumerate().find(known);
        found.map(|(place, _)| place).ok_or_else(|| {
            format!(
                "{symbol} has no place in this session: name it in instruments.symbols or \
                 instruments.asleep, and start again"
            )
        })
    }
}

impl SymbolRequest {
    /// True where a line of the admin socket is one.
    pub fn concerns(line: &Value) -> bool {
        line["verb"].as_str().unwrap_or_default().starts_with("symbols_")
    }

    /// Obeys it, as `user`.
    ///
    /// # Errors
    /// In words.
    pub fn obey(&self, desk: &SymbolDesk, cell: &SnapshotCell, user: u32) -> Result<Value, String> {
        let wanted = match self.verb.as_str() {
            "symbols_list" => return Ok(list(&cell.load().0)),
            "symbols_add" if self.flat => return Err("flat: only a drop has it".to_owned()),
            "symbols_add" => Wanted::Add,
            "symbols_drop" => Wanted::Drop { flat: self.flat },
            other => return Err(format!("verb: {other:?} is none")),
        };
        let name = self.symbol.as_deref().ok_or("symbol: one is needed")?;
        let place = desk.place(name)?;
        let (symbol, is_allowed) = desk.table[place];
        if wanted == Wanted::Add && !is_allowed {
            return Err(format!("{symbol} is not added: risk.allow does not name it"));
        }
        let change = self.change(wanted, user)?;
        let page = cell.load().0;
        let own = page.markets.get(place).ok_or("the session has just begun: ask again")?;
        let state = own.state;
        let awake = page.markets.iter().filter(|own| own.state == SymbolState::Awake).count();
        may_follow((state, false), wanted, awake).map_err(|why| format!("{symbol}: {why}"))?;
        let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
        tracing::warn!(user, verb = self.verb, %symbol, reason = self.reason, "symbols");
        let sent = desk.orders.try_send(SymbolOrder { instrument, change });
        sent.map_err(|_| "the order could not be passed on: too many wait".to_owned())?;
        obeyed(cell, place, wanted).map_err(|why| format!("{symbol}: {why}"))
    }

    fn change(&self, wanted: Wanted, actor: u32) -> Result<SymbolChange, String> {
        let why = self.reason.as_deref().unwrap_or_default().trim().as_bytes();
        if !(1..=COMMAND_REASON_BYTES).contains(&why.len()) {
            return Err(format!("reason: 1 to {COMMAND_REASON_BYTES} bytes are needed"));
        }
        let (state, flat) = match wanted {
            Wanted::Add => (SymbolState::Awake, false),
            Wanted::Drop { flat } => (SymbolState::Leaving, flat),
        };
        let (state, flat) = (state as u8, u8::from(flat));
        let mut change = SymbolChange { state, flat, actor, ..SymbolChange::default() };
        change.reason[..why.len()].copy_from_slice(why);
        Ok(change)
    }
}

/// Waits until the page shows the change.
fn obeyed(cell: &SnapshotCell, place: usize, wanted: Wanted) -> Result<Value, String> {
    let began = Instant::now();
    loop {
        let page = cell.load().0;
        let state = page.markets.get(place).map_or(SymbolState::Awake, |own| own.state);
        if (state == SymbolState::Awake) == (wanted == Wanted::Add) {
            return Ok(list(&page));
        }
        if began.elapsed() >= OBEY_TIME {
            return Err(format!("not obeyed in time: it is {}", state.name()));
        }
        std::thread::park_timeout(LOOK_EVERY);
    }
}

/// Every symbol of the table as the page shows it.
fn list(page: &Snapshot) -> Value {
    let live = |state: &str| !matches!(state, "filled" | "cancelled" | "rejected" | "expired");
    let row = |market: &MarketView| {
        let own = page.positions.iter().find(|position| position.symbol == market.symbol);
        let orders = page.orders.iter().filter(|order| order.symbol == market.symbol);
        let orders = orders.filter(|order| live(order.state) && order.state != "lost").count();
        json!({
            "symbol": market.symbol,
            "state": market.state.name(),
            "book_valid": market.book_valid,
            "qty": own.map_or_else(|| "0".to_owned(), |position| position.qty.to_string()),
            "open_orders": orders,
        })
    };
    json!({ "ok": true, "symbols": page.markets.iter().map(row).collect::<Vec<_>>() })
}
