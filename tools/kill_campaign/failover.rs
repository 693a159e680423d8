//! Two nodes of one group on one account, and three members of etcd: leaders are killed, stopped
//! past their lease, cut off from etcd and left without a quorum, and the exchange's own ledger
//! tells who sent.
//!
//! ```text
//!  etcd ×3 ◄═══ node a, node b ────► exchange ──/sim/ledger──► orders as they were taken:
//!                                                     epochs never fall, names never repeat,
//!                                                     none is past the lease of its leader
//! ```
//! The time of a takeover is from the fault, or for a lost quorum from its return, to the time of
//! the first order of a later epoch by the exchange's clock.

use crate::etcd::{Cluster, MEMBERS};
use crate::exchange::Exchange;
use crate::tap::{PATIENCE, Tap, now_ms};
use crate::trader::{Ending, Trader, Traders};
use anyhow::{Context, Result};
use peregrine::base::Symbol;
use peregrine::runtime::recover::{Carried, Chain};
use peregrine::runtime::statement::Statement;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Length of a lease in the campaign, seconds: the least that etcd gives with its usual timing,
/// and one more for a busy machine.
const TTL_S: u64 = 3;
/// Times that a node may lose its lease before it is started anew: one more, and it would stand by
/// for ten minutes.
const LOSSES_MAX: u32 = 2;
/// How long a node is watched that was stopped or cut off, and goes on.
const AFTERWARDS: Duration = Duration::from_secs(2);
/// Longest wait before a fault, milliseconds: so that it meets any part of a renewal.
const WAIT_MS_MAX: u64 = 1_000;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// SIGKILL of the leading node.
    Kill,
    /// SIGSTOP of it past its lease; it goes on when the other one trades.
    Stop,
    /// The leading node is cut off from etcd, not from the exchange, until the other one trades.
    Cut,
    /// SIGKILL of etcd's leading member: no failover follows, where they find another one in time.
    Member,
    /// SIGKILL of two members past the lease: nobody trades.
    Quorum,
}

/// Four of five are failovers.
const FAULTS: [Fault; 5] = [Fault::Kill, Fault::Stop, Fault::Cut, Fault::Member, Fault::Quorum];

/// A node's place and process.
struct Node<'e> {
    place: usize,
    traders: Traders<'e>,
    /// Orders rest, or they are taken at once.
    maker: bool,
    process: Option<Trader>,
    /// Leases that the process lost.
    losses: u32,
}

impl<'e> Node<'e> {
    fn new(folder: &Path, exchange: &'e Exchange, seed: u64, place: usize) -> Result<Self> {
        let folder = folder.join(name(place));
        std::fs::create_dir(&folder)?;
        let traders = Traders::new(&folder, exchange, seed)?;
        Ok(Self { place, traders, maker: !seed.is_multiple_of(2), process: None, losses: 0 })
    }

    fn start(&mut self, cluster: &Cluster) -> Result<()> {
        let (ttl, endpoints) = (TTL_S.to_string(), cluster.endpoints(self.place));
        let variables = [
            ("PEREGRINE__STANDBY__GROUP", "campaign"),
            ("PEREGRINE__STANDBY__NODE", name(self.place)),
            ("PEREGRINE__STANDBY__ENDPOINTS", &endpoints),
            ("PEREGRINE__STANDBY__TTL_S", &ttl),
            ("PEREGRINE__STANDBY__RENEW_MS", "300"),
            ("PEREGRINE__STANDBY__MARGIN_MS", "300"),
            ("PEREGRINE__STANDBY__SKEW_MS_MAX", "100"),
            ("PEREGRINE__VENUE__DEAD_MAN_MS", "20000"),
            // The ledger is read again and again, whole.
            ("PEREGRINE__POLICY__DECISION_INTERVAL_MS", "200"),
            ("PEREGRINE__POLICY__ENTRY_REST_MS_MAX", "1000"),
        ];
        self.process = Some(self.traders.start_with(self.maker, &variables)?);
        self.losses = 0;
        Ok(())
    }

    fn has_epoch(&self, epoch: u32) -> bool {
        self.traders.journals().iter().any(|dir| dir.ends_with(format!("{epoch:07}-paper")))
    }

    /// Asks it to end; what speaks against how it did goes to `broken`.
    fn end(&mut self, broken: &mut Vec<String>) -> Result<()> {
        let ending = self.process.take().context("no process")?.terminate(PATIENCE)?;
        if ending != Ending::InOrder {
            let words = self.traders.last_words();
            broken.push(format!("{}: {ending:?}: {words}", name(self.place)));
        }
        Ok(())
    }
}

const fn name(place: usize) -> &'static str {
    if place == 0 { "a" } else { "b" }
}

/// Runs so many faults; true where the ledger has nothing against it.
pub fn run(folder: &Path, exchange: &Exchange, seed: u64, faults: u32) -> Result<bool> {
    let began = Instant::now();
    let mut cluster = Cluster::start(&folder.join("etcd"), 2)?;
    let mut nodes = [Node::new(folder, exchange, seed, 0)?, Node::new(folder, exchange, seed, 1)?];
    nodes.iter_mut().try_for_each(|node| node.start(&cluster))?;
    let mut tap = Tap::new(exchange);
    tap.await_later(0).with_context(|| nodes[0].traders.last_words())?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut takeovers: BTreeMap<Fault, Vec<i64>> = BTreeMap::new();
    for n in 0..faults {
        let fault = FAULTS[n as usize % FAULTS.len()];
        std::thread::park_timeout(Duration::from_millis(rng.random_range(0..WAIT_MS_MAX)));
        let epoch = tap.newest();
        let leads = nodes.iter().position(|node| node.has_epoch(epoch)).context("no leader")?;
        let took = strike(fault, &mut cluster, &mut nodes[leads], &mut tap);
        let took = took.with_context(|| {
            let words = nodes.each_ref().map(|node| node.traders.last_words());
            format!("{fault:?} at epoch {epoch}: {} || {}", words[0], words[1])
        })?;
        eprintln!("{n:3} {fault:?} of epoch {epoch} at {}: {took:?} ms", name(leads));
        takeovers.entry(fault).or_default().extend(took);
        refresh(&cluster, &mut nodes, &mut tap)?;
    }
    end(&mut nodes, exchange, &mut tap)?;
    let journals: Vec<PathBuf> = nodes.iter().flat_map(|node| node.traders.journals()).collect();
    tap.judge(&journals)?;
    Ok(report(&takeovers, &tap, began))
}

