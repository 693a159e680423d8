//! Trades without holes: aggregated trades of a symbol are numbered one by one, so what a lost
//! connection missed is known, and can be asked for.
//!
//! ```text
//!  river    7 8 │ 12 comes: held, 9 to 11 are asked for │ 9 10 11 │ 12 13 …
//!           two seconds, many pages or too much held: a gap is told, and what is held goes on
//!
//!           12 14 held: 13 is asked for once 12 has gone on, and 14 waits for it
//! ```
//! Only a live session asks: a recording that jumps stays as it was.

use super::checked::RestBody;
use super::pool::{List, Pool};
use super::{EventBatch, Feed, gap_event};
use crate::base::event::{Event, Trade};
use crate::base::{InstrumentId, Kind, Nanos, Reason};
use std::collections::VecDeque;

/// Trades that may wait, of all instruments.
const HELD_MAX: usize = 8_192;
/// Longest wait for missing trades.
const WAIT_MAX: Nanos = Nanos::from_millis(2_000);
/// Requests for one hole; each brings up to 500 trades.
const REQUESTS_MAX: u8 = 8;
/// Trades missing at once that are still asked for.
const MISSING_MAX: u64 = 3_000;

#[derive(Clone, Copy, Debug)]
struct Line {
    /// Number of the newest trade handed on, 0 before the first.
    newest: u64,
    /// Its matching time.
    matched: i64,
    held: List,
    held_newest: u64,
    since: Nanos,
    requests: u8,
    is_asked: bool,
    /// There is no room: holes are told at once until nothing is held any more.
    gives_up: bool,
}

impl Line {
    const NEW: Self = Self {
        newest: 0,
        matched: 0,
        held: List::EMPTY,
        held_newest: 0,
        since: Nanos::ZERO,
        requests: 0,
        is_asked: false,
        gives_up: false,
    };
}

/// Counts of missing trades since start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradeStats {
    /// Trades dropped because they came before.
    pub duplicates: u64,
    /// Holes noticed.
    pub holes: u64,
    /// Trades brought in later.
    pub filled: u64,
    /// Holes that were given up.
    pub lost: u64,
}

/// See the head of this file.
pub(super) struct Trades {
    lines: Vec<Line>,
    pool: Pool,
    wanted: VecDeque<InstrumentId>,
    releasing: VecDeque<InstrumentId>,
    released_at: Nanos,
    kept: Vec<Event>,
    stats: TradeStats,
}

fn trade_of(event: &Event) -> &Trade {
    event.body()
}

impl Trades {
    fn new(instruments: usize) -> Self {
        Self {
            lines: vec![Line::NEW; instruments],
            pool: Pool::new(HELD_MAX),
            wanted: VecDeque::with_capacity(instruments),
            releasing: VecDeque::with_capacity(instruments),
            released_at: Nanos::ZERO,
            kept: Vec::with_capacity(1_024),
            stats: TradeStats::default(),
        }
    }

    /// Takes the trade in `out`, which then holds what goes on at once.
    pub fn offer(&mut self, ts_recv: Nanos, out: &mut EventBatch) {
        let event = out.as_slice()[0];
        let Some(line) = self.lines.get_mut(event.instrument as usize) else { return };
        let (id, matched) = (trade_of(&event).trade_id, trade_of(&event).ts_trade);
        if !line.held.is_empty() {
            out.clear();
            if id <= line.held_newest && matched <= line.matched {
                self.stats.duplicates += 1;
                return;
            }
            (line.held_newest, line.matched) = (id, matched);
            self.pool.append(&mut line.held, &[event]);
            if self.pool.free_count() == 0 {
                self.give_up_all(ts_recv, out);
            }
            return;
        }
        let is_known = line.newest > 0 && id <= line.newest;
        if is_known && matched <= line.matched {
            self.stats.duplicates += 1;
            return out.clear();
        }
        let missing = if line.newest == 0 || is_known { 0 } else { id - line.newest - 1 };
        line.matched = matched;
        if missing == 0 {
            line.newest = id;
            return;
        }
        self.stats.holes += 1;
        if missing > MISSING_MAX || self.pool.free_count() <= 1 {
            out.clear();
            out.push(gap(event.instrument(), line.newest + 1, id, ts_recv));
            out.push(event);
            self.stats.lost += 1;
            line.newest = id;
            return;
        }
        out.clear();
        (line.held_newest, line.since) = (id, ts_recv);
        (line.requests, line.is_asked) = (0, true);
        self.pool.append(&mut line.held, &[event]);
        self.wanted.push_back(event.instrument());
    }

