//! The rounds: cancel, close, look, until nothing is there twice.

use crate::decimal::{ONE, ceil, floor, parse, text};
use crate::venue::Venue;
use crate::{Arguments, Mode};
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Wait between two rounds.
const PAUSE: Duration = Duration::from_millis(250);
/// How far through the touch a closing order may be priced: 300 of 10000.
const COLLAR_BPS: i128 = 300;
/// Most closing orders of one position in a round.
const CLOSES_MAX: usize = 20;
/// Orders that one request cancels by number.
const BATCH: usize = 10;

/// How many things are still there; −1 is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// Plain orders.
    pub orders: i64,
    /// Conditional orders that could open a position.
    pub entries: i64,
    /// Conditional orders that can only close one.
    pub stops: i64,
    /// Positions.
    pub positions: i64,
}

/// How it ended.
pub struct End {
    /// Nothing that had to go was there, twice in a row.
    pub is_empty: bool,
    /// Rounds made.
    pub rounds: u32,
    /// What the last one found.
    pub left: Left,
    /// Cancels that the venue took.
    pub cancelled: u32,
    /// Closing orders that the venue took.
    pub closing: u32,
    /// How long it took.
    pub took: Duration,
}

/// What a look found; `None` is not known.
struct Seen {
    orders: Option<Vec<Value>>,
    algos: Option<Vec<Value>>,
    positions: Option<Vec<Value>>,
}

struct Killer<'k> {
    venue: &'k Venue,
    arguments: &'k Arguments,
    began: Instant,
    cancelled: u32,
    closing: u32,
    /// `exchangeInfo`, once it is known.
    facts: Option<Value>,
}

/// Rounds until nothing is there twice, or the time is up. Without `--yes` one look.
pub fn run(venue: &Venue, arguments: &Arguments) -> End {
    let began = Instant::now();
    venue.set_clock();
    let mut killer = Killer { venue, arguments, began, cancelled: 0, closing: 0, facts: None };
    let time = Duration::from_secs(arguments.seconds);
    let (mut rounds, mut empty) = (0, 0);
    // The first cancels need no look: time matters most while everything is open.
    let mut seen = Seen { orders: None, algos: None, positions: None };
    loop {
        rounds += 1;
        if arguments.yes {
            if rounds == 1 && arguments.all_symbols {
                seen = killer.look();
            }
            killer.act(&seen);
        }
        seen = killer.look();
        let left = killer.left(&seen);
        eprintln!(
            "round {rounds}: {} orders, {} conditional entries, {} stops, {} positions",
            left.orders, left.entries, left.stops, left.positions
        );
        let flat = arguments.mode == Mode::CancelOnly || left.stops == 0 && left.positions == 0;
        empty = if left.orders == 0 && left.entries == 0 && flat { empty + 1 } else { 0 };
        let is_empty = empty >= 2;
        if is_empty || began.elapsed() >= time || !arguments.yes && rounds >= 2 {
            let Killer { cancelled, closing, .. } = killer;
            return End { is_empty, rounds, left, cancelled, closing, took: began.elapsed() };
        }
        std::thread::sleep(PAUSE);
    }
}

