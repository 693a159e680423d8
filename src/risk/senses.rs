//! What the gate remembers of each instrument beside the books: what its model says, what its fills
//! cost, what was decided last.

use super::checks::cut;
use super::limits::Limits;
use super::throttle::Entries;
use crate::base::event::{OrderReport, Prediction};
use crate::base::units::notional;
use crate::base::{Event, Money, Nanos, Px, Qty, Reason, Side};
use crate::ledger::Position;

/// Decisions in a minute below which their share of late ones says nothing.
const LATE_DECISIONS_MIN: u32 = 100;

/// See the head of this file; one per instrument.
#[derive(Clone, Debug)]
pub(super) struct Sense {
    model: ModelSense,
    /// What our fills cost more than the mark price, and what they were worth at it.
    slipped: i128,
    filled: i128,
    /// The one in basis points of the other.
    slippage_bps: i64,
    /// Place in the river of the decision that led to the last entry.
    pub(super) decided: Option<u64>,
    pub(super) entries: Entries,
}

/// What a model said lately.
#[derive(Clone, Copy, Debug, Default)]
struct ModelSense {
    /// Bits of the last answer.
    last: [u32; 3],
    /// The same answer so many times in a row.
    identical: u32,
    /// Answers of the window under way, and those to each side.
    answers: u32,
    up: u32,
    down: u32,
    /// The last full window was one-sided.
    one_sided: bool,
}

impl Sense {
    pub(super) fn new() -> Self {
        Self {
            model: ModelSense::default(),
            slipped: 0,
            filled: 0,
            slippage_bps: 0,
            decided: None,
            entries: Entries::new(),
        }
    }

    /// Judges a model's answer; `None` when it may lead to a decision without more. An answer that
    /// is no distribution is no decision; the others are, and make it reduce.
    pub(super) fn on_answer(&mut self, answer: &Prediction, limits: &Limits) -> Option<Reason> {
        let probability = answer.probability;
        let within = probability.iter().all(|p| (0.0..=1.0).contains(p));
        if !within || (probability.iter().sum::<f32>() - 1.0).abs() > 1e-3 {
            return Some(Reason::ModelOutput);
        }
        let model = &mut self.model;
        let bits = probability.map(f32::to_bits);
        model.identical = if bits == model.last { model.identical.saturating_add(1) } else { 1 };
        model.last = bits;
        model.answers += 1;
        model.up += u32::from(probability[2] > probability[0]);
        model.down += u32::from(probability[0] > probability[2]);
        if model.answers >= limits.one_sided_window {
            let most = u64::from(model.up.max(model.down)) * 100;
            let allowed = u64::from(model.answers) * u64::from(limits.one_sided_percent);
            model.one_sided = most > allowed;
            (model.answers, model.up, model.down) = (0, 0, 0);
        }
        self.suspicion(limits)
    }

    /// Why the model cannot be believed at the moment.
    pub(super) fn suspicion(&self, limits: &Limits) -> Option<Reason> {
        if self.model.identical >= limits.identical_predictions {
            Some(Reason::ModelConstant)
        } else if self.model.one_sided {
            Some(Reason::ModelOneSided)
        } else {
            None
        }
    }

    /// A fill of ours, compared with the mark price of its moment, or the mid without one.
    pub(super) fn on_fill(&mut self, event: &Event, position: &Position) {
        let body: &OrderReport = event.body();
        let mark = if position.mark_px.is_positive() { position.mark_px } else { position.mid() };
        let qty = Qty(body.last_qty);
        let paid = notional(qty, Px(body.last_px)).unwrap_or(Money::ZERO);
        let worth = notional(qty, mark).unwrap_or(Money::ZERO);
        if !worth.is_positive() {
            return;
        }
        let more = i128::from(paid.0) - i128::from(worth.0);
        self.slipped += if event.side() == Side::Buy { more } else { -more };
        self.filled += i128::from(worth.0);
        let up = if self.slipped.is_positive() { self.filled - 1 } else { 0 };
        self.slippage_bps = cut((self.slipped * 10_000 + up) / self.filled);
    }

