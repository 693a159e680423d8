//! Every counter in one table. A counter belongs to one stage, which alone writes it; anyone may
//! read.

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

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

/// The session's counters, shared by all threads.
#[derive(Debug, Default)]
pub struct Counters {
    slots: [CachePadded<AtomicU64>; Counter::ALL.len()],
    /// See [`Counters::trading`].
    trading: CachePadded<AtomicU32>,
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

    /// The value; it may be behind by what the owner has not published yet.
    pub fn get(&self, counter: Counter) -> u64 {
        self.slots[counter as usize].load(Ordering::Relaxed)
    }
}
