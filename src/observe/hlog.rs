//! Histogram logs (`.hlog`, format 1.3 with V2 compressed histograms), which the HdrHistogram tools
//! of every language read. One line per hop and interval, tagged with the hop's name; values are
//! nanoseconds.

use super::hop::Hop;
use super::latency::HopTotals;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogHistogram, IntervalLogIterator, IntervalLogWriter, IntervalLogWriterBuilder,
    LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use std::io::Write;
use std::time::{Duration, SystemTime};

/// Why a histogram log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    /// The writer underneath failed, or a histogram would not serialise.
    #[error("histogram log: cannot write {what}: {cause}")]
    Write {
        /// What was being written.
        what: &'static str,
        /// The cause as told by the writer.
        cause: String,
    },
    /// A line that is no line of a histogram log.
    #[error("histogram log: entry {entry}: not a histogram log line")]
    Line {
        /// Which entry, from 1.
        entry: usize,
    },
    /// An interval without a tag, or with one that is no hop.
    #[error("histogram log: entry {entry}: the tag is not the name of a hop")]
    Tag {
        /// Which entry, from 1.
        entry: usize,
    },
    /// A histogram that does not decode.
    #[error("histogram log: entry {entry}: the histogram is damaged: {cause}")]
    Histogram {
        /// Which entry, from 1.
        entry: usize,
        /// The cause as told by the decoder.
        cause: String,
    },
}

/// Writes one log: the head, then an interval at a time through [`Hlog::interval`].
///
/// # Errors
/// [`HlogError::Write`] when the head cannot be written, otherwise what `intervals` returns.
pub fn write_log<W: Write>(
    writer: &mut W,
    start: SystemTime,
    intervals: impl FnOnce(&mut Hlog<'_, '_, W>) -> Result<(), HlogError>,
) -> Result<(), HlogError> {
    let mut serializer = V2DeflateSerializer::new();
    // Without the version line readers assume an older format, and without both times the Java
    // reader guesses what the timestamps count from.
    let log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(start)
        .with_base_time(start)
        .begin_log_with(writer, &mut serializer)
        .map_err(|e| HlogError::Write { what: "the head", cause: e.to_string() })?;
    intervals(&mut Hlog { log })
}

/// An open log.
pub struct Hlog<'w, 's, W: Write> {
    log: IntervalLogWriter<'w, 's, W, V2DeflateSerializer>,
}

impl<W: Write> Hlog<'_, '_, W> {
    /// Appends the hops that were passed in one interval, which began `since_start` after the log's
    /// start.
    ///
    /// # Errors
    /// [`HlogError::Write`] when a line cannot be written.
    pub fn interval(
        &mut self,
        totals: &HopTotals,
        since_start: Duration,
        length: Duration,
    ) -> Result<(), HlogError> {
        for hop in Hop::ALL {
            let histogram = totals.histogram(hop);
            if histogram.is_empty() {
                continue;
            }
            let tag = Tag::new(hop.name());
            self.log
                .write_histogram(histogram, since_start, length, tag)
                .map_err(|e| HlogError::Write { what: hop.name(), cause: format!("{e:?}") })?;
        }
        Ok(())
    }
}

/// Reads a log and merges all its intervals. Sums and maxima are then as exact as the histograms.
///
/// # Errors
/// [`HlogError`] naming the entry at fault.
pub fn read_log(bytes: &[u8]) -> Result<HopTotals, HlogError> {
    let mut totals = HopTotals::new();
    let mut deserializer = Deserializer::new();
    for (index, item) in IntervalLogIterator::new(bytes).enumerate() {
        let entry = index + 1;
        let Ok(item) = item else {
            return Err(HlogError::Line { entry });
        };
        let LogEntry::Interval(interval) = item else { continue };
        let hop = hop_of(&interval).ok_or(HlogError::Tag { entry })?;
        let damaged = |cause: String| HlogError::Histogram { entry, cause };
        let packed = decode_base64(interval.encoded_histogram())
            .ok_or_else(|| damaged("not base64".to_owned()))?;
        let histogram: Histogram<u64> =
            deserializer.deserialize(&mut &packed[..]).map_err(|e| damaged(format!("{e:?}")))?;
        for step in histogram.iter_recorded() {
            totals.record_n(hop, step.value_iterated_to(), step.count_at_value());
        }
    }
    Ok(totals)
}

fn hop_of(interval: &IntervalLogHistogram<'_>) -> Option<Hop> {
    Hop::from_name(interval.tag()?.as_str())
}

/// Standard base64 (RFC 4648 §4) with padding; `None` for anything else.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() * 3 / 4);
    for group in digits.chunks(4) {
        let mut word = 0_u32;
        for &digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            word = word << 6 | u32::from(value);
        }
        word <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&word.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}
