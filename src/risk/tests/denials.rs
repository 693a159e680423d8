//! What a denial says: the reason, what was asked and what is allowed, in the check's own unit. A
//! person who reads the record must see by how much it was too much.

use super::*;
use crate::base::ClientOrderId;
use crate::base::event::{OrderCarried, Prediction};
use TradingState::{Active, Halted, Reducing};

/// What a denied order's record says: reason, value, limit.
#[track_caller]
fn told(desk: &mut Desk, wanted: &Wanted) -> (Reason, i64, i64) {
    let Verdict::Denied(event) = desk.admit(wanted) else { panic!("approved: {wanted:?}") };
    let body: &Denied = event.body();
    (Reason::from_u16(body.reason).unwrap(), body.value, body.limit)
}

fn desk(change: impl Fn(&mut RiskSettings)) -> Desk {
    let mut settings = generous();
    change(&mut settings);
    Desk::new(&settings)
}

#[test]
fn a_state_that_denies_tells_itself_and_the_one_it_should_be() {
    let mut desk = desk(|_| {});
    let cause = desk.cause();
    desk.gate.request(&cause, Reducing, Reason::Operator, Actor::Operator(1)).unwrap();
    assert_eq!(told(&mut desk, &entry()), (Reason::TradingState, 2, Active as i64));
}

#[test]
fn one_decision_leads_to_one_entry_and_a_second_one_halts() {
    let mut desk = desk(|_| {});
    let cause = desk.cause();
    let other = Wanted { px: px("99"), qty: qty("2"), ..entry() };
    for (wanted, passes) in [(entry(), true), (other, false)] {
        let verdict = desk.gate.admit(&cause, &Intent::Enter(wanted), &mut desk.ledger).unwrap();
        assert_eq!(matches!(verdict, Verdict::Approved(_)), passes);
        if let Verdict::Denied(event) = verdict {
            let body: &Denied = event.body();
            assert_eq!(Reason::from_u16(body.reason), Some(Reason::DecisionTwice));
        }
        let _ = desk.gate.consequence(&cause);
    }
    assert_eq!((desk.gate.state(), desk.gate.state_reason()), (Halted, Reason::DecisionTwice));
}

#[test]
fn rc_16_a_model_that_is_not_believed_enters_nothing_whatever_the_state() {
    let mut desk = desk(|s| s.model_identical_max = Some(3));
    let same = Prediction { probability: [0.3, 0.0, 0.7], ..Prediction::default() };
    for i in 1..=3 {
        let event = Event { ts_recv: desk.now.0, ..Event::new(Kind::Prediction, BTC, &same) };
        assert_eq!(desk.gate.on_answer(&event), None);
        if i < 3 {
            desk.passes(&Wanted { qty: qty("1").max(Qty(qty("1").0 * i)), ..entry() });
        }
    }
    // What follows from the answer has not been asked for yet.
    let cause = desk.cause();
    let wanted = Wanted { qty: qty("5"), ..entry() };
    let verdict = desk.gate.admit(&cause, &Intent::Enter(wanted), &mut desk.ledger).unwrap();
    let Verdict::Denied(event) = verdict else { panic!("approved") };
    assert_eq!(event.body::<Denied>().reason, Reason::ModelConstant as u16);
}

#[test]
fn only_the_last_step_of_a_flattening_goes_without_a_touch() {
    let mut desk = desk(|_| {});
    desk.hold(BTC, Side::Buy, qty("2"), px("100"));
    desk.ledger.on_touch(BTC, Px::ZERO, Px::ZERO, NOON);
    let limit = Wanted { purpose: Purpose::Flatten, ..exit() };
    assert_eq!(told(&mut desk, &limit).0, Reason::NoReferencePrice);
    desk.passes(&Wanted { order_type: OrderType::Market, px: Px::ZERO, ..limit });
}

#[test]
fn a_collar_tells_the_edge_that_was_passed() {
    let mut desk = desk(|s| s.collar_mark_bps = Some(100));
    let at = |text: &str| Wanted { px: px(text), ..entry() };
    assert_eq!(told(&mut desk, &at("101.1")), (Reason::PriceCollar, px("101.1").0, px("101").0));
    assert_eq!(told(&mut desk, &at("98.9")), (Reason::PriceCollar, px("98.9").0, px("99").0));
}

#[test]
fn an_exit_without_a_position_is_told_that_nothing_may_be_left() {
    let mut desk = desk(|_| {});
    let denial = (Reason::ReduceOnlyWouldIncrease, qty("1").0, 0);
    assert_eq!(told(&mut desk, &exit()), denial);
    desk.hold(BTC, Side::Buy, qty("0.5"), px("100"));
    let denial = (Reason::ReduceOnlyWouldIncrease, qty("1").0, qty("0.5").0);
    assert_eq!(told(&mut desk, &exit()), denial);
}

#[test]
fn an_order_that_the_ledger_cannot_count_is_not_sent_and_told_without_figures() {
    let mut desk = desk(|_| {});
    // An earlier session left an order under the number that the next one gets.
    let client_id = ClientOrderId::pack(3, 1, 2, 1).0;
    let (px, qty) = (px("99").0, qty("1").0);
    let left = OrderCarried { client_id, px, qty, state: 2, ..OrderCarried::default() };
    desk.told(Kind::OrderCarried, BTC, &left);
    assert_eq!(told(&mut desk, &entry()), (Reason::OrderTableFull, 0, 0));
    assert_eq!((desk.ledger.orders().len(), desk.gate.entries_today), (1, 0));
}

