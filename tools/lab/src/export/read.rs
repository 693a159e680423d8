//! Trees out of a file that was written here, to go on from.

use super::trees::{CLASSES_NODE, QUANTILES_NODE};
use crate::gbdt::{Forest, Node, Objective, Tree};
use crate::learn::LEVELS;
use prost::Message;
use std::collections::BTreeMap;
use tract_onnx::pb::{ModelProto, NodeProto};

/// Why a file cannot be gone on from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes are no ONNX file.
    #[error("is no ONNX file")]
    NoModel,
    /// The model is not made of trees alone.
    #[error("is not a model of trees alone, written by this lab")]
    NotTrees,
    /// The arrays of a node do not fit together.
    #[error("its node {0} is not as it was written")]
    Damaged(String),
}

/// What a file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Parent {
    /// Trees of the classes.
    pub trees: Forest,
    /// Trees of quantiles, where it has them.
    pub spread: Option<Forest>,
    /// Metadata.
    pub properties: BTreeMap<String, String>,
}

/// The trees of a file for rows of `features` values.
///
/// # Errors
/// [`ReadError`].
pub fn read(onnx: &[u8], features: usize) -> Result<Parent, ReadError> {
    let model = ModelProto::decode(onnx).map_err(|_| ReadError::NoModel)?;
    let graph = model.graph.ok_or(ReadError::NoModel)?;
    let find = |name: &str| graph.node.iter().find(|node| node.name == name);
    let node = find(CLASSES_NODE).ok_or(ReadError::NotTrees)?;
    // In a stack the trees are one of several, and say nothing alone.
    if !node.output.iter().any(|output| output == "probabilities") {
        return Err(ReadError::NotTrees);
    }
    let classes = ints(node, "classlabels_int64s").len();
    let trees = forest(node, Objective::Softmax { classes }, features)?;
    let objective = Objective::Quantiles { permille: LEVELS };
    let spread = find(QUANTILES_NODE).map(|node| forest(node, objective, features)).transpose()?;
    let property = |entry: tract_onnx::pb::StringStringEntryProto| (entry.key, entry.value);
    let properties = model.metadata_props.into_iter().map(property).collect();
    Ok(Parent { trees, spread, properties })
}

fn ints<'n>(node: &'n NodeProto, name: &str) -> &'n [i64] {
    let found = node.attribute.iter().find(|attribute| attribute.name == name);
    found.map_or(&[], |attribute| &attribute.ints)
}

fn floats<'n>(node: &'n NodeProto, name: &str) -> &'n [f32] {
    let found = node.attribute.iter().find(|attribute| attribute.name == name);
    found.map_or(&[], |attribute| &attribute.floats)
}

fn forest(node: &NodeProto, objective: Objective, features: usize) -> Result<Forest, ReadError> {
    let damaged = || ReadError::Damaged(node.name.clone());
    let leaf = if matches!(objective, Objective::Softmax { .. }) { "class" } else { "target" };
    let trees = ints(node, "nodes_treeids");
    let [ids, chosen, left, right] =
        ["nodes_nodeids", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids"]
            .map(|name| ints(node, name));
    let cuts = floats(node, "nodes_values");
    let base = floats(node, "base_values").to_vec();
    let same = [ids, chosen, left, right].iter().all(|all| all.len() == trees.len());
    if !same || cuts.len() != trees.len() || base.len() != objective.outputs() {
        return Err(damaged());
    }
    let mut grown: Vec<Tree> = Vec::new();
    for at in 0..trees.len() {
        if trees[at] == grown.len() as i64 {
            grown.push(Tree { nodes: Vec::new() });
        }
        let is_newest = trees[at] + 1 == grown.len() as i64;
        let tree = grown.last_mut().filter(|_| is_newest).ok_or_else(damaged)?;
        let whole = |value: i64| u32::try_from(value).map_err(|_| damaged());
        let is_known = usize::try_from(chosen[at]).is_ok_and(|feature| feature < features);
        if ids[at] != tree.nodes.len() as i64 || !is_known {
            return Err(damaged());
        }
        tree.nodes.push(Node {
            feature: whole(chosen[at])?,
            cut: cuts[at],
            left: whole(left[at])?,
            right: whole(right[at])?,
            value: 0.0,
        });
    }
    let name = |part: &str| format!("{leaf}_{part}");
    let (leaf_trees, leaf_nodes) = (ints(node, &name("treeids")), ints(node, &name("nodeids")));
    for ((&tree, &id), &weight) in
        leaf_trees.iter().zip(leaf_nodes).zip(floats(node, &name("weights")))
    {
        let tree = usize::try_from(tree).ok().and_then(|tree| grown.get_mut(tree));
        let id = usize::try_from(id).map_err(|_| damaged())?;
        tree.and_then(|tree| tree.nodes.get_mut(id)).ok_or_else(damaged)?.value = weight;
    }
    // Children lie behind their parent, so every walk ends.
    let is_sound = |tree: &Tree| {
        let size = tree.nodes.len() as u32;
        let behind = |at: usize, child: u32| child as usize > at && child < size;
        let mut nodes = tree.nodes.iter().enumerate();
        nodes.all(|(at, node)| node.left == 0 || behind(at, node.left) && behind(at, node.right))
    };
    let whole = grown.len().is_multiple_of(objective.outputs());
    if grown.is_empty() || !whole || !grown.iter().all(is_sound) {
        return Err(damaged());
    }
    Ok(Forest { objective, features, base, scale: (1.0, 0.0), trees: grown })
}
