mod stops;

use super::*;
use crate::base::event::{DepthLevels, Level, Trade, side_flag};
use crate::base::settings::QueueModel;
use crate::base::{OrderType, Symbol, TimeInForce};
use crate::ledger::{Ledger, LedgerChange};
use proptest::prelude::*;

const BTC: InstrumentId = InstrumentId(0);

fn px(text: &str) -> Px {
    Px::parse(text).unwrap()
}

fn qty(text: &str) -> Qty {
    Qty::parse(text).unwrap()
}

fn facts() -> InstrumentSettings {
    InstrumentSettings {
        symbol: Symbol::new(b"BTCUSDT").unwrap(),
        tick_size: px("0.1"),
        lot_size: qty("0.001"),
        min_qty: qty("0.001"),
        max_qty: qty("1000"),
        min_notional: Money::whole(5),
        // 2 and 5 basis points.
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    }
}

fn ms(millis: i64) -> Nanos {
    Nanos::from_millis(millis)
}

/// A venue 1 ms away in both directions, at 99.9 × 5 and 100.1 × 3.
struct Desk {
    venue: PaperVenue,
    next_id: u64,
}

impl Desk {
    fn new(queue: QueueModel) -> Self {
        let settings = PaperSettings { queue, ..PaperSettings::default() };
        let venue = PaperVenue::new(&[facts()], settings, Money::whole(10_000));
        let mut desk = Self { venue, next_id: 0 };
        desk.quote(0, ("99.9", "5"), ("100.1", "3"));
        desk
    }

    fn quote(&mut self, at: i64, bid: (&str, &str), ask: (&str, &str)) {
        let body = BookTicker {
            bid_px: px(bid.0).0,
            bid_qty: qty(bid.1).0,
            ask_px: px(ask.0).0,
            ask_qty: qty(ask.1).0,
            ..BookTicker::default()
        };
        self.market(at, Event::new(Kind::BookTicker, BTC, &body));
    }

    fn trade(&mut self, at: i64, taker: Side, quantity: &str, price: &str) {
        let body = Trade { px: px(price).0, qty: qty(quantity).0, ..Trade::default() };
        self.market(at, Event::new(Kind::AggTrade, BTC, &body).with_flags(side_flag(taker)));
    }

    fn mark(&mut self, at: i64, price: &str, rate: i64, next_funding: i64) {
        let body = MarkPrice {
            mark_px: px(price).0,
            funding_rate: rate,
            ts_next_funding: ms(next_funding).0,
            ..MarkPrice::default()
        };
        self.market(at, Event::new(Kind::MarkPrice, BTC, &body));
    }

    fn market(&mut self, at: i64, mut event: Event) {
        event.ts_recv = ms(at).0;
        self.venue.on_market(&event);
    }

    fn send(&mut self, at: i64, side: Side, kind: &str, quantity: &str, price: &str) -> u64 {
        let (order_type, tif) = match kind {
            "GTC" => (OrderType::Limit, TimeInForce::Gtc),
            "IOC" | "IOC-R" => (OrderType::Limit, TimeInForce::Ioc),
            "FOK" => (OrderType::Limit, TimeInForce::Fok),
            "GTX" => (OrderType::Limit, TimeInForce::Gtx),
            "STOP-R" => (OrderType::StopMarket, TimeInForce::Gtc),
            _ => (OrderType::Market, TimeInForce::Ioc),
        };
        self.next_id += 1;
        let body = Order {
            client_id: self.next_id,
            px: px(price).0,
            qty: qty(quantity).0,
            order_type: order_type as u8,
            time_in_force: tif as u8,
            ..Order::default()
        };
        let reduce = if kind.ends_with("-R") { flags::REDUCE_ONLY } else { 0 };
        let event = Event::new(Kind::OrderApproved, BTC, &body);
        self.venue.submit(&event.with_flags(side_flag(side) | reduce), ms(at));
        self.next_id
    }

    fn cancel(&mut self, at: i64, id: u64) {
        let body = Order { client_id: id, ..Order::default() };
        self.venue.cancel(&Event::new(Kind::CancelApproved, BTC, &body), ms(at));
    }

