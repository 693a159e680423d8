//! The book against a naive one, and its states case by case.

use super::{Book, BookUpdate};
use crate::base::event::{
    DepthHead, DepthLevels, Event, Gap, LEVELS_PER_EVENT, Level, StreamStatus, flags,
};
use crate::base::{InstrumentId, Kind, Reason, Side};
use proptest::prelude::*;
use std::collections::BTreeMap;

type Pairs = Vec<(i64, i64)>;

/// The events of one batch.
fn batch(ids: [u64; 3], bits: u8, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Vec<Event> {
    let [first_id, last_id, prev_id] = ids;
    let head = DepthHead {
        first_id,
        last_id,
        prev_id,
        bid_count: bids.len() as u32,
        ask_count: asks.len() as u32,
        ..DepthHead::default()
    };
    let id = InstrumentId(0);
    let mut events = vec![Event::new(Kind::DepthHead, id, &head).with_flags(bits)];
    for (side, sell) in [(bids, 0), (asks, flags::SELL)] {
        for chunk in side.chunks(LEVELS_PER_EVENT) {
            let mut body = DepthLevels::default();
            for (slot, (px, qty)) in body.levels.iter_mut().zip(chunk) {
                *slot = Level { px: *px, qty: *qty };
            }
            events.push(Event::new(Kind::DepthLevels, id, &body).with_flags(bits | sell));
        }
    }
    events.last_mut().unwrap().flags |= flags::LAST;
    events
}

fn snapshot(id: u64, bids: &[(i64, i64)], asks: &[(i64, i64)]) -> Vec<Event> {
    batch([id, id, 0], flags::SNAPSHOT, bids, asks)
}

/// Applies a batch; before its last event nothing may be seen of it.
fn apply(book: &mut Book, events: &[Event]) -> BookUpdate {
    let before = (book.best_bid(), book.best_ask(), book.last_id(), book.is_valid());
    let (last, rest) = events.split_last().unwrap();
    for event in rest {
        match book.apply(event) {
            BookUpdate::Invalid(reason) => return BookUpdate::Invalid(reason),
            update => assert_eq!(update, BookUpdate::Pending),
        }
        let now = (book.best_bid(), book.best_ask(), book.last_id(), book.is_valid());
        assert_eq!(now, before);
    }
    book.apply(last)
}

fn synced() -> Book {
    let mut book = Book::new(1_000);
    apply(&mut book, &snapshot(10, &[(99, 1), (98, 2)], &[(101, 3), (102, 4)]));
    assert_eq!(apply(&mut book, &batch([5, 20, 4], 0, &[], &[])), BookUpdate::Synced);
    book
}

fn pairs<'l>(levels: impl Iterator<Item = &'l Level>) -> Pairs {
    levels.map(|level| (level.px, level.qty)).collect()
}

#[test]
fn a_snapshot_alone_is_not_valid_and_its_bridge_makes_it_so() {
    let mut book = Book::new(100);
    assert_eq!((book.is_valid(), book.reason()), (false, Reason::BookNotSynced));
    let update = apply(&mut book, &snapshot(10, &[(99, 1)], &[(101, 1)]));
    assert_eq!((update, book.is_valid()), (BookUpdate::Pending, false));
    let update = apply(&mut book, &batch([9, 12, 7], 0, &[(99, 5)], &[]));
    assert_eq!((update, book.is_valid()), (BookUpdate::Synced, true));
    assert_eq!(book.best_bid(), Some(Level { px: 99, qty: 5 }));
    assert_eq!((book.last_id(), book.reason()), (12, Reason::None));
}

#[test]
fn a_change_that_does_not_bridge_the_snapshot_invalidates() {
    let mut book = Book::new(100);
    apply(&mut book, &snapshot(10, &[(99, 1)], &[(101, 1)]));
    let update = apply(&mut book, &batch([11, 12, 9], 0, &[], &[]));
    assert_eq!(update, BookUpdate::Invalid(Reason::BookGap));
    assert!(!book.is_valid());
}

#[test]
fn a_hole_in_the_ids_invalidates_until_the_next_bridged_snapshot() {
    let mut book = synced();
    let update = apply(&mut book, &batch([30, 40, 21], 0, &[(99, 9)], &[]));
    assert_eq!(update, BookUpdate::Invalid(Reason::BookGap));
    assert_eq!(book.best_bid(), Some(Level { px: 99, qty: 1 }), "nothing of it was applied");
    let update = apply(&mut book, &batch([41, 50, 40], 0, &[], &[]));
    assert_eq!(update, BookUpdate::Invalid(Reason::BookGap));
    apply(&mut book, &snapshot(45, &[(99, 1)], &[(101, 1)]));
    assert_eq!(apply(&mut book, &batch([41, 50, 40], 0, &[], &[])), BookUpdate::Synced);
}

