//! Alerts on their way: what is in the journal arrives, through failures, at whom it must.

use crate::alert_world::{Behave, OtherSide};
use crate::process::wait;
use aws_lc_rs::hmac;
use peregrine::base::event::StateChange;
use peregrine::base::settings::{AlertChannel, AlertSettings, parse, parse_document};
use peregrine::base::{Event, InstrumentId, Kind, Money, Reason};
use peregrine::journal::{Journal, JournalSettings, LANES, LaneWriter};
use peregrine::observe::alerts::board::AlertBoard;
use peregrine::observe::alerts::secret::Secret;
use peregrine::observe::alerts::service::{AlertService, AlertWork};
use peregrine::observe::alerts::ways::{Mail, Telegram, Way, Webhook};
use peregrine::observe::alerts::{Class, Severity};
use peregrine::observe::report::Figures;
use peregrine::observe::report::due::{Due, report};
use peregrine::observe::{Snapshot, SnapshotCell};
use peregrine::risk::TradingState;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const TOKEN: &str = "123456:canary-token-of-a-bot";
const SECRET: &str = "canary-secret-of-a-webhook-0123456789";

/// The table as a file without it gives it.
fn settings(escalate_after_ms: u32) -> AlertSettings {
    let text = std::fs::read_to_string(crate::pipeline_support::root().join("config/paper.toml"));
    let mut document = parse_document(&text.unwrap()).unwrap();
    document.remove("risk_file");
    let risk = "starting_equity = \"1000\"".parse::<toml::Table>().unwrap();
    document.insert("risk".to_owned(), toml::Value::Table(risk));
    let settings = parse(document).unwrap().alerts;
    AlertSettings { escalate_after_ms, ..settings }
}

/// A journal that a test writes, and its alerts.
struct World {
    dir: tempfile::TempDir,
    journal: Journal,
    writers: [LaneWriter; LANES],
    board: Arc<AlertBoard>,
    cell: Arc<SnapshotCell>,
    seq: u64,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dir.path().join("journal");
        let (journal, writers) = Journal::create(&journal, JournalSettings::backtest(1)).unwrap();
        let cell = Arc::new(SnapshotCell::new());
        cell.publish(Snapshot::default());
        Self { dir, journal, writers, board: Arc::default(), cell, seq: 0 }
    }

    fn work(&self, ways: Vec<Way>, escalate_after_ms: u32) -> AlertWork {
        AlertWork {
            settings: settings(escalate_after_ms),
            ways,
            journal: Some(self.journal.dir().to_path_buf()),
            health: self.journal.health(),
            cell: Arc::clone(&self.cell),
            board: Arc::clone(&self.board),
            ending: Arc::default(),
        }
    }

    fn change(&mut self, to: TradingState, reason: Reason) {
        self.seq += 1;
        let body = StateChange {
            from: TradingState::Active as u8,
            to: to as u8,
            reason: reason as u16,
            actor: u32::MAX,
            ..StateChange::default()
        };
        let event = Event::new(Kind::StateChange, InstrumentId::NONE, &body);
        let event = Event { seq: self.seq, ..event };
        let _ = self.writers[2].append(&event).unwrap();
    }
}

fn telegram(side: &OtherSide) -> Way {
    Way::Telegram(Telegram::new(&side.url(), Secret::new(TOKEN.to_owned()), 77))
}

fn webhook(side: &OtherSide) -> Way {
    let url = format!("{}/hook", side.url());
    Way::Webhook(Webhook::new(&url, Secret::new(SECRET.to_owned())))
}

