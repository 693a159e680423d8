//! One tree, best split first.

use super::Params;
use super::bins::Bins;
use super::forest::{Node, Tree};
use super::objective::{Gradient, UNIT};
use std::ops::Range;

/// Work (rows × features) above which threads pay for themselves.
const WORK_MIN: usize = 1 << 17;

/// Sums of one bin.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    g: i64,
    h: i64,
    rows: u32,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.g += other.g;
        self.h += other.h;
        self.rows += other.rows;
    }

    fn less(self, other: Self) -> Self {
        Self { g: self.g - other.g, h: self.h - other.h, rows: self.rows - other.rows }
    }
}

/// Sums of every bin of every chosen feature, feature after feature.
type Histogram = Vec<Vec<Sum>>;

#[derive(Clone, Copy, Debug)]
struct Split {
    gain: f64,
    feature: u32,
    bin: u8,
}

struct Leaf {
    node: usize,
    rows: Range<usize>,
    depth: usize,
    total: Sum,
    histogram: Histogram,
    best: Option<Split>,
}

/// Grows trees on one binned table.
pub struct Grower<'a> {
    params: &'a Params,
    bins: &'a Bins,
}

impl<'a> Grower<'a> {
    /// For a table's bins.
    pub const fn new(params: &'a Params, bins: &'a Bins) -> Self {
        Self { params, bins }
    }

    /// One tree on `rows` (reordered in place) looking at `features`. A leaf adds what `leaf_of`
    /// says of its rows, where it says something, else what the gradients do.
    pub fn tree(
        &self,
        rows: &mut [u32],
        features: &[u32],
        gradients: &[Gradient],
        leaf_of: &dyn Fn(&[u32]) -> Option<f64>,
    ) -> Tree {
        let mut nodes = vec![Node::default()];
        let histogram = self.histogram(rows, features, gradients);
        let total = rows.iter().fold(Sum::default(), |mut sum, &row| {
            let one = gradients[row as usize];
            sum.add(Sum { g: one.g, h: one.h, rows: 1 });
            sum
        });
        let root = Leaf { node: 0, rows: 0..rows.len(), depth: 0, total, histogram, best: None };
        let mut leaves = vec![self.judged(root, features)];
        while leaves.len() < self.params.leaves_max {
            let Some((at, split)) = best_leaf(&leaves) else { break };
            let leaf = leaves.swap_remove(at);
            let (left, right) = self.split(leaf, split, rows, (features, gradients), &mut nodes);
            leaves.push(left);
            leaves.push(right);
        }
        for leaf in &leaves {
            let told = leaf_of(&rows[leaf.rows.clone()]);
            nodes[leaf.node].value = match told {
                Some(value) => (self.params.learning_rate * value) as f32,
                None => self.value(leaf.total),
            };
        }
        Tree { nodes }
    }

    fn split(
        &self,
        leaf: Leaf,
        split: Split,
        rows: &mut [u32],
        (features, gradients): (&[u32], &[Gradient]),
        nodes: &mut Vec<Node>,
    ) -> (Leaf, Leaf) {
        let codes = self.bins.codes_of(split.feature as usize);
        let inside = &mut rows[leaf.rows.clone()];
        // Stable, so that the order of rows never depends on how the tree grew.
        let (mut left, right): (Vec<u32>, Vec<u32>) =
            inside.iter().partition(|&&row| codes[row as usize] <= split.bin);
        let middle = leaf.rows.start + left.len();
        left.extend_from_slice(&right);
        inside.copy_from_slice(&left);
        let (low, high) = (leaf.rows.start..middle, middle..leaf.rows.end);
        // Count the smaller child; the larger one is what is left of the parent.
        let small_is_left = low.len() <= high.len();
        let small_rows = if small_is_left { low.clone() } else { high.clone() };
        let small = self.histogram(&rows[small_rows], features, gradients);
        let large: Histogram = leaf
            .histogram
            .iter()
            .zip(&small)
            .map(|(all, part)| all.iter().zip(part).map(|(a, p)| a.less(*p)).collect())
            .collect();
        let (left_sums, right_sums) = if small_is_left { (small, large) } else { (large, small) };
        let mut left_total = Sum::default();
        let place = features.iter().position(|&f| f == split.feature).unwrap_or(0);
        left_sums[place].iter().for_each(|sum| left_total.add(*sum));
        let depth = leaf.depth + 1;
        let (left_node, right_node) = (nodes.len(), nodes.len() + 1);
        nodes.extend([Node::default(); 2]);
        nodes[leaf.node] = Node {
            feature: split.feature,
            cut: self.bins.cuts[split.feature as usize][usize::from(split.bin)],
            left: left_node as u32,
            right: right_node as u32,
            value: 0.0,
        };
        let child = |node, rows, total, histogram| {
            self.judged(Leaf { node, rows, depth, total, histogram, best: None }, features)
        };
        let right_total = leaf.total.less(left_total);
        (
            child(left_node, low, left_total, left_sums),
            child(right_node, high, right_total, right_sums),
        )
    }

