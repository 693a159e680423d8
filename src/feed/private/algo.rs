//! Conditional orders of the account: our protective stops, from acceptance to the order they
//! become.
//!
//! ```text
//!  NEW         OrderAccepted
//!  TRIGGERING  VenueStatus, stop triggered        ┐ remembered: which order is it now
//!  TRIGGERED   OrderAccepted, stop triggered      ┘
//!  FINISHED    OrderAccepted with what was filled as its quantity; with nothing, OrderExpired
//!  CANCELED    OrderCancelled
//!  EXPIRED     OrderExpired
//!  REJECTED    OrderRejected
//! ```
//! The order that a stop becomes keeps our name where that is free. Where it has another one, it is
//! known by its number, or, before that is told, by closing a position whose stop is triggering.

use super::super::member::Fail;
use super::{PrivateStats, number};
use crate::base::event::{Event, OrderReport, VenueStatus, flags};
use crate::base::{ClientOrderId, InstrumentId, Kind, Nanos, Reason};
use crate::feed::batch::EventBatch;
use crate::feed::symbols::SymbolTable;
use serde::Deserialize;
use std::borrow::Cow;

/// Triggered stops remembered: more than trigger within the minutes in which fills may come.
const REMEMBERED: usize = 64;
/// The venue's words for a stop that had nothing left to close.
const NOTHING_TO_CLOSE: &str = "Reduce Only reject";
/// How the venue may word a price that has passed.
const TRIGGERS_AT_ONCE: &str = "immediately trigger";

#[derive(Deserialize)]
pub(super) struct AlgoFrame<'a> {
    #[serde(rename = "T")]
    ts: i64,
    #[serde(borrow)]
    o: AlgoUpdate<'a>,
}

/// Keys as the venue writes them. While a stop triggers, nothing is told of what it becomes.
#[derive(Deserialize)]
struct AlgoUpdate<'a> {
    #[serde(borrow)]
    caid: Cow<'a, str>,
    #[serde(default)]
    aid: u64,
    #[serde(borrow, default)]
    s: Cow<'a, str>,
    #[serde(rename = "S", borrow, default)]
    side: Cow<'a, str>,
    #[serde(rename = "X", borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    ai: Cow<'a, str>,
    #[serde(borrow, default)]
    aq: Cow<'a, str>,
    #[serde(borrow, default)]
    tp: Cow<'a, str>,
    #[serde(borrow, default)]
    rm: Cow<'a, str>,
}

/// A stop of ours that triggered.
#[derive(Clone, Copy, Debug)]
struct Triggered {
    client_id: ClientOrderId,
    instrument: InstrumentId,
    /// Number of the order it became; 0 until told.
    order: u64,
}

/// The newest of our stops that triggered, bounded: the oldest gives way.
#[derive(Clone, Debug)]
pub(in crate::feed) struct TriggeredStops {
    list: [Option<Triggered>; REMEMBERED],
    next: usize,
}

impl TriggeredStops {
    pub(in crate::feed) const fn new() -> Self {
        Self { list: [None; REMEMBERED], next: 0 }
    }

    fn note(&mut self, client_id: ClientOrderId, instrument: InstrumentId, order: u64) {
        let known = self.list.iter_mut().flatten().find(|stop| stop.client_id == client_id);
        if let Some(stop) = known {
            stop.order = if order == 0 { stop.order } else { order };
            return;
        }
        self.list[self.next] = Some(Triggered { client_id, instrument, order });
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Our name of the stop that became the order with this number. `closes` says that the order
    /// closes the whole position: then it may be one whose number is still to be told.
    pub(super) fn find(
        &mut self,
        instrument: InstrumentId,
        order: u64,
        closes: bool,
    ) -> Option<ClientOrderId> {
        let stops = || self.list.iter().flatten();
        let told = stops().find(|stop| stop.order == order && order != 0);
        let waits = |stop: &&Triggered| closes && stop.order == 0 && stop.instrument == instrument;
        let found = told.or_else(|| stops().find(waits))?.client_id;
        self.note(found, instrument, order);
        Some(found)
    }
}

/// Takes one ALGO_UPDATE.
pub(super) fn update(
    frame: &AlgoFrame<'_>,
    symbols: &SymbolTable,
    triggered: &mut TriggeredStops,
    stats: &mut PrivateStats,
    out: &mut EventBatch,
) -> Result<(), Fail> {
    let update = &frame.o;
    let ours = ClientOrderId::from_text(update.caid.as_bytes());
    let instrument = symbols.find(update.s.as_bytes());
    let (Some(id), Some(instrument)) = (ours, instrument) else {
        stats.foreign_reports += 1;
        return Ok(());
    };
    stats.stops += 1;
    let px = number(if update.tp.is_empty() { "0" } else { &update.tp }, "tp")?;
    let filled = number(if update.aq.is_empty() { "0" } else { &update.aq }, "aq")?;
    let order: u64 = update.ai.parse().unwrap_or(0);
    let base = OrderReport { client_id: id.0, venue_id: update.aid, px, ..OrderReport::default() };
    let became = Reason::StopTriggered as u16;
    let (kind, report) = match update.status.as_ref() {
        "NEW" => (Kind::OrderAccepted, base),
        "TRIGGERING" => {
            triggered.note(id, instrument, order);
            let body =
                VenueStatus { reason: became, client_id: id.0, told: px, ..VenueStatus::default() };
            let ts_venue = Nanos::from_millis(frame.ts).0;
            out.push(Event { ts_venue, ..Event::new(Kind::VenueStatus, instrument, &body) });
            return Ok(());
        }
        "TRIGGERED" => {
            triggered.note(id, instrument, order);
            (Kind::OrderAccepted, OrderReport { venue_id: order, reason: became, ..base })
        }
        "FINISHED" if filled > 0 => {
            triggered.note(id, instrument, order);
            let whole = OrderReport { venue_id: order, qty: filled, cum_qty: filled, ..base };
            (Kind::OrderAccepted, OrderReport { reason: became, ..whole })
        }
        "FINISHED" => (Kind::OrderExpired, OrderReport { reason: became, ..base }),
        "CANCELED" => (Kind::OrderCancelled, OrderReport { reason: word(&update.rm), ..base }),
        "EXPIRED" => (Kind::OrderExpired, OrderReport { reason: word(&update.rm), ..base }),
        "REJECTED" => {
            let said = word(&update.rm);
            let reason = if said == 0 { Reason::VenueRejected as u16 } else { said };
            (Kind::OrderRejected, OrderReport { reason, ..base })
        }
        _ => {
            stats.ignored += 1;
            return Ok(());
        }
    };
    let sell = if update.side == "SELL" { flags::SELL } else { 0 };
    let event = Event::new(kind, instrument, &report).with_flags(sell | flags::REDUCE_ONLY);
    out.push(Event { ts_venue: Nanos::from_millis(frame.ts).0, ..event });
    Ok(())
}

/// What the venue says of an end, as a reason; 0 for words that are not known.
fn word(text: &str) -> u16 {
    let reason = if text == NOTHING_TO_CLOSE {
        Reason::ReduceOnlyRefused
    } else if text.contains(TRIGGERS_AT_ONCE) {
        Reason::WouldTrigger
    } else if text.starts_with("Margin is insufficient") {
        Reason::MarginShort
    } else {
        Reason::None
    };
    reason as u16
}
