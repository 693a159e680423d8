//! What the documents name in backticks exists: paths in every document, types in
//! `docs/ARCHITECTURE.md`.

use crate::source::{code_of, files, root, words};

/// Folders whose paths are checked; other paths may be made at run time.
const CHECKED: [&str; 6] = ["src/", "tests/", "benches/", "tools/", "config/", "docs/"];

/// Texts between single backticks, outside of fenced blocks.
fn backticked(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2));
        }
    }
    found
}

/// A path of this repository, without a line number; `None` for patterns and other texts.
fn path_of(quoted: &str) -> Option<&str> {
    let path = quoted.split(':').next()?.trim_end_matches('/');
    let plain = !path.contains(|c: char| c.is_whitespace() || "*<>{}$…".contains(c));
    (plain && CHECKED.iter().any(|folder| quoted.starts_with(folder))).then_some(path)
}

/// The type a text such as `risk::Approved` or `Event` names; `None` when it names none.
fn type_of(quoted: &str) -> Option<&str> {
    let last =
        quoted.split("::").find(|part| part.starts_with(|c: char| c.is_ascii_uppercase()))?;
    let word = quoted.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':');
    let camel = last.chars().any(|c| c.is_ascii_lowercase());
    (word && camel && last.len() > 2).then_some(last)
}

#[test]
fn paths_named_in_documents_exist() {
    let mut documents = files(&["docs"], ".md");
    documents.extend(files(&["."], "README.md").into_iter().filter(|f| !f.path.contains('/')));
    let mut missing = Vec::new();
    for file in &documents {
        let paths = backticked(&file.text).into_iter().filter_map(path_of);
        let absent = paths.filter(|path| !root().join(path).exists());
        missing.extend(absent.map(|path| format!("{}: {path}", file.path)));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn types_named_in_the_architecture_exist() {
    let Ok(text) = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")) else {
        println!("docs/ARCHITECTURE.md is absent: its types were not looked up");
        return;
    };
    let sources = files(&["src", "tools"], ".rs");
    let code: String = sources.iter().map(|file| code_of(&file.text)).collect();
    let types = backticked(&text).into_iter().filter_map(type_of);
    let missing: Vec<&str> = types.filter(|name| words(&code, name).next().is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn backticked_names_are_told_apart() {
    let text =
        "See `src/base/event.rs:12`, `src/*/mod.rs` and `Event`.\n```\n`src/no.rs`\n```\n`x`";
    let quoted = backticked(text);
    assert_eq!(quoted, ["src/base/event.rs:12", "src/*/mod.rs", "Event", "x"]);
    assert_eq!(quoted.iter().filter_map(|q| path_of(q)).collect::<Vec<_>>(), ["src/base/event.rs"]);
    assert_eq!(type_of("Event"), Some("Event"));
    assert_eq!(type_of("risk::Approved"), Some("Approved"));
    assert_eq!(type_of("Stamp::nanos_between"), Some("Stamp"));
    assert_eq!(type_of("SCHED_FIFO"), None);
    assert_eq!(type_of("cargo test"), None);
    assert_eq!(type_of("Cargo.toml"), None);
}
