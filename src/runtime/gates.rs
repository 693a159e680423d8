//! The rules of `gates.toml` for those who judge with them.

use crate::promotion::PromotionSettings;
use anyhow::{Context, Result, anyhow};
use std::path::Path;

/// The rules of the file at `path`.
///
/// # Errors
/// Names the file that cannot be read, and each key of it that is not lawful.
pub fn read(path: &Path) -> Result<PromotionSettings> {
    let shown = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(shown)?;
    parse(&text).with_context(shown)
}

/// The rules of such a text.
///
/// # Errors
/// Every key that is not lawful, in one line.
pub fn parse(text: &str) -> Result<PromotionSettings> {
    PromotionSettings::parse(text).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        anyhow!("{}", told.join("; "))
    })
}
