//! Real processes: killed, ended, started twice, and commanded by an operator.

use crate::lanes::{first, has, is, read};
use crate::pipeline_support::{peregrine, text};
use crate::process::{Process, wait};
use crate::trader_world::{World, error_of};
use peregrine::base::event::{SessionCarried, SessionStart, StateChange, VenueStatus};
use peregrine::base::{Event, Kind, Reason};
use peregrine::journal::{LaneEnd, LaneReader};
use rustix::process::Signal;
use std::process::Output;
use std::time::{Duration, Instant};

fn terminate(session: Process) -> Output {
    session.signal(Signal::TERM);
    session.end()
}

#[test]
fn a_testnet_session_waits_for_an_operator_and_a_kill_outlives_it() {
    let world = World::new();
    let session = world.start_quick("config/testnet.toml", &[]);
    world.wait_for_state("halted");
    let armed = world.operate(&["arm", "--reason", "books compared"]);
    assert_eq!(armed.status.code(), Some(0), "{}", error_of(&armed));
    let journal = world.journal("0000001-testnet");
    wait("an order", || has(&journal, 3, is(Kind::OrderIntent)));
    let start: SessionStart = *first(&read(&journal, 0), Kind::SessionStart).unwrap().body();
    assert_eq!((start.mode, start.account == 0), (2, false));

    let without_reason = world.operate(&["kill", "--mode", "graceful"]);
    assert_eq!(without_reason.status.code(), Some(2));
    for _ in 0..2 {
        let killed = world.operate(&["kill", "--mode", "graceful", "--reason", "enough"]);
        assert_eq!(killed.status.code(), Some(0), "{}", error_of(&killed));
    }
    let ended = session.end();
    assert_eq!(ended.status.code(), Some(78), "{}", error_of(&ended));

    // Its file lost, the journal still tells the kill: the next session ends it again, and stays.
    std::fs::remove_file(world.state().join("killed")).unwrap();
    let ended = world.start_quick("config/testnet.toml", &[]).end();
    assert_eq!(ended.status.code(), Some(78), "{}", error_of(&ended));
    let carried = read(&world.journal("0000002-testnet"), 0);
    let carried: SessionCarried = *first(&carried, Kind::SessionCarried).unwrap().body();
    assert_eq!((carried.epoch, carried.state), (1, 4));
    assert!(world.state().join("killed").exists());
}

#[test]
fn fault_p01_a_killed_session_is_gone_on_from_and_both_journals_replay() {
    let world = World::new();
    let session = world.start_quick("config/paper.toml", &[]);
    let first_journal = world.journal("0000001-paper");
    wait("a fill", || has(&first_journal, 0, is(Kind::OrderFilled)));
    session.signal(Signal::KILL);
    assert_eq!(session.end().status.code(), None, "killed, not ended");

    let again = world.start_quick("config/paper.toml", &[]);
    let second = world.journal("0000002-paper");
    wait("an opening", || has(&second, 0, is(Kind::SessionCarried)));
    let inputs = read(&second, 0);
    let carried: SessionCarried = *first(&inputs, Kind::SessionCarried).unwrap().body();
    assert_eq!(carried.epoch, 1);
    let told = first(&inputs, Kind::PositionCarried);
    assert!(told.is_some(), "something was filled, so something is carried");
    again.signal(Signal::KILL);
    again.end();
    for journal in [&first_journal, &second] {
        let replayed = peregrine(&["replay", text(journal), "--verify", "--json"]);
        assert_eq!(replayed.status.code(), Some(0), "{}", error_of(&replayed));
    }
}

#[test]
fn fault_p02_and_p03_a_stopped_session_reconciles_and_a_terminated_one_ends_in_time() {
    let world = World::new();
    let session = world.start_quick("config/paper.toml", &[]);
    let journal = world.journal("0000001-paper");
    wait("an order", || has(&journal, 3, is(Kind::OrderIntent)));
    session.signal(Signal::STOP);
    let began = Instant::now();
    wait("a second and a half", || began.elapsed() > Duration::from_millis(1_500));
    session.signal(Signal::CONT);
    let stalled = |event: &Event| {
        let body: &VenueStatus = event.body();
        event.kind() == Some(Kind::VenueStatus) && body.reason == Reason::ThreadStalled as u16
    };
    wait("the pause to be noticed", || has(&journal, 0, stalled));
    wait("trading to wait for the venue's books", || {
        let moved = |event: &Event| {
            event.kind() == Some(Kind::StateChange)
                && event.body::<StateChange>().reason == Reason::ThreadStalled as u16
        };
        has(&journal, 2, moved)
    });
    let began = Instant::now();
    let ended = terminate(session);
    assert_eq!(ended.status.code(), Some(0), "{}", error_of(&ended));
    assert!(began.elapsed() < Duration::from_secs(20));
    for lane in 0..4 {
        let mut reader = LaneReader::open(&journal, lane).unwrap();
        assert!(reader.by_ref().all(|item| item.is_ok()));
        assert!(matches!(reader.end(), Some(LaneEnd::Closed(_))), "lane {lane} is sealed");
    }
}

#[test]
fn fault_o03_a_second_instance_on_a_state_folder_is_refused_before_it_asks_anything() {
    let world = World::new();
    let held = peregrine::runtime::state::StateFolder::open(&world.state()).unwrap();
    let refused = world.start_quick("config/paper.toml", &[]).end();
    assert_eq!(refused.status.code(), Some(1));
    let error = error_of(&refused);
    assert!(error.contains("in use by another") && error.contains(text(&world.state())), "{error}");
    assert!(!world.state().join("journal").exists());
    drop(held);
}

#[test]
fn fault_o04_a_state_folder_that_cannot_be_written_is_refused_by_name() {
    let world = World::new();
    std::fs::write(world.state(), b"a file").unwrap();
    let refused = world.start_quick("config/paper.toml", &[]).end();
    assert_eq!(refused.status.code(), Some(1));
    assert!(error_of(&refused).contains(text(&world.state())), "{}", error_of(&refused));
}
