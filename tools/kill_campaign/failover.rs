//! Two nodes of one group on one account, and three members of etcd: leaders are killed, stopped
//! past their lease, and left without a quorum, and the exchange's own ledger tells who sent.
//!
//! ```text
//!  etcd ×3 ◄──── node a, node b ────► exchange ──/sim/ledger──► orders as they were taken:
//!                                                     epochs never fall, names never repeat
//! ```
//! The time of a takeover is from the fault, or for a lost quorum from its return, to the first
//! order that the exchange has of a later epoch.

use crate::etcd::{Cluster, MEMBERS};
use crate::exchange::Exchange;
use crate::records;
use crate::trader::{Ending, Trader, Traders};
use anyhow::{Context, Result, bail};
use peregrine::base::event::{Order, SessionCarried};
use peregrine::base::{ClientOrderId, Kind};
use peregrine::runtime::statement::Statement;
use rustix::process::Signal;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Length of a lease in the campaign, seconds: the least that etcd gives with its usual timing,
/// and one more for a busy machine.
const TTL_S: u64 = 3;
/// Longest wait for the other node to trade.
const PATIENCE: Duration = Duration::from_secs(120);
/// Orders of a new epoch that must come before the next fault.
const ORDERS_MIN: usize = 3;
/// Time between two looks at the ledger.
const LOOK: Duration = Duration::from_millis(50);

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// SIGKILL of the leading node.
    Kill,
    /// SIGSTOP of it past its lease; it goes on when the other one trades.
    Stop,
    /// SIGKILL of etcd's leading member: no failover follows.
    Member,
    /// SIGKILL of two members past the lease: nobody trades.
    Quorum,
}

/// Three of four are failovers.
const FAULTS: [Fault; 4] = [Fault::Kill, Fault::Stop, Fault::Member, Fault::Quorum];

/// The orders that the exchange took, by its numbers, which rise.
struct Tap<'e> {
    exchange: &'e Exchange,
    orders: BTreeMap<i64, ClientOrderId>,
    /// When an order of each epoch was seen first, and how many there are.
    epochs: BTreeMap<u32, (Instant, usize)>,
}

impl<'e> Tap<'e> {
    fn look(&mut self) -> Result<()> {
        let ledger = Statement::read(&self.exchange.ledger()?)?;
        for order in &ledger.account(self.exchange.api_key())?.orders {
            let Some(id) = ClientOrderId::from_text(order.client_id.as_bytes()) else { continue };
            if self.orders.insert(order.order_id, id).is_none() {
                let epoch = self.epochs.entry(id.epoch()).or_insert((Instant::now(), 0));
                epoch.1 += 1;
            }
        }
        Ok(())
    }

    fn newest(&self) -> u32 {
        self.epochs.keys().next_back().copied().unwrap_or(0)
    }

    /// Waits for orders of a later epoch; when the first was seen.
    fn await_later(&mut self, than: u32) -> Result<Instant> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            self.look()?;
            let newest = self.epochs.iter().next_back().filter(|(epoch, _)| **epoch > than);
            if let Some((_, (first, _))) = newest.filter(|(_, (_, count))| *count >= ORDERS_MIN) {
                return Ok(*first);
            }
            std::thread::park_timeout(LOOK);
        }
        bail!("no node trades after epoch {than} within {} s", PATIENCE.as_secs())
    }

    /// Looks for this long; how many orders came in the second half of it.
    fn watch(&mut self, time: Duration) -> Result<usize> {
        for half in 0..2 {
            let (began, before) = (Instant::now(), self.orders.len());
            while began.elapsed() < time / 2 {
                self.look()?;
                std::thread::park_timeout(LOOK);
            }
            if half == 1 {
                return Ok(self.orders.len() - before);
            }
        }
        Ok(0)
    }
}

/// A node's place and process.
struct Node<'e> {
    name: &'static str,
    traders: Traders<'e>,
    process: Option<Trader>,
}

