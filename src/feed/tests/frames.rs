//! Which frame is refused, ignored or read, and with which reason.

use super::{TS, feed};
use crate::base::event::{DepthHead, Funding, Malformed, MarkPrice, OpenInterest, flags};
use crate::base::limits::{BATCH_LEVELS_MAX, FRAME_BYTES_MAX};
use crate::base::{InstrumentId, Kind, Reason};
use crate::feed::EventBatch;

const BOOK_TICKER: &str =
    r#"{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":5,"E":6}"#;

fn check_malformed(frame: &str, reason: Reason) {
    let mut feed = feed(&["BTCUSDT"]);
    let mut out = EventBatch::new();
    feed.on_frame(frame.as_bytes(), TS, &mut out);
    let [event] = out.as_slice() else { panic!("{} events of {frame}", out.len()) };
    assert_eq!(event.kind(), Some(Kind::Malformed), "{frame}");
    let body = event.body::<Malformed>();
    assert_eq!(Reason::from_u16(body.reason), Some(reason), "{frame}");
    assert_eq!(body.frame_bytes as usize, frame.len());
    let head = &frame.as_bytes()[..frame.len().min(72)];
    assert_eq!(&body.head[..head.len()], head);
    assert!((body.offset as usize) <= frame.len());
    assert_eq!(feed.stats().malformed_for(reason), 1);
    assert_eq!(event.ts_recv, TS.0);
}

fn check_ignored(frame: &str, reason: Reason) {
    let mut feed = feed(&["BTCUSDT"]);
    let mut out = EventBatch::new();
    feed.on_frame(frame.as_bytes(), TS, &mut out);
    assert!(out.is_empty(), "{frame}");
    assert_eq!(feed.stats().ignored_for(reason), 1, "{frame}");
}

#[test]
fn fault_w13_each_defect_of_a_frame_is_told_by_its_own_reason() {
    let with = |from: &str, to: &str| BOOK_TICKER.replacen(from, to, 1);
    let cases = [
        (String::new(), Reason::FrameNotJson),
        ("42".to_owned(), Reason::FrameNotJson),
        (BOOK_TICKER[..50].to_owned(), Reason::FrameNotJson),
        (format!("{BOOK_TICKER}}}"), Reason::FrameNotJson),
        (with("\"A\":\"3\",", ""), Reason::FrameKeyMissing),
        (with("\"e\":\"bookTicker\",", ""), Reason::FrameKeyMissing),
        (with("\"2\"", "2"), Reason::FrameNumber),
        (with("\"2\"", "\"two\""), Reason::FrameNumber),
        (with("\"2\"", "\"0.000000001\""), Reason::FrameNumber),
        (with("\"2\"", "\"92233720369\""), Reason::FrameRange),
        (with("\"1.5\"", "\"0.00\""), Reason::FrameValue),
        (with("\"1.5\"", "\"-1.5\""), Reason::FrameValue),
        (with("\"2\"", "\"-2\""), Reason::FrameValue),
        (with("BTCUSDT", "XRPUSDT"), Reason::UnknownInstrument),
        (with("BTCUSDT", "BTCUSDT\\u0000"), Reason::UnknownInstrument),
        (with("\"a\":", "\"b\":\"1.5\",\"a\":"), Reason::FrameKeyTwice),
        (with("\"E\":6", "\"E\":9223372036855"), Reason::FrameRange),
        (with("\"u\":1", "\"u\":9223372036854775808"), Reason::FrameRange),
        (with("\"E\":6", "\"E\":6,\"x\":18446744073709551616"), Reason::FrameNotJson),
    ];
    for (frame, reason) in cases {
        check_malformed(&frame, reason);
    }
}

#[test]
fn spot_payloads_lack_what_futures_payloads_have() {
    let spot = [
        concat!(
            r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","#,
            r#""E":1723161255308,"s":"BTCUSDT","U":50093239203,"u":50093239207,"b":[["#,
            r#""55653.87000000","0.00000000"]],"a":[]}}"#,
        ),
        concat!(
            r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","#,
            r#""b":"61837.63","B":"3.78","a":"61837.64","A":"1.54"}}"#,
        ),
        concat!(
            r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"#,
            r#""s":"BTCUSDT","t":3735683259,"p":"61837.63","q":"0.02","#,
            r#""T":1723161255342,"m":true,"M":true}}"#,
        ),
    ];
    for frame in spot {
        check_malformed(frame, Reason::FrameKeyMissing);
    }
    let mut feed = feed(&["BTCUSDT"]);
    let mut out = EventBatch::new();
    let body = br#"{"lastUpdateId":50093239218,"bids":[["1","2"]],"asks":[["2","2"]]}"#;
    feed.on_snapshot(InstrumentId(0), body, TS, &mut out);
    assert_eq!(feed.stats().malformed_for(Reason::FrameKeyMissing), 1);
    assert_eq!(out.as_slice()[0].kind(), Some(Kind::Malformed));
}

