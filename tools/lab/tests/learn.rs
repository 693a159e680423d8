//! Learning each night, in small: journals of some days made by the trader over candles, and the
//! program over them. Killed in each step; after a downtime; on a day with a hole; where it drifts.

use peregrine::execution::Signer;
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{hex, sha256};
use peregrine::registry::decision::{Criterion, DecidedModel, Decision, Relation};
use peregrine::registry::seal::SigningKey;
use peregrine::registry::{Change, Registry, Stage};
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::backtest::{BacktestOrder, Source, run};
use peregrine::runtime::config;
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::recover::Carried;
use peregrine::runtime::state::StateFolder;
use peregrine::venue::dataset::{DataSet, files_below};
use peregrine_lab::data::{freeze::freeze, import::import};
use peregrine_lab::forward::Config;
use peregrine_lab::history::feature_settings;
use peregrine_lab::train::frozen::{Order, train_frozen};
use peregrine_lab::train::write;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use tempfile::TempDir;

/// 2026-01-10T00:00:00Z, the first day of the sessions.
const FIRST_MS: i64 = 1_768_003_200_000;
const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;
/// Days of the sessions; the last one is another market.
const DAYS: i64 = 5;

const FORWARD: &str = "period_ms = 3600000\n\
    [rows]\nbar_ms = 60000\nevery_bars = 1\nfeatures = [\"return_5\", \"return_20\", \"natr\"]\n\
    [label]\nhorizon_bars = 10\nbarrier = 0.0\nflat_bps = 10.0\n\
    [costs]\ntaker_fee_bps = 0.0\nspread_bps = 0.0\nslippage_bps = 0.0\n\
    [folds]\ncount = 3\nembargo_bars = 5\ngroups = 3\ntested = 1\n\
    [trees]\nrounds = ROUNDS\ndepths = [2]\nleaf_rows_min = 30\n\
    [policy]\nenter_edges = [0.05]\n";

const SCENARIOS: &str = "seed = 11\n[[scenario]]\nname = \"usual\"\nwhat = \"as it is\"\n\
    minutes = 0.2\nframes_per_second = 200\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn forward(rounds: usize) -> String {
    FORWARD.replace("ROUNDS", &rounds.to_string())
}

/// Candles of a minute whose drift lasts, from the first day less two on; a minute moves by 20
/// basis points, and by ten times as much on the last day.
fn candles() -> Vec<(i64, String)> {
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(5);
    let mut normal = move || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    let (mut px, mut drift, mut all) = (1_000.0_f64, 0.0_f64, Vec::new());
    for at in -2 * DAY_MINUTES..DAYS * DAY_MINUTES {
        let wild = if at >= (DAYS - 1) * DAY_MINUTES { 10.0 } else { 1.0 };
        drift = 0.95 * drift + (1.0_f64 - 0.95 * 0.95).sqrt() * normal();
        let change = wild * 0.002 * (0.8 * drift + 0.6 * normal());
        let close = (px * (1.0 + change)).clamp(10.0, 1e5);
        let (high, low) = (px.max(close) * 1.0002, px.min(close) * 0.9998);
        let ms = FIRST_MS + at * MINUTE_MS;
        let volume = 5.0 + normal().abs();
        let line = format!("{ms},{px:.2},{high:.2},{low:.2},{close:.2},{volume:.3}\n");
        all.push((at, line));
        px = (close * 100.0).round() / 100.0;
    }
    all
}

