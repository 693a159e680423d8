//! Whole scenarios, and the file of them.

use super::run::{Limits, Outcome, Subject, run_all};
use super::scenario::{Plan, Scenario};
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
    ] {
        let error = plan(&format!("{USUAL}{line}\n")).unwrap_err();
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
