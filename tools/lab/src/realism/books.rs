//! A session's profit as whole numbers of 1e-16 quote currency, the product of a price and a
//! quantity, so that nothing is rounded before the end.
//!
//! ```text
//!   a fill is worth    side·qty·(last − px)     last: the price everything is valued at in the end
//!   profit           = Σ worth − Σ fees + Σ funding
//! ```
//! Summed over a position that is the same as money paid and got, with what is held at `last`.

use super::recorded::Fill;
use anyhow::Result;
use peregrine::base::event::{BookTicker, MarkPrice, OrderReport, Trade};
use peregrine::base::{Kind, Money};
use peregrine::journal::LaneReader;
use std::collections::BTreeMap;
use std::path::Path;

/// 1e-8 of quote currency in the units of this file.
pub const MONEY: i128 = 100_000_000;

/// Prices by which everything is valued in the end, by place in the instrument table: the last
/// mark, else the last trade, else the middle of the last quote.
///
/// # Errors
/// Damage of lane 0.
pub fn last_prices(dir: &Path, instruments: usize) -> Result<Vec<i64>> {
    let mut found = vec![[0_i64; 3]; instruments];
    for item in LaneReader::open(dir, 0)? {
        let event = item?.1;
        let Some(prices) = found.get_mut(usize::from(event.instrument)) else { continue };
        match event.kind() {
            Some(Kind::MarkPrice) if event.body::<MarkPrice>().mark_px > 0 => {
                prices[0] = event.body::<MarkPrice>().mark_px;
            }
            Some(Kind::Trade | Kind::AggTrade) => prices[1] = event.body::<Trade>().px,
            Some(Kind::BookTicker) => {
                let quote: &BookTicker = event.body();
                prices[2] = quote.bid_px + (quote.ask_px - quote.bid_px) / 2;
            }
            _ => {}
        }
    }
    let first = |prices: &[i64; 3]| prices.iter().copied().find(|px| *px > 0).unwrap_or(0);
    Ok(found.iter().map(first).collect())
}

/// What became of one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderLine {
    /// Place in the instrument table.
    pub instrument: u16,
    /// Its fills, in order.
    pub fills: Vec<Fill>,
    /// The venue refused it.
    pub is_refused: bool,
}

/// See the head of this file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// By our id.
    pub orders: BTreeMap<u64, OrderLine>,
    /// Funding received by instrument.
    pub funding: BTreeMap<u16, i128>,
}

impl Books {
    /// A fill.
    pub fn fill(&mut self, fill: Fill) {
        let line = self.line(fill.client_id, fill.instrument);
        line.fills.push(fill);
    }

    /// An order that the venue refused.
    pub fn refuse(&mut self, instrument: u16, report: &OrderReport) {
        self.line(report.client_id, instrument).is_refused = true;
    }

    /// Funding of 1e-8.
    pub fn pay(&mut self, instrument: u16, amount: i64) {
        *self.funding.entry(instrument).or_default() += i128::from(amount) * MONEY;
    }

    fn line(&mut self, client_id: u64, instrument: u16) -> &mut OrderLine {
        let line = self.orders.entry(client_id).or_default();
        line.instrument = instrument;
        line
    }

    /// Profit of an instrument, everything valued at `last`.
    pub fn profit(&self, instrument: u16, last: i64) -> i128 {
        let own = self.orders.values().filter(|line| line.instrument == instrument);
        let fills = own.flat_map(|line| &line.fills);
        let earned: i128 = fills.map(|fill| worth(fill, fill.qty, last) - fee(fill)).sum();
        earned + self.funding.get(&instrument).copied().unwrap_or(0)
    }
}

/// What `qty` of a fill is worth at `last`.
pub fn worth(fill: &Fill, qty: i64, last: i64) -> i128 {
    i128::from(fill.sign) * i128::from(qty) * i128::from(last - fill.px)
}

/// The fee of a fill.
pub fn fee(fill: &Fill) -> i128 {
    i128::from(fill.fee) * MONEY
}

/// The nearest amount below, and what is left of it: 0 to 1e-8.
pub fn money(value: i128) -> (Money, i128) {
    let whole = i64::try_from(value.div_euclid(MONEY)).unwrap_or(i64::MAX);
    (Money(whole), value.rem_euclid(MONEY))
}
