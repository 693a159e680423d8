//! Faults of streams, decoded and put in sequence: what is lost, repeated or silent, and whom it
//! concerns (rows F-W of the fault catalogue). No sockets here, time is an argument.

use peregrine::base::event::{Event, Gap, Kind, StreamStatus, carries, flags};
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{InstrumentId, Money, Nanos, Px, Qty, Rate, Reason, Symbol};
use peregrine::book::Book;
use peregrine::feed::{EventBatch, Feed};

pub const BTC: InstrumentId = InstrumentId(0);
pub const ETH: InstrumentId = InstrumentId(1);
const PUBLIC: u64 = 1;
const MARKET: u64 = 2;
const ACCOUNT: u64 = 100;

pub fn instruments() -> Vec<InstrumentSettings> {
    let settings = |symbol: &str| InstrumentSettings {
        symbol: Symbol::new(symbol.as_bytes()).unwrap(),
        tick_size: Px(1_000_000),
        lot_size: Qty(100_000),
        min_qty: Qty(100_000),
        max_qty: Qty::whole(1_000),
        min_notional: Money::whole(5),
        maker_fee: Rate(20_000),
        taker_fee: Rate(50_000),
    };
    vec![settings("BTCUSDT"), settings("ETHUSDT")]
}

/// A feed and the books behind it.
pub struct Drive {
    pub feed: Feed,
    pub books: [Book; 2],
    pub out: EventBatch,
    pub now: i64,
}

impl Drive {
    pub fn new() -> Self {
        let mut feed = Feed::new(&instruments());
        feed.carry(PUBLIC, carries::DEPTH | carries::TOUCH);
        feed.carry(MARKET, carries::TRADES | carries::MARK);
        feed.carry(ACCOUNT, carries::ACCOUNT);
        let books = [Book::new(100), Book::new(100)];
        Self { feed, books, out: EventBatch::new(), now: 0 }
    }

    /// One call into the feed; what came of it, after the books have seen it.
    pub fn call(&mut self, call: impl FnOnce(&mut Feed, Nanos, &mut EventBatch)) -> Vec<Event> {
        self.now += 1_000_000;
        call(&mut self.feed, Nanos(self.now), &mut self.out);
        let mut events = self.out.as_slice().to_vec();
        while self.feed.drain(&mut self.out) {
            events.extend_from_slice(self.out.as_slice());
        }
        for event in &events {
            for (place, book) in self.books.iter_mut().enumerate() {
                if event.instrument as usize == place || event.instrument() == InstrumentId::NONE {
                    book.apply(event);
                }
            }
        }
        events
    }

    pub fn frame(&mut self, text: &str) -> Vec<Event> {
        self.call(|feed, now, out| feed.on_frame(text.as_bytes(), now, out))
    }

    pub fn diff(&mut self, symbol: &str, first: u64, last: u64, prev: u64) -> Vec<Event> {
        self.frame(&diff(symbol, [first, last, prev]))
    }

    pub fn snapshot(&mut self, id: InstrumentId, last: u64) -> Vec<Event> {
        let book = "\"bids\":[[\"1\",\"1\"]],\"asks\":[[\"2\",\"1\"]]";
        let body = format!("{{\"lastUpdateId\":{last},\"E\":1,\"T\":1,{book}}}");
        self.call(|feed, now, out| feed.on_snapshot(id, body.as_bytes(), now, out))
    }

    /// Both books in step at update 20.
    pub fn synced() -> Self {
        let mut drive = Self::new();
        for (symbol, id) in [("BTCUSDT", BTC), ("ETHUSDT", ETH)] {
            drive.diff(symbol, 10, 20, 5);
            assert_eq!(drive.feed.snapshot_wanted(), Some(id));
            drive.snapshot(id, 15);
        }
        assert_eq!(drive.valid(), [true, true]);
        drive
    }

    pub fn valid(&self) -> [bool; 2] {
        [self.books[0].is_valid(), self.books[1].is_valid()]
    }
}

