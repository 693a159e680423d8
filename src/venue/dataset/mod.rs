//! Frozen data sets: tables of history that a manifest lists with their hashes, read back as the
//! frames a venue would have sent.
//!
//! ```text
//!  data_manifest.yaml ─► DataSet::open ─► table(file): hashed, then its rows ─┐
//!                                                                             │ by time
//!                                          Tape: bars, marks, funding ────────┴─► frames ─► feed
//! ```
//! Nothing the manifest does not list can be read, and nothing whose bytes are not the listed ones.
//! What it holds out is told by no tape but one of [`DataSet::open_hold_out`].
//!
//! | file | holds |
//! |---|---|
//! | `stream` | the kinds of tables and their columns |
//! | `manifest` | `data_manifest.yaml` |
//! | `table` | a table as a Parquet file |
//! | `tape` | rows of all tables as frames, merged by time |
//! | `frames` | the text of those frames |

mod frames;
mod manifest;
mod stream;
mod table;
mod tape;
#[cfg(test)]
mod tests;

pub use manifest::{FileEntry, Gap, MANIFEST_FILE, MANIFEST_VERSION, Manifest, SymbolFacts};
pub use stream::{Column, Stream, Unit};
pub use table::{Rows, TableWriter};
pub use tape::Tape;

use crate::base::settings::InstrumentSettings;
use crate::base::{Px, Qty, Symbol};
use crate::venue::capture::untold;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file cannot be read or written.
    #[error("{}: {error}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The manifest is not one.
    #[error("{}: {what}", .path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file is not the listed one, or lies there without being listed.
    #[error("{}: {what}", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
    /// A table is damaged or of another form.
    #[error("{}: {what}", .path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io { path: path.clone(), error }
    }

    pub(crate) fn table(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Table { path: path.to_path_buf(), what: what.to_string() }
    }
}

/// A folder with a manifest.
#[derive(Clone, Debug)]
pub struct DataSet {
    dir: PathBuf,
    manifest: Manifest,
    hash: [u8; 32],
    /// What is held out may be read.
    is_open: bool,
}

impl DataSet {
    /// Reads the manifest; the tables are looked at when they are asked for.
    ///
    /// # Errors
    /// No manifest, or one that says what cannot be.
    pub fn open(dir: &Path) -> Result<Self, DataError> {
        let path = dir.join(MANIFEST_FILE);
        let text = std::fs::read_to_string(&path).map_err(DataError::io(&path))?;
        let manifest = Manifest::parse(&text)
            .map_err(|what| DataError::Manifest { path: path.clone(), what })?;
        let hash = Sha256::digest(text.as_bytes()).into();
        Ok(Self { dir: dir.to_path_buf(), manifest, hash, is_open: false })
    }

