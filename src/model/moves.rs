//! Operators that only move data, as lists of where every element comes from.
//!
//! Results computed from constants alone are constants again, so shapes and weights that an
//! exporter writes as little graphs are folded here.

use super::attributes::Attributes;
use super::error::{Refusal, Rule};
use super::graph::{Constant, Fact, VALUE_ELEMENTS_MAX, read_tensor};
use super::ops::{Inferred, Inputs, Op, constant_ints, input};
use std::sync::Arc;

type Sources = Vec<(u32, u32)>;
/// One output: its shape and where its elements come from.
type Moved = (Vec<usize>, Sources);

/// The operator as a move; `None` when it is none.
pub(crate) fn infer(
    node: Attributes<'_>,
    opset: i64,
    inputs: &Inputs<'_>,
) -> Result<Option<Inferred>, Refusal> {
    let moved = match node.0.op_type.as_str() {
        "Constant" => return constant(node).map(Some),
        "Cast" => return cast(node, inputs).map(Some),
        "Identity" | "Dropout" => same_order(node, inputs, |_, shape| Ok(shape.to_vec()))?,
        "Reshape" => same_order(node, inputs, |x, shape| reshaped(node, inputs, x, shape))?,
        "Flatten" => same_order(node, inputs, |_, shape| flattened(node, shape))?,
        "Squeeze" => same_order(node, inputs, |_, shape| squeezed(node, inputs, shape))?,
        "Unsqueeze" => same_order(node, inputs, |_, shape| unsqueezed(node, inputs, shape))?,
        "Transpose" => transpose(node, inputs)?,
        "Concat" => concat(node, inputs)?,
        "Slice" => slice(node, opset, inputs)?,
        "Split" => split(node, inputs)?,
        "Gather" => gather(node, inputs)?,
        _ => return Ok(None),
    };
    finish(node, inputs, moved).map(Some)
}

