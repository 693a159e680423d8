//! Each check finds what it is there for: fed with one thing that must not be, it says so.

use super::books::Books;
use super::parts::{bounds, exchange};
use super::plan::{LIVENESS, Plan, SAFETY};
use super::run::Run;
use super::watch::Watch;
use peregrine::base::event::{
    Event, Gap, Kind, ModelLoaded, Order, SessionStart, StateChange, Trade, flags,
};
use peregrine::base::units::SCALE;
use peregrine::base::{ClientOrderId, InstrumentId, Nanos, Px, Qty, Reason, Side};
use peregrine::exchange::account::order::Order as VenueOrder;
use peregrine::exchange::wire::http::Request;
use peregrine::execution::RequestKind;
use peregrine::risk::TradingState;

/// A time at which something leaves.
const AT: (Nanos, Nanos) = (Nanos(0), Nanos(0));

/// The first id of the first session.
fn id() -> ClientOrderId {
    ClientOrderId::pack(1, 1, 1, 1)
}

fn event<B: peregrine::base::event::Body>(kind: Kind, seq: u64, body: &B) -> Event {
    let mut event = Event::new(kind, InstrumentId(0), body);
    (event.seq, event.ts_recv) = (seq, 5_000_000_000);
    event
}

fn order(kind: Kind, seq: u64, id: ClientOrderId) -> Event {
    let model_tag = bounds().model_tag;
    event(kind, seq, &Order { client_id: id.0, purpose: 1, model_tag, ..Order::default() })
}

fn state(to: TradingState) -> Event {
    event(Kind::StateChange, 2, &StateChange { to: to as u8, ..StateChange::default() })
}

/// A watch that has heard of a session whose first entry was approved and intended.
fn watch() -> Watch {
    let mut watch = Watch::new(bounds());
    let start = SessionStart { epoch: 1, ..SessionStart::default() };
    watch.hear(&event(Kind::SessionStart, 1, &start));
    watch.hear(&event(Kind::BookTicker, 1, &peregrine::base::event::BookTicker::default()));
    watch.hear(&state(TradingState::Active));
    watch.hear(&order(Kind::OrderApproved, 3, id()));
    watch.hear(&order(Kind::OrderIntent, 3, id()));
    watch
}

fn request(id: ClientOrderId, reduce: bool) -> Request {
    let query = format!("symbol=BTCUSDT&reduceOnly={reduce}&newClientOrderId={id}");
    Request { query, ..Request::default() }
}

/// An order as the venue has it after it was taken on from the website.
fn at_venue(number: u64, name: &str) -> VenueOrder {
    let mut exchange = exchange(1, super::parts::OPENED);
    let params = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=59000";
    let account = super::account::Account::new();
    let now = exchange.now();
    let placed =
        exchange.http(&account.signed("POST", "/fapi/v1/order", params, now), [1; 4].into(), now);
    assert_eq!(placed.status, 200, "{}", String::from_utf8_lossy(&placed.body));
    let taken = exchange.accounts.orders(0).next().expect("one order").clone();
    VenueOrder { id: number, client_id: name.to_owned(), ..taken }
}

#[track_caller]
fn assert_finds(watch: &Watch, what: &str) {
    assert_eq!(watch.broken.len(), 1, "{:?}", watch.broken);
    assert!(watch.broken[0].starts_with(what), "{:?}", watch.broken);
}

#[test]
fn what_is_as_promised_breaks_nothing() {
    let mut watch = watch();
    watch.on_send(RequestKind::Order, &request(id(), false), AT);
    watch.on_venue_order(&at_venue(1, &id().to_string()));
    let open = at_venue(2, "x");
    watch.on_exposure(0, 0, &[&VenueOrder { px: Px::ZERO, ..open }]);
    assert!(watch.broken.is_empty(), "{:?}", watch.broken);
}

