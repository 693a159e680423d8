//! The journal of one session: created, kept, closed.
//!
//! ```text
//!  create ──► writers work, keeper turns ──► close(writers) ──► sealed folder
//!                 │ crash, or dropped without close
//!                 └──► unsealed folder: readable to its last record, `repair` seals it
//! ```

use super::append::{LaneWriter, Supply};
use super::error::JournalError;
use super::folder::{Folder, Manifest};
use super::format::{LANES, SEGMENT_RECORDS_MAX};
use super::health::JournalHealth;
use super::lane_keeper::{LaneKeeper, LanePlan, SEGMENTS_AHEAD, SyncSlots};
use super::map::Mapping;
use super::segment::Durability;
use crate::base::limits::SEGMENT_RECORDS_DEFAULT;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Keeper turns between two looks at the disk's free space.
const SPACE_TURNS: u32 = 100;
/// Longest flush interval: beyond a minute a setting is a mistake.
const FLUSH_INTERVAL_MS_MAX: u32 = 60_000;

/// How a session's journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// Names the session; every record check depends on it. Use a new one for every session.
    pub session_id: u64,
    /// Records per segment by lane, 1 to [`SEGMENT_RECORDS_MAX`].
    pub segment_records: [usize; LANES],
    /// Milliseconds between flushes, 1 to 60 000. A power loss costs what was appended within two
    /// intervals; of a lane that never pauses, up to 32 records more, for 25 intervals.
    pub flush_interval_ms: u32,
    /// Segments kept per lane, 0 for all. Older sealed ones are deleted.
    pub keep_segments: u32,
    /// Free space in bytes below which [`JournalHealth::low_space`] is raised.
    pub disk_free_min_bytes: u64,
    /// With a keeper thread (live), or everything on the writers' threads (backtests). The bytes
    /// are the same.
    pub threaded: bool,
}

impl JournalSettings {
    /// Live settings: 64 MiB of inputs and 16 MiB of each other lane per segment, flushed every
    /// 10 ms, nothing deleted, 512 MiB of free space wanted: four segments of every lane.
    pub const fn live(session_id: u64) -> Self {
        let other = SEGMENT_RECORDS_DEFAULT / 4;
        Self {
            session_id,
            segment_records: [SEGMENT_RECORDS_DEFAULT, other, other, other, other],
            flush_interval_ms: 10,
            keep_segments: 0,
            disk_free_min_bytes: 512 << 20,
            threaded: true,
        }
    }

    /// The same without a keeper thread.
    pub const fn backtest(session_id: u64) -> Self {
        Self { threaded: false, ..Self::live(session_id) }
    }

    fn check(&self) -> Result<(), JournalError> {
        let refuse = |key, what: String| Err(JournalError::Setting { key, what });
        for (lane, &records) in self.segment_records.iter().enumerate() {
            if records == 0 || records as u64 > SEGMENT_RECORDS_MAX {
                let what = format!("lane {lane}: {records} is not in 1..={SEGMENT_RECORDS_MAX}");
                return refuse("segment_records", what);
            }
        }
        if !(1..=FLUSH_INTERVAL_MS_MAX).contains(&self.flush_interval_ms) {
            let what = format!("{} is not in 1..={FLUSH_INTERVAL_MS_MAX}", self.flush_interval_ms);
            return refuse("flush_interval_ms", what);
        }
        Ok(())
    }
}

/// A journal being written. Dropping it stops the keeper and leaves the lanes unsealed, as a crash
/// would; [`Journal::close`] seals them.
pub struct Journal {
    folder: Arc<Folder>,
    health: Arc<JournalHealth>,
    keeper: Option<Keeper>,
}

struct Keeper {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<LaneKeeper>>,
}

/// One lane as the keeper thread sees it.
struct KeptLane {
    keeper: LaneKeeper,
    ready: rtrb::Producer<super::append::Ready>,
}

impl Journal {
    /// Makes a journal in `dir`, which is created if it does not exist and must be empty, and
    /// locks it.
    ///
    /// # Errors
    /// [`JournalError`] for a setting out of range, a folder that is not empty or locked, or when
    /// the system refuses; a full disk shows here.
    pub fn create(
        dir: &Path,
        settings: JournalSettings,
    ) -> Result<(Self, [LaneWriter; LANES]), JournalError> {
        Self::create_with(dir, settings, Mapping::flush)
    }

    pub(super) fn create_with(
        dir: &Path,
        settings: JournalSettings,
        sync_slots: SyncSlots,
    ) -> Result<(Self, [LaneWriter; LANES]), JournalError> {
        settings.check()?;
        let segment_records = settings.segment_records.map(|records| records as u64);
        let manifest = Manifest::new(settings.session_id, segment_records);
        let folder = Arc::new(Folder::create(dir, manifest)?);
        let health = Arc::new(JournalHealth::default());
        let mut writers = Vec::with_capacity(LANES);
        let mut kept = Vec::with_capacity(LANES);
        for (lane, &capacity) in segment_records.iter().enumerate() {
            let plan = LanePlan {
                session: settings.session_id,
                lane,
                capacity,
                keep_segments: u64::from(settings.keep_segments),
                durability: match settings.threaded {
                    true => Durability::Each,
                    false => Durability::AtClose,
                },
                sync_slots,
            };
            let mut keeper = LaneKeeper::new(plan, Arc::clone(&folder), Arc::clone(&health));
            let first = keeper.next_ready()?;
            let supply = if settings.threaded {
                let (mut ready, segments) = rtrb::RingBuffer::new(SEGMENTS_AHEAD);
                // One ahead from the start: the keeper has a whole segment's time for the next.
                let pushed = ready.push(keeper.next_ready()?);
                debug_assert!(pushed.is_ok());
                kept.push(KeptLane { keeper, ready });
                Supply::Keeper(segments)
            } else {
                Supply::Inline(Box::new(keeper))
            };
            writers.push(LaneWriter::new(first, Arc::clone(&health), supply));
        }
        let Ok(writers) = <[LaneWriter; LANES]>::try_from(writers) else {
            unreachable!("the loop makes one writer per lane");
        };
        let mut journal = Self { folder, health, keeper: None };
        if settings.threaded {
            journal.keeper = Some(journal.spawn(kept, settings)?);
        }
        Ok((journal, writers))
    }

