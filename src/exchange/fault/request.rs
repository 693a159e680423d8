//! Requests and answers made wrong, on REST and on the trading WebSocket API.
//!
//! ```text
//!   request ─► strikes before ─► the exchange carries it out ─► strikes after ─► Fate
//!                  │ refused, lost: the exchange never sees it
//! ```

use super::Faults;
use super::kind::{Kind, Point};
use super::target::{Side, Subject};
use super::world::LateFill;
use crate::base::Nanos;
use crate::exchange::venue::Exchange;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::http::{Answer, Request};
use crate::exchange::wire::params::Params;
use crate::exchange::wire::route::Route;
use crate::exchange::wire::streams::{ConnId, Delivery};
use serde_json::{Value, json};
use std::net::IpAddr;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate<T> {
    /// It is answered.
    Answer(T),
    /// It is never answered, and nothing after it on its connection.
    Silence,
    /// Its connection is cut.
    Cut,
}

const THROTTLED: &str = "Request throttled by system-level protection. Reduce-only/close-position \
                         orders are exempt. Please try again.";
const UNKNOWN: &str = "Unknown error, please check your request or try again later.";
const TIMEOUT: &str = "Timeout waiting for response from backend server. Send status unknown; \
                       execution status unknown.";
const INTERNAL: &str = "Internal error; unable to process your request. Please try again.";
const MESSAGE_BUS: &str =
    "An unexpected response was received from the message bus. Execution status unknown.";

/// A request as a subject of faults.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    method: String,
    path: String,
    symbol: String,
    connection: u64,
    route: Option<Route>,
    /// The request can only shrink a position.
    reduces: bool,
}

impl Asked {
    /// From a REST request.
    pub fn rest(request: &Request) -> Self {
        let params = Params::of(&request.query, &String::from_utf8_lossy(&request.body));
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            symbol: params.text("symbol").unwrap_or("").to_owned(),
            reduces: reduces(&request.method, &params),
            ..Self::default()
        }
    }

    /// From a message to the trading API on a connection.
    pub fn api(connection: u64, value: &Value) -> Self {
        let method = value["method"].as_str().unwrap_or("").to_owned();
        let symbol = value["params"]["symbol"].as_str().unwrap_or("").to_owned();
        let reduces = method == "order.cancel" || value["params"]["reduceOnly"] == "true";
        let route = Some(Route::Api);
        Self { method, path: String::new(), symbol, connection, route, reduces }
    }

    /// As faults see it.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            side: if self.route.is_some() { Side::Ws } else { Side::Rest },
            method: &self.method,
            path: &self.path,
            route: self.route,
            topic: if self.route.is_some() { "answer" } else { "" },
            symbol: &self.symbol,
            connection: self.connection,
        }
    }
}

/// What cancels or only reduces: such requests are exempt from protection under load.
fn reduces(method: &str, params: &Params) -> bool {
    let flag = |name| matches!(params.flag(name), Ok(Some(true)));
    method == "DELETE" || flag("reduceOnly") || flag("closePosition")
}

/// Serves a REST request under faults.
pub fn rest(
    exchange: &mut Exchange,
    faults: &mut Faults,
    request: &Request,
    peer: IpAddr,
    now: Nanos,
) -> Fate<Answer> {
    let asked = Asked::rest(request);
    for strike in faults.strikes(Point::Before, &asked.subject(), now) {
        match strike.kind {
            Kind::LostRequest => return Fate::Silence,
            Kind::CancelStays => {
                if let Some(answer) = cancel_stays(exchange, request, peer, now) {
                    return Fate::Answer(answer);
                }
            }
            Kind::LateFill => {
                let after = Nanos::from_millis(strike.numbers[0]);
                if let Some((answer, order)) = cancel_in_words(exchange, request, peer, now) {
                    faults.late.extend(LateFill::of(
                        exchange,
                        &request.api_key,
                        order,
                        now + after,
                    ));
                    return Fate::Answer(answer);
                }
            }
            Kind::Overloaded if asked.reduces => {}
            kind => return Fate::Answer(refusal(kind, &strike.numbers, strike.first, now)),
        }
    }
    let mut answer = exchange.http(request, peer, now);
    for strike in faults.strikes(Point::After, &asked.subject(), now) {
        match strike.kind {
            Kind::CloseAfterAccept => return Fate::Cut,
            Kind::LostAnswer => return Fate::Silence,
            Kind::UnknownAfterAccept => answer = error(503, -1000, UNKNOWN),
            Kind::TimeoutAfterAccept => answer = error(408, -1007, TIMEOUT),
            Kind::GatewayAfterAccept => {
                let status = u16::try_from(strike.numbers[0]).unwrap_or(502);
                answer = crate::exchange::server::page::gateway(status);
            }
            Kind::EmptyBody => answer.body.clear(),
            Kind::TruncatedJson => answer.body.truncate(answer.body.len() / 2),
            Kind::QueryLag => {
                let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                if is_younger(&body, strike.numbers[0], now) {
                    answer = said(&VenueError::NO_SUCH_ORDER);
                }
            }
            _ => {}
        }
    }
    Fate::Answer(answer)
}

