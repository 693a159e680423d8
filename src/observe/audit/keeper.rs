//! The thread that follows the lanes and writes the trail. First it ends what earlier sessions
//! left, then it follows its own session's journal. Nobody waits for it.

use super::entry::{DeniedRun, Entry};
use super::trail::Trail;
use super::{JOURNALS, LANES_AUDITED};
use crate::journal::{Followed, JournalHealth, LaneFollower, RecordIndex};
use crate::observe::alerts::service::AlertSender;
use crate::observe::alerts::{Alert, Class, Severity, wall_ns};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Wait between two turns.
const TURN: Duration = Duration::from_millis(100);
/// Records of a lane taken in one turn.
const RECORDS_PER_TURN: u64 = 65_536;
/// Records of a lane without a line after which a mark says how far it was read.
const MARK_EVERY: u64 = 1_000_000;
/// How long denials are gathered before their line is written.
const GATHER_MAX: Duration = Duration::from_secs(60);
/// How long an end waits for the trail.
const FINISH_MAX: Duration = Duration::from_secs(10);

/// See the head of this file.
pub struct AuditKeeper {
    stop: Arc<AtomicBool>,
    /// The journal is closed: what is in it now is all there will be.
    complete: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the keeper works with.
pub struct AuditWork {
    /// The state folder, whose lock is held.
    pub state: PathBuf,
    /// Name of this session's journal.
    pub journal: String,
    /// Its health.
    pub health: Arc<JournalHealth>,
    /// Where a trail that cannot be written is told.
    pub alerts: Option<AlertSender>,
}

impl AuditKeeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started, or the trail cannot be opened: a session without one does not
    /// begin.
    pub fn start(work: AuditWork) -> io::Result<Self> {
        let trail = Trail::open(&work.state)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let complete = Arc::new(AtomicBool::new(false));
        let all = Arc::clone(&complete);
        let thread = std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || keep(trail, &work, &stopped, &all))?;
        Ok(Self { stop, complete, thread: Some(thread) })
    }

    /// Ends behind a journal that is closed: reads all of it and says so in the trail.
    pub fn finish(self) {
        self.complete.store(true, Ordering::Release);
    }
}

/// Reads the lanes to their end and writes what they say.
impl Drop for AuditKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn keep(mut trail: Trail, work: &AuditWork, stop: &AtomicBool, complete: &AtomicBool) {
    if let Err(error) = catch_up(&mut trail, &work.state, &work.journal) {
        tell(work, &format!("earlier sessions are not in the audit trail: {error}"));
    }
    let dir = work.state.join(JOURNALS).join(&work.journal);
    let mut own = match Own::open(&dir, &work.journal, &trail) {
        Ok(own) => own,
        Err(error) => return tell(work, &format!("the audit trail stops: {error}")),
    };
    let mut told_to_stop: Option<Instant> = None;
    let mut failing = false;
    loop {
        if stop.load(Ordering::Acquire) {
            told_to_stop.get_or_insert_with(Instant::now);
        }
        let complete = complete.load(Ordering::Acquire);
        let appended = LANES_AUDITED.map(|lane| work.health.appended(lane));
        let limit = if complete { [u64::MAX; 2] } else { appended };
        let turn = own.turn(&mut trail, limit, complete);
        match turn {
            Ok(true) => return,
            Ok(_) => failing = false,
            Err(error) if !failing => {
                failing = true;
                tell(work, &format!("the audit trail cannot be written: {error}"));
            }
            Err(_) => {}
        }
        if !complete && told_to_stop.is_some() {
            return;
        }
        if told_to_stop.is_some_and(|since| since.elapsed() > FINISH_MAX) {
            return tell(work, "the audit trail was not finished; the next session goes on");
        }
        if told_to_stop.is_none() || failing {
            std::thread::park_timeout(TURN);
        }
    }
}

fn tell(work: &AuditWork, text: &str) {
    tracing::error!(text, "audit");
    if let Some(alerts) = &work.alerts {
        let at = (0, wall_ns());
        let _ = alerts.try_send(Alert::new(Severity::P1, Class::Observer, "audit", text, at));
    }
}

/// Writes what earlier sessions' journals say and the trail does not.
fn catch_up(trail: &mut Trail, state: &Path, own: &str) -> Result<(), String> {
    let mut first = Ok(());
    for name in journal_names(state).map_err(|error| error.to_string())? {
        if name == own || trail.covered(&name).closed {
            continue;
        }
        let dir = state.join(JOURNALS).join(&name);
        if !dir.join("manifest.json").exists() {
            // A session that died while it made its folder has made no lane yet.
            continue;
        }
        // One that is damaged keeps the others from nothing.
        if let Err(what) = tell_all(trail, &dir, &name) {
            first = first.and(Err(format!("{name}: {what}")));
        }
    }
    first
}

