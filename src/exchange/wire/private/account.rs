//! Balances, positions, configuration.

use super::{Call, Reply};
use crate::base::Money;
use crate::exchange::account::order::PositionSide;
use crate::exchange::account::{Balance, PositionView};
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::number::{fixed, full, full_or_zero, plain, qty};
use serde_json::{Map, Value, json};

/// The asset everything is settled in.
const ASSET: &str = "USDT";

/// Which generation of an answer: the older ones list every contract, the newer ones only those
/// with a position or an order, and tell leverage elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    Second,
    Third,
}

/// `GET /fapi/v2/balance` and `/fapi/v3/balance`.
///
/// # Errors
/// None.
pub fn balance(call: &mut Call<'_>) -> Reply {
    let balance = call.exchange.accounts.balance(&call.exchange.market, call.account);
    Ok(json!([{
        "accountAlias": alias(call.account),
        "asset": ASSET,
        "balance": full(balance.wallet.0),
        "crossWalletBalance": full(balance.cross_wallet.0),
        "crossUnPnl": full(balance.cross_unrealized.0),
        "availableBalance": full(balance.available.0),
        "maxWithdrawAmount": full(withdrawable(&balance).0),
        "marginAvailable": true,
        "updateTime": balance.updated.to_millis(),
    }]))
}

/// A name of four letters for an account, always the same for the same account.
fn alias(account: usize) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(&account.to_le_bytes());
    hash.to_le_bytes().iter().take(4).map(|byte| char::from(b'A' + byte % 26)).collect()
}

/// What may be taken out: nothing that positions have earned but not realised.
fn withdrawable(balance: &Balance) -> Money {
    Money(balance.available.0.min(balance.cross_wallet.0).max(0))
}

/// `GET /fapi/v2/account`.
///
/// # Errors
/// None.
pub fn account_v2(call: &mut Call<'_>) -> Reply {
    let mut out = Map::new();
    out.insert("feeTier".to_owned(), json!(0));
    if !call.socket {
        out.insert("feeBurn".to_owned(), json!(call.exchange.records.burns(call.account)));
    }
    for name in ["canTrade", "canDeposit", "canWithdraw"] {
        out.insert(name.to_owned(), json!(true));
    }
    out.insert("updateTime".to_owned(), json!(0));
    let joint = call.exchange.accounts.is_multi_assets(call.account);
    out.insert("multiAssetsMargin".to_owned(), json!(joint));
    out.insert("tradeGroupId".to_owned(), json!(-1));
    totals(call, Generation::Second, &mut out);
    Ok(Value::Object(out))
}

/// `GET /fapi/v3/account`.
///
/// # Errors
/// None.
pub fn account_v3(call: &mut Call<'_>) -> Reply {
    let mut out = Map::new();
    totals(call, Generation::Third, &mut out);
    Ok(Value::Object(out))
}

/// Sums, the asset and the positions of an account answer.
fn totals(call: &Call<'_>, generation: Generation, out: &mut Map<String, Value>) {
    let exchange = &*call.exchange;
    let balance = exchange.accounts.balance(&exchange.market, call.account);
    let initial = balance.position_margin.0 + balance.order_margin.0;
    let margin_balance = balance.wallet.0 + balance.unrealized.0;
    let withdraw = withdrawable(&balance).0;
    for (name, units) in [
        ("totalInitialMargin", initial),
        ("totalMaintMargin", balance.maint_margin.0),
        ("totalWalletBalance", balance.wallet.0),
        ("totalUnrealizedProfit", balance.unrealized.0),
        ("totalMarginBalance", margin_balance),
        ("totalPositionInitialMargin", balance.position_margin.0),
        ("totalOpenOrderInitialMargin", balance.order_margin.0),
        ("totalCrossWalletBalance", balance.cross_wallet.0),
        ("totalCrossUnPnl", balance.cross_unrealized.0),
        ("availableBalance", balance.available.0),
        ("maxWithdrawAmount", withdraw),
    ] {
        out.insert(name.to_owned(), json!(full(units)));
    }
    let mut asset = Map::new();
    asset.insert("asset".to_owned(), json!(ASSET));
    for (name, units) in [
        ("walletBalance", balance.wallet.0),
        ("unrealizedProfit", balance.unrealized.0),
        ("marginBalance", margin_balance),
        ("maintMargin", balance.maint_margin.0),
        ("initialMargin", initial),
        ("positionInitialMargin", balance.position_margin.0),
        ("openOrderInitialMargin", balance.order_margin.0),
        ("crossWalletBalance", balance.cross_wallet.0),
        ("crossUnPnl", balance.cross_unrealized.0),
        ("availableBalance", balance.available.0),
        ("maxWithdrawAmount", withdraw),
    ] {
        asset.insert(name.to_owned(), json!(full(units)));
    }
    if generation == Generation::Second {
        asset.insert("marginAvailable".to_owned(), json!(true));
    }
    asset.insert("updateTime".to_owned(), json!(balance.updated.to_millis()));
    out.insert("assets".to_owned(), json!([asset]));
    let positions = exchange.accounts.positions(&exchange.market, call.account);
    let shown = positions.iter().filter_map(|view| match generation {
        Generation::Second => Some(account_position_v2(call, view)),
        Generation::Third => is_used(view).then(|| account_position_v3(call, view)),
    });
    out.insert("positions".to_owned(), shown.collect());
}

