//! Faults on the wire: what strikes a text, an answer, a connection.

use super::client::{Client, End, Ending};
use super::frame;
use super::page::{self, Manner};
use super::reactor::Reactor;
use crate::base::Nanos;
use crate::exchange::fault::kind::{Kind, Point};
use crate::exchange::fault::target::{Side, Subject};
use crate::exchange::fault::{Change, Strike, garble, on_socket, world};
use crate::exchange::wire::http::Answer;
use crate::exchange::wire::streams::Delivery;
use std::sync::atomic::Ordering;

/// A connection closed without a close frame, as clients tell it.
const NO_CLOSE_FRAME: i64 = 1_006;

/// How the frames of a struck text look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Sound,
    Fragments(usize),
    FirstByte(u8),
    Masked,
    BrokenText,
    Half,
}

/// What is to be done with a struck text.
#[derive(Debug)]
struct Plan {
    text: String,
    shape: Shape,
    copies: usize,
    delay: Nanos,
    /// Held back up to this time, while others pass.
    held: Option<Nanos>,
    swap: bool,
    pings: usize,
    pace: Option<(usize, Nanos)>,
    after: After,
}

/// What becomes of the connection behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Stays,
    Closes(Option<u16>),
    Resets,
    Dies,
}

impl Reactor {
    /// Sends a text under the faults that strike it.
    pub fn send_struck(&mut self, slot: usize, delivery: &Delivery) {
        let now = delivery.ts;
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        let Some(socket) = client.socket() else { return };
        let symbol = symbol_of(delivery);
        let topic = delivery.topic.as_str();
        let subject = on_socket(socket.route, socket.conn.0, topic, &symbol);
        let mut strikes = self.faults.strikes(Point::Text, &subject, now);
        strikes.extend(self.faults.strikes(Point::Send, &subject, now));
        let Some(plan) = plan(&strikes, delivery.text.as_str(), now) else { return };
        self.shared.frames.fetch_add(1, Ordering::Relaxed);
        if let Some((bytes, every)) = plan.pace {
            client.outlet.pace(bytes, every);
        }
        let bytes = plan.bytes();
        let close = match plan.after {
            After::Closes(Some(code)) => Some(code),
            _ => None,
        };
        if let Some(due) = plan.held {
            self.held.insert((due, self.seq), (slot, client.serial, bytes));
            self.seq += 1;
        } else if plan.swap && client.swapped.is_none() {
            client.swapped = Some(bytes);
        } else {
            let swapped = client.swapped.take();
            if plan.delay > Nanos::ZERO {
                client.outlet.append_at(now + plan.delay, bytes);
            } else {
                client.outlet.append(|out| out.extend_from_slice(&bytes));
            }
            client.outlet.append(|out| {
                out.extend(swapped.unwrap_or_default());
                if let Some(code) = close {
                    frame::put_close(out, code, "");
                }
            });
        }
        match plan.after {
            After::Stays => {}
            After::Closes(_) => client.end(End::Silent),
            After::Resets => return self.reset(slot),
            After::Dies => client.die(),
        }
        self.touch(slot);
    }

    /// Sends an answer under the faults that strike it.
    pub fn answer_struck(
        &mut self,
        slot: usize,
        answer: &Answer,
        manner: Manner,
        subject: &Subject<'_>,
    ) {
        let now = self.now;
        let mut due = now;
        for strike in self.faults.strikes(Point::Send, subject, now) {
            let Some(Some(client)) = self.clients.get_mut(slot) else { return };
            match strike.kind {
                Kind::Delay => due = due + Nanos::from_millis(strike.numbers[0]),
                Kind::Reset => return self.reset(slot),
                Kind::HalfOpen => return client.die(),
                Kind::Trickle | Kind::Fragment => {
                    let (bytes, every) = pace_of(&strike);
                    client.outlet.pace(bytes, every);
                }
                _ => {}
            }
        }
        if due == now {
            return self.answer(slot, answer, manner);
        }
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        let mut bytes = Vec::new();
        page::put(&mut bytes, answer, manner, due);
        client.outlet.append_at(due, bytes);
        if !manner.keep_alive {
            client.ending = Ending::AfterFlush;
        }
        self.touch(slot);
    }

