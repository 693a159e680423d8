//! Learning each night from what the sessions recorded: a challenger, and never a champion.
//!
//! ```text
//!   journals ─► collect ─► night: freeze, check, train, compare, decide ─► registry, up to shadow
//!       └─► look: drift of the running day ─► a night before its time, at most one a day
//! ```
//! What a night does depends on the journals, the settings, the registry's champion and the time
//! it was begun at, which is kept: whoever was stopped and goes on ends in the same bytes.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | `learn.toml` |
//! | `days` | days and nights by name |
//! | `collect` | journals to files of history |
//! | `check` | why not to learn from them |
//! | `night` | the steps of a night |
//! | `child` | a step in a process of its own |
//! | `compete` | champion and new models on the same rows |
//! | `enter` | the way into the registry |
//! | `look` | drift |
//! | `report` | what is told |
//! | `store` | steps, ledger, lock |

mod check;
pub mod child;
mod collect;
mod compete;
mod days;
mod enter;
mod look;
mod night;
mod report;
pub mod settings;
pub mod store;

pub use days::{Day, Night};
pub use night::Ending;

use crate::files::write_json;
use crate::forward::Config;
use crate::gate::DECISION_FILE;
use anyhow::{Context, Result};
use child::Worker;
use collect::{Collected, Replayed, Source, known, replayed};
use night::Work;
use peregrine::model::artifact::{hex, sha256};
use peregrine::venue::dataset::Stream;
use settings::Settings;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use store::{Entry, Facts, Ledger, Lock, Outcome, Steps};

/// Folder of collected days.
const DAYS: &str = "days";
/// Folder of nights.
const NIGHTS: &str = "nights";
/// Folder of the last look at drift.
const LOOK: &str = "look";
/// Days on which was learned early.
const EARLY_FILE: &str = "early.json";
/// What begins a night that is due.
const SCHEDULE: &str = "schedule";
const HOUR_MS: i64 = 3_600_000;
/// How long after midnight a day's last records are in the journal for certain.
const SETTLED_MS: i64 = 60_000;

/// What replays of journals found, by name, as one night needs it.
type Replays = BTreeMap<String, Result<Option<Replayed>, String>>;

/// The learner.
pub struct Nightly {
    settings: Settings,
    config: Config,
    /// SHA-256 of everything that decides on a night.
    settings_sha256: String,
    worker: Worker,
}

/// Days to learn from, and days too old for that; both oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// To be learned.
    pub learn: Vec<Day>,
    /// To be collected only.
    pub pass: Vec<Day>,
}

/// What is due at a time: every finished day behind the last one of the ledger, or from `first` on;
/// and those that failed and may be tried again.
pub fn due(ledger: &Ledger, first: Option<Day>, now_ms: i64, settings: &Settings) -> Due {
    let after = (i64::from(settings.hour) * HOUR_MS).max(SETTLED_MS);
    let newest = Day::of(now_ms - after).0 - 1;
    let known = ledger.nights.iter().filter_map(|(name, entry)| Some((Day::parse(name)?, entry)));
    let last = known.clone().map(|(day, _)| day.0).max();
    let Some(from) = last.map(|last| last + 1).or(first.map(|day| day.0)) else {
        return Due::default();
    };
    let oldest = newest - i64::from(settings.nights_max) + 1;
    let again = known.filter(|(day, entry)| {
        let may = entry.outcome == Outcome::Failed && entry.tries < settings.tries_max;
        may && (oldest..=newest).contains(&day.0)
    });
    let mut learn: Vec<Day> = again.map(|(day, _)| day).collect();
    learn.extend((from.max(oldest)..=newest).map(Day));
    Due { learn, pass: (from..oldest.min(newest + 1)).map(Day).collect() }
}

