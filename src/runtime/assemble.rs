//! Puts the stages together from settings, instruments and a model: the same way for every
//! topology, for backtest and for replay.

use super::own::OwnModels;
use super::recover::Carried;
use super::swap::ModelTerms;
use crate::base::SymbolState;
use crate::base::counters::Counters;
use crate::base::event::{
    ACTOR_UNATTENDED, Command, EVENT_VERSION, Event, Instrument, Kind, ModelLoaded, Reconciled,
    SessionStart, SymbolChange,
};
use crate::base::ids::{InstrumentId, Symbol};
use crate::base::limits::INSTRUMENTS_MAX;
use crate::base::settings::{InstrumentSettings, OrderRoute, Settings};
use crate::base::time::Nanos;
use crate::base::units::Money;
use crate::engine::{
    ExecutionStage, InferenceSettings, InferenceStage, Next, Outlet, RiskStage, Share,
};
use crate::execution::Signer;
use crate::features::{Selection, schema_hash};
use crate::journal::Recorder;
use crate::model::{ArtifactFiles, ExecutorKind, Model};
use crate::risk::{GateSession, Origin, Verb};
use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Levels a book holds on one side for few instruments, and for many.
const BOOK_LEVELS_FEW: usize = 16_384;
/// With many instruments memory decides.
const BOOK_LEVELS_MANY: usize = 4_096;

/// What the stages are made of.
pub struct Parts {
    /// The checked settings.
    pub settings: Settings,
    /// The text they came from.
    pub text: String,
    /// The session's instrument table.
    pub instruments: Vec<InstrumentSettings>,
    /// The model's files as verified.
    pub files: ArtifactFiles,
    /// Models that symbols have of their own.
    pub own: OwnModels,
    /// Order-id epoch.
    pub epoch: u32,
    /// 0 backtest, 1 paper, 2 testnet, 3 live.
    pub mode: u32,
    /// What earlier sessions left.
    pub carried: Carried,
    /// Signs the requests; [`Signer::paper`] where nothing is sent. What is recorded does not
    /// depend on it.
    pub signer: Signer,
}

/// Whether a model that is too slow is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// As configured: sessions that trade in real time.
    Configured,
    /// Not at all: replay and backtest, where time is a number.
    None,
}

/// The recorders of lanes 1 to 3.
pub struct StageRecorders {
    /// Lane 1.
    pub inference: Recorder,
    /// Lane 2.
    pub risk: Recorder,
    /// Lane 3.
    pub execution: Recorder,
}

impl Parts {
    /// Loads the model: verified, compiled, checked against its golden vectors.
    ///
    /// # Errors
    /// When the model is refused, or a feature it wants is not in the schema.
    pub fn load_model(&self, budget: Budget) -> Result<(Model, Selection)> {
        self.terms().load(&self.files, budget)
    }

    /// What a model of the session must be.
    pub fn terms(&self) -> ModelTerms {
        ModelTerms {
            model: self.settings.model.clone(),
            bar_interval_ms: self.settings.features.bar_interval_ms,
            instruments: self.instruments.len(),
        }
    }

    /// The session's symbols, in table order.
    pub fn symbols(&self) -> Vec<Symbol> {
        self.instruments.iter().map(|facts| facts.symbol).collect()
    }

