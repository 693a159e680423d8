//! Security, limits, orders and the trading WebSocket API, request by request.

use crate::exchange_desk::{
    Desk, OPENED, PEER, ed25519_key, ed25519_sign, header, hmac, hmac_key, json, request,
};
use crate::schema::data_dir;
use peregrine::base::Nanos;
use peregrine::exchange::wire::http::Request;
use serde_json::{Value, json as object};

/// The number behind `timestamp` in a text of any form.
fn time_in(text: &str) -> Option<i64> {
    let rest = &text[text.find("timestamp")? + "timestamp".len()..];
    let rest = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

/// Codes that say the signature, the key or the time was not accepted.
const REFUSALS: [i64; 6] = [-1021, -1022, -1102, -1131, -2014, -2015];

#[test]
fn every_recorded_signature_of_every_client_verifies() {
    let Some(dir) = data_dir() else {
        println!("the shared recordings are absent: no signature was replayed");
        return;
    };
    let mut verified = 0;
    for file in ["ccxt", "ccxt-pro", "python-binance", "binance-sdk"] {
        let path = dir.join(format!("client-requests/{file}.jsonl"));
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let sent: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
            let all = [text("q"), text("body"), text("msg")].concat();
            if !all.contains("signature") {
                continue;
            }
            let mut desk = Desk::open_at(Nanos::from_millis(time_in(&all).unwrap()));
            let answer = if text("t") == "http" {
                json(&desk.send(&request(&text("m"), &text("path"), &text("q"), &text("body"))))
            } else {
                desk.connect();
                let answer: Value = serde_json::from_str(&desk.say(&text("msg"))).unwrap();
                answer.get("error").cloned().unwrap_or_default()
            };
            let code = answer["code"].as_i64().unwrap_or(0);
            assert!(!REFUSALS.contains(&code), "{file}: {line}: {answer}");
            verified += 1;
        }
    }
    assert_eq!(verified, 54, "as many as the recordings' own description counts");
}

#[test]
fn a_changed_byte_of_a_recorded_request_is_refused() {
    let now = Nanos::from_millis(1_795_374_028_952);
    // As the official SDK sent it; the price is another.
    let query = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.01&price=60000.2\
                 &timestamp=1795374028952\
                 &signature=3edc5c7c971b5b22ad580d54b29369bd0754951770da829a1d9210e1fd3610e3";
    let answer = Desk::open_at(now).send(&request("POST", "/fapi/v1/order", query, ""));
    assert_eq!((answer.status, json(&answer)["code"].as_i64()), (400, Some(-1022)));
}

#[test]
fn each_way_of_not_proving_who_asks_has_its_own_refusal() {
    let now = OPENED.to_millis();
    let signed = |text: &str| format!("{text}&signature={}", hmac(text));
    let good = signed(&format!("timestamp={now}"));
    let (own, other) = (hmac_key(), "Z".repeat(64));
    for (key, query, status, code, why) in [
        (own.as_str(), good.clone(), 200, 0, "a good request"),
        ("", good.clone(), 401, -2014, "no key"),
        ("short", good.clone(), 401, -2014, "no possible key"),
        (other.as_str(), good.clone(), 401, -2015, "nobody's key"),
        (own.as_str(), format!("timestamp={now}"), 400, -1102, "no signature"),
        (own.as_str(), signed("recvWindow=5000"), 400, -1102, "no time"),
        (own.as_str(), good.replace("signature=", "signature=0"), 400, -1022, "a wrong one"),
        (own.as_str(), format!("{good}&x=1"), 400, -1022, "something behind the signature"),
        (own.as_str(), signed(&format!("timestamp={}", now - 5_001)), 400, -1021, "stale"),
        (own.as_str(), signed(&format!("timestamp={}", now + 1_000)), 400, -1021, "early"),
        (own.as_str(), signed(&format!("recvWindow=60001&timestamp={now}")), 400, -1131, "wide"),
    ] {
        let mut sent = request("GET", "/fapi/v3/balance", &query, "");
        sent.api_key = key.to_owned();
        let answer = Desk::open().send(&sent);
        let told = json(&answer)["code"].as_i64().unwrap_or(0);
        assert_eq!((answer.status, told), (status, code), "{why}");
    }
}

