//! What a seed does to a session: a random few of all faults, each at a random rate, up to a time;
//! then nothing goes wrong any more.

use super::net::{Cut, Line, Manner};
use peregrine::base::{InstrumentId, Nanos, SymbolState};
use peregrine::exchange::fault::Fault;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// Everything before this time may go wrong.
pub const SAFETY: Nanos = Nanos::from_secs(40);
/// How long after it the session may take to agree with the exchange.
pub const LIVENESS: Nanos = Nanos::from_secs(30);

/// What is done to the session itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// The process dies and is started again; so many of its newest inputs are not on disk, where
    /// the machine lost its power.
    Crash { lost: u64 },
    /// The thread of the feed panics at its so many-th look at the clock: anywhere in a turn.
    Panic { reads: u32 },
    /// The process is told to end, and is started again.
    Restart,
    /// An operator's command.
    Command { verb: u32 },
    /// An operator's order about a symbol.
    Symbol { instrument: InstrumentId, state: SymbolState, flat: bool },
    /// The process stands still, and goes on as if nothing had been.
    Pause { ms: i64 },
    /// The wall clock jumps.
    Jump { ms: i64 },
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How each line behaves, by its number.
    pub manners: [Manner; 4],
    /// Ends of connections, in order of time.
    pub cuts: Vec<Cut>,
    /// Faults of the exchange.
    pub faults: Vec<Fault>,
    /// Deeds, in order of time.
    pub deeds: Vec<(Nanos, Deed)>,
    /// How the session is set.
    pub setting: Setting,
}

/// How a session is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Orders go over the trading API, not as REST requests.
    pub api: bool,
    /// Age at which connections are renewed, in seconds.
    pub age_s: u32,
    /// Distance of the protective stops, in basis points; 0 for none.
    pub stop_bps: u32,
    /// Time after which the exchange takes back all orders by itself, in milliseconds; 0 for never.
    pub dead_man_ms: u32,
}

impl Setting {
    /// Connections that are renewed once a day, and nothing beside.
    pub const PLAIN: Self = Self { api: false, age_s: 82_800, stop_bps: 0, dead_man_ms: 0 };

    fn draw(draw: &mut Draw) -> Self {
        let ages = [6, 9, 15, 25, 82_800, 82_800];
        Self {
            api: draw.has(0.5),
            age_s: *ages.choose(&mut draw.0).expect("six"),
            stop_bps: if draw.has(0.5) { draw.0.random_range(20..=300) } else { 0 },
            dead_man_ms: if draw.has(0.5) { draw.0.random_range(6_000..=20_000) } else { 0 },
        }
    }
}

const LINES: [Line; 4] = [Line::Market, Line::Private, Line::Entry, Line::Rest];

struct Draw(ChaCha8Rng);

impl Draw {
    /// Whether a kind of fault is there in this seed.
    fn has(&mut self, p: f64) -> bool {
        self.0.random_bool(p)
    }

    fn ms(&mut self, from: i64, to: i64) -> Nanos {
        Nanos::from_millis(self.0.random_range(from..=to))
    }

    /// A time within the safety phase, not at once: first there is something to lose.
    fn time(&mut self) -> Nanos {
        self.ms(3_000, SAFETY.to_millis() - 500)
    }

