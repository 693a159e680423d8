//! `import`, `freeze`, `verify`: history on its way into a data set.

use super::progress_bar;
use anyhow::Result;
use clap::Args;
use peregrine::model::artifact::hex;
use peregrine::venue::dataset::DataSet;
use peregrine_lab::data::{freeze as frozen, import as imports};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub struct Import {
    /// Files and folders: candles, funding, trades as CSV, plain, gzipped or zipped.
    #[arg(required = true, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// Folder of the data set.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Freeze {
    /// Folder of the data set.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Its name in reports and cards.
    #[arg(long)]
    name: String,
    /// Hold out the rows from this time on (RFC 3339): nothing but `hold-out` reads them, and each
    /// model that is judged on them is counted.
    #[arg(long, value_name = "TIME")]
    hold_out: Option<jiff::Timestamp>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Verify {
    /// Folder of the data set.
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Brings files into a data set.
///
/// # Errors
/// A file that cannot be read, or a data set that is frozen.
pub fn import(arguments: &Import) -> Result<()> {
    let bar = progress_bar("importing");
    let done = imports::import(&arguments.from, &arguments.out, &mut |name, number, count| {
        bar.set_position((1_000 * number / count.max(1)) as u64);
        bar.set_message(name.to_owned());
    })?;
    bar.finish_and_clear();
    let rows: u64 = done.imported.iter().map(|table| table.rows).sum();
    for reason in &done.skipped {
        eprintln!("left out: {reason}");
    }
    if arguments.json {
        let (imported, known, skipped) = (done.imported.len(), done.known.len(), &done.skipped);
        println!(
            "{}",
            json!({"imported": imported, "known": known, "skipped": skipped, "rows": rows})
        );
        return Ok(());
    }
    for table in &done.imported {
        println!("{:<44} {:>9} rows", table.path, table.rows);
    }
    println!("{} tables, {rows} rows; {} known", done.imported.len(), done.known.len());
    Ok(())
}

/// Freezes a data set.
///
/// # Errors
/// A table that is damaged or cannot be true, or a folder that is frozen.
pub fn freeze(arguments: &Freeze) -> Result<()> {
    let hold_out = arguments.hold_out.map(jiff::Timestamp::as_millisecond);
    let set = frozen::freeze_but(&arguments.dir, &arguments.name, hold_out)?;
    tell(&set, arguments.json, set.manifest().files.iter().map(|entry| entry.rows).sum());
    Ok(())
}

/// Looks whether a data set is what its manifest says.
///
/// # Errors
/// The first file that is missing, changed or not listed.
pub fn verify(arguments: &Verify) -> Result<()> {
    let set = DataSet::open(&arguments.dir)?;
    let rows = set.verify()?;
    tell(&set, arguments.json, rows);
    Ok(())
}

fn tell(set: &DataSet, as_json: bool, rows: u64) {
    let (hash, manifest) = (hex(&set.hash()), set.manifest());
    if as_json {
        let line = json!({
            "name": manifest.name, "data_hash": hash, "files": manifest.files.len(),
            "symbols": manifest.symbols.len(), "rows": rows,
        });
        println!("{line}");
        return;
    }
    println!("data set     {}", manifest.name);
    println!("data hash    {hash}");
    println!("files        {}", manifest.files.len());
    println!("rows         {rows}");
}
