//! Where we stand: positions, working and in-flight orders, profit, funding. Decides nothing.
//!
//! ```text
//!   equity = starting equity + realised + unrealised − fees + funding      always, to the unit
//! ```
//! One ledger, owned by the risk stage. Its only time is the receipt time of the event in hand; its
//! day is the UTC day of that time. Nothing allocates after [`Ledger::new`].

mod account;
mod carried;
mod exposed;
mod fills;
mod orders;
mod payments;
mod position;
mod reports;
mod resting;
mod stops;
mod streams;
#[cfg(test)]
mod tests;

pub use account::{Account, Margin};
pub use fills::FillMemory;
pub use orders::{OpenOrder, Stage};
pub use payments::{Payment, PaymentMemory};
pub use position::{Booked, Position};
use position::{Extent, Part};
pub use resting::Resting;

use crate::base::event::{self, BookState, BookTicker, MarkPrice, Order, Prediction, flags};
use crate::base::{
    ClientOrderId, Event, InstrumentId, Kind, Money, Nanos, Purpose, Px, Qty, Reason,
};
use orders::OpenOrders;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Ledger {
    positions: Vec<Position>,
    orders: OpenOrders,
    fills: FillMemory,
    payments: PaymentMemory,
    starting_equity: Money,
    /// Of the sums below and the one above, as [`Ledger::equity`] says.
    equity: Money,
    /// Sums of the positions' fields of the same name.
    realised: Money,
    unrealised: Money,
    fees: Money,
    funding: Money,
    gross_exposure: Money,
    net_exposure: [Money; 2],
    /// Instruments with a position or a live order, and a bit for each of them.
    exposed: u32,
    exposed_bits: Vec<u64>,
    unknown_orders: u32,
    /// Live protective stops, of all instruments.
    stops: usize,
    peak_equity: Money,
    day: i64,
    day_start_equity: Money,
    losses_in_a_row: u32,
    fault: Option<Reason>,
    /// What the venue last told of the account, and of each position's margin.
    account: Option<Account>,
    margins: Vec<Option<Margin>>,
}

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerChange {
    /// Nothing, or only the market's prices.
    None,
    /// A live order's stage.
    Order,
    /// A fill was booked.
    Fill(Booked),
    /// Funding was booked.
    Funding(Money),
    /// Something that an earlier session left was taken over.
    Carried,
    /// The fill or the payment was booked before; nothing changed.
    Duplicate,
    /// Booked as far as it could be, but something is wrong: trading must halt.
    Fault(Reason),
}

impl Ledger {
    /// Flat, with room for `instrument_count` instruments. The only allocations.
    pub fn new(instrument_count: usize, starting_equity: Money) -> Self {
        Self {
            positions: vec![Position::default(); instrument_count],
            orders: OpenOrders::new(),
            fills: FillMemory::new(),
            payments: PaymentMemory::new(),
            starting_equity,
            equity: starting_equity,
            realised: Money::ZERO,
            unrealised: Money::ZERO,
            fees: Money::ZERO,
            funding: Money::ZERO,
            gross_exposure: Money::ZERO,
            net_exposure: [Money::ZERO; 2],
            exposed: 0,
            exposed_bits: vec![0; instrument_count.div_ceil(64)],
            unknown_orders: 0,
            stops: 0,
            peak_equity: starting_equity,
            day: i64::MIN,
            day_start_equity: starting_equity,
            losses_in_a_row: 0,
            fault: None,
            account: None,
            margins: vec![None; instrument_count],
        }
    }

