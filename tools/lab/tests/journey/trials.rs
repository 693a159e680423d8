//! Challengers beside the champion: the log of the shadow, verdicts by rule, approvals by people.

use crate::journal::{lane, tag};
use crate::market::DAY_MS;
use crate::world::{BLOCK_MS, HORIZON_MS, SHARE_BPS, World};
use peregrine::registry::verdict::{PromotionVerdict, Ruling};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Runs the registry's challengers over a session's journal.
pub fn shadow(world: &World, number: u32, log: &str) {
    let journal = world.journal(number);
    let (models, gates) = (world.text("models"), world.text("config/gates.toml"));
    let words = ["shadow", "run", "--journal", journal.to_str().unwrap(), "--models", &models];
    let more = ["--log", &world.text(log), "--gates", &gates, "--whole"];
    world.trader_does(&[&words[..], &more].concat());
}

/// The verdict on a challenger by what a log holds, signed by the promotion engine.
pub fn verdict(world: &World, log: &str, challenger: &str, out: &str) -> PromotionVerdict {
    let (log, gates) = (world.text(log), world.text("config/gates.toml"));
    let (file, key) = (world.text(out), world.key("engine"));
    let words = ["shadow", "report", "--log", &log, "--config", &gates];
    let more = ["--challenger", challenger, "--out", &file, "--key", &key];
    world.trader_does(&[&words[..], &more].concat());
    let read = PromotionVerdict::read(Path::new(&file), &[world.public("engine")]);
    let told = read.unwrap().said;
    assert_eq!(told.challenger.version, challenger);
    told
}

/// What a verdict asks for and does not have.
pub fn missed(verdict: &PromotionVerdict) -> Vec<String> {
    let failed = verdict.criteria.iter().filter(|criterion| !criterion.passed);
    failed.map(|c| format!("{} {:?} {}", c.name, c.value, c.threshold)).collect()
}

/// The lines of a log.
pub fn lines(world: &World, log: &str) -> Vec<String> {
    String::from_utf8(world.read(log)).unwrap().lines().map(str::to_owned).collect()
}

/// The log as it stood after each day: the verdicts on a challenger, one a day.
pub fn day_by_day(world: &World, log: &str, challenger: &str) -> Vec<(f64, Ruling)> {
    let all = lines(world, log);
    let time = |line: &str| -> Option<i64> {
        let line: Value = serde_json::from_str(line).unwrap();
        line["ts_event_ns"].as_i64().or_else(|| line["outcome"]["t1_ns"].as_i64())
    };
    let times: Vec<i64> = all.iter().map(|line| time(line).unwrap() / 1_000_000).collect();
    let (first, last) = (times[0], *times.iter().max().unwrap());
    let mut rulings = Vec::new();
    for day in 1.. {
        let border = first + day * DAY_MS;
        let known = all.iter().zip(&times).filter(|(_, at)| **at < border);
        let text: String = known.map(|(line, _)| line.clone() + "\n").collect();
        world.write("so_far.jsonl", &text);
        let told = verdict(world, "so_far.jsonl", challenger, "so_far.json");
        rulings.push((day as f64, told.verdict));
        if border > last {
            return rulings;
        }
    }
    rulings
}

/// Who trades the block of a moment, as anybody can work it out from seed and time.
pub fn is_canary(seed: u64, ts_ns: i64) -> bool {
    let block = ts_ns.div_euclid(i64::from(BLOCK_MS) * 1_000_000);
    let words = [seed, 0, block.cast_unsigned()].map(u64::to_le_bytes).concat();
    xxh3_64(&words) % 10_000 < u64::from(SHARE_BPS)
}

/// Holds every decision, order and denial of a trial that began at a place of the river against the
/// deal of seed, champion and canary; the blocks of the canary and of the champion.
pub fn check_deal(
    dir: &Path,
    begins: u64,
    (seed, champion, canary): (u64, u64, u64),
) -> [usize; 2] {
    let mut blocks = [BTreeSet::new(), BTreeSet::new()];
    for event in (1..=3).flat_map(|number| lane(dir, number)) {
        let Some(named) = tag(&event).filter(|_| event.seq > begins) else { continue };
        let at = event.now().0;
        let dealt = is_canary(seed, at);
        let wanted = if dealt { canary } else { champion };
        assert_eq!(named, wanted, "{:?} at {}", event.kind(), event.seq);
        blocks[usize::from(!dealt)].insert(at.div_euclid(i64::from(BLOCK_MS) * 1_000_000));
    }
    blocks.map(|blocks| blocks.len())
}

/// The canary's lines of a log: what stands in each of the deal is what anybody works out. How many
/// lines there are for each arm.
pub fn check_canary_lines(world: &World, log: &str, seed: u64) -> BTreeMap<String, usize> {
    let mut arms = BTreeMap::new();
    for line in lines(world, log) {
        let line: Value = serde_json::from_str(&line).unwrap();
        if line["record"] != "decision" || line["stage"] != "canary" {
            continue;
        }
        let at = line["ts_event_ns"].as_i64().unwrap();
        let length = i64::from(BLOCK_MS) * 1_000_000;
        let arm = if is_canary(seed, at) { "canary" } else { "champion" };
        let carries_over = at.rem_euclid(length) < HORIZON_MS * 1_000_000;
        assert_eq!(line["assigned"]["arm"], arm, "{line}");
        assert_eq!(line["assigned"]["block"], at.div_euclid(length), "{line}");
        assert_eq!(line["assigned"]["carry_over"], carries_over, "{line}");
        *arms.entry(arm.to_owned()).or_default() += 1;
    }
    arms
}

/// The approval of a version as champion, by somebody of that role.
pub fn approved(world: &World, version: &str, role: &str, by: &str) -> String {
    let (key, out) = (world.key(role), world.text(&format!("approval_{role}.json")));
    let words = ["approve", version, "--role", role, "--key", &key, "--out", &out];
    world.model(&words, by, "figures and limits looked at");
    out
}
