//! The forming 1-minute candle of one contract.

use super::frames::{Json, Print};
use crate::base::units::SCALE;
use crate::base::{Nanos, Side};
use crate::exchange::spec::SymbolSpec;

/// Length of a candle.
pub const CANDLE: Nanos = Nanos::from_secs(60);

/// A candle: prices in ticks, volumes in lots, values in 1e-8 quote units.
#[derive(Clone, Debug, Default)]
pub struct Candle {
    open_at: Nanos,
    first_id: i64,
    last_id: i64,
    open: i64,
    close: i64,
    high: i64,
    low: i64,
    lots: i64,
    value: i128,
    taker_lots: i64,
    taker_value: i128,
    trades: i64,
}

impl Candle {
    /// An empty candle that holds `now`.
    pub fn at(now: Nanos) -> Self {
        Self { open_at: now.floor_to(CANDLE), ..Self::default() }
    }

    /// True when there is something to show.
    pub const fn has_trades(&self) -> bool {
        self.trades > 0
    }

    /// When the next candle begins.
    pub fn ends(&self) -> Nanos {
        self.open_at + CANDLE
    }

    /// Takes in one trade.
    pub fn add(&mut self, spec: &SymbolSpec, id: i64, print: Print) {
        if self.trades == 0 {
            (self.first_id, self.open) = (id, print.tick);
            (self.high, self.low) = (print.tick, print.tick);
        }
        let units = i128::from(print.tick * spec.tick_size.0);
        let value = units * i128::from(print.lots * spec.lot_size.0) / i128::from(SCALE);
        self.last_id = id;
        self.close = print.tick;
        self.high = self.high.max(print.tick);
        self.low = self.low.min(print.tick);
        self.lots += print.lots;
        self.value += value;
        self.trades += 1;
        if print.taker == Side::Buy {
            self.taker_lots += print.lots;
            self.taker_value += value;
        }
    }

    /// `kline` payload.
    pub fn write(&self, json: &mut Json<'_>, spec: &SymbolSpec, ts: Nanos, closed: bool) {
        let symbol = spec.symbol.as_str();
        let decimals = (spec.price_decimals + spec.qty_decimals).min(8);
        let value = |v: i128| i64::try_from(v).unwrap_or(i64::MAX);
        json.raw("{\"e\":\"kline\",\"E\":").millis(ts).raw(",\"s\":\"").raw(symbol);
        json.raw("\",\"k\":{\"t\":").millis(self.open_at);
        json.raw(",\"T\":").int(self.ends().to_millis() - 1);
        json.raw(",\"s\":\"").raw(symbol).raw("\",\"i\":\"1m\",\"f\":").int(self.first_id);
        json.raw(",\"L\":").int(self.last_id).raw(",\"o\":").px(spec, self.open);
        json.raw(",\"c\":").px(spec, self.close).raw(",\"h\":").px(spec, self.high);
        json.raw(",\"l\":").px(spec, self.low).raw(",\"v\":").qty(spec, self.lots);
        json.raw(",\"n\":").int(self.trades);
        json.raw(",\"x\":").raw(if closed { "true" } else { "false" });
        json.raw(",\"q\":").fixed(value(self.value), decimals);
        json.raw(",\"V\":").qty(spec, self.taker_lots);
        json.raw(",\"Q\":").fixed(value(self.taker_value), decimals).raw(",\"B\":\"0\"}}");
    }
}
