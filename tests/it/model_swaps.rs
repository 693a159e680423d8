//! A running session trades on other models: when it is asked to, when the registry's champion
//! moves, and back by itself when one fails; each time told in the journal, and replayed from it.

use crate::lanes::read;
use crate::pipeline_support::{
    EAGER, assert_replays, last_json, leaning, peregrine, root, softmax_of, text,
};
use crate::process::{look, wait};
use crate::session_support::{Session, credentials, loaded, order, urls};
use peregrine::base::event::{COMMAND_MODEL, Command, Event, Kind, ModelSwap, Prediction, Trade};
use peregrine::base::split::Split;
use peregrine::base::{InstrumentId, Nanos, Reason};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::features::schema_hash;
use peregrine::model::{ArtifactFiles, Card};
use peregrine::registry::{Change, Registry, Stage};
use peregrine::runtime::admin::{self, Request};
use peregrine::runtime::swap::ask_swap;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A registry with the shipped champion and more versions.
pub struct Models {
    pub dir: TempDir,
    made: TempDir,
}

impl Models {
    pub fn new(versions: &[&ArtifactFiles]) -> Self {
        let (dir, made) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        copy(&root().join("models_saved"), dir.path());
        let models = Self { dir, made };
        versions.iter().for_each(|files| models.register(files));
        models
    }

    pub fn registry(&self) -> Registry {
        Registry::open(self.dir.path()).unwrap()
    }

    pub fn register(&self, files: &ArtifactFiles) {
        let folder = self.made.path().join(&files.card.version);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("model.onnx"), &files.onnx).unwrap();
        std::fs::write(folder.join("card.toml"), &files.card_text).unwrap();
        self.registry().register(&folder, None, change()).unwrap();
    }

    pub fn promote(&self, version: &str) {
        for stage in [Stage::Shadow, Stage::Canary, Stage::Champion] {
            self.advance(version, stage);
        }
    }

    pub fn advance(&self, version: &str, to: Stage) {
        self.registry().advance(version, to, change()).unwrap();
    }

    pub fn file(&self, version: &str, name: &str) -> PathBuf {
        self.dir.path().join(version).join(name)
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

pub fn change() -> Change {
    let (by, reason) = ("a test".to_owned(), "to swap".to_owned());
    Change { at_ms: 1, by, reason, evidence_sha256: Some("00".repeat(32)) }
}

/// Changes the last byte of a file, and the second time back.
pub fn tamper(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// A session that decides often on these models, with these changes to its configuration.
pub fn session(models: &Models, more: &[(&str, &str, &str)]) -> (ExchangeServer, Session) {
    let (exchange, session) = start(models, more);
    session.until("the first model decides", 1, |lane| !tags(lane).is_empty());
    (exchange, session)
}

/// The same, whether or not it ever decides.
pub fn start(models: &Models, more: &[(&str, &str, &str)]) -> (ExchangeServer, Session) {
    let dir = format!("\"{}\"", text(models.dir.path()));
    let usual = [("model", "dir", dir.as_str()), ("policy", "decision_interval_ms", "20")];
    let changes = [&usual[..], &EAGER[..], more].concat();
    Session::at_exchange(ServerSettings::default(), &changes)
}

pub fn tags(lane_1: &[Event]) -> Vec<u64> {
    let told = lane_1.iter().filter(|event| event.kind() == Some(Kind::Prediction));
    told.map(|event| event.body::<Prediction>().model_tag).collect()
}

pub fn swaps(session: &Session) -> Vec<(u64, ModelSwap)> {
    let lane = read(&session.journal(), 0);
    let swaps = lane.iter().filter(|event| event.kind() == Some(Kind::ModelSwap));
    swaps.map(|event| (event.seq, *event.body())).collect()
}

/// Ends the session in order, and replays it.
pub fn end_and_replay(session: Session) {
    let journal = session.journal();
    let (outcome, _state) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));
    assert_replays(&journal);
}

