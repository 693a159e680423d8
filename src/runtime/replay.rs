//! Runs lane 0 of a journal through the stages again and holds lanes 1 to 3 against what comes out.
//!
//! A process that was killed leaves lanes without a seal, the later stages' behind the inputs: what
//! it had not yet written is counted apart, and is no difference.
//!
//! Everything needed lies in the journal's folder: the configuration, every model that decided, and
//! in lane 0 every input in its order. A difference means that the record is damaged, or that this
//! program is not the one that wrote it.

use super::assemble::{Budget, Parts, StageRecorders, instrument_settings};
use super::config;
use super::own::OwnModels;
use super::recover::Carried;
use super::swap::attached::{AttachedModels, attached_text};
use crate::base::counters::Counters;
use crate::base::event::{EVENT_VERSION, Event, Instrument, Kind, ModelLoaded, SessionStart};
use crate::base::hop::Stamp;
use crate::engine::{
    Accept, ExecutionStage, InferenceStage, Next, NoProbe, Outlet, RiskStage, model_rings,
};
use crate::execution::Signer;
use crate::features::schema_hash;
use crate::journal::{
    CheckOutcome, LANES, LaneCheck, LaneReader, LaneReport, Recorder, STAMPS_LANE, read_attachment,
};
use crate::model::ArtifactFiles;
use anyhow::{Context, Result, bail};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// What a replay found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReplayReport {
    /// Records read or held against each other, all lanes.
    pub records: u64,
    /// Records that differ, are missing or too many, and damage found while reading.
    pub differences: u64,
    /// The first difference in words.
    pub first: Option<String>,
    /// Inputs replayed.
    pub inputs: u64,
    /// Records that came out beyond the end of a lane which nobody sealed: its writer died before
    /// it got to them.
    pub unwritten: u64,
}

impl ReplayReport {
    fn differ(&mut self, what: String) {
        self.differences += 1;
        self.first.get_or_insert(what);
    }

    fn take(&mut self, mut outcome: CheckOutcome, lane: &LaneReport) {
        if matches!(lane.ending, "open" | "torn" | "cut") {
            let unwritten = outcome.compared.saturating_sub(lane.records);
            outcome.compared -= unwritten;
            outcome.differences -= unwritten.min(outcome.differences);
            // Records beyond the end come last: a difference among those before is the first one.
            outcome.first = outcome.first.filter(|_| outcome.differences > 0);
            self.unwritten += unwritten;
        }
        self.records += outcome.compared;
        self.differences += outcome.differences;
        if self.first.is_none() {
            self.first = outcome.first;
        }
    }
}

/// Replays the journal in `dir` and compares.
///
/// # Errors
/// When the journal cannot be replayed at all: no session record, other versions, missing or
/// changed attachments. Damage and differences are in the report.
pub fn verify(dir: &Path) -> Result<ReplayReport> {
    let mut report = ReplayReport::default();
    let damage = crate::journal::verify(dir);
    if let Some(first) = damage.first {
        report.differ(first);
        report.records = damage.records;
        return Ok(report);
    }
    let mut inputs = LaneReader::open(dir, 0)?;
    let (opening, parts) = read_opening(dir, &mut inputs)?;
    let (model, selection) = parts.load_model(Budget::None)?;
    let first = model.card();
    let counters = Arc::new(Counters::new());
    let mut recorders = Vec::new();
    for lane in 1..LANES {
        if lane != STAMPS_LANE {
            let reader = LaneReader::open(dir, lane)?;
            recorders.push(Recorder::check(LaneCheck::new(lane, reader)));
        }
    }
    let mut recorders = recorders.into_iter();
    let mut next = || recorders.next().context("a lane is missing");
    let recorders = StageRecorders { inference: next()?, risk: next()?, execution: next()? };
    let mut stages = parts.fused((model, selection), recorders, Outlet::none(), &counters)?;
    let (supply, intake) = model_rings();
    stages.let_models_in(intake, Arc::default());
    let loaded = opening.last().context("no model record")?.body();
    let mut models = AttachedModels::new(dir, parts.terms(), supply, (loaded, first));

    let mut probe = NoProbe;
    for event in &opening {
        stages.accept(*event, Stamp(0), &mut probe)?;
        report.inputs += 1;
    }
    for item in inputs {
        match item {
            Ok((_, mut event)) => {
                event.check = 0;
                if event.kind() == Some(Kind::ModelSwap) {
                    models.provide(&event)?;
                }
                stages.accept(event, Stamp(0), &mut probe)?;
                report.inputs += 1;
            }
            Err(corrupt) => {
                report.differ(corrupt.to_string());
                break;
            }
        }
    }
    report.records += report.inputs;
    for (outcome, lane) in outcomes(stages).into_iter().zip(&damage.lanes[1..]) {
        report.take(outcome, lane);
    }
    Ok(report)
}

