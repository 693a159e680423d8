//! The tests: seeds in ranges that run side by side.
//!
//! ```sh
//! PEREGRINE_SIM_SEED=123 cargo test --release --test it sim::seeds     # one seed
//! PEREGRINE_SIM_SEEDS=50000 cargo test --release --test it sim::seeds  # so many instead of 500
//! PEREGRINE_SIM_TWICE=1 cargo test --release --test it sim::seeds      # each seed's bytes twice
//! ```

use super::plan::Plan;
use super::run::{Outcome, Run};
use std::collections::BTreeMap;

/// Seeds that `cargo test` runs.
const SEEDS: u64 = 500;
/// Ranges they are split into, each a test.
const RANGES: u64 = 10;
/// Of so many seeds one is run twice, and its journals compared byte by byte.
const TWICE_EVERY: u64 = 25;
/// Seeds that once found something: an entry on news that had been held up, a state of reconciling
/// that nobody left, orders that were never settled, a halt for nothing; a second hole among trades
/// that waited, snapshots whose weight went to missing trades, a timer renewed into a ban.
const FOUND: [u64; 13] = [10, 16, 23, 28, 43, 58, 60, 72, 241, 276, 335, 358, 494];

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}: {text:?} is no number")))
}

/// Runs a seed; panics where a promise was broken.
fn check(seed: u64) -> Outcome {
    let outcome = Run::seed(seed);
    let broken = outcome.broken.join("\n  ");
    assert!(
        broken.is_empty(),
        "seed {seed} broke promises:\n  {broken}\nagain with: PEREGRINE_SIM_SEED={seed} cargo test \
         --release --test it sim::seeds"
    );
    outcome
}

fn range(part: u64) {
    if let Some(seed) = number("PEREGRINE_SIM_SEED") {
        if seed % RANGES == part {
            println!("{seed}: {}", Plan::of(seed));
            let outcome = check(seed);
            assert_eq!(outcome.journals, check(seed).journals, "T9: {seed} gave other bytes");
            println!("{seed}: {outcome:?}");
        }
        return;
    }
    let seeds = number("PEREGRINE_SIM_SEEDS").unwrap_or(SEEDS);
    let twice_every = number("PEREGRINE_SIM_TWICE").unwrap_or(TWICE_EVERY).max(1);
    let (mut sent, mut fills, mut settled, mut sessions) = (0, 0, 0, 0);
    let mut ended: BTreeMap<String, u64> = BTreeMap::new();
    for seed in (part..seeds).step_by(RANGES as usize) {
        let outcome = check(seed);
        sent += outcome.sent;
        fills += outcome.fills;
        sessions += outcome.sessions;
        *ended.entry(format!("{:?}", outcome.ended)).or_default() += 1;
        settled += u64::from(outcome.settled.is_some());
        if (seed / RANGES).is_multiple_of(twice_every) {
            let again = check(seed).journals;
            assert_eq!(outcome.journals, again, "T9: seed {seed} gave other bytes");
        }
    }
    assert!(sent > 0 && fills > 0 && settled > 0, "nothing was tried: {sent} {fills} {settled}");
    println!(
        "part {part} of {seeds} seeds: {sessions} sessions, {sent} requests, {fills} fills, \
         {settled} settled, ended {ended:?}"
    );
}

#[test]
fn every_promise_holds_in_seeds_of_part_0() {
    range(0);
}

#[test]
fn every_promise_holds_in_seeds_of_part_1() {
    range(1);
}

#[test]
fn every_promise_holds_in_seeds_of_part_2() {
    range(2);
}

#[test]
fn every_promise_holds_in_seeds_of_part_3() {
    range(3);
}

#[test]
fn every_promise_holds_in_seeds_of_part_4() {
    range(4);
}

#[test]
fn every_promise_holds_in_seeds_of_part_5() {
    range(5);
}

#[test]
fn every_promise_holds_in_seeds_of_part_6() {
    range(6);
}

#[test]
fn every_promise_holds_in_seeds_of_part_7() {
    range(7);
}

#[test]
fn every_promise_holds_in_seeds_of_part_8() {
    range(8);
}

#[test]
fn every_promise_holds_in_seeds_of_part_9() {
    range(9);
}

#[test]
fn seeds_that_once_found_something_find_nothing_any_more() {
    FOUND.into_iter().for_each(|seed| drop(check(seed)));
}
