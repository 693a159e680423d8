use crate::base::Money;
use crate::base::counters::{Counter, Counters};
use crate::journal::JournalHealth;
use crate::observe::alerts::board::{ChannelView, RaisedView};
use crate::observe::latency::HopTotals;
use crate::observe::metrics::render;
use crate::observe::snapshot::{
    AccountView, ControlView, CounterValues, JournalView, LimitView, MarketView, ModelView,
    NotReady, RingView, RollbackLimit, ShadowLag, ShadowView, Snapshot, ThreadView,
};
use crate::observe::{Hop, SnapshotCell};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};

fn full() -> Snapshot {
    let counters = Counters::new();
    counters.add(Counter::Events, 12_345);
    let mut totals = HopTotals::new();
    totals.record_n(Hop::TickToOrder, 2_000, 4);
    totals.record_n(Hop::Inference, 700, 10);
    let mut snapshot = (*SnapshotCell::new().load().0).clone();
    snapshot.trading_state = "active";
    snapshot.session.version = "0.1.0";
    snapshot.session.mode = "paper";
    snapshot.not_ready = vec![NotReady::ClockOff, NotReady::BookInvalid];
    snapshot.counters = CounterValues::read(&counters);
    snapshot.latency = totals.view();
    snapshot.account =
        AccountView { equity: Money::parse("10000.5").unwrap(), ..AccountView::default() };
    snapshot.rings = vec![
        RingView { name: "feed_inference", occupied: 3, capacity: 4_096 },
        RingView { name: "inference_risk", occupied: 0, capacity: 1_024 },
    ];
    let feed = ThreadView { name: "feed", beating: true, turns: 99, ..ThreadView::default() };
    snapshot.threads = vec![feed];
    snapshot.risk = vec![LimitView { name: "daily_loss_max", ..LimitView::default() }];
    let odd = "A\\B\"C\n币安".to_owned();
    snapshot.journal = JournalView::read(&JournalHealth::default());
    let model =
        ModelView { version: "quick-1".to_owned(), stage: "champion", ..Default::default() };
    snapshot.models = vec![model];
    let version = "copy-1".to_owned();
    snapshot.shadow = vec![ShadowView { version, decisions: 7, ..ShadowView::default() }];
    snapshot.shadow_lag = ShadowLag {
        events_behind: 31,
        behind_ms: 250,
        dropped: 32,
        mismatches: 33,
        lines: 34,
        failed: 1,
    };
    let fall = RollbackLimit { name: "drawdown_frac_max", value: Some(0.1), limit: 0.2 };
    snapshot.rollback.limits = vec![fall, RollbackLimit { name: "psi_max", value: None, ..fall }];
    let control =
        ControlView { name: "drawdown".to_owned(), level: "reduce", ..Default::default() };
    snapshot.controls = vec![control];
    snapshot.alerting.raised = vec![RaisedView { severity: "P1", class: "risk", count: 2 }];
    snapshot.alerting.channels = vec![ChannelView { name: "mail", delivered: 1, failed: 0 }];
    snapshot.markets = vec![MarketView { symbol: odd, age_seconds: 0.25, ..MarketView::default() }];
    snapshot
}

