//! Hosts and ports out of URLs.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

/// Where a URL leads, without its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address.
    pub host: String,
    /// Port, the scheme's own where the URL has none.
    pub port: u16,
    /// Over TLS.
    pub secure: bool,
}

impl Endpoint {
    /// Reads a URL of the scheme `plain` or its counterpart over TLS.
    ///
    /// # Errors
    /// Names the URL that is none.
    pub fn parse(url: &str, plain: &str, tls: &str) -> io::Result<Self> {
        // A query may hold a key, which no error shows.
        let shown = url.split('?').next().unwrap_or("");
        let bad = || io::Error::other(format!("{shown:?} is no {plain}:// or {tls}:// address"));
        let (secure, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme == plain => (false, rest),
            Some((scheme, rest)) if scheme == tls => (true, rest),
            _ => return Err(bad()),
        };
        let authority = rest.split('/').next().unwrap_or("");
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
            None => (authority, if secure { 443 } else { 80 }),
        };
        if host.is_empty() || host.contains(['@', '?', '#', '\\']) {
            return Err(bad());
        }
        Ok(Self { host: host.to_owned(), port, secure })
    }

    /// The addresses behind the name; blocks.
    ///
    /// # Errors
    /// When there are none.
    pub fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.as_str();
        let plain = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let named = |e: io::Error| io::Error::other(format!("cannot resolve {host}: {e}"));
        let found: Vec<SocketAddr> = (plain, self.port).to_socket_addrs().map_err(named)?.collect();
        if found.is_empty() {
            return Err(io::Error::other(format!("{host} has no address")));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_named_without_its_query() {
        for url in ["http://127.0.0.1:1/ws?listenKey=secret", "ws://a@b:1/ws?listenKey=secret"] {
            let error = Endpoint::parse(url, "ws", "wss").unwrap_err().to_string();
            assert!(error.contains("/ws") && !error.contains("secret"), "{error}");
        }
    }
}
