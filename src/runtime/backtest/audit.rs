//! What a market holds, counted beside the stages.

use crate::base::event::Event;
use crate::base::settings::InstrumentSettings;
use crate::book::Book;
use crate::venue::audit::MarketAudit;
use crate::venue::capture::DiscoveredInstrument;

/// What the data holds, counted beside the pipeline with books of its own.
pub(super) struct Audit {
    pub(super) counted: MarketAudit,
    pub(super) books: Vec<Book>,
}

impl Audit {
    pub(super) fn new(instruments: &[InstrumentSettings], found: &[DiscoveredInstrument]) -> Self {
        let known: Vec<DiscoveredInstrument> = instruments
            .iter()
            .map(|facts| {
                let seen = found.iter().find(|item| item.settings.symbol == facts.symbol);
                seen.cloned().unwrap_or_else(|| DiscoveredInstrument::unseen(*facts))
            })
            .collect();
        let books = instruments.iter().map(|_| Book::new(AUDIT_BOOK_LEVELS)).collect();
        Self { counted: MarketAudit::new(&known), books }
    }

    pub(super) fn on_event(&mut self, event: &Event) {
        if let Some(book) = self.books.get_mut(event.instrument().index()) {
            let _ = book.apply(event);
            self.counted.on_event(event, book);
        }
    }
}

/// Levels a side of the audit's books.
const AUDIT_BOOK_LEVELS: usize = 16_384;