/// One sample line, taken apart.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads a sample by the grammar of the exposition format, written without a look at the writer.
fn sample(line: &str) -> Result<Sample, String> {
    let name_end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(name_end);
    let mut labels = BTreeMap::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (label, after) = rest.split_once("=\"").ok_or("label without content")?;
            let mut content = String::new();
            let mut chars = after.char_indices();
            let end = loop {
                match chars.next().ok_or("content without end")? {
                    (end, '"') => break end,
                    (_, '\\') => match chars.next().ok_or("lone backslash")?.1 {
                        'n' => content.push('\n'),
                        c @ ('"' | '\\') => content.push(c),
                        c => return Err(format!("escaped {c:?}")),
                    },
                    (_, c) => content.push(c),
                }
            };
            if labels.insert(label.to_owned(), content).is_some() {
                return Err(format!("label {label} twice"));
            }
            rest = &after[end + 1..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').ok_or("no blank before the value")?;
    let value = value.parse().map_err(|e| format!("{value:?}: {e}"))?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The rules of the format and of `promtool check metrics`, one error text each.
fn errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let mut families = HashSet::new();
    let mut series = HashSet::new();
    let (mut family, mut kind, mut samples) = (String::new(), String::new(), 1);
    if !text.ends_with('\n') {
        errors.push("no line feed at the end".to_owned());
    }
    for line in text.lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, help) = head.split_once(' ').unwrap_or((head, ""));
            if help.is_empty() || samples == 0 || !families.insert(name.to_owned()) {
                errors.push(format!("{name}: no help, a family without samples, or said twice"));
            }
            (family, kind, samples) = (name.to_owned(), String::new(), 0);
        } else if let Some(head) = line.strip_prefix("# TYPE ") {
            let expected = format!("{family} ");
            kind = head.strip_prefix(&expected).unwrap_or_default().to_owned();
            let total = family.ends_with("_total");
            if !matches!(kind.as_str(), "counter" | "gauge" | "summary") || samples > 0 {
                errors.push(format!("{head}: TYPE does not follow HELP or is not known"));
            }
            if (kind == "counter") != total || !family.starts_with("peregrine_") {
                errors.push(format!("{family}: not named as a {kind}"));
            }
            if ["_ms", "_ns", "_us", "_milliseconds", "_kb"].iter().any(|u| family.ends_with(u)) {
                errors.push(format!("{family}: not in a base unit"));
            }
        } else {
            samples += 1;
            match sample(line) {
                Ok(found) => {
                    check_sample(&found, &family, &kind, &mut errors);
                    if !series.insert((found.name.clone(), format!("{:?}", found.labels))) {
                        errors.push(format!("{line}: the same series twice"));
                    }
                }
                Err(error) => errors.push(format!("{line}: {error}")),
            }
        }
    }
    errors
}

fn check_sample(sample: &Sample, family: &str, kind: &str, errors: &mut Vec<String>) {
    let suffix = sample.name.strip_prefix(family);
    let summary = kind == "summary";
    let belongs = match suffix {
        Some("") => summary == sample.labels.contains_key("quantile"),
        Some("_sum" | "_count") => summary && !sample.labels.contains_key("quantile"),
        _ => false,
    };
    if !belongs || !is_name(&sample.name) || !sample.labels.keys().all(|label| is_name(label)) {
        errors.push(format!("{sample:?} does not belong to the {kind} {family}"));
    }
    if kind == "counter" && sample.value < 0.0 {
        errors.push(format!("{sample:?}: a counter below zero"));
    }
}

#[test]
fn the_text_obeys_the_format_and_the_naming_rules() {
    for snapshot in [full(), Snapshot::default(), (*SnapshotCell::new().load().0).clone()] {
        let text = render(&snapshot);
        let errors = errors(&text);
        assert!(errors.is_empty(), "{errors:#?}\n{text}");
    }
}

#[test]
fn the_validator_sees_what_is_wrong() {
    let head = "# HELP peregrine_a A.\n# TYPE peregrine_a gauge\n";
    assert!(errors(&format!("{head}peregrine_a 1\n")).is_empty());
    let wrong = [
        format!("{head}peregrine_a 1"),
        format!("{head}peregrine_a one\n"),
        format!("{head}peregrine_b 1\n"),
        format!("{head}peregrine_a{{x=\"1\\q\"}} 1\n"),
        format!("{head}peregrine_a{{x=\"1}} 1\n"),
        format!("{head}peregrine_a 1\nperegrine_a 1\n"),
        format!("{head}peregrine_a 1\n{head}peregrine_a{{x=\"1\"}} 1\n"),
        "peregrine_a 1\n".to_owned(),
        "# HELP peregrine_a A.\n# TYPE peregrine_a counter\nperegrine_a 1\n".to_owned(),
        "# HELP peregrine_a_ms A.\n# TYPE peregrine_a_ms gauge\nperegrine_a_ms 1\n".to_owned(),
        "# HELP a A.\n# TYPE a gauge\na 1\n".to_owned(),
    ];
    for text in wrong {
        assert!(!errors(&text).is_empty(), "{text}");
    }
}

