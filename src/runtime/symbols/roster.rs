//! Who is awake, leaving or asleep, as the feed's thread knows it before everybody else.

use super::SymbolOrder;
use crate::base::event::{Event, SymbolChange};
use crate::base::{InstrumentId, Seq, SymbolState};
use crate::runtime::lines::Route;
use crossbeam::channel::Receiver;

/// What an operator wants of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// To be traded.
    Add,
    /// Not to be traded.
    Drop {
        /// And its position to be left at once.
        flat: bool,
    },
}

/// Whether what is wanted may follow, of a symbol in this state whose position is left at once or
/// not, with so many awake in all.
///
/// # Errors
/// In words, why not.
pub fn may_follow(
    (state, flat): (SymbolState, bool),
    wanted: Wanted,
    awake: usize,
) -> Result<(), &'static str> {
    match (state, wanted) {
        (SymbolState::Awake, Wanted::Add) => Err("it is traded already"),
        (SymbolState::Asleep, Wanted::Drop { .. }) => Err("it is not traded: it is asleep"),
        (SymbolState::Leaving, Wanted::Drop { flat: more }) if flat || !more => {
            Err("it is being left already")
        }
        (SymbolState::Awake, Wanted::Drop { .. }) if awake <= 1 => {
            Err("it is the last one that is traded; pause the session, or end it")
        }
        _ => Ok(()),
    }
}

/// Of one instrument.
#[derive(Clone, Copy, Debug)]
struct Standing {
    change: SymbolChange,
    /// Place in the river of the change; 0 before the first.
    since: Seq,
}

impl Standing {
    fn state(&self) -> SymbolState {
        SymbolState::from_u8(self.change.state).unwrap_or_default()
    }
}

/// One connection.
struct Carrier {
    route: Route,
    /// What is brought; `None` where nobody on it is awake.
    url: Option<String>,
    /// The river was told that it is up, or not yet anything.
    is_up: bool,
}

/// See the head of this file.
pub struct Roster {
    standing: Vec<Standing>,
    carriers: Vec<Carrier>,
    pub(super) orders: Receiver<SymbolOrder>,
}

impl Roster {
    /// Of so many instruments, all awake, whose streams come by these connections.
    pub fn new(instruments: usize, routes: &[Route], orders: Receiver<SymbolOrder>) -> Self {
        let standing = Standing { change: SymbolChange::default(), since: 0 };
        let carrier = |route: &Route| Carrier {
            route: route.clone(),
            url: Some(route.url.clone()),
            is_up: true,
        };
        Self {
            standing: vec![standing; instruments],
            carriers: routes.iter().map(carrier).collect(),
            orders,
        }
    }

    /// True for an instrument that is asleep.
    pub fn is_asleep(&self, instrument: InstrumentId) -> bool {
        let standing = self.standing.get(instrument.index());
        standing.is_some_and(|standing| standing.state() == SymbolState::Asleep)
    }

    /// Whether the river is told that a connection, by its place, came up or was lost: where nobody
    /// on it is awake it was left.
    pub fn awaits_edge(&mut self, place: usize, up: bool) -> bool {
        let Some(carrier) = self.carriers.get_mut(place) else { return true };
        let is_told = up || carrier.url.is_some();
        if is_told {
            carrier.is_up = up;
        }
        is_told
    }

    /// Whether an order may be obeyed now.
    pub(super) fn permits(&self, order: &SymbolOrder) -> Result<(), &'static str> {
        let standing = self.standing.get(order.instrument.index()).ok_or("it has no place")?;
        let wanted = match SymbolState::from_u8(order.change.state) {
            Some(SymbolState::Awake) => Wanted::Add,
            Some(SymbolState::Leaving) => Wanted::Drop { flat: order.change.flat != 0 },
            Some(SymbolState::Asleep) | None => return Err("nobody can ask for that"),
        };
        let awake = |standing: &&Standing| standing.state() == SymbolState::Awake;
        let awake = self.standing.iter().filter(awake).count();
        may_follow((standing.state(), standing.change.flat != 0), wanted, awake)
    }

    /// Takes in a change that the river has at this place.
    pub(super) fn note(&mut self, event: &Event, since: Seq) {
        if let Some(standing) = self.standing.get_mut(event.instrument().index()) {
            *standing = Standing { change: *event.body(), since };
        }
    }

    /// The first instrument being left of which `rests` says that nothing is left since its drop,
    /// and the change that puts it to sleep, by whoever dropped it.
    pub(super) fn next_asleep(
        &self,
        rests: impl Fn(InstrumentId) -> Seq,
    ) -> Option<(InstrumentId, SymbolChange)> {
        let instruments = (0..).map(InstrumentId).zip(&self.standing);
        let mut leaving = instruments.filter(|(_, one)| one.state() == SymbolState::Leaving);
        let (instrument, standing) =
            leaving.find(|(id, one)| one.since > 0 && rests(*id) == one.since)?;
        let state = SymbolState::Asleep as u8;
        Some((instrument, SymbolChange { state, flat: 0, ..standing.change }))
    }

    /// True while an instrument is being left.
    pub(super) fn is_any_leaving(&self) -> bool {
        self.standing.iter().any(|standing| standing.state() == SymbolState::Leaving)
    }

    /// The next connection that is to bring other streams than it does: its place, their URL, and
    /// whether it was down when it was left. It counts as bringing them from here on.
    pub(super) fn next_carry(&mut self) -> Option<(usize, Option<String>, bool)> {
        let Self { standing, carriers, .. } = self;
        let awake = |id: InstrumentId| {
            let standing = standing.get(id.index());
            standing.is_some_and(|standing| standing.state() != SymbolState::Asleep)
        };
        for (place, carrier) in carriers.iter_mut().enumerate() {
            let url = carrier.route.url_of(&awake);
            if url != carrier.url {
                carrier.url.clone_from(&url);
                let was_lost = url.is_none() && !std::mem::replace(&mut carrier.is_up, true);
                return Some((place, url, was_lost));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use SymbolState::{Asleep, Awake, Leaving};

    #[test]
    fn what_may_follow_is_what_changes_something_and_leaves_one_awake() {
        let (gently, at_once) = (Wanted::Drop { flat: false }, Wanted::Drop { flat: true });
        let cases = [
            ((Awake, false), Wanted::Add, 2, false),
            ((Leaving, false), Wanted::Add, 1, true),
            ((Leaving, true), Wanted::Add, 1, true),
            ((Asleep, false), Wanted::Add, 1, true),
            ((Awake, false), gently, 2, true),
            ((Awake, false), at_once, 2, true),
            ((Awake, false), gently, 1, false),
            ((Awake, false), at_once, 1, false),
            ((Leaving, false), gently, 1, false),
            ((Leaving, false), at_once, 1, true),
            ((Leaving, true), gently, 1, false),
            ((Leaving, true), at_once, 1, false),
            ((Asleep, false), gently, 1, false),
            ((Asleep, false), at_once, 1, false),
        ];
        for (from, wanted, awake, lawful) in cases {
            let said = may_follow(from, wanted, awake);
            assert_eq!(said.is_ok(), lawful, "{from:?} {wanted:?} {awake}: {said:?}");
        }
    }
}
