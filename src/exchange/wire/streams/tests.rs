use super::{ConnId, Control, Delivery, INCOMING_MAX, STREAMS_MAX, Streams};
use crate::base::units::parse_fixed;
use crate::base::{Nanos, Side};
use crate::exchange::wire::route::{Route, Target};
use crate::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub(super) const START: Nanos = Nanos::from_secs(1_750_000_000);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(super) fn exchange(seed: u64) -> Exchange {
    Exchange::new(&ExchangeSettings {
        seed,
        symbols: SymbolSpec::default_pair().to_vec(),
        rate: 1_500.0,
        opened_at: START,
        accounts: Vec::new(),
    })
}

pub(super) fn after(millis: i64) -> Nanos {
    START + Nanos::from_millis(millis)
}

pub(super) fn open(exchange: &mut Exchange, conn: u64, path: &str) {
    let target = Target::parse(path).expect("a stream path");
    let now = exchange.now();
    exchange.open(ConnId(conn), &target, now);
}

pub(super) fn parsed(delivery: &Delivery) -> Value {
    serde_json::from_str(&delivery.text).expect("JSON")
}

fn ask(exchange: &mut Exchange, conn: u64, text: &str) -> Value {
    let now = exchange.now();
    exchange.message(ConnId(conn), Route::Public, text, PEER, now);
    let answers = exchange.take_deliveries();
    parsed(answers.iter().find(|own| own.topic.as_str() == "answer").expect("an answer"))
}

fn units(value: &Value) -> i64 {
    parse_fixed(value.as_str().expect("a number in quotes").as_bytes()).expect("a decimal")
}

/// A book kept the naive way.
#[derive(Clone, Debug, Default, PartialEq)]
struct NaiveBook {
    sides: [BTreeMap<i64, i64>; 2],
}

impl NaiveBook {
    fn apply(&mut self, body: &Value, keys: [&str; 2]) {
        for (side, key) in self.sides.iter_mut().zip(keys) {
            for level in body[key].as_array().expect("a list of levels") {
                match units(&level[1]) {
                    0 => side.remove(&units(&level[0])),
                    qty => side.insert(units(&level[0]), qty),
                };
            }
        }
    }
}

#[test]
fn control_messages_are_answered_as_documented() {
    let mut exchange = exchange(1);
    open(&mut exchange, 1, "/market/stream");
    let both = ["btcusdt@aggTrade", "btcusdt@depth"];
    let rows = [
        // The documentation's own examples.
        (json!({"method": "SUBSCRIBE", "params": both, "id": 1}), json!({"result": null, "id": 1})),
        (
            json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@depth"], "id": 312}),
            json!({"result": null, "id": 312}),
        ),
        (
            json!({"method": "LIST_SUBSCRIPTIONS", "id": 3}),
            json!({"result": ["btcusdt@aggTrade"], "id": 3}),
        ),
        (
            json!({"method": "SET_PROPERTY", "params": ["combined", true], "id": 5}),
            json!({"result": null, "id": 5}),
        ),
        (
            json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}),
            json!({"result": true, "id": 2}),
        ),
        // The official SDK numbers its requests with texts.
        (
            json!({"method": "LIST_SUBSCRIPTIONS", "id": "a737a5f8-e681"}),
            json!({"result": ["btcusdt@aggTrade"], "id": "a737a5f8-e681"}),
        ),
    ];
    for (request, answer) in rows {
        assert_eq!(ask(&mut exchange, 1, &request.to_string()), answer, "{request}");
    }
}

