//! A journal's inputs booked anew, by the ledger that booked them first.

use super::Carried;
use super::find::{Found, GO_ON};
use crate::base::event::{
    ACTOR_UNATTENDED, BookedCarried, Command, Event, Kind, Order, OrderCarried, OrderReport,
    Position, PositionCarried, Reconciled, SessionCarried, SizeChange, StateChange, SymbolChange,
    VenuePosition, VenueStatus, flags,
};
use crate::base::ids::{ClientOrderId, InstrumentId};
use crate::base::units::{Money, Px, Qty};
use crate::base::{Nanos, OrderType, Purpose, Reason};
use crate::execution::OrderState;
use crate::journal::format::Ending;
use crate::journal::{LaneEnd, LaneReader};
use crate::ledger::{Ledger, OpenOrder, Payment, Stage};
use crate::risk::{TradingState, Verb, arms_by_name};
use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::Path;

/// Reads the journal to its end.
///
/// # Errors
/// When a record is damaged: lane, file and record are named.
pub fn read(found: &Found) -> Result<Carried> {
    read_all(found).with_context(|| format!("{}: {GO_ON}", found.dir.display()))
}

fn read_all(found: &Found) -> Result<Carried> {
    let mut books = Books::new(found);
    let mut newest = vec![None; books.looked.len()];
    let told = |event: &Event| match event.kind() {
        Some(Kind::Position) => {
            if let Some(place) = newest.get_mut(event.instrument().index()) {
                *place = Some(*event);
            }
            false
        }
        kind => matches!(kind, Some(Kind::StateChange | Kind::SizeChange)),
    };
    let (changes, changes_lossy) = records(&found.dir, 2, told)?;
    let intent =
        |event: &Event| matches!(event.kind(), Some(Kind::OrderIntent | Kind::CancelIntent));
    let (intents, intents_lossy) = records(&found.dir, 3, intent)?;
    let (mut changes, mut intents) = (changes.into_iter(), intents.into_iter());
    let (mut change, mut intent) = (changes.next(), intents.next());
    let mut inputs = LaneReader::open(&found.dir, 0)?;
    let mut seq = 0;
    for item in &mut inputs {
        let (_, event) = item?;
        seq = event.seq;
        books.input(&event);
        // What an input caused carries its number.
        while let Some(caused) = change.take_if(|caused| caused.seq <= seq) {
            books.state_change(&caused);
            change = changes.next();
        }
        while let Some(caused) = intent.take_if(|caused| caused.seq <= seq) {
            books.intent(&caused);
            intent = intents.next();
        }
    }
    // Inputs that were lost with the machine may have caused what the other lanes still have.
    let rest = change.is_some() || intent.is_some();
    change.into_iter().chain(changes).for_each(|caused| books.state_change(&caused));
    intent.into_iter().chain(intents).for_each(|caused| books.intent(&caused));
    books.lossy |= rest || changes_lossy || intents_lossy || is_lossy(&inputs);
    tracing::info!(journal = %found.dir.display(), inputs = seq, "read what it left");
    books.extremes(newest);
    Ok(books.carried(found))
}

/// A lane's records of some kinds, and whether an operator accepted a loss of others.
fn records(
    dir: &Path,
    lane: usize,
    mut wanted: impl FnMut(&Event) -> bool,
) -> Result<(Vec<Event>, bool)> {
    let mut reader = LaneReader::open(dir, lane)?;
    let mut kept = Vec::new();
    for item in &mut reader {
        let (_, event) = item?;
        if wanted(&event) {
            kept.push(event);
        }
    }
    let lossy = is_lossy(&reader);
    Ok((kept, lossy))
}

fn is_lossy(reader: &LaneReader) -> bool {
    reader.end() == Some(LaneEnd::Closed(Ending::Lossy))
}

/// What of an instrument's trades was known at the last clean look.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    trades_from: u64,
    /// As of a look of which it is not known yet whether it ends clean.
    next: u64,
}

/// How long before the time from which on funding is asked for again a payment is still kept: the
/// stream and the list tell times that differ by milliseconds.
const PAID_MARGIN: i64 = Nanos::from_secs(60).0;

/// What is kept of an order besides the ledger's line.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    venue_id: u64,
    order_type: u8,
    time_in_force: u8,
    flags: u8,
    /// How the venue ended it, if it did.
    ended: Option<OrderState>,
}

