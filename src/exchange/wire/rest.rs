//! REST endpoints: who may use them, what they weigh, what they answer.
//!
//! ```text
//!   request ─► endpoint? ─► weight left? ─► key, time, signature? ─► orders left? ─► answer
//!                 │ no          │ no                │ no                 │ no
//!                 ▼             ▼                   ▼                    ▼
//!             404 −5000   429, 418 −1003   401, 400 −2014…−1022      429 −1015
//! ```

use super::auth::{self, Signed};
use super::error::VenueError;
use super::http::{Answer, Request};
use super::limits::{OrderCount, Refusal};
use super::market_data;
use super::params::Params;
use super::private::{self, Call, Reply, account, algo, batch, history, order as orders, setup};
use crate::base::Nanos;
use crate::exchange::Exchange;
use std::net::IpAddr;

/// Who may use an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// An API key is enough.
    Key,
    /// The request must be signed.
    Signed,
}

/// What an endpoint weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Always the same.
    Fixed(u32),
    /// Less for one contract than for all.
    BySymbol(u32, u32),
}

/// One endpoint that asks who is there.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Method.
    pub method: &'static str,
    /// Path.
    pub path: &'static str,
    /// Who may use it.
    pub security: Security,
    /// What it weighs.
    pub weight: Weight,
    /// Orders it counts as, in ten seconds and in a minute.
    pub orders: (u32, u32),
    /// What answers it.
    pub handler: fn(&mut Call<'_>) -> Reply,
}

