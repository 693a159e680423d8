//! Rings between threads, and queues within one, with their memory there from the start.
//!
//! A place that nobody has stored into yet has no memory behind it: the first store into each page
//! would wait for the system, on the path, and a session would grow until everything that goes
//! round has gone round once, which takes hours where little happens.

use rtrb::{Consumer, Producer, RingBuffer};
use std::collections::VecDeque;
use std::hint::black_box;
use std::mem::MaybeUninit;

/// Both ends of a ring for `places` messages, every one of which has been stored into once.
pub fn ring<T>(places: usize) -> (Producer<T>, Consumer<T>) {
    let (mut producer, consumer) = RingBuffer::new(places);
    if let Ok(mut all) = producer.write_chunk_uninit(places) {
        let (first, rest) = all.as_mut_slices();
        touch(first);
        touch(rest);
    }
    (producer, consumer)
}

/// An empty queue with room for `places` items, every place of which has been stored into once.
pub fn queue<T>(places: usize) -> VecDeque<T> {
    let mut list = Vec::with_capacity(places);
    touch(list.spare_capacity_mut());
    VecDeque::from(list)
}

/// Stores into every place; nothing becomes an item by it, so nobody ever reads what was stored.
fn touch<T>(places: &mut [MaybeUninit<T>]) {
    // Hidden, or it might be taken together with the allocation: the system's zeros would do, and
    // no page be there.
    black_box(places).iter_mut().for_each(|place| *place = MaybeUninit::zeroed());
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
    fn the_first_round_of_a_queue_waits_for_no_page_and_takes_no_more_room() {
        let mut queue = queue::<Event>(PLACES);
        let room = queue.capacity();
        let before = faults();
        for seq in 0..3 * PLACES as u64 {
            if queue.len() == PLACES {
                queue.pop_front();
            }
            queue.push_back(Event { seq, ..Event::EMPTY });
        }
        let waited = faults() - before;
        assert!(waited <= 16, "{waited} pages came while the queue went round");
        assert_eq!((queue.len(), queue.capacity()), (PLACES, room));
        assert_eq!(queue[0].seq, 2 * PLACES as u64);
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