#[test]
fn what_the_journal_tells_arrives_through_an_outage_and_a_wait_that_the_bot_api_names() {
    let (mut world, side) = (World::new(), OtherSide::start());
    side.behave(&[Behave::Drop, Behave::Status(502), Behave::TooMany(2), Behave::Status(500)]);
    let service = AlertService::start(world.work(vec![telegram(&side)], 3_000)).unwrap();
    world.change(TradingState::Halted, Reason::DailyLoss);
    let text = side.wait_for("trading is halted (DailyLoss)");
    assert!(text.starts_with("P0 state: "), "{text}");
    let sent = side.sent();
    assert_eq!(sent.len(), 5, "four in vain, one that arrived");
    let waited = sent[3].at.duration_since(sent[2].at);
    assert!(waited >= Duration::from_secs(2), "asked again after {waited:?}, not before 2 s");
    assert_eq!(sent[4].path, format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(sent[4].json()["chat_id"], 77);
    assert!(sent[4].json().get("parse_mode").is_none(), "text is text");
    drop(service);
    let (rows, view) = world.board.view();
    assert_eq!((rows.len(), rows[0].priority, rows[0].seq), (1, "P0", 1));
    let channel = &view.channels[0];
    assert_eq!((channel.name, channel.delivered, channel.failed), ("telegram", 1, 4));
}

#[test]
fn an_alert_that_hangs_on_the_first_channel_arrives_on_the_second_within_its_time() {
    let (mut world, first, second) = (World::new(), OtherSide::start(), OtherSide::start());
    first.always(Some(Behave::Hang));
    let ways = vec![telegram(&first), webhook(&second)];
    let service = AlertService::start(world.work(ways, 300)).unwrap();
    world.change(TradingState::Reducing, Reason::Drawdown);
    let text = second.wait_for("trading is reducing (Drawdown)");
    assert!(text.contains("[escalated]"), "{text}");
    let asked = first.sent();
    let (began, told) = (asked[0].at, second.sent()[0].at);
    let took = told.duration_since(began);
    assert!(took >= Duration::from_millis(200), "the first channel has its time: {took:?}");
    assert!(asked[0].text().contains("Drawdown") && !asked[0].text().contains("[escalated]"));
    drop(service);
    assert_eq!(world.board.view().1.escalated, 1);
}

#[test]
fn p0_goes_to_all_channels_and_the_webhook_is_signed_as_documented() {
    let (mut world, first, second) = (World::new(), OtherSide::start(), OtherSide::start());
    let ways = vec![telegram(&first), webhook(&second)];
    let service = AlertService::start(world.work(ways, 3_000)).unwrap();
    world.change(TradingState::Killed, Reason::Operator);
    first.wait_for("trading is killed (Operator)");
    second.wait_for("trading is killed (Operator)");
    let hook = &second.sent()[0];
    assert_eq!(hook.path, "/hook");
    let alert = hook.json()["alerts"][0].clone();
    assert_eq!((&alert["severity"], &alert["class"]), (&"P0".into(), &"kill".into()));
    assert_eq!(alert["seq"], 1);
    // Another library's keyed hash over the documented bytes.
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signed = [hook.header("x-peregrine-timestamp").as_bytes(), b".", &hook.body].concat();
    let tag = hmac::sign(&key, &signed);
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hook.header("x-peregrine-signature"), format!("sha256={hex}"));
    drop(service);
}

