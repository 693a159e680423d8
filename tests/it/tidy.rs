//! Sizes, words and names that `docs/STYLE.md` asks for.

use crate::source::{File, code_of, identifier, is_test, line_of, root, rust_files, words};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_CHARS_MAX: usize = 100;

/// Files that may hold `unsafe`, and why.
const UNSAFE_FILES: &[(&str, &str)] = &[
    ("benches/harness/onnxruntime.rs", "the C interface of a library opened at run time"),
    ("src/journal/map.rs", "typed access to a memory map that one thread writes and others read"),
    ("src/model/plan.rs", "one call of the code compiled for the processor found at load"),
    ("tools/lab/src/column.rs", "a map of a temporary file that nobody else has"),
    ("tests/it/allocations.rs", "a counting allocator wraps the system's"),
];

/// Endings of type names that say nothing about the thing named.
const EMPTY_NAMES: [&str; 4] = ["Manager", "Helper", "Util", "Utils"];

/// Words that must not stand in code; put together so that this file does not hold them itself.
fn banned_in_code() -> [String; 5] {
    let word = |parts: [&str; 2]| parts.concat();
    [
        word(["todo", "!"]),
        word(["unimplemented", "!"]),
        word(["dbg", "!"]),
        word(["#[ign", "ore"]),
        word(["#![ign", "ore"]),
    ]
}

/// Words that must stand nowhere, comments included.
fn banned_anywhere() -> [String; 3] {
    [["FIX", "ME"].concat(), ["TO", "DO"].concat(), ["XX", "X"].concat()]
}

fn length_errors(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let mut errors = Vec::new();
    if lines > FILE_LINES_MAX {
        errors.push(format!("{}: {lines} lines, {FILE_LINES_MAX} are allowed", file.path));
    }
    for (i, line) in file.text.lines().enumerate() {
        let chars = line.chars().count();
        // An address cannot be broken.
        if chars > LINE_CHARS_MAX && !line.contains("https://") {
            errors.push(format!("{}:{}: {chars} columns", file.path, i + 1));
        }
    }
    errors
}

fn function_errors(file: &File) -> Vec<String> {
    let code = code_of(&file.text);
    let mut errors = Vec::new();
    for at in words(&code, "fn") {
        let name = identifier(code[at + 2..].trim_start());
        let Some(body) = body_of(&code[at..]) else { continue };
        let lines = code[at..at + body].matches('\n').count() + 1;
        if !name.is_empty() && lines > FUNCTION_LINES_MAX {
            let line = line_of(&code, at);
            errors.push(format!("{}:{line}: fn {name} has {lines} lines", file.path));
        }
    }
    errors
}

/// Length of the text up to the brace that closes the function's body; `None` without a body.
fn body_of(code: &str) -> Option<usize> {
    let (mut round, mut curly) = (0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            ';' if round == 0 && curly == 0 => return None,
            '{' => curly += 1,
            '}' if curly == 1 => return Some(at + 1),
            '}' => curly -= 1,
            _ => {}
        }
        if round < 0 || curly < 0 {
            // A function type such as `fn(u8)` inside a list: no body follows.
            return None;
        }
    }
    None
}

fn word_errors(file: &File) -> Vec<String> {
    let code = code_of(&file.text);
    let mut errors = Vec::new();
    let mut note = |at: usize, what: &str| {
        errors.push(format!("{}:{}: {what}", file.path, line_of(&file.text, at)));
    };
    for word in banned_anywhere() {
        words(&file.text, &word).for_each(|at| note(at, &word));
    }
    // Blanking keeps lines, not bytes, so offsets in `code` are only good for line numbers in it.
    let mut note_code = |at: usize, what: &str| {
        errors.push(format!("{}:{}: {what}", file.path, line_of(&code, at)));
    };
    for word in banned_in_code() {
        code.match_indices(&word).for_each(|(at, _)| note_code(at, &word));
    }
    for keyword in ["struct", "enum", "trait", "type"] {
        for at in words(&code, keyword) {
            let name = identifier(code[at + keyword.len()..].trim_start());
            if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
                note_code(at, &format!("{name} is an empty name"));
            }
        }
    }
    if is_test(&file.path) {
        let sleeps = words(&code, "sleep").filter(|&at| code[at + 5..].starts_with('('));
        sleeps.for_each(|at| note_code(at, "a test does not sleep"));
    } else if !file.path.starts_with("benches/") {
        let tests = code.find("#[cfg(test)]\nmod tests {").unwrap_or(code.len());
        code[..tests].match_indices(".unwrap()").for_each(|(at, _)| {
            note_code(at, "unwrap outside tests; use expect with the invariant, or an error");
        });
    }
    errors
}

fn unsafe_errors(file: &File) -> Vec<String> {
    let code = code_of(&file.text);
    let lines: Vec<&str> = file.text.lines().collect();
    let allowed = UNSAFE_FILES.iter().any(|(path, _)| *path == file.path);
    let mut errors = Vec::new();
    for at in words(&code, "unsafe") {
        let line = line_of(&code, at);
        if !allowed {
            errors.push(format!("{}:{line}: unsafe is not allowed in this file", file.path));
        }
        let what = code[at + "unsafe".len()..].trim_start();
        let above = lines[..line].iter().rev().take(12).copied().collect::<Vec<_>>();
        // A block or an implementation keeps a promise; a function asks for one.
        let wanted = if what.starts_with("fn") { "# Safety" } else { "SAFETY:" };
        if !above.iter().any(|text| text.contains(wanted)) {
            errors.push(format!("{}:{line}: unsafe without `{wanted}`", file.path));
        }
    }
    errors
}

