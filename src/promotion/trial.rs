//! One champion against one challenger, taken in line by line. Memory does not grow with time.

use super::assign::Arm;
use super::blocks::SwitchBack;
use super::figures::Figures;
use super::observed::{Observed, Shown};
use super::record::{Decided, FeatureDrift, Outcome, Told};
use super::rollback::Health;
use super::scores::{Calibration, Paired, Probabilities, Score};
use super::sequential::Evidence;
use super::settings::{ALPHA, PromotionSettings};
use super::watch::RiseWatch;
use crate::registry::Stage;
use crate::registry::verdict::Contender;

const DAY_NS: f64 = 86_400e9;

/// What one side has come to.
#[derive(Clone, Debug)]
struct Side {
    who: Contender,
    figures: Figures,
    loss: f64,
    calibration: Calibration,
    account: Account,
}

/// An account over sessions: each begins one with equity of its own, and what counts is what that
/// made of it.
#[derive(Clone, Copy, Debug)]
struct Account {
    session_ns: i64,
    /// By what the session's own equity is multiplied.
    factor: f64,
    /// Equity at the decision before.
    equity: f64,
}

impl Account {
    /// The equity that a line tells, as that of one account.
    fn equity(&mut self, session_ns: i64, told: f64) -> f64 {
        if self.session_ns != session_ns {
            (self.session_ns, self.factor) = (session_ns, self.equity / told);
        }
        told * self.factor
    }

    /// What was earned since the decision before, as a fraction of the equity then.
    fn earned(&mut self, equity: f64) -> f64 {
        let before = std::mem::replace(&mut self.equity, equity);
        equity / before - 1.0
    }
}

/// A trial of one pair in one stage.
#[derive(Clone, Debug)]
pub struct Trial {
    score: Score,
    stage: Stage,
    blocks_tuned: f64,
    champion: Side,
    challenger: Side,
    better: Evidence,
    worse: Evidence,
    blocks: SwitchBack,
    decisions: u64,
    scored: u64,
    differing: u64,
    mismatches: u64,
    guardrails: u64,
    drift: Option<FeatureDrift>,
    loss_watch: RiseWatch,
    calibration_watch: RiseWatch,
    calibration_breaks: u64,
    first_ns: i64,
    last_ns: i64,
    rise_ns: Option<i64>,
}

impl Trial {
    /// The trial that a first decision begins; push that decision next.
    pub fn new(settings: &PromotionSettings, first: &Decided) -> Self {
        let side = |told: &Told| Side {
            who: contender(told),
            figures: Figures::new(settings.sharpe_24h_min),
            loss: 0.0,
            calibration: Calibration::default(),
            account: Account { session_ns: first.session_ns, factor: 1.0, equity: told.equity },
        };
        let watch = RiseWatch::new(settings.reach_ns, &settings.drift);
        Self {
            score: settings.score,
            stage: first.stage,
            blocks_tuned: settings.blocks_tuned,
            champion: side(&first.champion),
            challenger: side(&first.challenger),
            better: Evidence::new(settings.design),
            worse: Evidence::new(settings.design),
            blocks: SwitchBack::default(),
            decisions: 0,
            scored: 0,
            differing: 0,
            mismatches: 0,
            guardrails: 0,
            drift: None,
            loss_watch: watch.clone(),
            calibration_watch: watch,
            calibration_breaks: 0,
            first_ns: first.ts_event_ns,
            last_ns: first.ts_event_ns,
            rise_ns: None,
        }
    }

    /// Whether a decision is of this pair in this stage: the same files, not the same names alone.
    pub fn is_of(&self, decided: &Decided) -> bool {
        let same =
            |side: &Side, told: &Told| side.who.is(&told.version, &told.sha256, &told.card_sha256);
        self.stage == decided.stage
            && same(&self.champion, &decided.champion)
            && same(&self.challenger, &decided.challenger)
    }

    /// Takes a decision in, in the order of time, before its outcome is known.
    pub fn decided(&mut self, decided: &Decided) {
        let ts_ns = decided.ts_event_ns;
        self.last_ns = self.last_ns.max(ts_ns);
        let earned = [
            self.champion.told(decided, &decided.champion),
            self.challenger.told(decided, &decided.challenger),
        ];
        let both = decided.champion.proba.is_some() && decided.challenger.proba.is_some();
        self.decisions += u64::from(both);
        self.differing += u64::from(decided.champion.signal != decided.challenger.signal);
        self.mismatches += u64::from(!decided.features_match);
        self.guardrails += u64::from(decided.guardrail.is_some());
        self.drift = decided.drift.or(self.drift);
        if let Some(assigned) = decided.assigned {
            let [champion, challenger] = earned;
            let net = match assigned.arm {
                Arm::Champion => champion,
                Arm::Canary => challenger,
            };
            self.blocks.push(assigned, net);
        }
    }

