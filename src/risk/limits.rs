//! The limits as numbers that are all there. RC-01: a limit that is unset, zero or below denies
//! every entry; the gate never guesses one.

use crate::base::settings::RiskSettings;
use crate::base::{Money, Nanos};

/// Every limit an entry needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Limits {
    pub(super) order_notional: Money,
    pub(super) collar_mark_bps: i64,
    pub(super) collar_touch_bps: i64,
    pub(super) position_notional: Money,
    pub(super) gross_notional: Money,
    pub(super) leverage_percent: i64,
    pub(super) duplicate_window: Nanos,
    pub(super) orders_per_10s: usize,
    pub(super) entries_per_day: u32,
    pub(super) open_orders: usize,
    pub(super) market_age: Nanos,
    pub(super) decision_age: Nanos,
    pub(super) daily_loss: Money,
    pub(super) drawdown_bps: i64,
    pub(super) losses_in_a_row: u32,
}

impl Limits {
    /// `None` when any of them is unset.
    pub(super) fn new(settings: &RiskSettings) -> Option<Self> {
        Some(Self {
            order_notional: amount(settings.order_notional_max)?,
            collar_mark_bps: i64::from(count(settings.collar_mark_bps)?),
            collar_touch_bps: i64::from(count(settings.collar_touch_bps)?),
            position_notional: amount(settings.position_notional_max)?,
            gross_notional: amount(settings.gross_notional_max)?,
            leverage_percent: i64::from(count(settings.leverage_max_percent)?),
            duplicate_window: millis(settings.duplicate_window_ms)?,
            orders_per_10s: count(settings.orders_per_10s_max)? as usize,
            entries_per_day: count(settings.entries_per_day_max)?,
            open_orders: count(settings.open_orders_max)? as usize,
            market_age: millis(settings.market_age_ms_max)?,
            decision_age: millis(settings.decision_age_ms_max)?,
            daily_loss: amount(settings.daily_loss_max)?,
            drawdown_bps: i64::from(count(settings.drawdown_bps_max)?),
            losses_in_a_row: count(settings.losses_in_a_row_max)?,
        })
    }
}

pub(super) fn amount(limit: Option<Money>) -> Option<Money> {
    limit.filter(|money| money.is_positive())
}

pub(super) fn count(limit: Option<u32>) -> Option<u32> {
    limit.filter(|&number| number > 0)
}

fn millis(limit: Option<u32>) -> Option<Nanos> {
    count(limit).map(|number| Nanos::from_millis(i64::from(number)))
}
