//! Which instruments are exposed, as bits: whoever adds up what some of them come to does not look
//! at the hundreds that are flat.

use super::{Ledger, Position};
use crate::base::InstrumentId;

impl Ledger {
    /// Positions that are there or that live orders may make, with their places, in table order.
    pub fn exposed_positions(&self) -> impl Iterator<Item = (usize, &Position)> {
        self.exposed_bits.iter().enumerate().flat_map(move |(word, &bits)| {
            let mut left = bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                let place = word * 64 + bit;
                Some((place, self.positions.get(place)?))
            })
        })
    }

    /// Notes whether the instrument is one of them; after each change of its position or orders.
    pub(super) fn mark_exposed(&mut self, instrument: InstrumentId) {
        let place = instrument.index();
        let Some(position) = self.positions.get(place) else { return };
        let (word, bit) = (&mut self.exposed_bits[place / 64], 1 << (place % 64));
        if position.is_exposed() {
            *word |= bit;
        } else {
            *word &= !bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::{Order, OrderReport};
    use crate::base::{Event, Kind, Money};

    #[test]
    fn of_many_instruments_those_with_an_order_or_a_position_are_listed_in_table_order() {
        let mut ledger = Ledger::new(257, Money(1_000));
        let places = |ledger: &Ledger| -> Vec<usize> {
            ledger.exposed_positions().map(|(place, _)| place).collect()
        };
        for (id, place) in [(1, 256), (2, 63), (3, 64), (4, 0)] {
            let body = Order { client_id: id, px: 5, qty: 7, purpose: 1, ..Order::default() };
            let order = Event::new(Kind::OrderApproved, InstrumentId(place), &body);
            ledger.on_order_sent(&order).unwrap();
        }
        assert_eq!(places(&ledger), [0, 63, 64, 256]);
        let gone = OrderReport { client_id: 3, ..OrderReport::default() };
        ledger.on_event(&Event::new(Kind::OrderExpired, InstrumentId(64), &gone));
        assert_eq!(places(&ledger), [0, 63, 256]);
    }
}
