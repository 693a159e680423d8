//! A decision on paper: verdict, criteria, hashes, signature.

use super::paper::{self, Line};
use peregrine::model::artifact::{hex, sha256};
use peregrine::registry::decision::{Criterion, Decision, Verdict};
use peregrine::registry::seal::{PublicKey, Sealed};

const GREEN: [f32; 3] = [0.0, 0.45, 0.1];
const RED: [f32; 3] = [0.75, 0.0, 0.0];
/// Letters of a line that hold a hash beside its name.
const NAME_WIDTH: usize = 24;

/// The document's bytes.
pub fn pdf(decision: &Decision, sealed: &Sealed, key: &PublicKey) -> Vec<u8> {
    let model = &decision.model;
    let title = format!("Gate decision {} on {}", decision.verdict.name(), model.version);
    let mut lines = vec![Line::heading("Peregrine gate decision", 16.0), blank()];
    lines.extend(verdict(decision));
    lines.push(blank());
    lines.extend([
        pair("model", &model.version),
        pair("model sha256", &model.sha256),
        pair("card sha256", &model.card_sha256),
        pair("data manifest sha256", &model.data_manifest_sha256),
        pair("decided at", &time(decision.decided_at_ms)),
        blank(),
        Line::heading("Criteria", 11.0),
        row("criterion", "value", "needs", "verdict", "evidence"),
    ]);
    lines.extend(decision.criteria.iter().map(criterion));
    lines.extend([blank(), Line::heading("Evidence", 11.0)]);
    if decision.evidence.is_empty() {
        lines.push(Line::plain("none: nothing was looked at").coloured(RED));
    }
    for (name, hash) in &decision.evidence {
        // A long name has a line of its own.
        if name.len() >= NAME_WIDTH {
            lines.push(Line::plain(name.as_str()));
            lines.push(pair("", hash));
        } else {
            lines.push(pair(name, hash));
        }
    }
    lines.push(pair("thresholds", &decision.thresholds_sha256));
    lines.push(pair("digest of all this", &decision.evidence_digest));
    let (first, second) = sealed.signature().split_at(sealed.signature().len() / 2);
    lines.extend([
        blank(),
        Line::heading("Signature (Ed25519, over the body in gate_decision.json)", 11.0),
        pair("body sha256", &hex(&sha256(sealed.body().as_bytes()))),
        pair("signature", first),
        pair("", second),
        pair("public key", &key.hex()),
        pair("key fingerprint", &key.fingerprint()),
    ]);
    let foot = format!("{title}   digest {}", &decision.evidence_digest[..16]);
    paper::pdf(&title, &lines, &foot)
}

fn verdict(decision: &Decision) -> Vec<Line> {
    let failed: Vec<&Criterion> = decision.failed().collect();
    let (all, go) = (decision.criteria.len(), decision.verdict == Verdict::Go);
    let text = format!("Verdict: {}", decision.verdict.name());
    let mut lines = vec![Line::heading(text, 14.0).coloured(if go { GREEN } else { RED })];
    if go {
        lines.push(Line::plain(format!("All {all} criteria hold.")));
        return lines;
    }
    lines.push(Line::plain(format!("{} of {all} criteria do not hold:", failed.len())));
    for criterion in failed {
        lines.push(Line::plain(format!("  {}", criterion.told())).coloured(RED));
    }
    lines
}

fn criterion(criterion: &Criterion) -> Line {
    let value = criterion.value.map_or("not known".to_owned(), short);
    let needs = format!("{} {}", criterion.relation.sign(), short(criterion.threshold));
    let (verdict, colour) = if criterion.passed { ("PASS", GREEN) } else { ("FAIL", RED) };
    let hash = criterion.evidence_sha256.as_deref().map_or("not there", |hash| &hash[..8]);
    let evidence = format!("{} {hash}", criterion.evidence);
    row(&criterion.name, &value, &needs, verdict, &evidence).coloured(colour)
}

fn row(name: &str, value: &str, needs: &str, verdict: &str, evidence: &str) -> Line {
    Line::plain(format!("{name:<41} {value:>11}  {needs:<11} {verdict:<7} {evidence}"))
}

fn pair(name: &str, what: &str) -> Line {
    Line::plain(format!("{name:<NAME_WIDTH$}{what}"))
}

fn blank() -> Line {
    Line::plain("")
}

/// Some digits, or the number as it is where it is short; the exact one is in the JSON.
fn short(value: f64) -> String {
    let whole = value.to_string();
    match value.abs() {
        _ if whole.len() <= 9 => whole,
        1e-3..1e4 => format!("{value:.6}"),
        _ => format!("{value:.4e}"),
    }
}

/// Milliseconds since 1970 as UTC.
fn time(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(|| format!("{ms} ms"), |at| at.to_string())
}
