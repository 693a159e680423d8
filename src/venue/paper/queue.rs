//! Where a resting order stands among the displayed quantity at its price.
//!
//! ```text
//!   level    | front (before us) | ours | back (behind us) |
//!   trade    takes from the front; what is left over fills us
//!   drop d that trades do not explain:
//!     risk-averse    front stays, but never exceeds what is displayed
//!     probabilistic  front ← min(front − (1−p)·d + min(back − p·d, 0), displayed)
//!                    p = back² / (back² + front²)
//! ```
//! The probabilistic model is hftbacktest's power model with exponent 2, in integers: p is kept in
//! 1/2^32, and what we advance is rounded down.

use crate::base::Qty;
use crate::base::settings::QueueModel;

/// Quantity ahead that is not known: the level was never displayed to us.
const NOT_SEEN: i64 = i64::MAX;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuePosition {
    front: i64,
    /// Displayed at the price when last told.
    level: i64,
    /// Traded at the price since then.
    traded: i64,
}

impl QueuePosition {
    /// Behind everything displayed at the price; `None` where nothing was displayed to us yet.
    pub fn behind(displayed: Option<Qty>) -> Self {
        match displayed {
            Some(qty) => Self { front: qty.0.max(0), level: qty.0.max(0), traded: 0 },
            None => Self { front: NOT_SEEN, level: 0, traded: 0 },
        }
    }

    /// Quantity before us; `None` while not known.
    pub fn front(&self) -> Option<Qty> {
        (self.front != NOT_SEEN).then_some(Qty(self.front))
    }

    /// A trade of `qty` at our price; how much of it reaches us.
    pub fn on_trade(&mut self, qty: Qty) -> Qty {
        if self.front == NOT_SEEN {
            return Qty::ZERO;
        }
        self.traded = self.traded.saturating_add(qty.0);
        let reaching = qty.0.saturating_sub(self.front).max(0);
        self.front = self.front.saturating_sub(qty.0).max(0);
        Qty(reaching)
    }

    /// The level is displayed with `displayed`, which does not hold our own order.
    pub fn on_level(&mut self, displayed: Qty, model: QueueModel) {
        let displayed = displayed.0.max(0);
        if self.front == NOT_SEEN {
            *self = Self::behind(Some(Qty(displayed)));
            return;
        }
        let drop = self.level.saturating_sub(displayed).saturating_sub(self.traded);
        if drop > 0 && model == QueueModel::Probabilistic {
            self.advance(drop);
        }
        self.front = self.front.min(displayed).max(0);
        self.level = displayed;
        self.traded = 0;
    }

    fn advance(&mut self, drop: i64) {
        let front = self.front.unsigned_abs();
        let back = self.level.saturating_sub(self.front).max(0).unsigned_abs();
        // Squares of 40 bits, shifted by 32, stay within 112 bits.
        let bits = 64 - (front | back).leading_zeros();
        let shift = bits.saturating_sub(40);
        let squared = |qty: u64| u128::from(qty >> shift).pow(2);
        let (front_2, back_2) = (squared(front), squared(back));
        let sum = front_2 + back_2;
        if sum == 0 {
            return;
        }
        let drop_wide = drop.unsigned_abs();
        let behind_share = (back_2 << 32) / sum;
        let from_behind = (u128::from(drop_wide) * behind_share) >> 32;
        let from_behind = u64::try_from(from_behind).unwrap_or(drop_wide);
        let ahead_share = (1_u128 << 32) - behind_share;
        let from_ahead = (u128::from(drop_wide) * ahead_share) >> 32;
        let from_ahead = u64::try_from(from_ahead).unwrap_or(drop_wide);
        // More cancelled behind us than there was: the rest was ahead.
        let spilled = from_behind.saturating_sub(back);
        let advance = i64::try_from(from_ahead.saturating_add(spilled)).unwrap_or(i64::MAX);
        self.front = self.front.saturating_sub(advance).max(0);
    }
}
