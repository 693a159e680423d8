//! What an answer to an order request means. A total function: whatever is not known to be an
//! acceptance or a refusal is [`Outcome::Unknown`], and an unknown outcome is never resent.

use crate::base::Reason;

/// See the head of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The venue took the request.
    Accepted,
    /// The venue did not take it, and will not.
    Rejected(Reason),
    /// It may or may not have been taken: ask before anything else.
    Unknown(Reason),
}

/// The texts of a 503 by which the venue says that nothing was done, to the last mark: a gateway
/// in between has words of its own, and does not know.
const FAILED_TEXTS: [&[u8]; 2] =
    [b"Service Unavailable.", b"Internal error; unable to process your request."];

/// Classifies an answer by HTTP status (`None`: no answer came), the venue's code (`None`: no JSON
/// body with one) and its message.
///
/// Four kinds of 503 are told apart by the text, for their status is the same. Codes −1000, −1006
/// and −1007 leave the outcome open; −1001 does so unless the text says that processing failed.
pub fn classify(status: Option<u16>, code: Option<i32>, message: &[u8]) -> Outcome {
    let Some(status) = status else { return Outcome::Unknown(Reason::RequestTimeout) };
    let unknown = Outcome::Unknown(Reason::RequestTimeout);
    let rejected = Outcome::Rejected(Reason::VenueRejected);
    match (status, code) {
        (200, None | Some(200)) => Outcome::Accepted,
        // Codes by which the venue says that it does not know come before any text.
        (503, Some(-1006 | -1007 | -4116)) => unknown,
        (503, Some(-1008)) => rejected,
        (503, _) => {
            let failed = FAILED_TEXTS.iter().any(|text| message.starts_with(text));
            if failed { rejected } else { unknown }
        }
        // An id that is taken means that an earlier send of ours lives.
        (_, Some(-1000 | -1001 | -1006 | -1007 | -4116)) => unknown,
        (400..=499, Some(-5022)) => Outcome::Rejected(Reason::PostOnlyWouldTake),
        (400..=499, Some(-5021)) => Outcome::Rejected(Reason::FillOrKill),
        (400..=499, Some(-2011 | -2013)) => Outcome::Rejected(Reason::UnknownOrder),
        (408, _) => unknown,
        (400..=499, Some(code)) if code < 0 => rejected,
        // The gateway's own refusals carry no code: over the limit, banned, blocked.
        (403 | 418 | 429, _) => rejected,
        _ => unknown,
    }
}
