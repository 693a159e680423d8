//! A user stream tells what REST tells, sooner.

use crate::exchange_desk::Desk;
use peregrine::exchange::wire::route::Target;
use peregrine::exchange::wire::streams::ConnId;
use serde_json::Value;

const STREAM: ConnId = ConnId(5);

/// Opens the account's user stream.
fn listen(desk: &mut Desk) {
    let key = desk.ok("POST", "/fapi/v1/listenKey", "")["listenKey"].clone();
    let path = format!("/private/ws?listenKey={}", key.as_str().unwrap());
    desk.exchange.open(STREAM, &Target::parse(&path).unwrap(), desk.now);
}

/// What the user stream sent since the last call.
fn told(desk: &mut Desk) -> Vec<Value> {
    let sent = desk.exchange.take_deliveries();
    let own = sent.iter().filter(|delivery| delivery.conn == STREAM);
    own.map(|delivery| serde_json::from_str(&delivery.text).unwrap()).collect()
}

/// A decimal in quotes as whole 1e-8 units.
fn units(value: &Value) -> i64 {
    peregrine::base::Money::parse(value.as_str().unwrap()).unwrap().0
}

#[test]
fn fills_of_the_stream_add_up_to_the_order_and_the_balance_that_rest_tells() {
    let mut desk = Desk::open();
    listen(&mut desk);
    let order = desk.ok(
        "POST",
        "/fapi/v1/order",
        "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.75&newClientOrderId=big",
    );
    let events = told(&mut desk);
    let of = |name: &'static str| events.iter().filter(move |event| event["e"] == name);
    let first = of("ORDER_TRADE_UPDATE").next().unwrap();
    assert_eq!((&first["o"]["x"], &first["o"]["X"]), (&"NEW".into(), &"NEW".into()));
    let fills: Vec<&Value> =
        of("ORDER_TRADE_UPDATE").filter(|event| event["o"]["x"] == "TRADE").collect();
    let filled: i64 = fills.iter().map(|event| units(&event["o"]["l"])).sum();
    assert_eq!(filled, 75_000_000, "0.75 in all");
    assert_eq!(fills.last().unwrap()["o"]["X"], "FILLED");
    assert!(fills.iter().all(|event| event["o"]["i"] == order["orderId"]));
    let light: i64 = of("TRADE_LITE").map(|event| units(&event["l"])).sum();
    assert_eq!(light, filled, "each fill is told once in few words and once in full");

    let trades = desk.ok("GET", "/fapi/v1/userTrades", "symbol=BTCUSDT");
    let fees: i64 = trades.as_array().unwrap().iter().map(|t| units(&t["commission"])).sum();
    assert_eq!(fees, fills.iter().map(|event| units(&event["o"]["n"])).sum::<i64>());
    let balance = desk.ok("GET", "/fapi/v3/balance", "");
    let wallet = units(&of("ACCOUNT_UPDATE").next_back().unwrap()["a"]["B"][0]["wb"]);
    assert_eq!(wallet, units(&balance[0]["balance"]));
    assert_eq!(wallet, 1_000_000_000_000 - fees, "the deposit less the fees");
    let income = desk.ok("GET", "/fapi/v1/income", "limit=1000");
    let sum: i64 = income.as_array().unwrap().iter().map(|row| units(&row["income"])).sum();
    assert_eq!(sum, wallet, "every posting in and out of the wallet");
}

#[test]
fn a_cancellation_and_a_change_of_leverage_are_told_and_an_ended_key_is_silent() {
    let mut desk = Desk::open();
    listen(&mut desk);
    let px = desk.px(-2);
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01";
    desk.ok("POST", "/fapi/v1/order", &format!("{order}&price={px}&newClientOrderId=one"));
    desk.ok("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&origClientOrderId=one");
    desk.ok("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=7");
    let events = told(&mut desk);
    let kinds: Vec<&str> = events
        .iter()
        .map(|event| event["o"]["x"].as_str().or(event["e"].as_str()).unwrap())
        .collect();
    assert_eq!(kinds, ["NEW", "CANCELED", "ACCOUNT_CONFIG_UPDATE"]);
    assert_eq!(events[2]["ac"], serde_json::json!({"s": "BTCUSDT", "l": 7}));
    desk.ok("DELETE", "/fapi/v1/listenKey", "");
    desk.ok("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=8");
    assert_eq!(told(&mut desk), Vec::<Value>::new());
}
