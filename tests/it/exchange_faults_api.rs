//! Faults of requests, of orders and of the market, each seen by a client and compared with the
//! exchange's own ledger.

use crate::exchange_sim::{Answer, Http, OPENED_MS, Sim, Wire, resting, sign};
use serde_json::{Value, json};
use std::io::ErrorKind;

const ORDER: &str = "target = { method = 'POST', path = '/fapi/v1/order' }";

fn placed(fault: &str) -> (Sim, std::io::Result<Answer>) {
    let sim = Sim::start(&format!("[[fault]]\n{fault}\n{ORDER}\ncount = 1"));
    let answer = sim.rest_order("mine");
    (sim, answer)
}

#[test]
fn what_fails_before_the_exchange_leaves_no_order() {
    for (kind, status, code) in [
        ("unavailable", 503, -1000),
        ("overloaded", 503, -1008),
        ("internal_error", 503, -1001),
        ("rate_limited", 429, -1003),
        ("banned", 418, -1003),
        ("key_revoked", 401, -2015),
        ("bad_signature", 400, -1022),
    ] {
        let (mut sim, answer) = placed(&format!("kind = '{kind}'"));
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.code()), (status, code), "{kind}: {answer:?}");
        assert!(sim.ledger_order("mine").is_none(), "{kind}");
        assert_eq!(sim.rest_order("again").unwrap().status, 200, "{kind}: once only");
    }
    let (mut sim, answer) = placed("kind = 'firewall'");
    let answer = answer.unwrap();
    assert!(answer.status == 403 && answer.body.contains("<H1>403 ERROR</H1>"), "{answer:?}");
    assert!(sim.ledger_order("mine").is_none());
}

#[test]
fn what_fails_after_the_exchange_leaves_the_order_and_no_word_of_it() {
    for (fault, status, says) in [
        ("kind = 'unknown_after_accept'", 503, "Unknown error, please check your request or try"),
        ("kind = 'timeout_after_accept'", 408, "-1007"),
        ("kind = 'gateway_after_accept'", 502, "<h1>502 Bad Gateway</h1>"),
        ("kind = 'gateway_after_accept'\nstatus = 504", 504, "<h1>504 Gateway Timeout</h1>"),
        ("kind = 'empty_body'", 200, ""),
        ("kind = 'truncated_json'", 200, "{\"orderId\":"),
    ] {
        let (mut sim, answer) = placed(fault);
        let answer = answer.unwrap();
        assert!(answer.status == status && answer.body.contains(says), "{fault}: {answer:?}");
        assert!(serde_json::from_str::<Value>(&answer.body).is_err() || status != 200, "{fault}");
        let order = sim.ledger_order("mine").expect("it was carried out");
        assert_eq!(order["status"], "NEW", "{fault}");
    }
}

#[test]
fn answers_get_lost_with_their_connection_or_alone() {
    let (mut sim, answer) = placed("kind = 'close_after_accept'");
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(sim.ledger_order("mine").is_some());
    for (kind, carried_out) in [("lost_answer", true), ("lost_request", false)] {
        let mut sim = Sim::start(&format!("[[fault]]\nkind = '{kind}'\n{ORDER}\ncount = 1"));
        let mut http = sim.http();
        let target = sim.signed_target("/fapi/v1/order", &resting("mine"));
        http.send(format!("POST {target} HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", sim.key()).as_bytes());
        sim.step(30_000);
        assert!(http.is_silent(), "{kind}");
        assert_eq!(sim.ledger_order("mine").is_some(), carried_out, "{kind}");
    }
}

#[test]
fn limits_and_bans_say_until_when() {
    let mut sim = Sim::start(
        "[[fault]]\nkind = 'rate_limited'\nretry_after_s = 7\nuntil = 1000\n\
         [[fault]]\nkind = 'banned'\nms = 60000\nfrom = 1000\nuntil = 61000",
    );
    let answer = sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap();
    assert!(answer.head.contains("retry-after: 7\r\n"), "{}", answer.head);
    assert!(answer.head.contains("x-mbx-used-weight-1m: 2400\r\n"), "{}", answer.head);
    sim.step(1_000);
    let until = sim.now_ms + 60_000;
    for _ in 0..2 {
        let answer = sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap();
        assert_eq!(answer.status, 418);
        assert!(answer.body.contains(&format!("IP banned until {until}.")), "{}", answer.body);
        sim.step(10_000);
    }
    sim.step(41_000);
    assert_eq!(sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap().status, 200);
}