#[test]
fn an_ed25519_key_signs_requests_and_opens_sessions() {
    let mut desk = Desk::open();
    let text = format!("timestamp={}", OPENED.to_millis());
    let signature = ed25519_sign(&text).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let mut sent = request("GET", "/fapi/v3/balance", &format!("{text}&signature={signature}"), "");
    sent.api_key = ed25519_key();
    assert_eq!(desk.send(&sent).status, 200);
    sent.query = sent.query.replace("timestamp=1", "timestamp=2");
    assert_ne!(desk.send(&sent).status, 200);
}

#[test]
fn user_stream_keys_need_a_key_and_no_signature() {
    let mut desk = Desk::open();
    let path = "/fapi/v1/listenKey";
    assert_eq!(json(&desk.send(&request("PUT", path, "", "")))["code"], -1125);
    let first = json(&desk.send(&request("POST", path, "", "")))["listenKey"].clone();
    assert_eq!(first.as_str().map(str::len), Some(64));
    desk.pass(1_800);
    let again = json(&desk.send(&request("POST", path, "", "")))["listenKey"].clone();
    assert_eq!(again, first, "asking again gives the same key");
    let body = format!("listenKey={}", first.as_str().unwrap());
    assert_eq!(json(&desk.send(&request("PUT", path, "", &body)))["listenKey"], first);
    assert_eq!(json(&desk.send(&request("DELETE", path, "", ""))), object!({}));
    assert_eq!(json(&desk.send(&request("PUT", path, "", "")))["code"], -1125);
    let nobody = Request { api_key: String::new(), ..request("POST", path, "", "") };
    assert_eq!(desk.send(&nobody).status, 401);
}

#[test]
fn paths_there_are_not_are_told_apart_from_the_gateways() {
    let mut desk = Desk::open();
    for (method, path) in [
        ("GET", "/fapi/v1/nothing"),
        ("GET", "/fapi/v1/account"),
        ("GET", "/fapi/v1/balance"),
        ("GET", "/fapi/v1/positionRisk"),
        ("PATCH", "/fapi/v1/order"),
        ("POST", "/fapi/v1/depth"),
    ] {
        let answer = desk.call(method, path, "");
        let text = format!("Path {path}, Method {method} is invalid");
        assert_eq!(json(&answer), object!({"code": -5000, "msg": text}));
        assert_eq!(answer.status, 404);
    }
    let page = desk.send(&request("GET", "/favicon.ico", "", ""));
    assert_eq!((page.status, page.content_type), (404, "text/html"));
    for path in ["/sapi/v1/capital/config/getall", "/sapi/v1/margin/allPairs"] {
        assert_eq!(desk.ok("GET", path, ""), object!([]));
    }
    let ping = desk.send(&request("GET", "/api/v3/ping", "", ""));
    assert_eq!((ping.status, json(&ping)), (200, object!({})));
}

