//! Closed bars, and the features computed from them when a bar closes.

use super::bars::Bar;
use super::math::ln;
use super::schema::Feature;
use super::vector::FeatureVector;
use super::window::{Window, dot, mean_sigma, sum};
use crate::base::Px;
use crate::base::units::SCALE;
use std::f64::consts::LN_2;

/// Bars the moving averages of the MACD look back: three times the longer one's length, beyond
/// which a weight is below 0.3 %. Being finite, they do not depend on where the history starts.
const MACD_BARS: usize = 78;
/// Longest other window: 20 changes need 21 bars.
const BARS: usize = 21;
/// A trade is large above this many mean sizes.
const LARGE_SIZES: i128 = 5;
/// Bars of the mean size.
const SIZE_BARS: usize = 20;

const WEIGHTS_12: [f64; MACD_BARS] = ema_weights(12.0);
const WEIGHTS_26: [f64; MACD_BARS] = ema_weights(26.0);

/// The trade bars of one instrument.
#[derive(Clone, Debug)]
pub(super) struct BarHistory {
    /// The bar in progress; `None` before the first trade.
    forming: Option<Bar>,
    /// The forming bar was not seen from its start, so it will not count.
    partial: bool,
    close: Window<MACD_BARS>,
    high: Window<BARS>,
    low: Window<BARS>,
    /// Quote per base unit.
    true_range: Window<BARS>,
    /// Squared log returns.
    return_squared: Window<BARS>,
    /// Squared ln(high / low).
    range_squared: Window<BARS>,
    /// Base units.
    volume: Window<BARS>,
    /// Quote units.
    quote: Window<BARS>,
    /// Base units bought by takers.
    buy: Window<BARS>,
    /// Taker buys minus taker sells, base units.
    delta: Window<BARS>,
    count: Window<BARS>,
    /// Share of large trades; `None` while the mean size was not known when the bar opened.
    large_share: Option<f64>,
    sizes: Sizes,
}

impl BarHistory {
    pub(super) fn new() -> Self {
        Self {
            forming: None,
            partial: true,
            close: Window::EMPTY,
            high: Window::EMPTY,
            low: Window::EMPTY,
            true_range: Window::EMPTY,
            return_squared: Window::EMPTY,
            range_squared: Window::EMPTY,
            volume: Window::EMPTY,
            quote: Window::EMPTY,
            buy: Window::EMPTY,
            delta: Window::EMPTY,
            count: Window::EMPTY,
            large_share: None,
            sizes: Sizes::EMPTY,
        }
    }

    /// Adds a trade to the forming bar.
    #[inline]
    pub(super) fn trade(&mut self, px: i64, qty: i64, buy: bool) {
        let large = self.sizes.is_large(qty);
        self.forming.get_or_insert_with(Bar::default).add(px, qty, buy, large);
    }

    /// Closes the forming bar.
    pub(super) fn close_bar(&mut self) {
        let Some(bar) = self.forming else { return };
        self.forming = Some(Bar::flat(bar.close));
        if std::mem::replace(&mut self.partial, false) {
            return;
        }
        let (high, low, close) = (price(bar.high), price(bar.low), price(bar.close));
        if let Some(before) = self.close.back(0) {
            self.true_range.push(high.max(before) - low.min(before));
            let log_return = ln(close / before);
            self.return_squared.push(log_return * log_return);
        }
        let range = ln(high / low);
        self.range_squared.push(range * range);
        self.close.push(close);
        self.high.push(high);
        self.low.push(low);
        let volume = quantity(bar.volume);
        self.volume.push(volume);
        self.quote.push(bar.quote as f64 / (SCALE as f64 * SCALE as f64));
        self.buy.push(quantity(bar.buy));
        self.delta.push(quantity(bar.buy - (bar.volume - bar.buy)));
        self.count.push(bar.count as f64);
        self.large_share =
            self.sizes.mean_known().then(|| ratio_or(quantity(bar.large), volume, 0.0));
        self.sizes.push(bar.volume, bar.count);
    }

    /// Mean volume of the newest 20 bars in base units.
    pub(super) fn mean_volume(&self) -> Option<f64> {
        Some(sum(self.volume.last(20)?) / 20.0)
    }

