//! Every compile-time cap, with its unit in the name and its arithmetic in the comment.
//! Configuration may tighten a cap, never loosen it.

use super::event::{EVENT_BYTES, LEVELS_PER_EVENT};

/// Instruments in one session.
pub const INSTRUMENTS_MAX: usize = 1_024;

/// Symbols that have a model of their own. A swap names a place in a byte and champions change
/// between four; each model is two of the 256 attachments of a journal, so 60 leave half of them.
pub const OWN_MODELS_MAX: usize = 60;

/// Longest frame accepted, in bytes: 1 000 levels a side of 40 bytes is 80 KB; recorded diffs reach
/// 26 KB; a full snapshot is about 80 KB.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Levels in one depth batch, both sides. A snapshot has 2 000; recorded diffs reach 1 226.
pub const BATCH_LEVELS_MAX: usize = 16_384;

/// Events one frame can become: a head and its levels, each side rounded up.
pub const EVENTS_PER_FRAME_MAX: usize = BATCH_LEVELS_MAX / LEVELS_PER_EVENT + 3;

/// Levels a book holds on one side. Recorded books reach 5 200 within six minutes.
pub const BOOK_LEVELS_MAX: usize = 65_536;

/// Depth batches kept while a snapshot is awaited: 10 a second for a minute at the fastest speed.
pub const SYNC_BATCHES_MAX: usize = 1_024;

/// Events that one step of one stage may produce.
pub const STEP_EVENTS_MAX: usize = 64;

/// Instruments that one timer visits in a stage; the next timer goes on from there. What a timer
/// costs is bounded whatever the number of instruments: with timers ten a second, each of 500 has
/// its turn within 0.8 s, and on its own events in any case.
pub const TIMER_VISITS_MAX: usize = 64;

/// Orders working or in flight at once, all instruments.
pub const OPEN_ORDERS_MAX: usize = 256;

/// Denials remembered for their count: the most that a limit of them can be.
pub const DENIALS_MAX: u32 = 64;

/// Entries of one instrument remembered for their likeness: the most that a limit of them can be.
pub const IDENTICAL_ENTRIES_MAX: u32 = 32;

/// Outcomes of orders remembered for their refusals: the longest window that can be set.
pub const REJECTS_WINDOW_MAX: u32 = 256;

/// Bars over which a correlation is computed: fewer say nothing, and the squared covariance of more
/// than 64 returns of half a million millionths might not fit 128 bits.
pub const CORRELATION_BARS: std::ops::RangeInclusive<u32> = 8..=64;

/// Threads that inference may be shared among. Behind them stand feed, risk and execution, so more
/// would not fit on the machines this is made for, and the order between them names each by a byte.
pub const INFERENCE_SHARDS_MAX: usize = 8;

/// Journal segment size in bytes, without its header.
pub const SEGMENT_BYTES_DEFAULT: usize = 64 << 20;

/// Records in a default segment.
pub const SEGMENT_RECORDS_DEFAULT: usize = SEGMENT_BYTES_DEFAULT / EVENT_BYTES;

const _: () = {
    // A segment holds at least one frame's worth of events, so that a batch never spans three.
    assert!(SEGMENT_RECORDS_DEFAULT > EVENTS_PER_FRAME_MAX);
    // Instrument ids are u16 and the last one means "none".
    assert!(INSTRUMENTS_MAX < u16::MAX as usize);
};
