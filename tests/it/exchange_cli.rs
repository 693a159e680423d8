//! `peregrine exchange` as a program: what it prints first, how it ends, what it refuses.

use crate::exchange_sim::{Http, OPENED_MS};
use crate::pipeline_support::{peregrine, root, text};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ends the child if a test fails before it did.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Program, Value) {
    let addresses = ["exchange", "--rest", "127.0.0.1:0", "--ws", "127.0.0.1:0"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
        .args(addresses)
        .args(arguments)
        .current_dir(root())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("a first line");
    (Program(child), serde_json::from_str(&line).expect("a line of JSON"))
}

#[test]
fn the_first_line_says_where_it_is_and_a_signal_ends_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut program, told) = start(&["--seed", "9"]);
        for key in ["rest", "ws"] {
            let mut http = Http::connect(told[key].as_str().expect("a URL"));
            let answer = http.request("GET", "/fapi/v1/ping", &[], "").unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, "{}"), "{key}");
        }
        let (key, secret) = peregrine::exchange::server::default_key(9);
        assert_eq!((&told["api_key"], &told["api_secret"]), (&key.into(), &secret.into()));
        let id = i32::try_from(program.0.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        assert_eq!(program.0.wait().unwrap().code(), Some(0), "{signal:?}");
    }
}

#[test]
fn flags_stand_above_the_file_and_scripts_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("faults.toml");
    std::fs::write(&script, "[[fault]]\nkind = 'unavailable'\ntarget = { path = '/fapi/v1/time' }")
        .unwrap();
    let arguments = ["--config", "config/exchange.toml", "--clock", "stepped", "--faults"];
    let (_program, told) = start(&[&arguments[..], &[text(&script)]].concat());
    let mut http = Http::connect(told["rest"].as_str().unwrap());
    let state = http.request("GET", "/sim/state", &[], "").unwrap().json();
    assert_eq!((&state["time"], &state["clock"]), (&OPENED_MS.into(), &"stepped".into()));
    assert_eq!(http.request("GET", "/fapi/v1/time", &[], "").unwrap().status, 503);
}

#[test]
fn what_cannot_be_meant_is_bad_usage_and_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config = std::fs::read_to_string(root().join("config/exchange.toml")).unwrap();
    let bad = file("bad.toml", &config.replace("seed = 7", "sed = 7").replace("1500.0", "1"));
    let faults = file("faults.toml", "[[fault]]\nkind = 'dely'\n[[fault]]\nkind = 'drop'\nms = 1");
    for (arguments, words) in [
        (["--config", text(&bad)], &["bad.toml", "sed: unknown key", "seed: missing", "rate"][..]),
        (["--faults", text(&faults)], &["fault[0].kind", "\"dely\"", "fault[1].ms: unknown key"]),
        (["--start", "yesterday"], &["--start", "yesterday"]),
        (["--for", "3x"], &["3x"]),
        (["--config", "/nowhere.toml"], &["/nowhere.toml"]),
    ] {
        let output = peregrine(&[&["exchange"][..], &arguments].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
    }
    let output = peregrine(&["exchange", "--rest", "0.0.0.0:0", "--ws", "127.0.0.1:0"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && error.contains("not loopback"), "{error}");
}

#[test]
fn it_ends_by_itself_after_its_time() {
    let arguments = ["exchange", "--rest", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--for", "100ms"];
    let output = peregrine(&arguments);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
}
