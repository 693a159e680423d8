//! What was found as a file of fills: the keys of `[paper]`, each with what it rests on. A key that
//! too little is known of is not set.

use super::calibrate::{Calibration, Measured};
use super::estimate::{COUNT_MIN, Estimate};
use std::fmt::Write as _;

/// The file's text.
pub fn text(found: &Calibration) -> String {
    let mut text = format!(
        "# Estimated from {} session{} by `peregrine-lab calibrate`. A key that is not set keeps \
         the value\n# of the configuration. Intervals hold the truth 95 times of 100.\n\n[paper]\n",
        found.sessions,
        if found.sessions == 1 { "" } else { "s" }
    );
    latency(&mut text, "order_latency", "from the decision to the venue's matching", &found.order);
    latency(&mut text, "report_latency", "from the matching to our receipt", &found.report);
    queue(&mut text, found);
    impact(&mut text, found);
    text
}

/// The value with its interval and count.
pub fn told(found: &Estimate, unit: &str, digits: usize) -> String {
    let Estimate { value, low, high, count } = found;
    format!("{value:.digits$} {unit} [{low:.digits$}, {high:.digits$}] of {count}")
}

fn latency(text: &mut String, key: &str, what: &str, found: &Measured) {
    let Some(middle) = &found.p50_us else {
        let _ = writeln!(
            text,
            "# {key}_us: {} requests were answered, {COUNT_MIN} are needed; it stays.",
            found.count
        );
        return;
    };
    let _ = writeln!(text, "# Microseconds {what}: half take up to {}.", told(middle, "µs", 0));
    for (name, tail) in [("90 %", &found.p90_us), ("99 %", &found.p99_us)] {
        if let Some(tail) = tail {
            let _ = writeln!(text, "# {name} take up to {}.", told(tail, "µs", 0));
        }
    }
    let _ = writeln!(text, "{key}_us = {}", middle.value.max(0.0) as u64);
    let Some(quantiles) = &found.quantiles_us else {
        let _ = writeln!(
            text,
            "# {key}_quantiles_us: too few requests for a tail; every request takes the same."
        );
        return;
    };
    let listed: Vec<String> = quantiles.iter().map(ToString::to_string).collect();
    let _ = writeln!(
        text,
        "# What 0, 10, 25, 50, 75, 90, 95, 99 and 100 % do not exceed.\n{key}_quantiles_us = [{}]",
        listed.join(", ")
    );
}

fn queue(text: &mut String, found: &Calibration) {
    let queue = &found.queue;
    if queue.orders < COUNT_MIN {
        let _ = writeln!(
            text,
            "# queue: {} orders rested and ended, {COUNT_MIN} are needed; it stays.",
            queue.orders
        );
        return;
    }
    for judged in &queue.models {
        if let (Some(error), Some(off)) = (&judged.error, &judged.error_abs) {
            let _ = writeln!(
                text,
                "# {}: fills {} more of an order than was filled; off by {}.",
                judged.model,
                told(error, "", 4),
                told(off, "", 4)
            );
        }
    }
    match queue.nearest {
        Some(model) => {
            let _ = writeln!(text, "# Nearest to what was filled.\nqueue = \"{model}\"");
        }
        None => {
            let _ = writeln!(text, "# queue: no model is nearer beyond chance; it stays.");
        }
    }
}

fn impact(text: &mut String, found: &Calibration) {
    let Some(impact) = &found.impact.impact_bps else {
        let usable = found.impact.orders - found.impact.capped;
        let _ = writeln!(
            text,
            "# impact_bps: {usable} orders took without reaching their limit, {COUNT_MIN} are \
             needed; it stays."
        );
        return;
    };
    let _ = writeln!(text, "# Impact of taking all that is displayed: {}.", told(impact, "bps", 4));
    if impact.low > 0.0 {
        let _ = writeln!(text, "impact_bps = {:.4}", impact.value);
    } else {
        let _ = writeln!(text, "# impact_bps: not told from none; it stays.");
    }
}