    fn rate(&mut self, most: f64) -> f64 {
        self.0.random_range(0.0..most)
    }
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(seed ^ 0x706c_616e));
        let manners = manners(&mut draw);
        let cuts = cuts(&mut draw);
        let faults = faults(&mut draw);
        let deeds = deeds(&mut draw);
        // What came later draws from a stream of its own: the above stays what it was.
        let mut more = Draw(ChaCha8Rng::seed_from_u64(seed ^ 0x6d6f_7265));
        let setting = Setting::draw(&mut more);
        let mut plan = Self { manners, cuts, faults, deeds, setting };
        plan.storms(&mut more);
        plan.nonsense(&mut more);
        if more.has(0.1) {
            let (at, reads) = (more.time(), more.0.random_range(1..=40));
            plan.deeds.push((at, Deed::Panic { reads }));
            plan.deeds.sort_by_key(|(at, _)| *at);
        }
        plan
    }

    /// Market frames that cannot be understood, or say more than is known.
    fn nonsense(&mut self, draw: &mut Draw) {
        let market = json!({"on": "ws", "stream": "*@*"});
        for kind in [
            "unknown_field",
            "unknown_event",
            "missing_field",
            "wrong_type",
            "wrong_symbol",
            "huge_id",
            "zero_price",
            "negative_price",
        ] {
            if draw.has(0.05) {
                let rate = draw.rate(0.04);
                let when = json!({"target": market, "probability": rate});
                self.faults.push(fault(kind, json!({}), when));
            }
        }
    }

    /// Connections that are cut again and again for a while: all of a line, or one of them, which
    /// is another one where a renewal is under way.
    fn storms(&mut self, draw: &mut Draw) {
        for line in [Line::Market, Line::Private, Line::Entry] {
            if !draw.has(if line == Line::Market { 0.25 } else { 0.12 }) {
                continue;
            }
            let mut at = draw.time();
            for _ in 0..draw.0.random_range(5..=30) {
                at = at + draw.ms(50, 1_500);
                let (half_open, only) = (draw.has(0.15), draw.has(0.5));
                let only = only.then(|| draw.0.random_range(0..4));
                if at < SAFETY {
                    self.cuts.push(Cut { at, line, only, half_open });
                }
            }
        }
        self.cuts.sort_by_key(|cut| cut.at);
    }

    /// A plan in which nothing goes wrong.
    pub fn calm() -> Self {
        let quick = Manner { delay: Nanos::from_millis(2), ..Manner::default() };
        let manners = LINES.map(|_| quick.clone());
        let (cuts, faults, deeds) = (Vec::new(), Vec::new(), Vec::new());
        Self { manners, cuts, faults, deeds, setting: Setting::PLAIN }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:?}", self.setting)?;
        for (line, manner) in LINES.iter().zip(&self.manners) {
            writeln!(f, "{line:?}: {manner:?}")?;
        }
        for cut in &self.cuts {
            writeln!(f, "{} ms: {cut:?}", cut.at.to_millis())?;
        }
        for fault in &self.faults {
            writeln!(f, "{}", fault.to_json())?;
        }
        for (at, deed) in &self.deeds {
            writeln!(f, "{} ms: {deed:?}", at.to_millis())?;
        }
        Ok(())
    }
}

fn manners(draw: &mut Draw) -> [Manner; 4] {
    LINES.map(|line| {
        let mut manner = Manner { delay: draw.ms(1, 20), ..Manner::default() };
        if draw.has(0.4) {
            manner.jitter = draw.ms(1, if line == Line::Market { 300 } else { 1_500 });
        }
        if draw.has(0.3) {
            for _ in 0..draw.0.random_range(1..=3) {
                let from = draw.time();
                let until = (from + draw.ms(100, 12_000)).min(SAFETY);
                manner.down.push((from, until));
            }
        }
        if matches!(line, Line::Entry | Line::Rest) && draw.has(0.4) {
            manner.request_loss = draw.rate(0.2);
            manner.answer_loss = draw.rate(0.2);
        }
        if draw.has(0.2) {
            manner.refusal = draw.rate(0.8);
        }
        manner
    })
}

fn cuts(draw: &mut Draw) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for line in [Line::Market, Line::Private] {
        if draw.has(0.4) {
            for _ in 0..draw.0.random_range(1..=4) {
                let (at, half_open) = (draw.time(), draw.has(0.4));
                cuts.push(Cut { at, line, only: None, half_open });
            }
        }
    }
    cuts.sort_by_key(|cut| cut.at);
    cuts
}

