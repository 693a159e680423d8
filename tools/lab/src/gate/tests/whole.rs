//! The whole way, from candles to a decision: skill that was planted passes, noise does not, nor
//! does what was tried until it looked good.

use super::super::thresholds::Thresholds;
use super::{AT_MS, GATES, decide, root};
use crate::forward::tests::small;
use crate::forward::{Config, validate};
use crate::history::tests::two;
use crate::stress::{Limits, Outcome, Plan, Subject, report, run_all};
use crate::train::frozen::{Order, train_frozen};
use crate::train::write;
use peregrine::model::ArtifactFiles;
use peregrine::registry::decision::{Decision, Verdict};
use peregrine::runtime::config;
use std::path::Path;
use toml::Value;

/// Candles of each symbol: tests over more than the seven days that the gate asks for.
const MINUTES: usize = 17_500;

/// One scenario, slow and long enough for a model on candles to wake up in it.
const SCENARIO: &str = "seed = 3\n[[scenario]]\nname = \"gaps\"\nwhat = \"jumps\"\nminutes = 180\n\
                        frames_per_second = 50\ngaps = [[150, -300], [160, 500]]\n";

fn judged() -> Config {
    let mut config = small();
    config.rows.every_bars = 3;
    config.folds.count = 5;
    config.folds.groups = 6;
    // The second asks for more than any model is sure of: the best must not be a matter of luck.
    config.policy.enter_edges = vec![0.3, 0.99];
    config
}

/// The stress test of a version, as `peregrine-lab stress` makes it.
fn stress(version: &Path, out: &Path) {
    let paper = config::load(&root().join("config/paper.toml")).unwrap();
    let minute = Value::Integer(60_000);
    let bars = [("features", "bar_interval_ms", minute)];
    let loaded = config::with_values(&paper, &bars).unwrap();
    let limits = Limits { loss_frac_max: 0.03, drawdown_frac_max: 0.2 };
    let files = ArtifactFiles::read(version).unwrap();
    let subject = Subject { files, loaded: &loaded, limits };
    let done = |_: &Outcome| Ok(());
    let plan = Plan::parse(SCENARIO).unwrap();
    let outcomes = run_all(&subject, &plan, 1, &[], &done).unwrap();
    let told = report::json(&subject, &outcomes).to_string();
    std::fs::write(out.join("stress.json"), told).unwrap();
}

/// Trains, validates, stresses and judges on candles of this skill.
fn decided(seed: u64, skill: f64, config: &Config) -> Decision {
    let (_data, set) = two(seed, MINUTES, skill);
    let dir = tempfile::tempdir().unwrap();
    let (version, out) = (dir.path().join("made-1"), dir.path().join("reports"));
    std::fs::create_dir(&out).unwrap();
    let order = Order { version: "made-1".to_owned(), config: config.clone(), threads: 2 };
    write(&train_frozen(&set, &order, &mut |_| {}).unwrap(), &version).unwrap();
    validate(&set, (config, &out, 2), &mut |_| {}).unwrap();
    stress(&version, &out);
    let (head, _) = GATES.split_once("scenarios = [").unwrap();
    let gates = Thresholds::parse(&format!("{head}scenarios = [\"gaps\"]\n")).unwrap();
    decide(&version, &out, &gates, AT_MS).unwrap()
}

fn failed(decision: &Decision) -> Vec<&str> {
    decision.failed().map(|criterion| criterion.name.as_str()).collect()
}

/// What does not hold, in words.
fn told(decision: &Decision) -> String {
    let words = decision.failed().map(|c| format!("{} {:?} {}", c.name, c.value, c.threshold));
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn a_model_with_planted_skill_passes_the_gate() {
    for seed in [51, 52, 53] {
        let decision = decided(seed, 0.6, &judged());
        assert_eq!(decision.verdict, Verdict::Go, "seed {seed}: {}", told(&decision));
    }
}

#[test]
fn a_model_of_a_market_without_anything_to_learn_is_refused() {
    for seed in [61, 62, 63] {
        let mut config = judged();
        config.policy.enter_edges = vec![0.05, 0.1];
        let decision = decided(seed, 0.0, &config);
        let failed = failed(&decision);
        for criterion in ["older_rule.sharpe_min", "significance.dsr_min"] {
            assert!(failed.contains(&criterion), "seed {seed}: {failed:?}");
        }
    }
}

#[test]
fn the_best_of_many_tries_on_noise_is_refused_though_trading_costs_nothing() {
    for seed in [71, 72, 73] {
        let mut config = judged();
        // Trees that learn single rows by heart, thresholds by the dozen, and no costs.
        config.trees.leaf_rows_min = 5;
        config.trees.depths = vec![6];
        config.policy.enter_edges = (1..=24).map(|step| 0.02 * f64::from(step)).collect();
        config.costs.taker_fee_bps = 0.0;
        config.costs.spread_bps = 0.0;
        config.costs.slippage_bps = 0.0;
        let decision = decided(seed, 0.0, &config);
        let failed = failed(&decision);
        assert!(failed.contains(&"significance.dsr_min"), "seed {seed}: {}", told(&decision));
    }
}
