//! Which stage on the way to live trading is lawful, and how much of the limits it has: judged from
//! the sign-off record, by rules that read no file and no clock.
//!
//! | stage | needs |
//! |---|---|
//! | paper, shadow | nothing: no money is at stake |
//! | limited_live | a record for it, of this program, configuration, model; enough of the last |
//! | full | the same, for full, with what limited_live showed |
//!
//! Neither trades more capital than its record was signed for.
//!
//! RC-37: what is new has a part of its limits only, until it has run for some days.

use super::limits::stage_percent;
use crate::base::Money;
use crate::base::settings::section::Section;
use crate::base::settings::{
    LIMITED_CAPITAL_MAX, Mode, RiskSettings, SettingsError, StageName, StageSettings,
    parse_document,
};

/// SHA-256 of the three things that decide: hexadecimal, 64 digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Artefacts {
    /// The program's file.
    pub program: String,
    /// The configuration's text as it is used.
    pub config: String,
    /// The model's ONNX file.
    pub model: String,
}

/// A sign-off record: who stands for which stage of what, and what the stage before showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signoff {
    /// The stage that was signed for.
    pub stage: StageName,
    /// Names of those who signed.
    pub signed_by: Vec<String>,
    /// Why, in their words.
    pub reason: String,
    /// UTC day, counted from the epoch, since which these artefacts run.
    pub since_day: i64,
    /// What was signed for.
    pub artefacts: Artefacts,
    /// Days the stage before ran.
    pub days: u32,
    /// Round trips it made.
    pub round_trips: u32,
    /// Sharpe ratio it reached.
    pub sharpe: f64,
    /// Largest drawdown it had, in basis points.
    pub drawdown_bps: u32,
    /// The step of capital that was signed for, in quote currency; see [`Self::capital`].
    pub capital: Option<Money>,
}

/// What [`judge`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The highest stage that is lawful.
    pub lawful: StageName,
    /// Share of the limits that applies, in percent.
    pub limits_percent: u32,
    /// Why nothing beyond it is; empty where the configured stage is lawful.
    pub missing: Vec<String>,
}

impl Signoff {
    /// Most capital that was signed for. A record without a step is for the first.
    pub fn capital(&self) -> Money {
        self.capital.unwrap_or(LIMITED_CAPITAL_MAX)
    }

    /// Reads a record: TOML, one table `[signoff]`.
    ///
    /// # Errors
    /// Every unknown, missing or malformed key.
    pub fn parse(text: &str) -> Result<Self, Vec<SettingsError>> {
        let document = parse_document(text).map_err(|error| vec![error])?;
        let mut errors = Vec::new();
        let mut top = Section::new("", document, &mut errors);
        let (path, table) = top.table("signoff");
        top.finish();
        let mut s = Section::new(&path, table, &mut errors);
        let names = StageName::ALL.map(|stage| (stage.name(), stage));
        let record = Self {
            stage: s.choice("stage", &names, StageName::Paper),
            signed_by: s.texts("signed_by"),
            reason: s.text_opt("reason").unwrap_or_default(),
            since_day: s.integer("since_day", 0..=1_000_000),
            artefacts: Artefacts {
                program: s.text("program_sha256"),
                config: s.text("config_sha256"),
                model: s.text("model_sha256"),
            },
            days: s.u32("days", 0..=100_000),
            round_trips: s.u32("round_trips", 0..=u32::MAX),
            sharpe: s.number("sharpe", -1_000.0..=1_000.0),
            drawdown_bps: s.u32("drawdown_bps", 0..=10_000),
            capital: s.money_opt("capital"),
        };
        s.finish();
        if errors.is_empty() { Ok(record) } else { Err(errors) }
    }

    /// The record as a file that [`Self::parse`] reads.
    pub fn to_toml(&self) -> String {
        let Self { since_day, days, round_trips, sharpe, drawdown_bps, .. } = self;
        let text = |text: &str| toml::Value::String(text.to_owned());
        let names = self.signed_by.iter().map(|name| text(name)).collect();
        let lines: [(&str, toml::Value); 11] = [
            ("stage", text(self.stage.name())),
            ("signed_by", toml::Value::Array(names)),
            ("reason", text(&self.reason)),
            ("since_day", (*since_day).into()),
            ("program_sha256", text(&self.artefacts.program)),
            ("config_sha256", text(&self.artefacts.config)),
            ("model_sha256", text(&self.artefacts.model)),
            ("days", i64::from(*days).into()),
            ("round_trips", i64::from(*round_trips).into()),
            ("sharpe", (*sharpe).into()),
            ("drawdown_bps", i64::from(*drawdown_bps).into()),
        ];
        let lines = lines.map(|(key, value)| format!("{key} = {value}\n"));
        let capital = self.capital.map(|capital| format!("capital = \"{capital}\"\n"));
        format!("[signoff]\n{}{}", lines.concat(), capital.unwrap_or_default())
    }
}

