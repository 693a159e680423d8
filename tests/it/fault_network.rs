//! Faults of the network and of connections: rows F-N of the fault catalogue that a peer can make
//! with raw bytes. Time is an argument of the code under test and is stepped here.

use crate::process::free_address;
use mio::{Events, Poll, Token};
use peregrine::venue::ports::StreamPort;
use peregrine::venue::resolver::Resolver;
use peregrine::venue::stream::{Dialer, Stream, StreamAddress};
use peregrine::venue::transport::tls_config;
use rustls::ClientConfig;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

pub const MS: fn(u64) -> Duration = Duration::from_millis;
/// Turns a test polls before it gives up; each waits at most for [`TURN`].
const TURNS_MAX: u32 = 4_000;
const TURN: Duration = Duration::from_millis(5);
pub const PATIENT: Duration = Duration::from_secs(3_600);

/// A peer: one thread that plays a part for every connection, in their order.
pub struct Peer {
    pub addr: SocketAddr,
    /// What the part tells.
    pub told: Receiver<Vec<u8>>,
}

impl Peer {
    pub fn start(
        mut part: impl FnMut(usize, TcpStream, &mut dyn FnMut(&[u8])) + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for (n, socket) in listener.incoming().enumerate() {
                // A test that has seen enough no longer listens.
                part(n, socket.unwrap(), &mut |bytes| drop(tell.send(bytes.to_vec())));
            }
        });
        Self { addr, told }
    }

    pub fn url(&self) -> String {
        format!("ws://{}/public/stream?streams=btcusdt@bookTicker", self.addr)
    }
}

/// The WebSocket handshake; then the socket is raw.
pub fn shake(socket: TcpStream) -> TcpStream {
    tungstenite::accept(socket).unwrap().get_ref().try_clone().unwrap()
}

/// A frame of a server, which are not masked.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(len as u8),
        len @ 126..=65_535 => {
            bytes.push(126);
            bytes.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            bytes.push(127);
            bytes.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads until the client goes, telling every byte.
pub fn drain(socket: &mut TcpStream, tell: &mut dyn FnMut(&[u8])) {
    let mut buffer = [0; 4_096];
    while let Ok(count) = socket.read(&mut buffer) {
        if count == 0 {
            return;
        }
        tell(&buffer[..count]);
    }
}

/// A connection under test, on a clock that is stepped.
pub struct Client {
    pub stream: Stream,
    poll: Poll,
    pub now: Instant,
    pub frames: Vec<String>,
    pub ups: usize,
    pub downs: usize,
    pub silent: Vec<bool>,
}

impl Client {
    pub fn new(url: &str, silence: Duration) -> Self {
        Self::over(url, silence, tls_config().unwrap(), Resolver::start().unwrap())
    }

    pub fn over(url: &str, silence: Duration, tls: Arc<ClientConfig>, resolver: Resolver) -> Self {
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let dialer = Dialer { tls, registry, resolver };
        let address = StreamAddress::parse(url).unwrap();
        let stream = Stream::new(address, &dialer, Token(0), silence, 7).unwrap();
        let now = Instant::now();
        Self { stream, poll, now, frames: Vec::new(), ups: 0, downs: 0, silent: Vec::new() }
    }

    /// One turn after `step` of time; the socket gets a moment of real time.
    pub fn turn(&mut self, step: Duration) {
        let mut events = Events::with_capacity(8);
        self.poll.poll(&mut events, Some(TURN)).unwrap();
        self.now += step;
        let mut frames = Vec::new();
        let mut on_frame = |frame: &[u8]| frames.push(String::from_utf8_lossy(frame).into_owned());
        let polled = self.stream.poll(self.now, &mut on_frame);
        self.frames.extend(frames);
        self.ups += usize::from(polled.came_up);
        self.downs += usize::from(polled.went_down);
        while let Some(edge) = self.stream.silent(self.now) {
            self.silent.push(edge.is_silent);
        }
    }

    /// Turns, `step` of time each, until something is so; the time that took.
    pub fn until(
        &mut self,
        what: &str,
        step: Duration,
        mut is_met: impl FnMut(&Self) -> bool,
    ) -> Duration {
        let began = self.now;
        for _ in 0..TURNS_MAX {
            if is_met(self) {
                return self.now - began;
            }
            self.turn(step);
        }
        panic!("{what}: {:?}, {:?}", self.frames, self.stream.last_error());
    }

    pub fn error(&self) -> &str {
        self.stream.last_error().unwrap_or("")
    }
}

/// A port whose queue of connections is full: one more hangs, as if its packets were lost.
fn hanging() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&fd, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&fd, 0).unwrap();
    let listener = TcpListener::from(fd);
    let addr = listener.local_addr().unwrap();
    let mut held = Vec::new();
    for _ in 0..4 {
        match TcpStream::connect_timeout(&addr, MS(100)) {
            Ok(socket) => held.push(socket),
            Err(_) => break,
        }
    }
    (listener, held, addr)
}

