//! What the gate writes into its records, takes over from an earlier session, and counts.

use super::*;
use crate::base::Control;
use crate::base::counters::Counters;
use crate::base::event::SessionCarried;
use TradingState::{Active, Killed};

fn carried(change: impl Fn(&mut SessionCarried)) -> Event {
    let mut body = SessionCarried { epoch: 1, day: NOON.utc_day(), ..SessionCarried::default() };
    change(&mut body);
    Event::new(Kind::SessionCarried, InstrumentId::NONE, &body)
}

fn session(epoch: u32, strategy: u8, model: u8) -> GateSession {
    GateSession { epoch, strategy, model, mode: Mode::Live }
}

/// How many entries pass until one is denied for the day's number of them.
fn entries_left(desk: &mut Desk) -> usize {
    for passed in 0.. {
        desk.now = desk.now + Nanos::from_millis(10);
        desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), desk.now);
        let Verdict::Denied(event) = desk.admit(&entry()) else {
            desk.end_orders();
            continue;
        };
        assert_eq!(event.body::<Denied>().reason, Reason::MaxEntriesPerDay as u16);
        return passed;
    }
    0
}

#[test]
fn the_numbers_of_a_session_fit_an_order_id_or_are_refused() {
    let gate = |session| Gate::new(&generous(), &[], session, Trading::new()).map(|_| ());
    assert_eq!(gate(session((1 << 20) - 1, 63, 63)), Ok(()));
    assert_eq!(gate(session(1 << 20, 0, 0)), Err(GateError::Epoch(1 << 20)));
    assert_eq!(gate(session(0, 64, 0)), Err(GateError::Number { strategy: 64, model: 0 }));
    assert_eq!(gate(session(0, 0, 64)), Err(GateError::Number { strategy: 0, model: 64 }));
}

#[test]
fn a_session_that_was_never_halted_begins_with_the_whole_size_and_a_killed_one_small() {
    let mut gate = Gate::new(&generous(), &[], session(1, 1, 1), Trading::new()).unwrap();
    let mut ledger = Ledger::new(0, Money::whole(1_000));
    let command = |verb: Verb| {
        let body = Command { verb: verb as u32, actor: 1, ..Command::default() };
        Event::new(Kind::Command, InstrumentId::NONE, &body)
    };
    gate.on_command(&command(Verb::Arm), &mut ledger);
    gate.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!((gate.state(), gate.size_percent()), (Active, 100));
    gate.on_command(&command(Verb::KillGraceful), &mut ledger).unwrap();
    assert_eq!(gate.state(), Killed);
    gate.on_command(&command(Verb::Clear), &mut ledger).unwrap();
    gate.on_command(&command(Verb::Arm), &mut ledger);
    gate.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!((gate.state(), gate.size_percent()), (Active, 50));
}

#[test]
fn a_cancel_says_what_it_cancels() {
    let mut desk = Desk::new(&generous());
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let stop = Wanted {
        order_type: OrderType::StopMarket,
        purpose: Purpose::Protect,
        px: px("97"),
        time_in_force: TimeInForce::Gtc,
        ..exit()
    };
    let buy = Wanted { px: px("99"), qty: qty("2"), ..entry() };
    for (wanted, order_type) in [(stop, OrderType::StopMarket as u8), (buy, 0)] {
        let id = crate::base::ClientOrderId(desk.passes(&wanted));
        let cause = desk.cause();
        let cancel = desk.gate.admit_cancel(&cause, BTC, id, &mut desk.ledger);
        let body: &Order = cancel.event().body();
        assert_eq!((body.client_id, body.px, body.qty), (id.0, wanted.px.0, wanted.qty.0));
        assert_eq!((body.purpose, body.order_type), (wanted.purpose as u8, order_type));
        assert_eq!(cancel.event().side(), wanted.side);
    }
    // One that is no longer known is cancelled all the same.
    let cause = desk.cause();
    let unknown = crate::base::ClientOrderId(77);
    let cancel = desk.gate.admit_cancel(&cause, BTC, unknown, &mut desk.ledger);
    let body: &Order = cancel.event().body();
    assert_eq!((body.client_id, body.order_type, cancel.event().flags), (77, 0, 0));
}

#[test]
fn the_entries_of_a_day_end_with_it() {
    let mut settings = generous();
    settings.entries_per_day_max = Some(3);
    let mut desk = Desk::new(&settings);
    (0..2).for_each(|_| {
        desk.passes(&entry());
        desk.now = desk.now + Nanos::from_millis(10);
    });
    desk.end_orders();
    desk.now = NOON + Nanos::from_secs(43_200);
    assert_eq!(entries_left(&mut desk), 3);
}

#[test]
fn the_entries_of_an_earlier_session_count_on_its_day_and_only_where_there_was_one() {
    for (epoch, days, left) in [(1, 0, 1), (0, 0, 3), (1, -1, 3)] {
        let mut settings = generous();
        settings.entries_per_day_max = Some(3);
        let mut desk = Desk::new(&settings);
        // As at a start: nothing has told the time before.
        let gate = Gate::new(&settings, &[], session(1, 1, 1), Trading::new()).unwrap();
        let fresh = gate.entries_today;
        desk.gate.on_carried(&carried(|body| {
            (body.epoch, body.entries_today) = (epoch, 2);
            body.day += days;
        }));
        assert_eq!((fresh, entries_left(&mut desk)), (0, left), "{epoch} {days}");
    }
    let mut settings = generous();
    settings.entries_per_day_max = Some(3);
    let mut gate = Gate::new(&settings, &[], session(1, 1, 1), Trading::new()).unwrap();
    gate.on_carried(&carried(|body| body.entries_today = 2));
    gate.on_time(NOON);
    assert_eq!(gate.entries_today, 2, "carried before the first event tells the time");
}

