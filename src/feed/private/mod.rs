//! Frames of the account's own stream to events. What happened to our orders, what funding was paid
//! and what bears on trading becomes an event; everything else is counted.
//!
//! ```text
//!  ORDER_TRADE_UPDATE  NEW, AMENDMENT    OrderAccepted
//!                      TRADE, CALCULATED OrderFilled, also of an order that is not ours
//!                      CANCELED          OrderCancelled
//!                      EXPIRED           OrderExpired
//!                      REJECTED          OrderRejected
//!  ALGO_UPDATE         our stops         see `algo`
//!  ACCOUNT_UPDATE      FUNDING_FEE       FundingPayment
//!  ACCOUNT_CONFIG_UPDATE                 VenueStatus, account mode: leverage, or multi-assets 0, 1
//!  MARGIN_CALL         each position     VenueStatus, margin call
//!  listenKeyExpired                      counted; the caller takes a new key
//!  TRADE_LITE, CONDITIONAL_ORDER_TRIGGER_REJECT, STRATEGY_UPDATE, GRID_UPDATE: counted
//! ```
//! A fill is booked from ORDER_TRADE_UPDATE alone: TRADE_LITE has neither fee nor total and may
//! come first. A fill of an order that is not ours moves our position all the same, so it becomes
//! an `OrderFilled` without a client id, on which the ledger stops trading; other reports on such
//! orders are only counted. One by which the venue closes our position (liquidation, deleveraging,
//! settlement) says so in its reason, and a `VenueStatus` follows it.

mod algo;

pub(super) use algo::TriggeredStops;

use super::batch::EventBatch;
use super::member::Fail;
use super::symbols::SymbolTable;
use crate::base::event::{Event, FundingPayment, OrderReport, VenueStatus, flags};
use crate::base::units::parse_fixed;
use crate::base::{ClientOrderId, InstrumentId, Kind, Nanos, Reason};
use serde::Deserialize;
use std::borrow::Cow;

/// What the private stream told, counted since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrivateStats {
    /// Frames handed in.
    pub frames: u64,
    /// Frames of kinds that change nothing here.
    pub ignored: u64,
    /// Reports on orders that are not ours.
    pub foreign_reports: u64,
    /// Fills whose fee was taken in an asset other than the quote currency; their fee counts as 0.
    pub fees_in_other_asset: u64,
    /// Funding told without a symbol; booked on the first instrument, since the sum must be right.
    pub funding_without_symbol: u64,
    /// Changes of a balance that neither trading nor funding made: transfers, adjustments.
    pub balance_changes: u64,
    /// Warnings that the margin runs out.
    pub margin_calls: u64,
    /// Changes of leverage or of the multi-assets mode.
    pub config_changes: u64,
    /// Updates on our stops.
    pub stops: u64,
    /// Fills by which the venue closed our position.
    pub closed_by_venue: u64,
    /// Fills told early and in few words; they are told again.
    pub early_fills: u64,
    /// Triggered orders that were refused, as told before the end of 2025; told again as updates.
    pub trigger_refusals: u64,
    /// Frames that could not be read: what they told is not known.
    pub unreadable: u64,
    /// Times the stream's key expired.
    pub keys_expired: u64,
}

/// The asset that profit, fees and funding are in.
const QUOTE: &str = "USDT";

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    e: Cow<'a, str>,
}

#[derive(Deserialize)]
struct OrderFrame<'a> {
    #[serde(borrow)]
    o: OrderUpdate<'a>,
}

/// Text that is borrowed from the frame, also inside of an option, where serde would copy it.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// Keys as the venue writes them.
#[derive(Deserialize)]
struct OrderUpdate<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow)]
    c: Cow<'a, str>,
    #[serde(rename = "S", borrow)]
    side: Cow<'a, str>,
    #[serde(borrow)]
    q: Cow<'a, str>,
    #[serde(borrow)]
    p: Cow<'a, str>,
    #[serde(borrow)]
    x: Cow<'a, str>,
    i: u64,
    #[serde(borrow)]
    l: Cow<'a, str>,
    #[serde(borrow)]
    z: Cow<'a, str>,
    #[serde(rename = "L", borrow)]
    last_px: Cow<'a, str>,
    #[serde(rename = "N", borrow, default)]
    fee_asset: Option<Text<'a>>,
    #[serde(borrow, default)]
    n: Option<Text<'a>>,
    #[serde(rename = "T")]
    ts: i64,
    #[serde(default)]
    t: i64,
    #[serde(default)]
    m: bool,
    #[serde(rename = "R", default)]
    reduce_only: bool,
    /// It closes the whole position.
    #[serde(rename = "cp", default)]
    closes: bool,
}

#[derive(Deserialize)]
struct AccountFrame<'a> {
    #[serde(rename = "T")]
    ts: i64,
    #[serde(borrow)]
    a: AccountUpdate<'a>,
}

