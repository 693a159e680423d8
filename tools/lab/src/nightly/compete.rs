//! The champion and the night's models on the same rows, which none of them has learned from.
//!
//! ```text
//!   |◄──────────── the night's models ───────────►|embargo|◄────── test ──────►|
//!   |◄─ the champion: up to here ─►|                       each by its own features
//! ```
//! Every model is loaded from its files, as a session would load it. Log-loss decides; the rest is
//! told.

use crate::forward::trade::{Rule, View, trade};
use crate::forward::{Config, held_out};
use crate::history::{Rows, Wanted, rows};
use crate::learn::classes;
use crate::train::frozen::split;
use anyhow::{Context, Result, ensure};
use peregrine::features::schema_hash;
use peregrine::model::artifact::hex;
use peregrine::model::{ArtifactFiles, LoadPolicy, Model};
use peregrine::venue::dataset::DataSet;
use prost::Message;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;
use tract_onnx::pb::ModelProto;

/// Parts into which the rows are cut to see whether an advantage lasts.
const BLOCKS: usize = 10;
/// Fewest rows that models are compared on.
const ROWS_MIN: usize = 50;
/// No probability counts as less.
const PROBABILITY_MIN: f64 = 1e-15;

/// A model on the rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contender {
    /// `champion`, `cold` or `warm`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its graph.
    pub model_sha256: String,
    /// SHA-256 of its card.
    pub card_sha256: String,
    /// Mean log-loss, nats; `None` where it cannot be told.
    pub log_loss: Option<f64>,
    /// Return net of costs at the threshold that the validation chose.
    pub net_return: Option<f64>,
    /// Round trips.
    pub round_trips: Option<u64>,
    /// Of [`BLOCKS`] parts, those on which its log-loss is below the champion's.
    pub blocks_won: Option<u64>,
    /// Why it cannot be told.
    pub why: Option<String>,
}

/// What was compared and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Rows that all were judged on.
    pub rows: u64,
    /// Time of the first of them, milliseconds.
    pub from_ms: i64,
    /// Time of the last.
    pub to_ms: i64,
    /// Log-loss of always telling the class shares of what was learned from.
    pub log_loss_prior: f64,
    /// The models.
    pub contenders: Vec<Contender>,
    /// Name of the one that is better than the champion.
    pub chosen: Option<String>,
    /// Why.
    pub reason: String,
}

/// A model's folder by its name in the competition.
pub struct Entrant<'e> {
    /// `champion`, `cold` or `warm`.
    pub name: &'static str,
    /// Folder of the version.
    pub dir: &'e Path,
}

/// What a model said of rows.
struct Said {
    entrant: Contender,
    files: ArtifactFiles,
    /// By time and symbol of the row.
    probabilities: HashMap<(i64, u16), [f64; 3]>,
}

