//! What an answer to an order or cancel becomes in the river. Whether it means yes, no or unknown
//! is said by [`classify`]; an acceptance that does not name our order is none.

use crate::base::event::{Event, Order, OrderReport, flags};
use crate::base::hop::Stamp;
use crate::base::units::parse_fixed;
use crate::base::{ClientOrderId, Kind, Nanos, Reason};
use crate::execution::RequestKind;
use crate::execution::outcome::{Outcome, classify};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A request under way: the order or cancel it asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    /// The approved order or cancel.
    pub order: Event,
    /// What is asked.
    pub kind: RequestKind,
    /// When it was handed over.
    pub sent: Stamp,
}

/// The venue's members that matter, as it writes them; any may be absent.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Body<'a> {
    #[serde(deserialize_with = "code")]
    code: Option<i32>,
    #[serde(borrow)]
    msg: Cow<'a, str>,
    #[serde(alias = "algoId")]
    order_id: Option<u64>,
    #[serde(borrow, alias = "clientAlgoId")]
    client_order_id: Cow<'a, str>,
    #[serde(borrow)]
    price: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    executed_qty: Cow<'a, str>,
    #[serde(borrow)]
    orig_qty: Cow<'a, str>,
    update_time: i64,
}

/// The venue's code: a number, and a text in the answer to the cancel of a stop.
fn code<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code<'a> {
        Number(i32),
        Text(#[serde(borrow)] Cow<'a, str>),
    }
    Ok(match Option::<Code<'_>>::deserialize(from)? {
        Some(Code::Number(number)) => Some(number),
        Some(Code::Text(text)) => Some(text.parse().map_err(D::Error::custom)?),
        None => None,
    })
}

/// What an answer says.
pub(super) struct Said<'a> {
    /// For the river.
    pub event: Option<Event>,
    /// What it tells beyond the order.
    pub tells: Reason,
    /// The venue's code, 0 for none.
    pub code: i32,
    /// The venue's words.
    pub message: Cow<'a, str>,
}

impl Flight {
    /// A request for `order`.
    pub fn new(order: &Event, sent: Stamp) -> Self {
        Self { order: *order, kind: RequestKind::of(order), sent }
    }

    /// Whose.
    pub fn id(&self) -> ClientOrderId {
        self.order.body::<Order>().id()
    }

    /// What an answer says. Its event is `None` where the account's stream says it better.
    pub fn answered<'a>(&self, status: u16, bytes: &'a [u8]) -> Said<'a> {
        let parsed: Option<Body<'_>> = serde_json::from_slice(bytes).ok();
        let known = parsed.is_some();
        let body = parsed.unwrap_or_default();
        // What is no JSON may still say in words that it failed.
        let message = if known { body.msg.as_bytes() } else { bytes };
        let code = body.code.unwrap_or(0);
        let other = !body.client_order_id.is_empty() && !self.is_named_by(&body);
        let (event, tells) = match classify(Some(status), body.code, message) {
            Outcome::Rejected(reason) => (Some(self.refused(reason, code)), reason),
            Outcome::Unknown(reason) => (Some(self.unknown(reason, code)), reason),
            // An answer that names another order: nothing on this way can be believed.
            Outcome::Accepted if other => {
                (Some(self.unknown(Reason::RequestTimeout, code)), Reason::InvariantBroken)
            }
            Outcome::Accepted if !self.is_named_by(&body) => {
                (Some(self.unknown(Reason::RequestTimeout, code)), Reason::None)
            }
            Outcome::Accepted => {
                let event = self.accepted(&body);
                let told = event.as_ref().map_or(0, |event| event.body::<OrderReport>().reason);
                (event, Reason::from_u16(told).unwrap_or(Reason::None))
            }
        };
        // The words of a ban say when it ends; they are plain, so nothing is lost in a copy.
        let message = if known { body.msg } else { Cow::Borrowed("") };
        Said { event, tells, code, message }
    }

    /// No answer came although the request, or a part of it, left.
    pub fn lost(&self) -> Event {
        self.unknown(Reason::RequestTimeout, 0)
    }

    /// The request was not taken by the venue, or never left.
    pub fn refused(&self, reason: Reason, code: i32) -> Event {
        let cancel = self.kind.is_cancel();
        let kind = if cancel { Kind::CancelRejected } else { Kind::OrderRejected };
        self.report(kind, OrderReport { reason: reason as u16, venue_code: code, ..self.base() })
    }

    fn unknown(&self, reason: Reason, code: i32) -> Event {
        let body = OrderReport { reason: reason as u16, venue_code: code, ..self.base() };
        self.report(Kind::OrderUnknown, body)
    }

    fn is_named_by(&self, body: &Body<'_>) -> bool {
        let named = ClientOrderId::from_text(body.client_order_id.as_bytes());
        named == Some(self.id()) && body.order_id.is_some()
    }

    fn accepted(&self, body: &Body<'_>) -> Option<Event> {
        let number = |text: &str| parse_fixed(text.as_bytes()).unwrap_or(0).max(0);
        let mut told = OrderReport {
            venue_id: body.order_id.unwrap_or(0),
            qty: number(&body.orig_qty),
            cum_qty: number(&body.executed_qty),
            ..self.base()
        };
        let kind = match self.kind {
            RequestKind::Order => {
                let px = number(&body.price);
                let limit = self.order.body::<Order>().px > 0;
                let other_px = limit && px > 0 && px != told.px;
                if other_px || told.qty > 0 && told.qty != self.base().qty {
                    told.reason = Reason::VenueAdjusted as u16;
                }
                told.px = if other_px { px } else { told.px };
                Kind::OrderAccepted
            }
            // A stop's answer names no quantity: it closes whatever the position is.
            RequestKind::Stop => {
                told.qty = self.base().qty;
                Kind::OrderAccepted
            }
            // A stop that was cancelled had not become an order.
            RequestKind::StopCancel => {
                told.qty = self.base().qty;
                Kind::OrderCancelled
            }
            // Anything but a cancelled order is the stream's to tell.
            RequestKind::Cancel if body.status == "CANCELED" => {
                // How much was filled says how much is still to come: without it the order would
                // be let go with its fills unheard.
                if parse_fixed(body.executed_qty.as_bytes()).is_err() {
                    return Some(self.unknown(Reason::RequestTimeout, 0));
                }
                Kind::OrderCancelled
            }
            RequestKind::Cancel => return None,
        };
        let mut event = self.report(kind, told);
        event.ts_venue = Nanos::from_millis(body.update_time).0;
        Some(event)
    }

    fn base(&self) -> OrderReport {
        let order: &Order = self.order.body();
        OrderReport {
            client_id: order.client_id,
            px: order.px,
            qty: order.qty,
            ..OrderReport::default()
        }
    }

    fn report(&self, kind: Kind, body: OrderReport) -> Event {
        let bits = self.order.flags & (flags::SELL | flags::REDUCE_ONLY);
        Event::new(kind, self.order.instrument(), &body).with_flags(bits)
    }
}
