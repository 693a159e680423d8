//! Tree ensembles as ONNX defines them (ai.onnx.ml 3, TreeEnsembleClassifier and -Regressor):
//! parsing, checking, and the plain walk that every faster walk must equal.
//!
//! ```text
//! at a node: compare(x[feature], threshold), or x is NaN and missing values go the true way
//!            ── yes ──► true child        ── no ──► false child
//! at a leaf: every vote (output, weight) is added to its output
//! end:       + base value, then SOFTMAX or LOGISTIC over the outputs
//! ```
//! Votes are summed in f64 and rounded once, so the order of trees cannot matter.

use super::attributes::Attributes;
use super::error::{Refusal, Rule};
use std::collections::HashMap;
use std::ops::Range;

/// How a node compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    LessEqual,
    Less,
    GreaterEqual,
    Greater,
    Equal,
    NotEqual,
}

impl Compare {
    #[inline]
    fn holds(self, x: f32, threshold: f32) -> bool {
        match self {
            Self::LessEqual => x <= threshold,
            Self::Less => x < threshold,
            Self::GreaterEqual => x >= threshold,
            Self::Greater => x > threshold,
            Self::Equal => x == threshold,
            Self::NotEqual => x != threshold,
        }
    }
}

/// What happens to the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PostTransform {
    None,
    Softmax,
    Logistic,
}

/// A vote of a leaf.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vote {
    pub output: u32,
    pub weight: f32,
}

/// One node; children are indices into [`TreeEnsemble::nodes`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TreeNode {
    Branch {
        feature: u32,
        compare: Compare,
        threshold: f32,
        missing_is_true: bool,
        if_true: u32,
        if_false: u32,
    },
    Leaf {
        votes: Range<u32>,
    },
}

/// A checked ensemble: children exist, every node is reached once, features are in range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TreeEnsemble {
    pub nodes: Vec<TreeNode>,
    pub votes: Vec<Vote>,
    pub roots: Vec<u32>,
    pub outputs: usize,
    pub features: usize,
    pub base: Vec<f32>,
    /// The sums are divided by the number of trees.
    pub average: bool,
    pub post_transform: PostTransform,
}

impl TreeEnsemble {
    /// Parses a node over `features` inputs.
    pub fn parse(node: Attributes<'_>, features: usize) -> Result<Self, Refusal> {
        let classifier = node.0.op_type == "TreeEnsembleClassifier";
        for name in ["nodes_values_as_tensor", "base_values_as_tensor"] {
            if node.has(name) {
                return Err(node
                    .refuse(Rule::DataType, format!("`{name}` holds doubles"))
                    .remedy("export in float32"));
            }
        }
        let outputs = parse_outputs(node, classifier)?;
        let table = NodeTable::parse(node)?;
        let (votes, leaf_votes) = parse_votes(node, classifier, outputs, &table)?;
        let mut nodes = Vec::with_capacity(table.len());
        for (at, votes) in leaf_votes.into_iter().enumerate() {
            nodes.push(table.node(node, at, features, votes)?);
        }
        let base = node.floats("base_values")?;
        if !base.is_empty() && base.len() != outputs {
            let why = format!("{} base values for {outputs} outputs", base.len());
            return Err(node.refuse(Rule::Shape, why));
        }
        let ensemble = Self {
            nodes,
            votes,
            roots: table.roots,
            outputs,
            features,
            base: if base.is_empty() { vec![0.0; outputs] } else { base.to_vec() },
            average: match node.string("aggregate_function", "SUM")? {
                "SUM" => false,
                "AVERAGE" if !classifier => true,
                other => {
                    let why = format!("aggregate function {other} is not supported");
                    return Err(node.refuse(Rule::Operator, why).remedy("use SUM or AVERAGE"));
                }
            },
            post_transform: match node.string("post_transform", "NONE")? {
                "NONE" => PostTransform::None,
                "SOFTMAX" => PostTransform::Softmax,
                "LOGISTIC" => PostTransform::Logistic,
                other => {
                    let why = format!("post transform {other} is not supported");
                    let refusal = node.refuse(Rule::Operator, why);
                    return Err(refusal.remedy("use NONE, SOFTMAX or LOGISTIC"));
                }
            },
        };
        ensemble.check_trees(node)?;
        Ok(ensemble)
    }

