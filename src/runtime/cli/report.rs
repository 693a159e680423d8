//! `report`: what the daily and weekly messages tell, on demand.

use super::Failure;
use crate::observe::report::{Figures, Period, picture, read, statement};
use crate::runtime::clock::wall_now;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Example: peregrine report state --session paper --day 2026-11-25 --html day.html"
)]
pub struct ReportArguments {
    /// The state folder.
    dir: PathBuf,
    /// The sessions' name: what follows the number in the names of their journals.
    #[arg(long, default_value = "paper", value_name = "NAME")]
    session: String,
    /// Only this UTC day, or `yesterday`; without it all there is.
    #[arg(long, value_name = "YYYY-MM-DD")]
    day: Option<String>,
    /// The seven days that end with that day.
    #[arg(long, requires = "day")]
    week: bool,
    /// Write the equity curve as a picture.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Write the statement as Markdown: fees, funding and slippage of each instrument besides.
    #[arg(long, value_name = "FILE")]
    md: Option<PathBuf>,
    /// Write the statement as a page of HTML that asks for nothing from elsewhere.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Prints the figures.
pub fn report(arguments: &ReportArguments) -> Result<(), Failure> {
    let period = period(arguments).map_err(Failure::Usage)?;
    let (dir, session) = (&arguments.dir, &arguments.session);
    // Slippage takes a reading of every input, which only a statement is worth.
    if arguments.md.is_none() && arguments.html.is_none() {
        let figures = read(dir, session, period).map_err(|what| anyhow!(what))?;
        return tell(arguments, period, &figures, serde_json::to_string(&figures)?);
    }
    let told = statement(dir, session, period).map_err(|what| anyhow!(what))?;
    let write = |path: &Option<PathBuf>, text: String| match path {
        Some(path) => std::fs::write(path, text).with_context(|| path.display().to_string()),
        None => Ok(()),
    };
    write(&arguments.md, told.markdown())?;
    write(&arguments.html, told.html())?;
    tell(arguments, period, &told.figures, serde_json::to_string(&told)?)
}

fn tell(
    arguments: &ReportArguments,
    period: Period,
    figures: &Figures,
    json: String,
) -> Result<(), Failure> {
    if let Some(path) = &arguments.png {
        draw(path, period, figures)?;
    }
    println!("{}", if arguments.json { json } else { figures.text() });
    Ok(())
}

fn draw(path: &Path, period: Period, figures: &Figures) -> Result<()> {
    let all = period.from == 0;
    let ends = figures.curve.first().zip(figures.curve.last());
    // Without a day the picture spans what there is.
    let (from, to) = match ends {
        Some((first, last)) if all => (figures.curve.get(1).unwrap_or(first).0, last.0 + 1),
        _ => (period.from, period.to),
    };
    let named = || path.display().to_string();
    std::fs::write(path, picture::png(&figures.curve, from, to)).with_context(named)
}

fn period(arguments: &ReportArguments) -> Result<Period> {
    let Some(text) = &arguments.day else { return Ok(Period { from: 0, to: i64::MAX }) };
    if text == "yesterday" {
        let day = wall_now().utc_day() - 1;
        return Ok(if arguments.week { Period::week(day) } else { Period::day(day) });
    }
    let named = || format!("--day: {text:?} is no day such as 2026-11-25");
    let day: jiff::civil::Date = text.parse().with_context(named)?;
    let first = day.to_zoned(jiff::tz::TimeZone::UTC).with_context(named)?.timestamp();
    let day = first.as_second().div_euclid(86_400);
    Ok(if arguments.week { Period::week(day) } else { Period::day(day) })
}
