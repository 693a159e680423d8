//! What the session's key may do, read back before anything else is done with it. Live trading
//! starts with no key that may do more than trade futures from named addresses, and with none of
//! which that is not known.

use super::access::API_KEY;
use super::clock::wall_now;
use super::secret;
use crate::base::settings::{Settings, VenueSettings};
use crate::venue::account::{AccountClient, Credentials};
use crate::venue::job::{RestFailure, RestJob, RestReply};
use crate::venue::key_rights::KeyRights;
use crate::venue::watch::{Ask, Seen};
use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a start asks a host that does not answer.
const TRIES: u32 = 3;
/// Time between two of them.
const REST: Duration = Duration::from_secs(1);

/// Who asks the wallet's host.
pub fn client(venue: &VenueSettings, credentials: Credentials) -> AccountClient {
    AccountClient::new(&venue.wallet_url, credentials, wall_now).within(PATIENCE)
}

/// What the key may do; asked again where no answer came, until `stop` is set.
///
/// # Errors
/// In words: what was asked, and why it was not answered.
pub fn read(client: &AccountClient, stop: &AtomicBool) -> Result<KeyRights, String> {
    let mut tries = 1;
    loop {
        match client.answer(&RestJob::Watch(Ask::KeyRights)).0 {
            Ok(RestReply::Seen(Seen::KeyRights(rights))) => return Ok(rights),
            Ok(_) => return Err("the key's rights were answered by something else".to_owned()),
            Err(failure) => {
                let ends = tries == TRIES || stop.load(Ordering::Relaxed);
                if ends || !may_pass(&failure) {
                    return Err(failure.message);
                }
            }
        }
        std::thread::sleep(REST);
        tries += 1;
    }
}

/// True for a failure that says nothing of the key: no answer, or one of a host in trouble.
fn may_pass(failure: &RestFailure) -> bool {
    failure.status.is_none_or(|status| status >= 500)
}

/// With real money: refuses a key that is not as it has to be.
///
/// # Errors
/// Names the key's place and every right at fault, or why they are not known.
pub fn require(settings: &Settings, credentials: &Credentials, stop: &AtomicBool) -> Result<()> {
    if !settings.reads_key_rights() {
        return Ok(());
    }
    let client = client(&settings.venue, credentials.clone());
    let rights = match read(&client, stop) {
        Ok(rights) => rights,
        Err(error) => bail!("{}", unread(&error)),
    };
    if !rights.beside.is_empty() {
        let names = rights.beside.join(", ");
        tracing::warn!(names, "the key has rights that nothing is known of");
    }
    match rights.fault() {
        None => Ok(()),
        Some(fault) => bail!("{}: {fault}", place()),
    }
}

/// What is said of rights that could not be read.
pub fn unread(error: &str) -> String {
    format!("{}: what it may do cannot be read at venue.wallet_url: {error}", place())
}

/// The key by where it comes from, never by itself.
pub fn place() -> String {
    format!("the key of {}", secret::place(API_KEY))
}
