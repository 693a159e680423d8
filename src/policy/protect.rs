//! One stop at the venue for every open position, so that it is left even when we cannot leave it.
//!
//! ```text
//!  open, no stop that fits ──► place one ──► accepted ──► cancel every other
//!        │ price beyond it already, refused because of that, refused three times, or not there
//!        │ within protective_ms_max (RC-34)
//!        └──► leave the position by the ordinary exit
//!  flat, a stop still waits ──► the venue drops it by itself; after a while cancel it
//! ```
//! A stop closes what is there when it triggers, so two of them do no more than one, and a new one
//! is placed before the old one goes: the position is never without. Where the venue refuses a
//! second one, the old one goes first. A stop of unknown outcome protects nobody until it is found.
//!
//! It stands `protective_stop_bps` beyond the stop of `exits` and follows it, the trailing one too,
//! in steps of a tenth of R; without one it stands so far from the entry.

use super::exits::Levels;
use super::{Intent, Plan, Policy, Wanted, ceil_to};
use crate::base::settings::InstrumentSettings;
use crate::base::units::shift_bps;
use crate::base::{InstrumentId, Nanos, OrderType, Purpose, Px, Qty, Side, TimeInForce};
use crate::ledger::{Ledger, OpenOrder, Position, Stage};

/// Least time between two attempts for one position: the first is made at once.
const RETRY: Nanos = Nanos::from_millis(500);
/// How long a stop may outlive its position before it is cancelled: the venue drops it by itself.
const LINGER: Nanos = Nanos::from_secs(1);
/// Refusals in a row after which the position is left: nothing else protects it.
const REFUSALS_MAX: u8 = 3;
/// Live stops of one position, those of unknown outcome included.
const STOPS_MAX: u16 = 4;
/// Part of R by which the stop may be off.
const TOLERANCE_PART: i64 = 10;

/// What is remembered of an instrument's stop. Times before the first are the far past.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    /// Event time of the last attempt to place one or to leave for want of one.
    tried_at: Nanos,
    /// The position it was for, by the time it was opened.
    tried_for: Nanos,
    /// Event time of the last attempt to leave for want of one.
    left_at: Nanos,
    /// Since when the position, by the time it was opened, has been without one.
    bare: Option<(Nanos, Nanos)>,
    /// Since when the position is gone but a stop is not.
    flat_at: Option<Nanos>,
}

impl Default for Guard {
    fn default() -> Self {
        let past = Nanos(i64::MIN);
        Self { tried_at: past, tried_for: past, left_at: past, bare: None, flat_at: None }
    }
}

impl Policy {
    /// What to do about an instrument's stop; for every report, every change of its price and every
    /// timer. At most one thing at a time.
    pub fn protect(&mut self, instrument: InstrumentId, now: Nanos, ledger: &Ledger) -> Intent {
        let Some(position) = ledger.position(instrument) else { return Intent::None };
        if position.qty == Qty::ZERO {
            return self.unprotect(instrument, now, position, ledger);
        }
        if self.rules.exits.protective_stop_bps == 0 {
            return Intent::None;
        }
        let Some(facts) = self.instruments.get(instrument.index()) else { return Intent::None };
        let levels = Levels::new(
            &self.rules.exits,
            position,
            self.memory[instrument.index()].entry_atr(position),
        );
        let wanted = self.stop_of(instrument, facts, position, &levels);
        let Some(wanted) = wanted else { return Intent::None };
        let fit = fits(&wanted, levels.r, facts.tick_size);
        let late = self.is_late(instrument, now, position, wanted.side, ledger);
        // The same one every time: the oldest of those that are there.
        let kept =
            ledger.stops(instrument).filter(|stop| stop.stage == Stage::Working && fit(stop));
        if let Some(kept) = kept.map(|stop| stop.id).min() {
            let mut others = ledger.stops(instrument).filter(|stop| stop.id != kept);
            return others.find_map(take_back).unwrap_or(Intent::None);
        }
        let guard = &self.guards[instrument.index()];
        if late && now - guard.left_at >= RETRY {
            let exit = self.exit(instrument, position, ledger, Purpose::ExitUnprotected);
            if exit != Intent::None {
                self.guards[instrument.index()].left_at = now;
                return exit;
            }
        }
        if ledger.stops(instrument).any(|stop| stop.stage == Stage::InFlight && fit(stop)) {
            return Intent::None;
        }
        let again = guard.tried_for == position.opened_at;
        if again && now - guard.tried_at < RETRY {
            return Intent::None;
        }
        let one_at_a_time = position.stop_refusals > 0;
        if one_at_a_time && let Some(cancel) = ledger.stops(instrument).find_map(take_back) {
            return cancel;
        }
        let refused = position.stop_passed || position.stop_refusals >= REFUSALS_MAX;
        let leave = refused || is_beyond(&wanted, position);
        let intent = match leave {
            true => self.exit(instrument, position, ledger, Purpose::ExitStop),
            false => Intent::None,
        };
        let full = position.stops >= STOPS_MAX;
        let intent = match intent {
            Intent::None if leave && !refused || full => return Intent::None,
            Intent::None => Intent::Protect(wanted),
            exit => exit,
        };
        let guard = &mut self.guards[instrument.index()];
        (guard.tried_at, guard.tried_for) = (now, position.opened_at);
        intent
    }

