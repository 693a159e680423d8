//! Whatever happens at whichever request: nothing is lost, nothing is there twice.

use crate::door::{Door, Fault};
use crate::fake::{open, server};
use crate::world::{World, look};
use peregrine::registry::Stage;
use peregrine_lab::mirror::watch::{Outcome, Waits};
use serde_json::Value;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// What is shown after a sync that nothing disturbed, and how many requests that took.
fn undisturbed(world: &World) -> (Value, usize) {
    let (fake, door) = open();
    let mut mirror = world.mirror(&door.url);
    mirror.round().expect("a disk");
    let count = door.count();
    assert_eq!(mirror.status().problems, Vec::<String>::new());
    forget(world);
    (look(&fake), count)
}

/// As if nothing had been sent yet.
fn forget(world: &World) {
    std::fs::remove_dir_all(world.path("outbox")).expect("it was there");
}

#[test]
fn an_answer_lost_cut_refused_or_late_at_any_request_leaves_everything_there_once() {
    let world = World::new();
    let (wanted, count) = undisturbed(&world);
    assert!(count > 20, "{count} requests");
    // Those that end like another one are tried less often.
    let faults = [
        (Fault::AnswerLost, 1),
        (Fault::HalfAnswer, 5),
        (Fault::Status(429), 1),
        (Fault::Lost, 5),
        (Fault::Status(500), 1),
        (Fault::Late, 1),
    ];
    for (fault, step) in faults {
        for at in (0..count).step_by(step) {
            let (fake, door) = open();
            door.plan(Some((at, fault)));
            drop(world.sync(&door));
            assert!(door.is_over(), "{fault:?} at {at} did not happen");
            assert_eq!(look(&fake), wanted, "{fault:?} at {at}");
            forget(&world);
        }
    }
}