/// A data set of the candles that `keep` takes.
fn set(all: &[(i64, String)], keep: impl Fn(i64) -> bool) -> (TempDir, DataSet) {
    let (from, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut text = "open_time_ms,open,high,low,close,volume\n".to_owned();
    all.iter().filter(|(at, _)| keep(*at)).for_each(|(_, line)| text.push_str(line));
    std::fs::write(from.path().join("BTCUSDT-1m.csv"), text).unwrap();
    import(&[from.path().to_path_buf()], dir.path(), &mut |_, _, _| {}).unwrap();
    let set = freeze(dir.path(), "made").unwrap();
    (dir, set)
}

/// What all tests read: journals, and a champion that learned little from the two days before.
struct Shared {
    dir: TempDir,
}

static SHARED: LazyLock<Shared> = LazyLock::new(Shared::new);

impl Shared {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let all = candles();
        let (_before, before) = set(&all, |at| at < 0);
        let config: Config = toml::from_str(&forward(1)).unwrap();
        let order = Order { version: "first".to_owned(), config, threads: 1 };
        let version = train_frozen(&before, &order, &mut |_| {}).unwrap();
        let registry = dir.path().join("models_saved");
        write(&version, &registry.join("first")).unwrap();
        let mut opened = Registry::create(&registry).unwrap();
        let change = |at_ms, reason: &str| Change {
            at_ms,
            by: "a test".to_owned(),
            reason: reason.to_owned(),
            evidence_sha256: None,
        };
        opened.register(&registry.join("first"), None, change(1, "made")).unwrap();
        opened.advance("first", Stage::Champion, change(2, "the first one")).unwrap();
        let of = |day: i64| move |at: i64| at.div_euclid(DAY_MINUTES) == day;
        let [state, gap] = ["state", "state-gap"].map(|name| dir.path().join(name));
        std::fs::create_dir_all(gap.join("journal")).unwrap();
        for day in 0..DAYS {
            let (_dir, own) = set(&all, of(day));
            session(&own, &registry.join("first"), &state, day as u32 + 1);
            let name = StateFolder::journal_name(day as u32 + 1, "paper");
            // The same days, but half an hour of the third one is missing.
            if day == 2 {
                let is_lost = |at: i64| (600..630).contains(&at.rem_euclid(DAY_MINUTES));
                let (_dir, own) = set(&all, |at| of(day)(at) && !is_lost(at));
                session(&own, &registry.join("first"), &gap, day as u32 + 1);
            } else {
                let journal = state.join("journal").join(&name);
                std::os::unix::fs::symlink(journal, gap.join("journal").join(&name)).unwrap();
            }
        }
        Self { dir }
    }
}

/// A session of the trader over a data set, into the state folder.
fn session(set: &DataSet, model: &Path, state: &Path, epoch: u32) {
    let loaded = config::load(&root().join("config/paper.toml")).unwrap();
    let features = feature_settings(MINUTE_MS as u32);
    let number = |value: u32| toml::Value::Integer(value.into());
    let symbols = toml::Value::Array(vec!["BTCUSDT".into()]);
    let values = [
        ("features", "bar_interval_ms", number(features.bar_interval_ms)),
        ("features", "market_age_ms_max", number(features.market_age_ms_max)),
        ("features", "slow_age_ms_max", number(features.slow_age_ms_max)),
        // A timer each ten seconds: nine in ten records would be timers otherwise.
        ("session", "timer_interval_ms", number(10_000)),
        ("instruments", "symbols", symbols.clone()),
        ("risk", "allow", symbols),
    ];
    let loaded = config::with_values(&loaded, &values).unwrap();
    let parts = Parts {
        settings: loaded.settings,
        text: loaded.text,
        instruments: set.instruments().unwrap(),
        files: ArtifactFiles::read(model).unwrap(),
        own: OwnModels::default(),
        epoch,
        mode: 0,
        carried: Carried::default(),
        signer: Signer::paper(),
    };
    let journal = state.join("journal").join(StateFolder::journal_name(epoch, "paper"));
    let source = Source::Frozen(set.clone());
    let order = BacktestOrder { source, journal, from: None, to: None, audit: None };
    run(&parts, &order).unwrap();
}

/// A place of its own to learn in, over the shared journals.
struct World(TempDir);