/// Compares the models; `edge` is the threshold of an entry.
///
/// # Errors
/// Data or models that cannot be read; too few rows.
pub fn compete(
    set: &DataSet,
    (config, edge): (&Config, f64),
    entrants: &[Entrant<'_>],
    improvement_min: f64,
) -> Result<Choice> {
    let own = rows(set, &config.wanted(), &config.label_of(), &mut |_| {})?;
    let (training, test) = split(&own, config)?;
    let mut all = Vec::new();
    for entrant in entrants {
        all.push(said(set, config, entrant, &own)?);
    }
    let key = |row: usize| (own.lives[row].from, own.symbols[row]);
    let embargo = config.folds.embargo_bars * own.bar_ms;
    let judged_from = |said: &Said| match learned_until(&said.files) {
        Some(until) if said.entrant.why.is_none() => until.saturating_add(embargo),
        _ => i64::MIN,
    };
    let from_ms = all.iter().map(judged_from).max().unwrap_or(i64::MIN);
    let test: Vec<usize> = test
        .into_iter()
        .filter(|&row| own.lives[row].from > from_ms)
        .filter(|&row| {
            let told = |said: &Said| said.probabilities.contains_key(&key(row));
            all.iter().all(|said| said.entrant.why.is_some() || told(said))
        })
        .collect();
    if test.len() < ROWS_MIN {
        let reason =
            format!("{} rows that no model has learned from, {ROWS_MIN} are needed", test.len());
        let contenders = all.into_iter().map(|said| said.entrant).collect();
        return Ok(Choice { contenders, reason, ..Choice::default() });
    }
    let came = classes(&own.table, &test);
    let prior = prior(&own, &training, &came);
    let mut losses = Vec::new();
    for said in &mut all {
        losses.push(judge(said, (&own, config, edge), &test, &came));
    }
    blocks(&mut all, &losses);
    let contenders: Vec<Contender> = all.into_iter().map(|said| said.entrant).collect();
    let (chosen, reason) = choose(&contenders, prior, improvement_min);
    Ok(Choice {
        rows: test.len() as u64,
        from_ms: own.lives[test[0]].from,
        to_ms: own.lives[test[test.len() - 1]].from,
        log_loss_prior: prior,
        contenders,
        chosen,
        reason,
    })
}

/// The best of the night's models, where it is below both the champion and the class shares.
fn choose(contenders: &[Contender], prior: f64, improvement_min: f64) -> (Option<String>, String) {
    let of = |name: &str| contenders.iter().find(|contender| contender.name == name);
    let told = |name: &str| of(name).and_then(|c| Some((c.name.clone(), c.log_loss?)));
    let ours = ["cold", "warm"].into_iter().filter_map(told);
    // The first of equals: the one that learned anew.
    let best = ours.reduce(|best, next| if next.1 < best.1 { next } else { best });
    let Some((name, loss)) = best else {
        return (None, "there is no model to compare".to_owned());
    };
    if loss >= prior {
        return (
            None,
            format!("{name}: log-loss {loss:.6}, that of the class shares is {prior:.6}"),
        );
    }
    let Some(champion) = of("champion") else {
        return (Some(name.clone()), format!("{name}: log-loss {loss:.6}, there is no champion"));
    };
    match champion.log_loss {
        None => {
            let why = champion.why.as_deref().unwrap_or("it is not known");
            let reason =
                format!("{name}: log-loss {loss:.6}; the champion cannot be compared: {why}");
            (Some(name), reason)
        }
        Some(old) if old - loss > improvement_min => {
            (Some(name.clone()), format!("{name}: log-loss {loss:.6}, the champion's is {old:.6}"))
        }
        Some(old) => {
            let reason = format!(
                "{name}: log-loss {loss:.6}, the champion's is {old:.6}, and improvement_min \
                 {improvement_min}"
            );
            (None, reason)
        }
    }
}

/// A version's answers to its own rows, or why there are none.
fn said(set: &DataSet, config: &Config, entrant: &Entrant<'_>, own: &Rows) -> Result<Said> {
    let files = ArtifactFiles::read(entrant.dir)
        .with_context(|| format!("{}: {}", entrant.name, entrant.dir.display()))?;
    let card_sha256 = hex(&peregrine::model::artifact::sha256(files.card_text.as_bytes()));
    let mut contender = Contender {
        name: entrant.name.to_owned(),
        version: files.card.version.clone(),
        model_sha256: hex(&files.sha256),
        card_sha256,
        log_loss: None,
        net_return: None,
        round_trips: None,
        blocks_won: None,
        why: None,
    };
    let found = answers(set, config, &files, own);
    let probabilities = match found {
        Ok(found) => found,
        // A champion may be of another kind; the night's own models may not.
        Err(why) if entrant.name == "champion" => {
            contender.why = Some(format!("{why:#}"));
            HashMap::new()
        }
        Err(why) => return Err(why.context(entrant.name)),
    };
    Ok(Said { entrant: contender, files, probabilities })
}

/// What a model answers to the rows of the data set, by time and symbol.
pub(super) fn answers(
    set: &DataSet,
    config: &Config,
    files: &ArtifactFiles,
    own: &Rows,
) -> Result<HashMap<(i64, u16), [f64; 3]>> {
    let card = &files.card;
    let horizon_ms = config.label.horizon_bars as u64 * own.bar_ms.unsigned_abs();
    ensure!(
        card.horizon_ms == horizon_ms,
        "it looks {} ms ahead, the labels {horizon_ms} ms",
        card.horizon_ms
    );
    ensure!(
        card.bar_interval_ms.is_none_or(|ms| i64::from(ms) == own.bar_ms),
        "its bars are of another length"
    );
    let mut model = Model::load(files, schema_hash(), LoadPolicy::ANY)?;
    ensure!(model.state().is_empty(), "it carries a state from row to row");
    let other;
    let seen = if card.features == own.names {
        own
    } else {
        let wanted = Wanted { features: card.features.clone(), ..config.wanted() };
        other = rows(set, &wanted, &config.label_of(), &mut |_| {})?;
        &other
    };
    let said = held_out::answers(&mut model, seen)?;
    let keys = seen.lives.iter().map(|life| life.from).zip(seen.symbols.iter().copied());
    Ok(keys.zip(said).collect())
}

/// When the last label was known that a version has learned from, where its file tells it.
pub(super) fn learned_until(files: &ArtifactFiles) -> Option<i64> {
    let model = ModelProto::decode(files.onnx.as_slice()).ok()?;
    let told = model.metadata_props.into_iter().find(|entry| entry.key == "learned_until_ms")?;
    told.value.parse().ok()
}

/// −ln of the probability of what came.
pub(super) fn loss(said: &[f64; 3], came: usize) -> f64 {
    -said[came].max(PROBABILITY_MIN).ln()
}

fn prior(rows: &Rows, training: &[usize], came: &[usize]) -> f64 {
    let mut shares = [0.0; 3];
    for class in classes(&rows.table, training) {
        shares[class] += 1.0 / training.len() as f64;
    }
    came.iter().map(|&class| loss(&shares, class)).sum::<f64>() / came.len() as f64
}

/// Loss of each row; figures go into the contender.
fn judge(
    said: &mut Said,
    (rows, config, edge): (&Rows, &Config, f64),
    test: &[usize],
    came: &[usize],
) -> Vec<f64> {
    if said.entrant.why.is_some() {
        return Vec::new();
    }
    let of = |&row: &usize| said.probabilities[&(rows.lives[row].from, rows.symbols[row])];
    let told: Vec<[f64; 3]> = test.iter().map(of).collect();
    let losses: Vec<f64> = told.iter().zip(came).map(|(said, &came)| loss(said, came)).collect();
    let view = |(&row, said): (&usize, &[f64; 3])| View { row, edge: said[2] - said[0] };
    let views: Vec<View> = test.iter().zip(&told).map(view).collect();
    let rule = Rule::new(config, edge, 1.0);
    let track = trade(rows, &views, &rule, config.label_of().cost);
    said.entrant.log_loss = Some(losses.iter().sum::<f64>() / losses.len() as f64);
    said.entrant.net_return = Some(track.net());
    said.entrant.round_trips = Some(track.trades.len() as u64);
    losses
}

/// On how many parts each is ahead of the champion.
fn blocks(all: &mut [Said], losses: &[Vec<f64>]) {
    let champion = all.iter().position(|said| said.entrant.name == "champion");
    let Some(champion) = champion.filter(|&at| !losses[at].is_empty()) else { return };
    for at in (0..all.len()).filter(|&at| at != champion) {
        let count = losses[at].len();
        let sum = |of: &[f64], block: usize| -> f64 {
            of[block * count / BLOCKS..(block + 1) * count / BLOCKS].iter().sum()
        };
        let ahead = |&block: &usize| sum(&losses[at], block) < sum(&losses[champion], block);
        all[at].entrant.blocks_won = Some((0..BLOCKS).filter(ahead).count() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::tests::two;
    use crate::train::frozen::{Order, train_frozen};
    use crate::train::write;

    fn contender(name: &str, log_loss: Option<f64>) -> Contender {
        Contender {
            name: name.to_owned(),
            version: format!("{name}-1"),
            model_sha256: String::new(),
            card_sha256: String::new(),
            log_loss,
            net_return: None,
            round_trips: None,
            blocks_won: None,
            why: log_loss.is_none().then(|| "it carries a state".to_owned()),
        }
    }

    #[test]
    fn the_better_one_is_chosen_and_nothing_where_none_is() {
        let chosen = |losses: &[(&str, Option<f64>)], improvement_min: f64| {
            let all: Vec<_> = losses.iter().map(|&(name, loss)| contender(name, loss)).collect();
            choose(&all, 1.0, improvement_min)
        };
        let three = |champion, cold, warm| {
            [("champion", Some(champion)), ("cold", Some(cold)), ("warm", Some(warm))]
        };
        let name = |told: (Option<String>, String)| told.0;
        assert_eq!(name(chosen(&three(0.9, 0.8, 0.85), 0.0)).as_deref(), Some("cold"));
        assert_eq!(name(chosen(&three(0.9, 0.85, 0.8), 0.0)).as_deref(), Some("warm"));
        assert_eq!(name(chosen(&three(0.9, 0.8, 0.8), 0.0)).as_deref(), Some("cold"));
        assert_eq!(name(chosen(&three(0.8, 0.8, 0.9), 0.0)), None, "as good is not better");
        assert_eq!(name(chosen(&three(0.9, 0.85, 0.95), 0.1)), None, "not by as much");
        assert_eq!(name(chosen(&three(1.3, 1.2, 1.1), 0.0)), None, "the class shares are better");
        let unknown = [("champion", None), ("cold", Some(0.9))];
        let (who, why) = chosen(&unknown, 0.0);
        assert_eq!(who.as_deref(), Some("cold"));
        assert!(why.contains("cannot be compared: it carries a state"), "{why}");
        assert_eq!(name(chosen(&[("warm", Some(0.9))], 0.0)).as_deref(), Some("warm"));
        assert_eq!(name(chosen(&[("champion", Some(0.9))], 0.0)), None);
    }

    /// A version of little training on a data set, in a folder of its name.
    fn version(set: &DataSet, config: &Config, name: &str, below: &Path) -> std::path::PathBuf {
        let order = Order { version: name.to_owned(), config: config.clone(), threads: 1 };
        let dir = below.join(name);
        write(&train_frozen(set, &order, &mut |_| {}).unwrap(), &dir).unwrap();
        dir
    }

    #[test]
    fn nobody_is_judged_on_what_he_has_learned_from_and_as_good_is_not_better() {
        let mut config = Config::default();
        config.rows.every_bars = 1;
        (config.label.horizon_bars, config.label.barrier) = (5, 0.0);
        config.folds.embargo_bars = 10;
        (config.trees.rounds, config.trees.depths, config.trees.leaf_rows_min) = (3, vec![2], 20);
        // The longer one begins with the shorter one, and goes far beyond it.
        let ((_one, set), (_other, long)) = (two(61, 1_500, 0.6), two(61, 3_000, 0.6));
        let dir = tempfile::tempdir().unwrap();
        let made = |set, name| version(set, &config, name, dir.path());
        let (cold, late) = (made(&set, "cold"), made(&long, "late"));
        let against = |champion: &Path| {
            let entrants = [("champion", champion), ("cold", cold.as_path())];
            let entrants = entrants.map(|(name, dir)| Entrant { name, dir });
            compete(&set, (&config, 0.1), &entrants, 0.0).unwrap()
        };
        let same = against(&cold);
        assert!(same.rows > 200, "{same:?}");
        let [own, cold] = &same.contenders[..] else { panic!("two") };
        assert_eq!(own.log_loss, cold.log_loss);
        assert_eq!((cold.blocks_won, same.chosen.as_deref()), (Some(0), None));
        let seen = against(&late);
        assert_eq!((seen.rows, seen.chosen.as_deref()), (0, None));
        assert!(seen.reason.starts_with("0 rows that no model has learned from"), "{seen:?}");
    }

    #[test]
    fn a_probability_of_nothing_costs_much_and_no_infinity() {
        assert!((loss(&[0.25, 0.5, 0.25], 1) - 2.0_f64.ln()).abs() < 1e-12);
        assert!(loss(&[1.0, 0.0, 0.0], 2).is_finite());
    }
}
