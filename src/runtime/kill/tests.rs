//! Rounds against a venue that says what a test tells it to.

use super::*;
use crate::base::{Nanos, Px, Qty, Side};
use crate::execution::reconcile::{Standing, VenueHolding};
use crate::venue::job::RestFailure;
use crate::venue::ports::AnswerLimits;

#[derive(Default)]
struct Venue {
    asked: Vec<RestJob>,
    unanswered: VecDeque<RestJob>,
    orders: Vec<VenueOrder>,
    algos: Vec<VenueOrder>,
    held: Vec<VenueHolding>,
    /// A cancel of everything is said to be done, and is not.
    deaf: bool,
    /// Nothing is answered but with a failure.
    down: bool,
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name.as_bytes()).unwrap()
}

fn order(name: &str, number: u64, is_algo: bool, reduce_only: bool) -> VenueOrder {
    VenueOrder {
        symbol: symbol(name),
        name: format!("o{number}"),
        venue_id: number,
        standing: Standing::Open,
        is_algo,
        side: Side::Buy,
        reduce_only,
        px: Px::whole(1),
        qty: Qty::whole(1),
        filled: Qty::ZERO,
        updated: Nanos::ZERO,
        became: 0,
    }
}

impl Venue {
    fn holding(name: &str) -> Self {
        let held = VenueHolding { symbol: symbol(name), qty: Qty::whole(1), entry_px: Px::ZERO };
        Self { held: vec![held], ..Self::default() }
    }

    fn told(&mut self, job: RestJob) -> RestReply {
        let of = |list: &[VenueOrder], one: Option<Symbol>| {
            let own = list.iter().filter(|order| one.is_none_or(|one| order.symbol == one));
            RestReply::Told(Told::Orders(own.cloned().collect()))
        };
        match job {
            RestJob::CancelAll { symbol } if !self.deaf => {
                self.orders.retain(|order| order.symbol != symbol);
                RestReply::Done
            }
            RestJob::CancelBatch { orders, .. } => {
                self.orders.retain(|order| !orders.contains(&order.venue_id));
                RestReply::Done
            }
            RestJob::CancelAlgo { order } => {
                self.algos.retain(|algo| algo.venue_id != order);
                RestReply::Done
            }
            RestJob::CancelAllAlgo { symbol } => {
                self.algos.retain(|algo| algo.symbol != symbol);
                RestReply::Done
            }
            RestJob::Ask(Question::OpenOrders { symbol }) => of(&self.orders, symbol),
            RestJob::Ask(Question::OpenAlgoOrders { symbol }) => of(&self.algos, symbol),
            RestJob::Ask(Question::Positions) => {
                RestReply::Told(Told::Positions(self.held.clone()))
            }
            _ => RestReply::Done,
        }
    }
}

impl RestPort for Venue {
    fn ask(&mut self, job: RestJob) -> bool {
        self.asked.push(job);
        self.unanswered.push_back(job);
        true
    }

    fn answer(&mut self) -> Option<RestAnswer> {
        let job = self.unanswered.pop_front()?;
        let failure =
            RestFailure { status: Some(503), code: None, message: "down".to_owned(), sent: true };
        let reply = if self.down { Err(failure) } else { Ok(self.told(job)) };
        Some(RestAnswer { job, reply, limits: AnswerLimits::default() })
    }
}

struct Kill {
    rounds: Rounds,
    began: Instant,
    ms: u64,
    records: Vec<KillRound>,
}

impl Kill {
    fn new(flattens: bool) -> Self {
        let (began, symbols) = (Instant::now(), [symbol("BTCUSDT"), symbol("ETHUSDT")]);
        let rounds = Rounds::new(KillSettings::default(), &symbols, flattens, began);
        Self { rounds, began, ms: 0, records: Vec::new() }
    }

    /// Turns every 10 ms until it is done or so much time has passed.
    fn run(&mut self, venue: &mut Venue, ms: u64, under_way: bool) -> bool {
        let end = self.ms + ms;
        while self.ms < end && !self.rounds.is_done() {
            let now = self.began + Duration::from_millis(self.ms);
            self.rounds.turn(now, under_way, venue);
            while let Some(record) = self.rounds.record() {
                self.records.push(record);
            }
            self.ms += 10;
        }
        self.rounds.is_done()
    }

    fn reasons(&self) -> Vec<Reason> {
        let reasons = self.records.iter().filter_map(|record| Reason::from_u16(record.reason));
        reasons.filter(|reason| *reason != Reason::None).collect()
    }
}

