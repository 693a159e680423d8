//! `tune`: a search for hyper-parameters.

use super::progress_bar;
use clap::Args;
use peregrine_lab::tune::functions::Function;
use peregrine_lab::tune::{
    Ending, Finished, Job, Objective, Rescue, Search, Space, Summary, SyntheticTraining, load, run,
};
use serde_json::json;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Args)]
pub struct Tune {
    /// What is searched and how.
    #[arg(long, default_value = "config/search.toml")]
    config: PathBuf,
    /// Search a function whose optimum is published instead of training models.
    #[arg(long)]
    function: Option<Function>,
    /// File of the study, or a URL that begins with postgresql:// (instead of study.storage).
    #[arg(long, env = "PEREGRINE__STUDY__STORAGE", hide_env_values = true)]
    storage: Option<String>,
    /// Name of the study (instead of study.name).
    #[arg(long)]
    study: Option<String>,
    /// Trials of the study, whoever makes them (instead of study.trials).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    trials: Option<u32>,
    /// Threads (instead of study.workers).
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    workers: Option<u32>,
    /// Seed of the search (instead of sampler.seed).
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Searches.
///
/// # Errors
/// Settings, a storage or an objective that cannot be used.
pub fn tune(args: &Tune) -> anyhow::Result<()> {
    let mut search = load(&args.config)?;
    search.storage = args.storage.clone().unwrap_or(search.storage);
    search.trials = args.trials.map_or(search.trials, |trials| trials as usize);
    search.workers = args.workers.map_or(search.workers, |workers| workers as usize);
    search.sampler.seed = args.seed.unwrap_or(search.sampler.seed);
    if let Some(function) = args.function {
        search.study = args.study.clone().unwrap_or(function.name().to_owned());
        return report(&search, args, &search_on(&search, &function.space(), &function)?);
    }
    search.study = args.study.clone().unwrap_or(search.study);
    SyntheticTraining::check(&search.space, search.market.model)?;
    let bar = progress_bar("market");
    let mut on_part = |part: f64| bar.set_position((part * 1_000.0) as u64);
    let training = SyntheticTraining::new(&search.market, search.sampler.seed, &mut on_part)?;
    bar.finish_and_clear();
    report(&search, args, &search_on(&search, &search.space, &training)?)
}

fn search_on(search: &Search, space: &Space, objective: &dyn Objective) -> anyhow::Result<Summary> {
    let job = Job {
        storage: &search.storage,
        study: &search.study,
        space,
        objective,
        sampler: search.sampler,
        pruner: search.pruner,
        trials: search.trials,
        workers: search.workers,
        heartbeat_secs: search.heartbeat_s,
        rescue: Rescue { grace_secs: search.grace_s, retries_max: search.retries_max },
        outage: Duration::from_secs_f64(search.outage_s),
    };
    let bar = progress_bar("trials");
    bar.set_length(search.trials as u64);
    let to_lines = !std::io::stderr().is_terminal();
    let progress = |trial: &Finished| {
        bar.inc(1);
        if to_lines {
            let (how, value) = match trial.ending {
                Ending::Complete(value) => ("complete", Some(value)),
                Ending::Pruned(value) => ("pruned", value),
                Ending::Fail => ("failed", None),
            };
            let value = value.map_or(String::new(), |value| format!(" {value}"));
            eprintln!("trial {} {how}{value} {}", trial.number, trial.params);
        }
    };
    let summary = run(&job, &progress)?;
    bar.finish_and_clear();
    Ok(summary)
}

fn report(search: &Search, args: &Tune, summary: &Summary) -> anyhow::Result<()> {
    let Summary { complete, pruned, failed, best } = summary;
    let regret = args.function.zip(best.as_ref()).map(|(f, best)| best.value - f.optimum());
    if args.json {
        let best = best
            .as_ref()
            .map(|best| json!({"number": best.number, "value": best.value, "params": best.params}));
        println!(
            "{}",
            json!({
                "study": search.study,
                "complete": complete,
                "pruned": pruned,
                "failed": failed,
                "best": best,
                "regret": regret,
            })
        );
        return Ok(());
    }
    println!("study        {}", search.study);
    println!("trials       {complete} complete, {pruned} stopped early, {failed} failed");
    if let Some(best) = best {
        println!("best         {} in trial {}", best.value, best.number);
        for (name, value) in best.params.as_object().into_iter().flatten() {
            println!("  {name:<20} {value}");
        }
    }
    if let Some(regret) = regret {
        println!("regret       {regret}");
    }
    Ok(())
}
