//! What a node tells people while no session of its does: that it could not take over.

use super::keeper::Standing;
use crate::base::settings::Settings;
use crate::observe::alerts::board::AlertBoard;
use crate::observe::alerts::service::{AlertService, AlertWork};
use crate::observe::alerts::{Class, Severity};
use crate::runtime::alerting::AlertSecrets;
use crate::standby::Role;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Leases without a word of etcd after which a node says so.
const SILENCE_LEASES: u32 = 2;

/// See the head of this file.
pub struct Apart {
    alerts: AlertService,
    trouble: Trouble,
}

/// What has been told and is not over.
#[derive(Debug)]
struct Trouble {
    silence_max: Duration,
    role: Option<Role>,
    silent: bool,
}

/// A thing to tell: how grave, a key, and the words.
type News = (Severity, &'static str, &'static str);

impl Apart {
    /// Over the ways of `[alerts]`.
    ///
    /// # Errors
    /// When a secret is missing or a thread cannot be started.
    pub fn start(settings: &Settings, lease: Duration) -> Result<Self> {
        let ways = AlertSecrets::read(&settings.alerts)?.ways(&settings.alerts);
        let work = AlertWork {
            settings: settings.alerts.clone(),
            ways,
            journal: None,
            health: Arc::default(),
            cell: Arc::default(),
            board: Arc::new(AlertBoard::default()),
            // There is no session whose snapshot could be looked at.
            ending: Arc::new(AtomicBool::new(true)),
        };
        let alerts = AlertService::start(work).context("alerts of a node that stands by")?;
        Ok(Self { alerts, trouble: Trouble::new(lease) })
    }

    /// One look while no session runs.
    pub fn look(&mut self, standing: Standing) {
        for (severity, key, text) in self.trouble.news(standing).into_iter().flatten() {
            self.alerts.say(severity, Class::Session, key, text);
        }
    }
}

impl Trouble {
    fn new(lease: Duration) -> Self {
        Self { silence_max: lease * SILENCE_LEASES, role: None, silent: false }
    }

    /// What has become different: each is told once, and again after it was over.
    fn news(&mut self, Standing { role, silence }: Standing) -> [Option<News>; 2] {
        let changed = self.role != role;
        self.role = role;
        let of_role = match role {
            Some(Role::Refused) => Some((
                Severity::P1,
                "standby:refused",
                "this node cannot take over: its group agreed on another program, configuration \
                 or model",
            )),
            Some(Role::Unsteady) => Some((
                Severity::P1,
                "standby:unsteady",
                "this node does not take over for some minutes: it lost its lease too often",
            )),
            _ => None,
        };
        let silent = silence > self.silence_max;
        let was_silent = std::mem::replace(&mut self.silent, silent);
        let of_etcd = match (was_silent, silent) {
            (false, true) => {
                Some((Severity::P1, "standby:silent", "etcd does not answer: nobody can take over"))
            }
            (true, false) => Some((Severity::P3, "standby:answers", "etcd answers again")),
            _ => None,
        };
        [of_role.filter(|_| changed), of_etcd]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::config;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    fn keys(trouble: &mut Trouble, role: Role, silence_s: u64) -> Vec<&'static str> {
        let silence = Duration::from_secs(silence_s);
        let news = trouble.news(Standing { role: Some(role), silence });
        news.into_iter().flatten().map(|(_, key, _)| key).collect()
    }

    #[test]
    fn what_keeps_a_node_from_taking_over_is_told_once_and_again_after_it_was_over() {
        let mut trouble = Trouble::new(Duration::from_secs(5));
        for (role, silence_s, told) in [
            (Role::Standby, 0, &[][..]),
            (Role::Refused, 1, &["standby:refused"]),
            (Role::Refused, 10, &[]),
            (Role::Refused, 11, &["standby:silent"]),
            (Role::Refused, 99, &[]),
            (Role::Unsteady, 0, &["standby:unsteady", "standby:answers"]),
            (Role::Standby, 0, &[]),
            (Role::Waiting, 0, &[]),
            (Role::Refused, 0, &["standby:refused"]),
        ] {
            assert_eq!(keys(&mut trouble, role, silence_s), told, "{role:?} {silence_s}");
        }
    }

    #[test]
    fn fault_h08_a_node_that_is_refused_reaches_people_without_a_session() {
        let dir = tempfile::tempdir().unwrap();
        let (program, kept) = (dir.path().join("mail-program"), dir.path().join("mail"));
        let script = format!("#!/bin/sh\ncat >> {}\n", kept.display());
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let text = include_str!("../../../config/paper.toml");
        let mut settings = config::with_shipped_limits(text).settings;
        settings.alerts.channels = vec![crate::base::settings::AlertChannel::Mail];
        settings.alerts.mail_program = program.display().to_string();
        settings.alerts.mail_from = "trader@host".to_owned();
        settings.alerts.mail_to = "desk@host".to_owned();
        let mut apart = Apart::start(&settings, Duration::from_secs(5)).unwrap();
        apart.look(Standing { role: Some(Role::Refused), silence: Duration::ZERO });
        // Its end waits for what is not delivered yet.
        let began = Instant::now();
        drop(apart);
        let mail = std::fs::read_to_string(&kept).unwrap_or_default();
        assert!(mail.contains("cannot take over"), "{mail:?} after {:?}", began.elapsed());
    }
}
