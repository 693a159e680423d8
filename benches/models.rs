//! What models cost that are not the champion, and how fast another one becomes it: the whole
//! program over loopback.
//!
//! ```text
//!  challengers   the demo, and the demo with three challengers in shadow, in turn: bytes in memory
//!                to the prediction and to the order's bytes, out of the journal's latency stamps
//!  changes       a demo that trades, asked for another model and for the one before, in turn: from
//!                the wish to the answer that it is done, and to the first prediction by it
//! ```
//!
//! ```sh
//! cargo bench --bench models                     # some twenty minutes
//! cargo bench --bench models -- --seconds 30     # shorter runs
//! cargo bench --bench models -- --smoke          # a quarter of a minute each
//! ```

#[path = "harness/mod.rs"]
mod harness;

use harness::demo::{Demo, Passages, answer, free_page, journal, lane, registry_with};
use harness::{Bench, heading, histogram, nanos_at, record_nanos, replayed, repository, row};
use hdrhistogram::Histogram;
use peregrine::base::Kind;
use peregrine::base::event::{Event, ModelSwap, Prediction, Trade, flags};
use peregrine::model::artifact::tag_of;
use peregrine::promotion::Line;
use peregrine::registry::Stage;
use peregrine::runtime::clock::wall_now;
use peregrine::runtime::shadow::parts;
use peregrine::runtime::swap::ask_swap;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Pairs of runs without and with challengers.
const ROUNDS: usize = 4;
/// Seconds of each run.
const SECONDS: u64 = 120;
const SECONDS_SMOKE: u64 = 15;
/// Inputs before times are kept: books synchronised, caches warm.
const WARM: u64 = 2_000;
const CHALLENGERS: usize = 3;
/// Models that are asked for by name, in turn: more than the stage has places for.
const OTHERS: usize = 8;
/// Changes: half to another model, half back.
const CHANGES: usize = 1_000;
/// Longest time until a change has taken effect, milliseconds.
const CHANGE_MS_MAX: f64 = 1_000.0;
/// It decides often and trades on little.
const EAGER: [(&str, &str); 4] = [
    ("PEREGRINE__POLICY__ENTER_EDGE", "0.1"),
    ("PEREGRINE__POLICY__DECISION_INTERVAL_MS", "20"),
    ("PEREGRINE__FEATURES__BAR_INTERVAL_MS", "250"),
    ("PEREGRINE__MODEL__BUDGET_US", "1000000"),
];

/// What the runs of one kind came to.
struct Measured {
    to_decision: Histogram<u64>,
    to_order: Histogram<u64>,
    /// Medians and 99th percentiles to the prediction, run by run, nanoseconds.
    by_run: Vec<[f64; 2]>,
    dropped: f64,
}

impl Measured {
    fn new() -> Self {
        let (to_decision, to_order) = (histogram(), histogram());
        Self { to_decision, to_order, by_run: Vec::new(), dropped: 0.0 }
    }

    fn add(&mut self, passages: &Passages) {
        let mut own = histogram();
        passages.to_decision.iter().for_each(|ns| record_nanos(&mut own, *ns));
        passages.to_order.iter().for_each(|ns| record_nanos(&mut self.to_order, *ns));
        self.by_run.push([0.5, 0.99].map(|quantile| nanos_at(&own, quantile)));
        self.to_decision.add(&own).expect("all histograms have the same bounds");
    }
}

fn names(stem: &str, count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{stem}-{number}")).collect()
}

/// The text of `/metrics`, if the page answers.
fn metrics(page: SocketAddr) -> Option<String> {
    let text = answer(page, "/metrics").ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// A value of `/metrics` without labels.
fn metric(text: &str, name: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or(f64::NAN)
}

/// Decisions of each challenger in the log; each agrees with the session and with the champion,
/// whose copy it is.
fn decisions(log: &Path) -> BTreeMap<String, u64> {
    let mut by = BTreeMap::<String, u64>::new();
    for part in parts(log).expect("the folder of the log") {
        let text = std::fs::read(part).expect("a part of the log");
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let line = Line::parse(line.trim_ascii_end()).expect("a line of the log");
            let Line::Decision(decided) = line else { continue };
            assert!(decided.features_match, "a row is not the session's: {decided:?}");
            assert_eq!(decided.champion.proba, decided.challenger.proba, "copies differ");
            *by.entry(decided.challenger.version).or_default() += 1;
        }
    }
    by
}

/// Has the log brought to the end of the session, and checks all of it; how many decisions of a
/// challenger were in it while the session ran.
fn check_log(state: &Path, models: &str) -> u64 {
    let log = state.join("logs/shadow/shadow_eval.jsonl");
    let live = decisions(&log).values().copied().min().unwrap_or(0);
    let status = Command::new(env!("CARGO_BIN_EXE_peregrine"))
        .args(["shadow", "run", "--models", models, "--journal"])
        .args([&journal(state), Path::new("--log"), &log])
        .current_dir(repository("."))
        .stdout(Stdio::null())
        .status();
    assert!(status.expect("the program starts").success(), "the log cannot be brought to its end");
    let by = decisions(&log);
    assert_eq!(by.len(), CHALLENGERS, "{by:?}");
    assert!(by.values().all(|count| *count > 50), "too few decisions to compare: {by:?}");
    live
}

