//! `[stage]`: how far the way to live trading has been gone, and what that caps.
//!
//! ```text
//!   paper ──► shadow ──► limited_live ──► full
//!   no money   no money   at most 500      as [risk] says
//! ```

use super::SettingsError;
use super::section::Section;
use crate::base::units::Money;
use toml::Table;

/// Most capital of a limited live stage, in quote currency.
pub const LIMITED_CAPITAL_MAX: Money = Money::whole(500);

/// A stage on the way to live trading, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageName {
    /// Simulated fills.
    #[default]
    Paper,
    /// Decides beside the market, sends nothing that costs.
    Shadow,
    /// Real money, at most [`LIMITED_CAPITAL_MAX`] of it.
    LimitedLive,
    /// Real money, as `[risk]` allows.
    Full,
}

impl StageName {
    /// Every stage, in order.
    pub const ALL: [StageName; 4] = [Self::Paper, Self::Shadow, Self::LimitedLive, Self::Full];

    /// As in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Shadow => "shadow",
            Self::LimitedLive => "limited_live",
            Self::Full => "full",
        }
    }

    /// True where real money is at stake.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::LimitedLive | Self::Full)
    }
}

/// The stage and what it asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageSettings {
    /// The stage this configuration is for.
    pub name: StageName,
    /// Most capital of the stage; unset leaves `risk.capital_max`, and [`LIMITED_CAPITAL_MAX`] in
    /// the limited stage.
    pub capital_max: Option<Money>,
    /// Share of every limit of size and of entries that applies, in percent; unset is all of it.
    pub limits_percent: Option<u32>,
    /// RC-37: that share while the model, the program or the configuration is new.
    pub new_percent: Option<u32>,
    /// RC-37: days it counts as new.
    pub new_days: Option<u32>,
    /// The sign-off record, relative to the working folder; live trading needs it.
    pub signoff_file: String,
    /// Days the stage before must have run.
    pub days_min: Option<u32>,
    /// Round trips it must have made.
    pub round_trips_min: Option<u32>,
    /// Sharpe ratio it must have reached.
    pub sharpe_min: Option<f64>,
    /// Largest drawdown it may have had, in basis points.
    pub drawdown_bps_max: Option<u32>,
    /// The gate's decision on the model, relative to the working folder; live trading needs it.
    pub decision_file: String,
    /// Days after which a decision no longer counts.
    pub decision_days_max: Option<u32>,
    /// Public Ed25519 keys, 64 hexadecimal digits each: who may sign decisions and sign-offs.
    pub trusted_keys: Vec<String>,
    /// Days after which a promotion verdict or an approval no longer counts.
    pub verdict_days_max: Option<u32>,
    /// The same: who may sign promotion verdicts.
    pub verdict_keys: Vec<String>,
    /// The same: who may approve a champion for risk.
    pub risk_keys: Vec<String>,
    /// The same: who may approve a champion for mlops; no key of [`Self::risk_keys`].
    pub mlops_keys: Vec<String>,
}

impl StageSettings {
    /// Most capital of the stage; `None` where it has no bound of its own.
    pub fn capital(&self) -> Option<Money> {
        if self.name == StageName::LimitedLive {
            return Some(self.capital_max.unwrap_or(LIMITED_CAPITAL_MAX).min(LIMITED_CAPITAL_MAX));
        }
        self.capital_max
    }

    pub(super) fn read(part: (String, Table), errors: &mut Vec<SettingsError>) -> Self {
        let mut s = Section::new(&part.0, part.1, errors);
        let settings = Self::keys(&mut s);
        let most = settings.capital_max.unwrap_or(Money::ZERO);
        if settings.name == StageName::LimitedLive && most > LIMITED_CAPITAL_MAX {
            s.fail("capital_max", format!("limited_live has at most {LIMITED_CAPITAL_MAX}"));
        }
        let lawful = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        for (name, keys) in [
            ("trusted_keys", &settings.trusted_keys),
            ("verdict_keys", &settings.verdict_keys),
            ("risk_keys", &settings.risk_keys),
            ("mlops_keys", &settings.mlops_keys),
        ] {
            for key in keys.iter().filter(|key| key.len() != 64 || !key.bytes().all(lawful)) {
                s.fail(name, format!("{key:?} is not 64 lower-case hex digits"));
            }
        }
        if let Some(key) = settings.mlops_keys.iter().find(|key| settings.risk_keys.contains(key)) {
            s.fail("mlops_keys", format!("{key} is in risk_keys too; it takes two people"));
        }
        s.finish();
        settings
    }

    pub(super) fn keys(s: &mut Section<'_>) -> Self {
        let names = StageName::ALL.map(|stage| (stage.name(), stage));
        let any = 1..=u32::MAX;
        Self {
            name: s.choice("name", &names, StageName::Paper),
            capital_max: s.money_opt("capital_max"),
            limits_percent: s.u32_opt("limits_percent", 1..=100),
            new_percent: s.u32_opt("new_percent", 1..=100),
            new_days: s.u32_opt("new_days", any.clone()),
            signoff_file: s.text_opt("signoff_file").unwrap_or_default(),
            days_min: s.u32_opt("days_min", any.clone()),
            round_trips_min: s.u32_opt("round_trips_min", any),
            sharpe_min: s.number_opt("sharpe_min", 0.0..=100.0),
            drawdown_bps_max: s.u32_opt("drawdown_bps_max", 1..=10_000),
            decision_file: s.text_opt("decision_file").unwrap_or_default(),
            decision_days_max: s.u32_opt("decision_days_max", 1..=3_650),
            trusted_keys: s.texts("trusted_keys"),
            verdict_days_max: s.u32_opt("verdict_days_max", 1..=3_650),
            verdict_keys: s.texts("verdict_keys"),
            risk_keys: s.texts("risk_keys"),
            mlops_keys: s.texts("mlops_keys"),
        }
    }
}
