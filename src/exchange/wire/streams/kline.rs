//! Candle streams: the forming candle four times a second while it has trades, and each closed one
//! once, with `x` true.

use crate::base::Nanos;
use crate::exchange::flow::contract::Contract;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::Json;
use crate::exchange::tape::history::History;
use crate::exchange::tape::history::bar::Bar;
use crate::exchange::tape::history::interval::Interval;
use crate::exchange::tape::history::layers::Wanted;
use crate::exchange::wire::market_data::wide;

const SECOND: Nanos = Nanos::from_secs(1);

/// `kline` payloads that are due; `last` is when the candle begins that was looked at last.
pub(super) fn plain(
    last: &mut Nanos,
    contract: &Contract,
    interval: Interval,
    now: Nanos,
) -> Vec<String> {
    let spec = &contract.spec;
    let Some(history) = &contract.history else { return Vec::new() };
    let due = due(last, interval.start_of(now), |start| candle(history, interval, start));
    let texts = due.into_iter().map(|(bar, closed)| {
        payload(|json| {
            let symbol = spec.symbol.as_str();
            json.raw("{\"e\":\"kline\",\"E\":").millis(now).raw(",\"s\":\"").raw(symbol);
            json.raw("\",\"k\":{\"t\":").millis(bar.opened).raw(",\"T\":");
            json.int(interval.step(bar.opened, 1).to_millis() - 1);
            json.raw(",\"s\":\"").raw(symbol).raw("\",\"i\":\"").raw(interval.name()).raw("\"");
            rest(json, spec, &bar, closed);
        })
    });
    texts.collect()
}

/// `continuous_kline` payloads that are due.
pub(super) fn continuous(
    last: &mut Nanos,
    contract: &Contract,
    interval: Interval,
    now: Nanos,
) -> Vec<String> {
    let Some(history) = &contract.history else { return Vec::new() };
    let due = due(last, interval.start_of(now), |start| candle(history, interval, start));
    let end = |bar: &Bar| interval.step(bar.opened, 1);
    due.iter()
        .map(|(bar, closed)| {
            continuous_payload(&contract.spec, bar, (interval.name(), end(bar)), *closed, now)
        })
        .collect()
}

/// The same in candles of one second.
pub(super) fn seconds(last: &mut Nanos, contract: &Contract, now: Nanos) -> Vec<String> {
    let Some(history) = &contract.history else { return Vec::new() };
    let due = due(last, now.floor_to(SECOND), |start| Some(history.second(start)));
    due.iter()
        .map(|(bar, closed)| {
            continuous_payload(&contract.spec, bar, ("1s", bar.opened + SECOND), *closed, now)
        })
        .collect()
}

fn candle(history: &History, interval: Interval, start: Nanos) -> Option<Bar> {
    let wanted = Wanted { interval, from: Some(start), to: start, limit: 1 };
    history.bars().list(&wanted).pop()
}

/// The candle that was looked at last when it has closed since, else the forming one.
fn due(last: &mut Nanos, start: Nanos, candle: impl Fn(Nanos) -> Option<Bar>) -> Vec<(Bar, bool)> {
    let before = std::mem::replace(last, start);
    if before != Nanos::ZERO && before < start {
        return candle(before).map(|bar| (bar, true)).into_iter().collect();
    }
    let forming = candle(start).filter(|bar| bar.trades > 0);
    forming.map(|bar| (bar, false)).into_iter().collect()
}

fn continuous_payload(
    spec: &SymbolSpec,
    bar: &Bar,
    (name, end): (&str, Nanos),
    closed: bool,
    now: Nanos,
) -> String {
    payload(|json| {
        json.raw("{\"e\":\"continuous_kline\",\"E\":").millis(now);
        json.raw(",\"ps\":\"").raw(spec.symbol.as_str());
        json.raw("\",\"ct\":\"PERPETUAL\",\"k\":{\"t\":").millis(bar.opened);
        json.raw(",\"T\":").int(end.to_millis() - 1).raw(",\"i\":\"").raw(name).raw("\"");
        rest(json, spec, bar, closed);
    })
}

/// The members of a candle after its interval.
fn rest(json: &mut Json<'_>, spec: &SymbolSpec, bar: &Bar, closed: bool) {
    let decimals = (spec.price_decimals + spec.qty_decimals).min(8);
    json.raw(",\"f\":").int(bar.first_id).raw(",\"L\":").int(bar.last_id);
    json.raw(",\"o\":").px(spec, bar.open).raw(",\"c\":").px(spec, bar.close);
    json.raw(",\"h\":").px(spec, bar.high).raw(",\"l\":").px(spec, bar.low);
    json.raw(",\"v\":").qty(spec, bar.lots).raw(",\"n\":").int(bar.trades);
    json.raw(",\"x\":").raw(if closed { "true" } else { "false" }).raw(",\"q\":");
    wide(json, Bar::value(spec, bar.turnover), decimals);
    json.raw(",\"V\":").qty(spec, bar.taker_lots).raw(",\"Q\":");
    wide(json, Bar::value(spec, bar.taker_turnover), decimals);
    json.raw(",\"B\":\"0\"}}");
}

fn payload(write: impl FnOnce(&mut Json<'_>)) -> String {
    let mut body = Vec::with_capacity(384);
    write(&mut Json::new(&mut body));
    String::from_utf8_lossy(&body).into_owned()
}