    /// There is no room for another one: nobody waits any longer.
    fn give_up_all(&mut self, ts_recv: Nanos, out: &mut EventBatch) {
        for place in 0..self.lines.len() {
            if !self.lines[place].held.is_empty() {
                let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
                self.lines[place].gives_up = true;
                self.give_up(instrument, ts_recv, out);
            }
        }
    }

    /// Tells the hole and lets go of what is held behind it.
    fn give_up(&mut self, instrument: InstrumentId, ts_recv: Nanos, out: &mut EventBatch) {
        let line = &mut self.lines[instrument.index()];
        let Some(first) = self.pool.first(&line.held).map(|event| trade_of(event).trade_id) else {
            return;
        };
        self.stats.lost += 1;
        out.push(gap(instrument, line.newest + 1, first, ts_recv));
        line.newest = first - 1;
        self.let_go(instrument, ts_recv);
    }

    fn let_go(&mut self, instrument: InstrumentId, ts_recv: Nanos) {
        let line = &mut self.lines[instrument.index()];
        line.is_asked = false;
        self.wanted.retain(|id| *id != instrument);
        self.releasing.push_back(instrument);
        self.released_at = ts_recv;
    }

    /// Forgets what is known and held of an instrument: its next trade is its first.
    pub fn forget(&mut self, instrument: InstrumentId) {
        let Some(line) = self.lines.get_mut(instrument.index()) else { return };
        self.pool.clear(&mut line.held);
        *line = Line::NEW;
        self.wanted.retain(|id| *id != instrument);
        self.releasing.retain(|id| *id != instrument);
    }

    /// Gives up whatever waited for too long.
    fn on_time(&mut self, now: Nanos, out: &mut EventBatch) {
        if self.pool.free_count() == HELD_MAX {
            return;
        }
        for place in 0..self.lines.len() {
            let line = &self.lines[place];
            if !line.held.is_empty() && now - line.since > WAIT_MAX && out.room() > 1 {
                let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
                self.give_up(instrument, now, out);
            }
        }
    }

    /// Takes the decoded answer in `out`, which then holds what goes on: what of it was missing,
    /// and what waited in between. It goes as far as the answer does, over later holes too.
    fn fill(&mut self, instrument: InstrumentId, ts_recv: Nanos, out: &mut EventBatch) {
        self.kept.clear();
        let line = &mut self.lines[instrument.index()];
        if line.held.is_empty() {
            return out.clear();
        }
        // An answer to what was asked before this hole says nothing of it.
        if !out.is_empty() && out.iter().all(|event| trade_of(event).trade_id <= line.newest) {
            out.clear();
            if line.requests < REQUESTS_MAX && !self.wanted.contains(&instrument) {
                self.wanted.push_back(instrument);
            }
            return;
        }
        line.is_asked = false;
        let mut filled = 0;
        for event in out.iter() {
            let has_room = self.kept.len() < self.kept.capacity();
            if trade_of(event).trade_id != line.newest + 1 || !has_room {
                continue;
            }
            line.newest += 1;
            match self.pool.first(&line.held) {
                Some(held) if trade_of(held).trade_id == line.newest => {
                    let held = Event { ts_recv: ts_recv.0, ..*held };
                    self.pool.pop(&mut line.held);
                    self.kept.push(held);
                }
                _ => {
                    filled += 1;
                    self.kept.push(*event);
                }
            }
            if line.held.is_empty() {
                break;
            }
        }
        out.clear();
        for event in &self.kept {
            out.push(*event);
        }
        self.stats.filled += filled;
        let next = self.pool.first(&line.held).map(|event| trade_of(event).trade_id);
        if next.is_none_or(|next| next <= line.newest + 1) {
            self.let_go(instrument, ts_recv);
        } else if self.kept.is_empty() || line.requests >= REQUESTS_MAX {
            self.give_up(instrument, ts_recv, out);
        } else {
            line.is_asked = true;
            self.wanted.push_back(instrument);
        }
    }

