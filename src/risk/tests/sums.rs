//! What orders add up to, against naive sums: each limit at the sum passes and one unit below it is
//! denied, with the sum and the limit in the record.

use super::*;

const SOL: InstrumentId = InstrumentId(2);
/// Value of a hundredth at the mark price of 100, and at the worst price of an order, the ask of
/// 100.1.
const AT_MARK: i64 = 100_000_000;
const AT_WORST: i64 = 100_100_000;

/// Hundredths held, and of live buys and sells.
#[derive(Clone, Copy, Debug)]
struct Held {
    qty: i64,
    buys: i64,
    sells: i64,
}

const fn held(qty: i64, buys: i64, sells: i64) -> Held {
    Held { qty, buys, sells }
}

const FLAT: Held = held(0, 0, 0);

/// Of BTC, ETH and SOL.
const BOOKS: [[Held; 3]; 7] = [
    [FLAT, FLAT, FLAT],
    [held(300, 0, 0), FLAT, FLAT],
    [held(-300, 200, 500), held(400, 0, 100), FLAT],
    [held(300, 200, 100), held(-250, 40, 30), held(120, 0, 0)],
    [held(0, 200, 600), held(700, 0, 0), held(-500, 100, 0)],
    [held(100, 0, 900), held(-700, 0, 300), held(50, 60, 70)],
    [held(-800, 100, 0), FLAT, held(-20, 0, 0)],
];

fn hundredths(count: i64) -> Qty {
    Qty(qty("0.01").0 * count)
}

/// A desk with a book, after a loss of one unit of money today.
fn desk(book: &[Held; 3], change: impl Fn(&mut RiskSettings)) -> Desk {
    let names = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
    let mut settings = generous();
    settings.allow = names.iter().map(|name| Symbol::new(name.as_bytes()).unwrap()).collect();
    // What the book needs is there before the limit in hand is.
    let mut desk = Desk::with(&settings, &names.map(instrument), Mode::Live);
    for (id, held) in [BTC, ETH, SOL].into_iter().zip(book) {
        if held.qty != 0 {
            let side = if held.qty > 0 { Side::Buy } else { Side::Sell };
            desk.hold(id, side, hundredths(held.qty.abs()), px("100"));
        }
        for (side, count, at) in [(Side::Buy, held.buys, "95"), (Side::Sell, held.sells, "105")] {
            if count > 0 {
                let qty = hundredths(count);
                desk.passes(&Wanted { instrument: id, side, qty, px: px(at), ..entry() });
            }
        }
    }
    change(&mut settings);
    desk.gate.limits = crate::risk::limits::Limits::new(&settings);
    desk
}

/// The sums of a book with one more order of BTC, by their definitions.
struct Sums {
    position: i64,
    gross: i64,
    net: i64,
}

fn sums(book: &[Held; 3], side: Side, count: i64) -> Sums {
    let (buy, sell) = if side == Side::Buy { (count, 0) } else { (0, count) };
    let (mut gross, mut long, mut short) = (0, 0, 0);
    let mut position = 0;
    for (place, of) in book.iter().enumerate() {
        let own = place == 0;
        let unit = if own { AT_WORST } else { AT_MARK };
        let (buys, sells) =
            if own { (of.buys + buy, of.sells + sell) } else { (of.buys, of.sells) };
        // Neither does a sell make room for a buy, nor what is held for what turns it.
        let up = of.qty.max(0) + buys;
        let down = (-of.qty).max(0) + sells;
        let worst = up.max(down) * unit;
        position = if own { worst } else { position };
        gross += worst;
        long += (of.qty + buys) * unit;
        short += (of.qty - sells) * unit;
    }
    Sums { position, gross, net: long.abs().max(short.abs()) }
}

fn order(side: Side, count: i64) -> Wanted {
    let at = if side == Side::Buy { "100.1" } else { "99.9" };
    Wanted { side, qty: hundredths(count), px: px(at), ..entry() }
}

/// A limit is set.
type Limit = fn(&mut RiskSettings, Money);
/// What it is a limit of.
type Of = fn(&Sums) -> i64;

#[test]
fn every_sum_is_the_naive_one_to_the_unit() {
    let limits: [(Reason, Limit, Of); 4] = [
        (Reason::MaxPosition, |s, most| s.position_notional_max = Some(most), |s| s.position),
        (Reason::MaxGrossExposure, |s, most| s.gross_notional_max = Some(most), |s| s.gross),
        (Reason::MaxNetExposure, |s, most| s.portfolio.net_notional_max = Some(most), |s| s.net),
        // What is not known yet moves together.
        (
            Reason::MaxCorrelated,
            |s, most| s.portfolio.correlated_notional_max = Some(most),
            |s| s.gross,
        ),
    ];
    for book in &BOOKS {
        for (side, count) in [(Side::Buy, 100), (Side::Sell, 100), (Side::Buy, 1_500)] {
            let wanted = order(side, count);
            for (reason, set, of) in limits {
                let sum = of(&sums(book, side, count));
                desk(book, |s| set(s, Money(sum))).passes(&wanted);
                let mut under = desk(book, |s| set(s, Money(sum - 1)));
                assert_eq!(
                    denied(&mut under, &wanted),
                    (reason, sum, sum - 1),
                    "{book:?} {side:?}"
                );
            }
        }
    }
}

#[track_caller]
fn denied(desk: &mut Desk, wanted: &Wanted) -> (Reason, i64, i64) {
    let Verdict::Denied(event) = desk.admit(wanted) else { panic!("approved: {wanted:?}") };
    let body: &Denied = event.body();
    (Reason::from_u16(body.reason).unwrap(), body.value, body.limit)
}

