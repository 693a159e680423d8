//! A kill of mode immediate leaves every position and opens none.

use crate::pipeline_support::{EAGER, Rig, assert_replays, lane, parts, synthetic};
use peregrine::base::event::{Event, Kind, Order, Position, StateChange};
use peregrine::base::{Nanos, Purpose};
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
