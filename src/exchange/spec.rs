//! Facts and starting point of one synthetic contract.

use crate::base::settings::InstrumentSettings;
use crate::base::units::{Money, Px, Qty, Rate};
use crate::base::{Nanos, Symbol};

/// One step of a contract's leverage brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bracket {
    /// Largest initial leverage for positions of this size.
    pub leverage: u32,
    /// Position value it begins above, whole USDT.
    pub floor: i64,
    /// Position value it ends at, whole USDT.
    pub cap: i64,
    /// Maintenance margin rate.
    pub maint_rate: Rate,
    /// What is taken off value × rate, so that steps join: the sum over lower brackets.
    pub cum: Money,
}

/// Brackets of a large contract. `cum` is floor × (rate − rate below) summed up.
const BRACKETS: [Bracket; 6] = brackets([
    (125, 50_000, 400_000),
    (100, 500_000, 500_000),
    (50, 8_000_000, 1_000_000),
    (20, 50_000_000, 2_500_000),
    (10, 80_000_000, 5_000_000),
    (5, 200_000_000, 10_000_000),
]);

/// From (leverage, cap, maintenance rate in 1e-8).
const fn brackets(rows: [(u32, i64, i64); 6]) -> [Bracket; 6] {
    let zero = Bracket { leverage: 0, floor: 0, cap: 0, maint_rate: Rate(0), cum: Money(0) };
    let mut out = [zero; 6];
    let mut i = 0;
    while i < rows.len() {
        let (leverage, cap, rate) = rows[i];
        let (floor, below) = if i == 0 { (0, zero) } else { (rows[i - 1].1, out[i - 1]) };
        let step = if i == 0 { 0 } else { rate - below.maint_rate.0 };
        let cum = Money(below.cum.0 + floor * step);
        out[i] = Bracket { leverage, floor, cap, maint_rate: Rate(rate), cum };
        i += 1;
    }
    out
}

/// One synthetic contract. Steps and precisions are those of the venue's contract of that name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SymbolSpec {
    /// The venue's symbol, upper case.
    pub symbol: Symbol,
    /// Price step.
    pub tick_size: Px,
    /// Quantity step.
    pub lot_size: Qty,
    /// Prices of orders are multiples of this many steps; 1 unless the venue coarsened its grid.
    pub tick_times: i64,
    /// Quantities of orders likewise.
    pub lot_times: i64,
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
    /// Largest quantity of a market order.
    pub market_max_qty: Qty,
    /// Least price of an order.
    pub min_px: Px,
    /// Largest price of an order.
    pub max_px: Px,
    /// Buy prices may reach mark price × this.
    pub multiplier_up: Rate,
    /// Sell prices may reach mark price × this.
    pub multiplier_down: Rate,
    /// Open orders one account may have.
    pub orders_max: u32,
    /// Time between funding settlements.
    pub funding_every: Nanos,
    /// Fee of the order that rested.
    pub maker_fee: Rate,
    /// Fee of the order that took.
    pub taker_fee: Rate,
    /// Fee on a liquidation, paid to the insurance fund.
    pub liquidation_fee: Rate,
    /// When it was listed.
    pub onboarded: Nanos,
    /// The venue's word for what sort of contract it is.
    pub sort: &'static str,
    /// The venue's word for what its coin is.
    pub coin_sort: &'static str,
    /// Coins there are.
    pub circulating: Qty,
    /// Leverage brackets, smallest positions first.
    pub brackets: &'static [Bracket],
}

impl SymbolSpec {
    /// BTCUSDT from 60 000.
    pub fn btcusdt() -> Self {
        let spec = Self::with_steps("BTCUSDT", "0.10", "0.001", 2, 3);
        Self {
            onboarded: Nanos::from_millis(1_567_965_300_000),
            coin_sort: "PoW",
            circulating: Qty::whole(19_900_000),
            min_notional: Money::whole(50),
            ..spec.priced("60000", "556.80", "4529764").sized("3", "1000", "120")
        }
    }

    /// ETHUSDT from 2 500.
    pub fn ethusdt() -> Self {
        let spec = Self::with_steps("ETHUSDT", "0.01", "0.001", 2, 3);
        Self {
            onboarded: Nanos::from_millis(1_574_840_700_000),
            coin_sort: "Layer-1",
            circulating: Qty::whole(120_700_000),
            min_notional: Money::whole(20),
            ..spec.priced("2500", "39.86", "306177").sized("40", "10000", "2000")
        }
    }

    /// SOLUSDT from 150.
    pub fn solusdt() -> Self {
        let spec = Self::with_steps("SOLUSDT", "0.0100", "0.01", 4, 2);
        Self {
            onboarded: Nanos::from_millis(1_600_066_800_000),
            coin_sort: "Layer-1",
            circulating: Qty::whole(535_000_000),
            min_notional: Money::whole(5),
            ..spec.priced("150", "0.4200", "6857").sized("400", "1000000", "80000")
        }
    }

    /// BNBUSDT from 700.
    pub fn bnbusdt() -> Self {
        let spec = Self::with_steps("BNBUSDT", "0.010", "0.01", 3, 2);
        Self {
            onboarded: Nanos::from_millis(1_581_321_600_000),
            coin_sort: "Layer-1",
            circulating: Qty::whole(139_000_000),
            min_notional: Money::whole(5),
            ..spec.priced("700", "6.600", "100000").sized("60", "100000", "2000")
        }
    }

