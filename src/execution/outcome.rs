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

/// What precedes the end of a ban in the text of -1003, in milliseconds since 1970.
const BANNED_UNTIL: &[u8] = b"banned until ";

/// Codes that leave the outcome open: the venue does not know, an earlier send of ours lives, or a
/// stop is just becoming an order.
const OPEN: [(i32, Reason); 6] = [
    (-1000, Reason::RequestTimeout),
    (-1001, Reason::RequestTimeout),
    (-1006, Reason::RequestTimeout),
    (-1007, Reason::RequestTimeout),
    (-4116, Reason::DuplicateId),
    (-4117, Reason::StopTriggered),
];

/// Codes of certain refusals that deserve a reason of their own; all others are
/// [`Reason::VenueRejected`].
const REFUSALS: [(Reason, &[i32]); 17] = [
    (Reason::CredentialsRefused, &[-1002, -1022, -2014, -2015, -2017, -4056]),
    (Reason::RateLimited, &[-1003, -1015]),
    (Reason::Overloaded, &[-1008]),
    (Reason::OrderEntryDown, &[-1016]),
    (Reason::ClockSkew, &[-1021, -5028]),
    (Reason::NotTrading, &[-1121, -1122, -4022, -4140, -4141]),
    (Reason::UnknownOrder, &[-2011, -2013]),
    (Reason::MarginShort, &[-2018, -2019, -4050, -4051]),
    (Reason::WouldTrigger, &[-2021, -4142]),
    (Reason::ReduceOnlyRefused, &[-2022, -4118]),
    (Reason::ClosedByVenue, &[-2023]),
    (Reason::MaxOpenOrders, &[-2025, -4045]),
    (
        Reason::FiltersChanged,
        &[-1111, -4001, -4002, -4003, -4004, -4005, -4006, -4007, -4013, -4014, -4023, -4164],
    ),
    (Reason::VenuePriceBand, &[-4016, -4024, -4131, -4184, -4210, -4211]),
    (
        Reason::AccountMode,
        &[
            -4060, -4061, -4062, -4087, -4088, -4105, -4106, -4107, -4109, -4189, -4192, -4400,
            -4401, -4531,
        ],
    ),
    (Reason::FillOrKill, &[-5021]),
    (Reason::PostOnlyWouldTake, &[-5022]),
];

/// Classifies an answer by HTTP status (`None`: no answer came), the venue's code (`None`: no JSON
/// body with one) and its message.
///
/// Four kinds of 503 are told apart by the text, for their status is the same. A code is believed
/// only with a status that fits it: a refusal comes as 4xx.
pub fn classify(status: Option<u16>, code: Option<i32>, message: &[u8]) -> Outcome {
    let Some(status) = status else { return Outcome::Unknown(Reason::RequestTimeout) };
    let open = code.and_then(|code| OPEN.iter().find(|(known, _)| *known == code));
    let unknown = Outcome::Unknown(open.map_or(Reason::RequestTimeout, |(_, reason)| *reason));
    match (status, code) {
        (200, None | Some(200)) => Outcome::Accepted,
        (503, Some(-1008)) => Outcome::Rejected(Reason::Overloaded),
        // Codes by which the venue says that it does not know come before any text. Of these -1000
        // and -1001 stand beside the text of a failure too.
        (503, None | Some(0 | -1000 | -1001)) => {
            let failed = FAILED_TEXTS.iter().any(|text| message.starts_with(text));
            if failed { Outcome::Rejected(Reason::Overloaded) } else { unknown }
        }
        (408, _) => unknown,
        (400..=499, Some(code)) if code < 0 && open.is_none() => {
            Outcome::Rejected(refusal(status, code, message))
        }
        _ if open.is_some() => unknown,
        // The gateway's own refusals carry no code: over the limit, banned, blocked.
        (403, _) => Outcome::Rejected(Reason::Blocked),
        (418, _) => Outcome::Rejected(Reason::Banned),
        (429, _) => Outcome::Rejected(Reason::RateLimited),
        _ => unknown,
    }
}

