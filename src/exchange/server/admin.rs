//! The admin endpoints under `/sim`: what a test or an operator does to the exchange. They take no
//! signature and are no part of the venue's protocol.

use super::clock::Clock;
use super::http1::Incoming;
use super::page;
use super::reactor::{Reactor, SimGuard, Step};
use crate::base::Nanos;
use crate::exchange::wire::http::Answer;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

/// Longest step of a stepped clock: a day.
const STEP_MS_MAX: i64 = 86_400_000;

type Said = Result<Value, String>;

impl Reactor {
    /// Serves an admin request; `None` where the answer comes later.
    pub fn sim(&mut self, slot: usize, incoming: &Incoming) -> Option<Answer> {
        let allowed = match &self.sim_guard {
            SimGuard::Open => true,
            SimGuard::Token(token) => !token.is_empty() && *token == incoming.sim_token,
            SimGuard::Shut => false,
        };
        if !allowed {
            return Some(page::firewall());
        }
        let request = &incoming.request;
        let asked = match body(&request.body) {
            Ok(asked) => asked,
            Err(text) => return Some(refusal(400, &text)),
        };
        let said = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/sim/ledger") => {
                Ok(self.exchange.accounts.report(&self.exchange.market, self.now))
            }
            ("GET", "/sim/state") => Ok(self.state()),
            ("POST", "/sim/step") => match self.step_of(slot, incoming.keep_alive, &asked) {
                Ok(step) => {
                    self.step = Some(step);
                    return None;
                }
                Err(text) => Err(text),
            },
            ("POST", "/sim/halt") => self.halt(&asked, true),
            ("POST", "/sim/resume") => self.halt(&asked, false),
            ("POST", "/sim/shock") => self.shock(&asked),
            _ => {
                let text = format!("{} {} is no admin endpoint", request.method, request.path);
                return Some(refusal(404, &text));
            }
        };
        self.deliver();
        Some(match said {
            Ok(value) => Answer::json(200, value.to_string()),
            Err(text) => refusal(400, &text),
        })
    }

    fn state(&self) -> Value {
        let market = &self.exchange.market;
        let contracts = (0..market.len()).map(|index| {
            let contract = market.at(index);
            json!({"symbol": contract.spec.symbol.as_str(), "halted": contract.halted})
        });
        json!({
            "time": self.now.to_millis(),
            "clock": if matches!(self.clock, Clock::Stepped) { "stepped" } else { "real" },
            "clients": self.shared.clients.load(Ordering::Relaxed),
            "streams": self.by_conn.len(),
            "frames": self.shared.frames.load(Ordering::Relaxed),
            "cut_off": self.shared.cut_off.load(Ordering::Relaxed),
            "symbols": contracts.collect::<Vec<_>>(),
        })
    }

    fn step_of(&self, slot: usize, keep_alive: bool, asked: &Asked) -> Result<Step, String> {
        if !matches!(self.clock, Clock::Stepped) {
            return Err("the clock runs by itself: start with --clock stepped".to_owned());
        }
        let ms = asked.int("ms", 1, STEP_MS_MAX)?;
        asked.only(&["ms"])?;
        let serial = self.clients[slot].as_ref().map_or(0, |client| client.serial);
        let until = self.now + Nanos::from_millis(ms);
        Ok(Step { until, slot, serial, keep_alive, held_up: None })
    }

    fn halt(&mut self, asked: &Asked, on: bool) -> Said {
        asked.only(&["symbol"])?;
        let contract = self.contract(asked)?;
        self.exchange.market.at_mut(contract).halted = on;
        Ok(json!({"halted": on}))
    }

    fn shock(&mut self, asked: &Asked) -> Said {
        asked.only(&["symbol", "bps"])?;
        let contract = self.contract(asked)?;
        let bps = asked.int("bps", -9_000, 100_000)?;
        self.exchange.market.at_mut(contract).shock(bps);
        Ok(json!({"bps": bps}))
    }

    fn contract(&self, asked: &Asked) -> Result<usize, String> {
        let symbol = asked.text("symbol")?;
        let found = self.exchange.market.index_of(symbol);
        found.ok_or_else(|| format!("symbol: {symbol:?} is not traded here"))
    }
}

/// The object an admin request carries.
#[derive(Debug, Default)]
pub struct Asked(pub Map<String, Value>);

impl Asked {
    /// A text that must be there.
    ///
    /// # Errors
    /// Names the key.
    pub fn text(&self, key: &str) -> Result<&str, String> {
        let text = self.0.get(key).and_then(Value::as_str);
        text.ok_or_else(|| format!("{key}: a text is needed"))
    }

    /// A whole number that must be there and lie within `min..=max`.
    ///
    /// # Errors
    /// Names the key.
    pub fn int(&self, key: &str, min: i64, max: i64) -> Result<i64, String> {
        let value = self.0.get(key).and_then(Value::as_i64);
        let fits = value.filter(|value| (min..=max).contains(value));
        fits.ok_or_else(|| format!("{key}: a whole number from {min} to {max} is needed"))
    }

    /// Nothing but `keys` may be there.
    ///
    /// # Errors
    /// Names the first other key.
    pub fn only(&self, keys: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(format!("{key}: unknown key; known are {}", keys.join(", "))),
        }
    }
}

fn body(bytes: &[u8]) -> Result<Asked, String> {
    if bytes.is_empty() {
        return Ok(Asked::default());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(Asked(map)),
        Ok(_) => Err("the body must be a JSON object".to_owned()),
        Err(error) => Err(format!("the body is no JSON: {error}")),
    }
}

fn refusal(status: u16, text: &str) -> Answer {
    Answer::json(status, json!({"error": text}).to_string())
}
