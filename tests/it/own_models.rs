//! Symbols with a model of their own beside the champion that the others share: each decides its
//! own and nothing else, from the opening to the end, and everybody who reads the record knows.

use crate::model_swaps::{Models, change, session as run_session, tags, tamper};
use crate::pipeline_support::{
    Arrival, EAGER, Rig, assert_replays, config_text, lane, leaning, parts as pooled_parts,
    peregrine, rules, synthetic, text,
};
use crate::pipeline_swaps::{recurrent, swap_to};
use crate::session_support::{credentials, order, urls};
use crate::shadow_support::{Session as Shadowed, WHOLE, decisions};
use peregrine::base::InstrumentId;
use peregrine::base::event::{Event, Kind, ModelSwap, Prediction};
use peregrine::base::split::Split;
use peregrine::engine::{OWN_PLACES, SlotSeen};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::model::ArtifactFiles;
use peregrine::registry::verdict::Contender;
use peregrine::runtime::assemble::{Budget, Parts};
use peregrine::runtime::own::{self, OwnModels};
use peregrine::runtime::revert::Judge;
use peregrine::runtime::revert::judge::Champion;
use peregrine::runtime::session::SessionOrder;
use peregrine::runtime::swap::ask_swap;
use peregrine::runtime::{config, replay, session};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);
/// Half of short blocks, to see many changes of turn.
const SPLIT: Split = Split { seed: 3, share_bps: 5_000, block_ms: 500 };

/// Predictions on an instrument, by the place of their cause among the market's records: row,
/// model, probabilities.
type Told = BTreeMap<u64, (u64, u64, [u32; 3])>;

/// The parts with a model of an instrument's own for each of these.
pub fn with_models(mut parts: Parts, of: &[(InstrumentId, &ArtifactFiles)]) -> Parts {
    let symbols = parts.symbols();
    let own = of.iter().map(|(id, files)| (symbols[id.index()], Arc::new((*files).clone())));
    let own: Vec<_> = own.collect();
    parts.own = OwnModels::load(&own, &symbols, &parts.terms(), Budget::None).unwrap();
    parts
}

/// The parts with this model of the second symbol's own.
fn with_own(parts: Parts, files: &ArtifactFiles) -> Parts {
    with_models(parts, &[(ETH, files)])
}

fn run(
    parts: &Parts,
    dir: &Path,
    arrivals: &[Arrival],
    act: impl FnMut(&mut Rig, usize),
) -> [Told; 2] {
    let mut rig = Rig::fused(parts, dir);
    rig.drive(arrivals, act);
    rig.finish();
    assert_replays(dir);
    let (inputs, answers) = (lane(dir, 0), lane(dir, 1));
    let market = inputs.iter().filter(|event| event.kind < 32);
    let place: BTreeMap<u64, u64> = market.map(|event| event.seq).zip(0..).collect();
    [BTC, ETH].map(|instrument| {
        let of = answers.iter().filter(|event| event.kind() == Some(Kind::Prediction));
        let of = of.filter(|event| event.instrument() == instrument);
        let row = |event: &Event| {
            let body: &Prediction = event.body();
            let bits = body.probability.map(f32::to_bits);
            (place[&event.seq], (body.features_hash, body.model_tag, bits))
        };
        of.map(row).collect()
    })
}

#[test]
fn an_own_model_decides_its_symbol_as_if_alone_and_changes_nothing_on_the_others() {
    let (instruments, arrivals) = synthetic(11, 14_000, &[]);
    let often = [&EAGER[..], &[("policy", "decision_interval_ms", "50")]].concat();
    let parts = || pooled_parts(instruments.clone(), &often);
    // A model with a state: that it is the instrument's alone shows in every answer.
    let (gru, other) = (recurrent(), leaning("other", "imbalance_1", 1.0));
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let still = |_: &mut Rig, _: usize| {};
    let [pooled, _] = run(&parts(), &at("pooled"), &arrivals, still);
    let alone = Parts { files: gru.clone(), ..parts() };
    let [_, alone] = run(&alone, &at("alone"), &arrivals, still);
    let own = with_own(parts(), &gru);
    let [first, second] = run(&own, &at("own"), &arrivals, still);
    assert!(first.len() > 50 && first == pooled, "{} of {}", first.len(), pooled.len());
    assert!(second.len() > 50 && second == alone, "{} of {}", second.len(), alone.len());
    assert!(second.values().all(|(_, tag, _)| *tag == gru.tag()));
    // The opening says which model has which symbol, before anything of a market.
    let inputs = lane(&at("own"), 0);
    let swap = inputs.iter().find(|event| event.kind() == Some(Kind::ModelSwap)).unwrap();
    assert_eq!((swap.instrument(), swap.seq), (ETH, 5), "behind session, two symbols and champion");
    let body: &ModelSwap = swap.body();
    assert_eq!((body.role, usize::from(body.slot)), (3, OWN_PLACES.start));
    assert_eq!((body.sha256, body.card), (gru.sha256, gru.card_tag()));
    assert_replay_needs(&at("own"), &gru);
    // A trial, another champion, and the way back.
    let act = |rig: &mut Rig, taken: usize| match taken {
        1_000 => rig.bring(&own, &other, 1),
        3_000 => rig.swap(&swap_to(&other, 1, Some(SPLIT))),
        7_000 => rig.swap(&swap_to(&other, 1, None)),
        11_000 => rig.swap(&swap_to(&own.files, 0, None)),
        _ => {}
    };
    let [first, second] = run(&own, &at("changes"), &arrivals, act);
    assert!(second == alone, "a trial and other champions are nothing to it");
    let by_other = first.values().filter(|(_, tag, _)| *tag == other.tag()).count();
    assert!(by_other > 20 && by_other < first.len() - 20, "{by_other} of {}", first.len());
}

