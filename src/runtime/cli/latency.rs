//! `latency`: per-hop percentiles of a running service or of a histogram log.

use super::Failure;
use crate::observe::hlog::read_log;
use crate::venue::rest::RestClient;
use anyhow::{Context, anyhow};
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "Example: peregrine latency --url http://127.0.0.1:9464")]
pub struct LatencyArguments {
    /// A running service's address.
    #[arg(long, value_name = "URL", conflicts_with = "hlog", required_unless_present = "hlog")]
    url: Option<String>,
    /// A histogram log.
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Prints the table, or the JSON object.
pub fn latency(arguments: &LatencyArguments) -> Result<(), Failure> {
    if let Some(path) = &arguments.hlog {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let view = read_log(&bytes).with_context(|| path.display().to_string())?.view();
        if arguments.json {
            println!("{}", serde_json::to_string(&view)?);
        } else {
            print!("{}", view.table());
        }
        return Ok(());
    }
    let url = arguments.url.as_deref().unwrap_or_default();
    let body = RestClient::new(url)
        .get("/api/v1/latency")
        .map_err(|error| Failure::Failed(anyhow!("{url}: {error}")))?;
    let value: serde_json::Value = serde_json::from_slice(&body).context("/api/v1/latency")?;
    if arguments.json {
        println!("{value}");
    } else {
        println!("{}", serde_json::to_string_pretty(&value)?);
    }
    Ok(())
}
