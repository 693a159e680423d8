//! Market connections against servers that close, fall silent, refuse and come back.

use mio::{Events, Poll, Token};
use peregrine::venue::ports::StreamPort;
use peregrine::venue::stream::{Dialer, Stream, StreamAddress};
use peregrine::venue::transport::tls_config;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tungstenite::Message;

/// Turns a test polls before it gives up; each waits at most for [`TURN`].
const TURNS_MAX: u32 = 4_000;
const TURN: Duration = Duration::from_millis(10);

/// What a server does with a connection it has accepted.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// Sends this many frames, then closes in order.
    SendAndClose(u32),
    /// Sends this many frames, then lets go of the socket.
    SendAndDrop(u32),
    /// Sends this many frames, then holds the connection open in silence until the client goes.
    SendAndHold(u32),
    /// Completes no handshake.
    Refuse,
}

/// A server that plays one part per connection, then ends.
struct Server {
    addr: SocketAddr,
    thread: JoinHandle<()>,
    done: Receiver<usize>,
}

impl Server {
    fn start(parts: Vec<Part>) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), parts)
    }

    fn on(listener: TcpListener, parts: Vec<Part>) -> Self {
        let addr = listener.local_addr().unwrap();
        let (tell, done) = channel();
        let thread = std::thread::spawn(move || {
            for (i, part) in parts.into_iter().enumerate() {
                let (socket, _) = listener.accept().unwrap();
                play(socket, i, part);
                tell_done(&tell, i);
            }
        });
        Self { addr, thread, done }
    }

    fn url(&self) -> String {
        format!("ws://{}/public/stream?streams=btcusdt@bookTicker", self.addr)
    }

    fn end(self) {
        self.thread.join().unwrap();
    }
}

/// A test that has seen enough no longer listens.
fn tell_done(tell: &Sender<usize>, place: usize) {
    let _ = tell.send(place);
}

fn play(mut socket: TcpStream, place: usize, part: Part) {
    if let Part::Refuse = part {
        let mut request = [0; 1_024];
        let _ = socket.read(&mut request).unwrap();
        socket.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").unwrap();
        return;
    }
    let mut socket = tungstenite::accept(socket).unwrap();
    let (Part::SendAndClose(frames) | Part::SendAndDrop(frames) | Part::SendAndHold(frames)) = part
    else {
        return;
    };
    for n in 0..frames {
        socket.send(Message::Text(format!("{{\"c\":{place},\"n\":{n}}}").into())).unwrap();
    }
    match part {
        Part::SendAndClose(_) => {
            socket.close(None).unwrap();
            while socket.read().is_ok() {}
        }
        Part::SendAndHold(_) => while socket.read().is_ok() {},
        Part::SendAndDrop(_) | Part::Refuse => {}
    }
}

/// What a client saw, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Frame(String),
    Up,
    Down,
}

struct Client {
    stream: Stream,
    poll: Poll,
    seen: Vec<Seen>,
    /// Time that passes in each turn besides its own.
    step: Duration,
    ahead: Duration,
}

impl Client {
    fn new(url: &str, silence: Duration) -> Self {
        let address = StreamAddress::parse(url).unwrap();
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let dialer = Dialer::new(tls_config().unwrap(), registry).unwrap();
        let stream = Stream::new(address, &dialer, Token(0), silence, 7).unwrap();
        Self { stream, poll, seen: Vec::new(), step: Duration::ZERO, ahead: Duration::ZERO }
    }

    fn turn(&mut self) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(TURN)).unwrap();
        let mut frames = Vec::new();
        let mut on_frame = |frame: &[u8]| frames.push(String::from_utf8_lossy(frame).into_owned());
        self.ahead += self.step;
        let polled = self.stream.poll(Instant::now() + self.ahead, &mut on_frame);
        assert_eq!(polled.frames, frames.len());
        if polled.came_up {
            self.seen.push(Seen::Up);
        }
        self.seen.extend(frames.into_iter().map(Seen::Frame));
        if polled.went_down {
            self.seen.push(Seen::Down);
        }
    }

    fn until(&mut self, what: &str, is_met: impl Fn(&[Seen]) -> bool) {
        for _ in 0..TURNS_MAX {
            if is_met(&self.seen) {
                return;
            }
            self.turn();
        }
        panic!("{what}: {:?}, {:?}", self.seen, self.stream.last_error());
    }
}