/// Reads the session's opening records and rebuilds what it ran with.
fn read_opening(dir: &Path, inputs: &mut LaneReader) -> Result<(Vec<Event>, Parts)> {
    let begins = inputs.first_record().0;
    let mut next = |what: &str| -> Result<Event> {
        let (_, mut event) = inputs.next().with_context(|| format!("lane 0 has no {what}"))??;
        event.check = 0;
        Ok(event)
    };
    if begins > 0 {
        bail!(
            "lane 0 begins at record {begins}: its first segments were removed (keep_segments); \
             a replay needs the whole session"
        );
    }
    let first = next("session record")?;
    if first.kind() != Some(Kind::SessionStart) {
        bail!("lane 0 record 0 is no session record");
    }
    let start: SessionStart = *first.body();
    if start.event_version != EVENT_VERSION {
        let (theirs, ours) = (start.event_version, EVENT_VERSION);
        bail!("the journal has event version {theirs}, this program {ours}");
    }
    if start.schema_hash != schema_hash() {
        let (theirs, ours) = (start.schema_hash, schema_hash());
        bail!(
            "the journal was made with feature schema {theirs:016x}, this program has {ours:016x}"
        );
    }
    let mut events = vec![first];
    let mut instruments = Vec::new();
    for i in 0..start.instrument_count {
        let event = next("complete instrument table")?;
        if event.kind() != Some(Kind::Instrument) {
            bail!("lane 0 record {} is no instrument record", i + 1);
        }
        instruments.push(instrument_settings(event.body::<Instrument>())?);
        events.push(event);
    }
    let loaded = next("model record")?;
    if loaded.kind() != Some(Kind::ModelLoaded) {
        bail!("lane 0 has no model record after its instruments");
    }
    let text = attached_text(dir, "config.toml")?;
    if start.config_sha256 != <[u8; 32]>::from(Sha256::digest(text.as_bytes())) {
        bail!("config.toml is not the one the session recorded");
    }
    let onnx = read_attachment(dir, "model.onnx")?;
    if loaded.body::<ModelLoaded>().sha256 != <[u8; 32]>::from(Sha256::digest(&onnx)) {
        bail!("model.onnx is not the one the session recorded");
    }
    let files = ArtifactFiles::from_bytes(onnx, attached_text(dir, "card.toml")?)?;
    events.push(loaded);
    let loaded = config::from_text("config.toml", &text)?;
    let mut parts = Parts {
        settings: loaded.settings,
        text,
        instruments,
        files,
        own: OwnModels::default(),
        epoch: start.epoch,
        mode: start.mode,
        carried: Carried::fresh(start.account),
        signer: Signer::paper(),
    };
    parts.own = OwnModels::of_journal(dir, &parts.symbols(), &parts.terms())?;
    Ok((events, parts))
}

/// Takes the stages apart and asks each comparison for its result, in lane order.
fn outcomes(stages: InferenceStage) -> Vec<CheckOutcome> {
    let (inference, next): (Recorder, Next<RiskStage>) = stages.into_parts();
    let mut found = vec![inference];
    if let Next::Here(risk) = next {
        let (recorder, next): (Recorder, Next<ExecutionStage>) = risk.into_parts();
        found.push(recorder);
        if let Next::Here(execution) = next {
            found.push(execution.into_recorder());
        }
    }
    found.into_iter().filter_map(Recorder::into_outcome).collect()
}
