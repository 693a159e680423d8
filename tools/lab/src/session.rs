//! One session of the trader over a market, in a state folder of its own.

use crate::trace::Trace;
use anyhow::{Result, anyhow};
use peregrine::base::Nanos;
use peregrine::base::settings::InstrumentSettings;
use peregrine::execution::Signer;
use peregrine::model::ArtifactFiles;
use peregrine::observe::report::{Figures, Period, read};
use peregrine::observe::snapshot::CounterValues;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::backtest::{BacktestOrder, Source, run};
use peregrine::runtime::config::Loaded;
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::recover::Carried;
use peregrine::runtime::replay::verify;
use peregrine::runtime::state::StateFolder;

/// Name of the sessions in their state folders.
const NAME: &str = "lab";

/// What runs over what.
pub struct Session {
    /// The trader's configuration.
    pub loaded: Loaded,
    /// The model's files.
    pub files: ArtifactFiles,
    /// What may be traded.
    pub instruments: Vec<InstrumentSettings>,
    /// The market.
    pub source: Source,
    /// First receive time taken of recorded data.
    pub from: Option<Nanos>,
    /// First receive time no longer taken.
    pub to: Option<Nanos>,
}

/// What a session came to. Its journal is gone.
pub struct Lived {
    /// Profit, trades, fall.
    pub figures: Figures,
    /// What its records say of the rules.
    pub trace: Trace,
    /// Records that came out otherwise when it was run again from its inputs.
    pub differences: u64,
    /// Its counters.
    pub counters: CounterValues,
}

impl Session {
    /// Runs it, runs it again from its journal, and reads what it wrote.
    ///
    /// # Errors
    /// A model, configuration or market that does not fit, or a journal that cannot be written or
    /// read.
    pub fn live(self) -> Result<Lived> {
        let dir = tempfile::tempdir()?;
        let (settings, text) = (self.loaded.settings, self.loaded.text);
        let (instruments, files) = (self.instruments, self.files);
        let (carried, signer) = (Carried::default(), Signer::paper());
        // One model is looked at: it decides every symbol.
        let (own, epoch, mode) = (OwnModels::default(), 1, 0);
        let parts = Parts { settings, text, instruments, files, own, epoch, mode, carried, signer };
        let state = StateFolder::open(dir.path())?;
        let journal = state.journals().join(StateFolder::journal_name(1, NAME));
        let (source, from, to) = (self.source, self.from, self.to);
        let order = BacktestOrder { source, journal: journal.clone(), from, to, audit: None };
        let outcome = run(&parts, &order)?;
        let replayed = verify(&journal)?;
        let all = Period { from: 0, to: i64::MAX };
        let figures = read(dir.path(), NAME, all).map_err(|what| anyhow!(what))?;
        let trace = Trace::read(&journal)?;
        let differences = replayed.differences;
        Ok(Lived { figures, trace, differences, counters: outcome.summary.counters })
    }
}
