//! `[shadow]`: challengers beside the champion, on a thread of their own.

use super::SettingsError;
use super::section::Section;
use toml::Table;

/// Settings of the shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowSettings {
    /// Run the versions that the registry has in shadow.
    pub on: bool,
    /// Challengers at once at most.
    pub challengers_max: u32,
    /// Size beyond which a part of the log is closed, MiB.
    pub part_mib: u32,
    /// Size of all parts of the log together, MiB; the oldest are removed.
    pub all_mib: u32,
    /// The file whose `[drift]` says how drift of features is looked for.
    pub gates: String,
}

impl Default for ShadowSettings {
    fn default() -> Self {
        let gates = "config/gates.toml".to_owned();
        Self { on: false, challengers_max: 3, part_mib: 64, all_mib: 8_192, gates }
    }
}

impl ShadowSettings {
    pub(super) fn read(part: (String, Table), errors: &mut Vec<SettingsError>) -> Self {
        let usual = Self::default();
        let mut s = Section::new(&part.0, part.1, errors);
        let settings = Self {
            on: s.flag("on", usual.on),
            challengers_max: s.u32_opt("challengers_max", 1..=3).unwrap_or(usual.challengers_max),
            part_mib: s.u32_opt("part_mib", 1..=1_024).unwrap_or(usual.part_mib),
            all_mib: s.u32_opt("all_mib", 2..=1 << 20).unwrap_or(usual.all_mib),
            gates: s.text_opt("gates").unwrap_or(usual.gates),
        };
        if settings.all_mib < 2 * settings.part_mib {
            s.fail("all_mib", "must be twice part_mib at least");
        }
        s.finish();
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (ShadowSettings, Vec<String>) {
        let mut errors = Vec::new();
        let table = text.parse().unwrap();
        let settings = ShadowSettings::read(("shadow".to_owned(), table), &mut errors);
        (settings, errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn every_key_is_read_and_what_is_not_lawful_is_named() {
        let keys = "on = true\nchallengers_max = 2\npart_mib = 5\nall_mib = 10\ngates = \"a\"";
        let (settings, errors) = read(keys);
        let (on, gates) = (true, "a".to_owned());
        let wanted = ShadowSettings { on, challengers_max: 2, part_mib: 5, all_mib: 10, gates };
        assert_eq!((settings, errors), (wanted, Vec::new()));
        assert_eq!(read("").0, ShadowSettings::default());
        for (text, named) in [
            ("challengers_max = 4", "shadow.challengers_max"),
            ("part_mib = 0", "shadow.part_mib"),
            ("part_mib = 5\nall_mib = 9", "shadow.all_mib"),
            ("of = true", "shadow.of"),
        ] {
            let (_, errors) = read(text);
            assert!(errors.iter().any(|error| error.contains(named)), "{named}: {errors:?}");
        }
    }
}
