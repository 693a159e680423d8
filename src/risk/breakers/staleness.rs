//! RC-15: how old each instrument's market data is. The one ladder of it: it reduces, and the gate
//! asks it before an entry.
//!
//! ```text
//!            age ≥ degraded             age ≥ stale
//!    LIVE ───────────────► DEGRADED ───────────────► STALE ──┐ ticks come again
//!     ▲  ◄─────────────────   │                              ▼
//!     └───────── enough good ticks, and the cool-down ── RECOVERING ──► STALE: none came
//! ```
//! STALE and RECOVERING reduce, and with that resting entries are cancelled. A quote is as old as
//! its receipt or as what the venue says of it, whichever is older: what was held up on its way is
//! old though it has just come. Ticks are best bids and offers, one after the other: what tells a
//! quote again is none, and one that is late, held up, crossed or empty begins the count again.

use super::board::Board;
use crate::base::limits::TIMER_VISITS_MAX;
use crate::base::settings::BreakerSettings;
use crate::base::{Control, InstrumentId, Nanos};
use crate::ledger::{Ledger, Position};

/// What is known of one instrument's quotes.
#[derive(Clone, Copy, Debug, Default)]
struct Market {
    /// When the newest tick came; `None` before the first.
    ticked_at: Option<Nanos>,
    /// Good ticks still to come.
    to_recover: u32,
    /// None are awaited.
    is_asleep: bool,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Staleness {
    markets: Vec<Market>,
    allowed: Vec<bool>,
    degraded_ms: i64,
    stale_ms: i64,
    good_ticks: u32,
    /// Whom the next timer visits first.
    next: usize,
}

impl Staleness {
    pub(super) fn new(allowed: &[bool], settings: &BreakerSettings) -> Self {
        Self {
            markets: vec![Market::default(); allowed.len()],
            allowed: allowed.to_vec(),
            degraded_ms: i64::from(settings.stale_degraded_ms),
            stale_ms: i64::from(settings.stale_ms),
            good_ticks: settings.stale_good_ticks,
            next: 0,
        }
    }

    /// A best bid and offer came, and the ledger has it.
    pub(super) fn on_tick(
        &mut self,
        board: &mut Board,
        instrument: InstrumentId,
        position: &Position,
        now: Nanos,
    ) {
        let Some(market) = self.markets.get_mut(instrument.index()) else { return };
        let gap = millis(market.ticked_at.map_or(Nanos::ZERO, |before| now - before));
        market.ticked_at = Some(now);
        let age = gap.max(millis(position.touch_age(now)));
        if age >= self.stale_ms {
            // Nobody looked at the time meanwhile.
            market.to_recover = self.good_ticks;
        } else if market.to_recover > 0 {
            let good = age < self.degraded_ms && position.has_touch();
            market.to_recover = if good { market.to_recover - 1 } else { self.good_ticks };
        }
        self.judge(board, instrument, position, now);
    }

    /// Time passed: the next [`TIMER_VISITS_MAX`] instruments are looked at.
    pub(super) fn on_time(&mut self, board: &mut Board, ledger: &Ledger, now: Nanos) {
        for _ in 0..self.markets.len().min(TIMER_VISITS_MAX) {
            let instrument = InstrumentId(u16::try_from(self.next).unwrap_or(u16::MAX));
            self.next = (self.next + 1) % self.markets.len();
            if let Some(position) = ledger.position(instrument) {
                self.judge(board, instrument, position, now);
            }
        }
    }

    /// The instrument's next tick is its first; while it is asleep none is missed.
    pub(super) fn forget(&mut self, instrument: InstrumentId, is_asleep: bool) {
        if let Some(market) = self.markets.get_mut(instrument.index()) {
            *market = Market { is_asleep, ..Market::default() };
        }
    }

    /// Good ticks that the instrument's market still owes before an entry.
    pub(super) fn to_recover(&self, instrument: InstrumentId) -> u32 {
        self.markets.get(instrument.index()).map_or(0, |market| market.to_recover)
    }

    fn judge(
        &mut self,
        board: &mut Board,
        instrument: InstrumentId,
        position: &Position,
        now: Nanos,
    ) {
        let place = instrument.index();
        // What never had a quote cannot be traded anyway, and what may not be is nobody's concern.
        if !self.allowed[place] || position.touched_at == Nanos::ZERO {
            return;
        }
        let age = millis(position.touch_age(now));
        let market = &mut self.markets[place];
        if market.is_asleep {
            return;
        }
        if age >= self.stale_ms || market.to_recover > 0 && age >= self.degraded_ms {
            market.to_recover = self.good_ticks;
        }
        let value = if market.to_recover > 0 { age.max(self.stale_ms) } else { age };
        board.judge_at(Control::Staleness, instrument, value, now);
    }
}

fn millis(time: Nanos) -> i64 {
    time.0 / 1_000_000
}
