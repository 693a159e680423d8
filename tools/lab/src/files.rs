//! Files of reports.

use anyhow::{Context, Result};
use peregrine::runtime::state::write_durably;
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