struct Books {
    ledger: Ledger,
    looked: Vec<Looked>,
    paid: Vec<Payment>,
    orders: HashMap<ClientOrderId, Known>,
    session: SessionCarried,
    entries_day: i64,
    /// What the state comes back to after a reconciliation.
    state: TradingState,
    reason: u16,
    paused: bool,
    lossy: bool,
    stopped_until: Nanos,
    /// By instrument.
    symbols: Vec<Option<SymbolChange>>,
}

impl Books {
    fn new(found: &Found) -> Self {
        let count = found.symbols.len();
        Self {
            ledger: Ledger::new(count, Money::ZERO),
            looked: vec![Looked::default(); count],
            paid: Vec::new(),
            orders: HashMap::new(),
            session: SessionCarried { epoch: found.start.epoch, ..SessionCarried::default() },
            entries_day: i64::MIN,
            state: TradingState::Reconciling,
            reason: Reason::None as u16,
            paused: false,
            lossy: false,
            stopped_until: Nanos::ZERO,
            symbols: vec![None; count],
        }
    }

    fn input(&mut self, event: &Event) {
        self.ledger.on_event(event);
        self.session.ts_last = self.session.ts_last.max(event.ts_recv);
        if self.session.funding_since == 0 {
            self.session.funding_since = event.ts_recv;
        }
        match event.kind() {
            Some(Kind::FundingPayment) => self.paid.push(Payment::of(event)),
            Some(Kind::VenuePosition | Kind::Reconciled) => self.look(event),
            Some(Kind::VenueStatus) => {
                let body: &VenueStatus = event.body();
                let stops = [Reason::RateLimited, Reason::Banned, Reason::Blocked];
                if stops.iter().any(|reason| *reason as u16 == body.reason) {
                    self.stopped_until = self.stopped_until.max(Nanos(body.ts_until));
                }
            }
            Some(Kind::PositionCarried) => {
                let body: &PositionCarried = event.body();
                if let Some(looked) = self.looked.get_mut(event.instrument().index()) {
                    looked.trades_from = body.trades_from;
                }
            }
            Some(Kind::BookedCarried) => {
                self.paid.extend(Payment::carried(event.instrument(), event.body()));
            }
            Some(Kind::OrderCarried) => self.carried_order(event),
            Some(Kind::SessionCarried) => self.carried_session(event.body()),
            Some(Kind::Command) => self.command(event.body()),
            Some(Kind::SymbolChange) => self.symbol_change(event),
            Some(
                Kind::OrderAccepted
                | Kind::OrderFilled
                | Kind::OrderCancelled
                | Kind::OrderExpired
                | Kind::OrderRejected
                | Kind::OrderUnknown,
            ) => self.report(event),
            _ => {}
        }
    }

    /// What the venue's lists told is known up to here once a look has ended clean, and not before:
    /// what the stream told says nothing of what it left out.
    fn look(&mut self, event: &Event) {
        if event.kind() == Some(Kind::VenuePosition) {
            let body: &VenuePosition = event.body();
            if let Some(looked) = self.looked.get_mut(event.instrument().index()) {
                looked.next = body.trades_from;
            }
            return;
        }
        for looked in &mut self.looked {
            looked.trades_from = looked.trades_from.max(looked.next);
        }
        let body: &Reconciled = event.body();
        let since = self.session.funding_since.max(body.funding_since);
        self.session.funding_since = since;
        self.paid.retain(|paid| paid.at.0 > since - PAID_MARGIN);
    }

    /// How far the price went for the open positions, as their newest records tell it: prices of
    /// the book are in no input by themselves.
    fn extremes(&mut self, newest: Vec<Option<Event>>) {
        for event in newest.into_iter().flatten() {
            let told: &Position = event.body();
            let held = self.ledger.position(event.instrument()).map(|position| position.qty.0);
            if held == Some(told.qty) {
                self.ledger.on_best(event.instrument(), Px(told.best_px));
            }
        }
    }

    fn report(&mut self, event: &Event) {
        let report: &OrderReport = event.body();
        let Some(known) = self.orders.get_mut(&ClientOrderId(report.client_id)) else { return };
        if report.venue_id != 0 {
            known.venue_id = report.venue_id;
        }
        known.ended = match event.kind() {
            Some(Kind::OrderCancelled) => Some(OrderState::Cancelled),
            Some(Kind::OrderExpired) => Some(OrderState::Expired),
            Some(Kind::OrderRejected) => Some(OrderState::Rejected),
            _ => known.ended,
        };
    }

