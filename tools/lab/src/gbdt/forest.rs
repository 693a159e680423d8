//! A grown forest.

use super::{Objective, objective};

/// A node; a leaf has `left` 0 (no split leads back to the root).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Node {
    /// Feature of the split.
    pub feature: u32,
    /// Rows with `x <= cut` go left.
    pub cut: f32,
    /// Index of the left child; 0 for a leaf.
    pub left: u32,
    /// Index of the right child.
    pub right: u32,
    /// What a leaf adds.
    pub value: f32,
}

/// One tree; node 0 is the root.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// The value of the leaf a row falls into.
    pub fn value(&self, row: &[f32]) -> f32 {
        let mut node = &self.nodes[0];
        while node.left != 0 {
            let left = row[node.feature as usize] <= node.cut;
            node = &self.nodes[if left { node.left } else { node.right } as usize];
        }
        node.value
    }

    /// Number of leaves.
    pub fn leaves(&self) -> usize {
        self.nodes.iter().filter(|node| node.left == 0).count()
    }
}

/// Trees round after round; tree `i` adds to output `i % outputs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest {
    /// What it learned.
    pub objective: Objective,
    /// Number of features it takes.
    pub features: usize,
    /// Where each output starts.
    pub base: Vec<f32>,
    /// Factor and offset of the outputs: `offset + scale × score`; 1 and 0 for classes.
    pub scale: (f64, f64),
    /// The trees.
    pub trees: Vec<Tree>,
}

impl Forest {
    /// Scores of a row before softmax, or the predicted number.
    pub fn scores(&self, row: &[f32]) -> Vec<f64> {
        let mut scores: Vec<f64> = self.base.iter().map(|&base| f64::from(base)).collect();
        let outputs = scores.len();
        for (i, tree) in self.trees.iter().enumerate() {
            scores[i % outputs] += f64::from(tree.value(row));
        }
        scores.iter_mut().for_each(|score| *score = self.scale.1 + self.scale.0 * *score);
        scores
    }

    /// Divides every score by `temperature`.
    pub fn cool(&mut self, temperature: f64) {
        let divide = |value: &mut f32| *value = (f64::from(*value) / temperature) as f32;
        self.base.iter_mut().for_each(divide);
        let nodes = self.trees.iter_mut().flat_map(|tree| tree.nodes.iter_mut());
        nodes.for_each(|node| divide(&mut node.value));
    }

    /// Quantiles of a row, in order: where trees of different levels cross, their answers are
    /// sorted, which never makes the loss greater (Chernozhukov, Fernández-Val, Galichon 2010).
    pub fn quantiles(&self, row: &[f32]) -> Vec<f64> {
        let mut scores = self.scores(row);
        scores.sort_by(f64::total_cmp);
        scores
    }

    /// Class probabilities of a row.
    pub fn probabilities(&self, row: &[f32]) -> Vec<f64> {
        let mut scores = self.scores(row);
        objective::softmax(&mut scores);
        scores
    }
}
