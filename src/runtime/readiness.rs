//! What stands against trading, from what the river, the threads, the journal and the model's files
//! show: the reasons of `/readiness`.

use super::streams_seen::StreamsSeen;
use crate::base::event::{Event, Kind, VenueStatus};
use crate::base::settings::WatchSettings;
use crate::base::{Nanos, Reason, SymbolState};
use crate::model::artifact::{CARD_FILE, ONNX_FILE, sha256};
use crate::observe::Snapshot;
use crate::observe::snapshot::{MarketView, NotReady};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// Time between two looks whether the model's files were touched.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time between two hashings of files that were not touched: a disk may lie about that.
const HASH_EVERY: Duration = Duration::from_secs(60);

/// See the head of this file.
pub struct Readiness {
    streams: StreamsSeen,
    clock: ClockSeen,
    model: ModelFiles,
    /// Those of models that symbols have of their own, by version.
    own: Vec<(String, ModelFiles)>,
    market_age_max: Duration,
}

impl Readiness {
    /// Before anything was seen.
    pub fn new(clock: ClockSeen, model: ModelFiles, market_age_max: Duration) -> Self {
        Self { streams: StreamsSeen::default(), clock, model, own: Vec::new(), market_age_max }
    }

    /// The same with the files of models that symbols have of their own, by version.
    pub fn with_own(self, own: Vec<(String, ModelFiles)>) -> Self {
        Self { own, ..self }
    }

    /// Takes a record in.
    pub fn note(&mut self, event: &Event) {
        match event.kind() {
            Some(Kind::StreamStatus) => self.streams.note(event),
            Some(Kind::SymbolChange) if event.puts_to_sleep() => {
                self.streams.forget(event.instrument());
            }
            Some(Kind::VenueStatus) => self.clock.note(event),
            _ => {}
        }
    }

    /// Which streams are up.
    pub const fn streams(&self) -> &StreamsSeen {
        &self.streams
    }

    /// Another model runs from here on, from these files.
    pub fn follow(&mut self, model: ModelFiles) {
        self.model = model;
    }

    /// Looks at the model's files, now and then; true where they are those that run.
    pub fn is_model_verified(&mut self, now: Instant) -> bool {
        self.model.look(now)
    }

    /// Looks at the files of symbols' own models, now and then; the versions whose files are not
    /// those that run.
    pub fn changed_own(&mut self, now: Instant) -> Vec<&str> {
        let changed = self
            .own
            .iter_mut()
            .filter_map(|(version, files)| (!files.look(now)).then_some(version.as_str()));
        changed.collect()
    }

    /// Everything that stands against trading, as far as `page` shows it at `now_ns`. A market's
    /// age still is the time of its newest event there.
    pub fn reasons(&self, page: &Snapshot, now_ns: i64, poisoned: bool) -> Vec<NotReady> {
        let mut reasons = Vec::new();
        let awake = |market: &&MarketView| market.state != SymbolState::Asleep;
        let markets = || page.markets.iter().filter(awake);
        if !page.is_healthy() {
            reasons.push(NotReady::ThreadStopped);
        }
        if markets().any(|market| !market.book_valid) {
            reasons.push(NotReady::BookInvalid);
        }
        let limit = self.market_age_max.as_nanos() as f64;
        let old = markets().any(|market| now_ns as f64 - market.age_seconds > limit);
        if old || self.streams.is_market_down() {
            reasons.push(NotReady::MarketStale);
        }
        if self.streams.is_account_down() {
            reasons.push(NotReady::PrivateStreamStale);
        }
        if !self.model.verified || self.own.iter().any(|(_, files)| !files.verified) {
            reasons.push(NotReady::ModelUnverified);
        }
        if self.clock.is_off(Nanos(now_ns)) {
            reasons.push(NotReady::ClockOff);
        }
        match page.trading_state {
            "reconciling" => reasons.push(NotReady::Unreconciled),
            "halted" => reasons.push(NotReady::Halted),
            "killed" => reasons.push(NotReady::Killed),
            _ => {}
        }
        if poisoned {
            reasons.push(NotReady::JournalBehind);
        }
        reasons
    }
}

/// How far the venue's clock was from ours when it was last asked for.
#[derive(Debug)]
pub struct ClockSeen {
    /// Nanoseconds from which on it is off; it is well again below four fifths of that, as for the
    /// gate.
    limit: u64,
    /// Oldest reading that says something; `None` where nobody asks.
    age_max: Option<Nanos>,
    off: bool,
    seen: Nanos,
}

impl ClockSeen {
    /// By the thresholds of `[watch]`; `began` is when the session did.
    pub fn new(settings: &WatchSettings, asks: bool, began: Nanos) -> Self {
        let asks = asks && settings.clock_every_s > 0 && settings.clock_age_s_max > 0;
        let age_max = Nanos::from_secs(i64::from(settings.clock_age_s_max));
        Self {
            limit: u64::from(settings.clock_reduce_ms) * 1_000_000,
            age_max: asks.then_some(age_max),
            off: false,
            seen: began,
        }
    }

