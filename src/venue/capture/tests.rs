//! Captures written for the purpose, line by line.

use super::{Capture, CaptureError, LineFault, Payload, contracts, discover, scan_instruments};
use crate::base::settings::Dialect;
use crate::base::{Nanos, Symbol};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};

const FRAME: &str =
    r#"{"e":"bookTicker","u":1,"s":"BTCUSDT","b":"1.50","B":"2","a":"1.6","A":"3.25","T":5,"E":6}"#;
const SNAPSHOT: &str = r#"{"lastUpdateId": 7, "E": 1, "T": 1, "bids": [["1","2"]], "asks": []}"#;

fn write(folder: &Path, name: &str, lines: &[String]) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

/// Every record as time, source, line and payload, every error as text.
fn read(paths: &[PathBuf]) -> Vec<Result<(i64, usize, u64, String), String>> {
    let mut capture = Capture::open(paths).unwrap();
    let mut all = Vec::new();
    while let Some(record) = capture.next() {
        all.push(match record {
            Ok(record) => {
                let payload = match record.payload {
                    Payload::Frame(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Payload::Snapshot { symbol, body } => {
                        format!("{symbol} {}", String::from_utf8_lossy(body))
                    }
                    Payload::ExchangeInfo(bytes) => {
                        format!("info {}", String::from_utf8_lossy(bytes))
                    }
                };
                Ok((record.ts_recv.0, record.source, record.line, payload))
            }
            Err(error) => Err(error.to_string()),
        });
    }
    all
}

fn times(paths: &[PathBuf]) -> Vec<(i64, usize)> {
    read(paths).into_iter().map(|record| record.unwrap()).map(|r| (r.0, r.1)).collect()
}

#[test]
fn the_unit_of_time_follows_from_the_number_of_digits() {
    let folder = tempfile::tempdir().unwrap();
    for stamp in ["1700000000", "1700000000000", "1700000000000000", "1700000000000000000"] {
        let path = write(folder.path(), "x", &[format!("{stamp} {FRAME}")]);
        assert_eq!(times(&[path]), [(1_700_000_000_000_000_000, 0)]);
    }
    let path = write(folder.path(), "x", &[format!("1700000000.25: {FRAME}")]);
    assert_eq!(times(&[path]), [(1_700_000_000_250_000_000, 0)]);
}

#[test]
fn files_merge_by_time_and_equal_times_keep_the_order_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |stamps: &[u64]| -> Vec<String> {
        stamps.iter().map(|n| format!("{} {FRAME}", 1_700_000_000_000_000_000 + n)).collect()
    };
    let a = write(folder.path(), "a", &lines(&[1, 5, 5, 9]));
    let b = write(folder.path(), "b", &lines(&[0, 5, 7]));
    let merged: Vec<_> =
        times(&[b.clone(), a]).iter().map(|(ts, source)| (ts % 100, *source)).collect();
    assert_eq!(merged, [(0, 0), (1, 1), (5, 0), (5, 1), (5, 1), (7, 0), (9, 1)]);
}

#[test]
fn a_record_out_of_order_gets_the_time_of_the_one_before_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lines: Vec<String> = [5, 3, 8]
        .iter()
        .map(|n| format!("{} {FRAME}", 1_700_000_000_000_000_000_i64 + n))
        .collect();
    let path = write(folder.path(), "a", &lines);
    let mut capture = Capture::open(&[path]).unwrap();
    let mut stamps = Vec::new();
    while let Some(record) = capture.next() {
        stamps.push(record.unwrap().ts_recv.0 % 100);
    }
    assert_eq!(stamps, [5, 5, 8]);
    let stats = &capture.stats()[0];
    assert_eq!((stats.out_of_order, stats.frames, stats.lines), (1, 3, 3));
    assert_eq!(stats.last, Nanos(1_700_000_000_000_000_008));
}

#[test]
fn a_bad_line_is_an_error_that_names_file_and_line_and_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let stamp = "1700000000000000000";
    let lines = [
        format!("{stamp} {FRAME}"),
        "rubbish".to_owned(),
        String::new(),
        format!("{stamp} rubbish"),
        format!("{stamp} {FRAME}\r"),
    ];
    let path = write(folder.path(), "btc.log", &lines);
    let all = read(std::slice::from_ref(&path));
    assert_eq!(all.len(), 4);
    assert!(all[0].is_ok() && all[3].is_ok());
    assert_eq!(all[3].as_ref().unwrap().3, FRAME);
    let text = |line, fault: LineFault| format!("{}:{line}: {fault}", path.display());
    assert_eq!(all[1].as_ref().unwrap_err(), &text(2, LineFault::Stamp));
    assert_eq!(all[2].as_ref().unwrap_err(), &text(4, LineFault::Payload));
}

