//! Which stage is lawful: every criterion decides, and nothing has a default.

use super::every_limit::settings_with;
use super::*;
use crate::base::settings::{SettingsError, StageName};
use crate::risk::limits::Limits;
use crate::risk::stage::{Artefacts, Signoff, judge};

/// Keys that no order meets: they decide which stage is lawful, see [`STAGES`].
pub(super) const STAGE_KEYS: [&str; 14] = [
    "stage.new_percent",
    "stage.new_days",
    "stage.signoff_file",
    "stage.days_min",
    "stage.round_trips_min",
    "stage.sharpe_min",
    "stage.drawdown_bps_max",
    "stage.decision_file",
    "stage.decision_days_max",
    "stage.trusted_keys",
    "stage.verdict_days_max",
    "stage.verdict_keys",
    "stage.risk_keys",
    "stage.mlops_keys",
];

fn running() -> Artefacts {
    let of = |digit: &str| digit.repeat(64);
    Artefacts { program: of("a"), config: of("b"), model: of("c") }
}

fn signed() -> Signoff {
    Signoff {
        stage: StageName::LimitedLive,
        signed_by: vec!["A. Person".to_owned()],
        reason: "eight days on paper".to_owned(),
        since_day: 100,
        artefacts: running(),
        days: 8,
        round_trips: 100,
        sharpe: 1.8,
        drawdown_bps: 2_000,
        capital: None,
    }
}

/// The keys that decide which stage is lawful: key, a value inside, the nearest outside.
const STAGES: [(&str, &str, &str); 6] = [
    ("stage.signoff_file", "'signoff.toml'", "''"),
    ("stage.days_min", "8", "9"),
    ("stage.round_trips_min", "100", "101"),
    ("stage.sharpe_min", "1.8", "1.81"),
    ("stage.drawdown_bps_max", "2000", "1999"),
    ("stage.name", "'limited_live'", "'full'"),
];

const LAWFUL: [(&str, &str); 9] = [
    ("risk.capital_max", "'500'"),
    ("stage.name", "'limited_live'"),
    ("stage.signoff_file", "'signoff.toml'"),
    ("stage.new_percent", "10"),
    ("stage.new_days", "3"),
    ("stage.days_min", "8"),
    ("stage.round_trips_min", "100"),
    ("stage.sharpe_min", "1.8"),
    ("stage.drawdown_bps_max", "2000"),
];

fn stage_with(changes: &[(&str, &str)]) -> crate::base::settings::RiskSettings {
    settings_with(&[&LAWFUL, changes].concat())
}

#[test]
fn every_criterion_of_a_stage_decides_and_says_what_is_missing() {
    for (key, inside, outside) in STAGES {
        let lawful =
            judge(Mode::Live, &stage_with(&[(key, inside)]), Some(&signed()), &running(), 200);
        assert_eq!((lawful.lawful, &*lawful.missing), (StageName::LimitedLive, &[][..]));
        let refused =
            judge(Mode::Live, &stage_with(&[(key, outside)]), Some(&signed()), &running(), 200);
        assert_eq!(refused.lawful, StageName::Shadow, "{key}");
        assert_eq!(refused.missing.len(), 1, "{key}: {:?}", refused.missing);
    }
    let paper = judge(Mode::Live, &stage_with(&[("stage.name", "'paper'")]), None, &running(), 200);
    assert_eq!((paper.lawful, paper.missing.len()), (StageName::Paper, 1), "no money, not live");
    let nobody = judge(Mode::Live, &stage_with(&[]), None, &running(), 200);
    assert_eq!((nobody.lawful, nobody.missing.len()), (StageName::Shadow, 1));
    let unsigned = Signoff { signed_by: Vec::new(), ..signed() };
    assert_eq!(
        judge(Mode::Live, &stage_with(&[]), Some(&unsigned), &running(), 200).missing.len(),
        1
    );
    let stage = StageSettings { name: StageName::LimitedLive, ..StageSettings::default() };
    let unset = judge(
        Mode::Live,
        &RiskSettings { stage, ..stage_with(&[]) },
        Some(&signed()),
        &running(),
        200,
    );
    assert_eq!(unset.missing.len(), 7, "nothing has a default: {:?}", unset.missing);
}

