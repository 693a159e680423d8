//! A step of capital that somebody wants to sign for, held against `config/signoff.toml`: what the
//! step before showed, and that it was signed for.

use super::shown::Shown;
use crate::paper::targets::{Step, Targets};
use peregrine::base::Money;
use peregrine::risk::stage::Signoff;

/// Everything that keeps a record for `capital` from being signed on `today` (UTC day, counted from
/// the epoch); empty where nothing does. `before` is the record of the step before.
pub fn objections(
    targets: &Targets,
    capital: Money,
    shown: &Shown,
    before: Option<&Signoff>,
    today: i64,
) -> Vec<String> {
    let of = |step: &Step| i64::try_from(step.capital_quote).map_or(Money::ZERO, Money::whole);
    let Some(at) = targets.step.iter().position(|step| of(step) == capital) else {
        let steps: Vec<String> = targets.step.iter().map(|step| of(step).to_string()).collect();
        return vec![format!("capital: {capital} is none of the steps {}", steps.join(", "))];
    };
    let mut missing = shown_below(&targets.step[at], shown);
    if at == 0 {
        return missing;
    }
    let least = of(&targets.step[at - 1]);
    match before {
        None => missing.push(format!("before: the record of the step of {least} is needed")),
        Some(record) if !record.stage.is_live() => {
            let stage = record.stage.name();
            missing.push(format!("before: signed for the stage {stage}, which trades no money"));
        }
        Some(record) if record.capital() < least => {
            missing.push(format!("before: signed for {}, not for {least}", record.capital()));
        }
        // It cannot have shown more days than it has run.
        Some(record) if i64::from(shown.days) > today - record.since_day => {
            let ran = today - record.since_day;
            missing.push(format!("before: runs for {ran} days, not for {}", shown.days));
        }
        Some(_) => {}
    }
    missing
}

/// What a step asks of the one before, and is not shown.
fn shown_below(step: &Step, shown: &Shown) -> Vec<String> {
    let Step { capital_quote, days_min, sharpe_min, drawdown_frac_max, .. } = step;
    let mut missing = Vec::new();
    let mut need = |fine: bool, what: String| {
        if !fine {
            missing.push(format!("step of {capital_quote}: {what}"));
        }
    };
    let days = u64::from(shown.days);
    need(days >= *days_min, format!("days_min: {days} of {days_min}"));
    if let Some(least) = sharpe_min {
        need(shown.sharpe >= *least, format!("sharpe_min: {} of {least}", shown.sharpe));
    }
    if let Some(most) = drawdown_frac_max {
        let fell = f64::from(shown.drawdown_bps) / 1e4;
        need(fell <= *most, format!("drawdown_frac_max: {fell} of {most}"));
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;
    use peregrine::base::settings::StageName;

    const TODAY: i64 = 20_000;

    fn steps() -> Targets {
        Targets::parse(include_str!("../../../../config/signoff.toml")).unwrap()
    }

    fn shown(days: u32, sharpe: f64, drawdown_bps: u32) -> Shown {
        Shown { days, sharpe, drawdown_bps, round_trips: 100 }
    }

    fn before(capital: Option<i64>, ran: i64) -> Signoff {
        let capital = capital.map(Money::whole);
        let stage = StageName::LimitedLive;
        Signoff { stage, capital, since_day: TODAY - ran, ..Signoff::default() }
    }

    fn told(capital: i64, shown: &Shown, before: Option<&Signoff>) -> Vec<String> {
        objections(&steps(), Money::whole(capital), shown, before, TODAY)
    }

    #[test]
    fn a_step_is_refused_by_each_figure_of_the_one_before_that_is_one_short() {
        // As docs/phase5_signoff.md says it: capital, days, Sharpe ratio, fall.
        for (capital, of, days, sharpe, fall) in
            [(1_000, 500, 7, 1.5, 1_000), (2_000, 1_000, 14, 1.8, 1_500)]
        {
            let record = before(Some(of), 30);
            let told =
                |days, sharpe, fall| told(capital, &shown(days, sharpe, fall), Some(&record));
            assert_eq!(told(days, sharpe, fall), [""; 0], "{capital}");
            for (refused, key) in [
                (told(days - 1, sharpe, fall), "days_min"),
                (told(days, sharpe - 0.01, fall), "sharpe_min"),
                (told(days, sharpe, fall + 1), "drawdown_frac_max"),
            ] {
                assert!(refused.len() == 1 && refused[0].contains(key), "{refused:?}");
            }
        }
        assert_eq!(told(500, &shown(0, -3.0, 9_000), None), [""; 0], "the first asks nothing");
        assert_eq!(told(1_500, &shown(99, 9.0, 0), None).len(), 1, "between two steps");
    }

    #[test]
    fn a_step_needs_the_record_of_the_one_before_and_as_many_days_of_it_as_are_claimed() {
        let good = shown(14, 2.0, 100);
        let told = |record: Option<Signoff>| told(2_000, &good, record.as_ref());
        assert_eq!(told(Some(before(Some(1_000), 14))), [""; 0]);
        for (record, word) in [
            (None, "1000 is needed"),
            (Some(before(None, 14)), "signed for 500"),
            (Some(before(Some(999), 14)), "signed for 999"),
            (Some(before(Some(1_000), 13)), "13 days"),
            (Some(Signoff { stage: StageName::Shadow, ..before(Some(1_000), 14) }), "stage shadow"),
        ] {
            let refused = told(record);
            assert!(refused.len() == 1 && refused[0].contains(word), "{word}: {refused:?}");
        }
        // A record without a step is one for 500.
        let next = objections(&steps(), Money::whole(1_000), &good, Some(&before(None, 14)), TODAY);
        assert_eq!(next, [""; 0]);
    }
}
