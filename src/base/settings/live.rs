//! What live trading must have in its file: no limit of size, position, exposure or loss has a
//! default there, however sensible the default elsewhere, and no control that watches over them is
//! off or so slow that it might as well be.

use super::{SettingsError, gate_keys};
use std::ops::RangeInclusive;
use toml::{Table, Value};

/// Keys of `[risk]` and `[portfolio]` that bound nothing in live trading.
const FREE: [&str; 2] = ["risk.starting_equity", "portfolio.budgets"];

/// Keys of other tables that bound what may be had or lost.
const BOUNDS: [&str; 11] = [
    "policy.position_notional",
    "kill.slice_notional",
    "breakers.day_loss_warn_bps",
    "breakers.day_loss_halt_bps",
    "breakers.day_loss_kill_bps",
    "breakers.drawdown_reduce_bps",
    "breakers.drawdown_halt_bps",
    "breakers.losses_half",
    "breakers.losses_quarter",
    "breakers.losses_halt",
    "breakers.slippage_bps",
];

/// A key that switches a control off at 0, or slows it down without end, where it may.
struct Control {
    key: &'static str,
    /// What it may be with real money, in the unit of its name.
    range: RangeInclusive<i64>,
    /// What it is for, as the error says it.
    why: &'static str,
}

const fn control(key: &'static str, range: RangeInclusive<i64>, why: &'static str) -> Control {
    Control { key, range, why }
}

/// Intervals are the control table's, or as many times as long as they may be without the control
/// being another one: a price moves by more than a limit allows within minutes.
const CONTROLS: [Control; 12] = [
    // Below three seconds a renewal has no time to fail once; the venue's own example has 120.
    control("venue.dead_man_ms", 3_000..=120_000, "RC-33: the venue cancels when we are gone"),
    // Two hundred contracts and more have to share the weight of a minute.
    control("venue.reconcile_every_s", 1..=600, "RC-29: books are compared with the venue's"),
    control("watch.clock_every_s", 1..=60, "RC-18: the venue's clock is read"),
    control("watch.clock_age_s_max", 1..=300, "RC-18: no entry on an unknown clock"),
    control("watch.filters_every_s", 1..=3_599, "RC-13: the venue's filters are read"),
    control("watch.filters_age_s_max", 1..=3_600, "RC-13: no entry on old filters"),
    control("watch.account_every_s", 1..=60, "RC-07: the account is read"),
    control("watch.account_age_s_max", 1..=300, "RC-07: no entry on an unknown account"),
    control("watch.modes_every_s", 1..=300, "RC-20: the account's modes are asserted"),
    control("watch.modes_age_s_max", 1..=900, "RC-20: no entry on unknown modes"),
    control("watch.drop_copy_every_s", 1..=3_600, "RC-30: profit is compared with the venue's"),
    control("kill.stall_ms", 1..=60_000, "RC-32: a thread that stands still kills"),
];

/// Every key that live trading has no default for, beside those that `[sizing]` and `[exits]` ask
/// for themselves.
pub fn live_keys() -> Vec<String> {
    let of_gate = |key: &String| {
        !FREE.contains(&key.as_str()) && (key.starts_with("risk.") || key.starts_with("portfolio."))
    };
    let mut keys: Vec<String> = gate_keys().into_iter().filter(of_gate).collect();
    keys.extend(BOUNDS.map(str::to_owned));
    keys
}

