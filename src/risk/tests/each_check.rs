//! One unit inside a limit passes, one unit outside is denied for that limit's reason.

use super::*;
use crate::base::event::BookTicker;
use crate::base::limits::OPEN_ORDERS_MAX;

type Setting = fn(&mut RiskSettings);

fn desk(change: impl Fn(&mut RiskSettings)) -> Desk {
    let mut settings = generous();
    change(&mut settings);
    Desk::new(&settings)
}

fn one_instrument(change: impl Fn(&mut InstrumentSettings)) -> Desk {
    let mut facts = instrument("BTCUSDT");
    change(&mut facts);
    Desk::with(&generous(), &[facts], Mode::Live)
}

#[test]
fn rc_01_any_limit_unset_or_zero_denies_entries_and_lets_exits_out() {
    let unset: [(Setting, Setting); 15] = [
        (|s| s.order_notional_max = None, |s| s.order_notional_max = Some(Money::ZERO)),
        (|s| s.collar_mark_bps = None, |s| s.collar_mark_bps = Some(0)),
        (|s| s.collar_touch_bps = None, |s| s.collar_touch_bps = Some(0)),
        (|s| s.position_notional_max = None, |s| s.position_notional_max = Some(Money(-1))),
        (|s| s.gross_notional_max = None, |s| s.gross_notional_max = Some(Money::ZERO)),
        (|s| s.leverage_max_percent = None, |s| s.leverage_max_percent = Some(0)),
        (|s| s.duplicate_window_ms = None, |s| s.duplicate_window_ms = Some(0)),
        (|s| s.orders_per_10s_max = None, |s| s.orders_per_10s_max = Some(0)),
        (|s| s.entries_per_day_max = None, |s| s.entries_per_day_max = Some(0)),
        (|s| s.open_orders_max = None, |s| s.open_orders_max = Some(0)),
        (|s| s.market_age_ms_max = None, |s| s.market_age_ms_max = Some(0)),
        (|s| s.decision_age_ms_max = None, |s| s.decision_age_ms_max = Some(0)),
        (|s| s.daily_loss_max = None, |s| s.daily_loss_max = Some(Money::ZERO)),
        (|s| s.drawdown_bps_max = None, |s| s.drawdown_bps_max = Some(0)),
        (|s| s.losses_in_a_row_max = None, |s| s.losses_in_a_row_max = Some(0)),
    ];
    for (none, zero) in unset {
        for change in [none, zero] {
            let mut desk = desk(change);
            desk.is_denied(&entry(), Reason::LimitUnset);
            desk.hold(BTC, Side::Buy, qty("1"), px("100"));
            desk.passes(&exit());
        }
    }
}

#[test]
fn rc_12_an_instrument_off_the_list_or_off_the_table_is_denied() {
    let mut desk = desk(|s| s.allow.retain(|symbol| symbol.as_str() == "BTCUSDT"));
    desk.passes(&entry());
    desk.is_denied(&Wanted { instrument: ETH, ..entry() }, Reason::InstrumentNotAllowed);
    let nowhere = Wanted { instrument: InstrumentId(9), ..entry() };
    desk.is_denied(&nowhere, Reason::InstrumentNotAllowed);
}

#[test]
fn rc_13_prices_and_quantities_off_the_steps_are_denied() {
    let mut desk = desk(|_| {});
    desk.is_denied(&Wanted { px: px("100.15"), ..entry() }, Reason::TickSize);
    desk.is_denied(&Wanted { px: Px::ZERO, ..entry() }, Reason::TickSize);
    desk.is_denied(&Wanted { px: px("-100"), ..entry() }, Reason::TickSize);
    desk.is_denied(&Wanted { qty: qty("1.005"), ..entry() }, Reason::LotSize);
    desk.is_denied(&Wanted { qty: Qty::ZERO, ..entry() }, Reason::LotSize);
    desk.is_denied(&Wanted { qty: qty("-1"), ..entry() }, Reason::LotSize);
    desk.passes(&Wanted { px: px("100.2"), qty: qty("1.01"), ..entry() });
}

