//! Which entries pass at a glance. That they pass each check as well, and narrowly those that are
//! told, every test of this room sees (`gate::order`).

use super::*;
use crate::base::event::MarginStatus;
use crate::base::units::SCALE;
use crate::risk::gate::glances;

/// True when the order is approved at a glance, and false when by each check.
#[track_caller]
fn at_a_glance(desk: &mut Desk, wanted: &Wanted) -> bool {
    let before = glances();
    desk.passes(wanted);
    glances() > before
}

fn desk(change: fn(&mut RiskSettings)) -> Desk {
    let mut settings = generous();
    change(&mut settings);
    Desk::new(&settings)
}

/// A sale of 1 at the bid.
fn sale() -> Wanted {
    Wanted { purpose: Purpose::Entry, ..exit() }
}

#[test]
fn an_ordinary_entry_passes_at_a_glance_on_either_side_and_beside_others() {
    let mut desk = desk(|_| {});
    for _ in 0..3 {
        assert!(at_a_glance(&mut desk, &Wanted { px: px("99.9"), ..entry() }));
        desk.now = desk.now + Nanos::from_millis(10);
        assert!(at_a_glance(&mut desk, &Wanted { px: px("100.2"), ..sale() }));
        desk.now = desk.now + Nanos::from_millis(10);
    }
    desk.hold(ETH, Side::Sell, qty("5"), px("100"));
    assert!(at_a_glance(&mut desk, &Wanted { instrument: ETH, ..sale() }));
}

#[test]
fn what_is_no_entry_is_looked_at_closer() {
    let mut desk = desk(|_| {});
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    assert!(!at_a_glance(&mut desk, &exit()));
}

/// The least limits that let an entry of 100.1 at worst pass at a glance, and a unit less: it
/// passes, but a quotient or a sum is too near for a glance.
#[test]
fn what_needs_a_quotient_passes_at_a_glance_up_to_where_no_rounding_brings_it_near() {
    type Set = fn(&mut RiskSettings, &str);
    let cases: [(&str, &str, Set); 3] = [
        // Four fifths of it are 100.1.
        ("125.125", "125.12499998", |s, v| s.portfolio.net_notional_max = Some(money(v))),
        ("125.125", "125.12499998", |s, v| s.portfolio.correlated_notional_max = Some(money(v))),
        // Half of it is 10.01, a tenth of 100.1.
        ("20.02", "20.01999999", |s, v| s.capital_max = Some(money(v))),
    ];
    for (index, (enough, less, set)) in cases.into_iter().enumerate() {
        for (value, glances) in [(enough, true), (less, false)] {
            let mut settings = generous();
            set(&mut settings, value);
            let mut desk = Desk::new(&settings);
            assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{index} {value}");
        }
    }
}

#[test]
fn what_cost_nothing_so_far_is_not_near_the_least_collar_at_a_glance() {
    let mut desk = desk(|settings| settings.collar_cumulative_bps = Some(1));
    assert!(at_a_glance(&mut desk, &entry()));
}

#[test]
fn others_that_do_not_move_along_are_not_counted_for_a_glance() {
    for (most, apart, glances) in [
        // All of it: 200 of the other, and 100.1.
        ("375.125", false, true),
        ("375.12499998", false, false),
        ("375.12499998", true, true),
        ("125.125", true, true),
        ("125.12499998", true, false),
    ] {
        let mut settings = generous();
        settings.portfolio.correlated_notional_max = Some(money(most));
        settings.portfolio.correlation_bar_s = Some(1);
        let mut desk = Desk::new(&settings);
        if apart {
            every_limit::apart(&mut desk, 8);
        } else {
            desk.hold(ETH, Side::Buy, qty("2"), px("100"));
        }
        assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{most} {apart}");
    }
}

#[test]
fn twice_the_distance_to_liquidation_passes_at_a_glance_of_the_account_and_of_the_position() {
    for (bps, glances) in [(500, true), (501, false)] {
        let mut settings = generous();
        settings.liquidation_distance_bps_min = Some(bps);
        settings.leverage_max_percent = Some(12_500);
        // A tenth of 1001, which ten are worth.
        settings.starting_equity = Some(money("100.1"));
        let mut desk = Desk::new(&settings);
        let ten = Wanted { qty: qty("10"), ..entry() };
        assert_eq!(at_a_glance(&mut desk, &ten), glances, "{bps}");

        settings.starting_equity = generous().starting_equity;
        let mut desk = Desk::new(&settings);
        desk.hold(BTC, Side::Buy, qty("1"), px("100"));
        let margin = MarginStatus {
            qty: SCALE,
            mark_px: 100 * SCALE,
            liquidation_px: 90 * SCALE,
            ..MarginStatus::default()
        };
        desk.told(Kind::MarginStatus, BTC, &margin);
        assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{bps}");
    }
}

