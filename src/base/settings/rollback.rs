//! `[rollback]`: what takes the champion out by itself, and what a start does without it.

use super::SettingsError;
use super::section::Section;
use toml::Table;

/// Settings of rollbacks by the session itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RollbackSettings {
    /// File whose tables `[rollback]` and `[drift]` judge the champion; empty for none.
    pub gates: String,
    /// The champion's rows of features are worked out again beside the session: without it drift
    /// and rows that differ are told by the shadow log alone.
    pub rows: bool,
    /// A start whose champion is not what was registered, or does not load, begins with the
    /// champion before it instead of ending.
    pub at_start: bool,
}

impl RollbackSettings {
    pub(super) fn read(part: (String, Table), errors: &mut Vec<SettingsError>) -> Self {
        let mut s = Section::new(&part.0, part.1, errors);
        let settings = Self {
            gates: s.text_opt("gates").unwrap_or_default(),
            rows: s.flag("rows", false),
            at_start: s.flag("at_start", false),
        };
        s.finish();
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_and_what_is_not_there_judges_nobody() {
        let read = |text: &str| {
            let mut errors = Vec::new();
            let part = ("rollback".to_owned(), text.parse().unwrap());
            (RollbackSettings::read(part, &mut errors), errors.len())
        };
        let wanted = RollbackSettings { gates: "g.toml".to_owned(), rows: true, at_start: true };
        assert_eq!(read("gates = \"g.toml\"\nrows = true\nat_start = true"), (wanted, 0));
        assert_eq!(read(""), (RollbackSettings::default(), 0));
        assert_eq!(read("gate = \"g.toml\"").1, 1);
    }
}
