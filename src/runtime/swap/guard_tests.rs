//! Records of lanes 1, 2 and 4 made by hand, and what the guard makes of them.

use super::*;
use crate::base::event::{Kind, Order, Passage, Position, Prediction, Stamps};
use crate::base::hop::Hop;
use crate::base::{InstrumentId, Purpose, Seq};

const CHAMPION: u64 = 11;
const CANARY: u64 = 22;
/// One quote unit.
const ONE: i64 = 100_000_000;

fn approved(instrument: u16, purpose: Purpose, model_tag: u64) -> Event {
    let body = Order { purpose: purpose as u8, model_tag, ..Order::default() };
    Event::new(Kind::OrderApproved, InstrumentId(instrument), &body)
}

fn position(instrument: u16, qty: i64, (realised, fees, unrealised): (i64, i64, i64)) -> Event {
    let (realised, fees, unrealised) = (realised * ONE, fees * ONE, unrealised * ONE);
    let body = Position { qty, realised, fees, unrealised, ..Position::default() };
    Event::new(Kind::Position, InstrumentId(instrument), &body)
}

/// Profit and loss from the best, in whole quote units, after each record.
fn told(share: &mut Share, records: &[Event]) -> Vec<(i64, i64)> {
    let after = |record: &Event| {
        share.note(record);
        (share.profit() / ONE, share.loss() / ONE)
    };
    records.iter().map(after).collect()
}

#[test]
fn a_position_counts_for_the_model_that_opened_it_whoever_leaves_it() {
    let mut share = Share::new(vec![0, 5 * ONE], Pooled::default());
    share.begin(CANARY);
    let records = [
        approved(0, Purpose::Entry, CANARY),
        // Opened for a fee of 1, then worth 10, then 4.
        position(0, 7, (0, 1, 0)),
        position(0, 7, (0, 1, 10)),
        position(0, 7, (0, 1, 4)),
        // The champion's own beside it, which began with 5 in the books.
        approved(1, Purpose::Entry, CHAMPION),
        position(1, 3, (5, 2, -50)),
        // The champion's turn: it has the canary's position left, for 3 and a fee of 1.
        approved(0, Purpose::ExitSignal, CHAMPION),
        position(0, 0, (3, 2, 0)),
        // The champion's next one on the same instrument.
        approved(0, Purpose::Entry, CHAMPION),
        position(0, 7, (3, 3, -90)),
    ];
    let wanted = [(0, 0), (-1, 1), (9, 0), (3, 6), (3, 6), (3, 6), (3, 6), (1, 8), (1, 8), (1, 8)];
    assert_eq!(told(&mut share, &records), wanted);
}

#[test]
fn what_a_model_earned_before_its_trial_is_no_part_of_it() {
    let mut share = Share::new(vec![0], Pooled::default());
    share.note(&approved(0, Purpose::Entry, CANARY));
    share.note(&position(0, 7, (0, 1, 20)));
    share.begin(CANARY);
    assert_eq!((share.profit(), share.loss()), (0, 0));
    let records = [position(0, 7, (0, 1, 15)), position(0, 0, (12, 2, 0))];
    assert_eq!(told(&mut share, &records), [(-5, 5), (-9, 9)]);
}

#[test]
fn what_a_symbol_does_that_has_the_canarys_version_as_its_own_is_nothing_of_the_trial() {
    let mut share = Share::new(vec![0, 0], Pooled::without(2, InstrumentId(1)));
    share.begin(CANARY);
    let records = [
        approved(1, Purpose::Entry, CANARY),
        position(1, 7, (0, 1, -50)),
        position(1, 0, (-60, 2, 0)),
        approved(0, Purpose::Entry, CANARY),
        position(0, 7, (0, 1, 3)),
    ];
    assert_eq!(told(&mut share, &records), [(0, 0), (0, 0), (0, 0), (0, 0), (2, 0)]);
}

#[test]
fn the_percentile_is_of_the_canarys_own_answers_alone_in_any_order_of_reading() {
    let mut times = Times::new(CANARY, TIMES);
    let stamps = |seq: Seq, ns: u64| {
        let mut body = Stamps::default();
        assert!(body.put(0, seq, Passage { hop: Hop::Inference, ns, seq }));
        body.event(seq, crate::base::Nanos::ZERO)
    };
    let prediction = |seq, model_tag| {
        let body = Prediction { model_tag, ..Prediction::default() };
        Event { seq, ..Event::new(Kind::Prediction, InstrumentId(0), &body) }
    };
    // The canary takes 1000 to 1299 ns; the champion, every second time, a thousand times as long.
    for i in 0..300 {
        times.note_passages(&stamps(2 * i + 1, 1_000 + i));
        times.note_passages(&stamps(2 * i + 2, 1_000_000));
    }
    times.join();
    assert_eq!(times.p99(), None, "whose they are is not known yet");
    for i in 0..300 {
        times.note_prediction(&prediction(2 * i + 1, CANARY));
        times.note_prediction(&prediction(2 * i + 2, CHAMPION));
    }
    times.join();
    // By nearest rank: the 297th of 300.
    assert_eq!(times.p99(), Some(1_296));
}
