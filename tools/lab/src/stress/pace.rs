//! How fast a scenario goes: a model on long bars has to live through some of them.
//!
//! ```text
//!  the usual market, until the features are warm ─► the scenario, so many times as slow
//! ```

use super::scenario::{Plan, Scenario};
use peregrine::features::{SCHEMA, WarmUp};
use peregrine::model::Card;

/// Bars that go before a scenario beyond those the features need.
const SPARE_BARS: f64 = 2.0;

/// What of a model says how long a market has to last for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Length of its bars in minutes; 0 where it learned on none.
    pub bar_minutes: f64,
    /// Time until its features are usable, in minutes.
    pub warm_minutes: f64,
}

impl Pace {
    /// That of a model.
    pub fn of(card: &Card) -> Self {
        let bar_minutes = card.bar_interval_ms.map_or(0.0, |ms| f64::from(ms) / 60e3);
        let is_used = |name: &str| card.features.iter().any(|feature| feature == name);
        let minutes = |warm_up: WarmUp| match warm_up {
            WarmUp::Bars(bars) => f64::from(bars) * bar_minutes,
            WarmUp::Seconds(seconds) => f64::from(seconds) / 60.0,
            WarmUp::Events(_) => 0.0,
        };
        let used = SCHEMA.iter().filter(|spec| is_used(spec.name));
        let warm_minutes = used.map(|spec| minutes(spec.warm_up)).fold(0.0, f64::max);
        Self { bar_minutes, warm_minutes }
    }
}

impl Scenario {
    /// The scenario as a model of this pace lives through it: unchanged where it holds enough bars,
    /// else after a time in which its features get warm, and so many times as slow. One with a time
    /// of its own keeps its length and its rate.
    #[must_use]
    pub fn laid_out(&self, plan: &Plan, pace: Pace) -> Self {
        let wanted = f64::from(plan.bars_min) * pace.bar_minutes;
        let mut laid = self.clone();
        if wanted <= self.minutes {
            return laid;
        }
        let lead = (pace.warm_minutes + SPARE_BARS * pace.bar_minutes).ceil();
        laid.lead_minutes = laid.lead_minutes.max(lead);
        laid.lead_frames_per_second = plan.slow_frames_per_second;
        if !self.own_time {
            let times = (wanted / self.minutes).min(plan.slower_times_max);
            laid.go_slower(times);
            laid.frames_per_second =
                (self.frames_per_second / times).max(plan.slow_frames_per_second);
        }
        laid
    }

    fn go_slower(&mut self, times: f64) {
        self.minutes *= times;
        self.hold_s *= times;
        self.funding_every_s = (self.funding_every_s as f64 * times) as i64;
        self.path.iter_mut().for_each(|point| point.0 *= times);
        self.gaps.iter_mut().for_each(|gap| gap.0 *= times);
        for span in &mut self.halts {
            *span = (span.0 * times, span.1 * times);
        }
        for skew in &mut self.mark_skews {
            *skew = (skew.0 * times, skew.1 * times, skew.2);
        }
        for loss in &mut self.losses {
            (loss.from, loss.to) = (loss.from * times, loss.to * times);
        }
    }
}
