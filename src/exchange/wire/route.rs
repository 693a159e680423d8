//! Stream names and which connection route carries them.
//!
//! ```text
//!   /public  /market  /private     + /ws[/name…]  or  /stream[?streams=a/b]
//!   /ws, /stream                     the same without a route: behave as /public
//!   /private/ws/<listenKey>, /private/ws?listenKey=K[&events=A/B],
//!   /private/stream?listenKey=K1&events=A&listenKey=K2…, /ws/<listenKey>: user streams
//!   /ws-fapi/v1                      the trading WebSocket API
//! ```
//!
//! The venue acknowledges a stream asked for on the wrong route and then stays silent; so does this
//! exchange. A path element that is no stream name subscribes nothing: clients number their
//! connections that way.

use super::params::decode;

/// Letters and digits a listen key has at least; shorter path elements are no keys.
const KEY_LENGTH_MIN: usize = 32;

/// The route of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Book data: `bookTicker`, `depth…`, `trade`.
    Public,
    /// Everything else: `aggTrade`, `markPrice…`, `kline_…`, `forceOrder`.
    Market,
    /// User data.
    Private,
    /// The trading WebSocket API.
    Api,
}

/// One user stream a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Its key.
    pub key: String,
    /// Names of the events wanted; all of them where none is named.
    pub events: Vec<String>,
}

/// A connection's request path, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The route.
    pub route: Route,
    /// Frames are wrapped as `{"stream":…,"data":…}`.
    pub combined: bool,
    /// Streams named in the path.
    pub streams: Vec<String>,
    /// User streams named in the path.
    pub listens: Vec<Listen>,
}

impl Target {
    /// From a request path of the forms at the head of this file; `None` for any other path.
    pub fn parse(path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        if path.trim_end_matches('/') == "/ws-fapi/v1" {
            let (streams, listens) = (Vec::new(), Vec::new());
            return Some(Self { route: Route::Api, combined: false, streams, listens });
        }
        let routes = [Route::Market, Route::Public, Route::Private];
        let prefixes = ["/market/", "/public/", "/private/"];
        let routed = routes.into_iter().zip(prefixes);
        let mut routed = routed.filter_map(|(route, own)| Some((route, path.strip_prefix(own)?)));
        let (route, rest) = match routed.next() {
            Some(found) => found,
            None => (Route::Public, path.strip_prefix('/')?),
        };
        let (combined, names) = match rest.strip_prefix("ws") {
            Some(list) if list.is_empty() || list.starts_with('/') => (false, list.to_owned()),
            _ if rest == "stream" || rest == "stream/" => (true, value(query, "streams")),
            _ => return None,
        };
        let mut target = Self { route, combined, streams: Vec::new(), listens: listens(query) };
        for name in split(&decode(&names)) {
            if route == Route::Private || is_listen_key(&name) {
                target.listens.push(Listen { key: name, events: Vec::new() });
            } else if is_stream_name(&name) {
                target.streams.push(name);
            }
        }
        Some(target)
    }
}

/// True for what may name a market stream: `<symbol>@<kind>` or `!<kind>`, and the two kinds that
/// stand alone.
pub fn is_stream_name(name: &str) -> bool {
    name.contains('@') || name.starts_with('!') || name == "tradingSession"
}

/// True for what looks like the key of a user stream.
pub fn is_listen_key(name: &str) -> bool {
    name.len() >= KEY_LENGTH_MIN && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The keys of a query, each with the events that follow it.
fn listens(query: &str) -> Vec<Listen> {
    let mut all: Vec<Listen> = Vec::new();
    for part in query.split('&') {
        match part.split_once('=') {
            Some(("listenKey", key)) if !key.is_empty() => {
                all.push(Listen { key: decode(key), events: Vec::new() });
            }
            Some(("events", list)) => {
                if let Some(last) = all.last_mut() {
                    last.events = split(&decode(list));
                }
            }
            _ => {}
        }
    }
    all
}

fn value(query: &str, name: &str) -> String {
    let pairs = query.split('&').filter_map(|part| part.split_once('='));
    pairs.filter(|(own, _)| *own == name).map(|(_, value)| value).next().unwrap_or("").to_owned()
}

fn split(list: &str) -> Vec<String> {
    list.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{Listen, Route, Target};

    fn parse(path: &str) -> Target {
        Target::parse(path).expect("a stream path")
    }

    fn listen(key: &str, events: &[&str]) -> Listen {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        Listen { key: key.to_owned(), events }
    }

    #[test]
    fn every_documented_path_names_its_route_form_and_streams() {
        let rows: [(&str, Route, bool, &[&str]); 11] = [
            (
                "/public/ws/btcusdt@trade/!bookTicker",
                Route::Public,
                false,
                &["btcusdt@trade", "!bookTicker"],
            ),
            (
                "/market/ws/btcusdt_perpetual@continuousKline_1m",
                Route::Market,
                false,
                &["btcusdt_perpetual@continuousKline_1m"],
            ),
            (
                "/market/stream?streams=btcusdt@aggTrade/ethusdt@markPrice@1s",
                Route::Market,
                true,
                &["btcusdt@aggTrade", "ethusdt@markPrice@1s"],
            ),
            (
                "/stream?streams=btcusdt%40depth%2F%21bookTicker",
                Route::Public,
                true,
                &["btcusdt@depth", "!bookTicker"],
            ),
            ("/ws/btcusdt@depth", Route::Public, false, &["btcusdt@depth"]),
            ("/ws", Route::Public, false, &[]),
            ("/stream", Route::Public, true, &[]),
            ("/public/ws/1", Route::Public, false, &[]),
            ("/market/ws/12", Route::Market, false, &[]),
            ("/private/stream", Route::Private, true, &[]),
            ("/ws-fapi/v1", Route::Api, false, &[]),
        ];
        for (path, route, combined, streams) in rows {
            let target = parse(path);
            assert_eq!((target.route, target.combined), (route, combined), "{path}");
            assert_eq!(target.streams, streams, "{path}");
            assert!(target.listens.is_empty(), "{path}");
        }
        for path in ["/", "/metrics", "/wsx", "/public", "/market/stream2", "ws"] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }

    #[test]
    fn every_documented_way_to_name_a_user_stream_is_taken() {
        let key = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1";
        for path in ["/private/ws/", "/ws/", "/private/ws?listenKey="] {
            let target = parse(&format!("{path}{key}"));
            assert_eq!(target.listens, [listen(key, &[])], "{path}");
            assert!(target.streams.is_empty() && !target.combined, "{path}");
        }
        let events = ["ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"];
        let one = parse("/private/ws?listenKey=k&events=ORDER_TRADE_UPDATE/ACCOUNT_UPDATE");
        assert_eq!(one.listens, [listen("k", &events)]);
        let two = "/private/stream?listenKey=k1&events=ORDER_TRADE_UPDATE&listenKey=k2";
        let two = parse(&format!("{two}&events=ACCOUNT_UPDATE"));
        assert_eq!(two.listens, [listen("k1", &events[..1]), listen("k2", &events[1..])]);
        assert!(two.combined && two.route == Route::Private);
    }
}
