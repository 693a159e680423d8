//! Questions to the venue's REST side as pure functions: a job to a request, and an answer's bytes
//! to what they say. Whoever carries the bytes in between, a side thread with a socket or a
//! simulated network, the same code asks and reads.
//!
//! ```text
//!  RestJob ──request()──► RestRequest ──signed, carried──► status, body ──read()──► RestReply
//! ```

use super::answers;
use super::dialect::Paths;
use super::watch::{Ask, Seen};
use crate::base::ids::{InstrumentId, Symbol, percent_encoded};
use crate::execution::reconcile::{PAGE_ROWS, Question, Told};

/// What trades that are asked for cost of the venue's request weight.
pub const TRADES_WEIGHT: u32 = 20;

/// Most orders that one request cancels by their numbers.
pub const CANCELS_MAX: usize = 10;

/// What to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestJob {
    /// The depth snapshot of an instrument; answered by its body.
    Snapshot {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
        /// Levels a side.
        levels: u32,
    },
    /// The open interest of an instrument; answered by its body.
    OpenInterest {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
    },
    /// Aggregated trades from a number on; answered by the body.
    Trades {
        /// Whose.
        instrument: InstrumentId,
        /// Its symbol.
        symbol: Symbol,
        /// Number of the first.
        from_id: u64,
    },
    /// A key for the account's stream.
    ListenKey,
    /// A longer life for that key.
    KeepListenKey,
    /// The end of every open order of a symbol but conditional ones.
    CancelAll {
        /// Whose.
        symbol: Symbol,
    },
    /// The end of some open orders of a symbol, by the venue's numbers; zeros name none.
    CancelBatch {
        /// Whose.
        symbol: Symbol,
        /// Which.
        orders: [u64; CANCELS_MAX],
    },
    /// The end of one conditional order.
    CancelAlgo {
        /// Its number in the venue's service for conditional orders.
        order: u64,
    },
    /// The end of every conditional order of a symbol.
    CancelAllAlgo {
        /// Whose.
        symbol: Symbol,
    },
    /// Something that reconciliation wants to know.
    Ask(Question),
    /// True in hedge mode.
    PositionMode,
    /// The venue is to cancel every open order of a symbol unless told otherwise within a time.
    Countdown {
        /// Whose.
        symbol: Symbol,
        /// Milliseconds; 0 stops the timer.
        after_ms: u32,
    },
    /// Something that the watch of the venue wants to know.
    Watch(Ask),
    /// Every contract with its filters; answered by the body.
    Contracts,
    /// A page of the venue; answered by its body.
    Page {
        /// Its path.
        path: &'static str,
    },
}

/// How much a request has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// The account's key.
    Key,
    /// The key, a time and a signature.
    Signed,
}

/// A request before it is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestRequest {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: &'static str,
    /// Path without a query.
    pub path: &'static str,
    /// Parameters without time and signature; empty for none.
    pub query: String,
    /// What it has to show.
    pub access: Access,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq)]
pub enum RestReply {
    /// The body, to be read elsewhere.
    Body(Vec<u8>),
    /// The key of the account's stream.
    Key(String),
    /// It was done.
    Done,
    /// To a [`RestJob::Ask`].
    Told(Told),
    /// True in hedge mode.
    Hedged(bool),
    /// To a [`RestJob::Watch`].
    Seen(Seen),
}

/// A question that was not answered by what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestFailure {
    /// HTTP status; `None` where no answer came.
    pub status: Option<u16>,
    /// The venue's code; `None` for none.
    pub code: Option<i32>,
    /// Method, path and what was wrong, in words. Never a query: it may be signed.
    pub message: String,
    /// Whether anything of the request may have left.
    pub sent: bool,
}

impl std::fmt::Display for RestFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl RestRequest {
    pub(super) fn new(method: &'static str, path: &'static str, access: Access) -> Self {
        Self { method, path, query: String::new(), access }
    }

    /// The same with one parameter more.
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query.push_str(name);
        self.query.push('=');
        self.query.push_str(value);
        self
    }

    pub(super) fn with_symbol(self, symbol: &Symbol) -> Self {
        self.with("symbol", &percent_encoded(symbol.as_str()))
    }

    fn with_symbol_if(self, symbol: Option<&Symbol>) -> Self {
        match symbol {
            Some(symbol) => self.with_symbol(symbol),
            None => self,
        }
    }
}

impl RestJob {
    /// True for what takes orders away and can do nothing else.
    pub const fn is_cancel(&self) -> bool {
        matches!(
            self,
            Self::CancelAll { .. }
                | Self::CancelBatch { .. }
                | Self::CancelAlgo { .. }
                | Self::CancelAllAlgo { .. }
        )
    }

