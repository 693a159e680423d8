//! `mode = "live"` at an exchange on loopback: it starts on a signed GO and a signed sign-off for
//! exactly what runs, and on nothing else.

use crate::exchange_sim::Http;
use crate::pipeline_support::{peregrine_in, root, text};
use crate::process::{Process, wait};
use crate::trader_world::{World, error_of};
use peregrine::base::Money;
use peregrine::base::settings::{StageName, live_keys};
use peregrine::exchange::account::{AccountSettings, Credential};
use peregrine::exchange::{ExchangeServer, ServerSettings};
use peregrine::registry::decision::{Criterion, DecidedModel, Decision, Relation};
use peregrine::registry::seal::{Sealed, SigningKey, sign_file};
use peregrine::risk::stage::Signoff;
use peregrine::runtime::config;
use peregrine::runtime::stage::artefacts;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use toml::{Table, Value};

/// What live trading asks for beyond the limits that `config/risk.toml` has.
const NUMBERS: [(&str, &str, &str); 11] = [
    ("policy", "position_notional", "'500'"),
    ("policy", "enter_edge", "0.01"),
    ("sizing", "risk_bps", "200"),
    ("sizing", "share_bps", "2000"),
    ("sizing", "kelly_fraction", "0.25"),
    ("sizing", "notional_min", "'10'"),
    ("sizing", "min_edge_bps", "10"),
    ("sizing", "slippage_bps", "0.5"),
    ("exits", "stop_atr", "4.0"),
    ("exits", "take_profit_r", "1.5"),
    ("exits", "protective_stop_bps", "150"),
];

/// A world with the shipped live configuration filled in for it, a key that is trusted there, and
/// one that is not.
struct Desk {
    world: World,
    path: PathBuf,
}

impl Desk {
    fn new() -> Self {
        Self::at(World::new())
    }

    fn at(world: World) -> Self {
        let dir = world.dir().to_owned();
        let key = SigningKey::create(&dir.join("ours")).unwrap();
        SigningKey::create(&dir.join("theirs")).unwrap();
        let mut document = read("config/live.toml");
        let risk = read("config/risk.toml");
        for key in live_keys() {
            let (section, key) = key.split_once('.').unwrap();
            if let Some(value) = risk.get(section).and_then(|table| table.get(key)) {
                set(&mut document, section, key, value.clone());
            }
        }
        for (section, key, value) in NUMBERS {
            let value = format!("x = {value}").parse::<Table>().unwrap().remove("x").unwrap();
            set(&mut document, section, key, value);
        }
        let ws = world.exchange.ws_url();
        for (section, key, value) in [
            ("session", "state_dir", text(&world.state()).to_owned()),
            ("model", "dir", text(&dir.join("models")).to_owned()),
            ("venue", "rest_url", world.exchange.rest_url()),
            ("venue", "wallet_url", world.exchange.rest_url()),
            ("venue", "public_url", format!("{ws}/public")),
            ("venue", "market_url", format!("{ws}/market")),
            ("venue", "private_url", format!("{ws}/private")),
            ("venue", "api_url", format!("{ws}/ws-fapi/v1")),
            ("http", "bind", String::new()),
            ("rollback", "gates", String::new()),
            ("stage", "signoff_file", text(&dir.join("signoff.toml")).to_owned()),
            ("stage", "decision_file", text(&dir.join("gate_decision.json")).to_owned()),
        ] {
            set(&mut document, section, key, Value::String(value));
        }
        set(&mut document, "model", "budget_us", Value::Integer(1_000_000));
        set(&mut document, "watch", "modes_every_s", Value::Integer(1));
        set(&mut document, "venue", "start_patience_s", Value::Integer(1));
        let trusted = Value::Array(vec![Value::String(key.hex())]);
        set(&mut document, "stage", "trusted_keys", trusted);
        let path = dir.join("live.toml");
        std::fs::write(&path, document.to_string()).unwrap();
        Self { world, path }
    }

    fn key(&self, name: &str) -> SigningKey {
        SigningKey::read(&self.world.dir().join(name)).unwrap()
    }