#[test]
fn values_come_out_in_base_units_under_their_labels() {
    let text = render(&full());
    let samples: Vec<Sample> =
        text.lines().filter(|line| !line.starts_with('#')).map(|l| sample(l).unwrap()).collect();
    let value = |name: &str, labels: &[(&str, &str)]| {
        let wanted = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let found = samples.iter().find(|s| s.name == name && s.labels == wanted);
        found.unwrap_or_else(|| panic!("no {name} {labels:?} in\n{text}")).value
    };
    let hop = ("hop", "tick_to_order");
    assert_eq!(value("peregrine_events_total", &[]), 12_345.0);
    assert_eq!(value("peregrine_hop_seconds_count", &[hop]), 4.0);
    assert_eq!(value("peregrine_hop_seconds_sum", &[hop]), 8e-6);
    assert_eq!(value("peregrine_hop_seconds", &[hop, ("quantile", "0.99")]), 2e-6);
    assert_eq!(value("peregrine_hop_max_seconds", &[("hop", "inference")]), 7e-7);
    assert_eq!(value("peregrine_hop_seconds_count", &[("hop", "wire")]), 0.0);
    assert_eq!(value("peregrine_ring_occupied_events", &[("ring", "feed_inference")]), 3.0);
    assert_eq!(value("peregrine_ready", &[]), 0.0);
    assert_eq!(value("peregrine_not_ready", &[("reason", "clock_off")]), 1.0);
    assert_eq!(value("peregrine_trading_state", &[("state", "active")]), 1.0);
    assert_eq!(value("peregrine_trading_state", &[("state", "killed")]), 0.0);
    assert_eq!(value("peregrine_equity_quote", &[]), 10_000.5);
    for (name, wanted) in [
        ("events_behind", 31.0),
        ("behind_seconds", 0.25),
        ("dropped_total", 32.0),
        ("mismatches_total", 33.0),
        ("lines_total", 34.0),
        ("failed", 1.0),
    ] {
        assert_eq!(value(&format!("peregrine_shadow_{name}"), &[]), wanted, "{name}");
    }
    assert_eq!(value("peregrine_shadow_decisions", &[("version", "copy-1")]), 7.0);
    assert_eq!(value("peregrine_market_age_seconds", &[("symbol", "A\\B\"C\n币安")]), 0.25);
}

#[test]
fn a_hop_never_passed_has_no_quantile() {
    let text = render(&full());
    assert!(!text.contains("hop=\"wire\",quantile"), "{text}");
    assert!(text.contains("hop=\"inference\",quantile"), "{text}");
}

/// Names with their labels as `docs/METRICS.md` lists them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let words = |cell: &str| {
        let parts = cell.split('`').skip(1).step_by(2);
        parts.map(str::to_owned).collect::<Vec<_>>()
    };
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `peregrine_")) {
        let cells: Vec<&str> = line.split('|').collect();
        let name = words(cells[1]).remove(0);
        let labels = words(cells[2]).into_iter().collect();
        assert!(rows.insert(name.clone(), labels).is_none(), "{name} is listed twice");
    }
    rows
}

#[test]
fn the_page_of_metrics_lists_every_series_with_its_labels_and_no_other() {
    let mut rendered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut family = String::new();
    for line in render(&full()).lines() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            head.split(' ').next().unwrap().clone_into(&mut family);
        } else if !line.starts_with('#') {
            let labels = sample(line).unwrap().labels.into_keys();
            rendered.entry(family.clone()).or_default().extend(labels);
        }
    }
    assert_eq!(documented(), rendered);
}

#[test]
fn promtool_agrees_where_it_is_installed() {
    let tool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut tool) = tool else {
        println!("promtool is absent: its opinion was not asked");
        return;
    };
    tool.stdin.take().unwrap().write_all(render(&full()).as_bytes()).unwrap();
    let verdict = tool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&verdict.stderr);
    assert!(verdict.status.success() && said.trim().is_empty(), "{said}");
}
