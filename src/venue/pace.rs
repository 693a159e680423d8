//! How often market data is asked for over REST: a share of the venue's request weight, and for
//! each instrument a wait that grows while its book cannot be made whole.
//!
//! One instrument that fails does not delay the others, and all together never use up what orders
//! and reconciliation need. Missing trades have a smaller share of their own: a book that waits for
//! its snapshot must not wait because a stream leaves trades out.

use super::backoff::Backoff;
use crate::base::InstrumentId;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Weight a second for snapshots, half of the venue's 2 400 a minute, and what may be saved up of
/// it: twenty of 1 000 levels at the start.
const SNAPSHOTS: Share = Share { per_s: 20.0, saved_max: 400.0 };
/// The same for missing trades: an eighth of the venue's, and one request for each of fifteen
/// symbols after a loss of their connection.
const TRADES: Share = Share { per_s: 5.0, saved_max: 300.0 };
/// A snapshot wanted again so soon after the last one did not make the book whole for long.
const CALM: Duration = Duration::from_secs(10);
/// Least wait after a request that failed.
const FAILED: Duration = Duration::from_secs(1);
/// Longest wait beside that: without its book an instrument is not traded, and the weight of all
/// together is bounded anyway.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Wait {
    backoff: Backoff,
    asked: Option<Instant>,
    due: Option<Instant>,
    is_queued: bool,
}

/// A share of the request weight.
#[derive(Clone, Copy, Debug)]
struct Share {
    per_s: f64,
    saved_max: f64,
}

/// What is saved up of a share.
#[derive(Clone, Copy, Debug)]
struct Saved {
    share: Share,
    weight: f64,
    at: Instant,
}

impl Saved {
    const fn full(share: Share, at: Instant) -> Self {
        Self { share, weight: share.saved_max, at }
    }

    /// Takes weight; false when it is not there yet.
    fn spend(&mut self, weight: u32, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.weight = (self.weight + passed * self.share.per_s).min(self.share.saved_max);
        self.at = now;
        let is_there = self.weight >= f64::from(weight);
        if is_there {
            self.weight -= f64::from(weight);
        }
        is_there
    }
}

/// See the head of this file. Sans-IO.
#[derive(Debug)]
pub struct Pace {
    waits: Vec<Wait>,
    queue: VecDeque<InstrumentId>,
    /// Nobody in the queue is due before: it is not gone through until then.
    quiet_until: Option<Instant>,
    snapshots: Saved,
    trades: Saved,
}

impl Pace {
    /// For so many instruments, with nothing asked yet.
    pub fn new(instruments: usize, seed: u64, now: Instant) -> Self {
        let wait = |i: usize| {
            let backoff = Backoff::new(seed ^ i as u64);
            Wait { backoff, asked: None, due: None, is_queued: false }
        };
        Self {
            waits: (0..instruments).map(wait).collect(),
            queue: VecDeque::with_capacity(instruments),
            quiet_until: None,
            snapshots: Saved::full(SNAPSHOTS, now),
            trades: Saved::full(TRADES, now),
        }
    }

    /// A snapshot is wanted.
    pub fn want(&mut self, instrument: InstrumentId, now: Instant) {
        let Some(wait) = self.waits.get_mut(instrument.index()) else { return };
        let is_again = |asked: Instant| now.saturating_duration_since(asked) < CALM;
        if wait.asked.is_some_and(is_again) {
            let due = now + wait.backoff.next_wait().min(WAIT_MAX);
            wait.due = Some(wait.due.map_or(due, |at| at.max(due)));
        } else {
            wait.backoff.reset();
            wait.due = None;
        }
        self.quiet_until = None;
        if !std::mem::replace(&mut wait.is_queued, true) {
            self.queue.push_back(instrument);
        }
    }

    /// A snapshot that was asked for will not come.
    pub fn failed(&mut self, instrument: InstrumentId, now: Instant) {
        if let Some(wait) = self.waits.get_mut(instrument.index()) {
            wait.due = Some(now + FAILED + wait.backoff.next_wait().min(WAIT_MAX));
            wait.asked = Some(now);
        }
    }

    /// The instrument whose snapshot, of this weight, is to be asked for now.
    pub fn next(&mut self, weight: u32, now: Instant) -> Option<InstrumentId> {
        if self.quiet_until.is_some_and(|until| now < until) {
            return None;
        }
        let is_due = |wait: &Wait| wait.due.is_none_or(|due| now >= due);
        let Some(place) = self.queue.iter().position(|id| is_due(&self.waits[id.index()])) else {
            let dues = self.queue.iter().filter_map(|id| self.waits[id.index()].due);
            self.quiet_until = dues.min();
            return None;
        };
        if !self.snapshots.spend(weight, now) {
            return None;
        }
        let instrument = self.queue.remove(place)?;
        let wait = &mut self.waits[instrument.index()];
        (wait.asked, wait.due, wait.is_queued) = (Some(now), None, false);
        Some(instrument)
    }

    /// Takes the weight of a request for missing trades; false when it is not there yet.
    pub fn spend_on_trades(&mut self, weight: u32, now: Instant) -> bool {
        self.trades.spend(weight, now)
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
        let most = asked.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(most.is_some_and(|most| most <= 11_000), "{most:?}: the venue may be well again");
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
    fn fault_w09_trades_that_are_missing_all_the_time_take_no_weight_from_snapshots() {
        let start = Instant::now();
        let mut pace = Pace::new(1, 3, start);
        let (mut of_trades, mut snapshots) = (0, 0);
        for ms in 0..120_000 {
            let now = start + MS(ms);
            of_trades += u32::from(pace.spend_on_trades(20, now));
            if ms % 15_000 == 0 {
                pace.want(BTC, now);
                snapshots += u32::from(pace.next(20, now).is_some());
            }
        }
        assert_eq!((of_trades, snapshots), (15 + 30 - 1, 8), "five a second, and what was saved");
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

    #[test]
    fn five_hundred_books_have_their_snapshots_as_fast_as_the_share_allows_each_once() {
        let start = Instant::now();
        for (weight, most_s) in [(20, 481), (5, 106), (2, 31)] {
            let mut pace = Pace::new(500, 3, start);
            (0..500).for_each(|id| pace.want(InstrumentId(id), start));
            let (mut asked, mut last) = (vec![0; 500], 0);
            let mut spent = [0_u32; 9];
            for ms in 0..480_500 {
                while let Some(id) = pace.next(weight, start + MS(ms)) {
                    asked[id.index()] += 1;
                    spent[(ms / 60_000) as usize] += weight;
                    last = ms;
                }
            }
            assert!(asked.iter().all(|count| *count == 1), "weight {weight}");
            // What is saved up at the start is spent in the first minute.
            assert!(spent.iter().all(|spent| *spent <= 1_620), "weight {weight}: {spent:?}");
            let least_s = (500 * u64::from(weight)).saturating_sub(400) / 20;
            assert!(
                (least_s * 1_000..most_s * 1_000).contains(&last),
                "weight {weight}: {last} ms"
            );
        }
    }
}
