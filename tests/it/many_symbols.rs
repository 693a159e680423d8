//! Hundreds of symbols in one pipeline: no step is too small for all of them, and a whole session
//! over real sockets holds every book as the exchange does, trades, and replays.

use crate::exchange_sim::Http;
use crate::lanes::{count, read};
use crate::pipeline_support::{Arrival, What};
use crate::pipeline_support::{EAGER, Rig, assert_replays, lane, parts};
use crate::process::look;
use crate::session_support::{Session, order};
use crate::sim::books::{Side8, differs};
use peregrine::base::event::{
    DepthHead, DepthLevels, Event, Gap, Kind, StreamStatus, VenueStatus, carries, flags,
};
use peregrine::base::units::parse_fixed;
use peregrine::base::{InstrumentId, Nanos, Reason, Side};
use peregrine::book::Book;
use peregrine::engine::{NoProbe, With};
use peregrine::exchange::{ExchangeServer, ServerSettings, SymbolSpec, SyntheticMarket};
use peregrine::runtime::session::SessionOrder;
use peregrine::venue::rest::RestClient;
use serde_json::{Value, json};

fn specs(count: u16) -> Vec<SymbolSpec> {
    (1..=count).filter_map(SymbolSpec::made_up).collect()
}

/// Three seconds of a market of so many contracts, with a snapshot of each after the first.
fn market(contracts: u16) -> Vec<Arrival> {
    let specs = specs(contracts);
    let start = Nanos(1_750_000_000_000_000_000);
    let mut market = SyntheticMarket::with_rate(5, &specs, start, 20_000.0);
    let (mut arrivals, mut is_shown) = (Vec::new(), false);
    while market.now() < start + Nanos::from_secs(3) {
        let frame = market.step();
        let ts = frame.ts;
        if !frame.stream.ends_with("@trade") && !frame.stream.contains("@kline") {
            arrivals.push(Arrival { ts, what: What::Frame(frame.frame.to_vec()) });
        }
        if !is_shown && ts >= start + Nanos::from_secs(1) {
            is_shown = true;
            for (place, spec) in (0..).zip(&specs) {
                let mut body = Vec::new();
                assert!(market.snapshot(spec.symbol.as_str(), &mut body));
                arrivals.push(Arrival { ts, what: What::Snapshot(InstrumentId(place), body) });
            }
        }
    }
    arrivals
}

#[test]
fn all_of_three_hundred_books_may_be_lost_at_once_and_the_session_goes_on() {
    let instruments = specs(300).iter().map(SymbolSpec::instrument).collect();
    let parts = parts(instruments, &EAGER);
    let arrivals = market(300);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    let mut rig = Rig::fused(&parts, &dir);
    rig.run(&arrivals);
    let ts = arrivals.last().unwrap().ts;
    // A connection of which nothing was told carries everything.
    let mut with = With { probe: &mut NoProbe, watch: &mut |_| {} };
    rig.feed.on_stream(1, false, ts, &mut with).unwrap();
    rig.finish();
    let inputs = lane(&dir, 0);
    let lost = inputs.iter().rfind(|event| event.kind() == Some(Kind::StreamStatus)).unwrap().seq;
    let states = lane(&dir, 1);
    let states = states.iter().filter(|event| event.kind() == Some(Kind::BookState));
    let (off, on): (Vec<&Event>, Vec<&Event>) = states.partition(|event| event.seq == lost);
    assert_eq!((off.len(), on.len()), (300, 300), "each whole once, lost once");
    assert!(off.iter().all(|event| !event.has(flags::ON)));
    // A timer visits some of them, and the next one the others: bars close for each.
    assert!(inputs.iter().filter(|event| event.kind() == Some(Kind::Timer)).count() > 20);
    assert_replays(&dir);
}

/// Symbols of the session over sockets: two connections a route.
const SYMBOLS: u16 = 120;
/// The first symbol of the second connection of books.
const SECOND: u16 = 100;