/// The shape both broadcast to by the rules of ONNX; `None` when they do not fit.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], d: usize| {
        let missing = rank - shape.len();
        if d < missing { 1 } else { shape[d - missing] }
    };
    (0..rank)
        .map(|d| match (dim(a, d), dim(b, d)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

/// Where the elements of `from` broadcast to `to` come from.
pub(crate) fn broadcast_sources(from: &[usize], to: &[usize]) -> Vec<u32> {
    let missing = to.len() - from.len();
    let mut stride = vec![0; to.len()];
    let mut step = 1;
    for d in (0..from.len()).rev() {
        stride[d + missing] = if from[d] == 1 { 0 } else { step };
        step *= from[d];
    }
    strided(to, &stride, 0)
}

/// A non-negative axis.
pub(crate) fn axis(node: Attributes<'_>, axis: i64, rank: usize) -> Result<usize, Refusal> {
    let signed = rank as i64;
    let place = if axis < 0 { axis.saturating_add(signed) } else { axis };
    if (0..signed).contains(&place) {
        return Ok(place as usize);
    }
    Err(node.refuse(Rule::Shape, format!("axis {axis} of a value of rank {rank}")))
}

/// Constant in, constant out; else a move.
fn finish(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    moved: Vec<Moved>,
) -> Result<Inferred, Refusal> {
    let read: Vec<&Fact> = inputs.iter().flatten().copied().collect();
    let mut facts = Vec::with_capacity(moved.len());
    let mut sources = Vec::with_capacity(moved.len());
    for (shape, from) in moved {
        let used = |place: u32| read.get(place as usize).and_then(|fact| fact.constant.as_ref());
        let constant = if from.iter().all(|&(place, _)| used(place).is_some()) {
            Some(fold(node, &from, used)?)
        } else if from.iter().any(|&(place, _)| read[place as usize].is_int()) {
            return Err(node.refuse(Rule::DataType, "mixes integers with floats"));
        } else {
            None
        };
        facts.push(Some(Fact { shape, constant }));
        sources.push(Arc::from(from));
    }
    Ok((Op::Move(sources), facts))
}

fn fold<'a>(
    node: Attributes<'_>,
    from: &Sources,
    used: impl Fn(u32) -> Option<&'a Constant>,
) -> Result<Constant, Refusal> {
    let mut floats = Vec::new();
    let mut ints = Vec::new();
    for &(place, at) in from {
        match used(place) {
            Some(Constant::Floats(values)) => floats.push(values[at as usize]),
            Some(Constant::Ints(values)) => ints.push(values[at as usize]),
            None => {}
        }
    }
    match (floats.is_empty(), ints.is_empty()) {
        (false, false) => Err(node.refuse(Rule::DataType, "mixes integers with floats")),
        (_, true) => Ok(Constant::Floats(floats.into())),
        (true, _) => Ok(Constant::Ints(ints.into())),
    }
}

fn constant(node: Attributes<'_>) -> Result<Inferred, Refusal> {
    let fact = if let Some(tensor) = node.find("value").and_then(|a| a.t.as_ref()) {
        read_tensor(tensor)?
    } else {
        let floats =
            |values: &[f32], shape| Fact { shape, constant: Some(Constant::Floats(values.into())) };
        let ints =
            |values: &[i64], shape| Fact { shape, constant: Some(Constant::Ints(values.into())) };
        let (many_floats, many_ints) = (node.floats("value_floats")?, node.ints("value_ints")?);
        if node.has("value_float") {
            floats(&[node.float("value_float", 0.0)?], vec![])
        } else if node.has("value_int") {
            ints(&[node.int("value_int", 0)?], vec![])
        } else if node.has("value_floats") {
            floats(many_floats, vec![many_floats.len()])
        } else if node.has("value_ints") {
            ints(many_ints, vec![many_ints.len()])
        } else {
            return Err(node.refuse(Rule::DataType, "holds no float or integer value"));
        }
    };
    Ok((Op::Move(vec![Arc::from([])]), vec![Some(fact)]))
}

fn cast(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Inferred, Refusal> {
    let x = input(node, inputs, 0)?;
    let to = node.int("to", 0)?;
    let same = (0..x.len() as u32).map(|at| (0, at)).collect();
    match (to, &x.constant) {
        (1, Some(Constant::Ints(values))) => {
            let values: Arc<[f32]> = values.iter().map(|&v| v as f32).collect();
            let constant = Some(Constant::Floats(values));
            Ok((Op::Move(vec![same]), vec![Some(Fact { shape: x.shape.clone(), constant })]))
        }
        (1, _) | (6 | 7, Some(Constant::Ints(_))) => {
            Ok((Op::Move(vec![same]), vec![Some(x.clone())]))
        }
        _ => Err(node
            .refuse(Rule::DataType, format!("casts to data type {to}"))
            .remedy("export in float32")),
    }
}

fn same_order(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    shape: impl FnOnce(&Fact, &[usize]) -> Result<Vec<usize>, Refusal>,
) -> Result<Vec<Moved>, Refusal> {
    let x = input(node, inputs, 0)?;
    let shape = shape(x, &x.shape)?;
    if shape.iter().product::<usize>() != x.len() {
        let why = format!("makes {shape:?} of {:?}", x.shape);
        return Err(node.refuse(Rule::Shape, why));
    }
    Ok(vec![(shape, (0..x.len() as u32).map(|at| (0, at)).collect())])
}

fn reshaped(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    x: &Fact,
    shape: &[usize],
) -> Result<Vec<usize>, Refusal> {
    let wanted = constant_ints(node, inputs, 1)?
        .ok_or_else(|| node.refuse(Rule::Shape, "has no target shape"))?;
    let keep_zero = node.int("allowzero", 0)? != 0;
    let mut known = 1_usize;
    let mut dims = Vec::with_capacity(wanted.len());
    let mut free = None;
    for (place, &dim) in wanted.iter().enumerate() {
        let dim = match dim {
            -1 if free.is_none() => {
                free = Some(place);
                1
            }
            0 if !keep_zero => shape.get(place).copied().unwrap_or(0),
            dim => usize::try_from(dim)
                .map_err(|_| node.refuse(Rule::Shape, format!("target shape {wanted:?}")))?,
        };
        known = known.saturating_mul(dim);
        dims.push(dim);
    }
    if let Some(place) = free
        && known > 0
    {
        dims[place] = x.len() / known;
    }
    match dims.len() <= 8 && dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d)).is_some() {
        true => Ok(dims),
        false => Err(node.refuse(Rule::Shape, format!("target shape {wanted:?}"))),
    }
}

fn flattened(node: Attributes<'_>, shape: &[usize]) -> Result<Vec<usize>, Refusal> {
    let at = node.int("axis", 1)?;
    // The axis may be the rank itself, which puts everything in front.
    let at = if at == shape.len() as i64 { shape.len() } else { axis(node, at, shape.len())? };
    Ok(vec![shape[..at].iter().product(), shape[at..].iter().product()])
}

