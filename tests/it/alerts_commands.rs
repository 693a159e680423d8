//! Commands by Telegram: what is obeyed, and everything that is not.

use crate::alert_world::OtherSide;
use crate::process::wait;
use crossbeam::channel::{Receiver, bounded, unbounded};
use peregrine::base::event::Command;
use peregrine::observe::alerts::secret::Secret;
use peregrine::observe::alerts::telegram::{CommandListener, ListenerWork};
use peregrine::observe::alerts::ways::Telegram;
use peregrine::observe::{Snapshot, SnapshotCell};
use peregrine::risk::{Origin, Verb, reason_of};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const USER: i64 = 7_000_000_042;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// A message as the Bot API tells it.
fn message(number: i64, text: &str) -> Value {
    json!({
        "update_id": number,
        "message": {
            "message_id": number, "date": now(), "text": text,
            "from": {"id": USER, "is_bot": false, "first_name": "U"},
            "chat": {"id": USER, "type": "private"}
        }
    })
}

/// The same with a member replaced.
fn with(mut update: Value, path: &str, value: Value) -> Value {
    if let Some(place) = update.pointer_mut(path) {
        *place = value;
        return update;
    }
    let (parent, member) = path.rsplit_once('/').unwrap();
    let parent = update.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    parent.insert(member.to_owned(), value);
    update
}

struct World {
    side: OtherSide,
    state: tempfile::TempDir,
    cell: Arc<SnapshotCell>,
}

struct Session {
    river: Receiver<Command>,
    _listener: CommandListener,
}

impl World {
    fn new() -> Self {
        let cell = Arc::new(SnapshotCell::new());
        let snapshot = Snapshot { trading_state: "active", ..Snapshot::default() };
        cell.publish(snapshot);
        Self { side: OtherSide::start(), state: tempfile::tempdir().unwrap(), cell }
    }

    fn listen(&self) -> Session {
        let (river, commands) = bounded(64);
        let token = Secret::new("123:token".to_owned());
        let bot = Telegram::new(&self.side.url(), token, USER);
        let work = ListenerWork {
            bot: bot.with_limit(Duration::from_secs(5)),
            users: vec![USER],
            state: self.state.path().to_path_buf(),
            river,
            cell: Arc::clone(&self.cell),
            alerts: unbounded().0,
        };
        Session { river: commands, _listener: CommandListener::start(work).unwrap() }
    }

    fn be(&self, trading_state: &'static str) {
        self.cell.publish(Snapshot { trading_state, ..Snapshot::default() });
    }

    /// The code that the bot asked for last.
    fn code(&self) -> String {
        let text = self.side.wait_for("Confirm within a minute");
        text.rsplit(' ').next().unwrap().to_owned()
    }
}

#[test]
fn strangers_groups_bots_forwards_edits_and_old_messages_do_nothing_and_get_no_answer() {
    let world = World::new();
    let session = world.listen();
    let pause = |number: i64| message(number, "/pause");
    let edited = json!({"update_id": 13, "edited_message": pause(13)["message"]});
    let channel = json!({"update_id": 14, "channel_post": pause(14)["message"]});
    let button = json!({"update_id": 15, "callback_query": {"data": "/pause"}});
    let refused = [
        with(pause(1), "/message/from/id", json!(USER + 1)),
        with(pause(2), "/message/chat/id", json!(-100_200)),
        with(pause(3), "/message/chat/type", json!("group")),
        with(pause(4), "/message/from/is_bot", json!(true)),
        with(pause(5), "/message/forward_origin", json!({"type": "user"})),
        with(pause(6), "/message/forward_date", json!(now())),
        with(pause(7), "/message/via_bot", json!({"id": 1})),
        with(pause(8), "/message/sender_chat", json!({"id": USER})),
        with(pause(9), "/message/date", json!(now() - 31)),
        with(pause(10), "/message/date", json!(now() + 3_600)),
        with(pause(11), "/message/date", json!(0)),
        with(pause(12), "/message/text", json!("pause")),
        edited,
        channel,
        button,
        json!({"update_id": 16}),
    ];
    refused.iter().for_each(|update| world.side.update(update.clone()));
    world.side.wait_for_updates();
    assert!(session.river.try_recv().is_err(), "nothing was obeyed");
    assert_eq!(world.side.texts(), Vec::<String>::new(), "nobody was answered");
    // The same words from the right place are obeyed: it was not the words.
    world.be("reducing");
    world.side.update(message(17, "/pause spread"));
    assert_eq!(world.side.wait_for("trading is reducing"), "trading is reducing");
    let command = session.river.try_recv().unwrap();
    assert_eq!(Verb::from_u32(command.verb), Some(Verb::Pause));
    assert_eq!(Origin::from_u32(command.origin), Some(Origin::Telegram));
    assert_eq!(reason_of(&command), format!("telegram {USER}: pause spread"));
}

