//! Nothing is priced from a book that is not whole: after a gap in the stream, and after events
//! were lost because a ring was full.

use crate::pipeline_support::{
    Arrival, EAGER, Lanes, Rig, SNAPSHOT_AT, What, assert_replays, lane, lanes, parts, synthetic,
    thirds_of,
};
use peregrine::base::counters::{Counter, Counters};
use peregrine::base::event::{BookState, Event, Gap, Kind, NoDecision, StreamStatus, flags};
use peregrine::base::hop::{Hop, Stamp};
use peregrine::base::{InstrumentId, Nanos, Reason};
use peregrine::engine::{
    Crossing, FeedStage, Halt, InferenceStage, Next, NoProbe, Outlet, With, drain,
};
use peregrine::features::schema_hash;
use peregrine::feed::Feed;
use peregrine::runtime::assemble::{Budget, Parts};
use peregrine::runtime::backtest::close_journal;
use rtrb::{Consumer, RingBuffer};
use std::path::Path;
use std::sync::Arc;

const BTC: InstrumentId = InstrumentId(0);

fn is_depth(arrival: &Arrival, symbol: &str) -> bool {
    let What::Frame(frame) = &arrival.what else { return false };
    let head = format!("{{\"stream\":\"{symbol}@depth");
    frame.starts_with(head.as_bytes())
}

fn seqs(events: &[Event], kind: Kind, instrument: InstrumentId) -> Vec<u64> {
    let is = |event: &&Event| event.kind() == Some(kind) && event.instrument() == instrument;
    events.iter().filter(is).map(|event| event.seq).collect()
}

#[test]
fn after_a_lost_depth_change_nothing_is_predicted_until_the_book_is_whole_again() {
    let (lost_after, snapshot_after) = (8_000, 14_000);
    let (instruments, mut arrivals) = synthetic(5, 40_000, &[snapshot_after]);
    let at =
        lost_after + arrivals[lost_after..].iter().position(|a| is_depth(a, "btcusdt")).unwrap();
    arrivals.remove(at);
    let parts = parts(instruments, &EAGER);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let mut rig = Rig::fused(&parts, &dir);
    rig.run(&arrivals);
    rig.finish();

    let (inputs, answers) = (lane(&dir, 0), lane(&dir, 1));
    let gaps: Vec<&Event> = inputs.iter().filter(|e| e.kind() == Some(Kind::Gap)).collect();
    assert_eq!(gaps.len(), 1, "one change is missing");
    let (gap, body): (&Event, &Gap) = (gaps[0], gaps[0].body());
    assert_eq!((gap.instrument(), body.reason), (BTC, Reason::BookGap as u16));
    assert_ne!(body.expected, body.got);

    let whole = answers.iter().find(|e| {
        let of_ours = e.kind() == Some(Kind::BookState) && e.instrument() == BTC;
        of_ours && e.seq > gap.seq && e.has(flags::ON)
    });
    let whole = whole.expect("a snapshot makes the book whole again").seq;
    let between = |seq: &u64| (gap.seq..whole).contains(seq);
    let predictions = |id| seqs(&answers, Kind::Prediction, id);
    assert!(predictions(BTC).iter().any(|seq| *seq < gap.seq), "priced before");
    assert_eq!(predictions(BTC).iter().filter(|seq| between(seq)).count(), 0, "priced in the gap");
    assert!(predictions(BTC).iter().any(|seq| *seq >= whole), "priced again");
    assert!(predictions(InstrumentId(1)).iter().any(between), "the other book is not disturbed");

    let lost = answers.iter().find(|e| e.kind() == Some(Kind::BookState) && e.seq == gap.seq);
    let lost = lost.expect("the loss of the book is recorded with the gap");
    assert!(!lost.has(flags::ON));
    assert_eq!(lost.body::<BookState>().reason, Reason::BookGap as u16);
    let refused = answers.iter().filter(|e| e.kind() == Some(Kind::NoDecision) && between(&e.seq));
    let reasons: Vec<u16> = refused.map(|e| e.body::<NoDecision>().reason).collect();
    assert!(reasons.contains(&(Reason::BookInvalid as u16)), "{reasons:?}");
    let orders = lane(&dir, 2);
    let entries =
        orders.iter().filter(|e| e.kind() == Some(Kind::OrderApproved) && between(&e.seq));
    for order in entries.filter(|e| e.instrument() == BTC) {
        assert!(order.has(flags::REDUCE_ONLY), "an entry was approved without a book");
    }
    assert_replays(&dir);
}

