//! The trading process: what it runs with, and what is done to it.

use crate::exchange::{Exchange, program};
use crate::records;
use anyhow::{Context, Result, bail};
use peregrine::registry::{Change, Registry};
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use toml::{Table, Value};

const CONFIG: &str = include_str!("../../config/paper.toml");
const RISK: &str = include_str!("../../config/risk.toml");
const ONNX: &[u8] = include_bytes!("quick-1/model.onnx");
const CARD: &str = include_str!("quick-1/card.toml");
/// Wait between two looks at a process or a journal.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Section, key and value of what differs from the shipped paper configuration: decisions come
/// often, from features that need no history, and no limit ends the campaign before its time: a
/// machine too busy for the market to move sees many an entry at the price of the one before.
const CHANGES: [(&str, &str, &str); 49] = [
    ("venue", "orders", "\"venue\""),
    ("venue", "open_interest_every_s", "0"),
    ("venue", "snapshot_levels", "100"),
    ("venue", "reconcile_every_s", "5"),
    ("venue", "market_streams", "[\"aggTrade\", \"markPrice@1s\"]"),
    ("instruments", "discover", "false"),
    ("features", "market_age_ms_max", "5000"),
    ("model", "budget_us", "1000000"),
    ("rollback", "gates", "\"\""),
    ("policy", "decision_interval_ms", "20"),
    ("policy", "enter_edge", "0.02"),
    ("exits", "stop_atr", "0.0"),
    ("exits", "take_profit_r", "0.0"),
    ("exits", "trail_r", "0.0"),
    ("exits", "hold_bars", "0"),
    ("exits", "volatility_high", "0.0"),
    ("exits", "volatility_low", "0.0"),
    ("policy", "position_notional", "\"200\""),
    ("exits", "hold_ms_max", "100"),
    ("sizing", "volatility_reference_bps", "0.0"),
    ("policy", "entry_rest_ms_max", "300"),
    ("exits", "protective_stop_bps", "200"),
    ("topology", "wait", "\"park\""),
    ("topology", "feed_inference_events", "32768"),
    ("journal", "input_segment_mib", "1"),
    ("journal", "output_segment_mib", "1"),
    ("http", "bind", "\"\""),
    ("risk", "order_notional_max", "\"5000\""),
    ("risk", "position_notional_max", "\"10000\""),
    ("risk", "gross_notional_max", "\"100000\""),
    ("risk", "leverage_max_percent", "1000"),
    ("risk", "duplicate_window_ms", "1"),
    ("risk", "orders_per_10s_max", "300"),
    ("risk", "entries_per_day_max", "1000000000"),
    ("risk", "identical_entries_per_min_max", "32"),
    ("risk", "open_orders_max", "64"),
    ("risk", "market_age_ms_max", "5000"),
    ("risk", "decision_age_ms_max", "5000"),
    ("risk", "daily_loss_max", "\"500000\""),
    ("risk", "drawdown_bps_max", "9999"),
    ("risk", "losses_in_a_row_max", "1000000000"),
    ("breakers", "day_loss_warn_bps", "9000"),
    ("breakers", "day_loss_halt_bps", "9500"),
    ("breakers", "day_loss_kill_bps", "9900"),
    ("breakers", "drawdown_reduce_bps", "9000"),
    ("breakers", "drawdown_halt_bps", "9999"),
    ("breakers", "losses_half", "999990"),
    ("breakers", "losses_quarter", "999995"),
    ("breakers", "losses_halt", "1000000"),
];

/// Starts traders on one state folder.
pub struct Traders<'e> {
    folder: PathBuf,
    exchange: &'e Exchange,
}

/// How a trader ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By SIGKILL.
    Killed,
    /// By itself, when told to.
    InOrder,
    /// By itself, before its time or with an error.
    Failed,
}

/// A trading process; killed when dropped.
pub struct Trader {
    child: Child,
    state: PathBuf,
    /// The newest journal that was there before it began.
    before: Option<PathBuf>,
}

impl<'e> Traders<'e> {
    /// Writes what they run with: configurations for takers and makers, and a registry with the
    /// campaign's own model.
    pub fn new(folder: &Path, exchange: &'e Exchange, seed: u64) -> Result<Self> {
        let version = folder.join("version");
        std::fs::create_dir(&version)?;
        std::fs::write(version.join("model.onnx"), ONNX)?;
        std::fs::write(version.join("card.toml"), CARD)?;
        register(&folder.join("models"), &version)?;
        for maker in [false, true] {
            let text = config(folder, exchange, seed, maker)?;
            std::fs::write(folder.join(config_name(maker)), text)?;
        }
        Ok(Self { folder: folder.to_owned(), exchange })
    }

    /// Starts one.
    pub fn start(&self, maker: bool) -> Result<Trader> {
        self.start_with(maker, &[])
    }