#[test]
fn protection_under_load_lets_through_what_reduces() {
    let mut sim = Sim::start("[[fault]]\nkind = 'overloaded'\nfrom = 10");
    assert_eq!(sim.rest_order("mine").unwrap().status, 200);
    sim.step(10);
    assert_eq!(sim.rest_order("other").unwrap().code(), -1008);
    let name = "symbol=BTCUSDT&origClientOrderId=mine";
    assert_eq!(sim.signed("DELETE", "/fapi/v1/order", name).unwrap().status, 200);
}

#[test]
fn a_clock_that_is_ahead_refuses_timestamps_until_the_client_follows_it() {
    let mut sim = Sim::start("[[fault]]\nkind = 'clock_skew'\nms = 6000\nfrom = 100\nuntil = 200");
    sim.step(100);
    let answer = sim.signed("GET", "/fapi/v1/openOrders", "").unwrap();
    assert_eq!((answer.status, answer.code()), (400, -1021));
    let time = sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap().json();
    assert_eq!(time["serverTime"], OPENED_MS + 100 + 6_000);
    let query = format!("timestamp={}", time["serverTime"]);
    let signature = sign(sim.server.api_secret(), &query);
    let target = format!("/fapi/v1/openOrders?{query}&signature={signature}");
    assert_eq!(sim.http().request("GET", &target, &[&sim.key()], "").unwrap().status, 200);
    sim.step(100);
    assert_eq!(sim.signed("GET", "/fapi/v1/openOrders", "").unwrap().status, 200);
}

#[test]
fn an_order_is_not_found_for_a_while_after_it_was_taken_on() {
    let mut sim = Sim::start("[[fault]]\nkind = 'query_lag'\nms = 2000");
    sim.rest_order("mine").unwrap();
    let name = "symbol=BTCUSDT&origClientOrderId=mine";
    let code = |sim: &Sim, path| sim.signed("GET", path, name).unwrap().json()["code"].as_i64();
    sim.step(1_999);
    assert_eq!(code(&sim, "/fapi/v1/order"), Some(-2013));
    assert_eq!(code(&sim, "/fapi/v1/openOrder"), Some(-2013));
    sim.step(1);
    assert_eq!(code(&sim, "/fapi/v1/order"), None);
}

#[test]
fn a_cancellation_is_acknowledged_and_the_fill_still_comes() {
    let mut sim = Sim::start("[[fault]]\nkind = 'late_fill'\nms = 500\ncount = 1");
    let mut user = sim.user_stream();
    sim.rest_order("mine").unwrap();
    let wallet = sim.ledger()["wallet"].as_i64().unwrap();
    let name = "symbol=BTCUSDT&origClientOrderId=mine";
    let sound = Sim::start("");
    sound.rest_order("mine").unwrap();
    let truth = sound.signed("DELETE", "/fapi/v1/order", name).unwrap().json();
    let said = sim.signed("DELETE", "/fapi/v1/order", name).unwrap().json();
    assert_eq!(said["status"], "CANCELED");
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let sorted = |mut keys: Vec<String>| {
        keys.sort();
        keys
    };
    assert_eq!(sorted(keys(&said)), sorted(keys(&truth)), "the words of a real cancellation");
    sim.step(499);
    assert!(sim.ledger_order("mine").unwrap()["fills"].as_array().unwrap().is_empty());
    sim.step(1);
    // 0.010 at 58 800 is 588 USDT; the maker's fee of 2 basis points on it is 0.1176.
    let order = sim.ledger_order("mine").unwrap();
    assert_eq!((&order["status"], &order["filled"]), (&json!("FILLED"), &json!(1_000_000)));
    assert_eq!((&order["quote"], &order["fee"]), (&json!(58_800_000_000_i64), &json!(11_760_000)));
    assert_eq!(sim.ledger()["wallet"].as_i64().unwrap(), wallet - 11_760_000);
    let events = user.texts();
    let trade = events.iter().find(|e| e["o"]["x"] == "TRADE").expect("a fill on the stream");
    assert_eq!((&trade["o"]["X"], trade["o"]["L"].as_str()), (&json!("FILLED"), Some("58800")));
    let told = sim.signed("GET", "/fapi/v1/order", name).unwrap().json();
    assert_eq!((&told["status"], &told["executedQty"]), (&json!("FILLED"), &json!("0.010")));
}

