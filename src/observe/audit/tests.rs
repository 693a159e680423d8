//! The trail over whole journals: written, killed, gone on with, tampered with.

use super::line::{Line, NO_PREDECESSOR, hash};
use super::{AUDIT_FILE, AuditKeeper, AuditReport, AuditWork, JOURNALS, verify};
use crate::base::event::{Denied, Event, SessionStart, StateChange};
use crate::base::{InstrumentId, Kind, Reason};
use crate::journal::{Journal, JournalSettings, LANES, LaneWriter};
use crate::risk::{Origin, TradingState, Verb, command};
use std::path::{Path, PathBuf};

const SECOND: i64 = 1_000_000_000;
/// Records of one session that must have a line: its start, commands, changes, denials.
const AUDITED: u64 = 1 + 4 + 4 + 99;

/// A state folder with sessions that write whatever a test wants.
struct World {
    dir: tempfile::TempDir,
}

/// A session that runs.
struct Session {
    journal: Journal,
    writers: [LaneWriter; LANES],
    keeper: AuditKeeper,
    seq: u64,
}

fn event(kind: Kind) -> Event {
    let none = InstrumentId::NONE;
    match kind {
        Kind::SessionStart => Event::new(kind, none, &SessionStart::default()),
        Kind::Command => {
            let body = command(Verb::Arm, Origin::Operator, 1_000, "looked at it");
            Event::new(kind, none, &body.unwrap())
        }
        Kind::StateChange => {
            let (from, to) = (TradingState::Halted as u8, TradingState::Active as u8);
            let reason = Reason::Operator as u16;
            let body = StateChange { from, to, reason, actor: 1_000, ..StateChange::default() };
            Event::new(kind, none, &body)
        }
        Kind::Denied => {
            let body = Denied { reason: Reason::MaxPosition as u16, ..Denied::default() };
            Event::new(kind, InstrumentId(0), &body)
        }
        kind => Event { kind: kind as u8, ..Event::EMPTY },
    }
}

impl World {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// With one session that worked and ended.
    fn of_one_session() -> Self {
        let world = Self::new();
        let mut session = world.begin("0000001-test");
        session.work();
        session.end();
        world
    }

    fn state(&self) -> &Path {
        self.dir.path()
    }

    fn trail(&self) -> PathBuf {
        self.state().join(AUDIT_FILE)
    }

    fn begin(&self, name: &str) -> Session {
        let dir = self.state().join(JOURNALS).join(name);
        let settings = JournalSettings {
            segment_records: [64; LANES],
            ..JournalSettings::backtest(u64::from(name.as_bytes()[6]))
        };
        let (journal, writers) = Journal::create(&dir, settings).unwrap();
        let work = AuditWork {
            state: self.state().to_path_buf(),
            journal: name.to_owned(),
            health: journal.health(),
            alerts: None,
        };
        let keeper = AuditKeeper::start(work).unwrap();
        let mut session = Session { journal, writers, keeper, seq: 0 };
        session.put(0, Kind::SessionStart, 0);
        session
    }

    fn texts(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.trail()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn lines(&self) -> Vec<Line> {
        self.texts().iter().map(|text| Line::read(text).unwrap()).collect()
    }

    fn write(&self, texts: &[String]) {
        let text: String = texts.iter().map(|text| format!("{text}\n")).collect();
        std::fs::write(self.trail(), text).unwrap();
    }

    fn verify(&self) -> AuditReport {
        verify(self.state()).unwrap()
    }

    fn first_fault(&self) -> (u64, String) {
        let report = self.verify();
        let fault = report.faults.first().expect("a fault").clone();
        (fault.line, fault.what)
    }
}

impl Session {
    fn put(&mut self, lane: usize, kind: Kind, ts_recv: i64) {
        self.seq += 1;
        let event = Event { seq: self.seq, ts_recv, ..event(kind) };
        let _ = self.writers[lane].append(&event).unwrap();
    }