#[test]
fn an_instrument_off_the_table_and_stops_beyond_their_own_rate_are_denied() {
    let mut settings = generous();
    settings.orders_per_10s_max = Some(2);
    let mut desk = Desk::new(&settings);
    let nowhere = Wanted { instrument: InstrumentId(9), ..entry() };
    let Verdict::Denied(event) = desk.admit(&nowhere) else { panic!("approved") };
    let body: &Denied = event.body();
    assert_eq!((body.reason, body.value, body.limit), (Reason::InstrumentNotAllowed as u16, 0, 0));
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let stop = Wanted {
        order_type: OrderType::StopMarket,
        purpose: Purpose::Protect,
        px: px("97"),
        ..exit()
    };
    for _ in 0..2 {
        desk.passes(&stop);
    }
    desk.is_denied(&stop, Reason::OrderRate);
    desk.passes(&exit());
}

#[test]
fn rc_43_what_every_control_counted_is_published_in_its_row() {
    let mut desk = Desk::new(&generous());
    desk.passes(&entry());
    desk.is_denied(&Wanted { px: px("100.15"), ..entry() }, Reason::TickSize);
    let counters = Counters::new();
    desk.gate.publish_counts(&counters);
    for check in Check::ALL {
        let CheckCount { evaluated, near, tripped } = desk.gate.count(check);
        let row = counters.control(check as usize);
        assert_eq!((row.evaluated, row.near, row.tripped), (evaluated, near, tripped));
    }
    assert!(counters.control(Check::TickSize as usize).tripped == 1);
    for control in Control::ALL {
        let row = counters.control(control_row(control));
        assert_eq!(row, desk.gate.breaker_count(control), "{control:?}");
    }
    assert!(counters.control(control_row(Control::DayLoss)).evaluated > 0);
}

#[test]
fn a_quiet_gate_wants_nothing_and_three_unknown_orders_stir_it() {
    let mut desk = Desk::new(&generous());
    let ids = ["99", "98", "97"].map(|at| desk.passes(&Wanted { px: px(at), ..entry() }));
    for (heard, client_id) in ids.into_iter().enumerate() {
        assert!(!desk.gate.is_stirred(&desk.ledger) && !desk.gate.wants_flat(), "{heard}");
        let unknown = OrderReport { client_id, ..OrderReport::default() };
        desk.hear(Kind::OrderUnknown, BTC, &unknown);
    }
    assert_eq!(desk.gate.breaker_level(Control::UnknownOrders), crate::base::Level::Warn);
    let cause = desk.cause();
    while desk.gate.breaker_record(&cause).is_some() {}
    assert!(desk.gate.is_stirred(&desk.ledger), "it must be reconciled");
}

#[test]
fn rc_12_what_is_held_of_an_instrument_that_left_the_list_may_leave() {
    let mut settings = generous();
    settings.allow.retain(|symbol| symbol.as_str() == "BTCUSDT");
    let mut desk = Desk::new(&settings);
    desk.hold(ETH, Side::Buy, qty("3"), px("100"));
    for purpose in [Purpose::ExitStop, Purpose::ExitTime, Purpose::Flatten] {
        desk.passes(&Wanted { instrument: ETH, purpose, ..exit() });
        desk.end_orders();
        desk.now = desk.now + Nanos::from_millis(10);
    }
    let market = Wanted { order_type: OrderType::Market, px: Px::ZERO, ..exit() };
    desk.passes(&Wanted { instrument: ETH, purpose: Purpose::Flatten, ..market });
    desk.is_denied(&Wanted { instrument: ETH, ..entry() }, Reason::InstrumentNotAllowed);
}

#[test]
fn rc_10_an_arm_that_is_refused_counts_no_entries_anew() {
    let mut settings = generous();
    settings.entries_per_day_max = Some(3);
    let mut desk = Desk::new(&settings);
    desk.passes(&entry());
    let kill = Command { verb: Verb::KillGraceful as u32, actor: 1_000, ..Command::default() };
    let kill = desk.told(Kind::Command, InstrumentId::NONE, &kill);
    let _ = desk.gate.on_command(&kill, &mut desk.ledger);
    desk.arm();
    assert_eq!((desk.gate.state(), desk.gate.entries_today), (TradingState::Killed, 1));
}

#[test]
fn rc_02_our_own_largest_quantity_binds_entries_of_its_symbol_by_the_stage_and_no_exits() {
    let mut settings = generous();
    settings.qty_max = vec![(Symbol::new(b"BTCUSDT").unwrap(), qty("4"))];
    settings.stage.limits_percent = Some(50);
    let mut desk = Desk::new(&settings);
    let two = Wanted { qty: qty("2"), ..entry() };
    desk.passes(&two);
    desk.is_denied(&Wanted { qty: qty("2.01"), ..entry() }, Reason::MaxQty);
    desk.passes(&Wanted { instrument: ETH, qty: qty("9"), ..entry() });
    desk.end_orders();
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    desk.passes(&Wanted { qty: qty("5"), ..exit() });
}
