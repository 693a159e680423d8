//! What the server does with a request, a message, and what is neither.

use super::client::Ending;
use super::http1::{Incoming, Refusal, Upgrade};
use super::page::{self, Manner};
use super::reactor::{Reactor, Step};
use crate::exchange::fault::on_socket;
use crate::exchange::fault::request::{Asked, Fate, api, rest};
use crate::exchange::wire::http::Answer;
use crate::exchange::wire::route::{Route, Target};
use crate::exchange::wire::streams::ConnId;
use tungstenite::handshake::derive_accept_key;

/// Methods the venue's gateway lets through.
const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

impl Reactor {
    /// Serves a request.
    pub fn request(&mut self, slot: usize, incoming: Incoming) {
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        client.since = self.now;
        let peer = client.peer;
        let manner = Manner { head_only: incoming.head_only, keep_alive: incoming.keep_alive };
        let request = &incoming.request;
        if request.path == "/sim" || request.path.starts_with("/sim/") {
            client.is_admin = true;
            if let Some(answer) = self.sim(slot, &incoming) {
                self.answer(slot, &answer, manner);
            }
            return;
        }
        if let Some(upgrade) = &incoming.upgrade {
            return self.upgrade(slot, &incoming, upgrade);
        }
        if self.faults.is_empty() {
            client.is_new = false;
        }
        let asked = (!self.faults.is_empty()).then(|| Asked::rest(request));
        if let Some(asked) = &asked
            && self.strikes_connect(slot, &asked.subject())
        {
            return;
        }
        if request.method == "OPTIONS" {
            self.answer(slot, &page::options(), manner);
        } else if !METHODS.contains(&request.method.as_str()) {
            self.answer(slot, &page::firewall(), manner);
        } else if let Some(asked) = asked {
            let fate = rest(&mut self.exchange, &mut self.faults, request, peer, self.now);
            self.deliver();
            match fate {
                Fate::Answer(answer) => self.answer_struck(slot, &answer, manner, &asked.subject()),
                Fate::Silence => self.die(slot),
                Fate::Cut => self.reset(slot),
            }
        } else {
            let answer = self.exchange.http(request, peer, self.now);
            self.answer(slot, &answer, manner);
            self.deliver();
        }
    }

    /// Serves a message on a WebSocket connection.
    pub fn text(&mut self, slot: usize, text: &str) {
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        let peer = client.peer;
        let Some(socket) = client.socket() else { return };
        let (conn, route) = (socket.conn, socket.route);
        if route == Route::Api && !self.faults.is_empty() {
            let (exchange, faults) = (&mut self.exchange, &mut self.faults);
            let (deliveries, fate) = api(exchange, faults, conn, text, peer, self.now);
            deliveries.iter().for_each(|delivery| self.send(delivery));
            if fate == Fate::Cut {
                self.reset(slot);
            }
        } else {
            self.exchange.message(conn, route, text, peer, self.now);
        }
        self.deliver();
    }

    /// Takes note of a ping or a pong on a connection of streams.
    pub fn control(&mut self, slot: usize) {
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        let Some(socket) = client.socket() else { return };
        self.exchange.ping(socket.conn, self.now);
        self.deliver();
    }

    fn die(&mut self, slot: usize) {
        if let Some(Some(client)) = self.clients.get_mut(slot) {
            client.die();
        }
    }

    /// Sends an answer.
    pub fn answer(&mut self, slot: usize, answer: &Answer, manner: Manner) {
        let now = self.now;
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        client.outlet.append(|out| page::put(out, answer, manner, now));
        if !manner.keep_alive {
            client.ending = Ending::AfterFlush;
        }
        if client.flush(now) {
            self.touch(slot);
        } else {
            self.drop_client(slot);
        }
    }

    /// Answers the request that asked for a step, if it still waits.
    pub fn answer_step(&mut self, step: Step) {
        let Some(Some(client)) = self.clients.get_mut(step.slot) else { return };
        if client.serial == step.serial {
            client.since = self.now;
            let body = format!("{{\"time\":{}}}", step.until.to_millis());
            let manner = Manner { head_only: false, keep_alive: step.keep_alive };
            self.answer(step.slot, &Answer::json(200, body), manner);
        }
    }

    /// Answers what is no request; the connection ends with it.
    pub fn refuse(&mut self, slot: usize, why: Refusal) {
        let manner = Manner { head_only: false, keep_alive: false };
        self.answer(slot, &page::refusal(why), manner);
    }

    /// Answers a request that did not arrive in time.
    pub fn time_out(&mut self, slot: usize) {
        let manner = Manner { head_only: false, keep_alive: false };
        self.answer(slot, &page::gateway(408), manner);
    }

    fn upgrade(&mut self, slot: usize, incoming: &Incoming, upgrade: &Upgrade) {
        let manner = Manner { head_only: false, keep_alive: false };
        let request = &incoming.request;
        let path = if request.query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.query)
        };
        if !upgrade.known_version || upgrade.key.is_empty() {
            let status = if upgrade.known_version { 400 } else { 426 };
            let mut answer = page::gateway(status);
            answer.headers.push(("sec-websocket-version", "13".to_owned()));
            return self.answer(slot, &answer, manner);
        }
        let Some(target) = Target::parse(&path) else {
            return self.answer(slot, &page::gateway(404), manner);
        };
        let conn = ConnId(self.conns + 1);
        if !self.faults.is_empty() {
            let subject = on_socket(target.route, conn.0, "", "");
            if self.strikes_connect(slot, &subject) {
                return;
            }
        }
        self.conns += 1;
        let (now, limits) = (self.now, self.limits);
        let Some(Some(client)) = self.clients.get_mut(slot) else { return };
        let accept = derive_accept_key(upgrade.key.as_bytes());
        client.outlet.append(|out| {
            out.extend_from_slice(
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
                sec-websocket-accept: ",
            );
            out.extend_from_slice(accept.as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
        });
        client.upgrade(conn, target.route, &limits, now);
        self.by_conn.insert(conn, slot);
        self.exchange.open(conn, &target, now);
        self.touch(slot);
        self.deliver();
    }
}
