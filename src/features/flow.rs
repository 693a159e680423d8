//! Trades and liquidations as they come, each sum fading with a half-life.

use super::math::{decay, per_half_life};
use super::schema::Feature;
use super::vector::FeatureVector;
use crate::base::{Kind, Nanos};
use std::f64::consts::LN_2;

const HALF_LIFE_NS: i64 = 1_000_000_000;
const PER_HALF_LIFE: f64 = per_half_life(HALF_LIFE_NS);
/// Twenty half-lives: what came before the first event weighs less than a millionth.
const WARM_UP: Nanos = Nanos(20 * HALF_LIFE_NS);

/// Trades of the one kind this instrument is fed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct TradeFlow {
    /// The kind seen first; the other would count every trade twice.
    source: Option<Kind>,
    /// Receipt of the first and the newest trade.
    first: Nanos,
    newest: Option<Nanos>,
    /// Fading sums as of `newest`: trades, quantity, signed quantity (1e-8).
    count: f64,
    volume: f64,
    signed: f64,
}

impl TradeFlow {
    pub(super) const EMPTY: Self = Self {
        source: None,
        first: Nanos::ZERO,
        newest: None,
        count: 0.0,
        volume: 0.0,
        signed: 0.0,
    };

    /// True when trades of this kind count.
    #[inline]
    pub(super) fn accepts(&mut self, kind: Kind) -> bool {
        *self.source.get_or_insert(kind) == kind
    }

    #[inline]
    pub(super) fn take(&mut self, qty: i64, buy: bool, now: Nanos) {
        match self.newest {
            None => self.first = now,
            Some(before) => {
                let fade = decay((now - before).0, PER_HALF_LIFE);
                self.count *= fade;
                self.volume *= fade;
                self.signed *= fade;
            }
        }
        self.newest = Some(now);
        let qty = qty as f64;
        self.count += 1.0;
        self.volume += qty;
        self.signed += if buy { qty } else { -qty };
    }

    /// Receipt of the newest trade.
    #[inline]
    pub(super) fn received(&self) -> Option<Nanos> {
        self.newest
    }

    #[inline]
    pub(super) fn write(&self, now: Nanos, out: &mut FeatureVector) {
        let Some(newest) = self.newest else { return };
        let age = now - newest;
        let warm = now - self.first >= WARM_UP;
        let per_second = LN_2 * 1e9 / HALF_LIFE_NS as f64;
        let count = self.count * decay(age.0, PER_HALF_LIFE);
        out.put(Feature::TradeIntensity, warm.then_some(count * per_second));
        out.put(Feature::TradeImbalance, warm.then(|| self.signed / self.volume));
        out.put(Feature::SecondsSinceTrade, Some(age.0.max(0) as f64 / 1e9));
    }
}

/// Forced orders, signed by the side of the forced order.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiquidationFlow {
    per_half_life: f64,
    newest: Option<Nanos>,
    /// Fading sum of signed base units as of `newest`.
    signed: f64,
}

impl LiquidationFlow {
    /// The half-life is one bar.
    pub(super) fn new(bar_ns: i64) -> Self {
        Self { per_half_life: per_half_life(bar_ns), newest: None, signed: 0.0 }
    }

    pub(super) fn take(&mut self, signed_qty: f64, now: Nanos) {
        self.signed = self.at(now) + signed_qty;
        self.newest = Some(now);
    }

    /// Receipt of the newest forced order.
    #[inline]
    pub(super) fn received(&self) -> Option<Nanos> {
        self.newest
    }

    #[inline]
    pub(super) fn write(&self, mean_volume: Option<f64>, now: Nanos, out: &mut FeatureVector) {
        let pressure = mean_volume.map(|volume| self.at(now) / volume);
        out.put(Feature::LiquidationPressure, pressure);
    }

    #[inline]
    fn at(&self, now: Nanos) -> f64 {
        match self.newest {
            Some(newest) => self.signed * decay((now - newest).0, self.per_half_life),
            None => 0.0,
        }
    }
}
