//! An operator adds and drops symbols of a running session over its admin socket, at an exchange
//! over real sockets: what is refused and why, what follows, and what the next session knows.

use crate::lanes::read;
use crate::model_swaps::Models;
use crate::pipeline_support::{assert_replays, last_json, leaning, peregrine, text};
use crate::process::{look, wait};
use crate::session_support::{Session, credentials, order, urls};
use peregrine::base::event::{Event, Kind, Order};
use peregrine::base::{InstrumentId, Purpose, SymbolState};
use peregrine::exchange::{ExchangeServer, ServerSettings, SymbolSpec};
use peregrine::venue::rest::RestClient;
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use tempfile::TempDir;

/// In table order: traded, asleep, asleep and not allowed.
const SYMBOLS: [&str; 3] = ["BTCUSDT", "ETHUSDT", "SOLUSDT"];
const ETH: InstrumentId = InstrumentId(1);

fn exchange() -> ExchangeServer {
    let symbols = SYMBOLS.map(|symbol| SymbolSpec::by_symbol(symbol).unwrap()).to_vec();
    ExchangeServer::start(ServerSettings { symbols, ..ServerSettings::default() }).unwrap()
}

/// A session that enters often and leaves soon.
fn session(exchange: &ExchangeServer, models: &Models, state: TempDir) -> Session {
    let dir = format!("\"{}\"", text(models.dir.path()));
    let changes = [
        ("session", "unattended", "true"),
        ("instruments", "symbols", "[\"BTCUSDT\"]"),
        ("instruments", "asleep", "[\"ETHUSDT\", \"SOLUSDT\"]"),
        ("risk", "allow", "[\"BTCUSDT\", \"ETHUSDT\"]"),
        ("model", "dir", &dir),
        ("model", "version", "\"quick\""),
        ("policy", "enter_edge", "0.01"),
        ("policy", "decision_interval_ms", "50"),
        ("features", "bar_interval_ms", "250"),
        ("exits", "hold_ms_max", "400"),
    ];
    let order = order(state.path(), &urls(exchange), credentials(exchange), &changes);
    Session::run(state, order)
}

/// The program, asked about symbols.
fn symbols(state: &Path, words: &[&str]) -> Output {
    peregrine(&[&["symbols"][..], words, &["--state", text(state), "--json"]].concat())
}

fn rows(output: &Output) -> Vec<(String, String, bool)> {
    let told = last_json(output);
    let row = |row: &Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        (text("symbol"), text("state"), row["book_valid"] == true)
    };
    told["symbols"].as_array().unwrap().iter().map(row).collect()
}

fn states(state: &Path) -> Vec<String> {
    rows(&symbols(state, &["list"])).into_iter().map(|(_, state, _)| state).collect()
}

