use super::*;
use crate::base::Nanos;
use crate::base::fence::Fence;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::time::Instant;

const TTL_S: u32 = 5;
const WINDOW_MS: i64 = 1_000;
const SKEW_MS: i64 = 500;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn settings(node: &str) -> MachineSettings {
    MachineSettings {
        node: node.to_owned(),
        hashes: "h".to_owned(),
        ttl_s: TTL_S,
        renew: ms(1_000),
        margin: ms(500),
        takeover_wait: ms(5_000 + 1_000 + 500),
    }
}

/// etcd, as far as a group needs it: one store that knows the time.
#[derive(Debug, Default)]
struct Store {
    revision: i64,
    leader: Option<(String, Seat)>,
    /// End of each lease.
    leases: BTreeMap<i64, u64>,
    view: View,
}

impl Store {
    fn pass(&mut self, now: u64) {
        self.leases.retain(|_, end| *end > now);
        if self.leader.as_ref().is_some_and(|(_, seat)| !self.leases.contains_key(&seat.lease)) {
            self.leader = None;
            self.revision += 1;
        }
    }

    fn done(&mut self, yes: bool) -> Reply {
        self.revision += i64::from(yes);
        Reply::Done { yes, revision: self.revision }
    }

    fn answer(&mut self, ask: &Ask, now: u64) -> Reply {
        self.pass(now);
        let ours = |seat: &Seat| self.leader.as_ref().is_some_and(|(_, held)| held == seat);
        match ask {
            Ask::Look => Reply::View(View { leader: self.leader.clone(), ..self.view.clone() }),
            Ask::Agree { hashes } => {
                let yes = self.view.agreed.is_none();
                self.view.agreed.get_or_insert(hashes.clone());
                self.done(yes)
            }
            Ask::Grant { ttl_s } => {
                self.revision += 1;
                let id = 1_000 + self.revision;
                self.leases.insert(id, now + u64::from(*ttl_s) * 1_000);
                Reply::Lease { id, ttl_s: i64::from(*ttl_s) }
            }
            Ask::Claim { lease, node, hashes } => {
                let yes = self.leader.is_none()
                    && self.view.agreed.as_ref() == Some(hashes)
                    && self.leases.contains_key(lease);
                let reply = self.done(yes);
                if yes {
                    let seat = Seat { lease: *lease, made: self.revision };
                    self.leader = Some((node.clone(), seat));
                }
                reply
            }
            Ask::Renew { lease } => {
                let end = self.leases.get_mut(lease);
                let ttl_s = i64::from(TTL_S) * i64::from(end.is_some());
                if let Some(end) = end {
                    *end = now + u64::from(TTL_S) * 1_000;
                }
                Reply::Lease { id: *lease, ttl_s }
            }
            Ask::Hold { seat, risk } => {
                let yes = ours(seat);
                if let (true, Some(risk)) = (yes, risk) {
                    self.view.risk = Some(risk.clone());
                }
                self.done(yes)
            }
            Ask::Seal { seat, epoch, seen } => {
                let yes = ours(seat) && self.view.epoch_seen == *seen;
                let reply = self.done(yes);
                if yes {
                    (self.view.epoch, self.view.epoch_seen) = (*epoch, self.revision);
                }
                reply
            }
            Ask::Revoke { lease } => {
                self.leases.remove(lease);
                self.pass(now);
                self.done(true)
            }
        }
    }
}

/// Asks and answers without delay until nothing is due.
fn settle(machine: &mut Machine, store: &mut Store, now: u64) -> Vec<Ask> {
    let mut asked = Vec::new();
    while let Some(ask) = machine.next(ms(now)) {
        let reply = store.answer(&ask, now);
        machine.on_answer(&ask, Some(&reply), ms(now), ms(now));
        asked.push(ask);
        assert!(asked.len() < 20, "{asked:?}");
    }
    asked
}