pub fn diff(symbol: &str, [first, last, prev]: [u64; 3]) -> String {
    format!(
        "{{\"e\":\"depthUpdate\",\"E\":{last},\"T\":{last},\"s\":\"{symbol}\",\"U\":{first},\
         \"u\":{last},\"pu\":{prev},\"b\":[[\"1\",\"{last}\"]],\"a\":[]}}"
    )
}

fn downs(events: &[Event]) -> Vec<(u64, u16)> {
    let down = |event: &&Event| event.kind() == Some(Kind::StreamStatus) && !event.has(flags::ON);
    let told = |event: &Event| {
        let status: &StreamStatus = event.body();
        (status.connection, status.carries)
    };
    events.iter().filter(down).map(told).collect()
}

#[test]
fn fault_n07_a_lost_account_or_market_connection_leaves_the_books_that_come_over_another() {
    let mut drive = Drive::synced();
    for (connection, carried) in
        [(ACCOUNT, carries::ACCOUNT), (MARKET, carries::TRADES | carries::MARK)]
    {
        let events = drive.call(|feed, now, out| feed.on_stream_down(connection, now, out));
        assert_eq!(downs(&events), [(connection, carried)]);
        assert_eq!(drive.valid(), [true, true]);
        assert!(drive.feed.is_synced(BTC) && drive.feed.is_synced(ETH));
    }
    // The chain goes on where it was.
    assert_eq!(drive.diff("BTCUSDT", 21, 30, 20).len(), 2);
    let events = drive.call(|feed, now, out| feed.on_stream_down(PUBLIC, now, out));
    assert_eq!(downs(&events), [(PUBLIC, carries::DEPTH | carries::TOUCH)]);
    assert_eq!(drive.valid(), [false, false]);
    assert!(!drive.feed.is_synced(BTC) && !drive.feed.is_synced(ETH));
}

#[test]
fn fault_w11_depth_that_falls_silent_takes_its_own_book_and_no_other() {
    let mut drive = Drive::synced();
    let depth = (PUBLIC, carries::DEPTH);
    let events = drive.call(|feed, now, out| feed.on_stream_silent(depth, BTC, true, now, out));
    let gap = events.iter().find(|event| event.kind() == Some(Kind::Gap)).unwrap();
    assert_eq!(gap.body::<Gap>().reason, Reason::StreamSilent as u16);
    assert_eq!(downs(&events), [depth]);
    assert_eq!(drive.valid(), [false, true]);
    // It talks again: a snapshot, and whole.
    let events = drive.call(|feed, now, out| feed.on_stream_silent(depth, BTC, false, now, out));
    assert!(events.iter().any(|event| event.has(flags::ON)));
    assert!(drive.diff("BTCUSDT", 31, 40, 30).is_empty());
    assert_eq!(drive.feed.snapshot_wanted(), Some(BTC));
    drive.snapshot(BTC, 35);
    assert_eq!(drive.valid(), [true, true]);
}

#[test]
fn fault_w11_a_silent_quote_stream_leaves_the_book() {
    let mut drive = Drive::synced();
    let touch = (PUBLIC, carries::TOUCH);
    let events = drive.call(|feed, now, out| feed.on_stream_silent(touch, BTC, true, now, out));
    assert_eq!((events.len(), downs(&events)), (1, vec![touch]));
    assert_eq!(drive.valid(), [true, true]);
}

#[test]
fn fault_w09_a_hole_in_depth_invalidates_that_book_at_once_and_no_other() {
    let mut drive = Drive::synced();
    let events = drive.diff("BTCUSDT", 50, 60, 40);
    assert_eq!(events[0].kind(), Some(Kind::Gap));
    assert_eq!(drive.valid(), [false, true]);
    assert_eq!(drive.diff("ETHUSDT", 21, 30, 20).len(), 2, "the other goes on");
    assert_eq!(drive.feed.snapshot_wanted(), Some(BTC));
    assert_eq!(drive.feed.snapshot_wanted(), None, "nobody else's snapshot is asked for");
    drive.snapshot(BTC, 55);
    assert_eq!(drive.valid(), [true, true]);
}

