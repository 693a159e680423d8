//! The operators: what each means for one row, and the shape of its result.
//!
//! An operator that only moves data (Reshape, Transpose, Slice, Gather, Concat…) becomes
//! [`Op::Move`]: a list saying where every output element comes from. See `moves`.

use super::attributes::Attributes;
use super::error::{Refusal, Rule};
use super::graph::{Constant, Fact};
use super::moves;
use super::recurrent;
use super::tree::{PostTransform, TreeEnsemble};
use std::sync::Arc;

/// Functions of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unary {
    Abs,
    Elu(f32),
    Exp,
    LeakyRelu(f32),
    Neg,
    Reciprocal,
    Relu,
    Sigmoid,
    Softplus,
    Sqrt,
    Tanh,
    /// Lower and upper limit.
    Clip(f32, f32),
}

/// Functions of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Pow,
}

/// What a row is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Norm {
    Max,
    L1,
    L2,
}

/// How a row becomes one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Sum,
    Mean,
    Max,
}

/// Constant weights, `inputs` rows of `outputs` values, and a bias of `outputs` values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Linear {
    pub inputs: usize,
    pub outputs: usize,
    pub weights: Vec<f32>,
    pub bias: Vec<f32>,
    pub post_transform: PostTransform,
}

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Unary(Unary),
    Binary(Binary),
    /// y = x · weights + bias, a row times constants.
    Linear(Arc<Linear>),
    /// A product of two computed matrices, or of more than one row.
    MatMul,
    /// (x − offset) · scale.
    Scaler {
        offset: Arc<[f32]>,
        scale: Arc<[f32]>,
    },
    /// Over the last axis of one row.
    Softmax,
    Normalizer(Norm),
    /// Over all elements.
    Fold(Fold),
    Trees(Arc<TreeEnsemble>),
    /// For every output: for every element, which input and which of its elements.
    Move(Vec<Arc<[(u32, u32)]>>),
    Gru(Arc<recurrent::Gru>),
    Lstm(Arc<recurrent::Lstm>),
    /// tract runs it, no native plan does.
    TractOnly,
}

pub(crate) type Inferred = (Op, Vec<Option<Fact>>);
pub(crate) type Inputs<'a> = [Option<&'a Fact>];

/// The input at a place, or a refusal naming the operator.
pub(crate) fn input<'a>(
    node: Attributes<'_>,
    inputs: &Inputs<'a>,
    place: usize,
) -> Result<&'a Fact, Refusal> {
    let fact = inputs.get(place).copied().flatten();
    fact.ok_or_else(|| node.refuse(Rule::Shape, format!("input {place} is missing")))
}

/// The constant floats of an input.
pub(crate) fn constant_floats<'a>(
    node: Attributes<'_>,
    inputs: &Inputs<'a>,
    place: usize,
) -> Result<&'a [f32], Refusal> {
    match &input(node, inputs, place)?.constant {
        Some(Constant::Floats(values)) => Ok(values),
        _ => Err(node
            .refuse(Rule::Operator, format!("input {place} is not a constant of floats"))
            .remedy("export with constant weights")),
    }
}

/// The constant integers of an input; `None` when the input is omitted.
pub(crate) fn constant_ints<'a>(
    node: Attributes<'_>,
    inputs: &Inputs<'a>,
    place: usize,
) -> Result<Option<&'a [i64]>, Refusal> {
    match inputs.get(place).copied().flatten() {
        None => Ok(None),
        Some(Fact { constant: Some(Constant::Ints(values)), .. }) => Ok(Some(values)),
        Some(_) => Err(node
            .refuse(Rule::Shape, format!("input {place} is not a constant of integers"))
            .remedy("export with fixed shapes (no dynamic axes) or simplify the graph")),
    }
}

