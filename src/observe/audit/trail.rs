//! The trail's file: append-only, one chain over all sessions of a state folder.

use super::AUDIT_FILE;
use super::entry::Entry;
use super::line::{Line, NO_PREDECESSOR, hash, whole_lines};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where a journal stands in the trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// The next record of each lane that has no line and needs none for what came before.
    pub next: BTreeMap<u8, u64>,
    /// The trail holds all of it.
    pub closed: bool,
}

/// See the head of this file.
pub struct Trail {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines.
    length: u64,
    n: u64,
    prev: String,
    covered: BTreeMap<String, Covered>,
}

impl Trail {
    /// Opens the trail of a state folder, whose lock the caller holds. What stands behind the last
    /// whole line was never finished and is cut off; the cut is a line of its own.
    ///
    /// # Errors
    /// When the file cannot be read, written or cut.
    pub fn open(state: &Path) -> io::Result<Self> {
        let path = state.join(AUDIT_FILE);
        let options = File::options().read(true).append(true).create(true).open(&path);
        let file = options.map_err(|error| named(&path, &error))?;
        let mut trail = Self {
            path,
            file,
            length: 0,
            n: 0,
            prev: NO_PREDECESSOR.to_owned(),
            covered: BTreeMap::new(),
        };
        let cut = trail.read_all()?;
        if cut > 0 {
            trail.file.set_len(trail.length)?;
            trail.append(&[Entry::resumed(cut)], "")?;
        }
        Ok(trail)
    }

    /// Where a journal stands.
    pub fn covered(&self, journal: &str) -> Covered {
        self.covered.get(journal).cloned().unwrap_or_default()
    }

    /// Lines so far.
    pub const fn lines(&self) -> u64 {
        self.n
    }

    /// Appends the entries of `journal` as lines and makes them durable. After an error the file is
    /// as before, as far as the system lets it be, and the same entries may be given again.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, entries: &[Entry], journal: &str) -> io::Result<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let (mut n, mut prev) = (self.n, self.prev.clone());
        let mut bytes = Vec::new();
        for entry in entries {
            n += 1;
            let text = entry.line(n, prev, journal).text();
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(b'\n');
            prev = hash(&text);
        }
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.file.set_len(self.length)?;
            return Err(named(&self.path, &error));
        }
        self.length += bytes.len() as u64;
        (self.n, self.prev) = (n, prev);
        for entry in entries {
            cover(&mut self.covered, journal, entry.lane, entry.record, entry.what);
        }
        Ok(())
    }

    /// Reads what is there; how many bytes stand behind the last whole line.
    fn read_all(&mut self) -> io::Result<u64> {
        let end = self.file.seek(SeekFrom::End(0))?;
        self.file.seek(SeekFrom::Start(0))?;
        let reader = BufReader::new(&self.file).take(end);
        let Self { path, length, n, prev, covered, .. } = self;
        let read = whole_lines(reader, |whole, bytes| {
            *length += bytes as u64;
            *prev = hash(whole);
            // A line that cannot be read is for `verify` to name; the chain goes on behind it.
            *n += 1;
            if let Ok(line) = Line::read(whole) {
                *n = line.n;
                cover(covered, &line.journal, line.lane, line.record, &line.what);
            }
        });
        read.map_err(|error| named(path, &error))?;
        Ok(end - self.length)
    }
}

fn cover(
    covered: &mut BTreeMap<String, Covered>,
    journal: &str,
    lane: u8,
    record: u64,
    what: &str,
) {
    if journal.is_empty() {
        return;
    }
    let journal = covered.entry(journal.to_owned()).or_default();
    if what == super::entry::CLOSED {
        journal.closed = true;
        return;
    }
    let next = journal.next.entry(lane).or_default();
    *next = (*next).max(record + 1);
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
