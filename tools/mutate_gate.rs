//! `mutate-gate`: breaks the order gate, the order states and the ledger on purpose, piece by piece
//! and sees whether a test notices. What no test notices is printed, and fails the run.
//!
//! ```text
//!  repository ─ copied ─► every function that is broken gets all its broken bodies beside its own
//!                         fn f() { match mutant(3) { 17 => {…} 18 => {…} _ => {as written} } }
//!                 built once ─► every test once, to see which of them call which function
//!                            ─► once per mutant those that call its function, up to the first
//!                               that fails: MUTANT=17, MUTANT=18, …
//! ```
//! The switch is in the copy alone: the repository and what is released from it hold no trace of
//! it. What was found is kept in a file, and a run that was stopped goes on from there; what
//! survived is tried again.

#[path = "mutate_gate/sites.rs"]
mod sites;
#[path = "mutate_gate/trial.rs"]
mod trial;
#[path = "mutate_gate/weave.rs"]
mod weave;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use trial::{Outcome, Source, Trial};

/// What is broken, and the room whose tests have to notice first.
const FILES: [(&str, &str); 52] = [
    ("src/risk/checks.rs", "risk::"),
    ("src/risk/exposure.rs", "risk::"),
    ("src/risk/pace.rs", "risk::"),
    ("src/risk/glance.rs", "risk::"),
    ("src/risk/gap.rs", "risk::"),
    ("src/risk/limits.rs", "risk::"),
    ("src/risk/throttle.rs", "risk::"),
    ("src/risk/conduct.rs", "risk::"),
    ("src/risk/portfolio.rs", "risk::"),
    ("src/risk/senses.rs", "risk::"),
    ("src/risk/stage.rs", "risk::"),
    ("src/risk/state.rs", "risk::"),
    ("src/risk/terms.rs", "risk::"),
    ("src/risk/venue.rs", "risk::"),
    ("src/risk/watch.rs", "risk::"),
    ("src/risk/word.rs", "risk::"),
    ("src/risk/command.rs", "risk::"),
    ("src/risk/check.rs", "risk::"),
    ("src/risk/gate/mod.rs", "risk::"),
    ("src/risk/gate/order.rs", "risk::"),
    ("src/risk/gate/trips.rs", "risk::"),
    ("src/risk/gate/watched.rs", "risk::"),
    ("src/risk/breakers/mod.rs", "risk::"),
    ("src/risk/breakers/balance.rs", "risk::"),
    ("src/risk/breakers/board.rs", "risk::"),
    ("src/risk/breakers/fills.rs", "risk::"),
    ("src/risk/breakers/ladder.rs", "risk::"),
    ("src/risk/breakers/latency.rs", "risk::"),
    ("src/risk/breakers/loss.rs", "risk::"),
    ("src/risk/breakers/market.rs", "risk::"),
    ("src/risk/breakers/outputs.rs", "risk::"),
    ("src/risk/breakers/rejects.rs", "risk::"),
    ("src/risk/breakers/restart.rs", "risk::"),
    ("src/risk/breakers/rungs.rs", "risk::"),
    ("src/risk/breakers/seal.rs", "risk::"),
    ("src/risk/breakers/staleness.rs", "risk::"),
    ("src/policy/sizing.rs", "policy::"),
    ("src/execution/state.rs", "execution::"),
    ("src/ledger/account.rs", "ledger::"),
    ("src/ledger/carried.rs", "ledger::"),
    ("src/ledger/fills.rs", "ledger::"),
    ("src/ledger/mod.rs", "ledger::"),
    ("src/ledger/orders.rs", "ledger::"),
    ("src/ledger/payments.rs", "ledger::"),
    ("src/ledger/position.rs", "ledger::"),
    ("src/ledger/reports.rs", "ledger::"),
    ("src/ledger/resting.rs", "ledger::"),
    ("src/ledger/stops.rs", "ledger::"),
    ("src/ledger/streams.rs", "ledger::"),
    ("src/base/order.rs", "base::"),
    ("src/base/time.rs", "base::"),
    ("src/base/units/mod.rs", "base::"),
];
/// Rooms whose tests have to notice, the own one first.
const ROOMS: [&str; 6] = ["risk::", "ledger::", "policy::", "execution::", "engine::", "base::"];
/// Mutants that change nothing anyone could notice, with the reason; see the file.
const EQUAL: &str = "tools/mutate_gate/equal.txt";

