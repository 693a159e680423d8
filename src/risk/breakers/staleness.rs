//! RC-15: how old each instrument's market data is.
//!
//! ```text
//!            age ≥ degraded             age ≥ stale
//!    LIVE ───────────────► DEGRADED ───────────────► STALE ──┐ ticks come again
//!     ▲  ◄─────────────────   │                              ▼
//!     └───────── enough good ticks, and the cool-down ── RECOVERING ──► STALE: none came
//! ```
//! STALE and RECOVERING reduce, and with that resting entries are cancelled. A quote is as old as
//! its receipt or as what the venue says of it, whichever is older: what was held up on its way is
//! old though it has just come.

use super::board::Board;
use crate::base::{Control, InstrumentId, Nanos};
use crate::ledger::{Ledger, Position};

#[derive(Clone, Copy, Debug, Default)]
struct Recovery {
    stale: bool,
    good: u32,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Staleness {
    markets: Vec<Recovery>,
    allowed: Vec<bool>,
    degraded_ms: i64,
    stale_ms: i64,
    good_ticks: u32,
}

impl Staleness {
    pub(super) fn new(allowed: &[bool], degraded_ms: u32, stale_ms: u32, good_ticks: u32) -> Self {
        Self {
            markets: vec![Recovery::default(); allowed.len()],
            allowed: allowed.to_vec(),
            degraded_ms: i64::from(degraded_ms),
            stale_ms: i64::from(stale_ms),
            good_ticks,
        }
    }

    /// A quote came.
    pub(super) fn on_tick(
        &mut self,
        board: &mut Board,
        instrument: InstrumentId,
        position: &Position,
        now: Nanos,
    ) {
        let Some(market) = self.markets.get_mut(instrument.index()) else { return };
        if market.stale && position.touch_age(now).0 / 1_000_000 < self.degraded_ms {
            market.good = market.good.saturating_add(1);
            market.stale = market.good < self.good_ticks;
        }
        self.judge(board, instrument, position, now);
    }

    /// Time passed.
    pub(super) fn on_time(&mut self, board: &mut Board, ledger: &Ledger, now: Nanos) {
        for place in 0..self.markets.len() {
            let instrument = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
            if let Some(position) = ledger.position(instrument) {
                self.judge(board, instrument, position, now);
            }
        }
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
        let age = position.touch_age(now).0 / 1_000_000;
        let market = &mut self.markets[place];
        if age >= self.stale_ms {
            (market.stale, market.good) = (true, 0);
        } else if market.stale && age >= self.degraded_ms {
            market.good = 0;
        }
        let value = if market.stale { age.max(self.stale_ms) } else { age };
        board.judge_at(Control::Staleness, instrument, value, now);
    }
}