#[test]
fn bad_control_messages_are_refused_with_the_venues_numbers() {
    let rows = [
        ("{\"method\":", 3, "Invalid JSON: expected value"),
        ("{\"id\":1}", 2, "Invalid request: missing field `method`"),
        ("{\"method\":\"SUBSCRIBE\",\"id\":1}", 2, "Invalid request: missing field `params`"),
        ("{\"method\":\"X\",\"id\":1}", 2, "Invalid request: unknown variant `X`, expected one of"),
        (
            "{\"method\":\"SUBSCRIBE\",\"params\":[\"not asdf\"],\"id\":1}",
            2,
            "Invalid request: invalid stream",
        ),
        ("{\"method\":\"GET_PROPERTY\",\"params\":[\"x\"],\"id\":1}", 0, "Unknown property"),
        (
            "{\"method\":\"SET_PROPERTY\",\"params\":[\"combined\",1],\"id\":1}",
            1,
            "Invalid value type: expected Boolean",
        ),
        (
            "{\"method\":\"SET_PROPERTY\",\"params\":[1,true],\"id\":1}",
            2,
            "Invalid request: property name must be a string",
        ),
        (
            "{\"method\":\"GET_PROPERTY\",\"params\":[\"combined\",1],\"id\":1}",
            2,
            "Invalid request: too many parameters",
        ),
    ];
    let mut exchange = exchange(1);
    for (conn, (text, code, words)) in rows.into_iter().enumerate() {
        open(&mut exchange, conn as u64, "/public/ws");
        let answer = ask(&mut exchange, conn as u64, text);
        assert_eq!(answer["error"]["code"], code, "{text}");
        let said = answer["error"]["msg"].as_str().expect("words");
        assert!(said.starts_with(words), "{text}: {said}");
        let id = if code == 3 { Value::Null } else { json!(1) };
        assert_eq!(answer["id"], id, "{text}");
    }
}

