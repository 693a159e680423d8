//! Files of reports.

use anyhow::{Context, Result};
use peregrine::runtime::state::write_durably;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// Writes a file so that it is there whole or not at all, with the folder it lies in.
///
/// # Errors
/// The file that could not be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let at = || format!("cannot write {}", path.display());
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(at)?;
    }
    write_durably(path, bytes).with_context(at)
}

/// Writes a value as JSON for programs and people, whole or not at all.
///
/// # Errors
/// As [`write_whole`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)? + "\n";
    write_whole(path, text.as_bytes())
}

/// Reads a value from JSON; `None` where there is no file.
///
/// # Errors
/// The file that cannot be read, or does not hold it.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let named = || path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).with_context(named),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(named),
    }
}