/// Waits until the river holds a change of this role and reason; its place.
#[track_caller]
pub fn told(session: &Session, role: u8, reason: Reason) -> u64 {
    look("the change in the river", || {
        let swaps = swaps(session);
        let found =
            swaps.iter().find(|(_, swap)| swap.role == role && swap.reason == reason as u16);
        found.map(|(seq, _)| *seq).ok_or_else(|| format!("{swaps:?}"))
    })
}

#[test]
fn a_session_trades_on_what_it_is_asked_to_and_goes_back_a_thousand_times() {
    let other = leaning("other", "imbalance_1", 1.0);
    let models = Models::new(&[&other]);
    let first = models.registry().champion().unwrap();
    let (_exchange, session) = session(&models, &[]);
    let done = ask_swap(session.state(), "other", "it is better").unwrap();
    assert_eq!(done["champion"]["version"], "other");
    assert_eq!(done["previous"]["version"], first.card.version.as_str());
    session.until("it decides", 1, |lane| tags(lane).last() == Some(&other.tag()));
    // Once halted too: which model decides is no matter of the trading state.
    let pause = Request { verb: "pause".into(), mode: None, reason: Some("a look".into()) };
    for round in 0..999 {
        let done = ask_swap(session.state(), "previous", "back").unwrap();
        assert_eq!(done["swaps"], round + 2);
        if round == 490 {
            let filled = |event: &Event| event.kind() == Some(Kind::OrderFilled);
            session.wait(|lane| lane.iter().skip_while(|e| !is_swap(e)).any(filled));
        }
        if round == 500 {
            assert_eq!(admin::ask(session.state(), &pause).unwrap()["ok"], true);
        }
    }
    let last = swaps(&session).last().unwrap().0;
    session.until("a decision behind the last", 1, |lane| {
        lane.last().is_some_and(|event| event.seq > last)
    });
    let journal = session.journal();
    let (outcome, _state) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));
    let lane_0 = read(&journal, 0);
    assert!((1..).zip(&lane_0).all(|(seq, event)| event.seq == seq), "numbered without a hole");
    assert_eq!(lane_0.iter().filter(|e| e.kind() == Some(Kind::ModelSwap)).count(), 1_000);
    assert_whole_and_trading(&lane_0);
    let asked = |event: &&Event| event.body::<Command>().verb == COMMAND_MODEL;
    let commands = lane_0.iter().filter(|event| event.kind() == Some(Kind::Command));
    let commands: Vec<_> = commands.filter(asked).map(|e| *e.body::<Command>()).collect();
    assert_eq!(commands.len(), 1_000);
    assert_eq!(&commands[0].reason[..13], b"it is better\0");
    // Each prediction is that of the model whose turn it was, told by the river alone.
    let mut turn = first.tag();
    let mut changes = lane_0.iter().filter(|e| e.kind() == Some(Kind::ModelSwap)).peekable();
    for event in read(&journal, 1).iter().filter(|e| e.kind() == Some(Kind::Prediction)) {
        while let Some(swap) = changes.next_if(|swap| swap.seq < event.seq) {
            let hash = swap.body::<ModelSwap>().sha256;
            turn = peregrine::model::artifact::tag_of(&hash);
        }
        assert_eq!(event.body::<Prediction>().model_tag, turn, "at {}", event.seq);
    }
    assert_replays(&journal);
}

fn is_swap(event: &Event) -> bool {
    event.kind() == Some(Kind::ModelSwap)
}

/// From the first change of the model to the last: what the venue itself numbered came without a
/// hole and in order, no stream broke, and orders were filled.
fn assert_whole_and_trading(lane_0: &[Event]) {
    let first = lane_0.iter().find(|event| is_swap(event)).unwrap().seq;
    let last = lane_0.iter().rfind(|event| is_swap(event)).unwrap().seq;
    let (mut newest, mut trades, mut fills) = (BTreeMap::new(), 0, 0);
    for event in lane_0.iter().filter(|event| (first..last).contains(&event.seq)) {
        match event.kind() {
            Some(Kind::AggTrade) => {
                let id = event.body::<Trade>().trade_id;
                let before = newest.insert(event.instrument, id);
                assert!(before.is_none_or(|before| before + 1 == id), "{before:?}, then {id}");
                trades += 1;
            }
            Some(Kind::Gap) => panic!("a stream has a hole at {}", event.seq),
            Some(Kind::OrderFilled) => fills += 1,
            _ => {}
        }
    }
    assert!(newest.len() == 2 && trades > 100 && fills > 0, "{trades} trades, {fills} fills");
}