#[test]
fn a_step_of_zero_denies_instead_of_dividing() {
    one_instrument(|facts| facts.tick_size = Px::ZERO).is_denied(&entry(), Reason::TickSize);
    one_instrument(|facts| facts.lot_size = Qty::ZERO).is_denied(&entry(), Reason::LotSize);
}

#[test]
fn rc_04_only_a_flattening_may_go_without_a_price() {
    let mut desk = desk(|_| {});
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let market = Wanted { order_type: OrderType::Market, px: Px::ZERO, ..exit() };
    desk.is_denied(&market, Reason::TickSize);
    desk.is_denied(&Wanted { purpose: Purpose::Entry, ..market }, Reason::TickSize);
    desk.passes(&Wanted { purpose: Purpose::Flatten, ..market });
}

#[test]
fn rc_13_the_least_quantity_and_value_bind_entries_and_not_exits() {
    let mut desk = one_instrument(|facts| facts.min_qty = qty("0.05"));
    desk.passes(&Wanted { qty: qty("0.05"), ..entry() });
    desk.is_denied(&Wanted { qty: qty("0.04"), ..entry() }, Reason::MinQty);
    let mut desk = one_instrument(|facts| facts.min_notional = money("100.1"));
    desk.passes(&Wanted { qty: qty("1"), ..entry() });
    desk.is_denied(&Wanted { qty: qty("0.99"), ..entry() }, Reason::MinNotional);
    desk.hold(BTC, Side::Buy, qty("0.01"), px("100"));
    desk.passes(&Wanted { qty: qty("0.01"), ..exit() });
}

#[test]
fn rc_02_the_largest_quantity_binds_everyone() {
    let mut desk = one_instrument(|facts| facts.max_qty = qty("2"));
    desk.passes(&Wanted { qty: qty("2"), ..entry() });
    desk.is_denied(&Wanted { qty: qty("2.01"), ..entry() }, Reason::MaxQty);
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    desk.is_denied(&Wanted { qty: qty("2.01"), ..exit() }, Reason::MaxQty);
    desk.passes(&Wanted { qty: qty("2"), ..exit() });
}

#[test]
fn rc_03_the_order_value_is_taken_at_the_worst_price() {
    // The ask is the worst of limit 100.0, mark 100 and ask 100.1.
    let wanted = Wanted { px: px("100"), ..entry() };
    desk(|s| s.order_notional_max = Some(money("100.1"))).passes(&wanted);
    desk(|s| s.order_notional_max = Some(Money(money("100.1").0 - 1)))
        .is_denied(&wanted, Reason::MaxOrderNotional);
}

#[test]
fn rc_04_the_collars_are_closed_intervals_around_mark_and_touch() {
    let mut mark = desk(|s| s.collar_mark_bps = Some(100));
    mark.passes(&Wanted { px: px("101"), ..entry() });
    mark.is_denied(&Wanted { px: px("101.1"), ..entry() }, Reason::PriceCollar);
    mark.passes(&Wanted { px: px("99"), ..entry() });
    mark.is_denied(&Wanted { px: px("98.9"), ..entry() }, Reason::PriceCollar);
    // 30 basis points above 100.1 are 100.4003, below 99.9 they are 99.6003.
    let mut touch = desk(|s| s.collar_touch_bps = Some(30));
    touch.passes(&Wanted { px: px("100.4"), ..entry() });
    touch.is_denied(&Wanted { px: px("100.5"), ..entry() }, Reason::PriceCollar);
    touch.passes(&Wanted { px: px("99.7"), ..entry() });
    touch.is_denied(&Wanted { px: px("99.6"), ..entry() }, Reason::PriceCollar);
}

#[test]
fn rc_04_an_exit_may_go_three_percent_through_the_touch_and_no_further() {
    let mut desk = desk(|s| s.collar_touch_bps = Some(30));
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    // 3 % below 99.9 is 96.903.
    desk.passes(&Wanted { px: px("97"), ..exit() });
    desk.is_denied(&Wanted { px: px("96.9"), ..exit() }, Reason::PriceCollar);
}

