//! The desk where commands are taken over HTTP. It only tightens: pause and kill. Arming and
//! clearing need the admin socket.
//!
//! ```text
//!  token ──no──► 401, counted; five wrong ones lock the desk for a minute (429)
//!    │yes                     (a kill with the right token is taken even then)
//!  own header, own origin, JSON ──no──► 403 / 415: a web page elsewhere cannot send these
//!    │yes
//!  body: reason, mode ──no──► 400
//!    │yes
//!  into the river ──full──► 503
//! ```

use super::pages::{Answer, Ask};
use crate::base::event::Command;
use crate::risk::{Origin, Verb, command};
use crossbeam::channel::Sender;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

/// The actor of a command given over HTTP: whoever holds the token.
pub const ACTOR_HTTP: u32 = u32::MAX - 1;
/// Wrong tokens in a row that lock the desk.
const FAILURES_MAX: u32 = 5;
/// How long it stays locked.
const LOCK_TIME: Duration = Duration::from_secs(60);
/// The header every command must carry; a form on a foreign page cannot set it.
const OWN_HEADER: &str = "x-peregrine-request";

/// SHA-256 of the token: the token itself is not kept.
#[derive(Clone, Copy)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// The digest of `token`.
    pub(super) fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// Compares in a time that does not depend on where the difference is. Digests of a guess and
    /// of the token share no structure either.
    fn is_of(self, guess: &[u8]) -> bool {
        let other = Self::of(guess);
        let pairs = self.0.iter().zip(&other.0);
        let difference = pairs.fold(0, |sum: u8, (a, b)| std::hint::black_box(sum | (a ^ b)));
        difference == 0
    }
}

/// Takes commands; one per server.
pub(super) struct Desk {
    token: Option<TokenDigest>,
    river: Sender<Command>,
    failures: u32,
    locked_until: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Pause,
    Kill,
}

/// What a command's body may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    reason: String,
    mode: Option<KillMode>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KillMode {
    Pause,
    Graceful,
    Immediate,
}

impl Desk {
    /// Without a token every command is refused.
    pub(super) fn new(token: Option<TokenDigest>, river: Sender<Command>) -> Self {
        Self { token, river, failures: 0, locked_until: None }
    }

    /// Answers a POST to `/api/v1/<verb>` at the instant `now`.
    pub(super) fn take(&mut self, verb: &str, ask: &Ask, now: Instant) -> Answer {
        let verb = match verb {
            "pause" => Asked::Pause,
            "kill" => Asked::Kill,
            "arm" | "clear" | "promote" | "limits" => {
                return Answer::error(403, "loosening is not possible over HTTP");
            }
            _ => return Answer::error(404, "no such command"),
        };
        if let Err(refusal) = self.admit(verb, ask, now) {
            tracing::warn!("http command {verb:?} refused with {}", refusal.status());
            return refusal;
        }
        if let Err(refusal) = own_request(ask) {
            return refusal;
        }
        let order: Order = match serde_json::from_slice(&ask.body) {
            Ok(order) => order,
            Err(error) => return Answer::error(400, &format!("body: {error}")),
        };
        self.pass_on(verb, &order)
    }

    /// Who is asking?
    fn admit(&mut self, verb: Asked, ask: &Ask, now: Instant) -> Result<(), Answer> {
        let Some(token) = self.token else {
            return Err(Answer::error(403, "commands over HTTP are off: no token is configured"));
        };
        let given = ask.header("authorization").and_then(|text| text.strip_prefix("Bearer "));
        let right = given.is_some_and(|guess| token.is_of(guess.as_bytes()));
        let locked = self.locked_until.is_some_and(|until| now < until);
        if locked && !(right && verb == Asked::Kill) {
            return Err(Answer::error(429, "locked after wrong tokens"));
        }
        if !right {
            self.failures += 1;
            if self.failures >= FAILURES_MAX {
                self.failures = 0;
                self.locked_until = Some(now + LOCK_TIME);
            }
            let refusal = Answer::error(401, "a bearer token is needed");
            return Err(refusal.with("www-authenticate", "Bearer"));
        }
        self.failures = 0;
        Ok(())
    }

    fn pass_on(&self, verb: Asked, order: &Order) -> Answer {
        // A kill that does not say how is the strongest one.
        let verb = match (verb, order.mode) {
            (Asked::Pause, None | Some(KillMode::Pause)) | (Asked::Kill, Some(KillMode::Pause)) => {
                Verb::Pause
            }
            (Asked::Kill, Some(KillMode::Graceful)) => Verb::KillGraceful,
            (Asked::Kill, None | Some(KillMode::Immediate)) => Verb::KillImmediate,
            (Asked::Pause, _) => return Answer::error(400, "mode: a pause has no other mode"),
        };
        let command = match command(verb, Origin::Http, ACTOR_HTTP, &order.reason) {
            Ok(command) => command,
            Err(error) => return Answer::error(400, &error.to_string()),
        };
        match self.river.try_send(command) {
            Ok(()) => {
                let verb = verb as u32;
                Answer::json(202, &serde_json::json!({ "accepted": true, "verb": verb }))
            }
            Err(_) => {
                Answer::error(503, "the command could not be passed on; use the admin socket")
            }
        }
    }
}

/// Was the request made by a program of ours rather than by a page the browser happens to show?
fn own_request(ask: &Ask) -> Result<(), Answer> {
    if ask.header(OWN_HEADER).is_none() {
        return Err(Answer::error(403, "the header x-peregrine-request is missing"));
    }
    let own_origin = ask.header("origin").is_none_or(|origin| {
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some() && host == ask.header("host")
    });
    let own_site =
        ask.header("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    if !own_origin || !own_site {
        return Err(Answer::error(403, "cross-site requests are refused"));
    }
    let content_type = ask.header("content-type").unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(Answer::error(415, "content-type must be application/json"));
    }
    Ok(())
}
