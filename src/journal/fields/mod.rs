//! An event's fields by name, for tools: the one place that spells out every kind's body. The match
//! over kinds has no wildcard, so a new kind does not compile until it is listed here.
//!
//! Reserved and padding fields are left out. Not for the hot path.

mod control;
mod risk;
mod venue;

use crate::base::event::{self as body, BODY_BYTES, Event, Kind, LEVELS_PER_EVENT, Level, flags};
use crate::base::limits::INSTRUMENTS_MAX;
use crate::base::{ClientOrderId, InstrumentId, Reason, Symbol};
use std::borrow::Cow;
use zerocopy::IntoBytes;

/// A field's value with its meaning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Field<'a> {
    /// Price, quantity, money or rate, 1e-8.
    Fixed(i64),
    /// Nanoseconds since the epoch.
    Time(i64),
    /// A count, size or id.
    Count(u64),
    /// A whole number that may be negative.
    Whole(i64),
    /// A float; NaN means the model has none.
    Ratio(f32),
    /// A [`Reason`] number.
    Reason(u16),
    /// One of our order ids.
    Order(ClientOrderId),
    /// A hash or tag.
    Hash(u64),
    /// Bytes shown in hex.
    Bytes(&'a [u8]),
    /// Text padded with zeros.
    Text(&'a [u8]),
    /// A choice by number, with the names from 0 up; an empty name is no choice.
    Choice(u64, &'static [&'static str]),
    /// Price levels, ended early by a price of 0.
    Levels(&'a [Level; LEVELS_PER_EVENT]),
}

impl Field<'_> {
    /// As text; `None` for levels, which are several values. A number without a name is shown as
    /// the number.
    pub fn text(&self) -> Option<Cow<'static, str>> {
        let text = match *self {
            Self::Fixed(value) => crate::base::Px(value).to_string(),
            Self::Time(value) | Self::Whole(value) => value.to_string(),
            Self::Count(value) => value.to_string(),
            Self::Ratio(value) => value.to_string(),
            Self::Reason(number) => match Reason::from_u16(number) {
                Some(reason) => return Some(reason.name().into()),
                None => number.to_string(),
            },
            Self::Order(id) => id.to_string(),
            Self::Hash(value) => format!("{value:016x}"),
            Self::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Text(bytes) => {
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                String::from_utf8_lossy(&bytes[..end]).into_owned()
            }
            Self::Choice(number, names) => {
                match usize::try_from(number).ok().and_then(|number| names.get(number)) {
                    Some(name) if !name.is_empty() => return Some((*name).into()),
                    _ => number.to_string(),
                }
            }
            Self::Levels(_) => return None,
        };
        Some(text.into())
    }
}

/// Instrument symbols as a journal's `Instrument` events tell them.
#[derive(Clone, Debug, Default)]
pub struct InstrumentNames(Vec<Option<Symbol>>);

impl InstrumentNames {
    /// Takes in an event; anything but an `Instrument` changes nothing.
    pub fn learn(&mut self, event: &Event) {
        let index = event.instrument().index();
        if event.kind() != Some(Kind::Instrument) || index >= INSTRUMENTS_MAX {
            return;
        }
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index] = Symbol::from_bytes(&event.body::<body::Instrument>().symbol);
    }

    /// The symbol, or the number of an instrument the journal has not named; `None` for events
    /// that belong to no instrument.
    pub fn name(&self, instrument: InstrumentId) -> Option<String> {
        if instrument == InstrumentId::NONE {
            return None;
        }
        let symbol = self.0.get(instrument.index()).copied().flatten();
        Some(symbol.map_or_else(|| instrument.0.to_string(), |symbol| symbol.to_string()))
    }

    /// How many instruments have a name.
    pub fn known(&self) -> usize {
        self.0.iter().flatten().count()
    }
}

/// Names of the header's flag bits, from bit 0. `SELL` shows as the field `side` instead.
pub const FLAG_NAMES: [(u8, &str); 6] = [
    (flags::LAST, "last"),
    (flags::SNAPSHOT, "snapshot"),
    (flags::REDUCE_ONLY, "reduce_only"),
    (flags::MAKER, "maker"),
    (flags::ON, "on"),
    (flags::PAPER, "paper"),
];

const SIDES: &[&str] = &["buy", "sell"];
const ORDER_TYPES: &[&str] = &["", "limit", "market", "stop market"];
const TIMES_IN_FORCE: &[&str] = &["", "GTC", "IOC", "FOK", "GTX"];
const PURPOSES: &[&str] = &[
    "",
    "entry",
    "exit by signal",
    "exit by stop",
    "exit by time",
    "flatten",
    "protect",
    "exit by profit",
    "exit by trailing stop",
    "exit by volatility",
    "exit by funding",
    "exit without protection",
];
const BOUNDS: &[&str] =
    &["", "full position", "risk", "kelly", "share", "impact", "venue", "breakers"];
