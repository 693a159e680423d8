//! Every counter in one table. A counter belongs to one stage, which alone writes it; anyone may
//! read.

use super::ids::{InstrumentId, Seq};
use super::limits::INSTRUMENTS_MAX;
use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering, fence};

/// Rows there are for controls: checks of the gate, then breakers.
pub const CONTROL_ROWS: usize = 128;
/// Words of [`Counters::risk`].
pub const RISK_WORDS: usize = 7;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// The counters, in table order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[$doc])* $name),* }

        impl Counter {
            /// Every counter, in table order.
            pub const ALL: &[Counter] = &[$(Counter::$name),*];

            /// The metric name without prefix and suffix.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

counters! {
    /// Frames read from any source.
    Frames = "frames",
    /// Input events sequenced.
    Events = "events",
    /// Market events among them.
    MarketEvents = "market_events",
    /// Frames that could not be understood.
    FramesMalformed = "frames_malformed",
    /// Frames ignored on purpose (unknown type, not a market trade).
    FramesIgnored = "frames_ignored",
    /// Frames read by the slow, checked decoder.
    FramesFallback = "frames_fallback",
    /// Holes found in depth streams.
    Gaps = "gaps",
    /// Books made valid.
    BookSyncs = "book_syncs",
    /// Connections made.
    Connects = "connects",
    /// Events lost because a ring was full.
    Dropped = "dropped",
    /// Predictions made.
    Predictions = "predictions",
    /// Times no prediction could be made.
    NoDecisions = "no_decisions",
    /// Intents that passed the gate.
    Approved = "approved",
    /// Intents that failed a check.
    Denied = "denied",
    /// Entries the policy wanted and its sizing held back.
    HeldBack = "held_back",
    /// Orders sent.
    Orders = "orders",
    /// Cancels sent.
    Cancels = "cancels",
    /// Fills received.
    Fills = "fills",
    /// Orders the venue refused.
    Rejected = "rejected",
    /// Orders of unknown outcome.
    Unknown = "unknown",
    /// Records appended to the journal.
    JournalRecords = "journal_records",
}

/// How often a control was evaluated, came near its limit, and tripped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ControlRow {
    /// Times evaluated.
    pub evaluated: u64,
    /// Times within a fifth of its limit, without reaching it.
    pub near: u64,
    /// Times it tripped.
    pub tripped: u64,
}

/// The session's counters, shared by all threads.
#[derive(Debug)]
pub struct Counters {
    slots: [CachePadded<AtomicU64>; Counter::ALL.len()],
    /// See [`Counters::trading`].
    trading: CachePadded<AtomicU32>,
    controls: [[AtomicU64; 3]; CONTROL_ROWS],
    /// See [`Counters::risk`]; the version is odd while they are written.
    risk: [AtomicI64; RISK_WORDS],
    risk_version: AtomicU64,
    /// See [`Counters::rests_since`].
    resting: [AtomicU64; INSTRUMENTS_MAX],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            slots: Default::default(),
            trading: CachePadded::default(),
            controls: [const { [const { AtomicU64::new(0) }; 3] }; CONTROL_ROWS],
            risk: Default::default(),
            risk_version: AtomicU64::new(0),
            resting: [const { AtomicU64::new(0) }; INSTRUMENTS_MAX],
        }
    }
}

impl Counters {
    /// All zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `n`. Only the counter's owner calls this, so a plain load and store suffice.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        let slot = &self.slots[counter as usize];
        slot.store(slot.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Sets the value, for counts kept elsewhere and published from time to time.
    pub fn set(&self, counter: Counter, value: u64) {
        self.slots[counter as usize].store(value, Ordering::Relaxed);
    }

    /// Publishes the trading state; the risk stage alone calls this.
    #[inline]
    pub fn publish_trading(&self, word: u32) {
        self.trading.store(word, Ordering::Release);
    }

    /// The trading state as the risk stage left it, for every thread that must know it before the
    /// record of it arrives: a word of `risk::TradingWord`.
    #[inline]
    pub fn trading(&self) -> u32 {
        self.trading.load(Ordering::Acquire)
    }

    /// Publishes what a successor has to know of risk; the risk stage alone calls this.
    pub fn publish_risk(&self, words: [i64; RISK_WORDS]) {
        let version = self.risk_version.load(Ordering::Relaxed);
        self.risk_version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        for (slot, word) in self.risk.iter().zip(words) {
            slot.store(word, Ordering::Relaxed);
        }
        self.risk_version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// UTC day, equity at its start, highest equity (1e-8), losses in a row, entries of the day,
    /// the trading state that outlives the session, and its reason. `None` before the first time
    /// and while they are written: look again.
    pub fn risk(&self) -> Option<[i64; RISK_WORDS]> {
        let version = self.risk_version.load(Ordering::Acquire);
        let words = std::array::from_fn(|place| self.risk[place].load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let whole = version != 0
            && version.is_multiple_of(2)
            && version == self.risk_version.load(Ordering::Relaxed);
        whole.then_some(words)
    }

    /// Publishes that an instrument which is being left is flat with nothing working, by the place
    /// in the river of what began it; 0 where it is not, or not left. The risk stage alone calls
    /// this.
    pub fn publish_rest(&self, instrument: InstrumentId, since: Seq) {
        if let Some(word) = self.resting.get(instrument.index()) {
            word.store(since, Ordering::Release);
        }
    }

    /// What [`Self::publish_rest`] told last: whoever knows the place of the newest such beginning
    /// knows whether it is that one's.
    pub fn rests_since(&self, instrument: InstrumentId) -> Seq {
        self.resting.get(instrument.index()).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// Publishes a control's row; the stage that owns the controls alone calls this.
    pub fn set_control(&self, row: usize, counts: ControlRow) {
        let Some(slots) = self.controls.get(row) else { return };
        let values = [counts.evaluated, counts.near, counts.tripped];
        for (slot, value) in slots.iter().zip(values) {
            slot.store(value, Ordering::Relaxed);
        }
    }

    /// A control's row as it was last published.
    pub fn control(&self, row: usize) -> ControlRow {
        let Some(slots) = self.controls.get(row) else { return ControlRow::default() };
        let [evaluated, near, tripped] =
            [0, 1, 2].map(|place: usize| slots[place].load(Ordering::Relaxed));
        ControlRow { evaluated, near, tripped }
    }

    /// The value; it may be behind by what the owner has not published yet.
    pub fn get(&self, counter: Counter) -> u64 {
        self.slots[counter as usize].load(Ordering::Relaxed)
    }
}
