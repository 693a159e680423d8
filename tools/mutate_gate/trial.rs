//! The copy with its broken bodies: built once, run once per mutant.

use super::sites::Function;
use super::weave::{self, Woven};
use anyhow::{Context, Result, bail};
use peregrine::runtime::measures::memory_bytes;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A run of tests may take so many times what it takes with nothing broken, and this much more;
/// what takes longer goes round in circles, and is noticed.
const TIMES_MAX: u32 = 10;
const MORE: Duration = Duration::from_secs(10);
/// What takes more memory than this fills it in circles, and would take the machine with it.
const RESIDENT_BYTES_MAX: u64 = 3 << 30;
/// Rounds in which mutants that no compiler takes are left out.
const ROUNDS: usize = 8;
/// Bodies side by side have room for all of them on the stack where nothing is optimised.
const STACK_BYTES: &str = "268435456";

/// A source file with its functions.
pub struct Source {
    /// Path in the repository.
    pub file: &'static str,
    /// Text as it is.
    pub text: String,
    /// What is broken of it.
    pub functions: Vec<Function>,
    /// Number of its first mutant.
    pub first: usize,
}

/// What the tests said of a mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Passed,
    /// A test failed, or went round in circles for too long or with too much memory.
    Failed,
}

/// The program of the copy's unit tests.
pub struct Trial {
    program: PathBuf,
    copy: PathBuf,
    /// Mutants that no compiler takes.
    pub refused: HashSet<usize>,
    /// Tests by the function they call; [`None`] where a thread without a test's name called it.
    touched: HashMap<usize, Option<Vec<String>>>,
    most: Duration,
}

impl Trial {
    /// Copies the repository, weaves, builds, and runs every test once with nothing broken. What is
    /// `refused` from the start is known to be taken by no compiler; `tell` hears of what else is.
    pub fn new(
        root: &Path,
        copy: &Path,
        target: Option<&Path>,
        sources: &[Source],
        mut refused: HashSet<usize>,
        rooms: &[&str],
        tell: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        // Once: what is changed in the repository meanwhile belongs to another run.
        let switch = lay(root, copy, sources)?;
        let mut program = None;
        for _ in 0..ROUNDS {
            let without: Vec<usize> = refused.iter().copied().collect();
            let woven = lay_woven(copy, sources, &switch, &without)?;
            match build(copy, target, &woven)? {
                Built::Program(path) => {
                    program = Some(path);
                    break;
                }
                Built::Refused(numbers) => {
                    for number in numbers {
                        if refused.insert(number) {
                            tell(number)?;
                        }
                    }
                }
            }
        }
        let program = program.context("the copy with its mutants does not build")?;
        let mut trial = Self {
            program,
            copy: copy.to_owned(),
            refused,
            touched: HashMap::new(),
            most: Duration::MAX,
        };
        trial.touch(rooms)?;
        Ok(trial)
    }

    /// Runs the rooms' tests with nothing broken, and learns which of them call what.
    fn touch(&mut self, rooms: &[&str]) -> Result<()> {
        let told = self.copy.with_file_name("touched.tsv");
        let mut command = self.command(rooms);
        command.env("TOUCHED", &told).stderr(Stdio::inherit());
        let began = Instant::now();
        if !command.status()?.success() {
            bail!("a test fails without a mutant");
        }
        self.most = began.elapsed() * TIMES_MAX + MORE;
        let text = fs::read_to_string(&told).unwrap_or_default();
        for (function, test) in text.lines().filter_map(|line| line.split_once('\t')) {
            let tests = self.touched.entry(function.parse()?).or_insert_with(|| Some(Vec::new()));
            if !test.contains("::") {
                *tests = None;
            } else if let Some(tests) = tests {
                tests.push(test.to_owned());
            }
        }
        Ok(())
    }

    /// Runs the tests of some rooms that call a function, with one of its mutants in force.
    pub fn run(&self, function: usize, mutant: usize, rooms: &[&str]) -> Result<Outcome> {
        let tests = match self.touched.get(&function) {
            Some(tests) => tests.as_deref(),
            None => return Ok(Outcome::Passed),
        };
        let mut command = match tests {
            None => self.command(rooms),
            Some(tests) => {
                let mine = |test: &&str| rooms.iter().any(|room| test.starts_with(room));
                let tests: Vec<&str> = tests.iter().map(String::as_str).filter(mine).collect();
                if tests.is_empty() {
                    return Ok(Outcome::Passed);
                }
                let mut command = self.command(&tests);
                command.arg("--exact");
                command
            }
        };
        command.arg("--test-threads=1").env("MUTANT", mutant.to_string());
        match ended(&mut command, self.most)? {
            Some(status) if status.success() => Ok(Outcome::Passed),
            _ => Ok(Outcome::Failed),
        }
    }

