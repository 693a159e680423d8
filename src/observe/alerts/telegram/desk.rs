//! Judges updates. Pure: time and chance are handed in.

use crate::risk::Verb;
use serde_json::Value;

/// Oldest message that is obeyed, in seconds: a backlog must not replay a command.
pub const UPDATE_AGE_MAX_S: i64 = 30;
/// How long a code is good for, in seconds.
const CODE_AGE_MAX_S: i64 = 60;
/// Wrong codes after which the code is void.
pub const CODE_TRIES_MAX: u32 = 3;
/// Longest reason taken over, in bytes; what stands in front of it has room in a record as well.
const REASON_BYTES_MAX: usize = 48;
/// Members of a message that did not come straight from the person who sent it.
const INDIRECT: [&str; 9] = [
    "forward_origin",
    "forward_from",
    "forward_from_chat",
    "forward_sender_name",
    "forward_date",
    "is_automatic_forward",
    "sender_chat",
    "via_bot",
    "sender_business_bot",
];

/// Why an update is not obeyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Its number is not above the last one.
    Seen,
    /// No message: edited, a channel's, a button.
    NoMessage,
    /// Of a user who may not.
    Stranger,
    /// Not in a private chat with the bot.
    NotPrivate,
    /// Forwarded, or sent by a bot or for somebody else.
    Indirect,
    /// Too old, or from the future.
    Stale,
    /// No command.
    NoCommand,
}

/// What a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing happens, and nobody is answered.
    Ignored(Ignored),
    /// How the session is.
    Status,
    /// What is open.
    Positions,
    /// Only an answer.
    Answer(String),
    /// A command, and why.
    Give(Verb, String),
}

struct Code {
    digits: String,
    user: i64,
    since_s: i64,
    tries: u32,
}

/// See the head of this file.
pub struct CommandDesk {
    users: Vec<i64>,
    last_update: i64,
    code: Option<Code>,
}

impl CommandDesk {
    /// Obeys `users`, and no update up to the number `last_update`.
    pub const fn new(users: Vec<i64>, last_update: i64) -> Self {
        Self { users, last_update, code: None }
    }

    /// The number of the newest update.
    pub const fn last_update(&self) -> i64 {
        self.last_update
    }

    /// Judges an update at `now_s` (seconds since the epoch). `code` is what a kill would have to
    /// be confirmed by, drawn anew each time. With it the user who sent the update.
    pub fn hear(&mut self, update: &Value, now_s: i64, code: &str) -> (i64, Heard) {
        let number = update["update_id"].as_i64().unwrap_or(0);
        let message = &update["message"];
        let user = message["from"]["id"].as_i64().unwrap_or(0);
        if number <= self.last_update {
            return (user, Heard::Ignored(Ignored::Seen));
        }
        self.last_update = number;
        if let Some(ignored) = self.refusal(message, user, now_s) {
            return (user, Heard::Ignored(ignored));
        }
        let text = message["text"].as_str().unwrap_or_default().trim();
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let heard = match word.split('@').next().unwrap_or_default() {
            "/status" => Heard::Status,
            "/positions" => Heard::Positions,
            "/pause" => Heard::Give(Verb::Pause, why("pause", user, rest)),
            "/kill" => self.kill(user, rest.trim(), now_s, code),
            "/help" | "/start" => {
                Heard::Answer("/status, /positions, /pause [why], /kill".to_owned())
            }
            word if word.starts_with('/') => {
                Heard::Answer(format!("{} is not possible here", shown(word)))
            }
            _ => Heard::Ignored(Ignored::NoCommand),
        };
        (user, heard)
    }

    fn refusal(&self, message: &Value, user: i64, now_s: i64) -> Option<Ignored> {
        if !message.is_object() {
            return Some(Ignored::NoMessage);
        }
        if user <= 0 || !self.users.contains(&user) {
            return Some(Ignored::Stranger);
        }
        let chat = &message["chat"];
        // A private chat has its user's number.
        if chat["type"] != "private" || chat["id"].as_i64() != Some(user) {
            return Some(Ignored::NotPrivate);
        }
        let indirect = INDIRECT.iter().any(|member| message.get(member).is_some());
        if indirect || message["from"]["is_bot"] != false {
            return Some(Ignored::Indirect);
        }
        let age = now_s.saturating_sub(message["date"].as_i64().unwrap_or(0));
        if age.unsigned_abs() > UPDATE_AGE_MAX_S.unsigned_abs() {
            return Some(Ignored::Stale);
        }
        None
    }

    fn kill(&mut self, user: i64, given: &str, now_s: i64, fresh: &str) -> Heard {
        if given.is_empty() {
            let digits = fresh.to_owned();
            let text = format!(
                "This cancels all entries and ends trading until an operator clears it at the \
                 machine. Confirm within a minute: /kill {digits}"
            );
            self.code = Some(Code { digits, user, since_s: now_s, tries: 0 });
            return Heard::Answer(text);
        }
        let Some(mut code) = self.code.take() else {
            return Heard::Answer("no code waits; send /kill first".to_owned());
        };
        let timely = now_s.saturating_sub(code.since_s) <= CODE_AGE_MAX_S;
        if !timely || code.user != user {
            return Heard::Answer("the code is void; send /kill anew".to_owned());
        }
        if code.digits == given {
            return Heard::Give(Verb::KillGraceful, why("kill", user, ""));
        }
        code.tries += 1;
        if code.tries >= CODE_TRIES_MAX {
            return Heard::Answer("wrong code, which is void now; send /kill anew".to_owned());
        }
        self.code = Some(code);
        Heard::Answer("wrong code".to_owned())
    }
}

/// The reason as it goes into the record, with the user's whole number.
fn why(verb: &str, user: i64, rest: &str) -> String {
    let rest = shown(rest.trim());
    let mut reason = format!("telegram {user}: {verb}");
    if !rest.is_empty() {
        reason.push(' ');
        reason.push_str(&rest);
    }
    reason
}

/// Text of a stranger's making: no control characters, not long.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > REASON_BYTES_MAX {
            break;
        }
        out.push(c);
    }
    out
}