/// A machine that leads, at the time `now`.
fn leader(store: &mut Store) -> (Machine, u64) {
    let mut machine = Machine::new(settings("a"));
    let mut now = 0;
    while machine.role(ms(now)) != Role::Leader {
        settle(&mut machine, store, now);
        now += 500;
        assert!(now < 20_000);
    }
    (machine, now)
}

#[test]
fn a_node_leads_after_the_lease_the_window_and_the_clocks_and_not_before() {
    let mut store = Store::default();
    let mut machine = Machine::new(settings("a"));
    let asked = settle(&mut machine, &mut store, 0);
    assert!(matches!(asked[0], Ask::Look) && matches!(asked[1], Ask::Agree { .. }));
    assert!(asked.iter().any(|ask| matches!(ask, Ask::Claim { .. })));
    for now in (0..6_500).step_by(100) {
        settle(&mut machine, &mut store, now);
        assert_eq!(machine.role(ms(now)), Role::Waiting, "{now}");
    }
    settle(&mut machine, &mut store, 6_500);
    assert_eq!(machine.role(ms(6_500)), Role::Leader);
    let mut other = Machine::new(settings("b"));
    settle(&mut other, &mut store, 6_500);
    assert_eq!(other.role(ms(6_500)), Role::Standby);
}

#[test]
fn fault_h01_without_etcd_a_leader_stops_before_its_lease_ends_and_nobody_else_begins() {
    let mut store = Store::default();
    let (mut machine, start) = leader(&mut store);
    settle(&mut machine, &mut store, start);
    let end = machine.deadline().unwrap();
    // Nobody answers: a partition and a lost quorum look the same.
    let mut now = start;
    while machine.role(ms(now)) == Role::Leader {
        if let Some(ask) = machine.next(ms(now)) {
            machine.on_answer(&ask, None, ms(now), ms(now));
        }
        now += 50;
    }
    assert_eq!(machine.role(ms(now)), Role::Fenced);
    assert!(ms(now) + ms(450) <= end, "half a second before the end, by its own clock");
    for later in (now..now + 30_000).step_by(50) {
        if let Some(ask) = machine.next(ms(later)) {
            machine.on_answer(&ask, None, ms(later), ms(later));
        }
        assert_eq!(machine.role(ms(later)), Role::Fenced, "until etcd answers");
    }
}

#[test]
fn fault_h04_a_leader_that_was_paused_past_its_lease_is_fenced_whatever_etcd_says_then() {
    let mut store = Store::default();
    let (mut machine, start) = leader(&mut store);
    settle(&mut machine, &mut store, start);
    // Its renewal left before the pause; etcd heard it, and the answer is read after the pause.
    let sent = start + 1_500;
    let ask = machine.next(ms(sent)).unwrap();
    assert!(matches!(ask, Ask::Renew { .. }), "{ask:?}");
    let reply = store.answer(&ask, sent + 1);
    let woken = sent + 60_000;
    machine.on_answer(&ask, Some(&reply), ms(sent), ms(woken));
    assert_eq!(machine.role(ms(woken)), Role::Fenced);
    settle(&mut machine, &mut store, woken);
    assert_ne!(machine.role(ms(woken)), Role::Leader);
}

#[test]
fn a_lease_that_etcd_prolonged_is_given_back_by_a_leader_that_is_fenced() {
    let mut store = Store::default();
    let (mut machine, start) = leader(&mut store);
    settle(&mut machine, &mut store, start);
    let lease = store.leader.as_ref().unwrap().1.lease;
    store.leases.insert(lease, u64::MAX);
    let woken = start + 60_000;
    let asked = settle(&mut machine, &mut store, woken);
    assert!(asked.iter().any(|ask| matches!(ask, Ask::Revoke { .. })), "{asked:?}");
    assert!(!store.leases.contains_key(&lease), "others are not kept out by it");
}

#[test]
fn a_leader_whose_session_found_the_fence_passed_gives_its_seat_back() {
    let mut store = Store::default();
    let (mut machine, now) = leader(&mut store);
    let term = machine.term();
    machine.give_up(ms(now));
    assert_eq!(machine.role(ms(now)), Role::Fenced);
    let asked = settle(&mut machine, &mut store, now);
    assert!(asked.iter().any(|ask| matches!(ask, Ask::Revoke { .. })), "{asked:?}");
    assert!(machine.term().is_none() || machine.term() != term, "another term, if any");
}