    fn command(&self, filters: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(filters).arg("--quiet").current_dir(&self.copy);
        command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        command.env("RUST_BACKTRACE", "0").env("RUST_MIN_STACK", STACK_BYTES);
        command.env("PROPTEST_CASES", "64").env("PROPTEST_MAX_SHRINK_ITERS", "0");
        command
    }
}

/// Waits for a process; `None` where it did not end in time, or took more memory than any test
/// needs, and was ended.
fn ended(command: &mut Command, most: Duration) -> Result<Option<ExitStatus>> {
    let mut child = command.spawn().context("the tests cannot be run")?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let resident = memory_bytes(child.id(), "VmRSS").unwrap_or(0);
        if began.elapsed() > most || resident > RESIDENT_BYTES_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lays the copy of all that is not woven; the text of the file that gets the switch.
fn lay(root: &Path, copy: &Path, sources: &[Source]) -> Result<String> {
    copy_tree(root, copy, &|path| {
        let path = path.strip_prefix(copy).unwrap_or(path);
        sources.iter().any(|source| Path::new(source.file) == path) || path == Path::new(SWITCH)
    })?;
    Ok(weave::with_switch(&fs::read_to_string(root.join(SWITCH))?))
}

/// Lays the woven files, each by its path.
fn lay_woven(
    copy: &Path,
    sources: &[Source],
    switch: &str,
    without: &[usize],
) -> Result<BTreeMap<&'static str, Woven>> {
    let mut all = BTreeMap::new();
    for source in sources {
        let woven = weave::weave(&source.text, &source.functions, source.first, without);
        renew(&copy.join(source.file), &woven.text)?;
        all.insert(source.file, woven);
    }
    renew(&copy.join(SWITCH), switch)?;
    Ok(all)
}

/// The file that gets the switch.
const SWITCH: &str = "src/base/mod.rs";

/// Writes a file where it is another: cargo goes by its time.
fn renew(path: &Path, text: &str) -> Result<()> {
    if fs::read(path).unwrap_or_default() != text.as_bytes() {
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

enum Built {
    Program(PathBuf),
    /// Mutants that do not compile.
    Refused(Vec<usize>),
}

/// Builds the unit tests of the copy.
fn build(copy: &Path, target: Option<&Path>, woven: &BTreeMap<&str, Woven>) -> Result<Built> {
    let mut command = Command::new("cargo");
    command.args(["test", "-p", "peregrine", "--release", "--lib", "--no-run"]);
    command.args(["--message-format", "json"]).current_dir(copy);
    if let Some(target) = target {
        command.env("CARGO_TARGET_DIR", target);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let (mut program, mut refused) = (None, Vec::new());
    for line in text.lines() {
        let Ok(told) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        if let Some(path) = told["executable"].as_str() {
            program = Some(PathBuf::from(path));
        }
        let message = &told["message"];
        if message["level"] != "error" {
            continue;
        }
        let spans = message["spans"].as_array().map_or(&[][..], Vec::as_slice);
        let mutants = spans.iter().filter_map(|span| {
            let woven = woven.get(span["file_name"].as_str()?)?;
            woven.mutant_at(usize::try_from(span["line_start"].as_u64()?).ok()?)
        });
        let before = refused.len();
        refused.extend(mutants);
        if refused.len() == before && !spans.is_empty() {
            bail!("{}", message["rendered"].as_str().unwrap_or("the copy does not build"));
        }
    }
    if output.status.success() {
        return Ok(Built::Program(program.context("cargo told no program")?));
    }
    if refused.is_empty() {
        bail!("the copy with its mutants does not build");
    }
    Ok(Built::Refused(refused))
}

/// Copies a folder; what an earlier copy has and the folder has not, goes.
fn copy_tree(from: &Path, to: &Path, is_woven: &dyn Fn(&Path) -> bool) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if from.join(entry.file_name()).symlink_metadata().is_err() && entry.file_name() != "target"
        {
            match entry.file_type()?.is_dir() {
                true => fs::remove_dir_all(entry.path())?,
                false => fs::remove_file(entry.path())?,
            }
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == ".git" || name == "state" {
            continue;
        }
        let (source, place) = (entry.path(), to.join(&name));
        if entry.file_type()?.is_dir() {
            copy_tree(&source, &place, is_woven)?;
        } else if !is_woven(&place) && fs::read(&source)? != fs::read(&place).unwrap_or_default() {
            // What is the same stays: cargo goes by the time of a file.
            fs::copy(&source, &place)?;
        }
    }
    Ok(())
}
