//! What an earlier session left, taken in by the opening of the next one.
//!
//! ```text
//!   PositionCarried …  BookedCarried …  OrderCarried …  SessionCarried
//!        │                 │                 │              └─ starting equity, peak, day, losses
//!        │                 │                 └─ counts as live: open, of unknown outcome, settling
//!        │                 └─ trades that are in the books and that the venue will tell again
//!        └─ the books of one instrument, to the unit
//! ```

use super::{Ledger, LedgerChange, OpenOrder, Position, Stage};
use crate::base::event::{OrderCarried, PositionCarried, SessionCarried};
use crate::base::{
    ClientOrderId, Event, InstrumentId, Kind, Money, Nanos, Purpose, Px, Qty, Reason,
};

/// Numbers of the states in `OrderCarried` that are no open order any more, or one not known:
/// `execution::OrderState`, which a test holds these against.
const PENDING_NEW: u8 = 1;
const PENDING_CANCEL: u8 = 4;
const ENDED: std::ops::RangeInclusive<u8> = 5..=8;
const UNKNOWN: u8 = 9;

impl Ledger {
    /// The UTC day, counted from the epoch; it never goes back.
    pub fn day(&self) -> i64 {
        self.day
    }

    /// Takes in how far an earlier session saw the price go for the position it left.
    pub fn on_best(&mut self, instrument: InstrumentId, best_px: Px) {
        if let Some(position) = self.positions.get_mut(instrument.index()) {
            position.reach(best_px);
        }
    }

    /// Takes in a record of the opening; anything else changes nothing.
    pub(super) fn on_carried(&mut self, event: &Event) -> LedgerChange {
        match event.kind() {
            Some(Kind::PositionCarried) => self.carry_position(event),
            Some(Kind::BookedCarried) => {
                self.fills.carry(event);
                LedgerChange::Carried
            }
            Some(Kind::OrderCarried) => self.carry_order(event),
            Some(Kind::SessionCarried) => self.carry_session(event),
            _ => LedgerChange::None,
        }
    }

    fn carry_position(&mut self, event: &Event) -> LedgerChange {
        let body: &PositionCarried = event.body();
        let Some(position) = self.positions.get_mut(event.instrument().index()) else {
            return self.fail(Reason::UnknownInstrument);
        };
        let before = position.part();
        self.fills.carry(event);
        position.carry(body);
        let valued = position.revalue();
        let after = position.part();
        let is_of_its_side = !position.value_px.0.is_negative();
        self.shift(&before, &after);
        self.mark_exposed(event.instrument());
        if valued.is_none() {
            return self.fail(Reason::Overflow);
        }
        if !is_of_its_side {
            // A long position that was paid for with less than nothing, or a short one with more.
            return self.fail(Reason::InvariantBroken);
        }
        LedgerChange::Carried
    }

    fn carry_order(&mut self, event: &Event) -> LedgerChange {
        let body: &OrderCarried = event.body();
        if event.instrument().index() >= self.positions.len() {
            return self.fail(Reason::UnknownInstrument);
        }
        let order = OpenOrder {
            id: ClientOrderId(body.client_id),
            instrument: event.instrument(),
            side: event.side(),
            purpose: Purpose::from_u8(body.purpose).unwrap_or(Purpose::Entry),
            px: Px(body.px),
            qty: Qty(body.qty),
            filled: Qty(body.filled),
            reported: Qty(body.reported),
            stage: match body.state {
                PENDING_NEW | UNKNOWN => Stage::Unknown,
                state if ENDED.contains(&state) => Stage::Settling,
                _ => Stage::Working,
            },
            cancel_pending: body.state == PENDING_CANCEL,
            cancel_refused: false,
            sent_at: Nanos(body.ts_sent),
            atr_px: Px(body.atr_px),
            target_px: Px(body.target_px),
        };
        if !self.orders.insert(order) {
            return self.fail(Reason::OrderTableFull);
        }
        self.recount(event.instrument());
        LedgerChange::Carried
    }

    /// The chain's equity goes on; a day that is over leaves only what it ended with.
    fn carry_session(&mut self, event: &Event) -> LedgerChange {
        let body: &SessionCarried = event.body();
        if body.starting_equity > 0 {
            self.starting_equity = Money(body.starting_equity);
            self.weigh();
        }
        let equity = self.equity();
        self.peak_equity = Money(body.peak_equity).max(equity);
        self.losses_in_a_row = body.losses_in_a_row;
        let today = event.now().utc_day();
        // A clock that was set back does not open yesterday's loss budget again.
        let goes_on = body.epoch > 0 && body.day >= today;
        self.day = if goes_on { body.day } else { today };
        self.day_start_equity = if goes_on { Money(body.day_start_equity) } else { equity };
        LedgerChange::Carried
    }
}

impl Position {
    /// Result since the position was opened, before it is closed; zero while flat.
    pub fn round_trip(&self) -> Money {
        self.trip
    }

    /// Takes over another session's books. Until the market tells a price it is valued at what it
    /// cost.
    fn carry(&mut self, body: &PositionCarried) {
        self.qty = Qty(body.qty);
        self.cost = Money(body.cost);
        self.realised = Money(body.realised);
        self.fees = Money(body.fees);
        self.funding = Money(body.funding);
        self.opened_at = Nanos(body.ts_opened);
        self.trip = Money(body.round_trip);
        self.entry_atr = Px(body.atr_px);
        self.target_px = Px(body.target_px);
        self.best_px = Px(body.best_px);
        if self.value_px == Px::ZERO {
            self.value_px = self.average_px();
        }
    }
}
