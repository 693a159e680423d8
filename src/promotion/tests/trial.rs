//! What a trial makes of its lines: each thing that the rules ask for arrives there.

use super::log::{came, decided, read};
use super::market::Scene;
use crate::promotion::record::{Decided, FeatureDrift, Line, Told};
use crate::promotion::{Arm, Assigned, Observed, Trials};
use crate::promotion::{RollbackCause, breaches};
use crate::registry::Stage;

/// Says up with this probability, the rest shared.
fn up(p: f64) -> [f64; 3] {
    [(1.0 - p) / 2.0, (1.0 - p) / 2.0, p]
}

/// A log of `count` decisions after which it went up, changed by `edit`, each with its outcome.
fn trials(count: u64, old: f64, new: f64, edit: impl Fn(&mut Decided)) -> Trials {
    let scene = Scene { champion: up(old), challenger: up(new), class: 2 };
    let lines = (0..count).flat_map(|seq| {
        let mut one = decided(seq, &scene);
        edit(&mut one);
        [Line::Decision(Box::new(one)), Line::Outcome(came(seq, scene.class))]
    });
    read(lines.collect())
}

fn seen(trials: &Trials) -> Observed {
    trials.trials()[0].observed(1)
}

#[test]
fn the_better_side_has_the_evidence_and_the_other_has_none() {
    let better = seen(&trials(4_000, 0.3, 0.6, |_| {}));
    assert!(better.evidence > 1e3 && better.evidence_against < 1.0, "{better:?}");
    let mean = (0.6_f64 / 0.3).ln();
    assert!((better.mean_gain.unwrap() - mean).abs() < 1e-9);
    let (low, high) = (better.mean_gain_low.unwrap(), better.mean_gain_high.unwrap());
    assert!(low < mean && mean < high, "{low} {high}");
    let worse = seen(&trials(4_000, 0.6, 0.3, |_| {}));
    assert_eq!(
        (worse.evidence, worse.evidence_against),
        (better.evidence_against, better.evidence)
    );
}

#[test]
fn a_row_worked_out_differently_a_judgement_and_a_difference_arrive() {
    let observed = seen(&trials(100, 0.3, 0.6, |one| {
        one.features_match = one.seq % 10 != 0;
        if one.seq == 40 || one.seq == 60 {
            one.drift = Some(FeatureDrift { psi_max: one.seq as f64 / 400.0, drifted_frac: 0.1 });
        }
        if one.seq % 4 == 0 {
            one.challenger.signal = crate::promotion::record::Signal::Buy;
        }
    }));
    assert_eq!((observed.mismatches, observed.differing), (10, 25));
    assert_eq!((observed.psi, observed.features_drifted), (Some(0.15), Some(0.1)), "the newest");
    assert_eq!(observed.guardrail_trips, None, "nobody watches them in the shadow");
}

#[test]
fn an_account_goes_on_where_the_next_session_begins_with_money_of_its_own() {
    // Three sessions of a day: up 2 %, down 5 %, up 4 %, each from 1 000 on, the challenger's from
    // 500; hours between, in which nothing happens.
    let sessions = [1.02, 0.95, 1.04];
    let all = trials(3 * 288, 0.3, 0.6, |one| {
        let (session, at) = ((one.seq / 288) as usize, one.seq % 288);
        one.session_ns = session as i64 + 1;
        let grown = 1.0 + (sessions[session] - 1.0) * at as f64 / 287.0;
        (one.champion.equity, one.challenger.equity) = (1_000.0 * grown, 500.0 * grown);
    });
    // The same as one account.
    let whole = trials(3 * 288, 0.3, 0.6, |one| {
        let (session, at) = ((one.seq / 288) as usize, one.seq % 288);
        let before: f64 = sessions[..session].iter().product();
        let grown = 1.0 + (sessions[session] - 1.0) * at as f64 / 287.0;
        one.champion.equity = 1_000.0 * before * grown;
        one.challenger.equity = one.champion.equity;
    });
    let (all, whole) = (seen(&all), seen(&whole));
    for (own, wanted) in [(&all.champion, &whole.champion), (&all.challenger, &whole.challenger)] {
        let drawdown = own.drawdown_max.unwrap();
        assert!((drawdown - 0.05).abs() < 1e-9, "{drawdown}");
        assert!((drawdown - wanted.drawdown_max.unwrap()).abs() < 1e-9);
        assert!((own.sharpe.unwrap() - wanted.sharpe.unwrap()).abs() < 1e-6, "{own:?}");
    }
}

#[test]
fn decisions_that_one_of_them_did_not_make_are_not_compared() {
    let silent = |told: &mut Told| {
        told.proba = None;
        told.error = Some("features cold".to_owned());
    };
    let all = trials(100, 0.3, 0.6, |one| {
        if one.seq % 2 == 0 {
            silent(&mut one.champion);
        }
    });
    let observed = seen(&all);
    assert_eq!((observed.predictions, observed.unscored), (50, 0));
}

