//! One model with stages, paper venue and books of its own, run over the market of a session.
//!
//! ```text
//!  input of the session ─► FeedStage ─► inference ─► risk ─► execution ─┐
//!        ▲ reports                        │ taps      │ taps            │ orders
//!        └──────────── PaperVenue ◄───────┴───────────┴─────────────────┘
//! ```
//! The stages are those of a backtest over the session's journal, in the same order of events.

use super::books::Books;
use super::changes::Changes;
use crate::base::counters::Counters;
use crate::base::event::{Event, Kind, NoDecision, Order, Prediction, flags};
use crate::base::hop::{Hop, Stamp};
use crate::base::ids::{InstrumentId, Seq};
use crate::base::reason::Reason;
use crate::base::ring::ring;
use crate::base::time::Nanos;
use crate::base::units::{Money, SCALE};
use crate::engine::{FeedStage, Halt, Next, Outlet, Probe, With};
use crate::feed::Feed;
use crate::journal::Recorder;
use crate::ledger::Ledger;
use crate::model::ArtifactFiles;
use crate::model::artifact::{hex, sha256};
use crate::observe::CycleClock;
use crate::promotion::record::{Signal, Told};
use crate::runtime::assemble::{Budget, Parts, StageRecorders};
use crate::runtime::inlet::{Inlet, OrderVenue};
use crate::venue::paper::PaperVenue;
use crate::venue::ports::NoEntry;
use crate::venue::watch::VenueWatch;
use anyhow::{Context, Result, ensure};
use rtrb::Consumer;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Records of one input's consequences at most; a step makes far fewer.
const TAP_EVENTS: usize = 4_096;

/// Which model sits here.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The version's name.
    pub version: String,
    /// SHA-256 of `model.onnx`, hexadecimal.
    pub sha256: String,
    /// SHA-256 of `card.toml`, hexadecimal.
    pub card_sha256: String,
    /// SHA-256 of `model.onnx`.
    pub model: [u8; 32],
    /// First eight bytes of the SHA-256 of `card.toml`.
    pub card: u64,
    /// First eight bytes of the SHA-256 of `model.onnx`, as records carry it.
    pub tag: u64,
    /// What the model is given, in its order.
    pub features: Vec<String>,
    /// Hash of their names in that order, hexadecimal.
    pub feature_set_id: String,
    /// How far ahead its label looks.
    pub horizon: Nanos,
    /// Moves up to this are flat, basis points; `None` where the card does not tell.
    pub threshold_bps: Option<f64>,
}

impl Identity {
    /// What the files say.
    ///
    /// # Errors
    /// When the horizon is out of range.
    pub fn of(files: &ArtifactFiles) -> Result<Self> {
        let card = &files.card;
        Ok(Self {
            version: card.version.clone(),
            sha256: hex(&files.sha256),
            card_sha256: hex(&sha256(files.card_text.as_bytes())),
            model: files.sha256,
            card: files.card_tag(),
            tag: files.tag(),
            features: card.features.clone(),
            feature_set_id: format!("{:016x}", xxh3_64(card.features.join("\n").as_bytes())),
            horizon: Nanos::from_millis(i64::try_from(card.horizon_ms)?),
            threshold_bps: card.metrics.get("threshold_bps").copied(),
        })
    }
}

/// What a model said on one input.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its answer; `None` where it had none.
    pub prediction: Option<Prediction>,
    /// What it wanted.
    pub signal: Signal,
}

/// Times the inference.
struct Timing {
    clock: CycleClock,
    inference_ns: u64,
}

impl Probe for Timing {
    fn stamp(&mut self) -> Stamp {
        self.clock.stamp()
    }

    fn record(&mut self, hop: Hop, _: Seq, from: Stamp, to: Stamp) {
        if hop == Hop::Inference {
            self.inference_ns = self.clock.nanos_between(from, to);
        }
    }
}

/// See the head of this file.
pub struct Seat {
    identity: Identity,
    /// The session's other models, where this place follows its champion.
    changes: Option<Changes>,
    inlet: Inlet<NoEntry, Timing>,
    reports: Consumer<Event>,
    decisions: Consumer<Event>,
    wishes: Consumer<Event>,
    opening: Vec<Event>,
    books: Books,
    /// Why there last was no answer, by instrument.
    faults: Vec<Option<&'static str>>,
}

fn is_booked(event: &Event) -> bool {
    event.kind() == Some(Kind::OrderFilled)
}

fn shows_all(_: &Event) -> bool {
    true
}

