//! What scripts rely on: exit codes, one-line errors that name what is at fault, the keys of the
//! summary, help with an example.

use crate::pipeline_support::{last_json, peregrine, peregrine_in, root, text};
use std::path::Path;
use std::process::Output;

/// The paper configuration in a file of its own, with texts replaced.
fn config_file(dir: &Path, changes: &[(&str, &str)]) -> String {
    let risk = format!("risk_file = \"{}\"", text(&root().join("config/risk.toml")));
    let paper = std::fs::read_to_string(root().join("config/paper.toml")).unwrap();
    let mut found = paper.replace("risk_file = \"risk.toml\"", &risk);
    for (from, to) in changes {
        assert!(found.contains(from), "{from:?} is not in the configuration");
        found = found.replace(from, to);
    }
    let path = dir.join("test.toml");
    std::fs::write(&path, found).unwrap();
    text(&path).to_owned()
}

fn assert_error(output: &Output, code: i32, words: &[&str]) {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
    assert_eq!(error.lines().count(), 1, "one line: {error}");
    for word in words {
        assert!(error.contains(word), "{word:?} is missing in {error:?}");
    }
}

/// Texts of a configuration with what they are replaced by.
type Edits<'e> = &'e [(&'e str, &'e str)];

#[test]
fn a_bad_configuration_is_bad_usage_and_every_key_at_fault_is_named_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(Edits<'_>, &[&str]); 5] = [
        (&[("seed = 7", "sed = 7")], &["session.sed: unknown key", "session.seed: missing"]),
        (&[("enter_edge = 0.30", "enter_edge = 30")], &["policy.enter_edge", "30"]),
        (
            &[("maker_fee = \"0.0002\"", "maker_fee = \"2\"")],
            &["instruments.maker_fee", "fraction", "not a percentage"],
        ),
        (
            &[("mode = \"paper\"", "mode = \"papr\""), ("seed = 7", "seed = \"x\"")],
            &["mode", "session.seed"],
        ),
        (&[("[session]", "[session")], &["test.toml"]),
    ];
    for (changes, words) in cases {
        let path = config_file(dir.path(), changes);
        for command in ["check", "run"] {
            let output = peregrine(&[command, "--config", &path]);
            assert_error(&output, 2, &[words, &["test.toml"]].concat());
        }
    }
}

#[test]
fn a_mistyped_override_in_the_environment_is_an_error_and_never_ignored() {
    let arguments = ["check", "--config", "config/paper.toml"];
    let variables = [("PEREGRINE__POLICY__ENTER_EGDE", "0.5")];
    let output = peregrine_in(&root(), &arguments, &variables);
    assert_error(&output, 2, &["policy.enter_egde", "unknown key"]);
}

#[test]
fn bad_usage_is_told_apart_from_failure_by_the_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let absent = text(&absent);
    let journal = dir.path().join("journal");
    for arguments in [&["nonsense"][..], &["replay", absent], &["backtest"], &["model", "show"]] {
        let output = peregrine(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let usage: [(&[&str], &str); 4] = [
        (&["demo", "--for", "3x"], "3x"),
        (&["check", "--config", absent], absent),
        (&["journal", "dump", absent, "--kind", "Nope"], "Nope"),
        (&["journal", "export", absent, "--lane", "9"], "--lane"),
    ];
    for (arguments, word) in usage {
        assert_error(&peregrine(arguments), 2, &[word]);
    }
    let config = "config/paper.toml";
    let failures: [(&[&str], &str); 5] = [
        (&["backtest", "--config", config, "--data", absent, "--journal", text(&journal)], absent),
        (&["replay", absent, "--verify"], absent),
        (&["journal", "verify", absent], absent),
        (&["model", "show", "no-such-version"], "no-such-version"),
        (&["model", "list", "--dir", absent], absent),
    ];
    for (arguments, word) in failures {
        assert_error(&peregrine(arguments), 1, &[word]);
    }
}

#[test]
fn live_mode_is_refused_and_testnet_needs_the_venue_and_closed_connections() {
    let dir = tempfile::tempdir().unwrap();
    let attended = ("unattended = true", "unattended = false");
    let at_venue = ("orders = \"paper\"", "orders = \"venue\"");
    let (testnet, live) = ("mode = \"testnet\"", "mode = \"live\"");
    let paper = "mode = \"paper\"";
    let open = ("rest_url = \"https://fapi", "rest_url = \"http://fapi");
    let kelly = ("kelly_fraction = 0.0", "kelly_fraction = 0.25");
    let edge = ("min_edge_bps = -100", "min_edge_bps = 10");
    let stop = ("protective_stop_bps = 0", "protective_stop_bps = 300");
    let dead_man = ("dead_man_ms = 0", "dead_man_ms = 60000");
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[(paper, live), attended, at_venue, kelly, edge, stop, dead_man], "GO gate decision"),
        (&[(paper, live), attended, at_venue, kelly, edge, dead_man], "exits.protective_stop_bps"),
        (&[(paper, live), attended, at_venue, kelly, edge, stop], "venue.dead_man_ms"),
        (&[(paper, testnet), attended], "venue.orders"),
        (&[(paper, testnet), attended, at_venue, open], "venue.rest_url: must be https://"),
    ];
    for (changes, word) in cases {
        let path = config_file(dir.path(), changes);
        assert_error(&peregrine(&["run", "--config", &path]), 2, &[word]);
    }
    let unset = peregrine(&["check", "--config", "config/testnet.toml", "--json"]);
    assert!(!String::from_utf8_lossy(&unset.stderr).contains("unknown key"));
}

