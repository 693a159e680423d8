//! Who may move the trading state where, and what each state lets out.

use super::*;
use crate::base::event::{ACTOR_UNATTENDED, SessionCarried};
use TradingState::{Active, Halted, Killed, Reconciling, Reducing};

const STATES: [TradingState; 5] = [Reconciling, Active, Reducing, Halted, Killed];

fn command(verb: Verb, actor: u32) -> Event {
    let body = Command { verb: verb as u32, actor, ..Command::default() };
    Event::new(Kind::Command, InstrumentId::NONE, &body)
}

fn in_state(state: TradingState) -> Desk {
    let mut desk = Desk::new(&generous());
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let cause = desk.cause();
    desk.gate.request(&cause, state, Reason::Operator, Actor::Operator(1));
    assert_eq!(desk.gate.state(), state);
    desk
}

#[test]
fn each_state_lets_out_what_its_row_of_the_table_says() {
    let purposes = [
        Purpose::Entry,
        Purpose::ExitSignal,
        Purpose::ExitStop,
        Purpose::ExitTime,
        Purpose::Flatten,
    ];
    // One row a state, one column a purpose.
    let rows = [
        (Reconciling, [false, false, false, false, true]),
        (Active, [true, true, true, true, true]),
        (Reducing, [false, true, true, true, true]),
        (Halted, [false, true, true, true, true]),
        (Killed, [false, false, false, false, true]),
    ];
    for (state, row) in rows {
        for (purpose, passes) in purposes.into_iter().zip(row) {
            let mut desk = in_state(state);
            let base = if purpose.is_entry() { entry() } else { exit() };
            let wanted = Wanted { purpose, ..base };
            if passes {
                desk.passes(&wanted);
            } else {
                desk.is_denied(&wanted, Reason::TradingState);
            }
        }
    }
}

#[test]
fn cancels_pass_in_every_state() {
    for state in STATES {
        let mut desk = Desk::new(&generous());
        let id = desk.passes(&Wanted { time_in_force: TimeInForce::Gtx, ..entry() });
        let cause = desk.cause();
        desk.gate.request(&cause, state, Reason::Operator, Actor::Operator(1));
        let order = *desk.ledger.entry_to_cancel().unwrap();
        assert_eq!(order.id.0, id);
        let intent = Intent::Cancel { instrument: order.instrument, id: order.id };
        let verdict = desk.gate.admit(&cause, &intent, &mut desk.ledger);
        let Some(Verdict::Approved(approved)) = verdict else { panic!("{state:?}") };
        assert_eq!(approved.event().kind(), Some(Kind::CancelApproved));
        assert!(desk.ledger.entry_to_cancel().is_none(), "the same cancel is not wanted twice");
    }
}

#[test]
fn moves_follow_the_table_and_a_kill_never_resets_itself() {
    // Rows: from; columns: to. `s` the system may, `o` an operator may, `.` nobody.
    let table = [
        (Reconciling, [".", ".", ".", "so", "so"]),
        (Active, ["so", ".", "so", "so", "so"]),
        (Reducing, ["so", "so", ".", "so", "so"]),
        (Halted, ["so", "o", ".", ".", "so"]),
        (Killed, ["o", ".", ".", ".", "."]),
    ];
    for (from, row) in table {
        for (to, who) in STATES.into_iter().zip(row) {
            for (actor, letter) in [(Actor::System, 's'), (Actor::Operator(1), 'o')] {
                let may = who.contains(letter);
                assert_eq!(from != to && Trading::may(from, to, actor), may, "{from:?} → {to:?}");
                let mut desk = in_state(from);
                let cause = desk.cause();
                // `in_state` reaches Reducing as an operator, whose hold the system may not lift.
                let held = from == Reducing && to == Active && actor == Actor::System;
                let change = desk.gate.request(&cause, to, Reason::Operator, actor);
                assert_eq!(change.is_some(), may && !held, "{from:?} → {to:?} by {actor:?}");
            }
        }
    }
}

#[test]
fn a_start_is_not_armed_and_a_reconcile_alone_never_trades() {
    let mut trading = Trading::new();
    assert_eq!(trading.state(), Reconciling);
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Halted);
    trading.on_command(&command(Verb::Arm, 1_000)).unwrap();
    assert_eq!(trading.state(), Active);
}