    /// Takes in what came of a decision, in the order of the decisions.
    pub fn came(&mut self, decided: &Decided, outcome: Outcome) {
        let (Some(old), Some(new)) = (decided.champion.proba, decided.challenger.proba) else {
            return;
        };
        let (ts_ns, class) = (decided.ts_event_ns, usize::from(outcome.class));
        let paired = self.score.pair(&old, &new, class);
        self.better.push(ts_ns, paired);
        self.worse.push(ts_ns, Paired::reversed(paired));
        self.scored += 1;
        self.champion.scored(self.score, &old, class);
        self.challenger.scored(self.score, &new, class);
        let loss = self.score.loss(&new, class) / self.score.span();
        if self.loss_watch.push(ts_ns, loss) {
            self.rise_ns = Some(ts_ns);
        }
        let broken = self.calibration_watch.push(ts_ns, overconfidence(&old, class));
        self.calibration_breaks += u64::from(broken);
    }

    /// The pair: champion and challenger.
    pub fn pair(&self) -> (&Contender, &Contender) {
        (&self.champion.who, &self.challenger.who)
    }

    /// The stage that is watched.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Days from the first decision to the last.
    pub fn days(&self) -> f64 {
        (self.last_ns - self.first_ns) as f64 / DAY_NS
    }

    /// Everything the rules ask for, beside `challengers` compared at the same time.
    pub fn observed(&self, challengers: u32) -> Observed {
        let days = self.days();
        let since = self.rise_ns.map_or(days, |rise| (self.last_ns - rise) as f64 / DAY_NS);
        let (champion_blocks, canary_blocks) = self.blocks.counts();
        Observed {
            days,
            predictions: self.scored,
            unscored: self.decisions.saturating_sub(self.scored),
            late: self.better.late(),
            label_blocks: self.loss_watch.spans(),
            differing: self.differing,
            champion: self.champion.shown(self.scored),
            challenger: self.challenger.shown(self.scored),
            evidence: self.better.strength(),
            evidence_against: self.worse.strength(),
            challengers,
            mean_gain: self.better.mean(),
            mean_gain_low: self.better.lower_bound(),
            mean_gain_high: self.worse.lower_bound().map(|low| -low),
            ece: self.challenger.calibration.error(),
            psi: self.drift.map(|drift| drift.psi_max),
            features_drifted: self.drift.map(|drift| drift.drifted_frac),
            days_since_rise: since,
            mismatches: self.mismatches,
            canary_blocks,
            champion_blocks,
            net_lower_bound: self.blocks.lower_bound(ALPHA, self.blocks_tuned),
            guardrail_trips: (self.stage == Stage::Canary).then_some(self.guardrails),
        }
    }

    /// What is known here of the champion's health; loading and hashes are the caller's. While a
    /// former champion is on trial as challenger, its evidence is that of the one before.
    pub fn champion_health(&self) -> Health {
        let health = Health {
            psi: None,
            calibration_breaks: self.calibration_breaks,
            feature_mismatches: self.mismatches,
            evidence_of_previous: self.better.strength(),
            ..Health::default()
        };
        health.with_figures(&self.champion.figures)
    }
}

impl Side {
    /// Takes in what this side said and had; what it earned since the decision before.
    fn told(&mut self, decided: &Decided, told: &Told) -> f64 {
        let equity = self.account.equity(decided.session_ns, told.equity);
        self.figures.push(decided.ts_event_ns, told, equity);
        self.account.earned(equity)
    }

    fn scored(&mut self, score: Score, told: &Probabilities, class: usize) {
        self.loss += score.loss(told, class);
        self.calibration.push(told, class);
    }

    fn shown(&self, scored: u64) -> Shown {
        let figures = &self.figures;
        Shown {
            score: (scored > 0).then(|| self.loss / scored as f64),
            sharpe: figures.account().sharpe(),
            sharpe_24h: figures.account().sharpe_recent(),
            drawdown_max: (figures.decisions() > 0).then(|| figures.account().drawdown_max()),
            trades: figures.account().trades(),
            losses_in_a_row: figures.account().losses_in_a_row(),
            latency_p99_ns: figures.latency_p99_ns().map(|ns| ns as f64),
            slippage_apart: figures.slippage_apart(),
        }
    }
}

/// By how much a prediction was surer than right, moved to 0 to 1.
fn overconfidence(told: &Probabilities, class: usize) -> f64 {
    let best = told.iter().copied().fold(0.0, f64::max);
    let right = if told[class] >= best { 1.0 } else { 0.0 };
    (best - right + 1.0) / 2.0
}

/// A version of the log by what it is.
fn contender(told: &Told) -> Contender {
    let Told { version, sha256, card_sha256, .. } = told.clone();
    Contender { version, sha256, card_sha256 }
}