/// The operator and the facts of its outputs.
pub(crate) fn infer(
    node: Attributes<'_>,
    opset: i64,
    inputs: &Inputs<'_>,
) -> Result<Inferred, Refusal> {
    let kind = node.0.op_type.as_str();
    if let Some(inferred) = moves::infer(node, opset, inputs)? {
        return Ok(inferred);
    }
    for (place, fact) in inputs.iter().enumerate() {
        let weights = fact.is_some_and(|f| f.is_int()) && !matches!(kind, "GRU" | "LSTM");
        let shape_like = matches!(kind, "ReduceSum" | "ReduceMean" | "ReduceMax") && place == 1;
        if weights && !shape_like {
            let why = format!("input {place} holds integers");
            return Err(node.refuse(Rule::DataType, why).remedy("export in float32"));
        }
    }
    match kind {
        "Abs" | "Elu" | "Exp" | "LeakyRelu" | "Neg" | "Reciprocal" | "Relu" | "Sigmoid"
        | "Softplus" | "Sqrt" | "Tanh" | "Clip" => infer_unary(node, inputs),
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" | "Pow" => infer_binary(node, inputs),
        "Gemm" => infer_gemm(node, inputs),
        "MatMul" => infer_matmul(node, inputs),
        "LinearClassifier" | "LinearRegressor" => infer_linear(node, inputs),
        "Scaler" => infer_scaler(node, inputs),
        "Normalizer" => infer_normalizer(node, inputs),
        "Softmax" => infer_softmax(node, opset, inputs),
        "ReduceSum" | "ReduceMean" | "ReduceMax" => infer_reduce(node, inputs),
        "TreeEnsembleClassifier" | "TreeEnsembleRegressor" => infer_trees(node, inputs),
        "GRU" => recurrent::infer_gru(node, inputs),
        "LSTM" => recurrent::infer_lstm(node, inputs),
        _ => Err(node
            .refuse(Rule::Operator, "stands on the way to the outputs")
            .remedy("only label outputs may depend on it; export without it")),
    }
}

pub(crate) fn same_shape(fact: &Fact) -> Vec<Option<Fact>> {
    vec![Some(Fact::floats(fact.shape.clone()))]
}

/// The element count of a row, which must be the only row.
pub(crate) fn row_len(node: Attributes<'_>, fact: &Fact) -> Result<usize, Refusal> {
    let last = fact.shape.last().copied().unwrap_or(1);
    if fact.len() != last || last == 0 {
        let why = format!("input of shape {:?} is not one row", fact.shape);
        return Err(node.refuse(Rule::Shape, why).remedy("export with batch size 1"));
    }
    Ok(last)
}

fn infer_unary(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let x = input(node, inputs, 0)?;
    let unary = match node.0.op_type.as_str() {
        "Abs" => Unary::Abs,
        "Elu" => Unary::Elu(node.float("alpha", 1.0)?),
        "Exp" => Unary::Exp,
        "LeakyRelu" => Unary::LeakyRelu(node.float("alpha", 0.01)?),
        "Neg" => Unary::Neg,
        "Reciprocal" => Unary::Reciprocal,
        "Relu" => Unary::Relu,
        "Sigmoid" => Unary::Sigmoid,
        "Softplus" => Unary::Softplus,
        "Sqrt" => Unary::Sqrt,
        "Tanh" => Unary::Tanh,
        _ => {
            let limit = |place: usize, name: &str, none: f32| match inputs.get(place) {
                Some(Some(_)) => match constant_floats(node, inputs, place)? {
                    [limit] => Ok(*limit),
                    _ => Err(node.refuse(Rule::Shape, "a limit is no single value")),
                },
                _ => node.float(name, none),
            };
            let (low, high) = (limit(1, "min", f32::MIN)?, limit(2, "max", f32::MAX)?);
            if low.is_nan() || high.is_nan() || low > high {
                return Err(node.refuse(Rule::Operator, format!("limits {low} to {high}")));
            }
            Unary::Clip(low, high)
        }
    };
    Ok((Op::Unary(unary), same_shape(x)))
}

fn infer_binary(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    if inputs.len() != 2 {
        let why = format!("{} inputs, two expected", inputs.len());
        return Err(node.refuse(Rule::Operator, why).remedy("chain it"));
    }
    let (a, b) = (input(node, inputs, 0)?, input(node, inputs, 1)?);
    let shape = moves::broadcast(&a.shape, &b.shape).ok_or_else(|| {
        let why = format!("shapes {:?} and {:?} do not fit", a.shape, b.shape);
        node.refuse(Rule::Shape, why)
    })?;
    let binary = match node.0.op_type.as_str() {
        "Add" => Binary::Add,
        "Sub" => Binary::Sub,
        "Mul" => Binary::Mul,
        "Div" => Binary::Div,
        "Max" => Binary::Max,
        "Min" => Binary::Min,
        _ => Binary::Pow,
    };
    Ok((Op::Binary(binary), vec![Some(Fact::floats(shape))]))
}