    /// What other threads may read while the journal works.
    pub fn health(&self) -> Arc<JournalHealth> {
        Arc::clone(&self.health)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.folder.path
    }

    /// Writes `bytes` beside the lanes as `name` and lists it in the manifest with its SHA-256.
    /// The same name again replaces the content. Not for the hot path.
    ///
    /// # Errors
    /// [`JournalError::Attachment`] for an unlawful name or size, [`JournalError::Io`].
    pub fn attach(&self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        self.folder.attach(name, bytes)
    }

    /// What attaches files while the journal is elsewhere; it must be gone before the journal's
    /// folder is used by another session.
    pub fn attacher(&self) -> Attacher {
        Attacher(Arc::clone(&self.folder))
    }

    /// Ends the session in order: everything is flushed, every segment sealed, the last ones cut to
    /// what they hold, unused ones removed. `writers` are the ones [`Journal::create`] returned.
    /// Returns the records per lane.
    ///
    /// # Errors
    /// [`JournalError::Poisoned`] after a failed sync: nothing is sealed then. Other errors leave
    /// the rest unsealed, as a crash would.
    pub fn close(mut self, writers: [LaneWriter; LANES]) -> Result<[u64; LANES], JournalError> {
        let records = writers.each_ref().map(LaneWriter::records);
        let mut keepers = self.stop().ok_or(JournalError::KeeperLost)?;
        for writer in writers {
            // The pens go here, before the files they store into are cut.
            if let Supply::Inline(keeper) = writer.into_supply() {
                keepers.push(*keeper);
            }
        }
        if self.health.poisoned() {
            return Err(JournalError::Poisoned(self.health.last_error().unwrap_or_default()));
        }
        for (keeper, records) in keepers.into_iter().zip(records) {
            keeper.finish(records)?;
        }
        Ok(records)
    }

    fn spawn(
        &self,
        kept: Vec<KeptLane>,
        settings: JournalSettings,
    ) -> Result<Keeper, JournalError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (folder, health) = (Arc::clone(&self.folder), Arc::clone(&self.health));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("journal-keeper".to_owned())
            .spawn(move || keep(kept, &stopped, &folder, &health, settings))
            .map_err(JournalError::io("start the keeper of", &self.folder.path))?;
        Ok(Keeper { stop, thread })
    }

    /// Stops the keeper thread if there is one; `None` if it panicked.
    fn stop(&mut self) -> Option<Vec<LaneKeeper>> {
        let Some(Keeper { stop, thread }) = self.keeper.take() else {
            return Some(Vec::new());
        };
        stop.store(true, Ordering::Release);
        thread.thread().unpark();
        thread.join().ok()
    }
}

/// Puts files beside a journal that is being written, for side threads.
#[derive(Clone, Debug)]
pub struct Attacher(Arc<Folder>);

impl Attacher {
    /// As [`Journal::attach`].
    ///
    /// # Errors
    /// As [`Journal::attach`].
    pub fn attach(&self, name: &str, bytes: &[u8]) -> Result<(), JournalError> {
        self.0.attach(name, bytes)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The keeper thread: turns until told to stop, then flushes once more.
fn keep(
    mut lanes: Vec<KeptLane>,
    stop: &AtomicBool,
    folder: &Folder,
    health: &JournalHealth,
    settings: JournalSettings,
) -> Vec<LaneKeeper> {
    let interval = Duration::from_millis(u64::from(settings.flush_interval_ms));
    let mut turns = 0_u32;
    loop {
        let stopping = stop.load(Ordering::Acquire);
        let started = Instant::now();
        for place in 0..lanes.len() {
            // Any turn may wait for the disk; no writer's next pages wait with it.
            lanes.iter_mut().for_each(|lane| lane.keeper.warm());
            if !health.poisoned() {
                lanes[place].keeper.turn();
            }
        }
        if turns.is_multiple_of(SPACE_TURNS)
            && let Ok(space) = rustix::fs::statvfs(&folder.path)
        {
            let free = space.f_bavail.saturating_mul(space.f_frsize);
            health.publish_space(free, settings.disk_free_min_bytes);
        }
        turns = turns.wrapping_add(1);
        if stopping {
            return lanes.into_iter().map(|lane| lane.keeper).collect();
        }
        // Until the next flush is due; at least one step, however slow the disk.
        while prepare_neediest(&mut lanes) && started.elapsed() < interval {}
        std::thread::park_timeout(interval.saturating_sub(started.elapsed()));
    }
}

/// Does a piece of the preparation for the lane that runs out of room first; true when there is
/// more to do.
fn prepare_neediest(lanes: &mut [KeptLane]) -> bool {
    let neediest =
        lanes.iter_mut().filter(|lane| !lane.ready.is_full()).min_by_key(|lane| lane.keeper.room());
    neediest.is_some_and(|lane| lane.keeper.prepare(&mut lane.ready))
}
