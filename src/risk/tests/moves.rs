//! What a command, a restart and a reconciliation leave in the state machine, where it can only be
//! seen later.

use super::*;
use crate::base::event::{ACTOR_UNATTENDED, SessionCarried, StateChange};
use TradingState::{Active, Halted, Killed, Reconciling, Reducing};

fn command(verb: Verb, actor: u32) -> Event {
    let body = Command { verb: verb as u32, actor, ..Command::default() };
    Event::new(Kind::Command, InstrumentId::NONE, &body)
}

fn left(state: TradingState) -> Event {
    let body = SessionCarried { state: state as u8, epoch: 1, ..SessionCarried::default() };
    Event::new(Kind::SessionCarried, InstrumentId::NONE, &body)
}

fn ask(trading: &mut Trading, to: TradingState, actor: Actor) -> Option<Event> {
    trading.request(&Event::EMPTY, to, Reason::Operator, actor)
}

/// Armed by a person and reconciled.
fn active() -> Trading {
    let mut trading = Trading::new();
    trading.on_command(&command(Verb::Arm, 1));
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Active);
    trading
}

#[test]
fn a_move_says_who_wanted_it() {
    for (actor, number) in [(Actor::Operator(7), 7), (Actor::System, u32::MAX)] {
        let change = ask(&mut active(), Halted, actor).unwrap();
        assert_eq!(change.body::<StateChange>().actor, number);
    }
}

#[test]
fn a_pause_holds_whoever_gave_it_and_whenever() {
    // By a person and by a signal, while it trades.
    for actor in [1, u32::MAX] {
        let mut trading = active();
        trading.on_command(&command(Verb::Pause, actor)).unwrap();
        assert_eq!(trading.state(), Reducing);
        assert!(ask(&mut trading, Active, Actor::System).is_none(), "{actor}");
        ask(&mut trading, Active, Actor::Operator(1)).unwrap();
    }
    // While the truth is sought: it comes back to a reduction that holds.
    let mut trading = active();
    ask(&mut trading, Reconciling, Actor::System).unwrap();
    assert!(trading.on_command(&command(Verb::Pause, 1)).is_none());
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Reducing);
    assert!(ask(&mut trading, Active, Actor::System).is_none());
    // A halt stays one.
    let mut trading = active();
    ask(&mut trading, Halted, Actor::System).unwrap();
    ask(&mut trading, Reconciling, Actor::System).unwrap();
    trading.on_command(&command(Verb::Pause, 1));
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Halted);
}

/// A successor that took a breaker's cool-down for a pause would never trade again by itself.
#[test]
fn what_outlives_a_session_is_a_persons_pause_a_halt_or_a_kill_and_no_cool_down() {
    for (to, actor, left) in [
        (Reducing, Actor::System, Active),
        (Reducing, Actor::Operator(1), Reducing),
        (Halted, Actor::System, Halted),
        (Killed, Actor::System, Killed),
    ] {
        let mut trading = active();
        assert_eq!(trading.left(), Active);
        ask(&mut trading, to, actor).unwrap();
        assert_eq!(trading.left(), left, "{to:?} {actor:?}");
        if to != Killed {
            ask(&mut trading, Reconciling, Actor::System).unwrap();
            assert_eq!(trading.left(), left, "{to:?} {actor:?}, looked at");
        }
    }
    let mut trading = active();
    ask(&mut trading, Reconciling, Actor::System).unwrap();
    trading.on_command(&command(Verb::Pause, 1));
    assert_eq!(trading.left(), Reducing, "while the truth is sought");
    assert_eq!(Trading::new().left(), Halted, "nobody has armed");
}

#[test]
fn a_reduction_by_the_system_ends_by_the_system_though_a_person_once_held_one() {
    let mut trading = active();
    trading.on_command(&command(Verb::Pause, 1)).unwrap();
    trading.on_command(&command(Verb::Arm, 1)).unwrap();
    ask(&mut trading, Reducing, Actor::System).unwrap();
    ask(&mut trading, Active, Actor::System).unwrap();
    // Armed while the truth is sought, the hold is over too.
    trading.on_command(&command(Verb::Pause, 1)).unwrap();
    ask(&mut trading, Reconciling, Actor::System).unwrap();
    trading.on_command(&command(Verb::Arm, 1));
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Active);
    ask(&mut trading, Reducing, Actor::System).unwrap();
    ask(&mut trading, Active, Actor::System).unwrap();
}

