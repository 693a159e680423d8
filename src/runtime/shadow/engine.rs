//! One input of a session to the champion and every challenger; what they said as lines.

use super::CHALLENGERS_MAX;
use super::deal::Deal;
use super::held::{Answers, Held, Waiting};
use super::outcome::{Outcomes, Rule};
use super::rows::Rows;
use super::seat::{Identity, Said, Seat, units};
use crate::base::SymbolState;
use crate::base::event::{Event, Kind, ModelSwap, Prediction, SymbolChange};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::time::Nanos;
use crate::base::units::Money;
use crate::engine::SwapRole;
use crate::ledger::Ledger;
use crate::observe::CycleClock;
use crate::observe::snapshot::ShadowView;
use crate::promotion::Line;
use crate::promotion::record::{Came, Decided, SHADOW_SCHEMA, Told};
use crate::promotion::settings::DriftSettings;
use crate::registry::Stage;
use crate::runtime::assemble::Parts;
use crate::runtime::backtest::is_market;
use crate::runtime::own::is_own;
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// A model on trial.
pub struct Challenger {
    /// The session's parts with this model.
    pub parts: Parts,
    /// Its lines begin here: what came before its training may have seen.
    pub since: Nanos,
}

/// A session and who is on trial beside its champion.
pub struct Field<'f> {
    /// Folder of the session's journal: models that it changes to lie there.
    pub journal: &'f Path,
    /// The session with the model that it began with.
    pub champion: &'f Parts,
    /// Who is on trial.
    pub challengers: &'f [Challenger],
    /// How drift of features is looked for.
    pub drift: &'f DriftSettings,
}

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

/// A challenger's place and what is known of it.
struct Trial {
    seat: Seat,
    since: Nanos,
    rows: Rows,
    deal: Deal,
    /// Decisions compared, and those in which it wanted what the champion did.
    compared: u64,
    agreed: u64,
}

/// See the head of this file.
pub struct Engine {
    champion: Seat,
    trials: Vec<Trial>,
    outcomes: Outcomes,
    symbols: Vec<Symbol>,
    bar_ns: i64,
    /// When the session began.
    session_ns: i64,
    /// Instruments that a model of their own decides in the session: whatever a challenger said
    /// there, it would not come to decide them. They are left out.
    own: Vec<InstrumentId>,
    /// Place of the model that decides a share in the session, while one does.
    share: Option<u8>,
    waiting: Waiting,
    newest: Nanos,
    counts: EngineCounts,
}

impl Engine {
    /// Every model of `field` with the same settings and instruments, over a session that begins.
    ///
    /// # Errors
    /// When there is no challenger or too many, a model is refused, or a challenger's label is
    /// another than the champion's: what they say cannot be scored by one outcome.
    pub fn new(field: &Field<'_>) -> Result<Self> {
        let (count, most) = (field.challengers.len(), CHALLENGERS_MAX);
        ensure!(count > 0 && count <= most, "{count} challengers: 1 to {most} can be on trial");
        let clock = CycleClock::calibrate();
        let champion = Seat::of_champion(field.champion, &clock, field.journal)?;
        let interval = i64::from(field.champion.settings.policy.decision_interval_ms);
        let settings = &field.champion.settings;
        let pooled = field.champion.instruments.len().saturating_sub(settings.model.own.len());
        let pace = (pooled.max(1), Nanos::from_millis(interval));
        let mut trials: Vec<Trial> = Vec::new();
        for Challenger { parts, since } in field.challengers {
            let seat = Seat::new(parts, &clock)?;
            check_label(champion.identity(), seat.identity())?;
            let name = &seat.identity().version;
            let twice = trials.iter().any(|trial| trial.seat.identity().version == *name);
            ensure!(!twice, "{name}: is named twice");
            let rows = Rows::new(&parts.files.card, pace, field.drift)?;
            let deal = Deal::default();
            trials.push(Trial { seat, since: *since, rows, deal, compared: 0, agreed: 0 });
        }
        let rule = rule(field.champion, champion.identity());
        Ok(Self {
            champion,
            trials,
            outcomes: Outcomes::new(rule),
            symbols: field.champion.symbols(),
            bar_ns: i64::from(field.champion.settings.features.bar_interval_ms.max(1)) * 1_000_000,
            session_ns: 0,
            own: Vec::new(),
            share: None,
            waiting: Waiting::default(),
            newest: Nanos::ZERO,
            counts: EngineCounts::default(),
        })
    }

