//! Inference shared among threads writes the river that one thread writes, whoever of them turns
//! when: same records, same order, over one ledger. Here every party is turned by hand.

use crate::allocations::count;
use crate::lanes;
use crate::own_models::with_models;
use crate::pipeline_support::{
    Arrival, EAGER, Lanes, Rig, What, assert_replays, lane, lane_files, lanes, leaning, parts,
};
use crate::pipeline_swaps::{recurrent, swap_to};
use peregrine::base::counters::{Counter, Counters};
use peregrine::base::event::{
    Denied, Event, Gap, Kind, ModelLoaded, OrderReport, Position, Prediction, SymbolChange,
};
use peregrine::base::hop::Hop;
use peregrine::base::limits::STEP_EVENTS_MAX;
use peregrine::base::split::Split;
use peregrine::base::{InstrumentId, Nanos, Reason, SymbolState};
use peregrine::engine::{
    Crossing, Fan, FeedStage, Halt, InferenceShard, Merger, ModelSigns, Next, NoProbe, OWN_PLACES,
    Outlet, Share, With, drain, model_rings_of,
};
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::feed::Feed;
use peregrine::journal::{Journal, Recorder};
use peregrine::runtime::assemble::{Budget, Parts};
use peregrine::runtime::backtest::close_journal;
use peregrine::runtime::swap::attached::AttachedModels;
use rtrb::{Consumer, RingBuffer};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Contracts of the river: no number of shards below divides it.
const SYMBOLS: u16 = 7;
/// Frames of it.
const FRAMES: usize = 12_000;
/// Events between the feed and a shard: few, so that the parties meet full rings.
const FEED_RING: usize = 16;
/// Messages between a shard and the merger: what one step may produce, and a few.
const OUT_RING: usize = STEP_EVENTS_MAX + SYMBOLS as usize + 10;
/// Segments that hold the run: what is counted is the path of an event.
const SEGMENTS: [(&str, &str, &str); 2] =
    [("journal", "input_segment_mib", "64"), ("journal", "output_segment_mib", "32")];
/// A contract that falls asleep on the way, and wakes again.
const SLEEPY: InstrumentId = InstrumentId(3);
/// One that does so with a model of its own, whose state ends with it.
const APART: InstrumentId = InstrumentId(4);
/// One whose own model nobody else has.
const OTHER: InstrumentId = InstrumentId(1);
/// Places of models that decide in the river: three of all, two of one contract each.
const SLOTS: [usize; 5] = [0, 1, 2, OWN_PLACES.start, OWN_PLACES.start + 1];

/// A market; snapshots of all books come after so many hundredths of it.
fn market(seed: u64, again: &[usize]) -> (Parts, Vec<Arrival>) {
    market_with(seed, again, &[])
}

fn market_with(seed: u64, again: &[usize], more: &[(&str, &str, &str)]) -> (Parts, Vec<Arrival>) {
    let specs: Vec<SymbolSpec> = (1..=SYMBOLS).filter_map(SymbolSpec::made_up).collect();
    let start = Nanos(1_750_000_000_000_000_000);
    let mut market = SyntheticMarket::new(seed, &specs, start);
    let mut arrivals = Vec::new();
    for i in 0..FRAMES {
        let frame = market.step();
        let ts = frame.ts;
        if !frame.stream.ends_with("@trade") && !frame.stream.contains("@kline") {
            arrivals.push(Arrival { ts, what: What::Frame(frame.frame.to_vec()) });
        }
        if again.iter().any(|percent| i == percent * FRAMES / 100) {
            for (place, spec) in (0..).zip(&specs) {
                let mut body = Vec::new();
                assert!(market.snapshot(spec.symbol.as_str(), &mut body));
                arrivals.push(Arrival { ts, what: What::Snapshot(InstrumentId(place), body) });
            }
        }
    }
    let changes = [&EAGER[..], &SEGMENTS[..], more].concat();
    (parts(market.instruments(), &changes), arrivals)
}

fn to(state: SymbolState, instrument: InstrumentId) -> Event {
    let change = SymbolChange { state: state as u8, ..SymbolChange::default() };
    Event::new(Kind::SymbolChange, instrument, &change)
}

