//! Private answers and user events have the keys, types and formats of the venue's own.
//!
//! Every account, trade, user stream and WebSocket API sample of the shared data is compared with
//! what this exchange sends for the same request or event. A difference that is meant stands in
//! `DIFFERENCES` with its reason; any other fails, and so does a row that explains nothing.

use crate::exchange_desk::{Desk, ed25519_key, ed25519_sign, header, hmac_key, json};
use crate::exchange_schema_differences::{ABSENT, DIFFERENCES};
use crate::exchange_schema_events::EVENTS;
use crate::schema::{Trust, data_dir, differences, sample};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;

/// An account with a position, an open order and a conditional order.
fn staged() -> Desk {
    let mut desk = Desk::open();
    desk.connect();
    desk.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.05");
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01";
    let px = desk.px(-2);
    desk.ok("POST", "/fapi/v1/order", &format!("{order}&price={px}&newClientOrderId=open-1"));
    let algo = filled(&desk, ALGO);
    desk.ok("POST", "/fapi/v1/algoOrder", &format!("{algo}&clientAlgoId=algo-1"));
    desk.pass(1);
    desk
}

const ALGO: &str = "algoType=CONDITIONAL&symbol=BTCUSDT&side=SELL&type=TAKE_PROFIT&timeInForce=GTC\
                    &quantity=0.01&price={high}&triggerPrice={high}";

/// Parameters with prices put in.
fn filled(desk: &Desk, params: &str) -> String {
    params.replace("{high}", &desk.px(3)).replace("{low}", &desk.px(-3))
}

const OWN: &str = "symbol=BTCUSDT&origClientOrderId=open-1";
const ORDER: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={low}";
const BATCH: &str = "batchOrders=[{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\
                     \"timeInForce\":\"GTC\",\"quantity\":\"0.01\",\"price\":\"{low}\"},\
                     {\"symbol\":\"NOTHING\"}]";
const BATCH_CHANGE: &str = "batchOrders=[{\"symbol\":\"BTCUSDT\",\"side\":\"BUY\",\
                            \"origClientOrderId\":\"open-1\",\"quantity\":\"0.01\",\
                            \"price\":\"{low}\"},{\"symbol\":\"NOTHING\"}]";