#[test]
fn cancellations_are_acknowledged_and_an_order_stays() {
    let mut sim = Sim::start("[[fault]]\nkind = 'cancel_stays'\ncount = 2");
    ["a", "b", "c"].iter().for_each(|id| assert_eq!(sim.rest_order(id).unwrap().status, 200));
    let said = sim.signed("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT").unwrap();
    assert_eq!((said.status, said.code()), (200, 200));
    let open = |sim: &Sim| -> Vec<String> {
        let open = sim.signed("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT").unwrap().json();
        let name = |order: &Value| order["clientOrderId"].as_str().unwrap().to_owned();
        open.as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(open(&sim), ["c"]);
    let name = "symbol=BTCUSDT&origClientOrderId=c";
    let said = sim.signed("DELETE", "/fapi/v1/order", name).unwrap().json();
    assert_eq!(said["status"], "CANCELED");
    assert_eq!(open(&sim), ["c"]);
    assert_eq!(sim.signed("DELETE", "/fapi/v1/order", name).unwrap().status, 200);
    assert!(open(&sim).is_empty(), "the third time it goes");
    assert_eq!(sim.ledger_order("c").unwrap()["status"], "CANCELED");
}

#[test]
fn a_listen_key_expires_is_told_and_then_is_unknown() {
    let mut sim = Sim::start("[[fault]]\nkind = 'expire_listen_key'\nat = 1000");
    let key = sim.listen_key();
    let mut user = sim.wire(&format!("/private/ws?listenKey={key}"));
    sim.step(1_000);
    let told = user.json();
    assert_eq!((&told["e"], &told["listenKey"]), (&json!("listenKeyExpired"), &json!(key)));
    let kept = sim.http().request("PUT", "/fapi/v1/listenKey", &[&sim.key()], "").unwrap();
    assert_eq!((kept.status, kept.code()), (400, -1125));
    sim.rest_order("unheard").unwrap();
    sim.step(100);
    assert!(user.texts().is_empty(), "open and silent");
}

#[test]
fn an_order_that_its_owner_did_not_send_is_told_like_any_other() {
    let script = "[[fault]]\nkind = 'foreign_order'\nsymbol = 'BTCUSDT'\nside = 'BUY'\n\
                  quantity = '0.005'\nbps = -100\nat = 1000";
    let mut sim = Sim::start(script);
    let mut user = sim.user_stream();
    sim.step(1_000);
    let event = user.json();
    let name = event["o"]["c"].as_str().unwrap().to_owned();
    assert!(name.starts_with("web_") && event["o"]["X"] == "NEW", "{event}");
    let open = sim.signed("GET", "/fapi/v1/openOrders", "").unwrap().json();
    assert_eq!(open[0]["clientOrderId"], json!(name));
    assert_eq!(sim.ledger_order(&name).unwrap()["qty"], 500_000);
}

fn info(sim: &Sim) -> Value {
    let info = sim.http().request("GET", "/fapi/v1/exchangeInfo", &[], "").unwrap().json();
    info["symbols"][0].clone()
}

#[test]
fn filters_change_and_orders_of_before_no_longer_fit() {
    let script = "[[fault]]\nkind = 'filter_change'\nsymbol = 'BTCUSDT'\ntick_times = 5\n\
                  step_times = 10\nnotional_times = 20\nat = 1000";
    let mut sim = Sim::start(script);
    let order = |sim: &Sim, qty: &str, px: &str| {
        let params =
            format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity={qty}&price={px}");
        sim.signed("POST", "/fapi/v1/order", &params).unwrap()
    };
    assert_eq!(order(&sim, "0.011", "58800.10").status, 200);
    sim.step(1_000);
    // The tick of 0.10 has become 0.50, the step of 0.001 has become 0.010, 50 USDT 1 000.
    assert_eq!(order(&sim, "0.020", "58800.10").code(), -4014);
    assert_eq!(order(&sim, "0.021", "58800.50").code(), -4023);
    assert_eq!(order(&sim, "0.010", "58800.50").code(), -4164);
    assert_eq!(order(&sim, "0.020", "58800.50").status, 200);
    let filters = info(&sim)["filters"].as_array().unwrap().clone();
    let filter = |name: &str| filters.iter().find(|f| f["filterType"] == name).unwrap();
    assert_eq!(filter("PRICE_FILTER")["tickSize"], "0.50");
    assert_eq!(filter("LOT_SIZE")["stepSize"], "0.010");
    assert_eq!(filter("MIN_NOTIONAL")["notional"], "1000");
}

#[test]
fn a_halted_contract_trades_no_more_and_a_settling_one_says_so() {
    for kind in ["halt", "settle"] {
        let script =
            format!("[[fault]]\nkind = '{kind}'\nsymbol = 'BTCUSDT'\nfrom = 1000\nuntil = 3000");
        let mut sim = Sim::start(&script);
        let mut trades = sim.wire("/market/stream?streams=btcusdt@aggTrade/ethusdt@aggTrade");
        sim.step(1_000);
        trades.texts();
        sim.step(2_000);
        let during = trades.texts();
        assert!(during.iter().all(|text| text["stream"] == "ethusdt@aggTrade"), "{kind}");
        let refused = sim.rest_order("mine").unwrap();
        assert_eq!(refused.status, 200, "{kind}: over by now: {refused:?}");
        sim.step(3_000);
        assert!(trades.texts().iter().any(|text| text["stream"] == "btcusdt@aggTrade"), "{kind}");
    }
    let mut sim = Sim::start("");
    sim.sim("POST", "/sim/settle", &json!({"symbol": "BTCUSDT"}));
    assert_eq!(info(&sim)["status"], "SETTLING");
    assert!(sim.rest_order("mine").unwrap().status != 200);
    sim.sim("POST", "/sim/resume", &json!({"symbol": "BTCUSDT"}));
    assert_eq!(info(&sim)["status"], "TRADING");
    assert_eq!(sim.rest_order("mine").unwrap().status, 200);
}

/// Best bid over REST.
fn bid(sim: &Sim) -> f64 {
    let target = "/fapi/v1/depth?symbol=BTCUSDT&limit=5";
    let book = sim.http().request("GET", target, &[], "").unwrap().json();
    book["bids"][0][0].as_str().unwrap().parse().unwrap()
}

#[test]
fn prices_spike_marks_diverge_and_funding_spikes() {
    let script = "
        [[fault]]
        kind = 'price_spike'
        symbol = 'BTCUSDT'
        bps = 300
        at = 1000
        [[fault]]
        kind = 'mark_divergence'
        symbol = 'BTCUSDT'
        bps = 200
        from = 20000
        until = 22000
        [[fault]]
        kind = 'funding_spike'
        symbol = 'BTCUSDT'
        bps = 75
        from = 20000
        until = 22000
    ";
    let mut sim = Sim::start(script);
    let mut marks = sim.wire("/market/ws/btcusdt@markPrice@1s");
    sim.step(999);
    let before = bid(&sim);
    let mut trades = sim.wire("/market/ws/btcusdt@aggTrade");
    sim.step(1);
    let moved = bid(&sim) / before;
    // 3 % at once, within the drift of a millisecond.
    assert!((1.029..1.031).contains(&moved), "{moved}");
    let prices = trades.texts();
    let last = prices.last().expect("a trade at the new price")["p"].as_str().unwrap();
    assert!((last.parse::<f64>().unwrap() / before - 1.03).abs() < 0.001, "{last}");
    sim.step(10_000);
    assert!((1.025..1.035).contains(&(bid(&sim) / before)), "it stays there");
    let mut read = |sim: &mut Sim| {
        sim.step(1_000);
        let mark = marks.texts().pop().expect("a mark price each second");
        let number = |key: &str| mark[key].as_str().unwrap().parse::<f64>().unwrap();
        (number("p") / number("i"), number("r"))
    };
    sim.step(8_500);
    let (usual, rate) = read(&mut sim);
    assert!((usual - 1.0).abs() < 0.002 && rate.abs() < 0.002, "{usual} {rate}");
    let (apart, rate) = read(&mut sim);
    assert!((apart - 1.02).abs() < 0.002 && (rate - 0.0075).abs() < 0.002, "{apart} {rate}");
    sim.step(1_000);
    let (usual, rate) = read(&mut sim);
    assert!((usual - 1.0).abs() < 0.002 && rate.abs() < 0.002, "{usual} {rate}");
}

/// A request to the trading API and its answer.
fn call(sim: &Sim, wire: &mut Wire, method: &str, params: &Value) -> Value {
    let mut params = params.as_object().cloned().unwrap();
    params.insert("apiKey".to_owned(), json!(sim.server.api_key()));
    params.insert("timestamp".to_owned(), json!(sim.now_ms));
    let mut sorted: Vec<(String, String)> = params
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().map_or(value.to_string(), str::to_owned)))
        .collect();
    sorted.sort();
    let text = sorted.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>();
    let signature = sign(sim.server.api_secret(), &text.join("&"));
    params.insert("signature".to_owned(), json!(signature));
    wire.send(&json!({"id": "1", "method": method, "params": params}).to_string());
    wire.json()
}

