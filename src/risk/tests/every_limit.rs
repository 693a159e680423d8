//! Every key of `[risk]`, `[portfolio]` and `[stage]`, as the parser knows them, is made to bite
//! through the whole way from its text in a file to a denial, and lets pass one unit inside. A key
//! that has no case fails.

use super::stages::STAGE_KEYS;
use super::*;
use crate::base::event::Prediction;
use crate::base::settings::{gate_keys, parse, parse_document};
use crate::risk::gate::glances;
use toml::{Table, Value};

/// One key: a value that lets the play's last order pass, and the nearest one that denies it.
struct Case {
    key: &'static str,
    inside: &'static str,
    outside: &'static str,
    /// Reason of the denial, or of the state that denies.
    reason: Reason,
    /// Other keys the play needs.
    with: &'static [(&'static str, &'static str)],
    play: fn(&mut Desk) -> Verdict,
}

const fn case(
    key: &'static str,
    inside: &'static str,
    outside: &'static str,
    reason: Reason,
    play: fn(&mut Desk) -> Verdict,
) -> Case {
    Case { key, inside, outside, reason, with: &[], play }
}

const fn with(case: Case, with: &'static [(&'static str, &'static str)]) -> Case {
    Case { with, ..case }
}

fn cases() -> Vec<Case> {
    let mut cases = risk_cases();
    cases.extend(conduct_cases());
    cases.extend(model_cases());
    cases.extend(portfolio_cases());
    cases
}

/// An entry of 1 at 100.1: worth 100.1 at the worst price, with all other limits far away.
fn one(desk: &mut Desk) -> Verdict {
    desk.admit(&entry())
}

fn big(desk: &mut Desk) -> Verdict {
    desk.admit(&Wanted { qty: qty("100"), ..entry() })
}

fn later(desk: &mut Desk, ms: i64) {
    desk.now = desk.now + Nanos::from_millis(ms);
}

/// The model says `up` against its complement, `lag_ms` after the venue's event.
fn answer(desk: &mut Desk, up: f32, lag_ms: i64) {
    let body = Prediction { probability: [1.0 - up, 0.0, up], ..Prediction::default() };
    let mut event = Event::new(Kind::Prediction, ETH, &body);
    event.ts_recv = desk.now.0;
    event.ts_venue = (desk.now - Nanos::from_millis(lag_ms)).0;
    assert_eq!(desk.gate.on_answer(&event), None);
    let _ = desk.gate.consequence(&event);
}

fn risk_cases() -> Vec<Case> {
    use Reason::*;
    let least = "100.09999999";
    vec![
        case("risk.starting_equity", "1001", "1000.99999999", MaxLeverage, big),
        case("risk.allow", "['BTCUSDT']", "['ETHUSDT']", InstrumentNotAllowed, one),
        case("risk.qty_max", "{ BTCUSDT = '1' }", "{ BTCUSDT = '0.99999999' }", MaxQty, one),
        case("risk.order_notional_max", "100.1", least, MaxOrderNotional, one),
        case("risk.collar_mark_bps", "100", "99", PriceCollar, |desk| {
            desk.admit(&Wanted { px: px("101"), ..entry() })
        }),
        case("risk.collar_touch_bps", "30", "29", PriceCollar, |desk| {
            desk.admit(&Wanted { px: px("100.4"), ..entry() })
        }),
        case("risk.collar_cumulative_bps", "100", "99", CumulativeCollar, |desk| {
            desk.hold(BTC, Side::Buy, qty("1"), px("101"));
            one(desk)
        }),
        case("risk.collar_denials_per_min_max", "4", "3", CollarRepeated, |desk| {
            for _ in 0..3 {
                desk.is_denied(&Wanted { px: px("400"), ..entry() }, PriceCollar);
                later(desk, 19_999);
            }
            later(desk, 60_000);
            one(desk)
        }),
        case("risk.position_notional_max", "100.1", least, MaxPosition, one),
        case("risk.gross_notional_max", "100.1", least, MaxGrossExposure, one),
        case("risk.leverage_max_percent", "2", "1", MaxLeverage, big),
        case("risk.capital_max", "10.01", "10.00999999", MaxCapital, one),
        with(
            case("risk.liquidation_distance_bps_min", "1000", "1001", LiquidationNear, |desk| {
                desk.admit(&Wanted { qty: qty("10"), ..entry() })
            }),
            &[("risk.starting_equity", "100.1"), ("risk.leverage_max_percent", "12500")],
        ),
        case("risk.daily_loss_max", "10.00000001", "10", DailyLoss, |desk| {
            desk.ledger.on_time(NOON);
            desk.receive(money("-10"));
            one(desk)
        }),
        case("risk.drawdown_bps_max", "2001", "2000", Drawdown, |desk| {
            desk.receive(money("-200000"));
            one(desk)
        }),
        case("risk.losses_in_a_row_max", "2", "1", ConsecutiveLosses, |desk| {
            desk.hold(BTC, Side::Buy, qty("1"), px("100"));
            desk.hold(BTC, Side::Sell, qty("1"), px("99"));
            one(desk)
        }),
    ]
}