#[track_caller]
fn assert_refused(state: &Path, words: &[&str], why: &str) {
    let output = symbols(state, words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {error}");
    assert!(error.contains(why), "{words:?}: {error}");
}

#[track_caller]
fn assert_done(state: &Path, words: &[&str]) {
    let output = symbols(state, words);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {error}");
}

fn is_entry(event: &Event) -> bool {
    event.instrument() == ETH
        && event.kind() == Some(Kind::OrderIntent)
        && event.body::<Order>().purpose == Purpose::Entry as u8
}

/// Orders that the exchange has or had of the second contract, and its position there.
fn at_exchange(exchange: &ExchangeServer) -> (usize, i64) {
    let told = RestClient::new(&exchange.rest_url()).get("/sim/ledger").unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    let account = &told["accounts"][0];
    let own = |key: &str| -> Vec<Value> {
        let rows = account[key].as_array().unwrap().iter();
        rows.filter(|row| row["symbol"] == "ETHUSDT").cloned().collect()
    };
    let qty = own("positions").iter().map(|row| row["qty"].as_i64().unwrap_or(0)).sum();
    (own("orders").len(), qty)
}

#[test]
fn an_operator_adds_and_drops_a_symbol_and_the_next_session_knows() {
    let quick = leaning("quick", "imbalance_1", 2.0);
    let models = Models::new(&[&quick]);
    let exchange = exchange();
    let session = session(&exchange, &models, tempfile::tempdir().unwrap());
    let (state, journal) = (session.state().to_path_buf(), session.journal());
    wait("the first books", || {
        let output = symbols(&state, &["list"]);
        output.status.success() && rows(&output).first().is_some_and(|row| row.2)
    });
    assert_eq!(states(&state), ["awake", "asleep", "asleep"]);
    for (words, why) in [
        (&["add", "DOGEUSDT", "--reason", "a"][..], "instruments.asleep"),
        (&["add", "A-NAME-OF-MORE-THAN-32-CHARACTERS", "--reason", "a"], "is none"),
        (&["add", "SOLUSDT", "--reason", "a"], "risk.allow does not name it"),
        (&["add", "BTCUSDT", "--reason", "a"], "it is traded already"),
        (&["drop", "ETHUSDT", "--reason", "a"], "it is asleep"),
        (&["drop", "BTCUSDT", "--reason", "a"], "the last one that is traded"),
        (&["add", "ETHUSDT", "--reason", ""], "1 to 84 bytes"),
    ] {
        assert_refused(&state, words, why);
    }
    assert_eq!(
        states(&state),
        ["awake", "asleep", "asleep"],
        "nothing that was refused came to it"
    );
    assert_eq!(at_exchange(&exchange), (0, 0));

    assert_done(&state, &["add", "ethusdt", "--reason", "wanted"]);
    assert_refused(&state, &["add", "ETHUSDT", "--reason", "a"], "it is traded already");
    session.until("an entry of what was added", 3, |lane| lane.iter().any(is_entry));
    session.until("a fill of it", 0, |lane| {
        lane.iter().any(|e| e.instrument() == ETH && e.kind() == Some(Kind::OrderFilled))
    });
    assert!(rows(&symbols(&state, &["list"]))[1].2, "its book is valid");

    assert_done(&state, &["drop", "ETHUSDT", "--flat", "--reason", "not wanted"]);
    wait("it sleeps", || states(&state)[1] == "asleep");
    assert_refused(&state, &["drop", "ETHUSDT", "--reason", "a"], "it is asleep");
    let (orders, qty) = at_exchange(&exchange);
    assert!(orders > 0 && qty == 0, "{orders} orders, {qty}");
    let (outcome, folder) = session.end();
    assert_eq!((outcome.halt, outcome.differences), (None, Vec::new()));
    assert_replays(&journal);
    told_who_and_why(folder.path());

    // What was dropped by a person stays so, and says by whom.
    let again = self::session(&exchange, &models, folder);
    let state = again.state().to_path_buf();
    look("the second session", || {
        let output = symbols(&state, &["list"]);
        (output.status.success() && !rows(&output).is_empty()).then_some(()).ok_or("no answer")
    });
    assert_eq!(states(&state), ["awake", "asleep", "asleep"]);
    let (outcome, folder) = again.end();
    assert_eq!(outcome.halt, None);
    let lane = read(&folder.path().join("journal/0000002-paper"), 0);
    let changes = lane.iter().filter(|event| event.kind() == Some(Kind::SymbolChange));
    let told: Vec<_> = changes.map(|event| (event.instrument, event.symbol_state())).collect();
    assert_eq!(told, [(1, Some(SymbolState::Asleep)), (2, Some(SymbolState::Asleep))]);
}

/// The audit trail tells each change with who asked for it, and why.
#[track_caller]
fn told_who_and_why(state: &Path) {
    let output = peregrine(&["audit", "show", text(state), "--json"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let user = format!("user {}", rustix::process::geteuid().as_raw());
    for (instrument, told, who, why) in [
        (1, "asleep", "the configuration", "instruments.asleep"),
        (1, "awake", user.as_str(), "wanted"),
        (1, "leaving", user.as_str(), "not wanted"),
        (1, "asleep", user.as_str(), "not wanted"),
    ] {
        let is_it = |line: &&str| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            let says = &line["says"];
            line["what"] == "symbol"
                && says["instrument"] == instrument
                && says["state"] == told
                && says["who"] == who
                && says["why"] == why
        };
        assert!(shown.lines().any(|line| is_it(&line)), "{told} {who} {why}: {shown}");
    }
}
