//! The kill switch under load: a trader is killed by each way there is in turn, at random instants
//! of a busy run, and the exchange's own ledger says when no entry worked any more.
//!
//! ```text
//!  exchange's clock ──┬──────────────┬───────┬──────────────────────► ledger, read at the end
//!                     kill asked     entry   entry ended: cancelled, filled, expired
//!                     └──────────── at most LIMIT_MS ──┘
//! ```
//! Both instants are the exchange's: a campaign that is slow to look measures the same.

use crate::compare::is_open;
use crate::exchange::{Exchange, program};
use crate::trader::{Trader, Traders};
use anyhow::{Context, Result, bail};
use peregrine::risk::{Origin, Verb};
use peregrine::runtime::admin::{self, Request};
use peregrine::runtime::kill::clear;
use peregrine::runtime::kill::latch::{FILE, Latch};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TOKEN: &str = "kill-campaign-0123456789-0123456789-0123456789-0123";
/// Longest time from a kill to the end of the last entry order at the exchange, in milliseconds.
const LIMIT_MS: u64 = 5_000;
/// What is told of a trader that goes on after the killer has done its work.
const WOKEN: &str = "trader, when it goes on";
/// Exit code of a killed session.
const KILLED: i32 = 78;

/// A way to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Graceful,
    Immediate,
    Signal,
    Http,
    KillFile,
    Killer,
}

impl Way {
    const ALL: [Way; 6] =
        [Self::Graceful, Self::Immediate, Self::Signal, Self::Http, Self::KillFile, Self::Killer];

    const fn name(self) -> &'static str {
        match self {
            Self::Graceful => "command, graceful",
            Self::Immediate => "command, immediate",
            Self::Signal => "SIGUSR1",
            Self::Http => "HTTP, immediate",
            Self::KillFile => "kill file",
            Self::Killer => "peregrine-killer, trader stopped",
        }
    }

    const fn flattens(self) -> bool {
        matches!(self, Self::Immediate | Self::Http | Self::Killer)
    }
}

/// What was measured and what went wrong.
#[derive(Default)]
struct Tally {
    /// Milliseconds from the kill to the end of the last entry order, by way.
    empty_ms: BTreeMap<&'static str, Vec<u64>>,
    /// Milliseconds from the kill to the last fill, by way; of the ways that close positions.
    flat_ms: BTreeMap<&'static str, Vec<u64>>,
    /// Milliseconds from the kill to the process's end, by way.
    end_ms: BTreeMap<&'static str, Vec<u64>>,
    /// Kills after which an entry still worked at the exchange later than [`LIMIT_MS`].
    late: u32,
    /// Kills after which an order worked at the exchange when all was over.
    left_open: u32,
    not_flat: u32,
    wrong_exit: u32,
    restarted: u32,
}

impl Tally {
    /// Takes in what the exchange tells after a kill that was asked for at `since_ms` of its clock.
    fn exchange(&mut self, name: &'static str, flattens: bool, account: &Value, since_ms: i64) {
        self.left_open += u32::from(open_orders(account) > 0);
        // What still works has no end that could be in time.
        match last_entry_ms(account, since_ms) {
            Some(time) => {
                self.late += u32::from(time > LIMIT_MS);
                self.empty_ms.entry(name).or_default().push(time);
            }
            None => self.late += 1,
        }
        if flattens {
            self.not_flat += u32::from(positions(account) > 0);
            self.flat_ms.entry(name).or_default().push(last_fill_ms(account, since_ms));
        }
    }

    const fn is_clean(&self) -> bool {
        let Self { late, left_open, not_flat, wrong_exit, restarted, .. } = self;
        *late + *left_open + *not_flat + *wrong_exit + *restarted == 0
    }

    fn told(&self, kills: u32) -> Value {
        let of = |measured: &BTreeMap<&'static str, Vec<u64>>| {
            let row = |(name, times): (&&'static str, &Vec<u64>)| {
                let mut sorted = times.clone();
                sorted.sort_unstable();
                let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
                let most = sorted.last().copied().unwrap_or(0);
                let about = json!({ "count": sorted.len(), "p50": median, "max": most });
                ((*name).to_owned(), about)
            };
            measured.iter().map(row).collect::<serde_json::Map<String, Value>>()
        };
        json!({
            "kills": kills,
            "limit_ms": LIMIT_MS,
            "late": self.late,
            "left_open": self.left_open,
            "not_flat": self.not_flat,
            "wrong_exit": self.wrong_exit,
            "restarted": self.restarted,
            "empty_ms_max": self.empty_ms.values().flatten().max(),
            "empty_ms": of(&self.empty_ms),
            "flat_ms": of(&self.flat_ms),
            "end_ms": of(&self.end_ms),
        })
    }
}

