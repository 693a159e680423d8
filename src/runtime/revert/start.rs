//! Which version a session begins with: the champion; for one that was left what was gone back to;
//! and for one that does not load the champion before, where the configuration says so.

use super::left::{Left, LeftModels};
use crate::base::settings::Settings;
use crate::model::{ArtifactFiles, ModelError};
use crate::promotion::{Breach, RollbackCause};
use crate::registry::verdict::Contender;
use crate::registry::{Registry, RegistryError};
use crate::runtime::assemble::Budget;
use crate::runtime::clock::wall_now;
use crate::runtime::swap::ModelTerms;
use anyhow::{Context, Error, Result};
use std::path::Path;
use std::sync::Arc;

/// What a session begins with.
pub struct Begun {
    /// The model's files, verified.
    pub files: ArtifactFiles,
    /// What sessions left and the registry does not say yet.
    pub left: Arc<LeftModels>,
    /// The champion that could not be begun with, and why.
    pub failed: Option<(String, Breach)>,
}

/// The files of the version that the configuration names, as a start takes it.
///
/// # Errors
/// Names what is missing, or not what was registered.
pub fn files(settings: &Settings) -> Result<ArtifactFiles> {
    let left = LeftModels::read(Path::new(&settings.session.state_dir))?;
    let registry = Registry::open(Path::new(&settings.model.dir))?;
    Ok(registry.files(&left.version_named(&registry, &settings.model.version)?)?)
}

/// Chooses; a champion that cannot be begun with is left, durably, before this returns. `name` is
/// the session's.
///
/// # Errors
/// When nothing can be begun with: names the champion's fault first.
pub fn choose(settings: &Settings, name: &str) -> Result<Begun> {
    let left = Arc::new(LeftModels::read(Path::new(&settings.session.state_dir))?);
    let registry = Registry::open(Path::new(&settings.model.dir))?;
    let version = left.version_named(&registry, &settings.model.version)?;
    if !settings.rollback.at_start || settings.model.version != "champion" {
        let files = registry.files(&version)?;
        return Ok(Begun { files, left, failed: None });
    }
    let error = match loads(settings, &registry, &version) {
        Ok(files) => return Ok(Begun { files, left, failed: None }),
        Err(error) => error,
    };
    let Some(cause) = cause_of(&error) else { return Err(error) };
    tracing::error!(version, error = format!("{error:#}"), "the champion cannot be begun with");
    let breach = breach(cause);
    let standing = registry.standing()?;
    let may = |former: &&str| standing.forbids(former).is_none() && !left.has(former);
    for former in standing.former().into_iter().filter(may).filter(|former| *former != version) {
        match loads(settings, &registry, former) {
            Ok(files) => {
                let who = Contender::of(&version, registry.show(&version)?);
                left.add(Left {
                    version: who.version,
                    sha256: who.sha256,
                    card_sha256: who.card_sha256,
                    to: former.to_owned(),
                    by: format!("start of session {name}"),
                    reason: breach.to_string(),
                    at_ms: u64::try_from(wall_now().to_millis()).unwrap_or(0),
                })
                .context("the state folder must say what is left before it is")?;
                tracing::error!(left = version, to = former, "begins with the champion before");
                return Ok(Begun { files, left, failed: Some((version, breach)) });
            }
            Err(error) => {
                tracing::error!(former, error = format!("{error:#}"), "is passed over");
            }
        }
    }
    Err(error.context("no former champion can be begun with either"))
}

/// Verifies a version and loads its model, as the session will.
fn loads(settings: &Settings, registry: &Registry, version: &str) -> Result<ArtifactFiles> {
    let files = registry.files(version)?;
    let terms = ModelTerms {
        model: settings.model.clone(),
        bar_interval_ms: settings.features.bar_interval_ms,
        instruments: 1,
    };
    terms.load(&files, Budget::Configured)?;
    Ok(files)
}

/// What is wrong with a version, as a cause of a rollback; `None` where something else failed.
pub fn cause_of(error: &Error) -> Option<RollbackCause> {
    if error.is::<ModelError>() {
        return Some(RollbackCause::LoadFailure);
    }
    match error.downcast_ref() {
        Some(RegistryError::Files(_)) => Some(RollbackCause::HashMismatch),
        Some(RegistryError::Model { .. }) => Some(RollbackCause::LoadFailure),
        _ => None,
    }
}

/// One failure, where none may be.
pub fn breach(cause: RollbackCause) -> Breach {
    let rule = crate::promotion::rollback::ROLLBACK.iter().find(|rule| rule.cause == cause);
    Breach { cause, key: rule.map_or("", |rule| rule.key), value: 1.0, limit: 0.0 }
}
