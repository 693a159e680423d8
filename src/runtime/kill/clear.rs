//! Lifting a kill: by an operator of this machine, with no session running, once nothing is open at
//! the venue. The next session starts halted, reconciles, and has to be armed.

use super::latch::{Cleared, FILE, Latch};
use crate::base::Nanos;
use crate::base::settings::{OrderRoute, Settings};
use crate::execution::reconcile::{Question, Told};
use crate::runtime::clock::wall_now;
use crate::runtime::recover::newest_epoch;
use crate::runtime::state::StateFolder;
use crate::runtime::stopped;
use crate::venue::account::{AccountClient, Credentials};
use crate::venue::job::{RestJob, RestReply};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Lifts the kill of the state folder; `at_venue` says where to look for what is still open.
///
/// # Errors
/// Where a session runs, where nothing is killed, and where the venue is not empty or not known to
/// be.
pub fn clear(
    state: &Path,
    at_venue: Option<(&Settings, Option<Credentials>)>,
    actor: u32,
    reason: &str,
) -> Result<Cleared> {
    let folder = StateFolder::open(state)?;
    let latch = Latch::read(state);
    let at_ms = wall_now().to_millis();
    let newest = newest_epoch(&folder.journals())?;
    let note = Cleared { epoch: newest, actor, reason: reason.trim().to_owned(), at_ms };
    note.command().context("reason: 1 to 84 bytes are needed")?;
    let goes_to_venue =
        at_venue.as_ref().filter(|(settings, _)| settings.venue.orders == OrderRoute::Venue);
    match (goes_to_venue, &latch) {
        (Some((settings, Some(credentials))), _) => {
            // Whoever is banned and asks makes it longer.
            stopped::wait(&folder, Nanos::ZERO, &AtomicBool::new(false))?;
            look(settings, credentials)?;
        }
        (_, Some(latch)) if latch.finished => {}
        // On paper nothing outlives its process.
        (None, _) if at_venue.is_some() => {}
        _ => bail!(
            "not cleared: nobody has seen that nothing is open at the venue; give --config and \
             the account's key so that it can be looked at"
        ),
    }
    note.lift(state).with_context(|| state.join(FILE).display().to_string())?;
    Ok(note)
}

/// Refuses while an order that could open a position is there.
fn look(settings: &Settings, credentials: &Credentials) -> Result<()> {
    let account = AccountClient::new(&settings.venue.rest_url, credentials.clone(), wall_now);
    let ask = |question| match account.answer(&RestJob::Ask(question)).0 {
        Ok(RestReply::Told(told)) => Ok(told),
        Ok(_) => bail!("not cleared: what is open is not known"),
        Err(what) => bail!("not cleared: what is open is not known: {what}"),
    };
    for question in
        [Question::OpenOrders { symbol: None }, Question::OpenAlgoOrders { symbol: None }]
    {
        let Told::Orders(open) = ask(question)? else { bail!("not cleared: no list of orders") };
        let entries: Vec<String> = open
            .iter()
            .filter(|order| !order.is_algo || !order.reduce_only)
            .map(|order| format!("{} {}", order.symbol, order.name))
            .collect();
        if !entries.is_empty() {
            bail!(
                "not cleared: orders are still open: {}; `peregrine-killer --mode cancel-only` \
                 takes them away",
                entries.join(", ")
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::config;

    fn settings(text: &str) -> Settings {
        config::with_shipped_limits(text).settings
    }

    #[test]
    fn a_kill_that_nobody_saw_finished_is_not_cleared_blindly() {
        let dir = tempfile::tempdir().unwrap();
        Latch::default().write(dir.path()).unwrap();
        let blind = clear(dir.path(), None, 1, "looked").unwrap_err().to_string();
        assert!(blind.contains("nobody has seen"), "{blind}");
        let venue = settings(include_str!("../../../config/testnet.toml"));
        let keyless = clear(dir.path(), Some((&venue, None)), 1, "looked").unwrap_err();
        assert!(keyless.to_string().contains("nobody has seen"), "{keyless}");
        assert!(Latch::read(dir.path()).is_some(), "it stays");
        Latch { finished: true, ..Latch::default() }.write(dir.path()).unwrap();
        let reasonless = clear(dir.path(), None, 1, " ").unwrap_err().to_string();
        assert!(reasonless.contains("reason"), "{reasonless}");
        clear(dir.path(), None, 1, "looked").unwrap();
        assert_eq!(Latch::read(dir.path()), None);
        assert_eq!(Cleared::read(dir.path()).unwrap().reason, "looked");
    }

    #[test]
    fn on_paper_nothing_has_to_be_looked_at_and_no_session_may_run() {
        let dir = tempfile::tempdir().unwrap();
        Latch::default().write(dir.path()).unwrap();
        let paper = settings(include_str!("../../../config/paper.toml"));
        let held = StateFolder::open(dir.path()).unwrap();
        let refused = clear(dir.path(), Some((&paper, None)), 1, "looked").unwrap_err();
        assert!(refused.to_string().contains("in use by another"), "{refused}");
        drop(held);
        clear(dir.path(), Some((&paper, None)), 1, "looked").unwrap();
        assert_eq!(Latch::read(dir.path()), None);
    }
}
