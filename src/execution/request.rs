//! Signed request text from templates: only the bytes that change are written.
//!
//! ```text
//! order   symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&reduceOnly=false
//!         &newOrderRespType=ACK&recvWindow=5000&newClientOrderId=pg1-     ◄── constant, hashed
//! ahead
//!         0000100000000001&timestamp=1591702613943&quantity=              ◄── fixed width
//!         0.010&price=61800.3&signature=<64 hex>                          ◄── variable width
//! cancel  symbol=BTCUSDT&recvWindow=5000&origClientOrderId=pg1-
//!         0000100000000001&timestamp=1591702613943&signature=<64 hex>
//! ```
//! The venue takes parameters in any order as long as the signature is last. So what is constant
//! comes first, and a template keeps the keyed hash with that part already absorbed: one message
//! hashes its own tail alone.

use super::number::{decimals_of, write_digits, write_fixed, write_hex};
use crate::base::event::{Order, flags};
use crate::base::settings::InstrumentSettings;
use crate::base::{Event, Nanos, OrderType, Reason, Side, TimeInForce};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Longest request text in bytes: 3 × 32 for an escaped symbol, 130 of names and words, 16 of id,
/// 13 of time, 2 × 20 of numbers, 75 of signature.
pub const REQUEST_BYTES_MAX: usize = 512;

const ID_DIGITS: usize = 16;
const TIME_DIGITS: usize = 13;
const SIGNATURE_NAME: &[u8] = b"&signature=";
const SIGNATURE_HEX: usize = 64;
const KINDS: [(OrderType, TimeInForce); 5] = [
    (OrderType::Limit, TimeInForce::Gtc),
    (OrderType::Limit, TimeInForce::Ioc),
    (OrderType::Limit, TimeInForce::Fok),
    (OrderType::Limit, TimeInForce::Gtx),
    (OrderType::Market, TimeInForce::Ioc),
];

/// A signed request's text on its way to the venue: a copy of fixed size, so that it can cross a
/// ring.
#[derive(Clone, Copy)]
pub struct RequestText {
    len: u16,
    bytes: [u8; REQUEST_BYTES_MAX],
}

impl RequestText {
    /// A copy of a query; what is longer than [`REQUEST_BYTES_MAX`] is a programming error.
    #[inline]
    pub fn new(query: &[u8]) -> Self {
        let mut bytes = [0; REQUEST_BYTES_MAX];
        bytes[..query.len()].copy_from_slice(query);
        Self { len: query.len() as u16, bytes }
    }

    /// The text.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for RequestText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The text carries a signature; logs never do.
        write!(f, "RequestText({} bytes)", self.len)
    }
}

const _: () = assert!(REQUEST_BYTES_MAX <= u16::MAX as usize, "a text's length is a u16");

/// HMAC-SHA256 with the key already in it. Never shows the key.
#[derive(Clone)]
pub struct Signer {
    keyed: Hmac<Sha256>,
}

impl Signer {
    /// From the account's secret; any length.
    pub fn new(secret: &[u8]) -> Self {
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes a key of any length");
        Self { keyed }
    }

    /// Signs paper orders like real ones, so that the cost is there; its key opens nothing.
    pub fn paper() -> Self {
        Self::new(b"paper")
    }

    /// The signature of a text: 64 lower-case hex digits.
    pub fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_HEX] {
        let mut keyed = self.keyed.clone();
        keyed.update(text);
        let mut hex = [0; SIGNATURE_HEX];
        write_hex(&mut hex, &keyed.finalize().into_bytes());
        hex
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(secret)")
    }
}

/// The templates of one instrument.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    orders: Vec<Template>,
    cancel: Template,
    px_decimals: u32,
    qty_decimals: u32,
}

/// A request text: where it is, how long, and where its signature begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) signed: &'a [u8],
    pub(super) unsigned: &'a [u8],
}

#[derive(Clone)]
struct Template {
    buffer: [u8; REQUEST_BYTES_MAX],
    /// End of the constant part: the id's digits begin here.
    head: usize,
    /// End of the fixed-width part.
    fixed: usize,
    /// The hash after the constant part.
    absorbed: Hmac<Sha256>,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Template({})", String::from_utf8_lossy(&self.buffer[..self.head]))
    }
}

