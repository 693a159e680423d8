//! Trades, candles, funding.

use super::{Answered, Ask, body, list, reply, unweighted, wide};
use crate::base::Nanos;
use crate::exchange::flow::contract::Contract;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Json;
use crate::exchange::tape::history::bar::{Bar, MarkBar, Ohlc};
use crate::exchange::tape::history::interval::Interval;
use crate::exchange::tape::history::layers::{CANDLES_MAX, Wanted};
use crate::exchange::tape::history::{Funding, PastTrade};
use crate::exchange::wire::error::VenueError;
use crate::exchange::wire::params::invalid;

/// `GET /fapi/v1/trades`.
pub(super) fn trades(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let limit = ask.limit(500, 1_000)?;
    let trades = contract
        .history
        .iter()
        .flat_map(|history| history.trades().range(history.trades().len().saturating_sub(limit)..));
    reply(5, body(|json| list(json, trades, |json, past| trade(json, &contract.spec, past))))
}

/// `GET /fapi/v1/historicalTrades`.
pub(super) fn historical_trades(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let limit = ask.limit(100, 500)?;
    let from = ask.params.int("fromId")?;
    let trades = contract.history.iter().flat_map(|history| {
        let all = history.trades();
        let last = all.len().saturating_sub(limit);
        let first = from.map_or(last, |from| all.partition_point(|trade| trade.id < from));
        all.range(first..).take(limit)
    });
    reply(20, body(|json| list(json, trades, |json, past| trade(json, &contract.spec, past))))
}

fn trade(json: &mut Json<'_>, spec: &SymbolSpec, past: &PastTrade) {
    let print = past.print;
    json.raw("{\"id\":").int(past.id).raw(",\"price\":").px(spec, print.tick);
    json.raw(",\"qty\":").qty(spec, print.lots).raw(",\"quoteQty\":");
    wide(json, Bar::value(spec, print.tick * print.lots), spec.price_decimals);
    json.raw(",\"time\":").millis(past.ts).raw(",\"isBuyerMaker\":");
    json.raw(buyer_is_maker(past.print.taker)).raw(",\"isRPITrade\":false}");
}

const fn buyer_is_maker(taker: crate::base::Side) -> &'static str {
    match taker {
        crate::base::Side::Buy => "false",
        crate::base::Side::Sell => "true",
    }
}

/// `GET /fapi/v1/aggTrades`.
pub(super) fn aggregates(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let limit = ask.limit(500, 1_000)?;
    let (start, end) = ask.times()?;
    let from = ask.params.int("fromId")?;
    if from.is_some() && (start.is_some() || end.is_some()) {
        return Err(VenueError::new(-1128, "Combination of optional parameters invalid."));
    }
    let spec = &contract.spec;
    let all = contract.history.iter().flat_map(|history| {
        let all = history.aggregates();
        let past = |end: Nanos| all.partition_point(|own| own.ts.to_millis() <= end.to_millis());
        let stop = end.map_or(all.len(), past);
        let first = match (from, start) {
            (Some(from), _) => all.partition_point(|own| own.id < from),
            (None, Some(start)) => {
                all.partition_point(|own| own.ts.to_millis() < start.to_millis())
            }
            (None, None) => stop.saturating_sub(limit),
        };
        all.range(first.min(stop)..stop).take(limit)
    });
    let write = |json: &mut Json<'_>| {
        list(json, all, |json, own| {
            json.raw("{\"a\":").int(own.id).raw(",\"p\":").px(spec, own.print.tick);
            json.raw(",\"q\":").qty(spec, own.print.lots);
            json.raw(",\"nq\":").qty(spec, own.print.lots);
            json.raw(",\"f\":").int(own.ids.0).raw(",\"l\":").int(own.ids.1);
            json.raw(",\"T\":").millis(own.ts);
            json.raw(",\"m\":").raw(buyer_is_maker(own.print.taker)).raw("}");
        });
    };
    reply(20, body(write))
}

/// `GET /fapi/v1/klines`.
pub(super) fn klines(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    candles_of(ask, contract)
}

/// `GET /fapi/v1/continuousKlines`. Only perpetual contracts are traded here.
pub(super) fn continuous_klines(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("pair")?;
    match ask.params.need("contractType")? {
        "PERPETUAL" => candles_of(ask, contract),
        "CURRENT_QUARTER" | "NEXT_QUARTER" | "TRADIFI_PERPETUAL" => reply(1, "[]".to_owned()),
        _ => Err(VenueError::new(-4104, "Invalid contract type")),
    }
}

