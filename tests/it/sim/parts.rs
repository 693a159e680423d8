//! What simulated sessions are made of: a small model that trades often, and an exchange at a low
//! rate.

use super::account::key;
use super::account::secret;
use super::plan::Setting;
use super::watch::Bounds;
use crate::pipeline_support::{config_text, softmax_of};
use peregrine::base::Nanos;
use peregrine::base::units::{Money, SCALE};
use peregrine::exchange::account::{AccountSettings, Credential};
use peregrine::exchange::{Exchange, ExchangeSettings, SymbolSpec};
use peregrine::execution::Signer;
use peregrine::features::schema_hash;
use peregrine::model::ArtifactFiles;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::config::{self, Loaded};
use peregrine::runtime::recover::{Carried, Chain, newest_epoch};
use peregrine::runtime::state::StateFolder;
use std::path::PathBuf;
use std::sync::OnceLock;
use toml::Value;
use xxhash_rust::xxh3::xxh3_64;

/// 2026-11-22 19:13:00 UTC.
pub const OPENED: Nanos = Nanos::from_secs(1_795_374_780);
/// What the sessions are called.
pub const NAME: &str = "sim";
/// Market frames a second over both contracts.
const RATE: f64 = 80.0;
/// What a position is worth; less than two of them may be there at once.
const POSITION: i64 = 400;
/// The limit of a position, of which a second one is far beyond.
const POSITION_MAX: i64 = 500;
/// Oldest market data an entry may rest on, in milliseconds.
const MARKET_AGE_MS: i64 = 1_000;

/// The exchange of a seed, opened at a time.
pub fn exchange(seed: u64, opened_at: Nanos) -> Exchange {
    let keys = vec![(key(), Credential::Hmac(secret()))];
    let account = AccountSettings { keys, deposit: Money::whole(10_000), leverage: 20 };
    Exchange::without_past(&ExchangeSettings {
        seed,
        symbols: SymbolSpec::default_pair().to_vec(),
        rate: RATE,
        opened_at,
        accounts: vec![account],
    })
}

/// A model that follows the imbalance of the touch, which changes its sign often.
pub fn model() -> &'static ArtifactFiles {
    static FILES: OnceLock<ArtifactFiles> = OnceLock::new();
    FILES.get_or_init(|| softmax_of("imbalance_1", [-2.0, 0.0, 2.0], schema_hash()))
}

/// The watch of the venue looks where a test wants it to, and else never: it asks on the line that
/// reconciliation asks on, and what a seed does there is the seed's.
const UNWATCHED: [(&str, &str, &str); 5] = [
    ("watch", "clock_every_s", "0"),
    ("watch", "filters_every_s", "0"),
    ("watch", "account_every_s", "0"),
    ("watch", "modes_every_s", "0"),
    ("watch", "drop_copy_every_s", "0"),
];

