//! Graph files made here: gradient-boosted forests of full trees.

use super::Sequence;
use peregrine::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorShapeProto,
    TypeProto, ValueInfoProto,
    attribute_proto::AttributeType,
    tensor_proto::DataType,
    tensor_shape_proto::{Dimension, dimension},
    type_proto,
};
use prost::Message;

const CLASSES: usize = 3;

/// A classifier of `trees` full trees of `depth` levels over `features` inputs, softmax at the end.
pub fn forest(trees: usize, depth: u32, features: usize) -> Vec<u8> {
    let node = NodeProto {
        input: vec!["x".into()],
        output: vec!["label".into(), "probabilities".into()],
        name: "trees".into(),
        op_type: "TreeEnsembleClassifier".into(),
        domain: "ai.onnx.ml".into(),
        attribute: attributes(trees, depth, features),
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: vec![node],
        name: "forest".into(),
        input: vec![row("x", features)],
        output: vec![row("probabilities", CLASSES)],
        ..GraphProto::default()
    };
    let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![set("", 17), set("ai.onnx.ml", 3)],
        graph: Some(graph),
        ..ModelProto::default()
    };
    model.encode_to_vec()
}

/// Nodes of a tree lie level by level: the children of `i` are `2i + 1` and `2i + 2`.
fn attributes(trees: usize, depth: u32, features: usize) -> Vec<AttributeProto> {
    let mut random = Sequence::new(29);
    let (inner, all) = ((1 << depth) - 1, (1 << (depth + 1)) - 1);
    let mut columns: [Vec<i64>; 5] = Default::default();
    let (mut modes, mut values) = (Vec::new(), Vec::new());
    let (mut leaves, mut weights): ([Vec<i64>; 3], Vec<f32>) = Default::default();
    for tree in 0..trees as i64 {
        for id in 0..all {
            let leaf = id >= inner;
            let child = |n: i64| if leaf { 0 } else { 2 * id + n };
            let feature = if leaf { 0 } else { random.below(features as u64) as i64 };
            let cells = [tree, id, feature, child(1), child(2)];
            columns.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
            modes.push(if leaf { b"LEAF".to_vec() } else { b"BRANCH_LEQ".to_vec() });
            values.push(if leaf { 0.0 } else { random.unit() });
            if leaf {
                let cells = [tree, id, tree % CLASSES as i64];
                leaves.iter_mut().zip(cells).for_each(|(column, cell)| column.push(cell));
                weights.push(random.unit() * 0.1);
            }
        }
    }
    let [tree_ids, node_ids, feature_ids, true_ids, false_ids] = columns;
    let [leaf_trees, leaf_nodes, leaf_classes] = leaves;
    vec![
        ints("class_ids", leaf_classes),
        ints("class_nodeids", leaf_nodes),
        ints("class_treeids", leaf_trees),
        floats("class_weights", weights),
        ints("classlabels_int64s", (0..CLASSES as i64).collect()),
        ints("nodes_falsenodeids", false_ids),
        ints("nodes_featureids", feature_ids),
        AttributeProto { strings: modes, ..attribute("nodes_modes", AttributeType::Strings) },
        ints("nodes_nodeids", node_ids),
        ints("nodes_treeids", tree_ids),
        ints("nodes_truenodeids", true_ids),
        floats("nodes_values", values),
        AttributeProto {
            s: b"SOFTMAX".to_vec(),
            ..attribute("post_transform", AttributeType::String)
        },
    ]
}

fn attribute(name: &str, kind: AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind as i32, ..AttributeProto::default() }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { ints, ..attribute(name, AttributeType::Ints) }
}

fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { floats, ..attribute(name, AttributeType::Floats) }
}

fn row(name: &str, width: usize) -> ValueInfoProto {
    let size = |n: usize| Dimension {
        value: Some(dimension::Value::DimValue(n as i64)),
        ..Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: vec![size(1), size(width)] }),
    };
    let value = Some(type_proto::Value::TensorType(tensor));
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { value, ..TypeProto::default() }),
        ..ValueInfoProto::default()
    }
}
