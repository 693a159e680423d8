//! The tests: each way out of a position is taken by its own name on the simulated exchange, while
//! trading, while it only reduces, and while it is halted.

use super::plan::{Plan, fault};
use super::run::Run;
use peregrine::base::{InstrumentId, Purpose, Qty};
use peregrine::risk::TradingState;
use serde_json::json;

/// Longest time for one way, in simulated milliseconds.
const LONGEST_MS: i64 = 40_000;
/// An operator's pause.
const PAUSE: u32 = 1;
/// Seeds to look in: funding is paid by one side alone.
const SEEDS: [u64; 4] = [7, 8, 9, 10];

/// Nothing leaves a position but what a way changes. R is one basis point.
const STAYS: &[(&str, &str, &str)] = &[
    ("policy", "exit_edge", "-1.0"),
    ("exits", "hold_ms_max", "3600000"),
    ("exits", "stop_bps_min", "1"),
    ("exits", "stop_bps_max", "1"),
];

type Changes = &'static [(&'static str, &'static str, &'static str)];

const WAYS: [(Purpose, Changes); 8] = [
    (Purpose::ExitSignal, &[("policy", "exit_edge", "0.29")]),
    (Purpose::ExitStop, &[("exits", "stop_atr", "1.0")]),
    (Purpose::ExitProfit, &[("exits", "take_profit_r", "1.0")]),
    (Purpose::ExitTrail, &[("exits", "trail_start_r", "0.0"), ("exits", "trail_r", "1.0")]),
    (Purpose::ExitVolatility, &[("exits", "volatility_high", "1.01")]),
    (
        Purpose::ExitFunding,
        &[("exits", "funding_bps", "0.0001"), ("exits", "funding_ahead_s", "86400")],
    ),
    (Purpose::ExitTime, &[("exits", "hold_ms_max", "500")]),
    (
        Purpose::ExitUnprotected,
        &[("exits", "protective_stop_bps", "200"), ("exits", "protective_ms_max", "600")],
    ),
];

/// A run with these changes; a day's loss of a cent halts it with its first fee.
fn run(seed: u64, changes: Changes, state: TradingState) -> Run {
    let halts = [("risk", "daily_loss_max", "\"0.01\"")];
    let halts = if state == TradingState::Halted { &halts[..] } else { &[] };
    let active = state == TradingState::Active;
    // An exchange that takes no stop reduces; where it takes them, none is quick enough here.
    let at_once = [("exits", "protective_ms_max", "1")];
    let at_once = if active { &at_once[..] } else { &[] };
    let all = [STAYS, changes, halts, at_once].concat();
    let target = json!({"method": "POST", "path": "/fapi/v1/algoOrder"});
    let refused = fault("unavailable", json!({"target": target, "probability": 1.0}), json!({}));
    let faults = if active { Vec::new() } else { vec![refused] };
    let plan = Plan { faults, ..Plan::calm() };
    let mut run = Run::configured(seed, plan, &all);
    run.start();
    run
}

fn held(run: &mut Run) -> bool {
    let ledger = run.session().ledger();
    let mut ids = (0..2).map(InstrumentId);
    ids.any(|id| ledger.position(id).is_some_and(|position| position.qty != Qty::ZERO))
}

/// True when a position was left by this way in this state, and the account is flat after it where
/// no entry is allowed.
fn is_left(seed: u64, purpose: Purpose, changes: Changes, state: TradingState) -> bool {
    let mut run = run(seed, changes, state);
    let mut paused = false;
    let mut left = false;
    for _ in 0..LONGEST_MS / 100 {
        run.state_after(100);
        if state == TradingState::Reducing && !paused && held(&mut run) {
            run.session().command(PAUSE);
            paused = true;
        }
        left = run.world.borrow().watch.left.contains(&(purpose as u8, state as u8));
        if left {
            break;
        }
    }
    if left && state != TradingState::Active {
        // What the venue fills in parts is left in parts.
        run.state_after(5_000);
        let others = purpose == Purpose::ExitFunding;
        left = others || !held(&mut run);
    }
    let outcome = run.finish(None);
    assert_eq!(outcome.broken, Vec::<String>::new(), "{purpose:?} {state:?}");
    left
}

#[test]
fn each_way_out_is_taken_by_its_name_while_active_reducing_and_halted() {
    for (purpose, changes) in WAYS {
        for state in [TradingState::Active, TradingState::Reducing, TradingState::Halted] {
            let taken = SEEDS.iter().any(|&seed| is_left(seed, purpose, changes, state));
            assert!(taken, "{purpose:?} was not taken while {state:?}");
        }
    }
}
