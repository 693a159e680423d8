//! What the newest snapshot says that no record does: threads that do not turn, a disk that fills
//! up, a journal that cannot be written, a page that nobody renews, a control that guards nothing.

use super::{Alert, Class, Severity};
use crate::observe::snapshot::{NotReady, Snapshot};
use std::time::Duration;

/// Oldest snapshot that still counts as true.
const SNAPSHOT_AGE_MAX: Duration = Duration::from_secs(5);

/// Which signs stand at the moment: each alerts when it begins, and says when it has ended.
#[derive(Debug, Default)]
pub struct Signs {
    standing: Vec<String>,
}

impl Signs {
    /// What has begun and what has ended since the last look.
    pub fn look(
        &mut self,
        snapshot: &Snapshot,
        age: Duration,
        low_space: bool,
        now_ns: i64,
    ) -> Vec<Alert> {
        let at = (0, now_ns);
        let mut found = Vec::new();
        let mut sign = |severity, key: &str, text: &str| {
            found.push(Alert::new(severity, Class::Resource, key, text, at));
        };
        // Before the first snapshot of the session itself there is nothing that could be old.
        if age > SNAPSHOT_AGE_MAX && snapshot.session.uptime_seconds > 0.0 {
            sign(Severity::P1, "observer", "the observer has stopped: the page is not renewed");
        }
        for thread in snapshot.threads.iter().filter(|thread| !thread.beating) {
            let text = format!("thread {} has stopped turning", thread.name);
            sign(Severity::P0, &format!("thread:{}", thread.name), &text);
        }
        if low_space {
            let free = snapshot.resources.disk_free_bytes >> 20;
            let text = format!("the journal's disk is nearly full: {free} MiB free; entries stop");
            sign(Severity::P1, "disk", &text);
        }
        if snapshot.not_ready.contains(&NotReady::JournalBehind) {
            sign(Severity::P0, "journal", "the journal cannot be written; trading stops");
        }
        if snapshot.not_ready.contains(&NotReady::ClockOff) {
            sign(Severity::P1, "clock", "the clock is off by more than allowed");
        }
        if let Some(what) = &snapshot.rollback.trouble {
            let text = format!("a model was left and the registry cannot follow: {what}");
            sign(Severity::P1, "registry", &text);
        }
        for control in snapshot.controls.iter().filter(|control| control.dead) {
            let name = &control.name;
            let text = format!("control {name} was not evaluated for a day: it guards nothing");
            sign(Severity::P1, &format!("control:{name}"), &text);
        }
        self.changes(found, at)
    }

    fn changes(&mut self, found: Vec<Alert>, at: (u64, i64)) -> Vec<Alert> {
        let standing: Vec<String> = found.iter().map(|alert| alert.key.clone()).collect();
        let ended = self.standing.iter().filter(|key| !standing.contains(key));
        let mut changes: Vec<Alert> = ended
            .map(|key| {
                let text = format!("{key}: over");
                Alert::new(Severity::P2, Class::Resource, format!("{key}:over"), &text, at)
            })
            .collect();
        changes.extend(found.into_iter().filter(|alert| !self.standing.contains(&alert.key)));
        self.standing = standing;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::snapshot::ControlView;

    #[test]
    fn a_registry_that_cannot_follow_alerts_until_it_has() {
        let mut signs = Signs::default();
        let mut look = |trouble: Option<&str>| {
            let mut snapshot = Snapshot::default();
            snapshot.rollback.trouble = trouble.map(str::to_owned);
            let alerts = signs.look(&snapshot, Duration::ZERO, false, 0);
            alerts.into_iter().map(|alert| (alert.severity, alert.text)).collect::<Vec<_>>()
        };
        let told = "a model was left and the registry cannot follow: no room";
        assert_eq!(look(Some("no room")), [(Severity::P1, told.to_owned())]);
        assert_eq!(look(Some("no room")), []);
        assert_eq!(look(None), [(Severity::P2, "registry: over".to_owned())]);
    }

    #[test]
    fn a_dead_control_alerts_once_and_says_when_it_lives_again() {
        let mut signs = Signs::default();
        let mut look = |dead| {
            let control = ControlView { name: "spread".to_owned(), dead, ..ControlView::default() };
            let snapshot = Snapshot { controls: vec![control], ..Snapshot::default() };
            let alerts = signs.look(&snapshot, Duration::ZERO, false, 0);
            alerts.into_iter().map(|alert| (alert.severity, alert.key)).collect::<Vec<_>>()
        };
        assert_eq!(look(false), []);
        assert_eq!(look(true), [(Severity::P1, "control:spread".to_owned())]);
        assert_eq!(look(true), []);
        assert_eq!(look(false), [(Severity::P2, "control:spread:over".to_owned())]);
    }
}