/// Which candles are asked for, and what they weigh.
fn wanted(ask: &Ask<'_>) -> Result<(Wanted, u32), VenueError> {
    let interval = ask.interval()?;
    let limit = ask.limit(500, CANDLES_MAX)?;
    let (from, end) = ask.times()?;
    let weight = match limit {
        ..100 => 1,
        100..500 => 2,
        500..=1_000 => 5,
        _ => 10,
    };
    Ok((Wanted { interval, from, to: end.unwrap_or(ask.now), limit }, weight))
}

fn candles_of(ask: &Ask<'_>, contract: &Contract) -> Answered {
    let (wanted, weight) = wanted(ask)?;
    let spec = &contract.spec;
    let bars = contract.history.as_ref().map(|history| history.bars().list(&wanted));
    let write = |json: &mut Json<'_>| {
        list(json, bars.unwrap_or_default(), |json, bar| {
            row(json, bar.opened, wanted.interval, |json| {
                json.px(spec, bar.open).raw(",").px(spec, bar.high).raw(",");
                json.px(spec, bar.low).raw(",").px(spec, bar.close).raw(",").qty(spec, bar.lots);
            });
            let decimals = (spec.price_decimals + spec.qty_decimals).min(8);
            json.raw(",");
            wide(json, Bar::value(spec, bar.turnover), decimals);
            json.raw(",").int(bar.trades).raw(",").qty(spec, bar.taker_lots).raw(",");
            wide(json, Bar::value(spec, bar.taker_turnover), decimals);
            json.raw(",\"0\"]");
        });
    };
    reply(weight, body(write))
}

/// The first seven members of a candle, of which `write` makes the middle five.
fn row(json: &mut Json<'_>, opened: Nanos, of: Interval, write: impl FnOnce(&mut Json<'_>)) {
    json.raw("[").millis(opened).raw(",");
    write(json);
    json.raw(",").int(of.step(opened, 1).to_millis() - 1);
}

/// Candles of what is computed each second; `name` is the parameter that names the contract.
pub(super) fn mark_klines(ask: &Ask<'_>, name: &str, of: fn(&MarkBar) -> Ohlc) -> Answered {
    let contract = ask.contract(name)?;
    let (wanted, weight) = wanted(ask)?;
    let bars = contract.history.as_ref().map(|history| history.marks().list(&wanted));
    let write = |json: &mut Json<'_>| {
        list(json, bars.unwrap_or_default(), |json, bar| {
            let ohlc = of(&bar);
            row(json, bar.opened, wanted.interval, |json| {
                json.fixed(ohlc.open, 8).raw(",").fixed(ohlc.high, 8).raw(",");
                json.fixed(ohlc.low, 8).raw(",").fixed(ohlc.close, 8).raw(",\"0\"");
            });
            // One value a second, from the first to the last that has been.
            let end = wanted.interval.step(bar.opened, 1).min(ask.now);
            let seconds = (end - bar.opened).0 / Nanos::from_secs(1).0;
            json.raw(",\"0\",").int(seconds.max(1)).raw(",\"0\",\"0\",\"0\"]");
        });
    };
    reply(weight, body(write))
}

/// `GET /fapi/v1/fundingRate`.
pub(super) fn funding(ask: &Ask<'_>) -> Answered {
    let only = ask.contract_or_all()?;
    let limit = match ask.params.int("limit")? {
        None => 100,
        Some(limit @ 1..=1_000) => limit as usize,
        Some(_) => return Err(invalid("limit")),
    };
    let (start, end) = ask.times()?;
    let contracts: Vec<&Contract> = only.map_or_else(|| ask.contracts().collect(), |own| vec![own]);
    let mut all: Vec<(&str, &Funding)> = Vec::new();
    for contract in contracts {
        let fundings = contract.history.iter().flat_map(|history| history.fundings());
        let inside = fundings.filter(|own| {
            let millis = own.ts.to_millis();
            start.is_none_or(|start| millis >= start.to_millis())
                && end.is_none_or(|end| millis <= end.to_millis())
        });
        all.extend(inside.map(|own| (contract.spec.symbol.as_str(), own)));
    }
    all.sort_by_key(|(_, own)| own.ts);
    let skipped = if start.is_some() { 0 } else { all.len().saturating_sub(limit) };
    let write = |json: &mut Json<'_>| {
        list(json, all.into_iter().skip(skipped).take(limit), |json, (symbol, own)| {
            json.raw("{\"symbol\":\"").raw(symbol).raw("\",\"fundingTime\":").millis(own.ts);
            json.raw(",\"fundingRate\":").fixed(own.rate, 8);
            json.raw(",\"markPrice\":").fixed(own.mark, 8).raw(",\"rateType\":\"Regular\"}");
        });
    };
    unweighted(body(write))
}