    fn histogram(&self, rows: &[u32], features: &[u32], gradients: &[Gradient]) -> Histogram {
        let one = |&feature: &u32| {
            let codes = self.bins.codes_of(feature as usize);
            let mut sums = vec![Sum::default(); self.bins.cuts[feature as usize].len() + 1];
            for &row in rows {
                let gradient = gradients[row as usize];
                let one = Sum { g: gradient.g, h: gradient.h, rows: 1 };
                sums[usize::from(codes[row as usize])].add(one);
            }
            sums
        };
        let threads = self.params.threads.min(features.len());
        if threads < 2 || rows.len() * features.len() < WORK_MIN {
            return features.iter().map(one).collect();
        }
        let share = features.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let parts: Vec<_> = features
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().map(one).collect::<Histogram>()))
                .collect();
            let join = |part: std::thread::ScopedJoinHandle<'_, Histogram>| {
                part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            parts.into_iter().flat_map(join).collect()
        })
    }

    fn judged(&self, mut leaf: Leaf, features: &[u32]) -> Leaf {
        if leaf.depth < self.params.depth_max {
            for (&feature, sums) in features.iter().zip(&leaf.histogram) {
                self.judge(feature, sums, leaf.total, &mut leaf.best);
            }
        }
        leaf
    }

    /// Looks for a better split of one feature. Features and bins rise, and only a greater gain
    /// wins, so a tie stays with the lower feature, then the lower bin.
    fn judge(&self, feature: u32, sums: &[Sum], total: Sum, best: &mut Option<Split>) {
        let whole = self.score(total);
        let mut left = Sum::default();
        for (bin, sum) in sums[..sums.len() - 1].iter().enumerate() {
            left.add(*sum);
            let right = total.less(left);
            if sum.rows == 0 || !self.may_stand(left) {
                continue;
            }
            if !self.may_stand(right) {
                break;
            }
            let gain = self.score(left) + self.score(right) - whole;
            let bar = best.map_or(self.params.gain_min, |best| best.gain);
            if gain > bar {
                *best = Some(Split { gain, feature, bin: bin as u8 });
            }
        }
    }

    fn may_stand(&self, sum: Sum) -> bool {
        sum.rows as usize >= self.params.leaf_rows_min
            && sum.h as f64 / UNIT >= self.params.leaf_weight_min
    }

    fn score(&self, sum: Sum) -> f64 {
        let (g, h) = (sum.g as f64 / UNIT, sum.h as f64 / UNIT);
        g * g / (h + self.params.lambda)
    }

    fn value(&self, sum: Sum) -> f32 {
        let (g, h) = (sum.g as f64 / UNIT, sum.h as f64 / UNIT);
        (-self.params.learning_rate * g / (h + self.params.lambda).max(1e-12)) as f32
    }
}

/// The leaf whose split gains most; a tie stays with the lower node.
fn best_leaf(leaves: &[Leaf]) -> Option<(usize, Split)> {
    let mut best: Option<(usize, Split, usize)> = None;
    for (at, leaf) in leaves.iter().enumerate() {
        let Some(split) = leaf.best else { continue };
        let wins = best.is_none_or(|(_, other, node)| {
            split.gain > other.gain || split.gain == other.gain && leaf.node < node
        });
        if wins {
            best = Some((at, split, leaf.node));
        }
    }
    best.map(|(at, split, _)| (at, split))
}
