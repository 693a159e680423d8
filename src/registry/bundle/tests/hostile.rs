//! Archives that nobody who means well would write. Each is refused, and nothing happens.

use super::super::Bundle;
use super::super::archive::{MANIFEST_FILE, Parts};
use super::whole::gzip;
use super::{bundle_of, finished, tiny_parts};
use crate::model::artifact::{CARD_FILE, ONNX_FILE};
use crate::registry::Registry;
use crate::registry::tests::{change, key, staged};
use flate2::{Compression, GzBuilder};
use std::io::Write;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// Writes any header, lawful or not: the name goes in byte by byte.
fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header
}

/// A good bundle's files with entries put before them, not compressed.
fn with_before(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (header, content) in entries {
        builder.append(header, *content).unwrap();
    }
    for (name, bytes) in &tiny_parts(None) {
        let regular = header(name.as_bytes(), EntryType::Regular, bytes.len() as u64);
        builder.append(&regular, &bytes[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Every folder and file below, with sizes.
fn tree(dir: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let facts = std::fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), facts.len()));
        if facts.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}

/// Refused with these words; the folder it lies in and the registry beside it are as before.
fn refused(what: &str, bytes: &[u8], told: &str) {
    let (root, mut registry) = staged(&[]);
    let path = root.path().join("bundle.tar.gz");
    std::fs::write(&path, bytes).unwrap();
    let before = tree(root.path());
    let error = match Bundle::read(&path) {
        Err(error) => error,
        Ok(bundle) => registry.import((&path, &bundle), None, change("x")).unwrap_err(),
    };
    let error = error.to_string();
    assert_eq!(error.lines().count(), 1, "{what}: {error:?}");
    assert!(error.contains("bundle.tar.gz") || error.contains("tiny-1"), "{what}: {error}");
    assert!(error.contains(told), "{what}: {told:?} is not in {error:?}");
    assert_eq!(tree(root.path()), before, "{what}: something was written");
    let there = Registry::open(&root.path().join("models")).unwrap();
    assert_eq!(there.list().count(), 0, "{what}");
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let long = [b'a'; 100];
    let cases: [(&[u8], &str); 14] = [
        (b"../model.onnx", "leads out"),
        (b"a/../../model.onnx", "leads out"),
        (b"..", "leads out"),
        (b"/etc/passwd", "leads out"),
        (b"//model.onnx", "leads out"),
        (b"./model.onnx", "no bundle holds"),
        (b"v1/model.onnx", "no bundle holds"),
        (b"model.onnx/", "no bundle holds"),
        (b"MODEL.ONNX", "no bundle holds"),
        (b"model.onnx ", "no bundle holds"),
        (b"registry.json", "no bundle holds"),
        (b"a\nb\x1b[2J", "no bundle holds"),
        (b"\xff\xfe", "no bundle holds"),
        (&long, "no bundle holds"),
    ];
    for (name, told) in cases {
        let hostile = (header(name, EntryType::Regular, 1), &b"x"[..]);
        refused(&String::from_utf8_lossy(name), &gzip(&with_before(&[hostile])), told);
    }
    let mut prefixed = header(b"model.onnx", EntryType::Regular, 1);
    prefixed.as_mut_bytes()[345..348].copy_from_slice(b"/up");
    prefixed.set_cksum();
    refused("a prefix", &gzip(&with_before(&[(prefixed, b"x")])), "leads out");
}

#[test]
fn entries_that_are_no_files_are_refused() {
    let kinds = [
        (EntryType::Symlink, "is a link"),
        (EntryType::Link, "is a link"),
        (EntryType::Char, "is a device"),
        (EntryType::Block, "is a device"),
        (EntryType::Fifo, "is a device"),
        (EntryType::Directory, "is a folder"),
        (EntryType::GNUSparse, "is sparse"),
        (EntryType::GNULongName, "is a long name"),
        (EntryType::GNULongLink, "is a long name"),
        (EntryType::XHeader, "is an extended header"),
        (EntryType::XGlobalHeader, "is an extended header"),
        (EntryType::Continuous, "of no kind"),
        (EntryType::new(b'V'), "of no kind"),
        (EntryType::new(0), "of no kind"),
    ];
    for (kind, told) in kinds {
        let mut hostile = header(b"model.onnx", kind, 0);
        if kind.is_symlink() || kind.is_hard_link() {
            hostile.set_link_name("/etc/passwd").unwrap();
            hostile.set_cksum();
        }
        // A plain file by its number may also be one by an older number: only the newer is written.
        let told = if kind == EntryType::new(0) { "" } else { told };
        refused(&format!("{kind:?}"), &gzip(&with_before(&[(hostile, b"")])), told);
    }
    // An extended header that makes the next file longer, or calls it otherwise.
    for record in ["20 size=99999999999\n", "24 path=../../x/passwd\n\n"] {
        let size = record.len() as u64;
        let extended = (header(b"x", EntryType::XHeader, size), record.as_bytes());
        refused(record, &gzip(&with_before(&[extended])), "is an extended header");
    }
}

#[test]
fn sizes_beyond_the_caps_and_bombs_are_refused() {
    for (name, size) in [
        (ONNX_FILE, (64 << 20) + 1),
        (CARD_FILE, (16 << 20) + 1),
        (MANIFEST_FILE, (1 << 20) + 1),
        ("wfv_report.md", u64::MAX / 2),
    ] {
        let tar = header(name.as_bytes(), EntryType::Regular, size).as_bytes().to_vec();
        refused(name, &gzip(&tar), "are allowed");
    }
    let mut lying = header(ONNX_FILE.as_bytes(), EntryType::Regular, 1 << 20).as_bytes().to_vec();
    lying.extend([0; 512]);
    refused("a file that is not all there", &gzip(&lying), "cut off");
    let zeros = vec![0; 64 << 20];
    refused("a bomb", &gzip(&zeros), "grows beyond");
    refused("a bomb in a bomb", &gzip(&gzip(&zeros)), "");
    let mut negative = header(ONNX_FILE.as_bytes(), EntryType::Regular, 0);
    negative.as_mut_bytes()[124..136].copy_from_slice(&[0xff; 12]);
    negative.set_cksum();
    refused("a negative size", &gzip(negative.as_bytes()), "");
}

#[test]
fn files_twice_out_of_order_or_too_few_are_refused() {
    for name in [ONNX_FILE, CARD_FILE, MANIFEST_FILE] {
        let twice = (header(name.as_bytes(), EntryType::Regular, 1), &b"x"[..]);
        refused(name, &gzip(&with_before(&[twice])), "twice");
    }
    let parts = tiny_parts(None);
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in parts.iter().rev() {
        let regular = header(name.as_bytes(), EntryType::Regular, bytes.len() as u64);
        builder.append(&regular, &bytes[..]).unwrap();
    }
    refused("backwards", &gzip(&builder.into_inner().unwrap()), "not as `model export`");
    for name in parts.keys() {
        let mut fewer = parts.clone();
        fewer.remove(name);
        refused(name, &bundle_of(&fewer), name);
    }
    refused("nothing", &bundle_of(&Parts::new()), "is missing");
    let mut more = parts.clone();
    more.insert("stress_test_results.md".to_owned(), b"x".to_vec());
    refused("one more", &bundle_of(&more), "stress_test_results.md");
}

#[test]
fn bytes_that_are_nobodys_are_refused() {
    let parts = tiny_parts(None);
    let good = bundle_of(&parts);
    refused("behind the end", &[&good[..], b"x"].concat(), "behind its end");
    refused("a second member", &[&good[..], &good[..]].concat(), "behind its end");
    refused("half", &good[..good.len() / 2], "gzip");
    refused("empty", b"", "no bundle begins");
    refused("not compressed", &with_before(&[]), "no bundle begins");
    let tar = with_before(&[]);
    let more = [&tar[..], &[0; 512]].concat();
    refused("more zeros", &gzip(&more), "not as `model export`");
    let behind = [&tar[..], &tar[..]].concat();
    refused("a tar behind the tar", &gzip(&behind), "not as `model export`");
    // The room between a file's end and the next block.
    let name = parts.keys().next().unwrap();
    let mut padded = tar.clone();
    padded[512 + parts[name].len()] = 1;
    refused("padding", &gzip(&padded), "not as `model export`");
    for (what, set) in [
        ("owner", (|h| h.set_uid(1_000)) as fn(&mut Header)),
        ("time", |h| h.set_mtime(1)),
        ("set-user-id", |h| h.set_mode(0o4755)),
        ("user name", |h| h.set_username("root").unwrap()),
    ] {
        let mut hostile = header(b"wfv_report.md", EntryType::Regular, 0);
        set(&mut hostile);
        hostile.set_cksum();
        let only = gzip(hostile.as_bytes());
        refused(what, &only, "");
        let (mut builder, files) = (Builder::new(Vec::new()), tiny_parts(None));
        for (name, bytes) in &files {
            let mut regular = header(name.as_bytes(), EntryType::Regular, bytes.len() as u64);
            set(&mut regular);
            regular.set_cksum();
            builder.append(&regular, &bytes[..]).unwrap();
        }
        refused(what, &gzip(&builder.into_inner().unwrap()), "not as `model export`");
    }
    let mut named =
        GzBuilder::new().mtime(0).filename("../../x").write(Vec::new(), Compression::fast());
    named.write_all(&tar).unwrap();
    refused("a name in gzip", &named.finish().unwrap(), "no bundle begins");
}

#[test]
fn a_manifest_that_says_more_less_or_something_else_is_refused() {
    let parts = tiny_parts(None);
    let text = String::from_utf8(parts[MANIFEST_FILE].clone()).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(text.contains(from), "{from} is not in {text}");
        text.replacen(from, to, 1).into_bytes()
    };
    let cases = [
        ("\"kind\":\"model_bundle\"", "\"kind\":\"other\"", "is a other of layout 1"),
        ("\"schema\":1", "\"schema\":2", "of layout 2"),
        ("\"schema\":1", "\"note\":1,\"schema\":1", "unknown field"),
        ("\"schema\":1", "\"schema\": 1", "not written as"),
        ("\"schema\":1", "\"schema\":1,\"schema\":1", "duplicate field"),
        ("\"seed\":7", "\"seed\":8", "not of this card"),
        ("\"log_loss\":1.02", "\"log_loss\":1.03", "not of this card"),
        ("\"version\":\"tiny-1\"", "\"version\":\"tiny-2\"", "the card tiny-1"),
        ("\"version\":\"tiny-0\"", "\"version\":\"tiny-9\"", "does not begin with its parent"),
        (
            "\"signatures\":[]",
            "\"signatures\":[{\"public_key\":\"x\",\"signature\":\"y\"}]",
            "is not of",
        ),
    ];
    for (from, to, told) in cases {
        let other = finished(parts.clone(), edit(from, to), None);
        refused(to, &bundle_of(&other), told);
    }
    let own = text.replace("tiny-0", "tiny-1").into_bytes();
    refused("own parent", &bundle_of(&finished(parts.clone(), own, None)), "its own parent");
    let mut changed = parts.clone();
    changed.insert(ONNX_FILE.to_owned(), b"other!!".to_vec());
    refused("another model", &bundle_of(&changed), "model.onnx: SHA-256");
    changed.insert(ONNX_FILE.to_owned(), b"longer than that".to_vec());
    refused("a longer model", &bundle_of(&changed), "model.onnx: 16 bytes");
    let mut sums = parts.clone();
    sums.insert("SHA256SUMS".to_owned(), b"".to_vec());
    refused("no sums", &bundle_of(&sums), "SHA256SUMS");
}

#[test]
fn a_signature_of_another_manifest_is_refused_whoever_is_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, _) = key(dir.path(), "key");
    let mut parts = tiny_parts(Some(&signing));
    let other = crate::registry::seal::detached(b"other", &signing).unwrap();
    parts.insert("manifest.json.sig".to_owned(), other.into_bytes());
    refused("another text's", &bundle_of(&parts), "the signature is not of this text");
    parts.insert("manifest.json.sig".to_owned(), b"{}".to_vec());
    refused("none", &bundle_of(&parts), "is no signature");
}

#[test]
fn a_whole_bundle_whose_model_does_not_load_is_refused() {
    refused("no model", &bundle_of(&tiny_parts(None)), "tiny-1");
}
