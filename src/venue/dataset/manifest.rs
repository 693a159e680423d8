//! `data_manifest.yaml`: every file of a data set with its hash. It holds no clock and no path of a
//! machine, so the same data give the same bytes.

use super::stream::Stream;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

/// The manifest's name in a data set's folder.
pub const MANIFEST_FILE: &str = "data_manifest.yaml";
/// The version this program writes, and the only one it reads.
pub const MANIFEST_VERSION: u32 = 1;

/// What a data set holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub manifest_version: u32,
    /// Name of the data set.
    pub name: String,
    /// The venue it was recorded at.
    pub venue: String,
    /// Every symbol with what its prices show.
    pub symbols: Vec<SymbolFacts>,
    /// Rows of this time, milliseconds since the epoch, and later are held out: they are for one
    /// last reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_out_from_ms: Option<i64>,
    /// Every file, in the order of its path.
    pub files: Vec<FileEntry>,
}

/// A symbol.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SymbolFacts {
    /// In upper case.
    pub symbol: String,
    /// Finest step of its prices, 1e-8.
    pub tick: i64,
    /// Finest step of its quantities, 1e-8.
    pub lot: i64,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Below the data set's folder, with `/`.
    pub path: String,
    /// What its rows are.
    pub stream: Stream,
    /// Of which symbol.
    pub symbol: String,
    /// Time between two rows in milliseconds; 0 where there is no such time.
    pub interval_ms: i64,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// Their number.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
    /// Time of the first row, milliseconds since the epoch.
    pub first_ms: i64,
    /// Time of the last row.
    pub last_ms: i64,
    /// Where rows are missing.
    pub gaps: Vec<Gap>,
    /// Name of the file it was made from.
    pub source: String,
    /// SHA-256 of that file.
    pub source_sha256: String,
}

/// Times at which rows are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// Time of the last row before it, milliseconds.
    pub after_ms: i64,
    /// Time of the first row behind it.
    pub until_ms: i64,
}

impl Manifest {
    /// Reads one; every rule it breaks is told.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let faults = manifest.faults();
        if faults.is_empty() { Ok(manifest) } else { Err(faults.join("; ")) }
    }

    /// As YAML.
    ///
    /// # Errors
    /// Nothing that a manifest holds is refused; the writer may be.
    pub fn text(&self) -> Result<String, String> {
        serde_saphyr::to_string(self).map_err(|error| error.to_string())
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.manifest_version != MANIFEST_VERSION {
            faults.push(format!("manifest_version {}: not known here", self.manifest_version));
        }
        let mut paths = BTreeSet::new();
        for entry in &self.files {
            let path = &entry.path;
            let is_plain =
                Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if path.is_empty() || !is_plain {
                faults.push(format!("{path:?}: not a path below the data set"));
            }
            if !paths.insert(path) {
                faults.push(format!("{path}: listed twice"));
            }
            let is_hash = entry.sha256.len() == 64
                && entry.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if !is_hash {
                faults.push(format!("{path}: sha256 is not 64 hexadecimal digits"));
            }
            if entry.first_ms > entry.last_ms {
                faults.push(format!("{path}: it ends before it begins"));
            }
            if !self.symbols.iter().any(|facts| facts.symbol == entry.symbol) {
                faults.push(format!("{path}: {} is not among the symbols", entry.symbol));
            }
        }
        for facts in &self.symbols {
            if facts.tick <= 0 || facts.lot <= 0 {
                faults.push(format!("{}: tick and lot are above zero", facts.symbol));
            }
        }
        faults
    }

    /// Files of a stream of a symbol, in the order of their first row.
    pub fn files_of(&self, symbol: &str, stream: Stream) -> Vec<&FileEntry> {
        let is_so = |entry: &&FileEntry| entry.symbol == symbol && entry.stream == stream;
        let mut found: Vec<&FileEntry> = self.files.iter().filter(is_so).collect();
        found.sort_by_key(|entry| entry.first_ms);
        found
    }
}
