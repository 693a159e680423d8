//! Round after round: what is new is kept on disk first and sent then; while the server is away the
//! waits grow, and what is new goes on being kept.

use super::client::{Client, Trouble};
use super::gather::Gathered;
use super::outbox::{Outbox, Status};
use super::send::{Done, Round};
use super::settings::Settings;
use anyhow::Result;
use peregrine::model::artifact::{hex, sha256};
use peregrine::runtime::clock::wall_now;
use std::time::{Duration, Instant};

/// Longest wait that a server may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// How a round went.
#[derive(Debug)]
pub enum Outcome {
    /// The server answered to the end.
    Through(Done),
    /// The server is to be left alone for so long; everything waits on disk.
    Away {
        /// What happened.
        what: String,
        /// The wait it asked for.
        retry_after: Option<Duration>,
    },
}

/// A mirror.
pub struct Mirror {
    settings: Settings,
    client: Client,
    outbox: Outbox,
    status: Status,
    /// What was last shown whole, and when.
    shown: Option<(String, Instant)>,
}

impl Mirror {
    /// Opens the outbox; nothing is asked of the server yet.
    ///
    /// # Errors
    /// An outbox that is in use or cannot be read, credentials that cannot be used.
    pub fn open(settings: Settings) -> Result<Self> {
        let client = Client::new(&settings.server)?;
        Self::with(settings, client)
    }

    /// The same with a client that is known.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with(settings: Settings, client: Client) -> Result<Self> {
        let outbox = Outbox::open(&settings.outbox)?;
        let status = Outbox::status(&settings.outbox.dir)?;
        let status = Status { server: settings.server.url.clone(), ..status };
        Ok(Self { settings, client, outbox, status, shown: None })
    }

    /// Looks at the sources, keeps what is new, and makes the server show it.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn round(&mut self) -> Result<Outcome> {
        let gathered = self.keep()?;
        self.send(&gathered)
    }

    /// Looks at the sources and keeps on disk what the server does not have yet.
    fn keep(&mut self) -> Result<Gathered> {
        let mut gathered = Gathered::look(&self.settings);
        for found in &gathered.found {
            let is_kept = self.outbox.has_delivered(&found.run)
                || found.is_less && self.outbox.knows(&found.run.key);
            if !is_kept && let Err(problem) = self.outbox.admit(found.run.clone(), &found.sources) {
                gathered.problems.push(format!("{problem:#}"));
            }
        }
        Ok(gathered)
    }

    fn send(&mut self, gathered: &Gathered) -> Result<Outcome> {
        let at_ms = wall_now().to_millis().unsigned_abs();
        self.status.tried_at_ms = Some(at_ms);
        let round = Round::new(&self.client, &self.settings.names, &mut self.outbox);
        let outcome = match round.carry_out(gathered) {
            Ok(done) => Outcome::Through(done),
            Err(error) => match error.downcast::<Trouble>() {
                Ok(Trouble::Away { what, retry_after }) => Outcome::Away { what, retry_after },
                // Refused before anything could be told of a single thing: the same for the server.
                Ok(trouble) => Outcome::Away { what: trouble.to_string(), retry_after: None },
                Err(error) => return Err(error),
            },
        };
        let mut problems = gathered.problems.clone();
        match &outcome {
            Outcome::Through(done) => {
                problems.extend(done.problems.iter().cloned());
                self.status.away_since_ms = None;
                self.status.history = gathered.history.0;
                if problems.is_empty() {
                    self.status.whole_at_ms = Some(at_ms);
                }
            }
            Outcome::Away { what, .. } => {
                problems.push(what.clone());
                self.status.away_since_ms.get_or_insert(at_ms);
            }
        }
        problems.dedup();
        self.status.problems = problems;
        self.status.waiting = self.outbox.waiting_count();
        self.status.delivered = self.outbox.delivered();
        self.outbox.note(&self.status)?;
        Ok(outcome)
    }

    /// What is known of the last round.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// One turn of a watch: sources are looked at each time, the server only where something is new
    /// or it was not asked for long. The wait before the next turn, and a line where the server
    /// went away or came back.
    ///
    /// # Errors
    /// A disk that cannot be written.
    pub fn turn(&mut self, waits: &mut Waits) -> Result<(Duration, Option<String>)> {
        let every = Duration::from_secs(self.settings.watch.every_s);
        let verify = Duration::from_secs(self.settings.watch.verify_s);
        let gathered = self.keep()?;
        let digest = digest_of(&gathered);
        let is_shown = self.shown.as_ref().is_some_and(|(shown, at)| {
            *shown == digest && at.elapsed() < verify && self.outbox.waiting_count() == 0
        });
        if is_shown {
            return Ok((every, None));
        }
        let left = waits.left();
        if !left.is_zero() {
            return Ok((every.min(left), None));
        }
        let was_away = self.status.away_since_ms.is_some();
        Ok(match self.send(&gathered)? {
            Outcome::Through(done) if done.problems.is_empty() => {
                waits.reset();
                self.shown = Some((digest, Instant::now()));
                (every, was_away.then(|| "the server is back; all is there".to_owned()))
            }
            Outcome::Through(done) => (every.min(waits.grow(None)), Some(done.problems.join("; "))),
            Outcome::Away { what, retry_after } => {
                let wait = waits.grow(retry_after);
                let waiting = self.status.waiting;
                let line = format!("the server is away, {waiting} runs wait on disk: {what}");
                (every.min(wait), (!was_away).then_some(line))
            }
        })
    }
}

/// Waits that grow from a second.
#[derive(Clone, Debug)]
pub struct Waits {
    next: Duration,
    most: Duration,
    until: Option<Instant>,
}

impl Waits {
    /// Waits of at most so many seconds, unless the server asks for more.
    pub fn new(most_s: u64) -> Self {
        let next = Duration::from_secs(1);
        Self { next, most: Duration::from_secs(most_s).max(next), until: None }
    }

    /// The wait after one more failure.
    pub fn grow(&mut self, retry_after: Option<Duration>) -> Duration {
        let asked = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let wait = self.next.max(asked);
        self.next = (self.next * 2).min(self.most);
        self.until = Some(Instant::now() + wait);
        wait
    }

    fn reset(&mut self) {
        *self = Self::new(self.most.as_secs());
    }

    /// What is left of the wait.
    fn left(&self) -> Duration {
        let until = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        until.unwrap_or_default()
    }
}

/// Stands for everything that is to be seen.
fn digest_of(gathered: &Gathered) -> String {
    let runs: Vec<String> = gathered.found.iter().map(|found| found.run.digest()).collect();
    hex(&sha256(format!("{runs:?} {:?} {:?}", gathered.history, gathered.aliases).as_bytes()))
}
