//! Where a stage's records go: a lane on disk, a comparison with a lane on disk (replay), or only a
//! count (benches and offline runs that keep nothing).

use super::append::{Journaled, LaneWriter};
use super::error::JournalFault;
use super::format::RecordIndex;
use super::read::LaneReader;
use crate::base::Event;
use rtrb::Producer;

/// See the head of this file. Only a recorder of a lane belongs into a session that sends orders.
pub struct Recorder {
    sink: Sink,
    tap: Option<Tap>,
}

/// A lossy view for side threads.
struct Tap {
    ring: Producer<Event>,
    shows: fn(&Event) -> bool,
}

enum Sink {
    Lane(LaneWriter),
    Check(Box<LaneCheck>),
    Count(u64),
}

impl Recorder {
    /// Appends to a lane.
    pub const fn lane(writer: LaneWriter) -> Self {
        Self { sink: Sink::Lane(writer), tap: None }
    }

    /// Compares with what a lane holds.
    pub fn check(check: LaneCheck) -> Self {
        Self { sink: Sink::Check(Box::new(check)), tap: None }
    }

    /// Counts.
    pub const fn count() -> Self {
        Self { sink: Sink::Count(0), tap: None }
    }

    /// Also shows the records that `shows` picks to a side thread over `ring`, as far as it has
    /// room: a slow reader misses records, it never holds the stage up.
    pub fn with_tap(mut self, ring: Producer<Event>, shows: fn(&Event) -> bool) -> Self {
        self.tap = Some(Tap { ring, shows });
        self
    }

    /// Records `event`.
    ///
    /// # Errors
    /// [`JournalFault`] when a lane cannot take it; comparing and counting never fail.
    #[inline]
    pub fn append(&mut self, event: &Event) -> Result<Journaled, JournalFault> {
        if let Some(tap) = &mut self.tap
            && (tap.shows)(event)
        {
            // A full tap loses this record for the page; the journal has it.
            let _ = tap.ring.push(*event);
        }
        match &mut self.sink {
            Sink::Lane(writer) => writer.append(event),
            Sink::Check(check) => Ok(Journaled::of(0, RecordIndex(check.compare(event)))),
            Sink::Count(records) => {
                *records += 1;
                Ok(Journaled::of(0, RecordIndex(*records)))
            }
        }
    }

    /// The lane writer, to close the journal with.
    pub fn into_writer(self) -> Option<LaneWriter> {
        match self.sink {
            Sink::Lane(writer) => Some(writer),
            Sink::Check(_) | Sink::Count(_) => None,
        }
    }

    /// The comparison's result.
    pub fn into_outcome(self) -> Option<CheckOutcome> {
        match self.sink {
            Sink::Check(check) => Some(check.finish()),
            Sink::Lane(_) | Sink::Count(_) => None,
        }
    }
}

/// Holds what a stage produces against what a lane holds.
pub struct LaneCheck {
    lane: usize,
    recorded: LaneReader,
    compared: u64,
    differences: u64,
    first: Option<String>,
    ended: bool,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckOutcome {
    /// Records held against each other.
    pub compared: u64,
    /// Records that differ, are missing or are too many, and damage in the lane.
    pub differences: u64,
    /// The first difference in words: lane, record, what was recorded, what came out.
    pub first: Option<String>,
}

impl LaneCheck {
    /// Compares with `recorded`, which holds lane `lane`.
    pub const fn new(lane: usize, recorded: LaneReader) -> Self {
        Self { lane, recorded, compared: 0, differences: 0, first: None, ended: false }
    }

    fn differ(&mut self, what: String) {
        self.differences += 1;
        self.first.get_or_insert(what);
    }

    fn compare(&mut self, produced: &Event) -> u64 {
        let lane = self.lane;
        let record = self.compared;
        self.compared += 1;
        if self.ended {
            self.differ(format!("lane {lane} record {record}: not recorded, but came out now"));
            return record;
        }
        match self.recorded.next() {
            Some(Ok((_, mut recorded))) => {
                recorded.check = 0;
                if recorded != *produced {
                    self.differ(difference(lane, record, &recorded, produced));
                }
            }
            Some(Err(damage)) => {
                self.ended = true;
                self.differ(damage.to_string());
            }
            None => {
                self.ended = true;
                self.differ(format!("lane {lane} record {record}: not recorded, but came out now"));
            }
        }
        record
    }

    fn finish(mut self) -> CheckOutcome {
        while !self.ended {
            let lane = self.lane;
            match self.recorded.next() {
                None => self.ended = true,
                Some(Err(damage)) => {
                    self.ended = true;
                    self.differ(damage.to_string());
                }
                Some(Ok((record, _))) => {
                    self.compared += 1;
                    let what = "recorded, but did not come out now";
                    self.differ(format!("lane {lane} record {}: {what}", record.0));
                }
            }
        }
        CheckOutcome { compared: self.compared, differences: self.differences, first: self.first }
    }
}

fn difference(lane: usize, record: u64, recorded: &Event, produced: &Event) -> String {
    let (was, is) =
        (zerocopy::IntoBytes::as_bytes(recorded), zerocopy::IntoBytes::as_bytes(produced));
    let byte = was.iter().zip(is).position(|(a, b)| a != b).unwrap_or(0);
    let name = |event: &Event| event.kind().map_or("no kind", crate::base::Kind::name);
    format!(
        "lane {lane} record {record} (seq {}): {} recorded, {} came out now; first differing byte \
         {byte}",
        recorded.seq,
        name(recorded),
        name(produced)
    )
}
