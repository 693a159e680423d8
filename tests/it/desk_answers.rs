//! Every class of answer to an order over a real socket becomes the event it deserves; what may
//! have been taken is never called refused.

use mio::{Events, Poll};
use peregrine::base::event::{Event, Kind, Order, OrderReport, flags};
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
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

/// Looks at the desk before a test gives up.
const LOOKS_MAX: u32 = 4_000;
const KEY: &str = "the-key-of-this-test";

/// Does as it is told: every request is handed to the test with the way to answer it.
struct Venue {
    url: String,
    requests: Receiver<(String, Sender<Reply>)>,
}

/// What the venue does with a request: writes these bytes, then perhaps closes the connection.
struct Reply {
    bytes: Vec<u8>,
    closes: bool,
}

impl Venue {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (requests_in, requests) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                let requests = requests_in.clone();
                std::thread::spawn(move || serve(socket, &requests));
            }
        });
        Self { url, requests }
    }
}

fn serve(mut socket: TcpStream, requests: &Sender<(String, Sender<Reply>)>) {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match socket.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        let (reply_to, reply) = channel();
        if requests.send((String::from_utf8(head).unwrap(), reply_to)).is_err() {
            return;
        }
        let Ok(reply) = reply.recv() else { return };
        if socket.write_all(&reply.bytes).is_err() || reply.closes {
            return;
        }
    }
}

fn answer(status: u16, body: &str) -> Reply {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} Said\r\nContent-Length: {length}\r\n\r\n{body}");
    Reply { bytes: text.into_bytes(), closes: false }
}

struct Bench {
    desk: OrderDesk<HttpEntry>,
    poll: Poll,
    venue: Venue,
    /// What the venue says of limits does not last: each exchange is an hour later.
    wall: Nanos,
}

impl Bench {
    fn now(&self) -> Now {
        Now { mono: Instant::now(), wall: self.wall }
    }

    /// The next report on an order; what the desk tells of the venue is looked at elsewhere.
    fn next_report(&mut self) -> Option<Event> {
        let told = std::iter::from_fn(|| self.desk.next_report());
        told.into_iter().find(|event| event.kind() != Some(Kind::VenueStatus))
    }

    fn start() -> Self {
        let venue = Venue::start();
        let credentials = Credentials::new(KEY.to_owned(), "secret".to_owned()).unwrap();
        let tls = tls_config().unwrap();
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let dialer = Dialer::new(tls, registry).unwrap();
        let entry = HttpEntry::new(&venue.url, &credentials, &dialer, 1).unwrap();
        let mut desk = OrderDesk::new(entry, Arc::new(Budget::new(RateLimits::default())));
        desk.open();
        Self { desk, poll, venue, wall: Nanos(0) }
    }

    fn turn(&mut self) {
        let mut events = Events::with_capacity(64);
        self.poll.poll(&mut events, Some(Duration::from_millis(5))).unwrap();
        self.desk.poll(self.now(), &mut |_, _| {});
    }

    /// The next request at the venue.
    fn request(&mut self) -> (String, Sender<Reply>) {
        for _ in 0..LOOKS_MAX {
            if let Ok(request) = self.venue.requests.try_recv() {
                return request;
            }
            self.turn();
        }
        panic!("no request came");
    }

    fn report(&mut self) -> Event {
        for _ in 0..LOOKS_MAX {
            if let Some(report) = self.next_report() {
                return report;
            }
            self.turn();
        }
        panic!("no report came");
    }

    /// Turns until nothing is under way; what was reported.
    fn rest(&mut self, unsettled: usize) -> Vec<Event> {
        let mut reports = Vec::new();
        for _ in 0..LOOKS_MAX {
            self.turn();
            while let Some(report) = self.next_report() {
                self.desk.hear(&report);
                reports.push(report);
            }
            if self.desk.unsettled() <= unsettled {
                return reports;
            }
        }
        panic!("{} requests or orders stay", self.desk.unsettled());
    }

    fn ask(&mut self, order: &Event) {
        let id = ClientOrderId(order.body::<Order>().client_id);
        let text = format!("symbol=BTCUSDT&newClientOrderId={id}&signature=00ff");
        let text = RequestText::new(text.as_bytes());
        self.desk.submit(order, &text, self.now(), Stamp(0));
    }

    /// One request, one reply, one report.
    fn exchange(&mut self, order: &Event, reply: Reply) -> Event {
        self.wall = self.wall + Nanos::from_secs(3_600);
        self.ask(order);
        let (_, reply_to) = self.request();
        reply_to.send(reply).unwrap();
        let report = self.report();
        self.desk.hear(&report);
        report
    }
}

