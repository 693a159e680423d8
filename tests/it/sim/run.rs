//! One seed from start to end: a safety phase in which things go wrong, a liveness phase in which
//! nothing does, and what is held against the exchange afterwards.

use super::books::Books;
use super::net::World;
use super::outside::Shared;
use super::plan::{Deed, LIVENESS, Plan, SAFETY};
use super::session::Session;
use super::watch::{Watch, instrument_of};
use super::{account, agree, loss, parts};
use crate::lanes::sound;
use crate::pipeline_support::lane_files;
use crate::process::look;
use peregrine::base::event::Event;
use peregrine::base::{Nanos, Reason};
use peregrine::exchange::fault::{Faults, world};
use peregrine::exchange::wire::http::Request;
use peregrine::model::ArtifactFiles;
use peregrine::risk::TradingState;
use peregrine::runtime::config::Loaded;
use peregrine::runtime::state::StateFolder;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

/// Longest time between two turns of the feed's loop.
const TURN: Nanos = Nanos::from_millis(10);
/// A connection that was refused may wait for half a minute, and a snapshot behind it for a third
/// of one.
const BOOKS_MORE: Nanos = Nanos::from_secs(15);
/// The longest time for which the exchange refuses everybody who asked too often.
const STOPPED_MAX: Nanos = Nanos::from_secs(300);
/// How long a process takes to be started again.
const START: Nanos = Nanos::from_millis(500);

/// What a seed came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Promises broken, as sentences.
    pub broken: Vec<String>,
    /// Requests that left.
    pub sent: u64,
    /// Fills heard.
    pub fills: u64,
    /// Books compared with the exchange's.
    pub books: u64,
    /// Sessions.
    pub sessions: u32,
    /// The trading state at the end, and the number of its reason.
    pub ended: Option<(TradingState, u16)>,
    /// Time after the last fault until everything agreed; `None` where it had halted instead.
    pub settled: Option<Nanos>,
    /// Hash of every journal's lanes 0 to 3.
    pub journals: u64,
}

/// A seed under way.
pub struct Run {
    pub world: Shared,
    session: Option<Session>,
    loaded: Loaded,
    model: ArtifactFiles,
    deeds: VecDeque<(Nanos, Deed)>,
    folder: TempDir,
    sessions: u32,
    dirs: Vec<PathBuf>,
    /// Journals whose newest records were lost.
    lossy: Vec<PathBuf>,
    /// The session was told to end.
    is_ending: bool,
    /// When the process is started again.
    starts_at: Option<Nanos>,
    /// By contract: the session, the update id and the snapshot of the book compared last.
    compared: BTreeMap<usize, (u32, u64, u64)>,
}

impl Run {
    /// Everything built, nothing begun.
    pub fn new(seed: u64, plan: Plan) -> Self {
        Self::with(seed, plan, &[], parts::OPENED)
    }

    /// The same with changes to the configuration, at an exchange that opens at a time.
    pub fn with(seed: u64, plan: Plan, changes: &[(&str, &str, &str)], opened_at: Nanos) -> Self {
        let exchange = parts::exchange(seed, opened_at);
        let mut faults = Faults::new(seed, exchange.now());
        for fault in plan.faults {
            let _ = faults.add(fault);
        }
        let loaded = parts::loaded_with(plan.setting, changes);
        let watch = Watch::new(parts::bounds());
        let mut world = World::new(seed, exchange, faults, watch);
        world.manners = plan.manners;
        world.cuts = plan.cuts.into();
        let world = Rc::new(RefCell::new(world));
        let (folder, deeds) = (parts::folder(), plan.deeds.into());
        Self {
            world,
            session: None,
            loaded,
            model: parts::model().clone(),
            deeds,
            folder,
            sessions: 0,
            dirs: Vec::new(),
            lossy: Vec::new(),
            is_ending: false,
            starts_at: None,
            compared: BTreeMap::new(),
        }
    }

    /// The same with keys of the configuration replaced.
    pub fn configured(seed: u64, plan: Plan, changes: &[(&str, &str, &str)]) -> Self {
        Self::with(seed, plan, changes, parts::OPENED)
    }