/// A session of one thread in which all happens that inference knows: models change and share, a
/// connection is lost, a change of a book is missing, a contract sleeps. Its counters come back.
fn one_thread(parts: &Parts, dir: &Path, arrivals: &[Arrival]) -> ([u64; 2], [u64; 5]) {
    let (gru, other) = (recurrent(), leaning("other", "imbalance_1", 1.0));
    let split = Split { seed: 3, share_bps: 5_000, block_ms: 200 };
    let mut rig = Rig::fused(parts, dir);
    rig.drive(arrivals, |rig, taken| {
        let now = Nanos(i64::MIN);
        let mut with = With { probe: &mut NoProbe, watch: &mut |_| {} };
        let is = |percent: usize| taken == percent * arrivals.len() / 100;
        match taken {
            _ if is(1) => {
                rig.bring(parts, &gru, 1);
                rig.bring(parts, &other, 2);
            }
            _ if is(25) => rig.swap(&swap_to(&gru, 1, Some(split))),
            _ if is(35) => rig.feed.on_stream(1, false, now, &mut with).unwrap(),
            _ if is(36) => rig.feed.on_stream(1, true, now, &mut with).unwrap(),
            _ if is(42) => {
                for id in [SLEEPY, APART] {
                    rig.feed.on_event(to(SymbolState::Asleep, id), now, &mut with).unwrap();
                }
            }
            _ if is(43) => {
                for id in [SLEEPY, APART] {
                    rig.feed.on_event(to(SymbolState::Awake, id), now, &mut with).unwrap();
                }
            }
            _ if is(58) => rig.swap(&swap_to(&gru, 1, Some(Split { share_bps: 0, ..split }))),
            _ if is(65) => rig.swap(&swap_to(&gru, 1, None)),
            _ if is(80) => rig.swap(&swap_to(&other, 2, Some(split))),
            _ => {}
        }
    });
    let counted = [Counter::Predictions, Counter::NoDecisions].map(|counter| rig.count(counter));
    let answers = SLOTS.map(|slot| rig.signs.slot(slot).answers);
    rig.finish();
    (counted, answers)
}

/// A number sequence of its own: whose turn it is.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % sides
    }
}

/// The parties of a session with shards.
struct Parties {
    feed: FeedStage,
    shards: Vec<Option<(Consumer<Crossing<Event>>, InferenceShard)>>,
    merger: Merger,
    signs: Arc<ModelSigns>,
    counters: Arc<Counters>,
    models: AttachedModels,
    lanes: (Recorder, Journal),
}

impl Parties {
    /// Its models lie beside the journal in `from`.
    fn new(parts: &Parts, dir: &Path, from: &Path, shards: usize) -> Self {
        let Lanes { journal, inputs, stages, stamps } = lanes(parts, dir);
        let counters = Arc::new(Counters::new());
        let execution = parts.execution(stages.execution, Outlet::none(), &counters);
        let next = Next::Here(Box::new(execution));
        let risk = parts.risk(stages.risk, next, &counters).unwrap();
        let (instruments, next) = (parts.instruments.len(), Next::Here(Box::new(risk)));
        let (order_in, order) = RingBuffer::new(shards * (FEED_RING + OUT_RING + 1));
        let shares = Share::split(instruments, shards);
        let (supply, intakes) = model_rings_of(&shares);
        let signs = Arc::new(ModelSigns::of_shards(shards));
        let loaded = parts.load_model(Budget::None).unwrap();
        let first = ModelLoaded { sha256: *loaded.0.sha256(), ..ModelLoaded::default() };
        let first = (&first, loaded.0.card());
        let models = AttachedModels::new(from, parts.terms(), supply, first);
        let (mut ways, mut rings, mut made) = (Vec::new(), Vec::new(), Vec::new());
        for ((share, intake), name) in shares.into_iter().zip(intakes).zip(NAMES) {
            let (out, ring) = RingBuffer::new(OUT_RING);
            rings.push((name, ring));
            let (settings, loaded) = (parts.inference_settings(), loaded.clone());
            let mut shard = InferenceShard::new(share, &settings, loaded, ("out", out));
            shard.have_own_models(parts.own.places(share));
            shard.let_models_in(intake, Arc::clone(&signs));
            let (producer, ring) = RingBuffer::new(FEED_RING);
            ways.push(("in", producer));
            made.push(Some((ring, shard)));
        }
        let of = Arc::clone(&counters);
        let merger = Merger::new(instruments, order, rings, stages.inference, next, of);
        let next = Next::Shards(Box::new(Fan::new(instruments, order_in, ways)));
        let of = Arc::new(Counters::new());
        let feed = FeedStage::new(Feed::new(&parts.instruments), inputs, next, of);
        Self { feed, shards: made, merger, signs, counters, models, lanes: (stamps, journal) }
    }

