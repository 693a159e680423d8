//! One input of a session to the champion and every challenger; what they said as lines.

use super::CHALLENGERS_MAX;
use super::outcome::{Outcomes, Rule};
use super::seat::{Identity, Said, Seat, units};
use crate::base::event::{Event, Gap, Kind, Prediction};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::time::Nanos;
use crate::base::units::Money;
use crate::observe::CycleClock;
use crate::observe::snapshot::ShadowView;
use crate::promotion::Line;
use crate::promotion::record::{Came, Decided, SHADOW_SCHEMA, Told};
use crate::registry::Stage;
use crate::runtime::assemble::Parts;
use anyhow::{Context, Result, bail, ensure};
use std::collections::VecDeque;

/// Lines that wait for the session's own answer at most; beyond it the oldest goes on without.
const HELD_MAX: usize = 1 << 16;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EngineCounts {
    /// Inputs of the market taken in.
    pub inputs: u64,
    /// Decisions of the champion or a challenger.
    pub decisions: u64,
    /// Decisions whose row was held against the one that the session itself recorded.
    pub compared: u64,
    /// Rows that came out differently.
    pub mismatches: u64,
    /// Outcomes told.
    pub outcomes: u64,
    /// Decisions whose outcome will not be known.
    pub lost: u64,
}

/// A decision and what came before it was told.
enum Held {
    Decision { seq: u64, instrument: InstrumentId, hash: Option<u64>, lines: Vec<Decided> },
    Came { at_ns: i64, lines: Vec<Came> },
}

/// See the head of this file.
pub struct Engine {
    champion: Seat,
    challengers: Vec<Seat>,
    outcomes: Outcomes,
    symbols: Vec<Symbol>,
    bar_ns: i64,
    held: VecDeque<Held>,
    /// What the session's own champion said, not yet met by a decision: number, place and hash.
    recorded: VecDeque<(u64, InstrumentId, u64)>,
    /// Number of the newest record of the session's inference.
    passed: u64,
    /// Number of the newest input.
    seq: u64,
    newest: Nanos,
    counts: EngineCounts,
    /// Decisions in which each challenger wanted what the champion did.
    agreed: Vec<u64>,
}

impl Engine {
    /// The champion of `champion` and the model of each of `challengers`, with the same settings
    /// and instruments, over a session that begins.
    ///
    /// # Errors
    /// When there is no challenger or too many, a model is refused, or a challenger's label is
    /// another than the champion's: what they say cannot be scored by one outcome.
    pub fn new(champion: &Parts, challengers: &[Parts]) -> Result<Self> {
        let (count, most) = (challengers.len(), CHALLENGERS_MAX);
        ensure!(count > 0 && count <= most, "{count} challengers: 1 to {most} can be on trial");
        let clock = CycleClock::calibrate();
        let seat = Seat::new(champion, &clock)?;
        let mut seats = Vec::new();
        for parts in challengers {
            let other = Seat::new(parts, &clock)?;
            check_label(seat.identity(), other.identity())?;
            let name = &other.identity().version;
            let twice = seats.iter().any(|seat: &Seat| seat.identity().version == *name);
            ensure!(!twice, "{name}: is named twice");
            seats.push(other);
        }
        let rule = rule(champion, seat.identity());
        Ok(Self {
            champion: seat,
            agreed: vec![0; seats.len()],
            challengers: seats,
            outcomes: Outcomes::new(rule),
            symbols: champion.symbols(),
            bar_ns: i64::from(champion.settings.features.bar_interval_ms.max(1)) * 1_000_000,
            held: VecDeque::new(),
            recorded: VecDeque::new(),
            passed: 0,
            seq: 0,
            newest: Nanos::ZERO,
            counts: EngineCounts::default(),
        })
    }

    /// The champion's place.
    pub const fn champion(&mut self) -> &mut Seat {
        &mut self.champion
    }

    /// The challengers' places, in the order they were named.
    pub fn challengers(&mut self) -> &mut [Seat] {
        &mut self.challengers
    }

    /// What was counted.
    pub fn counts(&self) -> EngineCounts {
        EngineCounts { lost: self.outcomes.lost(), ..self.counts }
    }

    /// Each challenger as a page shows it.
    pub fn views(&mut self) -> Vec<ShadowView> {
        let decisions = self.counts.decisions;
        let view = |(seat, agreed): (&mut Seat, &u64)| ShadowView {
            version: seat.identity().version.clone(),
            decisions,
            agreement_ratio: *agreed as f64 / decisions.max(1) as f64,
            pnl_quote: seat.ledger().map_or(Money::ZERO, |l| l.equity() - l.starting_equity()),
            sharpe: None,
        };
        self.challengers.iter_mut().zip(&self.agreed).map(view).collect()
    }

