//! How answers are read: where they arrive, so that no pinned thread parses a list of a thousand
//! contracts.

use super::ask::{
    Ask, Balance, Contract, FundingRule, Held, Income, IncomeSort, Modes, Seen, SymbolMode, Trade,
};
use super::margin::Bracket;
use crate::base::{Money, Nanos, Px, Qty, Rate, Symbol};
use crate::venue::answers::{QUOTE, mean, parse, rows, side, symbol};
use crate::venue::capture::{contract_rules, filter_text};
use crate::venue::key_rights::KeyRights;
use crate::venue::listing::fits;
use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

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
            Self::KeyRights => KeyRights::read(body).map(Seen::KeyRights),
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

/// One entry of the exchange information; `None` where a filter that we need is missing.
fn contract(entry: &Value) -> Option<Contract> {
    let facts = contract_rules(symbol(entry.get("symbol")?.as_str()?).ok()?, entry)?;
    // A start goes on without the least value; what was read and has gone is another thing.
    filter_text(entry, "MIN_NOTIONAL", "notional")?;
    let mut state = [0; 24];
    let word = entry.get("status")?.as_str()?.as_bytes();
    let length = word.len().min(state.len() - 1);
    state[..length].copy_from_slice(&word[..length]);
    // Beside the filters, what bounds market orders and triggers.
    let bounds = ["triggerProtect", "marketTakeBound", "maxMoveOrderLimit"].map(|k| entry.get(k));
    let text = serde_json::to_string(&(entry.get("filters")?, bounds)).ok()?;
    let listed = fits(entry).map_err(|misfit| misfit.key);
    Some(Contract {
        symbol: facts.symbol,
        tick_size: facts.tick_size,
        lot_size: facts.lot_size,
        min_qty: facts.min_qty,
        max_qty: facts.max_qty,
        min_notional: facts.min_notional,
        filters_hash: xxh3_64(text.as_bytes()),
        delivery: Nanos::from_millis(
            entry.get("deliveryDate").and_then(Value::as_i64).unwrap_or(0),
        ),
        state,
        listed,
    })
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
            symbol: symbol(&self.symbol)?,
            cap: Rate(mean(&self.adjusted_funding_rate_cap, "adjustedFundingRateCap")?),
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
                cap: Money(mean(&row.notional_cap.to_string(), "notionalCap")?),
                rate: Rate(mean(&row.maint_margin_ratio.to_string(), "maintMarginRatio")?),
                cum: Money(mean(&row.cum.to_string(), "cum")?),
            })
        };
        let mut brackets: Vec<Bracket> =
            self.brackets.into_iter().map(row).collect::<Result<_, String>>()?;
        brackets.sort_by_key(|bracket| bracket.cap);
        Ok((symbol(&self.symbol)?, brackets))
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
            symbol: symbol(&self.symbol)?,
            qty: Qty(mean(&self.position_amt, "positionAmt")?),
            entry_px: Px(mean(&self.entry_price, "entryPrice")?),
            mark_px: Px(mean(&self.mark_price, "markPrice")?),
            liquidation_px: Px(mean(&self.liquidation_price, "liquidationPrice")?),
            unrealised: Money(mean(&self.un_realized_profit, "unRealizedProfit")?),
            initial_margin: Money(mean(&self.initial_margin, "initialMargin")?),
            maintenance_margin: Money(mean(&self.maint_margin, "maintMargin")?),
            isolated_wallet: Money(mean(&self.isolated_wallet, "isolatedWallet")?),
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
        let money = |text: &str, name: &str| mean(text, name).map(Money);
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
        Ok(SymbolMode { symbol: symbol(&self.symbol)?, isolated, leverage: self.leverage })
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
            symbol: if self.symbol.is_empty() { None } else { Some(symbol(&self.symbol)?) },
            sort,
            amount: Money(mean(&self.income, "income")?),
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
        let side = side(&self.side)?;
        let fee = Money(mean(&self.commission, "commission")?);
        Ok(Trade {
            id: self.id,
            qty: Qty(mean(&self.qty, "qty")? * side.sign()),
            px: Px(mean(&self.price, "price")?),
            fee: if self.commission_asset == QUOTE { fee } else { Money::ZERO },
            ts: Nanos::from_millis(self.time),
        })
    }
}