    fn give(&mut self, input: &Event) -> Result<(), Halt> {
        let mut with = With { probe: &mut NoProbe, watch: &mut |_| {} };
        self.feed.on_event(*input, input.now(), &mut with)
    }

    /// A turn of a shard, where what it makes of an input has room; how much it took.
    fn turn_shard(&mut self, shard: usize, limit: usize) -> usize {
        let mut taken = 0;
        while let Some((ring, stage)) = &mut self.shards[shard] {
            let has_room = stage.room() > STEP_EVENTS_MAX + usize::from(SYMBOLS);
            let limit = usize::from(has_room && taken < limit);
            match drain(ring, stage, Hop::FeedInference, limit, &mut NoProbe).unwrap() {
                0 => break,
                more => taken += more,
            }
        }
        taken
    }

    /// Lets the inputs flow, the parties turning as the dice fall; allocations on the way, behind
    /// the first half of the inputs.
    fn run(&mut self, inputs: &[Event], dice: &mut Dice) -> u64 {
        let (mut given, mut allocations) = (0, 0);
        while given < inputs.len() {
            let half = given > inputs.len() / 2;
            if inputs[given].kind() == Some(Kind::ModelSwap) {
                self.models.provide(&inputs[given]).unwrap();
            }
            let party = dice.below(self.shards.len() + 2);
            let limit = 1 + dice.below(24);
            let counted = count(|| match party {
                0 => {
                    for _ in 0..limit {
                        let next = inputs.get(given).filter(|_| self.feed.next_mut().room() > 0);
                        let Some(input) = next else { break };
                        self.give(input).unwrap();
                        given += 1;
                        if inputs.get(given).is_some_and(|e| e.kind() == Some(Kind::ModelSwap)) {
                            break;
                        }
                    }
                }
                1 => {
                    self.merger.turn(limit, &mut NoProbe).unwrap();
                }
                _ => {
                    self.turn_shard(party - 2, limit);
                }
            });
            allocations += if half { counted } else { 0 };
        }
        allocations
    }

    /// The parties behind the feed turn until nothing is left for them.
    fn settle(&mut self) {
        loop {
            let taken = self.merger.turn(usize::MAX, &mut NoProbe).unwrap();
            let shards = 0..self.shards.len();
            if taken + shards.map(|shard| self.turn_shard(shard, usize::MAX)).sum::<usize>() == 0 {
                return;
            }
        }
    }

    /// The feed goes; the others come to their end by themselves.
    fn finish(mut self) -> ([u64; 2], [u64; 5]) {
        let (_, inputs, next) = self.feed.into_parts();
        drop(next);
        let mut others = std::mem::take(&mut self.shards);
        while !self.merger.has_ended() {
            let mut worked = self.merger.turn(usize::MAX, &mut NoProbe).unwrap();
            for party in &mut others {
                let Some((ring, stage)) = party else { continue };
                let hop = Hop::FeedInference;
                worked += drain(ring, stage, hop, 1, &mut NoProbe).unwrap();
                if ring.is_abandoned() && ring.is_empty() {
                    // What it sent last is still to be taken.
                    *party = None;
                }
            }
            assert!(worked > 0 || self.merger.has_ended(), "nobody has anything to do");
        }
        let counted =
            [Counter::Predictions, Counter::NoDecisions].map(|counter| self.counters.get(counter));
        let answers = SLOTS.map(|slot| self.signs.slot(slot).answers);
        let (inference, next) = self.merger.into_parts();
        let Next::Here(risk) = next else { panic!("risk stands behind the merger") };
        let (risk, next) = risk.into_parts();
        let Next::Here(execution) = next else { panic!("execution stands behind risk") };
        let (stamps, journal) = self.lanes;
        let recorders = vec![inputs, inference, risk, execution.into_recorder(), stamps];
        close_journal(journal, recorders).unwrap();
        (counted, answers)
    }
}

const NAMES: [&str; 5] = ["inference", "inference-1", "inference-2", "inference-3", "inference-4"];

