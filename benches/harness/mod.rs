//! What every bench shares: options, the clock, races between alternatives, open-loop schedules,
//! the report and its last line.
//!
//! ```text
//!  Bench::start ─► check results ─► Race: round 1: a b c · round 2: a b c · …  ─► rows, ratios
//!                                   └─ in one process, interleaved, so that a slow moment of the
//!                                      machine falls on all of them; a ratio is taken per round
//!  Bench::finish ─► "not included" ─► figures: {…}
//! ```
//! A time is the mean over a small batch of operations where one operation is too short for the
//! clock; the batch's size is printed. Results are checked before any time is told.

// A bench uses the parts it needs.
#![allow(dead_code)]

pub mod demo;
pub mod desk;
pub mod gate;
pub mod machine;
pub mod pipeline;
pub mod tape;
pub mod walk;

use hdrhistogram::Histogram;
use peregrine::base::hop::Stamp;
use peregrine::observe::CycleClock;
use peregrine::runtime::replay::{self, ReplayReport};
use serde_json::{Map, Number, Value};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Largest time kept, in picoseconds: ten seconds.
const PICOS_MAX: u64 = 10_000_000_000_000;

/// One run of a bench program.
pub struct Bench {
    /// Few iterations: does it run, not how fast.
    pub smoke: bool,
    /// The cycle counter.
    pub clock: CycleClock,
    figures: Map<String, Value>,
    left_out: &'static [&'static str],
}

impl Bench {
    /// Reads the options and prints what is measured, on what. `left_out` is what the figures do
    /// not include. Unknown options are passed over: cargo adds its own.
    pub fn start(title: &str, left_out: &'static [&'static str]) -> Self {
        let smoke = std::env::args().any(|argument| argument == "--smoke");
        println!("{title}");
        println!("machine: {}", machine::facts());
        println!("load before: {}", machine::load());
        if smoke {
            println!("smoke run: few iterations, the figures mean little");
        }
        let clock = CycleClock::calibrate();
        let bench = Self { smoke, clock, figures: Map::new(), left_out };
        println!("clock: {:.1} ns a reading, in steps of {:.1} ns", bench.reading(), bench.step());
        bench
    }

    /// `full`, or the part of it that a smoke run does.
    pub fn count(&self, full: usize, smoke: usize) -> usize {
        if self.smoke { smoke } else { full }
    }

    /// What follows `--seconds`, or this many.
    pub fn seconds(&self, full: u64, smoke: u64) -> u64 {
        let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
        let given = arguments.next().and_then(|text| text.parse().ok());
        given.unwrap_or(if self.smoke { smoke } else { full })
    }

    /// Adds a named figure; one that is not finite is told as null.
    pub fn figure(&mut self, name: &str, value: f64) {
        let rounded = (value * 1_000.0).round() / 1_000.0;
        let value = Number::from_f64(rounded).map_or(Value::Null, Value::Number);
        self.figures.insert(name.to_owned(), value);
    }

    /// Says that a figure could not be taken, and why.
    pub fn absent(&mut self, name: &str, why: &str) {
        println!("{name}: absent, {why}");
        self.figures.insert(name.to_owned(), Value::Null);
    }

    /// Prints a target beside what was measured.
    pub fn target(&self, what: &str, measured: f64, least: Option<f64>, most: Option<f64>) {
        let met =
            least.is_none_or(|least| measured >= least) && most.is_none_or(|most| measured <= most);
        let wanted = match (least, most) {
            (Some(least), _) => format!("at least {least}"),
            (_, Some(most)) => format!("at most {most}"),
            _ => "any".to_owned(),
        };
        let verdict = if met { "met" } else { "NOT met" };
        println!("target {verdict}: {what} {measured:.2}, wanted {wanted}");
    }

    /// Ends the report.
    pub fn finish(self) {
        println!();
        for what in self.left_out {
            println!("not included: {what}");
        }
        println!("load after: {}", machine::load());
        println!("figures: {}", Value::Object(self.figures));
    }

    /// Nanoseconds from `from` to now.
    #[inline]
    pub fn since(&self, from: Stamp) -> u64 {
        self.clock.nanos_between(from, self.clock.stamp())
    }

    /// Nanoseconds that one reading of the clock takes.
    pub fn reading(&self) -> f64 {
        let start = self.clock.stamp();
        for _ in 0..10_000 {
            std::hint::black_box(self.clock.stamp());
        }
        self.since(start) as f64 / 10_000.0
    }

    fn step(&self) -> f64 {
        let mut least = u64::MAX;
        for _ in 0..10_000 {
            let first = self.clock.stamp();
            let second = self.clock.stamp();
            if second > first {
                least = least.min(second.0 - first.0);
            }
        }
        least as f64 * nanos_per_tick(&self.clock)
    }
}

