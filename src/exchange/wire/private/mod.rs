//! Signed endpoints: what accounts ask for and are told. REST and the trading WebSocket API share
//! them; each file answers one kind of request.
//!
//! | file | holds |
//! |---|---|
//! | `order` | orders: placed, changed, cancelled, asked after |
//! | `form` | orders as they are asked for and as they are shown |
//! | `batch` | several orders in one request |
//! | `algo` | conditional orders |
//! | `account` | balances, positions, configuration |
//! | `setup` | leverage, margin, modes |
//! | `history` | fills, income, amendments, forced orders |

pub mod account;
pub mod algo;
pub mod batch;
pub mod form;
pub mod history;
pub mod order;
pub mod setup;

use super::error::VenueError;
use super::params::Params;
use crate::base::{Money, Nanos};
use crate::exchange::Exchange;
use crate::exchange::account::order::{OrderName, PositionSide};
use crate::exchange::spec::SymbolSpec;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// What a request is answered with.
pub type Reply = Result<Value, VenueError>;

/// Entries kept of each list of [`Records`].
const RECORDS_MAX: usize = 10_000;

/// A request that has proved whose it is.
#[derive(Debug)]
pub struct Call<'a> {
    /// The exchange.
    pub exchange: &'a mut Exchange,
    /// Whose request.
    pub account: usize,
    /// With which API key; empty where a connection was logged on with it.
    pub api_key: &'a str,
    /// Its parameters.
    pub params: &'a Params,
    /// It came over the trading WebSocket API.
    pub socket: bool,
    /// When.
    pub now: Nanos,
}

impl Call<'_> {
    /// The contract that `symbol` names.
    ///
    /// # Errors
    /// −1102 without one, −1121 for one that is not listed.
    pub fn contract(&self) -> Result<usize, VenueError> {
        let symbol = self.params.need("symbol")?;
        self.exchange.market.index_of(symbol).ok_or(VenueError::BAD_SYMBOL)
    }

    /// The contract that `symbol` names; `None` without one.
    ///
    /// # Errors
    /// −1121 for one that is not listed.
    pub fn contract_if_sent(&self) -> Result<Option<usize>, VenueError> {
        match self.params.text("symbol") {
            None | Some("") => Ok(None),
            Some(_) => self.contract().map(Some),
        }
    }

    /// Facts of a contract.
    pub fn spec(&self, contract: usize) -> &SymbolSpec {
        self.exchange.market.spec(contract)
    }

    /// Symbol of a contract.
    pub fn symbol(&self, contract: usize) -> &str {
        self.spec(contract).symbol.as_str()
    }
}

/// How a request names an order, in the two parameters of those names.
///
/// # Errors
/// −1102 where both are missing.
pub fn name_of(params: &Params, id: &str, client_id: &str) -> Result<OrderName, VenueError> {
    let number = params.int(id)?.map(|number| u64::try_from(number).unwrap_or(u64::MAX));
    let client = params.text(client_id).filter(|text| !text.is_empty()).map(str::to_owned);
    if number.is_none() && client.is_none() {
        let text = "must be sent, but both were empty/null!";
        return Err(VenueError::with(-1102, format!("Param '{client_id}' or '{id}' {text}")));
    }
    Ok(OrderName { id: number, client_id: client })
}

/// `limit`, cut to `max`.
///
/// # Errors
/// −1102 for what is no number, −1130 for what is not above zero.
pub fn limit_of(params: &Params, usual: usize, max: usize) -> Result<usize, VenueError> {
    let Some(limit) = params.int("limit")? else { return Ok(usual) };
    let limit = usize::try_from(limit).ok().filter(|&limit| limit > 0);
    Ok(limit.ok_or_else(|| super::params::invalid("limit"))?.min(max))
}

/// `startTime` and `endTime`; `None` where not sent.
///
/// # Errors
/// −1023 where they are the wrong way round, −4165 where they are more than `span` apart.
pub fn period_of(
    params: &Params,
    span: Nanos,
) -> Result<(Option<Nanos>, Option<Nanos>), VenueError> {
    let (start, end) = (params.time("startTime")?, params.time("endTime")?);
    if let (Some(start), Some(end)) = (start, end) {
        if start > end {
            return Err(VenueError::START_AFTER_END);
        }
        if end - start > span {
            return Err(VenueError::SPAN_OF_WEEK);
        }
    }
    Ok((start, end))
}

/// `{"code":200,"msg":…}`, with which the venue says that something was done.
pub fn done(text: &str) -> Value {
    json!({"code": 200, "msg": text})
}

/// Things the protocol tells later and accounts do not keep.
#[derive(Debug, Default)]
pub struct Records {
    amendments: VecDeque<AmendmentRecord>,
    margins: VecDeque<MarginRecord>,
    amended: u64,
    fee_burn: BTreeMap<usize, bool>,
}

/// A change of an order, for `orderAmendment`.
#[derive(Clone, Debug)]
struct AmendmentRecord {
    id: u64,
    account: usize,
    contract: usize,
    order: u64,
    ts: Nanos,
    shown: Value,
}

/// A change of an isolated position's margin.
#[derive(Clone, Copy, Debug)]
struct MarginRecord {
    account: usize,
    contract: usize,
    side: PositionSide,
    /// Above zero was added.
    amount: Money,
    ts: Nanos,
}

impl Records {
    fn note_amendment(&mut self, record: AmendmentRecord) {
        self.amended += 1;
        self.amendments.push_back(AmendmentRecord { id: self.amended, ..record });
        if self.amendments.len() > RECORDS_MAX {
            self.amendments.pop_front();
        }
    }

    fn note_margin(&mut self, record: MarginRecord) {
        self.margins.push_back(record);
        if self.margins.len() > RECORDS_MAX {
            self.margins.pop_front();
        }
    }
}

/// `POST /fapi/v1/listenKey`.
///
/// # Errors
/// None.
pub fn start_stream(call: &mut Call<'_>) -> Reply {
    let key = call.exchange.keys.start(call.account, call.now);
    Ok(json!({"listenKey": key}))
}

/// `PUT /fapi/v1/listenKey`.
///
/// # Errors
/// −1125 where the account has none.
pub fn keep_stream(call: &mut Call<'_>) -> Reply {
    let key = call.exchange.keys.keep(call.account, call.now);
    key.map(|key| json!({"listenKey": key})).ok_or(VenueError::NO_LISTEN_KEY)
}

/// `DELETE /fapi/v1/listenKey`. The connections stay open and fall silent.
///
/// # Errors
/// None: what is gone already is gone.
pub fn end_stream(call: &mut Call<'_>) -> Reply {
    call.exchange.keys.end(call.account);
    Ok(json!({}))
}

/// An empty list, for start-up calls of clients to hosts that are not part of this exchange.
///
/// # Errors
/// None.
pub fn nothing(_call: &mut Call<'_>) -> Reply {
    Ok(json!([]))
}
