//! Whether watching a session costs its path anything: the demo, once alone and once with every
//! page asked for over eight connections without end; tick to order, memory, what was lost.
//!
//! Memory of its own is flat when, once a quarter of the run is over, a straight line through all
//! of its samples rises by no more than [`GROWTH_MAX`]. Two things may grow in ten minutes, both up
//! to a bound: the page's 200 orders, 200 fills and 200 alerts, half a KiB each, twice, which is
//! 0.6 MiB in all; and what the exchange of the demo, in the same process, keeps of orders
//! (`docs/EXCHANGE.md`): 1 KiB each, some forty a minute.
//!
//! ```sh
//! cargo bench --bench observer                     # ten minutes each
//! cargo bench --bench observer -- --seconds 60
//! cargo bench --bench observer -- --smoke          # a quarter of a minute each
//! ```

#[path = "harness/mod.rs"]
mod harness;

use harness::Bench;
use harness::demo::{Demo, PATIENCE, answer, free_page};
use peregrine::runtime::measures::memory_bytes;
use serde_json::Value;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Connections that ask.
const ASKERS: usize = 8;
/// Seconds of each run.
const SECONDS: u64 = 600;
const SECONDS_SMOKE: u64 = 15;
/// The part of a run after which what is taken at start has been taken.
const SETTLED: u64 = 4;
/// Memory of its own may grow by so much after that, MiB a minute: 0.08 are the page's 0.6 in seven
/// and a half minutes, 0.04 the exchange's, the rest is for what lies unused between blocks.
const GROWTH_MAX: f64 = 0.2;
/// A run below so many seconds is too short to judge its growth: one request for memory would do.
const JUDGED_SECONDS: u64 = 120;
const PAGES: [&str; 15] = [
    "/",
    "/healthz",
    "/readiness",
    "/metrics",
    "/api/v1/state",
    "/api/v1/orders",
    "/api/v1/fills",
    "/api/v1/equity",
    "/api/v1/latency",
    "/api/v1/latency.hlog",
    "/api/v1/models",
    "/api/v1/shadow",
    "/api/v1/risk",
    "/api/v1/alerts",
    "/metrics",
];

/// What came of one run.
struct Run {
    summary: Value,
    /// Answers, and questions without one.
    answers: u64,
    unanswered: u64,
    /// Seconds since the start, resident memory, and the part of it that is no file, in bytes: from
    /// when it had settled to the end.
    memory: Vec<(f64, [u64; 2])>,
}

impl Run {
    fn tick_to_order(&self, key: &str) -> f64 {
        self.summary["latency_ns"]["tick_to_order"][key].as_f64().unwrap_or(f64::NAN)
    }

    /// MiB a minute by which a part of the memory grew: the slope of least squares over samples.
    fn growth(&self, part: usize) -> f64 {
        let count = self.memory.len() as f64;
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            self.memory.iter().map(|(at, bytes)| of(*at, bytes[part] as f64)).sum()
        };
        let (at, bytes) = (sum(&|at, _| at) / count, sum(&|_, bytes| bytes) / count);
        let (above, below) =
            (sum(&|x, y| (x - at) * (y - bytes)), sum(&|x, _| (x - at) * (x - at)));
        above / below * 60.0 / MIB
    }
}

/// A page; true for an answer that is no failure of the server's.
fn ask(page: SocketAddr, path: &str) -> bool {
    // 503 is what readiness says while it is not.
    answer(page, path).is_ok_and(|text| text.starts_with(b"HTTP/1.1 200") || path == "/readiness")
}

/// Resident memory of a process, all of it and what is no file, in bytes.
fn memory(id: u32) -> Option<[u64; 2]> {
    Some([memory_bytes(id, "VmRSS")?, memory_bytes(id, "RssAnon")?])
}