fn axes(node: Attributes<'_>, inputs: &Inputs<'_>, rank: usize) -> Result<Vec<usize>, Refusal> {
    let given = match constant_ints(node, inputs, 1)? {
        Some(axes) => axes,
        None => node.ints("axes")?,
    };
    given.iter().map(|&a| axis(node, a, rank)).collect()
}

fn squeezed(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    shape: &[usize],
) -> Result<Vec<usize>, Refusal> {
    let axes = axes(node, inputs, shape.len())?;
    let gone = |d: usize| if axes.is_empty() { shape[d] == 1 } else { axes.contains(&d) };
    Ok((0..shape.len()).filter(|&d| !gone(d)).map(|d| shape[d]).collect())
}

fn unsqueezed(
    node: Attributes<'_>,
    inputs: &Inputs<'_>,
    shape: &[usize],
) -> Result<Vec<usize>, Refusal> {
    let count = match constant_ints(node, inputs, 1)? {
        Some(axes) => axes.len(),
        None => node.ints("axes")?.len(),
    };
    if count > 8 {
        return Err(node.refuse(Rule::Shape, format!("{count} axes")));
    }
    let axes = axes(node, inputs, shape.len() + count)?;
    let mut rest = shape.iter().copied();
    let dim = |d| if axes.contains(&d) { Some(1) } else { rest.next() };
    let dims: Vec<usize> = (0..shape.len() + count).filter_map(dim).collect();
    Ok(dims)
}

