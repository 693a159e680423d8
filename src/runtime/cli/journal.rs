//! `journal`: dump, stat, verify, export, repair.

use super::Failure;
use super::backtest::time;
use crate::journal::dump::{Filter, OrderKey, dump, parse_kind};
use crate::journal::export::{export_csv, export_parquet};
use crate::journal::{LANES, repair, stat, verify};
use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

/// The commands over a journal folder.
#[derive(Subcommand)]
pub enum JournalCommand {
    /// Print records as JSON lines.
    Dump(DumpArguments),
    /// Count records by lane and kind.
    #[command(after_help = "Example: peregrine journal stat state/journal/0000001-demo")]
    Stat(FolderArguments),
    /// Check every header, checksum and attachment.
    #[command(after_help = "Example: peregrine journal verify state/journal/0000001-demo --json")]
    Verify(FolderArguments),
    /// Write a lane as a CSV or Parquet table.
    Export(ExportArguments),
    /// Cut a torn tail; with --accept-loss also what cannot be read.
    Repair(RepairArguments),
}

#[derive(Args)]
pub struct FolderArguments {
    /// The journal's folder.
    dir: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct FilterArguments {
    /// Received from this time on: RFC 3339, or nanoseconds since the epoch.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Received before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only these kinds, by name, for instance OrderFilled.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only this instrument, by symbol.
    #[arg(long, value_name = "SYMBOL")]
    instrument: Option<String>,
    /// Only records that speak of this order: pg1-… or the venue's number.
    #[arg(long, value_name = "ID")]
    order: Option<String>,
    /// Only this lane: 0 inputs, 1 inference, 2 risk, 3 execution, 4 stamps.
    #[arg(long, value_name = "N")]
    lane: Option<usize>,
}

#[derive(Args)]
#[command(
    after_help = "Example: peregrine journal dump state/journal/0000001-demo --kind OrderFilled"
)]
pub struct DumpArguments {
    /// The journal's folder.
    dir: PathBuf,
    #[command(flatten)]
    filter: FilterArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Csv,
    Parquet,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine journal export state/journal/0000001-demo --lane 2 \
                  --format parquet --out risk.parquet")]
pub struct ExportArguments {
    /// The journal's folder.
    dir: PathBuf,
    /// Table format.
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// File to write; standard output when absent (CSV only).
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    filter: FilterArguments,
}

#[derive(Args)]
#[command(after_help = "Example: peregrine journal repair state/journal/0000001-demo")]
pub struct RepairArguments {
    /// The journal's folder.
    dir: PathBuf,
    /// Also cut away damaged records; originals are kept beside.
    #[arg(long)]
    accept_loss: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs a journal command.
pub fn journal(command: &JournalCommand) -> Result<(), Failure> {
    match command {
        JournalCommand::Dump(arguments) => {
            let filter = filter(&arguments.filter).map_err(Failure::Usage)?;
            let mut out = BufWriter::new(std::io::stdout().lock());
            let _ = dump(&arguments.dir, &filter, &mut out)?;
            out.flush()?;
            Ok(())
        }
        JournalCommand::Stat(arguments) => {
            let found = stat(&arguments.dir)?;
            let text = if arguments.json {
                serde_json::to_string(&found)?
            } else {
                serde_json::to_string_pretty(&found)?
            };
            println!("{text}");
            Ok(())
        }
        JournalCommand::Verify(arguments) => run_verify(arguments),
        JournalCommand::Export(arguments) => run_export(arguments),
        JournalCommand::Repair(arguments) => {
            let done = repair(&arguments.dir, arguments.accept_loss)?;
            if arguments.json {
                println!("{}", serde_json::to_string(&done)?);
            } else {
                println!("lanes cut at a torn tail: {:?}", done.cut);
                println!("lanes with loss:          {:?}", done.lossy);
                println!("kept beside:              {:?}", done.set_aside);
            }
            Ok(())
        }
    }
}

fn run_verify(arguments: &FolderArguments) -> Result<(), Failure> {
    let report = verify(&arguments.dir);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("records  {}", report.records);
        println!("corrupt  {}", report.corrupt);
        println!("torn     {}", report.torn);
    }
    match report.first {
        None => Ok(()),
        Some(first) => Err(Failure::Failed(anyhow!("{}: {first}", arguments.dir.display()))),
    }
}

fn run_export(arguments: &ExportArguments) -> Result<(), Failure> {
    let filter = filter(&arguments.filter).map_err(Failure::Usage)?;
    let Some(lane) = filter.lane else {
        return Err(Failure::Usage(anyhow!("--lane: name the lane to export, 0 to {}", LANES - 1)));
    };
    let rows = match (&arguments.out, arguments.format) {
        (Some(path), format) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            let mut out = BufWriter::new(file);
            let rows = match format {
                Format::Csv => export_csv(&arguments.dir, lane, &filter, &mut out)?,
                Format::Parquet => export_parquet(&arguments.dir, lane, &filter, &mut out)?,
            };
            out.flush()?;
            rows
        }
        (None, Format::Csv) => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            let rows = export_csv(&arguments.dir, lane, &filter, &mut out)?;
            out.flush()?;
            rows
        }
        (None, Format::Parquet) => {
            return Err(Failure::Usage(anyhow!("--out: a Parquet table needs a file")));
        }
    };
    eprintln!("{rows} rows");
    Ok(())
}

fn filter(arguments: &FilterArguments) -> Result<Filter> {
    let mut kinds = Vec::new();
    for name in &arguments.kind {
        match parse_kind(name) {
            Some(kind) => kinds.push(kind),
            None => bail!("--kind: {name:?} is no kind of record"),
        }
    }
    let order = match &arguments.order {
        Some(text) => Some(
            OrderKey::parse(text).with_context(|| format!("--order: {text:?} is no order id"))?,
        ),
        None => None,
    };
    if let Some(lane) = arguments.lane
        && lane >= LANES
    {
        bail!("--lane: {lane} is not below {LANES}");
    }
    Ok(Filter {
        lane: arguments.lane,
        from: time(arguments.from.as_deref())?,
        to: time(arguments.to.as_deref())?,
        kinds,
        instrument: arguments.instrument.clone(),
        order,
    })
}
