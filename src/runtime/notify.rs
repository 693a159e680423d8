//! What a service manager is told: ready, alive, stopping. Datagrams to `$NOTIFY_SOCKET` as
//! systemd's `sd_notify` sends them; nothing where there is none.

use super::heartbeat::Heartbeat;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Feeds within the time that the manager waits.
const FEEDS: u32 = 3;

/// See the head of this file.
pub struct Supervisor {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that all is well; `None` for never.
    every: Option<Duration>,
    fed: Instant,
    /// Turns of each pinned thread when it was last told so.
    turns: Vec<u64>,
}

impl Supervisor {
    /// The one that the environment names.
    pub fn from_environment(now: Instant) -> Self {
        let socket = std::env::var_os("NOTIFY_SOCKET").and_then(|name| connect(name.as_bytes()));
        let micros = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Self::new(socket, micros.map(Duration::from_micros), now)
    }

    fn new(socket: Option<UnixDatagram>, watchdog: Option<Duration>, now: Instant) -> Self {
        let every = watchdog.map(|all| all / FEEDS);
        Self { socket, every, fed: now, turns: Vec::new() }
    }

    /// The session runs.
    pub fn ready(&self) {
        self.tell(b"READY=1");
    }

    /// The session ends.
    pub fn stopping(&self) {
        self.tell(b"STOPPING=1");
    }

    /// Tells that all is well, where it is due and every pinned thread has turned since.
    pub fn feed<'h>(&mut self, now: Instant, hearts: impl Iterator<Item = &'h Arc<Heartbeat>>) {
        let Some(every) = self.every else { return };
        if now < self.fed + every {
            return;
        }
        let turns: Vec<u64> = hearts.map(|heart| heart.turns()).collect();
        let all_turn = turns.iter().zip(&self.turns).all(|(now, before)| now != before);
        if all_turn {
            (self.fed, self.turns) = (now, turns);
            self.tell(b"WATCHDOG=1");
        }
    }

    fn tell(&self, what: &[u8]) {
        // A manager that does not listen is no reason to stop.
        let _ = self.socket.as_ref().map(|socket| socket.send(what));
    }
}

fn connect(name: &[u8]) -> Option<UnixDatagram> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name)),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_p18_a_manager_hears_of_life_only_while_every_pinned_thread_turns() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let heard = || {
            let mut text = [0; 64];
            let length = manager.recv(&mut text).ok()?;
            Some(String::from_utf8_lossy(&text[..length]).into_owned())
        };
        let start = Instant::now();
        let socket = connect(path.as_os_str().as_bytes());
        let mut told = Supervisor::new(socket, Some(Duration::from_secs(9)), start);
        told.ready();
        assert_eq!(heard().as_deref(), Some("READY=1"));
        let hearts = [Arc::new(Heartbeat::default()), Arc::new(Heartbeat::default())];
        let at = |seconds| start + Duration::from_secs(seconds);
        told.feed(at(2), hearts.iter());
        assert_eq!(heard(), None, "not due");
        told.feed(at(3), hearts.iter());
        assert_eq!(heard().as_deref(), Some("WATCHDOG=1"));
        hearts[0].beat();
        told.feed(at(6), hearts.iter());
        assert_eq!(heard(), None, "one stands still");
        hearts[1].beat();
        told.feed(at(7), hearts.iter());
        assert_eq!(heard().as_deref(), Some("WATCHDOG=1"));
        told.stopping();
        assert_eq!(heard().as_deref(), Some("STOPPING=1"));
    }

    #[test]
    fn without_a_manager_nothing_happens() {
        let mut none = Supervisor::new(None, None, Instant::now());
        none.ready();
        none.feed(Instant::now(), std::iter::empty());
    }
}