    /// Lets another model decide in every session.
    pub fn give_model(&mut self, model: ArtifactFiles) {
        self.world.borrow_mut().watch.set_bounds(parts::bounds_of(&model));
        self.model = model;
    }

    /// What the account holds at the exchange, over both contracts, in 1e-8.
    pub fn held(&self) -> i64 {
        let world = self.world.borrow();
        let positions = world.exchange.accounts.positions(&world.exchange.market, 0);
        positions.iter().map(|view| view.news.qty.0.abs()).sum()
    }

    /// Runs a seed to its end.
    pub fn seed(seed: u64) -> Outcome {
        Self::new(seed, Plan::of(seed)).until_end()
    }

    /// Runs to the end.
    pub fn until_end(mut self) -> Outcome {
        self.start();
        while self.now() < SAFETY {
            self.step(SAFETY);
        }
        self.until_settled()
    }

    /// Runs to the end, once nothing goes wrong any more.
    pub fn until_settled(mut self) -> Outcome {
        self.heal();
        let settled = self.settle();
        self.see_whole_books();
        self.finish(settled)
    }

    pub fn now(&self) -> Nanos {
        self.world.borrow().now()
    }

    fn fail(&self, what: String) {
        self.world.borrow_mut().watch.fail(what);
    }

    /// Starts a process.
    pub fn start(&mut self) {
        let Some(key) = self.listen_key() else {
            self.starts_at = Some(self.now() + START);
            return;
        };
        self.sessions += 1;
        // A program that another test starts was forked off and holds our lock until it runs.
        let state = look("the folder to be free", || StateFolder::open(self.folder.path()));
        let made = parts::parts(&self.world.borrow().exchange, &self.loaded, &self.model, &state);
        match made {
            Ok((parts, dir)) => {
                self.session = Some(Session::start(&self.world, &parts, &dir, &key, state));
                self.dirs.push(dir);
            }
            Err(error) => self.fail(format!("the session did not start: {error:#}")),
        }
    }

    /// A key for the account's stream. Without one the start fails and is tried again.
    fn listen_key(&self) -> Option<String> {
        let mut world = self.world.borrow_mut();
        let now = world.venue_time();
        let request = Request {
            method: "POST".to_owned(),
            path: "/fapi/v1/listenKey".to_owned(),
            api_key: account::key(),
            ..Request::default()
        };
        let answer = world.exchange.http(&request, [127, 0, 0, 1].into(), now);
        let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        body["listenKey"].as_str().map(str::to_owned)
    }

    /// Lets the world go on to the next thing the session may have to do, and turns its loop.
    pub fn step(&mut self, end: Nanos) {
        let due = self.deeds.front().map_or(end, |(at, _)| *at);
        let until = (self.now() + TURN).min(due).min(end);
        self.world.borrow_mut().run_until(until);
        self.turn();
        if self.now() >= due
            && let Some((_, deed)) = self.deeds.pop_front()
        {
            self.carry_out(deed);
        }
    }

    fn turn(&mut self) {
        if let Some(at) = self.starts_at
            && self.now() >= at
        {
            self.starts_at = None;
            self.start();
        }
        let Some(session) = &mut self.session else { return };
        let now = self.world.borrow().clock();
        let turned = match catch_unwind(AssertUnwindSafe(|| session.turn(now))) {
            Ok(turned) => turned,
            // The process is gone as if it had been killed in the middle of what it did.
            Err(_) if self.world.borrow_mut().panics_in.take_if(|left| *left == 0).is_some() => {
                drop(self.crash());
                return;
            }
            Err(other) => resume_unwind(other),
        };
        let ended = turned.is_ok() && self.is_ending && session.has_ended();
        if let Err(halt) = turned {
            self.fail(format!("the feed's loop ended: {halt}"));
            self.session = None;
        } else if ended {
            self.end_in_order();
        }
        self.world.borrow_mut().watch.drain();
        self.check_books();
    }

