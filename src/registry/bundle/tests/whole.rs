//! What is exported comes back whole, and no byte of it can be changed unseen.

use super::super::archive::{MANIFEST_FILE, decode};
use super::super::{Bundle, Imported};
use super::{bundle_of, tiny, tiny_parts};
use crate::registry::seal::{PublicKey, SigningKey};
use crate::registry::tests::{change, key, staged, version};
use crate::registry::{Birth, Registry, Stage};
use flate2::{Compression, GzBuilder};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn written(dir: &Path, bytes: &[u8]) -> PathBuf {
    let path = dir.join("bundle.tar.gz");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn imported(registry: &mut Registry, path: &Path, trusted: Option<&[PublicKey]>) -> Imported {
    let bundle = Bundle::read(path).unwrap();
    registry.import((path, &bundle), trusted, change("brought")).unwrap()
}

/// The registry of this repository.
fn shipped() -> Registry {
    Registry::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models_saved")).unwrap()
}

/// A registry with `v1`, and `v2` made from it.
fn family() -> (tempfile::TempDir, Registry) {
    let (root, mut registry) = staged(&["v1"]);
    let birth = Birth {
        parent: Some("v1".to_owned()),
        config_sha256: Some("c".repeat(64)),
        ..Birth::default()
    };
    registry.register_born(&version(root.path(), "v2"), birth, change("trained")).unwrap();
    (root, registry)
}

#[test]
fn the_same_version_makes_the_same_bytes_and_comes_back_with_its_lineage() {
    let (root, mut registry) = family();
    let (signing, public) = key(root.path(), "key");
    registry.sign("v2", &signing, change("looked at")).unwrap();
    let bytes = registry.export("v2", &[], Some(&signing)).unwrap();
    assert_eq!(registry.export("v2", &[], Some(&signing)).unwrap(), bytes);
    registry.advance("v2", Stage::Shadow, change("a stage is no part of it")).unwrap();
    assert_eq!(registry.export("v2", &[], Some(&signing)).unwrap(), bytes);

    let (other_root, mut other) = staged(&[]);
    let path = written(other_root.path(), &bytes);
    let told = imported(&mut other, &path, Some(&[public]));
    assert_eq!((told.version.as_str(), told.signed_by), ("v2", Some(public)));
    assert_eq!(told.vouchers, [public]);
    let (own, theirs) = (registry.show("v2").unwrap(), other.show("v2").unwrap());
    assert_eq!(theirs.stage, Stage::Staged);
    assert_eq!((&own.files, &own.metrics), (&theirs.files, &theirs.metrics));
    assert_eq!((&own.parent, &own.config_sha256), (&theirs.parent, &theirs.config_sha256));
    assert_eq!(registry.lineage("v2"), other.lineage("v2"));
    assert_eq!(other.unsigned(Some(&[public])).unwrap(), []);
    assert_eq!(other.files("v2").unwrap().onnx, registry.files("v2").unwrap().onnx);
    assert!(other.verify().unwrap().problems.is_empty());
    let entry = &other.history()[0];
    assert_eq!((entry.papers[0].kind.as_str(), &entry.papers[0].sha256), ("bundle", &told.sha256));
    assert_eq!(other.export("v2", &[], Some(&signing)).unwrap(), bytes, "and goes on as it came");
}

#[test]
fn a_bundle_is_signed_by_a_trusted_key_where_one_is_asked_for() {
    let (root, registry) = family();
    let ((signing, public), (_, other)) = (key(root.path(), "ours"), key(root.path(), "theirs"));
    type Case<'k> = (Option<&'k SigningKey>, Option<&'k [PublicKey]>, Result<bool, &'k str>);
    let cases: [Case<'_>; 5] = [
        (None, None, Ok(false)),
        (Some(&signing), None, Ok(true)),
        (Some(&signing), Some(&[other, public]), Ok(true)),
        (Some(&signing), Some(&[other]), Err("not trusted")),
        (None, Some(&[public]), Err("manifest.json.sig: is missing")),
    ];
    for (by, trusted, expected) in cases {
        let (there, mut registry_there) = staged(&[]);
        let path = written(there.path(), &registry.export("v2", &[], by).unwrap());
        let bundle = Bundle::read(&path).unwrap();
        let taken = registry_there.import((&path, &bundle), trusted, change("x"));
        match expected {
            Ok(signed) => assert_eq!(taken.unwrap().signed_by.is_some(), signed),
            Err(told) => {
                let refused = taken.unwrap_err().to_string();
                assert!(refused.contains("bundle.tar.gz") && refused.contains(told), "{refused}");
                assert_eq!(registry_there.list().count(), 0);
            }
        }
    }
}

