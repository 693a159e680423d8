//! Who asks, and whether they may: API key, time window, signature.
//!
//! ```text
//!   REST        query │ body            signed: query and body as received, nothing between
//!               …&signature=…           them, up to the signature, which stands last in one
//!   WebSocket   params{…}               signed: all but the signature, by name, k=v joined by &
//! ```
//! Nothing is decoded before it is verified: clients encode differently, and each signs what it
//! sends.

use super::error::VenueError;
use super::params::{Params, missing};
use crate::base::Nanos;
use crate::exchange::account::{Accounts, Credential};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far a request's time may be ahead.
const AHEAD_MAX: Nanos = Nanos::from_millis(1_000);
/// How far it may be behind unless the request says otherwise, in milliseconds.
const WINDOW_MILLIS: i64 = 5_000;
/// The widest window a request may ask for, in milliseconds.
const WINDOW_MILLIS_MAX: i64 = 60_000;
/// Letters and digits of a key the venue makes.
const KEY_LEN: usize = 64;

/// The account of an API key and what proves its requests.
///
/// # Errors
/// −2014 for a text that cannot be a key, −2015 for a key nobody has.
pub fn owner_of<'a>(
    accounts: &'a Accounts,
    api_key: &str,
) -> Result<(usize, &'a Credential), VenueError> {
    if let Some(found) = accounts.find_key(api_key) {
        return Ok(found);
    }
    let formed = api_key.len() == KEY_LEN && api_key.bytes().all(|b| b.is_ascii_alphanumeric());
    let refusal = if formed { VenueError::BAD_KEY } else { VenueError::KEY_FORMAT };
    Err(refusal.under(401))
}

/// Checks that a request's `timestamp` is within its `recvWindow`.
///
/// # Errors
/// −1102 without a time, −1100 for one that is none, −1131 for too wide a window, −1021 outside it.
pub fn check_time(params: &Params, now: Nanos) -> Result<(), VenueError> {
    params.need("timestamp")?;
    let sent = digits(params, "timestamp")?.ok_or_else(|| missing("timestamp"))?;
    let window = digits(params, "recvWindow")?.unwrap_or(WINDOW_MILLIS);
    if window > WINDOW_MILLIS_MAX {
        return Err(VenueError::WIDE_WINDOW);
    }
    let now = now.to_millis();
    if sent >= now.saturating_add(AHEAD_MAX.to_millis()) {
        return Err(VenueError::EARLY_TIMESTAMP);
    }
    if now.saturating_sub(sent) > window {
        return Err(VenueError::STALE_TIMESTAMP);
    }
    Ok(())
}

/// A REST request's signature and what it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'a> {
    /// Query without a signature, as received.
    pub query: &'a [u8],
    /// Body without a signature, as received.
    pub body: &'a [u8],
    /// The signature, as received.
    pub signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Finds the signature in the query or, failing that, in the body.
    ///
    /// # Errors
    /// −1102 where there is none; −1022 where it does not stand last, since what follows it would
    /// be vouched for by nobody.
    pub fn find(query: &'a [u8], body: &'a [u8]) -> Result<Self, VenueError> {
        let (query, in_query) = split_signature(query)?;
        let (body, in_body) = split_signature(body)?;
        let signature = in_query.or(in_body).filter(|text| !text.is_empty());
        let signature = signature.ok_or_else(|| missing("signature"))?;
        Ok(Self { query, body, signature })
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// −1022 where it does not fit.
    pub fn verify(&self, credential: &Credential) -> Result<(), VenueError> {
        let message = [self.query, self.body].concat();
        verify(credential, &message, &unescape(self.signature))
    }
}

/// Checks the signature of a message: hexadecimal for HMAC, base64 for Ed25519.
///
/// # Errors
/// −1022 where it does not fit.
pub fn verify(credential: &Credential, message: &[u8], signature: &[u8]) -> Result<(), VenueError> {
    let fits = match credential {
        Credential::Hmac(secret) => hex(signature).is_some_and(|signature| {
            let keyed = Hmac::<Sha256>::new_from_slice(secret.as_bytes());
            keyed.is_ok_and(|keyed| keyed.chain_update(message).verify_slice(&signature).is_ok())
        }),
        Credential::Ed25519(public) => base64(signature).is_some_and(|signature| {
            UnparsedPublicKey::new(&ED25519, public).verify(message, &signature).is_ok()
        }),
    };
    if fits { Ok(()) } else { Err(VenueError::BAD_SIGNATURE) }
}

/// A text without its signature, and the signature where there is one.
fn split_signature(text: &[u8]) -> Result<(&[u8], Option<&[u8]>), VenueError> {
    const NAME: &[u8] = b"signature=";
    let mut start = 0;
    for pair in text.split(|&byte| byte == b'&') {
        if let Some(signature) = pair.strip_prefix(NAME) {
            if start + pair.len() != text.len() {
                return Err(VenueError::BAD_SIGNATURE);
            }
            return Ok((&text[..start.saturating_sub(1)], Some(signature)));
        }
        start += pair.len() + 1;
    }
    Ok((text, None))
}

/// A number of milliseconds; `None` where it was not sent.
fn digits(params: &Params, name: &str) -> Result<Option<i64>, VenueError> {
    let Some(text) = params.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    let plain = text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain).map(Some).ok_or_else(|| {
        let words = "legal range is '^[0-9]{1,20}$'.";
        let text = format!("Illegal characters found in parameter '{name}'; {words}");
        VenueError::with(-1100, text)
    })
}

/// Percent-decodes a signature. A `+` is itself: base64 has it, blanks do not occur.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| text[at] == b'%').and_then(hex);
        match pair {
            Some(byte) => {
                out.extend(byte);
                at += 3;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

/// Bytes of hexadecimal digits of either case; `None` for anything else.
fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = text.chunks(2).map(|pair| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    });
    pairs.collect()
}

/// Bytes of base64 with padding; `None` for anything else.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digits = text.get(..text.len() - padding).filter(|_| padding <= 2)?;
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for group in digits.chunks(4) {
        let mut bits = 0_u32;
        for &byte in group {
            bits = bits << 6 | u32::from(value(byte)?);
        }
        bits <<= 6 * (4 - group.len());
        // Four digits hold three bytes, three hold two, two hold one.
        out.extend(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests;