const REQUESTS: &[&str] = &["", "order", "cancel", "stop", "stop_cancel"];

/// What is done with each field.
pub type Visit<'v> = dyn FnMut(&'static str, Field<'_>) + 'v;

/// Visits the fields of `event`'s body in order. A kind this build does not know shows as one field
/// `body` of raw bytes.
pub fn visit_fields(event: &Event, visit: &mut Visit<'_>) {
    let Some(kind) = event.kind() else {
        debug_assert_eq!(event.body.as_bytes().len(), BODY_BYTES);
        return visit("body", Field::Bytes(event.body.as_bytes()));
    };
    match kind {
        Kind::Trade | Kind::AggTrade => trade(event, visit),
        Kind::BookTicker => book_ticker(event.body(), visit),
        Kind::DepthHead => depth_head(event.body(), visit),
        Kind::DepthLevels => depth_levels(event, visit),
        Kind::MarkPrice => mark_price(event.body(), visit),
        Kind::Kline => kline(event.body(), visit),
        Kind::Liquidation => liquidation(event, visit),
        Kind::OpenInterest => open_interest(event.body(), visit),
        Kind::Funding => funding(event.body(), visit),
        Kind::Gap => gap(event.body(), visit),
        Kind::Malformed => malformed(event.body(), visit),
        Kind::StreamStatus => stream_status(event.body(), visit),
        Kind::SessionStart => control::session_start(event.body(), visit),
        Kind::Instrument => control::instrument(event.body(), visit),
        Kind::ModelLoaded => control::model_loaded(event.body(), visit),
        Kind::ModelSwap => control::model_swap(event.body(), visit),
        Kind::SymbolChange => control::symbol_change(event.body(), visit),
        Kind::Timer => visit("interval_ms", Field::Count(event.body::<body::Timer>().interval_ms)),
        Kind::Command => control::command(event.body(), visit),
        Kind::SessionEnd => {}
        Kind::Reconciled => {
            let found = event.body::<body::Reconciled>();
            visit("open_orders", Field::Count(found.open_orders));
            visit("positions", Field::Count(found.positions));
            visit("funding_since", Field::Time(found.funding_since));
        }
        Kind::KillRound => control::kill_round(event.body(), visit),
        Kind::PositionCarried => control::position_carried(event.body(), visit),
        Kind::OrderCarried => control::order_carried(event, visit),
        Kind::SessionCarried => control::session_carried(event.body(), visit),
        Kind::BookedCarried => control::booked_carried(event.body(), visit),
        Kind::VenuePosition => venue::position(event.body(), visit),
        Kind::VenueStatus => venue::status(event.body(), visit),
        Kind::AccountStatus => venue::account(event.body(), visit),
        Kind::MarginStatus => venue::margin(event.body(), visit),
        Kind::ContractStatus => venue::contract(event.body(), visit),
        Kind::OrderAccepted
        | Kind::OrderFilled
        | Kind::OrderCancelled
        | Kind::OrderRejected
        | Kind::OrderExpired
        | Kind::OrderUnknown
        | Kind::CancelRejected => venue::order_report(event, visit),
        Kind::FundingPayment => venue::funding_payment(event.body(), visit),
        Kind::Prediction => prediction(event.body(), visit),
        Kind::NoDecision => no_decision(event.body(), visit),
        Kind::BookState => book_state(event.body(), visit),
        Kind::OrderApproved | Kind::CancelApproved | Kind::OrderIntent | Kind::CancelIntent => {
            order(event, visit);
        }
        Kind::Denied => denied(event, visit),
        Kind::Position => position(event.body(), visit),
        Kind::StateChange => state_change(event.body(), visit),
        Kind::Measured => risk::measured(event.body(), visit),
        Kind::Breaker => risk::breaker(event.body(), visit),
        Kind::SizeChange => risk::size_change(event.body(), visit),
        Kind::Sent => sent(event.body(), visit),
        Kind::OrderState => order_state(event.body(), visit),
        Kind::Stamps => stamps(event, visit),
    }
}

fn side(event: &Event, visit: &mut Visit<'_>) {
    visit("side", Field::Choice(u64::from(event.has(flags::SELL)), SIDES));
}

fn trade(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::Trade = event.body();
    side(event, visit);
    visit("px", Field::Fixed(body.px));
    visit("qty", Field::Fixed(body.qty));
    visit("trade_id", Field::Count(body.trade_id));
    visit("first_id", Field::Count(body.first_id));
    visit("last_id", Field::Count(body.last_id));
    visit("ts_trade", Field::Time(body.ts_trade));
}

