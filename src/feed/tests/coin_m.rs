//! COIN-M's payloads as the venue documents them, with what they must say.

use super::{Readers, TS, instruments, oracle};
use crate::base::event::*;
use crate::base::settings::Dialect;
use crate::base::{InstrumentId, Kind, Reason};
use crate::feed::coin_m::CoinM;
use crate::feed::{EventBatch, Feed};

const SYMBOLS: [&str; 3] = ["BTCUSD_PERP", "BTCUSD_200626", "BTCUSD_200925"];

const AGG_TRADE: &str = concat!(
    r#"{"e":"aggTrade","E":1591261134288,"a":424951,"s":"BTCUSD_200626","p":"9643.5","#,
    r#""q":"2","f":606073,"l":606073,"T":1591261134199,"m":false}"#,
);
const BOOK_TICKER: &str = concat!(
    r#"{"e":"bookTicker","u":17242169,"s":"BTCUSD_200626","ps":"BTCUSD","b":"9548.1","#,
    r#""B":"52","a":"9548.5","A":"11","T":1591268628155,"E":1591268628166}"#,
);
const DEPTH: &str = concat!(
    r#"{"e":"depthUpdate","E":1591270260907,"T":1591270260891,"s":"BTCUSD_200626","#,
    r#""ps":"BTCUSD","U":17285681,"u":17285702,"pu":17285675,"b":[["9517.6","10"]],"#,
    r#""a":[["9518.5","45"]]}"#,
);
const MARK_PERPETUAL: &str = concat!(
    r#"{"e":"markPriceUpdate","E":1596095725000,"s":"BTCUSD_PERP","p":"11012.31359011","#,
    r#""P":"10962.17178236","i":"10933.62615417","r":"0.00030000","T":1596096000000}"#,
);
const MARK_DATED: &str = concat!(
    r#"{"e":"markPriceUpdate","E":1596095725000,"s":"BTCUSD_200925","p":"10934.62615417","#,
    r#""P":"10962.17178236","i":"10933.62615417","r":"","T":0}"#,
);
const FORCE_ORDER: &str = concat!(
    r#"{"e":"forceOrder","E":1591154240950,"o":{"s":"BTCUSD_200925","ps":"BTCUSD","#,
    r#""S":"SELL","o":"LIMIT","f":"IOC","q":"1","p":"9425.5","ap":"9496.5","X":"FILLED","#,
    r#""l":"1","z":"1","T":1591154240949}}"#,
);
const CANDLE: &str = concat!(
    r#"{"e":"kline","E":1591261542539,"s":"BTCUSD_200626","k":{"t":1591261500000,"#,
    r#""T":1591261559999,"s":"BTCUSD_200626","i":"1m","f":606400,"L":606430,"o":"9638.9","#,
    r#""c":"9639.8","h":"9639.8","l":"9638.6","v":"156","n":31,"x":false,"#,
    r#""q":"1.61836886","V":"73","Q":"0.75731156","B":"0"}}"#,
);

/// 1e-8 of a decimal with at most eight places, by text alone.
fn fixed(text: &str) -> i64 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<8}").parse().unwrap()
}

const fn nanos(ms: i64) -> i64 {
    ms * 1_000_000
}

