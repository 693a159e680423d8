//! Whole scenarios, and the file of them.

use super::pace::Pace;
use super::run::{Criterion, Limits, Outcome, Subject, run_all};
use super::scenario::{Loss, Plan, Scenario};
use anyhow::bail;
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::model::ArtifactFiles;
use peregrine::runtime::config;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn shipped() -> Plan {
    Plan::read(&root().join("config/stress.toml")).unwrap()
}

fn named(name: &str) -> Scenario {
    shipped().scenario.into_iter().find(|scenario| scenario.name == name).unwrap()
}

fn plan(text: &str) -> Result<Plan, String> {
    Plan::parse(text).map_err(|error| format!("{error:#}"))
}

const USUAL: &str = "seed = 3\n[[scenario]]\nname = \"a\"\nwhat = \"w\"\nminutes = 1\n";

#[test]
fn the_file_that_comes_along_holds_every_scenario_that_is_asked_for() {
    let plan = shipped();
    let names: Vec<&str> = plan.scenario.iter().map(|scenario| scenario.name.as_str()).collect();
    for wanted in [
        "crash-2020-03-12",
        "luna-2022-05",
        "ftx-2022-11",
        "cascade-2025-10-10",
        "spread-x10",
        "latency-x10",
        "latency-x100",
        "gaps",
        "outage",
        "fees-x3",
        "funding-shock",
        "no-mark-price",
        "no-trades",
        "range-x3",
        "range-half",
        "near-loss-limit",
        "twice-the-peak-rate",
    ] {
        assert!(names.contains(&wanted), "{wanted} is not among {names:?}");
    }
}

#[test]
fn what_a_scenario_cannot_be_is_refused_by_its_key() {
    assert!(plan(USUAL).is_ok());
    for (line, key) in [
        ("frames_per_second = 1", "frames_per_second"),
        ("spread_times = 0", "spread_times"),
        ("depth_times = 0", "depth_times"),
        ("volatility_times = 21", "volatility_times"),
        ("latency_times = 0", "latency_times"),
        ("fee_times = 101", "fee_times"),
        ("funding_rate = 0.2", "funding_rate"),
        ("funding_every_s = -1", "funding_every_s"),
        ("mark_skews = [[0, 1, 0.6]]", "mark_skews"),
        ("mark_skews = [[1, 1, 0.1]]", "mark_skews"),
        ("copies = 0", "copies"),
        ("path = [[0.5, 0.1], [0.4, 0.0]]", "path"),
        ("path = [[0.5, -1.0]]", "path"),
        ("gaps = [[2, 10]]", "gaps"),
        ("gaps = [[0.5, -9001]]", "gaps"),
        ("halts = [[0.5, 0.5]]", "halts"),
        ("losses = [{ from = 0.5, to = 2 }]", "losses"),
        ("losses = [{ streams = [\"ticker\"], from = 0, to = 1 }]", "ticker"),
        ("config = { risk = 3 }", "config"),
        ("spreads = 3", "spreads"),
        ("lead_minutes = -1", "lead_minutes"),
        ("lead_frames_per_second = 1", "lead_frames_per_second"),
        ("hold_s = 86401", "hold_s"),
        ("stop_at_loss = -1", "stop_at_loss"),
    ] {
        let error = plan(&format!("{USUAL}{line}\n")).unwrap_err();
        assert!(error.contains(key), "{line}: {error}");
    }
    for (line, key) in [
        ("bars_min = 10001", "bars_min"),
        ("slower_times_max = 0.5", "slower_times_max"),
        ("slow_frames_per_second = 49", "slow_frames_per_second"),
    ] {
        let error = plan(&format!("{line}\n{USUAL}")).unwrap_err();
        assert!(error.contains(key), "{line}: {error}");
    }
    let twice = format!("{USUAL}{}", USUAL.trim_start_matches("seed = 3\n"));
    assert!(plan(&twice).unwrap_err().contains("used twice"));
    assert!(plan("seed = 3\nscenario = []\n").unwrap_err().contains("there is none"));
}

#[test]
fn a_path_leads_the_price_where_it_says() {
    let scenario = named("crash-2020-03-12");
    let spec = scenario.contract(SymbolSpec::btcusdt());
    let mut market = scenario.market(3, &[spec]);
    let (begin, start) = (market.market().now(), market.market().last_px(0).0 as f64);
    let mut points = scenario.path.iter().peekable();
    let mut judge = |market: &SyntheticMarket, is_over: bool| {
        let minute = (market.now() - begin).0 as f64 / 60e9;
        while let Some((_, change)) = points.next_if(|point| is_over || point.0 + 0.05 < minute) {
            let reached = market.last_px(0).0 as f64 / start - 1.0;
            // The market moves by itself as well, three times as much as usual.
            assert!((reached - change).abs() < 0.03, "minute {minute}: {reached} for {change}");
        }
    };
    while market.step().is_some() {
        judge(market.market(), false);
    }
    judge(market.market(), true);
}

