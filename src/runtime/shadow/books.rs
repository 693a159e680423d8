//! What a model's books have come to since the decision before, by instrument.

use super::seat::units;
use crate::base::event::{Event, Kind, Order, OrderReport, flags};
use crate::base::settings::SizingSettings;
use crate::ledger::Position;
use crate::promotion::record::VirtualFill;
use std::collections::BTreeMap;

/// Orders whose decision is remembered, to know the price they were meant for.
const ORDERS_MAX: usize = 4_096;

/// Since the decision before.
#[derive(Clone, Debug, Default)]
pub struct Since {
    /// The fills, as one.
    pub fill: Option<VirtualFill>,
    /// Net profit of the trades that ended.
    pub closed: Option<f64>,
    /// Contracts held then.
    pub before: f64,
}

#[derive(Clone, Debug, Default)]
struct Instrument {
    since: Since,
    qty: i64,
    /// Net profit when a trade last ended.
    ended: i64,
    /// Funding received when a fill was last told.
    funding: i64,
}

/// See the head of this file.
pub struct Books {
    instruments: Vec<Instrument>,
    /// What was decided, by order: the price at the touch and the average true range.
    meant: BTreeMap<u64, (i64, i64)>,
    sizing: SizingSettings,
}

impl Books {
    pub(super) fn new(instruments: usize, sizing: SizingSettings) -> Self {
        let instruments = vec![Instrument::default(); instruments];
        Self { instruments, meant: BTreeMap::new(), sizing }
    }

    /// Takes in what risk recorded.
    pub(super) fn on_wish(&mut self, event: &Event) {
        if event.kind() != Some(Kind::OrderApproved) {
            return;
        }
        let order: &Order = event.body();
        self.meant.insert(order.client_id, (order.reference_px, order.atr_px));
        if self.meant.len() > ORDERS_MAX {
            self.meant.pop_first();
        }
    }

    /// Takes in a fill.
    pub(super) fn on_fill(&mut self, event: &Event) {
        let report: &OrderReport = event.body();
        let meant = self.meant.get(&report.client_id).copied();
        let Some(instrument) = self.instruments.get_mut(event.instrument().index()) else { return };
        let side = if event.has(flags::SELL) { -1 } else { 1 };
        let (qty, px) = (units(report.last_qty), units(report.last_px));
        let touch = meant.map_or(px, |(touch, _)| units(touch));
        let range = meant.map_or(0.0, |(_, atr)| units(atr) / px);
        let expected = expected_bps(&self.sizing, range, qty * px) / 1e4 * qty * px;
        let one = VirtualFill {
            side,
            qty,
            px,
            fees: units(report.fee),
            slippage: f64::from(side) * (px - touch) * qty,
            slippage_model: expected,
            funding: 0.0,
        };
        instrument.since.fill = Some(match instrument.since.fill {
            None => one,
            Some(before) => joined(&before, &one),
        });
    }

    /// Looks at the positions after an event.
    pub(super) fn look(&mut self, positions: &[Position]) {
        for (known, position) in self.instruments.iter_mut().zip(positions) {
            let (was, is) = (known.qty, position.qty.0);
            known.qty = is;
            if was == 0 || was.signum() == is.signum() {
                continue;
            }
            let net = position.realised.0 - position.fees.0 + position.funding.0;
            let closed = units(net - std::mem::replace(&mut known.ended, net));
            known.since.closed = Some(known.since.closed.unwrap_or(0.0) + closed);
        }
    }

    /// What came since the decision before; the next begins here.
    pub(super) fn take(&mut self, instrument: usize, position: &Position) -> Since {
        let Some(known) = self.instruments.get_mut(instrument) else { return Since::default() };
        let next = Since { before: units(position.qty.0), ..Since::default() };
        let mut since = std::mem::replace(&mut known.since, next);
        if let Some(fill) = &mut since.fill {
            let before = std::mem::replace(&mut known.funding, position.funding.0);
            fill.funding = units(before - position.funding.0);
        }
        since
    }
}

/// Slippage against the touch that the cost model expects of an order that takes, basis points.
fn expected_bps(sizing: &SizingSettings, range: f64, value: f64) -> f64 {
    let reference = sizing.volatility_reference_bps / 1e4;
    let factor = match reference > 0.0 {
        true => (range / reference).clamp(1.0, sizing.slippage_volatility_max.max(1.0)),
        false => 1.0,
    };
    // The impact is that of every 1 000 of quote currency.
    sizing.slippage_bps * factor + sizing.impact_bps * value / 1e3
}

/// Two fills as one: the side of the later.
fn joined(one: &VirtualFill, other: &VirtualFill) -> VirtualFill {
    let qty = one.qty + other.qty;
    VirtualFill {
        side: other.side,
        qty,
        px: (one.qty * one.px + other.qty * other.px) / qty,
        fees: one.fees + other.fees,
        slippage: one.slippage + other.slippage,
        slippage_model: one.slippage_model + other.slippage_model,
        funding: one.funding + other.funding,
    }
}
