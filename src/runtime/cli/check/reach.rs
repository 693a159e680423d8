//! The venue's addresses, one connection each over the trust a session has, and its clock.

use crate::base::settings::{OrderRoute, Settings, WatchSettings};
use crate::runtime::clock::wall_now;
use crate::runtime::host::Finding;
use crate::venue::dialect::paths;
use crate::venue::rest::RestClient;
use serde::Deserialize;
use std::time::Duration;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerTime {
    server_time: i64,
}

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let venue = &settings.venue;
    let time = paths(venue.dialect).time;
    let mut found = vec![clock((&venue.rest_url, time), &settings.watch)];
    let ours = venue.orders == OrderRoute::Venue;
    let sockets = [
        ("venue.public_url", &venue.public_url, true),
        ("venue.market_url", &venue.market_url, true),
        ("venue.private_url", &venue.private_url, ours),
        ("venue.api_url", &venue.api_url, ours && !venue.api_url.is_empty()),
    ];
    found.extend(
        sockets.into_iter().filter(|(_, _, used)| *used).map(|(key, url, _)| socket(key, url)),
    );
    found
}

/// The halfway between asking and answer is when the venue read its clock.
fn clock((url, time): (&str, &str), watch: &WatchSettings) -> Finding {
    let key = "venue.rest_url";
    let client = RestClient::new(url).within(PATIENCE);
    // The first answer carries the handshakes; the second is as quick as the way is long.
    let get = || client.get(time).map_err(|failure| failure.message);
    let asked = get().and_then(|_| {
        let before = wall_now();
        let body = get()?;
        let took = wall_now().0 - before.0;
        let told: ServerTime = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        Ok((told.server_time - (before.0 + took / 2) / 1_000_000, took / 1_000))
    });
    match asked {
        Err(error) => Finding::fail(key, error, "look at the network, the name and the address"),
        Ok((apart_ms, took_us)) => judged(key, apart_ms, took_us, watch),
    }
}

fn judged(key: &'static str, apart_ms: i64, took_us: i64, watch: &WatchSettings) -> Finding {
    let what = format!("answers in {took_us} µs, its clock is {apart_ms} ms ahead of ours");
    let remedy = "let chrony or PTP set the clock";
    let apart = apart_ms.unsigned_abs();
    if apart >= u64::from(watch.clock_halt_ms) {
        return Finding::fail(key, what, remedy);
    }
    if apart >= u64::from(watch.clock_warn_ms) {
        return Finding::warn(key, what, remedy);
    }
    Finding::ok(key, what)
}

/// A socket's address answers a plain request too, if only with a refusal.
fn socket(key: &'static str, url: &str) -> Finding {
    let plain = url.replacen("ws", "http", 1);
    let answered = RestClient::new(&plain).within(PATIENCE).carry("GET", "", "", None);
    match answered {
        Ok(_) => Finding::ok(key, "reached"),
        Err(failure) => {
            Finding::fail(key, failure.message, "look at the network, the name and the address")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::host::Level;

    #[test]
    fn clocks_apart_are_told_from_the_watch_s_own_thresholds_on_either_side() {
        let watch = WatchSettings {
            clock_warn_ms: 200,
            clock_halt_ms: 500,
            ..WatchSettings::asking_nothing()
        };
        for (apart, level) in [(199, Level::Ok), (200, Level::Warn), (500, Level::Fail)] {
            assert_eq!(judged("k", apart, 1, &watch).level, level);
            assert_eq!(judged("k", -apart, 1, &watch).level, level);
        }
    }
}