/// True for a position that is open or has orders.
fn is_used(view: &PositionView) -> bool {
    view.news.qty.0 != 0 || view.bid_notional.0 != 0 || view.ask_notional.0 != 0
}

fn account_position_v2(call: &Call<'_>, view: &PositionView) -> Value {
    let news = &view.news;
    let spec = call.spec(news.contract);
    json!({
        "symbol": spec.symbol.as_str(),
        "initialMargin": full_or_zero(view.position_margin.0 + view.order_margin.0),
        "maintMargin": full_or_zero(news.maint_margin.0),
        "unrealizedProfit": full(news.unrealized.0),
        "positionInitialMargin": full_or_zero(view.position_margin.0),
        "openOrderInitialMargin": full_or_zero(view.order_margin.0),
        "leverage": view.leverage.to_string(),
        "isolated": news.isolated,
        "entryPrice": plain(news.entry_px.0),
        "maxNotional": plain(view.max_notional.0),
        "bidNotional": full_or_zero(view.bid_notional.0),
        "askNotional": full_or_zero(view.ask_notional.0),
        "positionSide": news.side.name(),
        "positionAmt": qty(news.qty.0, spec),
        "updateTime": view.updated.to_millis(),
    })
}

fn account_position_v3(call: &Call<'_>, view: &PositionView) -> Value {
    let news = &view.news;
    let spec = call.spec(news.contract);
    json!({
        "symbol": spec.symbol.as_str(),
        "positionSide": news.side.name(),
        "positionAmt": qty(news.qty.0, spec),
        "unrealizedProfit": full(news.unrealized.0),
        "isolatedMargin": full(isolated_margin(view).0),
        "notional": full_or_zero(view.notional.0),
        "isolatedWallet": full_or_zero(news.isolated_wallet.0),
        "initialMargin": full_or_zero(view.position_margin.0 + view.order_margin.0),
        "maintMargin": full_or_zero(news.maint_margin.0),
        "updateTime": view.updated.to_millis(),
    })
}

/// What an isolated position stands on: its own wallet and its profit.
fn isolated_margin(view: &PositionView) -> Money {
    match view.news.isolated {
        true => Money(view.news.isolated_wallet.0 + view.news.unrealized.0),
        false => Money::ZERO,
    }
}

/// `GET /fapi/v2/positionRisk`.
///
/// # Errors
/// −1121 for a contract that is not listed.
pub fn risk_v2(call: &mut Call<'_>) -> Reply {
    risk(call, |call, view| {
        let news = &view.news;
        let spec = call.spec(news.contract);
        let shown = json!({
            "symbol": spec.symbol.as_str(),
            "positionAmt": qty(news.qty.0, spec),
            "entryPrice": point(news.entry_px.0),
            "breakEvenPrice": point(news.break_even_px.0),
            "markPrice": full(news.mark_px.0),
            "unRealizedProfit": full(news.unrealized.0),
            "liquidationPrice": full_or_zero(view.liquidation_px.0),
            "leverage": view.leverage.to_string(),
            "maxNotionalValue": plain(view.max_notional.0),
            "marginType": if news.isolated { "isolated" } else { "cross" },
            "isolatedMargin": full(isolated_margin(view).0),
            "isAutoAddMargin": "false",
            "positionSide": news.side.name(),
            "notional": full_or_zero(view.notional.0),
            "isolatedWallet": full_or_zero(news.isolated_wallet.0),
            "updateTime": view.updated.to_millis(),
        });
        Some(shown)
    })
}

