use super::*;
use crate::base::event::{Order, VenuePosition, flags};
use crate::base::{ClientOrderId, Money, Px, Qty, Side};
use std::collections::BTreeMap;

mod carried;
mod waits;

const BTC: InstrumentId = InstrumentId(0);
const ID: ClientOrderId = ClientOrderId(7);
const TURN: Nanos = Nanos::from_millis(100);

fn symbol() -> Symbol {
    Symbol::new(b"BTCUSDT").unwrap()
}

/// A venue of a few lists, and a river that numbers what the reconciler says.
struct Desk {
    reconciler: Reconciler,
    now: Nanos,
    qty: i64,
    trades: Vec<VenueTrade>,
    funding: Vec<VenueFunding>,
    orders: BTreeMap<u64, VenueOrder>,
    foreign: Vec<VenueOrder>,
    /// Reads that fail before one does not.
    failures: usize,
    told: Vec<Event>,
    asked: Vec<Question>,
}

impl Desk {
    fn new() -> Self {
        let mut desk = Self {
            reconciler: Reconciler::new(&[symbol()], 0),
            now: Nanos::from_secs(1_000),
            qty: 0,
            trades: Vec::new(),
            funding: Vec::new(),
            orders: BTreeMap::new(),
            foreign: Vec::new(),
            failures: 0,
            told: Vec::new(),
            asked: Vec::new(),
        };
        desk.hear(Event::new(Kind::SessionStart, InstrumentId::NONE, &OrderReport::default()));
        desk.reconciler.on_stream(true, desk.now);
        desk
    }

    fn hear(&mut self, event: Event) {
        self.reconciler.hear(&Event { ts_recv: self.now.0, ..event });
    }

    fn answer(&self, question: &Question) -> Told {
        match question {
            Question::OpenOrders { .. } => {
                let open = self.orders.values().filter(|o| o.standing == Standing::Open);
                Told::Orders(open.chain(&self.foreign).cloned().collect())
            }
            Question::OpenAlgoOrders { .. } => Told::Orders(Vec::new()),
            Question::Positions if self.qty == 0 => Told::Positions(Vec::new()),
            Question::Positions => {
                let (symbol, qty) = (symbol(), Qty(self.qty));
                Told::Positions(vec![VenueHolding { symbol, qty, entry_px: Px::whole(100) }])
            }
            Question::Wallet => Told::Wallet(Money::whole(1_000)),
            Question::Trades { from, .. } => {
                let from = from.unwrap_or(0);
                let wanted = self.trades.iter().filter(|trade| trade.id >= from);
                Told::Trades(wanted.take(PAGE_ROWS).copied().collect())
            }
            Question::TradesSince { since, .. } => {
                Told::Trades(self.trades.iter().filter(|t| t.ts >= *since).copied().collect())
            }
            Question::Funding { .. } => Told::Funding(self.funding.clone()),
            Question::Order { id, .. } => Told::Order(self.orders.get(&id.0).cloned()),
            Question::OrderNumbered { number, .. } => {
                let mut all = self.orders.values().chain(&self.foreign);
                Told::Order(all.find(|order| order.venue_id == *number).cloned())
            }
            Question::AlgoOrder { .. } => Told::Order(None),
        }
    }

    fn turn(&mut self) {
        self.now = self.now + TURN;
        while let Some(question) = self.reconciler.question(self.now) {
            self.asked.push(question);
            let fails = self.failures > 0;
            self.failures = self.failures.saturating_sub(1);
            let told = self.answer(&question);
            self.reconciler.on_answer(&question, Some(&told).filter(|_| !fails), self.now);
            while let Some(event) = self.reconciler.event() {
                self.told.push(event);
                self.hear(event);
            }
        }
    }

    /// Turns until nothing is sought any more.
    fn settle(&mut self, turns: usize) {
        for _ in 0..turns {
            self.turn();
            if !self.reconciler.is_busy() {
                return;
            }
        }
        panic!("still busy after {turns} turns: {:?}", self.kinds());
    }

    fn kinds(&self) -> Vec<Kind> {
        self.told.iter().filter_map(Event::kind).collect()
    }

    fn statuses(&self) -> Vec<Reason> {
        let told = self.told.iter().filter(|e| e.kind() == Some(Kind::VenueStatus));
        told.filter_map(|e| Reason::from_u16(e.body::<VenueStatus>().reason)).collect()
    }

