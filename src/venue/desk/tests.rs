//! Order entry over the trading API, on connections that do as they are told.

use super::{ApiEntry, ApiPlan, OrderDesk};
use crate::base::event::{Event, Kind, Order, OrderReport};
use crate::base::hop::Stamp;
use crate::base::{InstrumentId, Nanos, Reason};
use crate::execution::{RequestKind, RequestText};
use crate::venue::account::Credentials;
use crate::venue::budget::{Budget, RateLimits};
use crate::venue::ports::{Ended, EntryPort, Now, StreamPort};
use crate::venue::stream::Polled;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Secret key of the first example of RFC 8032, section 7.1, in the form of RFC 8410.
const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g";
const AGE: Duration = Duration::from_secs(1_000);

/// What both ends of a scripted connection see.
#[derive(Default)]
struct Wire {
    open: bool,
    up: bool,
    cut: bool,
    /// Times it was connected.
    dials: usize,
    said: Vec<Value>,
    answers: VecDeque<String>,
}

struct Scripted(Rc<RefCell<Wire>>);

impl StreamPort for Scripted {
    fn poll(&mut self, _: Instant, on_frame: &mut dyn FnMut(&[u8])) -> Polled {
        let mut wire = self.0.borrow_mut();
        let was_up = wire.up;
        if was_up && wire.open {
            while let Some(answer) = wire.answers.pop_front() {
                on_frame(answer.as_bytes());
            }
        }
        wire.up = wire.open && !std::mem::take(&mut wire.cut);
        wire.dials += usize::from(wire.up && !was_up);
        Polled { frames: 0, came_up: wire.up && !was_up, went_down: was_up && !wire.up }
    }

    fn move_to(&mut self, _: String) {}

    fn set_open(&mut self, open: bool) {
        self.0.borrow_mut().open = open;
    }

    fn can_say(&self) -> bool {
        self.0.borrow().up
    }

    fn say(&mut self, text: String) {
        self.0.borrow_mut().said.push(serde_json::from_str(&text).unwrap());
    }

    fn last_error(&self) -> Option<&str> {
        None
    }
}

struct Bench {
    entry: ApiEntry<Scripted>,
    wires: [Rc<RefCell<Wire>>; 2],
    now: Instant,
    /// Ticket and status; `None` for lost.
    ends: Vec<(u64, Option<u16>)>,
}

impl Bench {
    fn start(secret: &str) -> Self {
        let wires = [(); 2].map(|()| Rc::new(RefCell::new(Wire::default())));
        wires[0].borrow_mut().open = true;
        let credentials = Credentials::new("key".to_owned(), secret.to_owned()).unwrap();
        let plan = ApiPlan { age_max: AGE, wall: || Nanos::from_secs(1_700_000_000), seed: 1 };
        let ends = [Scripted(Rc::clone(&wires[0])), Scripted(Rc::clone(&wires[1]))];
        let entry = ApiEntry::new(ends, credentials, plan);
        Self { entry, wires, now: Instant::now(), ends: Vec::new() }
    }

    fn turn(&mut self) {
        let ends = &mut self.ends;
        let ended = self.entry.poll(self.now, &mut |ticket, end| match end {
            Ended::Answered { status, .. } => ends.push((ticket, Some(status))),
            Ended::Lost => ends.push((ticket, None)),
            Ended::NotSent => panic!("a request left for certain"),
        });
        assert!(ended <= self.ends.len());
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.turn();
    }