/// Kills `count` times; true where every kill was in time, left nothing and let nothing start
/// again.
pub fn run(
    traders: &Traders<'_>,
    exchange: &Exchange,
    rng: &mut ChaCha8Rng,
    count: u32,
    patience: Duration,
) -> Result<bool> {
    let mut tally = Tally::default();
    for i in 0..count {
        let way = Way::ALL[i as usize % Way::ALL.len()];
        one(traders, exchange, rng, way, &mut tally, patience)
            .with_context(|| format!("{}: {}", way.name(), traders.last_words()))?;
        let Tally { late, left_open, not_flat, .. } = tally;
        eprintln!(
            "{:>4} of {count} killed: {}; {late} late, {left_open} left open, {not_flat} not flat",
            i + 1,
            way.name()
        );
    }
    println!("{}", tally.told(count));
    Ok(tally.is_clean())
}

fn one(
    traders: &Traders<'_>,
    exchange: &Exchange,
    rng: &mut ChaCha8Rng,
    way: Way,
    tally: &mut Tally,
    patience: Duration,
) -> Result<()> {
    // Not of 127.0.0.1, of which the exchange's clients take ports meanwhile.
    let http = TcpListener::bind("127.0.0.2:0")?.local_addr()?;
    let bind = http.to_string();
    let page = [("PEREGRINE__HTTP__BIND", bind.as_str()), ("PEREGRINE_HTTP_TOKEN", TOKEN)];
    let mut trader = traders.start_with(true, &page)?;
    let state = traders.state();
    let began = Instant::now();
    while open_orders(&account(exchange)?) == 0 {
        // What was cleared starts halted.
        let _ = ask(&state, "arm", None);
        if began.elapsed() > patience || !trader.lives_for(Duration::from_millis(20))? {
            bail!("it does not trade");
        }
    }
    trader.lives_for(Duration::from_micros(rng.random_range(0..1_500_000)))?;
    let (killed, since_ms) = (Instant::now(), exchange.time_ms()?);
    give(way, &trader, &state, exchange, &http.to_string())?;
    let (mut name, mut since_ms) = (way.name(), since_ms);
    if way == Way::Killer {
        // The killer alone has to do it. What the trader then wakes up with is its own affair, and
        // has the same time.
        tally.exchange(name, true, &account(exchange)?, since_ms);
        (name, since_ms) = (WOKEN, exchange.time_ms()?);
        trader.signal(Signal::CONT)?;
    }
    let Some(status) = trader.wait(patience)? else { bail!("it does not end") };
    let ended_ms = u64::try_from(killed.elapsed().as_millis()).unwrap_or(u64::MAX);
    tally.exchange(name, way.flattens(), &account(exchange)?, since_ms);
    tally.end_ms.entry(way.name()).or_default().push(ended_ms);
    tally.wrong_exit += u32::from(status.code() != Some(KILLED));
    let mut again = traders.start_with(true, &page)?;
    let refused = again.wait(patience)?;
    tally.restarted += u32::from(refused.and_then(|status| status.code()) != Some(KILLED));
    clear::clear(&state, None, 0, "the campaign goes on")?;
    Ok(())
}

fn give(
    way: Way,
    trader: &Trader,
    state: &std::path::Path,
    exchange: &Exchange,
    http: &str,
) -> Result<()> {
    match way {
        Way::Graceful => ask(state, "kill", Some("graceful")).map(|_| ()),
        Way::Immediate => ask(state, "kill", Some("immediate")).map(|_| ()),
        Way::Signal => trader.signal(Signal::USR1),
        Way::Http => {
            let body = json!({ "reason": "campaign", "mode": "immediate" }).to_string();
            let sent = ureq::post(format!("http://{http}/api/v1/kill"))
                .header("Authorization", format!("Bearer {TOKEN}"))
                .header("X-Peregrine-Request", "1")
                .header("Content-Type", "application/json")
                .send(body)?;
            anyhow::ensure!(sent.status().as_u16() == 202, "status {}", sent.status());
            Ok(())
        }
        Way::KillFile => {
            let command =
                peregrine::risk::command(Verb::KillGraceful, Origin::LatchFile, 0, "campaign")?;
            let mode = peregrine::runtime::kill::latch::Mode::Graceful;
            let latch = Latch::of_command(&command, mode, 0);
            latch.write(state).with_context(|| FILE.to_owned())
        }
        Way::Killer => {
            trader.signal(Signal::STOP)?;
            let program = program()?.with_file_name("peregrine-killer");
            let status = Command::new(program)
                .args(["--url", exchange.rest(), "--all-symbols", "--mode", "flatten", "--yes"])
                .arg("--state")
                .arg(state)
                .env("PEREGRINE_KILLER_API_KEY", exchange.api_key())
                .env("PEREGRINE_KILLER_API_SECRET", exchange.api_secret())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            anyhow::ensure!(status.success(), "peregrine-killer: {status}");
            Ok(())
        }
    }
}