#[derive(Parser)]
#[command(
    name = "mutate-gate",
    version,
    about = "Breaks the order gate on purpose and sees whether a test notices",
    after_help = "Example: mutate-gate --work /tmp/mutants --target /tmp/mutants/target"
)]
struct Arguments {
    /// Folder of the copy and of what was found.
    #[arg(long, value_name = "DIR")]
    work: PathBuf,
    /// Cargo's target folder for the copy; a filled one spares time.
    #[arg(long, value_name = "DIR")]
    target: Option<PathBuf>,
    /// The repository.
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// Try only mutants with this in their name, such as a file's; may be told more than once.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Run at most so many mutants; the next run goes on from there.
    #[arg(long, value_name = "N")]
    most: Option<usize>,
    /// Mutants tried side by side.
    #[arg(long, value_name = "N", default_value_t = 2)]
    jobs: usize,
    /// Print the mutants and run none.
    #[arg(long)]
    list: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn asks_for(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|part| name.contains(part))
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutate-gate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// True when every mutant that was tried was noticed, or could not be, and the list of those that
/// could not be names mutants alone.
fn run(arguments: &Arguments) -> Result<bool> {
    let sources = read_sources(&arguments.root)?;
    let work = Work::of(&sources);
    if arguments.list {
        let asked = work.names.iter().filter(|name| arguments.asks_for(name));
        asked.for_each(|name| println!("{name}"));
        return Ok(true);
    }
    let equal = equal_mutants(&arguments.root.join(EQUAL))?;
    fs::create_dir_all(&arguments.work)?;
    let copy = fs::canonicalize(&arguments.work)?.join("copy");
    let found = arguments.work.join("found.tsv");
    let mut known = read_found(&found)?;
    let mut log = fs::OpenOptions::new().create(true).append(true).open(&found)?;
    let numbers = (1..).zip(&work.names);
    let refused = numbers.filter(|(_, name)| known.get(*name).is_some_and(|word| word == REFUSED));
    let refused = refused.map(|(number, _)| number).collect();
    let began = Instant::now();
    let target = arguments.target.as_deref();
    let mut tell = |number: usize| {
        println!("no compiler takes {}", work.names[number - 1]);
        Ok(writeln!(log, "{}\t{REFUSED}", work.names[number - 1])?)
    };
    let trial = Trial::new(&arguments.root, &copy, target, &sources, refused, &ROOMS, &mut tell)?;
    eprintln!("built and run with nothing broken: {} s", began.elapsed().as_secs());
    let todo: Vec<usize> = (0..work.names.len())
        .filter(|&i| !trial.refused.contains(&(i + 1)))
        .filter(|&i| known.get(&work.names[i]).is_none_or(|word| word != KILLED))
        .filter(|&i| !equal.contains_key(&work.names[i]))
        .filter(|&i| arguments.asks_for(&work.names[i]))
        .take(arguments.most.unwrap_or(usize::MAX))
        .collect();
    for (name, word) in try_all(&trial, &work, &todo, arguments.jobs, log)? {
        known.insert(name, word);
    }
    Ok(report(&work, &known, &equal, &trial.refused, arguments.json))
}

/// Words of the file of what was found.
const KILLED: &str = "killed";
const SURVIVED: &str = "survived";
const REFUSED: &str = "refused";

/// What there is to be tried.
struct Work {
    /// By mutant, which are numbered from 1.
    names: Vec<String>,
    /// By mutant: the function it breaks, and the room of its file.
    places: Vec<(usize, &'static str)>,
}

impl Work {
    fn of(sources: &[Source]) -> Self {
        let mut work = Self { names: Vec::new(), places: Vec::new() };
        for (source, (_, room)) in sources.iter().zip(FILES) {
            for function in &source.functions {
                work.names.extend(function.mutants.iter().map(|mutant| mutant.name.clone()));
                work.places.resize(work.names.len(), (function.number, room));
            }
        }
        work
    }
}

fn read_sources(root: &Path) -> Result<Vec<Source>> {
    let (mut sources, mut first, mut number) = (Vec::new(), 1, 0);
    for (file, _) in FILES {
        let text = fs::read_to_string(root.join(file)).context(file)?;
        let mut functions = sites::functions(file, &text);
        if functions.iter().all(|function| function.mutants.is_empty()) {
            bail!("{file}: nothing to be broken");
        }
        let begins = first;
        for function in &mut functions {
            number += 1;
            function.number = number;
            first += function.mutants.len();
        }
        sources.push(Source { file, text, functions, first: begins });
    }
    Ok(sources)
}

/// Tries mutants, some side by side; what became of each.
fn try_all(
    trial: &Trial,
    work: &Work,
    todo: &[usize],
    jobs: usize,
    log: fs::File,
) -> Result<Vec<(String, String)>> {
    let (next, log) = (AtomicUsize::new(0), Mutex::new((log, Vec::new())));
    let one = || -> Result<()> {
        while let Some(&i) = todo.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (function, own) = work.places[i];
            let others: Vec<&str> = ROOMS.into_iter().filter(|room| *room != own).collect();
            let mut outcome = trial.run(function, i + 1, &[own])?;
            if outcome == Outcome::Passed {
                outcome = trial.run(function, i + 1, &others)?;
            }
            let word = if outcome == Outcome::Passed { SURVIVED } else { KILLED };
            let name = &work.names[i];
            let mut log = log.lock().expect("nobody panics with it");
            writeln!(log.0, "{name}\t{word}")?;
            println!("{word:<9}{name}");
            log.1.push((name.clone(), word.to_owned()));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(one)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    Ok(log.into_inner().expect("nobody panicked with it").1)
}

fn report(
    work: &Work,
    known: &HashMap<String, String>,
    equal: &HashMap<String, String>,
    refused: &HashSet<usize>,
    json: bool,
) -> bool {
    let told = |word: &str| {
        let names = work.names.iter().filter(|name| !equal.contains_key(*name));
        names.filter(|name| known.get(*name).is_some_and(|told| told == word)).collect::<Vec<_>>()
    };
    let (killed, survived) = (told(KILLED).len(), told(SURVIVED));
    let same = work.names.iter().filter(|name| equal.contains_key(*name)).count();
    let mutants = work.names.len() - refused.len();
    let open = mutants.saturating_sub(killed + survived.len() + same);
    survived.iter().for_each(|name| println!("survived: {name}"));
    // A reason that stands for nothing may stand for something else tomorrow.
    let gone: Vec<_> = equal.keys().filter(|name| !work.names.contains(*name)).collect();
    gone.iter().for_each(|name| println!("listed as equal, but no mutant: {name}"));
    let survived = survived.len();
    if json {
        let told = json!({
            "mutants": mutants, "killed": killed, "survived": survived,
            "equal": same, "open": open, "refused": refused.len(),
        });
        println!("{told}");
    } else {
        println!(
            "{mutants} mutants: {killed} killed, {survived} survived, {same} equal, {open} not run \
             yet; {} more do not compile",
            refused.len()
        );
    }
    survived == 0 && gone.is_empty()
}

fn read_found(path: &Path) -> Result<HashMap<String, String>> {
    let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    Ok(pairs.map(|(name, word)| (name.to_owned(), word.to_owned())).collect())
}

/// Lines of `mutant # reason`.
fn equal_mutants(path: &Path) -> Result<HashMap<String, String>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| match line.split_once(" # ") {
            Some((name, why)) => Ok((name.trim().to_owned(), why.to_owned())),
            None => bail!("{}: no reason: {line}", path.display()),
        })
        .collect()
}
