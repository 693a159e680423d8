//! Recorded market data, read back in the order it was received.
//!
//! | format | line |
//! |---|---|
//! | stamped | `<receive time in s, ms, us or ns> <JSON>`; the number of digits tells the unit |
//! | sockets | `<receive time in seconds>: <frame>`, after a first line with the stream's URL |
//! | requests | `<URL> -> <receive time in seconds>: <body>` |
//!
//! Files may be gzipped; content decides, not the name. JSON is a combined frame, a raw frame or
//! the bare body of a depth snapshot, whose symbol comes from the URL, from the file's name, or
//! from the frames around it. Several files are merged by time, equal times in the order of files.
//! Memory is bounded by [`LINE_BYTES_MAX`] and a buffer per file.
//!
//! A line that cannot be read is an error that names file and line; reading goes on behind it.

mod discover;
mod line;
mod source;

pub use discover::{DiscoveredInstrument, contracts, discover, scan_instruments};
pub(in crate::venue) use discover::{contract_rules, filter_of, filter_text, untold};

#[cfg(test)]
mod tests;

use crate::base::{Nanos, Symbol};
use line::Content;
use source::Source;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::{Path, PathBuf};

/// Longest line read: the largest REST answer known (exchangeInfo) is 1 MB.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// Why something recorded could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A path cannot be read.
    #[error("{}: {error}", .path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// No file under the given paths is a capture.
    #[error("no capture among the given paths: {paths:?}")]
    Nothing {
        /// What was given.
        paths: Vec<PathBuf>,
    },
    /// A file's first lines are in no known form.
    #[error("{}: not a capture in a known form", .path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The exchange information in a capture cannot be read.
    #[error("exchange information in the capture: {what}")]
    ExchangeInfo {
        /// The symbol and key at fault.
        what: String,
    },
    /// One line is in no known form.
    #[error("{}:{line}: {what}", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        what: LineFault,
    },
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// It does not begin as lines of the file's form do.
    #[error("the line does not begin with a receive time")]
    Stamp,
    /// What follows the time is no JSON object or array.
    #[error("no JSON follows the receive time")]
    Payload,
    /// A bare depth snapshot, and nothing tells of which symbol.
    #[error("nothing tells of which symbol the snapshot is")]
    SnapshotSymbol,
    /// Longer than [`LINE_BYTES_MAX`].
    #[error("the line is too long")]
    TooLong,
}

/// One record. It borrows the capture's buffer until the next one is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureRecord<'c> {
    /// Time of receipt; never less than that of the record before.
    pub ts_recv: Nanos,
    /// Index into [`Capture::stats`].
    pub source: usize,
    /// Line in its file, from 1.
    pub line: u64,
    /// What was received.
    pub payload: Payload<'c>,
}

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'c> {
    /// A frame of a stream, combined or raw.
    Frame(&'c [u8]),
    /// A depth snapshot.
    Snapshot {
        /// The symbol, in upper case.
        symbol: Symbol,
        /// The body.
        body: &'c [u8],
    },
    /// The body of `GET /fapi/v1/exchangeInfo`.
    ExchangeInfo(&'c [u8]),
}

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureStats {
    /// The file.
    pub path: PathBuf,
    /// Lines read.
    pub lines: u64,
    /// Frames among them.
    pub frames: u64,
    /// Depth snapshots among them.
    pub snapshots: u64,
    /// Lines left out on purpose: headers, answers nobody asked for.
    pub ignored: u64,
    /// Lines that could not be read.
    pub bad: u64,
    /// Records received before the one ahead of them in the file; their time was raised.
    pub out_of_order: u64,
    /// Time of the first record as written, 0 if there is none.
    pub first: Nanos,
    /// Time of the last record as written, 0 if there is none.
    pub last: Nanos,
}

/// Several recorded files, merged by time of receipt.
pub struct Capture {
    sources: Vec<Source>,
    /// The next time of each source that has one, least first.
    queue: BinaryHeap<Reverse<(i64, usize)>>,
    /// The source whose record was handed out last; it has to move on first.
    given: Option<usize>,
    last: Nanos,
}

impl Capture {
    /// Opens files, and all captures among the files of folders (not of their subfolders), in
    /// name order.
    ///
    /// # Errors
    /// A path that cannot be read, a file named outright that is no capture, or no capture at all.
    pub fn open(paths: &[PathBuf]) -> Result<Self, CaptureError> {
        let mut sources = Vec::new();
        for path in paths {
            if path.is_dir() {
                for file in files_of(path)? {
                    match Source::open(&file) {
                        Ok(source) => sources.push(source),
                        Err(CaptureError::UnknownFormat { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
            } else {
                sources.push(Source::open(path)?);
            }
        }
        if sources.is_empty() {
            return Err(CaptureError::Nothing { paths: paths.to_vec() });
        }
        Ok(Self { sources, queue: BinaryHeap::new(), given: None, last: Nanos::ZERO }.primed())
    }

    /// The next record, or what kept it from being read; `None` at the end.
    #[expect(clippy::should_implement_trait, reason = "the record borrows the capture")]
    pub fn next(&mut self) -> Option<Result<CaptureRecord<'_>, CaptureError>> {
        if let Some(source) = self.given.take() {
            self.advance(source);
        }
        let Reverse((_, index)) = self.queue.pop()?;
        self.given = Some(index);
        let source = &mut self.sources[index];
        if let Some(error) = source.take_error() {
            return Some(Err(error));
        }
        let (ts, line, content) = source.current();
        let ts_recv = ts.max(self.last);
        self.last = ts_recv;
        let payload = match content {
            Content::Frame(bytes) => Payload::Frame(bytes),
            Content::Snapshot { symbol, body } => Payload::Snapshot { symbol, body },
            Content::ExchangeInfo(bytes) => Payload::ExchangeInfo(bytes),
        };
        Some(Ok(CaptureRecord { ts_recv, source: index, line, payload }))
    }

    /// What was read so far, file by file.
    pub fn stats(&self) -> Vec<CaptureStats> {
        self.sources.iter().map(|source| source.stats.clone()).collect()
    }

    fn primed(mut self) -> Self {
        for index in 0..self.sources.len() {
            self.advance(index);
        }
        self
    }

    /// Reads the source's next record. An error takes the place of the record it kept from being
    /// read, at the time of the one before.
    fn advance(&mut self, index: usize) {
        let source = &mut self.sources[index];
        if source.advance() {
            self.queue.push(Reverse((source.ts().0, index)));
        }
    }
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>, CaptureError> {
    let read_error = |error| CaptureError::Read { path: folder.to_path_buf(), error };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read_error)? {
        let path = entry.map_err(read_error)?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