#[test]
fn the_registrys_new_champion_decides_by_itself_and_a_restart_begins_with_it() {
    let other = leaning("other", "imbalance_1", 1.0);
    let models = Models::new(&[&other]);
    let first = models.registry().champion().unwrap();
    let dir = format!("\"{}\"", text(models.dir.path()));
    let (exchange, session) = session(&models, &[]);
    models.promote("other");
    told(&session, 1, Reason::ChampionMoved);
    session.until("it decides", 1, |lane| tags(lane).last() == Some(&other.tag()));
    ask_swap(session.state(), &first.card.version, "for now").unwrap();
    let journal = session.journal();
    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    assert_replays(&journal);
    let changes = [&[("model", "dir", dir.as_str())][..], &EAGER[..]].concat();
    let again = order(state.path(), &urls(&exchange), credentials(&exchange), &changes);
    let again = Session::run(state, again);
    let second = again.state().join("journal/0000002-paper");
    assert_eq!(loaded(&second).sha256, other.sha256, "the registry's champion");
    assert_eq!(again.end().0.halt, None);
}

#[test]
fn fault_m03_what_cannot_be_trusted_is_refused_by_name_and_the_old_one_goes_on() {
    let other = leaning("other", "imbalance_1", 1.0);
    let strange = softmax_of("imbalance_1", [0.0, 0.0, 1.0], 77);
    let slow = Card { bar_interval_ms: Some(60_000), version: "slow".into(), ..on_bars().card };
    let slow = ArtifactFiles::from_bytes(on_bars().onnx, slow.to_toml().unwrap()).unwrap();
    let models = Models::new(&[&other, &strange, &slow]);
    let first = models.registry().champion().unwrap();
    let (_exchange, session) = session(&models, &[]);
    // Between its registration and its load somebody writes to it.
    let path = models.file("other", "model.onnx");
    let sound = std::fs::read(&path).unwrap();
    tamper(&path);
    let refusal =
        |version: &str| format!("{:#}", ask_swap(session.state(), version, "trial").unwrap_err());
    let tampered = refusal("other");
    assert!(tampered.contains("other/model.onnx") && tampered.contains("SHA-256"), "{tampered}");
    told(&session, 0, Reason::ModelHashMismatch);
    assert!(refusal("nobody").contains("nobody"));
    told(&session, 0, Reason::ModelMissing);
    assert!(refusal("thirds").contains("schema"));
    told(&session, 0, Reason::SchemaMismatch);
    let bars = refusal("slow");
    assert!(bars.contains("bar_interval_ms 60000"), "{bars}");
    told(&session, 0, Reason::ModelRefused);
    assert!(refusal("previous").contains("no model before"));
    let last = swaps(&session).last().unwrap().0;
    let lane = session.until("the old one decides on", 1, |lane| {
        lane.last().is_some_and(|event| event.seq > last && event.kind() == Some(Kind::Prediction))
    });
    assert!(tags(&lane).iter().all(|tag| *tag == first.tag()));
    std::fs::write(&path, &sound).unwrap();
    ask_swap(session.state(), "other", "mended").unwrap();
    end_and_replay(session);
}

/// A model that rests on bars.
fn on_bars() -> ArtifactFiles {
    softmax_of("return_1", [0.0, 0.0, 1.0], schema_hash())
}

