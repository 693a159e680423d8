//! The journals of all sessions against the exchange's ledger, order by order and unit by unit.

use crate::records;
use anyhow::{Context, Result, bail};
use peregrine::base::event::{Instrument, Order, OrderReport, OrderState};
use peregrine::base::units::SCALE;
use peregrine::base::{ClientOrderId, Kind, Symbol};
use peregrine::execution::OrderState as State;
use peregrine::runtime::recover::{Carried, Chain};
use peregrine::runtime::statement::{Account, Statement, ToldAlgo};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Orders open on one side only, or filled otherwise than the journals say.
    pub lost: u64,
    /// Orders of one id, or of one decision, that the exchange took twice.
    pub duplicated: u64,
    /// Orders that no journal intended.
    pub phantom: u64,
    /// Amounts that differ: positions, cash, fees, funding.
    pub position_mismatches: u64,
    /// Orders of the exchange's ledger.
    pub orders: u64,
    /// Fills of the exchange's ledger.
    pub fills: u64,
    /// Orders whose outcome was unknown and came to be known.
    pub unknown_resolved: u64,
    /// Every finding in words.
    pub lines: Vec<String>,
}

/// What all journals together hold.
#[derive(Default)]
struct Journaled {
    /// Intents by id: epoch, number of the input, instrument, purpose.
    intents: BTreeMap<ClientOrderId, (u32, u64, u16, u8)>,
    /// Filled quantity and fees by id, each fill once.
    fills: BTreeMap<ClientOrderId, (i64, i64)>,
    seen: BTreeSet<(String, u64)>,
    unknown: BTreeSet<u64>,
    known_again: BTreeSet<u64>,
}

/// True for an order that the exchange still has on its book.
pub fn is_open(status: &str) -> bool {
    matches!(status, "NEW" | "PARTIALLY_FILLED")
}

/// Numbers of the orders that conditional ones became; each bears its parent's id.
pub fn children(account: &Account) -> BTreeSet<String> {
    let number = |algo: &ToldAlgo| algo.order_id.to_string().trim_matches('"').to_owned();
    account.algo_orders.iter().map(number).collect()
}

/// Compares; `journals` are the folders of one chain, the oldest first.
pub fn findings(ledger: &[u8], journals: &[PathBuf], api_key: &str) -> Result<Findings> {
    let ledger = Statement::read(ledger)?;
    if ledger.unit != SCALE || !ledger.balanced {
        bail!("the exchange's ledger is not balanced, or of another unit");
    }
    let account = ledger.account(api_key)?;
    if !account.forgotten.is_empty() {
        bail!("the exchange no longer tells every order: the campaign was too long for it");
    }
    let mut journaled = Journaled::default();
    for dir in journals {
        journaled.add(dir).with_context(|| dir.display().to_string())?;
    }
    let parent = journals.first().and_then(|dir| dir.parent()).context("no journals")?;
    let chain = Chain { name: "paper", at_venue: true };
    let end = Carried::read(parent, &chain, None)?;
    let mut found = Findings { orders: account.orders.len() as u64, ..Findings::default() };
    found.fills = account.orders.iter().map(|order| order.fills.len() as u64).sum();
    found.unknown_resolved = journaled.known_again.len() as u64;
    found.orders(account, &journaled, &end);
    found.amounts(account, &end);
    Ok(found)
}

impl Journaled {
    fn add(&mut self, dir: &Path) -> Result<()> {
        let inputs = records::lane(dir, 0)?;
        let mut symbols: Vec<String> = Vec::new();
        for event in &inputs {
            let report: &OrderReport = event.body();
            match event.kind() {
                Some(Kind::Instrument) => {
                    let symbol = Symbol::from_bytes(&event.body::<Instrument>().symbol);
                    symbols.push(symbol.unwrap_or_default().to_string());
                }
                Some(Kind::OrderFilled) => {
                    let symbol = symbols.get(event.instrument as usize).cloned();
                    if self.seen.insert((symbol.unwrap_or_default(), report.trade_id)) {
                        let id = ClientOrderId(report.client_id);
                        let (qty, fee) = self.fills.entry(id).or_default();
                        *qty += report.last_qty;
                        *fee += report.fee;
                    }
                }
                _ => {}
            }
        }
        for event in records::lane(dir, 3)? {
            if event.kind() == Some(Kind::OrderIntent) {
                let body: &Order = event.body();
                let told = (body.id().epoch(), event.seq, event.instrument, body.purpose);
                if self.intents.insert(body.id(), told).is_some() {
                    bail!("{} is intended twice", body.id());
                }
            }
            if event.kind() == Some(Kind::OrderState) {
                self.state(event.body());
            }
        }
        Ok(())
    }

