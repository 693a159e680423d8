//! The states of one node, without a clock and without sockets: it is told the time, says what to
//! ask etcd next, and is told the answer with the time at which the question left. Times are
//! durations since any origin of the node's own steady clock; no other clock is compared with it.
//!
//! A renewal that is answered extends the deadline to the time it *left* plus the lease's length:
//! etcd lets nobody else lead before that much has passed since it heard of it. A leader asks after
//! each renewal whether the seat is still its own.

use super::etcd::{Ask, Reply, Seat, View};
use std::collections::VecDeque;
use std::time::Duration;

/// Leases lost within [`FLAPPING`] after which a node does not claim for a while.
pub const LOSSES_MAX: usize = 3;
/// See [`LOSSES_MAX`].
pub const FLAPPING: Duration = Duration::from_secs(600);

/// Tries within the time between two renewals, where one was not answered.
const RETRIES: u32 = 4;

/// What a node is, for whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Another one leads, or nobody yet.
    Standby,
    /// Stands by whatever comes: the group agreed on another binary, configuration or model.
    Refused,
    /// Stands by: it lost the lease too often lately.
    Unsteady,
    /// It has the seat and may not send yet.
    Waiting,
    /// It leads: it may send as long as its fence is open.
    Leader,
    /// It led, and its lease is over as far as it knows. Ends when etcd answers.
    Fenced,
}

/// What a machine is made with.
#[derive(Clone, Debug)]
pub struct MachineSettings {
    /// Who it is.
    pub node: String,
    /// Hashes of binary, configuration and model, as the group has to agree on them.
    pub hashes: String,
    /// Length of a lease in seconds.
    pub ttl_s: u32,
    /// Time between two questions.
    pub renew: Duration,
    /// Kept before the lease's end.
    pub margin: Duration,
    /// Wait between the seat and the first order.
    pub takeover_wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Looks who leads.
    Looking,
    /// Nothing was agreed on yet.
    Agreeing,
    /// Nobody leads: a lease is asked for.
    Granting,
    /// A lease is there, the seat is claimed.
    Claiming { lease: i64, deadline: Duration },
    /// The seat is ours.
    Held { seat: Seat, deadline: Duration, since: Duration, renewing: bool },
    /// It was.
    Fenced { seat: Seat },
    /// A lease is given back.
    Leaving { lease: i64 },
}

/// See the head of this file.
#[derive(Debug)]
pub struct Machine {
    settings: MachineSettings,
    state: State,
    due: Duration,
    /// Times at which a lease was lost.
    losses: VecDeque<Duration>,
    refused: bool,
    view: View,
    /// The risk state to be kept, and whether etcd has it.
    risk: Option<String>,
    kept: bool,
    /// The epoch that is to be sealed, and the one that is.
    wanted: Option<u32>,
    sealed: Option<u32>,
    /// It is to give the seat back.
    leaves: bool,
}

impl Machine {
    /// Stands by, and looks at once.
    pub fn new(settings: MachineSettings) -> Self {
        Self {
            settings,
            state: State::Looking,
            due: Duration::ZERO,
            losses: VecDeque::new(),
            refused: false,
            view: View::default(),
            risk: None,
            kept: true,
            wanted: None,
            sealed: None,
            leaves: false,
        }
    }

    /// What it is at `now`.
    pub fn role(&self, now: Duration) -> Role {
        match self.state {
            State::Held { deadline, .. } if now + self.settings.margin >= deadline => Role::Fenced,
            State::Held { since, .. } if now < since + self.settings.takeover_wait => Role::Waiting,
            State::Held { .. } => Role::Leader,
            State::Fenced { .. } => Role::Fenced,
            _ if self.refused => Role::Refused,
            _ if self.is_unsteady(now) => Role::Unsteady,
            _ => Role::Standby,
        }
    }

    /// The end of the lease while the seat is held and was not found lost.
    pub fn deadline(&self) -> Option<Duration> {
        match self.state {
            State::Held { deadline, .. } => Some(deadline),
            _ => None,
        }
    }

    /// The seat's number, another one for each time it was won; `None` while it is not held.
    pub fn term(&self) -> Option<i64> {
        match self.state {
            State::Held { seat, .. } => Some(seat.made),
            _ => None,
        }
    }

