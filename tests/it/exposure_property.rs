//! T2: the position limit holds as the exchange sees it, whatever comes when.
//!
//! The gate and the ledger on one side, the simulated exchange's accounts and book on the other,
//! between them a wire that delays, reorders and loses. The oracle is the exchange's: its position,
//! and what is open in its book. It knows nothing of our reports.
//!
//! ```text
//!   ask ─► gate ─► on the wire ─► exchange ─► reports waiting ─► ledger
//!                  (arrives in any order,     (told in any order, once
//!                   or never)                  or twice, or Unknown first)
//! ```

use crate::pipeline_support::config_text;
use peregrine::base::event::{Event, Kind, Order, OrderReport, flags, side_flag};
use peregrine::base::settings::Mode;
use peregrine::base::{
    ClientOrderId, InstrumentId, Money, Nanos, OrderType, Purpose, Px, Qty, Reason, Side,
    TimeInForce,
};
use peregrine::exchange::account::order::{
    NewOrder, OrderKind, OrderName, PriceMatch, TimeInForce as VenueTif,
};
use peregrine::exchange::account::{AccountSettings, Accounts, Credential};
use peregrine::exchange::matching::{Book, SelfTrade};
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::ledger::Ledger;
use peregrine::policy::{Intent, Plan, Wanted};
use peregrine::risk::{Actor, Gate, GateSession, Trading, TradingState, Verdict};
use peregrine::runtime::config::{self, Loaded};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::sync::OnceLock;

const BTC: InstrumentId = InstrumentId(0);
const OURS: usize = 0;
const OTHER: usize = 1;
const START: Nanos = Nanos::from_secs(1_750_000_000);
/// Value of the largest position.
const LIMIT: &str = "3000";

#[derive(Clone, Debug)]
enum Move {
    /// An entry, or an exit, so many lots, so many ticks off the middle.
    Ask { exit: bool, buy: bool, lots: i64, ticks: i64 },
    /// The n-th order on the wire arrives.
    Arrive(usize),
    /// The n-th order on the wire is lost.
    Lose(usize),
    /// Somebody trades with our n-th open order, so many lots.
    Hit(usize, i64),
    /// We cancel the n-th of our live orders; the request may be lost.
    Cancel(usize, bool),
    /// The n-th waiting report comes, and stays to come again.
    Hear(usize, bool),
    /// The outcome of the n-th of our live orders is not known.
    Unknown(usize),
    /// The n-th of our live orders is asked for, and the exchange's word is heard.
    Resolve(usize),
}

fn moves() -> impl Strategy<Value = Move> {
    let nth = || 0_usize..64;
    prop_oneof![
        6 => (prop::bool::weighted(0.2), any::<bool>(), 1_i64..40, -30_i64..30)
            .prop_map(|(exit, buy, lots, ticks)| Move::Ask { exit, buy, lots, ticks }),
        5 => nth().prop_map(Move::Arrive),
        1 => nth().prop_map(Move::Lose),
        5 => (nth(), 1_i64..40).prop_map(|(n, lots)| Move::Hit(n, lots)),
        2 => (nth(), prop::bool::weighted(0.8)).prop_map(|(n, sent)| Move::Cancel(n, sent)),
        8 => (nth(), prop::bool::weighted(0.1)).prop_map(|(n, again)| Move::Hear(n, again)),
        1 => nth().prop_map(Move::Unknown),
        2 => nth().prop_map(Move::Resolve),
    ]
}

/// An order of ours that the exchange took on.
struct Taken {
    id: ClientOrderId,
    venue: u64,
    ended: bool,
}

struct World {
    gate: Gate,
    ledger: Ledger,
    market: SyntheticMarket,
    accounts: Accounts,
    now: Nanos,
    seq: u64,
    wire: Vec<Event>,
    taken: Vec<Taken>,
    waiting: Vec<Event>,
    trades: usize,
    approved: u64,
}

fn lot() -> i64 {
    SymbolSpec::btcusdt().instrument().lot_size.0
}

