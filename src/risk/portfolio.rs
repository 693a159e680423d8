//! Which instruments move together.
//!
//! ```text
//!   every bar:  return = (price − last) / last in millionths, of each instrument
//!               Σx, Σx², Σxy over the last n bars: the new ones are added, those of n bars ago go
//!   correlation = (n·Σxy − Σx·Σy) / √((n·Σx² − (Σx)²) · (n·Σy² − (Σy)²))      (Pearson)
//! ```
//! Integers throughout: the sums never drift, and the comparison with the limit is squared instead
//! of rooted. Bars are cut on timers; an order only reads the answer. Either sign counts: two that
//! always part are one bet as well, held the other way round. What is not known — too few bars, a
//! price that did not move, instruments beyond the first 64 — counts as correlated.

use crate::base::limits::CORRELATION_BARS;
use crate::base::settings::PortfolioSettings;
use crate::base::{InstrumentId, Nanos, Px};
use crate::ledger::Ledger;

/// Instruments whose correlations are computed; the rest counts as correlated with all.
const CORRELATED: usize = 64;
/// Returns are cut to ± 50 %, in millionths.
const RETURN_MAX: i64 = 500_000;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(super) struct Portfolio {
    bar: Nanos,
    bars: usize,
    percent: i128,
    ends: Nanos,
    /// Place of the next return in every ring.
    at: usize,
    series: Vec<Series>,
    /// Σxy by pair, see [`pair`].
    products: Vec<i64>,
    /// By instrument, a bit for each that moves with it.
    peers: Vec<u64>,
}

#[derive(Clone, Debug, Default)]
struct Series {
    returns: Vec<i64>,
    /// Bars in a row whose return is known.
    known: usize,
    last: Px,
    sum: i64,
    squares: i64,
}

impl Portfolio {
    /// The only allocations.
    pub(super) fn new(portfolio: &PortfolioSettings, instruments: usize) -> Self {
        let tracked = instruments.min(CORRELATED);
        // Without its settings the gate denies every entry; these only keep the arithmetic whole.
        let (few, many) = CORRELATION_BARS.into_inner();
        let bars = portfolio.correlation_bars.unwrap_or(few).clamp(few, many) as usize;
        let fresh = Series { returns: vec![0; bars], ..Series::default() };
        Self {
            bar: Nanos::from_secs(i64::from(
                portfolio.correlation_bar_s.unwrap_or_default().max(1),
            )),
            bars,
            percent: i128::from(portfolio.correlation_max_percent.unwrap_or_default()),
            ends: Nanos(i64::MIN),
            at: 0,
            series: vec![fresh; tracked],
            products: vec![0; tracked * tracked.saturating_sub(1) / 2],
            peers: vec![u64::MAX; tracked],
        }
    }

    /// True when the two move together, or may.
    pub(super) fn together(&self, one: usize, other: usize) -> bool {
        let (Some(peers), true) = (self.peers.get(one), other < self.peers.len()) else {
            return true;
        };
        peers >> other & 1 == 1
    }

    /// Cuts a bar when one is over: on timers.
    pub(super) fn on_timer(&mut self, now: Nanos, ledger: &Ledger) {
        if now < self.ends {
            return;
        }
        // After a pause nobody knows what the bars in between were.
        let paused = self.ends.0 == i64::MIN || now - self.ends >= self.bar;
        self.ends = now.floor_to(self.bar) + self.bar;
        self.cut(paused, ledger);
        self.compare();
    }