#[test]
fn fault_h03_a_leader_whose_seat_was_taken_away_stops_at_its_next_question() {
    let mut store = Store::default();
    let (mut machine, start) = leader(&mut store);
    settle(&mut machine, &mut store, start);
    let seat = Seat { lease: 5, made: 999 };
    store.leases.insert(5, u64::MAX);
    store.leader = Some(("b".to_owned(), seat));
    settle(&mut machine, &mut store, start + 1_000);
    assert_ne!(machine.role(ms(start + 1_000)), Role::Leader);
    assert_eq!(store.leader, Some(("b".to_owned(), seat)), "the other's seat stays");
}

#[test]
fn fault_h05_a_slow_answer_makes_a_lease_last_from_when_its_question_left() {
    let (mut store, mut machine) = (Store::default(), Machine::new(settings("a")));
    let (mut left, mut times) = (0, 0);
    for sent in (0..5_000).step_by(100) {
        while let Some(ask) = machine.next(ms(sent)) {
            let reply = store.answer(&ask, sent);
            machine.on_answer(&ask, Some(&reply), ms(sent), ms(sent + 90));
            if matches!(ask, Ask::Grant { .. } | Ask::Renew { .. }) {
                (left, times) = (sent, times + 1);
            }
            let wrong = machine.deadline().filter(|deadline| *deadline != ms(left + 5_000));
            assert_eq!(wrong, None, "{ask:?} at {sent}, {left}");
        }
    }
    assert!(times >= 4, "{times}");
}

#[test]
fn fault_h05_a_node_that_lost_its_lease_four_times_in_ten_minutes_stands_by() {
    let mut store = Store::default();
    let mut machine = Machine::new(settings("a"));
    let mut now = 0;
    let mut first_loss = None;
    for _ in 0..=LOSSES_MAX {
        while machine.role(ms(now)) != Role::Leader {
            settle(&mut machine, &mut store, now);
            now += 500;
            assert!(now < 500_000, "{:?}", machine.role(ms(now)));
        }
        // etcd is too slow to answer in time.
        now += 6_000;
        assert_eq!(machine.role(ms(now)), Role::Fenced);
        first_loss.get_or_insert(now);
    }
    let again = first_loss.unwrap() + 600_000;
    while now < again - 1_000 {
        settle(&mut machine, &mut store, now);
        assert!(matches!(machine.role(ms(now)), Role::Unsteady), "{now}");
        assert_eq!(store.leader, None);
        now += 1_000;
    }
    settle(&mut machine, &mut store, again + 1_000);
    assert_eq!(machine.role(ms(again + 1_000)), Role::Waiting, "after ten minutes it may again");
}

#[test]
fn fault_h08_a_node_with_other_hashes_than_the_group_does_not_claim_until_they_agree() {
    let mut store = Store::default();
    store.view.agreed = Some("other".to_owned());
    let mut machine = Machine::new(settings("a"));
    for now in (0..60_000).step_by(500) {
        let asked = settle(&mut machine, &mut store, now);
        assert!(asked.iter().all(|ask| *ask == Ask::Look), "{asked:?}");
        assert_eq!(machine.role(ms(now)), Role::Refused);
    }
    store.view.agreed = None;
    settle(&mut machine, &mut store, 61_000);
    assert_eq!(machine.role(ms(61_000)), Role::Waiting);
    assert_eq!(store.view.agreed.as_deref(), Some("h"), "the first to come lays them down");
}

