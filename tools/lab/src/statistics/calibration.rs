//! Whether probabilities mean what they say, and how to make them.
//!
//! Sources: Brier (1950); Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural
//! networks" (2017) for the expected calibration error and temperature scaling; Ayer and others
//! (1955) for pooling adjacent violators.

/// Mean squared distance of probability rows from what happened, 0 to 2.
pub fn brier(probabilities: &[Vec<f64>], labels: &[usize]) -> f64 {
    let one = |(row, &label): (&Vec<f64>, &usize)| {
        let cells = row.iter().enumerate();
        cells.map(|(class, p)| (p - f64::from(u8::from(class == label))).powi(2)).sum::<f64>()
    };
    let sum: f64 = probabilities.iter().zip(labels).map(one).sum();
    sum / labels.len().max(1) as f64
}

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bin {
    /// Rows in it.
    pub rows: usize,
    /// Their mean probability.
    pub said: f64,
    /// Share in which it came true.
    pub came: f64,
}

/// Reliability of one class in `bins` bins of equal width.
pub fn reliability(said: &[f64], came: &[bool], bins: usize) -> Vec<Bin> {
    let mut found = vec![Bin::default(); bins];
    for (&p, &is_true) in said.iter().zip(came) {
        let place = ((p * bins as f64) as usize).min(bins - 1);
        let bin = &mut found[place];
        bin.rows += 1;
        bin.said += p;
        bin.came += f64::from(u8::from(is_true));
    }
    for bin in &mut found {
        let rows = bin.rows.max(1) as f64;
        bin.said /= rows;
        bin.came /= rows;
    }
    found
}

/// Expected calibration error of the likeliest class in `bins` bins of equal width: the mean
/// distance of what was said from what came, by rows.
pub fn calibration_error(probabilities: &[Vec<f64>], labels: &[usize], bins: usize) -> f64 {
    let mut said = Vec::with_capacity(labels.len());
    let mut came = Vec::with_capacity(labels.len());
    for (row, &label) in probabilities.iter().zip(labels) {
        let top =
            (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best });
        said.push(row[top]);
        came.push(top == label);
    }
    let distance = |bin: &Bin| bin.rows as f64 * (bin.said - bin.came).abs();
    let sum: f64 = reliability(&said, &came, bins).iter().map(distance).sum();
    sum / labels.len().max(1) as f64
}

/// The temperature by which logits are divided so that their log-loss is least: a search by thirds
/// over its logarithm between 0.05 and 20, where the loss has one valley.
pub fn temperature(logits: &[Vec<f64>], labels: &[usize]) -> f64 {
    let loss = |log_t: f64| {
        let t = log_t.exp();
        let one = |(row, &label): (&Vec<f64>, &usize)| {
            let top = row.iter().fold(f64::NEG_INFINITY, |top, z| top.max(z / t));
            let sum: f64 = row.iter().map(|z| (z / t - top).exp()).sum();
            sum.ln() + top - row[label] / t
        };
        logits.iter().zip(labels).map(one).sum::<f64>()
    };
    let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
    // Two thirds of the span are left each time: sixty leave less than 1e-9 of it.
    for _ in 0..60 {
        let third = (high - low) / 3.0;
        if loss(low + third) < loss(high - third) {
            high -= third;
        } else {
            low += third;
        }
    }
    ((low + high) / 2.0).exp()
}

/// The rising step function nearest to what came, over scores: for each score in rising order its
/// calibrated probability. Equal scores share one.
pub fn isotonic(scores: &[f64], came: &[bool]) -> Vec<(f64, f64)> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // Pools of (first score, last score, rows, hits).
    let mut pools: Vec<(f64, f64, f64, f64)> = Vec::new();
    for at in order {
        let (score, hit) = (scores[at], f64::from(u8::from(came[at])));
        match pools.last_mut() {
            Some(last) if last.1 == score => {
                last.2 += 1.0;
                last.3 += hit;
            }
            _ => pools.push((score, score, 1.0, hit)),
        }
        while let [.., before, last] = &mut pools[..]
            && before.3 * last.2 >= last.3 * before.2
        {
            *before = (before.0, last.1, before.2 + last.2, before.3 + last.3);
            pools.pop();
        }
    }
    let mut steps = Vec::with_capacity(2 * pools.len());
    for (first, last, rows, hits) in pools {
        steps.push((first, hits / rows));
        if last > first {
            steps.push((last, hits / rows));
        }
    }
    steps
}
