//! The thread that has the registry follow what a session left: again and again, until it is done.
//! Nobody waits for it.

use super::left::LeftModels;
use crate::registry::Proving;
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Wait before the second try, doubled after each.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// See the head of this file; ends when dropped.
pub struct RegistryKeeper {
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RegistryKeeper {
    /// Starts it over the registry in `dir`.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(left: Arc<LeftModels>, dir: PathBuf, proving: Proving) -> std::io::Result<Self> {
        let (wake, woken) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || run(&left, &dir, proving, &woken))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// There is something to do.
    pub fn wake(&self) {
        // A full channel says so already.
        let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
    }
}

impl Drop for RegistryKeeper {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(left: &LeftModels, dir: &std::path::Path, proving: Proving, woken: &Receiver<()>) {
    let mut wait = FIRST_WAIT;
    loop {
        while let Some(first) = left.first() {
            if let Err(error) = first.settle(dir, proving) {
                let (version, error) = (&first.version, error.to_string());
                tracing::error!(version, error, "the registry cannot follow; tried again");
                left.set_trouble(Some(error));
                break;
            }
            wait = FIRST_WAIT;
            left.set_trouble(None);
            tracing::warn!(version = first.version, to = first.to, "the registry has followed");
            if let Err(error) = left.done() {
                tracing::error!(%error, "the registry has followed, and the file cannot be emptied");
            }
        }
        match woken.recv_timeout(wait) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) if left.waiting() > 0 => {
                wait = (wait * 2).min(WAIT_MAX);
            }
            _ => wait = FIRST_WAIT,
        }
    }
}
