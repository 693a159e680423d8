//! What turns on the session's own thread, beside the pinned ones: the page, the venue's timer, the
//! kill switch, the service manager.

use super::access;
use super::assemble::Parts;
use super::clock::wall_now;
use super::dead_man::DeadManSwitch;
use super::kill::latch::Latch;
use super::kill::switch::{KillSwitch, Switched};
use super::notify::Supervisor;
use super::running::Running;
use super::standby::fenced::FenceWatch;
use super::watcher::{TURN_MS, Watcher};
use crate::base::settings::Settings;
use crate::venue::account::Credentials;
use crate::venue::budget::{Budget, Metered};
use crate::venue::rest::RestDesk;
use anyhow::Result;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// See the head of this file.
pub struct Beside {
    /// The page.
    pub watcher: Watcher,
    switch: Option<DeadManSwitch<Metered<RestDesk>>>,
    kill: KillSwitch,
    manager: Supervisor,
    /// What it takes to cancel orders without the pinned threads.
    account: Option<(Settings, Credentials, Arc<Budget>)>,
    /// Until when it may act at the venue, where another node may lead.
    fence: FenceWatch,
}

impl Beside {
    /// Starts what has to be started; `latch` is what lay in the state folder.
    ///
    /// # Errors
    /// When the thread of the venue's timer cannot be started.
    pub fn start(
        parts: &Parts,
        watcher: Watcher,
        (switched, latch): (Switched<'_>, Option<Latch>),
        asking: (Option<&Credentials>, &Arc<Budget>),
        running: &Running,
    ) -> Result<Self> {
        let switch = DeadManSwitch::start(parts, asking, &running.heartbeats)?;
        let stall = parts.settings.kill.stall_ms.div_ceil(TURN_MS);
        let kill = KillSwitch::new(switched, running.hearts(), stall, latch);
        let own = |own: &Credentials| (parts.settings.clone(), own.clone(), Arc::clone(asking.1));
        let account = asking.0.map(own);
        let manager = Supervisor::from_environment(Instant::now());
        Ok(Self { watcher, switch, kill, manager, account, fence: FenceWatch::default() })
    }

    /// Leaves the venue alone once `fence` has closed: its timer is the next leader's.
    pub fn stand_behind(&mut self, fence: FenceWatch) {
        self.fence = fence;
    }

    /// Turns until the session is told to end, its time is over or a pinned thread has ended.
    pub fn run(
        &mut self,
        running: &Running,
        (stop, duration): (&AtomicBool, Option<Duration>),
        started: Instant,
    ) {
        let over = || duration.is_some_and(|all| started.elapsed() >= all);
        self.manager.ready();
        while !stop.load(Ordering::Relaxed) && !over() && !running.any_ended() {
            self.watcher.turn();
            let now = Instant::now();
            if !self.fence.is_closed() {
                self.switch.iter_mut().for_each(|switch| switch.turn_at(wall_now()));
            }
            if self.kill.turn(self.watcher.killed_by())
                && !self.fence.is_closed()
                && let Some((settings, credentials, budget)) = self.account.clone()
            {
                // The river may be what stands still; this thread has the page to keep.
                std::thread::spawn(move || {
                    access::cancel_everything(&settings, credentials, &budget);
                });
            }
            self.manager.feed(now, running.heartbeats.iter().map(|(_, _, heart)| heart));
        }
        self.manager.stopping();
        stop.store(true, Ordering::Relaxed);
        self.watcher.look();
        self.kill.turn(self.watcher.killed_by());
    }

    /// The end: the venue's timer stops where the session ended in order, and the latch tells
    /// whether the venue was found empty.
    pub fn finish(mut self, in_order: bool, killed: bool, kill_done: bool) -> Watcher {
        self.switch.into_iter().for_each(|switch| switch.finish(in_order));
        self.kill.finish(self.watcher.killed_by(), killed, kill_done);
        self.watcher
    }
}
