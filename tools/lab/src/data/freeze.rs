//! Tables to a data set that can no longer change: every file is looked at, hashed, listed and
//! made read-only.

use super::import::{Imported, NOTES_FILE, notes};
use super::quality::{Quality, quality};
use anyhow::{Context, Result, ensure};
use peregrine::venue::dataset::{
    DataSet, FileEntry, MANIFEST_FILE, MANIFEST_VERSION, Manifest, QUALITY_FILE, Rows, SymbolFacts,
    hash_of,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Seek;
use std::path::Path;

/// The venue that every known layout comes from.
const VENUE: &str = "binance-usdm";

/// Freezes the tables imported into `dir` as the data set `name`.
///
/// # Errors
/// Nothing imported, a table that is missing or damaged, candles that cannot be, or a folder that
/// is frozen.
pub fn freeze(dir: &Path, name: &str) -> Result<DataSet> {
    freeze_but(dir, name, None)
}

/// The same, holding out the rows from a time on, milliseconds since the epoch.
///
/// # Errors
/// As [`freeze`], and a time at which nothing or everything would be held out.
pub fn freeze_but(dir: &Path, name: &str, hold_out_from_ms: Option<i64>) -> Result<DataSet> {
    let path = dir.join(MANIFEST_FILE);
    ensure!(!path.exists(), "{}: it is frozen already", dir.display());
    let mut imported = notes(dir)?;
    ensure!(!imported.is_empty(), "{}: nothing was imported into it", dir.display());
    // A file that was changed and imported again counts as it was last.
    let mut newest = BTreeMap::new();
    imported.drain(..).for_each(|table| {
        newest.insert(table.path.clone(), table);
    });
    let (mut files, mut steps, mut report) = (Vec::new(), BTreeMap::new(), String::new());
    let _ = writeln!(report, "# Quality of {name}\n\nNothing was mended: this is what is there.\n");
    for table in newest.values() {
        let (entry, found) = look(dir, table)?;
        let step: &mut (i64, i64) = steps.entry(table.symbol.clone()).or_default();
        *step = (finest(step.0, found.tick), finest(step.1, found.lot));
        tell(&mut report, table, &found);
        ensure!(
            found.impossible.is_empty(),
            "{}: {}; mend the source",
            table.path,
            found.lines().first().cloned().unwrap_or_default()
        );
        files.push(entry);
    }
    let symbol = |(symbol, (tick, lot)): (String, (i64, i64))| SymbolFacts {
        symbol,
        tick: tick.max(1),
        lot: lot.max(1),
    };
    if let Some(from) = hold_out_from_ms {
        let first = files.iter().map(|entry: &FileEntry| entry.first_ms).min().unwrap_or(0);
        let last = files.iter().map(|entry| entry.last_ms).max().unwrap_or(0);
        ensure!(
            first < from && from <= last,
            "the hold-out begins at {}, which is not within {} to {}",
            super::quality::at(from),
            super::quality::at(first),
            super::quality::at(last)
        );
        let _ = writeln!(report, "Held out from {} on.\n", super::quality::at(from));
    }
    let manifest = Manifest {
        manifest_version: MANIFEST_VERSION,
        name: name.to_owned(),
        venue: VENUE.to_owned(),
        symbols: steps.into_iter().map(symbol).collect(),
        hold_out_from_ms,
        files,
    };
    let text = manifest.text().map_err(anyhow::Error::msg)?;
    fs::write(dir.join(QUALITY_FILE), report)?;
    for entry in &manifest.files {
        seal(&dir.join(&entry.path))?;
    }
    // The manifest comes last and whole: a folder with one is frozen.
    let draft = dir.join(".data_manifest.draft");
    fs::write(&draft, text)?;
    File::open(&draft)?.sync_all()?;
    fs::rename(&draft, &path)?;
    seal(&path)?;
    fs::remove_file(dir.join(NOTES_FILE))?;
    Ok(DataSet::open(dir)?)
}

fn look(dir: &Path, table: &Imported) -> Result<(FileEntry, Quality)> {
    let path = dir.join(&table.path);
    let mut file = File::open(&path).with_context(|| path.display().to_string())?;
    let (sha256, bytes) = hash_of(&mut file)?;
    file.rewind()?;
    let mut rows = Rows::read(file, &path, table.stream, table.rows)?;
    let found = quality(&mut rows, table.stream, table.interval_ms)?;
    let entry = FileEntry {
        path: table.path.clone(),
        stream: table.stream,
        symbol: table.symbol.clone(),
        interval_ms: table.interval_ms,
        sha256,
        bytes,
        rows: found.rows,
        first_ms: found.span_ms.0,
        last_ms: found.span_ms.1,
        gaps: found.gaps.clone(),
        source: table.source.clone(),
        source_sha256: table.source_sha256.clone(),
    };
    Ok((entry, found))
}

fn finest(known: i64, found: i64) -> i64 {
    if known == 0 || (found != 0 && found < known) { found } else { known }
}

fn tell(report: &mut String, table: &Imported, found: &Quality) {
    let (from, to) = found.span_ms;
    let (from, to) = (super::quality::at(from), super::quality::at(to));
    let _ = writeln!(report, "## {}\n\n{} rows, {from} to {to}.\n", table.path, found.rows);
    let mut lines = found.lines();
    for (count, what) in [
        (table.out_of_order, "rows stood behind later ones and were sorted"),
        (table.repeated, "rows were repeated and left out"),
        (table.revised, "rows were revised; the later one counts"),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    if lines.is_empty() {
        lines.push("nothing to tell".to_owned());
    }
    for line in lines {
        let _ = writeln!(report, "- {line}");
    }
    report.push('\n');
}

/// Read-only from here on.
fn seal(path: &Path) -> Result<()> {
    let mut rights = fs::metadata(path)?.permissions();
    rights.set_readonly(true);
    Ok(fs::set_permissions(path, rights)?)
}
