//! What holds for every size and every way out.

use super::super::costs::Market;
use super::super::exits::{Levels, risk_distance};
use super::super::sizing::{Ask, size};
use super::*;
use proptest::prelude::*;

/// Equity, position, mean and deviation of the return, range and fee, as an entry meets them.
#[derive(Clone, Copy, Debug)]
struct Given {
    equity: i64,
    notional: i64,
    mean: f64,
    deviation: f64,
    range_bps: i64,
    fee_bps: i64,
    percent: u32,
}

fn given() -> impl Strategy<Value = Given> {
    (
        (100_i64..1_000_000, 50_i64..1_000_000, 0.001_f64..0.05, 0.002_f64..0.1),
        (5_i64..500, 0_i64..10, 1_u32..=100),
    )
        .prop_map(|((equity, notional, mean, deviation), (range_bps, fee_bps, percent))| {
            Given { equity, notional, mean, deviation, range_bps, fee_bps, percent }
        })
}

fn strict(given: &Given) -> Rules {
    let mut rules = rules();
    rules.policy.position_notional = Money::whole(given.notional);
    rules.sizing = SizingSettings {
        kelly_fraction: 0.25,
        volatility_reference_bps: 50.0,
        min_edge_bps: 1,
        slippage_bps: 1.0,
        notional_min: Money::whole(1),
        ..SizingSettings::default()
    };
    rules.exits = ExitSettings::default();
    rules.leverage_max_percent = 300;
    rules
}

/// The value of the entry; zero where there is none.
fn value(given: &Given) -> f64 {
    let rules = strict(given);
    let mut facts = facts();
    facts.taker_fee = Rate(given.fee_bps * 10_000);
    (facts.lot_size, facts.min_qty) = (Qty(1), Qty(1));
    (facts.max_qty, facts.min_notional) = (Qty::whole(1_000_000), Money(1));
    let half = given.deviation * 2.563_103 / 2.0;
    let quantile = [given.mean - half, given.mean, given.mean + half].map(|q| q as f32);
    let prediction = Prediction { quantile, ..Prediction::default() };
    let atr = Px(px("100").0 / 10_000 * given.range_bps);
    let ask = Ask {
        facts: &facts,
        prediction: &prediction,
        side: Side::Buy,
        px: px("100"),
        market: Market { bid: px("99.99"), ask: px("100"), atr },
        equity: Money::whole(given.equity),
        funding: Rate::ZERO,
        percent: given.percent,
    };
    size(&rules, &ask).map_or(0.0, |(qty, _)| qty.to_f64() * 100.0)
}

proptest! {
    #[test]
    fn no_size_is_above_any_of_its_bounds(given in given()) {
        let rules = strict(&given);
        let sized = value(&given);
        let equity = given.equity as f64;
        // A unit of the scale may be lost to a float, never won.
        let at_most = |bound: f64| sized <= bound * (1.0 + 1e-6);
        let part = f64::from(given.percent) / 100.0;
        prop_assert!(at_most(given.notional as f64 * 2.0 * part));
        prop_assert!(at_most(equity * 3.0 * 0.2 * part));
        let atr = Px(px("100").0 / 10_000 * given.range_bps);
        let r = risk_distance(&rules.exits, px("100"), atr) as f64 / px("100").0 as f64;
        let fees = 2.0 * given.fee_bps as f64 / 1e4;
        prop_assert!(at_most(equity * 0.02 / (r + fees) * part), "risk");
        let net = given.mean * 0.5 - fees;
        let bet = net / given.deviation.powi(2);
        let kelly = (equity * 0.25 * bet * part).max(0.0);
        // The quantiles cross as 32-bit floats.
        prop_assert!(sized <= kelly * 1.001 + 1e-3, "{sized} {kelly}");
    }

    #[test]
    fn more_equity_or_more_edge_never_make_it_smaller_and_more_range_never_larger(
        given in given(),
        more in 1.01_f64..3.0,
    ) {
        let before = value(&given);
        let richer = Given { equity: (given.equity as f64 * more) as i64, ..given };
        prop_assert!(value(&richer) >= before * (1.0 - 1e-9));
        let surer = Given { mean: given.mean * more, ..given };
        prop_assert!(value(&surer) >= before * (1.0 - 1e-6));
        let wilder = Given { range_bps: (given.range_bps as f64 * more) as i64 + 1, ..given };
        prop_assert!(value(&wilder) <= before * (1.0 + 1e-9));
        let scarcer = Given { percent: given.percent / 2, ..given };
        prop_assert!(value(&scarcer) <= before);
    }

    #[test]
    fn a_stop_never_moves_back_and_no_exit_grows_the_position(
        buy in any::<bool>(),
        steps in prop::collection::vec((-300_i64..300, 0_u8..8), 1..60),
        trail in (0.0_f64..3.0, 0.01_f64..3.0),
    ) {
        let exits = ExitSettings {
            trail_start_r: trail.0,
            trail_r: trail.1,
            protective_stop_bps: 50,
            hold_ms_max: 10_000,
            ..ExitSettings::default()
        };
        let mut desk = Desk::new(|rules| rules.exits = exits);
        let side = if buy { Side::Buy } else { Side::Sell };
        desk.predict(0, 0.0, 0.0);
        desk.fill(0, side, "5", "100");
        let mut nearest: Option<i64> = None;
        for (ms, (hundredths, part)) in (0_i64..).step_by(200).zip(steps) {
            let bid = px("100").0 + hundredths * 1_000_000;
            let now = Nanos::from_millis(ms);
            desk.ledger.on_touch(BTC, Px(bid), Px(bid + 5_000_000), now);
            let position = *desk.ledger.position(BTC).unwrap();
            if position.qty == Qty::ZERO {
                break;
            }
            let stop = Levels::new(&exits, &position, px("1")).stop_px().unwrap();
            let near = stop.0 * side.sign();
            prop_assert!(nearest.is_none_or(|before| near >= before), "it was loosened");
            nearest = Some(near);
            for intent in [
                desk.policy.check(BTC, now, &desk.ledger),
                desk.policy.protect(BTC, now, &desk.ledger),
                desk.policy.flatten(BTC, &desk.ledger, &flatten::kill(), Nanos::ZERO),
            ] {
                if let Intent::Exit(wanted) | Intent::Protect(wanted) = intent {
                    prop_assert_eq!(wanted.side, side.opposite());
                    prop_assert!(wanted.qty.0 <= position.qty.0.abs());
                }
                prop_assert!(!matches!(intent, Intent::Enter(_)));
            }
            // Part of it goes now and then; the rest keeps its stop.
            if part == 0 {
                desk.fill(ms, side.opposite(), "1", "100");
            }
        }
    }
}
