//! Configuration: TOML text to validated [`Settings`]. Pure; whoever reads the file passes the
//! text.
//!
//! Unknown keys are errors; all errors are reported at once. Every key is documented here and in
//! `config/*.toml`. [`parse()`] turns a document into settings; [`merge_overrides`] lays
//! `PEREGRINE__SECTION__KEY` variables over it first.

mod alerts;
mod canary;
mod dialect;
mod exits;
mod kill;
mod live;
mod own;
mod breakers;
mod paper;
mod parse;
mod policy;
mod portfolio;
mod risk;
mod rollback;
mod route;
pub mod section;
mod shadow;
mod sizing;
mod stage;
mod standby;
#[cfg(test)]
mod tests;
mod watch;

pub use alerts::{AlertChannel, AlertSettings};
pub use breakers::BreakerSettings;
pub use canary::CanarySettings;
pub use dialect::Dialect;
pub use exits::ExitSettings;
pub use kill::KillSettings;
pub use live::live_keys;
pub use paper::{LatencyQuantiles, PaperSettings, QUANTILE_PLACES, QueueModel};
pub use parse::{effective_text, merge_overrides, parse, parse_document};
pub use policy::PolicySettings;
#[cfg(test)]
pub(crate) use policy::policy_keys;
pub use portfolio::PortfolioSettings;
pub use risk::{RiskSettings, gate_keys};
pub use rollback::RollbackSettings;
pub use route::{OrderEntry, OrderRoute};
pub use shadow::ShadowSettings;
pub use sizing::SizingSettings;
pub use stage::{LIMITED_CAPITAL_MAX, StageName, StageSettings};
pub use standby::{ORDER_WINDOW_MS, StandbySettings};
pub use watch::{MarginType, WatchSettings, Window};

use super::ids::Symbol;
use super::units::{Money, Px, Qty, Rate};

/// One thing wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {what}")]
pub struct SettingsError {
    /// Path of the key, for instance `risk.order_notional_max`.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
}

/// A whole configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// What the session trades with.
    pub mode: Mode,
    /// State folder and seed.
    pub session: SessionSettings,
    /// Where market data and orders go.
    pub venue: VenueSettings,
    /// What is traded.
    pub instruments: InstrumentList,
    /// How features are computed.
    pub features: FeatureSettings,
    /// Which model decides.
    pub model: ModelSettings,
    /// A share of the trading for a challenger.
    pub canary: CanarySettings,
    /// Challengers beside the champion.
    pub shadow: ShadowSettings,
    /// What takes the champion out by itself.
    pub rollback: RollbackSettings,
    /// How predictions become wanted positions.
    pub policy: PolicySettings,
    /// How large entries are.
    pub sizing: SizingSettings,
    /// When positions are left.
    pub exits: ExitSettings,
    /// Limits of the order gate: the tables `[risk]`, `[portfolio]` and `[stage]`.
    pub risk: RiskSettings,
    /// How a kill ends what is open.
    pub kill: KillSettings,
    /// What trips after the fact.
    pub breakers: BreakerSettings,
    /// The watch of the venue and of our account there.
    pub watch: WatchSettings,
    /// The paper venue.
    pub paper: PaperSettings,
    /// Threads, cores, rings.
    pub topology: TopologySettings,
    /// The journal.
    pub journal: JournalSettings,
    /// The status page and metrics.
    pub http: HttpSettings,
    /// Who is told what happens, and how.
    pub alerts: AlertSettings,
    /// The group of nodes of which one trades; `None` for one machine.
    pub standby: Option<StandbySettings>,
}

/// State folder and seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSettings {
    /// Folder for journals, the order-id epoch and latches.
    pub state_dir: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Milliseconds between timer events.
    pub timer_interval_ms: u32,
    /// Arm without an operator once everything is reconciled; paper trading alone.
    pub unattended: bool,
}

