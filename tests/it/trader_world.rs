//! A trader as a process of its own at an exchange on loopback, with a registry and a state folder.

use crate::pipeline_support::{peregrine, root, text};
use crate::process::{Process, wait};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::model::ArtifactFiles;
use peregrine::registry::{Change, Registry, Stage};
use peregrine::runtime::admin::{self, Request};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

/// Positions are left by their age alone, and soon.
const EXITS: [(&str, &str); 7] = [
    ("PEREGRINE__EXITS__STOP_ATR", "0.0"),
    ("PEREGRINE__EXITS__TAKE_PROFIT_R", "0.0"),
    ("PEREGRINE__EXITS__TRAIL_R", "0.0"),
    ("PEREGRINE__EXITS__HOLD_BARS", "0"),
    ("PEREGRINE__EXITS__VOLATILITY_HIGH", "0.0"),
    ("PEREGRINE__EXITS__VOLATILITY_LOW", "0.0"),
    ("PEREGRINE__EXITS__HOLD_MS_MAX", "200"),
];

/// A registry in this folder whose champion answers within a moment and needs no history.
pub fn champion(models: &Path) {
    let change = Change {
        at_ms: 0,
        by: "test".to_owned(),
        reason: "needs no history".to_owned(),
        evidence_sha256: None,
    };
    let mut registry = Registry::create(models).unwrap();
    let quick = root().join("tools/kill_campaign/quick-1");
    let name = registry.register(&quick, None, change.clone()).unwrap();
    registry.crown_first(&name, change).unwrap();
}

/// What takes the champion's place in [`successor`].
pub const SUCCESSOR: &str = "quick-2";

/// Puts the same model under another name in the champion's place, so that there is one before,
/// which is returned. Its files are left beside the registry.
pub fn successor(models: &Path) -> ArtifactFiles {
    let mut registry = Registry::open(models).unwrap();
    let first = registry.champion().unwrap();
    let from = models.with_file_name(SUCCESSOR);
    std::fs::create_dir(&from).unwrap();
    let own = format!("version = \"{}\"", first.card.version);
    let card = first.card_text.replacen(&own, &format!("version = \"{SUCCESSOR}\""), 1);
    std::fs::write(from.join("card.toml"), card).unwrap();
    std::fs::write(from.join("model.onnx"), &first.onnx).unwrap();
    let change = Change {
        at_ms: 0,
        by: "test".to_owned(),
        reason: "so that there is one before".to_owned(),
        evidence_sha256: Some("0".repeat(64)),
    };
    registry.register(&from, None, change.clone()).unwrap();
    for stage in [Stage::Shadow, Stage::Canary, Stage::Champion] {
        registry.advance(SUCCESSOR, stage, change.clone()).unwrap();
    }
    first
}

/// Variables under which a process trades at this exchange: its addresses and its account's key.
pub fn addresses(exchange: &ExchangeServer) -> Vec<(&'static str, String)> {
    let ws = exchange.ws_url();
    vec![
        ("PEREGRINE_API_KEY", exchange.api_key().to_owned()),
        ("PEREGRINE_API_SECRET", exchange.api_secret().to_owned()),
        ("PEREGRINE__VENUE__REST_URL", exchange.rest_url()),
        ("PEREGRINE__VENUE__PUBLIC_URL", format!("{ws}/public")),
        ("PEREGRINE__VENUE__MARKET_URL", format!("{ws}/market")),
        ("PEREGRINE__VENUE__PRIVATE_URL", format!("{ws}/private")),
        ("PEREGRINE__VENUE__API_URL", format!("{ws}/ws-fapi/v1")),
    ]
}

/// An exchange, and a folder with a registry and a state folder.
pub struct World {
    pub exchange: ExchangeServer,
    dir: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::at(ExchangeServer::start(ServerSettings::default()).unwrap())
    }

    pub fn at(exchange: ExchangeServer) -> Self {
        let dir = tempfile::tempdir().unwrap();
        champion(&dir.path().join("models"));
        Self { exchange, dir }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub fn journal(&self, name: &str) -> PathBuf {
        self.state().join("journal").join(name)
    }

    /// What any configuration needs to be this world's: addresses, keys, folders.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = addresses(&self.exchange);
        variables.extend([
            ("PEREGRINE__SESSION__STATE_DIR", text(&self.state()).to_owned()),
            ("PEREGRINE__MODEL__DIR", text(&self.dir().join("models")).to_owned()),
            ("PEREGRINE__MODEL__BUDGET_US", "1000000".to_owned()),
            // A model of chance soon loses five times in a row.
            ("PEREGRINE__ROLLBACK__GATES", String::new()),
            // Tests share the machine: a session with nothing to do leaves it to the others.
            ("PEREGRINE__TOPOLOGY__WAIT", "park".to_owned()),
        ]);
        variables
    }

    /// A session with a shipped configuration: only addresses, keys and folders are others, and
    /// the threshold under which it trades at once; and these variables on top.
    pub fn start(&self, config: &str, more: &[(&str, &str)]) -> Process {
        let own = self.variables();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let trades = [
            ("PEREGRINE__VENUE__ORDERS", "venue"),
            ("PEREGRINE__POLICY__ENTER_EDGE", "0.01"),
            ("PEREGRINE__HTTP__BIND", ""),
        ];
        let variables: Vec<_> = own.chain(trades).chain(more.iter().copied()).collect();
        Process::start(&["run", "--config", config, "--json"], &variables)
    }

    /// The same with positions that are left soon.
    pub fn start_quick(&self, config: &str, more: &[(&str, &str)]) -> Process {
        self.start(config, &[&EXITS[..], more].concat())
    }

    /// The session's answer to an operator, if it answers.
    pub fn ask(&self, verb: &str) -> Option<Value> {
        let reason = (verb != "status").then(|| "books compared".to_owned());
        admin::ask(&self.state(), &Request { verb: verb.to_owned(), mode: None, reason }).ok()
    }

    /// Waits until the session's own word is `state`.
    #[track_caller]
    pub fn wait_for_state(&self, state: &str) {
        wait(state, || self.ask("status").is_some_and(|answer| answer["state"] == state));
    }

    /// An operator's command by the program itself.
    pub fn operate(&self, verb: &[&str]) -> Output {
        let state = self.state();
        peregrine(&[verb, &["--state", text(&state)]].concat())
    }
}

pub fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
