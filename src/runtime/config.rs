//! Reads configuration files: the main file, the risk file it names, and the environment over both.

use crate::base::settings::{Settings, effective_text, merge_overrides, parse, parse_document};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What a risk file may hold: everything that bounds what may be lost, to be signed off as one.
const RISK_TABLES: [&str; 7] =
    ["risk", "portfolio", "stage", "breakers", "sizing", "exits", "kill"];

/// A configuration with the text that reproduces it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The checked settings.
    pub settings: Settings,
    /// The whole document after overrides, as TOML: what a replay parses.
    pub text: String,
}

/// Why a configuration cannot be used; lists everything wrong.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {}", .problems.join("; "))]
pub struct ConfigError {
    /// The file at fault.
    pub file: String,
    /// Every problem, each naming its key.
    pub problems: Vec<String>,
}

impl ConfigError {
    fn one(file: &Path, problem: impl std::fmt::Display) -> Self {
        Self { file: file.display().to_string(), problems: vec![problem.to_string()] }
    }
}

/// Reads `path`, the file its `risk_file` key names, and `PEREGRINE__…` variables.
///
/// # Errors
/// Every unreadable file and every key at fault.
pub fn load(path: &Path) -> Result<Loaded, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::one(path, e))?;
    let mut document = parse_document(&text).map_err(|e| ConfigError::one(path, e))?;
    if let Some(value) = document.remove("risk_file") {
        let Value::String(name) = value else {
            return Err(ConfigError::one(path, "risk_file: must be a text"));
        };
        let risk_path = path.parent().map_or_else(|| PathBuf::from(&name), |dir| dir.join(&name));
        for (name, table) in read_risk(&risk_path)? {
            let twice = format!("{name}: stands here and in risk_file; keep one");
            if document.insert(name, table).is_some() {
                return Err(ConfigError::one(path, twice));
            }
        }
    }
    // Variables that are not UTF-8 cannot be ours.
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let mut loaded = checked(path, document, variables)?;
    let gates = &mut loaded.settings.rollback.gates;
    if let (false, Some(dir)) = (gates.is_empty(), path.parent()) {
        *gates = dir.join(&*gates).display().to_string();
    }
    Ok(loaded)
}

/// Checks a document that is in memory: a built-in default, or one kept beside a journal.
///
/// # Errors
/// Every key at fault, under the name `origin`.
pub fn from_text(origin: &str, text: &str) -> Result<Loaded, ConfigError> {
    let path = Path::new(origin);
    let document = parse_document(text).map_err(|e| ConfigError::one(path, e))?;
    checked(path, document, std::iter::empty())
}

/// The same configuration with values set: section, key, value. They are part of its text, so that
/// the journal tells them.
///
/// # Errors
/// Every key at fault.
pub fn with_values(loaded: &Loaded, values: &[(&str, &str, Value)]) -> Result<Loaded, ConfigError> {
    let origin = "configuration";
    let mut document =
        parse_document(&loaded.text).map_err(|e| ConfigError::one(Path::new(origin), e))?;
    for (section, key, value) in values {
        let entry = document.entry(*section).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(table) = entry {
            table.insert((*key).to_owned(), value.clone());
        }
    }
    let mut set = from_text(origin, &effective_text(&document))?;
    if !values.iter().any(|(section, key, _)| (*section, *key) == ("rollback", "gates")) {
        // Where its file lies is known from the first load alone.
        set.settings.rollback.gates.clone_from(&loaded.settings.rollback.gates);
    }
    Ok(set)
}

/// The tables that a file of fills may hold: what the paper venue does to orders.
const FILLS_TABLES: [&str; 1] = ["paper"];