    /// A session as they are: mostly what is not audited.
    fn work(&mut self) {
        for i in 0..200 {
            self.put(0, Kind::Timer, i * SECOND);
            if i % 50 == 10 {
                self.put(0, Kind::Command, i * SECOND);
                self.put(2, Kind::StateChange, i * SECOND);
            }
            if i > 100 {
                self.put(2, Kind::Denied, i * SECOND / 10);
            }
        }
    }

    fn end(self) {
        self.journal.close(self.writers).unwrap();
        self.keeper.finish();
    }

    /// Ends as a killed process does.
    fn kill(self) {
        drop(self.keeper);
        drop((self.journal, self.writers));
    }
}

#[test]
fn the_trail_has_every_record_once_and_counts_denials_exactly() {
    let world = World::of_one_session();
    let report = world.verify();
    assert_eq!(report.faults, []);
    assert_eq!(report.records, AUDITED);
    let lines = world.lines();
    let many = |what: &str| lines.iter().filter(|line| line.what == what).count();
    assert_eq!((many("start"), many("command"), many("state"), many("closed")), (1, 4, 4, 1));
    let gathered = lines.iter().filter(|line| line.what == "denials");
    let gathered: u64 = gathered.map(|line| line.says["count"].as_u64().unwrap()).sum();
    assert_eq!(many("denied") as u64 + gathered, 99, "exact");
    assert!(many("denied") <= 10 * 2, "ten of a minute have lines of their own");
    let command = lines.iter().find(|line| line.what == "command").unwrap();
    let says =
        [("verb", "arm"), ("who", "user 1000"), ("origin", "operator"), ("why", "looked at it")];
    for (key, value) in says {
        assert_eq!(command.says[key], value);
    }
}

#[test]
fn a_killed_session_is_told_to_its_end_by_the_next_without_hole_or_duplicate() {
    let world = World::new();
    for (i, cut) in [0, 1, 40, 100_000].into_iter().enumerate() {
        let mut session = world.begin(&format!("000000{}-test", i + 1));
        session.work();
        session.kill();
        // What a process that dies in the middle of a write may leave.
        let mut bytes = std::fs::read(world.trail()).unwrap();
        bytes.truncate(bytes.len().saturating_sub(cut));
        std::fs::write(world.trail(), bytes).unwrap();
    }
    let mut session = world.begin("0000009-test");
    session.work();
    session.end();
    let report = world.verify();
    assert_eq!(report.faults, []);
    assert_eq!((report.journals, report.records), (5, 5 * AUDITED));
    let own = |line: &Line| !matches!(line.what.as_str(), "mark" | "closed" | "resumed");
    let lines = world.lines();
    let places = lines.iter().filter(|line| own(line));
    let mut places: Vec<_> = places.map(|line| (&line.journal, line.lane, line.record)).collect();
    let all = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), all, "no record has two lines");
}

#[test]
fn a_trail_is_gone_on_with_behind_bytes_that_are_no_letters() {
    let world = World::of_one_session();
    let whole = std::fs::read(world.trail()).unwrap();
    let changed = world.lines().iter().position(|line| line.what == "command").unwrap();
    let ends: Vec<usize> = (0..whole.len()).filter(|&at| whole[at] == b'\n').collect();
    // Half a letter at the end, as a write that was torn leaves it, and one within a line, as
    // somebody who writes to the file does.
    let mut bytes = whole;
    bytes[ends[changed] - 2] = 0xc3;
    bytes.extend_from_slice(b"{\"n\":1,\"why\":\"\xc3");
    std::fs::write(world.trail(), bytes).unwrap();
    let mut session = world.begin("0000002-test");
    session.work();
    session.end();
    let report = world.verify();
    let (faults, line) = (&report.faults, changed as u64 + 1);
    assert!(faults.len() >= 2 && faults[..2].iter().all(|fault| fault.line == line), "{faults:?}");
    assert!(!faults.iter().any(|fault| fault.what.contains("0000002")), "{faults:?}");
    assert_eq!(report.journals, 2);
}

