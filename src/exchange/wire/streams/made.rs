//! Streams made on a timer, out of the market's books, marks and history.

use super::text::extended;
use super::{Board, Delivery, Facts, State, Topic, diff, kline};
use crate::base::Nanos;
use crate::exchange::flow::contract::Contract;
use crate::exchange::flow::market::SyntheticMarket;
use crate::exchange::spec::SymbolSpec;
use crate::exchange::tape::frames::{self, Json, Stream};
use crate::exchange::tape::history::bar::Bar;
use crate::exchange::wire::market_data::{Day, NEVER_MILLIS, status, wide};

/// Sends what a board shows at `now`, if there is anything.
pub(super) fn send(
    board: &mut Board,
    facts: &[Facts],
    market: &SyntheticMarket,
    now: Nanos,
    out: &mut Vec<Delivery>,
) {
    let contracts = || (0..market.len()).map(|index| market.at(index));
    let texts: Vec<String> = match (&mut board.state, board.topic) {
        (State::Diff(chain), Topic::Diff(contract, _)) => {
            chain.flush(&market.at(contract).spec, now).into_iter().collect()
        }
        (State::Partial(sent), Topic::Partial { contract, levels, .. }) => {
            partial(sent, market.at(contract), levels, now).into_iter().collect()
        }
        (State::Candle(last), Topic::Kline(contract, interval)) => {
            kline::plain(last, market.at(contract), interval, now)
        }
        (State::Candle(last), Topic::Continuous(contract, interval)) => {
            kline::continuous(last, market.at(contract), interval, now)
        }
        (State::Candle(last), Topic::Seconds(contract)) => {
            kline::seconds(last, market.at(contract), now)
        }
        (State::Forced(largest), _) => {
            let taken = largest.iter_mut().map(diff::Largest::take);
            taken.filter(|data| !data.is_empty()).collect()
        }
        (State::Specs(known), Topic::Facts) => changed(known, market, now),
        (_, Topic::Mini(contract)) => mini(market.at(contract), now).into_iter().collect(),
        (_, Topic::Ticker(contract)) => ticker(market.at(contract), now).into_iter().collect(),
        (_, Topic::AllMinis) => {
            vec![array(contracts().filter_map(|contract| mini(contract, now)))]
        }
        (_, Topic::AllTickers) => {
            vec![array(contracts().filter_map(|contract| ticker(contract, now)))]
        }
        (_, Topic::AllBooks) => {
            contracts().filter_map(|contract| book_ticker(contract, now)).collect()
        }
        (_, Topic::AllMarks(_)) => {
            let marks = contracts().zip(facts);
            vec![array(marks.map(|(contract, facts)| mark(contract, facts.average, now)))]
        }
        _ => Vec::new(),
    };
    for text in texts.iter().filter(|text| *text != "[]") {
        board.send(now, text, out);
    }
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn made(write: impl FnOnce(&mut Json<'_>)) -> String {
    let mut body = Vec::with_capacity(512);
    write(&mut Json::new(&mut body));
    String::from_utf8_lossy(&body).into_owned()
}

/// The best levels of the book; `None` when nothing has changed since the last message.
fn partial(sent: &mut i64, contract: &Contract, levels: usize, now: Nanos) -> Option<String> {
    let (spec, book, last) = (&contract.spec, &contract.book, contract.last_id());
    if last == *sent {
        return None;
    }
    let before = if *sent == 0 { last - 1 } else { *sent };
    *sent = last;
    Some(made(|json| {
        let times = [now.to_millis(), contract.changed_at().to_millis()];
        diff::head(json, spec, times, [before + 1, last, before]);
        json.raw(",\"b\":").levels(spec, book.bids().take(levels));
        json.raw(",\"a\":").levels(spec, book.asks().take(levels)).raw("}");
    }))
}

fn book_ticker(contract: &Contract, now: Nanos) -> Option<String> {
    let (spec, top) = (&contract.spec, contract.book.top());
    let full = top.bid.1 > 0 && top.ask.1 > 0;
    full.then(|| {
        let data = made(|json| frames::book_ticker(json, spec, now, contract.last_id(), &top));
        extended(Stream::BookTicker, &data, spec.symbol.as_str(), 0)
    })
}

fn mark(contract: &Contract, average: i64, now: Nanos) -> String {
    let spec = &contract.spec;
    let data = made(|json| frames::mark_price(json, spec, now, contract.mark()));
    extended(Stream::MarkPrice, &data, spec.symbol.as_str(), average)
}

/// `None` before the first trade.
fn mini(contract: &Contract, now: Nanos) -> Option<String> {
    let (spec, Day { bar, .. }) = (&contract.spec, Day::of(contract, now));
    (bar.trades > 0).then(|| {
        made(|json| {
            json.raw("{\"e\":\"24hrMiniTicker\",\"E\":").millis(now);
            json.raw(",\"s\":\"").raw(spec.symbol.as_str()).raw("\",\"c\":").px(spec, bar.close);
            json.raw(",\"o\":").px(spec, bar.open).raw(",\"h\":").px(spec, bar.high);
            json.raw(",\"l\":").px(spec, bar.low).raw(",\"v\":").qty(spec, bar.lots);
            json.raw(",\"q\":");
            wide(json, Bar::value(spec, bar.turnover), spec.price_decimals);
            json.raw("}");
        })
    })
}

/// `None` before the first trade.
fn ticker(contract: &Contract, now: Nanos) -> Option<String> {
    let (spec, day) = (&contract.spec, Day::of(contract, now));
    let bar = &day.bar;
    (bar.trades > 0).then(|| {
        made(|json| {
            json.raw("{\"e\":\"24hrTicker\",\"E\":").millis(now);
            json.raw(",\"s\":\"").raw(spec.symbol.as_str());
            json.raw("\",\"p\":").px(spec, bar.close - bar.open);
            json.raw(",\"P\":").fixed(day.change(), 3);
            json.raw(",\"w\":").fixed(day.average(), spec.price_decimals);
            json.raw(",\"c\":").px(spec, bar.close).raw(",\"Q\":").qty(spec, day.last_lots);
            json.raw(",\"o\":").px(spec, bar.open).raw(",\"h\":").px(spec, bar.high);
            json.raw(",\"l\":").px(spec, bar.low).raw(",\"v\":").qty(spec, bar.lots);
            json.raw(",\"q\":");
            wide(json, Bar::value(spec, bar.turnover), spec.price_decimals);
            json.raw(",\"O\":").millis(bar.opened).raw(",\"C\":").millis(day.last_at);
            json.raw(",\"F\":").int(bar.first_id).raw(",\"L\":").int(bar.last_id);
            json.raw(",\"n\":").int(bar.trades).raw(",\"st\":1}");
        })
    })
}

/// Contracts whose facts or state are not those last known.
fn changed(
    known: &mut Vec<(SymbolSpec, &'static str)>,
    market: &SyntheticMarket,
    now: Nanos,
) -> Vec<String> {
    let facts = |index: usize| (market.at(index).spec, status(market.at(index)));
    let is_first = known.is_empty();
    let before = std::mem::replace(known, (0..market.len()).map(facts).collect());
    if is_first {
        return Vec::new();
    }
    let pairs = before.iter().zip(known.iter()).filter(|(old, new)| old != new);
    pairs.map(|((old, _), (new, state))| contract_info(old, new, state, now)).collect()
}

fn contract_info(old: &SymbolSpec, new: &SymbolSpec, state: &str, now: Nanos) -> String {
    let symbol = new.symbol.as_str();
    made(|json| {
        json.raw("{\"e\":\"contractInfo\",\"E\":").millis(now).raw(",\"s\":\"").raw(symbol);
        json.raw("\",\"ps\":\"").raw(symbol).raw("\",\"ct\":\"PERPETUAL\",\"dt\":");
        json.int(NEVER_MILLIS).raw(",\"ot\":").millis(new.onboarded);
        json.raw(",\"cs\":\"").raw(state).raw("\"");
        // Brackets are told when they change and not else.
        if old.brackets != new.brackets {
            json.raw(",\"bks\":[");
            for (i, bracket) in new.brackets.iter().enumerate() {
                let least = new.brackets.get(i + 1).map_or(1, |next| next.leverage + 1);
                json.raw(if i == 0 { "{\"bs\":" } else { ",{\"bs\":" }).int(i as i64 + 1);
                json.raw(",\"bnf\":").int(bracket.floor).raw(",\"bnc\":").int(bracket.cap);
                json.raw(",\"mmr\":").raw(&bracket.maint_rate.to_string());
                json.raw(",\"cf\":").raw(&bracket.cum.to_string());
                json.raw(",\"mi\":").int(least.into());
                json.raw(",\"ma\":").int(bracket.leverage.into()).raw("}");
            }
            json.raw("]");
        }
        json.raw("}");
    })
}