#[test]
fn a_lost_stream_goes_back_to_what_it_was_and_a_halt_meanwhile_is_kept() {
    for state in [Active, Reducing, Halted] {
        let mut desk = in_state(state);
        let cause = desk.cause();
        let lost = Reason::StreamDown;
        desk.gate.request(&cause, Reconciling, lost, Actor::System).unwrap();
        desk.gate.on_reconciled(&cause).unwrap();
        assert_eq!(desk.gate.state(), state);
    }
    let mut desk = in_state(Active);
    let cause = desk.cause();
    desk.gate.request(&cause, Reconciling, Reason::StreamDown, Actor::System).unwrap();
    desk.gate.request(&cause, Halted, Reason::JournalFault, Actor::System).unwrap();
    assert!(desk.gate.on_reconciled(&cause).is_none());
    assert_eq!(desk.gate.state(), Halted);
}

#[test]
fn a_signal_may_tighten_and_never_loosen() {
    let signal = u32::MAX;
    let mut desk = in_state(Halted);
    assert!(desk.gate.on_command(&command(Verb::Arm, signal), &mut desk.ledger).is_none());
    assert_eq!(desk.gate.state(), Halted);
    desk.gate.on_command(&command(Verb::KillImmediate, signal), &mut desk.ledger).unwrap();
    assert_eq!(desk.gate.state(), Killed);
    assert!(desk.gate.on_command(&command(Verb::Clear, signal), &mut desk.ledger).is_none());
    assert!(desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger).is_none());
    assert_eq!(desk.gate.state(), Killed);
    desk.gate.on_command(&command(Verb::Clear, 1), &mut desk.ledger).unwrap();
    desk.gate.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(desk.gate.state(), Halted, "cleared is not armed");
}

/// What an earlier session left, in this state.
fn left(state: TradingState, lossy: bool) -> Event {
    let body = SessionCarried {
        state: state as u8,
        lossy: u8::from(lossy),
        epoch: 1,
        ..SessionCarried::default()
    };
    Event::new(Kind::SessionCarried, InstrumentId::NONE, &body)
}

#[test]
fn a_latched_halt_or_kill_survives_a_restart() {
    let mut killed = Trading::new();
    killed.on_carried(&left(Killed, false)).unwrap();
    assert!(killed.on_reconciled(&Event::EMPTY).is_none());
    assert!(killed.on_command(&command(Verb::Arm, 1)).is_none());
    assert_eq!(killed.state(), Killed);
    let mut halted = Trading::new();
    assert!(halted.on_carried(&left(Halted, false)).is_none());
    halted.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!((halted.state(), halted.reason()), (Halted, Reason::Latched));
}

#[test]
fn after_a_loss_of_records_nothing_trades_before_somebody_has_looked() {
    let mut trading = Trading::new();
    trading.on_command(&command(Verb::Arm, 1));
    assert!(trading.on_carried(&left(Active, true)).is_none());
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!((trading.state(), trading.reason()), (Halted, Reason::JournalLossy));
}

#[test]
fn an_active_session_leaves_nothing_that_arms_the_next_one() {
    let mut trading = Trading::new();
    assert!(trading.on_carried(&left(Active, false)).is_none());
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Halted);
}

#[test]
fn entries_of_the_day_are_counted_over_restarts_and_not_over_days() {
    for (day, left) in [(0, 1), (-1, 2)] {
        let mut settings = generous();
        settings.entries_per_day_max = Some(2);
        let mut desk = Desk::new(&settings);
        let today = desk.now.0.div_euclid(86_400_000_000_000);
        let carried =
            SessionCarried { epoch: 1, day: today + day, entries_today: 1, ..Default::default() };
        desk.gate.on_time(desk.now);
        desk.gate.on_carried(&Event::new(Kind::SessionCarried, InstrumentId::NONE, &carried));
        let mut entered = 0;
        for _ in 0..3 {
            desk.now = desk.now + Nanos::from_millis(10);
            entered += usize::from(matches!(desk.admit(&entry()), Verdict::Approved(_)));
            desk.end_orders();
        }
        assert_eq!(entered, left);
    }
}

#[test]
fn fault_o09_a_kill_is_cleared_only_when_nothing_is_open_any_more() {
    let mut desk = Desk::new(&generous());
    desk.passes(&entry());
    let cause = desk.cause();
    for _ in 0..2 {
        desk.gate.on_command(&command(Verb::KillGraceful, 1), &mut desk.ledger);
        assert_eq!(desk.gate.state(), Killed, "pressed twice");
    }
    assert!(desk.gate.on_command(&command(Verb::Clear, 1), &mut desk.ledger).is_none());
    assert_eq!(desk.gate.state(), Killed);
    desk.end_orders();
    desk.gate.on_command(&command(Verb::Clear, 1), &mut desk.ledger).unwrap();
    desk.gate.on_reconciled(&cause).unwrap();
    assert_eq!(desk.gate.state(), Halted);
}

