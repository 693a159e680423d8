//! A venue that fills our orders against the market we see, without being there.
//!
//! ```text
//!  submit, cancel ──► actions ──order latency──► matching ──► reports ──report latency──► poll
//!  market events ─────────────────────────────►    │
//!                                              Account (double entry)
//! ```
//! Everything happens in event time, by receipt: an order that arrives at `t` meets the market as
//! it was known to us at `t`, so the feed's own delay belongs into the order latency. Fills are
//! limited by the displayed quantity: what is not on show is not filled; what takes pays for the
//! part it takes, see `impact`. A post-only order that
//! would take is refused, an IOC's rest expires, a market order's rest takes from the next quotes.
//! Of our own two orders that would meet, the resting one expires. A protective stop waits apart
//! from the orders, as at the real venue, see `stops`. Nothing allocates after [`PaperVenue::new`].

mod account;
mod latency;
mod market;
mod matching;
mod queue;
mod stops;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use latency::{Latencies, Latency};
pub use market::Touch;
pub use queue::QueuePosition;
pub use stops::Stop;

use crate::base::event::{
    BookTicker, Funding, FundingPayment, MarkPrice, Order, OrderReport, StreamStatus, carries,
    flags,
};
use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::settings::{InstrumentSettings, PaperSettings};
use crate::base::{
    ClientOrderId, Event, InstrumentId, Kind, Money, Nanos, Px, Qty, Rate, Reason, Side,
};
use market::Market;
use std::collections::VecDeque;

/// Requests under way at once.
const ACTIONS_MAX: usize = 2 * OPEN_ORDERS_MAX;
/// Reports under way at once. One event can fill and end every order.
const REPORTS_MAX: usize = 16 * OPEN_ORDERS_MAX;
/// Room that one event or action may need: a fill and an end of every order, a trigger and an end
/// of every stop, and its own reports.
const REPORTS_PER_EVENT_MAX: usize = 4 * OPEN_ORDERS_MAX + 4;

const _: () = assert!(REPORTS_MAX >= 4 * REPORTS_PER_EVENT_MAX - 16, "a burst fits");

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct PaperVenue {
    settings: PaperSettings,
    latencies: Latencies,
    instruments: Vec<InstrumentSettings>,
    markets: Vec<Market>,
    account: Account,
    /// In order of arrival.
    orders: Vec<Resting>,
    /// Protective stops that wait, in order of arrival.
    stops: Vec<Stop>,
    /// In order of arrival time.
    actions: VecDeque<Action>,
    /// In order of due time.
    reports: VecDeque<Event>,
    /// No funding is due before this.
    funding_due: Nanos,
    last_venue_id: u64,
    last_trade_id: u64,
    deferred: u64,
}

/// A request under way to the venue.
#[derive(Clone, Copy, Debug)]
struct Action {
    at: Nanos,
    event: Event,
    cancel: bool,
}

/// An order at the venue.
#[derive(Clone, Copy, Debug)]
pub struct Resting {
    id: ClientOrderId,
    venue_id: u64,
    instrument: InstrumentId,
    side: Side,
    px: Px,
    qty: Qty,
    filled: Qty,
    reduce_only: bool,
    /// A market order: it takes from every quote until it is filled.
    taker: bool,
    queue: QueuePosition,
}

impl PaperVenue {
    /// For the session's instruments, in table order, with `deposit` in the wallet. The only
    /// allocations.
    pub fn new(
        instruments: &[InstrumentSettings],
        settings: PaperSettings,
        deposit: Money,
    ) -> Self {
        Self {
            settings,
            latencies: Latencies::configured(&settings),
            instruments: instruments.to_vec(),
            markets: vec![Market::default(); instruments.len()],
            account: Account::new(instruments.len(), deposit),
            orders: Vec::with_capacity(OPEN_ORDERS_MAX),
            stops: Vec::with_capacity(OPEN_ORDERS_MAX),
            actions: VecDeque::with_capacity(ACTIONS_MAX),
            reports: VecDeque::with_capacity(REPORTS_MAX),
            funding_due: Nanos(i64::MAX),
            last_venue_id: 0,
            last_trade_id: 0,
            deferred: 0,
        }
    }

    /// The same with latencies of their own instead of the configured ones.
    pub fn with_latencies(mut self, latencies: Latencies) -> Self {
        self.latencies = latencies;
        self
    }

