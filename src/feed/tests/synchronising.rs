//! The book procedure, case by case.

use super::feed;
use crate::base::event::{DepthHead, Event, Gap, StreamStatus, flags};
use crate::base::limits::SYNC_BATCHES_MAX;
use crate::base::{InstrumentId, Kind, Nanos, Reason};
use crate::feed::{EventBatch, Feed};

/// A feed with one instrument (or two), driven by ids.
struct Drive {
    feed: Feed,
    out: EventBatch,
    now: i64,
}

impl Drive {
    fn new() -> Self {
        Self { feed: feed(&["BTCUSDT", "ETHUSDT"]), out: EventBatch::new(), now: 0 }
    }

    /// A change of depth; everything that left the feed.
    fn diff(&mut self, first: u64, last: u64, previous: u64) -> Vec<Event> {
        self.diff_of("BTCUSDT", [first, last, previous], 1)
    }

    fn diff_of(
        &mut self,
        symbol: &str,
        [first, last, previous]: [u64; 3],
        levels: usize,
    ) -> Vec<Event> {
        self.now += 1;
        let levels = vec![r#"["1.5","2"]"#; levels].join(",");
        let stamps = format!(r#""e":"depthUpdate","E":{last},"T":{last},"s":"{symbol}""#);
        let ids = format!(r#""U":{first},"u":{last},"pu":{previous}"#);
        let frame = format!(r#"{{{stamps},{ids},"b":[{levels}],"a":[]}}"#);
        self.feed.on_frame(frame.as_bytes(), Nanos(self.now), &mut self.out);
        self.collect()
    }

    fn snapshot(&mut self, id: u64) -> Vec<Event> {
        self.now += 1;
        let body = format!(
            r#"{{"lastUpdateId":{id},"E":{id},"T":{id},"bids":[["1","1"]],"asks":[["2","1"]]}}"#
        );
        self.feed.on_snapshot(InstrumentId(0), body.as_bytes(), Nanos(self.now), &mut self.out);
        self.collect()
    }

    fn collect(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            events.extend_from_slice(self.out.as_slice());
            if !self.feed.drain(&mut self.out) {
                assert!(self.out.is_empty());
                return events;
            }
        }
    }
}

/// Last ids of the depth batches, a snapshot's negative.
fn ids(events: &[Event]) -> Vec<i64> {
    let id = |event: &&Event| {
        let id = event.body::<DepthHead>().last_id as i64;
        (event.kind() == Some(Kind::DepthHead)).then_some(if event.has(flags::SNAPSHOT) {
            -id
        } else {
            id
        })
    };
    events.iter().collect::<Vec<_>>().iter().filter_map(id).collect()
}

fn gaps(events: &[Event]) -> Vec<(u64, u64)> {
    let gaps = events.iter().filter(|event| event.kind() == Some(Kind::Gap));
    gaps.map(|event| (event.body::<Gap>().expected, event.body::<Gap>().got)).collect()
}

#[test]
fn buffered_changes_follow_the_snapshot_they_bridge_and_older_ones_are_dropped() {
    let mut drive = Drive::new();
    assert!(drive.diff(10, 20, 5).is_empty());
    assert!(drive.diff(30, 40, 20).is_empty());
    assert!(drive.diff(50, 60, 40).is_empty());
    assert_eq!(ids(&drive.snapshot(35)), [-35, 40, 60]);
    assert_eq!(ids(&drive.diff(70, 80, 60)), [80]);
    let stats = drive.feed.instrument_stats(InstrumentId(0)).unwrap();
    assert_eq!((stats.diffs_dropped, stats.diffs_applied, stats.snapshot_id), (1, 3, 35));
}

#[test]
fn a_change_that_ends_at_the_snapshot_is_kept() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.diff(30, 40, 20);
    // Dropping u == 20 would leave a change whose U lies beyond the snapshot.
    assert_eq!(ids(&drive.snapshot(20)), [-20, 20, 40]);
}

#[test]
fn a_change_that_follows_the_snapshot_directly_bridges_it() {
    let mut drive = Drive::new();
    drive.diff(30, 40, 25);
    assert_eq!(ids(&drive.snapshot(25)), [-25, 40]);
}

#[test]
fn a_snapshot_ahead_of_all_changes_waits_for_its_bridge() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    assert!(drive.snapshot(35).is_empty());
    assert!(!drive.feed.is_synced(InstrumentId(0)));
    assert!(drive.diff(21, 30, 20).is_empty());
    assert_eq!(ids(&drive.diff(31, 40, 30)), [-35, 40]);
    assert_eq!(drive.feed.instrument_stats(InstrumentId(0)).unwrap().diffs_dropped, 2);
}

#[test]
fn a_snapshot_that_is_too_old_is_asked_for_again() {
    let mut drive = Drive::new();
    assert_eq!(drive.feed.snapshot_wanted(), None);
    drive.diff(30, 40, 25);
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    assert_eq!(drive.feed.snapshot_wanted(), None);
    assert!(drive.snapshot(20).is_empty());
    assert_eq!(drive.feed.stats().snapshots_too_old, 1);
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    assert_eq!(drive.feed.snapshot_wanted(), None);
    drive.feed.snapshot_failed(InstrumentId(0));
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    assert_eq!(ids(&drive.snapshot(33)), [-33, 40]);
    assert_eq!(drive.feed.snapshot_wanted(), None);
}

#[test]
fn a_held_snapshot_that_turns_out_too_old_is_never_shown() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    assert!(drive.snapshot(35).is_empty());
    assert!(drive.diff(50, 60, 45).is_empty());
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    assert_eq!(ids(&drive.snapshot(55)), [-55, 60]);
}

