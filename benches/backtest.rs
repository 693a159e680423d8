//! A whole backtest over a market: read, decode, book, features, model, risk, fills, journal.

#[path = "harness/mod.rs"]
mod harness;

use harness::pipeline::{Trading, parts};
use harness::tape::SYNTHETIC_RATE;
use harness::{Bench, data_dir};
use peregrine::base::Nanos;
use peregrine::base::counters::Counter;
use peregrine::exchange::SyntheticMarket;
use peregrine::exchange::spec::SymbolSpec;
use peregrine::runtime::backtest::{BacktestOrder, Source, run};
use peregrine::runtime::replay;
use peregrine::venue::capture::scan_instruments;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

const ROUNDS: usize = 5;
const SYNTHETIC_FRAMES: usize = 200_000;

/// The recorded futures markets, or a synthetic one written as a recording into `dir`.
fn data(bench: &Bench, dir: &Path) -> Vec<PathBuf> {
    let files = ["usdm_btcusdt_20240808.gz", "usdm_ethusdt_20240808.gz"];
    match data_dir() {
        Some(data) => {
            let taken = bench.count(2, 1);
            files[..taken].iter().map(|file| data.join("hftbacktest").join(file)).collect()
        }
        None => vec![synthetic(dir, bench.count(SYNTHETIC_FRAMES, 10_000))],
    }
}

/// Lines of receive time and frame, as the recordings have them.
fn synthetic(dir: &Path, frames: usize) -> PathBuf {
    let path = dir.join("synthetic.txt");
    let file = std::fs::File::create(&path).expect("a temporary file");
    let mut file = BufWriter::new(file);
    let specs = [SymbolSpec::btcusdt()];
    let start = Nanos::from_secs(1_700_000_000);
    let mut market = SyntheticMarket::with_rate(7, &specs, start, SYNTHETIC_RATE);
    let mut body = Vec::new();
    for number in 0..frames {
        let frame = market.step();
        let ts = frame.ts;
        let text = std::str::from_utf8(frame.frame).expect("frames are ASCII");
        writeln!(file, "{} {text}", ts.0).expect("the disk has room");
        if number == 1_000 && market.snapshot("BTCUSDT", &mut body) {
            let text = std::str::from_utf8(&body).expect("snapshots are ASCII");
            writeln!(file, "{} {text}", ts.0).expect("the disk has room");
        }
    }
    file.flush().expect("the disk has room");
    path
}

fn main() {
    let mut bench = Bench::start(
        "backtest: recorded market to fills, one thread, journal on",
        &["a comparison with another backtester; everything else is in, unpacking gzip too"],
    );
    harness::machine::pin_last();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = data(&bench, dir.path());
    let instruments = scan_instruments(&data).expect("the data was found");
    for (name, trading) in [("shipped", Trading::AsConfigured), ("every_tick", Trading::Eager)] {
        let parts = parts(&instruments, trading);
        let mut rates = Vec::new();
        println!();
        for round in 0..bench.count(ROUNDS, 1) {
            let journal = dir.path().join(format!("{name}-{round}"));
            let order = BacktestOrder {
                source: Source::Recorded(data.clone()),
                journal,
                from: None,
                to: None,
                audit: None,
            };
            let outcome = run(&parts, &order).expect("the backtest runs");
            assert!(outcome.bad_lines.is_empty(), "{:?}", outcome.bad_lines);
            assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);
            let count = |counter| outcome.summary.counters.get(counter);
            assert_eq!(count(Counter::Dropped), 0);
            assert!(count(Counter::Predictions) > 0);
            assert!(trading == Trading::AsConfigured || count(Counter::Orders) > 0);
            if round == 0 {
                let replayed = replay::verify(&order.journal).expect("the journal replays");
                assert_eq!(replayed.differences, 0, "{:?}", replayed.first);
                println!(
                    "{name}: checked, {} records replay to the same bytes; {} events, {} \
                     predictions, {} orders, {} fills",
                    replayed.records,
                    count(Counter::Events),
                    count(Counter::Predictions),
                    count(Counter::Orders),
                    count(Counter::Fills)
                );
            }
            std::fs::remove_dir_all(&order.journal).expect("the journal was made here");
            rates.push(outcome.summary.events_per_second());
        }
        rates.sort_by(f64::total_cmp);
        let (middle, best) = (rates[rates.len() / 2], rates[rates.len() - 1]);
        println!("{name}: {middle:.0} events a second (median round), {best:.0} (best round)");
        bench.figure(&format!("{name}_events_per_second"), middle);
        bench.figure(&format!("{name}_events_per_second_best"), best);
        if name == "shipped" {
            bench.target("backtest, events a second", middle, Some(3_000_000.0), None);
        }
    }
    bench.finish();
}
