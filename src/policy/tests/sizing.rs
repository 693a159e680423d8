//! Sizes against published formulas and numbers, and each bound where it binds.

use super::super::costs::{Costs, Market};
use super::super::exits::{risk_distance, target_distance};
use super::super::funding::FundingTold;
use super::super::outlook::Outlook;
use super::super::sizing::{Ask, Short, scale, size};
use super::*;
use crate::base::event::MarkPrice;
use crate::base::{Bound, Reason};

const BPS: i64 = 10_000;

/// The model foresees a mean of `mean` with a standard deviation of `deviation`.
fn foresees(mean: f32, deviation: f32) -> Prediction {
    let half = deviation * 2.563_103 / 2.0;
    Prediction { quantile: [mean - half, mean, mean + half], ..Prediction::default() }
}

/// An entry long at 100 in a market without a spread.
struct Case {
    rules: Rules,
    prediction: Prediction,
    side: Side,
    px: Px,
    atr: Px,
    equity: Money,
    funding: Rate,
    percent: u32,
    facts: InstrumentSettings,
}

impl Case {
    fn new(change: impl Fn(&mut Rules)) -> Self {
        let mut rules = rules();
        rules.sizing.slippage_bps = 0.0;
        rules.leverage_max_percent = 300;
        change(&mut rules);
        Self {
            rules,
            prediction: foresees(0.01, 0.02),
            side: Side::Buy,
            px: px("100"),
            atr: px("1"),
            equity: Money::whole(2_000),
            funding: Rate::ZERO,
            percent: 100,
            facts: facts(),
        }
    }

    fn sized(&self) -> Result<(Qty, Plan), Short> {
        let market = Market { bid: self.px, ask: self.px, atr: self.atr };
        let ask = Ask {
            facts: &self.facts,
            prediction: &self.prediction,
            side: self.side,
            px: self.px,
            market,
            equity: self.equity,
            funding: self.funding,
            percent: self.percent,
        };
        size(&self.rules, &ask)
    }

    #[track_caller]
    fn is(&self, quantity: &str, bound: Bound) {
        let (sized, plan) = self.sized().unwrap();
        assert_eq!((sized, plan.bound), (qty(quantity), bound));
    }

    #[track_caller]
    fn falls_short(&self, reason: Reason) -> Short {
        let short = self.sized().unwrap_err();
        assert_eq!(short.reason, reason);
        short
    }

    /// Reason, what there is, and the least that is needed.
    #[track_caller]
    fn short(&self) -> (Reason, i64, i64) {
        let Short { reason, value, limit } = self.sized().unwrap_err();
        (reason, value, limit)
    }
}

/// What the model says of the classes alone.
fn classes(down: f32, up: f32) -> Prediction {
    Prediction { probability: [down, 1.0 - up - down, up], ..Prediction::default() }
}

/// Fees .04 % and slippage .05 % each way are the round trip of .18 % of the older system's policy.
#[test]
fn the_published_round_trip_of_18_basis_points() {
    let mut rules = rules();
    (rules.sizing.slippage_bps, rules.sizing.impact_bps) = (5.0, 1.0);
    let market = Market { bid: px("100"), ask: px("100"), atr: px("1") };
    let fees = (Rate(2 * BPS), Rate(4 * BPS));
    let of = |rules: &Rules, market: &Market| Costs::new(rules, fees, market, Rate::ZERO);
    let taking = of(&rules, &market);
    assert_eq!((taking.fixed, taking.impact), (Rate(18 * BPS), Rate(2 * BPS)));
    // Twice the slippage in a market that moves three times as much, and more than that never.
    rules.sizing.volatility_reference_bps = 100.0;
    assert_eq!(of(&rules, &market).fixed, Rate(18 * BPS));
    let wild = Market { atr: px("3"), ..market };
    assert_eq!(of(&rules, &wild).fixed, Rate(28 * BPS));
    // An entry that rests pays the maker's fee, and no slippage but that of its exit.
    rules.policy.enter_as_maker = true;
    let resting = of(&rules, &market);
    assert_eq!((resting.fixed, resting.impact), (Rate(11 * BPS), Rate(BPS)));
    // Half of a spread of 10 basis points, twice.
    rules.policy.enter_as_maker = false;
    let wide = Market { bid: px("100"), ask: px("100.1"), ..market };
    assert_eq!(of(&rules, &wide).fixed, Rate(28 * BPS));
}