#[test]
fn a_hole_is_told_at_once_and_nothing_passes_until_the_next_snapshot() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.snapshot(15);
    let events = drive.diff(50, 60, 40);
    assert_eq!((events.len(), gaps(&events)), (1, vec![(20, 40)]));
    assert_eq!(Reason::from_u16(events[0].body::<Gap>().reason), Some(Reason::BookGap));
    assert!(drive.diff(61, 70, 60).is_empty());
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    assert_eq!(ids(&drive.snapshot(65)), [-65, 70]);
    assert_eq!(drive.feed.stats().gaps, 1);
}

#[test]
fn a_hole_among_buffered_changes_does_not_survive_into_the_book() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.diff(50, 60, 40);
    // A snapshot before the hole could only be followed across it.
    assert!(drive.snapshot(15).is_empty());
    assert_eq!(ids(&drive.snapshot(55)), [-55, 60]);
}

#[test]
fn changes_seen_twice_are_dropped_without_a_gap() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.snapshot(15);
    drive.diff(21, 30, 20);
    assert!(drive.diff(10, 20, 5).is_empty());
    assert!(drive.diff(21, 30, 20).is_empty());
    assert_eq!(ids(&drive.diff(31, 40, 30)), [40]);
    assert_eq!(drive.feed.stats().depth_duplicates, 2);
    assert_eq!(drive.feed.stats().gaps, 0);
}

#[test]
fn ids_that_start_anew_are_a_gap_and_no_repetition() {
    let mut drive = Drive::new();
    drive.diff(1_000, 1_001, 999);
    drive.snapshot(1_000);
    let later =
        br#"{"e":"depthUpdate","E":5000,"T":5000,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[],"a":[]}"#;
    drive.feed.on_frame(later, Nanos(99), &mut drive.out);
    assert_eq!(gaps(&drive.collect()), [(1_001, 0)]);
}

#[test]
fn a_stream_that_went_down_invalidates_and_starts_over() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.snapshot(15);
    drive.feed.on_stream_down(7, Nanos(50), &mut drive.out);
    let [event] = drive.out.as_slice() else { panic!() };
    assert_eq!(event.kind(), Some(Kind::StreamStatus));
    assert_eq!(event.body::<StreamStatus>().connection, 7);
    assert!(!event.has(flags::ON));
    assert!(!drive.feed.is_synced(InstrumentId(0)));
    assert!(drive.diff(21, 30, 20).is_empty());
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    assert_eq!(ids(&drive.snapshot(25)), [-25, 30]);
}

#[test]
fn a_book_declared_untrustworthy_starts_over() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.snapshot(15);
    drive.feed.resync(InstrumentId(0), Reason::BookCrossed, Nanos(50), &mut drive.out);
    let events = drive.collect();
    assert_eq!(events[0].body::<Gap>().reason, Reason::BookCrossed as u16);
    assert!(drive.diff(21, 30, 20).is_empty());
    assert_eq!(ids(&drive.snapshot(25)), [-25, 30]);
}

#[test]
fn instruments_do_not_disturb_each_other() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    drive.snapshot(15);
    assert!(drive.diff_of("ETHUSDT", [100, 110, 90], 1).is_empty());
    assert_eq!(ids(&drive.diff(21, 30, 20)), [30]);
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(1)));
}

#[test]
fn a_full_buffer_pushes_out_the_oldest_and_a_late_snapshot_still_fits() {
    let mut drive = Drive::new();
    let count = SYNC_BATCHES_MAX as u64 + 100;
    for n in 0..count {
        assert!(drive.diff(n * 10 + 1, n * 10 + 10, n * 10).is_empty());
    }
    assert_eq!(drive.feed.stats().sync_buffer_drops, 100);
    let events = drive.snapshot((count - 1) * 10);
    assert_eq!(ids(&events)[1..], [(count as i64 - 1) * 10, count as i64 * 10]);
}

#[test]
fn a_released_book_longer_than_one_batch_leaves_in_order_with_one_time_of_receipt() {
    let mut drive = Drive::new();
    for n in 0..SYNC_BATCHES_MAX as u64 {
        drive.diff_of("BTCUSDT", [n * 10 + 1, n * 10 + 10, n * 10], 150);
    }
    let events = drive.snapshot(5);
    assert!(events.len() > 2 * crate::base::limits::EVENTS_PER_FRAME_MAX);
    let expected: Vec<i64> =
        std::iter::once(-5).chain((1..=SYNC_BATCHES_MAX as i64).map(|n| n * 10)).collect();
    assert_eq!(ids(&events), expected);
    assert!(events.iter().all(|event| event.ts_recv == drive.now));
    let last = events.iter().filter(|event| event.has(flags::LAST)).count();
    assert_eq!(last, SYNC_BATCHES_MAX + 1);
}

