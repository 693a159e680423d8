//! The life of a model, from its first trade to the rollback that ends it, in compressed time.
//!
//! ```text
//!  day −14      0            14           22             30       31            34
//!   before      │ first-1 trades          │ canary       │ night  │ the market   │
//!               │ session 1  │ session 2  │ session 3 …  │ trades │ turns around │
//!     └ first-1 └ night ────►│ shadow ───►│ share ──────►│        └► rollback to first-1
//! ```
//! The market is a frozen data set whose drift depends on the hour; the sessions are the trader's
//! own stages over it, with the paper venue, in event time. Everything that is done to models is
//! done by the commands that people type, and everything that is asserted is read from journals,
//! signed papers and the registry.
//!
//! | file | holds |
//! |---|---|
//! | `market` | candles with something to learn |
//! | `world` | folder, configurations, keys, programs |
//! | `live` | a session in which models change |
//! | `journal` | its records |
//! | `trials` | shadow, canary, verdicts, approvals |
//! | `story` | the registry's history, read back |

mod journal;
mod live;
mod market;
mod story;
mod trials;
mod world;

use journal::{by_model, equity, swaps};
use live::Live;
use market::{BEFORE, DAY_MS, SINCE, START_MS, turned};
use peregrine::base::event::ModelSwap;
use peregrine::base::{Nanos, Reason};
use peregrine::model::artifact::tag_of;
use peregrine::registry::verdict::Ruling;
use peregrine::registry::{Registry, Stage};
use peregrine::runtime::revert::LeftModels;
use trials::{approved, check_canary_lines, check_deal, day_by_day, missed, shadow, verdict};
use world::World;

const FIRST: &str = "first-1";
const FADE: &str = "fade-1";
/// Where the night of the first session's last day leaves what it did.
const NIGHT: &str = "learning/nights/2026-03-15";
/// What all sessions begin with, 1e-8.
const DEPOSIT: i64 = 10_000 * 100_000_000;
/// Where the challengers' lines go.
const LOG: &str = "logs/shadow/shadow_eval.jsonl";

fn day(number: i64) -> Nanos {
    Nanos::from_millis(START_MS + number * DAY_MS)
}

fn tag(registry: &Registry, version: &str) -> u64 {
    registry.files(version).unwrap().tag()
}

#[test]
fn a_model_earns_its_way_to_the_trading_and_leaves_it_by_itself_when_the_market_turns() {
    let world = World::new();
    let days = [[SINCE; 31].as_slice(), &[turned(SINCE); 4]].concat();
    world.data("market", (5, 0), &days);
    the_first_champion_trades(&world);
    let night = the_night_makes_a_challenger(&world);
    a_worse_one_comes_with_the_same_papers(&world);
    the_shadow_tells_them_apart(&world, &night);
    let live = the_canary_has_its_share(&world, &night);
    let live = people_promote_it_and_it_trades(&world, &night, live);
    let live = the_market_turns_and_the_session_goes_back(&world, live);
    the_session_ends(&world, live, &[&night, FIRST]);
    the_audit_trail_tells_all_of_it(&world, &night);
}

fn the_first_champion_trades(world: &World) {
    world.data("before", (3, -14), &[BEFORE; 14]);
    world.train(FIRST, "before");
    let register = ["register", &world.made(FIRST), "--first-champion"];
    world.model(&register, "alice", "somebody has to begin");
    world.trade(1, (0, 14));
    let journal = world.journal(1);
    let found = by_model(&journal);
    let first = tag(&world.registry(), FIRST);
    assert!(found.keys().all(|(model, _)| *model == first), "{found:?}");
    for (kind, least) in [("Prediction", 14 * 470), ("OrderApproved", 28), ("OrderIntent", 28)] {
        let count = found.get(&(first, kind)).copied().unwrap_or(0);
        assert!(count >= least, "{count} {kind}: {found:?}");
    }
    // Right in four of six hours: modest, and above its costs.
    assert!(equity(&journal) > DEPOSIT, "{}", equity(&journal));
}

