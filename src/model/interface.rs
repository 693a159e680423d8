//! Which input is the feature row, which are states, which outputs are the answer.

use super::error::{Refusal, Rule};
use std::collections::HashSet;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{GraphProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};

const FLOAT: i32 = 1;

/// A named value at the edge of the graph, with its fixed shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub name: String,
    pub shape: Vec<usize>,
}

impl Port {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn to_value_info(&self) -> ValueInfoProto {
        let dim = |&dim: &usize| Dimension {
            value: Some(dimension::Value::DimValue(dim as i64)),
            ..Dimension::default()
        };
        let shape = Some(TensorShapeProto { dim: self.shape.iter().map(dim).collect() });
        let tensor = type_proto::Tensor { elem_type: FLOAT, shape };
        ValueInfoProto {
            name: self.name.clone(),
            r#type: Some(TypeProto {
                value: Some(type_proto::Value::TensorType(tensor)),
                ..TypeProto::default()
            }),
            ..ValueInfoProto::default()
        }
    }
}

/// See the head of this file. States are pairs `<stem>_in`, `<stem>_out`.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub input: Port,
    pub states: Vec<(Port, Port)>,
    pub probabilities: Port,
    pub quantiles: Option<Port>,
}

impl Interface {
    /// Finds the ports of a graph for rows of `features` values.
    pub fn find(graph: &GraphProto, features: usize) -> Result<Self, Refusal> {
        let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        let inputs: Vec<&ValueInfoProto> =
            graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).collect();
        let state_output = |input: &ValueInfoProto| {
            let wanted = format!("{}_out", input.name.strip_suffix("_in")?);
            graph.output.iter().find(|o| o.name == wanted)
        };
        let mut states = Vec::new();
        for input in &inputs {
            if let Some(output) = state_output(input) {
                let port = state_port(input)?;
                states.push((port.clone(), Port { name: output.name.clone(), ..port }));
            }
        }
        let rows: Vec<_> = inputs.iter().filter(|i| state_output(i).is_none()).collect();
        let [row] = rows[..] else {
            let names: Vec<&str> = rows.iter().map(|i| i.name.as_str()).collect();
            let why = format!("takes the inputs {names:?}, one row of features expected");
            return Err(Refusal::new(Rule::Interface, "graph", why)
                .remedy("export with one [1, n] float input, and states as pairs h_in, h_out"));
        };
        let is_answer = |o: &&ValueInfoProto| states.iter().all(|(_, out)| out.name != o.name);
        let answers: Vec<&ValueInfoProto> = graph.output.iter().filter(is_answer).collect();
        let row_of_three = |name: &str| Port { name: name.to_owned(), shape: vec![1, 3] };
        let quantiles = answers.iter().find(|o| o.name == "quantiles");
        Ok(Self {
            input: row_port(row, features)?,
            probabilities: row_of_three(&probabilities(&answers)?.name),
            quantiles: quantiles.map(|o| row_of_three(&o.name)),
            states,
        })
    }

    pub fn inputs(&self) -> impl Iterator<Item = &Port> {
        std::iter::once(&self.input).chain(self.states.iter().map(|(input, _)| input))
    }

    pub fn outputs(&self) -> impl Iterator<Item = &Port> {
        let states = self.states.iter().map(|(_, output)| output);
        std::iter::once(&self.probabilities).chain(&self.quantiles).chain(states)
    }

    pub fn output_names(&self) -> impl Iterator<Item = &str> {
        self.outputs().map(|port| port.name.as_str())
    }
}

