//! Three members of etcd on loopback, as processes of their own.

use anyhow::{Context, Result, bail};
use peregrine::venue::rest::agent_bounds;
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Members of the cluster: one may be gone.
pub const MEMBERS: usize = 3;
/// Longest wait for a leader among them.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for one member's word.
const QUICK: Duration = Duration::from_secs(1);

struct Member {
    client: String,
    peer: String,
    child: Option<Child>,
}

/// See the head of this file; every member is ended when this is dropped.
pub struct Cluster {
    folder: PathBuf,
    members: Vec<Member>,
}

impl Cluster {
    /// Starts them on free ports, and waits for their leader.
    pub fn start(folder: &Path) -> Result<Self> {
        std::fs::create_dir(folder)?;
        // All are bound before any is let go, so that no port is given twice.
        let bound: Vec<TcpListener> = (0..2 * MEMBERS)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<std::io::Result<_>>()?;
        let urls = bound.iter().map(|listener| Ok(format!("http://{}", listener.local_addr()?)));
        let urls: Vec<String> = urls.collect::<Result<_>>()?;
        drop(bound);
        let members = urls.chunks(2).map(|pair| Member {
            client: pair[0].clone(),
            peer: pair[1].clone(),
            child: None,
        });
        let mut cluster = Self { folder: folder.to_owned(), members: members.collect() };
        (0..MEMBERS).try_for_each(|at| cluster.begin(at))?;
        cluster.await_leader()?;
        Ok(cluster)
    }

    /// Where they are asked, as a list in TOML.
    pub fn endpoints(&self) -> String {
        let quoted: Vec<String> =
            self.members.iter().map(|member| format!("\"{}\"", member.client)).collect();
        format!("[{}]", quoted.join(", "))
    }

    /// Starts a member, or starts it again with what it had.
    pub fn begin(&mut self, at: usize) -> Result<()> {
        let all: Vec<String> =
            (0..MEMBERS).map(|other| format!("m{other}={}", self.members[other].peer)).collect();
        let log = std::fs::File::create(self.folder.join(format!("m{at}.log")))?;
        let member = &mut self.members[at];
        let child = Command::new("etcd")
            .args(["--name", &format!("m{at}")])
            .arg("--data-dir")
            .arg(self.folder.join(format!("m{at}")))
            .args(["--listen-client-urls", &member.client])
            .args(["--advertise-client-urls", &member.client])
            .args(["--listen-peer-urls", &member.peer])
            .args(["--initial-advertise-peer-urls", &member.peer])
            .args(["--initial-cluster", &all.join(",")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("etcd: Debian has it in the package etcd-server")?;
        member.child = Some(child);
        Ok(())
    }

    /// Kills a member.
    pub fn kill(&mut self, at: usize) -> Result<()> {
        if let Some(mut child) = self.members[at].child.take() {
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
        let member = &self.members[at];
        if member.child.is_none() {
            return Ok(false);
        }
        let url = format!("{}/v3/maintenance/status", member.client);
        let agent = agent_bounds(QUICK, QUICK).build().new_agent();
        let answer = agent.post(url).send("{}")?.body_mut().read_to_string()?;
        let status: Value = serde_json::from_str(&answer)?;
        let leader = status["leader"].as_str().filter(|leader| *leader != "0");
        Ok(leader.is_some() && leader == status["header"]["member_id"].as_str())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for at in 0..MEMBERS {
            let _ = self.kill(at);
        }
    }
}
