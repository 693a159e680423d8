//! Whose position is whose, from the records of the stages: a position belongs, until it is flat,
//! to the model whose entry opened it, whoever leaves it.
//!
//! ```text
//!  lane 2  approved entries: whose model ─┐
//!          positions: profit so far ──────┴► what came of each model's positions
//!  lane 1  predictions: the touch ────────► what the open ones are worth
//! ```

use crate::base::event::{Event, Kind, Order, Position, Prediction};
use crate::base::{InstrumentId, Purpose};

/// See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Books {
    books: Vec<Book>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Book {
    /// Profit less fees, and funding, so far, 1e-8.
    net: i64,
    /// What `net` was when the position was opened.
    opened: i64,
    /// Model of the newest entry, and of the one that opened the position.
    wanted: u64,
    owner: u64,
    /// Signed position and what it was entered at, 1e-8.
    qty: i64,
    avg_px: i64,
    unrealised: i64,
}

/// What a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Whose position it was.
    pub owner: u64,
    /// By how much its closed profit changed, 1e-8.
    pub change: i64,
    /// Net profit of the round trip that ended with it, 1e-8; `None` where none did.
    pub closed: Option<i64>,
}

impl Books {
    /// `booked` is what each instrument's books begin with: profit less fees, and funding, 1e-8.
    pub fn new(booked: Vec<i64>) -> Self {
        let book = |net| Book { net, opened: net, ..Book::default() };
        Self { books: booked.into_iter().map(book).collect() }
    }

    /// A position that is there from the beginning: whose it is, how much at which price, and what
    /// its round trip has come to, 1e-8.
    pub fn carry(&mut self, place: InstrumentId, owner: u64, (qty, avg_px, trip): (i64, i64, i64)) {
        if let Some(book) = self.books.get_mut(place.index()) {
            let opened = book.net.saturating_sub(trip);
            *book = Book { opened, owner, wanted: owner, qty, avg_px, ..*book };
        }
    }

    /// Takes in a record of lane 1 or 2.
    pub fn note(&mut self, event: &Event) -> Option<Moved> {
        let book = self.books.get_mut(event.instrument().index())?;
        match event.kind()? {
            Kind::OrderApproved => {
                let order: &Order = event.body();
                if Purpose::from_u8(order.purpose).is_some_and(Purpose::is_entry) {
                    book.wanted = order.model_tag;
                }
                None
            }
            Kind::Prediction => {
                let told: &Prediction = event.body();
                if book.qty != 0 && told.bid_px > 0 && told.ask_px > 0 {
                    let middle = i128::from(told.bid_px) + i128::from(told.ask_px);
                    let apart = middle / 2 - i128::from(book.avg_px);
                    let worth = i128::from(book.qty) * apart / 100_000_000;
                    book.unrealised = i64::try_from(worth).unwrap_or(book.unrealised);
                }
                None
            }
            Kind::Position => Some(book.moved(event.body())),
            _ => None,
        }
    }

    /// What the open positions of a model are worth beyond what they cost, 1e-8.
    pub fn open(&self, tag: u64) -> i64 {
        let own = self.books.iter().filter(|book| book.qty != 0 && book.owner == tag);
        own.fold(0, |sum, book| sum.saturating_add(book.unrealised))
    }

    /// The same of everybody's, with all that was closed so far.
    pub fn all(&self) -> i64 {
        let worth = |book: &Book| book.net.saturating_add(book.unrealised);
        self.books.iter().fold(0, |sum, book| sum.saturating_add(worth(book)))
    }
}

impl Book {
    fn moved(&mut self, body: &Position) -> Moved {
        let held = self.qty != 0;
        if body.qty != 0 && !held {
            (self.owner, self.opened) = (self.wanted, self.net);
        }
        let net = body.realised.saturating_sub(body.fees).saturating_add(body.funding);
        let change = net.saturating_sub(std::mem::replace(&mut self.net, net));
        let turned = held && self.qty.signum() != body.qty.signum();
        let trip = net.saturating_sub(self.opened);
        let moved = Moved { owner: self.owner, change, closed: turned.then_some(trip) };
        if turned {
            // Turned around in one fill: the next round trip is that of the newest entry.
            (self.owner, self.opened) = (self.wanted, net);
        }
        (self.qty, self.avg_px) = (body.qty, body.avg_px);
        self.unrealised = if body.qty == 0 { 0 } else { body.unrealised };
        moved
    }
}