/// What a frame gives, by all readers alike and within a combined frame too.
#[track_caller]
fn read(payload: &str) -> Vec<Event> {
    let mut readers = Readers::new(&SYMBOLS);
    let combined = format!(r#"{{"stream":"x@depth","data":{payload}}}"#);
    let mut found = Vec::new();
    for frame in [payload, &combined] {
        let by_hand = readers.by_hand_in::<CoinM>(frame.as_bytes());
        let by_hand = by_hand.expect("documented payloads are read by hand");
        assert_eq!(Ok(&by_hand), readers.checked_in::<CoinM>(frame.as_bytes()).as_ref());
        assert_eq!(Some(&by_hand), oracle::read(frame.as_bytes(), &readers.symbols).as_ref());
        found = by_hand;
    }
    found
}

#[track_caller]
fn one<B: Body + Copy>(payload: &str, kind: Kind, instrument: u16, sent_ms: i64) -> (u8, B) {
    let [event] = read(payload)[..] else { panic!("{payload}") };
    assert_eq!((event.kind(), event.instrument), (Some(kind), instrument));
    assert_eq!((event.ts_venue, event.ts_recv), (nanos(sent_ms), TS.0));
    (event.flags, *event.body())
}

#[test]
fn a_trade_counts_contracts() {
    let (bits, trade) = one::<Trade>(AGG_TRADE, Kind::AggTrade, 1, 1_591_261_134_288);
    assert_eq!(bits & flags::SELL, 0, "the buyer took");
    assert_eq!((trade.px, trade.qty), (fixed("9643.5"), fixed("2")));
    assert_eq!((trade.trade_id, trade.first_id, trade.last_id), (424_951, 606_073, 606_073));
    assert_eq!(trade.ts_trade, nanos(1_591_261_134_199));
}

#[test]
fn best_bid_and_offer_are_read_by_hand_behind_the_pair() {
    let (_, top) = one::<BookTicker>(BOOK_TICKER, Kind::BookTicker, 1, 1_591_268_628_166);
    assert_eq!((top.bid_px, top.bid_qty), (fixed("9548.1"), fixed("52")));
    assert_eq!((top.ask_px, top.ask_qty), (fixed("9548.5"), fixed("11")));
    assert_eq!((top.update_id, top.ts_match), (17_242_169, nanos(1_591_268_628_155)));
    // The other dialect's form is no error in this one: fields of ours come in any order.
    let bare = BOOK_TICKER.replace(r#""ps":"BTCUSD","#, "");
    assert_eq!(one::<BookTicker>(&bare, Kind::BookTicker, 1, 1_591_268_628_166).1, top);
}

#[test]
fn a_change_of_depth_names_its_predecessor() {
    let [head, bids, asks] = read(DEPTH)[..] else { panic!() };
    let body: &DepthHead = head.body();
    assert_eq!((body.first_id, body.last_id, body.prev_id), (17_285_681, 17_285_702, 17_285_675));
    assert_eq!((body.bid_count, body.ask_count), (1, 1));
    assert_eq!(
        (head.ts_venue, body.ts_match),
        (nanos(1_591_270_260_907), nanos(1_591_270_260_891))
    );
    let level = |event: &Event| event.body::<DepthLevels>().levels[0];
    assert_eq!(level(&bids), Level { px: fixed("9517.6"), qty: fixed("10") });
    assert_eq!(level(&asks), Level { px: fixed("9518.5"), qty: fixed("45") });
    assert!(asks.has(flags::LAST | flags::SELL));
}

#[test]
fn mark_prices_of_dated_contracts_have_no_funding() {
    let (_, perpetual) = one::<MarkPrice>(MARK_PERPETUAL, Kind::MarkPrice, 0, 1_596_095_725_000);
    assert_eq!(perpetual.mark_px, fixed("11012.31359011"));
    assert_eq!((perpetual.index_px, perpetual.settle_px), (1_093_362_615_417, 1_096_217_178_236));
    assert_eq!(perpetual.funding_rate, fixed("0.0003"));
    assert_eq!(perpetual.ts_next_funding, nanos(1_596_096_000_000));
    let (_, dated) = one::<MarkPrice>(MARK_DATED, Kind::MarkPrice, 2, 1_596_095_725_000);
    assert_eq!(dated.mark_px, fixed("10934.62615417"));
    assert_eq!((dated.funding_rate, dated.ts_next_funding), (0, 0));
}

#[test]
fn a_liquidation_counts_contracts() {
    let (bits, order) = one::<Liquidation>(FORCE_ORDER, Kind::Liquidation, 2, 1_591_154_240_950);
    assert_ne!(bits & flags::SELL, 0);
    assert_eq!((order.px, order.avg_px), (fixed("9425.5"), fixed("9496.5")));
    let one = fixed("1");
    assert_eq!((order.qty, order.filled_qty, order.last_qty), (one, one, one));
    assert_eq!(order.ts_trade, nanos(1_591_154_240_949));
}

#[test]
fn candles_in_other_units_are_counted_and_make_no_events() {
    let (mut feed, mut out) = (Feed::of(Dialect::CoinM, &instruments(&SYMBOLS)), EventBatch::new());
    feed.on_frame(CANDLE.as_bytes(), TS, &mut out);
    assert!(out.is_empty());
    assert_eq!(feed.stats().ignored_for(Reason::FrameUnknownType), 1);
    // The other dialect, whose candles are in the event's units, takes the same text.
    let mut linear = Feed::new(&instruments(&SYMBOLS));
    linear.on_frame(CANDLE.as_bytes(), TS, &mut out);
    assert_eq!(out.as_slice()[0].kind(), Some(Kind::Kline));
}

#[test]
fn rest_bodies_that_name_the_pair_are_read_and_a_book_is_bridged() {
    let (mut feed, mut out) = (Feed::of(Dialect::CoinM, &instruments(&SYMBOLS)), EventBatch::new());
    let dated = InstrumentId(1);
    feed.on_frame(DEPTH.as_bytes(), TS, &mut out);
    assert_eq!((out.len(), feed.snapshot_wanted()), (0, Some(dated)));
    let snapshot = concat!(
        r#"{"lastUpdateId":17285690,"symbol":"BTCUSD_200626","pair":"BTCUSD","#,
        r#""E":1591270260800,"T":1591270260798,"bids":[["9517.5","431"]],"#,
        r#""asks":[["9518.2","12"]]}"#,
    );
    feed.on_snapshot(dated, snapshot.as_bytes(), TS, &mut out);
    let heads: Vec<u64> = out
        .as_slice()
        .iter()
        .filter(|event| event.kind() == Some(Kind::DepthHead))
        .map(|event| event.body::<DepthHead>().last_id)
        .collect();
    assert_eq!(heads, [17_285_690, 17_285_702], "the snapshot, then the change that bridges it");
    assert!(feed.is_synced(dated));
    assert_eq!(feed.stats().fallbacks, 0, "both were read by hand");

    let interest = concat!(
        r#"{"symbol":"BTCUSD_200626","pair":"BTCUSD","openInterest":"15004","#,
        r#""contractType":"CURRENT_QUARTER","time":1591261042378}"#,
    );
    feed.on_open_interest(interest.as_bytes(), TS, &mut out);
    let body: &OpenInterest = out.as_slice()[0].body();
    assert_eq!((body.qty, body.ts), (fixed("15004"), nanos(1_591_261_042_378)));

    let premium = concat!(
        r#"[{"symbol":"BTCUSD_PERP","pair":"BTCUSD","markPrice":"11029.69574559","#,
        r#""indexPrice":"10979.14437500","estimatedSettlePrice":"10981.74168236","#,
        r#""lastFundingRate":"0.00071003","interestRate":"0.00010000","#,
        r#""nextFundingTime":1596096000000,"time":1596094042000},"#,
        r#"{"symbol":"BTCUSD_200925","pair":"BTCUSD","markPrice":"12077.01343750","#,
        r#""indexPrice":"10979.10312500","estimatedSettlePrice":"10981.74127812","#,
        r#""lastFundingRate":"","interestRate":"","nextFundingTime":0,"time":1596094042000}]"#,
    );
    feed.on_premium_index(premium.as_bytes(), TS, &mut out);
    let rates: Vec<(u16, i64)> = out
        .as_slice()
        .iter()
        .map(|event| (event.instrument, event.body::<MarkPrice>().funding_rate))
        .collect();
    assert_eq!(rates, [(0, fixed("0.00071003")), (2, 0)]);
}
