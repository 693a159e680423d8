//! How values and times stand in the tables.

use super::database::Cell;
use jiff::Timestamp;

/// A value with the name of its kind: what is not finite is a name alone.
pub fn typed(value: f64) -> (Cell, &'static str) {
    match value {
        value if value.is_nan() => (Cell::Null, "NAN"),
        f64::INFINITY => (Cell::Null, "INF_POS"),
        f64::NEG_INFINITY => (Cell::Null, "INF_NEG"),
        value => (Cell::Real(value), "FINITE"),
    }
}

/// The value of a cell with its kind.
pub fn number_of(cell: &Cell, kind: &str) -> f64 {
    match kind {
        "INF_POS" => f64::INFINITY,
        "INF_NEG" => f64::NEG_INFINITY,
        "NAN" => f64::NAN,
        _ => cell.real().unwrap_or(f64::NAN),
    }
}

/// The time now in UTC as a column has it.
pub fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

/// Text as a JSON value.
pub fn json_text(text: &str) -> String {
    super::super::space::python_json(&serde_json::Value::String(text.to_owned()))
}
