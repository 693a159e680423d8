//! `fetch`: history from the venue's REST endpoints.

use super::progress_bar;
use anyhow::Result;
use clap::Args;
use peregrine_lab::data::fetch::{Order, Series, Span, Step, fetch as fetched};
use peregrine_lab::data::quality::at;
use serde_json::json;
use std::path::PathBuf;

pub const HELP: &str = "Example:\n  peregrine-lab fetch --symbols BTCUSDT,SOLUSDT \
    --series 5m,mark8h,funding --from 2025-01-01T00:00:00Z --until 2025-04-01T00:00:00Z \
    --out downloads/2025-q1\n  \
    peregrine-lab import --out data/2025-q1 downloads/2025-q1";

#[derive(Args)]
pub struct Fetch {
    /// Symbols, such as BTCUSDT.
    #[arg(
        long, required = true, value_delimiter = ',', value_name = "SYMBOL",
        value_parser = symbol
    )]
    symbols: Vec<String>,
    /// What of each: a length of candles such as 5m, the same of the mark price such as mark8h,
    /// funding, aggTrades, openInterest.
    #[arg(long, required = true, value_delimiter = ',', value_parser = Series::parse)]
    series: Vec<Series>,
    /// First time: RFC 3339.
    #[arg(long, value_name = "TIME")]
    from: jiff::Timestamp,
    /// First time no longer taken. It has to be over, so that the same span gives the same bytes.
    #[arg(long, value_name = "TIME")]
    until: jiff::Timestamp,
    /// Folder of the files; what is there of the same span is not fetched again.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The venue's REST address, without a path.
    #[arg(long, value_name = "URL", default_value = "https://fapi.binance.com")]
    base_url: String,
    /// Request weight that may be used in a minute from this address, by all that ask from it; the
    /// venue allows 2400.
    #[arg(long, default_value_t = 1_200, value_parser = clap::value_parser!(u32).range(40..=2_400))]
    weight_per_minute: u32,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

fn symbol(text: &str) -> Result<String, String> {
    let lawful = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if lawful { Ok(text.to_ascii_uppercase()) } else { Err("letters and digits alone".to_owned()) }
}

/// Fetches.
///
/// # Errors
/// A symbol that is not known, a span that is not over, a venue that does not answer.
pub fn fetch(arguments: &Fetch) -> Result<()> {
    let order = Order {
        symbols: arguments.symbols.clone(),
        series: arguments.series.clone(),
        span: Span {
            from_ms: arguments.from.as_millisecond(),
            until_ms: arguments.until.as_millisecond(),
            base_url: arguments.base_url.trim_end_matches('/').to_owned(),
        },
        weight_per_minute: arguments.weight_per_minute,
        out: arguments.out.clone(),
    };
    let bar = progress_bar("fetching");
    let files = (order.symbols.len() * order.series.len()).max(1) as f64;
    let outcome = fetched(&order, &mut |step| match step {
        Step::Part(name, number, part) => {
            bar.set_position(((number as f64 + part) / files * 1_000.0) as u64);
            bar.set_message(name.to_owned());
        }
        Step::Waiting { wait_ms, why } => {
            bar.set_message(format!("{why}: {} s", (wait_ms + 999) / 1_000));
        }
    })?;
    bar.finish_and_clear();
    let rows: u64 = outcome.files.iter().map(|file| file.rows).sum();
    if arguments.json {
        let (files, known, answers) = (&outcome.files, outcome.known, outcome.answers);
        println!("{}", json!({"files": files, "known": known, "rows": rows, "answers": answers}));
        return Ok(());
    }
    for file in &outcome.files {
        let span = match file.rows {
            0 => "nothing in this span".to_owned(),
            _ => format!("{} to {}", at(file.first_ms), at(file.last_ms)),
        };
        println!("{:<32} {:>9} rows  {span}", file.file, file.rows);
    }
    let (count, known, answers) = (outcome.files.len(), outcome.known, outcome.answers);
    println!("{count} files, {rows} rows, {answers} answers; {known} were there");
    Ok(())
}