/// `GET /fapi/v3/positionRisk`.
///
/// # Errors
/// −1121 for a contract that is not listed.
pub fn risk_v3(call: &mut Call<'_>) -> Reply {
    risk(call, |call, view| {
        let news = &view.news;
        let spec = call.spec(news.contract);
        let shown = json!({
            "symbol": spec.symbol.as_str(),
            "positionSide": news.side.name(),
            "positionAmt": qty(news.qty.0, spec),
            "entryPrice": point(news.entry_px.0),
            "breakEvenPrice": point(news.break_even_px.0),
            "markPrice": full(news.mark_px.0),
            "unRealizedProfit": full(news.unrealized.0),
            "liquidationPrice": full_or_zero(view.liquidation_px.0),
            "isolatedMargin": full_or_zero(isolated_margin(view).0),
            "notional": full_or_zero(view.notional.0),
            "marginAsset": ASSET,
            "isolatedWallet": full_or_zero(news.isolated_wallet.0),
            "initialMargin": full_or_zero(view.position_margin.0 + view.order_margin.0),
            "maintMargin": full_or_zero(news.maint_margin.0),
            "positionInitialMargin": full_or_zero(view.position_margin.0),
            "openOrderInitialMargin": full_or_zero(view.order_margin.0),
            "adl": quantile(view),
            "bidNotional": full_or_zero(view.bid_notional.0),
            "askNotional": full_or_zero(view.ask_notional.0),
            "updateTime": view.updated.to_millis(),
        });
        is_used(view).then_some(shown)
    })
}

fn risk(call: &mut Call<'_>, show: fn(&Call<'_>, &PositionView) -> Option<Value>) -> Reply {
    let contract = call.contract_if_sent()?;
    let views = call.exchange.accounts.positions(&call.exchange.market, call.account);
    let wanted =
        views.iter().filter(|view| contract.is_none_or(|contract| view.news.contract == contract));
    Ok(wanted.filter_map(|view| show(call, view)).collect())
}

/// A price without padding, but with one decimal, as the venue writes entry prices.
fn point(units: i64) -> String {
    let text = plain(units);
    if text.contains('.') { text } else { fixed(units, 1) }
}

/// How near the front of the queue for automatic deleveraging, 0 to 4. Nobody is deleveraged here,
/// so it only tells a position in profit from one in loss and none from any.
fn quantile(view: &PositionView) -> u8 {
    match (view.news.qty.0, view.news.unrealized.0) {
        (0, _) => 0,
        (_, profit) if profit > 0 => 2,
        _ => 1,
    }
}

/// `GET /fapi/v1/adlQuantile`.
///
/// # Errors
/// −1121 for a contract that is not listed.
pub fn adl(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let views = call.exchange.accounts.positions(&call.exchange.market, call.account);
    let hedge = call.exchange.accounts.is_hedge(call.account);
    let mut rows = Vec::new();
    for index in 0..call.exchange.market.len() {
        let own = |side: PositionSide| {
            let of = |view: &&PositionView| view.news.contract == index && view.news.side == side;
            views.iter().find(of).map_or(0, quantile)
        };
        let sides = [PositionSide::Both, PositionSide::Long, PositionSide::Short];
        let open = sides.iter().any(|&side| own(side) > 0);
        if !open || contract.is_some_and(|contract| contract != index) {
            continue;
        }
        let (long, short) = (own(PositionSide::Long), own(PositionSide::Short));
        let quantiles = match hedge {
            true => json!({"LONG": long, "SHORT": short, "HEDGE": 0}),
            false => json!({"LONG": 0, "SHORT": 0, "BOTH": own(PositionSide::Both)}),
        };
        rows.push(json!({"symbol": call.symbol(index), "adlQuantile": quantiles}));
    }
    Ok(Value::Array(rows))
}