#[test]
fn what_a_canary_trial_earned_is_that_of_the_arm_that_traded() {
    // Blocks of ten decisions in turn; the canary earns 1 % a decision when it trades, the champion
    // loses 1 %; whoever does not trade earns nonsense. The first two of a block are carry-over.
    let observed = seen(&trials(1_000, 0.3, 0.6, |one| {
        let block = one.seq as i64 / 10;
        let arm = if block % 2 == 0 { Arm::Champion } else { Arm::Canary };
        one.stage = Stage::Canary;
        one.assigned = Some(Assigned { block, arm, carry_over: one.seq % 10 < 2 });
        one.guardrail = (one.seq == 500).then(|| "day's loss".to_owned());
        let equity = |own: Arm, rate: f64| {
            // Whole rounds of twenty decisions, then what this one has of its own ten.
            let (round, at) = (one.seq / 20, one.seq % 20);
            let begin = if own == Arm::Champion { 0 } else { 10 };
            let steps = round * 10 + (at + 1).saturating_sub(begin).min(10);
            1_000.0 * (1.0 + rate).powi(steps as i32)
        };
        one.champion.equity = equity(Arm::Champion, -0.01);
        one.challenger.equity = equity(Arm::Canary, 0.01);
    }));
    assert_eq!((observed.champion_blocks, observed.canary_blocks), (50, 49), "one is open");
    assert_eq!(observed.guardrail_trips, Some(1));
    // Eight counted decisions of ±1 %, always the same: no width is left.
    assert!((observed.net_lower_bound.unwrap() - 0.16).abs() < 1e-9, "{observed:?}");
}

/// A log whose models say up with 0.6; it goes up six times in ten, from `turn` on never.
fn turning(turn: u64) -> Trials {
    let scene = Scene { champion: up(0.6), challenger: up(0.6), class: 2 };
    let lines = (0..12_000).flat_map(|seq| {
        let class = if seq < turn && (seq * 7) % 10 < 6 { 2 } else { 0 };
        [Line::Decision(Box::new(decided(seq, &scene))), Line::Outcome(came(seq, class))]
    });
    read(lines.collect())
}

#[test]
fn a_loss_that_rises_and_a_calibration_that_breaks_are_seen_and_roll_back() {
    let calm = turning(u64::MAX);
    let observed = seen(&calm);
    assert_eq!(observed.days_since_rise, observed.days, "never");
    assert!(observed.ece.unwrap() < 0.01, "{:?}", observed.ece);
    let limits = super::shipped().rollback;
    let causes = |trials: &Trials| -> Vec<RollbackCause> {
        let found = breaches(&limits, &trials.trials()[0].champion_health());
        found.into_iter().map(|breach| breach.cause).collect()
    };
    assert_eq!(causes(&calm), []);
    // Thirty-one days in, of forty-one and a half.
    let broken = turning(9_000);
    let observed = seen(&broken);
    assert!(observed.days_since_rise < 10.5, "{}", observed.days_since_rise);
    assert_eq!(causes(&broken), [RollbackCause::Calibration]);
}

#[test]
fn a_champion_that_loses_is_taken_out_by_what_its_lines_tell() {
    let all = trials(20, 0.3, 0.6, |one| {
        one.champion.equity = 1_000.0 - 15.0 * one.seq as f64;
        one.champion.closed_pnl = Some(-15.0);
        one.champion.latency_ns = 6_000_000;
    });
    let health = all.trials()[0].champion_health();
    let found = breaches(&super::shipped().rollback, &health);
    let causes: Vec<RollbackCause> = found.into_iter().map(|breach| breach.cause).collect();
    assert_eq!(causes, [RollbackCause::Drawdown, RollbackCause::Losses, RollbackCause::Latency]);
}

#[test]
fn rows_like_those_of_training_are_well_and_others_are_not() {
    use crate::promotion::watch::FeatureWatch;
    let drift = crate::promotion::settings::DriftSettings { window: 500, ..super::shipped().drift };
    let training: Vec<Vec<f64>> =
        (0..4).map(|f| (0..1_000).map(|n| f64::from((n * 37 + f) % 1_000)).collect()).collect();
    let mut watch = FeatureWatch::new(&training, 1.0, &drift).unwrap();
    let row = |n: u16, moved: f32| {
        let value = f32::from((n * 61) % 1_000);
        [value, value, value, value + moved]
    };
    (0..499).for_each(|n| watch.push(&row(n, 0.0)));
    assert_eq!(watch.judge(), None, "a window is judged when it is full");
    watch.push(&row(499, 0.0));
    let calm = watch.judge().unwrap();
    assert!(calm.psi_max < 0.1 && calm.drifted_frac == 0.0, "{calm:?}");
    (0..500).for_each(|n| watch.push(&row(n, 400.0)));
    let moved = watch.judge().unwrap();
    assert!(moved.psi_max > 0.25 && moved.drifted_frac == 0.25, "{moved:?}");
    assert!(FeatureWatch::new(&[vec![1.0; 1_000]], 1.0, &drift).is_none(), "a constant");
}

/// The card's deciles tell what the training's own values tell, a constant feature included.
#[test]
fn a_card_tells_rows_like_those_of_training_from_others() {
    use crate::model::Training;
    use crate::promotion::watch::FeatureWatch;
    let drift = crate::promotion::settings::DriftSettings { window: 500, ..super::shipped().drift };
    let row = |n: u16, moved: f32| [f32::from((n * 61) % 1_000), f32::from(n % 1_000) + moved, 3.0];
    let rows: Vec<f32> = (0..1_000).flat_map(|n| row(n, 0.0)).collect();
    let training = Training::of(3, &rows).unwrap();
    let mut watch = FeatureWatch::of_training((&training, 3), 1.0, &drift).unwrap();
    (0..499).for_each(|n| watch.push(&row(n * 2, 0.0)));
    assert_eq!(watch.judge(), None, "a window is judged when it is full");
    watch.push(&row(998, 0.0));
    let calm = watch.judge().unwrap();
    assert!(calm.psi_max < 0.1 && calm.drifted_frac == 0.0, "{calm:?}");
    (0..500).for_each(|n| watch.push(&row(n * 2, 400.0)));
    let moved = watch.judge().unwrap();
    assert!(moved.psi_max > 0.25, "{moved:?}");
    assert!((moved.drifted_frac - 1.0 / 3.0).abs() < 1e-12, "{moved:?}");
    assert!(FeatureWatch::of_training((&training, 2), 1.0, &drift).is_none(), "other features");
}
