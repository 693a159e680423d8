//! Bytes to events: scanners, sequence continuity, book synchronisation. Sans-IO; allocates nothing
//! after start.
//!
//! ```text
//!  frame ──► scan (by hand) ──declined──► checked (simd-json) ──► Malformed, or ignored
//!               │ event                      │ event
//!               └──────────┬─────────────────┘
//!                          ▼
//!             depth? ──► sync (per instrument) ──► out: whole batches, in order, without holes
//!                          ▲        │
//!  snapshot body ──────────┘        └──► snapshot_wanted
//!
//!  private frame ──► private (serde_json) ──► reports on our orders, funding, account
//! ```
//!
//! Every call clears the batch it is given and fills it. A released book can be longer than one
//! batch: after each call, take what is in the batch, then call [`Feed::drain`] until it says no.
//! Events leave with `seq` 0; whoever orders them numbers them.

mod batch;
mod build;
mod checked;
#[cfg(feature = "coin-m")]
mod coin_m;
mod connections;
mod cursor;
mod depth;
mod form;
mod member;
mod pool;
mod private;
mod scan;
mod sleep;
mod stats;
mod symbols;
mod sync;
mod trades;
mod trust;

#[cfg(test)]
mod tests;

pub use batch::EventBatch;
pub use connections::{CONNECTIONS_MAX, Part};
pub use private::PrivateStats;
pub use stats::{FeedStats, InstrumentStats};
pub use symbols::SymbolTable;
pub use trades::TradeStats;

use crate::base::event::{DepthHead, Event, Gap, LEVELS_PER_EVENT, Malformed, flags};
use crate::base::limits::{FRAME_BYTES_MAX, INSTRUMENTS_MAX};
use crate::base::settings::{Dialect, InstrumentSettings};
use crate::base::{InstrumentId, Kind, Nanos, Reason};
use checked::{Checked, RestBody};
#[cfg(feature = "coin-m")]
use coin_m::CoinM;
use connections::Carried;
use form::{Form, UsdM};
use member::Fail;
use pool::Pool;
use scan::Sink;
use sleep::Sleepers;
use std::collections::VecDeque;
use sync::{Shared, State, Sync, Verdict};
use trust::Trust;

/// The market side of the river's entrance. See the head of this file for how to call it.
pub struct Feed {
    dialect: Dialect,
    symbols: SymbolTable,
    checked: Checked,
    pool: Pool,
    syncs: Vec<Sync>,
    wanted: VecDeque<InstrumentId>,
    releasing: VecDeque<InstrumentId>,
    released_at: Nanos,
    /// What each connection carries, where it has been told.
    carried: Vec<Carried>,
    /// Events of changes that one instrument may have waiting for a snapshot.
    waiting_max: usize,
    stats: FeedStats,
    private: PrivateStats,
    triggered: private::TriggeredStops,
    /// Where missing trades are asked for.
    trades: Option<Box<trades::Trades>>,
    /// By instrument.
    trust: Vec<Trust>,
    sleepers: Sleepers,
}

/// Events that may wait per instrument: a snapshot of 1 000 levels a side is 335, recorded changes
/// are 17 on average.
const POOL_EVENTS_PER_INSTRUMENT: usize = 32_768;
/// Events that may wait in all: 32 MiB.
const POOL_EVENTS_MAX: usize = 262_144;
/// Of many instruments each has this share at least, 128 KiB: a snapshot, and the changes of some
/// seconds until it comes.
const POOL_SHARE_MIN: usize = 1_024;
/// Events of a snapshot of 1 000 levels a side: a head, and six levels a record.
const SNAPSHOT_EVENTS: usize = 1 + 2 * 1_000_usize.div_ceil(LEVELS_PER_EVENT);

const _: () = {
    // What is left of the least share beside a snapshot holds a second of recorded changes.
    assert!(POOL_SHARE_MIN > 2 * SNAPSHOT_EVENTS);
};

impl Feed {
    /// A feed for these instruments, numbered in the order given; at most [`INSTRUMENTS_MAX`], the
    /// rest is unknown to it.
    pub fn new(instruments: &[InstrumentSettings]) -> Self {
        Self::of(Dialect::UsdM, instruments)
    }