impl<'e> Node<'e> {
    fn new(folder: &Path, exchange: &'e Exchange, seed: u64, name: &'static str) -> Result<Self> {
        let folder = folder.join(name);
        std::fs::create_dir(&folder)?;
        Ok(Self { name, traders: Traders::new(&folder, exchange, seed)?, process: None })
    }

    fn start(&mut self, endpoints: &str) -> Result<()> {
        let ttl = TTL_S.to_string();
        let variables = [
            ("PEREGRINE__STANDBY__GROUP", "campaign"),
            ("PEREGRINE__STANDBY__NODE", self.name),
            ("PEREGRINE__STANDBY__ENDPOINTS", endpoints),
            ("PEREGRINE__STANDBY__TTL_S", &ttl),
            ("PEREGRINE__STANDBY__RENEW_MS", "300"),
            ("PEREGRINE__STANDBY__MARGIN_MS", "300"),
            ("PEREGRINE__VENUE__DEAD_MAN_MS", "20000"),
        ];
        self.process = Some(self.traders.start_with(false, &variables)?);
        Ok(())
    }

    fn has_epoch(&self, epoch: u32) -> bool {
        self.traders.journals().iter().any(|dir| dir.ends_with(format!("{epoch:07}-paper")))
    }
}

/// Runs so many faults; true where the ledger has nothing against it.
pub fn run(folder: &Path, exchange: &Exchange, seed: u64, faults: u32) -> Result<bool> {
    let mut cluster = Cluster::start(&folder.join("etcd"))?;
    let endpoints = cluster.endpoints();
    let mut nodes =
        [Node::new(folder, exchange, seed, "a")?, Node::new(folder, exchange, seed, "b")?];
    nodes.iter_mut().try_for_each(|node| node.start(&endpoints))?;
    let mut tap = Tap { exchange, orders: BTreeMap::new(), epochs: BTreeMap::new() };
    tap.await_later(0).with_context(|| nodes[0].traders.last_words())?;
    let mut takeovers = Vec::new();
    let mut broken = Vec::new();
    for n in 0..faults {
        let fault = FAULTS[n as usize % FAULTS.len()];
        let epoch = tap.newest();
        let leads = nodes.iter().position(|node| node.has_epoch(epoch)).context("no leader")?;
        let took = strike(fault, &mut cluster, &mut nodes[leads], &mut tap, &mut broken)
            .with_context(|| {
                let words = nodes.each_ref().map(|node| node.traders.last_words());
                format!("{fault:?} at epoch {epoch}: {} || {}", words[0], words[1])
            })?;
        if nodes[leads].process.is_none() {
            nodes[leads].start(&endpoints)?;
        }
        eprintln!("{n:3} {fault:?} of epoch {epoch} at {}: {took:?}", nodes[leads].name);
        takeovers.extend(took);
    }
    end(&mut nodes, &tap, &mut broken)?;
    tap.look()?;
    let journals: Vec<PathBuf> = nodes.iter().flat_map(|node| node.traders.journals()).collect();
    broken.extend(findings(&tap, &journals)?);
    Ok(report(takeovers, &tap, &broken))
}

/// Does it to the leading node; how long it took until another session traded, where one had to.
fn strike(
    fault: Fault,
    cluster: &mut Cluster,
    node: &mut Node<'_>,
    tap: &mut Tap<'_>,
    broken: &mut Vec<String>,
) -> Result<Option<Duration>> {
    let epoch = tap.newest();
    let began = Instant::now();
    match fault {
        Fault::Kill => {
            node.process.take().context("no process")?.kill()?;
            Ok(Some(tap.await_later(epoch)? - began))
        }
        Fault::Stop => {
            let process = node.process.as_ref().context("no process")?;
            process.signal(Signal::STOP)?;
            let first = tap.await_later(epoch);
            process.signal(Signal::CONT)?;
            let took = first? - began;
            // What it does now that it goes on is in the ledger, if it does anything.
            tap.watch(Duration::from_secs(2))?;
            Ok(Some(took))
        }
        Fault::Member => {
            let leader = cluster.await_leader()?;
            cluster.kill(leader)?;
            cluster.await_leader()?;
            let came = tap.watch(Duration::from_secs(4))?;
            cluster.begin(leader)?;
            if came == 0 {
                broken.push(format!("no order after etcd's leader was lost, epoch {epoch}"));
            }
            Ok(None)
        }
        Fault::Quorum => {
            let leader = cluster.await_leader()?;
            let gone = [leader, (leader + 1) % MEMBERS];
            gone.iter().try_for_each(|at| cluster.kill(*at))?;
            // Twice the lease: in the second half of it nobody may send.
            let late = tap.watch(Duration::from_secs(2 * (TTL_S + 1)))?;
            if late > 0 {
                broken.push(format!("{late} orders without a quorum, epoch {epoch}"));
            }
            gone.iter().try_for_each(|at| cluster.begin(*at))?;
            let began = Instant::now();
            Ok(Some(tap.await_later(epoch)? - began))
        }
    }
}

