//! The kill switch under load: a trader is killed by each way there is in turn, at random instants
//! of a busy run, and the exchange's own ledger says when no order worked any more.

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
/// Wait between two looks at the exchange's ledger.
const LOOK_EVERY: Duration = Duration::from_millis(5);
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
    /// Milliseconds from the kill to no working order, by way.
    empty_ms: BTreeMap<&'static str, Vec<u64>>,
    /// Milliseconds from the kill to the process's end, by way.
    end_ms: BTreeMap<&'static str, Vec<u64>>,
    left_open: u32,
    not_flat: u32,
    wrong_exit: u32,
    restarted: u32,
}

/// Kills `count` times; true where nothing was left and nothing started again.
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
        eprintln!("{:>4} of {count} killed: {}", i + 1, way.name());
    }
    Ok(report(&tally, count))
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
    while open_orders(exchange)? == 0 {
        // What was cleared starts halted.
        let _ = ask(&state, "arm", None);
        if began.elapsed() > patience || !trader.lives_for(Duration::from_millis(20))? {
            bail!("it does not trade");
        }
    }
    trader.lives_for(Duration::from_micros(rng.random_range(0..1_500_000)))?;
    let killed = Instant::now();
    give(way, &trader, &state, exchange, &http.to_string())?;
    let empty = loop {
        if open_orders(exchange)? == 0 {
            break Some(killed.elapsed());
        }
        if killed.elapsed() > patience {
            break None;
        }
        std::thread::park_timeout(LOOK_EVERY);
    };
    if way == Way::Killer {
        trader.signal(Signal::CONT)?;
    }
    let Some(status) = trader.wait(patience)? else { bail!("it does not end") };
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    match empty {
        Some(time) => tally.empty_ms.entry(way.name()).or_default().push(ms(time)),
        None => tally.left_open += 1,
    }
    tally.end_ms.entry(way.name()).or_default().push(ms(killed.elapsed()));
    tally.left_open += u32::from(empty.is_some() && open_orders(exchange)? > 0);
    tally.not_flat += u32::from(way.flattens() && positions(exchange)? > 0);
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

fn open_orders(exchange: &Exchange) -> Result<usize> {
    let account = account(exchange)?;
    let works = |row: &&Value| row["status"].as_str().is_some_and(is_open);
    Ok(rows(&account, "orders").filter(works).count())
}

fn positions(exchange: &Exchange) -> Result<usize> {
    let account = account(exchange)?;
    Ok(rows(&account, "positions").filter(|row| row["qty"].as_i64() != Some(0)).count())
}

fn report(tally: &Tally, kills: u32) -> bool {
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
    let line = json!({
        "kills": kills,
        "left_open": tally.left_open,
        "not_flat": tally.not_flat,
        "wrong_exit": tally.wrong_exit,
        "restarted": tally.restarted,
        "empty_ms": of(&tally.empty_ms),
        "end_ms": of(&tally.end_ms),
    });
    println!("{line}");
    tally.left_open + tally.not_flat + tally.wrong_exit + tally.restarted == 0
}
