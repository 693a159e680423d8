//! The thread that owns the entrance: sockets, timers, commands, REST answers and the order venue
//! go in here, each in its turn; with the fused layouts the stages behind it run here too.
//!
//! ```text
//!  one turn: streams → orders back from execution → reports due → REST → timer → commands → idle
//!                └ the account's own among them, where orders go to the venue
//! ```

use super::backtest::publish_feed_counters;
use super::heartbeat::Heartbeat;
use super::inlet::Inlet;
use super::kill::watch::KillWatch;
use super::private::PrivateLink;
use super::standby::fenced::FenceWatch;
use super::swap::SwapOrder;
use super::symbols::Roster;
use crate::base::counters::Counters;
use crate::base::event::{Command, Event, Kind, Measured, Reconciled, VenueStatus, flags};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::{Measure, Nanos, Reason};
use crate::engine::{Halt, Probe};
use crate::journal::JournalHealth;
use crate::risk::{TradingWord, Verb};
use crate::venue::budget::Metered;
use crate::venue::job::{TRADES_WEIGHT, snapshot_weight};
use crate::venue::pace::Pace;
use crate::venue::ports::{ClockPort, Now, Outside, RestPort, StreamPort};
use crate::venue::rest::{RestAnswer, RestJob, RestReply};
use crate::venue::rounds::Rounds;
use crossbeam::channel::Receiver;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest time between two turns of a thread that never waits longer than some milliseconds.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// Everything the feed thread owns.
pub struct FeedThread<O: Outside> {
    /// The pipeline's entrance.
    pub inlet: Inlet<O::Entry>,
    /// Market connections.
    pub streams: Vec<O::Stream>,
    /// The account's own stream, where orders go to the venue.
    pub private: Option<PrivateLink<O::Stream>>,
    /// Where the venue tells its own account of the session, to be read at the end.
    pub statement: Option<&'static str>,
    /// The clocks.
    pub clock: O::Clock,
    /// REST requests.
    pub rest: Metered<O::Rest>,
    /// Symbols in table order, for requests.
    pub symbols: Vec<Symbol>,
    /// Operators' commands.
    pub commands: Receiver<Command>,
    /// Changes of the models that decide.
    pub swaps: Receiver<SwapOrder>,
    /// Which instruments are traded.
    pub roster: Roster,
    /// Set from outside to end the session.
    pub stop: Arc<AtomicBool>,
    /// The session's counters.
    pub counters: Arc<Counters>,
    /// Signs of life.
    pub heartbeat: Arc<Heartbeat>,
    /// The journal's condition.
    pub health: Arc<JournalHealth>,
    /// Milliseconds between timers.
    pub timer_ms: u32,
    /// Seconds between open-interest requests, 0 for never.
    pub open_interest_every_s: u32,
    /// Levels of a snapshot.
    pub snapshot_levels: u32,
    /// How often market data is asked for.
    pub pace: Pace,
    /// Times at which things are next due.
    pub due: Due,
    /// What a kill does at the venue.
    pub kill: KillWatch<Metered<O::Rest>>,
    /// Until when it may send, where another node may lead.
    pub fence: FenceWatch,
}

/// When the periodic things are next done.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    timer: Instant,
    open_interest: Rounds,
    /// When the last turn began; `None` before the first.
    turned: Option<Now>,
    /// The river was told that the journal's disk is nearly full.
    low_space: bool,
}

impl Due {
    /// Everything is due at `now`.
    pub const fn at(now: Instant) -> Self {
        let open_interest = Rounds::at(now);
        Self { timer: now, open_interest, turned: None, low_space: false }
    }
}

impl Due {
    /// True where so much time lies between two turns, by either clock, that the process must have
    /// been stopped, its machine paused, or the wall clock set.
    fn has_slept(&mut self, now: Now) -> bool {
        let Some(last) = self.turned.replace(now) else { return false };
        let steady = now.mono.saturating_duration_since(last.mono);
        let told = Duration::from_nanos(now.wall.0.saturating_sub(last.wall.0).unsigned_abs());
        steady.max(told) > SLEEP_MAX
    }
}

impl<O: Outside> FeedThread<O> {
    /// Runs until stopped or halted; the session's last record is written on the way out.
    pub fn run(mut self, opening: &[Event]) -> (Self, Option<Halt>) {
        let mut result = self.open(opening);
        while result.is_ok() && !self.stop.load(Ordering::Relaxed) {
            result = self.turn().map(|_| ());
        }
        // What is open is the next leader's.
        if result.is_ok() && !self.fence.is_closed() {
            result = self.wind_down();
        }
        if result.is_ok() {
            result = self.close();
        }
        let halt = result.err();
        self.heartbeat.end(halt.as_ref());
        (self, halt)
    }