/// The node that stands by ends first, so that no other takes over from the one that leads.
fn end(nodes: &mut [Node<'_>; 2], tap: &Tap<'_>, broken: &mut Vec<String>) -> Result<()> {
    let newest = tap.newest();
    nodes.sort_by_key(|node| node.has_epoch(newest));
    for node in nodes {
        let ending = node.process.take().context("no process")?.terminate(PATIENCE)?;
        if ending != Ending::InOrder {
            broken.push(format!("{}: {ending:?}: {}", node.name, node.traders.last_words()));
        }
    }
    Ok(())
}

/// What the ledger and the journals have against it.
fn findings(tap: &Tap<'_>, journals: &[PathBuf]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let (mut newest, mut names) = (0, BTreeSet::new());
    for (number, id) in &tap.orders {
        if id.epoch() < newest {
            found.push(format!("order {number} of epoch {} after one of {newest}", id.epoch()));
        }
        if !names.insert(id.0) {
            found.push(format!("order {id} is there twice"));
        }
        newest = newest.max(id.epoch());
    }
    let (mut meant, mut starts) = (BTreeSet::new(), BTreeMap::new());
    for dir in journals {
        for event in records::lane(dir, 3)? {
            if event.kind() == Some(Kind::OrderIntent) {
                meant.insert(event.body::<Order>().client_id);
            }
        }
        let inputs = records::lane(dir, 0)?;
        let carried = inputs.iter().find(|event| event.kind() == Some(Kind::SessionCarried));
        if let (Some(event), Some(name)) = (carried, dir.file_name()) {
            let carried: SessionCarried = *event.body();
            starts.insert(name.to_owned(), (carried, event.now().utc_day()));
        }
    }
    for id in tap.orders.values().filter(|id| !meant.contains(&id.0)) {
        found.push(format!("order {id} is in no journal"));
    }
    let (mut peak, mut day) = (0, None);
    for (name, (carried, today)) in &starts {
        if carried.peak_equity < peak {
            found.push(format!("{}: its peak is lower than before", name.display()));
        }
        peak = carried.peak_equity;
        // Whoever takes over counts the day's loss from where the day began.
        let begun = (*today, carried.day_start_equity);
        if day.replace(begun).is_some_and(|(before, from)| before == *today && from > begun.1) {
            found.push(format!("{}: its day begins lower than before", name.display()));
        }
    }
    Ok(found)
}

fn report(mut takeovers: Vec<Duration>, tap: &Tap<'_>, broken: &[String]) -> bool {
    takeovers.sort_unstable();
    let at = |percent: usize| {
        let place = (takeovers.len() * percent).div_ceil(100).max(1) - 1;
        takeovers.get(place).map_or(0.0, Duration::as_secs_f64)
    };
    for line in broken {
        eprintln!("BROKEN: {line}");
    }
    let line = json!({
        "failovers": takeovers.len(),
        "takeover_s": {"p50": at(50), "p99": at(99), "max": at(100)},
        "epochs": tap.epochs.len(),
        "orders": tap.orders.len(),
        "broken": broken.len(),
    });
    println!("{line}");
    broken.is_empty()
}
