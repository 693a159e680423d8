//! The thread that asks for updates and acts on what the desk makes of them.

use super::desk::{CommandDesk, Heard, Ignored};
use crate::base::event::Command;
use crate::observe::SnapshotCell;
use crate::observe::alerts::service::AlertSender;
use crate::observe::alerts::ways::Telegram;
use crate::observe::alerts::{Alert, Class, Severity, wall_ns};
use crate::observe::snapshot::Snapshot;
use crate::risk::{Origin, Verb, command};
use crossbeam::channel::Sender;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the other side holds a question back while there is nothing to tell.
const POLL: Duration = Duration::from_secs(25);
/// Longest time of one question: the other side's wait and a margin.
pub const QUESTION_MAX: Duration = Duration::from_secs(35);
/// First and longest wait after a failed question.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long an answer waits for the state that a command leads to.
const OBEY_TIME: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The file that holds the number of the newest update.
const OFFSET_FILE: &str = "telegram-update";
/// Updates in one answer.
const UPDATES_MAX: usize = 20;

/// What the listener works with.
pub struct ListenerWork {
    /// The bot, with time for a long poll.
    pub bot: Telegram,
    /// Users who are obeyed.
    pub users: Vec<i64>,
    /// The state folder.
    pub state: PathBuf,
    /// Where commands go.
    pub river: Sender<Command>,
    /// The newest snapshot.
    pub cell: Arc<SnapshotCell>,
    /// Where attempts are told.
    pub alerts: AlertSender,
}

/// See the head of this file. Dropped, it obeys nothing more; a question under way is not waited
/// for.
pub struct CommandListener {
    stop: Arc<AtomicBool>,
}

impl CommandListener {
    /// Starts the thread.
    ///
    /// # Errors
    /// When it cannot be started, or the number of the newest update cannot be read: then a command
    /// could be obeyed twice.
    pub fn start(work: ListenerWork) -> io::Result<Self> {
        let path = work.state.join(OFFSET_FILE);
        let last = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            text => text?
                .trim()
                .parse::<i64>()
                .map_err(|_| io::Error::other(format!("{}: holds no number", path.display())))?,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let desk = CommandDesk::new(work.users.clone(), last);
        let listener = Listener { desk, path, work, stop: stopped };
        std::thread::Builder::new().name("telegram".to_owned()).spawn(move || listener.run())?;
        Ok(Self { stop })
    }
}

impl Drop for CommandListener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Listener {
    desk: CommandDesk,
    path: PathBuf,
    work: ListenerWork,
    stop: Arc<AtomicBool>,
}

impl Listener {
    fn run(mut self) {
        let mut wait = RETRY.0;
        while !self.stopped() {
            let question = json!({
                "offset": self.desk.last_update() + 1,
                "timeout": POLL.as_secs(),
                "limit": UPDATES_MAX,
                "allowed_updates": ["message"],
            });
            match self.work.bot.call("getUpdates", &question) {
                Ok(updates) => {
                    wait = RETRY.0;
                    let updates = updates.as_array().cloned().unwrap_or_default();
                    for update in updates.iter().take(UPDATES_MAX) {
                        if self.stopped() || !self.act(update) {
                            break;
                        }
                    }
                }
                Err(undelivered) => {
                    tracing::warn!(what = undelivered.what, "telegram commands");
                    self.pause(undelivered.retry_after.unwrap_or(wait).max(wait));
                    wait = (wait * 2).min(RETRY.1);
                }
            }
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        while !self.stopped() && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(200));
        }
    }

    /// Acts on an update; false where its number could not be kept, so that nothing was done.
    fn act(&mut self, update: &Value) -> bool {
        let now_s = wall_ns().div_euclid(1_000_000_000);
        let Some(code) = fresh_code() else { return false };
        let (user, heard) = self.desk.hear(update, now_s, &code);
        if let Err(error) = keep_number(&self.path, self.desk.last_update()) {
            tracing::error!(%error, "telegram commands: nothing is obeyed");
            self.pause(RETRY.1);
            return false;
        }
        let answer = match heard {
            Heard::Ignored(why) => {
                self.tell_ignored(user, why);
                return true;
            }
            Heard::Status => status(&self.work.cell.load().0),
            Heard::Positions => positions(&self.work.cell.load().0),
            Heard::Answer(text) => text,
            Heard::Give(verb, why) => self.give(verb, user, &why),
        };
        if let Err(undelivered) = self.work.bot.say(user, &answer) {
            tracing::warn!(what = undelivered.what, "telegram commands: not answered");
        }
        true
    }

    fn tell_ignored(&self, user: i64, why: Ignored) {
        if matches!(why, Ignored::Seen | Ignored::NoCommand) {
            return;
        }
        let text = format!("a Telegram message of user {user} was not obeyed: {why:?}");
        let at = (0, wall_ns());
        let alert = Alert::new(Severity::P2, Class::Command, "telegram:refused", &text, at);
        let _ = self.work.alerts.try_send(alert);
    }

    fn give(&self, verb: Verb, user: i64, why: &str) -> String {
        // The record has 32 bits for it; the whole number stands in the reason.
        let actor = user as u32;
        let command = match command(verb, Origin::Telegram, actor, why) {
            Ok(command) => command,
            Err(error) => return format!("not given: {error}"),
        };
        if self.work.river.try_send(command).is_err() {
            return "not passed on: too many commands wait; use the machine's console".to_owned();
        }
        let began = Instant::now();
        while began.elapsed() < OBEY_TIME {
            let state = self.work.cell.load().0.trading_state;
            let obeyed = match verb {
                Verb::Pause => matches!(state, "reducing" | "halted" | "killed"),
                _ => state == "killed",
            };
            if obeyed {
                return format!("trading is {state}");
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        let state = self.work.cell.load().0.trading_state;
        format!("given, but trading is {state} still; /status tells")
    }
}

/// Six digits that cannot be guessed; `None` where the system has no chance to give.
fn fresh_code() -> Option<String> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(format!("{:06}", u64::from_le_bytes(bytes) % 1_000_000))
}

/// Makes the number of the newest update durable, before it is acted on.
fn keep_number(path: &Path, number: i64) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(number.to_string().as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}

fn status(page: &Snapshot) -> String {
    let reasons: Vec<&str> = page.not_ready.iter().map(|reason| reason.name()).collect();
    let ready = if reasons.is_empty() { "ready".to_owned() } else { reasons.join(", ") };
    format!(
        "trading is {}\n{ready}\nequity {}\nprofit {}\ndrawdown {:.2} %\nup {:.0} s",
        page.trading_state,
        page.account.equity,
        page.account.pnl_quote,
        page.account.drawdown_ratio * 100.0,
        page.session.uptime_seconds,
    )
}

fn positions(page: &Snapshot) -> String {
    let open = page.positions.iter().filter(|position| position.qty.0 != 0);
    let lines: Vec<String> = open
        .map(|p| format!("{} {} at {}, open {}", p.symbol, p.qty, p.entry_px, p.unrealised))
        .collect();
    if lines.is_empty() { "no position is open".to_owned() } else { lines.join("\n") }
}
