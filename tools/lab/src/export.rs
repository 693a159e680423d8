//! A forest of classes as an ONNX file.
//!
//! ```text
//!   x [1,n] ──► TreeEnsembleClassifier (post_transform SOFTMAX) ──► probabilities [1,classes]
//! ```
//! IR 8, operator set 17, ai.onnx.ml 3. The label output of the operator is not an output of the
//! graph. No wall clock goes into the file: the same forest and properties give the same bytes.

use crate::gbdt::{Forest, Node, Objective};
use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto, tensor_proto, tensor_shape_proto,
    type_proto,
};

/// Why a forest cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Only classifiers have a form the trader loads.
    #[error("only a forest of classes can be exported")]
    NotClasses,
}

/// The file's bytes. `properties` become the file's metadata, in this order.
///
/// # Errors
/// [`ExportError`] for a regression.
pub fn to_onnx(forest: &Forest, properties: &[(&str, String)]) -> Result<Vec<u8>, ExportError> {
    let Objective::Softmax { classes } = forest.objective else {
        return Err(ExportError::NotClasses);
    };
    let node = NodeProto {
        input: vec!["x".into()],
        output: vec!["label".into(), "probabilities".into()],
        name: "trees".into(),
        op_type: "TreeEnsembleClassifier".into(),
        domain: "ai.onnx.ml".into(),
        attribute: attributes(forest, classes),
        ..NodeProto::default()
    };
    let graph = GraphProto {
        node: vec![node],
        name: "decision".into(),
        input: vec![tensor_info("x", forest.features)],
        output: vec![tensor_info("probabilities", classes)],
        ..GraphProto::default()
    };
    let operator_set =
        |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    let property = |(key, value): &(&str, String)| StringStringEntryProto {
        key: (*key).to_owned(),
        value: value.clone(),
    };
    let model = ModelProto {
        ir_version: 8,
        opset_import: vec![operator_set("", 17), operator_set("ai.onnx.ml", 3)],
        producer_name: "peregrine-lab".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        metadata_props: properties.iter().map(property).collect(),
        ..ModelProto::default()
    };
    Ok(model.encode_to_vec())
}

/// The operator's arrays, one entry per node or per leaf.
#[derive(Default)]
struct Arrays {
    tree_ids: Vec<i64>,
    node_ids: Vec<i64>,
    feature_ids: Vec<i64>,
    modes: Vec<Vec<u8>>,
    values: Vec<f32>,
    true_ids: Vec<i64>,
    false_ids: Vec<i64>,
    class_tree_ids: Vec<i64>,
    class_node_ids: Vec<i64>,
    class_ids: Vec<i64>,
    class_weights: Vec<f32>,
}

impl Arrays {
    fn push(&mut self, tree: i64, id: i64, class: i64, node: &Node) {
        let is_leaf = node.left == 0;
        self.tree_ids.push(tree);
        self.node_ids.push(id);
        self.feature_ids.push(i64::from(node.feature));
        self.modes.push(if is_leaf { b"LEAF".to_vec() } else { b"BRANCH_LEQ".to_vec() });
        self.values.push(node.cut);
        self.true_ids.push(i64::from(node.left));
        self.false_ids.push(i64::from(node.right));
        if is_leaf {
            self.class_tree_ids.push(tree);
            self.class_node_ids.push(id);
            self.class_ids.push(class);
            self.class_weights.push(node.value);
        }
    }
}

fn attributes(forest: &Forest, classes: usize) -> Vec<AttributeProto> {
    let mut arrays = Arrays::default();
    for (number, tree) in forest.trees.iter().enumerate() {
        for (id, node) in tree.nodes.iter().enumerate() {
            arrays.push(number as i64, id as i64, (number % classes) as i64, node);
        }
    }
    vec![
        floats("base_values", forest.base.clone()),
        ints("class_ids", arrays.class_ids),
        ints("class_nodeids", arrays.class_node_ids),
        ints("class_treeids", arrays.class_tree_ids),
        floats("class_weights", arrays.class_weights),
        ints("classlabels_int64s", (0..classes as i64).collect()),
        ints("nodes_falsenodeids", arrays.false_ids),
        ints("nodes_featureids", arrays.feature_ids),
        strings("nodes_modes", arrays.modes),
        ints("nodes_nodeids", arrays.node_ids),
        ints("nodes_treeids", arrays.tree_ids),
        ints("nodes_truenodeids", arrays.true_ids),
        floats("nodes_values", arrays.values),
        text("post_transform", "SOFTMAX"),
    ]
}

fn attribute(name: &str, kind: attribute_proto::AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind as i32, ..AttributeProto::default() }
}

fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { ints, ..attribute(name, attribute_proto::AttributeType::Ints) }
}

fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { floats, ..attribute(name, attribute_proto::AttributeType::Floats) }
}

fn strings(name: &str, strings: Vec<Vec<u8>>) -> AttributeProto {
    AttributeProto { strings, ..attribute(name, attribute_proto::AttributeType::Strings) }
}

fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        s: value.as_bytes().to_vec(),
        ..attribute(name, attribute_proto::AttributeType::String)
    }
}

fn tensor_info(name: &str, width: usize) -> ValueInfoProto {
    let dimension = |size: usize| tensor_shape_proto::Dimension {
        value: Some(tensor_shape_proto::dimension::Value::DimValue(size as i64)),
        ..tensor_shape_proto::Dimension::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: tensor_proto::DataType::Float as i32,
        shape: Some(TensorShapeProto { dim: vec![dimension(1), dimension(width)] }),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
