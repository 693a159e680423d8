//! Which records become lines, and what the lines say. A line says what its record says and what
//! the journal's attachments say, nothing else: so it can be made again from the journal.

use super::line::{Line, time};
use crate::base::event::{
    Breaker, COMMAND_MODEL, Command, Denied, KillRound, ModelLoaded, ModelSwap, SessionCarried,
    SessionStart, SizeChange, StateChange, SymbolChange,
};
use crate::base::{Control, Event, InstrumentId, Kind, Level, Reason, SymbolState};
use crate::journal::read_attachment;
use crate::model::artifact::hex;
use crate::risk::{ACTOR_SYSTEM, Origin, TradingState, Verb, reason_of};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

/// What the line of a denied order is.
pub const DENIED: &str = "denied";
/// What the line of several denied orders is.
pub const DENIALS: &str = "denials";
/// What a line is that says how far a lane was read.
pub const MARK: &str = "mark";
/// What the last line of a journal is.
pub const CLOSED: &str = "closed";
/// What a line is that says that retention was faster.
pub const RETIRED: &str = "retired";
/// What a line is that says that an unfinished one was cut off.
pub const RESUMED: &str = "resumed";
/// No lane.
pub const NO_LANE: u8 = 255;
/// Denied orders in one minute of event time that have lines of their own.
const DENIED_SINGLE_MAX: u32 = 10;
/// Denied orders in one line at most.
const DENIED_RUN_MAX: u64 = 100_000;
const MINUTE_NS: i64 = 60_000_000_000;
/// The tables of a configuration that hold limits.
const LIMIT_TABLES: [&str; 9] =
    ["risk", "portfolio", "stage", "breakers", "sizing", "exits", "kill", "watch", "policy"];

/// A line before it has its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The lane.
    pub lane: u8,
    /// The record.
    pub record: u64,
    /// Place in the river.
    pub seq: u64,
    /// Event time in nanoseconds.
    pub ts_ns: i64,
    /// What kind of line it is.
    pub what: &'static str,
    /// What it says.
    pub says: Map<String, Value>,
}

impl Entry {
    /// The entry that a record is; `None` for one that is not audited. `dir` is the journal's
    /// folder, whose attachments tell the limits.
    pub fn of(lane: u8, record: u64, event: &Event, dir: &Path) -> Option<Self> {
        // Market events are nearly all there is.
        if event.kind < Kind::SessionStart as u8 {
            return None;
        }
        let (what, says) = match event.kind()? {
            Kind::SessionStart => ("start", start(event, dir)),
            Kind::ModelLoaded => ("model", model(event)),
            Kind::ModelSwap => ("swap", swap(event)),
            Kind::SessionCarried => ("carried", carried(event)),
            Kind::SymbolChange => ("symbol", symbol(event)),
            Kind::Command => ("command", command(event)),
            Kind::KillRound => ("kill_round", kill_round(event)),
            Kind::SessionEnd => ("end", Value::Null),
            Kind::StateChange => ("state", state(event)),
            Kind::Denied => (DENIED, denied(event)),
            Kind::Breaker => ("breaker", breaker(event)),
            Kind::SizeChange => ("size", size(event)),
            _ => return None,
        };
        let says = match says {
            Value::Object(says) => says,
            _ => Map::new(),
        };
        Some(Self { lane, record, seq: event.seq, ts_ns: event.ts_recv, what, says })
    }

    /// Nothing but how far a lane was read.
    pub fn mark(lane: u8, record: u64) -> Self {
        Self { lane, record, seq: 0, ts_ns: 0, what: MARK, says: Map::new() }
    }

    /// Everything of a journal is in the trail: records of each audited lane, and whether its lanes
    /// were closed in order.
    pub fn closed(records: impl Iterator<Item = u64>, sealed: bool) -> Self {
        let records: Vec<u64> = records.collect();
        let mut says = Map::new();
        says.insert("records".to_owned(), json!(records));
        says.insert("sealed".to_owned(), json!(sealed));
        Self { lane: NO_LANE, record: 0, seq: 0, ts_ns: 0, what: CLOSED, says }
    }

    /// Records that were deleted before they were read.
    pub fn retired(lane: u8, from: u64, to: u64) -> Self {
        let mut says = Map::new();
        says.insert("from".to_owned(), json!(from));
        Self { lane, record: to.saturating_sub(1), seq: 0, ts_ns: 0, what: RETIRED, says }
    }