/// A model on bars of so many minutes, whose features are warm after 30 of them.
const fn pace(bar_minutes: f64) -> Pace {
    Pace { bar_minutes, warm_minutes: 30.0 * bar_minutes }
}

#[test]
fn a_scenario_with_bars_enough_is_run_as_the_file_has_it() {
    let plan = shipped();
    for scenario in &plan.scenario {
        for bar_minutes in [0.0, 1.0 / 60.0, 3.0 / 60.0] {
            assert_eq!(scenario.laid_out(&plan, pace(bar_minutes)), *scenario);
        }
    }
}

#[test]
fn with_bars_of_five_minutes_a_day_that_was_takes_its_own_time_after_the_features_are_warm() {
    let plan = shipped();
    let crash = named("crash-2020-03-12");
    let laid = crash.laid_out(&plan, pace(5.0));
    assert_eq!((laid.minutes, laid.lead_minutes), (20.0 * crash.minutes, 32.0 * 5.0));
    assert_eq!((laid.frames_per_second, laid.lead_frames_per_second), (75.0, 60.0));
    // A fall of 22.8 % within 45 minutes.
    assert_eq!((laid.path[0], laid.path[1]), ((40.0, 0.0), (85.0, -0.228)));
    assert_eq!(laid.halts, [(70.0, 80.0), (250.0, 260.0)]);
    let cascade = named("cascade-2025-10-10").laid_out(&plan, pace(5.0));
    assert_eq!(cascade.mark_skews, [(180.0, 240.0, -0.01)]);
    assert_eq!((cascade.losses[0].from, cascade.losses[0].to), (160.0, 170.0));
    let funding = named("funding-shock").laid_out(&plan, pace(5.0));
    assert_eq!((funding.funding_every_s, funding.hold_s), (2_000, 3_000.0));
    let gaps = named("gaps").laid_out(&plan, pace(5.0));
    assert_eq!(gaps.gaps[0], (40.0, -300));
    let peak = named("twice-the-peak-rate").laid_out(&plan, pace(5.0));
    assert_eq!((peak.minutes, peak.frames_per_second, peak.lead_minutes), (5.0, 6_000.0, 160.0));
}

#[test]
fn what_goes_before_a_scenario_is_the_usual_market_and_all_it_does_comes_after() {
    let plan = shipped();
    let slow = Plan { slow_frames_per_second: 50.0, ..plan };
    let laid = named("gaps").laid_out(&slow, Pace { bar_minutes: 1.0, warm_minutes: 8.0 });
    assert_eq!((laid.minutes, laid.lead_minutes), (80.0, 10.0));
    let spec = laid.contract(SymbolSpec::btcusdt());
    let mut market = laid.market(3, &[spec]);
    let (begin, start) = (market.market().now(), market.market().last_px(0).0 as f64);
    let first_gap = 10.0 + laid.gaps[0].0;
    let (mut before, mut after) = (0.0_f64, 0.0_f64);
    while market.step().is_some() {
        let minute = (market.market().now() - begin).0 as f64 / 60e9;
        let change = (market.market().last_px(0).0 as f64 / start - 1.0).abs();
        let side = if minute < first_gap - 0.01 { &mut before } else { &mut after };
        *side = side.max(change);
    }
    assert!(before < 0.02 && after > 0.025, "{before} before, {after} after");
    let minutes = (market.market().now() - begin).0 as f64 / 60e9;
    assert!((89.9..90.1).contains(&minutes), "{minutes}");
}

#[test]
fn a_model_has_to_decide_in_the_scenario_and_not_only_before_it() {
    let mut plan = short(&["spread-x10"]);
    let scenario = &mut plan.scenario[0];
    (scenario.lead_minutes, scenario.frames_per_second) = (1.0, 600.0);
    let decisions = |plan: &Plan| {
        let (found, _) = outcomes(plan, LIMITS, 1, &[]);
        let is_it = |criterion: &&Criterion| criterion.name == "decisions_min";
        let decided = found[0].criteria.iter().find(is_it).unwrap().clone();
        (decided.value as u64, decided.passed, found[0].counts[0])
    };
    let (within, passed, all) = decisions(&plan);
    assert!(passed && within > 0 && within < all, "{within} of {all}");
    plan.scenario[0].losses = vec![Loss { streams: Vec::new(), from: 0.0, to: 1.0 }];
    let (within, passed, all) = decisions(&plan);
    assert!(!passed && all > 0, "{within} of {all}");
}