#[test]
fn maintenance_margin_is_not_free_at_a_glance() {
    // A tenth of 1001, when ten are kept.
    for (equity, glances) in [("110.1", true), ("110.09999999", false)] {
        let mut settings = generous();
        settings.liquidation_distance_bps_min = Some(500);
        settings.leverage_max_percent = Some(12_500);
        settings.starting_equity = Some(money(equity));
        let mut desk = Desk::new(&settings);
        let account = AccountStatus {
            equity: money(equity).0,
            maintenance_margin: money("10").0,
            ..AccountStatus::default()
        };
        desk.told(Kind::AccountStatus, InstrumentId::NONE, &account);
        let ten = Wanted { qty: qty("10"), ..entry() };
        assert_eq!(at_a_glance(&mut desk, &ten), glances, "{equity}");
    }
}

#[test]
fn less_than_half_of_a_drawdown_passes_at_a_glance() {
    // A fall of 2 000 basis points.
    for (bps, glances) in [(4_001, true), (4_000, false)] {
        let mut settings = generous();
        settings.drawdown_bps_max = Some(bps);
        let mut desk = Desk::new(&settings);
        desk.receive(money("-200000"));
        assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{bps}");
    }
}

#[test]
fn the_days_loss_takes_of_the_capital_at_a_glance() {
    // Half of it, less the loss of 5, is 10.01.
    for (capital, glances) in [("30.02", true), ("30.01999999", false)] {
        let mut settings = generous();
        settings.capital_max = Some(money(capital));
        let mut desk = Desk::new(&settings);
        desk.ledger.on_time(NOON);
        desk.receive(money("-5"));
        assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{capital}");
    }
}

#[test]
fn the_others_net_value_counts_on_both_sides_at_a_glance() {
    for (side, most, glances) in [
        (Side::Buy, "375.125", true),
        (Side::Buy, "375.12499998", false),
        // No glance looks whether one makes up for the other.
        (Side::Sell, "375.125", true),
        (Side::Sell, "375.12499998", false),
    ] {
        let mut settings = generous();
        settings.portfolio.net_notional_max = Some(money(most));
        let mut desk = Desk::new(&settings);
        desk.hold(ETH, side, qty("2"), px("100"));
        assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{side:?} {most}");
    }
}

#[test]
fn orders_of_others_count_at_a_glance_as_if_those_of_one_side_filled() {
    for other in [Wanted { px: px("99.9"), ..entry() }, Wanted { px: px("100.2"), ..sale() }] {
        let other = Wanted { instrument: ETH, qty: qty("2"), ..other };
        // Two at the mark price of 100, and 100.1.
        for (most, glances) in [("375.125", true), ("375.12499998", false)] {
            let mut settings = generous();
            settings.portfolio.net_notional_max = Some(money(most));
            let mut desk = Desk::new(&settings);
            desk.passes(&other);
            assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{:?} {most}", other.side);
        }
    }
}

#[test]
fn amounts_and_prices_beyond_the_range_of_a_glance_are_looked_at_closer() {
    for (equity, glances) in [((1 << 55) - 1, true), (1 << 55, false)] {
        let mut settings = generous();
        settings.starting_equity = Some(Money(equity));
        assert_eq!(at_a_glance(&mut Desk::new(&settings), &entry()), glances, "{equity}");
    }
    // The mark price may stand higher than a glance reads: 2^48 is no whole tick.
    let (tick, least) = (px("0.1").0, 1_i64 << 48);
    for (ask, glances) in [(least / tick * tick, true), (least / tick * tick + tick, false)] {
        let mut settings = generous();
        settings.order_notional_max = Some(Money::whole(10_000_000));
        let mut desk = Desk::new(&settings);
        desk.ledger.on_mark(BTC, Px(ask - tick), desk.now);
        desk.ledger.on_touch(BTC, Px(ask - tick), Px(ask), desk.now);
        let wanted = Wanted { qty: qty("0.01"), px: Px(ask), reference_px: Px(ask), ..entry() };
        assert_eq!(at_a_glance(&mut desk, &wanted), glances, "{ask}");
    }
    for (bps, glances) in [((1 << 14) - 1, true), (1 << 14, false)] {
        let mut settings = generous();
        settings.collar_touch_bps = Some(bps);
        assert_eq!(at_a_glance(&mut Desk::new(&settings), &entry()), glances, "{bps}");
    }
}

