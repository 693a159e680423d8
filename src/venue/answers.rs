//! The bodies of answers. What is missing or not of its form makes the whole answer unreadable: a
//! list with a hole in it would be taken for the truth.

use crate::base::units::parse_fixed;
use crate::base::{Money, Nanos, Px, Qty, Side, Symbol};
use crate::execution::reconcile::{
    Question, Standing, Told, VenueFunding, VenueHolding, VenueOrder, VenueTrade,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The code of an order that is not known.
pub const NO_SUCH_ORDER: i32 = -2013;
/// The asset that profit, fees and funding are in.
pub(super) const QUOTE: &str = "USDT";

/// The venue's code in a body; `None` where there is none. A cancel of a conditional order tells
/// its code as a text.
pub fn code_of(body: &[u8]) -> Option<i32> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Code {
        Number(i32),
        Text(String),
    }
    #[derive(Deserialize)]
    struct Coded {
        code: Code,
    }
    // Lists have none; a large one is not read for it.
    if body.first() != Some(&b'{') {
        return None;
    }
    match serde_json::from_slice::<Coded>(body).ok()?.code {
        Code::Number(code) => Some(code),
        Code::Text(text) => text.parse().ok(),
    }
}

/// The key of the account's stream.
pub fn key(body: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Key {
        listen_key: String,
    }
    // The error of a parser may quote what it read.
    let key: Key = serde_json::from_slice(body).map_err(|_| "no listenKey".to_owned())?;
    let plain = key.listen_key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if key.listen_key.is_empty() || !plain {
        return Err("a listenKey that is none".to_owned());
    }
    Ok(key.listen_key)
}

/// True in hedge mode.
pub fn hedged(body: &[u8]) -> Result<bool, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Mode {
        dual_side_position: bool,
    }
    parse::<Mode>(body).map(|mode| mode.dual_side_position)
}

/// The answer to a question of reconciliation.
pub fn told(question: &Question, body: &[u8]) -> Result<Told, String> {
    match question {
        Question::OpenOrders { .. } => rows::<OrderRow, _>(body, OrderRow::order).map(Told::Orders),
        Question::OpenAlgoOrders { .. } => {
            rows::<AlgoRow, _>(body, AlgoRow::order).map(Told::Orders)
        }
        Question::Positions => {
            let mut held = rows::<HoldingRow, _>(body, HoldingRow::holding)?;
            held.retain(|holding| holding.qty != Qty::ZERO);
            Ok(Told::Positions(held))
        }
        Question::Wallet => parse::<AccountBody>(body)?.wallet().map(Told::Wallet),
        Question::Trades { .. } | Question::TradesSince { .. } => {
            let mut trades = rows::<TradeRow, _>(body, TradeRow::trade)?;
            trades.sort_by_key(|trade| trade.id);
            Ok(Told::Trades(trades))
        }
        Question::Funding { .. } => {
            let mut paid = rows::<IncomeRow, _>(body, IncomeRow::funding)?;
            paid.sort_by_key(|payment| payment.ts);
            Ok(Told::Funding(paid))
        }
        Question::Order { .. } | Question::OrderNumbered { .. } => {
            parse::<OrderRow>(body)?.order().map(|order| Told::Order(Some(order)))
        }
        Question::AlgoOrder { .. } => {
            parse::<AlgoRow>(body)?.order().map(|order| Told::Order(Some(order)))
        }
    }
}

pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

pub(super) fn rows<R: DeserializeOwned, T>(
    body: &[u8],
    row: impl Fn(R) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    parse::<Vec<R>>(body)?.into_iter().map(row).collect()
}

fn number(text: &str, name: &str) -> Result<i64, String> {
    parse_fixed(text.as_bytes()).map_err(|_| format!("{name}: {text:?} is no number"))
}

/// A mean price may have more decimals than can be kept; they are cut off.
pub(super) fn mean(text: &str, name: &str) -> Result<i64, String> {
    let end = text.find('.').map_or(text.len(), |point| text.len().min(point + 9));
    number(text.get(..end).unwrap_or(text), name)
}

pub(super) fn symbol(text: &str) -> Result<Symbol, String> {
    Symbol::new(text.as_bytes()).ok_or_else(|| format!("symbol {text:?} cannot be stored"))
}

pub(super) fn side(text: &str) -> Result<Side, String> {
    match text {
        "BUY" => Ok(Side::Buy),
        "SELL" => Ok(Side::Sell),
        _ => Err(format!("side {text:?}")),
    }
}