/// A program that keeps what it is given, or does not end.
fn mail_program(dir: &Path, body: &str) -> String {
    let path = dir.join("mail-program");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_mail_reaches_its_program_whole_and_a_program_that_hangs_holds_up_nothing() {
    let mut world = World::new();
    let kept = world.dir.path().join("mail");
    let half = world.dir.path().join("half");
    let (half_text, kept_text) = (half.to_str().unwrap(), kept.to_str().unwrap());
    let keep =
        format!("/bin/cat > {half_text}; env >> {half_text}; /bin/mv {half_text} {kept_text}");
    let program = mail_program(world.dir.path(), &keep);
    let mail = Way::Mail(Mail::new(&program, "trader@host", "desk@host"));
    let service = AlertService::start(world.work(vec![mail], 3_000)).unwrap();
    world.change(TradingState::Halted, Reason::Drawdown);
    wait("a mail", || kept.exists());
    let text = std::fs::read_to_string(&kept).unwrap();
    assert!(text.starts_with("From: trader@host\nTo: desk@host\nSubject: [peregrine] P0 state"));
    assert!(text.contains("\n\nP0 state: trading is halted (Drawdown)"), "{text}");
    assert!(!text.contains("CARGO"), "the program gets nothing of our environment");
    drop(service);

    let side = OtherSide::start();
    let program = mail_program(world.dir.path(), "exec /bin/sleep 30");
    let mail = Way::Mail(Mail::new(&program, "trader@host", "desk@host"));
    let service = AlertService::start(world.work(vec![mail, webhook(&side)], 3_000)).unwrap();
    world.change(TradingState::Killed, Reason::Operator);
    side.wait_for("trading is killed");
    wait("the program to be killed", || {
        world.board.view().1.channels.iter().any(|channel| channel.failed > 0)
    });
    drop(service);
}

#[test]
fn the_sums_of_a_day_and_of_a_week_arrive_with_their_pictures() {
    let (world, side) = (World::new(), OtherSide::start());
    side.behave(&[Behave::TooMany(1), Behave::Drop]);
    let service = AlertService::start(world.work(vec![telegram(&side)], 3_000)).unwrap();
    let unit = 100_000_000;
    let curve = vec![(0, 1_000 * unit), (1, 1_001 * unit), (2, 1_003 * unit)];
    let figures = Figures { profit: Money(3 * unit), curve, ..Figures::default() };
    // 2026-11-29, a Sunday.
    for week in [false, true] {
        let told = report(Due { day: 20_786, week }, "testnet", &figures);
        service.sender().try_send(told).unwrap();
    }
    wait("both", || side.sent().iter().filter(|sent| sent.taken).count() == 2);
    let sent: Vec<_> = side.sent().into_iter().filter(|sent| sent.taken).collect();
    for (sent, words) in sent.iter().zip(["day 2026-11-29: profit 3", "week to 2026-11-29"]) {
        assert_eq!(sent.path, format!("/bot{TOKEN}/sendPhoto"));
        let holds = |part: &[u8]| sent.body.windows(part.len()).any(|window| window == part);
        assert!(
            holds(words.as_bytes()) && holds(b"\x89PNG\r\n\x1a\n") && holds(b"IEND"),
            "{words}"
        );
        assert!(sent.header("content-type").starts_with("multipart/form-data; boundary="));
    }
    drop(service);
}

#[test]
fn fault_p16_alerts_that_died_are_shown_as_dead_and_records_go_on() {
    let mut world = World::new();
    let mut work = world.work(Vec::new(), 3_000);
    work.journal = Some(world.dir.path().join("nowhere"));
    let service = AlertService::start(work).unwrap();
    wait("the thread to be gone", || !world.board.view().1.alive);
    for _ in 0..1_000 {
        world.change(TradingState::Halted, Reason::DailyLoss);
        service.say(Severity::P0, Class::State, "k", "nobody hears it, nobody waits");
    }
    drop(service);
    assert_eq!(world.journal.health().appended(2), 1_000);
}

#[test]
fn fault_o11_a_storm_reaches_each_chat_at_most_once_a_second_and_its_rest_in_one_summary() {
    let (mut world, side) = (World::new(), OtherSide::start());
    let service = AlertService::start(world.work(vec![telegram(&side)], 3_000)).unwrap();
    for _ in 0..10_000 {
        world.change(TradingState::Reducing, Reason::Drawdown);
    }
    world.change(TradingState::Killed, Reason::Operator);
    let text = side.wait_for("trading is killed");
    assert!(text.starts_with("P0 kill"), "the most severe stands first: {text}");
    let view = || world.board.view().1;
    wait("all to be read", || {
        view().raised.iter().map(|raised| raised.count).sum::<u64>() == 10_001
    });
    wait("nothing to wait", || view().waiting == 0);
    wait("what went out on its own to be bounded, the rest counted", || view().held == 10_000 - 20);
    let sent = side.sent();
    for pair in sent.windows(2) {
        let urgent = pair[1].text().starts_with("P0");
        let apart = pair[1].at.duration_since(pair[0].at);
        assert!(urgent || apart >= Duration::from_millis(900), "{apart:?} between two messages");
    }
    assert!(sent.len() <= 4, "{} messages", sent.len());
    assert_eq!(AlertChannel::Telegram.name(), "telegram");
    drop(service);
}