#[test]
fn fault_n01_a_connection_that_hangs_is_given_up_and_another_address_tried() {
    let (_listener, _held, hangs) = hanging();
    let peer = Peer::start(|_, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, b"{}")).unwrap();
        drain(&mut socket, tell);
    });
    let live = peer.addr;
    let resolver = Resolver::with(move |_| Ok(vec![hangs, live])).unwrap();
    let url = format!("ws://venue.example:{}/ws", live.port());
    let mut client = Client::over(&url, PATIENT, tls_config().unwrap(), resolver);
    let took = client.until("the deadline", MS(50), |c| !c.error().is_empty());
    assert!(client.error().contains("connecting took longer"), "{}", client.error());
    assert!((MS(3_000)..MS(3_300)).contains(&took), "{took:?}");
    client.until("the other address", MS(10), |c| c.ups == 1);
}

#[test]
fn fault_n02_a_half_open_account_connection_is_noticed_within_three_seconds() {
    let peer = Peer::start(|_, socket, tell| {
        let mut socket = shake(socket);
        // Answers the first ping and then is gone without a word.
        let mut ping = [0; 6];
        socket.read_exact(&mut ping).unwrap();
        assert_eq!(ping[0], 0x89);
        socket.write_all(&frame(0x8A, b"")).unwrap();
        tell(b"answered");
        while socket.read(&mut ping).is_ok_and(|count| count > 0) {}
    });
    let mut client = Client::new(&peer.url(), PATIENT);
    client.stream = client.stream.quiet();
    client.until("the handshake", MS(0), |c| c.ups == 1);
    client.until("an answer", MS(20), |_| peer.told.try_recv().is_ok());
    let took = client.until("a word", MS(20), |c| c.silent == [true]);
    assert!(took <= MS(2_600), "{took:?}");
    let took = client.until("the loss", MS(20), |c| c.downs == 1);
    assert!(took <= MS(3_000), "{took:?}");
    assert_eq!(client.silent, [true], "a loss is told as a loss");
    assert!(client.error().contains("sign of life"), "{}", client.error());
}

#[test]
fn fault_n02_a_half_open_market_connection_is_stale_by_the_age_of_its_payload() {
    let peer = Peer::start(|_, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, b"{}")).unwrap();
        drain(&mut socket, tell);
    });
    let mut client = Client::new(&peer.url(), MS(2_000));
    client.until("a payload", MS(0), |c| c.ups == 1);
    let took = client.until("the loss", MS(20), |c| c.downs == 1);
    assert!((MS(2_000)..MS(2_100)).contains(&took), "{took:?}");
}

#[test]
fn fault_n04_a_frame_that_trickles_in_byte_by_byte_is_given_up_after_two_seconds() {
    let peer = Peer::start(|_, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, b"{}")).unwrap();
        let mut buffer = [0; 64];
        socket.set_nonblocking(true).unwrap();
        for byte in frame(0x81, &[b' '; 60_000]) {
            // Until the client leaves.
            if socket.write_all(&[byte]).is_err() || matches!(socket.read(&mut buffer), Ok(0)) {
                return;
            }
            std::thread::park_timeout(MS(2));
        }
        tell(b"read to the end");
    });
    let mut client = Client::new(&peer.url(), PATIENT);
    client.until("a payload", MS(0), |c| c.ups == 1);
    let took = client.until("the loss", MS(50), |c| c.downs == 1);
    assert!(took <= MS(2_500), "{took:?}");
    assert!(client.error().contains("incomplete"), "{}", client.error());
    assert_eq!(client.frames, ["{}"], "nothing of the half frame is handed on");
}