#[test]
fn the_help_of_every_command_has_an_example() {
    let commands = [
        "",
        "demo",
        "run",
        "status",
        "arm",
        "pause",
        "kill",
        "clear",
        "exchange",
        "backtest",
        "replay",
        "journal",
        "journal dump",
        "journal stat",
        "journal verify",
        "journal export",
        "journal repair",
        "latency",
        "check",
        "model",
        "model list",
        "model show",
        "model history",
        "model register",
        "model verify",
        "model promote",
        "model approve",
        "model retire",
        "model rollback",
        "model quarantine",
        "model release",
        "model prune",
        "model export",
        "model import",
        "model sign",
        "model use",
        "ab",
        "ab start",
        "ab status",
        "ab stop",
        "shadow",
        "shadow report",
        "symbols",
        "symbols list",
        "symbols add",
        "symbols drop",
    ];
    for command in commands {
        let arguments: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = peregrine(&arguments);
        assert_eq!(output.status.code(), Some(0), "{command}");
        let help = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(help.contains(&format!("Example: peregrine {command}")), "{command}: {help}");
    }
}

/// The keys scripts read, of every session alike.
#[test]
fn the_demo_tells_every_key_of_the_contract_on_its_last_line() {
    let state = tempfile::tempdir().unwrap();
    let variables = [
        ("PEREGRINE__SESSION__STATE_DIR", text(state.path())),
        ("PEREGRINE__HTTP__BIND", ""),
        ("PEREGRINE__MODEL__BUDGET_US", "1000000"),
    ];
    let output = peregrine_in(&root(), &["demo", "--for", "500ms", "--json"], &variables);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let summary = last_json(&output);
    let numbers = [
        "events",
        "events_per_second",
        "decisions",
        "orders",
        "fills",
        "rejected",
        "denied",
        "dropped",
        "pnl_quote",
    ];
    for key in numbers {
        assert!(summary[key].is_number(), "{key}: {}", summary[key]);
    }
    assert!(Path::new(summary["journal"].as_str().unwrap()).is_dir());
    assert!(summary["latency_ns"].is_object());
    assert_eq!(summary["ledger_equal"], true, "the exchange's ledger and the journal's");
}

/// A registry of its own with `model.onnx` or `card.toml` changed after registration.
#[test]
fn a_tampered_champion_is_refused_by_every_command_that_would_use_it() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models_saved");
    let shipped = root().join("models_saved");
    let champion = peregrine::registry::Registry::open(&shipped).unwrap();
    let version = champion.champion_version().unwrap().to_owned();
    for file in ["model.onnx", "card.toml"] {
        std::fs::create_dir_all(models.join(&version)).unwrap();
        let copy = |name: &str| std::fs::copy(shipped.join(name), models.join(name)).unwrap();
        copy("registry.json");
        copy(&format!("{version}/model.onnx"));
        copy(&format!("{version}/card.toml"));
        let path = models.join(&version).join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();

        let changed = format!("dir = \"{}\"", text(&models));
        let config = config_file(dir.path(), &[("dir = \"models_saved\"", &changed)]);
        let named = format!("{version}/{file}");
        let output = peregrine(&["model", "verify", "--dir", text(&models)]);
        assert_error(&output, 1, &[&named]);
        let state = format!("\"{}\"", text(&dir.path().join("state")));
        let variables = [("PEREGRINE__SESSION__STATE_DIR", state.as_str())];
        let output = peregrine_in(&root(), &["check", "--config", &config], &variables);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stdout).contains(&named));
    }
}
