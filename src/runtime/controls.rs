//! RC-43: every control's row, by name, and which of them is dead: one that nothing has evaluated
//! for a day guards nothing, whatever the configuration says.

use crate::base::counters::Counters;
use crate::base::settings::{BreakerSettings, RiskSettings};
use crate::base::units::Money;
use crate::base::{Control, Level, Measure};
use crate::observe::snapshot::ControlView;
use crate::risk::{Check, control_row, levels_of};
use std::time::{Duration, Instant};

/// Longest time a control may go without being evaluated.
const SILENCE_MAX: Duration = Duration::from_secs(86_400);

/// See the head of this file.
pub struct Controls {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    evaluated: u64,
    since: Instant,
    level: Level,
    dead: bool,
    /// A breaker's number; `None` for a check.
    control: Option<Control>,
    value: Option<i64>,
    /// Its levels and where they begin, lowest first.
    levels: Vec<(Level, i64)>,
}

impl Row {
    fn new(name: String, control: Option<Control>, now: Instant) -> Self {
        Self {
            name,
            evaluated: 0,
            since: now,
            level: Level::Clear,
            dead: false,
            control,
            value: None,
            levels: Vec::new(),
        }
    }

    /// Where the next level begins, or the highest once that is reached.
    fn limit(&self) -> Option<i64> {
        let next = self.levels.iter().find(|(level, _)| *level > self.level);
        next.or(self.levels.last()).map(|&(_, limit)| limit)
    }

    fn shown(&self, value: i64) -> f64 {
        if self.control == Some(Control::DayLossAmount) {
            Money(value).to_f64()
        } else {
            value as f64
        }
    }
}

impl Controls {
    /// Every check of the gate, then every breaker.
    pub fn new(now: Instant) -> Self {
        let checks =
            Check::ALL.iter().map(|check| format!("check_{}", snake(&format!("{check:?}"))));
        let breakers = Control::ALL.iter().map(|control| control.name().to_owned());
        let checks = checks.map(|name| Row::new(name, None, now));
        let breakers =
            Control::ALL.into_iter().zip(breakers).map(|(c, name)| Row::new(name, Some(c), now));
        Self { rows: checks.chain(breakers).collect() }
    }

    /// Tells each breaker its levels.
    pub fn with_levels(mut self, breakers: &BreakerSettings, risk: &RiskSettings) -> Self {
        for row in &mut self.rows {
            if let Some(control) = row.control {
                row.levels = levels_of(control, breakers, risk);
            }
        }
        self
    }

    /// A breaker's level changed, because of what it found.
    pub fn note_level(&mut self, control: Control, level: Level, value: i64) {
        self.note_value(control, value);
        if let Some(row) = self.rows.get_mut(control_row(control)) {
            row.level = level;
        }
    }

    /// What a breaker looks at, in its own unit.
    pub fn note_value(&mut self, control: Control, value: i64) {
        if let Some(row) = self.rows.get_mut(control_row(control)) {
            row.value = Some(value);
        }
    }

    /// What was measured for a breaker outside of the river.
    pub fn note_measure(&mut self, measure: Measure, value: i64) {
        let control = match measure {
            Measure::TickToGate => Control::TickToGate,
            Measure::TickToGateP95 => Control::TickToGateP95,
            Measure::RingDepth => Control::RingDepth,
            Measure::DiskNeed => Control::Disk,
            Measure::Memory => Control::Memory,
            Measure::Files => Control::Files,
            Measure::CoreStall => Control::CoreStall,
            // Only its halt matters, and that is told by the level.
            Measure::SegmentNeed => return,
        };
        self.note_value(control, value);
    }

    /// The rows as they are; `dead` is called with the name of each that has just been found dead.
    pub fn view(
        &mut self,
        now: Instant,
        counters: &Counters,
        mut dead: impl FnMut(&str),
    ) -> Vec<ControlView> {
        let view = |(place, row): (usize, &mut Row)| {
            let counts = counters.control(place);
            if counts.evaluated != row.evaluated {
                (row.evaluated, row.since, row.dead) = (counts.evaluated, now, false);
            }
            let silent = now.saturating_duration_since(row.since);
            if silent >= SILENCE_MAX && !std::mem::replace(&mut row.dead, true) {
                dead(&row.name);
            }
            ControlView {
                name: row.name.clone(),
                level: row.level.name(),
                value: row.value.map(|value| row.shown(value)),
                limit: row.limit().map(|limit| row.shown(limit)),
                unit: row.control.map_or("", unit_of),
                evaluated: counts.evaluated,
                near: counts.near,
                tripped: counts.tripped,
                silent_seconds: silent.as_secs_f64(),
                dead: row.dead,
            }
        };
        self.rows.iter_mut().enumerate().map(view).collect()
    }
}

