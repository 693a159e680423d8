//! The tables of `gates.toml`: every key is needed, bounded, and told.

use super::{GATES, shipped};
use crate::promotion::PromotionSettings;
use crate::promotion::rollback::ROLLBACK;
use crate::promotion::rules::{CANARY, SHADOW};
use crate::promotion::settings::TABLES;
use toml::{Table, Value};

fn document() -> Table {
    GATES.parse().unwrap()
}

fn faults(document: &Table) -> Vec<String> {
    let read = PromotionSettings::parse(&document.to_string());
    read.err().into_iter().flatten().map(|error| error.key).collect()
}

/// Sets `a.b.c`.
fn set(document: &mut Table, path: &str, value: Value) {
    let (tables, key) = path.rsplit_once('.').unwrap();
    let step = |table, name| Table::get_mut(table, name).and_then(Value::as_table_mut).unwrap();
    let table = tables.split('.').fold(document, step);
    table.insert(key.to_owned(), value);
}

#[test]
fn the_shipped_trial_is_the_one_that_is_asked_for() {
    let read = shipped();
    let value = |key: &str| read.shadow[SHADOW.iter().position(|rule| rule.key == key).unwrap()];
    let asked = [
        ("days_min", 7.0),
        ("days_max", 28.0),
        ("predictions_min", 2_000.0),
        ("sharpe_min", 1.8),
        ("drawdown_frac_max", 0.2),
        ("sharpe_gain_frac_min", 0.05),
        ("drawdown_worse_frac_max", 0.0),
        ("evidence_min", 20.0),
        ("feature_mismatches_max", 0.0),
    ];
    for (key, wanted) in asked {
        assert_eq!(value(key), wanted, "{key}");
    }
    assert_eq!((read.design.lags, read.days_extended), (3, 14.0));
}

#[test]
fn every_threshold_is_bounded_and_the_older_rules_can_only_be_stricter() {
    let shadow = SHADOW.iter().map(|r| ("promotion.shadow_to_canary", r.key, r.range));
    let canary = CANARY.iter().map(|r| ("promotion.canary_to_champion", r.key, r.range));
    let rollback = ROLLBACK.iter().map(|r| ("rollback", r.key, r.range));
    for (table, key, (low, high)) in shadow.chain(canary).chain(rollback) {
        let name = format!("{table}.{key}");
        for (value, lawful) in
            [(low, true), (high, true), (low - 1e-6, false), (high * (1.0 + 1e-9) + 1e-6, false)]
        {
            let mut document = document();
            set(&mut document, &name, Value::Float(value));
            let expected = if lawful { vec![] } else { vec![name.clone()] };
            assert_eq!(faults(&document), expected, "{value}");
        }
    }
    let looser = |key: &str, value: f64| {
        let mut document = document();
        set(&mut document, &format!("promotion.shadow_to_canary.{key}"), Value::Float(value));
        !faults(&document).is_empty()
    };
    assert!(looser("sharpe_min", 1.79) && looser("drawdown_frac_max", 0.21));
    assert!(looser("days_min", 6.0) && looser("sharpe_gain_frac_min", 0.04));
    assert!(looser("evidence_min", 19.0) && looser("days_max", 29.0));
}

#[test]
fn a_missing_key_a_strange_key_and_a_strange_table_are_named() {
    let all: Vec<String> = faults(&Table::new());
    let keys = SHADOW.len() + CANARY.len() + ROLLBACK.len();
    // And seven of the trial, the low Sharpe ratio, six of drift.
    assert_eq!(all.len(), keys + 7 + 1 + 6, "{all:?}");
    for (at, named) in [
        ("promotion.extra", "promotion.extra"),
        ("promotion.shadow_to_canary.extra", "promotion.shadow_to_canary.extra"),
        ("promotion.canary_to_champion.extra", "promotion.canary_to_champion.extra"),
        ("rollback.extra", "rollback.extra"),
        ("drift.extra", "drift.extra"),
    ] {
        let mut document = document();
        set(&mut document, at, Value::Integer(1));
        assert_eq!(faults(&document), [named]);
    }
    let mut document = document();
    document.insert("promotions".to_owned(), Value::Table(Table::new()));
    assert_eq!(faults(&document), ["promotions"]);
}

#[test]
fn sub_streams_are_bounded_and_what_a_session_deals_is_said_in_the_session_s_file_alone() {
    for name in ["promotion.block_ms", "promotion.canary_share"] {
        let mut document = document();
        set(&mut document, name, Value::Integer(1));
        assert_eq!(faults(&document), [name], "it is [canary]'s");
    }
    let mut document = document();
    set(&mut document, "promotion.slot_ms", Value::Integer(1_000));
    assert_eq!(faults(&document), ["promotion.slot_ms"]);
    assert_eq!(TABLES.map(|name| self::document().contains_key(name)), [true; 3]);
}
