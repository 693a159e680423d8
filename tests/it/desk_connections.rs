//! Connections that end, speak unasked or come and go: an order is neither lost with one nor
//! answered by what was meant for another, and none leaves after the desk was closed.

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
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Polls of the desk before a test gives up.
const POLLS_MAX: u32 = 200_000;
/// As many as the desk keeps open.
const CONNECTIONS: usize = 4;

struct Bench {
    desk: OrderDesk<HttpEntry>,
    listener: TcpListener,
    /// The desk's time.
    now: Instant,
}

impl Bench {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let credentials = Credentials::new("key".to_owned(), "secret".to_owned()).unwrap();
        let tls = tls_config().unwrap();
        let registry = Poll::new().unwrap().registry().try_clone().unwrap();
        let dialer = Dialer::new(tls, registry).unwrap();
        let entry = HttpEntry::new(&url, &credentials, &dialer, 1).unwrap();
        let mut desk = OrderDesk::new(entry, Arc::new(Budget::new(RateLimits::default())));
        desk.open();
        listener.set_nonblocking(true).unwrap();
        Self { desk, listener, now: Instant::now() }
    }

    fn turn(&mut self) {
        self.desk.poll(self.time(), &mut |_, _| {});
    }

    fn time(&self) -> Now {
        Now { mono: self.now, wall: Nanos(0) }
    }

    fn accept(&mut self) -> TcpStream {
        for _ in 0..POLLS_MAX {
            self.turn();
            if let Ok((socket, _)) = self.listener.accept() {
                socket.set_nonblocking(true).unwrap();
                return socket;
            }
        }
        panic!("the desk does not come");
    }

    /// All connections, open on either side.
    fn sockets(&mut self) -> Vec<TcpStream> {
        let sockets = (0..CONNECTIONS).map(|_| self.accept()).collect();
        for _ in 0..100 {
            self.turn();
        }
        sockets
    }

    /// The next request on one of the sockets, and on which.
    fn request(&mut self, sockets: &mut [TcpStream]) -> Option<usize> {
        for _ in 0..1_000 {
            self.turn();
            let mut bytes = [0; 4_096];
            let came = |socket: &mut TcpStream| socket.read(&mut bytes).is_ok_and(|len| len > 0);
            if let Some(at) = sockets.iter_mut().position(came) {
                return Some(at);
            }
        }
        None
    }

    fn ask(&mut self, order: &Event) {
        let text = RequestText::new(b"signature=00ff");
        self.desk.submit(order, &text, self.time(), Stamp(0));
    }

    fn report(&mut self) -> Event {
        for _ in 0..POLLS_MAX {
            self.turn();
            if let Some(report) = self.desk.next_report() {
                return report;
            }
        }
        panic!("no report came");
    }
}

fn order(counter: u32, kind: Kind) -> Event {
    let client_id = ClientOrderId::pack(1, 1, 1, counter).0;
    let body = Order { client_id, qty: 1_000_000, ..Order::default() };
    Event::new(kind, InstrumentId(0), &body)
}

