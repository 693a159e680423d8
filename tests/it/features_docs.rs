//! `docs/FEATURES.md` is the schema.

use peregrine::features::{FEATURE_COUNT, Feature, Input, SCHEMA, WarmUp, index_of, schema_hash};

fn line(index: usize) -> String {
    let spec = &SCHEMA[index];
    let inputs: Vec<&str> =
        Input::ALL.into_iter().filter(|i| spec.inputs.has(*i)).map(Input::name).collect();
    let inputs = if inputs.is_empty() { "time".to_string() } else { inputs.join(", ") };
    let warm_up = match spec.warm_up {
        WarmUp::Bars(1) => "1 bar".to_string(),
        WarmUp::Bars(n) => format!("{n} bars"),
        WarmUp::Events(1) => "1 event".to_string(),
        WarmUp::Events(0) => "none".to_string(),
        WarmUp::Events(n) => format!("{n} events"),
        WarmUp::Seconds(n) => format!("{n} s"),
    };
    let (name, unit, formula) = (spec.name, spec.unit, spec.formula);
    format!("| {index} | `{name}` | {unit} | `{formula}` | {inputs} | {warm_up} |")
}

#[test]
fn the_documented_table_is_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/FEATURES.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table = text.split("## Table").nth(1).unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|l| l.starts_with("| ") && l.contains('`')).collect();
    let want: Vec<String> = (0..FEATURE_COUNT).map(line).collect();
    for (row, want) in rows.iter().zip(&want) {
        assert_eq!(row, want);
    }
    assert_eq!(rows.len(), want.len(), "lines of the table");
    let hash = format!("`{:016x}`", schema_hash());
    assert!(text.contains(&hash), "the schema's hash is {hash}");
}

#[test]
fn names_are_unique_and_lead_back_to_their_place() {
    for (i, spec) in SCHEMA.iter().enumerate() {
        assert_eq!(index_of(spec.name), Some(i));
        let tidy = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(spec.name.chars().all(tidy), "{}", spec.name);
    }
    assert_eq!(index_of("sma_20"), None);
    assert_eq!(Feature::HourCos.spec().name, "hour_cos");
}