/// Sample, method, path, parameters.
const REST: &[(&str, &str, &str, &str)] = &[
    ("account--rest-api--Account-Config", "GET", "v1/accountConfig", ""),
    ("account--rest-api--Account-Information-V2--2", "GET", "v2/account", ""),
    ("account--rest-api--Account-Information-V2", "GET", "v2/account", ""),
    ("account--rest-api--Account-Information-V3--2", "GET", "v3/account", ""),
    ("account--rest-api--Account-Information-V3", "GET", "v3/account", ""),
    ("account--rest-api--Futures-Account-Balance-V2", "GET", "v2/balance", ""),
    ("account--rest-api--Futures-Account-Balance-V3", "GET", "v3/balance", ""),
    (
        "account--rest-api--Futures-Trading-Quantitative-Rules-Indicators",
        "GET",
        "v1/apiTradingStatus",
        "",
    ),
    (
        "account--rest-api--Futures-Trading-Quantitative-Rules-Indicators--2",
        "GET",
        "v1/apiTradingStatus",
        "",
    ),
    ("account--rest-api--Get-BNB-Burn-Status", "GET", "v1/feeBurn", ""),
    ("account--rest-api--Get-Current-Multi-Assets-Mode", "GET", "v1/multiAssetsMargin", ""),
    ("account--rest-api--Get-Current-Position-Mode", "GET", "v1/positionSide/dual", ""),
    ("account--rest-api--Get-Income-History", "GET", "v1/income", ""),
    ("account--rest-api--Notional-and-Leverage-Brackets", "GET", "v1/leverageBracket", ""),
    (
        "account--rest-api--Notional-and-Leverage-Brackets--2",
        "GET",
        "v1/leverageBracket",
        "symbol=ETHUSDT",
    ),
    ("account--rest-api--Query-Rate-Limit", "GET", "v1/rateLimit/order", ""),
    ("account--rest-api--Symbol-Config", "GET", "v1/symbolConfig", ""),
    ("account--rest-api--Toggle-BNB-Burn-On-Futures-Trade", "POST", "v1/feeBurn", "feeBurn=true"),
    ("account--rest-api--User-Commission-Rate", "GET", "v1/commissionRate", "symbol=BTCUSDT"),
    ("trade--rest-api", "POST", "v1/order", ORDER),
    ("trade--rest-api--Account-Trade-List", "GET", "v1/userTrades", "symbol=BTCUSDT"),
    ("trade--rest-api--All-Orders", "GET", "v1/allOrders", "symbol=BTCUSDT"),
    (
        "trade--rest-api--Auto-Cancel-All-Open-Orders",
        "POST",
        "v1/countdownCancelAll",
        "symbol=BTCUSDT&countdownTime=100000",
    ),
    ("trade--rest-api--Cancel-Algo-Order", "DELETE", "v1/algoOrder", "clientAlgoId=algo-1"),
    (
        "trade--rest-api--Cancel-All-Algo-Open-Orders",
        "DELETE",
        "v1/algoOpenOrders",
        "symbol=BTCUSDT",
    ),
    ("trade--rest-api--Cancel-All-Open-Orders", "DELETE", "v1/allOpenOrders", "symbol=BTCUSDT"),
    (
        "trade--rest-api--Cancel-Multiple-Orders",
        "DELETE",
        "v1/batchOrders",
        "symbol=BTCUSDT&origClientOrderIdList=[\"open-1\",\"none\"]",
    ),
    ("trade--rest-api--Cancel-Order", "DELETE", "v1/order", OWN),
    (
        "trade--rest-api--Change-Initial-Leverage",
        "POST",
        "v1/leverage",
        "symbol=BTCUSDT&leverage=21",
    ),
    (
        "trade--rest-api--Change-Margin-Type",
        "POST",
        "v1/marginType",
        "symbol=ETHUSDT&marginType=ISOLATED",
    ),
    ("trade--rest-api--Current-All-Algo-Open-Orders", "GET", "v1/openAlgoOrders", ""),
    ("trade--rest-api--Current-All-Open-Orders", "GET", "v1/openOrders", ""),
    ("trade--rest-api--Modify-Multiple-Orders", "PUT", "v1/batchOrders", BATCH_CHANGE),
    (
        "trade--rest-api--Modify-Order",
        "PUT",
        "v1/order",
        "symbol=BTCUSDT&origClientOrderId=open-1&side=BUY&quantity=0.01&price={low}",
    ),
    ("trade--rest-api--New-Algo-Order", "POST", "v1/algoOrder", ALGO),
    ("trade--rest-api--New-Order-Test", "POST", "v1/order/test", ORDER),
    ("trade--rest-api--Place-Multiple-Orders", "POST", "v1/batchOrders", BATCH),
    ("trade--rest-api--Position-Information-V2--2", "GET", "v2/positionRisk", ""),
    ("trade--rest-api--Position-Information-V3--2", "GET", "v3/positionRisk", ""),
    ("trade--rest-api--Position-Information-V3", "GET", "v3/positionRisk", ""),
    ("trade--rest-api--Query-Algo-Order", "GET", "v1/algoOrder", "clientAlgoId=algo-1"),
    ("trade--rest-api--Query-All-Algo-Orders", "GET", "v1/allAlgoOrders", "symbol=BTCUSDT"),
    ("trade--rest-api--Query-Current-Open-Order", "GET", "v1/openOrder", OWN),
    ("trade--rest-api--Query-Order", "GET", "v1/order", OWN),
    ("user-data-streams--Start-User-Data-Stream", "POST", "v1/listenKey", ""),
    ("nautilus/rust-adapter/http_json/account_info_v2", "GET", "v2/account", ""),
    ("nautilus/rust-adapter/http_json/balance", "GET", "v2/balance", ""),
    ("nautilus/rust-adapter/http_json/order_response", "GET", "v1/order", OWN),
    ("nautilus/rust-adapter/http_json/position_risk", "GET", "v2/positionRisk", ""),
    ("nautilus/rust-adapter/http_json/open_algo_orders", "GET", "v1/openAlgoOrders", ""),
    ("nautilus/py-adapter/http_futures_account_orders", "GET", "v1/allOrders", "symbol=BTCUSDT"),
    (
        "nautilus/py-adapter/http_futures_account_position_side_dual",
        "GET",
        "v1/positionSide/dual",
        "",
    ),
    ("nautilus/py-adapter/http_futures_account_positions_hedge", "GET", "v2/positionRisk", ""),
    ("nautilus/py-adapter/http_futures_account_positions_one_way", "GET", "v2/positionRisk", ""),
    ("nautilus/py-adapter/http_futures_account_symbol_config", "GET", "v1/symbolConfig", ""),
    ("nautilus/py-adapter/http_futures_account_trades", "GET", "v1/userTrades", "symbol=BTCUSDT"),
    (
        "nautilus/py-adapter/http_futures_wallet_commission_rate_btcusdt",
        "GET",
        "v1/commissionRate",
        "symbol=BTCUSDT",
    ),
    (
        "nautilus/py-adapter/http_futures_wallet_commission_rate_ethusdt",
        "GET",
        "v1/commissionRate",
        "symbol=ETHUSDT",
    ),
];

