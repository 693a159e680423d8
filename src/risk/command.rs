//! Commands: one form for whoever gives one, with who, how and why. Whoever may only tighten cannot
//! loosen, however the command came to be.
//!
//! | origin | may give |
//! |---|---|
//! | the admin socket | everything |
//! | the session itself | pause; arm, where paper trading arms itself |
//! | signal, HTTP, Telegram | pause, kill |
//! | latch file, breaker, dead man | kill |

use super::state::Verb;
use crate::base::event::{ACTOR_UNATTENDED, COMMAND_REASON_BYTES, Command};

/// The actor of a command without a person behind it.
pub const ACTOR_SYSTEM: u32 = u32::MAX;

/// How a command came in; the number is that of [`Command::origin`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Origin {
    /// Over the admin socket; the actor is a user id.
    Operator = 0,
    /// From the session itself.
    Session = 1,
    /// SIGUSR1.
    Signal = 2,
    /// Over HTTP, by whoever holds the token.
    Http = 3,
    /// By Telegram; the actor is the sender's number, cut to 32 bits.
    Telegram = 4,
    /// A latch file in the state folder.
    LatchFile = 5,
    /// A breaker of the risk stage.
    Breaker = 6,
    /// A pinned thread did not turn.
    DeadMan = 7,
}

impl Origin {
    /// Every origin, in numeric order.
    pub const ALL: [Origin; 8] = [
        Self::Operator,
        Self::Session,
        Self::Signal,
        Self::Http,
        Self::Telegram,
        Self::LatchFile,
        Self::Breaker,
        Self::DeadMan,
    ];

    /// From its number; `None` for a number that is no origin.
    pub fn from_u32(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// The name used by tools and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Session => "session",
            Self::Signal => "signal",
            Self::Http => "http",
            Self::Telegram => "telegram",
            Self::LatchFile => "latch file",
            Self::Breaker => "breaker",
            Self::DeadMan => "dead man",
        }
    }

    /// True when a command of this origin may give `verb`.
    pub const fn may(self, verb: Verb) -> bool {
        let kill = matches!(verb, Verb::KillGraceful | Verb::KillImmediate);
        match self {
            Self::Operator => true,
            Self::Session => matches!(verb, Verb::Pause | Verb::Arm),
            Self::Signal | Self::Http | Self::Telegram => kill || matches!(verb, Verb::Pause),
            Self::LatchFile | Self::Breaker | Self::DeadMan => kill,
        }
    }
}

/// A command that cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The reason is empty or does not fit a record.
    #[error("reason: 1 to {COMMAND_REASON_BYTES} bytes are needed")]
    Reason,
    /// Whoever asks may not.
    #[error("{} may not give this command", .0.name())]
    Origin(Origin),
}

/// The command as it goes into the river. `actor` is a user id, [`ACTOR_SYSTEM`] without a person.
///
/// # Errors
/// [`CommandError`] for a reason of no or more than 84 bytes, and for a verb that `origin` may not
/// give.
pub fn command(
    verb: Verb,
    origin: Origin,
    actor: u32,
    reason: &str,
) -> Result<Command, CommandError> {
    if !origin.may(verb) {
        return Err(CommandError::Origin(origin));
    }
    let text = reason.trim().as_bytes();
    if text.is_empty() || text.len() > COMMAND_REASON_BYTES {
        return Err(CommandError::Reason);
    }
    let mut bytes = [0; COMMAND_REASON_BYTES];
    bytes[..text.len()].copy_from_slice(text);
    Ok(Command { verb: verb as u32, actor, origin: origin as u32, reason: bytes })
}

/// True for an `arm` that a person gave, by name: what no setting, signal or restart stands in for.
pub const fn arms_by_name(command: &Command) -> bool {
    command.verb == Verb::Arm as u32
        && command.origin == Origin::Operator as u32
        && command.actor != ACTOR_SYSTEM
        && command.actor != ACTOR_UNATTENDED
}

/// The reason's text out of a command's record.
pub fn reason_of(command: &Command) -> String {
    let end = command.reason.iter().position(|&byte| byte == 0).unwrap_or(COMMAND_REASON_BYTES);
    String::from_utf8_lossy(&command.reason[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBS: [Verb; 5] =
        [Verb::Pause, Verb::KillGraceful, Verb::KillImmediate, Verb::Arm, Verb::Clear];

    #[test]
    fn only_the_admin_socket_clears_and_nothing_from_outside_arms() {
        for origin in Origin::ALL {
            assert_eq!(Origin::from_u32(origin as u32), Some(origin));
            assert_eq!(origin.may(Verb::Clear), origin == Origin::Operator, "{origin:?}");
            let arms = matches!(origin, Origin::Operator | Origin::Session);
            assert_eq!(origin.may(Verb::Arm), arms, "{origin:?}");
        }
        assert_eq!(Origin::from_u32(8), None);
    }

    #[test]
    fn a_command_carries_who_how_and_why_or_is_none() {
        for origin in Origin::ALL {
            for verb in VERBS {
                let made = command(verb, origin, 7, "  seen  ");
                let Ok(made) = made else {
                    assert_eq!(made, Err(CommandError::Origin(origin)));
                    assert!(!origin.may(verb));
                    continue;
                };
                assert_eq!((made.verb, made.actor, made.origin), (verb as u32, 7, origin as u32));
                assert_eq!(reason_of(&made), "seen");
            }
        }
        let long = "x".repeat(COMMAND_REASON_BYTES);
        let given = |why: &str| command(Verb::Pause, Origin::Http, 1, why).map(|c| reason_of(&c));
        assert_eq!(given(&long), Ok(long.clone()));
        assert_eq!(given(&format!("{long}x")), Err(CommandError::Reason));
        assert_eq!(given(" \n"), Err(CommandError::Reason));
    }
}
