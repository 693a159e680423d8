//! A session as its journal has it.
//!
//! ```text
//!   lane 3  intent ──────────► Request: what, and when it was decided
//!   lane 0  first report ────► Answer:  when the venue acted, when we heard
//!           fills, funding
//! ```
//! The venue's clock is not ours. What the market's own events are late by, in the venue's time,
//! holds the same offset with the opposite sign, so that the sum of both has none: an order arrives
//! at the time, on our clock, at which we see what the market does at that moment. The paper venue
//! acts on what we see, so there is nothing to add.

use anyhow::{Context, Result, ensure};
use peregrine::base::event::{
    Event, FundingPayment, Order, OrderReport, Sent, SessionStart, flags,
};
use peregrine::base::settings::InstrumentSettings;
use peregrine::base::{Kind, Nanos};
use peregrine::journal::{LaneReader, read_attachment};
use peregrine::model::ArtifactFiles;
use peregrine::runtime::backtest::Again;
use peregrine::runtime::config::{self, Loaded};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Delays of market events that are kept at most; when they are used up every other one goes.
const DELAYS_MAX: usize = 1 << 18;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The journal's folder.
    pub dir: PathBuf,
    /// Its first record.
    pub start: SessionStart,
    /// What may be traded, in table order.
    pub instruments: Vec<InstrumentSettings>,
    /// The configuration it ran with.
    pub loaded: Loaded,
    /// The model it ran with.
    pub files: ArtifactFiles,
    /// It began with positions or orders of an earlier session.
    pub is_carried: bool,
    /// What left for the venue, in order.
    pub requests: Vec<Request>,
    /// Fills, in the order in which we heard of them.
    pub fills: Vec<Fill>,
    /// Funding received by instrument, 1e-8.
    pub funding: BTreeMap<u16, i128>,
    /// When each order that ended did, on our clock, and the report that said so.
    pub ended: BTreeMap<u64, (Nanos, Kind)>,
    /// By how much market events were late, ascending: our receipt less the venue's time. Holds the
    /// offset of the clocks.
    pub delays: Vec<i64>,
}

/// An order or a cancel that left.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The intent: an `Order` body.
    pub event: Event,
    /// Takes an order back.
    pub is_cancel: bool,
    /// Receipt of the input that caused it.
    pub sent_at: Nanos,
    /// What the venue said first.
    pub answer: Option<Answer>,
}

/// The first report on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When the venue acted, on our clock.
    pub acted: Nanos,
    /// When we heard.
    pub heard: Nanos,
    /// It was refused.
    pub is_refused: bool,
}

/// An execution of an order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Our id of the order.
    pub client_id: u64,
    /// Place in the instrument table.
    pub instrument: u16,
    /// 1 bought, −1 sold.
    pub sign: i64,
    /// Quantity, 1e-8.
    pub qty: i64,
    /// Price, 1e-8.
    pub px: i64,
    /// Fee paid, 1e-8.
    pub fee: i64,
    /// We were the maker.
    pub is_maker: bool,
    /// When the venue acted, on our clock.
    pub acted: Nanos,
}

impl Request {
    /// The order.
    pub fn order(&self) -> &Order {
        self.event.body()
    }
}

impl Fill {
    /// The fill that a report tells.
    pub fn of(event: &Event, acted: Nanos) -> Self {
        let report: &OrderReport = event.body();
        Self {
            client_id: report.client_id,
            instrument: event.instrument,
            sign: event.side().sign(),
            qty: report.last_qty,
            px: report.last_px,
            fee: report.fee,
            is_maker: event.has(flags::MAKER),
            acted,
        }
    }
}

impl Recorded {
    /// Reads a journal.
    ///
    /// # Errors
    /// Damage, an opening that is not whole, attachments that do not fit.
    pub fn read(dir: &Path) -> Result<Self> {
        Self::read_named(dir).with_context(|| dir.display().to_string())
    }

    fn read_named(dir: &Path) -> Result<Self> {
        let (_, first) = LaneReader::open(dir, 0)?.next().context("lane 0 is empty")??;
        let text = |name: &str| -> Result<String> {
            String::from_utf8(read_attachment(dir, name)?).with_context(|| name.to_owned())
        };
        let onnx = read_attachment(dir, "model.onnx")?;
        let mut recorded = Self {
            dir: dir.to_path_buf(),
            // A lane that does not begin with its session is refused here.
            instruments: Again::market(dir).instruments()?,
            start: *first.body(),
            loaded: config::from_text("config.toml", &text("config.toml")?)?,
            files: ArtifactFiles::from_bytes(onnx, text("card.toml")?)?,
            is_carried: false,
            requests: requests(dir)?,
            fills: Vec::new(),
            funding: BTreeMap::new(),
            ended: BTreeMap::new(),
            delays: Vec::new(),
        };
        recorded.delays = delays(dir)?;
        recorded.reports()?;
        Ok(recorded)
    }

