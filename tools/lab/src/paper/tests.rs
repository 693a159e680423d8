//! Campaigns over synthetic days, and what is made of them.

use super::days::{Campaign, Day, Market};
use super::report::{Whole, judge, markdown};
use super::targets::Targets;
use peregrine::model::ArtifactFiles;
use peregrine::runtime::config;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn campaign(days: u64) -> Campaign {
    Campaign {
        files: ArtifactFiles::read(&root().join("models_saved/synthetic-1")).unwrap(),
        loaded: config::load(&root().join("config/paper.toml")).unwrap(),
        market: Market::Synthetic { seed: 5, minutes: 2 },
        days,
    }
}

fn targets() -> Targets {
    Targets::read(&root().join("config/signoff.toml")).unwrap()
}

/// A day from this equity to that one, with this low, in whole quote currency.
fn day(from: i64, low: i64, to: i64) -> Day {
    let unit = 100_000_000;
    let (gain, loss) = (2 * unit, unit);
    let (equity_start, equity_low, equity_end) = (from * unit, low * unit, to * unit);
    Day {
        equity_start,
        equity_low,
        equity_end,
        gain,
        loss,
        round_trips: 10,
        won: 6,
        ..Day::default()
    }
}

#[test]
fn equity_goes_from_day_to_day_and_every_day_is_another_market() {
    let days = campaign(3).run(&[], &mut |_, _| Ok(())).unwrap();
    assert_eq!(days.len(), 3);
    assert_eq!(days[0].equity_start, 10_000 * 100_000_000);
    for pair in days.windows(2) {
        assert_eq!(pair[1].equity_start, pair[0].equity_end);
        assert_ne!(pair[1].counts, pair[0].counts);
    }
    assert!(days.iter().all(|day| day.counts[0] > 0 && day.critical.is_empty()), "{days:?}");
    assert!(days.iter().any(|day| day.round_trips > 0 && day.equity_end != day.equity_start));
}

#[test]
fn a_campaign_that_was_stopped_goes_on_and_ends_as_one_that_was_not() {
    let whole = campaign(3).run(&[], &mut |_, _| Ok(())).unwrap();
    let mut lived = Vec::new();
    let stopped = campaign(3).run(&[], &mut |day, _| {
        lived.push(day.clone());
        if lived.len() == 2 { Err(anyhow::anyhow!("stopped")) } else { Ok(()) }
    });
    assert!(format!("{:#}", stopped.unwrap_err()).contains("stopped"));
    assert_eq!(campaign(3).run(&lived, &mut |_, _| Ok(())).unwrap(), whole);
    // A day that was lived before is taken as it was told, not lived again.
    lived[1].won += 1_000;
    assert_eq!(campaign(3).run(&lived, &mut |_, _| Ok(())).unwrap()[1].won, lived[1].won);
    let mut other = campaign(1);
    other.market = Market::Synthetic { seed: 6, minutes: 2 };
    assert_ne!(other.run(&whole, &mut |_, _| Ok(())).unwrap()[0], whole[0]);
}

#[test]
fn the_whole_is_what_its_days_come_to() {
    // 1 %, -2 % and 3 %: mean 1/150, sample deviation sqrt(19)/ (100 sqrt 3).
    let days = [day(10_000, 9_900, 10_100), day(10_100, 9_500, 9_898), day(9_898, 9_890, 10_195)];
    let whole = Whole::of(&days);
    let returns = [0.01, -0.02, 297.0 / 9_898.0];
    let mean = returns.iter().sum::<f64>() / 3.0;
    let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
    assert!((whole.sharpe.unwrap() - mean / deviation * 365f64.sqrt()).abs() < 1e-9);
    assert!((whole.drawdown_frac - 600.0 / 10_100.0).abs() < 1e-12, "{}", whole.drawdown_frac);
    assert!((whole.net_return - 0.0195).abs() < 1e-12);
    assert_eq!(
        (whole.round_trips, whole.win_rate, whole.profit_factor),
        (30, Some(0.6), Some(2.0))
    );
}

#[test]
fn each_target_bites_alone_and_what_is_not_known_is_not_met() {
    let mut whole = Whole {
        days: 14,
        net_return: 0.1,
        sharpe: Some(1.8),
        psr: None,
        sortino: None,
        drawdown_frac: 0.2,
        round_trips: 100,
        win_rate: Some(0.52),
        profit_factor: Some(1.8),
        critical: 0,
    };
    let missed = |whole: &Whole| -> Vec<String> {
        let verdicts = judge(whole, &targets());
        verdicts.into_iter().filter(|v| !v.passed).map(|v| v.name).collect()
    };
    assert!(missed(&whole).is_empty(), "just enough of everything");
    let good = whole.clone();
    let mut spoil = |spoil: fn(&mut Whole), name: &str| {
        whole = good.clone();
        spoil(&mut whole);
        assert_eq!(missed(&whole), [name]);
    };
    spoil(|whole| whole.days = 13, "days_min");
    spoil(|whole| whole.critical = 1, "critical_max");
    spoil(|whole| whole.sharpe = Some(1.79), "sharpe_min");
    spoil(|whole| whole.sharpe = None, "sharpe_min");
    spoil(|whole| whole.drawdown_frac = 0.21, "drawdown_frac_max");
    spoil(|whole| whole.win_rate = Some(0.51), "win_rate_min");
    spoil(|whole| whole.round_trips = 99, "round_trips_min");
    spoil(|whole| whole.profit_factor = None, "profit_factor_min");
}

#[test]
fn the_document_names_every_target_and_every_step() {
    let days = [day(10_000, 9_900, 10_100), day(10_100, 9_500, 9_898)];
    let page = markdown(&campaign(2), &targets(), &days);
    assert!(page.starts_with("# Sign-off of synthetic-1: NOT READY"), "{page}");
    for verdict in judge(&Whole::of(&days), &targets()) {
        assert!(page.contains(&format!("| {} |", verdict.name)), "{page}");
    }
    for step in &targets().step {
        assert!(page.contains(&format!("| {} | {} |", step.capital_quote, step.days_min)));
    }
}

#[test]
fn a_target_or_step_that_makes_no_sense_is_refused_by_its_key() {
    let text = std::fs::read_to_string(root().join("config/signoff.toml")).unwrap();
    for (right, wrong, key) in [
        ("days_min = 14\n#", "days_min = 1\n#", "paper.days_min"),
        ("win_rate_min = 0.52", "win_rate_min = 1.52", "paper.win_rate_min"),
        ("profit_factor_min = 1.8", "profit_factor_min = 0.5", "paper.profit_factor_min"),
        ("capital_quote = 500", "capital_quote = 501", "step"),
        ("capital_quote = 2000", "capital_quote = 1000", "step"),
        ("capital_quote = 2000", "capital_quote = 1000000001", "step"),
        ("critical_max = 0", "critical = 0", "critical"),
    ] {
        let changed = text.replacen(right, wrong, 1);
        assert_ne!(changed, text, "{right}");
        let error = format!("{:#}", Targets::parse(&changed).unwrap_err());
        assert!(error.contains(key), "{key}: {error}");
    }
}
