//! Lanes of a journal as tests read them, also while they are being written.

use peregrine::base::event::{Event, Kind};
use peregrine::journal::LaneReader;
use std::path::Path;

/// What a lane holds so far; nothing where there is no journal yet.
pub fn read(dir: &Path, lane: usize) -> Vec<Event> {
    stream(dir, lane).collect()
}

/// What a lane of a journal holds, each record of which is sound.
pub fn sound(dir: &Path, lane: usize) -> Vec<Event> {
    let records = LaneReader::open(dir, lane).expect("the journal can be read");
    records.map(|record| record.expect("a sound record").1).collect()
}

/// True where a lane holds such an event by now; reads no further than that.
pub fn has(dir: &Path, lane: usize, is_it: impl Fn(&Event) -> bool) -> bool {
    stream(dir, lane).any(|event| is_it(&event))
}

/// Says whether an event is of this kind.
pub fn is(kind: Kind) -> impl Fn(&Event) -> bool {
    move |event| event.kind() == Some(kind)
}

pub fn first(events: &[Event], kind: Kind) -> Option<&Event> {
    events.iter().find(|event| event.kind() == Some(kind))
}

pub fn count(events: &[Event], kind: Kind) -> usize {
    events.iter().filter(|event| event.kind() == Some(kind)).count()
}

fn stream(dir: &Path, lane: usize) -> impl Iterator<Item = Event> {
    let records = LaneReader::open(dir, lane).into_iter().flatten();
    records.map_while(Result::ok).map(|(_, event)| event)
}