#[test]
fn an_operator_s_pause_is_not_lifted_by_a_cool_down() {
    let mut desk = Desk::new(&generous());
    let cause = desk.cause();
    let stale = Reason::StaleMarket;
    desk.gate.request(&cause, Reducing, stale, Actor::System).unwrap();
    assert!(desk.gate.on_command(&command(Verb::Pause, 1), &mut desk.ledger).is_none());
    assert!(desk.gate.request(&cause, Active, stale, Actor::System).is_none());
    desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger).unwrap();
    assert_eq!(desk.gate.state(), Active);
}

#[test]
fn breakers_halt_with_their_reason_and_exits_still_leave() {
    type Change = fn(&mut RiskSettings);
    type Hurt = fn(&mut Desk);
    let cases: [(Change, Hurt, Reason); 3] = [
        (
            |s| s.daily_loss_max = Some(Money::whole(10)),
            |desk| desk.receive(Money::whole(-10)),
            Reason::DailyLoss,
        ),
        (
            |s| s.drawdown_bps_max = Some(100),
            |desk| desk.receive(Money::whole(-10_000)),
            Reason::Drawdown,
        ),
        (
            |s| s.losses_in_a_row_max = Some(1),
            |desk| {
                desk.hold(ETH, Side::Buy, qty("1"), px("100"));
                desk.hold(ETH, Side::Sell, qty("1"), px("99"));
            },
            Reason::ConsecutiveLosses,
        ),
    ];
    for (change, hurt, reason) in cases {
        let mut settings = generous();
        change(&mut settings);
        let mut desk = Desk::new(&settings);
        desk.hold(BTC, Side::Buy, qty("1"), px("100"));
        let cause = desk.cause();
        assert!(desk.breaks(&cause).is_none());
        hurt(&mut desk);
        let change = desk.breaks(&cause).unwrap();
        let body: &crate::base::event::StateChange = change.body();
        assert_eq!((body.from, body.to), (Active as u8, Halted as u8));
        assert_eq!(Reason::from_u16(body.reason), Some(reason));
        assert!(desk.breaks(&cause).is_none(), "a halt is said once");
        desk.is_denied(&entry(), Reason::TradingState);
        desk.passes(&exit());
    }
}

#[test]
fn an_operator_who_arms_after_losses_in_a_row_starts_their_count_anew() {
    let mut settings = generous();
    settings.losses_in_a_row_max = Some(1);
    let mut desk = Desk::new(&settings);
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    desk.hold(BTC, Side::Sell, qty("1"), px("99"));
    let cause = desk.cause();
    desk.breaks(&cause).unwrap();
    desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger).unwrap();
    assert!(desk.breaks(&cause).is_none());
    desk.passes(&entry());
}

#[test]
fn an_arm_while_the_truth_is_sought_is_enough_and_one_that_may_not_arm_forgets_nothing() {
    let (operator, telegram) = (Origin::Operator as u32, Origin::Telegram as u32);
    let cases =
        [(1, operator, Active), (1, telegram, Halted), (ACTOR_UNATTENDED, operator, Halted)];
    for (actor, origin, state) in cases {
        let mut settings = generous();
        settings.losses_in_a_row_max = Some(1);
        let mut desk = Desk::new(&settings);
        let cause = desk.cause();
        let lost = Reason::AccountStreamDown;
        desk.gate.request(&cause, Reconciling, lost, Actor::System).unwrap();
        desk.hold(BTC, Side::Buy, qty("1"), px("100"));
        desk.hold(BTC, Side::Sell, qty("1"), px("99"));
        let body = Command { verb: Verb::Arm as u32, actor, origin, ..Command::default() };
        let arm = Event::new(Kind::Command, InstrumentId::NONE, &body);
        assert_eq!(desk.gate.on_command(&arm, &mut desk.ledger), None);
        desk.gate.on_reconciled(&cause).unwrap();
        let _ = desk.breaks(&cause);
        assert_eq!(desk.gate.state(), state, "{actor} {origin}");
    }
}

#[test]
fn three_unknown_orders_ask_for_a_reconcile() {
    let mut desk = Desk::new(&generous());
    for at in ["99", "98", "97"] {
        // All at once: the first report would freeze the instrument.
        desk.passes(&Wanted { px: px(at), ..entry() });
    }
    let ids: Vec<u64> = desk.ledger.orders().iter().map(|order| order.id.0).collect();
    for client_id in ids {
        let unknown = OrderReport { client_id, ..OrderReport::default() };
        desk.hear(Kind::OrderUnknown, BTC, &unknown);
    }
    let cause = desk.cause();
    desk.breaks(&cause).unwrap();
    assert_eq!(desk.gate.state(), Reconciling);
}