/// Nanoseconds of one step of the counter.
pub fn nanos_per_tick(clock: &CycleClock) -> f64 {
    const TICKS: u64 = 1 << 32;
    clock.nanos_between(Stamp(0), Stamp(TICKS)) as f64 / TICKS as f64
}

/// A histogram of picoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, PICOS_MAX, 3).expect("the bounds are constants in order")
}

/// Records nanoseconds as picoseconds.
pub fn record_nanos(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.saturating_record(nanos.saturating_mul(1_000));
}

/// A quantile in nanoseconds.
pub fn nanos_at(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}

/// Prints the heading of [`row`].
pub fn heading(title: &str) {
    println!();
    println!(
        "{title:<44} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "p50 ns", "p99", "p99.9", "p99.99", "max", "count"
    );
}

/// Prints one histogram's percentiles.
pub fn row(label: &str, histogram: &Histogram<u64>) {
    let [p50, p99, p999, p9999] = [0.5, 0.99, 0.999, 0.9999].map(|q| nanos_at(histogram, q));
    let max = histogram.max() as f64 / 1_000.0;
    let count = histogram.len();
    println!(
        "{label:<44} {p50:>10.1} {p99:>10.1} {p999:>10.1} {p9999:>10.1} {max:>10.1} {count:>10}"
    );
}

/// One way of doing the job.
struct Contender<'a> {
    label: &'static str,
    prepare: Box<dyn FnMut(usize) + 'a>,
    run: Box<dyn FnMut(Range<usize>) + 'a>,
    all: Histogram<u64>,
    round: Histogram<u64>,
    medians: Vec<f64>,
}

/// Alternatives measured in turn.
pub struct Race<'a> {
    title: &'static str,
    contenders: Vec<Contender<'a>>,
    batch: usize,
}

impl<'a> Race<'a> {
    /// `batch` operations are timed together and their mean is one sample. The first contender
    /// added is the one the ratios refer to.
    pub const fn new(title: &'static str, batch: usize) -> Self {
        Self { title, contenders: Vec::new(), batch }
    }

    /// Adds a way of doing operations number `range`.
    pub fn add(&mut self, label: &'static str, run: impl FnMut(Range<usize>) + 'a) {
        self.add_prepared(label, |_| {}, run);
    }

    /// The same with something to be done before each batch, outside the time: it gets the number
    /// of the batch's first operation.
    pub fn add_prepared(
        &mut self,
        label: &'static str,
        prepare: impl FnMut(usize) + 'a,
        run: impl FnMut(Range<usize>) + 'a,
    ) {
        self.contenders.push(Contender {
            label,
            prepare: Box::new(prepare),
            run: Box::new(run),
            all: histogram(),
            round: histogram(),
            medians: Vec::new(),
        });
    }

    /// Runs every contender once to warm up, then `rounds` times in turn, `batches` batches each,
    /// and prints what came of it.
    pub fn run(self, bench: &Bench, rounds: usize, batches: usize) -> Outcome {
        let outcome = self.measure(bench, rounds, batches);
        outcome.print();
        outcome
    }

