//! Is the running day still what the champion learned from, and is its loss what it was?
//!
//! ```text
//!   days before, running day ─► rows by the champion's features ─┬─► PSI, KS against its card
//!                                     └─► what it answers ───────┴─► ADWIN over its loss
//! ```

use super::compete::{answers, learned_until};
use super::days::DAY_MS;
use super::settings::Drift;
use crate::data::{freeze::freeze, import::import};
use crate::forward::Config;
use crate::history::{Rows, Wanted, rows};
use anyhow::{Context, Result};
use peregrine::model::ArtifactFiles;
use peregrine::promotion::drift::Adwin;
use peregrine::promotion::settings::DriftSettings;
use peregrine::promotion::watch::FeatureWatch;
use peregrine::venue::dataset::DataSet;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// What is looked at.
pub struct Look<'l> {
    /// The champion's folder.
    pub champion: &'l Path,
    /// Collected days, the running one last.
    pub days: &'l [PathBuf],
    /// Folder for what is worked out; it is made anew.
    pub work: &'l Path,
    /// Begin of the running day, milliseconds.
    pub from_ms: i64,
    /// Now.
    pub until_ms: i64,
}

/// Why to learn early; `None` where nothing drifted, or too little was seen to tell.
///
/// # Errors
/// Data or a champion that cannot be read.
pub fn look(
    look: &Look<'_>,
    config: &Config,
    (drift, gates): (&Drift, &DriftSettings),
) -> Result<Option<String>> {
    let _ = std::fs::remove_dir_all(look.work);
    import(look.days, look.work, &mut |_, _, _| {})?;
    freeze(look.work, "look")?;
    let set = DataSet::open(look.work)?;
    let files =
        ArtifactFiles::read(look.champion).with_context(|| look.champion.display().to_string())?;
    let wanted = Wanted { features: files.card.features.clone(), ..config.wanted() };
    let seen = rows(&set, &wanted, &config.label_of(), &mut |_| {})?;
    if let Some(why) = features(&files, (&seen, look.until_ms), config, (drift, gates)) {
        return Ok(Some(why));
    }
    let said = answers(&set, config, &files, &seen)?;
    let since = learned_until(&files).unwrap_or(i64::MIN);
    Ok(losses(&said, &seen, (since, look.from_ms), (config, gates.adwin_delta)))
}

/// The rows of the last 24 hours against the deciles of the card: a whole day, since what goes with
/// the hour is never alike on a part of one.
fn features(
    files: &ArtifactFiles,
    (seen, until_ms): (&Rows, i64),
    config: &Config,
    (drift, gates): (&Drift, &DriftSettings),
) -> Option<String> {
    let training = files.card.training.as_ref()?;
    let from_ms = until_ms - DAY_MS;
    let first = seen.lives.partition_point(|life| life.from < from_ms);
    if first == 0 {
        return None;
    }
    // Spread over the day where there are more than a window takes.
    let step = (seen.len() - first).div_ceil(gates.window.max(1) as usize).max(1);
    let own = (first..seen.len()).step_by(step);
    let window = u32::try_from(own.len()).ok()?;
    if window < WINDOW_MIN {
        return None;
    }
    // Rows that share a label tell one thing, and so do symbols at the same time.
    let rows_of_label = config.label.horizon_bars as f64 / f64::from(config.rows.every_bars);
    let dependence = (rows_of_label * seen.markets.len() as f64 / step as f64).max(1.0);
    let width = seen.names.len();
    let of = DriftSettings { window, ..*gates };
    let mut watch = FeatureWatch::of_training((training, width), dependence, &of)?;
    own.for_each(|row| watch.push(seen.table.row(row)));
    let found = watch.judge()?;
    if found.psi_max >= drift.psi_max {
        return Some(format!(
            "drift: a feature's index is {:.3}, drift.psi_max {}",
            found.psi_max, drift.psi_max
        ));
    }
    (found.drifted_frac >= drift.drifted_frac_max).then(|| {
        format!(
            "drift: {:.2} of the features are of another distribution, drift.drifted_frac_max {}",
            found.drifted_frac, drift.drifted_frac_max
        )
    })
}

