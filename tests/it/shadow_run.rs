//! Challengers beside the champion over a session's journal: against what the session recorded,
//! what its market came to, and a run that was not interrupted.

use crate::pipeline_support::{
    EAGER, Rig, lane, last_json, parts, peregrine, root, synthetic, text,
};
use crate::shadow_support::{
    Session, WHOLE, decisions, follow, lines, outcomes, read_on, recorded, shipped, timeless,
};
use peregrine::base::Nanos;
use peregrine::base::event::{Event, Kind, OrderReport, flags};
use peregrine::base::units::SCALE;
use peregrine::book::{Book, BookUpdate};
use peregrine::promotion::record::Decided;
use peregrine::runtime::shadow::{EvalLog, LogBounds, Turn, parts as log_parts, session_parts};
use std::collections::BTreeMap;

/// Quantity, signed value of the fills and fees of an instrument, added up from lane 0.
fn filled(inputs: &[Event], instrument: usize) -> [i128; 3] {
    let mut sums = [0; 3];
    for event in inputs {
        if event.kind() != Some(Kind::OrderFilled) || event.instrument().index() != instrument {
            continue;
        }
        let report: &OrderReport = event.body();
        let sign = if event.has(flags::SELL) { -1 } else { 1 };
        let (qty, px) = (i128::from(report.last_qty), i128::from(report.last_px));
        assert_eq!(qty * px % i128::from(SCALE), 0, "a value of this market is exact");
        sums[0] += sign * qty;
        sums[1] += sign * qty * px / i128::from(SCALE);
        sums[2] += i128::from(report.fee);
    }
    sums
}

#[test]
fn a_copy_of_the_champion_says_what_the_session_recorded_and_has_its_books() {
    let session = Session::new(60_000);
    let mut follower = session.run_copy("log", WHOLE);
    let inputs = lane(&session.journal(), 0);
    let said: Vec<(u64, [f64; 3], String)> = recorded(&session.journal())
        .into_iter()
        .map(|(seq, body)| {
            let proba = body.probability.map(f64::from);
            (seq, proba, format!("{:016x}", body.features_hash))
        })
        .collect();
    assert!(said.len() > 500, "{} predictions are too few to compare", said.len());

    let lines = lines(&session.log("log"));
    let told = decisions(&lines);
    assert!(told.iter().all(|decided| decided.features_match));
    for pick in [|d: &Decided| d.champion.clone(), |d: &Decided| d.challenger.clone()] {
        let answers: Vec<(u64, [f64; 3], String)> = told
            .iter()
            .map(|decided| (decided.seq, pick(decided)))
            .filter_map(|(seq, told)| Some((seq, told.proba?, told.features_hash)))
            .collect();
        assert_eq!(answers, said);
    }
    let counts = follower.progress().engine;
    assert_eq!((counts.compared, counts.mismatches), (said.len() as u64, 0));
    assert_eq!(follower.progress().dropped, 0);

    let engine = follower.engine();
    let mut books = vec![engine.champion().ledger().unwrap().clone()];
    books.extend(engine.challengers().map(|seat| seat.ledger().unwrap().clone()));
    assert_eq!(books.len(), 2);
    let mut fees = 0;
    for ledger in books {
        for (i, position) in ledger.positions().iter().enumerate() {
            let value = i128::from(position.cost.0) - i128::from(position.realised.0);
            let held = [i128::from(position.qty.0), value, i128::from(position.fees.0)];
            assert_eq!(held, filled(&inputs, i), "instrument {i}");
            fees += held[2];
        }
    }
    assert!(fees > 0, "a session without fills compares too little");
    // What the lines tell of fees and trades is what the fills came to.
    let last = told.last().unwrap();
    let paid: f64 = told.iter().filter_map(|d| Some(d.challenger.virtual_fill?.fees)).sum();
    assert!((paid * SCALE as f64 * 2.0 - fees as f64).abs() < 1e5, "{paid} {fees} {last:?}");
    assert!(told.iter().any(|d| d.challenger.closed_pnl.is_some()));
}