/// The same with keys replaced.
pub fn loaded_with(setting: Setting, changes: &[(&str, &str, &str)]) -> Loaded {
    let quoted = |text: String| format!("\"{text}\"");
    let (position, most) = (quoted(POSITION.to_string()), quoted(POSITION_MAX.to_string()));
    let age = MARKET_AGE_MS.to_string();
    let entry = if setting.api { "\"websocket\"" } else { "\"rest\"" };
    let [connection_age, stop, dead_man] =
        [setting.age_s, setting.stop_bps, setting.dead_man_ms].map(|number| number.to_string());
    let mut all = vec![
        ("session", "unattended", "true"),
        ("venue", "orders", "\"venue\""),
        ("venue", "rest_url", "\"http://127.0.0.1:1\""),
        ("venue", "public_url", "\"ws://127.0.0.1:1/public\""),
        ("venue", "market_url", "\"ws://127.0.0.1:1/market\""),
        ("venue", "private_url", "\"ws://127.0.0.1:1/private\""),
        ("venue", "api_url", "\"ws://127.0.0.1:1/ws-fapi/v1\""),
        ("venue", "order_entry", entry),
        ("venue", "connection_age_s_max", &connection_age),
        ("venue", "dead_man_ms", &dead_man),
        ("venue", "open_interest_every_s", "0"),
        ("venue", "reconcile_every_s", "5"),
        ("venue", "snapshot_levels", "50"),
        ("features", "bar_interval_ms", "250"),
        ("policy", "enter_edge", "0.3"),
        ("exits", "stop_atr", "0.0"),
        ("exits", "take_profit_r", "0.0"),
        ("exits", "trail_r", "0.0"),
        ("exits", "hold_bars", "0"),
        ("exits", "volatility_high", "0.0"),
        ("exits", "volatility_low", "0.0"),
        ("exits", "hold_ms_max", "3000"),
        ("sizing", "volatility_reference_bps", "0.0"),
        ("exits", "protective_stop_bps", &stop),
        ("policy", "position_notional", &position),
        ("risk", "position_notional_max", &most),
        ("risk", "market_age_ms_max", &age),
        ("risk", "losses_in_a_row_max", "100000"),
        // Sessions that trade as fast as they can are not what limits of conduct are for.
        ("risk", "identical_entries_per_min_max", "32"),
        ("risk", "collar_denials_per_min_max", "64"),
        ("risk", "model_identical_max", "1000"),
        ("risk", "daily_loss_max", "\"5000\""),
        ("risk", "drawdown_bps_max", "9000"),
        ("breakers", "day_loss_warn_bps", "9000"),
        ("breakers", "day_loss_halt_bps", "9500"),
        ("breakers", "day_loss_kill_bps", "9900"),
        ("breakers", "drawdown_reduce_bps", "9000"),
        ("breakers", "drawdown_halt_bps", "9999"),
        ("breakers", "losses_half", "999990"),
        ("breakers", "losses_quarter", "999995"),
        ("breakers", "losses_halt", "1000000"),
        ("journal", "input_segment_mib", "1"),
        ("journal", "output_segment_mib", "1"),
    ];
    all.extend_from_slice(&UNWATCHED);
    all.extend_from_slice(changes);
    config::from_text("sim", &config_text(&all)).expect("a sound configuration")
}

/// What the next session of a state folder is made of, the way `runtime::session` goes about it;
/// and the folder of its journal.
///
/// # Errors
/// When what earlier sessions left cannot be read.
pub fn parts(
    exchange: &Exchange,
    loaded: &Loaded,
    files: &ArtifactFiles,
    state: &StateFolder,
) -> anyhow::Result<(Parts, PathBuf)> {
    let chain = Chain::new(NAME, &loaded.settings);
    let carried = Carried::read(&state.journals(), &chain, state.begun(NAME)?.as_deref())?;
    let carried = carried.of_account(xxh3_64(key().as_bytes()))?;
    let equity = exchange.accounts.ledger().totals(0).wallet();
    let equity = Value::String(equity.to_string());
    let loaded = config::with_values(loaded, &[("risk", "starting_equity", equity)])?;
    let epoch = state.next_epoch(newest_epoch(&state.journals())?)?;
    let name = StateFolder::journal_name(epoch, NAME);
    let parts = Parts {
        settings: loaded.settings,
        text: loaded.text,
        instruments: exchange.market.instruments(),
        files: files.clone(),
        own: peregrine::runtime::own::OwnModels::default(),
        epoch,
        mode: 1,
        carried,
        signer: Signer::new(secret().as_bytes()).named(&key()),
    };
    parts.check_instruments()?;
    Ok((parts, state.journals().join(name)))
}

/// What the checks compare with.
pub fn bounds() -> Bounds {
    bounds_of(model())
}

/// The same where this model decides.
pub fn bounds_of(files: &ArtifactFiles) -> Bounds {
    let model_sha256 = files.sha256;
    let [a, b, c, d, e, f, g, h, ..] = model_sha256;
    Bounds {
        position_notional: POSITION_MAX * SCALE,
        market_age: Nanos::from_millis(MARKET_AGE_MS),
        model_tag: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        model_sha256,
    }
}

/// A folder for journals, in memory where the system has one.
pub fn folder() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder for the journals of a simulation")
}