fn start(exchange: &ExchangeServer) -> Session {
    let state = tempfile::tempdir().unwrap();
    let urls = [exchange.rest_url(), exchange.ws_url(), String::new()];
    let names: Vec<String> =
        specs(SYMBOLS).iter().map(|spec| format!("\"{}\"", spec.symbol)).collect();
    let list = format!("[{}]", names.join(", "));
    let more = [
        &EAGER[..],
        &[
            ("venue", "orders", "\"paper\""),
            ("venue", "snapshot_levels", "500"),
            ("venue", "open_interest_every_s", "120"),
            // A machine that is busy with other tests is no silent venue.
            ("venue", "silence_ms_max", "60000"),
            ("instruments", "symbols", list.as_str()),
            ("risk", "allow", list.as_str()),
            ("topology", "layout", "\"fused\""),
        ],
    ]
    .concat();
    let order = order(state.path(), &urls, None, &more);
    Session::run(state, SessionOrder { statement: None, ..order })
}

/// For each symbol the books' states so far.
fn states(events: &[Event]) -> Vec<Vec<bool>> {
    let mut states = vec![Vec::new(); usize::from(SYMBOLS)];
    for event in events.iter().filter(|event| event.kind() == Some(Kind::BookState)) {
        states[event.instrument().index()].push(event.has(flags::ON));
    }
    states
}

fn admin(exchange: &ExchangeServer, path: &str, body: &Value) {
    let mut http = Http::connect(&exchange.rest_url());
    let answer = http.request("POST", path, &[], &body.to_string()).unwrap();
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.body);
}

/// A side of a REST book, 1e-8.
fn side(body: &Value, name: &str) -> Side8 {
    let number = |value: &Value| parse_fixed(value.as_str().unwrap().as_bytes()).unwrap();
    let levels = body[name].as_array().unwrap();
    levels.iter().map(|level| (number(&level[0]), number(&level[1]))).collect()
}

/// The books that lane 0 makes, and for each the last prices of its newest snapshot.
fn rebuilt(inputs: &[Event]) -> (Vec<Book>, Vec<[i64; 2]>) {
    let mut books: Vec<Book> = (0..SYMBOLS).map(|_| Book::new(4_096)).collect();
    let mut ends = vec![[0; 2]; usize::from(SYMBOLS)];
    for event in inputs {
        let place = event.instrument().index();
        match event.kind() {
            Some(Kind::DepthLevels) if event.has(flags::SNAPSHOT) => {
                let levels = event.body::<DepthLevels>().levels;
                let last = levels.iter().rfind(|level| level.px > 0).map_or(0, |level| level.px);
                ends[place][usize::from(event.has(flags::SELL))] = last;
            }
            _ => {}
        }
        if let Some(book) = books.get_mut(place) {
            let _ = book.apply(event);
        }
    }
    (books, ends)
}

/// Trading stands still at the exchange; its books and ours, symbol by symbol.
fn assert_books_equal(exchange: &ExchangeServer, inputs: &[Event]) {
    let client = RestClient::new(&exchange.rest_url());
    let (books, ends) = rebuilt(inputs);
    for (place, spec) in specs(SYMBOLS).iter().enumerate() {
        let symbol = spec.symbol;
        let body = client.get(&format!("/fapi/v1/depth?symbol={symbol}&limit=100")).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let book = &books[place];
        assert!(book.is_valid(), "{symbol}: {:?}", book.reason());
        assert_eq!(Some(book.last_id()), body["lastUpdateId"].as_u64(), "{symbol}");
        let own = |levels: peregrine::book::Levels<'_>| -> Side8 {
            levels.map(|level| (level.px, level.qty)).collect()
        };
        let sides = [(Side::Buy, "bids", own(book.bids())), (Side::Sell, "asks", own(book.asks()))];
        for (at, (which, name, own)) in sides.into_iter().enumerate() {
            let theirs = side(&body, name);
            assert_eq!(theirs.len(), 100, "{symbol}");
            let found = differs(which, &theirs, ends[place][at], &own, false);
            assert_eq!(found, None, "{symbol}: {which:?}");
        }
    }
}