/// Serves a message to the trading API under faults: what is to be delivered, and what becomes of
/// the connection.
pub fn api(
    exchange: &mut Exchange,
    faults: &mut Faults,
    conn: ConnId,
    text: &str,
    peer: IpAddr,
    now: Nanos,
) -> (Vec<Delivery>, Fate<()>) {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let asked = Asked::api(conn.0, &value);
    let reply = |text: String| {
        let (topic, text) = ("answer".into(), text.into());
        Delivery { conn, ts: now, topic, text, closes: false }
    };
    for strike in faults.strikes(Point::Before, &asked.subject(), now) {
        let answer = match strike.kind {
            Kind::LostRequest => return (Vec::new(), Fate::Answer(())),
            Kind::Overloaded if asked.reduces => continue,
            Kind::Firewall => return (Vec::new(), Fate::Cut),
            Kind::CancelStays | Kind::LateFill => {
                let Some(found) = cancel_message(exchange, conn, &value, peer, now) else {
                    continue;
                };
                let (answer, account, order) = found;
                if strike.kind == Kind::LateFill {
                    let due = now + Nanos::from_millis(strike.numbers[0]);
                    faults.late.extend(LateFill::by_id(exchange, account, order, due));
                }
                answer
            }
            kind => {
                let refused = refusal(kind, &strike.numbers, strike.first, now);
                enveloped(&value["id"], &refused)
            }
        };
        return (vec![reply(answer)], Fate::Answer(()));
    }
    exchange.message(conn, Route::Api, text, peer, now);
    let mut deliveries = exchange.take_deliveries();
    for strike in faults.strikes(Point::After, &asked.subject(), now) {
        let is_answer = |d: &Delivery| d.conn == conn && d.topic.as_str() == "answer";
        let Some(at) = deliveries.iter().position(is_answer) else { break };
        let whole = deliveries[at].text.as_str();
        let text = match strike.kind {
            Kind::CloseAfterAccept => {
                deliveries.remove(at);
                return (deliveries, Fate::Cut);
            }
            Kind::LostAnswer => {
                deliveries.remove(at);
                break;
            }
            Kind::UnknownAfterAccept => enveloped(&value["id"], &error(503, -1000, UNKNOWN)),
            Kind::TimeoutAfterAccept => enveloped(&value["id"], &error(408, -1007, TIMEOUT)),
            Kind::GatewayAfterAccept => enveloped(&value["id"], &error(502, -1006, MESSAGE_BUS)),
            Kind::EmptyBody => String::new(),
            Kind::TruncatedJson => super::garble::garble(Kind::MalformedJson, whole, 0),
            Kind::QueryLag => {
                let body: Value = serde_json::from_str(whole).unwrap_or_default();
                if !is_younger(&body["result"], strike.numbers[0], now) {
                    continue;
                }
                enveloped(&value["id"], &said(&VenueError::NO_SUCH_ORDER))
            }
            _ => continue,
        };
        deliveries[at].text = text.into();
    }
    (deliveries, Fate::Answer(()))
}

/// True for an order taken on less than `ms` ago.
fn is_younger(order: &Value, ms: i64, now: Nanos) -> bool {
    order["time"].as_i64().is_some_and(|created| now.to_millis() - created < ms)
}

fn error(status: u16, code: i32, text: &'static str) -> Answer {
    said(&VenueError::new(code, text).under(status))
}

fn said(error: &VenueError) -> Answer {
    Answer::json(error.status, error.body())
}

/// What a request is refused with before the exchange sees it.
fn refusal(kind: Kind, numbers: &[i64], first: Nanos, now: Nanos) -> Answer {
    match kind {
        Kind::Unavailable => error(503, -1000, "Service Unavailable."),
        Kind::Overloaded => error(503, -1008, THROTTLED),
        Kind::InternalError => error(503, -1001, INTERNAL),
        Kind::Firewall => crate::exchange::server::page::firewall(),
        Kind::KeyRevoked => said(&VenueError::BAD_KEY.under(401)),
        Kind::BadSignature => said(&VenueError::BAD_SIGNATURE),
        Kind::RateLimited => {
            let text = "Too many requests; current limit is 2400 requests per minute. Please use \
                        the websocket for live updates to avoid polling the API.";
            let mut answer = error(429, -1003, text);
            answer.headers.push(("x-mbx-used-weight-1m", numbers[1].to_string()));
            answer.headers.push(("retry-after", numbers[0].to_string()));
            answer
        }
        Kind::Banned => {
            let until = first + Nanos::from_millis(numbers[0]);
            let text = format!(
                "Way too many requests; IP banned until {}. Please use the websocket for live \
                 updates to avoid bans.",
                until.to_millis()
            );
            let mut answer = said(&VenueError::with(-1003, text).under(418));
            let left = (until - now).to_millis().max(0) / 1_000;
            answer.headers.push(("retry-after", left.to_string()));
            answer
        }
        _ => error(500, -1000, "An unknown error occured while processing the request."),
    }
}

