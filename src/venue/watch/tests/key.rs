//! The key's rights within the look at how the account is set up.

use super::super::*;
use crate::venue::key_rights::{KeyRights, RIGHTS};
use ask::{Modes, SymbolMode};

const EVERY: Nanos = Nanos::from_secs(60);

/// A watch that looks at modes alone, and at the clock every second.
fn watch(reads_key: bool) -> VenueWatch {
    let settings =
        WatchSettings { clock_every_s: 1, modes_every_s: 60, ..WatchSettings::asking_nothing() };
    let mut watch = VenueWatch::over(settings, &[], OwnBounds::default(), 0);
    watch.reads_key = reads_key;
    watch
}

/// A key on which everything is as it has to be but what is named.
fn rights(others: &[&str]) -> KeyRights {
    let told =
        |name: &str, wanted: bool| format!("\"{name}\":{}", wanted != others.contains(&name));
    let all: Vec<String> = RIGHTS.iter().map(|right| told(right.name, right.wanted)).collect();
    KeyRights::read(format!("{{{}}}", all.join(",")).as_bytes()).unwrap()
}

fn seen(ask: &Ask, key: &KeyRights) -> Seen {
    match ask {
        Ask::Time => Seen::Time(Nanos::ZERO),
        Ask::Modes => Seen::Modes(Modes { hedged: false, multi_assets: false, can_trade: true }),
        Ask::SymbolModes => Seen::SymbolModes(Vec::<SymbolMode>::new()),
        Ask::KeyRights => Seen::KeyRights(key.clone()),
        other => panic!("{other:?}"),
    }
}

/// What is asked of everything that is due at `now`, and what of the account's setup is told.
fn look(watch: &mut VenueWatch, now: Nanos, key: &KeyRights) -> (Vec<Ask>, Vec<(i32, i64, bool)>) {
    let mut asked = Vec::new();
    while let Some(ask) = watch.question(now, true) {
        watch.on_answer(&ask, Some(&seen(&ask, key)), now);
        asked.push(ask);
    }
    let mut told = Vec::new();
    while let Some(event) = watch.event() {
        let body: &VenueStatus = event.body();
        if body.reason == Reason::AccountMode as u16 {
            told.push((body.venue_code, body.told, event.has(flags::ON)));
        }
    }
    (asked, told)
}

#[test]
fn that_all_is_as_it_has_to_be_is_told_only_after_the_key_was_read_where_it_is_read() {
    let none = rights(&[]);
    for reads_key in [false, true] {
        let mut watch = watch(reads_key);
        let (asked, told) = look(&mut watch, Nanos::ZERO, &none);
        assert_eq!(asked.contains(&Ask::KeyRights), reads_key);
        assert_eq!(told, [(0, 0, true)]);
    }
    let mut watch = watch(true);
    for ask in [Ask::Time, Ask::Modes, Ask::SymbolModes] {
        assert_eq!(watch.question(Nanos::ZERO, true), Some(ask));
        watch.on_answer(&ask, Some(&seen(&ask, &none)), Nanos::ZERO);
    }
    let fine = std::iter::from_fn(|| watch.event()).any(|event| event.has(flags::ON));
    assert!(!fine, "the key is still to be read");
}

#[test]
fn a_key_that_has_come_to_do_more_is_told_at_the_next_look_with_every_right_at_fault() {
    let mut watch = watch(true);
    let (_, told) = look(&mut watch, Nanos::ZERO, &rights(&[]));
    assert_eq!(told, [(0, 0, true)]);
    let (asked, told) = look(&mut watch, EVERY, &rights(&["enableWithdrawals", "ipRestrict"]));
    assert!(asked.contains(&Ask::KeyRights));
    // Bits at the places of RIGHTS: withdrawals stand first, addresses last.
    assert_eq!(told, [(6, 1 | 1 << 9, false)], "and nothing is told to be well");
    let (_, told) = look(&mut watch, EVERY + EVERY, &rights(&[]));
    assert_eq!(told, [(0, 0, true)]);
}

#[test]
fn a_wallet_that_does_not_answer_leaves_the_other_looks_as_they_are_and_is_asked_again() {
    let (mut watch, none) = (watch(true), rights(&[]));
    for ask in [Ask::Time, Ask::Modes, Ask::SymbolModes, Ask::KeyRights] {
        assert_eq!(watch.question(Nanos::ZERO, true), Some(ask));
        let answer = (ask != Ask::KeyRights).then(|| seen(&ask, &none));
        watch.on_answer(&ask, answer.as_ref(), Nanos::ZERO);
    }
    let fine = std::iter::from_fn(|| watch.event()).any(|event| event.has(flags::ON));
    assert!(!fine, "what was not read is not fine");
    let second = Nanos::from_secs(1);
    assert_eq!(look(&mut watch, second, &none), (vec![Ask::Time], Vec::new()));
    let (asked, told) = look(&mut watch, RETRY.1, &none);
    assert_eq!(asked, [Ask::Time, Ask::Modes, Ask::SymbolModes, Ask::KeyRights]);
    assert_eq!(told, [(0, 0, true)]);
}
