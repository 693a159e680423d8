//! Bundles: the same bytes twice, everything back, and nothing of what hostile ones would do.

mod hostile;
mod whole;

use super::archive::{MANIFEST_FILE, Parts, SIGNATURE_FILE, SUMS_FILE, encode};
use super::manifest::{Manifest, sums};
use crate::model::artifact::{CARD_FILE, CLASSES, ONNX_FILE, hex, sha256};
use crate::model::{ArtifactFiles, Card, CreatedFrom, Golden};
use crate::registry::record::Ancestor;
use crate::registry::seal::{SigningKey, detached};
use crate::registry::{Birth, new_record};
use std::collections::BTreeMap;

/// A version of a few bytes; its model is none, which only `import` looks at.
pub(super) fn tiny() -> ArtifactFiles {
    let onnx = b"a graph".to_vec();
    let card = Card {
        version: "tiny-1".to_owned(),
        model_sha256: hex(&sha256(&onnx)),
        schema_hash: "0123456789abcdef".to_owned(),
        horizon_ms: 1_000,
        bar_interval_ms: None,
        classes: CLASSES.map(str::to_owned).to_vec(),
        features: vec!["spread_bps".to_owned()],
        created_from: CreatedFrom {
            data_hash: "d".repeat(64),
            seed: 7,
            code: "c".repeat(40),
            training_sha256: None,
        },
        metrics: BTreeMap::from([("log_loss".to_owned(), 1.02), ("auc".to_owned(), 0.1 + 0.2)]),
        training: None,
        golden: Golden::pack(1, &[1.0], &[], &[0.25, 0.5, 0.25], &[], &[]),
    };
    ArtifactFiles::from_bytes(onnx, card.to_toml().unwrap()).unwrap()
}

/// The files of a bundle of it.
pub(super) fn tiny_parts(key: Option<&SigningKey>) -> Parts {
    let files = tiny();
    let parent = Some("tiny-0".to_owned());
    let birth = Birth { parent, config_sha256: Some("f".repeat(64)), ..Birth::default() };
    let record = new_record(&files, birth, 1_700_000_000_000);
    let lineage = vec![Ancestor {
        version: "tiny-0".to_owned(),
        model_sha256: Some("a".repeat(64)),
        data_hash: Some("b".repeat(64)),
        seed: Some(6),
        code: None,
    }];
    let mut parts = Parts::new();
    parts.insert("wfv_report.md".to_owned(), b"# Report\n".to_vec());
    parts.insert(ONNX_FILE.to_owned(), files.onnx);
    parts.insert(CARD_FILE.to_owned(), files.card_text.into_bytes());
    let manifest = Manifest::new("tiny-1", (&record, &tiny().card), lineage, &parts).text();
    finished(parts, manifest.into_bytes(), key)
}

/// With a manifest, sums and a signature that go with the rest.
pub(super) fn finished(mut parts: Parts, manifest: Vec<u8>, key: Option<&SigningKey>) -> Parts {
    if let Some(key) = key {
        let signature = detached(&manifest, key).unwrap().into_bytes();
        parts.insert(SIGNATURE_FILE.to_owned(), signature);
    }
    parts.insert(MANIFEST_FILE.to_owned(), manifest);
    let sums = sums(&parts).into_bytes();
    parts.insert(SUMS_FILE.to_owned(), sums);
    parts
}

pub(super) fn bundle_of(parts: &Parts) -> Vec<u8> {
    encode(parts).unwrap()
}
