//! What a campaign came to: `paper_campaign.json`, and `phase5_signoff.md` for those who sign.

use super::days::{Campaign, Day};
use super::targets::{Step, Targets};
use crate::statistics::moments::{Moments, drawdown_max, sortino};
use crate::statistics::sharpe::Seen;
use peregrine::base::units::Money;
use peregrine::model::artifact::{hex, sha256};
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// Days of a year: the market never closes.
const YEAR_DAYS: f64 = 365.0;

/// All days together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Whole {
    /// Days lived.
    pub days: u64,
    /// Equity at the end against the begin, as a fraction.
    pub net_return: f64,
    /// Annual Sharpe ratio of daily returns; none where they do not differ.
    pub sharpe: Option<f64>,
    /// Probability that the true ratio is above 0.
    pub psr: Option<f64>,
    /// Annual Sortino ratio.
    pub sortino: Option<f64>,
    /// Largest fall, within days and over them, as a fraction.
    pub drawdown_frac: f64,
    /// Round trips that ended.
    pub round_trips: u64,
    /// Share of them that were won.
    pub win_rate: Option<f64>,
    /// What was won over what was lost.
    pub profit_factor: Option<f64>,
    /// Critical errors.
    pub critical: u64,
}

/// A figure beside what it may be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The target's key.
    pub name: String,
    /// What was found; none where it cannot be told.
    pub value: Option<f64>,
    /// What is asked: at least, where the name ends in `_min`, else at most.
    pub threshold: f64,
    /// Whether it holds; what cannot be told does not.
    pub passed: bool,
}

impl Whole {
    /// Puts days together.
    pub fn of(days: &[Day]) -> Self {
        let returns: Vec<f64> = days
            .iter()
            .map(|day| (day.equity_end - day.equity_start) as f64 / day.equity_start as f64)
            .collect();
        let annual = YEAR_DAYS.sqrt();
        let moments = Moments::of(&returns).filter(|moments| moments.deviation > 0.0);
        let seen = moments.map(|moments| Seen {
            sharpe: moments.sharpe(),
            count: moments.count as f64,
            skewness: moments.skewness,
            kurtosis: moments.kurtosis,
        });
        let sum = |part: fn(&Day) -> i64| days.iter().map(part).sum::<i64>();
        let round_trips = days.iter().map(|day| day.round_trips).sum();
        let won: u64 = days.iter().map(|day| day.won).sum();
        let (gain, loss) = (sum(|day| day.gain), sum(|day| day.loss));
        let within = days.iter().map(|day| day.fall_max).fold(0.0, f64::max);
        Self {
            days: days.len() as u64,
            net_return: returns.iter().map(|r| 1.0 + r).product::<f64>() - 1.0,
            sharpe: seen.map(|seen| seen.sharpe * annual),
            psr: seen.map(|seen| seen.probability_above(0.0)).filter(|p| p.is_finite()),
            sortino: sortino(&returns).map(|ratio| ratio * annual).filter(|r| r.is_finite()),
            drawdown_frac: lowest(days).max(within).max(drawdown_max(&returns)),
            round_trips,
            win_rate: (round_trips > 0).then(|| won as f64 / round_trips as f64),
            profit_factor: (loss > 0).then(|| gain as f64 / loss as f64),
            critical: days.iter().map(|day| day.critical.len() as u64).sum(),
        }
    }
}

/// The largest fall from the highest end of a day to the lowest point of a later one.
fn lowest(days: &[Day]) -> f64 {
    let (mut peak, mut fall) = (i64::MIN, 0.0_f64);
    for day in days {
        peak = peak.max(day.equity_start);
        fall = fall.max((peak - day.equity_low) as f64 / peak as f64);
        peak = peak.max(day.equity_end);
    }
    fall
}

/// What was found beside what is asked.
pub fn judge(whole: &Whole, targets: &Targets) -> Vec<Verdict> {
    let paper = &targets.paper;
    let at_least = |name: &str, value: Option<f64>, threshold: f64| Verdict {
        name: name.to_owned(),
        value,
        threshold,
        passed: value.is_some_and(|value| value >= threshold),
    };
    let at_most = |name: &str, value: f64, threshold: f64| Verdict {
        name: name.to_owned(),
        value: Some(value),
        threshold,
        passed: value <= threshold,
    };
    vec![
        at_least("days_min", Some(whole.days as f64), paper.days_min as f64),
        at_most("critical_max", whole.critical as f64, paper.critical_max as f64),
        at_least("sharpe_min", whole.sharpe, paper.sharpe_min),
        at_most("drawdown_frac_max", whole.drawdown_frac, paper.drawdown_frac_max),
        at_least("win_rate_min", whole.win_rate, paper.win_rate_min),
        at_least("round_trips_min", Some(whole.round_trips as f64), paper.round_trips_min as f64),
        at_least("profit_factor_min", whole.profit_factor, paper.profit_factor_min),
    ]
}