#[test]
fn what_a_key_may_do_is_told_to_whom_it_signs_for_and_of_that_key_alone() {
    let mut desk = Desk::open();
    let path = "/sapi/v1/account/apiRestrictions";
    // The names of the venue's documentation.
    let usual = object!({
        "ipRestrict": true, "createTime": 1_698_645_219_000_i64, "enableReading": true,
        "enableWithdrawals": false, "enableInternalTransfer": false, "enableMargin": false,
        "enableFutures": true, "permitsUniversalTransfer": false, "enableVanillaOptions": false,
        "enableFixApiTrade": false, "enableFixReadOnly": true,
        "enableSpotAndMarginTrading": false, "enablePortfolioMarginTrading": false,
    });
    assert_eq!(desk.ok("GET", path, "recvWindow=5000"), usual);
    assert_eq!(json(&desk.send(&request("GET", path, "", "")))["code"], -1102, "unsigned");
    let forged = format!("timestamp={}&signature={}", OPENED.to_millis(), "0".repeat(64));
    assert_eq!(json(&desk.send(&request("GET", path, &forged, "")))["code"], -1022);
    let accounts = &mut desk.exchange.accounts;
    accounts.set_right(&ed25519_key(), "enableWithdrawals", true).unwrap();
    assert_eq!(desk.ok("GET", path, ""), usual, "that was another key of the account");
    let accounts = &mut desk.exchange.accounts;
    accounts.set_right(&hmac_key(), "enableMargin", true).unwrap();
    assert!(accounts.set_right(&hmac_key(), "enableMagic", true).is_err());
    assert!(accounts.set_right("nobody's", "enableMargin", true).is_err());
    let told = desk.ok("GET", path, "");
    assert_eq!([&told["enableMargin"], &told["enableWithdrawals"]], [true, false]);
    desk.exchange.accounts.set_right(&hmac_key(), "enableReading", false).unwrap();
    assert_eq!(desk.code("GET", path, ""), -2015, "who may not read is told nothing");
}

#[test]
fn answers_tell_what_was_used_and_orders_what_was_ordered() {
    let mut desk = Desk::open();
    let answer = desk.call("GET", "/fapi/v3/balance", "");
    assert_eq!(header(&answer, "x-mbx-used-weight-1m"), Some("5"));
    assert_eq!(header(&answer, "x-mbx-order-count-1m"), None);
    assert!(header(&answer, "x-response-time").is_some());
    let answer = desk.call("GET", "/fapi/v1/openOrders", "");
    assert_eq!(header(&answer, "x-mbx-used-weight-1m"), Some("45"), "40 for all contracts");
    let answer = desk.call("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT");
    assert_eq!(header(&answer, "x-mbx-used-weight-1m"), Some("46"), "1 for one");
    let params = format!("{LIMIT}&price={}", desk.px(-2));
    let answer = desk.call("POST", "/fapi/v1/order", &params);
    assert_eq!(header(&answer, "x-mbx-order-count-10s"), Some("1"));
    assert_eq!(header(&answer, "x-mbx-order-count-1m"), Some("1"));
    assert_eq!(header(&answer, "x-mbx-used-weight-1m"), Some("46"), "an order weighs nothing");
    desk.pass(10);
    let answer = desk.call("POST", "/fapi/v1/batchOrders", "batchOrders=[{}]");
    assert_eq!(header(&answer, "x-mbx-order-count-10s"), Some("5"));
    assert_eq!(header(&answer, "x-mbx-order-count-1m"), Some("2"));
    desk.pass(50);
    let answer = desk.call("GET", "/fapi/v1/order", "symbol=BTCUSDT&orderId=1");
    assert_eq!(header(&answer, "x-mbx-used-weight-1m"), Some("1"), "a new minute");
}

#[test]
fn going_on_after_429_ends_in_a_ban_that_cuts_off_everything() {
    let mut desk = Desk::open();
    desk.exchange.limits.settings.weight_minute = 10;
    desk.exchange.limits.settings.patience = 2;
    assert_eq!(desk.call("GET", "/fapi/v3/balance", "").status, 200);
    assert_eq!(desk.call("GET", "/fapi/v3/balance", "").status, 200);
    let answer = desk.call("GET", "/fapi/v3/balance", "");
    assert_eq!((answer.status, json(&answer)["code"].as_i64()), (429, Some(-1003)));
    assert_eq!(header(&answer, "retry-after"), Some("60"));
    assert_eq!(desk.call("DELETE", "/fapi/v1/order", "symbol=BTCUSDT&orderId=1").status, 429);
    let answer = desk.call("GET", "/fapi/v3/balance", "");
    assert_eq!((answer.status, header(&answer, "retry-after")), (418, Some("120")));
    let until = format!("IP banned until {}.", OPENED.to_millis() + 120_000);
    assert!(json(&answer)["msg"].as_str().unwrap().contains(&until));
    desk.connect();
    let answer = desk.ask("order.status", &[("symbol", "BTCUSDT"), ("orderId", "1")]);
    assert_eq!(answer["status"], 418, "the other way in shares the count: {answer}");
    desk.pass(120);
    assert_eq!(desk.call("GET", "/fapi/v3/balance", "").status, 200);
}