/// The limits of how often, how late and after what.
fn conduct_cases() -> Vec<Case> {
    use Reason::*;
    vec![
        case("risk.duplicate_window_ms", "10", "11", DuplicateOrder, |desk| {
            desk.passes(&entry());
            later(desk, 10);
            one(desk)
        }),
        case("risk.orders_per_10s_max", "3", "2", OrderRate, |desk| {
            for _ in 0..2 {
                desk.passes(&entry());
                later(desk, 10);
            }
            one(desk)
        }),
        with(
            case("risk.rate_denials_per_10s_max", "3", "2", RateRepeated, |desk| {
                desk.passes(&entry());
                later(desk, 10);
                (0..2).for_each(|_| desk.is_denied(&entry(), OrderRate));
                later(desk, 10_000);
                one(desk)
            }),
            &[("risk.orders_per_10s_max", "1")],
        ),
        case("risk.entries_per_day_max", "2", "1", MaxEntriesPerDay, |desk| {
            desk.passes(&entry());
            later(desk, 10);
            one(desk)
        }),
        case("risk.identical_entries_per_min_max", "3", "2", IdenticalEntries, |desk| {
            for _ in 0..2 {
                desk.passes(&entry());
                later(desk, 29_999);
            }
            one(desk)
        }),
        case("risk.open_orders_max", "2", "1", MaxOpenOrders, |desk| {
            desk.passes(&Wanted { px: px("99"), ..entry() });
            one(desk)
        }),
        case("risk.market_age_ms_max", "10", "9", StaleMarket, |desk| {
            later(desk, 10);
            one(desk)
        }),
    ]
}

/// The limits of what the model says and when it is decided on.
fn model_cases() -> Vec<Case> {
    use Reason::*;
    vec![
        case("risk.model_identical_max", "4", "3", ModelConstant, |desk| {
            (0..3).for_each(|_| answer(desk, 0.7, 0));
            one(desk)
        }),
        with(
            case("risk.model_one_sided_window", "6", "5", ModelOneSided, |desk| {
                (0..5).for_each(|i| answer(desk, 0.7 + 0.01 * i as f32, 0));
                one(desk)
            }),
            &[("risk.model_one_sided_percent_max", "99")],
        ),
        with(
            case("risk.model_one_sided_percent_max", "75", "74", ModelOneSided, |desk| {
                [0.6, 0.7, 0.2, 0.8].into_iter().for_each(|up| answer(desk, up, 0));
                one(desk)
            }),
            &[("risk.model_one_sided_window", "4")],
        ),
        case("risk.decision_age_ms_max", "10", "9", DecisionLate, |desk| {
            desk.lag = Nanos::from_millis(10);
            one(desk)
        }),
        with(
            case("risk.late_percent_max", "2", "1", DecisionsLate, |desk| {
                (0..100).for_each(|i| answer(desk, i as f32 / 128.0, if i < 2 { 6 } else { 5 }));
                one(desk)
            }),
            &[("risk.decision_age_ms_max", "5")],
        ),
        with(
            case("risk.reduce_s", "10", "11", ModelConstant, |desk| {
                (0..2).for_each(|_| answer(desk, 0.7, 0));
                desk.is_denied(&entry(), TradingState);
                answer(desk, 0.6, 0);
                later(desk, 10_000);
                let timer = desk.cause();
                let _ = desk.gate.relax(&timer);
                one(desk)
            }),
            &[("risk.model_identical_max", "2")],
        ),
    ]
}

