//! Order entry against an exchange that fails on demand, over real sockets.

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
use peregrine::venue::stream::Dialer;
use peregrine::venue::transport::tls_config;
use serde_json::json;
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
        let dialer = Dialer::new(tls, registry).unwrap();
        let entry = HttpEntry::new(&url, &credentials, &dialer, 1).unwrap();
        let mut desk = OrderDesk::new(entry, Arc::new(Budget::new(RateLimits::default())));
        desk.open();
        Self { sim, desk }
    }

    fn now(&self) -> Now {
        Now { mono: Instant::now(), wall: Nanos::from_millis(self.sim.now_ms) }
    }

    fn ask(&mut self, counter: u32) -> ClientOrderId {
        let id = ClientOrderId::pack(1, 1, 1, counter);
        self.send(id, &resting(&id.to_string()));
        id
    }

    /// Sends an order by these parameters.
    fn send(&mut self, id: ClientOrderId, params: &str) {
        let text = format!("{params}&timestamp={}", self.sim.now_ms);
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
    }

    fn next(&mut self) -> Event {
        for _ in 0..POLLS_MAX {
            if let Some(event) = self.desk.next_report() {
                return event;
            }
            let now = self.now();
            self.desk.poll(now, &mut |_, _| {});
        }
        panic!("nothing came");
    }

    /// The next report on an order.
    fn next_report(&mut self) -> Event {
        loop {
            let event = self.next();
            if event.kind() != Some(Kind::VenueStatus) {
                return event;
            }
        }
    }

    /// Nothing more is told, however often the desk is looked at.
    #[track_caller]
    fn is_quiet(&mut self) {
        for _ in 0..1_000 {
            let now = self.now();
            self.desk.poll(now, &mut |_, _| {});
            assert_eq!(self.desk.next_report(), None);
        }
    }

    /// Orders the venue has.
    fn orders(&mut self) -> usize {
        self.sim.ledger()["orders"].as_array().unwrap().len()
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
        assert_eq!(bench.orders(), 1, "{kind}: never sent twice");
    }
}

#[test]
fn fault_n05_a_connection_that_is_reset_after_the_order_left_leaves_it_unknown_and_sent_once() {
    let mut bench = Bench::start(&fault("close_after_accept", ""));
    let id = bench.ask(1);
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderUnknown));
    assert_eq!(report.body::<OrderReport>().client_id, id.0);
    assert_eq!(bench.orders(), 1, "it was taken on, and is not sent again");
}

/// A refusal is certain, is told for the order and for the account, and leaves no order.
#[track_caller]
fn check_refused(kind: &str, more: &str, reason: Reason) -> Bench {
    let mut bench = Bench::start(&fault(kind, more));
    bench.ask(1);
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderRejected), "{kind}");
    assert_eq!(report.body::<OrderReport>().reason, reason as u16, "{kind}");
    let told = bench.next();
    assert_eq!(told.kind(), Some(Kind::VenueStatus), "{kind}");
    assert_eq!(told.body::<VenueStatus>().reason, reason as u16, "{kind}");
    assert_eq!(bench.sim.hits(), 1, "{kind}: never tried again");
    assert_eq!(bench.orders(), 0, "{kind}");
    bench
}

/// What is asked now does not leave.
#[track_caller]
fn check_nothing_leaves(bench: &mut Bench, reason: Reason) {
    let hits = bench.sim.hits();
    bench.ask(2);
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderRejected));
    assert_eq!(report.body::<OrderReport>().reason, reason as u16);
    assert_eq!(bench.sim.hits(), hits, "it left");
}

#[test]
fn fault_r04_a_venue_that_says_it_failed_has_refused_for_certain() {
    check_refused("unavailable", "", Reason::Overloaded);
    check_refused("internal_error", "", Reason::Overloaded);
}

#[test]
fn fault_r05_an_overloaded_venue_refuses_entries_and_is_told() {
    let mut bench = check_refused("overloaded", "", Reason::Overloaded);
    // What only reduces goes on: here the venue gets to say that there is nothing to reduce.
    let id = ClientOrderId::pack(1, 1, 1, 2);
    bench.send(id, &format!("{}&reduceOnly=true", resting(&id.to_string())));
    let report = bench.next_report();
    assert_eq!(report.body::<OrderReport>().reason, Reason::ReduceOnlyRefused as u16);
}

#[test]
fn fault_r06_after_a_429_no_entry_leaves_before_the_venue_lets_it() {
    let mut bench = check_refused("rate_limited", "retry_after_s = 5", Reason::RateLimited);
    check_nothing_leaves(&mut bench, Reason::RateLimited);
    bench.sim.step(4_000);
    check_nothing_leaves(&mut bench, Reason::RateLimited);
}

#[test]
fn fault_r07_after_a_ban_no_request_leaves() {
    let mut bench = check_refused("banned", "ms = 300000", Reason::Banned);
    check_nothing_leaves(&mut bench, Reason::Banned);
}

#[test]
fn fault_r08_behind_a_firewall_s_403_no_request_leaves() {
    let mut bench = check_refused("firewall", "", Reason::Blocked);
    check_nothing_leaves(&mut bench, Reason::Blocked);
}