    /// The same without printing, for results that can only be checked afterwards.
    pub fn measure(mut self, bench: &Bench, rounds: usize, batches: usize) -> Outcome {
        let (rounds, batches) =
            if bench.smoke { (rounds.min(2), batches.min(20)) } else { (rounds, batches) };
        for round in 0..=rounds {
            for contender in &mut self.contenders {
                contender.turn(bench, batches, self.batch);
                if round > 0 {
                    contender.keep();
                }
                contender.round.reset();
            }
        }
        let title = match self.batch {
            1 => self.title.to_owned(),
            batch => format!("{}, means of {batch}", self.title),
        };
        Outcome { title, contenders: self.contenders.iter().map(Contender::done).collect() }
    }
}

impl Contender<'_> {
    fn turn(&mut self, bench: &Bench, batches: usize, batch: usize) {
        for number in 0..batches {
            let first = number * batch;
            (self.prepare)(first);
            let start = bench.clock.stamp();
            (self.run)(first..first + batch);
            let nanos = bench.since(start);
            self.round.saturating_record(nanos * 1_000 / batch as u64);
        }
    }

    fn keep(&mut self) {
        self.medians.push(nanos_at(&self.round, 0.5));
        self.all.add(&self.round).expect("all histograms have the same bounds");
    }

    fn done(&self) -> Measured {
        Measured { label: self.label, all: self.all.clone(), medians: self.medians.clone() }
    }
}

/// What a race found of one contender.
struct Measured {
    label: &'static str,
    all: Histogram<u64>,
    medians: Vec<f64>,
}

/// What a race found.
pub struct Outcome {
    title: String,
    contenders: Vec<Measured>,
}

impl Outcome {
    fn find(&self, label: &str) -> &Measured {
        let found = self.contenders.iter().find(|contender| contender.label == label);
        found.unwrap_or_else(|| panic!("no contender is called {label}"))
    }

    /// A quantile of a contender in nanoseconds.
    pub fn nanos(&self, label: &str, quantile: f64) -> f64 {
        nanos_at(&self.find(label).all, quantile)
    }

    /// A contender's mean in nanoseconds.
    pub fn mean(&self, label: &str) -> f64 {
        self.find(label).all.mean() / 1_000.0
    }

    /// Median over the rounds of `label`'s median over `reference`'s of the same round.
    pub fn ratio(&self, label: &str, reference: &str) -> f64 {
        quartiles(&ratios(self.find(label), self.find(reference)))[1]
    }

    /// Prints percentiles and ratios.
    pub fn print(&self) {
        heading(&self.title);
        for contender in &self.contenders {
            row(contender.label, &contender.all);
        }
        let reference = &self.contenders[0];
        for contender in &self.contenders[1..] {
            let [low, middle, high] = quartiles(&ratios(contender, reference));
            println!(
                "  {} / {}: {middle:.2} ({low:.2} to {high:.2} by round)",
                contender.label, reference.label
            );
        }
    }
}

fn ratios(of: &Measured, to: &Measured) -> Vec<f64> {
    each_ratio(&of.medians, &to.medians)
}

fn each_ratio(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(a, b)| a / b.max(0.001)).collect()
}

/// Median of the ratios of two series, round by round.
pub fn median_ratio(of: &[f64], to: &[f64]) -> f64 {
    quartiles(&each_ratio(of, to))[1]
}

/// Lower quartile, median, upper quartile.
fn quartiles(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |quarter: usize| sorted.get((sorted.len().max(1) - 1) * quarter / 4);
    [1, 2, 3].map(|quarter| at(quarter).copied().unwrap_or(f64::NAN))
}

/// Checks that a journal is whole and replays to the same bytes; what was replayed.
pub fn replayed(journal: &Path) -> ReplayReport {
    let report = replay::verify(journal).expect("the journal can be replayed");
    assert_eq!(report.differences, 0, "{:?}", report.first);
    report
}

/// The folder of recorded data, if it is there.
pub fn data_dir() -> Option<PathBuf> {
    let path = std::env::var_os("PEREGRINE_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    if !path.is_dir() {
        println!("no recorded data at {}: synthetic frames only", path.display());
        return None;
    }
    Some(path)
}

/// A path inside the repository.
pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Numbers that look random and are the same in every run.
pub struct Sequence(u64);

impl Sequence {
    /// From a seed that is not zero.
    pub const fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number: xorshift64*, Vigna 2016.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A float in -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}