#[test]
fn a_bare_snapshot_takes_its_symbol_from_the_name_or_from_the_frames_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let stamp = "1700000000000000000";
    let snapshot = format!("{stamp} {SNAPSHOT}");
    let frame = format!("{stamp} {FRAME}");
    let other = frame.replace("BTCUSDT", "ETHUSDT");
    let payload = |name: &str, lines: &[String]| {
        let all = read(&[write(folder.path(), name, lines)]);
        all.into_iter().map(|r| r.map(|r| r.3)).collect::<Vec<_>>()
    };
    let of = |symbol: &str| Ok(format!("{symbol} {SNAPSHOT}"));
    assert_eq!(payload("usdm_solusdt_1.log", std::slice::from_ref(&snapshot))[0], of("SOLUSDT"));
    assert_eq!(payload("a.log", &[frame.clone(), snapshot.clone()])[1], of("BTCUSDT"));
    assert_eq!(payload("a.log", &[snapshot.clone(), frame.clone()])[0], of("BTCUSDT"));
    assert!(payload("a.log", &[frame, other, snapshot.clone()])[2].is_err());
    assert!(payload("a.log", &[snapshot])[0].is_err());
}

#[test]
fn a_snapshot_that_names_its_symbol_needs_no_other_word_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let named = concat!(
        r#"{"lastUpdateId":16769853,"symbol":"BTCUSD_PERP","pair":"BTCUSD","E":1591250106370,"#,
        r#""T":1591250106368,"bids":[["9638.0","431"]],"asks":[["9638.2","12"]]}"#,
    );
    let lines = [format!("1700000000000000000 {FRAME}"), format!("1700000000000000001 {named}")];
    // Neither the file's name nor the frames around it count against the body.
    let all = read(&[write(folder.path(), "usdm_solusdt_1.log", &lines)]);
    assert_eq!(all[1].as_ref().unwrap().3, format!("BTCUSD_PERP {named}"));
}

#[test]
fn request_logs_give_snapshots_and_exchange_information_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let base = "https://fapi.binance.com/fapi/v1";
    let info = concat!(
        r#"{"symbols":[{"symbol":"BTCUSDT","filters":[{"tickSize":"0.50","#,
        r#""filterType":"PRICE_FILTER"},{"filterType":"LOT_SIZE","stepSize":"0.01","#,
        r#""minQty":"0.02","maxQty":"100"},{"notional":"50","#,
        r#""filterType":"MIN_NOTIONAL"}]}]}"#,
    );
    let lines = [
        format!("{base}/exchangeInfo -> 1626992740.175661: {info}"),
        "configuration: {}".to_owned(),
        format!("{base}/time -> 1626992740.2: {{}}"),
        format!("{base}/depth?limit=5&symbol=BTCUSDT -> 1626992741.301402: {SNAPSHOT}"),
    ];
    let path = write(folder.path(), "requests.log", &lines);
    let all = read(std::slice::from_ref(&path));
    assert_eq!(all.len(), 2);
    assert_eq!(all[1], Ok((1_626_992_741_301_402_000, 0, 4, format!("BTCUSDT {SNAPSHOT}"))));
    let [btc] = scan_instruments(&[path]).unwrap()[..] else { panic!() };
    assert_eq!(btc.symbol, Symbol::new(b"BTCUSDT").unwrap());
    assert_eq!(
        (btc.tick_size.to_string(), btc.lot_size.to_string()),
        ("0.5".into(), "0.01".into())
    );
    assert_eq!((btc.min_qty.to_string(), btc.max_qty.to_string()), ("0.02".into(), "100".into()));
    assert_eq!(btc.min_notional.to_string(), "50");
    assert_eq!(
        (btc.maker_fee.to_string(), btc.taker_fee.to_string()),
        ("0.0002".into(), "0.0005".into())
    );
}