fn transpose(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Vec<Moved>, Refusal> {
    let x = input(node, inputs, 0)?;
    let rank = x.shape.len();
    let given = node.ints("perm")?;
    let perm: Vec<usize> = if given.is_empty() {
        (0..rank).rev().collect()
    } else {
        given.iter().map(|&a| axis(node, a, rank)).collect::<Result<_, _>>()?
    };
    let mut seen = perm.clone();
    seen.sort_unstable();
    if seen != (0..rank).collect::<Vec<_>>() {
        return Err(node.refuse(Rule::Shape, format!("permutation {given:?} of rank {rank}")));
    }
    let strides = strides(&x.shape);
    let shape: Vec<usize> = perm.iter().map(|&d| x.shape[d]).collect();
    let stride: Vec<usize> = perm.iter().map(|&d| strides[d]).collect();
    let from = strided(&shape, &stride, 0).into_iter().map(|at| (0, at)).collect();
    Ok(vec![(shape, from)])
}

fn concat(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Vec<Moved>, Refusal> {
    let facts: Vec<&Fact> = inputs.iter().flatten().copied().collect();
    let first = input(node, inputs, 0)?;
    let along = axis(node, node.int("axis", 1)?, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[along] = 0;
    for fact in &facts {
        let fits = fact.shape.len() == shape.len()
            && (0..shape.len()).all(|d| d == along || fact.shape[d] == shape[d]);
        if !fits {
            let why = format!("joins shapes {:?} and {:?}", first.shape, fact.shape);
            return Err(node.refuse(Rule::Shape, why));
        }
        shape[along] += fact.shape[along];
    }
    let outer: usize = shape[..along].iter().product();
    let mut from = Vec::new();
    for block in 0..outer {
        for (place, fact) in facts.iter().enumerate() {
            let len = fact.len() / outer;
            from.extend((block * len..(block + 1) * len).map(|at| (place as u32, at as u32)));
        }
    }
    Ok(vec![(shape, from)])
}

fn slice(node: Attributes<'_>, opset: i64, inputs: &Inputs<'_>) -> Result<Vec<Moved>, Refusal> {
    let x = input(node, inputs, 0)?;
    let rank = x.shape.len();
    let argument = |place: usize, name: &str| match opset {
        ..10 => node.ints(name).map(|values| (!values.is_empty()).then_some(values)),
        _ => constant_ints(node, inputs, place),
    };
    let missing = || node.refuse(Rule::Shape, "has no starts or ends");
    let starts = argument(1, "starts")?.ok_or_else(missing)?;
    let ends = argument(2, "ends")?.ok_or_else(missing)?;
    let all: Vec<i64> = (0..starts.len() as i64).collect();
    let axes = argument(3, "axes")?.unwrap_or(&all);
    let ones = vec![1; starts.len()];
    let steps = if opset < 10 { &ones[..] } else { argument(4, "")?.unwrap_or(&ones) };
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.refuse(Rule::Shape, "its arguments are of different lengths"));
    }
    let mut picks: Vec<Vec<usize>> = x.shape.iter().map(|&dim| (0..dim).collect()).collect();
    for place in 0..starts.len() {
        let along = axis(node, axes[place], rank)?;
        let dim = x.shape[along] as i64;
        if steps[place] < 1 {
            return Err(node.refuse(Rule::Operator, format!("step {}", steps[place])));
        }
        let clamp = |at: i64| if at < 0 { at.saturating_add(dim) } else { at }.clamp(0, dim);
        let (start, end) = (clamp(starts[place]), clamp(ends[place]));
        let step = usize::try_from(steps[place]).unwrap_or(usize::MAX);
        picks[along] = (start as usize..end.max(start) as usize).step_by(step).collect();
    }
    Ok(vec![pick(x, &picks)])
}

fn split(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Vec<Moved>, Refusal> {
    let x = input(node, inputs, 0)?;
    let along = axis(node, node.int("axis", 0)?, x.shape.len())?;
    let dim = x.shape[along];
    let given = match constant_ints(node, inputs, 1)? {
        Some(sizes) => sizes,
        None => node.ints("split")?,
    };
    let parts = node.0.output.len();
    let sizes: Vec<usize> = if given.is_empty() {
        let each = dim.div_ceil(parts.max(1));
        (0..parts).map(|p| each.min(dim.saturating_sub(p * each))).collect()
    } else {
        given.iter().map(|&s| usize::try_from(s).unwrap_or(usize::MAX)).collect()
    };
    let total = sizes.iter().fold(0_usize, |sum, &s| sum.saturating_add(s));
    if total != dim || sizes.len() != parts {
        let why = format!("cuts {dim} into {sizes:?} for {parts} outputs");
        return Err(node.refuse(Rule::Shape, why));
    }
    let mut start = 0;
    let mut moved = Vec::with_capacity(parts);
    for size in sizes {
        let mut picks: Vec<Vec<usize>> = x.shape.iter().map(|&dim| (0..dim).collect()).collect();
        picks[along] = (start..start + size).collect();
        start += size;
        moved.push(pick(x, &picks));
    }
    Ok(moved)
}

fn gather(node: Attributes<'_>, inputs: &Inputs<'_>) -> Result<Vec<Moved>, Refusal> {
    let x = input(node, inputs, 0)?;
    let along = axis(node, node.int("axis", 0)?, x.shape.len())?;
    let index = constant_ints(node, inputs, 1)?
        .ok_or_else(|| node.refuse(Rule::Shape, "has no indices"))?;
    let mut picks: Vec<Vec<usize>> = x.shape.iter().map(|&dim| (0..dim).collect()).collect();
    picks[along] =
        index.iter().map(|&at| axis(node, at, x.shape[along])).collect::<Result<_, _>>()?;
    let others: usize =
        picks.iter().enumerate().filter(|p| p.0 != along).map(|p| p.1.len()).product();
    if index.len().saturating_mul(others) > VALUE_ELEMENTS_MAX {
        return Err(node.refuse(Rule::Size, format!("gathers {} times {others}", index.len())));
    }
    let (_, from) = pick(x, &picks);
    let mut shape = x.shape[..along].to_vec();
    shape.extend(&input(node, inputs, 1)?.shape);
    shape.extend(&x.shape[along + 1..]);
    Ok(vec![(shape, from)])
}

/// The elements at every combination of the picked places of each axis.
fn pick(x: &Fact, picks: &[Vec<usize>]) -> Moved {
    let strides = strides(&x.shape);
    let mut from = vec![0_u32];
    for (places, stride) in picks.iter().zip(&strides) {
        from = from
            .iter()
            .flat_map(|&base| places.iter().map(move |&p| base + (p * stride) as u32))
            .collect();
    }
    (picks.iter().map(Vec::len).collect(), from.into_iter().map(|at| (0, at)).collect())
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    strides
}

fn strided(shape: &[usize], stride: &[usize], start: u32) -> Vec<u32> {
    let mut from = vec![start];
    for (&dim, &stride) in shape.iter().zip(stride) {
        from = from
            .iter()
            .flat_map(|&base| (0..dim).map(move |p| base + (p * stride) as u32))
            .collect();
    }
    from
}