    /// The votes of the leaf that `x` reaches from `root`.
    #[inline]
    pub fn leaf(&self, root: u32, x: &[f32]) -> &[Vote] {
        let mut at = root as usize;
        loop {
            match &self.nodes[at] {
                TreeNode::Leaf { votes } => {
                    return &self.votes[votes.start as usize..votes.end as usize];
                }
                TreeNode::Branch {
                    feature,
                    compare,
                    threshold,
                    missing_is_true,
                    if_true,
                    if_false,
                } => {
                    let value = x[*feature as usize];
                    let yes =
                        compare.holds(value, *threshold) || (*missing_is_true && value.is_nan());
                    at = if yes { *if_true } else { *if_false } as usize;
                }
            }
        }
    }

    /// Sums the votes of all trees into `sums`, which has one place per output.
    #[inline]
    pub fn sum_votes(&self, x: &[f32], sums: &mut [f64]) {
        sums.fill(0.0);
        for &root in &self.roots {
            for vote in self.leaf(root, x) {
                sums[vote.output as usize] += f64::from(vote.weight);
            }
        }
    }

    /// Sums to outputs before the post transform.
    #[inline]
    pub fn finish(&self, sums: &[f64], scores: &mut [f32]) {
        let scale = if self.average { 1.0 / self.roots.len() as f64 } else { 1.0 };
        for ((score, sum), base) in scores.iter_mut().zip(sums).zip(&self.base) {
            *score = (sum * scale + f64::from(*base)) as f32;
        }
    }

    /// Every node is reached once from its root: no cycles, no shared children, no stray nodes.
    fn check_trees(&self, node: Attributes<'_>) -> Result<(), Refusal> {
        let mut reached = vec![false; self.nodes.len()];
        let mut open = Vec::new();
        for &root in &self.roots {
            open.push(root);
            while let Some(at) = open.pop() {
                if std::mem::replace(&mut reached[at as usize], true) {
                    let why = format!("node {at} of its trees is reached twice");
                    return Err(node.refuse(Rule::Shape, why));
                }
                if let TreeNode::Branch { if_true, if_false, .. } = self.nodes[at as usize] {
                    open.extend([if_true, if_false]);
                }
            }
        }
        match reached.iter().position(|r| !r) {
            Some(at) => Err(node.refuse(Rule::Shape, format!("node {at} is in no tree"))),
            None => Ok(()),
        }
    }
}

fn parse_outputs(node: Attributes<'_>, classifier: bool) -> Result<usize, Refusal> {
    let outputs = if classifier {
        node.ints("classlabels_int64s")?.len().max(node.strings("classlabels_strings")?.len())
    } else {
        usize::try_from(node.int("n_targets", 0)?).unwrap_or(0)
    };
    // One and two classes have special layouts that only their exporters understand.
    let least = if classifier { 3 } else { 1 };
    if outputs < least || outputs > 4_096 {
        let why = format!("{outputs} outputs, at least {least} and at most 4096 expected");
        let remedy = "train with three classes, or export a TreeEnsembleRegressor";
        return Err(node.refuse(Rule::Shape, why).remedy(remedy));
    }
    Ok(outputs)
}

type LeafVotes = Vec<Range<u32>>;

fn parse_votes(
    node: Attributes<'_>,
    classifier: bool,
    outputs: usize,
    table: &NodeTable<'_>,
) -> Result<(Vec<Vote>, LeafVotes), Refusal> {
    let prefix = if classifier { "class" } else { "target" };
    let trees = node.ints(&format!("{prefix}_treeids"))?;
    let nodes = node.ints(&format!("{prefix}_nodeids"))?;
    let ids = node.ints(&format!("{prefix}_ids"))?;
    let weights = node.floats(&format!("{prefix}_weights"))?;
    if [trees.len(), nodes.len(), ids.len()] != [weights.len(); 3] {
        return Err(node.refuse(Rule::Shape, "its votes are lists of different lengths"));
    }
    let mut by_node = Vec::with_capacity(weights.len());
    for place in 0..weights.len() {
        let at = table.index.get(&(trees[place], nodes[place])).copied().ok_or_else(|| {
            let why = format!("a vote names node {} of tree {}", nodes[place], trees[place]);
            node.refuse(Rule::Shape, why + ", which does not exist")
        })?;
        let output = u32::try_from(ids[place]).ok().filter(|&o| (o as usize) < outputs);
        let output = output.ok_or_else(|| {
            node.refuse(Rule::Shape, format!("a vote for output {} of {outputs}", ids[place]))
        })?;
        if !weights[place].is_finite() {
            return Err(node.refuse(Rule::DataType, "a vote is not finite"));
        }
        by_node.push((at, Vote { output, weight: weights[place] }));
    }
    by_node.sort_by_key(|(at, _)| *at);
    let mut ranges = vec![0..0; table.len()];
    for (place, (at, _)) in by_node.iter().enumerate() {
        let place = place as u32;
        let range: &mut Range<u32> = &mut ranges[*at as usize];
        *range = if range.start == range.end { place..place + 1 } else { range.start..place + 1 };
    }
    Ok((by_node.into_iter().map(|(_, vote)| vote).collect(), ranges))
}