/// An instrument without least amounts, of a price and a quantity of one unit each and more.
fn of_single_units() -> Desk {
    let mut settings = generous();
    settings.collar_mark_bps = Some(10_000);
    settings.collar_touch_bps = Some(10_000);
    let (least, none) = (Px(1), Money::ZERO);
    let facts = InstrumentSettings {
        tick_size: least,
        lot_size: Qty(1),
        min_qty: Qty::ZERO,
        min_notional: none,
        ..instrument("BTCUSDT")
    };
    Desk::with(&settings, &[facts], Mode::Live)
}

#[test]
fn the_least_price_and_quantity_there_are_pass_at_a_glance_and_none_of_either_does_not() {
    let mut desk = of_single_units();
    let single = Wanted { px: Px(1), qty: Qty(1), ..entry() };
    assert!(at_a_glance(&mut desk, &single));
    // Later, so that nothing but the price and the quantity is against them.
    desk.now = desk.now + Nanos::from_millis(10);
    desk.is_denied(&Wanted { px: Px::ZERO, ..single }, Reason::TickSize);
    desk.is_denied(&Wanted { qty: Qty::ZERO, ..single }, Reason::LotSize);
    desk.is_denied(&Wanted { px: Px(-1), ..single }, Reason::TickSize);
}

#[test]
fn both_edges_of_a_collar_pass_at_a_glance() {
    // Around the mark price of 100; below a bid of 100, and above an ask of it.
    for (mark_bps, touch_bps, bid, ask, edge) in [
        (100, 5_000, "99.9", "100.1", "99"),
        (100, 5_000, "99.9", "100.1", "101"),
        (5_000, 100, "100", "100.1", "99"),
        (5_000, 100, "99.9", "100", "101"),
    ] {
        let mut settings = generous();
        settings.collar_mark_bps = Some(mark_bps);
        settings.collar_touch_bps = Some(touch_bps);
        let mut desk = Desk::new(&settings);
        desk.ledger.on_touch(BTC, px(bid), px(ask), desk.now);
        assert!(at_a_glance(&mut desk, &Wanted { px: px(edge), ..entry() }), "{mark_bps} {edge}");
    }
}

#[test]
fn the_last_of_the_leverage_passes_at_a_glance() {
    // Ten times what the venue says is there.
    for (equity, passes) in [("10.01", true), ("10.00999999", false)] {
        let mut desk = desk(|_| {});
        let account = AccountStatus { equity: money(equity).0, ..AccountStatus::default() };
        desk.told(Kind::AccountStatus, InstrumentId::NONE, &account);
        if passes {
            assert!(at_a_glance(&mut desk, &entry()));
        } else {
            desk.is_denied(&entry(), Reason::MaxLeverage);
        }
    }
}

#[test]
fn in_a_limited_stage_what_was_lost_on_other_days_is_lost_at_a_glance_too() {
    use crate::base::settings::StageName;
    // Half of the capital is 100.1 of margin, and in the limited stage the 5 that were lost.
    for (name, capital, glances) in [
        (StageName::LimitedLive, "210.2", true),
        (StageName::LimitedLive, "210.19999998", false),
        (StageName::Full, "200.2", true),
        (StageName::Full, "200.19999998", false),
    ] {
        let mut settings = generous();
        settings.leverage_max_percent = Some(100);
        settings.capital_max = Some(money(capital));
        settings.stage.name = name;
        let mut desk = Desk::new(&settings);
        desk.ledger.on_time(NOON);
        desk.receive(money("-5"));
        desk.now = NOON + Nanos::from_secs(86_400);
        desk.ledger.on_time(desk.now);
        desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), desk.now);
        assert_eq!(at_a_glance(&mut desk, &entry()), glances, "{name:?} {capital}");
    }
}
