use super::*;
use crate::base::Reason;

#[test]
fn every_kind_reads_back_from_its_number_and_no_number_is_given_twice() {
    for pair in Kind::ALL.windows(2) {
        assert!((pair[0] as u8) < pair[1] as u8);
    }
    for number in 0..=u8::MAX {
        let known = Kind::ALL.iter().any(|k| *k as u8 == number);
        assert_eq!(Kind::from_u8(number).map(|k| k as u8), known.then_some(number));
    }
}

#[test]
fn every_reason_reads_back_from_its_number_and_numbers_rise() {
    for pair in Reason::ALL.windows(2) {
        assert!((pair[0] as u16) < pair[1] as u16);
    }
    for (i, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(Reason::from_u16(*reason as u16), Some(*reason));
        assert_eq!(reason.index(), i);
    }
}

#[test]
fn a_body_survives_the_way_through_an_event() {
    let body = BookTicker {
        update_id: 5_123_107_839_020,
        bid_px: 6_180_020_000_000,
        bid_qty: 250_700_000,
        ask_px: 6_180_030_000_000,
        ask_qty: 251_000_000,
        ts_match: 1_723_161_256_313_000_000,
        reserved: [0; 6],
    };
    let event = Event::new(Kind::BookTicker, InstrumentId(3), &body);
    assert_eq!(*event.body::<BookTicker>(), body);
    assert_eq!((event.kind(), event.instrument()), (Some(Kind::BookTicker), InstrumentId(3)));
}

#[test]
fn header_fields_stand_at_their_documented_offsets() {
    let event = Event {
        kind: 1,
        flags: 2,
        instrument: 0x0403,
        check: 0x0807_0605,
        seq: 0x100f_0e0d_0c0b_0a09,
        ts_venue: 0x1817_1615_1413_1211,
        ts_recv: 0x201f_1e1d_1c1b_1a19,
        body: [0; 12],
    };
    let bytes: Vec<u8> = (1..=32).collect();
    assert_eq!(&event.as_bytes()[..32], &bytes[..]);
}

#[test]
fn an_effect_carries_the_sequence_and_times_of_its_cause() {
    let mut cause = Event::new(Kind::Timer, InstrumentId::NONE, &Timer::default());
    (cause.seq, cause.ts_venue, cause.ts_recv) = (9, 7, 8);
    let effect =
        Event::caused_by(&cause, Kind::NoDecision, InstrumentId(1), &NoDecision::default());
    assert_eq!((effect.seq, effect.ts_venue, effect.ts_recv), (9, 7, 8));
}