/// The first fault of a trail that was tampered with.
fn tampered(change: impl FnOnce(&mut Vec<String>)) -> (u64, String) {
    let world = World::of_one_session();
    let mut texts = world.texts();
    change(&mut texts);
    world.write(&texts);
    world.first_fault()
}

#[test]
fn a_changed_line_is_found_and_named() {
    for place in 0..20 {
        let (line, what) = tampered(|texts| {
            let mut line = Line::read(&texts[place]).unwrap();
            line.seq += 1;
            texts[place] = line.text();
        });
        assert_eq!(line, place as u64 + 1, "{what}");
        assert!(what.contains(&format!("line {line} was changed")), "{what}");
    }
}

#[test]
fn a_removed_line_is_found_and_named() {
    let (line, what) = tampered(|texts| drop(texts.remove(4)));
    assert_eq!(line, 5, "{what}");
    assert!(what.contains("has the number 6, 5 was due: lines before it were removed"), "{what}");
}

#[test]
fn an_inserted_line_is_found_and_named() {
    let (line, what) = tampered(|texts| texts.insert(4, texts[3].clone()));
    assert_eq!((line, what.contains("put in")), (5, true), "{what}");
    let (line, what) = tampered(|texts| texts.insert(4, "{}".to_owned()));
    assert_eq!((line, what.contains("line 5 is none")), (5, true), "{what}");
}

#[test]
fn a_trail_without_its_beginning_is_found() {
    let (line, what) = tampered(|texts| drop(texts.drain(..2)));
    assert_eq!(line, 1, "{what}");
}

#[test]
fn a_cut_end_is_found_by_the_journal() {
    let (line, what) = tampered(|texts| texts.truncate(6));
    assert_eq!(line, 0, "{what}");
    assert!(what.contains("has no line: the trail's end was cut off"), "{what}");
}

/// Writes the chain anew, as somebody would who knows how it is made.
fn chained(texts: &mut [String]) {
    let mut prev = NO_PREDECESSOR.to_owned();
    for (i, text) in texts.iter_mut().enumerate() {
        let line = Line { n: i as u64 + 1, prev, ..Line::read(text).unwrap() };
        *text = line.text();
        prev = hash(text);
    }
}

fn place_of(texts: &[String], word: &str) -> usize {
    texts.iter().position(|text| text.contains(word)).unwrap()
}

#[test]
fn whoever_writes_the_whole_chain_anew_is_found_by_the_journal() {
    type Change = fn(&mut Vec<String>);
    let cases: [(&str, Change); 4] = [
        ("says something else than its record", |texts| {
            let place = place_of(texts, "looked at it");
            texts[place] = texts[place].replace("looked at it", "did not look");
        }),
        ("has no line", |texts| {
            let place = place_of(texts, "looked at it");
            texts.remove(place);
        }),
        ("has no record for it", |texts| {
            let place = place_of(texts, "looked at it");
            let mut line = Line::read(&texts[place]).unwrap();
            line.record -= 1;
            texts.insert(place, line.text());
        }),
        ("counts", |texts| {
            let place = place_of(texts, "\"denials\"");
            let mut line = Line::read(&texts[place]).unwrap();
            line.says.insert("count".to_owned(), 1.into());
            texts[place] = line.text();
        }),
    ];
    for (word, change) in cases {
        let (_, what) = tampered(|texts| {
            change(texts);
            chained(texts);
        });
        assert!(what.contains(word), "{word}: {what}");
    }
}

#[test]
fn a_trail_that_is_gone_is_found() {
    let world = World::of_one_session();
    std::fs::remove_file(world.trail()).unwrap();
    assert!(world.first_fault().1.contains("though there are journals"));
}