fn tell_all(trail: &mut Trail, dir: &Path, name: &str) -> Result<(), String> {
    let mut journal = Own::open(dir, name, trail)?;
    while !journal.turn(trail, [u64::MAX; 2], true)? {}
    Ok(())
}

/// Names of the journals of a state folder, the oldest first.
///
/// # Errors
/// When the folder cannot be listed.
pub fn journal_names(state: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(state.join(JOURNALS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().into_string().unwrap_or_default();
        let epoch = name.split_once('-').map_or("", |(epoch, _)| epoch);
        if !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// A journal that is being followed.
struct Own {
    name: String,
    dir: PathBuf,
    followers: Vec<LaneFollower>,
    /// Up to where each lane has been told, by a line or a mark.
    told: Vec<u64>,
    run: DeniedRun,
    gathering_since: Option<Instant>,
    /// Lines that could not be written yet.
    unwritten: Vec<Entry>,
}

impl Own {
    fn open(dir: &Path, name: &str, trail: &Trail) -> Result<Self, String> {
        let covered = trail.covered(name);
        let (mut followers, mut told) = (Vec::new(), Vec::new());
        for lane in LANES_AUDITED {
            let from = covered.next.get(&(lane as u8)).copied().unwrap_or(0);
            let follower = LaneFollower::open(dir, lane, RecordIndex(from));
            followers.push(follower.map_err(|error| error.to_string())?);
            told.push(from);
        }
        Ok(Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            followers,
            told,
            run: DeniedRun::default(),
            gathering_since: None,
            unwritten: Vec::new(),
        })
    }

    /// Reads up to `limit` of each lane and writes; true when everything is written and the lanes
    /// are at their end, which only an `ending` journal's are. Nothing is gathered then any longer.
    fn turn(&mut self, trail: &mut Trail, limit: [u64; 2], ending: bool) -> Result<bool, String> {
        self.write(trail)?;
        let mut caught_up = true;
        for (place, limit) in limit.into_iter().enumerate() {
            caught_up &= self.follow(place, limit)?;
        }
        let gathered = self.gathering_since.is_some_and(|since| since.elapsed() >= GATHER_MAX);
        if gathered || ending && caught_up {
            self.end_run();
        }
        if ending && caught_up {
            self.unwritten.push(Entry::closed(
                self.followers.iter().map(|follower| follower.position().0),
                self.followers.iter().all(LaneFollower::is_closed),
            ));
        }
        self.write(trail)?;
        Ok(ending && caught_up)
    }

    fn follow(&mut self, place: usize, limit: u64) -> Result<bool, String> {
        let lane = LANES_AUDITED[place] as u8;
        let end = self.followers[place].position().0.saturating_add(RECORDS_PER_TURN).min(limit);
        let mut caught_up = end == limit;
        while self.followers[place].position().0 < end {
            match self.followers[place].read().map_err(|damage| damage.to_string())? {
                Followed::Record(record, event) => self.note(lane, record.0, &event),
                Followed::Nothing => {
                    caught_up = true;
                    break;
                }
                Followed::Retired(from, to) => {
                    self.end_run();
                    self.unwritten.push(Entry::retired(lane, from.0, to.0));
                }
            }
        }
        let position = self.followers[place].position().0;
        if position >= self.told[place] + MARK_EVERY && !(lane == 2 && self.run.is_open()) {
            self.told[place] = position;
            self.unwritten.push(Entry::mark(lane, position - 1));
        }
        Ok(caught_up)
    }

    fn note(&mut self, lane: u8, record: u64, event: &crate::base::Event) {
        let Some(entry) = Entry::of(lane, record, event, &self.dir) else { return };
        self.told[usize::from(lane == 2)] = record + 1;
        if entry.what != super::entry::DENIED {
            if lane == 2 {
                self.end_run();
            }
            self.unwritten.push(entry);
            return;
        }
        self.unwritten.extend(self.run.take(entry));
        if self.run.is_open() {
            self.gathering_since.get_or_insert_with(Instant::now);
        } else {
            self.gathering_since = None;
        }
    }

    fn end_run(&mut self) {
        self.unwritten.extend(self.run.end());
        self.gathering_since = None;
    }

    fn write(&mut self, trail: &mut Trail) -> Result<(), String> {
        trail.append(&self.unwritten, &self.name).map_err(|error| error.to_string())?;
        self.unwritten.clear();
        Ok(())
    }
}
