//! A whole session that tells what happens: a kill by Telegram, the trail of it, and no secret
//! anywhere.

use crate::alert_world::{Behave, OtherSide};
use crate::lanes::{has, is};
use crate::pipeline_support::{last_json, peregrine, peregrine_in, root, text};
use crate::process::wait;
use peregrine::base::Kind;
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::registry::{Change, Registry, Stage};
use peregrine::runtime::admin::{self, Request};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

const TOKEN: &str = "987654:canary-of-the-telegram-token";
const SECRET: &str = "canary-of-the-webhook-secret-0123456789";
const USER: i64 = 4_242;

struct World {
    exchange: ExchangeServer,
    telegram: OtherSide,
    hook: OtherSide,
    dir: TempDir,
    child: Option<Child>,
}

impl World {
    fn new() -> Self {
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
        let exchange = ExchangeServer::start(ServerSettings::default()).unwrap();
        let (telegram, hook) = (OtherSide::start(), OtherSide::start());
        Self { exchange, telegram, hook, dir, child: None }
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn start(&mut self) {
        let ws = self.exchange.ws_url();
        let log = std::fs::File::create(self.log()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine"));
        command
            .args(["run", "--config", "config/testnet.toml", "--json"])
            .current_dir(root())
            .envs([
                ("RUST_LOG", "debug".to_owned()),
                ("PEREGRINE_API_KEY", self.exchange.api_key().to_owned()),
                ("PEREGRINE_API_SECRET", self.exchange.api_secret().to_owned()),
                ("PEREGRINE_TELEGRAM_TOKEN", TOKEN.to_owned()),
                ("PEREGRINE_WEBHOOK_SECRET", SECRET.to_owned()),
                ("PEREGRINE__SESSION__STATE_DIR", text(&self.state()).to_owned()),
                ("PEREGRINE__MODEL__DIR", text(&self.dir.path().join("models")).to_owned()),
                ("PEREGRINE__MODEL__BUDGET_US", "1000000".to_owned()),
                ("PEREGRINE__VENUE__REST_URL", self.exchange.rest_url()),
                ("PEREGRINE__VENUE__PUBLIC_URL", format!("{ws}/public")),
                ("PEREGRINE__VENUE__MARKET_URL", format!("{ws}/market")),
                ("PEREGRINE__VENUE__PRIVATE_URL", format!("{ws}/private")),
                ("PEREGRINE__VENUE__API_URL", format!("{ws}/ws-fapi/v1")),
                ("PEREGRINE__POLICY__ENTER_EDGE", "0.01".to_owned()),
                ("PEREGRINE__HTTP__BIND", "127.0.0.1:0".to_owned()),
                ("PEREGRINE__ALERTS__CHANNELS", "[\"telegram\", \"webhook\"]".to_owned()),
                ("PEREGRINE__ALERTS__TELEGRAM_URL", self.telegram.url()),
                ("PEREGRINE__ALERTS__TELEGRAM_CHAT", USER.to_string()),
                ("PEREGRINE__ALERTS__TELEGRAM_COMMANDS", "true".to_owned()),
                ("PEREGRINE__ALERTS__TELEGRAM_USERS", format!("[\"{USER}\"]")),
                ("PEREGRINE__ALERTS__WEBHOOK_URL", format!("{}/hook", self.hook.url())),
                ("PEREGRINE__ALERTS__HEARTBEAT_S", "1".to_owned()),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        self.child = Some(command.spawn().unwrap());
    }

    fn ask(&self, verb: &str) -> Option<serde_json::Value> {
        let reason = (verb != "status").then(|| "books compared".to_owned());
        admin::ask(&self.state(), &Request { verb: verb.to_owned(), mode: None, reason }).ok()
    }

    fn wait_for_state(&self, state: &str) {
        wait(state, || self.ask("status").is_some_and(|answer| answer["state"] == state));
    }

    fn say(&self, number: i64, words: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.telegram.update(json!({"update_id": number, "message": {
            "date": now, "text": words, "from": {"id": USER, "is_bot": false},
            "chat": {"id": USER, "type": "private"}
        }}));
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.as_ref().unwrap().id()).unwrap();
        let _ = kill_process(Pid::from_raw(id).unwrap(), signal);
    }

    fn end(&mut self) -> (Option<i32>, String) {
        let output = self.child.take().unwrap().wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn has(&self, journal: &str, lane: usize, kind: Kind) -> bool {
        let dir = self.state().join("journal").join(journal);
        has(&dir, lane, is(kind))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Files below a folder that hold one of `words`.
fn holding(dir: &Path, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, words));
        } else if let Ok(bytes) = std::fs::read(&path) {
            let holds = |word: &&&str| bytes.windows(word.len()).any(|w| w == word.as_bytes());
            found
                .extend(words.iter().find(holds).map(|word| format!("{}: {word}", path.display())));
        }
    }
    found
}

#[test]
fn a_kill_by_telegram_ends_trading_is_told_everywhere_and_shows_no_secret() {
    let mut world = World::new();
    // A bad start: errors quote addresses, and the token is part of the address.
    world.telegram.behave(&[Behave::Status(401), Behave::Drop, Behave::TooMany(1)]);
    world.hook.behave(&[Behave::Status(500), Behave::Drop]);
    world.start();
    world.wait_for_state("halted");
    world.ask("arm").unwrap();
    wait("an order", || world.has("0000001-testnet", 3, Kind::OrderIntent));
    world.telegram.wait_for("alive: trading is");
    world.say(1, "/kill");
    let asked = world.telegram.wait_for("Confirm within a minute");
    world.say(2, &format!("/kill {}", asked.rsplit(' ').next().unwrap()));
    world.telegram.wait_for("trading is killed (Operator)");
    world.hook.wait_for("trading is killed (Operator)");
    world.signal(Signal::TERM);
    let (code, summary) = world.end();
    assert_eq!(code, Some(78), "{summary}");

    let verified = last_json(&peregrine(&["audit", "verify", text(&world.state()), "--json"]));
    assert_eq!(verified["faults"], json!([]), "{verified}");
    let shown = peregrine(&["audit", "show", text(&world.state()), "--json"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    let kill = shown.lines().find(|line| line.contains("\"graceful kill\"")).unwrap();
    for part in ["\"origin\":\"telegram\"", "telegram 4242: kill", "\"who\":\"user 4242\""] {
        assert!(kill.contains(part), "{part}: {kill}");
    }
    let journal = world.state().join("journal/0000001-testnet");
    let replayed = peregrine(&["replay", text(&journal), "--verify", "--json"]);
    assert_eq!(last_json(&replayed)["differences"], 0);

    let secrets = [TOKEN, SECRET, world.exchange.api_secret()];
    assert_eq!(holding(world.dir.path(), &secrets), Vec::<String>::new());
    assert!(secrets.iter().all(|secret| !summary.contains(secret)));
    let log = std::fs::read_to_string(world.log()).unwrap();
    assert!(
        log.contains("alert not delivered"),
        "errors were logged, so the search meant something"
    );
    for sent in world.hook.sent() {
        let body = String::from_utf8_lossy(&sent.body).into_owned();
        assert!(secrets.iter().all(|secret| !body.contains(secret)), "{body}");
    }
}

#[test]
fn fault_p16_a_session_trades_on_while_nobody_takes_its_alerts_and_ends_in_time() {
    let mut world = World::new();
    world.telegram.always(Some(Behave::Hang));
    world.hook.always(Some(Behave::Hang));
    world.start();
    world.wait_for_state("halted");
    world.ask("arm").unwrap();
    wait("a fill", || world.has("0000001-testnet", 0, Kind::OrderFilled));
    wait("a session that still trades", || {
        world.ask("status").is_some_and(|s| s["state"] == "active")
    });
    world.signal(Signal::TERM);
    let (code, summary) = world.end();
    assert_eq!(code, Some(0), "{summary}");
}

#[test]
fn the_trail_of_a_killed_process_is_whole_after_the_next_start() {
    let mut world = World::new();
    for journal in ["0000001-testnet", "0000002-testnet"] {
        world.start();
        wait("trading to wait for somebody", || {
            world.ask("status").is_some_and(|answer| answer["state"] != "reconciling")
        });
        world.ask("arm").unwrap();
        wait("an order", || world.has(journal, 3, Kind::OrderIntent));
        world.signal(Signal::KILL);
        assert_eq!(world.end().0, None);
    }
    world.start();
    wait("it to be up", || world.ask("status").is_some());
    world.signal(Signal::TERM);
    world.end();
    let verified = last_json(&peregrine(&["audit", "verify", text(&world.state()), "--json"]));
    assert_eq!(verified["faults"], json!([]), "{verified}");
    assert_eq!(verified["journals"], 3, "{verified}");
}

#[test]
fn a_channel_without_its_secret_is_bad_usage_and_the_secret_is_named() {
    let variables = [
        ("PEREGRINE__ALERTS__CHANNELS", "[\"webhook\"]"),
        ("PEREGRINE__ALERTS__WEBHOOK_URL", "https://example.org/hook"),
    ];
    let output = peregrine_in(&root(), &["run", "--config", "config/paper.toml"], &variables);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("PEREGRINE_WEBHOOK_SECRET"), "{error}");
    let short = [&variables[..], &[("PEREGRINE_WEBHOOK_SECRET", "canary-short")]].concat();
    let output = peregrine_in(&root(), &["run", "--config", "config/paper.toml"], &short);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.contains("shorter than 32") && !error.contains("canary-short"), "{error}");
}

#[test]
fn a_report_of_the_demo_is_what_the_demo_says_of_itself() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [
        ("PEREGRINE__SESSION__STATE_DIR", text(dir.path())),
        ("PEREGRINE__HTTP__BIND", ""),
        ("PEREGRINE__POLICY__ENTER_EDGE", "0.01"),
    ];
    let demo = peregrine_in(&root(), &["demo", "--for", "6s", "--json"], &variables);
    assert_eq!(demo.status.code(), Some(0), "{}", String::from_utf8_lossy(&demo.stderr));
    let demo = last_json(&demo);
    let picture = dir.path().join("equity.png");
    let report =
        ["report", text(dir.path()), "--session", "demo", "--png", text(&picture), "--json"];
    let report = last_json(&peregrine(&report));
    assert_eq!(report["trades"], demo["fills"], "{report} {demo}");
    let (told, own) = (report["profit"].as_f64().unwrap(), demo["pnl_quote"].as_f64().unwrap());
    assert!((told - own).abs() < 1e-7, "{told} {own}");
    assert!(std::fs::read(picture).unwrap().starts_with(b"\x89PNG"));
    let verified = last_json(&peregrine(&["audit", "verify", text(dir.path()), "--json"]));
    assert_eq!(verified["faults"], json!([]), "{verified}");
}
