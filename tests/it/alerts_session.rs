//! A whole session that tells what happens: a kill by Telegram, the trail of it, and no secret
//! anywhere.

use crate::alert_world::{Behave, OtherSide};
use crate::lanes::{has, is};
use crate::pipeline_support::{last_json, peregrine, peregrine_in, root, text};
use crate::process::{Process, wait};
use crate::trader_world::{World, error_of};
use peregrine::base::Kind;
use rustix::process::Signal;
use serde_json::json;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const TOKEN: &str = "987654:canary-of-the-telegram-token";
const SECRET: &str = "canary-of-the-webhook-secret-0123456789";
const USER: i64 = 4_242;

/// A trader whose alerts go to two other sides.
struct Floor {
    world: World,
    telegram: OtherSide,
    hook: OtherSide,
}

impl Floor {
    fn new() -> Self {
        Self { world: World::new(), telegram: OtherSide::start(), hook: OtherSide::start() }
    }

    fn start(&self) -> Process {
        let (telegram, hook) = (self.telegram.url(), format!("{}/hook", self.hook.url()));
        let (chat, users) = (USER.to_string(), format!("[\"{USER}\"]"));
        let variables = [
            ("RUST_LOG", "debug"),
            ("PEREGRINE_TELEGRAM_TOKEN", TOKEN),
            ("PEREGRINE_WEBHOOK_SECRET", SECRET),
            ("PEREGRINE__HTTP__BIND", "127.0.0.1:0"),
            ("PEREGRINE__ALERTS__CHANNELS", "[\"telegram\", \"webhook\"]"),
            ("PEREGRINE__ALERTS__TELEGRAM_URL", &telegram),
            ("PEREGRINE__ALERTS__TELEGRAM_CHAT", &chat),
            ("PEREGRINE__ALERTS__TELEGRAM_COMMANDS", "true"),
            ("PEREGRINE__ALERTS__TELEGRAM_USERS", &users),
            ("PEREGRINE__ALERTS__WEBHOOK_URL", &hook),
            ("PEREGRINE__ALERTS__HEARTBEAT_S", "1"),
        ];
        self.world.start("config/testnet.toml", &variables)
    }

    fn say(&self, number: i64, words: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.telegram.update(json!({"update_id": number, "message": {
            "date": now, "text": words, "from": {"id": USER, "is_bot": false},
            "chat": {"id": USER, "type": "private"}
        }}));
    }

    #[track_caller]
    fn arm(&self) {
        let answer = self.world.ask("arm").unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
    }

    fn has(&self, journal: &str, lane: usize, kind: Kind) -> bool {
        has(&self.world.journal(journal), lane, is(kind))
    }
}

/// The exit code, the summary and the log of a process that ends.
fn end(process: Process) -> (Option<i32>, String, String) {
    let output = process.end();
    let summary = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), summary, error_of(&output))
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
    let floor = Floor::new();
    let world = &floor.world;
    // A bad start: errors quote addresses, and the token is part of the address.
    floor.telegram.behave(&[Behave::Status(401), Behave::Drop, Behave::TooMany(1)]);
    floor.hook.behave(&[Behave::Status(500), Behave::Drop]);
    let session = floor.start();
    world.wait_for_state("halted");
    floor.arm();
    wait("an order", || floor.has("0000001-testnet", 3, Kind::OrderIntent));
    floor.telegram.wait_for("alive: trading is");
    floor.say(1, "/kill");
    let asked = floor.telegram.wait_for("Confirm within a minute");
    floor.say(2, &format!("/kill {}", asked.rsplit(' ').next().unwrap()));
    floor.telegram.wait_for("trading is killed (Operator)");
    floor.hook.wait_for("trading is killed (Operator)");
    session.signal(Signal::TERM);
    let (code, summary, log) = end(session);
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
    assert_eq!(holding(world.dir(), &secrets), Vec::<String>::new());
    assert!(secrets.iter().all(|secret| !summary.contains(secret) && !log.contains(secret)));
    assert!(
        log.contains("alert not delivered"),
        "errors were logged, so the search meant something"
    );
    for sent in floor.hook.sent() {
        let body = String::from_utf8_lossy(&sent.body).into_owned();
        assert!(secrets.iter().all(|secret| !body.contains(secret)), "{body}");
    }
}

#[test]
fn fault_p16_a_session_trades_on_while_nobody_takes_its_alerts_and_ends_in_time() {
    let floor = Floor::new();
    let world = &floor.world;
    floor.telegram.always(Some(Behave::Hang));
    floor.hook.always(Some(Behave::Hang));
    let session = floor.start();
    world.wait_for_state("halted");
    floor.arm();
    wait("a fill", || floor.has("0000001-testnet", 0, Kind::OrderFilled));
    wait("a session that still trades", || {
        world.ask("status").is_some_and(|s| s["state"] == "active")
    });
    session.signal(Signal::TERM);
    let (code, summary, _) = end(session);
    assert_eq!(code, Some(0), "{summary}");
}

#[test]
fn the_trail_of_a_killed_process_is_whole_after_the_next_start() {
    let floor = Floor::new();
    let world = &floor.world;
    for journal in ["0000001-testnet", "0000002-testnet"] {
        let session = floor.start();
        wait("trading to wait for somebody", || {
            world.ask("status").is_some_and(|answer| answer["state"] != "reconciling")
        });
        floor.arm();
        wait("an order", || floor.has(journal, 3, Kind::OrderIntent));
        session.signal(Signal::KILL);
        assert_eq!(end(session).0, None);
    }
    let session = floor.start();
    wait("it to be up", || world.ask("status").is_some());
    session.signal(Signal::TERM);
    session.end();
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
