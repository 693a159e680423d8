//! A long row of numbers: in memory while it is short, in a temporary file once it is long.
//!
//! ```text
//!  push ─► memory ──beyond the limit──► file without a name, mapped ─► slice
//!             ▲                              │ no room on the disk
//!             └──────────────────────────────┘
//! ```
//!
//! The system keeps as much of the file in memory as it has room for and takes that room back when
//! something else wants it: what is learned from may be larger than memory. The file is made in
//! `TMPDIR`, else in `/var/tmp`, which unlike `/tmp` is on a disk as a rule.

use memmap2::MmapMut;
use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Bytes that a column holds in memory.
const HELD_BYTES_MAX: usize = 32 << 20;
/// Zeros written at once where a file grows.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// What can stand in a file as it stands in memory.
pub trait Plain: FromBytes + IntoBytes + Immutable + Copy {}
impl<T: FromBytes + IntoBytes + Immutable + Copy> Plain for T {}

/// A growing slice.
pub struct Column<T> {
    held: Vec<T>,
    filed: Option<Filed>,
    held_bytes_max: usize,
}

/// The file part: all of the column is in it.
struct Filed {
    file: File,
    map: MmapMut,
    /// Bytes in use.
    used: usize,
}

impl<T: Plain> Column<T> {
    /// An empty one that holds so many bytes in memory.
    pub const fn with_limit(held_bytes_max: usize) -> Self {
        Self { held: Vec::new(), filed: None, held_bytes_max }
    }

    /// So many times the same.
    pub fn filled(value: T, count: usize) -> Self {
        (0..count).map(|_| value).collect()
    }

    /// True where it stands in a file.
    pub const fn is_filed(&self) -> bool {
        self.filed.is_some()
    }

    /// Appends one.
    pub fn push(&mut self, value: T) {
        self.extend_from_slice(&[value]);
    }

    /// Appends some.
    pub fn extend_from_slice(&mut self, values: &[T]) {
        let more = size_of_val(values);
        if self.filed.is_none() && size_of_val(self.held.as_slice()) + more > self.held_bytes_max {
            self.file_it(more);
        }
        let Some(filed) = &mut self.filed else {
            self.held.extend_from_slice(values);
            return;
        };
        if filed.append(values.as_bytes()).is_err() {
            // No room on the disk: memory is what is left.
            self.held = self.to_vec();
            self.filed = None;
            self.held_bytes_max = usize::MAX;
            self.held.extend_from_slice(values);
        }
    }

    /// Moves what is held into a file; it stays where it is when there is no room for one.
    fn file_it(&mut self, more: usize) {
        let bytes = self.held.as_bytes();
        let made = Filed::new((bytes.len() + more).next_power_of_two().max(ZEROS.len()));
        let filed = made.and_then(|mut filed| filed.append(bytes).map(|()| filed));
        match filed {
            Ok(filed) => {
                self.filed = Some(filed);
                self.held = Vec::new();
            }
            Err(_) => self.held_bytes_max = usize::MAX,
        }
    }
}

impl Filed {
    fn new(bytes: usize) -> io::Result<Self> {
        let mut file = tempfile::tempfile_in(folder())?;
        let map = grown(&mut file, 0, bytes)?;
        Ok(Self { file, map, used: 0 })
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.used + bytes.len();
        if end > self.map.len() {
            self.map = grown(&mut self.file, self.map.len(), end.next_power_of_two())?;
        }
        self.map[self.used..end].copy_from_slice(bytes);
        self.used = end;
        Ok(())
    }
}

/// The file with `to` bytes, mapped. The new ones are written, so that the disk has them for sure:
/// a store into a page without a place would end the process.
fn grown(file: &mut File, from: usize, to: usize) -> io::Result<MmapMut> {
    let mut left = to - from;
    io::Seek::seek(file, io::SeekFrom::Start(from as u64))?;
    while left > 0 {
        let now = left.min(ZEROS.len());
        file.write_all(&ZEROS[..now])?;
        left -= now;
    }
    // SAFETY: the file has no name and its handle stays in `Filed`, so nobody else shortens or
    // changes it while it is mapped.
    unsafe { MmapMut::map_mut(&*file) }
}

