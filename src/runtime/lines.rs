//! The connections of a live session: which streams come over which, and what each brings.
//!
//! ```text
//!  route    streams of a symbol             connections
//!  public   bookTicker, depth@100ms         1 ─ symbols 0 to 99 │ 2 ─ 100 to 199 │ …
//!  market   aggTrade, markPrice@1s, …       6 ─ symbols 0 to 65 │ 7 ─ 66 to 131  │ …
//! ```
//! The streams that a route has of a symbol stay together: one that falls silent is told by the
//! others. Few symbols need one connection a route, which then carries them all.

use super::clock::wall_now;
use super::private::CONNECTION;
use crate::base::event::carries;
use crate::base::settings::{Dialect, Settings};
use crate::base::{InstrumentId, Symbol};
use crate::feed::{CONNECTIONS_MAX, Feed, Part};
use crate::venue::account::Credentials;
use crate::venue::ages::{Ages, StreamName};
use crate::venue::desk::{ApiEntry, ApiPlan};
use crate::venue::dialect::{stream_name, streams_url};
use crate::venue::line::{Line, LinePlan};
use crate::venue::stream::{Dialer, Stream, StreamAddress};
use anyhow::{Context, Result, bail};
use mio::Token;
use std::time::Duration;

/// The account's stream on the readiness queue: behind the market connections.
const ACCOUNT_TOKEN: usize = CONNECTIONS_MAX;
/// Order entry behind that.
const API_TOKEN: usize = ACCOUNT_TOKEN + 1;
/// Streams of one connection. The venue takes 1 024 since July 2025, and 200 before; the fewer are
/// there, the less is lost with a connection.
const STREAMS_MAX: usize = 200;
/// Bytes of the names in a connection's URL: servers commonly take 8 KiB of a request's line.
const NAMES_BYTES_MAX: usize = 6_000;

const _: () = {
    // The account's number is no market connection's.
    assert!(CONNECTIONS_MAX < CONNECTION as usize);
};

/// The streams of one market connection, and where they are.
#[derive(Clone, Debug)]
pub struct Route {
    /// The combined stream's URL.
    pub url: String,
    /// What it begins with, and whose words it is in.
    pub base: (Dialect, String),
    /// Its streams.
    pub names: Vec<StreamName>,
    /// The instruments it carries, where they are not all.
    pub part: Option<Part>,
}

impl Route {
    /// The URL of the streams of the instruments that are `awake`; `None` where they have none
    /// here.
    pub fn url_of(&self, awake: &dyn Fn(InstrumentId) -> bool) -> Option<String> {
        let wanted = self.names.iter().filter(|stream| awake(stream.instrument));
        let names: Vec<&str> = wanted.map(|stream| stream.name.as_str()).collect();
        let (dialect, base) = &self.base;
        (!names.is_empty()).then(|| streams_url(*dialect, base, &names))
    }
}

/// The market connections: book streams on the public route, the rest on the market route, each
/// over as many connections as its streams need.
///
/// # Errors
/// When streams are wanted whose URL is empty, none at all, or more than connections can carry.
pub fn routes(settings: &Settings, symbols: &[Symbol]) -> Result<Vec<Route>> {
    let venue = &settings.venue;
    let wanted =
        [(&venue.public_url, &venue.public_streams), (&venue.market_url, &venue.market_streams)];
    let mut routes = Vec::new();
    for (base, kinds) in wanted {
        if kinds.is_empty() {
            continue;
        }
        if base.is_empty() {
            bail!("venue: streams {kinds:?} are wanted but their URL is empty");
        }
        let parts = split(venue.dialect, symbols, kinds)?;
        let is_whole = parts.len() == 1;
        for names in parts {
            let list: Vec<&str> = names.iter().map(|stream| stream.name.as_str()).collect();
            let url = streams_url(venue.dialect, base, &list);
            let ends = names.first().zip(names.last());
            let part = ends.filter(|_| !is_whole).map(|(a, b)| (a.instrument, b.instrument));
            let base = (venue.dialect, base.clone());
            routes.push(Route { url, base, names, part });
        }
    }
    if routes.is_empty() {
        bail!("venue: no streams are configured; nothing would ever arrive");
    }
    if routes.len() >= CONNECTIONS_MAX {
        let count = routes.len();
        bail!("venue: the streams need {count} connections; fewer than {CONNECTIONS_MAX} fit");
    }
    Ok(routes)
}

/// The streams of these kinds, symbol by symbol, cut where a connection has all it takes.
fn split(dialect: Dialect, symbols: &[Symbol], kinds: &[String]) -> Result<Vec<Vec<StreamName>>> {
    let mut parts = vec![Vec::new()];
    let (mut streams, mut bytes) = (0, 0);
    for (i, symbol) in symbols.iter().enumerate() {
        let instrument = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
        let own = kinds.iter().map(|kind| stream_name(dialect, symbol, kind));
        let own: Vec<StreamName> = own.map(|name| StreamName { name, instrument }).collect();
        // A name and the slash behind it.
        let length: usize = own.iter().map(|stream| stream.name.len() + 1).sum();
        if own.len() > STREAMS_MAX || length > NAMES_BYTES_MAX {
            bail!("venue: {symbol} has more streams than one connection carries");
        }
        if streams + own.len() > STREAMS_MAX || bytes + length > NAMES_BYTES_MAX {
            parts.push(Vec::new());
            (streams, bytes) = (0, 0);
        }
        (streams, bytes) = (streams + own.len(), bytes + length);
        parts.last_mut().context("there is one from the start")?.extend(own);
    }
    Ok(parts)
}