    fn running(&self) -> peregrine::risk::stage::Artefacts {
        let loaded = config::load(&self.path).unwrap();
        artefacts(&loaded, Path::new(env!("CARGO_BIN_EXE_peregrine"))).unwrap()
    }

    /// A sign-off for what runs since ten days, with so much capital.
    fn sign_off(&self, capital: Option<Money>) {
        let record = Signoff {
            stage: StageName::LimitedLive,
            signed_by: vec!["A. Person".to_owned()],
            reason: "eight days on paper".to_owned(),
            since_day: i64::try_from(now_ms() / 86_400_000).unwrap() - 10,
            artefacts: self.running(),
            days: 8,
            round_trips: 120,
            sharpe: 2.1,
            drawdown_bps: 900,
            capital,
        };
        let path = self.world.dir().join("signoff.toml");
        std::fs::write(&path, record.to_toml()).unwrap();
        sign_file(&path, &self.key("ours")).unwrap();
    }

    /// A decision on the model that runs: NO-GO for a Sharpe ratio below 1.8.
    fn decide(&self, sharpe: f64, key: &str) {
        let criterion = Criterion {
            name: "older_rule.sharpe_min".to_owned(),
            value: Some(sharpe),
            relation: Relation::AtLeast,
            threshold: 1.8,
            passed: sharpe >= 1.8,
            evidence: "walk_forward.json".to_owned(),
            evidence_sha256: None,
        };
        let model = DecidedModel {
            version: "quick-1".to_owned(),
            sha256: self.running().model,
            card_sha256: String::new(),
            data_manifest_sha256: String::new(),
        };
        let (evidence, nothing) = (BTreeMap::new(), String::new());
        let decision = Decision::new(model, vec![criterion], evidence, nothing, now_ms()).unwrap();
        let sealed = Sealed::new(&serde_json::to_value(&decision).unwrap(), &self.key(key));
        let path = self.world.dir().join("gate_decision.json");
        std::fs::write(path, sealed.unwrap().text().unwrap()).unwrap();
    }

    /// With a GO and a sign-off for what runs.
    fn approved(self) -> Self {
        self.decide(1.8, "ours");
        self.sign_off(None);
        self
    }

    /// Tells the exchange's admin endpoint.
    fn tell(&self, method: &str, path: &str, body: &str) {
        let mut http = Http::connect(&self.world.exchange.rest_url());
        let answer = http.request(method, path, &[], body).unwrap();
        assert_eq!(answer.status, 200, "{body}: {}", answer.body);
    }