/// Everything that is under way arrives: the marks of three more seconds have come of the last.
fn settle(session: &Session) -> Vec<Event> {
    let marks = |events: &[Event]| -> usize {
        let of_last = |event: &&Event| event.instrument() == InstrumentId(SYMBOLS - 1);
        let marks = events.iter().filter(|event| event.kind() == Some(Kind::MarkPrice));
        marks.filter(of_last).count()
    };
    let before = marks(&read(&session.journal(), 0));
    session.until("three seconds", 0, |events| marks(events) >= before + 3)
}

#[test]
fn a_session_over_sockets_holds_a_hundred_and_twenty_books_as_the_exchange_does_and_trades() {
    let symbols = specs(SYMBOLS);
    let settings = ServerSettings { symbols, rate: 4_000.0, ..ServerSettings::default() };
    let exchange = ExchangeServer::start(settings).unwrap();
    let session = start(&exchange);
    session.until("every book whole", 1, |events| {
        states(events).iter().all(|states| states.last() == Some(&true))
    });
    // One of the connections is lost: what it carried, and nothing else.
    let target = json!({"stream": "sim0110usdt@depth*"});
    admin(&exchange, "/sim/faults", &json!({"kind": "reset", "target": target, "count": 1}));
    session.until("its books whole again", 1, |events| {
        let states = states(events);
        states[usize::from(SECOND)..].iter().all(|of| of.ends_with(&[false, true]))
    });
    look("fills", || {
        let fills = count(&read(&session.journal(), 0), Kind::OrderFilled);
        if fills >= 2 { Ok(()) } else { Err(format!("{fills}")) }
    });
    for spec in specs(SYMBOLS) {
        admin(&exchange, "/sim/halt", &json!({"symbol": spec.symbol.as_str()}));
    }
    let inputs = settle(&session);
    assert_books_equal(&exchange, &inputs);

    let (outcome, state) = session.end();
    assert_eq!(outcome.halt, None);
    let dir = state.path().join("journal/0000001-paper");
    assert_told(&read(&dir, 0));
    assert_replays(&dir);
    exchange.stop();
}

/// Four market connections of a part each; one was lost, and told symbol by symbol, and no book of
/// another one with it. The venue never said that it was asked too much.
fn assert_told(inputs: &[Event]) {
    let is_down = |reason: u16| reason == Reason::StreamDown as u16;
    let of_kind = |kind: Kind| inputs.iter().filter(move |event| event.kind() == Some(kind));
    let whole = |event: &&Event| event.instrument() == InstrumentId::NONE;
    let ups = of_kind(Kind::StreamStatus).filter(whole).filter(|event| event.has(flags::ON));
    let mut up: Vec<u64> = ups.map(|event| event.body::<StreamStatus>().connection).collect();
    up.sort_unstable();
    assert_eq!(up, [1, 2, 2, 3, 4], "the second came twice");
    let downs = of_kind(Kind::StreamStatus).filter(|event| !event.has(flags::ON));
    let mut downs = downs.filter(|event| is_down(event.body::<StreamStatus>().reason));
    let first = downs.next().unwrap();
    let status: &StreamStatus = first.body();
    assert_eq!((status.connection, status.carries), (2, carries::PART));
    let lost: Vec<u16> = downs.map(|event| event.instrument).collect();
    assert_eq!(lost, (SECOND..SYMBOLS).collect::<Vec<_>>());
    let gaps = of_kind(Kind::Gap).filter(|event| is_down(event.body::<Gap>().reason));
    let gaps: Vec<u16> = gaps.map(|event| event.instrument).collect();
    assert_eq!(gaps, lost);
    let limited = |event: &&Event| {
        let status: &VenueStatus = event.body();
        status.reason == Reason::RateLimited as u16 || status.reason == Reason::Banned as u16
    };
    assert_eq!(of_kind(Kind::VenueStatus).filter(limited).count(), 0);
    let snapshots = of_kind(Kind::DepthHead).filter(|event| event.has(flags::SNAPSHOT));
    let ids: Vec<u64> = snapshots.map(|event| event.body::<DepthHead>().last_id).collect();
    assert!(ids.len() >= usize::from(SYMBOLS + SYMBOLS - SECOND), "one for each whole book");
}
