//! `backtest`: the same steps over recorded data.

use super::{Failure, output};
use crate::base::settings::InstrumentSettings;
use crate::base::time::Nanos;
use crate::exchange::SymbolSpec;
use crate::execution::Signer;
use crate::journal::is_journal;
use crate::registry::Registry;
use crate::runtime::assemble::{Budget, Parts};
use crate::runtime::backtest::{Again, BacktestOrder, BacktestOutcome, Source, instruments, run};
use crate::runtime::config::{self, Loaded};
use crate::runtime::own::{self, OwnModels};
use crate::runtime::recover::Carried;
use crate::runtime::state::StateFolder;
use crate::venue::capture::{DiscoveredInstrument, discover};
use crate::venue::dataset::DataSet;
use anyhow::{Context, Result, anyhow};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(
    after_help = "Example: peregrine backtest --config config/paper.toml --data captures/btc.gz"
)]
pub struct BacktestArguments {
    /// Configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Recorded data: files and folders, merged by receive time; or the folder of one data set
    /// that the lab froze, or of one journal, whose market is taken and nothing else.
    #[arg(long, required_unless_present = "synthetic", num_args = 1.., value_name = "PATH")]
    data: Vec<PathBuf>,
    /// Run over the simulated exchange's market with this seed instead of recorded data.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["data", "from", "to"])]
    synthetic: Option<u64>,
    /// How long the synthetic market runs.
    #[arg(long = "for", default_value = "60s", value_name = "TIME", requires = "synthetic")]
    length: String,
    /// Journal folder, empty or absent; without it a new one in the state folder.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
    /// Take records received from this time on: RFC 3339, or nanoseconds since the epoch.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Take records received before this time.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Models of latency, queue and impact that `peregrine-lab calibrate` estimated, laid over
    /// those of the configuration.
    #[arg(long, value_name = "FILE")]
    fills: Option<PathBuf>,
    /// Count and sum what the data holds: bars, trades, book checkpoints. Implied by --json.
    #[arg(long)]
    audit: bool,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Bad lines named on the error stream; the rest is counted.
const BAD_LINES_SHOWN: usize = 5;

/// Runs a backtest.
pub fn backtest(arguments: &BacktestArguments) -> Result<(), Failure> {
    let (from, to) = (time(arguments.from.as_deref()), time(arguments.to.as_deref()));
    let (from, to) = (from.map_err(Failure::Usage)?, to.map_err(Failure::Usage)?);
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return Err(Failure::Usage(anyhow!("--from: it must lie before --to")));
    }
    let mut loaded = config::load(&arguments.config)?;
    if let Some(fills) = &arguments.fills {
        loaded = config::with_fills(&loaded, fills)?;
    }
    let settings = loaded.settings.clone();
    let (source, found) = source(arguments, &loaded)?;
    let registry = Registry::open(Path::new(&settings.model.dir))?;
    // Looked at again is what is quarantined too: nothing is traded.
    let files = registry.files(registry.version_named(&settings.model.version)?)?;
    let instruments = instruments(&settings.instruments, &found)?;
    if settings.instruments.discover {
        loaded = allow_all(&loaded, &instruments)?;
    }
    let settings = loaded.settings;
    let journal = journal_dir(arguments, &settings.session.state_dir)?;
    let audit = (arguments.audit || arguments.json).then_some(found);
    // Epoch 1 in every backtest: equal runs give equal order ids.
    let (text, signer) = (loaded.text, Signer::paper());
    let (own, carried) = (OwnModels::default(), Carried::default());
    let (epoch, mode) = (1, 0);
    let mut parts = Parts { settings, text, instruments, files, own, epoch, mode, carried, signer };
    let own = own::files_to_look_at(&parts.settings)?;
    parts.own = OwnModels::load(&own, &parts.symbols(), &parts.terms(), Budget::None)?;
    let order = BacktestOrder { source, journal, from, to, audit };
    let outcome = run(&parts, &order)?;
    tell(&outcome, arguments)
}

