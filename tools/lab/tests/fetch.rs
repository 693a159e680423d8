//! `fetch` against the simulated exchange: its own history is what the files must hold, whatever
//! happened on the way.

use flate2::read::GzDecoder;
use peregrine::base::Nanos;
use peregrine::exchange::fault::script;
use peregrine::exchange::server::{ClockMode, ServerSettings};
use peregrine::exchange::spec::SymbolSpec;
use peregrine::exchange::tape::history::interval::Interval;
use peregrine::exchange::tape::history::layers::Wanted;
use peregrine::exchange::venue::{Exchange, ExchangeSettings};
use peregrine::exchange::{ExchangeServer, flow::contract::Contract};
use peregrine::venue::dataset::Unit;
use peregrine_lab::data::fetch::{Order, Outcome, Series, Span, Step, fetch};
use peregrine_lab::data::layout::cell;
use peregrine_lab::data::{freeze::freeze, import::import};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// 2026-01-10T00:07:30Z, in the middle of a candle of every length.
const OPENED: i64 = 1_768_003_650_000;
const MINUTE: i64 = 60_000;
const DAY: i64 = 86_400_000;

/// Few frames, so that a busy machine keeps up.
fn server(clock: ClockMode, faults: &str) -> ExchangeServer {
    let faults = script::parse(faults).expect("faults");
    let settings = ServerSettings { clock, faults, rate: 10.0, ..ServerSettings::default() };
    ExchangeServer::start(settings).expect("an exchange")
}

fn still() -> ExchangeServer {
    server(ClockMode::Stepped { start: Nanos::from_millis(OPENED) }, "")
}

fn order(url: &str, series: &[&str], (from_ms, until_ms): (i64, i64), out: &Path) -> Order {
    let series = series.iter().map(|name| Series::parse(name).expect("a series")).collect();
    let span = Span { from_ms, until_ms, base_url: url.to_owned() };
    let symbols = vec!["BTCUSDT".to_owned(), "ETHUSDT".to_owned()];
    Order { symbols, series, span, weight_per_minute: 2_400, out: out.to_path_buf() }
}

fn quiet(order: &Order) -> Outcome {
    fetch(order, &mut |_| {}).expect("fetched")
}

/// The rows of a file as integers, its header left out.
fn rows(path: &Path) -> Vec<Vec<i64>> {
    let mut text = String::new();
    let file = std::fs::File::open(path).expect("a file");
    GzDecoder::new(file).read_to_string(&mut text).expect("text");
    let row = |line: &str| {
        let mut cells = line.split(',');
        let time = cells.next().expect("a time").parse().expect("a number");
        let rest = cells.map(|text| match text {
            "true" => 1,
            "false" => 0,
            text => cell(text, Unit::Fixed).expect("a decimal"),
        });
        std::iter::once(time).chain(rest).collect()
    };
    text.lines().skip(1).map(row).collect()
}

/// Every file of a folder with its bytes.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry"));
    let name = |path: &Path| path.file_name().expect("a name").to_string_lossy().into_owned();
    entries.map(|own| (name(&own.path()), std::fs::read(own.path()).expect("a file"))).collect()
}

/// What the exchange remembers, made apart from the server's.
fn remembered() -> Exchange {
    let symbols = SymbolSpec::default_pair().to_vec();
    let opened_at = Nanos::from_millis(OPENED);
    let accounts = Vec::new();
    Exchange::new(&ExchangeSettings { seed: 7, symbols, rate: 10.0, opened_at, accounts })
}

fn candles(contract: &Contract, length: &str, (from, until): (i64, i64)) -> Vec<Vec<i64>> {
    let interval = Interval::parse(length).expect("an interval");
    let wanted = Wanted {
        interval,
        from: Some(Nanos::from_millis(from)),
        to: Nanos::from_millis(until),
        limit: usize::MAX,
    };
    let (px, qty) = (contract.spec.tick_size.0, contract.spec.lot_size.0);
    let history = contract.history.as_ref().expect("a past");
    let closed = |opened: Nanos| interval.step(opened, 1).to_millis() <= until;
    let list = history.bars().list(&wanted).into_iter().filter(|bar| closed(bar.opened));
    list.map(|bar| {
        let prices = [bar.open, bar.high, bar.low, bar.close].map(|tick| tick * px);
        [&[bar.opened.to_millis()][..], &prices, &[bar.lots * qty]].concat()
    })
    .collect()
}

