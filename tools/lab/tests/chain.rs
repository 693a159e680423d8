//! The whole chain in small: history fetched from the simulated exchange, and on to a decision.
//! Twice, and killed in the middle of each of its long steps.

use peregrine::base::Nanos;
use peregrine::exchange::ExchangeServer;
use peregrine::exchange::server::{ClockMode, ServerSettings};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// 2026-01-10T00:00:00Z.
const OPENED: i64 = 1_768_003_200_000;

const FORWARD: &str = "period_ms = 600000\n[rows]\nevery_bars = 1\n\
    [label]\nhorizon_bars = 12\nbarrier = 0.0\n\
    [folds]\ncount = 3\nembargo_bars = 40\ngroups = 3\ntested = 1\n\
    [trees]\nrounds = 8\ndepths = [2, 3]\nleaf_rows_min = 30\n\
    [policy]\nenter_edges = [0.05]\n";

const SCENARIOS: &str = "seed = 11\n\
    [[scenario]]\nname = \"usual\"\nwhat = \"as it is\"\nminutes = 0.5\nframes_per_second = 200\n\
    [[scenario]]\nname = \"gaps\"\nwhat = \"a jump\"\nminutes = 0.5\nframes_per_second = 200\n\
    gaps = [[0.2, -500]]\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn lab(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
    command.args(args).current_dir(root());
    command
}

fn run(command: &mut Command) -> Output {
    command.output().expect("it runs")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn last_json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

/// History of a day and a half, its end held out, a key, and a chain over them.
struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().expect("a folder"));
        let clock = ClockMode::Stepped { start: Nanos::from_millis(OPENED) };
        let settings = ServerSettings { clock, rate: 10.0, ..ServerSettings::default() };
        let server = ExchangeServer::start(settings).expect("an exchange");
        let (url, out) = (server.rest_url(), world.path("history"));
        let fetched = run(lab(&["fetch", "--base-url", &url, "--out", &out]).args([
            "--symbols=BTCUSDT,ETHUSDT",
            "--series=1m,funding",
            "--from=2026-01-08T12:00:00Z",
            "--until=2026-01-10T00:00:00Z",
        ]));
        assert!(fetched.status.success(), "{}", error(&fetched));
        assert!(run(&mut lab(&["gate", "keygen", "--out", &world.path("key")])).status.success());
        let gates = std::fs::read_to_string(root().join("config/gates.toml")).expect("thresholds");
        let (head, _) = gates.split_once("scenarios = [").expect("scenarios");
        world.write("gates.toml", &format!("{head}scenarios = [\"usual\", \"gaps\"]\n"));
        world.write("forward.toml", FORWARD);
        world.write("stress.toml", SCENARIOS);
        let usual = std::fs::read_to_string(root().join("config/chain.toml")).expect("a chain");
        let mut chain: toml::Table = usual.parse().expect("TOML");
        for (key, name) in
            [("forward", "forward.toml"), ("scenarios", "stress.toml"), ("gates", "gates.toml")]
        {
            chain.insert(key.to_owned(), world.path(name).into());
        }
        chain.insert("sources".to_owned(), vec![world.path("history")].into());
        chain.insert("hold_out".to_owned(), "2026-01-09T18:00:00Z".into());
        world.write("chain.toml", &toml::to_string(&chain).expect("TOML"));
        world
    }

    fn path(&self, name: &str) -> String {
        text(&self.0.path().join(name)).to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).expect("written");
    }

    /// The chain with its results in that folder.
    fn chain(&self, below: &str) -> Command {
        let (config, key, below) = (self.path("chain.toml"), self.path("key"), self.path(below));
        let at = "--decided-at=2026-01-10T00:00:00Z";
        let mut command =
            lab(&["chain", "--config", &config, "--key", &key, "--below", &below, at]);
        command.arg("--json");
        command
    }

    /// Every file of a folder with its bytes; what was being written when it was killed left out.
    fn files(&self, below: &str) -> BTreeMap<String, Vec<u8>> {
        let dir = self.0.path().join(below);
        let found = peregrine::venue::dataset::files_below(&dir).expect("files");
        let of = |path: &PathBuf| {
            let name = text(path.strip_prefix(&dir).expect("below it")).to_owned();
            (name, std::fs::read(path).expect("a file"))
        };
        let is_left = |path: &&PathBuf| !text(path).ends_with(".new");
        found.iter().filter(is_left).map(of).collect()
    }

    fn same(&self, one: &str, other: &str) {
        let (one, other) = (self.files(one), self.files(other));
        let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other));
        let differing: Vec<&String> =
            one.keys().filter(|name| one[*name] != other[*name]).collect();
        assert!(differing.is_empty(), "other bytes: {differing:?}");
    }
}

/// Names of steps that were done, and of those that were there.
fn steps(told: &Value) -> (Vec<String>, Vec<String>) {
    let all = told["steps"].as_array().expect("steps");
    let name = |step: &Value| step["step"].as_str().expect("a name").to_owned();
    let (new, there): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|s| s["new"] == true);
    (new.into_iter().map(name).collect(), there.into_iter().map(name).collect())
}

fn kill(mut child: Child) {
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
}

