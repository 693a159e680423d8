//! Golden vectors for a version's card: inputs with the answers the trainer computed.

use crate::gbdt::{Forest, Table};
use peregrine::model::Golden;

/// `count` vectors: rows spread over `table`; every second one has a value moved onto, just below
/// or just above a cut of the forest, where an error of routing would show.
pub fn golden(forest: &Forest, table: &Table, count: usize) -> Golden {
    let cuts: Vec<(usize, f32)> = forest
        .trees
        .iter()
        .flat_map(|tree| tree.nodes.iter().filter(|node| node.left != 0))
        .map(|node| (node.feature as usize, node.cut))
        .collect();
    let mut inputs: Vec<f32> = Vec::with_capacity(count * forest.features);
    let mut answers: Vec<f32> = Vec::with_capacity(count * forest.base.len());
    for number in 0..count {
        let mut row = table.row(number * (table.rows() - 1) / count.max(1)).to_vec();
        if number % 2 == 1 && !cuts.is_empty() {
            let (feature, cut) = cuts[number * cuts.len() / count];
            row[feature] = match number % 6 {
                1 => cut,
                3 => cut.next_up(),
                _ => cut.next_down(),
            };
        }
        answers.extend(forest.probabilities(&row).iter().map(|&p| p as f32));
        inputs.extend(row);
    }
    Golden::pack(count, &inputs, &[], &answers, &[], &[])
}
