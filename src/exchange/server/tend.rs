//! Deadlines: requests that do not arrive, connections that are idle, old or do not answer pings.

use super::client::{End, Ending, Talk};
use super::frame;
use super::reactor::Reactor;
use crate::base::Nanos;
use crate::exchange::fault::kind::Kind;
use crate::exchange::fault::on_socket;

/// A closed connection's last bytes are read over for this long.
const DRAIN_MAX: Nanos = Nanos::from_secs(2);

impl Reactor {
    /// Looks after deadlines.
    pub fn tend(&mut self) {
        let (now, limits) = (self.now, self.limits);
        for slot in 0..self.clients.len() {
            let Some(client) = &mut self.clients[slot] else { continue };
            if matches!(client.ending, Ending::Draining(_)) {
                if now - client.since >= DRAIN_MAX {
                    self.drop_client(slot);
                }
                continue;
            }
            let Talk::Ws(socket) = &mut client.talk else {
                self.tend_http(slot);
                continue;
            };
            if client.ending != Ending::No || client.is_dead {
                continue;
            }
            if now - socket.opened >= limits.life_max {
                client.end(End::Close(1_001, "Connection lifetime exceeded"));
            } else if now - socket.ponged >= limits.pong_within {
                client.end(End::Close(1_008, "Pong timeout"));
            } else if now - socket.pinged >= limits.ping_every {
                let subject = on_socket(socket.route, socket.conn.0, "", "");
                if self.faults.is_on(Kind::NoPings, &subject) {
                    continue;
                }
                let payload = socket.ping(now);
                client.outlet.append(|out| frame::put(out, frame::PING, payload));
            } else {
                continue;
            }
            client.since = now;
            self.dirty.insert(slot);
        }
    }

    fn tend_http(&mut self, slot: usize) {
        let Some(client) = &mut self.clients[slot] else { return };
        let Talk::Http(parser) = &client.talk else { return };
        let age = self.now - client.since;
        // Who waits for a step or for an answer is not idle.
        let waits = self.step.is_some_and(|step| step.slot == slot);
        if waits || client.is_dead || !client.outlet.is_empty() {
            return;
        }
        if !parser.is_idle() && age >= self.limits.request_time_max {
            self.time_out(slot);
        } else if parser.is_idle() && age >= self.limits.idle_max {
            self.drop_client(slot);
        }
    }
}