#[derive(Deserialize)]
struct AccountUpdate<'a> {
    #[serde(borrow)]
    m: Cow<'a, str>,
    #[serde(rename = "B", borrow, default)]
    balances: Vec<Balance<'a>>,
    #[serde(rename = "P", borrow, default)]
    positions: Vec<PositionUpdate<'a>>,
    #[serde(rename = "S", default)]
    symbol: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Balance<'a> {
    #[serde(borrow)]
    a: Cow<'a, str>,
    bc: Cow<'a, str>,
}

#[derive(Deserialize)]
struct PositionUpdate<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ConfigFrame<'a> {
    #[serde(rename = "T", default)]
    ts: i64,
    #[serde(borrow, default)]
    ac: Option<LeverageUpdate<'a>>,
    #[serde(default)]
    ai: Option<AssetsUpdate>,
}

#[derive(Deserialize)]
struct LeverageUpdate<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    l: i64,
}

#[derive(Deserialize)]
struct AssetsUpdate {
    j: bool,
}

#[derive(Deserialize)]
struct CallFrame<'a> {
    #[serde(rename = "E", default)]
    ts: i64,
    #[serde(borrow, default)]
    p: Vec<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(borrow)]
    s: Cow<'a, str>,
    #[serde(borrow, default)]
    pa: Cow<'a, str>,
}

/// True for the name of an order by which the venue closes our position: `autoclose-` in a
/// liquidation, `adl_autoclose`, `settlement_autoclose-` and others for their cause.
fn is_venues_name(name: &str) -> bool {
    name.starts_with("autoclose") || name.contains("_autoclose")
}

