//! A session leaves its champion by itself, and the registry follows: whatever is in the way of
//! that, and whenever the process ends.

use crate::lanes::{has, read};
use crate::model_swaps::{
    Models, end_and_replay, overflowing, session, start, swaps, tags, tamper, told,
};
use crate::pipeline_support::{leaning, peregrine_in, root, softmax_of, text};
use crate::process::{look, wait};
use crate::session_support::{Session, credentials, loaded, order, urls};
use crate::trader_world::{World, successor};
use peregrine::base::Reason;
use peregrine::base::event::{COMMAND_MODEL, Command, Event, Kind, ModelSwap, StateChange};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::observe::audit::entry::padded;
use peregrine::registry::{Action, Entry, Registry, Stage};
use peregrine::risk::{TradingState, Verb, reason_of};
use peregrine::runtime::revert::left::LEFT_FILE;
use peregrine::runtime::swap::ask_swap;
use rustix::process::Signal;
use std::path::Path;

/// The shipped rules, as a value of a configuration.
fn gates() -> String {
    format!("\"{}\"", text(&root().join("config/gates.toml")))
}

/// A session over these models that judges its champion by the shipped rules.
fn judged(models: &Models, more: &[(&str, &str, &str)]) -> (ExchangeServer, Session) {
    let gates = gates();
    session(models, &[&[("rollback", "gates", gates.as_str())], more].concat())
}

/// Positions are entered for little and left at once: each round trip pays its fees for nothing.
const CHURNS: [(&str, &str, &str); 9] = [
    ("policy", "enter_edge", "0.0001"),
    ("sizing", "min_edge_bps", "-10000"),
    ("sizing", "volatility_reference_bps", "0.0"),
    ("exits", "stop_atr", "0.0"),
    ("exits", "take_profit_r", "0.0"),
    ("exits", "trail_r", "0.0"),
    ("exits", "hold_bars", "0"),
    ("exits", "volatility_high", "0.0"),
    ("exits", "hold_ms_max", "100"),
];

/// Commands about models that no person gave, as the river tells why.
fn own_words(journal: &Path) -> Vec<(u32, String)> {
    let lane = read(journal, 0);
    let commands = lane.iter().filter(|event| event.kind() == Some(Kind::Command));
    let own = commands.map(|event| *event.body::<Command>()).filter(|c| c.actor == u32::MAX);
    own.map(|command| (command.verb, reason_of(&command).to_owned())).collect()
}

/// The registry once it has followed to this champion.
#[track_caller]
fn follows(dir: &Path, to: &str) -> Registry {
    look("the registry to follow", || {
        let registry = Registry::open(dir).unwrap();
        let is_so = registry.champion_version() == Some(to);
        if is_so { Ok(registry) } else { Err(format!("{:?}", last(&registry))) }
    })
}

fn last(registry: &Registry) -> Vec<(Action, String)> {
    let newest = registry.history().iter().rev().take(3).rev();
    newest.map(|entry: &Entry| (entry.action, entry.version.clone())).collect()
}

/// That the registry goes from `left` to `to` as a rollback does, by that session and for that.
#[track_caller]
fn assert_followed(dir: &Path, (left, to): (&str, &str), session: &str, why: &str) {
    let registry = follows(dir, to);
    assert_eq!(registry.champion_version(), Some(to));
    let names = [(Action::RolledBack, left), (Action::Quarantined, left), (Action::RolledBack, to)];
    let newest: Vec<&Entry> = registry.history().iter().rev().take(3).rev().collect();
    let found: Vec<_> = newest.iter().map(|e| (e.action, e.version.as_str())).collect();
    assert_eq!(found, names);
    for entry in newest {
        assert_eq!(entry.by, format!("session {session}"));
        assert!(entry.reason.contains(why), "{}", entry.reason);
    }
    assert_eq!(registry.show(left).unwrap().stage, Stage::Retired);
    assert_eq!(registry.show(to).unwrap().stage, Stage::Champion);
}

/// Waits until nothing is left to be done.
#[track_caller]
fn settled(state: &Path) {
    let is_empty = || {
        let text = std::fs::read_to_string(state.join(LEFT_FILE)).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["left"] == serde_json::json!([])
    };
    wait("the state folder to have nothing left", is_empty);
}

