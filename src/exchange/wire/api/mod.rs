//! The trading WebSocket API: `order.place`, `order.cancel`, `session.logon` and the rest.
//!
//! ```text
//!   {"id","method","params"} ─► method? ─► weight? ─► session, key or signature ─► order count? ─►
//!   {"id","status","result" | "error","rateLimits"}
//! ```
//! A signature is over all parameters but itself, sorted by name, `k=v` joined by `&`, numbers and
//! flags as they were sent. After `session.logon` key and signature may be left out.

mod session;

pub use session::Sessions;

use super::auth;
use super::error::VenueError;
use super::limits::OrderCount;
use super::market_data;
use super::params::{Params, missing};
use super::private::{self, Call, Reply, account, algo, order};
use super::streams::ConnId;
use crate::base::Nanos;
use crate::exchange::Exchange;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

/// What a handshake weighs. It is counted with the connection's first request: opening a connection
/// carries no address.
const HANDSHAKE_WEIGHT: u32 = 5;

/// A request as sent: nothing is read yet that a signature may be over.
#[derive(Debug, Deserialize)]
struct Incoming<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    method: String,
    #[serde(borrow, default)]
    params: Option<BTreeMap<String, &'a RawValue>>,
}

/// A request of one connection, taken apart.
#[derive(Clone, Copy, Debug)]
struct Asked<'a> {
    conn: ConnId,
    peer: IpAddr,
    params: &'a Params,
    /// What a signature is over.
    signed: &'a str,
    now: Nanos,
}

