//! What is told of a night: `night.json` for programs, `night.md` for people.

use super::compete::Choice;
use super::night::Ending;
use super::store::{Facts, Outcome};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// For programs.
pub const JSON_FILE: &str = "night.json";
/// For people.
pub const REPORT_FILE: &str = "night.md";

/// A night as it ended.
#[derive(Clone, Debug)]
pub struct Told<'t> {
    /// Its name.
    pub name: String,
    /// What it is of.
    pub facts: &'t Facts,
    /// How it ended.
    pub ending: &'t Ending,
    /// SHA-256 of the data set's manifest.
    pub data_hash: Option<String>,
    /// Why there is no warm model.
    pub no_warm: Option<String>,
    /// The competition.
    pub choice: Option<&'t Choice>,
    /// The gate's decision, as the night tells it.
    pub gate: Option<Value>,
    /// Every file that was written.
    pub files: BTreeMap<String, String>,
}

impl Told<'_> {
    /// `night.json`.
    pub fn json(&self) -> Value {
        let facts = self.facts;
        let champion = facts.champion.as_ref();
        json!({
            "kind": "night",
            "schema": 1,
            "day": self.name,
            "outcome": self.ending.outcome.name(),
            "reason": self.ending.reason,
            "trigger": facts.trigger,
            "at_ms": facts.at_ms,
            "window": facts.days,
            "data_hash": self.data_hash,
            "champion": champion.map(|(version, sha256)| {
                json!({"version": version, "model_sha256": sha256})
            }),
            "trials": {
                "night": self.ending.trials,
                "total": facts.trials_before + self.ending.trials,
            },
            "no_warm": self.no_warm,
            "candidates": self.choice.map_or(&[][..], |choice| &choice.contenders),
            "rows": self.choice.map(|choice| json!({
                "count": choice.rows, "from_ms": choice.from_ms, "to_ms": choice.to_ms,
                "log_loss_prior": choice.log_loss_prior,
            })),
            "chosen": self.choice.and_then(|choice| choice.chosen.clone()),
            "gate": self.gate,
            "registered": self.ending.version.as_ref().map(|version| {
                let challenger = self.ending.outcome == Outcome::Challenger;
                let stage = if challenger { "shadow" } else { "staged" };
                json!({"version": version, "stage": stage})
            }),
            "files": self.files,
        })
    }

    /// `night.md`.
    pub fn page(&self) -> String {
        let mut page = format!("# The night of {}\n\n", self.name);
        let _ = writeln!(page, "{}: {}\n", self.ending.outcome.name(), self.ending.reason);
        let facts = self.facts;
        let days = match (facts.days.first(), facts.days.last()) {
            (Some(first), Some(last)) => format!("{} days, {first} to {last}", facts.days.len()),
            _ => "no day".to_owned(),
        };
        let champion = facts.champion.as_ref().map_or("none", |(version, _)| version);
        let none = || "none".to_owned();
        let lines = [
            ("began by", facts.trigger.clone()),
            ("learned from", days),
            ("data", self.data_hash.clone().unwrap_or_else(none)),
            ("champion", champion.to_owned()),
            ("registered", self.ending.version.clone().unwrap_or_else(none)),
            (
                "trials",
                format!("{}, with those before {}", self.ending.trials, {
                    facts.trials_before + self.ending.trials
                }),
            ),
        ];
        page.push_str("| | |\n|---|---|\n");
        for (name, value) in lines {
            let _ = writeln!(page, "| {name} | {value} |");
        }
        if let Some(why) = &self.no_warm {
            let _ = writeln!(page, "| no warm model | {why} |");
        }
        if let Some(choice) = self.choice {
            let _ = writeln!(page, "\n## Compared on {} rows\n", choice.rows);
            page.push_str(
                "| model | version | log-loss | net return | round trips | parts ahead |\n",
            );
            page.push_str("|---|---|---|---|---|---|\n");
            for told in &choice.contenders {
                let number =
                    |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.6}"));
                let count = |value: Option<u64>| value.map_or("–".to_owned(), |v| v.to_string());
                let _ = writeln!(
                    page,
                    "| {} | {} | {} | {} | {} | {} |",
                    told.name,
                    told.version,
                    number(told.log_loss),
                    number(told.net_return),
                    count(told.round_trips),
                    count(told.blocks_won),
                );
            }
            let _ = writeln!(page, "| class shares | | {:.6} | | | |", choice.log_loss_prior);
        }
        if let Some(gate) = &self.gate {
            let failed = gate["failed"].as_array().map_or(0, Vec::len);
            let verdict = gate["verdict"].as_str().unwrap_or_default();
            let _ = writeln!(page, "\nThe gate: {verdict}, {failed} criteria do not hold.");
        }
        page
    }
}