#[test]
fn fault_h09_only_durations_count_so_a_clock_that_began_earlier_changes_nothing() {
    let run = |begun: u64| {
        let (mut store, mut machine) = (Store::default(), Machine::new(settings("a")));
        let mut told = Vec::new();
        for now in (0..20_000).step_by(100) {
            let own = ms(now + begun);
            while let Some(ask) = machine.next(own) {
                let reply = store.answer(&ask, now);
                machine.on_answer(&ask, Some(&reply), own, own);
                told.push((now, ask));
            }
        }
        let deadline = machine.deadline().map(|end| end - ms(begun));
        (told, deadline, machine.role(ms(20_000 + begun)))
    };
    assert_eq!(run(0), run(86_400_000_000));
    assert_eq!(run(0).2, Role::Leader);
}

#[test]
fn fault_h10_an_epoch_that_is_not_above_the_groups_is_refused() {
    let mut store = Store::default();
    (store.view.epoch, store.view.epoch_seen) = (7, 1);
    let (mut machine, now) = leader(&mut store);
    assert!(!machine.seal(6, ms(now)) && !machine.seal(7, ms(now)));
    assert!(machine.seal(8, ms(now)));
    settle(&mut machine, &mut store, now);
    settle(&mut machine, &mut store, now + 1_000);
    assert_eq!((machine.sealed(), store.view.epoch), (Some(8), 8));
    // The store is another one than was looked at: nothing is sealed over it.
    let (mut machine, now) = leader(&mut Store::default());
    let mut other = Store { revision: 50, ..Store::default() };
    (other.view.epoch, other.view.epoch_seen) = (90, 40);
    assert!(machine.seal(1, ms(now)));
    settle(&mut machine, &mut other, now);
    assert_eq!((machine.sealed(), other.view.epoch), (None, 90));
    assert_ne!(machine.role(ms(now)), Role::Leader);
}

#[test]
fn the_risk_state_is_kept_by_the_leader_alone() {
    let mut store = Store::default();
    let (mut machine, now) = leader(&mut store);
    machine.keep("loss".to_owned());
    settle(&mut machine, &mut store, now);
    settle(&mut machine, &mut store, now + 1_000);
    assert_eq!(store.view.risk.as_deref(), Some("loss"));
    store.leases.clear();
    store.pass(now + 1_000);
    machine.keep("less".to_owned());
    settle(&mut machine, &mut store, now + 2_000);
    assert_eq!(store.view.risk.as_deref(), Some("loss"), "the seat is gone");
}

#[test]
fn a_node_that_leaves_gives_its_seat_back_and_claims_no_other() {
    let mut store = Store::default();
    let (mut machine, now) = leader(&mut store);
    machine.leave(ms(now));
    settle(&mut machine, &mut store, now);
    assert!(machine.has_left());
    assert_eq!((store.leader.clone(), store.leases.len()), (None, 0));
    for later in (now..now + 5_000).step_by(500) {
        settle(&mut machine, &mut store, later);
    }
    assert_eq!(store.leader, None);
}

/// One node of the simulated world: its clocks, what it is in the middle of, and its fence.
struct Node {
    machine: Machine,
    fence: Fence,
    term: Option<i64>,
    origin: Instant,
    /// The steady clock began so much before the world.
    begun: u64,
    /// The wall clock is apart from the venue's.
    skew: i64,
    stopped_until: u64,
    cut_until: u64,
    /// The question under way: when it left by the own clock, when it is heard, the answer, when
    /// that is there.
    under_way: Option<(Ask, Duration, u64, Option<Reply>, u64)>,
}

/// An order on its way: when it is at the venue, the time it is signed with, and whose it is.
type Order = (u64, i64, i64, usize);

impl Node {
    fn new(name: usize, begun: u64, skew: i64) -> Self {
        let origin = Instant::now();
        Self {
            machine: Machine::new(settings(&format!("n{name}"))),
            fence: Fence::new(ms(500), origin),
            term: None,
            origin,
            begun,
            skew,
            stopped_until: 0,
            cut_until: 0,
            under_way: None,
        }
    }

    fn own(&self, now: u64) -> Duration {
        ms(now + self.begun)
    }