/// Two prices that move alike, a bar a second, as many bars as given.
fn alike(desk: &mut Desk, bars: i64) {
    for second in 0..=bars {
        let moved = Px(px("100").0 + px("0.01").0 * (second % 3) * (second % 5));
        for id in [BTC, ETH] {
            desk.ledger.on_mark(id, moved, desk.now);
        }
        for id in [BTC, ETH] {
            desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
        }
        let _ = desk.told(Kind::Timer, InstrumentId::NONE, &crate::base::event::Timer::default());
        if second < bars {
            later(desk, 1_000);
        }
    }
    let back = desk.now;
    [BTC, ETH].into_iter().for_each(|id| desk.ledger.on_mark(id, px("100"), back));
    desk.hold(ETH, Side::Buy, qty("2"), px("100"));
}

/// Two prices that move apart.
pub(super) fn apart(desk: &mut Desk, bars: i64) {
    for second in 0..=bars {
        let step = px("0.01").0;
        desk.ledger.on_mark(BTC, Px(px("100").0 + step * (second % 2)), desk.now);
        desk.ledger.on_mark(ETH, Px(px("100").0 + step * (second / 2 % 2)), desk.now);
        for id in [BTC, ETH] {
            desk.ledger.on_touch(id, px("99.9"), px("100.1"), desk.now);
        }
        let _ = desk.told(Kind::Timer, InstrumentId::NONE, &crate::base::event::Timer::default());
        if second < bars {
            later(desk, 1_000);
        }
    }
    let back = desk.now;
    [BTC, ETH].into_iter().for_each(|id| desk.ledger.on_mark(id, px("100"), back));
    desk.hold(ETH, Side::Buy, qty("2"), px("100"));
}

fn portfolio_cases() -> Vec<Case> {
    use Reason::*;
    const SHARED: (&str, &str) = ("portfolio.correlated_notional_max", "300");
    const BAR: (&str, &str) = ("portfolio.correlation_bar_s", "1");
    let least = "100.09999999";
    vec![
        case("portfolio.net_notional_max", "100.1", least, MaxNetExposure, one),
        case("portfolio.positions_max", "2", "1", MaxPositions, |desk| {
            desk.hold(ETH, Side::Sell, qty("2"), px("100"));
            one(desk)
        }),
        with(
            case("portfolio.correlation_max_percent", "100", "99", MaxCorrelated, |desk| {
                alike(desk, 8);
                one(desk)
            }),
            &[SHARED, BAR],
        ),
        with(
            case("portfolio.correlation_bar_s", "1", "2", MaxCorrelated, |desk| {
                apart(desk, 8);
                one(desk)
            }),
            &[SHARED],
        ),
        with(
            case("portfolio.correlation_bars", "8", "9", MaxCorrelated, |desk| {
                apart(desk, 8);
                one(desk)
            }),
            &[SHARED, BAR],
        ),
        case("portfolio.correlated_notional_max", "300.1", "300.09999999", MaxCorrelated, |desk| {
            desk.hold(ETH, Side::Sell, qty("2"), px("100"));
            one(desk)
        }),
        case(
            "portfolio.budgets",
            "{ BTCUSDT = '100.1' }",
            "{ BTCUSDT = '100.09999999' }",
            MaxSymbolBudget,
            one,
        ),
        // 51 at 100.1 and ten times leverage take 510.51 of margin.
        case("stage.name", "'full'", "'limited_live'", MaxCapital, |desk| {
            desk.admit(&Wanted { qty: qty("51"), ..entry() })
        }),
        case("stage.capital_max", "'10.01'", "'10.00999999'", MaxCapital, one),
        with(
            case("stage.limits_percent", "50", "49", MaxOrderNotional, one),
            &[("risk.order_notional_max", "200.2")],
        ),
    ]
}

