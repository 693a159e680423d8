//! A forest as an operator of ai.onnx.ml.

use super::ExportError;
use super::graph::{Graph, floats, int, ints, strings, text};
use crate::gbdt::{Forest, Node, Objective};
use tract_onnx::pb::AttributeProto;

/// Domain of the operators.
pub(super) const DOMAIN: &str = "ai.onnx.ml";
/// Name of the node of classes.
pub(super) const CLASSES_NODE: &str = "trees";
/// Name of the node of quantiles.
pub(super) const QUANTILES_NODE: &str = "quantile_trees";

/// Trees of classes; `softmax` makes probabilities of them.
pub(super) fn classes(
    graph: &mut Graph,
    forest: &Forest,
    to: &str,
    softmax: bool,
) -> Result<(), ExportError> {
    let Objective::Softmax { classes } = forest.objective else {
        return Err(ExportError::NotClasses);
    };
    let arrays = Arrays::of(forest);
    let mut attributes = vec![
        floats("base_values", forest.base.clone()),
        ints("class_ids", arrays.output_ids),
        ints("class_nodeids", arrays.leaf_node_ids),
        ints("class_treeids", arrays.leaf_tree_ids),
        floats("class_weights", arrays.weights),
        ints("classlabels_int64s", (0..classes as i64).collect()),
    ];
    attributes.extend(arrays.nodes);
    attributes.push(text("post_transform", if softmax { "SOFTMAX" } else { "NONE" }));
    let op = (DOMAIN, "TreeEnsembleClassifier");
    graph.push(op, CLASSES_NODE, (&["x"], &["label", to]), attributes);
    Ok(())
}

/// Trees of quantiles, and their answers in order: the least, the middle one, the greatest.
pub(super) fn quantiles(graph: &mut Graph, forest: &Forest) {
    let arrays = Arrays::of(forest);
    let mut attributes = vec![
        floats("base_values", forest.base.clone()),
        int("n_targets", forest.base.len() as i64),
        ints("target_ids", arrays.output_ids),
        ints("target_nodeids", arrays.leaf_node_ids),
        ints("target_treeids", arrays.leaf_tree_ids),
        floats("target_weights", arrays.weights),
    ];
    attributes.extend(arrays.nodes);
    attributes.push(text("post_transform", "NONE"));
    let op = (DOMAIN, "TreeEnsembleRegressor");
    graph.push(op, QUANTILES_NODE, (&["x"], &["levels"]), attributes);
    graph.ints("levels_split", vec![1, 1, 1]);
    let parts = ["level_a", "level_b", "level_c"];
    graph.node("Split", &["levels", "levels_split"], &parts, vec![int("axis", 1)]);
    let [a, b, c] = parts;
    for (op, (left, right), to) in [
        ("Min", (a, b), "level_ab_min"),
        ("Max", (a, b), "level_ab_max"),
        ("Min", ("level_ab_min", c), "level_low"),
        ("Min", ("level_ab_max", c), "level_c_or_less"),
        ("Max", ("level_ab_min", "level_c_or_less"), "level_middle"),
        ("Max", ("level_ab_max", c), "level_high"),
    ] {
        graph.node(op, &[left, right], &[to], Vec::new());
    }
    let all = ["level_low", "level_middle", "level_high"];
    graph.node("Concat", &all, &["quantiles"], vec![int("axis", 1)]);
}

/// The operator's arrays, one entry per node or per leaf.
struct Arrays {
    nodes: Vec<AttributeProto>,
    leaf_tree_ids: Vec<i64>,
    leaf_node_ids: Vec<i64>,
    output_ids: Vec<i64>,
    weights: Vec<f32>,
}

impl Arrays {
    fn of(forest: &Forest) -> Self {
        let outputs = forest.base.len().max(1);
        let mut leaves: Vec<(i64, i64, i64, f32)> = Vec::new();
        let mut all: Vec<(i64, i64, &Node)> = Vec::new();
        for (tree, grown) in forest.trees.iter().enumerate() {
            for (id, node) in grown.nodes.iter().enumerate() {
                all.push((tree as i64, id as i64, node));
                if node.left == 0 {
                    leaves.push((tree as i64, id as i64, (tree % outputs) as i64, node.value));
                }
            }
        }
        let mode = |node: &Node| -> &[u8] { if node.left == 0 { b"LEAF" } else { b"BRANCH_LEQ" } };
        let whole =
            |name, of: &dyn Fn(&(i64, i64, &Node)) -> i64| ints(name, all.iter().map(of).collect());
        let nodes = vec![
            whole("nodes_falsenodeids", &|(_, _, node)| i64::from(node.right)),
            whole("nodes_featureids", &|(_, _, node)| i64::from(node.feature)),
            strings("nodes_modes", all.iter().map(|(_, _, node)| mode(node).to_vec()).collect()),
            whole("nodes_nodeids", &|&(_, id, _)| id),
            whole("nodes_treeids", &|&(tree, _, _)| tree),
            whole("nodes_truenodeids", &|(_, _, node)| i64::from(node.left)),
            floats("nodes_values", all.iter().map(|(_, _, node)| node.cut).collect()),
        ];
        Self {
            nodes,
            leaf_tree_ids: leaves.iter().map(|leaf| leaf.0).collect(),
            leaf_node_ids: leaves.iter().map(|leaf| leaf.1).collect(),
            output_ids: leaves.iter().map(|leaf| leaf.2).collect(),
            weights: leaves.iter().map(|leaf| leaf.3).collect(),
        }
    }
}
