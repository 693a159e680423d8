//! The limits as numbers that are all there. RC-01: a limit that is unset, zero or below denies
//! every entry; the gate never guesses one.

use crate::base::limits::OPEN_ORDERS_MAX;
use crate::base::settings::{RiskSettings, StageName, StageSettings};
use crate::base::{Money, Nanos};

/// Every limit an entry needs. Amounts, positions at once and entries a day are what the stage
/// leaves of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Limits {
    pub(super) order_notional: Money,
    pub(super) collar_mark_bps: i64,
    pub(super) collar_touch_bps: i64,
    pub(super) collar_cumulative_bps: i64,
    pub(super) collar_denials: usize,
    pub(super) position_notional: Money,
    pub(super) gross_notional: Money,
    pub(super) net_notional: Money,
    pub(super) correlated_notional: Money,
    pub(super) positions: u32,
    pub(super) leverage_percent: i64,
    pub(super) capital: Money,
    /// The capital is that of a limited stage.
    pub(super) limited: bool,
    pub(super) duplicate_window: Nanos,
    pub(super) orders_per_10s: usize,
    pub(super) rate_denials: usize,
    pub(super) entries_per_day: u32,
    pub(super) identical_entries: u32,
    pub(super) open_orders: usize,
    pub(super) market_age: Nanos,
    pub(super) identical_predictions: u32,
    pub(super) one_sided_window: u32,
    pub(super) one_sided_percent: u32,
    pub(super) decision_age: Nanos,
    pub(super) late_percent: u32,
    pub(super) liquidation_bps: i64,
    pub(super) reduce: Nanos,
    pub(super) daily_loss: Money,
    pub(super) drawdown_bps: i64,
    pub(super) losses_in_a_row: u32,
    /// What leaves ample room within them.
    pub(super) ample: Ample,
}

/// Of each limit its four fifths, rounded down: a whole number above them is near it (RC-43).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Ample {
    pub(super) order_notional: i64,
    pub(super) collar_cumulative_bps: i64,
    pub(super) position_notional: i64,
    pub(super) gross_notional: i64,
    pub(super) net_notional: i64,
    pub(super) correlated_notional: i64,
    pub(super) positions: i64,
    pub(super) entries_per_day: i64,
    pub(super) identical_entries: i64,
    pub(super) open_orders: i64,
    pub(super) market_age: i64,
    pub(super) decision_age: i64,
    pub(super) daily_loss: i64,
    pub(super) losses_in_a_row: i64,
}

impl Ample {
    fn of(limits: &Limits) -> Self {
        Self {
            order_notional: four_fifths(limits.order_notional.0),
            collar_cumulative_bps: four_fifths(limits.collar_cumulative_bps),
            position_notional: four_fifths(limits.position_notional.0),
            gross_notional: four_fifths(limits.gross_notional.0),
            net_notional: four_fifths(limits.net_notional.0),
            correlated_notional: four_fifths(limits.correlated_notional.0),
            positions: four_fifths(limits.positions.into()),
            entries_per_day: four_fifths(limits.entries_per_day.into()),
            identical_entries: four_fifths(limits.identical_entries.into()),
            open_orders: four_fifths(limits.open_orders.min(OPEN_ORDERS_MAX) as i64),
            market_age: four_fifths(limits.market_age.0),
            decision_age: four_fifths(limits.decision_age.0),
            daily_loss: four_fifths(limits.daily_loss.0),
            losses_in_a_row: four_fifths(limits.losses_in_a_row.into()),
        }
    }
}

/// Four fifths, rounded down.
pub(super) const fn four_fifths(limit: i64) -> i64 {
    // They fit where the whole does; split so that four times it need not.
    limit / 5 * 4 + limit % 5 * 4 / 5
}

