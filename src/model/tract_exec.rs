//! The reference executor: tract, with our own tree and scaler operators in place of its own.
//!
//! Every run starts from a fresh session, because a reused one carries the hidden state of
//! recurrent nodes from call to call. It allocates, and is for loading-time checks and for
//! models that no native plan can run.

use super::attributes::Attributes;
use super::error::ModelError;
use super::executor::{Executor, ModelOutput};
use super::graph::Graph;
use super::tree::{PostTransform, TreeEnsemble};
use crate::base::Reason;
use std::sync::Arc;
use tract_onnx::model::ParsingContext;
use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::math::{mul, sub};
use tract_onnx::tract_core::ops::nn::{Softmax, sigmoid};
use tract_onnx::tract_hir::internal::*;

/// See the head of this file.
#[derive(Clone, Debug)]
pub struct TractExecutor {
    plan: Arc<TypedSimplePlan>,
    features: usize,
    state_shapes: Vec<Vec<usize>>,
    has_quantiles: bool,
    state: Vec<f32>,
    next_state: Vec<f32>,
}

impl TractExecutor {
    /// Loads the pruned graph.
    pub(crate) fn load(graph: &Graph) -> Result<Self, ModelError> {
        let failed = |e: TractError| ModelError::Tract { what: one_line(&format!("{e:#}")) };
        let mut onnx = tract_onnx::onnx();
        onnx.op_register.insert("TreeEnsembleClassifier", tree_ensemble);
        onnx.op_register.insert("TreeEnsembleRegressor", tree_ensemble);
        onnx.op_register.insert("Scaler", scaler);
        let plan = onnx
            .model_for_proto_model(&graph.pruned)
            .and_then(|model| model.into_optimized())
            .and_then(|model| model.into_runnable())
            .map_err(failed)?;
        let zeros = vec![0.0; graph.state_len()];
        Ok(Self {
            plan,
            features: graph.facts[graph.input].len(),
            state_shapes: graph.states.iter().map(|s| graph.facts[s.input].shape.clone()).collect(),
            has_quantiles: graph.quantiles.is_some(),
            state: zeros.clone(),
            next_state: zeros,
        })
    }

    fn try_run(&mut self, input: &[f32], out: &mut ModelOutput) -> TractResult<()> {
        let mut inputs: TVec<TValue> =
            tvec!(Tensor::from_shape(&[1, self.features], input)?.into_tvalue());
        let mut at = 0;
        for shape in &self.state_shapes {
            let len: usize = shape.iter().product();
            inputs.push(Tensor::from_shape(shape, &self.state[at..at + len])?.into_tvalue());
            at += len;
        }
        let outputs = self.plan.run(inputs)?;
        let mut rows = outputs.iter().map(|value| {
            let view = value.to_plain_array_view::<f32>()?;
            Ok(view.iter().copied().collect::<Vec<f32>>())
        });
        let mut next = || rows.next().unwrap_or_else(|| bail!("an output is missing"));
        out.probability = three(next()?)?;
        out.quantile = if self.has_quantiles { three(next()?)? } else { [f32::NAN; 3] };
        let mut state = Vec::with_capacity(self.state.len());
        for _ in &self.state_shapes {
            state.extend(next()?);
        }
        ensure!(state.len() == self.state.len(), "a state has another length");
        self.next_state = state;
        Ok(())
    }
}

impl Executor for TractExecutor {
    fn run(&mut self, input: &[f32], out: &mut ModelOutput) -> Result<(), Reason> {
        if input.len() != self.features {
            return Err(Reason::ModelFailed);
        }
        self.try_run(input, out).map_err(|_| Reason::ModelFailed)
    }

    fn commit_state(&mut self) {
        self.state.copy_from_slice(&self.next_state);
    }

    fn set_state(&mut self, values: &[f32]) -> Result<(), Reason> {
        if values.len() != self.state.len() {
            return Err(Reason::ModelFailed);
        }
        self.state.copy_from_slice(values);
        self.next_state.copy_from_slice(values);
        Ok(())
    }

    fn reset_state(&mut self) {
        self.state.fill(0.0);
        self.next_state.fill(0.0);
    }

    fn state(&self) -> &[f32] {
        &self.state
    }

    fn next_state(&self) -> &[f32] {
        &self.next_state
    }
}

fn three(values: Vec<f32>) -> TractResult<[f32; 3]> {
    <[f32; 3]>::try_from(values).map_err(|v| format_err!("{} values, three expected", v.len()))
}

pub(crate) fn one_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.chars().take(400).collect()
}

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// Votes of all trees, as an operator of tract; the output is the scores alone.
#[derive(Clone, Debug)]
struct TreeScores {
    ensemble: Arc<TreeEnsemble>,
}

