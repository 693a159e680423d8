//! The service's unit file: what keeps a killed trader down, what feeds its watchdog, what walls it
//! in. Read line by line, and by systemd itself where that is installed.

use crate::pipeline_support::{root, text};
use peregrine::runtime::host::cores_of;
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
fn fault_p18_starts_within_an_outage_use_up_no_limit_and_are_not_cut_off() {
    let (unit, service) = (section("Unit"), section("Service"));
    let seconds = |lines: &[(String, String)], wanted: &str| -> u64 {
        lines.iter().find(|(key, _)| key == wanted).unwrap().1.parse().unwrap()
    };
    let (starts, window) =
        (seconds(&unit, "StartLimitBurst"), seconds(&unit, "StartLimitIntervalSec"));
    let (pause, cut) = (seconds(&service, "RestartSec"), seconds(&service, "TimeoutStartSec"));
    for name in ["live", "testnet", "paper"] {
        let path = root().join(format!("config/{name}.toml"));
        let text = std::fs::read_to_string(path).unwrap().parse::<toml::Table>().unwrap();
        let patience = text["venue"]["start_patience_s"].as_integer().unwrap() as u64;
        assert!(starts * (patience + pause) > window, "{name}");
        // A ban that a start waits for as well, and answers that come late.
        assert!(patience + 120 + 30 <= cut, "{name}");
    }
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

/// Every unit that is shipped.
const UNITS: [&str; 8] = [
    "peregrine.service",
    "peregrine-statement.service",
    "peregrine-statement.timer",
    "peregrine-learn.service",
    "peregrine-learn.timer",
    "peregrine-mirror.service",
    "peregrine-ship.service",
    "peregrine-ship.timer",
];

/// The units as they are shipped, with the program that was built, and the cores of the example.
fn units() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let deploy = root().join("tools/deploy");
    for name in UNITS {
        let unit = std::fs::read_to_string(deploy.join(name)).unwrap();
        // Any program that is there stands for the lab's, which another package builds, and for
        // what the system need not have.
        let unit = unit.replace("/usr/local/bin/peregrine-lab", "/usr/local/bin/peregrine");
        let unit = unit.replace("/usr/bin/rsync", "/usr/local/bin/peregrine");
        let built = env!("CARGO_BIN_EXE_peregrine");
        std::fs::write(dir.path().join(name), unit.replace("/usr/local/bin/peregrine", built))
            .unwrap();
    }
    let cores = dir.path().join("peregrine.service.d");
    std::fs::create_dir(&cores).unwrap();
    std::fs::copy(deploy.join("peregrine.service.d/cores.conf"), cores.join("cores.conf")).unwrap();
    dir
}

/// What systemd's tool says of the units; `None`, and said so, where it is absent.
fn analyze(units: &tempfile::TempDir, words: &[&str]) -> Option<(bool, String)> {
    let mut tool = Command::new("systemd-analyze");
    // Only what lies here, and what the system brings along.
    tool.args(words).env("SYSTEMD_UNIT_PATH", format!("{}:", text(units.path())));
    let Ok(output) = tool.output() else {
        println!("systemd-analyze is absent: it was not asked");
        return None;
    };
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn systemd_itself_rates_the_services_at_most_one_and_a_half() {
    let units = units();
    for name in UNITS.into_iter().filter(|name| name.ends_with(".service")) {
        let path = units.path().join(name);
        let words = ["security", "--offline=true", "--threshold=15", text(&path)];
        let Some((fine, said)) = analyze(&units, &words) else { return };
        assert!(fine, "{said}");
        let line = said.lines().rev().find(|line| line.contains("exposure level")).unwrap();
        let figure = line.rsplit(": ").next().unwrap().split(' ').next().unwrap();
        assert!(figure.parse::<f64>().unwrap() <= 1.5, "{line}");
    }
}

#[test]
fn systemd_itself_reads_every_line_of_the_units_and_of_the_cores() {
    let units = units();
    let verified = analyze(&units, &[&["verify"], &UNITS[..]].concat());
    let Some((fine, said)) = verified else { return };
    // Other units of the machine are none of ours.
    let ours = |line: &&str| line.contains("peregrine");
    let complaints: Vec<&str> = said.lines().filter(ours).collect();
    assert!(fine && complaints.is_empty(), "{said}");
    // The same with a line that it does not know: it does look.
    let cores = units.path().join("peregrine.service.d/cores.conf");
    let cores_text = std::fs::read_to_string(&cores).unwrap();
    std::fs::write(&cores, format!("{cores_text}AllowedCores=1\n")).unwrap();
    let (_, said) = analyze(&units, &["verify", UNITS[0]]).unwrap();
    assert!(said.contains("AllowedCores"), "{said}");
}

#[test]
fn the_example_of_cores_lets_threads_run_where_they_may_be_pinned() {
    let path = root().join("tools/deploy/peregrine.service.d/cores.conf");
    let unit = std::fs::read_to_string(path).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).map(cores_of);
    let allowed = value("AllowedCPUs=").unwrap();
    assert!(allowed.len() >= 5, "four pinned threads, and a core for the rest");
    assert_eq!(value("CPUAffinity=").unwrap(), allowed);
}

#[test]
fn the_image_has_no_shell_and_no_root_and_its_service_writes_nowhere_but_to_its_state() {
    let deploy = root().join("tools/deploy");
    let image = std::fs::read_to_string(deploy.join("Containerfile")).unwrap();
    let last = image.rsplit("\nFROM ").next().unwrap();
    assert!(last.starts_with("gcr.io/distroless/") && !last.contains("\nRUN "), "{last}");
    assert!(last.contains("\nUSER nonroot:nonroot\n"), "{last}");
    assert!(last.contains("\nENTRYPOINT [\"/usr/bin/peregrine\"]\n"), "{last}");
    let compose = std::fs::read_to_string(deploy.join("compose.yaml")).unwrap();
    let services = compose.split("\nservices:\n").nth(1).unwrap().split("\nvolumes:\n").next();
    let services: Vec<&str> = services.unwrap().split("\n\n").collect();
    assert_eq!(services.len(), 3, "{services:#?}");
    for service in services {
        for line in ["read_only: true", "cap_drop: [ALL]", "[\"no-new-privileges:true\"]"] {
            assert!(service.contains(line), "{line}: {service}");
        }
        let published = service.lines().filter(|line| line.contains("ports:"));
        assert!(published.clone().all(|line| line.contains("[\"127.0.0.1:")), "{service}");
    }
}

/// What learns beside a trader that trades: it may wait for anything, takes what is left, and is
/// the first to go where memory ends.
#[test]
fn learning_takes_what_the_trader_leaves_and_is_made_up_for_after_a_downtime() {
    let deploy = root().join("tools/deploy");
    let read = |name: &str| std::fs::read_to_string(deploy.join(name)).unwrap();
    let (service, timer) = (read("peregrine-learn.service"), read("peregrine-learn.timer"));
    for wanted in ["Nice=19", "IOSchedulingClass=idle", "CPUWeight=1", "MemoryMax=4G"] {
        assert!(service.lines().any(|line| line == wanted), "{wanted}");
    }
    assert!(timer.lines().any(|line| line == "Persistent=true"), "{timer}");
}
