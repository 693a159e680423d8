//! Files below folders, within bounds.

use std::fs;
use std::path::{Path, PathBuf};

/// How deep below its root a file may lie.
const DEPTH_MAX: usize = 4;
/// Most entries of all folders below a root that are looked at.
const ENTRIES_MAX: usize = 100_000;
/// Largest report that is read, bytes.
pub const REPORT_BYTES_MAX: u64 = 16 << 20;

/// Every file with one of the names below a root, by path. A root that is not there has none; links
/// to folders are not followed.
pub fn named(root: &Path, names: &[&str], problems: &mut Vec<String>) -> Vec<PathBuf> {
    let (mut found, mut entries) = (Vec::new(), 0);
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let list = match fs::read_dir(&folder) {
            Ok(list) => list,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => {
                problems.push(format!("{}: {error}", folder.display()));
                continue;
            }
        };
        for entry in list.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                let root = root.display();
                problems.push(format!("{root}: more than {ENTRIES_MAX} entries; not all are seen"));
                found.sort();
                return found;
            }
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && names.iter().any(|wanted| name == *wanted) {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

/// The bytes of a file of bounded size.
///
/// # Errors
/// In words, with the file named.
pub fn bytes_of(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", path.display());
    let about = fs::metadata(path).map_err(|error| wrong(&error))?;
    if !about.is_file() || about.len() > bytes_max {
        return Err(wrong(&format!("no file of at most {bytes_max} bytes")));
    }
    fs::read(path).map_err(|error| wrong(&error))
}

/// When a file was last written, milliseconds since 1970.
pub fn written_ms(path: &Path) -> u64 {
    let time = fs::metadata(path).and_then(|about| about.modified()).ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_millis() as u64)
}
