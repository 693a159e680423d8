//! Markets with and without something to learn; what trading makes of predictions, by hand.

use super::trade::{Rule, View, trade};
use super::{
    Config, JSON_FILE, Job, Outcome, REPORT_FILE, Step, run, validate, validate_with, write,
};
use crate::history::tests::two;
use crate::history::{Bar, Market, Rows, rows};
use crate::validation::folds::Life;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use serde_json::Value;
use std::path::Path;

/// Small enough for seconds.
pub(crate) fn small() -> Config {
    let mut config = Config { period_ms: 600_000, ..Config::default() };
    config.rows.every_bars = 2;
    config.label.horizon_bars = 12;
    config.label.barrier = 0.0;
    config.label.half_life_bars = 60.0;
    config.folds.count = 3;
    config.folds.embargo_bars = 80;
    config.folds.groups = 4;
    config.folds.blocks = 6;
    config.trees.rounds = 25;
    config.trees.learning_rate = 0.15;
    config.trees.depths = vec![3];
    config.trees.leaf_rows_min = 40;
    config.trees.patience = 8;
    config.policy.enter_edges = vec![0.2, 0.35];
    config
}

fn made(rows: &Rows, config: &Config, out: &Path, threads: usize) -> Outcome {
    let job = Job { rows, config, out, threads };
    let outcome = run(job, &mut |_| {}).unwrap();
    write(job, &outcome).unwrap();
    outcome
}

fn labelled(seed: u64, count: usize, skill: f64) -> Rows {
    let (_dir, set) = two(seed, count, skill);
    let config = small();
    rows(&set, &config.wanted(), &config.label_of(), &mut |_| {}).unwrap()
}

fn losses(outcome: &Outcome) -> (f64, f64) {
    let rows: f64 = outcome.folds.iter().map(|fold| fold.rows_test as f64).sum();
    let mean = |of: &dyn Fn(&super::FoldFigures) -> f64| {
        outcome.folds.iter().map(|fold| of(fold) * fold.rows_test as f64).sum::<f64>() / rows
    };
    (mean(&|fold| fold.log_loss), mean(&|fold| fold.log_loss_prior.unwrap()))
}

#[test]
fn skill_that_was_planted_is_found_out_of_sample_and_earns_its_costs() {
    for seed in [11, 12, 13] {
        let rows = labelled(seed, 3_000, 0.6);
        let dir = tempfile::tempdir().unwrap();
        let outcome = made(&rows, &small(), dir.path(), 2);
        let (loss, prior) = losses(&outcome);
        assert!(loss < prior - 0.02, "seed {seed}: {loss} against {prior}");
        let pooled = &outcome.pooled;
        assert!(pooled.net_return > 0.0, "seed {seed}: {pooled:?}");
        assert!(pooled.sharpe.unwrap() > 0.0 && pooled.psr.unwrap() > 0.9, "{seed}: {pooled:?}");
        assert!(pooled.net_return_cost_x2 < pooled.net_return);
        assert!(outcome.sharpe_q05.unwrap() > 0.0, "seed {seed}: {:?}", outcome.paths);
    }
}

#[test]
fn labels_by_lot_teach_nothing_and_earn_nothing() {
    for seed in [21, 22, 23] {
        let mut rows = labelled(seed, 2_000, 0.0);
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        rows.table.targets.shuffle(&mut random);
        let dir = tempfile::tempdir().unwrap();
        let mut config = small();
        // Low enough that noise trades.
        config.policy.enter_edges = vec![0.02, 0.05];
        let outcome = made(&rows, &config, dir.path(), 2);
        let (loss, prior) = losses(&outcome);
        assert!(loss > prior - 0.005, "seed {seed}: {loss} against {prior}");
        let pooled = &outcome.pooled;
        assert!(pooled.net_return <= 0.0, "seed {seed}: {pooled:?}");
        assert!(pooled.dsr.is_none_or(|dsr| dsr < 0.5), "seed {seed}: {pooled:?}");
    }
}