#[test]
fn a_champion_that_fails_is_left_by_itself_and_the_registry_follows() {
    let broken = overflowing("broken");
    let models = Models::new(&[&broken]);
    let first = models.registry().champion().unwrap();
    let name = first.card.version.clone();
    models.promote("broken");
    let (_exchange, session) = start(&models, &[("rollback", "gates", &gates())]);
    let back = told(&session, 1, Reason::ModelErrors);
    session.until("the one before decides", 1, |lane| {
        lane.last().is_some_and(|event| event.seq > back && event.kind() == Some(Kind::Prediction))
    });
    let words = own_words(&session.journal());
    let why = "rollback.errors_in_a_row_max: ";
    assert!(words[0].0 == COMMAND_MODEL && words[0].1.starts_with(why), "{words:?}");
    assert!(words[0].1.ends_with(" is above 2"), "{words:?}");
    assert_followed(models.dir.path(), ("broken", &name), "0000001-paper", why);
    settled(session.state());
    // What was left is chosen by nobody, by name neither.
    let refused = format!("{:#}", ask_swap(session.state(), "broken", "again").unwrap_err());
    assert!(refused.contains("quarantined"), "{refused}");
    end_and_replay(session);
}

#[test]
fn losses_in_a_row_take_the_champion_out_once_and_without_one_before_entries_stop() {
    let churner = leaning("churner", "imbalance_1", 1.0);
    let models = Models::new(&[&churner]);
    let name = models.registry().champion_version().unwrap().to_owned();
    models.promote("churner");
    let (_exchange, session) = judged(&models, &CHURNS);
    told(&session, 1, Reason::ChampionLosses);
    // A look may find more than the fifth.
    let why = "rollback.losses_in_a_row_max: ";
    assert_followed(models.dir.path(), ("churner", &name), "0000001-paper", why);
    // The one before trades as badly. It has five losses of its own to make, and there is none
    // before it: entries stop, exits do not, and the registry keeps it.
    let stopped = told(&session, 0, Reason::ChampionLosses);
    let words = own_words(&session.journal());
    let verbs: Vec<u32> = words.iter().map(|(verb, _)| *verb).collect();
    assert_eq!(verbs, [COMMAND_MODEL, Verb::Pause as u32]);
    assert!(words.iter().all(|(_, told)| told.starts_with(why)), "{words:?}");
    assert!(words[0].1.ends_with(" is above 4"), "{words:?}");
    assert!(words[1].1.ends_with(" is above 4; no model to go back to"), "{words:?}");
    session.until("entries to stop", 2, |lane| {
        let changes = lane.iter().filter(|event| event.kind() == Some(Kind::StateChange));
        let mut reduced = changes.filter(|e| e.seq <= stopped);
        reduced.any(|e| e.body::<StateChange>().to == TradingState::Reducing as u8)
    });
    let registry = models.registry();
    assert_eq!((registry.champion_version(), registry.previous_version()), (Some(&*name), None));
    assert_eq!(swaps(&session).iter().filter(|(_, swap)| swap.role == 1).count(), 1, "no flapping");
    end_and_replay(session);
}

#[test]
fn a_champion_whose_files_change_while_it_trades_is_left() {
    let other = leaning("other", "imbalance_1", 1.0);
    let models = Models::new(&[&other]);
    let name = models.registry().champion_version().unwrap().to_owned();
    models.promote("other");
    let (_exchange, session) = judged(&models, &[]);
    tamper(&models.file("other", "model.onnx"));
    told(&session, 1, Reason::ModelHashMismatch);
    let why = "rollback.hash_mismatches_max: 1 is above 0";
    assert_followed(models.dir.path(), ("other", &name), "0000001-paper", why);
    end_and_replay(session);
}

#[test]
fn a_new_champion_that_does_not_load_is_left_in_the_registry_for_the_one_that_runs() {
    let strange = softmax_of("imbalance_1", [0.0, 0.0, 1.0], 77);
    let models = Models::new(&[&strange]);
    let name = models.registry().champion_version().unwrap().to_owned();
    let (_exchange, session) = judged(&models, &[]);
    models.promote("thirds");
    told(&session, 0, Reason::SchemaMismatch);
    let why = "rollback.load_failures_max: 1 is above 0";
    assert_followed(models.dir.path(), ("thirds", &name), "0000001-paper", why);
    assert!(swaps(&session).iter().all(|(_, swap)| swap.role == 0), "what decides goes on");
    end_and_replay(session);
}

#[test]
fn a_registry_that_cannot_be_written_stops_no_rollback_and_no_restart_loads_what_was_left() {
    let other = leaning("other", "imbalance_1", 1.0);
    let models = Models::new(&[&other]);
    let first = models.registry().champion().unwrap();
    models.promote("other");
    let (exchange, session) = judged(&models, &[]);
    // Where the registry's new text would go something else is.
    let blocked = models.dir.path().join(".registry.json.tmp");
    std::fs::create_dir(&blocked).unwrap();
    tamper(&models.file("other", "model.onnx"));
    told(&session, 1, Reason::ModelHashMismatch);
    let lane =
        session.until("the one before decides", 1, |lane| tags(lane).last() == Some(&first.tag()));
    assert!(tags(&lane).contains(&other.tag()));
    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    assert_eq!(models.registry().champion_version(), Some("other"), "it could not follow");
    // Its files are what was registered again: nothing else keeps a start from loading it.
    tamper(&models.file("other", "model.onnx"));
    let again = order_again(&exchange, state.path(), &models, &[]);
    let again = Session::run(state, again);
    assert_eq!(loaded(&again.state().join("journal/0000002-paper")).sha256, first.sha256);
    std::fs::remove_dir(&blocked).unwrap();
    let (left, to) = ("other", first.card.version.as_str());
    assert_followed(models.dir.path(), (left, to), "0000001-paper", "rollback.hash_mismatches_max");
    settled(again.state());
    assert_eq!(again.end().0.halt, None);
}

