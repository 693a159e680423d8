//! A connection that is renewed without a gap: before the venue cuts it, or when it is mute, a
//! second one is opened, both deliver, and the first one goes when the second has proved itself.
//!
//! ```text
//!          old, about to be shut down,          second one is up, has delivered every
//!          mute, or a stream of it silent       stream that the first one delivered
//!   Solo ─────────────────────────────► Overlap ─────────────────────────────► Solo
//!     ▲                                    │ first one lost: second one at once
//!     │                                    │ both lost: down
//!     └──────── second one not ready in a minute: stays, tries again later ◄───┘
//! ```
//! Nothing of this is told on: the line is up from the first "up" to the loss of both. In the same
//! way a line comes to other streams than it had.

use super::ages::{Ages, StreamEdge, StreamName};
use super::backoff::Backoff;
use super::overlap::Overlap;
use super::ports::StreamPort;
use super::stream::Polled;
use crate::base::InstrumentId;
use crate::base::event::carries;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::{Duration, Instant};

/// Least time for which both deliver.
const OVERLAP_MIN: Duration = Duration::from_secs(2);
/// Longest time given to a second connection.
const OVERLAP_MAX: Duration = Duration::from_secs(60);
/// Wait after a renewal that failed.
const RETRY: Duration = Duration::from_secs(300);
/// The same where the second one would bring other streams.
const RETRY_SOON: Duration = Duration::from_secs(5);
/// Time after a change of connections in which what comes may have come before.
const SETTLE: Duration = Duration::from_secs(10);
/// Part of the age by which a renewal may come earlier, so that lines do not renew together.
const JITTER_PARTS: u32 = 20;

/// What a line carries and when it is renewed.
#[derive(Clone, Debug)]
pub struct LinePlan {
    /// The streams of a market connection; none for the account's own.
    pub names: Vec<StreamName>,
    /// Age at which a connection is renewed.
    pub age_max: Duration,
    /// Of the jitter.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug)]
struct Second {
    /// When it was opened.
    opened: Instant,
    /// Since when it is up.
    up: Option<Instant>,
}

/// See the head of this file. Sans-IO but for its two ends.
pub struct Line<S> {
    ends: [S; 2],
    front: usize,
    ages: Ages,
    overlap: Overlap,
    second: Option<Second>,
    /// Until when repetitions are looked for though one connection is open.
    settling: Option<Instant>,
    age_max: Duration,
    random: ChaCha8Rng,
    is_up: bool,
    /// The loss of an account's connection was told; that its successor is up is still to be.
    up_untold: bool,
    /// The end of an account's line of which it was told that it does not answer.
    suspect: Option<usize>,
    /// When the front is due for renewal, while it is up.
    renew_at: Option<Instant>,
    /// Waits between renewals for silence.
    patience: Backoff,
    quiet_until: Option<Instant>,
    /// Where the next connection leads, while the present one leads elsewhere.
    next_url: Option<String>,
    renewals: u64,
}

impl<S: StreamPort> Line<S> {
    /// Over two ends that lead to the same.
    pub fn new(mut ends: [S; 2], plan: &LinePlan) -> Self {
        ends[1].set_open(false);
        Self {
            ends,
            front: 0,
            ages: Ages::new(&plan.names),
            overlap: Overlap::default(),
            second: None,
            settling: None,
            age_max: plan.age_max,
            random: ChaCha8Rng::seed_from_u64(plan.seed),
            is_up: false,
            up_untold: false,
            suspect: None,
            renew_at: None,
            patience: Backoff::new(plan.seed),
            quiet_until: None,
            next_url: None,
            renewals: 0,
        }
    }

    /// Times a second connection took over.
    pub const fn renewals(&self) -> u64 {
        self.renewals
    }

    /// True while two connections are open.
    pub const fn is_renewing(&self) -> bool {
        self.second.is_some()
    }

    fn came_up(&mut self, now: Instant, since: Instant) {
        self.is_up = true;
        self.ages.start(now);
        let most = u64::try_from(self.age_max.as_nanos()).unwrap_or(u64::MAX);
        let early = self.random.random_range(0..=most / u64::from(JITTER_PARTS));
        self.renew_at = Some(since + Duration::from_nanos(most - early));
    }

