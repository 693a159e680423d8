//! What the paper venue sees of one instrument's market: the touch and what we took of it.

use crate::base::{Nanos, Px, Qty, Rate, Side};

/// Best bid and ask with their quantities; zeros where a side is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touch {
    /// Best bid price.
    pub bid_px: Px,
    /// Quantity at it.
    pub bid_qty: Qty,
    /// Best ask price.
    pub ask_px: Px,
    /// Quantity at it.
    pub ask_qty: Qty,
}

/// One instrument's market.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Market {
    pub(super) touch: Touch,
    /// What our fills took of the displayed bid and ask since they were last displayed anew.
    taken: [Qty; 2],
    /// Touch comes from bookTicker events; nothing else may set it.
    pub(super) has_ticker: bool,
    /// Kind number of the trade events that count; 0 before the first. The two streams repeat each
    /// other.
    pub(super) trade_kind: u8,
    pub(super) mark_px: Px,
    pub(super) funding_rate: Rate,
    /// Next funding time, 0 if not known.
    pub(super) funding_at: Nanos,
    /// Last funding time settled.
    pub(super) funded_at: Nanos,
    pub(super) last_fill_px: Px,
    /// Our resting orders.
    pub(super) resting: u16,
}

impl Market {
    /// Takes a new touch; what we took of a side counts until that side changes.
    pub(super) fn set_touch(&mut self, touch: Touch) {
        let old = self.touch;
        if (old.bid_px, old.bid_qty) != (touch.bid_px, touch.bid_qty) {
            self.taken[0] = Qty::ZERO;
        }
        if (old.ask_px, old.ask_qty) != (touch.ask_px, touch.ask_qty) {
            self.taken[1] = Qty::ZERO;
        }
        self.touch = touch;
    }

    /// Price and untaken quantity that an order of `side` meets; `None` where there is nobody.
    pub(super) fn opposite(&self, side: Side) -> Option<(Px, Qty)> {
        let (px, qty, taken) = match side {
            Side::Buy => (self.touch.ask_px, self.touch.ask_qty, self.taken[1]),
            Side::Sell => (self.touch.bid_px, self.touch.bid_qty, self.taken[0]),
        };
        let left = Qty(qty.0.saturating_sub(taken.0).max(0));
        px.is_positive().then_some((px, left))
    }

    /// Displayed at the price that an order of `side` meets, what we took of it included.
    pub(super) fn touch_qty(&self, side: Side) -> Qty {
        match side {
            Side::Buy => self.touch.ask_qty,
            Side::Sell => self.touch.bid_qty,
        }
    }

    /// Notes that an order of `side` took `qty` of what was displayed.
    pub(super) fn take(&mut self, side: Side, qty: Qty) {
        let taken = &mut self.taken[usize::from(side == Side::Buy)];
        *taken = Qty(taken.0.saturating_add(qty.0));
    }

    /// Displayed at `px` on an order's own side, as far as the touch tells: nothing in front of the
    /// touch, its quantity at the touch, not known behind it.
    pub(super) fn displayed(&self, side: Side, px: Px) -> Option<Qty> {
        let (best, qty) = match side {
            Side::Buy => (self.touch.bid_px, self.touch.bid_qty),
            Side::Sell => (self.touch.ask_px, self.touch.ask_qty),
        };
        if !best.is_positive() {
            return None;
        }
        let ahead = match side {
            Side::Buy => px > best,
            Side::Sell => px < best,
        };
        if ahead { Some(Qty::ZERO) } else { (px == best).then_some(qty) }
    }

    /// What positions are valued at: mark price, else mid, else the last fill.
    pub(super) fn value_px(&self) -> Px {
        let Touch { bid_px, ask_px, .. } = self.touch;
        if self.mark_px.is_positive() {
            self.mark_px
        } else if bid_px.is_positive() && bid_px < ask_px {
            Px(bid_px.0 + (ask_px.0 - bid_px.0) / 2)
        } else {
            self.last_fill_px
        }
    }
}
