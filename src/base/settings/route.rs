//! Where orders go, and two rules: paper trading sends none beyond this machine, and nothing of an
//! account goes over an open connection.

use super::{Mode, Settings, VenueSettings};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Who fills our orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderRoute {
    /// The paper venue, inside this process.
    #[default]
    Paper,
    /// The venue at the configured addresses, by signed requests.
    Venue,
    /// Nobody: the market is recorded and predicted, nothing is ever armed.
    Nowhere,
}

/// How orders are entered at the venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OrderEntry {
    /// Signed REST requests.
    #[default]
    Rest,
    /// The trading WebSocket API.
    WebSocket,
}

/// The wallet's host of the real venue.
const WALLET: &str = "https://api.binance.com";

/// The wallet's host where none is named: test networks and exchanges on this machine have none.
pub(super) fn usual_wallet(mode: Mode) -> String {
    match mode {
        Mode::Live => WALLET.to_owned(),
        Mode::Paper | Mode::Testnet => String::new(),
    }
}

impl Settings {
    /// True where a session trades with no key whose rights it has not read: with real money.
    pub fn reads_key_rights(&self) -> bool {
        self.mode == Mode::Live && self.venue.orders == OrderRoute::Venue
    }
}

impl VenueSettings {
    /// The form in which requests for orders are written: that of their way to the venue.
    pub fn form_of_requests(&self) -> OrderEntry {
        match self.orders {
            OrderRoute::Paper | OrderRoute::Nowhere => OrderEntry::Rest,
            OrderRoute::Venue => self.order_entry,
        }
    }

    /// The keys whose address lies beyond this machine although orders go to the venue in paper
    /// mode.
    pub(super) fn keys_beyond_loopback(&self, mode: Mode) -> Vec<&'static str> {
        if mode != Mode::Paper || self.orders != OrderRoute::Venue {
            return Vec::new();
        }
        self.keys(|url| !is_loopback(url))
    }

    /// The keys whose address is reached without TLS, though in test and live trading every
    /// connection beyond this machine needs it.
    pub(super) fn keys_in_the_open(&self, mode: Mode) -> Vec<&'static str> {
        if mode == Mode::Paper {
            return Vec::new();
        }
        let closed = |url: &str| url.starts_with("https://") || url.starts_with("wss://");
        self.keys(|url| !closed(url) && !is_loopback(url))
    }

    /// The keys whose address is at fault. An empty one is none yet.
    fn keys(&self, at_fault: impl Fn(&str) -> bool) -> Vec<&'static str> {
        [
            ("rest_url", &self.rest_url),
            ("wallet_url", &self.wallet_url),
            ("public_url", &self.public_url),
            ("market_url", &self.market_url),
            ("private_url", &self.private_url),
            ("api_url", &self.api_url),
        ]
        .into_iter()
        .filter(|(_, url)| !url.is_empty() && at_fault(url))
        .map(|(key, _)| key)
        .collect()
    }
}

/// True for a URL whose host is a loopback address written as numbers, with a port or without. A
/// name could be resolved to anything, and what stands before an `@` is no host at all.
pub(super) fn is_loopback(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    // Whoever connects ends the host at the first slash and nowhere else.
    let authority = rest.split('/').next().unwrap_or("");
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    if let Some(bracketed) = authority.strip_prefix('[') {
        let Some((inner, port)) = bracketed.split_once(']') else { return false };
        let lawful = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return lawful && inner.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
    }
    let (host, lawful) = match authority.split_once(':') {
        Some((host, port)) => (host, is_port(port)),
        None => (authority, true),
    };
    lawful && host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_loopback_addresses_in_numbers_count_as_this_machine() {
        for near in ["http://127.0.0.1:80", "ws://127.1.2.3:9/private", "http://[::1]:80/x"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in [
            "https://fapi.binance.com",
            "http://127.0.0.1@fapi.binance.com",
            "http://127.0.0.1:80@fapi.binance.com/",
            "http://[::1]@fapi.binance.com/",
            "http://[::1]:80@fapi.binance.com/",
            "http://127.0.0.1.example.com",
            "http://localhost:80",
            "http://10.0.0.1:80",
            "http://127.0.0.1?.example.com",
            "http://127.0.0.1#.example.com",
            "http://127.0.0.1\\.example.com",
            "http://[::1]?.example.com",
            "http://0.0.0.0:80",
            "http://[::]:80",
            "http://[::ffff:127.0.0.1]:80",
            "http://127.1:80",
            "127.0.0.1:80",
            "",
        ] {
            assert!(!is_loopback(far), "{far}");
        }
    }
}
