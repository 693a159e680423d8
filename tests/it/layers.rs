//! A room may import only rooms above it in `src/lib.rs`; binaries and `lib.rs` may import all.

use crate::source::{code_of, files, identifier, is_test, line_of, root, words};

/// The rooms, in the order of `lib.rs`.
fn rooms() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    lines.filter_map(|line| line.strip_suffix(';')).map(str::to_owned).collect()
}

/// The names that follow `crate::` in Rust text, with their line.
fn imports(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in words(code, "crate") {
        let line = line_of(code, at);
        let Some(path) = code[at + "crate".len()..].trim_start().strip_prefix("::") else {
            continue;
        };
        let path = path.trim_start();
        match path.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group).map(|name| (name, line))),
            None => found.push((identifier(path).to_owned(), line)),
        }
    }
    found
}

/// The first name of each path in a group, up to the group's closing brace.
fn group_heads(group: &str) -> impl Iterator<Item = String> {
    let mut heads = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            c if depth == 0 => heads.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    heads.into_iter().map(|head| identifier(head.trim()).to_owned()).filter(|h| !h.is_empty())
}

/// What is wrong with one file of `room`.
fn errors(rooms: &[String], path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let place = |name: &str| rooms.iter().position(|room| room == name);
    let parts: Vec<&str> = path.trim_start_matches("src/").split('/').collect();
    let own = place(parts[0]).unwrap_or_else(|| panic!("{path}: not a room of lib.rs"));
    let mut errors = Vec::new();
    for (name, line) in imports(&code) {
        match place(&name) {
            Some(other) if other <= own => {}
            Some(_) => errors.push(format!("{path}:{line}: {} imports {name} below", parts[0])),
            None => errors.push(format!("{path}:{line}: crate::{name} is no room")),
        }
    }
    // `super` may climb to the room, not out of it.
    let depth = parts.len() - usize::from(path.ends_with("/mod.rs"));
    let climb = "super::".repeat(depth);
    for (at, _) in code.match_indices(&climb) {
        errors.push(format!("{path}:{}: climbs out of its room", line_of(&code, at)));
    }
    errors
}

#[test]
fn every_room_imports_only_rooms_above_it() {
    let rooms = rooms();
    assert!(rooms.len() >= 16, "{rooms:?}");
    let files = files(&["src"], ".rs");
    let inside =
        files.iter().filter(|file| file.path != "src/lib.rs" && !file.path.starts_with("src/bin/"));
    let errors: Vec<String> = inside
        .filter(|file| !is_test(&file.path))
        .flat_map(|file| errors(&rooms, &file.path, &file.text))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn a_planted_downward_import_is_found() {
    let rooms = ["base", "feed", "book"].map(str::to_owned);
    let found = |path: &str, text: &str| errors(&rooms, path, text).len();
    assert_eq!(found("src/feed/mod.rs", "use crate::base::Px;\nuse crate::feed::Scan;"), 0);
    assert_eq!(found("src/feed/mod.rs", "use crate::book::Book;"), 1);
    assert_eq!(found("src/feed/mod.rs", "fn f() { crate::book::sync(); }"), 1);
    assert_eq!(
        found("src/feed/mod.rs", "use crate::{\n    base::{Px, Qty},\n    book::Book,\n};"),
        1
    );
    assert_eq!(found("src/feed/mod.rs", "use crate::nowhere::X;"), 1);
    assert_eq!(found("src/feed/mod.rs", "pub(crate) fn f() {}"), 0);
    assert_eq!(found("src/feed/mod.rs", "// crate::book\nconst A: &str = \"crate::book\";"), 0);
    assert_eq!(found("src/book/mod.rs", "use crate::feed::Scan;"), 0);
    assert_eq!(found("src/feed/mod.rs", "use super::book::Book;"), 1);
    assert_eq!(found("src/feed/depth.rs", "use super::Scan;"), 0);
    assert_eq!(found("src/feed/depth.rs", "use super::super::book::Book;"), 1);
}
