//! The thread that owns the entrance: sockets, timers, commands, REST answers and the order venue
//! go in here, each in its turn; with the fused layouts the stages behind it run here too.
//!
//! ```text
//!  one turn: streams → orders back from execution → reports due → REST → timer → commands → idle
//!                └ the account's own among them, where orders go to the venue
//! ```

use super::backtest::publish_feed_counters;
use super::clock::wall_now;
use super::heartbeat::Heartbeat;
use super::inlet::Inlet;
use super::private::PrivateLink;
use super::wait::idle;
use crate::base::counters::Counters;
use crate::base::event::{Command, Event, Kind};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::settings::Wait;
use crate::base::time::Nanos;
use crate::engine::{Halt, Probe};
use crate::venue::ports::StreamPort;
use crate::venue::rest::{RestAnswer, RestDesk, RestJob};
use crate::venue::stream::Stream;
use crossbeam::channel::Receiver;
use mio::{Events, Poll};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Least time between two snapshot requests: each costs weight 20 of 2 400 a minute.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(600);
/// Wait after a snapshot request failed.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(2);
/// Turns between two looks at the readiness queue while connections are up.
const READINESS_TURNS: u64 = 64;

/// Everything the feed thread owns.
pub struct FeedThread {
    /// The pipeline's entrance.
    pub inlet: Inlet,
    /// Market connections.
    pub streams: Vec<Stream>,
    /// The account's own stream, where orders go to the venue.
    pub private: Option<PrivateLink>,
    /// Where the venue tells its own account of the session, to be read at the end.
    pub statement: Option<&'static str>,
    /// Their readiness queue.
    pub poll: Poll,
    /// REST requests.
    pub rest: RestDesk,
    /// Symbols in table order, for requests.
    pub symbols: Vec<Symbol>,
    /// Operators' commands.
    pub commands: Receiver<Command>,
    /// Set from outside to end the session.
    pub stop: Arc<AtomicBool>,
    /// The session's counters.
    pub counters: Arc<Counters>,
    /// Signs of life.
    pub heartbeat: Arc<Heartbeat>,
    /// What to do without work.
    pub wait: Wait,
    /// Milliseconds between timers.
    pub timer_ms: u32,
    /// Seconds between open-interest requests, 0 for never.
    pub open_interest_every_s: u32,
    /// Levels of a snapshot.
    pub snapshot_levels: u32,
    /// Times at which things are next due.
    pub due: Due,
}

/// When the periodic things are next done.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    timer: Instant,
    snapshot: Instant,
    open_interest: Instant,
    /// Open-interest requests without an answer yet.
    open_interest_waits: usize,
    turn: u64,
}

impl Due {
    /// Everything is due now.
    pub fn now() -> Self {
        let now = Instant::now();
        Self { timer: now, snapshot: now, open_interest: now, open_interest_waits: 0, turn: 0 }
    }
}

impl FeedThread {
    /// Runs until stopped or halted; the session's last record is written on the way out.
    pub fn run(mut self, opening: &[Event]) -> (Self, Option<Halt>) {
        let mut events = Events::with_capacity(64);
        let mut result = self.open(opening);
        while result.is_ok() && !self.stop.load(Ordering::Relaxed) {
            self.heartbeat.beat();
            result = self.turn(&mut events);
        }
        if result.is_ok() {
            result = self.wind_down(&mut events);
        }
        if result.is_ok() {
            result = self.close();
        }
        let halt = result.err();
        self.heartbeat.end(halt.as_ref());
        (self, halt)
    }

