//! `model.own`: symbols that a model of their own decides.

use super::section::Section;
use super::{Settings, SettingsError};
use crate::base::ids::Symbol;
use crate::base::limits::OWN_MODELS_MAX;

const KEY: &str = "own";

/// The symbols, in their order, and the versions that are named for them.
pub(super) fn read(s: &mut Section<'_>) -> Vec<(Symbol, String)> {
    let mut own: Vec<(Symbol, String)> = Vec::new();
    for (name, version) in s.named_texts(KEY) {
        let Some(symbol) = Symbol::new(name.to_uppercase().as_bytes()) else {
            s.fail(KEY, format!("{name:?} is no symbol"));
            continue;
        };
        if own.iter().any(|(other, _)| *other == symbol) {
            s.fail(KEY, format!("{symbol} stands twice"));
        } else if version.is_empty() || version == "champion" {
            // The champion changes; what a symbol has of its own is one version until the end.
            s.fail(
                KEY,
                format!(
                    "{symbol} = {version:?}: name a version; without a row it has model.version"
                ),
            );
        } else {
            own.push((symbol, version));
        }
    }
    if own.len() > OWN_MODELS_MAX {
        s.fail(KEY, format!("names {} symbols; at most {OWN_MODELS_MAX} fit", own.len()));
    }
    own.sort();
    own
}

/// A symbol with a model has to be one of the session's.
pub(super) fn check(settings: &Settings, errors: &mut Vec<SettingsError>) {
    for (symbol, version) in &settings.model.own {
        if !settings.instruments.all().any(|listed| listed == *symbol) {
            let what = format!(
                "{symbol} = {version:?}: {symbol} stands neither in instruments.symbols nor in \
                 instruments.asleep"
            );
            errors.push(SettingsError { key: "model.own".to_owned(), what });
        }
    }
}