#[test]
fn every_version_is_imported_once_and_under_the_parent_that_it_has() {
    let (root, registry) = family();
    let path = written(root.path(), &registry.export("v2", &[], None).unwrap());
    let (_there, mut other) = staged(&["v1"]);
    imported(&mut other, &path, None);
    let bundle = Bundle::read(&path).unwrap();
    let again = other.import((&path, &bundle), None, change("x")).unwrap_err().to_string();
    assert!(again.contains("v2 is registered already"), "{again}");
    // A version of that name which is another model.
    let (there, mut stranger) = staged(&[]);
    let champion = shipped().champion().unwrap();
    let from = there.path().join("other");
    std::fs::create_dir(&from).unwrap();
    std::fs::write(from.join("model.onnx"), &champion.onnx).unwrap();
    let own = format!("version = \"{}\"", champion.card.version);
    let card = champion.card_text.replacen(&own, "version = \"v1\"", 1);
    std::fs::write(from.join("card.toml"), card).unwrap();
    stranger.register(&from, None, change("x")).unwrap();
    let refused = stranger.import((&path, &bundle), None, change("x")).unwrap_err().to_string();
    assert!(refused.contains("manifest.json") && refused.contains("v1"), "{refused}");
    assert!(!there.path().join("models/v2").exists());
}

/// What a bundle holds, as far as anybody can tell.
fn content(bytes: &[u8]) -> Result<(Vec<u8>, String, String), String> {
    let bundle = Bundle::parse(bytes)?;
    bundle.signer(None)?;
    Ok((bundle.files.onnx, bundle.files.card_text, bundle.manifest.text()))
}

#[test]
fn every_flipped_bit_of_a_small_bundle_is_refused_or_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, _) = key(dir.path(), "key");
    let whole = bundle_of(&tiny_parts(Some(&signing)));
    let before = content(&whole).unwrap();
    let mut taken = Vec::new();
    for at in 0..whole.len() * 8 {
        let mut changed = whole.clone();
        changed[at / 8] ^= 1 << (at % 8);
        match content(&changed) {
            Ok(found) => {
                assert_eq!(found, before, "bit {at}");
                taken.push(at / 8);
            }
            Err(told) => assert!(!told.is_empty()),
        }
    }
    // Time, level and system of the gzip header say nothing about the content, and a few bits of
    // its stream another way to say the same.
    assert!(taken.len() < whole.len() / 10, "{} of {} bits", taken.len(), whole.len() * 8);
}

/// The tar inside, and a bundle around another one.
fn tar_inside(bundle: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(bundle), &mut tar).unwrap();
    tar
}

pub(super) fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::fast());
    writer.write_all(tar).unwrap();
    writer.finish().unwrap()
}

#[test]
fn below_the_checksum_of_gzip_every_flipped_byte_is_refused_too() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, _) = key(dir.path(), "key");
    let tar = tar_inside(&bundle_of(&tiny_parts(Some(&signing))));
    assert!(content(&gzip(&tar)).is_ok());
    for at in 0..tar.len() {
        let mut changed = tar.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(content(&gzip(&changed)).is_err(), "byte {at}, of {:?}", changed[at]);
    }
}

