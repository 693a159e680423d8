//! Finds out what is true at the venue and says it in the river.
//!
//! | file | holds |
//! |---|---|
//! | `question` | what is asked, and what may be told |

mod question;

pub use question::{
    PAGE_ROWS, Question, Standing, Told, VenueFunding, VenueHolding, VenueOrder, VenueTrade,
};