impl PartialEq for TreeScores {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ensemble, &other.ensemble)
    }
}

impl Eq for TreeScores {}

impl Op for TreeScores {
    fn name(&self) -> StaticName {
        "TreeScores".into()
    }

    op_as_typed_op!();
}

impl EvalOp for TreeScores {
    op_out_of_plan!();

    fn eval(&self, _ctx: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let input = args_1!(inputs);
        let view = input.to_plain_array_view::<f32>()?;
        let row: Vec<f32> = view.iter().copied().collect();
        ensure!(row.len() == self.ensemble.features, "a row of {} features", row.len());
        let mut sums = vec![0.0; self.ensemble.outputs];
        let mut scores = vec![0.0; self.ensemble.outputs];
        self.ensemble.sum_votes(&row, &mut sums);
        self.ensemble.finish(&sums, &mut scores);
        Ok(tvec!(Tensor::from_shape(&[1, scores.len()], &scores)?.into_tvalue()))
    }
}

impl TypedOp for TreeScores {
    fn output_facts(&self, _inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact([1, self.ensemble.outputs])))
    }

    as_op!();
}

/// The ONNX node: scores, then the post transform.
#[derive(Clone, Debug)]
struct TreeNodeOp {
    proto: NodeProto,
}

fn tree_ensemble(_ctx: &ParsingContext, node: &NodeProto) -> Built {
    let outputs = node.output.iter().filter(|name| !name.is_empty()).count();
    ensure!(outputs == 1, "the label output of {} is used", node.op_type);
    Ok((expand(TreeNodeOp { proto: node.clone() }), vec![]))
}

impl Expansion for TreeNodeOp {
    fn name(&self) -> StaticName {
        "TreeEnsemble".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].rank, 2)?;
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let shape = model.outlet_fact(inputs[0])?.shape.as_concrete().map(<[usize]>::to_vec);
        let features = shape.and_then(|s| s.last().copied()).context("a row of unknown length")?;
        let ensemble = TreeEnsemble::parse(Attributes(&self.proto), features)
            .map_err(|refusal| format_err!("{refusal}"))?;
        let transform = ensemble.post_transform;
        let op = TreeScores { ensemble: Arc::new(ensemble) };
        let scores = model.wire_node(format!("{prefix}.scores"), op, inputs)?;
        match transform {
            PostTransform::None => Ok(scores),
            PostTransform::Softmax => {
                let softmax = Softmax { axes: tvec!(1), ..Softmax::default() };
                model.wire_node(format!("{prefix}.softmax"), softmax, &scores)
            }
            PostTransform::Logistic => {
                model.wire_node(format!("{prefix}.logistic"), sigmoid(), &scores)
            }
        }
    }
}

/// (x − offset) · scale, which tract has no operator for.
#[derive(Clone, Debug)]
struct ScalerOp {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

fn scaler(_ctx: &ParsingContext, node: &NodeProto) -> Built {
    let node = Attributes(node);
    let list = |name| node.floats(name).map_err(|refusal| format_err!("{refusal}"));
    let op = ScalerOp { offset: list("offset")?.to_vec(), scale: list("scale")?.to_vec() };
    Ok((expand(op), vec![]))
}

impl Expansion for ScalerOp {
    fn name(&self) -> StaticName {
        "Scaler".into()
    }

    fn rules<'r, 'p: 'r, 's: 'r>(
        &'s self,
        s: &mut Solver<'r>,
        inputs: &'p [TensorProxy],
        outputs: &'p [TensorProxy],
    ) -> InferenceResult {
        check_input_arity(inputs, 1)?;
        check_output_arity(outputs, 1)?;
        s.equals(&outputs[0].datum_type, f32::datum_type())?;
        s.equals(&outputs[0].shape, &inputs[0].shape)?;
        Ok(())
    }

    fn wire(
        &self,
        prefix: &str,
        model: &mut TypedModel,
        inputs: &[OutletId],
    ) -> TractResult<TVec<OutletId>> {
        let rank = model.outlet_fact(inputs[0])?.rank();
        let mut wire = inputs[0];
        let parts: [(_, Box<dyn TypedOp>, _); 2] =
            [("offset", sub().into(), &self.offset), ("scale", mul().into(), &self.scale)];
        for (name, op, values) in parts {
            if values.is_empty() {
                continue;
            }
            let constant = tensor1(values).broadcast_into_rank(rank)?.into_arc_tensor();
            let constant = model.add_const(format!("{prefix}.{name}"), constant)?;
            wire = model.wire_node(format!("{prefix}.by_{name}"), op, &[wire, constant])?[0];
        }
        Ok(tvec!(wire))
    }
}
