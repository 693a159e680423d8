//! Splits of labelled rows over time. Rows are in time order; a label lives from its row to the
//! moment it was known, and two rows know of each other where their lives touch.
//!
//! ```text
//!  training │ purged │◄──────── test ────────►│ purged │ embargoed │ training
//!           lives that reach into the test     lives that began in it   h behind it
//! ```
//! Sources: López de Prado (2018), chapters 7 and 12. There is no way to ask for shuffled folds:
//! on noise they show an edge that is not there.

use std::fmt;
use std::ops::Range;

/// When a row was made and when its label was known, in any unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// Of its features.
    pub from: i64,
    /// Of its label; not before `from`.
    pub until: i64,
}

/// One split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// Rows to learn from, rising.
    pub train: Vec<usize>,
    /// Rows to be judged on, rising.
    pub test: Vec<usize>,
    /// Rows left out because their label looks into the test.
    pub purged: usize,
    /// Rows left out because they follow the test too closely.
    pub embargoed: usize,
}

/// Why rows cannot be split so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Rows are in time order, each known no sooner than it was made.
    Order(usize),
    /// What was asked for needs more rows.
    Rows {
        /// Rows there are.
        rows: usize,
        /// Rows needed.
        needed: usize,
    },
    /// Groups to test are fewer than groups.
    Groups,
    /// Nothing is left to learn from in this fold.
    Empty(usize),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Order(row) => write!(f, "row {row}: rows are in time order"),
            Self::Rows { rows, needed } => write!(f, "{rows} rows, and {needed} are needed"),
            Self::Groups => write!(f, "at least one group is tested and one learned from"),
            Self::Empty(fold) => write!(f, "fold {fold}: nothing is left to learn from"),
        }
    }
}

impl std::error::Error for Refused {}

/// Windows that move forward: learn on `train` rows, be judged on the next `test`, move by `test`.
/// A row whose label is known only in the test is purged. Nothing behind the test is learned from,
/// so nothing is embargoed.
///
/// # Errors
/// [`Refused`].
pub fn walk_forward(lives: &[Life], train: usize, test: usize) -> Result<Vec<Fold>, Refused> {
    check(lives)?;
    let needed = train + test;
    if train == 0 || test == 0 || lives.len() < needed {
        return Err(Refused::Rows { rows: lives.len(), needed: needed.max(2) });
    }
    let mut folds = Vec::new();
    let mut start = train;
    while start + test <= lives.len() {
        let range = start..start + test;
        let before = start - train..start;
        let fold = split(lives, before, std::slice::from_ref(&range), 0);
        if fold.train.is_empty() {
            return Err(Refused::Empty(folds.len()));
        }
        folds.push(fold);
        start += test;
    }
    Ok(folds)
}

/// Every choice of `tested` of `groups` equal parts as the test, with the rest to learn from.
/// `embargo` is a time behind each tested part.
///
/// # Errors
/// [`Refused`].
pub fn combinatorial(
    lives: &[Life],
    groups: usize,
    tested: usize,
    embargo: i64,
) -> Result<Vec<Fold>, Refused> {
    check(lives)?;
    if tested == 0 || tested >= groups {
        return Err(Refused::Groups);
    }
    if lives.len() < groups {
        return Err(Refused::Rows { rows: lives.len(), needed: groups });
    }
    let bound = |group: usize| group * lives.len() / groups;
    let mut folds = Vec::new();
    for choice in choices(groups, tested) {
        let parts: Vec<Range<usize>> =
            choice.iter().map(|&group| bound(group)..bound(group + 1)).collect();
        let fold = split(lives, 0..lives.len(), &parts, embargo);
        if fold.train.is_empty() {
            return Err(Refused::Empty(folds.len()));
        }
        folds.push(fold);
    }
    Ok(folds)
}

/// For each path through a combinatorial split, the fold that judges each group. Every path visits
/// every group once, and every fold's judgement of a group is in one path.
pub fn paths(groups: usize, tested: usize) -> Vec<Vec<usize>> {
    let chosen = choices(groups, tested);
    let count = chosen.len() * tested / groups;
    let judges = |group: usize| {
        let folds = chosen.iter().enumerate().filter(move |(_, choice)| choice.contains(&group));
        folds.map(|(fold, _)| fold).collect::<Vec<usize>>()
    };
    let by_group: Vec<Vec<usize>> = (0..groups).map(judges).collect();
    (0..count).map(|path| by_group.iter().map(|folds| folds[path]).collect()).collect()
}

/// Choices of `k` of `n`, in lexical order.
fn choices(n: usize, k: usize) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    let mut choice: Vec<usize> = (0..k).collect();
    loop {
        all.push(choice.clone());
        let Some(at) = (0..k).rev().find(|&at| choice[at] < n - k + at) else { return all };
        choice[at] += 1;
        for next in at + 1..k {
            choice[next] = choice[next - 1] + 1;
        }
    }
}

fn check(lives: &[Life]) -> Result<(), Refused> {
    let late = |row: &usize| {
        let life = lives[*row];
        life.until < life.from || (*row > 0 && lives[row - 1].from > life.from)
    };
    match (0..lives.len()).find(late) {
        Some(row) => Err(Refused::Order(row)),
        None => Ok(()),
    }
}

/// Learns from `from` without the tested parts and without what knows of them.
fn split(lives: &[Life], from: Range<usize>, parts: &[Range<usize>], embargo: i64) -> Fold {
    let mut fold = Fold { train: Vec::new(), test: Vec::new(), purged: 0, embargoed: 0 };
    // The span of a part ends when the last of its labels was known.
    let span = |part: &Range<usize>| {
        let until = lives[part.clone()].iter().map(|life| life.until).max();
        (lives[part.start].from, until.unwrap_or(i64::MIN))
    };
    let spans: Vec<(i64, i64)> = parts.iter().map(span).collect();
    for row in from {
        if parts.iter().any(|part| part.contains(&row)) {
            continue;
        }
        let life = lives[row];
        if spans.iter().any(|&(start, end)| life.from <= end && life.until >= start) {
            fold.purged += 1;
        } else if spans.iter().any(|&(_, end)| life.from > end && life.from <= end + embargo) {
            fold.embargoed += 1;
        } else {
            fold.train.push(row);
        }
    }
    fold.test = parts.iter().flat_map(Clone::clone).collect();
    fold
}