#[test]
fn fault_m08_a_new_model_that_errs_three_times_in_a_row_goes_and_the_one_before_decides() {
    let broken = overflowing("broken");
    let models = Models::new(&[&broken]);
    let first = models.registry().champion().unwrap();
    let (_exchange, session) = session(&models, &[]);
    ask_swap(session.state(), "broken", "looked good").unwrap();
    let back = told(&session, 1, Reason::ModelErrors);
    let lane = session.until("the one before decides", 1, |lane| {
        lane.last().is_some_and(|event| event.seq > back && event.kind() == Some(Kind::Prediction))
    });
    assert!(tags(&lane).iter().all(|tag| *tag == first.tag()));
    // What failed is nothing to go back to by a wish for the one before.
    assert!(ask_swap(session.state(), "previous", "again").is_err());
    end_and_replay(session);
}

/// A model whose answers overflow on every row that a market makes.
pub fn overflowing(version: &str) -> ArtifactFiles {
    let files = softmax_of("rsi_14", [1e38, -1e38, 1e38], schema_hash());
    let card = Card { version: version.to_owned(), ..files.card };
    ArtifactFiles::from_bytes(files.onnx, card.to_toml().unwrap()).unwrap()
}

#[test]
fn a_trial_is_begun_told_and_ended_from_the_command_line_and_a_failing_canary_ends_it() {
    let (other, broken) = (leaning("other", "imbalance_1", 1.0), overflowing("broken"));
    let models = Models::new(&[&other, &broken]);
    let first = models.registry().champion().unwrap();
    // A loaded machine answers late now and then; here the trial must not end by that.
    let patient = [("canary", "p99_us_max", "1000000"), ("canary", "loss_bps_max", "10000")];
    let (_exchange, session) = session(&models, &patient);
    let run = |arguments: &[&str]| {
        let at = ["--state", text(session.state()), "--json"];
        peregrine(&[&["ab"], arguments, &at[..]].concat())
    };
    let split = Split { seed: a_seed_whose_turn_it_is(), share_bps: 2_000, block_ms: 10_000 };
    let seed = split.seed.to_string();
    let share = ["--share-bps", "2000", "--block-ms", "10000", "--seed", &seed];
    let begun =
        run(&[&["start", "--model", "other", "--reason", "seen in shadow"], &share[..]].concat());
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    assert_eq!(last_json(&begun)["canary"]["version"], "other");
    let begins = told(&session, 2, Reason::Operator);
    session.until("both decide", 1, |lane| tags(lane).contains(&other.tag()));
    let second = run(&["start", "--model", "broken", "--reason", "too"]);
    assert!(!second.status.success(), "one trial at a time");
    assert_eq!(last_json(&run(&["status"]))["canary"]["seed"], split.seed);
    assert_eq!(last_json(&run(&["stop", "--reason", "enough"]))["canary"], serde_json::Value::Null);
    let ends = swaps(&session).last().unwrap().0;
    let lane = session.until("decisions behind the end", 1, |lane| {
        lane.last().is_some_and(|event| event.seq > ends)
    });
    for event in lane.iter().filter(|event| event.kind() == Some(Kind::Prediction)) {
        let canary =
            (begins..ends).contains(&event.seq) && split.is_canary(event.instrument(), event.now());
        let wanted = if canary { other.tag() } else { first.tag() };
        assert_eq!(event.body::<Prediction>().model_tag, wanted, "at {}", event.seq);
    }
    let begun = run(&[&["start", "--model", "broken", "--reason", "next"], &share[..]].concat());
    assert!(begun.status.success(), "{}", String::from_utf8_lossy(&begun.stderr));
    told(&session, 2, Reason::ModelErrors);
    wait("the trial is over", || last_json(&run(&["status"]))["canary"] == serde_json::Value::Null);
    end_and_replay(session);
}

/// A seed that gives the first instrument to the canary for the next minute.
fn a_seed_whose_turn_it_is() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let block = i64::try_from(now.as_secs() / 10).unwrap();
    let its_turn = |seed: &u64| {
        let split = Split { seed: *seed, share_bps: 2_000, block_ms: 10_000 };
        (0..6).all(|more| split.is_canary(InstrumentId(0), Nanos::from_secs((block + more) * 10)))
    };
    (0..1_000_000).find(its_turn).expect("one of sixteen thousand")
}