fn book_ticker(body: &body::BookTicker, visit: &mut Visit<'_>) {
    visit("update_id", Field::Count(body.update_id));
    visit("bid_px", Field::Fixed(body.bid_px));
    visit("bid_qty", Field::Fixed(body.bid_qty));
    visit("ask_px", Field::Fixed(body.ask_px));
    visit("ask_qty", Field::Fixed(body.ask_qty));
    visit("ts_match", Field::Time(body.ts_match));
}

fn depth_head(body: &body::DepthHead, visit: &mut Visit<'_>) {
    visit("first_id", Field::Count(body.first_id));
    visit("last_id", Field::Count(body.last_id));
    visit("prev_id", Field::Count(body.prev_id));
    visit("bid_count", Field::Count(u64::from(body.bid_count)));
    visit("ask_count", Field::Count(u64::from(body.ask_count)));
    visit("ts_match", Field::Time(body.ts_match));
}

fn depth_levels(event: &Event, visit: &mut Visit<'_>) {
    side(event, visit);
    visit("levels", Field::Levels(&event.body::<body::DepthLevels>().levels));
}

fn mark_price(body: &body::MarkPrice, visit: &mut Visit<'_>) {
    visit("mark_px", Field::Fixed(body.mark_px));
    visit("index_px", Field::Fixed(body.index_px));
    visit("settle_px", Field::Fixed(body.settle_px));
    visit("funding_rate", Field::Fixed(body.funding_rate));
    visit("ts_next_funding", Field::Time(body.ts_next_funding));
}

fn kline(body: &body::Kline, visit: &mut Visit<'_>) {
    visit("ts_open", Field::Time(body.ts_open));
    visit("ts_close", Field::Time(body.ts_close));
    visit("open", Field::Fixed(body.open));
    visit("high", Field::Fixed(body.high));
    visit("low", Field::Fixed(body.low));
    visit("close", Field::Fixed(body.close));
    visit("volume", Field::Fixed(body.volume));
    visit("quote_volume", Field::Fixed(body.quote_volume));
    visit("taker_buy_volume", Field::Fixed(body.taker_buy_volume));
    visit("taker_buy_quote", Field::Fixed(body.taker_buy_quote));
    visit("trade_count", Field::Count(body.trade_count));
}

fn liquidation(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::Liquidation = event.body();
    side(event, visit);
    visit("px", Field::Fixed(body.px));
    visit("avg_px", Field::Fixed(body.avg_px));
    visit("qty", Field::Fixed(body.qty));
    visit("filled_qty", Field::Fixed(body.filled_qty));
    visit("last_qty", Field::Fixed(body.last_qty));
    visit("ts_trade", Field::Time(body.ts_trade));
}

fn open_interest(body: &body::OpenInterest, visit: &mut Visit<'_>) {
    visit("qty", Field::Fixed(body.qty));
    visit("ts", Field::Time(body.ts));
}

fn funding(body: &body::Funding, visit: &mut Visit<'_>) {
    visit("rate", Field::Fixed(body.rate));
    visit("mark_px", Field::Fixed(body.mark_px));
    visit("ts_funding", Field::Time(body.ts_funding));
}

fn gap(body: &body::Gap, visit: &mut Visit<'_>) {
    visit("expected", Field::Count(body.expected));
    visit("got", Field::Count(body.got));
    visit("reason", Field::Reason(body.reason));
}

fn malformed(body: &body::Malformed, visit: &mut Visit<'_>) {
    visit("reason", Field::Reason(body.reason));
    visit("frame_bytes", Field::Count(u64::from(body.frame_bytes)));
    visit("offset", Field::Count(u64::from(body.offset)));
    visit("frame_hash", Field::Hash(body.frame_hash));
    visit("head", Field::Text(&body.head));
}

fn stream_status(body: &body::StreamStatus, visit: &mut Visit<'_>) {
    visit("connection", Field::Count(body.connection));
    visit("reason", Field::Reason(body.reason));
    visit("carries", Field::Count(u64::from(body.carries)));
}

fn prediction(body: &body::Prediction, visit: &mut Visit<'_>) {
    let [down, flat, up] = body.probability;
    visit("p_down", Field::Ratio(down));
    visit("p_flat", Field::Ratio(flat));
    visit("p_up", Field::Ratio(up));
    let [q10, q50, q90] = body.quantile;
    visit("q10", Field::Ratio(q10));
    visit("q50", Field::Ratio(q50));
    visit("q90", Field::Ratio(q90));
    visit("features_hash", Field::Hash(body.features_hash));
    visit("model_tag", Field::Hash(body.model_tag));
    visit("bid_px", Field::Fixed(body.bid_px));
    visit("bid_qty", Field::Fixed(body.bid_qty));
    visit("ask_px", Field::Fixed(body.ask_px));
    visit("ask_qty", Field::Fixed(body.ask_qty));
    visit("atr_px", Field::Fixed(body.atr_px));
    visit("market_seq", Field::Count(body.market_seq));
}

