//! An exchange without sockets and a client that signs as real ones do.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use hmac::{Hmac, KeyInit, Mac};
use peregrine::base::{Money, Nanos};
use peregrine::exchange::account::{AccountSettings, Accounts, Credential};
use peregrine::exchange::wire::http::{Answer, Request};
use peregrine::exchange::wire::route::{Route, Target};
use peregrine::exchange::wire::streams::ConnId;
use peregrine::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use serde_json::Value;
use sha2::Sha256;
use std::net::{IpAddr, Ipv4Addr};

pub const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// 2026-11-22 19:13:00 UTC, the beginning of a minute.
pub const OPENED: Nanos = Nanos::from_secs(1_795_374_780);
/// Of the trading WebSocket API.
pub const SOCKET: ConnId = ConnId(77);
const ED25519_SEED: [u8; 32] = [7; 32];

/// The key of the recorded clients, which signs with HMAC.
pub fn hmac_key() -> String {
    "K".repeat(64)
}

/// A key of the same account that signs with Ed25519.
pub fn ed25519_key() -> String {
    "Q".repeat(64)
}

fn ed25519() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&ED25519_SEED).unwrap()
}

/// As the recorded clients sign.
pub fn hmac(text: &str) -> String {
    let mut keyed = Hmac::<Sha256>::new_from_slice("S".repeat(64).as_bytes()).unwrap();
    keyed.update(text.as_bytes());
    keyed.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Ed25519 in base64, written with three bytes at a time.
pub fn ed25519_sign(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in ed25519().sign(text.as_bytes()).as_ref().chunks(3) {
        let byte = |i: usize| u32::from(group.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * i) & 63) as usize]);
            out.push(if i <= group.len() { digit } else { '=' });
        }
    }
    out
}

/// An exchange with one account of 10 000 USDT, BTCUSDT and ETHUSDT.
pub struct Desk {
    pub exchange: Exchange,
    pub now: Nanos,
}

impl Desk {
    pub fn open() -> Self {
        Self::open_at(OPENED)
    }

    pub fn open_at(now: Nanos) -> Self {
        let public = ed25519().public_key().as_ref().try_into().unwrap();
        let keys = vec![
            (hmac_key(), Credential::Hmac("S".repeat(64))),
            (ed25519_key(), Credential::Ed25519(public)),
        ];
        let account = AccountSettings { keys, deposit: Money::whole(10_000), leverage: 20 };
        let exchange = Exchange::new(&ExchangeSettings {
            seed: 7,
            symbols: SymbolSpec::default_pair().to_vec(),
            rate: 200.0,
            opened_at: now,
            accounts: vec![account],
        });
        Self { exchange, now }
    }

    /// Accounts of nobody.
    pub fn empty_accounts() -> Accounts {
        Accounts::new(&[], &SymbolSpec::default_pair(), OPENED)
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: i64) {
        self.now = self.now + Nanos::from_secs(seconds);
        self.exchange.advance(self.now);
    }

    /// A request as it is.
    pub fn send(&mut self, request: &Request) -> Answer {
        self.exchange.http(request, PEER, self.now)
    }

    /// A request signed in its query.
    pub fn call(&mut self, method: &str, path: &str, params: &str) -> Answer {
        let time = self.now.to_millis();
        let joint = if params.is_empty() { "" } else { "&" };
        let text = format!("{params}{joint}timestamp={time}");
        let query = format!("{text}&signature={}", hmac(&text));
        self.send(&request(method, path, &query, ""))
    }

    /// The body of [`Desk::call`], which must succeed.
    pub fn ok(&mut self, method: &str, path: &str, params: &str) -> Value {
        let answer = self.call(method, path, params);
        let body = json(&answer);
        assert_eq!(answer.status, 200, "{method} {path} {params}: {body}");
        body
    }

    /// The code of [`Desk::call`], which must fail.
    pub fn code(&mut self, method: &str, path: &str, params: &str) -> i64 {
        let answer = self.call(method, path, params);
        assert_ne!(answer.status, 200, "{method} {path} {params}: {}", json(&answer));
        json(&answer)["code"].as_i64().unwrap()
    }

    /// A text on the trading WebSocket API, and the text that answers it.
    pub fn say(&mut self, text: &str) -> String {
        self.exchange.message(SOCKET, Route::Api, text, PEER, self.now);
        let sent = self.exchange.take_deliveries();
        let own: Vec<_> = sent.iter().filter(|delivery| delivery.conn == SOCKET).collect();
        assert_eq!(own.len(), 1, "one answer to {text}");
        own[0].text.to_string()
    }

    /// Opens the trading WebSocket API.
    pub fn connect(&mut self) {
        let target = Target::parse("/ws-fapi/v1").unwrap();
        self.exchange.open(SOCKET, &target, self.now);
    }

    /// A request on the trading WebSocket API, signed with HMAC; `params` are `name=value` pairs.
    pub fn ask(&mut self, method: &str, params: &[(&str, &str)]) -> Value {
        let key = hmac_key();
        let time = self.now.to_millis().to_string();
        let mut pairs: Vec<(&str, &str)> = params.to_vec();
        pairs.extend([("apiKey", key.as_str()), ("timestamp", time.as_str())]);
        pairs.sort_unstable();
        let text: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let signature = hmac(&text.join("&"));
        pairs.push(("signature", &signature));
        let members: Vec<String> =
            pairs.iter().map(|(name, value)| format!("\"{name}\":\"{value}\"")).collect();
        let members = members.join(",");
        let answer = self.say(&format!(
            "{{\"id\":\"5633b6a2-90a9\",\"method\":\"{method}\",\"params\":{{{members}}}}}"
        ));
        serde_json::from_str(&answer).unwrap()
    }

    /// A price `percent` % away from the mark price, on the tick of BTCUSDT.
    pub fn px(&self, percent: i64) -> String {
        let mark = self.exchange.market.mark_px(0).0;
        let px = mark / 100 * (100 + percent);
        peregrine::base::Px(px).floor_to(self.exchange.market.spec(0).tick_size).to_string()
    }
}

/// A request with the HMAC key.
pub fn request(method: &str, path: &str, query: &str, body: &str) -> Request {
    Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        body: body.as_bytes().to_vec(),
        api_key: hmac_key(),
    }
}

/// An answer's body.
pub fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&answer.body)))
}

/// An answer's header.
pub fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
}