    /// What our fills of the session cost more than the mark price, in basis points rounded up;
    /// zero and below where they were as good or better.
    pub(super) const fn slippage_bps(&self) -> i64 {
        self.slippage_bps
    }
}

/// How long an event was on its way, by the venue's clock and ours; zero where it cannot be told.
pub(super) fn lag(event: &Event) -> Nanos {
    let told = Nanos(event.ts_venue);
    if told > Nanos::ZERO { (event.now() - told).max(Nanos::ZERO) } else { Nanos::ZERO }
}

/// RC-17 over a minute: how many decisions were late.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lateness {
    since: Nanos,
    decisions: u32,
    late: u32,
}

impl Lateness {
    pub(super) const fn new() -> Self {
        Self { since: Nanos(i64::MIN), decisions: 0, late: 0 }
    }

    /// Counts a decision; true when too many of the minute are late.
    pub(super) fn on_decision(&mut self, now: Nanos, late: bool, percent: u32) -> bool {
        if now - self.since >= super::throttle::MINUTE {
            *self = Self { since: now, decisions: 0, late: 0 };
        }
        self.decisions = self.decisions.saturating_add(1);
        self.late = self.late.saturating_add(u32::from(late));
        let share = u64::from(self.late) * 100 > u64::from(self.decisions) * u64::from(percent);
        share && self.decisions >= LATE_DECISIONS_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{InstrumentId, Kind};

    const BTC: InstrumentId = InstrumentId(0);

    fn limits(window: u32, percent: u32) -> Limits {
        let mut settings = crate::risk::tests::generous();
        settings.model_one_sided_window = Some(window);
        settings.model_one_sided_percent_max = Some(percent);
        Limits::new(&settings).unwrap()
    }

    fn answer(sense: &mut Sense, probability: [f32; 3], limits: &Limits) -> Option<Reason> {
        sense.on_answer(&Prediction { probability, ..Prediction::default() }, limits)
    }

    #[test]
    fn what_is_no_distribution_is_no_answer() {
        let limits = limits(1_000, 100);
        let mut sense = Sense::new();
        for (probability, told) in [
            ([0.2, 0.3, 0.5], None),
            // Rounding within a thousandth.
            ([0.2, 0.3, 0.5005], None),
            ([0.2, 0.3, 0.4995], None),
            ([0.2, 0.3, 0.502], Some(Reason::ModelOutput)),
            ([0.2, 0.3, 0.498], Some(Reason::ModelOutput)),
            ([-0.1, 0.6, 0.5], Some(Reason::ModelOutput)),
            ([1.1, -0.1, 0.0], Some(Reason::ModelOutput)),
            ([f32::NAN, 0.5, 0.5], Some(Reason::ModelOutput)),
            ([f32::INFINITY, 0.5, 0.5], Some(Reason::ModelOutput)),
        ] {
            assert_eq!(answer(&mut sense, probability, &limits), told, "{probability:?}");
        }
    }

    /// The suspicion after each answer of a course: up, down, or to neither side.
    fn course(letters: &str, limits: &Limits) -> Vec<bool> {
        let mut sense = Sense::new();
        let side = |(i, letter)| {
            // No two alike, and the middle is always the likeliest.
            let small = 0.0001 * i as f32;
            match letter {
                'u' => [0.2 - small, 0.5, 0.3 + small],
                'd' => [0.3 + small, 0.5, 0.2 - small],
                _ => [0.25, 0.5, 0.25],
            }
        };
        let answers = letters.chars().enumerate().map(side);
        answers.map(|a| answer(&mut sense, a, limits) == Some(Reason::ModelOneSided)).collect()
    }

    #[test]
    fn a_window_is_one_sided_to_either_side_and_the_next_one_says_anew() {
        let half = limits(4, 50);
        assert_eq!(course("uuu", &half), [false; 3]);
        for one in ["uuud", "dddu", "uuun", "uuuu"] {
            assert_eq!(course(one, &half), [false, false, false, true], "{one}");
        }
        for even in ["uudd", "uunn", "nnnn", "ddnn", "unnn"] {
            assert_eq!(course(even, &half), [false; 4], "{even}");
        }
        // It stands until the next window is full, and that one counts from none.
        for next in ["uudd", "ddnn", "uunn"] {
            let told = course(&format!("uuuu{next}"), &half);
            assert_eq!(told[3..], [true, true, true, true, false], "{next}");
        }
    }

    fn fill(sense: &mut Sense, side: Side, qty: i64, px: i64, position: &Position) {
        let body = OrderReport { last_qty: qty, last_px: px, ..OrderReport::default() };
        let event = Event::new(Kind::OrderFilled, BTC, &body);
        sense.on_fill(&event.with_flags(crate::base::event::side_flag(side)), position);
    }

    #[test]
    fn slippage_is_of_the_mark_price_or_the_mid_and_rounded_up() {
        let whole = Px::whole(1).0;
        let at = |mark: i64| {
            let mut position = Position::default();
            let prices = (Px(mark), Px(90 * whole), Px(110 * whole));
            (position.mark_px, position.bid, position.ask) = prices;
            position
        };
        let one = Qty::whole(1).0;
        let cost = |side, px, mark| {
            let mut sense = Sense::new();
            fill(&mut sense, side, one, px, &at(mark));
            sense.slippage_bps()
        };
        assert_eq!(Sense::new().slippage_bps(), 0);
        assert_eq!(cost(Side::Buy, 202 * whole, 200 * whole), 100);
        assert_eq!(cost(Side::Buy, 202 * whole + 1, 200 * whole), 101);
        assert_eq!(cost(Side::Sell, 198 * whole, 200 * whole), 100);
        assert_eq!(cost(Side::Sell, 202 * whole, 200 * whole), -100);
        assert_eq!(cost(Side::Buy, 200 * whole, 200 * whole), 0);
        // Without a mark price the middle of 90 and 110.
        assert_eq!(cost(Side::Buy, 101 * whole, 0), 100);
        // What is worth nothing says nothing.
        let mut sense = Sense::new();
        fill(&mut sense, Side::Buy, one, whole, &Position::default());
        assert_eq!(sense.slippage_bps(), 0);
        // One of 9 999 is more than a hundredth of a percent.
        fill(&mut sense, Side::Buy, 9_999, whole + whole / 9_998, &at(whole));
        assert_eq!((sense.slipped, sense.filled, sense.slippage_bps()), (1, 9_999, 2));
        // And two of one is twice of it.
        let mut sense = Sense::new();
        fill(&mut sense, Side::Buy, 1, 3 * whole, &at(whole));
        assert_eq!((sense.slipped, sense.filled, sense.slippage_bps()), (2, 1, 20_000));
    }

    #[test]
    fn an_event_is_late_by_both_clocks_and_never_before_its_time() {
        let lag = |told: i64| lag(&Event { ts_venue: told, ts_recv: 1_000, ..Event::EMPTY });
        assert_eq!(
            (lag(1), lag(900), lag(1_000), lag(1_500)),
            (Nanos(999), Nanos(100), Nanos(0), Nanos(0))
        );
        assert_eq!((lag(0), lag(-5)), (Nanos(0), Nanos(0)), "not told");
    }

    #[test]
    fn late_decisions_are_a_share_of_a_minute_and_of_a_hundred_at_least() {
        let minute = crate::risk::throttle::MINUTE;
        let start = Nanos::from_secs(600);
        let mut lateness = Lateness::new();
        let mut decide =
            |after: i64, late: bool| lateness.on_decision(start + Nanos(after), late, 2);
        assert!((0..99).all(|i| !decide(i, i < 3)), "too few to say");
        assert!(decide(99, false), "three of a hundred");
        assert!(decide(minute.0 - 1, false), "three of a hundred and one");
        assert!(!decide(minute.0, false), "another minute");
        assert!((0..98).all(|i| !decide(minute.0 + i, i < 2)));
        assert!(!decide(minute.0 + 98, false), "two of a hundred");
    }
}
