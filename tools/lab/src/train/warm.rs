//! A version to go on from: trees of the same features, classes and labels.

use crate::export::read;
use crate::forward::config::Config;
use crate::forward::learn::Learned;
use crate::gbdt::Forest;
use crate::history::Rows;
use crate::learn::{Kind, Predictor};
use anyhow::{Context, Result, ensure};
use peregrine::features::schema_hash;
use peregrine::model::ArtifactFiles;
use peregrine::model::artifact::{CLASSES, hex, sha256};
use peregrine::registry::Registry;
use std::path::Path;

/// Most trees of a forest that was gone on from.
pub const TREES_MAX: usize = 30_000;

/// See the head of this file.
#[derive(Clone, Debug, PartialEq)]
pub struct Warm {
    /// Its name.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: [u8; 32],
    /// Trees of the classes.
    pub trees: Predictor,
    /// Trees of quantiles, where it has them.
    pub spread: Option<Forest>,
    schema_hash: u64,
    features: Vec<String>,
    /// What its labels mean, as [`Config::meaning`] has it.
    meaning: String,
    learned_until_ms: i64,
}

impl Warm {
    /// From a version's folder. Where that is in a registry, it is the version that was registered.
    ///
    /// # Errors
    /// Files that are not as hashed or registered; a model that is not of trees alone; one that
    /// does not tell what its labels mean.
    pub fn open(dir: &Path) -> Result<Self> {
        let files = ArtifactFiles::read(dir)?;
        let card = &files.card;
        let above = dir.parent().filter(|above| Registry::is_one(above));
        if let Some(above) = above {
            let registered = Registry::open(above)?.files(&card.version)?;
            ensure!(registered.sha256 == files.sha256, "is not the version that was registered");
        }
        let parent = read(&files.onnx, card.features.len())
            .with_context(|| format!("{} cannot be gone on from", card.version))?;
        ensure!(
            parent.trees.base.len() == CLASSES.len(),
            "{} tells {} classes apart, {} are needed",
            card.version,
            parent.trees.base.len(),
            CLASSES.len()
        );
        let property = |name: &str| {
            let value = parent.properties.get(name).cloned();
            value.with_context(|| {
                format!("{} does not tell its {name}: it was not trained on data", card.version)
            })
        };
        Ok(Self {
            version: card.version.clone(),
            sha256: files.sha256,
            schema_hash: card.schema_hash(),
            features: card.features.clone(),
            meaning: property("meaning_sha256")?,
            learned_until_ms: property("learned_until_ms")?.parse().context("learned_until_ms")?,
            trees: Predictor::Trees(parent.trees),
            spread: parent.spread,
        })
    }

    /// Whether what is to be learned is what it has learned, and whether it has seen nothing from
    /// `judged_from_ms` on.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, rows: &Rows, config: &Config, judged_from_ms: i64) -> Result<()> {
        let version = &self.version;
        ensure!(
            config.model.kind == Kind::Trees,
            "{version} is of trees, and model.kind is {}",
            config.model.kind.name()
        );
        ensure!(
            self.schema_hash == schema_hash(),
            "{version} was trained on the feature schema {:016x}, this is {:016x}",
            self.schema_hash,
            schema_hash()
        );
        let other = self.features.iter().zip(&rows.names).position(|(own, new)| own != new);
        if let Some(at) = other {
            let (own, new) = (&self.features[at], &rows.names[at]);
            anyhow::bail!("{version} takes {own} as feature {at}, the data have {new}");
        }
        ensure!(
            self.features.len() == rows.names.len(),
            "{version} takes {} features, the data have {}",
            self.features.len(),
            rows.names.len()
        );
        ensure!(
            self.meaning == config.meaning(),
            "{version} learned labels of another meaning: rows.bar_ms, label and costs must be as \
             they were"
        );
        ensure!(
            self.learned_until_ms < judged_from_ms,
            "{version} has learned from data up to {} ms, the new model would be judged from {} \
             ms on: newer data are needed",
            self.learned_until_ms,
            judged_from_ms
        );
        let trees = self.trees.forest().map_or(0, |forest| forest.trees.len());
        let most = trees + config.trees.rounds * CLASSES.len();
        ensure!(most <= TREES_MAX, "{most} trees, at most {TREES_MAX}: train a new model");
        Ok(())
    }
}

/// When the last label was known that anything was learned from, milliseconds.
pub(super) fn learned_until(rows: &Rows, learned: &Learned, warm: Option<&Warm>) -> i64 {
    let own = learned.fit.iter().chain(&learned.stop).map(|&row| rows.lives[row].until);
    own.chain(warm.map(|warm| warm.learned_until_ms)).max().unwrap_or(i64::MIN)
}

impl Config {
    /// SHA-256 of what a label means.
    pub fn meaning(&self) -> String {
        let meaning = (self.rows.bar_ms, &self.label, &self.costs);
        hex(&sha256(serde_json::to_string(&meaning).unwrap_or_default().as_bytes()))
    }
}
