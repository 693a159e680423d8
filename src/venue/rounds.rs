//! Who of many instruments is asked about next, where each is asked about every so often: a few at
//! once, spread over the time, so that what matters more does not stand behind hundreds.
//!
//! ```text
//!  500 instruments every 120 s:   0…15 │ 16…31 │ … │ 496…499 │ 0…15      one round in 3.75 s
//! ```

use std::ops::Range;
use std::time::{Duration, Instant};

/// Requests that leave together.
const AT_ONCE: usize = 16;

/// See the head of this file. Sans-IO.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    due: Instant,
    next: usize,
    /// Requests without an answer yet.
    waits: usize,
}

impl Rounds {
    /// The first round is due at `now`.
    pub const fn at(now: Instant) -> Self {
        Self { due: now, next: 0, waits: 0 }
    }

    /// The places, of so many, that are to be asked about at `now`; each has its turn once in
    /// `every`. None while the round before has no answer: a slow venue must not pile up requests.
    pub fn due(&mut self, instruments: usize, every: Duration, now: Instant) -> Range<usize> {
        if now < self.due {
            return 0..0;
        }
        let rounds = instruments.div_ceil(AT_ONCE).max(1);
        self.due = now + every / u32::try_from(rounds).unwrap_or(u32::MAX);
        if self.waits > 0 {
            return 0..0;
        }
        let wanted = self.next..instruments.min(self.next + AT_ONCE);
        self.next = if wanted.end < instruments { wanted.end } else { 0 };
        wanted
    }

    /// A request left.
    pub const fn asked(&mut self) {
        self.waits += 1;
    }

    /// It has its answer.
    pub const fn answered(&mut self) {
        self.waits = self.waits.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(30);

    #[test]
    fn each_of_many_is_asked_about_once_in_the_time_and_never_many_at_once() {
        for (count, most) in [(2, 2), (16, 16), (17, 16), (500, 16)] {
            let start = Instant::now();
            let (mut rounds, mut asked) = (Rounds::at(start), vec![0; count]);
            // One millisecond a turn, a little longer than three times around.
            for ms in 0..93_000 {
                let wanted = rounds.due(count, EVERY, start + Duration::from_millis(ms));
                assert!(wanted.len() <= most, "{count}: {wanted:?}");
                wanted.for_each(|place| asked[place] += 1);
            }
            assert!(asked.iter().all(|times| (3..=4).contains(times)), "{count}: {asked:?}");
        }
    }

    #[test]
    fn nothing_more_is_asked_before_the_round_before_has_its_answers() {
        let start = Instant::now();
        let mut rounds = Rounds::at(start);
        assert_eq!(rounds.due(3, EVERY, start), 0..3);
        (0..3).for_each(|_| rounds.asked());
        assert_eq!(rounds.due(3, EVERY, start + EVERY), 0..0);
        (0..3).for_each(|_| rounds.answered());
        assert_eq!(rounds.due(3, EVERY, start + 3 * EVERY / 2), 0..0, "not due");
        assert_eq!(rounds.due(3, EVERY, start + 2 * EVERY), 0..3);
    }
}