#[test]
fn an_order_is_no_larger_and_no_smaller_than_what_limit_and_market_orders_may_both_be() {
    let listed = |market: &str| {
        let body = [
            r#"{"symbols":[{"symbol":"BTCUSDT","filters":["#,
            r#"{"filterType":"PRICE_FILTER","tickSize":"0.10"},"#,
            r#"{"filterType":"LOT_SIZE","stepSize":"0.001","minQty":"0.001","maxQty":"1000"}"#,
            market,
            "]}]}",
        ]
        .concat();
        let found = contracts(Dialect::UsdM, body.as_bytes()).unwrap();
        found.first().map(|f| [f.lot_size, f.min_qty, f.max_qty].map(|qty| qty.to_string()))
    };
    let market = |step: &str, min: &str, max: &str| {
        let numbers = format!(r#""stepSize":"{step}","minQty":"{min}","maxQty":"{max}""#);
        listed(&format!(r#",{{"filterType":"MARKET_LOT_SIZE",{numbers}}}"#))
    };
    let told = |sizes: [&str; 3]| Some(sizes.map(str::to_owned));
    assert_eq!(listed(""), told(["0.001", "0.001", "1000"]), "one filter serves both");
    // BTCUSDT as it was listed in July 2026.
    assert_eq!(market("0.001", "0.001", "120"), told(["0.001", "0.001", "120"]));
    assert_eq!(market("0.001", "0.001", "2000"), told(["0.001", "0.001", "1000"]));
    assert_eq!(market("0.01", "0.02", "120"), told(["0.01", "0.02", "120"]));
    // What is there and cannot be read, or fits no order of both, is no contract to trade.
    for (step, min, max) in [
        ("0.0015", "0.001", "120"),
        ("0.001", "0.001", "much"),
        ("0.001", "?", "120"),
        ("0", "0.001", "120"),
        ("0.001", "0.001", "0"),
    ] {
        assert_eq!(market(step, min, max), None, "{step} {min} {max}");
    }
    assert_eq!(listed(r#",{"filterType":"MARKET_LOT_SIZE"}"#), None);
}

#[test]
fn without_exchange_information_a_few_values_give_the_decimals_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), "a", &[format!("1700000000000000000 {FRAME}")]);
    let [btc] = discover(&[path]).unwrap()[..] else { panic!() };
    assert_eq!(btc.settings.tick_size.to_string(), "0.01");
    assert_eq!(btc.settings.lot_size.to_string(), "0.01");
    assert_eq!((btc.price_decimals, btc.qty_decimals), (2, 2));
}

#[test]
fn packed_files_are_told_by_content_and_one_that_breaks_off_is_read_up_to_there() {
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        (0..20_000).map(|n| format!("{} {FRAME}\n", 1_700_000_000_000_000_000_i64 + n)).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(lines.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let path = folder.path().join("no-extension");
    std::fs::write(&path, &packed).unwrap();
    assert_eq!(times(std::slice::from_ref(&path)).len(), 20_000);

    // Two members behind one another are one file.
    std::fs::write(&path, [packed.as_slice(), packed.as_slice()].concat()).unwrap();
    assert_eq!(times(std::slice::from_ref(&path)).len(), 40_000);

    std::fs::write(&path, &packed[..packed.len() / 2]).unwrap();
    let all = read(std::slice::from_ref(&path));
    let errors = all.iter().filter(|record| record.is_err()).count();
    assert!(all.len() > 1_000 && all.len() < 20_000);
    assert_eq!(errors, 1);
    assert!(all.last().unwrap().as_ref().unwrap_err().contains("no-extension"));
}

#[test]
fn a_line_longer_than_the_buffer_is_read_and_one_beyond_the_cap_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let stamp = "1700000000000000000";
    let long = |len: usize| format!("{stamp} {{\"x\":\"{}\"}}", "y".repeat(len));
    let lines =
        [long(3 << 20), format!("{stamp} {FRAME}"), long(17 << 20), format!("{stamp} {FRAME}")];
    let all = read(&[write(folder.path(), "a", &lines)]);
    assert_eq!(all.len(), 4);
    assert_eq!(all[0].as_ref().unwrap().3.len(), (3 << 20) + 8);
    assert_eq!(all[1].as_ref().unwrap().3, FRAME);
    assert!(all[2].as_ref().unwrap_err().contains("too long"));
    assert_eq!(all[3].as_ref().unwrap().3, FRAME);
}

#[test]
fn folders_give_their_captures_and_named_files_must_be_captures() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "README.md", &["# no capture".to_owned()]);
    write(folder.path(), "b.log", &[format!("1700000000000000002 {FRAME}")]);
    write(folder.path(), "a.log", &[format!("1700000000000000001 {FRAME}")]);
    assert_eq!(times(&[folder.path().to_path_buf()]).len(), 2);
    let error = Capture::open(&[folder.path().join("README.md")]).err().unwrap();
    assert!(matches!(error, CaptureError::UnknownFormat { .. }), "{error}");
    let error = Capture::open(&[folder.path().join("absent")]).err().unwrap();
    assert!(error.to_string().contains("absent"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(
        Capture::open(&[empty.path().to_path_buf()]),
        Err(CaptureError::Nothing { .. })
    ));
}
