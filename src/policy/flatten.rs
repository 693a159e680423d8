//! Leaving a position whatever the prediction says: an operator or a breaker wants us flat.
//!
//! ```text
//!  reduce-only IOC at the edge of the collar, a slice at a time ──► filled, or expired: again
//!                                 │ too long
//!                                 ▼
//!  reduce-only MARKET, the whole of what is left, or as much as one order may carry: again
//! ```

use super::{Plan, Policy, Wanted};
use crate::base::settings::{InstrumentSettings, KillSettings};
use crate::base::units::SCALE;
use crate::base::{InstrumentId, Nanos, OrderType, Purpose, Px, Qty, Side, TimeInForce};
use crate::ledger::{Ledger, Position, Stage};
use crate::policy::Intent;

impl Policy {
    /// The next order that leaves the position, `since` after it was first wanted; nothing while
    /// one is live whose outcome is known. Reduce-only cannot overshoot, and staying exposed is
    /// worse than a refusal.
    pub fn flatten(
        &self,
        instrument: InstrumentId,
        ledger: &Ledger,
        kill: &KillSettings,
        since: Nanos,
    ) -> Intent {
        let (Some(position), Some(facts)) =
            (ledger.position(instrument), self.instruments.get(instrument.index()))
        else {
            return Intent::None;
        };
        if position.qty == Qty::ZERO || is_leaving(instrument, position, ledger) {
            return Intent::None;
        }
        let market_after = Nanos::from_millis(i64::from(kill.market_after_ms));
        let at_any_price = kill.market_after_ms > 0 && since >= market_after;
        let wanted = if at_any_price {
            self.at_any_price(instrument, position, facts)
        } else {
            self.within_collar(instrument, position, facts, kill)
        };
        wanted.map_or(Intent::None, Intent::Exit)
    }

    /// The order that leaves half of the position, within the collar; nothing while an exit is live
    /// whose outcome is known.
    pub fn halve(&self, instrument: InstrumentId, ledger: &Ledger, kill: &KillSettings) -> Intent {
        let (Some(position), Some(facts)) =
            (ledger.position(instrument), self.instruments.get(instrument.index()))
        else {
            return Intent::None;
        };
        let (side, touch) = closing(position);
        let qty = Qty(position.qty.0.saturating_abs() / 2).ceil_to(facts.lot_size);
        let qty = qty.min(whole(position, facts));
        let px = super::through_by(facts, side, touch, i64::from(kill.collar_bps));
        match px {
            Some(px)
                if position.has_touch()
                    && qty.is_positive()
                    && !is_leaving(instrument, position, ledger) =>
            {
                let limit = (OrderType::Limit, px, touch);
                let wanted = self.leave(instrument, side, qty, limit);
                Intent::Exit(Wanted { purpose: Purpose::ExitStop, ..wanted })
            }
            _ => Intent::None,
        }
    }

    fn within_collar(
        &self,
        instrument: InstrumentId,
        position: &Position,
        facts: &InstrumentSettings,
        kill: &KillSettings,
    ) -> Option<Wanted> {
        if !position.has_touch() {
            return None;
        }
        let (side, touch) = closing(position);
        let px = super::through_by(facts, side, touch, i64::from(kill.collar_bps))?;
        let slice = i128::from(kill.slice_notional.0) * i128::from(SCALE);
        let slice = Qty(i64::try_from(slice / i128::from(touch.0)).unwrap_or(i64::MAX));
        // A slice below one lot would never leave.
        let slice = slice.max(facts.min_qty).max(facts.lot_size);
        let qty = whole(position, facts).min(slice).floor_to(facts.lot_size);
        let limit = (OrderType::Limit, px, touch);
        qty.is_positive().then(|| self.leave(instrument, side, qty, limit))
    }

    fn at_any_price(
        &self,
        instrument: InstrumentId,
        position: &Position,
        facts: &InstrumentSettings,
    ) -> Option<Wanted> {
        let (side, touch) = closing(position);
        let qty = whole(position, facts);
        let market = (OrderType::Market, Px::ZERO, touch);
        qty.is_positive().then(|| self.leave(instrument, side, qty, market))
    }

    /// A reduce-only order that leaves `qty` of the position at once, for a flattening.
    pub(super) fn leave(
        &self,
        instrument: InstrumentId,
        side: Side,
        qty: Qty,
        (order_type, px, reference_px): (OrderType, Px, Px),
    ) -> Wanted {
        Wanted {
            instrument,
            side,
            qty,
            px,
            order_type,
            time_in_force: TimeInForce::Ioc,
            purpose: Purpose::Flatten,
            reference_px,
            model_tag: self.memory[instrument.index()].model_tag,
            plan: Plan::default(),
        }
    }
}

/// An exit is live whose outcome is known; a protective stop is none.
pub(super) fn is_leaving(instrument: InstrumentId, position: &Position, ledger: &Ledger) -> bool {
    position.open_orders > 0
        && ledger.orders().iter().any(|order| {
            let exits = order.instrument == instrument && !order.purpose.is_entry();
            exits && !order.protects() && order.stage != Stage::Unknown
        })
}

/// Side of the order that closes a position, and the touch it takes from.
pub(super) const fn closing(position: &Position) -> (Side, Px) {
    if position.qty.0 > 0 { (Side::Sell, position.bid) } else { (Side::Buy, position.ask) }
}

/// The position's quantity, or as much of it as one order may carry.
pub(super) fn whole(position: &Position, facts: &InstrumentSettings) -> Qty {
    Qty(position.qty.0.saturating_abs()).min(facts.max_qty).floor_to(facts.lot_size)
}