    /// What etcd held when it was last looked at.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The risk state to be kept from here on; a leader's alone is.
    pub fn keep(&mut self, risk: String) {
        if self.risk.as_ref() != Some(&risk) {
            (self.risk, self.kept) = (Some(risk), false);
        }
    }

    /// What is to be kept does not wait for the next renewal.
    pub fn hurry(&mut self, now: Duration) {
        if matches!(self.state, State::Held { .. }) {
            self.due = self.due.min(now);
        }
    }

    /// Seals the epoch under which orders are to leave. False where the seat is not held, or the
    /// group has seen an epoch that is not below it: it is refused.
    pub fn seal(&mut self, epoch: u32, now: Duration) -> bool {
        if self.role(now) != Role::Leader || epoch <= self.view.epoch {
            return false;
        }
        (self.wanted, self.due) = (Some(epoch), now);
        true
    }

    /// The epoch that etcd has as ours; `None` before that.
    pub fn sealed(&self) -> Option<u32> {
        self.sealed
    }

    /// The session found its fence passed, by whichever clock: the seat is lost.
    pub fn give_up(&mut self, now: Duration) {
        self.lose(now, true);
    }

    /// Gives the seat back and claims no other: the end of the node.
    pub fn leave(&mut self, now: Duration) {
        (self.leaves, self.due) = (true, now);
    }

    /// True when nothing is held any more after [`Machine::leave`].
    pub fn has_left(&self) -> bool {
        self.leaves && matches!(self.state, State::Looking)
    }

    /// The question to ask at `now`; `None` before one is due. Every question that was handed out
    /// is to be answered by [`Machine::on_answer`] before the next one.
    pub fn next(&mut self, now: Duration) -> Option<Ask> {
        self.pass_deadline(now);
        if now < self.due {
            return None;
        }
        let hashes = self.settings.hashes.clone();
        Some(match self.state {
            State::Looking | State::Fenced { .. } => Ask::Look,
            State::Agreeing => Ask::Agree { hashes },
            State::Granting => Ask::Grant { ttl_s: self.settings.ttl_s },
            State::Claiming { lease, .. } => {
                Ask::Claim { lease, node: self.settings.node.clone(), hashes }
            }
            // What was not kept yet is kept first.
            State::Held { seat, .. } if self.leaves && self.kept => {
                self.lose(now, false);
                self.state = State::Leaving { lease: seat.lease };
                Ask::Revoke { lease: seat.lease }
            }
            State::Held { seat, renewing: true, .. } => Ask::Renew { lease: seat.lease },
            State::Held { seat, .. } => match self.wanted {
                Some(epoch) if self.sealed != Some(epoch) => {
                    Ask::Seal { seat, epoch, seen: self.view.epoch_seen }
                }
                _ => Ask::Hold { seat, risk: self.risk.clone().filter(|_| !self.kept) },
            },
            State::Leaving { lease } => Ask::Revoke { lease },
        })
    }

    /// What etcd says to `ask`, which left at `sent`; `None` where no answer came, which says
    /// nothing: what was asked may be done all the same.
    pub fn on_answer(&mut self, ask: &Ask, reply: Option<&Reply>, sent: Duration, now: Duration) {
        self.pass_deadline(now);
        let renew = self.settings.renew;
        self.due = now + renew;
        let Some(reply) = reply else {
            return self.on_silence(ask, now);
        };
        match (ask, reply, self.state) {
            (Ask::Look, Reply::View(view), _) => self.on_view(view, now),
            (Ask::Agree { .. }, Reply::Done { .. }, State::Agreeing) => self.look_at_once(now),
            (Ask::Grant { .. }, Reply::Lease { id, ttl_s }, State::Granting) => {
                let asked = i64::from(self.settings.ttl_s);
                // A store that gives less is not waited for long enough by others.
                if *ttl_s >= asked {
                    let deadline = sent + self.ttl();
                    (self.state, self.due) = (State::Claiming { lease: *id, deadline }, now);
                } else {
                    self.state = State::Leaving { lease: *id };
                }
            }
            (
                Ask::Claim { .. },
                Reply::Done { yes, revision },
                State::Claiming { lease, deadline },
            ) => {
                if *yes {
                    self.hold(Seat { lease, made: *revision }, deadline, now);
                } else {
                    (self.state, self.due) = (State::Leaving { lease }, now);
                }
            }
            (Ask::Renew { .. }, Reply::Lease { ttl_s, .. }, State::Held { seat, since, .. }) => {
                if *ttl_s <= 0 {
                    self.lose(now, true);
                    return;
                }
                let deadline = sent + self.ttl();
                self.state = State::Held { seat, deadline, since, renewing: false };
                self.due = now;
            }
            (_, Reply::Done { yes, .. }, State::Held { seat, deadline, since, .. }) => {
                self.on_held(ask, *yes, now);
                if let State::Held { .. } = self.state {
                    let renewing = true;
                    self.state = State::Held { seat, deadline, since, renewing };
                    // The next renewal counts from the last one, not from this answer.
                    self.due = (deadline.saturating_sub(self.ttl()) + renew).max(sent);
                }
            }
            (Ask::Revoke { .. }, _, State::Leaving { .. }) => self.state = State::Looking,
            _ => {}
        }
    }

