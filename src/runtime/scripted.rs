//! A synthetic market that a list of deeds drives to where a market seldom goes, and what of it
//! arrives.
//!
//! ```text
//!  deeds, by time ─► market ─► frame ─► lost, once, or several times
//! ```

use crate::base::settings::InstrumentSettings;
use crate::base::time::Nanos;
use crate::exchange::tape::frames::Stream;
use crate::exchange::{MarketFrame, SymbolSpec, SyntheticMarket};
use anyhow::{Context, Result};

/// A synthetic market begins at this time in every run, so that equal seeds give equal bytes.
pub const START: Nanos = Nanos::from_secs(1_700_000_000);

/// What is done to a contract, or to all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deed {
    /// The price is elsewhere at once: what stands between is taken.
    Gap {
        /// Basis points, below zero for a fall.
        bps: i64,
    },
    /// Trading stops, or goes on.
    Halt(bool),
    /// The mark price lies off the index by this fraction.
    MarkSkew(f64),
    /// This is added to the funding rate.
    FundingSkew(f64),
    /// Every move of every contract is so many times as large.
    Volatility(f64),
    /// So many frames a second over all contracts on average.
    Rate(f64),
}

/// A deed and its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Act {
    /// Event time from which on it holds.
    pub at: Nanos,
    /// The contract it is done to; all of them with `None`.
    pub contract: Option<usize>,
    /// What is done.
    pub deed: Deed,
}

/// How often frames of a time arrive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// From this time on.
    pub from: Nanos,
    /// Up to this time.
    pub to: Nanos,
    /// Of this stream; of every stream with `None`.
    pub stream: Option<Stream>,
    /// How often: 0 is lost.
    pub copies: u32,
}

impl Arrival {
    fn holds_for(&self, frame: &MarketFrame<'_>) -> bool {
        (self.from..self.to).contains(&frame.ts)
            && self.stream.is_none_or(|stream| stream == frame.kind)
    }
}

/// The market with what is done to it.
#[derive(Clone, Debug)]
pub struct Scripted {
    market: SyntheticMarket,
    end: Nanos,
    /// By time, the next one last.
    acts: Vec<Act>,
    arrivals: Vec<Arrival>,
}

