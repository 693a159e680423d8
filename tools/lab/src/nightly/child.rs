//! A step in a process of its own: it ends with this one, in time, or when it is told to.

use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at whether it ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who runs steps.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The program; it takes `learn step --parent ID -- WORDS`.
    pub program: PathBuf,
    /// Longest time of a step.
    pub limit: Duration,
    /// Folder of what steps print.
    pub logs: PathBuf,
    /// Set where everything shall end.
    pub stop: Arc<AtomicBool>,
}

/// How a step's process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// The last line it wrote to standard error.
    pub said: String,
}

impl Worker {
    /// Whether everything shall end.
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Runs the command of the lab that these words are; what it prints goes into a file of the
    /// name `log`.
    ///
    /// # Errors
    /// A process that cannot be started, took too long, or was ended by a signal; that everything
    /// shall end.
    pub fn run(&self, log: &str, words: &[OsString]) -> Result<Ended> {
        fs::create_dir_all(&self.logs).with_context(|| self.logs.display().to_string())?;
        let (out, err) =
            (self.logs.join(format!("{log}.out")), self.logs.join(format!("{log}.err")));
        let mut command = Command::new(&self.program);
        let parent = std::process::id().to_string();
        command.args(["learn", "step", "--parent", &parent, "--"]).args(words);
        command.stdin(Stdio::null());
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        let mut child = command.spawn().with_context(|| self.program.display().to_string())?;
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            let is_late = since.elapsed() > self.limit;
            if is_late || self.is_stopped() {
                child.kill()?;
                child.wait()?;
                if is_late {
                    bail!("it took longer than time_limit_s, {} s", self.limit.as_secs());
                }
                bail!("everything shall end");
            }
            std::thread::sleep(LOOK_EVERY);
        };
        ended(status, &err)
    }
}

fn ended(status: ExitStatus, err: &Path) -> Result<Ended> {
    let text = String::from_utf8_lossy(&fs::read(err)?).into_owned();
    let said = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let code = status.code().with_context(|| format!("its process ended: {status}"))?;
    Ok(Ended { code, said: said.trim_start_matches("peregrine-lab: ").to_owned() })
}
