//! Evidence that one model's scores are better than another's, which may be looked at after every
//! prediction: Choe and Ramdas, "Comparing Sequential Forecasters" (arXiv 2110.00115).
//!
//! ```text
//! predictions    │ slot 0 │ slot 1 │ slot 2 │ slot 3 │ …     a slot's differences become one mean
//! sub-streams         0        1        0        1           slot mod lags: labels of one
//!                                                            sub-stream never overlap
//! ```
//! Each sub-stream has an e-process: a bet that never wins in the mean while the challenger is no
//! better on average. By Ville's inequality one over its highest point is a p-value at any time.
//! Sub-streams depend on each other, so these are merged by their harmonic mean, times e·ln(lags)
//! (Vovk and Wang 2020, arXiv 1212.4966): valid whatever the dependence.
//!
//! A bet has to survive the worst outcome. How much can be lost by a prediction is known before its
//! outcome, so there are bets of several sizes; one that a prediction could ruin ends before it.

use super::mixture::GammaExponential;
use super::scores::Paired;

/// Bets of so many sizes, each larger than the one before by the third root of two.
const SIZES: usize = 22;
/// The smallest, in parts of the span: it survives anything.
const SMALLEST: f64 = 0.25;
/// Logarithm of what a bet counts for at most.
const LN_MAX: f64 = 600.0;
/// What a bet may lose at most by one slot, as a part of what it has come to.
const LOSS_MAX: f64 = 0.95;
/// Sub-streams at most.
pub const LAGS_MAX: u32 = 1_024;

/// How a comparison is made; fixed before it begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Design {
    /// Length of a slot, nanoseconds, above 0.
    pub slot_ns: i64,
    /// Sub-streams: 1 to [`LAGS_MAX`].
    pub lags: u32,
    /// Largest difference of two scores.
    pub span: f64,
    /// Sum of a sub-stream's variance at which the evidence is sharpest, in squares of the span.
    pub variance_tuned: f64,
    /// Level that this is sharpest for, and of the confidence sequence: above 0, below a half.
    pub alpha: f64,
}

impl Design {
    /// As many sub-streams as keep labels of `reach_ns` apart within each: the horizon, and what is
    /// kept free after it.
    pub fn lags_of(reach_ns: i64, slot_ns: i64) -> i64 {
        // The last prediction of a slot and the first of the slot `lags` later are lags − 1 apart.
        (reach_ns + slot_ns - 1) / slot_ns + 1
    }
}

/// One bet size within one sub-stream.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bet {
    /// Logarithm of what it has come to.
    ln: f64,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct SubStream {
    count: u64,
    sum: f64,
    /// Sum of squares around the mean that was known before.
    variance: f64,
    bets: [Bet; SIZES],
    e: f64,
    e_max: f64,
}

/// A slot that is being filled.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Slot {
    index: i64,
    count: u64,
    gain: f64,
    stake: f64,
}

/// The evidence that gains are above nought on average. Memory is bounded by `lags`.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    design: Design,
    bounds: GammaExponential,
    streams: Vec<SubStream>,
    /// Sum of the sub-streams' highest points.
    highest: f64,
    open: Option<Slot>,
    late: u64,
}

impl Evidence {
    /// Nothing seen yet.
    pub fn new(design: Design) -> Self {
        assert!((1..=LAGS_MAX).contains(&design.lags) && design.slot_ns > 0);
        let Design { span, variance_tuned, alpha, .. } = design;
        // A step down from a predicted mean, both within the span.
        let bounds = GammaExponential::new(2.0 * span, variance_tuned * span * span, alpha);
        let bets = [Bet { ln: 0.0, ended: false }; SIZES];
        let (count, sum, variance) = (0, 0.0, 0.0);
        let stream = SubStream { count, sum, variance, bets, e: 1.0, e_max: 1.0 };
        let (streams, highest) = (vec![stream; design.lags as usize], f64::from(design.lags));
        Self { design, bounds, streams, highest, open: None, late: 0 }
    }