#[test]
fn t1_finds_a_second_order_of_one_decision() {
    // The same name twice.
    let mut twice = watch();
    twice.on_venue_order(&at_venue(1, &id().to_string()));
    assert!(twice.broken.is_empty());
    twice.on_venue_order(&at_venue(2, &id().to_string()));
    assert!(twice.broken[0].starts_with("T1"), "{:?}", twice.broken);
    // Another name for the same decision.
    let (mut renamed, other) = (watch(), ClientOrderId::pack(1, 1, 1, 2));
    renamed.hear(&order(Kind::OrderApproved, 3, other));
    renamed.on_venue_order(&at_venue(1, &id().to_string()));
    assert!(renamed.broken.is_empty());
    renamed.on_venue_order(&at_venue(2, &other.to_string()));
    assert_finds(&renamed, "T1");
    // An order that nobody decided.
    let mut phantom = watch();
    phantom.on_venue_order(&at_venue(1, &other.to_string()));
    assert_finds(&phantom, "T1");
    // An id of another session.
    let mut old = watch();
    old.hear(&order(Kind::OrderApproved, 4, ClientOrderId::pack(7, 1, 1, 1)));
    assert_finds(&old, "T1");
}

#[test]
fn t2_finds_a_position_and_orders_beyond_the_limit() {
    let limit = bounds().position_notional;
    let open = |side, qty: i64| VenueOrder { side, qty: Qty(qty), ..at_venue(1, "x") };
    // At 59 000 a thousandth is worth 59.
    let (buy, sell) = (open(Side::Buy, SCALE / 1_000), open(Side::Sell, SCALE / 1_000));
    for (cost, order, beyond) in [
        (limit, &buy, true),
        (limit - 59 * SCALE, &buy, false),
        (limit, &sell, false),
        (-limit, &sell, true),
        (-limit - 1, &buy, true),
    ] {
        let mut watch = watch();
        watch.on_exposure(0, cost, &[order]);
        assert_eq!(!watch.broken.is_empty(), beyond, "{cost} {:?}", watch.broken);
    }
    let mut watch = watch();
    watch.on_exposure(0, limit, &[&VenueOrder { reduce_only: true, ..buy }]);
    assert!(watch.broken.is_empty(), "what only reduces adds nothing");
}

#[test]
fn t3_finds_a_journal_that_was_changed() {
    let mut run = Run::new(1, Plan::calm());
    run.start();
    let end = Nanos::from_secs(2);
    while run.now() < end {
        run.step(end);
    }
    let dir = run.crash().expect("a session was under way");
    run.replay(&dir);
    assert!(run.world.borrow().watch.broken.is_empty());
    let mut lanes = crate::pipeline_support::lane_files(&dir);
    let (name, bytes) = &mut lanes[0];
    let at = bytes.len() / 1_000;
    bytes[at] ^= 1;
    std::fs::write(dir.join(name), bytes).unwrap();
    run.replay(&dir);
    assert_finds(&run.world.borrow().watch, "T3");
}

#[test]
fn t4_finds_a_session_that_never_comes_to_agree() {
    let mut plan = Plan::calm();
    // Answers to orders do not come, also after the end of all faults.
    plan.manners.iter_mut().for_each(|manner| manner.down.push((Nanos(0), SAFETY + LIVENESS)));
    let mut run = Run::new(1, plan);
    run.start();
    while run.now() < SAFETY {
        run.step(SAFETY);
    }
    assert_eq!(run.settle(), None);
    assert_finds(&run.world.borrow().watch, "T4");
}

#[test]
fn t5_finds_what_leaves_after_a_kill() {
    let mut watch = watch();
    watch.hear(&state(TradingState::Killed));
    watch.on_send(RequestKind::Order, &request(id(), true), AT);
    assert!(watch.broken.is_empty(), "what only reduces may leave");
    watch.on_send(RequestKind::Order, &request(id(), false), AT);
    assert_finds(&watch, "T5");
}

#[test]
fn t6_finds_what_leaves_without_an_intent() {
    let other = ClientOrderId::pack(1, 1, 1, 9);
    let mut order = watch();
    order.on_send(RequestKind::Order, &request(other, false), AT);
    assert_finds(&order, "T6");
    let mut cancel = watch();
    let query = format!("symbol=BTCUSDT&origClientOrderId={}", id());
    let request = Request { query, ..Request::default() };
    cancel.on_send(RequestKind::Cancel, &request, AT);
    assert_finds(&cancel, "T6");
}

