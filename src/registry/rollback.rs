//! Back to a former champion, in one step that proves where it goes before it leaves.
//!
//! ```text
//! promote v1, v2, v3     reigns: v1 v2 v3      previous: v2
//! rollback               reigns: v1 v2         v3 quarantined, previous: v1
//! rollback               reigns: v1            v2 quarantined, previous: none
//! rollback               refused; rollback --to none: no model trades
//! ```
//! Nothing but a look happens without `execute`. The version that is left is quarantined: it is
//! chosen by nobody before somebody lifts that, with a reason.

use super::record::{Action, Document, Entry, Stage};
use super::{Change, Proving, Registry, RegistryError, entry, move_to};

/// Where a rollback goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// To the former champion before this one whose files are good and that is not quarantined.
    Previous,
    /// To this former champion.
    Version(&'a str),
    /// To no model at all.
    Nothing,
}

/// A rollback that was made, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The champion that is left; `None` where there is none.
    pub leaves: Option<String>,
    /// The champion to be; `None` with [`Target::Nothing`].
    pub to: Option<String>,
    /// The former champions that were passed over, and why.
    pub skipped: Vec<(String, String)>,
    /// What it runs on.
    pub executor: Option<&'static str>,
}

impl Registry {
    /// Goes back; without `execute` only tells what would happen. The files of the version are
    /// verified and its model is proved before anything is written.
    ///
    /// # Errors
    /// When there is nothing to go back to, or the version named may not be chosen or is not good.
    pub fn rollback(
        &mut self,
        target: Target<'_>,
        proving: Proving,
        change: Change,
        execute: bool,
    ) -> Result<Rollback, RegistryError> {
        change.check()?;
        let leaves = self.champion_version().map(str::to_owned);
        let mut plan = Rollback { leaves, to: None, skipped: Vec::new(), executor: None };
        match target {
            Target::Nothing if plan.leaves.is_none() => return Err(RegistryError::NoChampion),
            Target::Nothing => {}
            Target::Version(version) => self.aim(version, proving, &mut plan)?,
            Target::Previous => self.walk(proving, &mut plan)?,
        }
        if execute {
            let (leaves, to) = (plan.leaves.as_deref(), plan.to.as_deref());
            self.change(|_, document| {
                if document.champion.as_deref() != leaves {
                    return Err(RegistryError::Changed);
                }
                // Whoever quarantined it meanwhile had a reason.
                if let Some(version) = to {
                    check_choice(document, version)?;
                }
                move_back(document, (leaves, to), &change);
                Ok(())
            })?;
        }
        Ok(plan)
    }

    fn aim(
        &self,
        version: &str,
        proving: Proving,
        plan: &mut Rollback,
    ) -> Result<(), RegistryError> {
        self.show(version)?;
        check_choice(&self.document, version)?;
        plan.executor = Some(self.prove(version, proving)?.name());
        plan.to = Some(version.to_owned());
        Ok(())
    }

    /// Takes the first former champion that may be chosen and is good.
    fn walk(&self, proving: Proving, plan: &mut Rollback) -> Result<(), RegistryError> {
        for version in self.standing()?.former() {
            match self.aim(version, proving, plan) {
                Ok(()) => return Ok(()),
                Err(RegistryError::Refused { objections, .. }) => {
                    plan.skipped.push((version.to_owned(), objections.join(", ")));
                }
                Err(error) => plan.skipped.push((version.to_owned(), error.to_string())),
            }
        }
        Err(RegistryError::NoFormer { skipped: std::mem::take(&mut plan.skipped) })
    }

    /// Marks a version so that it is not chosen, by promotion or rollback, until it is released.
    /// The champion is left by a rollback, which marks it.
    ///
    /// # Errors
    /// When it is the champion, or marked already.
    pub fn quarantine(&mut self, version: &str, change: Change) -> Result<(), RegistryError> {
        change.check()?;
        self.show(version)?;
        self.change(|_, document| {
            let stage = document.models.get(version).map_or(Stage::Retired, |record| record.stage);
            if stage == Stage::Champion {
                return Err(refused(version, "quarantined", "it is the champion: roll back"));
            }
            if document.standing()?.quarantined.contains(version) {
                return Err(refused(version, "quarantined", "it is already"));
            }
            document.append(entry(Action::Quarantined, version, stage, &change));
            Ok(())
        })
    }

    /// Lifts a quarantine.
    ///
    /// # Errors
    /// When there is none.
    pub fn release(&mut self, version: &str, change: Change) -> Result<(), RegistryError> {
        change.check()?;
        self.show(version)?;
        self.change(|_, document| {
            if !document.standing()?.quarantined.contains(version) {
                return Err(refused(version, "released", "it is not quarantined"));
            }
            let stage = document.models.get(version).map_or(Stage::Retired, |record| record.stage);
            document.append(entry(Action::Released, version, stage, &change));
            Ok(())
        })
    }
}

/// A version may be gone back to when it was champion, is not now, and nothing forbids it.
fn check_choice(document: &Document, version: &str) -> Result<(), RegistryError> {
    let standing = document.standing()?;
    let objection = if standing.champion == Some(version) {
        Some("it is the champion now")
    } else if !standing.crowned.contains(version) {
        Some("it never was champion: promote it")
    } else if standing.stages.get(version) != Some(&Stage::Retired) {
        Some("it is on its way to be promoted again")
    } else {
        standing.forbids(version)
    };
    objection.map_or(Ok(()), |what| Err(refused(version, "champion again", what)))
}

fn refused(version: &str, to: &'static str, what: &str) -> RegistryError {
    RegistryError::Refused { version: version.to_owned(), to, objections: vec![what.to_owned()] }
}

fn move_back(document: &mut Document, (leaves, to): (Option<&str>, Option<&str>), change: &Change) {
    if let Some(left) = leaves {
        let retired = (Action::RolledBack, Stage::Retired);
        move_to(document, left, retired, (change, Vec::new()));
        let quarantined = entry(Action::Quarantined, left, Stage::Retired, change);
        let reason = format!("left by a rollback: {}", change.reason);
        document.append(Entry { reason, ..quarantined });
    }
    if let Some(version) = to {
        let again = (Action::RolledBack, Stage::Champion);
        move_to(document, version, again, (change, Vec::new()));
    }
}
