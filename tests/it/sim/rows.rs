//! The tests: rows of the catalogue of faults, each alone in a calm world. All promises hold, and
//! the session does what the row asks for.

use super::net::Line;
use super::plan::{Deed, Plan, fault};
use super::run::{Outcome, Run};
use crate::lanes::read;
use crate::process::wait;
use peregrine::base::event::{Event, Kind, StateChange};
use peregrine::base::{Nanos, Reason};
use peregrine::journal::{Journal, JournalSettings, LANES};
use peregrine::risk::TradingState;
use serde_json::json;

/// Of all these tests.
const SEED: u64 = 7;

#[track_caller]
fn outcome(plan: Plan) -> Outcome {
    let outcome = Run::new(SEED, plan).until_end();
    assert!(outcome.broken.is_empty(), "{:?}", outcome.broken);
    assert_eq!(outcome.sessions, 1, "it went on");
    outcome
}

/// Agrees with the exchange once all is well again, without an operator.
#[track_caller]
fn assert_settles(plan: Plan) {
    let outcome = outcome(plan);
    assert!(outcome.settled.is_some(), "{:?}", outcome.ended);
    assert!(outcome.fills > 0, "nothing was tried");
}

fn with_deeds(deeds: &[(i64, Deed)]) -> Plan {
    let deeds = deeds.iter().map(|(second, deed)| (Nanos::from_secs(*second), *deed));
    Plan { deeds: deeds.collect(), ..Plan::calm() }
}

#[test]
fn fault_n06_nothing_is_sent_on_data_that_come_a_second_and_a_half_late() {
    let mut late = Plan::calm();
    late.manners[Line::Market as usize].delay = Nanos::from_millis(1_500);
    assert_eq!(outcome(late).sent, 0);
    let mut quick = Plan::calm();
    quick.manners[Line::Market as usize].jitter = Nanos::from_millis(300);
    assert!(outcome(quick).sent > 0, "the same market in time is traded on");
}

#[test]
fn fault_p03_a_process_that_stood_still_enters_on_nothing_that_is_old_by_then() {
    for ms in [300, 2_000, 7_000, 15_000] {
        assert_settles(with_deeds(&[(12, Deed::Pause { ms })]));
    }
    // Nobody looked meanwhile, so the venue is asked before anything goes on.
    let mut run = Run::new(SEED, Plan::calm());
    run.start();
    assert_eq!(run.state_after(12_000).0, TradingState::Active);
    run.pause(2_000);
    let stalled = (TradingState::Reconciling, Reason::ThreadStalled as u16);
    assert_eq!(run.state_after(1), stalled);
    assert_eq!(run.state_after(5_000).0, TradingState::Active);
}

#[test]
fn fault_p05_a_panic_anywhere_in_a_turn_leaves_a_journal_that_replays_and_the_next_one_reconciles()
{
    for reads in [1, 2, 3, 7, 12, 25] {
        let mut run = Run::new(SEED, Plan::calm());
        run.start();
        assert_eq!(run.state_after(12_000).0, TradingState::Active);
        run.world.borrow_mut().panics_in = Some(reads);
        assert_eq!(run.state_after(10_000).0, TradingState::Active, "{reads}");
        let [first, second] = run.dirs() else { panic!("{:?}", run.dirs()) };
        // Its last words: everything up to the panic, and nothing sealed behind it.
        assert!(read(first, 0).len() > 1_000);
        let inputs = read(second, 0);
        let at = |kind: Kind| inputs.iter().position(|event| event.kind() == Some(kind));
        let (carried, known) = (at(Kind::SessionCarried), at(Kind::Reconciled));
        assert!(carried.is_some() && carried < known, "{carried:?} {known:?}");
        let known = inputs[known.expect("it was reconciled")].seq;
        let active = |event: &&Event| {
            event.kind() == Some(Kind::StateChange)
                && event.body::<StateChange>().to == TradingState::Active as u8
        };
        let outputs = read(second, 2);
        let first_active = outputs.iter().find(active).expect("it trades again").seq;
        assert!(first_active >= known, "not before the venue was asked");
        let settled = run.settle();
        assert!(settled.is_some());
        let outcome = run.finish(settled);
        assert_eq!((outcome.broken, outcome.sessions), (Vec::<String>::new(), 2));
    }
}

#[test]
fn fault_p06_while_the_journal_s_disk_is_nearly_full_it_only_reduces() {
    let folder = super::parts::folder();
    let settings = |least| JournalSettings {
        segment_records: [64; LANES],
        disk_free_min_bytes: least,
        ..JournalSettings::live(7)
    };
    let mut run = Run::new(SEED, Plan::calm());
    run.start();
    assert_eq!(run.state_after(12_000).0, TradingState::Active);
    let (full, _lanes) = Journal::create(&folder.path().join("full"), settings(u64::MAX)).unwrap();
    wait("the disk to be short", || full.health().low_space());
    run.session().hear_health(full.health());
    let reducing = (TradingState::Reducing, Reason::JournalFault as u16);
    assert_eq!(run.state_after(2_000), reducing);
    let (free, _lanes) = Journal::create(&folder.path().join("free"), settings(0)).unwrap();
    run.session().hear_health(free.health());
    // The cool-down comes first.
    assert_eq!(run.state_after(8_000).0, TradingState::Active);
    let settled = run.settle();
    assert_eq!(run.finish(settled).broken, Vec::<String>::new());
}

#[test]
fn fault_p12_a_wall_clock_that_jumps_either_way_breaks_no_promise() {
    for ms in [-3_000, -900, 900, 3_000] {
        let deeds = [(12, Deed::Jump { ms }), (20, Deed::Jump { ms: -2 * ms })];
        assert_settles(with_deeds(&deeds));
    }
}

#[test]
fn fault_x08_an_outage_of_the_whole_exchange_ends_in_agreement() {
    let outage = fault("outage", json!({}), json!({"from": 10_000, "until": 25_000}));
    assert_settles(Plan { faults: vec![outage], ..Plan::calm() });
}

#[test]
fn fault_x09_answers_that_take_twelve_seconds_leave_unknown_orders_and_no_second_ones() {
    let mut slow = Plan::calm();
    slow.manners[Line::Entry as usize].delay = Nanos::from_secs(6);
    let (slow, calm) = (outcome(slow), outcome(Plan::calm()));
    assert!(slow.sent > 0 && slow.sent < calm.sent / 4, "{} of {}", slow.sent, calm.sent);
}
