//! What kills from beside the river: a signal, a kill file, a pinned thread that stands still. And
//! what a kill leaves: the latch. Turned by the session's own thread, a few times a second.

use super::latch::{Latch, Mode};
use crate::base::counters::Counters;
use crate::base::event::Command;
use crate::risk::{self, ACTOR_SYSTEM, Origin, TradingWord, Verb};
use crate::runtime::clock::wall_now;
use crate::runtime::heartbeat::Heartbeat;
use crossbeam::channel::Sender;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Who stands still: by how often this thread turned in the meantime, so that a pause of the whole
/// process is none.
struct Stalls {
    hearts: Vec<(&'static str, Arc<Heartbeat>)>,
    /// Turns of each, and for how many turns of ours they have been so many.
    seen: Vec<(u64, u32)>,
    /// From how many on a thread stands still; 0 for never.
    most: u32,
}

impl Stalls {
    fn turn(&mut self) -> Option<&'static str> {
        for ((name, heart), (turns, still)) in self.hearts.iter().zip(&mut self.seen) {
            let now = heart.turns();
            *still = if now == *turns && !heart.has_ended() { *still + 1 } else { 0 };
            *turns = now;
            if self.most > 0 && *still == self.most {
                return Some(name);
            }
        }
        None
    }
}

/// See the head of this file.
pub struct KillSwitch {
    state: PathBuf,
    river: Sender<Command>,
    counters: Arc<Counters>,
    signal: Arc<AtomicBool>,
    stalls: Stalls,
    /// What lies in the state folder.
    latch: Option<Latch>,
    /// Given, and not taken by the river yet.
    waiting: Vec<Command>,
}

/// What turned where: the state folder, the way into the river, what tells of the trading state.
pub struct Switched<'s> {
    /// The state folder.
    pub state: &'s Path,
    /// The way commands go.
    pub river: Sender<Command>,
    /// The session's counters.
    pub counters: Arc<Counters>,
    /// Set by SIGUSR1.
    pub signal: Arc<AtomicBool>,
}

