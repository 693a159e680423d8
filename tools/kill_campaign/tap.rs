//! The exchange's ledger while a campaign of failovers runs, and what it and the journals have
//! against it in the end.

use crate::compare;
use crate::exchange::Exchange;
use crate::records;
use anyhow::{Result, bail};
use peregrine::base::event::{Order, SessionCarried};
use peregrine::base::{ClientOrderId, Kind, Nanos, Purpose};
use peregrine::runtime::clock::wall_now;
use peregrine::runtime::statement::Statement;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Longest wait for the other node to trade.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// Orders of a new epoch that must come before the next fault.
const ORDERS_MIN: usize = 3;
/// Time between two looks at the ledger; the times of orders are the exchange's own.
const LOOK: Duration = Duration::from_millis(200);
/// What a leader may not have told etcd yet when it was struck: a renewal or two.
const UNTOLD: Nanos = Nanos::from_secs(2);

/// The orders that the exchange took, by its numbers, which rise.
pub struct Tap<'e> {
    exchange: &'e Exchange,
    /// Whose each was, and when it was taken, in milliseconds.
    pub orders: BTreeMap<i64, (ClientOrderId, i64)>,
    /// When the first order of each epoch was taken, and how many there are.
    pub epochs: BTreeMap<u32, (i64, usize)>,
    /// Conditional orders.
    stops: BTreeSet<u64>,
    /// When the leader of an epoch was struck, and the end of its lease at the latest.
    struck: BTreeMap<u32, (i64, i64)>,
    /// How often etcd's leader was lost, and how often the same node led on.
    pub members: [u32; 2],
    /// What was found against it.
    pub broken: Vec<String>,
}

/// Milliseconds of the clock that the exchange has as well.
pub fn now_ms() -> i64 {
    wall_now().to_millis()
}

impl<'e> Tap<'e> {
    pub fn new(exchange: &'e Exchange) -> Self {
        Self {
            exchange,
            orders: BTreeMap::new(),
            epochs: BTreeMap::new(),
            stops: BTreeSet::new(),
            struck: BTreeMap::new(),
            members: [0, 0],
            broken: Vec::new(),
        }
    }

    /// Its leader was struck at `at`, and may not send from `end` on.
    pub fn on_strike(&mut self, epoch: u32, at: i64, end: i64) {
        self.struck.insert(epoch, (at, end));
    }

    pub fn look(&mut self) -> Result<()> {
        let ledger = Statement::read(&self.exchange.ledger()?)?;
        let account = ledger.account(self.exchange.api_key())?;
        // What a conditional order became is sent by nobody.
        let children = compare::children(account);
        for algo in &account.algo_orders {
            self.stops.extend(ClientOrderId::from_text(algo.client_id.as_bytes()).map(|id| id.0));
        }
        let mut open = Vec::new();
        for order in &account.orders {
            let Some(id) = ClientOrderId::from_text(order.client_id.as_bytes()) else { continue };
            if children.contains(&order.order_id.to_string()) {
                continue;
            }
            if compare::is_open(&order.status) {
                open.push(id);
            }
            if self.orders.insert(order.order_id, (id, order.time)).is_none() {
                let (first, count) = self.epochs.entry(id.epoch()).or_insert((i64::MAX, 0));
                (*first, *count) = ((*first).min(order.time), *count + 1);
            }
        }
        let newest = self.newest();
        for left in open.into_iter().filter(|id| id.epoch() < newest) {
            self.broken.push(format!("order {left} is open while epoch {newest} trades"));
        }
        Ok(())
    }

