//! What a fault is aimed at.

use crate::exchange::wire::route::Route;
use serde_json::{Map, Value};

/// Which side of the exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Both.
    #[default]
    Any,
    /// Requests and their answers.
    Rest,
    /// WebSocket connections.
    Ws,
}

/// A pattern over what passes. What is not said fits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Which side.
    pub side: Side,
    /// Method of a request, or of a message to the trading API (`order.place`).
    pub method: Option<String>,
    /// What a request's path begins with.
    pub path: Option<String>,
    /// Route of a connection.
    pub route: Option<Route>,
    /// Name of a stream; `*` stands for any characters.
    pub stream: Option<String>,
    /// Name of a user event.
    pub event: Option<String>,
    /// Contract, upper case.
    pub symbol: Option<String>,
    /// Number of a WebSocket connection since the opening, from 1.
    pub connection: Option<u64>,
}

/// What passes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subject<'a> {
    /// Which side; [`Side::Any`] while a connection has not said what it wants.
    pub side: Side,
    /// Method; empty where there is none.
    pub method: &'a str,
    /// Path; empty where there is none.
    pub path: &'a str,
    /// Route, for WebSocket connections.
    pub route: Option<Route>,
    /// Stream name, user event, or `answer`; empty where there is none.
    pub topic: &'a str,
    /// Contract, upper case; empty where none is known.
    pub symbol: &'a str,
    /// Number of the WebSocket connection; 0 where there is none.
    pub connection: u64,
}

const KEYS: [&str; 8] =
    ["on", "method", "path", "route", "stream", "event", "symbol", "connection"];

impl Target {
    /// From `"*"`, `"rest"`, `"ws"` or an object; problems name their key.
    pub fn parse(value: &Value, problems: &mut Vec<String>) -> Self {
        let mut target = Self::default();
        match value {
            Value::String(text) => target.side = side(text, "target", problems),
            Value::Object(map) => target.fill(map, problems),
            _ => problems.push("target: must be \"*\", \"rest\", \"ws\" or a table".to_owned()),
        }
        target
    }

    fn fill(&mut self, map: &Map<String, Value>, problems: &mut Vec<String>) {
        for (key, value) in map {
            if !KEYS.contains(&key.as_str()) {
                let known = KEYS.join(", ");
                problems.push(format!("target.{key}: unknown key; known are {known}"));
            } else if key == "connection" {
                self.connection = value.as_u64().filter(|number| *number > 0);
                if self.connection.is_none() {
                    problems.push("target.connection: must be a number from 1".to_owned());
                }
            } else if let Some(text) = value.as_str() {
                let text = text.to_owned();
                match key.as_str() {
                    "on" => self.side = side(&text, "target.on", problems),
                    "method" => self.method = Some(text),
                    "path" => self.path = Some(text),
                    "route" => self.route = route(&text, problems),
                    "stream" => self.stream = Some(text),
                    "event" => self.event = Some(text),
                    _ => self.symbol = Some(text),
                }
            } else {
                problems.push(format!("target.{key}: must be a text"));
            }
        }
        let of_requests = self.path.is_some();
        let of_streams = [self.stream.is_some(), self.event.is_some(), self.connection.is_some()]
            .contains(&true)
            || self.route.is_some();
        if of_requests && of_streams {
            problems.push("target: path names requests, the rest connections".to_owned());
        }
        if self.side == Side::Any {
            self.side = match (of_requests, of_streams) {
                (true, false) => Side::Rest,
                (false, true) => Side::Ws,
                _ => Side::Any,
            };
        }
    }

    /// True for `*`: nothing is said.
    pub fn is_any(&self) -> bool {
        *self == Self::default()
    }

