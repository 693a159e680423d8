//! Eight trees walked at once.
//!
//! ```text
//! node (8 bytes):  threshold f32 | feature u16 | left u16, counted from the tree's first node
//! next = left + (x[feature] ≤ threshold ? 0 : 1)      siblings lie side by side
//! leaf: threshold +∞, left is itself: the walk stays there
//! ```
//! All eight walk as many levels as the deepest of them, so nothing branches on data and eight
//! chains of loads overlap. Trees are grouped by the output they vote for and by depth. Rows with
//! a value that is not finite, and ensembles that mix comparisons, take the plain walk instead.

use super::super::tree::{Compare, TreeEnsemble, TreeNode};
use std::sync::Arc;

const WIDTH: usize = 8;

/// A tree ensemble ready to run; see the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct Trees {
    ensemble: Arc<TreeEnsemble>,
    sums: Vec<f64>,
    fast: Option<Fast>,
}

#[derive(Clone, Debug, Default)]
struct Fast {
    /// Compares with `<` instead of `≤`.
    strict: bool,
    nodes: Vec<u64>,
    /// Weight of the leaf at each node; for leaves with several votes, the leaf's first place in
    /// `rows`.
    weights: Vec<f32>,
    leaves: Vec<u32>,
    groups: Vec<Group>,
    /// Every leaf votes once, and all leaves of a tree for the same output.
    single: bool,
}

#[derive(Clone, Debug)]
struct Group {
    first: [u32; WIDTH],
    depth: u32,
    output: u32,
}

impl Trees {
    pub fn new(ensemble: Arc<TreeEnsemble>) -> Self {
        let fast = Fast::new(&ensemble);
        Self { sums: vec![0.0; ensemble.outputs], fast, ensemble }
    }

    #[inline(always)]
    pub fn run(&mut self, x: &[f32], y: &mut [f32]) {
        let x = &x[..self.ensemble.features];
        let finite = x.iter().all(|v| v.abs() < f32::INFINITY);
        match &self.fast {
            Some(fast) if finite && fast.strict => {
                fast.sum::<true>(&self.ensemble, x, &mut self.sums)
            }
            Some(fast) if finite => fast.sum::<false>(&self.ensemble, x, &mut self.sums),
            _ => self.ensemble.sum_votes(x, &mut self.sums),
        }
        self.ensemble.finish(&self.sums, y);
    }
}

impl Fast {
    /// `None` when the ensemble does not fit the format.
    fn new(ensemble: &TreeEnsemble) -> Option<Self> {
        let mut trees = Vec::with_capacity(ensemble.roots.len());
        for &root in &ensemble.roots {
            trees.push(Tree::flatten(ensemble, root)?);
        }
        let strict = trees.iter().find_map(|t| t.strict).unwrap_or(false);
        if trees.iter().any(|t| t.strict.is_some_and(|s| s != strict)) {
            return None;
        }
        let single = trees.iter().all(|t| t.output.is_some());
        trees.sort_by_key(|t| (t.output, t.depth));
        let mut fast = Self { strict, single, ..Self::default() };
        for same_output in trees.chunk_by(|a, b| a.output == b.output) {
            for group in same_output.chunks(WIDTH) {
                fast.push_group(group)?;
            }
        }
        Some(fast)
    }

    fn push_group(&mut self, group: &[Tree]) -> Option<()> {
        let mut first = [0; WIDTH];
        for (place, tree) in group.iter().enumerate() {
            first[place] = u32::try_from(self.nodes.len()).ok()?;
            self.nodes.extend(&tree.nodes);
            self.weights.extend(&tree.weights);
            self.leaves.extend(&tree.leaves);
        }
        if group.len() < WIDTH {
            // A tree of one leaf without votes fills the group.
            first[group.len()..].fill(u32::try_from(self.nodes.len()).ok()?);
            self.nodes.push(pack(f32::INFINITY, 0, 0));
            self.weights.push(0.0);
            self.leaves.push(u32::MAX);
        }
        let depth = group.iter().map(|t| t.depth).max().unwrap_or(0);
        self.groups.push(Group { first, depth, output: group[0].output.unwrap_or(0) });
        Some(())
    }

