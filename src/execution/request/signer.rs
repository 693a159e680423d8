//! What proves that a request is ours: HMAC-SHA256 or Ed25519, by the kind of key.

use super::super::number::write_hex;
use super::base64;
use crate::base::settings::OrderEntry;
use aws_lc_rs::signature::Ed25519KeyPair;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Longest signature: 88 of base64, each as `%xx`.
const SIGNATURE_BYTES_MAX: usize = 3 * BASE64_BYTES;
/// 64 bytes as base64.
const BASE64_BYTES: usize = 88;
/// 32 bytes as hex.
const HEX_BYTES: usize = 64;
/// The first bytes of every private Ed25519 key in PKCS#8: version and the algorithm's number.
const ED25519_MARKS: [&[u8]; 2] =
    [b"\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70", b"\x02\x01\x01\x30\x05\x06\x03\x2b\x65\x70"];

/// An account's key, ready to sign, and the form of requests it signs. Never shows the key.
#[derive(Clone)]
pub struct Signer {
    pub(super) key: SigningKey,
    /// The account's public name for it, in requests of the trading API.
    pub(super) api_key: Zeroizing<String>,
    pub(super) entry: OrderEntry,
}

#[derive(Clone)]
pub(super) enum SigningKey {
    Hmac(Hmac<Sha256>),
    Ed25519(Arc<Ed25519KeyPair>),
}

/// A signature as text.
#[derive(Clone, Copy)]
pub struct Signature {
    len: usize,
    bytes: [u8; SIGNATURE_BYTES_MAX],
}

impl Signer {
    /// From an HMAC secret of any length.
    pub fn new(secret: &[u8]) -> Self {
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self::with(SigningKey::Hmac(keyed))
    }

    /// From an account's secret as it is handed out: a private Ed25519 key as PEM or as base64 of
    /// its PKCS#8, else an HMAC secret. `None` for a PEM of another kind, which would sign nothing
    /// that the venue takes.
    pub fn from_secret(secret: &str) -> Option<Self> {
        let is_pem = secret.contains("-----BEGIN");
        // An environment may hold line ends as two letters.
        let text = Zeroizing::new(secret.replace("\\n", "\n"));
        let inside = |line: &&str| !line.starts_with("-----");
        let body = text.lines().map(str::trim).filter(inside);
        let body: Zeroizing<String> = Zeroizing::new(body.collect());
        let der = base64::decode(body.as_bytes()).map(Zeroizing::new);
        let der = der.filter(|der| {
            ED25519_MARKS.iter().any(|mark| der.get(2..).is_some_and(|at| at.starts_with(mark)))
        });
        match der {
            Some(der) => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok()?;
                Some(Self::with(SigningKey::Ed25519(Arc::new(pair))))
            }
            None if is_pem => None,
            None => Some(Self::new(secret.as_bytes())),
        }
    }

    /// Signs paper orders like real ones, so that the cost is there; its key opens nothing.
    pub fn paper() -> Self {
        Self::new(b"paper")
    }

    fn with(key: SigningKey) -> Self {
        Self { key, api_key: Zeroizing::new(String::new()), entry: OrderEntry::Rest }
    }

    /// The same under the name by which the venue knows the key.
    pub fn named(mut self, api_key: &str) -> Self {
        self.api_key = Zeroizing::new(api_key.to_owned());
        self
    }

    /// The same for requests in the form of this way of order entry.
    pub fn speaking(mut self, entry: OrderEntry) -> Self {
        self.entry = entry;
        self
    }

    /// True for a key that can log a session of the trading API on.
    pub const fn can_log_on(&self) -> bool {
        matches!(self.key, SigningKey::Ed25519(_))
    }

    /// The signature of a text as it stands in a query: hex of HMAC, percent-encoded base64 of
    /// Ed25519.
    pub fn sign(&self, text: &[u8]) -> Signature {
        match &self.key {
            SigningKey::Hmac(keyed) => hmac(keyed.clone().chain_update(text)),
            SigningKey::Ed25519(_) => self.sign_plain(text).escaped(),
        }
    }

    /// The same as it stands in JSON.
    pub fn sign_plain(&self, text: &[u8]) -> Signature {
        match &self.key {
            SigningKey::Hmac(keyed) => hmac(keyed.clone().chain_update(text)),
            SigningKey::Ed25519(pair) => {
                let mut signature = Signature::EMPTY;
                signature.len = base64::encode(&mut signature.bytes, pair.sign(text).as_ref());
                debug_assert_eq!(signature.len, BASE64_BYTES);
                signature
            }
        }
    }
}

/// The signature of what has been absorbed.
pub(super) fn hmac(keyed: Hmac<Sha256>) -> Signature {
    let mut signature = Signature { len: HEX_BYTES, ..Signature::EMPTY };
    write_hex(&mut signature.bytes[..HEX_BYTES], &keyed.finalize().into_bytes());
    signature
}

impl Signature {
    const EMPTY: Self = Self { len: 0, bytes: [0; SIGNATURE_BYTES_MAX] };

    /// With what base64 has beyond letters and digits as a query takes it.
    fn escaped(&self) -> Self {
        let mut out = Self::EMPTY;
        for byte in self.iter().copied() {
            let escaped: &[u8] = match byte {
                b'+' => b"%2B",
                b'/' => b"%2F",
                b'=' => b"%3D",
                _ => &[byte],
            };
            out.bytes[out.len..out.len + escaped.len()].copy_from_slice(escaped);
            out.len += escaped.len();
        }
        out
    }
}

impl std::ops::Deref for Signature {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({} bytes)", self.len)
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(secret)")
    }
}