    /// Whether a connection's first request goes unanswered or is cut.
    pub fn strikes_connect(&mut self, slot: usize, subject: &Subject<'_>) -> bool {
        if self.faults.is_on(Kind::Outage, subject) {
            self.reset(slot);
            return true;
        }
        let Some(Some(client)) = self.clients.get_mut(slot) else { return true };
        let is_first = std::mem::take(&mut client.is_new);
        if !is_first {
            return false;
        }
        let strikes = self.faults.strikes(Point::Connect, subject, self.now);
        let Some(strike) = strikes.first() else { return false };
        if strike.kind != Kind::HangConnect {
            self.reset(slot);
        } else if let Some(Some(client)) = self.clients.get_mut(slot) {
            client.die();
        }
        true
    }

    /// Carries out what begins or ends by now.
    pub fn carry_out(&mut self) {
        let now = self.now;
        for change in self.faults.take_changes(now) {
            self.change(&change);
        }
        for late in self.faults.take_late(now) {
            world::fill_late(&mut self.exchange, &late, now);
        }
        self.deliver();
    }

    /// Carries out one change.
    pub fn change(&mut self, change: &Change) {
        let fault = &change.fault;
        if !fault.kind.is_of_connection() && fault.kind != Kind::Outage {
            if let Err(why) = world::apply(&mut self.exchange, change, self.now) {
                let name = fault.kind.row().name;
                tracing::warn!(%why, fault = name, "a fault could not be carried out");
            }
            return self.deliver();
        }
        if !change.begins {
            return;
        }
        for slot in 0..self.clients.len() {
            let Some(client) = &mut self.clients[slot] else { continue };
            let fits = client.subject().is_some_and(|subject| fault.target.fits(&subject));
            if !fits {
                continue;
            }
            match fault.kind {
                Kind::HalfOpen => client.die(),
                Kind::Close if client.socket().is_some() => {
                    let code = close_code(fault.numbers[0]);
                    client.end(code.map_or(End::Silent, |code| End::Close(code, "")));
                    self.touch(slot);
                }
                Kind::PingFlood if client.socket().is_some() => {
                    let pings = fault.numbers[0];
                    client.outlet.append(|out| {
                        (0..pings).for_each(|i| frame::put(out, frame::PING, &i.to_be_bytes()));
                    });
                    self.touch(slot);
                }
                Kind::Reset | Kind::Outage => self.reset(slot),
                _ => {}
            }
        }
    }

    /// Sends what was held back up to now.
    pub fn release(&mut self) {
        while let Some(first) = self.held.first_entry()
            && first.key().0 <= self.now
        {
            let (slot, serial, bytes) = first.remove();
            let Some(Some(client)) = self.clients.get_mut(slot) else { continue };
            if client.serial == serial && client.ending == Ending::No {
                client.outlet.append(|out| out.extend_from_slice(&bytes));
                self.touch(slot);
            }
        }
    }

    /// Cuts a connection so that the client sees a reset.
    pub fn reset(&mut self, slot: usize) {
        if let Some(mut client) = self.take_client(slot) {
            // What left before the cut may have arrived; what waits has not.
            client.flush(self.now);
            client.reset();
        }
    }
}

impl Client {
    /// As faults see the connection; `None` for one that only does what the admin endpoints ask.
    pub fn subject(&mut self) -> Option<Subject<'static>> {
        if self.is_admin {
            return None;
        }
        let subject = match self.socket() {
            Some(socket) => on_socket(socket.route, socket.conn.0, "", ""),
            None => Subject { side: Side::Rest, ..Subject::default() },
        };
        Some(subject)
    }

    /// Neither sends nor reads any more, and stays open.
    pub fn die(&mut self) {
        self.is_dead = true;
        self.outlet.stop();
    }
}

