//! The program as a process of its own, and waiting for what others do.

use crate::pipeline_support::root;
use rustix::process::{Pid, Signal, kill_process};
use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Looks before a test gives up: what is waited for takes seconds, on a busy machine minutes.
const LOOKS_MAX: u32 = 15_000;

/// Looks until it is so.
#[track_caller]
pub fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    look(what, || if is_so() { Ok(()) } else { Err("not so") });
}

/// Looks until there is something; where there never is, says what there was last.
#[track_caller]
pub fn look<T, S: Display>(what: &str, mut at: impl FnMut() -> Result<T, S>) -> T {
    let mut last = None;
    for _ in 0..LOOKS_MAX {
        match at() {
            Ok(found) => return found,
            Err(seen) => last = Some(seen),
        }
        // Gives the processor away between two looks, some of which read whole journals; what
        // counts is the condition.
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let last = last.map(|seen| seen.to_string()).unwrap_or_default();
    panic!("{what}: not within {LOOKS_MAX} looks: {last}");
}

/// An address on loopback that is free and stays so until somebody binds it: a port of 127.0.0.1 is
/// another's as soon as one is asked for, so this is of an address that nobody else asks.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(2);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high | 1, low, NEXT.fetch_add(1, Ordering::Relaxed));
    TcpListener::bind((address, 0)).unwrap().local_addr().unwrap()
}

/// A running process; killed if a test fails before it ended.
pub struct Process {
    child: Option<Child>,
    /// What it says of itself: a pipe that nobody reads would hold a talkative one up.
    words: File,
}

impl Process {
    /// Starts the program in the repository; its words are kept until it ends.
    pub fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let words = tempfile::tempfile().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
            .args(arguments)
            .envs(variables.iter().copied())
            .current_dir(root())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(words.try_clone().unwrap())
            .spawn();
        Self { child: Some(child.unwrap()), words }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().unwrap().try_wait().unwrap().is_some()
    }

    pub fn end(mut self) -> Output {
        let mut output = self.child.take().unwrap().wait_with_output().unwrap();
        // Both ends share one position, which is behind the last word.
        self.words.rewind().unwrap();
        self.words.read_to_end(&mut output.stderr).unwrap();
        output
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
