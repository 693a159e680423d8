//! Whether the account's stream tells what the answers say: each order or cancel that the venue
//! takes is followed by a text on that stream. A connection that is alive, answers pings and brings
//! nothing shows nowhere else.
//!
//! While nothing is asked of the venue there is nothing to hear, and silence is no sign.

use std::time::{Duration, Instant};

/// Longest time from an answer to the text that tells the same.
const SILENCE_MAX: Duration = Duration::from_secs(2);

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unheard {
    /// When the stream last brought anything.
    heard: Option<Instant>,
    /// When the first request was taken of which the stream said nothing so far.
    since: Option<Instant>,
}

impl Unheard {
    /// A request that left at `sent` was taken. The stream may have told it before the answer came.
    pub fn taken(&mut self, sent: Instant, now: Instant) {
        if self.heard.is_none_or(|heard| heard < sent) {
            self.since.get_or_insert(now);
        }
    }

    /// The stream brought a text, or is another one: what was taken before is no sign any more.
    pub fn heard(&mut self, now: Instant) {
        *self = Self { heard: Some(now), since: None };
    }

    /// True when the stream should have spoken by now.
    pub fn is_silent(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= SILENCE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_n02_an_answer_that_no_text_follows_within_two_seconds_is_silence() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut stream = Unheard::default();
        assert!(!stream.is_silent(at(3_600_000)), "nothing was asked");
        stream.taken(at(100), at(150));
        stream.taken(at(1_000), at(1_100));
        assert!(!stream.is_silent(at(2_149)));
        assert!(stream.is_silent(at(2_150)), "counted from the first answer");
        stream.heard(at(2_150));
        assert!(!stream.is_silent(at(9_000)));
    }

    #[test]
    fn a_text_between_the_request_and_its_answer_counts_and_one_before_it_does_not() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut stream = Unheard::default();
        stream.heard(at(120));
        stream.taken(at(100), at(150));
        assert!(!stream.is_silent(at(60_000)), "it was told before the answer");
        stream.taken(at(200), at(250));
        assert!(!stream.is_silent(at(2_249)));
        assert!(stream.is_silent(at(2_250)));
    }
}