    /// Feeds the records that open the session.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn open(&mut self, opening: &[Event]) -> Result<(), Halt> {
        for event in opening {
            let now = self.clock.now().wall;
            if event.kind() == Some(Kind::SymbolChange) {
                self.change_symbol(*event, now)?;
                continue;
            }
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(*event, now, with))?;
        }
        let now = self.clock.now();
        self.carry_symbols(now)
    }

    /// Leaves no order at the venue, and hears the last of those that were there.
    fn wind_down(&mut self) -> Result<(), Halt> {
        self.begin_end()?;
        while !self.fence.is_closed() && !self.has_ended()? {
            self.turn()?;
        }
        Ok(())
    }

    /// Begins the end of the session: from here on nothing but cancels leaves.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn begin_end(&mut self) -> Result<(), Halt> {
        let now = self.clock.now();
        match &mut self.private {
            Some(private) => private.close(now, &mut self.inlet, &self.symbols, self.statement),
            None => Ok(()),
        }
    }

    /// True when nothing is left to wait for, or the time is up; turn until then.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn has_ended(&mut self) -> Result<bool, Halt> {
        let now = self.clock.now();
        let Some(private) = &mut self.private else { return Ok(true) };
        if !private.is_closed(now, &mut self.inlet, &mut self.rest)? {
            return Ok(false);
        }
        // What was earned and paid is compared once more, when nothing can be added to it.
        self.inlet.watch.finish(now.wall);
        Ok(self.inlet.watch.has_ended(now.wall))
    }

    /// The session's last record.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn close(&mut self) -> Result<(), Halt> {
        let now = self.clock.now();
        let _ = self.inlet.settle(Some(now))?;
        let end = Event {
            kind: Kind::SessionEnd as u8,
            instrument: InstrumentId::NONE.0,
            ..Event::EMPTY
        };
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(end, now.wall, with))
    }

    /// One turn; how much there was to do. A turn without work idles as the clock does.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn turn(&mut self) -> Result<usize, Halt> {
        self.heartbeat.beat();
        let (waiting, holds) = self.inlet.ring();
        self.heartbeat.note_ring(waiting, holds);
        let began = self.clock.now();
        self.rest.on_time(began.wall);
        if self.due.has_slept(began) {
            tracing::error!("this thread or the clock stood still: what happened is not known");
            self.tell_stall(0, began.wall)?;
            self.know_paper(began.wall)?;
        }
        self.fence.turn(began, &mut self.inlet)?;
        self.kill_on(began)?;
        let mut worked = self.read_streams(began)?;
        let Now { mono: now, wall } = self.clock.now();
        worked += self.inlet.settle(Some(Now { mono: now, wall }))?;
        worked += self.inlet.turn_desk(Now { mono: now, wall });
        if self.inlet.venue.next_due().is_some_and(|due| due <= wall) {
            worked += self.inlet.take_reports(wall)?;
        }
        worked += self.take_rest_answers(now)?;
        self.turn_watch(wall)?;
        self.ask_rest(now);
        if now >= self.due.timer {
            self.due.timer = now + Duration::from_millis(u64::from(self.timer_ms));
            let interval = u64::from(self.timer_ms);
            publish_feed_counters(&self.counters, self.inlet.feed.feed_mut().stats());
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_timer(interval, wall, with))?;
            self.tell_space(wall)?;
            self.tell_measures(wall)?;
        }
        if let Some(place) = self.heartbeat.take_stall() {
            self.tell_stall(place, wall)?;
        }
        while let Ok(command) = self.commands.try_recv() {
            self.obey(&command, wall)?;
        }
        while let Ok(order) = self.swaps.try_recv() {
            self.swap(&order, wall)?;
        }
        self.turn_symbols(Now { mono: now, wall })?;
        if worked == 0 {
            self.inlet.probe.publish();
            self.clock.idle();
        }
        Ok(worked)
    }

    /// Goes on with a kill, where trading is killed, and ends the session when it is done.
    fn kill_on(&mut self, now: Now) -> Result<(), Halt> {
        let word = TradingWord::unpack(self.counters.trading());
        if let Some(line) = self.kill.line_mut() {
            line.on_time(now.wall);
        }
        self.kill.turn(now, word, &mut self.inlet)?;
        if self.kill.is_done() {
            self.stop.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Asks what the watch of the venue wants to know, and lets what it saw flow.
    fn turn_watch(&mut self, wall: Nanos) -> Result<(), Halt> {
        let calm = self.inlet.venue.reconciler_mut().is_none_or(|reconciler| !reconciler.is_busy());
        if let Some(ask) = self.inlet.watch.question(wall, calm)
            && !self.rest.ask(RestJob::Watch(ask))
        {
            self.inlet.watch.put_back(wall);
        }
        while let Some(event) = self.inlet.watch.event() {
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, wall, with))?;
        }
        Ok(())
    }

    /// Passes a command on.
    fn obey(&mut self, command: &Command, wall: Nanos) -> Result<(), Halt> {
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_command(command, wall, with))?;
        if command.verb == Verb::Clear as u32 { self.know_paper(wall) } else { Ok(()) }
    }

    /// Lets a change of models flow, behind who asked for it.
    fn swap(&mut self, order: &SwapOrder, wall: Nanos) -> Result<(), Halt> {
        if let Some(command) = &order.command {
            self.obey(command, wall)?;
        }
        let event = Event::new(Kind::ModelSwap, InstrumentId::NONE, &order.swap);
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, wall, with))
    }

    /// The paper venue's books are ours: where trading has to be reconciled there is nobody to ask.
    fn know_paper(&mut self, wall: Nanos) -> Result<(), Halt> {
        if self.private.is_some() {
            return Ok(());
        }
        let known = Event::new(Kind::Reconciled, InstrumentId::NONE, &Reconciled::default());
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(known, wall, with))
    }

    /// A thread does not turn, so the venue is not told to wait: it may cancel our orders.
    fn tell_stall(&mut self, place: usize, wall: Nanos) -> Result<(), Halt> {
        let reason = Reason::ThreadStalled as u16;
        let told = i64::try_from(place).unwrap_or(i64::MAX);
        let body = VenueStatus { reason, told, ..VenueStatus::default() };
        let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, wall, with))
    }

    /// Tells when the journal's disk is nearly full, and when it is not any more: without a journal
    /// there is no trading, so what is held is left while it can still be written down.
    fn tell_space(&mut self, wall: Nanos) -> Result<(), Halt> {
        let low = self.health.low_space();
        if std::mem::replace(&mut self.due.low_space, low) == low {
            return Ok(());
        }
        let free = self.health.disk_free_bytes();
        tracing::error!(low, free, "free space on the journal's disk, bytes");
        let reason = Reason::JournalFault as u16;
        let told = i64::try_from(free).unwrap_or(i64::MAX);
        let body = VenueStatus { reason, told, ..VenueStatus::default() };
        let event = Event::new(Kind::VenueStatus, InstrumentId::NONE, &body);
        let event = event.with_flags(if low { 0 } else { flags::ON });
        self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, wall, with))
    }

    /// What was measured beside the pinned threads, and how full the way on was.
    fn tell_measures(&mut self, wall: Nanos) -> Result<(), Halt> {
        if let Some(percent) = self.inlet.feed.take_depth(wall) {
            self.heartbeat.tell(Measure::RingDepth, percent);
        }
        for measure in Measure::ALL {
            let Some(value) = self.heartbeat.take_measure(measure) else { continue };
            let body = Measured { measure: measure as u16, value, ..Measured::default() };
            let event = Event::new(Kind::Measured, InstrumentId::NONE, &body);
            self.inlet.call(&mut |_| {}, |feed, with| feed.on_event(event, wall, with))?;
        }
        Ok(())
    }

    fn read_streams(&mut self, now: Now) -> Result<usize, Halt> {
        let mut frames = 0;
        if let Some(private) = &mut self.private {
            frames += private.turn(now, &mut self.clock, &mut self.inlet, &mut self.rest)?;
        }
        for (i, stream) in self.streams.iter_mut().enumerate() {
            let connection = i as u64 + 1;
            let mut halt = None;
            let (inlet, clock) = (&mut self.inlet, &mut self.clock);
            let polled = stream.poll(now.mono, &mut |frame| {
                if halt.is_some() {
                    return;
                }
                let origin = inlet.probe.stamp();
                let ts = clock.now().wall;
                let call =
                    inlet.call(&mut |_| {}, |feed, with| feed.on_frame(frame, ts, origin, with));
                halt = call.err();
            });
            if let Some(halt) = halt {
                return Err(halt);
            }
            frames += polled.frames;
            while let Some(edge) = stream.silent(now.mono) {
                let (instrument, is_silent) = (edge.instrument, edge.is_silent);
                tracing::warn!(connection, ?instrument, edge.carries, is_silent, "a stream");
                let (what, ts) = ((connection, edge.carries), self.clock.now().wall);
                self.inlet.call(&mut |_| {}, |feed, with| {
                    feed.on_stream_silent(what, instrument, is_silent, ts, with)
                })?;
            }
            if polled.came_up || polled.went_down {
                let (up, ts) = (!polled.went_down, self.clock.now().wall);
                if let (false, Some(error)) = (up, stream.last_error()) {
                    tracing::warn!(connection, error, "stream lost");
                }
                if !self.roster.awaits_edge(i, up) {
                    continue;
                }
                self.inlet
                    .call(&mut |_| {}, |feed, with| feed.on_stream(connection, up, ts, with))?;
            }
        }
        Ok(frames)
    }

    fn ask_rest(&mut self, now: Instant) {
        while let Some(instrument) = self.inlet.feed.feed_mut().snapshot_wanted() {
            self.pace.want(instrument, now);
        }
        while let Some(instrument) = self.pace.next(snapshot_weight(self.snapshot_levels), now) {
            let symbol = self.symbols[instrument.index()];
            let levels = self.snapshot_levels;
            if !self.rest.ask(RestJob::Snapshot { instrument, symbol, levels }) {
                self.pace.failed(instrument, now);
                self.inlet.feed.feed_mut().snapshot_failed(instrument);
            }
        }
        while self.inlet.feed.feed_mut().wants_trades()
            && self.pace.spend_on_trades(TRADES_WEIGHT, now)
            && let Some((instrument, from_id)) = self.inlet.feed.feed_mut().trades_wanted()
        {
            let symbol = self.symbols[instrument.index()];
            if !self.rest.ask(RestJob::Trades { instrument, symbol, from_id }) {
                self.inlet.feed.feed_mut().trades_failed(instrument);
            }
        }
        if self.open_interest_every_s > 0 {
            let every = Duration::from_secs(u64::from(self.open_interest_every_s));
            for place in self.due.open_interest.due(self.symbols.len(), every, now) {
                let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
                let symbol = self.symbols[place];
                if self.roster.is_asleep(instrument) {
                    continue;
                }
                if self.rest.ask(RestJob::OpenInterest { instrument, symbol }) {
                    self.due.open_interest.asked();
                }
            }
        }
    }

    fn take_rest_answers(&mut self, now: Instant) -> Result<usize, Halt> {
        let mut taken = 0;
        while let Some(RestAnswer { job, reply, limits }) = self.rest.answer() {
            taken += 1;
            let ts = self.clock.now().wall;
            if matches!(job, RestJob::OpenInterest { .. }) {
                self.due.open_interest.answered();
            }
            match (job, reply) {
                (RestJob::Snapshot { instrument, .. }, Ok(RestReply::Body(body))) => {
                    self.inlet.call(&mut |_| {}, |feed, with| {
                        feed.on_snapshot(instrument, &body, ts, with)
                    })?;
                }
                (RestJob::Snapshot { instrument, .. }, Err(error)) => {
                    tracing::warn!(%error, "no snapshot");
                    self.pace.failed(instrument, now);
                    self.inlet.feed.feed_mut().snapshot_failed(instrument);
                }
                (RestJob::Trades { instrument, .. }, Ok(RestReply::Body(body))) => {
                    self.inlet.call(&mut |_| {}, |feed, with| {
                        feed.on_agg_trades(instrument, &body, ts, with)
                    })?;
                }
                (RestJob::Trades { instrument, .. }, Err(error)) => {
                    tracing::warn!(%error, "no missed trades");
                    self.inlet.feed.feed_mut().trades_failed(instrument);
                }
                (RestJob::OpenInterest { .. }, Ok(RestReply::Body(body))) => {
                    self.inlet
                        .call(&mut |_| {}, |feed, with| feed.on_open_interest(&body, ts, with))?;
                }
                (RestJob::OpenInterest { .. }, Err(error)) => {
                    tracing::warn!(%error, "no open interest");
                }
                (RestJob::Watch(ask), reply) => {
                    if let Err(error) = &reply {
                        tracing::warn!(%error, "a look at the venue");
                    }
                    let seen = match &reply {
                        Ok(RestReply::Seen(seen)) => Some(seen),
                        _ => None,
                    };
                    self.inlet.watch.on_answer(&ask, seen, ts);
                }
                (job, reply) => {
                    if let Some(private) = &mut self.private {
                        private.on_answer(RestAnswer { job, reply, limits }, now);
                    }
                }
            }
        }
        Ok(taken)
    }
}

#[cfg(test)]
#[path = "feed_thread/tests.rs"]
mod tests;
