//! The venue's own timer on a stepped clock: while all hearts beat it never strikes; when one
//! stands still it cancels what is open and leaves the protective stops.

use crate::exchange_sim::Sim;
use peregrine::base::settings::Dialect;
use peregrine::base::{Nanos, Symbol};
use peregrine::execution::Signer;
use peregrine::runtime::dead_man::{DeadMan, Pulse};
use peregrine::venue::account::whole_query;
use peregrine::venue::dialect::paths;
use peregrine::venue::ports::{AnswerLimits, RestPort};
use peregrine::venue::rest::{RestAnswer, RestJob};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Carries jobs to the exchange at once.
struct Line<'s> {
    sim: &'s Sim,
    answers: VecDeque<RestAnswer>,
}

impl RestPort for Line<'_> {
    fn ask(&mut self, job: RestJob) -> bool {
        let signer = Signer::new(self.sim.server.api_secret().as_bytes());
        let request = job.request(paths(Dialect::UsdM));
        let query = whole_query(&request, &signer, Nanos::from_millis(self.sim.now_ms));
        let target = format!("{}?{query}", request.path);
        let key = self.sim.key();
        let answer = self.sim.http().request(request.method, &target, &[&key], "").unwrap();
        let reply = job.read(&request, answer.status, answer.body.into_bytes());
        assert!(reply.is_ok(), "{reply:?}");
        self.answers.push_back(RestAnswer { job, reply, limits: AnswerLimits::default() });
        true
    }

    fn answer(&mut self) -> Option<RestAnswer> {
        self.answers.pop_front()
    }
}

/// A resting order, a stop, and a timer of ten seconds over them.
struct Watch {
    sim: Sim,
    core: DeadMan,
    start: Instant,
    turns: [u64; 3],
}

impl Watch {
    fn new() -> Self {
        let sim = Sim::start("");
        assert_eq!(sim.rest_order("resting").unwrap().status, 200);
        let stop = "symbol=BTCUSDT&side=SELL&algoType=CONDITIONAL&type=STOP_MARKET\
                    &closePosition=true&workingType=MARK_PRICE&triggerPrice=50000\
                    &clientAlgoId=stop";
        assert_eq!(sim.signed("POST", "/fapi/v1/algoOrder", stop).unwrap().status, 200);
        let symbols = [Symbol::new(b"BTCUSDT").unwrap(), Symbol::new(b"ETHUSDT").unwrap()];
        let start = Instant::now();
        let core = DeadMan::new(10_000, &symbols, 3, start).unwrap();
        Self { sim, core, start, turns: [0; 3] }
    }

    /// A second passes, in which these threads turn; whatever the switch then does.
    fn second(&mut self, threads: &[usize]) -> Pulse {
        threads.iter().for_each(|&thread| self.turns[thread] += 1);
        let passed = self.sim.now_ms - crate::exchange_sim::OPENED_MS;
        let now = self.start + Duration::from_millis(passed.unsigned_abs());
        let mut line = Line { sim: &self.sim, answers: VecDeque::new() };
        let pulse = self.core.turn(now, self.turns.into_iter(), &mut line);
        assert!(self.core.is_answered(&mut line));
        self.sim.step(1_000);
        pulse
    }

    fn order(&mut self) -> String {
        let order = self.sim.ledger_order("resting").unwrap();
        order["status"].as_str().unwrap().to_owned()
    }

    fn stop(&mut self) -> String {
        let ledger = self.sim.ledger();
        ledger["algo_orders"][0]["status"].as_str().unwrap().to_owned()
    }
}

#[test]
fn while_every_heart_beats_the_venue_cancels_nothing() {
    let mut watch = Watch::new();
    let mut renewed = 0;
    for _ in 0..60 {
        renewed += u32::from(watch.second(&[0, 1, 2]) == Pulse::Renewed);
    }
    // A third of ten seconds, looked at every second: every fourth look.
    assert_eq!((renewed, watch.order()), (15, "NEW".to_owned()));
}

#[test]
fn fault_p11_core_stall_lets_the_venue_cancel_what_is_open_and_keep_the_stops() {
    let mut watch = Watch::new();
    for _ in 0..20 {
        watch.second(&[0, 1, 2]);
    }
    let mut told = Vec::new();
    let mut seconds = 0;
    while watch.order() == "NEW" {
        told.push(watch.second(&[0, 2]));
        seconds += 1;
        assert!(seconds <= 13, "the last renewal is less than four seconds old");
    }
    assert!(seconds >= 6, "{seconds}");
    assert_eq!(watch.order(), "CANCELED");
    assert_eq!(watch.stop(), "NEW");
    let stalls: Vec<_> = told.iter().filter(|pulse| matches!(pulse, Pulse::Stalled(_))).collect();
    assert_eq!(stalls, [&Pulse::Stalled(1)], "told once");
    // It turns again: the venue is told to wait again.
    assert_eq!(watch.second(&[0, 1, 2]), Pulse::Renewed);
}

#[test]
fn an_end_in_order_stops_the_venue_s_timer() {
    let mut watch = Watch::new();
    watch.second(&[0, 1, 2]);
    let mut line = Line { sim: &watch.sim, answers: VecDeque::new() };
    watch.core.stop(&mut line);
    assert!(watch.core.is_answered(&mut line));
    watch.sim.step(60_000);
    assert_eq!(watch.order(), "NEW");
}
