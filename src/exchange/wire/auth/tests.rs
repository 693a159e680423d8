//! Oracles: the venue's published example, the vectors of RFC 8032 and RFC 4648.

use super::*;

const SECRET: &str = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9";
const PAYLOAD: &str = "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC\
                       &recvWindow=5000&timestamp=1591702613943";
const SIGNATURE: &str = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9";

fn hmac() -> Credential {
    Credential::Hmac(SECRET.to_owned())
}

/// A REST request's outcome: 0 or the venue's code.
fn outcome(query: &str, body: &str) -> i32 {
    let found = Signed::find(query.as_bytes(), body.as_bytes());
    found.and_then(|signed| signed.verify(&hmac())).map_or_else(|error| error.code, |()| 0)
}

#[test]
fn the_venues_published_signature_fits_wherever_it_stands() {
    let signed = format!("{PAYLOAD}&signature={SIGNATURE}");
    let (start, rest) = signed.split_at(PAYLOAD.find("&quantity").unwrap());
    let upper = format!("{PAYLOAD}&signature={}", SIGNATURE.to_uppercase());
    for (query, body, why) in [
        (signed.as_str(), "", "in the query"),
        ("", signed.as_str(), "in the body"),
        (start, rest, "over query and body, nothing between them"),
        (upper.as_str(), "", "hexadecimal of either case"),
    ] {
        assert_eq!(outcome(query, body), 0, "{why}");
    }
}

#[test]
fn the_querys_signature_wins_over_the_bodys() {
    let good = format!("{PAYLOAD}&signature={SIGNATURE}");
    assert_eq!(outcome(&good, "signature=00"), 0);
    assert_eq!(
        outcome(&format!("{PAYLOAD}&signature=00"), &format!("signature={SIGNATURE}")),
        -1022
    );
}

#[test]
fn a_changed_byte_a_missing_signature_and_a_tail_are_refused() {
    let signed = format!("{PAYLOAD}&signature={SIGNATURE}");
    for (query, code, why) in [
        (signed.replace("9000", "9001"), -1022, "a changed price"),
        (signed.replace("694af9", "694af8"), -1022, "a changed digit"),
        (signed.replace("694af9", "694af"), -1022, "a digit short"),
        (format!("{signed}&price=1"), -1022, "what follows is vouched for by nobody"),
        (PAYLOAD.to_owned(), -1102, "no signature"),
        (format!("{PAYLOAD}&signature="), -1102, "an empty signature"),
    ] {
        assert_eq!(outcome(&query, ""), code, "{why}");
    }
}

#[test]
fn an_ed25519_signature_of_the_standards_vectors_fits_percent_encoded_or_not() {
    // RFC 8032, 7.1, TEST 2: message 0x72, the letter r.
    let public = hex(b"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c").unwrap();
    let key = Credential::Ed25519(public.try_into().unwrap());
    let plain = "kqAJqfDUyrhyDoILX2QlQKKye1QWUD+Ps3YiI+vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkW\
                 ErsMAA==";
    let encoded = plain.replace('+', "%2B").replace('/', "%2F").replace('=', "%3d");
    for signature in [plain, encoded.as_str()] {
        let query = format!("r&signature={signature}");
        let signed = Signed::find(query.as_bytes(), b"").unwrap();
        assert_eq!(signed.verify(&key), Ok(()), "{signature}");
        assert_eq!(verify(&key, b"s", &unescape(signature.as_bytes())).unwrap_err().code, -1022);
    }
}

#[test]
fn base64_is_that_of_the_standard() {
    // RFC 4648, section 10.
    for (text, bytes) in [
        ("", ""),
        ("Zg==", "f"),
        ("Zm8=", "fo"),
        ("Zm9v", "foo"),
        ("Zm9vYg==", "foob"),
        ("Zm9vYmE=", "fooba"),
        ("Zm9vYmFy", "foobar"),
    ] {
        assert_eq!(base64(text.as_bytes()), Some(bytes.as_bytes().to_vec()));
    }
    for text in ["Zg", "Zg=", "Z===", "Zm9v!A==", "===="] {
        assert_eq!(base64(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn a_time_must_be_in_its_window() {
    let now = Nanos::from_millis(1_591_702_613_943);
    for (query, code, why) in [
        ("timestamp=1591702613943", 0, "the venue's own time"),
        ("timestamp=1591702608943", 0, "five seconds old: the usual window"),
        ("timestamp=1591702608942", -1021, "a millisecond older"),
        ("timestamp=1591702553943&recvWindow=60000", 0, "the widest window"),
        ("timestamp=1591702614942", 0, "less than a second ahead"),
        ("timestamp=1591702614943&recvWindow=60000", -1021, "a second ahead, whatever the window"),
        ("timestamp=1591702613943&recvWindow=60001", -1131, "too wide a window"),
        ("recvWindow=5000", -1102, "no time"),
        ("timestamp=", -1102, "an empty time"),
        ("timestamp=now", -1100, "no number"),
        ("timestamp=-1", -1100, "below zero"),
        ("timestamp=1591702613943&recvWindow=5e3", -1100, "no whole window"),
        ("timestamp=99999999999999999999", -1100, "beyond every clock"),
    ] {
        let checked = check_time(&Params::of(query, ""), now);
        assert_eq!(checked.map_or_else(|error| error.code, |()| 0), code, "{why}");
    }
}

#[test]
fn ahead_and_behind_are_told_apart_in_words() {
    let now = Nanos::from_millis(1_591_702_613_943);
    let text = |query| check_time(&Params::of(query, ""), now).unwrap_err().text;
    let ahead = "Timestamp for this request was 1000ms ahead of the server's time.";
    assert_eq!(text("timestamp=1591702700000"), ahead);
    let behind = "Timestamp for this request is outside of the recvWindow.";
    assert_eq!(text("timestamp=1591702600000"), behind);
}