#[test]
fn an_entry_must_earn_a_tenth_of_a_percent_more_than_it_costs() {
    let mut case = Case::new(|rules| {
        rules.sizing.slippage_bps = 5.0;
        rules.sizing.min_edge_bps = 10;
    });
    case.facts.taker_fee = Rate(4 * BPS);
    // 18 basis points of costs and 10 to earn.
    case.prediction = foresees(0.002_801, 0.02);
    assert_eq!(case.sized().unwrap().1.costs, Rate(18 * BPS));
    case.prediction = foresees(0.002_799, 0.02);
    let short = case.falls_short(Reason::EdgeBelowCosts);
    assert_eq!(short.limit, 10 * BPS);
    assert!((9 * BPS..10 * BPS).contains(&short.value));
    // Funding to be paid is a cost as well.
    case.prediction = foresees(0.002_801, 0.02);
    case.funding = Rate(BPS);
    case.falls_short(Reason::EdgeBelowCosts);
    // The other side expects the opposite.
    (case.funding, case.side) = (Rate::ZERO, Side::Sell);
    case.falls_short(Reason::EdgeBelowCosts);
}

#[test]
fn funding_is_paid_at_each_payment_within_the_hold_at_its_actual_interval() {
    let hour = |n: i64| Nanos::from_secs(3_600 * n);
    let told = |next: i64, rate: i64| {
        let ts_next_funding = hour(next).0;
        MarkPrice { funding_rate: rate, ts_next_funding, ..MarkPrice::default() }
    };
    let mut funding = FundingTold::default();
    assert_eq!(funding.paid(Side::Buy, hour(1), hour(1_000)), Rate::ZERO, "nothing is known");
    // Payments at 8, 16 and 24 o'clock; held from 6 to 26.
    funding.on_mark(&told(8, BPS));
    // Before an interval was seen, it may be as short as the next payment is near.
    assert_eq!(funding.paid(Side::Buy, hour(6), hour(20)), Rate(5 * BPS), "8, 12, 16, 20, 24");
    funding.on_mark(&told(16, BPS));
    assert_eq!(funding.paid(Side::Buy, hour(14), hour(20)), Rate(3 * BPS), "16, 24, 32");
    assert_eq!(funding.paid(Side::Buy, hour(14), hour(1)), Rate::ZERO, "it is over before");
    assert_eq!(funding.paid(Side::Sell, hour(14), hour(20)), Rate::ZERO, "it receives");
    funding.on_mark(&told(16, -BPS));
    assert_eq!(funding.paid(Side::Sell, hour(14), hour(2)), Rate(BPS));
    // The venue has changed to every four hours.
    funding.on_mark(&told(20, BPS));
    assert_eq!(funding.paid(Side::Buy, hour(19), hour(10)), Rate(3 * BPS), "20, 24, 28");
    // The stream is behind: the payment at 20 is over, the one at 24 is next.
    assert_eq!(funding.paid(Side::Buy, hour(21), hour(2)), Rate::ZERO);
    assert_eq!(funding.paid(Side::Buy, hour(21), hour(3)), Rate(BPS));
}

/// Thorp 2006: a fraction c of the Kelly bet keeps c(2 − c) of the growth, and the wealth ever
/// falls to x of itself with the probability x^(2/c − 1).
#[test]
fn fractions_of_our_kelly_bet_have_thorp_s_growth_and_ruin() {
    let (mean, deviation) = (0.001, 0.02);
    let full = Outlook::Quantiles { mean, deviation }.kelly(0.0, 0.0);
    let variance = deviation * deviation;
    let growth = |bet: f64| mean * bet - variance * bet * bet / 2.0;
    let ever = |bet: f64, x: f64| x.powf(2.0 * mean / (variance * bet) - 1.0);
    for (c, share, half, fifth) in
        [(1.0, 1.0, 0.5, 0.80), (0.5, 0.75, 0.125, 0.512), (0.25, 0.4375, 0.007_812_5, 0.209_715_2)]
    {
        let bet = c * full;
        assert!((growth(bet) / growth(full) - share).abs() < 1e-12);
        assert!((ever(bet, 0.5) - half).abs() < 1e-12);
        assert!((ever(bet, 0.8) - fifth).abs() < 1e-12);
    }
    // No other bet grows faster.
    assert!(growth(full) > growth(full * 1.01) && growth(full) > growth(full * 0.99));
}

