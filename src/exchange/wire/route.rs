//! Stream names and which connection route carries them.
//!
//! The venue acknowledges a stream asked for on the wrong route and then stays silent; so does this
//! server. A path without a route behaves as `/public`.

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

/// A connection's request path, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The route.
    pub route: Route,
    /// Frames are wrapped as `{"stream":…,"data":…}`.
    pub combined: bool,
    /// Streams named in the path.
    pub streams: Vec<String>,
}

impl Target {
    /// From `/[public|market/]stream?streams=a/b` or `/[public|market/]ws[/a[/b]]`; `None` for any
    /// other path.
    pub fn parse(path_and_query: &str) -> Option<Self> {
        let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
        let (route, rest) = if let Some(rest) = path.strip_prefix("/market/") {
            (Route::Market, rest)
        } else if let Some(rest) = path.strip_prefix("/public/") {
            (Route::Public, rest)
        } else {
            (Route::Public, path.strip_prefix('/')?)
        };
        let split = |list: &str| {
            list.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        if rest == "stream" || rest == "stream/" {
            let list = query.split('&').find_map(|pair| pair.strip_prefix("streams="));
            let streams = split(&list.unwrap_or("").replace("%40", "@").replace("%2F", "/"));
            return Some(Self { route, combined: true, streams });
        }
        match rest.strip_prefix("ws") {
            Some(list) if list.is_empty() || list.starts_with('/') => {
                Some(Self { route, combined: false, streams: split(list) })
            }
            _ => None,
        }
    }
}

/// The route that carries a stream.
pub fn route_of(stream: &str) -> Route {
    let kind = stream.split_once('@').map_or(stream, |(_, kind)| kind).trim_start_matches('!');
    if kind == "bookTicker" || kind == "trade" || kind.starts_with("depth") {
        Route::Public
    } else {
        Route::Market
    }
}

/// The name under which the market publishes what `stream` asks for: every speed of the diff stream
/// is served with the 100 ms one, both speeds of the mark price with the 1 s one.
pub fn published_name(stream: &str) -> String {
    match stream.split_once('@') {
        Some((symbol, "depth" | "depth@0ms" | "depth@250ms" | "depth@500ms")) => {
            format!("{symbol}@depth@100ms")
        }
        Some((symbol, "markPrice")) => format!("{symbol}@markPrice@1s"),
        _ => stream.to_owned(),
    }
}
