//! A kill of mode immediate leaves every position and opens none; who arms while the venue's word
//! stands against it arms for exits.

use crate::pipeline_support::{EAGER, Rig, assert_replays, lane, parts, synthetic};
use peregrine::base::event::{Command, Event, Kind, Order, Position, StateChange, VenueStatus};
use peregrine::base::{InstrumentId, Nanos, Purpose, Reason};
use peregrine::risk::{TradingState, Verb};
use std::path::Path;

const SEED: u64 = 11;
const FRAMES: usize = 40_000;

/// A time at which the session over this market holds a position, and will for a while.
fn holding_at(dir: &Path) -> Nanos {
    let (instruments, arrivals) = synthetic(SEED, FRAMES, &[]);
    let mut rig = Rig::fused(&parts(instruments, &EAGER), dir);
    rig.run(&arrivals);
    rig.finish();
    let positions: Vec<Event> =
        lane(dir, 2).into_iter().filter(|e| e.kind() == Some(Kind::Position)).collect();
    let holds = |event: &&Event| event.body::<Position>().qty != 0;
    let lasts = |event: &&Event| {
        let until = event.ts_recv + 500_000_000;
        let of_ours = |e: &&Event| e.instrument == event.instrument;
        let then = positions.iter().filter(of_ours).find(|e| e.ts_recv > event.ts_recv);
        then.is_some_and(|next| next.ts_recv > until || next.body::<Position>().qty != 0)
    };
    let held = positions.iter().filter(holds).find(lasts);
    held.expect("the session holds a position at some time").now() + Nanos(1)
}

#[test]
fn an_immediate_kill_leaves_every_position_and_opens_none() {
    let folder = tempfile::tempdir().unwrap();
    let at = holding_at(&folder.path().join("before"));
    let dir = folder.path().join("killed");
    let (instruments, arrivals) = synthetic(SEED, FRAMES, &[]);
    let mut rig = Rig::fused(&parts(instruments, &EAGER), &dir);
    // The first arrival after the fill delivers it.
    let split = arrivals.iter().position(|arrival| arrival.ts > at).unwrap() + 1;
    rig.run(&arrivals[..split]);
    rig.command(Verb::KillImmediate as u32);
    rig.run(&arrivals[split..]);
    rig.finish();

    let decided = lane(&dir, 2);
    let is_kill = |e: &&Event| {
        e.kind() == Some(Kind::StateChange)
            && e.body::<StateChange>().to == TradingState::Killed as u8
    };
    let kill = decided.iter().find(is_kill).expect("the kill is recorded").seq;
    let last_before = |instrument: u16, seq: u64| {
        let of = |e: &&Event| e.kind() == Some(Kind::Position) && e.instrument == instrument;
        let last = decided.iter().filter(of).rfind(|e| e.seq < seq);
        last.map_or(0, |e| e.body::<Position>().qty)
    };
    let held = (0..2).filter(|&instrument| last_before(instrument, kill) != 0).count();
    assert!(held > 0, "a position was open");
    let orders: Vec<u8> = decided
        .iter()
        .filter(|e| e.kind() == Some(Kind::OrderApproved) && e.seq >= kill)
        .map(|e| e.body::<Order>().purpose)
        .collect();
    assert!(!orders.is_empty(), "an order leaves the position");
    assert!(orders.iter().all(|purpose| *purpose == Purpose::Flatten as u8), "{orders:?}");
    for instrument in 0..2 {
        assert_eq!(last_before(instrument, u64::MAX), 0, "instrument {instrument}");
    }
    assert_replays(&dir);
}

#[test]
fn an_arm_while_a_condition_lasts_lets_no_entry_through() {
    let folder = tempfile::tempdir().unwrap();
    let (instruments, arrivals) = synthetic(SEED, FRAMES, &[]);
    let mut rig = Rig::fused(&parts(instruments, &EAGER), folder.path());
    let (before, after) = arrivals.split_at(FRAMES / 2);
    rig.run(before);
    rig.command(Verb::Pause as u32);
    let ts_until = i64::MAX;
    let told = VenueStatus { reason: Reason::Maintenance as u16, ts_until, ..Default::default() };
    rig.event(Event::new(Kind::VenueStatus, InstrumentId::NONE, &told));
    let arm = Command { verb: Verb::Arm as u32, actor: 1_000, ..Command::default() };
    rig.event(Event::new(Kind::Command, InstrumentId::NONE, &arm));
    rig.run(after);
    rig.finish();

    let decided = lane(folder.path(), 2);
    let moved = |e: &Event| e.body::<StateChange>().to;
    let changes = decided.iter().filter(|e| e.kind() == Some(Kind::StateChange));
    let newest: Vec<(u64, u8)> = changes.map(|e| (e.seq, moved(e))).collect();
    let [.., (paused, first), (armed, active), (reduced, last)] = newest[..] else {
        panic!("{newest:?}")
    };
    let states = [TradingState::Reducing, TradingState::Active, TradingState::Reducing];
    assert_eq!([first, active, last], states.map(|state| state as u8), "{newest:?}");
    assert_eq!(armed, reduced, "at one event");
    let entered = |e: &&Event| {
        e.kind() == Some(Kind::OrderApproved) && e.body::<Order>().purpose == Purpose::Entry as u8
    };
    let (until, since): (Vec<&Event>, Vec<&Event>) =
        decided.iter().filter(entered).partition(|e| e.seq < paused);
    assert!(!until.is_empty() && since.is_empty(), "{} {}", until.len(), since.len());
    assert_replays(folder.path());
}
