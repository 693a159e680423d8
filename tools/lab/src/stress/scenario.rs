//! The scenarios as a file describes them, and the markets they are.

use anyhow::{Context, Result, bail, ensure};
use peregrine::base::Nanos;
use peregrine::base::units::{Px, Qty};
use peregrine::exchange::tape::frames::Stream;
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::runtime::scripted::{Act, Arrival, Deed, START, Scripted};
use serde::{Deserialize, Serialize};
use std::path::Path;
use toml::Table;

/// Grid on which a path moves the price.
const PATH_STEP: Nanos = Nanos::from_millis(100);
/// Longest market of a scenario, minutes.
const MINUTES_MAX: f64 = 1_440.0;
/// Longest time before it, minutes.
const LEAD_MAX: f64 = 525_600.0;

/// A file of scenarios.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seed of every scenario's market.
    pub seed: u64,
    /// Bars of the model that a scenario lasts at least: one that is too short goes slower.
    #[serde(default = "usual_bars")]
    pub bars_min: u32,
    /// At most so many times as slow.
    #[serde(default = "usual_slowness")]
    pub slower_times_max: f64,
    /// Frames a second of a market that goes slower, at least.
    #[serde(default = "slow_rate")]
    pub slow_frames_per_second: f64,
    /// What happens, one after the other.
    pub scenario: Vec<Scenario>,
}

/// A market that goes where it seldom goes, and what it does to the trader.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name in reports and gates.
    pub name: String,
    /// What it stands for, in words.
    pub what: String,
    /// Length in minutes of market time.
    pub minutes: f64,
    /// Minutes of the usual market that go before it.
    #[serde(default)]
    pub lead_minutes: f64,
    /// Frames a second of what goes before.
    #[serde(default = "usual_rate")]
    pub lead_frames_per_second: f64,
    /// Whether it keeps its length and rate, however long the model's bars are.
    #[serde(default)]
    pub own_time: bool,
    /// Frames a second, over all contracts.
    #[serde(default = "usual_rate")]
    pub frames_per_second: f64,
    /// The price step, and with it the spread, so many times as wide.
    #[serde(default = "one")]
    pub spread_times: i64,
    /// Quantities at the best prices.
    #[serde(default = "unit")]
    pub depth_times: f64,
    /// Every move so many times as large: the average true range with it.
    #[serde(default = "unit")]
    pub volatility_times: f64,
    /// Orders and their reports take so many times as long.
    #[serde(default = "one")]
    pub latency_times: i64,
    /// Fees so many times as high.
    #[serde(default = "one")]
    pub fee_times: i64,
    /// Added to the funding rate, as a fraction.
    #[serde(default)]
    pub funding_rate: f64,
    /// Time between settlements of funding in seconds; the contract's own with 0.
    #[serde(default)]
    pub funding_every_s: i64,
    /// Times in which the mark price lies off the index: from minute, to minute, by this fraction.
    #[serde(default)]
    pub mark_skews: Vec<(f64, f64, f64)>,
    /// Copies of every frame that arrive.
    #[serde(default = "one_copy")]
    pub copies: u32,
    /// The price over time: minute, and change against the start as a fraction.
    #[serde(default)]
    pub path: Vec<(f64, f64)>,
    /// Jumps: minute and basis points.
    #[serde(default)]
    pub gaps: Vec<(f64, i64)>,
    /// Times in which trading stands still: from minute, to minute.
    #[serde(default)]
    pub halts: Vec<(f64, f64)>,
    /// Frames that do not arrive.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// Positions may be held for so many seconds; as the configuration says with 0.
    #[serde(default)]
    pub hold_s: f64,
    /// Once the equity has fallen by more than this, in quote currency, entries must have been
    /// stopped. 0 asks for nothing.
    #[serde(default)]
    pub stop_at_loss: f64,
    /// Values of the trader's configuration, by section.
    #[serde(default)]
    pub config: Table,
}

/// Frames of a time that do not arrive.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Of these streams; of every one where the list is empty.
    #[serde(default)]
    pub streams: Vec<String>,
    /// From this minute on.
    pub from: f64,
    /// Up to this minute.
    pub to: f64,
}

const fn one() -> i64 {
    1
}
const fn one_copy() -> u32 {
    1
}
const fn unit() -> f64 {
    1.0
}
const fn usual_bars() -> u32 {
    80
}
const fn usual_slowness() -> f64 {
    20.0
}
const fn slow_rate() -> f64 {
    60.0
}
const fn usual_rate() -> f64 {
    peregrine::exchange::flow::market::FRAMES_PER_SECOND
}