fn api_order(client_id: &str) -> Value {
    json!({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
           "quantity": "0.010", "price": "58800", "newClientOrderId": client_id})
}

#[test]
fn the_trading_api_fails_in_the_same_ways_in_its_own_words() {
    let target = "target = { route = 'api', method = 'order.place' }\ncount = 1";
    for (kind, status, code, carried_out) in [
        ("unavailable", 503, -1000, false),
        ("overloaded", 503, -1008, false),
        ("rate_limited", 429, -1003, false),
        ("key_revoked", 401, -2015, false),
        ("unknown_after_accept", 503, -1000, true),
        ("timeout_after_accept", 408, -1007, true),
        ("gateway_after_accept", 502, -1006, true),
    ] {
        let mut sim = Sim::start(&format!("[[fault]]\nkind = '{kind}'\n{target}"));
        let mut wire = sim.wire("/ws-fapi/v1");
        let said = call(&sim, &mut wire, "order.place", &api_order("mine"));
        assert_eq!((said["status"].as_i64(), &said["id"]), (Some(status), &json!("1")), "{said}");
        assert_eq!(said["error"]["code"], code, "{kind}: {said}");
        assert_eq!(sim.ledger_order("mine").is_some(), carried_out, "{kind}");
    }
    let mut sim = Sim::start(&format!("[[fault]]\nkind = 'lost_answer'\n{target}"));
    let mut wire = sim.wire("/ws-fapi/v1");
    wire.send("{\"id\":0,\"method\":\"ping\"}");
    assert_eq!(wire.json()["id"], 0);
    let said = {
        let mut other = sim.wire("/ws-fapi/v1");
        other.send(&json!({"id": 9, "method": "order.place", "params": {}}).to_string());
        other.send("{\"id\":10,\"method\":\"ping\"}");
        other.json()
    };
    assert_eq!(said["id"], 10, "the answer to 9 was lost");
    let mut sim2 = Sim::start(&format!("[[fault]]\nkind = 'close_after_accept'\n{target}"));
    let mut wire = sim2.wire("/ws-fapi/v1");
    wire.send(&json!({"id": 9, "method": "order.place", "params": {}}).to_string());
    assert!(!wire.until_end().2, "cut without an answer");
    assert_eq!((sim.hits(), sim2.hits()), (1, 1));
}