    /// Takes in any event of the river: market prices, our reports, our orders. The one entrance;
    /// the other methods are its parts.
    pub fn on_event(&mut self, event: &Event) -> LedgerChange {
        self.on_time(event.now());
        match event.kind() {
            Some(Kind::BookTicker) => {
                let body: &BookTicker = event.body();
                self.on_touch(event.instrument(), Px(body.bid_px), Px(body.ask_px), event.now());
                if let Some(position) = self.positions.get_mut(event.instrument().index()) {
                    position.told_at = Nanos(event.ts_venue);
                }
            }
            Some(Kind::Prediction) => {
                let body: &Prediction = event.body();
                // A decision on a trade does not make an old quote new.
                let at = if body.ts_quote > 0 { Nanos(body.ts_quote) } else { event.now() };
                let (bid, ask) = (Px(body.bid_px), Px(body.ask_px));
                self.on_touch(event.instrument(), bid, ask, at.min(event.now()));
            }
            Some(Kind::BookState) => {
                let body: &BookState = event.body();
                let on = event.has(flags::ON);
                let (bid, ask) = if on { (body.bid_px, body.ask_px) } else { (0, 0) };
                self.on_touch(event.instrument(), Px(bid), Px(ask), event.now());
            }
            Some(Kind::StreamStatus) if !event.has(flags::ON) => {
                self.on_stream_lost(event);
            }
            Some(Kind::SymbolChange) => self.on_symbol_change(event),
            Some(Kind::MarkPrice) => {
                let body: &MarkPrice = event.body();
                self.on_mark(event.instrument(), Px(body.mark_px), event.now());
            }
            Some(Kind::AccountStatus | Kind::MarginStatus) => self.on_account(event),
            Some(Kind::Timer) if self.orders.cancel_anew() => return LedgerChange::Order,
            _ => return self.on_report(event),
        }
        LedgerChange::None
    }

    /// Starts a new UTC day when `now` is in one. Time never goes back.
    pub fn on_time(&mut self, now: Nanos) {
        let day = now.utc_day();
        if day > self.day {
            self.day = day;
            self.day_start_equity = self.equity();
        }
    }

    /// The venue's mark price. Zero or below is no price and changes nothing.
    pub fn on_mark(&mut self, instrument: InstrumentId, mark_px: Px, now: Nanos) {
        let Some(position) = self.positions.get_mut(instrument.index()) else { return };
        if mark_px.is_positive() {
            position.mark_px = mark_px;
            position.marked_at = now;
            self.revalue(instrument);
        }
    }

    /// Best bid and ask; zeros withdraw the touch.
    pub fn on_touch(&mut self, instrument: InstrumentId, bid: Px, ask: Px, now: Nanos) {
        let Some(position) = self.positions.get_mut(instrument.index()) else { return };
        position.bid = bid;
        position.ask = ask;
        position.reach_touch();
        // When the venue told the touch before says nothing of another one.
        if now != position.touched_at {
            position.told_at = Nanos::ZERO;
        }
        position.touched_at = now;
        // With a mark price the touch values nothing.
        if !position.mark_px.is_positive() {
            self.revalue(instrument);
        }
    }

    /// Counts an approved order (`OrderApproved`) from this moment as in flight, or an approved
    /// cancel (`CancelApproved`) as on its way.
    ///
    /// # Errors
    /// The order is not counted, and must not be sent, when the table is full, the id is known, or
    /// the instrument is not.
    #[inline(always)]
    pub fn on_order_sent(&mut self, event: &Event) -> Result<(), Reason> {
        let body: &Order = event.body();
        if event.kind == Kind::CancelApproved as u8 {
            if let Some(order) = self.order_mut(body.id()) {
                order.cancel_pending = true;
            }
            return Ok(());
        }
        if event.instrument().index() >= self.positions.len() {
            return Err(Reason::UnknownInstrument);
        }
        let order = OpenOrder {
            id: body.id(),
            instrument: event.instrument(),
            side: event.side(),
            purpose: Purpose::from_u8(body.purpose).unwrap_or(Purpose::Entry),
            px: Px(body.px),
            qty: Qty(body.qty),
            filled: Qty::ZERO,
            reported: Qty::ZERO,
            stage: Stage::InFlight,
            cancel_pending: false,
            cancel_refused: false,
            sent_at: event.now(),
            atr_px: Px(body.atr_px),
            target_px: Px(body.target_px),
        };
        if !self.orders.insert(order) {
            return Err(Reason::OrderTableFull);
        }
        self.count_newest();
        Ok(())
    }

    /// A door for tests that damage the books.
    #[cfg(test)]
    pub(crate) fn position_mut(&mut self, instrument: InstrumentId) -> &mut Position {
        &mut self.positions[instrument.index()]
    }

    /// The same for a live order.
    #[cfg(test)]
    pub(crate) fn open_order_mut(&mut self, place: usize) -> &mut OpenOrder {
        self.orders.at_mut(place).expect("a live order")
    }

    /// The position; `None` for an instrument outside the session's table.
    pub fn position(&self, instrument: InstrumentId) -> Option<&Position> {
        self.positions.get(instrument.index())
    }