/// Does it to the leading node; how many milliseconds it took until another session traded, where
/// one had to.
fn strike(
    fault: Fault,
    cluster: &mut Cluster,
    node: &mut Node<'_>,
    tap: &mut Tap<'_>,
) -> Result<Option<i64>> {
    let (epoch, began) = (tap.newest(), now_ms());
    if fault != Fault::Member {
        // Its last renewal left before this.
        tap.on_strike(epoch, began, began + Duration::from_secs(TTL_S).as_millis() as i64);
        node.losses += 1;
    }
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
            tap.watch(AFTERWARDS)?;
            Ok(Some(took))
        }
        Fault::Cut => {
            cluster.cut(node.place, true)?;
            let first = tap.await_later(epoch);
            tap.watch(AFTERWARDS)?;
            cluster.cut(node.place, false)?;
            Ok(Some(first? - began))
        }
        Fault::Member => {
            let leader = cluster.await_leader()?;
            cluster.kill(leader)?;
            cluster.await_leader()?;
            tap.members[0] += 1;
            tap.members[1] += u32::from(tap.await_more(epoch)?);
            cluster.begin(leader)?;
            Ok(None)
        }
        Fault::Quorum => {
            let leader = cluster.await_leader()?;
            let gone = [leader, (leader + 1) % MEMBERS];
            gone.iter().try_for_each(|at| cluster.kill(*at))?;
            // Twice the lease: in the second half of it nobody may send.
            let late = tap.watch(Duration::from_secs(2 * (TTL_S + 1)))?;
            if late > 0 {
                tap.broken.push(format!("{late} orders without a quorum, epoch {epoch}"));
            }
            gone.iter().try_for_each(|at| cluster.begin(*at))?;
            let began = now_ms();
            Ok(Some(tap.await_later(epoch)? - began))
        }
    }
}

/// Starts what was killed, and what lost its lease often and stands by, after an end in order.
fn refresh(cluster: &Cluster, nodes: &mut [Node<'_>; 2], tap: &mut Tap<'_>) -> Result<()> {
    for node in nodes {
        let leads = node.has_epoch(tap.newest());
        if node.process.is_some() && !leads && node.losses >= LOSSES_MAX {
            node.end(&mut tap.broken)?;
        }
        if node.process.is_none() {
            node.start(cluster)?;
        }
    }
    Ok(())
}

/// The node that stands by ends first, so that no other takes over from the one that leads; what
/// that one holds then is what the exchange holds.
fn end(nodes: &mut [Node<'_>; 2], exchange: &Exchange, tap: &mut Tap<'_>) -> Result<()> {
    tap.look()?;
    let newest = tap.newest();
    nodes.sort_by_key(|node| node.has_epoch(newest));
    for node in nodes.iter_mut() {
        node.end(&mut tap.broken)?;
    }
    let chain = Chain { name: "paper", at_venue: true };
    let journals = nodes[1].traders.state().join("journal");
    let carried = Carried::read(&journals, &chain, None)?;
    let ledger = Statement::read(&exchange.ledger()?)?;
    for held in &ledger.account(exchange.api_key())?.positions {
        let symbol = Symbol::new(held.symbol.as_bytes());
        let own = symbol.and_then(|symbol| carried.position(symbol)).map_or(0, |own| own.qty);
        if own != held.qty {
            let told = format!("{}: {} at the exchange, {own} here", held.symbol, held.qty);
            tap.broken.push(told);
        }
    }
    Ok(())
}

fn report(takeovers: &BTreeMap<Fault, Vec<i64>>, tap: &Tap<'_>, began: Instant) -> bool {
    let all: Vec<i64> = takeovers.values().flatten().copied().collect();
    let each: BTreeMap<String, serde_json::Value> = takeovers
        .iter()
        .filter(|(_, took)| !took.is_empty())
        .map(|(fault, took)| (format!("{fault:?}").to_lowercase(), spread(took)))
        .collect();
    for line in &tap.broken {
        eprintln!("BROKEN: {line}");
    }
    let line = json!({
        "failovers": all.len(),
        "takeover_ms": spread(&all),
        "by_fault": each,
        "members_lost": {"count": tap.members[0], "same_leader": tap.members[1]},
        "epochs": tap.epochs.len(),
        "orders": tap.orders.len(),
        "broken": tap.broken.len(),
        "seconds": began.elapsed().as_secs(),
    });
    println!("{line}");
    tap.broken.is_empty()
}

/// Median, 99th percentile and worst of some times, and how many they are.
fn spread(times: &[i64]) -> serde_json::Value {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(place).copied().unwrap_or(0)
    };
    json!({"count": sorted.len(), "p50": at(50), "p99": at(99), "max": at(100)})
}