#[test]
fn a_gap_or_a_dead_stream_invalidates_at_once_even_within_a_batch() {
    let gap = Gap { reason: Reason::BookCrossed as u16, ..Gap::default() };
    let gap = Event::new(Kind::Gap, InstrumentId(0), &gap);
    let down = Event::new(Kind::StreamStatus, InstrumentId::NONE, &StreamStatus::default());
    for (event, reason) in [(gap, Reason::BookCrossed), (down, Reason::StreamDown)] {
        let mut book = synced();
        let change = batch([21, 30, 20], 0, &[(99, 9)], &[]);
        book.apply(&change[0]);
        assert_eq!(book.apply(&event), BookUpdate::Invalid(reason));
        assert_eq!((book.is_valid(), book.reason()), (false, reason));
        assert_eq!(book.apply(&change[1]), BookUpdate::None, "the rest of the batch is nothing");
        assert!(!book.is_valid());
    }
    let mut book = synced();
    assert_eq!(book.apply(&down.with_flags(flags::ON)), BookUpdate::None);
    assert!(book.is_valid());
}

#[test]
fn a_crossed_book_is_invalid_until_it_is_synchronised_again() {
    let mut book = synced();
    let update = apply(&mut book, &batch([21, 30, 20], 0, &[(101, 1)], &[]));
    assert_eq!(update, BookUpdate::Invalid(Reason::BookCrossed));
    apply(&mut book, &batch([31, 40, 30], 0, &[(101, 0)], &[]));
    assert_eq!((book.is_valid(), book.reason()), (false, Reason::BookCrossed));
}

#[test]
fn a_side_without_levels_is_invalid_only_while_it_has_none() {
    let mut book = synced();
    let update = apply(&mut book, &batch([21, 30, 20], 0, &[], &[(101, 0), (102, 0)]));
    assert_eq!(update, BookUpdate::Invalid(Reason::BookEmpty));
    assert_eq!((book.best_ask(), book.is_valid()), (None, false));
    assert_eq!(apply(&mut book, &batch([31, 40, 30], 0, &[], &[(103, 1)])), BookUpdate::Synced);
}

#[test]
fn a_batch_that_breaks_its_own_promise_invalidates() {
    let whole = batch([21, 30, 20], 0, &[(97, 1), (96, 1)], &[(103, 1)]);
    let mut short = whole.clone();
    short.remove(1);
    let mut twice = whole.clone();
    twice.insert(1, whole[0]);
    let mut negative = batch([21, 30, 20], 0, &[(97, -1)], &[]);
    negative[1].flags |= flags::LAST;
    let mut mixed = whole.clone();
    mixed.swap(1, 2);
    mixed[1].flags &= !flags::LAST;
    mixed[2].flags |= flags::LAST;
    for events in [short, twice, negative, mixed] {
        let mut book = synced();
        let updates: Vec<_> = events.iter().map(|event| book.apply(event)).collect();
        assert!(updates.contains(&BookUpdate::Invalid(Reason::BookGap)), "{updates:?}");
        assert!(!book.is_valid());
    }
}

#[test]
fn top_changes_are_told_and_deep_changes_are_not() {
    let mut book = synced();
    let update = apply(&mut book, &batch([21, 30, 20], 0, &[(98, 7)], &[]));
    assert_eq!(update, BookUpdate::Applied { top_changed: false });
    let update = apply(&mut book, &batch([31, 40, 30], 0, &[], &[(101, 7)]));
    assert_eq!(update, BookUpdate::Applied { top_changed: true });
}

#[test]
fn a_full_side_drops_its_farthest_levels_and_keeps_the_top() {
    let mut book = Book::new(100);
    let bids: Pairs = (1..=100).map(|n| (1_000 - n, 1)).collect();
    apply(&mut book, &snapshot(10, &bids, &[(1_000, 1)]));
    let more: Pairs = (0..50).map(|n| (850 + n, 2)).chain([(999, 5)]).collect();
    apply(&mut book, &batch([5, 20, 4], 0, &more, &[]));
    assert_eq!(book.dropped_levels(), 50);
    assert_eq!(pairs(book.bids())[0], (999, 5));
    assert_eq!((book.levels(Side::Buy), book.is_valid()), (100, true));
    let better: Pairs = (0..30).map(|n| (1_001 + n, 3)).collect();
    apply(&mut book, &batch([21, 30, 20], 0, &better, &[(1_000, 0), (2_000, 1)]));
    let expected: Pairs = (0..30)
        .map(|n| (1_030 - n, 3))
        .chain([(999, 5)])
        .chain((0..69).map(|n| (998 - n, 1)))
        .collect();
    assert_eq!(pairs(book.bids()), expected);
    assert_eq!(book.dropped_levels(), 80);
}

