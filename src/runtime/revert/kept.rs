//! The figures of a champion over restarts: a session that goes on with the same champion goes on
//! with what it has come to. What the last seconds before a crash brought is not in them.

use crate::promotion::account::Account;
use crate::registry::verdict::Contender;
use crate::runtime::state::write_durably;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Layout of the file.
const SCHEMA: u32 = 1;
/// Time between two writes.
const WRITE_EVERY: Duration = Duration::from_secs(10);
/// The session that begins with a fresh account each time.
const FRESH: &str = crate::runtime::session::DEMO;

/// What is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    schema: u32,
    version: String,
    sha256: String,
    card_sha256: String,
    /// What it began with and what its closed positions came to, 1e-8.
    pub closed: i64,
    /// Its account.
    pub account: Account,
}

/// The file of one chain of sessions.
pub struct KeptFile {
    path: PathBuf,
    written: Option<Instant>,
    newest: Option<Kept>,
}

impl KeptFile {
    /// Of the sessions named as the journal `name` is; `None` where each begins anew.
    pub fn of(state: &Path, name: &str) -> Option<Self> {
        let session = name.split_once('-').map_or(name, |(_, session)| session);
        let path = state.join(format!("champion-{session}.json"));
        (session != FRESH).then_some(Self { path, written: None, newest: None })
    }

    /// What was kept of this champion; `None` where it was another one, or nothing sound is there.
    pub fn read(&self, champion: &Contender) -> Option<Kept> {
        let bytes = std::fs::read(&self.path).ok()?;
        let kept: Kept = match serde_json::from_slice(&bytes) {
            Ok(kept) => kept,
            Err(error) => {
                let path = self.path.display();
                tracing::warn!(%path, %error, "the champion's figures begin anew");
                return None;
            }
        };
        let same = champion.is(&kept.version, &kept.sha256, &kept.card_sha256);
        (same && kept.schema == SCHEMA).then_some(kept)
    }

    /// Writes it, where it is due or `at_end`, and another than before.
    pub fn write(
        &mut self,
        champion: &Contender,
        account: &Account,
        closed: i64,
        (now, at_end): (Instant, bool),
    ) {
        if !at_end && self.written.is_some_and(|last| now - last < WRITE_EVERY) {
            return;
        }
        self.written = Some(now);
        let Contender { version, sha256, card_sha256 } = champion.clone();
        let account = account.clone();
        let kept = Kept { schema: SCHEMA, version, sha256, card_sha256, closed, account };
        if self.newest.as_ref() == Some(&kept) {
            return;
        }
        let text = serde_json::to_vec(&kept).map_err(std::io::Error::from);
        if let Err(error) = text.and_then(|text| write_durably(&self.path, &text)) {
            let path = self.path.display();
            tracing::error!(%path, %error, "the champion's figures cannot be kept");
        }
        self.newest = Some(kept);
    }
}
