//! An attribution, written for people and for programs.

use super::attribution::{Attribution, PARTS};
use super::books::money;
use crate::files::{write_json, write_whole};
use anyhow::Result;
use peregrine::base::Money;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// The report for people.
pub const REPORT_FILE: &str = "attribution.md";
/// The report for programs.
pub const JSON_FILE: &str = "attribution.json";

/// What each part is, in the order of [`PARTS`].
const WHAT: [&str; PARTS.len()] = [
    "orders that other fills or another signal led to",
    "measured against configured latencies",
    "other prices of the quantity that both filled",
    "resting orders: filled more or less",
    "taking orders: filled more or less",
    "refused by one and not by the other",
    "fees of the same orders",
    "funding",
];

/// Writes both into `out`.
///
/// # Errors
/// The file that could not be written.
pub fn write(found: &Attribution, journal: &str, out: &Path) -> Result<()> {
    write_json(&out.join(JSON_FILE), &told(found, journal))?;
    write_whole(&out.join(REPORT_FILE), page(found, journal).as_bytes())
}

/// For programs: amounts are whole numbers of 1e-8 quote currency.
pub fn told(found: &Attribution, journal: &str) -> Value {
    let whole = found.whole();
    let sum = |all: &[i128]| money(all.iter().sum()).0.0;
    let parts: Map<String, Value> =
        whole.parts.iter().map(|(name, part)| ((*name).to_owned(), part.0.into())).collect();
    let line = |place: usize| {
        let split = found.splits[place].map(|part| money(part).0.0);
        let parts: Map<String, Value> =
            PARTS.iter().zip(split).map(|(name, part)| ((*name).to_owned(), part.into())).collect();
        json!({
            "symbol": found.symbols[place],
            "session": money(found.session[place]).0.0,
            "backtest": money(found.backtest[place]).0.0,
            "parts": parts,
        })
    };
    json!({
        "kind": "attribution",
        "schema": 1,
        "unit": "1e-8 of the quote currency",
        "journal": journal,
        "session": sum(&found.session),
        "backtest": sum(&found.backtest),
        "difference": whole.difference.0,
        "parts": parts,
        "rounding": whole.rounding.0,
        "instruments": (0..found.symbols.len()).map(line).collect::<Vec<_>>(),
        "counts": found.counts,
    })
}

fn page(found: &Attribution, journal: &str) -> String {
    let whole = found.whole();
    let sum = |all: &[i128]| money(all.iter().sum()).0;
    let mut text = format!(
        "# Session against backtest\n\nJournal `{journal}`. Amounts in quote currency; everything \
         is valued at each contract's last price.\n\n\
         | | |\n|---|---:|\n| session | {} |\n| backtest | {} |\n\
         | **difference** | **{}** |\n\n| part | amount | what it is |\n|---|---:|---|\n",
        sum(&found.session),
        sum(&found.backtest),
        whole.difference
    );
    for ((name, part), what) in whole.parts.iter().zip(WHAT) {
        let _ = writeln!(text, "| {name} | {part} | {what} |");
    }
    if whole.rounding != Money::ZERO {
        let _ = writeln!(text, "| rounding | {} | each part is rounded down |", whole.rounding);
    }
    let _ = writeln!(text, "\n| instrument | session | backtest | {} |", PARTS.join(" | "));
    let _ = writeln!(text, "|---{}|", "|---:".repeat(PARTS.len() + 2));
    for (place, symbol) in found.symbols.iter().enumerate() {
        let split = found.splits[place].map(|part| money(part).0.to_string());
        let (session, backtest) = (money(found.session[place]).0, money(found.backtest[place]).0);
        let _ = writeln!(text, "| {symbol} | {session} | {backtest} | {} |", split.join(" | "));
    }
    counts(&mut text, found);
    text
}

fn counts(text: &mut String, found: &Attribution) {
    let counts = found.counts;
    let signals = match (counts.replay_differences, counts.signals_off) {
        (0, 0) => {
            "The model said the same in both, and the journal replays to the byte.".to_owned()
        }
        (records, signals) => format!(
            "**{signals} answers of the model differ, and {records} records do not replay**: what \
             follows from that is among the decisions."
        ),
    };
    let _ = writeln!(
        text,
        "\n{signals}\n\n| | session | backtest with its latencies |\n|---|---:|---:|\n| requests \
         | {} | {} |\n| fills | {} | {} |\n| requests without an answer | {} | |",
        counts.requests[0], counts.requests[1], counts.fills[0], counts.fills[1], counts.unanswered
    );
}