type Prepare = fn(&mut Desk) -> Value;

/// Samples whose request needs something done before, and what.
const PREPARED: &[(&str, Prepare)] = &[
    ("trade--rest-api--Change-Multi-Assets-Mode", |_| {
        Desk::open().ok("POST", "/fapi/v1/multiAssetsMargin", "multiAssetsMargin=true")
    }),
    ("trade--rest-api--Change-Position-Mode", |_| {
        Desk::open().ok("POST", "/fapi/v1/positionSide/dual", "dualSidePosition=true")
    }),
    ("trade--rest-api--Users-Force-Orders", |_| {
        // Twelve times the account's money on one price: a fall by a tenth ends it.
        let mut desk = Desk::open();
        desk.ok("POST", "/fapi/v1/leverage", "symbol=BTCUSDT&leverage=50");
        desk.ok("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=2");
        desk.exchange.market.at_mut(0).shock(-2_000);
        // A second's mark prices at a time, a minute at most.
        let ended = (0..60).find_map(|_| {
            desk.pass(1);
            let forced = desk.ok("GET", "/fapi/v1/forceOrders", "");
            forced.as_array().is_some_and(|list| !list.is_empty()).then_some(forced)
        });
        ended.unwrap()
    }),
    ("user-data-streams--Keepalive-User-Data-Stream", |desk| {
        desk.ok("POST", "/fapi/v1/listenKey", "");
        desk.ok("PUT", "/fapi/v1/listenKey", "")
    }),
    ("trade--rest-api--Get-Order-Modify-History", |desk| {
        let change = filled(desk, "side=BUY&quantity=0.01&price={low}");
        desk.ok("PUT", "/fapi/v1/order", &format!("{OWN}&{change}"));
        desk.ok("GET", "/fapi/v1/orderAmendment", "symbol=BTCUSDT")
    }),
    ("trade--rest-api--Modify-Isolated-Position-Margin", isolated),
    ("trade--rest-api--Get-Position-Margin-Change-History", |desk| {
        isolated(desk);
        desk.ok("GET", "/fapi/v1/positionMargin/history", "symbol=ETHUSDT")
    }),
    ("trade--rest-api--Position-ADL-Quantile-Estimation", |_| {
        let mut desk = Desk::open();
        desk.ok("POST", "/fapi/v1/positionSide/dual", "dualSidePosition=true");
        let order = "type=MARKET&quantity=0.05&side=BUY&positionSide=LONG";
        desk.ok("POST", "/fapi/v1/order", &format!("symbol=BTCUSDT&{order}"));
        desk.ok("GET", "/fapi/v1/adlQuantile", "")
    }),
];

/// Adds 100 USDT to an isolated position.
fn isolated(desk: &mut Desk) -> Value {
    desk.ok("POST", "/fapi/v1/marginType", "symbol=ETHUSDT&marginType=ISOLATED");
    desk.ok("POST", "/fapi/v1/order", "symbol=ETHUSDT&side=BUY&type=MARKET&quantity=1");
    desk.ok("POST", "/fapi/v1/positionMargin", "symbol=ETHUSDT&type=1&amount=100")
}

/// Names and values.
type Pairs = &'static [(&'static str, &'static str)];

