//! `mutate-gate`: breaks the order gate and the order states on purpose, piece by piece, and sees
//! whether a test notices. What no test notices is printed, and fails the run.
//!
//! ```text
//!  repository ─ copied ─► every function that is broken gets all its broken bodies beside its own
//!                         fn f() { match mutant() { 17 => {…} 18 => {…} _ => {as written} } }
//!                 built once ─► the unit tests, once per mutant: MUTANT=17, MUTANT=18, …
//! ```
//! The switch is in the copy alone: the repository and what is released from it hold no trace of
//! it. What was found is kept in a file, and a run that was stopped goes on from there.

#[path = "mutate_gate/sites.rs"]
mod sites;
#[path = "mutate_gate/weave.rs"]
mod weave;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde_json::json;
use sites::Mutant;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What is broken.
const FILES: [&str; 8] = [
    "src/risk/checks.rs",
    "src/risk/exposure.rs",
    "src/risk/pace.rs",
    "src/risk/gate/mod.rs",
    "src/risk/limits.rs",
    "src/risk/throttle.rs",
    "src/risk/conduct.rs",
    "src/execution/state.rs",
];
/// Tests that have to notice, the fast ones first.
const TESTS: [&str; 3] = ["risk::", "execution::", "engine::"];
/// A test that takes longer than this goes round in circles: noticed.
const RUN_MAX: Duration = Duration::from_secs(120);
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
    /// Run at most so many mutants; the next run goes on from there.
    #[arg(long, value_name = "N")]
    most: Option<usize>,
    /// Print the mutants and run none.
    #[arg(long)]
    list: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
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

/// True when every mutant that was run was noticed.
fn run(arguments: &Arguments) -> Result<bool> {
    let mut mutants = Vec::new();
    let mut sources = Vec::new();
    for file in FILES {
        let text = fs::read_to_string(arguments.root.join(file)).context(file)?;
        let functions = sites::functions(file, &text);
        mutants.extend(functions.iter().flat_map(|f| f.mutants.clone()));
        sources.push((file, text, functions));
    }
    if arguments.list {
        mutants.iter().for_each(|mutant| println!("{}", mutant.name));
        return Ok(true);
    }
    let equal = equal_mutants(&arguments.root.join(EQUAL))?;
    fs::create_dir_all(&arguments.work)?;
    let copy = arguments.work.join("copy");
    copy_tree(&arguments.root, &copy)?;
    for (file, text, functions) in &sources {
        let woven = weave::weave(text, functions, &mutants);
        fs::write(copy.join(file), woven)?;
    }
    weave::add_switch(&copy.join("src/base/mod.rs"))?;
    let program = build(&copy, arguments.target.as_deref())?;
    for filter in TESTS {
        let whole = test(&program, &copy, filter, None)?;
        if whole != Outcome::Passed {
            bail!("{filter}: the tests fail without a mutant");
        }
    }
    let found = arguments.work.join("found.tsv");
    let mut known = read_found(&found)?;
    let mut log = fs::OpenOptions::new().create(true).append(true).open(&found)?;
    let mut ran = 0;
    for (number, mutant) in mutants.iter().enumerate() {
        let skip = known.contains_key(&mutant.name) || equal.contains_key(&mutant.name);
        if skip || arguments.most.is_some_and(|most| ran >= most) {
            continue;
        }
        ran += 1;
        let mut outcome = Outcome::Passed;
        for filter in TESTS {
            if outcome == Outcome::Passed {
                outcome = test(&program, &copy, filter, Some(number + 1))?;
            }
        }
        let word = if outcome == Outcome::Passed { "survived" } else { "killed" };
        writeln!(log, "{}\t{word}", mutant.name)?;
        println!("{word:<9}{}", mutant.name);
        known.insert(mutant.name.clone(), word.to_owned());
    }
    Ok(report(&mutants, &known, &equal, arguments.json))
}

fn report(
    mutants: &[Mutant],
    known: &HashMap<String, String>,
    equal: &HashMap<String, String>,
    json: bool,
) -> bool {
    let count = |word: &str| {
        mutants.iter().filter(|m| known.get(&m.name).is_some_and(|told| told == word)).count()
    };
    let (killed, survived) = (count("killed"), count("survived"));
    let same = mutants.iter().filter(|m| equal.contains_key(&m.name)).count();
    let open = mutants.len() - killed - survived - same;
    for mutant in mutants.iter().filter(|m| known.get(&m.name).is_some_and(|w| w == "survived")) {
        println!("survived: {}", mutant.name);
    }
    let gone = equal.keys().filter(|name| !mutants.iter().any(|m| m.name == **name));
    gone.for_each(|name| println!("listed as equal, but no mutant: {name}"));
    if json {
        let told = json!({
            "mutants": mutants.len(), "killed": killed, "survived": survived,
            "equal": same, "open": open,
        });
        println!("{told}");
    } else {
        println!("{killed} killed, {survived} survived, {same} equal, {open} not run yet");
    }
    survived == 0
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
}

/// Runs the unit tests of a room, with one mutant in force or none.
fn test(program: &Path, copy: &Path, filter: &str, mutant: Option<usize>) -> Result<Outcome> {
    let mut command = Command::new(program);
    command.arg(filter).arg("--quiet").current_dir(copy);
    command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    command.env("RUST_BACKTRACE", "0").env("PROPTEST_CASES", "64");
    if let Some(number) = mutant {
        command.env("MUTANT", number.to_string());
    }
    let mut child = command.spawn().with_context(|| program.display().to_string())?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(if status.success() { Outcome::Passed } else { Outcome::Failed });
        }
        if began.elapsed() > RUN_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(Outcome::Failed);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Builds the unit tests of the copy; the program they are in.
fn build(copy: &Path, target: Option<&Path>) -> Result<PathBuf> {
    let mut command = Command::new("cargo");
    command.args(["test", "-p", "peregrine", "--release", "--lib", "--no-run"]);
    command.args(["--message-format", "json-render-diagnostics"]).current_dir(copy);
    if let Some(target) = target {
        command.env("CARGO_TARGET_DIR", target);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cargo")?;
    if !output.status.success() {
        bail!("the copy with its mutants does not build");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut built = text.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        message.get("executable")?.as_str().map(PathBuf::from)
    });
    built.next_back().context("cargo told no program")
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

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" || name == "state" {
            continue;
        }
        let (source, place) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &place)?;
        } else if fs::read(&source)? != fs::read(&place).unwrap_or_default() {
            // What is the same stays: cargo goes by the time of a file.
            fs::copy(&source, &place)?;
        }
    }
    Ok(())
}