#[test]
fn rc_04_without_touch_or_mark_nothing_is_priced() {
    let mut desk = desk(|_| {});
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    for (bid, ask) in [("0", "0"), ("99.9", "0"), ("100.1", "99.9"), ("100", "100")] {
        desk.ledger.on_touch(BTC, px(bid), px(ask), NOON);
        desk.is_denied(&entry(), Reason::NoReferencePrice);
        desk.is_denied(&exit(), Reason::NoReferencePrice);
    }
    for (mode, reason) in [(Mode::Live, true), (Mode::Testnet, true), (Mode::Paper, false)] {
        let mut desk = Desk::with(&generous(), &[instrument("BTCUSDT")], mode);
        desk.ledger = Ledger::new(1, Money::whole(1_000_000));
        desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), NOON);
        if reason {
            desk.is_denied(&entry(), Reason::NoReferencePrice);
        } else {
            desk.passes(&entry());
        }
    }
}

#[test]
fn rc_05_the_position_limit_counts_working_and_unknown_orders() {
    // Held 1 and two live buys of 1: with one more it is 4 × 100.1.
    for (limit, fits) in [(money("400.4"), true), (Money(money("400.4").0 - 1), false)] {
        let mut desk = desk(|s| s.position_notional_max = Some(limit));
        desk.hold(BTC, Side::Buy, qty("1"), px("100"));
        let first = desk.passes(&Wanted { px: px("99"), ..entry() });
        let second = desk.passes(&Wanted { px: px("99.5"), ..entry() });
        let report = |id| OrderReport { client_id: id, ..OrderReport::default() };
        desk.hear(Kind::OrderAccepted, BTC, &report(first));
        desk.hear(Kind::OrderAccepted, BTC, &report(second));
        // A sell as large does not make room: it may not fill.
        desk.passes(&Wanted { side: Side::Sell, px: px("102"), ..entry() });
        if fits {
            desk.passes(&entry());
        } else {
            desk.is_denied(&entry(), Reason::MaxPosition);
        }
    }
}

#[test]
fn rc_06_gross_exposure_sums_all_instruments() {
    for (limit, fits) in [(money("300.1"), true), (Money(money("300.1").0 - 1), false)] {
        let mut desk = desk(|s| s.gross_notional_max = Some(limit));
        desk.hold(ETH, Side::Sell, qty("2"), px("100"));
        if fits {
            desk.passes(&entry());
        } else {
            desk.is_denied(&entry(), Reason::MaxGrossExposure);
        }
    }
}

#[test]
fn rc_06_leverage_is_gross_exposure_over_equity() {
    let settings = |s: &mut RiskSettings| {
        s.starting_equity = Some(money("1001"));
        s.leverage_max_percent = Some(100);
    };
    desk(settings).passes(&Wanted { qty: qty("10"), ..entry() });
    desk(settings).is_denied(&Wanted { qty: qty("10.01"), ..entry() }, Reason::MaxLeverage);
    let mut broke = desk(settings);
    broke.receive(money("-1001"));
    broke.is_denied(&Wanted { qty: qty("0.01"), ..entry() }, Reason::MaxLeverage);
}

#[test]
fn rc_07_capital_is_what_the_session_started_with_whatever_the_equity_says() {
    let settings = |s: &mut RiskSettings| {
        s.starting_equity = Some(money("1001"));
        s.leverage_max_percent = Some(100);
    };
    let mut rich = desk(settings);
    rich.receive(Money::whole(100_000));
    let account = AccountStatus { equity: Money::whole(101_001).0, ..AccountStatus::default() };
    rich.told(Kind::AccountStatus, InstrumentId::NONE, &account);
    rich.is_denied(&Wanted { qty: qty("10.01"), ..entry() }, Reason::MaxCapital);
    rich.passes(&Wanted { qty: qty("10"), ..entry() });
}

#[test]
fn rc_08_the_same_order_again_is_denied_within_the_window() {
    let mut desk = desk(|s| s.duplicate_window_ms = Some(500));
    desk.passes(&entry());
    desk.is_denied(&entry(), Reason::DuplicateOrder);
    desk.is_denied(&Wanted { px: px("100.2"), ..entry() }, Reason::DuplicateOrder);
    desk.passes(&Wanted { px: px("100.3"), ..entry() });
    desk.now = NOON + Nanos::from_millis(500) - Nanos(1);
    desk.is_denied(&entry(), Reason::DuplicateOrder);
    desk.now = NOON + Nanos::from_millis(500);
    desk.passes(&entry());
}

