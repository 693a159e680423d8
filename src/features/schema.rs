//! The ordered table of features. A place in it never changes its meaning without
//! [`SCHEMA_VERSION`] rising, and the hash of the whole table travels with every model.
//!
//! Notation of the formulas: `close[k]` is the close of the k-th closed bar before the newest one;
//! `sum20`, `mean20` and `sigma20` run over the newest 20 closed bars, sigma is the population
//! standard deviation; `w` is a weight halving with age; a value after "if" is part of the
//! definition.

use xxhash_rust::xxh3::xxh3_64;

/// Rises whenever a definition changes in a way the formula texts do not show.
pub const SCHEMA_VERSION: u32 = 1;

/// How many features there are.
pub const FEATURE_COUNT: usize = SCHEMA.len();

/// What a feature is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Input {
    /// Trades or aggregate trades, whichever kind came first.
    Trades = 1,
    /// The best five levels of the book.
    Top = 2,
    /// The mark price stream.
    Mark = 4,
    /// Open interest.
    OpenInterest = 8,
    /// Settled funding rates.
    Funding = 16,
    /// Forced orders.
    Liquidations = 32,
}

impl Input {
    /// Every input, in bit order.
    pub const ALL: [Input; 6] = [
        Input::Trades,
        Input::Top,
        Input::Mark,
        Input::OpenInterest,
        Input::Funding,
        Input::Liquidations,
    ];

    /// The word used in the table of features.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trades => "trades",
            Self::Top => "top",
            Self::Mark => "mark",
            Self::OpenInterest => "open interest",
            Self::Funding => "funding",
            Self::Liquidations => "liquidations",
        }
    }
}

/// A set of [`Input`]s, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inputs(u8);

impl Inputs {
    /// No input: only the time.
    pub const NONE: Self = Self(0);

    /// The set of one input.
    #[inline]
    pub const fn of(input: Input) -> Self {
        Self(input as u8)
    }

    /// The union.
    #[inline]
    pub const fn with(self, input: Input) -> Self {
        Self(self.0 | input as u8)
    }

    /// True when `input` is in the set.
    #[inline]
    pub const fn has(self, input: Input) -> bool {
        self.0 & input as u8 != 0
    }