    /// The state folder they share.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Starts one with these variables.
    pub fn start_with(&self, maker: bool, variables: &[(&str, &str)]) -> Result<Trader> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("trader.log"))?;
        let before = self.journals().last().cloned();
        let child = Command::new(program()?)
            .arg("run")
            .arg("--config")
            .arg(self.folder.join(config_name(maker)))
            .arg("--json")
            .env("PEREGRINE_API_KEY", self.exchange.api_key())
            .env("PEREGRINE_API_SECRET", self.exchange.api_secret())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Trader { child, state: self.state(), before })
    }

    /// What the last one wrote to its log.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("trader.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    /// The journals, the oldest first.
    pub fn journals(&self) -> Vec<PathBuf> {
        records::journals(&self.folder.join("state"))
    }
}

fn config_name(maker: bool) -> &'static str {
    if maker { "maker.toml" } else { "taker.toml" }
}

fn config(folder: &Path, exchange: &Exchange, seed: u64, maker: bool) -> Result<String> {
    let mut document: Table = CONFIG.parse()?;
    document.remove("risk_file");
    document.extend(RISK.parse::<Table>()?);
    let mut set = |section: &str, key: &str, value: Value| -> Result<()> {
        let table = document.get_mut(section).and_then(Value::as_table_mut);
        table.with_context(|| section.to_owned())?.insert(key.to_owned(), value);
        Ok(())
    };
    for (section, key, text) in CHANGES {
        let parsed: Table = format!("value = {text}").parse()?;
        set(section, key, parsed["value"].clone())?;
    }
    let text = |text: String| Value::String(text);
    set("session", "state_dir", text(folder.join("state").display().to_string()))?;
    set("session", "seed", Value::Integer(i64::try_from(seed >> 1)?))?;
    set("model", "dir", text(folder.join("models").display().to_string()))?;
    set("policy", "enter_as_maker", Value::Boolean(maker))?;
    set("venue", "rest_url", text(exchange.rest().to_owned()))?;
    for (key, path) in [("public", "public"), ("market", "market"), ("private", "private")] {
        set("venue", &format!("{key}_url"), text(format!("{}/{path}", exchange.ws())))?;
    }
    Ok(toml::to_string(&document)?)
}

fn register(dir: &Path, version: &Path) -> Result<()> {
    let change = Change {
        by: "kill-campaign".to_owned(),
        reason: "decides from its first book on".to_owned(),
        at_ms: 0,
        evidence_sha256: None,
    };
    let mut registry = Registry::create(dir)?;
    // The folder's own name is that of what lies in it now.
    let name = registry.register(version, None, change.clone())?;
    registry.crown_first(&name, change)?;
    Ok(())
}

impl Trader {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = Pid::from_raw(i32::try_from(self.child.id())?).context("a process without id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Waits; false when it ended by itself before.
    pub fn lives_for(&mut self, time: Duration) -> Result<bool> {
        Ok(self.wait(time)?.is_none())
    }

    /// Waits for its end; `None` where it lives on.
    pub fn wait(&mut self, time: Duration) -> Result<Option<ExitStatus>> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            let left = time.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::park_timeout(left.min(LOOK_EVERY));
        }
    }

    /// Kills it in the middle of whatever it does.
    pub fn kill(mut self) -> Result<Ending> {
        self.child.kill()?;
        let status = self.child.wait()?;
        Ok(if status.code().is_none() { Ending::Killed } else { Ending::Failed })
    }

    /// Stops it as a machine that is paused would, and lets it go on.
    pub fn stop_and_continue(&self, pause: Duration) -> Result<()> {
        self.signal(Signal::STOP)?;
        let began = Instant::now();
        while began.elapsed() < pause {
            std::thread::park_timeout(pause.saturating_sub(began.elapsed()));
        }
        self.signal(Signal::CONT)
    }

    /// Asks it to end and waits for it.
    pub fn terminate(mut self, patience: Duration) -> Result<Ending> {
        self.signal(Signal::TERM)?;
        match self.wait(patience)? {
            Some(status) if status.success() => Ok(Ending::InOrder),
            // Before its handlers are there, the signal ends it at once.
            Some(status) if status.code().is_none() => Ok(Ending::InOrder),
            Some(_) => Ok(Ending::Failed),
            None => bail!("it does not end within {} s", patience.as_secs()),
        }
    }

    /// Waits until it trades again and has sent orders, and ends it in order.
    pub fn end_in_order(mut self, patience: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            let newest = records::journals(&self.state).last().cloned();
            if let Some(dir) = newest.filter(|newest| Some(newest) != self.before.as_ref())
                && records::orders_sent(&dir) >= 5
            {
                break;
            }
            if began.elapsed() > patience {
                bail!("it does not trade within {} s", patience.as_secs());
            }
            if !self.lives_for(Duration::from_millis(20))? {
                bail!("it ended by itself");
            }
        }
        match self.terminate(patience)? {
            Ending::InOrder => Ok(()),
            _ => bail!("it ended with an error"),
        }
    }
}

impl Drop for Trader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