    #[inline(always)]
    fn sum<const STRICT: bool>(&self, ensemble: &TreeEnsemble, x: &[f32], sums: &mut [f64]) {
        sums.fill(0.0);
        for group in &self.groups {
            let at = self.walk::<STRICT>(group, x);
            if self.single {
                let w: [f64; WIDTH] = std::array::from_fn(|k| f64::from(self.weights[at[k]]));
                sums[group.output as usize] +=
                    ((w[0] + w[1]) + (w[2] + w[3])) + ((w[4] + w[5]) + (w[6] + w[7]));
                continue;
            }
            for at in at {
                let leaf = self.leaves[at];
                if let Some(TreeNode::Leaf { votes }) = ensemble.nodes.get(leaf as usize) {
                    for vote in &ensemble.votes[votes.start as usize..votes.end as usize] {
                        sums[vote.output as usize] += f64::from(vote.weight);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn walk<const STRICT: bool>(&self, group: &Group, x: &[f32]) -> [usize; WIDTH] {
        let first = group.first.map(|f| f as usize);
        let mut at = first;
        let nodes = self.nodes.as_slice();
        for _ in 0..group.depth {
            for k in 0..WIDTH {
                let node = nodes[at[k]];
                let threshold = f32::from_bits(node as u32);
                let value = x[(node >> 32) as usize & 0xffff];
                let left = if STRICT { value < threshold } else { value <= threshold };
                at[k] = first[k] + (node >> 48) as usize + usize::from(!left);
            }
        }
        at
    }
}

fn pack(threshold: f32, feature: u16, left: u16) -> u64 {
    u64::from(threshold.to_bits()) | u64::from(feature) << 32 | u64::from(left) << 48
}

/// One tree in the packed format.
#[derive(Default)]
struct Tree {
    nodes: Vec<u64>,
    weights: Vec<f32>,
    leaves: Vec<u32>,
    depth: u32,
    /// The output all leaves vote for, once each.
    output: Option<u32>,
    /// `None` for a tree without branches.
    strict: Option<bool>,
}

impl Tree {
    fn flatten(ensemble: &TreeEnsemble, root: u32) -> Option<Self> {
        let mut tree = Self::default();
        let mut outputs = Vec::new();
        let mut single = true;
        // Nodes wait here in pairs: where they go, where they come from, how deep they lie.
        let mut open = std::collections::VecDeque::from([(0, root, 0)]);
        tree.grow(1);
        while let Some((place, from, depth)) = open.pop_front() {
            tree.depth = tree.depth.max(depth);
            match &ensemble.nodes[from as usize] {
                TreeNode::Leaf { votes } => {
                    let votes = &ensemble.votes[votes.start as usize..votes.end as usize];
                    single &= votes.len() == 1;
                    outputs.extend(votes.iter().map(|v| v.output));
                    tree.nodes[place] = pack(f32::INFINITY, 0, u16::try_from(place).ok()?);
                    tree.weights[place] = votes.first().map_or(0.0, |v| v.weight);
                    tree.leaves[place] = from;
                }
                TreeNode::Branch { feature, compare, threshold, if_true, if_false, .. } => {
                    let (strict, left, right) = match compare {
                        Compare::LessEqual => (false, *if_true, *if_false),
                        Compare::Less => (true, *if_true, *if_false),
                        Compare::Greater => (false, *if_false, *if_true),
                        Compare::GreaterEqual => (true, *if_false, *if_true),
                        Compare::Equal | Compare::NotEqual => return None,
                    };
                    if threshold.is_nan() || *tree.strict.get_or_insert(strict) != strict {
                        return None;
                    }
                    let children = tree.grow(2);
                    tree.nodes[place] = pack(
                        *threshold,
                        u16::try_from(*feature).ok()?,
                        u16::try_from(children).ok()?,
                    );
                    open.push_back((children, left, depth + 1));
                    open.push_back((children + 1, right, depth + 1));
                }
            }
        }
        let same = outputs.windows(2).all(|pair| pair[0] == pair[1]);
        tree.output = outputs.first().copied().filter(|_| single && same);
        Some(tree)
    }

    fn grow(&mut self, by: usize) -> usize {
        let place = self.nodes.len();
        self.nodes.resize(place + by, 0);
        self.weights.resize(place + by, 0.0);
        self.leaves.resize(place + by, u32::MAX);
        place
    }
}
