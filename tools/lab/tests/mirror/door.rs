//! A door before a server, real or not: every request passes here and is counted, and at one of
//! them something happens.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub target: String,
    pub authorization: Option<String>,
    pub body: Vec<u8>,
    /// All of it, with the connection to be closed behind it.
    raw: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// What happens at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before it is carried out.
    Lost,
    /// It is carried out, and no answer comes.
    AnswerLost,
    /// It is carried out, and half of the answer comes.
    HalfAnswer,
    /// It is not carried out: too many requests, or a server that fails.
    Status(u16),
    /// It is carried out behind the next one of its kind, whose answer comes.
    Late,
    /// What the test arranged is done before it is carried out.
    Before,
    /// What the test arranged is done behind it, and no answer comes.
    Behind,
}

/// What stands behind the door.
pub type Server = Box<dyn FnMut(&Request) -> Option<Answer> + Send>;

struct Inside {
    server: Server,
    /// Requests that came.
    count: usize,
    /// At which something happens.
    fault: Option<(usize, Fault)>,
    arranged: Box<dyn FnMut() + Send>,
    late: Option<Request>,
    seen: Vec<Request>,
}

/// See the head of this file.
pub struct Door {
    pub url: String,
    inside: Arc<Mutex<Inside>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    pub fn open(server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let arranged = Box::new(|| ());
        let (fault, late, seen) = (None, None, Vec::new());
        let inside = Inside { server, count: 0, fault, arranged, late, seen };
        let inside = Arc::new(Mutex::new(inside));
        let stop = Arc::new(AtomicBool::new(false));
        let (inner, ending) = (inside.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ending.load(Ordering::Acquire) {
                    return;
                }
                pass(stream, &inner);
            }
        });
        Self { url, inside, stop, thread: Some(thread) }
    }

    /// From now on counted from 0, with a fault at one of them.
    pub fn plan(&self, fault: Option<(usize, Fault)>) {
        let mut inside = self.inside();
        (inside.count, inside.fault) = (0, fault);
        inside.seen.clear();
    }

    /// What [`Fault::Before`] and [`Fault::Behind`] do.
    pub fn arrange(&self, what: Box<dyn FnMut() + Send>) {
        self.inside().arranged = what;
    }

    /// Starts a process that this fault at a request is the end of.
    pub fn doom(&self, (at, fault): (usize, Fault), start: impl FnOnce() -> Child) -> Child {
        let victim = Arc::new(Mutex::new(0));
        let id = victim.clone();
        self.arrange(Box::new(move || kill(&id.lock().expect("no panic").to_string())));
        self.plan(Some((at, fault)));
        // Held until its id is known.
        let mut id = victim.lock().expect("no panic");
        let child = start();
        *id = child.id();
        child
    }

    /// Requests since the plan.
    pub fn count(&self) -> usize {
        self.inside().count
    }

    /// Whether the fault happened.
    pub fn is_over(&self) -> bool {
        self.inside().fault.is_none()
    }

    /// The requests since the plan.
    pub fn seen(&self) -> Vec<Request> {
        self.inside().seen.clone()
    }

    fn inside(&self) -> std::sync::MutexGuard<'_, Inside> {
        self.inside.lock().expect("no panic")
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let address = self.url.trim_start_matches("http://");
        drop(TcpStream::connect(address));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the door's thread panicked");
        }
    }
}

/// Kills a process or, with a `-` before it, a group of them.
pub fn kill(which: &str) {
    let killed = Command::new("sh").args(["-c", &format!("kill -KILL {which}")]).status();
    assert!(killed.expect("a shell").success(), "{which}");
}

fn pass(mut stream: TcpStream, inside: &Mutex<Inside>) {
    let Some(request) = read(&mut stream) else { return };
    let mut guard = inside.lock().expect("no panic");
    let inside = &mut *guard;
    let place = inside.count;
    inside.count += 1;
    inside.seen.push(request.clone());
    let fault = inside.fault.filter(|(at, _)| *at == place).map(|(_, fault)| fault);
    if fault.is_some() {
        inside.fault = None;
    }
    if fault == Some(Fault::Late) {
        inside.late = Some(request);
        return end(&stream);
    }
    if fault == Some(Fault::Lost) {
        return end(&stream);
    }
    if let Some(Fault::Status(status)) = fault {
        return write(&mut stream, &Answer { status, body: b"not now".to_vec() }, None);
    }
    if fault == Some(Fault::Before) {
        (inside.arranged)();
    }
    let answer = (inside.server)(&request);
    if fault == Some(Fault::Behind) {
        (inside.arranged)();
        return end(&stream);
    }
    let path = |request: &Request| request.target.split('?').next().map(str::to_owned);
    if inside.late.as_ref().is_some_and(|late| path(late) == path(&request))
        && let Some(late) = inside.late.take()
    {
        (inside.server)(&late);
    }
    match (answer, fault) {
        (None, _) | (_, Some(Fault::AnswerLost)) => end(&stream),
        (Some(answer), Some(Fault::HalfAnswer)) => {
            write(&mut stream, &answer, Some(answer.body.len() / 2));
        }
        (Some(answer), _) => write(&mut stream, &answer, None),
    }
}

fn end(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

/// A request with a body of told length.
fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut raw = Vec::new();
    let mut part = [0; 1 << 14];
    let head = loop {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        raw.extend_from_slice(&part[..read]);
        if let Some(at) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let text = String::from_utf8_lossy(&raw[..head]).into_owned();
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |name: &str| {
        let mut headers = text.lines().skip(1).filter_map(|line| line.split_once(':'));
        let found = headers.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let length: usize = header("content-length").map_or(0, |text| text.parse().expect("a number"));
    while raw.len() < head + length {
        let read = stream.read(&mut part).ok().filter(|read| *read > 0)?;
        raw.extend_from_slice(&part[..read]);
    }
    let authorization = header("authorization");
    let body = raw[head..].to_vec();
    let raw = [&raw[..head - 2], b"connection: close\r\n\r\n", &body].concat();
    Some(Request { method, target, authorization, body, raw })
}

/// Writes an answer, or only so many bytes of its body.
fn write(stream: &mut TcpStream, answer: &Answer, only: Option<usize>) {
    let Answer { status, body } = answer;
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\nconnection: close\r\n\
         retry-after: 7\r\ncontent-length: {length}\r\n\r\n"
    );
    let shown = only.unwrap_or(length);
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(&body[..shown]);
    end(stream);
}

/// Carries a request to a server at a port; nothing where it does not answer whole.
pub fn carried(port: u16, request: &Request) -> Option<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.write_all(&request.raw).ok()?;
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).ok()?;
    let head = raw.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&raw[..head]).to_lowercase();
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let chunked = text.contains("transfer-encoding: chunked");
    let body = if chunked { whole(&raw[head..])? } else { raw[head..].to_vec() };
    Some(Answer { status, body })
}

/// The body that chunks make up.
fn whole(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..end]).ok()?.trim(), 16);
        let size = size.ok()?;
        chunks = &chunks[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunks.get(..size)?);
        chunks = chunks.get(size + 2..)?;
    }
}