fn zero() -> String {
    "0".to_owned()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderRow {
    symbol: String,
    client_order_id: String,
    order_id: u64,
    status: String,
    side: String,
    #[serde(default)]
    reduce_only: bool,
    price: String,
    orig_qty: String,
    executed_qty: String,
    update_time: i64,
}

impl OrderRow {
    fn order(self) -> Result<VenueOrder, String> {
        let standing = match self.status.as_str() {
            "NEW" | "PARTIALLY_FILLED" => Standing::Open,
            "FILLED" => Standing::Filled,
            "CANCELED" => Standing::Cancelled,
            "EXPIRED" | "EXPIRED_IN_MATCH" => Standing::Expired,
            "REJECTED" => Standing::Rejected,
            status => return Err(format!("order status {status:?}")),
        };
        Ok(VenueOrder {
            symbol: symbol(&self.symbol)?,
            name: self.client_order_id,
            venue_id: self.order_id,
            standing,
            is_algo: false,
            side: side(&self.side)?,
            reduce_only: self.reduce_only,
            px: Px(number(&self.price, "price")?),
            qty: Qty(number(&self.orig_qty, "origQty")?),
            filled: Qty(number(&self.executed_qty, "executedQty")?),
            updated: Nanos::from_millis(self.update_time),
            became: 0,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlgoRow {
    symbol: String,
    client_algo_id: String,
    algo_id: u64,
    algo_status: String,
    side: String,
    #[serde(default)]
    reduce_only: bool,
    #[serde(default)]
    close_position: bool,
    #[serde(default)]
    actual_order_id: Option<String>,
    #[serde(default = "zero")]
    price: String,
    #[serde(default = "zero")]
    quantity: String,
    update_time: i64,
}

impl AlgoRow {
    fn order(self) -> Result<VenueOrder, String> {
        let standing = match self.algo_status.as_str() {
            "NEW" | "TRIGGERING" => Standing::Open,
            "TRIGGERED" | "FINISHED" => Standing::Triggered,
            "CANCELED" => Standing::Cancelled,
            "EXPIRED" => Standing::Expired,
            "REJECTED" => Standing::Rejected,
            status => return Err(format!("algo status {status:?}")),
        };
        let became = self.actual_order_id.filter(|text| !text.is_empty());
        let became = became.map_or(Ok(0), |text| {
            text.parse().map_err(|_| format!("actualOrderId {text:?} is no number"))
        });
        Ok(VenueOrder {
            symbol: symbol(&self.symbol)?,
            name: self.client_algo_id,
            venue_id: self.algo_id,
            standing,
            is_algo: true,
            side: side(&self.side)?,
            reduce_only: self.reduce_only || self.close_position,
            px: Px(number(&self.price, "price")?),
            qty: Qty(number(&self.quantity, "quantity")?),
            filled: Qty::ZERO,
            updated: Nanos::from_millis(self.update_time),
            became: became?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HoldingRow {
    symbol: String,
    position_amt: String,
    #[serde(default = "zero")]
    entry_price: String,
}

impl HoldingRow {
    fn holding(self) -> Result<VenueHolding, String> {
        Ok(VenueHolding {
            symbol: symbol(&self.symbol)?,
            qty: Qty(number(&self.position_amt, "positionAmt")?),
            entry_px: Px(mean(&self.entry_price, "entryPrice")?),
        })
    }
}

#[derive(Deserialize)]
struct AccountBody {
    assets: Vec<AssetRow>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AssetRow {
    asset: String,
    wallet_balance: String,
}

impl AccountBody {
    fn wallet(&self) -> Result<Money, String> {
        let quote = self.assets.iter().find(|asset| asset.asset == QUOTE);
        quote.map_or(Ok(Money::ZERO), |asset| {
            number(&asset.wallet_balance, "walletBalance").map(Money)
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TradeRow {
    id: u64,
    order_id: u64,
    side: String,
    price: String,
    qty: String,
    commission: String,
    #[serde(default)]
    commission_asset: String,
    #[serde(default)]
    maker: bool,
    time: i64,
}

impl TradeRow {
    fn trade(self) -> Result<VenueTrade, String> {
        let fee = Money(number(&self.commission, "commission")?);
        Ok(VenueTrade {
            id: self.id,
            order: self.order_id,
            side: side(&self.side)?,
            px: Px(number(&self.price, "price")?),
            qty: Qty(number(&self.qty, "qty")?),
            fee: if self.commission_asset == QUOTE { fee } else { Money::ZERO },
            is_maker: self.maker,
            ts: Nanos::from_millis(self.time),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IncomeRow {
    symbol: String,
    income: String,
    time: i64,
}

impl IncomeRow {
    fn funding(self) -> Result<VenueFunding, String> {
        Ok(VenueFunding {
            symbol: symbol(&self.symbol)?,
            amount: Money(number(&self.income, "income")?),
            ts: Nanos::from_millis(self.time),
        })
    }
}
