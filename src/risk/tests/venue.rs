//! What the venue tells, and what an earlier session left, as trading states.

use super::*;
use crate::base::event::{
    ACTOR_UNATTENDED, SessionCarried, StateChange, VenuePosition, VenueStatus, flags,
};
use TradingState::{Active, Halted, Killed, Reconciling, Reducing};

fn status(reason: Reason, ts_until: i64) -> Event {
    let body = VenueStatus { reason: reason as u16, ts_until, ..VenueStatus::default() };
    Event::new(Kind::VenueStatus, InstrumentId::NONE, &body)
}

fn command(verb: Verb, actor: u32) -> Event {
    let body = Command { verb: verb as u32, actor, ..Command::default() };
    Event::new(Kind::Command, InstrumentId::NONE, &body)
}

fn after(change: Option<Event>) -> Option<(TradingState, Reason)> {
    let body = *change?.body::<StateChange>();
    Some((TradingState::from_u8(body.to)?, Reason::from_u16(body.reason)?))
}

fn at(seconds: i64) -> Event {
    Event { ts_recv: Nanos::from_secs(seconds).0, ..Event::EMPTY }
}

#[test]
fn fault_n07_what_happens_on_the_account_unseen_is_reconciled_before_trading_goes_on() {
    let mut desk = Desk::new(&generous());
    let down = desk.gate.on_venue_status(&status(Reason::AccountStreamDown, 0));
    assert_eq!(after(down), Some((Reconciling, Reason::AccountStreamDown)));
    // Arming is a wish until the truth is known.
    assert_eq!(desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger), None);
    assert_eq!(desk.gate.state(), Reconciling);
    let clean = desk.gate.on_reconciled(&Event::EMPTY);
    assert_eq!(after(clean), Some((Active, Reason::Reconciled)));
}

#[test]
fn halted_on_top_of_a_lost_stream_an_operator_s_arm_leads_to_the_truth_first() {
    let mut desk = Desk::new(&generous());
    desk.gate.on_venue_status(&status(Reason::AccountStreamDown, 0)).unwrap();
    let halt = desk.gate.on_venue_status(&status(Reason::ForeignOrder, 0));
    assert_eq!(after(halt), Some((Halted, Reason::ForeignOrder)));
    let armed = desk.gate.on_command(&command(Verb::Arm, 1), &mut desk.ledger);
    assert_eq!(after(armed), Some((Reconciling, Reason::Operator)));
    assert_eq!(after(desk.gate.on_reconciled(&Event::EMPTY)), Some((Active, Reason::Reconciled)));
}

#[test]
fn fault_n08_without_order_entry_it_only_reduces_and_goes_on_when_told_over() {
    let mut desk = Desk::new(&generous());
    let down = desk.gate.on_venue_status(&status(Reason::OrderEntryDown, 0));
    assert_eq!(after(down), Some((Reducing, Reason::OrderEntryDown)));
    assert_eq!(desk.gate.relax(&at(1_000_000)), None, "it lasts until told over");
    let over = status(Reason::OrderEntryDown, 0).with_flags(flags::ON);
    assert_eq!(after(desk.gate.on_venue_status(&over)), Some((Active, Reason::None)));
}

#[test]
fn what_ends_by_itself_ends_by_an_event_s_time_and_never_lifts_an_operator_s_pause() {
    let mut desk = Desk::new(&generous());
    let until = Nanos::from_secs(60).0;
    desk.gate.on_venue_status(&status(Reason::RateLimited, until)).unwrap();
    assert_eq!(desk.gate.relax(&at(59)), None);
    assert_eq!(after(desk.gate.relax(&at(60))), Some((Active, Reason::None)));
    desk.gate.on_venue_status(&status(Reason::RateLimited, 2 * until)).unwrap();
    desk.gate.on_command(&command(Verb::Pause, 1), &mut desk.ledger);
    assert_eq!(desk.gate.relax(&at(200)), None);
    assert_eq!(desk.gate.state(), Reducing);
}