/// That the river has what it is to prove the order of.
fn assert_rich(dir: &Path) {
    let lanes: Vec<Vec<Event>> = (0..4).map(|number| lane(dir, number)).collect();
    let of = |number: usize, kind| lanes::count(&lanes[number], kind);
    let filled = lanes[0].iter().filter(|event| event.kind() == Some(Kind::OrderFilled));
    let filled: BTreeSet<u16> = filled.map(|event| event.instrument).collect();
    assert!(filled.len() > 3, "fills of {filled:?}");
    assert_eq!((of(0, Kind::ModelSwap), of(0, Kind::SymbolChange)), (6, 4));
    assert!(of(0, Kind::Timer) > 20 && of(0, Kind::Gap) > 0 && of(1, Kind::NoDecision) > 0);
    let predictions = lanes[1].iter().filter(|event| event.kind() == Some(Kind::Prediction));
    let tags: BTreeSet<u64> = predictions.map(|e| e.body::<Prediction>().model_tag).collect();
    assert_eq!(tags.len(), 4, "each model decided");
    // One input that makes every book invalid: its records come from all shards.
    let down = lanes[0].iter().find(|event| {
        event.kind() == Some(Kind::StreamStatus) && event.instrument() == InstrumentId::NONE
    });
    let down = down.unwrap().seq;
    let lost = lanes[1].iter().filter(|event| event.seq == down).map(|event| event.instrument);
    assert_eq!(lost.collect::<Vec<_>>(), (0..SYMBOLS).collect::<Vec<_>>());
    assert!(of(2, Kind::OrderApproved) > 20 && of(3, Kind::OrderIntent) > 20);
}

#[test]
fn shards_write_the_lanes_of_one_thread_whoever_turns_when_and_allocate_nothing() {
    let (parts, mut arrivals) = market(21, &[5, 40, 50, 60]);
    let (gru, own) = (recurrent(), leaning("own", "imbalance_1", 0.01));
    let parts = with_models(parts, &[(APART, &gru), (OTHER, &own)]);
    let at =
        |a: &Arrival| matches!(&a.what, What::Frame(f) if f.windows(6).any(|w| w == b"@depth"));
    // Between two snapshots, so that the hole is one of a whole book.
    let middle = arrivals.len() * 45 / 100;
    let lost = middle + arrivals[middle..].iter().position(at).unwrap();
    arrivals.remove(lost);
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one");
    let wanted = one_thread(&parts, &one, &arrivals);
    assert_rich(&one);
    let (inputs, files) = (lane(&one, 0), lane_files(&one));
    for (shards, seed) in [(2, 1), (3, 2), (5, 3)] {
        let dir = folder.path().join(format!("{shards}-shards"));
        let mut parties = Parties::new(&parts, &dir, &one, shards);
        let allocations = parties.run(&inputs, &mut Dice(seed));
        assert_eq!(parties.signs.swaps().min(3), 3, "{shards} shards: the first swaps are through");
        let found = parties.finish();
        assert_eq!(found, wanted, "{shards} shards: counted, and answered by each model");
        for number in 0..4 {
            let (found, wanted) = (lane(&dir, number), lane(&one, number));
            let differs = found.iter().zip(&wanted).position(|(a, b)| a != b);
            assert_eq!(differs, None, "lane {number} of {shards} shards, first differing record");
            assert_eq!(found.len(), wanted.len(), "lane {number} of {shards} shards");
        }
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|(name, _)| name.clone()).collect()
        };
        let found = lane_files(&dir);
        assert_eq!(names(&found), names(&files));
        assert!(found == files, "{shards} shards: the same files, byte for byte");
        assert_eq!(allocations, 0, "{shards} shards, over half of {} inputs", inputs.len());
    }
}

