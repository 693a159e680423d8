//! A session in compressed time: the trader's stages, the paper venue and the journal in the time
//! of a data set, and beside them, on its own thread, what changes models in every session.
//!
//! ```text
//!   data set ─► Live ─► stages, paper venue ─► journal ◄─ follows ─ ModelDesk ◄─ registry.json
//!                ▲ swaps                                                │
//!                └──────────────────────────────────────────────────────┘
//! ```
//! Once an hour of the market it waits until that thread has looked around.

use crate::world::World;
use peregrine::base::counters::Counters;
use peregrine::base::event::{Event, ModelSwap, Timer};
use peregrine::base::ring::ring;
use peregrine::base::{InstrumentId, Kind, Money, Nanos};
use peregrine::engine::{FeedStage, Halt, Next, Outlet, With};
use peregrine::execution::Signer;
use peregrine::feed::Feed;
use peregrine::journal::{Journal, Recorder};
use peregrine::model::artifact::hex;
use peregrine::observe::snapshot::ModelView;
use peregrine::observe::{CycleClock, HopCollector};
use peregrine::runtime::assemble::{Budget, Parts, StageRecorders};
use peregrine::runtime::backtest::{LOST_BOOKS, close_journal, create_journal};
use peregrine::runtime::clock::CycleProbe;
use peregrine::runtime::config::Loaded;
use peregrine::runtime::inlet::{Inlet, OrderVenue};
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::recover::Carried;
use peregrine::runtime::revert::LeftModels;
use peregrine::runtime::running::Gathered;
use peregrine::runtime::swap::board::ModelBoard;
use peregrine::runtime::swap::desk::{Ask, Asking, DeskWork, Wish};
use peregrine::runtime::swap::{self, ModelDesk, StageEnds, SwapOrder};
use peregrine::venue::capture::Payload;
use peregrine::venue::dataset::{DataSet, Tape};
use peregrine::venue::paper::PaperVenue;
use peregrine::venue::ports::NoEntry;
use peregrine::venue::watch::VenueWatch;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Orders on their way between execution and the paper venue within one step.
const ORDERS: usize = 4_096;
/// Event time between two looks of the thread that changes models.
const LOOK_EVERY: Nanos = Nanos::from_secs(3_600);
/// Nobody waits that long.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// What a data set tells at a time.
enum Told {
    Frame(Vec<u8>),
    Snapshot(Vec<u8>),
}

/// See the head of this file.
pub struct Live {
    inlet: Inlet<NoEntry>,
    journal: Journal,
    stamps: Recorder,
    desk: ModelDesk,
    asking: Asking,
    next_swap: Box<dyn FnMut() -> Option<SwapOrder>>,
    market: VecDeque<(Nanos, Told)>,
    next_timer: Nanos,
    timer_ms: u64,
    next_look: Nanos,
    swaps: Vec<ModelSwap>,
}

impl Live {
    /// A session over the market from a time on, with the registry's champion.
    pub fn open(world: &World, number: u32, loaded: &Loaded, from: Nanos) -> Self {
        let set = DataSet::open(&world.path("data/market")).unwrap();
        let market = told(&set, from);
        let parts = parts(world, number, loaded, &set);
        let (model, selection) = parts.load_model(Budget::Configured).unwrap();
        let (opening, executor) = (parts.opening(&model), model.executor().name());
        let (journal, lanes) = create_journal(&parts, &world.journal(number), false).unwrap();
        let [inputs, inference, risk, execution, stamps] = lanes.map(Recorder::lane);
        let counters = Arc::new(Counters::new());
        let (producer, orders) = ring(ORDERS);
        let (lost, lost_books) = ring(LOST_BOOKS);
        let recorders = StageRecorders { inference, risk, execution };
        let outlet = Outlet::ring(producer);
        let mut stages = parts.fused((model, selection), recorders, outlet, &counters).unwrap();
        stages.ask_for_books(lost);
        let (desk_ends, StageEnds { intakes, signs, swaps }) = swap::ends(&parts.shares());
        for intake in intakes {
            stages.let_models_in(intake, Arc::clone(&signs));
        }
        let first = ModelView {
            version: parts.files.card.version.clone(),
            stage: "champion",
            sha256: hex(&parts.files.sha256),
            executor,
            ..ModelView::default()
        };
        let desk = ModelDesk::start(DeskWork {
            parts: &parts,
            executor,
            signed: loaded,
            ends: desk_ends,
            attacher: journal.attacher(),
            health: journal.health(),
            journal: journal.dir(),
            board: Arc::new(ModelBoard::new(signs, first, Vec::new())),
            left: Arc::new(LeftModels::read(&world.path("state")).unwrap()),
            failed: None,
        })
        .unwrap();
        let next = Next::Here(Box::new(stages));
        let feed = FeedStage::new(Feed::new(&parts.instruments), inputs, next, counters);
        let deposit = parts.settings.risk.starting_equity.unwrap();
        let paper = PaperVenue::new(&parts.instruments, parts.settings.paper, deposit);
        let probe = CycleProbe::new(CycleClock::calibrate(), HopCollector::new().recorder());
        let venue = OrderVenue::Paper(Box::new(paper));
        let watch = VenueWatch::none();
        let timer_ms = u64::from(parts.settings.session.timer_interval_ms);
        let mut live = Self {
            inlet: Inlet { feed, venue, orders, lost_books, watch, probe },
            journal,
            stamps,
            asking: desk.asking().unwrap(),
            desk,
            next_swap: Box::new(move || swaps.try_recv().ok()),
            market,
            next_timer: from + Nanos::from_millis(timer_ms as i64),
            timer_ms,
            next_look: from,
            swaps: Vec::new(),
        };
        for event in opening {
            live.call(|feed, with| feed.on_event(event, from, with));
        }
        live
    }

