//! Every promise of the room, each against something that is not the room.

mod figures;
mod log;
mod market;
mod rollback;
mod rules;
mod scores;
mod sequential;
mod settings;
mod trial;
mod trial_blocks;

use super::PromotionSettings;

/// The thresholds as shipped.
const GATES: &str = include_str!("../../../config/gates.toml");

fn shipped() -> PromotionSettings {
    PromotionSettings::parse(GATES).unwrap()
}
