//! What a session that missed something of its account does to know it again.

use crate::desk_session::{Venue, session_at};
use crate::lanes::{count, read};
use peregrine::base::Reason;
use peregrine::base::event::{Event, Kind, StreamStatus, VenueStatus, flags};
use peregrine::runtime::private::CONNECTION;
use serde_json::json;

fn is_unseen(event: &Event) -> bool {
    event.kind() == Some(Kind::VenueStatus)
        && event.body::<VenueStatus>().reason == Reason::AccountStreamDown as u16
}

/// The first place of an event in a lane.
fn place(events: &[Event], is_it: impl Fn(&Event) -> bool) -> Option<usize> {
    events.iter().position(is_it)
}

fn is_account_stream(event: &Event, up: bool) -> bool {
    event.kind() == Some(Kind::StreamStatus)
        && event.body::<StreamStatus>().connection == CONNECTION
        && event.has(flags::ON) == up
}

#[test]
fn fault_w15_an_expired_key_of_the_accounts_stream_reconciles_and_the_stream_moves() {
    let venue = Venue::start(0);
    let session = session_at(&venue);
    session.wait(|told| count(told, Kind::OrderFilled) >= 2);
    venue.frames.send(json!({"e": "listenKeyExpired", "E": 1, "listenKey": "x"})).unwrap();
    session.wait_for("the loss", |event| is_account_stream(event, false));
    let told = read(&session.journal(), 0);
    let unseen = place(&told, is_unseen).unwrap();
    let left = place(&told, |event| is_account_stream(event, false)).unwrap();
    assert!(unseen < left, "it does not wait for the new key");
    assert_eq!(session.end().0.halt, None);
}

#[test]
fn a_frame_of_the_accounts_stream_that_cannot_be_read_is_made_up_for_by_asking() {
    let venue = Venue::start(0);
    let session = session_at(&venue);
    session.wait(|told| count(told, Kind::OrderFilled) >= 2);
    venue.frames.send(json!({"e": "ORDER_TRADE_UPDATE", "o": {"x": "TRADE"}})).unwrap();
    session.wait_for("that something was missed", is_unseen);
    let told = read(&session.journal(), 0);
    assert!(told.iter().any(is_unseen));
    assert_eq!(count(&told, Kind::Malformed), 1);
    assert_eq!(session.end().0.halt, None);
}
