//! The connections of a live session: which streams come over which, and what each brings.

use super::clock::wall_now;
use super::private::CONNECTION;
use crate::base::event::carries;
use crate::base::settings::Settings;
use crate::base::{InstrumentId, Symbol};
use crate::feed::Feed;
use crate::venue::account::Credentials;
use crate::venue::ages::{Ages, StreamName};
use crate::venue::desk::{ApiEntry, ApiPlan};
use crate::venue::dialect::{stream_name, streams_url};
use crate::venue::line::{Line, LinePlan};
use crate::venue::stream::{Dialer, Stream, StreamAddress};
use anyhow::{Result, bail};
use mio::Token;
use std::time::Duration;

/// The account's stream on the readiness queue: behind the two market connections.
const ACCOUNT_TOKEN: usize = 2;
/// Order entry behind that.
const API_TOKEN: usize = 3;

/// The streams of one market connection, and where they are.
#[derive(Clone, Debug)]
pub struct Route {
    /// The combined stream's URL.
    pub url: String,
    /// Its streams.
    pub names: Vec<StreamName>,
}

/// The market connections: book streams on the public route, the rest on the market route.
///
/// # Errors
/// When streams are wanted whose URL is empty, or none at all.
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
        let mut names = Vec::new();
        for (i, symbol) in symbols.iter().enumerate() {
            let instrument = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
            for kind in kinds {
                let name = stream_name(venue.dialect, symbol, kind);
                names.push(StreamName { name, instrument });
            }
        }
        let list: Vec<&str> = names.iter().map(|stream| stream.name.as_str()).collect();
        let url = streams_url(venue.dialect, base, &list);
        routes.push(Route { url, names });
    }
    if routes.is_empty() {
        bail!("venue: no streams are configured; nothing would ever arrive");
    }
    Ok(routes)
}

/// Tells the feed what each connection brings, and that missing trades are to be asked for.
pub fn tell_feed(feed: &mut Feed, routes: &[Route]) {
    for (i, route) in routes.iter().enumerate() {
        feed.carry(i as u64 + 1, Ages::new(&route.names).carries());
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