    /// return_20 in full precision.
    pub(super) fn price_change_20(&self) -> Option<f64> {
        self.close.change(20)
    }

    /// Average true range in price units; `None` before 15 bars.
    pub(super) fn atr(&self) -> Option<Px> {
        let atr = sum(self.true_range.last(14)?) / 14.0 * SCALE as f64;
        (atr.is_finite() && atr < i64::MAX as f64).then_some(Px(atr as i64))
    }

    /// Computes every bar feature of trades.
    pub(super) fn write(&self, out: &mut FeatureVector) {
        self.write_price(out);
        self.write_bands(out);
        self.write_ranges(out);
        self.write_volume(out);
        self.write_taker(out);
    }

    fn write_price(&self, out: &mut FeatureVector) {
        use Feature::*;
        let close = &self.close;
        out.put(Return1, close.change(1));
        out.put(Return5, close.change(5));
        out.put(Return20, close.change(20));
        let ratio = close.back(0).zip(close.back(1)).map(|(c, before)| c / before);
        out.put(LogReturn1, ratio.map(ln));
        out.put(Rsi14, close.last(15).map(rsi));
        let macd = close.last(MACD_BARS).map(|values| {
            (dot(values, &WEIGHTS_12) - dot(values, &WEIGHTS_26)) / values[MACD_BARS - 1]
        });
        out.put(Macd, macd);
        let mean = |squares: &[f64]| sum(squares) / squares.len() as f64;
        out.put(RealisedVol20, self.return_squared.last(20).map(|s| mean(s).sqrt()));
        let parkinson = self.range_squared.last(20).map(|s| (mean(s) / (4.0 * LN_2)).sqrt());
        out.put(ParkinsonVol20, parkinson);
    }

    fn write_bands(&self, out: &mut FeatureVector) {
        use Feature::*;
        let bands = self.close.last(20).map(|values| {
            let (mean, sigma) = mean_sigma(values);
            (values[19], mean, sigma, sum(&values[10..]) / 10.0)
        });
        out.put(BbUpper, bands.map(|(c, mean, sigma, _)| (mean + 2.0 * sigma) / c - 1.0));
        out.put(BbMiddle, bands.map(|(c, mean, _, _)| mean / c - 1.0));
        out.put(BbLower, bands.map(|(c, mean, sigma, _)| (mean - 2.0 * sigma) / c - 1.0));
        out.put(BbWidth, bands.map(|(_, mean, sigma, _)| 4.0 * sigma / mean));
        let position = |(c, mean, sigma, _): (f64, f64, f64, f64)| {
            if sigma == 0.0 { 0.5 } else { 0.5 + (c - mean) / (4.0 * sigma) }
        };
        out.put(BbPosition, bands.map(position));
        out.put(PriceToSma20, bands.map(|(c, mean, _, _)| c / mean - 1.0));
        out.put(SmaCross, bands.map(|(_, mean, _, mean10)| mean10 / mean - 1.0));
    }

    fn write_ranges(&self, out: &mut FeatureVector) {
        use Feature::*;
        let atr = self.true_range.last(14).map(|ranges| sum(ranges) / 14.0);
        out.put(Atr14, atr);
        out.put(Natr, atr.zip(self.close.back(0)).map(|(atr, close)| atr / close));
        let stochastic = self.high.last(14).zip(self.low.last(14)).map(|(highs, lows)| {
            let high = highs.iter().fold(f64::MIN, |a, &b| a.max(b));
            let low = lows.iter().fold(f64::MAX, |a, &b| a.min(b));
            100.0 * ratio_or(self.close.back(0).unwrap_or(f64::NAN) - low, high - low, 0.5)
        });
        out.put(StochK14, stochastic);
    }

