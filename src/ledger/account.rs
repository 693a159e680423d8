//! What the venue last told of our account there: kept beside the books, never mixed into them.
//!
//! Nothing here is a decision. Whoever decides asks how old it is: what was never told, or long
//! ago, is not known, and not known is not zero.

use super::Ledger;
use crate::base::event::{AccountStatus, MarginStatus};
use crate::base::units::quotient;
use crate::base::{Event, InstrumentId, Kind, Money, Nanos, Px, Qty};

/// The account's margins, in the quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// What the wallet holds.
    pub wallet: Money,
    /// Equity: the wallet and the unrealised profit of every position.
    pub equity: Money,
    /// Margin that positions and open orders take.
    pub initial_margin: Money,
    /// Equity below which the venue liquidates.
    pub maintenance_margin: Money,
    /// What new orders may take as margin.
    pub available: Money,
    /// When it was asked for, by our clock: it is as old as that.
    pub at: Nanos,
}

/// One position's margin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Margin {
    /// The position it was told for.
    pub qty: Qty,
    /// Mark price at which the venue liquidates, as it says; zero for none.
    pub liquidation_px: Px,
    /// The same by our own arithmetic; zero for none, below zero where it is not known.
    pub computed_px: Px,
    /// Mark price it was told at.
    pub mark_px: Px,
    /// When it was told.
    pub at: Nanos,
}

impl Margin {
    /// The liquidation price that is nearer to `mark`, of the venue's and ours; `None` for neither.
    fn nearest(&self, mark: Px) -> Option<Px> {
        let (told, ours) = (self.liquidation_px, self.computed_px);
        match (told.is_positive(), ours.is_positive()) {
            (true, true) if ours.0.abs_diff(mark.0) < told.0.abs_diff(mark.0) => Some(ours),
            (true, _) => Some(told),
            (false, true) => Some(ours),
            (false, false) => None,
        }
    }
}

impl Ledger {
    /// The account as the venue last told it; `None` before it did.
    pub const fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// The instrument's margin as the venue last told it; `None` before it did.
    pub fn margin(&self, instrument: InstrumentId) -> Option<&Margin> {
        self.margins.get(instrument.index())?.as_ref()
    }

    /// How far the mark price is from the liquidation price, in basis points of the mark price;
    /// zero at it and beyond it. `None` while flat, where no price is known, and where the position
    /// cannot be liquidated.
    pub fn liquidation_bps(&self, instrument: InstrumentId) -> Option<u32> {
        let position = self.position(instrument)?;
        let margin = self.margin(instrument)?;
        if position.qty == Qty::ZERO || margin.qty.0.signum() != position.qty.0.signum() {
            return None;
        }
        let told = position.mark_px.is_positive();
        let mark = if told { position.mark_px } else { margin.mark_px };
        let liquidation = margin.nearest(mark).filter(|_| mark.is_positive())?;
        let above = i128::from(mark.0) - i128::from(liquidation.0);
        let away = if position.qty.is_positive() { above } else { -above };
        let bps = quotient(away.max(0) * 10_000, i128::from(mark.0));
        Some(u32::try_from(bps).unwrap_or(u32::MAX))
    }

    /// True where [`Ledger::liquidation_bps`] is for certain none or at least `bps`, which it tells
    /// without a quotient. False says nothing: prices on the wrong side, or no mark price.
    #[inline(always)]
    pub fn is_far_from_liquidation(&self, instrument: InstrumentId, bps: i64) -> bool {
        let Some(position) = self.position(instrument) else { return false };
        let Some(margin) = self.margin(instrument) else { return true };
        let (held, mark) = (position.qty.0, position.mark_px.0);
        let (told, ours) = (margin.liquidation_px.0, margin.computed_px.0);
        // The nearer one: the higher below a long position, the lower above a short one. None is
        // below all and above all. Two prices above zero differ in what fits.
        let away = if held > 0 {
            mark.wrapping_sub(told.max(ours).max(0))
        } else {
            let or_none = |px: i64| if px > 0 { px } else { i64::MAX };
            or_none(told).min(or_none(ours)).wrapping_sub(mark)
        };
        let beyond = i128::from(away) * 10_000 >= i128::from(mark) * i128::from(bps);
        held == 0 || mark > 0 && beyond
    }