#[test]
fn rc_09_entries_have_the_rate_and_exits_as_much_again_or_a_hundred() {
    for (most, exits) in [(2, 98), (60, 60)] {
        let mut desk = desk(|s| s.orders_per_10s_max = Some(most));
        desk.hold(BTC, Side::Buy, qty("5"), px("100"));
        let mut pass = |count: u32, wanted: &Wanted| {
            for i in 1..=count {
                // No two are alike.
                desk.passes(&Wanted { qty: Qty(qty("0.01").0 * i64::from(i)), ..*wanted });
                desk.now = desk.now + Nanos::from_millis(10);
                desk.end_orders();
            }
            desk.is_denied(wanted, Reason::OrderRate);
        };
        pass(most, &Wanted { side: Side::Sell, px: px("99.9"), ..entry() });
        pass(exits, &exit());
        // Of all of them the newest that leaves room for one more entry was approved then.
        let frees = NOON + Nanos::from_millis(10_000 + i64::from(exits) * 10);
        desk.now = frees - Nanos(1);
        desk.is_denied(&entry(), Reason::OrderRate);
        desk.now = frees;
        desk.passes(&entry());
    }
}

#[test]
fn rc_10_entries_are_counted_by_the_utc_day_and_exits_are_not() {
    let mut desk = desk(|s| s.entries_per_day_max = Some(2));
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    for _ in 0..2 {
        desk.passes(&entry());
        desk.now = desk.now + Nanos::from_millis(10);
    }
    desk.passes(&exit());
    desk.is_denied(&entry(), Reason::MaxEntriesPerDay);
    desk.end_orders();
    assert_eq!(desk.gate.state(), TradingState::Halted);
    // Neither the next day nor a setting that arms lifts it; a person does, and counts anew.
    desk.now = NOON + Nanos::from_secs(43_200);
    desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), desk.now);
    desk.is_denied(&entry(), Reason::TradingState);
    desk.now = NOON + Nanos::from_secs(43_300);
    desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), desk.now);
    desk.arm();
    for _ in 0..2 {
        desk.passes(&entry());
        desk.now = desk.now + Nanos::from_millis(10);
    }
    desk.is_denied(&entry(), Reason::MaxEntriesPerDay);
    desk.arm();
    desk.passes(&entry());
}

#[test]
fn rc_11_an_entry_that_would_meet_our_own_resting_order_is_denied() {
    let mut desk = desk(|_| {});
    desk.passes(&Wanted { side: Side::Sell, time_in_force: TimeInForce::Gtx, ..entry() });
    desk.is_denied(&entry(), Reason::SelfTrade);
    desk.passes(&Wanted { px: px("100"), ..entry() });
    let sell = Wanted { side: Side::Sell, qty: qty("2"), px: px("100"), ..entry() };
    desk.is_denied(&sell, Reason::SelfTrade);
    desk.passes(&Wanted { px: px("100.1"), ..sell });
}

#[test]
fn fault_w17_an_entry_on_a_touch_that_was_held_up_on_its_way_is_denied() {
    let mut desk = desk(|s| s.market_age_ms_max = Some(1_000));
    let body = BookTicker { bid_px: px("99.9").0, ask_px: px("100.1").0, ..Default::default() };
    for (late_ms, is_old) in [(0, false), (1_000, false), (1_001, true), (4_800, true)] {
        let mut touch = Event::new(Kind::BookTicker, BTC, &body);
        touch.ts_recv = desk.now.0;
        touch.ts_venue = (desk.now - Nanos::from_millis(late_ms)).0;
        desk.ledger.on_event(&touch);
        if is_old {
            desk.is_denied(&entry(), Reason::StaleMarket);
        } else {
            desk.passes(&entry());
        }
        desk.end_orders();
        desk.now = desk.now + Nanos::from_secs(5);
    }
}

