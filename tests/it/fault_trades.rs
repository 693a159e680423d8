//! Trades that a lost connection missed are brought in before later ones, once and in order; and
//! when they cannot be had, that is told and nobody waits for long.

use crate::fault_feed::{BTC, Drive, ETH};
use peregrine::base::event::{Event, Gap, Kind, Trade};
use peregrine::base::{Nanos, Reason};

fn trade(symbol: &str, id: u64) -> String {
    format!(
        "{{\"e\":\"aggTrade\",\"E\":{id},\"s\":\"{symbol}\",\"a\":{id},\"p\":\"100.5\",\"q\":\"1\",\
         \"f\":{id},\"l\":{id},\"T\":{id},\"m\":true}}"
    )
}

/// An answer of the REST interface.
fn page(ids: impl Iterator<Item = u64>) -> String {
    let row = |id: u64| {
        format!(
            "{{\"a\":{id},\"p\":\"100.5\",\"q\":\"1\",\"f\":{id},\"l\":{id},\"T\":{id},\"m\":true}}"
        )
    };
    format!("[{}]", ids.map(row).collect::<Vec<_>>().join(","))
}

fn ids(events: &[Event]) -> Vec<u64> {
    let trades = events.iter().filter(|event| event.kind() == Some(Kind::AggTrade));
    trades.map(|event| event.body::<Trade>().trade_id).collect()
}

fn gaps(events: &[Event]) -> Vec<(u64, u64)> {
    let gaps = events.iter().filter(|event| event.kind() == Some(Kind::Gap));
    gaps.map(|event| {
        let gap: &Gap = event.body();
        assert_eq!(gap.reason, Reason::TradeGap as u16);
        (gap.expected, gap.got)
    })
    .collect()
}

fn live() -> Drive {
    let mut drive = Drive::synced();
    drive.feed.keep_trades_whole();
    assert_eq!(ids(&drive.frame(&trade("BTCUSDT", 7))), [7]);
    drive
}

fn answer(drive: &mut Drive, body: &str) -> Vec<Event> {
    drive.call(|feed, now, out| feed.on_agg_trades(BTC, body.as_bytes(), now, out))
}

#[test]
fn fault_w07_missed_trades_enter_before_later_ones() {
    let mut drive = live();
    assert!(drive.frame(&trade("BTCUSDT", 12)).is_empty());
    assert!(drive.frame(&trade("BTCUSDT", 13)).is_empty());
    assert_eq!(ids(&drive.frame(&trade("ETHUSDT", 900))), [900], "nobody else waits");
    assert_eq!(drive.feed.trades_wanted(), Some((BTC, 8)));
    assert_eq!(drive.feed.trades_wanted(), None);
    // The answer goes beyond the hole.
    let events = answer(&mut drive, &page(8..20));
    assert_eq!(ids(&events), [8, 9, 10, 11, 12, 13]);
    assert!(events.iter().all(|event| event.ts_recv == drive.now), "time does not run back");
    assert_eq!(ids(&drive.frame(&trade("BTCUSDT", 14))), [14]);
    let stats = drive.feed.trade_stats();
    assert_eq!((stats.holes, stats.filled, stats.lost), (1, 4, 0));
}

/// While the venue was asked for one hole another one opened, and was taken for whole.
#[test]
fn a_second_hole_among_trades_that_wait_is_filled_like_the_first() {
    let mut drive = live();
    for id in [9, 10, 13, 14, 17] {
        assert!(drive.frame(&trade("BTCUSDT", id)).is_empty());
    }
    let mut came = Vec::new();
    let mut asked = Vec::new();
    while let Some((id, from)) = drive.feed.trades_wanted() {
        assert_eq!(id, BTC);
        asked.push(from);
        // The venue's answer ends before the last hole does.
        came.extend(ids(&answer(&mut drive, &page(from..from + 8))));
    }
    assert_eq!(asked, [8, 16], "one answer is good for every hole that it covers");
    assert_eq!(came, (8..=17).collect::<Vec<u64>>());
    let stats = drive.feed.trade_stats();
    assert_eq!((stats.filled, stats.lost), (5, 0));
    assert_eq!(ids(&drive.frame(&trade("BTCUSDT", 18))), [18]);
}

#[test]
fn each_hole_among_trades_that_wait_is_told_when_its_own_two_seconds_are_over() {
    let mut drive = live();
    drive.frame(&trade("BTCUSDT", 9));
    drive.now += 1_000_000_000;
    drive.frame(&trade("BTCUSDT", 12));
    drive.now += 1_100_000_000;
    let events = drive.call(|feed, now, out| feed.on_time(now, out));
    assert_eq!((gaps(&events), ids(&events)), (vec![(8, 9)], vec![9]));
    // The answer to the first question comes now, and is none to the second.
    assert!(answer(&mut drive, &page(5..10)).is_empty());
    assert_eq!(drive.feed.trades_wanted(), Some((BTC, 10)));
    drive.now += 1_000_000_000;
    let events = drive.call(|feed, now, out| feed.on_time(now, out));
    assert_eq!((gaps(&events), ids(&events)), (vec![(10, 12)], vec![12]));
}

