//! Puts every broken body of a function beside its own, chosen by a number at run time.

use super::sites::{Function, Mutant};
use anyhow::{Context, Result};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// The switch: read once, from the environment.
const SWITCH: &str = "
/// The number of the mutant in force; 0 for none.
pub(crate) fn mutant() -> usize {
    static NUMBER: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let read = || std::env::var(\"MUTANT\").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    *NUMBER.get_or_init(read)
}
";

/// The file with all bodies. Mutants are numbered from 1 in the order of `all`.
pub fn weave(text: &str, functions: &[Function], all: &[Mutant]) -> String {
    let mut woven = String::with_capacity(text.len() * 8);
    let mut at = 0;
    for function in functions.iter().filter(|function| !function.mutants.is_empty()) {
        let (start, end) = function.body;
        match function.constant {
            Some(word) => {
                woven.push_str(&text[at..word]);
                woven.push_str(&text[word + "const ".len()..start]);
            }
            None => woven.push_str(&text[at..start]),
        }
        let body = &text[start..end];
        woven.push_str("    match crate::base::mutant() {\n");
        for mutant in &function.mutants {
            let number = all.iter().position(|m| m.name == mutant.name).map_or(0, |i| i + 1);
            let (from, to) = mutant.range;
            let (before, after) = (&body[..from], &body[to..]);
            // Writing to a String never fails.
            let _ = writeln!(woven, "{number} => {{\n{before}{}{after}}}", mutant.with);
        }
        let _ = writeln!(woven, "_ => {{\n{body}}}\n}}");
        at = end;
    }
    woven.push_str(&text[at..]);
    woven
}

/// Adds the switch to the room everything may import.
pub fn add_switch(path: &Path) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    if !text.contains("fn mutant()") {
        fs::write(path, format!("{text}{SWITCH}"))?;
    }
    Ok(())
}
