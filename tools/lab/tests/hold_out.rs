//! What is held out: nothing reads it but the one command, and each model that does is counted.

use peregrine::base::Nanos;
use peregrine::venue::dataset::{DataSet, Tape};
use peregrine_lab::data::freeze::freeze_but;
use peregrine_lab::data::import::import;
use peregrine_lab::forward::Config;
use peregrine_lab::history::rows;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

const MINUTE: i64 = 60_000;
const BEGIN: i64 = 1_700_000_040_000;
const CANDLES: i64 = 2_400;
/// The last quarter is held out.
const BORDER: i64 = BEGIN + 1_800 * MINUTE;

const CONFIG: &str = "period_ms = 600000\n[rows]\nevery_bars = 1\n\
    [label]\nhorizon_bars = 12\nbarrier = 0.0\n\
    [folds]\ncount = 3\nembargo_bars = 40\ngroups = 0\n\
    [trees]\nrounds = 8\ndepths = [2]\nleaf_rows_min = 30\n\
    [policy]\nenter_edges = [0.05]\n";

/// A data set of so many candles of a noisy wave.
fn set(dir: &Path, name: &str, candles: i64, hold_out: Option<i64>) -> DataSet {
    let mut text = "open_time_ms,open,high,low,close,volume\n".to_owned();
    let (mut px, mut state) = (1_000.0_f64, 12_345_u64);
    for at in 0..candles {
        state = (1_664_525 * state + 1_013_904_223) % (1 << 32);
        let noise = state as f64 / f64::from(u32::MAX) - 0.5;
        let close = px * (1.0 + 0.002 * (at as f64 / 15.0).sin() + 0.004 * noise);
        let (high, low) = (px.max(close) * 1.0002, px.min(close) * 0.9998);
        let (ms, volume) = (BEGIN + at * MINUTE, 5 + state % 7);
        let _ = writeln!(text, "{ms},{px:.2},{high:.2},{low:.2},{close:.2},{volume}");
        px = (close * 100.0).round() / 100.0;
    }
    let from = dir.join(format!("{name}-files"));
    std::fs::create_dir(&from).expect("a folder");
    std::fs::write(from.join("BTCUSDT-1m.csv"), text).expect("a file");
    let out = dir.join(name);
    import(&[from], &out, &mut |_, _, _| {}).expect("imported");
    freeze_but(&out, name, hold_out).expect("frozen")
}

fn config() -> Config {
    toml::from_str(CONFIG).expect("a configuration")
}

#[test]
fn what_is_held_out_might_as_well_not_be_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let (held, cut) =
        (set(dir.path(), "held", CANDLES, Some(BORDER)), set(dir.path(), "cut", 1_800, None));
    let mut tape = Tape::open(&held).expect("a tape");
    while let Some((ts, _)) = tape.next_payload().expect("a frame") {
        assert!(ts < Nanos::from_millis(BORDER));
    }
    let config = config();
    let read = |set: &DataSet| rows(set, &config.wanted(), &config.label_of(), &mut |_| {});
    let (one, other) = (read(&held).expect("rows"), read(&cut).expect("rows"));
    assert!(one.table.values == other.table.values && one.table.targets == other.table.targets);
    assert_eq!(one.lives, other.lives);
    assert!(one.len() > 1_500, "{}", one.len());
    assert!(one.lives.iter().all(|life| life.until <= BORDER));
    let mut beyond = config.clone();
    beyond.to_ms = Some(BORDER + MINUTE);
    let refused = rows(&held, &beyond.wanted(), &beyond.label_of(), &mut |_| {}).unwrap_err();
    assert!(refused.to_string().contains("held out"), "{refused}");
    // Nothing, and everything, cannot be held out.
    let from = dir.path().join("cut-files");
    for at in [BEGIN, BEGIN + 1_800 * MINUTE] {
        let out = dir.path().join(at.to_string());
        import(std::slice::from_ref(&from), &out, &mut |_, _, _| {}).expect("imported");
        let refused = freeze_but(&out, "all", Some(at)).unwrap_err().to_string();
        assert!(refused.contains("hold-out"), "{refused}");
    }
    let none = DataSet::open_hold_out(cut.dir(), "somebody").unwrap_err().to_string();
    assert!(none.contains("nothing is held out"), "{none}");
}

fn lab(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
    command.args(args).output().expect("it runs")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

struct World(TempDir);

impl World {
    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Validates and trains with this configuration, and judges on what is held out.
    fn judged(&self, name: &str, config: &str) -> Value {
        let (data, file) = (self.path("held"), self.path(&format!("{name}.toml")));
        let (model, out) = (self.path(name), self.path(&format!("{name}-reports")));
        std::fs::write(&file, config).expect("written");
        let files = ["--data", &data, "--config", &file];
        for done in [
            lab(&[&["walk-forward"], &files[..], &["--out", &out]].concat()),
            lab(&[&["train"], &files[..], &["--out", &model]].concat()),
        ] {
            assert!(done.status.success(), "{}", error(&done));
        }
        self.read(name)
    }

    fn hold_out(&self, name: &str, model: &str) -> Output {
        let (data, file) = (self.path("held"), self.path(&format!("{name}.toml")));
        let (model, out) = (self.path(model), self.path(&format!("{name}-reports")));
        let files = ["--data", &data, "--config", &file, "--model", &model];
        lab(&[&["hold-out"], &files[..], &["--out", &out]].concat())
    }

    fn read(&self, name: &str) -> Value {
        let done = self.hold_out(name, name);
        assert!(done.status.success(), "{}", error(&done));
        let found = std::fs::read(self.path(&format!("{name}-reports/hold_out.json")));
        serde_json::from_slice(&found.expect("findings")).expect("JSON")
    }
}

#[test]
fn each_model_that_reads_it_is_counted_once_and_only_one_that_was_judged_may() {
    let world = World(tempfile::tempdir().expect("a folder"));
    let held = set(world.0.path(), "held", CANDLES, Some(BORDER));
    let first = world.judged("first", CONFIG);
    assert_eq!((&first["readings"], &first["from_ms"]), (&1.into(), &BORDER.into()));
    // 600 candles are held out; a row stands at the end of each and at that of the one before them,
    // and the label of the last twelve is not known.
    let rows = first["rows"].as_u64().expect("rows");
    assert!((580..=589).contains(&rows), "{rows} rows");
    assert_eq!(world.read("first"), first, "the same reading is no further one");
    let second = world.judged("second", &CONFIG.replace("rounds = 8", "rounds = 9"));
    assert_eq!(second["readings"], 2, "whoever tries again has tried twice");
    assert_ne!(second["model_sha256"], first["model_sha256"]);
    assert_eq!(world.read("first")["readings"], 2, "and the first one is told, too");
    // The validation of the first says nothing about the second.
    let refused = world.hold_out("first", "second");
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        error(&refused).contains("walk_forward.json: it judged another"),
        "{}",
        error(&refused)
    );
    held.verify().expect("it is what it was");
    let walk = std::fs::read(world.path("first-reports/walk_forward.json")).expect("a file");
    let walk: Value = serde_json::from_slice(&walk).expect("JSON");
    assert_eq!(walk["hold_out_from_ms"], BORDER);
    assert!(walk["folds"][2]["test_to_ms"].as_i64().expect("a time") < BORDER);
}
