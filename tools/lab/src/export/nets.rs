//! Dense net and recurrent step in plain operators, so that every executor gives the same answer
//! and none keeps a memory of its own.

use super::graph::{Graph, int};
use crate::nets::{Dense, FAR, Gru, Scale};

/// The memory before a step.
pub(super) const STATE_IN: &str = "h_in";
/// The memory after it.
pub(super) const STATE_OUT: &str = "h_out";

/// clip((x − mean)·inverse); returns its name.
fn scaled(graph: &mut Graph, net: &str, scale: &Scale) -> String {
    let name = |part: &str| format!("{net}_{part}");
    let width = [scale.mean.len()];
    graph.floats(&name("mean"), &width, scale.mean.clone());
    graph.floats(&name("inverse"), &width, scale.inverse.clone());
    graph.floats(&name("low"), &[], vec![-FAR as f32]);
    graph.floats(&name("high"), &[], vec![FAR as f32]);
    graph.node("Sub", &["x", &name("mean")], &[&name("off")], Vec::new());
    graph.node("Mul", &[&name("off"), &name("inverse")], &[&name("sized")], Vec::new());
    let bounds = [&*name("sized"), &*name("low"), &*name("high")];
    graph.node("Clip", &bounds, &[&name("scaled")], Vec::new());
    name("scaled")
}

/// Adds a dense net; returns the name of its logits.
pub(super) fn dense(graph: &mut Graph, net: &Dense) -> String {
    let input = scaled(graph, "dense", &net.scale);
    let [body, head] = net.layers();
    graph.affine("dense_body", (&input, "dense_sum"), body);
    graph.node("Relu", &["dense_sum"], &["dense_hidden"], Vec::new());
    graph.affine("dense_head", ("dense_hidden", "dense_logits"), head);
    "dense_logits".to_owned()
}

/// Adds a recurrent step; returns the name of its logits.
pub(super) fn gru(graph: &mut Graph, net: &Gru) -> String {
    let input = scaled(graph, "gru", &net.scale);
    let [inward, memory, head] = net.layers();
    graph.affine("gru_inward", (&input, "gru_x"), inward);
    graph.affine("gru_memory", (STATE_IN, "gru_h"), memory);
    graph.ints("gru_split", vec![net.hidden() as i64; 3]);
    let axis = || vec![int("axis", 1)];
    graph.node("Split", &["gru_x", "gru_split"], &["gru_xz", "gru_xr", "gru_xn"], axis());
    graph.node("Split", &["gru_h", "gru_split"], &["gru_hz", "gru_hr", "gru_hn"], axis());
    for (op, from, to) in [
        ("Add", &["gru_xz", "gru_hz"][..], "gru_z_sum"),
        ("Sigmoid", &["gru_z_sum"], "gru_z"),
        ("Add", &["gru_xr", "gru_hr"], "gru_r_sum"),
        ("Sigmoid", &["gru_r_sum"], "gru_r"),
        ("Mul", &["gru_r", "gru_hn"], "gru_reset"),
        ("Add", &["gru_xn", "gru_reset"], "gru_n_sum"),
        ("Tanh", &["gru_n_sum"], "gru_n"),
        ("Sub", &[STATE_IN, "gru_n"], "gru_kept"),
        ("Mul", &["gru_z", "gru_kept"], "gru_keep"),
        ("Add", &["gru_n", "gru_keep"], STATE_OUT),
    ] {
        graph.node(op, from, &[to], Vec::new());
    }
    graph.affine("gru_head", (STATE_OUT, "gru_logits"), head);
    "gru_logits".to_owned()
}