    /// Refuses instrument tables the stages cannot hold.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn check_instruments(&self) -> Result<()> {
        if self.instruments.is_empty() {
            bail!("no instrument to trade: name symbols, or give data that holds some");
        }
        if self.instruments.len() > INSTRUMENTS_MAX {
            bail!("{} instruments; at most {INSTRUMENTS_MAX} fit", self.instruments.len());
        }
        let dialect = self.settings.venue.dialect;
        if let Some(other) = self.instruments.iter().find(|facts| !dialect.names(&facts.symbol)) {
            bail!("{} is no contract of venue.dialect = {:?}", other.symbol, dialect.name());
        }
        self.carried.check(&self.instruments)
    }

    /// The execution stage.
    pub fn execution(
        &self,
        recorder: Recorder,
        outlet: Outlet,
        counters: &Arc<Counters>,
    ) -> ExecutionStage {
        let counters = Arc::clone(counters);
        let signer = self.signer.clone().speaking(self.settings.venue.form_of_requests());
        ExecutionStage::new(&self.instruments, &signer, recorder, outlet, counters)
    }

    /// The risk stage.
    pub fn risk(
        &self,
        recorder: Recorder,
        next: Next<ExecutionStage>,
        counters: &Arc<Counters>,
    ) -> Result<RiskStage> {
        let mode = self.settings.mode;
        let session = GateSession { epoch: self.epoch, strategy: 1, model: 1, mode };
        let counters = Arc::clone(counters);
        Ok(RiskStage::new(&self.instruments, &self.settings, session, recorder, next, counters)?)
    }

    /// How inference is shared among threads: one share is the whole.
    pub fn shares(&self) -> Vec<Share> {
        let shards = self.settings.topology.inference_shards as usize;
        Share::split(self.instruments.len(), shards)
    }

    /// What the inference stage decides with.
    pub fn inference_settings(&self) -> InferenceSettings {
        let few = self.instruments.len() <= 32;
        InferenceSettings {
            features: self.settings.features,
            decision_interval: Nanos::from_millis(i64::from(
                self.settings.policy.decision_interval_ms,
            )),
            book_levels: if few { BOOK_LEVELS_FEW } else { BOOK_LEVELS_MANY },
        }
    }

    /// The inference stage.
    pub fn inference(
        &self,
        (model, selection): (Model, Selection),
        recorder: Recorder,
        next: Next<RiskStage>,
        counters: &Arc<Counters>,
    ) -> InferenceStage {
        let settings = self.inference_settings();
        let mut stage = InferenceStage::new(
            self.instruments.len(),
            &settings,
            model,
            selection,
            recorder,
            next,
            Arc::clone(counters),
        );
        stage.have_own_models(self.own.places(Share::whole(self.instruments.len())));
        stage
    }

    /// All three on one thread.
    pub fn fused(
        &self,
        model: (Model, Selection),
        recorders: StageRecorders,
        outlet: Outlet,
        counters: &Arc<Counters>,
    ) -> Result<InferenceStage> {
        let execution = self.execution(recorders.execution, outlet, counters);
        let risk = self.risk(recorders.risk, Next::Here(Box::new(execution)), counters)?;
        Ok(self.inference(model, recorders.inference, Next::Here(Box::new(risk)), counters))
    }

    /// The records that open every session: what it runs with, its instruments, its model, models
    /// that instruments have of their own, which instruments are not traded, and what earlier
    /// sessions left, which ends the opening. Then, for backtests and unattended paper trading, the
    /// command that arms it.
    pub fn opening(&self, model: &Model) -> Vec<Event> {
        let start = SessionStart {
            config_sha256: Sha256::digest(self.text.as_bytes()).into(),
            schema_hash: schema_hash(),
            seed: self.settings.session.seed,
            epoch: self.epoch,
            mode: self.mode,
            event_version: EVENT_VERSION,
            instrument_count: u32::try_from(self.instruments.len()).unwrap_or(u32::MAX),
            account: self.carried.account,
            ..SessionStart::default()
        };
        let mut events = vec![Event::new(Kind::SessionStart, InstrumentId::NONE, &start)];
        for (i, facts) in self.instruments.iter().enumerate() {
            let id = InstrumentId(u16::try_from(i).unwrap_or(u16::MAX));
            events.push(Event::new(Kind::Instrument, id, &instrument_body(facts)));
        }
        let version = version_bytes(&self.files.card.version);
        let loaded = ModelLoaded {
            sha256: *model.sha256(),
            version,
            schema_hash: schema_hash(),
            executor: executor_code(model.executor()),
            ..ModelLoaded::default()
        };
        events.push(Event::new(Kind::ModelLoaded, InstrumentId::NONE, &loaded));
        events.extend(self.own.opening());
        events.extend(self.symbol_changes());
        let configured = self.settings.risk.starting_equity.unwrap_or(Money::ZERO);
        events.extend(self.carried.events(&self.instruments, configured));
        let orders = self.settings.venue.orders;
        let (backtest, paper) = (self.mode == 0, orders == OrderRoute::Paper);
        let unattended = self.mode == 1 && self.settings.session.unattended;
        if orders == OrderRoute::Nowhere {
            // What is never traded is never armed.
            return events;
        }
        if backtest || unattended && self.carried.may_rearm() {
            events.push(Event::new(Kind::Command, InstrumentId::NONE, &arm_unattended()));
        }
        if backtest || self.mode == 1 && paper {
            // The paper venue starts flat and empty by construction. A real one is reconciled when
            // the account's stream is up.
            let flat = Reconciled::default();
            events.push(Event::new(Kind::Reconciled, InstrumentId::NONE, &flat));
        }
        events
    }
}