    fn intent(&mut self, event: &Event) {
        let body: &Order = event.body();
        let cancel = event.kind() == Some(Kind::CancelIntent);
        let kind = if cancel { Kind::CancelApproved } else { Kind::OrderApproved };
        // The ledger counted it under this kind; a table that is full had refused it.
        let _ = self.ledger.on_order_sent(&Event { kind: kind as u8, ..*event });
        if cancel {
            return;
        }
        let known = Known {
            order_type: body.order_type,
            time_in_force: body.time_in_force,
            flags: event.flags & (flags::SELL | flags::REDUCE_ONLY),
            ..Known::default()
        };
        self.orders.insert(body.id(), known);
        if Purpose::from_u8(body.purpose).is_none_or(Purpose::is_entry) {
            let day = event.now().utc_day();
            if day > self.entries_day {
                (self.entries_day, self.session.entries_today) = (day, 0);
            }
            self.session.entries_today += 1;
        }
    }

    fn carried_order(&mut self, event: &Event) {
        let body: &OrderCarried = event.body();
        let known = Known {
            venue_id: body.venue_id,
            order_type: body.order_type,
            time_in_force: body.time_in_force,
            flags: event.flags & (flags::SELL | flags::REDUCE_ONLY),
            ended: OrderState::from_u8(body.state).filter(|state| state.is_terminal()),
        };
        self.orders.insert(ClientOrderId(body.client_id), known);
    }

    fn carried_session(&mut self, body: &SessionCarried) {
        self.session.restart_percent = body.restart_percent;
        self.session.restart_trips = body.restart_trips;
        self.session.ts_restart = body.ts_restart;
        if body.epoch > 0 {
            self.session.funding_since = body.funding_since;
            self.entries_day = body.day;
            self.session.entries_today = body.entries_today;
        }
        self.lossy |= body.lossy != 0;
        if let Some(state) = TradingState::from_u8(body.state) {
            (self.state, self.reason) = (state, body.reason);
        }
    }

    /// What an operator made of a symbol stays so; what is configured is read from there each time.
    fn symbol_change(&mut self, event: &Event) {
        let body: &SymbolChange = event.body();
        if let Some(place) = self.symbols.get_mut(event.instrument().index()) {
            *place = (body.actor != ACTOR_UNATTENDED).then_some(*body);
        }
    }

    /// A kill or a pause counts from the moment it was given; to arm takes until risk has obeyed.
    fn command(&mut self, command: &Command) {
        match Verb::from_u32(command.verb) {
            Some(Verb::KillGraceful | Verb::KillImmediate) => {
                (self.state, self.reason) = (TradingState::Killed, Reason::Operator as u16);
            }
            Some(Verb::Pause) if command.actor != ACTOR_UNATTENDED => self.paused = true,
            // As the gate counts them: anew once a person has looked.
            Some(Verb::Arm) if arms_by_name(command) => {
                self.session.entries_today = 0;
                self.ledger.forget_losses();
            }
            _ => {}
        }
    }

    fn state_change(&mut self, event: &Event) {
        if event.kind() == Some(Kind::SizeChange) {
            return self.size_change(event.body());
        }
        let body: &StateChange = event.body();
        let states = (TradingState::from_u8(body.from), TradingState::from_u8(body.to));
        let (Some(from), Some(to)) = states else { return };
        match to {
            TradingState::Reconciling if from == TradingState::Killed => {
                (self.state, self.reason) = (TradingState::Halted, body.reason);
            }
            // What it comes back to is what it was.
            TradingState::Reconciling => {}
            TradingState::Active => {
                self.state = TradingState::Active;
                // Somebody has looked.
                (self.paused, self.lossy) = (false, false);
            }
            _ => (self.state, self.reason) = (to, body.reason),
        }
    }

    /// How far the way back from a halt was gone.
    fn size_change(&mut self, body: &SizeChange) {
        self.session.restart_percent = body.restart_percent;
        self.session.restart_trips = body.restart_trips;
        self.session.ts_restart = body.ts_restart;
    }