    /// Time of the newest input.
    pub const fn newest(&self) -> Nanos {
        self.newest
    }

    /// Takes in a record of lane 0. Time passes with every one; the market is run, and what a
    /// venue or an operator told the session is not.
    ///
    /// # Errors
    /// When a stage cannot go on, or another champion begins to decide in the session.
    pub fn on_input(&mut self, event: &Event) -> Result<()> {
        self.seq = self.seq.max(event.seq);
        self.newest = self.newest.max(event.now());
        let ts = self.newest;
        for seat in std::iter::once(&mut self.champion).chain(&mut self.challengers) {
            seat.pass_to(ts)?;
        }
        self.check_champion(event)?;
        if !is_market(event) {
            return Ok(());
        }
        self.counts.inputs += 1;
        self.outcomes.on_event(event);
        let said = self.champion.take(event)?;
        let mut answers = Vec::with_capacity(self.challengers.len());
        for seat in &mut self.challengers {
            answers.push(seat.take(event)?);
        }
        let known = event.instrument().index() < self.symbols.len();
        if known && (said.is_some() || answers.iter().any(Option::is_some)) {
            self.decided(event, said.as_ref(), &answers)?;
        }
        while let Some((at, seq, instrument, outcome)) = self.outcomes.next_known() {
            let symbol = self.symbols[instrument.index()].to_string();
            let came = |seat: &Seat| Came {
                schema: SHADOW_SCHEMA,
                seq,
                symbol: symbol.clone(),
                challenger: seat.identity().version.clone(),
                outcome,
            };
            let lines = self.challengers.iter().map(came).collect();
            self.held.push_back(Held::Came { at_ns: at.0, lines });
        }
        Ok(())
    }

    /// Records from here on were not read: no book is what it was.
    ///
    /// # Errors
    /// As [`Self::on_input`].
    pub fn on_hole(&mut self) -> Result<()> {
        for i in 0..self.symbols.len() {
            let instrument = InstrumentId(u16::try_from(i)?);
            let mut gap = Event::new(Kind::Gap, instrument, &Gap::default());
            gap.ts_recv = self.newest.0;
            self.on_input(&gap)?;
        }
        Ok(())
    }

    /// Takes in a record of lane 1: what the session's own model said.
    pub fn on_recorded(&mut self, event: &Event) {
        self.passed = self.passed.max(event.seq);
        if event.kind() == Some(Kind::Prediction) {
            let body: &Prediction = event.body();
            if body.model_tag == self.champion.identity().tag {
                self.recorded.push_back((event.seq, event.instrument(), body.features_hash));
            }
        }
        if self.recorded.len() > HELD_MAX {
            self.recorded.pop_front();
        }
    }

    /// Whether records of lane 1 are still behind those of lane 0.
    pub const fn wants_answers(&self) -> bool {
        self.passed <= self.seq
    }

    /// Another champion is another trial: nothing said from there on is compared with this one.
    fn check_champion(&self, event: &Event) -> Result<()> {
        if event.kind() != Some(Kind::ModelSwap) {
            return Ok(());
        }
        let swap: &crate::base::event::ModelSwap = event.body();
        let tag = crate::model::artifact::tag_of(&swap.sha256);
        if swap.role == 1 && tag != self.champion.identity().tag {
            let seq = event.seq;
            bail!(
                "input {seq}: another champion decides from here on; begin anew with the next \
                   session"
            );
        }
        Ok(())
    }

    fn decided(
        &mut self,
        event: &Event,
        said: Option<&Said>,
        answers: &[Option<Said>],
    ) -> Result<()> {
        self.counts.decisions += 1;
        let (seq, instrument, at) = (event.seq, event.instrument(), event.now());
        self.outcomes.decided(seq, instrument, at);
        let price = self.price(instrument, said, answers);
        let champion = self.champion.told(instrument, said)?;
        let hash = prediction(said).map(|p| p.features_hash);
        let timestamp = jiff::Timestamp::from_nanosecond(i128::from(at.0))
            .context("the time of an input is out of range")?
            .to_string();
        let mut lines = Vec::with_capacity(answers.len());
        let seats = self.challengers.iter_mut().zip(&mut self.agreed);
        for ((seat, agreed), answer) in seats.zip(answers) {
            let challenger = seat.told(instrument, answer.as_ref())?;
            *agreed += u64::from(challenger.signal == champion.signal);
            let same_row = seat.identity().features == self.champion.identity().features;
            let features_match = !same_row || rows_match(&champion, &challenger);
            lines.push(Decided {
                schema: SHADOW_SCHEMA,
                seq,
                timestamp: timestamp.clone(),
                ts_event_ns: at.0,
                ts_decision_ns: at.0,
                symbol: self.symbols[instrument.index()].to_string(),
                price,
                bar_id: at.0.div_euclid(self.bar_ns),
                stage: Stage::Shadow,
                assigned: None,
                features_match,
                drift: None,
                guardrail: None,
                champion: champion.clone(),
                challenger,
            });
        }
        self.held.push_back(Held::Decision { seq, instrument, hash, lines });
        Ok(())
    }

