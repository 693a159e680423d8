//! What the shadow log says of the champion, line by line as it is written: whether its calibration
//! broke, whether its rows came out the same, whether a former champion has shown to be better.

use crate::promotion::record::{LINE_BYTES_MAX, Told};
use crate::promotion::{Health, Line, PromotionSettings, Trials};
use crate::registry::verdict::Contender;
use crate::runtime::shadow::log_path;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes read at one look.
const BYTES_PER_LOOK: u64 = 4 << 20;
/// Decisions of an instrument and challenger that a trial has within a horizon and its embargo.
const DECISIONS_PER_REACH: i64 = 64;

/// See the head of this file.
pub struct Evaluated {
    path: PathBuf,
    file: Option<File>,
    /// The beginning of a line whose end was not there yet.
    part: Vec<u8>,
    rules: PromotionSettings,
    trials: Trials,
    champion: Contender,
    former: BTreeSet<String>,
    /// Rows of the champion that came out differently.
    mismatches: u64,
    /// Time of the newest decision taken into a trial, by symbol and challenger.
    taken: BTreeMap<(String, String), i64>,
    /// What it says of the champion. Asked for more often than lines come, and quantiles are dear.
    told: Health,
}

impl Evaluated {
    /// Of the log in this state folder, from its present end on; that champion is judged.
    pub fn new(state: &Path, rules: PromotionSettings, champion: Contender) -> Self {
        let path = log_path(state);
        let mut file = File::open(&path).ok();
        if let Some(open) = &mut file {
            let _ = open.seek(SeekFrom::End(0));
        }
        let (trials, part) = (Trials::new(rules.clone()), Vec::new());
        let former = BTreeSet::new();
        let (mismatches, taken, told) = (0, BTreeMap::new(), Health::default());
        Self { path, file, part, rules, trials, champion, former, mismatches, taken, told }
    }

    /// This champion is judged from here on; `former` versions were champion.
    pub fn begin(&mut self, champion: &Contender, former: BTreeSet<String>) {
        self.champion = champion.clone();
        self.former = former;
        self.trials = Trials::new(self.rules.clone());
        self.mismatches = 0;
        self.taken.clear();
        self.told = Health::default();
    }

    /// Reads on; over the end of a part that was closed into the next one.
    pub fn read(&mut self) {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return };
        let mut bytes = Vec::new();
        if file.take(BYTES_PER_LOOK).read_to_end(&mut bytes).is_err() || bytes.is_empty() {
            // The log goes on in a file of this name; this one is a closed part by now.
            let number = |about: std::fs::Metadata| (about.dev(), about.ino());
            let open = file.metadata().ok().map(number);
            if open != std::fs::metadata(&self.path).ok().map(number) {
                (self.file, self.part) = (None, Vec::new());
            }
            return;
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.part.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                // What cannot be used is the report's to tell.
                if let Ok(line) = Line::parse(self.part.trim_ascii_end()) {
                    self.take(line);
                }
                self.part.clear();
            } else if self.part.len() > LINE_BYTES_MAX {
                self.part.truncate(LINE_BYTES_MAX + 1);
            }
        }
        self.told = self.judged();
    }

    /// Counts every row; a trial has a few decisions of each horizon, so that memory stays small
    /// while their outcomes are waited for.
    fn take(&mut self, line: Line) {
        if let Line::Decision(decided) = &line {
            // The same files, not the same name alone.
            let Told { version, sha256, card_sha256, .. } = &decided.champion;
            if !self.champion.is(version, sha256, card_sha256) {
                return;
            }
            self.mismatches += u64::from(!decided.features_match);
            let key = (decided.symbol.clone(), decided.challenger.version.clone());
            let apart = self.rules.reach_ns / DECISIONS_PER_REACH;
            let at = decided.ts_event_ns;
            if self.taken.get(&key).is_some_and(|last| at.saturating_sub(*last) < apart) {
                return;
            }
            self.taken.insert(key, at);
        }
        // The outcome of a decision that was not taken is of none that is known.
        let _ = self.trials.push(line);
    }

    /// What it says of the champion; where several trials say something, the worst.
    pub const fn health(&self) -> Health {
        self.told
    }

    fn judged(&self) -> Health {
        let mut health = Health { feature_mismatches: self.mismatches, ..Health::default() };
        for trial in self.trials.trials() {
            let told = trial.champion_health();
            health.calibration_breaks = health.calibration_breaks.max(told.calibration_breaks);
            if self.former.contains(&trial.pair().1.version) {
                let evidence = health.evidence_of_previous.max(told.evidence_of_previous);
                health.evidence_of_previous = evidence;
            }
        }
        health
    }
}