#[test]
fn a_change_that_comes_while_a_release_is_under_way_goes_to_its_end() {
    let mut drive = Drive::new();
    for n in 0..SYNC_BATCHES_MAX as u64 {
        drive.diff_of("BTCUSDT", [n * 10 + 1, n * 10 + 10, n * 10], 150);
    }
    let body = br#"{"lastUpdateId":5,"E":5,"T":5,"bids":[["1","1"]],"asks":[["2","1"]]}"#;
    drive.feed.on_snapshot(InstrumentId(0), body, Nanos(5_000), &mut drive.out);
    let mut events = drive.out.as_slice().to_vec();
    let last = SYNC_BATCHES_MAX as u64 * 10;
    events.extend(drive.diff(last + 1, last + 10, last));
    let ids = ids(&events);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    assert_eq!(ids.len(), SYNC_BATCHES_MAX + 2);
    assert_eq!(ids.last(), Some(&(last as i64 + 10)));
}

#[test]
fn a_broken_snapshot_is_asked_for_again() {
    let mut drive = Drive::new();
    drive.diff(10, 20, 5);
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
    drive.feed.on_snapshot(InstrumentId(0), b"<html>", Nanos(9), &mut drive.out);
    assert_eq!(drive.out.as_slice()[0].kind(), Some(Kind::Malformed));
    assert_eq!(drive.feed.snapshot_wanted(), Some(InstrumentId(0)));
}

#[test]
fn a_connection_of_some_instruments_takes_only_their_books_with_it() {
    use crate::base::event::carries;
    let mut drive = Drive::new();
    let ids = [10, 20, 5];
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        drive.diff_of(symbol, ids, 1);
    }
    for place in 0..2 {
        let body = br#"{"lastUpdateId":15,"E":1,"T":1,"bids":[["1","1"]],"asks":[["2","1"]]}"#;
        drive.feed.on_snapshot(InstrumentId(place), body, Nanos(9), &mut drive.out);
        drive.collect();
    }
    let (btc, eth) = (InstrumentId(0), InstrumentId(1));
    drive.feed.carry_part(1, carries::DEPTH | carries::TOUCH, (btc, btc));
    drive.feed.carry_part(2, carries::DEPTH | carries::TOUCH, (eth, eth));
    drive.feed.on_stream_down(2, Nanos(10), &mut drive.out);
    let told = drive.collect();
    let seen: Vec<_> = told.iter().map(|event| (event.kind(), event.instrument())).collect();
    let (status, gap) = (Some(Kind::StreamStatus), Some(Kind::Gap));
    assert_eq!(seen, [(status, InstrumentId::NONE), (gap, eth), (status, eth)]);
    assert_eq!(told[1].body::<Gap>().reason, Reason::StreamDown as u16);
    let [whole, of_eth] = [0, 2].map(|at: usize| *told[at].body::<StreamStatus>());
    assert!(!whole.has_carried(carries::DEPTH | carries::TOUCH | carries::MARK));
    assert!(of_eth.has_carried(carries::TOUCH) && !of_eth.has_carried(carries::MARK));
    assert!(told.iter().all(|event| !event.has(flags::ON)));
    assert!(drive.feed.is_synced(btc) && !drive.feed.is_synced(eth));
    drive.feed.on_stream_up(2, Nanos(11), &mut drive.out);
    let told = drive.collect();
    assert_eq!(told.len(), 2);
    assert!(told.iter().all(|event| event.has(flags::ON) && event.kind() == status));
}

#[test]
fn of_many_books_that_wait_for_snapshots_none_takes_the_room_of_another() {
    let names: Vec<String> = (0..300).map(|i| format!("C{i:03}USDT")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut drive = Drive { feed: feed(&names), out: EventBatch::new(), now: 0 };
    // All but the last change without end, far beyond what may wait.
    let mut id = 10;
    for _ in 0..110 {
        for symbol in &names[..299] {
            drive.diff_of(symbol, [id, id, id - 1], 60);
        }
        id += 1;
    }
    drive.diff_of(names[299], [id, id + 10, id - 1], 60);
    let levels = |prices: &mut dyn Iterator<Item = i32>| {
        prices.map(|px| format!(r#"["{px}","1"]"#)).collect::<Vec<_>>().join(",")
    };
    let (bids, asks) = (levels(&mut (1_001..=2_000).rev()), levels(&mut (2_001..=3_000)));
    for place in [299_u16, 0] {
        let last = if place == 299 { id + 5 } else { id - 2 };
        let ids = format!(r#""lastUpdateId":{last},"E":1,"T":1"#);
        let body = format!(r#"{{{ids},"bids":[{bids}],"asks":[{asks}]}}"#);
        drive.feed.on_snapshot(InstrumentId(place), body.as_bytes(), Nanos(99), &mut drive.out);
        drive.collect();
        assert!(drive.feed.is_synced(InstrumentId(place)), "instrument {place}");
    }
}
