//! Processes that work on a study: ours, and those of Optuna.

use crate::cluster::Cluster;
use postgres::Client;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// Versions that the tests are of.
pub const PACKAGES: [&str; 3] =
    ["optuna==5.0.0", "optuna-dashboard==0.21.0", "psycopg[binary]==3.3.9"];

/// Settings of a search: those that are shipped, small.
pub fn settings(dir: &Path, changes: &[(&str, &str)]) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/search.toml");
    let mut text = fs::read_to_string(shipped).expect("settings");
    let small = [
        ("workers = 2", "workers = 1"),
        ("heartbeat_s = 10.0", "heartbeat_s = 0.5"),
        ("grace_s = 30.0", "grace_s = 8.0"),
        ("kind = \"median\"", "kind = \"none\""),
        ("minutes = 120", "minutes = 10"),
        ("low = 20, high = 120", "low = 2, high = 6"),
    ];
    for (was, becomes) in small.iter().chain(changes) {
        assert_eq!(text.matches(was).count(), 1, "{was}");
        text = text.replace(was, becomes);
    }
    let file = dir.join("search.toml");
    fs::write(&file, text).expect("written");
    file
}

/// A process that ends with the test at the latest.
pub struct Worker {
    /// As it is known to the server; none of Optuna's own.
    name: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { name: name.to_owned(), child, lines }
    }

    /// `peregrine-lab tune` at a server, that goes by a name there.
    pub fn tune(settings: &Path, url: &str, name: &str, more: &[&str]) -> Self {
        let storage = format!("{url}?application_name={name}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
        command.args(["tune", "--study", "s", "--json", "--config"]).arg(settings);
        Self::start(name, command.args(["--storage", &storage]).args(more))
    }

    /// Reads on until it said this.
    pub fn said(&mut self, word: &str) {
        let found = self.lines.by_ref().any(|line| line.is_ok_and(|line| line == word));
        assert!(found, "it ended before it said {word}");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("its end");
    }

    /// Waits for its end: its last line, or its complaint.
    pub fn end(mut self) -> Result<String, String> {
        let mut complaint = String::new();
        let mut errors = self.child.stderr.take().expect("a pipe");
        // Neither pipe is long: a few lines for each trial.
        errors.read_to_string(&mut complaint).expect("text");
        let last = self.lines.by_ref().map_while(Result::ok).last().unwrap_or_default();
        let status = self.child.wait().expect("its end");
        if status.success() { Ok(last) } else { Err(complaint) }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until each of these workers has a trial and stands within it, before a lock on a table
/// that the test holds: it has asked to write there, and not been let.
pub fn held_at(server: &mut Client, table: &str, workers: &mut [Worker]) {
    let sql = "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
               AND datname = current_database() AND query LIKE 'INSERT INTO ' || $1::text || ' %'";
    let wanted: BTreeSet<String> = workers.iter().map(|worker| worker.name.clone()).collect();
    loop {
        let rows = server.query(sql, &[&table]).expect("an answer");
        if rows.iter().map(|row| row.get(0)).collect::<BTreeSet<String>>() == wanted {
            return;
        }
        for Worker { name, child, .. } in workers.iter_mut() {
            assert_eq!(child.try_wait().expect("an answer"), None, "{name} ended");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// How many trials of a database have a state.
pub fn count(server: &mut Client, state: &str) -> i64 {
    let sql = "SELECT COUNT(*) FROM trials WHERE CAST(state AS TEXT) = $1";
    server.query_one(sql, &[&state]).expect("an answer").get(0)
}

/// Optuna in its folder.
pub struct Optuna(pub PathBuf);

impl Optuna {
    pub fn command(&self, words: &[&str]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/farm/theirs.py");
        let mut command = Command::new(self.0.join("bin/python"));
        command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.arg(script).args(words);
        command
    }

    /// What the script says in its last line.
    pub fn ask(&self, words: &[&str]) -> Value {
        let told = crate::python::run(&mut self.command(words));
        let told = told.unwrap_or_else(|why| panic!("{why}"));
        serde_json::from_str(told.lines().last().unwrap_or("null")).expect("JSON")
    }

    /// What the dashboard shows of a database.
    pub fn dashboard(&self, cluster: &Cluster, database: &str) -> Value {
        self.ask(&["see", &cluster.python_url(database)])
    }
}