#[test]
fn fault_r09_an_order_with_a_time_out_of_the_window_is_refused_and_not_sent_again() {
    let script = "[[fault]]\nkind = \"clock_skew\"\nms = 60000\nfrom = 0";
    let mut bench = Bench::start(script);
    bench.sim.step(1);
    bench.ask(1);
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderRejected));
    let body: &OrderReport = report.body();
    assert_eq!((body.reason, body.venue_code), (Reason::ClockSkew as u16, -1021));
    let told = bench.next();
    assert_eq!(told.body::<VenueStatus>().reason, Reason::ClockSkew as u16);
    bench.is_quiet();
    assert_eq!(bench.orders(), 0);
}

#[test]
fn fault_r10_refused_credentials_and_signatures_are_told_and_not_tried_again() {
    check_refused("key_revoked", "", Reason::CredentialsRefused);
    check_refused("bad_signature", "", Reason::CredentialsRefused);
}

#[test]
fn fault_r14_a_name_that_the_venue_has_already_means_the_first_one_lives() {
    let mut bench = Bench::start("");
    let id = ClientOrderId::pack(1, 1, 1, 1);
    assert_eq!(bench.sim.rest_order(&id.to_string()).unwrap().status, 200);
    assert_eq!(bench.ask(1), id);
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderUnknown), "not refused: an order of it is open");
    let body: &OrderReport = report.body();
    assert_eq!((body.reason, body.venue_code), (Reason::DuplicateId as u16, -4116));
    bench.is_quiet();
    assert_eq!(bench.orders(), 1);
}

#[test]
fn fault_r19_refusals_for_the_order_s_own_sake_are_certain_named_and_sent_once() {
    let more = "&reduceOnly=true";
    let mut bench = Bench::start("");
    let id = ClientOrderId::pack(1, 1, 1, 1);
    bench.send(id, &format!("{}{more}", resting(&id.to_string())));
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderRejected));
    let body: &OrderReport = report.body();
    assert_eq!((body.reason, body.venue_code), (Reason::ReduceOnlyRefused as u16, -2022));
    let post_only = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTX&quantity=0.010&price=61000";
    let too_high = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010&price=90000";
    let too_much = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=90&price=58800";
    let cases = [
        (2, post_only, Reason::PostOnlyWouldTake, -5022),
        (3, too_high, Reason::VenuePriceBand, -4016),
        (4, too_much, Reason::MarginShort, -2019),
    ];
    for (counter, params, reason, code) in cases {
        let id = ClientOrderId::pack(1, 1, 1, counter);
        bench.send(id, &format!("{params}&newClientOrderId={id}"));
        let report = bench.next_report();
        assert_eq!(report.kind(), Some(Kind::OrderRejected), "{params}");
        let body: &OrderReport = report.body();
        assert_eq!((body.reason, body.venue_code), (reason as u16, code), "{params}");
    }
    // Of these only the lack of margin is the account's.
    let told = bench.next();
    assert_eq!(told.body::<VenueStatus>().reason, Reason::MarginShort as u16);
    bench.is_quiet();
    assert_eq!(bench.orders(), 0);
}

#[test]
fn fault_x01_an_order_in_a_contract_that_trades_no_more_is_refused_and_told() {
    let mut bench = Bench::start("");
    bench.sim.sim("POST", "/sim/settle", &json!({"symbol": "BTCUSDT"}));
    bench.ask(1);
    let report = bench.next();
    assert_eq!(report.kind(), Some(Kind::OrderRejected));
    assert_eq!(report.body::<OrderReport>().reason, Reason::NotTrading as u16);
    let told = bench.next();
    assert_eq!(told.kind(), Some(Kind::VenueStatus), "which halts");
    assert_eq!(told.body::<VenueStatus>().reason, Reason::NotTrading as u16);
    assert_eq!(bench.orders(), 0);
}

#[test]
fn fault_x02_an_order_by_filters_that_are_no_more_is_refused_and_told() {
    let numbers = ["tick_times = 1000", "step_times = 1000", "notional_times = 1000"];
    for changed in numbers {
        let script =
            format!("[[fault]]\nkind = \"filter_change\"\nsymbol = \"BTCUSDT\"\n{changed}\nat = 1");
        let mut bench = Bench::start(&script);
        bench.sim.step(1);
        let id = ClientOrderId::pack(1, 1, 1, 1);
        let params = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.010";
        bench.send(id, &format!("{params}&price=58800.10&newClientOrderId={id}"));
        let report = bench.next();
        assert_eq!(report.kind(), Some(Kind::OrderRejected), "{changed}");
        let reason = Reason::FiltersChanged as u16;
        assert_eq!(report.body::<OrderReport>().reason, reason, "{changed}");
        let told = bench.next();
        assert_eq!(told.kind(), Some(Kind::VenueStatus), "{changed}: which halts");
        assert_eq!(told.body::<VenueStatus>().reason, reason, "{changed}");
        assert_eq!(bench.orders(), 0, "{changed}");
    }
}