    /// B1 and B2: what the session holds of the market against the exchange itself.
    fn check_books(&mut self) {
        let mut world = self.world.borrow_mut();
        for trade in std::mem::take(&mut world.watch.trades) {
            if let Some(found) = Books::wrong_trade(&world.exchange, &trade) {
                world.watch.fail(found);
            }
        }
        let Some(session) = &mut self.session else { return };
        for contract in 0..world.exchange.market.len() {
            let (book, snapshot) = session.book(instrument_of(contract));
            let stands = (self.sessions, book.last_id(), snapshot);
            if !book.is_valid() || self.compared.get(&contract) == Some(&stands) {
                continue;
            }
            self.compared.insert(contract, stands);
            if let Some(found) = world.books.difference(contract, book, snapshot) {
                let at = world.now().to_millis();
                world.watch.fail(format!("{found} ({at} ms)"));
            }
        }
    }

    /// True while the session holds every book valid.
    pub fn has_whole_books(&mut self) -> bool {
        let contracts = self.world.borrow().exchange.market.len();
        let Some(session) = &mut self.session else { return false };
        (0..contracts).map(instrument_of).all(|instrument| {
            session.is_asleep(instrument) || session.book(instrument).0.is_valid()
        })
    }

    /// B1 at the end: whatever went wrong, every book is whole again in time, and the exchange's.
    fn see_whole_books(&mut self) {
        let mut end = SAFETY + LIVENESS + BOOKS_MORE;
        while !self.has_whole_books() && self.now() < end {
            self.step(end);
            // What was asked too often before may not be asked for a while.
            let wall = self.world.borrow().wall();
            if self.session.as_ref().is_some_and(|session| !session.may_ask(wall)) {
                end = (self.now() + BOOKS_MORE).max(end).min(SAFETY + STOPPED_MAX);
            }
        }
        if !self.has_whole_books() {
            let contracts = self.world.borrow().exchange.market.len();
            let reasons = self.session.as_mut().map(|session| {
                let reason = |contract| session.book(instrument_of(contract)).0.reason();
                (0..contracts).map(reason).collect::<Vec<_>>()
            });
            self.fail(format!("B1: not every book was made whole again: {reasons:?}"));
        }
    }

    /// The process has ended as it was told to, and is started again.
    fn end_in_order(&mut self) {
        let Some(session) = self.session.take() else { return };
        if let Err(halt) = session.finish() {
            self.fail(format!("the session's end was not recorded: {halt}"));
        }
        self.world.borrow_mut().watch.drain();
        self.world.borrow_mut().forget_session();
        self.is_ending = false;
        self.starts_at = Some(self.now() + START);
    }

    /// The process dies; the folder of its journal.
    pub fn crash(&mut self) -> Option<PathBuf> {
        let session = self.session.take()?;
        self.world.borrow_mut().watch.drain();
        self.world.borrow_mut().forget_session();
        self.is_ending = false;
        self.starts_at = Some(self.now() + START);
        Some(session.crash())
    }

    fn carry_out(&mut self, deed: Deed) {
        match (deed, &mut self.session) {
            (Deed::Command { verb }, Some(session)) => session.command(verb),
            (Deed::Symbol { instrument, state, flat }, Some(session)) => {
                session.order_symbol(instrument, state, flat);
            }
            (Deed::Jump { ms }, _) => {
                let mut world = self.world.borrow_mut();
                world.skew = world.skew + Nanos::from_millis(ms);
            }
            (Deed::Pause { ms }, _) => self.pause(ms),
            (Deed::Panic { reads }, Some(_)) => self.world.borrow_mut().panics_in = Some(reads),
            (Deed::Restart, Some(session)) if !self.is_ending => {
                self.is_ending = true;
                if let Err(halt) = session.begin_end() {
                    self.fail(format!("the session's end did not begin: {halt}"));
                }
            }
            (Deed::Crash { lost }, _) => {
                if let Some(dir) = self.crash().filter(|_| lost > 0) {
                    loss::lose(&dir, lost);
                    self.lossy.push(dir);
                }
            }
            _ => {}
        }
    }

    /// The process stands still for so many milliseconds while the world goes on.
    pub fn pause(&mut self, ms: i64) {
        let mut world = self.world.borrow_mut();
        let until = world.now() + Nanos::from_millis(ms);
        while world.now() < until {
            world.run_until(until);
        }
    }