    /// What a node's side thread does in one turn.
    fn turn(&mut self, store: &mut Store, now: u64, rng: &mut ChaCha8Rng) {
        let own = self.own(now);
        if let Some((ask, sent, heard, reply, back)) = self.under_way.take() {
            if now < back {
                self.under_way = Some((ask, sent, heard, reply, back));
            } else {
                self.machine.on_answer(&ask, reply.as_ref(), sent, own);
            }
        }
        if self.under_way.is_none()
            && let Some(ask) = self.machine.next(own)
        {
            let heard = now + rng.random_range(0..400);
            // A partition loses the question, or its answer alone.
            let (lost, mute) = (now < self.cut_until, rng.random_range(0..40) == 0);
            let reply = (!lost).then(|| store.answer(&ask, heard)).filter(|_| !mute);
            let back = heard + rng.random_range(0..400);
            self.under_way = Some((ask, own, heard, reply, back));
        }
        if self.machine.term() != self.term {
            self.fence.close();
            self.term = self.machine.term();
            self.fence = Fence::new(ms(500), self.origin);
        }
        if let Some(deadline) = self.machine.deadline() {
            let left = i64::try_from(deadline.saturating_sub(own).as_millis()).unwrap();
            let wall = Nanos::from_millis(i64::try_from(now).unwrap() + self.skew + left);
            self.fence.extend(wall, self.origin + deadline);
        }
    }

    /// What the thread that sends does: a pause may come between the check and the socket.
    fn send(&self, now: u64, rng: &mut ChaCha8Rng) -> Option<(u64, i64, i64)> {
        let own = self.own(now);
        let signed = i64::try_from(now).unwrap() + self.skew;
        let wall = Nanos::from_millis(signed);
        let leads = self.machine.role(own) == Role::Leader;
        if !leads || !self.fence.lets_through(wall, wall, self.origin + own) {
            return None;
        }
        let pause = if rng.random_range(0..50) == 0 { rng.random_range(0..12_000) } else { 0 };
        Some((now + pause + rng.random_range(0..200), signed, self.machine.term()?))
    }
}

/// Three nodes for ten minutes; accepted orders in the order of the venue.
fn world(seed: u64) -> (Vec<Order>, usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut store = Store::default();
    let mut nodes: Vec<Node> = (0..3)
        .map(|name| {
            let skew = rng.random_range(-SKEW_MS / 2..=SKEW_MS / 2);
            Node::new(name, rng.random_range(0..1_000_000), skew)
        })
        .collect();
    let mut orders: Vec<Order> = Vec::new();
    for now in (0..600_000).step_by(25) {
        for (name, node) in nodes.iter_mut().enumerate() {
            match rng.random_range(0..8_000) {
                0 => node.stopped_until = now + rng.random_range(100..20_000),
                1 => node.cut_until = now + rng.random_range(100..20_000),
                _ => {}
            }
            if now < node.stopped_until {
                continue;
            }
            node.turn(&mut store, now, &mut rng);
            orders.extend(node.send(now, &mut rng).map(|(at, t, term)| (at, t, term, name)));
        }
    }
    orders.sort_unstable();
    let takes = |(at, signed, ..): &Order| {
        let at = i64::try_from(*at).unwrap();
        at - signed <= WINDOW_MS && signed - at < WINDOW_MS
    };
    orders.retain(takes);
    let mut terms: Vec<i64> = orders.iter().map(|order| order.2).collect();
    terms.dedup();
    (orders, terms.len())
}

#[test]
fn fault_h02_at_most_one_node_sends_at_any_time_under_pauses_partitions_and_skew() {
    let (mut sent, mut terms) = (0, 0);
    for seed in 0..60 {
        let (orders, count) = world(seed);
        (sent, terms) = (sent + orders.len(), terms + count);
        for pair in orders.windows(2) {
            let [(_, _, before, a), (_, _, after, b)] = [pair[0], pair[1]];
            assert!(before <= after, "seed {seed}: {pair:?}");
            assert!(before != after || a == b, "seed {seed}: two nodes in one term: {pair:?}");
        }
    }
    assert!(terms > 200 && sent > 100_000, "it is about failovers: {terms} terms, {sent} orders");
}