fn http(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn accepted(counter: u32) -> String {
    let id = ClientOrderId::pack(1, 1, 1, counter);
    http(200, &format!("{{\"clientOrderId\":\"{id}\",\"orderId\":7,\"status\":\"NEW\"}}"))
}

#[test]
fn what_lies_unread_on_a_connection_or_ended_it_does_not_answer_the_next_order() {
    let refusal = http(400, r#"{"code":-2019,"msg":"Margin is insufficient."}"#);
    for stale in [Some(refusal.as_str()), Some("}"), None] {
        let mut bench = Bench::start();
        let mut sockets = bench.sockets();
        match stale {
            Some(bytes) => {
                sockets.iter_mut().for_each(|socket| socket.write_all(bytes.as_bytes()).unwrap());
            }
            None => sockets.clear(),
        }
        bench.ask(&order(1, Kind::OrderApproved));
        // The desk comes back and sends it once, over a fresh connection. Its waits pass.
        bench.now += Duration::from_millis(200);
        let mut fresh = bench.sockets();
        assert_eq!(bench.request(&mut sockets), None, "{stale:?}");
        let at = bench.request(&mut fresh).expect("the order leaves");
        fresh[at].write_all(accepted(1).as_bytes()).unwrap();
        let report = bench.report();
        assert_eq!(report.kind(), Some(Kind::OrderAccepted), "{stale:?}");
        assert_eq!(bench.desk.next_report(), None);
        assert_eq!(bench.request(&mut fresh), None, "once");
    }
}

#[test]
fn a_venue_that_ends_idle_connections_in_its_own_time_does_not_keep_the_desk_away() {
    let mut bench = Bench::start();
    for _ in 0..12 {
        let sockets = bench.sockets();
        bench.now += Duration::from_secs(60);
        drop(sockets);
        for _ in 0..100 {
            bench.turn();
        }
        // The first wait after a loss is at most 100 ms.
        bench.now += Duration::from_millis(100);
    }
    bench.sockets();
}

#[test]
fn an_order_that_waits_for_a_connection_does_not_leave_after_the_desk_was_closed() {
    for reason in [Reason::StreamDown, Reason::Shutdown] {
        let mut bench = Bench::start();
        let mut sockets = bench.sockets();
        for counter in 0..CONNECTIONS as u32 {
            bench.ask(&order(counter, Kind::OrderApproved));
        }
        let busy: Vec<_> = (0..CONNECTIONS).map(|_| bench.request(&mut sockets)).collect();
        assert!(busy.iter().all(Option::is_some));
        bench.ask(&order(9, Kind::OrderApproved));
        bench.ask(&order(0, Kind::CancelApproved));
        bench.desk.close(reason);
        let report = bench.report();
        assert_eq!(report.kind(), Some(Kind::OrderRejected));
        let told: &OrderReport = report.body();
        assert_eq!(told.client_id, ClientOrderId::pack(1, 1, 1, 9).0);
        assert_eq!(told.reason, reason as u16);
        for (counter, at) in busy.into_iter().flatten().enumerate() {
            sockets[at].write_all(accepted(counter as u32).as_bytes()).unwrap();
        }
        assert!(bench.request(&mut sockets).is_some(), "the cancel leaves");
        assert_eq!(bench.request(&mut sockets), None, "the order does not");
    }
}

#[test]
fn fault_r01_an_order_that_never_left_is_refused_and_one_that_left_is_unknown() {
    let mut bench = Bench::start();
    let mut sockets = bench.sockets();
    for counter in 0..CONNECTIONS as u32 {
        bench.ask(&order(counter, Kind::OrderApproved));
    }
    let busy: Vec<_> = (0..CONNECTIONS).map(|_| bench.request(&mut sockets)).collect();
    assert!(busy.iter().all(Option::is_some));
    bench.ask(&order(9, Kind::OrderApproved));
    bench.now += Duration::from_millis(1_001);
    let report = bench.report();
    assert_eq!(report.kind(), Some(Kind::OrderRejected), "not a byte of it left");
    let body: &OrderReport = report.body();
    assert_eq!(body.client_id, ClientOrderId::pack(1, 1, 1, 9).0);
    assert_eq!(body.reason, Reason::NotSent as u16);
    // Those that left are not answered in time.
    bench.now += Duration::from_secs(10);
    for _ in 0..CONNECTIONS {
        let report = bench.report();
        assert_eq!(report.kind(), Some(Kind::OrderUnknown));
        assert_eq!(report.body::<OrderReport>().reason, Reason::RequestTimeout as u16);
    }
}

#[test]
fn fault_n12_however_many_orders_wait_there_are_four_connections_and_no_more() {
    let mut bench = Bench::start();
    let mut sockets = bench.sockets();
    for counter in 0..20 {
        bench.ask(&order(counter, Kind::OrderApproved));
    }
    let asked = (0..=CONNECTIONS).filter(|_| bench.request(&mut sockets).is_some()).count();
    assert_eq!(asked, CONNECTIONS, "one request on each");
    // Nor does one more come for each that is lost: it takes the place of the lost one.
    for _ in 0..3 {
        sockets.clear();
        for _ in 0..100 {
            bench.turn();
        }
        bench.now += Duration::from_secs(60);
        sockets = bench.sockets();
        assert!(bench.listener.accept().is_err(), "a fifth connection");
    }
}

#[test]
fn fault_r15_an_answer_that_names_another_order_is_a_broken_rule_and_no_acceptance() {
    let mut bench = Bench::start();
    let mut sockets = bench.sockets();
    bench.ask(&order(1, Kind::OrderApproved));
    let at = bench.request(&mut sockets).unwrap();
    sockets[at].write_all(accepted(2).as_bytes()).unwrap();
    let report = bench.report();
    assert_eq!(report.kind(), Some(Kind::OrderUnknown));
    let own = ClientOrderId::pack(1, 1, 1, 1);
    assert_eq!(report.body::<OrderReport>().client_id, own.0, "what became of ours is not known");
    let told = bench.report();
    assert_eq!(told.kind(), Some(Kind::VenueStatus), "which halts");
    assert_eq!(told.body::<VenueStatus>().reason, Reason::InvariantBroken as u16);
}
