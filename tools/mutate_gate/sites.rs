//! Where a function can be broken, and how.
//!
//! | operator | from | to |
//! |---|---|---|
//! | bound | `<`, `<=`, `>`, `>=` | the one that differs at the bound |
//! | equal | `==`, `!=` | each other |
//! | logic | `&&`, `\|\|` | each other |
//! | sum | `+`, `-` | each other |
//! | extreme | `.min(`, `.max(` | each other |
//! | number | a whole number | one more |
//! | step | what a move of an order's state is called | another name |
//! | truth | `true`, `false` | each other |
//! | negate | `if c {` | `if !(c) {` |
//! | early | the body of what answers, tells or decides | its most lenient answer |
//! | drop | a statement on one line | nothing |
//! | check | each check that a function named `ask…` tells apart | passed |

use std::collections::HashMap;

/// One way of breaking a function.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// File, function, operator, and the how-manieth of its kind there, with the text.
    pub name: String,
    /// What is replaced in the function's body; an empty range inserts.
    pub range: (usize, usize),
    /// With what.
    pub with: String,
}

/// A function of a file.
#[derive(Clone, Debug)]
pub struct Function {
    /// Its number among all that are broken; [`functions`] leaves 0.
    pub number: usize,
    /// Of `const fn`: where the word stands in the file; a switch is no constant.
    pub constant: Option<usize>,
    /// Of a function that answers with some iterator: where its type stands in the file, and the
    /// type that all of its bodies can have.
    pub boxed: Option<((usize, usize), String)>,
    /// Body in the file, without its braces.
    pub body: (usize, usize),
    /// How it is broken.
    pub mutants: Vec<Mutant>,
}

/// Swaps of one text for another: operator, from, to.
const SWAPS: [(&str, &str, &str); 17] = [
    ("bound", " < ", " <= "),
    ("bound", " <= ", " < "),
    ("bound", " > ", " >= "),
    ("bound", " >= ", " > "),
    ("equal", " == ", " != "),
    ("equal", " != ", " == "),
    ("logic", " && ", " || "),
    ("logic", " || ", " && "),
    ("sum", " + ", " - "),
    ("sum", " - ", " + "),
    ("extreme", ".min(", ".max("),
    ("extreme", ".max(", ".min("),
    ("step", " quiet(", " astray("),
    ("step", " late(", " quiet("),
    ("step", " astray(", " quiet("),
    ("truth", "true", "false"),
    ("truth", "false", "true"),
];

/// What a function of this result says when it returns early.
const EARLY: [(&str, &str); 13] = [
    ("-> Answer", "return Ok(Margin::Wide);"),
    ("-> Result<()", "return Ok(());"),
    ("-> Result<i128", "return Ok(0);"),
    ("-> Result<Money", "return Ok(Money::ZERO);"),
    ("-> bool", "return true;"),
    ("-> Option<", "return None;"),
    ("-> Option<()>", "return Some(());"),
    ("-> Money", "return Money::ZERO;"),
    ("-> Qty", "return Qty::ZERO;"),
    ("-> i64", "return 0;"),
    ("-> u64", "return 0;"),
    ("-> i128", "return 0;"),
    ("-> u32", "return 0;"),
];

/// Functions that constants are made with: no switch can be in them.
const LEFT_ALONE: [(&str, &str); 3] = [
    ("src/base/time.rs", "from_millis"),
    ("src/base/time.rs", "from_secs"),
    ("src/base/time.rs", "to_millis"),
];

/// Every function of a file outside of its tests, with what can be broken in it.
pub fn functions(file: &str, text: &str) -> Vec<Function> {
    let masked = mask(text);
    let end = masked.find("#[cfg(test)]\nmod tests {").unwrap_or(masked.len());
    let mut found = Vec::new();
    let mut namesakes = HashMap::new();
    let mut at = 0;
    for line in masked[..end].split_inclusive('\n') {
        let start = at;
        at += line.len();
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let Some(word) = signature_word(trimmed) else { continue };
        let Some(open) = masked[start..end].find("{\n").map(|i| start + i) else { continue };
        let close = format!("\n{}}}\n", " ".repeat(indent));
        let Some(shut) = masked[open..].find(&close).map(|i| open + i + 1) else { continue };
        let name = name_of(trimmed);
        // Two types of a file may each have a function of one name.
        let nth = namesakes.entry(name).and_modify(|n| *n += 1).or_insert(1);
        let told = if *nth == 1 { name.to_owned() } else { format!("{name}#{nth}") };
        let signature = &masked[start..open];
        let body = (open + 2, shut);
        let constant = word.starts_with("const").then(|| start + line.find("const ").unwrap_or(0));
        let mutants = match LEFT_ALONE.contains(&(file, name)) {
            true => Vec::new(),
            false => mutants_of(file, &told, signature, text, &masked, body),
        };
        let boxed = boxed(signature, start);
        found.push(Function { number: 0, constant, boxed, body, mutants });
    }
    found
}

