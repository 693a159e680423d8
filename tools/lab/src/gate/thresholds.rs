//! Reads `gates.toml`.

use super::GateError;
use super::criteria::{RULES, STRESS_TABLE, TABLES};
use peregrine::base::settings::section::Section;
use peregrine::base::settings::{SettingsError, parse_document};
use peregrine::model::artifact::{hex, sha256};
use peregrine::promotion::settings::TABLES as PROMOTION_TABLES;
use std::path::Path;

/// What has to be reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    /// One per row of [`RULES`], in order.
    pub values: Vec<f64>,
    /// Scenarios that must have been run and passed.
    pub scenarios: Vec<String>,
    /// SHA-256 of the file.
    pub sha256: String,
}

impl Thresholds {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read; every unknown, missing or unlawful key at once.
    pub fn read(path: &Path) -> Result<Self, GateError> {
        let text = std::fs::read_to_string(path).map_err(|cause| {
            let problems = vec![cause.to_string()];
            GateError::Thresholds { path: path.to_owned(), problems }
        })?;
        Self::parse(&text).map_err(|errors| GateError::Thresholds {
            path: path.to_owned(),
            problems: errors.iter().map(ToString::to_string).collect(),
        })
    }

    /// The same from a text.
    ///
    /// # Errors
    /// Every unknown, missing or unlawful key.
    pub fn parse(text: &str) -> Result<Self, Vec<SettingsError>> {
        let document = parse_document(text).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let mut top = Section::new("", document, &mut errors);
        let tables = TABLES.map(|name| (name, top.table(name)));
        // Those are read, and judged, by the promotion rules.
        for name in PROMOTION_TABLES {
            top.table(name);
        }
        top.finish();
        let (mut values, mut scenarios) = (Vec::new(), Vec::new());
        for (name, (path, table)) in tables {
            let mut section = Section::new(&path, table, &mut errors);
            for rule in RULES.iter().filter(|rule| rule.table == name) {
                values.push(section.number(rule.key, rule.range.0..=rule.range.1));
            }
            if name == STRESS_TABLE {
                scenarios = section.texts("scenarios");
                check_scenarios(&scenarios, &mut section);
            }
            section.finish();
        }
        let sha256 = hex(&sha256(text.as_bytes()));
        if errors.is_empty() { Ok(Self { values, scenarios, sha256 }) } else { Err(errors) }
    }
}

fn check_scenarios(scenarios: &[String], section: &mut Section<'_>) {
    if scenarios.is_empty() {
        section.fail("scenarios", "no scenario is named");
    }
    for (at, name) in scenarios.iter().enumerate() {
        if !is_scenario(name) {
            section.fail("scenarios", format!("{name:?}: not 1 to 32 of a-z, 0-9, - and _"));
        }
        if scenarios[..at].contains(name) {
            section.fail("scenarios", format!("{name:?} appears twice"));
        }
    }
}

/// True for what a scenario may be called.
pub(super) fn is_scenario(name: &str) -> bool {
    let lawful = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(lawful)
}