impl Nightly {
    /// Reads settings and all they name.
    ///
    /// # Errors
    /// A slip in a file: told before an hour of work, not behind it.
    pub fn open(path: &Path, worker: impl FnOnce(&Settings) -> Worker) -> Result<Self> {
        let settings = Settings::read(path)?;
        let config = settings.config()?;
        let gates = fs::read(&settings.gate.gates)
            .with_context(|| settings.gate.gates.display().to_string())?;
        let text = format!("{settings:?}\n{}\n{}", config.hash(), hex(&sha256(&gates)));
        let worker = worker(&settings);
        Ok(Self { settings_sha256: hex(&sha256(text.as_bytes())), settings, config, worker })
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The ledger as it is.
    ///
    /// # Errors
    /// One that cannot be read.
    pub fn ledger(&self) -> Result<Ledger> {
        Ledger::read(&self.settings.work)
    }

    /// What is due at a time.
    ///
    /// # Errors
    /// A ledger or state folder that cannot be read.
    pub fn due(&self, now_ms: i64) -> Result<Due> {
        let journals = self.source().journals()?;
        let sound = journals.iter().find(|(_, begins)| *begins > i64::MIN);
        let first = sound.map(|(_, begins)| Day::of(*begins));
        Ok(due(&self.ledger()?, first, now_ms, &self.settings))
    }

    /// Does what is due at a time, oldest first, and looks at drift; what came of it.
    ///
    /// # Errors
    /// Another one that learns here, folders that cannot be read or written, that everything shall
    /// end. A night that fails is none: it is in what comes back, and the next one goes on.
    pub fn once(&self, now_ms: i64) -> Result<Vec<(String, Entry)>> {
        let work = &self.settings.work;
        let _lock = Lock::take(work)?;
        let mut told = self.raise(now_ms)?;
        let due = self.due(now_ms)?;
        for &day in &due.pass {
            self.collected(Night::of(day))?;
            let reason = format!("older than the newest nights_max {}", self.settings.nights_max);
            let ending = Ending::without(Outcome::Passed, reason, 0);
            told.push(self.enter(Night::of(day), (SCHEDULE, now_ms), ending)?);
        }
        for &day in &due.learn {
            let night = Night::of(day);
            let ending = self.night(night, (SCHEDULE, now_ms))?;
            told.push(self.enter(night, (SCHEDULE, now_ms), ending)?);
        }
        if self.settings.drift.on {
            told.extend(self.early(now_ms)?);
        }
        self.tidy()?;
        Ok(told)
    }

    /// Removes the tables of nights behind the newest `keep_nights`: their manifests stay, and the
    /// days they were made of.
    fn tidy(&self) -> Result<()> {
        let ledger = self.ledger()?;
        let keep = self.settings.keep_nights as usize;
        for name in ledger.nights.keys().rev().skip(keep) {
            let data = self.settings.work.join(NIGHTS).join(name).join(night::DATA);
            for stream in Stream::ALL {
                let tables = data.join(stream.name());
                if tables.is_dir() {
                    fs::remove_dir_all(&tables).with_context(|| tables.display().to_string())?;
                }
            }
        }
        Ok(())
    }

    fn source(&self) -> Source<'_> {
        Source {
            state: &self.settings.state,
            session: &self.settings.session,
            gap_ms: i64::from(self.settings.check.gap_s_max) * 1_000,
        }
    }

    /// Writes a night's entry.
    fn enter(
        &self,
        night: Night,
        (trigger, at_ms): (&str, i64),
        ending: Ending,
    ) -> Result<(String, Entry)> {
        let (mut ledger, name) = (self.ledger()?, night.name());
        let tries = ledger.nights.get(&name).map_or(0, |before| before.tries) + 1;
        let Ending { outcome, reason, version, trials } = ending;
        let trigger = trigger.to_owned();
        let entry = Entry { outcome, reason, trigger, version, trials, tries, at_ms };
        ledger.nights.insert(name.clone(), entry.clone());
        ledger.write(&self.settings.work)?;
        Ok((name, entry))
    }

    /// Staged versions on which somebody decided since.
    fn raise(&self, now_ms: i64) -> Result<Vec<(String, Entry)>> {
        let (mut ledger, mut told) = (self.ledger()?, Vec::new());
        for (name, entry) in &mut ledger.nights {
            let Some(version) = entry.version.clone() else { continue };
            let reports = self.settings.work.join(NIGHTS).join(name).join("reports");
            let decision = reports.join(DECISION_FILE);
            if entry.outcome != Outcome::Staged || !decision.exists() {
                continue;
            }
            let reason = format!("night of {name}: decided since");
            let paper = (decision.as_path(), now_ms, reason.as_str());
            if enter::challenge(&self.settings, &version, paper)?.is_ok() {
                entry.outcome = Outcome::Challenger;
                entry.reason = format!("{}; decided since", entry.reason);
                told.push((name.clone(), entry.clone()));
            }
        }
        if !told.is_empty() {
            ledger.write(&self.settings.work)?;
        }
        Ok(told)
    }

    /// The folder of a night's day, collected now where it was not.
    fn collected(&self, night: Night) -> Result<(PathBuf, Collected)> {
        let dir = self.settings.work.join(DAYS).join(night.name());
        self.collected_until(night.day, night.until_ms(), &dir)
    }

    fn collected_until(&self, day: Day, until_ms: i64, dir: &Path) -> Result<(PathBuf, Collected)> {
        let source = self.source();
        if let Some(facts) = known(dir, source.gap_ms) {
            return Ok((dir.to_owned(), facts));
        }
        let draft = dir.with_extension("draft");
        for old in [dir, &draft] {
            let _ = fs::remove_dir_all(old);
        }
        let facts = source.collect(day, until_ms, &draft)?;
        fs::rename(&draft, dir).with_context(|| dir.display().to_string())?;
        Ok((dir.to_owned(), facts))
    }

    /// What stands against a collected day. A journal of several days is looked at for the first
    /// of them; what was found is in `seen`. One that is not `closed` may still be written.
    fn against(
        &self,
        facts: &Collected,
        closed: &[(String, i64)],
        seen: &mut Replays,
    ) -> Vec<String> {
        let (source, work) = (self.source(), &self.settings.work);
        let replay = |name: &String| {
            let found = seen.entry(name.clone()).or_insert_with(|| {
                let is_newest = closed.iter().all(|(own, _)| own != name);
                let found = replayed(&source, name, (is_newest, work));
                found.map_err(|error| format!("{error:#}"))
            });
            (name.clone(), found.clone())
        };
        let replays: Vec<_> = facts.journals.iter().map(replay).collect();
        check::day(facts, &replays, &self.settings.check)
    }

