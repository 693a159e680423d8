//! Fault scripts: TOML files with `[[fault]]` tables, and the same tables as JSON objects.

use super::kind::{Kind, Point, ROWS};
use super::target::Target;
use crate::base::Nanos;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Faults a script may hold.
const FAULTS_MAX: usize = 1_000;
/// Times in scripts end here: a hundred years after the opening.
const MS_MAX: i64 = 100 * 365 * 86_400_000;
const KEYS: [&str; 8] = ["kind", "target", "at", "from", "until", "every", "probability", "count"];

/// One fault as asked for. Times count from the opening.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: Kind,
    /// What it is aimed at.
    pub target: Target,
    /// From when on it may strike.
    pub from: Nanos,
    /// Until when; `None` for good.
    pub until: Option<Nanos>,
    /// It was asked for at a time rather than from one on: connections are struck at that time
    /// whether or not something passes.
    pub at: bool,
    /// Time between strokes of what begins at a time; `None` strikes once.
    pub every: Option<Nanos>,
    /// How likely it strikes what it fits, 0 to 1.
    pub probability: f64,
    /// How often it strikes at most.
    pub count: u64,
    /// Its numbers, in the order of the table of kinds.
    pub numbers: Vec<i64>,
    /// Its texts.
    pub texts: BTreeMap<&'static str, String>,
}

impl Fault {
    /// From one table. `now` is the time since the opening, for what names no time.
    ///
    /// # Errors
    /// Every problem, each naming its key.
    pub fn parse(table: &Map<String, Value>, now: Nanos) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let name = table.get("kind").and_then(Value::as_str).unwrap_or("");
        let Some(kind) = Kind::parse(name) else {
            let known: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            problems.push(format!("kind: {name:?} is none of {}", known.join(", ")));
            return Err(problems);
        };
        let row = kind.row();
        let numbers = row.numbers.iter().map(|number| number.key);
        let own: Vec<&str> = numbers.chain(row.texts.iter().copied()).collect();
        for key in table.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            if !own.contains(&key.as_str()) {
                let known = KEYS.into_iter().chain(own.iter().copied()).collect::<Vec<_>>();
                problems.push(format!("{key}: unknown key of {name}; known: {}", known.join(", ")));
            }
        }
        let target = match table.get("target") {
            Some(value) => Target::parse(value, &mut problems),
            None => Target::default(),
        };
        let at = time(table, "at", &mut problems);
        let from = time(table, "from", &mut problems);
        let until = time(table, "until", &mut problems);
        if at.is_some() && from.is_some() {
            problems.push("at: stands beside from; keep one".to_owned());
        }
        let start = at.or(from).unwrap_or(now);
        if until.is_some_and(|until| until <= start) {
            problems.push("until: must be after the beginning".to_owned());
        }
        let every = time(table, "every", &mut problems).filter(|every| every.0 > 0);
        let numbers = row.numbers.iter().map(|number| {
            let (min, max) = number.range;
            let given = table.get(number.key).map(|value| int(value, min, max));
            match given.unwrap_or_else(|| number.default.ok_or(())) {
                Ok(value) => value,
                Err(()) => {
                    let key = number.key;
                    problems.push(format!("{key}: a whole number from {min} to {max} is needed"));
                    0
                }
            }
        });
        let numbers = numbers.collect();
        let texts = texts(row.texts, table, &mut problems);
        let once = at.is_some() && !kind.row().point.is_of_state();
        let fault = Self {
            kind,
            target,
            from: start,
            until,
            at: at.is_some(),
            every,
            probability: probability(table, &mut problems),
            count: count(table, once || kind.is_once() && every.is_none(), &mut problems),
            numbers,
            texts,
        };
        if problems.is_empty() { Ok(fault) } else { Err(problems) }
    }

    /// As a table, with everything that was left out.
    pub fn to_json(&self) -> Value {
        let row = self.kind.row();
        let mut table = Map::new();
        table.insert("kind".to_owned(), json!(row.name));
        table.insert("target".to_owned(), json!(format!("{:?}", self.target)));
        table.insert("from".to_owned(), json!(self.from.to_millis()));
        table.insert("until".to_owned(), json!(self.until.map(Nanos::to_millis)));
        table.insert("probability".to_owned(), json!(self.probability));
        let count = (self.count != u64::MAX).then_some(self.count);
        table.insert("count".to_owned(), json!(count));
        for (number, value) in row.numbers.iter().zip(&self.numbers) {
            table.insert(number.key.to_owned(), json!(value));
        }
        for (key, text) in &self.texts {
            table.insert((*key).to_owned(), json!(text));
        }
        Value::Object(table)
    }
}

impl Point {
    /// True for what is so while it lasts.
    pub const fn is_of_state(self) -> bool {
        matches!(self, Self::State)
    }
}

