//! RC-22 to RC-24: the day's loss, the fall from the peak, losses in a row.
//!
//! ```text
//!   day's loss  (equity at 00:00 UTC − equity) / equity at 00:00 UTC      never below zero
//!   drawdown    (highest equity − equity) / highest equity
//!   equity      starting + realised + unrealised − fees + funding
//! ```
//! All three are the ledger's, which an earlier session's journal gives its start.

use super::board::Board;
use crate::base::{Control, Money, Nanos};
use crate::ledger::Ledger;

const WHOLE: i128 = 10_000;

/// Judges the books as they are.
pub(super) fn judge(board: &mut Board, ledger: &Ledger, now: Nanos) {
    let loss = ledger.day_loss();
    board.judge(Control::DayLoss, share_bps(loss, ledger.day_start_equity()), now);
    board.judge(Control::DayLossAmount, loss.0, now);
    let peak = ledger.peak_equity();
    let fall = Money(peak.0.saturating_sub(ledger.equity().0));
    // Where there never was capital, all of it is gone.
    let fallen = if peak.is_positive() { share_bps(fall, peak) } else { WHOLE as i64 };
    board.judge(Control::Drawdown, fallen, now);
    board.judge(Control::LossesInARow, i64::from(ledger.losses_in_a_row()), now);
}

/// `part` of `whole` in basis points, rounded down: a limit of whole basis points is reached by it
/// exactly when the amounts reach it.
fn share_bps(part: Money, whole: Money) -> i64 {
    if part.0 <= 0 {
        return 0;
    }
    if whole.0 <= 0 {
        return WHOLE as i64;
    }
    let share = i128::from(part.0) * WHOLE / i128::from(whole.0);
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// Share of their size that entries have after so many losses in a row, in percent.
pub(super) const fn size_percent(losses: u32, half: u32, quarter: u32) -> u32 {
    if losses >= quarter {
        25
    } else if losses >= half {
        50
    } else {
        100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_reaches_a_limit_exactly_when_the_amount_does() {
        let whole = Money::whole(1_000);
        // 3 % of 1000 is 30.
        assert_eq!(share_bps(Money::whole(30), whole), 300);
        assert_eq!(share_bps(Money(Money::whole(30).0 - 1), whole), 299);
        assert_eq!(share_bps(Money::ZERO, Money::ZERO), 0);
        assert_eq!(share_bps(Money(1), Money::ZERO), 10_000, "any loss of nothing is all of it");
        assert_eq!(share_bps(Money(2), Money(1)), 20_000, "twice what there was");
        assert_eq!(share_bps(Money(-1), whole), 0);
    }

    #[test]
    fn size_halves_at_one_number_of_losses_and_halves_again_at_the_next() {
        let sizes: Vec<u32> = (0..6).map(|losses| size_percent(losses, 3, 4)).collect();
        assert_eq!(sizes, [100, 100, 100, 50, 25, 25]);
    }
}
