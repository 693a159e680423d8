//! `wfv_report.md`, its pictures, and `walk_forward.json` with the hashes of all of them.

use super::engine::Engine;
use super::store::{FOLDS, path_of};
use super::{BINS, Job, Outcome, code_of, plots, training_hash};
use crate::files::{write_json, write_whole};
use crate::statistics::calibration::reliability;
use anyhow::Result;
use peregrine::base::Money;
use peregrine::model::artifact::{CLASSES, hex, sha256};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The report for people.
pub const REPORT_FILE: &str = "wfv_report.md";
/// The report for programs.
pub const JSON_FILE: &str = "walk_forward.json";

/// Writes everything into the job's folder.
///
/// # Errors
/// The file that could not be written.
pub fn write(job: Job<'_>, outcome: &Outcome) -> Result<()> {
    let mut files = BTreeMap::new();
    let mut put = |name: &str, bytes: &[u8]| -> Result<()> {
        files.insert(name.to_owned(), hex(&sha256(bytes)));
        write_whole(&job.out.join(name), bytes)
    };
    for (name, svg) in pictures(job, outcome)? {
        put(name, svg.as_bytes())?;
    }
    put(REPORT_FILE, report(job, outcome).as_bytes())?;
    for name in &outcome.stored {
        let bytes = std::fs::read(path_of(job.out, name))?;
        files.insert(format!("{FOLDS}/{name}.json"), hex(&sha256(&bytes)));
    }
    write_json(&job.out.join(JSON_FILE), &told(job, outcome, &files))
}

fn told(job: Job<'_>, outcome: &Outcome, files: &BTreeMap<String, String>) -> Value {
    let trial = outcome.tried[outcome.chosen].trial;
    let mut told = json!({
        "kind": "walk_forward",
        "schema": 1,
        "data_manifest_sha256": hex(&job.rows.data_hash),
        "config_sha256": job.config.hash(),
        "code": code_of(),
        "hold_out_from_ms": job.rows.held_out_from_ms,
        "training_sha256": training_hash(job.config, trial.depth),
        "chosen": {"depth": trial.depth, "enter_edge": trial.enter_edge},
        "seed": job.config.seed,
        "trials": outcome.trials,
        "folds": outcome.folds,
        "pooled": outcome.pooled,
        "cpcv": {"paths": outcome.paths, "sharpe_q05": outcome.sharpe_q05},
        "pbo": outcome.pbo,
        "calibration": {"ece": outcome.ece, "bins": BINS},
        "files": files,
    });
    if let Some(engine) = &outcome.engine {
        told["engine"] = json!(engine);
    }
    told
}

fn pictures(job: Job<'_>, outcome: &Outcome) -> Result<[(&'static str, String); 4]> {
    let returns = &outcome.tried[outcome.chosen].track.returns;
    let (mut equity, mut peak) = (1.0_f64, 1.0_f64);
    let mut grown = vec![0.0];
    let mut fallen = vec![0.0];
    for change in returns {
        equity *= 1.0 + change;
        peak = peak.max(equity);
        grown.push(equity - 1.0);
        fallen.push(equity / peak - 1.0);
    }
    let (said, labels) = &outcome.said;
    let class = |class: usize| {
        let p: Vec<f64> = said.iter().map(|row| row[class]).collect();
        let came: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        (CLASSES[class], reliability(&p, &came, BINS))
    };
    let classes: Vec<_> = (0..CLASSES.len()).map(class).collect();
    Ok([
        ("equity.svg", plots::line("net return", &grown)?),
        ("drawdown.svg", plots::line("below the peak", &fallen)?),
        ("importance.svg", plots::importance(&job.rows.names, &outcome.importance)?),
        ("calibration.svg", plots::calibration(&classes)?),
    ])
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.digits$}"))
}

fn percent(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{:.2} %", value * 100.0))
}

fn day(ms: i64) -> String {
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    stamp.strftime("%Y-%m-%d %H:%M").to_string()
}

fn report(job: Job<'_>, outcome: &Outcome) -> String {
    let mut text = String::from("# Walk-forward validation\n\n");
    made_from(&mut text, job, outcome);
    figures(&mut text, outcome);
    folds(&mut text, outcome);
    if let Some(engine) = &outcome.engine {
        through_the_trader(&mut text, outcome, engine);
    }
    trials(&mut text, job, outcome);
    let _ = writeln!(
        text,
        "## Calibration and features\n\nCalibration error {:.4} in {BINS} bins, on {} rows out of \
         sample.\n\n![calibration](calibration.svg)\n\n![importance](importance.svg)\n\nImportance \
         is the share of splits over the walk-forward forests.",
        outcome.ece,
        outcome.said.1.len()
    );
    text
}

fn made_from(text: &mut String, job: Job<'_>, outcome: &Outcome) {
    let (rows, config) = (job.rows, job.config);
    let symbols: Vec<&str> = rows.markets.iter().map(|market| market.symbol.as_str()).collect();
    let _ = writeln!(text, "| | |\n|---|---|");
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {value} |");
    };
    line("data manifest", format!("`{}`", hex(&rows.data_hash)));
    line("configuration", format!("`{}`", config.hash()));
    line("seed", config.seed.to_string());
    line("symbols", symbols.join(", "));
    line("rows", format!("{} of {} ms bars; {} left out", rows.len(), rows.bar_ms, rows.left_out));
    line("features", rows.names.join(", "));
    let barrier = match config.label.barrier > 0.0 {
        true => format!("barriers at {} deviations and costs, ", config.label.barrier),
        false => String::new(),
    };
    line("label", format!("{barrier}at most {} bars", config.label.horizon_bars));
    let costs = config.costs;
    line(
        "costs of an order",
        format!(
            "fee {} bps, half of a spread of {} bps, slippage {} bps; funding as settled",
            costs.taker_fee_bps, costs.spread_bps, costs.slippage_bps
        ),
    );
    line("embargo", format!("{} bars behind a combinatorial test", config.folds.embargo_bars));
    line("trials", format!("{} ({} before)", outcome.trials, config.trials_before));
    let _ = writeln!(
        text,
        "\nReturns are those of the lab's own trading of the predictions out of sample: the \
         policy's `enter_edge` and `exit_edge`, barriers and horizon of the label, orders that \
         take at the open of the next bar, an equal part of the capital for each symbol. Sizing, \
         risk gate and resting orders are not in them{}.\n",
        match outcome.engine {
            Some(_) => "; what the trader makes of the same folds stands below",
            None => ", and the trader was not run: `--engine` does that",
        }
    );
}

