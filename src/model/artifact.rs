//! A model version as files: `model.onnx` and `card.toml`, read once, hashed, then parsed from
//! the very bytes that were hashed.
//!
//! ```text
//! models_saved/<version>/model.onnx   the graph
//! models_saved/<version>/card.toml    what it is: features, hashes, metrics, golden vectors
//! ```

use super::deciles::Training;
use super::error::ModelError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Largest `model.onnx`, bytes.
pub const ONNX_BYTES_MAX: u64 = 64 << 20;
/// Largest `card.toml`, bytes: 4 096 golden vectors of 512 features are 11 MiB as base64.
pub const CARD_BYTES_MAX: u64 = 16 << 20;
/// Most features a model may take.
pub const FEATURES_MAX: usize = 4_096;
/// The classes of every model, in the order of its probabilities.
pub const CLASSES: [&str; 3] = ["down", "flat", "up"];
/// Name of the graph file.
pub const ONNX_FILE: &str = "model.onnx";
/// Name of the card file.
pub const CARD_FILE: &str = "card.toml";

/// The two files of a version, in memory, with their hashes.
#[derive(Clone, Debug)]
pub struct ArtifactFiles {
    /// Bytes of `model.onnx`.
    pub onnx: Vec<u8>,
    /// SHA-256 of [`Self::onnx`].
    pub sha256: [u8; 32],
    /// Bytes of `card.toml`.
    pub card_text: String,
    /// The parsed card.
    pub card: Card,
}

impl ArtifactFiles {
    /// Reads a version's folder. Each file is read once.
    ///
    /// # Errors
    /// Names the file that is missing, too large or not a card.
    pub fn read(dir: &Path) -> Result<Self, ModelError> {
        let onnx = read_capped(&dir.join(ONNX_FILE), ONNX_BYTES_MAX)?;
        let card = read_capped(&dir.join(CARD_FILE), CARD_BYTES_MAX)?;
        let card = String::from_utf8(card).map_err(|_| card_error("card", "is not UTF-8"))?;
        Self::from_bytes(onnx, card)
    }

    /// The same from bytes already in memory.
    ///
    /// # Errors
    /// Names what is wrong with the card, or that the model's hash is not the card's.
    pub fn from_bytes(onnx: Vec<u8>, card_text: String) -> Result<Self, ModelError> {
        let too_large = |file: &str, bytes: usize, cap| ModelError::TooLarge {
            file: file.into(),
            bytes: bytes as u64,
            cap,
        };
        if onnx.len() as u64 > ONNX_BYTES_MAX {
            return Err(too_large(ONNX_FILE, onnx.len(), ONNX_BYTES_MAX));
        }
        if card_text.len() as u64 > CARD_BYTES_MAX {
            return Err(too_large(CARD_FILE, card_text.len(), CARD_BYTES_MAX));
        }
        let card = Card::parse(&card_text)?;
        let sha256 = sha256(&onnx);
        if hex(&sha256) != card.model_sha256 {
            let expected = card.model_sha256.clone();
            return Err(ModelError::Hash { found: hex(&sha256), expected });
        }
        Ok(Self { onnx, sha256, card_text, card })
    }
}

impl ArtifactFiles {
    /// First eight bytes of the SHA-256 of the ONNX file, as carried by predictions and orders.
    pub fn tag(&self) -> u64 {
        tag_of(&self.sha256)
    }

    /// First eight bytes of the SHA-256 of the card.
    pub fn card_tag(&self) -> u64 {
        tag_of(&sha256(self.card_text.as_bytes()))
    }
}

