//! Why a day, or what would be learned from, is not good enough. Each reason names the key of
//! `learn.toml` that says how good it has to be.

use super::collect::{Collected, Replayed};
use super::days::Day;
use super::settings::Check;
use crate::data::quality::at;
use crate::history::Rows;
use peregrine::model::Training;
use peregrine::promotion::drift::psi;
use std::collections::BTreeMap;

/// Fewest rows of the day, and of the days before it, whose distributions are compared.
const ROWS_MIN: usize = 100;

/// What stands against a collected day; `replays` are those of its journals that are closed.
pub fn day(
    facts: &Collected,
    replays: &[(String, Result<Option<Replayed>, String>)],
    check: &Check,
) -> Vec<String> {
    let mut found: Vec<String> =
        facts.damage.iter().map(|damage| format!("journal {damage}")).collect();
    for (name, replay) in replays {
        match replay {
            Ok(None) => {}
            Ok(Some(replay)) if replay.differences == 0 => {}
            Ok(Some(Replayed { records, differences, first, .. })) => {
                let first = first.as_deref().unwrap_or("nothing more is known");
                found.push(format!(
                    "features: {differences} of {records} records of {name} come out otherwise \
                     when they are computed again: {first}"
                ));
            }
            Err(why) => {
                found.push(format!("features: {name} cannot be computed again: {why}"));
            }
        }
    }
    if facts.symbols.values().all(|symbol| symbol.trades == 0) {
        found.push("nothing was recorded: no trade of any symbol".to_owned());
        return found;
    }
    for (symbol, told) in &facts.symbols {
        let gap_ms = i64::from(check.gap_s_max) * 1_000;
        if told.silence_ms > gap_ms {
            found.push(format!(
                "check.gap_s_max: nothing of {symbol} for {} s after {}, at most {} s",
                told.silence_ms / 1_000,
                at(told.silence_after_ms),
                check.gap_s_max
            ));
        }
        let covered = told.covered_ms as f64 / facts.span_ms.max(1) as f64;
        if covered < check.coverage_min {
            found.push(format!(
                "check.coverage_min: {covered:.4} of the day of {symbol}, at least {}",
                check.coverage_min
            ));
        }
        if told.trades_missing > check.trades_missing_max {
            found.push(format!(
                "check.trades_missing_max: {} trades of {symbol} are missing, at most {}",
                told.trades_missing, check.trades_missing_max
            ));
        }
    }
    found
}