    /// Every report due by `at`, as words.
    fn hear(&mut self, at: i64) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(event) = self.venue.poll(ms(at)) {
            let report: &OrderReport = event.body();
            assert!(event.has(flags::PAPER) && event.now() <= ms(at));
            words.push(match event.kind().unwrap() {
                Kind::OrderFilled => {
                    let role = if event.has(flags::MAKER) { "maker" } else { "taker" };
                    let (quantity, price) = (Qty(report.last_qty), Px(report.last_px));
                    format!("{role} {quantity} at {price} fee {}", Money(report.fee))
                }
                Kind::FundingPayment => {
                    let body: &FundingPayment = event.body();
                    format!("funding {}", Money(body.amount))
                }
                kind => {
                    let reason = Reason::from_u16(report.reason).unwrap();
                    format!("{} {reason:?} {}", kind.name(), Qty(report.cum_qty))
                }
            });
        }
        words
    }
}

fn averse() -> Desk {
    Desk::new(QueueModel::RiskAverse)
}

#[test]
fn the_queue_advances_by_the_published_check_numbers() {
    // Front 30, back 70, a drop of 10: power 2 leaves 28.448276, risk-averse leaves 30.
    for (model, expected) in
        [(QueueModel::Probabilistic, 28.448_276), (QueueModel::RiskAverse, 30.0)]
    {
        let mut queue = QueuePosition::behind(Some(qty("30")));
        queue.on_level(qty("100"), model);
        queue.on_level(qty("90"), model);
        let front = queue.front().unwrap().to_f64();
        assert!((front - expected).abs() < 1e-6, "{model:?}: {front}");
    }
}

#[test]
fn a_drop_that_trades_explain_does_not_advance_the_queue_twice() {
    let mut queue = QueuePosition::behind(Some(qty("30")));
    queue.on_level(qty("100"), QueueModel::Probabilistic);
    assert_eq!(queue.on_trade(qty("10")), Qty::ZERO);
    queue.on_level(qty("90"), QueueModel::Probabilistic);
    assert_eq!(queue.front(), Some(qty("20")));
    assert_eq!(queue.on_trade(qty("25")), qty("5"), "five pass the twenty ahead");
}

proptest! {
    #[test]
    fn the_integer_queue_follows_the_formula_in_floats(
        front in 0_i64..=i64::MAX / 4,
        back in 0_i64..=i64::MAX / 4,
        share in 0.0_f64..1.0,
    ) {
        let level = front + back;
        let drop = (level as f64 * share) as i64;
        let mut queue = QueuePosition::behind(Some(Qty(front)));
        queue.on_level(Qty(level), QueueModel::RiskAverse);
        queue.on_level(Qty(level - drop), QueueModel::Probabilistic);
        let (f, b, d) = (front as f64, back as f64, drop as f64);
        let p = if f + b > 0.0 { b * b / (b * b + f * f) } else { 1.0 };
        let expected = (f - (1.0 - p) * d + (b - p * d).min(0.0)).min(f + b - d).max(0.0);
        let got = queue.front().unwrap().0 as f64;
        let tolerance = 4.0 + (f + b) * 1e-9;
        prop_assert!((got - expected).abs() <= tolerance, "{} against {}", got, expected);
    }
}

#[test]
fn an_order_meets_the_quotes_of_its_arrival_and_is_heard_of_a_latency_later() {
    let mut desk = averse();
    desk.send(10, Side::Buy, "IOC", "1", "101");
    assert_eq!(desk.venue.next_due(), Some(ms(11)));
    desk.quote(11, ("100.4", "5"), ("100.6", "3"));
    assert!(desk.hear(11).is_empty(), "nothing is heard before the report's latency");
    // The order arrived with the quote of 11: what came first was matched first.
    assert_eq!(desk.hear(12), ["OrderAccepted None 0", "taker 1 at 100.1 fee 0.05005"]);
    desk.send(20, Side::Buy, "IOC", "1", "101");
    desk.quote(20, ("100.5", "5"), ("100.7", "3"));
    assert_eq!(desk.hear(22)[1], "taker 1 at 100.7 fee 0.05035");
}

#[test]
fn a_taker_gets_what_is_displayed_and_not_twice() {
    let mut desk = averse();
    desk.send(0, Side::Buy, "IOC", "5", "100.1");
    let words = desk.hear(2);
    assert_eq!(words[1..], ["taker 3 at 100.1 fee 0.15015", "OrderExpired ImmediateRest 3"]);
    desk.send(3, Side::Buy, "IOC", "1", "100.1");
    assert_eq!(desk.hear(5)[1..], ["OrderExpired ImmediateRest 0"]);
    desk.quote(6, ("99.9", "5"), ("100.1", "2"));
    desk.send(7, Side::Buy, "IOC", "1", "100.1");
    assert_eq!(desk.hear(9)[1..], ["taker 1 at 100.1 fee 0.05005"]);
}