#[test]
fn the_files_hold_what_the_exchange_remembers_row_for_row_and_import_takes_them() {
    let (server, dir) = (still(), tempfile::tempdir().expect("a folder"));
    let span = (OPENED - 5 * DAY, OPENED - 30_000);
    let series = ["1m", "4h", "mark8h", "funding", "openInterest"];
    let done = quiet(&order(&server.rest_url(), &series, span, dir.path()));
    assert_eq!((done.files.len(), done.known), (10, 0));
    let exchange = remembered();
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let contract = exchange.market.contract(symbol).expect("a contract");
        let file = |name: &str| rows(&dir.path().join(format!("{symbol}-{name}.csv.gz")));
        let minutes = file("1m");
        // The minute in which the span begins is not in it.
        assert_eq!(minutes.len(), 5 * 1_440 - 1, "more than four pages");
        assert_eq!(minutes, candles(contract, "1m", span));
        // 5 days of six candles; that in which the span begins and that in which it ends are not
        // in it.
        assert_eq!(file("4h").len(), 29);
        assert_eq!(file("4h"), candles(contract, "4h", span));
        let history = contract.history.as_ref().expect("a past");
        let inside = |ts: Nanos| (span.0..span.1).contains(&ts.to_millis());
        let fundings: Vec<Vec<i64>> = history
            .fundings()
            .iter()
            .filter(|own| inside(own.ts))
            .map(|own| vec![own.ts.to_millis(), own.rate])
            .collect();
        assert_eq!(file("funding"), fundings);
        let interests: Vec<Vec<i64>> = history
            .interests()
            .iter()
            .filter(|own| inside(own.ts))
            .map(|own| vec![own.ts.to_millis(), own.lots * contract.spec.lot_size.0])
            .collect();
        assert_eq!(file("openInterest"), interests);
        let eight = Interval::parse("8h").expect("an interval");
        let wanted = Wanted {
            interval: eight,
            from: Some(Nanos::from_millis(span.0)),
            to: Nanos::from_millis(span.1),
            limit: usize::MAX,
        };
        let marks: Vec<Vec<i64>> = history
            .marks()
            .list(&wanted)
            .into_iter()
            .filter(|bar| eight.step(bar.opened, 1).to_millis() <= span.1)
            .map(|bar| {
                let mark = bar.mark;
                vec![bar.opened.to_millis(), mark.open, mark.high, mark.low, mark.close]
            })
            .collect();
        assert_eq!(file("mark8h"), marks);
    }
    let set = tempfile::tempdir().expect("a folder");
    let from = [dir.path().to_path_buf()];
    let imported = import(&from, set.path(), &mut |_, _, _| {}).expect("imported");
    assert_eq!((imported.imported.len(), &imported.skipped), (10, &Vec::new()));
    let frozen = freeze(set.path(), "fetched").expect("frozen");
    let told: u64 = done.files.iter().map(|file| file.rows).sum();
    assert_eq!(frozen.verify().expect("whole"), told);
    assert!(frozen.manifest().files.iter().all(|entry| entry.gaps.is_empty()));
}