#[test]
fn a_first_session_arms_itself_where_it_may_and_a_latched_one_waits_for_a_person() {
    let mut first = Trading::new();
    first.on_command(&command(Verb::Arm, ACTOR_UNATTENDED));
    first.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(first.state(), Active);

    let mut latched = Trading::new();
    latched.on_carried(&left(Halted));
    assert!(latched.is_latched() && !Trading::new().is_latched());
    latched.on_reconciled(&Event::EMPTY).unwrap();
    latched.on_command(&command(Verb::Arm, 1)).unwrap();
    assert!(!latched.is_latched(), "somebody has looked");

    // Looked while it was not reconciled yet.
    let mut early = Trading::new();
    early.on_carried(&left(Halted));
    early.on_command(&command(Verb::Arm, 1));
    assert!(!early.is_latched());
    let change = early.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(change.body::<StateChange>().reason, Reason::Reconciled as u16);
    assert_eq!(early.state(), Active);
}

#[test]
fn an_arm_before_the_halt_of_the_last_session_is_known_arms_nothing() {
    let mut trading = Trading::new();
    trading.on_command(&command(Verb::Arm, 1));
    trading.on_carried(&left(Halted));
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!((trading.state(), trading.reason()), (Halted, Reason::Latched));
}

#[test]
fn halted_before_anything_was_reconciled_an_arm_seeks_the_truth_first() {
    let mut trading = Trading::new();
    trading.on_carried(&left(Halted));
    ask(&mut trading, Halted, Actor::System).unwrap();
    let change = trading.on_command(&command(Verb::Arm, 1)).unwrap();
    assert_eq!(change.body::<StateChange>().to, Reconciling as u8);
    assert!(!trading.is_latched());
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Active);
}

#[test]
fn an_arm_that_arms_nothing_forgets_no_losses() {
    let mut desk = Desk::new(&generous());
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    desk.hold(BTC, Side::Sell, qty("1"), px("99"));
    let cause = desk.cause();
    desk.gate.request(&cause, Killed, Reason::Operator, Actor::Operator(1)).unwrap();
    assert!(desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger).is_none());
    assert_eq!(desk.ledger.losses_in_a_row(), 1);
}

#[test]
fn only_a_session_that_was_halted_comes_back_small() {
    for (state, percent) in [(Halted, 50), (Active, 100), (Reducing, 100)] {
        let mut desk = Desk::new(&generous());
        let cause = desk.cause();
        desk.gate.request(&cause, Reconciling, Reason::StartUp, Actor::System).unwrap();
        let _ = desk.gate.on_carried(&left(state));
        desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger);
        desk.gate.on_reconciled(&cause).unwrap();
        assert_eq!((desk.gate.state(), desk.gate.size_percent()), (Active, percent), "{state:?}");
    }
}

#[test]
fn what_is_never_traded_becomes_active_by_no_sequence_of_what_can_happen() {
    let armed = [1, ACTOR_UNATTENDED, u32::MAX].map(|actor| command(Verb::Arm, actor));
    let others = [Verb::Pause, Verb::KillGraceful, Verb::KillImmediate, Verb::Clear]
        .map(|verb| command(verb, 1));
    let lefts = [Reconciling, Active, Reducing, Halted, Killed].map(left);
    let events: Vec<Event> = armed.into_iter().chain(others).chain(lefts).collect();
    let asked = [Active, Reducing, Halted, Reconciling, Killed];
    let actors = [Actor::System, Actor::Operator(1)];
    // Everything that can happen: an event, a clean reconcile, a wish of the system's or of ours.
    let act = |trading: &mut Trading, n: usize| match n {
        0 => trading.on_reconciled(&Event::EMPTY),
        n if n <= events.len() => {
            let event = &events[n - 1];
            if event.kind() == Some(Kind::SessionCarried) {
                trading.on_carried(event)
            } else {
                trading.on_command(event)
            }
        }
        n => {
            let n = n - 1 - events.len();
            let (to, actor) = (asked[n % asked.len()], actors[n / asked.len()]);
            // A person's way to the active state is the command.
            let allowed = to != Active || actor == Actor::System;
            if allowed { ask(trading, to, actor) } else { None }
        }
    };
    let acts = 1 + events.len() + asked.len() * actors.len();
    let mut reached = std::collections::HashSet::new();
    for first in 0..acts {
        for second in 0..acts {
            for third in 0..acts {
                for fourth in 0..acts {
                    let mut trading = Trading::barred();
                    for n in [first, second, third, fourth] {
                        act(&mut trading, n);
                        assert!(!trading.is_armed(), "{first} {second} {third} {fourth}");
                        reached.insert(trading.state());
                    }
                }
            }
        }
    }
    let never = [Active, Reducing].iter().any(|state| reached.contains(state));
    assert!(!never && reached.len() == 3, "{reached:?}");
}