#[test]
fn a_market_order_takes_from_the_next_quotes_until_it_is_filled() {
    let mut desk = averse();
    desk.send(0, Side::Sell, "MARKET", "8", "0");
    assert_eq!(desk.hear(2)[1..], ["taker 5 at 99.9 fee 0.24975"]);
    desk.quote(3, ("99.5", "2"), ("100.1", "3"));
    desk.quote(4, ("99.4", "9"), ("100.1", "3"));
    let words = desk.hear(5);
    assert_eq!(words, ["taker 2 at 99.5 fee 0.0995", "taker 1 at 99.4 fee 0.0497"]);
    assert!(desk.venue.orders().is_empty());
}

#[test]
fn fill_or_kill_and_post_only_are_refused_as_the_venue_refuses_them() {
    let mut desk = averse();
    desk.send(0, Side::Buy, "FOK", "3.001", "100.1");
    desk.send(0, Side::Buy, "GTX", "1", "100.1");
    desk.send(0, Side::Sell, "GTX", "1", "99.9");
    desk.send(0, Side::Buy, "FOK", "3", "100.1");
    let expected = [
        "OrderRejected FillOrKill 0",
        "OrderRejected PostOnlyWouldTake 0",
        "OrderRejected PostOnlyWouldTake 0",
        "OrderAccepted None 0",
        "taker 3 at 100.1 fee 0.15015",
    ];
    assert_eq!(desk.hear(2), expected);
}

#[test]
fn a_resting_order_waits_for_the_quantity_ahead_of_it() {
    let mut desk = averse();
    desk.send(0, Side::Buy, "GTX", "2", "99.9");
    assert_eq!(desk.hear(2), ["OrderAccepted None 0"]);
    desk.trade(3, Side::Sell, "5", "99.9");
    assert!(desk.hear(10).is_empty(), "five were ahead");
    desk.trade(11, Side::Buy, "9", "100.1");
    assert!(desk.hear(20).is_empty(), "the other side traded");
    desk.trade(21, Side::Sell, "0.5", "99.9");
    desk.trade(22, Side::Sell, "9", "99.9");
    let expected = ["maker 0.5 at 99.9 fee 0.00999", "maker 1.5 at 99.9 fee 0.02997"];
    assert_eq!(desk.hear(30), expected);
}

#[test]
fn a_trade_through_the_price_fills_wholly_and_a_crossing_quote_what_it_shows() {
    let mut desk = averse();
    desk.send(0, Side::Buy, "GTX", "2", "99.9");
    desk.hear(2);
    desk.quote(3, ("99.7", "5"), ("99.8", "0.5"));
    assert_eq!(desk.hear(4), ["maker 0.5 at 99.9 fee 0.00999"]);
    desk.trade(5, Side::Sell, "0.001", "99.8");
    assert_eq!(desk.hear(6), ["maker 1.5 at 99.9 fee 0.02997"]);
}

#[test]
fn a_level_behind_the_touch_is_known_once_depth_tells_it() {
    let mut desk = averse();
    let id = desk.send(0, Side::Buy, "GTC", "1", "99.5");
    desk.hear(2);
    assert_eq!((desk.venue.orders()[0].id().0, desk.venue.orders()[0].front()), (id, None));
    let mut body = DepthLevels::default();
    body.levels[0] = Level { px: px("99.5").0, qty: qty("7").0 };
    desk.market(3, Event::new(Kind::DepthLevels, BTC, &body));
    assert_eq!(desk.venue.orders()[0].front(), Some(qty("7")));
    desk.quote(4, ("99.5", "4"), ("99.7", "3"));
    assert_eq!(desk.venue.orders()[0].front(), Some(qty("4")), "no more than is displayed");
    desk.quote(5, ("99.4", "4"), ("99.7", "3"));
    assert_eq!(desk.venue.orders()[0].front(), Some(Qty::ZERO), "alone at its price");
}

#[test]
fn two_streams_of_the_same_trades_count_once() {
    let mut desk = averse();
    desk.send(0, Side::Buy, "GTX", "2", "99.9");
    desk.hear(2);
    desk.trade(3, Side::Sell, "4", "99.9");
    let body = Trade { px: px("99.9").0, qty: qty("4").0, ..Trade::default() };
    desk.market(3, Event::new(Kind::Trade, BTC, &body).with_flags(flags::SELL));
    assert!(desk.hear(5).is_empty());
    assert_eq!(desk.venue.orders()[0].front(), Some(qty("1")));
}