#[test]
fn trades_are_those_of_the_span_each_once_wherever_the_work_was_cut_off() {
    let (server, dir) = (still(), tempfile::tempdir().expect("a folder"));
    let span = (OPENED - 9 * MINUTE, OPENED - 30_000);
    let whole = dir.path().join("whole");
    let order = |out: &Path| order(&server.rest_url(), &["aggTrades", "1m"], span, out);
    quiet(&order(&whole));
    let exchange = remembered();
    let contract = exchange.market.contract("ETHUSDT").expect("a contract");
    let history = contract.history.as_ref().expect("a past");
    let (px, qty) = (contract.spec.tick_size.0, contract.spec.lot_size.0);
    let trades: Vec<Vec<i64>> = history
        .aggregates()
        .iter()
        .filter(|own| (span.0..span.1).contains(&own.ts.to_millis()))
        .map(|own| {
            let seller = own.print.taker == peregrine::base::Side::Sell;
            let (id, maker) = (own.id * 100_000_000, i64::from(seller));
            vec![own.ts.to_millis(), id, own.print.tick * px, own.print.lots * qty, maker]
        })
        .collect();
    assert!(trades.len() > 2_000, "more than two pages: {}", trades.len());
    assert_eq!(rows(&whole.join("ETHUSDT-aggTrades.csv.gz")), trades);
    // Any prefix of what was being written may be what an end leaves.
    let mut text = serde_json::to_vec(&order(&whole).span).expect("JSON");
    text.push(b'\n');
    let packed = std::fs::File::open(whole.join("BTCUSDT-aggTrades.csv.gz")).expect("a file");
    GzDecoder::new(packed).read_to_end(&mut text).expect("text");
    let lines: Vec<usize> = (0..text.len()).filter(|&at| text[at] == b'\n').collect();
    let middle = lines[lines.len() / 2];
    let cuts = [0, 5, lines[0] + 1, lines[1], lines[1] + 1, lines[1] + 9, middle, middle + 1];
    for cut in cuts.into_iter().chain([middle + 20, text.len() - 1, text.len()]) {
        let out = dir.path().join(cut.to_string());
        std::fs::create_dir(&out).expect("a folder");
        std::fs::write(out.join("BTCUSDT-aggTrades.csv.part"), &text[..cut]).expect("a part");
        quiet(&order(&out));
        assert!(files(&out) == files(&whole), "cut at {cut} of {}", text.len());
    }
}

fn program(url: &str, (from, until): (i64, i64), out: &Path, more: &[&str]) -> Command {
    let time = |ms| jiff::Timestamp::from_millisecond(ms).expect("a time").to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_peregrine-lab"));
    command.args(["fetch", "--base-url", url, "--weight-per-minute", "2400", "--out"]).arg(out);
    command.args(["--from", &time(from), "--until", &time(until)]).args(more);
    command
}

/// The exchange's time, whole minutes.
fn this_minute() -> i64 {
    jiff::Timestamp::now().as_millisecond() / MINUTE * MINUTE
}

#[test]
fn killed_again_and_again_it_ends_in_the_bytes_of_one_that_was_not() {
    let slow = "[[fault]]\nkind = 'delay'\ntarget = 'rest'\nms = 40\n";
    let (server, dir) = (server(ClockMode::Real, slow), tempfile::tempdir().expect("a folder"));
    let until = this_minute() - MINUTE;
    let span = (until - 5 * DAY, until);
    let what = ["--symbols", "BTCUSDT,ETHUSDT", "--series", "1m,openInterest,3m"];
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let run = |out: &Path| program(&server.rest_url(), span, out, &what).output().expect("it runs");
    let done = run(&whole);
    assert!(done.status.success(), "{}", error(&done));
    assert!(done.stderr.is_empty(), "not a terminal: {}", error(&done));
    let mut kills = 0;
    for _ in 0..40 {
        let mut command = program(&server.rest_url(), span, &killed, &what);
        let mut child = command.stdout(Stdio::null()).spawn().expect("a child process");
        // Until it has something more than before, or has ended.
        let before = bytes(&killed);
        while bytes(&killed) == before && child.try_wait().expect("asked").is_none() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let has_ended = child.try_wait().expect("asked").is_some();
        child.kill().expect("it can be killed");
        child.wait().expect("it ends");
        if has_ended {
            break;
        }
        kills += 1;
    }
    assert!(kills >= 5, "{kills} kills");
    let done = run(&killed);
    assert!(done.status.success(), "{}", error(&done));
    assert!(files(&killed) == files(&whole), "other bytes");
    // All is there: nothing is fetched.
    let again = program(&server.rest_url(), span, &killed, &[&what[..], &["--json"]].concat());
    let again = { again }.output().expect("it runs");
    let told = String::from_utf8(again.stdout).expect("text");
    assert!(told.contains("\"known\":6") && told.contains("\"answers\":2"), "{told}");
    assert!(files(&killed) == files(&whole), "other bytes");
}

