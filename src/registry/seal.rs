//! Signed texts: Ed25519 over exactly the bytes that stand in a file.
//!
//! ```text
//! KEY            private key, PKCS#8 as PEM, mode 0600 or it is not read
//! KEY.pub        public key, 64 hexadecimal digits
//! FILE           {"body":…,"public_key":"…","signature":"…"}: over the bytes of the body's value
//! FILE.sig       {"public_key":"…","signature":"…"}: over the bytes of FILE
//! ```
//! Nothing is parsed and written anew before a signature is checked, so no number can change on the
//! way; `openssl pkeyutl -verify -rawin` comes to the same answer.

use crate::execution::base64;
use crate::model::artifact::{hex, sha256};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Largest key file, bytes.
const KEY_BYTES_MAX: u64 = 4_096;
/// Largest signed file, bytes.
pub const SEALED_BYTES_MAX: u64 = 4 << 20;
/// What begins and ends a private key.
const PEM_HEAD: &str = "-----BEGIN PRIVATE KEY-----\n";
const PEM_FOOT: &str = "-----END PRIVATE KEY-----\n";

/// Why a key or a signed text is not taken; names the file.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A private key that others may read.
    #[error("{path}: mode {mode:04o} lets others read this key; chmod 600, or make a new one")]
    Exposed {
        /// The key's file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is not what it should be.
    #[error("{path}: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The text was changed after it was signed, or the signature was.
    #[error("{path}: the signature is not of this text: one of them was changed")]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// Signed with a key that nobody said counts.
    #[error("{path}: signed with the key {key}, which is not trusted here")]
    Untrusted {
        /// The file.
        path: PathBuf,
        /// The key's fingerprint.
        key: String,
    },
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> SealError + '_ {
    |cause| SealError::Io { path: path.to_owned(), cause }
}

fn malformed(path: &Path, what: impl Into<String>) -> SealError {
    SealError::Malformed { path: path.to_owned(), what: what.into() }
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// From 64 hexadecimal digits, or from a file that holds them.
    ///
    /// # Errors
    /// When it is neither.
    pub fn from_text_or_file(text: &str) -> Result<Self, SealError> {
        if let Some(key) = Self::from_hex(text) {
            return Ok(key);
        }
        let path = Path::new(text);
        let mut found = String::new();
        let file = File::open(path).map_err(io(path))?;
        file.take(KEY_BYTES_MAX).read_to_string(&mut found).map_err(io(path))?;
        Self::from_hex(found.trim())
            .ok_or_else(|| malformed(path, "holds no public key of 64 hexadecimal digits"))
    }

    /// From 64 hexadecimal digits; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        bytes_of::<32>(text).map(Self)
    }

    /// As 64 hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }

    /// The first 16 hexadecimal digits of its SHA-256: what people compare.
    pub fn fingerprint(&self) -> String {
        hex(&sha256(&self.0)[..8])
    }

    /// Whether a signature, 128 hexadecimal digits, is this key's over exactly this text.
    pub fn verifies(&self, text: &[u8], signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        bytes_of::<64>(signature).is_some_and(|signature| key.verify(text, &signature).is_ok())
    }
}

/// A private key. Never shows itself.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Makes a key and its files: `path`, readable by its owner alone, and `path` with `.pub`.
    ///
    /// # Errors
    /// When one of the files is there already or cannot be written.
    pub fn create(path: &Path) -> Result<PublicKey, SealError> {
        let failed = |_| malformed(path, "no key could be made");
        let pair = Ed25519KeyPair::generate().map_err(failed)?;
        let der = pair.to_pkcs8v1().map_err(failed)?;
        let mut text = Zeroizing::new(vec![0; der.as_ref().len().div_ceil(3) * 4]);
        base64::encode(&mut text, der.as_ref());
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io(path))?;
        for part in [PEM_HEAD.as_bytes(), &text, b"\n", PEM_FOOT.as_bytes()] {
            file.write_all(part).map_err(io(path))?;
        }
        file.sync_all().map_err(io(path))?;
        let key = Self(pair).public();
        let public = beside(path, ".pub");
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&public).map_err(io(&public))?;
        writeln!(file, "{}", key.hex()).map_err(io(&public))?;
        Ok(key)
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// When the file cannot be read, others may read it too, or it holds no such key.
    pub fn read(path: &Path) -> Result<Self, SealError> {
        let file = File::open(path).map_err(io(path))?;
        let about = file.metadata().map_err(io(path))?;
        if !about.is_file() {
            return Err(malformed(path, "is no file"));
        }
        if about.mode() & 0o077 != 0 {
            return Err(SealError::Exposed { path: path.to_owned(), mode: about.mode() & 0o7777 });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(KEY_BYTES_MAX).read_to_string(&mut text).map_err(io(path))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let body = Zeroizing::new(lines.collect::<String>());
        let der = base64::decode(body.as_bytes()).map(Zeroizing::new);
        der.and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok())
            .map(Self)
            .ok_or_else(|| malformed(path, "holds no private Ed25519 key (PKCS#8 as PEM)"))
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs a text: 128 hexadecimal digits, the same for the same text.
    pub fn sign(&self, text: &[u8]) -> String {
        hex(self.0.sign(text).as_ref())
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public().fingerprint())
    }
}

/// A signed body as it stands in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// What was signed, byte for byte.
    body: Box<RawValue>,
    public_key: String,
    signature: String,
}