/// What stands against the rows of a window whose newest day is `newest`.
pub fn window(rows: &Rows, newest: Day, check: &Check) -> Vec<String> {
    let mut found = Vec::new();
    let labels = independent(rows);
    if (labels as f64) < check.labels_min {
        found.push(format!(
            "check.labels_min: {labels} labels that do not overlap, at least {}",
            check.labels_min
        ));
    }
    let drifted = drifted(rows, newest, check.psi_max);
    let share = drifted.len() as f64 / rows.names.len().max(1) as f64;
    if share > check.drifted_frac_max {
        let mut told: Vec<String> =
            drifted.iter().map(|(name, index)| format!("{name} {index:.2}")).collect();
        let more = told.len().saturating_sub(5);
        told.truncate(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        found.push(format!(
            "check.drifted_frac_max: {share:.2} of the features have an index above \
             check.psi_max on the day, at most {}: {}{more}",
            check.drifted_frac_max,
            told.join(", ")
        ));
    }
    found
}

/// Labels none of which begins before the one before it was known, symbol by symbol.
pub fn independent(rows: &Rows) -> usize {
    let mut until: BTreeMap<u16, i64> = BTreeMap::new();
    let mut count = 0;
    for (life, symbol) in rows.lives.iter().zip(&rows.symbols) {
        let known = until.entry(*symbol).or_insert(i64::MIN);
        if life.from >= *known {
            (*known, count) = (life.until, count + 1);
        }
    }
    count
}

/// Features of the day with an index above `psi_max` against the days before, largest first.
fn drifted(rows: &Rows, newest: Day, psi_max: f64) -> Vec<(String, f64)> {
    let border = rows.lives.partition_point(|life| life.from < newest.from_ms());
    if border < ROWS_MIN || rows.len() - border < ROWS_MIN {
        return Vec::new();
    }
    let width = rows.names.len();
    let (before, own) = rows.table.values.split_at(border * width);
    let deciles = Training::of(width, before).and_then(|told| told.deciles(width).ok());
    let mut found: Vec<(String, f64)> = Vec::new();
    for (at, told) in deciles.unwrap_or_default().iter().enumerate() {
        let mut counts = vec![0.0; told.shares.len()];
        for value in own.iter().skip(at).step_by(width) {
            counts[told.edges.partition_point(|edge| edge < value)] += 1.0;
        }
        let expected: Vec<f64> = told.shares.iter().map(|&share| f64::from(share)).collect();
        let index = psi(&expected, &counts).unwrap_or(0.0);
        if index > psi_max {
            found.push((rows.names[at].clone(), index));
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gbdt::Table;
    use crate::nightly::collect::Recorded;
    use crate::validation::folds::Life;

    fn whole() -> Collected {
        let told = Recorded {
            first_ms: 0,
            last_ms: 86_000_000,
            covered_ms: 86_000_000,
            silence_ms: 2_000,
            silence_after_ms: 5_000,
            trades: 100,
            trades_missing: 0,
        };
        Collected {
            day: "1970-01-01".to_owned(),
            until_ms: 86_400_000,
            span_ms: 86_400_000,
            symbols: [("BTCUSDT".to_owned(), told)].into(),
            ..Collected::default()
        }
    }

    #[test]
    fn each_blemish_of_a_day_is_named_by_the_key_it_offends() {
        let check = Check::default();
        assert!(day(&whole(), &[], &check).is_empty());
        let with = |change: fn(&mut Recorded)| {
            let mut facts = whole();
            facts.symbols.values_mut().for_each(change);
            day(&facts, &[], &check)
        };
        let only = |found: Vec<String>, told: &str| {
            assert!(found.len() == 1 && found[0].contains(told), "{found:?}");
        };
        only(with(|told| told.silence_ms = 61_000), "check.gap_s_max: nothing of BTCUSDT for 61 s");
        only(with(|told| told.covered_ms /= 2), "check.coverage_min: 0.4977");
        only(with(|told| told.trades_missing = 101), "check.trades_missing_max: 101");
        only(with(|told| told.trades = 0), "nothing was recorded");
        let damaged = Collected { damage: vec!["7: a hole".to_owned()], ..whole() };
        only(day(&damaged, &[], &check), "journal 7: a hole");
        let replay = |differences| Replayed {
            manifest_sha256: String::new(),
            records: 9,
            differences,
            first: Some("record 4".to_owned()),
        };
        let said = |replay| day(&whole(), &[("0000001-paper".to_owned(), replay)], &check);
        assert!(said(Ok(Some(replay(0)))).is_empty() && said(Ok(None)).is_empty());
        only(said(Ok(Some(replay(1)))), "features: 1 of 9 records of 0000001-paper");
        only(said(Err("no model".to_owned())), "cannot be computed again: no model");
    }

    /// A hundred rows of the first day and a hundred of the second, three minutes apart, each known
    /// after `life_ms`; `moved` is added to the first feature on the second day.
    fn rows(life_ms: i64, moved: f32) -> Rows {
        let mut rows = Rows { names: vec!["a".into(), "b".into()], ..Rows::default() };
        for at in 0..200_i64 {
            let from = at / 100 * 86_400_000 + at % 100 * 180_000;
            rows.lives.push(Life { from, until: from + life_ms });
            rows.symbols.push(0);
            let value = (at % 100) as f32;
            rows.table.values.extend([value + if at < 100 { 0.0 } else { moved }, value]);
            rows.table.targets.push(0.0);
        }
        rows.table = Table { features: 2, ..rows.table };
        rows
    }

    #[test]
    fn labels_that_overlap_count_once_and_a_day_of_its_own_is_told() {
        assert_eq!(independent(&rows(180_000, 0.0)), 200);
        assert_eq!(independent(&rows(180_001, 0.0)), 100);
        let check = Check { labels_min: 200.0, drifted_frac_max: 0.4, ..Check::default() };
        assert!(window(&rows(180_000, 0.0), Day(1), &check).is_empty());
        let few = window(&rows(180_001, 0.0), Day(1), &check);
        assert!(few[0].starts_with("check.labels_min: 100 labels"), "{few:?}");
        let other = window(&rows(180_000, 1_000.0), Day(1), &check);
        assert!(other.len() == 1 && other[0].contains("0.50 of the features"), "{other:?}");
        assert!(other[0].contains("a ") && !other[0].contains("b "), "{other:?}");
    }
}
