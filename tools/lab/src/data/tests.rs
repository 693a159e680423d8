//! Files in both layouts, and the recorded candles where they are present.

use super::freeze::freeze;
use super::import::{import, notes};
use super::layout::{cell, layout};
use csv::StringRecord;
use peregrine::venue::dataset::{DataSet, Stream, Unit};
use std::io::Write;
use std::path::{Path, PathBuf};

fn nothing(_: &str, _: usize, _: usize) {}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn zipped(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    archive.start_file("inside.csv", zip::write::SimpleFileOptions::default()).unwrap();
    archive.write_all(text.as_bytes()).unwrap();
    archive.finish().unwrap();
    path
}

fn rows(set: &DataSet, place: usize) -> Vec<Vec<i64>> {
    let mut rows = set.rows(&set.manifest().files[place]).unwrap();
    let mut all = Vec::new();
    while let Some(row) = rows.next_row().unwrap() {
        all.push(row.to_vec());
    }
    all
}

const CANDLES: &str = "open_time_ms,open,high,low,close,volume\n\
    1700000160000,2,3,1,2.5,10\n1700000100000,1,2,1,2,5.5\n\
    1700000160000,2,3,1,2.5,10\n1700000160000,2,4,1,2.5,11\n1700000340000,2.5,2.5,2.5,2.5,0\n";