    /// The middle of the book, or of the touch that a model saw.
    fn price(&self, instrument: InstrumentId, said: Option<&Said>, all: &[Option<Said>]) -> f64 {
        let answers = std::iter::once(said).chain(all.iter().map(Option::as_ref));
        let touch = answers.filter_map(prediction).next();
        let mid = touch.map_or(0.0, |p| (units(p.bid_px) + units(p.ask_px)) / 2.0);
        self.outcomes.mid(instrument).map_or(mid, |mid| units(mid as i64))
    }

    /// Tells the lines that are ripe to `take`, each with the time of its decision: those that the
    /// session's own answer has been seen for, or all where `at_end` says that none will come.
    ///
    /// # Errors
    /// Those of `take`.
    pub fn drain(
        &mut self,
        at_end: bool,
        mut take: impl FnMut(&Line, i64) -> Result<()>,
    ) -> Result<()> {
        while let Some(first) = self.held.front() {
            // A later record of the same lane says that there was none for this one.
            let waits = matches!(first, Held::Decision { seq, .. } if *seq >= self.passed
                && !self.recorded.iter().any(|(recorded, ..)| recorded == seq));
            if waits && !at_end && self.held.len() <= HELD_MAX {
                return Ok(());
            }
            match self.held.pop_front() {
                Some(Held::Decision { seq, instrument, hash, lines }) => {
                    let same = self.same_as_recorded(seq, instrument, hash);
                    for mut line in lines {
                        line.features_match &= same;
                        self.counts.mismatches += u64::from(!line.features_match);
                        let at_ns = line.ts_event_ns;
                        take(&Line::Decision(Box::new(line)), at_ns)?;
                    }
                }
                Some(Held::Came { at_ns, lines }) => {
                    for line in lines {
                        self.counts.outcomes += 1;
                        take(&Line::Outcome(line), at_ns)?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Whether the champion's row is the one of the session, as far as both are known.
    fn same_as_recorded(&mut self, seq: u64, place: InstrumentId, hash: Option<u64>) -> bool {
        while let Some((recorded, instrument, theirs)) = self.recorded.front().copied() {
            if recorded > seq {
                break;
            }
            self.recorded.pop_front();
            if let (true, Some(hash)) = (recorded == seq && instrument == place, hash) {
                self.counts.compared += 1;
                return hash == theirs;
            }
        }
        true
    }
}

fn prediction(said: Option<&Said>) -> Option<&Prediction> {
    said?.prediction.as_ref()
}

/// Rows of the same features, where both models had one.
fn rows_match(champion: &Told, challenger: &Told) -> bool {
    let both = champion.proba.is_some() && challenger.proba.is_some();
    !both || champion.features_hash == challenger.features_hash
}

/// An input that is run again: the market and time.
fn is_market(event: &Event) -> bool {
    match event.kind() {
        Some(Kind::Timer) => true,
        Some(_) => event.kind < Kind::SessionStart as u8,
        None => false,
    }
}

/// Both are scored by one outcome, so it has to be the one that both were trained for.
fn check_label(champion: &Identity, challenger: &Identity) -> Result<()> {
    let (theirs, ours) = (challenger.horizon.to_millis(), champion.horizon.to_millis());
    let name = &challenger.version;
    ensure!(theirs == ours, "{name}: looks {theirs} ms ahead, the champion {ours} ms");
    let (theirs, ours) = (challenger.threshold_bps, champion.threshold_bps);
    ensure!(
        theirs == ours,
        "{name}: its label is flat up to {theirs:?} basis points, the champion's up to {ours:?}"
    );
    Ok(())
}

/// How outcomes are judged: by the card's threshold, else by the fees of a round trip.
fn rule(parts: &Parts, champion: &Identity) -> Rule {
    let round_trip: Vec<f64> =
        parts.instruments.iter().map(|facts| 2.0 * units(facts.taker_fee.0)).collect();
    let threshold = round_trip.iter().map(|fees| match champion.threshold_bps {
        Some(bps) => bps / 1e4,
        None => *fees,
    });
    Rule { horizon: champion.horizon, threshold: threshold.collect(), round_trip }
}
