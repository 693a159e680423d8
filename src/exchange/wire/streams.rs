//! Who is subscribed to what, and what each connection is sent.

use super::route::Target;
use crate::base::Nanos;
use crate::exchange::flow::market::{MarketFrame, SyntheticMarket};
use tungstenite::Utf8Bytes;

/// A WebSocket connection, for as long as the exchange runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u64);

/// Text for one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// To whom.
    pub conn: ConnId,
    /// Event time.
    pub ts: Nanos,
    /// What it is, for faults that aim: a stream name (`btcusdt@bookTicker`), a user event's name
    /// (`ORDER_TRADE_UPDATE`), or `answer`.
    pub topic: Utf8Bytes,
    /// The text.
    pub text: Utf8Bytes,
}

/// Subscriptions, and the streams made out of others.
#[derive(Debug, Default)]
pub struct Streams {}

impl Streams {
    /// A connection is open; the streams its path names are subscribed.
    pub fn open(&mut self, _conn: ConnId, _target: &Target, _now: Nanos) {}

    /// A connection is gone.
    pub fn close(&mut self, _conn: ConnId) {}

    /// A control message (`SUBSCRIBE`…); the answer.
    pub fn control(&mut self, _conn: ConnId, _text: &str, _now: Nanos) -> String {
        String::new()
    }

    /// A frame of the market for everyone who wants it.
    pub fn publish(&mut self, _frame: &MarketFrame<'_>, _out: &mut Vec<Delivery>) {}

    /// A user event for every connection that listens with `listen_key`.
    pub fn tell(
        &mut self,
        _listen_key: &str,
        _event: &str,
        _text: &str,
        _ts: Nanos,
        _out: &mut Vec<Delivery>,
    ) {
    }

    /// When a stream made on a timer is next due.
    pub fn next_due(&self) -> Nanos {
        Nanos(i64::MAX)
    }

    /// Makes the streams that are due by `now`.
    pub fn on_due(&mut self, _market: &SyntheticMarket, _now: Nanos, _out: &mut Vec<Delivery>) {}
}
