//! The command line's contract: exit codes, help, JSON.

use std::process::{Command, Output};

fn lab(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_peregrine-lab")).args(args).output().expect("it runs")
}

#[test]
fn bad_usage_exits_2_failure_exits_1_and_help_shows_an_example() {
    assert_eq!(lab(&["train"]).status.code(), Some(2));
    assert_eq!(
        lab(&["train", "--synthetic", "--out", "x", "--rounds", "0"]).status.code(),
        Some(2)
    );
    let file = tempfile::NamedTempFile::new().expect("a file");
    let inside = file.path().join("version");
    let out = inside.to_str().expect("a path");
    let failed = lab(&["train", "--synthetic", "--minutes", "10", "--rounds", "1", "--out", out]);
    assert_eq!(failed.status.code(), Some(1));
    let text = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(text.contains(out) && text.trim_end().lines().count() == 1, "{text}");
    let help = lab(&["train", "--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&help.stdout).contains("Example:"));
}

#[test]
fn json_is_one_object_on_the_last_line_and_names_the_written_model() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("v1");
    let out = folder.to_str().expect("a path");
    let run =
        lab(&["train", "--synthetic", "--minutes", "20", "--rounds", "2", "--json", "--out", out]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).expect("text");
    let value: serde_json::Value =
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    let bytes = std::fs::read(folder.join("model.onnx")).expect("a model");
    let sha = peregrine::model::artifact::hex(&peregrine::model::artifact::sha256(&bytes));
    assert_eq!(value["model_sha256"], sha);
    assert_eq!(value["version"], "v1");
}
