//! CSV files to tables. A file becomes a table of its own; running it again leaves what is there.

use super::layout::{Layout, cell, layout};
use anyhow::{Context, Result, anyhow, bail, ensure};
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use peregrine::venue::dataset::{Column, MANIFEST_FILE, Stream, TableWriter, files_below, hash_of};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Where imports of a data set are noted, until they are frozen.
pub const NOTES_FILE: &str = "imports.jsonl";

/// One imported file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The table, below the data set's folder.
    pub path: String,
    /// What its rows are.
    pub stream: Stream,
    /// Of which symbol.
    pub symbol: String,
    /// Time between two rows, milliseconds.
    pub interval_ms: i64,
    /// Rows.
    pub rows: u64,
    /// Name of the file it was made from.
    pub source: String,
    /// SHA-256 of that file.
    pub source_sha256: String,
    /// Where that file lay. It is noted until the data set is frozen, and not in its manifest.
    pub from: PathBuf,
    /// Rows that came before an earlier one of the file.
    pub out_of_order: u64,
    /// Rows whose time was there already with the same values.
    pub repeated: u64,
    /// Rows whose time was there already with other values: the later one counts.
    pub revised: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Files that became tables.
    pub imported: Vec<Imported>,
    /// Files whose table was there from the same bytes.
    pub known: Vec<String>,
    /// Files of no known layout, with the reason.
    pub skipped: Vec<String>,
}

/// Brings the files at `from`, a file or a folder with subfolders, into the data set `out`.
/// `progress` is told the file at hand, its number and their count.
///
/// # Errors
/// A file that cannot be read, a line that is no row, or a data set that is frozen.
pub fn import(
    from: &[PathBuf],
    out: &Path,
    progress: &mut dyn FnMut(&str, usize, usize),
) -> Result<Import> {
    let manifest = out.join(MANIFEST_FILE);
    ensure!(!manifest.exists(), "{}: it is frozen; import into another one", out.display());
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let mut files = Vec::new();
    for path in from {
        if path.is_dir() {
            files.extend(files_below(path)?);
        } else {
            ensure!(path.is_file(), "{}: no such file or folder", path.display());
            files.push(path.clone());
        }
    }
    let mut taken = Taken::of(notes(out)?);
    let mut done = Import::default();
    for (number, path) in files.iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        progress(&name, number, files.len());
        if !is_table(&name) {
            continue;
        }
        let path = fs::canonicalize(path).with_context(|| path.display().to_string())?;
        let (hash, _) = hash_of(&mut File::open(&path)?).with_context(|| name.clone())?;
        if taken.is_known(&path, &name, &hash)? {
            done.known.push(name);
            continue;
        }
        match import_file(&path, (name, hash), out)? {
            Ok(imported) => {
                note(out, &imported)?;
                taken.add(&imported);
                done.imported.push(imported);
            }
            Err(reason) => done.skipped.push(reason),
        }
    }
    Ok(done)
}

/// Names of tables that are taken, with what they were made from.
struct Taken(BTreeMap<String, (PathBuf, String)>);

impl Taken {
    fn of(noted: Vec<Imported>) -> Self {
        let mut taken = Self(BTreeMap::new());
        noted.iter().for_each(|table| taken.add(table));
        taken
    }

    fn add(&mut self, table: &Imported) {
        let made_from = (table.from.clone(), table.source_sha256.clone());
        self.0.insert(stem(&table.source).to_owned(), made_from);
    }

    /// Whether a file's table is there from the same bytes; one that changed since is not.
    ///
    /// # Errors
    /// When it is there from another file: one would take the other's place.
    fn is_known(&self, path: &Path, name: &str, hash: &str) -> Result<bool> {
        let Some((from, known)) = self.0.get(stem(name)) else { return Ok(false) };
        ensure!(
            known == hash || from == path,
            "{} and {} have one name and would become one table; rename one of them, such as \
             {}-2.csv.gz",
            from.display(),
            path.display(),
            stem(name)
        );
        Ok(known == hash)
    }
}

