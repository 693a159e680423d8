//! What is known of the champion that decides, and which limits of `[rollback]` it passed. Reads
//! the journal behind the stages, which notice nothing.

use super::evaluated::Evaluated;
use super::kept::{Kept, KeptFile};
use super::rows::RowWatch;
use crate::base::InstrumentId;
use crate::base::units::Money;
use crate::engine::SlotSeen;
use crate::journal::{ANSWERS_LANE, LaneFollower, RISK_LANE, RecordIndex, STAMPS_LANE};
use crate::model::Card;
use crate::observe::snapshot::RollbackLimit;
use crate::promotion::books::Books;
use crate::promotion::reign::Reign;
use crate::promotion::rollback::{ROLLBACK, RollbackRule};
use crate::promotion::{Breach, Health, PromotionSettings, breaches};
use crate::registry::verdict::Contender;
use crate::runtime::assemble::Parts;
use crate::runtime::own::Pooled;
use crate::runtime::readiness::ModelFiles;
use crate::runtime::swap::guard::read;
use crate::runtime::swap::times::Times;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// Times to answer the percentile is taken of, and how many there must be: of 1 000 ten are slower.
const TIMES: std::ops::RangeInclusive<usize> = 1_000..=10_000;
/// Time between two looks at percentiles.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A champion, by what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Champion {
    /// Its version and files.
    pub who: Contender,
    /// First eight bytes of the SHA-256 of its `model.onnx`.
    pub tag: u64,
}

/// See the head of this file.
pub struct Judge {
    rules: PromotionSettings,
    champion: Champion,
    risk: LaneFollower,
    answers: LaneFollower,
    took: LaneFollower,
    reign: Reign,
    times: Times,
    p99_ns: Option<u64>,
    looked: Option<Instant>,
    files: Option<ModelFiles>,
    verified: bool,
    evaluated: Evaluated,
    rows: Option<RowWatch>,
    psi: Option<f64>,
    kept: Option<KeptFile>,
    /// The instruments that it decides.
    pooled: Pooled,
}

impl Judge {
    /// Over the session whose journal lies in `journal`, by `rules`; `champion` decides.
    ///
    /// # Errors
    /// When a lane cannot be followed.
    pub fn new(
        rules: PromotionSettings,
        parts: &Parts,
        journal: &Path,
        champion: Champion,
    ) -> Result<Self> {
        let state = Path::new(&parts.settings.session.state_dir);
        let follow = |lane| LaneFollower::open(journal, lane, RecordIndex(0));
        let name = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kept = KeptFile::of(state, &name);
        let before = kept.as_ref().and_then(|file| file.read(&champion.who));
        let (tag, min) = (champion.tag, rules.sharpe_24h_min);
        let (books, equity) = begun(parts, before.as_ref().map_or(0, |_| tag));
        let mut reign = Reign::new(books, equity, tag, min);
        if let Some(Kept { account, closed, .. }) = before {
            reign.resume(account, closed);
        }
        let card = (&parts.files.card, tag);
        let rows = match parts.settings.rollback.rows {
            true => Some(RowWatch::new(parts, journal, card, rules.drift)?),
            false => None,
        };
        Ok(Self {
            rows,
            psi: None,
            evaluated: Evaluated::new(state, rules.clone(), champion.who.clone()),
            rules,
            champion,
            risk: follow(RISK_LANE)?,
            answers: follow(ANSWERS_LANE)?,
            took: follow(STAMPS_LANE)?,
            reign,
            times: Times::new(tag, TIMES),
            p99_ns: None,
            looked: None,
            files: None,
            verified: true,
            kept,
            pooled: parts.own.pooled(parts.instruments.len()),
        })
    }

    /// The champion that is judged.
    pub const fn champion(&self) -> &Champion {
        &self.champion
    }

    /// Another champion decides, or the same begins anew: nothing of what was counts for it.
    /// `card` is its own, `files` are those that are to stay what they are, `former` the versions
    /// that were champion.
    pub fn begin(
        &mut self,
        champion: Champion,
        card: &Card,
        files: ModelFiles,
        former: BTreeSet<String>,
    ) {
        self.read();
        if let Some(rows) = &mut self.rows {
            rows.begin(card, champion.tag);
        }
        self.reign.begin(champion.tag);
        self.times = Times::new(champion.tag, TIMES);
        (self.p99_ns, self.looked, self.verified) = (None, None, true);
        self.psi = None;
        self.evaluated.begin(&champion.who, former);
        self.watch(files);
        self.champion = champion;
    }

