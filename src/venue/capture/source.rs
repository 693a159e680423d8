//! One file of a capture: unpacked as it is read, cut into lines, each line a slice of the buffer.
//!
//! ```text
//! buffer  |‥ used ‥|<- line at hand ->\n|‥ read ahead ‥|  free  |
//!         0        start             end              filled    len
//! ```
//! When no line end is left, what is read ahead moves to the front and the rest is filled; the
//! buffer grows only for a line longer than itself.

use super::line::{Content, Form, Line, symbol_of_frame, symbol_of_name};
use super::{CaptureError, CaptureStats, LINE_BYTES_MAX, LineFault};
use crate::base::{Nanos, Symbol};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// An open file and the record at hand.
pub(super) struct Source {
    pub stats: CaptureStats,
    reader: Reader,
    form: Form,
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
    at_end: bool,
    /// Length of the line at hand with its line end, to step over it.
    line_bytes: usize,
    ts: Nanos,
    /// What the line at hand holds, and how many bytes precede the payload in it.
    held: Held,
    payload_at: usize,
    error: Option<CaptureError>,
    symbol: SnapshotSymbol,
}

/// Of which symbol bare snapshots are.
#[derive(Clone, Copy)]
enum SnapshotSymbol {
    Named(Symbol),
    /// The only symbol seen so far.
    Seen(Symbol),
    Several,
    Unknown,
}

#[derive(Clone, Copy)]
enum Held {
    Frame,
    Snapshot(Symbol),
    ExchangeInfo,
}

enum Reader {
    Plain(BufReader<File>),
    Packed(Box<MultiGzDecoder<BufReader<File>>>),
}

/// Bytes kept ready of one file.
const BUFFER_BYTES: usize = 1 << 20;
/// Bytes read from the disk at once.
const READ_BYTES: usize = 256 << 10;
/// First bytes of a gzip member.
const GZIP: [u8; 2] = [0x1F, 0x8B];

impl Source {
    pub fn open(path: &Path) -> Result<Self, CaptureError> {
        let read_error = |error| CaptureError::Read { path: path.to_path_buf(), error };
        let file = File::open(path).map_err(read_error)?;
        let mut reader = BufReader::with_capacity(READ_BYTES, file);
        let is_packed = reader.fill_buf().map_err(read_error)?.starts_with(&GZIP);
        let reader = if is_packed {
            Reader::Packed(Box::new(MultiGzDecoder::new(reader)))
        } else {
            Reader::Plain(reader)
        };
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let symbol = match name.as_deref().and_then(symbol_of_name) {
            Some(symbol) => SnapshotSymbol::Named(symbol),
            None => SnapshotSymbol::Unknown,
        };
        let mut source = Self {
            stats: CaptureStats::new(path.to_path_buf()),
            reader,
            form: Form::Stamped,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            filled: 0,
            at_end: false,
            line_bytes: 0,
            ts: Nanos::ZERO,
            held: Held::Frame,
            payload_at: 0,
            error: None,
            symbol,
        };
        source.fill().map_err(read_error)?;
        let unknown = || CaptureError::UnknownFormat { path: path.to_path_buf() };
        source.form = Form::of(source.first_line()).ok_or_else(unknown)?;
        Ok(source)
    }

    /// Time of the record at hand.
    pub const fn ts(&self) -> Nanos {
        self.ts
    }

    /// The error that took the place of a record.
    pub fn take_error(&mut self) -> Option<CaptureError> {
        self.error.take()
    }

    /// The record at hand, with its line number.
    pub fn current(&self) -> (Nanos, u64, Content<'_>) {
        let line = trimmed(&self.buffer[self.start..self.start + self.line_bytes]);
        let body = &line[self.payload_at..];
        let content = match self.held {
            Held::Frame => Content::Frame(body),
            Held::Snapshot(symbol) => Content::Snapshot { symbol, body },
            Held::ExchangeInfo => Content::ExchangeInfo(body),
        };
        (self.ts, self.stats.lines, content)
    }

