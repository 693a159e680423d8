//! The Prometheus text exposition (format 0.0.4) of a snapshot. Names begin with `peregrine_`,
//! units are base units, counters end in `_total`. Positions are not among the metrics: whoever may
//! scrape need not know them.

use super::hop::Hop;
use super::snapshot::{ControlView, MarketView, Snapshot};
use crate::base::SymbolState;
use crate::base::counters::Counter;
use crate::base::event::EVENT_BYTES;
use std::collections::BTreeMap;
use std::fmt::{Display, Write};

/// Content type to serve the text with.
pub const METRICS_CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The trading states, one series each.
const TRADING_STATES: [&str; 5] = ["reconciling", "active", "reducing", "halted", "killed"];

/// The levels of a breaker, in order.
const LEVELS: [&str; 5] = ["clear", "warn", "reduce", "halt", "kill"];

/// The whole text.
pub fn render(snapshot: &Snapshot) -> String {
    let mut text = Exposition::default();
    session(&mut text, snapshot);
    counters(&mut text, snapshot);
    hops(&mut text, snapshot);
    machine(&mut text, snapshot);
    journal(&mut text, snapshot);
    models(&mut text, snapshot);
    shadow(&mut text, snapshot);
    rollback(&mut text, snapshot);
    money(&mut text, snapshot);
    alerts(&mut text, snapshot);
    controls(&mut text, snapshot);
    text.text
}

fn session(out: &mut Exposition, snapshot: &Snapshot) {
    let session = &snapshot.session;
    out.family("peregrine_build_info", "gauge", "Always 1; version and mode are labels.");
    out.sample("", &[("version", session.version), ("mode", session.mode)], 1);
    out.gauge("peregrine_uptime_seconds", "Seconds since start.", session.uptime_seconds);
    out.gauge("peregrine_ready", "1 when ready to trade.", u8::from(snapshot.is_ready()));
    out.gauge("peregrine_healthy", "1 while every heart beats.", u8::from(snapshot.is_healthy()));
    out.family("peregrine_not_ready", "gauge", "1 for each thing that stands against trading.");
    for reason in &snapshot.not_ready {
        out.sample("", &[("reason", reason.name())], 1);
    }
    out.family("peregrine_trading_state", "gauge", "1 for the trading state in force, else 0.");
    for state in TRADING_STATES {
        out.sample("", &[("state", state)], u8::from(snapshot.trading_state == state));
    }
}

fn counters(out: &mut Exposition, snapshot: &Snapshot) {
    for &counter in Counter::ALL {
        let name = format!("peregrine_{}_total", counter.name());
        let help = format!("Count of {} since start.", counter.name().replace('_', " "));
        out.family(&name, "counter", &help);
        out.sample("", &[], snapshot.counters.get(counter));
    }
}

fn hops(out: &mut Exposition, snapshot: &Snapshot) {
    out.family("peregrine_hop_seconds", "summary", "Latency of each hop since start.");
    for hop in Hop::ALL {
        let view = snapshot.latency.hop(hop);
        let name = ("hop", hop.name());
        // A hop that was never passed has no quantiles: a zero would read as "instant".
        if view.count > 0 {
            let ranks = [("0.5", view.p50), ("0.99", view.p99), ("0.999", view.p999)];
            for (rank, ns) in ranks.into_iter().chain([("0.9999", view.p9999)]) {
                out.sample("", &[name, ("quantile", rank)], seconds(ns));
            }
        }
        out.sample("_sum", &[name], seconds(view.sum_ns));
        out.sample("_count", &[name], view.count);
    }
    out.family("peregrine_hop_max_seconds", "gauge", "Longest passage of each hop since start.");
    for hop in Hop::ALL.into_iter().filter(|&hop| snapshot.latency.hop(hop).count > 0) {
        out.sample("", &[("hop", hop.name())], seconds(snapshot.latency.hop(hop).max));
    }
}

fn journal(out: &mut Exposition, snapshot: &Snapshot) {
    let journal = &snapshot.journal;
    let (poisoned, low) = (u8::from(journal.poisoned), u8::from(journal.low_space));
    out.gauge("peregrine_journal_poisoned", "1 after a failed flush: nothing is sent.", poisoned);
    out.gauge("peregrine_journal_low_space", "1 while its disk is nearly full.", low);
    out.family("peregrine_journal_appended_total", "counter", "Records appended to each lane.");
    for lane in &journal.lanes {
        out.sample("", &[("lane", lane.name)], lane.appended);
    }
    out.family("peregrine_journal_durable_total", "counter", "Records of each lane on the disk.");
    for lane in &journal.lanes {
        out.sample("", &[("lane", lane.name)], lane.durable);
    }
    out.family("peregrine_journal_behind_bytes", "gauge", "Appended and not yet on the disk.");
    for lane in &journal.lanes {
        let records = lane.appended.saturating_sub(lane.durable);
        out.sample("", &[("lane", lane.name)], records * EVENT_BYTES as u64);
    }
}

