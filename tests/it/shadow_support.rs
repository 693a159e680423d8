//! What the tests of challengers share: a session with its journal, a run over it, the log.

use crate::pipeline_support::{EAGER, Rig, lane, parts, root, synthetic};
use peregrine::base::Nanos;
use peregrine::base::event::{Kind, Prediction};
use peregrine::model::ArtifactFiles;
use peregrine::promotion::Line;
use peregrine::promotion::record::{Came, Decided};
use peregrine::promotion::settings::DriftSettings;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::shadow::{
    Challenger, Engine, EvalLog, Field, Follower, LogBounds, Turn, challenger_parts, drift,
    parts as log_parts, session_parts,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A log in one part.
pub const WHOLE: LogBounds = LogBounds { part: 1 << 30, all: 1 << 32 };

/// A session in a folder, with its journal.
pub struct Session {
    dir: TempDir,
}

impl Session {
    pub fn new(frames: usize) -> Self {
        Self::driven(frames, |_, _, _| {})
    }

    /// `act` is called before each arrival, with their number so far.
    pub fn driven(frames: usize, act: impl FnMut(&mut Rig, &Parts, usize)) -> Self {
        Self::of(frames, |parts| parts, act)
    }

    /// The same of other parts.
    pub fn of(
        frames: usize,
        other: impl FnOnce(Parts) -> Parts,
        mut act: impl FnMut(&mut Rig, &Parts, usize),
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (instruments, arrivals) = synthetic(7, frames, &[]);
        let parts = other(parts(instruments, &EAGER));
        let mut rig = Rig::fused(&parts, &dir.path().join("journal"));
        rig.drive(&arrivals, |rig, taken| act(rig, &parts, taken));
        rig.finish();
        Self { dir }
    }

    pub fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(name).join("shadow_eval.jsonl")
    }

    pub fn lines(&self, name: &str) -> Vec<Line> {
        lines(&self.log(name))
    }

    /// The champion that the session began with, as a version of another name.
    pub fn copy(&self) -> ArtifactFiles {
        copied(session_parts(&self.journal()).unwrap().files)
    }

    /// The champion against `challengers`, each from its time on.
    pub fn follower(
        &self,
        (name, bounds): (&str, LogBounds),
        challengers: &[(ArtifactFiles, Nanos)],
        drift: &DriftSettings,
    ) -> anyhow::Result<Follower> {
        let (journal, log) = (self.journal(), self.log(name));
        follow(&journal, &session_parts(&journal)?, challengers, drift, (&log, bounds))
    }

    /// Such a run to its end.
    pub fn run(
        &self,
        log: (&str, LogBounds),
        challengers: &[(ArtifactFiles, Nanos)],
        drift: &DriftSettings,
    ) -> anyhow::Result<Follower> {
        let mut follower = self.follower(log, challengers, drift)?;
        read_on(&mut follower)?;
        follower.finish()?;
        Ok(follower)
    }

    /// The champion against a copy of itself, from the beginning on.
    pub fn run_copy(&self, name: &str, bounds: LogBounds) -> Follower {
        self.run((name, bounds), &[(self.copy(), Nanos::ZERO)], &shipped()).unwrap()
    }
}

/// The shipped champion as a version of another name.
pub fn copied(champion: ArtifactFiles) -> ArtifactFiles {
    let card = champion.card_text.replacen("\"synthetic-1\"", "\"copy-1\"", 1);
    ArtifactFiles::from_bytes(champion.onnx, card).unwrap()
}

/// A champion against `challengers`, each from its time on, over a journal into a log.
pub fn follow(
    journal: &Path,
    champion: &Parts,
    challengers: &[(ArtifactFiles, Nanos)],
    drift: &DriftSettings,
    (log, bounds): (&Path, LogBounds),
) -> anyhow::Result<Follower> {
    let one = |(files, since): &(ArtifactFiles, Nanos)| Challenger {
        parts: challenger_parts(champion, files.clone()),
        since: *since,
    };
    let challengers: Vec<Challenger> = challengers.iter().map(one).collect();
    let field = Field { journal, champion, challengers: &challengers, drift };
    let engine = Engine::new(&field)?;
    Follower::new(journal, engine, EvalLog::open(log, bounds)?)
}

/// Reads all that the journal holds by now.
pub fn read_on(follower: &mut Follower) -> anyhow::Result<()> {
    while follower.turn(4_096)? == Turn::Read {}
    Ok(())
}

/// How drift is looked for as shipped.
pub fn shipped() -> DriftSettings {
    drift(&root().join("config/gates.toml")).unwrap()
}

/// The predictions that a session recorded, by number.
pub fn recorded(journal: &Path) -> BTreeMap<u64, Prediction> {
    let lane = lane(journal, 1);
    let told = lane.iter().filter(|event| event.kind() == Some(Kind::Prediction));
    let told: Vec<(u64, Prediction)> = told.map(|event| (event.seq, *event.body())).collect();
    assert!(told.is_sorted_by(|one, next| one.0 < next.0), "one for an event, in their order");
    told.into_iter().collect()
}

/// Every line of a log, its parts in order.
pub fn lines(path: &Path) -> Vec<Line> {
    let all: Vec<u8> =
        log_parts(path).unwrap().iter().flat_map(|part| std::fs::read(part).unwrap()).collect();
    let whole = all.split_inclusive(|byte| *byte == b'\n');
    whole.map(|line| Line::parse(&line[..line.len() - 1]).unwrap()).collect()
}

pub fn decisions(lines: &[Line]) -> Vec<&Decided> {
    let mut found = Vec::new();
    for line in lines {
        if let Line::Decision(decided) = line {
            found.push(&**decided);
        }
    }
    found
}

pub fn outcomes(lines: &[Line]) -> Vec<Came> {
    let came = |line: &Line| match line {
        Line::Decision(_) => None,
        Line::Outcome(came) => Some(came.clone()),
    };
    lines.iter().filter_map(came).collect()
}

/// Lines without what a clock measured.
pub fn timeless(mut lines: Vec<Line>) -> Vec<Line> {
    for line in &mut lines {
        if let Line::Decision(decided) = line {
            (decided.champion.latency_ns, decided.challenger.latency_ns) = (0, 0);
        }
    }
    lines
}
