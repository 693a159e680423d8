use super::*;
use crate::observe::snapshot::{Snapshot, ThreadView};
use crossbeam::channel::unbounded;
use std::net::Shutdown;

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OWN: &str = "x-peregrine-request: 1\r\ncontent-type: application/json\r\n";

/// A server on a free port, the cell it shows and the commands it takes.
struct Fixture {
    server: HttpServer,
    cell: Arc<SnapshotCell>,
    commands: Receiver<Command>,
    dir: tempfile::TempDir,
}

fn settings(dir: &Path) -> HttpSettings {
    HttpSettings {
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        token: Some(TOKEN.to_owned().into()),
        private_dir: dir.to_path_buf(),
        probe_interval: Duration::from_secs(3_600),
        ..HttpSettings::default()
    }
}

fn start_with(change: impl FnOnce(&mut HttpSettings)) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    change(&mut settings);
    let cell = Arc::new(SnapshotCell::new());
    let (sender, commands) = bounded(16);
    let server = HttpServer::start(settings, Arc::clone(&cell), sender).unwrap();
    Fixture { server, cell, commands, dir }
}

fn start() -> Fixture {
    start_with(|_| ())
}

/// A snapshot of a service that is up and ready.
fn ready() -> Snapshot {
    let feed = ThreadView { name: "feed", beating: true, ..ThreadView::default() };
    Snapshot { trading_state: "active", threads: vec![feed], ..Snapshot::default() }
}

/// Sends bytes as they are and reads until the server closes; status 0 when nobody answers.
fn exchange(addr: SocketAddr, bytes: &[u8]) -> (u16, String) {
    let Ok(mut stream) = TcpStream::connect(addr) else { return (0, String::new()) };
    // The server may refuse before it has read everything.
    let _ = stream.write_all(bytes);
    read_answer(&mut stream)
}

fn read_answer(stream: &mut TcpStream) -> (u16, String) {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    let text = String::from_utf8(text).unwrap();
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, text)
}

fn get(fixture: &Fixture, path: &str) -> (u16, String) {
    let addr = fixture.server.addr();
    exchange(addr, format!("GET {path} HTTP/1.1\r\nhost: {addr}\r\n\r\n").as_bytes())
}

fn post(fixture: &Fixture, path: &str, headers: &str, body: &str) -> (u16, String) {
    let addr = fixture.server.addr();
    let length = body.len();
    let text = format!(
        "POST {path} HTTP/1.1\r\nhost: {addr}\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    exchange(addr, text.as_bytes())
}

/// Asks again and again, and gives up after more tries than a busy machine can need.
fn until(mut done: impl FnMut() -> bool) {
    assert!((0..100_000).any(|_| done()), "it never came to pass");
}

fn json_of(text: &str) -> serde_json::Value {
    let body = text.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str(body).unwrap_or_else(|e| panic!("{e} in {body}"))
}

fn bearer() -> String {
    format!("authorization: Bearer {TOKEN}\r\n{OWN}")
}

#[test]
fn every_page_of_the_contract_answers() {
    let fixture = start();
    fixture.cell.publish(ready());
    for path in ["/", "/healthz", "/readiness", "/metrics", "/api/v1/latency.hlog"] {
        let (status, text) = get(&fixture, path);
        assert_eq!(status, 200, "{path}: {text}");
    }
    let parts = [
        "state", "orders", "fills", "equity", "latency", "models", "shadow", "risk", "alerts",
        "journal",
    ];
    for part in parts {
        let (status, text) = get(&fixture, &format!("/api/v1/{part}"));
        assert_eq!(status, 200, "{part}: {text}");
        json_of(&text);
    }
    assert_eq!(get(&fixture, "/nothing").0, 404);
    assert_eq!(get(&fixture, "/api/v1/nothing").0, 404);
    assert_eq!(get(&fixture, "/api/v1/state?since=0").0, 200, "a query is no part of the path");
}

#[test]
fn readiness_says_no_with_reasons_until_the_runtime_says_yes() {
    use crate::observe::snapshot::NotReady;
    let fixture = start();
    let (status, text) = get(&fixture, "/readiness");
    assert_eq!((status, json_of(&text)["reasons"][0].as_str()), (503, Some("starting")));
    fixture.cell.publish(ready());
    assert_eq!(get(&fixture, "/readiness").0, 200);
    let broken = Snapshot { not_ready: vec![NotReady::BookInvalid, NotReady::Halted], ..ready() };
    fixture.cell.publish(broken);
    let (status, text) = get(&fixture, "/readiness");
    assert_eq!(status, 503);
    assert_eq!(json_of(&text)["reasons"], serde_json::json!(["book_invalid", "halted"]));
}

#[test]
fn a_stopped_thread_or_a_silent_observer_is_not_healthy() {
    let fixture = start();
    let mut snapshot = ready();
    fixture.cell.publish(snapshot.clone());
    assert_eq!(get(&fixture, "/healthz").0, 200);
    snapshot.threads[0].beating = false;
    fixture.cell.publish(snapshot);
    assert_eq!(get(&fixture, "/healthz").0, 503);

    let too_old = pages::SNAPSHOT_AGE_MAX + Duration::from_millis(1);
    assert_eq!(pages::page("/healthz", &ready(), too_old).status(), 503);
    assert_eq!(pages::page("/readiness", &ready(), too_old).status(), 503);
    assert_eq!(pages::page("/readiness", &ready(), pages::SNAPSHOT_AGE_MAX).status(), 200);
}

#[test]
fn the_dashboard_needs_nothing_from_outside() {
    let fixture = start();
    let (_, page) = get(&fixture, "/");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
    assert!(!page.contains("unsafe-inline") && !page.contains("unsafe-eval"), "{page}");
    // The one address in it stands in the comment that the charts' licence wants kept.
    let page = page.replace("/*! https://github.com/leeoniya/uPlot", "");
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "the page refers to {outside}");
    }
}