    /// The same with what is held out, which this notes: who reads it is known before anything is
    /// read. Returns how many have read it now; who reads again what it read reads nothing new and
    /// counts once.
    ///
    /// # Errors
    /// As [`DataSet::open`], nothing held out, or a note that cannot be written.
    pub fn open_hold_out(dir: &Path, by: &str) -> Result<(Self, u64), DataError> {
        let mut set = Self::open(dir)?;
        let path = dir.join(OPENINGS_FILE);
        if set.manifest.hold_out_from_ms.is_none() {
            let what = "hold_out_from_ms: nothing is held out".to_owned();
            return Err(DataError::Manifest { path: dir.join(MANIFEST_FILE), what });
        }
        let known = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(DataError::io(&path))?,
        };
        let mut readers: BTreeSet<&str> = known.lines().collect();
        if readers.insert(by) {
            let mut file = File::options().create(true).append(true).open(&path);
            let noted = file.as_mut().map_err(|error| std::io::Error::from(error.kind()));
            let noted = noted.and_then(|file| {
                // A line of its own even behind one whose end was lost.
                let start = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
                file.write_all(format!("{start}{by}\n").as_bytes())?;
                file.sync_all()
            });
            noted.map_err(DataError::io(&path))?;
        }
        set.is_open = true;
        Ok((set, readers.len() as u64))
    }

    /// From when on, milliseconds since the epoch, nothing may be read; `None` where all may.
    pub fn held_out_from_ms(&self) -> Option<i64> {
        self.manifest.hold_out_from_ms.filter(|_| !self.is_open)
    }

    /// True for a folder that holds a manifest.
    pub fn is_one(dir: &Path) -> bool {
        dir.join(MANIFEST_FILE).is_file()
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it lists.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest's bytes: the hash that stands for all the data.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Its symbols as contracts: steps as the data shows them, fees of the venue's lowest tier.
    ///
    /// # Errors
    /// A name that is no symbol.
    pub fn instruments(&self) -> Result<Vec<InstrumentSettings>, DataError> {
        let one = |facts: &SymbolFacts| {
            let symbol = Symbol::new(facts.symbol.as_bytes()).ok_or_else(|| {
                let what = format!("{:?} is no symbol", facts.symbol);
                DataError::Manifest { path: self.dir.join(MANIFEST_FILE), what }
            })?;
            Ok(untold(symbol, Px(facts.tick), Qty(facts.lot)))
        };
        self.manifest.symbols.iter().map(one).collect()
    }

    /// The rows of a listed file, after its bytes were seen to be the listed ones.
    ///
    /// # Errors
    /// A file that is missing, another one, or damaged.
    pub fn rows(&self, entry: &FileEntry) -> Result<Rows, DataError> {
        let path = self.dir.join(&entry.path);
        let mut file = File::open(&path).map_err(DataError::io(&path))?;
        let (hash, bytes) = hash_of(&mut file).map_err(DataError::io(&path))?;
        if hash != entry.sha256 || bytes != entry.bytes {
            let what = format!(
                "its {bytes} bytes have SHA-256 {hash}; the manifest lists {} with {}",
                entry.bytes, entry.sha256
            );
            return Err(DataError::Changed { path, what });
        }
        // The file that was hashed is the one that is read, whatever its name points to by now.
        file.rewind().map_err(DataError::io(&path))?;
        Rows::read(file, &path, entry.stream, entry.rows)
    }

    /// Looks at every listed file and at what else lies in the folder.
    ///
    /// # Errors
    /// The first file that is missing, changed, damaged or not listed.
    pub fn verify(&self) -> Result<u64, DataError> {
        let mut rows = 0;
        for entry in &self.manifest.files {
            let mut table = self.rows(entry)?;
            while let Some(row) = table.next_row()? {
                let time = row[0];
                if time < entry.first_ms || time > entry.last_ms {
                    let path = self.dir.join(&entry.path);
                    let what = format!("a row of {time} ms lies outside the listed span");
                    return Err(DataError::Changed { path, what });
                }
                rows += 1;
            }
        }
        for path in files_below(&self.dir)? {
            let name = path.strip_prefix(&self.dir).unwrap_or(&path);
            let is_listed = self.manifest.files.iter().any(|entry| Path::new(&entry.path) == name);
            let ours = [MANIFEST_FILE, QUALITY_FILE, OPENINGS_FILE];
            let is_ours = ours.iter().any(|own| name == Path::new(own));
            if !is_listed && !is_ours {
                let what = "it lies in the data set and the manifest does not list it".to_owned();
                return Err(DataError::Changed { path, what });
            }
        }
        Ok(rows)
    }
}

/// Who has read what is held out, a line each. It is the one file of a data set that grows.
pub const OPENINGS_FILE: &str = "hold_out_openings.txt";

/// What was found in the data when it was frozen, for people.
pub const QUALITY_FILE: &str = "quality_report.md";

/// SHA-256 in hexadecimal digits, and the number of bytes.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_of(file: &mut File) -> std::io::Result<(String, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((crate::model::artifact::hex(&hash.finalize()), bytes));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Every file below a folder, in the order of its path.
///
/// # Errors
/// A folder that cannot be read.
pub fn files_below(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(DataError::io(&folder))? {
            let path = entry.map_err(DataError::io(&folder))?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