const LIMIT: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01";

#[test]
fn an_order_beyond_the_accounts_count_is_refused_and_not_placed() {
    let mut desk = Desk::open();
    desk.exchange.limits.settings.orders_ten_seconds = 1;
    let params = format!("{LIMIT}&price={}", desk.px(-2));
    desk.ok("POST", "/fapi/v1/order", &params);
    let answer = desk.call("POST", "/fapi/v1/order", &params);
    assert_eq!((answer.status, json(&answer)["code"].as_i64()), (429, Some(-1015)));
    assert_eq!(desk.ok("GET", "/fapi/v1/openOrders", "").as_array().unwrap().len(), 1);
    desk.ok("DELETE", "/fapi/v1/allOpenOrders", "symbol=BTCUSDT");
}

#[test]
fn an_acknowledged_market_order_looks_new_and_a_result_looks_filled() {
    let mut desk = Desk::open();
    let market = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.01";
    let ack = desk.ok("POST", "/fapi/v1/order", market);
    assert_eq!((&ack["status"], &ack["executedQty"]), (&object!("NEW"), &object!("0.000")));
    let found =
        desk.ok("GET", "/fapi/v1/order", &format!("symbol=BTCUSDT&orderId={}", ack["orderId"]));
    assert_eq!((&found["status"], &found["executedQty"]), (&object!("FILLED"), &object!("0.010")));
    let result = desk.ok("POST", "/fapi/v1/order", &format!("{market}&newOrderRespType=RESULT"));
    assert_eq!(
        (&result["status"], &result["executedQty"]),
        (&object!("FILLED"), &object!("0.010"))
    );
    assert!(result.get("avgPrice").is_none(), "left the answers to orders on 2026-07-15");
    assert_ne!(found["avgPrice"], "0.00000");
    let ioc = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.01&price={}\
         &newOrderRespType=RESULT",
        desk.px(-3)
    );
    assert_eq!(desk.ok("POST", "/fapi/v1/order", &ioc)["status"], "EXPIRED");
    assert_eq!(
        desk.code("POST", "/fapi/v1/order", &format!("{market}&newOrderRespType=FULL")),
        -1136
    );
}

#[test]
fn an_order_is_placed_seen_changed_and_cancelled() {
    let mut desk = Desk::open();
    let (px, other) = (desk.px(-2), desk.px(-3));
    let placed =
        desk.ok("POST", "/fapi/v1/order", &format!("{LIMIT}&price={px}&newClientOrderId=my-1"));
    let id = placed["orderId"].clone();
    let by_name = "symbol=BTCUSDT&origClientOrderId=my-1";
    assert_eq!(desk.ok("GET", "/fapi/v1/openOrder", by_name)["orderId"], id);
    let change = format!("{by_name}&side=BUY&quantity=0.02&price={other}");
    let changed = desk.ok("PUT", "/fapi/v1/order", &change);
    assert_eq!((&changed["orderId"], &changed["origQty"]), (&id, &object!("0.020")));
    let history = desk.ok("GET", "/fapi/v1/orderAmendment", "symbol=BTCUSDT");
    assert_eq!(history[0]["amendment"]["origQty"], object!({"before": "0.01", "after": "0.02"}));
    assert_eq!(desk.ok("DELETE", "/fapi/v1/order", by_name)["status"], "CANCELED");
    assert_eq!(desk.code("DELETE", "/fapi/v1/order", by_name), -2011);
    assert_eq!(desk.code("GET", "/fapi/v1/openOrder", by_name), -2013);
    assert_eq!(desk.ok("GET", "/fapi/v1/order", by_name)["status"], "CANCELED");
}