type Handler = fn(&mut Call<'_>) -> Reply;

const fn signed(
    method: &'static str,
    path: &'static str,
    weight: u32,
    handler: Handler,
) -> Endpoint {
    let weight = Weight::Fixed(weight);
    Endpoint { method, path, security: Security::Signed, weight, orders: (0, 0), handler }
}

const fn by_symbol(path: &'static str, one: u32, all: u32, handler: Handler) -> Endpoint {
    let weight = Weight::BySymbol(one, all);
    Endpoint { method: "GET", path, security: Security::Signed, weight, orders: (0, 0), handler }
}

const fn ordering(
    method: &'static str,
    path: &'static str,
    weight: u32,
    orders: (u32, u32),
    handler: Handler,
) -> Endpoint {
    let weight = Weight::Fixed(weight);
    Endpoint { method, path, security: Security::Signed, weight, orders, handler }
}

const fn keyed(method: &'static str, path: &'static str, handler: Handler) -> Endpoint {
    let weight = Weight::Fixed(1);
    Endpoint { method, path, security: Security::Key, weight, orders: (0, 0), handler }
}

/// Every endpoint that asks who is there. A batch counts five orders in ten seconds and one in the
/// minute; cancellations and questions count none.
pub const ENDPOINTS: &[Endpoint] = &[
    ordering("POST", "/fapi/v1/order", 0, (1, 1), orders::place),
    ordering("PUT", "/fapi/v1/order", 0, (1, 1), orders::modify),
    signed("GET", "/fapi/v1/order", 1, orders::query),
    signed("DELETE", "/fapi/v1/order", 1, orders::cancel),
    signed("POST", "/fapi/v1/order/test", 0, orders::test),
    ordering("POST", "/fapi/v1/batchOrders", 5, (5, 1), batch::place),
    ordering("PUT", "/fapi/v1/batchOrders", 5, (5, 1), batch::modify),
    signed("DELETE", "/fapi/v1/batchOrders", 1, batch::cancel),
    signed("DELETE", "/fapi/v1/allOpenOrders", 1, orders::cancel_all),
    signed("POST", "/fapi/v1/countdownCancelAll", 10, orders::countdown),
    signed("GET", "/fapi/v1/openOrder", 1, orders::open_one),
    by_symbol("/fapi/v1/openOrders", 1, 40, orders::open),
    signed("GET", "/fapi/v1/allOrders", 5, orders::all),
    signed("GET", "/fapi/v1/orderAmendment", 1, orders::amendments),
    by_symbol("/fapi/v1/forceOrders", 20, 50, orders::forced),
    signed("POST", "/fapi/v1/algoOrder", 0, algo::place),
    signed("GET", "/fapi/v1/algoOrder", 1, algo::query),
    signed("DELETE", "/fapi/v1/algoOrder", 1, algo::cancel),
    by_symbol("/fapi/v1/openAlgoOrders", 1, 40, algo::open),
    signed("GET", "/fapi/v1/allAlgoOrders", 5, algo::all),
    signed("DELETE", "/fapi/v1/algoOpenOrders", 1, algo::cancel_all),
    signed("GET", "/fapi/v1/userTrades", 5, history::trades),
    signed("GET", "/fapi/v1/income", 30, history::income),
    signed("GET", "/fapi/v2/account", 5, account::account_v2),
    signed("GET", "/fapi/v3/account", 5, account::account_v3),
    signed("GET", "/fapi/v2/balance", 5, account::balance),
    signed("GET", "/fapi/v3/balance", 5, account::balance),
    signed("GET", "/fapi/v2/positionRisk", 5, account::risk_v2),
    signed("GET", "/fapi/v3/positionRisk", 5, account::risk_v3),
    signed("GET", "/fapi/v1/adlQuantile", 5, account::adl),
    signed("GET", "/fapi/v1/accountConfig", 5, account::config),
    signed("GET", "/fapi/v1/symbolConfig", 5, account::symbol_config),
    signed("GET", "/fapi/v1/commissionRate", 20, account::commission),
    by_symbol("/fapi/v1/apiTradingStatus", 1, 10, account::trading_status),
    signed("GET", "/fapi/v1/rateLimit/order", 1, account::order_limits),
    signed("GET", "/fapi/v1/positionSide/dual", 30, setup::position_mode),
    signed("POST", "/fapi/v1/positionSide/dual", 1, setup::set_position_mode),
    signed("GET", "/fapi/v1/multiAssetsMargin", 30, setup::assets_mode),
    signed("POST", "/fapi/v1/multiAssetsMargin", 1, setup::set_assets_mode),
    signed("GET", "/fapi/v1/feeBurn", 30, setup::fee_burn),
    signed("POST", "/fapi/v1/feeBurn", 1, setup::set_fee_burn),
    signed("POST", "/fapi/v1/leverage", 1, setup::leverage),
    signed("POST", "/fapi/v1/marginType", 1, setup::margin_type),
    signed("POST", "/fapi/v1/positionMargin", 1, setup::position_margin),
    signed("GET", "/fapi/v1/positionMargin/history", 1, setup::margin_history),
    signed("GET", "/fapi/v1/leverageBracket", 1, setup::brackets),
    keyed("POST", "/fapi/v1/listenKey", private::start_stream),
    keyed("PUT", "/fapi/v1/listenKey", private::keep_stream),
    keyed("DELETE", "/fapi/v1/listenKey", private::end_stream),
    // Of the wallet's host.
    signed("GET", "/sapi/v1/account/apiRestrictions", 1, account::key_rights),
    // Hosts beside this one that clients call when they start.
    signed("GET", "/sapi/v1/capital/config/getall", 1, private::nothing),
    signed("GET", "/sapi/v1/margin/allPairs", 1, private::nothing),
    signed("GET", "/sapi/v1/margin/allAssets", 1, private::nothing),
    signed("GET", "/sapi/v1/margin/isolated/allPairs", 1, private::nothing),
    signed("GET", "/api/v3/account", 1, account::spot),
];

/// Answers a request that came from `peer`.
pub fn answer(exchange: &mut Exchange, request: &Request, peer: IpAddr, now: Nanos) -> Answer {
    let found = ENDPOINTS.iter().find(|e| e.method == request.method && e.path == request.path);
    let mut answer = match found {
        Some(endpoint) => guarded(exchange, request, endpoint, peer, now),
        None => open(exchange, request, peer, now),
    };
    answer.headers.push(("x-response-time", "0ms".to_owned()));
    answer
}

/// Answers what asks nobody who they are: market data, and paths there are not.
fn open(exchange: &mut Exchange, request: &Request, peer: IpAddr, now: Nanos) -> Answer {
    let path = request.path.as_str();
    if request.method == "GET" {
        let params = Params::of(&request.query, "");
        let has_key = match market_data::needs_key(path) {
            true => auth::owner_of(&exchange.accounts, &request.api_key).map(|_| ()),
            false => Ok(()),
        };
        // Only what tells the time shows how far the clock is off.
        let shown = if path.ends_with("/time") { exchange.clock(now) } else { now };
        let found =
            market_data::get(&exchange.market, exchange.limits.settings, path, &params, shown);
        match found.map(|answered| has_key.and(answered)) {
            Some(Ok(reply)) => {
                let weight = reply.weight.unwrap_or(0);
                return counted(exchange, peer, weight, now, |_| Answer::json(200, reply.body));
            }
            Some(Err(error)) => return counted(exchange, peer, 1, now, |_| refusal_of(&error)),
            None => {}
        }
    }
    if ["/fapi/", "/futures/data/"].iter().any(|start| path.starts_with(start)) {
        return counted(exchange, peer, 1, now, |_| invalid_path(request));
    }
    page_not_found()
}

/// Answers after counting the weight, or refuses.
fn counted(
    exchange: &mut Exchange,
    peer: IpAddr,
    weight: u32,
    now: Nanos,
    act: impl FnOnce(&mut Exchange) -> Answer,
) -> Answer {
    let mut answer = match exchange.limits.call(peer, weight, now) {
        Ok(()) => act(exchange),
        Err(refusal) => refused(&refusal),
    };
    // Endpoints with limits of their own weigh nothing and tell no weight.
    if weight > 0 || answer.status == 429 {
        let used = exchange.limits.used(peer, now);
        answer.headers.insert(0, ("x-mbx-used-weight-1m", used.to_string()));
    }
    answer
}

fn guarded(
    exchange: &mut Exchange,
    request: &Request,
    endpoint: &Endpoint,
    peer: IpAddr,
    now: Nanos,
) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let params = Params::of(&request.query, &body);
    let weight = match endpoint.weight {
        Weight::Fixed(weight) => weight,
        Weight::BySymbol(one, all) => {
            if params.text("symbol").is_some() {
                one
            } else {
                all
            }
        }
    };
    let mut answer = match exchange.limits.call(peer, weight, now) {
        Err(refusal) => refused(&refusal),
        Ok(()) => match authorize(exchange, request, &params, endpoint, now) {
            Err(error) => refusal_of(&error),
            Ok(account) => ordered(exchange, &params, endpoint, (account, &request.api_key), now),
        },
    };
    let used = exchange.limits.used(peer, now);
    answer.headers.insert(0, ("x-mbx-used-weight-1m", used.to_string()));
    answer
}

