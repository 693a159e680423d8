//! What is at this moment: books, prices, marks.

use super::{Answered, Ask, body, reply, wide};
use crate::base::{Nanos, units::SCALE};
use crate::exchange::flow::contract::Contract;
use crate::exchange::flow::market::SNAPSHOT_LEVELS;
use crate::exchange::tape::frames::Json;
use crate::exchange::tape::history::bar::Bar;
use crate::exchange::wire::error::VenueError;

/// Part of a rate that does not depend on the market, 1e-8.
const INTEREST_RATE: i64 = 10_000;

/// `GET /fapi/v1/depth`.
pub(super) fn depth(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let limit = ask.params.int("limit")?.unwrap_or(500);
    let (levels, weight) = match limit {
        5 | 10 | 20 | 50 => (limit as usize, 2),
        100 => (100, 5),
        500 => (500, 10),
        1_000 => (SNAPSHOT_LEVELS, 20),
        _ => {
            let text = format!("'{limit}' is not valid depth limit.");
            return Err(VenueError::with(-4021, text));
        }
    };
    book(ask, contract, levels, weight)
}

/// `GET /fapi/v1/rpiDepth`. No order here is one of retail price improvement.
pub(super) fn rpi_depth(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    match ask.params.int("limit")? {
        None | Some(1_000) => book(ask, contract, SNAPSHOT_LEVELS, 20),
        Some(limit) => Err(VenueError::with(-4021, format!("'{limit}' is not valid depth limit."))),
    }
}

fn book(ask: &Ask<'_>, contract: &Contract, levels: usize, weight: u32) -> Answered {
    let mut bytes = Vec::with_capacity(64 * levels);
    ask.market.snapshot_of(contract.spec.symbol.as_str(), levels, &mut bytes);
    reply(weight, String::from_utf8_lossy(&bytes).into_owned())
}

/// `GET /fapi/v1/premiumIndex`.
pub(super) fn premium_index(ask: &Ask<'_>) -> Answered {
    // Marks are of the last whole second.
    let time = ask.now.floor_to(Nanos::from_secs(1));
    ask.one_or_all((1, 10), |json, contract| {
        let mark = contract.mark();
        json.raw("{\"symbol\":\"").raw(contract.spec.symbol.as_str());
        json.raw("\",\"markPrice\":").fixed(mark.mark, 8);
        json.raw(",\"indexPrice\":").fixed(mark.index, 8);
        json.raw(",\"estimatedSettlePrice\":").fixed(mark.settle, 8);
        json.raw(",\"lastFundingRate\":").fixed(mark.rate, 8);
        json.raw(",\"interestRate\":").fixed(INTEREST_RATE, 8);
        json.raw(",\"nextFundingTime\":").millis(mark.next);
        json.raw(",\"time\":").millis(time).raw("}");
    })
}

/// `GET /fapi/v1/ticker/24hr`.
pub(super) fn day(ask: &Ask<'_>) -> Answered {
    let now = ask.now;
    ask.one_or_all((1, 40), |json, contract| {
        let day = Day::of(contract, now);
        let (spec, bar) = (&contract.spec, &day.bar);
        json.raw("{\"symbol\":\"").raw(spec.symbol.as_str());
        json.raw("\",\"priceChange\":").px(spec, bar.close - bar.open);
        json.raw(",\"priceChangePercent\":").fixed(day.change(), 3);
        json.raw(",\"weightedAvgPrice\":").fixed(day.average(), spec.price_decimals);
        json.raw(",\"lastPrice\":")
            .px(spec, bar.close)
            .raw(",\"lastQty\":")
            .qty(spec, day.last_lots);
        json.raw(",\"openPrice\":").px(spec, bar.open).raw(",\"highPrice\":").px(spec, bar.high);
        json.raw(",\"lowPrice\":").px(spec, bar.low).raw(",\"volume\":").qty(spec, bar.lots);
        json.raw(",\"quoteVolume\":");
        wide(json, Bar::value(spec, bar.turnover), spec.price_decimals);
        json.raw(",\"openTime\":").millis(bar.opened).raw(",\"closeTime\":").millis(day.last_at);
        json.raw(",\"firstId\":").int(bar.first_id).raw(",\"lastId\":").int(bar.last_id);
        json.raw(",\"count\":").int(bar.trades).raw("}");
    })
}

