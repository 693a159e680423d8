//! Builds the alerts of a session from its settings and the secrets of the environment.

use super::running::Ended;
use super::secret;
use super::watcher::Watched;
use crate::base::event::Command;
use crate::base::settings::{AlertChannel, AlertSettings, Settings};
use crate::journal::JournalHealth;
use crate::observe::SnapshotCell;
use crate::observe::alerts::board::AlertBoard;
use crate::observe::alerts::secret::Secret;
use crate::observe::alerts::service::{AlertSender, AlertService, AlertWork};
use crate::observe::alerts::telegram::{CommandListener, ListenerWork, QUESTION_MAX};
use crate::observe::alerts::ways::{Mail, Telegram, Way, Webhook};
use crate::observe::alerts::{Class, Severity};
use crate::observe::audit::{AuditKeeper, AuditWork};
use crate::observe::report::due::ReportKeeper;
use anyhow::{Context, Result, bail};
use crossbeam::channel::Sender;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// The Telegram bot's token: variable, and file among the credentials.
pub const TELEGRAM_TOKEN: (&str, &str) = ("PEREGRINE_TELEGRAM_TOKEN", "telegram-token");
/// What webhooks are signed with: variable, and file among the credentials.
pub const WEBHOOK_SECRET: (&str, &str) = ("PEREGRINE_WEBHOOK_SECRET", "webhook-secret");
/// Least length of a webhook's secret in bytes: 128 bits as hex.
const WEBHOOK_SECRET_BYTES_MIN: usize = 32;

/// The secrets that the configured channels need.
pub struct AlertSecrets {
    telegram: Option<Secret>,
    webhook: Option<Secret>,
}

impl AlertSecrets {
    /// Reads them.
    ///
    /// # Errors
    /// Names the one that is missing or cannot be one.
    pub fn read(settings: &AlertSettings) -> Result<Self> {
        let wanted = |channel: AlertChannel, names| {
            let missing = || format!("alerts.channels: \"{}\"", channel.name());
            match settings.has(channel) {
                true => secret(names).with_context(missing).map(Some),
                false => Ok(None),
            }
        };
        let telegram = wanted(AlertChannel::Telegram, TELEGRAM_TOKEN)?;
        let lawful = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
        if telegram.as_ref().is_some_and(|token| !token.expose().chars().all(lawful)) {
            bail!("{}: is no token of a bot", TELEGRAM_TOKEN.0);
        }
        let webhook = wanted(AlertChannel::Webhook, WEBHOOK_SECRET)?;
        let short = |secret: &Secret| secret.expose().len() < WEBHOOK_SECRET_BYTES_MIN;
        if webhook.as_ref().is_some_and(short) {
            bail!("{}: shorter than {WEBHOOK_SECRET_BYTES_MIN} bytes", WEBHOOK_SECRET.0);
        }
        Ok(Self { telegram, webhook })
    }

    /// What listens to commands, where that is wanted.
    fn listener(
        &self,
        settings: &AlertSettings,
        state: &Path,
        (river, cell, alerts): (&Sender<Command>, &Arc<SnapshotCell>, AlertSender),
    ) -> Result<Option<CommandListener>> {
        let Some(token) = self.telegram.clone().filter(|_| settings.telegram_commands) else {
            return Ok(None);
        };
        let bot = Telegram::new(&settings.telegram_url, token, settings.telegram_chat);
        let work = ListenerWork {
            bot: bot.with_limit(QUESTION_MAX),
            users: settings.telegram_users.clone(),
            state: state.to_owned(),
            river: river.clone(),
            cell: Arc::clone(cell),
            alerts,
        };
        CommandListener::start(work).context("telegram commands").map(Some)
    }