    /// The same for the frames of a dialect.
    pub fn of(dialect: Dialect, instruments: &[InstrumentSettings]) -> Self {
        let instruments = &instruments[..instruments.len().min(INSTRUMENTS_MAX)];
        let count = instruments.len();
        let most = POOL_EVENTS_MAX.max(count * POOL_SHARE_MIN);
        let pool_events = (count * POOL_EVENTS_PER_INSTRUMENT).min(most);
        // Few have room enough together. Of many none may take what another's snapshot needs.
        let waiting_max = match count * POOL_EVENTS_PER_INSTRUMENT > pool_events {
            true => pool_events / count - SNAPSHOT_EVENTS,
            false => usize::MAX,
        };
        Self {
            dialect,
            symbols: SymbolTable::new(instruments),
            checked: Checked::new(),
            pool: Pool::new(pool_events),
            syncs: vec![Sync::NEW; count],
            wanted: VecDeque::with_capacity(count),
            releasing: VecDeque::with_capacity(count),
            released_at: Nanos::ZERO,
            carried: Vec::with_capacity(CONNECTIONS_MAX),
            waiting_max,
            stats: FeedStats::new(),
            private: PrivateStats::default(),
            triggered: private::TriggeredStops::new(),
            trades: None,
            trust: vec![Trust::default(); count],
            sleepers: Sleepers::new(count),
        }
    }

    /// Takes one text frame of a market stream, combined or raw.
    pub fn on_frame(&mut self, frame: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        match self.dialect {
            Dialect::UsdM => self.read::<UsdM>(frame, ts_recv, out),
            #[cfg(feature = "coin-m")]
            Dialect::CoinM => self.read::<CoinM>(frame, ts_recv, out),
        }
    }

    #[inline(always)]
    fn read<F: Form>(&mut self, frame: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        out.clear();
        self.stats.frames += 1;
        self.stats.bytes += frame.len() as u64;
        if frame.len() > FRAME_BYTES_MAX {
            let fail = Fail::new(Reason::FrameTooLong, "");
            return self.refuse(frame, (fail, FRAME_BYTES_MAX), ts_recv, out);
        }
        let mut sink = Sink { symbols: &self.symbols, ts_recv, out };
        if scan::frame::<F>(frame, &mut sink).is_none() {
            sink.out.clear();
            self.stats.fallbacks += 1;
            if let Err(refusal) = self.checked.frame::<F>(frame, &mut sink) {
                self.refuse(frame, refusal, ts_recv, out);
                return self.doubt(frame, ts_recv, out);
            }
        }
        self.hand_on(ts_recv, out);
    }

    /// Takes the body of a depth snapshot (`GET …/depth`) of `instrument`.
    pub fn on_snapshot(
        &mut self,
        instrument: InstrumentId,
        body: &[u8],
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        out.clear();
        if instrument.index() >= self.syncs.len() {
            let refusal = (Fail::new(Reason::UnknownInstrument, ""), 0);
            return self.refuse(body, refusal, ts_recv, out);
        }
        let mut sink = Sink { symbols: &self.symbols, ts_recv, out };
        let scanned =
            body.len() <= FRAME_BYTES_MAX && scan::snapshot(body, instrument, &mut sink).is_some();
        if scanned {
            self.stats.frames += 1;
            self.stats.bytes += body.len() as u64;
            self.hand_on(ts_recv, out);
        } else {
            self.on_body(body, RestBody::Snapshot(instrument), ts_recv, out);
        }
        if out.iter().any(|event| event.kind == Kind::Malformed as u8) {
            self.snapshot_failed(instrument);
        }
    }

    /// Takes the body of `GET …/openInterest`.
    pub fn on_open_interest(&mut self, body: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        self.on_body(body, RestBody::OpenInterest, ts_recv, out);
    }

    /// Takes the body of `GET …/fundingRate`: settled rates, oldest first. Instruments that
    /// are not in the session are passed over.
    pub fn on_funding_rates(&mut self, body: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        self.on_body(body, RestBody::FundingRate, ts_recv, out);
    }

    /// Takes the body of `GET …/premiumIndex`, of one symbol or of all. Instruments of a
    /// list that are not in the session are passed over.
    pub fn on_premium_index(&mut self, body: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        self.on_body(body, RestBody::PremiumIndex, ts_recv, out);
    }