    fn open(&mut self, opening: &[Event]) -> Result<(), Halt> {
        for event in opening {
            let now = wall_now();
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(*event, now, with))?;
        }
        Ok(())
    }

    /// Leaves no order at the venue, and hears the last of those that were there.
    fn wind_down(&mut self, events: &mut Events) -> Result<(), Halt> {
        if let Some(private) = &mut self.private {
            private.close(&mut self.inlet, &self.symbols, self.statement)?;
        }
        while let Some(private) = &mut self.private
            && !private.is_closed(Instant::now(), &mut self.inlet, &self.rest)
        {
            self.heartbeat.beat();
            self.turn(events)?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Halt> {
        let _ = self.inlet.settle(Some(wall_now()))?;
        let end = Event {
            kind: Kind::SessionEnd as u8,
            instrument: InstrumentId::NONE.0,
            ..Event::EMPTY
        };
        let now = wall_now();
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(end, now, with))
    }

    fn turn(&mut self, events: &mut Events) -> Result<(), Halt> {
        let now = Instant::now();
        let mut worked = self.read_streams(now)?;
        let wall = wall_now();
        worked += self.inlet.settle(Some(wall))?;
        worked += self.inlet.turn_desk(now, self.poll.registry());
        if self.inlet.venue.next_due().is_some_and(|due| due <= wall) {
            worked += self.inlet.take_reports(wall)?;
        }
        worked += self.take_rest_answers(now)?;
        self.ask_rest(now);
        if now >= self.due.timer {
            self.due.timer = now + Duration::from_millis(u64::from(self.timer_ms));
            let interval = u64::from(self.timer_ms);
            publish_feed_counters(&self.counters, self.inlet.feed.feed_mut().stats());
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_timer(interval, wall, with))?;
        }
        while let Ok(command) = self.commands.try_recv() {
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_command(&command, wall, with))?;
        }
        self.due.turn += 1;
        if worked == 0 {
            self.rest_a_while(events);
        }
        Ok(())
    }

    /// Idles as the topology says. A readiness queue that is never emptied grows without end, so it
    /// is looked at now and then even while spinning.
    fn rest_a_while(&mut self, events: &mut Events) {
        self.inlet.probe.publish();
        if self.wait == Wait::Park {
            let _ = self.poll.poll(events, Some(Duration::from_millis(1)));
            return;
        }
        if self.due.turn.is_multiple_of(READINESS_TURNS) {
            let _ = self.poll.poll(events, Some(Duration::ZERO));
        }
        idle(self.wait);
    }

    fn read_streams(&mut self, now: Instant) -> Result<usize, Halt> {
        let mut frames = 0;
        if let Some(private) = &mut self.private {
            frames += private.turn(now, &mut self.inlet, &self.rest)?;
        }
        for (i, stream) in self.streams.iter_mut().enumerate() {
            let connection = i as u64 + 1;
            let mut halt = None;
            let inlet = &mut self.inlet;
            let polled = stream.poll(now, &mut |frame| {
                if halt.is_some() {
                    return;
                }
                let origin = inlet.probe.stamp();
                let ts = wall_now();
                let call =
                    inlet.call(&mut |_| {}, |feed, with| feed.on_frame(frame, ts, origin, with));
                halt = call.err();
            });
            if let Some(halt) = halt {
                return Err(halt);
            }
            frames += polled.frames;
            if polled.came_up || polled.went_down {
                let (up, ts) = (!polled.went_down, wall_now());
                if let (false, Some(error)) = (up, stream.last_error()) {
                    tracing::warn!(connection, error, "stream lost");
                }
                self.inlet
                    .call(&mut |_| {}, |feed, with| feed.on_stream(connection, up, ts, with))?;
            }
        }
        Ok(frames)
    }

    fn ask_rest(&mut self, now: Instant) {
        if now >= self.due.snapshot
            && let Some(instrument) = self.inlet.feed.feed_mut().snapshot_wanted()
        {
            self.due.snapshot = now + SNAPSHOT_EVERY;
            let symbol = self.symbols[instrument.index()];
            let levels = self.snapshot_levels;
            if !self.rest.ask(RestJob::Snapshot { instrument, symbol, levels }) {
                self.inlet.feed.feed_mut().snapshot_failed(instrument);
            }
        }
        if self.open_interest_every_s > 0 && now >= self.due.open_interest {
            let every = u64::from(self.open_interest_every_s);
            self.due.open_interest = now + Duration::from_secs(every);
            // One round at a time: a slow venue must not pile up requests before the snapshots.
            let wanted = if self.due.open_interest_waits == 0 { self.symbols.len() } else { 0 };
            for (i, &symbol) in self.symbols.iter().enumerate().take(wanted) {
                let instrument = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
                let asked = self.rest.ask(RestJob::OpenInterest { instrument, symbol });
                self.due.open_interest_waits += usize::from(asked);
            }
        }
    }

    fn take_rest_answers(&mut self, now: Instant) -> Result<usize, Halt> {
        let mut taken = 0;
        while let Some(RestAnswer { job, body }) = self.rest.answer() {
            taken += 1;
            let ts: Nanos = wall_now();
            if matches!(job, RestJob::OpenInterest { .. }) {
                self.due.open_interest_waits = self.due.open_interest_waits.saturating_sub(1);
            }
            match (job, body) {
                (RestJob::Snapshot { instrument, .. }, Ok(body)) => {
                    self.inlet.call(&mut |_| {}, |feed, with| {
                        feed.on_snapshot(instrument, &body, ts, with)
                    })?;
                }
                (RestJob::Snapshot { instrument, .. }, Err(error)) => {
                    tracing::warn!(error, "no snapshot");
                    self.due.snapshot = now + SNAPSHOT_RETRY;
                    self.inlet.feed.feed_mut().snapshot_failed(instrument);
                }
                (RestJob::OpenInterest { .. }, Ok(body)) => {
                    self.inlet
                        .call(&mut |_| {}, |feed, with| feed.on_open_interest(&body, ts, with))?;
                }
                (RestJob::OpenInterest { .. }, Err(error)) => {
                    tracing::warn!(error, "no open interest");
                }
                (job, body) => {
                    if let Some(private) = &mut self.private {
                        private.on_answer(RestAnswer { job, body }, now);
                    }
                }
            }
        }
        Ok(taken)
    }
}