/// For programs. It is the same text for the same days.
pub fn json(campaign: &Campaign, targets: &Targets, days: &[Day]) -> Value {
    let whole = Whole::of(days);
    let verdicts = judge(&whole, targets);
    json!({
        "kind": "paper_campaign",
        "schema": 1,
        "model_sha256": hex(&sha256(&campaign.files.onnx)),
        "config_sha256": hex(&sha256(campaign.loaded.text.as_bytes())),
        "passed": verdicts.iter().all(|verdict| verdict.passed),
        "verdicts": verdicts,
        "whole": whole,
        "steps": targets.step,
        "days": days,
    })
}

/// The document for those who sign.
pub fn markdown(campaign: &Campaign, targets: &Targets, days: &[Day]) -> String {
    let whole = Whole::of(days);
    let verdicts = judge(&whole, targets);
    let passed = verdicts.iter().all(|verdict| verdict.passed);
    let word = if passed { "READY TO BE SIGNED" } else { "NOT READY" };
    let mut text = format!(
        "# Sign-off of {}: {word}\n\n| what | SHA-256 |\n|---|---|\n| model | {} |\n| \
         configuration | {} |\n\n## What trading on paper showed\n\n| target | value | asked | \
         verdict |\n|---|---|---|---|\n",
        campaign.files.card.version,
        hex(&sha256(&campaign.files.onnx)),
        hex(&sha256(campaign.loaded.text.as_bytes())),
    );
    for Verdict { name, value, threshold, passed } in &verdicts {
        let sign = if name.ends_with("_min") { "≥" } else { "≤" };
        let value = value.map_or_else(|| "not known".to_owned(), |value| format!("{value:.4}"));
        let word = if *passed { "met" } else { "NOT MET" };
        let _ = writeln!(text, "| {name} | {value} | {sign} {threshold} | {word} |");
    }
    let told = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |r| format!("{r:.2}"));
    let _ = writeln!(
        text,
        "\nNet return {:.3} %, Sortino ratio {}, probability that the true Sharpe ratio is above 0 \
         {}. Ratios are annual, of daily returns.\n\n## Days\n\n| day | equity | profit | fees | \
         funding | round trips | won | fall | decisions | orders | fills | denied | worst state | \
         tripped | critical |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        100.0 * whole.net_return,
        told(whole.sortino),
        told(whole.psr),
    );
    days.iter().for_each(|day| line(&mut text, day));
    steps(&mut text, &targets.step);
    signatures(&mut text, &whole);
    text
}

fn line(text: &mut String, day: &Day) {
    let [decisions, orders, fills, denied] = day.counts;
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} | {:.3} % | {decisions} | {orders} | {fills} | \
         {denied} | {} | {} | {} |",
        day.name,
        Money(day.equity_end),
        Money(day.equity_end - day.equity_start),
        Money(day.fees),
        Money(day.funding),
        day.round_trips,
        day.won,
        100.0 * day.fall_max,
        day.worst_state,
        day.tripped.join(", "),
        day.critical.join(", "),
    );
}

fn steps(text: &mut String, steps: &[Step]) {
    text.push_str("\n## Steps of capital\n\n| capital | after days | Sharpe | fall | limits |\n");
    text.push_str("|---|---|---|---|---|\n");
    for step in steps {
        let asked = |sign: &str, value: Option<f64>| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{sign} {value}"))
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            step.capital_quote,
            step.days_min,
            asked("≥", step.sharpe_min),
            asked("≤", step.drawdown_frac_max),
            step.limits,
        );
    }
}

fn signatures(text: &mut String, whole: &Whole) {
    let _ = writeln!(
        text,
        "\n## Signatures\n\nTwo people sign, one for risk and one for the model, after they have \
         seen the figures above, the gate's decision and the stress test. The record that a live \
         session asks for is made with these figures:\n\n```text\nperegrine-lab gate sign-off \
         --config config/live.toml --program target/release/peregrine --stage limited_live --by \
         NAME --reason REASON --days {} --round-trips {} --sharpe {:.2} --drawdown-bps {} --key \
         FILE\n```\n\n| role | name | date | signature |\n|---|---|---|---|\n| risk | | | |\n| \
         model | | | |",
        whole.days,
        whole.round_trips,
        whole.sharpe.unwrap_or(0.0),
        (whole.drawdown_frac * 1e4).ceil(),
    );
}
