//! Which stage is lawful: every criterion decides, and nothing has a default.

use super::every_limit::settings_with;
use super::*;
use crate::base::settings::{SettingsError, StageName};
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

const LAWFUL: [(&str, &str); 8] = [
    ("stage.name", "'limited_live'"),
    ("stage.signoff_file", "'signoff.toml'"),
    ("stage.new_percent", "10"),
    ("stage.new_days", "3"),
    ("stage.days_min", "8"),
    ("stage.round_trips_min", "100"),
    ("stage.sharpe_min", "1.8"),
    ("stage.drawdown_bps_max", "2000"),
];

fn stage_with(changes: &[(&str, &str)]) -> crate::base::settings::StageSettings {
    settings_with(&[&LAWFUL, changes].concat()).stage
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
    let unset = judge(
        Mode::Live,
        &StageSettings { name: StageName::LimitedLive, ..StageSettings::default() },
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
    let unset = StageSettings { new_percent: None, ..stage_with(&[]) };
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
    for record in [signed(), odd] {
        assert_eq!(Signoff::parse(&record.to_toml()), Ok(record));
    }
    let ranges: [(&str, &[&str], &[&str]); 5] = [
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