#[test]
fn depth_within_a_price_counts_that_price_and_all_better_ones() {
    let book = synced();
    assert_eq!(book.depth_within(Side::Buy, 98), 3);
    assert_eq!(book.depth_within(Side::Buy, 99), 1);
    assert_eq!(book.depth_within(Side::Sell, 101), 3);
    assert_eq!(book.depth_within(Side::Sell, i64::MAX), 7);
    assert_eq!(book.depth_within(Side::Buy, i64::MIN), 3);
    assert_eq!((book.qty_at(Side::Sell, 102), book.qty_at(Side::Sell, 100)), (4, 0));
}

/// The book in the simplest form there is.
#[derive(Default)]
struct Naive {
    sides: [BTreeMap<i64, i64>; 2],
}

impl Naive {
    fn set(&mut self, side: Side, pairs: &[(i64, i64)]) {
        for (px, qty) in pairs {
            if *qty == 0 {
                self.sides[side as usize].remove(px);
            } else {
                self.sides[side as usize].insert(*px, *qty);
            }
        }
    }

    fn bids(&self) -> Pairs {
        self.sides[0].iter().rev().map(|(px, qty)| (*px, *qty)).collect()
    }

    fn asks(&self) -> Pairs {
        self.sides[1].iter().map(|(px, qty)| (*px, *qty)).collect()
    }
}

fn check_same(book: &Book, naive: &Naive) -> Result<(), TestCaseError> {
    prop_assert_eq!(pairs(book.bids()), naive.bids());
    prop_assert_eq!(pairs(book.asks()), naive.asks());
    prop_assert_eq!(book.bids().len(), naive.bids().len());
    prop_assert_eq!(book.levels(Side::Sell), naive.asks().len());
    let best = |level: Option<Level>| level.map(|level| (level.px, level.qty));
    prop_assert_eq!(best(book.best_bid()), naive.bids().first().copied());
    prop_assert_eq!(best(book.best_ask()), naive.asks().first().copied());
    Ok(())
}

/// Levels of which some are removals; `low` to `high` are their prices.
fn changes(low: i64, high: i64, count: usize) -> impl Strategy<Value = Pairs> {
    let qty = prop_oneof![2 => Just(0_i64), 3 => 1_i64..1_000];
    proptest::collection::vec((low..high, qty), 0..count)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_changes_leave_the_book_a_naive_one_has(
        bids in proptest::collection::btree_map(1_i64..2_000, 1_i64..100, 1..600),
        asks in proptest::collection::btree_map(2_000_i64..4_000, 1_i64..100, 1..600),
        in_order in any::<bool>(),
        batches in proptest::collection::vec(
            (changes(1, 2_000, 300), changes(2_000, 4_000, 300)), 1..12),
    ) {
        let mut bids: Pairs = bids.into_iter().rev().collect();
        let asks: Pairs = asks.into_iter().collect();
        if !in_order {
            bids.reverse();
        }
        let (mut book, mut naive) = (Book::new(5_000), Naive::default());
        apply(&mut book, &snapshot(1, &bids, &asks));
        naive.set(Side::Buy, &bids);
        naive.set(Side::Sell, &asks);
        check_same(&book, &naive)?;
        for (n, (bids, asks)) in batches.iter().enumerate() {
            let id = n as u64 + 1;
            apply(&mut book, &batch([id, id + 1, id], 0, bids, asks));
            naive.set(Side::Buy, bids);
            naive.set(Side::Sell, asks);
            check_same(&book, &naive)?;
            let empty = naive.sides.iter().any(BTreeMap::is_empty);
            prop_assert_eq!(book.is_valid(), !empty);
        }
    }

    #[test]
    fn a_side_emptied_and_filled_again_and_again_never_runs_out_of_blocks(
        seed in proptest::collection::vec(1_i64..500, 1..40),
    ) {
        let mut book = Book::new(600);
        apply(&mut book, &snapshot(1, &[(600, 1)], &[(700, 1)]));
        let (mut naive, mut id) = (Naive::default(), 1);
        naive.set(Side::Buy, &[(600, 1)]);
        naive.set(Side::Sell, &[(700, 1)]);
        for step in seed {
            let all: Pairs = (1..500).map(|n| ((n * step) % 599 + 1, 1)).collect();
            let rare = step % 70 + 2;
            let thin: Pairs = (1..599).filter(|px| px % rare != 0).map(|px| (px, 0)).collect();
            for bids in [all, thin] {
                apply(&mut book, &batch([id, id + 1, id], 0, &bids, &[]));
                naive.set(Side::Buy, &bids);
                id += 1;
                prop_assert_eq!(book.dropped_levels(), 0);
            }
            check_same(&book, &naive)?;
        }
    }

    #[test]
    fn no_events_at_all_make_the_book_panic(
        events in proptest::collection::vec((0_u8..16, any::<u8>(), any::<[u64; 12]>()), 0..60),
    ) {
        let mut book = synced();
        for (kind, bits, body) in events {
            book.apply(&Event { kind, flags: bits, body, ..Event::EMPTY });
            if book.is_valid() {
                prop_assert!(book.best_bid().unwrap().px < book.best_ask().unwrap().px);
            }
        }
    }
}