#[test]
fn malformed_orders_are_refused_with_the_venues_codes() {
    let mut desk = Desk::open();
    let order = format!("{LIMIT}&price={}", desk.px(-2));
    let with = |from: &str, to: &str| order.replace(from, to);
    for (params, code) in [
        (with("symbol=BTCUSDT&", ""), -1102),
        (with("BTCUSDT", "NOTHING"), -1121),
        (with("side=BUY", "side=HOLD"), -1117),
        (with("side=BUY&", ""), -1102),
        (with("type=LIMIT", "type=ICEBERG"), -1116),
        (with("GTC", "GTX2"), -1115),
        (with("&timeInForce=GTC", ""), -1102),
        (with("&quantity=0.01", ""), -1102),
        (with("type=LIMIT", "type=STOP_MARKET"), -4120),
        (with("type=LIMIT", "type=TRAILING_STOP_MARKET"), -4120),
        (with("type=LIMIT", "type=MARKET"), -1106),
        (format!("{order}&newClientOrderId=a%20b"), -4015),
        (format!("{order}&newClientOrderId={}", "a".repeat(37)), -4015),
        (format!("{order}&positionSide=UP"), -4060),
        (format!("{order}&priceMatch=OPPONENT_10"), -5037),
        (format!("{order}&selfTradePreventionMode=MAYBE"), -5039),
        (format!("{order}&reduceOnly=maybe"), -1130),
        (format!("{order}&closePosition=true"), -4136),
        (with("GTC", "GTD"), -1102),
    ] {
        assert_eq!(desk.code("POST", "/fapi/v1/order", &params), code, "{params}");
        assert_eq!(desk.code("POST", "/fapi/v1/order/test", &params), code, "test: {params}");
    }
    assert_eq!(desk.ok("POST", "/fapi/v1/order/test", &order)["status"], "NEW");
    assert_eq!(desk.ok("GET", "/fapi/v1/openOrders", ""), object!([]), "a test places nothing");
}

/// A request signed in its body.
fn in_body(desk: &mut Desk, method: &str, path: &str, params: &str) -> Value {
    let text = format!("{params}&timestamp={}", desk.now.to_millis());
    let body = format!("{text}&signature={}", hmac(&text));
    json(&desk.send(&request(method, path, "", &body)))
}

#[test]
fn a_batch_succeeds_and_fails_order_by_order_in_both_encodings() {
    let mut desk = Desk::open();
    let px = desk.px(-2);
    let one = format!(
        "{{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":\"0.01\",\
         \"price\":\"{px}\",\"timeInForce\":\"GTC\"}}"
    );
    let bad = one.replace("BTCUSDT", "NOTHING");
    let plain = format!("batchOrders=[{one},{bad}]");
    // As python-binance sends it: blanks as +, the rest percent-encoded.
    let form = plain.replace(',', ", ").replace(' ', "+").replace('"', "%22").replace('{', "%7B");
    for params in [plain, form] {
        let answer = in_body(&mut desk, "POST", "/fapi/v1/batchOrders", &params);
        assert_eq!(answer[0]["status"], "NEW", "{answer}");
        assert_eq!(answer[1], object!({"code": -1121, "msg": "Invalid symbol."}));
    }
    let open = desk.ok("GET", "/fapi/v1/openOrders", "symbol=BTCUSDT");
    let ids: Vec<String> =
        open.as_array().unwrap().iter().map(|order| order["orderId"].to_string()).collect();
    let list = format!("symbol=BTCUSDT&orderIdList=[{},1]", ids.join(","));
    let answer = desk.ok("DELETE", "/fapi/v1/batchOrders", &list);
    assert_eq!(answer[0]["status"], "CANCELED");
    assert_eq!(answer[2]["code"], -2011);
    let six = format!("batchOrders=[{}]", vec![one; 6].join(","));
    assert_eq!(desk.code("POST", "/fapi/v1/batchOrders", &six), -4082);
    assert_eq!(desk.code("POST", "/fapi/v1/batchOrders", "batchOrders=nothing"), -1130);
}