    /// Middle of the delays of market events; zero without any.
    pub fn delay(&self) -> i64 {
        self.delays.get(self.delays.len() / 2).copied().unwrap_or(0)
    }

    /// A report's time of action on our clock.
    fn acted(&self, event: &Event) -> Nanos {
        let told = event.ts_venue != 0;
        let late = if event.has(flags::PAPER) { 0 } else { self.delay() };
        if told { Nanos(event.ts_venue + late) } else { event.now() }
    }

    fn reports(&mut self) -> Result<()> {
        let (mut orders, mut cancels) = (BTreeMap::new(), BTreeMap::new());
        for (index, request) in self.requests.iter().enumerate() {
            let of = if request.is_cancel { &mut cancels } else { &mut orders };
            of.insert(request.order().client_id, index);
        }
        for item in LaneReader::open(&self.dir.clone(), 0)? {
            let event = item?.1;
            let Some(kind) = event.kind() else { continue };
            match kind {
                Kind::PositionCarried | Kind::OrderCarried => self.is_carried = true,
                Kind::FundingPayment if event.flags & flags::SNAPSHOT == 0 => {
                    let amount = event.body::<FundingPayment>().amount;
                    *self.funding.entry(event.instrument).or_default() += i128::from(amount);
                }
                Kind::OrderAccepted
                | Kind::OrderFilled
                | Kind::OrderCancelled
                | Kind::OrderRejected
                | Kind::OrderExpired
                | Kind::CancelRejected => self.report(kind, &event, &orders, &cancels),
                _ => {}
            }
        }
        Ok(())
    }

    fn report(
        &mut self,
        kind: Kind,
        event: &Event,
        orders: &BTreeMap<u64, usize>,
        cancels: &BTreeMap<u64, usize>,
    ) {
        let report: &OrderReport = event.body();
        let acted = self.acted(event);
        let is_of_cancel = matches!(kind, Kind::OrderCancelled | Kind::CancelRejected);
        let is_refused = matches!(kind, Kind::OrderRejected | Kind::CancelRejected);
        let of = if is_of_cancel { cancels } else { orders };
        if let Some(&index) = of.get(&report.client_id) {
            let answer = Answer { acted, heard: event.now(), is_refused };
            self.requests[index].answer.get_or_insert(answer);
        }
        if kind == Kind::OrderFilled {
            self.fills.push(Fill::of(event, acted));
        }
        let is_whole = kind == Kind::OrderFilled && report.cum_qty >= report.qty;
        let is_over = is_whole
            || matches!(kind, Kind::OrderCancelled | Kind::OrderRejected | Kind::OrderExpired);
        if is_over {
            self.ended.entry(report.client_id).or_insert((acted, kind));
        }
    }
}

/// What left, from lane 3: an intent without bytes behind it did not.
fn requests(dir: &Path) -> Result<Vec<Request>> {
    let mut requests: Vec<Request> = Vec::new();
    let mut waits: Option<Request> = None;
    for item in LaneReader::open(dir, 3)? {
        let event = item?.1;
        match event.kind() {
            Some(kind @ (Kind::OrderIntent | Kind::CancelIntent)) => {
                let is_cancel = kind == Kind::CancelIntent;
                waits = Some(Request { event, is_cancel, sent_at: event.now(), answer: None });
            }
            Some(Kind::Sent) => {
                let id = event.body::<Sent>().client_id;
                requests.extend(waits.take().filter(|request| request.order().client_id == id));
            }
            _ => {}
        }
    }
    ensure!(requests.is_sorted_by_key(|request| request.sent_at), "lane 3 runs backward");
    Ok(requests)
}

fn delays(dir: &Path) -> Result<Vec<i64>> {
    let (mut delays, mut every, mut number) = (Vec::new(), 1_u64, 0_u64);
    for item in LaneReader::open(dir, 0)? {
        let event = item?.1;
        let is_quick = matches!(
            event.kind(),
            Some(Kind::BookTicker | Kind::Trade | Kind::AggTrade | Kind::DepthHead)
        );
        if !is_quick || event.ts_venue == 0 {
            continue;
        }
        if number.is_multiple_of(every) {
            delays.push(event.ts_recv - event.ts_venue);
        }
        number += 1;
        if delays.len() >= DELAYS_MAX {
            let mut place = 0_u64;
            delays.retain(|_| {
                place += 1;
                place % 2 == 1
            });
            every *= 2;
        }
    }
    delays.sort_unstable();
    Ok(delays)
}
