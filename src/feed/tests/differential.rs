//! Mutated frames: whatever happens to a frame, the three readers agree on it.

use super::oracle::Json;
use super::{Readers, feed};
use crate::base::{Kind, Nanos};
use crate::feed::EventBatch;
use proptest::prelude::*;

const SYMBOLS: [&str; 4] = ["BTCUSDT", "ETHUSDT", "1000PEPEUSDT", "币安人生USDT"];

/// One frame of each type in the venue's own form; `$` stands for the symbol.
const PAYLOADS: [&str; 10] = [
    concat!(
        r#"{"e":"aggTrade","E":1700000000123,"a":5933014,"s":"$","p":"0.001","q":"100","#,
        r#""f":100,"l":105,"T":1700000000120,"m":true}"#,
    ),
    concat!(
        r#"{"e":"aggTrade","E":1700000000123,"s":"$","a":5933014,"p":"61800.30","#,
        r#""q":"1.500","nq":"1.000","f":1,"l":2,"T":1700000000120,"m":false,"st":1}"#,
    ),
    concat!(
        r#"{"e":"trade","E":1700000000322,"T":1700000000321,"s":"$","t":5266583935,"#,
        r#""p":"61800.30","q":"0.006","X":"MARKET","m":false}"#,
    ),
    concat!(
        r#"{"e":"bookTicker","u":5123107839020,"s":"$","b":"61800.20","B":"2.507","#,
        r#""a":"61800.30","A":"2.510","T":1700000000313,"E":1700000000314}"#,
    ),
    concat!(
        r#"{"e":"bookTicker","u":400900217,"E":1700000000893,"T":1700000000891,"s":"$","#,
        r#""b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000","#,
        r#""st":1,"ps":"$"}"#,
    ),
    concat!(
        r#"{"e":"markPriceUpdate","E":1700000000000,"s":"$","p":"11794.15000000","#,
        r#""ap":"11794.15","P":"11784.25641265","i":"11784.62659091","r":"-0.00038167","#,
        r#""T":1700006400000}"#,
    ),
    concat!(
        r#"{"e":"kline","E":1700000040000,"s":"$","k":{"t":1700000000000,"#,
        r#""T":1700000059999,"s":"$","i":"1m","f":100,"L":200,"o":"0.0010","#,
        r#""c":"0.0020","h":"0.0025","l":"0.0010","v":"1000","n":100,"x":true,"#,
        r#""q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#,
    ),
    concat!(
        r#"{"e":"forceOrder","E":1700000000893,"o":{"s":"$","S":"SELL","o":"LIMIT","#,
        r#""f":"IOC","q":"0.014","p":"9910","ap":"9910.12345678","X":"FILLED","#,
        r#""l":"0.014","z":"0.014","T":1700000000893}}"#,
    ),
    concat!(
        r#"{"e":"depthUpdate","E":1700000000789,"T":1700000000788,"s":"$","U":157,"#,
        r#""u":160,"pu":149,"b":[["0.0024","10"],["0.0023","0.000"]],"a":[["0.0026","#,
        r#""100"],["0.0027","1.5"],["0.0028","0"],["0.0029","4"],["0.0030","5"],["#,
        r#""0.0031","6"],["12345678.12345678","99999999.99999999"]]}"#,
    ),
    concat!(
        r#"{"e":"depthUpdate","E":1700000000789,"T":1700000000788,"s":"$","ps":"$","#,
        r#""st":1,"U":157,"u":160,"pu":149,"b":[],"a":[]}"#,
    ),
];
const STREAMS: [&str; 10] = [
    "aggTrade",
    "aggTrade",
    "trade",
    "bookTicker",
    "bookTicker",
    "markPrice@1s",
    "kline_1m",
    "forceOrder",
    "depth@100ms",
    "depth@0ms",
];