    /// Bytes of an unfinished line were cut off.
    pub fn resumed(cut_bytes: u64) -> Self {
        let mut says = Map::new();
        says.insert("cut_bytes".to_owned(), json!(cut_bytes));
        Self { lane: NO_LANE, record: 0, seq: 0, ts_ns: 0, what: RESUMED, says }
    }

    /// The line with number `n` behind the one with the hash `prev`.
    pub fn line(&self, n: u64, prev: String, journal: &str) -> Line {
        Line {
            n,
            prev,
            time: time(self.ts_ns),
            journal: journal.to_owned(),
            lane: self.lane,
            record: self.record,
            seq: self.seq,
            what: self.what.to_owned(),
            says: self.says.clone(),
        }
    }
}

/// Denied orders: the first of a minute have lines, of the others there is one line that counts
/// them exactly, by reason.
#[derive(Default)]
pub struct DeniedRun {
    minute: i64,
    single: u32,
    open: Option<Gathered>,
}

struct Gathered {
    from: u64,
    last: Entry,
    count: u64,
    reasons: BTreeMap<String, u64>,
}

impl DeniedRun {
    /// True while denied orders are gathered that no line tells yet.
    pub const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Takes a denied order; the entries that are complete by it.
    pub fn take(&mut self, entry: Entry) -> Vec<Entry> {
        let minute = entry.ts_ns.div_euclid(MINUTE_NS);
        let mut done = Vec::new();
        if minute != self.minute {
            done.extend(self.end());
            (self.minute, self.single) = (minute, 0);
        }
        if self.single < DENIED_SINGLE_MAX && self.open.is_none() {
            self.single += 1;
            done.push(entry);
            return done;
        }
        let reason = entry.says["reason"].as_str().unwrap_or_default().to_owned();
        let open = self.open.get_or_insert_with(|| Gathered {
            from: entry.record,
            last: entry.clone(),
            count: 0,
            reasons: BTreeMap::new(),
        });
        open.count += 1;
        *open.reasons.entry(reason).or_default() += 1;
        open.last = entry;
        if open.count >= DENIED_RUN_MAX {
            done.extend(self.end());
        }
        done
    }

    /// Ends what is gathered.
    pub fn end(&mut self) -> Option<Entry> {
        let Gathered { from, last, count, reasons } = self.open.take()?;
        let mut says = Map::new();
        says.insert("from".to_owned(), json!(from));
        says.insert("count".to_owned(), json!(count));
        says.insert("reasons".to_owned(), json!(reasons));
        Some(Entry { what: DENIALS, says, ..last })
    }
}

/// Who gave a command or changed the state, by the number that records carry.
pub fn who(actor: u32) -> String {
    match actor {
        ACTOR_SYSTEM => "the system".to_owned(),
        crate::observe::http::ACTOR_HTTP => "the HTTP token".to_owned(),
        crate::base::event::ACTOR_UNATTENDED => "the configuration".to_owned(),
        user => format!("user {user}"),
    }
}

/// A reason's name.
pub fn reason_name(number: u16) -> &'static str {
    Reason::from_u16(number).map_or("unknown", Reason::name)
}

/// A control's name.
pub fn control_name(number: u16) -> &'static str {
    Control::ALL.get(usize::from(number)).map_or("unknown", |control| control.name())
}

/// A verb's name.
pub fn verb_name(number: u32) -> &'static str {
    match Verb::from_u32(number) {
        Some(Verb::Pause) => "pause",
        Some(Verb::KillGraceful) => "graceful kill",
        Some(Verb::KillImmediate) => "immediate kill",
        Some(Verb::Arm) => "arm",
        Some(Verb::Clear) => "clear",
        None if number == COMMAND_MODEL => "model",
        None => "no verb",
    }
}

/// A trading state's name.
pub fn state_name(number: u8) -> &'static str {
    TradingState::from_u8(number).map_or("no state", TradingState::name)
}

