//! The orders of a session at the paper venue, on the session's market, each at the time at which
//! it arrived there: what the venue's models make of the same orders.

use super::recorded::{Recorded, Request};
use anyhow::Result;
use peregrine::base::event::{Event, StreamStatus, carries, flags};
use peregrine::base::settings::{InstrumentSettings, PaperSettings};
use peregrine::base::{Kind, Money, Nanos};
use peregrine::journal::LaneReader;
use peregrine::venue::paper::{Latencies, Latency, PaperVenue};

/// A request and when it arrives.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When.
    pub at: Nanos,
    /// What.
    pub event: Event,
    /// Takes an order back.
    pub is_cancel: bool,
}

/// A venue without latency.
pub fn venue(instruments: &[InstrumentSettings], settings: PaperSettings) -> PaperVenue {
    let none = || Latency::Constant(Nanos::ZERO);
    PaperVenue::new(instruments, settings, Money::ZERO)
        .with_latencies(Latencies { order: none(), report: none() })
}

/// Every request that was answered, in order of arrival.
pub fn arrivals(requests: &[Request]) -> Vec<Arrival> {
    let arrival = |request: &Request| {
        let (event, is_cancel) = (request.event, request.is_cancel);
        Some(Arrival { at: request.answer?.acted, event, is_cancel })
    };
    let mut arrivals: Vec<Arrival> = requests.iter().filter_map(arrival).collect();
    // Of equal times the order of sending stays.
    arrivals.sort_by_key(|arrival| arrival.at);
    arrivals
}

/// Runs the market of a journal past `venues`, each with the same arrivals, and hands every report
/// with the venue's place to `hear`. `before` sees each arrival ahead of the venues.
///
/// # Errors
/// Damage of lane 0.
pub fn run(
    recorded: &Recorded,
    arrivals: &[Arrival],
    venues: &mut [PaperVenue],
    hear: &mut dyn FnMut(usize, &Event),
    market: &mut dyn FnMut(Seen<'_>),
) -> Result<()> {
    let (mut next, mut now) = (0, Nanos(i64::MIN));
    for item in LaneReader::open(&recorded.dir, 0)? {
        let event = item?.1;
        now = event.now();
        while let Some(arrival) = arrivals.get(next).filter(|arrival| arrival.at <= now) {
            market(Seen::Arrival(arrival));
            venues.iter_mut().for_each(|venue| submit(venue, arrival));
            next += 1;
        }
        if is_market(&event) {
            market(Seen::Market(&event));
            venues.iter_mut().for_each(|venue| venue.on_market(&event));
        }
        for (place, venue) in venues.iter_mut().enumerate() {
            while let Some(report) = venue.poll(now) {
                hear(place, &report);
            }
        }
    }
    for (place, venue) in venues.iter_mut().enumerate() {
        while let Some(report) = venue.poll(now) {
            hear(place, &report);
        }
    }
    Ok(())
}

/// What passes by.
#[derive(Clone, Copy)]
pub enum Seen<'s> {
    /// A market event.
    Market(&'s Event),
    /// An order or cancel, before the event behind it.
    Arrival(&'s Arrival),
}

fn submit(venue: &mut PaperVenue, arrival: &Arrival) {
    if arrival.is_cancel {
        venue.cancel(&arrival.event, arrival.at);
    } else {
        venue.submit(&arrival.event, arrival.at);
    }
}

fn is_market(event: &Event) -> bool {
    event.kind < Kind::SessionStart as u8
}

/// True for the end of a connection that brought quotes: what was seen last may be long gone.
pub fn ends_quotes(event: &Event) -> bool {
    event.kind() == Some(Kind::StreamStatus)
        && event.flags & flags::ON == 0
        && event.body::<StreamStatus>().has_carried(carries::TOUCH)
}