    /// Sends an order (`Order` body): it arrives one order latency after `sent_at`, never before an
    /// earlier request.
    pub fn submit(&mut self, order: &Event, sent_at: Nanos) {
        self.enqueue(order, sent_at, false);
    }

    /// Sends a cancel (`Order` body, only the id counts).
    pub fn cancel(&mut self, order: &Event, sent_at: Nanos) {
        self.enqueue(order, sent_at, true);
    }

    /// Takes in a market event; requests that arrived before it are matched first. Other events are
    /// ignored.
    pub fn on_market(&mut self, event: &Event) {
        self.advance(event.now());
        let instrument = event.instrument();
        let Some(market) = self.markets.get_mut(instrument.index()) else {
            if event.kind() == Some(Kind::StreamStatus)
                && !event.has(flags::ON)
                && event.body::<StreamStatus>().has_carried(carries::TOUCH)
            {
                // Nothing is filled at a price that may be long gone.
                self.markets.iter_mut().for_each(|market| market.touch = Touch::default());
            }
            return;
        };
        match event.kind() {
            Some(Kind::BookTicker) => {
                market.has_ticker = true;
                let body: &BookTicker = event.body();
                let touch = Touch {
                    bid_px: Px(body.bid_px),
                    bid_qty: Qty(body.bid_qty),
                    ask_px: Px(body.ask_px),
                    ask_qty: Qty(body.ask_qty),
                };
                self.on_new_touch(instrument, touch, event.now());
            }
            Some(Kind::Trade | Kind::AggTrade) => {
                if market.trade_kind == 0 {
                    market.trade_kind = event.kind;
                }
                if market.trade_kind == event.kind {
                    self.on_trade(event);
                }
            }
            Some(Kind::DepthLevels) => self.on_levels(event),
            Some(Kind::MarkPrice) => {
                let body: &MarkPrice = event.body();
                if body.mark_px > 0 {
                    market.mark_px = Px(body.mark_px);
                }
                market.funding_rate = Rate(body.funding_rate);
                if body.ts_next_funding > market.funded_at.0 {
                    market.funding_at = Nanos(body.ts_next_funding);
                    self.funding_due = self.funding_due.min(market.funding_at);
                }
            }
            Some(Kind::StreamStatus) if is_part_lost(event) => market.touch = Touch::default(),
            Some(Kind::Funding) => {
                let body: &Funding = event.body();
                let mark_px = if body.mark_px > 0 { Px(body.mark_px) } else { market.value_px() };
                let (rate, due) = (Rate(body.rate), Nanos(body.ts_funding));
                self.settle_funding(instrument, mark_px, rate, due, event.now());
            }
            _ => {}
        }
        self.watch_stops(instrument, event.now());
    }

    /// Best bid and ask from a book, for markets without bookTicker events; ignored where those
    /// come.
    pub fn on_touch(&mut self, instrument: InstrumentId, touch: Touch, now: Nanos) {
        self.advance(now);
        let Some(market) = self.markets.get(instrument.index()) else { return };
        if !market.has_ticker && market.touch != touch {
            self.on_new_touch(instrument, touch, now);
            self.watch_stops(instrument, now);
        }
    }

    /// The next report due by `now`; call until `None`. `ts_venue` is when the venue acted,
    /// `ts_recv` when we hear of it; the sequence number is the feed's to set.
    pub fn poll(&mut self, now: Nanos) -> Option<Event> {
        self.advance(now);
        let due = self.reports.front().is_some_and(|report| report.now() <= now);
        if due { self.reports.pop_front() } else { None }
    }

    /// When something next happens by itself: a request arrives or a report is due.
    pub fn next_due(&self) -> Option<Nanos> {
        let action = self.actions.front().map(|action| action.at);
        let report = self.reports.front().map(Event::now);
        match (action, report) {
            (Some(action), Some(report)) => Some(action.min(report)),
            (action, report) => action.or(report),
        }
    }

    /// The venue's books.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Wallet and positions at mark price, else mid, else the last fill; `None` beyond the range.
    pub fn equity(&self) -> Option<Money> {
        self.account.equity(|instrument| {
            self.markets.get(instrument.index()).map_or(Px::ZERO, Market::value_px)
        })
    }

    /// Orders at the venue, in order of arrival.
    pub fn orders(&self) -> &[Resting] {
        &self.orders
    }

