//! Command lines of the steps from a data set to a decision: `chain` runs them itself and tells
//! them as they would be typed, a night runs each in a process of its own.

use anyhow::Result;
use std::ffi::OsString;
use std::path::Path;

/// Exit code of a gate that says NO-GO.
pub const EXIT_NO_GO: u8 = 3;

/// A command with files by the names of its options, and with more behind them.
pub fn words(command: &str, files: &[(&str, &Path)], more: &[OsString]) -> Vec<OsString> {
    let pairs = files.iter().flat_map(|(name, path)| [OsString::from(name), (*path).into()]);
    [OsString::from(command)].into_iter().chain(pairs).chain(more.iter().cloned()).collect()
}

fn thread_words(threads: u16) -> [OsString; 2] {
    ["--threads".into(), threads.to_string().into()]
}

/// Validates on the data set.
pub fn walk_forward([data, out, config]: [&Path; 3], threads: u16) -> Vec<OsString> {
    let files = [("--data", data), ("--out", out), ("--config", config)];
    words("walk-forward", &files, &thread_words(threads))
}

/// Trains a version, going on from `warm`; a depth of 0 is that of no trees.
pub fn train(
    [data, out, config]: [&Path; 3],
    warm: Option<&Path>,
    (depth, threads): (u64, u16),
) -> Vec<OsString> {
    let mut files = vec![("--data", data), ("--out", out), ("--config", config)];
    files.extend(warm.map(|warm| ("--warm-start", warm)));
    let mut more = thread_words(threads).to_vec();
    if depth > 0 {
        more.extend(["--depth".into(), depth.to_string().into()]);
    }
    words("train", &files, &more)
}

/// Puts a version under stress.
pub fn stress([model, config, scenarios, gates, out]: [&Path; 5], threads: u16) -> Vec<OsString> {
    let files = [
        ("--model", model),
        ("--config", config),
        ("--scenarios", scenarios),
        ("--gates", gates),
        ("--out", out),
    ];
    words("stress", &files, &thread_words(threads))
}

/// Decides on a version; without a time, milliseconds since the epoch, now.
///
/// # Errors
/// A time that no calendar has.
pub fn gate(
    [model, evidence, config, key, out]: [&Path; 5],
    decided_at: Option<i64>,
) -> Result<Vec<OsString>> {
    let files = [
        ("--model", model),
        ("--evidence", evidence),
        ("--config", config),
        ("--key", key),
        ("--out", out),
    ];
    let mut more = Vec::new();
    if let Some(at) = decided_at {
        let at = jiff::Timestamp::from_millisecond(at)?.to_string();
        more.extend(["--decided-at".into(), at.into()]);
    }
    Ok(words("gate", &files, &more))
}