#[test]
fn live_orders_are_bounded_and_exits_only_by_the_table() {
    let mut desk = desk(|s| s.open_orders_max = Some(2));
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    desk.passes(&Wanted { px: px("99"), ..entry() });
    desk.passes(&Wanted { px: px("98"), ..entry() });
    desk.is_denied(&Wanted { px: px("97"), ..entry() }, Reason::MaxOpenOrders);
    for _ in 2..OPEN_ORDERS_MAX {
        desk.now = desk.now + Nanos::from_millis(50);
        desk.passes(&exit());
    }
    desk.now = desk.now + Nanos::from_millis(50);
    desk.is_denied(&exit(), Reason::MaxOpenOrders);
}

#[test]
fn rc_15_stale_market_data_denies_entries_and_lets_exits_out() {
    let mut desk = desk(|s| s.market_age_ms_max = Some(1_000));
    desk.hold(BTC, Side::Buy, qty("5"), px("100"));
    desk.now = NOON + Nanos::from_millis(1_000);
    desk.passes(&entry());
    desk.now = desk.now + Nanos(1);
    desk.is_denied(&Wanted { px: px("101"), ..entry() }, Reason::StaleMarket);
    desk.passes(&exit());
}

#[test]
fn rc_17_a_decision_older_than_its_deadline_is_denied() {
    let mut desk = desk(|s| s.decision_age_ms_max = Some(5));
    desk.gate.on_time(NOON + Nanos::from_millis(5));
    desk.passes(&entry());
    desk.gate.on_time(NOON + Nanos::from_millis(5) + Nanos(1));
    desk.is_denied(&Wanted { px: px("101"), ..entry() }, Reason::DecisionLate);
}

#[test]
fn rc_22_the_day_s_loss_denies_at_its_limit_and_not_a_unit_before() {
    let mut desk = desk(|s| s.daily_loss_max = Some(Money::whole(10)));
    desk.ledger.on_time(NOON);
    desk.receive(Money(-Money::whole(10).0 + 1));
    desk.passes(&entry());
    desk.receive(Money(-1));
    desk.is_denied(&Wanted { px: px("101"), ..entry() }, Reason::DailyLoss);
}

#[test]
fn rc_23_the_drawdown_denies_at_its_limit_and_not_a_unit_before() {
    // 20 % of a peak of 1 000 000 are 200 000; the day's loss may be more.
    let mut desk = desk(|s| s.drawdown_bps_max = Some(2_000));
    desk.receive(Money(-Money::whole(200_000).0 + 1));
    desk.passes(&entry());
    desk.receive(Money(-1));
    desk.is_denied(&Wanted { px: px("101"), ..entry() }, Reason::Drawdown);
}

#[test]
fn rc_24_losses_in_a_row_deny_at_their_limit() {
    let mut desk = desk(|s| s.losses_in_a_row_max = Some(2));
    for lost in 1..=2 {
        desk.hold(BTC, Side::Buy, qty("1"), px("100"));
        desk.hold(BTC, Side::Sell, qty("1"), px("99"));
        if lost == 1 {
            desk.passes(&entry());
        }
    }
    desk.is_denied(&Wanted { px: px("101"), ..entry() }, Reason::ConsecutiveLosses);
}

#[test]
fn fault_x09_rc_27_one_unknown_order_freezes_its_instrument_and_three_the_account() {
    let names = ["BTCUSDT", "AUSDT", "BUSDT", "CUSDT"];
    let mut settings = generous();
    settings.allow = names.iter().map(|name| Symbol::new(name.as_bytes()).unwrap()).collect();
    let mut desk = Desk::with(&settings, &names.map(instrument), Mode::Live);
    for other in 1..=3 {
        desk.now = desk.now + Nanos::from_millis(10);
        desk.passes(&entry());
        let there = Wanted { instrument: InstrumentId(other), ..entry() };
        let id = desk.passes(&there);
        let unknown = OrderReport { client_id: id, ..OrderReport::default() };
        desk.hear(Kind::OrderUnknown, InstrumentId(other), &unknown);
        desk.now = desk.now + Nanos::from_millis(10);
        desk.is_denied(&there, Reason::OrderOutcomeUnknown);
    }
    desk.is_denied(&entry(), Reason::OrderOutcomeUnknown);
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    desk.passes(&exit());
}