#[test]
fn fault_w10_a_change_that_comes_twice_or_late_is_dropped() {
    let mut drive = Drive::synced();
    assert_eq!(drive.diff("BTCUSDT", 21, 30, 20).len(), 2);
    assert!(drive.diff("BTCUSDT", 21, 30, 20).is_empty());
    assert!(drive.diff("BTCUSDT", 10, 20, 5).is_empty());
    assert_eq!(drive.valid(), [true, true]);
    assert_eq!(drive.diff("BTCUSDT", 31, 40, 30).len(), 2);
}

/// A quote whose price is no number, of a stream whose name says whose it is.
fn unreadable(symbol: &str) -> String {
    let name = symbol.to_lowercase();
    format!(
        "{{\"stream\":\"{name}@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":9,\
         \"s\":\"{symbol}\",\"b\":\"x\",\"B\":\"1\",\"a\":\"2\",\"A\":\"1\",\"T\":5,\"E\":6}}}}"
    )
}

/// A good one, with a member that nobody knows.
fn readable(symbol: &str, id: u64) -> String {
    format!(
        "{{\"e\":\"bookTicker\",\"u\":{id},\"s\":\"{symbol}\",\"b\":\"1\",\"B\":\"1\",\"a\":\"2\",\
         \"A\":\"1\",\"T\":5,\"E\":6,\"zz\":{{\"new\":[1]}}}}"
    )
}

#[test]
fn fault_w13_the_third_bad_frame_of_a_symbol_freezes_it_until_twenty_good_ones_came_in_a_row() {
    let mut drive = Drive::synced();
    for _ in 0..2 {
        assert_eq!(drive.frame(&unreadable("BTCUSDT")).len(), 1);
        assert_eq!(drive.valid(), [true, true]);
    }
    let events = drive.frame(&unreadable("BTCUSDT"));
    let kinds: Vec<_> = events.iter().map(Event::kind).collect();
    assert_eq!(kinds, [Some(Kind::Malformed), Some(Kind::Gap)]);
    assert_eq!(events[1].body::<Gap>().reason, Reason::FrameNumber as u16);
    assert_eq!(drive.valid(), [false, true], "nobody else is frozen");
    // Its changes are good and are not taken, and no snapshot is wanted.
    for id in 21..30 {
        assert!(drive.diff("BTCUSDT", id, id, id - 1).is_empty());
        assert_eq!(drive.diff("ETHUSDT", id, id, id - 1).len(), 2);
    }
    assert_eq!(drive.feed.snapshot_wanted(), None);
    // One more bad one, and the twenty begin anew. Unknown members are no fault.
    drive.frame(&unreadable("BTCUSDT"));
    for id in 0..18 {
        assert_eq!(drive.frame(&readable("BTCUSDT", id)).len(), 1);
    }
    drive.diff("BTCUSDT", 40, 40, 39);
    assert_eq!(drive.feed.snapshot_wanted(), None);
    drive.diff("BTCUSDT", 41, 41, 40);
    assert_eq!(drive.feed.snapshot_wanted(), Some(BTC));
    drive.snapshot(BTC, 41);
    assert_eq!(drive.valid(), [true, true]);
}

#[test]
fn fault_w13_a_snapshot_that_was_under_way_when_trust_ended_is_not_waited_for_for_ever() {
    let mut drive = Drive::new();
    drive.diff("BTCUSDT", 10, 20, 5);
    assert_eq!(drive.feed.snapshot_wanted(), Some(BTC));
    for _ in 0..3 {
        drive.frame(&unreadable("BTCUSDT"));
    }
    assert!(drive.snapshot(BTC, 15).is_empty());
    for id in 0..20 {
        drive.frame(&readable("BTCUSDT", id));
    }
    drive.diff("BTCUSDT", 51, 60, 50);
    assert_eq!(drive.feed.snapshot_wanted(), Some(BTC));
    drive.snapshot(BTC, 55);
    assert!(drive.valid()[0]);
}