/// The nightly job learns from what the first session recorded; the version it brought to shadow.
fn the_night_makes_a_challenger(world: &World) -> String {
    let (config, two_o_clock) = (world.text("config/learn.toml"), market::at_hour(14, 2));
    world.lab(&["learn", "once", "--config", &config, "--at", &two_o_clock]);
    let told = world.json(&format!("{NIGHT}/night.json"));
    assert_eq!(told["outcome"], "challenger", "{told:#}");
    let night = told["registered"]["version"].as_str().unwrap().to_owned();
    let registry = world.registry();
    let record = registry.show(&night).unwrap();
    assert_eq!(record.stage, Stage::Shadow);
    // What it was made from is what was traded on: the frozen days, by their hash.
    let manifest = world.path(&format!("{NIGHT}/data/data_manifest.yaml"));
    assert_eq!(record.data_hash, story::hash_of(&manifest));
    assert_eq!(registry.champion_version(), Some(FIRST), "it is never touched");
    night
}

fn a_worse_one_comes_with_the_same_papers(world: &World) {
    world.data("faded", (7, -14), &[turned(SINCE); 14]);
    world.train(FADE, "faded");
    register_and_shadow(world, FADE, "faded");
}

/// Validates, stresses, decides, registers, and brings into shadow on a signed GO.
fn register_and_shadow(world: &World, version: &str, data: &str) {
    let decision = world.decided(version, data);
    world.model(&["register", &world.made(version)], "bob", "from the lab");
    let config = world.text("config/paper.toml");
    let words = ["promote", version, "--to", "shadow", "--config", &config];
    assert_eq!(world.model_code(&words, "bob", "without a paper"), 1);
    world.model(&[&words[..], &["--decision", &decision]].concat(), "bob", "passed the gate");
    assert_eq!(world.registry().show(version).unwrap().stage, Stage::Shadow);
}

fn the_shadow_tells_them_apart(world: &World, night: &str) {
    world.trade(2, (14, 22));
    shadow(world, 2, LOG);
    let better = day_by_day(world, LOG, night);
    // Seven days are asked for, and no evidence stands above them.
    let early: Vec<_> = better.iter().filter(|(day, _)| *day < 7.0).collect();
    assert!(early.iter().all(|(_, ruling)| *ruling == Ruling::Hold), "{early:?}");
    let worse = day_by_day(world, LOG, FADE);
    assert!(worse.iter().all(|(_, ruling)| *ruling != Ruling::Promote), "{worse:?}");
    let promoted = verdict(world, LOG, night, "verdict_shadow.json");
    assert_eq!(promoted.verdict, Ruling::Promote, "{:?}", missed(&promoted));
    let rejected = verdict(world, LOG, FADE, "verdict_fade.json");
    assert_eq!(rejected.verdict, Ruling::Reject, "{:?}", missed(&rejected));
    let config = world.text("config/paper.toml");
    let [own, of_fade] = ["verdict_shadow.json", "verdict_fade.json"].map(|f| world.text(f));
    let promote = |version: &str, paper: &str| {
        let words = ["promote", version, "--to", "canary", "--config", &config];
        world.model_code(&[&words[..], &["--verdict", paper]].concat(), "bob", "as judged")
    };
    for (version, paper) in [(FADE, &of_fade), (FADE, &own), (night, &of_fade)] {
        assert_eq!(promote(version, paper), 1, "{version} on {paper}");
    }
    assert_eq!(promote(night, &own), 0);
    world.model(&["retire", FADE], "bob", "rejected in shadow");
}

/// A seed whose deal leaves most of the hours alone in which the two disagree: each change of hands
/// there makes a losing trade of the champion, and five in a row would end its reign. The canary
/// gets more blocks than the rules ask for.
fn seed() -> u64 {
    let hour = |day: i64, hour: i64| (START_MS + day * DAY_MS + hour * 3_600_000) * 1_000_000;
    let calm = |seed: &u64| {
        (22..30).all(|day| {
            let apart = (0..4).chain(12..16);
            apart.filter(|h| trials::is_canary(*seed, hour(day, *h))).count() <= 1
        })
    };
    let enough = |seed: &u64| {
        let all = (22..30).flat_map(|day| (0..24).map(move |h| (day, h)));
        all.filter(|(day, h)| trials::is_canary(*seed, hour(*day, *h))).count() >= 26
    };
    (1..1_000_000).find(|seed| calm(seed) && enough(seed)).expect("one of some hundred")
}