/// Tells the feed what each connection brings, and that missing trades are to be asked for.
pub fn tell_feed(feed: &mut Feed, routes: &[Route]) {
    for (i, route) in routes.iter().enumerate() {
        let (connection, carries) = (i as u64 + 1, Ages::new(&route.names).carries());
        match route.part {
            None => feed.carry(connection, carries),
            Some(part) => feed.carry_part(connection, carries, part),
        }
    }
    feed.carry(CONNECTION, carries::ACCOUNT);
    feed.keep_trades_whole();
}

/// A line for each route.
///
/// # Errors
/// When an address is none, or the system has no descriptor left.
pub fn market(settings: &Settings, routes: &[Route], dialer: &Dialer) -> Result<Vec<Line<Stream>>> {
    let silence = Duration::from_millis(u64::from(settings.venue.silence_ms_max));
    let mut lines = Vec::new();
    for (i, route) in routes.iter().enumerate() {
        let seed = seed(settings, i);
        let ends = ends(&route.url, dialer, Token(i), silence, seed)?;
        let plan = LinePlan { names: route.names.clone(), age_max: age_max(settings), seed };
        lines.push(Line::new(ends, &plan));
    }
    Ok(lines)
}

/// The account's own stream, which is silent while nothing happens.
///
/// # Errors
/// As for [`market`].
pub fn account(settings: &Settings, url: &str, dialer: &Dialer) -> Result<Line<Stream>> {
    let seed = seed(settings, ACCOUNT_TOKEN);
    let ends = ends(url, dialer, Token(ACCOUNT_TOKEN), Duration::MAX, seed)?;
    let plan = LinePlan { names: Vec::new(), age_max: age_max(settings), seed };
    Ok(Line::new(ends.map(Stream::quiet), &plan))
}

/// Order entry over the trading API.
///
/// # Errors
/// When the address is none, or the system has no descriptor left.
pub fn api(
    settings: &Settings,
    credentials: &Credentials,
    dialer: &Dialer,
) -> Result<ApiEntry<Stream>> {
    let seed = seed(settings, API_TOKEN);
    let ends = ends(&settings.venue.api_url, dialer, Token(API_TOKEN), Duration::MAX, seed)?;
    let plan = ApiPlan { age_max: age_max(settings), wall: wall_now, seed };
    Ok(ApiEntry::new(ends.map(Stream::quiet), credentials.clone(), plan))
}

/// The two ends of a connection that is renewed.
fn ends(
    url: &str,
    dialer: &Dialer,
    token: Token,
    silence: Duration,
    seed: u64,
) -> Result<[Stream; 2]> {
    let address = StreamAddress::parse(url)?;
    let end = |n: u64| Stream::new(address.clone(), dialer, token, silence, seed ^ n << 32);
    Ok([end(0)?, end(1)?])
}

fn age_max(settings: &Settings) -> Duration {
    Duration::from_secs(u64::from(settings.venue.connection_age_s_max))
}

fn seed(settings: &Settings, place: usize) -> u64 {
    settings.session.seed ^ wall_now().0.unsigned_abs() ^ place as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::config;
    use std::collections::BTreeSet;

    fn symbols(count: usize) -> Vec<Symbol> {
        let name = |i: usize| Symbol::new(format!("COIN{i:04}USDT").as_bytes());
        (0..count).filter_map(name).collect()
    }

    fn settings() -> Settings {
        config::with_shipped_limits(include_str!("../../config/paper.toml")).settings
    }

    #[test]
    fn every_stream_has_one_connection_and_a_symbol_s_streams_of_a_route_the_same() {
        let settings = settings();
        let kinds = settings.venue.public_streams.len() + settings.venue.market_streams.len();
        for count in [1, 2, 66, 67, 100, 101, 500, 1_024] {
            let routes = routes(&settings, &symbols(count)).unwrap();
            let mut seen = BTreeSet::new();
            let mut homes = BTreeSet::new();
            for (connection, route) in routes.iter().enumerate() {
                assert!(route.names.len() <= 200, "{count}: {} streams", route.names.len());
                assert!(route.url.len() <= 8_000, "{count}: {} bytes", route.url.len());
                let is_book = route.url.starts_with(&settings.venue.public_url);
                for stream in &route.names {
                    assert!(route.url.contains(&stream.name) && seen.insert(stream.name.clone()));
                    homes.insert((is_book, stream.instrument, connection));
                    let inside = |(a, b): Part| (a..=b).contains(&stream.instrument);
                    assert!(route.part.is_none_or(inside), "{count}: {:?}", route.part);
                }
            }
            assert_eq!(seen.len(), count * kinds, "{count}");
            assert_eq!(homes.len(), 2 * count, "{count}: one home a route");
            assert!(routes.len() < CONNECTIONS_MAX, "{count}: {} connections", routes.len());
        }
    }

    #[test]
    fn few_symbols_have_one_connection_a_route_that_carries_them_all() {
        for count in [1, 2, 66] {
            let routes = routes(&settings(), &symbols(count)).unwrap();
            assert_eq!(routes.len(), 2, "{count}");
            assert!(routes.iter().all(|route| route.part.is_none()), "{count}");
        }
        let routes = routes(&settings(), &symbols(120)).unwrap();
        let parts: Vec<_> = routes.iter().filter_map(|route| route.part).collect();
        let ends: Vec<_> = parts.iter().map(|(first, last)| (first.0, last.0)).collect();
        assert_eq!(ends, [(0, 99), (100, 119), (0, 65), (66, 119)]);
    }

    #[test]
    fn a_symbol_with_more_streams_than_a_connection_carries_is_refused_by_name() {
        let mut settings = settings();
        settings.venue.public_streams = (0..201).map(|i| format!("depth{i}")).collect();
        let error = routes(&settings, &symbols(1)).unwrap_err().to_string();
        assert!(error.contains("COIN0000USDT"), "{error}");
    }
}