    fn note(&mut self, event: &Event) {
        let status: &VenueStatus = event.body();
        if status.reason != Reason::ClockOff as u16 {
            return;
        }
        self.seen = event.now();
        let apart = status.told.unsigned_abs();
        self.off = apart >= self.limit || self.off && apart >= self.limit / 5 * 4;
    }

    fn is_off(&self, now: Nanos) -> bool {
        self.off || self.age_max.is_some_and(|most| now - self.seen > most)
    }
}

/// The files of the model that runs. What runs lies in memory and does not change; where its files
/// do, nobody can tell from them any more what runs, and the next start is refused.
#[derive(Debug)]
pub struct ModelFiles {
    /// Each with the hash it had when it was loaded.
    files: Vec<(PathBuf, [u8; 32])>,
    touched: Vec<Option<(SystemTime, u64)>>,
    looked: Option<Instant>,
    hashed: Option<Instant>,
    verified: bool,
}

impl ModelFiles {
    /// The files of a version in `dir`, which held `onnx` (as a hash) and `card`.
    pub fn new(dir: &Path, onnx: [u8; 32], card: &str) -> Self {
        Self::of(dir, onnx, sha256(card.as_bytes()))
    }

    /// The same, of a card by its hash.
    pub fn of(dir: &Path, onnx: [u8; 32], card: [u8; 32]) -> Self {
        Self {
            files: vec![(dir.join(ONNX_FILE), onnx), (dir.join(CARD_FILE), card)],
            touched: Vec::new(),
            looked: None,
            hashed: None,
            verified: true,
        }
    }

    /// Looks at them, now and then; true where they are those that run.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        let is_due = |last: Option<Instant>, every| last.is_none_or(|last| now >= last + every);
        if !is_due(self.looked, LOOK_EVERY) {
            return self.verified;
        }
        self.looked = Some(now);
        let touched: Vec<_> = self.files.iter().map(|(path, _)| touched(path)).collect();
        if touched == self.touched && !is_due(self.hashed, HASH_EVERY) {
            return self.verified;
        }
        (self.touched, self.hashed) = (touched, Some(now));
        let same = |(path, hash): &(PathBuf, [u8; 32])| {
            std::fs::read(path).is_ok_and(|bytes| sha256(&bytes) == *hash)
        };
        let changed = self.files.iter().find(|file| !same(file));
        if let (Some((path, _)), true) = (changed, self.verified) {
            tracing::error!(file = %path.display(), "is not the file of the model that runs");
        }
        self.verified = changed.is_none();
        self.verified
    }
}

/// When a file was last written, and how long it is; `None` where it is not there.
fn touched(path: &Path) -> Option<(SystemTime, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.modified().ok()?, found.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InstrumentId;

    fn told(clock: &mut ClockSeen, ms: i64, at_s: i64) -> bool {
        let body = VenueStatus {
            reason: Reason::ClockOff as u16,
            told: ms * 1_000_000,
            ..VenueStatus::default()
        };
        let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
        clock.note(&Event { ts_recv: Nanos::from_secs(at_s).0, ..event });
        clock.is_off(Nanos::from_secs(at_s))
    }

    #[test]
    fn the_clock_is_off_from_its_limit_on_until_well_below_and_while_nobody_knows() {
        let settings = WatchSettings { clock_every_s: 10, ..WatchSettings::asking_nothing() };
        assert_eq!((settings.clock_reduce_ms, settings.clock_age_s_max), (250, 60));
        let mut clock = ClockSeen::new(&settings, true, Nanos::ZERO);
        let steps = [(249, false), (-250, true), (201, true), (200, true), (199, false)];
        for (at, (ms, off)) in steps.into_iter().enumerate() {
            assert_eq!(told(&mut clock, ms, at as i64), off, "{ms} ms");
        }
        assert!(!clock.is_off(Nanos::from_secs(64)) && clock.is_off(Nanos::from_secs(65)));
        let unasked = ClockSeen::new(&settings, false, Nanos::ZERO);
        assert!(!unasked.is_off(Nanos::from_secs(1_000)), "there is no venue to ask");
    }

    #[test]
    fn a_model_whose_file_changed_is_not_verified_until_it_is_what_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (onnx, card) = (dir.path().join(ONNX_FILE), dir.path().join(CARD_FILE));
        std::fs::write(&onnx, b"graph").unwrap();
        std::fs::write(&card, "card").unwrap();
        let mut files = ModelFiles::new(dir.path(), sha256(b"graph"), "card");
        let mut now = Instant::now();
        let mut next = |files: &mut ModelFiles| {
            now += HASH_EVERY;
            files.look(now)
        };
        assert!(next(&mut files));
        std::fs::write(&onnx, b"grapf").unwrap();
        assert!(!next(&mut files), "the same length, another byte");
        std::fs::write(&onnx, b"graph").unwrap();
        assert!(next(&mut files));
        std::fs::write(&card, "cart").unwrap();
        assert!(!next(&mut files));
        std::fs::remove_file(&card).unwrap();
        assert!(!next(&mut files));
        std::fs::write(&card, "card").unwrap();
        assert!(next(&mut files));
    }
}