    /// Takes one return of every instrument in, and those of `bars` bars ago out.
    fn cut(&mut self, paused: bool, ledger: &Ledger) {
        let at = self.at;
        self.at = (at + 1) % self.bars;
        let mut fresh = [0_i64; CORRELATED];
        let mut stale = [0_i64; CORRELATED];
        for (i, series) in self.series.iter_mut().enumerate() {
            let id = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
            let position = ledger.position(id);
            let px = position.map_or(Px::ZERO, |p| match p.mark_px.is_positive() {
                true => p.mark_px,
                false => p.mid(),
            });
            let known = !paused && px.is_positive() && series.last.is_positive();
            fresh[i] = if known { change(series.last, px) } else { 0 };
            series.known = if known { series.known + 1 } else { 0 };
            series.last = px;
            stale[i] = std::mem::replace(&mut series.returns[at], fresh[i]);
            series.sum += fresh[i] - stale[i];
            series.squares += fresh[i] * fresh[i] - stale[i] * stale[i];
        }
        for one in 1..self.series.len() {
            for other in 0..one {
                let new = fresh[one] * fresh[other] - stale[one] * stale[other];
                self.products[pair(one, other)] += new;
            }
        }
    }

    /// Compares every pair with the limit.
    fn compare(&mut self) {
        for one in 0..self.series.len() {
            let mut peers = 1_u64 << one;
            for other in 0..self.series.len() {
                if one != other && self.exceeds(one, other) {
                    peers |= 1 << other;
                }
            }
            self.peers[one] = peers;
        }
    }

    /// Correlation beyond the limit, either way, or not known.
    fn exceeds(&self, one: usize, other: usize) -> bool {
        let (x, y) = (&self.series[one], &self.series[other]);
        let count = self.bars as i128;
        let spread = |s: &Series| count * i128::from(s.squares) - i128::from(s.sum).pow(2);
        let (wide, high) = (spread(x), spread(y));
        if x.known < self.bars || y.known < self.bars || wide == 0 || high == 0 {
            return true;
        }
        let product = self.products[pair(one.max(other), one.min(other))];
        let covariance = count * i128::from(product) - i128::from(x.sum) * i128::from(y.sum);
        // 64 bars of half a million squared: a covariance below 2^52, so its square times 10^4 is
        // below 2^118.
        covariance.pow(2) * 10_000 > self.percent.pow(2) * wide * high
    }
}

/// Place of the pair in a triangle, `one` above `other`.
const fn pair(one: usize, other: usize) -> usize {
    one * (one - 1) / 2 + other
}

