//! The only entrance. Frames, snapshots, reports, commands and timers become events, get their one
//! sequence number, are recorded in lane 0 and flow on.

use super::inference_stage::InferenceStage;
use super::link::{Halt, Next};
use super::probe::Probe;
use crate::base::counters::{Counter, Counters};
use crate::base::event::{Command, Event, Kind, Timer};
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::{InstrumentId, Seq};
use crate::base::reason::Reason;
use crate::base::time::Nanos;
use crate::feed::{EventBatch, Feed};
use crate::journal::Recorder;
use std::sync::Arc;

/// What a call into the feed brings along: how it is timed, and who else sees each input once it
/// has flowed on (a paper venue, an audit).
pub struct With<'w, P> {
    /// Takes latency stamps.
    pub probe: &'w mut P,
    /// Sees every numbered input.
    pub watch: &'w mut dyn FnMut(&Event),
}

/// The first stage; see the head of this file.
pub struct FeedStage {
    feed: Feed,
    batch: EventBatch,
    seq: Seq,
    newest: Nanos,
    lossy: bool,
    /// Least room seen on the way on since it was last asked for.
    least_room: usize,
    depth_told: Nanos,
    recorder: Recorder,
    next: Next<InferenceStage>,
    counters: Arc<Counters>,
}

impl FeedStage {
    /// `recorder` writes lane 0.
    pub fn new(
        feed: Feed,
        recorder: Recorder,
        next: Next<InferenceStage>,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            feed,
            batch: EventBatch::new(),
            seq: 0,
            newest: Nanos::ZERO,
            lossy: false,
            least_room: usize::MAX,
            depth_told: Nanos::ZERO,
            recorder,
            next,
            counters,
        }
    }

    /// The decoder, for its statistics and wants.
    pub fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
    }

    /// Highest fill of the ring to the next stage since it was last told, in percent; once a second
    /// at most, and never without a ring.
    pub fn take_depth(&mut self, now: Nanos) -> Option<i64> {
        let capacity = self.next.capacity()?;
        if now - self.depth_told < Nanos::from_secs(1) {
            return None;
        }
        self.depth_told = now;
        let room = std::mem::replace(&mut self.least_room, usize::MAX).min(capacity);
        i64::try_from((capacity - room) * 100 / capacity.max(1)).ok()
    }

    /// The way on: its room tells whether the next stage keeps up.
    pub fn next_mut(&mut self) -> &mut Next<InferenceStage> {
        &mut self.next
    }

    /// The stage's parts, at the end of a session.
    pub fn into_parts(self) -> (Feed, Recorder, Next<InferenceStage>) {
        (self.feed, self.recorder, self.next)
    }

    /// Time in the river never runs backward, whatever the clock does.
    fn in_order(&mut self, ts_recv: Nanos) -> Nanos {
        self.newest = self.newest.max(ts_recv);
        self.newest
    }

    /// A frame from a market socket. `origin` is when its bytes were in memory.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_frame<P: Probe>(
        &mut self,
        frame: &[u8],
        ts_recv: Nanos,
        origin: Stamp,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        let ts_recv = self.in_order(ts_recv);
        self.counters.add(Counter::Frames, 1);
        if self.lossy && !self.regain(ts_recv, origin, with)? {
            self.counters.add(Counter::Dropped, 1);
            return Ok(());
        }
        self.batch.clear();
        self.feed.on_frame(frame, ts_recv, &mut self.batch);
        let room = self.next.room();
        self.least_room = self.least_room.min(room);
        if room < self.batch.len() {
            self.batch.clear();
            self.lossy = true;
            self.counters.add(Counter::Dropped, 1);
            return Ok(());
        }
        self.publish(Some(Hop::ReceiveDecode), origin, with)
    }

    /// After a loss: once there is room again, every book is declared lost before anything else
    /// flows, so that nothing is priced across the hole.
    fn regain<P: Probe>(
        &mut self,
        ts_recv: Nanos,
        origin: Stamp,
        with: &mut With<'_, P>,
    ) -> Result<bool, Halt> {
        self.batch.clear();
        self.feed.on_stream_down(0, ts_recv, &mut self.batch);
        if self.next.room() < self.batch.len() {
            return Ok(false);
        }
        self.lossy = false;
        self.publish(None, origin, with)?;
        Ok(true)
    }

    /// The body of a REST depth snapshot.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_snapshot<P: Probe>(
        &mut self,
        instrument: InstrumentId,
        body: &[u8],
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(ts_recv, with, |feed, ts, out| feed.on_snapshot(instrument, body, ts, out))
    }

    /// A book that cannot heal by itself starts over with a fresh snapshot.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_lost_book<P: Probe>(
        &mut self,
        instrument: InstrumentId,
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(ts_recv, with, |feed, ts, out| {
            feed.resync(instrument, Reason::BookCrossed, ts, out)
        })
    }

    /// A frame of the account's own stream. Its events are never dropped: when the next stage has
    /// no room, this waits for it.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_private<P: Probe>(
        &mut self,
        frame: &[u8],
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(ts_recv, with, |feed, ts, out| feed.on_private(frame, ts, out))
    }

    /// The body of a REST open-interest answer.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_open_interest<P: Probe>(
        &mut self,
        body: &[u8],
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(ts_recv, with, |feed, ts, out| feed.on_open_interest(body, ts, out))
    }

    /// The body of a REST answer with trades that were missed.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_agg_trades<P: Probe>(
        &mut self,
        instrument: InstrumentId,
        body: &[u8],
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(ts_recv, with, |feed, ts, out| feed.on_agg_trades(instrument, body, ts, out))
    }

    /// A connection came up or went down.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_stream<P: Probe>(
        &mut self,
        connection: u64,
        up: bool,
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.counters.add(Counter::Connects, u64::from(up));
        self.take(ts_recv, with, |feed, ts, out| {
            if up {
                feed.on_stream_up(connection, ts, out);
            } else {
                feed.on_stream_down(connection, ts, out);
            }
        })
    }

    /// One stream of an open connection fell silent while others talk, or talks again.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_stream_silent<P: Probe>(
        &mut self,
        stream: (u64, u16),
        instrument: InstrumentId,
        is_silent: bool,
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(ts_recv, with, |feed, ts, out| {
            feed.on_stream_silent(stream, instrument, is_silent, ts, out);
        })
    }

    /// Time passed.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_timer<P: Probe>(
        &mut self,
        interval_ms: u64,
        now: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.take(now, with, |feed, ts, out| feed.on_time(ts, out))?;
        let body = Timer { interval_ms, ..Timer::default() };
        self.on_event(Event::new(Kind::Timer, InstrumentId::NONE, &body), now, with)
    }

    /// An operator's command.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_command<P: Probe>(
        &mut self,
        command: &Command,
        now: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        self.on_event(Event::new(Kind::Command, InstrumentId::NONE, command), now, with)
    }

    /// Any single event that is not decoded here: reports, session records.
    ///
    /// # Errors
    /// [`Halt`] when trading must stop.
    pub fn on_event<P: Probe>(
        &mut self,
        mut event: Event,
        ts_recv: Nanos,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        event.ts_recv = self.in_order(ts_recv).0;
        let origin = with.probe.stamp();
        self.batch.clear();
        self.batch.push(event);
        self.publish(None, origin, with)
    }

    /// Lets the decoder make events of something that is no market frame, and publishes them.
    fn take<P: Probe>(
        &mut self,
        ts_recv: Nanos,
        with: &mut With<'_, P>,
        decode: impl FnOnce(&mut Feed, Nanos, &mut EventBatch),
    ) -> Result<(), Halt> {
        let ts_recv = self.in_order(ts_recv);
        let origin = with.probe.stamp();
        self.batch.clear();
        decode(&mut self.feed, ts_recv, &mut self.batch);
        self.publish(None, origin, with)
    }

    /// Numbers, records and hands on everything in the batch.
    fn publish<P: Probe>(
        &mut self,
        hop: Option<Hop>,
        origin: Stamp,
        with: &mut With<'_, P>,
    ) -> Result<(), Halt> {
        loop {
            for i in 0..self.batch.len() {
                self.seq += 1;
                let event = &mut self.batch.as_mut_slice()[i];
                event.seq = self.seq;
                let market = (event.kind as usize) < 32;
                let event = *event;
                let _ = self
                    .recorder
                    .append(&event)
                    .map_err(|fault| Halt::Journal { lane: 0, fault })?;
                self.counters.add(Counter::Events, 1);
                self.counters.add(Counter::MarketEvents, u64::from(market));
                if let (0, Some(hop)) = (i, hop) {
                    let now = with.probe.stamp();
                    with.probe.record(hop, event.seq, origin, now);
                }
                self.next.hand_on(event, origin, with.probe)?;
                (with.watch)(&event);
            }
            // A snapshot drains in several batches; nothing is left behind.
            if !self.feed.drain(&mut self.batch) {
                return Ok(());
            }
        }
    }
}