#[test]
fn a_graceful_kill_cancels_entries_of_both_kinds_and_leaves_stops_and_positions() {
    let mut venue = Venue::holding("BTCUSDT");
    venue.orders = vec![order("BTCUSDT", 1, false, false), order("ETHUSDT", 2, false, false)];
    venue.algos = vec![order("BTCUSDT", 3, true, true), order("BTCUSDT", 4, true, false)];
    let mut kill = Kill::new(false);
    assert!(kill.run(&mut venue, 4_000, false));
    assert!(venue.orders.is_empty());
    assert_eq!(venue.algos.iter().map(|algo| algo.venue_id).collect::<Vec<_>>(), [3]);
    let last = kill.records.last().unwrap();
    assert_eq!((last.orders, last.algo_entries, last.stops, last.positions), (0, 0, 1, 1));
    assert_eq!((last.empty, last.mode), (2, 2));
    assert_eq!(kill.reasons(), [Reason::KillEmpty]);
    // What is cancelled comes before what is looked at.
    let first_look = venue.asked.iter().position(|job| !job.is_cancel()).unwrap();
    assert_eq!(first_look, 2, "{:?}", &venue.asked[..3]);
}

#[test]
fn an_immediate_kill_keeps_the_stops_until_the_position_is_gone_and_then_cancels_them() {
    let mut venue = Venue::holding("BTCUSDT");
    venue.algos = vec![order("BTCUSDT", 3, true, true)];
    let mut kill = Kill::new(true);
    assert!(!kill.run(&mut venue, 2_000, false), "a position is there");
    assert_eq!(venue.algos.len(), 1, "its stop stays");
    venue.held.clear();
    assert!(kill.run(&mut venue, 4_000, false));
    assert!(venue.algos.is_empty());
    assert_eq!(kill.records.last().unwrap().mode, 3);
}

#[test]
fn fault_r18_an_order_that_stays_after_cancel_all_is_cancelled_by_its_number() {
    let mut venue = Venue { deaf: true, ..Venue::default() };
    venue.orders = (1..=23).map(|number| order("BTCUSDT", number, false, false)).collect();
    let mut kill = Kill::new(false);
    assert!(kill.run(&mut venue, 4_000, false));
    let batches = venue.asked.iter().filter(|job| matches!(job, RestJob::CancelBatch { .. }));
    assert_eq!(batches.count(), 3, "ten at a time");
    assert_eq!(kill.records[0].orders, 23);
}

#[test]
fn a_venue_that_does_not_answer_is_not_empty_and_help_is_called_for_twice() {
    let mut venue = Venue { down: true, ..Venue::default() };
    let mut kill = Kill::new(false);
    assert!(!kill.run(&mut venue, 4_990, false));
    assert_eq!(kill.reasons(), []);
    assert!(!kill.run(&mut venue, 20, false));
    assert_eq!(kill.reasons(), [Reason::KillNotEmpty]);
    assert!(!kill.run(&mut venue, 60_000, false));
    assert_eq!(kill.reasons(), [Reason::KillNotEmpty, Reason::KillStuck], "each once");
    assert_eq!(kill.records.last().unwrap().orders, u32::MAX, "not known");
    venue.down = false;
    assert!(kill.run(&mut venue, 10_000, false), "it goes on looking");
}

#[test]
fn nothing_counts_as_empty_while_an_entry_may_still_arrive() {
    let mut venue = Venue::default();
    let mut kill = Kill::new(false);
    assert!(!kill.run(&mut venue, 3_000, true));
    assert!(kill.records.iter().all(|record| record.empty == 0));
    assert!(kill.run(&mut venue, 3_000, false));
}

#[test]
fn rounds_stay_within_half_of_the_venue_s_weight() {
    let mut venue = Venue::holding("BTCUSDT");
    let mut kill = Kill::new(true);
    assert!(!kill.run(&mut venue, 60_000, false));
    let weight: u32 = venue.asked.iter().map(RestJob::weight).sum();
    assert!((400..=1_200).contains(&weight), "{weight} in a minute");
}

#[test]
fn an_immediate_kill_on_top_of_a_graceful_one_counts_from_none_again() {
    let mut venue = Venue::holding("BTCUSDT");
    let mut kill = Kill::new(false);
    kill.run(&mut venue, 30, false);
    kill.rounds.flatten();
    assert!(!kill.run(&mut venue, 3_000, false));
    venue.held.clear();
    assert!(kill.run(&mut venue, 3_000, false));
}
