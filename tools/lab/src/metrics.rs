//! Figures of a classifier on labelled rows.

/// Mean log-loss of probability rows; a probability below 1e-15 counts as that.
pub fn log_loss<P: AsRef<[f64]>>(probabilities: &[P], labels: &[usize]) -> f64 {
    let one = |(p, &label): (&P, &usize)| -libm::log(p.as_ref()[label].max(1e-15));
    let sum: f64 = probabilities.iter().zip(labels).map(one).sum();
    sum / labels.len().max(1) as f64
}

/// Share of rows whose likeliest class is the right one; ties go to the lower class.
pub fn accuracy(probabilities: &[Vec<f64>], labels: &[usize]) -> f64 {
    let likeliest = |p: &Vec<f64>| {
        (0..p.len()).fold(0, |best, class| if p[class] > p[best] { class } else { best })
    };
    let hits = probabilities.iter().zip(labels).filter(|(p, label)| likeliest(p) == **label);
    hits.count() as f64 / labels.len().max(1) as f64
}

/// Area under the curve of a score against yes or no, by ranks with ties shared; `None` when one
/// of the two does not occur.
pub fn auc(scores: &[f64], is_yes: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let yes = is_yes.iter().filter(|&&y| y).count();
    let no = is_yes.len() - yes;
    if yes == 0 || no == 0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut at = 0;
    while at < order.len() {
        let same = order[at..].iter().take_while(|&&i| scores[i] == scores[order[at]]).count();
        let rank = at as f64 + (same as f64 + 1.0) / 2.0;
        let hits = order[at..at + same].iter().filter(|&&i| is_yes[i]).count();
        rank_sum += rank * hits as f64;
        at += same;
    }
    let (yes, no) = (yes as f64, no as f64);
    Some((rank_sum - yes * (yes + 1.0) / 2.0) / (yes * no))
}

/// Mean over classes of one class against the rest.
pub fn auc_one_vs_rest(
    probabilities: &[Vec<f64>],
    labels: &[usize],
    classes: usize,
) -> Option<f64> {
    let mut sum = 0.0;
    for class in 0..classes {
        let scores: Vec<f64> = probabilities.iter().map(|p| p[class]).collect();
        let is_yes: Vec<bool> = labels.iter().map(|&label| label == class).collect();
        sum += auc(&scores, &is_yes)?;
    }
    Some(sum / classes as f64)
}