impl World {
    /// `more` stands above the usual values of `learn.toml`, `tables` behind its own.
    fn new(state: &str, rounds: usize, more: &str, tables: &str) -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        let registry = SHARED.dir.path().join("models_saved");
        for file in files_below(&registry).unwrap() {
            let to = world.path("models_saved").join(file.strip_prefix(&registry).unwrap());
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&file, to).unwrap();
        }
        let state = SHARED.dir.path().join(state);
        std::os::unix::fs::symlink(state, world.path("state")).unwrap();
        std::os::unix::fs::symlink(root().join("config"), world.path("config")).unwrap();
        let gates = std::fs::read_to_string(root().join("config/gates.toml")).unwrap();
        let (head, behind) = gates.split_once("scenarios = [").unwrap();
        let (_, tail) = behind.split_once(']').unwrap();
        world.write("gates.toml", &format!("{head}scenarios = [\"usual\"]{tail}"));
        world.write("stress.toml", SCENARIOS);
        world.write("forward.toml", &forward(rounds));
        let mut text = format!("forward = \"forward.toml\"\nbar_ms = 0\nwindow_days = 3\n{more}\n");
        let check = "[check]\nlabels_min = 50\ndrifted_frac_max = 1.0\ncoverage_min = 0.9\n";
        let gate = "[gate]\ngates = \"gates.toml\"\nscenarios = \"stress.toml\"\n";
        let _ = write!(text, "{check}{gate}{tables}");
        world.write("learn.toml", &text);
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn lab(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
        command.args(words).current_dir(self.0.path());
        command
    }

    fn once_at(&self, at: &str) -> Command {
        self.lab(&["learn", "once", "--config", "learn.toml", "--at", at, "--json"])
    }

    /// Nights by name with their outcomes, in the order in which they came.
    fn once(&self, at: &str) -> Vec<(String, String, String)> {
        let output = self.once_at(at).output().unwrap();
        nights(&output)
    }

    fn night(&self, name: &str) -> Value {
        let path = self.path("learning/nights").join(name).join("night.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn champion(&self) -> String {
        let registry = Registry::open(&self.path("models_saved")).unwrap();
        registry.champion_version().unwrap().to_owned()
    }

    /// Every file that learning left, and the registry; what steps printed is left out.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        for folder in ["learning", "models_saved"] {
            for path in files_below(&self.path(folder)).unwrap() {
                let name = path.strip_prefix(self.0.path()).unwrap().display().to_string();
                let is_left = !name.starts_with("learning/log/") && !name.ends_with(".new");
                if is_left {
                    found.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
        found
    }
}

fn nights(output: &Output) -> Vec<(String, String, String)> {
    let said = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_else(|| panic!("{said}"));
    let told: Value = serde_json::from_str(last).unwrap();
    let field = |night: &Value, key: &str| night[key].as_str().unwrap_or_default().to_owned();
    let all = told["nights"].as_array().unwrap().iter();
    all.map(|night| (field(night, "day"), field(night, "outcome"), field(night, "reason")))
        .collect()
}

fn names(nights: &[(String, String, String)]) -> Vec<(&str, &str)> {
    nights.iter().map(|(name, outcome, _)| (name.as_str(), outcome.as_str())).collect()
}

const NO_DRIFT: &str = "[drift]\non = false\n";

/// The kill is sent as a step begins, with its process under way or about to be.
#[test]
fn killed_in_each_step_it_goes_on_and_ends_in_the_same_bytes() {
    let key = "key = \"gate.key\"\n";
    let [whole, killed] = ["whole", "killed"].map(|_| {
        let world = World::new("state", 12, "", NO_DRIFT);
        let text = std::fs::read_to_string(world.path("learn.toml")).unwrap();
        world.write("learn.toml", &text.replace("[gate]\n", &format!("[gate]\n{key}")));
        world
    });
    let made = whole.lab(&["gate", "keygen", "--out", "gate.key"]).output().unwrap();
    assert!(made.status.success());
    std::fs::copy(whole.path("gate.key"), killed.path("gate.key")).unwrap();
    let at = "2026-01-13T02:00:00Z";
    let told = whole.once(at);
    assert_eq!(
        names(&told),
        [("2026-01-10", "staged"), ("2026-01-11", "staged"), ("2026-01-12", "staged")],
        "{told:?}"
    );
    let mut kills = Vec::new();
    for step in [
        "freeze",
        "check",
        "forward",
        "walk-forward",
        "cold",
        "warm",
        "compete",
        "stress",
        "gate",
        "registry",
        "report",
    ] {
        let mut command = killed.once_at(at);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        // Every step of the three nights comes by; the first of this name is hit.
        let begun = lines.find(|line| line.ends_with(&format!(": {step}")));
        child.kill().unwrap();
        child.wait().unwrap();
        kills.extend(begun);
    }
    assert_eq!(kills.len(), 11, "{kills:?}");
    let rest = killed.once(at);
    assert!(!rest.is_empty(), "something was left to do");
    let (one, other) = (whole.files(), killed.files());
    let differing: Vec<&String> =
        one.keys().chain(other.keys()).filter(|name| one.get(*name) != other.get(*name)).collect();
    assert!(differing.is_empty(), "other bytes: {differing:?}");
    assert!(whole.once(at).is_empty(), "what was done is not due");
    assert_eq!((whole.champion(), killed.champion()), ("first".to_owned(), "first".to_owned()));
}

#[test]
fn a_downtime_is_made_up_for_oldest_first_and_trials_add_up() {
    let world = World::new("state", 12, "nights_max = 2\nkeep_nights = 2\n", NO_DRIFT);
    assert!(world.once("2026-01-11T01:59:59Z").is_empty(), "its hour has not come");
    assert_eq!(names(&world.once("2026-01-11T02:00:00Z")), [("2026-01-10", "staged")]);
    let told = world.once("2026-01-14T12:00:00Z");
    assert_eq!(
        names(&told),
        [("2026-01-11", "passed"), ("2026-01-12", "staged"), ("2026-01-13", "staged")],
        "{told:?}"
    );
    let [first, third, fourth] =
        ["2026-01-10", "2026-01-12", "2026-01-13"].map(|name| world.night(name));
    // A threshold and a depth, and the model that goes on: two each night.
    let totals = [&first, &third, &fourth].map(|night| night["trials"]["total"].as_u64());
    assert_eq!(totals, [Some(2), Some(4), Some(6)]);
    assert_eq!(third["window"], serde_json::json!(["2026-01-10", "2026-01-11", "2026-01-12"]));
    assert_eq!(fourth["window"][0], "2026-01-11", "the window has three days");
    // Better by what nothing of the night has seen: its rows lie behind what was learned from.
    let loss = |name: &str| {
        let all = fourth["candidates"].as_array().unwrap().iter();
        all.clone().find(|c| c["name"] == name).unwrap()["log_loss"].as_f64().unwrap()
    };
    let chosen = fourth["chosen"].as_str().unwrap();
    assert!(loss(chosen) < loss("champion") && loss(chosen) <= loss("cold").min(loss("warm")));
    let tables = |name: &str| world.path("learning/nights").join(name).join("data/trades").exists();
    let kept = ["2026-01-10", "2026-01-12", "2026-01-13"].map(tables);
    assert_eq!(kept, [false, true, true], "tables of the newest nights");
    let manifest = world.path("learning/nights/2026-01-10/data/data_manifest.yaml");
    assert!(manifest.exists());
    assert_eq!(world.champion(), "first");
    let registry = Registry::open(&world.path("models_saved")).unwrap();
    let version = fourth["registered"]["version"].as_str().unwrap();
    assert_eq!(registry.show(version).unwrap().stage, Stage::Staged);
    assert!(registry.verify().unwrap().problems.is_empty());
}

#[test]
fn a_day_with_a_hole_is_refused_by_name_and_is_in_no_window() {
    let world = World::new("state-gap", 12, "nights_max = 4\n", NO_DRIFT);
    let told = world.once("2026-01-14T02:00:00Z");
    assert_eq!(
        names(&told),
        [
            ("2026-01-10", "staged"),
            ("2026-01-11", "staged"),
            ("2026-01-12", "refused"),
            ("2026-01-13", "staged")
        ],
        "{told:?}"
    );
    let reason = &told[2].2;
    assert!(reason.starts_with("check.gap_s_max: nothing of BTCUSDT for 18"), "{reason}");
    assert!(reason.contains("2026-01-12T09:59:5"), "{reason}");
    let window = world.night("2026-01-13")["window"].clone();
    assert_eq!(window, serde_json::json!(["2026-01-11", "2026-01-13"]));
}

#[test]
fn what_is_not_better_is_not_registered() {
    // One round beside a champion of one round, and by more than there is to gain.
    let world = World::new("state", 1, "improvement_min = 1.0\n", NO_DRIFT);
    let before = std::fs::read(world.path("models_saved/registry.json")).unwrap();
    let told = world.once("2026-01-12T02:00:00Z");
    assert_eq!(names(&told), [("2026-01-10", "none"), ("2026-01-11", "none")], "{told:?}");
    assert!(told[0].2.contains("improvement_min") || told[0].2.contains("class shares"));
    assert_eq!(std::fs::read(world.path("models_saved/registry.json")).unwrap(), before);
}

#[test]
fn a_day_that_drifts_is_learned_early_and_once() {
    let tables = "[drift]\nloss_days = 1\npsi_max = 1.0\n";
    let world = World::new("state", 12, "nights_max = 1\n", tables);
    let calm = world.once("2026-01-13T20:00:00Z");
    assert_eq!(calm.len(), 3, "what was due, and nothing early: {calm:?}");
    // The last day is another market: ten times as wild.
    let told = world.once("2026-01-14T12:00:00Z");
    let early: Vec<_> = told.iter().filter(|(name, ..)| name == "2026-01-14-early").collect();
    assert_eq!(early.len(), 1, "{told:?}");
    let night = world.night("2026-01-14-early");
    let trigger = night["trigger"].as_str().unwrap();
    assert!(trigger.starts_with("drift: "), "{trigger}");
    assert_eq!(night["window"].as_array().unwrap().last().unwrap(), "2026-01-14");
    assert!(world.once("2026-01-14T13:00:00Z").is_empty(), "once a day");
    assert_eq!(world.champion(), "first");
}

/// The decision is signed by hand here: what earns a GO is the gate's to say, and takes weeks.
#[test]
fn a_signed_go_makes_a_challenger_as_far_as_there_is_room_and_no_champion() {
    let trader = "trader = \"trader.toml\"\n";
    let world = World::new("state", 12, "challengers_max = 1\n", NO_DRIFT);
    let text = std::fs::read_to_string(world.path("learn.toml")).unwrap();
    world.write("learn.toml", &text.replace("[gate]\n", &format!("[gate]\n{trader}")));
    let public = SigningKey::create(&world.path("gate.key")).unwrap();
    let key = SigningKey::read(&world.path("gate.key")).unwrap();
    let read = |name: &str| std::fs::read_to_string(root().join("config").join(name)).unwrap();
    let trusted = format!("trusted_keys = [\"{}\"]", public.hex());
    world.write("risk.toml", &read("risk.toml").replacen("trusted_keys = []", &trusted, 1));
    world.write("trader.toml", &read("paper.toml"));
    assert_eq!(world.once("2026-01-12T02:00:00Z").len(), 2);
    let decide = |name: &str| {
        let night = world.night(name);
        let version = night["registered"]["version"].as_str().unwrap().to_owned();
        let files = ArtifactFiles::read(&world.path("models_saved").join(&version)).unwrap();
        let model = DecidedModel {
            version: version.clone(),
            sha256: hex(&files.sha256),
            card_sha256: hex(&sha256(files.card_text.as_bytes())),
            data_manifest_sha256: files.card.created_from.data_hash,
        };
        let held = Criterion {
            name: "older_rule.sharpe_min".to_owned(),
            value: Some(2.0),
            relation: Relation::AtLeast,
            threshold: 1.8,
            passed: true,
            evidence: "walk_forward.json".to_owned(),
            evidence_sha256: Some("a".repeat(64)),
        };
        let at_ms = 1_768_186_800_000;
        let hash = "b".repeat(64);
        let made = Decision::new(model, vec![held], BTreeMap::new(), hash, at_ms).unwrap();
        let reports = world.path("learning/nights").join(name).join("reports");
        peregrine_lab::gate::write(&made, &key, &reports).unwrap();
        version
    };
    let (first, second) = (decide("2026-01-10"), decide("2026-01-11"));
    let told = world.once("2026-01-12T03:00:00Z");
    assert_eq!(names(&told), [("2026-01-10", "challenger")], "{told:?}");
    let registry = Registry::open(&world.path("models_saved")).unwrap();
    let stage = |version: &str| registry.show(version).unwrap().stage;
    assert_eq!((stage(&first), stage(&second)), (Stage::Shadow, Stage::Staged), "one has room");
    let last = registry.history().last().unwrap();
    assert_eq!((last.by.as_str(), last.papers.len()), ("peregrine-lab learn", 1));
    assert_eq!(world.champion(), "first");
}

#[test]
fn a_status_tells_what_is_due_and_a_watch_ends_in_order() {
    let world = World::new("state", 12, "", NO_DRIFT);
    let words =
        ["learn", "status", "--config", "learn.toml", "--at", "2026-01-13T02:00:00Z", "--json"];
    let status = |world: &World| -> Value {
        let output = world.lab(&words).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let told = status(&world);
    assert_eq!(told["champion"], "first");
    assert_eq!(told["due"], serde_json::json!(["2026-01-10", "2026-01-11", "2026-01-12"]));
    // By the clock of today, all of these days are long over.
    let mut watch = world.lab(&["learn", "watch", "--config", "learn.toml"]);
    let mut child = watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.any(|line| line.ends_with(": report")), "it learns");
    let nice = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    let fields: Vec<&str> = nice.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[16], "19", "its niceness");
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!status(&world)["nights"].as_array().unwrap().is_empty());
}