/// The last 24 hours of a contract.
pub struct Day {
    /// All of it.
    pub bar: Bar,
    /// Quantity of the last trade.
    pub last_lots: i64,
    /// When it was.
    pub last_at: Nanos,
    average: i64,
}

impl Day {
    /// As of `now`.
    pub fn of(contract: &Contract, now: Nanos) -> Self {
        let spec = &contract.spec;
        let Some(history) = &contract.history else {
            let bar = Bar::quiet(now, contract.last_tick());
            let average = contract.last_tick() * spec.tick_size.0;
            return Self { bar, last_lots: 0, last_at: now, average };
        };
        let bar = history.last_day(now);
        let last = history.trades().back();
        let (last_lots, last_at) = last.map_or((0, now), |last| (last.print.lots, last.ts));
        let average = match i128::from(bar.lots) * i128::from(spec.lot_size.0) {
            0 => bar.close * spec.tick_size.0,
            qty => {
                let value = Bar::value(spec, bar.turnover) * i128::from(SCALE) / qty;
                i64::try_from(value).unwrap_or(i64::MAX)
            }
        };
        Self { bar, last_lots, last_at, average }
    }

    /// Change of the price in per cent, 1e-8 units.
    pub fn change(&self) -> i64 {
        let (change, open) = (self.bar.close - self.bar.open, self.bar.open.max(1));
        i64::try_from(i128::from(change) * 100 * i128::from(SCALE) / i128::from(open)).unwrap_or(0)
    }

    /// Price weighted by quantity, 1e-8 units.
    pub const fn average(&self) -> i64 {
        self.average
    }
}

/// `GET /fapi/v1/ticker/price` and its second version.
pub(super) fn price(ask: &Ask<'_>) -> Answered {
    let now = ask.now;
    ask.one_or_all((1, 2), |json, contract| {
        let last = contract.history.as_ref().and_then(|history| history.trades().back());
        json.raw("{\"symbol\":\"").raw(contract.spec.symbol.as_str());
        json.raw("\",\"price\":").px(&contract.spec, contract.last_tick());
        json.raw(",\"time\":").millis(last.map_or(now, |last| last.ts)).raw("}");
    })
}

/// `GET /fapi/v1/ticker/bookTicker`.
pub(super) fn book_ticker(ask: &Ask<'_>) -> Answered {
    ask.one_or_all((2, 5), |json, contract| {
        let (spec, top) = (&contract.spec, contract.book.top());
        json.raw("{\"symbol\":\"").raw(spec.symbol.as_str());
        json.raw("\",\"bidPrice\":").px(spec, top.bid.0).raw(",\"bidQty\":").qty(spec, top.bid.1);
        json.raw(",\"askPrice\":").px(spec, top.ask.0).raw(",\"askQty\":").qty(spec, top.ask.1);
        json.raw(",\"time\":").millis(contract.changed_at());
        json.raw(",\"lastUpdateId\":").int(contract.last_id()).raw("}");
    })
}

/// `GET /fapi/v1/openInterest`.
pub(super) fn open_interest(ask: &Ask<'_>) -> Answered {
    let contract = ask.contract("symbol")?;
    let write = |json: &mut Json<'_>| {
        json.raw("{\"openInterest\":").qty(&contract.spec, contract.open_interest());
        json.raw(",\"symbol\":\"").raw(contract.spec.symbol.as_str());
        json.raw("\",\"time\":").millis(ask.now).raw("}");
    };
    reply(1, body(write))
}
