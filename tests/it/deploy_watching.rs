//! What watches the trader from outside: every series that the board and the rules name is one that
//! the trader tells, with the labels they ask it for.

use crate::pipeline_support::{root, text};
use peregrine::observe::alerts::board::{AlertingView, ChannelView, RaisedView};
use peregrine::observe::latency::HopTotals;
use peregrine::observe::metrics::render;
use peregrine::observe::snapshot::{
    ControlView, LimitView, MarketView, NotReady, RingView, ThreadView,
};
use peregrine::observe::{Hop, Snapshot};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Series by name, with the labels each has; `job` and `instance` are the scraper's own.
type Series = BTreeMap<String, BTreeSet<String>>;

/// A snapshot that leaves no family without a sample.
fn full() -> Snapshot {
    let mut totals = HopTotals::new();
    Hop::ALL.into_iter().for_each(|hop| totals.record_n(hop, 1_000, 2));
    Snapshot {
        trading_state: "active",
        not_ready: vec![NotReady::ClockOff],
        threads: vec![ThreadView { name: "feed", ..ThreadView::default() }],
        rings: vec![RingView { name: "feed_inference", occupied: 1, capacity: 2 }],
        latency: totals.view(),
        markets: vec![MarketView { symbol: "BTCUSDT".to_owned(), ..MarketView::default() }],
        risk: vec![LimitView { name: "daily_loss_max", ..LimitView::default() }],
        controls: vec![ControlView { name: "check_price".to_owned(), ..ControlView::default() }],
        alerting: AlertingView {
            raised: vec![RaisedView { severity: "P0", class: "kill", count: 1 }],
            channels: vec![ChannelView { name: "telegram", delivered: 1, failed: 0 }],
            ..AlertingView::default()
        },
        ..Snapshot::default()
    }
}

/// Label names of `{a="x",b="y"}`, and how long the braces are.
fn labels(text: &str) -> (BTreeSet<String>, usize) {
    let (mut names, mut quoted, mut word, mut last) = (BTreeSet::new(), false, String::new(), ' ');
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if last != '\\' => quoted = !quoted,
            '}' if !quoted => return (names, at + 1),
            _ if quoted => {}
            '=' | '!' if !word.is_empty() => {
                names.insert(std::mem::take(&mut word));
            }
            c if c.is_ascii_alphanumeric() || c == '_' => word.push(c),
            _ => word.clear(),
        }
        last = c;
    }
    panic!("no end of labels in {text:?}");
}

fn told() -> Series {
    let mut series = Series::new();
    for line in render(&full()).lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let own = if line[end..].starts_with('{') { labels(&line[end..]).0 } else { [].into() };
        series.entry(line[..end].to_owned()).or_default().extend(own);
    }
    for own in series.values_mut() {
        own.extend(["job", "instance"].map(String::from));
    }
    series.insert("up".to_owned(), ["job", "instance"].map(String::from).into());
    series
}

