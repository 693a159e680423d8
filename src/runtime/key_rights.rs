//! What the session's key may do, read back before anything else is done with it. Live trading
//! starts with no key that may do more than trade futures from named addresses, and with none of
//! which that is not known.

use super::access::API_KEY;
use super::clock::wall_now;
use super::patience::{Patience, Unanswered};
use super::secret;
use crate::base::settings::{Settings, VenueSettings};
use crate::venue::account::{AccountClient, Credentials};
use crate::venue::job::{RestJob, RestReply};
use crate::venue::key_rights::KeyRights;
use crate::venue::watch::{Ask, Seen};
use anyhow::{Result, bail};
use std::time::Duration;

/// Longest wait for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Who asks the wallet's host.
pub fn client(venue: &VenueSettings, credentials: Credentials) -> AccountClient {
    AccountClient::new(&venue.wallet_url, credentials, wall_now).within(ANSWER_MAX)
}

/// What the key may do.
///
/// # Errors
/// In words: what was asked, and why it was not answered.
pub fn read(client: &AccountClient) -> Result<KeyRights, Unanswered> {
    match client.answer(&RestJob::Watch(Ask::KeyRights)).0? {
        RestReply::Seen(Seen::KeyRights(rights)) => Ok(rights),
        _ => Err(Unanswered::for_good("the key's rights were answered by something else")),
    }
}

/// With real money: refuses a key that is not as it has to be.
///
/// # Errors
/// Names the key's place and every right at fault, or why they are not known.
pub fn require(
    settings: &Settings,
    credentials: &Credentials,
    patience: &Patience<'_>,
) -> Result<()> {
    if !settings.reads_key_rights() {
        return Ok(());
    }
    let client = client(&settings.venue, credentials.clone());
    let rights = match patience.ask(|| read(&client)) {
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