fn plain_frame() -> impl Strategy<Value = String> {
    (0..PAYLOADS.len(), 0..SYMBOLS.len(), any::<bool>()).prop_map(|(at, symbol, combined)| {
        let payload = PAYLOADS[at].replace('$', SYMBOLS[symbol]);
        if combined {
            let name = SYMBOLS[symbol].to_lowercase();
            format!(r#"{{"stream":"{name}@{}","data":{payload}}}"#, STREAMS[at])
        } else {
            payload
        }
    })
}

/// Fixed texts that replace a value: lawful, odd and wrong ones.
const ODD_VALUES: &[&str] = &[
    "0",
    "00",
    "007",
    "1",
    "-1",
    "-0",
    "1.5",
    "1e3",
    "15E-1",
    "1e",
    "1.0e2",
    "true",
    "false",
    "null",
    "[]",
    "{}",
    "[[]]",
    "\"\"",
    "\"0\"",
    "\"-1\"",
    "\"1e3\"",
    "\"1.5E-2\"",
    "\"1e-9\"",
    "\"00012.50\"",
    "\"5.\"",
    "\".5\"",
    "\"1.2.3\"",
    "\" 1\"",
    "\"1 \"",
    "\"+1\"",
    "\"0x10\"",
    "\"0.000000001\"",
    "\"0.0000000010\"",
    "\"0.123456780000\"",
    "\"92233720368.54775807\"",
    "\"92233720368.54775808\"",
    "\"99999999999999999999\"",
    "\"\\u0031\"",
    "\"BTCUSDT\"",
    "\"\\u0042TCUSDT\"",
    "\"XRPUSDT\"",
    "\"MARKET\"",
    "\"INSURANCE_FUND\"",
    "\"SELL\"",
    "\"BUY\"",
    "18446744073709551615",
    "9223372036855",
    "9223372036854",
    "9223372036854775807",
    "999999999999999999",
    "1700000000123.0",
    "[[\"1\",\"2\"]]",
    "[[\"1\",\"2\",\"3\"]]",
    "[[\"1\"]]",
    "[[1,2]]",
    "[\"1\",\"2\"]",
    "[[\"0\",\"1\"]]",
    "[[\"1\",\"-1\"]]",
    "[[\"1\",\"0.00\"],[\"2\",\"1e1\"]]",
];

/// Those, and numbers of every length.
fn odd_value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(ODD_VALUES.to_vec()).prop_map(str::to_owned),
        1 => any::<u64>().prop_map(|number| number.to_string()),
        2 => (0_u64..200_000_000_000, 0_usize..12, any::<u64>())
            .prop_map(|(whole, digits, fraction)| {
                let fraction = format!("{fraction:020}");
                let point = if digits == 0 { "" } else { "." };
                format!("\"{whole}{point}{}\"", &fraction[20 - digits..])
            }),
    ]
}

fn write(json: &Json, blanks: &str) -> String {
    let joined = |parts: Vec<String>| parts.join(&format!("{blanks},{blanks}"));
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Int(value) => value.to_string(),
        Json::Float(value) => value.to_string(),
        Json::Text(text) => serde_json::to_string(text).unwrap(),
        Json::List(list) => {
            format!("[{blanks}{}]", joined(list.iter().map(|item| write(item, blanks)).collect()))
        }
        Json::Object(entries) => {
            let entry = |(key, value): &(String, Json)| {
                let key = serde_json::to_string(key).unwrap();
                format!("{key}{blanks}:{blanks}{}", write(value, blanks))
            };
            format!("{{{blanks}{}}}", joined(entries.iter().map(entry).collect()))
        }
    }
}

/// Orders the members of all objects by `keys`, as far as they last.
fn permute(json: &mut Json, keys: &mut impl Iterator<Item = u64>) {
    match json {
        Json::List(list) => list.iter_mut().for_each(|item| permute(item, keys)),
        Json::Object(entries) => {
            entries.iter_mut().for_each(|(_, value)| permute(value, keys));
            entries.sort_by_cached_key(|_| keys.next().unwrap_or(0));
        }
        _ => {}
    }
}

fn objects_of(json: &mut Json) -> Vec<&mut Vec<(String, Json)>> {
    let Json::Object(entries) = json else { return Vec::new() };
    let nested = entries.iter().position(|(_, value)| matches!(value, Json::Object(_)));
    match nested {
        // The innermost object is where the payload is.
        Some(at) if matches!(entries[at].0.as_str(), "data" | "k" | "o") => {
            objects_of(&mut entries[at].1)
        }
        _ => vec![entries],
    }
}

