//! Reads one TOML table key by key and keeps every error, so that a file is judged whole.

use super::SettingsError;
use crate::base::ids::Symbol;
use crate::base::units::{Money, Px, Qty, Rate};
use toml::{Table, Value};

/// A table being read. Keys are taken out as they are read; what is left at the end is unknown.
pub struct Section<'e> {
    path: String,
    table: Table,
    /// Every key that was asked for, whether it is there or not: the schema.
    asked: Vec<String>,
    errors: &'e mut Vec<SettingsError>,
}

impl<'e> Section<'e> {
    /// Starts on `table`, found at `path` (empty for the document).
    pub fn new(path: &str, table: Table, errors: &'e mut Vec<SettingsError>) -> Self {
        Self { path: path.to_owned(), table, asked: Vec::new(), errors }
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.asked.push(key.to_owned());
        self.table.remove(key)
    }

    /// Every key asked for so far.
    pub fn asked(&self) -> &[String] {
        &self.asked
    }

    /// Records that `key` is wrong.
    pub fn fail(&mut self, key: &str, what: impl Into<String>) {
        let key = self.key_path(key);
        self.errors.push(SettingsError { key, what: what.into() });
    }

    /// The sub-table `key`, empty when absent.
    pub fn table(&mut self, key: &str) -> (String, Table) {
        let path = self.key_path(key);
        match self.take(key) {
            None => (path, Table::new()),
            Some(Value::Table(table)) => (path, table),
            Some(other) => {
                self.fail(key, format!("must be a table, not {}", other.type_str()));
                (path, Table::new())
            }
        }
    }

    /// The array of tables `key`, empty when absent.
    pub fn tables(&mut self, key: &str) -> Vec<(String, Table)> {
        let path = self.key_path(key);
        let Some(value) = self.take(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.fail(key, "must be an array of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            match item {
                Value::Table(table) => tables.push((format!("{path}[{i}]"), table)),
                other => self.fail(key, format!("item {i} is {}, not a table", other.type_str())),
            }
        }
        tables
    }

    /// Every key that is left as a symbol, with its value: of a table whose keys are symbols.
    pub fn by_symbol<T>(
        &mut self,
        value: impl Fn(&mut Self, &str) -> Option<T>,
    ) -> Vec<(Symbol, T)> {
        let names: Vec<String> = self.table.keys().cloned().collect();
        let mut found = Vec::new();
        for name in &names {
            match (Symbol::new(name.to_uppercase().as_bytes()), value(self, name)) {
                (Some(symbol), Some(value)) => found.push((symbol, value)),
                (None, _) => self.fail(name, "is no symbol"),
                // The value at fault has been named.
                (Some(_), None) => {}
            }
        }
        found
    }

    /// Reports every key not read.
    pub fn finish(self) {
        for key in self.table.keys() {
            let key =
                if self.path.is_empty() { key.clone() } else { format!("{}.{key}", self.path) };
            self.errors.push(SettingsError { key, what: "unknown key".to_owned() });
        }
    }

    fn required<T: Default>(&mut self, key: &str, value: Option<T>) -> T {
        value.unwrap_or_else(|| {
            let missing = !self.errors.iter().any(|e| e.key == self.key_path(key));
            if missing {
                self.fail(key, "missing");
            }
            T::default()
        })
    }

    /// A text, if present.
    pub fn text_opt(&mut self, key: &str) -> Option<String> {
        match self.take(key)? {
            Value::String(text) => Some(text),
            other => {
                self.fail(key, format!("must be a text, not {}", other.type_str()));
                None
            }
        }
    }

    /// A required text.
    pub fn text(&mut self, key: &str) -> String {
        let value = self.text_opt(key);
        self.required(key, value)
    }

    /// A text out of `allowed`.
    pub fn choice<T: Copy>(&mut self, key: &str, allowed: &[(&str, T)], default: T) -> T {
        let Some(text) = self.text_opt(key) else { return default };
        if let Some((_, value)) = allowed.iter().find(|(name, _)| *name == text) {
            return *value;
        }
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        self.fail(key, format!("{text:?} is none of {}", names.join(", ")));
        default
    }