fn the_canary_has_its_share(world: &World, night: &str) -> Live {
    let seed = seed();
    let loaded = world.configured(&[
        ("canary", "model", night.into()),
        ("canary", "seed", toml::Value::Integer(seed as i64)),
    ]);
    let mut live = Live::open(world, 3, &loaded, day(22));
    live.look();
    assert_eq!(live.swaps().len(), 1, "the trial begins with the session");
    live.run_until(day(30));
    live.look();
    assert_eq!(live.swaps().len(), 1, "no guardrail tripped");
    let registry = world.registry();
    let deal = (seed, tag(&registry, FIRST), tag(&registry, night));
    let (begins, swap) = swaps(&world.journal(3))[0];
    assert_eq!((swap.role, swap.seed, swap.reason), (2, seed, Reason::StartUp as u16));
    assert_eq!((swap.share_bps, swap.block_ms), (world::SHARE_BPS, world::BLOCK_MS));
    let [canary, champion] = check_deal(&world.journal(3), begins, deal);
    // Five deviations of a binomial of 192 with 0.2 around its mean.
    assert!((20..=66).contains(&canary) && champion >= 20, "{canary} {champion}");
    shadow(world, 3, LOG);
    let arms = check_canary_lines(world, LOG, seed);
    assert!(arms["canary"] > 400 && arms["champion"] > 2_000, "{arms:?}");
    live
}

fn people_promote_it_and_it_trades(world: &World, night: &str, mut live: Live) -> Live {
    let judged = verdict(world, LOG, night, "verdict_canary.json");
    assert_eq!((judged.from, judged.to), (Stage::Canary, Stage::Champion));
    assert_eq!(judged.verdict, Ruling::Promote, "{:?}", missed(&judged));
    // It rests on the log and the rules as they lie there, by their bytes.
    let files = [world.text(LOG), world.text("config/gates.toml")];
    let hashes = files.map(|file| (file.clone(), story::hash_of(file.as_ref())));
    assert_eq!(judged.evidence, hashes.into_iter().collect());
    let risk = approved(world, night, "risk", "carol");
    let mlops = approved(world, night, "mlops", "dave");
    let (config, paper) = (world.text("config/paper.toml"), world.text("verdict_canary.json"));
    let words = ["promote", night, "--to", "champion", "--config", &config, "--verdict", &paper];
    let one = [&words[..], &["--approval", &risk]].concat();
    assert_eq!(world.model_code(&one, "bob", "one of two"), 1);
    let both = [&one[..], &["--approval", &mlops]].concat();
    world.model(&both, "bob", "judged and approved");
    while live.swaps().len() < 2 {
        live.look();
    }
    check_swap(&live.swaps()[1], night, Reason::ChampionMoved);
    live.run_until(day(31));
    live.look();
    assert_eq!(live.swaps().len(), 2);
    live
}

fn check_swap(swap: &ModelSwap, version: &str, reason: Reason) {
    let name = String::from_utf8_lossy(&swap.version);
    assert_eq!(name.trim_end_matches('\0'), version);
    assert_eq!((swap.role, swap.reason), (1, reason as u16));
}

/// From day 31 on the market is the other way round, and nobody does anything.
fn the_market_turns_and_the_session_goes_back(world: &World, mut live: Live) -> Live {
    let mut hours = 0;
    while live.swaps().len() < 3 {
        hours += 1;
        assert!(hours < 4 * 24, "the market is over, and nothing happened");
        live.run_until(day(31) + Nanos::from_secs(hours * 3_600));
        live.look();
    }
    check_swap(&live.swaps()[2], FIRST, Reason::ChampionSharpe);
    live.run_until(day(31) + Nanos::from_secs((hours + 6) * 3_600));
    let why = journal::reasons(&world.journal(3));
    assert!(why.iter().any(|why| why.starts_with("rollback.sharpe_hours_below_max")), "{why:?}");
    live
}