/// A text padded with zeros.
pub fn padded(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn start(event: &Event, dir: &Path) -> Value {
    let body: &SessionStart = event.body();
    let mode = ["backtest", "paper", "testnet", "live"];
    json!({
        "mode": mode.get(body.mode as usize).copied().unwrap_or("unknown"),
        "epoch": body.epoch,
        "config_sha256": hex(&body.config_sha256),
        "limits_sha256": limits(dir).unwrap_or_else(|| "unknown".to_owned()),
        "schema": format!("{:016x}", body.schema_hash),
        "account": format!("{:016x}", body.account),
    })
}

/// SHA-256 of the tables that hold limits, as the journal's configuration tells them.
fn limits(dir: &Path) -> Option<String> {
    let text = String::from_utf8(read_attachment(dir, "config.toml").ok()?).ok()?;
    let document = text.parse::<toml::Table>().ok()?;
    let mut limits = toml::Table::new();
    for table in LIMIT_TABLES {
        if let Some(found) = document.get(table) {
            limits.insert(table.to_owned(), found.clone());
        }
    }
    Some(hex(&Sha256::digest(toml::to_string(&limits).ok()?.as_bytes())))
}

fn model(event: &Event) -> Value {
    let body: &ModelLoaded = event.body();
    json!({ "version": padded(&body.version), "sha256": hex(&body.sha256) })
}

fn swap(event: &Event) -> Value {
    let body: &ModelSwap = event.body();
    let of_one = event.instrument() != InstrumentId::NONE;
    json!({
        "role": swap_name(body),
        "instrument": of_one.then_some(event.instrument),
        "version": padded(&body.version),
        "sha256": hex(&body.sha256),
        "reason": reason_name(body.reason),
        "who": who(body.actor),
        "share_bps": body.share_bps,
        "block_ms": body.block_ms,
        "seed": body.seed,
    })
}

/// What a swap did, in a word or two.
pub fn swap_name(body: &ModelSwap) -> &'static str {
    match (body.role, body.share_bps) {
        (1, _) => "champion",
        (2, 0) => "canary ends",
        (2, _) => "canary",
        (3, _) => "own",
        _ => "refused",
    }
}

fn carried(event: &Event) -> Value {
    let body: &SessionCarried = event.body();
    json!({
        "epoch": body.epoch,
        "state": state_name(body.state),
        "reason": reason_name(body.reason),
        "lossy": body.lossy != 0,
    })
}

/// A change of a symbol's state; its name stands in the records of the instruments, whose places
/// the journal's opening gives.
fn symbol(event: &Event) -> Value {
    let body: &SymbolChange = event.body();
    json!({
        "instrument": event.instrument,
        "state": SymbolState::from_u8(body.state).map_or("no state", SymbolState::name),
        "flat": body.flat != 0,
        "who": who(body.actor),
        "actor": body.actor,
        "why": padded(&body.reason),
    })
}

fn command(event: &Event) -> Value {
    let body: &Command = event.body();
    json!({
        "verb": verb_name(body.verb),
        "who": who(body.actor),
        "actor": body.actor,
        "origin": Origin::from_u32(body.origin).map_or("unknown", Origin::name),
        "why": reason_of(body),
    })
}

fn kill_round(event: &Event) -> Value {
    let body: &KillRound = event.body();
    // What could not be asked is not zero.
    let count = |number: u32| if number == u32::MAX { Value::Null } else { json!(number) };
    json!({
        "round": body.round,
        "mode": verb_name(body.mode),
        "orders": count(body.orders),
        "algo_entries": count(body.algo_entries),
        "stops": count(body.stops),
        "positions": count(body.positions),
        "empty": body.empty,
        "elapsed_ms": body.elapsed_ms,
        "reason": reason_name(body.reason),
    })
}

fn state(event: &Event) -> Value {
    let body: &StateChange = event.body();
    json!({
        "from": state_name(body.from),
        "to": state_name(body.to),
        "reason": reason_name(body.reason),
        "who": who(body.actor),
    })
}

fn breaker(event: &Event) -> Value {
    let body: &Breaker = event.body();
    let level = |number: u8| Level::from_u8(number).map_or("unknown", Level::name);
    json!({
        "control": control_name(body.control),
        "from": level(body.from),
        "to": level(body.to),
        "reason": reason_name(body.reason),
        "value": body.value,
        "limit": body.limit,
    })
}

fn size(event: &Event) -> Value {
    let body: &SizeChange = event.body();
    json!({
        "percent": body.percent,
        "losses_percent": body.losses_percent,
        "restart_percent": body.restart_percent,
    })
}

fn denied(event: &Event) -> Value {
    let body: &Denied = event.body();
    json!({
        "reason": reason_name(body.reason),
        "instrument": event.instrument,
        "side": match event.side() {
            crate::base::Side::Buy => "buy",
            crate::base::Side::Sell => "sell",
        },
        "purpose": body.purpose,
        "px": crate::base::Px(body.px).to_string(),
        "qty": crate::base::Qty(body.qty).to_string(),
        "value": body.value,
        "limit": body.limit,
    })
}
