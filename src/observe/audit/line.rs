//! One line of the trail.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::io::{self, BufRead};

/// Longest line in bytes that is read.
pub const LINE_BYTES_MAX: usize = 16_384;

/// What stands in the first line in place of a predecessor's hash.
pub const NO_PREDECESSOR: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// See the head of the room. The members stand in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Counts the lines from 1.
    pub n: u64,
    /// SHA-256 of the line before, without its line feed, in hex.
    pub prev: String,
    /// Event time in RFC 3339.
    pub time: String,
    /// Name of the journal's folder; empty in what the trail says of itself.
    pub journal: String,
    /// The lane; 255 where there is none.
    pub lane: u8,
    /// The record in its lane, the last one where the line stands for several.
    pub record: u64,
    /// Place in the river.
    pub seq: u64,
    /// What kind of line it is.
    pub what: String,
    /// What it says, by kind.
    pub says: Map<String, Value>,
}

impl Line {
    /// As it stands in the file, without a line feed.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// In words.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > LINE_BYTES_MAX {
            return Err(format!("longer than {LINE_BYTES_MAX} bytes"));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

/// Reads whole lines, each as text and with its length in bytes, until `take` has had the last.
/// Where a write was torn, and where somebody wrote, there may be no letters at all: what is none
/// is replaced, by every reader alike, for the chain is of the text. What stands behind the last
/// line feed is left out: it was never finished, or is being written.
///
/// # Errors
/// When it cannot be read.
pub fn whole_lines(mut reader: impl BufRead, mut take: impl FnMut(&str, usize)) -> io::Result<()> {
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
        let Some(whole) = bytes.strip_suffix(b"\n") else { return Ok(()) };
        take(&String::from_utf8_lossy(whole), bytes.len());
    }
}

/// SHA-256 of a line as it stands in the file, in hex.
pub fn hash(text: &str) -> String {
    crate::model::artifact::hex(&Sha256::digest(text.as_bytes()))
}

/// Nanoseconds since the epoch in RFC 3339.
pub fn time(ts_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ts_ns)).unwrap_or_default().to_string()
}
