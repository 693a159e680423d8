//! How far the venue's clock is from ours, from questions and answers.
//!
//! ```text
//!   ours    asked ───────────────────── answered
//!   venue             told                          offset = venue − ours
//!
//!   told − answered  ≤  offset  ≤  told + 1 ms − asked          certain, whatever the way took
//! ```
//! The quickest of the last answers says most. One that cannot be true together with it means that
//! a clock was set: what was known before is forgotten.

use crate::base::Nanos;

/// Answers that are remembered.
const SAMPLES: usize = 8;
/// An answer that took longer says too little.
const WIDTH_MAX: i64 = 2_000_000_000;
/// Clocks may drift apart by so much between answers.
const DRIFT: i64 = 5_000_000;
/// The venue tells whole milliseconds.
const MILLI: i64 = 1_000_000;

#[derive(Clone, Copy, Debug)]
struct Sample {
    low: i64,
    high: i64,
}

impl Sample {
    const fn width(&self) -> i64 {
        self.high - self.low
    }
}

/// What the answers say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// The venue's clock less ours.
    pub offset: Nanos,
    /// How far that may be off, either way.
    pub error: Nanos,
    /// A clock was set since the answer before.
    pub stepped: bool,
}

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct ClockGauge {
    samples: [Option<Sample>; SAMPLES],
    next: usize,
}

impl ClockGauge {
    /// The venue told the time `told`; asked and answered by our clock. `None` for an answer that
    /// says too little.
    pub fn on_answer(&mut self, asked: Nanos, answered: Nanos, told: Nanos) -> Option<Offset> {
        let low = told.0.saturating_sub(answered.0);
        let high = told.0.saturating_add(MILLI).saturating_sub(asked.0);
        let sample = Sample { low, high };
        if answered < asked || sample.width() > WIDTH_MAX {
            return None;
        }
        let best = self.best();
        let stepped = best.is_some_and(|best| {
            sample.low > best.high.saturating_add(DRIFT)
                || sample.high.saturating_add(DRIFT) < best.low
        });
        if stepped {
            self.samples = [None; SAMPLES];
        }
        self.samples[self.next % SAMPLES] = Some(sample);
        self.next = (self.next + 1) % SAMPLES;
        let best = self.best().unwrap_or(sample);
        let offset = Nanos(best.low + best.width() / 2);
        Some(Offset { offset, error: Nanos(best.width() / 2), stepped })
    }

    fn best(&self) -> Option<Sample> {
        self.samples.iter().flatten().copied().min_by_key(Sample::width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> Nanos {
        Nanos::from_millis(ms)
    }

    #[test]
    fn the_quickest_answer_counts_and_the_truth_lies_within_its_error() {
        let mut gauge = ClockGauge::default();
        // The venue is 40 ms ahead; the ways take 3 ms there and 300 ms back, then 1 and 1.
        let slow = gauge.on_answer(ms(1_000), ms(1_303), ms(1_043)).unwrap();
        assert!((slow.offset - ms(40)).0.abs() <= slow.error.0, "{slow:?}");
        let quick = gauge.on_answer(ms(2_000), ms(2_002), ms(2_041)).unwrap();
        assert!(
            (quick.offset - ms(40)).0.abs() <= quick.error.0 && quick.error < ms(2),
            "{quick:?}"
        );
        let again = gauge.on_answer(ms(3_000), ms(3_400), ms(3_043)).unwrap();
        assert_eq!(
            (again.offset, again.stepped),
            (quick.offset, false),
            "a slow one changes nothing"
        );
    }

    #[test]
    fn a_clock_that_was_set_is_known_by_one_answer_and_what_was_known_is_forgotten() {
        let mut gauge = ClockGauge::default();
        for second in 0..10 {
            let at = ms(second * 1_000);
            assert!(!gauge.on_answer(at, at + ms(2), at + ms(1)).unwrap().stepped);
        }
        let at = ms(20_000);
        let set = gauge.on_answer(at, at + ms(2), at + ms(301)).unwrap();
        assert!(set.stepped && (set.offset - ms(300)).0.abs() <= ms(2).0, "{set:?}");
        let at = ms(30_000);
        assert!(!gauge.on_answer(at, at + ms(2), at + ms(301)).unwrap().stepped);
    }

    #[test]
    fn an_answer_that_took_too_long_or_came_before_its_question_says_nothing() {
        let mut gauge = ClockGauge::default();
        assert_eq!(gauge.on_answer(ms(0), ms(2_000), ms(1_000)), None);
        assert!(gauge.on_answer(ms(0), ms(1_999), ms(1_000)).is_some());
        assert_eq!(gauge.on_answer(ms(10), ms(9), ms(9)), None, "our clock went back between them");
    }
}
