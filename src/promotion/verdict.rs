//! From what was seen to a verdict, with its reasons. Silence never promotes: `promote` needs every
//! criterion, and what is not known does not hold.

use super::observed::Observed;
use super::rules::{CANARY, Rule, SHADOW};
use super::settings::{ALPHA, PromotionSettings};
use crate::registry::Stage;
use crate::registry::decision::Criterion;
use crate::registry::verdict::{Contender, PromotionVerdict, Ruling};
use serde::Serialize;
use std::collections::BTreeMap;

/// A verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The stage that was watched.
    pub from: Stage,
    /// The stage it is about.
    pub to: Stage,
    /// What it came to.
    pub verdict: Ruling,
    /// In the order of `gates.toml`.
    pub criteria: Vec<Criterion>,
    /// Why, for people.
    pub explained: String,
}

impl Verdict {
    /// The document that the registry believes once it is signed.
    ///
    /// # Errors
    /// What it contradicts.
    pub fn document(
        &self,
        (champion, challenger): (&Contender, &Contender),
        evidence: BTreeMap<String, String>,
        decided_at_ms: u64,
    ) -> Result<PromotionVerdict, String> {
        PromotionVerdict::new(
            (self.from, self.to),
            Some(champion.clone()),
            challenger.clone(),
            self.verdict,
            self.criteria.clone(),
            evidence,
            decided_at_ms,
        )
    }
}

/// The file that the values are from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its SHA-256, hex.
    pub sha256: &'s str,
}

/// Judges a trial of `stage`; `None` for a stage in which nothing is on trial.
pub fn judge(
    settings: &PromotionSettings,
    stage: Stage,
    observed: &Observed,
    source: Source<'_>,
) -> Option<Verdict> {
    let (table, to, criteria) = match stage {
        Stage::Shadow => {
            let table = "promotion.shadow_to_canary";
            (table, Stage::Canary, criteria((table, &SHADOW), &settings.shadow, observed, source))
        }
        Stage::Canary => {
            let table = "promotion.canary_to_champion";
            (table, Stage::Champion, criteria((table, &CANARY), &settings.canary, observed, source))
        }
        _ => return None,
    };
    let (verdict, reason) = decide(settings, table, observed, &criteria);
    let failed: Vec<String> =
        criteria.iter().filter(|criterion| !criterion.passed).map(told).collect();
    let held = criteria.len() - failed.len();
    let mut explained =
        format!("{}: {reason}; {held} of {} criteria hold", verdict.name(), criteria.len());
    if !failed.is_empty() {
        explained = format!("{explained}, these do not: {}", failed.join(", "));
    }
    Some(Verdict { from: stage, to, verdict, criteria, explained })
}

fn criteria<const N: usize>(
    (table, rules): (&str, &[Rule; N]),
    thresholds: &[f64; N],
    observed: &Observed,
    source: Source<'_>,
) -> Vec<Criterion> {
    let judged = |(rule, threshold): (&Rule, &f64)| {
        // A value without end cannot be written, and says nothing.
        let value = (rule.value)(observed).filter(|value| value.is_finite());
        Criterion {
            name: format!("{table}.{}", rule.key),
            value,
            relation: rule.relation,
            threshold: *threshold,
            passed: rule.relation.holds(value, *threshold),
            evidence: source.name.to_owned(),
            evidence_sha256: Some(source.sha256.to_owned()),
        }
    };
    rules.iter().zip(thresholds).map(judged).collect()
}

fn decide(
    settings: &PromotionSettings,
    table: &str,
    observed: &Observed,
    criteria: &[Criterion],
) -> (Ruling, String) {
    let named = |key: &str| {
        let name = format!("{table}.{key}");
        criteria.iter().find(|criterion| criterion.name == name)
    };
    let days_max = named("days_max").map_or(0.0, |criterion| criterion.threshold);
    let days = observed.days;
    if criteria.iter().all(|criterion| criterion.passed) {
        return (Ruling::Promote, format!("everything holds after {days:.1} days"));
    }
    if observed.guardrail_trips.is_some_and(|trips| trips > 0) {
        return (Ruling::Reject, "a guardrail tripped".to_owned());
    }
    // Evidence for the champion counts by the same measure as evidence for the challenger.
    let wanted = named("evidence_min").map_or(1.0 / ALPHA, |c| c.threshold);
    let against = observed.evidence_against;
    if against / f64::from(observed.challengers.max(1)) >= wanted {
        return (Ruling::Reject, format!("the champion is better: evidence {against:.1}"));
    }
    if days >= days_max {
        let reason = format!("inconclusive after {days:.1} days of at most {days_max}");
        return (Ruling::Reject, reason);
    }
    if days >= settings.days_extended {
        let reason = format!("inconclusive after {days:.1} days, extended to {days_max}");
        return (Ruling::Hold, reason);
    }
    (Ruling::Hold, format!("{days:.1} days seen"))
}

fn told(criterion: &Criterion) -> String {
    let key = criterion.name.rsplit('.').next().unwrap_or_default();
    let value = criterion.value.map_or("not known".to_owned(), |value| format!("{value:.4}"));
    format!("{key} {value} ({} {})", criterion.relation.sign(), criterion.threshold)
}
