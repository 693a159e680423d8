//! What the key may do, told by the wallet's host: what live trading refuses, it warns of where
//! trading is not live.

use crate::base::settings::{Mode, OrderRoute, Settings};
use crate::runtime::access;
use crate::runtime::host::Finding;
use crate::runtime::key_rights;
use crate::venue::account::Credentials;
use crate::venue::key_rights::KeyRights;

const NAME: &str = "key's rights";
const REMEDY: &str = "futures and reading alone, bound to this machine's address; then a new key";

pub(super) fn examine(settings: &Settings) -> Option<Finding> {
    let venue = &settings.venue;
    if venue.orders != OrderRoute::Venue {
        return None;
    }
    if venue.wallet_url.is_empty() {
        let what = "not asked: venue.wallet_url is empty, as no test network tells them";
        return Some(Finding::ok(NAME, what));
    }
    // What is wrong with credentials is told of them.
    let told = match access::credentials_from_environment() {
        Ok(Some(own)) => asked(settings, own),
        _ => Err("not asked: there is no key".to_owned()),
    };
    Some(judged(told, settings.mode))
}

fn asked(settings: &Settings, credentials: Credentials) -> Result<KeyRights, String> {
    let client = key_rights::client(&settings.venue, credentials);
    key_rights::read(&client).map_err(|why| key_rights::unread(&why.what))
}

fn judged(told: Result<KeyRights, String>, mode: Mode) -> Finding {
    let bad = |what: String| match mode {
        Mode::Live => Finding::fail(NAME, what, REMEDY),
        Mode::Paper | Mode::Testnet => Finding::warn(NAME, what, REMEDY),
    };
    let rights = match told {
        Ok(rights) => rights,
        Err(what) => return bad(what),
    };
    match rights.fault() {
        Some(fault) => bad(format!("{}: {fault}", key_rights::place())),
        None if rights.beside.is_empty() => {
            Finding::ok(NAME, "futures and reading alone, from named addresses")
        }
        None => {
            let what = format!("nothing is known of {}, which is on", rights.beside.join(", "));
            Finding::warn(NAME, what, "switch it off where the key does without")
        }
    }
}
