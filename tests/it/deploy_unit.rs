//! The service's unit file: what keeps a killed trader down, what feeds its watchdog, what walls it
//! in. Read line by line, and by systemd itself where that is installed.

use crate::pipeline_support::{root, text};
use std::process::Command;

/// Key and value of every line of a section, in order.
fn section(name: &str) -> Vec<(String, String)> {
    let unit = std::fs::read_to_string(root().join("tools/deploy/peregrine.service")).unwrap();
    let begin = format!("[{name}]");
    let lines = unit.lines().skip_while(|line| **line != begin).skip(1);
    let own = lines.take_while(|line| !line.starts_with('['));
    own.filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line:?}"));
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn fault_p18_a_restart_loop_ends_after_five_starts_and_a_kill_is_never_restarted() {
    let limits = section("Unit");
    for wanted in [("StartLimitBurst", "5"), ("StartLimitIntervalSec", "600")] {
        assert!(limits.contains(&(wanted.0.to_owned(), wanted.1.to_owned())), "{wanted:?}");
    }
    let service = section("Service");
    for wanted in [
        ("Restart", "on-failure"),
        ("RestartPreventExitStatus", "78"),
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("KillMode", "mixed"),
    ] {
        assert!(service.contains(&(wanted.0.to_owned(), wanted.1.to_owned())), "{wanted:?}");
    }
    let watchdog = service.iter().find(|(key, _)| key == "WatchdogSec").unwrap();
    let seconds: u64 = watchdog.1.parse().unwrap();
    let stall = peregrine::base::settings::KillSettings::default().stall_ms;
    assert!(seconds * 1_000 > u64::from(stall), "the session kills itself before it is killed");
}

#[test]
fn threads_can_be_pinned_though_the_calls_that_move_others_are_shut_off() {
    let filters: Vec<String> = section("Service")
        .into_iter()
        .filter(|(key, _)| key == "SystemCallFilter")
        .map(|(_, value)| value)
        .collect();
    let shut = filters.iter().position(|filter| filter.contains("@resources")).unwrap();
    let open = filters.iter().position(|filter| filter == "sched_setaffinity").unwrap();
    assert!(filters[shut].starts_with('~') && open > shut, "{filters:?}");
}

#[test]
fn the_service_is_walled_in_and_its_secrets_are_credentials() {
    let service = section("Service");
    let is = |key: &str, value: &str| service.contains(&(key.to_owned(), value.to_owned()));
    for key in [
        "NoNewPrivileges",
        "PrivateDevices",
        "ProtectHome",
        "ProtectKernelTunables",
        "MemoryDenyWriteExecute",
        "RestrictNamespaces",
        "LockPersonality",
    ] {
        assert!(is(key, "yes"), "{key}");
    }
    assert!(
        is("ProtectSystem", "strict") && is("CapabilityBoundingSet", "") && is("LimitCORE", "0")
    );
    for name in ["peregrine_api_key", "peregrine_api_secret", "peregrine_http_token"] {
        assert!(is("LoadCredentialEncrypted", name), "{name}");
    }
    assert!(service.iter().all(|(key, _)| !key.starts_with("Environment")));
}

#[test]
fn systemd_itself_rates_the_service_where_it_is_there() {
    let unit = root().join("tools/deploy/peregrine.service");
    let words = ["security", "--offline=true", "--threshold=15", text(&unit)];
    let Ok(rated) = Command::new("systemd-analyze").args(words).output() else {
        println!("systemd-analyze is absent: the unit was not rated");
        return;
    };
    let said = String::from_utf8_lossy(&rated.stdout).into_owned();
    assert!(rated.status.success(), "{said}");
    println!("{}", said.lines().last().unwrap_or_default());
}