#[test]
fn a_long_hole_is_filled_page_by_page() {
    let mut drive = live();
    drive.frame(&trade("BTCUSDT", 1_200));
    let mut came = Vec::new();
    while let Some((id, from)) = drive.feed.trades_wanted() {
        assert_eq!(id, BTC);
        came.extend(ids(&answer(&mut drive, &page(from..from + 500))));
    }
    assert_eq!(came, (8..=1_200).collect::<Vec<u64>>());
}

#[test]
fn fault_w10_a_trade_that_comes_twice_is_dropped() {
    let mut drive = live();
    assert!(drive.frame(&trade("BTCUSDT", 7)).is_empty());
    assert!(drive.frame(&trade("BTCUSDT", 5)).is_empty());
    assert_eq!(ids(&drive.frame(&trade("BTCUSDT", 8))), [8]);
    assert_eq!(drive.feed.trade_stats().duplicates, 2);
}

#[test]
fn a_hole_that_cannot_be_filled_is_told_and_holds_nobody_up_for_more_than_two_seconds() {
    let mut drive = live();
    drive.frame(&trade("BTCUSDT", 12));
    assert_eq!(drive.feed.trades_wanted(), Some((BTC, 8)));
    drive.feed.trades_failed(BTC);
    assert_eq!(drive.feed.trades_wanted(), Some((BTC, 8)), "it is asked for again");
    drive.frame(&trade("BTCUSDT", 13));
    drive.now += 1_900_000_000;
    assert!(drive.call(|feed, now, out| feed.on_time(now, out)).is_empty());
    drive.now += 200_000_000;
    let events = drive.call(|feed, now, out| feed.on_time(now, out));
    assert_eq!((gaps(&events), ids(&events)), (vec![(8, 12)], vec![12, 13]));
    assert_eq!(drive.valid(), [true, true], "missing trades say nothing of the book");
    // The answer that comes too late brings nothing back.
    assert!(answer(&mut drive, &page(8..20)).is_empty());
    assert_eq!(ids(&drive.frame(&trade("BTCUSDT", 14))), [14]);
}

#[test]
fn an_answer_without_the_missing_trades_ends_the_wait() {
    let mut drive = live();
    drive.frame(&trade("BTCUSDT", 12));
    assert!(drive.feed.trades_wanted().is_some());
    let events = answer(&mut drive, "[]");
    assert_eq!((gaps(&events), ids(&events)), (vec![(8, 12)], vec![12]));
}

#[test]
fn a_hole_of_many_thousand_trades_is_not_asked_for() {
    let mut drive = live();
    let events = drive.frame(&trade("BTCUSDT", 100_000));
    assert_eq!((gaps(&events), ids(&events)), (vec![(8, 100_000)], vec![100_000]));
    assert_eq!(drive.feed.trades_wanted(), None);
}

#[test]
fn more_held_trades_than_there_is_room_for_end_the_wait() {
    let mut drive = live();
    let mut came = Vec::new();
    let mut told = Vec::new();
    for id in 12..9_000 {
        let events = drive.frame(&trade("BTCUSDT", id));
        came.extend(ids(&events));
        told.extend(gaps(&events));
    }
    assert_eq!(told, [(8, 12)]);
    assert!(came.iter().copied().eq(12..9_000), "all of them, in order");
}

#[test]
fn a_venue_that_counts_anew_is_followed() {
    let mut drive = live();
    let later = trade("BTCUSDT", 3).replace("\"T\":3", "\"T\":50");
    assert_eq!(ids(&drive.frame(&later)), [3]);
    let next = trade("BTCUSDT", 4).replace("\"T\":4", "\"T\":51");
    assert_eq!(ids(&drive.frame(&next)), [4]);
}

/// A recording that jumps is taken as it is.
#[test]
fn without_the_switch_nothing_is_held_dropped_or_asked_for() {
    let mut drive = Drive::synced();
    for id in [7, 12, 9, 9, 500_000] {
        assert_eq!(ids(&drive.frame(&trade("BTCUSDT", id))), [id]);
    }
    assert_eq!(drive.feed.trades_wanted(), None);
    let mut out = peregrine::feed::EventBatch::new();
    drive.feed.on_time(Nanos(i64::MAX), &mut out);
    assert!(out.is_empty());
    assert!(drive.feed.instrument_stats(ETH).is_some());
}