fn run(seconds: u64, askers: usize) -> Run {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let page = free_page();
    let mut demo = Demo::start(seconds, page, dir.path(), &[]);
    let (over, answers, unanswered) =
        (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let memory = std::thread::scope(|scope| {
        let began = Instant::now();
        let there = || TcpStream::connect_timeout(&page, PATIENCE).is_ok();
        while !there() && !demo.has_ended() {
            std::thread::sleep(Duration::from_millis(20));
        }
        for place in 0..askers {
            let (over, answers, unanswered) = (&over, &answers, &unanswered);
            scope.spawn(move || {
                // What is measured is the watching, not the work of those who ask.
                let _ = rustix::process::setpriority_process(None, 19);
                for path in PAGES.iter().cycle().skip(place) {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    let count = if ask(page, path) { answers } else { unanswered };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut samples = Vec::new();
        // The pages go with the session; what is not answered after that says nothing.
        while !demo.has_ended() && began.elapsed() + Duration::from_secs(1) < length(seconds) {
            std::thread::sleep(Duration::from_millis(200));
            if began.elapsed() >= length(seconds) / SETTLED as u32 {
                let at = began.elapsed().as_secs_f64();
                samples.extend(memory(demo.id()).map(|bytes| (at, bytes)));
            }
        }
        over.store(true, Ordering::Relaxed);
        samples
    });
    let (answers, unanswered) = (answers.into_inner(), unanswered.into_inner());
    Run { summary: demo.summary(), answers, unanswered, memory }
}

const MIB: f64 = (1 << 20) as f64;

const fn length(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn told(bench: &mut Bench, name: &str, run: &Run) {
    println!("\n{name}: {}", run.summary);
    println!("{name}: {} answers, {} questions without one", run.answers, run.unanswered);
    for key in ["p50", "p99", "p999", "count"] {
        bench.figure(&format!("{name}_tick_to_order_{key}"), run.tick_to_order(key));
    }
    for (part, at) in [("all", 0), ("anon", 1)] {
        let ends = [run.memory.first(), run.memory.last()];
        let ends = ends.map(|sample| sample.map_or(f64::NAN, |(_, bytes)| bytes[at] as f64 / MIB));
        bench.figure(&format!("{name}_rss_{part}_settled_mib"), ends[0]);
        bench.figure(&format!("{name}_rss_{part}_end_mib"), ends[1]);
        bench.figure(&format!("{name}_rss_{part}_mib_a_minute"), run.growth(at));
    }
    bench.figure(&format!("{name}_answers"), run.answers as f64);
    bench.figure(&format!("{name}_unanswered"), run.unanswered as f64);
    bench.figure(&format!("{name}_dropped"), run.summary["dropped"].as_f64().unwrap_or(f64::NAN));
    // Every order and fill of the exchange is in the journal, and the other way round.
    let equal = run.summary["ledger_equal"] == Value::Bool(true);
    bench.figure(&format!("{name}_ledger_equal"), f64::from(u8::from(equal)));
}

fn main() {
    let mut bench = Bench::start(
        "observer: what it costs the path to be watched",
        &["the network between the pages and who asks for them: both are here"],
    );
    let seconds = bench.seconds(SECONDS, SECONDS_SMOKE);
    println!("{seconds} s alone, {seconds} s with {ASKERS} connections that ask without end");
    let alone = run(seconds, 0);
    told(&mut bench, "alone", &alone);
    let watched = run(seconds, ASKERS);
    told(&mut bench, "watched", &watched);
    println!();
    for (name, run) in [("alone", &alone), ("watched", &watched)] {
        if seconds >= JUDGED_SECONDS {
            let what = format!("{name}, growth of memory of its own in MiB a minute");
            bench.target(&what, run.growth(1), None, Some(GROWTH_MAX));
        } else {
            println!("{name}: too short to judge the growth of its memory");
        }
    }
    for key in ["p50", "p99", "p999"] {
        let ratio = watched.tick_to_order(key) / alone.tick_to_order(key);
        bench.figure(&format!("watched_over_alone_{key}"), ratio);
    }
    bench.finish();
}
