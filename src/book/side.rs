//! One side of a book: sorted levels in short blocks, the best level last.
//!
//! ```text
//! index   | least key, block, length |   …   |   …   |      worst ──────────────► best
//!              │
//! blocks   [ level level level … ]  up to BLOCK levels, sorted
//! ```
//!
//! A change moves at most one block, wherever it falls: recorded books have 5 000 levels a side and
//! changes over all of them, so one sorted array spends most of its time moving memory. Blocks that
//! fill up are split in two, neighbours that together fill half a block are joined; so any two
//! neighbours hold more than half a block, which bounds the blocks that a capacity needs.
//! Nothing is allocated after [`BookSide::new`].

use crate::base::Side;
use crate::base::event::Level;

/// Levels of one side.
#[derive(Clone, Debug)]
pub(super) struct BookSide {
    index: Vec<Entry>,
    blocks: Vec<[Level; BLOCK]>,
    free: Vec<u32>,
    len: usize,
    capacity: usize,
    /// Turns a price into a key that grows towards the best: 0 for bids, all ones for asks.
    flip: i64,
}

/// A block's place in the order.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Not above the block's least key; above all keys of the block before.
    key: i64,
    block: u32,
    len: u32,
}

/// What setting a level did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing: an unknown level was removed, or the same quantity set again.
    None,
    /// A level was set, added or removed.
    Done,
    /// The side was full: the farthest level, perhaps the one given, was dropped.
    Dropped,
}

/// Levels in a block: 1 KiB.
const BLOCK: usize = 64;
/// Levels put into a block of a snapshot, which leaves room for those to come.
const BLOCK_FILLED: usize = 48;
const NO_LEVEL: Level = Level { px: 0, qty: 0 };

impl BookSide {
    pub fn new(side: Side, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        // Two neighbours hold more than BLOCK / 2 levels, a snapshot's blocks more than that.
        let blocks = capacity / (BLOCK / 4) + 2;
        Self {
            index: Vec::with_capacity(blocks),
            blocks: Vec::with_capacity(blocks),
            free: Vec::with_capacity(blocks),
            len: 0,
            capacity,
            flip: match side {
                Side::Buy => 0,
                Side::Sell => -1,
            },
        }
    }

    #[inline]
    pub fn clear(&mut self) {
        self.index.clear();
        self.blocks.clear();
        self.free.clear();
        self.len = 0;
    }

