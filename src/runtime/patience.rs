//! How long a start goes on asking a venue that does not answer. A start that ends at once is one
//! of the few that a service manager allows: a restart within an outage has to outlive it.

use super::clock::wall_now;
use crate::venue::backoff::Backoff;
use crate::venue::job::RestFailure;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time between two looks whether the start was stopped.
const LOOK: Duration = Duration::from_millis(100);
/// Longest pause between two questions: what is held waits for us as soon as the venue is back.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// In words.
    pub what: String,
    /// It says nothing of what was asked: there was no answer, or one of a host in trouble.
    pub may_pass: bool,
}

impl From<RestFailure> for Unanswered {
    fn from(failure: RestFailure) -> Self {
        // 408 is the venue's own word for an answer that it did not get in time itself.
        let may_pass = failure.status.is_none_or(|status| status == 408 || status >= 500);
        Self { what: failure.message, may_pass }
    }
}

impl Unanswered {
    /// It would be the same again.
    pub fn for_good(what: impl Into<String>) -> Self {
        Self { what: what.into(), may_pass: false }
    }
}

/// See the head of this file. One for all that a start asks.
#[derive(Debug)]
pub struct Patience<'s> {
    until: Instant,
    /// Set to wait for nothing any more.
    stop: &'s AtomicBool,
}

impl<'s> Patience<'s> {
    /// From now on so long, or until `stop` is set. Whoever has none asks once.
    pub fn new(length: Duration, stop: &'s AtomicBool) -> Self {
        Self { until: Instant::now() + length, stop }
    }

    /// True when nothing is to be waited for any more.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Asks until there is an answer, or a failure that would be the same again. The last time is
    /// at the end of the patience.
    ///
    /// # Errors
    /// Why there was no answer, the last time.
    pub fn ask<T>(&self, mut ask: impl FnMut() -> Result<T, Unanswered>) -> Result<T, String> {
        // Of its own time, so that what is asked side by side does not come together.
        let mut backoff = Backoff::new(wall_now().0.unsigned_abs());
        loop {
            let last = self.is_stopped() || self.left().is_zero();
            let Unanswered { what, may_pass } = match ask() {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            if last || !may_pass {
                return Err(what);
            }
            tracing::warn!(error = &*what, "no answer from the venue yet: it is asked again");
            self.rest(backoff.next_wait().min(PAUSE_MAX));
            if self.is_stopped() {
                return Err(format!("stopped while it was waited for an answer: {what}"));
            }
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    fn rest(&self, length: Duration) {
        let began = Instant::now();
        loop {
            let left = length.saturating_sub(began.elapsed()).min(self.left());
            if left.is_zero() || self.is_stopped() {
                return;
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn failure(status: Option<u16>) -> Unanswered {
        RestFailure { status, code: None, message: format!("{status:?}"), sent: true }.into()
    }

    #[test]
    fn a_start_outlives_a_venue_that_does_not_answer_and_no_refusal() {
        let stop = AtomicBool::new(false);
        let patience = Patience::new(LONG, &stop);
        for passes in [None, Some(408), Some(500), Some(503)] {
            let mut times = 0;
            let answer = patience.ask(|| {
                times += 1;
                if times < 3 { Err(failure(passes)) } else { Ok(times) }
            });
            assert_eq!(answer, Ok(3), "{passes:?}");
        }
        for stays in [Some(400), Some(401), Some(418), Some(429), Some(499)] {
            let mut times = 0;
            let answer: Result<(), String> = patience.ask(|| {
                times += 1;
                Err(failure(stays))
            });
            assert_eq!((answer, times), (Err(format!("{stays:?}")), 1));
        }
    }

    #[test]
    fn without_patience_or_stopped_it_is_asked_once_and_the_last_words_are_told() {
        let stop = AtomicBool::new(false);
        let none = Patience::new(Duration::ZERO, &stop);
        let mut times = 0;
        let mut ask = || -> Result<(), Unanswered> {
            times += 1;
            Err(failure(None))
        };
        assert_eq!(none.ask(&mut ask), Err("None".to_owned()));
        stop.store(true, Ordering::Relaxed);
        assert_eq!(Patience::new(LONG, &stop).ask(&mut ask), Err("None".to_owned()));
        assert_eq!(times, 2);
    }

    #[test]
    fn a_start_that_waits_can_be_stopped_and_ends_with_what_was_said_last() {
        let stop = AtomicBool::new(false);
        let patience = Patience::new(LONG, &stop);
        let mut times = 0;
        let answer: Result<(), String> = patience.ask(|| {
            times += 1;
            stop.store(times == 4, Ordering::Relaxed);
            Err(Unanswered { what: times.to_string(), may_pass: true })
        });
        let told = "stopped while it was waited for an answer: 4".to_owned();
        assert_eq!((answer, times), (Err(told), 4));
    }

    #[test]
    fn it_is_asked_again_at_the_end_of_the_patience_and_not_after_it() {
        let stop = AtomicBool::new(false);
        let patience = Patience::new(Duration::from_millis(20), &stop);
        let mut asked = Vec::new();
        let answer: Result<(), String> = patience.ask(|| {
            asked.push(Instant::now());
            Err(failure(None))
        });
        assert!(answer.is_err() && asked.len() >= 2);
        let late = asked.iter().filter(|at| **at >= patience.until).count();
        // One that was begun right before the end may be the first of two.
        assert!((1..=2).contains(&late), "{asked:?} until {:?}", patience.until);
    }
}