/// A signature beside the file it is of.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Detached {
    public_key: String,
    signature: String,
}

/// A value as its canonical text: keys sorted, no blanks, shortest numbers.
pub fn canonical(value: &serde_json::Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
}

impl Sealed {
    /// Signs a value; the same value and key give the same text.
    ///
    /// # Errors
    /// Never for what `serde_json` can write.
    pub fn new(body: &serde_json::Value, key: &SigningKey) -> serde_json::Result<Self> {
        let text = canonical(body);
        let signature = key.sign(text.as_bytes());
        Ok(Self { body: RawValue::from_string(text)?, public_key: key.public().hex(), signature })
    }

    /// Reads a signed file, and believes it only if one of the `trusted` keys signed it. Gives that
    /// key beside it.
    ///
    /// # Errors
    /// When it cannot be read, was changed, or another key signed it.
    pub fn read(path: &Path, trusted: &[PublicKey]) -> Result<(Self, PublicKey), SealError> {
        Self::read_hashed(path, trusted).map(|(sealed, key, _)| (sealed, key))
    }

    /// The same with the SHA-256 of the file, of the very bytes that were read.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_hashed(
        path: &Path,
        trusted: &[PublicKey],
    ) -> Result<(Self, PublicKey, String), SealError> {
        let text = read_capped(path)?;
        let sealed: Self = serde_json::from_slice(&text)
            .map_err(|error| malformed(path, format!("is no signed document: {error}")))?;
        let Self { body, public_key, signature } = &sealed;
        let key = proved(path, body.get().as_bytes(), (public_key, signature), trusted)?;
        Ok((sealed, key, hex(&sha256(&text))))
    }

    /// What was signed.
    pub fn body(&self) -> &str {
        self.body.get()
    }

    /// The signature, 128 hexadecimal digits.
    pub fn signature(&self) -> &str {
        &self.signature
    }

    /// The whole file: one line.
    ///
    /// # Errors
    /// Never for what [`Self::new`] made.
    pub fn text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self).map(|text| text + "\n")
    }
}

/// The text of a signature that stands beside `text`.
///
/// # Errors
/// Never.
pub fn detached(text: &[u8], key: &SigningKey) -> serde_json::Result<String> {
    let detached = Detached { public_key: key.public().hex(), signature: key.sign(text) };
    serde_json::to_string(&detached).map(|text| text + "\n")
}

/// The key of a signature that stands beside `text`; `name` is what the text is called. Without
/// `trusted` any key will do, and only the text's wholeness is shown.
///
/// # Errors
/// When one of them was changed, or no trusted key signed.
pub fn check_detached(
    name: &Path,
    text: &[u8],
    signature: &[u8],
    trusted: Option<&[PublicKey]>,
) -> Result<PublicKey, SealError> {
    let own = beside(name, ".sig");
    let Detached { public_key, signature } = serde_json::from_slice(signature)
        .map_err(|error| malformed(&own, format!("is no signature: {error}")))?;
    let claimed: Vec<PublicKey> = PublicKey::from_hex(&public_key).into_iter().collect();
    proved(name, text, (&public_key, &signature), trusted.unwrap_or(&claimed))
}

/// Signs a file as it is; the signature goes beside it, into `path` with `.sig`.
///
/// # Errors
/// When a file cannot be read or written.
pub fn sign_file(path: &Path, key: &SigningKey) -> Result<PathBuf, SealError> {
    let beside = beside(path, ".sig");
    let text = detached(&read_capped(path)?, key);
    let text = text.map_err(|error| malformed(&beside, error.to_string()))?;
    std::fs::write(&beside, text).map_err(io(&beside))?;
    Ok(beside)
}

/// Reads a file that has its signature beside it; gives its text and the key.
///
/// # Errors
/// When a file cannot be read, one was changed, or no `trusted` key signed it.
pub fn read_signed(path: &Path, trusted: &[PublicKey]) -> Result<(String, PublicKey), SealError> {
    let text = read_capped(path)?;
    let signature = read_capped(&beside(path, ".sig"))?;
    let key = check_detached(path, &text, &signature, Some(trusted))?;
    let text = String::from_utf8(text).map_err(|_| malformed(path, "is not UTF-8"))?;
    Ok((text, key))
}

/// The key that signed `text`, if it is trusted and the signature is of this text.
fn proved(
    path: &Path,
    text: &[u8],
    (public_key, signature): (&str, &str),
    trusted: &[PublicKey],
) -> Result<PublicKey, SealError> {
    let key = PublicKey::from_hex(public_key)
        .ok_or_else(|| malformed(path, "public_key: not 64 hexadecimal digits"))?;
    if !trusted.contains(&key) {
        let key = key.fingerprint();
        return Err(SealError::Untrusted { path: path.to_owned(), key });
    }
    if !key.verifies(text, signature) {
        return Err(SealError::Broken { path: path.to_owned() });
    }
    Ok(key)
}

pub(super) fn read_capped(path: &Path) -> Result<Vec<u8>, SealError> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io(path))?;
    file.take(SEALED_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io(path))?;
    if bytes.len() as u64 > SEALED_BYTES_MAX {
        return Err(malformed(path, format!("exceeds the cap of {SEALED_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// The bytes of exactly `2 N` lower-case hexadecimal digits.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |at: usize| match pair[at] {
            b @ b'0'..=b'9' => Some(b - b'0'),
            b @ b'a'..=b'f' => Some(b - b'a' + 10),
            _ => None,
        };
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(bytes)
}
