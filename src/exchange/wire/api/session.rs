//! Who is logged on, per connection.

use super::Asked;
use crate::base::Nanos;
use crate::exchange::Exchange;
use crate::exchange::account::Credential;
use crate::exchange::wire::auth;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::private::Reply;
use crate::exchange::wire::streams::ConnId;
use serde_json::json;
use std::collections::BTreeMap;

/// Connections of the trading WebSocket API.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: BTreeMap<ConnId, Session>,
}

#[derive(Debug, Default)]
struct Session {
    connected: Nanos,
    greeted: bool,
    /// Key and time of the logon.
    logon: Option<(String, Nanos)>,
}

impl Sessions {
    /// A connection is open.
    pub fn open(&mut self, conn: ConnId, now: Nanos) {
        self.sessions.insert(conn, Session { connected: now, ..Session::default() });
    }

    /// A connection is gone.
    pub fn close(&mut self, conn: ConnId) {
        self.sessions.remove(&conn);
    }

    /// The key a connection is logged on with.
    pub fn key(&self, conn: ConnId) -> Option<&str> {
        let session = self.sessions.get(&conn)?;
        session.logon.as_ref().map(|(key, _)| key.as_str())
    }

    /// Ends a connection's logon; whether it had one.
    pub(super) fn drop_lost(&mut self, conn: ConnId) -> bool {
        self.sessions.get_mut(&conn).is_some_and(|session| session.logon.take().is_some())
    }

    /// True for the first request of a connection.
    pub(super) fn greet(&mut self, conn: ConnId) -> bool {
        let session = self.sessions.entry(conn).or_default();
        !std::mem::replace(&mut session.greeted, true)
    }

    fn shown(&self, conn: ConnId, now: Nanos) -> serde_json::Value {
        let none = Session::default();
        let session = self.sessions.get(&conn).unwrap_or(&none);
        let logon = session.logon.as_ref();
        json!({
            "apiKey": logon.map(|(key, _)| key),
            "authorizedSince": logon.map(|(_, since)| since.to_millis()),
            "connectedSince": session.connected.to_millis(),
            "returnRateLimits": true,
            "serverTime": now.to_millis(),
        })
    }
}

/// `session.logon`.
///
/// # Errors
/// −4056 for a key that is not Ed25519, else as any signed request.
pub(super) fn logon(exchange: &mut Exchange, asked: &Asked<'_>) -> Reply {
    let params = asked.params;
    let key = params.need("apiKey")?;
    let (_, credential) = auth::owner_of(&exchange.accounts, key)?;
    if !matches!(credential, Credential::Ed25519(_)) {
        return Err(VenueError::SESSION_KEY_TYPE);
    }
    params.need("timestamp")?;
    let signature = params.need("signature")?.as_bytes();
    auth::check_time(params, exchange.clock(asked.now))?;
    auth::verify(credential, asked.signed.as_bytes(), signature)?;
    let session = exchange.sessions.sessions.entry(asked.conn).or_default();
    session.logon = Some((key.to_owned(), asked.now));
    status(exchange, asked)
}

/// `session.status`.
///
/// # Errors
/// None.
pub(super) fn status(exchange: &mut Exchange, asked: &Asked<'_>) -> Reply {
    Ok(exchange.sessions.shown(asked.conn, asked.now))
}

/// `session.logout`. The connection stays open.
///
/// # Errors
/// None.
pub(super) fn logout(exchange: &mut Exchange, asked: &Asked<'_>) -> Reply {
    exchange.sessions.drop_lost(asked.conn);
    status(exchange, asked)
}
