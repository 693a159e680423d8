//! The admin endpoints under `/sim`: what a test or an operator does to the exchange. They take no
//! signature and are no part of the venue's protocol.

use super::clock::Clock;
use super::http1::Incoming;
use super::page;
use super::reactor::{Reactor, SimGuard, Step};
use crate::base::Nanos;
use crate::exchange::fault::target::Target;
use crate::exchange::fault::{Change, Fault, world};
use crate::exchange::wire::http::Answer;
use serde_json::{Map, Value, json};
use std::sync::atomic::Ordering;

/// Longest step of a stepped clock: a day.
const STEP_MS_MAX: i64 = 86_400_000;
const FILTER_KEYS: [&str; 4] = ["symbol", "tick_times", "step_times", "notional_times"];

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
            ("GET", "/sim/faults") => Ok(self.faults.to_json()),
            ("POST", "/sim/faults") => self.add_fault(&asked),
            ("DELETE", "/sim/faults") => self.remove_fault(&asked),
            ("POST", "/sim/halt") => self.once("halt", &asked, &["symbol"], true),
            ("POST", "/sim/resume") => self.once("halt", &asked, &["symbol"], false),
            ("POST", "/sim/settle") => self.once("settle", &asked, &["symbol"], true),
            ("POST", "/sim/shock") => self.once("price_spike", &asked, &["symbol", "bps"], true),
            ("POST", "/sim/filters") => self.once("filter_change", &asked, &FILTER_KEYS, true),
            ("POST", "/sim/key_rights") => self.set_rights(&asked),
            ("POST", "/sim/expire_listen_key") => self.once("expire_listen_key", &asked, &[], true),
            ("POST", "/sim/disconnect") => self.disconnect(&asked),
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
            "clients": self.open,
            "streams": self.by_conn.len(),
            "frames": self.shared.frames.load(Ordering::Relaxed),
            "cut_off": self.shared.cut_off.load(Ordering::Relaxed),
            "faults": self.faults.to_json(),
            "symbols": contracts.collect::<Vec<_>>(),
        })
    }

    fn step_of(&self, slot: usize, keep_alive: bool, asked: &Asked) -> Result<Step, String> {
        if !matches!(self.clock, Clock::Stepped) {
            return Err("the clock runs by itself: start with --clock stepped".to_owned());
        }
        if self.step.is_some() {
            return Err("another step is being taken".to_owned());
        }
        let ms = asked.int("ms", 1, STEP_MS_MAX)?;
        asked.only(&["ms"])?;
        let serial = self.clients[slot].as_ref().map_or(0, |client| client.serial);
        let until = self.now + Nanos::from_millis(ms);
        Ok(Step { until, slot, serial, keep_alive, begun: false, held_up: None })
    }

    /// Adds a fault; one that names no time counts from now on.
    fn add_fault(&mut self, asked: &Asked) -> Said {
        let fault = self.fault(&asked.0)?;
        let id = self.faults.add(fault);
        self.carry_out();
        Ok(json!({"id": id}))
    }

    /// Takes out the fault of an `id`, or all.
    fn remove_fault(&mut self, asked: &Asked) -> Said {
        asked.only(&["id"])?;
        let id = match asked.0.get("id") {
            None => None,
            Some(id) => Some(id.as_u64().ok_or("id: a number is needed")?),
        };
        let ended = self.faults.remove(id).ok_or("id: there is no such fault")?;
        ended.iter().for_each(|change| self.change(change));
        Ok(json!({}))
    }

    /// Does at once, or ends, what a fault of this kind does.
    fn once(&mut self, kind: &str, asked: &Asked, keys: &[&str], begins: bool) -> Said {
        asked.only(keys)?;
        let mut table = asked.0.clone();
        table.insert("kind".to_owned(), json!(kind));
        let fault = self.fault(&table)?;
        world::apply(&mut self.exchange, &Change { fault, begins }, self.now)?;
        Ok(json!({}))
    }

    /// Cuts connections that fit a target; how many.
    fn disconnect(&mut self, asked: &Asked) -> Said {
        asked.only(&["target"])?;
        let mut problems = Vec::new();
        let target = Target::parse(asked.0.get("target").unwrap_or(&json!("ws")), &mut problems);
        if let Some(problem) = problems.into_iter().next() {
            return Err(problem);
        }
        let mut cut = 0;
        for slot in 0..self.clients.len() {
            let Some(client) = &mut self.clients[slot] else { continue };
            if client.subject().is_some_and(|subject| target.fits(&subject)) {
                self.reset(slot);
                cut += 1;
            }
        }
        Ok(json!({"cut": cut}))
    }

    /// Sets rights of the key that is named, by the venue's names.
    fn set_rights(&mut self, asked: &Asked) -> Said {
        let key = asked.0.get("api_key").and_then(Value::as_str).ok_or("api_key: missing")?;
        for (name, on) in asked.0.iter().filter(|(name, _)| *name != "api_key") {
            let on = on.as_bool().ok_or_else(|| format!("{name}: true or false is needed"))?;
            self.exchange.accounts.set_right(key, name, on)?;
        }
        Ok(json!({}))
    }

    fn fault(&self, table: &Map<String, Value>) -> Result<Fault, String> {
        let age = self.faults.age(self.now);
        let fault = Fault::parse(table, age).map_err(|problems| problems.join("; "))?;
        world::check(&self.exchange, &fault)?;
        Ok(fault)
    }
}

/// The object an admin request carries.
#[derive(Debug, Default)]
pub struct Asked(pub Map<String, Value>);

impl Asked {
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