#[test]
fn candles_are_sorted_each_time_once_and_a_revision_counts() {
    let (from, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = write(from.path(), "BTCUSDT-1m.csv", CANDLES);
    let done = import(&[file], out.path(), &mut nothing).unwrap();
    let [table] = &done.imported[..] else { panic!("{done:?}") };
    assert_eq!((table.rows, table.out_of_order), (3, 1));
    assert_eq!((table.repeated, table.revised), (1, 1));
    let set = freeze(out.path(), "test").unwrap();
    let all = rows(&set, 0);
    assert_eq!(
        all[1],
        [1_700_000_160_000, 200_000_000, 400_000_000, 100_000_000, 250_000_000, 1_100_000_000]
    );
    let entry = &set.manifest().files[0];
    assert_eq!((entry.gaps.len(), entry.gaps[0].after_ms), (1, 1_700_000_160_000));
    let facts = &set.manifest().symbols[0];
    assert_eq!((facts.tick, facts.lot), (10_000_000, 10_000_000));
    let report = std::fs::read_to_string(out.path().join("quality_report.md")).unwrap();
    for told in ["1 rows were repeated", "1 rows were revised", "1 candles without a trade"] {
        assert!(report.contains(told), "{told}: {report}");
    }
}

#[test]
fn the_venues_archive_is_read_zipped_with_and_without_a_header() {
    let (from, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dir = from.path();
    zipped(
        dir,
        "ETHUSDT-5m-2024-01.zip",
        "1704067200000,2281.87,2284.51,2281.86,2283.14,3.5,1704067499999,7990.1,9,1.5,3424.0,0\n",
    );
    zipped(
        dir,
        "ETHUSDT-aggTrades-2024-01-01.zip",
        "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n\
         17,2281.87,0.5,30,31,1704067200001,true\n19,2281.88,1,32,32,1704067200001,false\n",
    );
    zipped(
        dir,
        "ETHUSDT-fundingRate-2024-01.zip",
        "calc_time,funding_interval_hours,last_funding_rate\n1704067200007,8,0.00037409\n",
    );
    zipped(
        dir,
        "ETHUSDT-metrics-2024-01-01.zip",
        "create_time,symbol,sum_open_interest,sum_open_interest_value\n\
         2024-01-01 00:05:00,ETHUSDT,512345.678,1170000000.5\n",
    );
    write(dir, "notes.csv", "not,a,table\n");
    let done = import(&[dir.to_path_buf()], out.path(), &mut nothing).unwrap();
    assert_eq!((done.imported.len(), done.skipped.len()), (4, 1), "{done:?}");
    let set = freeze(out.path(), "archive").unwrap();
    let streams: Vec<Stream> = set.manifest().files.iter().map(|entry| entry.stream).collect();
    assert_eq!(streams, [Stream::Bars, Stream::Funding, Stream::OpenInterest, Stream::Trades]);
    assert_eq!(rows(&set, 0)[0][5], 350_000_000);
    assert_eq!(rows(&set, 1), [[1_704_067_200_007, 37_409]]);
    assert_eq!(rows(&set, 2), [[1_704_067_500_000, 51_234_567_800_000]]);
    assert_eq!(rows(&set, 3)[0], [1_704_067_200_001, 17, 228_187_000_000, 50_000_000, 1]);
    let report = std::fs::read_to_string(out.path().join("quality_report.md")).unwrap();
    assert!(report.contains("1 numbers of trades are missing"), "{report}");
}

#[test]
fn an_import_that_is_run_again_takes_up_only_what_is_new() {
    let (from, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = write(from.path(), "BTCUSDT-1m.csv", CANDLES);
    let first = import(std::slice::from_ref(&file), out.path(), &mut nothing).unwrap();
    // What was stopped halfway left a draft and no note.
    write(&out.path().join("bars"), "ETHUSDT-1m.draft", "half a table");
    let other = write(from.path(), "ETHUSDT-1m.csv", CANDLES);
    let second = import(&[file, other], out.path(), &mut nothing).unwrap();
    assert_eq!((first.imported.len(), second.imported.len()), (1, 1));
    assert_eq!(second.known, ["BTCUSDT-1m.csv"]);
    assert_eq!(notes(out.path()).unwrap().len(), 2);
}

#[test]
fn files_of_one_name_never_take_each_others_place() {
    let (from, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dirs = ["2023", "2024"].map(|name| from.path().join(name));
    dirs.iter().for_each(|dir| std::fs::create_dir(dir).unwrap());
    let later = CANDLES.replace("1700000", "1800000");
    let first = write(&dirs[0], "BTCUSDT-1m.csv", CANDLES);
    let second = write(&dirs[1], "BTCUSDT-1m.csv.gz", &later);
    let refused = |paths: &[PathBuf]| {
        let told = format!("{:#}", import(paths, out.path(), &mut nothing).unwrap_err());
        for path in [&first, &second] {
            let path = path.canonicalize().unwrap();
            assert!(told.contains(&path.display().to_string()), "{told}");
        }
    };
    // In one go, and one after the other.
    refused(&[from.path().to_path_buf()]);
    refused(std::slice::from_ref(&second));
    let [table] = &notes(out.path()).unwrap()[..] else { panic!("one table") };
    assert_eq!((table.rows, &table.from), (3, &first.canonicalize().unwrap()));
    // The same bytes elsewhere are the same file.
    std::fs::write(&second, CANDLES).unwrap();
    let again = import(&[second], out.path(), &mut nothing).unwrap();
    assert_eq!((again.imported.len(), again.known.len()), (0, 1));
    // The file itself may change until it is frozen, and under another name both are taken.
    write(&dirs[0], "BTCUSDT-1m.csv", &CANDLES.replace("2.5,0\n", "2.5,7\n"));
    write(&dirs[1], "BTCUSDT-1m-2.csv", &later);
    std::fs::remove_file(dirs[1].join("BTCUSDT-1m.csv.gz")).unwrap();
    let both = import(&[from.path().to_path_buf()], out.path(), &mut nothing).unwrap();
    assert_eq!(both.imported.len(), 2);
    let set = freeze(out.path(), "both").unwrap();
    let opens: Vec<i64> = (0..2).map(|place| rows(&set, place)[0][0]).collect();
    assert_eq!(opens, [1_800_000_100_000, 1_700_000_100_000]);
    assert_eq!(rows(&set, 1).last().unwrap()[5], 700_000_000);
}

#[test]
fn what_is_frozen_stays_and_the_same_files_give_the_same_hash() {
    let from = tempfile::tempdir().unwrap();
    let file = write(from.path(), "BTCUSDT-1m.csv", CANDLES);
    let hash = || {
        let out = tempfile::tempdir().unwrap();
        import(std::slice::from_ref(&file), out.path(), &mut nothing).unwrap();
        let set = freeze(out.path(), "same").unwrap();
        assert_eq!(set.verify().unwrap(), 3);
        let again = import(std::slice::from_ref(&file), out.path(), &mut nothing);
        assert!(again.unwrap_err().to_string().contains("frozen"));
        assert!(freeze(out.path(), "same").unwrap_err().to_string().contains("frozen"));
        let table = out.path().join(&set.manifest().files[0].path);
        assert!(std::fs::metadata(table).unwrap().permissions().readonly());
        set.hash()
    };
    assert_eq!(hash(), hash());
}

#[test]
fn rows_that_are_none_are_refused_with_file_and_line() {
    let (from, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let refused = |name: &str, text: &str| {
        let file = write(from.path(), name, text);
        format!("{:#}", import(&[file], out.path(), &mut nothing).unwrap_err())
    };
    let text = "open_time_ms,open,high,low,close,volume\n1,1,1,1,1,1\n2,1,1,x,1,1\n";
    let told = refused("BTCUSDT-1m.csv", text);
    assert!(told.contains("BTCUSDT-1m.csv:3: low: \"x\""), "{told}");
    let told = refused("BTCUSDT-5m.csv", "1,1,1\n");
    assert!(told.contains("BTCUSDT-5m.csv:1: no column low"), "{told}");
    let told = refused("BTCUSDT-15m.csv", "open_time_ms,open,high,low,close,volume\n");
    assert!(told.contains("no rows"), "{told}");
    let told = refused("BTCUSDT-aggTrades.csv", "1,1,1,1,1,9,true\n2,1,1,1,1,8,true\n");
    assert!(told.contains("BTCUSDT-aggTrades.csv:2: a trade before"), "{told}");
    // A candle whose high lies below its close is in the source, and is not frozen.
    let file = write(from.path(), "SOLUSDT-1m.csv", "60000,1,1,1,2,1\n");
    import(&[file], out.path(), &mut nothing).unwrap();
    let told = format!("{:#}", freeze(out.path(), "bad").unwrap_err());
    assert!(told.contains("SOLUSDT-1m") && told.contains("cannot be"), "{told}");
}

#[test]
fn names_and_numbers_are_read_as_the_venue_writes_them() {
    let header = StringRecord::from(vec!["open_time", "open", "high", "low", "close", "volume"]);
    assert_eq!(layout("BTCUSDT-15m-2020-02.zip", &header).unwrap().interval_ms, 900_000);
    let mark = layout("BTCUSDT-mark8h.csv.gz", &header).unwrap();
    assert_eq!((mark.stream, mark.interval_ms), (Stream::MarkBars, 28_800_000));
    for bad in ["BTCUSDT-7x.csv", "-5m.csv", "README.csv"] {
        assert!(layout(bad, &header).is_err(), "{bad}");
    }
    let columns = StringRecord::from(vec!["open_time", "open", "high", "low"]);
    assert!(layout("BTCUSDT-5m.csv", &columns).unwrap_err().contains("close"));
    assert_eq!(cell("1.2345678987", Unit::Fixed), Ok(123_456_789));
    assert_eq!(cell("1735689600000123", Unit::Millis), Ok(1_735_689_600_000));
    assert_eq!(cell("True", Unit::Count), Ok(1));
    assert!(cell("1e3", Unit::Fixed).is_err() && cell("noon", Unit::Millis).is_err());
}

#[test]
fn recorded_candles_are_as_many_and_as_whole_as_their_description_says() {
    let data = std::env::var_os("PEREGRINE_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let from = data.join("ohlcv-2024");
    if !from.is_dir() {
        println!("recorded candles are absent: nothing was imported");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    import(&[from], out.path(), &mut nothing).unwrap();
    let set = freeze(out.path(), "ohlcv-2024").unwrap();
    let candles = |symbol: &str, interval_ms: i64| {
        let files = set.manifest().files_of(symbol, Stream::Bars).into_iter();
        files.filter(|entry| entry.interval_ms == interval_ms).cloned().collect::<Vec<_>>()
    };
    for symbol in ["BTCUSDT", "SOLUSDT"] {
        let five = candles(symbol, 300_000);
        assert_eq!((five[0].rows, five[0].gaps.len()), (122_688, 0), "{symbol}");
        assert_eq!(candles(symbol, 3_600_000)[0].rows, 9_227);
    }
    for symbol in ["BTCUSDT", "DOGEUSDT", "SOLUSDT"] {
        assert_eq!(set.manifest().files_of(symbol, Stream::Funding)[0].rows, 997);
    }
    // The outage of 2024-10-28: 16:25 and 16:30, and 20:00 to 21:05, in both symbols; counted in
    // the file's own lines.
    let report = std::fs::read_to_string(out.path().join("quality_report.md")).unwrap();
    let idle = report.matches("candles without a trade, the first at 2024-10-28T16:25:00Z");
    assert_eq!(idle.count(), 2, "{report}");
    assert_eq!(report.matches("- 16 candles without a trade").count(), 2, "{report}");
    set.verify().unwrap();
}