#[test]
fn any_id_comes_back_and_what_is_no_request_has_none() {
    let mut desk = Desk::open();
    desk.connect();
    for id in ["1", "\"1\"", "\"ccfed1baf9275bea091178\"", "null", "12345678901234567890", "1.50"] {
        let answer = desk.say(&format!("{{\"id\":{id},\"method\":\"session.status\"}}"));
        assert!(answer.starts_with(&format!("{{\"id\":{id},\"status\":200,")), "{answer}");
    }
    for text in ["", "nonsense", "[]", "{\"id\":1}", "{\"id\":1,\"method\":\"time\",\"params\":3}"]
    {
        let answer = desk.say(text);
        assert!(answer.starts_with("{\"id\":null,\"status\":400,\"error\":{"), "{answer}");
    }
    let answer: Value =
        serde_json::from_str(&desk.say("{\"id\":9,\"method\":\"order.fly\"}")).unwrap();
    assert_eq!((&answer["id"], &answer["status"]), (&object!(9), &object!(400)));
}

#[test]
fn socket_signatures_are_over_sorted_parameters_as_they_were_sent() {
    let mut desk = Desk::open();
    desk.connect();
    let (key, time) = (hmac_key(), OPENED.to_millis());
    // A number with a zero at its end and a flag: neither is written anew.
    let text = format!(
        "apiKey={key}&price=50000.10&quantity=0.0100&returnRateLimits=false&side=BUY\
         &symbol=BTCUSDT&timeInForce=GTC&timestamp={time}&type=LIMIT"
    );
    let message = |signature: &str| {
        format!(
            "{{\"id\":1,\"method\":\"order.place\",\"params\":{{\"type\":\"LIMIT\",\
             \"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"quantity\":0.0100,\"price\":50000.10,\
             \"timeInForce\":\"GTC\",\"returnRateLimits\":false,\"timestamp\":{time},\
             \"apiKey\":\"{key}\",\"signature\":\"{signature}\"}}}}"
        )
    };
    let answer: Value = serde_json::from_str(&desk.say(&message(&hmac(&text)))).unwrap();
    assert_eq!(answer["result"]["price"], "50000.10", "{answer}");
    assert!(answer.get("rateLimits").is_none());
    let answer: Value = serde_json::from_str(&desk.say(&message(&hmac("else")))).unwrap();
    assert_eq!((&answer["status"], &answer["error"]["code"]), (&object!(400), &object!(-1022)));
}

#[test]
fn the_socket_trades_as_rest_does() {
    let mut desk = Desk::open();
    desk.connect();
    let (px, other) = (desk.px(-2), desk.px(-3));
    let order = [
        ("symbol", "BTCUSDT"),
        ("side", "BUY"),
        ("type", "LIMIT"),
        ("timeInForce", "GTC"),
        ("quantity", "0.01"),
    ];
    let placed = desk.ask("order.place", &[&order[..], &[("price", &px)]].concat());
    assert_eq!((&placed["status"], &placed["result"]["status"]), (&object!(200), &object!("NEW")));
    let kinds: Vec<&str> = placed["rateLimits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["rateLimitType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]);
    let id = placed["result"]["orderId"].to_string();
    let named = [("symbol", "BTCUSDT"), ("orderId", id.as_str())];
    assert_eq!(desk.ask("order.status", &named)["result"]["status"], "NEW");
    let change = [&named[..], &[("side", "BUY"), ("quantity", "0.02"), ("price", &other)]].concat();
    assert_eq!(desk.ask("order.modify", &change)["result"]["origQty"], "0.020");
    assert_eq!(desk.ask("order.cancel", &named)["result"]["status"], "CANCELED");
    let gone = desk.ask("order.cancel", &named);
    assert_eq!((&gone["status"], &gone["error"]["code"]), (&object!(400), &object!(-2011)));
}