impl Seat {
    /// The model of `parts` with stages of its own, on paper.
    ///
    /// # Errors
    /// When the model is refused or the books have nothing to begin with.
    pub fn new(parts: &Parts, clock: &CycleClock) -> Result<Self> {
        Self::build(parts, clock, None)
    }

    /// The champion of the session whose journal is in that folder; it changes when the session's
    /// does.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_champion(parts: &Parts, clock: &CycleClock, journal: &Path) -> Result<Self> {
        Self::build(parts, clock, Some(journal))
    }

    fn build(parts: &Parts, clock: &CycleClock, journal: Option<&Path>) -> Result<Self> {
        let (model, selection) = parts.load_model(Budget::None)?;
        let version = &parts.files.card.version;
        let deposit = parts.settings.risk.starting_equity.unwrap_or(Money::ZERO);
        ensure!(deposit > Money::ZERO, "{version}: risk.starting_equity must be above 0 in shadow");
        let opening = parts.opening(&model);
        let tapped = |shows: fn(&Event) -> bool| {
            let (producer, consumer) = ring(TAP_EVENTS);
            (Recorder::count().with_tap(producer, shows), consumer)
        };
        let (inputs, reports) = tapped(is_booked);
        let (inference, decisions) = tapped(shows_all);
        let (risk, wishes) = tapped(shows_all);
        let recorders = StageRecorders { inference, risk, execution: Recorder::count() };
        let (orders_in, orders) = ring(TAP_EVENTS);
        let counters = Arc::new(Counters::new());
        let outlet = Outlet::ring(orders_in);
        let mut stages = parts.fused((model, selection), recorders, outlet, &counters)?;
        let changes = journal.map(|dir| Changes::new(dir, parts, &mut stages)).transpose()?;
        let next = Next::Here(Box::new(stages));
        let paper = PaperVenue::new(&parts.instruments, parts.settings.paper, deposit);
        // Nobody asks here: the books that the session asked for come with its market.
        let (_, lost_books) = ring(1);
        let inlet = Inlet {
            feed: FeedStage::new(Feed::new(&parts.instruments), inputs, next, counters),
            venue: OrderVenue::Paper(Box::new(paper)),
            orders,
            lost_books,
            watch: VenueWatch::none(),
            probe: Timing { clock: clock.clone(), inference_ns: 0 },
        };
        Ok(Self {
            identity: Identity::of(&parts.files)?,
            changes,
            inlet,
            reports,
            decisions,
            wishes,
            opening,
            books: Books::new(parts.instruments.len(), parts.settings.sizing),
            faults: vec![None; parts.instruments.len()],
        })
    }

    /// Which model sits here.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The books.
    pub fn ledger(&mut self) -> Option<&Ledger> {
        let Next::Here(inference) = self.inlet.feed.next_mut() else { return None };
        let Next::Here(risk) = inference.next() else { return None };
        Some(risk.ledger())
    }

    /// The row of its last prediction, in the order of its features.
    pub fn row(&mut self) -> &[f32] {
        match self.inlet.feed.next_mut() {
            Next::Here(inference) => inference.row(),
            Next::Ring { .. } | Next::Shards(_) | Next::End => &[],
        }
    }

    /// The session changes its champion (a `ModelSwap`): so does this place, where it follows that.
    /// Books and windows of features go on.
    ///
    /// # Errors
    /// When the model is not beside the journal or is refused.
    pub fn change(&mut self, event: &Event) -> Result<()> {
        let Some(changes) = &mut self.changes else { return Ok(()) };
        self.identity = changes.provide(event)?;
        let (ts, event) = (event.now(), Event { check: 0, ..*event });
        self.call(|feed, with| feed.on_event(event, ts, with))?;
        self.note();
        Ok(())
    }

    /// Time has passed to `ts`: what is due at the paper venue comes first, and the opening before
    /// everything.
    ///
    /// # Errors
    /// [`Halt`] when the stages cannot go on.
    pub fn pass_to(&mut self, ts: Nanos) -> Result<()> {
        for event in std::mem::take(&mut self.opening) {
            self.call(|feed, with| feed.on_event(event, ts, with))?;
        }
        while let Some(due) = self.inlet.venue.next_due()
            && due <= ts
        {
            while let Some(report) = self.inlet.venue.poll(due) {
                let at = report.now();
                self.call(|feed, with| feed.on_event(report, at, with))?;
            }
        }
        self.note();
        Ok(())
    }

    /// Takes in an input of the session's market; what the model said on it, where it was asked.
    /// Time has been passed to it before.
    ///
    /// # Errors
    /// [`Halt`] when the stages cannot go on.
    pub fn take(&mut self, event: &Event) -> Result<Option<Said>> {
        let ts = event.now();
        let event = Event { check: 0, ..*event };
        self.call(|feed, with| feed.on_event(event, ts, with))?;
        let said = self.heard();
        self.note();
        Ok(said)
    }

    /// One call into the feed, then the orders that came of it to the paper venue.
    fn call(
        &mut self,
        call: impl FnOnce(&mut FeedStage, &mut With<'_, Timing>) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        self.inlet.call(&mut |_| {}, call)?;
        self.inlet.settle(None).map(drop)
    }

    /// What the taps tell of a decision.
    fn heard(&mut self) -> Option<Said> {
        let (mut said, mut asked) = (None, false);
        while let Ok(event) = self.decisions.pop() {
            let Some(fault) = self.faults.get_mut(event.instrument().index()) else { continue };
            match event.kind() {
                Some(Kind::Prediction) => {
                    (*fault, asked) = (None, true);
                    said = Some(*event.body::<Prediction>());
                }
                Some(Kind::NoDecision) => {
                    let reason = Reason::from_u16(event.body::<NoDecision>().reason);
                    (*fault, asked) = (Some(reason.map_or("unknown", Reason::name)), true);
                }
                _ => {}
            }
        }
        let mut signal = Signal::Hold;
        while let Ok(event) = self.wishes.pop() {
            self.books.on_wish(&event);
            if said.is_some() {
                signal = wanted(&event).unwrap_or(signal);
            }
        }
        asked.then_some(Said { prediction: said, signal })
    }

    /// Books what the ledger has come to.
    fn note(&mut self) {
        while let Ok(event) = self.wishes.pop() {
            self.books.on_wish(&event);
        }
        while let Ok(report) = self.reports.pop() {
            self.books.on_fill(&report);
        }
        let Next::Here(inference) = self.inlet.feed.next_mut() else { return };
        let Next::Here(risk) = inference.next() else { return };
        self.books.look(risk.ledger().positions());
    }

    /// What the log says of this model, at a decision on `instrument`.
    ///
    /// # Errors
    /// When the stages are not here.
    pub fn told(&mut self, instrument: InstrumentId, said: Option<&Said>) -> Result<Told> {
        let i = instrument.index();
        let ledger = self.ledger().context("the stages are on other threads")?;
        let equity = units(ledger.equity().0);
        let position = ledger.position(instrument).copied().unwrap_or_default();
        let seen = self.books.take(i, &position);
        let prediction = said.and_then(|said| said.prediction);
        let quantiles = prediction.map(|p| p.quantile.map(f64::from));
        let identity = &self.identity;
        let fault = self.faults.get(i).copied().flatten();
        Ok(Told {
            version: identity.version.clone(),
            sha256: identity.sha256.clone(),
            card_sha256: identity.card_sha256.clone(),
            proba: prediction.map(|p| p.probability.map(f64::from)),
            q: quantiles.filter(|q| q.iter().all(|q| q.is_finite())),
            signal: said.map_or(Signal::Hold, |said| said.signal),
            feature_set_id: identity.feature_set_id.clone(),
            features_hash: format!("{:016x}", prediction.map_or(0, |p| p.features_hash)),
            latency_ns: if prediction.is_some() { self.inlet.probe.inference_ns } else { 0 },
            virtual_fill: seen.fill,
            position_before: seen.before,
            position_after: units(position.qty.0),
            equity,
            closed_pnl: seen.closed,
            error: prediction.is_none().then(|| fault.unwrap_or("not asked").to_owned()),
        })
    }
}

/// What an order, or one that was denied, is for.
fn wanted(event: &Event) -> Option<Signal> {
    use crate::base::event::Denied;
    use crate::base::order::Purpose;
    let purpose = match event.kind()? {
        Kind::OrderApproved => event.body::<Order>().purpose,
        Kind::Denied => event.body::<Denied>().purpose,
        _ => return None,
    };
    match Purpose::from_u8(purpose)? {
        Purpose::Protect => None,
        Purpose::Entry if event.has(flags::SELL) => Some(Signal::Sell),
        Purpose::Entry => Some(Signal::Buy),
        _ => Some(Signal::Close),
    }
}

/// A fixed-point number as one with a point.
pub(super) fn units(value: i64) -> f64 {
    value as f64 / SCALE as f64
}
