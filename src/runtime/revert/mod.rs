//! A session that judges its champion, and leaves it by itself.
//!
//! ```text
//!  journal: lanes 1, 2, 4 ─┐
//!  files of the champion ──┼► Judge ─ breach ─► ModelDesk ─1─► left-models.json
//!  shadow log ─────────────┘  (gates.toml)                ├─2─► ModelSwap ── river ──► stages
//!                                                         └─3─► RegistryKeeper ──► registry.json
//! ```
//! What is left stands in the state folder before anything changes, and until the registry has
//! followed. So whatever instant the process ends at, the next start trades on the version that was
//! gone back to, and brings the registry after.
//!
//! | file | holds |
//! |---|---|
//! | `judge` | what is known of the champion, and which limit it passed |
//! | `rows` | its rows of features, worked out again |
//! | `kept` | its figures over restarts |
//! | `evaluated` | what the shadow log says of it |
//! | `left` | versions that were left, in the state folder |
//! | `keeper` | the thread that has the registry follow |
//! | `start` | which version a session begins with |

pub mod evaluated;
pub mod judge;
pub mod keeper;
pub mod kept;
pub mod left;
pub mod rows;
pub mod start;

pub use judge::Judge;
pub use left::{Left, LeftModels};

use crate::promotion::PromotionSettings;
use crate::runtime::gates;
use anyhow::{Context, Result};
use std::path::Path;

/// The rules that judge a session's champion; `None` where its configuration names none.
///
/// # Errors
/// When the file cannot be read or a key in it is not lawful.
pub fn rules(file: &str) -> Result<Option<PromotionSettings>> {
    if file.is_empty() {
        return Ok(None);
    }
    gates::read(Path::new(file)).context("rollback.gates").map(Some)
}