/// Sample, method, parameters.
const SOCKET: &[(&str, &str, Pairs)] = &[
    ("account--websocket-api--2", "v2/account.balance", &[]),
    ("account--websocket-api--Account-Information--2", "account.status", &[]),
    ("account--websocket-api--Account-Information--3", "account.status", &[]),
    ("account--websocket-api--Account-Information-V2--2", "v2/account.status", &[]),
    ("account--websocket-api--Account-Information-V2--3", "v2/account.status", &[]),
    ("account--websocket-api--Futures-Account-Balance--2", "account.balance", &[]),
    ("trade--websocket-api--2", "order.place", PLACE),
    (
        "trade--websocket-api--Cancel-Algo-Order--2",
        "algoOrder.cancel",
        &[("clientAlgoId", "algo-1")],
    ),
    ("trade--websocket-api--Cancel-Order--2", "order.cancel", NAMED),
    ("trade--websocket-api--Modify-Order--2", "order.modify", CHANGE),
    ("trade--websocket-api--New-Algo-Order--2", "algoOrder.place", PLACE_ALGO),
    ("trade--websocket-api--Position-Info-V2--2", "v2/account.position", &[]),
    ("trade--websocket-api--Position-Info-V2--3", "v2/account.position", &[]),
    ("trade--websocket-api--Position-Information--2", "account.position", &[]),
    ("trade--websocket-api--Position-Information--3", "account.position", &[]),
    ("trade--websocket-api--Query-Order--2", "order.status", NAMED),
    ("user-data-streams--Start-User-Data-Stream-Wsp--2", "userDataStream.start", &[]),
    ("user-data-streams--Keepalive-User-Data-Stream-Wsp--2", "userDataStream.ping", &[]),
    ("user-data-streams--Close-User-Data-Stream-Wsp--2", "userDataStream.stop", &[]),
    ("websocket-api-general-info--2", "order.place", PLACE),
    (
        "websocket-api-general-info--3",
        "order.place",
        &[
            ("symbol", "BTCUSDT"),
            ("side", "BUY"),
            ("type", "LIMIT"),
            ("timeInForce", "GTC"),
            ("price", "1"),
        ],
    ),
    ("websocket-api-general-info--8", "session.status", &[("returnRateLimits", "false")]),
    ("websocket-api-general-info--10", "session.logout", &[("returnRateLimits", "false")]),
    ("market-data--websocket-api--2", "depth", &[("symbol", "BTCUSDT")]),
    (
        "market-data--websocket-api--Symbol-Order-Book-Ticker--2",
        "ticker.book",
        &[("symbol", "BTCUSDT")],
    ),
    ("market-data--websocket-api--Symbol-Order-Book-Ticker--3", "ticker.book", &[]),
    (
        "market-data--websocket-api--Symbol-Price-Ticker--2",
        "ticker.price",
        &[("symbol", "BTCUSDT")],
    ),
    ("market-data--websocket-api--Symbol-Price-Ticker--3", "ticker.price", &[]),
];

const NAMED: &[(&str, &str)] = &[("symbol", "BTCUSDT"), ("origClientOrderId", "open-1")];
const CHANGE: &[(&str, &str)] = &[
    ("symbol", "BTCUSDT"),
    ("origClientOrderId", "open-1"),
    ("side", "BUY"),
    ("quantity", "0.01"),
    ("price", "{low}"),
];
const PLACE: &[(&str, &str)] = &[
    ("symbol", "BTCUSDT"),
    ("side", "BUY"),
    ("type", "LIMIT"),
    ("timeInForce", "GTC"),
    ("quantity", "0.01"),
    ("price", "{low}"),
];
const PLACE_ALGO: &[(&str, &str)] = &[
    ("algoType", "CONDITIONAL"),
    ("symbol", "BTCUSDT"),
    ("side", "SELL"),
    ("type", "TAKE_PROFIT"),
    ("timeInForce", "GTC"),
    ("quantity", "0.01"),
    ("price", "{high}"),
    ("triggerPrice", "{high}"),
];

fn socket(desk: &mut Desk, method: &str, params: &[(&str, &str)]) -> Value {
    if method.starts_with("userDataStream") {
        desk.ask("userDataStream.start", &[]);
    }
    if method == "session.status" {
        logon(desk);
    }
    let params: Vec<(&str, String)> =
        params.iter().map(|(name, value)| (*name, filled(desk, value))).collect();
    let params: Vec<(&str, &str)> =
        params.iter().map(|(name, value)| (*name, value.as_str())).collect();
    desk.ask(method, &params)
}

fn logon(desk: &mut Desk) -> Value {
    let (key, now) = (ed25519_key(), desk.now.to_millis());
    let signature = ed25519_sign(&format!("apiKey={key}&returnRateLimits=false&timestamp={now}"));
    let text = desk.say(&format!(
        "{{\"id\":\"logon-1\",\"method\":\"session.logon\",\"params\":{{\"apiKey\":\"{key}\",\
         \"returnRateLimits\":false,\"timestamp\":{now},\"signature\":\"{signature}\"}}}}"
    ));
    serde_json::from_str(&text).unwrap()
}