/// First eight bytes of a hash.
pub fn tag_of(hash: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// What a version is. The text form is TOML; unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// Version name: ASCII letters, digits, `.`, `-`, `_`, at most 32 bytes.
    pub version: String,
    /// SHA-256 of `model.onnx`, lower-case hex.
    pub model_sha256: String,
    /// Hash of the feature schema it was trained on, sixteen hex digits.
    pub schema_hash: String,
    /// How far ahead the classes look, milliseconds.
    pub horizon_ms: u64,
    /// Length of the bars its features were computed on, milliseconds; needed when one rests on
    /// bars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bar_interval_ms: Option<u32>,
    /// Always [`CLASSES`].
    pub classes: Vec<String>,
    /// Feature names in the order of the input.
    pub features: Vec<String>,
    /// What it was made from.
    pub created_from: CreatedFrom,
    /// Figures of its training and validation.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
    /// What it was fitted on, a feature at a time; without it drift of features cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// Inputs with the answers the trainer computed.
    pub golden: Golden,
}

/// Enough to make the model again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatedFrom {
    /// SHA-256 of the data manifest, hex.
    pub data_hash: String,
    /// Seed of the training.
    pub seed: u64,
    /// Commit of the code that trained it.
    pub code: String,
    /// SHA-256 of all that decides what is learned from the data, hex. A validation names the same
    /// where it judged such a model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training_sha256: Option<String>,
}

/// Golden vectors: little-endian f32 in base64, row after row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Number of vectors, at least 1.
    pub count: usize,
    /// `count` × features.
    pub inputs: String,
    /// `count` × all state values, states in the graph's input order; empty without state.
    #[serde(default)]
    pub states: String,
    /// `count` × 3.
    pub probabilities: String,
    /// `count` × 3; empty when the model has no quantiles.
    #[serde(default)]
    pub quantiles: String,
    /// `count` × all state values after the step; empty without state.
    #[serde(default)]
    pub next_states: String,
}

impl Card {
    /// Parses and checks a card.
    ///
    /// # Errors
    /// Names the key at fault.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let card: Self =
            toml::from_str(text).map_err(|e| card_error("card", e.message().replace('\n', " ")))?;
        card.check()?;
        Ok(card)
    }

    /// The text form.
    ///
    /// # Errors
    /// Names the key that breaks a rule.
    pub fn to_toml(&self) -> Result<String, ModelError> {
        self.check()?;
        toml::to_string(self).map_err(|e| card_error("card", e.to_string()))
    }

    /// [`Self::schema_hash`] as a number.
    pub fn schema_hash(&self) -> u64 {
        u64::from_str_radix(&self.schema_hash, 16).unwrap_or(0)
    }

    fn check(&self) -> Result<(), ModelError> {
        check_version(&self.version)?;
        let is_hex = |text: &str, len| text.len() == len && text.bytes().all(is_lower_hex);
        if !is_hex(&self.model_sha256, 64) {
            return Err(card_error("model_sha256", "is not 64 lower-case hex digits"));
        }
        if !is_hex(&self.schema_hash, 16) {
            return Err(card_error("schema_hash", "is not 16 lower-case hex digits"));
        }
        let told = self.created_from.training_sha256.as_deref();
        if told.is_some_and(|told| !is_hex(told, 64)) {
            let key = "created_from.training_sha256";
            return Err(card_error(key, "is not 64 lower-case hex digits"));
        }
        if self.classes != CLASSES {
            return Err(card_error("classes", "are not [\"down\", \"flat\", \"up\"]"));
        }
        if self.features.is_empty() || self.features.len() > FEATURES_MAX {
            let what = format!("{} names, 1 to {FEATURES_MAX} allowed", self.features.len());
            return Err(card_error("features", what));
        }
        let mut names: Vec<&str> = self.features.iter().map(String::as_str).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(card_error("features", format!("`{}` appears twice", pair[0])));
        }
        if let Some((name, _)) = self.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(card_error(&format!("metrics.{name}"), "is not finite"));
        }
        if let Some(training) = &self.training {
            training.deciles(self.features.len())?;
        }
        self.golden.decode(self.features.len()).map(|_| ())
    }
}

/// Decoded golden vectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct GoldenVectors {
    pub count: usize,
    pub inputs: Vec<f32>,
    pub states: Vec<f32>,
    pub probabilities: Vec<f32>,
    pub quantiles: Vec<f32>,
    pub next_states: Vec<f32>,
}