const fn unit_of(control: Control) -> &'static str {
    match control {
        Control::DayLoss
        | Control::Drawdown
        | Control::Slippage
        | Control::Fee
        | Control::Spread
        | Control::Jump => "bps",
        Control::DayLossAmount => "quote",
        Control::RejectRate
        | Control::Range
        | Control::RingDepth
        | Control::Disk
        | Control::Files => "percent",
        Control::Staleness | Control::SendToAck | Control::SendToAckP95 | Control::CoreStall => {
            "ms"
        }
        Control::TickToGate | Control::TickToGateP95 => "us",
        Control::Memory => "MiB",
        Control::LossesInARow
        | Control::LedgerFault
        | Control::OrderBalance
        | Control::UnknownOrders
        | Control::RejectsInARow
        | Control::InvalidOutputs
        | Control::StateSeal => "count",
    }
}

fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for (place, c) in name.chars().enumerate() {
        if c.is_ascii_uppercase() && place > 0 {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::counters::ControlRow;

    #[test]
    fn a_control_that_nothing_evaluates_for_a_day_is_told_dead_once_until_it_lives() {
        let (began, counters) = (Instant::now(), Counters::new());
        let mut controls = Controls::new(began);
        let mut at = |hours: u64, evaluated: u64| {
            let row = control_row(Control::Spread);
            counters.set_control(row, ControlRow { evaluated, ..ControlRow::default() });
            let mut told = Vec::new();
            let now = began + Duration::from_secs(hours * 3_600);
            let view = controls.view(now, &counters, |name| told.push(name.to_owned()));
            (told.contains(&"spread".to_owned()), view[row].dead)
        };
        assert_eq!(at(1, 1), (false, false));
        assert_eq!(at(24, 1), (false, false), "23 hours since it was evaluated");
        assert_eq!(at(25, 1), (true, true));
        assert_eq!(at(26, 1), (false, true), "said once");
        assert_eq!(at(27, 2), (false, false), "it lives again");
        assert_eq!(at(51, 2), (true, true));
    }

    #[test]
    fn a_breaker_is_shown_with_what_it_found_and_where_its_next_level_begins() {
        let (began, counters) = (Instant::now(), Counters::new());
        let risk = RiskSettings { daily_loss_max: Some(Money::whole(300)), ..Default::default() };
        let breakers = BreakerSettings {
            day_loss_warn_bps: 200,
            day_loss_halt_bps: 300,
            day_loss_kill_bps: 500,
            ..BreakerSettings::default()
        };
        let mut controls = Controls::new(began).with_levels(&breakers, &risk);
        let mut row = |level: Level, value: i64| {
            controls.note_level(Control::DayLoss, level, value);
            controls.note_value(Control::DayLossAmount, Money::whole(12).0);
            let view = controls.view(began, &counters, |_| ());
            let amount = &view[control_row(Control::DayLossAmount)];
            assert_eq!(
                (amount.value, amount.limit, amount.unit),
                (Some(12.0), Some(300.0), "quote")
            );
            let row = &view[control_row(Control::DayLoss)];
            (row.level, row.value, row.limit)
        };
        assert_eq!(row(Level::Clear, 7), ("clear", Some(7.0), Some(200.0)));
        assert_eq!(row(Level::Warn, 250), ("warn", Some(250.0), Some(300.0)));
        assert_eq!(row(Level::Halt, 400), ("halt", Some(400.0), Some(500.0)));
        assert_eq!(row(Level::Kill, 900), ("kill", Some(900.0), Some(500.0)), "the highest");
    }

    #[test]
    fn every_check_and_every_breaker_has_a_row_of_its_own_name() {
        let counters = Counters::new();
        let view = Controls::new(Instant::now()).view(Instant::now(), &counters, |_| ());
        let mut names: Vec<&str> = view.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), Check::ALL.len() + Control::COUNT);
        assert_eq!(view[control_row(Control::DayLoss)].name, "day_loss");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), view.len());
    }
}