/// The part of the line from which on it is a function's.
fn signature_word(line: &str) -> Option<&str> {
    let rest = ["pub(super) ", "pub(crate) ", "pub "].iter().find_map(|p| line.strip_prefix(p));
    let rest = rest.unwrap_or(line);
    (rest.starts_with("fn ") || rest.starts_with("const fn ")).then_some(rest)
}

/// Bodies of one function are of different types where its answer is some iterator.
fn boxed(signature: &str, start: usize) -> Option<((usize, usize), String)> {
    let at = signature.find("-> impl ")? + "-> ".len();
    let end = signature.trim_end().len();
    let told = &signature[at + "impl ".len()..end];
    Some(((start + at, start + end), format!("Box<dyn {told} + '_>")))
}

fn name_of(line: &str) -> &str {
    let from = line.find("fn ").map_or(0, |i| i + 3);
    let rest = &line[from..];
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(rest)
}

fn mutants_of(
    file: &str,
    function: &str,
    signature: &str,
    text: &str,
    masked: &str,
    body: (usize, usize),
) -> Vec<Mutant> {
    let inside = &masked[body.0..body.1];
    let mut made: Vec<(&str, (usize, usize), String)> = Vec::new();
    for (operator, from, to) in SWAPS {
        for (at, _) in inside.match_indices(from) {
            // As a pattern it says which of two ways is meant: without it there is only one.
            let pattern = inside[at + from.len()..].starts_with(" =>");
            let whole = is_word(inside, at, from.len()) && !pattern;
            if operator != "truth" || whole {
                made.push((operator, (at, at + from.len()), to.to_owned()));
            }
        }
    }
    made.extend(numbers(inside));
    made.extend(negations(inside));
    made.extend(dropped(inside));
    for (result, early) in EARLY {
        if signature.contains(result) {
            made.push(("early", (0, 0), format!("{early}\n")));
        }
    }
    if signature.contains("check: Check") && function.starts_with("ask") {
        for check in checks(inside) {
            let passed = format!("if check == Check::{check} {{ return Ok(Margin::Wide); }}\n");
            made.push(("check", (0, 0), passed));
        }
    }
    let mut seen = HashMap::new();
    let named = made.into_iter().map(|(operator, range, with)| {
        let shown = match operator {
            "check" | "early" => with.trim().to_owned(),
            _ => text[body.0 + range.0..body.0 + range.1].trim().to_owned(),
        };
        let shown: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        let kind = format!("{file} {function} {operator} `{shown}`");
        let nth = seen.entry(kind.clone()).and_modify(|n| *n += 1).or_insert(1);
        Mutant { name: format!("{kind} {nth}"), range, with }
    });
    named.collect()
}

/// Whole numbers that stand alone: no part of a name, of a float or of a tuple's field.
fn numbers(inside: &str) -> Vec<(&'static str, (usize, usize), String)> {
    let bytes = inside.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
            at += 1;
        }
        let digits = inside[start..at].bytes().take_while(|b| b.is_ascii_digit() || *b == b'_');
        let digits = start + digits.count();
        let value: Option<u128> = inside[start..digits].replace('_', "").parse().ok();
        let suffix = inside[digits..at].trim_start_matches('_');
        let before = if start == 0 { b' ' } else { bytes[start - 1] };
        let part = before.is_ascii_alphanumeric() || matches!(before, b'_' | b'.' | b'"' | b'\'');
        // Neither is a number of another base, which is a mask or a mixture.
        let float = suffix.starts_with(['e', 'x', 'b', 'o'])
            || bytes.get(at) == Some(&b'.')
                && bytes.get(at + 1).is_some_and(|&b| b != b'.' && !b.is_ascii_alphabetic());
        // An array's length is no value.
        let array = inside[..start].ends_with("; ") && bytes.get(at) == Some(&b']');
        if let (Some(value), false) = (value, part || float || array) {
            // One literal, for it may be a pattern.
            found.push(("number", (start, at), format!("{}{suffix}", value + 1)));
        }
    }
    found
}

fn negations(inside: &str) -> Vec<(&'static str, (usize, usize), String)> {
    let mut found = Vec::new();
    for (at, _) in inside.match_indices("if ") {
        let word = at == 0 || !inside.as_bytes()[at - 1].is_ascii_alphanumeric();
        let condition = at + 3;
        let Some(end) = inside[condition..].find(" {").map(|i| condition + i) else { continue };
        let text = &inside[condition..end];
        if word && !text.contains('\n') && !text.contains("let ") && !text.contains("=>") {
            found.push(("negate", (condition, end), format!("!({text})")));
        }
    }
    found
}

