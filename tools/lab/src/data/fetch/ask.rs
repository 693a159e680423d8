//! Requests at the pace that is allowed, asked again while the venue cannot or will not answer.

use super::Step;
use super::pace::{Pace, Weight};
use anyhow::{Result, anyhow, bail};
use peregrine::venue::rest::RestClient;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Times that a request is made whose answer failed.
const TRIES: u32 = 6;
/// The wait before the second try, milliseconds; each further one is twice as long.
const FIRST_WAIT_MS: i64 = 250;
/// A venue that wants a longer wait than this is left alone.
const LONGEST_WAIT_S: u32 = 900;
/// The venue's code for a symbol that it does not know.
const UNKNOWN_SYMBOL: i64 = -1121;

/// A venue that is asked.
pub struct Asker {
    client: RestClient,
    pace: Pace,
    /// The venue's time when it was first asked, and the moment here.
    since: (i64, Instant),
    /// Answers that counted.
    pub answers: u64,
}

/// What came of a request.
enum Answer {
    /// This.
    Said(Value),
    /// Nothing yet: again in so many milliseconds.
    Wait(i64, &'static str),
    /// Nothing, for this reason; it may be tried again.
    Failed(String),
}

impl Asker {
    /// Asks the venue at `base_url` for its time.
    ///
    /// # Errors
    /// A venue that cannot be reached.
    pub fn new(base_url: &str, share: u32, progress: &mut dyn FnMut(Step<'_>)) -> Result<Self> {
        let client = RestClient::new(base_url);
        let since = (0, Instant::now());
        let mut asker = Self { client, pace: Pace::new(share), since, answers: 0 };
        let told = asker.ask("/fapi/v1/time", "", Weight::Minute(1), progress)?;
        let time = told["serverTime"].as_i64().ok_or_else(|| {
            anyhow!("{base_url}/fapi/v1/time: {told} tells no serverTime; is it such a venue?")
        })?;
        asker.since = (time, Instant::now());
        Ok(asker)
    }

    /// The venue's time, milliseconds.
    pub fn now_ms(&self) -> i64 {
        let passed = i64::try_from(self.since.1.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.since.0.saturating_add(passed)
    }

    /// The answer to `GET path?query`, once it may be asked and is given.
    ///
    /// # Errors
    /// A refusal that stays one, a venue that does not answer for long, or one that wants to be
    /// left alone for long.
    pub fn ask(
        &mut self,
        path: &str,
        query: &str,
        weight: Weight,
        progress: &mut dyn FnMut(Step<'_>),
    ) -> Result<Value> {
        let mut failed = 0;
        loop {
            loop {
                let wait = self.pace.wait_ms(self.now_ms(), weight);
                if wait == 0 {
                    break;
                }
                pass(wait, "its share of this minute is used", progress);
            }
            match self.once(path, query, weight)? {
                Answer::Said(value) => {
                    self.answers += 1;
                    return Ok(value);
                }
                Answer::Wait(wait, why) => pass(wait, why, progress),
                Answer::Failed(what) => {
                    failed += 1;
                    if failed == TRIES {
                        bail!("{what}; tried {TRIES} times. Run it again to go on from here");
                    }
                    pass(FIRST_WAIT_MS << (failed - 1), "the venue did not answer", progress);
                }
            }
        }
    }

    fn once(&mut self, path: &str, query: &str, weight: Weight) -> Result<Answer> {
        self.pace.sent(self.now_ms(), weight);
        let (status, body, limits) = match self.client.carry("GET", path, query, None) {
            Ok(carried) => carried,
            Err(failure) => return Ok(Answer::Failed(failure.message)),
        };
        self.pace.heard(self.now_ms(), limits.used_weight);
        let told = serde_json::from_slice::<Value>(&body);
        let words = || String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
        match status {
            200 => Ok(told.map_or_else(
                |_| Answer::Failed(format!("GET {path}: an answer that is no JSON: {}", words())),
                Answer::Said,
            )),
            418 | 429 => {
                let until_minute = 60 - self.now_ms().div_euclid(1_000).rem_euclid(60);
                let seconds = limits
                    .retry_after_s
                    .unwrap_or_else(|| u32::try_from(until_minute).unwrap_or(60));
                if seconds > LONGEST_WAIT_S {
                    bail!(
                        "GET {path}: status {status}: the venue wants to be left alone for \
                         {seconds} s; run it again then, it goes on from here"
                    );
                }
                let why = if status == 418 {
                    "the venue banned us"
                } else {
                    "the venue was asked too much"
                };
                // Whole seconds are told; a little more than the last is waited.
                Ok(Answer::Wait(i64::from(seconds) * 1_000 + 50, why))
            }
            500.. => Ok(Answer::Failed(format!("GET {path}: status {status}: {}", words()))),
            _ if told.as_ref().is_ok_and(|told| told["code"] == UNKNOWN_SYMBOL) => {
                bail!("GET {path}?{query}: the venue knows no such symbol ({})", words())
            }
            _ => bail!("GET {path}?{query}: status {status}: {}", words()),
        }
    }
}

/// Waits, and says so.
fn pass(wait_ms: i64, why: &'static str, progress: &mut dyn FnMut(Step<'_>)) {
    progress(Step::Waiting { wait_ms, why });
    std::thread::sleep(Duration::from_millis(wait_ms.unsigned_abs()));
}
