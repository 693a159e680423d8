//! From a graph to the steps of a native plan.

use super::error::ModelError;
use super::graph::{Constant, Fact, Graph, Node, ValueId};
use super::kernels::dense::Dense;
use super::kernels::trees::Trees;
use super::moves;
use super::ops::{Binary, Linear, Op, Unary};
use super::plan::{Action, Operand, Plan, Run, Span, StateSpan, Step, allocate};
use super::recurrent::{Gru, Lstm};
use super::tree::PostTransform;

/// Compiles a graph.
///
/// # Errors
/// Names the node that has no native form.
pub(crate) fn lower(graph: &Graph) -> Result<Plan, ModelError> {
    let mut lowering = Lowering {
        facts: &graph.facts,
        places: vec![None; graph.facts.len()],
        arena: Vec::new(),
        steps: Vec::new(),
    };
    let input = lowering.reserve(graph.input);
    let currents: Vec<Span> = graph.states.iter().map(|s| lowering.reserve(s.input)).collect();
    let mut at = 0;
    while at < graph.nodes.len() {
        let fused = lowering.fuse_bias(graph, at);
        at += if fused { 2 } else { lowering.node(&graph.nodes[at]).map(|()| 1)? };
    }
    let mut states = Vec::new();
    for (state, current) in graph.states.iter().zip(currents) {
        states.push(StateSpan { current, next: lowering.read(state.output) });
    }
    let probabilities = lowering.read(graph.probabilities);
    let quantiles = graph.quantiles.map(|id| lowering.read(id));
    // Kernels may read whole lanes beyond the last value.
    allocate(&mut lowering.arena, 0);
    let Lowering { arena, steps, .. } = lowering;
    Ok(Plan { arena, steps, input, states, probabilities, quantiles })
}

struct Lowering<'a> {
    facts: &'a [Fact],
    places: Vec<Option<usize>>,
    arena: Vec<f32>,
    steps: Vec<Step>,
}

