//! What holds the session against the exchange while both run. It hears every record of every lane
//! as it is written, every request as it leaves and every order the exchange has; whatever breaks a
//! promise is kept as a sentence, and a run with sentences has failed.
//!
//! | promise | checked when |
//! |---|---|
//! | T1 at most one venue order for one decision | the exchange has a new order |
//! | T2 never more exposure than the limit | the exchange has done anything |
//! | T5 nothing that adds risk leaves once killed | a request leaves |
//! | T6 what leaves has an earlier intent | a request leaves |
//! | T7 entries: fresh data, the right model, ACTIVE | an entry is approved |
//! | B1 a valid book is the exchange's, level by level | the session has turned (`books`) |
//! | B2 trades come once, in order, as they were | one is heard |
//!
//! A decision is an input of a session, an instrument and a purpose.

use peregrine::base::event::{
    Event, Gap, Kind, ModelLoaded, Order, SessionStart, StateChange, Trade,
};
use peregrine::base::{ClientOrderId, InstrumentId, Nanos, Purpose, Reason, Side};
use peregrine::exchange::Exchange;
use peregrine::exchange::account::order::Order as VenueOrder;
use peregrine::exchange::account::position::value;
use peregrine::exchange::wire::http::Request;
use peregrine::exchange::wire::params::Params;
use peregrine::execution::RequestKind;
use peregrine::risk::TradingState;
use rtrb::Consumer;
use std::collections::{BTreeMap, BTreeSet};

/// Sentences kept; the first ones say what happened.
const BROKEN_MAX: usize = 20;

/// Oldest news an entry may leave on, by the venue's own clock: the age that is allowed on receipt,
/// the longest delay of a line in order, and the longest wait of an order for a way.
const TOLD_MAX: Nanos = Nanos::from_millis(1_000 + 400 + 1_000);

/// What the checks compare with.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Largest value of position and open orders of one instrument, 1e-8 USDT.
    pub position_notional: i64,
    /// Oldest touch an entry may rest on.
    pub market_age: Nanos,
    /// First eight bytes of the model's SHA-256.
    pub model_tag: u64,
    /// The whole of it.
    pub model_sha256: [u8; 32],
}

/// A decision that became an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    pub epoch: u32,
    pub seq: u64,
    pub instrument: u16,
    pub purpose: u8,
}

/// See the head of this file.
pub struct Watch {
    bounds: Bounds,
    taps: Vec<Consumer<Event>>,
    epoch: u32,
    state: TradingState,
    state_reason: u16,
    /// When the newest touch of each instrument was received.
    touched: BTreeMap<u16, Nanos>,
    /// When the venue told it.
    told: BTreeMap<u16, Nanos>,
    /// Decisions of every session, by what they are called at the venue.
    decisions: BTreeMap<ClientOrderId, Decision>,
    order_intents: BTreeSet<ClientOrderId>,
    cancel_intents: BTreeSet<ClientOrderId>,
    /// Newest of the venue's orders that was looked at.
    seen_order: u64,
    /// Venue orders by decision.
    by_decision: BTreeMap<Decision, u64>,
    /// Ids the venue has orders for.
    at_venue: BTreeMap<String, u64>,
    /// Purposes of the orders that were approved, and the trading states they were approved in.
    pub left: BTreeSet<(u8, u8)>,
    /// Requests that left, in all sessions.
    pub sent: u64,
    /// Fills heard, in all sessions.
    pub fills: u64,
    /// Number of the newest trade of each instrument that the session was told of.
    told_trades: BTreeMap<u16, u64>,
    /// Trades heard and not compared with the exchange's yet.
    pub trades: Vec<Event>,
    /// Promises broken.
    pub broken: Vec<String>,
}

