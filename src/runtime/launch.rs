//! Builds the stages behind the feed and starts their threads, last stage first.

use super::assemble::{Parts, StageRecorders};
use super::clock::CycleProbe;
use super::heartbeat::Heartbeat;
use super::stage_thread::{self, StageThread};
use super::topology::Topology;
use crate::base::InstrumentId;
use crate::base::counters::Counters;
use crate::base::hop::Hop;
use crate::base::ring;
use crate::engine::{
    Accept, Crossing, ExecutionStage, InferenceStage, ModelIntake, ModelSigns, Next, Outlet,
    RiskStage,
};
use crate::features::Selection;
use crate::model::Model;
use anyhow::{Context, Result};
use rtrb::{Consumer, Producer};
use std::sync::Arc;

/// Builds and starts the stages behind the feed.
pub struct Launcher<'l> {
    /// What the stages are made of.
    pub parts: &'l Parts,
    /// Which stage runs where.
    pub topology: &'l Topology,
    /// Signs of life, in topology order.
    pub heartbeats: &'l [(&'static str, Option<usize>, Arc<Heartbeat>)],
    /// Latency probes of the threads behind the feed, in topology order.
    pub probes: Vec<CycleProbe>,
    /// Inference's way to ask for fresh books.
    pub lost: Option<Producer<InstrumentId>>,
    /// Where other models come in, and what tells what they do.
    pub models: Option<(ModelIntake, Arc<ModelSigns>)>,
}

/// A model with its input selection.
pub type LoadedModel = (Model, Selection);
/// The way to the first stage behind the feed, and the threads.
pub type Started = (Next<InferenceStage>, Stages);

impl Launcher<'_> {
    /// Gives inference its way to ask for fresh books, and models their way to it.
    pub fn wire(&mut self, stage: &mut InferenceStage) {
        if let Some((intake, signs)) = self.models.take() {
            stage.let_models_in(intake, signs);
        }
        if let Some(ring) = self.lost.take() {
            stage.ask_for_books(ring);
        }
    }

    /// Starts the thread at `place` of the topology; threads are started last first.
    fn start<S>(
        &mut self,
        place: usize,
        hop: Hop,
        ring: Consumer<Crossing<S::Message>>,
        stage: S,
    ) -> Result<StageThread<S>>
    where
        S: Accept + Send + 'static,
        S::Message: Send,
    {
        let plan = &self.topology.threads[place];
        let probe = self.probes.pop().context("a thread without a probe")?;
        let required = self.parts.settings.topology.pin_required;
        let heartbeat = Arc::clone(&self.heartbeats[place].2);
        Ok(stage_thread::start(plan, required, hop, ring, stage, probe, heartbeat)?)
    }

    /// One thread for the three stages behind the feed.
    ///
    /// # Errors
    /// When a stage is refused or the thread cannot start.
    pub fn paired(
        &mut self,
        model: LoadedModel,
        recorders: StageRecorders,
        outlet: Outlet,
        counters: &Arc<Counters>,
    ) -> Result<Started> {
        let depth = self.parts.settings.topology.feed_inference_events as usize;
        let mut stages = self.parts.fused(model, recorders, outlet, counters)?;
        self.wire(&mut stages);
        let (producer, consumer) = ring::ring(depth);
        let thread = self.start(1, Hop::FeedInference, consumer, stages)?;
        Ok((Next::Ring { name: "feed_inference", producer }, Stages::Paired(thread)))
    }

    /// A thread for each stage behind the feed.
    ///
    /// # Errors
    /// When a stage is refused or a thread cannot start.
    pub fn split(
        &mut self,
        model: LoadedModel,
        recorders: StageRecorders,
        outlet: Outlet,
        counters: &Arc<Counters>,
    ) -> Result<Started> {
        let depths = self.parts.settings.topology.clone();
        let stage = self.parts.execution(recorders.execution, outlet, counters);
        let (producer, ring) = ring::ring(depths.risk_execution_events as usize);
        let execution = self.start(3, Hop::RiskExecution, ring, stage)?;
        let next = ring_to("risk_execution", producer);
        let stage = self.parts.risk(recorders.risk, next, counters)?;
        let (producer, ring) = ring::ring(depths.inference_risk_events as usize);
        let risk = self.start(2, Hop::InferenceRisk, ring, stage)?;
        let next = ring_to("inference_risk", producer);
        let mut stage = self.parts.inference(model, recorders.inference, next, counters);
        self.wire(&mut stage);
        let (producer, ring) = ring::ring(depths.feed_inference_events as usize);
        let inference = self.start(1, Hop::FeedInference, ring, stage)?;
        let threads = Stages::Split { inference, risk, execution };
        Ok((ring_to("feed_inference", producer), threads))
    }
}

fn ring_to<S: Accept>(name: &'static str, producer: Producer<Crossing<S::Message>>) -> Next<S> {
    Next::Ring { name, producer }
}

/// The threads behind the feed.
pub enum Stages {
    /// None: all stages run on the feed's thread.
    Fused,
    /// One for all three.
    Paired(StageThread<InferenceStage>),
    /// One for each.
    Split {
        /// Runs inference.
        inference: StageThread<InferenceStage>,
        /// Runs risk.
        risk: StageThread<RiskStage>,
        /// Runs execution.
        execution: StageThread<ExecutionStage>,
    },
}