fn order(counter: u32, kind: Kind) -> Event {
    let body = Order {
        client_id: ClientOrderId::pack(1, 1, 1, counter).0,
        px: 6_180_030_000_000,
        qty: 1_000_000,
        ..Order::default()
    };
    Event::new(kind, InstrumentId(0), &body).with_flags(flags::SELL)
}

fn id_of(order: &Event) -> ClientOrderId {
    ClientOrderId(order.body::<Order>().client_id)
}

fn taken(order: &Event, status: &str, executed: &str) -> String {
    let id = id_of(order);
    format!(
        "{{\"clientOrderId\":\"{id}\",\"executedQty\":\"{executed}\",\"orderId\":22542179,\
         \"origQty\":\"0.010\",\"status\":\"{status}\",\"symbol\":\"BTCUSDT\",\
         \"updateTime\":1566818724722}}"
    )
}

#[test]
fn the_signed_bytes_arrive_as_they_were_signed_with_the_key_beside_them() {
    let mut bench = Bench::start();
    let first = order(1, Kind::OrderApproved);
    bench.ask(&first);
    let (head, reply_to) = bench.request();
    let id = id_of(&first);
    let line = format!(
        "POST /fapi/v1/order?symbol=BTCUSDT&newClientOrderId={id}&signature=00ff HTTP/1.1\r\n"
    );
    assert!(head.starts_with(&line), "{head}");
    assert!(head.contains(&format!("\r\nX-MBX-APIKEY: {KEY}\r\n")), "{head}");
    assert!(head.contains(&format!("\r\nHost: {}\r\n", &bench.venue.url["http://".len()..])));
    reply_to.send(answer(200, &taken(&first, "NEW", "0"))).unwrap();
    let report = bench.report();
    assert_eq!(report.kind(), Some(Kind::OrderAccepted));
    assert!(report.has(flags::SELL));
    assert_eq!(report.ts_venue, 1_566_818_724_722_000_000);
    let body: &OrderReport = report.body();
    assert_eq!((body.client_id, body.venue_id, body.qty), (id.0, 22_542_179, 1_000_000));
    bench.desk.hear(&report);
    bench.ask(&order(1, Kind::CancelApproved));
    let (head, _) = bench.request();
    assert!(head.starts_with("DELETE /fapi/v1/order?symbol=BTCUSDT&"), "{head}");
}