    #[inline]
    pub fn best(&self) -> Option<Level> {
        let entry = self.index.last()?;
        self.levels_of(entry).last().copied()
    }

    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// From the best level outward.
    #[inline]
    pub fn iter(&self) -> Levels<'_> {
        Levels { side: self, ahead: self.index.len(), block: [].iter(), left: self.len }
    }

    /// Sets the quantity at a price; zero removes the level.
    #[inline]
    pub fn set(&mut self, level: Level) -> Change {
        let Some((entry, at, is_there)) = self.place(level.px) else {
            return self.set_first(level);
        };
        let block = self.index[entry].block as usize;
        match (is_there, level.qty) {
            (false, 0) => Change::None,
            (true, 0) => {
                self.remove(entry, at);
                Change::Done
            }
            (true, qty) => {
                let there = &mut self.blocks[block][at];
                let is_same = there.qty == qty;
                there.qty = qty;
                if is_same { Change::None } else { Change::Done }
            }
            (false, _) if self.len < self.capacity => {
                self.insert(entry, at, level);
                Change::Done
            }
            (false, _) => {
                if entry > 0 || at > 0 {
                    self.remove(0, 0);
                    self.set(level);
                }
                Change::Dropped
            }
        }
    }

    /// Takes over levels listed from the best outward, as snapshots list them. `false`, and nothing
    /// done, when they are not in strict order, hold a zero, or do not fit.
    pub fn fill_from_best(&mut self, levels: &[Level]) -> bool {
        let worsens = |pair: &[Level]| self.key(pair[1].px) < self.key(pair[0].px);
        let lawful = self.len == 0
            && levels.len() <= self.capacity
            && levels.iter().all(|level| level.qty != 0)
            && levels.windows(2).all(worsens);
        if !lawful {
            return false;
        }
        self.clear();
        self.len = levels.len();
        for part in levels.rchunks(BLOCK_FILLED) {
            let mut block = [NO_LEVEL; BLOCK];
            for (slot, level) in block.iter_mut().zip(part.iter().rev()) {
                *slot = *level;
            }
            let entry = Entry {
                key: self.key(block[0].px),
                block: self.blocks.len() as u32,
                len: part.len() as u32,
            };
            self.blocks.push(block);
            self.index.push(entry);
        }
        true
    }

    /// Quantity at a price, 0 when there is no such level.
    pub fn qty_at(&self, px: i64) -> i64 {
        match self.place(px) {
            Some((entry, at, true)) => self.levels_of(&self.index[entry])[at].qty,
            _ => 0,
        }
    }

    #[inline(always)]
    const fn key(&self, px: i64) -> i64 {
        px ^ self.flip
    }

    #[inline]
    fn levels_of(&self, entry: &Entry) -> &[Level] {
        &self.blocks[entry.block as usize][..entry.len as usize]
    }

    /// Where the price is or belongs: entry, place in its block, and whether it is there. `None`
    /// for an empty side.
    #[inline]
    fn place(&self, px: i64) -> Option<(usize, usize, bool)> {
        let key = self.key(px);
        // Levels below all keys belong to the first block.
        let entry = self.index.partition_point(|entry| entry.key <= key).saturating_sub(1);
        let levels = self.levels_of(self.index.get(entry)?);
        let at = levels.partition_point(|level| self.key(level.px) < key);
        let is_there = levels.get(at).is_some_and(|level| level.px == px);
        Some((entry, at, is_there))
    }

    fn set_first(&mut self, level: Level) -> Change {
        if level.qty == 0 {
            return Change::None;
        }
        let block = self.new_block();
        self.blocks[block as usize][0] = level;
        self.index.push(Entry { key: self.key(level.px), block, len: 1 });
        self.len = 1;
        Change::Done
    }

    #[inline]
    fn insert(&mut self, mut entry: usize, mut at: usize, level: Level) {
        if self.index[entry].len as usize == BLOCK {
            self.split(entry);
            if at > BLOCK / 2 {
                entry += 1;
                at -= BLOCK / 2;
            }
        }
        let key = self.key(level.px);
        let slot = &mut self.index[entry];
        let len = slot.len as usize;
        slot.key = slot.key.min(key);
        slot.len += 1;
        let block = &mut self.blocks[slot.block as usize];
        block.copy_within(at..len, at + 1);
        block[at] = level;
        self.len += 1;
    }

    #[inline]
    fn remove(&mut self, entry: usize, at: usize) {
        let slot = &mut self.index[entry];
        let len = slot.len as usize;
        slot.len -= 1;
        self.blocks[slot.block as usize].copy_within(at + 1..len, at);
        self.len -= 1;
        self.join_around(entry);
    }

    /// Joins an entry with a neighbour where the two fill no more than half a block.
    #[inline]
    fn join_around(&mut self, entry: usize) {
        let fits = |a: Option<&Entry>, b: Option<&Entry>| match (a, b) {
            (Some(a), Some(b)) => (a.len + b.len) as usize <= BLOCK / 2,
            _ => false,
        };
        if fits(self.index.get(entry), self.index.get(entry + 1)) {
            self.join(entry);
        } else if entry > 0 && fits(self.index.get(entry - 1), self.index.get(entry)) {
            self.join(entry - 1);
        } else if self.index.get(entry).is_some_and(|entry| entry.len == 0) {
            let emptied = self.index.remove(entry);
            self.free.push(emptied.block);
        }
    }

    fn join(&mut self, entry: usize) {
        let after = self.index.remove(entry + 1);
        let moved = self.blocks[after.block as usize];
        let into = &mut self.index[entry];
        let (start, count) = (into.len as usize, after.len as usize);
        self.blocks[into.block as usize][start..start + count].copy_from_slice(&moved[..count]);
        into.len += after.len;
        self.free.push(after.block);
    }

    fn split(&mut self, entry: usize) {
        let block = self.new_block();
        let upper = {
            let full = &self.blocks[self.index[entry].block as usize];
            let mut upper = [NO_LEVEL; BLOCK];
            upper[..BLOCK / 2].copy_from_slice(&full[BLOCK / 2..]);
            upper
        };
        self.blocks[block as usize] = upper;
        self.index[entry].len = (BLOCK / 2) as u32;
        let key = self.key(upper[0].px);
        self.index.insert(entry + 1, Entry { key, block, len: (BLOCK / 2) as u32 });
    }

    fn new_block(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            debug_assert!(self.blocks.len() < self.blocks.capacity(), "the bound on blocks holds");
            self.blocks.push([NO_LEVEL; BLOCK]);
            (self.blocks.len() - 1) as u32
        })
    }
}

/// The levels of a side from the best outward.
#[derive(Clone, Debug)]
pub struct Levels<'b> {
    side: &'b BookSide,
    /// Entries not begun yet.
    ahead: usize,
    block: std::slice::Iter<'b, Level>,
    left: usize,
}

impl<'b> Iterator for Levels<'b> {
    type Item = &'b Level;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(level) = self.block.next_back() {
                self.left -= 1;
                return Some(level);
            }
            self.ahead = self.ahead.checked_sub(1)?;
            self.block = self.side.levels_of(&self.side.index[self.ahead]).iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Levels<'_> {}