/// The same configuration with the models of a file that `peregrine-lab calibrate` wrote laid over
/// its own.
///
/// # Errors
/// An unreadable file and every key at fault.
pub fn with_fills(loaded: &Loaded, path: &Path) -> Result<Loaded, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::one(path, e))?;
    let document = parse_document(&text).map_err(|e| ConfigError::one(path, e))?;
    let mut values = Vec::new();
    for (section, table) in &document {
        let (true, Value::Table(table)) = (FILLS_TABLES.contains(&section.as_str()), table) else {
            let what = format!("{section}: unknown key; only [{}] stands here", FILLS_TABLES[0]);
            return Err(ConfigError::one(path, what));
        };
        values.extend(table.iter().map(|(key, value)| (section.as_str(), &**key, value.clone())));
    }
    let named = |error| ConfigError { file: path.display().to_string(), ..error };
    with_values(loaded, &values).map_err(named)
}

/// The tables of a risk file; `risk` must be there.
fn read_risk(path: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|e| ConfigError::one(path, e))?;
    let document = parse_document(&text).map_err(|e| ConfigError::one(path, e))?;
    for (key, value) in &document {
        if !RISK_TABLES.contains(&key.as_str()) {
            let lawful = RISK_TABLES.join("], [");
            let what = format!("{key}: unknown key; only [{lawful}] stand here");
            return Err(ConfigError::one(path, what));
        }
        if !value.is_table() {
            return Err(ConfigError::one(path, format!("{key}: must be a table")));
        }
    }
    if document.contains_key("risk") {
        Ok(document)
    } else {
        Err(ConfigError::one(path, "risk: the table is missing"))
    }
}

fn checked(
    path: &Path,
    mut document: Table,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigError> {
    let listed = |errors: Vec<crate::base::settings::SettingsError>| ConfigError {
        file: path.display().to_string(),
        problems: errors.iter().map(ToString::to_string).collect(),
    };
    merge_overrides(&mut document, variables).map_err(listed)?;
    let text = effective_text(&document);
    let settings = parse(document).map_err(listed)?;
    Ok(Loaded { settings, text })
}

/// A shipped configuration's text with the shipped limits in it.
#[cfg(test)]
pub(super) fn with_shipped_limits(text: &str) -> Loaded {
    let limits = include_str!("../../config/risk.toml");
    let text = text.replace("risk_file = \"risk.toml\"\n", "");
    from_text("shipped", &format!("{text}\n{limits}")).expect("what is shipped is lawful")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_fills_is_laid_over_the_paper_venue_and_over_nothing_else() {
        let text = std::fs::read_to_string("config/paper.toml").unwrap();
        let risk = std::fs::read_to_string("config/risk.toml").unwrap();
        let text = text.lines().filter(|line| !line.starts_with("risk_file"));
        let text: String = text.flat_map(|line| [line, "\n"]).collect::<String>() + &risk;
        let loaded = from_text("paper.toml", &text).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fills.toml");
        std::fs::write(&path, "[paper]\norder_latency_us = 77\nimpact_bps = 0.5\n").unwrap();
        let over = with_fills(&loaded, &path).unwrap();
        assert_eq!(over.settings.paper.order_latency_us, 77);
        assert_eq!(over.settings.paper.impact.0, 5_000);
        let kept = loaded.settings.paper.report_latency_us;
        assert_eq!(over.settings.paper.report_latency_us, kept);
        assert_eq!(from_text("again", &over.text).unwrap().settings, over.settings);
        for (text, told) in [
            ("[risk]\nallow = []\n", "risk: unknown key"),
            ("paper = 1\n", "paper: unknown key"),
            ("[paper]\nspeed = 1\n", "paper.speed"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = with_fills(&loaded, &path).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("fills.toml"), "{error}");
        }
    }

    #[test]
    fn a_risk_file_brings_its_tables_and_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("risk.toml");
        let all: String = RISK_TABLES.iter().map(|name| format!("[{name}]\n")).collect();
        std::fs::write(&path, &all).unwrap();
        let read = read_risk(&path).unwrap();
        assert_eq!(read.len(), RISK_TABLES.len());
        for (text, told) in [
            (format!("{all}[venue]\n"), "venue: unknown key"),
            ("[stage]\n".to_owned(), "risk: the table is missing"),
            ("risk = 1\n".to_owned(), "risk: must be a table"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_risk(&path).unwrap_err().to_string();
            assert!(error.contains(told) && error.contains("risk.toml"), "{error}");
        }
    }
}