fn folder() -> PathBuf {
    let disk = Path::new("/var/tmp");
    match std::env::var_os("TMPDIR") {
        None if disk.is_dir() => disk.to_owned(),
        _ => std::env::temp_dir(),
    }
}

impl<T: Plain> Deref for Column<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.filed {
            // Whole values at the beginning of a page: it cannot fail.
            Some(filed) => <[T]>::ref_from_bytes(&filed.map[..filed.used]).unwrap_or_default(),
            None => &self.held,
        }
    }
}

impl<T: Plain> DerefMut for Column<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.filed {
            Some(filed) => <[T]>::mut_from_bytes(&mut filed.map[..filed.used]).unwrap_or_default(),
            None => &mut self.held,
        }
    }
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { held: Vec::new(), filed: None, held_bytes_max: HELD_BYTES_MAX }
    }
}

impl<T: Plain> Clone for Column<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::with_limit(self.held_bytes_max);
        copy.extend_from_slice(self);
        copy
    }
}

impl<T: Plain + PartialEq> PartialEq for Column<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Plain + fmt::Debug> fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Plain> Extend<T> for Column<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, values: I) {
        let mut part = Vec::new();
        for value in values {
            part.push(value);
            if size_of_val(part.as_slice()) >= ZEROS.len() {
                self.extend_from_slice(&part);
                part.clear();
            }
        }
        self.extend_from_slice(&part);
    }
}

impl<T: Plain> FromIterator<T> for Column<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        let mut column = Self::default();
        column.extend(values);
        column
    }
}

impl<T: Plain> From<Vec<T>> for Column<T> {
    fn from(values: Vec<T>) -> Self {
        values.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same numbers in memory and in a file.
    fn pair(count: u32) -> (Column<f32>, Column<f32>) {
        let numbers = || (0..count).map(|at| at as f32 / 3.0);
        let (mut held, mut filed) = (Column::default(), Column::with_limit(100));
        held.extend(numbers());
        filed.extend(numbers());
        (held, filed)
    }

    #[test]
    fn a_column_in_a_file_reads_as_one_in_memory_however_it_grew() {
        for count in [0, 1, 25, 26, 40_000, 100_001] {
            let (held, mut filed) = pair(count);
            assert_eq!((held.is_filed(), filed.is_filed()), (false, count > 25), "{count}");
            assert_eq!(held, filed);
            assert_eq!(filed.clone(), held);
            for at in 0..50_u32 {
                filed.push(at as f32);
            }
            assert_eq!(filed.len(), count as usize + 50);
            assert_eq!(filed[count as usize..], (0..50).map(|at| at as f32).collect::<Vec<_>>());
            assert_eq!(filed[..count as usize], held[..]);
        }
    }

    #[test]
    fn what_is_changed_in_a_file_stays_changed_and_its_copy_does_not_follow() {
        let (_, mut filed) = pair(1_000);
        let copy = filed.clone();
        filed[999] = -1.0;
        filed.iter_mut().take(10).for_each(|value| *value += 1.0);
        filed.extend((0..100_000).map(|_| 7.0));
        assert_eq!((filed[999], filed[0], filed[100_999]), (-1.0, 1.0, 7.0));
        assert_eq!((copy[999], copy.len()), (333.0, 1_000));
    }

    #[test]
    fn a_long_column_leaves_memory_by_itself() {
        let long: Column<f64> = Column::filled(1.5, HELD_BYTES_MAX / size_of::<f64>() + 1);
        assert!(long.is_filed());
        assert_eq!(long.iter().sum::<f64>(), 1.5 * long.len() as f64);
    }
}