    /// Takes one text frame of the account's own stream. It is rare and decoded by serde, which may
    /// allocate for a name with an escape in it.
    pub fn on_private(&mut self, frame: &[u8], ts_recv: Nanos, out: &mut EventBatch) {
        out.clear();
        if frame.len() > FRAME_BYTES_MAX {
            let fail = Fail::new(Reason::FrameTooLong, "");
            return self.refuse_private(frame, (fail, FRAME_BYTES_MAX), ts_recv, out);
        }
        let (triggered, stats) = (&mut self.triggered, &mut self.private);
        if let Err(fail) = private::decode(frame, &self.symbols, triggered, stats, out) {
            return self.refuse_private(frame, (fail, 0), ts_recv, out);
        }
        for event in out.as_mut_slice() {
            event.ts_recv = ts_recv.0;
        }
    }

    /// Refuses a frame of the account's own stream. Its bytes may hold the stream's key, so none is
    /// recorded.
    #[cold]
    fn refuse_private(
        &mut self,
        frame: &[u8],
        refusal: (Fail, usize),
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        self.private.unreadable += 1;
        self.refuse(frame, refusal, ts_recv, out);
        for event in out.as_mut_slice() {
            let body = Malformed { head: [0; 72], ..*event.body() };
            event.body = Event::new(Kind::Malformed, event.instrument(), &body).body;
        }
    }

    /// What the account's own stream told.
    pub const fn private_stats(&self) -> &PrivateStats {
        &self.private
    }

    /// Declares a book untrustworthy, for instance crossed: emits one gap with `reason` and starts
    /// over with the next change.
    pub fn resync(
        &mut self,
        instrument: InstrumentId,
        reason: Reason,
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        out.clear();
        self.start_over(instrument, reason, ts_recv, out);
    }

    /// The same behind what `out` holds already.
    fn start_over(
        &mut self,
        instrument: InstrumentId,
        reason: Reason,
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        let Some(sync) = self.syncs.get_mut(instrument.index()) else { return };
        sync.reset(&mut self.pool);
        self.releasing.retain(|id| *id != instrument);
        out.push(gap_event(instrument, (0, 0), reason, ts_recv));
    }

    /// The next instrument that needs a depth snapshot. Each request is handed out once; after
    /// [`Feed::on_snapshot`] or [`Feed::snapshot_failed`] it may be handed out again. The caller
    /// paces its requests: each costs weight 20 at 1 000 levels.
    pub fn snapshot_wanted(&mut self) -> Option<InstrumentId> {
        while let Some(instrument) = self.wanted.pop_front() {
            let sync = &mut self.syncs[instrument.index()];
            if sync.state == State::Buffering {
                return Some(instrument);
            }
            sync.asked = false;
        }
        None
    }

    /// A snapshot that was asked for will not come.
    pub fn snapshot_failed(&mut self, instrument: InstrumentId) {
        if let Some(sync) = self.syncs.get_mut(instrument.index()) {
            sync.asked = self.wanted.contains(&instrument);
        }
        self.ask(instrument);
    }

    /// Moves what waits of released books into `out`. `false` when nothing waited.
    pub fn drain(&mut self, out: &mut EventBatch) -> bool {
        out.clear();
        self.release_into(out);
        !out.is_empty()
    }

    /// True while an instrument's depth is handed on without holes.
    pub fn is_synced(&self, instrument: InstrumentId) -> bool {
        let synced = |sync: &Sync| matches!(sync.state, State::Synced | State::Releasing);
        self.syncs.get(instrument.index()).is_some_and(synced)
    }