/// Whose request it is.
fn authorize(
    exchange: &Exchange,
    request: &Request,
    params: &Params,
    endpoint: &Endpoint,
    now: Nanos,
) -> Result<usize, VenueError> {
    let (account, credential) = auth::owner_of(&exchange.accounts, &request.api_key)?;
    if endpoint.security == Security::Signed {
        params.need("timestamp")?;
        let signed = Signed::find(request.query.as_bytes(), &request.body)?;
        auth::check_time(params, exchange.clock(now))?;
        signed.verify(credential)?;
    }
    Ok(account)
}

/// Answers a request that has proved whose it is, within the account's order limits.
fn ordered(
    exchange: &mut Exchange,
    params: &Params,
    endpoint: &Endpoint,
    (account, api_key): (usize, &str),
    now: Nanos,
) -> Answer {
    let (ten_seconds, minute) = endpoint.orders;
    let counts = ten_seconds > 0;
    if counts
        && let Err(refusal) =
            exchange.limits.order(account, OrderCount { ten_seconds, minute }, now)
    {
        return refused(&refusal);
    }
    let mut call = Call { exchange, account, api_key, params, socket: false, now };
    let mut answer = match (endpoint.handler)(&mut call) {
        Ok(body) => Answer::json(200, body.to_string()),
        Err(error) => refusal_of(&error),
    };
    if counts {
        let count = exchange.limits.ordered(account, now);
        answer.headers.push(("x-mbx-order-count-10s", count.ten_seconds.to_string()));
        answer.headers.push(("x-mbx-order-count-1m", count.minute.to_string()));
    }
    answer
}

fn refusal_of(error: &VenueError) -> Answer {
    Answer::json(error.status, error.body())
}

fn refused(refusal: &Refusal) -> Answer {
    let mut answer = refusal_of(&refusal.error);
    answer.headers.push(("retry-after", refusal.retry_after.to_string()));
    answer
}

fn invalid_path(request: &Request) -> Answer {
    let Request { path, method, .. } = request;
    let text = format!("Path {path}, Method {method} is invalid");
    refusal_of(&VenueError::with(-5000, text).under(404))
}

/// The gateway's page, for paths that no service of the venue has.
fn page_not_found() -> Answer {
    let body = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
                <center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n\
                </body>\r\n</html>\r\n";
    let (headers, content_type) = (Vec::new(), "text/html");
    Answer { status: 404, headers, content_type, body: body.as_bytes().to_vec() }
}