/// Everything this exchange sends that a sample is compared with.
fn ours() -> &'static [(String, Value)] {
    static ALL: OnceLock<Vec<(String, Value)>> = OnceLock::new();
    ALL.get_or_init(asked_for)
}

fn asked_for() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (file, method, path, params) in REST {
        let mut desk = staged();
        let params = filled(&desk, params);
        let answer = desk.call(method, &format!("/fapi/{path}"), &params);
        assert_eq!(answer.status, 200, "{file}: {}", json(&answer));
        assert!(header(&answer, "x-mbx-used-weight-1m").is_some());
        all.push(((*file).to_owned(), json(&answer)));
    }
    for (file, act) in PREPARED {
        all.push(((*file).to_owned(), act(&mut staged())));
    }
    for (file, method, params) in SOCKET {
        all.push(((*file).to_owned(), socket(&mut staged(), method, params)));
    }
    all.push(("websocket-api-general-info--6".to_owned(), logon(&mut staged())));
    all.push(("websocket-api-general-info--4".to_owned(), lost_key()));
    for (file, event) in EVENTS {
        all.push(((*file).to_owned(), event(&staged())));
    }
    all
}

/// The answer on a session whose key nobody has any more.
fn lost_key() -> Value {
    let mut desk = staged();
    logon(&mut desk);
    desk.exchange.accounts = Desk::empty_accounts();
    let now = desk.now.to_millis();
    let text =
        format!("{{\"id\":5,\"method\":\"account.status\",\"params\":{{\"timestamp\":{now}}}}}");
    serde_json::from_str(&desk.say(&text)).unwrap()
}

fn sample_of(dir: &Path, file: &str) -> Value {
    let (folder, file) = match file.strip_prefix("nautilus/") {
        Some(rest) => ("nautilus", rest),
        None => ("docs-samples", file),
    };
    let mut value = sample(&dir.join(folder).join(format!("{file}.json")));
    // The stream's wrapping is another test's.
    match value.get_mut("data") {
        Some(data) => data.take(),
        None => value,
    }
}

#[test]
fn every_private_payload_has_the_keys_types_and_formats_of_the_venues() {
    let Some(dir) = data_dir() else {
        println!("the shared samples are absent: nothing was compared");
        return;
    };
    let mut unexplained = Vec::new();
    let mut used = BTreeSet::new();
    for (file, ours) in ours() {
        let sample = sample_of(&dir, file);
        let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
        assert!(!is_empty(ours) || is_empty(&sample), "{file}: nothing was compared");
        for difference in differences(ours, &sample, Trust::Illustrated) {
            let rows = DIFFERENCES.iter().enumerate();
            let row = rows.clone().find(|(_, (files, what, _))| {
                files.iter().any(|start| file.starts_with(start))
                    && what.contains(&difference.as_str())
            });
            match row {
                Some((i, _)) => drop(used.insert(i)),
                None => unexplained.push(format!("{file}: {difference}")),
            }
        }
    }
    assert!(unexplained.is_empty(), "{unexplained:#?}");
    let idle = DIFFERENCES.iter().enumerate().filter(|(i, _)| !used.contains(i));
    let idle: Vec<_> = idle.map(|(_, row)| row).collect();
    assert!(idle.is_empty(), "rows that explain nothing: {idle:#?}");
}

#[test]
fn no_private_sample_is_left_out() {
    let Some(dir) = data_dir() else {
        println!("the shared samples are absent: their list was not compared");
        return;
    };
    let compared: BTreeSet<&str> = ours().iter().map(|(file, _)| file.as_str()).collect();
    let mut left = Vec::new();
    for entry in std::fs::read_dir(dir.join("docs-samples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(file) = name.strip_suffix(".json") else { continue };
        let starts = [
            "account--",
            "trade--",
            "user-data-streams--",
            "websocket-api-general",
            "market-data--websocket",
        ];
        if !starts.iter().any(|start| file.starts_with(start)) || compared.contains(file) {
            continue;
        }
        let value = sample_of(&dir, file);
        if let Some(method) = value["method"].as_str() {
            // A request: this exchange must know its method.
            let mut desk = staged();
            let answer = desk.ask(method, &[]);
            assert_ne!(answer["error"]["code"], -1099, "{file}: {method} is unknown");
        } else if !ABSENT.iter().any(|(absent, _)| *absent == file) {
            left.push(file.to_owned());
        }
    }
    assert!(left.is_empty(), "{left:#?}");
    assert_eq!(hmac_key().len(), 64);
}