    /// Takes a scored prediction in, made at `ts_ns`. In the order of that time; one of a slot that
    /// was closed before is counted as late and not used.
    pub fn push(&mut self, ts_ns: i64, paired: Paired) {
        let index = ts_ns.div_euclid(self.design.slot_ns);
        match &mut self.open {
            Some(slot) if slot.index == index => {
                slot.count += 1;
                slot.gain += paired.gain;
                slot.stake += paired.stake;
            }
            Some(slot) if index < slot.index => self.late += 1,
            _ => {
                self.close();
                let Paired { gain, stake, .. } = paired;
                self.open = Some(Slot { index, count: 1, gain, stake });
            }
        }
    }

    /// Ends the slot that is being filled; what comes into it later is late.
    pub fn close(&mut self) {
        let Some(slot) = self.open.take() else { return };
        let count = slot.count as f64;
        let lags = i64::from(self.design.lags);
        let at = slot.index.rem_euclid(lags) as usize;
        let stream = &mut self.streams[at];
        let before = stream.e_max;
        stream.push(slot.gain / count, slot.stake / count, self.design.span);
        self.highest += stream.e_max - before;
    }

    /// One over the p-value that holds at any time: 20 or more happens by chance with at most 5 %,
    /// however often one looks. Never falls. 0 while nothing speaks for it.
    pub fn strength(&self) -> f64 {
        self.highest / self.streams.len() as f64 / merge_factor(self.design.lags)
    }

    /// The mean of the sub-streams' e-processes as they stand.
    pub fn e_mean(&self) -> f64 {
        let standing = self.streams.iter().map(|stream| stream.e);
        standing.sum::<f64>() / self.streams.len() as f64
    }

    /// Slots closed so far.
    pub fn slots(&self) -> u64 {
        self.streams.iter().map(|stream| stream.count).sum()
    }

    /// Predictions that came after their slot was closed.
    pub fn late(&self) -> u64 {
        self.late
    }

    /// The mean gain per slot; `None` before the first.
    pub fn mean(&self) -> Option<f64> {
        let slots = self.slots();
        let sum: f64 = self.streams.iter().map(|stream| stream.sum).sum();
        (slots > 0).then(|| sum / slots as f64)
    }

    /// What the mean gain is above, at any time, with probability 1 − alpha; `None` before the
    /// first slot. Each sub-stream has its share of alpha.
    pub fn lower_bound(&self) -> Option<f64> {
        let share = self.design.alpha / f64::from(self.design.lags);
        let radius = |stream: &SubStream| match stream.count {
            0 => 0.0,
            _ => self.bounds.boundary(stream.variance, share),
        };
        let radii: f64 = self.streams.iter().map(radius).sum();
        let slots = self.slots() as f64;
        self.mean().map(|mean| (mean - radii / slots).max(-self.design.span))
    }
}

impl SubStream {
    fn push(&mut self, gain: f64, stake: f64, span: f64) {
        // What the mean was before this outcome: it was known when the prediction was made.
        let predicted = if self.count == 0 { 0.0 } else { self.sum / self.count as f64 };
        self.variance += (gain - predicted) * (gain - predicted);
        self.count += 1;
        self.sum += gain;
        let mut total = 0.0;
        for (size, bet) in self.bets.iter_mut().enumerate() {
            let per_score = SMALLEST * (size as f64 / 3.0).exp2() / span;
            bet.ended |= per_score * stake > LOSS_MAX;
            if !bet.ended {
                bet.ln += (per_score * gain).ln_1p();
            }
            total += bet.ln.min(LN_MAX).exp() / SIZES as f64;
        }
        self.e = total;
        self.e_max = self.e_max.max(total);
    }
}

/// What the harmonic mean of `k` p-values is multiplied by to be one, whatever their dependence.
pub fn merge_factor(k: u32) -> f64 {
    let k = f64::from(k);
    if k < 3.0 { k } else { std::f64::consts::E * k.ln() }
}
