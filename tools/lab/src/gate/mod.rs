//! The gate: may this model trade? Evidence in, a signed decision out.
//!
//! ```text
//! models_saved/NAME/        model.onnx, card.toml ─┐ must be of one model and its data
//! reports/NAME/             walk_forward.json ─────┤ and every file they name unchanged
//!                           stress.json ───────────┤
//!                           hold_out.json ─────────┤ where data were held out
//! config/gates.toml         thresholds ────────────┤
//! KEY                       who decides ───────────┴─► gate_decision.json, gate_decision.pdf
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `thresholds` | reads `gates.toml` |
//! | `evidence` | reads and checks evidence |
//! | `criteria` | the criteria, as a table |
//! | `document` | what a decision looks like on paper |
//! | `paper` | lines of text as a PDF |
//! | `shown` | what weeks on paper showed |
//!
//! The same files, key and time give the same bytes. The time is in the signed body and in the
//! document, and not in the digest of the evidence.

pub mod capital;
pub mod criteria;
pub mod document;
pub mod evidence;
pub mod paper;
pub mod shown;
#[cfg(test)]
mod tests;
pub mod thresholds;

use evidence::{Evidence, HOLD_OUT, STRESS, WALK_FORWARD};
use peregrine::model::artifact::{hex, sha256};
use peregrine::model::{ArtifactFiles, ModelError};
use peregrine::registry::decision::{DecidedModel, Decision};
use peregrine::registry::seal::{SealError, Sealed, SigningKey};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use thresholds::Thresholds;

/// Name of the signed decision.
pub const DECISION_FILE: &str = "gate_decision.json";
/// Name of the document.
pub const DOCUMENT_FILE: &str = "gate_decision.pdf";

/// Why there is no decision; names the file.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// `gates.toml` cannot be used; everything wrong with it.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Thresholds {
        /// The file.
        path: PathBuf,
        /// Each names its key.
        problems: Vec<String>,
    },
    /// Evidence that is not of this model, or not what it says it is.
    #[error("{}: {what}", path.display())]
    Evidence {
        /// The file.
        path: PathBuf,
        /// The key at fault and why.
        what: String,
    },
    /// The model's files are not a model.
    #[error("{}: {cause}", path.display())]
    Model {
        /// The version's folder.
        path: PathBuf,
        /// What is wrong.
        cause: Box<ModelError>,
    },
    /// The key cannot be used.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The decision cannot be written as JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Looks at the evidence in `reports` on the model in `model`, and judges it at `decided_at_ms`
/// (since 1970).
///
/// # Errors
/// When a file cannot be read, or evidence is not of this model. Evidence that is not there is no
/// error: what it would have said is not known.
pub fn decide(
    model: &Path,
    reports: &Path,
    thresholds: &Thresholds,
    decided_at_ms: u64,
) -> Result<Decision, GateError> {
    let files = ArtifactFiles::read(model)
        .map_err(|cause| GateError::Model { path: model.to_owned(), cause: Box::new(cause) })?;
    let walk = Evidence::read(reports, WALK_FORWARD, &files)?;
    let stress = Evidence::read(reports, STRESS, &files)?;
    let held = Evidence::read(reports, HOLD_OUT, &files)?;
    let criteria = criteria::judge(thresholds, &walk, &stress, &held);
    let mut looked_at = BTreeMap::new();
    for evidence in [walk, stress, held] {
        looked_at.extend(evidence.files);
        looked_at.extend(evidence.sha256.map(|hash| (evidence.name.to_owned(), hash)));
    }
    let model = DecidedModel {
        version: files.card.version.clone(),
        sha256: hex(&files.sha256),
        card_sha256: hex(&sha256(files.card_text.as_bytes())),
        data_manifest_sha256: files.card.created_from.data_hash.clone(),
    };
    let thresholds_sha256 = thresholds.sha256.clone();
    Ok(Decision::new(model, criteria, looked_at, thresholds_sha256, decided_at_ms)?)
}

/// Signs a decision and writes both files into `out`: the document first, so that a decision that
/// counts never stands without it.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(decision: &Decision, key: &SigningKey, out: &Path) -> Result<Sealed, GateError> {
    let sealed = Sealed::new(&serde_json::to_value(decision)?, key)?;
    let document = document::pdf(decision, &sealed, &key.public());
    fs::create_dir_all(out).map_err(|cause| GateError::Io { path: out.to_owned(), cause })?;
    for (name, bytes) in [(DOCUMENT_FILE, document), (DECISION_FILE, sealed.text()?.into_bytes())] {
        let path = out.join(name);
        let failed = |cause| GateError::Io { path: path.clone(), cause };
        // Whoever trades has to read it, and it holds no secret.
        let mode = fs::Permissions::from_mode(0o644);
        let mut file =
            tempfile::Builder::new().permissions(mode).tempfile_in(out).map_err(failed)?;
        std::io::Write::write_all(&mut file, &bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
    }
    Ok(sealed)
}

/// Hashes what a decision was made from again.
///
/// # Errors
/// The first file in `reports` that is not what was looked at.
pub fn check_evidence(decision: &Decision, reports: &Path) -> Result<(), GateError> {
    for (name, told) in &decision.evidence {
        let path = reports.join(name);
        let bytes = fs::read(&path).map_err(|cause| GateError::Io { path: path.clone(), cause })?;
        let found = hex(&sha256(&bytes));
        if found != *told {
            let what = format!("was changed: hash {found}, decided on {told}");
            return Err(GateError::Evidence { path, what });
        }
    }
    Ok(())
}