/// Bytes of all files of a folder that may not be there yet.
fn bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries.filter_map(|own| own.metadata().ok()).map(|own| own.len()).sum()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn refusals_bans_and_failures_are_waited_out_and_leave_no_trace_in_the_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let faults = "
        [[fault]]
        kind = 'rate_limited'
        target = { path = '/fapi/v1/klines' }
        retry_after_s = 1
        weight = 100
        count = 2
        [[fault]]
        kind = 'banned'
        target = { path = '/fapi/v1/fundingRate' }
        ms = 1000
        count = 1
        [[fault]]
        kind = 'unavailable'
        target = { path = '/futures/data' }
        count = 2
        [[fault]]
        kind = 'truncated_json'
        target = { path = '/fapi/v1/markPriceKlines' }
        count = 1
        [[fault]]
        kind = 'close_after_accept'
        target = { path = '/fapi/v1/exchangeInfo' }
        count = 1
    ";
    let until = this_minute() - MINUTE;
    let span = (until - 4 * DAY, until);
    let series = ["5m", "mark1h", "funding", "openInterest"];
    let troubled = server(ClockMode::Real, faults);
    let out = dir.path().join("troubled");
    let asked = order(&troubled.rest_url(), &series, span, &out);
    let mut waits = BTreeMap::new();
    let done = fetch(&asked, &mut |step| {
        if let Step::Waiting { wait_ms, why } = step {
            waits.entry(why).or_insert_with(Vec::new).push(wait_ms);
        }
    });
    done.expect("fetched");
    assert_eq!(waits["the venue was asked too much"], [1_050, 1_050]);
    assert!(!waits["the venue banned us"].is_empty(), "{waits:?}");
    // An answer that is no JSON, a connection that was closed, twice no service.
    assert!(waits["the venue did not answer"].len() >= 4, "{waits:?}");
    // The same once more from the exchange without faults that are left.
    let out = dir.path().join("calm");
    quiet(&Order { out: out.clone(), ..asked });
    assert!(files(&out) == files(&dir.path().join("troubled")), "other bytes");
}

#[test]
fn what_cannot_be_fetched_is_told_at_once_and_by_name() {
    let (server, dir) = (still(), tempfile::tempdir().expect("a folder"));
    let (url, out) = (server.rest_url(), dir.path().join("out"));
    let span = (OPENED - DAY, OPENED - 30_000);
    let refused = |command: &mut Command| {
        let output = command.output().expect("it runs");
        assert_eq!(output.status.code(), Some(1), "{}", error(&output));
        error(&output)
    };
    let btc = ["--symbols", "BTCUSDT", "--series", "1h"];
    let unknown = ["--symbols", "BTCUSDT,NOSUCHUSDT", "--series", "1h"];
    let told = refused(&mut program(&url, span, &out, &unknown));
    assert!(told.contains("knows no NOSUCHUSDT") && told.contains(&url), "{told}");
    assert_eq!(files(&out).len(), 0, "nothing was begun");
    let told = refused(&mut program(&url, (span.0, OPENED + 1), &out, &btc));
    assert!(told.contains("--until") && told.contains("not over"), "{told}");
    let told = refused(&mut program(&url, (span.1, span.0), &out, &btc));
    assert!(told.contains("--from"), "{told}");
    // A month of open interest is kept by the venue, no more.
    let old = (OPENED - 40 * DAY, OPENED - 39 * DAY);
    let interest = ["--symbols", "BTCUSDT", "--series", "openInterest"];
    let told = refused(&mut program(&url, old, &dir.path().join("old"), &interest));
    assert!(told.contains("openInterestHist") && told.contains("-1130"), "{told}");
    // A file of another span, one that no fetch made, one that was changed.
    assert!(program(&url, span, &out, &btc).output().expect("it runs").status.success());
    let told = refused(&mut program(&url, (span.0 - DAY, span.1), &out, &btc));
    assert!(told.contains("BTCUSDT-1h.csv.gz") && told.contains("another span"), "{told}");
    std::fs::write(out.join("BTCUSDT-1h.csv.gz"), "changed").expect("written");
    let told = refused(&mut program(&url, span, &out, &btc));
    assert!(told.contains("is not the file that was fetched"), "{told}");
    std::fs::write(out.join("BTCUSDT-2h.csv.gz"), "mine").expect("written");
    let told = refused(&mut program(&url, span, &out, &["--symbols", "BTCUSDT", "--series", "2h"]));
    assert!(told.contains("no fetch made it"), "{told}");
    let usage = program(&url, span, &out, &["--symbols", "BTCUSDT", "--series", "7m"]).output();
    assert_eq!(usage.expect("it runs").status.code(), Some(2));
}
