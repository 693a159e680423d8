use super::*;
use crate::base::Rate;
use crate::exchange::account::margin::{Leg, liquidation_px, maint_margin};
use crate::exchange::account::position::Position;
use crate::exchange::spec::Bracket;
use proptest::prelude::*;

/// The venue's documented sample of `GET /fapi/v3/positionRisk`: 30 ADA bought at 0.385, mark price
/// 0.4104759, leverage 20, first bracket at 0.65 %, maker fee 0.02 %.
#[test]
fn a_published_position_has_the_published_numbers() {
    let mut position = Position::default();
    // 30 × 0.385 = 11.55; 0.02 % of it is 0.00231.
    position.fill(Side::Buy, qty("30"), px("0.385"), usdt("0.00231"));
    let mark = px("0.41047590");
    assert_eq!(position.entry_px(), px("0.385"));
    assert_eq!(position.break_even_px(), px("0.385077"));
    assert_eq!(position.unrealized(mark), usdt("0.76427700"));
    assert_eq!(position.notional(mark), usdt("12.31427700"));
    assert_eq!(margin::initial_margin(position.notional(mark), 20), usdt("0.61571385"));
    let first = [Bracket {
        leverage: 75,
        floor: 0,
        cap: 10_000,
        maint_rate: Rate(650_000),
        cum: Money::ZERO,
    }];
    assert_eq!(maint_margin(&first, position.notional(mark)), usdt("0.08004280"));
}

/// The venue's worked example of maintenance: brackets of 0.4, 0.5 and 1 % from 0, 50 000 and
/// 250 000 have the amounts 0, 50 and 250 000 × (1 % − 0.5 %) + 50 = 1 300.
#[test]
fn a_published_value_needs_the_published_maintenance_margin() {
    let bracket = |leverage, floor, cap, rate, cum| Bracket {
        leverage,
        floor,
        cap,
        maint_rate: Rate(rate),
        cum: Money::whole(cum),
    };
    let brackets = [
        bracket(125, 0, 50_000, 400_000, 0),
        bracket(100, 50_000, 250_000, 500_000, 50),
        bracket(50, 250_000, 1_000_000, 1_000_000, 1_300),
    ];
    // 264 000 × 1 % − 1 300, either way round.
    for value in ["264000", "-264000"] {
        assert_eq!(maint_margin(&brackets, usdt(value)), usdt("1340"));
    }
}

#[test]
fn maintenance_margin_joins_where_brackets_do() {
    for spec in SymbolSpec::default_pair() {
        for pair in spec.brackets.windows(2) {
            assert_eq!(pair[0].cap, pair[1].floor);
            let at = Money::whole(pair[1].floor);
            let below = maint_margin(spec.brackets, at);
            let above = margin::scaled(at, pair[1].maint_rate) - pair[1].cum;
            assert_eq!(below, above);
            let beyond = maint_margin(spec.brackets, at + Money(100_000_000));
            assert_eq!(beyond - above, Money(pair[1].maint_rate.0));
        }
    }
}

/// The venue's worked example of cross margin in one-way mode: wallet 1 535 443.01; 3 683.979 ETH
/// at 1 456.84 (10 %, amount 135 365), 109.488 BTC at 32 481.98 (2.5 %, amount 16 300); each
/// contract's price from the other's maintenance margin and profit.
#[test]
fn a_published_account_is_liquidated_at_the_published_prices() {
    let leg = |quantity: &str, entry: &str, rate, cum| Leg {
        qty: qty(quantity),
        cost: crate::base::units::notional(qty(quantity), px(entry)).unwrap(),
        rate: Rate(rate),
        cum: usdt(cum),
    };
    let eth = leg("3683.979", "1456.84", 10_000_000, "135365");
    let btc = leg("109.488", "32481.98", 2_500_000, "16300");
    let wallet = usdt("1535443.01");
    let backing = wallet - usdt("71200.81144") - usdt("56354.57");
    assert_eq!(format!("{:.2}", liquidation_px(backing, &[eth]).to_f64()), "1153.26");
    let backing = wallet - usdt("356512.508") - usdt("448192.89");
    assert_eq!(format!("{:.2}", liquidation_px(backing, &[btc]).to_f64()), "26316.89");
}

