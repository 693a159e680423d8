//! RC-43: every control's row, by name, and which of them is dead: one that nothing has evaluated
//! for a day guards nothing, whatever the configuration says.

use crate::base::Control;
use crate::base::counters::Counters;
use crate::observe::snapshot::ControlView;
use crate::risk::{Check, control_row};
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
    level: &'static str,
    dead: bool,
}

impl Controls {
    /// Every check of the gate, then every breaker.
    pub fn new(now: Instant) -> Self {
        let checks =
            Check::ALL.iter().map(|check| format!("check_{}", snake(&format!("{check:?}"))));
        let breakers = Control::ALL.iter().map(|control| control.name().to_owned());
        let row = |name| Row { name, evaluated: 0, since: now, level: "clear", dead: false };
        Self { rows: checks.chain(breakers).map(row).collect() }
    }

    /// A breaker's level changed.
    pub fn note_level(&mut self, control: Control, level: &'static str) {
        if let Some(row) = self.rows.get_mut(control_row(control)) {
            row.level = level;
        }
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
                level: row.level,
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