/// The shipped model reads the book, so its features fail without one. A model that reads trades
/// alone has all it wants, and still must not be asked.
#[test]
fn a_model_that_reads_trades_alone_is_not_asked_either_while_the_book_is_not_whole() {
    let (lost_after, snapshot_after) = (15_000, 20_000);
    let (instruments, mut arrivals) = synthetic(5, 25_000, &[snapshot_after]);
    let depth = arrivals[lost_after..].iter().position(|arrival| is_depth(arrival, "btcusdt"));
    arrivals.remove(lost_after + depth.unwrap());
    let mut parts = parts(instruments, &EAGER);
    parts.files = thirds_of("rsi_14", 1.0, schema_hash());
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let mut rig = Rig::fused(&parts, &dir);
    rig.run(&arrivals);
    rig.finish();
    let answers = lane(&dir, 1);
    let mut states = answers
        .iter()
        .filter(|event| event.kind() == Some(Kind::BookState) && event.instrument() == BTC);
    let edges: Vec<u64> = states.by_ref().map(|event| event.seq).collect();
    let [_, lost, whole] = edges[..] else { panic!("{edges:?}") };
    let predictions = seqs(&answers, Kind::Prediction, BTC);
    assert!(predictions.iter().any(|seq| *seq < lost), "asked before");
    assert!(!predictions.iter().any(|seq| (lost..whole).contains(seq)), "asked without a book");
    assert!(predictions.iter().any(|seq| *seq >= whole), "asked again");
}

/// Events on the way to inference: a snapshot of two books fits, a stall does not.
const RING: usize = 2_048;

/// The feed, a ring, and a consumer that takes from it when it is told to.
struct Stalled {
    feed: FeedStage,
    ring: Consumer<Crossing<Event>>,
    behind: InferenceStage,
    counters: Arc<Counters>,
    journal: peregrine::journal::Journal,
    stamps: peregrine::journal::Recorder,
}

impl Stalled {
    fn new(parts: &Parts, dir: &Path) -> Self {
        let Lanes { journal, inputs, stages, stamps } = lanes(parts, dir);
        let counters = Arc::new(Counters::new());
        let model = parts.load_model(Budget::None).unwrap();
        let opening = parts.opening(&model.0);
        let behind = parts.fused(model, stages, Outlet::none(), &counters).unwrap();
        let (producer, ring) = RingBuffer::new(RING);
        let next = Next::Ring { name: "feed_inference", producer };
        let feed = Feed::new(&parts.instruments);
        let feed = FeedStage::new(feed, inputs, next, Arc::clone(&counters));
        let mut stalled = Self { feed, ring, behind, counters, journal, stamps };
        for event in opening {
            stalled.call(|feed, with| feed.on_event(event, Nanos(1), with));
        }
        stalled
    }

