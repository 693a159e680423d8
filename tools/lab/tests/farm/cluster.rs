//! A PostgreSQL server of the tests' own, on a port of loopback and in a folder that goes with it.
//! Where the server is not installed the tests say so and check nothing; with `CI=true` it must be
//! there or installable.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::JoinHandle;
use tempfile::TempDir;

/// What a server says on its standard error when it takes connections.
const READY: &str = "database system is ready to accept connections";

/// The folder of the newest server's programs, looked for once.
static PROGRAMS: LazyLock<Result<PathBuf, String>> = LazyLock::new(programs);

/// Installs them where a run of everything may do that.
fn programs() -> Result<PathBuf, String> {
    let is_run_of_all = std::env::var("CI").as_deref() == Ok("true");
    if let Some(found) = found() {
        return Ok(found);
    }
    if is_run_of_all && rustix::process::geteuid().is_root() {
        // Installed servers are not to start by themselves.
        let install = "apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
                       apt-get install -qq -y --no-install-recommends postgresql";
        let done = crate::python::run(Command::new("sh").args(["-c", install]));
        assert!(done.is_ok(), "PostgreSQL did not install: {done:?}");
    }
    let found = found();
    assert!(found.is_some() || !is_run_of_all, "PostgreSQL is to be installed");
    found.ok_or("PostgreSQL is not installed here".to_owned())
}

fn found() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let folders = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("postgres").is_file().then_some((version, programs))
    });
    folders.max().map(|(_, programs)| programs)
}

pub struct Cluster {
    programs: PathBuf,
    dir: TempDir,
    /// Who runs it where that may not be who runs the test.
    owner: Option<(u32, u32)>,
    port: u16,
    postmaster: Option<(Child, JoinHandle<()>)>,
}

impl Cluster {
    /// A new one that runs.
    pub fn start() -> Result<Self, String> {
        let programs = PROGRAMS.clone()?;
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("ours");
        let owner = rustix::process::geteuid().is_root().then(unprivileged);
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("a folder");
        if let Some((user, group)) = owner {
            chown(&data, Some(user), Some(group)).expect("root may");
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let port = free.expect("a port").port();
        let mut cluster = Self { programs, dir, owner, port, postmaster: None };
        let mut made = cluster.program("initdb");
        made.args(["--auth=trust", "--username=postgres", "--no-sync", "--locale=C"]);
        made.args(["--encoding=UTF8", "--pgdata"]).arg(&data);
        crate::python::run(&mut made).expect("a cluster");
        cluster.resume();
        Ok(cluster)
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.current_dir(self.dir.path()).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts the server over what it had, and returns when it takes connections. Its time zone is
    /// none that a worker has.
    pub fn resume(&mut self) {
        assert!(self.postmaster.is_none(), "it runs");
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.dir.path().join("data"));
        let port = self.port.to_string();
        for set in
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "timezone=Asia/Kolkata"]
        {
            command.args(["-c", set]);
        }
        let mut child =
            command.args(["-p", &port]).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let mut said = Vec::new();
        loop {
            let Some(Ok(line)) = lines.next() else { panic!("it ended: {}", said.join("\n")) };
            let is_ready = line.contains(READY);
            said.push(line);
            if is_ready {
                break;
            }
        }
        // What it says is taken until it ends, lest it waits for somebody to read.
        let reader = std::thread::spawn(move || lines.for_each(drop));
        self.postmaster = Some((child, reader));
    }

    /// Ends the server and all of its processes at once, with nothing put in order.
    pub fn kill(&mut self) {
        let Some((mut child, reader)) = self.postmaster.take() else { return };
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::QUIT).expect("it runs");
        child.wait().expect("its end");
        reader.join().expect("no panic");
    }

    /// Where a database is, for us.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The same for Python.
    pub fn python_url(&self, database: &str) -> String {
        self.url(database).replacen("postgresql", "postgresql+psycopg", 1)
    }

    pub fn connect(&self, database: &str) -> postgres::Client {
        postgres::Client::connect(&self.url(database), postgres::NoTls).expect("it runs")
    }

    /// A new database; where it is.
    pub fn database(&self, name: &str) -> String {
        self.connect("postgres").batch_execute(&format!("CREATE DATABASE {name}")).expect("made");
        self.url(name)
    }

    /// The tables of a database as the server's own tool writes them down.
    pub fn schema(&self, database: &str) -> String {
        let mut dump = self.program("pg_dump");
        let text = crate::python::run(dump.args(["--schema-only", &self.url(database)]));
        let text = text.expect("a dump");
        assert!(text.contains("CREATE TABLE public.trial_heartbeats"), "{text}");
        // Each dump carries a key of its own against what it is fed with.
        let lines = text.lines().filter(|line| !line.contains("restrict "));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A user and group that are not root: those the server's package made.
fn unprivileged() -> (u32, u32) {
    let users = fs::read_to_string(Path::new("/etc/passwd")).expect("users");
    let of = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map(str::parse);
        Some((ids.next()?.ok()?, ids.next()?.ok()?))
    };
    of("postgres").or_else(|| of("nobody")).expect("a user of no rights")
}
