//! GRU and LSTM nodes of exactly one step, with the state as input and output.
//!
//! ```text
//! GRU   z = σ(Wz·x + Rz·h + b)   r = σ(Wr·x + Rr·h + b)   gates in the order z, r, n
//!       n = tanh(Wn·x + wb + r·(Rn·h + rb))               linear_before_reset = 1
//!       n = tanh(Wn·x + wb + Rn·(r·h) + rb)               linear_before_reset = 0
//!       h' = (1 − z)·n + z·h
//! LSTM  i, o, f = σ(W·x + R·h + b)   c' = f·c + i·tanh(Wc·x + Rc·h + b)   h' = o·tanh(c')
//!       gates in the order i, o, f, c
//! ```
//! A window of steps is refused: its state lives inside the node, where it is either lost or
//! silently carried from one call to the next.

use super::attributes::Attributes;
use super::error::{Refusal, Rule};
use super::graph::Fact;
use super::ops::{Inferred, Inputs, Linear, Op, constant_floats, input};
use super::tree::PostTransform;
use std::sync::Arc;

const ONE_STEP: &str = "export one step with state in and out (h_in, h_out)";

/// Weights of a GRU step; each linear has the gates one after another as outputs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gru {
    pub hidden: usize,
    pub input: Linear,
    pub recurrent: Linear,
    pub linear_before_reset: bool,
}

/// Weights of an LSTM step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lstm {
    pub hidden: usize,
    pub input: Linear,
    pub recurrent: Linear,
}

/// A GRU node: outputs Y, Y_h.
pub(crate) fn infer_gru(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let linear_before_reset = node.int("linear_before_reset", 0)? != 0;
    let (hidden, input, recurrent) = weights(node, inputs, 3)?;
    state(node, inputs, 5, hidden)?;
    let gru = Gru { hidden, input, recurrent, linear_before_reset };
    Ok((Op::Gru(Arc::new(gru)), outputs(hidden, 1)))
}

/// An LSTM node: outputs Y, Y_h, Y_c.
pub(crate) fn infer_lstm(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    if inputs.get(7).copied().flatten().is_some() {
        let refusal = node.refuse(Rule::Operator, "has peephole weights");
        return Err(refusal.remedy("export without peepholes"));
    }
    if node.int("input_forget", 0)? != 0 {
        let refusal = node.refuse(Rule::Operator, "couples input and forget gates");
        return Err(refusal.remedy("export with input_forget = 0"));
    }
    let (hidden, input, recurrent) = weights(node, inputs, 4)?;
    state(node, inputs, 5, hidden)?;
    state(node, inputs, 6, hidden)?;
    let lstm = Lstm { hidden, input, recurrent };
    Ok((Op::Lstm(Arc::new(lstm)), outputs(hidden, 2)))
}

fn outputs(hidden: usize, states: usize) -> Vec<Option<Fact>> {
    let mut facts = vec![Some(Fact::floats(vec![1, 1, 1, hidden]))];
    facts.resize(1 + states, Some(Fact::floats(vec![1, 1, hidden])));
    facts
}

fn weights(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    gates: usize,
) -> Result<(usize, Linear, Linear), Refusal> {
    let x = input(node, inputs, 0)?;
    let &[steps, 1, features] = x.shape.as_slice() else {
        let why = format!("input of shape {:?}, [1, 1, n] expected", x.shape);
        return Err(node.refuse(Rule::Shape, why).remedy(ONE_STEP));
    };
    if steps != 1 {
        let why = format!("runs over a window of {steps} steps");
        return Err(node.refuse(Rule::Window, why).remedy(ONE_STEP));
    }
    for name in ["activations", "clip", "activation_alpha", "activation_beta"] {
        if node.has(name) {
            let why = format!("sets `{name}`");
            return Err(node.refuse(Rule::Operator, why).remedy("export the default activations"));
        }
    }
    let forward = node.string("direction", "forward")? == "forward";
    let rows_first = node.int("layout", 0)? == 0;
    if !forward || !rows_first || inputs.get(4).copied().flatten().is_some() {
        let why = "is not a forward step of one sequence";
        return Err(node.refuse(Rule::Window, why).remedy(ONE_STEP));
    }
    let hidden = match input(node, inputs, 2)?.shape.as_slice() {
        &[1, rows, hidden] if rows == gates * hidden && hidden > 0 => hidden,
        shape => return Err(node.refuse(Rule::Shape, format!("weights of shape {shape:?}"))),
    };
    let w = constant_floats(node, inputs, 1)?;
    let r = constant_floats(node, inputs, 2)?;
    let outputs = gates * hidden;
    if w.len() != outputs * features {
        return Err(node.refuse(Rule::Shape, format!("{} input weights", w.len())));
    }
    let (w_bias, r_bias) = match inputs.get(3).copied().flatten() {
        None => (vec![0.0; outputs], vec![0.0; outputs]),
        Some(_) => {
            let bias = constant_floats(node, inputs, 3)?;
            if bias.len() != 2 * outputs {
                return Err(node.refuse(Rule::Shape, format!("a bias of {}", bias.len())));
            }
            (bias[..outputs].to_vec(), bias[outputs..].to_vec())
        }
    };
    let input = transposed(w, features, outputs, w_bias);
    let recurrent = transposed(r, hidden, outputs, r_bias);
    Ok((hidden, input, recurrent))
}

/// From rows per output, as ONNX stores them, to rows per input.
fn transposed(weights: &[f32], inputs: usize, outputs: usize, bias: Vec<f32>) -> Linear {
    let at = |p: usize| weights[(p % outputs) * inputs + p / outputs];
    let weights = (0..inputs * outputs).map(at).collect();
    Linear { inputs, outputs, weights, bias, post_transform: PostTransform::None }
}

fn state(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    place: usize,
    hidden: usize,
) -> Result<(), Refusal> {
    let Some(fact) = inputs.get(place).copied().flatten() else {
        let why = "starts from a state of its own";
        return Err(node.refuse(Rule::Window, why).remedy(ONE_STEP));
    };
    if fact.shape != [1, 1, hidden] {
        return Err(node.refuse(Rule::Shape, format!("a state of shape {:?}", fact.shape)));
    }
    Ok(())
}
