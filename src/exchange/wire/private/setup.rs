//! What an account sets: leverage, margin, modes.

use super::form::{position_side_of, word};
use super::{Call, MarginRecord, Records, Reply, done, limit_of, period_of};
use crate::base::units::SCALE;
use crate::base::{Money, Nanos};
use crate::exchange::account::order::PositionSide;
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::number::{float, plain};
use crate::exchange::wire::params::{invalid, missing};
use serde_json::{Value, json};

/// Longest period of one question.
const MONTH: Nanos = Nanos::from_secs(30 * 86_400);

/// `GET /fapi/v1/positionSide/dual`.
///
/// # Errors
/// None.
pub fn position_mode(call: &mut Call<'_>) -> Reply {
    Ok(json!({"dualSidePosition": call.exchange.accounts.is_hedge(call.account)}))
}

/// `POST /fapi/v1/positionSide/dual`.
///
/// # Errors
/// The venue's refusal.
pub fn set_position_mode(call: &mut Call<'_>) -> Reply {
    let on = flag(call, "dualSidePosition")?;
    call.exchange.accounts.set_hedge(call.account, on)?;
    Ok(done("success"))
}

/// `GET /fapi/v1/multiAssetsMargin`.
///
/// # Errors
/// None.
pub fn assets_mode(call: &mut Call<'_>) -> Reply {
    Ok(json!({"multiAssetsMargin": call.exchange.accounts.is_multi_assets(call.account)}))
}

/// `POST /fapi/v1/multiAssetsMargin`.
///
/// # Errors
/// The venue's refusal.
pub fn set_assets_mode(call: &mut Call<'_>) -> Reply {
    let on = flag(call, "multiAssetsMargin")?;
    call.exchange.accounts.set_multi_assets(call.account, on, call.now)?;
    Ok(done("success"))
}

/// `GET /fapi/v1/feeBurn`.
///
/// # Errors
/// None.
pub fn fee_burn(call: &mut Call<'_>) -> Reply {
    Ok(json!({"feeBurn": call.exchange.records.burns(call.account)}))
}

/// `POST /fapi/v1/feeBurn`. Remembered; there is no BNB here to pay fees with.
///
/// # Errors
/// −1102 without `feeBurn`.
pub fn set_fee_burn(call: &mut Call<'_>) -> Reply {
    let on = flag(call, "feeBurn")?;
    call.exchange.records.fee_burn.insert(call.account, on);
    Ok(done("success"))
}

impl Records {
    /// Whether an account asked for its fees to be paid in BNB.
    pub fn burns(&self, account: usize) -> bool {
        self.fee_burn.get(&account).copied().unwrap_or(false)
    }
}

fn flag(call: &Call<'_>, name: &str) -> Result<bool, VenueError> {
    call.params.need(name)?;
    call.params.flag(name)?.ok_or_else(|| missing(name))
}

/// `POST /fapi/v1/leverage`.
///
/// # Errors
/// The venue's refusal.
pub fn leverage(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let asked = call.params.int("leverage")?.ok_or_else(|| missing("leverage"))?;
    let leverage = u32::try_from(asked).ok().filter(|&leverage| (1..=125).contains(&leverage));
    let leverage = leverage
        .ok_or_else(|| VenueError::with(-4028, format!("Leverage {asked} is not valid")))?;
    let exchange = &mut *call.exchange;
    let (market, account) = (&exchange.market, call.account);
    let max = exchange.accounts.set_leverage(market, account, contract, leverage, call.now)?;
    Ok(json!({
        "leverage": leverage,
        "maxNotionalValue": plain(max.0),
        "symbol": call.symbol(contract),
    }))
}

/// `POST /fapi/v1/marginType`.
///
/// # Errors
/// The venue's refusal.
pub fn margin_type(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    call.params.need("marginType")?;
    let isolated = word(call.params, "marginType", invalid("marginType"), |text| match text {
        "ISOLATED" => Some(true),
        "CROSSED" | "CROSS" => Some(false),
        _ => None,
    })?;
    let isolated = isolated.ok_or_else(|| missing("marginType"))?;
    call.exchange.accounts.set_isolated(call.account, contract, isolated)?;
    Ok(done("success"))
}

/// `POST /fapi/v1/positionMargin`.
///
/// # Errors
/// The venue's refusal.
pub fn position_margin(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let amount = call.params.decimal("amount")?.ok_or_else(|| missing("amount"))?;
    let kind = call.params.int("type")?.ok_or_else(|| missing("type"))?;
    let side = position_side_of(call.params)?.unwrap_or(PositionSide::Both);
    if amount <= 0 {
        return Err(VenueError::new(-4055, "Amount must be positive."));
    }
    let signed = match kind {
        1 => Money(amount),
        2 => Money(-amount),
        _ => return Err(invalid("type")),
    };
    let exchange = &mut *call.exchange;
    let (market, account) = (&exchange.market, call.account);
    exchange.accounts.move_margin(market, account, contract, side, signed, call.now)?;
    let record = MarginRecord { account, contract, side, amount: signed, ts: call.now };
    exchange.records.note_margin(record);
    let text = "Successfully modify position margin.";
    Ok(json!({"amount": float(amount), "code": 200, "msg": text, "type": kind}))
}

/// `GET /fapi/v1/positionMargin/history`.
///
/// # Errors
/// The venue's refusal.
pub fn margin_history(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let limit = limit_of(call.params, 500, 500)?;
    let (start, end) = period_of(call.params, MONTH)?;
    let kind = call.params.int("type")?;
    let own = call.exchange.records.margins.iter().rev().filter(|record| {
        let own_kind = if record.amount.is_positive() { 1 } else { 2 };
        record.account == call.account
            && record.contract == contract
            && kind.is_none_or(|kind| kind == own_kind)
            && start.is_none_or(|start| record.ts >= start)
            && end.is_none_or(|end| record.ts <= end)
    });
    let shown = own.map(|record| {
        json!({
            "symbol": call.symbol(contract),
            "type": if record.amount.is_positive() { 1 } else { 2 },
            "deltaType": "USER_ADJUST",
            "amount": plain(record.amount.abs().0),
            "asset": "USDT",
            "time": record.ts.to_millis(),
            "positionSide": record.side.name(),
        })
    });
    let mut newest: Vec<Value> = shown.take(limit).collect();
    newest.reverse();
    Ok(Value::Array(newest))
}

/// `GET /fapi/v1/leverageBracket`: a list, or with `symbol` that contract's entry. The venue writes
/// `cum` as a decimal number in the one and as a whole number in the other.
///
/// # Errors
/// −1121 for a contract that is not listed.
pub fn brackets(call: &mut Call<'_>) -> Reply {
    let entry = |index: usize, alone: bool| {
        let spec = call.spec(index);
        let cum = |units: i64| match alone && units % SCALE == 0 {
            true => json!(units / SCALE),
            false => float(units),
        };
        let rows = spec.brackets.iter().enumerate().map(|(i, bracket)| {
            json!({
                "bracket": i + 1,
                "initialLeverage": bracket.leverage,
                "notionalCap": bracket.cap,
                "notionalFloor": bracket.floor,
                "maintMarginRatio": float(bracket.maint_rate.0),
                "cum": cum(bracket.cum.0),
            })
        });
        json!({"symbol": spec.symbol.as_str(), "brackets": rows.collect::<Vec<_>>()})
    };
    match call.contract_if_sent()? {
        Some(contract) => Ok(entry(contract, true)),
        None => Ok((0..call.exchange.market.len()).map(|index| entry(index, false)).collect()),
    }
}
