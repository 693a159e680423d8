//! `manifest.json`: what a bundle says of its version. One line, keys sorted; another text for the
//! same is refused.

use super::archive::{MANIFEST_FILE, PAPERS, Parts, SIGNATURE_FILE, SUMS_FILE, is_document};
use crate::model::artifact::{CARD_FILE, ONNX_FILE, hex, sha256};
use crate::model::{ArtifactFiles, Card};
use crate::registry::record::{Ancestor, Record, Signature};
use crate::registry::seal::canonical;
use crate::registry::signing::vouchers;
use crate::registry::{Birth, new_record};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

const BUNDLE_KIND: &str = "model_bundle";
const BUNDLE_SCHEMA: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// [`BUNDLE_KIND`].
    kind: String,
    /// [`BUNDLE_SCHEMA`].
    schema: u32,
    /// The version's name.
    version: String,
    /// Every file but this one, its signature and the sums.
    pub files: BTreeMap<String, Part>,
    /// What the registry it is from says of the version.
    pub record: BundledRecord,
    /// What the version was made from, the nearest first.
    pub lineage: Vec<Ancestor>,
    /// Who vouches for the version.
    pub signatures: Vec<Signature>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// A record without what changes: its stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BundledRecord {
    pub parent: Option<String>,
    schema_hash: String,
    data_hash: String,
    seed: u64,
    code: String,
    pub config_sha256: Option<String>,
    metrics: BTreeMap<String, f64>,
    /// When it was first registered anywhere, milliseconds since 1970.
    pub registered_at_ms: u64,
}

impl Manifest {
    pub(super) fn new(
        version: &str,
        (record, card): (&Record, &Card),
        lineage: Vec<Ancestor>,
        parts: &Parts,
    ) -> Self {
        let first = record.origin.as_ref().map(|origin| origin.registered_at_ms);
        Self {
            kind: BUNDLE_KIND.to_owned(),
            schema: BUNDLE_SCHEMA,
            version: version.to_owned(),
            files: parts.iter().map(|(name, bytes)| (name.clone(), Part::of(bytes))).collect(),
            record: BundledRecord {
                parent: record.parent.clone(),
                schema_hash: record.schema_hash.clone(),
                data_hash: record.data_hash.clone(),
                seed: record.seed,
                code: card.created_from.code.clone(),
                config_sha256: record.config_sha256.clone(),
                metrics: record.metrics.clone(),
                registered_at_ms: first.unwrap_or(record.registered_at_ms),
            },
            lineage,
            signatures: record.signatures.clone(),
        }
    }

    /// As it stands in the bundle.
    pub(super) fn text(&self) -> String {
        serde_json::to_value(self).map_or_else(|_| String::new(), |value| canonical(&value) + "\n")
    }

    /// Reads it, and holds every file against it.
    pub(super) fn read(parts: &Parts) -> Result<Self, String> {
        let wrong = |what: &str| format!("{MANIFEST_FILE}: {what}");
        let bytes = parts.get(MANIFEST_FILE).ok_or_else(|| wrong("is missing"))?;
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong(&error.to_string()))?;
        if (manifest.kind.as_str(), manifest.schema) != (BUNDLE_KIND, BUNDLE_SCHEMA) {
            let (kind, schema) = (&manifest.kind, manifest.schema);
            return Err(wrong(&format!(
                "is a {kind} of layout {schema}, not a {BUNDLE_KIND} of 1"
            )));
        }
        if manifest.text().as_bytes() != &bytes[..] {
            return Err(wrong("is not written as `model export` writes it"));
        }
        let own = [MANIFEST_FILE, SIGNATURE_FILE, SUMS_FILE];
        for (name, bytes) in parts.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            let Part { sha256, bytes: size } = Part::of(bytes);
            match manifest.files.get(name) {
                None => return Err(format!("{name}: is not in {MANIFEST_FILE}")),
                Some(part) if part.bytes != size => {
                    let listed = part.bytes;
                    return Err(format!("{name}: {size} bytes, {MANIFEST_FILE} says {listed}"));
                }
                Some(part) if part.sha256 != sha256 => {
                    let listed = &part.sha256;
                    let what = format!("SHA-256 is {sha256}, {MANIFEST_FILE} says {listed}");
                    return Err(format!("{name}: {what}"));
                }
                Some(_) => {}
            }
        }
        let lawful = |name: &str| [ONNX_FILE, CARD_FILE].contains(&name) || is_document(name);
        match manifest.files.keys().find(|name| !parts.contains_key(*name) || !lawful(name)) {
            Some(name) => Err(format!("{name}: is in {MANIFEST_FILE} and not in the bundle")),
            None => Ok(manifest),
        }
    }

    /// Holds what it says of the version against the version itself, and the documents too.
    pub(super) fn check(&self, files: &ArtifactFiles, parts: &Parts) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{MANIFEST_FILE}: {what}"));
        if self.version != files.card.version {
            return wrong(&format!("says {}, the card {}", self.version, files.card.version));
        }
        let BundledRecord { parent, config_sha256, registered_at_ms, .. } = self.record.clone();
        let signatures = self.signatures.clone();
        let birth = Birth { parent, config_sha256, origin: None, signatures };
        let record = new_record(files, birth, registered_at_ms);
        let told = Self::new(&self.version, (&record, &files.card), Vec::new(), parts).record;
        if told != self.record {
            return wrong("its record is not of this card");
        }
        if self.lineage.first().map(|ancestor| &ancestor.version) != self.record.parent.as_ref() {
            return wrong("its lineage does not begin with its parent");
        }
        if self.record.parent.as_ref() == Some(&self.version) {
            return wrong("the version is its own parent");
        }
        if let Err(what) = vouchers(&self.version, &record) {
            return wrong(&what);
        }
        for (name, key) in PAPERS {
            if let Some(bytes) = parts.get(name)
                && !is_of(bytes, key, &self.version, &hex(&files.sha256))
            {
                return Err(format!("{name}: is not on this version"));
            }
        }
        Ok(())
    }
}

impl Part {
    fn of(bytes: &[u8]) -> Self {
        Self { sha256: hex(&sha256(bytes)), bytes: bytes.len() as u64 }
    }
}

/// `SHA256SUMS` of every file but itself and the signature.
pub(super) fn sums(parts: &Parts) -> String {
    let listed = parts.iter().filter(|(name, _)| ![SUMS_FILE, SIGNATURE_FILE].contains(&&name[..]));
    listed.map(|(name, bytes)| format!("{}  {name}\n", hex(&sha256(bytes)))).collect()
}

/// Whether a signed document is on that model; who signed it is not looked at.
fn is_of(bytes: &[u8], key: &str, version: &str, model_sha256: &str) -> bool {
    let Ok(paper) = serde_json::from_slice::<Value>(bytes) else { return false };
    let named = &paper["body"][key];
    named["version"] == version && named["sha256"] == model_sha256
}