/// Return in millionths, rounded toward zero.
fn change(from: Px, to: Px) -> i64 {
    let step = (i128::from(to.0) - i128::from(from.0)) * 1_000_000 / i128::from(from.0);
    i64::try_from(step).unwrap_or(RETURN_MAX).clamp(-RETURN_MAX, RETURN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Money;

    const BARS: usize = 32;

    fn portfolio(count: usize, percent: u32) -> Portfolio {
        let settings = PortfolioSettings {
            correlation_max_percent: Some(percent),
            correlation_bar_s: Some(1),
            correlation_bars: Some(BARS as u32),
            ..PortfolioSettings::default()
        };
        Portfolio::new(&settings, count)
    }

    /// Pearson's coefficient by its textbook form: centred, in floating point.
    fn pearson(x: &[f64], y: &[f64]) -> f64 {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let (mx, my) = (mean(x), mean(y));
        let cross: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
        let square = |v: &[f64], m: f64| v.iter().map(|a| (a - m).powi(2)).sum::<f64>();
        cross / (square(x, mx) * square(y, my)).sqrt()
    }

    /// Prices of three instruments: the second follows the first with noise, the third is apart.
    fn prices(bars: usize, noise: i64) -> Vec<[Px; 3]> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as i64 % 2_001 - 1_000
        };
        let mut px = [100_000_000_i64, 100_000_000, 100_000_000];
        let next = |_| {
            let common = step();
            px[0] += common * 100;
            px[1] += common * 100 + step() * noise;
            px[2] += step() * 100;
            px.map(Px)
        };
        (0..bars).map(next).collect()
    }

    /// Holds what is told at each row against the textbook, by returns from one price to another,
    /// but where it is `apart` from the limit by less.
    fn compare(rows: &[[Px; 3]], percent: u32, apart: f64, part: fn(i64, i64) -> f64) {
        let mut portfolio = portfolio(3, percent);
        let mut ledger = Ledger::new(3, Money::ZERO);
        for (second, row) in rows.iter().enumerate() {
            let now = Nanos::from_secs(second as i64);
            for (i, px) in row.iter().enumerate() {
                ledger.on_mark(InstrumentId(i as u16), *px, now);
            }
            portfolio.on_timer(now, &ledger);
            if second < BARS {
                assert!(portfolio.together(0, 2), "not known yet");
                continue;
            }
            let returns = |i: usize| -> Vec<f64> {
                let used = rows[second - BARS..=second].windows(2);
                used.map(|w| part(w[0][i].0, w[1][i].0)).collect()
            };
            for (one, other) in [(0, 1), (0, 2), (1, 2)] {
                let exact = pearson(&returns(one), &returns(other)).abs();
                let limit = f64::from(percent) / 100.0;
                if (exact - limit).abs() > apart {
                    let told = portfolio.together(one, other);
                    assert_eq!(told, exact > limit, "{one} {other} {second}: {exact}");
                    assert_eq!(told, portfolio.together(other, one));
                }
            }
        }
    }

    #[test]
    fn correlations_are_those_of_the_textbook_over_the_newest_bars() {
        for (noise, percent) in [(10, 70), (60, 70), (120, 70), (400, 30), (400, 10)] {
            let part = |from: i64, to: i64| (to - from) as f64 / from as f64;
            compare(&prices(BARS * 4, noise), percent, 1e-3, part);
        }
    }

    #[test]
    fn correlations_of_returns_of_a_few_millionths_are_exact() {
        for (noise, percent) in [(60, 70), (400, 30), (400, 10)] {
            let small = |px: Px| Px(100_000_000 + (px.0 - 100_000_000) / 250);
            let rows: Vec<_> = prices(BARS * 4, noise).iter().map(|row| row.map(small)).collect();
            // Whole millionths, toward zero.
            let part = |from: i64, to: i64| ((to - from) * 1_000_000 / from) as f64;
            compare(&rows, percent, 1e-9, part);
        }
    }

    #[test]
    fn what_is_known_of_one_alone_counts_as_together_until_it_is_known_of_both() {
        let (mut ledger, bars) = (Ledger::new(3, Money::ZERO), BARS as i64);
        let mut portfolio = portfolio(3, 70);
        for second in 0..=3 * bars {
            // The third's first price comes when the others' returns are known.
            let late = (second >= bars).then(|| wave(second, 4));
            let px = [Some(wave(second, 1)), Some(wave(second, 2)), late];
            marked(&mut portfolio, &mut ledger, second, px);
            let both = (portfolio.together(0, 2), portfolio.together(2, 0));
            let unknown = second < 2 * bars;
            assert_eq!(both, (unknown, unknown), "{second}");
        }
    }

    #[test]
    fn what_is_not_known_counts_as_correlated() {
        let mut portfolio = portfolio(70, 70);
        let mut ledger = Ledger::new(70, Money::ZERO);
        let rows = prices(BARS * 2, 400);
        let tell = |portfolio: &mut Portfolio, ledger: &mut Ledger, at: i64, row: &[Px; 3]| {
            let now = Nanos::from_secs(at);
            for (i, px) in row.iter().enumerate() {
                ledger.on_mark(InstrumentId(i as u16), *px, now);
            }
            ledger.on_mark(InstrumentId(3), Px(5), now);
            portfolio.on_timer(now, ledger);
        };
        for (second, row) in rows.iter().enumerate() {
            tell(&mut portfolio, &mut ledger, second as i64, row);
        }
        assert!(!portfolio.together(0, 2), "two random walks are apart");
        assert!(portfolio.together(0, 3), "a price that does not move");
        assert!(portfolio.together(0, 5), "a price that was never told");
        assert!(portfolio.together(0, 66) && portfolio.together(66, 67), "beyond the table");
        // A pause of two bars: the returns across it are no bar's.
        tell(&mut portfolio, &mut ledger, BARS as i64 * 2 + 2, &rows[0]);
        assert!(portfolio.together(0, 2));
    }

    #[test]
    fn what_always_parts_is_together_too() {
        let mut portfolio = portfolio(2, 70);
        let mut ledger = Ledger::new(2, Money::ZERO);
        for (second, row) in prices(BARS * 2, 0).iter().enumerate() {
            let now = Nanos::from_secs(second as i64);
            ledger.on_mark(InstrumentId(0), row[0], now);
            ledger.on_mark(InstrumentId(1), Px(200_000_000 - row[0].0), now);
            portfolio.on_timer(now, &ledger);
        }
        assert!(portfolio.together(0, 1));
    }

    fn marked(portfolio: &mut Portfolio, ledger: &mut Ledger, second: i64, px: [Option<i64>; 3]) {
        let now = Nanos::from_secs(1_000 + second);
        for (id, px) in (0..).zip(px) {
            if let Some(px) = px {
                ledger.on_mark(InstrumentId(id), Px(px), now);
            }
        }
        portfolio.on_timer(now, ledger);
    }

    /// A price that goes up and down: the first and the second way are apart from each other.
    fn wave(second: i64, way: i64) -> i64 {
        1_000_000 + 1_000 * (second / way % 2)
    }

    #[test]
    fn what_is_not_known_of_either_counts_as_together_from_both_sides() {
        let mut ledger = Ledger::new(3, Money::ZERO);
        let mut portfolio = portfolio(3, 70);
        // The third has no price at first, and then one that stands.
        for second in 0..=BARS as i64 {
            let px = [Some(wave(second, 1)), Some(wave(second, 2)), None];
            marked(&mut portfolio, &mut ledger, second, px);
        }
        assert!(!portfolio.together(0, 1) && !portfolio.together(1, 0));
        assert!(portfolio.together(0, 2) && portfolio.together(2, 0));
        assert!(portfolio.together(0, 3) && portfolio.together(3, 0), "there is no fourth");
        for second in 0..3 * BARS as i64 {
            let second = second + 1 + BARS as i64;
            let px = [Some(wave(second, 1)), Some(wave(second, 2)), Some(5_000_000)];
            marked(&mut portfolio, &mut ledger, second, px);
        }
        assert!(portfolio.together(0, 2) && portfolio.together(2, 0));
        assert!(!portfolio.together(0, 1) && !portfolio.together(1, 0));
    }

    #[test]
    fn a_timer_that_comes_a_bar_late_leaves_a_bar_that_nobody_knows() {
        for (late, known) in [(Nanos::from_secs(1) - Nanos(1), true), (Nanos::from_secs(1), false)]
        {
            let mut ledger = Ledger::new(3, Money::ZERO);
            let mut portfolio = portfolio(3, 70);
            for second in 0..=BARS as i64 {
                let px = [Some(wave(second, 1)), Some(wave(second, 2)), None];
                marked(&mut portfolio, &mut ledger, second, px);
            }
            portfolio.on_timer(portfolio.ends + late, &ledger);
            assert_eq!(portfolio.together(0, 1), !known, "{late:?}");
        }
    }

    #[test]
    fn returns_are_in_millionths_toward_zero_and_cut_at_a_half() {
        let change = |from, to| change(Px(from), Px(to));
        assert_eq!((change(3, 4), change(4, 3), change(3, 2)), (333_333, -250_000, -333_333));
        assert_eq!((change(2, 3), change(2, 4), change(3, 1)), (500_000, 500_000, -500_000));
        assert_eq!(change(1_000_000, 1_000_001), 1);
        // 7 of 17 are 0.411 764 7…
        assert_eq!((change(17, 24), change(17, 10)), (411_764, -411_764));
    }
}