    /// A truth value, or the default.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(value)) => value,
            Some(other) => {
                self.fail(key, format!("must be true or false, not {}", other.type_str()));
                default
            }
        }
    }

    /// An integer within `range`, if present.
    pub fn integer_opt(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        match self.take(key)? {
            Value::Integer(value) if range.contains(&value) => Some(value),
            Value::Integer(value) => {
                let (low, high) = (range.start(), range.end());
                self.fail(key, format!("{value} is outside {low} to {high}"));
                None
            }
            other => {
                self.fail(key, format!("must be an integer, not {}", other.type_str()));
                None
            }
        }
    }

    /// A required integer within `range`.
    pub fn integer(&mut self, key: &str, range: std::ops::RangeInclusive<i64>) -> i64 {
        let value = self.integer_opt(key, range);
        self.required(key, value)
    }

    /// An unsigned integer within `range`, if present. The range lies within `u32`.
    pub fn u32_opt(&mut self, key: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
        let range = i64::from(*range.start())..=i64::from(*range.end());
        self.integer_opt(key, range).and_then(|v| u32::try_from(v).ok())
    }

    /// A required unsigned integer within `range`.
    pub fn u32(&mut self, key: &str, range: std::ops::RangeInclusive<u32>) -> u32 {
        let value = self.u32_opt(key, range);
        self.required(key, value)
    }

    /// A number within `range`, if present.
    pub fn number_opt(&mut self, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let value = match self.take(key)? {
            Value::Float(value) => value,
            Value::Integer(value) => value as f64,
            other => {
                self.fail(key, format!("must be a number, not {}", other.type_str()));
                return None;
            }
        };
        if range.contains(&value) {
            return Some(value);
        }
        let (low, high) = (range.start(), range.end());
        self.fail(key, format!("{value} is outside {low} to {high}"));
        None
    }

    /// A required number within `range`.
    pub fn number(&mut self, key: &str, range: std::ops::RangeInclusive<f64>) -> f64 {
        let value = self.number_opt(key, range);
        self.required(key, value)
    }

    /// A number within `range`, or the default.
    pub fn number_or(
        &mut self,
        key: &str,
        range: std::ops::RangeInclusive<f64>,
        default: f64,
    ) -> f64 {
        if self.table.contains_key(key) {
            return self.number(key, range);
        }
        self.asked.push(key.to_owned());
        default
    }

    /// Reports every one of `keys` that is not there.
    pub fn require(&mut self, keys: &[&str]) {
        for key in keys {
            if !self.table.contains_key(*key) {
                self.fail(key, "missing");
            }
        }
    }

    /// A decimal written as a text (`"0.10"`), so that no float ever touches money.
    fn decimal_opt(&mut self, key: &str) -> Option<i64> {
        let text = match self.take(key)? {
            Value::String(text) => text,
            Value::Integer(value) => value.to_string(),
            other => {
                let kind = other.type_str();
                self.fail(key, format!("must be a decimal in quotes (\"0.10\"), not {kind}"));
                return None;
            }
        };
        match crate::base::units::parse_fixed(text.as_bytes()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(key, format!("{text:?}: {error}"));
                None
            }
        }
    }

    fn positive_opt(&mut self, key: &str) -> Option<i64> {
        let value = self.decimal_opt(key)?;
        if value > 0 {
            return Some(value);
        }
        self.fail(key, "must be above zero");
        None
    }

    /// A price above zero, if present.
    pub fn px_opt(&mut self, key: &str) -> Option<Px> {
        self.positive_opt(key).map(Px)
    }

    /// A quantity above zero, if present.
    pub fn qty_opt(&mut self, key: &str) -> Option<Qty> {
        self.positive_opt(key).map(Qty)
    }

    /// An amount above zero, if present.
    pub fn money_opt(&mut self, key: &str) -> Option<Money> {
        self.positive_opt(key).map(Money)
    }

    /// A required amount above zero.
    pub fn money(&mut self, key: &str) -> Money {
        let value = self.money_opt(key);
        self.required(key, value)
    }

    /// A rate within ±1, if present.
    pub fn rate_opt(&mut self, key: &str) -> Option<Rate> {
        let value = self.decimal_opt(key)?;
        if value.abs() <= crate::base::units::SCALE {
            return Some(Rate(value));
        }
        self.fail(key, "must lie within -1 and 1 (a fraction, not a percentage)");
        None
    }

    /// A list of symbols, empty when absent.
    pub fn symbols(&mut self, key: &str) -> Vec<Symbol> {
        let mut symbols = Vec::new();
        for text in self.texts(key) {
            match Symbol::new(text.to_uppercase().as_bytes()) {
                Some(symbol) if symbols.contains(&symbol) => {
                    self.fail(key, format!("{symbol} stands twice"));
                }
                Some(symbol) => symbols.push(symbol),
                None => self.fail(key, format!("{text:?} is no symbol")),
            }
        }
        symbols
    }

    /// A list of integers within `range`, empty when absent. The range lies within `u32`.
    pub fn numbers(&mut self, key: &str, range: std::ops::RangeInclusive<u32>) -> Vec<u32> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.fail(key, "must be a list of integers");
            return Vec::new();
        };
        let mut numbers = Vec::new();
        for item in items {
            let number = item.as_integer().and_then(|number| u32::try_from(number).ok());
            match number.filter(|number| range.contains(number)) {
                Some(number) => numbers.push(number),
                None => {
                    let (low, high) = (range.start(), range.end());
                    self.fail(key, format!("holds {item}, no integer from {low} to {high}"));
                }
            }
        }
        numbers
    }

    /// A table of texts as names and texts, in the order of the names; empty when absent.
    pub fn named_texts(&mut self, key: &str) -> Vec<(String, String)> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Value::Table(table) = value else {
            self.fail(key, format!("must be a table of texts, not {}", value.type_str()));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (name, value) in table {
            match value {
                Value::String(text) => texts.push((name, text)),
                other => {
                    self.fail(key, format!("{name}: holds {}, not a text", other.type_str()));
                }
            }
        }
        texts
    }

    /// A list of texts, empty when absent.
    pub fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let Value::Array(items) = value else {
            self.fail(key, "must be a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            match item {
                Value::String(text) => texts.push(text),
                other => self.fail(key, format!("holds {}, not a text", other.type_str())),
            }
        }
        texts
    }
}