/// A venue that takes everybody, says a word, and cuts.
#[test]
fn fault_n13_short_connections_do_not_make_a_storm_of_reconnects() {
    let peer = Peer::start(|_, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, b"{}")).unwrap();
        tell(b"taken");
    });
    let mut client = Client::new(&peer.url(), PATIENT);
    let end = client.now + Duration::from_secs(120);
    client.until("two minutes", MS(100), |c| c.now >= end);
    let taken = peer.told.try_iter().count();
    // A bound that doubles to thirty seconds: 8 to get there, then one every fifteen on average.
    assert!((5..=25).contains(&taken), "{taken} connections in two minutes");
}

#[test]
fn fault_n11_a_name_that_cannot_be_found_is_named_and_the_last_good_address_serves() {
    let peer = Peer::start(|n, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, format!("{{\"n\":{n}}}").as_bytes())).unwrap();
        if n > 1 {
            drain(&mut socket, tell);
        }
    });
    let addr = peer.addr;
    let mut asked = 0;
    let resolver = Resolver::with(move |_| {
        asked += 1;
        match asked {
            1 => Ok(vec![addr]),
            2 => Err(std::io::Error::other("cannot resolve venue.example: NXDOMAIN")),
            _ => Ok(Vec::new()),
        }
    })
    .unwrap();
    let url = format!("ws://venue.example:{}/ws", addr.port());
    let mut client = Client::over(&url, PATIENT, tls_config().unwrap(), resolver);
    client.until("the first", MS(1), |c| c.ups == 1);
    // Six minutes later the address is old, and the name servers fail.
    client.now += Duration::from_secs(360);
    client.until("the second", MS(10), |c| c.ups == 2);
    client.until("the third", MS(10), |c| c.ups == 3);
    assert_eq!(client.frames, ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"]);
}

#[test]
fn fault_n11_no_name_at_all_is_said_in_words() {
    for (answer, wanted) in [(None, "NXDOMAIN"), (Some(Vec::new()), "has no address")] {
        let resolver = Resolver::with(move |_| match &answer {
            None => Err(std::io::Error::other("cannot resolve venue.example: NXDOMAIN")),
            Some(found) => Ok(Vec::clone(found)),
        })
        .unwrap();
        let tls = tls_config().unwrap();
        let mut client = Client::over("ws://venue.example/ws", PATIENT, tls, resolver);
        client.until("a word", MS(10), |c| !c.error().is_empty());
        assert!(client.error().contains(wanted), "{}", client.error());
    }
}

#[test]
fn fault_n11_a_resolver_that_hangs_stops_nobody_and_a_late_answer_is_taken() {
    let peer = Peer::start(|n, socket, tell| {
        let mut socket = shake(socket);
        socket.write_all(&frame(0x81, format!("{{\"n\":{n}}}").as_bytes())).unwrap();
        if n > 0 {
            drain(&mut socket, tell);
        }
    });
    let gone = free_address();
    let (go, wait) = channel::<()>();
    let (addr, mut asked) = (peer.addr, 0);
    let resolver = Resolver::with(move |_| {
        asked += 1;
        if asked == 1 {
            return Ok(vec![gone]);
        }
        let _ = wait.recv();
        Ok(vec![addr])
    })
    .unwrap();
    let url = format!("ws://venue.example:{}/ws", addr.port());
    let mut client = Client::over(&url, PATIENT, tls_config().unwrap(), resolver);
    client.until("the name is late", MS(100), |c| c.error().contains("resolving"));
    go.send(()).unwrap();
    client.until("the late answer", MS(100), |c| c.ups == 1);
}