fn models(out: &mut Exposition, snapshot: &Snapshot) {
    out.family("peregrine_model_info", "gauge", "Always 1; what decides is in the labels.");
    for model in &snapshot.models {
        let labels = [("version", &*model.version), ("sha256", &*model.sha256)];
        let ways = [("stage", model.stage), ("executor", model.executor)];
        out.sample("", &[labels, ways].concat(), 1);
    }
    // A version may be champion and some symbol's own: it is one row with the sum.
    let mut by_version: BTreeMap<&str, (bool, u64, u64)> = BTreeMap::new();
    for model in &snapshot.models {
        let (verified, predictions, faults) =
            by_version.entry(&model.version).or_insert((true, 0, 0));
        *verified &= model.verified;
        *predictions += model.predictions;
        *faults += model.faults;
    }
    out.family("peregrine_model_verified", "gauge", "1 while its files are those that run.");
    for (version, (verified, ..)) in &by_version {
        out.sample("", &[("version", version)], u8::from(*verified));
    }
    out.family("peregrine_model_predictions_total", "counter", "Predictions of each model.");
    for (version, (_, predictions, _)) in &by_version {
        out.sample("", &[("version", version)], *predictions);
    }
    out.family("peregrine_model_faults_total", "counter", "Failed answers of each model.");
    for (version, (.., faults)) in &by_version {
        out.sample("", &[("version", version)], *faults);
    }
}

fn shadow(out: &mut Exposition, snapshot: &Snapshot) {
    let lag = snapshot.shadow_lag;
    let waiting = "Inputs that challengers in shadow have not seen yet.";
    out.gauge("peregrine_shadow_events_behind", waiting, lag.events_behind);
    let age = "Age of the newest input that challengers in shadow have seen.";
    out.gauge("peregrine_shadow_behind_seconds", age, lag.behind_ms as f64 / 1e3);
    let failed = "1 where the challengers' trial ended by a fault.";
    out.gauge("peregrine_shadow_failed", failed, lag.failed);
    for (name, help, value) in [
        ("dropped", "Inputs that were gone before challengers read them.", lag.dropped),
        ("mismatches", "Rows of features that came out differently.", lag.mismatches),
        ("lines", "Lines of the shadow log written.", lag.lines),
    ] {
        out.family(&format!("peregrine_shadow_{name}_total"), "counter", help);
        out.sample("", &[], value);
    }
    out.family("peregrine_shadow_decisions", "gauge", "Decisions of each challenger compared.");
    for challenger in &snapshot.shadow {
        out.sample("", &[("version", &*challenger.version)], challenger.decisions);
    }
}

fn rollback(out: &mut Exposition, snapshot: &Snapshot) {
    let view = &snapshot.rollback;
    out.family("peregrine_rollback_value", "gauge", "What is known of the champion, by limit.");
    for limit in &view.limits {
        if let Some(value) = limit.value {
            out.sample("", &[("limit", limit.name)], value);
        }
    }
    out.family("peregrine_rollback_limit", "gauge", "Above this the champion is left.");
    for limit in &view.limits {
        out.sample("", &[("limit", limit.name)], limit.limit);
    }
    out.family("peregrine_rollbacks_total", "counter", "Times the session left its champion.");
    out.sample("", &[], view.made);
    let waiting = "Versions left that the registry does not say yet.";
    out.gauge("peregrine_rollback_registry_waiting", waiting, view.waiting);
}

fn machine(out: &mut Exposition, snapshot: &Snapshot) {
    out.family("peregrine_ring_occupied_events", "gauge", "Most that waited since the last look.");
    for ring in &snapshot.rings {
        out.sample("", &[("ring", ring.name)], ring.occupied);
    }
    out.family("peregrine_ring_capacity_events", "gauge", "Events each ring holds.");
    for ring in &snapshot.rings {
        out.sample("", &[("ring", ring.name)], ring.capacity);
    }
    out.family("peregrine_thread_beating", "gauge", "1 while the thread's loop turns.");
    for thread in &snapshot.threads {
        out.sample("", &[("thread", thread.name)], u8::from(thread.beating));
    }
    out.family("peregrine_thread_silent_seconds", "gauge", "Seconds since the last turn seen.");
    for thread in &snapshot.threads {
        out.sample("", &[("thread", thread.name)], thread.silent_seconds);
    }
    out.family("peregrine_thread_turns_total", "counter", "Turns of the thread's loop.");
    for thread in &snapshot.threads {
        out.sample("", &[("thread", thread.name)], thread.turns);
    }
    let used = snapshot.resources;
    out.gauge("peregrine_resident_memory_bytes", "Resident memory.", used.resident_bytes);
    out.gauge("peregrine_open_files", "Open file descriptors.", used.open_files);
    out.gauge("peregrine_disk_free_bytes", "Free where the journal lives.", used.disk_free_bytes);
    out.family("peregrine_cpu_seconds_total", "counter", "Processor time used.");
    out.sample("", &[], used.cpu_seconds);
}