    /// Sends a buy order of so many lots, of which nothing is heard any more.
    fn lose_order(&mut self, qty: i64) {
        let order = Order { client_id: ID.0, qty, px: 100, ..Order::default() };
        let request = Event::new(Kind::OrderApproved, BTC, &order);
        self.reconciler.hear_request(&Event { ts_recv: self.now.0, ..request });
        let lost = OrderReport {
            client_id: ID.0,
            qty,
            reason: Reason::RequestTimeout as u16,
            ..OrderReport::default()
        };
        self.hear(Event::new(Kind::OrderUnknown, BTC, &lost));
    }

    fn list(&mut self, standing: Standing, qty: i64, filled: i64) {
        let order = VenueOrder {
            symbol: symbol(),
            name: ID.to_string(),
            venue_id: 70,
            standing,
            is_algo: false,
            side: Side::Buy,
            reduce_only: false,
            px: Px(100),
            qty: Qty(qty),
            filled: Qty(filled),
            updated: self.now,
            became: 0,
        };
        self.orders.insert(ID.0, order);
    }

    fn trade(&mut self, id: u64, order: u64, qty: i64) {
        self.trades.push(VenueTrade {
            id,
            order,
            side: Side::Buy,
            px: Px(100),
            qty: Qty(qty),
            fee: Money(3),
            is_maker: false,
            ts: self.now,
        });
        self.qty += qty;
    }
}

fn clean() -> Desk {
    let mut desk = Desk::new();
    desk.settle(20);
    assert_eq!(desk.kinds(), [Kind::VenuePosition, Kind::Reconciled]);
    desk.told.clear();
    desk.asked.clear();
    desk
}

#[test]
fn a_quiet_account_is_clean_after_two_reads_of_its_positions() {
    let mut desk = Desk::new();
    desk.settle(20);
    assert_eq!(desk.kinds(), [Kind::VenuePosition, Kind::Reconciled]);
    assert!(desk.told[0].has(flags::LAST));
    let reads = desk.asked.iter().filter(|q| **q == Question::Positions).count();
    assert_eq!(reads, 2);
}

#[test]
fn fault_r02_an_order_whose_answer_was_lost_is_found_and_its_fills_are_told_once() {
    let mut desk = clean();
    desk.lose_order(5);
    desk.list(Standing::Filled, 5, 5);
    desk.trade(11, 70, 2);
    desk.trade(12, 70, 3);
    desk.settle(50);
    let fills: Vec<_> = desk.told.iter().filter(|e| e.kind() == Some(Kind::OrderFilled)).collect();
    let ids: Vec<_> = fills.iter().map(|e| e.body::<OrderReport>().trade_id).collect();
    assert_eq!(ids, [11, 12]);
    assert!(fills.iter().all(|e| e.body::<OrderReport>().client_id == ID.0));
    assert_eq!(fills[0].body::<OrderReport>().fee, 3);
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
    assert_eq!(desk.reconciler.position(BTC), Some(5));
    assert_eq!(desk.statuses(), Vec::<Reason>::new());
}

#[test]
fn fault_r18_an_order_that_stayed_open_is_told_open() {
    let mut desk = clean();
    desk.lose_order(5);
    desk.list(Standing::Open, 5, 0);
    desk.settle(50);
    let accepted = desk.told.iter().find(|e| e.kind() == Some(Kind::OrderAccepted)).unwrap();
    let body: &OrderReport = accepted.body();
    assert_eq!((body.client_id, body.venue_id), (ID.0, 70));
    assert_eq!(body.reason, Reason::Reconciled as u16, "a cancel may leave anew");
}

#[test]
fn an_order_that_is_nowhere_is_lost_only_after_it_can_not_arrive_any_more() {
    let mut desk = clean();
    let sent = desk.now;
    desk.lose_order(5);
    desk.settle(200);
    let lost = desk.told.iter().find(|e| e.kind() == Some(Kind::OrderExpired)).unwrap();
    assert_eq!(lost.body::<OrderReport>().reason, Reason::UnknownOrder as u16);
    let asked = desk.asked.iter().filter(|q| matches!(q, Question::Order { .. })).count();
    assert!(asked >= 5, "procedure U asks five times by itself: {asked}");
    assert!(desk.now - sent > Nanos::from_secs(8));
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
}

#[test]
fn a_failed_read_is_not_flat_and_is_told_when_it_goes_on() {
    let mut desk = clean();
    desk.trade(11, 70, 5);
    desk.failures = 3;
    desk.reconciler.want(desk.now);
    desk.turn();
    assert_eq!(desk.told.len(), 0, "nothing is concluded from a read that failed");
    desk.failures = 1_000;
    for _ in 0..400 {
        desk.turn();
    }
    assert_eq!(desk.statuses(), [Reason::ReconcileFailed]);
    assert_eq!(desk.kinds(), [Kind::VenueStatus]);
}