    fn write_volume(&self, out: &mut FeatureVector) {
        use Feature::*;
        let volume = &self.volume;
        let newest = volume.back(0);
        let sum20 = volume.last(20).map(sum);
        let ratio = newest.zip(sum20).map(|(v, sum)| ratio_or(v, sum / 20.0, 1.0));
        out.put(VolumeRatio, ratio);
        out.put(VolumeChange1, volume.change(1));
        out.put(VolumeZscore, volume.zscore(20));
        let deviation = sum20.zip(self.quote.last(20).map(sum)).map(|(volume, quote)| {
            ratio_or(self.close.back(0).unwrap_or(f64::NAN) * volume, quote, 1.0) - 1.0
        });
        out.put(VwapDeviation20, deviation);
        let sizes = sum20.zip(self.count.last(20).map(sum)).zip(newest.zip(self.count.back(0)));
        let size_ratio = sizes.map(|((sum_volume, sum_count), (volume, count))| {
            ratio_or(volume * sum_count, count * sum_volume, 1.0)
        });
        out.put(TradeSizeRatio, size_ratio);
        out.put(LargeTradeShare, self.large_share);
    }

    fn write_taker(&self, out: &mut FeatureVector) {
        use Feature::*;
        let newest = self.buy.back(0).zip(self.volume.back(0));
        out.put(TakerBuyRatio1, newest.map(|(buy, volume)| ratio_or(buy, volume, 0.5)));
        let sums = self.buy.last(20).zip(self.volume.last(20));
        let ratio = sums.map(|(buy, volume)| ratio_or(sum(buy), sum(volume), 0.5));
        out.put(TakerBuyRatio20, ratio);
        let cvd = self
            .delta
            .last(20)
            .map(|deltas| ratio_or(sum(deltas), dot(deltas, deltas).sqrt(), 0.0));
        out.put(Cvd20, cvd);
    }
}

/// Integer sums of the newest [`SIZE_BARS`] bars, from which a trade's size is judged.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    bars: [(i128, u64); SIZE_BARS],
    next: usize,
    filled: usize,
    volume: i128,
    count: u64,
}

impl Sizes {
    const EMPTY: Self = Self { bars: [(0, 0); SIZE_BARS], next: 0, filled: 0, volume: 0, count: 0 };

    const fn mean_known(&self) -> bool {
        self.filled == SIZE_BARS
    }

    /// `qty > 5 × volume / count` without the division. Unknown is not large.
    #[inline]
    fn is_large(&self, qty: i64) -> bool {
        self.mean_known()
            && self.count > 0
            && i128::from(qty).saturating_mul(i128::from(self.count))
                > self.volume.saturating_mul(LARGE_SIZES)
    }

    fn push(&mut self, volume: i128, count: u64) {
        let (old_volume, old_count) = self.bars[self.next];
        self.bars[self.next] = (volume, count);
        self.next = (self.next + 1) % SIZE_BARS;
        self.filled = (self.filled + 1).min(SIZE_BARS);
        self.volume = self.volume.saturating_sub(old_volume).saturating_add(volume);
        self.count = self.count - old_count + count;
    }
}

/// Weights of an exponential mean of `n` bars, oldest first, summing to 1.
const fn ema_weights(n: f64) -> [f64; MACD_BARS] {
    let keep = (n - 1.0) / (n + 1.0);
    let mut weights = [0.0; MACD_BARS];
    let (mut weight, mut total, mut i) = (1.0, 0.0, MACD_BARS);
    while i > 0 {
        i -= 1;
        weights[i] = weight;
        total += weight;
        weight *= keep;
    }
    while i < MACD_BARS {
        weights[i] /= total;
        i += 1;
    }
    weights
}

/// Relative strength of the changes between consecutive closes.
fn rsi(closes: &[f64]) -> f64 {
    let (mut gains, mut losses) = (0.0, 0.0);
    for pair in closes.windows(2) {
        let change = pair[1] - pair[0];
        gains += change.max(0.0);
        losses += (-change).max(0.0);
    }
    100.0 * ratio_or(gains, gains + losses, 0.5)
}

/// `above / below`, or `neutral` where nothing is divided by nothing.
fn ratio_or(above: f64, below: f64, neutral: f64) -> f64 {
    if above == 0.0 && below == 0.0 { neutral } else { above / below }
}

fn price(px: i64) -> f64 {
    px as f64 / SCALE as f64
}

fn quantity(qty: i128) -> f64 {
    qty as f64 / SCALE as f64
}