#[test]
fn a_cancellation_over_the_trading_api_is_acknowledged_and_the_fill_still_comes() {
    let mut sim = Sim::start("[[fault]]\nkind = 'late_fill'\nms = 50\ncount = 1");
    let mut wire = sim.wire("/ws-fapi/v1");
    assert_eq!(call(&sim, &mut wire, "order.place", &api_order("mine"))["status"], 200);
    let name = json!({"symbol": "BTCUSDT", "origClientOrderId": "mine"});
    let said = call(&sim, &mut wire, "order.cancel", &name);
    assert_eq!((&said["status"], &said["result"]["status"]), (&json!(200), &json!("CANCELED")));
    sim.step(50);
    assert_eq!(sim.ledger_order("mine").unwrap()["status"], "FILLED");
}

#[test]
fn faults_are_added_listed_and_taken_out_while_it_runs() {
    let mut sim = Sim::start("");
    let fault = json!({"kind": "unavailable", "target": {"path": "/fapi/v1/time"}});
    let added = sim.sim("POST", "/sim/faults", &fault);
    let time = |sim: &Sim| sim.http().request("GET", "/fapi/v1/time", &[], "").unwrap().status;
    assert_eq!(time(&sim), 503);
    let listed = sim.sim("GET", "/sim/faults", &Value::Null);
    assert_eq!((&listed[0]["id"], &listed[0]["hits"]), (&added["id"], &json!(1)));
    sim.sim("DELETE", "/sim/faults", &added);
    assert_eq!(time(&sim), 200);
    for (body, says) in [
        (json!({"kind": "nonsense"}), "kind: \"nonsense\""),
        (json!({"kind": "delay", "ms": 1, "speed": 2}), "speed: unknown key"),
        (json!({"kind": "halt", "symbol": "NOPE"}), "symbol: \"NOPE\" is not traded"),
        (json!({"kind": "delay", "ms": -1}), "ms: a whole number"),
    ] {
        let refused = sim.try_sim("POST", "/sim/faults", &body);
        assert_eq!(refused.status, 400, "{refused:?}");
        let text = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(sim.try_sim("DELETE", "/sim/faults", &json!({"id": 99})).status, 400);
    assert_eq!(sim.try_sim("GET", "/sim/nonsense", &Value::Null).status, 404);
}

#[test]
fn admin_endpoints_do_at_once_what_faults_do_by_time() {
    let mut sim = Sim::start("");
    let key = sim.listen_key();
    let mut user = sim.wire(&format!("/private/ws?listenKey={key}"));
    let mut ticker = sim.wire("/public/ws/btcusdt@bookTicker");
    sim.sim("POST", "/sim/halt", &json!({"symbol": "BTCUSDT"}));
    let state = sim.sim("GET", "/sim/state", &Value::Null);
    assert_eq!((&state["symbols"][0]["halted"], &state["streams"]), (&json!(true), &json!(2)));
    assert_eq!((&state["time"], &state["clock"]), (&json!(OPENED_MS), &json!("stepped")));
    sim.sim("POST", "/sim/resume", &json!({"symbol": "BTCUSDT"}));
    let before = bid(&sim);
    sim.sim("POST", "/sim/shock", &json!({"symbol": "BTCUSDT", "bps": -500}));
    assert!((0.949..0.951).contains(&(bid(&sim) / before)));
    sim.sim("POST", "/sim/expire_listen_key", &json!({}));
    assert_eq!(user.json()["e"], "listenKeyExpired");
    let cut = sim.sim("POST", "/sim/disconnect", &json!({"target": {"route": "public"}}));
    assert_eq!(cut, json!({"cut": 1}));
    assert!(!ticker.until_end().2);
    assert_eq!(sim.sim("GET", "/sim/state", &Value::Null)["streams"], 1);
    let mut other: Http = sim.http();
    assert_eq!(other.request("GET", "/sim/state", &[], "").unwrap().status, 200);
}