/// An answer as the trading API tells it.
fn enveloped(id: &Value, answer: &Answer) -> String {
    let error: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    json!({"id": id, "status": answer.status, "error": error}).to_string()
}

/// Answers a cancellation as if it had been carried out, and does nothing. The answer and the
/// order's number; `None` where there is nothing to cancel, so that the refusal is the real one.
///
/// The request is turned into a question after the order: the signature is over its parameters,
/// not over its method.
fn cancel_in_words(
    exchange: &mut Exchange,
    request: &Request,
    peer: IpAddr,
    now: Nanos,
) -> Option<(Answer, u64)> {
    let question = Request { method: "GET".to_owned(), ..request.clone() };
    let mut answer = exchange.http(&question, peer, now);
    let order: Value = serde_json::from_slice(&answer.body).ok()?;
    let id = order["orderId"].as_u64()?;
    answer.body = canceled(order, false, now)?.to_string().into_bytes();
    Some((answer, id))
}

/// The same for a message to the trading API: the answer, the account's order and its contract.
fn cancel_message(
    exchange: &mut Exchange,
    conn: ConnId,
    message: &Value,
    peer: IpAddr,
    now: Nanos,
) -> Option<(String, String, u64)> {
    let before = exchange.take_deliveries();
    let mut question = message.clone();
    question["method"] = json!("order.status");
    exchange.message(conn, Route::Api, &question.to_string(), peer, now);
    let found = exchange.take_deliveries();
    exchange.put_back(before);
    let is_answer = |d: &&Delivery| d.conn == conn && d.topic.as_str() == "answer";
    let mut answer: Value =
        serde_json::from_str(found.iter().find(is_answer)?.text.as_str()).ok()?;
    let others = found.iter().filter(|delivery| !is_answer(delivery)).cloned().collect();
    exchange.put_back(others);
    let id = answer["result"]["orderId"].as_u64()?;
    answer["result"] = canceled(answer["result"].take(), true, now)?;
    let client = message["params"]["apiKey"].as_str().unwrap_or("").to_owned();
    Some((answer.to_string(), client, id))
}

/// An order that was asked after, in the words of one that was cancelled; `None` for one that has
/// ended.
fn canceled(mut order: Value, socket: bool, now: Nanos) -> Option<Value> {
    let map = order.as_object_mut()?;
    let is_open = |status: &Value| status == "NEW" || status == "PARTIALLY_FILLED";
    if !map.get("status").is_some_and(is_open) {
        return None;
    }
    map.insert("status".to_owned(), json!("CANCELED"));
    map.insert("updateTime".to_owned(), json!(now.to_millis()));
    map.shift_remove("time");
    let filled = map.get("executedQty").cloned().unwrap_or_default();
    map.insert("cumQty".to_owned(), filled);
    if !socket {
        map.shift_remove("avgPrice");
        map.shift_remove("cumQuote");
    }
    Some(order)
}

/// Cancels in words what was asked for, but leaves the newest order in the book.
fn cancel_stays(
    exchange: &mut Exchange,
    request: &Request,
    peer: IpAddr,
    now: Nanos,
) -> Option<Answer> {
    if request.path == "/fapi/v1/order" {
        return cancel_in_words(exchange, request, peer, now).map(|(answer, _)| answer);
    }
    let (method, path) = ("GET".to_owned(), "/fapi/v1/openOrders".to_owned());
    let question = Request { method, path, ..request.clone() };
    let mut answer = exchange.http(&question, peer, now);
    let open: Vec<Value> = serde_json::from_slice(&answer.body).ok()?;
    let ids: Vec<u64> = open.iter().filter_map(|order| order["orderId"].as_u64()).collect();
    let newest = ids.iter().max()?;
    let contract = exchange.market.index_of(open.first()?["symbol"].as_str()?)?;
    let account = exchange.accounts.find_key(&request.api_key)?.0;
    for id in ids.iter().filter(|id| *id != newest) {
        let name = crate::exchange::account::order::OrderName { id: Some(*id), client_id: None };
        // One that was filled meanwhile is not there to be cancelled.
        let _ = exchange.accounts.cancel(&mut exchange.market, account, contract, &name, now);
    }
    exchange.advance(now);
    let done = json!({"code": 200, "msg": "The operation of cancel all open order is done."});
    answer.body = done.to_string().into_bytes();
    Some(answer)
}
