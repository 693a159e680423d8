//! Rings between threads, with their memory there from the start.
//!
//! A place of a ring that nobody has stored into yet has no memory behind it: the first store into
//! each page would wait for the system, on the path, and a session would grow until every ring has
//! gone round once, which takes hours where little happens.

use rtrb::{Consumer, Producer, RingBuffer};
use std::hint::black_box;
use std::mem::MaybeUninit;

/// Both ends of a ring for `places` messages, every one of which has been stored into once.
pub fn ring<T>(places: usize) -> (Producer<T>, Consumer<T>) {
    let (mut producer, consumer) = RingBuffer::new(places);
    if let Ok(mut all) = producer.write_chunk_uninit(places) {
        let (first, rest) = all.as_mut_slices();
        for place in [first, rest].into_iter().flatten() {
            // Hidden, or it might be taken together with the allocation: the system's zeros would
            // do, and no page be there. Nothing is handed over, so nobody ever reads it.
            *black_box(place) = MaybeUninit::zeroed();
        }
    }
    (producer, consumer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Event;

    /// Pages that this thread had to wait for since it began.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name in parentheses may hold spaces; `minflt` is the eighth field after it.
        let after = stat.rsplit(')').next().unwrap();
        after.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    /// 8 MiB: 2 048 pages of the smallest size there is.
    const PLACES: usize = 65_536;

    #[test]
    fn the_first_round_of_a_ring_waits_for_no_page() {
        let (mut producer, mut consumer) = ring::<Event>(PLACES);
        let before = faults();
        for seq in 0..PLACES as u64 {
            producer.push(Event { seq, ..Event::EMPTY }).unwrap();
        }
        let waited = faults() - before;
        assert!(waited <= 16, "{waited} pages came while the ring was filled");
        assert!(producer.push(Event::EMPTY).is_err(), "all places are taken");
        for seq in 0..PLACES as u64 {
            assert_eq!(consumer.pop().map(|event| event.seq), Ok(seq));
        }
    }

    #[test]
    fn a_new_ring_is_empty_and_drops_what_it_holds_once() {
        let counted = std::sync::Arc::new(());
        let (mut producer, mut consumer) = ring(4);
        assert!(consumer.pop().is_err(), "nothing was handed over");
        for _ in 0..3 {
            producer.push(std::sync::Arc::clone(&counted)).unwrap();
        }
        drop(consumer.pop());
        drop((producer, consumer));
        assert_eq!(std::sync::Arc::strong_count(&counted), 1);
    }
}