#[derive(Clone, Copy)]
enum Run {
    /// A market data path of REST, whose answer is the result.
    Public(&'static str),
    /// The session of the connection.
    Session(fn(&mut Exchange, &Asked<'_>) -> Reply),
    /// An account's, by key alone.
    Keyed(fn(&mut Call<'_>) -> Reply),
    /// An account's, signed.
    Signed(fn(&mut Call<'_>) -> Reply),
}

struct Method {
    name: &'static str,
    weight: u32,
    /// Counts as one order.
    order: bool,
    run: Run,
}

const fn method(name: &'static str, weight: u32, run: Run) -> Method {
    Method { name, weight, order: false, run }
}

const fn order_method(name: &'static str, weight: u32, run: Run) -> Method {
    Method { name, weight, order: true, run }
}

/// Every method. Weight 0 of a market data method is REST's, which depends on its parameters.
const METHODS: &[Method] = &[
    order_method("order.place", 0, Run::Signed(order::place)),
    order_method("order.modify", 0, Run::Signed(order::modify)),
    method("order.cancel", 1, Run::Signed(order::cancel)),
    method("order.status", 1, Run::Signed(order::query)),
    method("algoOrder.place", 0, Run::Signed(algo::place)),
    method("algoOrder.cancel", 1, Run::Signed(algo::cancel)),
    method("account.balance", 5, Run::Signed(account::balance)),
    method("v2/account.balance", 5, Run::Signed(account::balance)),
    method("account.status", 5, Run::Signed(account::account_v2)),
    method("v2/account.status", 5, Run::Signed(account::account_v3)),
    method("account.position", 5, Run::Signed(account::risk_v2)),
    method("v2/account.position", 5, Run::Signed(account::risk_v3)),
    method("userDataStream.start", 5, Run::Keyed(private::start_stream)),
    method("userDataStream.ping", 1, Run::Keyed(private::keep_stream)),
    method("userDataStream.stop", 1, Run::Keyed(private::end_stream)),
    method("session.logon", 2, Run::Session(session::logon)),
    method("session.status", 2, Run::Session(session::status)),
    method("session.logout", 2, Run::Session(session::logout)),
    method("ticker.price", 0, Run::Public("/fapi/v2/ticker/price")),
    method("ticker.book", 0, Run::Public("/fapi/v1/ticker/bookTicker")),
    method("depth", 0, Run::Public("/fapi/v1/depth")),
    method("time", 0, Run::Public("/fapi/v1/time")),
    method("ping", 0, Run::Public("/fapi/v1/ping")),
];

/// Answers a request on the connection `conn` of `peer`.
pub fn answer(
    exchange: &mut Exchange,
    conn: ConnId,
    text: &str,
    peer: IpAddr,
    now: Nanos,
) -> String {
    let incoming: Incoming<'_> = match serde_json::from_str(text) {
        Ok(incoming) => incoming,
        Err(_) => return envelope("null", Err(VenueError::BAD_JSON), None),
    };
    let id = incoming.id.map_or("null", RawValue::get);
    let sent = incoming.params.unwrap_or_default();
    let (params, signed) = read(&sent);
    let asked = Asked { conn, peer, params: &params, signed: &signed, now };
    let found = METHODS.iter().find(|method| method.name == incoming.method);
    let mut account = None;
    let result = run(exchange, found, &asked, &mut account);
    if matches!(&result, Err(error) if error.status == 401) && exchange.sessions.drop_lost(conn) {
        // The key of an open session is no longer good: nobody's request, so nobody's id.
        return envelope("null", result, None);
    }
    let wanted = params.flag("returnRateLimits").ok().flatten() != Some(false);
    let counts = found.filter(|method| method.order).and(account);
    let limits = wanted.then(|| rate_limits(exchange, peer, counts, now));
    envelope(id, result, limits)
}

/// Parameters as text, and what a signature is over.
fn read(sent: &BTreeMap<String, &RawValue>) -> (Params, String) {
    let mut params = Params::default();
    let mut signed = String::new();
    // A tree of names is sorted by name, as signatures are.
    for (name, value) in sent {
        let raw = value.get();
        let text = match serde_json::from_str::<String>(raw) {
            Ok(text) => text,
            Err(_) => raw.to_owned(),
        };
        if name != "signature" {
            let joint = if signed.is_empty() { "" } else { "&" };
            let _ = write!(signed, "{joint}{name}={text}");
        }
        if raw != "null" {
            params.add(name.clone(), text);
        }
    }
    (params, signed)
}

fn run(
    exchange: &mut Exchange,
    found: Option<&Method>,
    asked: &Asked<'_>,
    account: &mut Option<usize>,
) -> Result<String, VenueError> {
    let handshake = if exchange.sessions.greet(asked.conn) { HANDSHAKE_WEIGHT } else { 0 };
    let market_data = match found {
        Some(Method { run: Run::Public(path), .. }) => {
            let limits = exchange.limits.settings;
            market_data::get(&exchange.market, limits, path, asked.params, asked.now)
        }
        _ => None,
    };
    let own = match &market_data {
        Some(answered) => answered.as_ref().map_or(1, |reply| reply.weight.unwrap_or(0)),
        None => found.map_or(1, |method| method.weight),
    };
    exchange.limits.call(asked.peer, own + handshake, asked.now).map_err(|r| r.error)?;
    if let Some(answered) = market_data {
        return answered.map(|reply| reply.body);
    }
    let Some(method) = found else {
        return Err(VenueError::UNKNOWN_METHOD);
    };
    let handler = match method.run {
        Run::Session(act) => return Ok(act(exchange, asked)?.to_string()),
        Run::Public(_) => return Err(VenueError::UNKNOWN_METHOD),
        Run::Keyed(handler) => {
            let key = asked.params.need("apiKey")?;
            *account = Some(auth::owner_of(&exchange.accounts, key)?.0);
            handler
        }
        Run::Signed(handler) => {
            *account = Some(authorize(exchange, asked)?);
            handler
        }
    };
    let account = account.ok_or(VenueError::BAD_KEY)?;
    if method.order {
        let one = OrderCount { ten_seconds: 1, minute: 1 };
        exchange.limits.order(account, one, asked.now).map_err(|refusal| refusal.error)?;
    }
    let params = asked.params;
    let api_key = params.text("apiKey").unwrap_or_default();
    let mut call = Call { exchange, account, api_key, params, socket: true, now: asked.now };
    Ok(handler(&mut call)?.to_string())
}

/// Whose request it is: by its own signature, or by the session's when it names no key.
fn authorize(exchange: &Exchange, asked: &Asked<'_>) -> Result<usize, VenueError> {
    let params = asked.params;
    let (key, bare) = match (params.text("apiKey"), exchange.sessions.key(asked.conn)) {
        (Some(key), _) => (key, false),
        (None, Some(key)) => (key, true),
        (None, None) => return Err(missing("apiKey")),
    };
    let (account, credential) = auth::owner_of(&exchange.accounts, key)?;
    params.need("timestamp")?;
    if bare {
        auth::check_time(params, exchange.clock(asked.now))?;
        return Ok(account);
    }
    let signature = params.need("signature")?.as_bytes();
    auth::check_time(params, exchange.clock(asked.now))?;
    auth::verify(credential, asked.signed.as_bytes(), signature)?;
    Ok(account)
}

/// The counts that answers tell: of orders in answers to orders, of weight always.
fn rate_limits(exchange: &Exchange, peer: IpAddr, account: Option<usize>, now: Nanos) -> Value {
    let limits = &exchange.limits;
    let row = |kind: &str, interval: &str, number: u32, limit: u32, count: u32| {
        json!({
            "rateLimitType": kind,
            "interval": interval,
            "intervalNum": number,
            "limit": limit,
            "count": count,
        })
    };
    let mut rows = Vec::with_capacity(3);
    if let Some(account) = account {
        let count = limits.ordered(account, now);
        let (ten, minute) = (limits.settings.orders_ten_seconds, limits.settings.orders_minute);
        rows.push(row("ORDERS", "SECOND", 10, ten, count.ten_seconds));
        rows.push(row("ORDERS", "MINUTE", 1, minute, count.minute));
    }
    let used = limits.used(peer, now);
    rows.push(row("REQUEST_WEIGHT", "MINUTE", 1, limits.settings.weight_minute, used));
    Value::Array(rows)
}

fn envelope(id: &str, result: Result<String, VenueError>, limits: Option<Value>) -> String {
    let mut text = match result {
        Ok(result) => format!("{{\"id\":{id},\"status\":200,\"result\":{result}"),
        Err(error) => {
            let status = error.status;
            format!("{{\"id\":{id},\"status\":{status},\"error\":{}", error.body())
        }
    };
    if let Some(limits) = limits {
        let _ = write!(text, ",\"rateLimits\":{limits}");
    }
    text.push('}');
    text
}