#[test]
fn the_bet_on_classes_is_p_less_q_over_b_of_what_is_lost() {
    for (p, move_bps, cost_bps) in [(0.6, 100.0, 0.0), (0.6, 100.0, 10.0), (0.55, 50.0, 2.0)] {
        let (typical, costs) = (move_bps / 1e4, cost_bps / 1e4);
        let with = Outlook::Classes { with: p, against: 1.0 - p, typical };
        let (gain, loss) = (typical - costs, typical + costs);
        let published = p - (1.0 - p) / (gain / loss);
        assert!((with.kelly(costs, 0.0) * loss - published).abs() < 1e-12);
    }
    // An even bet at 60 % stakes a fifth.
    let even = Outlook::Classes { with: 0.6, against: 0.4, typical: 0.01 };
    assert!((even.kelly(0.0, 0.0) * 0.01 - 0.2).abs() < 1e-12);
    // What ends flat pays its costs, and half of the edge left out is half of it.
    let flat = Outlook::Classes { with: 0.5, against: 0.3, typical: 0.01 };
    assert!(flat.kelly(0.001, 0.0) < flat.kelly(0.0, 0.0) - 1e-9);
    assert!((flat.kelly(0.0, 0.5) - flat.kelly(0.0, 0.0) / 2.0).abs() < 1e-9);
    assert!(flat.kelly(0.01, 0.0) <= 0.0, "a gain that its costs eat is no gain");
}

#[test]
fn the_mean_of_quantiles_is_swanson_s() {
    let prediction = Prediction { quantile: [-0.01, 0.002, 0.03], ..Prediction::default() };
    let mean = Outlook::new(&prediction, Side::Buy, 0.0).mean();
    assert!((mean - (0.3 * -0.01 + 0.4 * 0.002 + 0.3 * 0.03)).abs() < 1e-9);
    let short = Outlook::new(&prediction, Side::Sell, 0.0);
    assert!((short.mean() + mean).abs() < 1e-12);
    assert_eq!(short.target(), None, "it aims at nothing where it expects a loss");
    // Quantiles that are none leave the classes.
    for quantile in [[0.0; 3], [f32::NAN; 3], [0.02, 0.01, 0.03], [0.0, 0.1, f32::INFINITY]] {
        let probability = [0.2, 0.2, 0.6];
        let prediction = Prediction { probability, quantile, ..Prediction::default() };
        let outlook = Outlook::new(&prediction, Side::Buy, 0.01);
        assert!((outlook.mean() - 0.004).abs() < 1e-8, "{quantile:?}");
    }
}

/// 1 / (1 + 1.5 n) with n the range over its reference less one, between a half and two.
#[test]
fn the_size_falls_with_the_market_s_range_by_the_published_formula() {
    let sizing = SizingSettings { volatility_reference_bps: 100.0, ..SizingSettings::default() };
    for (range, factor) in [
        (0.01, 1.0),
        (0.012, 1.0 / 1.3),
        (0.008, 1.0 / 0.7),
        (0.05, 0.5),
        (0.001, 2.0),
        (0.003, 2.0),
        (0.0, 1.0),
    ] {
        assert!((scale(&sizing, range) - factor).abs() < 1e-12, "{range}");
    }
}