    /// True when the position has been without a stop at the venue for too long. One that is to be
    /// replaced protects until it goes.
    fn is_late(
        &mut self,
        instrument: InstrumentId,
        now: Nanos,
        position: &Position,
        side: Side,
        ledger: &Ledger,
    ) -> bool {
        let guard = &mut self.guards[instrument.index()];
        let protects = |stop: &OpenOrder| {
            stop.stage == Stage::Working && stop.side == side && !stop.cancel_pending
        };
        if ledger.stops(instrument).any(protects) {
            guard.bare = None;
            return false;
        }
        let opened = position.opened_at;
        let known = guard.bare.filter(|(of, _)| *of == opened);
        let (_, since) = *guard.bare.insert(known.unwrap_or((opened, now)));
        let most = Nanos::from_millis(i64::from(self.rules.exits.protective_ms_max));
        now - since >= most
    }

    /// Without a position a stop does no harm, but it would be there for the next one.
    fn unprotect(
        &mut self,
        instrument: InstrumentId,
        now: Nanos,
        position: &Position,
        ledger: &Ledger,
    ) -> Intent {
        let guard = &mut self.guards[instrument.index()];
        if position.stops == 0 {
            guard.flat_at = None;
            return Intent::None;
        }
        let since = *guard.flat_at.get_or_insert(now);
        if now - since < LINGER {
            return Intent::None;
        }
        ledger.stops(instrument).find_map(take_back).unwrap_or(Intent::None)
    }

    /// The stop a position should have; `None` where its price cannot be told.
    fn stop_of(
        &self,
        instrument: InstrumentId,
        facts: &InstrumentSettings,
        position: &Position,
        levels: &Levels,
    ) -> Option<Wanted> {
        let bps = i64::from(self.rules.exits.protective_stop_bps);
        let entry_px = levels.average;
        let from_px = levels.stop_px().unwrap_or(entry_px);
        // Rounded away from the market: never nearer than asked for.
        let (side, px) = if position.qty.is_positive() {
            (Side::Sell, shift_bps(from_px, -bps)?.floor_to(facts.tick_size))
        } else {
            (Side::Buy, ceil_to(shift_bps(from_px, bps)?, facts.tick_size)?)
        };
        let qty = Qty(position.qty.0.checked_abs()?).floor_to(facts.lot_size);
        let wanted = Wanted {
            instrument,
            side,
            qty,
            px,
            order_type: OrderType::StopMarket,
            time_in_force: TimeInForce::Gtc,
            purpose: Purpose::Protect,
            reference_px: entry_px,
            model_tag: self.memory[instrument.index()].model_tag,
            plan: Plan::default(),
        };
        (px.is_positive() && qty.is_positive()).then_some(wanted)
    }
}

/// Whether a stop is as good as the wanted one.
fn fits(wanted: &Wanted, r: i64, tick: Px) -> impl Fn(&OpenOrder) -> bool {
    let (side, px) = (wanted.side, wanted.px);
    let most = (r / TOLERANCE_PART).max(tick.0).unsigned_abs();
    move |stop| stop.side == side && stop.px.0.abs_diff(px.0) <= most && !stop.cancel_pending
}

/// True when the price is where the venue would trigger the stop at once.
fn is_beyond(wanted: &Wanted, position: &Position) -> bool {
    let px = position.value_px;
    px.is_positive()
        && match wanted.side {
            Side::Sell => px <= wanted.px,
            Side::Buy => px >= wanted.px,
        }
}

fn take_back(stop: &OpenOrder) -> Option<Intent> {
    stop.is_cancellable().then_some(Intent::Cancel { instrument: stop.instrument, id: stop.id })
}
