//! How often market data is asked for over REST: a share of the venue's request weight, and for
//! each instrument a wait that grows while its book cannot be made whole.
//!
//! One instrument that fails does not delay the others, and all together never use up what orders
//! and reconciliation need.

use super::backoff::Backoff;
use crate::base::InstrumentId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Weight a second: half of the venue's 2 400 a minute.
const WEIGHT_PER_S: f64 = 20.0;
/// Weight that may be saved up: twenty snapshots at the start.
const WEIGHT_SAVED_MAX: f64 = 400.0;
/// A snapshot wanted again so soon after the last one did not make the book whole for long.
const CALM: Duration = Duration::from_secs(10);
/// Least wait after a request that failed.
const FAILED: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Wait {
    backoff: Backoff,
    asked: Option<Instant>,
    due: Option<Instant>,
}

/// See the head of this file. Sans-IO.
#[derive(Debug)]
pub struct Pace {
    waits: Vec<Wait>,
    queue: VecDeque<InstrumentId>,
    saved: f64,
    saved_at: Instant,
}

impl Pace {
    /// For so many instruments, with nothing asked yet.
    pub fn new(instruments: usize, seed: u64, now: Instant) -> Self {
        let wait =
            |i: usize| Wait { backoff: Backoff::new(seed ^ i as u64), asked: None, due: None };
        Self {
            waits: (0..instruments).map(wait).collect(),
            queue: VecDeque::with_capacity(instruments),
            saved: WEIGHT_SAVED_MAX,
            saved_at: now,
        }
    }

    /// A snapshot is wanted.
    pub fn want(&mut self, instrument: InstrumentId, now: Instant) {
        let Some(wait) = self.waits.get_mut(instrument.index()) else { return };
        let is_again = |asked: Instant| now.saturating_duration_since(asked) < CALM;
        if wait.asked.is_some_and(is_again) {
            let due = now + wait.backoff.next_wait();
            wait.due = Some(wait.due.map_or(due, |at| at.max(due)));
        } else {
            wait.backoff.reset();
            wait.due = None;
        }
        if !self.queue.contains(&instrument) {
            self.queue.push_back(instrument);
        }
    }

    /// A snapshot that was asked for will not come.
    pub fn failed(&mut self, instrument: InstrumentId, now: Instant) {
        if let Some(wait) = self.waits.get_mut(instrument.index()) {
            wait.due = Some(now + FAILED + wait.backoff.next_wait());
            wait.asked = Some(now);
        }
    }

    /// The instrument whose snapshot, of this weight, is to be asked for now.
    pub fn next(&mut self, weight: u32, now: Instant) -> Option<InstrumentId> {
        let is_due = |wait: &Wait| wait.due.is_none_or(|due| now >= due);
        let place = self.queue.iter().position(|id| is_due(&self.waits[id.index()]))?;
        if !self.spend(weight, now) {
            return None;
        }
        let instrument = self.queue.remove(place)?;
        let wait = &mut self.waits[instrument.index()];
        (wait.asked, wait.due) = (Some(now), None);
        Some(instrument)
    }

    /// Takes weight for something else; false when it is not there yet.
    pub fn spend(&mut self, weight: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.saved_at).as_secs_f64();
        self.saved = (self.saved + passed * WEIGHT_PER_S).min(WEIGHT_SAVED_MAX);
        self.saved_at = now;
        let is_there = self.saved >= f64::from(weight);
        if is_there {
            self.saved -= f64::from(weight);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const BTC: InstrumentId = InstrumentId(0);
    const ETH: InstrumentId = InstrumentId(1);

    #[test]
    fn fault_w09_a_book_that_cannot_be_made_whole_is_asked_for_ever_more_rarely() {
        let start = Instant::now();
        let mut pace = Pace::new(2, 3, start);
        let mut asked = Vec::new();
        let mut others = 0;
        pace.want(BTC, start);
        for ms in 0..600_000 {
            let now = start + MS(ms);
            if ms % 20_000 == 0 {
                pace.want(ETH, now);
            }
            while let Some(id) = pace.next(20, now) {
                if id == BTC {
                    asked.push(ms);
                    pace.failed(BTC, now);
                    pace.want(BTC, now);
                } else {
                    others += 1;
                }
            }
        }
        assert!((20..120).contains(&asked.len()), "{}", asked.len());
        assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= 1_000));
        assert_eq!(others, 30, "the other is not held up");
    }

    #[test]
    fn fault_w09_resyncs_of_all_books_stay_within_their_share_of_the_weight() {
        let start = Instant::now();
        let mut pace = Pace::new(1_000, 3, start);
        let mut spent = Vec::new();
        for ms in 0..240_000 {
            let now = start + MS(ms);
            for id in 0..if ms % 1_000 == 0 { 1_000 } else { 0 } {
                pace.want(InstrumentId(id), now);
            }
            while pace.next(20, now).is_some() {
                spent.push(ms);
            }
        }
        for minute in 1..4 {
            let within = spent.iter().filter(|ms| **ms / 60_000 == minute).count();
            assert!((55..=60).contains(&within), "{within} snapshots of weight 20 in a minute");
        }
    }

    #[test]
    fn a_single_resync_does_not_wait() {
        let start = Instant::now();
        let mut pace = Pace::new(2, 3, start);
        for minute in 0..5 {
            let now = start + Duration::from_secs(60 * minute);
            pace.want(ETH, now);
            assert_eq!(pace.next(20, now), Some(ETH));
            assert_eq!(pace.next(20, now), None);
        }
    }
}
