//! The venue's own timer: it cancels our open orders by itself unless it is told, again and again,
//! to wait. It is told so only while every pinned thread turns.
//!
//! ```text
//!  every third of the time ─► has every heart beaten since the last renewal?
//!       yes ─► POST …/countdownCancelAll for each symbol
//!       no  ─► nothing: the time runs out at the venue, which cancels what is open
//! ```
//! It runs beside the pinned threads, on none of them. The venue's timer is for ordinary orders:
//! protective stops stay. [`DeadMan`] reads no clock.

use super::assemble::Parts;
use super::clock::wall_now;
use super::heartbeat::Heartbeat;
use crate::base::Nanos;
use crate::base::ids::Symbol;
use crate::venue::account::{AccountClient, Credentials};
use crate::venue::budget::{Budget, Metered};
use crate::venue::ports::RestPort;
use crate::venue::rest::{RestAnswer, RestDesk, RestJob};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Renewals within the time that the venue waits.
const RENEWALS: u32 = 3;
/// Longest wait at the end of a session for the venue to stop its timer.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Time between two looks for its answer.
const STOP_TURN: Duration = Duration::from_millis(10);

/// What a turn found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// Nothing was due.
    Quiet,
    /// The venue is asked to wait longer.
    Renewed,
    /// The thread at this place has not turned since the last renewal: nothing is asked. Told once
    /// until all turn again.
    Stalled(usize),
}

/// See the head of this file.
#[derive(Debug)]
pub struct DeadMan {
    after_ms: u32,
    symbols: Vec<Symbol>,
    /// Turns of each thread at the last renewal.
    turns: Vec<u64>,
    due: Instant,
    /// Requests without an answer yet.
    waits: usize,
    stalled: bool,
    /// Requests that failed, since start.
    failures: u64,
}

impl DeadMan {
    /// For these symbols and as many pinned threads; `None` where the time is 0. The first renewal
    /// is due at `now`.
    pub fn new(after_ms: u32, symbols: &[Symbol], threads: usize, now: Instant) -> Option<Self> {
        (after_ms > 0 && !symbols.is_empty()).then(|| Self {
            after_ms,
            symbols: symbols.to_vec(),
            turns: vec![0; threads],
            due: now,
            waits: 0,
            stalled: false,
            failures: 0,
        })
    }

    /// One look: `turns` are the turns of each thread so far. Never waits.
    pub fn turn(
        &mut self,
        now: Instant,
        turns: impl Iterator<Item = u64>,
        rest: &mut impl RestPort,
    ) -> Pulse {
        self.take_answers(rest);
        // A request that hangs is not followed by more of its kind.
        if now < self.due || self.waits > 0 {
            return Pulse::Quiet;
        }
        let turns: Vec<u64> = turns.collect();
        let stands = turns.iter().zip(&self.turns).position(|(now, before)| now == before);
        if let Some(thread) = stands {
            let told = std::mem::replace(&mut self.stalled, true);
            return if told { Pulse::Quiet } else { Pulse::Stalled(thread) };
        }
        self.stalled = false;
        self.turns = turns;
        self.due = now + Duration::from_millis(u64::from(self.after_ms)) / RENEWALS;
        self.ask(self.after_ms, rest);
        Pulse::Renewed
    }

    /// Stops the venue's timer: the end of a session in order, after its orders were cancelled. The
    /// answers are still to come, see [`DeadMan::is_answered`].
    pub fn stop(&mut self, rest: &mut impl RestPort) {
        self.ask(0, rest);
    }

    /// True when every request has been answered.
    pub fn is_answered(&mut self, rest: &mut impl RestPort) -> bool {
        self.take_answers(rest);
        self.waits == 0
    }

    /// Requests that failed, since start.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    fn ask(&mut self, after_ms: u32, rest: &mut impl RestPort) {
        for &symbol in &self.symbols {
            self.waits += usize::from(rest.ask(RestJob::Countdown { symbol, after_ms }));
        }
    }

    fn take_answers(&mut self, rest: &mut impl RestPort) {
        while let Some(RestAnswer { reply, .. }) = rest.answer() {
            self.waits = self.waits.saturating_sub(1);
            if let Err(failure) = reply {
                self.failures += 1;
                tracing::warn!(%failure, "the venue's timer was not renewed");
            }
        }
    }
}