fn ask(state: &std::path::Path, verb: &str, mode: Option<&str>) -> Result<Value> {
    let request = Request {
        verb: verb.to_owned(),
        mode: mode.map(str::to_owned),
        reason: Some("campaign".to_owned()),
    };
    admin::ask(state, &request)
}

fn account(exchange: &Exchange) -> Result<Value> {
    let told: Value = serde_json::from_slice(&exchange.ledger()?)?;
    Ok(told["accounts"][0].clone())
}

fn rows<'a>(account: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    account[key].as_array().into_iter().flatten()
}

fn open_orders(account: &Value) -> usize {
    rows(account, "orders").filter(|order| works(order)).count()
}

fn positions(account: &Value) -> usize {
    rows(account, "positions").filter(|row| row["qty"].as_i64() != Some(0)).count()
}

fn works(order: &Value) -> bool {
    order["status"].as_str().is_none_or(is_open)
}

/// Milliseconds from `since_ms` to the end of the last order that could open a position, both of
/// the exchange's clock; 0 where none worked at that time, `None` while one works.
fn last_entry_ms(account: &Value, since_ms: i64) -> Option<u64> {
    let entries = rows(account, "orders").filter(|order| order["reduce_only"] != true);
    let mut last = since_ms;
    for order in entries {
        if works(order) {
            return None;
        }
        last = last.max(order["updated"].as_i64()?);
    }
    u64::try_from(last - since_ms).ok()
}

/// Milliseconds from `since_ms` to the last fill after it; 0 where there was none.
fn last_fill_ms(account: &Value, since_ms: i64) -> u64 {
    let fills = rows(account, "orders").flat_map(|order| rows(order, "fills"));
    let last = fills.filter_map(|fill| fill["time"].as_i64()).max().unwrap_or(since_ms);
    u64::try_from(last - since_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(reduce_only: bool, status: &str, updated: i64) -> Value {
        json!({ "reduce_only": reduce_only, "status": status, "updated": updated, "fills": [] })
    }

    /// What a tally says after a kill at 10 000 that the exchange tells so.
    fn after(orders: &[Value], qty: i64, flattens: bool) -> Tally {
        let mut tally = Tally::default();
        let account = json!({ "orders": orders, "positions": [{ "qty": qty }] });
        tally.exchange("a way", flattens, &account, 10_000);
        tally
    }

    #[test]
    fn a_kill_whose_last_entry_ended_later_than_five_seconds_fails() {
        let ended = |at| [order(false, "FILLED", 9_000), order(false, "CANCELED", at)];
        for (at, late, told) in [(9_500, 0, 0), (15_000, 0, 5_000), (15_001, 1, 5_001)] {
            let tally = after(&ended(at), 0, false);
            assert_eq!((tally.late, tally.is_clean()), (late, late == 0), "{at}");
            let line = tally.told(1);
            assert_eq!((&line["late"], &line["limit_ms"]), (&json!(late), &json!(5_000)));
            assert_eq!(line["empty_ms_max"], told);
            assert_eq!(line["empty_ms"]["a way"]["max"], told);
        }
        // Filled late is late too: until then it worked.
        assert_eq!(after(&[order(false, "FILLED", 16_000)], 1, false).late, 1);
    }

    #[test]
    fn an_entry_that_works_on_and_one_of_an_unknown_end_are_never_in_time() {
        let works = after(&[order(false, "PARTIALLY_FILLED", 9_000)], 0, false);
        assert_eq!((works.late, works.left_open, works.is_clean()), (1, 1, false));
        let unknown = json!({ "reduce_only": false, "status": "CANCELED" });
        assert_eq!(after(&[unknown], 0, false).late, 1);
        let unnamed = json!({ "reduce_only": false, "updated": 9_000 });
        assert_eq!(after(&[unnamed], 0, false).left_open, 1);
    }

    #[test]
    fn an_exit_may_end_later_and_a_position_may_stay_unless_it_was_to_be_closed() {
        let orders = [order(false, "CANCELED", 10_100), order(true, "CANCELED", 17_000)];
        assert!(after(&orders, 1, false).is_clean());
        let flattens = after(&orders, 1, true);
        assert_eq!((flattens.not_flat, flattens.is_clean()), (1, false));
        assert!(after(&orders, 0, true).is_clean());
        let filled = json!({ "reduce_only": true, "status": "FILLED", "updated": 10_200,
            "fills": [{ "time": 10_150 }, { "time": 10_200 }] });
        let told = after(&[filled], 0, true).told(1);
        assert_eq!(told["flat_ms"]["a way"]["max"], 200);
    }
}
