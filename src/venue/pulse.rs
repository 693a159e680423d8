//! Signs of life of one WebSocket: pings answered, pings of our own, and what may still be sent.
//!
//! The venue counts pings and pongs as messages and bans who sends more than ten a second. So of a
//! flood of pings only the newest is answered, and never more than that leaves.

use std::time::{Duration, Instant};
use tungstenite::Bytes;

/// Messages that may leave in any second.
const OUT_PER_SECOND: usize = 10;
/// How often a connection on which silence is ordinary is asked whether it lives.
pub const PING_EVERY: Duration = Duration::from_secs(1);
/// How long it may say nothing at all after it was asked until that is told: with [`PING_EVERY`]
/// and a page that is drawn four times a second, everybody knows within three seconds.
pub const SUSPECT_AFTER: Duration = Duration::from_millis(1_500);
/// How long until it is given up: with [`PING_EVERY`] five seconds. A host that is out of breath
/// for a moment costs no connection.
pub const PONG_MAX: Duration = Duration::from_secs(4);

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// A ping of ours.
    Ping,
    /// The answer to the newest ping.
    Pong(Bytes),
}

/// See the head of this file. Sans-IO.
#[derive(Debug)]
pub struct Pulse {
    /// Ask by ourselves.
    asks: bool,
    /// When the last messages left, oldest at `oldest`.
    sent: [Option<Instant>; OUT_PER_SECOND],
    oldest: usize,
    asked_at: Instant,
    /// Since when an answer is owed to us.
    waiting: Option<Instant>,
    heard_at: Instant,
    owed: Option<Bytes>,
}

impl Pulse {
    /// Of a connection opened at `now`; `asks` where silence is ordinary.
    pub const fn new(asks: bool, now: Instant) -> Self {
        Self {
            asks,
            sent: [None; OUT_PER_SECOND],
            oldest: 0,
            asked_at: now,
            waiting: None,
            heard_at: now,
            owed: None,
        }
    }

    /// Anything whole came.
    pub const fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// A ping came: its answer takes the place of one still owed.
    pub fn ping(&mut self, payload: Bytes) {
        self.owed = Some(payload);
    }

    /// A pong came.
    pub const fn pong(&mut self) {
        self.waiting = None;
    }

    /// What is to be sent now, if anything is and may be.
    pub fn due(&mut self, now: Instant) -> Option<Beat> {
        let second = Duration::from_secs(1);
        let in_second = |at: Instant| now.saturating_duration_since(at) < second;
        if self.sent[self.oldest].is_some_and(in_second) {
            return None;
        }
        let beat = if let Some(payload) = self.owed.take() {
            Beat::Pong(payload)
        } else if self.asks && now.saturating_duration_since(self.asked_at) >= PING_EVERY {
            self.asked_at = now;
            self.waiting.get_or_insert(now);
            Beat::Ping
        } else {
            return None;
        };
        self.sent[self.oldest] = Some(now);
        self.oldest = (self.oldest + 1) % OUT_PER_SECOND;
        Some(beat)
    }

    /// True when we asked and nothing at all came for too long.
    pub fn is_dead(&self, now: Instant) -> bool {
        self.has_waited(PONG_MAX, now)
    }

    /// True when we asked and nothing at all came for a while.
    pub fn is_suspect(&self, now: Instant) -> bool {
        self.has_waited(SUSPECT_AFTER, now)
    }

    fn has_waited(&self, most: Duration, now: Instant) -> bool {
        let last = |since: Instant| since.max(self.heard_at);
        self.waiting.is_some_and(|since| now.saturating_duration_since(last(since)) > most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn fault_w05_of_a_ping_flood_the_newest_is_answered_and_ten_a_second_at_most() {
        let start = Instant::now();
        let mut pulse = Pulse::new(false, start);
        let mut sent: Vec<(u64, Bytes)> = Vec::new();
        for ms in 0..5_000_u64 {
            for n in 0..3_u64 {
                pulse.ping(Bytes::from((ms * 3 + n).to_string()));
            }
            while let Some(Beat::Pong(payload)) = pulse.due(start + MS(ms)) {
                assert_eq!(payload, (ms * 3 + 2).to_string(), "the newest");
                sent.push((ms, payload));
            }
        }
        for first in &sent {
            let within = sent.iter().filter(|(ms, _)| (first.0..first.0 + 1_000).contains(ms));
            assert!(within.count() <= 10);
        }
        assert!(sent.len() >= 45, "and as many as may: {}", sent.len());
    }

    #[test]
    fn fault_n02_a_quiet_connection_without_an_answer_is_suspect_soon_and_dead_later() {
        let start = Instant::now();
        let mut pulse = Pulse::new(true, start);
        let (mut died, mut suspect) = (None, None);
        for ms in 0..10_000 {
            let now = start + MS(ms);
            if pulse.due(now) == Some(Beat::Ping) && ms < 4_000 {
                // Answered for four seconds, then never again.
                pulse.heard(now);
                pulse.pong();
            }
            if pulse.is_suspect(now) {
                suspect.get_or_insert(ms);
            }
            if pulse.is_dead(now) {
                died = Some(ms);
                break;
            }
        }
        let died = died.expect("dead");
        assert!((8_000..8_100).contains(&died), "{died}");
        assert!(suspect.is_some_and(|ms| (5_500..5_600).contains(&ms)), "{suspect:?}");
    }

    #[test]
    fn a_connection_that_is_not_asked_is_never_called_dead() {
        let start = Instant::now();
        let mut pulse = Pulse::new(false, start);
        assert_eq!(pulse.due(start + MS(60_000)), None);
        assert!(!pulse.is_dead(start + MS(600_000)));
    }
}
