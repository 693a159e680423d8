//! Orders in queues whose every move is known: what each model has to make of them is arithmetic.
//!
//! ```text
//!   displayed   10  order arrives   20   12   a trade of 7 or of 11      back at 10, cancelled
//!   ahead       10                  10    │
//!     only trades count                  10   7 does not reach us, 11 does
//!     power 2: of the 8 that left half
//!     were ahead, 10²/(10² + 10²)         6   both reach us
//! ```

use super::trader;
use crate::realism::calibrate::calibrate;
use peregrine::base::event::{
    BookTicker, EVENT_VERSION, Event, Instrument, Order, OrderReport, Sent, SessionStart, Trade,
    flags,
};
use peregrine::base::{InstrumentId, Kind, Nanos, OrderType, Purpose, TimeInForce};
use peregrine::exchange::SymbolSpec;
use peregrine::journal::{Journal, JournalSettings, LaneWriter};
use std::path::{Path, PathBuf};

const BTC: InstrumentId = InstrumentId(0);
const LOT: i64 = 100_000_000;
const PX: i64 = 60_000 * LOT;
/// Time of one order's story.
const STORY_MS: i64 = 10_000;

struct Pages {
    lanes: [LaneWriter; 5],
}

impl Pages {
    fn put(&mut self, lane: usize, at_ms: i64, mut event: Event) {
        event.ts_recv = Nanos::from_millis(at_ms).0;
        event.ts_venue = event.ts_recv;
        let _ = self.lanes[lane].append(&event).expect("appended");
    }

    fn quote(&mut self, at_ms: i64, bid_qty: i64) {
        let body = BookTicker {
            bid_px: PX,
            bid_qty: bid_qty * LOT,
            ask_px: PX + 10 * LOT,
            ask_qty: 50 * LOT,
            ..BookTicker::default()
        };
        self.put(0, at_ms, Event::new(Kind::BookTicker, BTC, &body));
    }

    fn report(&mut self, kind: Kind, at_ms: i64, id: u64, filled: i64) {
        let body = OrderReport {
            client_id: id,
            px: PX,
            qty: LOT,
            last_px: PX * filled,
            last_qty: LOT * filled,
            cum_qty: LOT * filled,
            ..OrderReport::default()
        };
        let event = Event::new(kind, BTC, &body).with_flags(flags::PAPER | flags::MAKER);
        self.put(0, at_ms, event);
    }

    fn sent(&mut self, kind: Kind, at_ms: i64, id: u64) {
        let order = Order {
            client_id: id,
            px: PX,
            qty: LOT,
            order_type: OrderType::Limit as u8,
            time_in_force: TimeInForce::Gtx as u8,
            purpose: Purpose::Entry as u8,
            ..Order::default()
        };
        self.put(3, at_ms, Event::new(kind, BTC, &order));
        let sent = Sent { client_id: id, ..Sent::default() };
        self.put(3, at_ms, Event::new(Kind::Sent, BTC, &sent));
    }

    /// One order that a trade of `traded` fills, or does not.
    fn story(&mut self, number: i64, traded: i64, is_filled: bool) {
        let (at, id) = (number * STORY_MS, number as u64);
        self.quote(at, 10);
        self.sent(Kind::OrderIntent, at + 100, id);
        self.report(Kind::OrderAccepted, at + 105, id, 0);
        self.quote(at + 1_000, 20);
        self.quote(at + 2_000, 12);
        let trade = Trade { px: PX, qty: traded * LOT, ..Trade::default() };
        let trade = Event::new(Kind::AggTrade, BTC, &trade).with_flags(flags::SELL);
        self.put(0, at + 3_000, trade);
        if is_filled {
            self.report(Kind::OrderFilled, at + 3_000, id, 1);
        } else {
            self.sent(Kind::CancelIntent, at + 5_000, id);
            self.report(Kind::OrderCancelled, at + 5_005, id, 0);
        }
    }
}

/// A journal of stories: traded quantity, and whether the order was filled.
fn journal(dir: &Path, stories: &[(i64, bool)]) -> PathBuf {
    let (journal, lanes) = Journal::create(dir, JournalSettings::backtest(9)).expect("a journal");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models_saved/synthetic-1");
    journal.attach("config.toml", trader(&[]).text.as_bytes()).expect("attached");
    for name in ["model.onnx", "card.toml"] {
        journal.attach(name, &std::fs::read(model.join(name)).expect("shipped")).expect("attached");
    }
    let mut pages = Pages { lanes };
    let start = SessionStart {
        instrument_count: 1,
        event_version: EVENT_VERSION,
        ..SessionStart::default()
    };
    pages.put(0, 1, Event::new(Kind::SessionStart, InstrumentId::NONE, &start));
    let spec = SymbolSpec::btcusdt().instrument();
    let facts = Instrument {
        symbol: spec.symbol.to_bytes(),
        tick_size: spec.tick_size.0,
        lot_size: spec.lot_size.0,
        min_qty: spec.min_qty.0,
        max_qty: spec.max_qty.0,
        min_notional: spec.min_notional.0,
        ..Instrument::default()
    };
    pages.put(0, 1, Event::new(Kind::Instrument, BTC, &facts));
    for (number, &(traded, is_filled)) in stories.iter().enumerate() {
        pages.story(number as i64 + 1, traded, is_filled);
    }
    pages.quote((stories.len() as i64 + 2) * STORY_MS, 10);
    let _ = journal.close(pages.lanes).expect("sealed");
    dir.to_path_buf()
}

#[test]
fn the_queue_model_of_the_venue_is_the_one_that_is_found() {
    for (model, is_filled_early) in [("risk_averse", false), ("probabilistic", true)] {
        let dir = tempfile::tempdir().expect("a folder");
        // Every third order is one that both models fill.
        let stories: Vec<(i64, bool)> =
            (0..60).map(|n| if n % 3 == 0 { (11, true) } else { (7, is_filled_early) }).collect();
        let found = calibrate(&[journal(&dir.path().join("one"), &stories)]).expect("calibrated");
        let queue = &found.queue;
        assert_eq!((queue.orders, queue.nearest), (60, Some(model)), "{queue:?}");
        for judged in &queue.models {
            let error = judged.error.expect("enough orders").value;
            // Of 60 orders 40 are otherwise in the other model, each by its whole.
            let wanted = match (judged.model == model, is_filled_early) {
                (true, _) => 0.0,
                (false, true) => -40.0 / 60.0,
                (false, false) => 40.0 / 60.0,
            };
            assert!((error - wanted).abs() < 1e-12, "{model}: {judged:?}");
        }
    }
}

#[test]
fn models_that_no_order_tells_apart_are_not_chosen_from() {
    let dir = tempfile::tempdir().expect("a folder");
    let stories = vec![(11, true); 60];
    let found = calibrate(&[journal(&dir.path().join("one"), &stories)]).expect("calibrated");
    assert_eq!((found.queue.orders, found.queue.nearest), (60, None));
    let text = crate::realism::fills_file::text(&found);
    assert!(text.contains("# queue: no model is nearer beyond chance; it stays."), "{text}");
}
