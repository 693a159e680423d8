//! Wishes about models over the admin socket: one line in, one line out.
//!
//! ```text
//!  {"verb": "model_use", "model": "VERSION" | "champion" | "previous", "reason": "…"}
//!  {"verb": "ab_start", "model": "VERSION", "share_bps": 1000, …, "reason": "…"}
//!  {"verb": "ab_stop", "reason": "…"}      {"verb": "ab_status"}
//! ```

use super::desk::{Ask, Asking, Wish};
use crate::base::split::SHARE_BPS;
use crate::runtime::admin;
use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// How long a wish may take: a large model is read, hashed and proved.
pub const WISH_TIME: Duration = Duration::from_secs(60);
/// Lawful lengths of a block, milliseconds.
const BLOCK_MS: RangeInclusive<u32> = 1_000..=86_400_000;

/// What is asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct ModelRequest {
    /// `model_use`, `ab_start`, `ab_stop` or `ab_status`.
    pub verb: String,
    /// A version; for `model_use` also `champion` or `previous`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Share of a trial in basis points; the configuration's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_bps: Option<u32>,
    /// Length of its blocks in milliseconds; the configuration's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_ms: Option<u32>,
    /// Seed of its deal; the configuration's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Why, 1 to 84 bytes; for everything but `ab_status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ModelRequest {
    /// True where a line of the admin socket is one.
    pub fn concerns(line: &Value) -> bool {
        let verb = line["verb"].as_str().unwrap_or_default();
        verb.starts_with("model_") || verb.starts_with("ab_")
    }

    /// The wish.
    fn wish(&self) -> Result<Wish, String> {
        let model = || self.model.clone().ok_or("model: a version is needed".to_owned());
        let within = |value: Option<u32>, lawful: RangeInclusive<u32>, key: &str| match value {
            Some(value) if !lawful.contains(&value) => {
                Err(format!("{key}: {} to {}", lawful.start(), lawful.end()))
            }
            _ => Ok(value),
        };
        match self.verb.as_str() {
            "model_use" => Ok(Wish::Use(model()?)),
            "ab_start" => Ok(Wish::StartTrial {
                version: model()?,
                share_bps: within(self.share_bps, SHARE_BPS, "share_bps")?,
                block_ms: within(self.block_ms, BLOCK_MS, "block_ms")?,
                seed: self.seed,
            }),
            "ab_stop" => Ok(Wish::EndTrial),
            "ab_status" => Ok(Wish::Status),
            other => Err(format!("verb: {other:?} is none")),
        }
    }

    /// Has the desk do it.
    ///
    /// # Errors
    /// In words.
    pub fn obey(&self, desk: &Asking, user: u32) -> Result<Value, String> {
        let wish = self.wish()?;
        let reason = self.reason.clone().unwrap_or_default();
        tracing::warn!(user, verb = self.verb, model = self.model, reason, "models");
        desk.ask(Ask::new(wish, user, &reason)?, WISH_TIME)
    }
}

/// Asks a running session, as an operator's program does; what it answers, of which `ok` says
/// whether it did it.
///
/// # Errors
/// When nobody answers: no session runs on that state folder, or it hangs.
pub fn ask(state: &Path, request: &ModelRequest) -> Result<Value> {
    admin::ask_line(state, &serde_json::to_string(request)?, WISH_TIME + Duration::from_secs(3))
}

/// Has a running session trade on another model: a version of its registry, `champion`, or
/// `previous`, the one before the last change, which is warm.
///
/// # Errors
/// When nobody answers, or the session refused; what it trades on goes on.
pub fn ask_swap(state: &Path, model: &str, reason: &str) -> Result<Value> {
    let request = ModelRequest {
        verb: "model_use".to_owned(),
        model: Some(model.to_owned()),
        reason: Some(reason.to_owned()),
        ..ModelRequest::default()
    };
    let answer = ask(state, &request)?;
    if answer["ok"] != true {
        bail!("{}: {}", state.display(), answer["error"].as_str().unwrap_or("refused"));
    }
    Ok(answer)
}
