//! What the feed counted. Plain numbers: one writer, copied out by whoever publishes them.

use crate::base::{Kind, Reason};

/// Counts since start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedStats {
    /// Frames and bodies handed in.
    pub frames: u64,
    /// Bytes handed in.
    pub bytes: u64,
    /// Frames understood, by the kind of their first event's number.
    pub by_kind: [u64; 32],
    /// Frames ignored on purpose, by [`Reason::index`].
    pub ignored: [u64; Reason::ALL.len()],
    /// Frames that could not be understood, by [`Reason::index`].
    pub malformed: [u64; Reason::ALL.len()],
    /// Frames read by the checked decoder because the hand scanners declined.
    pub fallbacks: u64,
    /// Holes found in depth streams of synchronised books.
    pub gaps: u64,
    /// Books synchronised.
    pub syncs: u64,
    /// Depth frames seen again, for instance from two connections that overlap.
    pub depth_duplicates: u64,
    /// Snapshots that no buffered change could follow.
    pub snapshots_too_old: u64,
    /// Snapshots that came while the book was synchronised; ignored.
    pub snapshots_unneeded: u64,
    /// Depth batches pushed out of a full synchronisation buffer, oldest first.
    pub sync_buffer_drops: u64,
}

impl FeedStats {
    pub(super) const fn new() -> Self {
        Self {
            frames: 0,
            bytes: 0,
            by_kind: [0; 32],
            ignored: [0; Reason::ALL.len()],
            malformed: [0; Reason::ALL.len()],
            fallbacks: 0,
            gaps: 0,
            syncs: 0,
            depth_duplicates: 0,
            snapshots_too_old: 0,
            snapshots_unneeded: 0,
            sync_buffer_drops: 0,
        }
    }

    /// Frames of a kind.
    pub fn of_kind(&self, kind: Kind) -> u64 {
        self.by_kind.get(kind as usize).copied().unwrap_or(0)
    }

    /// Reasons for which frames could not be understood, with their counts.
    pub fn malformed_reasons(&self) -> Vec<(&'static str, u64)> {
        let counts = Reason::ALL.iter().zip(self.malformed);
        counts.filter(|(_, n)| *n > 0).map(|(reason, n)| (reason.name(), n)).collect()
    }

    /// Frames ignored for a reason.
    pub fn ignored_for(&self, reason: Reason) -> u64 {
        self.ignored[reason.index()]
    }

    /// Frames malformed for a reason.
    pub fn malformed_for(&self, reason: Reason) -> u64 {
        self.malformed[reason.index()]
    }

    /// Frames ignored for any reason.
    pub fn ignored_count(&self) -> u64 {
        self.ignored.iter().sum()
    }

    /// Frames malformed for any reason.
    pub fn malformed_count(&self) -> u64 {
        self.malformed.iter().sum()
    }
}

/// Counts of one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstrumentStats {
    /// Update id of the newest snapshot that synchronised the book, 0 if none did.
    pub snapshot_id: u64,
    /// Depth batches older than the snapshot, thrown away.
    pub diffs_dropped: u64,
    /// Depth batches handed on.
    pub diffs_applied: u64,
    /// Depth batches seen again.
    pub duplicates: u64,
    /// Holes found while synchronised.
    pub gaps: u64,
    /// Times synchronised.
    pub syncs: u64,
    /// Trades that are no market trades.
    pub trades_not_market: u64,
}