    fn went_down(&mut self) {
        if let Some(url) = self.next_url.take() {
            self.ends[self.front].move_to(url);
        }
        self.is_up = false;
        self.renew_at = None;
        self.settling = None;
        self.suspect = None;
        self.overlap.forget();
        self.ages.stop();
    }

    fn solo(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        if self.settling.is_some_and(|until| now >= until) {
            self.settling = None;
            self.overlap.forget();
        }
        let (settles, is_account) = (self.settling.is_some(), self.ages.count() == 0);
        let (ages, overlap, mut leaves) = (&mut self.ages, &mut self.overlap, false);
        let mut polled = self.ends[self.front].poll(now, &mut |frame| {
            if is_shutdown(frame) {
                leaves = true;
                return;
            }
            match (settles, is_account) {
                (false, _) => on_frame(frame),
                (true, false) => overlap.front(ages, frame, on_frame),
                (true, true) => overlap.account(true, None, frame, now, on_frame),
            }
            ages.note(frame, now);
        });
        if polled.came_up {
            self.came_up(now, now);
        }
        if std::mem::take(&mut self.up_untold) && !polled.went_down {
            polled.came_up = true;
        }
        if polled.went_down {
            self.went_down();
        }
        if !self.is_up {
            return polled;
        }
        let is_quiet = self.quiet_until.is_some_and(|until| now < until);
        let is_mute = !is_quiet && self.ages.is_mute(now);
        if is_mute {
            self.wait_for_silence(now);
        }
        if leaves || is_mute || self.renew_at.is_some_and(|at| now >= at) {
            self.open_second(now);
        }
        polled
    }

    /// The next renewal for silence comes later: on a market that sleeps it would help nothing.
    fn wait_for_silence(&mut self, now: Instant) {
        self.quiet_until = Some(now + Duration::from_secs(10) + 10 * self.patience.next_wait());
    }

    /// An account's line says nothing while nothing happens; its front answers when asked, or not.
    fn suspicion(&mut self, now: Instant) -> Option<StreamEdge> {
        let edge = self.ends[self.front].silent(now);
        if self.suspect.is_some_and(|end| end != self.front) {
            self.suspect = None;
            let (instrument, carries) = (InstrumentId::NONE, carries::ACCOUNT);
            return Some(StreamEdge { instrument, carries, is_silent: false });
        }
        let edge = edge?;
        self.suspect = edge.is_silent.then_some(self.front);
        Some(edge)
    }

    fn open_second(&mut self, now: Instant) {
        if self.second.is_some() {
            return;
        }
        self.overlap.begin(self.ages.count());
        self.ends[1 - self.front].set_open(true);
        self.second = Some(Second { opened: now, up: None });
    }

    fn both(&mut self, mut second: Second, now: Instant, deliver: &mut dyn FnMut(&[u8])) -> Polled {
        let (front, back) = (self.front, 1 - self.front);
        let (ages, overlap) = (&mut self.ages, &mut self.overlap);
        let is_account = ages.count() == 0;
        let first = self.ends[front].poll(now, &mut |frame| {
            // What only the front still has does not keep it.
            if is_shutdown(frame) || ages.is_unwanted(frame) {
                return;
            }
            if is_account {
                overlap.account(true, second.up, frame, now, deliver);
            } else {
                overlap.front(ages, frame, deliver);
                ages.note(frame, now);
            }
        });
        let behind = self.ends[back].poll(now, &mut |frame| {
            if is_account {
                overlap.account(false, second.up, frame, now, deliver);
            } else {
                overlap.back(ages, frame, now, deliver);
            }
        });
        if behind.came_up {
            second.up = Some(now);
        }
        if behind.went_down {
            second.up = None;
            overlap.restart();
        }
        overlap.tick(now, deliver);
        self.second = Some(second);
        let mut polled = Polled { frames: first.frames + behind.frames, ..Polled::default() };
        let ready = second.up.filter(|_| !behind.went_down);
        match ready {
            Some(up) if first.went_down => {
                self.take_over(up, now, deliver);
                // Events of the account have no numbers that would show what fell between the two.
                (polled.went_down, self.up_untold) = (is_account, is_account);
            }
            None if first.went_down => {
                self.drop_second(now);
                self.went_down();
                polled.went_down = true;
            }
            Some(up)
                if now.saturating_duration_since(up) >= OVERLAP_MIN
                    && self.overlap.is_covered(up, now) =>
            {
                self.take_over(up, now, deliver);
            }
            _ if now.saturating_duration_since(second.opened) > OVERLAP_MAX => {
                self.drop_second(now);
                let wait = if self.next_url.is_some() { RETRY_SOON } else { RETRY };
                self.renew_at = Some(now + wait);
            }
            _ => {}
        }
        polled
    }

