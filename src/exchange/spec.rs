//! Facts and starting point of one synthetic contract.

use crate::base::Symbol;
use crate::base::settings::InstrumentSettings;
use crate::base::units::{Money, Px, Qty, Rate};

/// One synthetic contract. Steps and precisions are those of the venue's contract of that name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SymbolSpec {
    /// The venue's symbol, upper case.
    pub symbol: Symbol,
    /// Price step.
    pub tick_size: Px,
    /// Quantity step.
    pub lot_size: Qty,
    /// Decimals of a price in frames (the venue's `pricePrecision`, may exceed the tick's).
    pub price_decimals: u32,
    /// Decimals of a quantity in frames.
    pub qty_decimals: u32,
    /// Price at the start, a multiple of the tick.
    pub start_px: Px,
    /// Usual quantity at the best price.
    pub touch_qty: Qty,
    /// Least order quantity.
    pub min_qty: Qty,
    /// Largest order quantity.
    pub max_qty: Qty,
    /// Least order value.
    pub min_notional: Money,
}

impl SymbolSpec {
    /// BTCUSDT from 60 000.
    pub fn btcusdt() -> Self {
        Self::with_steps("BTCUSDT", "0.10", "0.001", 2, 3).priced(
            "60000",
            "3",
            "1000",
            Money::whole(50),
        )
    }

    /// ETHUSDT from 2 500.
    pub fn ethusdt() -> Self {
        Self::with_steps("ETHUSDT", "0.01", "0.001", 2, 3).priced(
            "2500",
            "40",
            "10000",
            Money::whole(20),
        )
    }

    /// SOLUSDT from 150.
    pub fn solusdt() -> Self {
        Self::with_steps("SOLUSDT", "0.0100", "0.01", 4, 2).priced(
            "150",
            "400",
            "100000",
            Money::whole(5),
        )
    }

    /// The contracts of the demonstration: BTCUSDT and ETHUSDT.
    pub fn default_pair() -> [Self; 2] {
        [Self::btcusdt(), Self::ethusdt()]
    }

    /// A known contract by its symbol; `None` for one without a synthetic twin.
    pub fn by_symbol(symbol: &str) -> Option<Self> {
        [Self::btcusdt(), Self::ethusdt(), Self::solusdt()]
            .into_iter()
            .find(|spec| spec.symbol.as_str() == symbol)
    }

    /// The same facts as trading settings, with the venue's usual fees (maker 2, taker 5 bps).
    pub fn instrument(&self) -> InstrumentSettings {
        InstrumentSettings {
            symbol: self.symbol,
            tick_size: self.tick_size,
            lot_size: self.lot_size,
            min_qty: self.min_qty,
            max_qty: self.max_qty,
            min_notional: self.min_notional,
            maker_fee: Rate(20_000),
            taker_fee: Rate(50_000),
        }
    }

    /// The symbol as stream names spell it.
    pub fn lower(&self) -> String {
        self.symbol.as_str().to_lowercase()
    }

    fn with_steps(symbol: &str, tick: &str, lot: &str, price_dec: u32, qty_dec: u32) -> Self {
        Self {
            symbol: Symbol::new(symbol.as_bytes()).expect("a built-in symbol is valid"),
            tick_size: Px::parse(tick).expect("a built-in tick is a decimal"),
            lot_size: Qty::parse(lot).expect("a built-in lot is a decimal"),
            price_decimals: price_dec,
            qty_decimals: qty_dec,
            start_px: Px::ZERO,
            touch_qty: Qty::ZERO,
            min_qty: Qty::parse(lot).expect("a built-in lot is a decimal"),
            max_qty: Qty::ZERO,
            min_notional: Money::ZERO,
        }
    }

    fn priced(self, start: &str, touch: &str, max: &str, min_notional: Money) -> Self {
        Self {
            start_px: Px::parse(start).expect("a built-in price is a decimal"),
            touch_qty: Qty::parse(touch).expect("a built-in quantity is a decimal"),
            max_qty: Qty::parse(max).expect("a built-in quantity is a decimal"),
            min_notional,
            ..self
        }
    }
}