    pub fn newest(&self) -> u32 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }

    /// Waits for orders of a later epoch; when the first was taken.
    pub fn await_later(&mut self, than: u32) -> Result<i64> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            self.look()?;
            let later = self.epochs.range(than + 1..);
            if let Some((_, (_, count))) = later.clone().next_back()
                && *count >= ORDERS_MIN
            {
                return Ok(later.map(|(_, (first, _))| *first).min().unwrap_or(0));
            }
            std::thread::park_timeout(LOOK);
        }
        bail!("no node trades after epoch {than} within {} s", PATIENCE.as_secs())
    }

    /// Waits for more orders of the newest epoch; false where those of a later one came.
    pub fn await_more(&mut self, of: u32) -> Result<bool> {
        self.look()?;
        let count = |tap: &Self| tap.epochs.get(&of).map_or(0, |(_, count)| *count);
        let (began, before) = (Instant::now(), count(self));
        while began.elapsed() < PATIENCE {
            std::thread::park_timeout(LOOK);
            self.look()?;
            if self.newest() > of {
                return Ok(false);
            }
            if count(self) >= before + ORDERS_MIN {
                return Ok(true);
            }
        }
        bail!("epoch {of} does not trade on within {} s", PATIENCE.as_secs())
    }

    /// Looks for this long; how many orders were taken in the second half of it.
    pub fn watch(&mut self, time: Duration) -> Result<usize> {
        self.look_for(time / 2)?;
        let before = self.orders.len();
        self.look_for(time / 2)?;
        Ok(self.orders.len() - before)
    }

    fn look_for(&mut self, time: Duration) -> Result<()> {
        let began = Instant::now();
        while began.elapsed() < time {
            std::thread::park_timeout(LOOK);
            self.look()?;
        }
        Ok(())
    }

    /// What there is against it once every node has ended; `journals` are those of all nodes.
    pub fn judge(&mut self, journals: &[PathBuf]) -> Result<()> {
        self.look()?;
        self.judge_senders();
        let sessions = self.sessions(journals)?;
        let meant: BTreeSet<u64> =
            sessions.values().flat_map(|s| s.meant.iter().copied()).collect();
        let sent = self.orders.values().map(|(id, _)| id.0).chain(self.stops.iter().copied());
        for id in sent.filter(|id| !meant.contains(id)) {
            self.broken.push(format!("order {} is in no journal", ClientOrderId(id)));
        }
        self.judge_risk(&sessions);
        let ledger = Statement::read(&self.exchange.ledger()?)?;
        for order in &ledger.account(self.exchange.api_key())?.orders {
            if compare::is_open(&order.status) {
                self.broken.push(format!("order {} was left open", order.client_id));
            }
        }
        Ok(())
    }

    /// One sender after the other: by the exchange's numbers, and by its times.
    fn judge_senders(&mut self) {
        let (mut newest, mut names) = (0, BTreeSet::new());
        for (number, (id, time)) in &self.orders {
            let epoch = id.epoch();
            if epoch < newest {
                self.broken.push(format!("order {number} of epoch {epoch} after one of {newest}"));
            }
            if !names.insert(id.0) {
                self.broken.push(format!("order {id} is there twice"));
            }
            if let Some((at, end)) = self.struck.get(&epoch).filter(|(_, end)| time > end) {
                let late = time - end;
                self.broken.push(format!(
                    "order {id} is {late} ms past the lease of its leader, struck at {at}"
                ));
            }
            newest = newest.max(epoch);
        }
    }

    /// The sessions by their epochs.
    fn sessions(&mut self, journals: &[PathBuf]) -> Result<BTreeMap<u32, Session>> {
        let mut sessions = BTreeMap::new();
        for dir in journals {
            let session = Session::read(dir)?;
            if let Some(session) = session
                && sessions.insert(session.epoch, session).is_some()
            {
                self.broken.push(format!("{}: its epoch is another one's too", dir.display()));
            }
        }
        Ok(sessions)
    }

    /// What a successor counts is never less than what its predecessor had told.
    fn judge_risk(&mut self, sessions: &BTreeMap<u32, Session>) {
        let mut before: Option<&Session> = None;
        for (epoch, session) in sessions {
            let Some(earlier) = before.replace(session) else { continue };
            let mut wrong = |what: &str, from: i64, to: i64| {
                if to < from {
                    self.broken.push(format!("epoch {epoch}: {what} fell from {from} to {to}"));
                }
            };
            wrong("the peak", earlier.carried.peak_equity, session.carried.peak_equity);
            if earlier.day != session.day {
                continue;
            }
            let begun = |session: &Session| session.carried.day_start_equity;
            wrong("the start of the day", begun(earlier), begun(session));
            let told = match self.struck.get(&earlier.epoch) {
                Some((at, _)) => Nanos::from_millis(*at).0 - UNTOLD.0,
                None => 0,
            };
            let entries = earlier.entries.iter().filter(|sent| sent.0 <= told).count();
            let had = i64::from(earlier.carried.entries_today) + entries as i64;
            wrong("entries of the day", had, i64::from(session.carried.entries_today));
        }
    }
}

/// What a session began with, and what it sent.
struct Session {
    epoch: u32,
    day: i64,
    carried: SessionCarried,
    /// Every order that it intended.
    meant: BTreeSet<u64>,
    /// When each entry was intended.
    entries: Vec<Nanos>,
}

impl Session {
    /// `None` for one that ended before its opening was written.
    fn read(dir: &Path) -> Result<Option<Self>> {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let epoch = name.split('-').next().and_then(|digits| digits.parse().ok());
        let (Some(epoch), Some(opening)) = (epoch, records::opening(dir)?) else {
            return Ok(None);
        };
        let (mut meant, mut entries) = (BTreeSet::new(), Vec::new());
        for event in records::lane(dir, 3)? {
            if event.kind() == Some(Kind::OrderIntent) {
                let body: &Order = event.body();
                meant.insert(body.client_id);
                if Purpose::from_u8(body.purpose).is_some_and(Purpose::is_entry) {
                    entries.push(event.now());
                }
            }
        }
        let (day, carried) = (opening.now().utc_day(), *opening.body());
        Ok(Some(Self { epoch, day, carried, meant, entries }))
    }
}
