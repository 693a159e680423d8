//! A session against its backtest: where the difference of their profits comes from.
//!
//! ```text
//!   backtest          the session's market through the stages and the paper venue, as configured
//!      │ latency      ─────────────────────────────────────────────────────────────
//!   backtest, with the latencies that were measured
//!      │ decisions    ──── orders that other fills, or another signal, led to ─────
//!   the session's own orders at the paper venue, each when it arrived
//!      │ price, queue, taking, rejections, fees, funding     order by order ───────
//!   the session
//! ```
//! Each step is a difference of two whole numbers, so that the parts sum to the whole exactly.

use super::books::{Books, fee, last_prices, money, worth};
use super::recorded::{Fill, Recorded, Request};
use super::shadow;
use anyhow::{Result, ensure};
use peregrine::base::event::{FundingPayment, OrderReport, Prediction, flags};
use peregrine::base::settings::PaperSettings;
use peregrine::base::{Kind, Money, Nanos, TimeInForce};
use peregrine::execution::Signer;
use peregrine::journal::LaneReader;
use peregrine::runtime::assemble::Parts;
use peregrine::runtime::backtest::{Again, BacktestOrder, Source, run};
use peregrine::runtime::config::Loaded;
use peregrine::runtime::own::OwnModels;
use peregrine::runtime::recover::Carried;
use peregrine::runtime::replay::verify;
use peregrine::venue::paper::{Latencies, Latency};
use std::collections::BTreeSet;
use std::path::Path;

/// Names of the parts, in the order of [`Attribution::parts`].
pub const PARTS: [&str; 8] =
    ["decisions", "latency", "price", "queue", "taking", "rejections", "fees", "funding"];

const DECISIONS: usize = 0;
const LATENCY: usize = 1;
const PRICE: usize = 2;
const QUEUE: usize = 3;
const TAKING: usize = 4;
const REJECTIONS: usize = 5;
const FEES: usize = 6;
const FUNDING: usize = 7;

/// The parts of a difference, 1e-16 of quote currency.
pub type Split = [i128; PARTS.len()];

/// What was counted beside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Records that come out otherwise when the session's inputs are run again.
    pub replay_differences: u64,
    /// Answers of the model that the backtest does not have, or has otherwise.
    pub signals_off: u64,
    /// Requests of the session, and of the backtest with the measured latencies.
    pub requests: [usize; 2],
    /// Fills of the session, and of that backtest.
    pub fills: [usize; 2],
    /// Requests of the session without an answer.
    pub unanswered: usize,
}

/// See the head of this file.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// Symbols, in table order.
    pub symbols: Vec<String>,
    /// Profit of the session by instrument, 1e-16.
    pub session: Vec<i128>,
    /// Profit of the backtest by instrument.
    pub backtest: Vec<i128>,
    /// The parts by instrument.
    pub splits: Vec<Split>,
    /// What was counted beside.
    pub counts: Counts,
}

/// The parts of all instruments as money: they and the rounding sum to the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Session less backtest.
    pub difference: Money,
    /// By name.
    pub parts: Vec<(&'static str, Money)>,
    /// What rounding each part down to 1e-8 leaves.
    pub rounding: Money,
}

impl Attribution {
    /// All instruments together.
    pub fn parts(&self) -> Split {
        let mut sum = Split::default();
        for split in &self.splits {
            sum.iter_mut().zip(split).for_each(|(sum, part)| *sum += part);
        }
        sum
    }

    /// All instruments together, as money.
    pub fn whole(&self) -> Whole {
        let split = self.parts();
        let whole: i128 = split.iter().sum();
        let difference = money(whole).0;
        let parts: Vec<(&str, Money)> =
            PARTS.into_iter().zip(split.map(|part| money(part).0)).collect();
        let told: i64 = parts.iter().map(|(_, part)| part.0).sum();
        Whole { difference, parts, rounding: Money(difference.0 - told) }
    }
}