/// One run; what was behind and lost just before its end, and decisions of a challenger until then.
fn run(seconds: u64, with: bool, models: &Path, into: &mut Measured) -> [f64; 4] {
    let state = tempfile::tempdir().expect("a temporary folder");
    let (page, on) = (free_page(), if with { "true" } else { "false" });
    let models = models.to_str().expect("a path in UTF-8");
    let own = [("PEREGRINE__SHADOW__ON", on), ("PEREGRINE__MODEL__DIR", models)];
    let mut demo = Demo::start(seconds, page, state.path(), &[&EAGER[..], &own].concat());
    let (began, mut newest) = (Instant::now(), String::new());
    // Its pages go with it.
    while !demo.has_ended() && began.elapsed() < Duration::from_secs(seconds) {
        std::thread::sleep(Duration::from_secs(1));
        newest = metrics(page).unwrap_or(newest);
    }
    let summary = demo.summary();
    into.dropped += summary["dropped"].as_f64().unwrap_or(f64::NAN);
    let journal = journal(state.path());
    replayed(&journal);
    into.add(&Passages::read(&journal, WARM));
    if !with {
        return [0.0; 4];
    }
    let decisions = check_log(state.path(), models) as f64;
    let lag = ["events_behind", "behind_seconds", "dropped_total"];
    let [behind, seconds, dropped] =
        lag.map(|name| metric(&newest, &format!("peregrine_shadow_{name}")));
    [behind, seconds, dropped, decisions]
}

fn challengers(bench: &mut Bench, seconds: u64) {
    let models = tempfile::tempdir().expect("a temporary folder");
    registry_with(models.path(), &names("copy", CHALLENGERS), Stage::Shadow);
    let mut measured = [Measured::new(), Measured::new()];
    let mut lag = [0.0_f64; 4];
    for round in 0..bench.count(ROUNDS, 1) {
        // Each kind goes first in half of the rounds.
        for place in 0..2 {
            let with = (place + round) % 2 == 1;
            let seen = run(seconds, with, models.path(), &mut measured[usize::from(with)]);
            for (most, value) in lag.iter_mut().zip(seen) {
                *most = most.max(value);
            }
        }
    }
    let kinds = ["alone", "with three challengers"];
    heading("bytes in memory to prediction");
    for (kind, own) in kinds.iter().zip(&measured) {
        row(kind, &own.to_decision);
    }
    heading("bytes in memory to order bytes");
    for (kind, own) in kinds.iter().zip(&measured) {
        row(kind, &own.to_order);
    }
    for (kind, own) in ["alone", "shadow"].iter().zip(&measured) {
        for (hop, times) in [("decision", &own.to_decision), ("order", &own.to_order)] {
            for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
                let figure = format!("{kind}_tick_to_{hop}_{name}");
                bench.figure(&figure, nanos_at(times, quantile));
            }
            bench.figure(&format!("{kind}_tick_to_{hop}_count"), times.len() as f64);
        }
        for (at, name) in ["p50", "p99"].iter().enumerate() {
            let each = || own.by_run.iter().map(|run| run[at]);
            let (least, most) = (each().fold(f64::INFINITY, f64::min), each().fold(0.0, f64::max));
            println!("{kind}: {name} to prediction from {least:.0} to {most:.0} ns by run");
            bench.figure(&format!("{kind}_tick_to_decision_{name}_least"), least);
            bench.figure(&format!("{kind}_tick_to_decision_{name}_most"), most);
        }
        bench.figure(&format!("{kind}_dropped"), own.dropped);
    }
    for (name, value) in ["events_behind", "seconds_behind", "lost", "decisions"].iter().zip(lag) {
        bench.figure(&format!("shadow_{name}"), value);
    }
}

/// A change as it was asked for.
struct Asked {
    /// Wall clock, nanoseconds since 1970.
    at_ns: i64,
    /// Until the answer that it is done.
    answered: Duration,
    back: bool,
}

/// Asks for one model after the other and back, while there is time.
fn ask_on(state: &Path, count: usize, until: Instant) -> Vec<Asked> {
    let (others, mut asked) = (names("other", OTHERS), Vec::new());
    while asked.len() < count && Instant::now() < until {
        let back = asked.len() % 2 == 1;
        let model = if back { "previous" } else { &others[asked.len() / 2 % OTHERS] };
        let (began, at_ns) = (Instant::now(), wall_now().0);
        ask_swap(state, model, "measured").expect("the session changes its model");
        asked.push(Asked { at_ns, answered: began.elapsed(), back });
        // So that it decides a few times.
        std::thread::sleep(Duration::from_millis(30));
    }
    asked
}