impl Lowering<'_> {
    fn reserve(&mut self, id: ValueId) -> Span {
        let span = allocate(&mut self.arena, self.facts[id].len());
        self.places[id] = Some(span.at);
        span
    }

    fn constant(&mut self, values: &[f32]) -> usize {
        let span = allocate(&mut self.arena, values.len());
        self.arena[span.at..span.at + values.len()].copy_from_slice(values);
        span.at
    }

    /// Where a value lies; constants are laid down when first read.
    fn read(&mut self, id: ValueId) -> usize {
        if let Some(at) = self.places[id] {
            return at;
        }
        let facts = self.facts;
        let at = match &facts[id].constant {
            Some(Constant::Floats(values)) => self.constant(values),
            // Inference lets no integer through to here, and defines before it reads.
            _ => self.constant(&[]),
        };
        self.places[id] = Some(at);
        at
    }

    fn push(&mut self, len: usize, action: Action) -> usize {
        // A dense step writes whole blocks, which can reach further than whole lanes.
        let written = match &action {
            Action::Dense { dense, .. } => dense.written(),
            _ => len,
        };
        let y = Span { len, ..allocate(&mut self.arena, written) };
        self.steps.push(Step { y, action });
        y.at
    }

    fn unary(&mut self, function: Unary, x: usize, len: usize) -> usize {
        self.push(len, Action::Unary { x, function })
    }

    fn binary(&mut self, function: Binary, a: usize, b: usize, len: usize) -> usize {
        let operand = |at| Operand { at, one: false };
        self.push(len, Action::Binary { a: operand(a), b: operand(b), function })
    }

    fn linear(&mut self, linear: &Linear, x: usize) -> usize {
        let dense = Dense::new(linear);
        let y = self.push(linear.outputs, Action::Dense { x, dense });
        self.post_transform(linear.post_transform, y, linear.outputs)
    }

    fn post_transform(&mut self, transform: PostTransform, x: usize, len: usize) -> usize {
        match transform {
            PostTransform::None => x,
            PostTransform::Softmax => self.push(len, Action::Softmax { x }),
            PostTransform::Logistic => self.unary(Unary::Sigmoid, x, len),
        }
    }

    /// MatMul by constants whose only reader adds a constant row: one step with a bias.
    fn fuse_bias(&mut self, graph: &Graph, at: usize) -> bool {
        let (Some(product), Some(sum)) = (graph.nodes.get(at), graph.nodes.get(at + 1)) else {
            return false;
        };
        let (Op::Linear(linear), Op::Binary(Binary::Add)) = (&product.op, &sum.op) else {
            return false;
        };
        let (Some(x), Some(y), Some(out)) = (product.inputs[0], product.outputs[0], sum.outputs[0])
        else {
            return false;
        };
        let readers = |n: &&Node| n.inputs.contains(&Some(y));
        let is_edge = graph.probabilities == y
            || graph.quantiles == Some(y)
            || graph.states.iter().any(|s| s.output == y);
        let other = sum.inputs.iter().flatten().find(|&&id| id != y);
        let bias = match other.and_then(|&id| graph.facts[id].constant.as_ref()) {
            Some(Constant::Floats(bias)) if bias.len() == linear.outputs => bias,
            _ => return false,
        };
        let plain = linear.post_transform == PostTransform::None
            && linear.bias.iter().all(|b| *b == 0.0)
            && graph.facts[out].len() == linear.outputs;
        if is_edge || !plain || graph.nodes.iter().filter(readers).count() != 1 {
            return false;
        }
        let linear = Linear { bias: bias.to_vec(), ..Linear::clone(linear) };
        let x = self.read(x);
        let place = self.linear(&linear, x);
        self.places[out] = Some(place);
        true
    }

    fn node(&mut self, node: &Node) -> Result<(), ModelError> {
        let input = |place: usize| node.inputs.get(place).copied().flatten();
        let Some(first) = input(0) else { return Err(not_native(node, "reads nothing")) };
        let output = node.outputs.iter().flatten().next().copied();
        let len = output.map_or(0, |id| self.facts[id].len());
        let x = self.read(first);
        let place = match &node.op {
            Op::Unary(function) => self.unary(*function, x, len),
            Op::Binary(function) => {
                let Some(second) = input(1) else { return Err(not_native(node, "reads one")) };
                let shape = output.map_or(&[][..], |id| &self.facts[id].shape);
                let a = self.operand(first, shape);
                let b = self.operand(second, shape);
                self.push(len, Action::Binary { a, b, function: *function })
            }
            Op::Linear(linear) => self.linear(linear, x),
            Op::Scaler { offset, scale } => {
                let (offset, scale) = (self.constant(offset), self.constant(scale));
                self.push(len, Action::Scaler { x, offset, scale })
            }
            Op::Softmax => self.push(len, Action::Softmax { x }),
            Op::Normalizer(norm) => self.push(len, Action::Normalize { x, norm: *norm }),
            Op::Fold(fold) => {
                let x = Span { at: x, len: self.facts[first].len() };
                self.push(len, Action::Fold { x, fold: *fold })
            }
            Op::Trees(ensemble) => {
                let trees = Trees::new(ensemble.clone());
                let y = self.push(len, Action::Trees { x, trees });
                self.post_transform(ensemble.post_transform, y, len)
            }
            Op::Move(sources) => return self.moves(node, sources),
            Op::Gru(gru) => {
                let h = input(5).map_or(x, |id| self.read(id));
                let place = self.gru(gru, x, h);
                node.outputs.iter().flatten().for_each(|&id| self.places[id] = Some(place));
                return Ok(());
            }
            Op::Lstm(lstm) => {
                let h = input(5).map_or(x, |id| self.read(id));
                let c = input(6).map_or(x, |id| self.read(id));
                let (h, c) = self.lstm(lstm, x, h, c);
                for (place, id) in node.outputs.iter().enumerate() {
                    if let Some(id) = id {
                        self.places[*id] = Some(if place == 2 { c } else { h });
                    }
                }
                return Ok(());
            }
            Op::MatMul => return Err(not_native(node, "multiplies two computed matrices")),
            Op::TractOnly => return Err(not_native(node, "works on more than one row")),
        };
        if let Some(id) = output {
            self.places[id] = Some(place);
        }
        Ok(())
    }

    /// An operand of a function of two, spread out where its shape asks for it.
    fn operand(&mut self, id: ValueId, shape: &[usize]) -> Operand {
        let at = self.read(id);
        let fact = &self.facts[id];
        let len: usize = shape.iter().product();
        if fact.len() == len || fact.len() == 1 {
            return Operand { at, one: fact.len() == 1 };
        }
        let from: Vec<usize> =
            moves::broadcast_sources(&fact.shape, shape).iter().map(|&s| at + s as usize).collect();
        let at = self.push(len, Action::Copy { runs: runs(&from) });
        Operand { at, one: false }
    }

    fn moves(
        &mut self,
        node: &Node,
        sources: &[std::sync::Arc<[(u32, u32)]>],
    ) -> Result<(), ModelError> {
        let inputs: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
        let places: Vec<usize> = inputs.iter().map(|&id| self.read(id)).collect();
        for (output, sources) in node.outputs.iter().zip(sources) {
            let Some(id) = output else { continue };
            if self.facts[*id].constant.is_some() {
                continue;
            }
            let from: Vec<usize> =
                sources.iter().map(|&(place, at)| places[place as usize] + at as usize).collect();
            let runs = runs(&from);
            self.places[*id] = Some(match runs[..] {
                [Run { from, .. }] => from,
                _ => self.push(sources.len(), Action::Copy { runs }),
            });
        }
        Ok(())
    }

    fn gru(&mut self, gru: &Gru, x: usize, h: usize) -> usize {
        let n = gru.hidden;
        let from_x = self.linear(&gru.input, x);
        let from_h = self.linear(&gru.recurrent, h);
        let gates = self.binary(Binary::Add, from_x, from_h, 2 * n);
        let gates = self.unary(Unary::Sigmoid, gates, 2 * n);
        let (z, r) = (gates, gates + n);
        let recurrent = if gru.linear_before_reset {
            self.binary(Binary::Mul, r, from_h + 2 * n, n)
        } else {
            let reset = self.binary(Binary::Mul, r, h, n);
            let again = self.linear(&gru.recurrent, reset);
            again + 2 * n
        };
        let candidate = self.binary(Binary::Add, from_x + 2 * n, recurrent, n);
        let candidate = self.unary(Unary::Tanh, candidate, n);
        // (1 − z)·n + z·h = n + z·(h − n)
        let change = self.binary(Binary::Sub, h, candidate, n);
        let change = self.binary(Binary::Mul, z, change, n);
        self.binary(Binary::Add, candidate, change, n)
    }

    fn lstm(&mut self, lstm: &Lstm, x: usize, h: usize, c: usize) -> (usize, usize) {
        let n = lstm.hidden;
        let from_x = self.linear(&lstm.input, x);
        let from_h = self.linear(&lstm.recurrent, h);
        let all = self.binary(Binary::Add, from_x, from_h, 4 * n);
        let gates = self.unary(Unary::Sigmoid, all, 3 * n);
        let candidate = self.unary(Unary::Tanh, all + 3 * n, n);
        let (i, o, f) = (gates, gates + n, gates + 2 * n);
        let kept = self.binary(Binary::Mul, f, c, n);
        let new = self.binary(Binary::Mul, i, candidate, n);
        let c = self.binary(Binary::Add, kept, new, n);
        let shown = self.unary(Unary::Tanh, c, n);
        (self.binary(Binary::Mul, o, shown, n), c)
    }
}

/// Neighbours copied together.
fn runs(from: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (to, &from) in from.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if run.from + run.len == from => run.len += 1,
            _ => runs.push(Run { from, to, len: 1 }),
        }
    }
    runs
}

fn not_native(node: &Node, why: &str) -> ModelError {
    ModelError::NotNative { why: format!("{} {why}", node.item) }
}
