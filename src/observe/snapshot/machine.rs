//! Who is running, on what, and how well: session, threads, rings, resources, counters.

use crate::base::counters::{Counter, Counters};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// Who is running.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SessionView {
    /// Version of the program.
    pub version: &'static str,
    /// `demo`, `backtest`, `paper`, `testnet` or `live`.
    pub mode: &'static str,
    /// The journal's folder.
    pub journal: String,
    /// Start in nanoseconds since the epoch.
    pub started_ns: i64,
    /// When this snapshot was taken, nanoseconds since the epoch.
    pub taken_ns: i64,
    /// Seconds since start.
    pub uptime_seconds: f64,
}

/// One thread's heartbeat.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ThreadView {
    /// Name of the thread, such as `feed`.
    pub name: &'static str,
    /// The core it is pinned to; `None` when it floats.
    pub core: Option<usize>,
    /// Turns of its loop since start.
    pub turns: u64,
    /// True when the turns rose within the allowed time.
    pub beating: bool,
    /// Seconds since the turns were last seen to rise.
    pub silent_seconds: f64,
}

/// One ring's fill.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RingView {
    /// `<producer>_<consumer>`.
    pub name: &'static str,
    /// Events in it.
    pub occupied: usize,
    /// Events it holds.
    pub capacity: usize,
}

/// The process's use of the machine.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ResourceView {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Processor time used since start, in seconds.
    pub cpu_seconds: f64,
    /// Free bytes where the journal lives.
    pub disk_free_bytes: u64,
}

/// The counters' values at one instant. Serialises as `{name: value}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterValues([u64; Counter::ALL.len()]);

impl Default for CounterValues {
    fn default() -> Self {
        Self([0; Counter::ALL.len()])
    }
}

impl CounterValues {
    /// Reads every counter once.
    pub fn read(counters: &Counters) -> Self {
        let mut values = Self::default();
        for &counter in Counter::ALL {
            values.0[counter as usize] = counters.get(counter);
        }
        values
    }

    /// One counter's value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }
}

impl Serialize for CounterValues {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Counter::ALL.len()))?;
        for &counter in Counter::ALL {
            map.serialize_entry(counter.name(), &self.get(counter))?;
        }
        map.end()
    }
}