    /// True for what does something to orders at the venue, at once or by its timer.
    pub const fn changes_orders(&self) -> bool {
        self.is_cancel() || matches!(self, Self::Countdown { .. })
    }

    /// True for what is asked of the wallet's host.
    pub const fn is_of_wallet(&self) -> bool {
        matches!(self, Self::Watch(Ask::KeyRights))
    }

    /// What it costs of the venue's request weight.
    pub const fn weight(&self) -> u32 {
        match self {
            Self::Snapshot { levels, .. } => snapshot_weight(*levels),
            Self::Trades { .. } => TRADES_WEIGHT,
            Self::Ask(question) => question_weight(question),
            Self::Watch(ask) => ask.weight(),
            Self::PositionMode => 30,
            Self::Countdown { .. } => 10,
            Self::OpenInterest { .. }
            | Self::ListenKey
            | Self::KeepListenKey
            | Self::CancelAll { .. }
            | Self::CancelBatch { .. }
            | Self::CancelAlgo { .. }
            | Self::CancelAllAlgo { .. }
            | Self::Contracts
            | Self::Page { .. } => 1,
        }
    }

    /// What is asked of the venue, whose market is told at `paths`.
    pub fn request(&self, paths: &Paths) -> RestRequest {
        use Access::{Key, Public, Signed};
        let new = RestRequest::new;
        match self {
            Self::Snapshot { symbol, levels, .. } => new("GET", paths.depth, Public)
                .with_symbol(symbol)
                .with("limit", &levels.to_string()),
            Self::OpenInterest { symbol, .. } => {
                new("GET", paths.open_interest, Public).with_symbol(symbol)
            }
            Self::Trades { symbol, from_id, .. } => new("GET", paths.agg_trades, Public)
                .with_symbol(symbol)
                .with("fromId", &from_id.to_string())
                .with("limit", "500"),
            Self::ListenKey => new("POST", "/fapi/v1/listenKey", Key),
            Self::KeepListenKey => new("PUT", "/fapi/v1/listenKey", Key),
            Self::CancelAll { symbol } => {
                new("DELETE", "/fapi/v1/allOpenOrders", Signed).with_symbol(symbol)
            }
            Self::CancelBatch { symbol, orders } => {
                let named = orders.iter().filter(|order| **order != 0);
                let named: Vec<String> = named.map(u64::to_string).collect();
                new("DELETE", "/fapi/v1/batchOrders", Signed)
                    .with_symbol(symbol)
                    .with("orderIdList", &format!("%5B{}%5D", named.join("%2C")))
            }
            Self::CancelAlgo { order } => {
                new("DELETE", "/fapi/v1/algoOrder", Signed).with("algoId", &order.to_string())
            }
            Self::CancelAllAlgo { symbol } => {
                new("DELETE", "/fapi/v1/algoOpenOrders", Signed).with_symbol(symbol)
            }
            Self::Ask(question) => ask(question),
            Self::PositionMode => new("GET", "/fapi/v1/positionSide/dual", Signed),
            Self::Countdown { symbol, after_ms } => {
                new("POST", "/fapi/v1/countdownCancelAll", Signed)
                    .with_symbol(symbol)
                    .with("countdownTime", &after_ms.to_string())
            }
            Self::Watch(ask) => ask.request(paths),
            Self::Contracts => new("GET", paths.contracts, Public),
            Self::Page { path } => new("GET", path, Public),
        }
    }

    /// What the answer to its `request` says.
    ///
    /// # Errors
    /// [`RestFailure`] for a status other than 200, and for a body that does not say what was
    /// asked.
    pub fn read(
        &self,
        request: &RestRequest,
        status: u16,
        body: Vec<u8>,
    ) -> Result<RestReply, RestFailure> {
        let code = answers::code_of(&body);
        if let Self::Ask(
            Question::Order { .. } | Question::OrderNumbered { .. } | Question::AlgoOrder { .. },
        ) = self
            && code == Some(answers::NO_SUCH_ORDER)
        {
            return Ok(RestReply::Told(Told::Order(None)));
        }
        let failure = |what: &str| {
            let RestRequest { method, path, .. } = request;
            let message = format!("{method} {path}: {what}");
            RestFailure { status: Some(status), code, message, sent: true }
        };
        if status != 200 {
            return Err(failure(&refusal(status, &body)));
        }
        let read = match self {
            Self::Snapshot { .. }
            | Self::OpenInterest { .. }
            | Self::Trades { .. }
            | Self::Contracts
            | Self::Page { .. } => {
                return Ok(RestReply::Body(body));
            }
            // What they answer tells nothing new.
            Self::KeepListenKey
            | Self::CancelAll { .. }
            | Self::CancelBatch { .. }
            | Self::CancelAlgo { .. }
            | Self::CancelAllAlgo { .. }
            | Self::Countdown { .. } => {
                return Ok(RestReply::Done);
            }
            Self::ListenKey => answers::key(&body).map(RestReply::Key),
            Self::Ask(question) => answers::told(question, &body).map(RestReply::Told),
            Self::PositionMode => answers::hedged(&body).map(RestReply::Hedged),
            Self::Watch(ask) => ask.read(&body).map(RestReply::Seen),
        };
        read.map_err(|what| failure(&what))
    }
}