impl KillSwitch {
    /// Watches `hearts`; one that stands still for `stall_turns` turns of [`KillSwitch::turn`]
    /// kills, 0 for never. `latch` is what lay in the state folder at the start, if its command is
    /// part of the session's opening.
    pub fn new(
        switched: Switched<'_>,
        hearts: Vec<(&'static str, Arc<Heartbeat>)>,
        stall_turns: u32,
        latch: Option<Latch>,
    ) -> Self {
        let seen = vec![(u64::MAX, 0); hearts.len()];
        Self {
            state: switched.state.to_owned(),
            river: switched.river,
            counters: switched.counters,
            signal: switched.signal,
            stalls: Stalls { hearts, seen, most: stall_turns },
            latch,
            waiting: Vec::new(),
        }
    }

    /// One look. `story` is the command that killed, as far as it was seen. True where a thread
    /// stands still and the caller must take the orders away by itself.
    pub fn turn(&mut self, story: Option<Command>) -> bool {
        if self.signal.swap(false, Ordering::Relaxed) {
            self.give(Verb::KillGraceful, Origin::Signal, "SIGUSR1");
        }
        if let Some(latch) = Latch::read(&self.state)
            && self.latch.as_ref().is_none_or(|known| latch.mode > known.mode)
        {
            tracing::error!(%latch, "a kill file lies in the state folder");
            self.waiting.push(latch.command());
            self.latch = Some(latch);
        }
        let stalled = self.stalls.turn();
        if let Some(thread) = stalled {
            tracing::error!(thread, "a pinned thread stands still: killed");
            let why = format!("thread {thread} stands still");
            let command = self.give(Verb::KillGraceful, Origin::DeadMan, &why);
            // The river may be what stands still: the next start must know it in any case.
            if let Some(command) = command {
                self.keep(Latch::of_command(&command, Mode::Graceful, wall_now().to_millis()));
            }
        }
        self.waiting.retain(|command| self.river.try_send(*command).is_err());
        self.latch_what_was_killed(story);
        stalled.is_some()
    }

    /// The end of the session: the latch tells whether the venue was found empty.
    pub fn finish(&mut self, story: Option<Command>, killed: bool, finished: bool) {
        self.latch_what_was_killed(story);
        if let (true, Some(latch)) = (killed && finished, self.latch.clone()) {
            self.keep(Latch { finished: true, ..latch });
        }
    }

    fn latch_what_was_killed(&mut self, story: Option<Command>) {
        let word = TradingWord::unpack(self.counters.trading());
        let mode = if word.flattens { Mode::Immediate } else { Mode::Graceful };
        let is_kept = self.latch.as_ref().is_some_and(|latch| latch.mode >= mode);
        if !word.is_killed() || is_kept {
            return;
        }
        let fallback = || risk::command(mode.verb(), Origin::Breaker, ACTOR_SYSTEM, "see journal");
        let Some(command) = story.or_else(|| fallback().ok()) else { return };
        self.keep(Latch::of_command(&command, mode, wall_now().to_millis()));
    }

    fn give(&mut self, verb: Verb, origin: Origin, why: &str) -> Option<Command> {
        let command = risk::command(verb, origin, ACTOR_SYSTEM, why).ok()?;
        self.waiting.push(command);
        Some(command)
    }

    fn keep(&mut self, latch: Latch) {
        match latch.write(&self.state) {
            Ok(()) => self.latch = Some(latch),
            // Tried again at the next turn; the journal tells it too.
            Err(error) => tracing::error!(%error, "the latch of a kill was not written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::TradingState;
    use crate::runtime::kill::latch::FILE;
    use crate::runtime::session::command_channel;
    use crossbeam::channel::Receiver;
    use tempfile::TempDir;

    struct Desk {
        dir: TempDir,
        switch: KillSwitch,
        commands: Receiver<Command>,
        counters: Arc<Counters>,
        signal: Arc<AtomicBool>,
        heart: Arc<Heartbeat>,
    }

    fn desk() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let (river, commands) = command_channel();
        let (counters, signal) = (Arc::new(Counters::new()), Arc::new(AtomicBool::new(false)));
        let heart = Arc::new(Heartbeat::default());
        let switched = Switched {
            state: dir.path(),
            river,
            counters: Arc::clone(&counters),
            signal: Arc::clone(&signal),
        };
        let switch = KillSwitch::new(switched, vec![("risk", Arc::clone(&heart))], 3, None);
        Desk { dir, switch, commands, counters, signal, heart }
    }

    impl Desk {
        fn turn(&mut self) -> bool {
            self.heart.beat();
            self.switch.turn(None)
        }

        fn given(&self) -> Option<(u32, Origin)> {
            let command = self.commands.try_recv().ok()?;
            Some((command.verb, Origin::from_u32(command.origin).unwrap()))
        }

        fn kills(&self, flattens: bool) {
            let word = TradingWord { state: TradingState::Killed, flattens };
            self.counters.publish_trading(word.pack());
        }
    }

    #[test]
    fn a_signal_and_a_kill_file_each_kill_once_with_their_origin() {
        let mut desk = desk();
        assert!(!desk.turn());
        assert_eq!(desk.given(), None);
        desk.signal.store(true, Ordering::Relaxed);
        desk.turn();
        desk.turn();
        assert_eq!(desk.given(), Some((2, Origin::Signal)));
        assert_eq!(desk.given(), None);
        std::fs::write(desk.dir.path().join(FILE), "{\"mode\":\"immediate\"}").unwrap();
        desk.turn();
        desk.turn();
        assert_eq!(desk.given(), Some((3, Origin::LatchFile)));
        assert_eq!(desk.given(), None);
    }

    #[test]
    fn a_kill_that_finds_no_room_is_given_again() {
        let mut desk = desk();
        let filler = Command::default();
        while desk.switch.river.try_send(filler).is_ok() {}
        desk.signal.store(true, Ordering::Relaxed);
        desk.turn();
        while desk.commands.try_recv().is_ok() {}
        desk.turn();
        assert_eq!(desk.given(), Some((2, Origin::Signal)));
    }

    #[test]
    fn whatever_killed_leaves_a_latch_that_becomes_stronger_and_is_finished_in_the_end() {
        let mut desk = desk();
        desk.turn();
        assert_eq!(Latch::read(desk.dir.path()), None);
        desk.kills(false);
        let story = risk::command(Verb::KillGraceful, Origin::Telegram, 9, "from afar").unwrap();
        desk.heart.beat();
        desk.switch.turn(Some(story));
        let latch = Latch::read(desk.dir.path()).unwrap();
        assert_eq!((latch.mode, latch.finished), (Mode::Graceful, false));
        assert_eq!(latch.to_string(), "by telegram (9): from afar");
        assert_eq!(desk.given(), None, "its own latch does not kill again");
        desk.kills(true);
        desk.turn();
        assert_eq!(Latch::read(desk.dir.path()).unwrap().mode, Mode::Immediate);
        desk.switch.finish(None, true, false);
        assert!(!Latch::read(desk.dir.path()).unwrap().finished);
        desk.switch.finish(None, true, true);
        assert!(Latch::read(desk.dir.path()).unwrap().finished);
    }

    #[test]
    fn fault_p11_a_thread_that_stands_still_while_others_turn_kills_and_leaves_the_latch() {
        let mut desk = desk();
        for _ in 0..20 {
            assert!(!desk.turn(), "it turns");
        }
        let stalled: Vec<bool> = (0..5).map(|_| desk.switch.turn(None)).collect();
        assert_eq!(stalled, [false, false, true, false, false], "told once");
        assert_eq!(desk.given(), Some((2, Origin::DeadMan)));
        let latch = Latch::read(desk.dir.path()).unwrap();
        assert_eq!(latch.reason, "thread risk stands still");
    }
}