    /// The ways of the settings, in their order.
    pub(super) fn ways(&self, settings: &AlertSettings) -> Vec<Way> {
        let way = |channel: &AlertChannel| match channel {
            AlertChannel::Telegram => self.telegram.clone().map(|token| {
                let chat = settings.telegram_chat;
                Way::Telegram(Telegram::new(&settings.telegram_url, token, chat))
            }),
            AlertChannel::Webhook => self
                .webhook
                .clone()
                .map(|secret| Way::Webhook(Webhook::new(&settings.webhook_url, secret))),
            AlertChannel::Mail => {
                let (from, to) = (&settings.mail_from, &settings.mail_to);
                Some(Way::Mail(Mail::new(&settings.mail_program, from, to)))
            }
        };
        settings.channels.iter().filter_map(way).collect()
    }
}

/// A secret by its names.
fn secret((variable, file): (&str, &str)) -> Result<Secret> {
    let text = secret::read_named(variable, file)?.filter(|text| !text.trim().is_empty());
    let text = text.with_context(|| {
        format!("needs {variable} in the environment, or {file} among the credentials")
    })?;
    Ok(Secret::new(text))
}

/// What a session's alerts read.
pub struct Watch {
    /// The journal's folder.
    pub journal: PathBuf,
    /// Its health.
    pub health: Arc<JournalHealth>,
    /// What the page shows.
    pub board: Arc<AlertBoard>,
    /// Set once the session ends.
    pub ending: Arc<AtomicBool>,
}

impl Watch {
    /// Of the session that the observer watches.
    pub fn of(watched: &Watched, ending: &Arc<AtomicBool>) -> Self {
        Self {
            journal: PathBuf::from(&watched.journal),
            health: Arc::clone(&watched.health),
            board: Arc::clone(&watched.board),
            ending: Arc::clone(ending),
        }
    }
}

/// The side threads that tell people what happens. Dropped, each reads the lanes to their end: the
/// trail first, so that what it has to say is still delivered.
pub struct Aside {
    listener: Option<CommandListener>,
    reports: Option<ReportKeeper>,
    audit: AuditKeeper,
    alerts: AlertService,
}

impl Aside {
    /// Starts them.
    ///
    /// # Errors
    /// When a secret is missing, a thread cannot be started, or the audit trail cannot be opened.
    pub fn start(
        settings: &Settings,
        watch: Watch,
        (river, cell): (&Sender<Command>, &Arc<SnapshotCell>),
    ) -> Result<Self> {
        let secrets = AlertSecrets::read(&settings.alerts)?;
        let Watch { journal, health, board, ending } = watch;
        let state = PathBuf::from(&settings.session.state_dir);
        let name = journal.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let settings = settings.alerts.clone();
        let ways = secrets.ways(&settings);
        let audited = Arc::clone(&health);
        let work = AlertWork {
            settings: settings.clone(),
            ways,
            journal: Some(journal),
            health,
            cell: Arc::clone(cell),
            board,
            ending,
        };
        let alerts = AlertService::start(work).context("alerts")?;
        let told = Some(alerts.sender());
        let listener = secrets.listener(&settings, &state, (river, cell, alerts.sender()))?;
        let reports = settings.summaries.then(|| {
            let session = name.split_once('-').map_or("", |(_, session)| session).to_owned();
            ReportKeeper::start(state.clone(), session, alerts.sender()).context("reports")
        });
        let reports = reports.transpose()?;
        let work = AuditWork { state, journal: name, health: audited, alerts: told };
        let audit = AuditKeeper::start(work).context("audit trail")?;
        Ok(Self { listener, reports, audit, alerts })
    }

    /// What no record tells: that a session has ended though nobody asked it to.
    pub fn tell_end(&self, ended: &Result<Ended>) {
        let what = match ended {
            Err(error) => Some(format!("{error:#}")),
            Ok(ended) if !ended.settled => {
                Some("the venue did not settle the end in time".to_owned())
            }
            Ok(ended) => ended.halt.clone(),
        };
        if let Some(what) = what {
            let text = format!("the session ended: {what}");
            self.alerts.say(Severity::P0, Class::Session, "ended", &text);
        }
    }

    /// Ends them, in order.
    pub fn finish(self) {
        drop((self.listener, self.reports));
        self.audit.finish();
        drop(self.alerts);
    }
}