/// Decodes one frame into the events it stands for.
pub(super) fn decode(
    frame: &[u8],
    symbols: &SymbolTable,
    triggered: &mut TriggeredStops,
    stats: &mut PrivateStats,
    out: &mut EventBatch,
) -> Result<(), Fail> {
    stats.frames += 1;
    let head: Head<'_> = read(frame)?;
    match head.e.as_ref() {
        "ORDER_TRADE_UPDATE" => {
            return order(&read::<OrderFrame<'_>>(frame)?.o, symbols, triggered, stats, out);
        }
        "ALGO_UPDATE" => return algo::update(&read(frame)?, symbols, triggered, stats, out),
        "ACCOUNT_UPDATE" => return account(&read(frame)?, symbols, stats, out),
        "ACCOUNT_CONFIG_UPDATE" => config(&read(frame)?, symbols, stats, out),
        "MARGIN_CALL" => return margin_call(&read(frame)?, symbols, stats, out),
        "listenKeyExpired" => stats.keys_expired += 1,
        kind => {
            stats.early_fills += u64::from(kind == "TRADE_LITE");
            stats.trigger_refusals += u64::from(kind == "CONDITIONAL_ORDER_TRIGGER_REJECT");
            stats.ignored += 1;
        }
    }
    Ok(())
}

/// A change of the account's settings.
fn config(
    frame: &ConfigFrame<'_>,
    symbols: &SymbolTable,
    stats: &mut PrivateStats,
    out: &mut EventBatch,
) {
    stats.config_changes += 1;
    let mut tell = |instrument, told| {
        let reason = Reason::AccountMode as u16;
        let body = VenueStatus { reason, told, ..VenueStatus::default() };
        out.push(at(frame.ts, Event::new(Kind::VenueStatus, instrument, &body)));
    };
    if let Some(leverage) = &frame.ac
        && let Some(instrument) = symbols.find(leverage.s.as_bytes())
    {
        tell(instrument, leverage.l);
    }
    if let Some(assets) = &frame.ai {
        tell(InstrumentId::NONE, i64::from(assets.j));
    }
}

/// Margin runs out: for each position of ours, or for the account where none of ours is named.
fn margin_call(
    frame: &CallFrame<'_>,
    symbols: &SymbolTable,
    stats: &mut PrivateStats,
    out: &mut EventBatch,
) -> Result<(), Fail> {
    stats.margin_calls += 1;
    let reason = Reason::MarginCall as u16;
    let before = out.len();
    for called in &frame.p {
        let Some(instrument) = symbols.find(called.s.as_bytes()) else { continue };
        let told = if called.pa.is_empty() { 0 } else { number(&called.pa, "pa")? };
        let body = VenueStatus { reason, told, ..VenueStatus::default() };
        if out.room() > 1 {
            out.push(at(frame.ts, Event::new(Kind::VenueStatus, instrument, &body)));
        }
    }
    if out.len() == before {
        let body = VenueStatus { reason, ..VenueStatus::default() };
        out.push(at(frame.ts, Event::new(Kind::VenueStatus, InstrumentId::NONE, &body)));
    }
    Ok(())
}

fn at(millis: i64, event: Event) -> Event {
    Event { ts_venue: Nanos::from_millis(millis).0, ..event }
}

fn read<'a, T: Deserialize<'a>>(frame: &'a [u8]) -> Result<T, Fail> {
    serde_json::from_slice(frame).map_err(|error| {
        let reason = if error.is_data() { Reason::FrameKeyMissing } else { Reason::FrameNotJson };
        Fail::new(reason, "")
    })
}

fn number(text: &str, key: &'static str) -> Result<i64, Fail> {
    parse_fixed(text.as_bytes()).map_err(|_| Fail::new(Reason::FrameNumber, key))
}

fn order(
    update: &OrderUpdate<'_>,
    symbols: &SymbolTable,
    triggered: &mut TriggeredStops,
    stats: &mut PrivateStats,
    out: &mut EventBatch,
) -> Result<(), Fail> {
    let instrument = symbols.find(update.s.as_bytes()).unwrap_or(InstrumentId::NONE);
    let by_venue = is_venues_name(&update.c);
    let ours = ClientOrderId::from_text(update.c.as_bytes())
        .or_else(|| triggered.find(instrument, update.i, update.closes && !by_venue));
    let last_qty = number(&update.l, "l")?;
    let filled = matches!(update.x.as_ref(), "TRADE" | "CALCULATED") && last_qty > 0;
    let kind = match update.x.as_ref() {
        "NEW" | "AMENDMENT" => Kind::OrderAccepted,
        "TRADE" | "CALCULATED" if filled => Kind::OrderFilled,
        "TRADE" => return Err(Fail::new(Reason::FrameValue, "l")),
        "CALCULATED" => Kind::OrderAccepted,
        "CANCELED" => Kind::OrderCancelled,
        "EXPIRED" => Kind::OrderExpired,
        "REJECTED" => Kind::OrderRejected,
        _ => {
            stats.ignored += 1;
            return Ok(());
        }
    };
    if ours.is_none() || instrument == InstrumentId::NONE {
        stats.foreign_reports += 1;
        if !filled {
            return Ok(());
        }
    }
    let mut report = OrderReport {
        client_id: ours.map_or(0, |id| id.0),
        venue_id: update.i,
        px: number(&update.p, "p")?,
        qty: number(&update.q, "q")?,
        cum_qty: number(&update.z, "z")?,
        reason: match kind {
            Kind::OrderRejected => Reason::VenueRejected as u16,
            Kind::OrderExpired => Reason::ImmediateRest as u16,
            Kind::OrderFilled if by_venue => Reason::ClosedByVenue as u16,
            _ => Reason::None as u16,
        },
        ..OrderReport::default()
    };
    if filled {
        report.last_qty = last_qty;
        report.last_px = number(&update.last_px, "L")?;
        report.trade_id = u64::try_from(update.t).unwrap_or(0);
        report.fee = fee(update, stats)?;
    }
    let mut event = Event::new(kind, instrument, &report);
    event.ts_venue = Nanos::from_millis(update.ts).0;
    event.flags |= if update.side == "SELL" { flags::SELL } else { 0 };
    event.flags |= if update.reduce_only { flags::REDUCE_ONLY } else { 0 };
    event.flags |= if filled && update.m { flags::MAKER } else { 0 };
    out.push(event);
    if filled && by_venue {
        stats.closed_by_venue += 1;
        let body = VenueStatus {
            reason: Reason::ClosedByVenue as u16,
            told: last_qty,
            ..VenueStatus::default()
        };
        let status = Event::new(Kind::VenueStatus, instrument, &body);
        out.push(at(update.ts, status.with_flags(event.flags & flags::SELL)));
    }
    Ok(())
}

/// The venue's own number, never one computed from a rate.
fn fee(update: &OrderUpdate<'_>, stats: &mut PrivateStats) -> Result<i64, Fail> {
    let Some(text) = &update.n else { return Ok(0) };
    let fee = number(&text.0, "n")?;
    if update.fee_asset.as_ref().is_none_or(|asset| asset.0 == QUOTE) {
        return Ok(fee);
    }
    stats.fees_in_other_asset += u64::from(fee != 0);
    Ok(0)
}

fn account(
    frame: &AccountFrame<'_>,
    symbols: &SymbolTable,
    stats: &mut PrivateStats,
    out: &mut EventBatch,
) -> Result<(), Fail> {
    let update = &frame.a;
    let Some(balance) = update.balances.iter().find(|balance| balance.a == QUOTE) else {
        stats.ignored += 1;
        return Ok(());
    };
    let change = number(&balance.bc, "bc")?;
    if update.m != "FUNDING_FEE" {
        // `bc` leaves profit and commission out: with an order it is zero.
        stats.balance_changes += u64::from(change != 0);
        stats.ignored += 1;
        return Ok(());
    }
    // A cross position's funding comes without the position, and lately with the symbol.
    let position = update.positions.first().map(|position| &position.s);
    let symbol = update.symbol.as_ref().or(position);
    let instrument = match symbol.and_then(|symbol| symbols.find(symbol.as_bytes())) {
        Some(instrument) => instrument,
        None => {
            stats.funding_without_symbol += 1;
            InstrumentId(0)
        }
    };
    let body = FundingPayment { amount: change, ..FundingPayment::default() };
    out.push(at(frame.ts, Event::new(Kind::FundingPayment, instrument, &body)));
    Ok(())
}
