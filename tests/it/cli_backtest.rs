//! `backtest` over every recorded market, with `journal verify` and `replay` behind it.

use crate::pipeline_support::{data_dir, lane, last_json, peregrine, root, text};
use peregrine::base::event::Kind;
use serde_json::Value;
use std::path::Path;

/// Runs the program over `data`, checks journal and replay, returns the summary.
fn backtest(data: &Path, journal: &Path) -> Value {
    let arguments = ["backtest", "--config", "config/paper.toml", "--data", text(data)];
    let output = peregrine(&[&arguments[..], &["--journal", text(journal), "--json"]].concat());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{error}");
    let summary = last_json(&output);
    assert_eq!(summary["dropped"], 0);
    assert_eq!(summary["bad_lines"], 0, "{error}");

    let output = peregrine(&["journal", "verify", text(journal), "--json"]);
    let verified = last_json(&output);
    assert_eq!((&verified["corrupt"], &verified["torn"]), (&Value::from(0), &Value::from(0)));
    let output = peregrine(&["replay", text(journal), "--verify", "--json"]);
    let replayed = last_json(&output);
    assert_eq!(output.status.code(), Some(0), "{replayed}");
    assert_eq!(replayed["differences"], 0, "{replayed}");
    assert_eq!(replayed["inputs"], summary["events"], "every input is replayed");
    summary
}

/// The answer of an independent script, in the form the program prints: nanoseconds, and no name
/// of a file.
fn expected(path: &Path) -> Value {
    let mut object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let fields = object.as_object_mut().unwrap();
    fields.remove("file");
    if fields["receive_time_unit"] == "us" {
        fields["receive_time_unit"] = "ns".into();
        for key in ["first_receive", "last_receive"] {
            fields[key] = (fields[key].as_i64().unwrap() * 1_000).into();
        }
    }
    object
}

/// Compares key by key, so that a difference names its place.
fn assert_market(found: &Value, wanted: &Value, at: &str) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let keys = |map: &serde_json::Map<String, Value>| {
                map.keys().cloned().collect::<std::collections::BTreeSet<_>>()
            };
            assert_eq!(keys(found), keys(wanted), "{at}");
            for (key, wanted) in wanted {
                assert_market(&found[key], wanted, &format!("{at}.{key}"));
            }
        }
        _ => assert_eq!(found, wanted, "{at}"),
    }
}

fn assert_recording(file: &str, symbol: &str, answers: &str) -> Option<Value> {
    let dir = data_dir()?;
    let journal = tempfile::tempdir().unwrap();
    let summary = backtest(&dir.join(file), &journal.path().join("journal"));
    let market = summary["market"].as_object().unwrap();
    assert_eq!(market.keys().collect::<Vec<_>>(), [symbol]);
    assert_market(&market[symbol], &expected(&dir.join(answers)), symbol);
    Some(summary)
}

/// The two busy recordings also have to be traded.
fn assert_traded(summary: &Value) {
    for key in ["decisions", "orders", "fills"] {
        assert!(summary[key].as_u64().unwrap() > 0, "{key}: {}", summary[key]);
    }
}

#[test]
fn the_bitcoin_recording_of_2024_is_reproduced_to_the_last_digit_and_traded() {
    let (file, answers) =
        ("hftbacktest/usdm_btcusdt_20240808.gz", "hftbacktest/usdm_btcusdt_20240808.expected.json");
    if let Some(summary) = assert_recording(file, "BTCUSDT", answers) {
        assert_traded(&summary);
    }
}

#[test]
fn the_ether_recording_of_2024_is_reproduced_to_the_last_digit_and_traded() {
    let (file, answers) =
        ("hftbacktest/usdm_ethusdt_20240808.gz", "hftbacktest/usdm_ethusdt_20240808.expected.json");
    if let Some(summary) = assert_recording(file, "ETHUSDT", answers) {
        assert_traded(&summary);
    }
}

#[test]
fn the_recording_of_2023_in_microseconds_is_reproduced_to_the_last_digit() {
    let (file, answers) = (
        "hftbacktest-playground/btcusdt_20230404.dat.gz",
        "hftbacktest-playground/btcusdt_20230404.expected.json",
    );
    if let Some(summary) = assert_recording(file, "BTCUSDT", answers) {
        assert!(summary["decisions"].as_u64().unwrap() > 0);
    }
}