    /// The session's symbols.
    pub const fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }

    /// Counts since start.
    pub const fn stats(&self) -> &FeedStats {
        &self.stats
    }

    /// Counts of one instrument since start; `None` for an id out of the table.
    pub fn instrument_stats(&self, instrument: InstrumentId) -> Option<&InstrumentStats> {
        self.syncs.get(instrument.index()).map(|sync| &sync.stats)
    }

    fn on_body(&mut self, bytes: &[u8], body: RestBody, ts_recv: Nanos, out: &mut EventBatch) {
        out.clear();
        self.stats.frames += 1;
        self.stats.bytes += bytes.len() as u64;
        if bytes.len() > FRAME_BYTES_MAX {
            let refusal = (Fail::new(Reason::FrameTooLong, ""), FRAME_BYTES_MAX);
            return self.refuse(bytes, refusal, ts_recv, out);
        }
        self.stats.fallbacks += 1;
        let mut sink = Sink { symbols: &self.symbols, ts_recv, out };
        match self.checked.body(bytes, body, &mut sink) {
            Ok(()) => self.hand_on(ts_recv, out),
            Err(refusal) => self.refuse(bytes, refusal, ts_recv, out),
        }
    }

    /// Counts what was decoded; depth goes through the instrument's synchronisation.
    #[inline]
    fn hand_on(&mut self, ts_recv: Nanos, out: &mut EventBatch) {
        let Some(first) = out.as_slice().first() else { return };
        if let Some(count) = self.stats.by_kind.get_mut(first.kind as usize) {
            *count += 1;
        }
        if self.sleepers.holds(first.instrument()) {
            return out.clear();
        }
        let trust = self.trust.get_mut(first.instrument as usize);
        let is_trusted = trust.is_none_or(Trust::on_good);
        if first.kind == Kind::DepthHead as u8 {
            // A snapshot that was asked for before is taken in, or it would be waited for.
            if is_trusted || first.has(flags::SNAPSHOT) {
                self.hand_on_depth(ts_recv, out);
            } else {
                out.clear();
            }
        } else if first.kind == Kind::AggTrade as u8
            && out.len() == 1
            && let Some(trades) = &mut self.trades
        {
            trades.offer(ts_recv, out);
        }
    }

    fn hand_on_depth(&mut self, ts_recv: Nanos, out: &mut EventBatch) {
        let first = out.as_slice()[0];
        let instrument = first.instrument();
        let Some(sync) = self.syncs.get_mut(instrument.index()) else { return out.clear() };
        let head = first.body::<DepthHead>();
        let waiting_max = self.waiting_max;
        let mut shared = Shared { pool: &mut self.pool, waiting_max, stats: &mut self.stats };
        let verdict = if first.has(flags::SNAPSHOT) {
            sync.offer_snapshot(head, out.as_slice(), &mut shared)
        } else {
            sync.offer(head, out.as_slice(), &mut shared)
        };
        match verdict {
            Verdict::Pass => return,
            Verdict::Absorb => out.clear(),
            Verdict::Release => {
                out.clear();
                self.releasing.push_back(instrument);
            }
            Verdict::Gap(expected, got) => {
                out.clear();
                self.releasing.retain(|id| *id != instrument);
                let gap = gap_event(instrument, (expected, got), Reason::BookGap, ts_recv);
                out.push(Event { ts_venue: first.ts_venue, ..gap });
            }
        }
        self.ask(instrument);
        self.released_at = ts_recv;
        self.release_into(out);
    }

    fn ask(&mut self, instrument: InstrumentId) {
        let Some(sync) = self.syncs.get_mut(instrument.index()) else { return };
        if sync.wants_snapshot() {
            sync.asked = true;
            self.wanted.push_back(instrument);
        }
    }

    fn release_into(&mut self, out: &mut EventBatch) {
        if self.trades.as_mut().is_some_and(|trades| trades.release_into(out)) {
            return;
        }
        while let Some(&instrument) = self.releasing.front() {
            let sync = &mut self.syncs[instrument.index()];
            while out.room() > 0 {
                let Some(event) = sync.pop_released(&mut self.pool) else { break };
                out.push(Event { ts_recv: self.released_at.0, ..event });
            }
            if sync.state == State::Releasing && out.room() == 0 {
                return;
            }
            self.releasing.pop_front();
        }
    }

    /// Counts a refusal; unless the frame is one to ignore, it becomes a `Malformed` event.
    #[cold]
    fn refuse(
        &mut self,
        frame: &[u8],
        (fail, offset): (Fail, usize),
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        out.clear();
        if matches!(fail.reason, Reason::FrameUnknownType | Reason::TradeNotMarket) {
            self.stats.ignored[fail.reason.index()] += 1;
            if let Some(sync) = self.syncs.get_mut(fail.instrument.index()) {
                sync.stats.trades_not_market += 1;
            }
            return;
        }
        self.stats.malformed[fail.reason.index()] += 1;
        let mut head = [0; 72];
        let len = frame.len().min(head.len());
        head[..len].copy_from_slice(&frame[..len]);
        let body = Malformed {
            reason: fail.reason as u16,
            frame_bytes: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            frame_hash: xxhash_rust::xxh3::xxh3_64(frame),
            head,
            ..Malformed::default()
        };
        let event = Event::new(Kind::Malformed, fail.instrument, &body);
        out.push(Event { ts_recv: ts_recv.0, ..event });
    }
}

fn gap_event(
    instrument: InstrumentId,
    (expected, got): (u64, u64),
    reason: Reason,
    ts_recv: Nanos,
) -> Event {
    let body = Gap { expected, got, reason: reason as u16, ..Gap::default() };
    Event { ts_recv: ts_recv.0, ..Event::new(Kind::Gap, instrument, &body) }
}