/// A replay of the journal is refused by name where that model's file is changed or missing.
fn assert_replay_needs(journal: &Path, model: &ArtifactFiles) {
    let name = format!("model-{:016x}-{:016x}.onnx", model.tag(), model.card_tag());
    let told = |what: &str| {
        let report = replay::verify(journal).map_err(|error| format!("{error:#}"));
        let told = match report {
            Ok(report) if report.differences > 0 => report.first.unwrap(),
            Ok(report) => panic!("{what}: {report:?}"),
            Err(error) => error,
        };
        assert!(told.contains(&name), "{what}: {told}");
    };
    tamper(&journal.join(&name));
    told("changed");
    std::fs::remove_file(journal.join(&name)).unwrap();
    told("missing");
}

#[test]
#[should_panic(expected = "ModelAbsent { slot: 4 }")]
fn an_own_model_that_is_not_the_one_of_its_record_stops_the_session() {
    let (instruments, arrivals) = synthetic(3, 600, &[]);
    let parts = with_own(pooled_parts(instruments, &EAGER), &leaning("other", "imbalance_1", 1.0));
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::fused(&parts, &dir.path().join("journal"));
    rig.run(&arrivals);
    // The record of another model, of the same instrument and place.
    let files = leaning("third", "imbalance_5", 1.0);
    let other = with_own(pooled_parts(parts.instruments.clone(), &EAGER), &files);
    other.own.opening().for_each(|event| rig.event(event));
}

#[test]
fn what_an_own_model_does_is_nothing_of_a_champion_of_the_same_files() {
    let (instruments, arrivals) = synthetic(7, 12_000, &[]);
    let state = tempfile::tempdir().unwrap();
    let quoted = format!("\"{}\"", text(state.path()));
    let more = [("session", "state_dir", quoted.as_str()), ("rollback", "rows", "true")];
    let parts = pooled_parts(instruments, &[&EAGER[..], &more].concat());
    let files = parts.files.clone();
    let parts = with_own(parts, &files);
    let journal = state.path().join("journal/0000001-paper");
    let [first, second] = run(&parts, &journal, &arrivals, |_, _| {});
    assert!(second.len() > 50 && second.values().all(|(_, tag, _)| *tag == files.tag()));
    let (sha256, card_sha256) = ("11".repeat(32), "22".repeat(32));
    let who = Contender { version: "the same".to_owned(), sha256, card_sha256 };
    let champion = Champion { who, tag: files.tag() };
    let mut judge = Judge::new(rules(), &parts, &journal, champion).unwrap();
    judge.look(SlotSeen::default());
    assert_eq!(judge.rows_compared(), first.len() as u64, "of {} more", second.len());
}

#[test]
fn challengers_are_compared_on_the_symbols_that_the_champion_decides_alone() {
    let own = leaning("own", "imbalance_1", 1.0);
    let session = Shadowed::of(12_000, |parts| with_own(parts, &own), |_, _, _| {});
    let follower = session.run_copy("log", WHOLE);
    let lines = session.lines("log");
    let lines = decisions(&lines);
    assert!(lines.len() > 50 && lines.iter().all(|line| line.symbol == "BTCUSDT"));
    let recorded = lane(&session.journal(), 1);
    let recorded = recorded.iter().filter(|event| event.kind() == Some(Kind::Prediction));
    let (btc, eth): (Vec<&Event>, Vec<&Event>) =
        recorded.partition(|event| event.instrument() == BTC);
    assert!(eth.len() > 50, "the session itself decided there");
    let progress = follower.progress().engine;
    assert_eq!((progress.compared, progress.mismatches), (btc.len() as u64, 0));
    let traded = |told: &peregrine::promotion::record::Told| told.virtual_fill.is_some();
    assert!(lines.iter().any(|line| traded(&line.champion)), "its paper account trades");
}