impl Parts {
    /// What of the table is not simply traded: as an earlier session left it by its operators'
    /// orders, else as configured.
    fn symbol_changes(&self) -> impl Iterator<Item = Event> + '_ {
        let asleep = &self.settings.instruments.asleep;
        self.instruments.iter().enumerate().filter_map(move |(place, facts)| {
            let configured = asleep.contains(&facts.symbol).then(asleep_as_configured);
            let change = self.carried.symbol_change(facts.symbol, configured)?;
            let id = InstrumentId(u16::try_from(place).unwrap_or(u16::MAX));
            Some(Event::new(Kind::SymbolChange, id, &change))
        })
    }
}

fn asleep_as_configured() -> SymbolChange {
    let state = SymbolState::Asleep as u8;
    let mut change = SymbolChange { state, actor: ACTOR_UNATTENDED, ..SymbolChange::default() };
    let why = b"instruments.asleep";
    change.reason[..why.len()].copy_from_slice(why);
    change
}

/// Paper trading and backtests arm themselves; anything else waits for an operator.
fn arm_unattended() -> Command {
    let origin = Origin::Session as u32;
    let mut command =
        Command { verb: Verb::Arm as u32, actor: ACTOR_UNATTENDED, origin, ..Command::default() };
    let why = b"paper trading arms itself";
    command.reason[..why.len()].copy_from_slice(why);
    command
}

/// A version's name as records carry it.
pub fn version_bytes(name: &str) -> [u8; 32] {
    let mut version = [0; 32];
    let kept = name.len().min(version.len());
    version[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    version
}

const fn executor_code(kind: ExecutorKind) -> u32 {
    match kind {
        ExecutorKind::Native => 1,
        ExecutorKind::Tract => 2,
    }
}

fn instrument_body(facts: &InstrumentSettings) -> Instrument {
    Instrument {
        symbol: facts.symbol.to_bytes(),
        tick_size: facts.tick_size.0,
        lot_size: facts.lot_size.0,
        min_qty: facts.min_qty.0,
        max_qty: facts.max_qty.0,
        min_notional: facts.min_notional.0,
        maker_fee: facts.maker_fee.0,
        taker_fee: facts.taker_fee.0,
        ..Instrument::default()
    }
}

/// The instrument table out of lane 0, for a replay.
///
/// # Errors
/// When a record's symbol is none.
pub fn instrument_settings(body: &Instrument) -> Result<InstrumentSettings> {
    use crate::base::{Money, Px, Qty, Rate};
    let symbol = Symbol::from_bytes(&body.symbol).context("an instrument record has no symbol")?;
    Ok(InstrumentSettings {
        symbol,
        tick_size: Px(body.tick_size),
        lot_size: Qty(body.lot_size),
        min_qty: Qty(body.min_qty),
        max_qty: Qty(body.max_qty),
        min_notional: Money(body.min_notional),
        maker_fee: Rate(body.maker_fee),
        taker_fee: Rate(body.taker_fee),
    })
}