#[test]
fn available_is_what_wallet_and_profit_leave_after_positions_and_orders() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    floor.mark(BTC, "61000");
    // Fee 0.05 % of 60 000 = 30; profit 1 000; margin 61 000 / 20 = 3 050.
    let balance = floor.balance(ANN);
    assert_eq!((balance.wallet, balance.unrealized), (usdt("99970"), usdt("1000")));
    assert_eq!((balance.position_margin, balance.order_margin), (usdt("3050"), Money::ZERO));
    assert_eq!(balance.available, usdt("97920"));
    // 61 000 is in the second bracket: 0.5 % less 50.
    assert_eq!(balance.maint_margin, usdt("255"));

    // A buy order more: (61 000 + 59 000) / 20 = 6 000, so 2 950 for the order.
    floor.must(ANN, &buy("59000", "1"));
    assert_eq!(floor.balance(ANN).order_margin, usdt("2950"));
    // A sell order of the same size shrinks the position: nothing more.
    floor.must(ANN, &sell("62000", "1"));
    assert_eq!(floor.balance(ANN).order_margin, usdt("2950"));
    assert_eq!(floor.balance(ANN).available, usdt("94970"));
    let view = floor.position(ANN, BTC);
    assert_eq!((view.bid_notional, view.ask_notional), (usdt("59000"), usdt("62000")));
}

#[test]
fn an_order_that_would_open_at_a_loss_needs_the_loss_as_well() {
    // Mark 60 000, buying 1 at 62 000: 62 000 / 20 + 2 000 = 5 100.
    for (deposit, taken) in [("5099.99", false), ("5100", true)] {
        let mut floor = Floor::with_deposits([deposit, "100000", "100000"]);
        assert_eq!(floor.place(ANN, &buy("62000", "1")).is_ok(), taken);
    }
}

#[test]
fn an_isolated_position_sets_its_margin_aside_and_is_liquidated_by_it_alone() {
    let mut floor = Floor::new();
    floor.accounts.set_isolated(ANN, BTC, true).unwrap();
    let add = |floor: &mut Floor, amount: &str| {
        let (side, now) = (PositionSide::Both, floor.now);
        let amount = usdt(amount);
        let Floor { market, accounts, .. } = floor;
        accounts.move_margin(market, ANN, BTC, side, amount, now).map_err(|e| e.code)
    };
    assert_eq!(add(&mut floor, "500"), Err(-4054));
    floor.go_long("60000", "1");
    assert_eq!(floor.position(ANN, BTC).news.isolated_wallet, usdt("3000"));
    assert_eq!(floor.balance(ANN).cross_wallet, usdt("96970"));
    assert_eq!(add(&mut floor, "96970.01"), Err(-4050));
    assert_eq!(add(&mut floor, "500"), Ok(()));
    // (3 500 + 50 − 60 000) / (0.005 − 1) = 56 733.66834170…
    assert_eq!(floor.position(ANN, BTC).liquidation_px, px("56733.66834170"));
    // 3 500 less the 3 000 that 60 000 / 20 needs.
    assert_eq!(add(&mut floor, "-500.01"), Err(-4051));
    assert_eq!(add(&mut floor, "0"), Err(-4055));
    assert_eq!(floor.accounts.margin_moves(ANN).len(), 1);
    // Half of it closed: half of its margin is free again.
    floor.must(BOB, &buy("60000", "0.5"));
    floor.must(ANN, &market_order(Side::Sell, "0.5"));
    assert_eq!(floor.position(ANN, BTC).news.isolated_wallet, usdt("1750"));
    assert_eq!(floor.position(ANN, BTC).position_margin, usdt("1500"));
    let lower = floor.accounts.set_leverage(&floor.market, ANN, BTC, 10, floor.now);
    assert_eq!(lower.unwrap_err().code, -4161);
}

#[test]
fn a_cross_position_has_no_margin_of_its_own_to_move() {
    let mut floor = Floor::new();
    floor.go_long("60000", "1");
    let (market, now) = (&floor.market, floor.now);
    let moved = floor.accounts.move_margin(market, ANN, BTC, PositionSide::Both, usdt("1"), now);
    assert_eq!(moved.unwrap_err().code, -4049);
}