fn order_again(
    exchange: &ExchangeServer,
    state: &Path,
    models: &Models,
    more: &[(&str, &str, &str)],
) -> peregrine::runtime::session::SessionOrder {
    let (dir, gates) = (format!("\"{}\"", text(models.dir.path())), gates());
    let own = [("model", "dir", dir.as_str()), ("rollback", "gates", gates.as_str())];
    let changes = [&own[..], &crate::pipeline_support::EAGER[..], more].concat();
    order(state, &urls(exchange), credentials(exchange), &changes)
}

#[test]
fn a_start_whose_champion_is_not_what_was_registered_ends_or_begins_with_the_one_before() {
    let other = leaning("other", "imbalance_1", 1.0);
    let models = Models::new(&[&other]);
    let first = models.registry().champion().unwrap();
    models.promote("other");
    tamper(&models.file("other", "card.toml"));
    let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let refused = order_again(&exchange, state.path(), &models, &[]);
    let error = format!("{:#}", peregrine::runtime::session::run(refused).err().unwrap());
    assert!(error.contains("other/card.toml") && error.contains("SHA-256"), "{error}");
    assert_eq!(models.registry().champion_version(), Some("other"), "nothing was changed");
    let started =
        order_again(&exchange, state.path(), &models, &[("rollback", "at_start", "true")]);
    let session = Session::run(state, started);
    assert_eq!(loaded(&session.journal()).sha256, first.sha256);
    told(&session, 0, Reason::ModelHashMismatch);
    let why = "rollback.hash_mismatches_max: 1 is above 0";
    // The one that trades may lose on a slow machine until here, and entries stop; it stays.
    let mut words = own_words(&session.journal());
    words.retain(|(verb, _)| *verb == COMMAND_MODEL);
    assert_eq!(words, [(COMMAND_MODEL, why.to_owned())]);
    let registry = follows(models.dir.path(), first.card.version.as_str());
    let newest = registry.history().last().unwrap();
    assert_eq!((newest.by.as_str(), newest.reason.as_str()), ("start of session paper", why));
    session.until("it decides", 1, |lane| tags(lane).last() == Some(&first.tag()));
    end_and_replay(session);
}

fn swapped(event: &Event) -> bool {
    event.kind() == Some(Kind::ModelSwap) && event.body::<ModelSwap>().role == 1
}

#[test]
fn a_kill_between_the_swap_and_the_registry_ends_in_the_same_state() {
    let world = World::new();
    let (models, gates) = (world.dir().join("models"), root().join("config/gates.toml"));
    let first = successor(&models);
    let judged = [("PEREGRINE__ROLLBACK__GATES", text(&gates))];
    let session = world.start_quick("config/testnet.toml", &judged);
    let journal = world.journal("0000001-testnet");
    wait("a decision", || has(&journal, 1, |event| event.kind() == Some(Kind::Prediction)));
    // Somebody changes the registry and does not come to an end: it cannot follow.
    let lock = std::fs::File::options().write(true).open(models.join(".registry.lock")).unwrap();
    lock.lock().unwrap();
    tamper(&models.join("quick-2/model.onnx"));
    wait("the session to go back", || has(&journal, 0, swapped));
    session.signal(Signal::KILL);
    assert_eq!(session.end().status.code(), None);
    assert_eq!(Registry::open(&models).unwrap().champion_version(), Some("quick-2"));
    tamper(&models.join("quick-2/model.onnx"));
    // Every command sees what the next start would trade on.
    let check = check(&world);
    assert!(check.contains("quick-1 on"), "{check}");
    let again = world.start_quick("config/testnet.toml", &judged);
    let second = world.journal("0000002-testnet");
    assert_eq!(padded(&loaded(&second).version), first.card.version);
    drop(lock);
    let why = "rollback.hash_mismatches_max";
    assert_followed(&models, ("quick-2", "quick-1"), "0000001-testnet", why);
    settled(&world.state());
    again.signal(Signal::TERM);
    assert_eq!(again.end().status.code(), Some(0));
}

/// What a look before the next start says of the model.
fn check(world: &World) -> String {
    let variables = world.variables();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let told = peregrine_in(&root(), &["check", "--config", "config/testnet.toml"], &variables);
    String::from_utf8_lossy(&told.stdout).into_owned()
}