fn infer_gemm(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let (a, b) = (input(node, inputs, 0)?, input(node, inputs, 1)?);
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let (trans_a, trans_b) = (node.int("transA", 0)? != 0, node.int("transB", 0)? != 0);
    let (&[a0, a1], &[b0, b1]) = (a.shape.as_slice(), b.shape.as_slice()) else {
        return Err(node.refuse(Rule::Shape, "its inputs are not matrices"));
    };
    let (rows, inner) = if trans_a { (a1, a0) } else { (a0, a1) };
    let (b_inner, outputs) = if trans_b { (b1, b0) } else { (b0, b1) };
    if rows != 1 || inner != b_inner || inner == 0 || outputs == 0 {
        let why = format!("shapes {:?} and {:?} do not make one row", a.shape, b.shape);
        return Err(node.refuse(Rule::Shape, why));
    }
    let weights = constant_floats(node, inputs, 1)?;
    let at = |i: usize, o: usize| if trans_b { o * inner + i } else { i * outputs + o };
    let weights =
        (0..inner * outputs).map(|p| alpha * weights[at(p / outputs, p % outputs)]).collect();
    let bias = match inputs.get(2).copied().flatten() {
        None => vec![0.0; outputs],
        Some(_) => {
            let values = constant_floats(node, inputs, 2)?;
            if values.len() != outputs && values.len() != 1 {
                return Err(node.refuse(Rule::Shape, format!("a bias of {}", values.len())));
            }
            (0..outputs).map(|o| beta * values[o % values.len()]).collect()
        }
    };
    let post_transform = PostTransform::None;
    let linear = Linear { inputs: inner, outputs, weights, bias, post_transform };
    Ok((Op::Linear(Arc::new(linear)), vec![Some(Fact::floats(vec![1, outputs]))]))
}

fn infer_matmul(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let (a, b) = (input(node, inputs, 0)?, input(node, inputs, 1)?);
    let (Some((&inner, a_rest)), &[b_inner, outputs]) = (a.shape.split_last(), &b.shape[..]) else {
        let why = format!("shapes {:?} and {:?} are not supported", a.shape, b.shape);
        return Err(node.refuse(Rule::Shape, why));
    };
    if inner != b_inner || inner == 0 || outputs == 0 {
        let why = format!("shapes {:?} and {:?} do not fit", a.shape, b.shape);
        return Err(node.refuse(Rule::Shape, why));
    }
    let mut shape = a_rest.to_vec();
    shape.push(outputs);
    let fact = vec![Some(Fact::floats(shape))];
    let one_row = a_rest.iter().all(|&dim| dim == 1);
    let Some(Constant::Floats(weights)) = &b.constant else { return Ok((Op::MatMul, fact)) };
    if !one_row {
        return Ok((Op::MatMul, fact));
    }
    let linear = Linear {
        inputs: inner,
        outputs,
        weights: weights.to_vec(),
        bias: vec![0.0; outputs],
        post_transform: PostTransform::None,
    };
    Ok((Op::Linear(Arc::new(linear)), fact))
}

fn infer_linear(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let features = row_len(node, input(node, inputs, 0)?)?;
    let coefficients = node.floats("coefficients")?;
    let bias = node.floats("intercepts")?;
    let outputs = coefficients.len() / features;
    if outputs == 0 || outputs * features != coefficients.len() {
        let why = format!("{} coefficients for {features} features", coefficients.len());
        return Err(node.refuse(Rule::Shape, why));
    }
    if !bias.is_empty() && bias.len() != outputs {
        let why = format!("{} intercepts for {outputs} outputs", bias.len());
        return Err(node.refuse(Rule::Shape, why));
    }
    let classifier = node.0.op_type == "LinearClassifier";
    if classifier && outputs < 3 {
        let remedy = "train with three classes";
        return Err(node.refuse(Rule::Shape, "has fewer than three classes").remedy(remedy));
    }
    let transposed = (0..coefficients.len())
        .map(|p| coefficients[(p % outputs) * features + p / outputs])
        .collect();
    let linear = Linear {
        inputs: features,
        outputs,
        weights: transposed,
        bias: if bias.is_empty() { vec![0.0; outputs] } else { bias.to_vec() },
        post_transform: match node.string("post_transform", "NONE")? {
            "NONE" => PostTransform::None,
            "SOFTMAX" if classifier => PostTransform::Softmax,
            "LOGISTIC" if classifier => PostTransform::Logistic,
            other => {
                let why = format!("post transform {other} is not supported");
                return Err(node.refuse(Rule::Operator, why).remedy("use NONE or SOFTMAX"));
            }
        },
    };
    let fact = Some(Fact::floats(vec![1, outputs]));
    let facts = if classifier { vec![None, fact] } else { vec![fact] };
    Ok((Op::Linear(Arc::new(linear)), facts))
}

