//! Real processes: killed, ended, started twice, and commanded by an operator.

use crate::lanes::{first, has, is, read};
use crate::pipeline_support::{peregrine, root, text};
use crate::process::{Process, wait};
use peregrine::base::event::{SessionCarried, SessionStart, StateChange, VenueStatus};
use peregrine::base::{Event, Kind, Reason};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::journal::{LaneEnd, LaneReader};
use peregrine::registry::{Change, Registry, Stage};
use peregrine::runtime::admin::{self, Request};
use rustix::process::Signal;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An exchange, and a folder with a registry and a state folder.
pub struct World {
    pub exchange: ExchangeServer,
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let change = Change {
            at_ms: 0,
            by: "test".to_owned(),
            reason: "needs no history".to_owned(),
            evidence_sha256: None,
        };
        let mut registry = Registry::create(&dir.path().join("models")).unwrap();
        let quick = root().join("tools/kill_campaign/quick-1");
        let name = registry.register(&quick, None, change.clone()).unwrap();
        registry.advance(&name, Stage::Champion, change).unwrap();
        Self { exchange, dir }
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A session with a shipped configuration: only addresses, keys and folders are others, and
    /// thresholds under which it trades at once.
    fn start(&self, config: &str) -> Process {
        self.start_with(config, &[])
    }

    /// The same with these variables on top.
    pub fn start_with(&self, config: &str, more: &[(&str, &str)]) -> Process {
        let ws = self.exchange.ws_url();
        let (state, models) = (self.state(), self.dir.path().join("models"));
        let (rest, public, market) =
            (self.exchange.rest_url(), format!("{ws}/public"), format!("{ws}/market"));
        let (private, api) = (format!("{ws}/private"), format!("{ws}/ws-fapi/v1"));
        let variables = [
            ("PEREGRINE_API_KEY", self.exchange.api_key()),
            ("PEREGRINE_API_SECRET", self.exchange.api_secret()),
            ("PEREGRINE__SESSION__STATE_DIR", text(&state)),
            ("PEREGRINE__MODEL__DIR", text(&models)),
            ("PEREGRINE__MODEL__BUDGET_US", "1000000"),
            ("PEREGRINE__VENUE__ORDERS", "venue"),
            ("PEREGRINE__VENUE__REST_URL", &rest),
            ("PEREGRINE__VENUE__PUBLIC_URL", &public),
            ("PEREGRINE__VENUE__MARKET_URL", &market),
            ("PEREGRINE__VENUE__PRIVATE_URL", &private),
            ("PEREGRINE__VENUE__API_URL", &api),
            ("PEREGRINE__POLICY__ENTER_EDGE", "0.01"),
            ("PEREGRINE__EXITS__STOP_ATR", "0.0"),
            ("PEREGRINE__EXITS__TAKE_PROFIT_R", "0.0"),
            ("PEREGRINE__EXITS__TRAIL_R", "0.0"),
            ("PEREGRINE__EXITS__HOLD_BARS", "0"),
            ("PEREGRINE__EXITS__VOLATILITY_HIGH", "0.0"),
            ("PEREGRINE__EXITS__VOLATILITY_LOW", "0.0"),
            ("PEREGRINE__EXITS__HOLD_MS_MAX", "200"),
            ("PEREGRINE__HTTP__BIND", ""),
        ];
        let variables = [&variables[..], more].concat();
        Process::start(&["run", "--config", config, "--json"], &variables)
    }

    /// Waits until the session's own word is `state`.
    pub fn wait_for_state(&self, state: &str) {
        let status = Request { verb: "status".to_owned(), mode: None, reason: None };
        let is = || admin::ask(&self.state(), &status).is_ok_and(|answer| answer["state"] == state);
        wait(state, is);
    }

    /// An operator's command by the program itself.
    pub fn operate(&self, verb: &[&str]) -> Output {
        let state = self.state();
        peregrine(&[verb, &["--state", text(&state)]].concat())
    }

    pub fn journal(&self, name: &str) -> PathBuf {
        self.state().join("journal").join(name)
    }
}

fn terminate(session: Process) -> Output {
    session.signal(Signal::TERM);
    session.end()
}