/// The configuration of every world, read once: there are hundreds of them.
fn loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| {
        let big = "\"1000000\"";
        let text = config_text(&[
            ("risk", "allow", "[\"BTCUSDT\"]"),
            ("risk", "starting_equity", big),
            ("risk", "capital_max", big),
            ("risk", "order_notional_max", big),
            ("risk", "position_notional_max", &format!("\"{LIMIT}\"")),
            ("risk", "gross_notional_max", big),
            ("risk", "orders_per_10s_max", "10000"),
            ("risk", "entries_per_day_max", "1000000"),
            ("risk", "open_orders_max", "200"),
            ("risk", "losses_in_a_row_max", "100000"),
            ("portfolio", "net_notional_max", big),
            ("portfolio", "correlated_notional_max", big),
        ]);
        config::from_text("property", &text).unwrap()
    })
}

impl World {
    fn new() -> Self {
        let facts = [SymbolSpec::btcusdt().instrument()];
        let session = GateSession { epoch: 1, strategy: 1, model: 1, mode: Mode::Paper };
        let mut gate = Gate::new(&loaded().settings.risk, &facts, session, Trading::new()).unwrap();
        gate.on_reconciled(&Event::EMPTY).unwrap();
        let person = Actor::Operator(1);
        gate.request(&Event::EMPTY, TradingState::Active, Reason::Operator, person).unwrap();
        let specs = [SymbolSpec::btcusdt()];
        let mut market = SyntheticMarket::new(1, &specs, START);
        market.at_mut(0).book = Book::default();
        let account = |i: usize| AccountSettings {
            keys: vec![(format!("key-{i}"), Credential::Hmac(format!("secret-{i}")))],
            deposit: Money::whole(10_000_000),
            leverage: 20,
        };
        let accounts = Accounts::new(&[account(OURS), account(OTHER)], &specs, START);
        Self {
            gate,
            ledger: Ledger::new(1, Money::whole(1_000_000)),
            market,
            accounts,
            now: START,
            seq: 0,
            wire: Vec::new(),
            taken: Vec::new(),
            waiting: Vec::new(),
            trades: 0,
            approved: 0,
        }
    }

    fn mark(&self) -> Px {
        self.market.mark_px(0)
    }

    /// The middle of the market, on the grid.
    fn middle(&self) -> Px {
        self.mark().floor_to(SymbolSpec::btcusdt().instrument().tick_size)
    }

    fn event(&mut self, kind: Kind, body: &OrderReport) -> Event {
        let mut event = Event::new(kind, BTC, body);
        event.ts_recv = self.now.0;
        event
    }

    fn hear(&mut self, event: &Event) {
        let mut event = *event;
        event.ts_recv = self.now.0;
        let change = self.ledger.on_event(&event);
        self.gate.on_event(&event, change, &self.ledger);
    }

    fn ask(&mut self, exit: bool, buy: bool, lots: i64, ticks: i64) {
        let tick = SymbolSpec::btcusdt().instrument().tick_size.0;
        let wanted = Wanted {
            instrument: BTC,
            side: if buy { Side::Buy } else { Side::Sell },
            qty: Qty(lots * lot()),
            px: Px(self.middle().0 + ticks * tick),
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            purpose: if exit { Purpose::ExitSignal } else { Purpose::Entry },
            reference_px: self.middle(),
            model_tag: 0,
            plan: Plan::default(),
        };
        self.seq += 1;
        let mut cause = Event { seq: self.seq, instrument: 0, ..Event::EMPTY };
        cause.ts_recv = self.now.0;
        let intent = if exit { Intent::Exit(wanted) } else { Intent::Enter(wanted) };
        if let Some(Verdict::Approved(approved)) =
            self.gate.admit(&cause, &intent, &mut self.ledger)
        {
            self.approved += 1;
            self.wire.push(*approved.event());
        }
    }

    fn arrive(&mut self, event: &Event) {
        let order: Order = *event.body();
        let new = NewOrder {
            contract: 0,
            side: event.side(),
            position_side: None,
            kind: OrderKind::Limit,
            tif: Some(VenueTif::Gtc),
            qty: Some(Qty(order.qty)),
            px: Some(Px(order.px)),
            reduce_only: Some(event.has(flags::REDUCE_ONLY)),
            client_id: None,
            self_trade: SelfTrade::ExpireMaker,
            price_match: PriceMatch::None,
            good_till: Nanos::ZERO,
        };
        let told = OrderReport { client_id: order.client_id, ..OrderReport::default() };
        match self.accounts.place(&mut self.market, OURS, &new, self.now) {
            Ok(placed) => {
                let id = ClientOrderId(order.client_id);
                self.taken.push(Taken { id, venue: placed.id, ended: false });
                let told = OrderReport { venue_id: placed.id, qty: placed.qty.0, ..told };
                let accepted = self.event(Kind::OrderAccepted, &told);
                self.waiting.push(accepted);
            }
            Err(_) => {
                let refused = self.event(Kind::OrderRejected, &told);
                self.waiting.push(refused);
            }
        }
    }