    /// Moves to the next record or error; `false` at the end of the file.
    pub fn advance(&mut self) -> bool {
        loop {
            self.start += std::mem::take(&mut self.line_bytes);
            match self.find_line() {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    // A file that breaks off is read up to there.
                    self.at_end = true;
                    self.start = self.filled;
                    let path = self.stats.path.clone();
                    self.error = Some(CaptureError::Read { path, error });
                    return true;
                }
            }
            self.stats.lines += 1;
            let line = trimmed(&self.buffer[self.start..self.start + self.line_bytes]);
            if line.is_empty() {
                self.stats.ignored += 1;
                continue;
            }
            let seen = if line.len() > LINE_BYTES_MAX {
                Err(LineFault::TooLong)
            } else {
                self.form.read(line)
            };
            let (ts, body, held) = match seen {
                Ok(Line::Ignored) => {
                    self.stats.ignored += 1;
                    continue;
                }
                Ok(Line::Record(ts, Content::Frame(frame))) => {
                    self.symbol.learn(frame);
                    (ts, frame, Held::Frame)
                }
                Ok(Line::Record(ts, Content::Snapshot { symbol, body })) => {
                    (ts, body, Held::Snapshot(symbol))
                }
                Ok(Line::Record(ts, Content::ExchangeInfo(body))) => (ts, body, Held::ExchangeInfo),
                Ok(Line::BareSnapshot(ts, body)) => {
                    if self.symbol.known().is_none() {
                        self.symbol.learn(&self.buffer[self.start..self.filled]);
                    }
                    let Some(symbol) = self.symbol.known() else {
                        return self.fault(LineFault::SnapshotSymbol);
                    };
                    (ts, body, Held::Snapshot(symbol))
                }
                Err(fault) => return self.fault(fault),
            };
            // The payload is the end of the line.
            self.payload_at = line.len() - body.len();
            self.held = held;
            let is_snapshot = matches!(held, Held::Snapshot(_));
            self.count(ts, is_snapshot);
            return true;
        }
    }

    fn count(&mut self, ts: Nanos, is_snapshot: bool) {
        let stats = &mut self.stats;
        if stats.frames + stats.snapshots == 0 {
            stats.first = ts;
        } else if ts < stats.last {
            stats.out_of_order += 1;
        }
        stats.last = ts;
        stats.snapshots += u64::from(is_snapshot);
        stats.frames += u64::from(!is_snapshot);
        self.ts = ts;
    }

    fn fault(&mut self, what: LineFault) -> bool {
        self.stats.bad += 1;
        let (path, line) = (self.stats.path.clone(), self.stats.lines);
        self.error = Some(CaptureError::Line { path, line, what });
        true
    }

    fn first_line(&self) -> &[u8] {
        let ahead = &self.buffer[..self.filled];
        let end = ahead.iter().position(|&b| b == b'\n').unwrap_or(ahead.len());
        trimmed(&ahead[..end])
    }

    /// Sees to it that a whole line is in the buffer; `false` when nothing is left.
    fn find_line(&mut self) -> io::Result<bool> {
        let mut searched = 0;
        loop {
            let ahead = &self.buffer[self.start..self.filled];
            if let Some(at) = newline(&ahead[searched..]) {
                self.line_bytes = searched + at + 1;
                return Ok(true);
            }
            searched = ahead.len();
            if self.at_end {
                self.line_bytes = searched;
                return Ok(searched > 0);
            }
            if searched > LINE_BYTES_MAX {
                // Keep the start of a monstrous line: enough to refuse it, and bounded.
                self.filled = self.start + LINE_BYTES_MAX + 1;
                searched = LINE_BYTES_MAX + 1;
            }
            self.fill()?;
        }
    }

    /// Moves what is read ahead to the front and reads more behind it.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        if self.filled == self.buffer.len() {
            let longer = (self.buffer.len() * 2).min(LINE_BYTES_MAX + BUFFER_BYTES);
            self.buffer.resize(longer, 0);
        }
        while self.filled < self.buffer.len() {
            let free = &mut self.buffer[self.filled..];
            let count = match &mut self.reader {
                Reader::Plain(reader) => reader.read(free)?,
                Reader::Packed(reader) => reader.read(free)?,
            };
            if count == 0 {
                self.at_end = true;
                return Ok(());
            }
            self.filled += count;
        }
        Ok(())
    }
}

impl SnapshotSymbol {
    fn known(self) -> Option<Symbol> {
        match self {
            Self::Named(symbol) | Self::Seen(symbol) => Some(symbol),
            Self::Several | Self::Unknown => None,
        }
    }

    fn learn(&mut self, frame: &[u8]) {
        if matches!(self, Self::Named(_) | Self::Several) {
            return;
        }
        let Some(symbol) = symbol_of_frame(frame) else { return };
        *self = match *self {
            Self::Seen(seen) if seen != symbol => Self::Several,
            _ => Self::Seen(symbol),
        };
    }
}

impl CaptureStats {
    const fn new(path: PathBuf) -> Self {
        Self {
            path,
            lines: 0,
            frames: 0,
            snapshots: 0,
            ignored: 0,
            bad: 0,
            out_of_order: 0,
            first: Nanos::ZERO,
            last: Nanos::ZERO,
        }
    }
}

fn trimmed(line: &[u8]) -> &[u8] {
    line.trim_ascii_end()
}

/// The first line end.
fn newline(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes)
}
