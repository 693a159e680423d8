//! What a service manager hears of a whole process: that it is ready once it trades, that it lives
//! while every pinned thread turns and no longer, that it ends.

use crate::process::{free_address, wait};
use crate::trader_world::World;
use peregrine::venue::rest::RestClient;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};

/// Stops one thread until its own input ends, or says why it cannot.
const HOLD: &str = r#"
import ctypes, os, sys
thread = int(sys.argv[1])
trace = ctypes.CDLL(None, use_errno=True).ptrace
trace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
SEIZE, INTERRUPT, ALL = 0x4206, 0x4207, 0x40000000
if trace(SEIZE, thread, None, None) or trace(INTERRUPT, thread, None, None):
    print("refused:", os.strerror(ctypes.get_errno()), flush=True)
else:
    os.waitpid(thread, ALL)
    print("held", flush=True)
sys.stdin.read()
"#;

/// The other end of `NOTIFY_SOCKET`.
struct Listener(UnixDatagram);

impl Listener {
    /// Everything that was told since it was asked last.
    fn heard(&self) -> Vec<String> {
        let mut text = [0; 256];
        let mut all = Vec::new();
        while let Ok(length) = self.0.recv(&mut text) {
            all.push(String::from_utf8_lossy(&text[..length]).into_owned());
        }
        all
    }

    fn wait_for(&self, word: &str) {
        wait(word, || self.heard().iter().any(|told| told == word));
    }
}

/// A thread that is held; it goes on when this is dropped.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Holds a thread; `None`, and said so, where the system does not let us.
pub fn hold(thread: u32) -> Option<Held> {
    let mut python = Command::new("python3");
    let python = python.args(["-c", HOLD, &thread.to_string()]);
    let child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(child) = child else {
        println!("python3 is absent: no thread was held");
        return None;
    };
    let mut held = Held(child);
    let mut said = String::new();
    BufReader::new(held.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    if said.trim() != "held" {
        println!("no thread was held: {said}");
        return None;
    }
    Some(held)
}

/// The number of the pinned thread that runs the risk stage.
pub fn risk_thread(process: u32) -> u32 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let named = |task: &std::path::Path| std::fs::read_to_string(task.join("comm")).unwrap();
    let mut tasks = tasks.map(|task| task.unwrap().path());
    let runs =
        |task: &std::path::PathBuf| ["risk", "trader", "pipeline"].contains(&named(task).trim());
    let task = tasks.find(runs).expect("a thread that runs the risk stage");
    task.file_name().unwrap().to_str().unwrap().parse().unwrap()
}

/// Longest silence of a pinned thread, as the page tells it, in seconds.
fn silence(address: &str) -> Option<f64> {
    let page = RestClient::new(&format!("http://{address}"));
    let (_, body, _) = page.carry("GET", "/healthz", "", None).ok()?;
    let told: Value = serde_json::from_slice(&body).ok()?;
    let threads = told["threads"].as_array()?;
    threads.iter().filter_map(|thread| thread["silent_seconds"].as_f64()).reduce(f64::max)
}

#[test]
fn fault_p18_a_manager_hears_ready_then_life_but_not_while_a_stage_is_held_and_then_the_end() {
    let world = World::new();
    let path = world.dir().join("notify");
    let manager = Listener(UnixDatagram::bind(&path).unwrap());
    manager.0.set_nonblocking(true).unwrap();
    let address = free_address().to_string();
    let session = world.start(
        "config/testnet.toml",
        &[
            ("NOTIFY_SOCKET", path.to_str().unwrap()),
            ("WATCHDOG_USEC", "600000"),
            ("PEREGRINE__HTTP__BIND", &address),
            // The session would otherwise end itself before its manager does.
            ("PEREGRINE__KILL__STALL_MS", "60000"),
        ],
    );
    manager.wait_for("READY=1");
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    if let Some(held) = hold(risk_thread(session.id())) {
        wait("the silence to be seen", || silence(&address).is_some_and(|s| s >= 1.0));
        manager.heard();
        wait("it to last", || silence(&address).is_some_and(|s| s >= 3.0));
        assert_eq!(manager.heard(), Vec::<String>::new(), "a stage is held, and life was told");
        drop(held);
        manager.wait_for("WATCHDOG=1");
    }
    session.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    let output = session.end();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(manager.heard(), Vec::<String>::new(), "nothing is told behind the end");
}
