//! What is traded: money, positions, markets, limits, models, orders, fills.

use crate::base::{Money, Px, Qty, SymbolState};
use serde::{Serialize, Serializer};

/// Money, in quote currency.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct AccountView {
    /// Balance plus unrealised profit.
    #[serde(serialize_with = "money")]
    pub equity: Money,
    /// Net profit since session start: realised + unrealised − fees + funding.
    #[serde(serialize_with = "money")]
    pub pnl_quote: Money,
    /// Closed profit before fees and funding.
    #[serde(serialize_with = "money")]
    pub realised: Money,
    /// Open profit at the mark price.
    #[serde(serialize_with = "money")]
    pub unrealised: Money,
    /// Fees paid (below zero: received).
    #[serde(serialize_with = "money")]
    pub fees: Money,
    /// Funding received (below zero: paid).
    #[serde(serialize_with = "money")]
    pub funding: Money,
    /// Fall of the equity from its peak, as a fraction of the peak.
    pub drawdown_ratio: f64,
    /// Largest fall so far.
    pub drawdown_ratio_max: f64,
    /// Sharpe ratio of the session, annualised; `None` while there is too little to tell.
    pub sharpe: Option<f64>,
}

/// How well the session trades, after fees and funding. A ratio is `None` while there is too
/// little to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PerformanceView {
    /// Mean over deviation of the returns, annualised.
    pub sharpe: Option<f64>,
    /// Mean over downside deviation of the returns, annualised.
    pub sortino: Option<f64>,
    /// Seconds of one of those returns; 0 while there is too little for a ratio.
    pub step_seconds: f64,
    /// Round trips that ended.
    pub round_trips: u64,
    /// Those that left more than nothing.
    pub won: u64,
    /// Share of those that were won: 0 to 1.
    pub win_rate: Option<f64>,
    /// What the won ones left, over what the others lost.
    pub profit_factor: Option<f64>,
    /// What the won ones left.
    #[serde(serialize_with = "money")]
    pub gain: Money,
    /// What the others lost; never below zero.
    #[serde(serialize_with = "money")]
    pub loss: Money,
}

/// One instrument's part in the profit, in quote currency.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SymbolView {
    /// The instrument's symbol.
    pub symbol: String,
    /// Net profit: realised + unrealised − fees + funding.
    #[serde(serialize_with = "money")]
    pub pnl_quote: Money,
    /// Closed profit before fees and funding.
    #[serde(serialize_with = "money")]
    pub realised: Money,
    /// Open profit at the mark price.
    #[serde(serialize_with = "money")]
    pub unrealised: Money,
    /// Fees paid (below zero: received).
    #[serde(serialize_with = "money")]
    pub fees: Money,
    /// Funding received (below zero: paid).
    #[serde(serialize_with = "money")]
    pub funding: Money,
    /// Changes of the position.
    pub trades: u64,
    /// Round trips that ended.
    pub round_trips: u64,
    /// Those that left more than nothing.
    pub won: u64,
}

/// The connections that the feed lives on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedView {
    /// Market connections, or single streams of one, that are down.
    pub market_down: usize,
    /// True while the account's own stream is down.
    pub account_down: bool,
}

/// One open position.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PositionView {
    /// The instrument's symbol.
    pub symbol: String,
    /// Signed quantity.
    #[serde(serialize_with = "qty")]
    pub qty: Qty,
    /// Average entry price.
    #[serde(serialize_with = "px")]
    pub entry_px: Px,
    /// Price it is valued at.
    #[serde(serialize_with = "px")]
    pub mark_px: Px,
    /// Open profit.
    #[serde(serialize_with = "money")]
    pub unrealised: Money,
}

/// The market of one instrument.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MarketView {
    /// The instrument's symbol.
    pub symbol: String,
    /// Whether it is traded: `awake`, `leaving`, `asleep`.
    #[serde(serialize_with = "state_name")]
    pub state: SymbolState,
    /// Best bid.
    #[serde(serialize_with = "px")]
    pub bid_px: Px,
    /// Best ask.
    #[serde(serialize_with = "px")]
    pub ask_px: Px,
    /// The venue's mark price.
    #[serde(serialize_with = "px")]
    pub mark_px: Px,
    /// True while the book may be priced from.
    pub book_valid: bool,
    /// Age of the newest event in seconds.
    pub age_seconds: f64,
    /// Newest probabilities of down, flat, up.
    pub probability: Option<[f32; 3]>,
}