#[test]
fn t7_finds_entries_on_old_data_by_another_model_or_while_not_active() {
    let next = ClientOrderId::pack(1, 1, 1, 2);
    let entry = order(Kind::OrderApproved, 5, next);
    let mut stale = watch();
    let late = Event { ts_recv: entry.ts_recv + 2_000_000_000, ..entry };
    stale.hear(&late);
    assert_finds(&stale, "T7");
    let mut state_of = watch();
    state_of.hear(&state(TradingState::Reducing));
    state_of.hear(&entry);
    assert_finds(&state_of, "T7");
    let mut other = watch();
    let body = Order { model_tag: 1, ..*entry.body::<Order>() };
    other.hear(&event(Kind::OrderApproved, 5, &body));
    assert_finds(&other, "T7");
    let mut told = watch();
    told.on_send(RequestKind::Order, &request(id(), false), (Nanos(0), Nanos::from_secs(5)));
    assert_finds(&told, "T7");
    let mut loaded = watch();
    loaded.hear(&event(Kind::ModelLoaded, 1, &ModelLoaded::default()));
    assert_finds(&loaded, "T7");
}

#[test]
fn t8_finds_money_that_only_the_exchange_knows_of() {
    let mut run = Run::new(1, Plan::calm());
    run.start();
    while run.now() < SAFETY {
        run.step(SAFETY);
    }
    assert!(run.settle().is_some());
    run.check_money();
    assert!(run.world.borrow().watch.broken.is_empty());
    // Bought and sold by someone else within the same instant: the position is as it was.
    for side in ["BUY", "SELL"] {
        let mut world = run.world.borrow_mut();
        let params = format!("symbol=BTCUSDT&side={side}&type=MARKET&quantity=0.002");
        let (account, now) = (super::account::Account::new(), world.venue_time());
        let request = account.signed("POST", "/fapi/v1/order", &params, now);
        let placed = world.exchange.http(&request, [1; 4].into(), now);
        assert_eq!(placed.status, 200, "{}", String::from_utf8_lossy(&placed.body));
    }
    run.check_money();
    let broken = &run.world.borrow().watch.broken;
    assert!(broken.iter().any(|what| what.starts_with("T8: fees")), "{broken:?}");
}

#[test]
fn b2_finds_trades_that_are_missing_untold_come_twice_or_are_not_as_they_were() {
    let trade = |trade_id| event(Kind::AggTrade, 4, &Trade { trade_id, ..Trade::default() });
    let gap = |expected, got| {
        let reason = Reason::TradeGap as u16;
        event(Kind::Gap, 4, &Gap { expected, got, reason, ..Gap::default() })
    };
    for (last, is_broken) in [(trade(10), false), (trade(11), true), (trade(9), true)] {
        let mut watch = watch();
        for heard in [trade(5), trade(6), gap(7, 9), trade(9), last] {
            watch.hear(&heard);
        }
        assert_eq!(!watch.broken.is_empty(), is_broken, "{:?}", watch.broken);
        assert!(watch.broken.iter().all(|what| what.starts_with("B2")));
    }
    let mut exchange = exchange(1, super::parts::OPENED);
    exchange.advance(exchange.now() + Nanos::from_secs(10));
    let contract = exchange.market.at(0);
    let history = contract.history.as_ref().expect("it remembers");
    let past = history.aggregates().back().expect("somebody traded");
    let (tick, lot) = (contract.spec.tick_size.0, contract.spec.lot_size.0);
    let bits = if past.print.taker == Side::Sell { flags::SELL } else { 0 };
    let body = Trade {
        trade_id: past.id.unsigned_abs(),
        px: past.print.tick * tick,
        qty: past.print.lots * lot,
        ..Trade::default()
    };
    let found = |body: Trade, bits: u8| {
        let heard = event(Kind::AggTrade, 4, &body).with_flags(bits);
        Books::wrong_trade(&exchange, &heard)
    };
    assert_eq!(found(body, bits), None);
    assert!(found(Trade { qty: body.qty + lot, ..body }, bits).is_some());
    assert!(found(Trade { px: body.px - tick, ..body }, bits).is_some());
    assert!(found(body, bits ^ flags::SELL).is_some());
    assert!(found(Trade { trade_id: body.trade_id + 1, ..body }, bits).is_some(), "never was");
}

#[test]
fn t9_finds_another_seed() {
    let hash = |seed| Run::new(seed, Plan::calm()).until_end().journals;
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