#[test]
fn a_stream_of_another_route_or_an_upper_case_name_is_acknowledged_and_silent() {
    let mut exchange = exchange(2);
    for (conn, path) in [(1, "/public/ws"), (2, "/market/ws"), (3, "/ws"), (4, "/private/ws")] {
        open(&mut exchange, conn, path);
        let names = ["btcusdt@bookTicker", "btcusdt@aggTrade", "BTCUSDT@trade", "xrpusdt@trade"];
        let request = json!({"method": "SUBSCRIBE", "params": names, "id": 7});
        let answer = ask(&mut exchange, conn, &request.to_string());
        assert_eq!(answer, json!({"result": null, "id": 7}), "{path}");
        let listed = ask(&mut exchange, conn, "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":8}");
        assert_eq!(listed["result"], json!(names), "{path}");
    }
    exchange.advance(after(5_000));
    let mut heard: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for delivery in exchange.take_deliveries() {
        let topics = heard.entry(delivery.conn.0).or_default();
        let topic = delivery.topic.to_string();
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let book = vec!["btcusdt@bookTicker".to_owned()];
    let trades = vec!["btcusdt@aggTrade".to_owned()];
    assert_eq!(heard, BTreeMap::from([(1, book.clone()), (2, trades), (3, book)]));
}

#[test]
fn raw_and_combined_listeners_share_one_payload_in_the_order_of_their_numbers() {
    let mut exchange = exchange(3);
    open(&mut exchange, 9, "/public/stream?streams=btcusdt@trade");
    open(&mut exchange, 2, "/public/ws/btcusdt@trade");
    open(&mut exchange, 5, "/public/ws/1");
    let request = json!({"method": "SUBSCRIBE", "params": ["btcusdt@trade"], "id": 1});
    ask(&mut exchange, 5, &request.to_string());
    exchange.advance(after(2_000));
    let all = exchange.take_deliveries();
    assert!(all.len() > 30 && all.len().is_multiple_of(3));
    for three in all.chunks(3) {
        let conns = [&three[0], &three[1], &three[2]].map(|delivery| delivery.conn.0);
        assert_eq!(conns, [2, 5, 9]);
        let whole = json!({"stream": "btcusdt@trade", "data": parsed(&three[0])});
        assert_eq!(parsed(&three[2]), whole);
        assert_eq!(three[0].text.as_ptr(), three[1].text.as_ptr(), "made twice");
    }
    exchange.close(ConnId(2));
    let property = json!({"method": "SET_PROPERTY", "params": ["combined", true], "id": 1});
    ask(&mut exchange, 5, &property.to_string());
    exchange.advance(after(3_000));
    let all = exchange.take_deliveries();
    assert!(all.iter().all(|delivery| delivery.text.starts_with("{\"stream\":")));
    assert!(all.iter().all(|delivery| delivery.conn != ConnId(2)));
}

#[test]
fn streams_nobody_listens_to_any_more_cost_nothing() {
    let mut streams = Streams::new(&SymbolSpec::default_pair());
    let path = "/public/ws/btcusdt@depth/btcusdt@depth5@500ms/!bookTicker/btcusdt@trade";
    let target = Target::parse(path).expect("a stream path");
    for conn in 0..3 {
        streams.open(ConnId(conn), &target, START);
    }
    assert_eq!(streams.next_due(), after(250));
    (0..3).for_each(|conn| streams.close(ConnId(conn)));
    assert_eq!(streams.next_due(), Nanos(i64::MAX));
    assert!(streams.feeds.iter().flatten().all(Vec::is_empty));
    assert!(streams.by_name.is_empty() && streams.boards.iter().all(Option::is_none));
}

#[test]
fn more_messages_a_second_than_allowed_end_the_connection() {
    let mut exchange = exchange(4);
    open(&mut exchange, 1, "/public/ws");
    let list = "{\"method\":\"LIST_SUBSCRIPTIONS\",\"id\":1}";
    // Ten a second are within the documented limit, however long it goes on.
    for i in 0..30 {
        let now = after(i * 100);
        exchange.message(ConnId(1), Route::Public, list, PEER, now);
    }
    assert!(exchange.take_deliveries().iter().all(|delivery| !delivery.closes));
    for _ in 0..INCOMING_MAX {
        exchange.ping(ConnId(1), after(5_000));
    }
    assert!(exchange.take_deliveries().is_empty());
    exchange.message(ConnId(1), Route::Public, list, PEER, after(5_999));
    let last = exchange.take_deliveries();
    assert_eq!(last.len(), 1);
    assert!(last[0].closes && last[0].conn == ConnId(1));
}

#[test]
fn a_connection_has_no_more_streams_than_allowed() {
    let mut streams = Streams::new(&SymbolSpec::default_pair());
    let target = Target::parse("/public/ws").expect("a stream path");
    streams.open(ConnId(1), &target, START);
    let mut ask = |names: Vec<String>, now: Nanos| {
        let text = json!({"method": "SUBSCRIBE", "params": names, "id": 1}).to_string();
        match streams.control(ConnId(1), &text, now) {
            Control::Answer(text) => serde_json::from_str::<Value>(&text).expect("JSON"),
            Control::Close => panic!("cut off"),
        }
    };
    let names = (0..STREAMS_MAX).map(|i| format!("s{i}@trade")).collect();
    assert_eq!(ask(names, START)["result"], Value::Null);
    let refused = ask(vec!["btcusdt@trade".to_owned()], after(1_000));
    assert_eq!(refused["error"]["code"], 2);
}

#[test]
fn every_pace_of_the_book_is_a_chain_of_its_own_that_leads_to_the_same_book() {
    let mut exchange = exchange(5);
    exchange.advance(after(1_000));
    let names = ["depth@100ms", "depth", "depth@500ms", "rpiDepth@500ms", "depth@0ms"];
    for (conn, name) in names.into_iter().enumerate() {
        open(&mut exchange, conn as u64, &format!("/public/ws/btcusdt@{name}"));
    }
    // The snapshot's id lies within or before the first diff of every pace.
    let mut body = Vec::new();
    assert!(exchange.market.snapshot("BTCUSDT", &mut body));
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let snapshot_id = body["lastUpdateId"].as_i64().expect("an id");
    let mut books = vec![(NaiveBook::default(), 0_i64, 0_u32); names.len()];
    books.iter_mut().for_each(|(book, ..)| book.apply(&body, ["bids", "asks"]));
    let mut fast: BTreeMap<i64, NaiveBook> = BTreeMap::new();
    for tick in 1..=600 {
        exchange.advance(after(1_000 + tick * 100));
        for delivery in exchange.take_deliveries() {
            let diff = parsed(&delivery);
            let [first, last, before] = ["U", "u", "pu"].map(|key| diff[key].as_i64().expect("id"));
            let (book, sent, count) = &mut books[delivery.conn.0 as usize];
            if last < snapshot_id {
                continue;
            }
            if *count == 0 {
                assert!(first <= snapshot_id && snapshot_id <= last || before == snapshot_id);
            } else {
                assert_eq!(before, *sent, "a hole in {}", delivery.topic);
            }
            assert!(before < first && first <= last);
            (*sent, *count) = (last, *count + 1);
            book.apply(&diff, ["b", "a"]);
            if delivery.conn.0 == 0 {
                fast.insert(last, book.clone());
            } else {
                assert_eq!(Some(&*book), fast.get(&last), "{} at {last}", delivery.topic);
            }
        }
        fast.retain(|&id, _| {
            id + 1_000_000 > *books.iter().map(|(_, id, _)| id).min().expect("id")
        });
    }
    let counts: Vec<u32> = books.iter().map(|&(.., count)| count).collect();
    // A minute of messages at each pace; the first may lie before the snapshot.
    for (count, most) in counts.iter().zip([600, 240, 120, 120, 600]) {
        assert!((most - 5..=most).contains(count), "{counts:?}");
    }
}

#[test]
fn partial_books_are_the_best_levels_at_their_time() {
    let mut exchange = exchange(6);
    open(&mut exchange, 5, "/public/ws/ethusdt@depth5@100ms");
    open(&mut exchange, 20, "/public/ws/ethusdt@depth20@100ms");
    let spec = SymbolSpec::ethusdt();
    let mut seen = 0;
    let mut sent = [0; 2];
    for tick in 1..=100 {
        exchange.advance(after(tick * 100));
        for delivery in exchange.take_deliveries() {
            let (levels, data) = (delivery.conn.0 as usize, parsed(&delivery));
            let book = exchange.market.book(1);
            for (side, key) in [(Side::Buy, "b"), (Side::Sell, "a")] {
                let own: Vec<(i64, i64)> = match side {
                    Side::Buy => book.bids().take(levels).collect(),
                    Side::Sell => book.asks().take(levels).collect(),
                };
                let shown = data[key].as_array().expect("levels").iter();
                let shown: Vec<_> =
                    shown.map(|level| (units(&level[0]), units(&level[1]))).collect();
                let (tick, lot) = (spec.tick_size.0, spec.lot_size.0);
                let own: Vec<_> = own.iter().map(|(px, qty)| (px * tick, qty * lot)).collect();
                assert_eq!(shown, own);
            }
            let sent = &mut sent[usize::from(levels == 20)];
            assert!(*sent == 0 || data["pu"] == *sent);
            *sent = data["u"].as_i64().expect("an id");
            assert_eq!(*sent, exchange.market.at(1).last_id());
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen} messages");
}

#[test]
fn user_events_reach_the_connections_that_listen_and_want_them() {
    let key = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1";
    let mut streams = Streams::new(&SymbolSpec::default_pair());
    let mut open = |conn: u64, path: String| {
        streams.open(ConnId(conn), &Target::parse(&path).expect("a stream path"), START);
    };
    open(1, format!("/private/ws/{key}"));
    open(2, format!("/private/ws?listenKey={key}&events=ACCOUNT_UPDATE"));
    open(3, format!("/ws/{key}"));
    open(4, "/private/stream".to_owned());
    open(5, "/private/ws/another".to_owned());
    open(6, format!("/market/ws/{key}"));
    let subscribe = json!({"method": "SUBSCRIBE", "params": [key], "id": "x"}).to_string();
    streams.control(ConnId(4), &subscribe, START);
    let mut told = |event: &str| {
        let mut out = Vec::new();
        streams.tell(key, event, "{\"e\":1}", START, &mut out);
        out.into_iter().map(|own| (own.conn.0, own.text.to_string())).collect::<Vec<_>>()
    };
    let raw = "{\"e\":1}".to_owned();
    let combined = format!("{{\"stream\":\"{key}\",\"data\":{raw}}}");
    let orders = vec![(1, raw.clone()), (3, raw.clone()), (4, combined.clone())];
    assert_eq!(told("ORDER_TRADE_UPDATE"), orders);
    assert_eq!(
        told("ACCOUNT_UPDATE"),
        vec![(1, raw.clone()), (2, raw.clone()), (3, raw), (4, combined)]
    );
}

#[test]
fn names_longer_than_any_stream_are_not_kept() {
    let mut exchange = exchange(5);
    open(&mut exchange, 1, "/private/ws");
    let long = "x".repeat(100_000);
    let subscribe = json!({"method": "SUBSCRIBE", "params": [long], "id": 1}).to_string();
    let refused = ask(&mut exchange, 1, &subscribe);
    assert_eq!(refused["error"]["code"], 2, "{refused}");
    let listed = ask(&mut exchange, 1, "{\"method\": \"LIST_SUBSCRIPTIONS\", \"id\": 2}");
    assert_eq!(listed["result"], json!([]));
}