    fn on_held(&mut self, ask: &Ask, yes: bool, now: Duration) {
        match ask {
            Ask::Hold { .. } if !yes => self.lose(now, true),
            Ask::Hold { risk, .. } if risk.is_some() => self.kept = risk == &self.risk,
            Ask::Seal { epoch, .. } if yes => {
                (self.sealed, self.view.epoch) = (Some(*epoch), *epoch);
            }
            // The seat or the epoch is not as it was seen: neither is ours to argue with.
            Ask::Seal { .. } => self.lose(now, true),
            _ => {}
        }
    }

    fn on_view(&mut self, view: &View, now: Duration) {
        self.view = view.clone();
        if let State::Fenced { seat } = self.state {
            // Fenced for good, whatever etcd believes: the lease must not keep others out.
            let ours = view.leader.as_ref().is_some_and(|(_, held)| held.made == seat.made);
            self.state = if ours { State::Leaving { lease: seat.lease } } else { State::Looking };
            self.due = now;
            return;
        }
        self.refused = view.agreed.as_ref().is_some_and(|own| *own != self.settings.hashes);
        if self.refused || self.leaves || self.is_unsteady(now) || view.leader.is_some() {
            return;
        }
        self.state = if view.agreed.is_none() { State::Agreeing } else { State::Granting };
        self.due = now;
    }

    /// No answer: what a claim or a grant did is found out by looking, and a lease that nobody
    /// renews ends by itself.
    fn on_silence(&mut self, ask: &Ask, now: Duration) {
        match (ask, self.state) {
            (Ask::Claim { .. }, State::Claiming { lease, .. }) => {
                self.state = State::Leaving { lease };
            }
            (Ask::Agree { .. } | Ask::Grant { .. } | Ask::Revoke { .. }, _) => {
                self.state = State::Looking;
            }
            // Asked again soon, as often as the lease lasts; the line bounds each try.
            (_, State::Held { .. }) => self.due = now + self.settings.renew / RETRIES,
            _ => {}
        }
    }

    fn hold(&mut self, seat: Seat, deadline: Duration, now: Duration) {
        self.state = State::Held { seat, deadline, since: now, renewing: true };
        (self.kept, self.risk, self.wanted, self.sealed) = (true, None, None, None);
        self.due = now;
        self.pass_deadline(now);
    }

    /// The deadline is the node's own to see.
    fn pass_deadline(&mut self, now: Duration) {
        if let State::Held { deadline, .. } = self.state
            && now + self.settings.margin >= deadline
        {
            self.lose(now, true);
        }
    }

    fn lose(&mut self, now: Duration, counts: bool) {
        if let State::Held { seat, .. } = self.state {
            self.state = State::Fenced { seat };
            self.due = now;
            if counts {
                self.losses.push_back(now);
                if self.losses.len() > LOSSES_MAX + 1 {
                    self.losses.pop_front();
                }
            }
        }
    }

    fn look_at_once(&mut self, now: Duration) {
        (self.state, self.due) = (State::Looking, now);
    }

    fn is_unsteady(&self, now: Duration) -> bool {
        let recent = |at: &&Duration| now.saturating_sub(**at) < FLAPPING;
        self.losses.iter().filter(recent).count() > LOSSES_MAX
    }

    fn ttl(&self) -> Duration {
        Duration::from_secs(u64::from(self.settings.ttl_s))
    }
}

#[cfg(test)]
#[path = "tests/machine.rs"]
mod tests;
