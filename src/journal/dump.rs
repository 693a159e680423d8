//! A journal as JSON lines: which records, in which order.

use super::error::JournalError;
use super::fields::{Field, InstrumentNames, visit_fields};
use super::format::{LANES, STAMPS_LANE};
use super::read::LaneReader;
use super::render::render;
use crate::base::event::{Event, Kind, SessionStart};
use crate::base::{ClientOrderId, Nanos};
use std::io::Write;
use std::iter::Peekable;
use std::path::Path;

/// Which records to show; the default shows all of lanes 0 to 3.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this lane; lane 4 shows only when named here.
    pub lane: Option<usize>,
    /// Only events received at this time or later.
    pub from: Option<Nanos>,
    /// Only events received before this time.
    pub to: Option<Nanos>,
    /// Only these kinds; empty means all.
    pub kinds: Vec<Kind>,
    /// Only this instrument, by symbol, or by number where the journal does not name it.
    pub instrument: Option<String>,
    /// Only events that speak of this order.
    pub order: Option<OrderKey>,
}

/// How an order is named in a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// Our id.
    Client(ClientOrderId),
    /// The venue's id.
    Venue(u64),
}

impl OrderKey {
    /// From `pg1-…` (ours) or a plain number (the venue's).
    pub fn parse(text: &str) -> Option<Self> {
        match ClientOrderId::from_text(text.as_bytes()) {
            Some(id) => Some(Self::Client(id)),
            None => text.parse().ok().map(Self::Venue),
        }
    }
}

/// A kind by its name as shown by the dump, in any case.
pub fn parse_kind(name: &str) -> Option<Kind> {
    Kind::ALL.iter().copied().find(|kind| kind.name().eq_ignore_ascii_case(name))
}

impl Filter {
    /// True for an event to be shown.
    pub fn matches(&self, event: &Event, names: &InstrumentNames) -> bool {
        let now = event.now();
        self.from.is_none_or(|from| now >= from)
            && self.to.is_none_or(|to| now < to)
            && (self.kinds.is_empty() || event.kind().is_some_and(|k| self.kinds.contains(&k)))
            && self.instrument.as_ref().is_none_or(|wanted| {
                names.name(event.instrument()).is_some_and(|name| name == *wanted)
            })
            && self.order.is_none_or(|order| speaks_of(event, order))
    }
}

fn speaks_of(event: &Event, order: OrderKey) -> bool {
    let mut found = false;
    visit_fields(event, &mut |name, field| {
        found |= match (field, order) {
            (Field::Order(id), OrderKey::Client(wanted)) => id == wanted,
            (Field::Count(id), OrderKey::Venue(wanted)) => name == "venue_id" && id == wanted,
            _ => false,
        };
    });
    found
}

/// Writes one JSON object per line for every record of the journal in `dir` that `filter` lets
/// through: lanes merged by the input that caused each record, so an order reads from the market
/// event to the bytes that left. Returns the number of lines.
///
/// # Errors
/// [`JournalError`]; what was written before is sound. A damaged record ends the dump.
pub fn dump(dir: &Path, filter: &Filter, out: &mut dyn Write) -> Result<u64, JournalError> {
    let names = read_instrument_names(dir)?;
    let lanes = match filter.lane {
        Some(lane) => lane..lane + 1,
        None => 0..LANES.min(STAMPS_LANE),
    };
    let mut readers = Vec::new();
    for lane in lanes {
        readers.push((lane, LaneReader::open(dir, lane)?.peekable()));
    }
    let mut lines = 0;
    while let Some((lane, reader)) = earliest(&mut readers) {
        let Some(item) = reader.next() else { continue };
        let (record, event) = item?;
        if filter.matches(&event, &names) {
            let line = render(lane, record, &event, &names);
            writeln!(out, "{line}").map_err(|error| JournalError::Export(error.to_string()))?;
            lines += 1;
        }
    }
    Ok(lines)
}

/// Symbols of the journal's instruments. Reads lane 0 until all that the session announced have
/// come; a journal whose beginning was retired or is damaged names fewer.
///
/// # Errors
/// [`JournalError`] when manifest or folder cannot be read.
pub fn read_instrument_names(dir: &Path) -> Result<InstrumentNames, JournalError> {
    let mut names = InstrumentNames::default();
    let mut announced = None;
    for item in LaneReader::open(dir, 0)? {
        let Ok((_, event)) = item else { break };
        if event.kind() == Some(Kind::SessionStart) {
            announced = Some(event.body::<SessionStart>().instrument_count as usize);
        }
        names.learn(&event);
        if announced.is_some_and(|count| names.known() >= count) {
            break;
        }
    }
    Ok(names)
}

type Lane = (usize, Peekable<LaneReader>);

/// The reader whose next record comes first: by input, then by lane. Damage comes before anything,
/// so that nothing is shown out of order after it.
fn earliest(readers: &mut [Lane]) -> Option<(usize, &mut Peekable<LaneReader>)> {
    let mut first: Option<(u64, usize)> = None;
    for (place, (_, reader)) in readers.iter_mut().enumerate() {
        let seq = match reader.peek() {
            None => continue,
            Some(Ok((_, event))) => event.seq,
            Some(Err(_)) => 0,
        };
        if first.is_none_or(|(least, _)| seq < least) {
            first = Some((seq, place));
        }
    }
    let (_, place) = first?;
    let (lane, reader) = &mut readers[place];
    Some((*lane, reader))
}