    pub(super) fn on_account(&mut self, event: &Event) {
        if event.kind() == Some(Kind::AccountStatus) {
            let body: &AccountStatus = event.body();
            let asked = Nanos(body.ts_asked);
            self.account = Some(Account {
                wallet: Money(body.wallet),
                equity: Money(body.equity),
                initial_margin: Money(body.initial_margin),
                maintenance_margin: Money(body.maintenance_margin),
                available: Money(body.available),
                at: if asked > Nanos::ZERO { asked.min(event.now()) } else { event.now() },
            });
            return;
        }
        let body: &MarginStatus = event.body();
        if let Some(margin) = self.margins.get_mut(event.instrument().index()) {
            *margin = Some(Margin {
                qty: Qty(body.qty),
                liquidation_px: Px(body.liquidation_px),
                computed_px: Px(body.computed_px),
                mark_px: Px(body.mark_px),
                at: event.now(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{MarkPrice, OrderReport};
    use crate::base::units::SCALE;

    const BTC: InstrumentId = InstrumentId(0);

    fn at(second: i64, event: Event) -> Event {
        Event { ts_recv: second * 1_000_000_000, ..event }
    }

    fn holding(qty: i64) -> Ledger {
        let mut ledger = Ledger::new(1, Money(10_000 * SCALE));
        let bought = OrderReport {
            last_px: 100 * SCALE,
            last_qty: qty.abs(),
            trade_id: 1,
            ..OrderReport::default()
        };
        let side = if qty < 0 { crate::base::event::flags::SELL } else { 0 };
        ledger.on_event(&at(1, Event::new(Kind::OrderFilled, BTC, &bought).with_flags(side)));
        ledger
    }

    fn told(qty: i64, venue: i64, ours: i64) -> Event {
        told_in_units(qty, venue * SCALE, ours * SCALE)
    }

    fn told_in_units(qty: i64, liquidation_px: i64, computed_px: i64) -> Event {
        let mark_px = 100 * SCALE;
        let body = MarginStatus { qty, mark_px, liquidation_px, computed_px, ..Default::default() };
        at(2, Event::new(Kind::MarginStatus, BTC, &body))
    }

    fn marked(mark_px: i64) -> Event {
        at(2, Event::new(Kind::MarkPrice, BTC, &MarkPrice { mark_px, ..MarkPrice::default() }))
    }

    #[test]
    fn an_account_is_not_known_before_it_is_told_and_as_old_as_its_question() {
        let mut ledger = Ledger::new(1, Money(10));
        assert_eq!(ledger.account(), None);
        let body = AccountStatus { equity: 7, ts_asked: 4_000_000_000, ..Default::default() };
        ledger.on_event(&at(5, Event::new(Kind::AccountStatus, InstrumentId::NONE, &body)));
        let account = ledger.account().unwrap();
        assert_eq!((account.equity, account.at), (Money(7), Nanos::from_secs(4)));
        assert_eq!(ledger.equity(), Money(10), "the venue's word is kept beside the books");
    }

    #[test]
    fn the_distance_is_to_the_nearer_price_from_the_newest_mark_and_zero_beyond_it() {
        let mut ledger = holding(SCALE);
        assert_eq!(ledger.liquidation_bps(BTC), None, "never told");
        ledger.on_event(&told(SCALE, 80, 85));
        assert_eq!(ledger.liquidation_bps(BTC), Some(1_500), "ours is nearer");
        ledger.on_event(&told(SCALE, 80, 0));
        assert_eq!(ledger.liquidation_bps(BTC), Some(2_000));
        let mark = MarkPrice { mark_px: 90 * SCALE, ..MarkPrice::default() };
        ledger.on_event(&at(3, Event::new(Kind::MarkPrice, BTC, &mark)));
        assert_eq!(ledger.liquidation_bps(BTC), Some(1_111), "10 of 90");
        let mark = MarkPrice { mark_px: 70 * SCALE, ..MarkPrice::default() };
        ledger.on_event(&at(4, Event::new(Kind::MarkPrice, BTC, &mark)));
        assert_eq!(ledger.liquidation_bps(BTC), Some(0));
        // A short one may be as far away as the price is high, many times over.
        let mut short = holding(-SCALE);
        short.on_event(&told(-SCALE, 10_100, 0));
        assert_eq!(short.liquidation_bps(BTC), Some(1_000_000), "100 times the mark price");
        ledger.on_event(&told(SCALE, 0, 0));
        assert_eq!(ledger.liquidation_bps(BTC), None, "it cannot be liquidated");
    }

    #[test]
    fn what_is_far_from_liquidation_without_a_quotient_is_so_with_it() {
        for (held, flat) in [(SCALE, false), (-SCALE, false), (SCALE, true), (1, false)] {
            for (venue, ours) in [(0, 0), (80, 0), (0, 85), (-1, 80), (85, 80), (80, 85)] {
                // Above a short one they are mirrored at the mark price of 100.
                let mirror = |px: i64| if held < 0 && px > 0 { 200 - px } else { px };
                let mut ledger = holding(held);
                ledger.on_event(&marked(100 * SCALE));
                assert!(ledger.is_far_from_liquidation(BTC, i64::MAX), "never told");
                ledger.on_event(&told(held, mirror(venue), mirror(ours)));
                if flat {
                    ledger.position_mut(BTC).qty = Qty::ZERO;
                }
                for bps in [1, 1_499, 1_500, 1_501, 2_000, 2_001, 10_000] {
                    let exact = ledger.liquidation_bps(BTC).is_none_or(|away| away >= bps);
                    let told = ledger.is_far_from_liquidation(BTC, bps.into());
                    assert_eq!(told, exact, "{held} {flat} {venue} {ours} {bps}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_basis_point_is_not_one_without_a_quotient_either() {
        let mut ledger = holding(SCALE);
        ledger.on_event(&marked(100 * SCALE));
        for (liquidation, far) in [(85 * SCALE, true), (85 * SCALE + 1, false)] {
            ledger.on_event(&told_in_units(SCALE, liquidation, 0));
            assert_eq!(ledger.is_far_from_liquidation(BTC, 1_500), far, "{liquidation}");
        }
        // All of a price of one unit.
        ledger.on_event(&told_in_units(SCALE, 0, 0));
        ledger.on_event(&marked(1));
        assert!(ledger.is_far_from_liquidation(BTC, 10_000));
    }

    #[test]
    fn what_cannot_be_told_without_a_quotient_is_not_far_from_liquidation() {
        for (held, venue) in [(SCALE, 80), (-SCALE, 120)] {
            let mut ledger = holding(held);
            ledger.on_event(&told(held, venue, 0));
            assert!(!ledger.is_far_from_liquidation(BTC, 1), "no mark price");
            assert!(!ledger.is_far_from_liquidation(InstrumentId(1), 1), "not in the table");
            ledger.on_event(&marked(100 * SCALE));
            assert!(ledger.is_far_from_liquidation(BTC, 2_000));
            ledger.on_event(&told(held, venue, 200 - venue));
            assert!(!ledger.is_far_from_liquidation(BTC, 1), "one is on the wrong side");
            ledger.on_event(&told_in_units(held, if held > 0 { 200 * SCALE } else { 1 }, 0));
            assert!(!ledger.is_far_from_liquidation(BTC, 1), "the only one is");
        }
    }

    #[test]
    fn an_account_is_never_newer_than_now_and_as_new_as_its_telling_where_no_question_is_told() {
        for (asked, second) in [(0, 5), (1_000_000_000, 1), (7_000_000_000, 5)] {
            let mut ledger = Ledger::new(1, Money(10));
            let body = AccountStatus { ts_asked: asked, ..AccountStatus::default() };
            ledger.on_event(&at(5, Event::new(Kind::AccountStatus, InstrumentId::NONE, &body)));
            assert_eq!(ledger.account().unwrap().at, Nanos::from_secs(second), "{asked}");
        }
    }

    #[test]
    fn of_two_prices_as_near_the_venue_s_counts_and_at_a_price_of_a_few_units_none_is_zero() {
        let mut ledger = holding(SCALE);
        ledger.on_event(&told(SCALE, 80, 120));
        assert_eq!(ledger.liquidation_bps(BTC), Some(2_000));
        let close = MarginStatus { qty: 1, mark_px: 9, liquidation_px: 9, ..Default::default() };
        ledger.on_event(&at(3, Event::new(Kind::MarginStatus, BTC, &close)));
        assert_eq!(ledger.liquidation_bps(BTC), Some(0));
    }

    #[test]
    fn what_is_flat_has_no_liquidation_however_its_margin_is_told() {
        let mut ledger = Ledger::new(1, Money(10));
        for qty in [0, SCALE, -SCALE] {
            ledger.on_event(&told(qty, 80, 0));
            assert_eq!(ledger.liquidation_bps(BTC), None, "{qty}");
        }
    }

    #[test]
    fn a_short_is_liquidated_above_and_another_side_s_price_is_none() {
        let mut ledger = holding(-SCALE);
        ledger.on_event(&told(-SCALE, 125, 0));
        assert_eq!(ledger.liquidation_bps(BTC), Some(2_500));
        ledger.on_event(&told(SCALE, 80, 0));
        assert_eq!(ledger.liquidation_bps(BTC), None, "told of the position before it turned");
    }
}