/// Attributes the session in the journal `dir`. `fills` are the backtest's models where they are
/// not those of the session's own configuration.
///
/// # Errors
/// A journal that cannot be read, or a session that began with positions of an earlier one.
pub fn attribute(dir: &Path, fills: Option<PaperSettings>) -> Result<Attribution> {
    let session = Recorded::read(dir)?;
    ensure!(
        !session.is_carried,
        "{}: it began with positions or orders of an earlier session, which no backtest has",
        dir.display()
    );
    let settings = fills.unwrap_or(session.loaded.settings.paper);
    let work = tempfile::tempdir()?;
    let configured = again(&session, settings, None, &work.path().join("configured"))?;
    let measured = latencies(&session);
    let timed = again(&session, settings, Some(measured), &work.path().join("timed"))?;
    let own = books_of(&session)?;
    let orders = shadow_books(&session, settings)?;
    let lasts = last_prices(dir, session.instruments.len())?;
    let by_model = (books_of(&configured)?, books_of(&timed)?);
    let mut found = Attribution {
        symbols: session.instruments.iter().map(|facts| facts.symbol.to_string()).collect(),
        session: Vec::new(),
        backtest: Vec::new(),
        splits: Vec::new(),
        counts: counts(&session, &timed)?,
    };
    for (instrument, &last) in lasts.iter().enumerate() {
        let instrument = u16::try_from(instrument)?;
        let profit = |books: &Books| books.profit(instrument, last);
        let mut split = by_order((&own, &orders), &session.requests, instrument, last);
        split[LATENCY] = profit(&by_model.1) - profit(&by_model.0);
        split[DECISIONS] = profit(&orders) - profit(&by_model.1);
        found.session.push(profit(&own));
        found.backtest.push(profit(&by_model.0));
        let whole = profit(&own) - profit(&by_model.0);
        ensure!(split.iter().sum::<i128>() == whole, "the parts do not sum to the whole");
        found.splits.push(split);
    }
    Ok(found)
}

/// The session's market through the stages once more.
fn again(
    session: &Recorded,
    paper: PaperSettings,
    latencies: Option<Latencies>,
    journal: &Path,
) -> Result<Recorded> {
    let Loaded { mut settings, text } = session.loaded.clone();
    settings.paper = paper;
    let mut parts = Parts {
        settings,
        text: text.clone(),
        instruments: session.instruments.clone(),
        files: session.files.clone(),
        own: OwnModels::default(),
        epoch: session.start.epoch,
        mode: session.start.mode,
        carried: Carried::fresh(session.start.account),
        signer: Signer::paper(),
    };
    parts.own = OwnModels::of_journal(&session.dir, &parts.symbols(), &parts.terms())?;
    let dir = session.dir.clone();
    let source = Source::Journal(Again { dir, as_session: true, latencies, config_text: text });
    let journal = journal.to_path_buf();
    let order =
        BacktestOrder { source, journal: journal.clone(), from: None, to: None, audit: None };
    run(&parts, &order)?;
    Recorded::read(&journal)
}

/// What requests and reports of the session took, by their time.
fn latencies(session: &Recorded) -> Latencies {
    let answered = || session.requests.iter().filter_map(|r| Some((r, r.answer?)));
    let least = |latency: Nanos| latency.max(Nanos::ZERO);
    let order: Vec<(Nanos, Nanos)> =
        answered().map(|(r, answer)| (r.sent_at, least(answer.acted - r.sent_at))).collect();
    let mut report: Vec<(Nanos, Nanos)> =
        answered().map(|(_, answer)| (answer.acted, least(answer.heard - answer.acted))).collect();
    report.sort_by_key(|(at, _)| *at);
    Latencies { order: Latency::Recorded(order), report: Latency::Recorded(report) }
}

/// The books of a session, out of its own records.
fn books_of(session: &Recorded) -> Result<Books> {
    let mut books = Books::default();
    session.fills.iter().for_each(|fill| books.fill(*fill));
    for (instrument, amount) in &session.funding {
        books.pay(*instrument, i64::try_from(*amount)?);
    }
    let refused = |r: &&Request| !r.is_cancel && r.answer.is_some_and(|answer| answer.is_refused);
    for request in session.requests.iter().filter(refused) {
        let report = OrderReport { client_id: request.order().client_id, ..OrderReport::default() };
        books.refuse(request.event.instrument, &report);
    }
    Ok(books)
}

