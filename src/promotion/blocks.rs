//! What the canary's blocks of time brought against the champion's, looked at whenever one likes.
//!
//! The two arms are draws of a coin that nobody can influence, so their means may be compared. Each
//! has a confidence sequence of its own, of half the level: the normal mixture with the variance
//! seen so far (Waudby-Smith and others 2021, arXiv 2103.06476), which holds
//! for blocks of any distribution once there are some.

use super::assign::{Arm, Assigned};
use super::mixture::normal_half_width;

/// Mean and variance of the blocks of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Blocks {
    count: u64,
    mean: f64,
    squares: f64,
}

impl Blocks {
    fn push(&mut self, value: f64) {
        self.count += 1;
        let apart = value - self.mean;
        self.mean += apart / self.count as f64;
        self.squares += apart * (value - self.mean);
    }

    /// Half the width at level `alpha`, tightest around `tuned` blocks.
    fn half_width(&self, alpha: f64, tuned: f64) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let deviation = (self.squares / (self.count - 1) as f64).sqrt();
        let twice = -2.0 * alpha.ln();
        let rho = tuned / (twice + (1.0 + twice).ln());
        Some(deviation * normal_half_width(self.count as f64, 1.0, rho, alpha))
    }
}

/// A block that is being filled.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Open {
    block: i64,
    arm: Arm,
    net: f64,
}

/// The comparison. Memory is constant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwitchBack {
    champion: Blocks,
    canary: Blocks,
    open: Option<Open>,
}

impl SwitchBack {
    /// Takes in what was earned, net of costs and as a fraction of the equity, in the order of
    /// time. What falls into a carry-over part is not counted.
    pub fn push(&mut self, assigned: Assigned, net: f64) {
        if self.open.is_some_and(|open| open.block != assigned.block) {
            self.close();
        }
        let Assigned { block, arm, carry_over } = assigned;
        let open = self.open.get_or_insert(Open { block, arm, net: 0.0 });
        if !carry_over {
            open.net += net;
        }
    }

    /// Ends the block that is being filled.
    pub fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        match open.arm {
            Arm::Champion => self.champion.push(open.net),
            Arm::Canary => self.canary.push(open.net),
        }
    }

    /// Closed blocks of the champion and of the canary.
    pub fn counts(&self) -> (u64, u64) {
        (self.champion.count, self.canary.count)
    }

    /// Mean of the canary's blocks less that of the champion's; `None` before each has one.
    pub fn difference(&self) -> Option<f64> {
        let both = self.champion.count > 0 && self.canary.count > 0;
        both.then_some(self.canary.mean - self.champion.mean)
    }

    /// What that difference is above with probability 1 − `alpha`, whenever looked at; tightest
    /// around `tuned` blocks of an arm. `None` before each arm has two.
    pub fn lower_bound(&self, alpha: f64, tuned: f64) -> Option<f64> {
        // Two-sided sequences of level alpha for each of two one-sided statements of alpha / 2.
        let radius = self.champion.half_width(alpha, tuned)?;
        Some(self.difference()? - radius - self.canary.half_width(alpha, tuned)?)
    }
}