impl Scripted {
    /// The market of a seed as it runs by itself for a length of time.
    ///
    /// # Errors
    /// Names a contract that is not simulated.
    pub fn by_itself(instruments: &[InstrumentSettings], seed: u64, length: Nanos) -> Result<Self> {
        let specs = instruments
            .iter()
            .map(|facts| {
                SymbolSpec::by_symbol(facts.symbol.as_str())
                    .with_context(|| format!("{} is not simulated", facts.symbol))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self::new(SyntheticMarket::new(seed, &specs, START), START + length))
    }

    /// A market that runs by itself until `end`.
    pub const fn new(market: SyntheticMarket, end: Nanos) -> Self {
        Self { market, end, acts: Vec::new(), arrivals: Vec::new() }
    }

    /// With these acts, in any order; of one time, they are done as listed.
    #[must_use]
    pub fn with_acts(mut self, mut acts: Vec<Act>) -> Self {
        acts.sort_by_key(|act| act.at);
        acts.reverse();
        self.acts = acts;
        self
    }

    /// With these arrivals; of several that hold for a frame the first one counts.
    #[must_use]
    pub fn with_arrivals(mut self, arrivals: Vec<Arrival>) -> Self {
        self.arrivals = arrivals;
        self
    }

    /// The market as it is now.
    pub const fn market(&self) -> &SyntheticMarket {
        &self.market
    }

    /// The next frame and how often it arrives; `None` when the time is over.
    pub fn step(&mut self) -> Option<(u32, MarketFrame<'_>)> {
        if self.market.peek() >= self.end {
            return None;
        }
        while let Some(act) = self.acts.pop_if(|act| act.at <= self.market.now()) {
            act.on(&mut self.market);
        }
        let frame = self.market.step();
        let arrival = self.arrivals.iter().find(|arrival| arrival.holds_for(&frame));
        Some((arrival.map_or(1, |arrival| arrival.copies), frame))
    }
}

impl Act {
    fn on(&self, market: &mut SyntheticMarket) {
        let all = 0..market.len();
        let which = self.contract.map_or(all, |index| index..index + 1);
        let now = market.now();
        for index in which {
            match self.deed {
                Deed::Gap { bps } => market.gap(now, index, bps),
                Deed::Halt(is_halted) => market.at_mut(index).halted = is_halted,
                Deed::MarkSkew(fraction) => market.at_mut(index).mark_skew = fraction,
                Deed::FundingSkew(rate) => market.at_mut(index).funding_skew = rate,
                Deed::Volatility(times) => market.set_volatility(times),
                Deed::Rate(frames_per_second) => market.set_rate(frames_per_second),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::units::Px;

    fn scripted(seconds: i64) -> Scripted {
        let market = SyntheticMarket::new(5, &SymbolSpec::default_pair(), START);
        Scripted::new(market, START + Nanos::from_secs(seconds))
    }

    fn at(seconds: i64) -> Nanos {
        START + Nanos::from_secs(seconds)
    }

    /// How often each frame of each stream arrived, and the last prices.
    fn run(mut scripted: Scripted) -> ([u32; Stream::ALL.len()], [Px; 2]) {
        let mut counts = [0; Stream::ALL.len()];
        while let Some((copies, frame)) = scripted.step() {
            counts[frame.kind as usize] += copies;
        }
        (counts, [scripted.market().last_px(0), scripted.market().last_px(1)])
    }

    #[test]
    fn deeds_move_the_contract_they_are_meant_for_by_what_they_say() {
        let (_, usual) = run(scripted(20));
        let fall = Act { at: at(10), contract: Some(0), deed: Deed::Gap { bps: -1_000 } };
        let gap = Act { at: at(5), contract: Some(1), deed: Deed::Gap { bps: 500 } };
        let (_, driven) = run(scripted(20).with_acts(vec![fall, gap]));
        let change = |i: usize| driven[i].0 as f64 / usual[i].0 as f64 - 1.0;
        assert!((change(0) + 0.10).abs() < 0.01, "{}", change(0));
        assert!((change(1) - 0.05).abs() < 0.01, "{}", change(1));
    }

    #[test]
    fn a_frame_is_lost_or_doubled_only_where_and_when_it_is_said() {
        let (usual, _) = run(scripted(20));
        let lost = Arrival { from: at(0), to: at(10), stream: Some(Stream::MarkPrice), copies: 0 };
        let twice = Arrival { from: at(0), to: at(20), stream: Some(Stream::Depth), copies: 2 };
        let (driven, _) = run(scripted(20).with_arrivals(vec![lost, twice]));
        for stream in Stream::ALL {
            let index = stream as usize;
            let expected = match stream {
                // One a second of each contract; that of the tenth second arrives.
                Stream::MarkPrice => usual[index] - 2 * 9,
                Stream::Depth => 2 * usual[index],
                _ => usual[index],
            };
            assert_eq!(driven[index], expected, "{stream:?}");
        }
    }

    #[test]
    fn the_rate_of_frames_changes_when_it_is_said() {
        let rate = |seconds: i64, frames_per_second: f64| Act {
            at: at(seconds),
            contract: None,
            deed: Deed::Rate(frames_per_second),
        };
        // Frames of the first half minute and of the second; busy times have twice as many.
        let halves = |first: f64, second: f64| {
            let acts = vec![rate(0, first), rate(30, second)];
            let (mut scripted, mut counts) = (scripted(60).with_acts(acts), [0_u32; 2]);
            while let Some((_, frame)) = scripted.step() {
                counts[usize::from(frame.ts >= at(30))] += 1;
            }
            counts
        };
        let ([slow, then_fast], [fast, then_slow]) = (halves(100.0, 3e3), halves(3e3, 100.0));
        assert!(then_fast > 4 * slow, "{slow} and then {then_fast}");
        assert!(fast > 4 * then_slow, "{fast} and then {then_slow}");
    }

    #[test]
    fn a_market_three_times_as_volatile_moves_three_times_as_far() {
        let spread_of = |times: f64| {
            let calm = Act { at: START, contract: None, deed: Deed::Volatility(times) };
            let mut scripted = scripted(120).with_acts(vec![calm]);
            let (mut moves, mut last) = (Vec::new(), None);
            while scripted.step().is_some() {
                let px = scripted.market().at(0).latent.value;
                moves.push(px - last.unwrap_or(px));
                last = Some(px);
            }
            moves.iter().map(|change| change * change).sum::<f64>().sqrt()
        };
        let ratio = spread_of(3.0) / spread_of(1.0);
        assert!((2.9..3.1).contains(&ratio), "{ratio}");
    }
}
