//! A venue touches `feed`, `venue` and the settings, and no other room: neither the second dialect
//! nor the first is named elsewhere. `docs/VENUES.md`.

use crate::source::{code_of, files, line_of, root};

/// Where a dialect may be named.
const ROOMS: [&str; 3] = ["src/feed/", "src/venue/", "src/base/settings/"];
/// The simulated exchange is one of the first dialect; it is not needed to trade.
const SIMULATED: &str = "src/exchange/";
/// Names of the second dialect: types, modules, key, paths, hosts, symbols.
const SECOND: [&str; 6] = ["CoinM", "coin_m", "coin-m", "dapi", "dstream", "USD_PERP"];
/// Names of the first: those that a room would have to know it by.
const FIRST: [&str; 4] = ["UsdM", "usd-m", "/fapi/", "fstream"];

/// Rust text with comments blanked and literals kept: a path is a literal.
fn uncommented(text: &str) -> String {
    let code = code_of(text);
    let lines = text.lines().zip(code.lines()).map(|(line, code)| {
        // What is left of a line that is only a comment is blank.
        let is_comment = code.trim().is_empty() && line.trim_start().starts_with("//");
        if is_comment { "" } else { line }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where a file names a dialect that it must not know.
fn errors(path: &str, text: &str) -> Vec<String> {
    if ROOMS.iter().any(|room| path.starts_with(room)) {
        return Vec::new();
    }
    let code = uncommented(text);
    let found = |text: &str, names: &[&str]| {
        let places = names.iter().flat_map(|name| {
            let places = text.match_indices(name);
            places.map(move |(at, name)| format!("{path}:{}: {name}", line_of(text, at)))
        });
        places.collect::<Vec<_>>()
    };
    // Of the second not even a comment may speak: nothing outside is to be understood by it.
    let mut errors = found(text, &SECOND);
    // Tests of a room may play the venue.
    let plays = path.starts_with(SIMULATED) || path.contains("/tests/");
    if path.starts_with("src/") && !plays {
        errors.extend(found(&code, &FIRST));
    }
    errors
}

#[test]
fn no_room_but_three_knows_which_venue_it_is() {
    let files = files(&["src", "tools", "benches"], ".rs");
    let errors: Vec<String> =
        files.iter().flat_map(|file| errors(&file.path, &file.text)).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    // Each of the three holds a part of the second dialect, or the search would prove nothing.
    for room in ROOMS {
        let holds = |file: &&crate::source::File| file.path.starts_with(room);
        let named = files.iter().filter(holds).any(|file| file.text.contains("CoinM"));
        assert!(named, "{room} holds no part of it");
    }
}

#[test]
fn a_build_without_the_second_dialect_is_one_of_the_checks() {
    let text = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let steps = text(".ci/run");
    let built = steps.lines().any(|line| {
        line.starts_with("section ")
            && line.contains("check")
            && line.contains("--no-default-features")
    });
    assert!(built, "the compiler has to see the rooms without it");
    // Only then does what is left out leave anything out.
    for file in ["src/feed/mod.rs", "src/venue/mod.rs"] {
        let gated = "#[cfg(feature = \"coin-m\")]\nmod coin_m;";
        assert!(text(file).contains(gated), "{file}");
    }
}

#[test]
fn a_planted_name_is_found_wherever_it_stands() {
    let count = |path: &str, text: &str| errors(path, text).len();
    assert_eq!(count("src/runtime/a.rs", "let d = Dialect::CoinM;"), 1);
    assert_eq!(count("src/runtime/a.rs", "// dapi is elsewhere"), 1);
    assert_eq!(count("src/runtime/a.rs", "get(\"/fapi/v1/time\")"), 1);
    assert_eq!(count("src/runtime/a.rs", "// GET /fapi/v1/time\nlet a = 1;"), 0);
    assert_eq!(count("src/runtime/a.rs", "#[cfg(feature = \"coin-m\")]"), 1);
    assert_eq!(count("src/exchange/a.rs", "\"/fapi/v1/time\""), 0);
    assert_eq!(count("src/exchange/a.rs", "\"/dapi/v1/time\""), 1);
    assert_eq!(count("tools/lab/src/a.rs", "\"/fapi/v1/time\""), 0, "history of one venue");
    assert_eq!(count("tools/lab/src/a.rs", "\"BTCUSD_PERP\""), 1);
    for room in ROOMS {
        assert_eq!(count(&format!("{room}a.rs"), "Dialect::CoinM; \"/fapi/\"; \"/dapi/\""), 0);
    }
}