/// The switch over a real session: its threads' heartbeats and a REST thread of its own.
pub struct DeadManSwitch<R> {
    core: DeadMan,
    rest: R,
    heartbeats: Vec<(&'static str, Arc<Heartbeat>)>,
}

impl<R: RestPort> DeadManSwitch<R> {
    /// Watches `heartbeats`; the first one is the feed's, which tells the river of a stall.
    pub const fn new(
        core: DeadMan,
        rest: R,
        heartbeats: Vec<(&'static str, Arc<Heartbeat>)>,
    ) -> Self {
        Self { core, rest, heartbeats }
    }

    /// One look, a few times a second.
    pub fn turn(&mut self, now: Instant) {
        let turns = self.heartbeats.iter().map(|(_, heartbeat)| heartbeat.turns());
        if let Pulse::Stalled(thread) = self.core.turn(now, turns, &mut self.rest) {
            let name = self.heartbeats[thread].0;
            tracing::error!(thread = name, "a thread does not turn: the venue is not told to wait");
            if let Some((_, feed)) = self.heartbeats.first() {
                feed.tell_stall(thread);
            }
        }
    }
}

impl DeadManSwitch<Metered<RestDesk>> {
    /// The switch of a session; `None` without an account at the venue, and where the configuration
    /// wants none.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn start(
        parts: &Parts,
        (credentials, budget): (Option<&Credentials>, &Arc<Budget>),
        heartbeats: &[(&'static str, Option<usize>, Arc<Heartbeat>)],
    ) -> std::io::Result<Option<Self>> {
        let venue = &parts.settings.venue;
        let symbols = parts.symbols();
        let (threads, now) = (heartbeats.len(), Instant::now());
        let core = DeadMan::new(venue.dead_man_ms, &symbols, threads, now);
        let (Some(core), Some(credentials)) = (core, credentials) else { return Ok(None) };
        let account = AccountClient::new(&venue.rest_url, credentials.clone(), wall_now);
        let rest = RestDesk::start(venue.dialect, &venue.rest_url, Some(account))?;
        let rest = Metered::new(rest, Arc::clone(budget));
        let hearts = heartbeats.iter().map(|(name, _, heart)| (*name, Arc::clone(heart)));
        Ok(Some(Self::new(core, rest, hearts.collect())))
    }

    /// One look at this time of the wall clock, which the budget counts by.
    pub fn turn_at(&mut self, wall: Nanos) {
        self.rest.on_time(wall);
        self.turn(Instant::now());
    }

    /// The end of the session. In order: the venue is asked to stop its timer. Else the timer does
    /// what it is there for.
    pub fn finish(mut self, in_order: bool) {
        self.rest.on_time(wall_now());
        if in_order {
            self.core.stop(&mut self.rest);
            let deadline = Instant::now() + STOP_MAX;
            while !self.core.is_answered(&mut self.rest) && Instant::now() < deadline {
                std::thread::sleep(STOP_TURN);
            }
        }
        self.rest.into_inner().stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::job::RestFailure;
    use crate::venue::ports::AnswerLimits;
    use crate::venue::rest::RestReply;

    /// Takes every job and answers when told to.
    #[derive(Default)]
    struct Line {
        asked: Vec<(String, u32)>,
        unanswered: Vec<RestJob>,
        silent: bool,
        fails: bool,
    }

    impl RestPort for Line {
        fn ask(&mut self, job: RestJob) -> bool {
            let RestJob::Countdown { symbol, after_ms } = job else { panic!("{job:?}") };
            self.asked.push((symbol.to_string(), after_ms));
            self.unanswered.push(job);
            true
        }

        fn answer(&mut self) -> Option<RestAnswer> {
            let job = if self.silent { None } else { self.unanswered.pop() }?;
            let failure =
                RestFailure { status: None, code: None, message: "lost".to_owned(), sent: true };
            let reply = if self.fails { Err(failure) } else { Ok(RestReply::Done) };
            Some(RestAnswer { job, reply, limits: AnswerLimits::default() })
        }
    }

    fn symbols() -> [Symbol; 2] {
        [b"BTCUSDT", b"ETHUSDT"].map(|name| Symbol::new(name).unwrap())
    }

    fn ms(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn the_time_is_renewed_every_third_of_it_for_every_symbol_while_all_hearts_beat() {
        let (start, mut line) = (Instant::now(), Line::default());
        let mut core = DeadMan::new(9_000, &symbols(), 2, start).unwrap();
        assert_eq!(core.turn(start, [1, 1].into_iter(), &mut line), Pulse::Renewed);
        assert_eq!(core.turn(ms(start, 2_999), [5, 5].into_iter(), &mut line), Pulse::Quiet);
        assert_eq!(core.turn(ms(start, 3_000), [5, 5].into_iter(), &mut line), Pulse::Renewed);
        let told = |name: &str| (name.to_owned(), 9_000);
        assert_eq!(line.asked[..2], [told("BTCUSDT"), told("ETHUSDT")]);
        assert_eq!(line.asked.len(), 4);
    }

    #[test]
    fn one_heart_that_stands_still_stops_the_renewals_until_it_beats_again() {
        let (start, mut line) = (Instant::now(), Line::default());
        let mut core = DeadMan::new(9_000, &symbols(), 3, start).unwrap();
        assert_eq!(core.turn(start, [1, 0, 1].into_iter(), &mut line), Pulse::Stalled(1));
        assert_eq!(core.turn(start, [2, 0, 2].into_iter(), &mut line), Pulse::Quiet);
        assert!(line.asked.is_empty());
        assert_eq!(core.turn(ms(start, 1), [2, 1, 2].into_iter(), &mut line), Pulse::Renewed);
        let later = ms(start, 3_001);
        assert_eq!(core.turn(later, [3, 1, 3].into_iter(), &mut line), Pulse::Stalled(1));
        assert_eq!(line.asked.len(), 2);
    }

    #[test]
    fn a_request_that_hangs_is_not_followed_by_more_and_a_failed_one_counts() {
        let (start, mut line) = (Instant::now(), Line { silent: true, ..Line::default() });
        let mut core = DeadMan::new(3_000, &symbols(), 1, start).unwrap();
        assert_eq!(core.turn(start, [1].into_iter(), &mut line), Pulse::Renewed);
        assert_eq!(core.turn(ms(start, 5_000), [2].into_iter(), &mut line), Pulse::Quiet);
        assert!(!core.is_answered(&mut line));
        (line.silent, line.fails) = (false, true);
        assert_eq!(core.turn(ms(start, 5_001), [3].into_iter(), &mut line), Pulse::Renewed);
        assert_eq!((core.failures(), line.asked.len()), (2, 4));
    }

    #[test]
    fn the_end_stops_the_timer_and_without_a_time_there_is_no_switch() {
        let (start, mut line) = (Instant::now(), Line::default());
        assert!(DeadMan::new(0, &symbols(), 1, start).is_none());
        let mut core = DeadMan::new(3_000, &symbols(), 1, start).unwrap();
        core.stop(&mut line);
        assert_eq!(line.asked, [("BTCUSDT".to_owned(), 0), ("ETHUSDT".to_owned(), 0)]);
        assert!(core.is_answered(&mut line));
    }

    #[test]
    fn a_stalled_thread_is_told_to_the_feed_which_tells_the_river() {
        let hearts = [("feed", Arc::new(Heartbeat::default())), ("risk", Arc::default())];
        let core = DeadMan::new(3_000, &symbols(), 2, Instant::now()).unwrap();
        let mut switch = DeadManSwitch::new(core, Line::default(), hearts.to_vec());
        hearts[0].1.beat();
        switch.turn(Instant::now());
        assert_eq!(hearts[0].1.take_stall(), Some(1));
        assert_eq!(hearts[0].1.take_stall(), None);
    }
}