    /// Somebody takes from our n-th open order.
    fn hit(&mut self, n: usize, lots: i64) {
        let open = self.accounts.open_orders(OURS, 0).map(|o| (o.side, o.px));
        let open: Vec<(Side, Px)> = open.collect();
        let Some((side, px)) = open.get(n % open.len().max(1)).copied() else { return };
        let new = NewOrder {
            contract: 0,
            side: side.opposite(),
            position_side: None,
            kind: OrderKind::Limit,
            tif: Some(VenueTif::Ioc),
            qty: Some(Qty(lots * lot())),
            px: Some(px),
            reduce_only: None,
            client_id: None,
            self_trade: SelfTrade::ExpireMaker,
            price_match: PriceMatch::None,
            good_till: Nanos::ZERO,
        };
        let _ = self.accounts.place(&mut self.market, OTHER, &new, self.now);
    }

    fn cancel(&mut self, n: usize, arrives: bool) {
        let Some(id) = self.live(n) else { return };
        let cause = Event { ts_recv: self.now.0, ..Event::EMPTY };
        let _ = self.gate.admit_cancel(&cause, BTC, id, &mut self.ledger);
        let venue = self.taken.iter().find(|taken| taken.id == id).map(|taken| taken.venue);
        if let (true, Some(venue)) = (arrives, venue) {
            let name = OrderName { id: Some(venue), client_id: None };
            let _ = self.accounts.cancel(&mut self.market, OURS, 0, &name, self.now);
        }
    }

    fn live(&self, n: usize) -> Option<ClientOrderId> {
        let live = self.ledger.orders();
        live.get(n % live.len().max(1)).map(|order| order.id)
    }

    /// What happened at the exchange since, as reports that wait to be heard.
    fn gather(&mut self) {
        let trades = self.accounts.trades(OURS).to_vec();
        for trade in &trades[self.trades..] {
            let Some(taken) = self.taken.iter().find(|taken| taken.venue == trade.order) else {
                panic!("a trade of an order that was never placed");
            };
            let before = trades.iter().filter(|t| t.order == trade.order);
            let told = OrderReport {
                client_id: taken.id.0,
                venue_id: trade.order,
                trade_id: trade.trade_id.unsigned_abs(),
                last_qty: trade.qty.0,
                last_px: trade.px.0,
                cum_qty: before.filter(|t| t.trade_id <= trade.trade_id).map(|t| t.qty.0).sum(),
                ..OrderReport::default()
            };
            let filled = self.event(Kind::OrderFilled, &told).with_flags(side_flag(trade.side));
            self.waiting.push(filled);
        }
        self.trades = trades.len();
        for place in 0..self.taken.len() {
            if let Some(ended) = self.ending(place)
                && !self.taken[place].ended
            {
                self.taken[place].ended = true;
                self.waiting.push(ended);
            }
        }
    }

    /// The report of an order's end, if it has one that is not its last fill.
    fn ending(&mut self, place: usize) -> Option<Event> {
        let Taken { id, venue, .. } = self.taken[place];
        let name = OrderName { id: Some(venue), client_id: None };
        let order = self.accounts.order(OURS, 0, &name)?;
        if order.status.is_open() || order.leaves() == Qty::ZERO {
            return None;
        }
        let told = OrderReport {
            client_id: id.0,
            venue_id: venue,
            cum_qty: order.filled.0,
            ..OrderReport::default()
        };
        Some(self.event(Kind::OrderCancelled, &told))
    }

    /// What a reconciliation finds of an order: that it is open, how it ended with its trades, or,
    /// when it can arrive no more, that it never came about.
    fn resolve(&mut self, n: usize) {
        let Some(id) = self.live(n) else { return };
        if self.wire.iter().any(|event| event.body::<Order>().client_id == id.0) {
            return;
        }
        let told = OrderReport { client_id: id.0, ..OrderReport::default() };
        let Some(place) = self.taken.iter().position(|taken| taken.id == id) else {
            let refused = self.waiting.iter().any(|e| e.body::<OrderReport>().client_id == id.0);
            if !refused {
                let reason = Reason::NeverArrived as u16;
                let lost = self.event(Kind::OrderRejected, &OrderReport { reason, ..told });
                self.hear(&lost);
            }
            return;
        };
        let found = match self.ending(place) {
            Some(ended) => ended,
            None => self.event(Kind::OrderAccepted, &told),
        };
        self.hear(&found);
    }