impl Killer<'_> {
    fn is_ours(&self, row: &Value) -> bool {
        let name = row["symbol"].as_str().unwrap_or_default();
        self.arguments.all_symbols || self.arguments.symbols.iter().any(|own| own == name)
    }

    fn look(&self) -> Seen {
        let list = |path: &str| {
            let told = self.venue.signed("GET", path, "");
            let told = told.inspect_err(|error| eprintln!("{error:#}")).ok()?;
            let rows = told.as_array()?.iter().filter(|row| self.is_ours(row));
            Some(rows.cloned().collect::<Vec<Value>>())
        };
        let positions = list("/fapi/v3/positionRisk").map(|mut held| {
            held.retain(|row| amount(row) != Some(0));
            held
        });
        Seen {
            orders: list("/fapi/v1/openOrders"),
            algos: list("/fapi/v1/openAlgoOrders"),
            positions,
        }
    }

    fn left(&self, seen: &Seen) -> Left {
        let count = |rows: &Option<Vec<Value>>, wanted: &dyn Fn(&&Value) -> bool| {
            rows.as_ref().map_or(-1, |rows| {
                i64::try_from(rows.iter().filter(wanted).count()).unwrap_or(i64::MAX)
            })
        };
        Left {
            orders: count(&seen.orders, &|_| true),
            entries: count(&seen.algos, &|row| !only_closes(row)),
            stops: count(&seen.algos, &|row| only_closes(row)),
            positions: count(&seen.positions, &|_| true),
        }
    }

    fn act(&mut self, seen: &Seen) {
        let all = [&seen.orders, &seen.algos, &seen.positions];
        let named = all.into_iter().flatten().flatten().filter_map(|row| row["symbol"].as_str());
        let mut symbols: BTreeSet<String> = named.map(str::to_owned).collect();
        symbols.extend(self.arguments.symbols.iter().cloned());
        for symbol in &symbols {
            self.cancel("/fapi/v1/allOpenOrders", &format!("symbol={symbol}"));
        }
        for symbol in &symbols {
            let own = seen.orders.iter().flatten().filter(|row| row["symbol"] == **symbol);
            let numbers: Vec<String> = own.map(|row| row["orderId"].to_string()).collect();
            for some in numbers.chunks(BATCH) {
                let list = some.join("%2C");
                self.cancel(
                    "/fapi/v1/batchOrders",
                    &format!("symbol={symbol}&orderIdList=%5B{list}%5D"),
                );
            }
        }
        for row in seen.algos.iter().flatten().filter(|row| !only_closes(row)) {
            self.cancel("/fapi/v1/algoOrder", &format!("algoId={}", row["algoId"]));
        }
        if self.arguments.mode == Mode::CancelOnly {
            return;
        }
        let held = seen.positions.as_deref();
        for row in held.unwrap_or_default() {
            if let Err(error) = self.close(row) {
                eprintln!("{error:#}");
            }
        }
        // A stop protects until there is nothing to protect.
        if held.is_some_and(<[Value]>::is_empty) {
            for symbol in &symbols {
                self.cancel("/fapi/v1/algoOpenOrders", &format!("symbol={symbol}"));
            }
        }
    }

    fn cancel(&mut self, path: &str, query: &str) {
        match self.venue.signed("DELETE", path, query) {
            Ok(_) => self.cancelled += 1,
            Err(error) => eprintln!("{error:#}"),
        }
    }

    /// One slice within the collar; or all of it at any price, in as many orders as the venue's
    /// largest makes of it.
    fn close(&mut self, row: &Value) -> Result<()> {
        let symbol = row["symbol"].as_str().context("a position without a symbol")?;
        let held = amount(row).context("a position without an amount")?;
        let side = if held > 0 { "SELL" } else { "BUY" };
        let position_side = row["positionSide"].as_str().unwrap_or("BOTH");
        // In hedge mode the side of the position is what keeps an order from opening one.
        let bound = if position_side == "BOTH" {
            "reduceOnly=true".to_owned()
        } else {
            format!("positionSide={position_side}")
        };
        let common = format!("symbol={symbol}&side={side}&{bound}");
        if self.began.elapsed() < Duration::from_secs(self.arguments.market_after) {
            let (px, qty) = self.slice(symbol, held)?;
            let order = format!("type=LIMIT&timeInForce=IOC&price={px}&quantity={qty}");
            return self.send(&format!("{common}&{order}"));
        }
        // Not to know the venue's largest is no reason to leave a position alone.
        let most = self.contract(symbol).and_then(|facts| facts.most_at_any_price());
        let most = most.inspect_err(|error| eprintln!("{error:#}")).unwrap_or(held.abs());
        let mut left = held.abs();
        for _ in 0..CLOSES_MAX {
            let qty = left.min(most);
            self.send(&format!("{common}&type=MARKET&quantity={}", text(qty)))?;
            left -= qty;
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    fn send(&mut self, query: &str) -> Result<()> {
        self.venue.signed("POST", "/fapi/v1/order", query)?;
        self.closing += 1;
        Ok(())
    }

    fn contract(&mut self, symbol: &str) -> Result<Contract<'_>> {
        if self.facts.is_none() {
            self.facts = Some(self.venue.public("/fapi/v1/exchangeInfo", "")?);
        }
        let facts = self.facts.as_ref().map_or(&Value::Null, |facts| &facts["symbols"]);
        let facts = facts.as_array().into_iter().flatten().find(|row| row["symbol"] == symbol);
        facts.map(Contract).with_context(|| format!("{symbol}: the venue does not list it"))
    }

    fn slice(&mut self, symbol: &str, held: i128) -> Result<(String, String)> {
        let facts = self.contract(symbol)?;
        let (tick, lot) = (facts.of("PRICE_FILTER", "tickSize"), facts.of("LOT_SIZE", "stepSize"));
        let (tick, lot) = tick.zip(lot).with_context(|| format!("{symbol}: no steps"))?;
        let largest = facts.of("LOT_SIZE", "maxQty").filter(|most| *most > 0);
        let touch = self.venue.public("/fapi/v1/ticker/bookTicker", &format!("symbol={symbol}"))?;
        let key = if held > 0 { "bidPrice" } else { "askPrice" };
        let px = touch[key].as_str().and_then(parse).filter(|px| *px > 0);
        let px = px.with_context(|| format!("{symbol}: no price"))?;
        let limit = if held > 0 {
            ceil(px * (10_000 - COLLAR_BPS) / 10_000, tick)
        } else {
            floor(px * (10_000 + COLLAR_BPS) / 10_000, tick)
        };
        let most = floor(i128::from(self.arguments.slice) * ONE * ONE / px, lot).max(lot);
        let most = most.min(largest.unwrap_or(most));
        Ok((text(limit), text(held.abs().min(most))))
    }
}

/// What the venue tells of a contract.
struct Contract<'f>(&'f Value);

impl Contract<'_> {
    /// A number of one of its filters.
    fn of(&self, kind: &str, key: &str) -> Option<i128> {
        let filters = self.0["filters"].as_array().into_iter().flatten();
        let filter = filters.into_iter().find(|filter| filter["filterType"] == kind)?;
        parse(filter[key].as_str()?)
    }

    /// As much as one market order may carry. Where they have no filter of their own, that of all
    /// orders serves.
    fn most_at_any_price(&self) -> Result<i128> {
        let all = ["LOT_SIZE", "MARKET_LOT_SIZE"].map(|kind| self.of(kind, "maxQty"));
        let most = all.into_iter().flatten().filter(|most| *most > 0).min();
        most.with_context(|| format!("{}: no largest quantity", self.0["symbol"]))
    }
}

fn amount(row: &Value) -> Option<i128> {
    parse(row["positionAmt"].as_str()?)
}

fn only_closes(row: &Value) -> bool {
    row["reduceOnly"] == true || row["closePosition"] == true
}