fn infer_scaler(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let x = input(node, inputs, 0)?;
    let features = row_len(node, x)?;
    let read = |name: &str, none: f32| -> Result<Arc<[f32]>, Refusal> {
        match node.floats(name)? {
            [] => Ok(vec![none; features].into()),
            [one] => Ok(vec![*one; features].into()),
            values if values.len() == features => Ok(values.into()),
            values => {
                let why = format!("`{name}` of {} for {features} features", values.len());
                Err(node.refuse(Rule::Shape, why))
            }
        }
    };
    let (offset, scale) = (read("offset", 0.0)?, read("scale", 1.0)?);
    Ok((Op::Scaler { offset, scale }, same_shape(x)))
}

fn infer_normalizer(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let x = input(node, inputs, 0)?;
    row_len(node, x)?;
    let norm = match node.string("norm", "MAX")? {
        "MAX" => Norm::Max,
        "L1" => Norm::L1,
        "L2" => Norm::L2,
        other => return Err(node.refuse(Rule::Operator, format!("norm {other} is unknown"))),
    };
    Ok((Op::Normalizer(norm), same_shape(x)))
}

fn infer_softmax(
    node: Attributes<'_>,
    opset: i64,
    inputs: &Inputs<'_>,
) -> Result<Inferred, Refusal> {
    let x = input(node, inputs, 0)?;
    let default = if opset < 13 { 1 } else { -1 };
    let axis = moves::axis(node, node.int("axis", default)?, x.shape.len())?;
    let before: usize = x.shape[..axis].iter().product();
    let after: usize = x.shape[axis + 1..].iter().product();
    // Before opset 13 everything from the axis on is one row.
    let one_row = before == 1 && (after == 1 || opset < 13) && x.len() > 0;
    Ok((if one_row { Op::Softmax } else { Op::TractOnly }, same_shape(x)))
}

fn infer_reduce(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let x = input(node, inputs, 0)?;
    let rank = x.shape.len();
    let axes = match constant_ints(node, inputs, 1)? {
        Some(axes) => axes,
        None => node.ints("axes")?,
    };
    let mut reduced = vec![axes.is_empty(); rank];
    for &a in axes {
        reduced[moves::axis(node, a, rank)?] = true;
    }
    let keep = node.int("keepdims", 1)? != 0;
    let shape: Vec<usize> = (0..rank)
        .filter(|&d| keep || !reduced[d])
        .map(|d| if reduced[d] { 1 } else { x.shape[d] })
        .collect();
    let to_one = (0..rank).all(|d| reduced[d] || x.shape[d] == 1) && x.len() > 0;
    let fold = match node.0.op_type.as_str() {
        "ReduceSum" => Fold::Sum,
        "ReduceMean" => Fold::Mean,
        _ => Fold::Max,
    };
    let op = if to_one { Op::Fold(fold) } else { Op::TractOnly };
    Ok((op, vec![Some(Fact::floats(shape))]))
}

fn infer_trees(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let features = row_len(node, input(node, inputs, 0)?)?;
    let ensemble = Arc::new(TreeEnsemble::parse(node, features)?);
    let fact = Some(Fact::floats(vec![1, ensemble.outputs]));
    let classifier = node.0.op_type == "TreeEnsembleClassifier";
    Ok((Op::Trees(ensemble), if classifier { vec![None, fact] } else { vec![fact] }))
}
