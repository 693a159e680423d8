//! A model as one ONNX file, and trees out of one.
//!
//! ```text
//!   x [1,n] ─┬► TreeEnsembleClassifier ─────────────────────────────┐
//!            ├► Sub, Mul, Clip ─► Gemm, Relu, Gemm ─────────────────┤ Concat, Gemm   Softmax
//!            ├► Sub, Mul, Clip ─► gates ─► Gemm ────────────────────┴─► (a stack) ─► probabilities
//!   h_in ────┘                      └────────────────────────────────────────────► h_out
//!   x ───────► TreeEnsembleRegressor ─► in order by Min and Max ─────────────────► quantiles
//! ```
//! Only what a model is made of is in its graph. IR 8, operator set 17, ai.onnx.ml 3. Labels are no
//! output. No wall clock goes into the file: the same model and properties give the same bytes.
//!
//! | file | holds |
//! |---|---|
//! | `graph` | nodes, constants, the file around them |
//! | `trees` | a forest as an operator |
//! | `nets` | dense net and recurrent step in plain operators |
//! | `read` | a forest out of a file |

mod graph;
mod nets;
mod read;
mod trees;

#[cfg(test)]
mod tests;

pub use read::{Parent, ReadError, read};

use crate::gbdt::{Forest, Objective};
use crate::learn::Predictor;
use graph::Graph;
use peregrine::model::artifact::CLASSES;

/// Why a model cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Only classes have a form the trader loads.
    #[error("only a model of classes can be exported, with or without quantiles")]
    NotClasses,
}

/// The file's bytes. `spread` tells quantiles beside the classes. `properties` become the file's
/// metadata, in this order.
///
/// # Errors
/// [`ExportError`] for trees that are not of classes, or not of quantiles.
pub fn to_onnx(
    predictor: &Predictor,
    spread: Option<&Forest>,
    properties: &[(&str, String)],
) -> Result<Vec<u8>, ExportError> {
    let mut graph = Graph::default();
    let features = features(predictor);
    graph.input("x", features);
    match predictor {
        // The operator's own softmax: one node is the whole graph.
        Predictor::Trees(forest) => trees::classes(&mut graph, forest, "probabilities", true)?,
        other => {
            let logits = logits(&mut graph, other)?;
            graph.node("Softmax", &[&logits], &["probabilities"], Vec::new());
        }
    }
    graph.output("probabilities", classes(predictor));
    if let Some(spread) = spread {
        if !matches!(spread.objective, Objective::Quantiles { .. }) {
            return Err(ExportError::NotClasses);
        }
        trees::quantiles(&mut graph, spread);
        graph.output("quantiles", CLASSES.len());
    }
    let state = predictor.state_len();
    if state > 0 {
        graph.input(nets::STATE_IN, state);
        graph.output(nets::STATE_OUT, state);
    }
    Ok(graph.file(properties))
}

/// Adds what gives a model's logits; returns their name.
fn logits(graph: &mut Graph, predictor: &Predictor) -> Result<String, ExportError> {
    match predictor {
        Predictor::Trees(forest) => {
            trees::classes(graph, forest, "trees_logits", false)?;
            Ok("trees_logits".to_owned())
        }
        Predictor::Dense(net) => Ok(nets::dense(graph, net)),
        Predictor::Gru(net) => Ok(nets::gru(graph, net)),
        Predictor::Stack(stack) => {
            let mut names = Vec::new();
            for base in &stack.bases {
                names.push(logits(graph, base)?);
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            graph.node("Concat", &names, &["stacked"], vec![graph::int("axis", 1)]);
            graph.affine("stack", ("stacked", "stack_logits"), (&stack.weights, &stack.bias));
            Ok("stack_logits".to_owned())
        }
    }
}

fn features(predictor: &Predictor) -> usize {
    match predictor {
        Predictor::Trees(forest) => forest.features,
        Predictor::Dense(net) => net.scale.mean.len(),
        Predictor::Gru(net) => net.scale.mean.len(),
        Predictor::Stack(stack) => stack.bases.first().map_or(0, features),
    }
}

fn classes(predictor: &Predictor) -> usize {
    match predictor {
        Predictor::Trees(forest) => forest.base.len(),
        _ => CLASSES.len(),
    }
}