fn frame(connection: usize, n: u32) -> Seen {
    Seen::Frame(format!("{{\"c\":{connection},\"n\":{n}}}"))
}

fn downs(seen: &[Seen]) -> usize {
    seen.iter().filter(|seen| **seen == Seen::Down).count()
}

const PATIENT: Duration = Duration::from_secs(600);

#[test]
fn a_connection_closed_in_order_or_cut_comes_back_with_both_edges_told() {
    let server =
        Server::start(vec![Part::SendAndClose(2), Part::SendAndDrop(1), Part::SendAndHold(3)]);
    let mut client = Client::new(&server.url(), PATIENT);
    client.until("the third connection", |seen| seen.last() == Some(&frame(2, 2)));
    let wanted = [
        Seen::Up,
        frame(0, 0),
        frame(0, 1),
        Seen::Down,
        Seen::Up,
        frame(1, 0),
        Seen::Down,
        Seen::Up,
        frame(2, 0),
        frame(2, 1),
        frame(2, 2),
    ];
    assert_eq!(client.seen, wanted);
    let error = client.stream.last_error().unwrap();
    assert!(error.contains(&server.url()), "{error}");
    drop(client);
    server.end();
}

#[test]
fn an_open_connection_that_falls_silent_is_replaced() {
    let server = Server::start(vec![Part::SendAndHold(1), Part::SendAndHold(1)]);
    let mut client = Client::new(&server.url(), Duration::from_millis(300));
    client.until("a loss", |seen| downs(seen) == 1);
    assert_eq!(client.seen, [Seen::Up, frame(0, 0), Seen::Down]);
    assert!(client.stream.last_error().unwrap().contains("silent"));
    client.until("a successor", |seen| seen.contains(&frame(1, 0)));
    // The old connection was let go of: its server saw it end.
    assert_eq!(server.done.recv().unwrap(), 0);
    drop(client);
    server.end();
}

/// An acknowledged connection is not data: without a frame there is no "up", and its loss is no
/// "down".
#[test]
fn a_connection_that_never_sends_is_neither_up_nor_down_and_is_replaced() {
    let server = Server::start(vec![Part::SendAndHold(0), Part::SendAndHold(1)]);
    let mut client = Client::new(&server.url(), PATIENT);
    client.step = Duration::from_millis(25);
    client.until("the second connection", |seen| seen.contains(&frame(1, 0)));
    assert_eq!(client.seen, [Seen::Up, frame(1, 0)]);
    drop(client);
    server.end();
}

#[test]
fn a_refused_handshake_is_tried_again_and_named() {
    let server = Server::start(vec![Part::Refuse, Part::Refuse, Part::SendAndHold(1)]);
    let mut client = Client::new(&server.url(), PATIENT);
    client.until("the third attempt", |seen| seen.contains(&frame(2, 0)));
    assert_eq!(client.seen, [Seen::Up, frame(2, 0)]);
    let error = client.stream.last_error().unwrap();
    assert!(error.contains("403") && error.contains(&server.url()), "{error}");
    drop(client);
    server.end();
}

#[test]
fn a_server_that_is_not_there_yet_is_found_when_it_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let mut client = Client::new(&format!("ws://{addr}/ws/btcusdt@bookTicker"), PATIENT);
    for _ in 0..TURNS_MAX {
        if client.stream.last_error().is_some() {
            break;
        }
        client.turn();
    }
    assert!(client.stream.last_error().is_some(), "nobody listens, and nothing is said");
    assert_eq!(client.seen, []);
    let server = Server::on(TcpListener::bind(addr).unwrap(), vec![Part::SendAndHold(1)]);
    client.until("the server", |seen| seen.contains(&frame(0, 0)));
    drop(client);
    server.end();
}

#[test]
fn what_is_no_stream_address_is_refused_by_its_text() {
    for bad in ["", "http://host/ws", "ws://", "ws://:80/ws", "wss://host:port/ws", "host:1"] {
        let error = StreamAddress::parse(bad).unwrap_err().to_string();
        assert!(error.contains(&format!("{bad:?}")), "{bad:?}: {error}");
    }
}
