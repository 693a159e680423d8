//! Sessions with known models, and what is made of them.

mod attributed;
mod calibrated;
mod clocks;
mod queues;

use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{Event, Nanos};
use peregrine::exchange::{SymbolSpec, SyntheticMarket};
use peregrine::execution::Signer;
use peregrine::journal::{Journal, JournalSettings, LANES, LaneReader, read_attachment};
use peregrine::model::ArtifactFiles;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::backtest::{BacktestOrder, Source, run};
use peregrine::runtime::config::{self, Loaded};
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::recover::Carried;
use peregrine::runtime::scripted::{START, Scripted};
use std::path::{Path, PathBuf};
use toml::Value;

/// A key of a configuration and its value.
type Set<'s> = (&'s str, &'s str, Value);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shipped trader, made to trade often, with these values on top.
fn trader(values: &[Set<'_>]) -> Loaded {
    let loaded = config::load(&root().join("config/paper.toml")).expect("the shipped file");
    let number = |section, key, value: i64| (section, key, Value::Integer(value));
    let mut often: Vec<Set<'_>> = vec![
        number("risk", "losses_in_a_row_max", 1_000_000),
        number("breakers", "losses_half", 999_990),
        number("breakers", "losses_quarter", 999_995),
        number("breakers", "losses_halt", 1_000_000),
        number("breakers", "slippage_bps", 10_000),
        number("breakers", "send_to_ack_ms", 600_000),
        number("breakers", "send_to_ack_p95_ms", 600_000),
        ("policy", "enter_edge", Value::Float(0.15)),
    ];
    often.extend(values.iter().cloned());
    config::with_values(&loaded, &often).expect("lawful values")
}

/// A session of so many seconds on the synthetic market of a seed, in the folder `dir`.
fn session(dir: &Path, loaded: &Loaded, (seed, seconds): (u64, i64)) -> PathBuf {
    let specs = [SymbolSpec::btcusdt()];
    let market = SyntheticMarket::with_rate(seed, &specs, START, 300.0);
    let source =
        Source::Scripted(Box::new(Scripted::new(market, START + Nanos::from_secs(seconds))));
    let list = &loaded.settings.instruments;
    let facts = specs.iter().map(|spec| InstrumentSettings {
        maker_fee: list.maker_fee,
        taker_fee: list.taker_fee,
        ..spec.instrument()
    });
    let parts = Parts {
        settings: loaded.settings.clone(),
        text: loaded.text.clone(),
        instruments: facts.collect(),
        files: ArtifactFiles::read(&root().join("models_saved/synthetic-1")).expect("shipped"),
        own: OwnModels::default(),
        epoch: 1,
        mode: 0,
        carried: Carried::default(),
        signer: Signer::paper(),
    };
    let journal = dir.to_path_buf();
    let order = BacktestOrder { source, journal, from: None, to: None, audit: None };
    let _ = run(&parts, &order).expect("a session");
    dir.to_path_buf()
}

/// A journal whose records went through `change`, lane by lane.
fn rewritten(from: &Path, to: &Path, change: &dyn Fn(usize, &mut Event)) -> PathBuf {
    let settings = JournalSettings::backtest(7);
    let (journal, mut lanes) = Journal::create(to, settings).expect("a journal");
    for name in ["config.toml", "model.onnx", "card.toml"] {
        journal.attach(name, &read_attachment(from, name).expect("attached")).expect("attached");
    }
    for (lane, writer) in lanes.iter_mut().enumerate().take(LANES) {
        for item in LaneReader::open(from, lane).expect("a lane") {
            let (_, mut event) = item.expect("a sound record");
            event.check = 0;
            change(lane, &mut event);
            let _ = writer.append(&event).expect("appended");
        }
    }
    let _ = journal.close(lanes).expect("sealed");
    to.to_path_buf()
}
