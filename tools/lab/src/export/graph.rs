//! Nodes, constants, and the file around them.

use prost::Message;
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, attribute_proto, tensor_proto,
    tensor_shape_proto, type_proto,
};

/// A graph in the making: nodes in the order they run in.
#[derive(Default)]
pub(super) struct Graph {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
}

impl Graph {
    /// A row `[1, width]` that comes in.
    pub fn input(&mut self, name: &str, width: usize) {
        self.inputs.push(tensor_info(name, width));
    }

    /// A row `[1, width]` that goes out.
    pub fn output(&mut self, name: &str, width: usize) {
        self.outputs.push(tensor_info(name, width));
    }

    /// An operator, named after its first output.
    pub fn node(&mut self, op: &str, from: &[&str], to: &[&str], with: Vec<AttributeProto>) {
        self.push(("", op), to.first().copied().unwrap_or_default(), (from, to), with);
    }

    /// An operator of a domain, with a name.
    pub fn push(
        &mut self,
        (domain, op): (&str, &str),
        name: &str,
        (from, to): (&[&str], &[&str]),
        attribute: Vec<AttributeProto>,
    ) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        self.nodes.push(NodeProto {
            input: names(from),
            output: names(to),
            name: name.into(),
            op_type: op.into(),
            domain: domain.into(),
            attribute,
            ..NodeProto::default()
        });
    }

    /// A constant of floats.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: Vec<f32>) {
        let tensor = TensorProto {
            float_data: values,
            ..constant(name, dims, tensor_proto::DataType::Float)
        };
        self.constants.push(tensor);
    }

    /// A constant of whole numbers.
    pub fn ints(&mut self, name: &str, values: Vec<i64>) {
        let dims = [values.len()];
        let tensor = TensorProto {
            int64_data: values,
            ..constant(name, &dims, tensor_proto::DataType::Int64)
        };
        self.constants.push(tensor);
    }

    /// to = from · weightsᵀ + bias; the weights are rows of outputs.
    pub fn affine(
        &mut self,
        name: &str,
        (from, to): (&str, &str),
        (weights, bias): (&[f64], &[f64]),
    ) {
        let single = |values: &[f64]| values.iter().map(|&value| value as f32).collect();
        let (matrix, offset) = (format!("{name}_w"), format!("{name}_b"));
        self.floats(&matrix, &[bias.len(), weights.len() / bias.len().max(1)], single(weights));
        self.floats(&offset, &[bias.len()], single(bias));
        self.node("Gemm", &[from, &matrix, &offset], &[to], vec![int("transB", 1)]);
    }

    /// The file's bytes.
    pub fn file(self, properties: &[(&str, String)]) -> Vec<u8> {
        let graph = GraphProto {
            node: self.nodes,
            name: "decision".into(),
            initializer: self.constants,
            input: self.inputs,
            output: self.outputs,
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
        model.encode_to_vec()
    }
}

fn constant(name: &str, dims: &[usize], kind: tensor_proto::DataType) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.iter().map(|&dim| dim as i64).collect(),
        data_type: kind as i32,
        ..TensorProto::default()
    }
}

fn attribute(name: &str, kind: attribute_proto::AttributeType) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: kind as i32, ..AttributeProto::default() }
}

pub(super) fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i, ..attribute(name, attribute_proto::AttributeType::Int) }
}

pub(super) fn ints(name: &str, ints: Vec<i64>) -> AttributeProto {
    AttributeProto { ints, ..attribute(name, attribute_proto::AttributeType::Ints) }
}

pub(super) fn floats(name: &str, floats: Vec<f32>) -> AttributeProto {
    AttributeProto { floats, ..attribute(name, attribute_proto::AttributeType::Floats) }
}

pub(super) fn strings(name: &str, strings: Vec<Vec<u8>>) -> AttributeProto {
    AttributeProto { strings, ..attribute(name, attribute_proto::AttributeType::Strings) }
}

pub(super) fn text(name: &str, value: &str) -> AttributeProto {
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