/// `GET /fapi/v1/accountConfig`.
///
/// # Errors
/// None.
pub fn config(call: &mut Call<'_>) -> Reply {
    let accounts = &call.exchange.accounts;
    Ok(json!({
        "feeTier": 0,
        "canTrade": true,
        "canDeposit": true,
        "canWithdraw": true,
        "dualSidePosition": accounts.is_hedge(call.account),
        "updateTime": 0,
        "multiAssetsMargin": accounts.is_multi_assets(call.account),
        "tradeGroupId": -1,
    }))
}

/// `GET /fapi/v1/symbolConfig`.
///
/// # Errors
/// −1121 for a contract that is not listed.
pub fn symbol_config(call: &mut Call<'_>) -> Reply {
    let contract = call.contract_if_sent()?;
    let exchange = &*call.exchange;
    let views = exchange.accounts.positions(&exchange.market, call.account);
    let wanted = (0..exchange.market.len())
        .filter(|&index| contract.is_none_or(|contract| contract == index));
    let rows = wanted.filter_map(|index| {
        let view = views.iter().find(|view| view.news.contract == index)?;
        let isolated = exchange.accounts.is_isolated(call.account, index);
        Some(json!({
            "symbol": call.symbol(index),
            "marginType": if isolated { "ISOLATED" } else { "CROSSED" },
            "isAutoAddMargin": false,
            "leverage": view.leverage,
            "maxNotionalValue": plain(view.max_notional.0),
        }))
    });
    Ok(rows.collect())
}

/// `GET /fapi/v1/commissionRate`.
///
/// # Errors
/// −1121 for a contract that is not listed.
pub fn commission(call: &mut Call<'_>) -> Reply {
    let contract = call.contract()?;
    let spec = call.spec(contract);
    Ok(json!({
        "symbol": spec.symbol.as_str(),
        "makerCommissionRate": plain(spec.maker_fee.0),
        "takerCommissionRate": plain(spec.taker_fee.0),
        // What the venue gives for orders that only retail traders may take.
        "rpiCommissionRate": "0.00005",
    }))
}

/// `GET /fapi/v1/apiTradingStatus`: no rule is ever violated here.
///
/// # Errors
/// None.
pub fn trading_status(call: &mut Call<'_>) -> Reply {
    Ok(json!({"indicators": {}, "updateTime": call.now.to_millis()}))
}

/// `GET /fapi/v1/rateLimit/order`.
///
/// # Errors
/// None.
pub fn order_limits(call: &mut Call<'_>) -> Reply {
    let settings = call.exchange.limits.settings;
    let row = |interval: &str, number: u32, limit: u32| {
        json!({
            "rateLimitType": "ORDERS",
            "interval": interval,
            "intervalNum": number,
            "limit": limit,
        })
    };
    Ok(json!([
        row("SECOND", 10, settings.orders_ten_seconds),
        row("MINUTE", 1, settings.orders_minute),
    ]))
}

/// When every key was made: 2023-10-30.
const KEY_MADE_MS: i64 = 1_698_645_219_000;

/// `GET /sapi/v1/account/apiRestrictions` of the wallet's host.
///
/// # Errors
/// −2015 for a key that may not read.
pub fn key_rights(call: &mut Call<'_>) -> Reply {
    let rights = call.exchange.accounts.rights(call.api_key);
    if rights.contains(&("enableReading", false)) {
        return Err(VenueError::BAD_KEY);
    }
    let mut told: Map<String, Value> =
        rights.into_iter().map(|(name, on)| (name.to_owned(), on.into())).collect();
    told.insert("createTime".to_owned(), KEY_MADE_MS.into());
    Ok(Value::Object(told))
}

/// `GET /api/v3/account` of the spot host, which some clients call when they start: nothing there.
///
/// # Errors
/// None.
pub fn spot(call: &mut Call<'_>) -> Reply {
    Ok(json!({
        "makerCommission": 0,
        "takerCommission": 0,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "canTrade": false,
        "canWithdraw": false,
        "canDeposit": false,
        "updateTime": call.now.to_millis(),
        "accountType": "SPOT",
        "balances": [],
        "permissions": ["SPOT"],
    }))
}