/// The model that comes along: it trades on the synthetic market.
fn files() -> ArtifactFiles {
    ArtifactFiles::read(&root().join("models_saved/synthetic-1")).unwrap()
}

fn outcomes(
    plan: &Plan,
    limits: Limits,
    threads: usize,
    known: &[Outcome],
) -> (Vec<Outcome>, Vec<String>) {
    let loaded = config::load(&root().join("config/paper.toml")).unwrap();
    let subject = Subject { files: files(), loaded: &loaded, limits };
    let told = Mutex::new(Vec::new());
    let done = |outcome: &Outcome| {
        told.lock().unwrap().push(outcome.name.clone());
        Ok(())
    };
    let found = run_all(&subject, plan, threads, known, &done).unwrap();
    (found, told.into_inner().unwrap())
}

const LIMITS: Limits = Limits { loss_frac_max: 0.03, drawdown_frac_max: 0.20 };

fn short(names: &[&str]) -> Plan {
    let mut plan = shipped();
    plan.scenario = names.iter().map(|name| named(name)).collect();
    for scenario in &mut plan.scenario {
        assert!(scenario.path.is_empty() && scenario.losses.is_empty() && scenario.gaps.is_empty());
        scenario.minutes = 1.0;
    }
    plan
}

#[test]
fn a_scenario_passes_within_its_limits_and_fails_beyond_them_alone_or_beside_others() {
    let plan = short(&["spread-x10", "fees-x3"]);
    let (found, _) = outcomes(&plan, LIMITS, 1, &[]);
    assert!(found.iter().all(|outcome| outcome.passed), "{found:?}");
    assert!(found.iter().all(|outcome| outcome.counts[0] > 0), "{found:?}");
    assert_eq!(outcomes(&plan, LIMITS, 2, &[]).0, found, "on two threads");
    let none = Limits { loss_frac_max: 0.0, ..LIMITS };
    let (strict, _) = outcomes(&plan, none, 1, &[]);
    let costly = strict.iter().find(|outcome| outcome.name == "fees-x3").unwrap();
    assert!(costly.counts[2] > 0, "it has to trade to lose: {costly:?}");
    let failed: Vec<&str> = costly
        .criteria
        .iter()
        .filter(|criterion| !criterion.passed)
        .map(|criterion| criterion.name.as_str())
        .collect();
    assert_eq!((costly.passed, failed), (false, vec!["loss_frac"]));
}

#[test]
fn a_loss_limit_that_is_near_stops_the_entries_and_one_that_does_not_fails() {
    let mut plan = short(&["near-loss-limit"]);
    plan.scenario[0].minutes = 3.0;
    let (found, _) = outcomes(&plan, LIMITS, 1, &[]);
    assert!(found[0].passed, "{found:?}");
    plan.scenario[0].config.clear();
    let (found, _) = outcomes(&plan, LIMITS, 1, &[]);
    let failed = found[0].criteria.iter().find(|criterion| !criterion.passed).unwrap();
    assert_eq!(failed.name, "stops_min");
}

#[test]
fn what_was_found_before_is_not_run_again_unless_something_has_changed() {
    let plan = short(&["spread-x10", "fees-x3"]);
    let (first, told) = outcomes(&plan, LIMITS, 1, &[]);
    assert_eq!(told, ["spread-x10", "fees-x3"]);
    // Half of it is known, as after a kill; what was kept says so itself, by a figure of its own.
    let mut kept = first[0].clone();
    kept.counts[0] = 7;
    let (again, _) = outcomes(&plan, LIMITS, 1, std::slice::from_ref(&kept));
    assert_eq!(again, [kept.clone(), first[1].clone()]);
    let mut changed = plan.clone();
    changed.scenario[0].fee_times = 2;
    let (anew, _) = outcomes(&changed, LIMITS, 1, std::slice::from_ref(&kept));
    assert_ne!(anew[0].counts[0], 7, "other parameters, another scenario");
}

#[test]
fn what_cannot_be_kept_ends_the_test_under_the_scenarios_name() {
    let loaded = config::load(&root().join("config/paper.toml")).unwrap();
    let subject = Subject { files: files(), loaded: &loaded, limits: LIMITS };
    let done = |_: &Outcome| bail!("the disk is full");
    let error = run_all(&subject, &short(&["fees-x3"]), 1, &[], &done).unwrap_err();
    assert_eq!(format!("{error:#}"), "fees-x3: the disk is full");
}