#[test]
fn threads_change_no_byte_and_the_file_has_every_key_the_gate_reads() {
    let (_dir, set) = two(31, 1_600, 0.5);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = small();
    validate(&set, (&config, one.path(), 1), &mut |_| {}).unwrap();
    validate(&set, (&config, other.path(), 2), &mut |_| {}).unwrap();
    let text = std::fs::read_to_string(one.path().join(JSON_FILE)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(text, std::fs::read_to_string(other.path().join(JSON_FILE)).unwrap());
    let files = json["files"].as_object().unwrap();
    // Four pictures, the report, three folds of one depth, six of the combinatorial kind.
    assert_eq!(files.len(), 4 + 1 + 3 + 6);
    for (name, hash) in files {
        let bytes = std::fs::read(other.path().join(name)).unwrap();
        let found = peregrine::model::artifact::hex(&peregrine::model::artifact::sha256(&bytes));
        assert_eq!(&Value::from(found), hash, "{name}");
    }
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let top = "kind schema data_manifest_sha256 config_sha256 code hold_out_from_ms \
               training_sha256 chosen seed trials folds pooled cpcv pbo calibration files";
    assert_eq!(keys(&json).join(" "), top);
    let fold = "number train_from_ms train_to_ms test_from_ms test_to_ms rows_fit rows_test sharpe \
                net_return log_loss log_loss_prior trades";
    assert_eq!(keys(&json["folds"][0]).join(" "), fold);
    let pooled = "sharpe sortino max_drawdown_frac profit_factor win_rate turnover psr dsr \
                  min_track_record_length_periods periods periods_per_year net_return \
                  net_return_cost_x2 trades";
    assert_eq!(keys(&json["pooled"]).join(" "), pooled);
    assert_eq!(keys(&json["cpcv"]).join(" "), "paths sharpe_q05");
    assert_eq!(keys(&json["calibration"]).join(" "), "ece bins");
    assert_eq!((json["trials"].as_u64(), json["folds"].as_array().unwrap().len()), (Some(2), 3));
    assert_eq!(json["cpcv"]["paths"].as_array().unwrap().len(), 3);
}

#[test]
fn nothing_is_told_where_nothing_was_traded() {
    let rows = labelled(41, 1_600, 0.0);
    let dir = tempfile::tempdir().unwrap();
    let mut config = small();
    config.policy.enter_edges = vec![1.0];
    let outcome = made(&rows, &config, dir.path(), 1);
    let text = std::fs::read_to_string(dir.path().join(JSON_FILE)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(outcome.pooled.trades, 0);
    for key in ["sharpe", "sortino", "profit_factor", "win_rate", "psr", "dsr"] {
        assert_eq!(json["pooled"][key], Value::Null, "{key}");
    }
    assert_eq!((&json["pbo"], &json["cpcv"]["sharpe_q05"]), (&Value::Null, &Value::Null));
}

/// Without a rounding from single to double precision.
const SIGMA: f32 = 0.007_812_5;

/// A market of these bars, a row at the close of each of the first ones.
fn market(bars: &[[f64; 4]], funding: Vec<(i64, f64)>, count: usize) -> Rows {
    let bar = |px: &[f64; 4]| Bar {
        open: px[0],
        high: px[1],
        low: px[2],
        close: px[3],
        is_missing: false,
    };
    let mut market = Market::new("BTCUSDT".to_owned(), 60_000, funding);
    market.bars = bars.iter().map(bar).collect();
    market.sigma = vec![SIGMA; bars.len()];
    let life = |at: usize| {
        let from = 60_000 * (at as i64 + 1);
        Life { from, until: from }
    };
    Rows {
        markets: vec![market],
        lives: (0..count).map(life).collect(),
        symbols: vec![0; count],
        bars: (0..count as u32).collect(),
        ..Rows::default()
    }
}

fn rule() -> Rule {
    Rule {
        enter_edge: 0.3,
        exit_edge: 0.0,
        side: 0.001,
        barrier: 0.0,
        horizon: 100,
        period_ms: 60_000,
    }
}

fn seen(edges: &[f64]) -> Vec<View> {
    edges.iter().enumerate().map(|(row, &edge)| View { row, edge }).collect()
}

const STEADY: [[f64; 4]; 6] = [
    [100.0, 100.0, 100.0, 100.0],
    [100.0, 102.0, 99.0, 101.0],
    [101.0, 104.0, 100.0, 103.0],
    [104.0, 105.0, 103.0, 104.0],
    [104.0, 106.0, 103.0, 105.0],
    [106.0, 107.0, 105.0, 106.0],
];

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
}

#[test]
fn a_position_pays_both_orders_and_funding_and_is_valued_bar_by_bar() {
    // In at the open of bar 1, out at that of bar 3 since the edge turned.
    let rows = market(&STEADY, vec![(130_000, 0.0005)], 5);
    let track = trade(&rows, &seen(&[0.4, 0.1, -0.1, 0.0, 0.0]), &rule(), 0.0);
    let [first, second, third, fourth] = track.returns[..] else { panic!("{track:?}") };
    near(first, 0.01 - 0.001);
    near(second, 0.02 - 0.0005);
    near(third, 0.01 - 0.001);
    near(fourth, 0.0);
    near(track.trades[0], 0.04 - 0.002 - 0.0005);
    near(track.traded, 2.0);
}

#[test]
fn a_short_one_earns_what_a_long_one_loses_but_for_the_costs_of_both() {
    let rows = market(&STEADY, vec![(130_000, 0.0005)], 5);
    let net = |sign: f64| {
        let edges = [0.4 * sign, 0.1 * sign, -0.1 * sign, 0.0, 0.0];
        trade(&rows, &seen(&edges), &rule(), 0.0).trades[0]
    };
    near(net(1.0) + net(-1.0), -0.004);
}

#[test]
fn the_losing_barrier_of_a_bar_that_touches_both_counts_and_a_gap_is_left_at_the_open() {
    let wide = Rule { barrier: 1.0, ..rule() };
    let both = [[100.0; 4], [100.0, 102.0, 98.0, 100.0], [100.0; 4], [100.0; 4]];
    let track = trade(&market(&both, Vec::new(), 3), &seen(&[0.4, 0.0, 0.0]), &wide, 0.0);
    near(track.trades[0], -0.007_812_5 - 0.002);
    // Opens beyond the barrier: nobody sells at a price that was jumped over.
    let gap = [[100.0; 4], [100.0; 4], [95.0, 96.0, 94.0, 95.0], [95.0; 4]];
    let track = trade(&market(&gap, Vec::new(), 3), &seen(&[0.4, 0.1, 0.0]), &wide, 0.0);
    near(track.trades[0], -0.05 - 0.002);
    let gain = [[100.0; 4], [100.0, 103.0, 99.5, 102.0], [102.0; 4], [102.0; 4]];
    let track = trade(&market(&gain, Vec::new(), 3), &seen(&[0.4, 0.0, 0.0]), &wide, 0.0);
    near(track.trades[0], 0.007_812_5 - 0.002);
}

#[test]
fn the_horizon_and_the_end_of_a_span_close_what_is_open() {
    let short = Rule { horizon: 2, ..rule() };
    let rows = market(&STEADY, Vec::new(), 5);
    let track = trade(&rows, &seen(&[0.4, 0.1, 0.1, 0.1, 0.1]), &short, 0.0);
    near(track.trades[0], 0.04 - 0.002);
    assert_eq!(track.trades.len(), 1);
    // The last row opens nothing and closes at its own time.
    let track = trade(&rows, &seen(&[0.0, 0.0, 0.4, 0.4, 0.4]), &rule(), 0.0);
    near(track.trades[0], 106.0 / 104.0 - 1.0 - 0.002);
    let track = trade(&rows, &seen(&[0.0, 0.0, 0.0, 0.0, 0.9]), &rule(), 0.0);
    assert!(track.trades.is_empty() && track.returns.iter().all(|&change| change == 0.0));
}

#[test]
fn a_configuration_with_unknown_keys_or_values_out_of_range_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        format!("{:#}", Config::load(file.path()).unwrap_err())
    };
    assert!(refused("[trees]\nsurprise = 1\n").contains("surprise"));
    let text = refused("[folds]\ncount = 0\n[policy]\nenter_edges = []\n");
    assert!(text.contains("folds.count") && text.contains("policy.enter_edges"), "{text}");
    std::fs::write(file.path(), "seed = 9\n").unwrap();
    assert_eq!(Config::load(file.path()).unwrap(), Config { seed: 9, ..Config::default() });
}