    /// True where the subject is what is aimed at.
    pub fn fits(&self, subject: &Subject<'_>) -> bool {
        let side = self.side == Side::Any || self.side == subject.side;
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        let path = self.path.as_deref().is_none_or(|path| subject.path.starts_with(path));
        let stream = self.stream.as_deref().is_none_or(|name| matches(name, subject.topic));
        let route = self.route.is_none_or(|route| subject.route == Some(route));
        let connection = self.connection.is_none_or(|number| number == subject.connection);
        side && path
            && stream
            && route
            && connection
            && is(&self.method, subject.method)
            && is(&self.event, subject.topic)
            && is(&self.symbol, subject.symbol)
    }
}

/// The route as scripts spell it.
pub const fn route_name(route: Route) -> &'static str {
    match route {
        Route::Public => "public",
        Route::Market => "market",
        Route::Private => "private",
        Route::Api => "api",
    }
}

fn side(text: &str, key: &str, problems: &mut Vec<String>) -> Side {
    match text {
        "*" => Side::Any,
        "rest" => Side::Rest,
        "ws" => Side::Ws,
        _ => {
            problems.push(format!("{key}: {text:?} is none of \"*\", \"rest\", \"ws\""));
            Side::Any
        }
    }
}

fn route(text: &str, problems: &mut Vec<String>) -> Option<Route> {
    let all = [Route::Public, Route::Market, Route::Private, Route::Api];
    let found = all.into_iter().find(|route| route_name(*route) == text);
    if found.is_none() {
        problems.push(format!("target.route: {text:?} is none of public, market, private, api"));
    }
    found
}

/// True where `text` fits `pattern`, whose `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, tail)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = tail.split('*').collect();
    let last = parts.pop().unwrap_or("");
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, fits) in [
            ("btcusdt@depth*", "btcusdt@depth@100ms", true),
            ("btcusdt@depth*", "ethusdt@depth@100ms", false),
            ("*@depth*", "ethusdt@depth", true),
            ("*@depth*ms", "ethusdt@depth", false),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("trade", "aggTrade", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn what_a_target_does_not_say_fits_everything() {
        let parse = |value: Value| {
            let mut problems = Vec::new();
            let target = Target::parse(&value, &mut problems);
            assert!(problems.is_empty(), "{problems:?}");
            target
        };
        let order = Subject {
            side: Side::Rest,
            method: "POST",
            path: "/fapi/v1/order",
            symbol: "BTCUSDT",
            ..Subject::default()
        };
        let depth = Subject {
            side: Side::Ws,
            route: Some(Route::Public),
            topic: "btcusdt@depth@100ms",
            symbol: "BTCUSDT",
            connection: 2,
            ..Subject::default()
        };
        for (value, of_order, of_depth) in [
            (json!("*"), true, true),
            (json!("rest"), true, false),
            (json!({"on": "ws"}), false, true),
            (json!({"path": "/fapi/v1/order"}), true, false),
            (json!({"method": "POST", "path": "/fapi/v1/"}), true, false),
            (json!({"method": "DELETE", "path": "/fapi/v1/"}), false, false),
            (json!({"symbol": "BTCUSDT"}), true, true),
            (json!({"symbol": "ETHUSDT"}), false, false),
            (json!({"route": "public", "connection": 2}), false, true),
            (json!({"route": "private"}), false, false),
            (json!({"stream": "*@depth*"}), false, true),
            (json!({"event": "ORDER_TRADE_UPDATE"}), false, false),
        ] {
            let target = parse(value.clone());
            assert_eq!(target.fits(&order), of_order, "{value}");
            assert_eq!(target.fits(&depth), of_depth, "{value}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_target_names_its_key() {
        for (value, key) in [
            (json!("west"), "target:"),
            (json!(7), "target:"),
            (json!({"oops": "x"}), "target.oops:"),
            (json!({"route": "nowhere"}), "target.route:"),
            (json!({"connection": 0}), "target.connection:"),
            (json!({"stream": 3}), "target.stream:"),
        ] {
            let mut problems = Vec::new();
            Target::parse(&value, &mut problems);
            assert!(problems.len() == 1 && problems[0].starts_with(key), "{value}: {problems:?}");
        }
    }
}