/// A status other than 200 in words, with the start of its body.
pub(super) fn refusal(status: u16, body: &[u8]) -> String {
    format!("status {status}: {}", String::from_utf8_lossy(&body[..body.len().min(200)]))
}

/// What a snapshot of so many levels costs of the venue's request weight.
pub const fn snapshot_weight(levels: u32) -> u32 {
    match levels {
        0..=50 => 2,
        51..=100 => 5,
        101..=500 => 10,
        _ => 20,
    }
}

const fn question_weight(question: &Question) -> u32 {
    match question {
        Question::OpenOrders { symbol } | Question::OpenAlgoOrders { symbol } => {
            if symbol.is_some() { 1 } else { 40 }
        }
        Question::Positions
        | Question::Wallet
        | Question::Trades { .. }
        | Question::TradesSince { .. } => 5,
        Question::Funding { .. } => 30,
        Question::Order { .. } | Question::OrderNumbered { .. } | Question::AlgoOrder { .. } => 1,
    }
}

fn ask(question: &Question) -> RestRequest {
    let new = |path| RestRequest::new("GET", path, Access::Signed);
    let rows = PAGE_ROWS.to_string();
    match question {
        Question::OpenOrders { symbol } => {
            new("/fapi/v1/openOrders").with_symbol_if(symbol.as_ref())
        }
        Question::OpenAlgoOrders { symbol } => {
            new("/fapi/v1/openAlgoOrders").with_symbol_if(symbol.as_ref())
        }
        Question::Positions => new("/fapi/v3/positionRisk"),
        Question::Wallet => new("/fapi/v3/account"),
        Question::Trades { symbol, from, .. } => {
            let request = new("/fapi/v1/userTrades").with_symbol(symbol).with("limit", &rows);
            match from {
                Some(from) => request.with("fromId", &from.to_string()),
                None => request,
            }
        }
        Question::TradesSince { symbol, since, .. } => new("/fapi/v1/userTrades")
            .with_symbol(symbol)
            .with("limit", &rows)
            .with("startTime", &since.to_millis().max(0).to_string()),
        Question::Funding { since } => new("/fapi/v1/income")
            .with("incomeType", "FUNDING_FEE")
            .with("startTime", &since.to_millis().max(0).to_string())
            .with("limit", &rows),
        Question::Order { symbol, id } => {
            new("/fapi/v1/order").with_symbol(symbol).with("origClientOrderId", &id.to_string())
        }
        Question::OrderNumbered { symbol, number } => {
            new("/fapi/v1/order").with_symbol(symbol).with("orderId", &number.to_string())
        }
        Question::AlgoOrder { id } => {
            new("/fapi/v1/algoOrder").with("clientAlgoId", &id.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ClientOrderId;
    use crate::base::settings::Dialect;
    use crate::venue::dialect::paths;

    #[test]
    fn an_order_that_the_venue_does_not_know_is_an_answer_and_any_other_refusal_is_a_failure() {
        let symbol = Symbol::new(b"BTCUSDT").unwrap();
        let job = RestJob::Ask(Question::Order { symbol, id: ClientOrderId(1) });
        let request = job.request(paths(Dialect::UsdM));
        assert_eq!(request.query, "symbol=BTCUSDT&origClientOrderId=pg1-0000000000000001");
        let absent = br#"{"code":-2013,"msg":"Order does not exist."}"#.to_vec();
        assert_eq!(job.read(&request, 400, absent), Ok(RestReply::Told(Told::Order(None))));
        let busy = br#"{"code":-1003,"msg":"Too many requests."}"#.to_vec();
        let failure = job.read(&request, 429, busy).unwrap_err();
        assert_eq!((failure.status, failure.code, failure.sent), (Some(429), Some(-1003), true));
        assert!(job.read(&request, 200, b"<html>".to_vec()).is_err(), "a page is no order");
        let empty = RestJob::Ask(Question::Positions).read(&request, 200, Vec::new());
        assert!(empty.is_err(), "an empty body is not a flat account");
    }
}