/// Reads a script.
///
/// # Errors
/// Every problem, each naming the fault's number and the key.
pub fn parse(text: &str) -> Result<Vec<Fault>, Vec<String>> {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => return Err(vec![error.to_string()]),
    };
    let value = serde_json::to_value(&table).unwrap_or_default();
    let mut problems = Vec::new();
    let mut faults = Vec::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        let (true, Some(list)) = (key == "fault", value.as_array()) else {
            problems.push(format!("{key}: unknown key; a script holds [[fault]] tables"));
            continue;
        };
        if list.len() > FAULTS_MAX {
            problems.push(format!("fault: {} tables; {FAULTS_MAX} are allowed", list.len()));
        }
        for (i, table) in list.iter().take(FAULTS_MAX).enumerate() {
            let Some(table) = table.as_object() else {
                problems.push(format!("fault[{i}]: must be a table"));
                continue;
            };
            match Fault::parse(table, Nanos::ZERO) {
                Ok(fault) => faults.push(fault),
                Err(found) => problems.extend(found.iter().map(|p| format!("fault[{i}].{p}"))),
            }
        }
    }
    if problems.is_empty() { Ok(faults) } else { Err(problems) }
}

fn int(value: &Value, min: i64, max: i64) -> Result<i64, ()> {
    value.as_i64().filter(|value| (min..=max).contains(value)).ok_or(())
}

fn time(table: &Map<String, Value>, key: &str, problems: &mut Vec<String>) -> Option<Nanos> {
    match int(table.get(key)?, 0, MS_MAX) {
        Ok(ms) => Some(Nanos::from_millis(ms)),
        Err(()) => {
            problems.push(format!("{key}: must be whole milliseconds since the opening"));
            None
        }
    }
}

fn probability(table: &Map<String, Value>, problems: &mut Vec<String>) -> f64 {
    let given = table.get("probability").map_or(Some(1.0), Value::as_f64);
    given.filter(|p| (0.0..=1.0).contains(p)).unwrap_or_else(|| {
        problems.push("probability: must be from 0 to 1".to_owned());
        0.0
    })
}

fn count(table: &Map<String, Value>, once: bool, problems: &mut Vec<String>) -> u64 {
    let Some(value) = table.get("count") else { return if once { 1 } else { u64::MAX } };
    value.as_u64().filter(|count| *count > 0).unwrap_or_else(|| {
        problems.push("count: must be a whole number from 1".to_owned());
        0
    })
}

fn texts(
    keys: &'static [&'static str],
    table: &Map<String, Value>,
    problems: &mut Vec<String>,
) -> BTreeMap<&'static str, String> {
    let mut texts = BTreeMap::new();
    for key in keys.iter().copied() {
        match table.get(key).and_then(Value::as_str) {
            Some(text) => {
                texts.insert(key, text.to_owned());
            }
            None => problems.push(format!("{key}: a text is needed")),
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_gives_every_fault_with_what_was_left_out() {
        let text = r#"
            [[fault]]
            kind = "delay"
            target = { on = "rest", method = "POST" }
            from = 1000
            until = 2000
            ms = 250
            probability = 0.5

            [[fault]]
            kind = "halt"
            symbol = "BTCUSDT"
            from = 500
            until = 900
        "#;
        let faults = parse(text).unwrap();
        assert_eq!(faults.len(), 2);
        let delay = &faults[0];
        assert_eq!((delay.kind, delay.numbers.as_slice()), (Kind::Delay, &[250, 0][..]));
        assert_eq!((delay.from, delay.until), (ms(1_000), Some(ms(2_000))));
        assert_eq!((delay.probability, delay.count), (0.5, u64::MAX));
        assert_eq!(faults[1].texts["symbol"], "BTCUSDT");
    }

    fn ms(ms: i64) -> Nanos {
        Nanos::from_millis(ms)
    }

    #[test]
    fn every_mistake_is_told_at_once_and_names_its_key() {
        let text = "
            [[fault]]
            kind = 'delay'
            mss = 3
            probability = 2
            [[fault]]
            kind = 'no_such'
            [[fault]]
            kind = 'halt'
            from = 5
            until = 5
            count = 0
        ";
        let problems = parse(text).unwrap_err();
        let starts = [
            "fault[0].mss: unknown key",
            "fault[0].ms: a whole number",
            "fault[0].probability: must be",
            "fault[1].kind: \"no_such\" is none of",
            "fault[2].until: must be after",
            "fault[2].symbol: a text",
            "fault[2].count: must be",
        ];
        for start in starts {
            assert!(problems.iter().any(|p| p.starts_with(start)), "{start}: {problems:#?}");
        }
        assert_eq!(problems.len(), starts.len(), "{problems:#?}");
        assert!(parse("x = 1").unwrap_err()[0].starts_with("x: unknown key"));
        assert!(parse("[[fault").is_err());
    }

    #[test]
    fn the_table_of_kinds_names_each_once_and_holds_sound_numbers() {
        let mut names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
        for row in ROWS {
            assert_eq!(Kind::parse(row.name), Some(row.kind));
            assert_eq!(row.kind.row(), row, "{} stands twice", row.name);
            for number in row.numbers {
                let (min, max) = number.range;
                let fits = number.default.is_none_or(|value| (min..=max).contains(&value));
                assert!(min < max && fits, "{}.{}", row.name, number.key);
                assert!(!KEYS.contains(&number.key), "{}.{}", row.name, number.key);
            }
        }
    }
}
