//! How answers are read: where they arrive, so that no pinned thread parses a list of a thousand
//! contracts.

use super::ask::{
    Ask, Balance, Contract, FundingRule, Held, Income, IncomeSort, Modes, Seen, SymbolMode, Trade,
};
use super::margin::Bracket;
use crate::base::units::parse_fixed;
use crate::base::{Money, Nanos, Px, Qty, Rate, Side, Symbol};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// The asset that profit, fees and funding are in.
const QUOTE: &str = "USDT";

impl Ask {
    /// Reads an answer. A list with a row that cannot be read is not read at all.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn read(&self, body: &[u8]) -> Result<Seen, String> {
        match self {
            Self::Time => {
                parse::<TimeBody>(body).map(|b| Seen::Time(Nanos::from_millis(b.server_time)))
            }
            Self::Contracts => {
                let all = parse::<InfoBody>(body)?.symbols;
                // A contract of a sort that is not understood is not listed for us.
                Ok(Seen::Contracts(all.iter().filter_map(contract).collect()))
            }
            Self::FundingRules => rows(body, FundingRow::rule).map(Seen::FundingRules),
            Self::Brackets => rows(body, BracketsRow::brackets).map(Seen::Brackets),
            Self::Positions => {
                let mut held = rows(body, HeldRow::held)?;
                held.retain(|held| held.qty != Qty::ZERO);
                Ok(Seen::Positions(held))
            }
            Self::Account => parse::<AccountBody>(body)?.balance().map(Seen::Account),
            Self::Modes => parse::<ModesBody>(body).map(|b| {
                Seen::Modes(Modes {
                    hedged: b.dual_side_position,
                    multi_assets: b.multi_assets_margin,
                    can_trade: b.can_trade,
                })
            }),
            Self::SymbolModes => rows(body, SymbolModeRow::mode).map(Seen::SymbolModes),
            Self::Income { .. } => {
                let mut all = rows(body, IncomeRow::income)?;
                all.sort_by_key(|row| (row.ts, row.id));
                Ok(Seen::Income(all))
            }
            Self::Trades { .. } => {
                let mut all = rows(body, TradeRow::trade)?;
                all.sort_by_key(|row| row.id);
                Ok(Seen::Trades(all))
            }
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

fn rows<R: DeserializeOwned, T>(
    body: &[u8],
    row: impl Fn(R) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    parse::<Vec<R>>(body)?.into_iter().map(row).collect()
}

/// A number; decimals finer than the scale are cut off.
fn number(text: &str, name: &str) -> Result<i64, String> {
    let end = text.find('.').map_or(text.len(), |point| text.len().min(point + 9));
    let cut = text.get(..end).unwrap_or(text);
    parse_fixed(cut.as_bytes()).map_err(|_| format!("{name}: {text:?} is no number"))
}

fn symbol_of(text: &str) -> Result<Symbol, String> {
    Symbol::new(text.as_bytes()).ok_or_else(|| format!("symbol {text:?} cannot be stored"))
}

/// One entry of the exchange information; `None` where a filter that we need is missing.
fn contract(entry: &Value) -> Option<Contract> {
    let filters = entry.get("filters")?.as_array()?;
    let find = |filter: &str, key: &str| {
        let is_it = |f: &&Value| f.get("filterType").and_then(Value::as_str) == Some(filter);
        parse_fixed(filters.iter().find(is_it)?.get(key)?.as_str()?.as_bytes()).ok()
    };
    let mut state = [0; 24];
    let word = entry.get("status")?.as_str()?.as_bytes();
    let length = word.len().min(state.len() - 1);
    state[..length].copy_from_slice(&word[..length]);
    // Beside the filters, what bounds market orders and triggers.
    let bounds = ["triggerProtect", "marketTakeBound", "maxMoveOrderLimit"].map(|k| entry.get(k));
    let text = serde_json::to_string(&(filters, bounds)).ok()?;
    let found = Contract {
        symbol: Symbol::new(entry.get("symbol")?.as_str()?.as_bytes())?,
        tick_size: Px(find("PRICE_FILTER", "tickSize")?),
        lot_size: Qty(find("LOT_SIZE", "stepSize")?),
        min_qty: Qty(find("LOT_SIZE", "minQty")?),
        max_qty: Qty(find("LOT_SIZE", "maxQty")?),
        min_notional: Money(find("MIN_NOTIONAL", "notional")?),
        filters_hash: xxh3_64(text.as_bytes()),
        delivery: Nanos::from_millis(
            entry.get("deliveryDate").and_then(Value::as_i64).unwrap_or(0),
        ),
        state,
    };
    (found.tick_size.is_positive() && found.lot_size.is_positive()).then_some(found)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimeBody {
    server_time: i64,
}

#[derive(Deserialize)]
struct InfoBody {
    symbols: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FundingRow {
    symbol: String,
    adjusted_funding_rate_cap: String,
    funding_interval_hours: i64,
}

impl FundingRow {
    fn rule(self) -> Result<FundingRule, String> {
        Ok(FundingRule {
            symbol: symbol_of(&self.symbol)?,
            cap: Rate(number(&self.adjusted_funding_rate_cap, "adjustedFundingRateCap")?),
            hours: self.funding_interval_hours,
        })
    }
}

#[derive(Deserialize)]
struct BracketsRow {
    symbol: String,
    brackets: Vec<BracketRow>,
}

/// Numbers here are JSON numbers, kept as they are written.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BracketRow {
    notional_cap: serde_json::Number,
    maint_margin_ratio: serde_json::Number,
    cum: serde_json::Number,
}

impl BracketsRow {
    fn brackets(self) -> Result<(Symbol, Vec<Bracket>), String> {
        let row = |row: BracketRow| {
            Ok(Bracket {
                cap: Money(number(&row.notional_cap.to_string(), "notionalCap")?),
                rate: Rate(number(&row.maint_margin_ratio.to_string(), "maintMarginRatio")?),
                cum: Money(number(&row.cum.to_string(), "cum")?),
            })
        };
        let mut brackets: Vec<Bracket> =
            self.brackets.into_iter().map(row).collect::<Result<_, String>>()?;
        brackets.sort_by_key(|bracket| bracket.cap);
        Ok((symbol_of(&self.symbol)?, brackets))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldRow {
    symbol: String,
    position_amt: String,
    entry_price: String,
    mark_price: String,
    liquidation_price: String,
    un_realized_profit: String,
    isolated_wallet: String,
    initial_margin: String,
    maint_margin: String,
}

impl HeldRow {
    fn held(self) -> Result<Held, String> {
        Ok(Held {
            symbol: symbol_of(&self.symbol)?,
            qty: Qty(number(&self.position_amt, "positionAmt")?),
            entry_px: Px(number(&self.entry_price, "entryPrice")?),
            mark_px: Px(number(&self.mark_price, "markPrice")?),
            liquidation_px: Px(number(&self.liquidation_price, "liquidationPrice")?),
            unrealised: Money(number(&self.un_realized_profit, "unRealizedProfit")?),
            initial_margin: Money(number(&self.initial_margin, "initialMargin")?),
            maintenance_margin: Money(number(&self.maint_margin, "maintMargin")?),
            isolated_wallet: Money(number(&self.isolated_wallet, "isolatedWallet")?),
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccountBody {
    total_wallet_balance: String,
    total_cross_wallet_balance: String,
    total_margin_balance: String,
    total_unrealized_profit: String,
    total_initial_margin: String,
    total_maint_margin: String,
    available_balance: String,
}

impl AccountBody {
    fn balance(&self) -> Result<Balance, String> {
        let money = |text: &str, name: &str| number(text, name).map(Money);
        Ok(Balance {
            wallet: money(&self.total_wallet_balance, "totalWalletBalance")?,
            cross_wallet: money(&self.total_cross_wallet_balance, "totalCrossWalletBalance")?,
            equity: money(&self.total_margin_balance, "totalMarginBalance")?,
            unrealised: money(&self.total_unrealized_profit, "totalUnrealizedProfit")?,
            initial_margin: money(&self.total_initial_margin, "totalInitialMargin")?,
            maintenance_margin: money(&self.total_maint_margin, "totalMaintMargin")?,
            available: money(&self.available_balance, "availableBalance")?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ModesBody {
    dual_side_position: bool,
    multi_assets_margin: bool,
    can_trade: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolModeRow {
    symbol: String,
    margin_type: String,
    leverage: u32,
}

impl SymbolModeRow {
    fn mode(self) -> Result<SymbolMode, String> {
        let isolated = match self.margin_type.as_str() {
            "ISOLATED" | "isolated" => true,
            "CROSSED" | "CROSS" | "cross" => false,
            other => return Err(format!("marginType {other:?}")),
        };
        Ok(SymbolMode { symbol: symbol_of(&self.symbol)?, isolated, leverage: self.leverage })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct IncomeRow {
    symbol: String,
    income_type: String,
    income: String,
    asset: String,
    time: i64,
    tran_id: u64,
}

impl IncomeRow {
    fn income(self) -> Result<Income, String> {
        let sort = match (self.asset.as_str(), self.income_type.as_str()) {
            (QUOTE, "REALIZED_PNL") => IncomeSort::Realised,
            (QUOTE, "COMMISSION") => IncomeSort::Fee,
            (QUOTE, "FUNDING_FEE" | "SPECIAL_FUNDING_FEE") => IncomeSort::Funding,
            _ => IncomeSort::Other,
        };
        Ok(Income {
            symbol: if self.symbol.is_empty() { None } else { Some(symbol_of(&self.symbol)?) },
            sort,
            amount: Money(number(&self.income, "income")?),
            ts: Nanos::from_millis(self.time),
            id: self.tran_id,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TradeRow {
    id: u64,
    side: String,
    price: String,
    qty: String,
    commission: String,
    commission_asset: String,
    time: i64,
}

impl TradeRow {
    fn trade(self) -> Result<Trade, String> {
        let side = match self.side.as_str() {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            other => return Err(format!("side {other:?}")),
        };
        let fee = Money(number(&self.commission, "commission")?);
        Ok(Trade {
            id: self.id,
            qty: Qty(number(&self.qty, "qty")? * side.sign()),
            px: Px(number(&self.price, "price")?),
            fee: if self.commission_asset == QUOTE { fee } else { Money::ZERO },
            ts: Nanos::from_millis(self.time),
        })
    }
}
