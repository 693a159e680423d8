//! The folder of it all: configurations, keys, data, registry, journals; and the two programs, run
//! as people run them.

use crate::market::{self, BAR_MS, BAR_NAME, Relation};
use peregrine::registry::Registry;
use peregrine::registry::seal::PublicKey;
use peregrine::runtime::cli;
use peregrine::runtime::config::{self, Loaded};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use toml::Table;

/// Who signs what: the key's file, and the list of `[stage]` that trusts it.
const KEYS: [(&str, &str); 4] = [
    ("gate", "trusted_keys"),
    ("engine", "verdict_keys"),
    ("risk", "risk_keys"),
    ("mlops", "mlops_keys"),
];
/// How far a label looks ahead, in candles and milliseconds.
const HORIZON_BARS: i64 = 5;
pub const HORIZON_MS: i64 = HORIZON_BARS * BAR_MS;
/// Share and length of the canary's blocks.
pub const SHARE_BPS: u16 = 2_000;
pub const BLOCK_MS: u32 = 3_600_000;

/// The trader over candles, whose quotes come every 45 seconds: decisions once a candle on what
/// the hour tells, exits by the model, one size. An order takes a quarter of what is displayed, so
/// the half basis point that sizing expects is what the paper venue moves the price by.
const TRADER: &str = "
[session]
timer_interval_ms = 60000
[instruments]
symbols = [\"BTCUSDT\"]
discover = false
[features]
bar_interval_ms = 180000
market_age_ms_max = 180000
slow_age_ms_max = 360000
[model]
budget_us = 1000000
[policy]
decision_interval_ms = 180000
[exits]
stop_atr = 0.0
take_profit_r = 0.0
trail_r = 0.0
hold_bars = 0
hold_ms_max = 86400000
volatility_high = 0.0
volatility_low = 0.0
[sizing]
volatility_reference_bps = 0.0
slippage_bps = 0.5
impact_bps = 0.0
[paper]
impact_bps = 1.0
[risk]
allow = [\"BTCUSDT\"]
market_age_ms_max = 180000
model_identical_max = 1000
model_one_sided_percent_max = 100
[breakers]
stale_degraded_ms = 3599999
stale_ms = 3600000
range_trip_percent = 100000
[canary]
share_bps = 2000
block_ms = 3600000
p99_us_max = 1000000
[journal]
input_segment_mib = 16
output_segment_mib = 8
[http]
bind = \"\"
";

/// Rows, labels and folds. The second threshold asks for more than a model is sure of, so that the
/// best of the trials is no matter of luck.
const FORWARD: &str = "
period_ms = 3600000
[rows]
bar_ms = 180000
every_bars = 1
features = [\"hour_sin\", \"hour_cos\"]
[label]
horizon_bars = 5
barrier = 0.0
flat_bps = 0.0
[folds]
count = 5
embargo_bars = 20
groups = 6
tested = 2
blocks = 6
[trees]
rounds = 120
learning_rate = 0.2
depths = [3]
leaf_rows_min = 20
patience = 10
[policy]
enter_edges = [0.3, 0.9999]
";

/// What of `config/gates.toml` depends on how far labels look, and on one instrument: no threshold.
const GATES: &str = "
[stress]
scenarios = [\"gaps\"]
[promotion]
horizon_ms = 900000
slot_ms = 450000
[drift]
window = 240
window_hours = 24.0
";

/// The nightly learning, below folders that are filled in.
const LEARN: &str = "
session = \"paper\"
name = \"night\"
nights_max = 1
nice = 0
bar_ms = 180000
[check]
gap_s_max = 120
[gate]
";

const SCENARIOS: &str = "seed = 3\nbars_min = 3\n[[scenario]]\nname = \"gaps\"\nwhat = \"jumps\"\n\
                         minutes = 10\nframes_per_second = 50\ngaps = [[5, -300], [7, 500]]\n";

/// See the head of this file.
pub struct World {
    dir: TempDir,
}

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A table with the values of another one over it.
fn laid_over(below: &mut Table, above: &str) {
    let above: Table = above.parse().unwrap();
    for (section, values) in above {
        let table = below.entry(section).or_insert_with(|| toml::Value::Table(Table::new()));
        let table = table.as_table_mut().unwrap();
        values.as_table().unwrap().iter().for_each(|(key, value)| {
            table.insert(key.clone(), value.clone());
        });
    }
}

impl World {
    pub fn new() -> Self {
        let world = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["config", "keys", "downloads"] {
            std::fs::create_dir(world.path(folder)).unwrap();
        }
        for (name, _) in KEYS {
            world.lab(&["gate", "keygen", "--out", &world.key(name)]);
        }
        world.write("config/paper.toml", &world.trader());
        let gates = std::fs::read_to_string(root().join("config/gates.toml")).unwrap();
        let mut gates: Table = gates.parse().unwrap();
        laid_over(&mut gates, GATES);
        world.write("config/gates.toml", &gates.to_string());
        world.write("config/forward.toml", FORWARD);
        world.write("config/stress.toml", SCENARIOS);
        world.write("config/learn.toml", &world.learning());
        world
    }

    fn trader(&self) -> String {
        let shipped = config::load(&root().join("config/paper.toml")).unwrap();
        let mut table: Table = shipped.text.parse().unwrap();
        laid_over(&mut table, TRADER);
        let own = format!(
            "[session]\nstate_dir = {:?}\n[model]\ndir = {:?}\n[rollback]\ngates = {:?}\n",
            self.text("state"),
            self.text("models"),
            self.text("config/gates.toml"),
        );
        laid_over(&mut table, &own);
        for (name, list) in KEYS {
            let keys = format!("[stage]\n{list} = [\"{}\"]\n", self.public(name).hex());
            laid_over(&mut table, &keys);
        }
        table.to_string()
    }

    fn learning(&self) -> String {
        let mut table: Table = LEARN.parse().unwrap();
        let mut set = |key: &str, path: &str| {
            table.insert(key.to_owned(), self.text(path).into());
        };
        set("state", "state");
        set("registry", "models");
        set("work", "learning");
        set("forward", "config/forward.toml");
        let gate = [("key", "keys/gate"), ("gates", "config/gates.toml")];
        let more = [("trader", "config/paper.toml"), ("scenarios", "config/stress.toml")];
        for (key, path) in gate.into_iter().chain(more) {
            let place = table["gate"].as_table_mut().unwrap();
            place.insert(key.to_owned(), self.text(path).into());
        }
        table.to_string()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&self.read(name)).unwrap()
    }

    pub fn key(&self, name: &str) -> String {
        self.text(&format!("keys/{name}"))
    }

    pub fn public(&self, name: &str) -> PublicKey {
        let text = std::fs::read_to_string(self.path(&format!("keys/{name}.pub"))).unwrap();
        PublicKey::from_hex(text.trim()).unwrap()
    }

    pub fn registry(&self) -> Registry {
        Registry::open(&self.path("models")).unwrap()
    }

    /// The trader's configuration with values over it.
    pub fn configured(&self, values: &[(&str, &str, toml::Value)]) -> Loaded {
        let loaded = config::load(&self.path("config/paper.toml")).unwrap();
        config::with_values(&loaded, values).unwrap()
    }

    /// The folder of a session's journal.
    pub fn journal(&self, number: u32) -> PathBuf {
        self.path(&format!("state/journal/{number:07}-paper"))
    }

    /// Runs the lab's program, which has to end well.
    pub fn lab(&self, words: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
        let output = command.args(words).current_dir(self.dir.path()).output().unwrap();
        let [told, error] = [&output.stdout, &output.stderr].map(|s| String::from_utf8_lossy(s));
        assert!(output.status.success(), "{words:?}: {:?}: {told}{error}", output.status);
    }

    /// Carries out a command of the trader's program; its exit code.
    pub fn code(&self, words: &[&str]) -> u8 {
        cli::run([&["peregrine"], words].concat())
    }

    /// The same for one that has to end well.
    #[track_caller]
    pub fn trader_does(&self, words: &[&str]) {
        assert_eq!(self.code(words), 0, "{words:?}");
    }

    /// A change of the registry, by somebody for a reason.
    #[track_caller]
    pub fn model(&self, words: &[&str], by: &str, reason: &str) {
        assert_eq!(self.model_code(words, by, reason), 0, "{words:?}");
    }

    /// The same; its exit code.
    pub fn model_code(&self, words: &[&str], by: &str, reason: &str) -> u8 {
        let dir = self.text("models");
        let more = ["--dir", &dir, "--by", by, "--reason", reason];
        self.code(&[&["model"], words, &more].concat())
    }

    /// Candles as a frozen data set below `data`.
    pub fn data(&self, name: &str, (seed, first): (u64, i64), days: &[Relation]) {
        let from = format!("downloads/{name}");
        std::fs::create_dir(self.path(&from)).unwrap();
        let file = format!("{from}/BTCUSDT-{BAR_NAME}.csv");
        self.write(&file, &market::candles(seed, first, days));
        let out = self.text(&format!("data/{name}"));
        self.lab(&["import", "--out", &out, &self.text(&from)]);
        self.lab(&["freeze", &out, "--name", name]);
    }

    /// Trains a version below `made` on a data set.
    pub fn train(&self, version: &str, data: &str) {
        let (data, out) = (self.text(&format!("data/{data}")), self.made(version));
        let config = self.text("config/forward.toml");
        self.lab(&["train", "--data", &data, "--out", &out, "--config", &config]);
    }

    /// The folder of a version before it is registered.
    pub fn made(&self, version: &str) -> String {
        self.text(&format!("made/{version}"))
    }

    /// Validation, stress test and decision of a version of that data set: the signed GO.
    pub fn decided(&self, version: &str, data: &str) -> String {
        let out = self.text(&format!("reports/{version}"));
        let (data, made) = (self.text(&format!("data/{data}")), self.made(version));
        let [forward, paper, gates, scenarios] = ["forward", "paper", "gates", "stress"]
            .map(|name| self.text(&format!("config/{name}.toml")));
        self.lab(&["walk-forward", "--data", &data, "--out", &out, "--config", &forward]);
        let stress = ["stress", "--model", &made, "--out", &out, "--config", &paper];
        self.lab(&[&stress[..], &["--scenarios", &scenarios, "--gates", &gates]].concat());
        let key = self.key("gate");
        let gate = ["gate", "--model", &made, "--evidence", &out, "--config", &gates];
        self.lab(&[&gate[..], &["--key", &key, "--out", &out]].concat());
        format!("{out}/gate_decision.json")
    }

    /// A session over the days from one to another, up to their end.
    pub fn trade(&self, number: u32, (from, to): (i64, i64)) {
        let (journal, config) = (self.journal(number), self.text("config/paper.toml"));
        let (data, journal) = (self.text("data/market"), journal.to_str().unwrap());
        let (from, to) = (market::at(from), market::at(to));
        let words = ["backtest", "--config", &config, "--data", &data, "--journal", journal];
        self.trader_does(&[&words[..], &["--from", &from, "--to", &to]].concat());
    }
}
