//! Compares two JSON values by keys, JSON types and the form of texts; never by their content.
//!
//! Lists are compared by what their elements have in common: all elements of a list are laid over
//! each other first. Lists inside lists are rows, compared place by place.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// How far the sample is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// As the venue sent it: the form of numbers counts.
    Sent,
    /// An illustration: its numbers are made up, so a whole number may stand for a decimal.
    Illustrated,
}

/// Form of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// `null`.
    Null,
    /// `true`, `false`.
    Flag,
    /// `12`.
    Whole,
    /// `0.5`.
    Fraction,
    /// `""`.
    Empty,
    /// `"12"`.
    WholeText,
    /// `"0.50"`.
    DecimalText,
    /// `"3c66…"`, 32 digits or more.
    HexText,
    /// `"BTCUSDT"`.
    Word,
}

#[derive(Clone, Debug)]
enum Shape {
    Scalar(BTreeSet<Form>),
    Row(Vec<Shape>),
    /// `None` where nothing is in it.
    List(Option<Box<Shape>>),
    Object(BTreeMap<String, Shape>),
    /// Elements of one list that are of different kinds.
    Mixed,
}

/// Where `ours` has another shape than `real`: `path: what`. Keys in either and not in the other,
/// other types, other forms.
pub fn differences(ours: &Value, real: &Value, trust: Trust) -> Vec<String> {
    let mut out = Vec::new();
    compare(&shape(ours, false), &shape(real, false), trust, "", &mut out);
    out
}

/// The form of a text.
pub fn form_of(text: &str) -> Form {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let plain = text.trim().strip_prefix('-').unwrap_or(text.trim());
    match plain.split_once('.') {
        _ if text.is_empty() => Form::Empty,
        None if digits(plain) => Form::WholeText,
        Some((whole, rest)) if digits(whole) && digits(rest) => Form::DecimalText,
        _ if text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => Form::HexText,
        _ => Form::Word,
    }
}

fn shape(value: &Value, inside_list: bool) -> Shape {
    let scalar = |form| Shape::Scalar(BTreeSet::from([form]));
    match value {
        Value::Null => scalar(Form::Null),
        Value::Bool(_) => scalar(Form::Flag),
        Value::Number(number) if number.is_f64() => scalar(Form::Fraction),
        Value::Number(_) => scalar(Form::Whole),
        Value::String(text) => scalar(form_of(text)),
        Value::Array(items) if inside_list => {
            Shape::Row(items.iter().map(|item| shape(item, true)).collect())
        }
        Value::Array(items) => {
            let shapes = items.iter().map(|item| shape(item, true));
            Shape::List(shapes.reduce(overlay).map(Box::new))
        }
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| (key.clone(), shape(value, false));
            Shape::Object(members.iter().map(member).collect())
        }
    }
}

fn overlay(one: Shape, other: Shape) -> Shape {
    match (one, other) {
        (Shape::Scalar(a), Shape::Scalar(b)) => Shape::Scalar(a.union(&b).copied().collect()),
        (Shape::Row(a), Shape::Row(b)) if a.len() == b.len() => {
            Shape::Row(a.into_iter().zip(b).map(|(a, b)| overlay(a, b)).collect())
        }
        (Shape::List(a), Shape::List(b)) => Shape::List(match (a, b) {
            (Some(a), Some(b)) => Some(Box::new(overlay(*a, *b))),
            (a, b) => a.or(b),
        }),
        (Shape::Object(mut a), Shape::Object(b)) => {
            for (key, shape) in b {
                let merged = match a.remove(&key) {
                    Some(own) => overlay(own, shape),
                    None => shape,
                };
                a.insert(key, merged);
            }
            Shape::Object(a)
        }
        _ => Shape::Mixed,
    }
}

fn compare(ours: &Shape, real: &Shape, trust: Trust, path: &str, out: &mut Vec<String>) {
    match (ours, real) {
        (Shape::Scalar(ours), Shape::Scalar(real)) => {
            let fits = |form: &Form| {
                let number = [Form::WholeText, Form::DecimalText];
                let loose = trust == Trust::Illustrated && number.contains(form);
                real.contains(form) || loose && number.iter().any(|form| real.contains(form))
            };
            if !ours.iter().all(fits) {
                out.push(format!("{path}: {ours:?} instead of {real:?}"));
            }
        }
        (Shape::Row(ours), Shape::Row(real)) if ours.len() == real.len() => {
            for (place, (ours, real)) in ours.iter().zip(real).enumerate() {
                compare(ours, real, trust, &format!("{path}[{place}]"), out);
            }
        }
        (Shape::List(ours), Shape::List(real)) => {
            // An empty list says nothing of what would be in it.
            if let (Some(ours), Some(real)) = (ours, real) {
                compare(ours, real, trust, &format!("{path}[]"), out);
            }
        }
        (Shape::Object(ours), Shape::Object(real)) => {
            for key in real.keys().filter(|key| !ours.contains_key(*key)) {
                out.push(format!("{path}.{key}: missing"));
            }
            for (key, ours) in ours {
                match real.get(key) {
                    Some(real) => compare(ours, real, trust, &format!("{path}.{key}"), out),
                    None => out.push(format!("{path}.{key}: added")),
                }
            }
        }
        _ => out.push(format!("{path}: of another kind")),
    }
}

/// Folder of recorded and documented payloads; `None` where it is absent.
pub fn data_dir() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let dir = std::env::var_os("PEREGRINE_DATA").map_or(beside, PathBuf::from);
    dir.is_dir().then_some(dir)
}

/// Reads a JSON file, packed or not.
pub fn sample(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let is_packed = path.extension().is_some_and(|ext| ext == "gz");
    let parsed = if is_packed {
        serde_json::from_reader(flate2::read::MultiGzDecoder::new(&bytes[..]))
    } else {
        serde_json::from_slice(&bytes)
    };
    parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_comparer_finds_each_kind_of_difference() {
    let real = serde_json::json!({
        "id": 1, "px": "0.50", "on": true, "none": "", "rows": [[1, "2.0"], [2, "3.0"]],
        "list": [{"a": 1}, {"a": 2, "b": "x"}],
    });
    assert!(differences(&real, &real, Trust::Sent).is_empty());
    let ours = serde_json::json!({
        "id": "1", "px": "5", "on": true, "rows": [["1", "2.0"]], "list": [{"a": 1.5}], "new": 1,
    });
    let found = differences(&ours, &real, Trust::Sent);
    let starts: Vec<&str> = found.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(starts, [".none", ".id", ".list[].b", ".list[].a", ".new", ".px", ".rows[][0]"]);
    let found = differences(&ours, &real, Trust::Illustrated);
    assert!(!found.iter().any(|line| line.starts_with(".px")));
    let forms = ["", "12", "-1.5", "a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4", "BTCUSDT", "1.2.3"];
    let forms = forms.map(form_of);
    let (whole, decimal) = (Form::WholeText, Form::DecimalText);
    assert_eq!(forms, [Form::Empty, whole, decimal, Form::HexText, Form::Word, Form::Word]);
}