    /// What of an instrument is booked and will be told again by the venue's lists.
    fn booked(&self, id: InstrumentId, trades_from: u64) -> Vec<BookedCarried> {
        let mut trades = self.ledger.fills().from(id, trades_from);
        let paid = self.paid.iter().filter(|paid| paid.instrument == id);
        let mut paid = paid.copied().collect::<Vec<_>>().into_iter();
        let mut bodies = Vec::new();
        loop {
            let mut body = BookedCarried::default();
            body.trade_ids.iter_mut().zip(&mut trades).for_each(|(place, id)| *place = id);
            for (place, paid) in paid.by_ref().take(body.funding.len()).enumerate() {
                (body.ts_funding[place], body.funding[place]) = (paid.at.0, paid.amount);
            }
            if body == BookedCarried::default() {
                return bodies;
            }
            bodies.push(body);
        }
    }

    fn carried(self, found: &Found) -> Carried {
        let place = |id: InstrumentId| found.symbols.get(id.index()).copied();
        let (mut positions, mut booked) = (Vec::new(), Vec::new());
        for (i, (symbol, looked)) in found.symbols.iter().zip(&self.looked).enumerate() {
            let id = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
            let Some(position) = self.ledger.position(id) else { continue };
            // Of fills that the memory let go the number is known: nothing up to it is new.
            let forgotten = self.ledger.fills().floor(id).saturating_add(1);
            let least = if forgotten > 1 { forgotten } else { 0 };
            let trades_from = looked.trades_from.max(least);
            booked.extend(self.booked(id, trades_from).into_iter().map(|body| (*symbol, body)));
            let body = PositionCarried {
                qty: position.qty.0,
                cost: position.cost.0,
                realised: position.realised.0,
                fees: position.fees.0,
                funding: position.funding.0,
                trades_from,
                ts_opened: position.opened_at.0,
                round_trip: position.round_trip().0,
                atr_px: position.entry_atr.0,
                target_px: position.target_px.0,
                best_px: position.best_px.0,
                ..PositionCarried::default()
            };
            if body != PositionCarried::default() {
                positions.push((*symbol, body));
            }
        }
        let mut live: Vec<&OpenOrder> = self.ledger.orders().iter().collect();
        // The table's order carries no meaning; ids rise.
        live.sort_unstable_by_key(|order| order.id);
        let orders = live.into_iter().filter_map(|order| {
            let known = self.orders.get(&order.id).copied().unwrap_or_default();
            Some((place(order.instrument)?, known.flags, carried_order(order, &known)))
        });
        let orders = orders.collect();
        let symbols = found.symbols.iter().zip(self.symbols);
        let day = self.ledger.day();
        let session = SessionCarried {
            starting_equity: self.ledger.starting_equity().0,
            peak_equity: self.ledger.peak_equity().0,
            day_start_equity: self.ledger.day_start_equity().0,
            day,
            losses_in_a_row: self.ledger.losses_in_a_row(),
            entries_today: if self.entries_day >= day { self.session.entries_today } else { 0 },
            state: self.state as u8,
            lossy: u8::from(self.lossy),
            reason: self.reason,
            ..self.session
        };
        Carried {
            account: found.start.account,
            from: Some(found.dir.clone()),
            positions,
            booked,
            orders,
            session,
            paused: self.paused,
            stopped_until: self.stopped_until,
            symbols: symbols.filter_map(|(symbol, own)| Some((*symbol, own?))).collect(),
            commands: Vec::new(),
        }
    }
}

/// An order as the next session has to take it: what was in flight may have arrived.
fn carried_order(order: &OpenOrder, known: &Known) -> OrderCarried {
    let state = match order.stage {
        Stage::InFlight | Stage::Unknown => OrderState::Unknown,
        Stage::Settling => known.ended.unwrap_or(OrderState::Expired),
        Stage::Working if order.cancel_pending => OrderState::PendingCancel,
        Stage::Working if order.filled > Qty::ZERO => OrderState::PartiallyFilled,
        Stage::Working => OrderState::Working,
    };
    OrderCarried {
        client_id: order.id.0,
        venue_id: known.venue_id,
        px: order.px.0,
        qty: order.qty.0,
        filled: order.filled.0,
        reported: order.reported.0,
        ts_sent: order.sent_at.0,
        order_type: if known.order_type == 0 { OrderType::Limit as u8 } else { known.order_type },
        time_in_force: known.time_in_force,
        purpose: order.purpose as u8,
        state: state as u8,
        atr_px: order.atr_px.0,
        target_px: order.target_px.0,
        ..OrderCarried::default()
    }
}