    /// The trading state and why, once `ms` milliseconds have passed.
    pub fn state_after(&mut self, ms: i64) -> (TradingState, u16) {
        let end = self.now() + Nanos::from_millis(ms);
        while self.now() < end {
            self.step(end);
        }
        self.world.borrow().watch.state()
    }

    /// Folders of the journals, oldest session first.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// What a lane of the newest journal holds by now.
    pub fn lane(&self, lane: usize) -> Vec<Event> {
        sound(self.dirs.last().expect("a session was started"), lane)
    }

    /// The session's process.
    pub fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("a session runs")
    }

    /// Nothing goes wrong from here on.
    fn heal(&mut self) {
        let mut world = self.world.borrow_mut();
        for change in world.faults.remove(None).unwrap_or_default() {
            let now = world.venue_time();
            let _ = world::apply(&mut world.exchange, &change, now);
        }
        world.manners = Plan::calm().manners;
        world.skew = Nanos::ZERO;
        world.exchange.skew = Nanos::ZERO;
    }

    /// T4 and T8: agrees with the exchange in time, money included, or has halted and says why.
    pub fn settle(&mut self) -> Option<Nanos> {
        let end = SAFETY + LIVENESS;
        let mut differences = Vec::new();
        while self.now() < end {
            self.step(end);
            let (state, reason) = self.world.borrow().watch.state();
            if matches!(state, TradingState::Halted | TradingState::Killed) {
                if reason == Reason::None as u16 {
                    self.fail(format!("T4: {state:?} for no reason"));
                }
                return None;
            }
            differences = match &mut self.session {
                Some(session) => agree::differences(session, &self.world.borrow().exchange),
                None => vec!["no session".to_owned()],
            };
            if differences.is_empty() && state != TradingState::Reconciling {
                self.check_money();
                return Some(self.now() - SAFETY);
            }
        }
        let (state, reason) = self.world.borrow().watch.state();
        self.fail(format!("T4: {state:?} (reason {reason}) at the end: {differences:?}"));
        None
    }

    /// True where orders and positions are those of the exchange.
    pub fn agrees(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        agree::differences(session, &self.world.borrow().exchange).is_empty()
    }

    /// T8, where everything else agrees.
    pub fn check_money(&mut self) {
        let Some(session) = &mut self.session else { return };
        let found = agree::money(session, &self.world.borrow().exchange);
        found.into_iter().for_each(|what| self.fail(what));
    }

    pub fn finish(mut self, settled: Option<Nanos>) -> Outcome {
        drop(self.crash());
        for dir in self.dirs.clone() {
            self.replay(&dir);
        }
        let bytes: Vec<u64> = self.dirs.iter().flat_map(|dir| hashes(dir)).collect();
        let text: Vec<u8> = bytes.iter().flat_map(|hash| hash.to_le_bytes()).collect();
        let mut world = self.world.borrow_mut();
        Outcome {
            broken: std::mem::take(&mut world.watch.broken),
            sent: world.watch.sent,
            fills: world.watch.fills,
            books: world.books.compared,
            sessions: self.sessions,
            ended: Some(world.watch.state()),
            settled,
            journals: xxh3_64(&text),
        }
    }

    /// T3: lane 0 makes lanes 1 to 3 again, up to where the process died.
    pub fn replay(&self, dir: &std::path::Path) {
        match peregrine::runtime::replay::verify(dir) {
            Ok(report) if report.differences == 0 && report.unwritten == 0 => {}
            Ok(report) => self.fail(format!("T3: {report:?}")),
            // What is left may be too little to begin with: nothing, or a part of the opening.
            Err(_) if self.lossy.iter().any(|lossy| lossy == dir) => {}
            Err(error) => self.fail(format!("T3: {error:#}")),
        }
    }
}

/// Hashes of lanes 0 to 3 of a journal. Lane 4 holds latencies.
fn hashes(dir: &std::path::Path) -> Vec<u64> {
    let files = lane_files(dir).into_iter().filter(|(name, _)| !name.contains("stamps"));
    files.map(|(name, bytes)| xxh3_64(name.as_bytes()) ^ xxh3_64(&bytes)).collect()
}
