//! Order entry against an exchange that fails on demand, over real sockets. Neither batches (F-R17)
//! nor changed orders (F-R16) are sent, so those rows have no test.

use crate::exchange_sim::{Sim, resting, sign};
use mio::Poll;
use peregrine::base::event::{Event, Kind, Order, OrderReport, VenueStatus};
use peregrine::base::hop::Stamp;
use peregrine::base::{ClientOrderId, InstrumentId, Nanos, Reason};
use peregrine::execution::RequestText;
use peregrine::venue::account::Credentials;
use peregrine::venue::budget::{Budget, RateLimits};
use peregrine::venue::desk::{HttpEntry, OrderDesk};
use peregrine::venue::ports::Now;
use peregrine::venue::transport::tls_config;
use std::sync::Arc;
use std::time::Instant;

/// Polls of the desk before a test gives up.
const POLLS_MAX: u32 = 2_000_000;

struct Bench {
    sim: Sim,
    desk: OrderDesk<HttpEntry>,
}

impl Bench {
    fn start(fault: &str) -> Self {
        let sim = Sim::start(fault);
        let (key, secret) = (sim.server.api_key(), sim.server.api_secret());
        let credentials = Credentials::new(key.to_owned(), secret.to_owned()).unwrap();
        let registry = Poll::new().unwrap().registry().try_clone().unwrap();
        let (url, tls) = (sim.server.rest_url(), tls_config().unwrap());
        let entry = HttpEntry::new(&url, &credentials, &tls, registry, 1).unwrap();
        let mut desk = OrderDesk::new(entry, Arc::new(Budget::new(RateLimits::default())));
        desk.open();
        Self { sim, desk }
    }

    fn now(&self) -> Now {
        Now { mono: Instant::now(), wall: Nanos::from_millis(self.sim.now_ms) }
    }

    fn ask(&mut self, counter: u32) -> ClientOrderId {
        let id = ClientOrderId::pack(1, 1, 1, counter);
        let text = format!("{}&timestamp={}", resting(&id.to_string()), self.sim.now_ms);
        let signature = sign(self.sim.server.api_secret(), &text);
        let text = RequestText::new(format!("{text}&signature={signature}").as_bytes());
        let body = Order {
            client_id: id.0,
            px: 5_880_000_000_000,
            qty: 1_000_000,
            order_type: 1,
            time_in_force: 1,
            purpose: 1,
            ..Order::default()
        };
        let order = Event::new(Kind::OrderApproved, InstrumentId(0), &body);
        let now = self.now();
        self.desk.submit(&order, &text, now, Stamp(0));
        id
    }

    fn next(&mut self) -> Event {
        for _ in 0..POLLS_MAX {
            if let Some(event) = self.desk.next_report() {
                return event;
            }
            let now = self.now();
            self.desk.poll(now, &mut |_| {});
        }
        panic!("nothing came");
    }
}

fn fault(kind: &str, more: &str) -> String {
    format!("[[fault]]\nkind = \"{kind}\"\n{more}\ntarget = {{ path = \"/fapi/v1/order\" }}\n")
}

#[test]
fn fault_r03_an_answer_that_says_unknown_after_accept_is_unknown_and_one_order_lives() {
    for kind in ["unknown_after_accept", "timeout_after_accept", "empty_body", "truncated_json"] {
        let mut bench = Bench::start(&fault(kind, ""));
        let id = bench.ask(1);
        let report = bench.next();
        assert_eq!(report.kind(), Some(Kind::OrderUnknown), "{kind}");
        assert_eq!(report.body::<OrderReport>().client_id, id.0, "{kind}");
        let orders = bench.sim.ledger()["orders"].as_array().unwrap().len();
        assert_eq!(orders, 1, "{kind}: never sent twice");
    }
}

#[test]
fn refusals_of_the_venue_are_certain_told_and_obeyed() {
    let cases = [
        ("unavailable", "", Reason::Overloaded),
        ("internal_error", "", Reason::Overloaded),
        ("overloaded", "", Reason::Overloaded),
        ("rate_limited", "retry_after_s = 5", Reason::RateLimited),
        ("banned", "ms = 300000", Reason::Banned),
        ("firewall", "", Reason::Blocked),
        ("key_revoked", "", Reason::CredentialsRefused),
        ("bad_signature", "", Reason::CredentialsRefused),
    ];
    for (kind, more, reason) in cases {
        let mut bench = Bench::start(&fault(kind, more));
        bench.ask(1);
        let report = bench.next();
        assert_eq!(report.kind(), Some(Kind::OrderRejected), "{kind}");
        assert_eq!(report.body::<OrderReport>().reason, reason as u16, "{kind}");
        let told = bench.next();
        assert_eq!(told.kind(), Some(Kind::VenueStatus), "{kind}");
        assert_eq!(told.body::<VenueStatus>().reason, reason as u16, "{kind}");
        if matches!(reason, Reason::RateLimited | Reason::Banned | Reason::Blocked) {
            let hits = bench.sim.hits();
            bench.ask(2);
            let report = bench.next();
            assert_eq!(report.body::<OrderReport>().reason, reason as u16, "{kind}");
            assert_eq!(bench.sim.hits(), hits, "{kind}: nothing left");
        }
        assert!(bench.sim.ledger()["orders"].as_array().unwrap().is_empty(), "{kind}");
    }
}