    /// True when the sets share an input.
    #[inline]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True for the empty set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// How much a feature must have seen before it is usable. Every input must have come besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WarmUp {
    /// Bar closes at which each of the feature's inputs was known; a trade bar is counted only when
    /// it was seen whole.
    Bars(u16),
    /// Events of the input.
    Events(u16),
    /// Seconds since the input's first event, or since the book last became valid.
    Seconds(u16),
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeatureSpec {
    /// Name, unique.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: &'static str,
    /// Definition, in the notation at the head of this file.
    pub formula: &'static str,
    /// What it is computed from.
    pub inputs: Inputs,
    /// What it must have seen.
    pub warm_up: WarmUp,
}

const TIME: Inputs = Inputs::NONE;
const TRADES: Inputs = Inputs::of(Input::Trades);
const TOP: Inputs = Inputs::of(Input::Top);
const MARK: Inputs = Inputs::of(Input::Mark);
const OPEN: Inputs = Inputs::of(Input::OpenInterest);
const OPEN_TRADES: Inputs = OPEN.with(Input::Trades);
const FUNDING: Inputs = Inputs::of(Input::Funding);
const FORCED: Inputs = Inputs::of(Input::Liquidations).with(Input::Trades);

macro_rules! features {
    ($($feature:ident $name:literal [$unit:literal] $inputs:ident $warm:ident($n:literal)
       = $formula:literal;)*) => {
        /// A feature's place in the schema.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Feature { $(#[doc = concat!("`", $formula, "`")] $feature),* }

        /// The table, in vector order.
        pub const SCHEMA: &[FeatureSpec] = &[$(FeatureSpec {
            name: $name,
            unit: $unit,
            formula: $formula,
            inputs: $inputs,
            warm_up: WarmUp::$warm($n),
        }),*];
    };
}

features! {
    Return1 "return_1" ["fraction"] TRADES Bars(2) = "close[0] / close[1] - 1";
    Return5 "return_5" ["fraction"] TRADES Bars(6) = "close[0] / close[5] - 1";
    Return20 "return_20" ["fraction"] TRADES Bars(21) = "close[0] / close[20] - 1";
    LogReturn1 "log_return_1" ["fraction"] TRADES Bars(2) = "ln(close[0] / close[1])";
    Atr14 "atr_14" ["quote per base"] TRADES Bars(15)
        = "simple mean of the newest 14 true ranges max(high, close[1]) - min(low, close[1])";
    Natr "natr" ["fraction"] TRADES Bars(15) = "atr_14 / close[0]";
    Rsi14 "rsi_14" ["0 to 100"] TRADES Bars(15)
        = "100 * gains / (gains + losses), sums of the newest 14 close changes; 50 if both are 0";
    BbUpper "bb_upper" ["fraction"] TRADES Bars(20)
        = "(mean20(close) + 2 * sigma20(close)) / close[0] - 1";
    BbMiddle "bb_middle" ["fraction"] TRADES Bars(20) = "mean20(close) / close[0] - 1";
    BbLower "bb_lower" ["fraction"] TRADES Bars(20)
        = "(mean20(close) - 2 * sigma20(close)) / close[0] - 1";
    BbWidth "bb_width" ["fraction"] TRADES Bars(20) = "4 * sigma20(close) / mean20(close)";
    BbPosition "bb_position" ["ratio"] TRADES Bars(20)
        = "0.5 + (close[0] - mean20(close)) / (4 * sigma20(close)); 0.5 if sigma is 0";
    PriceToSma20 "price_to_sma20" ["fraction"] TRADES Bars(20) = "close[0] / mean20(close) - 1";
    SmaCross "sma_cross_10_20" ["fraction"] TRADES Bars(20)
        = "mean10(close) / mean20(close) - 1";
    Macd "macd_12_26" ["fraction"] TRADES Bars(78)
        = "(ema12 - ema26) / close[0]; ema_n weighs close[k] by ((n-1)/(n+1))^k over 78 bars";
    StochK14 "stoch_k_14" ["0 to 100"] TRADES Bars(14)
        = "100 * (close[0] - min14(low)) / (max14(high) - min14(low)); 50 if the range is 0";
    RealisedVol20 "realised_vol_20" ["fraction per sqrt(bar)"] TRADES Bars(21)
        = "sqrt(mean of the newest 20 squared log returns)";
    ParkinsonVol20 "parkinson_vol_20" ["fraction per sqrt(bar)"] TRADES Bars(20)
        = "sqrt(mean20(ln(high / low)^2) / (4 ln 2))";
    VolumeRatio "volume_ratio" ["ratio"] TRADES Bars(20)
        = "volume[0] / mean20(volume); 1 if the mean is 0";
    VolumeChange1 "volume_change_1" ["fraction"] TRADES Bars(2)
        = "volume[0] / volume[1] - 1; unusable if volume[1] is 0";
    VolumeZscore "volume_zscore" ["sigma"] TRADES Bars(20)
        = "(volume[0] - mean20(volume)) / sigma20(volume); 0 if sigma is 0";
    VwapDeviation20 "vwap_deviation_20" ["fraction"] TRADES Bars(20)
        = "close[0] * sum20(volume) / sum20(quote volume) - 1; 0 if there was no volume";
    TakerBuyRatio1 "taker_buy_ratio_1" ["0 to 1"] TRADES Bars(1)
        = "taker buy volume[0] / volume[0]; 0.5 if there was no volume";
    TakerBuyRatio20 "taker_buy_ratio_20" ["0 to 1"] TRADES Bars(20)
        = "sum20(taker buy volume) / sum20(volume); 0.5 if there was no volume";
    Cvd20 "cvd_20" ["sigma"] TRADES Bars(20)
        = "sum20(delta) / sqrt(sum20(delta^2)), delta = taker buy - taker sell volume; 0 if all 0";
    TradeSizeRatio "trade_size_ratio" ["ratio"] TRADES Bars(20)
        = "(volume[0] / trades[0]) / (sum20(volume) / sum20(trades)); 1 if there was no trade";
    LargeTradeShare "large_trade_share" ["0 to 1"] TRADES Bars(21)
        = "share of volume[0] in trades above 5 mean sizes of the 20 bars before; 0 if no volume";
    TradeIntensity "trade_intensity" ["trades per second"] TRADES Seconds(20)
        = "ln 2 / h * sum w over trades, half-life h = 1 s";
    TradeImbalance "trade_imbalance" ["-1 to 1"] TRADES Seconds(20)
        = "sum w * signed taker quantity / sum w * quantity, half-life 1 s";
    SecondsSinceTrade "seconds_since_trade" ["seconds"] TRADES Events(1)
        = "now - receipt of the newest trade";
    OiChange1 "oi_change_1" ["fraction"] OPEN Bars(2) = "oi[0] / oi[1] - 1, oi at bar closes";
    OiChange5 "oi_change_5" ["fraction"] OPEN Bars(6) = "oi[0] / oi[5] - 1";
    OiChange20 "oi_change_20" ["fraction"] OPEN Bars(21) = "oi[0] / oi[20] - 1";
    OiVelocity "oi_velocity" ["fraction per bar"] OPEN Bars(13) = "(oi[0] / oi[12] - 1) / 12";
    OiAcceleration "oi_acceleration" ["fraction per bar^2"] OPEN Bars(14)
        = "oi_velocity - oi_velocity one bar earlier";
    OiZscore "oi_zscore" ["sigma"] OPEN Bars(20)
        = "(oi[0] - mean20(oi)) / sigma20(oi); 0 if sigma is 0";
    OiPriceDivergence20 "oi_price_divergence_20" ["fraction"] OPEN_TRADES Bars(21)
        = "oi_change_20 - return_20";
    FundingRate "funding_rate" ["fraction per interval"] MARK Events(1)
        = "predicted funding rate of the newest mark price event";
    FundingChange1 "funding_change_1" ["fraction per interval"] MARK Bars(2)
        = "rate[0] - rate[1], predicted rate at bar closes";
    FundingCumulative8 "funding_cumulative_8" ["fraction"] FUNDING Events(8)
        = "sum of the newest 8 settled funding rates";
    FundingZscore "funding_zscore" ["sigma"] MARK Bars(20)
        = "(rate[0] - mean20(rate)) / sigma20(rate); 0 if sigma is 0";
    MinutesToFunding "minutes_to_funding" ["minutes"] MARK Events(1)
        = "max(0, next funding time - now)";
    BasisBps "basis_bps" ["basis points"] MARK Events(1) = "10000 * (mark / index - 1)";
    SpreadBps "spread_bps" ["basis points"] TOP Events(1)
        = "10000 * (ask - bid) / mid, mid = (bid + ask) / 2";
    MidReturn1s "mid_return_1s" ["fraction"] TOP Seconds(1)
        = "mid / mid at the first 100 ms boundary at or after now - 1 s, - 1";
    MidReturn5s "mid_return_5s" ["fraction"] TOP Seconds(5)
        = "mid / mid at the first 100 ms boundary at or after now - 5 s, - 1";
    MicropriceBps "microprice_bps" ["basis points"] TOP Events(1)
        = "10000 * (microprice / mid - 1), microprice = (bid * ask qty + ask * bid qty) / both";
    Imbalance1 "imbalance_1" ["-1 to 1"] TOP Events(1)
        = "(bid qty - ask qty) / (bid qty + ask qty) at the best level";
    Imbalance5 "imbalance_5" ["-1 to 1"] TOP Events(1)
        = "(bid qty - ask qty) / (bid qty + ask qty) over the best 5 levels";
    Ofi1 "ofi_1" ["mean depths"] TOP Seconds(20)
        = "sum w * e / (sum w * depth / sum w), e of Cont-Kukanov-Stoikov at the best level, \
           depth = (bid qty + ask qty) / 2, half-life 1 s";
    Ofi5 "ofi_5" ["mean depths"] TOP Seconds(20)
        = "as ofi_1 with e and depth summed over the best 5 levels";
    DepthRatio5 "depth_ratio_5" ["0 to 1"] TOP Events(1)
        = "quantity at the best level / quantity over the best 5 levels, both sides together";
    BookSkewBps "book_skew_bps" ["basis points"] TOP Events(1)
        = "10000 * (mean of the farthest bid and ask within 5 levels / mid - 1)";
    MidVolatility "mid_volatility" ["basis points per sqrt(second)"] TOP Seconds(100)
        = "10000 * sqrt(ln 2 / h * sum w * (mid / previous mid - 1)^2), half-life h = 5 s";
    QuoteIntensity "quote_intensity" ["changes per second"] TOP Seconds(20)
        = "ln 2 / h * sum w over changes of the best level, half-life h = 1 s";
    LiquidationPressure "liquidation_pressure" ["mean bar volumes"] FORCED Bars(20)
        = "sum w * signed filled quantity of forced orders / mean20(volume), half-life one bar";
    HourSin "hour_sin" ["-1 to 1"] TIME Events(0) = "sin(2 pi * time of day UTC / 24 h)";
    HourCos "hour_cos" ["-1 to 1"] TIME Events(0) = "cos(2 pi * time of day UTC / 24 h)";
}

/// Each feature's inputs alone, packed for the hot path.
pub(super) const INPUTS: [Inputs; FEATURE_COUNT] = {
    let mut inputs = [Inputs::NONE; FEATURE_COUNT];
    let mut i = 0;
    while i < FEATURE_COUNT {
        inputs[i] = SCHEMA[i].inputs;
        i += 1;
    }
    inputs
};

// A feature's place travels as u16 with u16::MAX for none.
const _: () = assert!(FEATURE_COUNT < u16::MAX as usize);

impl Feature {
    /// As an index into the vector and [`SCHEMA`].
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its line of the table.
    pub const fn spec(self) -> &'static FeatureSpec {
        &SCHEMA[self as usize]
    }
}

/// The place of the feature called `name`; `None` when there is none.
pub fn index_of(name: &str) -> Option<usize> {
    SCHEMA.iter().position(|spec| spec.name == name)
}

/// xxh3 over version, order, names, units and formulas. Two programs with the same hash compute the
/// same vector from the same events and [`crate::base::settings::FeatureSettings`].
pub fn schema_hash() -> u64 {
    let mut text = format!("features {SCHEMA_VERSION}\n");
    for spec in SCHEMA {
        text.push_str(&format!("{}\t{}\t{}\n", spec.name, spec.unit, spec.formula));
    }
    xxh3_64(text.as_bytes())
}
