//! A whole session whose inference is shared among threads: it trades on both, changes its model on
//! both at one place of the river, ends in order, and replays on one thread without a difference.

use crate::model_swaps::{Models, end_and_replay, tags};
use crate::pipeline_support::{EAGER, leaning, text};
use crate::process::look;
use crate::session_support::Session;
use peregrine::base::event::{Event, Kind, ModelSwap, Prediction};
use peregrine::exchange::{ServerSettings, SymbolSpec};
use peregrine::runtime::swap::ask_swap;
use std::collections::BTreeSet;

/// Symbols of the session, two for the first thread.
const SYMBOLS: u16 = 3;

/// Threads of this process by name.
fn threads() -> BTreeSet<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map_while(Result::ok);
    let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")));
    names.map_while(Result::ok).map(|name| name.trim().to_owned()).collect()
}

#[test]
fn a_session_of_two_shards_trades_on_both_changes_its_model_and_replays() {
    let other = leaning("other", "imbalance_1", 1.0);
    let models = Models::new(&[&other]);
    let specs: Vec<SymbolSpec> = (1..=SYMBOLS).filter_map(SymbolSpec::made_up).collect();
    let names: Vec<String> = specs.iter().map(|spec| format!("\"{}\"", spec.symbol)).collect();
    let (list, dir) = (format!("[{}]", names.join(", ")), text(models.dir.path()));
    let dir = format!("\"{dir}\"");
    let shards = [
        ("topology", "layout", "\"split\""),
        ("topology", "inference_shards", "2"),
        ("topology", "wait", "\"park\""),
        ("instruments", "symbols", list.as_str()),
        ("risk", "allow", list.as_str()),
        ("model", "dir", dir.as_str()),
        ("policy", "decision_interval_ms", "20"),
    ];
    let exchange = ServerSettings { symbols: specs, ..ServerSettings::default() };
    let (_exchange, session) = Session::at_exchange(exchange, &[&EAGER[..], &shards].concat());
    session.until("the first model decides", 1, |lane| !tags(lane).is_empty());
    let run = threads();
    for name in ["feed", "inference", "inference-1", "risk", "execution"] {
        assert!(run.contains(name), "{name} is not among {run:?}");
    }
    let done = ask_swap(session.state(), "other", "it is better").unwrap();
    assert_eq!(done["champion"]["version"], "other");
    let lane = session.until("the new model decides on both threads", 1, |lane| {
        shards_of(lane, |event| {
            event.kind() == Some(Kind::Prediction)
                && event.body::<Prediction>().model_tag == other.tag()
        }) == 2
    });
    session.until("fills of both threads' symbols", 0, |lane| {
        shards_of(lane, |event| event.kind() == Some(Kind::OrderFilled)) == 2
    });
    let swap = look("the swap in the river", || {
        let lane = crate::lanes::read(&session.journal(), 0);
        let swap = lane.iter().find(|event| event.kind() == Some(Kind::ModelSwap));
        swap.map(|event| (event.seq, event.body::<ModelSwap>().sha256)).ok_or("none")
    });
    assert_eq!(swap.1, other.sha256);
    for event in lane.iter().filter(|event| event.kind() == Some(Kind::Prediction)) {
        let is_other = event.body::<Prediction>().model_tag == other.tag();
        assert_eq!(is_other, event.seq > swap.0, "at {}: one place for all threads", event.seq);
    }
    end_and_replay(session);
}

/// How many of the two shards such events are of.
fn shards_of(lane: &[Event], is_it: impl Fn(&Event) -> bool) -> usize {
    let found = lane.iter().filter(|event| is_it(event)).map(|event| event.instrument % 2);
    found.collect::<BTreeSet<u16>>().len()
}
