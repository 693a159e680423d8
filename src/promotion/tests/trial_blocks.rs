//! Who trades when, and what the two arms' blocks come to.

use crate::base::split::Split;
use crate::base::{InstrumentId, Nanos};
use crate::promotion::blocks::SwitchBack;
use crate::promotion::{Arm, Assigned, Assignment};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

const HOUR_NS: i64 = 3_600_000_000_000;

const SOL: InstrumentId = InstrumentId(0);
const BTC: InstrumentId = InstrumentId(1);

fn split(seed: u64, hours: u32) -> Split {
    Split { seed, share_bps: 1_500, block_ms: hours * 3_600_000 }
}

fn assignment(seed: u64) -> Assignment {
    Assignment::new(split(seed, 6), Nanos(4 * HOUR_NS)).unwrap()
}

#[test]
fn the_canary_has_its_share_of_the_blocks() {
    for seed in 0..5 {
        let assignment = assignment(seed);
        let canary = (0..20_000)
            .filter(|block| assignment.at(SOL, Nanos(block * 6 * HOUR_NS)).arm == Arm::Canary)
            .count() as f64;
        // Four standard errors of a share of 0.15 of 20 000.
        assert!((canary / 20_000.0 - 0.15).abs() < 4.0 * 0.002_525, "{canary}");
    }
}

#[test]
fn an_assignment_depends_on_seed_instrument_and_block_and_on_nothing_else() {
    let times: Vec<i64> = (0..400).map(|n| n * 6 * HOUR_NS + 5).collect();
    let arms = |seed: u64, instrument: InstrumentId| {
        let assignment = assignment(seed);
        times.iter().map(|ts| assignment.at(instrument, Nanos(*ts)).arm).collect::<Vec<_>>()
    };
    let forward = arms(1, SOL);
    let one = assignment(1);
    let mut backward: Vec<Arm> = times.iter().rev().map(|ts| one.at(SOL, Nanos(*ts)).arm).collect();
    backward.reverse();
    assert_eq!(forward, backward, "whatever the order of asking");
    assert_ne!(forward, arms(2, SOL));
    assert_ne!(forward, arms(1, BTC));
    let canary = |arms: &[Arm]| arms.iter().map(|arm| *arm == Arm::Canary).collect::<Vec<_>>();
    let (own, other) = (canary(&forward), canary(&arms(1, BTC)));
    let both = own.iter().zip(&other).filter(|(a, b)| **a && **b).count();
    assert!(both < 25, "instruments are drawn apart: {both} of 400 together, 9 expected");
}

#[test]
fn a_block_has_one_arm_and_begins_with_its_carry_over() {
    let assignment = assignment(3);
    for block in -3_i64..50 {
        let begin = block * 6 * HOUR_NS;
        let seen = [0, 1, 4 * HOUR_NS - 1, 4 * HOUR_NS, 6 * HOUR_NS - 1]
            .map(|offset| assignment.at(SOL, Nanos(begin + offset)));
        assert!(seen.iter().all(|a| a.block == block && a.arm == seen[0].arm));
        assert_eq!(seen.map(|a| a.carry_over), [true, true, true, false, false]);
    }
    assert!(Assignment::new(split(1, 4), Nanos(4 * HOUR_NS)).is_none(), "nothing would count");
}

#[test]
fn what_falls_into_a_carry_over_counts_for_nobody() {
    let mut blocks = SwitchBack::default();
    let at = |block, arm, carry_over| Assigned { block, arm, carry_over };
    for block in 0..4 {
        let arm = if block % 2 == 0 { Arm::Champion } else { Arm::Canary };
        blocks.push(at(block, arm, true), 100.0);
        blocks.push(at(block, arm, false), if arm == Arm::Canary { 0.3 } else { 0.1 });
        blocks.push(at(block, arm, false), 0.1);
    }
    assert_eq!(blocks.counts(), (2, 1), "the open block is not counted");
    assert!((blocks.difference().unwrap() - 0.2).abs() < 1e-12);
    assert_eq!(blocks.lower_bound(0.05, 40.0), None, "one block has no variance");
}

/// Whether the lower bound of an experiment of `count` blocks was ever above the truth.
fn missed(seed: u64, truth: f64, count: usize) -> bool {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut blocks = SwitchBack::default();
    (0..count).any(|block| {
        let arm = if random.random::<f64>() < 0.3 { Arm::Canary } else { Arm::Champion };
        let mean = if arm == Arm::Canary { truth } else { 0.0 };
        let net = mean + 0.01 * random.sample::<f64, _>(StandardNormal);
        blocks.push(Assigned { block: block as i64, arm, carry_over: false }, net);
        let (champion, canary) = blocks.counts();
        champion >= 20
            && canary >= 20
            && blocks.lower_bound(0.05, 40.0).is_some_and(|low| low > truth)
    })
}

#[test]
fn the_difference_of_the_arms_is_bounded_from_below_however_often_one_looks() {
    let wrong = (0..300).filter(|seed| missed(*seed, -0.001, 400)).count();
    // At 5 % more than 29 of 300 have a chance below a thousandth (binomial).
    assert!(wrong <= 29, "{wrong} of 300");
}
