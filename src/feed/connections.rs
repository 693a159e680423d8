//! What each connection brings, and what becomes of it when the connection is lost.
//!
//! ```text
//!  carries every instrument   one StreamStatus: all books, quotes or marks are withdrawn
//!  carries a part of them     one StreamStatus (PART), then of each of its instruments what it
//!                             brought: a Gap for the book, a StreamStatus; the others go on
//! ```

use super::{EventBatch, Feed};
use crate::base::event::{Event, StreamStatus, carries, flags};
use crate::base::{InstrumentId, Kind, Nanos, Reason};

/// Connections whose load can be told: five streams of each of 1 024 instruments, 200 a connection,
/// are 26.
pub const CONNECTIONS_MAX: usize = 64;

/// What a connection brings, and of whom where it is not of all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    connection: u64,
    carries: u16,
    part: Option<Part>,
}

/// Instruments from the first to the last.
pub type Part = (InstrumentId, InstrumentId);

impl Feed {
    /// Tells what a connection brings, as a sum of [`carries`] bits. One that nothing is told of
    /// counts as bringing everything. At most [`CONNECTIONS_MAX`] are remembered.
    pub fn carry(&mut self, connection: u64, carries: u16) {
        self.carry_of(connection, carries, None);
    }

    /// The same of a connection that brings it of some instruments only: its loss concerns no other
    /// one.
    pub fn carry_part(&mut self, connection: u64, carries: u16, part: Part) {
        self.carry_of(connection, carries, Some(part));
    }

    fn carry_of(&mut self, connection: u64, carries: u16, part: Option<Part>) {
        if self.carried.len() < CONNECTIONS_MAX {
            self.carried.push(Carried { connection, carries, part });
        }
    }

    fn told(&self, connection: u64) -> Option<&Carried> {
        self.carried.iter().find(|told| told.connection == connection)
    }

    fn status(&self, connection: u64, reason: Reason) -> StreamStatus {
        let carries = self.told(connection).map_or(0, |told| match told.part {
            Some(_) => carries::PART,
            None => told.carries,
        });
        StreamStatus { connection, reason: reason as u16, carries, ..StreamStatus::default() }
    }

    /// Tells of each instrument of a connection that carries a part of them what became of it.
    fn tell_part(&mut self, connection: u64, up: bool, ts_recv: Nanos, out: &mut EventBatch) {
        let Some(&Carried { carries, part: Some((first, last)), .. }) = self.told(connection)
        else {
            return;
        };
        let reason = Reason::StreamDown;
        let body =
            StreamStatus { connection, reason: reason as u16, carries, ..Default::default() };
        for place in first.0..=last.0 {
            let instrument = InstrumentId(place);
            if !up && carries & carries::DEPTH != 0 {
                self.start_over(instrument, reason, ts_recv, out);
            }
            let event = Event::new(Kind::StreamStatus, instrument, &body);
            let on = if up { flags::ON } else { 0 };
            out.push(Event { flags: on, ts_recv: ts_recv.0, ..event });
        }
    }

    /// A connection came up.
    pub fn on_stream_up(&mut self, connection: u64, ts_recv: Nanos, out: &mut EventBatch) {
        out.clear();
        let body = self.status(connection, Reason::None);
        let event = Event::new(Kind::StreamStatus, InstrumentId::NONE, &body);
        out.push(Event { flags: flags::ON, ts_recv: ts_recv.0, ..event });
        self.tell_part(connection, true, ts_recv, out);
    }

    /// A connection went down. If it carried depth, every book, or each one of its part, is invalid
    /// until it is synchronised again. Not to be called for a connection whose successor already
    /// delivers.
    pub fn on_stream_down(&mut self, connection: u64, ts_recv: Nanos, out: &mut EventBatch) {
        out.clear();
        let body = self.status(connection, Reason::StreamDown);
        if body.has_carried(carries::DEPTH) {
            for sync in &mut self.syncs {
                sync.reset(&mut self.pool);
            }
            self.releasing.clear();
        }
        let event = Event::new(Kind::StreamStatus, InstrumentId::NONE, &body);
        out.push(Event { ts_recv: ts_recv.0, ..event });
        self.tell_part(connection, false, ts_recv, out);
    }

    /// One stream of an open connection fell silent while others talk, or talks again. A book whose
    /// changes stay away cannot be trusted and starts over.
    pub fn on_stream_silent(
        &mut self,
        (connection, carries): (u64, u16),
        instrument: InstrumentId,
        is_silent: bool,
        ts_recv: Nanos,
        out: &mut EventBatch,
    ) {
        out.clear();
        if is_silent && carries & carries::DEPTH != 0 {
            self.resync(instrument, Reason::StreamSilent, ts_recv, out);
        }
        let body = StreamStatus { carries, ..self.status(connection, Reason::StreamSilent) };
        let event = Event::new(Kind::StreamStatus, instrument, &body);
        let on = if is_silent { 0 } else { flags::ON };
        out.push(Event { flags: on, ts_recv: ts_recv.0, ..event });
    }
}