/// The node table as it stands in the file.
struct NodeTable<'a> {
    trees: &'a [i64],
    features: &'a [i64],
    values: &'a [f32],
    modes: &'a [Vec<u8>],
    if_true: &'a [i64],
    if_false: &'a [i64],
    missing: &'a [i64],
    index: HashMap<(i64, i64), u32>,
    roots: Vec<u32>,
}

impl<'a> NodeTable<'a> {
    fn parse(node: Attributes<'a>) -> Result<Self, Refusal> {
        let trees = node.ints("nodes_treeids")?;
        let ids = node.ints("nodes_nodeids")?;
        let mut table = Self {
            trees,
            features: node.ints("nodes_featureids")?,
            values: node.floats("nodes_values")?,
            modes: node.strings("nodes_modes")?,
            if_true: node.ints("nodes_truenodeids")?,
            if_false: node.ints("nodes_falsenodeids")?,
            missing: node.ints("nodes_missing_value_tracks_true")?,
            index: HashMap::with_capacity(trees.len()),
            roots: Vec::new(),
        };
        let lengths = [
            ids.len(),
            table.features.len(),
            table.values.len(),
            table.modes.len(),
            table.if_true.len(),
            table.if_false.len(),
        ];
        let missing_fits = table.missing.is_empty() || table.missing.len() == trees.len();
        if trees.is_empty() || lengths != [trees.len(); 6] || !missing_fits {
            return Err(node.refuse(Rule::Shape, "its nodes are lists of different lengths"));
        }
        for (at, key) in trees.iter().copied().zip(ids.iter().copied()).enumerate() {
            // The first node named of a tree is its root.
            if at == 0 || trees[at - 1] != key.0 {
                table.roots.push(at as u32);
            }
            if table.index.insert(key, at as u32).is_some() {
                let why = format!("node {} of tree {} appears twice", key.1, key.0);
                return Err(node.refuse(Rule::Shape, why));
            }
        }
        Ok(table)
    }

    fn len(&self) -> usize {
        self.trees.len()
    }

    fn node(
        &self,
        node: Attributes<'_>,
        at: usize,
        features: usize,
        votes: Range<u32>,
    ) -> Result<TreeNode, Refusal> {
        let compare = match self.modes[at].as_slice() {
            b"LEAF" => return Ok(TreeNode::Leaf { votes }),
            b"BRANCH_LEQ" => Compare::LessEqual,
            b"BRANCH_LT" => Compare::Less,
            b"BRANCH_GTE" => Compare::GreaterEqual,
            b"BRANCH_GT" => Compare::Greater,
            b"BRANCH_EQ" => Compare::Equal,
            b"BRANCH_NEQ" => Compare::NotEqual,
            other => {
                let why = format!("node mode {} is unknown", String::from_utf8_lossy(other));
                return Err(node.refuse(Rule::Operator, why));
            }
        };
        let child = |id: i64| {
            self.index.get(&(self.trees[at], id)).copied().ok_or_else(|| {
                let why = format!("tree {} has no node {id}", self.trees[at]);
                node.refuse(Rule::Shape, why)
            })
        };
        let feature = u32::try_from(self.features[at]).ok().filter(|f| (*f as usize) < features);
        let feature = feature.ok_or_else(|| {
            let why = format!("a node asks for feature {} of {features}", self.features[at]);
            node.refuse(Rule::Shape, why)
        })?;
        Ok(TreeNode::Branch {
            feature,
            compare,
            threshold: self.values[at],
            missing_is_true: self.missing.get(at).is_some_and(|m| *m != 0),
            if_true: child(self.if_true[at])?,
            if_false: child(self.if_false[at])?,
        })
    }
}
