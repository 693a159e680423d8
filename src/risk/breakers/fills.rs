//! RC-25: every fill against the decision it comes from, and its fee against its value.

use super::balance::Live;
use super::board::Board;
use crate::base::event::OrderReport;
use crate::base::units::SCALE;
use crate::base::{Control, Event, Purpose};

/// Judges a fill that was booked; `order` is what it belongs to, where that is known.
pub(super) fn judge(board: &mut Board, event: &Event, order: Option<&Live>) {
    let report: &OrderReport = event.body();
    let now = event.now();
    let value = i128::from(report.last_px) * i128::from(report.last_qty) / i128::from(SCALE);
    board.judge(Control::Fee, share_bps_up(i128::from(report.fee).abs(), value), now);
    let Some(order) = order else { return };
    // A stop fills where the market is when it triggers: that is what it is for.
    if order.purpose == Purpose::Protect || order.reference_px <= 0 {
        return;
    }
    let worse = i128::from(report.last_px - order.reference_px) * i128::from(event.side().sign());
    let slipped = share_bps_up(worse, i128::from(order.reference_px));
    board.judge(Control::Slippage, slipped, now);
}

/// `part` of `whole` in basis points, rounded up; zero for a part that is none.
fn share_bps_up(part: i128, whole: i128) -> i64 {
    if part <= 0 {
        return 0;
    }
    if whole <= 0 {
        return i64::MAX;
    }
    i64::try_from((part * 10_000 + whole - 1) / whole).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_up_so_that_what_is_above_a_limit_is_seen() {
        assert_eq!(share_bps_up(50, 10_000), 50);
        assert_eq!(share_bps_up(50_001, 10_000_000), 51);
        // By the least remainder too: ten thousand of 9 999 leave one.
        assert_eq!(share_bps_up(1, 9_999), 2);
        assert_eq!((share_bps_up(0, 0), share_bps_up(-1, 1)), (0, 0));
        assert_eq!((share_bps_up(1, 0), share_bps_up(1, 1)), (i64::MAX, 10_000));
    }
}
