//! Two network namespaces: the campaign runs in one of its own, where nothing else is, and etcd in
//! another. Each node has a way of its own to etcd, which can be cut.
//!
//! ```text
//!  the campaign's: exchange, nodes, on 127.0.0.1          etcd's: three members, on any address
//!    10.77.0.1 way0  the campaign itself  ════════════════ peer0 10.77.0.2
//!    10.77.1.1 way1  node a               ════════════════ peer1 10.77.1.2   cut: peer1 is down
//!    10.77.2.1 way2  node b               ════════════════ peer2 10.77.2.2
//! ```
//! A cut way loses what goes over it, as a network does; nothing is refused. Both namespaces end
//! with their processes.

use anyhow::{Context, Result, bail};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the environment of the campaign inside of its namespace.
const INSIDE: &str = "KILL_CAMPAIGN_INSIDE";
/// Longest wait for a namespace.
const PATIENCE: Duration = Duration::from_secs(10);

/// Begins this program anew in a namespace of its own; comes back where it is in it already.
pub fn enter() -> Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        return run("ip", &["link", "set", "lo", "up"]);
    }
    // Root may; anybody else may as the root of a user namespace, where the kernel allows those.
    let users: [&[&str]; 2] = [&[], &["--map-root-user"]];
    let may = |user: &&[&str]| {
        let tried = Command::new("unshare").args(*user).args(["--net", "--", "true"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let user = users.into_iter().find(may);
    let user = user.context("unshare --net: a network namespace is not permitted here")?;
    let own = std::env::current_exe()?;
    let error = Command::new("unshare")
        .args(user)
        .args(["--net", "--"])
        .arg(own)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(error).context("unshare")
}

/// The namespace of etcd, and the ways to it.
pub struct Ways {
    /// A process that is in it, until its input closes.
    holder: Child,
}

impl Ways {
    /// Makes it, with so many ways.
    pub fn new(count: usize) -> Result<Self> {
        let mut holder = Command::new("unshare");
        let holder = holder.args(["--net", "--", "cat"]).stdin(Stdio::piped());
        let ways = Self { holder: holder.stdout(Stdio::null()).spawn()? };
        ways.await_namespace()?;
        ways.inside("ip", &["link", "set", "lo", "up"])?;
        let pid = ways.holder.id().to_string();
        for way in 0..count {
            let (here, there) = (format!("way{way}"), format!("peer{way}"));
            run(
                "ip",
                &["link", "add", &here, "type", "veth", "peer", "name", &there, "netns", &pid],
            )?;
            run("ip", &["address", "add", &format!("10.77.{way}.1/30"), "dev", &here])?;
            run("ip", &["link", "set", &here, "up"])?;
            ways.inside("ip", &["address", "add", &format!("{}/30", host(way)), "dev", &there])?;
            ways.inside("ip", &["link", "set", &there, "up"])?;
        }
        Ok(ways)
    }

    /// A program that is to run in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string(), "--net", "--", program]);
        command
    }

    /// Cuts a way, or mends it.
    pub fn cut(&self, way: usize, is_cut: bool) -> Result<()> {
        let state = if is_cut { "down" } else { "up" };
        self.inside("ip", &["link", "set", &format!("peer{way}"), state])
    }

    fn inside(&self, program: &str, arguments: &[&str]) -> Result<()> {
        finish(self.command(program).args(arguments))
    }

    fn await_namespace(&self) -> Result<()> {
        let of = |pid: &str| std::fs::read_link(PathBuf::from(format!("/proc/{pid}/ns/net")));
        let (own, pid) = (of("self")?, self.holder.id().to_string());
        let began = Instant::now();
        while of(&pid)? == own {
            if began.elapsed() > PATIENCE {
                bail!("there is no namespace for etcd");
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Where etcd is at the other end of a way.
pub fn host(way: usize) -> String {
    format!("10.77.{way}.2")
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    finish(Command::new(program).args(arguments))
}

fn finish(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
