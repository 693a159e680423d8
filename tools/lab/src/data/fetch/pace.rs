//! How fast may be asked: a share of the venue's weight a minute, and the endpoints that have a
//! limit of their own.
//!
//! The venue counts all that comes from one address, whoever sent it, and tells the sum with each
//! answer. So the share is kept of that sum: while a trader beside uses more, less is fetched.

use std::collections::VecDeque;

const MINUTE_MS: i64 = 60_000;
const FIVE_MINUTES_MS: i64 = 5 * MINUTE_MS;

/// What a request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// So much of the address's weight.
    Minute(u32),
    /// One of the 500 questions about funding in five minutes.
    Funding,
    /// One of the 1 000 questions for statistics in five minutes.
    Statistics,
}

impl Weight {
    /// Requests in five minutes that are made at most: half of what is allowed.
    const fn in_five_minutes(self) -> usize {
        match self {
            Self::Minute(_) => usize::MAX,
            Self::Funding => 250,
            Self::Statistics => 500,
        }
    }
}

/// What was used. Times are the venue's, milliseconds.
#[derive(Debug)]
pub struct Pace {
    share: u32,
    minute: i64,
    used: u32,
    funding: VecDeque<i64>,
    statistics: VecDeque<i64>,
}

impl Pace {
    /// A pace of `share` of weight a minute.
    pub fn new(share: u32) -> Self {
        let (funding, statistics) = (VecDeque::new(), VecDeque::new());
        Self { share, minute: 0, used: 0, funding, statistics }
    }

    /// Milliseconds until a request may leave; 0 for now.
    pub fn wait_ms(&self, now_ms: i64, weight: Weight) -> i64 {
        let sent = match weight {
            Weight::Minute(weight) => {
                let minute = now_ms.div_euclid(MINUTE_MS);
                let used = if minute == self.minute { self.used } else { 0 };
                let fits = used.saturating_add(weight) <= self.share;
                return if fits { 0 } else { (minute + 1) * MINUTE_MS - now_ms };
            }
            Weight::Funding => &self.funding,
            Weight::Statistics => &self.statistics,
        };
        let place = sent.len().checked_sub(weight.in_five_minutes());
        let oldest = place.and_then(|place| sent.get(place)).copied();
        oldest.map_or(0, |at| (at + FIVE_MINUTES_MS - now_ms).max(0))
    }

    /// A request left.
    pub fn sent(&mut self, now_ms: i64, weight: Weight) {
        let sent = match weight {
            Weight::Minute(weight) => {
                self.turn(now_ms);
                self.used = self.used.saturating_add(weight);
                return;
            }
            Weight::Funding => &mut self.funding,
            Weight::Statistics => &mut self.statistics,
        };
        sent.push_back(now_ms);
        if sent.len() > weight.in_five_minutes() {
            sent.pop_front();
        }
    }

    /// An answer told the weight that the address has used in its minute.
    pub fn heard(&mut self, now_ms: i64, used: Option<u32>) {
        if let Some(used) = used {
            self.turn(now_ms);
            // An answer may be of the minute before: what was sent in this one counts at least.
            self.used = self.used.max(used);
        }
    }

    fn turn(&mut self, now_ms: i64) {
        let minute = now_ms.div_euclid(MINUTE_MS);
        if minute != self.minute {
            (self.minute, self.used) = (minute, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_use_of_the_address_is_left_to_them() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.wait_ms(60_000, Weight::Minute(10)), 0);
        pace.sent(60_000, Weight::Minute(10));
        assert_eq!(pace.wait_ms(61_000, Weight::Minute(90)), 0);
        // 95 were used: 10 by us, the rest by a trader.
        pace.heard(61_000, Some(95));
        assert_eq!(pace.wait_ms(61_500, Weight::Minute(5)), 0);
        assert_eq!(
            pace.wait_ms(61_500, Weight::Minute(6)),
            58_500,
            "the next minute begins at 120"
        );
        assert_eq!(pace.wait_ms(120_000, Weight::Minute(100)), 0);
        assert_eq!(pace.wait_ms(61_500, Weight::Funding), 0, "has a limit of its own");
    }

    #[test]
    fn a_share_is_never_passed_by_what_is_sent_when_it_may() {
        let (mut pace, mut now) = (Pace::new(47), 7_i64);
        let (mut minute, mut used) = (0, 0);
        for step in 0..1_000_i64 {
            let weight = 1 + (step % 20) as u32;
            now += pace.wait_ms(now, Weight::Minute(weight)) + step % 900;
            now += pace.wait_ms(now, Weight::Minute(weight));
            if now / 60_000 != minute {
                (minute, used) = (now / 60_000, 0);
            }
            used += weight;
            assert!(used <= 47, "{used} in minute {minute}");
            pace.sent(now, Weight::Minute(weight));
        }
    }

    #[test]
    fn endpoints_with_a_limit_of_their_own_are_asked_half_as_often_as_allowed() {
        let mut pace = Pace::new(100);
        for at in 0..500 {
            assert_eq!(pace.wait_ms(at, Weight::Statistics), 0, "{at}");
            pace.sent(at, Weight::Statistics);
        }
        assert_eq!(pace.wait_ms(500, Weight::Statistics), 299_500, "five minutes from the first");
        assert_eq!(pace.wait_ms(300_000, Weight::Statistics), 0);
    }
}
