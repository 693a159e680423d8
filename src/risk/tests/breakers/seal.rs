//! RC-26 and the state kept twice: what does not balance halts, and a bit that flips kills.

use super::*;
use TradingState::{Active, Halted, Killed};

/// A desk with a position, a live order and a fee, all sound.
fn sound() -> Desk {
    let mut desk = desk(&alone());
    desk.tick("99.9", "100.1");
    desk.fill_entry("100.1", "0.05");
    desk.receive(money("-0.01"));
    desk.now = desk.now + Nanos::from_millis(10);
    desk.passes(&Wanted { px: px("99"), time_in_force: TimeInForce::Gtx, ..entry() });
    desk.quiet(2_000);
    assert_eq!((desk.level(Control::StateSeal), desk.gate.state()), (Level::Clear, Active));
    desk
}

#[test]
fn fault_p19_a_bit_that_flips_in_the_books_kills_within_a_second() {
    type Flip = fn(&mut Ledger, u32);
    let flips: [Flip; 8] = [
        |ledger, bit| ledger.position_mut(BTC).qty.0 ^= 1 << bit,
        |ledger, bit| ledger.position_mut(BTC).cost.0 ^= 1 << bit,
        |ledger, bit| ledger.position_mut(BTC).realised.0 ^= 1 << bit,
        |ledger, bit| ledger.position_mut(BTC).fees.0 ^= 1 << bit,
        |ledger, bit| ledger.position_mut(BTC).funding.0 ^= 1 << bit,
        |ledger, bit| ledger.position_mut(ETH).qty.0 ^= 1 << bit,
        |ledger, bit| ledger.open_order_mut(0).qty.0 ^= 1 << bit,
        |ledger, bit| ledger.open_order_mut(0).filled.0 ^= 1 << bit,
    ];
    for (which, flip) in flips.into_iter().enumerate() {
        for bit in [0, 7, 23, 40] {
            let mut desk = sound();
            flip(&mut desk.ledger, bit);
            desk.wait(1_000);
            assert_eq!(desk.level(Control::StateSeal), Level::Kill, "flip {which}, bit {bit}");
            assert_eq!(desk.gate.state(), Killed, "flip {which}, bit {bit}");
            assert_eq!(desk.gate.state_reason(), Reason::StateCorrupt);
        }
    }
}

#[test]
fn rc_36_a_limit_that_moves_while_it_runs_kills() {
    let mut desk = sound();
    desk.gate.tamper_with_limits();
    desk.wait(1_000);
    assert_eq!((desk.level(Control::StateSeal), desk.gate.state()), (Level::Kill, Killed));
}

#[test]
fn rc_26_an_order_that_nobody_approved_halts_with_the_next_event() {
    let mut desk = sound();
    let body = Order { client_id: 77, qty: qty("1").0, px: px("99").0, ..Order::default() };
    desk.ledger.on_order_sent(&Event::new(Kind::OrderApproved, BTC, &body)).unwrap();
    desk.hear(Kind::OrderAccepted, BTC, &OrderReport { client_id: 77, ..Default::default() });
    desk.settle();
    assert_eq!((desk.level(Control::OrderBalance), desk.gate.state()), (Level::Halt, Halted));
    assert_eq!(desk.gate.state_reason(), Reason::OrdersUnbalanced);
}

#[test]
fn rc_26_whatever_is_heard_in_whatever_order_both_counts_agree() {
    // Every way an order can go, from a list of reports: none, some and all of it filled.
    let kinds = [
        Kind::OrderAccepted,
        Kind::OrderFilled,
        Kind::OrderCancelled,
        Kind::OrderExpired,
        Kind::OrderRejected,
        Kind::OrderUnknown,
        Kind::CancelRejected,
    ];
    let ways = kinds.len();
    for walk in 0..ways.pow(4) {
        let mut desk = desk(&alone());
        let client_id = desk.passes(&Wanted { px: px("99"), ..entry() });
        let mut cum = 0;
        for step in 0..4_u32 {
            let kind = kinds[walk / ways.pow(step) % ways];
            let half = qty("0.5").0;
            let mut body = OrderReport { client_id, cum_qty: cum, ..OrderReport::default() };
            if kind == Kind::OrderFilled {
                if cum == 2 * half {
                    continue;
                }
                cum += half;
                (body.last_qty, body.last_px, body.cum_qty) = (half, px("99").0, cum);
                body.trade_id = u64::from(step) + 1;
            }
            desk.hear(kind, BTC, &body);
            desk.settle();
        }
        desk.wait(1_000);
        let levels = (desk.level(Control::OrderBalance), desk.level(Control::StateSeal));
        assert_eq!(levels, (Level::Clear, Level::Clear), "walk {walk}");
    }
}

#[test]
fn rc_25_more_filled_than_ordered_halts() {
    let mut desk = desk(&alone());
    let client_id = desk.passes(&Wanted { px: px("99"), ..entry() });
    let body = OrderReport {
        client_id,
        trade_id: 1,
        last_qty: qty("1.01").0,
        cum_qty: qty("1.01").0,
        last_px: px("99").0,
        ..OrderReport::default()
    };
    desk.hear(Kind::OrderFilled, BTC, &body);
    desk.settle();
    assert_eq!((desk.gate.state(), desk.gate.state_reason()), (Halted, Reason::Overfill));
}
