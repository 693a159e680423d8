//! A pinned thread of a real trader is held in the middle of its work: the dead man kills, the
//! exchange is empty of entries while the thread still stands, and nothing trades behind it.

use crate::kill_process::{Books, Trader, check_journal, place_far_away, start};
use crate::process::{look, wait};
use crate::service_notify::{Held, hold, risk_thread};
use crate::trader_world::error_of;
use peregrine::risk::{Origin, reason_of};
use peregrine::runtime::kill::latch::{Latch, Mode};
use rustix::process::Signal;

/// Longer than a busy machine holds a thread up.
const STALL_MS: &str = "5000";

/// A trader whose thread of the risk stage is held, from the moment that its orders are gone and
/// the latch says why; `None`, and said so, where the system holds no thread for us.
fn stalled() -> Option<(Trader, Held)> {
    // The venue's own timer would cancel as well: here the process has to.
    let trader = Trader::start(&[
        ("PEREGRINE__KILL__STALL_MS", STALL_MS),
        ("PEREGRINE__VENUE__DEAD_MAN_MS", "0"),
    ]);
    place_far_away(&trader.world.exchange);
    assert!(Books::of(&trader.world.exchange).open_orders() > 0);
    let held = hold(risk_thread(trader.process.id()))?;
    let books = || Books::of(&trader.world.exchange);
    wait("no order that works at the exchange", || books().open_orders() == 0);
    let latch = look("the latch", || Latch::read(&trader.world.state()).ok_or("no latch"));
    assert_eq!((latch.mode, latch.origin.as_str()), (Mode::Graceful, Origin::DeadMan.name()));
    assert!(latch.reason.ends_with("stands still"), "{latch}");
    assert!(!latch.finished, "nobody has seen that the venue is empty");
    Some((trader, held))
}

#[test]
fn a_thread_that_stands_still_kills_and_when_it_turns_again_the_session_ends_with_78() {
    let Some((trader, held)) = stalled() else { return };
    drop(held);
    let world = trader.ends_killed("dead man");
    let command = check_journal(&world, "dead man").unwrap();
    assert_eq!(Origin::from_u32(command.origin), Some(Origin::DeadMan));
    assert!(reason_of(&command).ends_with("stands still"));
    let books = Books::of(&world.exchange);
    assert_eq!(books.positions(), books.stops(), "each position has its stop");
}

#[test]
fn a_thread_that_never_turns_again_leaves_a_kill_that_the_next_start_ends_with_78() {
    let Some((trader, held)) = stalled() else { return };
    // What a service manager does whose watchdog is not fed.
    trader.process.signal(Signal::ABORT);
    // Who holds a thread has to let it go for its process to be gone; it is ended already.
    drop(held);
    let Trader { world, process } = trader;
    assert_eq!(process.end().status.code(), None);
    let again = start(&world, &[]).end();
    assert_eq!(again.status.code(), Some(78), "{}", error_of(&again));
    assert!(Latch::read(&world.state()).unwrap().finished);
    let books = Books::of(&world.exchange);
    assert_eq!(books.open_orders(), 0);
    assert_eq!(books.positions(), books.stops(), "each position has its stop");
}
