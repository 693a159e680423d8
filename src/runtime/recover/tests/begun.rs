//! Journals of sessions that were killed before their opening was whole.

use super::*;

#[test]
fn journals_that_never_sent_an_order_are_passed_over() {
    let journals = Journals::new();
    let whole = journals.write(3, &fresh(&trades()));
    journals.write(4, &opening(4, &Carried::default())[..2]);
    journals.write(5, &[]);
    std::fs::create_dir(journals.path().join("0000006-paper")).unwrap();
    // Killed while it made its lanes, at each of them.
    for made in 0..3 {
        let dir = journals.write(7 + made, &[]);
        for lane in made as usize..LANES {
            std::fs::remove_file(dir.join(first_segment(lane))).unwrap();
        }
    }
    std::fs::create_dir(journals.path().join("notes")).unwrap();
    std::fs::create_dir(journals.path().join("0000019-demo")).unwrap();
    assert_eq!(journals.read().unwrap().from, Some(whole));
    assert_eq!(newest_epoch(journals.path()).unwrap(), 19);
}

#[test]
fn a_session_killed_while_it_carried_an_order_is_passed_over_unless_it_sent_one() {
    let moved = Event::new(Kind::OrderState, BTC, &crate::base::event::OrderState::default());
    for sent in [Kind::OrderIntent, Kind::CancelIntent, Kind::Sent] {
        let journals = Journals::new();
        let whole = journals.write(3, &fresh(&[intent(1, 0, UNIT)]));
        let mut begun = opening(4, &journals.read().unwrap());
        assert_eq!(begun.pop().unwrap().kind(), Some(Kind::SessionCarried));
        assert_eq!(begun.last().unwrap().kind(), Some(Kind::OrderCarried));
        begun.push(moved);
        journals.write(4, &begun);
        assert_eq!(journals.read().unwrap().from, Some(whole));
        begun.push(Event { kind: sent as u8, ..intent(2, 0, UNIT) });
        journals.write(5, &begun);
        let refusal = journals.refusal();
        assert!(refusal.contains("0000005-paper") && refusal.contains("lane 3"), "{refusal}");
    }
}
