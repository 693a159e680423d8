//! Hostile requests get an answer in the venue's form, whatever they ask.

use crate::exchange_desk::{Desk, json};
use peregrine::exchange::wire::rest::ENDPOINTS;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::Value;

const NAMES: &[&str] = &[
    "symbol",
    "side",
    "type",
    "timeInForce",
    "quantity",
    "price",
    "orderId",
    "origClientOrderId",
    "newClientOrderId",
    "reduceOnly",
    "closePosition",
    "positionSide",
    "priceMatch",
    "goodTillDate",
    "algoType",
    "algoId",
    "triggerPrice",
    "activatePrice",
    "callbackRate",
    "workingType",
    "batchOrders",
    "orderIdList",
    "origClientOrderIdList",
    "countdownTime",
    "leverage",
    "marginType",
    "amount",
    "dualSidePosition",
    "multiAssetsMargin",
    "startTime",
    "endTime",
    "fromId",
    "limit",
    "page",
    "recvWindow",
];

const VALUES: &[&str] = &[
    "BTCUSDT",
    "ETHUSDT",
    "BUY",
    "SELL",
    "LIMIT",
    "MARKET",
    "STOP_MARKET",
    "TRAILING_STOP_MARKET",
    "CONDITIONAL",
    "GTC",
    "GTX",
    "IOC",
    "FOK",
    "GTD",
    "ISOLATED",
    "LONG",
    "QUEUE_20",
    "true",
    "0.01",
    "60000",
    "58000.1",
    "1",
    "0",
    "-1",
    "125",
    "0.00000001",
    "0.000000001",
    "92233720368.54775807",
    "92233720368",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "1e9",
    "NaN",
    "",
    "%00",
    "%ff%fe",
    "%E5%B8%81USDT",
    "[]",
    "[{}]",
    "[1,\"a\",null]",
    "[[[[[[[[",
    "[{\"symbol\":\"BTCUSDT\",\"side\":\"SELL\",\"type\":\"MARKET\",\"quantity\":92233720368}]",
];

/// Parameters that make sense together, into which single hostile ones are put.
const STARTS: &[&str] = &[
    "",
    "symbol=BTCUSDT",
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=58000",
    "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01",
    "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=STOP_MARKET&quantity=1&triggerPrice=59000",
    "symbol=BTCUSDT&side=BUY&quantity=0.02&price=57000&origClientOrderId=a",
];

/// Parameters: a start with some values replaced and some added.
fn params() -> impl Strategy<Value = String> {
    let pair = (select(NAMES), select(VALUES));
    (select(STARTS), prop::collection::vec(pair, 0..4)).prop_map(|(start, pairs)| {
        // The first of a name counts, so what is hostile stands before the start.
        let mut text: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        text.push(start.to_owned());
        text.retain(|part| !part.is_empty());
        text.join("&")
    })
}

/// Requests with one parameter of any type, and any printable text.
const FRAMES: &str = "(\\{\"id\":[0-9]{1,3},\"method\":\"(depth|time|order.place)\",\
    \"params\":\\{\"(symbol|limit)\":\
    (\"BTCUSDT\"|[0-9]{1,25}|null|true|\\[\\]|\\{\\})\\}\\})|[ -~]{0,60}";

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn signed_requests_of_any_parameters_are_answered(
        // Orders stand first in the table and are asked for more often.
        calls in prop::collection::vec(
            (prop_oneof![0..8_usize, 0..ENDPOINTS.len()], params()),
            40,
        ),
    ) {
        let mut desk = Desk::open();
        desk.exchange.limits.settings.weight_minute = u32::MAX;
        desk.exchange.limits.settings.orders_ten_seconds = u32::MAX;
        desk.exchange.limits.settings.orders_minute = u32::MAX;
        for (endpoint, params) in calls {
            let endpoint = &ENDPOINTS[endpoint];
            let answer = desk.call(endpoint.method, endpoint.path, &params);
            let body = json(&answer);
            prop_assert!([200, 400, 401].contains(&answer.status), "{params}: {body}");
            let refused = answer.status != 200;
            prop_assert!(!refused || body["code"].as_i64().is_some_and(|code| code < 0), "{body}");
            desk.now = desk.now + peregrine::base::Nanos::from_millis(20);
        }
        desk.pass(1);
        prop_assert_eq!(sum_of_income(&mut desk), wallet(&mut desk));
    }

    #[test]
    fn texts_of_any_kind_on_the_socket_are_answered(
        texts in prop::collection::vec(FRAMES, 30),
    ) {
        let mut desk = Desk::open();
        desk.connect();
        for text in texts {
            let answer: Value = serde_json::from_str(&desk.say(&text)).unwrap();
            prop_assert!(answer["status"].as_i64().is_some(), "{answer}");
        }
    }
}

fn units(value: &Value) -> i64 {
    peregrine::base::Money::parse(value.as_str().unwrap()).unwrap().0
}

fn sum_of_income(desk: &mut Desk) -> i64 {
    let income = desk.ok("GET", "/fapi/v1/income", "limit=1000");
    income.as_array().unwrap().iter().map(|row| units(&row["income"])).sum()
}

fn wallet(desk: &mut Desk) -> i64 {
    units(&desk.ok("GET", "/fapi/v3/balance", "")[0]["balance"])
}
