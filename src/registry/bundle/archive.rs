//! Tar and gzip of a bundle: one form, made from names and bytes, and read back only as that. Each
//! of these names stands in it once at most, so there are never more than twelve files.
//!
//! | name | most bytes | |
//! |---|---|---|
//! | `SHA256SUMS`, `manifest.json.sig` | 4 Ki | |
//! | `manifest.json` | 1 Mi | |
//! | `model.onnx`, `card.toml` | 64 Mi, 16 Mi | as everywhere |
//! | [`PAPERS`] and [`REPORTS`] | 4 Mi | documents |

use crate::model::artifact::{CARD_BYTES_MAX, CARD_FILE, ONNX_BYTES_MAX, ONNX_FILE, read_capped};
use flate2::bufread::GzDecoder;
use flate2::{Compression, GzBuilder};
use std::collections::BTreeMap;
use std::io::{Error, Read, Write};
use std::path::Path;
use tar::{Archive, Builder, EntryType, Header};

/// Files of a bundle by name, sorted as they stand in it.
pub(super) type Parts = BTreeMap<String, Vec<u8>>;

pub(super) const SUMS_FILE: &str = "SHA256SUMS";
pub(super) const MANIFEST_FILE: &str = "manifest.json";
pub(super) const SIGNATURE_FILE: &str = "manifest.json.sig";
/// Documents that say something of the version: their names and what names it in them.
pub(super) const PAPERS: [(&str, &str); 4] = [
    ("gate_decision.json", "model"),
    ("promotion_verdict.json", "challenger"),
    ("approval_risk.json", "challenger"),
    ("approval_mlops.json", "challenger"),
];
const REPORTS: [&str; 3] = ["gate_decision.pdf", "wfv_report.md", "stress_test_results.md"];

/// Largest bundle, bytes: what its files may have together.
pub(super) const BUNDLE_BYTES_MAX: u64 = 112 << 20;
/// Most bytes of one document.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// How many times a bundle may grow when it is decompressed; models and cards grow up to ten times.
const RATIO_MAX: u64 = 100;
/// A small bundle may grow to this in any case, bytes: tar rounds up.
const GROWN_BYTES_MIN: u64 = 1 << 20;
const BLOCK_BYTES: usize = 512;
/// Magic and method of gzip, and no flags: no name, comment or extra field.
const GZIP_HEAD: [u8; 4] = [0x1f, 0x8b, 8, 0];
/// The system a gzip file was made on: unknown.
const GZIP_SYSTEM: u8 = 255;

/// The most bytes a file of that name may have; `None` for a name that stands in no bundle.
pub(super) fn cap(name: &str) -> Option<u64> {
    match name {
        SUMS_FILE | SIGNATURE_FILE => Some(4 << 10),
        MANIFEST_FILE => Some(1 << 20),
        ONNX_FILE => Some(ONNX_BYTES_MAX),
        CARD_FILE => Some(CARD_BYTES_MAX),
        _ => is_document(name).then_some(DOCUMENT_BYTES_MAX),
    }
}

pub(super) fn is_document(name: &str) -> bool {
    PAPERS.iter().any(|(paper, _)| *paper == name) || REPORTS.contains(&name)
}

/// Reads a document; its name says what it is.
pub(super) fn document(path: &Path) -> Result<(String, Vec<u8>), String> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if !is_document(name) {
        let papers = PAPERS.map(|(paper, _)| paper).join(", ");
        let lawful = format!("{papers}, {}", REPORTS.join(", "));
        return Err(format!("{}: a document is called one of {lawful}", path.display()));
    }
    let bytes = read_capped(path, DOCUMENT_BYTES_MAX).map_err(|error| error.to_string())?;
    Ok((name.to_owned(), bytes))
}

/// The bundle of these files.
pub(super) fn encode(parts: &Parts) -> Result<Vec<u8>, Error> {
    let writer = GzBuilder::new().mtime(0).operating_system(GZIP_SYSTEM);
    let mut writer = writer.write(Vec::new(), Compression::best());
    writer.write_all(&tar_of(parts)?)?;
    writer.finish()
}

