//! Finds what was changed in the trail: by its chain, and by holding it against the journals.

use super::entry::{CLOSED, DENIALS, DENIED, Entry, MARK, NO_LANE, RESUMED, RETIRED};
use super::keeper::journal_names;
use super::line::{Line, NO_PREDECESSOR, hash, whole_lines};
use super::{AUDIT_FILE, JOURNALS, LANES_AUDITED};
use crate::journal::{Followed, LaneFollower, RecordIndex};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AuditReport {
    /// Lines read.
    pub lines: u64,
    /// Journals that the trail was held against.
    pub journals: u64,
    /// Records that must have a line, and whose line was compared.
    pub records: u64,
    /// Records of a session that runs at the moment, whose lines it has not written yet.
    pub behind: u64,
    /// What is wrong, the first first; empty when nothing is.
    pub faults: Vec<AuditFault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFault {
    /// The line concerned; 0 where one is missing at the end.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

/// Faults told at most: after a few the rest says nothing more.
const FAULTS_MAX: usize = 20;

impl AuditReport {
    fn fault(&mut self, line: u64, what: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(AuditFault { line, what: what.into() });
        }
    }
}

/// Reads the lines of a state folder's trail, whole ones alone.
///
/// # Errors
/// When the file cannot be read.
pub fn texts(state: &Path) -> Result<Vec<String>, String> {
    let path = state.join(AUDIT_FILE);
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let reader = BufReader::new(File::open(&path).map_err(named)?);
    let mut texts = Vec::new();
    whole_lines(reader, |whole, _| texts.push(whole.to_owned())).map_err(named)?;
    Ok(texts)
}

/// Checks the trail of the state folder `state`.
///
/// # Errors
/// When the trail or a journal cannot be read at all.
pub fn verify(state: &Path) -> Result<AuditReport, String> {
    // What the journals must at least hold is looked at before the trail is, so that a session
    // that goes on meanwhile is no fault.
    let names = journal_names(state).map_err(|error| format!("{}: {error}", state.display()))?;
    let mut report = AuditReport::default();
    let running = is_running(state);
    let mut expected = Vec::new();
    for name in names {
        let dir = state.join(JOURNALS).join(&name);
        if dir.join("manifest.json").exists() {
            let lanes = Lanes::read(&dir).map_err(|what| format!("{name}: {what}"))?;
            expected.push((name, lanes));
        }
    }
    let texts = match texts(state) {
        Ok(texts) => texts,
        Err(what) if expected.is_empty() => return Err(what),
        Err(what) => {
            report.fault(0, format!("{what}, though there are journals"));
            return Ok(report);
        }
    };
    report.lines = texts.len() as u64;
    let lines = chain(&texts, &mut report);
    let mut by_journal: BTreeMap<&str, Vec<&Line>> = BTreeMap::new();
    for line in &lines {
        if !line.journal.is_empty() {
            by_journal.entry(&line.journal).or_default().push(line);
        } else if line.what != RESUMED {
            report.fault(line.n, "belongs to no journal");
        }
    }
    for (name, lanes) in &expected {
        report.journals += 1;
        let lines = by_journal.remove(name.as_str()).unwrap_or_default();
        lanes.compare(name, &lines, running, &mut report);
    }
    // Lines of journals that are not there any more are held by the chain alone.
    Ok(report)
}

/// True while a session holds the state folder.
fn is_running(state: &Path) -> bool {
    let Ok(lock) = File::open(state.join("lock")) else { return false };
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
}

/// Reads the lines and follows the chain.
fn chain(texts: &[String], report: &mut AuditReport) -> Vec<Line> {
    let (mut lines, mut prev, mut n) = (Vec::new(), NO_PREDECESSOR.to_owned(), 0);
    for (i, text) in texts.iter().enumerate() {
        let at = i as u64 + 1;
        let line = match Line::read(text) {
            Ok(line) => line,
            Err(what) => {
                report.fault(at, format!("line {at} is none: {what}"));
                (prev, n) = (hash(text), n + 1);
                continue;
            }
        };
        if line.n != n + 1 {
            let what = format!("line {at} has the number {}, {} was due: ", line.n, n + 1);
            let more = if line.n > n + 1 { "lines before it were removed" } else { "put in" };
            report.fault(at, format!("{what}{more}"));
        } else if line.prev != prev && n == 0 {
            report.fault(at, "line 1 is not the first: what stood before it was removed");
        } else if line.prev != prev {
            report.fault(at - 1, format!("line {} was changed, or line {at} put in", at - 1));
        } else if line.text() != *text {
            report.fault(at, format!("line {at} is not written as the program writes"));
        }
        (prev, n) = (hash(text), line.n);
        lines.push(line);
    }
    lines
}

/// What the audited lanes of a journal hold.
struct Lanes {
    entries: [Vec<Entry>; 2],
    /// First record that retention has kept, and records, by lane.
    first: [u64; 2],
    records: [u64; 2],
    /// The lanes were closed or repaired: nothing more will come.
    closed: bool,
}

impl Lanes {
    fn read(dir: &Path) -> Result<Self, String> {
        let mut lanes = Self {
            entries: [Vec::new(), Vec::new()],
            first: [0; 2],
            records: [0; 2],
            closed: true,
        };
        for (place, lane) in LANES_AUDITED.into_iter().enumerate() {
            let follower = LaneFollower::open(dir, lane, RecordIndex(0));
            let mut follower = follower.map_err(|error| error.to_string())?;
            loop {
                match follower.read().map_err(|damage| damage.to_string())? {
                    Followed::Record(record, event) => {
                        lanes.entries[place].extend(Entry::of(lane as u8, record.0, &event, dir));
                    }
                    Followed::Retired(_, to) => lanes.first[place] = to.0,
                    Followed::Nothing => break,
                }
            }
            lanes.records[place] = follower.position().0;
            lanes.closed &= follower.is_closed();
        }
        Ok(lanes)
    }

    fn compare(&self, name: &str, lines: &[&Line], running: bool, report: &mut AuditReport) {
        let live = running && !self.closed;
        for (place, lane) in LANES_AUDITED.into_iter().enumerate() {
            let own = lines.iter().copied().filter(|line| usize::from(line.lane) == lane);
            self.compare_lane((name, live), place, own.collect::<VecDeque<_>>(), report);
        }
        for line in lines.iter().filter(|line| line.lane == NO_LANE) {
            let told = line.says.get("records").and_then(|told| told.as_array());
            let told: Vec<u64> =
                told.into_iter().flatten().filter_map(serde_json::Value::as_u64).collect();
            if line.what != CLOSED {
                report.fault(line.n, format!("line {}: {:?} is no line", line.n, line.what));
            } else if told != self.records {
                let what = format!(
                    "line {}: journal {name} had {told:?} records in lanes 0 and 2, and has {:?}",
                    line.n, self.records
                );
                report.fault(line.n, what);
            }
        }
        let odd = |line: &&&Line| {
            let lane = usize::from(line.lane);
            line.lane != NO_LANE && !LANES_AUDITED.contains(&lane)
        };
        for line in lines.iter().filter(odd) {
            report.fault(line.n, format!("line {}: lane {} is not audited", line.n, line.lane));
        }
    }

    fn compare_lane(
        &self,
        (name, live): (&str, bool),
        place: usize,
        mut lines: VecDeque<&Line>,
        report: &mut AuditReport,
    ) {
        let (first, lane) = (self.first[place], LANES_AUDITED[place]);
        lines.retain(|line| line.record >= first && line.what != MARK && line.what != RETIRED);
        let mut gathered: BTreeMap<String, u64> = BTreeMap::new();
        for entry in &self.entries[place] {
            report.records += 1;
            let missing = format!(
                "{} of journal {name}, lane {lane} record {}, has no line",
                entry.what, entry.record
            );
            let Some(line) = lines.front().copied() else {
                if live {
                    report.behind += 1;
                    continue;
                }
                report.fault(0, format!("{missing}: the trail's end was cut off"));
                return;
            };
            let from = line.says.get("from").and_then(serde_json::Value::as_u64);
            let many = line.what == DENIALS && from.is_some_and(|from| from <= entry.record);
            if many && entry.what == DENIED && entry.record <= line.record {
                let reason = entry.says["reason"].as_str().unwrap_or_default();
                *gathered.entry(reason.to_owned()).or_default() += 1;
                if entry.record == line.record {
                    check_counts(line, &std::mem::take(&mut gathered), report);
                    lines.pop_front();
                }
            } else if line.record == entry.record && line.what != DENIALS {
                if *line != entry.line(line.n, line.prev.clone(), name) {
                    let what = "says something else than its record in the journal";
                    report.fault(line.n, format!("line {}: {what}", line.n));
                }
                lines.pop_front();
            } else if line.record > entry.record {
                report.fault(line.n, format!("before line {}: {missing}", line.n));
            } else {
                let what = format!("line {}: the journal has no record for it", line.n);
                report.fault(line.n, what);
                lines.pop_front();
            }
        }
        // What the session wrote since the journal was looked at.
        let known = self.records[place];
        for line in lines.iter().filter(|line| line.record < known) {
            report.fault(line.n, format!("line {}: the journal has no record for it", line.n));
        }
    }
}

/// The counts of a line that stands for several denied orders.
fn check_counts(line: &Line, found: &BTreeMap<String, u64>, report: &mut AuditReport) {
    let told: BTreeMap<String, u64> = line
        .says
        .get("reasons")
        .and_then(|reasons| serde_json::from_value(reasons.clone()).ok())
        .unwrap_or_default();
    let count = line.says.get("count").and_then(serde_json::Value::as_u64);
    if told != *found || count != Some(found.values().sum()) {
        let what = format!("line {}: counts {told:?}, the journal has {found:?}", line.n);
        report.fault(line.n, what);
    }
}
