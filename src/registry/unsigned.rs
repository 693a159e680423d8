//! The moves that need no papers: out of use, and up to the very first champion. Everything else
//! that leads to money is `promote`'s.

use super::record::Stage;
use super::{Change, Registry, RegistryError, advance};

impl Registry {
    /// Retires a version that is not the champion, which is left by a rollback.
    ///
    /// # Errors
    /// Names the version and the rule that forbids it; nothing is changed then.
    pub fn retire(&mut self, version: &str, change: Change) -> Result<(), RegistryError> {
        change.check()?;
        self.change(|_, document| {
            if document.champion.as_deref() == Some(version) {
                let objections =
                    vec!["is the champion; peregrine model rollback leaves it".to_owned()];
                let (version, to) = (version.to_owned(), Stage::Retired.name());
                return Err(RegistryError::Refused { version, to, objections });
            }
            advance(document, version, Stage::Retired, (change, Vec::new()))
        })
    }

    /// Makes a staged version the first champion that this registry has ever had: the one that
    /// comes without papers, and the history says so.
    ///
    /// # Errors
    /// When there was a champion before, or a file is not what was registered.
    pub fn crown_first(&mut self, version: &str, change: Change) -> Result<(), RegistryError> {
        change.check()?;
        self.files(version)?;
        self.change(|_, document| {
            if !document.standing()?.crowned.is_empty() {
                let objections = vec!["there was a champion before: promote it".to_owned()];
                let (version, to) = (version.to_owned(), "the first champion");
                return Err(RegistryError::Refused { version, to, objections });
            }
            advance(document, version, Stage::Champion, (change, Vec::new()))
        })
    }

    /// Moves a version to another stage, without a look at papers: for tests and campaigns, which
    /// have none. No command reaches it; those promote, retire, roll back or crown the first.
    /// A new champion retires the old one. Becoming champion asks for evidence, except for the very
    /// first, of which the history says so.
    ///
    /// # Errors
    /// Names the version and the rule that forbids it; nothing is changed then.
    pub fn advance(
        &mut self,
        version: &str,
        to: Stage,
        change: Change,
    ) -> Result<(), RegistryError> {
        if to == Stage::Champion {
            self.files(version)?;
        }
        self.change(|_, document| advance(document, version, to, (change, Vec::new())))
    }
}
