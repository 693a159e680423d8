//! What other threads may read while the journal works.

use super::format::LANES;
use crossbeam::utils::CachePadded;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The journal's condition. Writers publish what they appended, the keeper what is durable.
/// All values may be behind by what their owner has not published yet.
#[derive(Debug, Default)]
pub struct JournalHealth {
    poisoned: CachePadded<AtomicBool>,
    appended: [CachePadded<AtomicU64>; LANES],
    durable: [CachePadded<AtomicU64>; LANES],
    low_space: AtomicBool,
    disk_free_bytes: AtomicU64,
    /// Taken by side threads only.
    last_error: Mutex<Option<String>>,
}

impl JournalHealth {
    /// True after the first failed sync; stays true.
    #[inline]
    pub fn poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Records appended to `lane` (below [`LANES`]) since the session began.
    pub fn appended(&self, lane: usize) -> u64 {
        self.appended[lane].load(Ordering::Acquire)
    }

    /// Records of `lane` (below [`LANES`]) known to be on the disk.
    pub fn durable(&self, lane: usize) -> u64 {
        self.durable[lane].load(Ordering::Acquire)
    }

    /// True while the disk has less free space than the settings ask for: stop trading, the journal
    /// itself goes on.
    pub fn low_space(&self) -> bool {
        self.low_space.load(Ordering::Relaxed)
    }

    /// Free space on the journal's disk when the keeper last looked, in bytes; 0 before.
    pub fn disk_free_bytes(&self) -> u64 {
        self.disk_free_bytes.load(Ordering::Relaxed)
    }

    /// The newest error of the keeper. Takes a lock: not for the hot path.
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(|broken| broken.into_inner()).clone()
    }

    #[inline]
    pub(super) fn publish_appended(&self, lane: usize, records: u64) {
        self.appended[lane].store(records, Ordering::Release);
    }

    pub(super) fn publish_durable(&self, lane: usize, records: u64) {
        self.durable[lane].store(records, Ordering::Release);
    }

    pub(super) fn publish_space(&self, free_bytes: u64, least_bytes: u64) {
        self.disk_free_bytes.store(free_bytes, Ordering::Relaxed);
        self.low_space.store(free_bytes < least_bytes, Ordering::Relaxed);
    }

    pub(super) fn note(&self, error: String) {
        *self.last_error.lock().unwrap_or_else(|broken| broken.into_inner()) = Some(error);
    }

    /// After a failed sync the system marks the pages clean: a retry would "succeed" without the
    /// data. So the first failure is final.
    pub(super) fn poison(&self, error: String) {
        self.note(error);
        self.poisoned.store(true, Ordering::Release);
    }
}
