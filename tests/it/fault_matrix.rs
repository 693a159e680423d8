//! The catalogue of faults: every row is a test of its name, or stands here with the reason why
//! not.
//!
//! | rows | faults of |
//! |---|---|
//! | N01 to N13 | the network |
//! | W01 to W18 | WebSocket connections and the feed |
//! | R01 to R24 | requests and orders |
//! | X01 to X12 | the exchange and its market |
//! | P01 to P19 | the process, its host and the journal |
//! | H01 to H11 | a group of nodes |

use crate::source::rust_files;
use std::collections::BTreeMap;

/// Rows by letter: how many there are of each.
const ROWS: [(char, u32); 6] = [('n', 13), ('w', 18), ('r', 24), ('x', 12), ('p', 19), ('h', 11)];

/// Rows without a test, and why.
const WITHOUT: [(&str, &str); 2] = [
    ("r16", "no order is ever changed at the venue: what is no longer wanted is cancelled"),
    ("r17", "no batch is ever sent: every order is a request of its own"),
];

/// Names of the tests that say of which row they are, by row.
fn named(tests: &[String]) -> BTreeMap<String, Vec<&String>> {
    let mut rows: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in tests {
        if let Some((row, _)) = name.strip_prefix("fault_").and_then(|rest| rest.split_once('_')) {
            rows.entry(row.to_owned()).or_default().push(name);
        }
    }
    rows
}

/// What is wrong with the tests and the table of rows without one.
fn findings(tests: &[String], without: &[(&str, &str)]) -> Vec<String> {
    let named = named(tests);
    let all = ROWS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number:02}")));
    let all: Vec<String> = all.collect();
    let mut found = Vec::new();
    for row in &all {
        let reasons = without.iter().filter(|(other, _)| other == row).count();
        match (named.get(row), reasons) {
            (None, 0) => found.push(format!("{row} has neither a test nor a reason")),
            (Some(tests), 1..) => found.push(format!("{row} has {tests:?} and a reason for none")),
            (None, 2..) => found.push(format!("{row} has two reasons")),
            _ => {}
        }
    }
    let of_ours = |row: &str| ROWS.iter().any(|(letter, _)| row.starts_with(*letter));
    let told = named.keys().map(String::as_str).chain(without.iter().map(|(row, _)| *row));
    for row in told.filter(|row| of_ours(row) && !all.iter().any(|known| known == row)) {
        found.push(format!("{row} is no row"));
    }
    found
}

/// The tests of the repository.
fn tests() -> Vec<String> {
    let mut names = Vec::new();
    for file in rust_files() {
        let mut lines = file.text.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().and_then(|next| next.strip_prefix("fn "));
            if let (true, Some(next)) = (line == "#[test]", next) {
                names.extend(next.split('(').next().map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn every_row_of_the_catalogue_is_a_named_test_or_has_a_reason() {
    let tests = tests();
    assert!(tests.len() > 500, "{} tests were found", tests.len());
    let found = findings(&tests, &WITHOUT);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_row_without_either_one_with_both_and_one_that_is_none_are_found() {
    let row_of = |name: &str| name["fault_".len()..][..3].to_owned();
    let all: Vec<String> = ROWS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |n| format!("fault_{letter}{n:02}_x")))
        .collect();
    assert_eq!(findings(&all, &[]), Vec::<String>::new());
    for at in 0..all.len() {
        let mut tests = all.clone();
        let gone = row_of(&tests.remove(at));
        assert_eq!(findings(&tests, &[]), [format!("{gone} has neither a test nor a reason")]);
        assert_eq!(findings(&tests, &[(&gone, "why")]), Vec::<String>::new());
        assert_eq!(findings(&all, &[(&gone, "why")]).len(), 1);
    }
    let more = [&all[..], &["fault_n14_x".to_owned(), "fault_o03_x".to_owned()]].concat();
    assert_eq!(findings(&more, &[]), ["n14 is no row"]);
}