#[test]
fn a_cancel_takes_the_order_back_or_comes_too_late() {
    let mut desk = averse();
    let id = desk.send(0, Side::Buy, "GTX", "2", "99.9");
    desk.cancel(5, id);
    desk.trade(5, Side::Sell, "6", "99.9");
    let expected = ["OrderAccepted None 0", "maker 1 at 99.9 fee 0.01998", "OrderCancelled None 1"];
    assert_eq!(desk.hear(10), expected);
    desk.cancel(10, id);
    assert_eq!(desk.hear(12), ["CancelRejected UnknownOrder 0"]);
}

#[test]
fn reduce_only_shrinks_to_the_position_and_is_refused_without_one() {
    let mut desk = averse();
    desk.send(0, Side::Sell, "IOC-R", "1", "99.9");
    assert_eq!(desk.hear(2), ["OrderRejected VenueRejected 0"]);
    desk.send(2, Side::Buy, "IOC", "1", "100.1");
    desk.hear(4);
    desk.send(4, Side::Sell, "IOC-R", "3", "99.9");
    assert_eq!(desk.hear(6), ["OrderAccepted None 0", "taker 1 at 99.9 fee 0.04995"]);
    assert_eq!(desk.venue.account().held(BTC), Qty::ZERO);
}

#[test]
fn of_our_own_two_orders_the_resting_one_gives_way() {
    let mut desk = averse();
    desk.send(0, Side::Buy, "GTX", "2", "99.9");
    desk.hear(2);
    desk.send(2, Side::Sell, "IOC", "1", "99.9");
    let expected =
        ["OrderAccepted None 0", "OrderExpired SelfTrade 0", "taker 1 at 99.9 fee 0.04995"];
    assert_eq!(desk.hear(4), expected);
}

#[test]
fn funding_is_paid_once_at_its_time_at_the_last_mark_and_rate_before_it() {
    for (side, expected) in [(Side::Buy, "funding -0.02"), (Side::Sell, "funding 0.02")] {
        let mut desk = averse();
        desk.send(0, side, "IOC", "2", if side == Side::Buy { "100.1" } else { "99.9" });
        desk.hear(2);
        // 2 × 100 × 0.0001 = 0.02
        desk.mark(10, "100", 10_000, 1_000);
        desk.mark(999, "100", 10_000, 1_000);
        assert!(desk.hear(1_000).is_empty());
        desk.mark(1_003, "150", 90_000, 2_000);
        assert_eq!(desk.hear(1_003), [expected]);
        let told = Funding { rate: 10_000, mark_px: 0, ts_funding: ms(1_000).0, reserved: [0; 9] };
        desk.market(1_005, Event::new(Kind::Funding, BTC, &told));
        assert!(desk.hear(1_010).is_empty(), "settled before");
    }
}

#[test]
fn a_venue_without_book_tickers_takes_its_touch_from_the_book() {
    let settings = PaperSettings {
        order_latency_us: 0,
        report_latency_us: 0,
        queue: QueueModel::Probabilistic,
        ..PaperSettings::default()
    };
    let venue = PaperVenue::new(&[facts()], settings, Money::whole(10_000));
    let mut desk = Desk { venue, next_id: 0 };
    let touch =
        Touch { bid_px: px("50"), bid_qty: qty("1"), ask_px: px("50.1"), ask_qty: qty("1") };
    desk.venue.on_touch(BTC, touch, ms(0));
    desk.send(0, Side::Buy, "IOC", "1", "50.1");
    assert_eq!(desk.hear(0)[1], "taker 1 at 50.1 fee 0.02505");
    desk.quote(1, ("60", "1"), ("60.1", "1"));
    desk.venue.on_touch(BTC, touch, ms(2));
    desk.send(2, Side::Buy, "IOC", "1", "60.1");
    assert_eq!(desk.hear(2)[1], "taker 1 at 60.1 fee 0.03005");
}

#[derive(Clone, Debug)]
enum Step {
    Quote { mid: i64, bid_qty: i64, ask_qty: i64 },
    Trade { sell: bool, off: i64, qty: i64 },
    Mark { px: i64, rate: i64 },
    Order { sell: bool, kind: u8, off: i64, qty: i64, reduce: bool },
    Cancel { back: u64 },
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        (900_i64..1_100, 0_i64..9_000, 0_i64..9_000)
            .prop_map(|(mid, bid_qty, ask_qty)| Step::Quote { mid, bid_qty, ask_qty }),
        (any::<bool>(), -5_i64..5, 1_i64..20_000).prop_map(|(sell, off, qty)| Step::Trade {
            sell,
            off,
            qty
        }),
        (1_i64..1_000_000_000_000, -1_000_000_i64..1_000_000)
            .prop_map(|(px, rate)| Step::Mark { px, rate }),
        (any::<bool>(), 0_u8..5, -5_i64..5, 1_i64..9_000, any::<bool>()).prop_map(
            |(sell, kind, off, qty, reduce)| Step::Order { sell, kind, off, qty, reduce }
        ),
        (0_u64..6).prop_map(|back| Step::Cancel { back }),
    ]
}

