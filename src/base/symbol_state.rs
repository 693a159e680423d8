//! Whether an instrument of the session's table is traded.
//!
//! ```text
//!            drop                    flat, nothing working
//!   Awake ──────────► Leaving ────────────────────────────► Asleep
//!     ▲                  │ add                                 │ add
//!     └──────────────────┴─────────────────────────────────────┘
//! ```
//! Awake: its streams are subscribed and decisions may lead to entries. Leaving: no entries, what
//! rests of them is cancelled, exits go on. Asleep: nothing of its market is asked for or listened
//! to, and nothing is remembered of it but its books.

/// See the head of this file. Numbers are written into journals and are never reused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum SymbolState {
    /// Traded.
    #[default]
    Awake = 1,
    /// Being left.
    Leaving = 2,
    /// Not traded.
    Asleep = 3,
}

impl SymbolState {
    /// From its number; `None` for a number that is no state.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Awake),
            2 => Some(Self::Leaving),
            3 => Some(Self::Asleep),
            _ => None,
        }
    }

    /// The name used by tools and pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Awake => "awake",
            Self::Leaving => "leaving",
            Self::Asleep => "asleep",
        }
    }
}