    /// Every position, in table order.
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// All live orders, in no order.
    pub fn orders(&self) -> &[OpenOrder] {
        self.orders.as_slice()
    }

    /// A live order by id.
    pub fn order(&self, id: ClientOrderId) -> Option<&OpenOrder> {
        self.orders.find(id).and_then(|index| self.orders.as_slice().get(index))
    }

    /// A live entry order of the instrument.
    pub fn live_entry(&self, instrument: InstrumentId) -> Option<&OpenOrder> {
        self.live(instrument, true)
    }

    /// A live order of the instrument that leaves the position; a protective stop is none.
    pub fn live_exit(&self, instrument: InstrumentId) -> Option<&OpenOrder> {
        self.live(instrument, false)
    }

    /// The next live entry order that no cancel is under way for: what a halt has to cancel.
    pub fn entry_to_cancel(&self) -> Option<&OpenOrder> {
        let mut orders = self.orders.as_slice().iter();
        orders.find(|order| order.purpose.is_entry() && order.is_cancellable())
    }

    /// Starting equity + realised + unrealised − fees + funding.
    pub const fn equity(&self) -> Money {
        self.equity
    }

    /// Adds the equity up anew: after each change of what it is made of.
    fn weigh(&mut self) {
        let sum = i128::from(self.starting_equity.0)
            + i128::from(self.realised.0)
            + i128::from(self.unrealised.0)
            - i128::from(self.fees.0)
            + i128::from(self.funding.0);
        self.equity = Money(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
    }

    /// Equity at session start.
    pub fn starting_equity(&self) -> Money {
        self.starting_equity
    }

    /// Highest equity seen.
    pub fn peak_equity(&self) -> Money {
        self.peak_equity
    }

    /// Equity at the start of the UTC day.
    pub fn day_start_equity(&self) -> Money {
        self.day_start_equity
    }

    /// Loss since the start of the UTC day; zero when there is none.
    pub fn day_loss(&self) -> Money {
        Money(self.day_start_equity.0.saturating_sub(self.equity().0).max(0))
    }

    /// Round trips in a row that ended with a loss after fees and funding.
    pub fn losses_in_a_row(&self) -> u32 {
        self.losses_in_a_row
    }

    /// Which fills were booked.
    pub fn fills(&self) -> &FillMemory {
        &self.fills
    }

    /// Starts the count of losses in a row anew: an operator has seen them.
    pub fn forget_losses(&mut self) {
        self.losses_in_a_row = 0;
    }

    /// Σ worst-case value over all instruments.
    pub fn gross_exposure(&self) -> Money {
        self.gross_exposure
    }

    /// Σ signed value over all instruments: if every live buy fills and no sell does, and the other
    /// way round.
    pub fn net_exposure(&self) -> [Money; 2] {
        self.net_exposure
    }

    /// Instruments with a position, or an order that may make one.
    pub fn exposed(&self) -> u32 {
        self.exposed
    }

    /// Orders of unknown outcome.
    pub fn unknown_orders(&self) -> u32 {
        self.unknown_orders
    }

    /// What went wrong first; set once, never cleared.
    pub fn fault(&self) -> Option<Reason> {
        self.fault
    }

    /// The `Position` record of an instrument after `cause`.
    pub fn position_event(&self, cause: &Event, instrument: InstrumentId) -> Option<Event> {
        let position = self.position(instrument)?;
        let body = event::Position {
            qty: position.qty.0,
            avg_px: position.average_px().0,
            realised: position.realised.0,
            fees: position.fees.0,
            funding: position.funding.0,
            unrealised: position.unrealised.0,
            mark_px: position.value_px.0,
            equity: self.equity().0,
            atr_px: position.entry_atr.0,
            target_px: position.target_px.0,
            best_px: position.best_px.0,
            reserved: [0; 1],
        };
        Some(Event::caused_by(cause, Kind::Position, instrument, &body))
    }

    fn live(&self, instrument: InstrumentId, entry: bool) -> Option<&OpenOrder> {
        // Most instruments have no order most of the time: the count spares the search.
        if self.position(instrument)?.open_orders == 0 {
            return None;
        }
        let mut orders = self.orders.as_slice().iter();
        orders
            .find(|o| o.instrument == instrument && !o.protects() && o.purpose.is_entry() == entry)
    }

    fn order_mut(&mut self, id: ClientOrderId) -> Option<&mut OpenOrder> {
        let index = self.orders.find(id)?;
        self.orders.at_mut(index)
    }

    fn fail(&mut self, reason: Reason) -> LedgerChange {
        self.fault.get_or_insert(reason);
        LedgerChange::Fault(reason)
    }

    /// Adds the order that was added last to its instrument's sums: the usual case, without a look
    /// at all the others. It moves no money, and what a stop closes is there already. It is read
    /// where it stands in the table, and copied nowhere.
    #[inline(always)]
    fn count_newest(&mut self) {
        let Some(order) = self.orders.newest() else { return };
        let instrument = order.instrument;
        let Some(position) = self.positions.get_mut(instrument.index()) else { return };
        let side = order.side as usize;
        let before = (position.exposure, position.net[side], position.is_exposed());
        position.count(order);
        if order.protects() {
            self.stops += 1;
            return;
        }
        let valued = position.expose([order.side]);
        let (exposure, net) = (position.exposure, position.net[side]);
        let moved = carry(&mut self.gross_exposure, before.0, exposure)
            & carry(&mut self.net_exposure[side], before.1, net);
        if !before.2 {
            self.exposed += 1;
            self.mark_exposed(instrument);
        }
        if valued.is_none() || !moved {
            self.fail(Reason::Overflow);
        }
    }

    /// Sums an instrument's live orders anew, and its exposure.
    fn recount(&mut self, instrument: InstrumentId) {
        let Some(position) = self.positions.get_mut(instrument.index()) else { return };
        self.unknown_orders -= u32::from(position.unknown_orders);
        self.exposed -= u32::from(position.is_exposed());
        self.stops -= usize::from(position.stops);
        (position.buy_leaves, position.sell_leaves) = (Qty::ZERO, Qty::ZERO);
        (position.open_orders, position.unknown_orders, position.stops) = (0, 0, 0);
        position.resting = Resting::default();
        for order in self.orders.as_slice().iter().filter(|o| o.instrument == instrument) {
            position.count(order);
        }
        self.stops += usize::from(position.stops);
        self.unknown_orders += u32::from(position.unknown_orders);
        self.exposed += u32::from(position.is_exposed());
        self.revalue(instrument);
    }

    fn revalue(&mut self, instrument: InstrumentId) {
        let position = &mut self.positions[instrument.index()];
        let before = position.part();
        let valued = position.revalue();
        let after = position.part();
        if valued.is_none() {
            self.fail(Reason::Overflow);
        }
        self.shift(&before, &after);
        self.mark_exposed(instrument);
    }

    /// Carries a position's change into the sums.
    fn shift(&mut self, before: &Part, after: &Part) {
        let mut moved = self.carry_extent(&before.extent, &after.extent);
        let (old, new) = (&before.result, &after.result);
        if old != new {
            moved &= carry(&mut self.realised, old.realised, new.realised);
            moved &= carry(&mut self.unrealised, old.unrealised, new.unrealised);
            moved &= carry(&mut self.fees, old.fees, new.fees);
            moved &= carry(&mut self.funding, old.funding, new.funding);
            self.weigh();
        }
        if !moved {
            self.fail(Reason::Overflow);
        }
        self.peak_equity = self.peak_equity.max(self.equity);
    }

    /// The same of what a position may come to; false beyond the range.
    fn carry_extent(&mut self, before: &Extent, after: &Extent) -> bool {
        let mut moved = carry(&mut self.gross_exposure, before.exposure, after.exposure);
        for (sum, (before, after)) in
            self.net_exposure.iter_mut().zip(before.net.into_iter().zip(after.net))
        {
            moved &= carry(sum, before, after);
        }
        self.exposed += u32::from(after.exposed);
        self.exposed -= u32::from(before.exposed);
        moved
    }
}

/// Carries the change of a part into its sum; false beyond the range, which leaves the sum.
fn carry(sum: &mut Money, before: Money, after: Money) -> bool {
    let step = after.0.checked_sub(before.0);
    let next = step.and_then(|step| sum.0.checked_add(step));
    if let Some(next) = next {
        *sum = Money(next);
    }
    next.is_some()
}
