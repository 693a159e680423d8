//! `walk-forward` as a program: killed and started again, and on data that were changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const CONFIG: &str = "period_ms = 600000\n[rows]\nevery_bars = 1\n\
    [label]\nhorizon_bars = 12\nbarrier = 0.0\n\
    [folds]\ncount = 4\nembargo_bars = 40\ngroups = 4\n\
    [trees]\nrounds = 20\ndepths = [2, 3]\nleaf_rows_min = 30\n\
    [policy]\nenter_edges = [0.05, 0.1]\n";

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
    command.args(args);
    command
}

fn lab(args: &[&str]) -> Output {
    program(args).output().expect("it runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// A data set of a wave with steps of its own, and a configuration.
fn world() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let mut candles = "open_time_ms,open,high,low,close,volume\n".to_owned();
    let (mut px, mut state) = (1_000.0_f64, 12_345_u64);
    for at in 0..2_000_u64 {
        state = (1_664_525 * state + 1_013_904_223) % (1 << 32);
        let noise = state as f64 / f64::from(u32::MAX) - 0.5;
        let close = px * (1.0 + 0.002 * (at as f64 / 15.0).sin() + 0.004 * noise);
        let (high, low) = (px.max(close) * 1.0002, px.min(close) * 0.9998);
        let ms = 1_700_000_040_000 + at * 60_000;
        let volume = 5 + state % 7;
        let _ = writeln!(candles, "{ms},{px:.2},{high:.2},{low:.2},{close:.2},{volume}");
        px = (close * 100.0).round() / 100.0;
    }
    let from = dir.path().join("BTCUSDT-1m.csv");
    std::fs::write(&from, candles).expect("a file");
    let set = dir.path().join("set");
    assert!(lab(&["import", "--out", text(&set), text(&from)]).status.success());
    assert!(lab(&["freeze", text(&set), "--name", "wave"]).status.success());
    std::fs::write(dir.path().join("forward.toml"), CONFIG).expect("a file");
    dir
}

fn walk(dir: &Path, out: &str) -> Command {
    let (set, file) = (dir.join("set"), dir.join("forward.toml"));
    let out = dir.join(out);
    program(&["walk-forward", "--data", text(&set), "--config", text(&file), "--out", text(&out)])
}

/// Every file of a folder with its bytes, drafts left out.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in [dir.to_path_buf(), dir.join("folds")] {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(dir).expect("below it").display().to_string();
            if path.is_file() && !name.ends_with(".new") {
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

#[test]
fn killed_in_the_middle_and_started_again_it_ends_in_the_same_bytes() {
    let dir = world();
    assert!(walk(dir.path(), "whole").output().expect("it runs").status.success());
    let mut child =
        walk(dir.path(), "killed").stderr(Stdio::piped()).spawn().expect("a child process");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let first = lines.next().expect("a line").expect("text");
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let killed = dir.path().join("killed");
    assert!(first.starts_with("stored walk-00"), "{first}");
    assert!(!killed.join("walk_forward.json").exists(), "it was killed too late");
    let again = walk(dir.path(), "killed").output().expect("it runs");
    assert!(again.status.success());
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("stored") && !said.contains(&first), "{first} was made again: {said}");
    assert!(files(&killed) == files(&dir.path().join("whole")), "other bytes");
    // Everything is there: nothing is made, and nothing changes.
    let third = walk(dir.path(), "killed").output().expect("it runs");
    assert!(!String::from_utf8_lossy(&third.stderr).contains("stored"));
    assert!(files(&killed) == files(&dir.path().join("whole")), "other bytes");
}

#[test]
fn a_fold_that_was_changed_on_disk_is_made_anew() {
    let dir = world();
    let out = dir.path().join("out");
    assert!(walk(dir.path(), "out").output().expect("it runs").status.success());
    let before = files(&out);
    let name = "folds/walk-01-depth-02.json";
    let mut bytes = before[name].clone();
    let at = bytes.len() / 2;
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    std::fs::write(out.join(name), bytes).expect("a file");
    let again = walk(dir.path(), "out").output().expect("it runs");
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(said.trim(), "stored walk-01-depth-02");
    assert!(files(&out) == before, "other bytes");
}

#[test]
fn changed_data_are_refused_by_name_by_training_and_by_validation() {
    let dir = world();
    let set = dir.path().join("set");
    let table = set.join("bars/BTCUSDT-1m.parquet");
    let mut bytes = std::fs::read(&table).expect("a table");
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::remove_file(&table).expect("a file");
    std::fs::write(&table, bytes).expect("a file");
    let version = dir.path().join("v1");
    let train = lab(&["train", "--data", text(&set), "--out", text(&version)]);
    for refused in [train, walk(dir.path(), "out").output().expect("it runs")] {
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("bars/BTCUSDT-1m.parquet"), "{said}");
    }
    assert!(!version.exists() && !dir.path().join("out").exists());
}

#[test]
fn training_on_a_data_set_gives_the_same_model_with_any_number_of_threads() {
    let dir = world();
    let (set, file) = (dir.path().join("set"), dir.path().join("forward.toml"));
    let hash = |threads: &str| {
        let out = dir.path().join(threads).join("waves-1");
        let done = lab(&[
            "train",
            "--data",
            text(&set),
            "--config",
            text(&file),
            "--threads",
            threads,
            "--out",
            text(&out),
            "--json",
        ]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8(done.stdout).expect("text");
        let line: serde_json::Value =
            serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
        let card = std::fs::read_to_string(out.join("card.toml")).expect("a card");
        assert!(card.contains("bar_interval_ms = 60000"), "{card}");
        (line["model_sha256"].clone(), card)
    };
    assert_eq!(hash("1"), hash("2"));
}