    /// The champion's place.
    pub const fn champion(&mut self) -> &mut Seat {
        &mut self.champion
    }

    /// The challengers' places, in the order they were named.
    pub fn challengers(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.trials.iter_mut().map(|trial| &mut trial.seat)
    }

    /// What was counted.
    pub fn counts(&self) -> EngineCounts {
        EngineCounts { lost: self.outcomes.lost(), ..self.counts }
    }

    /// Each challenger as a page shows it.
    pub fn views(&mut self) -> Vec<ShadowView> {
        let earned = |ledger: &Ledger| ledger.equity() - ledger.starting_equity();
        let view = |trial: &mut Trial| ShadowView {
            version: trial.seat.identity().version.clone(),
            decisions: trial.compared,
            agreement_ratio: trial.agreed as f64 / trial.compared.max(1) as f64,
            pnl_quote: trial.seat.ledger().map_or(Money::ZERO, earned),
            sharpe: None,
        };
        self.trials.iter_mut().map(view).collect()
    }

    /// Time of the newest input.
    pub const fn newest(&self) -> Nanos {
        self.newest
    }

    /// Takes in a record of lane 0. Time passes with every one; the market and changes of the model
    /// are run, and what a venue or an operator told the session is not.
    ///
    /// # Errors
    /// When a stage cannot go on, or the session changes to a model that cannot be compared.
    pub fn on_input(&mut self, event: &Event) -> Result<()> {
        self.waiting.read_to(event.seq);
        self.newest = self.newest.max(event.now());
        let ts = self.newest;
        for seat in std::iter::once(&mut self.champion).chain(seats(&mut self.trials)) {
            seat.pass_to(ts)?;
        }
        match event.kind() {
            _ if is_own(event) => self.own.push(event.instrument()),
            _ if self.own.contains(&event.instrument()) => {}
            Some(Kind::SessionStart) => self.session_ns = ts.0,
            Some(Kind::ModelSwap) => self.changed(event)?,
            Some(Kind::SymbolChange) => self.symbol_changed(event)?,
            _ if is_market(event) => self.run(event)?,
            _ => {}
        }
        Ok(())
    }

    /// The market goes on.
    fn run(&mut self, event: &Event) -> Result<()> {
        self.counts.inputs += 1;
        self.outcomes.on_event(event);
        let said = self.champion.take(event)?;
        let mut answers = Vec::with_capacity(self.trials.len());
        for seat in seats(&mut self.trials) {
            answers.push(seat.take(event)?);
        }
        let known = event.instrument().index() < self.symbols.len();
        if known && (said.is_some() || answers.iter().any(Option::is_some)) {
            self.decided(event, said.as_ref(), &answers)?;
        }
        while let Some((at, seq, instrument, outcome)) = self.outcomes.next_known() {
            let symbol = self.symbols[instrument.index()].to_string();
            let scored = self.trials.iter().filter(|trial| trial.since <= at);
            let came = |trial: &Trial| Came {
                schema: SHADOW_SCHEMA,
                seq,
                symbol: symbol.clone(),
                challenger: trial.seat.identity().version.clone(),
                outcome,
            };
            let lines = scored.map(came).collect();
            self.waiting.push(Held::Came { at_ns: at.0, lines });
        }
        Ok(())
    }

    /// The session drops or adds a symbol, and so does every place. Nobody waits until those that
    /// follow are flat: they leave their positions at once, while the market is still told.
    fn symbol_changed(&mut self, event: &Event) -> Result<()> {
        let leaves = event.symbol_state() == Some(SymbolState::Leaving);
        let change = SymbolChange { flat: u8::from(leaves), ..*event.body() };
        let event = Event {
            body: Event::new(Kind::SymbolChange, event.instrument(), &change).body,
            ..*event
        };
        for seat in std::iter::once(&mut self.champion).chain(seats(&mut self.trials)) {
            seat.take(&event)?;
        }
        Ok(())
    }