/// The rooms named in the first column of the README's table whose head begins with `room`.
fn rooms_in(readme: &str) -> Vec<String> {
    let table = readme.lines().skip_while(|line| !line.starts_with("| room")).skip(2);
    let first = table.take_while(|line| line.starts_with('|')).filter_map(|l| l.split('|').nth(1));
    first.map(|cell| cell.trim().trim_matches('`').trim_start_matches("src/").to_owned()).collect()
}

fn check(what: fn(&File) -> Vec<String>) {
    let errors: Vec<String> = rust_files().iter().flat_map(what).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn files_and_lines_are_short_enough_to_read() {
    check(length_errors);
}

#[test]
fn functions_fit_on_a_screen() {
    check(function_errors);
}

#[test]
fn nothing_is_left_unfinished_or_named_emptily_or_unwrapped() {
    check(word_errors);
}

#[test]
fn unsafe_code_is_where_it_is_declared_and_says_why() {
    check(unsafe_errors);
}

#[test]
fn the_readme_lists_the_rooms_there_are() {
    let Ok(readme) = std::fs::read_to_string(root().join("README.md")) else {
        println!("README.md is absent: its table was not compared");
        return;
    };
    let mut listed = rooms_in(&readme);
    let entries = std::fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap());
    let folders = entries.filter(|entry| entry.path().is_dir());
    let mut rooms: Vec<String> =
        folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    listed.sort();
    rooms.sort();
    assert_eq!(listed, rooms);
}

fn planted(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn planted_faults_of_size_are_found() {
    let lines = |n: usize| "let a = 1;\n".repeat(n);
    let function =
        |n: usize| format!("fn f<'a>(x: [u8; 3]) -> u8\nwhere\n{{\n{}}}\n", lines(n - 4));
    let found =
        |what: fn(&File) -> Vec<String>, text: &str| what(&planted("src/a/b.rs", text)).len();
    assert_eq!(found(length_errors, &lines(500)), 0);
    assert_eq!(found(length_errors, &lines(501)), 1);
    assert_eq!(found(length_errors, &"é".repeat(100)), 0);
    assert_eq!(found(length_errors, &"e".repeat(101)), 1);
    assert_eq!(found(function_errors, &function(70)), 0);
    assert_eq!(found(function_errors, &function(71)), 1);
    assert_eq!(found(function_errors, &format!("mod m {{ {} }}", function(71))), 1);
    let declared =
        format!("trait T {{ fn f(x: [u8; 2]); }}\nstruct S {{ f: fn(u8) }}\n{}", lines(90));
    assert_eq!(found(function_errors, &declared), 0);
    let braces = format!("fn f() {{ let a = \"}}\"; // }}\n{}}}", lines(80));
    assert_eq!(found(function_errors, &braces), 1);
}

#[test]
fn planted_faults_of_wording_are_found() {
    let found = |path: &str, text: &str| word_errors(&planted(path, text)).len();
    for word in banned_in_code().iter().chain(&banned_anywhere()) {
        assert_eq!(found("src/a/b.rs", &format!("fn f() {{ {word} }}")), 1, "{word}");
    }
    for word in banned_anywhere() {
        assert_eq!(found("src/a/b.rs", &format!("// {word}: later")), 1, "{word}");
    }
    assert_eq!(found("src/a/b.rs", "struct OrderManager;\npub enum FeedUtils {}"), 2);
    assert_eq!(found("src/a/b.rs", "let x = y.unwrap();"), 1);
    assert_eq!(found("src/a/b.rs", "// y.unwrap()\nlet x = y.unwrap_or(0);"), 0);
    assert_eq!(found("src/a/b.rs", "#[cfg(test)]\nmod tests {\n  y.unwrap();\n}"), 0);
    assert_eq!(found("src/a/tests.rs", "let x = y.unwrap();"), 0);
    assert_eq!(found("src/a/tests.rs", "std::thread::sleep(long);"), 1);
}

#[test]
fn planted_unsafe_is_found() {
    let found = |path: &str, text: &str| unsafe_errors(&planted(path, text)).len();
    let blessed = "// SAFETY: the lane has one writer.\nlet a = unsafe { *p };";
    assert_eq!(found("src/journal/map.rs", blessed), 0);
    assert_eq!(found("src/feed/mod.rs", blessed), 1);
    assert_eq!(found("src/journal/map.rs", "let a = unsafe { *p };"), 1);
    assert_eq!(found("src/journal/map.rs", "/// # Safety\n/// `p` is valid.\nunsafe fn f() {}"), 0);
    assert_eq!(found("src/journal/map.rs", "unsafe fn f() {}"), 1);
    assert_eq!(found("src/feed/mod.rs", "// unsafe is not used\nlet a = \"unsafe\";"), 0);
}

#[test]
fn the_rooms_of_a_readme_are_read_from_its_table() {
    let readme = "# P\n\n| room | holds |\n|---|---|\n| `base` | words |\n| `feed` | bytes |\n\nx";
    assert_eq!(rooms_in(readme), ["base", "feed"]);
}