/// The series of a PromQL expression, with the labels that its matchers name.
fn named(expression: &str) -> Vec<(String, BTreeSet<String>)> {
    let (mut found, mut at, mut quoted) = (Vec::new(), 0, false);
    while let Some(c) = expression[at..].chars().next() {
        let is_word = c.is_ascii_alphabetic() || c == '_';
        if c == '"' {
            quoted = !quoted;
        }
        if quoted || !is_word {
            at += c.len_utf8();
            continue;
        }
        let rest = &expression[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (word, behind) = rest.split_at(end.unwrap_or(rest.len()));
        at += word.len();
        let of_labels = behind.starts_with('{').then(|| labels(behind));
        let is_series = word == "up" || word.starts_with("peregrine_");
        if is_series {
            found.push((word.to_owned(), of_labels.clone().unwrap_or_default().0));
        } else {
            let known = ["rate", "increase", "resets", "sum", "label_values", "job"];
            let is_range = word == "m" || word == "s" || word.starts_with("__");
            assert!(known.contains(&word) || is_range, "{word:?} in {expression:?}");
        }
        at += of_labels.map_or(0, |(_, length)| length);
    }
    found
}

/// What is wrong with an expression and the labels its legend or texts name.
fn errors(series: &Series, expression: &str, shown: &str) -> Vec<String> {
    let (mut errors, mut there) = (Vec::new(), BTreeSet::new());
    let all = named(expression);
    if all.is_empty() {
        errors.push(format!("{expression}: names no series"));
    }
    for (name, asked) in all {
        let Some(own) = series.get(&name) else {
            errors.push(format!("{expression}: {name} is not told"));
            continue;
        };
        there.extend(own.clone());
        let absent = asked.difference(own).map(|label| format!("{name} has no label {label}"));
        errors.extend(absent);
    }
    for part in shown.split("{{").skip(1) {
        let label = part.split("}}").next().unwrap().trim();
        let label = label.strip_prefix("$labels.").unwrap_or(label);
        if !label.starts_with("$value") && !there.contains(label) {
            errors.push(format!("{expression}: shows {label}, which no series of it has"));
        }
    }
    errors
}

fn board() -> Value {
    let path = root().join("tools/deploy/grafana/dashboards/peregrine.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Expression and legend of every query of the board.
fn queries(board: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let panels = board["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let mut queries: Vec<_> =
        targets.map(|target| (word(&target["expr"]), word(&target["legendFormat"]))).collect();
    let variables = board["templating"]["list"].as_array().unwrap();
    queries.extend(variables.iter().map(|own| (word(&own["definition"]), String::new())));
    let marks = board["annotations"]["list"].as_array().unwrap();
    queries.extend(marks.iter().map(|own| (word(&own["expr"]), String::new())));
    queries
}

#[test]
fn every_query_of_the_board_names_series_and_labels_that_are_told() {
    let (series, board) = (told(), board());
    let queries = queries(&board);
    let errors: Vec<String> =
        queries.iter().flat_map(|(query, legend)| errors(&series, query, legend)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    for wanted in [
        "peregrine_trading_state",
        "peregrine_pnl_quote",
        "peregrine_hop_seconds",
        "peregrine_book_valid",
        "peregrine_limit_tripped",
        "peregrine_ring_occupied_events",
        "peregrine_journal_records_total",
        "peregrine_resident_memory_bytes",
    ] {
        assert!(queries.iter().any(|(query, _)| query.contains(wanted)), "no panel of {wanted}");
    }
}

#[test]
fn every_panel_lies_in_a_place_of_its_own_and_asks_the_provisioned_source() {
    let board = board();
    let source = root().join("tools/deploy/grafana/provisioning/datasources/peregrine.yaml");
    assert!(std::fs::read_to_string(source).unwrap().contains("\n    uid: peregrine\n"));
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in board["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let of = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        assert!(of("x") + of("w") <= 24, "{}", panel["title"]);
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(places.insert((x, y)), "{} covers another", panel["title"]);
            }
        }
        let targets = panel["targets"].as_array().into_iter().flatten();
        for asked in targets.chain((panel["type"] != "row").then_some(panel)) {
            assert_eq!(asked["datasource"]["uid"], "peregrine", "{}", panel["title"]);
        }
    }
}

/// The rules of a file: name, expression, and every text of theirs.
fn rules(file: &str) -> Vec<(String, String, String)> {
    let field = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.trim().strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key} in {block}")).trim().to_owned()
    };
    let blocks = file.split("- alert: ").skip(1);
    blocks
        .map(|block| {
            let name = block.lines().next().unwrap().trim().to_owned();
            (name, field(block, "expr:"), block.to_owned())
        })
        .collect()
}

#[test]
fn every_rule_names_series_and_labels_that_are_told_and_a_runbook_that_exists() {
    let series = told();
    let path = root().join("tools/deploy/prometheus/peregrine.rules.yml");
    let rules = rules(&std::fs::read_to_string(path).unwrap());
    assert!(rules.iter().any(|(name, ..)| name == "PeregrineDown"), "{rules:?}");
    for (name, expression, whole) in &rules {
        let errors = errors(&series, expression, whole);
        assert!(errors.is_empty(), "{name}: {errors:#?}");
        let runbook = whole.lines().find_map(|line| line.trim().strip_prefix("runbook: ")).unwrap();
        assert!(root().join(runbook).exists(), "{name}: {runbook}");
        assert!(whole.contains("severity: P"), "{name}");
    }
}

#[test]
fn a_planted_series_or_label_that_nobody_tells_is_found() {
    let series = told();
    let wrong = |query: &str, legend: &str| errors(&series, query, legend).len();
    assert_eq!(wrong("rate(peregrine_events_total{job=\"$job\"}[5m])", ""), 0);
    assert_eq!(wrong("peregrine_book_valid{symbol=~\"a}b\"} == 0", "{{symbol}} {{job}}"), 0);
    assert_eq!(wrong("peregrine_evnets_total", ""), 1);
    assert_eq!(wrong("peregrine_events_total{ring=\"x\"}", ""), 1);
    assert_eq!(wrong("peregrine_events_total", "{{ring}}"), 1);
    assert_eq!(wrong("peregrine_ready / peregrine_redy", ""), 1);
    assert_eq!(wrong("1 + 1", ""), 1);
}

#[test]
fn prometheus_itself_reads_the_configuration_and_the_rules_fire_as_planted() {
    let config = root().join("tools/deploy/prometheus/prometheus.yml");
    let planted = root().join("tests/deploy/rules_test.yml");
    for words in [["check", "config", text(&config)], ["test", "rules", text(&planted)]] {
        let Ok(output) = Command::new("promtool").args(words).output() else {
            println!("promtool is absent: its opinion was not asked");
            return;
        };
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success() && !said.contains("FAILED"), "{words:?}: {said}");
    }
}