fn command(world: &World, url: &str, words: &[&str]) -> Command {
    world.write("mirror.toml", world.text(url).as_bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
    command.arg("mirror").args(words).arg("--config").arg(world.path("mirror.toml"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(world: &World, url: &str, words: &[&str]) -> Output {
    command(world, url, words).output().expect("it runs")
}

#[test]
fn killed_at_any_request_it_goes_on_and_everything_is_there_once() {
    let world = World::new();
    let (wanted, count) = undisturbed(&world);
    for fault in [Fault::Before, Fault::Behind] {
        for at in 0..count {
            let (fake, door) = open();
            let sync = || command(&world, &door.url, &["sync"]).spawn().expect("it runs");
            let mut child = door.doom((at, fault), sync);
            let killed = child.wait().expect("its end");
            assert!(door.is_over() && !killed.success(), "{fault:?} at {at}: {killed}");
            let ended = output(&world, &door.url, &["sync", "--json"]);
            let said = String::from_utf8_lossy(&ended.stdout).into_owned();
            assert_eq!(ended.status.code(), Some(0), "{fault:?} at {at}: {said}");
            assert_eq!(look(&fake), wanted, "{fault:?} at {at}");
            forget(&world);
        }
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[test]
fn what_happens_during_an_outage_is_shown_behind_it_though_it_was_written_over_since() {
    let world = World::new();
    let away = nobody();
    let mut mirror = world.mirror(&away);
    for sharpe in [0.5, 0.6, 0.7] {
        world.report(sharpe);
        let outcome = mirror.round().expect("a disk");
        assert!(matches!(outcome, Outcome::Away { .. }), "{outcome:?}");
    }
    world.advance("m-2", Stage::Canary);
    world.advance("m-2", Stage::Champion);
    world.add("m-3");
    mirror.round().expect("a disk");
    assert!(mirror.status().away_since_ms.is_some() && mirror.status().waiting >= 9);
    drop(mirror);
    std::fs::remove_dir_all(world.path("reports")).expect("it was there");

    let (fake, door) = open();
    let mirror = world.sync(&door);
    assert_eq!(mirror.status().away_since_ms, None);
    let shown = look(&fake);
    let runs = shown["runs"].as_object().expect("runs");
    let of = |kind: &str| {
        let runs = runs.values().filter(|run| run["tags"]["peregrine.kind"] == kind);
        runs.collect::<Vec<_>>()
    };
    let mut sharpes: Vec<String> = of("validation")
        .iter()
        .flat_map(|run| run["metrics"].as_array().expect("figures").clone())
        .filter(|metric| metric[0] == "pooled.sharpe")
        .map(|metric| metric[1].as_str().expect("text").to_owned())
        .collect();
    sharpes.sort();
    assert_eq!(sharpes, ["0.5", "0.6", "0.7"], "each validation, though two were written over");
    assert_eq!((of("decision").len(), of("version").len()), (3, 3));
    let model = &shown["models"]["peregrine"];
    let history = world.registry().history().len();
    assert_eq!(model["tags"]["peregrine.history"], history.to_string());
    let told: usize = model["versions"]
        .as_array()
        .expect("versions")
        .iter()
        .map(|tags| {
            let tags = tags.as_object().expect("tags");
            tags.keys().filter(|key| key.starts_with("peregrine.history.")).count()
        })
        .sum();
    assert_eq!(told, history, "every entry of the history is told once");
}

#[test]
fn a_server_that_asks_to_be_left_alone_is_and_waits_grow_without_that() {
    let world = World::new();
    let (_, door) = open();
    door.plan(Some((3, Fault::Status(429))));
    let outcome = world.mirror(&door.url).round().expect("a disk");
    let Outcome::Away { retry_after, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    let mut waits = Waits::new(10);
    let grown: Vec<u64> = (0..6).map(|_| waits.grow(None).as_secs()).collect();
    assert_eq!(grown, [1, 2, 4, 8, 10, 10]);
    assert_eq!(waits.grow(Some(Duration::from_secs(60))).as_secs(), 60);
}

#[test]
fn one_thing_that_the_server_does_not_take_keeps_nothing_else_from_being_shown() {
    let world = World::new();
    let (fake, mut inner) = server();
    let door = Door::open(Box::new(move |request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let is_trial = request.target.ends_with("runs/create") && body.contains("made-up 0");
        if is_trial {
            let body = br#"{"error_code": "INVALID_PARAMETER_VALUE"}"#.to_vec();
            return Some(crate::door::Answer { status: 400, body });
        }
        inner(request)
    }));
    let mut mirror = world.mirror(&door.url);
    let outcome = mirror.round().expect("a disk");
    let Outcome::Through(done) = outcome else { panic!("{outcome:?}") };
    assert_eq!(done.problems.len(), 1, "{:?}", done.problems);
    assert!(done.problems[0].contains("trial/made-up/0/"), "{:?}", done.problems);
    assert_eq!(mirror.status().waiting, 1);
    let shown = look(&fake);
    assert_eq!(shown["models"]["peregrine"]["aliases"].as_object().map(|all| all.len()), Some(2));
}

#[test]
fn the_command_says_what_waits_and_two_never_work_at_once() {
    let world = World::new();
    let away = nobody();
    let tried = output(&world, &away, &["sync", "--tries", "1", "--json"]);
    let said = String::from_utf8_lossy(&tried.stdout).into_owned();
    assert_eq!(tried.status.code(), Some(1), "{said}");
    let told: Value = serde_json::from_str(said.trim()).expect("JSON");
    assert_eq!((told["waiting"].as_u64(), told["delivered"].as_u64()), (Some(7), Some(0)));

    let (_, door) = open();
    let mirror = world.mirror(&door.url);
    let second = output(&world, &door.url, &["sync"]);
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains("another process"), "{said}");
    assert_eq!(
        output(&world, &door.url, &["status"]).status.code(),
        Some(1),
        "it may be looked at"
    );
    drop(mirror);
    assert_eq!(output(&world, &door.url, &["sync"]).status.code(), Some(0));
    assert_eq!(output(&world, &door.url, &["status"]).status.code(), Some(0));
}