impl Limits {
    /// `None` when any of them is unset.
    pub(super) fn new(settings: &RiskSettings) -> Option<Self> {
        let portfolio = &settings.portfolio;
        // What correlations are made of belongs to `portfolio::Correlations`, and has to be there.
        count(portfolio.correlation_max_percent)?;
        count(portfolio.correlation_bar_s)?;
        count(portfolio.correlation_bars)?;
        let stage = &settings.stage;
        let percent = stage_percent(stage);
        let amount = |limit| amount(limit).map(|money| share(money, percent));
        let limits = Self {
            order_notional: amount(settings.order_notional_max)?,
            collar_mark_bps: i64::from(count(settings.collar_mark_bps)?),
            collar_touch_bps: i64::from(count(settings.collar_touch_bps)?),
            collar_cumulative_bps: i64::from(count(settings.collar_cumulative_bps)?),
            collar_denials: count(settings.collar_denials_per_min_max)? as usize,
            position_notional: amount(settings.position_notional_max)?,
            gross_notional: amount(settings.gross_notional_max)?,
            net_notional: amount(portfolio.net_notional_max)?,
            correlated_notional: amount(portfolio.correlated_notional_max)?,
            // One is the least that trades at all.
            positions: part_of(count(portfolio.positions_max)?, percent).max(1),
            leverage_percent: i64::from(count(settings.leverage_max_percent)?),
            capital: self::amount(settings.capital())?,
            limited: stage.name == StageName::LimitedLive,
            duplicate_window: millis(settings.duplicate_window_ms)?,
            orders_per_10s: count(settings.orders_per_10s_max)? as usize,
            rate_denials: count(settings.rate_denials_per_10s_max)? as usize,
            entries_per_day: part_of(count(settings.entries_per_day_max)?, percent),
            identical_entries: count(settings.identical_entries_per_min_max)?,
            open_orders: count(settings.open_orders_max)? as usize,
            market_age: millis(settings.market_age_ms_max)?,
            identical_predictions: count(settings.model_identical_max)?,
            one_sided_window: count(settings.model_one_sided_window)?,
            one_sided_percent: count(settings.model_one_sided_percent_max)?,
            decision_age: millis(settings.decision_age_ms_max)?,
            late_percent: count(settings.late_percent_max)?,
            liquidation_bps: i64::from(count(settings.liquidation_distance_bps_min)?),
            reduce: seconds(settings.reduce_s)?,
            daily_loss: self::amount(settings.daily_loss_max)?,
            drawdown_bps: i64::from(count(settings.drawdown_bps_max)?),
            losses_in_a_row: count(settings.losses_in_a_row_max)?,
            ample: Ample::default(),
        };
        Some(Self { ample: Ample::of(&limits), ..limits })
    }
}

/// RC-37: the share of the limits that the stage leaves, in percent; unset leaves all.
pub(super) fn stage_percent(stage: &StageSettings) -> u32 {
    stage.limits_percent.unwrap_or(100).min(100)
}

/// `percent` of an amount, rounded down: less is the safe side.
pub(super) fn share(money: Money, percent: u32) -> Money {
    Money(percent_of(money.0, percent))
}

/// The same of a number of any unit.
pub(super) fn percent_of(number: i64, percent: u32) -> i64 {
    i64::try_from(i128::from(number) * i128::from(percent) / 100).unwrap_or(0)
}

/// The same of a count. A count that rounds to nothing allows nothing.
fn part_of(number: u32, percent: u32) -> u32 {
    u32::try_from(u64::from(number) * u64::from(percent) / 100).unwrap_or(0)
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

fn seconds(limit: Option<u32>) -> Option<Nanos> {
    count(limit).map(|number| Nanos::from_secs(i64::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::LIMITED_CAPITAL_MAX;

    #[test]
    fn a_share_rounds_down_and_a_stage_never_gives_more_than_all() {
        assert_eq!((share(Money(199), 50), share(Money(199), 1)), (Money(99), Money(1)));
        assert_eq!(
            (share(Money(i64::MAX), 100), part_of(199, 50), part_of(9, 10)),
            (Money(i64::MAX), 99, 0)
        );
        let percent = |limits_percent| {
            stage_percent(&StageSettings { limits_percent, ..StageSettings::default() })
        };
        assert_eq!([percent(None), percent(Some(7)), percent(Some(101))], [100, 7, 100]);
    }

    #[test]
    fn four_fifths_are_the_last_that_five_times_which_is_within_four_times_the_whole() {
        for limit in (0..40).chain([i64::MAX - 4, i64::MAX - 3, i64::MAX - 2, i64::MAX]) {
            let (whole, part) = (i128::from(limit), i128::from(four_fifths(limit)));
            assert!(part * 5 <= whole * 4 && (part + 1) * 5 > whole * 4, "{limit}");
        }
    }

    #[test]
    fn a_share_that_is_too_large_to_be_told_allows_nothing() {
        assert_eq!((share(Money::MAX, 101), part_of(u32::MAX, 101)), (Money::ZERO, 0));
    }

    #[test]
    fn rc_37_a_stage_has_its_part_of_the_positions_too_and_at_least_one() {
        let positions = |most, percent| {
            let mut settings = crate::risk::tests::generous();
            settings.portfolio.positions_max = Some(most);
            settings.stage.limits_percent = Some(percent);
            Limits::new(&settings).unwrap().positions
        };
        assert_eq!([positions(30, 10), positions(29, 10), positions(1, 10)], [3, 2, 1]);
        assert_eq!([positions(30, 100), positions(2, 50)], [30, 1]);
    }

    #[test]
    fn limited_live_has_the_least_of_its_own_and_the_fixed_capital() {
        let capital = |name, capital_max| {
            StageSettings { name, capital_max, ..StageSettings::default() }.capital()
        };
        let more = Money(LIMITED_CAPITAL_MAX.0 + 1);
        let limited = StageName::LimitedLive;
        assert_eq!(capital(limited, None), Some(LIMITED_CAPITAL_MAX));
        assert_eq!(capital(limited, Some(more)), Some(LIMITED_CAPITAL_MAX));
        assert_eq!(capital(limited, Some(Money(1))), Some(Money(1)));
        assert_eq!(capital(StageName::Full, Some(more)), Some(more));
        assert_eq!(capital(StageName::Full, None), None);
    }
}
