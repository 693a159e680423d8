//! Three members of etcd in a network namespace of their own, as processes.

use crate::net::{Ways, host};
use anyhow::{Context, Result, bail};
use peregrine::venue::rest::agent_bounds;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Members of the cluster: one may be gone.
pub const MEMBERS: usize = 3;
/// Longest wait for a leader among them.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for one member's word.
const QUICK: Duration = Duration::from_secs(1);

/// Nothing else is in the namespace, so that any port is free.
const CLIENT_PORT: usize = 2379;
/// Where the members speak to one another.
const PEER_PORT: usize = 2389;
/// The way of the campaign itself; those of the nodes follow.
const OWN_WAY: usize = 0;

/// See the head of this file; every member is ended when this is dropped.
pub struct Cluster {
    folder: PathBuf,
    members: [Option<Child>; MEMBERS],
    ways: Ways,
}

impl Cluster {
    /// Starts them for so many nodes, and waits for their leader.
    pub fn start(folder: &Path, nodes: usize) -> Result<Self> {
        std::fs::create_dir(folder)?;
        let ways = Ways::new(nodes + 1)?;
        let mut cluster = Self { folder: folder.to_owned(), members: Default::default(), ways };
        (0..MEMBERS).try_for_each(|at| cluster.begin(at))?;
        cluster.await_leader()?;
        Ok(cluster)
    }

    /// Where a node asks them, as a list in TOML.
    pub fn endpoints(&self, node: usize) -> String {
        let quoted = (0..MEMBERS).map(|at| format!("\"{}\"", client(node + 1, at)));
        format!("[{}]", quoted.collect::<Vec<_>>().join(", "))
    }

    /// Cuts a node off from all of them, or ends that.
    pub fn cut(&self, node: usize, is_cut: bool) -> Result<()> {
        self.ways.cut(node + 1, is_cut)
    }

    /// Starts a member, or starts it again with what it had.
    pub fn begin(&mut self, at: usize) -> Result<()> {
        let peer = |at: usize| format!("http://127.0.0.1:{}", PEER_PORT + at);
        let all: Vec<String> =
            (0..MEMBERS).map(|other| format!("m{other}={}", peer(other))).collect();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("m{at}.log")))?;
        let child = self
            .ways
            .command("etcd")
            .args(["--name", &format!("m{at}")])
            .arg("--data-dir")
            .arg(self.folder.join(format!("m{at}")))
            .args(["--listen-client-urls", &format!("http://0.0.0.0:{}", CLIENT_PORT + at)])
            .args(["--advertise-client-urls", &client(OWN_WAY, at)])
            .args(["--listen-peer-urls", &peer(at)])
            .args(["--initial-advertise-peer-urls", &peer(at)])
            .args(["--initial-cluster", &all.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("etcd: Debian has it in the package etcd-server")?;
        self.members[at] = Some(child);
        Ok(())
    }

    /// Kills a member.
    pub fn kill(&mut self, at: usize) -> Result<()> {
        if let Some(mut child) = self.members[at].take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// The member that leads them, once there is one.
    pub fn await_leader(&self) -> Result<usize> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let leads = |at: &usize| self.leads(*at).unwrap_or(false);
            if let Some(at) = (0..MEMBERS).find(leads) {
                return Ok(at);
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        bail!("etcd has no leader within {} s", PATIENCE.as_secs())
    }

    fn leads(&self, at: usize) -> Result<bool> {
        if self.members[at].is_none() {
            return Ok(false);
        }
        let url = format!("{}/v3/maintenance/status", client(OWN_WAY, at));
        let agent = agent_bounds(QUICK, QUICK).build().new_agent();
        let answer = agent.post(url).send("{}")?.body_mut().read_to_string()?;
        let status: Value = serde_json::from_str(&answer)?;
        let leader = status["leader"].as_str().filter(|leader| *leader != "0");
        Ok(leader.is_some() && leader == status["header"]["member_id"].as_str())
    }
}

/// Where a member is asked over a way.
fn client(way: usize, at: usize) -> String {
    format!("http://{}:{}", host(way), CLIENT_PORT + at)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for at in 0..MEMBERS {
            let _ = self.kill(at);
        }
    }
}