    /// The session changes its models: the champion's place follows, and a challenger may begin or
    /// end to trade a share there. Another champion is another trial of every challenger.
    fn changed(&mut self, event: &Event) -> Result<()> {
        let swap: &ModelSwap = event.body();
        if swap.role == SwapRole::Canary as u8 {
            self.share = (swap.share_bps > 0).then_some(swap.slot);
        } else if swap.role == SwapRole::Champion as u8 {
            self.share = self.share.filter(|share| *share != swap.slot);
            self.champion.change(event)?;
            for seat in seats(&mut self.trials) {
                check_label(self.champion.identity(), seat.identity())
                    .with_context(|| format!("input {}: another champion decides", event.seq))?;
            }
        }
        for trial in &mut self.trials {
            let identity = trial.seat.identity();
            let is_its = identity.model == swap.sha256 && identity.card == swap.card;
            trial.deal.on_swap(swap, is_its);
        }
        Ok(())
    }

    /// What the session's own models said, as lane 1 has it.
    pub const fn answers(&mut self) -> &mut Answers {
        &mut self.waiting.answers
    }

    /// Whether records of lane 1 are still behind those of lane 0.
    pub const fn wants_answers(&self) -> bool {
        self.waiting.wants_answers()
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
        let timestamp = jiff::Timestamp::from_nanosecond(i128::from(at.0))
            .context("the time of an input is out of range")?
            .to_string();
        let mut lines = Vec::with_capacity(answers.len());
        for (trial, answer) in self.trials.iter_mut().zip(answers) {
            let challenger = trial.seat.told(instrument, answer.as_ref())?;
            let drift = match prediction(answer.as_ref()) {
                Some(_) => trial.rows.push(instrument, at, trial.seat.row()),
                None => None,
            };
            // Both are gone over in any case: what they did is told since the decision before.
            if at < trial.since {
                continue;
            }
            trial.compared += 1;
            trial.agreed += u64::from(challenger.signal == champion.signal);
            let (theirs, ours) = (trial.seat.identity(), self.champion.identity());
            let (assigned, guardrail) = trial.deal.at(instrument, at, theirs.horizon);
            let stage = if assigned.is_some() { Stage::Canary } else { Stage::Shadow };
            let same_row = theirs.features == ours.features;
            lines.push(Decided {
                schema: SHADOW_SCHEMA,
                seq,
                timestamp: timestamp.clone(),
                ts_event_ns: at.0,
                ts_decision_ns: at.0,
                session_ns: self.session_ns,
                symbol: self.symbols[instrument.index()].to_string(),
                price,
                bar_id: at.0.div_euclid(self.bar_ns),
                stage,
                assigned,
                features_match: !same_row || rows_match(&champion, &challenger),
                drift,
                guardrail,
                champion: champion.clone(),
                challenger,
            });
        }
        let row = prediction(said).map(|p| p.features_hash);
        let tag = self.champion.identity().tag;
        let alone = self.share.is_none();
        self.waiting.push(Held::Decision { seq, instrument, tag, row, alone, lines });
        Ok(())
    }

    /// The middle of the book, or of the touch that a model saw.
    fn price(&self, instrument: InstrumentId, said: Option<&Said>, all: &[Option<Said>]) -> f64 {
        let answers = std::iter::once(said).chain(all.iter().map(Option::as_ref));
        let touch = answers.filter_map(prediction).next();
        let mid = touch.map_or(0.0, |p| f64::midpoint(units(p.bid_px), units(p.ask_px)));
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
        while let Some((held, same)) = self.waiting.pop_ripe(at_end) {
            self.counts.compared += u64::from(same.is_some());
            match held {
                Held::Decision { lines, .. } => {
                    for mut line in lines {
                        line.features_match &= same != Some(false);
                        self.counts.mismatches += u64::from(!line.features_match);
                        let at_ns = line.ts_event_ns;
                        take(&Line::Decision(Box::new(line)), at_ns)?;
                    }
                }
                Held::Came { at_ns, lines } => {
                    for line in lines {
                        self.counts.outcomes += 1;
                        take(&Line::Outcome(line), at_ns)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn seats(trials: &mut [Trial]) -> impl Iterator<Item = &mut Seat> {
    trials.iter_mut().map(|trial| &mut trial.seat)
}

fn prediction(said: Option<&Said>) -> Option<&Prediction> {
    said?.prediction.as_ref()
}

/// Rows of the same features, where both models had one.
fn rows_match(champion: &Told, challenger: &Told) -> bool {
    let both = champion.proba.is_some() && challenger.proba.is_some();
    !both || champion.features_hash == challenger.features_hash
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