#[test]
fn what_is_no_market_event_is_ignored_and_counted() {
    let frames = [
        r#"{"result":null,"id":1}"#,
        r#"{"result":["btcusdt@trade"],"id":"9d32157c-a556-4d27-9866-66760a174b57"}"#,
        r#"{"code":2,"msg":"Invalid request: unknown method"}"#,
        r#"{"e":"24hrTicker","E":1,"s":"BTCUSDT","p":"1"}"#,
        r#"{"e":"ORDER_TRADE_UPDATE","E":1,"o":{}}"#,
        r#"[{"e":"markPriceUpdate"}]"#,
        r#"{"stream":"!markPrice@arr","data":[{"e":"markPriceUpdate"}]}"#,
    ];
    for frame in frames {
        check_ignored(frame, Reason::FrameUnknownType);
    }
}

#[test]
fn partial_depth_and_retail_depth_never_reach_the_book() {
    let payload = concat!(
        r#"{"e":"depthUpdate","E":2,"T":1,"s":"BTCUSDT","U":1,"u":2,"pu":0,"b":[["1","#,
        r#""1"]],"a":[["2","1"]]}"#,
    );
    for stream in ["btcusdt@depth20", "btcusdt@depth5@100ms", "btcusdt@rpiDepth@500ms", "x"] {
        let frame = format!(r#"{{"stream":"{stream}","data":{payload}}}"#);
        check_ignored(&frame, Reason::FrameUnknownType);
    }
}

#[test]
fn a_trade_that_is_no_market_trade_is_no_price() {
    for origin in ["INSURANCE_FUND", "ADL", "NA", ""] {
        let frame = concat!(
            r#"{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":"28722.50","q":"1","X":"$","#,
            r#""m":false}"#
        );
        let frame = frame.replace('$', origin);
        check_ignored(&frame, Reason::TradeNotMarket);
    }
    let mut feed = feed(&["ETHUSDT", "BTCUSDT"]);
    let frame =
        br#"{"e":"trade","E":1,"T":1,"s":"BTCUSDT","t":1,"p":"0","q":"0","X":"NA","m":false}"#;
    feed.on_frame(frame, TS, &mut EventBatch::new());
    assert_eq!(feed.instrument_stats(InstrumentId(1)).unwrap().trades_not_market, 1);
    assert_eq!(feed.instrument_stats(InstrumentId(0)).unwrap().trades_not_market, 0);
}

#[test]
fn a_frame_longer_than_the_cap_is_refused_unread() {
    let blank = " ".repeat(FRAME_BYTES_MAX + 1 - BOOK_TICKER.len());
    check_malformed(&format!("{BOOK_TICKER}{blank}"), Reason::FrameTooLong);
    let mut feed = feed(&["BTCUSDT"]);
    let mut out = EventBatch::new();
    feed.on_frame(format!("{BOOK_TICKER}{}", &blank[1..]).as_bytes(), TS, &mut out);
    assert_eq!(out.as_slice()[0].kind(), Some(Kind::BookTicker));
}

#[test]
fn as_many_levels_as_the_cap_are_read_and_one_more_is_refused() {
    let frame = |count: usize| {
        let levels = vec![r#"["1.5","2"]"#; count].join(",");
        let head = r#""e":"depthUpdate","E":2,"T":1,"s":"BTCUSDT","U":1,"u":2,"pu":0"#;
        format!(r#"{{{head},"b":[{levels}],"a":[]}}"#)
    };
    let mut readers = super::Readers::new(&["BTCUSDT"]);
    let events = readers.agreed(frame(BATCH_LEVELS_MAX).as_bytes()).unwrap();
    assert_eq!(events[0].body::<DepthHead>().bid_count as usize, BATCH_LEVELS_MAX);
    check_malformed(&frame(BATCH_LEVELS_MAX + 1), Reason::TooManyLevels);
}

#[test]
fn deep_nesting_is_refused() {
    check_malformed(&"[".repeat(100_000), Reason::FrameNotJson);
    check_malformed(&format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000)), Reason::FrameNotJson);
}

#[test]
fn frames_the_scanners_decline_are_counted_as_fallbacks() {
    let mut feed = feed(&["BTCUSDT"]);
    let mut out = EventBatch::new();
    feed.on_frame(BOOK_TICKER.as_bytes(), TS, &mut out);
    assert_eq!(feed.stats().fallbacks, 0);
    feed.on_frame(BOOK_TICKER.replace(':', ": ").as_bytes(), TS, &mut out);
    assert_eq!(feed.stats().fallbacks, 1);
    assert_eq!(feed.stats().of_kind(Kind::BookTicker), 2);
}

#[test]
fn rest_bodies_as_documented_are_read() {
    let mut feed = feed(&["ETHUSDT", "BTCUSDT"]);
    let mut out = EventBatch::new();
    let body = br#"{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}"#;
    feed.on_open_interest(body, TS, &mut out);
    let [event] = out.as_slice() else { panic!() };
    assert_eq!((event.kind(), event.instrument), (Some(Kind::OpenInterest), 1));
    assert_eq!(event.body::<OpenInterest>().qty, 1_065_950_900_000);
    assert_eq!(event.ts_venue, 1_589_437_530_011_000_000);

    let body = concat!(
        r#"[{"symbol":"BTCUSDT","fundingTime":1783065600007,"fundingRate":"-0.00010000","#,
        r#""markPrice":"61733.60000000"},"#,
        r#"{"symbol":"XRPUSDT","fundingTime":1,"fundingRate":"0.0001","markPrice":"1"},"#,
        r#"{"symbol":"ETHUSDT","fundingTime":1783094400000,"fundingRate":"0.0000374","#,
        r#""markPrice":""}]"#
    );
    feed.on_funding_rates(body.as_bytes(), TS, &mut out);
    let [btc, eth] = out.as_slice() else { panic!() };
    assert_eq!(btc.body::<Funding>().rate, -10_000);
    assert_eq!(btc.body::<Funding>().mark_px, 6_173_360_000_000);
    assert_eq!((eth.body::<Funding>().rate, eth.body::<Funding>().mark_px), (3_740, 0));

    let body = concat!(
        r#"{"symbol":"BTCUSDT","markPrice":"11793.63104562","indexPrice":"11781.80495970","#,
        r#""estimatedSettlePrice":"11781.16138815","lastFundingRate":"0.00038246","#,
        r#""interestRate":"0.00010000","nextFundingTime":1597392000000,"time":1597370495002}"#
    );
    feed.on_premium_index(body.as_bytes(), TS, &mut out);
    let [event] = out.as_slice() else { panic!() };
    let mark = event.body::<MarkPrice>();
    assert_eq!((mark.mark_px, mark.index_px), (1_179_363_104_562, 1_178_180_495_970));
    assert_eq!((mark.settle_px, mark.funding_rate), (1_178_116_138_815, 38_246));
    assert_eq!(mark.ts_next_funding, 1_597_392_000_000_000_000);
}

#[test]
fn a_symbol_beyond_ascii_is_an_instrument_like_any_other() {
    let mut feed = feed(&["BTCUSDT", "币安人生USDT"]);
    let mut out = EventBatch::new();
    feed.on_frame(BOOK_TICKER.replace("BTCUSDT", "币安人生USDT").as_bytes(), TS, &mut out);
    assert_eq!(out.as_slice()[0].instrument(), InstrumentId(1));
    assert_eq!(feed.stats().fallbacks, 0);
    assert!(!out.as_slice()[0].has(flags::SELL));
}

#[test]
fn a_thousand_symbols_all_keep_their_ids() {
    let names: Vec<String> =
        (0..1_024).map(|n| format!("{}X{n}USDT", "A".repeat(n % 20))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let symbols = super::SymbolTable::new(&super::instruments(&names));
    assert_eq!(symbols.len(), names.len());
    for (index, name) in names.iter().enumerate() {
        assert_eq!(symbols.find(name.as_bytes()), Some(InstrumentId(index as u16)));
        assert_eq!(symbols.find(&name.as_bytes()[1..]).is_some(), names.contains(&&name[1..]));
    }
}

#[test]
fn fault_w14_a_price_of_zero_or_below_is_no_event() {
    let trade = concat!(
        r#"{"e":"aggTrade","E":6,"s":"BTCUSDT","a":1,"p":"1.5","q":"2","#,
        r#""f":1,"l":1,"T":5,"m":true}"#,
    );
    for price in ["0", "0.00", "-1.5"] {
        let priced = |frame: &str, from: &str| {
            assert!(frame.contains(from));
            frame.replacen(from, &format!("\"{price}\""), 1)
        };
        check_malformed(&priced(BOOK_TICKER, "\"1.5\""), Reason::FrameValue);
        check_malformed(&priced(BOOK_TICKER, "\"1.6\""), Reason::FrameValue);
        check_malformed(&priced(trade, "\"1.5\""), Reason::FrameValue);
    }
}