    fn state(&mut self, moved: &OrderState) {
        if State::from_u8(moved.to) == Some(State::Unknown) {
            self.unknown.insert(moved.client_id);
        } else if self.unknown.contains(&moved.client_id) {
            self.known_again.insert(moved.client_id);
        }
    }
}

impl Findings {
    fn note(&mut self, line: String) {
        self.lines.push(line);
    }

    fn orders(&mut self, account: &Account, journaled: &Journaled, end: &Carried) {
        let mut ids = BTreeSet::new();
        let mut decisions = BTreeSet::new();
        let held: BTreeSet<u64> = end.orders.iter().map(|(_, _, order)| order.client_id).collect();
        let mut open_there = BTreeSet::new();
        let children = children(account);
        let plain = account.orders.iter().map(|order| {
            let child = children.contains(&order.order_id.to_string());
            (&order.client_id, is_open(&order.status), Some((order.filled, order.fee)), child)
        });
        let algo = account
            .algo_orders
            .iter()
            .map(|algo| (&algo.client_id, is_open(&algo.status), None, false));
        let mut filled_there = BTreeSet::new();
        for (text, is_open, filled, child) in plain.chain(algo) {
            let id = ClientOrderId::from_text(text.as_bytes());
            let intended = id.and_then(|id| Some((id, *journaled.intents.get(&id)?)));
            let Some((id, decision)) = intended else {
                if !child {
                    self.phantom += 1;
                    self.note(format!("{text}: no journal intended it"));
                }
                continue;
            };
            if !child && (!ids.insert(id) || !decisions.insert(decision)) {
                self.duplicated += 1;
                self.note(format!("{text}: twice at the exchange, by id or by decision"));
            }
            if let Some(filled) = filled {
                filled_there.insert(id);
                let own = journaled.fills.get(&id).copied().unwrap_or_default();
                if own != filled {
                    self.lost += 1;
                    self.note(format!("{text}: filled, fee {filled:?}; journals {own:?}"));
                }
            }
            if is_open {
                open_there.insert(id.0);
            }
        }
        for id in open_there.symmetric_difference(&held) {
            self.lost += 1;
            let there = open_there.contains(id);
            self.note(format!("{}: open at the exchange: {there}", ClientOrderId(*id)));
        }
        for (id, own) in &journaled.fills {
            if !filled_there.contains(id) && *own != (0, 0) {
                self.phantom += 1;
                self.note(format!("{id}: filled in the journals alone: {own:?}"));
            }
        }
    }

    fn amounts(&mut self, account: &Account, end: &Carried) {
        let sum = |part: fn(&peregrine::base::event::PositionCarried) -> i64| -> i64 {
            end.positions.iter().map(|(_, position)| part(position)).sum()
        };
        let mut compare = |what: String, venue: i64, journal: i64| {
            if venue != journal {
                self.position_mismatches += 1;
                self.lines.push(format!("{what}: {venue} at the exchange, {journal} here"));
            }
        };
        let symbols: BTreeSet<&str> = account
            .positions
            .iter()
            .map(|held| held.symbol.as_str())
            .chain(end.positions.iter().map(|(symbol, _)| symbol.as_str()))
            .collect();
        for symbol in symbols {
            let there = account.positions.iter().filter(|held| held.symbol == symbol);
            let here = end.positions.iter().filter(|(own, _)| own.as_str() == symbol);
            let there = there.map(|held| held.qty).sum();
            compare(format!("{symbol} position"), there, here.map(|(_, p)| p.qty).sum());
        }
        compare("fees".to_owned(), account.fees, sum(|p| p.fees));
        compare("funding".to_owned(), account.funding, sum(|p| p.funding));
        let open: i64 = account.positions.iter().map(|held| held.cost).sum();
        let cash = sum(|p| p.realised - p.cost - p.fees + p.funding);
        compare("cash flow".to_owned(), account.wallet - account.deposit - open, cash);
        let starting = end.session.starting_equity;
        compare("starting equity".to_owned(), account.deposit, starting);
    }
}
