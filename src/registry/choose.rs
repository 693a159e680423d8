//! Names to versions, and whether a version may run: what is quarantined does not, whoever names
//! it.

use super::{Registry, RegistryError};
use crate::model::ArtifactFiles;
use crate::registry::record::Action;

impl Registry {
    /// Files by the name a configuration gives: a version, or `champion`. Verified.
    ///
    /// # Errors
    /// As [`Self::files`], [`Self::champion`] and [`Self::check_free`].
    pub fn select(&self, name: &str) -> Result<ArtifactFiles, RegistryError> {
        let version = self.version_named(name)?;
        self.check_free(version)?;
        self.files(version)
    }

    /// The version that a name stands for: itself, or with `champion` that one.
    ///
    /// # Errors
    /// When there is no champion.
    pub fn version_named<'n>(&'n self, name: &'n str) -> Result<&'n str, RegistryError> {
        if name != "champion" {
            return Ok(name);
        }
        self.champion_version().ok_or(RegistryError::NoChampion)
    }

    /// The champion's files, verified.
    ///
    /// # Errors
    /// When there is no champion, or as [`Self::files`].
    pub fn champion(&self) -> Result<ArtifactFiles, RegistryError> {
        self.select("champion")
    }

    /// That a version is not quarantined.
    ///
    /// # Errors
    /// When it is: with who marked it and why, as the history has it.
    pub fn check_free(&self, version: &str) -> Result<(), RegistryError> {
        if !self.standing()?.quarantined.contains(version) {
            return Ok(());
        }
        let marked = self
            .history()
            .iter()
            .rev()
            .find(|entry| entry.version == version && entry.action == Action::Quarantined);
        let (by, reason) =
            marked.map_or_else(Default::default, |entry| (entry.by.clone(), entry.reason.clone()));
        Err(RegistryError::Quarantined { version: version.to_owned(), by, reason })
    }
}
