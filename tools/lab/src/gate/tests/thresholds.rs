//! `gates.toml`: every key is needed, bounded, and told.

use super::GATES;
use crate::gate::criteria::{RULES, TABLES};
use crate::gate::thresholds::Thresholds;
use toml::{Table, Value};

fn document() -> Table {
    GATES.parse().unwrap()
}

fn faults(document: &Table) -> Vec<String> {
    let read = Thresholds::parse(&document.to_string());
    read.err().into_iter().flatten().map(|error| error.key).collect()
}

fn table<'t>(document: &'t mut Table, name: &str) -> &'t mut Table {
    document.get_mut(name).and_then(Value::as_table_mut).unwrap()
}

#[test]
fn the_shipped_thresholds_are_those_that_are_asked_for() {
    let read = Thresholds::parse(GATES).unwrap();
    assert_eq!(read.values.len(), RULES.len());
    let value = |name: &str| {
        let at = RULES.iter().position(|rule| rule.name() == name).unwrap();
        read.values[at]
    };
    for (name, asked) in [
        ("older_rule.sharpe_min", 1.8),
        ("older_rule.drawdown_frac_max", 0.2),
        ("older_rule.days_min", 7.0),
        ("walk_forward.folds_positive_frac_min", 0.7),
        ("walk_forward.fold_sharpe_min", -1.5),
        ("walk_forward.net_return_cost_x2_above", 0.0),
        ("significance.dsr_min", 0.95),
        ("significance.pbo_max", 0.2),
        ("cpcv.sharpe_q05_above", 0.0),
        ("calibration.ece_max", 0.03),
        ("stress.loss_frac_max", 0.03),
        ("stress.drawdown_frac_max", 0.2),
    ] {
        assert_eq!(value(name), asked, "{name}");
    }
}

#[test]
fn every_key_is_needed_has_a_range_and_all_that_is_wrong_is_told_at_once() {
    for rule in &RULES {
        let name = rule.name();
        let mut document = document();
        table(&mut document, rule.table).remove(rule.key).unwrap();
        assert_eq!(faults(&document), [name.as_str()]);
        for (value, lawful) in [
            (rule.range.0, true),
            (rule.range.1, true),
            (rule.range.0.next_down(), false),
            (rule.range.1.next_up(), false),
        ] {
            let value = Value::Float(value);
            table(&mut document, rule.table).insert(rule.key.to_owned(), value.clone());
            assert_eq!(faults(&document).is_empty(), lawful, "{name} = {value}");
        }
        for wrong in [Value::Boolean(true), Value::Float(f64::NAN), Value::String("1".into())] {
            table(&mut document, rule.table).insert(rule.key.to_owned(), wrong.clone());
            assert_eq!(faults(&document), [name.as_str()], "{wrong}");
        }
    }
    let nothing = faults(&Table::new());
    let mut all: Vec<String> = RULES.iter().map(|rule| rule.name()).collect();
    all.push("stress.scenarios".to_owned());
    assert_eq!(nothing, all);
}

#[test]
fn a_key_or_table_that_nobody_reads_is_refused() {
    for name in TABLES {
        let mut document = document();
        table(&mut document, name).insert("sharpe".to_owned(), Value::Float(1.0));
        assert_eq!(faults(&document), [format!("{name}.sharpe")]);
    }
    let mut document = document();
    document.insert("extra".to_owned(), Value::Table(Table::new()));
    assert_eq!(faults(&document), ["extra"]);
}

#[test]
fn the_tables_of_promotion_are_left_to_its_own_reader_and_the_gates_to_this_one() {
    use peregrine::promotion::{PromotionSettings, settings};
    assert_eq!(settings::GATE_TABLES, TABLES);
    assert!(PromotionSettings::parse(GATES).is_ok());
    let mut document = document();
    for name in settings::TABLES {
        assert!(document.remove(name).is_some(), "{name}");
    }
    assert!(faults(&document).is_empty());
}

#[test]
fn scenarios_have_lawful_names_each_once_and_there_is_one() {
    for names in ["[]", "['A']", "['']", "['a b']", "['x', 'x']", "'x'", "['x', 1]"] {
        let mut document = document();
        let value = format!("x = {names}").parse::<Table>().unwrap().remove("x").unwrap();
        table(&mut document, "stress").insert("scenarios".to_owned(), value);
        let found = faults(&document);
        assert!(found.iter().any(|key| key == "stress.scenarios"), "{names}: {found:?}");
    }
}