#[test]
fn rc_37_whatever_is_new_has_a_part_of_its_limits_for_some_days() {
    let percent = |changes: &[(&str, &str)], running: &Artefacts, today| {
        judge(Mode::Live, &stage_with(changes), Some(&signed()), running, today).limits_percent
    };
    assert_eq!(percent(&[], &running(), 102), 10);
    assert_eq!(percent(&[], &running(), 103), 100);
    assert_eq!(percent(&[("stage.new_days", "4")], &running(), 103), 10);
    assert_eq!(percent(&[("stage.new_percent", "11")], &running(), 102), 11);
    assert_eq!(percent(&[("stage.limits_percent", "7")], &running(), 102), 7);
    let mut unset = stage_with(&[]);
    unset.stage.new_percent = None;
    let least = judge(Mode::Live, &unset, Some(&signed()), &running(), 102).limits_percent;
    assert_eq!(least, 1, "what nobody set is the least there is");
    for change in [
        (|a: &mut Artefacts| a.program = "d".repeat(64)) as fn(&mut Artefacts),
        |a| a.config = "d".repeat(64),
        |a| a.model = "d".repeat(64),
    ] {
        let mut other = running();
        change(&mut other);
        assert_eq!(percent(&[], &other, 900), 10);
        assert_eq!(
            judge(Mode::Live, &stage_with(&[]), Some(&signed()), &other, 900).missing.len(),
            1
        );
    }
}

/// What keeps a full stage with these bounds of capital from starting on a record for `capital`.
fn beyond(bounds: &[(&str, &str)], capital: Option<i64>) -> Vec<String> {
    let (stage, capital) = (StageName::Full, capital.map(Money::whole));
    let record = Signoff { stage, capital, ..signed() };
    let full = [&[("stage.name", "'full'")], bounds].concat();
    let judged = judge(Mode::Live, &stage_with(&full), Some(&record), &running(), 200);
    assert_eq!(judged.lawful == StageName::Full, judged.missing.is_empty());
    judged.missing
}

#[test]
fn no_more_capital_than_was_signed_for_is_lawful_and_a_record_without_a_step_is_for_500() {
    let (risk, stage) = ("risk.capital_max", "stage.capital_max");
    for (bounds, capital, lawful) in [
        (&[(risk, "'1000'")][..], Some(1_000), true),
        (&[(risk, "'1000.00000001'")], Some(1_000), false),
        (&[(risk, "'1000'")], Some(2_000), true),
        (&[(risk, "'500'")], None, true),
        (&[(risk, "'500.00000001'")], None, false),
        // The lower of the two is what trades.
        (&[(risk, "'5000'"), (stage, "'1000'")], Some(1_000), true),
        (&[(risk, "'1000'"), (stage, "'5000'")], Some(1_000), true),
        (&[(risk, "'5000'"), (stage, "'1001'")], Some(1_000), false),
    ] {
        let missing = beyond(bounds, capital);
        assert_eq!(missing.is_empty(), lawful, "{bounds:?} {capital:?}: {missing:?}");
    }
    assert_eq!(
        beyond(&[(risk, "'1001'")], Some(1_000)),
        ["capital: 1001 by risk.capital_max and stage.capital_max, signed for 1000"]
    );
    // The limited stage has 500 by itself, so a record for less than that alone refuses it.
    for (capital, missing) in [(None, 0), (Some(500), 0), (Some(499), 1)] {
        let record = Signoff { capital: capital.map(Money::whole), ..signed() };
        let limited = stage_with(&[(risk, "'5000'")]);
        let judged = judge(Mode::Live, &limited, Some(&record), &running(), 200);
        assert_eq!(judged.missing.len(), missing, "{capital:?}: {:?}", judged.missing);
    }
    let unset = RiskSettings { capital_max: None, ..stage_with(&[]) };
    let judged = judge(Mode::Live, &unset, Some(&signed()), &running(), 200);
    assert_eq!(judged.missing, ["capital: risk.capital_max is unset, signed for 500"]);
}