#[test]
fn every_class_of_answer_to_an_order_has_its_meaning() {
    let mut bench = Bench::start();
    let unknown = (Kind::OrderUnknown, Reason::RequestTimeout);
    let refused = |reason| (Kind::OrderRejected, reason);
    let overloaded = refused(Reason::Overloaded);
    let cases: &[(u16, &str, (Kind, Reason), i32)] = &[
        (
            400,
            r#"{"code":-2019,"msg":"Margin is insufficient."}"#,
            refused(Reason::MarginShort),
            -2019,
        ),
        (
            400,
            r#"{"code":-1021,"msg":"Timestamp for this request…"}"#,
            refused(Reason::ClockSkew),
            -1021,
        ),
        (
            400,
            r#"{"code":-5022,"msg":"Due to the order could not be executed as maker…"}"#,
            refused(Reason::PostOnlyWouldTake),
            -5022,
        ),
        (
            400,
            r#"{"code":-5021,"msg":"Due to the order could not be filled immediately…"}"#,
            refused(Reason::FillOrKill),
            -5021,
        ),
        (429, r#"{"code":-1003,"msg":"Too many requests."}"#, refused(Reason::RateLimited), -1003),
        (403, "<html>blocked</html>", refused(Reason::Blocked), 0),
        (503, r#"{"code":-1008,"msg":"Request throttled…"}"#, overloaded, -1008),
        (503, "Service Unavailable.", overloaded, 0),
        (503, r#"{"code":0,"msg":"Service Unavailable."}"#, overloaded, 0),
        (503, r#"{"code":0,"msg":"Unknown error, please check your request…"}"#, unknown, 0),
        (503, "Unknown error, please check your request or try again later.", unknown, 0),
        (408, r#"{"code":-1007,"msg":"Timeout waiting for response…"}"#, unknown, -1007),
        (400, r#"{"code":-1006,"msg":"An unexpected response…"}"#, unknown, -1006),
        (
            400,
            r#"{"code":-4116,"msg":"ClientOrderId is duplicated."}"#,
            (Kind::OrderUnknown, Reason::DuplicateId),
            -4116,
        ),
        // What a gateway says for itself, and what it says although the venue does not know.
        (503, "Service Unavailable", unknown, 0),
        (503, "<html><h1>503 Service Unavailable.</h1></html>", unknown, 0),
        (503, r#"{"code":0,"msg":"Service Una"#, unknown, 0),
        (503, r#"{"code":-1001,"msg":"Internal error of a gateway"}"#, unknown, -1001),
        (503, r#"{"code":-1007,"msg":"Service Unavailable."}"#, unknown, -1007),
        (502, "<html>bad gateway</html>", unknown, 0),
        (504, "", unknown, 0),
        (200, "<html>welcome</html>", unknown, 0),
        (200, "{}", unknown, 0),
        (200, r#"{"clientOrderId":"pg1-ffffffffffffffff","orderId":1}"#, unknown, 0),
    ];
    for (i, (status, body, (kind, reason), code)) in cases.iter().enumerate() {
        let asked = order(i as u32, Kind::OrderApproved);
        let report = bench.exchange(&asked, answer(*status, body));
        assert_eq!(report.kind(), Some(*kind), "{status} {body}");
        let told: &OrderReport = report.body();
        assert_eq!(told.client_id, id_of(&asked).0);
        assert_eq!((told.reason, told.venue_code), (*reason as u16, *code), "{status} {body}");
    }
    let asked = order(100, Kind::OrderApproved);
    let report = bench.exchange(&asked, answer(200, &taken(&asked, "FILLED", "0.010")));
    assert_eq!(report.kind(), Some(Kind::OrderAccepted), "fills are the stream's to tell");
    assert_eq!(report.body::<OrderReport>().cum_qty, 1_000_000);
}

#[test]
fn an_answer_that_breaks_off_leaves_the_outcome_unknown() {
    let mut bench = Bench::start();
    let whole = String::from_utf8(answer(200, "{\"orderId\":1}").bytes).unwrap();
    let cases = ["", "HTTP/1.1 200", "garbage\r\n\r\n", &whole[..whole.len() - 1]];
    for (i, text) in cases.into_iter().enumerate() {
        let asked = order(i as u32, Kind::OrderApproved);
        let reply = Reply { bytes: text.as_bytes().to_vec(), closes: true };
        let report = bench.exchange(&asked, reply);
        assert_eq!(report.kind(), Some(Kind::OrderUnknown), "{text:?}");
        assert_eq!(report.body::<OrderReport>().client_id, id_of(&asked).0);
    }
    // The connections come back, and the next order is taken.
    let asked = order(9, Kind::OrderApproved);
    let report = bench.exchange(&asked, answer(200, &taken(&asked, "NEW", "0")));
    assert_eq!(report.kind(), Some(Kind::OrderAccepted));
}

#[test]
fn a_lost_answer_says_nothing_once_the_stream_has_spoken() {
    let mut bench = Bench::start();
    let asked = order(1, Kind::OrderApproved);
    bench.ask(&asked);
    let (_, reply_to) = bench.request();
    let told = OrderReport { client_id: id_of(&asked).0, qty: 1_000_000, ..OrderReport::default() };
    bench.desk.hear(&Event::new(Kind::OrderAccepted, InstrumentId(0), &told));
    reply_to.send(Reply { bytes: Vec::new(), closes: true }).unwrap();
    assert_eq!(bench.rest(1), [], "the order is known to be open");
    let fill = OrderReport { cum_qty: 1_000_000, last_qty: 1_000_000, trade_id: 7, ..told };
    bench.desk.hear(&Event::new(Kind::OrderFilled, InstrumentId(0), &fill));
    assert_eq!(bench.desk.unsettled(), 0);
}

#[test]
fn a_refusal_does_not_release_an_order_that_the_stream_has_told_of() {
    let mut bench = Bench::start();
    let asked = order(1, Kind::OrderApproved);
    bench.ask(&asked);
    let (_, reply_to) = bench.request();
    let told = OrderReport { client_id: id_of(&asked).0, qty: 1_000_000, ..OrderReport::default() };
    bench.desk.hear(&Event::new(Kind::OrderAccepted, InstrumentId(0), &told));
    reply_to.send(answer(503, "Service Unavailable.")).unwrap();
    assert_eq!(bench.rest(1), [], "it lives, whatever the answer says");
}

#[test]
fn fault_r20_an_order_that_the_venue_has_shrunk_is_over_when_that_much_is_filled() {
    let mut bench = Bench::start();
    let asked = order(1, Kind::OrderApproved);
    bench.exchange(&asked, answer(200, &taken(&asked, "NEW", "0")));
    let told = OrderReport { client_id: id_of(&asked).0, qty: 400_000, ..OrderReport::default() };
    bench.desk.hear(&Event::new(Kind::OrderAccepted, InstrumentId(0), &told));
    let fill = OrderReport { cum_qty: 400_000, last_qty: 400_000, trade_id: 7, ..told };
    bench.desk.hear(&Event::new(Kind::OrderFilled, InstrumentId(0), &fill));
    assert_eq!(bench.desk.unsettled(), 0);
}

#[test]
fn a_cancel_that_does_not_say_how_much_was_filled_is_unknown() {
    let mut bench = Bench::start();
    for (counter, executed) in (0..).zip(["", "1e-3", "nothing"]) {
        let asked = order(counter, Kind::OrderApproved);
        bench.exchange(&asked, answer(200, &taken(&asked, "NEW", "0")));
        let cancel = order(counter, Kind::CancelApproved);
        let report = bench.exchange(&cancel, answer(200, &taken(&cancel, "CANCELED", executed)));
        assert_eq!(report.kind(), Some(Kind::OrderUnknown), "{executed:?}");
    }
}

#[test]
fn a_cancel_is_answered_by_its_own_rules() {
    let mut bench = Bench::start();
    let opened = |bench: &mut Bench, counter| {
        let asked = order(counter, Kind::OrderApproved);
        bench.exchange(&asked, answer(200, &taken(&asked, "NEW", "0")));
        order(counter, Kind::CancelApproved)
    };
    let cancel = opened(&mut bench, 1);
    let report = bench.exchange(&cancel, answer(200, &taken(&cancel, "CANCELED", "0.004")));
    assert_eq!(report.kind(), Some(Kind::OrderCancelled));
    assert_eq!(report.body::<OrderReport>().cum_qty, 400_000);
    assert_eq!(bench.desk.unsettled(), 1, "the fills it tells of are still to come");

    let cancel = opened(&mut bench, 2);
    let missed = r#"{"code":-2011,"msg":"Unknown order sent."}"#;
    let report = bench.exchange(&cancel, answer(400, missed));
    assert_eq!(report.kind(), Some(Kind::CancelRejected));
    let told: &OrderReport = report.body();
    assert_eq!((told.reason, told.venue_code), (Reason::UnknownOrder as u16, -2011));

    let cancel = opened(&mut bench, 3);
    let report = bench.exchange(&cancel, Reply { bytes: Vec::new(), closes: true });
    assert_eq!(report.kind(), Some(Kind::OrderUnknown));
}

#[test]
fn a_cancel_never_overtakes_its_order() {
    let mut bench = Bench::start();
    let asked = order(1, Kind::OrderApproved);
    bench.ask(&asked);
    let (head, reply_to) = bench.request();
    assert!(head.starts_with("POST"));
    bench.ask(&order(1, Kind::CancelApproved));
    for _ in 0..20 {
        bench.turn();
    }
    assert!(bench.venue.requests.try_recv().is_err(), "it waits for the order's answer");
    reply_to.send(answer(200, &taken(&asked, "NEW", "0"))).unwrap();
    let (head, _) = bench.request();
    assert!(head.starts_with("DELETE"));
}

#[test]
fn requests_of_different_orders_travel_side_by_side() {
    let mut bench = Bench::start();
    for counter in 0..3 {
        bench.ask(&order(counter, Kind::OrderApproved));
    }
    let replies: Vec<_> = (0..3).map(|_| bench.request()).collect();
    for (head, reply_to) in replies.iter().rev() {
        let counter =
            (0..3).find(|&c| head.contains(&id_of(&order(c, Kind::OrderApproved)).to_string()));
        let asked = order(counter.unwrap(), Kind::OrderApproved);
        reply_to.send(answer(200, &taken(&asked, "NEW", "0"))).unwrap();
        assert_eq!(bench.report().body::<OrderReport>().client_id, id_of(&asked).0);
    }
}

#[test]
fn no_order_leaves_while_the_accounts_stream_is_down_or_the_session_ends() {
    let mut bench = Bench::start();
    for reason in [Reason::StreamDown, Reason::Shutdown] {
        bench.desk.close(reason);
        bench.ask(&order(1, Kind::OrderApproved));
        let report = bench.desk.next_report().unwrap();
        assert_eq!(report.kind(), Some(Kind::OrderRejected));
        assert_eq!(report.body::<OrderReport>().reason, reason as u16);
    }
    bench.ask(&order(1, Kind::CancelApproved));
    let (head, _) = bench.request();
    assert!(head.starts_with("DELETE"), "a cancel always may: {head}");
}
