//! The mark price beside the middle of the touch (RC-19): whether the two tell the same market.

use crate::base::units::quotient;
use crate::ledger::Position;

/// The mark price and the middle of the touch, where both are known.
#[derive(Clone, Copy)]
pub(super) struct Gap {
    apart: i64,
    mark: i64,
}

impl Gap {
    #[inline(always)]
    pub(super) fn of(position: &Position) -> Option<Self> {
        let (mark, mid) = (position.mark_px, position.mid());
        let known = mark.is_positive() && mid.is_positive();
        // Both are above zero: what they differ in fits.
        known.then(|| Self { apart: (mark.0 - mid.0).abs(), mark: mark.0 })
    }

    /// True above so many basis points of the mark price, by any part of one.
    fn exceeds(self, bps: u32) -> bool {
        i128::from(self.apart) * 10_000 > i128::from(self.mark) * i128::from(bps)
    }

    /// In basis points of the mark price, rounded up.
    pub(super) fn bps(self) -> i64 {
        let mark = i128::from(self.mark);
        let bps = quotient(i128::from(self.apart) * 10_000 + mark - 1, mark);
        i64::try_from(bps).unwrap_or(i64::MAX)
    }
}

/// Too far apart above `most`, until within half of it. What is not known changes nothing.
pub(super) fn diverges(was: bool, gap: Option<Gap>, most: u32) -> bool {
    // Whole basis points, rounded up, are above half of a number where they are above its half
    // rounded down.
    let bound = if was { most / 2 } else { most };
    gap.map_or(was, |gap| gap.exceeds(bound))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Px;

    fn gap(mark: i64, bid: i64, ask: i64) -> Option<Gap> {
        let mut position = Position::default();
        (position.mark_px, position.bid, position.ask) = (Px(mark), Px(bid), Px(ask));
        Gap::of(&position)
    }

    #[test]
    fn a_gap_is_known_of_a_mark_price_and_a_touch_and_told_rounded_up() {
        assert!(gap(0, 99, 101).is_none() && gap(100, 0, 101).is_none());
        assert!(gap(100, 101, 101).is_none(), "crossed");
        let told = |mark, bid, ask| gap(mark, bid, ask).map(Gap::bps);
        assert_eq!(told(100, 99, 101), Some(0));
        assert_eq!([told(100, 100, 102), told(100, 98, 100)], [Some(100); 2]);
        assert_eq!([told(300, 300, 302), told(300, 298, 300)], [Some(34); 2], "33 and a third");
    }

    #[test]
    fn a_gap_exceeds_what_its_whole_basis_points_do_and_ends_within_half_of_it() {
        for mid in 9_980..10_020 {
            for mark in [9_999, 10_000, 20_001] {
                let gap = gap(mark, mid - 1, mid + 1).unwrap();
                for most in 0..25 {
                    let told = gap.bps();
                    let begins = told > i64::from(most);
                    let goes_on = begins || told * 2 > i64::from(most);
                    assert_eq!(diverges(false, Some(gap), most), begins, "{mark} {mid} {most}");
                    assert_eq!(diverges(true, Some(gap), most), goes_on, "{mark} {mid} {most}");
                }
            }
        }
        assert!(diverges(true, None, 1) && !diverges(false, None, 1));
    }
}