/// Judges the configured stage on `today` (UTC day, counted from the epoch). In live mode a stage
/// without money is missing one with it.
pub fn judge(
    mode: Mode,
    risk: &RiskSettings,
    record: Option<&Signoff>,
    running: &Artefacts,
    today: i64,
) -> Judgement {
    let settings = &risk.stage;
    let own = stage_percent(settings);
    let limits_percent = match record {
        Some(record) if !is_new(settings, record, running, today) => own,
        Some(_) => own.min(settings.new_percent.unwrap_or(1)),
        None => own,
    };
    let mut missing = Vec::new();
    if settings.name.is_live() {
        missing = missing_for(settings, record, running);
        missing.extend(record.and_then(|record| beyond_signed(risk, record)));
    } else if mode == Mode::Live {
        missing.push("stage.name: mode = \"live\" needs \"limited_live\" or \"full\"".to_owned());
    }
    let lawful =
        if missing.is_empty() { settings.name } else { settings.name.min(StageName::Shadow) };
    Judgement { lawful, limits_percent, missing }
}

/// RC-37: other artefacts than signed for, or not yet run for long enough. Unset is new for ever.
fn is_new(settings: &StageSettings, record: &Signoff, running: &Artefacts, today: i64) -> bool {
    let ran = today - record.since_day;
    record.artefacts != *running || settings.new_days.is_none_or(|days| ran < i64::from(days))
}

/// Why the configured capital is more than was signed for; `None` where it is not.
fn beyond_signed(risk: &RiskSettings, record: &Signoff) -> Option<String> {
    let signed = record.capital();
    match risk.capital() {
        Some(capital) if capital <= signed => None,
        Some(capital) => Some(format!(
            "capital: {capital} by risk.capital_max and stage.capital_max, signed for {signed}"
        )),
        None => Some(format!("capital: risk.capital_max is unset, signed for {signed}")),
    }
}

fn missing_for(
    settings: &StageSettings,
    record: Option<&Signoff>,
    running: &Artefacts,
) -> Vec<String> {
    let mut missing = Vec::new();
    if settings.signoff_file.is_empty() {
        missing.push("stage.signoff_file: unset".to_owned());
    }
    let Some(record) = record else {
        missing.push("no sign-off record".to_owned());
        return missing;
    };
    let mut need = |fine: bool, what: String| {
        if !fine {
            missing.push(what);
        }
    };
    let (stage, signed) = (settings.name.name(), record.stage.name());
    need(record.stage == settings.name, format!("signed for {signed}, not for {stage}"));
    need(!record.signed_by.is_empty(), "signed by nobody".to_owned());
    for (name, signed, runs) in [
        ("program", &record.artefacts.program, &running.program),
        ("config", &record.artefacts.config, &running.config),
        ("model", &record.artefacts.model, &running.model),
    ] {
        let same = signed == runs && signed.len() == 64;
        need(same, format!("{name}_sha256: signed {signed}, running {runs}"));
    }
    need(
        settings.days_min.is_some_and(|least| record.days >= least),
        format!("stage.days_min: {} of {}", record.days, told(settings.days_min)),
    );
    need(
        settings.round_trips_min.is_some_and(|least| record.round_trips >= least),
        format!(
            "stage.round_trips_min: {} of {}",
            record.round_trips,
            told(settings.round_trips_min)
        ),
    );
    need(
        settings.sharpe_min.is_some_and(|least| record.sharpe >= least),
        format!("stage.sharpe_min: {} of {}", record.sharpe, told(settings.sharpe_min)),
    );
    need(
        settings.drawdown_bps_max.is_some_and(|most| record.drawdown_bps <= most),
        format!(
            "stage.drawdown_bps_max: {} of {}",
            record.drawdown_bps,
            told(settings.drawdown_bps_max)
        ),
    );
    need(settings.new_percent.is_some(), "stage.new_percent: unset".to_owned());
    need(settings.new_days.is_some(), "stage.new_days: unset".to_owned());
    missing
}

fn told<T: std::fmt::Display>(limit: Option<T>) -> String {
    limit.map_or("unset".to_owned(), |limit| limit.to_string())
}
