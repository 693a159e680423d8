//! The world under faults: what strikes a text or a request, and what begins and ends by time.

use super::{Conn, Cut, Line, PEER, Packet, Sent, World};
use peregrine::base::Nanos;
use peregrine::exchange::fault::kind::{Kind, Point};
use peregrine::exchange::fault::request::{Fate, api};
use peregrine::exchange::fault::target::{Side, Subject};
use peregrine::exchange::fault::{garble, on_socket, world};
use peregrine::exchange::wire::http::Request;
use peregrine::exchange::wire::params::Params;
use peregrine::exchange::wire::route::Route;
use peregrine::exchange::wire::streams::{ConnId, Delivery};

impl World {
    /// A text of the session arrives at the exchange.
    pub(super) fn hear(&mut self, conn: u64, text: &str, now: Nanos) {
        let Some(route) = self.conns.get(&conn).and_then(|own| own.route) else { return };
        if route != Route::Api {
            self.exchange.message(ConnId(conn), route, text, PEER, now);
            return self.after_request();
        }
        let (deliveries, fate) =
            api(&mut self.exchange, &mut self.faults, ConnId(conn), text, PEER, now);
        self.exchange.put_back(deliveries);
        self.after_request();
        if fate == Fate::Cut {
            self.end(conn, false);
        }
    }

    /// True while the exchange is out for connections of a route, or for requests.
    pub(super) fn is_out(&self, route: Option<Route>) -> bool {
        let subject = match route {
            Some(route) => on_socket(route, 0, "", ""),
            None => Subject { side: Side::Rest, ..Subject::default() },
        };
        self.faults.is_on(Kind::Outage, &subject)
    }

    /// A snapshot that is asked for shows the book of this instant.
    pub(super) fn note_snapshot(&mut self, request: &Request) {
        if request.path == "/fapi/v1/depth" {
            let params = Params::of(&request.query, "");
            let levels = params.text("limit").and_then(|limit| limit.parse().ok()).unwrap_or(500);
            let symbol = params.text("symbol").unwrap_or("");
            self.books.on_snapshot(&self.exchange.market, symbol, levels);
        }
    }

    pub(super) fn after_request(&mut self) {
        self.deliver();
        self.watch.on_venue(&self.exchange);
    }

    /// Sends what the exchange has to send, under its faults.
    pub(super) fn deliver(&mut self) {
        for delivery in self.exchange.take_deliveries() {
            let conn = delivery.conn.0;
            if delivery.closes {
                self.send_in(conn, Packet::Closed { conn });
            } else if let Some(route) = self.conns.get(&conn).and_then(|own| own.route) {
                self.deliver_struck(&delivery, route);
            }
        }
    }

    pub(super) fn deliver_struck(&mut self, delivery: &Delivery, route: Route) {
        let conn = delivery.conn.0;
        let topic = delivery.topic.as_str();
        if let Some(sent) = self.sent.as_mut().filter(|_| topic.contains('@')) {
            let (topic, text) = (topic.to_owned(), delivery.text.to_string());
            sent.push(Sent { topic, text, conn });
        }
        let symbol = topic.split_once('@').map_or("", |(symbol, _)| symbol).to_uppercase();
        let subject = on_socket(route, conn, topic, &symbol);
        let mut text = delivery.text.to_string();
        if let Some(lie) = self.lie.and_then(|lie| lie(topic, &text)) {
            (text, self.lie) = (lie, None);
        }
        let mut copies = 1;
        for strike in self.faults.strikes(Point::Text, &subject, delivery.ts) {
            match strike.kind {
                Kind::Drop | Kind::Gap | Kind::Stale => return,
                Kind::Duplicate => copies += 1,
                kind => text = garble::garble(kind, &text, *strike.numbers.first().unwrap_or(&0)),
            }
        }
        for _ in 0..copies {
            self.send_in(conn, Packet::Text { conn, text: text.clone() });
        }
    }

    /// The open connections of a line, oldest first.
    pub fn open_conns(&self, line: Line) -> Vec<u64> {
        let is_open = |own: &Conn| own.line == line && own.route.is_some() && !own.left;
        self.conns.iter().filter(|(_, own)| is_open(own)).map(|(conn, _)| *conn).collect()
    }

    /// Pairs of market connections that have brought the same for this long.
    pub fn twins(&self, least: Nanos) -> Vec<[u64; 2]> {
        let own = |conn: &u64| &self.conns[conn];
        let open = self.open_conns(Line::Market);
        let old = |conn: &&u64| self.now - own(conn).opened >= least;
        let open: Vec<u64> = open.iter().filter(old).copied().collect();
        let second = |first: &u64| {
            let same = |conn: &&u64| *conn > first && own(conn).route == own(first).route;
            open.iter().find(same).map(|second| [*first, *second])
        };
        open.iter().filter_map(second).collect()
    }

    pub(super) fn cut(&mut self, cut: Cut) {
        let mut all = self.open_conns(cut.line);
        if let Some(place) = cut.only.filter(|_| !all.is_empty()) {
            all = vec![all[place % all.len()]];
        }
        all.into_iter().for_each(|conn| self.end(conn, cut.half_open));
    }

    /// Ends a connection, with or without telling.
    pub fn end(&mut self, conn: u64, half_open: bool) {
        self.exchange.close(ConnId(conn));
        if !half_open {
            self.send_in(conn, Packet::Closed { conn });
        }
        // What was on its way before the end still arrives; nothing does behind it.
        if let Some(own) = self.conns.get_mut(&conn) {
            own.route = None;
        }
    }

    /// Carries out what the exchange's own faults begin and end by time.
    pub(super) fn carry_out(&mut self) {
        let now = self.venue_time();
        for change in self.faults.take_changes(now) {
            if change.fault.kind == Kind::Outage && change.begins {
                for line in [Line::Market, Line::Private, Line::Entry] {
                    self.open_conns(line).into_iter().for_each(|conn| self.end(conn, false));
                }
            }
            // What cannot be done, such as an order that the venue refuses, changes nothing.
            let _ = world::apply(&mut self.exchange, &change, now);
        }
        for late in self.faults.take_late(now) {
            world::fill_late(&mut self.exchange, &late, now);
        }
        self.after_request();
    }
}