    /// One night, begun or gone on with.
    fn night(&self, night: Night, (trigger, at_ms): (&str, i64)) -> Result<Ending> {
        let dir = self.settings.work.join(NIGHTS).join(night.name());
        let (folder, facts) = self.collected(night)?;
        let journals = self.source().journals()?;
        let closed = journals.split_last().map_or(&[][..], |(_, before)| before);
        let mut seen = Replays::new();
        // A day as far as it went covers what it can.
        let against = self.against(&facts, closed, &mut seen);
        let mut sources = vec![(facts.day.clone(), folder)];
        for day in night.day.before(self.settings.window_days - 1) {
            let (folder, facts) = self.collected(Night::of(day))?;
            if self.against(&facts, closed, &mut seen).is_empty() {
                sources.push((facts.day.clone(), folder));
            }
        }
        sources.reverse();
        let begin = || {
            Ok(Facts {
                at_ms,
                trigger: trigger.to_owned(),
                days: sources.iter().map(|(name, _)| name.clone()).collect(),
                champion: enter::champion(&self.settings.registry)?,
                trials_before: self.ledger()?.trials_but(&night.name()),
                settings_sha256: self.settings_sha256.clone(),
            })
        };
        let steps = Steps::open(&dir, begin, &self.settings_sha256)?;
        let kept = |(name, _): &&(String, PathBuf)| steps.facts().days.contains(name);
        let sources = sources.iter().filter(kept).map(|(_, folder)| folder.clone()).collect();
        let (settings, config, worker) = (&self.settings, &self.config, &self.worker);
        Work { settings, config, worker, night, sources, steps }.go(&against)
    }

    /// Looks at the running day, and learns early where it drifted and nobody did yet.
    fn early(&self, now_ms: i64) -> Result<Option<(String, Entry)>> {
        let day = Day::of(now_ms);
        if now_ms - day.from_ms() < SETTLED_MS {
            return Ok(None);
        }
        let name = Night { day, early_until_ms: Some(now_ms) }.name();
        let begun = self.begun_early(day)?;
        if self.ledger()?.nights.contains_key(&name) {
            return Ok(None);
        }
        let (until_ms, trigger) = match begun {
            // It was begun and not ended: it goes on.
            Some(begun) => begun,
            None => match self.drifted(day, now_ms)? {
                Some(trigger) => (now_ms, trigger),
                None => return Ok(None),
            },
        };
        write_json(&self.settings.work.join(EARLY_FILE), &(day.name(), until_ms, &trigger))?;
        let night = Night { day, early_until_ms: Some(until_ms) };
        let ending = self.night(night, (&trigger, until_ms))?;
        self.enter(night, (&trigger, until_ms), ending).map(Some)
    }

    /// The early night of a day, where one was begun: up to when, and why.
    fn begun_early(&self, day: Day) -> Result<Option<(i64, String)>> {
        let Ok(text) = fs::read(self.settings.work.join(EARLY_FILE)) else { return Ok(None) };
        let (name, until_ms, why): (String, i64, String) = serde_json::from_slice(&text)?;
        Ok((name == day.name()).then_some((until_ms, why)))
    }

    /// Why to learn before the day is over. What keeps from telling is no reason.
    fn drifted(&self, day: Day, now_ms: i64) -> Result<Option<String>> {
        let (settings, work) = (&self.settings, &self.settings.work);
        let Some((champion, _)) = enter::champion(&settings.registry)? else { return Ok(None) };
        let running = work.join(LOOK).join(day.name());
        let _ = fs::remove_dir_all(work.join(LOOK));
        let (folder, facts) = self.collected_until(day, now_ms, &running)?;
        if facts.symbols.values().all(|symbol| symbol.trades == 0) {
            return Ok(None);
        }
        let mut days = Vec::new();
        for day in day.before(settings.drift.loss_days) {
            let (folder, facts) = self.collected(Night::of(day))?;
            if !facts.files.is_empty() {
                days.push(folder);
            }
        }
        days.reverse();
        days.push(folder);
        let gates = peregrine::runtime::shadow::drift(&settings.gate.gates)?;
        let champion = settings.registry.join(champion);
        let data = work.join(LOOK).join("data");
        let asked = look::Look {
            champion: &champion,
            days: &days,
            work: &data,
            from_ms: day.from_ms(),
            until_ms: now_ms,
        };
        match look::look(&asked, &self.config, (&settings.drift, &gates)) {
            Ok(why) => Ok(why),
            Err(error) => {
                eprintln!("peregrine-lab learn: drift cannot be told: {error:#}");
                Ok(None)
            }
        }
    }
}

#[cfg(test)]
mod tests;