/// A whole configuration with limits that nothing reaches.
fn base() -> Table {
    let text = include_str!("generous.toml");
    parse_document(text).unwrap()
}

/// A value as it stands in a file: amounts in quotes.
fn value(document: &Table, key: &str, text: &str) -> Value {
    let (table, name) = key.split_once('.').unwrap();
    let quoted = matches!(&document[table].get(name), Some(Value::String(_)));
    let bare = !quoted || text.starts_with('\'');
    let line = if bare { format!("v = {text}") } else { format!("v = '{text}'") };
    line.parse::<Table>().unwrap().remove("v").unwrap()
}

pub(super) fn settings_with(changes: &[(&str, &str)]) -> RiskSettings {
    let mut document = base();
    for (key, text) in changes {
        let value = value(&document, key, text);
        let (table, name) = key.split_once('.').unwrap();
        document[table].as_table_mut().unwrap().insert(name.to_owned(), value);
    }
    parse(document).unwrap_or_else(|errors| panic!("{changes:?}: {errors:?}")).risk
}

/// Limits that an entry cannot come near to at a glance: those of quotients, and of sums of what
/// may part.
const NEEDS_A_CLOSER_LOOK: [&str; 8] = [
    "risk.starting_equity",
    "risk.leverage_max_percent",
    "risk.capital_max",
    "risk.liquidation_distance_bps_min",
    "risk.drawdown_bps_max",
    "portfolio.net_notional_max",
    "portfolio.correlated_notional_max",
    "stage.capital_max",
];

/// Why the last order was denied; `None` when it passed.
fn denial(desk: &mut Desk, play: fn(&mut Desk) -> Verdict) -> Option<Reason> {
    let Verdict::Denied(event) = play(desk) else { return None };
    let body: &Denied = event.body();
    let reason = Reason::from_u16(body.reason).unwrap();
    // A state denies for its own reason.
    Some(if reason == Reason::TradingState { desk.gate.state_reason() } else { reason })
}

#[test]
fn every_limit_of_the_schema_bites_at_its_value_and_not_one_unit_before() {
    let cases = cases();
    for key in gate_keys() {
        if STAGE_KEYS.contains(&key.as_str()) {
            continue;
        }
        let Some(case) = cases.iter().find(|case| case.key == key) else {
            panic!("{key}: no case makes it bite");
        };
        for (text, told) in [(case.inside, None), (case.outside, Some(case.reason))] {
            let mut changes = case.with.to_vec();
            changes.push((case.key, text));
            let mut desk = Desk::new(&settings_with(&changes));
            let glances_before = glances();
            assert_eq!(denial(&mut desk, case.play), told, "{key} = {text}");
            // Each entry but the last, where it needs a closer look, passed at a glance.
            let closer = told.is_none() && NEEDS_A_CLOSER_LOOK.contains(&case.key);
            let (_, entries) = desk.gate.left();
            let seen = glances() - glances_before + u32::from(closer);
            assert_eq!(seen, entries, "{key} = {text}");
        }
    }
    let known = gate_keys();
    for case in &cases {
        assert!(known.iter().any(|key| key == case.key), "{}: no such key", case.key);
    }
}

/// RC-01, from the schema: what is missing denies.
#[test]
fn every_limit_that_is_missing_denies_every_entry() {
    let may_be_missing = |key: &str| {
        let open = ["risk.starting_equity", "risk.allow", "risk.qty_max", "portfolio.budgets"];
        key.starts_with("stage.") || open.contains(&key)
    };
    for key in gate_keys() {
        if may_be_missing(&key) {
            continue;
        }
        let mut document = base();
        let (table, name) = key.split_once('.').unwrap();
        let gone = document[table].as_table_mut().unwrap().remove(name);
        assert!(gone.is_some(), "{key} is not in generous.toml");
        let mut desk = Desk::new(&parse(document).unwrap().risk);
        desk.is_denied(&entry(), Reason::LimitUnset);
        desk.hold(BTC, Side::Buy, qty("1"), px("100"));
        desk.passes(&exit());
    }
}