#[test]
fn an_answer_that_is_no_distribution_is_denied_and_counted_once_without_figures() {
    let mut desk = desk(|_| {});
    for (probability, so_far) in [([0.2, 0.3, 0.5], 0), ([0.2, 0.3, 0.6], 1), ([f32::NAN; 3], 2)] {
        let body = Prediction { probability, ..Prediction::default() };
        let event = Event { ts_recv: desk.now.0, ..Event::new(Kind::Prediction, BTC, &body) };
        let denied = desk.gate.on_answer(&event).map(|event| *event.body::<Denied>());
        let says = denied.map(|body| (body.reason, body.check, body.value, body.limit));
        let (reason, check) = (Reason::ModelOutput as u16, Check::ModelOutput as u16);
        assert_eq!(says, (so_far > 0).then_some((reason, check, 0, 0)), "{probability:?}");
        let CheckCount { evaluated, tripped, .. } = desk.gate.count(Check::ModelOutput);
        assert_eq!((evaluated, tripped), (so_far, so_far), "{probability:?}");
    }
}

#[test]
fn a_reduction_lasts_from_the_event_that_it_began_with() {
    let mut desk = desk(|s| (s.model_identical_max, s.reduce_s) = (Some(1), Some(60)));
    let at = |seconds, event| Event { ts_recv: (NOON + Nanos::from_secs(seconds)).0, ..event };
    let body = Prediction { probability: [0.3, 0.0, 0.7], ..Prediction::default() };
    let answer = at(100, Event::new(Kind::Prediction, BTC, &body));
    desk.gate.on_event(&answer, LedgerChange::None, &desk.ledger);
    assert_eq!(desk.gate.on_answer(&answer), None);
    desk.gate.consequence(&answer).unwrap();
    assert_eq!(desk.gate.relax(&at(159, Event::EMPTY)), None);
    assert_eq!(desk.gate.state(), Reducing);
    desk.gate.relax(&at(160, Event::EMPTY)).unwrap();
    assert_eq!(desk.gate.state(), Active);
}

#[test]
fn a_self_trade_is_told_with_the_first_order_of_ours_that_it_would_meet() {
    /// Orders of ours by id: instrument, side, price, purpose.
    fn beside(ours: &[(InstrumentId, Side, &str, Purpose)]) -> Desk {
        let mut desk = desk(|_| {});
        for (id, &(instrument, side, at, purpose)) in (1..).zip(ours) {
            let (px, qty, purpose) = (px(at).0, qty("0.01").0, purpose as u8);
            let body = Order { client_id: id, px, qty, purpose, ..Order::default() };
            let event = Event::new(Kind::OrderApproved, instrument, &body);
            desk.ledger.on_order_sent(&event.with_flags(side_flag(side))).unwrap();
        }
        desk
    }
    use Purpose::{Entry, Flatten, Protect};
    let at = |side, at| Wanted { side, px: px(at), ..entry() };
    let (buy, sell) = (Side::Buy, Side::Sell);
    // Of another instrument, of the same side, a stop, one too far away, and the one it meets.
    let mut sold = beside(&[
        (ETH, buy, "101", Entry),
        (BTC, sell, "101", Entry),
        (BTC, buy, "101", Protect),
        (BTC, buy, "99", Entry),
        (BTC, buy, "100.5", Entry),
        (BTC, buy, "100.6", Entry),
    ]);
    let met = (Reason::SelfTrade, px("100").0, px("100.5").0);
    assert_eq!(told(&mut sold, &at(sell, "100")), met);
    let mut bought = beside(&[
        (ETH, sell, "99", Entry),
        (BTC, buy, "99", Entry),
        (BTC, sell, "99", Protect),
        (BTC, sell, "100.4", Entry),
        (BTC, sell, "99.8", Entry),
    ]);
    let met = (Reason::SelfTrade, px("100").0, px("99.8").0);
    assert_eq!(told(&mut bought, &at(buy, "100")), met);
    // An order at any price is met at any.
    let mut flattening = beside(&[(BTC, buy, "0", Flatten)]);
    assert_eq!(told(&mut flattening, &at(sell, "100")), (Reason::SelfTrade, px("100").0, 0));
}

#[test]
fn a_check_with_nothing_to_measure_is_made_of_every_order_and_never_passed_narrowly() {
    let mut desk = desk(|_| {});
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    for (wanted, made) in [(entry(), 1), (exit(), 2)] {
        desk.passes(&wanted);
        desk.end_orders();
        let count = desk.gate.count(Check::TradingState);
        assert_eq!((count.evaluated, count.near, count.tripped), (made, 0, 0), "{wanted:?}");
    }
}

#[test]
fn rc_08_beyond_what_is_remembered_an_entry_counts_as_made_before_and_exits_pass() {
    let mut settings = generous();
    settings.duplicate_window_ms = Some(500);
    let mut desk = Desk::new(&settings);
    desk.hold(BTC, Side::Buy, qty("9"), px("100"));
    let lots = |i: i64| Qty(qty("0.01").0 * i);
    for i in 1..=129 {
        desk.passes(&Wanted { qty: lots(i), ..entry() });
        desk.now = desk.now + Nanos::from_millis(1);
        desk.end_orders();
    }
    let other = Wanted { qty: lots(130), ..entry() };
    desk.is_denied(&other, Reason::DuplicateOrder);
    desk.passes(&Wanted { qty: lots(130), ..exit() });
    desk.end_orders();
    // Of 130 approvals the third is the oldest that is known: it was made at 2 ms.
    desk.now = NOON + Nanos::from_millis(502) - Nanos(1);
    desk.is_denied(&other, Reason::DuplicateOrder);
    desk.now = NOON + Nanos::from_millis(502);
    desk.passes(&other);
}