#[test]
fn each_bound_binds_where_it_is_the_least() {
    // 1 000 of a full position at 100.
    Case::new(|_| {}).is("10", Bound::Full);
    // In a market three times as wild as usual half of it.
    Case::new(|rules| rules.sizing.volatility_reference_bps = 33.3).is("5", Bound::Full);
    // 2 % of 2 000 is 40, lost over 1.5 ranges of 1 %: 40 / 1.5 %.
    let risk = |rules: &mut Rules| {
        rules.policy.position_notional = Money::whole(1_000_000);
        rules.sizing.risk_bps = 200;
        rules.exits.stop_atr = 1.5;
    };
    Case::new(risk).is("26.66", Bound::Risk);
    // Costs of 48 basis points are lost as well: 40 / 1.98 %.
    let mut dear = Case::new(risk);
    dear.facts.taker_fee = Rate(24 * BPS);
    dear.is("20.2", Bound::Risk);
    // 20 % of 2 000 at three times leverage.
    let share = |rules: &mut Rules| {
        rules.policy.position_notional = Money::whole(1_000_000);
        rules.sizing.share_bps = 2_000;
    };
    Case::new(share).is("12", Bound::Share);
    Case::new(|rules| {
        share(rules);
        rules.leverage_max_percent = 100;
    })
    .is("4", Bound::Share);
    // A quarter of the bet on half of 1 % with a deviation of 2 %: .005 / .0004 × .25 = 3.125.
    let mut kelly = Case::new(|rules| {
        rules.policy.position_notional = Money::whole(1_000_000);
        (rules.sizing.kelly_fraction, rules.sizing.kelly_shrink) = (0.25, 0.5);
        rules.sizing.share_bps = 10_000;
        rules.leverage_max_percent = 10_000;
        rules.sizing.risk_bps = 500;
        rules.exits.stop_atr = 0.1;
    });
    let (sized, plan) = kelly.sized().unwrap();
    assert_eq!(plan.bound, Bound::Kelly);
    assert!((sized.to_f64() - 62.5).abs() < 0.02, "{sized}");
    // An edge of less than nothing after costs is no bet.
    kelly.facts.taker_fee = Rate(26 * BPS);
    kelly.falls_short(Reason::KellyNotPositive);
    // 90 basis points to spare at two for every 1 000.
    let mut impact = Case::new(|rules| {
        rules.policy.position_notional = Money::whole(1_000_000);
        (rules.sizing.impact_bps, rules.sizing.min_edge_bps) = (1.0, 10);
        rules.sizing.risk_bps = 500;
        rules.exits.stop_atr = 0.01;
    });
    impact.equity = Money::whole(1_000_000);
    impact.facts.max_qty = Qty::whole(1_000);
    let (sized, plan) = impact.sized().unwrap();
    assert_eq!(plan.bound, Bound::Impact);
    assert!((sized.to_f64() - 450.0).abs() < 0.1, "{sized}");
    // The venue's largest order.
    impact.facts.max_qty = qty("100");
    impact.is("100", Bound::Venue);
    // Breakers let a half pass.
    let mut half = Case::new(|_| {});
    half.percent = 50;
    half.is("5", Bound::Breakers);
}

#[test]
fn of_bounds_that_are_the_same_the_first_is_told() {
    // Half of 2 000 is as much as a full position of 1 000.
    let mut case = Case::new(|rules| {
        rules.leverage_max_percent = 100;
        rules.sizing.share_bps = 5_000;
    });
    case.is("10", Bound::Full);
    case.facts.max_qty = qty("10");
    case.is("10", Bound::Full);
    case.facts.max_qty = qty("9.99");
    case.is("9.99", Bound::Venue);
    case.percent = 99;
    case.is("9.9", Bound::Breakers);
}

#[test]
fn the_least_order_passes_and_one_unit_less_does_not() {
    // 10 at 100.
    let whole = Money::whole(1_000).0;
    let mut case = Case::new(|_| {});
    case.facts.min_qty = qty("10");
    case.is("10", Bound::Full);
    case.facts.min_qty = Qty(qty("10").0 + 1);
    assert_eq!(case.short(), (Reason::SizeBelowLeast, whole, Money::whole(5).0));
    let mut case = Case::new(|_| {});
    case.facts.min_notional = Money(whole);
    case.is("10", Bound::Full);
    case.facts.min_notional = Money(whole + 1);
    assert_eq!(case.short(), (Reason::SizeBelowLeast, whole, whole + 1));
}

#[test]
fn at_a_price_of_a_single_unit_a_size_is_what_its_value_buys() {
    let mut case = Case::new(|_| {});
    (case.px, case.atr, case.facts.max_qty) = (Px(1), Px(1), Qty::MAX);
    // All of the price may be lost, of the equity 100: that many units of money less the one that
    // floats may have rounded up.
    case.is("9999999999", Bound::Risk);
    // Nothing is no order, not even where a single unit of money would be one.
    case.percent = 0;
    (case.facts.min_notional, case.rules.sizing.notional_min) = (Money(1), Money(1));
    assert_eq!(case.short(), (Reason::SizeBelowLeast, 0, 1));
}