#[test]
fn a_condition_that_began_while_reconciling_reduces_as_soon_as_that_is_over() {
    let mut desk = Desk::new(&generous());
    desk.gate.on_venue_status(&status(Reason::AccountStreamDown, 0)).unwrap();
    assert_eq!(desk.gate.on_venue_status(&status(Reason::Overloaded, 0)), None);
    desk.gate.on_reconciled(&at(1)).unwrap();
    assert_eq!(after(desk.gate.relax(&at(1))), Some((Reducing, Reason::Overloaded)));
}

#[test]
fn fault_x05_a_position_that_the_venue_closed_kills_and_a_stranger_s_fill_halts() {
    for (reason, state) in [(Reason::ClosedByVenue, Killed), (Reason::ForeignOrder, Halted)] {
        let mut desk = Desk::new(&generous());
        let fill = OrderReport { reason: reason as u16, ..OrderReport::default() };
        let fill = Event::new(Kind::OrderFilled, BTC, &fill);
        assert_eq!(after(desk.gate.on_foreign_fill(&fill)), Some((state, reason)));
    }
    let mut desk = Desk::new(&generous());
    let own = OrderReport { client_id: 7, ..OrderReport::default() };
    assert_eq!(desk.gate.on_foreign_fill(&Event::new(Kind::OrderFilled, BTC, &own)), None);
}

#[test]
fn a_position_told_twice_alike_that_is_not_the_ledger_s_halts() {
    let mut desk = Desk::new(&generous());
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let told = |units: i64, bits: u8| {
        let body = VenuePosition { qty: units, ..VenuePosition::default() };
        Event::new(Kind::VenuePosition, BTC, &body).with_flags(bits)
    };
    let one = qty("1").0;
    assert_eq!(desk.gate.on_venue_position(&told(one, flags::LAST), &desk.ledger), None);
    assert_eq!(desk.gate.on_venue_position(&told(one - 1, 0), &desk.ledger), None);
    let differs = desk.gate.on_venue_position(&told(one - 1, flags::LAST), &desk.ledger);
    assert_eq!(after(differs), Some((Halted, Reason::PositionMismatch)));
}

fn left(state: TradingState) -> Event {
    let body = SessionCarried { state: state as u8, epoch: 4, ..SessionCarried::default() };
    Event::new(Kind::SessionCarried, InstrumentId::NONE, &body)
}

#[test]
fn halted_and_killed_outlive_a_restart_and_only_a_person_ends_them() {
    let mut trading = Trading::new();
    assert_eq!(after(trading.on_carried(&left(Killed))), Some((Killed, Reason::Latched)));
    assert!(trading.on_reconciled(&Event::EMPTY).is_none());
    assert!(trading.on_command(&command(Verb::Arm, 1)).is_none());
    assert_eq!(trading.state(), Killed);

    let mut trading = Trading::new();
    assert_eq!(trading.on_carried(&left(Halted)), None, "it reconciles first");
    assert!(trading.on_command(&command(Verb::Arm, ACTOR_UNATTENDED)).is_none());
    let reached = after(trading.on_reconciled(&Event::EMPTY));
    assert_eq!(reached, Some((Halted, Reason::Latched)));
    assert!(trading.on_command(&command(Verb::Arm, ACTOR_UNATTENDED)).is_none());
    assert_eq!(trading.state(), Halted);
    trading.on_command(&command(Verb::Arm, 1)).unwrap();
    assert_eq!(trading.state(), Active);

    let mut trading = Trading::new();
    assert_eq!(trading.on_carried(&left(Active)), None);
    trading.on_command(&command(Verb::Arm, ACTOR_UNATTENDED));
    trading.on_reconciled(&Event::EMPTY).unwrap();
    assert_eq!(trading.state(), Active, "an ordinary end latches nothing");
}
