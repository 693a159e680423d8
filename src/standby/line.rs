//! Carries questions to etcd over HTTP, blocking, for a side thread: each try is bounded, and the
//! next one goes to the next of its members.

use super::etcd::{Ask, Group, Reply};
use crate::venue::rest::agent_bounds;
use std::time::Duration;
use ureq::Agent;

/// Largest answer that is read: a handful of keys.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// See the head of this file.
#[derive(Debug)]
pub struct EtcdLine {
    agent: Agent,
    endpoints: Vec<String>,
    /// The member that is asked next.
    at: usize,
    group: Group,
}

impl EtcdLine {
    /// To these members; a try takes at most `patience`.
    pub fn new(endpoints: &[String], group: Group, patience: Duration) -> Self {
        let agent = agent_bounds(patience, patience).build().new_agent();
        let endpoints = endpoints.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Self { agent, endpoints, at: 0, group }
    }

    /// One try at one member.
    ///
    /// # Errors
    /// In words: the member, and what was wrong. The next try goes to another one.
    pub fn ask(&mut self, ask: &Ask) -> Result<Reply, String> {
        let endpoint = self.endpoints[self.at].clone();
        let answer = self.carry(&endpoint, ask);
        if answer.is_err() {
            self.at = (self.at + 1) % self.endpoints.len();
        }
        answer.map_err(|what| format!("{endpoint}: {what}"))
    }

    fn carry(&self, endpoint: &str, ask: &Ask) -> Result<Reply, String> {
        let (path, body) = self.group.request(ask);
        let sent = self.agent.post(format!("{endpoint}{path}")).send(body.to_string());
        let mut answer = sent.map_err(|error| error.to_string())?;
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = bytes.map_err(|error| error.to_string())?;
        if answer.status().as_u16() != 200 {
            // A lease that is gone is an answer: there is nothing left to give back.
            if matches!(ask, Ask::Revoke { .. }) && answer.status().as_u16() == 404 {
                return Ok(Reply::Done { yes: false, revision: 0 });
            }
            let words = String::from_utf8_lossy(&bytes).chars().take(200).collect::<String>();
            return Err(format!("{}: {words}", answer.status()));
        }
        self.group.read(ask, &bytes)
    }
}
