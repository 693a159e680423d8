//! The graph as both executors see it: only what leads to the outputs, every shape known, every
//! constant in place.
//!
//! ```text
//! file ── interface (which input, state, output) ── prune ── infer each node ── Graph
//!                                                      └──► a pruned file for tract
//! ```

use super::attributes::Attributes;
use super::error::{Refusal, Rule};
use super::interface::{Interface, Port};
use super::ops::{self, Op};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, TensorProto};

/// Most elements of a computed value.
pub(crate) const VALUE_ELEMENTS_MAX: usize = 1 << 20;

/// A constant of the file, or folded from constants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Floats(Arc<[f32]>),
    Ints(Arc<[i64]>),
}

/// What is known of a value.
#[derive(Clone, Debug)]
pub(crate) struct Fact {
    pub shape: Vec<usize>,
    pub constant: Option<Constant>,
}

impl Fact {
    pub fn floats(shape: Vec<usize>) -> Self {
        Self { shape, constant: None }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().fold(1, |n, &dim| n.saturating_mul(dim))
    }

    pub fn is_int(&self) -> bool {
        matches!(self.constant, Some(Constant::Ints(_)))
    }
}

pub(crate) type ValueId = usize;

/// One operator with what it reads and writes; `None` is an omitted optional.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub item: String,
    pub op: Op,
    pub inputs: Vec<Option<ValueId>>,
    pub outputs: Vec<Option<ValueId>>,
}

/// A state carried from step to step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub name: String,
    pub input: ValueId,
    pub output: ValueId,
    pub len: usize,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct Graph {
    pub facts: Vec<Fact>,
    pub nodes: Vec<Node>,
    pub input: ValueId,
    pub states: Vec<State>,
    pub probabilities: ValueId,
    pub quantiles: Option<ValueId>,
    /// The same graph as a file with fixed shapes: outputs are probabilities, quantiles, states.
    pub pruned: ModelProto,
}

impl Graph {
    /// Reads a decoded file for rows of `features` values.
    pub fn build(model: &ModelProto, features: usize) -> Result<Self, Refusal> {
        let graph = model.graph.as_ref();
        let graph = graph.ok_or_else(|| Refusal::new(Rule::Wire, "model", "holds no graph"))?;
        let interface = Interface::find(graph, features)?;
        let needed = needed_nodes(graph, &interface)?;
        let mut builder = Builder::start(model, graph, &interface)?;
        for &at in &needed {
            builder.add_node(&graph.node[at])?;
        }
        builder.finish(model, graph, &interface, &needed)
    }

    /// Values of all states together.
    pub fn state_len(&self) -> usize {
        self.states.iter().map(|s| s.len).sum()
    }
}

/// Places of the nodes that lead to the outputs, in file order.
fn needed_nodes(graph: &GraphProto, interface: &Interface) -> Result<Vec<usize>, Refusal> {
    let mut producer = HashMap::new();
    for (at, node) in graph.node.iter().enumerate() {
        for output in node.output.iter().filter(|name| !name.is_empty()) {
            if producer.insert(output.as_str(), at).is_some() {
                let item = format!("value `{output}`");
                return Err(Refusal::new(Rule::Wire, item, "is produced twice"));
            }
        }
    }
    let mut open: Vec<&str> = interface.output_names().collect();
    let mut needed = HashSet::new();
    while let Some(name) = open.pop() {
        if let Some(&at) = producer.get(name)
            && needed.insert(at)
        {
            open.extend(graph.node[at].input.iter().map(String::as_str));
        }
    }
    let mut needed: Vec<usize> = needed.into_iter().collect();
    needed.sort_unstable();
    Ok(needed)
}

/// Facts gathered while nodes are added in file order.
pub(crate) struct Builder<'a> {
    pub opset: i64,
    pub facts: Vec<Fact>,
    ids: HashMap<String, ValueId>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    nodes: Vec<Node>,
    used: HashSet<String>,
}

