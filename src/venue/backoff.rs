//! Waits between attempts: exponential with full jitter, so that many clients cut off together do
//! not come back together.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Bound of the first wait.
const WAIT_FIRST: Duration = Duration::from_millis(100);

/// Doubles the bound at each failure; the wait is uniform between zero and the bound.
#[derive(Debug)]
pub struct Backoff {
    bound: Duration,
    random: ChaCha8Rng,
}

impl Backoff {
    /// Starts at the shortest bound.
    pub fn new(seed: u64) -> Self {
        Self { bound: WAIT_FIRST, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let bound = self.bound;
        self.bound = (bound * 2).min(WAIT_MAX);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(self.random.random_range(0..=nanos))
    }

    /// The wait after a failure that time will hardly heal, such as a certificate: long from the
    /// start, so that nobody is stormed.
    pub fn next_wait_long(&mut self) -> Duration {
        self.bound = WAIT_MAX;
        WAIT_MAX / 2 + self.next_wait() / 2
    }

    /// The connection was steady: the next failure starts from the shortest bound.
    pub fn reset(&mut self) {
        self.bound = WAIT_FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_stay_below_a_bound_that_doubles_to_thirty_seconds_and_resets() {
        let mut backoff = Backoff::new(1);
        let mut bound = Duration::from_millis(100);
        for _ in 0..20 {
            assert!(backoff.next_wait() <= bound);
            bound = (bound * 2).min(Duration::from_secs(30));
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }

    #[test]
    fn what_time_hardly_heals_is_tried_twice_a_minute_at_most_four_times() {
        let mut backoff = Backoff::new(1);
        for _ in 0..100 {
            let wait = backoff.next_wait_long();
            assert!(wait >= Duration::from_secs(15) && wait <= Duration::from_secs(30));
        }
    }

    #[test]
    fn two_clients_do_not_wait_alike() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..8).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert_ne!(waits(1), waits(2));
    }
}
