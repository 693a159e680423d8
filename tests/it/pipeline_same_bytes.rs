//! Same inputs and configuration, same bytes; other inputs, other bytes.

use crate::pipeline_support::{
    EAGER, Rig, assert_replays, lane_files, parts, peregrine, recorded, root, synthetic, text,
};
use peregrine::base::counters::Counter;
use std::path::Path;

type Files = Vec<(String, Vec<u8>)>;

/// Names the first file and byte that differ instead of printing megabytes.
fn first_difference(left: &Files, right: &Files) -> Option<String> {
    if left.len() != right.len() {
        return Some(format!("{} files against {}", left.len(), right.len()));
    }
    left.iter().zip(right).find(|(a, b)| a != b).map(|((name, a), (_, b))| {
        format!("{name} at byte {:?}", a.iter().zip(b).position(|(x, y)| x != y))
    })
}

fn session(seed: u64, dir: &Path) -> Files {
    let (instruments, arrivals) = synthetic(seed, 20_000, &[]);
    let parts = parts(instruments, &EAGER);
    let mut rig = Rig::fused(&parts, dir);
    rig.run(&arrivals);
    assert!(rig.count(Counter::Orders) > 0, "a session without orders compares too little");
    rig.finish();
    lane_files(dir)
}

#[test]
fn a_synthetic_session_repeats_to_the_byte_and_another_seed_gives_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let [first, second, other] =
        [(7, "a"), (7, "b"), (8, "c")].map(|(seed, name)| session(seed, &dir.path().join(name)));
    assert_eq!(first.len(), 5, "a file for each lane");
    assert_eq!(first_difference(&first, &second), None);
    for lane in [0, 1, 2, 3] {
        assert_ne!(first[lane].1, other[lane].1, "{}: the seed does not reach it", other[lane].0);
    }
    assert_replays(&dir.path().join("a"));
}

#[test]
fn a_backtest_repeats_to_the_byte() {
    let Some(dir) = crate::pipeline_support::data_dir() else { return };
    let data = dir.join("hftbacktest/usdm_btcusdt_20240808.gz");
    let folder = tempfile::tempdir().unwrap();
    let runs = ["a", "b"].map(|name| {
        let journal = folder.path().join(name);
        let output = peregrine(&[
            "backtest",
            "--config",
            text(&root().join("config/paper.toml")),
            "--data",
            text(&data),
            "--journal",
            text(&journal),
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        lane_files(&journal)
    });
    assert!(runs[0].len() >= 5, "a file for each lane at least");
    assert_eq!(first_difference(&runs[0], &runs[1]), None);
}

/// Driving the stages by hand as the tests here do is the same as running the program: otherwise
/// these tests would prove something about themselves only.
#[test]
fn the_pipeline_of_these_tests_writes_what_the_backtest_writes() {
    let name = "hftbacktest-playground/btcusdt_20230404.dat.gz";
    let Some((instruments, arrivals)) = recorded(&[name]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let fees = ["0.0002", "0.0005"].map(|fee| peregrine::base::Rate::parse(fee).unwrap());
    let instruments = instruments
        .into_iter()
        .map(|facts| peregrine::base::settings::InstrumentSettings {
            maker_fee: fees[0],
            taker_fee: fees[1],
            ..facts
        })
        .collect();
    let parts = parts(instruments, &[]);
    let mut rig = Rig::fused(&parts, &dir.path().join("rig"));
    rig.run(&arrivals);
    rig.finish();
    let order = peregrine::runtime::backtest::BacktestOrder {
        source: peregrine::runtime::backtest::Source::Recorded(vec![
            crate::pipeline_support::data_dir().unwrap().join(name),
        ]),
        journal: dir.path().join("backtest"),
        from: None,
        to: None,
        audit: None,
    };
    peregrine::runtime::backtest::run(&parts, &order).unwrap();
    let [ours, theirs] = ["rig", "backtest"].map(|name| lane_files(&dir.path().join(name)));
    assert_eq!(first_difference(&ours, &theirs), None);
}

/// A journal holds all of its market: run again from its records, the same configuration decides,
/// orders and fills the same, to the byte.
#[test]
fn a_backtest_over_a_journals_market_writes_the_journal_once_more() {
    use peregrine::exchange::SymbolSpec;
    use peregrine::runtime::backtest::{Again, BacktestOrder, Source, run};
    use peregrine::runtime::scripted::Scripted;
    let instruments = vec![SymbolSpec::btcusdt().instrument()];
    let parts = parts(instruments.clone(), &[]);
    let dir = tempfile::tempdir().unwrap();
    let length = peregrine::base::Nanos::from_secs(40);
    let market = Scripted::by_itself(&instruments, 3, length).unwrap();
    let mut orders = 0;
    let mut backtest = |source: Source, name: &str| {
        let journal = dir.path().join(name);
        let order =
            BacktestOrder { source, journal: journal.clone(), from: None, to: None, audit: None };
        let outcome = run(&parts, &order).unwrap();
        orders += outcome.summary.counters.get(peregrine::base::counters::Counter::Orders);
        journal
    };
    let first = backtest(Source::Scripted(Box::new(market)), "first");
    let again = Again::market(&first);
    assert_eq!(again.instruments().unwrap(), instruments);
    let second = backtest(Source::Journal(again), "second");
    assert_eq!(first_difference(&lane_files(&first), &lane_files(&second)), None);
    assert!(orders > 0, "nothing was ordered");
}
