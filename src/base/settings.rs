//! Configuration: TOML text to validated [`Settings`]. Pure; whoever reads the file passes the text.
//!
//! Unknown keys are errors; all errors are reported at once. Every key is documented here and in
//! `config/*.toml`.

use super::ids::Symbol;
use super::units::{Money, Px, Qty, Rate};
use serde::{Deserialize, Serialize};

/// What a session trades with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Live market data, simulated fills.
    Paper,
    /// The venue's test network.
    Testnet,
    /// Real money.
    Live,
}

/// One tradable contract's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentSettings {
    /// The venue's symbol.
    pub symbol: Symbol,
    /// Price step.
    pub tick_size: Px,
    /// Quantity step.
    pub lot_size: Qty,
    /// Least order quantity.
    pub min_qty: Qty,
    /// Largest order quantity.
    pub max_qty: Qty,
    /// Least order value; exits are exempt.
    pub min_notional: Money,
    /// Maker fee rate; negative is a rebate.
    pub maker_fee: Rate,
    /// Taker fee rate.
    pub taker_fee: Rate,
}

/// How features are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSettings {
    /// Length of a bar in milliseconds.
    pub bar_interval_ms: u32,
    /// Oldest book, trade or bookTicker a vector may rest on, in milliseconds.
    pub market_age_ms_max: u32,
    /// Oldest open interest or mark price a vector may rest on, in milliseconds.
    pub slow_age_ms_max: u32,
}

/// How predictions become wanted positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicySettings {
    /// Least milliseconds between two decisions of one instrument; 0 decides on every market event.
    pub decision_interval_ms: u32,
    /// Enter when `p(up) − p(down)` reaches this (or its negative), 0 to 1.
    pub enter_edge: f64,
    /// Leave when the edge falls back below this, 0 to `enter_edge`.
    pub exit_edge: f64,
    /// Value of a full position in quote currency.
    pub position_notional: Money,
    /// Leave after this many milliseconds in a position.
    pub hold_ms_max: u64,
    /// Stop at this many average true ranges against us; 0 is off.
    pub stop_atr: f64,
    /// Take profit at this many average true ranges in our favour; 0 is off.
    pub take_profit_atr: f64,
    /// Enter with post-only orders at the touch instead of taking.
    pub enter_as_maker: bool,
    /// Cancel a resting entry after this many milliseconds.
    pub entry_rest_ms_max: u32,
    /// How far through the touch a taking order may go, in basis points.
    pub take_through_bps: u32,
}

/// Limits of the order gate. `None` is unset, and unset means deny.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RiskSettings {
    /// Account equity at session start in paper and backtest.
    pub starting_equity: Option<Money>,
    /// Symbols that may be traded; empty denies all.
    pub allow: Vec<Symbol>,
    /// RC-02: largest order quantity as value in quote currency at the reference price.
    pub order_notional_max: Option<Money>,
    /// RC-04: band around the mark price in basis points.
    pub collar_mark_bps: Option<u32>,
    /// RC-04: band around the touch in basis points.
    pub collar_touch_bps: Option<u32>,
    /// RC-05: largest worst-case position value per instrument.
    pub position_notional_max: Option<Money>,
    /// RC-06: largest gross exposure over all instruments.
    pub gross_notional_max: Option<Money>,
    /// RC-06: gross exposure over equity, in hundredths (300 is 3 ×).
    pub leverage_max_percent: Option<u32>,
    /// RC-08: window in which the same order again is a duplicate, in milliseconds.
    pub duplicate_window_ms: Option<u32>,
    /// RC-09: orders in any ten seconds.
    pub orders_per_10s_max: Option<u32>,
    /// RC-10: entries per UTC day.
    pub entries_per_day_max: Option<u32>,
    /// Orders working or in flight at once.
    pub open_orders_max: Option<u32>,
    /// RC-15: oldest market data an entry may rest on, in milliseconds.
    pub market_age_ms_max: Option<u32>,
    /// RC-17: longest time from input to gate by event time, in milliseconds.
    pub decision_age_ms_max: Option<u32>,
    /// RC-22: loss since 00:00 UTC that halts trading.
    pub daily_loss_max: Option<Money>,
    /// RC-23: fall from the equity peak that halts trading, in basis points.
    pub drawdown_bps_max: Option<u32>,
    /// RC-24: losing trades in a row that halt trading.
    pub losses_in_a_row_max: Option<u32>,
}

/// The paper venue's models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaperSettings {
    /// From the order's bytes leaving to the venue's matching, in microseconds.
    pub order_latency_us: u32,
    /// From the venue's matching to our receipt of the report, in microseconds.
    pub report_latency_us: u32,
    /// Queue model of resting orders.
    pub queue: QueueModel,
}

/// How a resting order advances in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueModel {
    /// Only trades advance it.
    RiskAverse,
    /// A cancelled quantity is taken from ahead and behind in proportion (power 2).
    Probabilistic,
}