#[test]
fn every_part_says_when_its_snapshot_was_taken() {
    let fixture = start();
    let mut snapshot = ready();
    snapshot.session.taken_ns = 1_764_158_400_123_456_789;
    fixture.cell.publish(snapshot);
    for part in ["state", "orders", "journal"] {
        let (_, text) = get(&fixture, &format!("/api/v1/{part}"));
        assert!(text.contains("x-peregrine-taken-ns: 1764158400123456789\r\n"), "{text}");
        assert!(text.contains("x-peregrine-age-ms: "), "{text}");
    }
}

#[test]
fn head_gives_the_head_of_get_and_no_body() {
    let fixture = start();
    let addr = fixture.server.addr();
    let asked = format!("HEAD /api/v1/state HTTP/1.1\r\nhost: {addr}\r\n\r\n");
    let (status, text) = exchange(addr, asked.as_bytes());
    assert_eq!(status, 200);
    assert!(text.ends_with("\r\n\r\n"), "{text}");
}

#[test]
fn a_foreign_host_name_is_not_served() {
    let fixture = start_with(|s| s.hosts.push("desk.example:443".to_owned()));
    let addr = fixture.server.addr();
    let status = |host: &str| {
        exchange(addr, format!("GET /healthz HTTP/1.1\r\n{host}\r\n\r\n").as_bytes()).0
    };
    assert_eq!(status("host: evil.example"), 403);
    assert_eq!(status(&format!("host: evil.example:{}", addr.port())), 403);
    assert_eq!(status("accept: */*"), 403, "no host at all");
    assert_eq!(status(&format!("host: {addr}\r\nhost: {addr}")), 400, "two hosts");
    assert_eq!(status(&format!("Host: LOCALHOST:{}", addr.port())), 200);
    assert_eq!(status("host: desk.example:443"), 200);
}

#[test]
fn a_page_is_served_under_the_address_it_listens_on() {
    let fixture = start_with(|s| s.addr = SocketAddr::from(([127, 9, 9, 9], 0)));
    assert_eq!(get(&fixture, "/healthz").0, 200);
}