#[test]
fn fault_r23_a_foreign_order_is_told_after_two_reads_and_never_touched() {
    let mut desk = clean();
    desk.list(Standing::Open, 5, 0);
    let stranger = VenueOrder { name: "web_abc".to_owned(), ..desk.orders[&ID.0].clone() };
    desk.orders.clear();
    desk.foreign.push(stranger);
    desk.reconciler.want(desk.now);
    desk.settle(50);
    assert_eq!(desk.statuses(), [Reason::ForeignOrder]);
    let lists = desk.asked.iter().filter(|q| matches!(q, Question::OpenOrders { .. })).count();
    assert_eq!(lists, 2);
    // One of our own form that this chain never sent is just as foreign.
    desk.foreign[0].name = ClientOrderId(99).to_string();
    desk.reconciler.want(desk.now);
    desk.settle(50);
    assert_eq!(desk.statuses(), [Reason::ForeignOrder; 2]);
}

#[test]
fn fault_r23_a_position_that_no_trade_explains_is_a_mismatch_and_never_clean() {
    let mut desk = clean();
    desk.qty = 9;
    desk.reconciler.want(desk.now);
    desk.turn();
    assert_eq!(desk.statuses(), [Reason::PositionMismatch]);
    let told = desk.told.iter().find(|e| e.kind() == Some(Kind::VenuePosition)).unwrap();
    assert_eq!(told.body::<VenuePosition>().qty, 9);
    assert!(!desk.kinds().contains(&Kind::Reconciled));
    assert!(desk.reconciler.is_busy(), "it is looked at again");
}

#[test]
fn fault_r24_trades_are_read_on_by_their_numbers_though_all_have_one_time() {
    let mut desk = clean();
    let most = i64::try_from(PAGE_ROWS).unwrap() + 500;
    desk.lose_order(most);
    desk.list(Standing::Filled, most, most);
    for id in 1..=most {
        desk.trade(id.unsigned_abs(), 70, 1);
    }
    desk.settle(50);
    let fills = desk.kinds().iter().filter(|kind| **kind == Kind::OrderFilled).count();
    assert_eq!(fills, PAGE_ROWS + 500);
    assert_eq!(desk.reconciler.position(BTC), Some(most));
}

#[test]
fn fault_r22_an_order_that_left_the_venue_s_history_is_known_by_its_trades() {
    let mut desk = clean();
    desk.lose_order(5);
    let taken = OrderReport { client_id: ID.0, venue_id: 70, qty: 5, ..OrderReport::default() };
    desk.hear(Event::new(Kind::OrderAccepted, BTC, &taken));
    // A long outage later the order is not listed any more, and its trades are.
    desk.reconciler.on_stream(false, desk.now);
    desk.now = desk.now + Nanos::from_secs(4 * 86_400);
    desk.trade(11, 70, 2);
    desk.trade(12, 70, 3);
    desk.reconciler.on_stream(true, desk.now);
    desk.settle(200);
    let fills = desk.told.iter().filter(|e| e.kind() == Some(Kind::OrderFilled));
    let fills: Vec<&OrderReport> = fills.map(Event::body).collect();
    assert_eq!(fills.iter().map(|fill| fill.trade_id).collect::<Vec<_>>(), [11, 12]);
    assert!(fills.iter().all(|fill| fill.client_id == ID.0));
    assert!(!desk.kinds().contains(&Kind::OrderExpired), "it is filled, not lost");
    assert_eq!(desk.reconciler.position(BTC), Some(5));
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
}

#[test]
fn fault_r22_absence_alone_ends_no_order_while_the_position_says_otherwise() {
    let mut desk = clean();
    desk.lose_order(5);
    desk.qty = 5;
    for _ in 0..400 {
        desk.turn();
    }
    assert!(!desk.kinds().contains(&Kind::OrderExpired));
    assert!(!desk.kinds().contains(&Kind::Reconciled));
    assert!(desk.statuses().contains(&Reason::OutcomeUnresolved), "{:?}", desk.statuses());
}