impl Plan {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The key at fault, or the scenario that cannot be.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads and checks a text.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str) -> Result<Self> {
        let plan: Self = toml::from_str(text)?;
        ensure!(!plan.scenario.is_empty(), "[[scenario]]: there is none");
        let mut faults = plan.faults();
        for (index, scenario) in plan.scenario.iter().enumerate() {
            faults.extend(scenario.faults());
            if plan.scenario[..index].iter().any(|other| other.name == scenario.name) {
                faults.push(format!("{}: the name is used twice", scenario.name));
            }
        }
        if !faults.is_empty() {
            bail!("{}", faults.join("\n"));
        }
        Ok(plan)
    }

    fn faults(&self) -> Vec<String> {
        let keys = [
            (self.bars_min <= 10_000, "bars_min: 0 to 10000"),
            ((1.0..=1_000.0).contains(&self.slower_times_max), "slower_times_max: 1 to 1000"),
            (
                (50.0..=20_000.0).contains(&self.slow_frames_per_second),
                "slow_frames_per_second: 50 to 20000",
            ),
        ];
        keys.into_iter().filter(|key| !key.0).map(|key| key.1.to_owned()).collect()
    }
}

impl Scenario {
    fn faults(&self) -> Vec<String> {
        let within = |value: f64, range: std::ops::RangeInclusive<f64>| range.contains(&value);
        let is_time = |minute: f64| within(minute, 0.0..=self.minutes);
        let mut faults = Vec::new();
        let mut check = |is_right: bool, what: &str| {
            if !is_right {
                faults.push(format!("{}: {what}", self.name));
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        check(!self.name.is_empty() && self.name.chars().all(plain), "name: letters, digits, -");
        check(within(self.minutes, 0.1..=MINUTES_MAX), "minutes: 0.1 to 1440");
        check(within(self.lead_minutes, 0.0..=LEAD_MAX), "lead_minutes: 0 to 525600");
        let rate = self.lead_frames_per_second;
        check(within(rate, 50.0..=20_000.0), "lead_frames_per_second: 50 to 20000");
        check(within(self.hold_s, 0.0..=86_400.0), "hold_s: 0 to 86400");
        check(within(self.stop_at_loss, 0.0..=1e9), "stop_at_loss: 0 to 1000000000");
        check(within(self.frames_per_second, 50.0..=20_000.0), "frames_per_second: 50 to 20000");
        check((1..=1_000).contains(&self.spread_times), "spread_times: 1 to 1000");
        check(within(self.depth_times, 0.001..=100.0), "depth_times: 0.001 to 100");
        check(within(self.volatility_times, 0.0..=20.0), "volatility_times: 0 to 20");
        check((1..=1_000).contains(&self.latency_times), "latency_times: 1 to 1000");
        check((1..=100).contains(&self.fee_times), "fee_times: 1 to 100");
        check(within(self.funding_rate, -0.1..=0.1), "funding_rate: -0.1 to 0.1");
        check((0..=86_400).contains(&self.funding_every_s), "funding_every_s: 0 to 86400");
        let is_skew = |skew: &(f64, f64, f64)| within(skew.2, -0.5..=0.5);
        check(self.mark_skews.iter().all(is_skew), "mark_skews: by -0.5 to 0.5");
        check((1..=5).contains(&self.copies), "copies: 1 to 5");
        let is_path = self.path.windows(2).all(|pair| pair[0].0 < pair[1].0)
            && self.path.iter().all(|point| is_time(point.0) && within(point.1, -0.99..=10.0));
        check(is_path, "path: minutes that rise within the scenario, changes from -0.99 to 10");
        check(self.gaps.iter().all(|gap| is_time(gap.0)), "gaps: within the scenario");
        check(self.gaps.iter().all(|gap| gap.1.abs() <= 9_000), "gaps: -9000 to 9000 bps");
        let spans = self.halts.iter().copied();
        let losses = self.losses.iter().map(|loss| (loss.from, loss.to));
        let skews = self.mark_skews.iter().map(|skew| (skew.0, skew.1));
        let is_span = |span: (f64, f64)| is_time(span.0) && is_time(span.1) && span.0 < span.1;
        let is_within = spans.chain(losses).chain(skews).all(is_span);
        check(is_within, "halts, losses, mark_skews: from before to, within the scenario");
        for name in self.losses.iter().flat_map(|loss| &loss.streams) {
            check(stream(name).is_some(), &format!("losses: no stream is named {name}"));
        }
        let is_section = |value: &toml::Value| value.is_table();
        check(self.config.values().all(is_section), "config: sections only, as [risk]");
        faults
    }

    /// The contract with this scenario's steps and quantities.
    pub fn contract(&self, mut spec: SymbolSpec) -> SymbolSpec {
        let down = |px: Px, step: Px| Px(px.0 - px.0 % step.0);
        spec.tick_size = Px(spec.tick_size.0 * self.spread_times);
        spec.start_px = down(spec.start_px, spec.tick_size);
        spec.max_px = down(spec.max_px, spec.tick_size);
        let lots = (spec.touch_qty.0 / spec.lot_size.0) as f64 * self.depth_times;
        spec.touch_qty = Qty(spec.lot_size.0 * (lots.round() as i64).max(1));
        if self.funding_every_s > 0 {
            spec.funding_every = Nanos::from_secs(self.funding_every_s);
        }
        spec
    }

    /// Its market over these contracts.
    pub fn market(&self, seed: u64, specs: &[SymbolSpec]) -> Scripted {
        let has_lead = self.lead_minutes > 0.0;
        let rate = if has_lead { self.lead_frames_per_second } else { self.frames_per_second };
        let market = SyntheticMarket::with_rate(seed, specs, START, rate);
        Scripted::new(market, self.at(self.minutes))
            .with_acts(self.acts())
            .with_arrivals(self.arrivals())
    }

    fn acts(&self) -> Vec<Act> {
        let act = |at, deed| Act { at, contract: None, deed };
        let mut acts = vec![
            act(self.begin(), Deed::Volatility(self.volatility_times)),
            act(self.begin(), Deed::FundingSkew(self.funding_rate)),
        ];
        if self.lead_minutes > 0.0 {
            acts.push(act(self.begin(), Deed::Rate(self.frames_per_second)));
        }
        acts.extend(self.gaps.iter().map(|&(minute, bps)| act(self.at(minute), Deed::Gap { bps })));
        for &(from, to) in &self.halts {
            acts.push(act(self.at(from), Deed::Halt(true)));
            acts.push(act(self.at(to), Deed::Halt(false)));
        }
        for &(from, to, skew) in &self.mark_skews {
            acts.push(act(self.at(from), Deed::MarkSkew(skew)));
            acts.push(act(self.at(to), Deed::MarkSkew(0.0)));
        }
        acts.extend(self.steps().into_iter().map(|(at, bps)| act(at, Deed::Gap { bps })));
        acts
    }

    /// The path as jumps of whole basis points on a grid, straight in the logarithm between points.
    fn steps(&self) -> Vec<(Nanos, i64)> {
        let mut points = vec![(0.0, 0.0)];
        points.extend(self.path.iter().copied().filter(|point| point.0 > 0.0));
        let (mut steps, mut reached) = (Vec::new(), 1.0_f64);
        for pair in points.windows(2) {
            let (from, to) = (self.at(pair[0].0), self.at(pair[1].0));
            let (begin, end) = ((1.0 + pair[0].1).ln(), (1.0 + pair[1].1).ln());
            let mut time = from;
            while time < to {
                time = (time + PATH_STEP).min(to);
                let part = (time - from).0 as f64 / (to - from).0 as f64;
                let goal = (begin + (end - begin) * part).exp();
                let bps = ((goal / reached - 1.0) * 1e4).round() as i64;
                if bps != 0 {
                    steps.push((time, bps));
                    reached *= 1.0 + bps as f64 / 1e4;
                }
            }
        }
        steps
    }

    fn arrivals(&self) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for loss in &self.losses {
            let lost = |stream| Arrival {
                from: self.at(loss.from),
                to: self.at(loss.to),
                stream,
                copies: 0,
            };
            match loss.streams.as_slice() {
                [] => arrivals.push(lost(None)),
                names => arrivals.extend(names.iter().map(|name| lost(stream(name)))),
            }
        }
        if self.copies != 1 {
            let (from, to) = (self.begin(), self.at(self.minutes));
            arrivals.push(Arrival { from, to, stream: None, copies: self.copies });
        }
        arrivals
    }

    /// Event time at which it begins.
    pub fn begin(&self) -> Nanos {
        self.at(0.0)
    }

    /// The event time of a minute of it.
    fn at(&self, minute: f64) -> Nanos {
        START + minutes(self.lead_minutes) + minutes(minute)
    }
}

fn minutes(count: f64) -> Nanos {
    Nanos((count * 60e9) as i64)
}

/// A stream by its name in stream addresses.
fn stream(name: &str) -> Option<Stream> {
    let is_it = |stream: &Stream| {
        let suffix = stream.suffix().trim_start_matches('@');
        suffix.split('@').next() == Some(name)
    };
    Stream::ALL.into_iter().find(is_it)
}