impl<'a> Builder<'a> {
    fn start(
        model: &ModelProto,
        graph: &'a GraphProto,
        interface: &Interface,
    ) -> Result<Self, Refusal> {
        let is_default = |domain: &str| matches!(domain, "" | "ai.onnx");
        let opset = model.opset_import.iter().find(|o| is_default(&o.domain)).map(|o| o.version);
        let mut builder = Self {
            // A file of ai.onnx.ml operators alone may leave the default set out.
            opset: opset.unwrap_or(17),
            facts: Vec::new(),
            ids: HashMap::new(),
            initializers: graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            nodes: Vec::new(),
            used: HashSet::new(),
        };
        for port in interface.inputs() {
            builder.define(&port.name, Fact::floats(port.shape.clone()))?;
        }
        Ok(builder)
    }

    fn define(&mut self, name: &str, fact: Fact) -> Result<ValueId, Refusal> {
        if fact.constant.is_none() && fact.len() > VALUE_ELEMENTS_MAX {
            let why = format!("{} elements exceed the cap of {VALUE_ELEMENTS_MAX}", fact.len());
            return Err(Refusal::new(Rule::Size, format!("value `{name}`"), why));
        }
        let id = self.facts.len();
        self.facts.push(fact);
        if self.ids.insert(name.to_owned(), id).is_some() {
            return Err(Refusal::new(Rule::Wire, format!("value `{name}`"), "is defined twice"));
        }
        Ok(id)
    }

    fn resolve(&mut self, name: &str) -> Result<ValueId, Refusal> {
        if let Some(&id) = self.ids.get(name) {
            return Ok(id);
        }
        let tensor = self.initializers.get(name).copied().ok_or_else(|| {
            let why = "is read before anything produces it";
            Refusal::new(Rule::Wire, format!("value `{name}`"), why)
        })?;
        let fact = read_tensor(tensor)?;
        self.used.insert(name.to_owned());
        self.define(name, fact)
    }

    fn add_node(&mut self, proto: &NodeProto) -> Result<(), Refusal> {
        let mut inputs = Vec::with_capacity(proto.input.len());
        for name in &proto.input {
            inputs.push(if name.is_empty() { None } else { Some(self.resolve(name)?) });
        }
        let node = Attributes(proto);
        let facts: Vec<Option<&Fact>> =
            inputs.iter().map(|id| id.map(|id| &self.facts[id])).collect();
        let (op, out_facts) = ops::infer(node, self.opset, &facts)?;
        let mut outputs = Vec::with_capacity(proto.output.len());
        for (place, name) in proto.output.iter().enumerate() {
            outputs.push(match out_facts.get(place).cloned().flatten() {
                Some(fact) if !name.is_empty() => Some(self.define(name, fact)?),
                _ => None,
            });
        }
        let folded = outputs.iter().flatten().all(|&id| self.facts[id].constant.is_some());
        if !folded {
            self.nodes.push(Node { item: node.item(), op, inputs, outputs });
        }
        Ok(())
    }

    fn finish(
        mut self,
        model: &ModelProto,
        graph: &GraphProto,
        interface: &Interface,
        needed: &[usize],
    ) -> Result<Graph, Refusal> {
        let mut find = |port: &Port| {
            let id = self.resolve(&port.name)?;
            let found = &self.facts[id];
            let right = found.len() == port.len() && !found.is_int();
            right.then_some(id).ok_or_else(|| {
                let why = format!("has shape {:?}, {:?} expected", found.shape, port.shape);
                Refusal::new(Rule::Interface, format!("output `{}`", port.name), why)
            })
        };
        let probabilities = find(&interface.probabilities)?;
        let quantiles = interface.quantiles.as_ref().map(&mut find).transpose()?;
        let mut state_outputs = Vec::new();
        for (_, output) in &interface.states {
            state_outputs.push(find(output)?);
        }
        let mut states = Vec::new();
        for ((input, _), output) in interface.states.iter().zip(state_outputs) {
            let id = self.resolve(&input.name)?;
            let name = input.name.clone();
            states.push(State { name, input: id, output, len: input.len() });
        }
        let input = self.resolve(&interface.input.name)?;
        let pruned = prune(model, graph, interface, needed, &self.used);
        let (facts, nodes) = (self.facts, self.nodes);
        Ok(Graph { facts, nodes, input, states, probabilities, quantiles, pruned })
    }
}