    /// Moves what was let go into `out`; true while something is left.
    pub fn release_into(&mut self, out: &mut EventBatch) -> bool {
        while let Some(&instrument) = self.releasing.front() {
            let Some(first) = self.pool.first(&self.lines[instrument.index()].held).copied() else {
                let line = &mut self.lines[instrument.index()];
                (line.held, line.gives_up) = (List::EMPTY, false);
                self.releasing.pop_front();
                continue;
            };
            if out.room() == 0 {
                return true;
            }
            let line = &mut self.lines[instrument.index()];
            let id = trade_of(&first).trade_id;
            // A number that is not above the last one is a venue's that counts anew.
            if id <= line.newest + 1 {
                line.newest = id;
                self.pool.pop(&mut line.held);
                out.push(Event { ts_recv: self.released_at.0, ..first });
                continue;
            }
            self.stats.holes += 1;
            if line.gives_up || id - line.newest - 1 > MISSING_MAX {
                self.stats.lost += 1;
                out.push(gap(instrument, line.newest + 1, id, self.released_at));
                line.newest = id - 1;
                continue;
            }
            // The trade behind this hole has waited since it came.
            (line.since, line.requests, line.is_asked) = (Nanos(first.ts_recv), 0, true);
            self.wanted.push_back(instrument);
            self.releasing.pop_front();
        }
        false
    }
}

fn gap(instrument: InstrumentId, expected: u64, got: u64, ts_recv: Nanos) -> Event {
    gap_event(instrument, (expected, got), Reason::TradeGap, ts_recv)
}

impl Feed {
    /// From here on missing aggregated trades are asked for, see [`Feed::trades_wanted`], and ones
    /// that come twice are dropped. For live sessions; a recording is taken as it is.
    pub fn keep_trades_whole(&mut self) {
        self.trades = Some(Box::new(Trades::new(self.syncs.len())));
    }

    /// True when [`Feed::trades_wanted`] has one.
    pub fn wants_trades(&self) -> bool {
        self.trades.as_ref().is_some_and(|trades| !trades.wanted.is_empty())
    }

    /// The next instrument with missing trades, and the number of the first of them. Each is handed
    /// out once; [`Feed::on_agg_trades`] or [`Feed::trades_failed`] is to follow.
    pub fn trades_wanted(&mut self) -> Option<(InstrumentId, u64)> {
        let trades = self.trades.as_mut()?;
        let instrument = trades.wanted.pop_front()?;
        let line = &mut trades.lines[instrument.index()];
        line.requests += 1;
        Some((instrument, line.newest + 1))
    }

    /// Trades that were asked for will not come by this request.
    pub fn trades_failed(&mut self, instrument: InstrumentId) {
        let Some(trades) = self.trades.as_mut() else { return };
        let Some(line) = trades.lines.get(instrument.index()) else { return };
        // When there were too many requests, time ends the wait.
        if line.is_asked && line.requests < REQUESTS_MAX && !trades.wanted.contains(&instrument) {
            trades.wanted.push_back(instrument);
        }
    }

    /// Takes the body of `GET /fapi/v1/aggTrades` of `instrument`.
    pub fn on_agg_trades(
        &mut self,
        instrument: InstrumentId,
        body: &[u8],
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        self.on_body(body, RestBody::AggTrades(instrument), ts_recv, out);
        let is_refused = out.iter().any(|event| event.kind == Kind::Malformed as u8);
        if is_refused {
            return self.trades_failed(instrument);
        }
        let Some(trades) = self.trades.as_mut() else { return };
        if instrument.index() < trades.lines.len() {
            trades.fill(instrument, ts_recv, out);
        }
    }

    /// Time passed: what waited for too long goes on.
    pub fn on_time(&mut self, now: Nanos, out: &mut EventBatch) {
        out.clear();
        if let Some(trades) = self.trades.as_mut() {
            trades.on_time(now, out);
        }
    }

    /// Counts of missing trades since start.
    pub fn trade_stats(&self) -> TradeStats {
        self.trades.as_ref().map(|trades| trades.stats).unwrap_or_default()
    }
}