#[test]
fn fault_w18_a_fill_that_the_stream_and_the_list_tell_counts_once() {
    let mut desk = clean();
    desk.lose_order(5);
    desk.list(Standing::Filled, 5, 5);
    desk.trade(11, 70, 5);
    let body = OrderReport {
        client_id: ID.0,
        venue_id: 70,
        last_qty: 5,
        last_px: 100,
        cum_qty: 5,
        trade_id: 11,
        ..OrderReport::default()
    };
    desk.hear(Event::new(Kind::OrderFilled, BTC, &body));
    desk.reconciler.on_stream(true, desk.now);
    desk.settle(50);
    assert_eq!(desk.kinds(), [Kind::VenuePosition, Kind::Reconciled]);
    assert_eq!(desk.reconciler.position(BTC), Some(5));
}

#[test]
fn fault_x04_funding_that_was_missed_is_told_and_what_the_stream_told_is_not_told_again() {
    let mut desk = clean();
    let paid = |ts| VenueFunding { symbol: symbol(), amount: Money(-4), ts };
    desk.now = desk.now + Nanos::from_secs(3_600);
    desk.funding.push(paid(desk.now));
    desk.reconciler.want(desk.now);
    desk.settle(50);
    let told =
        |desk: &Desk| desk.kinds().iter().filter(|kind| **kind == Kind::FundingPayment).count();
    assert_eq!(told(&desk), 1);
    desk.reconciler.want(desk.now);
    desk.settle(50);
    assert_eq!(told(&desk), 1, "once");
}

#[test]
fn an_order_of_an_earlier_session_that_never_arrived_is_settled_as_soon_as_its_time_has_passed() {
    for (age, early) in [(Nanos::from_secs(60), true), (Nanos::from_secs(1), false)] {
        let mut desk = Desk::new();
        let carried = OrderCarried {
            client_id: ID.0,
            qty: 10,
            ts_sent: (desk.now - age).0,
            ..OrderCarried::default()
        };
        desk.hear(Event::new(Kind::OrderCarried, BTC, &carried));
        let began = desk.now;
        desk.settle(200);
        let lost = desk.told.iter().position(|event| {
            let body: &OrderReport = event.body();
            event.kind() == Some(Kind::OrderExpired) && body.reason == Reason::UnknownOrder as u16
        });
        let lost = lost.expect("it is nowhere, so it is lost");
        assert!(desk.asked.iter().any(|q| matches!(q, Question::Order { .. })), "it is asked for");
        assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
        assert_eq!(desk.told[lost].body::<OrderReport>().client_id, ID.0);
        // Lost at once when no request can be on its way any more, and never before that.
        let waited = desk.now - began;
        assert_eq!(waited < Nanos::from_secs(2), early, "{waited:?}");
        assert!(early || waited > Nanos::from_secs(5), "{waited:?}");
    }
}

#[test]
fn an_order_that_filled_for_less_than_we_asked_is_over_once_its_fills_are_known() {
    let mut desk = Desk::new();
    desk.settle(20);
    let order = Order { client_id: ID.0, qty: 10, px: 100, ..Order::default() };
    let request = Event::new(Kind::OrderApproved, BTC, &order);
    desk.reconciler.hear_request(&Event { ts_recv: desk.now.0, ..request });
    desk.hear(Event::new(
        Kind::OrderFilled,
        BTC,
        &OrderReport {
            client_id: ID.0,
            venue_id: 70,
            qty: 10,
            last_px: 100,
            last_qty: 6,
            cum_qty: 6,
            trade_id: 3,
            ..OrderReport::default()
        },
    ));
    desk.qty = 6;
    desk.list(Standing::Filled, 6, 6);
    desk.reconciler.want(desk.now);
    desk.settle(200);
    let kinds = desk.kinds();
    assert!(kinds.contains(&Kind::OrderExpired), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&Kind::Reconciled), "{kinds:?}");
    assert!(!kinds.contains(&Kind::OrderFilled), "no fill is told twice: {kinds:?}");
}

#[test]
fn an_order_held_for_over_that_is_open_at_the_venue_is_told_after_two_reads() {
    let mut desk = clean();
    desk.lose_order(5);
    let over = OrderReport { client_id: ID.0, qty: 5, ..OrderReport::default() };
    desk.hear(Event::new(Kind::OrderCancelled, BTC, &over));
    desk.list(Standing::Open, 5, 0);
    desk.now = desk.now + Nanos::from_secs(10);
    desk.reconciler.want(desk.now);
    desk.settle(50);
    let told = desk.told.iter().find(|e| e.kind() == Some(Kind::VenueStatus)).unwrap();
    let body: &VenueStatus = told.body();
    assert_eq!((body.reason, body.client_id), (Reason::ForeignOrder as u16, ID.0));
    let lists = desk.asked.iter().filter(|q| matches!(q, Question::OpenOrders { .. })).count();
    assert_eq!(lists, 2);
}