/// What the strikes make of a text; `None` where it never leaves.
fn plan(strikes: &[Strike], text: &str, now: Nanos) -> Option<Plan> {
    let mut plan = Plan {
        text: text.to_owned(),
        shape: Shape::Sound,
        copies: 1,
        delay: Nanos::ZERO,
        held: None,
        swap: false,
        pings: 0,
        pace: None,
        after: After::Stays,
    };
    for strike in strikes {
        let number = strike.numbers.first().copied().unwrap_or(0);
        let size = usize::try_from(number).unwrap_or(0);
        match strike.kind {
            Kind::Drop | Kind::Gap | Kind::Stale | Kind::AckWithoutData => return None,
            Kind::Delay => plan.delay = plan.delay + Nanos::from_millis(number),
            Kind::Duplicate => plan.copies += size,
            Kind::Reorder => plan.swap = true,
            Kind::LateBurst => {
                // All that comes within one period leaves at its end.
                let period = Nanos::from_millis(number);
                let into = Nanos((now - strike.from).0 % period.0);
                plan.held = Some(now + period - into);
            }
            Kind::Fragment => plan.shape = Shape::Fragments(size.max(1)),
            Kind::OversizeFrame => {
                // Blanks behind a JSON text change nothing but its length.
                let missing = size.saturating_sub(plan.text.len());
                plan.text.push_str(&" ".repeat(missing));
            }
            Kind::InvalidUtf8 => plan.shape = Shape::BrokenText,
            Kind::BadOpcode => plan.shape = Shape::FirstByte(frame::FIN | number as u8 & 0x0F),
            Kind::ReservedBits => plan.shape = Shape::FirstByte(frame::FIN | 0x40 | frame::TEXT),
            Kind::MaskedFrame => plan.shape = Shape::Masked,
            Kind::PingFlood => plan.pings += size,
            Kind::Trickle => plan.pace = Some(pace_of(strike)),
            Kind::Close => plan.after = After::Closes(close_code(number)),
            Kind::CloseMidFrame => {
                (plan.shape, plan.after) = (Shape::Half, After::Closes(None));
            }
            Kind::Reset => plan.after = After::Resets,
            Kind::HalfOpen => plan.after = After::Dies,
            kind => plan.text = garble::garble(kind, &plan.text, number),
        }
    }
    Some(plan)
}

impl Plan {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for i in 0..self.pings as u64 {
            frame::put(&mut out, frame::PING, &i.to_be_bytes());
        }
        let payload = self.text.as_bytes();
        for _ in 0..self.copies {
            match self.shape {
                Shape::Sound => frame::put(&mut out, frame::TEXT, payload),
                Shape::Fragments(size) => fragments(&mut out, payload, size),
                Shape::FirstByte(first) => {
                    frame::put_head(&mut out, first, payload.len());
                    out.extend_from_slice(payload);
                }
                Shape::Masked => masked(&mut out, payload),
                Shape::BrokenText => {
                    let mut broken = payload.to_vec();
                    // 0xFF stands in no UTF-8 text.
                    broken.insert(payload.len() / 2, 0xFF);
                    frame::put(&mut out, frame::TEXT, &broken);
                }
                Shape::Half => {
                    frame::put_head(&mut out, frame::FIN | frame::TEXT, payload.len());
                    out.extend_from_slice(&payload[..payload.len() / 2]);
                }
            }
        }
        out
    }
}

/// One message in many frames, with a ping behind the first.
fn fragments(out: &mut Vec<u8>, payload: &[u8], size: usize) {
    let last = payload.len().div_ceil(size).saturating_sub(1);
    for (i, part) in payload.chunks(size).enumerate() {
        let opcode = if i == 0 { frame::TEXT } else { frame::CONTINUATION };
        let fin = if i == last { frame::FIN } else { 0 };
        frame::put_head(out, fin | opcode, part.len());
        out.extend_from_slice(part);
        if i == 0 && i != last {
            frame::put(out, frame::PING, b"between");
        }
    }
}

/// A frame masked as only clients may.
fn masked(out: &mut Vec<u8>, payload: &[u8]) {
    const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let at = out.len() + 1;
    frame::put_head(out, frame::FIN | frame::TEXT, payload.len());
    out[at] |= 0x80;
    out.extend_from_slice(&KEY);
    out.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
}

fn pace_of(strike: &Strike) -> (usize, Nanos) {
    let bytes = usize::try_from(strike.numbers[0]).unwrap_or(1);
    let every = strike.numbers.get(1).copied().unwrap_or(0);
    (bytes, Nanos::from_millis(every))
}

fn close_code(number: i64) -> Option<u16> {
    u16::try_from(number).ok().filter(|_| number != NO_CLOSE_FRAME)
}

/// The contract a text is about: by its stream's name, or by what it says.
fn symbol_of(delivery: &Delivery) -> String {
    if let Some((symbol, _)) = delivery.topic.as_str().split_once('@') {
        return symbol.to_uppercase();
    }
    let text = delivery.text.as_str();
    let after = text.split_once("\"s\":\"").map_or("", |(_, after)| after);
    after.split_once('"').map_or("", |(symbol, _)| symbol).to_owned()
}