    /// Lets the market go on up to a time.
    pub fn run_until(&mut self, end: Nanos) {
        while self.market.front().is_some_and(|(ts, _)| *ts < end) {
            let (ts, told) = self.market.pop_front().unwrap();
            self.pass_to(ts);
            match told {
                Told::Frame(frame) => {
                    let origin = peregrine::base::hop::Stamp(0);
                    self.call(|feed, with| feed.on_frame(&frame, ts, origin, with));
                }
                Told::Snapshot(body) => {
                    let id = InstrumentId(0);
                    self.call(|feed, with| feed.on_snapshot(id, &body, ts, with));
                }
            }
        }
    }

    /// Every change of models so far.
    pub fn swaps(&self) -> &[ModelSwap] {
        &self.swaps
    }

    /// Waits until the thread that changes models has looked at the registry, the journal and the
    /// models since, and takes what it wants changed.
    pub fn look(&mut self) {
        let asking = self.asking.clone();
        let asker = std::thread::spawn(move || {
            // What it does behind the first answer it has done before the second.
            for _ in 0..2 {
                let status = Ask::new(Wish::Status, 0, "").unwrap();
                asking.ask(status, PATIENCE).unwrap();
            }
        });
        while !asker.is_finished() {
            self.take_swaps();
            std::thread::yield_now();
        }
        asker.join().unwrap();
        self.take_swaps();
    }

    fn take_swaps(&mut self) {
        while let Some(order) = (self.next_swap)() {
            if let Some(command) = &order.command {
                self.call(|feed, with| feed.on_command(command, Nanos(i64::MIN), with));
            }
            self.swaps.push(order.swap);
            let event = Event::new(Kind::ModelSwap, InstrumentId::NONE, &order.swap);
            self.call(|feed, with| feed.on_event(event, Nanos(i64::MIN), with));
        }
    }

    /// Reports and timers that are due before `ts`, reports first; and the hourly look.
    fn pass_to(&mut self, ts: Nanos) {
        loop {
            let due = self.inlet.venue.next_due().unwrap_or(Nanos(i64::MAX));
            if due.min(self.next_timer) > ts {
                break;
            }
            if due <= self.next_timer {
                self.inlet.take_reports(due).unwrap();
                self.inlet.settle(None).unwrap();
                continue;
            }
            let (interval, at) = (self.timer_ms, self.next_timer);
            self.call(|feed, with| feed.on_timer(interval, at, with));
            self.next_timer = at + Nanos::from_millis(interval as i64);
        }
        if ts >= self.next_look {
            self.next_look = ts + LOOK_EVERY;
            self.look();
        }
    }

    fn call(
        &mut self,
        call: impl FnOnce(&mut FeedStage, &mut With<'_, CycleProbe>) -> Result<(), Halt>,
    ) {
        self.inlet.call(&mut |_| {}, call).unwrap();
        self.inlet.settle(None).unwrap();
    }

    /// Ends it in order and seals its journal.
    pub fn end(mut self) {
        self.look();
        let end = Event::new(Kind::SessionEnd, InstrumentId::NONE, &Timer::default());
        self.call(|feed, with| feed.on_event(end, Nanos(i64::MIN), with));
        drop(self.desk);
        let (_, inputs, next) = self.inlet.feed.into_parts();
        let (equity, recorders) = (Money::ZERO, vec![inputs]);
        let mut gathered = Gathered { equity, killed: false, halts: Vec::new(), recorders };
        if let Next::Here(stages) = next {
            gathered.inference(*stages);
        }
        let mut recorders = gathered.recorders;
        recorders.push(self.stamps);
        close_journal(self.journal, recorders).unwrap();
    }
}

fn parts(world: &World, epoch: u32, loaded: &Loaded, set: &DataSet) -> Parts {
    let list = &loaded.settings.instruments;
    let mut instruments = set.instruments().unwrap();
    for facts in &mut instruments {
        (facts.maker_fee, facts.taker_fee) = (list.maker_fee, list.taker_fee);
    }
    Parts {
        settings: loaded.settings.clone(),
        text: loaded.text.clone(),
        instruments,
        files: world.registry().champion().unwrap(),
        own: OwnModels::default(),
        epoch,
        mode: 1,
        carried: Carried::default(),
        signer: Signer::paper(),
    }
}

/// What the data set tells from a time on.
fn told(set: &DataSet, from: Nanos) -> VecDeque<(Nanos, Told)> {
    let mut tape = Tape::open_at(set, Some(from)).unwrap();
    let mut market = VecDeque::new();
    while let Some((ts, payload)) = tape.next_payload().unwrap() {
        let told = match payload {
            Payload::Frame(frame) => Told::Frame(frame.to_vec()),
            Payload::Snapshot { body, .. } => Told::Snapshot(body.to_vec()),
            Payload::ExchangeInfo(_) => continue,
        };
        market.push_back((ts, told));
    }
    market
}
