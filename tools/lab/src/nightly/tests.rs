//! What is due, and what of it is learned.

use super::settings::Settings;
use super::store::{Entry, Ledger, Outcome};
use super::{Day, Due, due};

const DAY: Day = Day(20_000);
const HOUR_MS: i64 = 3_600_000;

fn entry(outcome: Outcome, tries: u32) -> Entry {
    let (reason, trigger) = (String::new(), String::new());
    Entry { outcome, reason, trigger, version: None, trials: 0, tries, at_ms: 0 }
}

fn ledger(nights: &[(i64, Outcome, u32)]) -> Ledger {
    let named = |&(day, outcome, tries): &(i64, Outcome, u32)| {
        (Day(DAY.0 + day).name(), entry(outcome, tries))
    };
    Ledger { nights: nights.iter().map(named).collect() }
}

/// What is due `hours` after the begin of [`DAY`], by days counted from it.
fn at(ledger: &Ledger, hours: i64) -> (Vec<i64>, Vec<i64>) {
    let settings = Settings { hour: 2, nights_max: 3, tries_max: 2, ..Settings::default() };
    let first = Some(Day(DAY.0 - 1));
    let Due { learn, pass } = due(ledger, first, DAY.from_ms() + hours * HOUR_MS, &settings);
    let days = |days: Vec<Day>| days.into_iter().map(|day| day.0 - DAY.0).collect();
    (days(learn), days(pass))
}

#[test]
fn a_day_is_due_from_the_hour_on_and_once() {
    let none = Ledger::default();
    assert_eq!(at(&none, 1), (vec![], vec![]), "the day before is over, and its hour is not there");
    assert_eq!(at(&none, 2), (vec![-1], vec![]));
    for outcome in [Outcome::None, Outcome::Refused, Outcome::Staged, Outcome::Passed] {
        assert_eq!(at(&ledger(&[(-1, outcome, 1)]), 2), (vec![], vec![]), "{outcome:?}");
    }
    assert_eq!(at(&ledger(&[(-1, Outcome::None, 1)]), 26), (vec![0], vec![]));
    let settings = Settings::default();
    assert_eq!(due(&none, None, DAY.until_ms(), &settings), Due::default(), "no journal");
}

#[test]
fn after_a_downtime_the_newest_nights_are_made_up_for_oldest_first() {
    let before = ledger(&[(-1, Outcome::None, 1)]);
    assert_eq!(at(&before, 3 * 24 + 2), (vec![0, 1, 2], vec![]));
    assert_eq!(at(&before, 6 * 24 + 2), (vec![3, 4, 5], vec![0, 1, 2]));
}

#[test]
fn a_night_that_failed_is_tried_again_and_does_not_block_the_next() {
    let once = ledger(&[(-1, Outcome::Failed, 1)]);
    assert_eq!(at(&once, 2), (vec![-1], vec![]));
    assert_eq!(at(&once, 26), (vec![-1, 0], vec![]));
    assert_eq!(at(&ledger(&[(-1, Outcome::Failed, 2)]), 26), (vec![0], vec![]), "often enough");
    assert_eq!(at(&once, 4 * 24 + 2), (vec![1, 2, 3], vec![0]), "too long ago");
}

#[test]
fn trials_of_all_other_nights_count() {
    let mut all = ledger(&[(-2, Outcome::None, 1), (-1, Outcome::None, 1)]);
    all.nights.values_mut().for_each(|entry| entry.trials = 7);
    assert_eq!(all.trials_but(&Day(DAY.0 - 1).name()), 7);
    assert_eq!(all.trials_but("another"), 14);
}
