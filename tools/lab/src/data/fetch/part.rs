//! A file on its way: rows are added page by page to `NAME.csv.part`, and what is whole becomes
//! `NAME.csv.gz` in one step, with a line in `fetched.jsonl`.
//!
//! The rows say where to go on, so there is no second place that could tell something else: after
//! an end at any moment the last whole line is the last row that counts.

use super::series::{Row, Series};
use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use peregrine::venue::dataset::hash_of;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Where finished files are noted.
pub const NOTES_FILE: &str = "fetched.jsonl";

/// What was asked for; the first line of a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// First time, milliseconds.
    pub from_ms: i64,
    /// First time no longer in it.
    pub until_ms: i64,
    /// The venue's address.
    pub base_url: String,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Its name; there is no such file where there are no rows.
    pub file: String,
    /// What was asked for.
    #[serde(flatten)]
    pub span: Span,
    /// Rows.
    pub rows: u64,
    /// Time of the first row, milliseconds; 0 without one.
    pub first_ms: i64,
    /// Time of the last row.
    pub last_ms: i64,
    /// SHA-256 of the file; empty without rows.
    pub sha256: String,
}

/// What is noted in a folder.
///
/// # Errors
/// Notes that cannot be read.
pub fn notes(out: &Path) -> Result<Vec<Fetched>> {
    let path = out.join(NOTES_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    // A line without its end was being written when the work was stopped.
    let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
    if whole.len() < text.len() {
        File::options().write(true).open(&path)?.set_len(whole.len() as u64)?;
    }
    let read = |line| serde_json::from_str(line).with_context(|| path.display().to_string());
    whole.lines().map(read).collect()
}

/// A file that is not finished, held by one process.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
    /// Rows that are there.
    pub rows: u64,
    /// Time of the first of them.
    pub first_ms: i64,
    /// The last of them.
    pub last: Option<Row>,
}

impl Part {
    /// Opens the part of `name`, or begins one.
    ///
    /// # Errors
    /// A part of another span, or one that another process is at.
    pub fn open(out: &Path, name: &str, series: &Series, span: &Span) -> Result<Self> {
        let path = out.join(format!("{name}.csv.part"));
        let options = &mut File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        if file.try_lock().is_err() {
            bail!("{}: another process is at it", path.display());
        }
        let mut part = Self { path, file, rows: 0, first_ms: 0, last: None };
        let head = format!("{}\n{}\n", serde_json::to_string(span)?, series.header());
        let keep = part.read(&head, series)?;
        part.file.set_len(keep)?;
        part.file.seek(SeekFrom::End(0))?;
        if keep == 0 {
            part.file.write_all(head.as_bytes())?;
            part.file.sync_all()?;
        }
        Ok(part)
    }

    /// Counts what is there; the number of bytes that are whole.
    fn read(&mut self, head: &str, series: &Series) -> Result<u64> {
        let mut text = BufReader::new(&self.file);
        let mut began = Vec::new();
        Read::take(&mut text, head.len() as u64).read_to_end(&mut began)?;
        if began.len() < head.len() && head.as_bytes().starts_with(&began) {
            return Ok(0);
        }
        let path = self.path.display();
        ensure!(
            began == head.as_bytes(),
            "{path}: it was begun with another span or address; finish that one, or remove it"
        );
        let (mut keep, mut line) = (head.len() as u64, String::new());
        loop {
            line.clear();
            // What is no text is no line of ours: it ends what is whole.
            let read = text.read_line(&mut line).unwrap_or(0) as u64;
            let Some(row) = line.strip_suffix('\n').and_then(|line| series.read(line)) else {
                return Ok(keep);
            };
            let follows = self.last.as_ref().is_none_or(|last| last.key < row.key);
            ensure!(follows, "{path}: row {} does not follow the one before", self.rows + 1);
            keep += read;
            if self.rows == 0 {
                self.first_ms = row.time;
            }
            self.rows += 1;
            self.last = Some(row);
        }
    }

    /// Adds rows.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn add(&mut self, rows: Vec<Row>) -> Result<()> {
        let mut text = String::new();
        for row in rows {
            text.push_str(&row.line);
            text.push('\n');
            if self.rows == 0 {
                self.first_ms = row.time;
            }
            self.rows += 1;
            self.last = Some(row);
        }
        self.file.write_all(text.as_bytes()).with_context(|| self.path.display().to_string())?;
        Ok(self.file.sync_data()?)
    }

    /// Turns it into the file `name` and notes that.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn finish(mut self, out: &Path, name: &str, span: &Span) -> Result<Fetched> {
        let file = format!("{name}.csv.gz");
        let (first_ms, last_ms) = (self.first_ms, self.last.as_ref().map_or(0, |row| row.time));
        let mut done = Fetched {
            file,
            span: span.clone(),
            rows: self.rows,
            first_ms,
            last_ms,
            sha256: String::new(),
        };
        if self.rows > 0 {
            done.sha256 = self.pack(&out.join(&done.file))?;
        }
        let notes = out.join(NOTES_FILE);
        let mut file = File::options().create(true).append(true).open(&notes)?;
        file.write_all((serde_json::to_string(&done)? + "\n").as_bytes())?;
        file.sync_all()?;
        fs::remove_file(&self.path)?;
        Ok(done)
    }

    /// The rows below their header, gzipped without a name and a time: the same rows give the same
    /// bytes. Returns their SHA-256.
    fn pack(&mut self, target: &Path) -> Result<String> {
        let draft = target.with_extension("draft");
        let at = || draft.display().to_string();
        self.file.seek(SeekFrom::Start(0))?;
        let mut rows = BufReader::new(&self.file);
        rows.read_until(b'\n', &mut Vec::new())?;
        let mut packed =
            GzEncoder::new(File::create(&draft).with_context(at)?, Compression::new(6));
        std::io::copy(&mut rows, &mut packed).with_context(at)?;
        packed.finish()?.sync_all()?;
        let (hash, _) = hash_of(&mut File::open(&draft)?)?;
        fs::rename(&draft, target)?;
        File::open(target.parent().unwrap_or(target))?.sync_all()?;
        Ok(hash)
    }
}

/// Removes what a process left that ended between the note and the end of its part.
///
/// # Errors
/// A part that cannot be removed.
pub fn clear(out: &Path, name: &str) -> Result<()> {
    match fs::remove_file(out.join(format!("{name}.csv.part"))) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