#[test]
fn rc_14_an_exit_is_no_larger_than_the_position_and_of_the_other_side() {
    let mut desk = desk(|_| {});
    desk.is_denied(&exit(), Reason::ReduceOnlyWouldIncrease);
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    desk.is_denied(&Wanted { qty: qty("1.01"), ..exit() }, Reason::ReduceOnlyWouldIncrease);
    let growing = Wanted { side: Side::Buy, px: px("100.1"), ..exit() };
    desk.is_denied(&growing, Reason::ReduceOnlyWouldIncrease);
    desk.passes(&exit());
}

#[test]
fn a_product_beyond_the_range_is_an_overflow_and_not_a_small_number() {
    let mut facts = instrument("BTCUSDT");
    facts.max_qty = Qty::MAX;
    let mut desk = Desk::with(&generous(), &[facts], Mode::Live);
    let most = Qty::MAX.floor_to(qty("0.01"));
    desk.is_denied(&Wanted { qty: most, ..entry() }, Reason::Overflow);
}

#[test]
fn an_exit_is_marked_reduce_only_and_ids_never_repeat() {
    let mut desk = desk(|_| {});
    desk.hold(BTC, Side::Buy, qty("1"), px("100"));
    let entry_id = desk.passes(&entry());
    let Verdict::Approved(approved) = desk.admit(&exit()) else { panic!("denied") };
    let event = approved.event();
    assert!(event.has(crate::base::event::flags::REDUCE_ONLY) && event.side() == Side::Sell);
    let exit_id = event.body::<Order>().id();
    assert_eq!((exit_id.epoch(), exit_id.counter()), (3, 2));
    assert_eq!(crate::base::ClientOrderId(entry_id).counter(), 1);
    let session = GateSession { epoch: 1 << 20, strategy: 0, model: 0, mode: Mode::Live };
    let refused = Gate::new(&generous(), &[], session, Trading::new());
    assert!(matches!(refused, Err(GateError::Epoch(_))));
}

#[test]
fn every_check_counts_how_often_it_was_made_and_tripped() {
    let mut desk = desk(|_| {});
    desk.passes(&entry());
    desk.is_denied(&Wanted { px: px("100.15"), ..entry() }, Reason::TickSize);
    let count = |check| desk.gate.count(check);
    assert_eq!(count(Check::TickSize), CheckCount { evaluated: 2, near: 0, tripped: 1 });
    assert_eq!(count(Check::LotSize), CheckCount { evaluated: 1, near: 0, tripped: 0 });
    for check in Check::ALL {
        assert!(count(check).evaluated > 0, "{check:?} is dead");
    }
    // 100.1 is four fifths of 125.125.
    for (allowed, near) in [("125.125", 0), ("125.124", 1)] {
        let settings = |s: &mut RiskSettings| s.order_notional_max = Some(money(allowed));
        let mut desk = self::desk(settings);
        desk.passes(&entry());
        assert_eq!(desk.gate.count(Check::OrderNotional).near, near);
    }
}

#[test]
fn fault_x10_a_mark_price_far_from_the_touch_leaves_no_price_to_enter_at() {
    let mut desk = desk(|s| (s.collar_mark_bps, s.collar_touch_bps) = (Some(100), Some(30)));
    desk.passes(&entry());
    desk.end_orders();
    // The touch stays around 100; 1.4 % lie between it and the mark.
    desk.now = desk.now + Nanos::from_secs(1);
    desk.ledger.on_mark(BTC, px("101.5"), desk.now);
    for tenths in 980..=1_030 {
        let wanted = Wanted { px: Px(px("0.1").0 * tenths), ..entry() };
        desk.is_denied(&wanted, Reason::PriceCollar);
    }
}

#[test]
fn fault_w14_a_touch_that_jumps_tenfold_or_crosses_is_entered_on_at_no_price() {
    let mut desk = desk(|s| s.collar_mark_bps = Some(100));
    desk.ledger.on_touch(BTC, px("999"), px("1001"), NOON);
    desk.is_denied(&Wanted { px: px("1001"), ..entry() }, Reason::PriceCollar);
    desk.is_denied(&Wanted { px: px("100.1"), ..entry() }, Reason::PriceCollar);
    desk.ledger.on_touch(BTC, px("100.1"), px("99.9"), NOON);
    desk.is_denied(&entry(), Reason::NoReferencePrice);
    desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), NOON);
    desk.passes(&entry());
}
