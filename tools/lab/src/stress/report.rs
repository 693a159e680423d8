//! `stress_test_results.md` for people and `stress.json` for the gate.

use super::run::{Criterion, Outcome, Subject};
use peregrine::model::artifact::{hex, sha256};
use serde_json::{Value, json};
use std::fmt::Write;

/// The figures for the gate. It is the same text for the same outcomes.
pub fn json(subject: &Subject<'_>, outcomes: &[Outcome]) -> Value {
    json!({
        "kind": "stress",
        "schema": 1,
        "model_sha256": hex(&sha256(&subject.files.onnx)),
        "data_manifest_sha256": subject.files.card.created_from.data_hash,
        "config_sha256": hex(&sha256(subject.loaded.text.as_bytes())),
        "scenarios": outcomes,
        "files": {},
    })
}

/// The page for people.
pub fn markdown(subject: &Subject<'_>, outcomes: &[Outcome]) -> String {
    let card = &subject.files.card;
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    let verdict = if failed == 0 { "PASSED" } else { "FAILED" };
    let mut text = format!(
        "# Stress test of {}\n\n**{verdict}**: {} of {} scenarios passed. Model {}, configuration \
         {}.\n\n| scenario | verdict | loss | fall | decisions | orders | fills | profit | worst \
         state | tripped |\n|---|---|---|---|---|---|---|---|---|---|\n",
        card.version,
        outcomes.len() - failed,
        outcomes.len(),
        &card.model_sha256[..card.model_sha256.len().min(16)],
        &hex(&sha256(subject.loaded.text.as_bytes()))[..16],
    );
    for outcome in outcomes {
        let figure = |name: &str| {
            let found = outcome.criteria.iter().find(|criterion| criterion.name == name);
            found.map_or_else(|| "-".to_owned(), |c| format!("{:.3} %", 100.0 * c.value))
        };
        let [decisions, orders, fills] = outcome.counts;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {decisions} | {orders} | {fills} | {} | {} | {} |",
            outcome.name,
            word(outcome.passed),
            figure("loss_frac"),
            figure("drawdown_frac"),
            outcome.profit_quote,
            outcome.worst_state,
            outcome.tripped.join(", "),
        );
    }
    for outcome in outcomes {
        section(&mut text, outcome);
    }
    text
}

fn section(text: &mut String, outcome: &Outcome) {
    let what = outcome.parameters["what"].as_str().unwrap_or_default();
    let _ = writeln!(text, "\n## {}: {}\n\n{what}\n", outcome.name, word(outcome.passed));
    text.push_str("| criterion | value | threshold | verdict |\n|---|---|---|---|\n");
    for Criterion { name, value, threshold, passed } in &outcome.criteria {
        let sign = if name.ends_with("_min") { "≥" } else { "≤" };
        let _ = writeln!(text, "| {name} | {value} | {sign} {threshold} | {} |", word(*passed));
    }
    let mut parameters = outcome.parameters.clone();
    if let Some(table) = parameters.as_object_mut() {
        table.retain(|key, _| key != "name" && key != "what");
    }
    let _ = writeln!(text, "\nParameters: `{parameters}`");
}

const fn word(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}
