//! The machine loses its power: what had not reached the disk is gone from the journal.

use peregrine::journal::format::{HEADER_BYTES, RECORD_BYTES};
use std::fs;
use std::path::{Path, PathBuf};

/// Takes the newest `inputs` inputs, and whatever came of them, out of an unsealed journal. What
/// stands in a segment that was sealed is on disk.
pub fn lose(dir: &Path, inputs: u64) {
    let Some((path, bytes)) = last_segment(dir, 0) else { return };
    let numbers: Vec<u64> = records(&bytes).map(|at| seq(&bytes, at)).collect();
    let Some((&first, &newest)) = numbers.first().zip(numbers.last()) else { return };
    let kept = newest.saturating_sub(inputs).max(first);
    wipe(&path, bytes, kept);
    for lane in 1..4 {
        if let Some((path, bytes)) = last_segment(dir, lane) {
            wipe(&path, bytes, kept);
        }
    }
}

fn last_segment(dir: &Path, lane: usize) -> Option<(PathBuf, Vec<u8>)> {
    let begins = format!("lane{lane}-");
    let is_of_lane = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with(&begins) && name.ends_with(".pgj"))
    };
    let files = fs::read_dir(dir).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut segments: Vec<PathBuf> = files.filter(is_of_lane).collect();
    segments.sort();
    // The newest may be prepared and not begun.
    let mut segments = segments.into_iter().rev().map(|path| {
        let bytes = fs::read(&path).expect("a segment can be read");
        (path, bytes)
    });
    segments.find(|(_, bytes)| records(bytes).next().is_some())
}

/// Where a segment's written records begin.
fn records(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let all = (HEADER_BYTES..bytes.len()).step_by(RECORD_BYTES);
    all.take_while(|at| bytes[*at] != 0)
}

fn seq(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at + 8..at + 16].try_into().expect("eight bytes"))
}

/// Zeroes the records behind the input `kept`.
fn wipe(path: &Path, mut bytes: Vec<u8>, kept: u64) {
    let gone: Vec<usize> = records(&bytes).filter(|at| seq(&bytes, *at) > kept).collect();
    gone.iter().for_each(|at| bytes[*at..*at + RECORD_BYTES].fill(0));
    fs::write(path, bytes).expect("a segment can be written");
}