fn no_decision(body: &body::NoDecision, visit: &mut Visit<'_>) {
    visit("reason", Field::Reason(body.reason));
    visit("feature", Field::Count(u64::from(body.feature)));
    visit("model_tag", Field::Hash(body.model_tag));
}

fn book_state(body: &body::BookState, visit: &mut Visit<'_>) {
    visit("last_id", Field::Count(body.last_id));
    visit("bid_px", Field::Fixed(body.bid_px));
    visit("ask_px", Field::Fixed(body.ask_px));
    visit("reason", Field::Reason(body.reason));
}

fn order(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::Order = event.body();
    visit("client_id", Field::Order(body.id()));
    side(event, visit);
    visit("px", Field::Fixed(body.px));
    visit("qty", Field::Fixed(body.qty));
    visit("reference_px", Field::Fixed(body.reference_px));
    visit("notional", Field::Fixed(body.notional));
    visit("order_type", Field::Choice(u64::from(body.order_type), ORDER_TYPES));
    visit("time_in_force", Field::Choice(u64::from(body.time_in_force), TIMES_IN_FORCE));
    visit("purpose", Field::Choice(u64::from(body.purpose), PURPOSES));
    visit("bound", Field::Choice(u64::from(body.bound), BOUNDS));
    visit("model_tag", Field::Hash(body.model_tag));
    visit("atr_px", Field::Fixed(body.atr_px));
    visit("target_px", Field::Fixed(body.target_px));
    visit("edge", Field::Fixed(body.edge));
    visit("costs", Field::Fixed(body.costs));
}

fn denied(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::Denied = event.body();
    side(event, visit);
    visit("reason", Field::Reason(body.reason));
    visit("check", Field::Count(u64::from(body.check)));
    visit("purpose", Field::Choice(u64::from(body.purpose), PURPOSES));
    visit("value", Field::Whole(body.value));
    visit("limit", Field::Whole(body.limit));
    visit("px", Field::Fixed(body.px));
    visit("qty", Field::Fixed(body.qty));
    visit("model_tag", Field::Hash(body.model_tag));
}

fn position(body: &body::Position, visit: &mut Visit<'_>) {
    visit("qty", Field::Fixed(body.qty));
    visit("avg_px", Field::Fixed(body.avg_px));
    visit("realised", Field::Fixed(body.realised));
    visit("fees", Field::Fixed(body.fees));
    visit("funding", Field::Fixed(body.funding));
    visit("unrealised", Field::Fixed(body.unrealised));
    visit("mark_px", Field::Fixed(body.mark_px));
    visit("equity", Field::Fixed(body.equity));
    visit("atr_px", Field::Fixed(body.atr_px));
    visit("target_px", Field::Fixed(body.target_px));
    visit("best_px", Field::Fixed(body.best_px));
}

fn state_change(body: &body::StateChange, visit: &mut Visit<'_>) {
    visit("from", Field::Count(u64::from(body.from)));
    visit("to", Field::Count(u64::from(body.to)));
    visit("reason", Field::Reason(body.reason));
    visit("actor", Field::Count(u64::from(body.actor)));
}

fn sent(body: &body::Sent, visit: &mut Visit<'_>) {
    visit("client_id", Field::Order(ClientOrderId(body.client_id)));
    visit("request_hash", Field::Hash(body.request_hash));
    visit("request_bytes", Field::Count(u64::from(body.request_bytes)));
    visit("request", Field::Choice(u64::from(body.request), REQUESTS));
}

fn order_state(body: &body::OrderState, visit: &mut Visit<'_>) {
    visit("client_id", Field::Order(ClientOrderId(body.client_id)));
    visit("from", Field::Count(u64::from(body.from)));
    visit("to", Field::Count(u64::from(body.to)));
    visit("reason", Field::Reason(body.reason));
    visit("cum_qty", Field::Fixed(body.cum_qty));
    visit("leaves_qty", Field::Fixed(body.leaves_qty));
}

fn stamps(event: &Event, visit: &mut Visit<'_>) {
    let body: &body::Stamps = event.body();
    let told = |passage: body::Passage| {
        format!("{} {} ns of {}", passage.hop.name(), passage.ns, passage.seq)
    };
    let passages: Vec<String> = body.read(event.seq).map(told).collect();
    visit("passages", Field::Text(passages.join("; ").as_bytes()));
    visit("missed", Field::Count(body.missed));
}