#[test]
fn modes_change_only_where_nothing_is_open_and_not_to_what_they_are() {
    let mut floor = Floor::new();
    let code = |result: Result<(), VenueError>| result.err().map(|e| e.code);
    assert_eq!(code(floor.accounts.set_hedge(ANN, false)), Some(-4059));
    assert_eq!(code(floor.accounts.set_isolated(ANN, BTC, false)), Some(-4046));
    assert_eq!(code(floor.accounts.set_multi_assets(ANN, false, START)), Some(-4171));
    let order = floor.must(ANN, &buy("59000", "1"));
    assert_eq!(code(floor.accounts.set_hedge(ANN, true)), Some(-4067));
    assert_eq!(code(floor.accounts.set_isolated(ANN, BTC, true)), Some(-4047));
    assert_eq!(code(floor.accounts.set_multi_assets(ANN, true, START)), Some(-4170));
    floor.cancel(ANN, order.id).unwrap();
    floor.go_long("60000", "1");
    assert_eq!(code(floor.accounts.set_hedge(ANN, true)), Some(-4068));
    assert_eq!(code(floor.accounts.set_isolated(ANN, BTC, true)), Some(-4048));
    assert_eq!(code(floor.accounts.set_multi_assets(ANN, true, START)), None);
    assert_eq!(code(floor.accounts.set_isolated(ANN, ETH, true)), Some(-4168));
    assert_eq!(code(floor.accounts.set_isolated(CAT, ETH, true)), None);
    assert_eq!(code(floor.accounts.set_multi_assets(CAT, true, START)), Some(-4167));
}

#[test]
fn hedged_positions_are_kept_apart() {
    let mut floor = Floor::new();
    floor.accounts.set_hedge(ANN, true).unwrap();
    let sided = |side, order| NewOrder { position_side: Some(side), ..order };
    floor.must(BOB, &sell("60000", "2"));
    floor.must(ANN, &sided(PositionSide::Long, buy("60000", "2")));
    floor.must(BOB, &buy("60000", "1"));
    floor.must(ANN, &sided(PositionSide::Short, sell("60000", "1")));
    let of = |floor: &Floor| -> Vec<(PositionSide, Qty)> {
        let views = floor.accounts.positions(&floor.market, ANN);
        views.iter().filter(|v| v.news.contract == BTC).map(|v| (v.news.side, v.news.qty)).collect()
    };
    assert_eq!(of(&floor), [(PositionSide::Long, qty("2")), (PositionSide::Short, qty("-1"))]);
    floor.must(BOB, &buy("61000", "3"));
    // More than the position: it closes what there is.
    floor.must(ANN, &sided(PositionSide::Long, market_order(Side::Sell, "3")));
    assert_eq!(of(&floor), [(PositionSide::Long, Qty::ZERO), (PositionSide::Short, qty("-1"))]);
}

#[test]
fn lower_leverage_needs_the_margin_for_it() {
    let mut floor = Floor::with_deposits(["7000", "100000", "100000"]);
    floor.go_long("60000", "2");
    // 120 000 at leverage 20 needs 6 000, at 17 it would need 7 058.
    let mut set = |leverage| {
        floor
            .accounts
            .set_leverage(&floor.market, ANN, BTC, leverage, floor.now)
            .map_err(|e| e.code)
    };
    assert_eq!(set(17), Err(-2028));
    assert!(set(18).is_ok());
    let Some(News::Leverage { leverage, .. }) = floor.news(ANN).pop() else { panic!("not told") };
    assert_eq!(leverage, 18);
}

proptest! {
    /// Money in is money out: what was paid for all fills, less the cost of what is open, is what
    /// was lost. Whatever rounding does to single closes.
    #[test]
    fn no_run_of_fills_makes_or_loses_a_unit(
        fills in prop::collection::vec((any::<bool>(), 1..40_i64, 599_990..600_010_i64), 1..60)
    ) {
        let (mut position, mut paid, mut held) = (Position::default(), 0_i128, 0_i64);
        for (buys, lots, tick) in fills {
            let side = if buys { Side::Buy } else { Side::Sell };
            let (qty, px) = (Qty(lots * 100_000), Px(tick * 10_000_000));
            position.fill(side, qty, px, Money(7));
            // Lots of 1e-3 and ticks of 0.1: a value is a multiple of 1e-4.
            paid += i128::from(side.sign() * lots * tick) * 10_000;
            held += side.sign() * qty.0;
            prop_assert_eq!(position.qty.0, held);
            prop_assert_eq!(i128::from(position.cost.0 - position.realized.0), paid);
            prop_assert_eq!(position.cost.0.signum(), held.signum());
        }
    }
}
