//! What must not be traded on is refused with its own numbered reason, and trading goes on.

use crate::pipeline_support::{
    Arrival, EAGER, Rig, What, assert_replays, lane, parts, synthetic, thirds_of,
};
use peregrine::base::counters::Counter;
use peregrine::base::event::{Kind, Malformed, NoDecision};
use peregrine::base::{Nanos, Reason};
use peregrine::features::schema_hash;
use peregrine::runtime::assemble::Budget;

fn frame(ts: Nanos, text: &str) -> Arrival {
    Arrival { ts, what: What::Frame(text.as_bytes().to_vec()) }
}

#[test]
fn bad_frames_are_recorded_with_their_reason_and_disturb_nothing_behind_them() {
    let (instruments, arrivals) = synthetic(9, 20_000, &[]);
    let ticker = |symbol: &str, bid: &str| {
        format!(
            "{{\"stream\":\"x@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":1,\"s\":\
             \"{symbol}\",\"b\":\"{bid}\",\"B\":\"1\",\"a\":\"2\",\"A\":\"1\",\"T\":1,\"E\":1}}}}"
        )
    };
    let cases = [
        ("not JSON at all".to_owned(), Reason::FrameNotJson),
        (ticker("DOGEUSDT", "1"), Reason::UnknownInstrument),
        (ticker("BTCUSDT", "1,5"), Reason::FrameNumber),
        (ticker("BTCUSDT", "99999999999999999999"), Reason::FrameRange),
        (ticker("BTCUSDT", "1").replace("\"A\":\"1\",", ""), Reason::FrameKeyMissing),
        (ticker("BTCUSDT", "1").replace("\"u\":1,", "\"u\":1,\"u\":2,"), Reason::FrameKeyTwice),
        ("x".repeat(2 << 20), Reason::FrameTooLong),
    ];
    let mut mixed = Vec::new();
    for (i, arrival) in arrivals.iter().enumerate() {
        mixed.push(arrival.clone());
        if i % 100 == 0 {
            let (text, _) = &cases[i / 100 % cases.len()];
            mixed.push(frame(arrival.ts, text));
        }
    }
    let parts = parts(instruments, &EAGER);
    let folder = tempfile::tempdir().unwrap();
    let [clean, dirty] = ["clean", "dirty"].map(|name| folder.path().join(name));
    for (dir, arrivals) in [(&clean, &arrivals), (&dirty, &mixed)] {
        let mut rig = Rig::fused(&parts, dir);
        rig.run(arrivals);
        assert!(rig.count(Counter::Orders) > 0);
        rig.finish();
    }
    let inputs = lane(&dirty, 0);
    let bad = inputs.iter().filter(|event| event.kind() == Some(Kind::Malformed));
    let reasons: Vec<u16> = bad.map(|event| event.body::<Malformed>().reason).collect();
    let wanted = (0..arrivals.len()).step_by(100).map(|i| cases[i / 100 % cases.len()].1 as u16);
    assert_eq!(reasons, wanted.collect::<Vec<_>>());
    // The decisions are those of the same market without them; only sequence numbers moved.
    let bodies = |dir, number| -> Vec<_> {
        let kinds = [Kind::Prediction, Kind::OrderApproved, Kind::OrderIntent];
        let shown =
            lane(dir, number).into_iter().filter(|e| kinds.iter().any(|k| e.kind() == Some(*k)));
        shown.map(|e| (e.kind, e.instrument, e.ts_recv)).collect()
    };
    for number in 1..4 {
        assert!(bodies(&clean, number) == bodies(&dirty, number), "lane {number}");
    }
    assert_replays(&dirty);
}

#[test]
fn an_answer_that_is_no_number_is_no_decision_and_no_order() {
    let (instruments, arrivals) = synthetic(9, 20_000, &[]);
    let mut parts = parts(instruments, &EAGER);
    parts.files = thirds_of("rsi_14", 1e38, schema_hash());
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let mut rig = Rig::fused(&parts, &dir);
    rig.run(&arrivals);
    assert_eq!(rig.count(Counter::Orders), 0);
    assert!(rig.count(Counter::NoDecisions) > 0);
    rig.finish();
    let answers = lane(&dir, 1);
    let refused = answers.iter().filter(|event| event.kind() == Some(Kind::NoDecision));
    let reasons: Vec<u16> = refused.map(|event| event.body::<NoDecision>().reason).collect();
    assert!(reasons.contains(&(Reason::ModelOutput as u16)), "{reasons:?}");
    for event in answers.iter().filter(|event| event.kind() == Some(Kind::Prediction)) {
        let body: &peregrine::base::event::Prediction = event.body();
        assert!(body.probability.iter().all(|p| p.is_finite()), "{:?}", body.probability);
    }
    assert_replays(&dir);
}

#[test]
fn a_model_of_another_schema_or_of_unknown_features_is_refused_before_any_event() {
    let (instruments, _) = synthetic(9, 1, &[]);
    let mut parts = parts(instruments, &[]);
    let refusal = |parts: &peregrine::runtime::assemble::Parts| match parts.load_model(Budget::None)
    {
        Ok(_) => panic!("the model was accepted"),
        Err(error) => format!("{error:#}"),
    };
    parts.files = thirds_of("rsi_14", 1.0, schema_hash() ^ 1);
    let error = refusal(&parts);
    assert!(error.contains("schema_hash") && error.contains("thirds"), "{error}");
    parts.files = thirds_of("rsi_15", 1.0, schema_hash());
    let error = refusal(&parts);
    assert!(error.contains("rsi_15") && error.contains("thirds"), "{error}");
}