/// The file with nothing in it that the outputs do not need, and fixed shapes.
fn prune(
    model: &ModelProto,
    graph: &GraphProto,
    interface: &Interface,
    needed: &[usize],
    used: &HashSet<String>,
) -> ModelProto {
    let mut node: Vec<NodeProto> = needed.iter().map(|&at| graph.node[at].clone()).collect();
    let wanted: HashSet<String> = node.iter().flat_map(|n| n.input.clone()).collect();
    let is_output = |name: &str| interface.output_names().any(|output| output == name);
    for node in node.iter_mut().filter(|n| n.op_type == "TreeEnsembleClassifier") {
        // The labels of a classifier: nothing asks for them.
        if let Some(label) = node.output.first_mut()
            && !wanted.contains(label)
            && !is_output(label)
        {
            label.clear();
        }
    }
    let initializer =
        graph.initializer.iter().filter(|t| used.contains(&t.name)).cloned().collect();
    let graph = GraphProto {
        node,
        name: graph.name.clone(),
        initializer,
        input: interface.inputs().map(Port::to_value_info).collect(),
        output: interface.outputs().map(Port::to_value_info).collect(),
        ..GraphProto::default()
    };
    ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        graph: Some(graph),
        ..ModelProto::default()
    }
}

/// Reads a tensor of the file; its size was checked against its shape by the guard.
pub(crate) fn read_tensor(tensor: &TensorProto) -> Result<Fact, Refusal> {
    let item = format!("tensor `{}`", tensor.name);
    let shape: Option<Vec<usize>> =
        tensor.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let shape =
        shape.ok_or_else(|| Refusal::new(Rule::Shape, &item, "has a dimension below zero"))?;
    let raw = &tensor.raw_data;
    let constant = match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) if raw.is_empty() => Constant::Floats(tensor.float_data[..].into()),
        Ok(DataType::Float) => Constant::Floats(from_raw(raw, f32::from_le_bytes)),
        Ok(DataType::Int64) if raw.is_empty() => Constant::Ints(tensor.int64_data[..].into()),
        Ok(DataType::Int64) => Constant::Ints(from_raw(raw, i64::from_le_bytes)),
        Ok(DataType::Int32) if raw.is_empty() => {
            Constant::Ints(tensor.int32_data.iter().map(|&v| i64::from(v)).collect())
        }
        Ok(DataType::Int32) => {
            Constant::Ints(from_raw(raw, |bytes| i64::from(i32::from_le_bytes(bytes))))
        }
        _ => {
            let why = format!("has data type {}", tensor.data_type);
            return Err(Refusal::new(Rule::DataType, &item, why)
                .remedy("export in float32, with integers as int64 or int32"));
        }
    };
    let fact = Fact { shape, constant: Some(constant) };
    let held = match &fact.constant {
        Some(Constant::Floats(values)) => values.len(),
        Some(Constant::Ints(values)) => values.len(),
        None => 0,
    };
    if held != fact.len() {
        return Err(Refusal::new(Rule::Wire, &item, "its data does not fill its shape"));
    }
    Ok(fact)
}

fn from_raw<const N: usize, T>(raw: &[u8], read: fn([u8; N]) -> T) -> Arc<[T]> {
    raw.as_chunks::<N>().0.iter().map(|&bytes| read(bytes)).collect()
}