    fn send(&mut self, ticket: u64) {
        assert!(self.entry.is_ready(self.now), "ticket {ticket} has a way");
        let text = RequestText::new(br#"{"symbol":"BTCUSDT"}"#);
        self.entry.send(ticket, RequestKind::Order, &text, self.now);
    }

    fn answer(&mut self, wire: usize, text: &str) {
        self.wires[wire].borrow_mut().answers.push_back(text.to_owned());
    }

    fn yes(&mut self, wire: usize, id: &str) {
        self.answer(wire, &format!("{{\"id\":{id},\"status\":200,\"result\":{{}}}}"));
    }

    fn tickets(&self, wire: usize) -> Vec<u64> {
        self.wires[wire].borrow().said.iter().filter_map(|said| said["id"].as_u64()).collect()
    }
}

#[test]
fn answers_come_in_any_order_and_end_their_own_request_once() {
    let mut bench = Bench::start("secret");
    bench.turn();
    (1..=3).for_each(|ticket| bench.send(ticket));
    assert_eq!(bench.tickets(0), [1, 2, 3]);
    assert_eq!(bench.wires[0].borrow().said[0]["method"], "order.place");
    for id in ["3", "1", "1", "99", "2"] {
        bench.yes(0, id);
    }
    bench.turn();
    assert_eq!(bench.ends, [(3, Some(200)), (1, Some(200)), (2, Some(200))]);
}

#[test]
fn nothing_leaves_before_the_logon_was_answered_and_each_connection_is_logged_on() {
    let mut bench = Bench::start(ED25519);
    for dial in 1..=2 {
        bench.turn();
        let logon = bench.wires[0].borrow().said.last().unwrap().clone();
        assert_eq!(logon["method"], "session.logon", "connection {dial}");
        assert_eq!(logon["params"]["timestamp"], 1_700_000_000_000_i64);
        assert!(!bench.entry.is_ready(bench.now) && !bench.entry.is_up());
        bench.yes(0, "\"logon\"");
        bench.turn();
        assert!(bench.entry.is_ready(bench.now) && bench.entry.is_up());
        bench.wires[0].borrow_mut().cut = true;
        bench.turn();
        assert!(!bench.entry.is_ready(bench.now) && !bench.entry.is_up());
        assert_eq!(bench.wires[0].borrow().dials, dial);
    }
}

#[test]
fn a_refused_logon_and_an_answer_that_is_nobodys_are_told_once_and_not_stormed() {
    let no = r#""status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}"#;
    for (id, on) in [("\"logon\"", false), ("null", true)] {
        let mut bench = Bench::start(ED25519);
        bench.turn();
        if on {
            bench.yes(0, "\"logon\"");
            bench.turn();
            bench.send(1);
        }
        bench.answer(0, &format!("{{\"id\":{id},{no}"));
        bench.turn();
        assert_eq!(bench.entry.refusal(), Some((Reason::CredentialsRefused, -2015)));
        assert_eq!(bench.entry.refusal(), None);
        let lost: &[_] = if on { &[(1, None)] } else { &[] };
        assert_eq!(bench.ends, lost);
        (0..14).for_each(|_| bench.pass(Duration::from_secs(1)));
        assert_eq!(bench.wires[0].borrow().dials, 1, "it stays away for a while");
        (0..17).for_each(|_| bench.pass(Duration::from_secs(1)));
        assert_eq!(bench.wires[0].borrow().dials, 2, "and comes back");
    }
}

#[test]
fn fault_r02_what_is_under_way_is_lost_with_its_connection_without_an_answer_or_unreadable() {
    let breaks: [fn(&mut Bench); 3] = [
        |bench| bench.wires[0].borrow_mut().cut = true,
        |bench| bench.now += Duration::from_millis(10_001),
        |bench| bench.answer(0, "{\"id\":1,\"status\":200,\"resu"),
    ];
    for broken in breaks {
        let mut bench = Bench::start("secret");
        bench.turn();
        bench.send(1);
        bench.send(2);
        bench.turn();
        assert_eq!(bench.ends, []);
        broken(&mut bench);
        bench.turn();
        assert_eq!(bench.ends, [(1, None), (2, None)]);
        assert!(!bench.entry.is_ready(bench.now));
        // The first wait is at most 100 ms.
        (0..3).for_each(|_| bench.pass(Duration::from_millis(100)));
        bench.yes(0, "1");
        bench.turn();
        assert_eq!(bench.ends.len(), 2, "told once");
        bench.send(3);
        assert_eq!(bench.tickets(0), [1, 2, 3], "nothing is sent twice");
    }
}

#[test]
fn fault_w08_trading_api_renewal_logs_a_second_connection_on_and_loses_no_request() {
    let mut bench = Bench::start(ED25519);
    bench.turn();
    bench.yes(0, "\"logon\"");
    bench.turn();
    bench.pass(AGE - AGE / 10 - Duration::from_secs(1));
    assert_eq!(bench.wires[1].borrow().dials, 0, "not before its time");
    bench.send(1);
    bench.yes(0, "1");
    bench.pass(Duration::from_secs(1));
    while bench.wires[1].borrow().said.is_empty() {
        assert!(bench.now.elapsed() < AGE);
        bench.pass(Duration::from_secs(1));
    }
    // The first one goes on until the second is logged on.
    bench.send(2);
    bench.send(3);
    bench.yes(1, "\"logon\"");
    bench.turn();
    assert_eq!(bench.entry.renewals(), 1);
    bench.send(4);
    assert_eq!((bench.tickets(0), bench.tickets(1)), (vec![1, 2, 3], vec![4]));
    bench.yes(1, "4");
    bench.yes(0, "3");
    bench.turn();
    assert!(bench.wires[0].borrow().up, "an answer is still to come");
    bench.yes(0, "2");
    bench.turn();
    assert!(!bench.wires[0].borrow().up && bench.wires[1].borrow().up);
    let told: Vec<_> = bench.ends.iter().map(|(ticket, status)| (*ticket, *status)).collect();
    assert_eq!(told.len(), 4);
    assert!(told.iter().all(|(_, status)| *status == Some(200)), "{told:?}");
}

#[test]
fn a_second_connection_that_does_not_come_costs_nothing_and_is_tried_again_later() {
    let mut bench = Bench::start(ED25519);
    bench.turn();
    bench.yes(0, "\"logon\"");
    bench.turn();
    bench.pass(AGE);
    bench.pass(Duration::from_secs(9));
    assert_eq!(bench.wires[1].borrow().dials, 1);
    (0..25).for_each(|_| bench.pass(Duration::from_secs(1)));
    assert!(!bench.wires[1].borrow().up, "given up");
    bench.send(1);
    bench.yes(0, "1");
    bench.turn();
    assert_eq!(bench.ends, [(1, Some(200))]);
    (0..70).for_each(|_| bench.pass(Duration::from_secs(1)));
    bench.yes(1, "\"logon\"");
    bench.turn();
    bench.turn();
    assert_eq!(bench.entry.renewals(), 1);
}

/// A way that takes nothing until it is told to.
#[derive(Default)]
struct Busy {
    ready: bool,
    sent: Vec<RequestKind>,
}

impl EntryPort for Busy {
    fn is_ready(&mut self, _: Instant) -> bool {
        self.ready
    }