fn state_name<S: serde::Serializer>(state: &SymbolState, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.name())
}

/// One limit and its use, in the limit's own unit.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LimitView {
    /// Name of the limit as in the configuration.
    pub name: &'static str,
    /// Unit: `quote`, `percent`, `bps`, `count`, `ms`.
    pub unit: &'static str,
    /// What is used.
    pub used: f64,
    /// What is allowed; `None` is unset, which denies.
    pub limit: Option<f64>,
    /// True while it stops trading.
    pub tripped: bool,
}

/// One model.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelView {
    /// Version name.
    pub version: String,
    /// `champion`, `canary`, `previous` for the champion before it, which is kept warm, or `own`
    /// for one that decides its symbols alone.
    pub stage: &'static str,
    /// The symbols of an own model; empty for those that decide what has none.
    pub symbols: Vec<String>,
    /// Share of the trading that a canary decides, in basis points.
    pub share_bps: u16,
    /// SHA-256 of the model file in hex.
    pub sha256: String,
    /// `native` or `tract`.
    pub executor: &'static str,
    /// True when file, card and golden vectors agreed at load.
    pub verified: bool,
    /// Predictions made.
    pub predictions: u64,
    /// Times it failed or its answer was none.
    pub faults: u64,
}

/// One challenger against the champion.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShadowView {
    /// The challenger's version.
    pub version: String,
    /// Decisions compared.
    pub decisions: u64,
    /// Share of equal decisions.
    pub agreement_ratio: f64,
    /// Its simulated profit.
    #[serde(serialize_with = "money")]
    pub pnl_quote: Money,
    /// Its Sharpe ratio; `None` while there is too little to tell.
    pub sharpe: Option<f64>,
}

/// How far the challengers are behind the session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ShadowLag {
    /// Inputs of the session that they have not seen yet.
    pub events_behind: u64,
    /// Age of the newest input they have seen, milliseconds.
    pub behind_ms: u64,
    /// Inputs that were gone before they were read.
    pub dropped: u64,
    /// Rows that came out differently from the session's, or from a model's with the same features.
    pub mismatches: u64,
    /// Lines of the log written.
    pub lines: u64,
    /// 1 where the trial ended by a fault, which the program's own log tells.
    pub failed: u64,
}

/// One order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OrderView {
    /// Our id in text form.
    pub client_id: String,
    /// When it was last touched, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The instrument's symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Limit price.
    #[serde(serialize_with = "px")]
    pub px: Px,
    /// Quantity.
    #[serde(serialize_with = "qty")]
    pub qty: Qty,
    /// Filled so far.
    #[serde(serialize_with = "qty")]
    pub cum_qty: Qty,
    /// `limit`, `market` or `stop`; of a stop `px` is the trigger price.
    pub order_type: &'static str,
    /// What it is for: `entry`, `exit`, `protect`; empty where not known.
    pub purpose: &'static str,
    /// True until it is filled, cancelled, refused or expired.
    pub open: bool,
    /// Name of its state.
    pub state: &'static str,
    /// Name of the reason, empty when there is none.
    pub reason: &'static str,
}

/// One fill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FillView {
    /// Our order's id in text form.
    pub client_id: String,
    /// When, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// The instrument's symbol.
    pub symbol: String,
    /// `buy` or `sell`.
    pub side: &'static str,
    /// Price.
    #[serde(serialize_with = "px")]
    pub px: Px,
    /// Quantity.
    #[serde(serialize_with = "qty")]
    pub qty: Qty,
    /// Fee; below zero is a rebate.
    #[serde(serialize_with = "money")]
    pub fee: Money,
    /// True when we were the maker.
    pub maker: bool,
}

/// One point of the equity curve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct EquityPoint {
    /// When, nanoseconds since the epoch.
    pub ts_ns: i64,
    /// Equity.
    #[serde(serialize_with = "money")]
    pub equity: Money,
    /// Fall from the highest equity until then, as a fraction of it: 0 to 1.
    pub drawdown_ratio: f64,
}

fn px<S: Serializer>(value: &Px, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}

fn qty<S: Serializer>(value: &Qty, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}

fn money<S: Serializer>(value: &Money, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(value.to_f64())
}