impl Golden {
    /// Packs vectors given row after row; empty slices for what the model does not have.
    pub fn pack(
        count: usize,
        inputs: &[f32],
        states: &[f32],
        probabilities: &[f32],
        quantiles: &[f32],
        next_states: &[f32],
    ) -> Self {
        Self {
            count,
            inputs: encode(inputs),
            states: encode(states),
            probabilities: encode(probabilities),
            quantiles: encode(quantiles),
            next_states: encode(next_states),
        }
    }

    pub(crate) fn decode(&self, features: usize) -> Result<GoldenVectors, ModelError> {
        if self.count == 0 || self.count > 65_536 {
            return Err(card_error("golden.count", format!("{} is not 1 to 65536", self.count)));
        }
        let field = |key: &str, text: &str, row: Option<usize>| {
            let key = format!("golden.{key}");
            let values = decode(text).ok_or_else(|| card_error(&key, "is not base64 of f32"))?;
            let fits = match row {
                Some(row) => values.len() == self.count * row,
                None => values.len() % self.count == 0,
            };
            if !fits {
                let what = format!("holds {} values for {} vectors", values.len(), self.count);
                return Err(card_error(&key, what));
            }
            Ok(values)
        };
        let quantiles = if self.quantiles.is_empty() { 0 } else { 3 };
        let golden = GoldenVectors {
            count: self.count,
            inputs: field("inputs", &self.inputs, Some(features))?,
            states: field("states", &self.states, None)?,
            probabilities: field("probabilities", &self.probabilities, Some(3))?,
            quantiles: field("quantiles", &self.quantiles, Some(quantiles))?,
            next_states: field("next_states", &self.next_states, None)?,
        };
        if golden.states.len() != golden.next_states.len() {
            return Err(card_error("golden.next_states", "is not as long as golden.states"));
        }
        Ok(golden)
    }
}

/// SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hex of bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

/// Checks a version name: it becomes a folder and a field of an event.
///
/// # Errors
/// Names the rule it breaks.
pub fn check_version(version: &str) -> Result<(), ModelError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if version.is_empty() || version.len() > 32 {
        return Err(card_error("version", "is not 1 to 32 bytes long"));
    }
    if !version.bytes().all(allowed) || version.starts_with('.') {
        let what = "holds other bytes than letters, digits, `.`, `-`, `_`, or starts with `.`";
        return Err(card_error("version", what));
    }
    Ok(())
}

/// Reads a regular file of at most `cap` bytes. A link is not followed.
pub(crate) fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, ModelError> {
    let read_error = |cause| ModelError::Read { path: path.to_owned(), cause };
    let facts = std::fs::symlink_metadata(path).map_err(read_error)?;
    if !facts.is_file() {
        let cause = std::io::Error::new(std::io::ErrorKind::InvalidInput, "is no regular file");
        return Err(read_error(cause));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(read_error)?;
    file.take(cap + 1).read_to_end(&mut bytes).map_err(read_error)?;
    if bytes.len() as u64 > cap {
        let file = path.display().to_string();
        return Err(ModelError::TooLarge { file, bytes: facts.len(), cap });
    }
    Ok(bytes)
}

pub(super) fn card_error(key: &str, what: impl Into<String>) -> ModelError {
    ModelError::Card { key: key.into(), what: what.into() }
}

fn is_lower_hex(b: u8) -> bool {
    b.is_ascii_digit() || (b'a'..=b'f').contains(&b)
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(super) fn encode(values: &[f32]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, &b| word << 8 | u32::from(b));
        let word = word << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = (word >> (18 - 6 * place)) & 63;
            text.push(if place > chunk.len() { '=' } else { BASE64[digit as usize] as char });
        }
    }
    text
}

pub(super) fn decode(text: &str) -> Option<Vec<f32>> {
    let digits = text.trim_end_matches('=');
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    let (mut word, mut bits) = (0_u32, 0);
    for b in digits.bytes() {
        let digit = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        word = word << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    let (rows, rest) = bytes.as_chunks::<4>();
    (rest.is_empty() && text.len().is_multiple_of(4))
        .then(|| rows.iter().map(|&b| f32::from_le_bytes(b)).collect())
}