#[test]
fn two_chains_end_in_the_same_bytes_and_a_third_finds_everything_done() {
    let world = World::new();
    let done = run(&mut world.chain("one"));
    assert_eq!(done.status.code(), Some(3), "{}", error(&done));
    let told = last_json(&done);
    assert_eq!(told["verdict"], "NO-GO");
    let failed = told["failed"].as_array().expect("criteria");
    assert!(failed.contains(&"significance.dsr_min".into()), "{told}");
    let every =
        ["import", "freeze", "verify", "walk-forward", "train", "hold-out", "stress", "gate"];
    assert_eq!(steps(&told).0, every);
    assert_eq!(run(&mut world.chain("two")).status.code(), Some(3));
    world.same("one", "two");
    let files = world.files("one");
    for name in [
        "data/2025-q1/data_manifest.yaml",
        "data/2025-q1/quality_report.md",
        "data/2025-q1/hold_out_openings.txt",
        "models_saved/2025-q1-1/card.toml",
        "models_saved/2025-q1-1/model.onnx",
        "reports/2025-q1-1/walk_forward.json",
        "reports/2025-q1-1/wfv_report.md",
        "reports/2025-q1-1/hold_out.json",
        "reports/2025-q1-1/stress.json",
        "reports/2025-q1-1/stress_test_results.md",
        "reports/2025-q1-1/gate_decision.json",
        "reports/2025-q1-1/gate_decision.pdf",
    ] {
        assert!(files.contains_key(name), "{name} is missing");
    }
    // The model is the one that was judged.
    let walk: Value =
        serde_json::from_slice(&files["reports/2025-q1-1/walk_forward.json"]).expect("JSON");
    let card = String::from_utf8(files["models_saved/2025-q1-1/card.toml"].clone()).expect("text");
    let card: toml::Table = card.parse().expect("TOML");
    let training = card["created_from"]["training_sha256"].as_str();
    assert_eq!(walk["training_sha256"].as_str(), training);
    let again = run(&mut world.chain("one"));
    assert_eq!(again.status.code(), Some(3), "{}", error(&again));
    // Looked at again, and outcomes taken as they are: that is no work.
    assert_eq!(steps(&last_json(&again)).0, ["verify", "stress"]);
    world.same("one", "two");
}

#[test]
fn killed_in_the_folds_and_in_the_scenarios_it_goes_on_and_ends_in_the_same_bytes() {
    let world = World::new();
    assert_eq!(run(&mut world.chain("whole")).status.code(), Some(3));
    let mut child = world
        .chain("killed")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child process");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let stored = lines.map(|line| line.expect("text")).filter(|line| line.starts_with("stored"));
    assert!(stored.take(2).count() == 2, "it stores folds");
    kill(child);
    let reports = world.0.path().join("killed/reports/2025-q1-1");
    assert!(!reports.join("walk_forward.json").exists(), "it was killed too late");
    let silent = |command: &mut Command| {
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("a child process")
    };
    let mut child = silent(&mut world.chain("killed"));
    while !reports.join("stress/usual.json").exists() {
        assert!(child.try_wait().expect("asked").is_none(), "it ended before");
        std::thread::park_timeout(Duration::from_millis(1));
    }
    kill(child);
    assert!(reports.join("walk_forward.json").exists(), "it went on where it was");
    assert!(!reports.join("gate_decision.json").exists(), "it was killed too late");
    let done = run(&mut world.chain("killed"));
    assert_eq!(done.status.code(), Some(3), "{}", error(&done));
    let (new, there) = steps(&last_json(&done));
    assert_eq!(there, ["import", "freeze", "walk-forward", "train", "hold-out"], "{new:?}");
    world.same("killed", "whole");
}

#[test]
fn what_was_changed_is_made_anew_and_other_sources_are_refused() {
    let world = World::new();
    assert_eq!(run(&mut world.chain("one")).status.code(), Some(3));
    let before = world.files("one");
    let below = world.0.path().join("one");
    let spoil = |name: &str| std::fs::write(below.join(name), "changed").expect("written");
    let remade = |names: &[&str]| {
        let done = run(&mut world.chain("one"));
        assert_eq!(done.status.code(), Some(3), "{}", error(&done));
        assert_eq!(steps(&last_json(&done)).0, names);
        assert!(world.files("one") == before, "other bytes");
    };
    spoil("reports/2025-q1-1/wfv_report.md");
    remade(&["verify", "walk-forward", "stress"]);
    spoil("models_saved/2025-q1-1/model.onnx");
    remade(&["verify", "train", "stress"]);
    spoil("reports/2025-q1-1/stress/gaps.json");
    remade(&["verify", "stress"]);
    spoil("reports/2025-q1-1/gate_decision.json");
    remade(&["verify", "stress", "gate"]);
    // Another file among the sources: the data set stays what it is, and the chain ends.
    let other = world.path("other");
    std::fs::create_dir(&other).expect("a folder");
    std::fs::write(Path::new(&other).join("BTCUSDT-1m.csv"), "1,1,1,1,1,1\n").expect("written");
    let history = world.path("history");
    for from in [&["--from", &other][..], &["--from", &history, "--from", &other]] {
        let refused = run(world.chain("one").args(from));
        assert_eq!(refused.status.code(), Some(1));
        let told = error(&refused);
        assert!(told.contains("name another folder") && told.contains("data/2025-q1"), "{told}");
    }
    assert!(world.files("one") == before, "other bytes");
}