/// Where market data and orders go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VenueSettings {
    /// Which venue, or which of its dialects, is spoken to.
    pub dialect: Dialect,
    /// Who fills our orders.
    pub orders: OrderRoute,
    /// REST base URL, without a path.
    pub rest_url: String,
    /// REST base URL of the venue's wallet, which tells what a key may do; empty where there is
    /// none, as on test networks.
    pub wallet_url: String,
    /// WebSocket URL of the trading API; used with order entry by WebSocket.
    pub api_url: String,
    /// How orders are entered.
    pub order_entry: OrderEntry,
    /// WebSocket base URL for book streams (`/public`).
    pub public_url: String,
    /// WebSocket base URL for trade, mark price and other streams (`/market`).
    pub market_url: String,
    /// WebSocket base URL of the account's own stream (`/private`); used with orders at the venue.
    pub private_url: String,
    /// Stream name suffixes taken from the public route, for instance `bookTicker`.
    pub public_streams: Vec<String>,
    /// Stream name suffixes taken from the market route, for instance `trade`.
    pub market_streams: Vec<String>,
    /// Levels of a REST snapshot.
    pub snapshot_levels: u32,
    /// Seconds between open-interest requests; 0 asks never.
    pub open_interest_every_s: u32,
    /// Longest silence of a connection before it is replaced, in milliseconds.
    pub silence_ms_max: u32,
    /// Age at which a connection is replaced by a new one that delivers already, in seconds.
    pub connection_age_s_max: u32,
    /// Seconds between two reconciliations while all is quiet; 0 for none.
    pub reconcile_every_s: u32,
    /// Time after which the venue cancels our orders by itself unless told otherwise, in
    /// milliseconds; 0 for never.
    pub dead_man_ms: u32,
    /// How long a start goes on asking where no answer comes, in seconds; 0 to ask once.
    pub start_patience_s: u32,
}

/// What is traded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstrumentList {
    /// Symbols, in table order.
    pub symbols: Vec<Symbol>,
    /// Symbols that have a place in the table behind those, and are not traded before an operator
    /// adds them.
    pub asleep: Vec<Symbol>,
    /// Backtest only: also trade every symbol found in the data.
    pub discover: bool,
    /// Contract facts given in the file; others come from the venue or the data.
    pub facts: Vec<InstrumentSettings>,
    /// Fees for instruments without facts of their own.
    pub maker_fee: Rate,
    /// Fees for instruments without facts of their own.
    pub taker_fee: Rate,
}

impl InstrumentList {
    /// The symbols of a session's table, in its order: those that are traded, then the others.
    pub fn all(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.symbols.iter().chain(&self.asleep).copied()
    }
}

/// Which model decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSettings {
    /// The registry's folder.
    pub dir: String,
    /// A version, or `champion`.
    pub version: String,
    /// Symbols that a model of their own decides, and its version; the others share `version`. At
    /// most [`crate::base::limits::OWN_MODELS_MAX`], each a symbol of `[instruments]`.
    pub own: Vec<(Symbol, String)>,
    /// Run a model on tract when no native plan can be compiled.
    pub allow_tract: bool,
    /// Largest p99 of one inference in microseconds.
    pub budget_us: u32,
}

/// Threads, cores, rings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologySettings {
    /// How stages are laid on threads.
    pub layout: Layout,
    /// Threads that inference is shared among, by symbol; more than one only with
    /// [`Layout::Split`].
    pub inference_shards: u32,
    /// Cores for the pinned threads, in stage order; empty lets the program choose.
    pub cores: Vec<u32>,
    /// What a pinned thread does while it has no work.
    pub wait: Wait,
    /// Refuse to start when a thread cannot be pinned.
    pub pin_required: bool,
    /// Depth of the ring from feed to inference, in events.
    pub feed_inference_events: u32,
    /// Depth of the ring from inference to risk, in events.
    pub inference_risk_events: u32,
    /// Depth of the ring from risk to execution, in events.
    pub risk_execution_events: u32,
    /// Depth of the ring from execution back to the feed, in events.
    pub execution_feed_events: u32,
}

/// How stages are laid on threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// By the number of cores.
    Auto,
    /// Four threads, a stage each.
    Split,
    /// Two threads: feed, and the other three fused.
    Paired,
    /// One thread for all four.
    Fused,
}

/// What a pinned thread does while it has no work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// By the layout: spin where every thread has a core to itself, otherwise yield.
    Auto,
    /// Spin with a pause hint.
    Spin,
    /// Give the core away between polls.
    Yield,
    /// Sleep on the sockets, or briefly on a ring.
    Park,
}

/// The journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// Segment size of lanes 0 and 4 in MiB.
    pub input_segment_mib: u32,
    /// Segment size of lanes 1 to 3 in MiB.
    pub output_segment_mib: u32,
    /// Milliseconds between flushes.
    pub flush_interval_ms: u32,
    /// Segments kept per lane; 0 keeps all.
    pub keep_segments: u32,
}

/// The status page and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// Loopback address and port, or empty for none.
    pub bind: String,
    /// Start without the page when the port is taken.
    pub optional: bool,
}

/// What a session trades with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Largest quantity of one order, whether a limit or a market order.
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