#[test]
fn a_large_bundle_is_refused_wherever_it_is_cut_or_flipped() {
    let registry = shipped();
    let champion = registry.champion_version().unwrap();
    let whole = registry.export(champion, &[], None).unwrap();
    let tar = tar_inside(&whole);
    let before = content(&whole).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 300) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        assert!(content(&changed).map_or(true, |found| found == before), "byte {at}");
        assert!(content(&whole[..at]).is_err(), "cut at {at}");
    }
    for at in (0..tar.len()).step_by(tar.len() / 100) {
        let mut changed = tar.clone();
        changed[at] ^= 0x10;
        assert!(content(&gzip(&changed)).is_err(), "byte {at} of the tar");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn bytes_put_in_taken_out_or_moved_are_refused_or_change_nothing(
        at in 0..9_000_usize,
        length in 1..600_usize,
        how in 0..4_u8,
        byte in proptest::prelude::any::<u8>(),
    ) {
        let tar = tar_inside(&bundle_of(&tiny_parts(None)));
        let before = content(&gzip(&tar)).unwrap();
        let at = at.min(tar.len());
        let end = (at + length).min(tar.len());
        let changed = match how {
            0 => [&tar[..at], &tar[end..]].concat(),
            1 => [&tar[..at], &vec![byte; length], &tar[at..]].concat(),
            2 => [&tar[..at], &vec![byte; end - at], &tar[end..]].concat(),
            _ => [&tar[..at], &tar[..end], &tar[at..]].concat(),
        };
        if let Ok(found) = content(&gzip(&changed)) {
            proptest::prop_assert_eq!(found, before);
            proptest::prop_assert_eq!(changed, tar);
        }
    }
}

#[test]
fn tar_and_sha256sum_read_a_bundle_as_they_read_any() {
    let dir = tempfile::tempdir().unwrap();
    let parts = tiny_parts(None);
    let path = written(dir.path(), &bundle_of(&parts));
    let out = dir.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let shell = "tar -xzf \"$0\" && sha256sum --strict --quiet -c SHA256SUMS";
    let run = Command::new("sh").current_dir(&out).args(["-c", shell]).arg(&path).output().unwrap();
    let error = String::from_utf8_lossy(&run.stderr).into_owned();
    if run.status.code() == Some(127) {
        println!("tar or sha256sum is not installed: nothing was compared");
        return;
    }
    assert!(run.status.success(), "{error}");
    for (name, bytes) in &parts {
        assert_eq!(&std::fs::read(out.join(name)).unwrap(), bytes, "{name}");
    }
}

#[test]
fn documents_go_along_when_they_are_of_this_version() {
    let (root, registry) = family();
    let record = registry.show("v2").unwrap();
    let paper = |version: &str, sha256: &str| {
        let body = serde_json::json!({"body": {"model": {"version": version, "sha256": sha256}}});
        let path = root.path().join("gate_decision.json");
        std::fs::write(&path, body.to_string()).unwrap();
        path
    };
    let own = record.file_sha256("model.onnx");
    let report = root.path().join("wfv_report.md");
    std::fs::write(&report, "# Report\n").unwrap();
    let given = [paper("v2", own), report];
    let bytes = registry.export("v2", &given, None).unwrap();
    let (there, mut other) = staged(&[]);
    let path = written(there.path(), &bytes);
    let told = imported(&mut other, &path, None);
    assert_eq!(told.documents, ["gate_decision.json", "wfv_report.md"]);
    let parts = decode(&bytes).unwrap();
    assert_eq!(parts["wfv_report.md"], b"# Report\n");
    for (version, sha256) in [("v1", own), ("v2", "0")] {
        let refused = registry.export("v2", &[paper(version, sha256)], None).unwrap_err();
        assert!(refused.to_string().contains("gate_decision.json: is not on"), "{refused}");
    }
    let other_name = root.path().join("notes.txt");
    std::fs::write(&other_name, "x").unwrap();
    let refused = registry.export("v2", &[other_name], None).unwrap_err().to_string();
    assert!(refused.contains("notes.txt"), "{refused}");
}

#[test]
fn the_manifest_tells_what_the_card_tells() {
    let parts = tiny_parts(None);
    let told: serde_json::Value = serde_json::from_slice(&parts[MANIFEST_FILE]).unwrap();
    let card = tiny().card;
    assert_eq!(told["record"]["seed"], card.created_from.seed);
    assert_eq!(told["record"]["code"], card.created_from.code.as_str());
    assert_eq!(told["record"]["data_hash"], card.created_from.data_hash.as_str());
    assert_eq!(told["files"]["model.onnx"]["sha256"], card.model_sha256.as_str());
    assert_eq!(told["lineage"][0]["version"], "tiny-0");
}