/// Statements that fill one line and are no declaration or way out.
fn dropped(inside: &str) -> Vec<(&'static str, (usize, usize), String)> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut before = "{";
    for line in inside.split_inclusive('\n') {
        let text = line.trim();
        let start = at + line.len() - line.trim_start().len();
        let begins = before.is_empty() || before.ends_with(['{', ';', '}']);
        let lawful = ["let ", "return", "break", "continue", "use ", "const "];
        let starts = text.starts_with(|c: char| c.is_alphanumeric() || c == '*' || c == '(');
        let whole = starts && text.ends_with(';');
        let plain = whole && !lawful.iter().any(|word| text.starts_with(word));
        if begins && plain && text.matches('(').count() == text.matches(')').count() {
            found.push(("drop", (start, start + text.len()), String::new()));
        }
        before = text;
        at += line.len();
    }
    found
}

/// Every check named in the text.
fn checks(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text
        .match_indices("Check::")
        .map(|(at, word)| {
            let rest = &text[at + word.len()..];
            rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or(rest)
        })
        .filter(|name| !name.is_empty() && *name != "ALL")
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn is_word(text: &str, at: usize, len: usize) -> bool {
    let part = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_alphanumeric() || *c == b'_');
    let bytes = text.as_bytes();
    !part(at.checked_sub(1).and_then(|i| bytes.get(i))) && !part(bytes.get(at + len))
}

/// The text with comments and strings blanked, byte for byte.
fn mask(text: &str) -> String {
    let mut masked: Vec<u8> = text.bytes().collect();
    let (mut at, mut quoted, mut comment) = (0, false, false);
    while at < masked.len() {
        let byte = masked[at];
        match byte {
            b'\n' => comment = false,
            _ if comment => masked[at] = b' ',
            b'\\' if quoted => {
                masked[at] = b' ';
                at += 1;
                masked[at] = b' ';
            }
            b'"' => quoted = !quoted,
            _ if quoted => masked[at] = b' ',
            b'/' if masked.get(at + 1) == Some(&b'/') => {
                comment = true;
                masked[at] = b' ';
            }
            _ => {}
        }
        at += 1;
    }
    String::from_utf8_lossy(&masked).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = "\
/// At most `a < b`.
pub(super) const fn most(value: i64, limit: i64) -> bool {
    // Not 7 < 8.
    if value <= limit.min(10) {
        return true;
    }
    count.add(\"a < b\", 1);
    value + 1 > limit || self.0.1 == 2.5
}

#[cfg(test)]
mod tests {
    fn none() -> bool {
        1 < 2
    }
}
";

    #[test]
    fn every_operator_finds_its_places_and_leaves_comments_texts_and_tests_alone() {
        let found = functions("f.rs", SAMPLE);
        assert_eq!(found.len(), 1);
        let names: Vec<&str> = found[0].mutants.iter().map(|m| &m.name[10..]).collect();
        let expected = [
            "bound `<=` 1",
            "bound `>` 1",
            "equal `==` 1",
            "logic `||` 1",
            "sum `+` 1",
            "extreme `.min(` 1",
            "truth `true` 1",
            "number `10` 1",
            "number `1` 1",
            "number `1` 2",
            "negate `value <= limit.min(10)` 1",
            "drop `count.add(\"a < b\", 1);` 1",
            "early `return true;` 1",
        ];
        assert_eq!(names, expected);
        assert!(found[0].constant.is_some());
    }

    #[test]
    fn bodies_that_answer_with_iterators_get_one_type_and_masks_and_characters_are_no_numbers() {
        // A module of tests that is only named is no end of the file.
        let text = "\
#[cfg(test)]
mod tests;

fn few(&self) -> impl Iterator<Item = &u8> {
    const MASK: u8 = 0x0f;
    self.0.iter().filter(|b| **b == b'0' && **b > MASK)
}
";
        let found = functions("f.rs", text);
        let ((from, to), kind) = found[0].boxed.clone().unwrap();
        assert_eq!(&text[from..to], "impl Iterator<Item = &u8>");
        assert_eq!(kind, "Box<dyn Iterator<Item = &u8> + '_>");
        let names: Vec<&str> = found[0].mutants.iter().map(|m| &m.name[9..]).collect();
        assert_eq!(names, ["bound `>` 1", "equal `==` 1", "logic `&&` 1"]);
    }

    #[test]
    fn what_asks_has_each_of_its_own_checks_passed() {
        let text = "\
fn ask(check: Check) -> Answer {
    match check {
        Check::Rate | Check::Capital => no(),
    }
}
";
        let found = functions("f.rs", text);
        let checks = found[0].mutants.iter().filter(|m| m.name.contains(" check "));
        let with: Vec<&str> = checks.map(|m| m.with.trim()).collect();
        let passed = |check| format!("if check == Check::{check} {{ return Ok(Margin::Wide); }}");
        assert_eq!(with, [passed("Capital"), passed("Rate")]);
    }
}
