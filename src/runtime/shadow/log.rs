//! The shadow log on disk: lines in order, in parts of bounded size, going on where it ended.
//!
//! ```text
//!   shadow_eval.000001.jsonl  shadow_eval.000002.jsonl  …  shadow_eval.jsonl ◄── the newest lines
//!   └── removed first, beyond the bytes that all may take
//! ```
//! A run that begins again over the same journal makes the same lines again; those that stand
//! already are passed over, so a run that was killed leaves the log of one that was not.

use crate::promotion::Line;
use crate::promotion::record::LINE_BYTES_MAX;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Where the log of the sessions with this state folder lies.
pub fn log_path(state: &Path) -> PathBuf {
    state.join("logs/shadow/shadow_eval.jsonl")
}

/// Bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// Size beyond which a part is closed, bytes.
    pub part: u64,
    /// Size of all parts together, bytes; the oldest are removed.
    pub all: u64,
}

/// Names a decision of a challenger: its time and number.
type Place = (i64, u64);

/// How far the log has come with a challenger.
#[derive(Clone, Debug, Default)]
struct Reached {
    decision: Option<Place>,
    outcome: Option<Place>,
    waiting: VecDeque<(Place, String)>,
}

/// See the head of this file.
pub struct EvalLog {
    /// Held while it is open: two writers would not know of each other's lines.
    lock: File,
    path: PathBuf,
    file: File,
    bytes: u64,
    bounds: LogBounds,
    reached: BTreeMap<String, Reached>,
    buffer: Vec<u8>,
    written: u64,
    /// Bytes of half a line that were cut off at the start.
    cut: u64,
    removed: u64,
}

/// The parts of the log at `path` that are there, the oldest first; `path` itself is the last.
///
/// # Errors
/// When the folder cannot be read.
pub fn parts(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    let folder = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.exists() {
        return Ok(Vec::new());
    }
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        if let Some(number) = number_of(path, &name.to_string_lossy()) {
            found.push((number, path.with_file_name(name)));
        }
    }
    found.sort();
    let mut parts: Vec<PathBuf> = found.into_iter().map(|(_, part)| part).collect();
    if path.exists() {
        parts.push(path.to_path_buf());
    }
    Ok(parts)
}

/// The number of a closed part by its name.
fn number_of(path: &Path, name: &str) -> Option<u64> {
    let (stem, ending) = (path.file_stem()?.to_str()?, path.extension()?.to_str()?);
    let middle = name.strip_prefix(stem)?.strip_prefix('.')?;
    let digits = middle.strip_suffix(ending)?.strip_suffix('.')?;
    let lawful = digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if lawful { digits.parse().ok() } else { None }
}

fn part_name(path: &Path, number: u64) -> PathBuf {
    let text = |part: Option<&std::ffi::OsStr>| {
        part.map_or(String::new(), |part| part.to_string_lossy().into_owned())
    };
    let (stem, ending) = (text(path.file_stem()), text(path.extension()));
    path.with_file_name(format!("{stem}.{number:06}.{ending}"))
}