/// A file's name up to its first dot, which its table is called by.
fn stem(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

fn is_table(name: &str) -> bool {
    [".csv", ".csv.gz", ".zip"].iter().any(|end| name.ends_with(end))
}

/// What was imported into a data set so far.
///
/// # Errors
/// Notes that cannot be read.
pub fn notes(out: &Path) -> Result<Vec<Imported>> {
    let path = out.join(NOTES_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Adds a line in one write, behind the finished table: what was stopped halfway is not noted.
fn note(out: &Path, imported: &Imported) -> Result<()> {
    let path = out.join(NOTES_FILE);
    let mut file = File::options().create(true).append(true).open(&path)?;
    let line = serde_json::to_string(imported)? + "\n";
    file.write_all(line.as_bytes()).with_context(|| path.display().to_string())?;
    Ok(file.sync_all()?)
}

/// True for a file of a known layout: one that [`import`] does not leave out.
///
/// # Errors
/// A file that cannot be read.
pub fn is_known(path: &Path) -> Result<bool> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !is_table(&name) {
        return Ok(false);
    }
    let text = open(path).with_context(|| path.display().to_string())?;
    let mut lines = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut first = StringRecord::new();
    lines.read_record(&mut first).with_context(|| path.display().to_string())?;
    Ok(layout(&name, &first).is_ok())
}

/// One file to one table; the reason where its layout is not known.
fn import_file(
    path: &Path,
    (source, source_sha256): (String, String),
    out: &Path,
) -> Result<Result<Imported, String>> {
    let text = open(path).with_context(|| path.display().to_string())?;
    let mut lines = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let mut first = StringRecord::new();
    lines.read_record(&mut first).with_context(|| path.display().to_string())?;
    let layout = match layout(&source, &first) {
        Ok(layout) => layout,
        Err(reason) => return Ok(Err(reason)),
    };
    let table = format!("{}/{}.parquet", layout.stream.name(), stem(&source));
    let target = out.join(&table);
    fs::create_dir_all(target.parent().unwrap_or(out))?;
    // Made beside its place, so that a table that is there is whole.
    let draft = target.with_extension("draft");
    let _ = fs::remove_file(&draft);
    let waiting = (!layout.has_header).then_some(first);
    let mut rows = Reader { lines, layout: &layout, path, waiting };
    let found = if layout.stream.repeats_times() {
        stream_rows(&mut rows, &draft)?
    } else {
        sorted_rows(&mut rows, &draft)?
    };
    ensure!(found.rows > 0, "{}: it holds no rows", path.display());
    fs::rename(&draft, &target)?;
    let Layout { symbol, stream, interval_ms, .. } = layout;
    let Counted { rows, out_of_order, repeated, revised } = found;
    Ok(Ok(Imported {
        path: table,
        stream,
        symbol,
        interval_ms,
        rows,
        source,
        source_sha256,
        from: path.to_path_buf(),
        out_of_order,
        repeated,
        revised,
    }))
}

/// A plain, gzipped or zipped text, by its first bytes.
fn open(path: &Path) -> Result<Box<dyn Read>> {
    let mut file = File::open(path)?;
    let mut magic = [0; 4];
    let read = file.read(&mut magic)?;
    file.rewind()?;
    Ok(match &magic[..read] {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        [b'P', b'K', 3, 4] => Box::new(zipped(file)?),
        _ => Box::new(file),
    })
}

/// The one file of an archive, as the venue packs them.
fn zipped(file: File) -> Result<impl Read> {
    let mut archive = zip::ZipArchive::new(file)?;
    ensure!(archive.len() == 1, "the archive holds {} files, not one", archive.len());
    // The entry borrows the archive, so it is unpacked to an unnamed file and read from there.
    let mut unpacked = tempfile::tempfile()?;
    std::io::copy(&mut archive.by_index(0)?, &mut unpacked)?;
    unpacked.rewind()?;
    Ok(unpacked)
}

/// Rows of a text.
struct Reader<'r> {
    lines: csv::Reader<Box<dyn Read>>,
    layout: &'r Layout,
    path: &'r Path,
    /// The first line of a text without a header.
    waiting: Option<StringRecord>,
}

impl Reader<'_> {
    /// The next row; `None` at the end.
    fn next(&mut self) -> Result<Option<Vec<i64>>> {
        let mut record = self.waiting.take().unwrap_or_default();
        if record.is_empty() && !self.lines.read_record(&mut record)? {
            return Ok(None);
        }
        let row = self.row(&record);
        row.map(Some).map_err(|what| anyhow!("{}:{}: {what}", self.path.display(), self.line()))
    }

    /// The line at hand, from 1.
    fn line(&self) -> u64 {
        self.lines.position().line().saturating_sub(1).max(1)
    }

    fn row(&self, record: &StringRecord) -> Result<Vec<i64>, String> {
        let columns = self.layout.stream.columns().iter().zip(&self.layout.places);
        let read = |(column, &place): (&Column, &usize)| {
            let text = record.get(place).ok_or(format!("no column {}", column.name))?;
            cell(text, column.unit).map_err(|what| format!("{}: {what}", column.name))
        };
        columns.map(read).collect()
    }
}

/// Rows as they came, see [`Imported`].
#[derive(Default)]
struct Counted {
    rows: u64,
    out_of_order: u64,
    repeated: u64,
    revised: u64,
}

/// Rows of few bytes a day: in memory, sorted, each time once. A revision counts.
fn sorted_rows(reader: &mut Reader<'_>, draft: &Path) -> Result<Counted> {
    let (mut found, mut rows) = (Counted::default(), BTreeMap::<i64, Vec<i64>>::new());
    let mut newest = i64::MIN;
    while let Some(row) = reader.next()? {
        let time = row[0];
        found.out_of_order += u64::from(time < newest);
        newest = newest.max(time);
        match rows.insert(time, row) {
            Some(old) if old == rows[&time] => found.repeated += 1,
            Some(_) => found.revised += 1,
            None => {}
        }
    }
    let mut table = TableWriter::create(draft, reader.layout.stream)?;
    for row in rows.values() {
        table.push(row)?;
    }
    found.rows = table.finish()?;
    Ok(found)
}

/// Rows of any number: one after the other, in the order they stand in.
fn stream_rows(reader: &mut Reader<'_>, draft: &Path) -> Result<Counted> {
    let (mut found, mut last) = (Counted::default(), Vec::new());
    let mut table = TableWriter::create(draft, reader.layout.stream)?;
    while let Some(row) = reader.next()? {
        if last == row {
            found.repeated += 1;
            continue;
        }
        if last.first().is_some_and(|time| *time > row[0]) {
            let (path, line) = (reader.path.display(), reader.line());
            bail!("{path}:{line}: a trade before the one ahead of it; sort the file");
        }
        table.push(&row)?;
        last = row;
    }
    found.rows = table.finish()?;
    Ok(found)
}