/// Reports every such key that the document does not hold, and every control that is off.
pub(super) fn require(document: &Table, errors: &mut Vec<SettingsError>) {
    let at = |key: &str| {
        let (table, name) = key.split_once('.').unwrap_or(("", key));
        document.get(table).and_then(Value::as_table).and_then(|table| table.get(name))
    };
    let mut fail = |key: &str, what: String| {
        errors.push(SettingsError { key: key.to_owned(), what });
    };
    for key in live_keys() {
        if at(&key).is_none() {
            fail(&key, "missing; live trading has no default for it".to_owned());
        }
    }
    for Control { key, range, why } in &CONTROLS {
        let wrong = match at(key).map(Value::as_integer) {
            None => "missing".to_owned(),
            Some(Some(value)) if !range.contains(&value) => format!("is {value}"),
            // What is no whole number has an error of its own.
            Some(_) => continue,
        };
        let (least, most) = (range.start(), range.end());
        fail(key, format!("{wrong}; live trading needs {least} to {most} ({why})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::settings::{parse, parse_document};

    const LIVE: &str = include_str!("../../../config/live.toml");
    const RISK: &str = include_str!("../../../config/risk.toml");

    /// What live trading asks for in `[sizing]` and `[exits]`.
    const OTHERS: [(&str, &str); 9] = [
        ("sizing.risk_bps", "200"),
        ("sizing.share_bps", "2000"),
        ("sizing.kelly_fraction", "0.25"),
        ("sizing.notional_min", "'10'"),
        ("sizing.min_edge_bps", "10"),
        ("sizing.slippage_bps", "5"),
        ("exits.stop_atr", "1.5"),
        ("exits.take_profit_r", "2"),
        ("exits.protective_stop_bps", "150"),
    ];

    fn faults(document: &Table) -> Vec<String> {
        let mut keys: Vec<String> = match parse(document.clone()) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|error| error.key).collect(),
        };
        keys.sort();
        // A missing key may be of an unlawful value, too.
        keys.dedup();
        keys
    }

    fn table<'t>(document: &'t mut Table, name: &str) -> &'t mut Table {
        let entry = document.entry(name).or_insert_with(|| Value::Table(Table::new()));
        entry.as_table_mut().unwrap()
    }

    /// The shipped live configuration with a number for everything it leaves open.
    fn filled() -> Table {
        let mut document = parse_document(LIVE).unwrap();
        let risk = parse_document(RISK).unwrap();
        for key in live_keys() {
            let (name, key) = key.split_once('.').unwrap();
            let value = match risk.get(name).and_then(|table| table.get(key)) {
                Some(value) => value.clone(),
                None => Value::String("100".to_owned()),
            };
            table(&mut document, name).insert(key.to_owned(), value);
        }
        for (key, value) in OTHERS {
            let (name, key) = key.split_once('.').unwrap();
            let value = format!("x = {value}").parse::<Table>().unwrap().remove("x").unwrap();
            table(&mut document, name).insert(key.to_owned(), value);
        }
        document
    }

    #[test]
    fn the_shipped_live_file_has_no_default_for_any_limit_and_says_so_at_once() {
        let mut wanted = live_keys();
        wanted.extend(OTHERS.map(|(key, _)| key.to_owned()));
        wanted.sort();
        assert_eq!(faults(&parse_document(LIVE).unwrap()), wanted);
        for name in &wanted {
            let (_, key) = name.split_once('.').unwrap();
            assert!(LIVE.contains(&format!("# {key} = …")), "{name} is not explained");
        }
    }

    #[test]
    fn each_of_them_alone_keeps_live_trading_from_starting() {
        let whole = filled();
        assert_eq!(faults(&whole), [""; 0]);
        let all = live_keys().into_iter().chain(OTHERS.map(|(key, _)| key.to_owned()));
        for name in all {
            let mut document = whole.clone();
            let (section, key) = name.split_once('.').unwrap();
            table(&mut document, section).remove(key).unwrap();
            let found = faults(&document);
            assert!(found.contains(&name), "{name}: {found:?}");
        }
    }

    /// Another value for a key of the filled configuration; the errors of it.
    fn errors_with(key: &str, value: Option<i64>) -> Vec<String> {
        let mut document = filled();
        let (section, name) = key.split_once('.').unwrap();
        match value {
            Some(value) => table(&mut document, section).insert(name.to_owned(), value.into()),
            None => table(&mut document, section).remove(name),
        };
        let errors = parse(document).err().unwrap_or_default();
        errors.iter().filter(|error| error.key == key).map(ToString::to_string).collect()
    }

    #[test]
    fn every_symbol_that_is_allowed_has_a_largest_quantity_with_real_money() {
        let mut document = filled();
        let _ = table(table(&mut document, "risk"), "qty_max").remove("ETHUSDT").unwrap();
        assert_eq!(faults(&document), ["risk.qty_max.ETHUSDT"]);
        table(&mut document, "risk").insert("allow".to_owned(), vec!["BTCUSDT"].into());
        assert_eq!(faults(&document), [""; 0]);
    }

    #[test]
    fn no_control_is_off_absent_or_beyond_its_bound_with_real_money() {
        let off = [
            ("venue.dead_man_ms", "RC-33", 120_000),
            ("venue.reconcile_every_s", "RC-29", 600),
            ("watch.clock_every_s", "RC-18", 60),
            ("watch.filters_every_s", "RC-13", 3_599),
            ("watch.account_every_s", "RC-07", 60),
            ("watch.modes_every_s", "RC-20", 300),
            ("watch.drop_copy_every_s", "RC-30", 3_600),
            ("watch.clock_age_s_max", "RC-18", 300),
            ("watch.filters_age_s_max", "RC-13", 3_600),
            ("watch.account_age_s_max", "RC-07", 300),
            ("watch.modes_age_s_max", "RC-20", 900),
            ("kill.stall_ms", "RC-32", 60_000),
        ];
        for (key, control, most) in off {
            for value in [None, Some(0), Some(most + 1)] {
                let errors = errors_with(key, value);
                let named = errors.iter().any(|error| error.contains(control));
                assert!(named, "{key} {value:?}: {errors:?}");
            }
            assert_eq!(errors_with(key, Some(most)), [""; 0], "{key} {most}");
        }
        assert!(errors_with("venue.dead_man_ms", Some(2_999))[0].contains("3000 to 120000"));
        assert_eq!(errors_with("venue.dead_man_ms", Some(3_000)), [""; 0]);
        assert_eq!(off.len(), CONTROLS.len());
    }

    #[test]
    fn a_control_may_be_off_where_no_money_is_at_stake() {
        let paper = include_str!("../../../config/paper.toml");
        let mut document = parse_document(paper).unwrap();
        document.remove("risk_file");
        document.extend(parse_document(RISK).unwrap());
        for Control { key, .. } in &CONTROLS {
            let (section, name) = key.split_once('.').unwrap();
            table(&mut document, section).insert(name.to_owned(), 0.into());
        }
        assert_eq!(faults(&document), [""; 0]);
    }

    #[test]
    fn the_live_file_tells_the_range_of_every_control() {
        let document = parse_document(LIVE).unwrap();
        for Control { key, range, .. } in &CONTROLS {
            let (section, name) = key.split_once('.').unwrap();
            let value = document[section][name].as_integer().unwrap();
            assert!(range.contains(&value), "{key} is {value}");
            let before = LIVE.split_once(&format!("\n{name} = ")).unwrap().0;
            let above = before.lines().rev().take_while(|line| line.starts_with('#'));
            let comment: Vec<&str> = above.collect();
            let told = format!("{} to {}", range.start(), range.end());
            let text: String = comment.into_iter().rev().map(|line| &line[1..]).collect();
            assert!(text.contains(&told), "{key}: {text} does not say {told}");
        }
    }
}