/// The output named `probabilities`, else the only float output that can be a row of three.
fn probabilities<'a>(answers: &[&'a ValueInfoProto]) -> Result<&'a ValueInfoProto, Refusal> {
    if let Some(output) = answers.iter().find(|o| o.name == "probabilities") {
        return Ok(output);
    }
    let can_be = |o: &&&ValueInfoProto| {
        let Some(tensor) = tensor_type(o) else { return false };
        let last = tensor.shape.as_ref().and_then(|s| s.dim.last()).map(fixed_dim);
        o.name != "quantiles"
            && tensor.elem_type == FLOAT
            && !matches!(last, Some(Some(n)) if n != 3)
    };
    let candidates: Vec<_> = answers.iter().filter(can_be).collect();
    match candidates[..] {
        [output] => Ok(output),
        _ => {
            let names: Vec<&str> = answers.iter().map(|o| o.name.as_str()).collect();
            let why = format!("{} of its outputs {names:?} can be probabilities", candidates.len());
            Err(Refusal::new(Rule::Interface, "graph", why)
                .remedy("name the [1, 3] float output `probabilities`"))
        }
    }
}

fn row_port(input: &ValueInfoProto, features: usize) -> Result<Port, Refusal> {
    let item = format!("input `{}`", input.name);
    let dims = float_dims(input)?;
    match dims.as_deref() {
        None | Some([None | Some(1), None]) => {}
        Some([None | Some(1), Some(n)]) if *n == features as i64 => {}
        Some([None | Some(1), Some(n)]) => {
            let why = format!("takes {n} features, card.toml names {features}");
            return Err(Refusal::new(Rule::Shape, item, why));
        }
        Some([Some(rows), _]) => {
            let why = format!("takes {rows} rows at once");
            return Err(Refusal::new(Rule::Shape, item, why).remedy("export with batch size 1"));
        }
        Some(dims) if dims.len() > 2 => {
            let why = format!("takes a window of rank {}, a [1, n] row expected", dims.len());
            return Err(Refusal::new(Rule::Window, item, why)
                .remedy("export one step with state in and out (h_in, h_out)"));
        }
        Some(dims) => {
            let why = format!("has rank {}, a [1, n] row expected", dims.len());
            return Err(Refusal::new(Rule::Shape, item, why).remedy("export with input [1, n]"));
        }
    }
    Ok(Port { name: input.name.clone(), shape: vec![1, features] })
}

/// A state: all dimensions but the last are 1 or symbolic.
fn state_port(input: &ValueInfoProto) -> Result<Port, Refusal> {
    let item = format!("state input `{}`", input.name);
    let dims = float_dims(input)?.unwrap_or_default();
    let (Some(Some(len)), rest) = (dims.last(), &dims[..dims.len().saturating_sub(1)]) else {
        let why = "has no fixed last dimension";
        return Err(Refusal::new(Rule::Shape, item, why).remedy("export it as [1, k]"));
    };
    if !(1..=65_536).contains(len) || rest.iter().flatten().any(|&dim| dim != 1) {
        let why = format!("has shape {dims:?}, [1, k] expected");
        return Err(Refusal::new(Rule::Shape, item, why).remedy("export it as [1, k]"));
    }
    let mut shape = vec![1; dims.len()];
    shape[dims.len() - 1] = *len as usize;
    Ok(Port { name: input.name.clone(), shape })
}

/// The dimensions of a float input, `None` for symbolic ones; `None` when no shape is given.
fn float_dims(input: &ValueInfoProto) -> Result<Option<Vec<Option<i64>>>, Refusal> {
    let item = format!("input `{}`", input.name);
    let tensor =
        tensor_type(input).ok_or_else(|| Refusal::new(Rule::DataType, &item, "is no tensor"))?;
    if tensor.elem_type != FLOAT {
        let why = format!("has data type {}", tensor.elem_type);
        return Err(Refusal::new(Rule::DataType, item, why).remedy("export in float32"));
    }
    Ok(tensor.shape.as_ref().map(|shape| shape.dim.iter().map(fixed_dim).collect()))
}

fn tensor_type(info: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    match info.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor),
    }
}

fn fixed_dim(dim: &Dimension) -> Option<i64> {
    match dim.value {
        Some(dimension::Value::DimValue(value)) if value > 0 => Some(value),
        _ => None,
    }
}
