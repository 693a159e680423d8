//! The account behind signed requests: its credentials, and what cold threads ask of it.

use super::rest::{RestClient, percent_encoded};
use crate::base::units::parse_fixed;
use crate::base::{Money, Nanos, Symbol};
use crate::execution::Signer;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Key and secret of an account. Wiped when dropped, never shown.
#[derive(Clone)]
pub struct Credentials {
    key: Zeroizing<String>,
    secret: Zeroizing<String>,
}

impl Credentials {
    /// From their texts. `None` for a key that cannot stand in a header, or an empty secret.
    pub fn new(key: String, secret: String) -> Option<Self> {
        let (key, secret) = (Zeroizing::new(key), Zeroizing::new(secret));
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
        (plain(&key) && !secret.is_empty()).then_some(Self { key, secret })
    }

    /// The key, which goes into a header.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// A signer with the secret in it.
    pub fn signer(&self) -> Signer {
        Signer::new(self.secret.as_bytes())
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(secret)")
    }
}

/// What an account holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Wallet balance in the quote currency.
    pub wallet: Money,
    /// Symbols with a position.
    pub positions: Vec<String>,
}

/// How long the venue may take to accept a request of ours, in milliseconds.
const RECV_WINDOW_MS: u32 = 5_000;

/// Asks for one account, blocking; for start, end and side threads.
#[derive(Debug)]
pub struct AccountClient {
    rest: RestClient,
    credentials: Credentials,
    signer: Signer,
    clock: fn() -> Nanos,
}

#[derive(Deserialize)]
struct Account {
    assets: Vec<Asset>,
    #[serde(default)]
    positions: Vec<Held>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    asset: String,
    wallet_balance: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Held {
    symbol: String,
    position_amt: String,
}

impl AccountClient {
    /// For the venue at `base_url` (no path); `clock` is the time requests are stamped with.
    pub fn new(base_url: &str, credentials: Credentials, clock: fn() -> Nanos) -> Self {
        let signer = credentials.signer();
        Self { rest: RestClient::new(base_url), credentials, signer, clock }
    }

    /// Wallet and positions.
    ///
    /// # Errors
    /// In words: the request and what came of it.
    pub fn holdings(&self) -> Result<Holdings, String> {
        let path = "/fapi/v3/account";
        let body = self.signed("GET", path, "")?;
        let bad = |what: &str| format!("GET {path}: {what}");
        let account: Account =
            serde_json::from_slice(&body).map_err(|error| bad(&error.to_string()))?;
        let quote = account.assets.iter().find(|asset| asset.asset == "USDT");
        let wallet = quote.map_or("0", |asset| asset.wallet_balance.as_str());
        let wallet = parse_fixed(wallet.as_bytes()).map_err(|_| bad("walletBalance"))?;
        let mut positions = Vec::new();
        for held in account.positions {
            let amount = parse_fixed(held.position_amt.as_bytes());
            if amount.map_err(|_| bad("positionAmt"))? != 0 {
                positions.push(held.symbol);
            }
        }
        Ok(Holdings { wallet: Money(wallet), positions })
    }

    /// Client ids of the orders open on all symbols.
    ///
    /// # Errors
    /// In words.
    pub fn open_orders(&self) -> Result<Vec<String>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Open {
            client_order_id: String,
        }
        let body = self.signed("GET", "/fapi/v1/openOrders", "")?;
        let open: Vec<Open> = serde_json::from_slice(&body)
            .map_err(|error| format!("GET /fapi/v1/openOrders: {error}"))?;
        Ok(open.into_iter().map(|order| order.client_order_id).collect())
    }

    /// True in hedge mode, where an order names the position it belongs to.
    ///
    /// # Errors
    /// In words.
    pub fn hedged(&self) -> Result<bool, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Mode {
            dual_side_position: bool,
        }
        let path = "/fapi/v1/positionSide/dual";
        let body = self.signed("GET", path, "")?;
        let mode: Mode =
            serde_json::from_slice(&body).map_err(|error| format!("GET {path}: {error}"))?;
        Ok(mode.dual_side_position)
    }

    /// Cancels every open order of a symbol.
    ///
    /// # Errors
    /// In words.
    pub fn cancel_all(&self, symbol: &Symbol) -> Result<(), String> {
        let query = format!("symbol={}&", percent_encoded(symbol));
        self.signed("DELETE", "/fapi/v1/allOpenOrders", &query).map(|_| ())
    }

    /// The key of the account's stream: a new one, or the living one with its life extended.
    ///
    /// # Errors
    /// In words.
    pub fn listen_key(&self) -> Result<String, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Key {
            listen_key: String,
        }
        let path = "/fapi/v1/listenKey";
        let body = self.rest.ask("POST", path, "", Some(self.credentials.key()))?;
        // The error of a parser may quote what it read.
        let key: Key =
            serde_json::from_slice(&body).map_err(|_| format!("POST {path}: no listenKey"))?;
        let plain = key.listen_key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if key.listen_key.is_empty() || !plain {
            return Err(format!("POST {path}: a listenKey that is none"));
        }
        Ok(key.listen_key)
    }

    /// Extends the life of the stream's key.
    ///
    /// # Errors
    /// In words; a key that is gone is one of them.
    pub fn keep_listen_key(&self) -> Result<(), String> {
        let key = Some(self.credentials.key());
        self.rest.ask("PUT", "/fapi/v1/listenKey", "", key).map(|_| ())
    }

    /// The body of a signed request; `parameters` end in `&` where there are any.
    fn signed(&self, method: &str, path: &str, parameters: &str) -> Result<Vec<u8>, String> {
        let time = (self.clock)().to_millis();
        let mut query = format!("{parameters}recvWindow={RECV_WINDOW_MS}&timestamp={time}");
        let signature = self.signer.sign(query.as_bytes());
        query.push_str("&signature=");
        query.extend(signature.map(char::from));
        self.rest.ask(method, path, &query, Some(self.credentials.key()))
    }
}