    /// The larger of what buys and sells alone could make of the position, by the exchange's books.
    /// What may only shrink it makes nothing of it.
    fn exposure(&self) -> (i128, i128) {
        let held = self.accounts.positions(&self.market, OURS)[0].news.qty.0;
        let mut open = [0_i128; 2];
        for order in self.accounts.open_orders(OURS, 0).filter(|order| !order.reduce_only) {
            open[usize::from(order.side == Side::Sell)] += i128::from(order.leaves().0);
        }
        let held = i128::from(held);
        ((held + open[0]).abs().max((held - open[1]).abs()), held)
    }

    fn play(&mut self, step: &Move) {
        self.now = self.now + Nanos::from_secs(61);
        let (middle, tick) = (self.middle(), SymbolSpec::btcusdt().instrument().tick_size);
        self.ledger.on_mark(BTC, self.mark(), self.now);
        self.ledger.on_touch(BTC, Px(middle.0 - tick.0), Px(middle.0 + tick.0), self.now);
        match *step {
            Move::Ask { exit, buy, lots, ticks } => self.ask(exit, buy, lots, ticks),
            Move::Arrive(n) if !self.wire.is_empty() => {
                let event = self.wire.remove(n % self.wire.len());
                self.arrive(&event);
            }
            Move::Lose(n) if !self.wire.is_empty() => {
                let place = n % self.wire.len();
                self.wire.remove(place);
            }
            Move::Hit(n, lots) => self.hit(n, lots),
            Move::Cancel(n, arrives) => self.cancel(n, arrives),
            Move::Hear(n, again) if !self.waiting.is_empty() => {
                let place = n % self.waiting.len();
                let event = self.waiting[place];
                if !again {
                    self.waiting.remove(place);
                }
                self.hear(&event);
            }
            Move::Unknown(n) => {
                if let Some(id) = self.live(n) {
                    let told = OrderReport { client_id: id.0, ..OrderReport::default() };
                    let unknown = self.event(Kind::OrderUnknown, &told);
                    self.hear(&unknown);
                }
            }
            Move::Resolve(n) => self.resolve(n),
            Move::Arrive(_) | Move::Lose(_) | Move::Hear(..) => {}
        }
        self.gather();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn t2_the_position_limit_holds_as_the_exchange_sees_it(
        steps in prop::collection::vec(moves(), 1..160),
    ) {
        let mut world = World::new();
        let limit = i128::from(Money::parse(LIMIT).unwrap().0) * 100_000_000;
        for step in &steps {
            world.play(step);
            let (worst, held) = world.exposure();
            let value = worst * i128::from(world.mark().0);
            prop_assert!(value <= limit, "{step:?}: {worst} open and held, {held} held");
            prop_assert_eq!(world.ledger.fault(), None);
        }
        // When everything has been heard, the books agree to the lot.
        while let Some(event) = world.waiting.pop() {
            world.hear(&event);
            world.gather();
        }
        let (_, held) = world.exposure();
        let ours = world.ledger.position(BTC).unwrap().qty.0;
        prop_assert_eq!(i128::from(ours), held);
    }
}

/// The property is worth nothing where nothing is approved or filled.
#[test]
fn the_interleavings_reach_the_limit() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut approved, mut traded, mut most) = (0, 0, 0);
    for _ in 0..60 {
        let steps = prop::collection::vec(moves(), 120..160).new_tree(&mut runner).unwrap();
        let mut world = World::new();
        for step in &steps.current() {
            world.play(step);
            most = most.max(world.exposure().0 * i128::from(world.mark().0));
        }
        approved += world.approved;
        traded += world.trades;
    }
    let limit = i128::from(Money::parse(LIMIT).unwrap().0) * 100_000_000;
    assert!(approved > 600 && traded > 150, "{approved} approved, {traded} trades");
    assert!(most * 10 > limit * 9, "the exchange saw at most {most} of {limit}");
}