impl Watch {
    pub const fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            taps: Vec::new(),
            epoch: 0,
            state: TradingState::Reconciling,
            state_reason: 0,
            touched: BTreeMap::new(),
            told: BTreeMap::new(),
            decisions: BTreeMap::new(),
            order_intents: BTreeSet::new(),
            cancel_intents: BTreeSet::new(),
            seen_order: 0,
            by_decision: BTreeMap::new(),
            at_venue: BTreeMap::new(),
            left: BTreeSet::new(),
            sent: 0,
            fills: 0,
            told_trades: BTreeMap::new(),
            trades: Vec::new(),
            broken: Vec::new(),
        }
    }

    /// Compares with others from here on.
    pub const fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    /// A session begins; its lanes are heard over `taps`.
    pub fn attach(&mut self, taps: Vec<Consumer<Event>>) {
        self.taps = taps;
        self.state = TradingState::Reconciling;
        self.touched.clear();
        self.told_trades.clear();
    }

    /// The trading state as recorded, and why.
    pub const fn state(&self) -> (TradingState, u16) {
        (self.state, self.state_reason)
    }

    /// Hears what has been recorded since the last call, in the order of its causes.
    pub fn drain(&mut self) {
        let mut events: Vec<(u64, usize, Event)> = Vec::new();
        for (lane, tap) in self.taps.iter_mut().enumerate() {
            while let Ok(event) = tap.pop() {
                events.push((event.seq, lane, event));
            }
        }
        events.sort_by_key(|(seq, lane, _)| (*seq, *lane));
        events.iter().for_each(|(_, _, event)| self.hear(event));
    }

    /// Hears one record.
    pub fn hear(&mut self, event: &Event) {
        match event.kind() {
            Some(Kind::SessionStart) => self.epoch = event.body::<SessionStart>().epoch,
            Some(Kind::ModelLoaded)
                if event.body::<ModelLoaded>().sha256 != self.bounds.model_sha256 =>
            {
                self.fail("T7: another model was loaded".to_owned());
            }
            Some(Kind::BookTicker | Kind::DepthHead) => {
                self.touched.insert(event.instrument, event.now());
                self.told.insert(event.instrument, Nanos(event.ts_venue));
            }
            Some(Kind::AggTrade) => self.on_trade(event),
            Some(Kind::Gap) => {
                let gap: &Gap = event.body();
                let told = self.told_trades.get(&event.instrument).copied();
                if gap.reason == Reason::TradeGap as u16 && told == Some(gap.expected - 1) {
                    self.told_trades.insert(event.instrument, gap.got - 1);
                }
            }
            Some(Kind::OrderFilled) => self.fills += 1,
            Some(Kind::StateChange) => {
                let change: &StateChange = event.body();
                let to = TradingState::from_u8(change.to).expect("a state");
                (self.state, self.state_reason) = (to, change.reason);
            }
            // What is traded while nobody listens is nobody's.
            Some(Kind::SymbolChange) if event.puts_to_sleep() => {
                self.told_trades.remove(&event.instrument);
            }
            Some(Kind::OrderApproved) => self.on_approved(event),
            Some(Kind::OrderIntent) => {
                self.order_intents.insert(event.body::<Order>().id());
            }
            Some(Kind::CancelIntent) => {
                self.cancel_intents.insert(event.body::<Order>().id());
            }
            _ => {}
        }
    }

    /// B2: a trade follows the one before it, or what was told to be missing.
    fn on_trade(&mut self, event: &Event) {
        let id = event.body::<Trade>().trade_id;
        let told = self.told_trades.insert(event.instrument, id);
        if told.is_some_and(|told| told + 1 != id) {
            let instrument = event.instrument;
            self.fail(format!("B2: trade {id} of {instrument} came after {told:?}, untold"));
        }
        self.trades.push(*event);
    }

    fn on_approved(&mut self, event: &Event) {
        let order: &Order = event.body();
        let id = order.id();
        let (seq, instrument, purpose) = (event.seq, event.instrument, order.purpose);
        let decision = Decision { epoch: self.epoch, seq, instrument, purpose };
        if id.epoch() != self.epoch {
            self.fail(format!("T1: {id} is not of epoch {}", self.epoch));
        }
        if self.decisions.insert(id, decision).is_some() {
            self.fail(format!("T1: {id} was given out twice"));
        }
        self.left.insert((purpose, self.state as u8));
        if !is_entry(purpose) {
            return;
        }
        if self.state != TradingState::Active {
            self.fail(format!("T7: entry {id} was approved while {:?}", self.state));
        }
        if order.model_tag != self.bounds.model_tag {
            self.fail(format!("T7: entry {id} was decided by another model"));
        }
        let touched = self.touched.get(&instrument);
        let age = touched.map_or(Nanos(i64::MAX), |at| event.now() - *at);
        if age > self.bounds.market_age {
            self.fail(format!("T7: entry {id} rests on data of {} ms ago", age.to_millis()));
        }
    }

    /// A request leaves.
    pub fn on_send(
        &mut self,
        kind: RequestKind,
        request: &Request,
        (at, venue_time): (Nanos, Nanos),
    ) {
        self.drain();
        self.sent += 1;
        let params = Params::of(&request.query, "");
        let is_cancel = matches!(kind, RequestKind::Cancel | RequestKind::StopCancel);
        let names = ["newClientOrderId", "origClientOrderId", "clientAlgoId"];
        let name = names.iter().find_map(|name| params.text(name));
        let name = name.unwrap_or_default().to_owned();
        let Some(id) = ClientOrderId::from_text(name.as_bytes()) else {
            return self.fail(format!("T6: {name:?} left without an id of ours"));
        };
        let at = at.to_millis();
        if is_cancel {
            if !self.cancel_intents.contains(&id) {
                self.fail(format!("T6: a cancel of {id} left at {at} ms without an intent"));
            }
            return;
        }
        if !self.order_intents.contains(&id) {
            self.fail(format!("T6: {id} left at {at} ms without an intent"));
        }
        let flag = |name| params.text(name) == Some("true");
        let reduces = flag("reduceOnly") || flag("closePosition");
        let decision = self.decisions.get(&id).filter(|decision| is_entry(decision.purpose));
        let told = decision.and_then(|decision| self.told.get(&decision.instrument));
        let age = told.map_or(Nanos::ZERO, |told| venue_time - *told);
        if age > TOLD_MAX {
            let age = age.to_millis();
            self.fail(format!("T7: entry {id} left at {at} ms on what was told {age} ms ago"));
        }
        if self.state == TradingState::Killed && !reduces {
            self.fail(format!("T5: {id} left at {at} ms, after the kill"));
        }
    }

    /// The exchange did something.
    pub fn on_venue(&mut self, exchange: &Exchange) {
        let seen = self.seen_order;
        let fresh: Vec<VenueOrder> = exchange
            .accounts
            .orders(0)
            .rev()
            .take_while(|order| order.id > seen)
            .cloned()
            .collect();
        fresh.iter().rev().for_each(|order| self.on_venue_order(order));
        for contract in 0..exchange.market.len() {
            let open: Vec<&VenueOrder> = exchange.accounts.open_orders(0, contract).collect();
            if open.is_empty() && fresh.is_empty() {
                continue;
            }
            let views = exchange.accounts.positions(&exchange.market, 0);
            let held = views.iter().find(|view| view.news.contract == contract);
            let cost = held.map_or(0, |view| view.cost.0);
            self.on_exposure(contract, cost, &open);
        }
    }

    /// One new order of the venue.
    pub fn on_venue_order(&mut self, order: &VenueOrder) {
        self.seen_order = self.seen_order.max(order.id);
        let name = order.client_id.as_str();
        let Some(id) = ClientOrderId::from_text(name.as_bytes()) else { return };
        if let Some(first) = self.at_venue.insert(name.to_owned(), order.id) {
            self.fail(format!("T1: {id} is at the venue twice: {first} and {}", order.id));
        }
        self.drain();
        let Some(&decision) = self.decisions.get(&id) else {
            return self.fail(format!("T1: {id} is at the venue, and nobody decided it"));
        };
        if let Some(first) = self.by_decision.insert(decision, order.id) {
            self.fail(format!("T1: {decision:?} has orders {first} and {}", order.id));
        }
    }

    /// Position and open orders of one instrument as the exchange has them.
    pub fn on_exposure(&mut self, contract: usize, cost: i64, open: &[&VenueOrder]) {
        let of = |side: Side| -> i64 {
            let adding = open.iter().filter(|order| order.side == side && !order.reduce_only);
            adding.map(|order| value(order.leaves(), order.px).0).sum()
        };
        let worst = (cost + of(Side::Buy)).abs().max((cost - of(Side::Sell)).abs());
        if worst > self.bounds.position_notional {
            let limit = self.bounds.position_notional;
            self.fail(format!("T2: {worst} in contract {contract}, of {limit} allowed"));
        }
    }

    /// Keeps what went wrong.
    pub fn fail(&mut self, what: String) {
        if self.broken.len() < BROKEN_MAX {
            self.broken.push(what);
        }
    }
}

fn is_entry(purpose: u8) -> bool {
    Purpose::from_u8(purpose).is_none_or(Purpose::is_entry)
}

/// The instruments of a world by their place in both tables.
pub fn instrument_of(contract: usize) -> InstrumentId {
    InstrumentId(u16::try_from(contract).expect("few contracts"))
}