/// Plain ustar: sorted, nobody's, of no time.
fn tar_of(parts: &Parts) -> Result<Vec<u8>, Error> {
    let mut builder = Builder::new(Vec::new());
    for (name, bytes) in parts {
        let mut header = Header::new_ustar();
        header.set_path(name)?;
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        builder.append(&header, &bytes[..])?;
    }
    builder.into_inner()
}

/// The files of a bundle, whoever made it.
///
/// # Errors
/// The file at fault and the rule it breaks.
pub(super) fn decode(bytes: &[u8]) -> Result<Parts, String> {
    let tar = decompress(bytes)?;
    let mut parts = Parts::new();
    let mut archive = Archive::new(&tar[..]);
    let entries = archive.entries().map_err(|error| format!("tar: {error}"))?;
    // Raw: a header means what stands in it, and no other header changes that.
    for entry in entries.raw(true) {
        let mut entry = entry.map_err(|error| format!("tar: {error}"))?;
        let header = entry.header();
        let name = checked_name(header)?;
        let size = header.entry_size().map_err(|error| format!("{name}: {error}"))?;
        let most = cap(&name).ok_or_else(|| format!("{name:?}: no bundle holds such a file"))?;
        if size > most {
            return Err(format!("{name}: {size} bytes, {most} are allowed"));
        }
        if parts.contains_key(&name) {
            return Err(format!("{name}: stands there twice"));
        }
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(|error| format!("{name}: {error}"))?;
        if content.len() as u64 != size {
            return Err(format!("{name}: is cut off"));
        }
        parts.insert(name, content);
    }
    let written = tar_of(&parts).map_err(|error| format!("tar: {error}"))?;
    if written != tar {
        let at = written.iter().zip(&tar).take_while(|(a, b)| a == b).count() / BLOCK_BYTES;
        return Err(format!("tar: not as `model export` writes it, from block {at} on"));
    }
    Ok(parts)
}

/// One gzip member and nothing behind it, within the caps.
fn decompress(bytes: &[u8]) -> Result<Vec<u8>, String> {
    if !bytes.starts_with(&GZIP_HEAD) {
        return Err("gzip: no bundle begins like that".to_owned());
    }
    let grown = (bytes.len() as u64).saturating_mul(RATIO_MAX).max(GROWN_BYTES_MIN);
    let most = grown.min(BUNDLE_BYTES_MAX);
    let mut rest = bytes;
    let mut tar = Vec::new();
    let mut reader = GzDecoder::new(&mut rest).take(most + 1);
    reader.read_to_end(&mut tar).map_err(|error| format!("gzip: {error}"))?;
    drop(reader);
    if tar.len() as u64 > most {
        return Err(format!("gzip: grows beyond {most} bytes"));
    }
    if !rest.is_empty() {
        return Err(format!("gzip: {} bytes behind its end", rest.len()));
    }
    Ok(tar)
}

/// The name of a regular file in the bundle's one folder.
fn checked_name(header: &Header) -> Result<String, String> {
    let bytes = header.path_bytes();
    let name = String::from_utf8_lossy(&bytes).into_owned();
    let kind = match header.entry_type() {
        EntryType::Regular => None,
        EntryType::Symlink | EntryType::Link => Some("is a link"),
        EntryType::Char | EntryType::Block | EntryType::Fifo => Some("is a device"),
        EntryType::Directory => Some("is a folder"),
        EntryType::GNUSparse => Some("is sparse"),
        EntryType::XHeader | EntryType::XGlobalHeader => Some("is an extended header"),
        EntryType::GNULongName | EntryType::GNULongLink => Some("is a long name"),
        _ => Some("is of no kind that stands in a bundle"),
    };
    match kind {
        Some(kind) => Err(format!("{name:?}: {kind}")),
        None if name.starts_with('/') || name.split('/').any(|part| part == "..") => {
            Err(format!("{name:?}: leads out of the bundle"))
        }
        None => Ok(name),
    }
}