/// From the wish to the first prediction by the model wished for, where one came before the next.
fn effects(journal: &Path, asked: &[Asked]) -> Vec<(bool, f64)> {
    let inputs = lane(journal, 0);
    assert!((1..).zip(&inputs).all(|(seq, event)| event.seq == seq), "an input is missing");
    assert!(inputs.iter().all(|event| event.kind() != Some(Kind::Gap)), "a stream had a hole");
    let mut newest = BTreeMap::<u16, u64>::new();
    for event in inputs.iter().filter(|event| event.kind() == Some(Kind::AggTrade)) {
        let id = event.body::<Trade>().trade_id;
        let before = newest.insert(event.instrument, id);
        assert!(before.is_none_or(|before| before + 1 == id), "a trade is missing or out of order");
    }
    let told = lane(journal, 1);
    let lost = |event: &&Event| event.kind() == Some(Kind::BookState) && !event.has(flags::ON);
    assert_eq!(told.iter().filter(lost).count(), 0, "a book was lost");
    let swaps: Vec<&Event> =
        inputs.iter().filter(|event| event.kind() == Some(Kind::ModelSwap)).collect();
    assert_eq!(swaps.len(), asked.len(), "as many changes as were asked for");
    let mut predictions =
        told.iter().filter(|event| event.kind() == Some(Kind::Prediction)).peekable();
    let mut found = Vec::new();
    for (at, (swap, asked)) in swaps.iter().zip(asked).enumerate() {
        let next = swaps.get(at + 1).map_or(u64::MAX, |next| next.seq);
        let tag = tag_of(&swap.body::<ModelSwap>().sha256);
        while predictions.next_if(|event| event.seq <= swap.seq).is_some() {}
        if let Some(first) = predictions.peek().filter(|event| event.seq < next) {
            assert_eq!(first.body::<Prediction>().model_tag, tag, "the wrong model decides");
            found.push((asked.back, (first.ts_recv - asked.at_ns) as f64 / 1e6));
        }
    }
    found
}

fn at(sorted: &[f64], quantile: f64) -> f64 {
    let place = (sorted.len().saturating_sub(1)) as f64 * quantile;
    sorted.get(place.round() as usize).copied().unwrap_or(f64::NAN)
}

fn told(bench: &mut Bench, name: &str, mut millis: Vec<f64>) {
    millis.sort_by(f64::total_cmp);
    let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| at(&millis, quantile));
    println!("{name:<44} {p50:>10.1} {p99:>10.1} {max:>10.1} {:>10}", millis.len());
    for (key, value) in [("p50", p50), ("p99", p99), ("max", max)] {
        bench.figure(&format!("{name}_{key}_ms"), value);
    }
    bench.target(&format!("{name}, the longest in ms"), max, None, Some(CHANGE_MS_MAX));
}

fn changes(bench: &mut Bench, seconds: u64) {
    let models = tempfile::tempdir().expect("a temporary folder");
    registry_with(models.path(), &names("other", OTHERS), Stage::Staged);
    let state = tempfile::tempdir().expect("a temporary folder");
    let (page, dir) = (free_page(), models.path().to_str().expect("a path in UTF-8"));
    let own = [("PEREGRINE__MODEL__DIR", dir)];
    let mut demo = Demo::start(seconds, page, state.path(), &[&EAGER[..], &own].concat());
    let until = Instant::now() + Duration::from_secs(seconds.saturating_sub(5));
    let decides =
        || metric(&metrics(page).unwrap_or_default(), "peregrine_predictions_total") > 0.0;
    while !decides() && !demo.has_ended() {
        std::thread::sleep(Duration::from_millis(100));
    }
    let asked = ask_on(state.path(), bench.count(CHANGES, 20), until);
    let summary = demo.summary();
    let journal = journal(state.path());
    replayed(&journal);
    let effects = effects(&journal, &asked);
    let orders = summary["orders"].as_f64().unwrap_or(0.0);
    assert!(orders > 0.0, "nothing was traded meanwhile: {summary}");
    println!("\n{:<44} {:>10} {:>10} {:>10} {:>10}", "a change, ms", "p50", "p99", "max", "count");
    for (name, back) in [("change_answered", false), ("rollback_answered", true)] {
        let of = asked.iter().filter(|asked| asked.back == back);
        told(bench, name, of.map(|asked| asked.answered.as_secs_f64() * 1e3).collect());
    }
    for (name, back) in [("change_decides", false), ("rollback_decides", true)] {
        let of = effects.iter().filter(|(is_back, _)| *is_back == back);
        told(bench, name, of.map(|(_, millis)| *millis).collect());
    }
    bench.figure("changes", asked.len() as f64);
    bench.figure("changes_orders", orders);
    bench.figure("changes_events", summary["events"].as_f64().unwrap_or(f64::NAN));
    bench.figure("changes_dropped", summary["dropped"].as_f64().unwrap_or(f64::NAN));
}

fn main() {
    let mut bench = Bench::start(
        "models: challengers beside the champion, and changes of it",
        &["an exchange that is far away: it is in the same process, on the same cores"],
    );
    let seconds = bench.seconds(SECONDS, SECONDS_SMOKE);
    challengers(&mut bench, seconds);
    // A thousand changes take a while.
    let longer = if bench.smoke { 2 * seconds } else { 2 * seconds.max(120) };
    changes(&mut bench, longer);
    bench.finish();
}