#[test]
fn the_capital_that_is_held_against_the_record_is_the_one_the_gate_has() {
    for (name, own, whole) in
        [("limited_live", "400", "5000"), ("limited_live", "500", "300"), ("full", "900", "800")]
    {
        let (name, own, whole) = (format!("'{name}'"), format!("'{own}'"), format!("'{whole}'"));
        let settings = stage_with(&[
            ("stage.name", &name),
            ("stage.capital_max", &own),
            ("risk.capital_max", &whole),
        ]);
        let of_gate = Limits::new(&settings).unwrap().capital;
        assert_eq!(settings.capital(), Some(of_gate), "{name} {own} {whole}");
    }
}

/// Reads the record of [`signed`] with other values, and with further keys.
fn read_with(changes: &[(&str, &str)]) -> Result<Signoff, Vec<SettingsError>> {
    let digest = |digit: &str| format!("'{}'", digit.repeat(64));
    let (program, config, model) = (digest("a"), digest("b"), digest("c"));
    let whole = [
        ("stage", "'limited_live'"),
        ("signed_by", "['A. Person']"),
        ("reason", "'eight days on paper'"),
        ("since_day", "100"),
        ("program_sha256", &program),
        ("config_sha256", &config),
        ("model_sha256", &model),
        ("days", "8"),
        ("round_trips", "100"),
        ("sharpe", "1.8"),
        ("drawdown_bps", "2000"),
    ];
    let kept = whole.iter().filter(|(key, _)| changes.iter().all(|(other, _)| other != key));
    let lines: Vec<String> =
        kept.chain(changes).map(|(key, value)| format!("{key} = {value}\n")).collect();
    Signoff::parse(&format!("[signoff]\n{}", lines.concat()))
}

fn wrong_keys(read: Result<Signoff, Vec<SettingsError>>) -> Vec<String> {
    read.err().into_iter().flatten().map(|error| error.key).collect()
}

#[test]
fn a_record_is_read_as_it_was_written_and_each_number_has_its_range() {
    assert_eq!(read_with(&[]), Ok(signed()));
    let odd = Signoff { signed_by: vec!["O'Hara \"x\"\n".to_owned()], sharpe: -0.1, ..signed() };
    let step = Signoff { capital: Some(Money::whole(2_000)), ..signed() };
    for record in [signed(), odd, step] {
        assert_eq!(Signoff::parse(&record.to_toml()), Ok(record));
    }
    let ranges: [(&str, &[&str], &[&str]); 6] = [
        ("capital", &["'0.00000001'", "'2000'"], &["'0'", "'-1'", "2000.5"]),
        ("since_day", &["0", "1000000"], &["-1", "1000001"]),
        ("days", &["0", "100000"], &["-1", "100001"]),
        ("round_trips", &["0", "4294967295"], &["-1", "4294967296"]),
        ("sharpe", &["-1000.0", "1000.0"], &["-1000.1", "1000.1"]),
        ("drawdown_bps", &["0", "10000"], &["-1", "10001"]),
    ];
    for (key, inside, outside) in ranges {
        for value in inside {
            assert_eq!(wrong_keys(read_with(&[(key, value)])), [""; 0], "{key} {value}");
        }
        for value in outside {
            let wrong = wrong_keys(read_with(&[(key, value)]));
            assert_eq!(wrong, [format!("signoff.{key}")], "{value}");
        }
    }
}

#[test]
fn a_record_with_a_key_that_nobody_reads_is_none() {
    assert_eq!(wrong_keys(read_with(&[("day", "8")])), ["signoff.day"]);
    assert_eq!(wrong_keys(read_with(&[("days", "8\n[other]")])), ["other"]);
}
