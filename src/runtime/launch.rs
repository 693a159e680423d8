//! Builds the stages behind the feed and starts their threads, last stage first.

use super::assemble::{Parts, StageRecorders};
use super::clock::CycleProbe;
use super::heartbeat::Heartbeat;
use super::stage_thread::{self, Single, StageThread, Work};
use super::topology::{SHARDS, Topology};
use crate::base::InstrumentId;
use crate::base::counters::Counters;
use crate::base::hop::Hop;
use crate::base::ring;
use crate::engine::{
    Accept, Crossing, ExecutionStage, Fan, InferenceShard, InferenceStage, Merger, ModelIntake,
    ModelSigns, Next, Outlet, RiskStage, Share,
};
use crate::features::Selection;
use crate::journal::Recorder;
use crate::model::Model;
use anyhow::{Context, Result};
use rtrb::Producer;
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
    /// Where other models come in, for each shard, and what tells what they do.
    pub models: Option<(Vec<ModelIntake>, Arc<ModelSigns>)>,
}

/// A model with its input selection.
pub type LoadedModel = (Model, Selection);
/// The way to the first stage behind the feed, and the threads.
pub type Started = (Next<InferenceStage>, Stages);

impl Launcher<'_> {
    /// Gives inference its way to ask for fresh books, and models their way to it.
    pub fn wire(&mut self, stage: &mut InferenceStage) {
        if let Some((mut intakes, signs)) = self.models.take()
            && let Some(intake) = intakes.pop()
        {
            stage.let_models_in(intake, signs);
        }
        if let Some(ring) = self.lost.take() {
            stage.ask_for_books(ring);
        }
    }

    /// Starts the thread at `place` of the topology; threads are started last first.
    fn start<W: Work>(&mut self, place: usize, work: W) -> Result<StageThread<W::Stage>> {
        let plan = &self.topology.threads[place];
        let probe = self.probes.pop().context("a thread without a probe")?;
        let required = self.parts.settings.topology.pin_required;
        let heartbeat = Arc::clone(&self.heartbeats[place].2);
        Ok(stage_thread::start(plan, required, work, probe, heartbeat)?)
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
        let (ring, hop) = (consumer, Hop::FeedInference);
        let thread = self.start(1, Single { ring, stage: stages, hop })?;
        Ok((Next::Ring { name: "feed_inference", producer }, Stages::Paired(thread)))
    }

    /// A thread for each stage behind the feed; for inference one a shard.
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
        let shares = self.parts.shares();
        let behind = 1 + shares.len();
        let stage = self.parts.execution(recorders.execution, outlet, counters);
        let (producer, ring) = ring::ring(depths.risk_execution_events as usize);
        let hop = Hop::RiskExecution;
        let execution = self.start(behind + 1, Single { ring, stage, hop })?;
        let next = ring_to("risk_execution", producer);
        let risk = self.parts.risk(recorders.risk, next, counters)?;
        if shares.len() > 1 {
            let behind = (recorders.inference, risk, execution);
            return self.sharded(model, &shares, behind, counters);
        }
        let (producer, ring) = ring::ring(depths.inference_risk_events as usize);
        let risk = self.start(behind, Single { ring, stage: risk, hop: Hop::InferenceRisk })?;
        let next = ring_to("inference_risk", producer);
        let mut stage = self.parts.inference(model, recorders.inference, next, counters);
        self.wire(&mut stage);
        let (producer, ring) = ring::ring(depths.feed_inference_events as usize);
        let inference = self.start(1, Single { ring, stage, hop: Hop::FeedInference })?;
        let threads = Stages::Split { inference, risk, execution };
        Ok((ring_to("feed_inference", producer), threads))
    }

    /// Inference on a thread for each of `shares`, before the stages `behind` it.
    fn sharded(
        &mut self,
        (model, selection): LoadedModel,
        shares: &[Share],
        (recorder, risk, execution): (Recorder, RiskStage, StageThread<ExecutionStage>),
        counters: &Arc<Counters>,
    ) -> Result<Started> {
        let depths = &self.parts.settings.topology;
        let (feed, behind) = (depths.feed_inference_events, depths.inference_risk_events);
        let (feed, behind) = (feed as usize, behind as usize);
        // Never full before another: it holds what all others hold, and an input in each hand.
        let (order_in, order) = ring::ring(shares.len() * (feed + behind + 1));
        let (mut out, mut from) = (Vec::new(), Vec::new());
        for names in &SHARDS[..shares.len()] {
            let (producer, consumer) = ring::ring(behind);
            out.push((names.risk, producer));
            from.push((names.thread, consumer));
        }
        let (instruments, next) = (self.parts.instruments.len(), Next::Here(Box::new(risk)));
        let counters = Arc::clone(counters);
        let mut merger = Merger::new(instruments, order, from, recorder, next, counters);
        if let Some(ring) = self.lost.take() {
            merger.ask_for_books(ring);
        }
        let risk = self.start(1 + shares.len(), merger)?;
        let settings = self.parts.inference_settings();
        let (mut intakes, signs) = self.models.take().unwrap_or_default();
        let (mut ways, mut inference) = (Vec::new(), Vec::new());
        // As every thread, the last first.
        for (i, (share, way)) in shares.iter().zip(out).enumerate().rev() {
            let model = (model.clone(), selection.clone());
            let mut stage = InferenceShard::new(*share, &settings, model, way);
            stage.have_own_models(self.parts.own.places(*share));
            if let Some(intake) = intakes.pop() {
                stage.let_models_in(intake, Arc::clone(&signs));
            }
            let (producer, ring) = ring::ring(feed);
            ways.push((SHARDS[i].feed, producer));
            inference.push(self.start(1 + i, Single { ring, stage, hop: Hop::FeedInference })?);
        }
        ways.reverse();
        inference.reverse();
        let fan = Fan::new(instruments, order_in, ways);
        Ok((Next::Shards(Box::new(fan)), Stages::Sharded { inference, risk, execution }))
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
    /// One for each, and for inference one a shard.
    Sharded {
        /// Run inference, in the order of the shards.
        inference: Vec<StageThread<InferenceShard>>,
        /// Merges what they send, and runs risk.
        risk: StageThread<Merger>,
        /// Runs execution.
        execution: StageThread<ExecutionStage>,
    },
}