/// Until when a refusal's text says that our address is banned, in milliseconds since 1970.
pub fn banned_until_ms(message: &[u8]) -> Option<i64> {
    let at = message.windows(BANNED_UNTIL.len()).position(|window| window == BANNED_UNTIL)?;
    let rest = &message[at + BANNED_UNTIL.len()..];
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

fn refusal(status: u16, code: i32, message: &[u8]) -> Reason {
    if status == 418 || code == -1003 && banned_until_ms(message).is_some() {
        return Reason::Banned;
    }
    let known = REFUSALS.iter().find(|(_, codes)| codes.contains(&code));
    known.map_or(Reason::VenueRejected, |(reason, _)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STATUSES: [u16; 14] =
        [0, 100, 200, 204, 302, 400, 401, 403, 404, 408, 418, 429, 500, 503];

    /// What the venue's documentation says of each code that has a branch of its own.
    fn documented(code: i32) -> Option<Reason> {
        Some(match code {
            -1002 | -1022 | -2014 | -2015 | -2017 | -4056 => Reason::CredentialsRefused,
            -1003 | -1015 => Reason::RateLimited,
            -1008 => Reason::Overloaded,
            -1016 => Reason::OrderEntryDown,
            -1021 | -5028 => Reason::ClockSkew,
            -1121 | -1122 | -4022 | -4140 | -4141 => Reason::NotTrading,
            -2011 | -2013 => Reason::UnknownOrder,
            -2018 | -2019 | -4050 | -4051 => Reason::MarginShort,
            -2021 | -4142 => Reason::WouldTrigger,
            -2022 | -4118 => Reason::ReduceOnlyRefused,
            -2023 => Reason::ClosedByVenue,
            -2025 | -4045 => Reason::MaxOpenOrders,
            -1111 | -4164 | -4023 | -4013 | -4014 | -4007..=-4001 => Reason::FiltersChanged,
            -4016 | -4024 | -4131 | -4184 | -4210 | -4211 => Reason::VenuePriceBand,
            -4531
            | -4401
            | -4400
            | -4192
            | -4189
            | -4109
            | -4107..=-4105
            | -4088
            | -4087
            | -4062..=-4060 => Reason::AccountMode,
            -5021 => Reason::FillOrKill,
            -5022 => Reason::PostOnlyWouldTake,
            _ => return None,
        })
    }

    /// Every code of the documentation where it is at hand, else the whole range it lies in.
    fn codes() -> Vec<i32> {
        let path = std::env::var_os("PEREGRINE_DATA")
            .map(|dir| std::path::Path::new(&dir).join("docs-samples/_error-codes.json"));
        let Some(text) = path.and_then(|path| std::fs::read(path).ok()) else {
            return (-5100..=-1000).collect();
        };
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&text).unwrap();
        let codes: Vec<i32> =
            rows.iter().map(|row| i32::try_from(row["code"].as_i64().unwrap()).unwrap()).collect();
        assert_eq!(codes.len(), 205, "the documentation lists so many");
        codes
    }

    #[test]
    fn every_documented_code_has_its_meaning_under_every_status() {
        for code in codes() {
            let open = matches!(code, -1001 | -1000 | -1007 | -1006 | -4116 | -4117);
            for status in STATUSES {
                let outcome = classify(Some(status), Some(code), b"some text");
                let expected = match status {
                    503 if code == -1008 => Outcome::Rejected(Reason::Overloaded),
                    418 if !open => Outcome::Rejected(Reason::Banned),
                    400 | 401 | 403 | 404 | 429 if !open => {
                        Outcome::Rejected(documented(code).unwrap_or(Reason::VenueRejected))
                    }
                    _ => {
                        assert!(matches!(outcome, Outcome::Unknown(_)), "{status} {code}");
                        continue;
                    }
                };
                assert_eq!(outcome, expected, "{status} {code}");
            }
            assert_eq!(classify(None, Some(code), b""), Outcome::Unknown(Reason::RequestTimeout));
        }
        let taken = classify(Some(400), Some(-4116), b"ClientOrderId is duplicated.");
        assert_eq!(taken, Outcome::Unknown(Reason::DuplicateId), "an earlier send of ours lives");
    }

    #[test]
    fn answers_without_a_code_mean_what_their_status_and_text_say() {
        let unknown = Outcome::Unknown(Reason::RequestTimeout);
        let rejected = Outcome::Rejected;
        let overloaded = rejected(Reason::Overloaded);
        let internal = "Internal error; unable to process your request. Please try again.";
        let banned = "Way too many requests; IP banned until 1591702613943. Please use…";
        let cases: &[(Option<u16>, Option<i32>, &str, Outcome)] = &[
            (Some(200), None, "", Outcome::Accepted),
            (Some(200), Some(200), "done", Outcome::Accepted),
            (Some(200), Some(-2019), "", unknown),
            (None, None, "", unknown),
            (Some(503), None, "Service Unavailable.", overloaded),
            (Some(503), None, "Service Unavailable", unknown),
            (Some(503), None, "<h1>503 Service Unavailable.</h1>", unknown),
            (Some(503), Some(-1001), internal, overloaded),
            (Some(503), Some(-1001), "Internal error of a gateway", unknown),
            (Some(503), Some(-1007), "Service Unavailable.", unknown),
            (Some(503), Some(-2019), "Service Unavailable.", unknown),
            (Some(503), None, "Unknown error, please check your request…", unknown),
            (Some(408), Some(-2019), "", unknown),
            (Some(429), None, "<html>", rejected(Reason::RateLimited)),
            (Some(429), Some(-1003), banned, rejected(Reason::Banned)),
            (Some(418), Some(-1003), banned, rejected(Reason::Banned)),
            (Some(418), None, "", rejected(Reason::Banned)),
            (Some(403), None, "<html>", rejected(Reason::Blocked)),
            (Some(400), None, "<html>", unknown),
            (Some(400), Some(7), "", unknown),
            (Some(500), Some(-2019), "", unknown),
            (Some(502), None, "<html>", unknown),
            (Some(504), None, "", unknown),
        ];
        for (status, code, message, outcome) in cases {
            let got = classify(*status, *code, message.as_bytes());
            assert_eq!(got, *outcome, "{status:?} {code:?} {message}");
        }
        assert_eq!(banned_until_ms(banned.as_bytes()), Some(1_591_702_613_943));
        assert_eq!(banned_until_ms(b"banned until further notice"), None);
        assert_eq!(banned_until_ms(b"banned until 99999999999999999999"), None);
    }

    proptest! {
        #[test]
        fn fault_x11_whatever_comes_is_classified_and_what_is_not_understood_is_unknown(
            status in proptest::option::of(any::<u16>()),
            code in proptest::option::of(prop_oneof![any::<i32>(), -5100..0]),
            message in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let outcome = classify(status, code, &message);
            let certain = match status {
                Some(200) => matches!(code, None | Some(200)),
                Some(503) => true,
                Some(400..=499) => status != Some(408),
                _ => false,
            };
            prop_assert!(certain || matches!(outcome, Outcome::Unknown(_)), "{:?}", outcome);
            let taken = status == Some(200) && matches!(code, None | Some(200));
            prop_assert_eq!(outcome == Outcome::Accepted, taken);
        }
    }
}
