//! What a start at the venue needs: credentials from the environment, and an account that can be
//! traded from: one-way, with a wallet. Orders and positions that are there are judged when the
//! venue's books and ours are held against each other.

use super::clock::wall_now;
use super::config::{Loaded, with_values};
use super::key_rights;
use super::patience::{Patience, Unanswered};
use super::rig::VenueAccess;
use super::secret;
use crate::base::settings::{OrderEntry, Settings};
use crate::base::{Money, Reason};
use crate::execution::reconcile::{Question, Told};
use crate::venue::account::{AccountClient, Credentials};
use crate::venue::budget::{Budget, RateLimits, Use};
use crate::venue::job::{RestJob, RestReply, RestRequest};
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};
use toml::Value;
use xxhash_rust::xxh3::xxh3_64;

/// The variable with the account's key.
pub const API_KEY: &str = "PEREGRINE_API_KEY";
/// The variable with the account's secret.
pub const API_SECRET: &str = "PEREGRINE_API_SECRET";

/// Reads the credentials from the service's credentials folder or the environment; `None` where
/// neither variable is set.
///
/// # Errors
/// Names the variable that is missing or cannot be one.
pub fn credentials_from_environment() -> Result<Option<Credentials>> {
    match (secret::read(API_KEY)?, secret::read(API_SECRET)?) {
        (None, None) => Ok(None),
        (Some(_), None) => bail!("{API_SECRET}: missing, though {API_KEY} is set"),
        (None, Some(_)) => bail!("{API_KEY}: missing, though {API_SECRET} is set"),
        (Some(key), Some(secret)) => {
            let credentials = Credentials::new(key, secret);
            let usable = credentials.with_context(|| {
                format!("{API_KEY}, {API_SECRET}: empty, or a key with blanks in it")
            })?;
            Ok(Some(usable))
        }
    }
}

/// Looks at the account and takes a key of its stream. The configuration comes back with the
/// wallet as starting equity, so that the journal tells it and a replay has it.
///
/// # Errors
/// Names what is missing, or what in the account this version cannot start from.
pub fn open(
    loaded: &Loaded,
    credentials: Option<Credentials>,
    statement: Option<&'static str>,
    (budget, patience): (&Arc<Budget>, &Patience<'_>),
) -> Result<(Loaded, VenueAccess)> {
    let venue = &loaded.settings.venue;
    let credentials = credentials.with_context(|| {
        format!("venue.orders = \"venue\" needs {API_KEY} and {API_SECRET} in the environment")
    })?;
    for (key, url) in [("rest_url", &venue.rest_url), ("private_url", &venue.private_url)] {
        if url.is_empty() {
            bail!("venue.{key}: empty; venue.orders = \"venue\" needs it");
        }
    }
    if venue.order_entry == OrderEntry::WebSocket && venue.api_url.is_empty() {
        bail!("venue.api_url: empty; venue.order_entry = \"websocket\" needs it");
    }
    // Before anything else is done with the key.
    key_rights::require(&loaded.settings, &credentials, patience)?;
    let account = AccountClient::new(&venue.rest_url, credentials.clone(), wall_now);
    let asking = Asking { account, budget, patience };
    let named = |what: String| anyhow::anyhow!("account: {what}");
    // The limits come first: what the heads of answers count can only be judged by them.
    let exchange_info = asking.exchange_info().ok();
    budget.set_limits(
        exchange_info.as_deref().map(RateLimits::from_exchange_info).unwrap_or_default(),
    );
    if patience.is_stopped() {
        return Err(named("stopped before it was asked".to_owned()));
    }
    // Then three answers at the same time: a restart has no time to lose.
    let (mode, wallet, listen_key) = std::thread::scope(|scope| {
        let mode = scope.spawn(|| asking.one_way());
        let key = scope.spawn(|| asking.listen_key());
        (joined(mode), asking.wallet(), joined(key))
    });
    mode.map_err(named)?;
    let wallet = wallet.map_err(named)?;
    if wallet.0 <= 0 {
        return Err(named("its wallet holds no USDT".to_owned()));
    }
    let listen_key = listen_key.map_err(|what| anyhow::anyhow!("account's stream: {what}"))?;
    let account = xxh3_64(credentials.key().as_bytes());
    let equity = Value::String(wallet.to_string());
    let loaded = with_values(loaded, &[("risk", "starting_equity", equity)])?;
    let budget = Arc::clone(budget);
    let access = VenueAccess { credentials, budget, exchange_info, listen_key, account, statement };
    Ok((loaded, access))
}

/// Longest wait of a start for the venue's next window, a minute, and a little for the clocks.
const WINDOW: Duration = Duration::from_secs(61);
/// Time between two looks whether it has begun.
const LOOK: Duration = Duration::from_millis(100);

/// Asks for one account within the budget; what the answers say of limits is kept in it.
pub(super) struct Asking<'b> {
    pub(super) account: AccountClient,
    pub(super) budget: &'b Budget,
    /// How long it is asked again where no answer comes.
    pub(super) patience: &'b Patience<'b>,
}

