//! What the rules of promotion promise, by simulation: how often a model that is no better is
//! promoted, and how long one that is better waits. And what a decision costs the side thread.

#[path = "harness/mod.rs"]
mod harness;
#[path = "../src/promotion/tests/market.rs"]
mod market;

use harness::{Bench, heading, histogram, nanos_at, record_nanos, row};
use market::{EQUAL, Errors, FIFTH_BETTER, HORIZON, Scene};
use peregrine::promotion::scores::{Paired, Score};
use peregrine::promotion::sequential::{Design, Evidence};
use peregrine::promotion::settings::ALPHA;

const MINUTE_NS: i64 = 60_000_000_000;
/// Evidence that promotes: one over the level.
const WANTED: f64 = 20.0;
const DAYS: usize = 28;

/// How often decisions are made, and in how many slots of a horizon they are compared.
#[derive(Clone, Copy)]
struct Setting {
    name: &'static str,
    minutes: i64,
    slot_decisions: i64,
    score: Score,
}

const SETTINGS: [Setting; 4] = [
    setting("5m_half", 5, 24, Score::LogLoss),
    setting("5m_single", 5, 1, Score::LogLoss),
    setting("5m_half_brier", 5, 24, Score::Brier),
    setting("1m_half", 1, 24, Score::LogLoss),
];

const fn setting(name: &'static str, minutes: i64, slot: i64, score: Score) -> Setting {
    Setting { name, minutes, slot_decisions: slot, score }
}

fn main() {
    let mut bench = Bench::start(
        "promotion: what the rules let through, and how long they take",
        &[
            "days are days of the simulated market; horizon: 48 decisions",
            "the other criteria: they only make promotions rarer and later",
        ],
    );
    let experiments = bench.count(1_000, 20) as u64;
    for setting in SETTINGS {
        heading(&format!("{}: decisions every {} min", setting.name, setting.minutes));
        simulate(&mut bench, setting, experiments);
    }
    copies(&mut bench, experiments.min(100));
    cost(&mut bench);
    bench.finish();
}

impl Setting {
    fn evidence(self) -> Evidence {
        let decision_ns = self.minutes * MINUTE_NS;
        let slot_ns = self.slot_decisions * decision_ns;
        let lags = Design::lags_of(HORIZON as i64 * decision_ns, slot_ns) as u32;
        let span = self.score.span();
        Evidence::new(Design { slot_ns, lags, span, variance_tuned: 0.05, alpha: ALPHA })
    }

    fn pair(self, scene: &Scene) -> Paired {
        self.score.pair(&scene.champion, &scene.challenger, scene.class)
    }

    fn days(self, decisions: usize) -> f64 {
        decisions as f64 * self.minutes as f64 / 1_440.0
    }

    /// The day of the promotion, looked at after every decision; and whether a test made for one
    /// look would ever have promoted.
    fn experiment(self, seed: u64, errors: Errors) -> (Option<f64>, bool) {
        let count = DAYS * 1_440 / self.minutes as usize;
        let mut evidence = self.evidence();
        let (mut day, mut fooled, mut sum, mut squares) = (None, false, 0.0, 0.0);
        for (at, scene) in market::scenes(seed, count, errors).iter().enumerate() {
            let paired = self.pair(scene);
            evidence.push(at as i64 * self.minutes * MINUTE_NS, paired);
            if day.is_none() && evidence.strength() >= WANTED {
                day = Some(self.days(at + 1));
            }
            sum += paired.gain;
            squares += paired.gain * paired.gain;
            let n = (at + 1) as f64;
            let deviation = (squares / n - (sum / n) * (sum / n)).max(1e-12).sqrt();
            fooled |= n >= 100.0 && sum / n / deviation * n.sqrt() > 1.644_854;
        }
        (day, fooled)
    }
}

fn simulate(bench: &mut Bench, setting: Setting, experiments: u64) {
    let equal: Vec<_> = (0..experiments).map(|seed| setting.experiment(seed, EQUAL)).collect();
    let part = |count: usize| count as f64 / experiments as f64;
    let wrong = part(equal.iter().filter(|one| one.0.is_some()).count());
    let fooled = part(equal.iter().filter(|one| one.1).count());
    println!(
        "equal models promoted within {DAYS} days: {wrong:.4} (by a one-look test {fooled:.4})"
    );
    bench.figure(&format!("{}_false_promotions", setting.name), wrong);
    bench.figure(&format!("{}_false_promotions_one_look", setting.name), fooled);
    bench.target("false promotions of equal models", wrong, None, Some(ALPHA));
    let seeds = 1_000_000..1_000_000 + experiments;
    let mut days: Vec<f64> = seeds
        .map(|seed| setting.experiment(seed, FIFTH_BETTER).0.unwrap_or(f64::INFINITY))
        .collect();
    days.sort_by(f64::total_cmp);
    let promoted = part(days.iter().filter(|day| day.is_finite()).count());
    let within = |limit: f64| part(days.iter().filter(|day| **day <= limit).count());
    println!(
        "a fifth better: promoted {promoted:.3}, within 7 days {:.3}, within 14 {:.3}",
        within(7.0),
        within(14.0)
    );
    bench.figure(&format!("{}_better_promoted", setting.name), promoted);
    bench.figure(&format!("{}_better_promoted_14_days", setting.name), within(14.0));
    let name = format!("{}_better_median_days", setting.name);
    let median = days[days.len() / 2];
    if median.is_finite() {
        println!("median {median:.2} days");
        bench.figure(&name, median);
    } else {
        bench.absent(&name, "fewer than half within 28 days");
    }
}

/// The champion against a copy of itself.
fn copies(bench: &mut Bench, experiments: u64) {
    let mut differing = 0_u64;
    for seed in 0..experiments {
        let mut evidence = SETTINGS[0].evidence();
        for (at, scene) in market::scenes(seed, 4_032, EQUAL).iter().enumerate() {
            let paired = Score::LogLoss.pair(&scene.champion, &scene.champion, scene.class);
            differing += u64::from(paired != Paired::default());
            evidence.push(at as i64 * 5 * MINUTE_NS, paired);
        }
        assert!(evidence.strength() <= 1.0, "a copy is no better");
    }
    bench.figure("copies_differing", differing as f64);
}

/// What it costs to take a scored decision in, with one decision a slot: the dearest setting.
fn cost(bench: &mut Bench) {
    let mut evidence = SETTINGS[1].evidence();
    let mut times = histogram();
    let scenes = market::scenes(7, bench.count(100_000, 1_000), FIFTH_BETTER);
    for (at, scene) in scenes.iter().enumerate() {
        let from = bench.clock.stamp();
        let paired = SETTINGS[1].pair(scene);
        evidence.push(at as i64 * 5 * MINUTE_NS, paired);
        let strength = evidence.strength();
        record_nanos(&mut times, bench.since(from));
        assert!(strength >= 0.0);
    }
    heading("one decision into the evidence, and a look at it");
    row("push and strength", &times);
    bench.figure("push_p50_ns", nanos_at(&times, 0.5));
    bench.figure("push_p99_ns", nanos_at(&times, 0.99));
}