    /// XRPUSDT from 2.2.
    pub fn xrpusdt() -> Self {
        let spec = Self::with_steps("XRPUSDT", "0.0001", "0.1", 4, 1);
        Self {
            onboarded: Nanos::from_millis(1_578_298_800_000),
            coin_sort: "Payment",
            circulating: Qty::whole(59_500_000_000),
            min_notional: Money::whole(5),
            ..spec.priced("2.2", "0.0143", "100000").sized("20000", "10000000", "2000000")
        }
    }

    /// DOGEUSDT from 0.2.
    pub fn dogeusdt() -> Self {
        let spec = Self::with_steps("DOGEUSDT", "0.000010", "1", 6, 0);
        Self {
            onboarded: Nanos::from_millis(1_594_371_600_000),
            coin_sort: "Meme",
            circulating: Qty::whole(15_000_000_000),
            min_notional: Money::whole(5),
            multiplier_up: Rate(110_000_000),
            multiplier_down: Rate(90_000_000),
            ..spec.priced("0.2", "0.002440", "30").sized("150000", "300000000", "30000000")
        }
    }

    /// LINKUSDT from 15.
    pub fn linkusdt() -> Self {
        let spec = Self::with_steps("LINKUSDT", "0.001", "0.01", 3, 2);
        Self {
            onboarded: Nanos::from_millis(1_579_248_000_000),
            coin_sort: "Infrastructure",
            circulating: Qty::whole(680_000_000),
            min_notional: Money::whole(20),
            multiplier_up: Rate(110_000_000),
            multiplier_down: Rate(90_000_000),
            ..spec.priced("15", "0.001", "100000").sized("1500", "200000", "50000")
        }
    }

    /// Every contract with a synthetic market, largest first.
    pub fn all() -> [Self; 7] {
        [
            Self::btcusdt(),
            Self::ethusdt(),
            Self::solusdt(),
            Self::bnbusdt(),
            Self::xrpusdt(),
            Self::dogeusdt(),
            Self::linkusdt(),
        ]
    }

    /// The contracts of the demonstration: BTCUSDT and ETHUSDT.
    pub fn default_pair() -> [Self; 2] {
        [Self::btcusdt(), Self::ethusdt()]
    }

    /// A made-up contract, SIM0001USDT to SIM9999USDT, with the facts of one of [`Self::all`] in
    /// turn: for markets of more contracts than those. `None` beyond these numbers.
    pub fn made_up(number: u16) -> Option<Self> {
        let all = Self::all();
        let twin = all[usize::from(number) % all.len()];
        let symbol = Symbol::new(format!("SIM{number:04}USDT").as_bytes())?;
        (1..=9_999).contains(&number).then_some(Self { symbol, ..twin })
    }

    /// A known contract, or a made-up one, by its symbol; `None` for one without a synthetic twin.
    pub fn by_symbol(symbol: &str) -> Option<Self> {
        let number = symbol.strip_prefix("SIM").and_then(|rest| rest.strip_suffix("USDT"));
        match number {
            Some(number) => Self::made_up(number.parse().ok()?),
            None => Self::all().into_iter().find(|spec| spec.symbol.as_str() == symbol),
        }
        .filter(|spec| spec.symbol.as_str() == symbol)
    }

    /// The same facts as trading settings, with the venue's usual fees (maker 2, taker 5 bps).
    pub fn instrument(&self) -> InstrumentSettings {
        InstrumentSettings {
            symbol: self.symbol,
            tick_size: self.tick_size,
            lot_size: self.lot_size,
            min_qty: self.min_qty,
            max_qty: self.max_qty.min(self.market_max_qty),
            min_notional: self.min_notional,
            maker_fee: self.maker_fee,
            taker_fee: self.taker_fee,
        }
    }

    /// The price step of orders.
    pub const fn order_tick(&self) -> Px {
        Px(self.tick_size.0 * self.tick_times)
    }

    /// The quantity step of orders.
    pub const fn order_lot(&self) -> Qty {
        Qty(self.lot_size.0 * self.lot_times)
    }

    /// The first funding settlement after `now`.
    pub fn next_funding(&self, now: Nanos) -> Nanos {
        now.floor_to(self.funding_every) + self.funding_every
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
            tick_times: 1,
            lot_times: 1,
            price_decimals: price_dec,
            qty_decimals: qty_dec,
            start_px: Px::ZERO,
            touch_qty: Qty::ZERO,
            min_qty: Qty::parse(lot).expect("a built-in lot is a decimal"),
            max_qty: Qty::ZERO,
            min_notional: Money::ZERO,
            market_max_qty: Qty::ZERO,
            min_px: Px::ZERO,
            max_px: Px::ZERO,
            multiplier_up: Rate(105_000_000),
            multiplier_down: Rate(95_000_000),
            orders_max: 200,
            funding_every: Nanos::from_secs(8 * 3_600),
            maker_fee: Rate(20_000),
            taker_fee: Rate(50_000),
            liquidation_fee: Rate(1_250_000),
            onboarded: Nanos::ZERO,
            sort: "PERPETUAL",
            coin_sort: "",
            circulating: Qty::ZERO,
            brackets: &BRACKETS,
        }
    }

    fn priced(self, start: &str, min: &str, max: &str) -> Self {
        let px = |text: &str| Px::parse(text).expect("a built-in price is a decimal");
        Self { start_px: px(start), min_px: px(min), max_px: px(max), ..self }
    }

    fn sized(self, touch: &str, max: &str, market_max: &str) -> Self {
        let qty = |text: &str| Qty::parse(text).expect("a built-in quantity is a decimal");
        let (touch_qty, max_qty) = (qty(touch), qty(max));
        Self { touch_qty, max_qty, market_max_qty: qty(market_max), ..self }
    }
}