/// Places where a value of the frame begins and ends, by a walk over the text.
fn value_spans(frame: &str) -> Vec<(usize, usize)> {
    let bytes = frame.as_bytes();
    let mut spans = Vec::new();
    for (at, _) in frame.match_indices("\":") {
        let start = at + 2;
        let end = match bytes[start] {
            b'"' => start + 2 + frame[start + 1..].find('"').unwrap(),
            b'[' => match frame[start..].find("]]") {
                Some(len) => start + len + 2,
                None => start + 2,
            },
            b'{' => continue,
            _ => start + frame[start..].find([',', '}']).unwrap(),
        };
        spans.push((start, end));
    }
    spans
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2048))]

    #[test]
    fn frames_in_the_venues_form_are_read_by_hand(frame in plain_frame()) {
        let mut readers = Readers::new(&SYMBOLS);
        prop_assert!(readers.by_hand(frame.as_bytes()).is_some(), "{}", frame);
        prop_assert!(readers.agreed(frame.as_bytes()).is_some());
    }

    #[test]
    fn readers_agree_when_any_value_is_replaced(
        frame in plain_frame(), pick in any::<prop::sample::Index>(), value in odd_value(),
    ) {
        let spans = value_spans(&frame);
        let (start, end) = spans[pick.index(spans.len())];
        let frame = format!("{}{value}{}", &frame[..start], &frame[end..]);
        Readers::new(&SYMBOLS).agreed(frame.as_bytes());
    }

    #[test]
    fn readers_agree_when_a_byte_is_changed(
        frame in plain_frame(), pick in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut frame = frame.into_bytes();
        let at = pick.index(frame.len());
        frame[at] = byte;
        Readers::new(&SYMBOLS).agreed(&frame);
    }

    #[test]
    fn readers_agree_when_a_byte_is_inserted_or_lost(
        frame in plain_frame(), pick in any::<prop::sample::Index>(),
        byte in proptest::option::of(any::<u8>()),
    ) {
        let mut frame = frame.into_bytes();
        let at = pick.index(frame.len());
        match byte {
            Some(byte) => frame.insert(at, byte),
            None => { frame.remove(at); }
        }
        Readers::new(&SYMBOLS).agreed(&frame);
    }

    #[test]
    fn fault_w13_readers_agree_on_other_orders_blanks_and_unknown_members(
        frame in plain_frame(),
        order in proptest::collection::vec(any::<u64>(), 40),
        blanks in proptest::sample::select(vec!["", " ", "\t", "\n  "]),
        extra in proptest::collection::vec(
            ("[a-zA-Z]{1,3}|data|stream", odd_value(), any::<prop::sample::Index>()), 0..4),
    ) {
        let mut json: Json = serde_json::from_str(&frame).unwrap();
        if order[0] % 2 == 0 {
            permute(&mut json, &mut order.into_iter());
        }
        for (key, value, at) in extra {
            let Ok(value) = serde_json::from_str::<Json>(&value) else { continue };
            for entries in objects_of(&mut json) {
                let at = at.index(entries.len() + 1);
                entries.insert(at, (key.clone(), value.clone()));
            }
        }
        Readers::new(&SYMBOLS).agreed(write(&json, blanks).as_bytes());
    }

    #[test]
    fn order_and_blanks_change_nothing_of_what_is_read(
        frame in plain_frame(),
        order in proptest::collection::vec(any::<u64>(), 40),
        blanks in proptest::sample::select(vec!["", " ", "\r\n"]),
    ) {
        let mut readers = Readers::new(&SYMBOLS);
        let plain = readers.agreed(frame.as_bytes());
        let mut json: Json = serde_json::from_str(&frame).unwrap();
        permute(&mut json, &mut order.into_iter());
        prop_assert_eq!(readers.agreed(write(&json, blanks).as_bytes()), plain);
    }

    #[test]
    fn every_cut_of_a_frame_is_refused(
        frame in plain_frame(), pick in any::<prop::sample::Index>(),
    ) {
        let at = pick.index(frame.len());
        prop_assert_eq!(Readers::new(&SYMBOLS).agreed(&frame.as_bytes()[..at]), None);
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_bytes_at_all_make_the_feed_panic_or_speak_of_prices(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut feed = feed(&SYMBOLS);
        let mut out = EventBatch::new();
        feed.on_frame(&bytes, Nanos(1), &mut out);
        feed.on_snapshot(crate::base::InstrumentId(0), &bytes, Nanos(1), &mut out);
        feed.on_open_interest(&bytes, Nanos(1), &mut out);
        feed.on_funding_rates(&bytes, Nanos(1), &mut out);
        feed.on_premium_index(&bytes, Nanos(1), &mut out);
        prop_assert!(out.iter().all(|event| event.kind() == Some(Kind::Malformed)));
    }
}