/// The books of the session's own orders at the paper venue.
fn shadow_books(session: &Recorded, settings: PaperSettings) -> Result<Books> {
    let mut books = Books::default();
    let arrivals = shadow::arrivals(&session.requests);
    let mut venues = [shadow::venue(&session.instruments, settings)];
    let mut hear = |_: usize, event: &peregrine::base::Event| match event.kind() {
        Some(Kind::OrderFilled) => books.fill(Fill::of(event, Nanos(event.ts_venue))),
        Some(Kind::OrderRejected) => books.refuse(event.instrument, event.body()),
        Some(Kind::FundingPayment) if event.flags & flags::SNAPSHOT == 0 => {
            books.pay(event.instrument, event.body::<FundingPayment>().amount);
        }
        _ => {}
    };
    shadow::run(session, &arrivals, &mut venues, &mut hear, &mut |_: shadow::Seen<'_>| {})?;
    Ok(books)
}

/// What differs between the session and its own orders at the paper venue.
fn by_order(
    (real, model): (&Books, &Books),
    requests: &[Request],
    instrument: u16,
    last: i64,
) -> Split {
    let mut split = Split::default();
    let none = super::books::OrderLine::default();
    let mut ids: Vec<u64> = real.orders.keys().chain(model.orders.keys()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let rests = [TimeInForce::Gtc as u8, TimeInForce::Gtx as u8];
    let resting = requests.iter().filter(|r| !r.is_cancel).map(Request::order);
    let resting = resting.filter(|order| rests.contains(&order.time_in_force));
    let resting: BTreeSet<u64> = resting.map(|order| order.client_id).collect();
    for id in ids {
        let ours = real.orders.get(&id).unwrap_or(&none);
        let theirs = model.orders.get(&id).unwrap_or(&none);
        if ![ours.instrument, theirs.instrument].contains(&instrument)
            || (ours.fills.is_empty() && theirs.fills.is_empty())
        {
            continue;
        }
        let common = qty_of(&ours.fills).min(qty_of(&theirs.fills));
        let (same, more) = cut(&ours.fills, common, last);
        let (same_model, less) = cut(&theirs.fills, common, last);
        split[PRICE] += same - same_model;
        let part = if ours.is_refused != theirs.is_refused {
            REJECTIONS
        } else if resting.contains(&id) {
            QUEUE
        } else {
            TAKING
        };
        split[part] += more - less;
        let fees = |fills: &[Fill]| fills.iter().map(fee).sum::<i128>();
        split[FEES] += fees(&theirs.fills) - fees(&ours.fills);
    }
    let funding = |books: &Books| books.funding.get(&instrument).copied().unwrap_or(0);
    split[FUNDING] = funding(real) - funding(model);
    split
}

fn qty_of(fills: &[Fill]) -> i64 {
    fills.iter().map(|fill| fill.qty).sum()
}

/// What the first `qty` of fills is worth, and the rest.
fn cut(fills: &[Fill], qty: i64, last: i64) -> (i128, i128) {
    let (mut left, mut first, mut rest) = (qty, 0, 0);
    for fill in fills {
        let taken = fill.qty.min(left);
        left -= taken;
        first += worth(fill, taken, last);
        rest += worth(fill, fill.qty - taken, last);
    }
    (first, rest)
}

fn counts(session: &Recorded, timed: &Recorded) -> Result<Counts> {
    let answered = session.requests.iter().filter(|request| request.answer.is_some()).count();
    Ok(Counts {
        replay_differences: verify(&session.dir)?.differences,
        signals_off: signals_off(&session.dir, &timed.dir)?,
        requests: [session.requests.len(), timed.requests.len()],
        fills: [session.fills.len(), timed.fills.len()],
        unanswered: session.requests.len() - answered,
    })
}

/// An answer of the model: when, of what, on which row, and its bits.
type Said = (i64, u16, u64, [u32; 3]);

/// Answers of the model that are not the same in both: the model knows the market alone, so that
/// there should be none whatever became of orders.
fn signals_off(one: &Path, other: &Path) -> Result<u64> {
    let answers = |dir: &Path| -> Result<Vec<Said>> {
        let mut answers = Vec::new();
        for item in LaneReader::open(dir, 1)? {
            let event = item?.1;
            if event.kind() == Some(Kind::Prediction) {
                let said: &Prediction = event.body();
                let bits = said.probability.map(f32::to_bits);
                answers.push((event.ts_recv, event.instrument, said.features_hash, bits));
            }
        }
        Ok(answers)
    };
    let (one, other) = (answers(one)?, answers(other)?);
    let off = one.iter().zip(&other).filter(|(one, other)| one != other).count();
    Ok((off + one.len().abs_diff(other.len())) as u64)
}
