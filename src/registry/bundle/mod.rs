//! `bundle.tar.gz`: one version as a file that other registries can take from anybody.
//!
//! ```text
//! SHA256SUMS               of every file below but the signature, as `sha256sum -c` reads it
//! card.toml, model.onnx    the version
//! manifest.json            names, sizes and hashes; record, lineage and signatures of the version
//! manifest.json.sig        optional: who made the bundle
//! gate_decision.json, …    the documents that were given, see `archive`
//! ```
//! The same version and documents make the same bytes. What is not exactly what `export` would
//! write is refused, so there is one way to say everything, and nothing can hide: links, other
//! names, other kinds of entries, headers with more in them, bytes between or behind the files.
//! A bundle is taken apart in memory, within caps; nothing is written before it was checked and its
//! model was proved.
//!
//! | file | holds |
//! |---|---|
//! | `archive` | tar and gzip, and what may stand in them |
//! | `manifest` | what a bundle says of its version, and whether that is so |

mod archive;
mod manifest;
#[cfg(test)]
mod tests;

use super::record::{Ancestor, Origin, Paper, Record};
use super::seal::{PublicKey, SigningKey, check_detached, detached};
use super::signing::vouchers;
use super::{Birth, Change, Proving, Registry, RegistryError};
use crate::model::artifact::{CARD_FILE, ONNX_FILE, hex, read_capped, sha256};
use crate::model::{ArtifactFiles, Model};
use archive::{BUNDLE_BYTES_MAX, MANIFEST_FILE, Parts, SIGNATURE_FILE, SUMS_FILE, decode, encode};
use manifest::{Manifest, sums};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A bundle that holds together.
#[derive(Clone, Debug)]
pub struct Bundle {
    files: ArtifactFiles,
    manifest: Manifest,
    sha256: String,
    /// What was signed, and the signature.
    signature: Option<(Vec<u8>, Vec<u8>)>,
}

/// What was taken from a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The version that is registered now, staged.
    pub version: String,
    /// SHA-256 of the bundle.
    pub sha256: String,
    /// Who signed the bundle; believed only where it was among the trusted keys.
    pub signed_by: Option<PublicKey>,
    /// Keys that vouch for the version.
    pub vouchers: Vec<PublicKey>,
    /// The documents that came with it.
    pub documents: Vec<String>,
}

impl Bundle {
    /// Takes a bundle apart and checks everything in it but who made it and whether its model runs.
    ///
    /// # Errors
    /// The part at fault, and the rule it breaks.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut parts = decode(bytes)?;
        let manifest = Manifest::read(&parts)?;
        let missing = |name: &str| format!("{name}: is missing");
        if parts.get(SUMS_FILE).ok_or_else(|| missing(SUMS_FILE))? != sums(&parts).as_bytes() {
            return Err(format!("{SUMS_FILE}: is not of these files"));
        }
        let onnx = parts.remove(ONNX_FILE).ok_or_else(|| missing(ONNX_FILE))?;
        let card = parts.remove(CARD_FILE).ok_or_else(|| missing(CARD_FILE))?;
        let card = String::from_utf8(card).map_err(|_| format!("{CARD_FILE}: is not UTF-8"))?;
        let files = ArtifactFiles::from_bytes(onnx, card).map_err(|error| error.to_string())?;
        manifest.check(&files, &parts)?;
        let signature = parts.remove(MANIFEST_FILE).zip(parts.remove(SIGNATURE_FILE));
        Ok(Self { files, manifest, sha256: hex(&sha256(bytes)), signature })
    }

    /// Reads a bundle's file.
    ///
    /// # Errors
    /// As [`Self::parse`], naming the file.
    pub fn read(path: &Path) -> Result<Self, RegistryError> {
        let refused = |what| RegistryError::Bundle { bundle: path.display().to_string(), what };
        let bytes = read_capped(path, BUNDLE_BYTES_MAX).map_err(|e| refused(e.to_string()))?;
        Self::parse(&bytes).map_err(refused)
    }

    /// The version's name.
    pub fn version(&self) -> &str {
        &self.files.card.version
    }

    /// Everything that [`Registry::import`] asks of a bundle itself: who signed it, and that its
    /// model loads and is proved.
    ///
    /// # Errors
    /// As there; `path` is what the bundle is called.
    pub fn check(&self, path: &Path, trusted: Option<&[PublicKey]>) -> Result<(), RegistryError> {
        let refused = |what| RegistryError::Bundle { bundle: path.display().to_string(), what };
        self.signer(trusted).map_err(refused)?;
        let schema_hash = self.files.card.schema_hash();
        let model = Model::load(&self.files, schema_hash, Proving::ANY.policy);
        model.map(drop).map_err(|cause| refused(cause.to_string()))
    }

    /// Who signed it. With `trusted` one of those must have; without, any whole signature will do.
    ///
    /// # Errors
    /// When it is not signed as it must be.
    pub fn signer(&self, trusted: Option<&[PublicKey]>) -> Result<Option<PublicKey>, String> {
        match (&self.signature, trusted) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(format!("{SIGNATURE_FILE}: is missing; nobody vouches for it")),
            (Some((text, signature)), trusted) => {
                let name = Path::new(MANIFEST_FILE);
                let key = check_detached(name, text, signature, trusted);
                key.map(Some).map_err(|error| error.to_string())
            }
        }
    }
}