/// Two files given at once are one market, merged by receive time: what each holds stays the same.
#[test]
fn two_recordings_together_hold_what_each_holds_alone() {
    let Some(dir) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal");
    let data = ["btcusdt", "ethusdt"].map(|name| {
        let stem = format!("hftbacktest/usdm_{name}_20240808");
        (dir.join(format!("{stem}.gz")), expected(&dir.join(format!("{stem}.expected.json"))))
    });
    let mut arguments = vec!["backtest", "--config", "config/paper.toml", "--data"];
    arguments.extend(data.iter().map(|(path, _)| text(path)));
    arguments.extend(["--journal", text(&journal), "--json"]);
    let summary = last_json(&peregrine(&arguments));
    for (symbol, (_, wanted)) in ["BTCUSDT", "ETHUSDT"].into_iter().zip(&data) {
        assert_market(&summary["market"][symbol], wanted, symbol);
    }
    let replayed = last_json(&peregrine(&["replay", text(&journal), "--verify", "--json"]));
    assert_eq!(replayed["differences"], 0, "{replayed}");
}

/// Counts are those of the recording's description; the four books meet their snapshots at the
/// very edge of a change.
#[test]
fn the_recording_of_four_thin_symbols_is_complete_and_every_book_synchronises() {
    let Some(dir) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let summary = backtest(&dir.join("cryptofeed"), &folder.path().join("journal"));
    let market = summary["market"].as_object().unwrap();
    let mut names: Vec<&str> = market.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["AKROUSDT", "CTKUSDT", "KEEPUSDT", "SUSHIUSDT"]);
    let total = |frame: &str| -> u64 {
        market.values().filter_map(|of| of["frames"][frame].as_u64()).sum()
    };
    let counted = ["depth@100ms", "bookTicker", "aggTrade", "kline_1m", "snapshot"].map(total);
    assert_eq!(counted, [764, 613, 91, 67, 4]);
    for (symbol, of) in market {
        assert_eq!(of["book"]["pu_breaks"], 0, "{symbol}");
        assert!(of["book"]["diffs_applied"].as_u64().unwrap() > 0, "{symbol}");
        assert!(of["book"]["best_bid"][0].is_string(), "{symbol}");
    }
    assert_eq!(summary["refused"], serde_json::json!({}));
}

/// 3 451 changes, 28 040 tickers, 9 757 trades and a snapshot: none is a futures frame.
#[test]
fn a_spot_recording_is_refused_frame_by_frame_and_nothing_is_traded_on_it() {
    let Some(dir) = data_dir() else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = dir.join("hftbacktest/spot_btcusdt_20240808.gz");
    let summary = backtest(&data, &folder.path().join("journal"));
    for key in ["decisions", "orders", "fills", "denied"] {
        assert_eq!(summary[key], 0, "{key}");
    }
    let refused = summary["refused"].as_object().unwrap();
    let count: u64 = refused.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(count, 3_451 + 28_040 + 9_757 + 1, "{refused:?}");
    assert_eq!(summary["market"]["BTCUSDT"]["book"]["diffs_applied"], 0);
}

/// A frame of a best bid and offer, received at `ts`.
fn ticker_line(ts: i64, id: u64) -> String {
    let at = ts / 1_000_000;
    format!(
        "{ts} {{\"stream\":\"btcusdt@bookTicker\",\"data\":{{\"e\":\"bookTicker\",\"u\":{id},\
         \"s\":\"BTCUSDT\",\"b\":\"100.00\",\"B\":\"1.000\",\"a\":\"100.10\",\"A\":\"1.000\",\
         \"T\":{at},\"E\":{at}}}}}\n"
    )
}

#[test]
fn a_hole_of_a_year_is_crossed_without_a_year_of_timers_and_nothing_behind_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let start = 1_700_000_000_000_000_000;
    let year = 365 * 24 * 3_600 * 1_000_000_000;
    let lines: String =
        [(start, 1), (start + year, 2)].map(|(ts, id)| ticker_line(ts, id)).concat();
    let data = dir.path().join("btcusdt.txt");
    std::fs::write(&data, lines).unwrap();
    let config = root().join("config/paper.toml");
    let journal = dir.path().join("journal");
    let output = peregrine(&[
        "backtest",
        "--config",
        text(&config),
        "--data",
        text(&data),
        "--journal",
        text(&journal),
        "--json",
    ]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let inputs = lane(&journal, 0);
    let of = |kind| inputs.iter().filter(|event| event.kind() == Some(kind)).count();
    assert_eq!(of(Kind::BookTicker), 2, "both sides of the hole are read");
    assert!((1..10).contains(&of(Kind::Timer)), "{} timers", of(Kind::Timer));
    assert_eq!(last_json(&output)["bad_lines"], 0);
}