    /// Gives the account's key a right, or takes it away.
    fn set_right(&self, name: &str, on: bool) {
        let key = self.world.exchange.api_key();
        let body = format!(r#"{{"api_key":"{key}","{name}":{on}}}"#);
        self.tell("POST", "/sim/key_rights", &body);
    }

    fn check(&self) -> String {
        let words = ["check", "--config", text(&self.path)];
        let checked = peregrine_in(&root(), &words, &self.variables());
        String::from_utf8_lossy(&checked.stdout).into_owned()
    }

    /// What `run` says of a key that it refuses; `rotated` for one that is said to be new.
    #[track_caller]
    fn refuses_key(&self, rotated: bool, variables: &[(&str, &str)]) -> String {
        let words = ["run", "--config", text(&self.path), "--for", "1s", "--account-key-rotated"];
        let words = &words[..words.len() - usize::from(!rotated)];
        let ended = peregrine_in(&root(), words, variables);
        let error = error_of(&ended);
        assert_eq!(ended.status.code(), Some(1), "{error}");
        let line = error.lines().find(|line| line.starts_with("error: "));
        let line = line.unwrap_or_else(|| panic!("{error}")).to_owned();
        assert!(line.contains("PEREGRINE_API_KEY"), "{line}");
        for (_, secret) in variables {
            assert!(!error.contains(secret), "{error}");
        }
        line
    }

    fn variables(&self) -> [(&'static str, &str); 2] {
        let exchange = &self.world.exchange;
        [("PEREGRINE_API_KEY", exchange.api_key()), ("PEREGRINE_API_SECRET", exchange.api_secret())]
    }

    /// What `run` and `check` say when they refuse.
    #[track_caller]
    fn is_refused(&self, words: &[&str]) {
        let path = text(&self.path);
        let ended =
            peregrine_in(&root(), &["run", "--config", path, "--for", "1s"], &self.variables());
        let error = error_of(&ended);
        assert_eq!(ended.status.code(), Some(2), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        let checked = peregrine_in(&root(), &["check", "--config", path], &self.variables());
        assert_eq!(checked.status.code(), Some(1), "{}", error_of(&checked));
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        let stage = told.lines().find(|line| line.starts_with("fail  stage:")).unwrap_or(&told);
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
            assert!(stage.contains(word), "{word}: {stage}");
        }
        assert!(!self.world.state().join("journal").exists(), "nothing was started");
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn read(path: &str) -> Table {
    std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
}

fn set(document: &mut Table, section: &str, key: &str, value: Value) {
    let entry = document.entry(section).or_insert_with(|| Value::Table(Table::new()));
    entry.as_table_mut().unwrap().insert(key.to_owned(), value);
}

#[test]
fn live_trading_starts_on_a_go_and_a_sign_off_for_what_runs_and_on_nothing_else() {
    let desk = Desk::new();
    let (decision, record) = ("gate_decision.json", "signoff.toml");
    desk.decide(1.8, "ours");
    desk.is_refused(&[record, "No such file"]);
    desk.sign_off(None);
    desk.decide(1.7, "ours");
    desk.is_refused(&[decision, "NO-GO", "older_rule.sharpe_min is 1.7, needs >= 1.8"]);
    desk.decide(1.8, "theirs");
    desk.is_refused(&[decision, "not trusted"]);
    desk.decide(1.8, "ours");
    // The stage has 500 by itself.
    desk.sign_off(Some(Money::whole(499)));
    desk.is_refused(&["capital: 500", "signed for 499"]);
    desk.sign_off(Some(Money::whole(500)));
    let path = desk.world.dir().join(record);
    let signed = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, signed.replace("sharpe = 2.1", "sharpe = 3.1")).unwrap();
    desk.is_refused(&[record, "was changed"]);
    std::fs::write(&path, &signed).unwrap();

    let more = ["run", "--config", text(&desk.path), "--json"];
    let process = Process::start(&more, &desk.variables());
    desk.world.wait_for_state("halted");
    let armed = desk.world.operate(&["arm", "--reason", "books compared"]);
    assert_eq!(armed.status.code(), Some(0), "{}", error_of(&armed));
    desk.world.wait_for_state("active");
    process.signal(rustix::process::Signal::TERM);
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(0), "{}", error_of(&ended));
    let journal = desk.world.journal("0000001-live");
    let config = std::fs::read_to_string(journal.join("config.toml")).unwrap();
    assert!(config.contains("version = \"quick-1\""), "the model that was judged is named");
}

/// What a key must be, by the venue's documentation of `GET /sapi/v1/account/apiRestrictions`:
/// futures and reading, from named addresses, and nothing that moves money or trades elsewhere.
const RIGHTS: [(&str, bool); 9] = [
    ("enableWithdrawals", false),
    ("enableInternalTransfer", false),
    ("permitsUniversalTransfer", false),
    ("enableMargin", false),
    ("enableSpotAndMarginTrading", false),
    ("enableVanillaOptions", false),
    ("enableFixApiTrade", false),
    ("enableFutures", true),
    ("ipRestrict", true),
];

#[test]
fn live_trading_starts_with_no_key_that_may_do_more_or_less_than_trade_futures() {
    let desk = Desk::new().approved();
    for (name, lawful) in RIGHTS {
        desk.set_right(name, !lawful);
        let line = desk.refuses_key(false, &desk.variables());
        assert!(line.contains(&format!("{name} is {}: ", !lawful)), "{line}");
        for (other, _) in RIGHTS.iter().filter(|(other, _)| *other != name) {
            assert!(!line.contains(other), "{other}: {line}");
        }
        let told = desk.check();
        let fails = |line: &str| line.starts_with("fail  key's rights: ") && line.contains(name);
        assert!(told.lines().any(fails), "{name}: {told}");
        desk.set_right(name, lawful);
    }
    let told = desk.check();
    assert!(told.contains("ok    key's rights: "), "{told}");
    assert!(!desk.world.state().join("journal").exists(), "nothing was started");
}

#[test]
fn live_trading_starts_with_no_key_whose_rights_cannot_be_read() {
    let desk = Desk::new().approved();
    for (kind, word) in
        [("unavailable", "503"), ("truncated_json", "EOF"), ("key_revoked", "-2015")]
    {
        let target = r#"{"path":"/sapi/v1/account/apiRestrictions"}"#;
        desk.tell("POST", "/sim/faults", &format!(r#"{{"kind":"{kind}","target":{target}}}"#));
        let line = desk.refuses_key(false, &desk.variables());
        assert!(line.contains("cannot be read") && line.contains(word), "{kind}: {line}");
        let told = desk.check();
        assert!(told.contains("fail  key's rights: "), "{kind}: {told}");
        desk.tell("DELETE", "/sim/faults", "");
    }
    assert!(!desk.world.state().join("journal").exists(), "nothing was started");
}

#[test]
fn a_right_that_the_key_of_a_live_session_is_given_halts_it_until_a_person_has_looked() {
    let desk = Desk::new().approved();
    let process = Process::start(&["run", "--config", text(&desk.path)], &desk.variables());
    desk.world.wait_for_state("halted");
    let arm = || desk.world.operate(&["arm", "--reason", "books compared"]);
    assert_eq!(arm().status.code(), Some(0));
    desk.world.wait_for_state("active");
    desk.set_right("enableWithdrawals", true);
    desk.world.wait_for_state("halted");
    desk.set_right("enableWithdrawals", false);
    wait("it is armed again", || {
        let _ = arm();
        desk.world.ask("status").is_some_and(|answer| answer["state"] == "active")
    });
    process.signal(rustix::process::Signal::TERM);
    let ended = process.end();
    assert_eq!(ended.status.code(), Some(0), "{}", error_of(&ended));
}

#[test]
fn a_key_that_took_another_s_place_is_read_back_before_it_is_used() {
    let keys = ["o", "n"].map(|letter| letter.repeat(64));
    let secret = "secret-of-the-account";
    let proof = |key: &String| (key.clone(), Credential::Hmac(secret.to_owned()));
    let keys_of = keys.iter().map(proof).collect();
    let account = AccountSettings { keys: keys_of, deposit: Money::whole(10_000), leverage: 20 };
    let settings = ServerSettings { accounts: vec![account], ..ServerSettings::default() };
    let desk = Desk::at(World::at(ExchangeServer::start(settings).unwrap())).approved();
    let [old, new] = [0, 1].map(|place| {
        [("PEREGRINE_API_KEY", keys[place].as_str()), ("PEREGRINE_API_SECRET", secret)]
    });
    let started = |words: &[&str], variables: &[(&str, &str)]| {
        let words = [&["run", "--config", text(&desk.path)], words].concat();
        let process = Process::start(&words, variables);
        desk.world.wait_for_state("halted");
        process.signal(rustix::process::Signal::TERM);
        let ended = process.end();
        assert_eq!(ended.status.code(), Some(0), "{}", error_of(&ended));
    };
    started(&[], &old);
    let give = |on: bool| {
        let body = format!(r#"{{"api_key":"{}","permitsUniversalTransfer":{on}}}"#, keys[1]);
        desk.tell("POST", "/sim/key_rights", &body);
    };
    give(true);
    let line = desk.refuses_key(true, &new);
    assert!(line.contains("permitsUniversalTransfer is true"), "{line}");
    assert!(!desk.world.journal("0000002-live").exists(), "nothing was begun with it");
    // The rights are the key's, not the account's.
    started(&[], &old);
    give(false);
    started(&["--account-key-rotated"], &new);
    assert!(desk.world.journal("0000003-live").exists());
}

#[test]
fn the_shipped_live_configuration_is_refused_with_every_limit_that_nobody_has_set() {
    let ended = peregrine_in(&root(), &["check", "--config", "config/live.toml"], &[]);
    let error = error_of(&ended);
    assert_eq!(ended.status.code(), Some(2), "{error}");
    for key in live_keys() {
        assert!(error.contains(&format!("{key}: missing")), "{key}: {error}");
    }
}