impl EvalLog {
    /// Opens the log at `path`, or begins it. Half a line at its end is cut off.
    ///
    /// # Errors
    /// When it cannot be read or written, or another process writes it.
    pub fn open(path: &Path, bounds: LogBounds) -> Result<Self> {
        let shown = || path.display().to_string();
        if let Some(folder) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).with_context(shown)?;
        }
        let lock = File::create(path.with_extension("lock")).with_context(shown)?;
        lock.try_lock().with_context(|| format!("{}: is written by another", shown()))?;
        let mut reached = BTreeMap::new();
        let mut whole = 0;
        for part in parts(path).with_context(shown)? {
            whole = read(&part, &mut reached).with_context(|| part.display().to_string())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(shown)?;
        let length = file.metadata().with_context(shown)?.len();
        let bytes = if length == 0 { 0 } else { whole };
        file.set_len(bytes).with_context(shown)?;
        Ok(Self {
            lock,
            path: path.to_path_buf(),
            file,
            bytes,
            bounds,
            reached,
            buffer: Vec::new(),
            written: 0,
            cut: length - bytes,
            removed: 0,
        })
    }

    /// Bytes of half a line that were cut off when it was opened.
    pub const fn cut(&self) -> u64 {
        self.cut
    }

    /// Lines written since it was opened.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Parts that were removed since it was opened.
    pub const fn removed(&self) -> u64 {
        self.removed
    }

    /// Takes a line of the decision made at `at_ns`, unless it stands already.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn push(&mut self, line: &Line, at_ns: i64) -> Result<()> {
        let (seq, challenger) = match line {
            Line::Decision(decided) => (decided.seq, &decided.challenger.version),
            Line::Outcome(came) => (came.seq, &came.challenger),
        };
        let place = (at_ns, seq);
        let reached = self.reached.entry(challenger.clone()).or_default();
        let newest = match line {
            Line::Decision(_) => &mut reached.decision,
            Line::Outcome(_) => &mut reached.outcome,
        };
        if newest.is_some_and(|newest| place <= newest) {
            return Ok(());
        }
        *newest = Some(place);
        let text = line.text()?;
        let size = self.bytes + self.buffer.len() as u64 + text.len() as u64;
        if size > self.bounds.part && size > text.len() as u64 {
            self.turn()?;
        }
        self.buffer.extend_from_slice(text.as_bytes());
        self.written += 1;
        if self.buffer.len() > LINE_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes out what was taken.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.write_all(&self.buffer).with_context(|| self.path.display().to_string())?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Closes the part and begins another.
    fn turn(&mut self) -> Result<()> {
        self.flush()?;
        let shown = || self.path.display().to_string();
        self.file.sync_all().with_context(shown)?;
        let closed: Vec<PathBuf> = parts(&self.path).with_context(shown)?;
        let last = closed
            .iter()
            .filter_map(|part| number_of(&self.path, &part.file_name()?.to_string_lossy()));
        let next = last.max().unwrap_or(0) + 1;
        std::fs::rename(&self.path, part_name(&self.path, next)).with_context(shown)?;
        let options = OpenOptions::new().create(true).append(true).open(&self.path);
        self.file = options.with_context(shown)?;
        self.bytes = 0;
        self.forget()
    }

    /// Removes the oldest parts beyond the bounds.
    fn forget(&mut self) -> Result<()> {
        let parts = parts(&self.path)?;
        let sizes: Vec<u64> = parts
            .iter()
            .map(|part| std::fs::metadata(part).map(|facts| facts.len()))
            .collect::<std::io::Result<_>>()?;
        let mut all: u64 = sizes.iter().sum();
        for (part, size) in parts.iter().zip(sizes) {
            if all + self.bounds.part <= self.bounds.all || *part == self.path {
                break;
            }
            std::fs::remove_file(part).with_context(|| part.display().to_string())?;
            all -= size;
            self.removed += 1;
        }
        Ok(())
    }
}

impl Drop for EvalLog {
    fn drop(&mut self) {
        // A log that cannot be written has been told at the flush before.
        let _ = self.flush();
        // A child that is being started may hold the file a little longer than this process.
        let _ = self.lock.unlock();
    }
}

/// Reads how far a part has come; the bytes of its whole lines.
fn read(part: &Path, reached: &mut BTreeMap<String, Reached>) -> std::io::Result<u64> {
    let mut reader = BufReader::new(File::open(part)?);
    let (mut whole, mut text) = (0, Vec::new());
    loop {
        text.clear();
        let bytes = reader.by_ref().take(LINE_BYTES_MAX as u64 * 2).read_until(b'\n', &mut text)?;
        if text.last() != Some(&b'\n') {
            return Ok(whole);
        }
        whole += bytes as u64;
        match Line::parse(&text[..text.len() - 1]) {
            Ok(Line::Decision(decided)) => {
                let place = (decided.ts_event_ns, decided.seq);
                let reached = reached.entry(decided.challenger.version).or_default();
                reached.decision = Some(place);
                reached.waiting.push_back((place, decided.symbol));
            }
            Ok(Line::Outcome(came)) => {
                let reached = reached.entry(came.challenger).or_default();
                // Outcomes come in the order of decisions; what was passed over never comes.
                let of_it = |(place, symbol): &(Place, String)| {
                    place.1 == came.seq && *symbol == came.symbol
                };
                if let Some(at) = reached.waiting.iter().position(of_it) {
                    reached.outcome = reached.waiting.drain(..=at).next_back().map(|(p, _)| p);
                }
            }
            // The report tells it by its number.
            Err(_) => {}
        }
    }
}