impl Registry {
    /// Makes a bundle of a version, whose files are verified first, with `documents`, and signed
    /// with `key`. The same version, documents and key make the same bytes.
    ///
    /// # Errors
    /// When a file is not what was registered, or a document is none of this version's.
    pub fn export(
        &self,
        version: &str,
        documents: &[PathBuf],
        key: Option<&SigningKey>,
    ) -> Result<Vec<u8>, RegistryError> {
        let files = self.files(version)?;
        let record = self.show(version)?;
        let refused = |what| RegistryError::Bundle { bundle: version.to_owned(), what };
        let mut parts = Parts::new();
        for path in documents {
            let (name, bytes) = archive::document(path).map_err(refused)?;
            if parts.insert(name.clone(), bytes).is_some() {
                return Err(refused(format!("{name}: is given twice")));
            }
        }
        parts.insert(ONNX_FILE.to_owned(), files.onnx);
        parts.insert(CARD_FILE.to_owned(), files.card_text.into_bytes());
        let told = (record, &files.card);
        let manifest = Manifest::new(version, told, self.lineage(version), &parts);
        let text = manifest.text().into_bytes();
        if let Some(key) = key {
            let signature = detached(&text, key).map_err(|error| refused(error.to_string()))?;
            parts.insert(SIGNATURE_FILE.to_owned(), signature.into_bytes());
        }
        parts.insert(MANIFEST_FILE.to_owned(), text);
        let sums = sums(&parts).into_bytes();
        parts.insert(SUMS_FILE.to_owned(), sums);
        let bytes = encode(&parts).map_err(|error| refused(error.to_string()))?;
        // What others would refuse is not handed out.
        Bundle::parse(&bytes).map_err(refused)?;
        Ok(bytes)
    }

    /// Takes a version from a bundle: checks it, proves its model and registers it, staged, with
    /// what it was made from. With `trusted` one of those keys must have signed the bundle.
    ///
    /// # Errors
    /// The part at fault and the rule; nothing is written then.
    pub fn import(
        &mut self,
        (path, bundle): (&Path, &Bundle),
        trusted: Option<&[PublicKey]>,
        change: Change,
    ) -> Result<Imported, RegistryError> {
        change.check()?;
        let refused = |what| RegistryError::Bundle { bundle: path.display().to_string(), what };
        let signed_by = bundle.signer(trusted).map_err(refused)?;
        let Manifest { record, lineage, signatures, files: listed, .. } = &bundle.manifest;
        for ancestor in lineage {
            let own = self.show(&ancestor.version).ok().map(|r| r.file_sha256(ONNX_FILE));
            if let (Some(own), Some(theirs)) = (own, &ancestor.model_sha256)
                && own != theirs
            {
                let version = &ancestor.version;
                let what =
                    format!("made from a {version} ({theirs}) that is not the {version} here");
                return Err(refused(format!("{MANIFEST_FILE}: {what}")));
            }
        }
        let documents: BTreeMap<String, String> = listed
            .iter()
            .filter(|(name, _)| ![ONNX_FILE, CARD_FILE].contains(&name.as_str()))
            .map(|(name, part)| (name.clone(), part.sha256.clone()))
            .collect();
        let names = documents.keys().cloned().collect();
        let origin = Origin {
            bundle_sha256: bundle.sha256.clone(),
            registered_at_ms: record.registered_at_ms,
            lineage: lineage.clone(),
            documents,
        };
        let birth = Birth {
            parent: record.parent.clone(),
            config_sha256: record.config_sha256.clone(),
            origin: Some(origin),
            signatures: signatures.clone(),
        };
        let key = signed_by.map(|key| key.hex());
        let paper = Paper { kind: "bundle".to_owned(), sha256: bundle.sha256.clone(), key };
        self.admit(&bundle.files, None, birth, (change, vec![paper]))?;
        let version = bundle.version().to_owned();
        let vouchers = vouchers(&version, self.show(&version)?).map_err(refused)?;
        let sha256 = bundle.sha256.clone();
        Ok(Imported { version, sha256, signed_by, vouchers, documents: names })
    }

    /// What a version was made from, the nearest first, as far as this registry knows.
    pub fn lineage(&self, version: &str) -> Vec<Ancestor> {
        let mut found: Vec<Ancestor> = Vec::new();
        let mut child = self.show(version).ok();
        while let Some((record, parent)) = child.and_then(|r| Some((r, r.parent.as_deref()?))) {
            // An imported version may name what is registered later, and from it.
            if parent == version || found.iter().any(|ancestor| ancestor.version == parent) {
                break;
            }
            child = self.show(parent).ok();
            match (child, &record.origin) {
                (Some(known), _) => found.push(ancestor(parent, Some(known))),
                (None, Some(origin)) => found.extend(origin.lineage.iter().cloned()),
                (None, None) => found.push(ancestor(parent, None)),
            }
        }
        found
    }
}

fn ancestor(version: &str, record: Option<&Record>) -> Ancestor {
    Ancestor {
        version: version.to_owned(),
        model_sha256: record.map(|record| record.file_sha256(ONNX_FILE).to_owned()),
        data_hash: record.map(|record| record.data_hash.clone()),
        seed: record.map(|record| record.seed),
        code: record.and_then(|record| record.code.clone()),
    }
}