fn figures(text: &mut String, outcome: &Outcome) {
    let pooled = &outcome.pooled;
    let trial = outcome.tried[outcome.chosen].trial;
    let _ = writeln!(
        text,
        "## Out of sample, folds put together\n\nThe best of the trials: depth {}, `enter_edge` \
         {}.\n\n| | |\n|---|---|",
        trial.depth, trial.enter_edge
    );
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "| {name} | {value} |");
    };
    line("net return", percent(Some(pooled.net_return)));
    line("net return at twice the costs", percent(Some(pooled.net_return_cost_x2)));
    line("Sharpe, annual", number(pooled.sharpe, 2));
    line("Sortino, annual", number(pooled.sortino, 2));
    line("largest fall", percent(pooled.max_drawdown_frac));
    line("profit factor", number(pooled.profit_factor, 3));
    line("round trips", pooled.trades.to_string());
    line("won", percent(pooled.win_rate));
    line("turnover a year", number(pooled.turnover, 0));
    line("probabilistic Sharpe", number(pooled.psr, 4));
    line("deflated Sharpe", number(pooled.dsr, 4));
    let least = number(pooled.min_track_record_length_periods, 0);
    line("shortest track record", format!("{least} periods of {}", pooled.periods));
    line("overfitting (CSCV)", number(outcome.pbo, 3));
    let paths: Vec<String> = outcome.paths.iter().map(|&path| number(path, 2)).collect();
    line("combinatorial paths, Sharpe", paths.join(", "));
    line("their 5 % quantile", number(outcome.sharpe_q05, 2));
    let _ = writeln!(text, "\n![equity](equity.svg)\n\n![drawdown](drawdown.svg)\n");
}

fn folds(text: &mut String, outcome: &Outcome) {
    let _ = writeln!(
        text,
        "## Folds\n\n| fold | learned from | judged on | rows | log-loss | of shares | Sharpe | \
         net | round trips |\n|---|---|---|---|---|---|---|---|---|"
    );
    for fold in &outcome.folds {
        let _ = writeln!(
            text,
            "| {} | {} to {} | {} to {} | {} / {} | {:.5} | {} | {} | {} | {} |",
            fold.number,
            day(fold.train_from_ms),
            day(fold.train_to_ms),
            day(fold.test_from_ms),
            day(fold.test_to_ms),
            fold.rows_fit,
            fold.rows_test,
            fold.log_loss,
            number(fold.log_loss_prior, 5),
            number(fold.sharpe, 2),
            percent(Some(fold.net_return)),
            fold.trades
        );
    }
    text.push('\n');
}

/// The trader's figures beside the lab's own, fold by fold.
fn through_the_trader(text: &mut String, outcome: &Outcome, engine: &Engine) {
    let _ = writeln!(
        text,
        "## Through the trader\n\nThe same folds through the trader's own stages: each with its \
         own model, with sizing, risk gate, fills of the paper venue, fees and funding. \
         Configuration `{}`.\n\n\
         | | lab | trader |\n|---|---:|---:|\n| net return | {} | {} |\n\
         | Sharpe, annual | {} | {} |\n| largest fall | {} | {} |\n| round trips | {} | {} |\n\n\
         | fold | net, lab | net, trader | round trips | won | decisions | orders | fills \
         | refused | fees | funding | worst state |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|",
        engine.trader_sha256,
        percent(Some(outcome.pooled.net_return)),
        percent(Some(engine.net_return)),
        number(outcome.pooled.sharpe, 2),
        number(engine.sharpe, 2),
        percent(outcome.pooled.max_drawdown_frac),
        percent(Some(engine.max_drawdown_frac)),
        outcome.pooled.trades,
        engine.trades
    );
    for (fold, lived) in outcome.folds.iter().zip(&engine.folds) {
        let ([trips, won], [decisions, orders, fills, refused]) = (lived.round_trips, lived.counts);
        let _ = writeln!(
            text,
            "| {} | {} | {} | {trips} | {won} | {decisions} | {orders} | {fills} | {refused} | {} \
             | {} | {} |",
            fold.number,
            percent(Some(fold.net_return)),
            percent(Some(lived.net())),
            Money(lived.fees),
            Money(lived.funding),
            lived.worst_state
        );
    }
    text.push('\n');
}

fn trials(text: &mut String, job: Job<'_>, outcome: &Outcome) {
    let _ = writeln!(
        text,
        "## Trials\n\n| depth | `enter_edge` | Sharpe | net | round trips |\n|---|---|---|---|---|"
    );
    for tried in &outcome.tried {
        let track = &tried.track;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            tried.trial.depth,
            tried.trial.enter_edge,
            number(super::figures::sharpe(track, job.config.period_ms), 2),
            percent(Some(track.net())),
            track.trades.len()
        );
    }
    text.push('\n');
}