    fn call(
        &mut self,
        call: impl FnOnce(&mut FeedStage, &mut With<'_, NoProbe>) -> Result<(), Halt>,
    ) {
        call(&mut self.feed, &mut With { probe: &mut NoProbe, watch: &mut |_| {} }).unwrap();
    }

    fn take(&mut self, arrival: &Arrival) {
        let ts = arrival.ts;
        match &arrival.what {
            What::Frame(frame) => self.call(|feed, with| feed.on_frame(frame, ts, Stamp(0), with)),
            What::Snapshot(id, body) => {
                self.call(|feed, with| feed.on_snapshot(*id, body, ts, with));
            }
        }
    }

    fn catch_up(&mut self) {
        let all = usize::MAX;
        drain(&mut self.ring, &mut self.behind, Hop::FeedInference, all, &mut NoProbe).unwrap();
    }

    fn dropped(&self) -> u64 {
        self.counters.get(Counter::Dropped)
    }

    fn finish(mut self) {
        self.catch_up();
        let (_, inputs, next) = self.feed.into_parts();
        drop(next);
        let (inference, next) = self.behind.into_parts();
        let Next::Here(risk) = next else { panic!("the stages are fused") };
        let (risk, next) = risk.into_parts();
        let Next::Here(execution) = next else { panic!("the stages are fused") };
        let execution = execution.into_recorder();
        close_journal(self.journal, vec![inputs, inference, risk, execution, self.stamps]).unwrap();
    }
}

#[test]
fn fault_n03_frames_lost_to_a_full_ring_are_counted_and_every_book_is_declared_lost_first() {
    let (stall_at, again) = (8_000, 16_000);
    let (instruments, arrivals) = synthetic(5, 30_000, &[again]);
    let parts = parts(instruments, &EAGER);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let mut rig = Stalled::new(&parts, &dir);
    let (lively, rest) = arrivals.split_at(stall_at);
    for arrival in lively {
        rig.take(arrival);
        rig.catch_up();
    }
    assert_eq!(rig.dropped(), 0);
    assert!([BTC, InstrumentId(1)].iter().all(|id| rig.behind.book(*id).unwrap().is_valid()));

    // The consumer stalls: what has room waits, the rest is lost and counted.
    let until = rest.iter().position(|arrival| matches!(arrival.what, What::Snapshot(..))).unwrap();
    let (stalled, rest) = rest.split_at(until / 2);
    for arrival in stalled {
        rig.take(arrival);
    }
    let dropped = rig.dropped();
    assert!(dropped > 0, "the ring never filled");
    let held = rig.counters.get(Counter::Events);
    rig.catch_up();
    assert_eq!(rig.dropped(), dropped);

    // It is back: the very next record declares the books lost.
    rig.take(&rest[0]);
    rig.catch_up();
    for id in [BTC, InstrumentId(1)] {
        assert!(!rig.behind.book(id).unwrap().is_valid(), "{id:?} is priced across a hole");
    }
    for arrival in &rest[1..] {
        rig.take(arrival);
        rig.catch_up();
    }
    assert_eq!(rig.dropped(), dropped, "nothing is lost any more");
    rig.finish();

    let (inputs, answers) = (lane(&dir, 0), lane(&dir, 1));
    let told = inputs.iter().filter(|event| event.kind() == Some(Kind::StreamStatus));
    let downs: Vec<&Event> = told.collect();
    // One more each time a frame was lost after a moment's room.
    assert!(downs.iter().all(|event| !event.has(flags::ON)));
    let reason = |event: &Event| event.body::<StreamStatus>().reason;
    assert!(downs.iter().all(|event| reason(event) == Reason::StreamDown as u16));
    assert_eq!(downs.last().unwrap().seq, held + 1, "the first record after the stall");
    for id in [BTC, InstrumentId(1)] {
        let states = answers.iter().filter(|e| {
            let of_book = e.kind() == Some(Kind::BookState) && e.instrument() == id;
            of_book && e.seq >= downs[0].seq
        });
        let valid: Vec<bool> = states.map(|event| event.has(flags::ON)).collect();
        assert_eq!(valid, [false, true], "{id:?}: lost once, whole again once");
    }
    assert_replays(&dir);
}

#[test]
fn snapshots_make_both_books_whole_at_the_place_the_inputs_say() {
    let (instruments, arrivals) = synthetic(5, 3_000, &[]);
    let parts = parts(instruments, &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut rig = Stalled::new(&parts, &folder.path().join("journal"));
    for (i, arrival) in arrivals.iter().enumerate() {
        rig.take(arrival);
        rig.catch_up();
        let valid = rig.behind.book(BTC).unwrap().is_valid();
        assert!(!valid || i >= SNAPSHOT_AT / 2, "valid before any snapshot, at arrival {i}");
    }
    assert!(rig.behind.book(BTC).unwrap().is_valid());
    rig.finish();
}

#[test]
fn fault_w16_a_burst_that_fits_the_ring_loses_nothing_and_changes_no_answer() {
    let (instruments, arrivals) = synthetic(5, 12_000, &[]);
    let parts = parts(instruments, &EAGER);
    let folder = tempfile::tempdir().unwrap();
    let [lively, bursts] = [1, 30].map(|burst| {
        let dir = folder.path().join(format!("by-{burst}"));
        let mut rig = Stalled::new(&parts, &dir);
        for arrivals in arrivals.chunks(burst) {
            arrivals.iter().for_each(|arrival| rig.take(arrival));
            rig.catch_up();
        }
        assert_eq!(rig.dropped(), 0);
        rig.finish();
        dir
    });
    for number in 0..4 {
        assert_eq!(lane(&lively, number), lane(&bursts, number), "lane {number}");
    }
    assert!(lane(&lively, 3).iter().any(|event| event.kind() == Some(Kind::OrderIntent)));
}
