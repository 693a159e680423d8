//! Signed request text from templates: only the bytes that change are written.
//!
//! | file | holds |
//! |---|---|
//! | `template` | one request's text, in either form, and its signature |
//! | `signer` | HMAC-SHA256 and Ed25519 |
//! | `base64` | the text of keys and signatures |

pub(crate) mod base64;
mod signer;
mod template;

pub use signer::{Signature, Signer};

use super::RequestKind;
use super::number::decimals_of;
use crate::base::event::{Order, flags};
use crate::base::settings::InstrumentSettings;
use crate::base::{Event, OrderType, Reason, Side, TimeInForce};
use template::{Changing, Param, Template, Value};

/// Longest request text in bytes: 3 × 32 for an escaped symbol, 207 of names and words, 16 of id,
/// 13 of time, 2 × 20 of numbers, 11 + 264 of a percent-encoded signature; in JSON 345 of names and
/// words, 128 of key and 64 of signature at most.
pub const REQUEST_BYTES_MAX: usize = 720;

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

/// The templates of one instrument.
#[derive(Clone, Debug)]
pub(super) struct Templates {
    orders: Vec<Template>,
    /// By side: buy, sell.
    stops: [Template; 2],
    cancel: Template,
    stop_cancel: Template,
    px_decimals: u32,
    qty_decimals: u32,
}

/// A request text: as it leaves, and without what proves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    pub(super) signed: &'a [u8],
    pub(super) unsigned: &'a [u8],
}

impl Templates {
    /// Builds every template of an instrument; allocates.
    pub(super) fn new(facts: &InstrumentSettings, recv_window_ms: u32, signer: &Signer) -> Self {
        let word = |text: &str| Value::Text(text.to_owned());
        let symbol = || ("symbol", word(facts.symbol.as_str()));
        let window = || ("recvWindow", Value::Plain(recv_window_ms.to_string()));
        let time = ("timestamp", Value::Time);
        let mut orders = Vec::with_capacity(4 * KINDS.len());
        for (order_type, tif) in KINDS {
            for side in ["BUY", "SELL"] {
                for reduce in ["false", "true"] {
                    let mut params = vec![symbol(), ("side", word(side))];
                    params.extend(match order_type {
                        OrderType::Market => vec![("type", word("MARKET"))],
                        _ => vec![("type", word("LIMIT")), ("timeInForce", word(tif_text(tif)))],
                    });
                    params.extend([
                        ("reduceOnly", word(reduce)),
                        ("newOrderRespType", word("ACK")),
                        // RC-11: the gate denies what would meet our own; should it all the same,
                        // the one that rests goes.
                        ("selfTradePreventionMode", word("EXPIRE_MAKER")),
                        window(),
                        ("newClientOrderId", Value::Id),
                        time.clone(),
                        ("quantity", Value::Qty),
                    ]);
                    if order_type == OrderType::Limit {
                        params.push(("price", Value::Px));
                    }
                    orders.push(Template::new(&params, signer));
                }
            }
        }
        let stops = ["BUY", "SELL"].map(|side| {
            let params: [Param; 10] = [
                ("algoType", word("CONDITIONAL")),
                symbol(),
                ("side", word(side)),
                ("type", word("STOP_MARKET")),
                ("closePosition", word("true")),
                ("workingType", word("MARK_PRICE")),
                window(),
                ("clientAlgoId", Value::Id),
                time.clone(),
                ("triggerPrice", Value::Px),
            ];
            Template::new(&params, signer)
        });
        let cancel = [symbol(), window(), ("origClientOrderId", Value::Id), time.clone()];
        let stop_cancel = [window(), ("clientAlgoId", Value::Id), time];
        Self {
            orders,
            stops,
            cancel: Template::new(&cancel, signer),
            stop_cancel: Template::new(&stop_cancel, signer),
            px_decimals: decimals_of(facts.tick_size.0),
            qty_decimals: decimals_of(facts.lot_size.0),
        }
    }

    /// The text of an order event (`Order` body) and what it asks. A price or quantity that the
    /// instrument's steps cannot express is refused.
    pub(super) fn order(&mut self, event: &Event) -> Result<Text<'_>, Reason> {
        let order: &Order = event.body();
        let changing = self.changing(event);
        let order_type = OrderType::from_u8(order.order_type).ok_or(Reason::InvariantBroken)?;
        let side = usize::from(event.side() == Side::Sell);
        let tif = TimeInForce::from_u8(order.time_in_force);
        let kind = match order_type {
            OrderType::StopMarket => return self.stops[side].fill(&changing),
            OrderType::Market => KINDS.len() - 1,
            OrderType::Limit => tif.ok_or(Reason::InvariantBroken)? as usize - 1,
        };
        let reduce = usize::from(event.has(flags::REDUCE_ONLY));
        self.orders[kind * 4 + side * 2 + reduce].fill(&changing)
    }

    /// The text of a cancel event (`Order` body, only id and type count).
    pub(super) fn cancel(&mut self, event: &Event) -> Result<Text<'_>, Reason> {
        let changing = self.changing(event);
        match RequestKind::of(event) {
            RequestKind::StopCancel => self.stop_cancel.fill(&changing),
            _ => self.cancel.fill(&changing),
        }
    }

    fn changing(&self, event: &Event) -> Changing {
        let order: &Order = event.body();
        Changing {
            id: order.client_id,
            time: event.now(),
            qty: (order.qty, self.qty_decimals),
            px: (order.px, self.px_decimals),
        }
    }
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