#[test]
fn an_edge_that_is_just_the_least_is_enough() {
    let mut case = Case::new(|rules| {
        (rules.sizing.min_edge_bps, rules.sizing.move_atr) = (10, 0.0625);
    });
    case.prediction = classes(0.25, 0.75);
    case.atr = px("50");
    // Half of a 32nd are 156.25 basis points; fees of 146.25 leave 10.
    case.facts.taker_fee = Rate(731_250);
    case.is("0.98", Bound::Risk);
    case.facts.taker_fee = Rate(731_251);
    assert_eq!(case.short(), (Reason::EdgeBelowCosts, 10 * BPS - 2, 10 * BPS));
}

#[test]
fn a_bet_of_nothing_is_no_bet() {
    // Costs of 120 basis points eat a move of 100.
    let mut case = Case::new(|rules| rules.sizing.kelly_fraction = 0.25);
    case.prediction = classes(0.25, 0.75);
    case.facts.taker_fee = Rate(60 * BPS);
    assert_eq!(case.short(), (Reason::KellyNotPositive, 0, 1));
}

#[test]
fn an_entry_that_cannot_be_sized_says_why() {
    let mut case = Case::new(|_| {});
    case.atr = Px::ZERO;
    assert_eq!(case.short(), (Reason::RangeUnknown, 0, 1));
    let mut case = Case::new(|_| {});
    for equity in [0, -7] {
        case.equity = Money(equity);
        assert_eq!(case.short(), (Reason::EquityNotPositive, equity, 1));
    }
    let mut case = Case::new(|rules| rules.sizing.notional_min = Money::whole(10));
    case.facts.min_notional = Money::whole(5);
    case.equity = Money::whole(1);
    let short = case.falls_short(Reason::SizeBelowLeast);
    assert_eq!(short.limit, Money::whole(10).0);
    let mut case = Case::new(|_| {});
    case.percent = 0;
    case.falls_short(Reason::SizeBelowLeast);
    let case = Case::new(|rules| rules.leverage_max_percent = 0);
    case.falls_short(Reason::SizeBelowLeast);
}

#[test]
fn why_there_is_no_entry_is_told_once_a_minute_and_again_after_an_entry() {
    let mut desk = Desk::new(|rules| rules.sizing.min_edge_bps = 9_000);
    let told = |desk: &mut Desk, ms: i64| match desk.predict(ms, 0.75, 0.0) {
        Intent::HoldBack(held) => {
            assert_eq!(held.reason, Reason::EdgeBelowCosts);
            !held.again
        }
        other => panic!("{other:?}"),
    };
    assert!(told(&mut desk, 0));
    assert!(!told(&mut desk, 100));
    assert!(!told(&mut desk, 59_999));
    assert!(told(&mut desk, 60_000));
    desk.policy.rules.sizing.min_edge_bps = -10_000;
    assert!(matches!(desk.predict(60_100, 0.75, 0.0), Intent::Enter(_)));
    desk.policy.rules.sizing.min_edge_bps = 9_000;
    assert!(told(&mut desk, 60_200));
    // No wish to enter is no refusal.
    assert_eq!(desk.predict(60_300, 0.25, 0.0), Intent::None);
}

/// The older system's policy: 1.5 ranges, between 1 % and 5 %; 0.7 of the model's target and 0.3 of
/// twice the risk.
#[test]
fn stop_and_target_are_those_of_the_published_policy() {
    let exits = ExitSettings::default();
    for (atr, r) in [("1", "1.5"), ("0.1", "1"), ("2", "3"), ("4", "5"), ("0", "5")] {
        assert_eq!(risk_distance(&exits, px("100"), px(atr)), px(r).0, "{atr}");
    }
    let r = px("1.5").0;
    assert_eq!(target_distance(&exits, r, px("100"), None), px("3"));
    // 0.7 × 2 + 0.3 × 3.
    let mixed = target_distance(&exits, r, px("100"), Some(0.02));
    assert!((mixed.to_f64() - 2.3).abs() < 1e-7);
    let none = ExitSettings { take_profit_r: 0.0, ..exits };
    assert_eq!(target_distance(&none, r, px("100"), Some(0.02)), Px::ZERO);
    // Without an own stop the one at the venue is the risk, and without either the largest.
    let bare = ExitSettings { stop_atr: 0.0, protective_stop_bps: 200, ..exits };
    assert_eq!(risk_distance(&bare, px("100"), px("1")), px("2").0);
    let bare = ExitSettings { protective_stop_bps: 0, ..bare };
    assert_eq!(risk_distance(&bare, px("100"), px("1")), px("5").0);
}
