//! Who is on trial, as the registry has it, and from when on what they say counts.

use super::engine::Challenger;
use super::follow::challenger_parts;
use crate::base::time::Nanos;
use crate::registry::{Action, Registry, Stage};
use crate::runtime::assemble::Parts;
use anyhow::{Context, Result};

/// The versions on trial: who has a share of the trading first, then by name.
pub fn on_trial(registry: &Registry) -> Vec<String> {
    let of = |stage| {
        let there = registry.list().filter(move |(_, record)| record.stage == stage);
        there.map(|(name, _)| name.to_owned())
    };
    of(Stage::Canary).chain(of(Stage::Shadow)).collect()
}

/// When `version` last came into shadow, else when it was registered: what the market did before
/// that, its training may have seen.
///
/// # Errors
/// When there is no such version.
pub fn since(registry: &Registry, version: &str) -> Result<Nanos> {
    let registered = registry.show(version)?.registered_at_ms;
    let came = registry.history().iter().rev().find(|entry| {
        entry.version == version && entry.action == Action::Moved && entry.to == Stage::Shadow
    });
    let at_ms = came.map_or(registered, |entry| entry.at_ms);
    let at_ms = i64::try_from(at_ms).context("the time of an entry is out of range")?;
    Ok(Nanos(at_ms.saturating_mul(1_000_000)))
}

/// `names` beside `champion`, their files verified; with `whole` from the session's beginning on.
///
/// # Errors
/// Names the version that is not there or whose files are not what was registered.
pub fn challengers(
    registry: &Registry,
    champion: &Parts,
    names: &[String],
    whole: bool,
) -> Result<Vec<Challenger>> {
    let one = |name: &String| {
        let parts = challenger_parts(champion, registry.files(name)?);
        let since = if whole { Nanos::ZERO } else { since(registry, name)? };
        Ok(Challenger { parts, since })
    };
    names.iter().map(one).collect()
}
