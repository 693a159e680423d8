//! A socket with a page behind it, and operators that ask.

use super::*;
use crate::runtime::session::command_channel;
use crossbeam::channel::Receiver;
use tempfile::TempDir;

struct Served {
    dir: TempDir,
    cell: Arc<SnapshotCell>,
    commands: Receiver<Command>,
    _socket: AdminSocket,
}

fn serve_state(state: &'static str) -> Served {
    let dir = tempfile::tempdir().unwrap();
    let (river, commands) = command_channel();
    let cell = Arc::new(SnapshotCell::new());
    cell.publish(Snapshot { trading_state: state, ..Snapshot::default() });
    let socket = AdminSocket::open(dir.path(), river, Arc::clone(&cell)).unwrap();
    Served { dir, cell, commands, _socket: socket }
}

fn request(verb: &str, mode: Option<&str>, reason: Option<&str>) -> Request {
    Request {
        verb: verb.to_owned(),
        mode: mode.map(str::to_owned),
        reason: reason.map(str::to_owned),
    }
}

#[test]
fn commands_carry_who_gave_them_and_why() {
    let cases = [
        ("arm", None, "active", Verb::Arm),
        ("pause", None, "reducing", Verb::Pause),
        ("kill", Some("pause"), "reducing", Verb::Pause),
        ("kill", Some("graceful"), "killed", Verb::KillGraceful),
        ("kill", Some("immediate"), "killed", Verb::KillImmediate),
    ];
    for (verb, mode, state, number) in cases {
        let served = serve_state(state);
        let answer = ask(served.dir.path(), &request(verb, mode, Some("seen"))).unwrap();
        assert_eq!((&answer["ok"], &answer["state"]), (&json!(true), &json!(state)), "{answer}");
        let command = served.commands.try_recv().unwrap();
        assert_eq!(command.verb, number as u32);
        assert_eq!(command.actor, rustix::process::geteuid().as_raw());
        assert_eq!(&command.reason[..5], b"seen\0");
    }
}

#[test]
fn what_changes_the_state_needs_a_reason_and_a_known_verb() {
    let served = serve_state("halted");
    let refused = [
        request("arm", None, None),
        request("arm", None, Some("  ")),
        request("clear", None, Some(&"x".repeat(85))),
        request("kill", None, Some("now")),
        request("kill", Some("loudly"), Some("now")),
        request("arm", Some("graceful"), Some("now")),
        request("promote", None, Some("now")),
    ];
    for request in refused {
        let answer = ask(served.dir.path(), &request).unwrap();
        assert_eq!(answer["ok"], json!(false), "{request:?}: {answer}");
    }
    assert!(served.commands.try_recv().is_err(), "nothing was passed on");
    let answer = ask(served.dir.path(), &request("status", None, None)).unwrap();
    assert_eq!(answer["state"], json!("halted"));
}

#[test]
fn fault_o09_a_second_kill_is_answered_like_the_first_and_a_clear_under_way_says_so() {
    let served = serve_state("killed");
    for _ in 0..2 {
        let kill = request("kill", Some("immediate"), Some("stop it"));
        assert_eq!(ask(served.dir.path(), &kill).unwrap()["ok"], json!(true));
    }
    let clear = ask(served.dir.path(), &request("clear", None, Some("looked"))).unwrap();
    assert!(clear["error"].as_str().unwrap().contains("still runs"), "{clear}");
    let arm = ask(served.dir.path(), &request("arm", None, Some("looked"))).unwrap();
    assert!(arm["error"].as_str().unwrap().contains("clear it when"), "{arm}");
}

#[test]
fn fault_p16_peers_that_say_nothing_do_not_keep_a_kill_from_coming_through() {
    let served = serve_state("killed");
    let path = served.dir.path().join(SOCKET);
    let silent: Vec<UnixStream> =
        (0..PEERS_MAX - 1).map(|_| UnixStream::connect(&path).unwrap()).collect();
    let kill = request("kill", Some("graceful"), Some("flood"));
    assert_eq!(ask(served.dir.path(), &kill).unwrap()["ok"], json!(true));
    assert_eq!(silent.len(), PEERS_MAX - 1);
    assert_eq!(served.cell.load().0.trading_state, "killed");
}

#[test]
fn the_socket_is_its_users_alone_and_goes_with_its_session() {
    let served = serve_state("active");
    let path = served.dir.path().join(SOCKET);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(may_command(7, 7) && may_command(0, 7));
    assert!(!may_command(8, 7) && !may_command(7, 0));
    let Served { dir, _socket, .. } = served;
    drop(_socket);
    assert!(!path.exists());
    let nobody = ask(dir.path(), &request("status", None, None)).unwrap_err();
    assert!(format!("{nobody:#}").contains("no session answers"), "{nobody:#}");
}
