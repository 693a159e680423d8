//! `calibrate` and `attribution`: what sessions tell of the backtest's fills.

use anyhow::{Context, Result};
use clap::Args;
use peregrine::runtime::config;
use peregrine_lab::files::write_whole;
use peregrine_lab::realism::attribution::attribute;
use peregrine_lab::realism::calibrate::calibrate as estimate;
use peregrine_lab::realism::recorded::Recorded;
use peregrine_lab::realism::{fills_file, report};
use std::path::PathBuf;

#[derive(Args)]
pub struct Calibrate {
    /// Journals of sessions: live, paper, demo or backtest.
    #[arg(long, value_name = "DIR", required = true, num_args = 1..)]
    journal: Vec<PathBuf>,
    /// The file of fills to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct Attribution {
    /// Journal of a session that began without positions.
    #[arg(long, value_name = "DIR")]
    journal: PathBuf,
    /// Models of the backtest, as `calibrate` writes them; without it those of the session's own
    /// configuration.
    #[arg(long, value_name = "FILE")]
    fills: Option<PathBuf>,
    /// Reports folder.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Estimates the models and writes them.
///
/// # Errors
/// A journal that cannot be read, or the file that cannot be written.
pub fn calibrate(arguments: &Calibrate) -> Result<()> {
    let found = estimate(&arguments.journal)?;
    let text = fills_file::text(&found);
    write_whole(&arguments.out, text.as_bytes())?;
    if arguments.json {
        println!("{}", serde_json::to_string(&found)?);
    } else {
        print!("{text}");
        for size in &found.impact.slippage {
            let part = size
                .part_max
                .map_or("more than all".to_owned(), |part| format!("up to {:.0} %", part * 100.0));
            let paid = size.slippage_bps.as_ref();
            let paid = paid.map_or("too few".to_owned(), |paid| fills_file::told(paid, "bps", 3));
            println!("took {part:<14} of what was displayed: {:>6} orders, {paid}", size.orders);
        }
        println!("written to {}", arguments.out.display());
    }
    Ok(())
}

/// Attributes a session and writes the report.
///
/// # Errors
/// A journal that cannot be read or run again, or a file that cannot be written.
pub fn attribution(arguments: &Attribution) -> Result<()> {
    let paper = match &arguments.fills {
        Some(path) => {
            let own = Recorded::read(&arguments.journal)?.loaded;
            Some(config::with_fills(&own, path)?.settings.paper)
        }
        None => None,
    };
    let found = attribute(&arguments.journal, paper)?;
    let name = arguments.journal.file_name().context("--journal: a folder with a name")?;
    let name = name.to_string_lossy();
    report::write(&found, &name, &arguments.out)?;
    if arguments.json {
        println!("{}", report::told(&found, &name));
        return Ok(());
    }
    let whole = found.whole();
    for (name, part) in whole.parts.iter().filter(|(_, part)| part.0 != 0) {
        println!("{name:<12} {part:>20}");
    }
    println!("{:<12} {:>20}", "difference", whole.difference);
    println!("written to {}", arguments.out.display());
    Ok(())
}