fn money(out: &mut Exposition, snapshot: &Snapshot) {
    let account = &snapshot.account;
    out.gauge("peregrine_equity_quote", "Equity in quote currency.", account.equity);
    out.gauge("peregrine_pnl_quote", "Net profit since session start.", account.pnl_quote);
    out.gauge("peregrine_drawdown_ratio", "Fall from the equity peak.", account.drawdown_ratio);
    out.gauge("peregrine_realised_quote", "Closed profit before fees.", account.realised);
    out.gauge("peregrine_unrealised_quote", "Open profit at the mark.", account.unrealised);
    out.gauge("peregrine_fees_quote", "Fees paid; below zero received.", account.fees);
    out.gauge("peregrine_funding_quote", "Funding received; below zero paid.", account.funding);
    out.family("peregrine_book_valid", "gauge", "1 while the book may be priced from.");
    // Of one that is asleep there is nothing to tell, and nothing to be alarmed by.
    let awake = |market: &&MarketView| market.state != SymbolState::Asleep;
    for market in snapshot.markets.iter().filter(awake) {
        out.sample("", &[("symbol", &market.symbol)], u8::from(market.book_valid));
    }
    out.family("peregrine_market_age_seconds", "gauge", "Age of the newest market event.");
    for market in snapshot.markets.iter().filter(awake) {
        out.sample("", &[("symbol", &market.symbol)], market.age_seconds);
    }
    out.family("peregrine_limit_tripped", "gauge", "1 while the limit stops trading.");
    for limit in &snapshot.risk {
        out.sample("", &[("limit", limit.name)], u8::from(limit.tripped));
    }
}

fn alerts(out: &mut Exposition, snapshot: &Snapshot) {
    let view = &snapshot.alerting;
    out.gauge("peregrine_alerts_alive", "1 while alerts are looked for.", u8::from(view.alive));
    out.family("peregrine_alerts_total", "counter", "Alerts raised since start.");
    for raised in &view.raised {
        out.sample("", &[("severity", raised.severity), ("class", raised.class)], raised.count);
    }
    let counts = [
        ("peregrine_alerts_held_total", "Alerts told in a summary only.", view.held),
        ("peregrine_alerts_dropped_total", "Alerts dropped: too many waited.", view.dropped),
        ("peregrine_alerts_escalated_total", "Alerts the first channel missed.", view.escalated),
        ("peregrine_alerts_missed_records_total", "Records never read.", view.missed_records),
    ];
    for (name, help, value) in counts {
        out.family(name, "counter", help);
        out.sample("", &[], value);
    }
    out.gauge("peregrine_alerts_waiting", "Alerts not delivered yet.", view.waiting);
    out.family("peregrine_alert_messages_total", "counter", "Messages by channel and outcome.");
    for channel in &view.channels {
        let (name, both) = (channel.name, [channel.delivered, channel.failed]);
        for (outcome, count) in ["delivered", "failed"].into_iter().zip(both) {
            out.sample("", &[("channel", name), ("outcome", outcome)], count);
        }
    }
}

fn controls(out: &mut Exposition, snapshot: &Snapshot) {
    out.gauge("peregrine_size_percent", "Share of their size entries have.", snapshot.size_percent);
    type Part = fn(&ControlView) -> u64;
    let parts: [(&str, &str, Part); 3] = [
        ("peregrine_control_evaluated_total", "Times a control was evaluated.", |c| c.evaluated),
        ("peregrine_control_near_total", "Times within a fifth of its limit.", |c| c.near),
        ("peregrine_control_tripped_total", "Times it tripped.", |c| c.tripped),
    ];
    for (name, help, part) in parts {
        out.family(name, "counter", help);
        for control in &snapshot.controls {
            out.sample("", &[("control", &control.name)], part(control));
        }
    }
    out.family("peregrine_control_level", "gauge", "Level of a breaker: 0 clear to 4 kill.");
    for control in &snapshot.controls {
        let level = LEVELS.iter().position(|level| *level == control.level);
        if let Some(level) = level {
            out.sample("", &[("control", &control.name)], level);
        }
    }
    out.family("peregrine_control_dead", "gauge", "1 where nothing evaluated it for a day.");
    for control in &snapshot.controls {
        out.sample("", &[("control", &control.name)], u8::from(control.dead));
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Text under construction. A family's samples follow its head directly, as the format demands; a
/// family without samples leaves no trace.
#[derive(Default)]
struct Exposition {
    text: String,
    name: String,
    head: String,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        name.clone_into(&mut self.name);
        self.head = format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        self.text.push_str(&std::mem::take(&mut self.head));
        let _ = write!(self.text, "{}{suffix}", self.name);
        for (i, (label, content)) in labels.iter().enumerate() {
            let opening = if i == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{opening}{label}=\"{}\"", Escaped(content));
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{closing} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample("", &[], value);
    }
}

/// A label's content with backslash, quote and line feed escaped.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            _ => f.write_char(c),
        })
    }
}