#[test]
fn a_command_needs_the_token_then_reaches_the_river() {
    let fixture = start();
    let body = r#"{"reason":"drill"}"#;
    assert_eq!(post(&fixture, "/api/v1/kill", OWN, body).0, 401);
    let wrong = format!("authorization: Bearer {}\r\n{OWN}", "f".repeat(64));
    assert_eq!(post(&fixture, "/api/v1/kill", &wrong, body).0, 401);
    assert!(fixture.commands.is_empty());

    let cases = [
        ("pause", r#"{"reason":"drill"}"#, 1),
        ("kill", r#"{"reason":"drill","mode":"pause"}"#, 1),
        ("kill", r#"{"reason":"drill","mode":"graceful"}"#, 2),
        ("kill", r#"{"reason":"drill","mode":"immediate"}"#, 3),
        ("kill", r#"{"reason":"drill"}"#, 3),
    ];
    for (verb, body, number) in cases {
        let (status, text) = post(&fixture, &format!("/api/v1/{verb}"), &bearer(), body);
        assert_eq!(status, 202, "{verb} {body}: {text}");
        let command = fixture.commands.recv().unwrap();
        assert_eq!((command.verb, command.actor), (number, ACTOR_HTTP));
        assert!(command.reason.starts_with(b"drill\0"));
    }
}

#[test]
fn a_web_page_elsewhere_cannot_give_a_command() {
    let fixture = start();
    let body = r#"{"reason":"drill"}"#;
    let auth = format!("authorization: Bearer {TOKEN}\r\n");
    let own = "x-peregrine-request: 1\r\n";
    let json = "content-type: application/json\r\n";
    let refused =
        |headers: &str| post(&fixture, "/api/v1/kill", &format!("{auth}{headers}"), body).0;
    assert_eq!(refused(json), 403, "without the own header");
    assert_eq!(refused(&format!("{own}content-type: text/plain\r\n")), 415);
    assert_eq!(refused(own), 415);
    assert_eq!(refused(&format!("{own}{json}origin: http://evil.example\r\n")), 403);
    assert_eq!(refused(&format!("{own}{json}sec-fetch-site: cross-site\r\n")), 403);
    assert!(fixture.commands.is_empty());
    let addr = fixture.server.addr();
    let same = format!("{own}{json}origin: http://{addr}\r\nsec-fetch-site: same-origin\r\n");
    assert_eq!(refused(&same), 202);
}

#[test]
fn nothing_can_be_loosened_over_http() {
    let fixture = start();
    for verb in ["arm", "clear"] {
        let path = format!("/api/v1/{verb}");
        assert_eq!(post(&fixture, &path, &bearer(), r#"{"reason":"x"}"#).0, 403);
    }
    for path in ["/", "/metrics", "/healthz"] {
        assert_eq!(post(&fixture, path, &bearer(), r#"{"reason":"x"}"#).0, 405);
    }
    for path in ["/api/v1/kill", "/api/v1/pause"] {
        assert_eq!(get(&fixture, path).0, 404, "a GET has no effect");
    }
    for body in ["", "{}", "not json", r#"{"reason":""}"#, r#"{"reason":"x","mode":"arm"}"#] {
        assert_eq!(post(&fixture, "/api/v1/kill", &bearer(), body).0, 400, "{body}");
    }
    assert!(fixture.commands.is_empty());
}

#[test]
fn without_a_configured_token_no_command_is_taken() {
    let fixture = start_with(|s| s.token = None);
    assert_eq!(post(&fixture, "/api/v1/kill", &bearer(), r#"{"reason":"x"}"#).0, 403);
    assert!(fixture.commands.is_empty());
}

#[test]
fn wrong_tokens_lock_the_desk_but_never_lock_out_a_kill() {
    let (sender, taken) = unbounded();
    let mut desk = Desk::new(Some(TokenDigest::of(TOKEN.as_bytes())), sender);
    let ask = |token: &str| Ask {
        headers: [
            ("authorization", format!("Bearer {token}").as_str()),
            ("x-peregrine-request", "1"),
            ("content-type", "application/json; charset=utf-8"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        body: br#"{"reason":"x"}"#.to_vec(),
        ..Ask::default()
    };
    let start = std::time::Instant::now();
    for _ in 0..5 {
        assert_eq!(desk.take("pause", &ask("guess"), start).status(), 401);
    }
    let within = start + Duration::from_secs(59);
    assert_eq!(desk.take("pause", &ask("guess"), within).status(), 429);
    assert_eq!(desk.take("kill", &ask("guess"), within).status(), 429);
    assert_eq!(desk.take("pause", &ask(TOKEN), within).status(), 429);
    assert_eq!(desk.take("kill", &ask(TOKEN), within).status(), 202);
    assert_eq!(desk.take("pause", &ask(TOKEN), start + Duration::from_secs(61)).status(), 202);
    assert_eq!(taken.len(), 2);
}

#[test]
fn requests_of_unknown_form_end_at_the_door() {
    let fixture = start();
    let addr = fixture.server.addr();
    let host = format!("host: {addr}");
    let cases = [
        (400, "nonsense\r\n\r\n".to_owned()),
        (400, format!("GET /healthz HTTP/2.0\r\n{host}\r\n\r\n")),
        (400, format!("GET healthz HTTP/1.1\r\n{host}\r\n\r\n")),
        (400, format!("GET /healthz  HTTP/1.1\r\n{host}\r\n\r\n")),
        (400, format!("GET /healthz HTTP/1.1\r\n{host}\r\n folded\r\n\r\n")),
        (400, format!("GET /healthz HTTP/1.1\r\n{host}\r\nbad name: 1\r\n\r\n")),
        (400, format!("GET /healthz HTTP/1.1\r\n{host}\r\ntransfer-encoding: chunked\r\n\r\n")),
        (400, format!("GET /healthz HTTP/1.1\r\n{host}\r\ncontent-length: -1\r\n\r\n")),
        (400, format!("GET /{} HTTP/1.1\r\n{host}\r\n\r\n", "a".repeat(2_000))),
        (400, format!("GET / HTTP/1.1\r\n{host}\r\n{}\r\n", "a: b\r\n".repeat(100))),
        (413, format!("POST /api/v1/kill HTTP/1.1\r\n{host}\r\ncontent-length: 999999\r\n\r\n")),
        (431, format!("GET / HTTP/1.1\r\n{host}\r\na: {}\r\n\r\n", "b".repeat(HEAD_BYTES_MAX))),
        (431, format!("GET / HTTP/1.1\r\n{host}\r\na: {}", "b".repeat(8 * HEAD_BYTES_MAX))),
        (405, format!("DELETE / HTTP/1.1\r\n{host}\r\n\r\n")),
    ];
    for (expected, text) in cases {
        let start = &text[..text.len().min(80)];
        assert_eq!(exchange(addr, text.as_bytes()).0, expected, "{start}");
    }
    assert_eq!(get(&fixture, "/healthz").0, 200, "and the server is none the worse for it");
}

#[test]
fn a_request_that_arrives_in_pieces_is_still_a_request() {
    let fixture = start();
    let addr = fixture.server.addr();
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in format!("GET /healthz HTTP/1.1\r\nhost: {addr}\r\n\r\n").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_answer(&mut stream).0, 200);
}

#[test]
fn stalled_clients_are_bounded_in_number_and_in_time() {
    let fixture = start();
    let addr = fixture.server.addr();
    let half = format!("GET /healthz HTTP/1.1\r\nhost: {addr}\r\n");
    let mut stalled: Vec<TcpStream> = (0..CONNECTIONS_MAX * 3)
        .map(|_| {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(half.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Each is thrown out on its own: those inside for being slow, the others for want of room.
    let mut statuses: Vec<u16> = stalled.iter_mut().map(|stream| read_answer(stream).0).collect();
    statuses.sort_unstable();
    let slow = statuses.iter().filter(|&&status| status == 408).count();
    let full = statuses.iter().filter(|&&status| status == 503).count();
    assert_eq!(slow + full, stalled.len(), "{statuses:?}");
    assert!(slow >= CONNECTIONS_MAX && full > 0, "{statuses:?}");
    until(|| get(&fixture, "/healthz").0 == 200);
}

#[test]
fn a_client_that_trickles_a_request_is_thrown_out_though_it_never_pauses() {
    let fixture = start();
    let mut stream = TcpStream::connect(fixture.server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nx-slow: ").unwrap();
    let (mut said, mut sent) = (Vec::new(), 0);
    // As many bytes as a head may have at most: the time ends it, not the room.
    while sent < HEAD_BYTES_MAX / 2 && said.is_empty() {
        let mut part = [0; 64];
        match stream.read(&mut part) {
            Ok(read) => said.extend_from_slice(&part[..read.max(1)]),
            Err(_) => sent += usize::from(stream.write_all(b"a").is_ok()),
        }
    }
    assert!(said.starts_with(b"HTTP/1.1 408"), "{} after {sent}", String::from_utf8_lossy(&said));
    until(|| get(&fixture, "/healthz").0 == 200);
}

#[test]
fn a_flood_of_connections_is_sent_away_and_the_page_is_there_when_it_has_gone() {
    let fixture = start_with(|s| s.probe_interval = Duration::from_millis(100));
    let addr = fixture.server.addr();
    let flood: Vec<TcpStream> = (0..CONNECTIONS_MAX * 20)
        .filter_map(|n| {
            let mut stream = TcpStream::connect(addr).ok()?;
            // Every other one says something, and none a whole request.
            let _ = if n % 2 == 0 { stream.write_all(b"GET / HTTP/1.1\r\n") } else { Ok(()) };
            Some(stream)
        })
        .collect();
    for mut stream in flood {
        let (status, _) = read_answer(&mut stream);
        assert!([0, 408, 503].contains(&status), "{status}");
    }
    // By then the server may have been rebuilt: its own probe stands in the same queue.
    until(|| get(&fixture, "/metrics").0 == 200);
}

#[test]
fn a_client_that_leaves_early_harms_nobody() {
    let fixture = start();
    for _ in 0..50 {
        let stream = TcpStream::connect(fixture.server.addr()).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }
    until(|| get(&fixture, "/healthz").0 == 200);
}

#[test]
fn as_many_clients_as_there_is_room_for_are_served_at_once() {
    let fixture = start();
    let addr = fixture.server.addr();
    std::thread::scope(|scope| {
        let client = |_| {
            scope.spawn(move || {
                let asked = format!("GET /metrics HTTP/1.1\r\nhost: {addr}\r\n\r\n");
                let served = (0..20).filter(|_| exchange(addr, asked.as_bytes()).0 == 200);
                served.count()
            })
        };
        let clients: Vec<_> = (0..CONNECTIONS_MAX / 2).map(client).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), 20);
        }
    });
}

#[test]
fn a_server_that_no_longer_answers_is_rebuilt_on_the_same_port() {
    let fixture = start_with(|s| s.probe_interval = Duration::from_millis(20));
    // Cut the way between door and pages, as a dead accept loop would.
    let private = std::fs::read_dir(fixture.dir.path()).unwrap().next().unwrap().unwrap();
    std::fs::remove_file(private.path().join("pages.sock")).unwrap();
    until(|| get(&fixture, "/healthz").0 == 200 && fixture.server.rebuilds() > 0);
    assert_eq!(get(&fixture, "/healthz").0, 200);
}

#[test]
fn a_stopped_server_frees_its_port_and_leaves_no_files() {
    let fixture = start();
    let addr = fixture.server.addr();
    drop(fixture.server);
    assert!(TcpStream::connect(addr).is_err());
    assert_eq!(std::fs::read_dir(fixture.dir.path()).unwrap().count(), 0);
}

#[test]
fn the_private_socket_is_for_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = start();
    let private = std::fs::read_dir(fixture.dir.path()).unwrap().next().unwrap().unwrap();
    assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn unsafe_or_impossible_settings_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let attempt = |change: &dyn Fn(&mut HttpSettings)| {
        let mut settings = settings(dir.path());
        change(&mut settings);
        let (sender, _) = bounded(1);
        HttpServer::start(settings, Arc::new(SnapshotCell::new()), sender)
    };
    let outside = attempt(&|s| s.addr = SocketAddr::from(([0, 0, 0, 0], 0)));
    assert!(matches!(outside, Err(HttpError::NotLoopback(_))));
    let short = attempt(&|s| s.token = Some("secret".to_owned().into()));
    assert!(matches!(short, Err(HttpError::TokenTooShort)));
    let nowhere = attempt(&|s| s.private_dir = "/nonexistent".into());
    assert!(matches!(nowhere, Err(HttpError::PrivateSocket { .. })));

    let first = start();
    let addr = first.server.addr();
    let second = attempt(&|s| s.addr = addr);
    let Err(error @ HttpError::PortTaken(_)) = second else { panic!("two servers on {addr}") };
    assert!(error.to_string().contains(&addr.to_string()), "{error}");
    let (sender, _) = bounded(1);
    let mut settings = settings(dir.path());
    settings.addr = addr;
    let without = HttpServer::start_if_free(settings, Arc::new(SnapshotCell::new()), sender);
    assert!(without.unwrap().is_none());
}
