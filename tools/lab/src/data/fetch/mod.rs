//! History from the venue's REST endpoints, as the files that `import` takes.
//!
//! ```text
//!  venue ─► ask, at its pace ─► rows ─► BTCUSDT-5m.csv.part ─► BTCUSDT-5m.csv.gz, fetched.jsonl
//!             ▲                              │
//!             └──── on from the last row ◄───┘
//! ```
//! A span that is over gives the same bytes whenever it is fetched and however often the work was
//! stopped in between.
//!
//! | file | holds |
//! |---|---|
//! | `series` | what can be asked for, and how |
//! | `ask` | requests, repeated and held back |
//! | `pace` | how fast may be asked |
//! | `part` | a file on its way |

mod ask;
mod pace;
mod part;
mod series;

pub use part::{Fetched, NOTES_FILE, Span};
pub use series::Series;

use anyhow::{Result, bail, ensure};
use ask::Asker;
use pace::Weight;
use part::{Part, clear, notes};
use peregrine::venue::dataset::hash_of;
use series::Row;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Of these symbols.
    pub symbols: Vec<String>,
    /// All of these.
    pub series: Vec<Series>,
    /// Where, and what time.
    pub span: Span,
    /// Weight that the address may have used in a minute when something is asked.
    pub weight_per_minute: u32,
    /// Folder of the files.
    pub out: PathBuf,
}

/// What is told on the way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'s> {
    /// This part of the span of this file is there, 0 to 1; files are counted from 0.
    Part(&'s str, usize, f64),
    /// Nothing is asked for so long.
    Waiting {
        /// Milliseconds.
        wait_ms: i64,
        /// Why.
        why: &'static str,
    },
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Files in the order of symbols and series; those that were there already too.
    pub files: Vec<Fetched>,
    /// Files that were there.
    pub known: usize,
    /// Answers that the venue gave.
    pub answers: u64,
}

/// Fetches. What is there of the same span is not fetched again.
///
/// # Errors
/// A symbol that the venue does not know, a span that is not over, a file of another span, a venue
/// that does not answer. What was fetched until then is kept.
pub fn fetch(order: &Order, progress: &mut dyn FnMut(Step<'_>)) -> Result<Outcome> {
    let (span, out) = (&order.span, order.out.as_path());
    ensure!(span.from_ms < span.until_ms, "--from: it is not before --until");
    fs::create_dir_all(out)?;
    let noted = notes(out)?;
    let mut asker = Asker::new(&span.base_url, order.weight_per_minute, progress)?;
    ensure!(
        span.until_ms <= asker.now_ms(),
        "--until: it is not over yet by the venue's clock, so it cannot be fetched whole"
    );
    known_symbols(order, &mut asker, progress)?;
    let mut outcome = Outcome::default();
    let all = order.symbols.iter().flat_map(|symbol| order.series.iter().map(move |s| (symbol, s)));
    for (number, (symbol, series)) in all.enumerate() {
        let name = format!("{symbol}-{}", series.name());
        if let Some(there) = whole(out, &name, span, &noted)? {
            clear(out, &name)?;
            outcome.known += 1;
            outcome.files.push(there);
            continue;
        }
        let mut part = Part::open(out, &name, series, span)?;
        fill(&mut part, (symbol, series), (span, &mut asker), &mut |step| match step {
            Step::Part(_, _, done) => progress(Step::Part(&name, number, done)),
            other => progress(other),
        })?;
        outcome.files.push(part.finish(out, &name, span)?);
    }
    outcome.answers = asker.answers;
    Ok(outcome)
}

/// The finished file of that name, when it is of this span and unchanged.
fn whole(out: &Path, name: &str, span: &Span, noted: &[Fetched]) -> Result<Option<Fetched>> {
    let file = format!("{name}.csv.gz");
    let path = out.join(&file);
    let Some(there) = noted.iter().rev().find(|there| there.file == file) else {
        let is_begun = out.join(format!("{name}.csv.part")).exists();
        ensure!(is_begun || !path.exists(), "{}: it is there and no fetch made it", path.display());
        return Ok(None);
    };
    if there.span != *span {
        bail!(
            "{}: it holds {} to {} of {}; fetch another span into another folder",
            path.display(),
            super::quality::at(there.span.from_ms),
            super::quality::at(there.span.until_ms),
            there.span.base_url
        );
    }
    if there.rows > 0 {
        let found = File::open(&path).and_then(|mut file| hash_of(&mut file));
        let is_same = found.as_ref().is_ok_and(|(hash, _)| *hash == there.sha256);
        ensure!(
            is_same,
            "{}: it is not the file that was fetched; remove it and its line in {NOTES_FILE}",
            path.display()
        );
    }
    Ok(Some(there.clone()))
}

/// Asks what symbols there are, so that a slip of the pen ends the work before it begins.
fn known_symbols(
    order: &Order,
    asker: &mut Asker,
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<()> {
    let facts = asker.ask("/fapi/v1/exchangeInfo", "", Weight::Minute(1), progress)?;
    let listed = facts["symbols"].as_array().map_or(&[][..], Vec::as_slice);
    let listed: BTreeSet<&str> = listed.iter().filter_map(|own| own["symbol"].as_str()).collect();
    let unknown: Vec<&str> =
        order.symbols.iter().map(String::as_str).filter(|own| !listed.contains(own)).collect();
    ensure!(
        unknown.is_empty(),
        "--symbols: {} knows no {}",
        order.span.base_url,
        unknown.join(", ")
    );
    Ok(())
}

/// Adds what is missing.
fn fill(
    part: &mut Part,
    (symbol, series): (&str, &Series),
    (span, asker): (&Span, &mut Asker),
    progress: &mut dyn FnMut(Step<'_>),
) -> Result<()> {
    let mut cursor = series.after(part.last.as_ref(), span.from_ms);
    while let Some(request) = series.request(symbol, cursor, span.until_ms) {
        let answer = asker.ask(request.path, &request.query, request.weight, progress)?;
        let rows = series.rows(&answer);
        let rows = rows.map_err(|what| anyhow::anyhow!("GET {}: {what}", request.path))?;
        let count = rows.len();
        let kept: Vec<Row> = rows
            .into_iter()
            .filter(|row| row.time >= span.from_ms && series.over(row) < span.until_ms)
            .collect();
        let mut last = part.last.as_ref().map_or(i64::MIN, |row| row.key);
        for row in &kept {
            ensure!(row.key > last, "GET {}: rows out of order at {}", request.path, row.line);
            last = row.key;
        }
        let is_at_end = kept.len() < count;
        let is_silent = kept.is_empty();
        part.add(kept)?;
        cursor = match cursor {
            // Trades by number, and rows behind the span: there is nothing more.
            _ if is_at_end => return Ok(()),
            series::Cursor::Trade(_) if is_silent => return Ok(()),
            _ if is_silent => series::Cursor::Time(request.ends),
            _ => series.after(part.last.as_ref(), span.from_ms),
        };
        let reached = match cursor {
            series::Cursor::Time(at) => at,
            series::Cursor::Trade(_) => part.last.as_ref().map_or(span.from_ms, |row| row.time),
        };
        let share = (reached - span.from_ms) as f64 / (span.until_ms - span.from_ms) as f64;
        progress(Step::Part("", 0, share.clamp(0.0, 1.0)));
    }
    Ok(())
}
