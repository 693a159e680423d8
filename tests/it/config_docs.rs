//! Every key of every configuration file is explained by a comment directly above it.

use crate::source::files;

/// The keys of a TOML text without a comment above, with their lines. What an element of a list of
/// tables explains is explained for those below it.
fn bare_keys(text: &str) -> Vec<(usize, String)> {
    let mut bare = Vec::new();
    let (mut list, mut explained) = (None, std::collections::HashSet::new());
    let (mut above, mut depth, mut quoted) = (false, 0_i32, false);
    for (i, line) in text.lines().enumerate() {
        let line = line.trim();
        let within = depth > 0 || quoted;
        if !within && line.starts_with('[') {
            list = line.strip_prefix("[[").and_then(|line| line.strip_suffix("]]"));
        }
        let is_key = !within && !line.starts_with(['#', '[']);
        if let Some((key, _)) = line.split_once('=')
            && is_key
        {
            let place = (list, key.trim());
            if above {
                explained.insert(place);
            } else if list.is_none() || !explained.contains(&place) {
                bare.push((i + 1, key.trim().to_owned()));
            }
        }
        if line.matches("\"\"\"").count() % 2 == 1 || line.matches("'''").count() % 2 == 1 {
            quoted = !quoted;
        }
        if !quoted && !line.starts_with('#') && (within || line.contains('=')) {
            depth += brackets(line);
        }
        above = line.starts_with('#') || depth > 0 && above;
    }
    bare
}

/// Opening minus closing brackets of a line, outside of strings and comments.
fn brackets(line: &str) -> i32 {
    let mut quote = None;
    let mut sum = 0;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => break,
            (None, '[' | '{') => sum += 1,
            (None, ']' | '}') => sum -= 1,
            (None, _) => {}
        }
    }
    sum
}

#[test]
fn every_configuration_key_is_explained_where_it_stands() {
    let found = files(&["config"], ".toml");
    if found.is_empty() {
        println!("config/ holds no files yet: nothing was read");
    }
    for file in found {
        let parsed: Result<toml::Table, _> = file.text.parse();
        assert!(parsed.is_ok(), "{}: {}", file.path, parsed.unwrap_err());
        let bare = bare_keys(&file.text);
        assert!(bare.is_empty(), "{}: keys without a comment above: {bare:?}", file.path);
    }
}

#[test]
fn a_planted_bare_key_is_found() {
    let keys = |text: &str| bare_keys(text).into_iter().map(|(line, _)| line).collect::<Vec<_>>();
    assert!(keys("# Why.\na = 1\n\n[t]\n# Why.\nb = \"x = y\"\n").is_empty());
    assert_eq!(keys("a = 1\n"), [1]);
    assert_eq!(keys("# Why.\na = 1\nb = 2\n"), [3], "one comment explains one key");
    assert_eq!(keys("# Why.\n\na = 1\n"), [3], "a comment stands directly above");
    assert_eq!(keys("# A section.\n[t]\na = 1\n"), [3]);
    assert!(keys("# Why.\na = [\n  { b = 1 },\n  { b = 2 },\n]\n").is_empty());
    assert_eq!(keys("# Why.\na = [\n  1,\n]\nb = 2\n"), [5]);
    let list = "[[t]]\n# Why.\na = 1\n[[t]]\na = 2\n";
    assert!(keys(list).is_empty(), "explained in the list's first table");
    assert_eq!(keys(&format!("{list}b = 3\n")), [6]);
    assert_eq!(keys(&format!("{list}[[u]]\na = 3\n")), [7]);
    assert_eq!(keys("[t]\n# Why.\na = 1\n[u]\na = 2\n"), [5]);
    assert!(keys("# Why.\na = \"\"\"\nb = 1\n\"\"\"\n").is_empty());
}