    /// The second connection is the one from here on.
    fn take_over(&mut self, up: Instant, now: Instant, deliver: &mut dyn FnMut(&[u8])) {
        self.overlap.release(now, Duration::ZERO, deliver);
        let old = self.front;
        self.front = 1 - old;
        (self.second, self.settling) = (None, Some(now + SETTLE));
        self.renewals += 1;
        self.ends[old].set_open(false);
        // It leaves its connection with this.
        let _ = self.ends[old].poll(now, &mut |_| {});
        if let Some(url) = self.next_url.take() {
            self.ends[old].move_to(url);
        }
        self.came_up(now, up);
    }

    fn drop_second(&mut self, now: Instant) {
        let back = &mut self.ends[1 - self.front];
        back.set_open(false);
        let _ = back.poll(now, &mut |_| {});
        // What the second delivered first, the first one still brings.
        (self.second, self.settling) = (None, Some(now + SETTLE));
    }
}

impl<S: StreamPort> StreamPort for Line<S> {
    fn poll(&mut self, now: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        match self.second {
            None => self.solo(now, on_frame),
            Some(second) => self.both(second, now, on_frame),
        }
    }

    fn silent(&mut self, now: Instant) -> Option<StreamEdge> {
        if self.ages.count() == 0 {
            return self.suspicion(now);
        }
        let edge = self.ages.edge(now)?;
        let is_quiet = self.quiet_until.is_some_and(|until| now < until);
        if edge.is_silent && self.second.is_none() && !is_quiet {
            self.wait_for_silence(now);
            self.open_second(now);
        }
        if !edge.is_silent {
            self.patience.reset();
        }
        Some(edge)
    }

    fn move_to(&mut self, url: String) {
        for end in &mut self.ends {
            end.move_to(url.clone());
        }
    }

    /// By a second connection that takes over, as for a renewal: what goes on is not interrupted.
    fn carry(&mut self, url: Option<String>, awake: &dyn Fn(InstrumentId) -> bool, now: Instant) {
        self.ages.wake(awake, now);
        if self.second.is_some() {
            self.drop_second(now);
        }
        self.next_url = None;
        let Some(url) = url else { return self.set_open(false) };
        self.ends[1 - self.front].move_to(url.clone());
        if self.is_up {
            self.next_url = Some(url);
            self.open_second(now);
        } else {
            self.ends[self.front].move_to(url);
            self.set_open(true);
        }
    }

    fn set_open(&mut self, open: bool) {
        self.ends[self.front].set_open(open);
        if !open {
            self.ends[1 - self.front].set_open(false);
        }
    }

    fn last_error(&self) -> Option<&str> {
        self.ends[self.front].last_error()
    }
}

/// The venue tells that it is going to close the connection. Such a frame is short and stands in no
/// stream's wrapper.
fn is_shutdown(frame: &[u8]) -> bool {
    const EVENT: &[u8] = b"\"serverShutdown\"";
    frame.len() < 256
        && !frame.starts_with(b"{\"stream\":")
        && frame.windows(EVENT.len()).any(|window| window == EVENT)
}

#[cfg(test)]
#[path = "line/tests.rs"]
mod tests;
