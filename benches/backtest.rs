//! A whole backtest over a market: read, decode, book, features, model, risk, fills, journal; and
//! the same over the market of a journal, where nothing is left to unpack or decode.

#[path = "harness/mod.rs"]
mod harness;

use harness::pipeline::{Trading, parts};
use harness::tape::SYNTHETIC_RATE;
use harness::{Bench, data_dir, replayed};
use peregrine::base::counters::Counter;
use peregrine::base::event::DepthLevels;
use peregrine::base::{Event, Kind, Nanos};
use peregrine::exchange::SyntheticMarket;
use peregrine::exchange::spec::SymbolSpec;
use peregrine::journal::LaneReader;
use peregrine::runtime::backtest::{Again, BacktestOrder, BacktestOutcome, Source, run};
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

/// Updates of the market in a journal: every level of a depth change, every trade, every best
/// quote. So others count.
fn updates(journal: &Path) -> u64 {
    let of = |event: &Event| match event.kind() {
        Some(Kind::DepthLevels) => {
            event.body::<DepthLevels>().levels.iter().take_while(|level| level.px != 0).count()
        }
        Some(Kind::Trade | Kind::AggTrade | Kind::BookTicker) => 1,
        _ => 0,
    };
    let lane = LaneReader::open(journal, 0).expect("the journal was made here");
    lane.map(|item| of(&item.expect("a sound record").1) as u64).sum()
}

/// One way of running it.
struct Way {
    name: &'static str,
    trading: Trading,
    /// From the journal of the first way instead of from frames.
    recorded: bool,
}

const WAYS: [Way; 3] = [
    Way { name: "shipped", trading: Trading::AsConfigured, recorded: false },
    Way { name: "shipped_journal", trading: Trading::AsConfigured, recorded: true },
    Way { name: "every_tick", trading: Trading::Eager, recorded: false },
];

fn main() {
    let mut bench = Bench::start(
        "backtest: recorded market to fills, one thread, journal on",
        &["other backtesters: tools/lab/parity/backtest_speed.py; everything else is in, \
             unpacking gzip too"],
    );
    harness::machine::pin_last();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let data = data(&bench, dir.path());
    let instruments = scan_instruments(&data).expect("the data was found");
    let kept = dir.path().join("kept");
    for way in WAYS {
        let parts = parts(&instruments, way.trading);
        let (mut rates, mut seen) = (Vec::new(), 0.0);
        println!();
        for round in 0..bench.count(ROUNDS, 1) {
            let journal = dir.path().join(format!("{}-{round}", way.name));
            let source = match way.recorded {
                true => Source::Journal(Again::market(&kept)),
                false => Source::Recorded(data.clone()),
            };
            let order = BacktestOrder { source, journal, from: None, to: None, audit: None };
            let outcome = run(&parts, &order).expect("the backtest runs");
            check(&way, &outcome);
            let events = outcome.summary.counters.get(Counter::Events);
            if round == 0 {
                tell_replayed(&way, &order.journal, &outcome);
                seen = updates(&order.journal) as f64 / events as f64;
            }
            rates.push(outcome.summary.events_per_second());
            if kept.exists() {
                std::fs::remove_dir_all(&order.journal).expect("the journal was made here");
            } else {
                std::fs::rename(&order.journal, &kept).expect("the same folder");
            }
        }
        tell(&mut bench, &way, rates, seen);
    }
    bench.finish();
}

fn check(way: &Way, outcome: &BacktestOutcome) {
    assert!(outcome.bad_lines.is_empty(), "{:?}", outcome.bad_lines);
    assert!(outcome.refused.is_empty(), "{:?}", outcome.refused);
    let count = |counter| outcome.summary.counters.get(counter);
    assert_eq!(count(Counter::Dropped), 0);
    assert!(count(Counter::Predictions) > 0);
    assert!(way.trading == Trading::AsConfigured || count(Counter::Orders) > 0);
}

fn tell_replayed(way: &Way, journal: &Path, outcome: &BacktestOutcome) {
    let replayed = replayed(journal);
    let count = |counter| outcome.summary.counters.get(counter);
    println!(
        "{}: checked, {} records replay to the same bytes; {} events, {} predictions, {} orders, \
         {} fills",
        way.name,
        replayed.records,
        count(Counter::Events),
        count(Counter::Predictions),
        count(Counter::Orders),
        count(Counter::Fills)
    );
}

/// `seen` updates an event.
fn tell(bench: &mut Bench, way: &Way, mut rates: Vec<f64>, seen: f64) {
    rates.sort_by(f64::total_cmp);
    let (middle, best) = (rates[rates.len() / 2], rates[rates.len() - 1]);
    let name = way.name;
    println!("{name}: {middle:.0} events a second (median round), {best:.0} (best round)");
    println!("{name}: {:.0} updates a second, {seen:.2} an event", middle * seen);
    bench.figure(&format!("{name}_events_per_second"), middle);
    bench.figure(&format!("{name}_events_per_second_best"), best);
    bench.figure(&format!("{name}_updates_per_second"), middle * seen);
    if name == "shipped" {
        bench.target("backtest, events a second", middle, Some(3_000_000.0), None);
    }
}
