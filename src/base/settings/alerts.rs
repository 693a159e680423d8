//! The table `[alerts]`: who is told what happens, over which ways, and how much at most. Secrets
//! never stand here: they come from the environment or from credential files.

use super::route::is_loopback;
use super::section::Section;

/// A way that alerts leave by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertChannel {
    /// Messages of a Telegram bot to one chat.
    Telegram,
    /// Signed JSON posted to a URL.
    Webhook,
    /// A mail handed to a program such as sendmail.
    Mail,
}

impl AlertChannel {
    /// The name used in the configuration, in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }
}

/// See the head of this file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertSettings {
    /// Tried in this order; an alert that the first does not deliver in time goes to all others.
    pub channels: Vec<AlertChannel>,
    /// The least severe alert that is sent: 0 is P0 alone, 3 is everything.
    pub severity_max: u8,
    /// Milliseconds after which an alert that the first channel has not delivered goes to the
    /// others.
    pub escalate_after_ms: u32,
    /// Alerts that wait for delivery at once; beyond it the least severe and oldest are dropped.
    pub queue_alerts: u32,
    /// Seconds within which the same alert again is counted and not sent.
    pub repeat_s: u32,
    /// Alerts below P0 sent on their own in one minute; the others go into the minute's summary.
    pub per_minute_max: u32,
    /// Denied or refused orders in one minute that raise an alert.
    pub denials_per_minute: u32,
    /// Seconds between messages that say that all is well; 0 for none.
    pub heartbeat_s: u32,
    /// Send a summary after each UTC day and each week.
    pub summaries: bool,
    /// Base URL of the Bot API.
    pub telegram_url: String,
    /// The chat that is written to; 0 for none.
    pub telegram_chat: i64,
    /// Take commands from the users below.
    pub telegram_commands: bool,
    /// Numbers of the users whose commands are taken, in a private chat with the bot.
    pub telegram_users: Vec<i64>,
    /// Where the webhook posts to.
    pub webhook_url: String,
    /// Program that takes a mail on its standard input, with an absolute path.
    pub mail_program: String,
    /// Whom mails go to.
    pub mail_to: String,
    /// Whom they come from.
    pub mail_from: String,
}

impl AlertSettings {
    pub(super) fn read(mut s: Section<'_>) -> Self {
        let severities = [("P0", 0), ("P1", 1), ("P2", 2), ("P3", 3)];
        let settings = Self {
            channels: channels(&mut s),
            severity_max: s.choice("severity_max", &severities, 2),
            escalate_after_ms: s.u32_opt("escalate_after_ms", 100..=3_500).unwrap_or(3_000),
            queue_alerts: s.u32_opt("queue_alerts", 16..=65_536).unwrap_or(1_024),
            repeat_s: s.u32_opt("repeat_s", 1..=86_400).unwrap_or(60),
            per_minute_max: s.u32_opt("per_minute_max", 1..=60).unwrap_or(20),
            denials_per_minute: s.u32_opt("denials_per_minute", 1..=1_000_000).unwrap_or(30),
            heartbeat_s: s.u32_opt("heartbeat_s", 0..=86_400).unwrap_or(0),
            summaries: s.flag("summaries", false),
            telegram_url: s
                .text_opt("telegram_url")
                .unwrap_or_else(|| "https://api.telegram.org".to_owned()),
            telegram_chat: s.integer_opt("telegram_chat", i64::MIN..=i64::MAX).unwrap_or(0),
            telegram_commands: s.flag("telegram_commands", false),
            telegram_users: users(&mut s),
            webhook_url: s.text_opt("webhook_url").unwrap_or_default(),
            mail_program: s.text_opt("mail_program").unwrap_or_default(),
            mail_to: s.text_opt("mail_to").unwrap_or_default(),
            mail_from: s.text_opt("mail_from").unwrap_or_default(),
        };
        settings.check(&mut s);
        s.finish();
        settings
    }

    /// True where alerts leave by `channel`.
    pub fn has(&self, channel: AlertChannel) -> bool {
        self.channels.contains(&channel)
    }