proptest! {
    /// Two independent sets of books, written by different rules, from the same reports.
    #[test]
    fn our_ledger_agrees_with_the_venue_s_account_to_the_unit(
        happenings in prop::collection::vec((steps(), 0_i64..4), 1..120),
    ) {
        let mut desk = Desk::new(QueueModel::Probabilistic);
        let mut ledger = Ledger::new(1, Money::whole(10_000));
        let mut now = 0;
        let mut mid = 1_000;
        for (happening, wait) in happenings {
            now += wait;
            let tick = 10_000_000;
            match happening {
                Step::Quote { mid: at, bid_qty, ask_qty } => {
                    mid = at;
                    let show = |v: i64| Px(v * tick).to_string();
                    let size = |v: i64| Qty(v * 100_000 + 1).to_string();
                    let (bid, ask) = (show(mid - 1), show(mid + 1));
                    desk.quote(now, (&bid, &size(bid_qty)), (&ask, &size(ask_qty)));
                }
                Step::Trade { sell, off, qty } => {
                    let side = if sell { Side::Sell } else { Side::Buy };
                    let price = Px((mid + off) * tick).to_string();
                    desk.trade(now, side, &Qty(qty * 100_000).to_string(), &price);
                }
                Step::Mark { px, rate } => {
                    desk.mark(now, &Px(px).to_string(), rate, now + 7);
                    ledger.on_mark(BTC, Px(px), ms(now));
                }
                Step::Order { sell, kind, off, qty, reduce } => {
                    let side = if sell { Side::Sell } else { Side::Buy };
                    let kinds = ["GTC", "IOC", "FOK", "GTX", "MARKET"];
                    let word = if reduce { "IOC-R" } else { kinds[usize::from(kind)] };
                    let price = Px((mid + off) * tick).to_string();
                    desk.send(now, side, word, &Qty(qty * 100_000).to_string(), &price);
                }
                Step::Cancel { back } => {
                    let id = desk.next_id.saturating_sub(back);
                    desk.cancel(now, id);
                }
            }
            while let Some(report) = desk.venue.poll(ms(now)) {
                let change = ledger.on_event(&report);
                prop_assert!(!matches!(change, LedgerChange::Fault(_) | LedgerChange::Duplicate));
            }
            prop_assert!(desk.venue.account().balances());
        }
        // What is under way arrives, and is heard of; what rests meanwhile stays at rest.
        while let Some(due) = desk.venue.next_due() {
            while let Some(report) = desk.venue.poll(due) {
                ledger.on_event(&report);
            }
        }
        prop_assert_eq!(ledger.position(BTC).unwrap().qty, desk.venue.account().held(BTC));
        let value_px = ledger.position(BTC).unwrap().value_px;
        prop_assert_eq!(Some(ledger.equity()), desk.venue.account().equity(|_| value_px));
    }
}

#[test]
fn an_order_that_takes_a_quarter_of_what_is_displayed_pays_half_of_the_impact() {
    let settings = PaperSettings { impact: Rate(100_000), ..PaperSettings::default() };
    let venue = PaperVenue::new(&[facts()], settings, Money::whole(10_000));
    let mut desk = Desk { venue, next_id: 0 };
    desk.quote(0, ("99.9", "5"), ("100", "4"));
    // 10 basis points of 100 are 0.1; a quarter pays the root of it, and all of it no more than the
    // order's limit.
    desk.send(0, Side::Buy, "IOC", "1", "101");
    assert_eq!(desk.hear(2)[1], "taker 1 at 100.05 fee 0.050025");
    desk.quote(3, ("99.9", "5"), ("100", "4.0001"));
    desk.send(3, Side::Buy, "IOC", "4", "100.02");
    assert!(desk.hear(5)[1].starts_with("taker 4 at 100.02 "));
    // A resting order moves no price.
    desk.quote(6, ("99.9", "5"), ("100", "4"));
    desk.send(6, Side::Sell, "GTC", "1", "100");
    desk.quote(8, ("100.2", "5"), ("100.3", "4"));
    assert!(desk.hear(9).iter().any(|word| word.starts_with("maker 1 at 100 ")));
}
