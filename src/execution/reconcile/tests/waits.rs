//! When a round begins by itself, and what is told while none can.

use super::*;

fn report(kind: Kind, id: u64) -> Event {
    let body = OrderReport { client_id: id, venue_id: 60 + id, qty: 5, ..OrderReport::default() };
    Event::new(kind, BTC, &body)
}

#[test]
fn unknown_orders_that_the_stream_settles_are_followed_by_a_round_without_a_periodic_one() {
    // Three of them stop all trading until a round is clean; one alone deserves a look as well.
    for count in [1, 3] {
        let mut desk = clean();
        for id in 1..=count {
            let order = Order { client_id: id, qty: 5, px: 100, ..Order::default() };
            let request = Event::new(Kind::OrderApproved, BTC, &order);
            desk.reconciler.hear_request(&Event { ts_recv: desk.now.0, ..request });
            desk.hear(report(Kind::OrderUnknown, id));
        }
        desk.turn();
        assert_eq!(desk.asked.len(), 0, "the stream has its time first");
        for id in 1..=count {
            assert!(desk.told.is_empty(), "not before every one is settled");
            desk.hear(report(Kind::OrderCancelled, id));
            desk.turn();
        }
        desk.settle(50);
        assert_eq!(desk.kinds(), [Kind::VenuePosition, Kind::Reconciled], "{count}");
        desk.asked.clear();
        for _ in 0..100 {
            desk.turn();
        }
        assert_eq!(desk.asked.len(), 0, "one round is enough");
    }
}

#[test]
fn an_order_that_the_stream_settles_is_asked_for_no_more_though_the_question_failed() {
    let mut desk = clean();
    desk.lose_order(5);
    desk.failures = usize::MAX;
    desk.now = desk.now + Nanos::from_secs(1);
    desk.turn();
    assert!(matches!(desk.asked[..], [Question::Order { .. }]), "{:?}", desk.asked);
    desk.failures = 0;
    desk.hear(report(Kind::OrderCancelled, ID.0));
    desk.settle(50);
    let asked = desk.asked.iter().filter(|q| matches!(q, Question::Order { .. })).count();
    assert_eq!(asked, 1);
    assert_eq!(desk.kinds(), [Kind::VenuePosition, Kind::Reconciled]);
}

#[test]
fn that_the_budget_refuses_the_questions_for_too_long_is_told_once() {
    let mut desk = clean();
    desk.reconciler.want(desk.now);
    let began = desk.now;
    let mut told = Vec::new();
    while desk.now - began < Nanos::from_secs(60) {
        desk.now = desk.now + TURN;
        if let Some(question) = desk.reconciler.question(desk.now) {
            desk.reconciler.put_back(question, desk.now);
        }
        told.extend(desk.reconciler.event().map(|event| (desk.now - began, event)));
    }
    let [(after, event)] = told[..] else { panic!("{told:?}") };
    assert_eq!(event.body::<VenueStatus>().reason, Reason::ReconcileFailed as u16);
    assert!(after >= FAILING_MAX && after < FAILING_MAX + Nanos::from_secs(1), "{after:?}");
    desk.settle(50);
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled), "it goes on when it may");
}

#[test]
fn a_fill_that_the_venues_clock_puts_before_its_order_is_found_and_foreign_ones_are_not_taken() {
    let mut desk = Desk::new();
    let order = OrderCarried {
        client_id: ID.0,
        venue_id: 70,
        qty: 5,
        ts_sent: (desk.now - Nanos::from_secs(60)).0,
        ..OrderCarried::default()
    };
    desk.hear(Event::new(Kind::OrderCarried, BTC, &order));
    let sent = Nanos(order.ts_sent);
    // Of another hand, before our order by any clock; then ours by a clock that is behind.
    for (id, number, before) in [(10, 50, 9), (11, 70, 3)] {
        desk.trade(id, number, 5);
        desk.trades.last_mut().unwrap().ts = sent - Nanos::from_secs(before);
    }
    desk.qty = 5;
    desk.list(Standing::Filled, 5, 5);
    desk.settle(200);
    let fills = desk.told.iter().filter(|e| e.kind() == Some(Kind::OrderFilled));
    let ids: Vec<_> = fills.map(|fill| fill.body::<OrderReport>().trade_id).collect();
    assert_eq!(ids, [11]);
    assert_eq!(desk.statuses(), Vec::<Reason>::new());
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
}

#[test]
fn what_fills_between_the_reads_of_the_last_pass_is_no_mismatch_while_the_stream_is_late() {
    let mut desk = clean();
    let order = Order { client_id: ID.0, qty: 5, px: 100, ..Order::default() };
    let request = Event::new(Kind::OrderApproved, BTC, &order);
    desk.reconciler.hear_request(&Event { ts_recv: desk.now.0, ..request });
    let accepted = OrderReport { client_id: ID.0, venue_id: 70, ..OrderReport::default() };
    desk.hear(Event::new(Kind::OrderAccepted, BTC, &accepted));
    desk.list(Standing::Open, 5, 0);
    desk.reconciler.want(desk.now);
    // Something moves in each of the first passes; behind the trades of the fourth one it fills.
    let (mut reads, mut is_filled) = (0, false);
    while let Some(question) = desk.reconciler.question(desk.now) {
        if question == Question::Positions {
            reads += 1;
            if reads % 2 == 0 && reads < 8 {
                desk.hear(Event::new(Kind::OrderAccepted, BTC, &accepted));
            }
            if reads == 7 {
                desk.trade(11, 70, 5);
                desk.list(Standing::Filled, 5, 5);
                is_filled = true;
            }
        }
        let told = desk.answer(&question);
        desk.reconciler.on_answer(&question, Some(&told), desk.now);
        while let Some(event) = desk.reconciler.event() {
            desk.told.push(event);
            desk.hear(event);
        }
    }
    assert!(is_filled);
    assert_eq!(desk.statuses(), Vec::<Reason>::new(), "its trade has not been asked for since");
    desk.settle(50);
    assert_eq!(desk.statuses(), Vec::<Reason>::new());
    assert_eq!(desk.kinds().iter().filter(|kind| **kind == Kind::OrderFilled).count(), 1);
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
    assert_eq!(desk.reconciler.position(BTC), Some(5));
}

#[test]
fn the_last_look_is_made_though_something_was_sought_when_the_end_began() {
    let mut desk = clean();
    desk.lose_order(5);
    desk.reconciler.want(desk.now);
    // The end: nothing is concluded any more, and then all of it once more.
    desk.reconciler.on_stream(false, desk.now);
    desk.turn();
    assert_eq!(desk.asked.len(), 0);
    assert!(desk.reconciler.is_busy());
    desk.hear(report(Kind::OrderCancelled, ID.0));
    for _ in 0..20 {
        desk.reconciler.look_last(desk.now);
        desk.turn();
        if desk.kinds().contains(&Kind::Reconciled) {
            return;
        }
    }
    panic!("{:?}", desk.kinds());
}
