//! Messages of a Telegram bot to one chat. The token is part of the address, so no address is ever
//! told. Texts are sent as they are, without markup: what stands in them cannot format anything.

use super::super::dispatch::{Message, Undelivered};
use super::super::secret::Secret;
use super::http::{Answer, Http};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest time of one delivery.
const SEND_MAX: Duration = Duration::from_secs(4);
/// Marks the parts of a request with a picture; no PNG of ours can hold it by chance.
const BOUNDARY: &str = "peregrine-8f1c2d5b7e904a63";
/// Longest caption of a picture in characters.
const CAPTION_CHARS_MAX: usize = 1_000;

/// See the head of this file.
pub struct Telegram {
    http: Http,
    base: String,
    token: Secret,
    chat: i64,
}

impl Telegram {
    /// A bot's way to `chat`.
    pub fn new(base: &str, token: Secret, chat: i64) -> Self {
        let http = Http::new(SEND_MAX, token.clone());
        Self { http, base: base.trim_end_matches('/').to_owned(), token, chat }
    }

    /// The same bot, another time limit: for the long poll.
    pub fn with_limit(mut self, longest: Duration) -> Self {
        self.http = Http::new(longest, self.token.clone());
        self
    }

    /// Calls a method of the Bot API.
    ///
    /// # Errors
    /// In words, without the token; with the wait that the API names.
    pub fn call(&self, method: &str, arguments: &Value) -> Result<Value, Undelivered> {
        let body = arguments.to_string();
        let kind = [("content-type", "application/json")];
        self.read(method, self.http.post(&self.url(method), &kind, body.as_bytes()))
    }

    /// Writes to a chat.
    ///
    /// # Errors
    /// As [`Telegram::call`].
    pub fn say(&self, chat: i64, text: &str) -> Result<(), Undelivered> {
        let arguments = json!({
            "chat_id": chat,
            "text": text,
            "link_preview_options": { "is_disabled": true },
        });
        self.call("sendMessage", &arguments).map(drop)
    }

    pub(super) fn carry(&self, message: &Message) -> Result<(), Undelivered> {
        match message.alerts.first().and_then(|alert| alert.picture.as_deref()) {
            Some(picture) => self.show(&message.text, picture),
            None => self.say(self.chat, &message.text),
        }
    }

    fn show(&self, caption: &str, picture: &[u8]) -> Result<(), Undelivered> {
        let caption: String = caption.chars().take(CAPTION_CHARS_MAX).collect();
        let mut body = Vec::with_capacity(picture.len() + 1_024);
        for (name, value) in [("chat_id", self.chat.to_string()), ("caption", caption)] {
            let head = format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
            body.extend_from_slice(head.as_bytes());
        }
        let head = format!(
            "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"photo\"; \
             filename=\"equity.png\"\r\ncontent-type: image/png\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(picture);
        body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let answer = self.http.post(&self.url("sendPhoto"), &[("content-type", &kind)], &body);
        self.read("sendPhoto", answer).map(drop)
    }

    fn url(&self, method: &str) -> String {
        format!("{}/bot{}/{method}", self.base, self.token.expose())
    }

    fn read(&self, method: &str, answer: Result<Answer, String>) -> Result<Value, Undelivered> {
        let failed = |what: String, retry_after| {
            let what = self.token.hide_in(&format!("{method}: {what}"));
            Err(Undelivered { what, retry_after })
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(what) => return failed(what, None),
        };
        let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 200 && told["ok"] == true {
            return Ok(told["result"].clone());
        }
        let named = told["parameters"]["retry_after"].as_u64().or(answer.retry_after);
        let why = told["description"].as_str().unwrap_or_default();
        let why: String = why.chars().filter(|c| !c.is_control()).take(200).collect();
        failed(format!("status {}: {why}", answer.status), named.map(Duration::from_secs))
    }
}
