//! What a session asks for after one that died.

use super::*;
use crate::base::event::{BookedCarried, PositionCarried, SessionCarried};

#[test]
fn fault_p01_a_trade_missed_before_a_crash_is_told_though_a_newer_one_was_booked() {
    let mut desk = Desk::new();
    // The session before looked up to 10, booked 12 by the stream, and missed 11.
    let position = PositionCarried { qty: 3, trades_from: 11, ..PositionCarried::default() };
    let booked = BookedCarried { trade_ids: [12, 0, 0, 0], ..BookedCarried::default() };
    let order = OrderCarried {
        client_id: ID.0,
        venue_id: 70,
        qty: 5,
        filled: 3,
        reported: 5,
        ts_sent: (desk.now - Nanos::from_secs(60)).0,
        ..OrderCarried::default()
    };
    for event in [
        Event::new(Kind::PositionCarried, BTC, &position),
        Event::new(Kind::BookedCarried, BTC, &booked),
        Event::new(Kind::OrderCarried, BTC, &order),
    ] {
        desk.hear(event);
    }
    desk.trade(11, 70, 2);
    desk.trade(12, 70, 3);
    desk.list(Standing::Filled, 5, 5);
    desk.settle(200);
    let fills = desk.told.iter().filter(|e| e.kind() == Some(Kind::OrderFilled));
    let ids: Vec<_> = fills.map(|fill| fill.body::<OrderReport>().trade_id).collect();
    assert_eq!(ids, [11], "the missed one, once");
    assert_eq!(desk.reconciler.position(BTC), Some(5));
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled));
    assert_eq!(desk.statuses(), Vec::<Reason>::new());
    let looked = desk.told.iter().rfind(|e| e.kind() == Some(Kind::VenuePosition)).unwrap();
    assert_eq!(looked.body::<VenuePosition>().trades_from, 13, "the next session goes on here");
}

#[test]
fn fault_x04_funding_missed_before_a_crash_is_told_once_though_newer_funding_was_booked() {
    let hour = Nanos::from_secs(3_600);
    let mut desk = Desk::new();
    desk.now = Nanos(100 * hour.0);
    let looked = desk.now - Nanos(10 * hour.0);
    let (missed, known) = (looked + hour, looked + Nanos(9 * hour.0));
    let booked = BookedCarried {
        ts_funding: [known.0 + 16_000_000, 0, 0, 0],
        funding: [-4, 0, 0, 0],
        ..BookedCarried::default()
    };
    let session = SessionCarried {
        epoch: 3,
        ts_last: desk.now.0,
        funding_since: looked.0,
        ..SessionCarried::default()
    };
    desk.hear(Event::new(Kind::BookedCarried, BTC, &booked));
    desk.hear(Event::new(Kind::SessionCarried, InstrumentId::NONE, &session));
    let paid = |ts| VenueFunding { symbol: symbol(), amount: Money(-4), ts };
    desk.funding.extend([paid(missed), paid(known)]);
    desk.settle(50);
    let told: Vec<_> =
        desk.told.iter().filter(|e| e.kind() == Some(Kind::FundingPayment)).collect();
    let times: Vec<_> = told.iter().map(|event| event.ts_venue).collect();
    assert_eq!(times, [missed.0]);
    assert!(desk.asked.contains(&Question::Funding { since: looked }));
}

/// A fill that no journal explains, of an order of this name; why trading halts, and whose it is.
fn unexplained(name: &str) -> (Vec<Reason>, OrderReport, Desk) {
    let mut desk = Desk::new();
    let session = SessionCarried { epoch: 3, ts_last: desk.now.0, ..SessionCarried::default() };
    let position = PositionCarried { trades_from: 11, ..PositionCarried::default() };
    desk.hear(Event::new(Kind::PositionCarried, BTC, &position));
    desk.hear(Event::new(Kind::SessionCarried, InstrumentId::NONE, &session));
    desk.trade(11, 70, 2);
    desk.list(Standing::Filled, 2, 2);
    desk.orders.values_mut().for_each(|order| order.name = name.to_owned());
    desk.settle(200);
    let fills: Vec<_> = desk.told.iter().filter(|e| e.kind() == Some(Kind::OrderFilled)).collect();
    let [fill] = fills[..] else { panic!("{fills:?}") };
    let told = *fill.body::<OrderReport>();
    assert_eq!(desk.kinds().last(), Some(&Kind::Reconciled), "the position is explained by it");
    (desk.statuses(), told, desk)
}

#[test]
fn fault_p08_a_fill_of_an_order_whose_records_were_lost_is_ours_and_halts_as_a_lossy_journal() {
    let id = ClientOrderId::pack(3, 1, 1, 9);
    let (statuses, fill, desk) = unexplained(&id.to_string());
    assert_eq!(statuses, [Reason::JournalLossy]);
    assert_eq!((fill.client_id, fill.reason), (id.0, Reason::None as u16));
    let asked = desk.asked.iter().filter(|q| matches!(q, Question::OrderNumbered { .. })).count();
    assert_eq!(asked, 1, "the venue says whose it is");
}

#[test]
fn fault_r23_a_fill_of_another_hand_is_foreign_and_one_of_the_venue_s_own_is_a_close() {
    // By hand; of another state folder's session; by the venue.
    let other = ClientOrderId::pack(4, 1, 1, 9).to_string();
    for (name, reason) in [
        ("web_abc", Reason::ForeignOrder),
        (other.as_str(), Reason::ForeignOrder),
        ("autoclose-17", Reason::ClosedByVenue),
    ] {
        let (statuses, fill, _) = unexplained(name);
        assert_eq!((fill.client_id, fill.reason), (0, reason as u16), "{name}");
        assert_eq!(statuses, Vec::<Reason>::new(), "the fill itself says it");
    }
}