impl Templates {
    /// Builds every template of an instrument; allocates.
    pub(super) fn new(facts: &InstrumentSettings, recv_window_ms: u32, signer: &Signer) -> Self {
        let symbol = escape(facts.symbol.as_str());
        let mut orders = Vec::with_capacity(4 * KINDS.len());
        for (order_type, tif) in KINDS {
            for side in ["BUY", "SELL"] {
                for reduce in [false, true] {
                    let kind = match order_type {
                        OrderType::Market | OrderType::StopMarket => "MARKET".to_owned(),
                        OrderType::Limit => format!("LIMIT&timeInForce={}", tif_text(tif)),
                    };
                    let head = format!(
                        "symbol={symbol}&side={side}&type={kind}&reduceOnly={reduce}\
                         &newOrderRespType=ACK&recvWindow={recv_window_ms}\
                         &newClientOrderId=pg1-"
                    );
                    orders.push(Template::new(&head, "&quantity=", signer));
                }
            }
        }
        let head = format!("symbol={symbol}&recvWindow={recv_window_ms}&origClientOrderId=pg1-");
        Self {
            orders,
            cancel: Template::new(&head, "", signer),
            px_decimals: decimals_of(facts.tick_size.0),
            qty_decimals: decimals_of(facts.lot_size.0),
        }
    }

    /// The text of an order event (`Order` body). A price or quantity that the instrument's steps
    /// cannot express is refused.
    pub(super) fn order(&mut self, event: &Event) -> Result<Text<'_>, Reason> {
        let order: &Order = event.body();
        let order_type = OrderType::from_u8(order.order_type).ok_or(Reason::InvariantBroken)?;
        let tif = TimeInForce::from_u8(order.time_in_force).ok_or(Reason::InvariantBroken)?;
        let kind = match order_type {
            OrderType::Market => KINDS.len() - 1,
            OrderType::StopMarket => return Err(Reason::InvariantBroken),
            OrderType::Limit => tif as usize - 1,
        };
        let side = usize::from(event.side() == Side::Sell);
        let reduce = usize::from(event.has(flags::REDUCE_ONLY));
        let template = &mut self.orders[kind * 4 + side * 2 + reduce];
        template.stamp(order.client_id, event.now());
        let buffer = &mut template.buffer;
        let mut end = write_fixed(buffer, template.fixed, order.qty, self.qty_decimals)
            .ok_or(Reason::LotSize)?;
        if order_type == OrderType::Limit {
            let name = b"&price=";
            buffer[end..end + name.len()].copy_from_slice(name);
            end = write_fixed(buffer, end + name.len(), order.px, self.px_decimals)
                .ok_or(Reason::TickSize)?;
        }
        Ok(template.sign(end))
    }

    /// The text of a cancel event (`Order` body, only the id counts).
    pub(super) fn cancel(&mut self, event: &Event) -> Text<'_> {
        let order: &Order = event.body();
        self.cancel.stamp(order.client_id, event.now());
        let end = self.cancel.fixed;
        self.cancel.sign(end)
    }
}

impl Template {
    fn new(head: &str, last_name: &str, signer: &Signer) -> Self {
        let mut buffer = [0; REQUEST_BYTES_MAX];
        let text = format!(
            "{head}{id}&timestamp={time}{last_name}",
            id = "0".repeat(ID_DIGITS),
            time = "0".repeat(TIME_DIGITS)
        );
        buffer[..text.len()].copy_from_slice(text.as_bytes());
        let mut absorbed = signer.keyed.clone();
        absorbed.update(head.as_bytes());
        Self { buffer, head: head.len(), fixed: text.len(), absorbed }
    }

    /// Writes the id and the time in milliseconds.
    fn stamp(&mut self, client_id: u64, now: Nanos) {
        let id_end = self.head + ID_DIGITS;
        write_hex(&mut self.buffer[self.head..id_end], &client_id.to_be_bytes());
        let time = id_end + b"&timestamp=".len();
        let millis = u64::try_from(now.to_millis()).unwrap_or(0);
        write_digits(&mut self.buffer[time..time + TIME_DIGITS], millis);
    }

    /// Appends the signature of everything before `end`.
    fn sign(&mut self, end: usize) -> Text<'_> {
        let mut keyed = self.absorbed.clone();
        keyed.update(&self.buffer[self.head..end]);
        let name_end = end + SIGNATURE_NAME.len();
        self.buffer[end..name_end].copy_from_slice(SIGNATURE_NAME);
        let signed_end = name_end + SIGNATURE_HEX;
        write_hex(&mut self.buffer[name_end..signed_end], &keyed.finalize().into_bytes());
        Text { signed: &self.buffer[..signed_end], unsigned: &self.buffer[..end] }
    }
}

/// Percent-encodes what a query may not carry plainly: symbols need not be ASCII.
fn escape(symbol: &str) -> String {
    let mut text = String::new();
    for byte in symbol.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

const fn tif_text(tif: TimeInForce) -> &'static str {
    match tif {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
        TimeInForce::Gtx => "GTX",
    }
}

const _: () = {
    let mut at = 0;
    while at < 4 {
        // A limit order's template is found by the number of its time in force.
        assert!(KINDS[at].1 as usize == at + 1);
        at += 1;
    }
};