#[test]
fn the_trader_over_the_folds_goes_on_where_it_was_and_ends_in_the_same_bytes() {
    let (_dir, set) = two(31, 1_200, 0.5);
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = small();
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/paper.toml");
    let trader = peregrine::runtime::config::load(&file).unwrap();
    let run = |dir: &Path, threads| {
        let mut made = Vec::new();
        let outcome = validate_with(&set, (&config, dir, threads), Some(&trader), &mut |step| {
            if let Step::Stored(name) = step {
                made.push(name.to_owned());
            }
        });
        (outcome.unwrap(), made)
    };
    let (outcome, _) = run(one.path(), 1);
    let text = std::fs::read_to_string(one.path().join(JSON_FILE)).unwrap();
    let _ = run(other.path(), 2);
    assert_eq!(text, std::fs::read_to_string(other.path().join(JSON_FILE)).unwrap());
    // One fold's session is lost: it alone is run again, into the same bytes.
    let engine = outcome.engine.as_ref().unwrap();
    let name = outcome.stored.iter().find(|name| name.starts_with("engine-01")).unwrap().clone();
    let path = one.path().join("folds").join(format!("{name}.json"));
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (_, made) = run(one.path(), 1);
    assert_eq!(made, vec![name]);
    assert_eq!(bytes, std::fs::read(&path).unwrap());
    assert_eq!(text, std::fs::read_to_string(one.path().join(JSON_FILE)).unwrap());
    assert_eq!(engine.folds.len(), outcome.folds.len());
    for (lived, fold) in engine.folds.iter().zip(&outcome.folds) {
        assert_eq!(lived.replay_differences, 0, "a session replays");
        // A decision every two bars of a minute for each of two symbols: the model of the fold was
        // asked in its test, and in it alone. The last row ends the test.
        let grid = (fold.test_to_ms - fold.test_from_ms) / (2 * 60_000);
        assert_eq!(lived.counts[0] as i64, 2 * grid, "fold {}", fold.number);
        let periods = (fold.test_to_ms - fold.test_from_ms).div_euclid(config.period_ms) + 2;
        assert!(lived.equity.len() as i64 <= periods, "{periods}: {lived:?}");
    }
    let whole: f64 = engine.folds.iter().map(|lived| 1.0 + lived.net()).product();
    assert!((engine.net_return - (whole - 1.0)).abs() < 1e-9, "{}", engine.net_return);
    let page = std::fs::read_to_string(one.path().join(REPORT_FILE)).unwrap();
    assert!(page.contains("## Through the trader"), "{page}");
}

#[test]
fn a_trader_that_never_enters_leaves_the_account_as_it_was() {
    let (_dir, set) = two(31, 1_200, 0.5);
    let out = tempfile::tempdir().unwrap();
    let mut config = small();
    config.policy.enter_edges = vec![1.0];
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/paper.toml");
    let trader = peregrine::runtime::config::load(&file).unwrap();
    let ways = (&config, out.path(), 2);
    let outcome = validate_with(&set, ways, Some(&trader), &mut |_| {}).unwrap();
    let engine = outcome.engine.unwrap();
    let start = trader.settings.risk.starting_equity.unwrap().0;
    for lived in &engine.folds {
        assert!(lived.equity.iter().all(|equity| *equity == start), "{lived:?}");
        assert_eq!((lived.counts[1], lived.fees, lived.round_trips), (0, 0, [0, 0]));
    }
    assert_eq!((engine.net_return, engine.trades), (0.0, 0));
}