/// Ends the session; its journal holds together, replays, and names in every record the model whose
/// turn it was from the first of these champions on.
fn the_session_ends(world: &World, live: Live, champions: &[&str]) {
    live.end();
    let journal = world.journal(3);
    let inputs = journal::lane(&journal, 0);
    assert!((1..).zip(&inputs).all(|(seq, event)| event.seq == seq), "numbered without a hole");
    let places = swaps(&journal);
    assert_eq!(places.len(), 1 + champions.len(), "the trial's begin, and each champion");
    let registry = world.registry();
    let turns: Vec<(u64, u64)> = places[1..]
        .iter()
        .zip(champions)
        .map(|((seq, swap), version)| {
            assert_eq!(tag_of(&swap.sha256), tag(&registry, version));
            (*seq, tag(&registry, version))
        })
        .collect();
    for event in (1..=3).flat_map(|number| journal::lane(&journal, number)) {
        let Some(named) = journal::tag(&event) else { continue };
        let turn = turns.iter().rev().find(|(seq, _)| *seq < event.seq);
        let is_wanted = turn.is_none_or(|(_, wanted)| named == *wanted);
        assert!(is_wanted, "{:?} at {} by {named:016x}", event.kind(), event.seq);
    }
    world.trader_does(&["replay", journal.to_str().unwrap(), "--verify"]);
    // What the session did by itself the registry knows, and nothing waits for it.
    assert_eq!(LeftModels::read(&world.path("state")).unwrap().waiting(), 0);
    assert_eq!(registry.champion_version(), champions.last().copied());
    for left in &champions[..champions.len() - 1] {
        assert_eq!(registry.show(left).unwrap().stage, Stage::Retired);
        assert!(registry.standing().unwrap().quarantined.contains(left));
    }
}

fn the_audit_trail_tells_all_of_it(world: &World, night: &str) {
    let entries = story::history(world);
    let told: Vec<String> = entries.iter().map(story::told).collect();
    let wanted = [
        format!("registered {FIRST} ->staged"),
        format!("moved {FIRST} staged>champion"),
        format!("registered {night} ->staged"),
        format!("moved {night} staged>shadow gate_decision"),
        format!("registered {FADE} ->staged"),
        format!("moved {FADE} staged>shadow gate_decision"),
        format!("moved {night} shadow>canary promotion_verdict"),
        format!("moved {FADE} shadow>retired"),
        format!("moved {FIRST} champion>retired"),
        format!("moved {night} canary>champion promotion_verdict+approval_risk+approval_mlops"),
        format!("rolled_back {night} champion>retired"),
        format!("quarantined {night} retired>retired"),
        format!("rolled_back {FIRST} retired>champion"),
    ];
    assert_eq!(told, wanted);
    let files = [
        format!("{NIGHT}/reports/gate_decision.json"),
        format!("reports/{FADE}/gate_decision.json"),
        "verdict_shadow.json".to_owned(),
        "verdict_canary.json".to_owned(),
        "approval_risk.json".to_owned(),
        "approval_mlops.json".to_owned(),
    ];
    let hashes: Vec<String> = files.iter().map(|file| story::hash_of(&world.path(file))).collect();
    let named: Vec<String> = entries.iter().flat_map(story::papers).collect();
    assert_eq!(named, hashes, "every paper that was believed lies there, unchanged");
    world.trader_does(&["model", "verify", "--dir", &world.text("models")]);
    // The last three are the session's own, with what it saw and what would have been well.
    for entry in &entries[entries.len() - 3..] {
        assert_eq!(entry["by"], "session 0000003-paper", "{entry}");
        let why = entry["reason"].as_str().unwrap();
        assert!(why.contains("rollback.sharpe_hours_below_max: 24 is above 23"), "{entry}");
    }
}
