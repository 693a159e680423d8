//! What can go wrong with the registry, naming the file or version.

use super::seal::SealError;
use crate::model::ModelError;
use std::path::PathBuf;

/// Why a registry operation was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Another process changes the registry and does not come to an end.
    #[error("{path}: another process holds it; try again")]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// `registry.json` is larger than its cap.
    #[error("registry.json: exceeds the cap of {cap} bytes")]
    TooLarge {
        /// The cap.
        cap: u64,
    },
    /// `registry.json` is not JSON of the expected form.
    #[error("registry.json: {what}")]
    Format {
        /// The parser's words.
        what: String,
    },
    /// `registry.json` contradicts itself: it was edited by hand or damaged.
    #[error("registry.json: {what}")]
    Broken {
        /// The entry or version at fault.
        what: String,
    },
    /// A registry exists already.
    #[error("{path}: exists already")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No such version.
    #[error("version {version} is not registered")]
    UnknownVersion {
        /// The name asked for.
        version: String,
    },
    /// The version is registered already; versions never change.
    #[error("version {version} is registered already")]
    VersionExists {
        /// The name.
        version: String,
    },
    /// No champion.
    #[error("registry.json: there is no champion")]
    NoChampion,
    /// A version may not move this way.
    #[error("version {version} is {from} and cannot become {to}: {why}")]
    Move {
        /// The version.
        version: String,
        /// Its stage.
        from: &'static str,
        /// The stage asked for.
        to: &'static str,
        /// The rule.
        why: &'static str,
    },
    /// What a promotion, a rollback or another change lacks, all at once.
    #[error("version {version} cannot become {to}: {}", .objections.join("; "))]
    Refused {
        /// The version.
        version: String,
        /// What it was to become.
        to: &'static str,
        /// Everything in the way, each naming its file and rule.
        objections: Vec<String>,
    },
    /// No former champion can be gone back to.
    #[error(
        "there is no former champion to go back to{}; with --to none no model trades",
        .skipped.iter().map(|(version, why)| format!("; {version}: {why}")).collect::<String>()
    )]
    NoFormer {
        /// The former champions that were passed over, and why.
        skipped: Vec<(String, String)>,
    },
    /// The registry was changed between the look and the change.
    #[error("registry.json: the champion changed meanwhile; look again")]
    Changed,
    /// A version's files were removed by retention.
    #[error("version {version}: its files were removed from the registry")]
    Removed {
        /// The version.
        version: String,
    },
    /// A version that may not run until its quarantine is lifted.
    #[error(
        "version {version} is quarantined by {by}: {reason}; peregrine model release lifts that"
    )]
    Quarantined {
        /// The version.
        version: String,
        /// Who marked it.
        by: String,
        /// Why.
        reason: String,
    },
    /// A bundle that is not taken, or could not be made.
    #[error("{bundle}: {what}")]
    Bundle {
        /// The bundle's file.
        bundle: String,
        /// The part at fault, and the rule.
        what: String,
    },
    /// A signed file is not good.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Who or why is not told as it must be.
    #[error("{field}: {what}")]
    Told {
        /// `by` or `reason`.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Files are not what was registered.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Files(Vec<Problem>),
    /// A version's model does not load.
    #[error("{version}/{cause}")]
    Model {
        /// The version, or the folder it came from.
        version: String,
        /// What the model room said.
        cause: Box<ModelError>,
    },
}

/// One file that is not what was registered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Problem {
    /// Path below the registry's folder.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}