#[test]
fn a_session_stands_in_for_key_and_signature_until_it_ends() {
    let mut desk = Desk::open();
    desk.connect();
    let now = OPENED.to_millis();
    let refused = desk.ask("session.logon", &[]);
    assert_eq!(refused["error"]["code"], -4056, "only Ed25519 keys: {refused}");
    let key = ed25519_key();
    let bare = format!(
        "{{\"id\":2,\"method\":\"v2/account.balance\",\"params\":{{\"timestamp\":{now}}}}}"
    );
    let ask =
        |desk: &mut Desk, text: &str| -> Value { serde_json::from_str(&desk.say(text)).unwrap() };
    assert_eq!(ask(&mut desk, &bare)["error"]["code"], -1102);
    let signature = ed25519_sign(&format!("apiKey={key}&timestamp={now}"));
    let logon = format!(
        "{{\"id\":1,\"method\":\"session.logon\",\"params\":{{\"apiKey\":\"{key}\",\
         \"timestamp\":{now},\"signature\":\"{signature}\"}}}}"
    );
    assert_eq!(ask(&mut desk, &logon)["result"]["apiKey"], key);
    assert_eq!(ask(&mut desk, &bare)["status"], 200);
    desk.pass(10);
    assert_eq!(ask(&mut desk, &bare)["error"]["code"], -1021, "the time still counts");
    ask(&mut desk, "{\"id\":3,\"method\":\"session.logout\"}");
    assert_eq!(ask(&mut desk, &bare)["error"]["code"], -1102);
    ask(&mut desk, &logon);
    desk.exchange.close(crate::exchange_desk::SOCKET);
    desk.connect();
    assert_eq!(ask(&mut desk, &bare)["error"]["code"], -1102, "a new connection knows nobody");
}

#[test]
fn market_data_and_user_streams_are_on_the_socket_too() {
    let mut desk = Desk::open();
    desk.connect();
    let ask =
        |desk: &mut Desk, text: &str| -> Value { serde_json::from_str(&desk.say(text)).unwrap() };
    let depth = "{\"id\":1,\"method\":\"depth\",\"params\":{\"symbol\":\"BTCUSDT\",\"limit\":5}}";
    let answer = ask(&mut desk, depth);
    assert_eq!(answer["result"]["bids"].as_array().unwrap().len(), 5);
    // 2 for five levels and 5 for the handshake.
    assert_eq!(answer["rateLimits"][0]["count"], 7);
    let answer = ask(&mut desk, &depth.replace("BTCUSDT", "NOTHING"));
    assert_eq!((&answer["status"], &answer["error"]["code"]), (&object!(400), &object!(-1121)));
    let stream = |what: &str| {
        let key = hmac_key();
        format!(
            "{{\"id\":1,\"method\":\"userDataStream.{what}\",\"params\":{{\"apiKey\":\"{key}\"}}}}"
        )
    };
    let key = ask(&mut desk, &stream("start"))["result"]["listenKey"].clone();
    assert_eq!(ask(&mut desk, &stream("ping"))["result"]["listenKey"], key);
    assert_eq!(ask(&mut desk, &stream("stop"))["result"], object!({}));
    assert_eq!(ask(&mut desk, &stream("ping"))["error"]["code"], -1125);
    assert!(desk.exchange.limits.used(PEER, desk.now) > 0);
}

#[test]
fn a_machine_that_cannot_keep_up_judges_requests_by_the_clock_not_by_what_has_happened() {
    let mut desk = Desk::open();
    desk.exchange.lag = peregrine::base::Nanos::from_secs(8);
    let sent = desk.now.to_millis() + 8_000;
    let text = format!("timestamp={sent}");
    let query = format!("{text}&signature={}", hmac(&text));
    let answer = desk.send(&request("GET", "/fapi/v3/balance", &query, ""));
    assert_eq!(answer.status, 200, "{}", json(&answer));
    let time = desk.send(&request("GET", "/fapi/v1/time", "", ""));
    assert_eq!(json(&time)["serverTime"], sent);
    assert_eq!(desk.code("GET", "/fapi/v3/balance", ""), -1021, "sent eight seconds ago");
}
