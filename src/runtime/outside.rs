//! The outside in real time: the system's clocks, polled sockets, the REST thread.

use super::clock::wall_now;
use super::wait::idle;
use crate::base::settings::Wait;
use crate::venue::desk::RealEntry;
use crate::venue::line::Line;
use crate::venue::ports::{ClockPort, Now, Outside};
use crate::venue::rest::RestDesk;
use crate::venue::stream::Stream;
use mio::{Events, Poll, Registry};
use std::io;
use std::time::{Duration, Instant};

/// Turns between two looks at the readiness queue while connections are up.
const READINESS_TURNS: u64 = 64;

/// See the head of this file.
#[derive(Clone, Copy, Debug)]
pub struct RealTime;

impl Outside for RealTime {
    type Clock = SystemClock;
    type Stream = Line<Stream>;
    type Entry = RealEntry;
    type Rest = RestDesk;
}

/// The system's clocks, and the readiness queue of the sockets, which a thread without work waits
/// on where its topology lets it.
pub struct SystemClock {
    poll: Poll,
    events: Events,
    wait: Wait,
    turns: u64,
}

impl SystemClock {
    /// With a readiness queue of its own.
    ///
    /// # Errors
    /// When the system has none to give.
    pub fn new(wait: Wait) -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(64), wait, turns: 0 })
    }

    /// Where sockets are registered.
    ///
    /// # Errors
    /// When the system has no descriptor left.
    pub fn registry(&self) -> io::Result<Registry> {
        self.poll.registry().try_clone()
    }
}

impl ClockPort for SystemClock {
    fn now(&mut self) -> Now {
        Now { mono: Instant::now(), wall: wall_now() }
    }

    /// Idles as the topology says. A readiness queue that is never emptied grows without end, so it
    /// is looked at now and then even while spinning.
    fn idle(&mut self) {
        self.turns += 1;
        if self.wait == Wait::Park {
            let _ = self.poll.poll(&mut self.events, Some(Duration::from_millis(1)));
            return;
        }
        if self.turns.is_multiple_of(READINESS_TURNS) {
            let _ = self.poll.poll(&mut self.events, Some(Duration::ZERO));
        }
        idle(self.wait);
    }
}