#[test]
fn rows_that_are_not_the_sessions_are_told_on_their_lines_and_counted() {
    let session = Session::new(20_000);
    let mut champion = session_parts(&session.journal()).unwrap();
    // A session that decided at other moments.
    champion.settings.policy.decision_interval_ms = 70;
    let challengers = [(session.copy(), Nanos::ZERO)];
    let (journal, log) = (&session.journal(), session.log("log"));
    let mut follower = follow(journal, &champion, &challengers, &shipped(), (&log, WHOLE)).unwrap();
    read_on(&mut follower).unwrap();
    let recorded: BTreeMap<u64, String> = recorded(journal)
        .into_iter()
        .map(|(seq, body)| (seq, format!("{:016x}", body.features_hash)))
        .collect();
    let (lines, mut differ) = (session.lines("log"), 0);
    for decided in decisions(&lines).into_iter().filter(|d| d.champion.proba.is_some()) {
        let same = recorded.get(&decided.seq) == Some(&decided.champion.features_hash);
        assert_eq!(decided.features_match, same, "at {}", decided.seq);
        differ += u64::from(!same);
    }
    assert!(differ > 50, "{differ}");
    assert_eq!(follower.progress().engine.mismatches, differ);
}

#[test]
fn outcomes_are_what_the_market_came_to_and_stand_in_the_order_of_decisions() {
    let session = Session::new(60_000);
    drop(session.run_copy("log", WHOLE));
    // Every change of each book: number, time, twice the mid.
    let mut books = [Book::new(8_192), Book::new(8_192)];
    let mut mids: [Vec<(u64, i64, i64)>; 2] = Default::default();
    for event in lane(&session.journal(), 0) {
        let i = event.instrument().index();
        let Some(book) = books.get_mut(i) else { continue };
        if matches!(book.apply(&event), BookUpdate::Applied { .. } | BookUpdate::Synced) {
            let twice = book.best_bid().unwrap().px + book.best_ask().unwrap().px;
            mids[i].push((event.seq, event.ts_recv, twice));
        }
    }
    let lines = lines(&session.log("log"));
    let horizon = 5_000_000_000;
    let mut expected: Vec<(u64, u8, i64)> = Vec::new();
    for decided in decisions(&lines) {
        let mids = &mids[usize::from(decided.symbol == "ETHUSDT")];
        let before = mids.iter().rev().find(|(seq, ..)| *seq <= decided.seq);
        // Before the first book there is nothing to hold a price against.
        let Some((_, _, before)) = before else { continue };
        let due = decided.ts_event_ns + horizon;
        let Some((_, at, after)) = mids.iter().find(|(_, at, _)| *at >= due) else { break };
        let bps = 1e4 * (*after as f64 / *before as f64 - 1.0);
        let class = if bps < -0.7 { 0 } else { 1 + u8::from(bps > 0.7) };
        expected.push((decided.seq, class, *at));
    }
    assert!(expected.len() > 200, "{} outcomes are too few to compare", expected.len());
    assert!((0..3).all(|class| expected.iter().any(|one| one.1 == class)), "a class is missing");
    let told: Vec<(u64, u8, i64)> = outcomes(&lines)
        .iter()
        .map(|came| (came.seq, came.outcome.class, came.outcome.t1_ns))
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn a_run_that_was_killed_leaves_the_log_of_one_that_was_not() {
    let session = Session::new(20_000);
    let whole = session.run_copy("whole", WHOLE);
    assert!(whole.log().written() > 100);
    let small = LogBounds { part: 50_000, all: 1 << 30 };
    let path = session.log("killed");
    for turns in [5, 15, 25] {
        let copy = [(session.copy(), Nanos::ZERO)];
        let mut follower = session.follower(("killed", small), &copy, &shipped()).unwrap();
        for _ in 0..turns {
            follower.turn(1_000).unwrap();
        }
        drop(follower);
        // It died while it wrote.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(b"{\"record\":\"decision\",\"sch");
        std::fs::write(&path, bytes).unwrap();
    }
    let last = session.run_copy("killed", small);
    assert_eq!(last.log().cut(), 25);
    assert!(log_parts(&path).unwrap().len() > 2, "the log is in parts");
    let wanted = timeless(lines(&session.log("whole")));
    assert!(timeless(lines(&path)) == wanted, "the lines differ");
    drop(last);
    let again = session.run_copy("killed", small);
    assert_eq!((again.log().written(), again.log().cut()), (0, 0));
}

#[test]
fn the_oldest_parts_go_when_all_take_too_much() {
    let session = Session::new(20_000);
    let bounds = LogBounds { part: 40_000, all: 160_000 };
    let follower = session.run_copy("log", bounds);
    assert!(follower.log().removed() > 0, "nothing had to go");
    let parts = log_parts(&session.log("log")).unwrap();
    let sizes = parts.iter().map(|part| std::fs::metadata(part).unwrap().len());
    assert!(sizes.sum::<u64>() <= 160_000);
    let wanted = timeless(lines(&{
        drop(session.run_copy("whole", WHOLE));
        session.log("whole")
    }));
    let kept = timeless(lines(&session.log("log")));
    assert!(wanted.ends_with(&kept), "what is left is not the newest");
}

#[test]
fn the_report_reads_what_the_command_wrote_and_others_are_refused_by_name() {
    let session = Session::new(20_000);
    let (journal, log) = (session.journal(), session.log("log"));
    let models = root().join("models_saved");
    let run = |challenger: &str, more: &[&str]| {
        let over = ["shadow", "run", "--journal", text(&journal), "--models", text(&models)];
        let named = ["--challenger", challenger, "--log", text(&log), "--part-mib", "1", "--json"];
        peregrine(&[&over[..], &named[..], more].concat())
    };
    // The session was before the version was registered.
    let output = run("synthetic-1", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(last_json(&output)["lines"], 0);
    let output = run("synthetic-1", &["--whole"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let ran = last_json(&output);
    assert_eq!(ran["progress"]["engine"]["mismatches"], 0);
    let output = peregrine(&["shadow", "report", "--log", text(&log), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = last_json(&output);
    assert_eq!(report["malformed"].as_array().unwrap().len(), 0, "{report}");
    assert_eq!(report["lines"], ran["lines"]);
    assert_eq!(report["decisions"], ran["progress"]["engine"]["decisions"]);
    assert_eq!(report["outcomes"], ran["progress"]["engine"]["outcomes"]);
    assert_eq!(report["trials"][0]["observed"]["differing"], 0);
    let output = run("nobody-1", &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody-1"), "{output:?}");
}

#[test]
fn what_retention_took_before_it_was_read_is_counted_and_ends_the_run_by_number() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let (instruments, arrivals) = synthetic(7, 40_000, &[]);
    let short = [("journal", "input_segment_mib", "1"), ("journal", "keep_segments", "2")];
    let mut rig = Rig::fused(&parts(instruments, &[&EAGER[..], &short[..]].concat()), &journal);
    let (first, rest) = arrivals.split_at(2_000);
    rig.run(first);
    let champion = session_parts(&journal).unwrap();
    let challengers = [(champion.files.clone(), Nanos::ZERO)];
    let path = dir.path().join("shadow_eval.jsonl");
    let mut follower =
        follow(&journal, &champion, &challengers, &shipped(), (&path, WHOLE)).unwrap();
    read_on(&mut follower).unwrap();
    let read = follower.progress().read;
    rig.run(rest);
    rig.finish();
    let error = loop {
        match follower.turn(4_096) {
            Ok(turn) => assert_eq!(turn, Turn::Read, "the hole is overlooked"),
            Err(error) => break format!("{error:#}"),
        }
    };
    let progress = follower.progress();
    assert!(read > 1_000 && progress.read >= read);
    let (from, to) = (progress.read + 1, progress.read + progress.dropped);
    assert_eq!(error, format!("inputs {from} to {to} were removed before they were read"));
    // What is left begins behind them, and no line was told of it.
    let left = lane(&journal, 0);
    assert_eq!(left.first().unwrap().seq, to + 1);
    assert!(decisions(&lines(&path)).iter().all(|decided| decided.seq < from));
    assert_eq!(progress.engine.mismatches, 0);
}

#[test]
fn one_at_a_time_writes_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shadow_eval.jsonl");
    let first = EvalLog::open(&path, WHOLE).unwrap();
    let error = EvalLog::open(&path, WHOLE).err().unwrap();
    assert!(format!("{error:#}").contains("written by another"), "{error:#}");
    drop(first);
    drop(EvalLog::open(&path, WHOLE).unwrap());
}
