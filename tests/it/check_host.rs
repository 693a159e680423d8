//! `peregrine check` as an operator runs it: each line with a level, secrets named and never shown,
//! the venue reached where that is asked for, exit code 1 for what says fail and for nothing else.

use crate::exchange_sim::Http;
use crate::pipeline_support::{last_json, peregrine_in, root, text};
use crate::process::free_address;
use crate::trader_world::World;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

/// Everything that the configuration of the test network needs, at an exchange on loopback.
fn check(world: &World, words: &[&str], more: &[(&str, &str)]) -> Output {
    let own = world.variables();
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    let variables: Vec<(&str, &str)> = own.chain(more.iter().copied()).collect();
    let words = [&["check", "--config", "config/testnet.toml", "--json"], words].concat();
    peregrine_in(&root(), &words, &variables)
}

fn levels(told: &Value) -> Vec<(String, String)> {
    let checks = told["checks"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    checks.map(|line| (word(&line["name"]), word(&line["level"]))).collect()
}

fn level(told: &Value, name: &str) -> String {
    let levels = levels(told);
    let line = levels.iter().find(|(known, _)| known == name);
    line.unwrap_or_else(|| panic!("no {name} in {levels:?}")).1.clone()
}

#[test]
fn a_host_without_tuning_is_told_what_it_lacks_and_may_still_trade() {
    let world = World::new();
    // An empty tree: nothing is tuned, nothing is known.
    let bare = tempfile::tempdir().unwrap();
    let output = check(&world, &["--root", text(bare.path())], &[]);
    let told = last_json(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert_eq!((&told["fail"], level(&told, "clock").as_str()), (&0.into(), "warn"));
    for name in ["configuration", "model", "stage", "credentials"] {
        assert_eq!(level(&told, name), "ok", "{told}");
    }
    let checks = told["checks"].as_array().unwrap();
    for line in checks.iter().filter(|line| line["level"] != "ok") {
        assert_ne!(line["remedy"], "", "{line}");
    }
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!shown.contains(world.exchange.api_secret()) && !shown.contains("PRIVATE KEY"));
}

#[test]
fn the_venue_is_reached_over_every_address_and_an_address_where_nobody_answers_is_named() {
    let world = World::new();
    let told = last_json(&check(&world, &["--reach"], &[]));
    let all = ["rest_url", "public_url", "market_url", "private_url", "api_url"];
    for key in all.map(|key| format!("venue.{key}")) {
        assert_eq!(level(&told, &key), "ok", "{told}");
    }
    let dead = format!("ws://{}/market", free_address());
    let output = check(&world, &["--reach"], &[("PEREGRINE__VENUE__MARKET_URL", &dead)]);
    let told = last_json(&output);
    assert_eq!((output.status.code(), &told["fail"]), (Some(1), &1.into()), "{told}");
    assert_eq!(level(&told, "venue.market_url"), "fail");
}

#[test]
fn what_the_key_may_do_is_told_where_the_venue_tells_it_and_only_warned_of_without_real_money() {
    let world = World::new();
    let told = last_json(&check(&world, &[], &[]));
    let line = told["checks"].as_array().unwrap().iter().find(|it| it["name"] == "key's rights");
    let line = line.unwrap_or_else(|| panic!("{told}"));
    assert_eq!(line["level"], "ok");
    assert!(line["what"].as_str().unwrap().starts_with("not asked: "), "{line}");
    let url = world.exchange.rest_url();
    let wallet = [("PEREGRINE__VENUE__WALLET_URL", url.as_str())];
    assert_eq!(level(&last_json(&check(&world, &[], &wallet)), "key's rights"), "ok");
    let body = format!(r#"{{"api_key":"{}","enableMargin":true}}"#, world.exchange.api_key());
    let answer = Http::connect(&url).request("POST", "/sim/key_rights", &[], &body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let output = check(&world, &[], &wallet);
    assert_eq!(level(&last_json(&output), "key's rights"), "warn");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_missing_or_open_to_others_fails_by_its_name() {
    let world = World::new();
    let output = check(&world, &[], &[("PEREGRINE_API_SECRET", "")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(level(&last_json(&output), "credentials"), "fail");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("peregrine_http_token");
    std::fs::write(&file, "canary-of-a-token-that-nobody-may-ever-see-0123456789").unwrap();
    let given = [("CREDENTIALS_DIRECTORY", text(folder.path()))];
    for (mode, wanted) in [(0o400, "ok"), (0o444, "fail")] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let output = check(&world, &[], &given);
        assert_eq!(level(&last_json(&output), "credential files"), wanted);
        assert!(!String::from_utf8_lossy(&output.stdout).contains("canary"));
    }
    let state = world.state();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    let told = last_json(&check(&world, &[], &[]));
    assert_eq!(level(&told, "state folder's permissions"), "fail", "{told}");
}
