//! What a chain is made of: a file, and what the command line says above it.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `chain.toml`. Paths are below the working folder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Files and folders of history.
    pub sources: Vec<PathBuf>,
    /// Name of the data set.
    pub name: String,
    /// From when on rows are held out, RFC 3339; none without.
    pub hold_out: Option<String>,
    /// Folder of the data set.
    pub data: PathBuf,
    /// Folder of the model's version.
    pub model: PathBuf,
    /// Folder of the evidence and of the decision.
    pub reports: PathBuf,
    /// The private key that signs; made where there is none.
    pub key: PathBuf,
    /// Rows, labels, costs, folds, trees, thresholds.
    pub forward: PathBuf,
    /// The trader's configuration.
    pub trader: PathBuf,
    /// The scenarios.
    pub scenarios: PathBuf,
    /// The thresholds.
    pub gates: PathBuf,
    /// Threads; nothing depends on it.
    pub threads: u16,
}

impl Plan {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is missing or not known, nothing to import.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let plan: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let at = path.display();
        ensure!((1..=64).contains(&plan.threads), "{at}: threads: out of 1 to 64");
        ensure!(!plan.sources.is_empty(), "{at}: sources: nothing is named");
        Ok(plan)
    }

    /// Puts everything that is written below another folder.
    pub fn move_below(&mut self, folder: &Path) {
        for path in [&mut self.data, &mut self.model, &mut self.reports, &mut self.key] {
            *path = folder.join(&*path);
        }
    }
}
