//! The whole program as a process: the demo on its own exchange over loopback, and what its journal
//! tells afterwards.

use super::repository;
use peregrine::base::Kind;
use peregrine::base::event::{Event, Stamps};
use peregrine::base::hop::Hop;
use peregrine::base::ids::Seq;
use peregrine::journal::{LaneReader, STAMPS_LANE};
use peregrine::model::ArtifactFiles;
use peregrine::registry::{Change, Registry, Stage};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest wait for one answer of its pages.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A demo that runs; killed where it is not waited for.
pub struct Demo(Option<Child>);

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Demo {
    /// One of so many seconds, its pages at `page`, with these variables on top of its
    /// configuration.
    pub fn start(seconds: u64, page: SocketAddr, state: &Path, more: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_peregrine"))
            .args(["demo", "--json", "--for", &format!("{seconds}s")])
            .env("PEREGRINE__HTTP__BIND", page.to_string())
            .env("PEREGRINE__SESSION__STATE_DIR", state)
            .envs(more.iter().copied())
            .current_dir(repository("."))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        Self(Some(child))
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    /// True once it is over.
    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)))
    }

    /// What it said at its end.
    pub fn summary(mut self) -> Value {
        let child = self.0.take().expect("it is waited for once");
        let output = child.wait_with_output().expect("its words can be read");
        assert!(output.status.success(), "the demo did not end in order: {}", output.status);
        let said = String::from_utf8_lossy(&output.stdout);
        let last = said.lines().last().unwrap_or_default();
        serde_json::from_str(last).expect("its last line is its summary")
    }
}

/// An address that is free, and stays so: what asks for any port asks for one of 127.0.0.1.
pub fn free_page() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.2:0").and_then(|listener| listener.local_addr());
    free.expect("a free port")
}

/// A page's answer, head included.
pub fn answer(page: SocketAddr, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&page, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {page}\r\nconnection: close\r\n\r\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(text)
}

/// The journal of a demo that was the first in its state folder.
pub fn journal(state: &Path) -> PathBuf {
    state.join("journal/0000001-demo")
}

/// Every record of a lane.
pub fn lane(journal: &Path, number: usize) -> Vec<Event> {
    let lane = LaneReader::open(journal, number).expect("the journal is there");
    lane.map(|item| item.expect("a sound record").1).collect()
}

/// Nanoseconds of each passage that a demo's stamps tell: bytes in memory to the prediction, by the
/// parts of an input's way, and to the order's bytes.
pub struct Passages {
    /// Receive and decode, the ring, features and inference of one input in sum.
    pub to_decision: Vec<u64>,
    /// As measured in one piece.
    pub to_order: Vec<u64>,
}

impl Passages {
    /// Out of lane 4, without those of the inputs up to `warm`.
    pub fn read(journal: &Path, warm: Seq) -> Self {
        const PARTS: [Hop; 4] =
            [Hop::ReceiveDecode, Hop::FeedInference, Hop::Features, Hop::Inference];
        let (mut parts, mut to_order) = (HashMap::<Seq, (u64, bool)>::new(), Vec::new());
        for event in lane(journal, STAMPS_LANE) {
            if event.kind() != Some(Kind::Stamps) {
                continue;
            }
            for passage in event.body::<Stamps>().read(event.seq) {
                if passage.seq <= warm {
                    continue;
                }
                if passage.hop == Hop::TickToOrder {
                    to_order.push(passage.ns);
                } else if PARTS.contains(&passage.hop) {
                    let (sum, decided) = parts.entry(passage.seq).or_default();
                    *sum += passage.ns;
                    *decided |= passage.hop == Hop::Inference;
                }
            }
        }
        let decided = parts.into_values().filter(|(_, decided)| *decided);
        Self { to_decision: decided.map(|(sum, _)| sum).collect(), to_order }
    }
}

/// A registry in `dir`: the shipped one, and copies of its champion under these names at `stage`.
pub fn registry_with(dir: &Path, names: &[String], stage: Stage) {
    copy(&repository("models_saved"), dir);
    let mut registry = Registry::open(dir).expect("a copy of the shipped one");
    let ArtifactFiles { onnx, card_text, card, .. } = registry.champion().expect("it has one");
    let made = tempfile::tempdir().expect("a temporary folder");
    let change = || Change {
        at_ms: 1,
        by: "a bench".to_owned(),
        reason: "to be measured".to_owned(),
        evidence_sha256: Some("00".repeat(32)),
    };
    for name in names {
        let folder = made.path().join(name);
        std::fs::create_dir(&folder).expect("a folder of its own");
        let text = card_text.replacen(&format!("\"{}\"", card.version), &format!("\"{name}\""), 1);
        std::fs::write(folder.join("model.onnx"), &onnx).expect("it can be written");
        std::fs::write(folder.join("card.toml"), text).expect("it can be written");
        registry.register(&folder, None, change()).expect("it is a version");
        if stage != Stage::Staged {
            registry.advance(name, stage, change()).expect("it may become that");
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("it is there").map(|entry| entry.expect("so")) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).expect("a folder");
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).expect("a file");
        }
    }
}