#[test]
fn no_budget_of_the_account_is_exceeded_by_what_its_shards_want_at_once() {
    let most = 2;
    let (parts, arrivals) = market_with(23, &[5], &[("portfolio", "positions_max", "2")]);
    let folder = tempfile::tempdir().unwrap();
    let (one, dir) = (folder.path().join("one"), folder.path().join("shards"));
    let mut rig = Rig::fused(&parts, &one);
    rig.run(&arrivals);
    rig.finish();
    let mut parties = Parties::new(&parts, &dir, &one, 3);
    parties.run(&lane(&one, 0), &mut Dice(7));
    parties.finish();
    let (mut open, mut deepest, mut denied) = (BTreeSet::new(), 0, BTreeSet::new());
    for event in lane(&dir, 2) {
        match event.kind() {
            Some(Kind::Position) if event.body::<Position>().qty != 0 => {
                open.insert(event.instrument);
                deepest = deepest.max(open.len());
            }
            Some(Kind::Position) => {
                open.remove(&event.instrument);
            }
            Some(Kind::Denied) if event.body::<Denied>().reason == Reason::MaxPositions as u16 => {
                denied.insert(event.instrument % 3);
            }
            _ => {}
        }
    }
    assert_eq!(deepest, most, "the budget is used, and never exceeded in sum");
    assert_eq!(denied.len(), 3, "instruments of every shard were refused by the one budget");
    let fills = lane(&dir, 0).into_iter().filter(|e| e.kind() == Some(Kind::OrderFilled));
    let of: BTreeSet<u16> = fills
        .filter(|fill| fill.body::<OrderReport>().last_qty > 0)
        .map(|fill| fill.instrument % 3)
        .collect();
    assert!(of.len() > 1, "shards {of:?} held positions");
    assert_replays(&dir);
}

#[test]
fn a_book_that_broke_in_any_shard_is_asked_for_anew_in_the_order_of_the_river() {
    let (parts, arrivals) = market(27, &[5]);
    let folder = tempfile::tempdir().unwrap();
    let (one, dir) = (folder.path().join("one"), folder.path().join("shards"));
    let mut rig = Rig::fused(&parts, &one);
    rig.run(&arrivals[..arrivals.len() / 8]);
    rig.finish();
    let mut parties = Parties::new(&parts, &dir, &one, 3);
    let (ask, mut asked) = RingBuffer::new(8);
    parties.merger.ask_for_books(ask);
    let mut inputs = lane(&one, 0);
    // Two that nothing but a fresh snapshot mends, of two shards; one of a third that heals.
    let newest = inputs.last().unwrap().ts_recv;
    let reasons = [(5, Reason::BookCrossed), (1, Reason::BookGap), (0, Reason::BookCrossed)];
    inputs.extend(reasons.map(|(instrument, reason)| {
        let gap = Gap { reason: reason as u16, ..Gap::default() };
        let event = Event::new(Kind::Gap, InstrumentId(instrument), &gap);
        Event { ts_recv: newest, ..event }
    }));
    parties.run(&inputs, &mut Dice(4));
    parties.settle();
    let asked: Vec<u16> = std::iter::from_fn(|| asked.pop().ok()).map(|id| id.0).collect();
    assert_eq!(asked, [5, 0]);
}

#[test]
fn a_shard_that_is_gone_halts_the_others_and_is_named() {
    let (parts, arrivals) = market(25, &[5]);
    let folder = tempfile::tempdir().unwrap();
    let (one, dir) = (folder.path().join("one"), folder.path().join("shards"));
    let mut rig = Rig::fused(&parts, &one);
    rig.run(&arrivals[..arrivals.len() / 4]);
    rig.finish();
    let inputs = lane(&one, 0);
    let (before, behind) = inputs.split_at(inputs.len() / 2);
    let mut parties = Parties::new(&parts, &dir, &one, 3);
    parties.run(before, &mut Dice(9));
    parties.settle();
    parties.shards[1] = None;
    // The others' inputs go on; the first of its own is the end.
    let (own, others): (Vec<&Event>, Vec<&Event>) = behind
        .iter()
        .filter(|input| input.instrument < SYMBOLS)
        .partition(|input| input.instrument % 3 == 1);
    for input in others.into_iter().take(100) {
        parties.give(input).unwrap();
        parties.turn_shard(0, 1);
        parties.turn_shard(2, 1);
        parties.merger.turn(usize::MAX, &mut NoProbe).unwrap();
    }
    parties.give(own[0]).unwrap();
    let halt = parties.merger.turn(usize::MAX, &mut NoProbe).unwrap_err();
    assert_eq!(halt, Halt::ShardGone("inference-1"));
    assert!(halt.to_string().contains("thread inference-1 is gone"), "{halt}");
    // The feed does not wait for ever either: what it cannot hand on ends it.
    let halted = (0..=FEED_RING).find_map(|_| parties.give(own[0]).err());
    assert_eq!(halted, Some(Halt::RingFull("in")));
}