#[test]
fn a_kill_needs_the_code_it_was_answered_with_and_three_wrong_ones_void_it() {
    let world = World::new();
    let session = world.listen();
    world.side.update(message(1, "/kill 123456"));
    world.side.wait_for("no code waits");
    world.side.update(message(2, "/kill"));
    let code = world.code();
    assert_eq!(code.len(), 6);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for number in 3..6 {
        world.side.update(message(number, &format!("/kill {wrong}")));
    }
    world.side.wait_for("wrong code, which is void now");
    world.side.update(message(6, &format!("/kill {code}")));
    world.side.wait_for_updates();
    assert!(session.river.try_recv().is_err(), "nothing was killed so far");

    world.side.update(message(7, "/kill"));
    let asked = |text: &&String| text.contains("Confirm within a minute");
    wait("another code", || world.side.texts().iter().filter(asked).count() == 2);
    let text = world.side.texts().into_iter().rfind(|text| asked(&text)).unwrap();
    let code = text.rsplit(' ').next().unwrap().to_owned();
    world.be("killed");
    world.side.update(message(8, &format!("/kill {code}")));
    world.side.wait_for("trading is killed");
    let command = session.river.try_recv().unwrap();
    assert_eq!(Verb::from_u32(command.verb), Some(Verb::KillGraceful));
    world.side.update(message(9, &format!("/kill {code}")));
    world.side.wait_for_updates();
    assert!(session.river.try_recv().is_err(), "a code is good for one kill");
}

#[test]
fn nothing_can_be_armed_cleared_or_loosened_and_questions_are_answered() {
    let world = World::new();
    let session = world.listen();
    let words = ["/arm", "/clear", "/flatten", "/limits 5", "/model x", "/config", "/resume"];
    for (number, word) in (1..).zip(words) {
        world.side.update(message(number, word));
    }
    world.side.wait_for_updates();
    wait("an answer to each", || world.side.texts().len() == words.len());
    assert!(world.side.texts().iter().all(|text| text.contains("is not possible here")));
    assert!(session.river.try_recv().is_err());
    world.side.update(message(20, "/status"));
    assert!(world.side.wait_for("equity").starts_with("trading is active"));
    world.side.update(message(21, "/positions"));
    world.side.wait_for("no position is open");
}

#[test]
fn a_command_is_obeyed_once_though_it_is_told_again_and_over_restarts() {
    let world = World::new();
    let session = world.listen();
    world.be("reducing");
    world.side.update(message(5, "/pause"));
    wait("the command", || session.river.try_recv().is_ok());
    // The same update again, and one of a lower number: told anew by a confused other side.
    world.side.update(message(5, "/pause"));
    world.side.update(message(4, "/pause"));
    world.side.wait_for_updates();
    drop(session);
    let session = world.listen();
    world.side.update(with(message(6, "/status"), "/message/text", json!("/status")));
    world.side.wait_for("profit");
    assert!(session.river.try_recv().is_err(), "nothing is obeyed twice");
}