#[test]
fn a_session_with_an_own_model_changes_its_champion_ends_in_order_and_replays() {
    let own = leaning("own", "imbalance_1", 1.0);
    let third = leaning("third", "imbalance_5", 1.0);
    let models = Models::new(&[&own, &third]);
    let changes =
        [("model", "own", "{ ETHUSDT = \"own\" }"), ("journal", "input_segment_mib", "4")];
    let (_exchange, session) = run_session(&models, &changes);
    let of = |lane: &[Event], instrument| -> Vec<u64> {
        let of = lane.iter().filter(|event| event.instrument() == instrument);
        tags(&of.copied().collect::<Vec<Event>>())
    };
    session.until("both decide", 1, |lane| !of(lane, BTC).is_empty() && !of(lane, ETH).is_empty());
    let done = ask_swap(session.state(), "third", "to see").unwrap();
    assert_eq!(done["own"][0]["symbols"], serde_json::json!(["ETHUSDT"]), "{done}");
    assert!(done["own"][0]["predictions"].as_u64().unwrap() > 0, "{done}");
    session.until("the new champion decides", 1, |lane| of(lane, BTC).last() == Some(&third.tag()));
    // Its own version as champion: the place of the symbol's own stays what it is.
    let done = ask_swap(session.state(), "own", "to see").unwrap();
    assert_eq!((&done["champion"]["version"], &done["swaps"]), (&"own".into(), &2.into()));
    session.until("it decides", 1, |lane| of(lane, BTC).last() == Some(&own.tag()));
    let journal = session.journal();
    let all = of(&lane(&journal, 1), ETH);
    assert!(all.iter().all(|tag| *tag == own.tag()), "of {}", all.len());
    let name = format!("model-{:016x}-{:016x}", own.tag(), own.card_tag());
    let found = |end: &str| std::fs::metadata(journal.join(format!("{name}.{end}"))).is_ok();
    assert!(found("onnx") && found("toml"), "{name}");
    let (outcome, _state) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));
    assert_replays(&journal);
}

#[test]
fn what_model_own_cannot_have_is_named_with_symbol_and_version_before_anything_begins() {
    let own = leaning("own", "imbalance_1", 1.0);
    let models = Models::new(&[&own]);
    let state = tempfile::tempdir().unwrap();
    let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
    let dir = format!("\"{}\"", text(models.dir.path()));
    let with = |own: &str| {
        let changes = [("model", "dir", dir.as_str()), ("model", "own", own)];
        order(state.path(), &urls(&exchange), credentials(&exchange), &changes)
    };
    let unlisted = config_text(&[("model", "own", "{ DOGEUSDT = \"own\" }")]);
    let error = config::from_text("test", &unlisted).unwrap_err().to_string();
    assert!(error.contains("model.own: DOGEUSDT = \"own\""), "{error}");
    let unknown = "{ ETHUSDT = \"nobody\" }";
    let error = format!("{:#}", session::run(with(unknown)).err().unwrap());
    assert!(error.contains("model.own: ETHUSDT = \"nobody\""), "{error}");
    // What a command tells of a file, and what a start would end with.
    let told = |order: &SessionOrder| {
        let file = state.path().join("trader.toml");
        std::fs::write(&file, &order.loaded.text).unwrap();
        let output = peregrine(&["check", "--config", text(&file)]);
        let output = String::from_utf8(output.stdout).unwrap();
        let line = output.lines().find(|line| line.contains(" own models: "));
        line.unwrap_or_else(|| panic!("{output}")).to_owned()
    };
    let fine = with("{ ETHUSDT = \"own\" }");
    assert_eq!(told(&fine), "ok    own models: ETHUSDT own");
    let line = told(&with(unknown));
    assert!(line.starts_with("fail  own models: model.own: ETHUSDT = \"nobody\""), "{line}");
    let start = || own::files(&fine.loaded.settings).err().map(|error| format!("{error:#}"));
    let file = models.file("own", "model.onnx");
    tamper(&file);
    let line = told(&fine);
    assert!(line.starts_with("fail  own models: model.own: ETHUSDT = \"own\""), "{line}");
    assert!(start().unwrap().starts_with("model.own: ETHUSDT = \"own\": "), "{:?}", start());
    tamper(&file);
    assert_eq!(start(), None);
    models.registry().quarantine("own", change()).unwrap();
    let error = start().unwrap();
    assert!(
        error.contains("model.own: ETHUSDT = \"own\"") && error.contains("quarantine"),
        "{error}"
    );
}
