//! Host names on a side thread, so that no pinned thread waits for an answer, and the addresses a
//! connection tries in turn.
//!
//! Addresses once known are kept until better ones come: a name server that fails, lies or hangs
//! costs nothing while one of them still answers. A wrong address is caught by TLS, which checks
//! the name.

use super::address::Endpoint;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Names waiting at once.
const NAMES_MAX: usize = 64;
/// How long an answer is waited for before that is told; one that comes later is still taken.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Age from which addresses are asked for again before they are used.
const AGE_MAX: Duration = Duration::from_secs(300);

type Found = io::Result<Vec<SocketAddr>>;
type Question = (Endpoint, Sender<Found>);

/// The side thread, shared by the connections of a session.
#[derive(Clone, Debug)]
pub struct Resolver {
    questions: Sender<Question>,
}

impl Resolver {
    /// Starts the thread with the system's resolver. It ends with its last user.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start() -> io::Result<Self> {
        Self::with(Endpoint::resolve)
    }

    /// The same with another way to find addresses; it may block.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn with(mut find: impl FnMut(&Endpoint) -> Found + Send + 'static) -> io::Result<Self> {
        let (questions, asked) = bounded::<Question>(NAMES_MAX);
        std::thread::Builder::new().name("resolver".to_owned()).spawn(move || {
            for (endpoint, answer) in asked {
                // Whoever asked may be gone.
                let _ = answer.try_send(find(&endpoint));
            }
        })?;
        Ok(Self { questions })
    }
}

/// The addresses of one host, tried in turn.
#[derive(Clone, Debug)]
pub struct Addresses {
    endpoint: Endpoint,
    known: Vec<SocketAddr>,
    next: usize,
    /// Failures since the addresses were last asked for.
    failures: usize,
    resolver: Resolver,
    /// An answer under way, and since when.
    asked: Option<(Receiver<Found>, Instant)>,
    /// When the known ones came; `None` before the first connection.
    known_at: Option<Instant>,
    error: Option<String>,
}

impl Addresses {
    /// Asks once and waits for the answer: before threads are pinned. A host that cannot be found
    /// is asked for again later.
    ///
    /// # Errors
    /// When the resolver's thread is gone.
    pub fn new(endpoint: Endpoint, resolver: Resolver) -> io::Result<Self> {
        let (answer, found) = bounded(1);
        let gone = || io::Error::other("the resolver's thread is gone");
        resolver.questions.send((endpoint.clone(), answer)).map_err(|_| gone())?;
        let mut addresses = Self {
            endpoint,
            known: Vec::new(),
            next: 0,
            failures: 0,
            resolver,
            asked: None,
            known_at: None,
            error: None,
        };
        match found.recv_timeout(ANSWER_MAX) {
            Ok(found) => addresses.learn(found),
            Err(_) => addresses.error = Some(addresses.late()),
        }
        Ok(addresses)
    }

    /// The address to try now, if one is known. Asks anew when the known ones are old or all of
    /// them failed; never waits.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        self.look(now);
        let known_at = *self.known_at.get_or_insert(now);
        let is_old = now.saturating_duration_since(known_at) > AGE_MAX;
        let is_due = is_old || self.known.is_empty() || self.failures >= self.known.len();
        if is_due && self.asked.is_none() {
            let (answer, found) = bounded(1);
            if self.resolver.questions.try_send((self.endpoint.clone(), answer)).is_ok() {
                self.asked = Some((found, now));
                self.failures = 0;
            }
        }
        let address = *self.known.get(self.next % self.known.len().max(1))?;
        self.next += 1;
        Some(address)
    }

    /// The address last given did not lead to a connection.
    pub const fn failed(&mut self) {
        self.failures += 1;
    }

    /// What went wrong with the name last, until an answer comes.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    fn look(&mut self, now: Instant) {
        let Some((found, since)) = &self.asked else { return };
        if let Ok(found) = found.try_recv() {
            self.known_at = Some(now);
            self.asked = None;
            self.learn(found);
        } else if now.saturating_duration_since(*since) > ANSWER_MAX {
            self.error = Some(self.late());
        }
    }

    fn learn(&mut self, found: Found) {
        match found {
            Ok(found) if found.is_empty() => {
                self.error = Some(format!("{} has no address", self.endpoint.host));
            }
            Ok(found) => {
                (self.known, self.next, self.error) = (found, 0, None);
            }
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    fn late(&self) -> String {
        format!("resolving {} took longer than {ANSWER_MAX:?}", self.endpoint.host)
    }
}
