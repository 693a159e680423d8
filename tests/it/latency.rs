//! Latency of a whole session: what the page tells while it runs, what the journal's stamps tell
//! afterwards, what other readers of histogram logs find.

use crate::allocations;
use crate::floor::Floor;
use crate::lanes::{count, sound};
use crate::pipeline_support::{assert_replays, peregrine, text};
use crate::process::look;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use peregrine::base::event::{Event, Kind, Passage, Stamps};
use peregrine::base::hop::Hop;
use peregrine::observe::latency::{HopCollector, LatencyView};
use peregrine::observe::worst::WORST_KEPT;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// `peregrine latency` with these arguments; what it prints with `--json`.
#[track_caller]
fn latency(arguments: &[&str]) -> Value {
    let output = peregrine(&[&["latency"], arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let told = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(told.lines().last().unwrap()).unwrap()
}

/// Every passage in lane 4, by hop.
fn passages(lane: &[Event]) -> BTreeMap<&'static str, Vec<Passage>> {
    let mut by_hop: BTreeMap<_, Vec<Passage>> = BTreeMap::new();
    for event in lane {
        assert_eq!(event.kind(), Some(Kind::Stamps));
        let stamps: &Stamps = event.body();
        assert_eq!(stamps.missed, 0);
        for passage in stamps.read(event.seq) {
            by_hop.entry(passage.hop.name()).or_default().push(passage);
        }
    }
    by_hop
}

/// The value at a rank, the slow way.
fn at_rank(sorted: &[u64], quantile: f64) -> u64 {
    let rank = (quantile * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

/// Two significant digits: a percentile is at most one hundredth above the value it stands for.
#[track_caller]
fn assert_close(told: u64, exact: u64, what: &str) {
    let most = exact as f64 * 1.01 + 1.0;
    assert!(told >= exact && told as f64 <= most, "{what}: {told} for {exact}");
}

/// What was told of each hop is what sorting its passages gives.
#[track_caller]
fn assert_agrees(told: &Value, by_hop: &BTreeMap<&'static str, Vec<Passage>>) {
    let names: Vec<&str> = by_hop.keys().copied().collect();
    let mut listed: Vec<&String> = told.as_object().unwrap().keys().collect();
    listed.sort();
    assert_eq!(listed, names);
    for (name, passages) in by_hop {
        let mut sorted: Vec<u64> = passages.iter().map(|passage| passage.ns).collect();
        sorted.sort_unstable();
        let of = |key: &str| told[*name][key].as_u64().unwrap();
        assert_eq!(of("count") as usize, sorted.len(), "{name}");
        assert_eq!(of("max"), *sorted.last().unwrap(), "{name}");
        let ranks = [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("p9999", 0.9999)];
        for (key, quantile) in ranks {
            assert_close(of(key), at_rank(&sorted, quantile), &format!("{name} {key}"));
        }
    }
}

/// The longest of each hop are those of the passages, and each input that passed is in lane 0.
#[track_caller]
fn assert_longest(told: &Value, by_hop: &BTreeMap<&'static str, Vec<Passage>>, inputs: &[Event]) {
    let known: HashSet<u64> = inputs.iter().map(|event| event.seq).collect();
    let rows = told.as_array().unwrap();
    for (name, passages) in by_hop {
        let mut lengths: Vec<u64> = passages.iter().map(|passage| passage.ns).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.truncate(WORST_KEPT);
        let of_hop: Vec<&Value> = rows.iter().filter(|row| row["hop"] == *name).collect();
        let listed: Vec<u64> = of_hop.iter().map(|row| row["ns"].as_u64().unwrap()).collect();
        assert_eq!(listed, lengths, "{name}");
        for row in of_hop {
            let seq = row["seq"].as_u64().unwrap();
            assert!(known.contains(&seq), "{name}: {seq} is no input");
            let ns = row["ns"].as_u64().unwrap();
            assert!(passages.iter().any(|p| p.seq == seq && p.ns == ns), "{name}: {row}");
        }
    }
}

/// Intervals of a log by tag, read by the library's own reader of logs.
fn lines(path: &Path) -> BTreeMap<String, usize> {
    let bytes = std::fs::read(path).unwrap();
    let mut tags = BTreeMap::new();
    for entry in IntervalLogIterator::new(&bytes) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            *tags.entry(interval.tag().unwrap().as_str().to_owned()).or_insert(0) += 1;
        }
    }
    tags
}

#[test]
fn the_journal_s_stamps_give_the_percentiles_that_the_page_told_while_it_ran() {
    let floor = Floor::start("", &[]);
    floor.session.wait(|told| count(told, Kind::OrderFilled) >= 4);
    let dir = tempfile::tempdir().unwrap();
    let (log, page) = (dir.path().join("live.hlog"), dir.path().join("live.html"));
    let url = format!("http://{}", floor.page);
    let files = ["--hlog-out", text(&log), "--html", text(&page)];
    let wire = |told: &Value| told["since_start_ns"]["wire"]["count"].as_u64().unwrap_or(0);
    // The log and the figures are asked for one after the other, and the session goes on.
    let live = look("every hop on the page, and as many in its log", || {
        let live = latency(&[&["--url", &url], &files[..]].concat());
        let of_log = latency(&["--hlog", text(&log)]);
        let same = wire(&live) > 0 && wire(&of_log) == wire(&live);
        if same { Ok(live) } else { Err(format!("{live} {of_log}")) }
    });
    assert!(live["worst"].as_array().is_some_and(|rows| !rows.is_empty()), "{live}");
    assert!(live["recent_ns"].as_object().is_some_and(|hops| !hops.is_empty()), "{live}");
    assert!(lines(&log).contains_key("tick_to_order"));

    let (outcome, state) = floor.session.end();
    assert_eq!(outcome.halt, None);
    let journal = state.path().join("journal/0000001-paper");
    let (log, page) = (dir.path().join("journal.hlog"), dir.path().join("journal.html"));
    let files = ["--hlog-out", text(&log), "--html", text(&page), "--every", "1"];
    let told = latency(&[&["--journal", text(&journal)], &files[..]].concat());
    let by_hop = passages(&sound(&journal, 4));
    for hop in ["receive_decode", "features", "inference", "policy", "risk", "tick_to_order"] {
        assert!(by_hop.contains_key(hop), "{hop} was not passed");
    }
    let ended: LatencyView = outcome.summary.latency;
    let live = serde_json::to_value(ended).unwrap();
    assert_agrees(&live, &by_hop);
    assert_eq!(told["since_start_ns"], live, "live and offline are the same histograms");
    assert_longest(&told["worst"], &by_hop, &sound(&journal, 0));
    let seconds = lines(&log);
    assert!(seconds["receive_decode"] > 1, "{seconds:?}");
    let of_log = latency(&["--hlog", text(&log)]);
    for hop in by_hop.keys() {
        let count = |told: &Value| told["since_start_ns"][hop]["count"].clone();
        assert_eq!(count(&of_log), count(&told), "{hop}: the intervals are the whole");
    }
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("<svg") && html.contains("tick_to_order"), "{html}");
    for outside in ["src=", "href=", "@import", "url("] {
        assert!(!html.contains(outside), "the page needs {outside}");
    }
    assert_replays(&journal);
}

#[test]
fn recording_a_passage_allocates_nothing_with_stamps_and_without() {
    for mut collector in [HopCollector::new(), HopCollector::with_stamps()] {
        let mut recorder = collector.recorder();
        let allocations = allocations::count(|| {
            for ns in 0..100_000 {
                recorder.record(Hop::Inference, ns, ns % 9_973);
                recorder.publish();
            }
        });
        assert_eq!(allocations, 0);
    }
}

#[test]
fn latency_names_its_one_source_and_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("gone");
    let both = ["latency", "--url", "http://127.0.0.1:1", "--hlog", "x"];
    let cases: [(&[&str], i32, &str); 4] = [
        (&["latency"], 2, "--journal"),
        (&both, 2, "cannot be used with"),
        (&["latency", "--journal", text(&gone)], 1, "gone"),
        (&["latency", "--hlog", text(&gone)], 1, "gone"),
    ];
    for (arguments, code, said) in cases {
        let output = peregrine(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(told.contains(said), "{arguments:?}: {told}");
    }
}
