//! A connection to a server that can be made again.

use super::super::TuneError;
use postgres::error::SqlState;
use std::io;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long sent bytes may go without a sign from the other side: a cut cable says nothing.
const UNHEARD: Duration = Duration::from_secs(30);
/// Silence after which the other side is asked whether it is there, then how often in which steps.
const ASK_AFTER: Duration = Duration::from_secs(15);
const ASK_EVERY: Duration = Duration::from_secs(5);
const ASKS_MAX: u32 = 3;
/// What the client has where a URL says nothing about the silence.
const ASK_AFTER_UNSAID: Duration = Duration::from_secs(7_200);
/// The server frees what a machine that vanished in a claim had locked. A claim takes a small part
/// of this.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '60s'";

/// A connection to a server.
pub struct Server {
    pub client: postgres::Client,
    config: postgres::Config,
    /// When it was made again; none while it is the first one.
    again: Option<Instant>,
}

impl Server {
    /// Connects. What the URL says about times stays.
    pub fn open(url: &str) -> Result<Self, TuneError> {
        let mut config = postgres::Config::from_str(url)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNHEARD);
        }
        if config.get_keepalives_idle() == ASK_AFTER_UNSAID {
            config.keepalives_idle(ASK_AFTER);
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(ASK_EVERY);
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(ASKS_MAX);
        }
        Ok(Self { client: connected(&config)?, config, again: None })
    }

    /// Connects again.
    pub fn reopen(&mut self) -> Result<(), TuneError> {
        self.client = connected(&self.config)?;
        self.again = Some(Instant::now());
        Ok(())
    }

    /// Seconds since the connection was made again, without end for the first one.
    pub fn again_secs(&self) -> f64 {
        self.again.map_or(f64::INFINITY, |at| at.elapsed().as_secs_f64())
    }
}

fn connected(config: &postgres::Config) -> Result<postgres::Client, TuneError> {
    let mut client = config.connect(postgres::NoTls)?;
    client.batch_execute(SESSION)?;
    Ok(client)
}

/// Whether an error says that the server, or the way to it, is away for a while, or that the same
/// may simply be asked once more.
pub fn passes(error: &TuneError) -> bool {
    let TuneError::Server(error) = error else { return false };
    let source = std::error::Error::source(error);
    let is_io = source.is_some_and(|source| source.downcast_ref::<io::Error>().is_some());
    let codes = [
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::CONNECTION_EXCEPTION,
        SqlState::CONNECTION_FAILURE,
        SqlState::TOO_MANY_CONNECTIONS,
        SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ];
    error.is_closed() || is_io || error.code().is_some_and(|code| codes.contains(code))
}
