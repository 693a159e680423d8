//! Fields of what breakers are told and tell.

use super::{Field, Visit};
use crate::base::event as body;
use crate::base::{Control, Level, Measure};

fn level(number: u8) -> Field<'static> {
    const LEVELS: &[&str] = &["clear", "warn", "reduce", "halt", "kill"];
    debug_assert!(LEVELS.len() == Level::Kill as usize + 1);
    Field::Choice(u64::from(number), LEVELS)
}

pub(super) fn measured(body: &body::Measured, visit: &mut Visit<'_>) {
    let name = Measure::from_u16(body.measure).map_or("", Measure::name);
    visit("measure", Field::Text(name.as_bytes()));
    visit("found", Field::Whole(body.value));
}

pub(super) fn breaker(body: &body::Breaker, visit: &mut Visit<'_>) {
    let name = Control::from_u16(body.control).map_or("", Control::name);
    visit("control", Field::Text(name.as_bytes()));
    visit("level_from", level(body.from));
    visit("level_to", level(body.to));
    visit("reason", Field::Reason(body.reason));
    visit("found", Field::Whole(body.value));
    visit("breaker_bound", Field::Whole(body.limit));
    visit("evaluated", Field::Count(body.evaluated));
    visit("near", Field::Count(body.near));
    visit("tripped", Field::Count(body.tripped));
}

pub(super) fn size_change(body: &body::SizeChange, visit: &mut Visit<'_>) {
    visit("percent", Field::Count(u64::from(body.percent)));
    visit("losses_percent", Field::Count(u64::from(body.losses_percent)));
    visit("restart_percent", Field::Count(u64::from(body.restart_percent)));
    visit("restart_trips", Field::Count(u64::from(body.restart_trips)));
    visit("ts_restart", Field::Time(body.ts_restart));
}