/// Faults of the exchange: kind, target, how often it may be there, its numbers.
fn faults(draw: &mut Draw) -> Vec<Fault> {
    let orders = json!({"path": "/fapi/v1/order"});
    let rest = json!("rest");
    let market = json!({"on": "ws", "stream": "*@*"});
    let own = json!({"route": "private"});
    let at_random: [(&str, &Value, f64, Value); 22] = [
        ("lost_request", &rest, 0.1, json!({})),
        ("unavailable", &rest, 0.15, json!({})),
        ("overloaded", &orders, 0.15, json!({})),
        ("internal_error", &rest, 0.15, json!({})),
        ("rate_limited", &rest, 0.08, json!({"retry_after_s": 2})),
        ("banned", &rest, 0.03, json!({"ms": 5_000})),
        ("unknown_after_accept", &orders, 0.2, json!({})),
        ("timeout_after_accept", &orders, 0.2, json!({})),
        ("gateway_after_accept", &rest, 0.15, json!({})),
        ("empty_body", &rest, 0.15, json!({})),
        ("truncated_json", &rest, 0.15, json!({})),
        ("close_after_accept", &orders, 0.15, json!({})),
        ("lost_answer", &rest, 0.15, json!({})),
        ("query_lag", &rest, 0.15, json!({"ms": 1_000})),
        ("cancel_stays", &rest, 0.1, json!({})),
        ("late_fill", &rest, 0.1, json!({"ms": 300})),
        ("gap", &market, 0.2, json!({})),
        ("duplicate", &market, 0.1, json!({})),
        ("duplicate", &own, 0.2, json!({})),
        ("malformed_json", &market, 0.1, json!({})),
        ("unknown_field", &own, 0.15, json!({})),
        ("malformed_json", &own, 0.05, json!({})),
    ];
    let mut found = Vec::new();
    for (kind, target, p, numbers) in at_random {
        if draw.has(p) {
            let rate = draw.rate(0.15);
            found.push(fault(kind, numbers, json!({"target": target, "probability": rate})));
        }
    }
    // A foreign order of about 60 USDT fits under the limit beside a position of ours.
    let sizes = [("BTCUSDT", "0.001"), ("ETHUSDT", "0.024")];
    let (symbol, few) = *sizes.choose(&mut draw.0).expect("two");
    let bps = draw.0.random_range(-200..=200);
    let at_times: [(&str, f64, Value); 8] = [
        ("expire_listen_key", 0.15, json!({})),
        ("halt", 0.1, json!({"symbol": symbol})),
        ("price_spike", 0.1, json!({"symbol": symbol, "bps": bps})),
        ("mark_divergence", 0.1, json!({"symbol": symbol, "bps": bps})),
        ("funding_spike", 0.05, json!({"symbol": symbol, "bps": 50})),
        ("clock_skew", 0.1, json!({"ms": bps * 20})),
        ("outage", 0.03, json!({})),
        ("foreign_order", 0.03, json!({"symbol": symbol, "side": "BUY", "quantity": few})),
    ];
    for (kind, p, numbers) in at_times {
        if draw.has(p) {
            let from = draw.time();
            let until = (from + draw.ms(200, 10_000)).min(SAFETY).to_millis();
            let times = json!({"from": from.to_millis(), "until": until});
            found.push(fault(kind, numbers, times));
        }
    }
    found
}

/// A fault out of its tables, over by the end of the safety phase.
pub fn fault(kind: &str, numbers: Value, when: Value) -> Fault {
    let mut table = serde_json::Map::new();
    table.insert("kind".to_owned(), json!(kind));
    table.insert("until".to_owned(), json!(SAFETY.to_millis()));
    for part in [numbers, when] {
        let Value::Object(part) = part else { continue };
        table.extend(part);
    }
    Fault::parse(&table, Nanos::ZERO).unwrap_or_else(|why| panic!("{kind}: {why:?}"))
}

fn deeds(draw: &mut Draw) -> Vec<(Nanos, Deed)> {
    let mut deeds = Vec::new();
    if draw.has(0.5) {
        for _ in 0..draw.0.random_range(1..=2) {
            let lost = if draw.has(0.2) { draw.0.random_range(1..=400) } else { 0 };
            deeds.push((draw.time(), Deed::Crash { lost }));
        }
    }
    if draw.has(0.1) {
        deeds.push((draw.time(), Deed::Restart));
    }
    if draw.has(0.25) {
        for _ in 0..draw.0.random_range(1..=3) {
            let verb = draw.0.random_range(1..=5);
            deeds.push((draw.time(), Deed::Command { verb }));
        }
    }
    if draw.has(0.2) {
        for _ in 0..draw.0.random_range(1..=2) {
            let ms = draw.0.random_range(-3_000..=3_000);
            deeds.push((draw.time(), Deed::Jump { ms }));
        }
    }
    deeds.sort_by_key(|(at, _)| *at);
    deeds
}