    /// The files of the champion that are to stay what they are.
    pub fn watch(&mut self, files: ModelFiles) {
        self.files = Some(files);
    }

    /// The versions that were champion: those whose evidence counts against this one.
    pub fn compare_with(&mut self, former: BTreeSet<String>) {
        self.evaluated.begin(&self.champion.who, former);
    }

    /// Reads on; every limit that is passed. `seen` is what the stage tells of its place.
    pub fn look(&mut self, seen: SlotSeen) -> Vec<Breach> {
        self.read();
        let now = Instant::now();
        if self.looked.is_none_or(|last| now - last >= LOOK_EVERY) {
            self.looked = Some(now);
            self.p99_ns = self.times.p99();
            self.verified = self.files.as_mut().is_none_or(|files| files.look(now));
            self.evaluated.read();
            let drift = self.rows.as_ref().and_then(RowWatch::drift);
            self.psi = drift.map(|drift| drift.psi_max);
            self.keep(now, false);
        }
        breaches(&self.rules.rollback, &self.health(seen))
    }

    /// What is known of the champion.
    pub fn health(&self, seen: SlotSeen) -> Health {
        let told = self.evaluated.health();
        let own = self.rows.as_ref().map_or(0, RowWatch::mismatches);
        let health = Health {
            hash_mismatches: u64::from(!self.verified),
            latency_p99_ns: self.p99_ns.map(|ns| ns as f64),
            errors_in_a_row: u64::from(seen.faults_in_a_row),
            psi: self.psi,
            feature_mismatches: told.feature_mismatches.max(own),
            ..told
        };
        health.with_account(self.reign.account())
    }

    /// Rows that were worked out again and held against what the session recorded.
    pub fn rows_compared(&self) -> u64 {
        self.rows.as_ref().map_or(0, RowWatch::compared)
    }

    /// Every limit with what is known.
    pub fn view(&self, seen: SlotSeen) -> Vec<RollbackLimit> {
        let health = self.health(seen);
        let limit = |(rule, limit): (&RollbackRule, &f64)| RollbackLimit {
            name: rule.key,
            value: (rule.value)(&health),
            limit: *limit,
        };
        ROLLBACK.iter().zip(&self.rules.rollback).map(limit).collect()
    }

    fn read(&mut self) {
        let (reign, times, rows) = (&mut self.reign, &mut self.times, &mut self.rows);
        let pooled = &self.pooled;
        read(&mut self.risk, |event| {
            if pooled.takes(event) {
                reign.note(event);
            }
        });
        read(&mut self.took, |event| times.note_passages(event));
        read(&mut self.answers, |event| {
            if !pooled.takes(event) {
                return;
            }
            reign.note(event);
            times.note_prediction(event);
            if let Some(rows) = rows {
                rows.note_answer(event);
            }
        });
        times.join();
        if let Some(rows) = rows {
            rows.read();
        }
    }

    fn keep(&mut self, now: Instant, at_end: bool) {
        let Some(file) = &mut self.kept else { return };
        let (account, closed) = (self.reign.account(), self.reign.closed());
        file.write(&self.champion.who, account, closed, (now, at_end));
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        self.read();
        self.keep(Instant::now(), true);
    }
}

/// The books as a session begins, whose open positions are those of `owner`, and the equity then.
fn begun(parts: &Parts, owner: u64) -> (Books, i64) {
    let (carried, symbols) = (&parts.carried, parts.symbols());
    let mut books = Books::new(carried.booked(&symbols));
    for (place, symbol) in symbols.iter().enumerate() {
        let Some(body) = carried.position(*symbol).filter(|body| body.qty != 0) else { continue };
        let px = i128::from(body.cost) * 100_000_000 / i128::from(body.qty);
        let (place, px) = (u16::try_from(place).unwrap_or(u16::MAX), i64::try_from(px));
        if parts.own.has(InstrumentId(place)) {
            continue;
        }
        books.carry(
            InstrumentId(place),
            owner,
            (body.qty, px.unwrap_or(i64::MAX).saturating_abs(), body.round_trip),
        );
    }
    let configured = parts.settings.risk.starting_equity.unwrap_or(Money::ZERO);
    (books, carried.equity(configured).0)
}