impl Asking<'_> {
    /// Asks for what a start needs, again where no answer comes; from the reserve, and where that
    /// is used up as well, by others behind our address or by starts before this one, in the next
    /// minute.
    pub(super) fn ask(&self, job: RestJob) -> Result<RestReply, String> {
        let usage = Use::Start(job.weight());
        self.patience.ask(|| {
            self.wait_for_room(usage);
            self.carry(&job, usage)
        })
    }

    fn wait_for_room(&self, usage: Use) {
        let began = Instant::now();
        let is_full = || {
            let now = wall_now();
            let refused = self.budget.permits(usage, now) == Err(Reason::RateLimited);
            refused && self.budget.stopped(now).is_none()
        };
        while is_full() && began.elapsed() < WINDOW && !self.patience.is_stopped() {
            std::thread::sleep(LOOK);
        }
    }

    fn carry(&self, job: &RestJob, usage: Use) -> Result<RestReply, Unanswered> {
        self.budget.permits(usage, wall_now()).map_err(|reason| {
            let RestRequest { method, path, .. } = self.account.request(job);
            Unanswered::for_good(format!("{method} {path}: not asked: {}", reason.name()))
        })?;
        self.budget.count(usage, wall_now());
        let (reply, limits) = self.account.answer(job);
        self.budget.on_answer(reply.as_ref().err(), &limits, wall_now());
        Ok(reply?)
    }

    fn one_way(&self) -> Result<(), String> {
        match self.ask(RestJob::PositionMode)? {
            RestReply::Hedged(false) => Ok(()),
            RestReply::Hedged(true) => {
                Err("it is in hedge mode; set it to one-way mode".to_owned())
            }
            _ => Err("the position mode was answered by something else".to_owned()),
        }
    }

    fn wallet(&self) -> Result<Money, String> {
        match self.ask(RestJob::Ask(Question::Wallet))? {
            RestReply::Told(Told::Wallet(wallet)) => Ok(wallet),
            _ => Err("the wallet was answered by something else".to_owned()),
        }
    }

    fn listen_key(&self) -> Result<String, String> {
        match self.ask(RestJob::ListenKey)? {
            RestReply::Key(key) => Ok(key),
            _ => Err("the stream's key was answered by something else".to_owned()),
        }
    }

    fn exchange_info(&self) -> Result<Vec<u8>, String> {
        match self.ask(RestJob::Contracts)? {
            RestReply::Body(body) => Ok(body),
            _ => Err("the venue's facts were answered by something else".to_owned()),
        }
    }
}

fn joined<T>(thread: ScopedJoinHandle<'_, Result<T, String>>) -> Result<T, String> {
    thread.join().unwrap_or_else(|_| Err("asking for it panicked".to_owned()))
}

/// Time after which no further symbol is tried: a venue that does not answer takes 10 s for each.
const CANCELS_MAX: Duration = Duration::from_secs(30);

/// Cancels what a session that ended early may have left open, within the budget of cancels; what
/// fails, or may not be asked, is logged.
pub fn cancel_everything(settings: &Settings, credentials: Credentials, budget: &Budget) {
    let account = AccountClient::new(&settings.venue.rest_url, credentials, wall_now);
    let stop = AtomicBool::new(true);
    let asking = Asking { account, budget, patience: &Patience::new(Duration::ZERO, &stop) };
    let began = Instant::now();
    for symbol in settings.instruments.all() {
        if began.elapsed() > CANCELS_MAX {
            tracing::error!(%symbol, "open orders were not cancelled, from this symbol on");
            return;
        }
        if let Err(error) = asking.carry(&RestJob::CancelAll { symbol }, Use::Cancel) {
            tracing::error!(%symbol, error = error.what, "open orders were not cancelled");
        }
    }
}