pub fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_testnet_session_waits_for_an_operator_and_a_kill_outlives_it() {
    let world = World::new();
    let session = world.start("config/testnet.toml");
    world.wait_for_state("halted");
    let armed = world.operate(&["arm", "--reason", "books compared"]);
    assert_eq!(armed.status.code(), Some(0), "{}", error_of(&armed));
    let journal = world.journal("0000001-testnet");
    wait("an order", || has(&journal, 3, is(Kind::OrderIntent)));
    let start: SessionStart = *first(&read(&journal, 0), Kind::SessionStart).unwrap().body();
    assert_eq!((start.mode, start.account == 0), (2, false));

    let without_reason = world.operate(&["kill", "--mode", "graceful"]);
    assert_eq!(without_reason.status.code(), Some(2));
    for _ in 0..2 {
        let killed = world.operate(&["kill", "--mode", "graceful", "--reason", "enough"]);
        assert_eq!(killed.status.code(), Some(0), "{}", error_of(&killed));
    }
    let ended = session.end();
    assert_eq!(ended.status.code(), Some(78), "{}", error_of(&ended));

    // Its file lost, the journal still tells the kill: the next session ends it again, and stays.
    std::fs::remove_file(world.state().join("killed")).unwrap();
    let ended = world.start("config/testnet.toml").end();
    assert_eq!(ended.status.code(), Some(78), "{}", error_of(&ended));
    let carried = read(&world.journal("0000002-testnet"), 0);
    let carried: SessionCarried = *first(&carried, Kind::SessionCarried).unwrap().body();
    assert_eq!((carried.epoch, carried.state), (1, 4));
    assert!(world.state().join("killed").exists());
}

#[test]
fn fault_p01_a_killed_session_is_gone_on_from_and_both_journals_replay() {
    let world = World::new();
    let session = world.start("config/paper.toml");
    let first_journal = world.journal("0000001-paper");
    wait("a fill", || has(&first_journal, 0, is(Kind::OrderFilled)));
    session.signal(Signal::KILL);
    assert_eq!(session.end().status.code(), None, "killed, not ended");

    let again = world.start("config/paper.toml");
    let second = world.journal("0000002-paper");
    wait("an opening", || has(&second, 0, is(Kind::SessionCarried)));
    let inputs = read(&second, 0);
    let carried: SessionCarried = *first(&inputs, Kind::SessionCarried).unwrap().body();
    assert_eq!(carried.epoch, 1);
    let told = first(&inputs, Kind::PositionCarried);
    assert!(told.is_some(), "something was filled, so something is carried");
    again.signal(Signal::KILL);
    again.end();
    for journal in [&first_journal, &second] {
        let replayed = peregrine(&["replay", text(journal), "--verify", "--json"]);
        assert_eq!(replayed.status.code(), Some(0), "{}", error_of(&replayed));
    }
}

#[test]
fn fault_p02_and_p03_a_stopped_session_reconciles_and_a_terminated_one_ends_in_time() {
    let world = World::new();
    let session = world.start("config/paper.toml");
    let journal = world.journal("0000001-paper");
    wait("an order", || has(&journal, 3, is(Kind::OrderIntent)));
    session.signal(Signal::STOP);
    let began = Instant::now();
    wait("a second and a half", || began.elapsed() > Duration::from_millis(1_500));
    session.signal(Signal::CONT);
    let stalled = |event: &Event| {
        let body: &VenueStatus = event.body();
        event.kind() == Some(Kind::VenueStatus) && body.reason == Reason::ThreadStalled as u16
    };
    wait("the pause to be noticed", || has(&journal, 0, stalled));
    wait("trading to wait for the venue's books", || {
        let moved = |event: &Event| {
            event.kind() == Some(Kind::StateChange)
                && event.body::<StateChange>().reason == Reason::ThreadStalled as u16
        };
        has(&journal, 2, moved)
    });
    let began = Instant::now();
    let ended = terminate(session);
    assert_eq!(ended.status.code(), Some(0), "{}", error_of(&ended));
    assert!(began.elapsed() < Duration::from_secs(20));
    for lane in 0..4 {
        let mut reader = LaneReader::open(&journal, lane).unwrap();
        assert!(reader.by_ref().all(|item| item.is_ok()));
        assert!(matches!(reader.end(), Some(LaneEnd::Closed(_))), "lane {lane} is sealed");
    }
}

#[test]
fn fault_o03_a_second_instance_on_a_state_folder_is_refused_before_it_asks_anything() {
    let world = World::new();
    let held = peregrine::runtime::state::StateFolder::open(&world.state()).unwrap();
    let refused = world.start("config/paper.toml").end();
    assert_eq!(refused.status.code(), Some(1));
    let error = error_of(&refused);
    assert!(error.contains("in use by another") && error.contains(text(&world.state())), "{error}");
    assert!(!world.state().join("journal").exists());
    drop(held);
}

#[test]
fn fault_o04_a_state_folder_that_cannot_be_written_is_refused_by_name() {
    let world = World::new();
    std::fs::write(world.state(), b"a file").unwrap();
    let refused = world.start("config/paper.toml").end();
    assert_eq!(refused.status.code(), Some(1));
    assert!(error_of(&refused).contains(text(&world.state())), "{}", error_of(&refused));
}
