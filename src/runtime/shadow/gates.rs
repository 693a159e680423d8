//! How drift is looked for, as `gates.toml` says it.

use crate::promotion::PromotionSettings;
use crate::promotion::settings::DriftSettings;
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// The table `[drift]` of the file at `path`.
///
/// # Errors
/// Names the file that cannot be read, and each key of it that is not lawful.
pub fn drift(path: &Path) -> Result<DriftSettings> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(shown)?;
    let read = PromotionSettings::parse(&text).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{}", told.join("; "))
    });
    Ok(read.with_context(shown)?.drift)
}
