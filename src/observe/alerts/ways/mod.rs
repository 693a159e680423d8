//! The ways that messages leave by. Each has a thread of its own, which alone waits for the other
//! side; what it waits is bounded.

mod http;
mod mail;
mod telegram;
mod webhook;

pub use http::{Answer, Http};
pub use mail::Mail;
pub use telegram::Telegram;
pub use webhook::{Webhook, signature};

use super::dispatch::{Message, Undelivered};
use crossbeam::channel::{Receiver, Sender};

/// One way.
pub enum Way {
    /// A Telegram bot.
    Telegram(Telegram),
    /// Signed JSON.
    Webhook(Webhook),
    /// A mail program.
    Mail(Mail),
}

impl Way {
    /// As in the configuration.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Telegram(_) => "telegram",
            Self::Webhook(_) => "webhook",
            Self::Mail(_) => "mail",
        }
    }

    /// Delivers a message; waits a few seconds at most.
    ///
    /// # Errors
    /// [`Undelivered`], without secrets.
    pub fn carry(&mut self, message: &Message) -> Result<(), Undelivered> {
        match self {
            Self::Telegram(way) => way.carry(message),
            Self::Webhook(way) => way.carry(message),
            Self::Mail(way) => way.carry(message),
        }
    }
}

/// What became of a message, and on which way.
pub type Outcome = (usize, Result<(), Undelivered>);

/// The thread of a way: carries what comes, one after the other, until nobody asks any more.
pub fn serve(place: usize, mut way: Way, messages: &Receiver<Message>, outcomes: &Sender<Outcome>) {
    for message in messages {
        let result = way.carry(&message);
        if let Err(undelivered) = &result {
            tracing::warn!(
                channel = way.name(),
                number = message.number,
                what = undelivered.what,
                "alert not delivered; it is tried again"
            );
        }
        if outcomes.send((place, result)).is_err() {
            return;
        }
    }
}