    fn check(&self, s: &mut Section<'_>) {
        let closed = |url: &str| url.starts_with("https://") || is_loopback(url);
        for (key, url) in [("telegram_url", &self.telegram_url), ("webhook_url", &self.webhook_url)]
        {
            if !url.is_empty() && !closed(url) {
                s.fail(key, "must be https://; only a loopback address may do without");
            }
        }
        let telegram = self.has(AlertChannel::Telegram);
        let needed = [
            (telegram && self.telegram_url.is_empty(), "telegram_url", "telegram"),
            (telegram && self.telegram_chat == 0, "telegram_chat", "telegram"),
            (
                self.has(AlertChannel::Webhook) && self.webhook_url.is_empty(),
                "webhook_url",
                "webhook",
            ),
            (self.has(AlertChannel::Mail) && self.mail_to.is_empty(), "mail_to", "mail"),
            (self.has(AlertChannel::Mail) && self.mail_from.is_empty(), "mail_from", "mail"),
        ];
        for (_, key, channel) in needed.iter().filter(|(missing, ..)| *missing) {
            s.fail(key, format!("missing; the channel \"{channel}\" needs it"));
        }
        if self.has(AlertChannel::Mail) && !self.mail_program.starts_with('/') {
            s.fail("mail_program", "must be an absolute path; the channel \"mail\" needs it");
        }
        for (key, text) in [("mail_to", &self.mail_to), ("mail_from", &self.mail_from)] {
            if text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>')) {
                s.fail(key, "is no plain address");
            }
        }
        if self.telegram_commands && (!telegram || self.telegram_users.is_empty()) {
            let what = "needs the channel \"telegram\" and a user in telegram_users";
            s.fail("telegram_commands", what);
        }
    }
}

fn channels(s: &mut Section<'_>) -> Vec<AlertChannel> {
    let all = [AlertChannel::Telegram, AlertChannel::Webhook, AlertChannel::Mail];
    let mut channels = Vec::new();
    for text in s.texts("channels") {
        match all.into_iter().find(|channel| channel.name() == text) {
            Some(channel) if channels.contains(&channel) => {
                s.fail("channels", format!("{text:?} stands twice"));
            }
            Some(channel) => channels.push(channel),
            None => s.fail("channels", format!("{text:?} is none of telegram, webhook, mail")),
        }
    }
    channels
}

fn users(s: &mut Section<'_>) -> Vec<i64> {
    let mut users = Vec::new();
    for text in s.texts("telegram_users") {
        match text.parse::<i64>() {
            Ok(user) if user > 0 => users.push(user),
            _ => s.fail("telegram_users", format!("{text:?} is no user's number")),
        }
    }
    users
}

#[cfg(test)]
mod tests {
    use super::super::{parse, parse_document};

    fn errors(table: &str) -> Vec<String> {
        let text = format!("[alerts]\n{table}");
        let errors = parse(parse_document(&text).unwrap()).unwrap_err();
        let own = errors.into_iter().filter(|error| error.key.starts_with("alerts"));
        own.map(|error| error.to_string()).collect()
    }

    #[test]
    fn a_channel_without_what_it_needs_is_refused_by_key() {
        let cases = [
            ("channels = [\"telegram\"]", "alerts.telegram_chat: missing"),
            ("channels = [\"webhook\"]", "alerts.webhook_url: missing"),
            ("channels = [\"mail\"]\nmail_to = \"a@b\"\nmail_from = \"c@d\"", "mail_program"),
            ("channels = [\"pigeon\"]", "alerts.channels: \"pigeon\" is none of"),
            ("channels = [\"mail\", \"mail\"]", "stands twice"),
            ("webhook_url = \"http://example.org/x\"", "alerts.webhook_url: must be https://"),
            ("mail_to = \"a@b\\nBcc: c@d\"", "alerts.mail_to: is no plain address"),
            ("telegram_commands = true", "alerts.telegram_commands: needs"),
            ("telegram_users = [\"me\"]", "alerts.telegram_users: \"me\""),
            ("severity_max = \"P4\"", "alerts.severity_max"),
            ("escalate_after_ms = 5000", "alerts.escalate_after_ms: 5000 is outside"),
        ];
        for (table, word) in cases {
            let found = errors(table);
            assert!(found.iter().any(|error| error.contains(word)), "{table}: {found:?}");
        }
        let lawful = "channels = [\"webhook\"]\nwebhook_url = \"http://127.0.0.1:80/x\"";
        assert!(errors(lawful).is_empty(), "{:?}", errors(lawful));
    }
}