/// Fewest rows that tell of a day's features.
const WINDOW_MIN: u32 = 100;

/// Whether the mean of the loss rose within the running day. Means over whole horizons: labels that
/// overlap would look like change.
fn losses(
    said: &HashMap<(i64, u16), [f64; 3]>,
    seen: &Rows,
    (since, from_ms): (i64, i64),
    (config, delta): (&Config, f64),
) -> Option<String> {
    let span = (config.label.horizon_bars as i64 * seen.bar_ms).max(1);
    let (mut adwin, mut open) = (Adwin::new(delta), None::<(i64, f64, f64)>);
    let mut rise = None::<f64>;
    let mut close = |at: i64, mean: f64| {
        let before = adwin.mean();
        let cut = adwin.push(mean);
        if cut && adwin.mean() > before && (at + 1) * span > from_ms {
            rise = rise.or(adwin.mean());
        }
    };
    for (row, life) in seen.lives.iter().enumerate() {
        let Some(told) = said.get(&(life.from, seen.symbols[row])) else { continue };
        if life.from <= since {
            continue;
        }
        // Half of Brier's score is within 0 and 1, as the detector wants it.
        let came = seen.table.targets[row] as usize;
        let off = |(class, p): (usize, &f64)| (p - f64::from(u8::from(class == came))).powi(2);
        let score = told.iter().enumerate().map(off).sum::<f64>() / 2.0;
        let at = life.from.div_euclid(span);
        match &mut open {
            Some((own, sum, count)) if *own == at => (*sum, *count) = (*sum + score, *count + 1.0),
            other => {
                if let Some((own, sum, count)) = other.replace((at, score, 1.0)) {
                    close(own, sum / count);
                }
            }
        }
    }
    if let Some((own, sum, count)) = open {
        close(own, sum / count);
    }
    Some(format!("drift: the loss rose to {:.4} in the mean (half of Brier's score)", rise?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forward::config::{LabelConfig, RowsConfig};
    use crate::validation::folds::Life;

    const HOUR_MS: i64 = 3_600_000;

    /// A row an hour over ten days; from hour `turns` on the answers are wrong.
    fn world(turns: i64) -> (Rows, HashMap<(i64, u16), [f64; 3]>) {
        let mut rows = Rows { bar_ms: HOUR_MS, ..Rows::default() };
        let mut said = HashMap::new();
        for hour in 0..240_i64 {
            let from = hour * HOUR_MS;
            rows.lives.push(Life { from, until: from + HOUR_MS });
            rows.symbols.push(0);
            rows.table.targets.push(2.0);
            let right = [0.1, 0.1, 0.8];
            said.insert((from, 0), if hour < turns { right } else { [0.8, 0.1, 0.1] });
        }
        (rows, said)
    }

    #[test]
    fn a_loss_that_rises_on_the_running_day_is_told_and_an_old_rise_is_not() {
        let config = Config {
            rows: RowsConfig { every_bars: 1, ..RowsConfig::default() },
            label: LabelConfig { horizon_bars: 1, ..LabelConfig::default() },
            ..Config::default()
        };
        let told = |turns: i64, day_from: i64, since: i64| {
            let (rows, said) = world(turns);
            let times = (since * HOUR_MS, day_from * HOUR_MS);
            losses(&said, &rows, times, (&config, 0.002))
        };
        let why = told(200, 200, -1).expect("it rose");
        assert!(why.starts_with("drift: the loss rose to "), "{why}");
        assert_eq!(told(240, 200, -1), None, "it never rose");
        assert_eq!(told(100, 200, -1), None, "it rose before the day");
        assert_eq!(told(200, 200, 199), None, "all that is left is alike");
    }
}