/// Whatever was discovered on purpose may be traded: a backtest sends nothing anywhere. The list
/// becomes part of the configuration's text, which the journal keeps for replays.
fn allow_all(loaded: &Loaded, instruments: &[InstrumentSettings]) -> Result<Loaded> {
    let mut document: toml::Table = loaded.text.parse()?;
    let names = instruments.iter().map(|facts| facts.symbol.to_string().into()).collect();
    if let Some(toml::Value::Table(risk)) = document.get_mut("risk") {
        risk.insert("allow".to_owned(), toml::Value::Array(names));
    }
    Ok(config::from_text("backtest", &toml::to_string(&document)?)?)
}

/// The market, and the instruments found in it.
fn source(
    arguments: &BacktestArguments,
    loaded: &Loaded,
) -> Result<(Source, Vec<DiscoveredInstrument>), Failure> {
    let Some(seed) = arguments.synthetic else {
        if let [dir] = &arguments.data[..]
            && DataSet::is_one(dir)
        {
            let set = DataSet::open(dir)?;
            let found = set.instruments()?.into_iter().map(DiscoveredInstrument::unseen).collect();
            return Ok((Source::Frozen(set), found));
        }
        if let [dir] = &arguments.data[..]
            && is_journal(dir)
        {
            let again = Again::market(dir);
            let table = again.instruments().with_context(|| dir.display().to_string())?;
            let found = table.into_iter().map(DiscoveredInstrument::unseen).collect();
            return Ok((Source::Journal(again), found));
        }
        return Ok((Source::Recorded(arguments.data.clone()), discover(&arguments.data)?));
    };
    let length = output::duration(&arguments.length).map_err(Failure::Usage)?;
    let length = Nanos(i64::try_from(length.as_nanos()).unwrap_or(i64::MAX));
    let listed = loaded.settings.instruments.symbols.iter();
    let found = listed
        .filter_map(|symbol| SymbolSpec::by_symbol(symbol.as_str()))
        .map(|spec| DiscoveredInstrument::unseen(spec.instrument()))
        .collect();
    Ok((Source::Synthetic { seed, length }, found))
}

fn journal_dir(arguments: &BacktestArguments, state_dir: &str) -> Result<PathBuf> {
    if let Some(dir) = &arguments.journal {
        return Ok(dir.clone());
    }
    let state = StateFolder::open(Path::new(state_dir))?;
    let epoch = state.next_epoch(0)?;
    Ok(state.journals().join(StateFolder::journal_name(epoch, "backtest")))
}

fn tell(outcome: &BacktestOutcome, arguments: &BacktestArguments) -> Result<(), Failure> {
    for line in outcome.bad_lines.iter().take(BAD_LINES_SHOWN) {
        eprintln!("passed over: {line}");
    }
    let more = outcome.bad_lines.len().saturating_sub(BAD_LINES_SHOWN);
    if more > 0 {
        eprintln!("passed over: {more} more lines");
    }
    if arguments.json {
        let mut object: serde_json::Value = serde_json::from_str(&outcome.summary.to_json())?;
        object["refused"] = outcome.refused.iter().map(|(name, n)| (*name, *n)).collect();
        object["bad_lines"] = outcome.bad_lines.len().into();
        object["market"] = outcome.market.clone();
        println!("{object}");
        return Ok(());
    }
    print!("{}", outcome.summary.table());
    for (reason, count) in &outcome.refused {
        println!("refused      {count} frames: {reason}");
    }
    if arguments.audit {
        println!("{}", serde_json::to_string_pretty(&outcome.market)?);
    }
    Ok(())
}

/// RFC 3339, or nanoseconds since the epoch.
pub fn time(text: Option<&str>) -> Result<Option<Nanos>> {
    let Some(text) = text else { return Ok(None) };
    if let Ok(nanos) = text.parse::<i64>() {
        return Ok(Some(Nanos(nanos)));
    }
    let stamp: jiff::Timestamp =
        text.parse().with_context(|| format!("{text:?} is neither RFC 3339 nor nanoseconds"))?;
    Ok(Some(Nanos(i64::try_from(stamp.as_nanosecond())?)))
}