    /// True while an order or cancel is on its way to the venue.
    pub fn is_anything_under_way(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Stops that wait at the venue, in order of arrival.
    pub fn stops(&self) -> &[Stop] {
        &self.stops
    }

    /// Times the venue did nothing because too many reports waited to be polled.
    pub fn deferred(&self) -> u64 {
        self.deferred
    }

    fn enqueue(&mut self, order: &Event, sent_at: Nanos, cancel: bool) {
        // A cancel draws another number than its order.
        let number = order.body::<Order>().client_id << 1 | u64::from(cancel);
        let latency = self.latencies.order.of(sent_at, number);
        let newest = self.actions.back().map_or(Nanos(i64::MIN), |action| action.at);
        let at = newest.max(sent_at + latency);
        if self.actions.len() < ACTIONS_MAX {
            self.actions.push_back(Action { at, event: *order, cancel });
            return;
        }
        let body: &Order = order.body();
        let report = OrderReport {
            client_id: body.client_id,
            px: body.px,
            qty: body.qty,
            reason: Reason::VenueRejected as u16,
            venue_code: -1008,
            ..OrderReport::default()
        };
        let kind = if cancel { Kind::CancelRejected } else { Kind::OrderRejected };
        self.queue_report(Event::new(kind, order.instrument(), &report), at);
    }

    /// Lets everything happen that is due by `now`, in order of time.
    fn advance(&mut self, now: Nanos) {
        loop {
            let action_at = self.actions.front().map_or(Nanos(i64::MAX), |action| action.at);
            if action_at.min(self.funding_due) > now || !self.has_room() {
                return;
            }
            if self.funding_due < action_at {
                self.settle_due(now);
                continue;
            }
            let Some(action) = self.actions.pop_front() else { return };
            if action.cancel { self.arrive_cancel(&action) } else { self.arrive(&action) }
        }
    }

    /// Settles every instrument whose funding time has come, and finds the next one.
    fn settle_due(&mut self, now: Nanos) {
        let due = self.funding_due;
        self.funding_due = Nanos(i64::MAX);
        for index in 0..self.markets.len() {
            let market = self.markets[index];
            if market.funding_at == Nanos::ZERO {
                continue;
            }
            if market.funding_at <= due && market.funding_at <= now {
                let instrument = InstrumentId(index as u16);
                let (px, rate, at) = (market.value_px(), market.funding_rate, market.funding_at);
                self.settle_funding(instrument, px, rate, at, at);
                self.markets[index].funding_at = Nanos::ZERO;
            } else {
                self.funding_due = self.funding_due.min(market.funding_at);
            }
        }
    }

    /// Posts and reports the funding of time `due`, once.
    fn settle_funding(
        &mut self,
        instrument: InstrumentId,
        mark_px: Px,
        rate: Rate,
        due: Nanos,
        at: Nanos,
    ) {
        let Some(market) = self.markets.get_mut(instrument.index()) else { return };
        if due <= market.funded_at {
            return;
        }
        market.funded_at = due;
        let held = self.account.held(instrument);
        let Some(amount) = self.account.post_funding(instrument, mark_px, rate) else { return };
        let body = FundingPayment {
            amount: amount.0,
            rate: rate.0,
            mark_px: mark_px.0,
            position_qty: held.0,
            ..FundingPayment::default()
        };
        self.queue_report(Event::new(Kind::FundingPayment, instrument, &body), at);
    }

    /// True when the reports of whatever happens next fit; counts when they do not.
    fn has_room(&mut self) -> bool {
        let room = self.reports.len() + REPORTS_PER_EVENT_MAX <= REPORTS_MAX;
        self.deferred += u64::from(!room);
        room
    }

    fn queue_report(&mut self, mut event: Event, at: Nanos) {
        let latency = self.latencies.report.of(at, at.0.unsigned_abs());
        let newest = self.reports.back().map_or(Nanos(i64::MIN), Event::now);
        event.flags |= flags::PAPER;
        event.ts_venue = at.0;
        event.ts_recv = newest.max(at + latency).0;
        self.reports.push_back(event);
    }
}

/// True for what a lost connection of some instruments brought of one of them, best prices too.
fn is_part_lost(event: &Event) -> bool {
    let status: &StreamStatus = event.body();
    let is_lost = status.reason == Reason::StreamDown as u16 && !event.has(flags::ON);
    is_lost && status.has_carried(carries::TOUCH)
}
