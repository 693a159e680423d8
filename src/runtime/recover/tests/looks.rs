//! What of the venue's lists was known when a session died.

use super::*;
use crate::base::event::{Reconciled, VenuePosition, VenueStatus};

/// A look at the venue: its trades are known up to a number, its funding up to a time.
fn look(trades_from: u64, funding_since: i64, is_clean: bool) -> Vec<Event> {
    let position = VenuePosition { trades_from, ..VenuePosition::default() };
    let clean = Reconciled { funding_since, ..Reconciled::default() };
    let mut told = vec![Event::new(Kind::VenuePosition, BTC, &position).with_flags(flags::LAST)];
    told.extend(is_clean.then(|| Event::new(Kind::Reconciled, InstrumentId::NONE, &clean)));
    told
}

#[test]
fn fault_p01_the_venue_is_asked_from_the_last_clean_look_on_and_what_came_since_is_named() {
    let minute = Nanos::from_secs(60).0;
    let paid = |ts: i64| {
        let body = FundingPayment { amount: -7, ..FundingPayment::default() };
        Event { ts_venue: ts, ..Event::new(Kind::FundingPayment, BTC, &body) }
    };
    let bought = |id, trade| fill(id, 0, UNIT, 100 * UNIT, 0, trade);
    let mut events = vec![intent(1, 0, UNIT), bought(1, 501), paid(NOON)];
    events.extend(look(502, NOON + 1, true));
    // A trade that lies between was missed, and a payment may have been.
    events.extend([intent(2, 0, UNIT), bought(2, 505), paid(NOON + 90 * minute)]);
    // A look that did not end clean says nothing.
    events.extend(look(506, NOON + 100 * minute, false));
    let journals = Journals::new();
    journals.write(1, &fresh(&events));
    for epoch in 2..4 {
        let carried = journals.read().unwrap();
        assert_eq!(carried.positions[0].1.trades_from, 502);
        assert_eq!(carried.session.funding_since, NOON + 1, "of the clean look");
        let booked: Vec<_> = carried.booked.iter().map(|(_, body)| *body).collect();
        let expected = BookedCarried {
            trade_ids: [505, 0, 0, 0],
            ts_funding: [NOON, NOON + 90 * minute, 0, 0],
            funding: [-7, -7, 0, 0],
        };
        assert_eq!(booked, [expected], "session {epoch}");
        // The next session dies before it has looked: it leaves the same.
        journals.write(epoch, &opening(epoch, &carried));
    }
    let carried = journals.read().unwrap();
    let clean = look(506, NOON + 95 * minute, true);
    journals.write(5, &[opening(5, &carried), clean].concat());
    let carried = journals.read().unwrap();
    assert_eq!(carried.positions[0].1.trades_from, 506);
    assert_eq!(carried.booked, [], "a clean look knows all of it");
}

#[test]
fn fault_p01_a_look_that_found_no_trade_yet_is_one_from_which_every_trade_is_asked_for() {
    let journals = Journals::new();
    journals.write(1, &fresh(&look(1, NOON, true)));
    let carried = journals.read().unwrap();
    assert_eq!(carried.positions[0].1.trades_from, 1, "not: never looked");
}

#[test]
fn fault_r07_until_when_the_venue_may_not_be_asked_is_carried_from_the_journal() {
    let told = |reason: Reason, until: i64| {
        let body = VenueStatus { reason: reason as u16, ts_until: until, ..VenueStatus::default() };
        Event::new(Kind::VenueStatus, InstrumentId::NONE, &body)
    };
    let journals = Journals::new();
    journals.write(1, &fresh(&[]));
    assert_eq!(journals.read().unwrap().stopped_until, Nanos::ZERO);
    let events = [
        told(Reason::Banned, NOON + 9),
        told(Reason::RateLimited, NOON + 5),
        told(Reason::Overloaded, NOON + 70),
    ];
    journals.write(2, &fresh(&events));
    assert_eq!(journals.read().unwrap().stopped_until, Nanos(NOON + 9));
}