/// A flat desk with so much equity and these limits.
fn with_equity(units: i64, change: impl Fn(&mut RiskSettings)) -> Desk {
    let mut settings = generous();
    settings.starting_equity = Some(Money(units));
    change(&mut settings);
    Desk::new(&settings)
}

#[test]
fn rc_06_leverage_is_told_in_percent_rounded_up() {
    let leverage = |percent| move |s: &mut RiskSettings| s.leverage_max_percent = Some(percent);
    let gross = 100 * AT_WORST;
    // Four times the equity to the unit, and a unit of equity less.
    with_equity(gross / 4, leverage(400)).passes(&order(Side::Buy, 100));
    for (equity, told) in [
        (gross / 4 - 1, 401),
        // 100.1 of 25 are 400.4 %, and of 20.02 exactly 500 %.
        (Money::whole(25).0, 401),
        (gross / 5, 500),
        (1, 100 * gross),
        (0, i64::MAX),
        (-1, i64::MAX),
    ] {
        let mut desk = with_equity(equity, leverage(400));
        let told = (Reason::MaxLeverage, told, 400);
        assert_eq!(denied(&mut desk, &order(Side::Buy, 100)), told, "{equity}");
    }
}

#[test]
fn rc_19_the_distance_is_of_what_the_venue_does_not_keep() {
    let gross = 100 * AT_WORST;
    let settings = |s: &mut RiskSettings| {
        s.leverage_max_percent = Some(12_500);
        s.liquidation_distance_bps_min = Some(2_500);
    };
    // Of 30.03 of equity 5.005 are kept: a quarter of the order's 100.1 may be lost, and no more.
    for (kept, passes) in [(gross / 20, true), (gross / 20 + 1, false)] {
        let mut desk = with_equity(3 * gross / 10, settings);
        let equity = 3 * gross / 10;
        let account = AccountStatus { equity, maintenance_margin: kept, ..Default::default() };
        desk.told(Kind::AccountStatus, InstrumentId::NONE, &account);
        if passes {
            desk.passes(&order(Side::Buy, 100));
        } else {
            let told = denied(&mut desk, &order(Side::Buy, 100));
            assert_eq!(told, (Reason::LiquidationNear, 2_499, 2_500));
        }
    }
    let mut gone = with_equity(gross, settings);
    let account =
        AccountStatus { equity: gross, maintenance_margin: 2 * gross, ..Default::default() };
    gone.told(Kind::AccountStatus, InstrumentId::NONE, &account);
    let told = denied(&mut gone, &order(Side::Buy, 100));
    assert_eq!(
        told,
        (Reason::LiquidationNear, -10_000, 2_500),
        "all that there is, and as much again"
    );
}

#[test]
fn rc_07_capital_is_the_margin_rounded_up_and_the_day_s_loss() {
    let gross = 100 * AT_WORST;
    // A third of 100.1 is no whole number of units, and its 82.37th part leaves a single unit over:
    // both are one more.
    assert_eq!((100 * gross % 300, 100 * gross % 8_237), (200, 1));
    for leverage in [300, 8_237] {
        let used = 100 * gross / i64::from(leverage) + 1 + money("5").0;
        for (capital, passes) in [(used, true), (used - 1, false)] {
            let mut desk = with_equity(Money::whole(1_000).0, |s| {
                s.leverage_max_percent = Some(leverage);
                s.capital_max = Some(Money(capital));
            });
            desk.ledger.on_time(NOON);
            desk.receive(money("-5"));
            if passes {
                desk.passes(&order(Side::Buy, 100));
            } else {
                let told = denied(&mut desk, &order(Side::Buy, 100));
                assert_eq!(told, (Reason::MaxCapital, used, used - 1));
            }
        }
    }
}

#[test]
fn rc_07_in_a_limited_stage_what_was_lost_on_other_days_is_lost_too() {
    use crate::base::settings::StageName;
    // At a leverage of one the order takes 100.1, and 5 were lost the day before.
    let used = 100 * AT_WORST + money("5").0;
    for (name, capital, passes) in [
        (StageName::LimitedLive, used, true),
        (StageName::LimitedLive, used - 1, false),
        (StageName::Full, used - money("5").0, true),
        (StageName::Full, used - money("5").0 - 1, false),
    ] {
        let mut desk = with_equity(Money::whole(1_000).0, |s| {
            s.leverage_max_percent = Some(100);
            s.capital_max = Some(Money(capital));
            s.stage.name = name;
        });
        desk.ledger.on_time(NOON);
        desk.receive(money("-5"));
        desk.now = NOON + Nanos::from_secs(86_400);
        desk.ledger.on_time(desk.now);
        desk.ledger.on_touch(BTC, px("99.9"), px("100.1"), desk.now);
        assert_eq!(desk.ledger.day_loss(), Money::ZERO, "a new day");
        if passes {
            desk.passes(&order(Side::Buy, 100));
        } else {
            let told = (Reason::MaxCapital, capital + 1, capital);
            assert_eq!(denied(&mut desk, &order(Side::Buy, 100)), told, "{name:?}");
        }
    }
}

#[test]
fn rc_01_a_limit_that_is_unset_is_told_without_figures() {
    let mut desk = with_equity(Money::whole(1_000).0, |s| s.reduce_s = None);
    assert_eq!(denied(&mut desk, &order(Side::Buy, 100)), (Reason::LimitUnset, 0, 0));
}
