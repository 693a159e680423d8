//! What live trading must have in its file: no limit of size, position, exposure or loss has a
//! default there, however sensible the default elsewhere.

use super::{SettingsError, gate_keys};
use toml::{Table, Value};

/// Keys of `[risk]` and `[portfolio]` that bound nothing in live trading.
const FREE: [&str; 2] = ["risk.starting_equity", "portfolio.budgets"];

/// Keys of other tables that bound what may be had or lost.
const BOUNDS: [&str; 12] = [
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
    "rollback.gates",
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

/// Reports every such key that the document does not hold.
pub(super) fn require(document: &Table, errors: &mut Vec<SettingsError>) {
    for key in live_keys() {
        let (table, name) = key.split_once('.').unwrap_or(("", &key));
        let there = document.get(table).and_then(Value::as_table);
        if !there.is_some_and(|table| table.contains_key(name)) {
            let what = "missing; live trading has no default for it".to_owned();
            errors.push(SettingsError { key, what });
        }
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
}