    fn send(&mut self, _: u64, kind: RequestKind, _: &RequestText, _: Instant) {
        self.sent.push(kind);
    }

    fn poll(&mut self, _: Instant, _: &mut dyn FnMut(u64, Ended<'_>)) -> usize {
        0
    }

    fn last_error(&self) -> Option<&str> {
        None
    }
}

#[test]
fn an_order_that_waits_for_a_way_is_taken_out_by_its_cancel_and_never_leaves() {
    let budget = std::sync::Arc::new(Budget::new(RateLimits::default()));
    let mut desk = OrderDesk::new(Busy::default(), budget);
    desk.open();
    let now = Now { mono: Instant::now(), wall: Nanos::from_secs(1_700_000_000) };
    let body = Order { client_id: 7, qty: 5, px: 100, ..Order::default() };
    let request = |kind| Event::new(kind, InstrumentId(0), &body);
    let text = RequestText::new(b"symbol=BTCUSDT");
    desk.submit(&request(Kind::OrderApproved), &text, now, Stamp::default());
    desk.submit(&request(Kind::CancelApproved), &text, now, Stamp::default());
    desk.entry.ready = true;
    desk.poll(now, &mut |_, _| {});
    assert_eq!(desk.entry.sent, [], "what was taken back does not leave");
    let report = desk.next_report().unwrap();
    assert_eq!(report.kind(), Some(Kind::OrderRejected));
    assert_eq!(report.body::<OrderReport>().reason, Reason::NotSent as u16);
    assert!(!desk.has_report());
    // Once it has left, its cancel follows.
    desk.submit(&request(Kind::OrderApproved), &text, now, Stamp::default());
    assert_eq!(desk.entry.sent, [RequestKind::Order]);
}
